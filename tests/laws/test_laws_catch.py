"""The laws can fail: for every law a model that is wrong in one way, which that law catches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pofx.core.density import Density
from pofx.core.fitting import Outcome
from pofx.core.laws import LAWS, LawBroken, check_model, law_data
from pofx.errors import ParameterError
from pofx.models.gaussian import Gaussian

ROWS = [law_data(1), law_data(2)]


class VarianceAsStandardDeviation(Gaussian):
    def _draw(self, params, n, rng):
        return params.mean + rng.standard_normal((n, len(params.mean))) @ self._covariance(params)


class MissingJacobian(Gaussian):
    def _log_density_rows(self, params, x):
        return super()._log_density_rows(params, x) - params.units.log_jacobian


class FlooredDensity(Gaussian):
    """Adds 1e-16 to every density, as some libraries do."""

    def _log_density_rows(self, params, x):
        return np.log(np.exp(super()._log_density_rows(params, x)) + 1e-16)


class SameDrawTwice(Gaussian):
    def _draw(self, params, n, rng):
        return super()._draw(params, n, np.random.default_rng(0))


class SeedIgnored(Gaussian):
    def _draw(self, params, n, rng):
        return super()._draw(params, n, np.random.default_rng())


class WeightsIgnored(Gaussian):
    def fit(self, X, y=None, *, sample_weight=None):
        return super().fit(X, y)


class ImportanceAsFrequency(Gaussian):
    """Shrinks by 1/n, with n = 7 Σw for weights 7w."""

    def fit(self, X, y=None, *, sample_weight=None):
        kind, self.weight_kind = self.weight_kind, "frequency"
        try:
            super().fit(X, y, sample_weight=sample_weight)
        finally:
            self.weight_kind = kind
        return self

    def _solve_shrinkage(self, data):
        return 1.0 / (1.0 + data.total)

    def _fit(self, data, rng):
        values, outcome = super()._fit(data, rng)
        return {**values, "cholesky": values["cholesky"] * (1.0 + self._solve_shrinkage(data))}, outcome


class HalfTheMass(Gaussian):
    def _log_density(self, params, x):
        return super()._log_density(params, x) - np.log(2.0)


class WrongMean(Gaussian):
    def _mean(self, params):
        return params.mean + np.sqrt(np.diag(self._covariance(params)))


class WrongEntropy(Gaussian):
    def _entropy(self, params):
        return super()._entropy(params) + 0.5


class WrongConditional(Gaussian):
    def _condition(self, params, given, z):
        return super()._condition(params, given, np.zeros_like(z))


class WrongCdf(Gaussian):
    def _log_cdf(self, params, x):
        return super()._log_cdf(params, x + 0.3)


class WrongRegion(Gaussian):
    def hdr(self, mass, **options):
        return super().hdr(mass / 2, **options)


class AbsoluteFloor(Gaussian):
    """Adds 1e-3 to the variances in the data's units."""

    def _fit(self, data, rng):
        values, outcome = super()._fit(data, rng)
        sigma = values["cholesky"] @ values["cholesky"].T + np.diag(1e-3 / data.units.scale**2)
        return {**values, "cholesky": np.linalg.cholesky(sigma)}, outcome


class FirstRowIsTheMean(Gaussian):
    def _fit(self, data, rng):
        values, outcome = super()._fit(data, rng)
        first, _ = next(data.blocks())
        return {**values, "mean": first[0]}, outcome


class BatchNormalised(Gaussian):
    def _log_density(self, params, x):
        out = super()._log_density(params, x)
        return out - 1e-6 * out.mean() if len(out) else out


class BlockLast(Gaussian):
    """Fits the last chunk it was given only."""

    def fit(self, X, y=None, *, sample_weight=None):
        from pofx.core.fold import Blocks

        return super().fit(list(X)[-1] if isinstance(X, Blocks) else X, y, sample_weight=sample_weight)


class ThreadDependent(Gaussian):
    def _fit(self, data, rng):
        from pofx.threads import thread_count

        values, outcome = super()._fit(data, rng)
        return {**values, "mean": values["mean"] * (1.0 + 1e-12 * thread_count())}, outcome


class FallingTrace(Gaussian):
    def _fit(self, data, rng):
        values, _ = super()._fit(data, rng)
        return values, Outcome(trace=(-10.0, -5.0, -6.0))


class ForgetfulFile(Gaussian):
    def __setattr__(self, name, value):
        super().__setattr__(name, value)

    def _adopt(self, params, fit):
        from pofx.core.params import Params

        if fit.n_rows and not self.__dict__.get("_fitting"):  # adopting what a file holds
            params = Params(
                {**params, "mean": params.mean.astype(np.float32).astype(float)}, params.units, params.columns
            )
        super()._adopt(params, fit)

    def fit(self, X, y=None, *, sample_weight=None):
        self.__dict__["_fitting"] = True
        try:
            return super().fit(X, y, sample_weight=sample_weight)
        finally:
            del self.__dict__["_fitting"]


class StandardisesInPlace(Gaussian):
    def fit(self, X, y=None, *, sample_weight=None):
        super().fit(X, y, sample_weight=sample_weight)
        if isinstance(X, np.ndarray):
            X -= X.mean(axis=0)
        return self


