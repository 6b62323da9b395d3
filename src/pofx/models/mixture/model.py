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
from ...errors import NumericalError, ParameterError, UnsupportedError
from ...maths.gaussian import LOG_2PI, slice_sd
from ...threads import one_blas_thread
from ...validation import (
    Columns,
    check_memory,
    real_number,
    restore_exact,
    restore_filled,
    rng_from,
    row_errors,
    rows_to_query,
    whole_number,
)
from . import gaps, parameters
from . import noise as uniform
from .centred import component_logs, log_sum_exp
from .expanded import n_features
from .fit import fit_mixture
from .fitting import CACHE_BYTES, MOST_DISTINCT, SUBSAMPLE, Plan
from .given import (
    check_covariances,
    check_means,
    check_membership,
    check_weights,
    given_start,
    unit_covariances,
)
from .measurements import observed_logs, unit_errors
from .rows import CACHED_FEATURES
from .search import BATCH_ELEMENTS, SCREEN_WORK
from .structures import AUTO, STRUCTURES, Structure, structure

__all__ = ["GaussianMixture"]

ALL_UP_TO = 10  # columns up to which covariance_type="auto" compares all fourteen structures
MOST_AUTO = 9  # components that n_components="auto" tries
N_INIT, N_INIT_AUTO = 10, 5  # random starts per kind: for one candidate, and for each of many


