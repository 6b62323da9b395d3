"""One Gaussian against scipy, scikit-learn, quadrature and formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from pofx.errors import DegenerateError, ParameterError, PofxWarning, UnsupportedError
from pofx.models.gaussian import Gaussian


def rows(n=200, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) @ (np.eye(d) + 0.3 * np.tri(d, k=-1)) * np.geomspace(1, 30, d) + 5.0


@pytest.mark.parametrize("structure", ["full", "diag", "spherical"])
@pytest.mark.parametrize("d", [1, 2, 5, 40])
def test_log_density_is_scipys_to_1e_12(structure, d):
    x = rows(300, d, seed=d)
    g = Gaussian(structure).fit(x)
    theirs = stats.multivariate_normal(g.mean_, g.covariance_)
    queries = np.vstack([x, x.mean(axis=0) + 40 * x.std(axis=0)])
    expected = theirs.logpdf(queries)
    gap = np.abs(g.log_density(queries) - expected) / np.maximum(1, np.abs(expected))
    assert gap.max() < 1e-12


def test_closed_forms_are_the_maximum_likelihood_estimates():
    x = rows()
    g = Gaussian().fit(x)
    np.testing.assert_allclose(g.mean_, x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(g.covariance_, np.cov(x.T, bias=True), rtol=1e-12)
    np.testing.assert_allclose(np.diag(Gaussian("diag").fit(x).covariance_), x.var(axis=0), rtol=1e-12)
    spherical = np.diag(Gaussian("spherical").fit(x).covariance_)
    np.testing.assert_allclose(spherical, np.full(3, x.var(axis=0).mean()), rtol=1e-12)


def test_weighted_fit_is_numpys_weighted_covariance():
    x, w = rows(), np.random.default_rng(1).random(200)
    g = Gaussian(weight_kind="frequency").fit(x, sample_weight=w)
    np.testing.assert_allclose(g.mean_, np.average(x, axis=0, weights=w), rtol=1e-12)
    np.testing.assert_allclose(g.covariance_, np.cov(x.T, bias=True, aweights=w), rtol=1e-11)


def test_shrinkage_is_scikit_learns_on_standardised_columns():
    from sklearn.covariance import ledoit_wolf

    x = rows(40, 10)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    g = Gaussian(shrinkage="ledoit_wolf").fit(x)
    covariance, amount = ledoit_wolf(z, assume_centered=True)
    assert g.shrinkage_ == pytest.approx(amount, rel=1e-10)
    sd = x.std(axis=0)
    np.testing.assert_allclose(g.covariance_, covariance * sd[:, None] * sd, rtol=1e-9, atol=1e-9)


def test_oas_is_the_papers_equation_23():
    """scikit-learn drops the paper's 2/p terms, so the equation itself is the oracle."""
    x = rows(40, 10)
    s, n, p = np.corrcoef(x.T), 40, 10
    square, trace = np.trace(s @ s), np.trace(s)
    expected = ((1 - 2 / p) * square + trace**2) / ((n + 1 - 2 / p) * (square - trace**2 / p))
    assert Gaussian(shrinkage="oas").fit(x).shrinkage_ == pytest.approx(expected, rel=1e-12)


def test_more_columns_than_rows_needs_a_remedy_and_the_remedies_work():
    x = rows(20, 30)
    with pytest.raises(DegenerateError, match="ledoit_wolf"):
        Gaussian().fit(x)
    for remedy in (Gaussian(shrinkage="ledoit_wolf"), Gaussian("diag"), Gaussian("factor", n_factors=2)):
        assert np.isfinite(remedy.fit(x).log_density(x)).all()


@pytest.mark.parametrize("q", [1, 2, 3])
@pytest.mark.filterwarnings("ignore:FactorAnalysis did not converge")
def test_factor_analysis_reaches_scikit_learns_likelihood(q):
    from sklearn.decomposition import FactorAnalysis

    rng = np.random.default_rng(q)
    x = rng.standard_normal((400, 3)) @ rng.standard_normal((3, 8)) * 2 + rng.standard_normal((400, 8))
    ours = Gaussian("factor", n_factors=q).fit(x)
    theirs = FactorAnalysis(q, tol=1e-9, max_iter=20_000, svd_method="lapack").fit(x)
    assert ours.score(x) >= theirs.score(x) - 1e-7
    explicit = stats.multivariate_normal(ours.mean_, ours.covariance_).logpdf(x)
    np.testing.assert_allclose(ours.log_density(x), explicit, rtol=1e-10)
    assert ours.fit_.converged


