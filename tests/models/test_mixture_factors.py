"""Mixtures of factor analysers: the analysis against brute force and scikit-learn, limits, and the laws."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.decomposition import FactorAnalysis

import pofx
from pofx.core.laws import check_model
from pofx.errors import ParameterError, PofxWarning
from pofx.maths.moments import Moments
from pofx.models.mixture import FactorAnalysers
from pofx.models.mixture.batch import Segments
from pofx.models.mixture.em import Mixtures
from pofx.models.mixture.frame import Frame
from pofx.models.mixture.rows import CachedRows
from pofx.models.mixture.starts import state_from_labels
from pofx.models.mixture.structures import Structure, structure
from pofx.models.mixture.structures.factoring import common_and_noise, factor_analysis

GROUPS = {"factors": (8, 2, 40), "no structure": (5, 2, 0), "few rows": (10, 2, 7), "more": (14, 3, 60)}


def covariances(d, q, rows, m=12, seed=0):
    """Sample covariances: of factor models, or (rows = 0) of nothing of the kind, with many minima."""
    rng = np.random.default_rng([seed, d, q, rows])
    out = []
    for _ in range(m):
        loadings, sd = rng.standard_normal((d, q)), np.sqrt(rng.uniform(0.2, 1.5, d))
        x = rng.standard_normal((rows or 3 * d, d)) * sd
        if rows:
            x += rng.standard_normal((rows, q)) @ loadings.T
        x -= x.mean(axis=0)
        out.append(x.T @ x / len(x))
    return np.stack(out)


def sigma(v, q):
    loadings, noise = factor_analysis(v, q)
    return loadings @ np.swapaxes(loadings, 1, 2) + noise[:, :, None] * np.eye(v.shape[1])


def deviance(s, v):
    """log|Σ| + tr Σ⁻¹V."""
    return np.linalg.slogdet(s)[1] + np.trace(np.linalg.solve(s, v), axis1=1, axis2=2)


def plain_frame(d, floor=1e-9):
    one = np.ones(d)
    return Frame(0 * one, one, one, one, 0.0, floor)


# ---------------------------------------------------------------- the analysis


@pytest.mark.parametrize("kind", GROUPS)
def test_no_other_start_finds_a_likelier_factor_model(kind):
    """An independent route: all of Λ and log ψ at once, from random starts."""
    d, q, rows = GROUPS[kind]
    v = covariances(d, q, rows, m=3)
    ours = deviance(sigma(v, q), v)
    rng = np.random.default_rng(1)

    def loss(theta, one):
        loadings, noise = theta[: d * q].reshape(d, q), np.exp(theta[d * q :]) + 1e-9
        inverse = np.linalg.inv(loadings @ loadings.T + np.diag(noise))
        slope = inverse - inverse @ one @ inverse
        value = -np.linalg.slogdet(inverse)[1] + np.sum(inverse * one)
        return value, np.concatenate([2.0 * (slope @ loadings).ravel(), np.diag(slope) * (noise - 1e-9)])

    for i, one in enumerate(v):
        for _ in range(4):
            start = np.concatenate([0.7 * rng.standard_normal(d * q), np.log(rng.uniform(0.1, 1.0, d))])
            found = minimize(loss, start, args=(one,), jac=True, method="L-BFGS-B", options={"maxiter": 400})
            assert ours[i] <= found.fun + 1e-7


@pytest.mark.parametrize("kind", GROUPS)
def test_it_is_a_stationary_point_also_where_uniquenesses_are_zero(kind):
    d, q, rows = GROUPS[kind]
    v = covariances(d, q, rows, m=40, seed=2)
    common, noise, sd = common_and_noise(v, q)
    r, i = v / sd[:, :, None] / sd[:, None, :], np.arange(d)
    common[:, i, i] += noise
    inverse = np.linalg.inv(common)
    slope = (inverse @ (common - r) @ inverse)[:, i, i]
    assert np.abs(slope * noise).max() < 1e-9  # ∂f/∂ log ψ
    zero = noise == 0.0
    assert zero.any() or kind in ("factors", "more")
    assert (slope[zero] >= -1e-7).all()  # f does not fall into the inside


def test_a_factor_model_is_its_own_maximum():
    for d, q in ((3, 1), (6, 2), (12, 4), (30, 5)):
        s = sigma(covariances(d, q, 3 * d), q)
        np.testing.assert_allclose(sigma(s, q), s, rtol=1e-9, atol=1e-9)


def test_units_play_no_part():
    v = covariances(8, 2, 30)
    a = 10.0 ** np.linspace(-60, 60, 8)
    a[3] *= -1.0
    loadings, noise = factor_analysis(v, 2)
    there, noise_there = factor_analysis(v * a[:, None] * a, 2)
    np.testing.assert_allclose(noise_there / a**2, noise, rtol=1e-9, atol=1e-12)
    outer, outer_there = (a @ np.swapaxes(a, 1, 2) for a in (loadings, there / a[:, None]))
    np.testing.assert_allclose(outer_there, outer, rtol=1e-8, atol=1e-10)


def test_each_problem_is_solved_alone():
    v = covariances(6, 2, 0)
    together = sigma(v, 2)
    for i in range(len(v)):
        np.testing.assert_allclose(sigma(v[i : i + 1], 2)[0], together[i], rtol=1e-9, atol=1e-11)


def test_loadings_in_their_canonical_rotation():
    v = covariances(9, 3, 80)
    loadings, _ = factor_analysis(v, 3)
    scaled = loadings / np.sqrt(np.diagonal(v, 0, 1, 2))[:, :, None]
    gram = np.swapaxes(scaled, 1, 2) @ scaled
    length = np.diagonal(gram, 0, 1, 2)
    np.testing.assert_allclose(gram, length[:, :, None] * np.eye(3), atol=1e-12)
    assert (np.diff(length) < 0).all()
    assert (scaled.max(axis=1) >= -scaled.min(axis=1)).all()


@pytest.mark.parametrize("q", [1, 3])
def test_one_component_against_scikit_learn(q):
    rng = np.random.default_rng(q)
    z = rng.standard_normal((400, q)) @ rng.standard_normal((q, 10))
    x = 3.0 + z + rng.standard_normal((400, 10)) * rng.uniform(0.4, 1.2, 10)
    theirs = FactorAnalysis(q, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(x)
    ours = pofx.GaussianMixture(1, covariance_type=FactorAnalysers(q)).fit(x)
    assert ours.score(x) >= theirs.score(x) - 1e-9
    np.testing.assert_allclose(ours.covariances_[0], theirs.get_covariance(), atol=2e-5)
    np.testing.assert_allclose(ours.uniquenesses_[0], theirs.noise_variance_, atol=2e-5)
    older = pofx.Gaussian(covariance_type="factor", n_factors=q).fit(x)
    np.testing.assert_allclose(ours.log_density(x), older.log_density(x), atol=1e-2)


def test_the_limits():
    """Without correlation it is a diagonal; with as many parameters as a full covariance, that."""
    d = 6
    v = np.diag(np.arange(1.0, 1.0 + d))[None]
    np.testing.assert_allclose(sigma(v, 2), v, rtol=1e-10)
    assert FactorAnalysers(3).n_parameters(2, d) == structure("full").n_parameters(2, d)
    near = np.eye(d)[None] + 0.05 * np.ones((1, d, d)) + 0.02 * covariances(d, 3, 0, m=1)
    gaps = [deviance(sigma(near, q), near)[0] - np.linalg.slogdet(near[0])[1] - d for q in (1, 2, 3)]
    assert gaps[0] > gaps[1] > gaps[2] >= 0.0
    assert gaps[2] < 0.1 * gaps[0]


# ---------------------------------------------------------------- the structure


def test_whitened_rows_have_the_columns_factors():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((80, 6)) @ rng.standard_normal((6, 6)) + 30.0 * rng.standard_normal((80, 1))
    moments = Moments.of(x, np.ones(len(x)))
    s, v = FactorAnalysers(2), np.moveaxis(covariances(6, 2, 30, m=3), 0, 2)
    frames = [Frame.of(moments, np.zeros(6, dtype=np.int64), diagonal=diagonal) for diagonal in (True, False)]
    assert [f.matrix.ndim for f in frames] == [1, 2]
    back = []
    for frame in frames:
        inner = frame.covariances(np.moveaxis(v, 2, 0))
        cov, _ = s.maximise(np.ones(3), inner, Segments([3]), frame), None
        back.append(frame.covariances_back(cov))
    np.testing.assert_allclose(back[1], back[0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("d", [5, 30])  # 30: where only some eigenvectors are found
def test_spheres_and_points(d):
    v = np.stack([np.eye(d), 1e-12 * np.eye(d) + 1e-30, np.eye(d) + 1e-13 * covariances(d, 2, 0, m=1)[0]])
    unit = v[:, :1, :1]
    np.testing.assert_allclose(sigma(v, 2) / unit, v / unit, atol=1e-12)


@pytest.mark.parametrize("whitened", [False, True])
def test_degenerate_components_are_held_above_the_floor_within_the_structure(whitened):
    d, s, frame = 5, FactorAnalysers(2), plain_frame(5, 1e-4)
    if whitened:
        a = np.linalg.cholesky(covariances(5, 2, 0, m=1)[0])
        frame = Frame(np.zeros(d), np.linalg.inv(a), a, np.ones(d), 0.0, 1e-4)
    v = np.moveaxis(covariances(d, 2, 30, m=6), 0, 2)
    v[..., 0] = 0.0  # all rows in one point
    v[..., 1] = 1.0  # on a line
    v[..., 2] = -np.eye(d)  # what an extrapolation may ask for
    v[..., 3] = np.nan
    cov, low = s.solve(np.ones(6), v, Segments([6]), frame)
    assert low.tolist() == [True, True, True, True, False, False]
    assert np.linalg.eigvalsh(np.moveaxis(cov, 2, 0)).min() >= 1e-4 * (1 - 1e-9)
    again = s.maximise(np.ones(6), cov, Segments([6]), frame)
    np.testing.assert_allclose(again, cov, rtol=1e-6, atol=1e-9)


def test_names_and_counts():
    s = structure("factors-2")
    assert s == FactorAnalysers(2)
    assert s != FactorAnalysers(3)
    assert repr(s) == s.name == s.part == "factors-2"
    assert s.n_covariance_parameters(3, 10) == 3 * (20 + 10 - 1)
    for bad in ("factors-0", "factors-x", "factors--1", "factors", "factors-99999"):
        with pytest.raises(ParameterError, match="'factors-2'"):
            structure(bad)
    with pytest.raises(ParameterError, match="n_factors"):
        FactorAnalysers(0)


def test_nesting():
    one, two, full, diag = (structure(n) for n in ("factors-1", "factors-2", "full", "diag"))
    assert two.contains(one)
    assert two.contains(diag)
    assert two.contains(structure("EII"))
    assert full.contains(two)
    assert not one.contains(two)
    assert not two.contains(two)
    assert not two.contains(structure("tied"))
    assert not diag.contains(one)
    assert not structure("VVE").contains(one)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_too_few_columns(d):
    x = np.random.default_rng(0).standard_normal((30, d))
    remedy = "'factors-1'" if d == 4 else "'full'"
    with pytest.raises(ParameterError, match=rf"more parameters than a full covariance.*{remedy}"):
        pofx.GaussianMixture(2, covariance_type="factors-2").fit(x)
    with pytest.raises(ParameterError, match="more parameters"):
        pofx.GaussianMixture.from_params([1.0], [[0.0] * d], [np.eye(d)], covariance_type="factors-2")
    model = pofx.GaussianMixture(1, covariance_type=["factors-2", "diag"]).fit(x)
    assert model.covariance_type_ == "diag"
    assert any("factors-2 was left out" in note for note in model.fit_.notes)


# ---------------------------------------------------------------- mixtures


def world(n, d=20, k=3, q=2, seed=0, apart=0.8):
    """Rows of a known mixture of factor analysers."""
    rng = np.random.default_rng([seed, d])
    means = rng.standard_normal((k, d)) * apart
    loadings, sd = rng.standard_normal((k, d, q)), np.sqrt(rng.uniform(0.3, 1.5, (k, d)))
    label = np.arange(n) % k
    common = np.einsum("nij,nj->ni", loadings[label], rng.standard_normal((n, q)))
    truth = loadings @ np.swapaxes(loadings, 1, 2) + sd[:, :, None] ** 2 * np.eye(d)
    return means[label] + common + sd[label] * rng.standard_normal((n, d)), label, means, truth


@pytest.fixture(scope="module")
def fitted():
    x, label, *_ = world(2400)
    # From a rough start, where a search of many would take most of the time.
    rough = (label[:900] + (np.arange(900) % 4 == 0)) % 3
    means = np.stack([x[:900][rough == c].mean(axis=0) for c in range(3)])
    model = pofx.GaussianMixture(3, covariance_type="factors-2", means_init=means).fit(x[:900])
    return x, model


def test_a_known_mixture_is_recovered(fitted):
    x, model = fitted
    _, label, means, truth = world(2400)
    train, test = x[:900], x[900:]
    assert model.fit_.converged
    assert (np.diff(model.fit_.trace) >= -1e-9).all()
    share = np.array(
        [[np.mean(model.predict(test)[label[900:] == t] == c) for c in range(3)] for t in range(3)]
    )
    order = share.argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    assert share.max(axis=1).min() > 0.95
    # Sampling errors of 300 rows per component.
    assert np.abs(model.means_[order] - means).max() < 0.6
    assert np.linalg.norm(model.covariances_[order] - truth) < 0.25 * np.linalg.norm(truth)
    held_out = model.score(test)
    for other in ("diag", "full"):
        rival = pofx.GaussianMixture(3, covariance_type=other, means_init=model.means_).fit(train)
        assert held_out > rival.score(test) + 0.1


def test_loadings_and_uniquenesses_are_what_the_covariances_are_made_of(fitted):
    _, model = fitted
    assert model.loadings_.shape == (3, 20, 2)
    assert model.uniquenesses_.shape == (3, 20)
    made = model.loadings_ @ np.swapaxes(model.loadings_, 1, 2) + model.uniquenesses_[:, :, None] * np.eye(20)
    np.testing.assert_allclose(made, model.covariances_, atol=1e-11)
    scaled = pofx.GaussianMixture.from_params(
        model.weights_, model.means_ * 2.0**300, model.covariances_ * 2.0**600, covariance_type="factors-2"
    )
    np.testing.assert_allclose(scaled.loadings_ / 2.0**300, model.loadings_, atol=1e-10)
    assert not hasattr(model.marginal([0, 1]), "loadings_")  # full
    with pytest.raises(pofx.errors.NotFittedError):
        pofx.GaussianMixture(2, covariance_type="factors-2").loadings_


def test_a_fitted_model_is_one_that_can_be_given_kept_and_taken_apart(fitted, tmp_path):
    x, model = fitted
    assert model.n_parameters_ == 2 + 3 * 20 + 3 * (40 + 20 - 1)
    given = pofx.GaussianMixture.from_params(
        model.weights_, model.means_, model.covariances_, covariance_type=FactorAnalysers(2)
    )
    np.testing.assert_allclose(given.log_density(x), model.log_density(x), rtol=1e-9)
    with pytest.raises(ParameterError, match="'factors-1' shares"):
        pofx.GaussianMixture.from_params(
            model.weights_, model.means_, model.covariances_, covariance_type="factors-1"
        )
    model.save(tmp_path / "m.pofx")
    assert (pofx.load(tmp_path / "m.pofx").log_density(x) == model.log_density(x)).all()
    part, rest = model.marginal(list(range(8))), model.condition({j: x[0, j] for j in range(8)})
    assert part.covariance_type_ == rest.covariance_type_ == "factors-2"
    joint = part.log_density(x[:1, :8]) + rest.log_density(x[:1, 8:])
    np.testing.assert_allclose(joint, model.log_density(x[:1]), rtol=1e-10)
    # What is said of a part is true of it: noise of different columns stays independent, whatever is given.
    for one in (part, rest, model.marginal([0, 1])):
        pofx.GaussianMixture.from_params(
            one.weights_, one.means_, one.covariances_, covariance_type=one.covariance_type_
        )
    again = pofx.GaussianMixture(
        covariance_type="factors-2", weights_init=model.weights_, means_init=model.means_,
        covariances_init=model.covariances_,
    ).fit(x[:900])  # fmt: skip
    np.testing.assert_allclose(again.score(x[:900]), model.score(x[:900]), atol=1e-8)


def test_an_object_is_a_hyperparameter_like_its_name(tmp_path):
    x = world(80, d=5, k=2, q=1, apart=4.0)[0]
    model = pofx.GaussianMixture(2, covariance_type=["diag", FactorAnalysers(1)], n_init=1).fit(x)
    model.save(tmp_path / "m.pofx")
    assert pofx.load(tmp_path / "m.pofx").covariance_type == ["diag", "factors-1"]
    assert "factors-1" in repr(model)
    named = pofx.GaussianMixture(2, covariance_type=["diag", "factors-1"], n_init=1).fit(x)
    assert (named.log_density(x) == model.log_density(x)).all()


def test_plain_em_never_decreases():
    x, d = world(150, d=6, k=2)[0], 6
    w = np.ones(len(x))
    frame = Frame.of(Moments.of(x, w), np.zeros(d, dtype=np.int64), diagonal=False)
    rows = CachedRows(frame.rows(x), w, frame, diagonal=False)
    rng = np.random.default_rng(1)
    mixtures = Mixtures([3], [FactorAnalysers(2)])
    state, last = state_from_labels(rows, rng.integers(0, 3, (1, len(x))), 3), -np.inf
    for _ in range(80):
        cov, low = mixtures.m_step(state, rows)
        assert not low.any()
        logs = np.log(state[0] / rows.total)
        value, state = rows.e_step(logs, state[1 : 1 + d], cov, mixtures.segments, centred=True)
        assert value[0] >= last - 1e-9
        last = value[0]


def test_a_table_that_holds_them_is_nested():
    x = world(120, d=6, k=2, q=1, seed=4, apart=4.0)[0]
    kinds = ["diag", "factors-1", "factors-2", "full"]
    model = pofx.GaussianMixture([1, 2], covariance_type=kinds, n_init=1).fit(x)
    assert (model.covariance_type_, model.n_components_) == ("factors-1", 2)
    table = {(r["covariance_type"], r["n_components"]): r for r in model.fit_.search}
    assert len(table) == 8
    for (name, k), row in table.items():
        inner = [(other, k) for other in kinds if structure(name).contains(structure(other))] + [
            (name, k - 1)
        ]
        for key in inner:
            if key in table and row["regular"] and table[key]["regular"]:
                assert row["log_likelihood"] >= table[key]["log_likelihood"] - 1e-6


def test_few_rows_and_many_columns():
    x = world(60, d=16, k=2, q=1, seed=5, apart=3.0)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)
        model = pofx.GaussianMixture(2, covariance_type="factors-1", n_init=1).fit(x)
        assert model.fit_.converged
        few = pofx.GaussianMixture(1, covariance_type="factors-1").fit(x[:14])  # n ≤ d
        assert np.isfinite(few.log_density(x)).all()
        assert few.score(x[14:]) > pofx.GaussianMixture(1, covariance_type="diag").fit(x[:14]).score(x[14:])
    with pytest.warns(PofxWarning, match="only structures without correlation, and 'factors-1', were"):
        table = pofx.GaussianMixture(1, covariance_type=["full", "factors-1"]).fit(x[:14])
    assert table.covariance_type_ == "factors-1"


def two_far_groups(d):
    """Few rows on which EM takes few passes: laws fit some thirty times."""
    rng = np.random.default_rng(d)
    x = 0.5 * rng.standard_normal((60, d)) + rng.standard_normal((60, 1))
    x[25:] = 9.0 + x[25:] * np.linspace(0.7, 1.6, d)
    return x


def test_laws():
    check_model(lambda: pofx.GaussianMixture(1, covariance_type="factors-1"), two_far_groups(3)[:25])
    check_model(
        lambda: pofx.GaussianMixture(2, covariance_type="factors-1", n_init=1),
        two_far_groups(3),
        laws=["rows permute", "conditional times marginal"],
    )


def test_units_do_not_matter():
    x = world(60, d=5, k=2, q=1, apart=4.0)[0]
    a = 10.0 ** np.array([-150.0, 3, 0, 80, -2])
    here, there = (pofx.GaussianMixture(2, covariance_type="factors-1", n_init=1).fit(y) for y in (x, x * a))
    assert here.equivariance == "columns"
    gap = there.log_density(x * a) + np.log(np.abs(a)).sum() - here.log_density(x)
    assert np.abs(gap).max() < 1e-6


# ---------------------------------------------------------------- a structure of one's own


class Compound(Structure):
    """One variance and one correlation for all columns of a component: λ_k ((1 − ρ_k) I + ρ_k 1 1ᵀ)."""

    name = part = "compound"
    in_data_units = True

    def solve(self, n, v, segments, frame):
        d = len(v)
        v = frame.to_data(v)
        i = np.arange(d)
        along = v.sum(axis=(0, 1)) / d  # the eigenvalue of (1, …, 1), and the mean of the others
        across = (v[i, i].sum(axis=0) - along) / (d - 1)
        level = np.maximum(across, 1e-9) * np.eye(d)[:, :, None]
        return frame.from_data(level + (along - across) / d), across < frame.floor

    def n_covariance_parameters(self, k, d):
        return 2 * k


def test_adding_a_structure_touches_one_file(tmp_path):
    """This one: a class makes its name known to lists, nesting, files and parts."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4)) + 0.8 * rng.standard_normal((200, 1))
    x[100:] = 8.0 - 2.0 * x[100:]
    model = pofx.GaussianMixture(2, covariance_type=Compound()).fit(x)
    assert (np.diff(model.fit_.trace) >= -1e-9).all()
    assert model.covariance_type_ == "compound"
    assert model.n_parameters_ == 1 + 8 + 4
    i, j = np.tril_indices(4, -1)
    assert np.ptp(model.covariances_[:, i, j], axis=1).max() < 1e-9
    chosen = pofx.GaussianMixture([1, 2], covariance_type=["compound", "full"], n_init=2).fit(x)
    assert chosen.covariance_type_ == "compound"
    assert structure("full").contains(structure("compound"))
    model.save(tmp_path / "m.pofx")
    kept = pofx.load(tmp_path / "m.pofx")
    assert (kept.log_density(x) == model.log_density(x)).all()
    assert kept.marginal([0, 2]).covariance_type_ == "compound"
    check_model(
        lambda: pofx.GaussianMixture(2, covariance_type="compound", n_init=1),
        x[50:150],
        laws=["rows permute"],
    )
