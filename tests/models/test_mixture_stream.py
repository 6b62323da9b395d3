"""Batch after batch: stepwise EM comes to where a fit to all rows at once comes."""

from __future__ import annotations

import numpy as np
import pytest

import pofx
from pofx.errors import DataError, UnsupportedError

TRUTH = pofx.GaussianMixture.from_params(
    [0.5, 0.3, 0.2],
    [[0.0, 0.0], [4.0, 1.0], [-2.0, 5.0]],
    [[[1.0, 0.5], [0.5, 1.0]], [[0.6, 0.0], [0.0, 1.5]], [[1.0, -0.3], [-0.3, 0.4]]],
)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "VEV"])
def test_a_stream_comes_to_what_all_rows_at_once_give(kind):
    x = TRUTH.sample(30_000, random_state=1, exact=True)
    held_out = TRUTH.sample(5_000, random_state=2, exact=True)
    model = pofx.GaussianMixture(3, covariance_type=kind)
    for batch in np.split(x, 60):
        model.partial_fit(batch)
    whole = pofx.GaussianMixture(3, covariance_type=kind).fit(x)
    assert model.fit_.n_rows == 30_000
    assert model.fit_.effective_n == 30_000.0
    # Stepwise EM's parameters have a few times the variance of the maximum's: some 20 / 30,000 nats.
    assert model.score(held_out) == pytest.approx(whole.score(held_out), abs=5e-3)
    first = pofx.GaussianMixture(3, covariance_type=kind).fit(x[:500])
    assert model.score(held_out) > first.score(held_out) - 5e-3
    if kind == "full":
        assert np.abs(model.means_ - whole.means_).max() < 0.1


def test_one_batch_that_repeats_the_rows_stays_at_the_optimum():
    x = TRUTH.sample(2_000, random_state=3, exact=True)
    model = pofx.GaussianMixture(3, covariance_type="full").fit(x)
    before = model.means_, model.covariances_, model.weights_
    model.partial_fit(x)
    for a, b in zip(before, (model.means_, model.covariances_, model.weights_), strict=True):
        assert np.abs(a - b).max() < 1e-6


def test_weights_count_and_the_order_within_a_batch_does_not():
    x = TRUTH.sample(900, random_state=4, exact=True)
    first = pofx.GaussianMixture(2, covariance_type="full").fit(x[:500])

    def after(rows, w=None):
        return pofx.GaussianMixture(2, covariance_type="full").fit(x[:500]).partial_fit(rows, sample_weight=w)

    batch = x[500:]
    w = np.arange(400) % 3
    repeated = after(np.repeat(batch, w, axis=0)).log_density(batch)
    assert after(batch, w).log_density(batch) == pytest.approx(repeated, abs=1e-9)
    assert after(batch[::-1]).log_density(batch) == pytest.approx(after(batch).log_density(batch), abs=1e-9)
    assert np.abs(after(batch).log_density(batch) - first.log_density(batch)).max() > 1e-3


def test_what_cannot_be_added_is_refused_and_nothing_is_lost():
    x = TRUTH.sample(300, random_state=5, exact=True)
    model = pofx.GaussianMixture(2, covariance_type="full").partial_fit(x)
    before = model.log_density(x)
    for bad in (x[:0], x[:, :1], np.full((3, 2), np.nan)):
        with pytest.raises(DataError):
            model.partial_fit(bad)
    assert (model.log_density(x) == before).all()
    noisy = pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(x)
    with pytest.raises(UnsupportedError, match="without noise"):
        noisy.partial_fit(x)
