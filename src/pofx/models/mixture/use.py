"""What else a mixture does with rows: its fit step by step, standard errors, tests, gaps and known errors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ...core.fold import Data, survey
from ...errors import DataError, ParameterError, UnsupportedError
from ...threads import one_blas_thread
from ...validation import (
    one_of,
    real_number,
    rng_from,
    row_errors,
    row_weights,
    rows_to_query,
    whole_number,
)
from .answers import FAR, Answers
from .feasible import possible_sizes, possible_structures
from .fill import filled
from .fitting import Fitting, Plan
from .measurements import observed_logs, unit_errors
from .partition import Partition
from .prior import given_prior
from .ratio_test import RatioTest, RatioTests, ratio_test
from .standard_errors import KINDS, StandardErrors, bootstrap
from .steps import EStep, MStep, em_steps, first_state
from .structures import Structure

__all__ = ["Use"]


class Use(Answers):
    """Methods of :class:`pofx.GaussianMixture` that take rows, beyond the contract."""

    noise: bool

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
        self._plain_likelihood("steps")
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
            The rows of the fit; they count as known without error.
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
        self._without_noise("standard_errors")
        one_of(kind, "kind", KINDS)
        n_boot = whole_number(n_boot, "n_boot", least=2)
        z, w = self._rows(X, sample_weight)
        with one_blas_thread():
            prior, rng = given_prior(self.prior), rng_from(random_state)
            return bootstrap(params, z, w, kind=kind, n_boot=n_boot, rng=rng, prior=prior)

    def _plain_likelihood(self, what: str) -> None:
        if given_prior(self.prior) is not None:
            raise UnsupportedError(f"{what} is of maximum likelihood; leave out prior=.")
        if self.noise:
            raise UnsupportedError(f"{what} is for mixtures without noise; leave out noise=True.")

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
        self._plain_likelihood("bootstrap_lrt")
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
        self._without_noise("impute")
        x = rows_to_query(X, params.columns, who=type(self).__name__, missing="marginal")
        m = None if draws is None else whole_number(draws, "draws", least=1)
        return filled(params, X, x, draws=m, rng=rng_from(random_state), exact=exact)

    # ---------------------------------------------------------------- rows with errors

    def log_density_observed(self, X: Any, errors: Any) -> np.ndarray:
        """Return the log density of rows measured with known errors: of the truth plus Gaussian noise.

        Parameters
        ----------
        X : rows, as for ``log_density``
        errors : array
            As in :meth:`pofx.GaussianMixture.fit`.

        Returns
        -------
        ndarray of float64, shape (n,)
            Nats. With errors of zero, ``log_density(X)``.
        """
        params = self.params_
        self._without_noise("log_density_observed")
        x = rows_to_query(X, params.columns, who=type(self).__name__)
        e = unit_errors(row_errors(errors, len(x), x.shape[1]), params.units)
        with one_blas_thread():
            log_p = observed_logs(params, self._own_covariances(params), params.units.to(x), e)
        return np.maximum(log_p, FAR) + params.units.log_jacobian
