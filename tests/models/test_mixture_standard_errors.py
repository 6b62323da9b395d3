"""Standard errors by the bootstrap: the textbook's where there is one, and nothing moves that should not."""

from __future__ import annotations

import numpy as np
import pytest

import pofx
from pofx.errors import DataError, DegenerateError, ParameterError


def draw(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 2)) @ [[1.0, 0.0], [0.5, 2.0]]


@pytest.mark.parametrize("kind", ["nonparametric", "weighted likelihood"])
def test_one_component_has_the_textbooks_standard_errors(kind):
    """The mean: s / √n; a variance: √((m₄ − s⁴) / n), m₄ the fourth central moment."""
    x = draw()
    model = pofx.GaussianMixture(1, covariance_type="full").fit(x)
    found = model.standard_errors(x, n_boot=3000, kind=kind)
    n, centred = len(x), x - x.mean(axis=0)
    np.testing.assert_allclose(found.means[0], x.std(axis=0) / np.sqrt(n), rtol=0.05)
    products = centred[:, :, None] * centred[:, None, :]
    np.testing.assert_allclose(found.covariances[0], products.std(axis=0) / np.sqrt(n), rtol=0.06)
    assert found.weights.tolist() == [0.0]
    assert (found.n_boot, found.n_failed) == (3000, 0)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical", "EEI", "VEV"])
def test_far_components_have_those_of_the_information(name):
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.standard_normal((900, 2)), rng.standard_normal((600, 2)) * 2.0 + [30.0, 10.0]])
    if name in ("tied", "EEI"):
        x[900:] = (x[900:] - [30.0, 10.0]) / 2.0 + [30.0, 10.0]
    model = pofx.GaussianMixture(2, covariance_type=name).fit(x)
    found = model.standard_errors(x, n_boot=1000)
    assert found.covariances.shape == model.covariances_.shape
    w = model.weights_
    np.testing.assert_allclose(found.weights, np.sqrt(w * (1 - w) / len(x)), rtol=0.15)
    variance = model.summary().to_dict()["sds"]
    n = w[:, None] * len(x)
    np.testing.assert_allclose(found.means, np.array(variance) / np.sqrt(n), rtol=0.15)
    v = model.covariances_
    if name == "full":
        own = np.diagonal(v, 0, 1, 2)
        np.testing.assert_allclose(np.diagonal(found.covariances, 0, 1, 2), own * np.sqrt(2 / n), rtol=0.15)
    elif name == "tied":
        np.testing.assert_allclose(np.diag(found.covariances), np.diag(v) * np.sqrt(2 / len(x)), rtol=0.15)
    elif name == "diag":
        np.testing.assert_allclose(found.covariances, v * np.sqrt(2 / n), rtol=0.15)
    elif name == "spherical":
        np.testing.assert_allclose(found.covariances, v * np.sqrt(1 / n[:, 0]), rtol=0.15)


def test_overlap_makes_them_larger_and_labels_do_not_switch():
    """Two components that exchange rows: wider than if labels were known, but never as wide as a switch."""
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.standard_normal(300), rng.standard_normal(300) + 2.5])
    model = pofx.GaussianMixture(2, covariance_type="full").fit(x)
    found = model.standard_errors(x, n_boot=300)
    sd = np.sqrt(model.covariances_[:, 0, 0])
    assert (found.means[:, 0] > 1.2 * sd / np.sqrt(300)).all()
    assert (found.means[:, 0] < 0.6).all()


def test_units_weights_seeds_and_batches():
    x = np.concatenate([draw(150), draw(150, 1) + np.array([8.0, 0.0])])
    model = pofx.GaussianMixture(2, covariance_type="full").fit(x)
    found = model.standard_errors(x, n_boot=40, random_state=3)
    again = model.standard_errors(x, n_boot=40, random_state=3)
    assert (found.means == again.means).all()
    scaled = pofx.GaussianMixture(2, covariance_type="full").fit(x * [1e-40, 8.0])
    moved = scaled.standard_errors(x * [1e-40, 8.0], n_boot=40, random_state=3)
    np.testing.assert_allclose(moved.means, found.means * [1e-40, 8.0], rtol=1e-3)
    np.testing.assert_allclose(moved.covariances[:, 0, 1], found.covariances[:, 0, 1] * 8e-40, rtol=1e-3)
    double = model.standard_errors(x, sample_weight=np.full(300, 2), n_boot=400)
    once = model.standard_errors(x, n_boot=400)
    np.testing.assert_allclose(double.means * np.sqrt(2.0), once.means, rtol=0.3)
    assert double.means.mean() < 0.85 * once.means.mean()


def test_large_rows_are_taken_in_batches(monkeypatch):
    from pofx.models.mixture import standard_errors

    x = np.concatenate([draw(150), draw(150, 1) + np.array([8.0, 0.0])])
    model = pofx.GaussianMixture(2, covariance_type="tied").fit(x)
    whole = model.standard_errors(x, n_boot=30)
    monkeypatch.setattr(standard_errors, "HELD", 300 * 7)
    parts = model.standard_errors(x, n_boot=30)
    np.testing.assert_allclose(whole.means, parts.means, rtol=1e-3)


def test_bad_input_and_replicates_that_fail():
    x = draw(60)
    model = pofx.GaussianMixture(2, covariance_type="full").fit(x)
    with pytest.raises(ParameterError, match="kind must be one of 'nonparametric'"):
        model.standard_errors(x, kind="jackknife")
    with pytest.raises(ParameterError, match="n_boot"):
        model.standard_errors(x, n_boot=1)
    with pytest.raises(DataError, match="At least 2 rows"):
        model.standard_errors(x[:1])
    spike = np.concatenate([np.linspace(-5, 5, 60), [20.0, 20.001, 20.002]])
    sharp = pofx.GaussianMixture.from_params([0.95, 0.05], [0.0, 20.001], [9.0, 1e-6])
    with pytest.raises(DegenerateError, match=r"50 of 50 .*weighted likelihood"):
        sharp.standard_errors(spike, n_boot=50)