class KeepsTheCallersArray(Gaussian):
    def fit(self, X, y=None, *, sample_weight=None):
        super().fit(X, y, sample_weight=sample_weight)
        self.__dict__["_rows"] = X
        return self

    def _log_density_rows(self, params, x):
        return super()._log_density_rows(params, x - self.__dict__["_rows"].mean(axis=0))


class SwallowsNaN(Gaussian):
    def fit(self, X, y=None, *, sample_weight=None):
        return super().fit(
            np.nan_to_num(X) if isinstance(X, np.ndarray) else X, y, sample_weight=sample_weight
        )


class HalfWritten(Gaussian):
    def _fit(self, data, rng):
        values, outcome = super()._fit(data, rng)
        if "params_" in self.__dict__:
            self.__dict__["params_"] = None
        list(data.blocks())
        return values, outcome


class AlwaysTwoDimensional(Gaussian):
    def sample(self, n=1, *, random_state=None, exact=False):
        return np.reshape(super().sample(n, random_state=random_state, exact=exact), (n, -1))


class TooGood(Gaussian):
    kind = "bound"

    def _log_density(self, params, x):
        return super()._log_density(params, x) + 0.5


CULPRITS = {
    "normalised": [MissingJacobian, HalfTheMass],
    "samples follow the density": [VarianceAsStandardDeviation, MissingJacobian],
    "draws differ": [SameDrawTwice, SeedIgnored],
    "moments": [WrongMean, VarianceAsStandardDeviation],
    "entropy": [WrongEntropy],
    "conditional times marginal": [WrongConditional],
    "cdf and quantile": [WrongCdf],
    "highest-density region": [WrongRegion],
    "affine": [FlooredDensity, MissingJacobian, AbsoluteFloor],
    "rows permute": [FirstRowIsTheMean],
    "batches agree": [BatchNormalised],
    "blocks agree": [BlockLast],
    "weights repeat rows": [WeightsIgnored],
    "importance weights are relative": [ImportanceAsFrequency],
    "threads do not matter": [ThreadDependent],
    "log-likelihood never falls": [FallingTrace],
    "save and load": [ForgetfulFile],
    "inputs untouched": [StandardisesInPlace, KeepsTheCallersArray],
    "errors explain themselves": [SwallowsNaN],
    "a failed fit changes nothing": [HalfWritten],
    "one column": [AlwaysTwoDimensional],
}


@pytest.mark.parametrize(
    ("law", "culprit"),
    [(law, c) for law, cs in CULPRITS.items() for c in cs],
    ids=lambda v: getattr(v, "__name__", v),
)
@pytest.mark.filterwarnings("ignore")  # wrong models may divide by zero on the way
def test_law_catches_its_culprit(law, culprit):
    with pytest.raises(LawBroken, match=law.replace("(", r"\(")):
        check_model(culprit, ROWS, laws=[law])


def test_a_bound_above_the_truth_is_caught():
    truth = Gaussian.from_params([0.0, 1.0], [[1.0, 0.3], [0.3, 2.0]])
    rows = truth.sample(200, random_state=0)
    with pytest.raises(LawBroken, match="beats the truth"):
        check_model(TooGood, rows, truth=truth, laws=["no model beats the truth"])
    assert check_model(Gaussian, rows, truth=truth)["no model beats the truth"] == "holds"


def test_a_limit_that_does_not_hold_is_caught():
    pair = (Gaussian("diag"), Gaussian())
    with pytest.raises(LawBroken, match="stated limits"):
        check_model(Gaussian, ROWS[1], limits=[pair], laws=["stated limits"])
    same = [(Gaussian(shrinkage=1.0), Gaussian("diag"))]
    assert check_model(Gaussian, ROWS[1], limits=same)["stated limits"] == "holds"


def test_every_law_has_a_culprit():
    assert set(CULPRITS) | {"no model beats the truth", "stated limits"} == {law.name for law in LAWS}


@pytest.mark.parametrize("make", [Gaussian, lambda: Gaussian("diag")], ids=["full", "diag"])
def test_the_honest_model_keeps_them_all(make):
    verdicts = check_model(make, ROWS)
    excused = {"no model beats the truth", "stated limits", "log-likelihood never falls"}
    assert {name for name, verdict in verdicts.items() if verdict == "holds"} >= {
        law.name for law in LAWS
    } - excused


def test_failures_name_the_law_its_statement_and_the_numbers():
    with pytest.raises(LawBroken) as caught:
        check_model(HalfTheMass, ROWS[0], laws=["normalised"])
    text = str(caught.value)
    assert "HalfTheMass" in text
    assert "integrates to 0.5" in text
    assert "The law: the density integrates to one" in text


def test_unknown_laws_are_refused():
    with pytest.raises(ParameterError, match="There is no law 'normal'"):
        check_model(Gaussian, laws=["normal"])


def test_the_laws_need_neither_pytest_nor_hypothesis():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None\n"
        "from pofx.core.laws import check_model\n"
        "from pofx.models.gaussian import Gaussian\n"
        "check_model(Gaussian)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_default_rows_are_the_same_every_time():
    for d in (1, 2, 3):
        assert np.array_equal(law_data(d), law_data(d))
    assert all(a.shape[0] == 150 for a in itertools.chain(ROWS))


def test_density_is_abstract_in_its_hooks():
    with pytest.raises(NotImplementedError):
        Density()._log_density(None, np.zeros((1, 1)))
