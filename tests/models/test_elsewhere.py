"""Models of scikit-learn and SciPy taken over, and given back: the same density on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity

import pofx
from pofx.errors import NotFittedError, ParameterError, UnsupportedError

ROWS = np.random.default_rng(0).normal(size=(200, 2)) @ [[2.0, 0.3], [0.0, 1.0]] + [5.0, -1.0]
ASKED = np.random.default_rng(1).normal(size=(50, 2)) * 3.0 + [5.0, -1.0]


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_mixture_there_and_back(kind: str) -> None:
    theirs = GaussianMixture(n_components=3, covariance_type=kind, random_state=0).fit(ROWS)
    ours = pofx.from_sklearn(theirs)
    np.testing.assert_allclose(ours.log_density(ASKED), theirs.score_samples(ASKED), rtol=0, atol=1e-10)
    again = pofx.to_sklearn(ours)
    np.testing.assert_allclose(again.score_samples(ASKED), theirs.score_samples(ASKED), rtol=0, atol=1e-10)
    np.testing.assert_allclose(again.predict_proba(ASKED), ours.predict_proba(ASKED), rtol=0, atol=1e-10)
    assert again.sample(5)[0].shape == (5, 2)


@pytest.mark.parametrize("kernel", ["gaussian", "tophat", "epanechnikov", "linear", "cosine"])
def test_a_kernel_estimate_there_and_back(kernel: str) -> None:
    theirs = KernelDensity(bandwidth=0.7, kernel=kernel).fit(ROWS[:, :1])
    ours = pofx.from_sklearn(theirs)
    asked = ROWS[:40, :1] + 0.013
    np.testing.assert_allclose(ours.log_density(asked), theirs.score_samples(asked), rtol=0, atol=1e-9)
    again = pofx.to_sklearn(ours)
    np.testing.assert_allclose(again.score_samples(asked), theirs.score_samples(asked), rtol=0, atol=1e-9)


def test_scipys_kernel_estimate_and_normal() -> None:
    theirs = stats.gaussian_kde(ROWS.T)
    ours = pofx.from_scipy(theirs)
    np.testing.assert_allclose(ours.log_density(ASKED), theirs.logpdf(ASKED.T), rtol=0, atol=1e-8)
    normal = stats.multivariate_normal([1.0, 2.0], [[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(
        pofx.from_scipy(normal).log_density(ASKED), normal.logpdf(ASKED), rtol=0, atol=1e-10
    )
    gamma = stats.gamma(2.0, scale=3.0)
    np.testing.assert_allclose(pofx.from_scipy(gamma).log_density([1.0, 4.0]), gamma.logpdf([1.0, 4.0]))


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (GaussianMixture(n_components=2), NotFittedError),
        (KernelDensity(), NotFittedError),
        (BayesianGaussianMixture(n_components=2, random_state=0, max_iter=500).fit(ROWS), UnsupportedError),
        (3, ParameterError),
    ],
    ids=["mixture", "kernel", "bayesian", "number"],
)
def test_what_cannot_be_taken_over_says_why(model: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        pofx.from_sklearn(model)


def test_what_scikit_learn_does_not_have_is_not_given_back() -> None:
    with pytest.raises(UnsupportedError):
        pofx.to_sklearn(pofx.Histogram().fit(ROWS))
    with pytest.raises(ParameterError):
        pofx.from_scipy("gamma")
