r"""Kernel density estimation: a bump on every row.

    p(x) = Σ_i p_i Π_j k((x_j - y_ij) / h_j) / h_j,     p_i = w_i / Σw

with a kernel k of standard deviation 1, so that h_j is the standard deviation of the bump in the units of
column j, for every kernel. Products over columns make marginals (drop columns) and conditionals (reweight
the rows by their bumps at the given values) kernel density estimates again, exactly.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...core.density import Density
from ...core.fitting import Outcome
from ...core.fold import Data, require_rows, require_spread, survey
from ...core.params import Params
from ...errors import DataError, ParameterError, PofxWarning
from ...maths.bandwidth import Choice, Rule, rule_named
from ...maths.kernel_sums import log_sum_kernel, log_sum_tail, quantile
from ...maths.kernels import KERNELS, Kernel, kernel_named
from .given import in_data_units, in_unit_space, numbers

__all__ = ["KDE"]

Floats = NDArray[np.float64]


class KDE(Density):
    """A kernel density estimate with one bandwidth per column.

    Parameters
    ----------
    bandwidth : {"scott", "silverman", "normal_reference", "isj"}, float, sequence or mapping
        The kernel's **standard deviation**, in the units of the columns: a rule
        (:mod:`pofx.maths.bandwidth`), one number for all columns, one per column, or a mapping from every
        column's name or number to its number. scikit-learn's ``bandwidth`` is the same for the Gaussian
        kernel; scipy's ``bw_method`` is a factor, ours is that factor times the standard deviation.
    kernel : {"gaussian", "epanechnikov", "tophat", "triangular", "biweight", "triweight", "cosine"}
        The bump. All but the Gaussian have bounded support: log densities of -inf beyond it.
    missing, weight_kind
        See :class:`pofx.core.density.Density`. In the rules, n is the sum of the weights.

    Attributes
    ----------
    points_ : ndarray (m, d)
        The distinct rows, data units. A fitted KDE (and its file) holds the rows themselves.
    weights_ : ndarray (m,)
        Their probabilities.
    bandwidth_ : ndarray (d,)
        Data units. ``fit_.message`` says where it came from.
    n_parameters_ : int
        The numbers it keeps: m rows of d, and d bandwidths. Not a number for BIC: nothing is maximised.

    Raises
    ------
    DegenerateError
        From ``fit``, for a constant column, or a single row, with a rule: neither has a scale.
    ParameterError
        For bandwidths that are not positive and finite, or not one per column; for unknown names.

    Notes
    -----
    Pitfalls. Rules of thumb suppose one bump. Two narrow groups far apart make the standard deviation large,
    and the bandwidth with it, so that both are smeared over the gap; the improved Sheather-Jones rule makes
    no such supposition::

        >>> import numpy as np, pofx
        >>> grid = np.linspace(-1, 1, 101)
        >>> x = np.r_[grid - 50, grid + 50]  # the density at 50 is 0.25
        >>> pofx.KDE("scott").fit(x).density([50.0]).round(2)
        array([0.01])
        >>> pofx.KDE("isj").fit(x).density([50.0]).round(2)
        array([0.25])

    References
    ----------
    E. Parzen, On estimation of a probability density function and mode, *Ann. Math. Statist.* 33 (1962).
    D. W. Scott, *Multivariate Density Estimation*, Wiley 1992.
    """

    rank: ClassVar[int] = 3

    def __init__(
        self,
        bandwidth: str | Rule | float | Sequence[float] | Mapping[str | int, float] = "scott",
        *,
        kernel: str | Kernel = "gaussian",
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.bandwidth = bandwidth
        self.kernel = kernel
        self.missing = missing
        self.weight_kind = weight_kind

    @classmethod
    def from_params(
        cls,
        points: Any,
        bandwidth: float | Sequence[float] | Mapping[str | int, float],
        *,
        weights: Any = None,
        kernel: str | Kernel = "gaussian",
    ) -> Self:
        """Return the estimate with these bumps.

        Parameters
        ----------
        points : rows (n, d), as for ``fit``
        bandwidth : float, sequence or mapping
            Standard deviations in data units, as for the constructor; no rule.
        weights : array (n,), optional
            Non-negative, any scale.
        kernel : str

        Raises
        ------
        ParameterError, DataError, WeightError
        """
        if isinstance(bandwidth, str | Rule):
            raise ParameterError(
                f"The bandwidth must be in numbers here; use KDE({bandwidth!r}).fit(points)."
            )
        model = cls(bandwidth, kernel=kernel)
        model._check()
        data = survey(points, weights, weight_kind="frequency")
        x, w = data.distinct()
        values = {
            "points": x,
            "log_weights": _log_shares(w),
            "bandwidth": in_unit_space(bandwidth, data),
            "kernel": kernel_named(kernel).name,
        }
        return cls._from_values(values, data.units, data.columns, bandwidth=bandwidth, kernel=kernel)

    def _check(self) -> None:
        kernel_named(self.kernel)
        if isinstance(self.bandwidth, str | Rule):
            rule_named(self.bandwidth)
        else:
            numbers(self.bandwidth)

    # ---------------------------------------------------------------- fit

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Outcome]:
        kernel = kernel_named(self.kernel)
        if isinstance(self.bandwidth, str | Rule):
            require_rows(data, 2, "KDE: a data-driven scale")
            require_spread(data, "Leave it out, or give the bandwidths as numbers: KDE(bandwidth=[...]).")
            x, w = data.distinct()
            rule = rule_named(self.bandwidth)
            choice, source = rule.choose(x, w, data.label), f"by {rule.name!r}"
            for text in choice.warnings:
                warnings.warn(f"KDE: {text}", PofxWarning, stacklevel=3)
        else:
            x, w = data.distinct()
            choice, source = Choice(in_unit_space(self.bandwidth, data)), "given"
        h = choice.h
        values = {"points": x, "log_weights": _log_shares(w), "bandwidth": h, "kernel": kernel.name}
        widths = in_data_units(h, data.units)
        shown = ", ".join(f"{v:.4g} ({data.label(j)})" for j, v in enumerate(widths[:6]))
        more = ", …" if data.d > 6 else ""
        message = (
            f"Bandwidth {source}: {shown}{more}, as the standard deviation of the {kernel.name} kernel on "
            f"{len(x):,} distinct rows."
        )
        return values, Outcome(message=message, notes=choice.notes + choice.warnings)

    def _bytes(self, n: int, d: int) -> int:
        return 6 * 8 * n * (d + 2)  # the rows, their sorted copy, and the sort's own

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        if not isinstance(values.get("kernel"), str) or values["kernel"] not in KERNELS:
            raise ParameterError(f"kernel must be one of {', '.join(KERNELS)}; got {values.get('kernel')!r}.")
        points = values.get("points")
        n = len(points) if isinstance(points, np.ndarray) and points.ndim == 2 else 0
        for name, shape in (("points", (n, d)), ("log_weights", (n,)), ("bandwidth", (d,))):
            v = values.get(name)
            if not isinstance(v, np.ndarray) or v.dtype != np.float64 or v.shape != shape or not n:
                raise ParameterError(f"{name} must be float64 of shape {shape} with n >= 1.")
            if not np.isfinite(v).all():
                raise ParameterError(f"{name} must be finite.")
        least = values["bandwidth"].min()
        if not least > 0.0:
            raise ParameterError(f"bandwidth must be positive; the smallest is {least:.3g}.")
        if not abs(logsumexp(values["log_weights"])) < 1e-9:
            raise ParameterError("the exponentials of log_weights must sum to 1.")

    # ---------------------------------------------------------------- the distribution

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        kernel = kernel_named(params.kernel)
        out = log_sum_kernel(x, params.points, params.log_weights, kernel, params.bandwidth)
        if kernel.radius == math.inf:
            # Beyond 1e154 bandwidths the logarithm itself leaves float64; the row is still in the support.
            out[np.isneginf(out) & np.isfinite(x).all(axis=1)] = -np.finfo(np.float64).max
        return out

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        reached = np.cumsum(np.exp(params.log_weights))
        chosen = np.searchsorted(reached, rng.random(n) * reached[-1], side="right")
        centres = params.points[np.minimum(chosen, len(reached) - 1)]
        return centres + params.bandwidth * kernel_named(params.kernel).draw(centres.shape, rng)

    def _marginal(self, params: Params, keep: list[int]) -> dict[str, Any]:
        return {
            "points": params.points[:, keep],
            "log_weights": params.log_weights,
            "bandwidth": params.bandwidth[keep],
            "kernel": params.kernel,
            "__hyper__": self._hyperparameters(params, keep),
        }

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> dict[str, Any]:
        kernel = kernel_named(params.kernel)
        log_weights = params.log_weights.copy()
        for j, value in zip(given, z, strict=True):
            with np.errstate(over="ignore"):
                log_weights += kernel.log_density((value - params.points[:, j]) / params.bandwidth[j])
        reached = np.isfinite(log_weights)  # rows whose bump does not reach the given values have no say
        if not reached.any():
            raise DataError(_nothing_there(params, given, z))
        log_weights = log_weights[reached]
        rest = [j for j in range(len(params.bandwidth)) if j not in given]
        return {
            "points": params.points[np.ix_(reached, rest)],
            "log_weights": log_weights - logsumexp(log_weights),
            "bandwidth": params.bandwidth[rest],
            "kernel": params.kernel,
            "__hyper__": self._hyperparameters(params, rest),
        }

    def _hyperparameters(self, params: Params, keep: list[int]) -> dict[str, Any]:
        """What a refit of a part would use: the same rule, or the same numbers."""
        bandwidth = self.bandwidth
        if not isinstance(bandwidth, str | Rule):
            bandwidth = tuple(in_data_units(params.bandwidth, params.units)[keep].tolist())
        return {"bandwidth": bandwidth, "kernel": params.kernel}

    def _mean(self, params: Params) -> np.ndarray:
        return np.asarray(np.exp(params.log_weights) @ params.points)

    def _covariance(self, params: Params) -> np.ndarray:
        centred = params.points - self._mean(params)
        spread = (centred * np.exp(params.log_weights)[:, None]).T @ centred
        return spread + np.diag(params.bandwidth**2)

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return _log_tail(params, x, upper=False)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return _log_tail(params, x, upper=True)

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        h, kernel = float(params.bandwidth[0]), kernel_named(params.kernel)
        return quantile(q, params.points[:, 0], params.log_weights, kernel, h)

    def _n_parameters(self, params: Params) -> int:
        return int(params.points.size + params.bandwidth.size)

    def _finest_scale(self, params: Params) -> np.ndarray:
        return np.asarray(params.bandwidth)

    def _flat(self) -> bool:
        return kernel_named(self.kernel).radius < math.inf

    # ---------------------------------------------------------------- the field's names, in data units

    @property
    def points_(self) -> Floats:
        """The distinct rows (m, d), data units."""
        return self.params_.units.back(self.params_.points)

    @property
    def weights_(self) -> Floats:
        """The probabilities of the rows, shape (m,)."""
        return np.exp(self.params_.log_weights)

    @property
    def bandwidth_(self) -> Floats:
        """The standard deviation of the bump per column (d,), data units."""
        return in_data_units(self.params_.bandwidth, self.params_.units)


# ---------------------------------------------------------------- rows and tails


def _log_shares(w: Floats) -> Floats:
    return np.log(w) - math.log(float(w.sum()))


def _log_tail(params: Params, x: np.ndarray, *, upper: bool) -> np.ndarray:
    """Return the log of one tail; where it is more than half, by the complement of the other."""
    points, kernel = params.points[:, 0], kernel_named(params.kernel)
    h = float(params.bandwidth[0])
    out = log_sum_tail(x, points, params.log_weights, kernel, h, upper=upper)
    most = np.flatnonzero(out > -math.log(2.0))
    other = log_sum_tail(x[most], points, params.log_weights, kernel, h, upper=not upper)
    out[most] = np.log1p(-np.exp(np.minimum(other, 0.0)))
    return out


def _nothing_there(params: Params, given: list[int], z: np.ndarray) -> str:
    values = params.units.select(given).back(z)
    where = ", ".join(f"{params.columns.label(j)} = {v:.6g}" for j, v in zip(given, values, strict=True))
    if params.kernel == "gaussian":
        return f"condition: {where} is so far from every row that the density there is below float64's range."
    return (
        f"condition: no row lies within reach of {where}; the density there is 0, so nothing can be "
        f"conditioned on it. A {params.kernel} bump ends at {KERNELS[params.kernel].radius:.3g} bandwidths; "
        "use kernel='gaussian', a larger bandwidth, or values nearer to the rows."
    )
