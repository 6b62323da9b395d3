"""The fit under a conjugate prior: the paper's M-step at its fixed point, and its limits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pofx
from pofx.errors import ParameterError, UnsupportedError

NAMES = ["full", "tied", "diag", "EEI", "spherical", "EII"]


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(6)
    shape = np.array([[1.0, 0.0], [0.6, 1.4]])
    return np.concatenate(
        [rng.standard_normal((60, 2)) @ shape, rng.standard_normal((40, 2)) * 0.7 + [4.0, 3.0]]
    )


def textbook(x, r, name, kappa, mean, nu, scale):
    """Means and covariances (K, d, d) of Fraley and Raftery's (2007) M-step, as in the table of the paper."""
    (total, d), k, n = x.shape, r.shape[1], r.sum(axis=0)
    bar = r.T @ x / n[:, None]
    gap = bar - mean
    scatter = np.array([(r[:, c] * (x - bar[c]).T) @ (x - bar[c]) for c in range(k)])
    scatter += (kappa * n / (kappa + n))[:, None, None] * gap[:, :, None] * gap[:, None, :]
    means = (n[:, None] * bar + kappa * mean) / (n + kappa)[:, None]
    n3 = n[:, None, None]
    if name == "full":
        own = (scale + scatter) / (nu + d + n3 + 2)
    elif name == "tied":
        own = np.stack([(scale + scatter.sum(axis=0)) / (nu + d + total + k + 1)] * k)
    elif name in ("diag", "EEI"):
        square, target = np.diagonal(scatter, 0, 1, 2), np.diag(scale)
        if name == "diag":
            variance = (target + square) / (nu + n[:, None] + 3)
        else:
            variance = np.stack([(target + square.sum(axis=0)) / (nu + total + k + 2)] * k)
        own = variance[:, :, None] * np.eye(d)
    else:
        square, target = np.trace(scatter, axis1=1, axis2=2), np.trace(scale) / d
        if name == "spherical":
            variance = (target + square) / (nu + (n + 1) * d + 2)
        else:
            variance = np.full(k, (target + square.sum()) / (nu + (total + k) * d + 2))
        own = variance[:, None, None] * np.eye(d)
    return means, own


