"""Uniform noise beside the components: the fit without is its special case, the box its support."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import pofx
from pofx.core.fold import Blocks
from pofx.core.laws import check_model, law_data
from pofx.errors import ParameterError, UnsupportedError
from pofx.maths.moments import Moments
from pofx.models.mixture.em import Mixtures
from pofx.models.mixture.frame import Frame
from pofx.models.mixture.noise_starts import looks_like_noise, noise_share
from pofx.models.mixture.noisy_rows import NoisyRows
from pofx.models.mixture.rows import CachedRows
from pofx.models.mixture.starts import state_from_labels
from pofx.models.mixture.structures import structure

BOX = ([-10.0, -8.0], [15.0, 12.0])


def truth(noise=0.2):
    share = 1.0 - noise
    covariances = [np.eye(2), [[1.0, 0.6], [0.6, 1.0]]]
    return pofx.GaussianMixture.from_params(
        [0.6 * share, 0.4 * share], [[0.0, 0.0], [6.0, 3.0]], covariances, noise_box=BOX
    )


def cluttered(d, n=40, seed=5):
    x, rng = law_data(d), np.random.default_rng(seed)
    low, high = x.min(axis=0) - 3 * x.std(axis=0), x.max(axis=0) + 3 * x.std(axis=0)
    return np.vstack([x, low + (high - low) * rng.random((n, d))])


def total(model, x):
    return model.log_density(x).sum()


# ---------------------------------------------------------------- the distribution


@pytest.mark.parametrize("d", [1, 2])
def test_the_laws(d):
    verdicts = check_model(lambda: pofx.GaussianMixture(2, covariance_type="full", noise=True), cluttered(d))
    assert verdicts["normalised"] == "holds"


def test_the_density_is_the_formula_and_nothing_outside_the_box_is_noise():
    model = truth()
    x = np.array([[0.0, 0.0], [-10.0, 12.0], [15.0, -8.0], [15.0 + 1e-9, 0.0], [6.0, 30.0]])
    inside = [True, True, True, False, False]
    parts = [
        np.log(w) + multivariate_normal(m, c).logpdf(x)
        for w, m, c in zip(model.weights_, model.means_, model.covariances_, strict=True)
    ]
    parts.append(np.where(inside, np.log(0.2 / (25.0 * 20.0)), -np.inf))
    np.testing.assert_allclose(model.log_density(x), logsumexp(parts, axis=0), rtol=1e-12)
    proba = model.predict_proba(x)
    assert proba.shape == (5, 3)
    np.testing.assert_allclose(proba, np.exp(parts - logsumexp(parts, axis=0)).T, atol=1e-12)
    assert model.predict(x).tolist() == [0, -1, -1, 1, 0]
    assert model.weights_.sum() + model.noise_weight_ == pytest.approx(1.0, abs=1e-15)
    np.testing.assert_array_equal(model.noise_box_, BOX)


def test_one_column_by_quadrature_and_by_scipy():
    model = pofx.GaussianMixture.from_params([0.3, 0.5], [0.0, 4.0], [1.0, 0.25], noise_box=(-3.0, 9.0))
    area = quad(lambda t: float(model.density([t])[0]), -12, 12, points=[-3, 0, 4, 9], limit=200)[0]
    assert area == pytest.approx(1.0, abs=1e-9)
    x = np.array([-7.0, -3.0, 1.0, 8.5, 9.0, 11.0])
    uniform = 0.2 * np.clip((x + 3.0) / 12.0, 0, 1)
    expected = 0.3 * norm(0, 1).cdf(x) + 0.5 * norm(4, 0.5).cdf(x) + uniform
    np.testing.assert_allclose(model.cdf(x), expected, rtol=1e-12)
    np.testing.assert_allclose(model.sf(x), 1.0 - expected, atol=1e-12)
    np.testing.assert_allclose(model.quantile(expected[1:4]), x[1:4], atol=1e-8)


def test_a_box_has_boxes_for_parts():
    model = truth()
    x = np.array([[1.0, -7.9], [14.0, 11.0], [3.0, 2.0], [20.0, 1.0], [3.0, 40.0]])
    for a, b in ([0, 1], [1, 0]):
        first = model.marginal([a])
        assert (first.noise_weight_, first.noise) == (model.noise_weight_, True)
        for row in x:
            rest = model.condition({a: row[a]})
            joint = first.log_density(row[[[a]]])[0] + rest.log_density(row[[[b]]])[0]
            assert joint == pytest.approx(model.log_density(row[None])[0], rel=1e-10)
    # far from both components, inside the box: noise alone, uniform in the other column
    alone = model.condition({0: -9.5})
    assert alone.noise_weight_ == pytest.approx(1.0, abs=1e-9)
    assert alone.density([[10.0]])[0] == pytest.approx(1 / 20)
    assert model.condition({0: 16.0}).noise_weight_ == 0.0


def test_what_is_known_of_a_row_has_the_density_of_the_marginal():
    x = truth().sample(400, random_state=1)
    model = pofx.GaussianMixture(2, covariance_type="full", noise=True, missing="marginal").fit(x)
    rows = np.array([[np.nan, 1.0], [-9.0, np.nan], [3.0, 2.0], [np.nan, 99.0]])
    found = model.log_density(rows)
    assert found[0] == pytest.approx(model.marginal([1]).log_density([[1.0]])[0], rel=1e-12)
    assert found[1] == pytest.approx(model.marginal([0]).log_density([[-9.0]])[0], rel=1e-12)
    assert found[3] == pytest.approx(model.marginal([1]).log_density([[99.0]])[0], rel=1e-12)
    assert model.predict(rows).tolist()[1] == -1
    with pytest.raises(UnsupportedError, match="without noise"):
        model.impute(rows)
    with pytest.raises(ParameterError, match="noise=True and missing values"):
        model.fit(np.vstack([x, rows]))


def test_moments_are_those_of_draws_and_a_file_keeps_all(tmp_path):
    model = truth(0.4)
    x = model.sample(200_000, random_state=3, exact=True)
    np.testing.assert_allclose(model.mean(), x.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(model.covariance(), np.cov(x.T), rtol=0.02, atol=0.1)
    far = (model.predict(x) == -1).mean()
    assert 0.3 < far < 0.4
    model.save(tmp_path / "m.pofx")
    again = pofx.load(tmp_path / "m.pofx")
    assert again.log_density(x[:50]).tobytes() == model.log_density(x[:50]).tobytes()
    assert again.noise_weight_ == model.noise_weight_
    assert model.entropy(n=2000).standard_error > 0  # no closed form, with one component neither
    one = pofx.GaussianMixture.from_params([0.5], [0.0], [1.0], noise_box=(-9, 9))
    assert one.entropy().kind == "estimate"


def test_the_weight_is_one_more_parameter_and_the_box_none():
    assert truth().n_parameters_ == 11 + 1
    x = truth().sample(300, random_state=0)
    model = pofx.GaussianMixture([1, 2], covariance_type="full", noise=True).fit(x)
    assert [r["n_parameters"] for r in model.fit_.search] == [6, 12]
    best = model.fit_.search[1]
    assert best["bic"] == pytest.approx(-2 * best["log_likelihood"] + 12 * np.log(300))
    assert model.bic(x) == pytest.approx(best["bic"], rel=1e-9)


# ---------------------------------------------------------------- the fit


def test_a_fifth_of_clutter_is_found():
    x = truth(0.2).sample(2000, random_state=1)
    model = pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(x)
    assert model.fit_.converged
    assert model.noise_weight_ == pytest.approx(0.2, abs=0.03)
    np.testing.assert_allclose(model.weights_, [0.48, 0.32], atol=0.03)
    np.testing.assert_allclose(model.means_, [[0, 0], [6, 3]], atol=0.15)
    np.testing.assert_allclose(model.covariances_[0], np.eye(2), atol=0.15)
    plain = pofx.GaussianMixture(2, covariance_type="full").fit(x)
    assert np.linalg.det(plain.covariances_).max() > 10 * np.linalg.det(model.covariances_).max()
    assert total(model, x) >= total(truth(0.2), x)  # the maximum, with a tighter box besides


def test_more_clutter_than_groups():
    x = truth(0.7).sample(1500, random_state=2)
    model = pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(x)
    assert model.noise_weight_ == pytest.approx(0.7, abs=0.05)
    np.testing.assert_allclose(model.means_, [[0, 0], [6, 3]], atol=0.3)


def test_without_clutter_the_optimum_is_the_one_without_noise():
    x = truth(0.0).sample(600, random_state=4)
    plain = pofx.GaussianMixture(2, covariance_type="full").fit(x)
    model = pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(x)
    assert model.noise_weight_ < 0.01
    assert 0.0 <= total(model, x) - total(plain, x) + 1e-6 < 1.0
    # in the inside of a dense uniform grid of one group there is nothing to gain at all
    one = np.linspace(-1, 1, 101)[:, None] ** 3
    a, b = (pofx.GaussianMixture(1, covariance_type="full", noise=on).fit(one) for on in (False, True))
    assert total(b, one) >= total(a, one) - 1e-9


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "VEV"])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_never_costs_log_likelihood_and_em_never_falls(kind, seed):
    x = [cluttered(2, 15), np.exp(law_data(2)[:, :1] / 5)][seed]
    for k in (1, 2, 3):
        plain = pofx.GaussianMixture(k, covariance_type=kind).fit(x)
        model = pofx.GaussianMixture(k, covariance_type=kind, noise=True).fit(x)
        assert total(model, x) >= total(plain, x) - 1e-6
        assert (np.diff(model.fit_.trace) >= -1e-9).all()
        assert model.fit_.trace[-1] == pytest.approx(total(model, x), rel=1e-12)


def test_the_optimum_is_a_stationary_point():
    x = cluttered(2)
    model = pofx.GaussianMixture(2, covariance_type="full", noise=True, tol=1e-9).fit(x)
    proba = model.predict_proba(x)
    np.testing.assert_allclose(proba[:, :2].mean(axis=0), model.weights_, rtol=1e-8)
    assert proba[:, 2].mean() == pytest.approx(model.noise_weight_, rel=1e-8)
    for k in range(2):
        w = proba[:, k] / proba[:, k].sum()
        np.testing.assert_allclose(w @ x, model.means_[k], rtol=1e-7)
        np.testing.assert_allclose(np.cov(x.T, aweights=w, bias=True), model.covariances_[k], rtol=1e-6)
    np.testing.assert_array_equal(model.noise_box_, [x.min(axis=0), x.max(axis=0)])


def test_row_order_weights_blocks_and_units():
    x = np.round(cluttered(2), 2)

    def fit(rows, w=None):
        return pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(rows, sample_weight=w)

    model = fit(x)
    np.testing.assert_allclose(fit(x[::-1]).log_density(x), model.log_density(x), atol=1e-6)
    assert (fit(Blocks([x[:31], x[31:]])).log_density(x) == model.log_density(x)).all()
    w = np.random.default_rng(0).integers(0, 3, len(x))
    repeated = np.repeat(x, w, axis=0)
    np.testing.assert_allclose(
        fit(x, w).log_density(repeated), fit(repeated).log_density(repeated), atol=1e-6
    )
    a = np.array([2.0**-40, 2.0**30])
    moved = fit(x * a)
    assert moved.noise_weight_ == model.noise_weight_
    np.testing.assert_array_equal(moved.noise_box_, np.array(model.noise_box_) * a)
    other = fit(-3.7 * x + 1e4)
    gap = other.log_density(-3.7 * x + 1e4) + 2 * np.log(3.7) - model.log_density(x)
    assert np.abs(gap).max() < 1e-5


def test_many_rows_and_a_choice_of_candidates():
    x = truth(0.2).sample(5000, random_state=7)
    model = pofx.GaussianMixture([1, 2, 3], covariance_type=["full", "tied"], noise=True).fit(x)
    assert (model.covariance_type_, model.n_components_) == ("full", 2)
    assert model.noise_weight_ == pytest.approx(0.2, abs=0.02)
    assert model.fit_.trace[-1] == pytest.approx(total(model, x), rel=1e-12)


def test_given_starts_lead_there_too():
    x = truth(0.2).sample(800, random_state=8)
    best = pofx.GaussianMixture(2, covariance_type="full", noise=True).fit(x)
    for weights in (best.weights_, None, [0.5, 0.5]):
        again = pofx.GaussianMixture(
            2, covariance_type="full", noise=True, weights_init=weights, means_init=best.means_,
            covariances_init=best.covariances_,
        ).fit(x)  # fmt: skip
        assert total(again, x) == pytest.approx(total(best, x), abs=1e-4)


def test_a_given_start_keeps_its_noise_on_the_way_through_a_sample():
    known = pofx.GaussianMixture.from_params([0.5, 0.2], [0.0, 6.0], [1.0, 0.5], noise_box=(-20, 20))
    x = known.sample(90_000, random_state=1)
    model = pofx.GaussianMixture(
        2, covariance_type="full", noise=True, weights_init=[0.5, 0.2], means_init=[[0.0], [6.0]]
    ).fit(x)
    assert model.noise_weight_ == pytest.approx(0.3, abs=0.01)
    proba = model.predict_proba(x)
    assert proba[:, 2].mean() == pytest.approx(model.noise_weight_, abs=1e-6)


def test_without_noise_nothing_is_added():
    x = law_data(2)
    model = pofx.GaussianMixture(2, covariance_type="full").fit(x)
    assert set(model.params_) == {"weights", "means", "covariance_type", "cholesky"}
    assert model.weights_.sum() == pytest.approx(1.0, abs=1e-15)
    assert (model.noise_weight_, model.noise_box_) == (0.0, None)
    assert model.predict_proba(x).shape == (len(x), 2)


# ---------------------------------------------------------------- the engine


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_the_e_step_is_the_naive_sum(kind):
    x, w = cluttered(2), np.random.default_rng(3).random(190) + 0.5
    s = structure(kind)
    frame = Frame.of(Moments.of(x, w), np.zeros(2, dtype=np.int64), diagonal=s.diagonal)
    cached = CachedRows(frame.rows(x), w, frame, diagonal=s.diagonal)
    log_volume = float(np.log(np.ptp(x, axis=0)).sum())
    rows, mixtures = NoisyRows(cached, log_volume), Mixtures([1, 2, 2], [s] * 3)
    labels = np.arange(len(x)) % 2
    state = np.concatenate([state_from_labels(cached, (labels % k)[None], k) for k in (1, 2, 2)], axis=1)
    state[0] *= np.array([0.9, 0.5, 0.6, 0.3, 0.3])  # the noise has the rest of each mixture
    cov, _ = mixtures.m_step(state, rows)
    args = (np.log(state[0] / rows.total), state[1:3], cov, mixtures.segments)
    fast, plain = rows.e_step(*args), rows.e_step(*args, centred=True)
    np.testing.assert_allclose(fast[0], plain[0], rtol=1e-12)
    np.testing.assert_allclose(fast[1], plain[1], rtol=1e-9, atol=1e-11)
    log_noise = -log_volume - frame.log_det
    for b, mine in enumerate([[0], [1, 2], [3, 4]]):
        full = [np.diag(cov[:, k]) if kind == "diag" else cov[:, :, k] for k in mine]
        p = [
            state[0, k] / rows.total * multivariate_normal(state[1:3, k], c).pdf(cached.y)
            for k, c in zip(mine, full, strict=True)
        ]
        w0 = 1.0 - state[0, mine].sum() / rows.total
        density = np.sum(p, axis=0) + w0 * np.exp(log_noise)
        assert plain[0][b] == pytest.approx(w @ np.log(density), rel=1e-12)
        for k, own in zip(mine, p, strict=True):
            r = w * own / density
            assert plain[1][0, k] == pytest.approx(r.sum(), rel=1e-12)
            np.testing.assert_allclose(plain[1][1:3, k], r @ cached.y / r.sum(), rtol=1e-10)


def test_weights_beyond_one_are_scaled_to_one():
    x, w = law_data(1), np.ones(150)
    frame = Frame.of(Moments.of(x, w), np.zeros(1, dtype=np.int64), diagonal=False)
    cached = CachedRows(frame.rows(x), w, frame, diagonal=False)
    mixtures = Mixtures([1], [structure("full")])
    args = (np.zeros((1, 1)), np.ones((1, 1, 1)), mixtures.segments)
    with_noise = NoisyRows(cached, 3.0).e_step(np.array([0.3]), *args)[0]
    assert with_noise[0] == pytest.approx(cached.e_step(np.array([0.0]), *args)[0][0], rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-6.0, 6.0))
def test_the_best_share_is_the_best(seed, log_noise):
    rng = np.random.default_rng(seed)
    log_p, w = 3.0 * rng.standard_normal(30), rng.random(30) + 0.1

    def value(share):
        return w @ np.logaddexp(np.log1p(-share) + log_p, np.log(share) + log_noise)

    best = noise_share(log_p, log_noise, w)
    grid = np.linspace(1e-6, 1.0 - 1e-6, 201)
    assert value(np.clip(best, 1e-12, 1 - 1e-12)) >= max(value(s) for s in grid) - 1e-9


def test_thin_rows_look_like_noise_whatever_their_order_and_repetition():
    x = truth(0.3).sample(600, random_state=5)
    noise = looks_like_noise(x, np.ones(600))
    assert (noise == (truth(0.3).predict(x) == -1)).mean() > 0.9
    np.testing.assert_array_equal(looks_like_noise(x[::-1], np.ones(600)), noise[::-1])
    assert not looks_like_noise(np.zeros((5, 2)), np.ones(5)).any()
    assert not looks_like_noise(np.zeros((50, 2)), np.ones(50)).any()


# ---------------------------------------------------------------- bad input


def test_bad_input_says_what_is_wrong():
    x = law_data(2)
    with pytest.raises(ParameterError, match="noise must be True or False; got 'yes'"):
        pofx.GaussianMixture(2, noise="yes").fit(x)
    known = pofx.GaussianMixture.from_params
    with pytest.raises(ParameterError, match=r"noise_box must be \(low, high\).*2 columns"):
        known([0.5], [[0, 0]], [np.eye(2)], noise_box=([1, 2, 3], 4))
    with pytest.raises(ParameterError, match=r"positive width.*column 1.*from 4 to 4"):
        known([0.5], [[0, 0]], [np.eye(2)], noise_box=([1, 4], [2, 4]))
    with pytest.raises(ParameterError, match=r"sum to 1; the sum is 0\.5"):
        known([0.5], [[0, 0]], [np.eye(2)])
    with pytest.raises(ParameterError, match=r"sum to 1; the sum is 1\.5"):
        known([0.9, 0.6], [[0, 0], [1, 1]], [np.eye(2)] * 2, noise_box=(-1, 1))