class GaussianMixture(Density):
    """A mixture of Gaussians.

    Parameters
    ----------
    n_components : int, "auto" or iterable of int
        How many components, or among which numbers to choose by BIC; ``"auto"`` is 1 to 9.
    covariance_type : str, "auto", "all" or list of str
        What the components' covariances share: ``"full"`` (mclust's VVV), ``"tied"`` (EEE), ``"diag"``
        (VVI), ``"spherical"`` (VII), or another of mclust's fourteen: volume, shape and orientation Equal,
        Variable or Identity. A list to choose from by BIC, ``"auto"`` for those four, ``"all"`` for fourteen.
        EII, VII, EVE, VVE, EEV and VEV share something that depends on the columns' units: the data's own.
    n_init : int, optional
        Random starts of each kind, beside the hierarchical ones and those made from solutions found; 10 for
        one candidate, 5 for each of many by default.
    tol : float
        A run has converged when less than this is left to gain of the *total* log-likelihood (nats), by
        Aitken's extrapolation. The one that is chosen is then polished to the last digits.
    max_iter : int
        Passes over the rows of a final run, at most; and of its polish.
    noise : bool
        Whether a uniform density over the box of the rows' ranges is one more term of the mixture, for rows
        that belong to no group (mclust's noise component, whose region is that box or the one along the
        principal axes). A fit with noise is never below the one without, which is its special case.
    weights_init, means_init, covariances_init : array, optional
        Where to start, in data units and scikit-learn's shapes; EM then runs from there and nowhere else.
        With ``noise``, weights may add up to less than one: the rest is the noise's.
    random_state : None, int, Generator or RandomState
        Seeds the random starts; ``None`` is 0.
    missing : {"error", "drop", "marginal"}
        ``"marginal"`` is maximum likelihood for rows with missing entries, by exact EM: right where what is
        missing may depend on what is observed, but not on the missing value itself (missing at random).
        Incomplete rows then have the log density of what is observed of them; rows without any entry (log
        density 0) are left out of the fit and of n in BIC. :meth:`impute` fills gaps in.
    weight_kind
        See :class:`pofx.core.density.Density`.

    Attributes
    ----------
    weights_ : ndarray (K,)
    means_ : ndarray (K, d)
        Components are in the order of their means (first column, then second, …).
    covariances_ : ndarray
        scikit-learn's shapes: (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical; the others have
        one entry per component: (K,) for EII, (K, d) for those that end in I, (K, d, d) for the rest.
    n_components_, covariance_type_ : int, str
        What was chosen.
    noise_weight_, noise_box_ : float, (ndarray (d,), ndarray (d,))
        The noise's weight, beside which ``weights_`` add up to one, and the corners of its box.

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
    Ghahramani and Jordan (1994), NIPS 6:120 (missing values).
    McLachlan and Peel (2000), Finite Mixture Models. Celeux and Govaert (1995), Pattern Recognition 28:781.
    """

    rank: ClassVar[int] = 2
    takes_missing: ClassVar[bool] = True

    def __init__(
        self,
        n_components: int | str | Iterable[int] = "auto",
        *,
        covariance_type: str | Iterable[str] = "auto",
        n_init: int | None = None,
        tol: float = 1e-5,
        max_iter: int = 1000,
        noise: bool = False,
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
        self.noise = noise
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
        covariance_type: str = "full",
        noise_box: Any = None,
        names: Any = None,
    ) -> Self:
        """Return a known mixture.

        Parameters
        ----------
        weights : array (K,)
            Positive, summing to one; with ``noise_box``, to less: the rest is the noise's.
        means : array (K, d), or (K,) in one dimension
        covariances : array
            In scikit-learn's shape for ``covariance_type``; in one dimension (K,) is enough.
        covariance_type : str
        noise_box : (low, high), optional
            Where uniform noise lies: a number for all columns, or one for each (d,).
        names : sequence of str, optional
            Column names.

        Raises
        ------
        ParameterError
            Naming the component that is wrong.
        """
        s = structure(covariance_type)
        noisy = noise_box is not None
        w = check_weights(weights, "weights", noise=noisy)
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
        centre, sd = w @ m, np.sqrt(parameters.variances(c, s, d)).max(axis=0)
        units = Units(centre, np.frexp(sd + np.abs(m - centre).max(axis=0))[1].astype(np.int64))
        if noisy:  # units in which the corners are exact, as those of fitted rows are
            low, high = uniform.box_of(noise_box, d)
            ends = np.minimum(low, m.min(axis=0) - sd), np.maximum(high, m.max(axis=0) + sd)
            units = Units.for_range(low, *ends)
        cov = unit_covariances(c, s, k, units)
        values = {"weights": w, "means": units.to(m), "covariance_type": s.name}
        if s.diagonal:
            values["variances"] = cov
        else:
            values["cholesky"] = np.linalg.cholesky(cov[0] if s.shared else cov)
        hyper = {"n_components": k, "covariance_type": s.name}
        if noisy:
            left = max(1.0 - float(w.sum()), 0.0)
            values |= {"noise_weight": left, "noise_low": units.to(low), "noise_high": units.to(high)}
            hyper["noise"] = True
        return cls._from_values(parameters.ordered(values), units, columns, **hyper)

    # ---------------------------------------------------------------- what was asked for

    def _check(self) -> None:
        self._sizes()
        self._structures()
        if self.n_init is not None:
            whole_number(self.n_init, "n_init", least=1)
        real_number(self.tol, "tol", above=0.0)
        whole_number(self.max_iter, "max_iter", least=1)
        if not isinstance(self.noise, bool | np.bool_):
            raise ParameterError(f"noise must be True or False; got {self.noise!r:.80}.")

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
            several = AUTO if asked == "auto" and d is not None and d > ALL_UP_TO else STRUCTURES
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

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None, errors: Any = None) -> Self:
        """Estimate the distribution of the rows, or of what they are measurements of.

        Parameters
        ----------
        X : array (n, d) or (n,), DataFrame, Table or Blocks
            The rows. A 1-D array or Series is one column.
        y : ignored
            For scikit-learn's pipelines.
        sample_weight : array of shape (n,), optional
            Weights of the rows; see ``weight_kind``.
        errors : array, optional
            Known Gaussian errors that each row was measured with, in the columns' units: standard deviations
            (n, d), (d,) the same for all rows, (n,) in one column; or covariances (n, d, d), (1, d, d) the
            same for all. The model is then the density of the truth, as it was before the errors were added
            (extreme deconvolution); :meth:`log_density_observed` is that of rows with errors, and its sum is
            what is maximised (``fit_.trace``). Rows are kept in memory.

        Returns
        -------
        self
            With ``params_`` and ``fit_``. A fit that fails or is interrupted leaves the model as it was.

        Raises
        ------
        DataError, WeightError, DegenerateError, ParameterError, MemoryLimitError

        Notes
        -----
        With errors, a component counts as regular where its smallest eigenvalue, columns divided by the
        standard deviations of the truth (their variance less the mean error's, at least a hundredth of it),
        is at least 1e-4; or whatever it is, where every row's error is as wide as that: the likelihood is
        bounded then, and a component of no width at all may be the truth.

        References
        ----------
        Bovy, Hogg and Roweis (2011), Ann. Appl. Stat. 5:1657.
        """
        return self._fit_rows(X, sample_weight, errors)

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Outcome]:
        require_rows(data, 2, "A mixture of Gaussians")
        require_spread(data, "Leave it out (columns=, or drop it), or use from_params for a known spread.")
        structures, sizes = self._structures(data.d), self._sizes()
        automatic = len(structures) * len(sizes) > 1
        if not data.complete and (self.noise or data.errors is not None):
            raise ParameterError(
                f"{'noise=True' if self.noise else 'errors'} and missing values do not go together yet: use "
                "missing='drop', or leave one of them out."
            )
        if self.noise and data.errors is not None:
            raise ParameterError("noise=True and errors do not go together yet; leave one of them out.")
        plan = Plan(
            structures,
            sizes,
            automatic,
            n_init=self.n_init or (N_INIT_AUTO if automatic else N_INIT),
            tol=float(self.tol),
            max_iter=int(self.max_iter),
            leading=tuple(map(structure, AUTO)) if self.covariance_type == "auto" else (),
            noise=bool(self.noise),
        )
        given = (self.weights_init, self.means_init, self.covariances_init)
        start = None
        if any(value is not None for value in given):
            if len(sizes) > 1:
                raise ParameterError("Initial parameters need one number of components; give n_components.")
            one = structures[0] if len(structures) == 1 else None
            start = given_start(*given, one, sizes[0], data.units, noise=plan.noise)
        return fit_mixture(data, plan, rng, start)

    def _bytes(self, n: int, d: int) -> int:
        sizes, structures = self._sizes(), self._structures(d)
        rows, several = min(max(n, 1), SUBSAMPLE), len(sizes) * len(structures) > 1
        # The starts' states, which the search keeps below a set amount of work; then one batch of them.
        one = sum(n_features(d, s.diagonal) * (sum(sizes) if several else 3 * max(sizes)) for s in structures)
        starts = min(3 * (self.n_init or N_INIT), max(4, int(SCREEN_WORK / (24 * rows * one))))
        largest = max(n_features(d, s.diagonal) for s in structures) * max(sizes)
        search = starts * one + 16 * max(BATCH_ELEMENTS, largest)
        features = sum(
            min(rows * n_features(d, k), CACHED_FEATURES) for k in {s.diagonal for s in structures}
        )
        distinct = 8 * d * min(n, max(MOST_DISTINCT, max(sizes) * (d + 1)))
        return 8 * (search + features + distinct) + min(8 * n * (d + 1), CACHE_BYTES)

    def fit_predict(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> np.ndarray:
        """Return the likeliest component of each row that is fitted: ``fit(X).predict(X)``, shape (n,)."""
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    # ---------------------------------------------------------------- the distribution

    def _logs(self, params: Params, x: np.ndarray) -> np.ndarray:
        """Return log(w_k N(x_i; μ_k, Σ_k)), (K, n); of what is observed of a row.

        With noise, log(w_0 / |B|) in the box is the last row.
        """
        if np.isnan(x).any():
            logs = gaps.logs(params, x)
            return np.vstack([logs, uniform.logs(params, x)]) if uniform.has_noise(params) else logs
        with np.errstate(divide="ignore"):
            log_weight = np.log(params.weights)
        logs = component_logs(x, log_weight, params.means, parameters.factors(params))
        return np.vstack([logs, uniform.logs(params, x)]) if uniform.has_noise(params) else logs

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        # Beyond 1e154 standard deviations the logarithm itself leaves float64; the row is in the support.
        log_p = np.maximum(log_sum_exp(self._logs(params, x)), -np.finfo(float).max)
        return np.where(np.isnan(x).all(axis=1), 0.0, log_p)  # nothing observed: the density is 1

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        if uniform.has_noise(params):
            return self._draw_with_noise(params, n, rng)
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

    def _draw_with_noise(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        noise = rng.random(n) < params.noise_weight
        out = np.empty((n, params.means.shape[1]))
        out[noise] = uniform.draw(params, int(noise.sum()), rng)
        if not noise.all():
            others = {k: v for k, v in params.items() if not k.startswith("noise")}
            others["weights"] = params.weights / params.weights.sum()
            rest = Params(others, params.units, params.columns)
            out[~noise] = self._draw(rest, int((~noise).sum()), rng)
        return out

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        parameters.check(values, d)

    def _marginal(self, params: Params, keep: list[int]) -> dict[str, Any]:
        return parameters.marginal(params, keep)

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> dict[str, Any]:
        return parameters.condition(params, given, z)

    def _mean(self, params: Params) -> np.ndarray:
        mean = np.asarray(params.weights @ params.means)
        if uniform.has_noise(params):
            mean += uniform.weight(params) * uniform.moments(params)[0]
        return mean

    def _covariance(self, params: Params) -> np.ndarray:
        """Within plus between components."""
        mean = self._mean(params)
        centred = params.means - mean
        between = (centred * params.weights[:, None]).T @ centred
        own = self._own_covariances(params)
        if not uniform.has_noise(params):
            return between + (own if own.ndim == 2 else np.einsum("k,kij->ij", params.weights, own))
        own = np.broadcast_to(own, (len(params.weights), *own.shape[-2:]))
        centre, variances = uniform.moments(params)
        gap, w = centre - mean, uniform.weight(params)
        return (
            between
            + np.einsum("k,kij->ij", params.weights, own)
            + w * (np.outer(gap, gap) + np.diag(variances))
        )

    def _own_covariances(self, params: Params) -> np.ndarray:
        if "variances" in params:
            return params.variances[:, :, None] * np.eye(params.variances.shape[1])
        return np.asarray(params.cholesky @ np.swapaxes(params.cholesky, -1, -2))

    def _tail_logs(self, params: Params, x: np.ndarray, sign: float) -> np.ndarray:
        sd = parameters.factors(params)[..., 0, 0]
        z = (x - params.means) / (sd[:, None] if sd.ndim else sd)
        with np.errstate(divide="ignore"):
            logs = np.log(params.weights)[:, None] + log_ndtr(sign * z)
        if uniform.has_noise(params):
            logs = np.vstack([logs, uniform.tail_logs(params, x, sign)])
        return log_sum_exp(logs)

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_logs(params, x, 1.0)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_logs(params, x, -1.0)

    def _entropy(self, params: Params) -> float | None:
        if len(params.weights) > 1 or uniform.has_noise(params):
            return None
        factor, d = parameters.factors(params), params.means.shape[1]
        own = factor[0] if factor.ndim == 3 else factor
        log_det = np.log(own[0] if "variances" in params else np.diag(own)).sum()
        return float(0.5 * d * (1.0 + LOG_2PI) + log_det)

    def _n_parameters(self, params: Params) -> int:
        k, d = params.means.shape
        # The noise's weight is one more. Its box is the range of the rows whatever the fit, not chosen by the
        # likelihood, so it is none; mclust counts it as another one.
        return structure(params.covariance_type).n_parameters(k, d) + uniform.has_noise(params)

    def _finest_scale(self, params: Params) -> np.ndarray:
        if "variances" in params:
            return np.asarray(np.sqrt(params.variances.min(axis=0)))
        own = slice_sd(params.cholesky)
        return own if own.ndim == 1 else own.min(axis=0)

    # ---------------------------------------------------------------- missing values

    def impute(
        self, X: Any, *, draws: int | None = None, random_state: Any = None, exact: bool = False
    ) -> Any:
        """Return the rows with their missing entries filled in, given what is observed of each.

        Parameters
        ----------
        X : rows, as for ``fit``, with NaN (None, NA) where an entry is missing
            Any fitted mixture can do this, whatever its ``missing``.
        draws : int, optional
            By default an entry gets its conditional mean E[x_m | x_o]: the best guess, but without spread, so
            that variances and correlations of the filled rows are too sure. ``draws=m`` gives m data sets
            drawn from p(x_m | x_o) (multiple imputations at these parameters): analyse each, then compare.
        random_state : None, int, Generator or RandomState
            For the draws. A row's draws do not depend on what other rows lack.
        exact : bool
            By default entries that are filled in have the recorded precision and dtype of the training data,
            as in ``sample``; ``exact=True`` leaves them continuous, every column float64.

        Returns
        -------
        rows in the container of the training data
            Observed entries are unchanged, to the last bit. With ``draws=m``: an array (m, n, d), or (m, n)
            where the training rows were 1-D; for frames and tables a list of m.

        Raises
        ------
        DataError
            For infinities and columns that do not match.
        """
        params = self.params_
        if uniform.has_noise(params):
            raise UnsupportedError("impute is for mixtures without noise.")
        x = rows_to_query(X, params.columns, who=type(self).__name__, missing="marginal")
        m = 0 if draws is None else whole_number(draws, "draws", least=1)
        check_memory(8 * (m + 1) * 6 * x.size, f"Filling in {len(x):,} rows {m + 1} times")
        known, z, rng = ~np.isnan(x), params.units.to(x), rng_from(random_state)

        def given_back(z: np.ndarray) -> Any:
            rows = np.where(known, x, params.units.back(z))
            out = (
                restore_exact(rows, params.columns) if exact else restore_filled(rows, known, params.columns)
            )
            if params.columns.container == "pandas" and isinstance(X, type(out)):
                out.index = X.index
            return out

        with one_blas_thread():
            if draws is None:
                return given_back(gaps.completed(params, z))
            several = [given_back(one) for one in gaps.drawn(params, z, m, rng)]
        return np.stack(several) if isinstance(several[0], np.ndarray) else several

    # ---------------------------------------------------------------- rows with errors

    def log_density_observed(self, X: Any, errors: Any) -> np.ndarray:
        """Return the log density of rows measured with known errors: of the truth plus Gaussian noise.

        Parameters
        ----------
        X : rows, as for ``log_density``
        errors : array
            As in :meth:`fit`.

        Returns
        -------
        ndarray of float64, shape (n,)
            Nats. With errors of zero, ``log_density(X)``.
        """
        params = self.params_
        if uniform.has_noise(params):
            raise UnsupportedError("log_density_observed is for mixtures without noise.")
        x = rows_to_query(X, params.columns, who=type(self).__name__)
        e = unit_errors(row_errors(errors, len(x), x.shape[1]), params.units)
        with one_blas_thread():
            log_p = observed_logs(params, self._own_covariances(params), params.units.to(x), e)
        return np.maximum(log_p, -np.finfo(float).max) + params.units.log_jacobian

    # ---------------------------------------------------------------- clusters and criteria

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the responsibilities: the probability of each component given each row, shape (n, K).

        With ``noise=True`` the noise is the last column, of K + 1.
        """
        params = self.params_
        x = self._query(X)
        with one_blas_thread():
            logs = self._logs(params, params.units.to(x))
            logs = np.maximum(logs, -np.finfo(float).max)  # where every logarithm leaves float64
            r = np.exp(logs - logs.max(axis=0))
            return np.ascontiguousarray((r / r.sum(axis=0)).T)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest component of each row, shape (n,); −1 where that is the noise."""
        label = self.predict_proba(X).argmax(axis=1)
        return np.where(label == self.n_components_, -1, label)

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
        if "variances" not in params:
            return in_data_units(self._own_covariances(params), params.units, "covariances_")
        with np.errstate(over="ignore", under="ignore"):
            out = np.ldexp(params.variances, 2 * params.units.exponent)
        if not np.isfinite(out).all():
            raise NumericalError("covariances_ is beyond float64 in the data's units; rescale the columns.")
        spheres = len(structure(params.covariance_type).covariances_shape(*out.shape)) == 1
        return out[:, 0] if spheres else out

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
