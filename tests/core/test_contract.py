"""The contract's own manners: frozen parameters, estimates, transformed densities, regions, records."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from scipy import stats

from pofx.core.density import Density
from pofx.core.estimate import Estimate
from pofx.core.laws import check_model
from pofx.core.transformed import Transformed
from pofx.errors import DataError, NotFittedError, NumericalError, ParameterError, UnsupportedError
from pofx.maths.bijections import Affine, Identity, Log, LogBelow, Logit, as_bijection
from pofx.models.gaussian import Gaussian
from pofx.models.histogram import Histogram


def positive(n=150, seed=0):
    rng = np.random.default_rng(seed)
    return np.exp(rng.normal(size=(n, 2)) @ [[0.5, 0.2], [0.0, 0.4]]) * [3.0, 100.0]


def test_parameters_are_frozen():
    g = Gaussian().fit(positive())
    with pytest.raises(ValueError, match="read-only"):
        g.params_.mean[0] = 1.0
    with pytest.raises(AttributeError, match="frozen"):
        g.params_.mean = 1.0
    with pytest.raises(AttributeError, match="it has mean"):
        _ = g.params_.sigma


def test_only_two_fitted_things_are_kept():
    g = Gaussian().fit(positive())
    assert set(vars(g)) - set(g.get_params()) == {"params_", "fit_"}


def test_an_unfitted_model_says_so_under_every_name():
    for name in ("mean_", "covariance_", "n_features_in_", "n_parameters_", "params_", "fit_"):
        assert not hasattr(Gaussian(), name)
        with pytest.raises(NotFittedError, match="fit"):
            getattr(Gaussian(), name)
    with pytest.raises(AttributeError, match="no attribute 'men_'"):
        _ = Gaussian().men_


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_in_memory_answer_the_same(copier):
    x = positive()
    g = Gaussian().fit(x)
    np.testing.assert_array_equal(copier(g).log_density(x), g.log_density(x))
    assert copier(g).fit_ == g.fit_


def test_estimates_compute_as_floats_and_show_their_doubt():
    e = Estimate(1.5, 0.25, "estimate")
    assert e + 1 == 2.5
    assert str(e) == "1.5 ± 0.25"
    assert repr(Estimate(2.0)) == "2.0"
    assert pickle.loads(pickle.dumps(e)).standard_error == 0.25


def test_a_nan_never_leaves_as_an_answer():
    class Broken(Gaussian):
        def _log_density(self, params, x):
            return np.full(len(x), np.nan)

    with pytest.raises(NumericalError, match="row 0"):
        Broken().fit(positive()).log_density(positive())


def test_moments_beyond_float64_are_refused_and_the_density_is_not():
    x = positive() * 1e200
    g = Gaussian().fit(x)
    assert np.isfinite(g.log_density(x)).all()
    with pytest.raises(NumericalError, match="rescale"):
        g.covariance()


def test_record_of_a_fit_reads_as_a_sentence():
    text = str(Gaussian().fit(positive()).fit_)
    assert text.startswith("Converged: Closed form")
    assert "150 rows" in text


def test_the_representation_shows_what_was_changed_and_escapes():
    assert repr(Gaussian("diag")) == "Gaussian(covariance_type='diag')"
    assert "&lt;b&gt;" in Gaussian("<b>")._repr_html_()


@pytest.mark.parametrize(
    "bijection", [Identity(), Affine(3.0, -2.0), Log(-1.0), LogBelow(9.0), Logit(-2.0, 7.0)], ids=repr
)
def test_bijections_invert_and_differentiate(bijection):
    low, high = bijection.domain
    x = np.linspace(max(low, -1.9), min(high, 6.9), 50)[1:-1]
    np.testing.assert_allclose(bijection.inverse(bijection.forward(x)), x, rtol=1e-12, atol=1e-12)
    step = 1e-6
    slope = (bijection.forward(x + step) - bijection.forward(x - step)) / (2 * step)
    np.testing.assert_allclose(np.exp(bijection.log_derivative(x)), np.abs(slope), rtol=1e-6)


def test_short_forms_of_bijections():
    assert as_bijection("log") == Log()
    assert as_bijection((0, None)) == Log(0.0)
    assert as_bijection((None, 5)) == LogBelow(5.0)
    assert as_bijection((0, 1)) == Logit(0.0, 1.0)
    for bad in ("lgo", (1, 0), 3, (1, 2, 3)):
        with pytest.raises(ParameterError):
            as_bijection(bad)


def test_a_transformed_gaussian_is_the_lognormal():
    x = positive()[:, 0]
    p = Transformed(Gaussian(), "log").fit(x)
    theirs = stats.lognorm(np.log(x).std(), scale=np.exp(np.log(x).mean()))
    q = np.array([0.01, 1.0, 5.0, 300.0])
    np.testing.assert_allclose(p.log_density(q), theirs.logpdf(q), rtol=1e-11)
    np.testing.assert_allclose(p.logcdf(q), theirs.logcdf(q), rtol=1e-10)
    np.testing.assert_allclose(p.logsf(q), theirs.logsf(q), rtol=1e-10)
    np.testing.assert_allclose(p.quantile([0.1, 0.9]), theirs.ppf([0.1, 0.9]), rtol=1e-10)
    np.testing.assert_array_equal(p.log_density([-1.0, 0.0]), [-np.inf, -np.inf])
    assert p.cdf([-3.0])[0] == 0
    assert (p.sample(500, random_state=0) > 0).all()


def test_a_decreasing_map_exchanges_the_tails():
    x = positive()[:, 0]
    p, g = Transformed(Gaussian(), Affine(1.0, -2.0)).fit(x), Gaussian().fit(x)
    np.testing.assert_allclose(p.logcdf(x), g.logcdf(x), rtol=1e-9)
    np.testing.assert_allclose(p.quantile([0.1, 0.6]), g.quantile([0.1, 0.6]), rtol=1e-10)
    np.testing.assert_allclose(p.log_density(x), g.log_density(x), rtol=1e-10)


@pytest.mark.parametrize("bijection", ["log", {0: (0, None), 1: (0.0, 5000.0)}, {1: "log"}], ids=str)
def test_laws_hold_through_a_bijection(bijection):
    # A bound stays where it is when the units change, so the law of units does not apply.
    verdicts = check_model(lambda: Transformed(Gaussian(), bijection), positive())
    assert verdicts["affine"].startswith("does not apply")
    assert verdicts["conditional times marginal"] == "holds"


def test_transformed_refuses_rows_outside_and_says_which():
    x = positive()
    x[17, 1] = -4.0
    with pytest.raises(DataError, match=r"1 of 150 rows lie outside.*column 1 = -4 \(row 17\)"):
        Transformed(Gaussian(), "log").fit(x)
    with pytest.raises(DataError, match="Cannot condition"):
        Transformed(Gaussian(), "log").fit(positive()).condition({0: -1.0})
    with pytest.raises(ParameterError, match="needs a model"):
        Transformed("gaussian", "log").fit(positive())
    with pytest.raises(ParameterError, match="needs a bijection"):
        Transformed(Gaussian()).fit(positive())


def test_transformed_names_nested_hyperparameters():
    p = Transformed(Gaussian(), "log").set_params(model__covariance_type="diag")
    assert p.model.covariance_type == "diag"
    assert p.get_params()["model__covariance_type"] == "diag"


def test_divergence_by_draws_has_a_standard_error():
    x = positive()
    p, g = Transformed(Gaussian(), "log").fit(x), Gaussian().fit(x)
    assert p.kl(g).kind == "estimate"
    assert p.kl(g) > 5 * p.kl(g).standard_error > 0
    assert np.isinf(g.kl(p))  # the Gaussian reaches where the lognormal has no mass
    with pytest.raises(DataError, match="same columns"):
        p.kl(Gaussian().fit(x[:, 0]))


def test_divergence_matches_columns_by_name():
    import pandas as pd

    frame = pd.DataFrame(positive(), columns=["a", "b"])
    one, other = Gaussian().fit(frame), Gaussian().fit(frame[["b", "a"]])
    assert abs(one.kl(other, n=200)) < 1e-9


def test_condition_and_marginal_check_their_columns():
    g = Gaussian().fit(positive())
    for bad in ({}, {0: 1.0, 1: 2.0}, {"a": 1.0}, {5: 1.0}, {0: np.nan}):
        with pytest.raises((ParameterError, DataError)):
            g.condition(bad)
    for bad in ([], [0, 0], [2], ["a"]):
        with pytest.raises(ParameterError):
            g.marginal(bad)
    with pytest.raises(DataError, match="equally many"):
        Gaussian().fit(np.c_[positive(), positive(seed=1)]).condition({0: [1.0, 2.0], 1: [1.0, 2.0, 3.0]})


def test_marginals_keep_names_and_order():
    import pandas as pd

    frame = pd.DataFrame(positive(), columns=["a", "b"])
    part = Gaussian().fit(frame).marginal(["b", "a"])
    assert list(part.feature_names_in_) == ["b", "a"]
    np.testing.assert_allclose(part.log_density(frame), Gaussian().fit(frame).log_density(frame), rtol=1e-12)
    one = Gaussian().fit(frame).condition({"a": 2.0})
    assert list(one.sample(3).columns) == ["b"]


def test_what_a_model_lacks_is_said():
    with pytest.raises(
        UnsupportedError, match=r"mean .* no formula for a Histogram seen through a map; draw"
    ):
        Transformed(Histogram(), "log").fit(positive()).mean()


def test_a_known_truth_has_the_same_verbs():
    truth = Gaussian.from_params([1.0, 2.0], [[1.0, 0.5], [0.5, 2.0]], names=["u", "v"])
    assert isinstance(truth, Density)
    x = truth.sample(2000, random_state=0)
    assert Gaussian().fit(x).kl(truth) < 0.01
    assert truth.fit_.message.startswith("Parameters were given")
    assert truth.condition({"u": 1.0}).mean_[0] == pytest.approx(2.0)


def test_an_empty_sample_and_an_empty_query():
    g = Gaussian().fit(positive())
    assert g.sample(0).shape == (0, 2)
    assert g.log_density(np.empty((0, 2))).shape == (0,)
    with pytest.raises(DataError, match="0 rows"):
        g.score(np.empty((0, 2)))
