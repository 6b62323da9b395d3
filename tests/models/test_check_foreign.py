"""Densities made elsewhere, judged by ``check`` and ``compare``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pofx
from pofx import check, errors, worlds

mixture = pytest.importorskip("sklearn.mixture")
neighbors = pytest.importorskip("sklearn.neighbors")


@pytest.fixture(scope="module")
def rows():
    return worlds.three_bumps().sample(600, random_state=0)


def test_scikit_learn_s_mixture_is_judged_as_ours(rows):
    theirs = mixture.GaussianMixture(3, random_state=0).fit(rows)
    found = check(theirs, rows)
    assert found.case == "seen"
    assert found.passed
    assert found.folds == 5
    assert "sklearn.GaussianMixture(n_components=3" in found.sentence
    two = check(mixture.GaussianMixture(2, random_state=0).fit(rows), rows)
    assert not two.passed
    assert two.p_value is None
    assert not check(theirs, rows + 0.5, new=True).passed


def test_what_it_has_seen_is_not_claimed(rows):
    other = worlds.three_bumps().sample(600, random_state=1)
    theirs = mixture.GaussianMixture(3, random_state=0).fit(other)
    assert check(theirs, rows).case == "unknown"
    found = check(theirs, rows, new=True)
    assert (found.case, found.passed) == ("new", True)


def test_its_draws_are_new_each_time(rows):
    from pofx.evaluate.foreign import Foreign
    from pofx.validation import rows_to_fit

    theirs = mixture.GaussianMixture(3, random_state=0).fit(rows)
    before = theirs.get_params()
    wrapped = Foreign(theirs, rows_to_fit(rows).columns)
    one, other = (wrapped.sample(5, random_state=seed) for seed in (1, 2))
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(wrapped.sample(5, random_state=1), one)
    drawn = wrapped.sample(300, random_state=3)  # theirs come one component after another
    left = theirs.predict(drawn) == theirs.predict(drawn)[0]
    assert 0.2 < left[:100].mean() < 0.5
    assert theirs.get_params() == before
    np.testing.assert_allclose(wrapped.log_density(rows), theirs.score_samples(rows))


def test_kernel_estimates(rows):
    for theirs in (neighbors.KernelDensity(bandwidth=0.3).fit(rows), stats.gaussian_kde(rows.T)):
        found = check(theirs, rows)
        assert found.case == "seen"
        assert found.energy is not None
    wide = check(neighbors.KernelDensity(bandwidth=3.0).fit(rows), rows)
    assert not wide.passed


def test_frozen_distributions_are_known():
    x = stats.norm(3.0, 2.0).rvs(size=400, random_state=0)
    found = check(stats.norm(3.0, 2.0), x)
    assert (found.case, found.passed) == ("known", True)
    assert found.columns[0].method == "distribution function"
    assert not check(stats.norm(3.0, 3.0), x).passed
    both = stats.multivariate_normal([0.0, 1.0], [[1.0, 0.8], [0.8, 1.0]])
    y = both.rvs(size=500, random_state=2)
    assert check(both, pd.DataFrame(y, columns=["a", "b"])).passed
    assert not check(stats.multivariate_normal([0.0, 1.0]), y).passed


def test_the_truth_is_rejected_at_its_level():
    both = stats.multivariate_normal([0.0, 1.0], [[1.0, 0.8], [0.8, 1.0]])
    rejected = sum(
        not check(both, both.rvs(size=100, random_state=s), random_state=s).passed for s in range(60)
    )
    assert rejected <= 8


class Odd:
    """A density whose answers are not what they should be."""

    def __init__(self, log_p, drawn):
        self.log_p, self.drawn = log_p, drawn

    def score_samples(self, X):
        return self.log_p(X)

    def sample(self, n):
        return self.drawn(n)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Odd(lambda X: np.zeros((len(X), 2)), lambda n: np.zeros((n, 2))), "one number for each row"),
        (Odd(lambda X: np.full(len(X), np.nan), lambda n: np.zeros((n, 2))), "NaN"),
        (Odd(lambda X: np.zeros(len(X)), lambda n: np.zeros((n, 3))), "shape"),
        (Odd(lambda X: np.zeros(len(X)), lambda n: np.full((n, 2), np.inf)), "not finite"),
        (stats.norm(0.0, 1.0), "a density of 1 columns; the rows have 2"),
        (mixture.GaussianMixture(2), "not fitted"),
    ],
)
def test_wrong_answers_are_refused(model, words):
    x = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(errors.DataError, match=words):
        check(model, x, new=True)


def test_a_given_distribution_has_nothing_to_refit():
    x = np.random.default_rng(0).normal(size=50)
    with pytest.raises(errors.UnsupportedError, match="nothing to fit"):
        check(stats.norm(0.0, 1.0), x, new=False)
    with pytest.raises(errors.ParameterError, match="score_samples and sample"):
        check(np.zeros(3), x)
    assert isinstance(pofx.Gaussian(), pofx.core.density.Density)


def test_they_are_compared_beside_ours(rows):
    theirs = mixture.GaussianMixture(3, random_state=0)
    result = pofx.compare([pofx.Gaussian(), theirs, neighbors.KernelDensity(bandwidth=0.3)], rows)
    assert result.leader_name == "sklearn.GaussianMixture(n_components=3, random_state=0)"
    record = result[result.leader_name].held_out
    assert record.n_parameters == 17
    folds = [result.split.part == k for k in range(5)]
    expected = [
        mixture.GaussianMixture(3, random_state=0).fit(rows[~f]).score_samples(rows[f]).mean() for f in folds
    ]
    assert record.mean == pytest.approx(np.mean(expected), abs=1e-9)
    assert not hasattr(theirs, "means_")
    np.testing.assert_allclose(result.best.log_density(rows[:5]), result.best.model.score_samples(rows[:5]))
    with pytest.raises(errors.UnsupportedError, match="saved by the library"):
        result.best.save("model.pofx")
    ours = pofx.compare({"ours": pofx.GaussianMixture(3, covariance_type="full"), "theirs": theirs}, rows)
    assert ours["ours"].held_out.mean == pytest.approx(ours["theirs"].held_out.mean, abs=0.01)
    failed = pofx.compare([pofx.Gaussian(), stats.norm(0.0, 1.0)], rows)
    assert "a density of 1 columns; the rows have 2" in failed["scipy.stats.norm"].held_out.failure


@pytest.mark.parametrize(
    "truth",
    [
        stats.norm(3.0, 2.0),
        stats.t(2.5),
        stats.expon(),
        stats.multivariate_normal(np.zeros(5), np.eye(5) + 0.5),
        stats.multivariate_t([1.0, 2.0], [[1.0, 0.3], [0.3, 2.0]], df=2),
    ],
    ids=["normal", "t", "exponential", "five columns", "t in two"],
)
def test_a_density_has_a_mass_of_one(truth):
    found = check(truth, truth.rvs(size=200, random_state=0))
    assert found.mass.determined
    assert found.mass.is_one
    assert abs(found.mass.value - 1.0) <= 4.0 * found.mass.standard_error + 1e-3
    assert found.mass.standard_error < 0.03


def test_what_is_no_density_is_told():
    truth = stats.multivariate_normal([0.0, 1.0])
    x = truth.rvs(size=300, random_state=3)
    rng = np.random.default_rng(0)
    twice = Odd(lambda X: truth.logpdf(X) + np.log(2.0), lambda n: truth.rvs(size=n, random_state=rng))
    found = check(twice, x, new=True)
    assert not found.passed
    assert found.mass.value == pytest.approx(2.0, abs=6.0 * found.mass.standard_error)
    off = f"{np.log(found.mass.value):+.3g} nats"
    assert off.startswith(("+0.68", "+0.69", "+0.7"))
    assert f"not 1: it is no density, and log densities are off by {off}" in found.sentence
    assert found.to_dict()["mass"]["is_one"] is False
    assert check(worlds.gaussian(2), x).mass is None
