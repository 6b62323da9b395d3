"""MMD, sliced Wasserstein, precision and its kin: their values, their levels, what they see and where."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import kstest, wasserstein_distance

from pofx.errors import DataError
from pofx.maths.two_sample import mmd, mmd_test, sliced, sliced_test, support, support_test

TESTS = (mmd_test, sliced_test, support_test)


@pytest.fixture
def few_permutations(monkeypatch):
    """A tenth of the permutations: p-values in steps of 1/100."""
    monkeypatch.setattr(mmd, "PERMUTATIONS", 99)
    monkeypatch.setattr(sliced, "PERMUTATIONS", 99)
    monkeypatch.setattr(support, "TIMES", 99)


def run(test, x, y, seed=0, level=0.05):
    return test(x, y, np.random.default_rng(seed), level)


def unit(x, y):
    """Both samples in units of their pooled interquartile ranges."""
    both = np.concatenate([x, y])
    spread = np.ptp(np.quantile(both, [0.25, 0.75], axis=0), axis=0)
    return x / spread, y / spread


def normal(seed, n, m, d, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), shift + scale * rng.normal(size=(m, d))


def test_mmd_is_the_definition():
    x, y = normal(0, 40, 60, 3, 0.5)
    a, b = unit(x, y)
    both = np.concatenate([a, b])
    sigma = np.median(cdist(both, both)[np.triu_indices(100, 1)])

    def kernel(u, v):
        return np.exp(-0.5 * (cdist(u, v) / sigma) ** 2)

    within = (kernel(a, a).sum() - 40) / (40 * 39), (kernel(b, b).sum() - 60) / (60 * 59)
    squared = sum(within) - 2.0 * kernel(a, b).mean()
    found = run(mmd_test, x, y)
    assert found.squared == pytest.approx(squared, rel=1e-10)
    assert found.bandwidth == pytest.approx(sigma, rel=1e-12)
    assert found.share == pytest.approx(np.sqrt(squared / sum(within)), rel=1e-10)


def test_mmd_s_estimate_is_unbiased():
    """Under one distribution the mean of many estimates is zero."""
    squares = [run(mmd_test, *normal(seed, 10, 15, 2)).squared for seed in range(60)]
    assert abs(np.mean(squares)) < 3.0 * np.std(squares) / np.sqrt(60)
    assert min(squares) < 0.0


def test_sliced_is_scipy_s_in_one_column():
    x, y = normal(1, 80, 120, 1, 0.4, 1.3)
    a, b = unit(x, y)
    found = run(sliced_test, x, y)
    expected = wasserstein_distance(a[:, 0], b[:, 0])
    assert found.distance == pytest.approx(expected, rel=1e-10)
    assert found.along == pytest.approx(expected, rel=1e-10)
    assert found.direction.tolist() == [1.0]
    assert found.shift == pytest.approx(float(a.mean() - b.mean()), rel=1e-9)


def test_the_distance_along_the_direction_is_scipy_s_and_the_farthest():
    x, y = normal(2, 200, 300, 3)
    y[:, 0] += 0.8 * y[:, 1]
    found = run(sliced_test, x, y)
    a, b = unit(x, y)
    assert found.along == pytest.approx(
        wasserstein_distance(a @ found.direction, b @ found.direction), rel=1e-9
    )
    lines = np.random.default_rng(3).normal(size=(300, 3))
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    assert found.along >= 0.97 * max(wasserstein_distance(a @ line, b @ line) for line in lines)


def test_the_direction_is_that_of_a_shift():
    x, y = normal(4, 800, 800, 4)
    y += 0.8 * np.array([3.0, 4.0, 0.0, 0.0]) / 5.0
    found = run(sliced_test, x, y)
    np.testing.assert_allclose(np.abs(found.direction), [0.6, 0.8, 0.0, 0.0], atol=0.12)
    assert abs(found.shift) == pytest.approx(found.along, rel=0.01)
    wider = run(sliced_test, x, normal(5, 1, 800, 4)[1] * [1.0, 1.0, 1.0, 1.6])
    assert abs(wider.direction[3]) > 0.97
    assert abs(wider.shift) < 0.3 * wider.along


def test_the_four_are_their_definitions():
    x, y = normal(6, 60, 45, 2, 0.7)
    a, b = unit(x, y)
    within, across = np.sort(cdist(a, a), axis=1)[:, 5], cdist(a, b)
    theirs = np.sort(cdist(b, b), axis=1)[:, 5]
    inside = across < within[:, None]
    found = run(support_test, x, y)
    assert found.precision.value == pytest.approx(inside.any(axis=0).mean(), abs=1e-12)
    assert found.recall.value == pytest.approx((across < theirs).any(axis=1).mean(), abs=1e-12)
    assert found.density.value == pytest.approx(inside.sum() / (5 * 45), abs=1e-12)
    assert found.coverage.value == pytest.approx(inside.any(axis=1).mean(), abs=1e-12)


def test_coverage_by_chance_is_that_of_its_authors():
    """Naeem et al. (2020), lemma 2: 1 − (M − 1)…(M − k) / (2M − 1)…(2M − k) for M rows and M draws."""
    m, k = 300, np.arange(1, 6)
    found = run(support_test, *normal(7, m, m, 3))
    assert found.coverage.expected == pytest.approx(1.0 - np.prod((m - k) / (2 * m - k)), abs=0.002)
    assert found.density.expected == pytest.approx(1.0, abs=0.01)


def test_dropped_and_invented_modes_are_told_apart():
    rng = np.random.default_rng(8)
    two = np.where(rng.random(600) < 0.5, -4.0, 4.0)[:, None] + rng.normal(size=(600, 2))
    one = 4.0 + rng.normal(size=(600, 2))
    dropped, invented = run(support_test, two, one), run(support_test, one, two)
    assert dropped.recall.value < 0.6
    assert dropped.precision.inside or dropped.precision.value > 0.9
    assert invented.precision.value < 0.6
    assert invented.recall.value > 0.9
    assert dropped.p_value < 0.05 > invented.p_value
    assert "recall" in dropped.sentence
    assert "precision 4" in invented.sentence


RECORDS = {"continuous": lambda x: x, "tied": lambda x: np.round(2.0 * x)}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_p_values_are_uniform_under_one_distribution(record, few_permutations):
    p, outside = [], 0
    for seed in range(100):
        x, y = map(record, normal([seed, 9], 30, 45, 2))
        found = run(support_test, x, y, seed)
        outside += not found.inside
        p.append(
            [run(mmd_test, x, y, seed).p_value, run(sliced_test, x, y, seed).p_value]
            + [measure.p_value for measure in found.measures]
        )
    assert min(kstest(column, "uniform").pvalue for column in np.transpose(p)) > 0.001
    assert outside / 100 < 0.14


def test_the_limit_is_kept_as_often_as_said(few_permutations):
    outside = np.zeros(2)
    for seed in range(100):
        x, y = normal([seed, 10], 40, 40, 2)
        outside += [not run(test, x, y, seed, level=0.1).inside for test in (mmd_test, sliced_test)]
    assert (outside / 100 > 0.03).all()
    assert (outside / 100 < 0.18).all()


@pytest.mark.parametrize("test", TESTS)
def test_units_do_not_matter_and_places_are_in_the_data_s(test):
    x, y = normal(11, 100, 100, 2, [1.0, 0.0])
    scale, shift = np.array([1e6, 1e-9]), np.array([-3e6, 5e-9])
    plain, scaled = run(test, x, y), run(test, x * scale + shift, y * scale + shift)
    assert plain.p_value == scaled.p_value
    assert plain.p_value < 0.05 or test is support_test
    one, other = plain.to_dict(), scaled.to_dict()
    if test is mmd_test:
        assert other["share"] == pytest.approx(one["share"], rel=1e-6)
        np.testing.assert_allclose(scaled.more, plain.more * scale + shift, rtol=1e-9)
        assert plain.more[0] < 0.5 < plain.fewer[0]
    elif test is sliced_test:
        np.testing.assert_allclose(scaled.direction, plain.direction, atol=1e-6)
    else:
        assert one == other


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_extreme_units(test, size):
    x, y = normal(12, 60, 60, 2, 0.3)
    assert run(test, x * size, y * size).p_value == pytest.approx(run(test, x, y).p_value, abs=0.011)
    x[0] = 1e150
    json.dumps(run(test, x, y).to_dict(), allow_nan=False)


@pytest.mark.parametrize("test", TESTS)
def test_equal_and_constant_samples_are_alike(test):
    x = normal(13, 50, 1, 2)[0]
    assert run(test, x, x.copy()).p_value > 0.05 or test is support_test  # copies lie too close for chance
    same = run(test, np.ones((30, 2)), np.ones((25, 2)))
    assert same.p_value > 0.05
    json.dumps(same.to_dict(), allow_nan=False)
    apart = run(test, np.zeros((50, 1)), np.ones((50, 1)))
    assert apart.p_value < 0.05
    if test is mmd_test:
        assert apart.more.tolist() == [0.0]
        assert apart.fewer.tolist() == [1.0]


@pytest.mark.parametrize("test", TESTS)
def test_many_rows_are_thinned_and_that_is_said(test, few_permutations):
    x, y = normal(14, 4_000, 1_600, 2, 0.4)
    found = run(test, x, y)
    assert (found.n, found.m, found.n_given, found.m_given) == (1_500, 1_500, 4_000, 1_600)
    assert "1,500 of 4,000 rows and 1,500 of 1,600" in found.sentence
    assert run(test, x, y).to_dict() == found.to_dict()
    assert run(test, x, y, seed=1).to_dict() != found.to_dict()


@pytest.mark.parametrize("test", [mmd_test, sliced_test])
def test_the_rows_needed_are_those_at_which_it_shows(test):
    found = run(test, *normal(15, 1_000, 1_000, 2, 0.5))
    assert found.rows_needed < 300
    fewer, more = found.rows_needed // 4, 4 * found.rows_needed
    shown = {
        n: sum(not run(test, *normal([s, n], n, n, 2, 0.5)).inside for s in range(10)) for n in (fewer, more)
    }
    assert shown[fewer] <= 6
    assert shown[more] >= 9
    alike = run(test, *normal(16, 100, 100, 2))
    assert alike.rows_needed is None
    assert "four times as many" in alike.sentence


def test_the_errors_are_those_of_repeated_samples(few_permutations):
    values, errors = [], []
    for seed in range(40):
        found = run(support_test, *normal([seed, 17], 100, 100, 2, scale=1.5))
        measures = found.precision, found.density, found.coverage
        errors.append([measure.error for measure in measures])
        values.append([measure.value for measure in measures])
    ratio = np.sqrt(np.mean(np.square(errors), axis=0)) / np.std(values, axis=0, ddof=1)
    assert (ratio > 0.6).all()
    assert (ratio < 1.5).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 40), st.integers(20, 40), st.integers(1, 4))
def test_the_four_do_not_depend_on_the_order_of_rows(seed, n, m, d):
    x, y = normal(seed, n, m, d, 0.3)
    rng = np.random.default_rng(seed)
    one, other = run(support_test, x, y), run(support_test, rng.permutation(x), rng.permutation(y))
    for a, b in zip(one.measures, other.measures, strict=True):
        assert a.value == b.value
        assert 0.0 <= a.low <= a.expected <= a.high


def test_bad_input_is_refused():
    x = np.ones((30, 2))
    for test in TESTS:
        for a, b, words in (
            (x, np.ones((30, 3)), "same columns"),
            (x, x[:1], "at least 2"),
            (x * np.nan, x, "finite"),
        ):
            with pytest.raises(DataError, match=words):
                run(test, a, b)
    with pytest.raises(DataError, match="at least 20 rows"):
        run(support_test, x, x[:19])
