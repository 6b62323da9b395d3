"""The Rosenblatt transform: its values, its level at the recorded precision, and what it sees."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from scipy.stats import kstest, multivariate_normal, norm

import pofx
from pofx.core.density import Density
from pofx.evaluate import rosenblatt as module
from pofx.evaluate.foreign import as_density
from pofx.evaluate.rosenblatt import rosenblatt_test, rosenblatt_values
from pofx.maths import energy
from pofx.maths.rosenblatt import mixture_rosenblatt
from pofx.validation import Columns, rows_to_fit

COVARIANCE = np.array([[1.0, 0.8, 0.2], [0.8, 1.0, 0.3], [0.2, 0.3, 1.0]])
NAMES = ("a", "b", "c")


def gaussian():
    return pofx.Gaussian.from_params([0.0, 0.0, 0.0], COVARIANCE)


def mixture():
    return pofx.GaussianMixture.from_params(
        [0.4, 0.6],
        [[-2.0, 0.0, 0.0], [2.0, 1.0, 0.0]],
        np.array([COVARIANCE, np.eye(3)]),
        covariance_type="full",
    )


def values(model, x, seed=0, decimals=None):
    columns = Columns(None, ("float64",) * x.shape[1], (decimals,) * x.shape[1], "array")
    return rosenblatt_values(model, x, np.random.default_rng(seed), columns)


def run(model, x, seed=0, decimals=None):
    return rosenblatt_test(values(model, x, seed, decimals), NAMES[: x.shape[1]], np.random.default_rng(seed))


def test_a_gaussian_s_are_regressions():
    x = gaussian().sample(50, random_state=0)
    u = values(gaussian(), x)
    slope = 0.8 * x[:, 0]
    np.testing.assert_allclose(u[:, 0], norm.cdf(x[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(u[:, 1], norm.cdf(x[:, 1], slope, 0.6), rtol=1e-9)
    gain = np.linalg.solve(COVARIANCE[:2, :2], COVARIANCE[:2, 2])
    sd = np.sqrt(1.0 - COVARIANCE[2, :2] @ gain)
    np.testing.assert_allclose(u[:, 2], norm.cdf(x[:, 2], x[:, :2] @ gain, sd), rtol=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        pofx.Gaussian(),
        pofx.Gaussian("diag"),
        pofx.Gaussian("factor", n_factors=1),
        pofx.GaussianMixture(3, covariance_type="full"),
        pofx.GaussianMixture(2, covariance_type="diag"),
        pofx.GaussianMixture(2, covariance_type="tied"),
        pofx.KDE(bandwidth="scott"),
        pofx.KDE(bandwidth=[[0.2, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.3]]),
        pofx.KDE(bandwidth="scott", adaptive=True),
    ],
    ids=repr,
)
def test_the_formula_is_the_models_own_conditionals(model):
    """Two ways to one number: one triangular system, or a chain of marginals, conditionals and their cdf."""
    x = mixture().sample(150, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x * [100.0, 1.0, 1e-3])
    some = x[:12] * [100.0, 1.0, 1e-3]
    chain = np.stack([module._conditional(model, some, j) for j in range(3)], axis=1)
    found = mixture_rosenblatt(model.params_.units.to(some), *module._gaussians(model))
    np.testing.assert_allclose(found, chain, atol=2e-9)


@pytest.mark.parametrize(
    "model",
    [
        pofx.Histogram(),
        pofx.KDE(bandwidth="scott", kernel="epanechnikov"),
        pofx.KDE(bandwidth="scott", bounds={0: (-9.0, None)}),
        pofx.GaussianMixture(2, covariance_type="full", noise=True),
        pofx.Transformed(pofx.Gaussian(), {0: (-9.0, None)}),
    ],
    ids=repr,
)
def test_other_models_go_through_their_conditionals(model):
    x = mixture().sample(400, random_state=2)
    assert module._gaussians(model.fit(x)) is None
    u = values(model, x[:25])
    assert u.shape == (25, 3)
    assert ((u >= 0.0) & (u <= 1.0)).all()
    draws = values(model, np.asarray(model.sample(150, random_state=3)))
    assert kstest(draws[:, 1], "uniform").pvalue > 1e-4


@pytest.fixture
def few_permutations(monkeypatch):
    monkeypatch.setattr(energy, "PERMUTATIONS", 99)


@pytest.mark.parametrize("decimals", [None, 0], ids=["continuous", "recorded in whole standard deviations"])
@pytest.mark.parametrize("make", [gaussian, mixture])
def test_p_values_are_uniform_under_the_truth(make, decimals, few_permutations):
    p, inside, model = [], 0, make()
    for seed in range(50):
        x = model.sample(80, random_state=seed)
        found = run(model, x if decimals is None else np.round(x), seed, decimals)
        inside += found.inside
        p.append([*(line.p_value for line in found.lines), found.radius.p_value, found.joint.p_value])
    assert min(kstest(column, "uniform").pvalue for column in np.transpose(p)) > 0.001
    assert inside >= 50 - 8


def test_middles_of_cells_would_not_be_uniform():
    """Why rows are unrounded first: the truth, rounded to its standard deviation, would be rejected."""
    x = np.round(gaussian().sample(1_000, random_state=4))
    assert run(gaussian(), x, decimals=None).p_value < 1e-3
    assert run(gaussian(), x, decimals=0).p_value > 0.01


def test_unrounded_values_stay_in_their_cells_and_follow_the_density():
    x = np.round(gaussian().sample(4_000, random_state=5))
    columns = Columns(None, ("float64",) * 3, (0, None, 0), "array")
    out = module._unrounded(gaussian(), x, columns, np.random.default_rng(0))
    assert (np.abs(out - x) <= 0.5).all()
    assert (out[:, 1] == x[:, 1]).all()
    x = gaussian().sample(4_000, random_state=6)
    columns = Columns(None, ("float64",) * 3, (0, 0, 0), "array")
    out = module._unrounded(gaussian(), np.round(x), columns, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov(out.T), np.cov(x.T), atol=0.07)


def test_a_wrong_dependence_is_found_and_named():
    """Every column is right, and so are most heights; a chain of conditionals sees what follows what."""
    x = gaussian().sample(1_000, random_state=7)
    independent = pofx.Gaussian.from_params([0.0, 0.0, 0.0], np.eye(3))
    found = run(independent, x)
    assert not found.inside
    assert found.lines[0].inside
    assert not found.together
    assert found.p_value < 1e-3
    curved = np.column_stack([x[:, 0], x[:, 0] ** 2 + 0.5 * x[:, 1]])
    fitted = pofx.Gaussian().fit(curved)
    assert not run(fitted, curved).inside
    slope = pofx.Gaussian.from_params([0.0, 0.0, 0.0], np.where(COVARIANCE == 0.8, 0.5, COVARIANCE))
    named = run(slope, x)
    assert named.radius.p_value < 0.01 or not named.lines[1].inside
    assert "given" in named.sentence or "radius" in named.sentence


def test_what_it_says():
    found = run(gaussian(), gaussian().sample(500, random_state=8))
    assert [line.name for line in found.lines] == ["a", "b given a", "c given a and b"]
    assert "nothing was found" in found.sentence
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["p_value"] == found.p_value
    assert len(record["columns"]) == 3
    wide = pofx.Gaussian.from_params([0.0, 0.0, 0.0], 2.0 * COVARIANCE)
    wrong = run(wide, gaussian().sample(500, random_state=8))
    assert "the density is wrong (p < 0.0001, 500 rows)" in wrong.sentence
    assert not wrong.radius.inside


def test_where_there_is_none_a_reason_is_given():
    class Bare(Density):
        def _log_density(self, params, x):
            return np.zeros(len(x))

    x = gaussian().sample(60, random_state=9)
    bare = Bare()
    bare._adopt(pofx.Gaussian().fit(x).params_, pofx.Gaussian().fit(x).fit_)
    assert "Bare has no marginal" in values(bare, x)
    foreign = as_density(multivariate_normal(np.zeros(3)), rows_to_fit(x).columns)
    assert "no marginal" in values(foreign, x)
    assert "one column" in values(pofx.Gaussian().fit(x[:, 0]), x[:, :1])
    empty = pofx.Histogram(smoothing=0).fit(x)
    assert "could not be transformed" in values(empty, 1e3 + x)


def test_many_rows_are_thinned_and_the_seed_decides():
    x = gaussian().sample(3_000, random_state=10)
    u = values(gaussian(), x, decimals=1)
    assert u.shape == (2_000, 3)
    assert (u == values(gaussian(), x, decimals=1)).all()
    assert (u != values(gaussian(), x, seed=1, decimals=1)).any()
    assert values(pofx.Histogram().fit(x), x).shape == (300, 3)


def test_rows_far_out_are_finite():
    u = values(mixture(), np.array([[1e200, 0.0, -1e200], [60.0, -80.0, 5.0]]))
    assert ((u >= 0.0) & (u <= 1.0)).all()
    found = run(mixture(), np.vstack([mixture().sample(50, random_state=11), [[1e200, 0.0, -1e200]]]))
    json.dumps(found.to_dict(), allow_nan=False)