def as_full(model):
    c, (k, d) = model.covariances_, model.means_.shape
    if c.shape == (k,):
        return c[:, None, None] * np.eye(d)
    if model.covariance_type_ in ("diag", "EEI"):
        return c[:, :, None] * np.eye(d)
    return np.broadcast_to(c, (k, d, d))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize(
    "given", [True, {"shrinkage": 2.0, "mean": [1.0, -1.0], "dof": 6.5, "scale": [[3.0, 1], [1, 2]]}]
)
def test_the_fit_is_a_fixed_point_of_the_papers_m_step(name, k, given, x):
    model = pofx.GaussianMixture(k, covariance_type=name, prior=given).fit(x)
    if given is True:
        kappa, mean, nu, scale = 0.01, x.mean(axis=0), 4.0, np.cov(x.T) / k ** (2 / 2)
    else:
        kappa, mean, nu, scale = 2.0, np.array([1.0, -1.0]), 6.5, np.array([[3.0, 1.0], [1.0, 2.0]])
    r = model.predict_proba(x)
    means, own = textbook(x, r, name, kappa, mean, nu, scale)
    np.testing.assert_allclose(model.means_, means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(as_full(model), own, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.weights_, r.mean(axis=0), rtol=1e-5, atol=1e-7)
    assert (np.diff(model.fit_.trace) >= -1e-9).all()
    assert max(model.fit_.certificate.gradient.values()) < 1e-3
    assert model.fit_.converged


@pytest.mark.parametrize("name", NAMES)
def test_the_trace_is_the_log_posterior_up_to_a_constant(name, x):
    """Its rise between two fits from one start is that of likelihood times prior, by SciPy's densities."""
    from scipy.stats import invgamma, invwishart, multivariate_normal

    how = {
        "covariance_type": name,
        "prior": {"dof": 5.0, "scale": [[2.0, 0.5], [0.5, 1.0]]},
        "means_init": x[[0, 70]],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [pofx.GaussianMixture(2, max_iter=m, **how).fit(x) for m in (2, 500)]
    scale, nu = np.array([[2.0, 0.5], [0.5, 1.0]]), 5.0

    def log_posterior(model):
        full = as_full(model)
        out = model.log_density(x).sum()
        for mean, sigma in zip(model.means_, full, strict=True):
            out += multivariate_normal(x.mean(axis=0), sigma / 0.01).logpdf(mean)
        for sigma in full[:1] if name in ("tied", "EEI", "EII") else full:
            if name in ("full", "tied"):
                out += invwishart(nu, scale).logpdf(sigma)
            elif name in ("diag", "EEI"):
                out += invgamma(nu / 2, scale=np.diag(scale) / 2).logpdf(np.diag(sigma)).sum()
            else:
                out += invgamma(nu / 2, scale=np.trace(scale) / 4).logpdf(sigma[0, 0])
        return out

    risen = fits[1].fit_.trace[-1] - fits[0].fit_.trace[-1]
    assert risen > 0.01
    assert risen == pytest.approx(log_posterior(fits[1]) - log_posterior(fits[0]), abs=1e-6)


def test_many_rows_make_the_prior_vanish(x):
    w = np.full(len(x), 100_000)
    for name in ("full", "spherical"):
        ml = pofx.GaussianMixture(2, covariance_type=name).fit(x, sample_weight=w)
        mode = pofx.GaussianMixture(2, covariance_type=name, prior=True).fit(x, sample_weight=w)
        np.testing.assert_allclose(mode.means_, ml.means_, rtol=1e-4)
        np.testing.assert_allclose(mode.covariances_, ml.covariances_, rtol=1e-3, atol=1e-3)


def test_components_do_not_shrink_onto_repeated_rows():
    rng = np.random.default_rng(0)
    ties = np.concatenate([rng.standard_normal(40), np.full(6, 3.0)])
    model = pofx.GaussianMixture(5, covariance_type="full", prior=True).fit(ties)  # warnings are errors
    assert model.fit_.converged
    assert model.covariances_.min() > 1e-3 * ties.var()


def test_choice_summary_and_likelihood(x):
    model = pofx.GaussianMixture(prior=True).fit(x)
    assert model.n_components_ == 2
    chosen = min(model.fit_.search, key=lambda r: r["bic"])
    assert (chosen["covariance_type"], chosen["n_components"]) == (model.covariance_type_, 2)
    assert chosen["log_likelihood"] == pytest.approx(model.log_density(x).sum(), abs=1e-6)
    assert chosen["bic"] == pytest.approx(model.bic(x), abs=1e-5)
    single = pofx.GaussianMixture(2, covariance_type="tied", prior=True).fit(x)
    assert single.summary().log_likelihood == pytest.approx(single.log_density(x).sum(), abs=1e-6)
    ml = pofx.GaussianMixture(2, covariance_type="tied").fit(x)
    assert single.summary().log_likelihood < ml.summary().log_likelihood
    few = single.standard_errors(x, n_boot=100)
    np.testing.assert_allclose(few.means, ml.standard_errors(x, n_boot=100).means, rtol=0.3)


def test_units_order_weights_and_files(x, tmp_path):
    for name in ("full", "diag"):
        base = pofx.GaussianMixture(2, covariance_type=name, prior=True).fit(x)
        a = np.array([2.0**-90, 2.0**60])
        moved = pofx.GaussianMixture(2, covariance_type=name, prior=True).fit(x * a)
        np.testing.assert_allclose(moved.log_density(x * a) + np.log(a).sum(), base.log_density(x), atol=1e-6)
    w = np.arange(len(x)) % 3
    weighted = pofx.GaussianMixture(2, covariance_type="tied", prior=True).fit(x, sample_weight=w)
    repeated = pofx.GaussianMixture(2, covariance_type="tied", prior=True).fit(np.repeat(x, w, axis=0)[::-1])
    np.testing.assert_allclose(weighted.log_density(x), repeated.log_density(x), atol=1e-7)
    given = pofx.GaussianMixture(2, covariance_type="tied", prior={"dof": 7, "mean": np.zeros(2)}).fit(x)
    given.save(tmp_path / "m.pofx")
    again = pofx.load(tmp_path / "m.pofx")
    assert again.prior["dof"] == 7
    assert (again.log_density(x) == given.log_density(x)).all()


def test_many_rows_and_given_partitions(x):
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 5000)
    rows = rng.standard_normal((5000, 2)) + 6.0 * label[:, None]
    model = pofx.GaussianMixture(2, covariance_type="full", prior=True).fit(rows)
    same = pofx.GaussianMixture(2, covariance_type="full", prior=True, labels_init=label).fit(rows)
    np.testing.assert_allclose(model.log_density(rows), same.log_density(rows), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"prior": 0.1}, "None, True .* or a mapping"),
        ({"prior": {"kappa": 1}}, "shrinkage, mean, dof, scale; got 'kappa'"),
        ({"prior": {"shrinkage": -1.0}}, r"prior\['shrinkage'\]"),
        ({"prior": {"dof": 0.5}}, r"more than d - 1 = 1; got 0\.5"),
        ({"prior": {"mean": [1.0]}}, r"needs 2 numbers; got shape \(1,\)"),
        ({"prior": {"scale": [1.0, -1.0]}}, "positive and"),
        ({"prior": {"scale": [[1.0, 2.0], [2.0, 1.0]]}}, "positive definite"),
        ({"prior": {"scale": [1.0, 1.0, 1.0]}}, r"one number, 2 or \(2, 2\)"),
        ({"prior": True, "covariance_type": ["full", "VEV"]}, "conjugate; got 'VEV'"),
    ],
)
def test_impossible_priors(given, says, x):
    with pytest.raises(ParameterError, match=says):
        pofx.GaussianMixture(2, **{"covariance_type": "full", **given}).fit(x)


def test_what_is_of_maximum_likelihood_says_so(x):
    how = pofx.GaussianMixture(2, covariance_type="full", prior=True)
    with pytest.raises(UnsupportedError, match=r"steps .*leave out prior="):
        how.steps(x)
    with pytest.raises(UnsupportedError, match="bootstrap_lrt"):
        how.bootstrap_lrt(x)
