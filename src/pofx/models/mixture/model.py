"""A mixture of Gaussians, fitted by maximum likelihood.

    p(x) = Σ_k w_k N(x; μ_k, Σ_k),   w_k > 0,  Σ_k w_k = 1

The number of components and the structure of the covariances are chosen by BIC = −2 log L + k log n
(smaller is better; mclust prints the negative), or given. The EM algorithm is in ``em.py``, the search for
the best optimum in ``search.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import log_ndtr

from ...core.density import Density, in_data_units
from ...core.fitting import Outcome
from ...core.fold import Data, require_rows, require_spread
from ...core.params import Params
from ...core.units import Units
from ...errors import NumericalError, ParameterError
from ...maths.gaussian import LOG_2PI, slice_sd
from ...threads import one_blas_thread
from ...validation import Columns, real_number, rows_to_query, whole_number
from . import parameters
from .centred import component_logs, log_sum_exp
from .fit import fit_mixture
from .fitting import CACHE_BYTES, DISTINCT_ELEMENTS, SUBSAMPLE, Plan
from .given import (
    check_covariances,
    check_means,
    check_membership,
    check_weights,
    given_start,
    unit_covariances,
)
from .rows import FEATURES_UP_TO, n_features
from .search import BATCH_ELEMENTS, SCREEN_WORK
from .structures import AUTO, STRUCTURES, FactorAnalysers, Structure, structure
from .structures.factoring import factor_analysis

__all__ = ["GaussianMixture"]

MOST_AUTO = 9  # components that n_components="auto" tries
N_INIT, N_INIT_AUTO = 10, 5  # random starts per kind: for one candidate, and for each of many


class GaussianMixture(Density):
    """A mixture of Gaussians.

    Parameters
    ----------
    n_components : int, "auto" or iterable of int
        How many components, or among which numbers to choose by BIC; ``"auto"`` is 1 to 9.
    covariance_type : str or object, "auto", "all" or list of them
        What the components' covariances share: ``"full"`` (mclust's VVV), ``"tied"`` (EEE), ``"diag"``
        (VVI), ``"spherical"`` (VII), or another of mclust's fourteen: volume, shape and orientation Equal,
        Variable or Identity. A list to choose from by BIC, ``"auto"`` for those four, ``"all"`` for fourteen.
        EII, VII, EVE, VVE, EEV and VEV share something that depends on the columns' units: the data's own.
        For many columns ``"factors-2"`` and the like, correlation through two common factors per component;
        or, as an object, ``FactorAnalysers(2)`` from ``pofx.models.mixture``.
    n_init : int, optional
        Random starts of each kind, beside the hierarchical ones and those made from solutions found; 10 for
        one candidate, 5 for each of many by default.
    tol : float
        A run has converged when less than this is left to gain of the *total* log-likelihood (nats), by
        Aitken's extrapolation. The one that is chosen is then polished to the last digits.
    max_iter : int
        Passes over the rows of a final run, at most; and of its polish.
    weights_init, means_init, covariances_init : array, optional
        Where to start, in data units and scikit-learn's shapes; EM then runs from there and nowhere else.
    random_state : None, int, Generator or RandomState
        Seeds the random starts; ``None`` is 0.
    missing, weight_kind
        See :class:`pofx.core.density.Density`.

    Attributes
    ----------
    weights_ : ndarray (K,)
    means_ : ndarray (K, d)
        Components are in the order of their means (first column, then second, …).
    covariances_ : ndarray
        scikit-learn's shapes: (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical; the others have
        one entry per component: (K,) for EII, (K, d) for those that end in I, (K, d, d) for the rest.
    loadings_, uniquenesses_ : ndarray (K, d, q), (K, d)
        Of ``"factors-q"``: every covariance is Λ Λᵀ + diag(ψ).
    n_components_, covariance_type_ : int, str
        What was chosen.

    Notes
    -----
    A component may shrink onto few rows, where the likelihood is unbounded. Only *regular* optima are ranked:
    the smallest eigenvalue of every component, columns divided by their standard deviations, is at least
    1e-4. ``fit_.search`` is the table of all candidates; ``fit_.trace`` never falls.

    Pitfalls. Components are not clusters: one skewed group takes several of them::

        >>> import numpy as np, pofx
        >>> x = np.exp(np.linspace(-2.5, 2.5, 400))  # one group, skewed
        >>> pofx.GaussianMixture().fit(x).n_components_ > 1
        True

    References
    ----------
    Dempster, Laird and Rubin (1977), JRSS B 39:1. Fraley and Raftery (2002), JASA 97:611.
    McLachlan and Peel (2000), Finite Mixture Models. Celeux and Govaert (1995), Pattern Recognition 28:781.
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        n_components: int | str | Iterable[int] = "auto",
        *,
        covariance_type: str | Structure | Iterable[str | Structure] = "auto",
        n_init: int | None = None,
        tol: float = 1e-5,
        max_iter: int = 1000,
        weights_init: Any = None,
        means_init: Any = None,
        covariances_init: Any = None,
        random_state: Any = None,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.weights_init = weights_init
        self.means_init = means_init
        self.covariances_init = covariances_init
        self.random_state = random_state
        self.missing = missing
        self.weight_kind = weight_kind

    @classmethod
    def from_params(
        cls,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        covariance_type: str | Structure = "full",
        names: Any = None,
    ) -> Self:
        """Return a known mixture.

        Parameters
        ----------
        weights : array (K,)
            Positive, summing to one.
        means : array (K, d), or (K,) in one dimension
        covariances : array
            In scikit-learn's shape for ``covariance_type``; in one dimension (K,) is enough.
        covariance_type : str
        names : sequence of str, optional
            Column names.

        Raises
        ------
        ParameterError
            Naming the component that is wrong.
        """
        s = structure(covariance_type)
        w = check_weights(weights, "weights")
        m = np.asarray(means, dtype=float)
        m = check_means(m[:, None] if m.ndim == 1 else m, "means")
        k, d = m.shape
        if len(w) != k:
            raise ParameterError(f"weights and means must agree; {len(w)} weights and {k} means came.")
        c = np.asarray(covariances, dtype=float)
        if d == 1 and c.size in (1, k):  # one column: variances in any shape
            c = c.reshape(s.covariances_shape(k, 1)) if c.size == np.prod(s.covariances_shape(k, 1)) else c
        c = check_covariances(c, "covariances", s, k, d)
        check_membership(c, "covariances", s, k, d)
        columns = Columns.plain(d, names)
        centre = w @ m
        reach = np.sqrt(parameters.variances(c, s, d)).max(axis=0) + np.abs(m - centre).max(axis=0)
        exponent = np.frexp(reach)[1].astype(np.int64)
        units = Units(centre, exponent)
        cov = unit_covariances(c, s, k, units)
        values = {"weights": w, "means": units.to(m), "covariance_type": s.name}
        if s.diagonal:
            values["variances"] = cov
        else:
            values["cholesky"] = np.linalg.cholesky(cov[0] if s.shared else cov)
        return cls._from_values(
            parameters.ordered(values), units, columns, n_components=k, covariance_type=s.name
        )

    # ---------------------------------------------------------------- what was asked for

    def _check(self) -> None:
        self._sizes()
        self._structures()
        if self.n_init is not None:
            whole_number(self.n_init, "n_init", least=1)
        real_number(self.tol, "tol", above=0.0)
        whole_number(self.max_iter, "max_iter", least=1)

    def _sizes(self) -> tuple[int, ...]:
        asked = self.n_components
        if isinstance(asked, str):
            if asked != "auto":
                raise ParameterError(
                    f"n_components must be a whole number >= 1, 'auto' or several numbers; got {asked!r}."
                )
            means = self.means_init if self.means_init is not None else self.weights_init
            return tuple(range(1, MOST_AUTO + 1)) if means is None else (len(np.atleast_1d(means)),)
        if isinstance(asked, Iterable):
            sizes = tuple(sorted({whole_number(k, "n_components", least=1) for k in asked}))
            if not sizes:
                raise ParameterError("n_components must name at least one number of components; it is empty.")
            return sizes
        return (whole_number(asked, "n_components", least=1),)

    def _structures(self, d: int | None = None) -> tuple[Structure, ...]:
        asked = self.covariance_type
        if isinstance(asked, str) and asked in ("auto", "all"):
            # In one column there are equal and unequal variances, and no shape or orientation.
            several = AUTO if asked == "auto" else STRUCTURES
            return tuple(structure(name) for name in (("full", "tied") if d == 1 else several))
        if isinstance(asked, str | Structure) or not isinstance(asked, Iterable):
            return (structure(asked),)
        found = tuple(dict.fromkeys(structure(name) for name in asked))
        if not found:
            raise ParameterError("covariance_type must name at least one structure; the list is empty.")
        return found

    @property
    def equivariance(self) -> str:  # type: ignore[override]
        """``"columns"``: every column's unit may change; ``"scalar"``: all units together (spherical, …)."""
        return "scalar" if any(s.in_data_units for s in self._structures()) else "columns"

    # ---------------------------------------------------------------- fit

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Outcome]:
        require_rows(data, 2, "A mixture of Gaussians")
        require_spread(data, "Leave it out (columns=, or drop it), or use from_params for a known spread.")
        structures, sizes = self._structures(data.d), self._sizes()
        automatic = len(structures) * len(sizes) > 1
        plan = Plan(
            structures,
            sizes,
            automatic,
            n_init=self.n_init or (N_INIT_AUTO if automatic else N_INIT),
            tol=float(self.tol),
            max_iter=int(self.max_iter),
        )
        given = (self.weights_init, self.means_init, self.covariances_init)
        start = None
        if any(value is not None for value in given):
            if len(sizes) > 1:
                raise ParameterError("Initial parameters need one number of components; give n_components.")
            start = given_start(*given, structures[0] if len(structures) == 1 else None, sizes[0], data.units)
        return fit_mixture(data, plan, rng, start)

    def _bytes(self, n: int, d: int) -> int:
        sizes, structures = self._sizes(), self._structures(d)
        rows, several = min(max(n, 1), SUBSAMPLE), len(sizes) * len(structures) > 1
        # The starts' states, which the search keeps below a set amount of work; then one batch of them.
        one = sum(n_features(d, s.diagonal) * (sum(sizes) if several else 3 * max(sizes)) for s in structures)
        starts = min(3 * (self.n_init or N_INIT), max(4, int(SCREEN_WORK / (24 * rows * one))))
        largest = max(n_features(d, s.diagonal) for s in structures) * max(sizes)
        search = starts * one + 16 * max(BATCH_ELEMENTS, largest)
        features = rows * sum(
            n_features(d, k) for k in {s.diagonal for s in structures} if d <= FEATURES_UP_TO
        )
        return 8 * (search + features + 4 * min(n * d, DISTINCT_ELEMENTS)) + min(8 * n * d, CACHE_BYTES)

    # ---------------------------------------------------------------- the distribution

    def _logs(self, params: Params, x: np.ndarray) -> np.ndarray:
        """Return log(w_k N(x_i; μ_k, Σ_k)), (K, n)."""
        with np.errstate(divide="ignore"):
            log_weight = np.log(params.weights)
        return component_logs(x, log_weight, params.means, parameters.factors(params))

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        # Beyond 1e154 standard deviations the logarithm itself leaves float64; the row is in the support.
        return np.maximum(log_sum_exp(self._logs(params, x)), -np.finfo(float).max)

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        k, d = params.means.shape
        label = rng.choice(k, size=n, p=params.weights)
        x = rng.standard_normal((n, d))
        factor = parameters.factors(params)
        if "variances" in params:
            return params.means[label] + x * factor[label, 0]
        for c in range(k):
            mine = label == c
            x[mine] = x[mine] @ (factor if factor.ndim == 2 else factor[c]).T
        return params.means[label] + x

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        parameters.check(values, d)

    def _marginal(self, params: Params, keep: list[int]) -> dict[str, Any]:
        return parameters.marginal(params, keep)

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> dict[str, Any]:
        return parameters.condition(params, given, z)

    def _mean(self, params: Params) -> np.ndarray:
        return np.asarray(params.weights @ params.means)

    def _covariance(self, params: Params) -> np.ndarray:
        """Within plus between components."""
        centred = params.means - params.weights @ params.means
        between = (centred * params.weights[:, None]).T @ centred
        own = self._own_covariances(params)
        return between + (own if own.ndim == 2 else np.einsum("k,kij->ij", params.weights, own))

    def _own_covariances(self, params: Params) -> np.ndarray:
        if "variances" in params:
            return params.variances[:, :, None] * np.eye(params.variances.shape[1])
        return np.asarray(params.cholesky @ np.swapaxes(params.cholesky, -1, -2))

    def _tail_logs(self, params: Params, x: np.ndarray, sign: float) -> np.ndarray:
        sd = parameters.factors(params)[..., 0, 0]
        z = (x - params.means) / (sd[:, None] if sd.ndim else sd)
        with np.errstate(divide="ignore"):
            return log_sum_exp(np.log(params.weights)[:, None] + log_ndtr(sign * z))

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_logs(params, x, 1.0)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_logs(params, x, -1.0)

    def _entropy(self, params: Params) -> float | None:
        if len(params.weights) > 1:
            return None
        factor, d = parameters.factors(params), params.means.shape[1]
        own = factor[0] if factor.ndim == 3 else factor
        log_det = np.log(own[0] if "variances" in params else np.diag(own)).sum()
        return float(0.5 * d * (1.0 + LOG_2PI) + log_det)

    def _n_parameters(self, params: Params) -> int:
        k, d = params.means.shape
        return structure(params.covariance_type).n_parameters(k, d)

    def _finest_scale(self, params: Params) -> np.ndarray:
        if "variances" in params:
            return np.asarray(np.sqrt(params.variances.min(axis=0)))
        own = slice_sd(params.cholesky)
        return own if own.ndim == 1 else own.min(axis=0)

    # ---------------------------------------------------------------- clusters and criteria

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the responsibilities: the probability of each component given each row, shape (n, K)."""
        params = self.params_
        x = rows_to_query(X, params.columns, who=type(self).__name__)
        with one_blas_thread():
            logs = self._logs(params, params.units.to(x))
            logs = np.maximum(logs, -np.finfo(float).max)  # where every logarithm leaves float64
            r = np.exp(logs - logs.max(axis=0))
            return np.ascontiguousarray((r / r.sum(axis=0)).T)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest component of each row, shape (n,)."""
        return self.predict_proba(X).argmax(axis=1)

    def bic(self, X: Any) -> float:
        """Return −2 log L + k log n for these rows; smaller is better (mclust prints the negative)."""
        log_p = self.log_density(X)
        return float(-2.0 * log_p.sum() + self.n_parameters_ * np.log(len(log_p)))

    def aic(self, X: Any) -> float:
        """Return −2 log L + 2 k for these rows; smaller is better."""
        return float(-2.0 * self.log_density(X).sum() + 2.0 * self.n_parameters_)

    # ---------------------------------------------------------------- the field's names, in data units

    @property
    def weights_(self) -> np.ndarray:
        """The weights (K,)."""
        return np.array(self.params_.weights)

    @property
    def means_(self) -> np.ndarray:
        """The means (K, d), data units."""
        return self.params_.units.back(self.params_.means)

    @property
    def covariances_(self) -> np.ndarray:
        """The covariances, data units, in scikit-learn's shape for ``covariance_type_``."""
        params = self.params_
        if "variances" not in params:
            return in_data_units(self._own_covariances(params), params.units, "covariances_")
        with np.errstate(over="ignore", under="ignore"):
            out = np.ldexp(params.variances, 2 * params.units.exponent)
        out = _representable(out, "covariances_")
        spheres = len(structure(params.covariance_type).covariances_shape(*out.shape)) == 1
        return out[:, 0] if spheres else out

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