def test_factor_analysis_with_all_its_freedom_is_the_full_gaussian():
    """Three columns and one factor have as many parameters as a covariance (when no Heywood case)."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((500, 1)) @ np.ones((1, 3)) + rng.standard_normal((500, 3))
    factor, full = Gaussian("factor", n_factors=1).fit(x), Gaussian().fit(x)
    assert factor.n_parameters_ == full.n_parameters_ == 9
    np.testing.assert_allclose(factor.covariance_, full.covariance_, rtol=1e-3)


def test_factors_are_chosen_by_bic():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 2)) @ rng.standard_normal((2, 9)) * 3 + rng.standard_normal((600, 9))
    g = Gaussian("factor").fit(x)
    assert g.loadings_.shape == (9, 2)
    best = min(g.fit_.search, key=lambda row: row["bic"])
    assert best["n_factors"] == 2


def test_images_with_far_more_columns_than_rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 3)) @ rng.standard_normal((3, 4096)) + 0.1 * rng.standard_normal((30, 4096))
    g = Gaussian("factor", n_factors=3).fit(x)
    assert np.isfinite(g.log_density(x)).all()
    assert g.sample(2).shape == (2, 4096)


def test_entropy_and_divergence_have_their_closed_forms():
    a, b = Gaussian().fit(rows(seed=1)), Gaussian("diag").fit(rows(seed=2) * 1.3)
    theirs = stats.multivariate_normal(a.mean_, a.covariance_)
    assert a.entropy() == pytest.approx(theirs.entropy(), rel=1e-12)
    gap, precision = a.mean_ - b.mean_, np.linalg.inv(b.covariance_)
    expected = 0.5 * (
        np.trace(precision @ a.covariance_) - 3 + gap @ precision @ gap
        + np.linalg.slogdet(b.covariance_)[1] - np.linalg.slogdet(a.covariance_)[1]
    )  # fmt: skip
    assert a.kl(b) == pytest.approx(expected, rel=1e-10)
    assert a.kl(b).standard_error == 0
    draws = a.sample(50_000, random_state=0, exact=True)
    assert (a.log_density(draws) - b.log_density(draws)).mean() == pytest.approx(expected, rel=0.02)


def test_maximum_likelihood_is_minimum_divergence_from_the_data():
    """Any other Gaussian has a lower mean log density on the rows, by at least nothing."""
    x = rows(d=2)
    best = Gaussian().fit(x)
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = Gaussian.from_params(
            best.mean_ + rng.normal(size=2) * 0.1, best.covariance_ * rng.uniform(0.7, 1.4)
        )
        assert other.score(x) < best.score(x)
        # For a Gaussian of the same family the loss of likelihood *is* the divergence.
        assert best.score(x) - other.score(x) == pytest.approx(best.kl(other), rel=1e-9)


def test_one_dimensional_functions_are_scipys():
    g = Gaussian.from_params(2.0, 9.0)
    norm = stats.norm(2.0, 3.0)
    x = np.array([-100.0, -3.0, 2.0, 8.0, 110.0])
    np.testing.assert_allclose(g.logcdf(x), norm.logcdf(x), rtol=1e-12)
    np.testing.assert_allclose(g.logsf(x), norm.logsf(x), rtol=1e-12)
    np.testing.assert_allclose(g.quantile([1e-200, 0.3, 0.5]), norm.ppf([1e-200, 0.3, 0.5]), rtol=1e-12)
    low, high = g.hdr(0.95).intervals[0]
    np.testing.assert_allclose([low, high], norm.ppf([0.025, 0.975]), rtol=1e-6)
    assert g.hdr(0.95).level == pytest.approx(norm.logpdf(low), abs=1e-6)


def test_region_levels_in_the_plane_are_chi_squares():
    g = Gaussian.from_params([0.0, 0.0], [[2.0, 0.5], [0.5, 1.0]])
    region = g.hdr(0.8, n=40_000)
    exact = g.log_density([[0.0, 0.0]])[0] - stats.chi2(2).ppf(0.8) / 2
    assert abs(region.level - exact) < 5 * region.standard_error


def test_conditionals_are_the_textbooks():
    g = Gaussian().fit(rows(d=4))
    mu, sigma = g.mean_, g.covariance_
    c = g.condition({1: 2.0, 3: -5.0})
    a, b = [0, 2], [1, 3]
    gain = sigma[np.ix_(a, b)] @ np.linalg.inv(sigma[np.ix_(b, b)])
    np.testing.assert_allclose(c.mean_, mu[a] + gain @ (np.array([2.0, -5.0]) - mu[b]), rtol=1e-9)
    np.testing.assert_allclose(c.covariance_, sigma[np.ix_(a, a)] - gain @ sigma[np.ix_(b, a)], rtol=1e-9)


def test_a_batch_of_conditionals_pairs_rows():
    x = rows(d=3)
    g = Gaussian().fit(x)
    batch = g.condition({0: x[:5, 0], 2: x[:5, 2]})
    assert len(batch) == 5
    joint = g.log_density(x[:5]) - g.marginal([0, 2]).log_density(x[:5][:, [0, 2]])
    np.testing.assert_allclose(batch.log_density(x[:5, [1]]), joint, rtol=1e-10)
    assert batch.sample(7, random_state=0).shape == (5, 7)
    assert batch.quantile(0.5).shape == (5,)
    np.testing.assert_allclose(batch.quantile(0.5), batch.mean()[:, 0], rtol=1e-10)


def test_density_integrates_to_one_by_quadrature():
    g = Gaussian().fit(rows(d=1))
    total, _ = integrate.quad(lambda v: float(g.density([v])[0]), -200, 200, points=[float(g.mean_[0])])
    assert total == pytest.approx(1.0, abs=1e-9)


def test_collinear_columns_are_named():
    x = rows(d=2)
    with pytest.raises(DegenerateError, match=r"column 2.*collinear|collinear.*column 2"):
        Gaussian().fit(np.c_[x, x[:, 0] - 2 * x[:, 1]])
    near = np.c_[x, x[:, 0] + 1e-5 * x[:, 0].std() * np.random.default_rng(0).standard_normal(len(x))]
    with pytest.warns(PofxWarning, match="nearly collinear.*condition number"):
        g = Gaussian().fit(near)
    assert "column 0" in g.fit_.notes[0]


def test_constant_columns_are_named():
    with pytest.raises(DegenerateError, match="Constant column 'column 1'"):
        Gaussian().fit(np.c_[rows(d=1), np.full(200, 3.0)])


@pytest.mark.parametrize(
    ("hyperparameters", "word"),
    [
        ({"covariance_type": "fulll"}, "full"),
        ({"shrinkage": 1.5}, "shrinkage"),
        ({"shrinkage": "ledoit"}, "ledoit_wolf"),
        ({"shrinkage": 0.1, "covariance_type": "diag"}, "shrinkage"),
        ({"n_factors": 0, "covariance_type": "factor"}, "n_factors"),
        ({"n_factors": 3, "covariance_type": "factor"}, "n_factors"),
        ({"missing": "ignore"}, "missing"),
        ({"weight_kind": "probability"}, "weight_kind"),
    ],
)
def test_bad_parameters_are_named(hyperparameters, word):
    with pytest.raises(ParameterError, match=word):
        Gaussian(**hyperparameters).fit(rows())


def test_impossible_parameters_are_refused():
    with pytest.raises(ParameterError, match=r"positive definite.*-1"):
        Gaussian.from_params([0, 0], [[1, 2], [2, 1]])
    with pytest.raises(ParameterError, match="symmetry"):
        Gaussian.from_params([0, 0], [[1, 0.5], [0.2, 1]])
    with pytest.raises(ParameterError, match="positive"):
        Gaussian.from_params(0, -1.0)


def test_functions_of_one_column_refuse_two():
    with pytest.raises(UnsupportedError, match="marginal"):
        Gaussian().fit(rows(d=2)).cdf([[0.0, 0.0]])
