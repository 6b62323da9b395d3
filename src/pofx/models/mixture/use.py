"""What else a mixture answers: its fit step by step, clusters, criteria, a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...core.density import Density
from ...core.fold import Data, block_rows, survey
from ...core.modes import Modes
from ...core.params import Params
from ...errors import DataError, ParameterError, UnsupportedError
from ...threads import map_ordered, one_blas_thread
from ...validation import (
    check_memory,
    one_of,
    real_number,
    restore,
    restore_exact,
    rng_from,
    row_weights,
    rows_to_query,
    whole_number,
)
from .clusters import Clusters, merge_by_entropy
from .criteria import odds_against
from .feasible import possible_sizes, possible_structures
from .fill import filled
from .fitting import Fitting, Plan
from .modes import find_modes
from .partition import Partition
from .prior import given_prior
from .ratio_test import RatioTest, RatioTests, ratio_test
from .standard_errors import KINDS, StandardErrors, bootstrap
from .steps import EStep, MStep, em_steps, first_state
from .structures import Structure
from .summary import Summary, summarise

__all__ = ["Use"]

FAR = -np.finfo(float).max  # where every logarithm leaves float64


class Use(Density):
    """Methods of :class:`pofx.GaussianMixture` beyond the contract."""

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

    def _structures(self, d: int | None = None) -> tuple[Structure, ...]:
        """Return the structures that are asked for."""
        raise NotImplementedError

    def _plan(self, data: Data) -> Plan:
        """Return what is asked for."""
        raise NotImplementedError

    def _start(
        self, data: Data, structures: tuple[Structure, ...], sizes: tuple[int, ...]
    ) -> dict[str, np.ndarray] | Partition | None:
        """Return where EM is told to start, if it is."""
        raise NotImplementedError

    # ---------------------------------------------------------------- the fit, step by step

    def steps(self, X: Any, *, sample_weight: Any = None) -> Iterator[EStep | MStep]:
        """Yield the steps of EM one by one: M (the start), E, M, E, …, M; the model itself is not fitted.

        Plain EM, without the search for the best start, the acceleration and the last polish of ``fit``. It
        starts from the given initial parameters, labels or responsibilities, or else from one draw of
        k-means++ seeds, and ends when less than ``tol`` nats are left to gain, or after ``max_iter`` passes.

        Parameters
        ----------
        X, sample_weight
            As for ``fit``. Beyond the rows, one state of the mixture and one record are held; up to 20,000
            rows a record shows their responsibilities.

        Yields
        ------
        MStep or EStep
            ``kind`` is "M" or "E". Log-likelihoods never fall. ``GaussianMixture.from_params(m.weights,
            m.means, m.covariances, covariance_type=...)`` is the mixture of a record m.

        Raises
        ------
        ParameterError
            Where several numbers of components or structures are asked for.
        """
        self._check()
        self._refuse_prior("steps")
        rng = rng_from(self._seed())
        with one_blas_thread():
            data = survey(X, sample_weight, missing=self.missing, weight_kind=self.weight_kind)
            plan = self._plan(data)
            if plan.automatic:
                raise ParameterError(
                    "steps shows one mixture: give one n_components and one covariance_type; got "
                    f"n_components={list(plan.sizes)}, covariance_type={[s.name for s in plan.structures]}."
                )
            fitting = Fitting(data, plan, rng)
            s, k = possible_structures(fitting)[0], possible_sizes(fitting)[0]
            state = first_state(fitting, s, k, self._start(data, plan.structures, plan.sizes))
        return em_steps(fitting, s, state)

    # ---------------------------------------------------------------- clusters

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the responsibilities: the probability of each component given each row, shape (n, K)."""
        params = self.params_
        x = self._query(X)
        with one_blas_thread():
            logs = self._logs(params, params.units.to(x))
            logs = np.maximum(logs, FAR)
            r = np.exp(logs - logs.max(axis=0))
            return np.ascontiguousarray((r / r.sum(axis=0)).T)

    def predict(self, X: Any) -> np.ndarray:
        """Return the likeliest component of each row, shape (n,)."""
        return self.predict_proba(X).argmax(axis=1)

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
        return merge_by_entropy(self.predict_proba(X))

    def modes(self) -> Modes:
        """Return the local maxima of the density, densest first, in data units.

        Climbs start from every mean and from between every two (Li, Ray and Lindsay 2007); there may be
        fewer modes than components, and in several columns more. ``shares`` are the weights of the
        components whose means climb to each mode.
        """
        params = self.params_
        with one_blas_thread():
            return find_modes(params)

    def sample(
        self, n: int = 1, *, random_state: Any = None, exact: bool = False, return_labels: bool = False
    ) -> Any:
        """Draw n independent rows.

        Parameters
        ----------
        n, random_state, exact
            See :meth:`pofx.core.density.Density.sample`.
        return_labels : bool
            Return ``(rows, labels)``: also the component that each row was drawn from, shape (n,). The rows
            are those of the same seed without labels.
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
        x = rows_to_query(X, params.columns, who=type(self).__name__, missing="marginal")
        m = None if draws is None else whole_number(draws, "draws", least=1)
        return filled(params, X, x, draws=m, rng=rng_from(random_state), exact=exact)

    # ---------------------------------------------------------------- uncertainty

    def standard_errors(
        self,
        X: Any,
        *,
        sample_weight: Any = None,
        n_boot: int = 200,
        kind: str = "nonparametric",
        random_state: Any = 0,
    ) -> StandardErrors:
        """Return the standard errors of weights, means and covariances, by the bootstrap.

        EM starts from the fitted parameters in every replicate, so that components keep their places. What
        is not covered: that another sample could have led to another structure or number of components.

        Parameters
        ----------
        X, sample_weight
            The rows of the fit.
        n_boot : int
            Replicates. The standard errors are themselves off by about 1 in the root of 2 n_boot.
        kind : {"nonparametric", "weighted likelihood"}
            Rows drawn with replacement, or random weights, which keep every row (O'Hagan et al. 2019).
        random_state : None, int, Generator or RandomState

        Raises
        ------
        DegenerateError
            Where components shrink onto few rows in nearly all replicates.
        """
        params = self.params_
        one_of(kind, "kind", KINDS)
        n_boot = whole_number(n_boot, "n_boot", least=2)
        z, w = self._rows(X, sample_weight)
        with one_blas_thread():
            prior, rng = given_prior(self.prior), rng_from(random_state)
            return bootstrap(params, z, w, kind=kind, n_boot=n_boot, rng=rng, prior=prior)

    def _refuse_prior(self, what: str) -> None:
        if given_prior(self.prior) is not None:
            raise UnsupportedError(f"{what} is of maximum likelihood; leave out prior=.")

    def bootstrap_lrt(
        self,
        X: Any,
        *,
        sample_weight: Any = None,
        n_components: int | None = None,
        max_components: int = 9,
        n_boot: int = 99,
        level: float = 0.05,
        random_state: Any = 0,
    ) -> RatioTests:
        """Test how many components there are: K against K + 1, for K = 1, 2, … until not rejected.

        The likelihood ratio's distribution is simulated by samples of the mixture fitted with K (McLachlan
        1987; mclust's ``mclustBootstrapLRT``). The model itself is not fitted; its ``covariance_type`` and
        search are used.

        Parameters
        ----------
        X, sample_weight
            As for ``fit``.
        n_components : int, optional
            Test this K alone.
        max_components : int
            The largest K that is tested.
        n_boot : int
            Samples drawn for each K: p values are multiples of 1 / (n_boot + 1).
        level : float
            Up to which p value K components are rejected.

        Raises
        ------
        ParameterError
            Where several structures are asked for.
        """
        self._refuse_prior("bootstrap_lrt")
        names = [s.name for s in self._structures()]
        if len(names) > 1:
            raise ParameterError(
                f"bootstrap_lrt needs one covariance_type, such as covariance_type='full'; got {names}."
            )
        n_boot = whole_number(n_boot, "n_boot", least=1)
        level = real_number(level, "level", above=0.0, below=1.0)
        rng = np.random.default_rng(rng_from(random_state).integers(0, 2**63, 4))
        if n_components is not None:
            sizes = [whole_number(n_components, "n_components", least=1)]
        else:
            sizes = list(range(1, 1 + whole_number(max_components, "max_components", least=1)))
        none = dict.fromkeys(("weights_init", "means_init", "covariances_init"))
        none |= dict.fromkeys(("labels_init", "responsibilities_init"))
        tests: list[RatioTest] = []
        for k in sizes:
            lower = type(self)(**{**self.get_params(deep=False), **none, "n_components": k})
            lower.fit(X, sample_weight=sample_weight)
            z, w = lower._rows(X, sample_weight)
            params = lower.params_
            with one_blas_thread():
                test = ratio_test(params, partial(lower._draw, params), z, w, n_boot=n_boot, rng=rng)
            tests.append(test)
            if test.p_value > level:
                break
        rejected = tests[-1].p_value <= level
        return RatioTests(names[0], level, tuple(tests), tests[-1].n_components + int(rejected))

    def _rows(self, X: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return rows in unit space and their weights, those of weight zero left out."""
        params = self.params_
        x = rows_to_query(X, params.columns, who=type(self).__name__)
        w = row_weights(sample_weight, len(x), weight_kind=self.weight_kind)
        w = np.ones(len(x)) if w is None else w
        if len(w) < 2:
            raise DataError(f"At least 2 rows are needed; {len(w)} came.")
        return params.units.to(x[w > 0]), w[w > 0]

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
