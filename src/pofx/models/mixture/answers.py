"""What a mixture answers by its parameters: clusters, criteria, modes, and these in the field's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.density import Density
from ...core.fold import block_rows
from ...core.modes import Modes
from ...core.params import Params
from ...errors import NumericalError, UnsupportedError
from ...threads import map_ordered, one_blas_thread
from ...validation import check_memory, restore, restore_exact, rng_from, whole_number
from . import noise as uniform
from . import parameters
from .clusters import Clusters, merge_by_entropy
from .criteria import odds_against
from .modes import find_modes
from .structures import FactorAnalysers, structure
from .structures.factoring import factor_analysis
from .summary import Summary, summarise

__all__ = ["Answers"]

FAR = -np.finfo(float).max  # where every logarithm leaves float64


class Answers(Density):
    """Methods of :class:`pofx.GaussianMixture` that its parameters answer."""

    prior: Any

    def _logs(self, params: Params, x: np.ndarray) -> np.ndarray:
        """Return log(w_k N(x_i; μ_k, Σ_k)) for rows of unit space, (K, n)."""
        raise NotImplementedError

    def _draw_labelled(
        self, params: Params, n: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return n rows (unit space) and the component that each was drawn from."""
        raise NotImplementedError

    def _own_covariances(self, params: Params) -> np.ndarray:
        """Return the covariances (K, d, d), or the one of all (d, d), unit space."""
        raise NotImplementedError

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        return self._draw_labelled(params, n, rng)[0]

    def _by_blocks(self, X: Any, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return ``function(logs)`` (n,) of log weights plus log densities (K, b), block by block."""
        params = self.params_
        x = self._query(X)
        size = block_rows(x.shape[1])

        def block(start: int) -> np.ndarray:
            logs = self._logs(params, params.units.to(x[start : start + size]))
            return function(np.maximum(logs, FAR))

        with one_blas_thread():
            parts = list(map_ordered(block, range(0, len(x), size)))
        return np.concatenate(parts) if parts else np.empty(0)

    def _without_noise(self, what: str) -> None:
        if uniform.has_noise(self.params_):
            raise UnsupportedError(f"{what} is for mixtures without noise.")

    # ---------------------------------------------------------------- clusters

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the responsibilities: the probability of each component given each row, shape (n, K).

        With ``noise=True`` the noise is the last column, of K + 1.
        """
        params = self.params_
        x = self._query(X)
        with one_blas_thread():
            logs = self._logs(params, params.units.to(x))
            logs = np.maximum(logs, FAR)
            r = np.exp(logs - logs.max(axis=0))
            return np.ascontiguousarray((r / r.sum(axis=0)).T)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest component of each row, shape (n,); −1 where that is the noise."""
        label = self.predict_proba(X).argmax(axis=1)
        return np.where(label == self.n_components_, -1, label)

    def uncertainty(self, X: Any) -> np.ndarray:
        """Return for each row the probability that it is not of its likeliest component, shape (n,).

        ``1 - predict_proba(X).max(axis=1)``, right where that is tiny too; at most 1 − 1/K.
        """

        def doubt(logs: np.ndarray) -> np.ndarray:
            odds = odds_against(logs)
            return np.asarray(odds / (1.0 + odds))

        return self._by_blocks(X, doubt)

    def merge_components(self, X: Any) -> Clusters:
        """Return clusters made of components that overlap: merged two at a time by the entropy of the rows.

        Components are not clusters: a group that is not Gaussian takes several. The density stays as it is.

        Parameters
        ----------
        X : rows
            Whose responsibilities decide; those of the fit, as a rule.

        Returns
        -------
        Clusters
            The hierarchy with ``labels(n)``, ``groups(n)`` and ``proba(n)`` for every number of clusters,
            the entropy of each and the number that it suggests (Baudry et al. 2010; mclust's ``clustCombi``).
        """
        self._without_noise("merge_components")
        return merge_by_entropy(self.predict_proba(X))

    def modes(self) -> Modes:
        """Return the local maxima of the density, densest first, in data units.

        Climbs start from every mean and from between every two (Li, Ray and Lindsay 2007); there may be
        fewer modes than components, and in several columns more. ``shares`` are the weights of the
        components whose means climb to each mode.
        """
        params = self.params_
        with one_blas_thread():
            return find_modes(params, self._log_density)

    def sample(
        self, n: int = 1, *, random_state: Any = None, exact: bool = False, return_labels: bool = False
    ) -> Any:
        """Draw n independent rows.

        Parameters
        ----------
        n, random_state, exact
            See :meth:`pofx.core.density.Density.sample`.
        return_labels : bool
            Return ``(rows, labels)``: also the component that each row was drawn from, shape (n,), −1 for
            the noise. The rows are those of the same seed without labels.
        """
        if not return_labels:
            return super().sample(n, random_state=random_state, exact=exact)
        params, n = self.params_, whole_number(n, "n", least=0)
        d = len(params.units)
        check_memory(8 * n * (3 * d + 2), f"Drawing {n:,} rows of {d:,} columns")
        with one_blas_thread():
            z, labels = self._draw_labelled(params, n, rng_from(random_state))
            rows = params.units.back(z)
        return (restore_exact if exact else restore)(rows, params.columns), labels

    # ---------------------------------------------------------------- criteria

    def bic(self, X: Any) -> float:
        """Return −2 log L + k log n for these rows; smaller is better (mclust prints the negative).

        n counts the rows with at least one entry.
        """
        x = self._query(X)
        n = int((~np.isnan(x).all(axis=1)).sum())
        return float(-2.0 * self._log_density_rows(self.params_, x).sum() + self.n_parameters_ * np.log(n))

    def aic(self, X: Any) -> float:
        """Return −2 log L + 2 k for these rows; smaller is better."""
        return float(-2.0 * self.log_density(X).sum() + 2.0 * self.n_parameters_)

    def icl(self, X: Any) -> float:
        """Return BIC − 2 Σ_i log r_{i,z(i)}, z(i) the likeliest component of row i; smaller is better.

        BIC of the rows together with their labels: it asks for components that do not overlap, where BIC
        asks for a density that fits (Biernacki, Celeux and Govaert 2000, IEEE Trans. PAMI 22:719; mclust's
        ``icl`` is the negative).
        """
        doubt = self._by_blocks(X, lambda logs: np.log1p(odds_against(logs)))
        some = ~np.isnan(self._query(X)).all(axis=1)  # of a row without any entry nothing is known
        return self.bic(X) + 2.0 * float(doubt[some].sum())

    def summary(self, X: Any = None) -> Summary:
        """Return the mixture in figures: criteria, and weight, size, mean and spread of each component.

        Parameters
        ----------
        X : rows, optional
            Rows to count and judge by. By default the figures are those of the fit, which has no rows left
            to count: sizes are expected ones, and ICL is known where the fit compared several candidates.

        Returns
        -------
        Summary
            Prints as a table; ``to_dict()`` is plain data.
        """
        return summarise(self, X)

    # ---------------------------------------------------------------- the field's names, in data units

    @property
    def weights_(self) -> np.ndarray:
        """The weights (K,)."""
        return np.array(self.params_.weights)

    @property
    def noise_weight_(self) -> float:
        """The weight of the uniform noise; 0 without."""
        return uniform.weight(self.params_)

    @property
    def noise_box_(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The corners (d,) and (d,) of the box that the noise fills, data units; ``None`` without noise."""
        params = self.params_
        if not uniform.has_noise(params):
            return None
        return params.units.back(params.noise_low), params.units.back(params.noise_high)

    @property
    def means_(self) -> np.ndarray:
        """The means (K, d), data units."""
        return self.params_.units.back(self.params_.means)

    @property
    def covariances_(self) -> np.ndarray:
        """The covariances, data units, in scikit-learn's shape for ``covariance_type_``."""
        params = self.params_
        d = params.means.shape[1]
        own = params.variances if "variances" in params else self._own_covariances(params).reshape(-1, d, d)
        return parameters.shaped(own, params.units, structure(params.covariance_type))

    @property
    def loadings_(self) -> np.ndarray:
        """The loadings Λ (K, d, q) of a mixture of factor analysers, data units; those of the largest first.

        In units of the components' standard deviations they are orthogonal: the other rotations are as good.
        """
        with np.errstate(over="ignore", under="ignore"):
            out = np.ldexp(self._factors()[0], self.params_.units.exponent[:, None])
        return _representable(out, "loadings_")

    @property
    def uniquenesses_(self) -> np.ndarray:
        """The uniquenesses ψ (K, d) of a mixture of factor analysers: noise variances, data units."""
        with np.errstate(over="ignore", under="ignore"):
            out = np.ldexp(self._factors()[1], 2 * self.params_.units.exponent)
        return _representable(out, "uniquenesses_")

    def _factors(self) -> tuple[np.ndarray, np.ndarray]:
        params, s = self.params_, structure(self.params_.covariance_type)
        if not isinstance(s, FactorAnalysers):
            raise AttributeError(f"covariance_type={s.name!r} has no factors.")
        made: tuple[np.ndarray, np.ndarray] = params.derived(
            "factors", lambda: factor_analysis(self._own_covariances(params), s.n_factors)
        )
        return made

    @property
    def n_components_(self) -> int:
        """The number of components."""
        return len(self.params_.weights)

    @property
    def covariance_type_(self) -> str:
        """The structure of the covariances, by scikit-learn's name where it has one, else by mclust's."""
        return str(self.params_.covariance_type)

    @property
    def converged_(self) -> bool:
        """Whether less than ``tol`` nats were left to gain."""
        return self.fit_.converged

    @property
    def n_iter_(self) -> int:
        """Passes over the rows, all starts and candidates together."""
        return max(self.fit_.passes, 1)


def _representable(out: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(out).all():
        raise NumericalError(f"{name} is beyond float64 in the data's units; rescale the columns.")
    return out
