"""What a model provides: the mathematics, as hooks that are pure in ``params``.

Rows come as float64 blocks in unit space (:mod:`pofx.core.units`); the contract
(:class:`pofx.core.density.Density`) checks, converts, cuts into blocks and gives names back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ParameterError, UnsupportedError
from ..validation import Columns
from .estimator import Estimator
from .fitting import Outcome
from .fold import Data, block_rows
from .params import Params

if TYPE_CHECKING:
    from .density import Density

__all__ = ["Hooks"]


class Hooks(Estimator):
    """The model's own part. A finished model has ``_log_density`` and ``_draw``, and either ``_fit`` or
    ``_statistics`` with ``_solve``; the rest is optional, and said to be lacking where it is."""

    def _check(self) -> None:
        """Raise ParameterError for hyperparameters that are wrong whatever the data."""

    def _group_columns(self) -> Sequence[str | int]:
        """Return the names or numbers of the columns of training rows that may hold text."""
        return ()

    def _counted(self, columns: Columns) -> Sequence[int]:
        """Return the numbers of the columns whose values have a probability each and no density: they may be
        texts, and no change of units concerns them."""
        return ()

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[Mapping[str, Any], Outcome]:
        """Return the parameters (unit space) and the outcome. By default: one fold, then solve."""
        stats = data.fold(lambda x, w: self._statistics(None, x, w))
        return self._solve(stats), Outcome()

    def _statistics(self, params: Params | None, x: np.ndarray, w: np.ndarray) -> Any:
        """Return what a block of rows contributes; contributions are added with ``+``."""
        raise NotImplementedError

    def _solve(self, stats: Any) -> Mapping[str, Any]:
        """Return the parameters from the summed statistics."""
        raise NotImplementedError

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        """Return log p of the rows x (m, d): ``-inf`` outside the support only, never NaN."""
        raise NotImplementedError

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n independent rows (n, d), continuous."""
        raise NotImplementedError

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        """Raise ParameterError where values are not parameters of this model in d columns.

        By default: where an array of numbers holds NaN.
        """
        for name, value in values.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any():
                raise ParameterError(f"{name} must be numbers; {int(np.isnan(value).sum())} are NaN.")

    def _marginal(self, params: Params, keep: list[int]) -> Mapping[str, Any]:
        raise self._has_no("marginal")

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> Mapping[str, Any]:
        raise self._has_no("condition")

    def _mean(self, params: Params) -> np.ndarray:
        raise self._has_no("mean")

    def _covariance(self, params: Params) -> np.ndarray:
        raise self._has_no("covariance")

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        raise self._has_no("cdf")

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        raise self._has_no("cdf")

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        from .invert import quantile_by_bisection

        return quantile_by_bisection(lambda x: self._log_cdf(params, x), lambda x: self._log_sf(params, x), q)

    def _entropy(self, params: Params) -> float | None:
        """Return the entropy in unit space where there is a closed form."""
        return None

    def _rarity(self, params: Params, log_p: np.ndarray) -> np.ndarray | None:
        """Return P(log p(Y) <= log_p), Y a draw, of log densities (n,) in unit space, where there is a closed
        form for it."""
        return None

    def _kl(self, params: Params, other: Density) -> float | None:
        """Return KL(self || other) where there is a closed form for this pair."""
        return None

    def _n_parameters(self, params: Params) -> int:
        raise self._has_no("n_parameters_")

    def _gaussian_parts(self, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Return weights (k,), means (k, d) and covariances (k, d, d) or (1, d, d) where the density is a
        mixture of Gaussians, unit space."""
        return None

    def _log_box(
        self, params: Params, lower: np.ndarray, upper: np.ndarray, point: np.ndarray, coarse: bool = False
    ) -> np.ndarray:
        """Return the log of the density integrated over boxes (n,), unit space.

        ``point`` (d,) says in which columns ``lower`` (n, d) is a value whose density enters. By default: one
        column by its distribution function, Gaussians by separation of variables, others by fixed nodes, of
        which ``coarse`` takes fewer.
        """
        from .boxes import log_box

        return log_box(self, params, lower, upper, point, coarse)

    def _finest_scale(self, params: Params) -> np.ndarray | None:
        """Return how narrow the density's narrowest bump is along each column (d,), unit space.

        The standard deviation of a kernel, or of a component along that column at given values of the
        others; half the width of a bin. ``None``: not known. A comparison holds it against the step that
        the column is recorded with, so that no model wins by spikes on ties.
        """
        return None

    def _flat(self) -> bool:
        """Return whether the bumps have edges, as bins have, and are not smooth like a Gaussian."""
        return False

    @property
    def searches(self) -> bool:
        """Whether a fit chooses among candidates that differ much in cost (:meth:`_narrowed`)."""
        return False

    def _narrowed(self) -> Density | None:
        """Return an unfitted clone of this fitted model that chooses only among the candidates that its
        search left within reach: whatever part of the rows is taken, none of the others could win. ``None``:
        all of them."""
        return None

    @property
    def parametric(self) -> bool:
        """Whether a few parameters describe the family, so that drawing from a fit and fitting again tells
        how the fit errs (a bandwidth would smooth once more); then there is :meth:`_refitted`."""
        return False

    def _refitted(self, x: np.ndarray) -> Density:
        """Return this fitted family again, fitted to other rows x (n, d), complete and in data units.

        What the fit chose from data (the number of components, their structure) is held, and a search may
        begin at the parameters at hand: the rows were drawn from them.
        """
        raise NotImplementedError

    def _bytes(self, n: int, d: int) -> int:
        """Return the predicted memory of a fit beyond the rows themselves."""
        return 64 * d * block_rows(d)

    def _has_no(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{type(self).__name__} has no {what}.")
