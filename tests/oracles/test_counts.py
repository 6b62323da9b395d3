"""Counts beyond a limit against scipy.stats."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pofx.maths.counts import count_quantile


@pytest.mark.parametrize("n", [1, 7, 300, 200_000])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.95])
def test_quantiles_are_those_of_the_binomial_and_the_beta_binomial(n: int, level: float) -> None:
    for rate in (0.004, 0.05):
        assert count_quantile(n, level, rate=rate) == stats.binom.ppf(level, n, rate)
        m, k = 499, round(rate * 500)
        found = count_quantile(n, level, rate=k / 500, m=m)
        cumulated = np.cumsum(stats.betabinom.pmf(np.arange(found + 1), n, k, m + 1 - k))
        assert cumulated[-1] >= level - 1e-9
        assert found == 0 or cumulated[-2] < level + 1e-9
