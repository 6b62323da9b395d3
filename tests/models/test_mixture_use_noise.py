"""The uses of a mixture with uniform noise, and of one fitted to rows with errors."""

from __future__ import annotations

import numpy as np
import pytest

import pofx
from pofx.errors import ParameterError, UnsupportedError


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(1)
    groups = rng.standard_normal((160, 2)) * 0.5 + np.repeat([[0.0, 0.0], [4.0, 2.0]], 80, axis=0)
    return np.concatenate([groups, rng.uniform(-8, 10, (40, 2))])


@pytest.fixture(scope="module")
def model(x):
    return pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(x)


def test_draws_of_the_noise_have_the_label_minus_one(model):
    rows, labels = model.sample(4000, random_state=0, return_labels=True)
    assert (rows == model.sample(4000, random_state=0)).all()
    assert abs((labels == -1).mean() - model.noise_weight_) < 0.03
    low, high = model.noise_box_
    noise = rows[labels == -1]
    assert (noise >= low - 0.01).all()
    assert (noise <= high + 0.01).all()
    near = np.abs(rows[labels == 1] - model.means_[1]) / np.sqrt(np.diagonal(model.covariances_[1]))
    assert near.max() < 6


def test_the_noise_is_one_more_class(model, x):
    r = model.predict_proba(x)
    np.testing.assert_allclose(model.uncertainty(x), 1.0 - r.max(axis=1), atol=1e-14)
    certainty = np.log(r.max(axis=1)).sum()
    assert model.icl(x) == pytest.approx(model.bic(x) - 2.0 * certainty, rel=1e-12)
    s = model.summary(x)
    assert sum(s.counts) + s.noise_count == len(x)
    assert s.noise_weight == pytest.approx(1.0 - sum(s.weights))
    assert "uniform noise" in str(s)
    searched = pofx.GaussianMixture([1, 2], covariance_type="full", noise=True).fit(x)
    for row in searched.fit_.search:
        assert row["icl"] >= row["bic"] - 1e-9
    chosen = searched.fit_.search[searched.n_components_ - 1]
    assert chosen["icl"] == pytest.approx(searched.icl(x), abs=1e-2)


def test_the_certificate_counts_the_noises_weight(model, x):
    certificate = model.fit_.certificate
    assert max(certificate.gradient.values()) < 1e-6
    assert certificate.multiplier == pytest.approx(len(x), rel=1e-6)


def test_noise_moves_no_mode(model):
    modes = model.modes()
    np.testing.assert_allclose(modes.log_density, model.log_density(modes.points), rtol=1e-12)
    np.testing.assert_allclose(np.sort(modes.points, axis=0), model.means_, atol=1e-3)


def test_labels_start_the_components(x):
    label = (x[:, 0] > 2).astype(int)
    given = pofx.GaussianMixture(2, covariance_type="full", noise=True, labels_init=label).fit(x)
    free = pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(x)
    np.testing.assert_allclose(given.means_, free.means_, atol=1e-4)
    assert given.noise_weight_ == pytest.approx(free.noise_weight_, abs=1e-4)


def test_what_knows_no_noise_says_so(model, x):
    for ask in (model.standard_errors, model.merge_components, model.steps, model.bootstrap_lrt):
        with pytest.raises(UnsupportedError, match="without noise"):
            ask(x)
    with pytest.raises(ParameterError, match="prior and noise=True"):
        pofx.GaussianMixture(2, covariance_type="full", noise=True, prior=True).fit(x)


def test_rows_with_errors_have_a_certificate_and_no_icl():
    rng = np.random.default_rng(2)
    truth = rng.standard_normal(300) * 0.4 + 5.0 * (np.arange(300) % 2)
    sd = rng.uniform(0.1, 0.6, 300)
    rows = truth + sd * rng.standard_normal(300)
    model = pofx.GaussianMixture([1, 2], covariance_type="full").fit(rows, errors=sd)
    assert max(model.fit_.certificate.gradient.values()) < 1e-4
    assert all(r["icl"] is None for r in model.fit_.search)
    assert model.summary().log_likelihood == pytest.approx(
        model.log_density_observed(rows, sd).sum(), abs=1e-6
    )
    label = np.arange(300) % 2
    given = pofx.GaussianMixture(2, covariance_type="full", labels_init=label).fit(rows, errors=sd)
    np.testing.assert_allclose(given.means_, model.means_, atol=1e-4)
    with pytest.raises(ParameterError, match="prior and errors"):
        pofx.GaussianMixture(2, covariance_type="full", prior=True).fit(rows, errors=sd)
