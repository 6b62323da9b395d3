"""A mixture of Gaussians, fitted by maximum likelihood.

    p(x) = Σ_k w_k N(x; μ_k, Σ_k),   w_k > 0,  Σ_k w_k = 1

The number of components and the structure of the covariances are chosen by BIC = −2 log L + k log n
(smaller is better; mclust prints the negative), or given. The EM algorithm is in ``em.py``, the search for
the best optimum in ``search.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self, cast

import numpy as np
from scipy.special import log_ndtr

from ...core.estimator import unfitted
from ...core.fitting import Fit, Outcome
from ...core.fold import Data, require_rows, require_spread
from ...core.params import Params
from ...core.units import Units
from ...errors import ParameterError
from ...maths.gaussian import LOG_2PI, slice_sd
from ...validation import Columns, real_number, whole_number
from . import gaps, parameters
from . import noise as uniform
from .again import climbed
from .centred import component_logs, log_sum_exp
from .expanded import n_features
from .fit import fit_mixture
from .fitting import CACHE_BYTES, MOST_DISTINCT, SUBSAMPLE, Plan
from .given import (
    check_covariances,
    check_means,
    check_membership,
    check_weights,
    unit_covariances,
)
from .map_fit import fit_posterior
from .partition import Partition, given_first, partition_size
from .prior import conjugate, given_prior
from .rows import CACHED_FEATURES
from .search import BATCH_ELEMENTS, SCREEN_WORK
from .stream import after_batch
from .structures import AUTO, STRUCTURES, Structure, structure
from .use import Use

__all__ = ["GaussianMixture"]

ALL_UP_TO = 10  # columns up to which covariance_type="auto" compares all fourteen structures
MOST_AUTO = 9  # components that n_components="auto" tries
WITHIN_REACH = 10.0  # times √n: BIC behind the best on all rows, beyond which no part of them prefers it
REFIT_TOL = 1e-3  # nats that a refit in a bootstrap may leave: nothing beside what a sample's error costs
N_INIT, N_INIT_AUTO = 10, 5  # random starts per kind: for one candidate, and for each of many


class GaussianMixture(Use):
    """A mixture of Gaussians.

    Parameters
    ----------
    n_components : int, "auto" or iterable of int
        How many components, or among which numbers to choose by BIC; ``"auto"`` is 1 to 9.
    covariance_type : str or object, "auto", "all" or list of them
        What the components' covariances share: ``"full"`` (mclust's VVV), ``"tied"`` (EEE), ``"diag"``
        (VVI), ``"spherical"`` (VII), or another of mclust's fourteen: volume, shape and orientation Equal,
        Variable or Identity. A list to choose from by BIC; ``"all"`` fits the fourteen, ``"auto"`` looks for
        the best of them (of those four in more than ten columns) and leaves out what cannot be the best.
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
    noise : bool
        Whether a uniform density over the box of the rows' ranges is one more term of the mixture, for rows
        that belong to no group (mclust's noise component, whose region is that box or the one along the
        principal axes). A fit with noise is never below the one without, which is its special case.
    weights_init, means_init, covariances_init : array, optional
        Where to start, in data units and scikit-learn's shapes; EM then runs from there and nowhere else.
        With ``noise``, weights may add up to less than one: the rest is the noise's.
    labels_init, responsibilities_init : array (n,) or (n, K), optional
        Where to start: the component of every row of X, from 0, or its share in each. EM begins with the
        M-step (mclust's ``me(z=)``) and runs from there and nowhere else.
    prior : None, True or mapping, optional
        A conjugate prior on means and covariances, which keeps components from shrinking onto few rows: the
        fit is then the mode of the posterior, as mclust's ``priorControl``. ``True`` for its defaults, or
        ``{"shrinkage": 0.01, "mean": ..., "dof": ..., "scale": ...}``, data units
        (:mod:`pofx.models.mixture.prior`). For EII, VII, EEI, VVI, EEE and VVV, which ``"all"`` then means.
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
    loadings_, uniquenesses_ : ndarray (K, d, q), (K, d)
        Of ``"factors-q"``: every covariance is Λ Λᵀ + diag(ψ).
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
        covariance_type: str | Structure | Iterable[str | Structure] = "auto",
        n_init: int | None = None,
        tol: float = 1e-5,
        max_iter: int = 1000,
        noise: bool = False,
        weights_init: Any = None,
        means_init: Any = None,
        covariances_init: Any = None,
        labels_init: Any = None,
        responsibilities_init: Any = None,
        prior: Any = None,
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
        self.labels_init = labels_init
        self.responsibilities_init = responsibilities_init
        self.prior = prior
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
        given_prior(self.prior)
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
            parts = partition_size(self.labels_init, self.responsibilities_init)
            if means is None:
                return tuple(range(1, MOST_AUTO + 1)) if parts is None else (parts,)
            return (len(np.atleast_1d(means)),)
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
            found = tuple(structure(name) for name in (("full", "tied") if d == 1 else several))
            return found if given_prior(self.prior) is None else conjugate(found)
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
        plan, prior = self._plan(data), given_prior(self.prior)
        start = self._start(data, plan.structures, plan.sizes)
        if prior is not None:
            return fit_posterior(data, plan, rng, start, prior)
        return fit_mixture(data, plan, rng, start)

    def _plan(self, data: Data) -> Plan:
        """Return what is asked for, of rows that allow a mixture at all."""
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
        if given_prior(self.prior) is not None and (self.noise or data.errors is not None):
            other = "noise=True" if self.noise else "errors"
            raise ParameterError(f"prior and {other} do not go together yet; leave one of them out.")
        return Plan(
            structures,
            sizes,
            automatic,
            n_init=self.n_init or (N_INIT_AUTO if automatic else N_INIT),
            tol=float(self.tol),
            max_iter=int(self.max_iter),
            leading=tuple(map(structure, AUTO)) if self.covariance_type == "auto" else (),
            noise=bool(self.noise),
        )

    @property
    def searches(self) -> bool:
        """Whether a fit compares many structures."""
        return self.covariance_type in ("auto", "all") and self.labels_init is None

    def _narrowed(self) -> Self | None:
        table = [row for row in self.fit_.search or () if row["bic"] is not None and row["regular"]]
        if not table:
            return None
        # A part of the rows changes the difference of two BICs by about √n times the standard deviation of a
        # row's share in it, which is below one nat for candidates that are close at all.
        reach = min(row["bic"] for row in table) + WITHIN_REACH * self.fit_.effective_n**0.5
        near = [row for row in table if row["bic"] <= reach]
        clone = unfitted(self).set_params(
            n_components=sorted({row["n_components"] for row in near}),
            covariance_type=sorted({row["covariance_type"] for row in near}),
        )
        return cast("Self", clone)

    @property
    def parametric(self) -> bool:
        """Whether the fitted mixture is plain maximum likelihood: without noise, prior and factors."""
        plain = not self.noise and self.prior is None
        return plain and not structure(self.params_.covariance_type).name.startswith("factors")

    def _refitted(self, x: np.ndarray) -> Self:
        params = self.params_
        values = climbed(params, params.units.to(x), tol=REFIT_TOL, max_iter=int(self.max_iter))
        again = unfitted(self)
        again._adopt(Params(values, params.units, params.columns), Fit.given())
        return cast("Self", again)

    def _start(
        self, data: Data, structures: tuple[Structure, ...], sizes: tuple[int, ...]
    ) -> dict[str, np.ndarray] | Partition | None:
        """Return where EM is told to start, if it is."""
        given = (self.weights_init, self.means_init, self.covariances_init)
        members = (self.labels_init, self.responsibilities_init)
        return given_first(given, members, data, structures, sizes, noise=bool(self.noise))

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

    def partial_fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Go on with another batch of rows: stepwise EM, for streams (Cappé and Moulines 2009).

        The first call is ``fit``: it chooses the structure and the number of components, and the units. Every
        later one moves the parameters towards those that its rows ask for, less and less. For data that can
        be read more than once, ``fit`` with ``Blocks`` finds the optimum itself.

        Parameters
        ----------
        X : rows, as for ``fit``
            At least one.
        y : ignored
        sample_weight : array of shape (n,), optional

        Returns
        -------
        self
        """
        if "params_" not in self.__dict__:
            return self.fit(X, sample_weight=sample_weight)
        self._adopt(*after_batch(self, X, sample_weight))
        return self

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

    def _draw_labelled(
        self, params: Params, n: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return n rows (unit space) and the component that each was drawn from; −1 is the noise."""
        if uniform.has_noise(params):
            return self._draw_with_noise(params, n, rng)
        k, d = params.means.shape
        label = rng.choice(k, size=n, p=params.weights)
        x = rng.standard_normal((n, d))
        factor = parameters.factors(params)
        if "variances" in params:
            return params.means[label] + x * factor[label, 0], label
        for c in range(k):
            mine = label == c
            x[mine] = x[mine] @ (factor if factor.ndim == 2 else factor[c]).T
        return params.means[label] + x, label

    def _draw_with_noise(
        self, params: Params, n: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        noise = rng.random(n) < params.noise_weight
        out, label = np.empty((n, params.means.shape[1])), np.full(n, -1)
        out[noise] = uniform.draw(params, int(noise.sum()), rng)
        if not noise.all():
            others = {k: v for k, v in params.items() if not k.startswith("noise")}
            others["weights"] = params.weights / params.weights.sum()
            rest = Params(others, params.units, params.columns)
            out[~noise], label[~noise] = self._draw_labelled(rest, int((~noise).sum()), rng)
        return out, label

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

    def _gaussian_parts(self, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        if uniform.has_noise(params):
            return None
        own = self._own_covariances(params)
        return params.weights, params.means, own if own.ndim == 3 else own[None, :, :]

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
