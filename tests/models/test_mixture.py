"""The mixture as a distribution and as an algorithm: routes to one number that must agree."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.mixture import GaussianMixture as SklearnMixture

import pofx
from pofx.core.fold import Blocks
from pofx.maths.gaussian_batch import cholesky, floor_eigenvalues, precision, triangular_inverse
from pofx.maths.moments import Moments
from pofx.models.mixture.em import Mixtures, climb
from pofx.models.mixture.frame import Frame
from pofx.models.mixture.polish import polish
from pofx.models.mixture.rows import CachedRows
from pofx.models.mixture.starts import Sketch, doubled, merged, split, state_from_labels, ward
from pofx.models.mixture.structures import STRUCTURES, structure

KINDS = ["full", "tied", "diag", "spherical"]


def groups(n=300, d=2, k=3, seed=0):
    rng = np.random.default_rng([seed, n, d])
    means = 4.0 * rng.standard_normal((k, d))
    shapes = rng.standard_normal((k, d, d)) / np.sqrt(d) + np.eye(d)
    label = rng.integers(0, k, n)
    return means[label] + np.einsum("nij,nj->ni", shapes[label], rng.standard_normal((n, d)))


def known(kind="full", d=2):
    rng = np.random.default_rng(5)
    a = rng.standard_normal((3, d, d)) * 0.4 + np.eye(d)
    full = a @ np.swapaxes(a, 1, 2)
    covariances = {
        "full": full,
        "tied": full[0],
        "diag": np.diagonal(full, 0, 1, 2).copy(),
        "spherical": np.array([0.5, 1.0, 2.0]),
    }[kind]
    means = rng.standard_normal((3, d)) * 3
    return pofx.GaussianMixture.from_params([0.2, 0.3, 0.5], means, covariances, covariance_type=kind)


def as_full(model):
    c, (k, d) = model.covariances_, model.means_.shape
    return {
        "full": lambda: c,
        "tied": lambda: np.broadcast_to(c, (k, d, d)),
        "diag": lambda: c[:, :, None] * np.eye(d),
        "spherical": lambda: c[:, None, None] * np.eye(d),
    }[model.covariance_type_]()


# ---------------------------------------------------------------- the distribution


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 3])
def test_log_density_is_scipys(kind, d):
    model = known(kind, d)
    x = np.vstack([model.sample(50, random_state=1), np.full((1, d), 40.0)])
    logs = [
        np.log(w) + multivariate_normal(m, c).logpdf(x)
        for w, m, c in zip(model.weights_, model.means_, as_full(model), strict=True)
    ]
    np.testing.assert_allclose(model.log_density(x), logsumexp(logs, axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1.0, rtol=1e-12)
    assert (model.predict(x[:50]) == np.argmax(np.array(logs)[:, :50], axis=0)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_marginal_times_conditional_is_the_joint(kind):
    model = known(kind, 3)
    x = model.sample(20, random_state=2)
    marginal = model.marginal([2, 0]).log_density(x[:, [2, 0]])
    rest = np.array([model.condition({2: row[2], 0: row[0]}).log_density(row[[1]])[0] for row in x])
    np.testing.assert_allclose(marginal + rest, model.log_density(x), rtol=1e-10)
    assert model.condition({0: 1.0}).covariance_type_ == kind


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_draws(kind):
    model = known(kind)
    x = model.sample(200_000, random_state=3, exact=True)
    np.testing.assert_allclose(model.mean(), x.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(model.covariance(), np.cov(x.T), rtol=0.03, atol=0.05)
    counts = np.bincount(model.predict(x), minlength=3) / len(x)
    assert np.abs(counts - model.weights_).max() < 0.1


def test_distribution_function_by_three_routes():
    model = known("diag", 1)
    points = np.array([-6.0, -1.0, 0.3, 2.0, 7.0])
    exact = sum(
        w * norm(m, np.sqrt(c)).cdf(points)
        for w, m, c in zip(model.weights_, model.means_[:, 0], model.covariances_[:, 0], strict=True)
    )
    np.testing.assert_allclose(model.cdf(points), exact, rtol=1e-12)
    np.testing.assert_allclose(model.sf(points), 1.0 - exact, atol=1e-12)
    area = quad(lambda t: float(model.density([t])[0]), -40, 2.0, limit=200)[0]
    assert model.cdf([2.0])[0] == pytest.approx(area, abs=1e-8)
    np.testing.assert_allclose(model.quantile(model.cdf(points[:4])), points[:4], rtol=1e-9)
    far = model.logsf([60.0])[0]
    assert np.isfinite(far)
    assert far < -500


def test_components_come_in_the_order_of_their_means_and_parameters_are_counted():
    model = pofx.GaussianMixture.from_params([0.7, 0.3], [5.0, -5.0], [1.0, 4.0])
    assert model.means_[:, 0].tolist() == [-5.0, 5.0]
    assert model.weights_.tolist() == [0.3, 0.7]
    assert model.covariances_.ravel().tolist() == [4.0, 1.0]
    # mclust's df for K = 3, d = 2: VVV 17, EEE 11, VVI 14, VII 11
    assert [known(kind).n_parameters_ for kind in KINDS] == [17, 11, 14, 11]


def test_criteria_are_their_definitions():
    x = groups()
    model = pofx.GaussianMixture(2, covariance_type="tied").fit(x)
    total, k = model.log_density(x).sum(), model.n_parameters_
    assert model.bic(x) == pytest.approx(-2 * total + k * np.log(len(x)), rel=1e-12)
    assert model.aic(x) == pytest.approx(-2 * total + 2 * k, rel=1e-12)
    assert model.score(x) == pytest.approx(total / len(x), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_covariances_have_scikit_learns_shapes(kind):
    x = groups(d=3)
    ours = pofx.GaussianMixture(3, covariance_type=kind).fit(x)
    theirs = SklearnMixture(3, covariance_type=kind, tol=1e-6, random_state=0, max_iter=500).fit(x)
    assert ours.covariances_.shape == theirs.covariances_.shape
    assert ours.score(x) >= theirs.score(x) - 1e-6


# ---------------------------------------------------------------- the fit


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_is_a_fixed_point_of_plain_em(kind):
    """scikit-learn's own EM step, started from the fit, gains nothing."""
    x = groups(seed=2)
    ours = pofx.GaussianMixture(3, covariance_type=kind).fit(x)
    theirs = SklearnMixture(
        3, covariance_type=kind, max_iter=1, tol=0.0, reg_covar=0.0, weights_init=ours.weights_,
        means_init=ours.means_, random_state=0,
    )  # fmt: skip
    precisions = (
        1.0 / ours.covariances_ if kind in ("diag", "spherical") else np.linalg.inv(ours.covariances_)
    )
    theirs.set_params(precisions_init=precisions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(x)
    gained = (theirs.score(x) - ours.score(x)) * len(x)
    assert -1e-8 < gained < 1e-4
    np.testing.assert_allclose(theirs.means_, ours.means_, atol=5e-3)


def test_the_gradient_vanishes_at_the_optimum():
    x = groups(seed=4)
    model = pofx.GaussianMixture(3, covariance_type="full", tol=1e-9).fit(x)
    total = model.log_density(x).sum()
    step = 1e-3
    for k in range(3):
        for j in range(2):
            for sign in (-1, 1):
                means = model.means_.copy()
                means[k, j] += sign * step
                moved = pofx.GaussianMixture.from_params(model.weights_, means, model.covariances_)
                assert moved.log_density(x).sum() <= total


@pytest.mark.parametrize("kind", KINDS)
def test_given_starts_are_where_em_begins(kind):
    x = groups(seed=1)
    best = pofx.GaussianMixture(3, covariance_type=kind).fit(x)
    again = pofx.GaussianMixture(
        3, covariance_type=kind, weights_init=best.weights_, means_init=best.means_,
        covariances_init=best.covariances_,
    ).fit(x)  # fmt: skip
    np.testing.assert_allclose(again.log_density(x), best.log_density(x), atol=1e-3)
    only_means = pofx.GaussianMixture(covariance_type=kind, means_init=best.means_).fit(x)
    assert only_means.n_components_ == 3
    assert only_means.score(x) == pytest.approx(best.score(x), abs=1e-6)


def test_a_given_start_may_lead_to_a_worse_optimum_and_the_search_does_not():
    x = np.concatenate([np.linspace(-1, 1, 40) + c for c in (-20, 0, 20)])
    stuck = pofx.GaussianMixture(3, covariance_type="tied", means_init=[[-20.5], [-19.5], [10.0]]).fit(x)
    assert (
        pofx.GaussianMixture(3, covariance_type="tied").fit(x).score(x[:, None])
        > stuck.score(x[:, None]) + 0.1
    )


def test_weights_order_and_blocks():
    x = np.round(groups(200, seed=3), 2)
    w = np.random.default_rng(0).integers(0, 3, len(x))
    repeated = np.repeat(x, w, axis=0)
    a = pofx.GaussianMixture(3, covariance_type="full").fit(x, sample_weight=w)
    b = pofx.GaussianMixture(3, covariance_type="full").fit(repeated[::-1])
    np.testing.assert_allclose(a.log_density(x), b.log_density(x), atol=1e-6)
    c = pofx.GaussianMixture(3, covariance_type="full").fit(
        Blocks([repeated[::-1][:50], repeated[::-1][50:]])
    )
    assert (c.log_density(x) == b.log_density(x)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_units_do_not_matter(kind):
    x = groups(150, seed=6)
    a = np.full(2, -1e-60) if kind == "spherical" else np.array([-1e-60, 3e80])
    model = pofx.GaussianMixture(3, covariance_type=kind).fit(x)
    moved = pofx.GaussianMixture(3, covariance_type=kind).fit(x * a)
    gap = moved.log_density(x * a) + np.log(np.abs(a)).sum() - model.log_density(x)
    assert np.abs(gap).max() < 1e-4


def test_one_component_is_the_closed_form_to_rounding():
    x = groups(80, d=3)
    model = pofx.GaussianMixture(1).fit(x)
    assert (model.n_components_, model.fit_.converged) == (1, True)
    np.testing.assert_allclose(model.means_[0], x.mean(axis=0), rtol=1e-13)
    mixture = pofx.GaussianMixture(1, covariance_type="full").fit(x)
    np.testing.assert_allclose(mixture.covariances_[0], np.cov(x.T, bias=True), rtol=1e-12)


def test_the_table_of_candidates():
    x = groups(250, seed=8)
    model = pofx.GaussianMixture([2, 3], covariance_type=["full", "VVI"]).fit(x)
    table = model.fit_.search
    assert [(r["covariance_type"], r["n_components"]) for r in table] == [
        ("full", 2), ("full", 3), ("diag", 2), ("diag", 3),
    ]  # fmt: skip
    for row in table:
        expected = -2 * row["log_likelihood"] + row["n_parameters"] * np.log(len(x))
        assert row["bic"] == pytest.approx(expected, rel=1e-12)
        assert row["regular"]
        assert row["why"]
    best = min(table, key=lambda r: r["bic"])
    assert (model.covariance_type_, model.n_components_) == (best["covariance_type"], best["n_components"])
    assert model.log_density(x).sum() == pytest.approx(best["log_likelihood"], abs=1e-6)
    assert pofx.GaussianMixture(2, covariance_type="full").fit(x).fit_.search is None


def test_many_rows_are_searched_on_a_sample_and_fitted_to_all():
    x = groups(5000, seed=9)
    model = pofx.GaussianMixture().fit(x)
    assert (model.covariance_type_, model.n_components_) == ("full", 3)
    assert model.fit_.converged
    assert model.fit_.trace[-1] == pytest.approx(model.log_density(x).sum(), rel=1e-12)
    left_out = [r for r in model.fit_.search if r["bic"] is None]
    assert left_out
    assert all("sample" in r["why"] or "contains it" in r["why"] for r in left_out)
    direct = pofx.GaussianMixture(3, covariance_type="full").fit(x)
    assert direct.log_density(x).sum() == pytest.approx(model.log_density(x).sum(), abs=1e-3)


def test_wide_rows_take_the_centred_form():
    x = groups(250, d=85, k=2)
    model = pofx.GaussianMixture(2, covariance_type="tied", means_init=x[:2]).fit(x)
    assert model.fit_.trace[-1] == pytest.approx(model.log_density(x).sum(), rel=1e-12)
    assert (np.diff(model.fit_.trace) >= -1e-6).all()


# ---------------------------------------------------------------- the engine


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("d", [1, 2, 4])
def test_the_product_of_features_equals_the_centred_form(diagonal, d):
    x = groups(120, d=d)
    w = np.random.default_rng(1).random(len(x)) + 0.1
    frame = Frame.of(Moments.of(x, w), np.zeros(d, dtype=np.int64), diagonal=diagonal)
    rows = CachedRows(frame.rows(x), w, frame, diagonal=diagonal)
    kinds = [s for s in STRUCTURES if s.diagonal == diagonal]
    mixtures = Mixtures([1, 2, 2, 3], [kinds[0], kinds[0], kinds[1], kinds[1]])
    labels = np.arange(len(x)) % 3
    state = np.concatenate(
        [state_from_labels(rows, np.minimum(labels, k - 1)[None], k) for k in (1, 2, 2, 3)], axis=1
    )
    cov, low = mixtures.m_step(state, rows)
    assert not low.any()
    log_weight = np.log(state[0] / rows.total)
    mean = state[1 : 1 + d]
    fast = rows.e_step(log_weight, mean, cov, mixtures.segments)
    plain = rows.e_step(log_weight, mean, cov, mixtures.segments, centred=True)
    np.testing.assert_allclose(fast[0], plain[0], rtol=1e-12)
    np.testing.assert_allclose(fast[1], plain[1], rtol=1e-9, atol=1e-11)


def test_rows_far_from_every_component_do_not_underflow():
    x = np.concatenate([np.linspace(-1, 1, 50), [60.0]])[:, None]
    frame = Frame.of(Moments.of(x, np.ones(51)), np.zeros(1, dtype=np.int64), diagonal=False)
    rows = CachedRows(frame.rows(x), np.ones(51), frame, diagonal=False)
    mixtures = Mixtures([2], [structure("full")])
    mean = np.array([[0.0, 0.1]])
    cov = np.full((1, 1, 2), 1e-4)
    args = (np.log([0.5, 0.5]), mean, cov, mixtures.segments)
    fast, plain = rows.e_step(*args), rows.e_step(*args, centred=True)
    np.testing.assert_allclose(fast[0], plain[0], rtol=1e-10)
    assert np.isfinite(fast[1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_acceleration_finds_the_fixed_point_of_plain_em_in_fewer_passes(kind):
    x = groups(300, seed=11)
    w = np.ones(len(x))
    s = structure(kind)
    frame = Frame.of(Moments.of(x, w), np.zeros(2, dtype=np.int64), diagonal=s.diagonal)
    results = []
    for accelerate in (False, True):
        rows = CachedRows(frame.rows(x), w, frame, diagonal=s.diagonal)
        labels = ward(rows.y, w, [4])[4]
        state = state_from_labels(rows, labels[None], 4)
        out = climb(Mixtures([4], [s]), state, rows, tol=1e-7, max_iter=5000, accelerate=accelerate)
        assert out.gap[0] < 1e-7
        assert (np.diff(out.traces[0]) >= 0).all()
        results.append((out.log_likelihood[0], rows.passes))
    assert results[1][0] >= results[0][0] - 1e-5
    assert results[1][1] < results[0][1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_polish_ends_at_the_fixed_point_wherever_the_climb_stopped(kind):
    x = groups(200, seed=12)
    w = np.ones(len(x))
    s = structure(kind)
    frame = Frame.of(Moments.of(x, w), np.zeros(2, dtype=np.int64), diagonal=s.diagonal)
    rows, mixtures = CachedRows(frame.rows(x), w, frame, diagonal=s.diagonal), Mixtures([3], [s])
    start = state_from_labels(rows, ward(rows.y, w, [3])[3][None], 3)
    ends = []
    for tol in (1e-2, 1e-5):
        out = climb(mixtures, start, rows, tol=tol, max_iter=1000)
        state, value, _ = polish(mixtures, out.states[0], rows, 200)
        assert value >= out.log_likelihood[0] - 1e-9
        ends.append(state)
    cov, _ = mixtures.m_step(state, rows)
    again = rows.e_step(np.log(state[0] / state[0].sum()), state[1:3], cov, mixtures.segments, centred=True)[
        1
    ]
    np.testing.assert_allclose(again, state, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_optima_of_symmetric_rows_are_told_apart_the_same_way_in_all_units(kind):
    half = np.round(groups(30, seed=3))
    x = np.vstack([half, -half])
    there = pofx.GaussianMixture(2, covariance_type=kind).fit(2.54 * x + 30.0)
    here = pofx.GaussianMixture(2, covariance_type=kind).fit(x)
    moved = there.log_density(2.54 * x + 30.0) + 2 * np.log(2.54)
    np.testing.assert_allclose(moved, here.log_density(x), atol=1e-7)


def test_splitting_and_merging_keep_the_moments():
    x = groups(100, d=3)
    frame = Frame.of(Moments.of(x, np.ones(100)), np.zeros(3, dtype=np.int64), diagonal=False)
    rows = CachedRows(frame.rows(x), np.ones(100), frame, diagonal=False)
    state = state_from_labels(rows, (np.arange(100) % 2)[None], 2)
    np.testing.assert_allclose(merged(split(state, 3, 0), 3, 1, 2)[:, 1], state[:, 0], atol=1e-12)
    twice = doubled(state)
    assert twice[0].sum() == pytest.approx(state[0].sum())


def test_ward_agrees_with_scipy():
    from scipy.cluster.hierarchy import fcluster, linkage

    y = np.random.default_rng(3).standard_normal((120, 2))
    ours, tree = ward(y, np.ones(120), [2, 3, 5, 9]), linkage(y, "ward")
    for k, label in ours.items():
        theirs = fcluster(tree, k, "maxclust")
        assert len(set(zip(label.tolist(), theirs.tolist(), strict=True))) == k
    # weights are repetitions
    w = np.random.default_rng(4).integers(1, 4, 120)
    repeated = ward(np.repeat(y, w, axis=0), np.ones(w.sum()), [4])[4]
    weighted = np.repeat(ward(y, w, [4])[4], w)
    assert len(set(zip(weighted.tolist(), repeated.tolist(), strict=True))) == 4


def test_the_sketch_does_not_depend_on_units_or_direction():
    x = np.exp(groups(60))
    a = Sketch.of(x, np.ones(60))
    b = Sketch.of(x[::-1] * [-3.0, 1e5] + 7.0, np.ones(60))
    np.testing.assert_allclose(a.scaled, b.scaled, atol=1e-9)


@pytest.mark.parametrize("d", [1, 3, 20])
def test_batched_factors(d):
    rng = np.random.default_rng(d)
    a = rng.standard_normal((7, d, d + 2))
    spd = a @ np.swapaxes(a, 1, 2)
    spd[3] = -np.eye(d)
    last = np.moveaxis(spd, 0, 2)
    factor, good = cholesky(last)
    assert good.tolist() == [True] * 3 + [False] + [True] * 3
    keep = np.flatnonzero(good)
    np.testing.assert_allclose(np.moveaxis(factor, 2, 0)[keep], np.linalg.cholesky(spd[keep]), rtol=1e-9)
    inverse = precision(triangular_inverse(factor))
    np.testing.assert_allclose(np.moveaxis(inverse, 2, 0)[keep], np.linalg.inv(spd[keep]), rtol=1e-6)
    floored, low = floor_eigenvalues(last, 0.5)
    assert low[3]
    assert np.linalg.eigvalsh(np.moveaxis(floored, 2, 0)).min() >= 0.5 - 1e-9
