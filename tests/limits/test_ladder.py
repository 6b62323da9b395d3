"""The ladder of limits: a model in the setting where an older sibling is exact must agree with it."""

from __future__ import annotations

import numpy as np
import pytest

import pofx


def rows(n=120, d=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ (np.eye(d) + 0.5 * np.tri(d, k=-1)) * [1.0, 30.0, 0.1][:d] + 4.0


def queries(x):
    return np.vstack([x, x.mean(axis=0) + 12 * x.std(axis=0)])


@pytest.mark.parametrize(
    ("structure", "gaussian"),
    [("full", "full"), ("tied", "full"), ("diag", "diag"), ("spherical", "spherical")],
)
@pytest.mark.parametrize("d", [1, 3])
def test_a_mixture_of_one_is_the_gaussian(structure, gaussian, d):
    x = rows(d=d)
    one = pofx.GaussianMixture(1, covariance_type=structure).fit(x)
    expected = pofx.Gaussian(gaussian).fit(x).log_density(queries(x))
    np.testing.assert_allclose(one.log_density(queries(x)), expected, rtol=1e-12, atol=1e-12)
    assert one.n_parameters_ == pofx.Gaussian(gaussian).fit(x).n_parameters_


def test_a_mixture_with_a_component_on_every_row_is_the_kernel_estimate():
    x = rows(60)
    h = np.array([0.3, 4.0])
    kde = pofx.KDE(h).fit(x)
    mixture = pofx.GaussianMixture.from_params(np.full(60, 1 / 60), x, np.diag(h**2), covariance_type="tied")
    np.testing.assert_allclose(mixture.log_density(queries(x)), kde.log_density(queries(x)), rtol=1e-11)
    np.testing.assert_allclose(mixture.covariance(), kde.covariance(), rtol=1e-10)


def test_a_kernel_estimate_with_a_huge_bandwidth_is_one_kernel():
    x = rows(80, d=1)
    h = 1e4 * x.std()
    kde = pofx.KDE(h).fit(x)
    one = pofx.Gaussian.from_params(x.mean(axis=0), x.var(axis=0) + h**2)
    np.testing.assert_allclose(kde.log_density(x), one.log_density(x), rtol=1e-7)


def test_a_full_shrinkage_is_the_diagonal():
    x = rows(d=3)
    shrunk, diagonal = pofx.Gaussian(shrinkage=1.0).fit(x), pofx.Gaussian("diag").fit(x)
    np.testing.assert_allclose(shrunk.log_density(x), diagonal.log_density(x), rtol=1e-12)


def test_a_histogram_of_one_cell_is_uniform():
    x = rows(d=2)
    box = [np.array([c.min() - 1, c.max() + 1]) for c in x.T]
    uniform = pofx.Histogram(bins=box, smoothing=0).fit(x)
    np.testing.assert_allclose(
        uniform.log_density(x), -np.log(np.prod([np.ptp(edges) for edges in box])), rtol=1e-12
    )


def test_a_tophat_kernel_estimate_is_a_moving_histogram():
    x = rows(d=1)
    width = 0.8 * x.std()
    kde = pofx.KDE(width / np.sqrt(12.0), kernel="tophat").fit(x)
    q = np.linspace(x.min(), x.max(), 50)
    share = (np.abs(q[:, None] - x[:, 0]) <= width / 2).mean(axis=1)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(kde.log_density(q[:, None]), np.log(share / width), rtol=1e-9)
