"""The energy distance: its value, its level and its place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import energy_distance, kstest

from pofx.maths.energy import energy_test


def run(x, y, seed=0, level=0.05):
    return energy_test(x, y, np.random.default_rng(seed), level)


def test_it_is_that_of_scipy_in_one_column():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=80), rng.normal(0.4, 1.3, size=120)
    both = np.concatenate([x, y])
    between = 2.0 * np.abs(x[:, None] - y[None]).mean()
    expected = energy_distance(x, y) / np.sqrt(between)
    assert run(x[:, None], y[:, None]).share == pytest.approx(expected, rel=1e-9)
    assert run(x[:, None] - both.mean(), y[:, None] - both.mean()).share == pytest.approx(expected, rel=1e-9)


def test_it_is_the_definition_in_several_columns():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(50, 3)), rng.normal(0.3, 1.0, size=(70, 3))
    both = np.concatenate([x, y])
    quartiles = np.quantile(both, [0.25, 0.75], axis=0)
    x, y = x / (quartiles[1] - quartiles[0]), y / (quartiles[1] - quartiles[0])

    def mean_distance(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2)).mean()

    between = 2.0 * mean_distance(x, y)
    energy = between - mean_distance(x, x) - mean_distance(y, y)
    assert run(x, y).share == pytest.approx(np.sqrt(energy / between), rel=1e-9)


@pytest.mark.parametrize("record", [lambda x: x, np.round], ids=["continuous", "tied"])
def test_p_values_are_uniform_under_one_distribution(record):
    p = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        x, y = record(rng.standard_cauchy(size=(30, 2))), record(rng.standard_cauchy(size=(45, 2)))
        p.append(run(x, y, seed).p_value)
    assert kstest(p, "uniform").pvalue > 0.001


def test_the_limit_is_kept_as_often_as_said():
    above = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        found = run(rng.normal(size=(40, 2)), rng.normal(size=(40, 2)), seed, level=0.1)
        above += found.share > found.limit
    assert 0.06 < above / 300 < 0.15


def test_units_do_not_matter_and_the_place_is_in_the_data_s():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(100, 2)), rng.normal([1.0, 0.0], 1.0, size=(100, 2))
    plain = run(x, y)
    scale, shift = np.array([1e6, 1e-9]), np.array([-3e6, 5e-9])
    scaled = run(x * scale + shift, y * scale + shift)
    assert scaled.share == pytest.approx(plain.share, rel=1e-6)
    assert scaled.p_value == plain.p_value == 0.001
    np.testing.assert_allclose(scaled.more, plain.more * scale + shift, rtol=1e-9)
    assert plain.more[0] < 0.5 < plain.fewer[0]


def test_equal_and_constant_samples_are_alike():
    x = np.random.default_rng(3).normal(size=(50, 2))
    found = run(x, x.copy())
    assert (found.share, found.p_value) == (pytest.approx(0.0, abs=1e-7), 1.0)
    assert run(np.ones((5, 2)), np.ones((4, 2))).p_value == 1.0
    assert run(np.zeros((50, 1)), np.ones((50, 1))).share == 1.0
