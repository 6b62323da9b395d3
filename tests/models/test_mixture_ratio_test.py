"""The bootstrap of the likelihood ratio: the statistic is that of the best fits, p is right under K."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pofx
from pofx.errors import ParameterError

EXAMPLES = Path(__file__).parents[2] / "examples"


def two_groups(n=120, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n) + 5.0 * (np.arange(n) % 2)


def test_two_groups_are_found_and_the_tests_stop_there():
    x = two_groups()
    found = pofx.GaussianMixture(covariance_type="full").bootstrap_lrt(x, n_boot=39)
    assert found.n_components == 2
    assert [t.n_components for t in found.tests] == [1, 2]
    first, second = found.tests
    assert first.p_value == 1 / 40
    assert second.p_value > 0.05
    for test in found.tests:
        assert len(test.simulated) == 39
        assert min(test.simulated) >= 0.0
        larger = sum(t >= test.statistic for t in test.simulated)
        assert test.p_value == pytest.approx((1 + larger) / 40)
    assert "K = 2" in str(found)
    assert "not rejected" in str(found).split("\n")[2]
    assert json.loads(json.dumps(found.to_dict()))["n_components"] == 2


@pytest.mark.parametrize("kind", ["tied", "full"])
def test_the_statistic_is_twice_the_gain_of_the_full_search(kind):
    """Starts by splitting do not stop short of what ten random starts of each kind find."""
    x = pofx.read(EXAMPLES / "faithful.csv")
    best = [pofx.GaussianMixture(k, covariance_type=kind).fit(x).fit_.trace[-1] for k in (2, 3)]
    found = pofx.GaussianMixture(covariance_type=kind).bootstrap_lrt(x, n_components=2, n_boot=1)
    assert found.tests[0].statistic == pytest.approx(2.0 * (best[1] - best[0]), abs=0.01)


def test_under_one_component_p_is_spread_over_the_unit_interval():
    """Forty samples of one Gaussian, p by 9 replicates each: mean one half, its standard error 0.046."""
    p = [
        pofx.GaussianMixture(covariance_type="tied")
        .bootstrap_lrt(np.random.default_rng(s).standard_normal(50), n_components=1, n_boot=9, random_state=s)
        .tests[0]
        .p_value
        for s in range(40)
    ]
    assert abs(np.mean(p) - 0.55) < 0.15  # of {0.1, ..., 1}, each as likely
    assert np.mean(np.array(p) <= 0.2) < 0.45


def test_seeds_units_weights_and_given_starts():
    x = two_groups(60, 1)
    how = pofx.GaussianMixture(5, covariance_type="tied", means_init=[[0.0]] * 5)
    a = how.bootstrap_lrt(x, n_components=1, n_boot=9, random_state=2).tests[0]
    b = how.bootstrap_lrt(x, n_components=1, n_boot=9, random_state=2).tests[0]
    assert a == b
    scaled = how.bootstrap_lrt(x * 2.0**-300, n_components=1, n_boot=9, random_state=2).tests[0]
    assert scaled.statistic == pytest.approx(a.statistic, abs=1e-3)
    np.testing.assert_allclose(scaled.simulated, a.simulated, atol=0.01)
    double = how.bootstrap_lrt(x, sample_weight=np.full(60, 2), n_components=1, n_boot=9).tests[0]
    assert double.statistic == pytest.approx(2.0 * a.statistic, abs=1e-2)
    assert not hasattr(how, "params_")


def test_bad_input():
    x = two_groups(30)
    with pytest.raises(ParameterError, match="one covariance_type"):
        pofx.GaussianMixture().bootstrap_lrt(x)
    with pytest.raises(ParameterError, match="level must be"):
        pofx.GaussianMixture(covariance_type="tied").bootstrap_lrt(x, level=1.0)
    with pytest.raises(ParameterError, match="n_boot"):
        pofx.GaussianMixture(covariance_type="tied").bootstrap_lrt(x, n_boot=0)
