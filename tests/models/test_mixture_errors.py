"""Rows with known errors: closed forms, the naive loop, and the truth recovered as well as it can be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import pofx
from pofx.core.fold import Blocks
from pofx.errors import DataError, ParameterError, PofxWarning, UnsupportedError
from pofx.models.mixture.batch import lower_triangle
from pofx.models.mixture.deconvolved import DeconvolvedRows, variances_in
from pofx.models.mixture.em import Mixtures, unpacked
from pofx.models.mixture.frame import Frame
from pofx.models.mixture.structures import structure
from pofx.validation import row_errors

TRUTH = pofx.GaussianMixture.from_params(
    [0.6, 0.4], [[0.0, 0.0], [4.0, 2.0]], [[[1.0, 0.5], [0.5, 1.0]], [[0.3, 0.0], [0.0, 0.5]]]
)


def measured(n=300, seed=0, largest=1.2, full=False):
    """The truth y, the rows x and the errors: sds (n, 2), or covariances (n, 2, 2)."""
    rng = np.random.default_rng([seed, n])
    y = TRUTH.sample(n, random_state=seed)
    if not full:
        sd = rng.uniform(0.2, largest, y.shape)
        return y, y + sd * rng.standard_normal(y.shape), sd
    a = rng.standard_normal((n, 2, 2)) * 0.6
    return y, y + np.einsum("nij,nj->ni", a, rng.standard_normal(y.shape)), a @ np.swapaxes(a, 1, 2)


def fitted(x, errors=None, k=2, kind="full", w=None, **how):
    return pofx.GaussianMixture(k, covariance_type=kind, **how).fit(x, sample_weight=w, errors=errors)


def observed_total(model, x, errors, w=None):
    log_p = model.log_density_observed(x, errors)
    return log_p.sum() if w is None else w @ log_p


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "VEV"])
def test_errors_of_zero_are_the_ordinary_fit(kind):
    y = measured()[0]
    plain = fitted(y, kind=kind)
    for errors in (0.0, np.zeros((len(y), 2, 2))):
        model = fitted(y, errors, kind=kind)
        np.testing.assert_allclose(model.log_density(y), plain.log_density(y), atol=1e-8)
        assert model.fit_.trace[-1] == pytest.approx(plain.fit_.trace[-1], abs=1e-8)
        np.testing.assert_allclose(model.log_density_observed(y, errors), model.log_density(y), atol=1e-10)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_one_component_with_common_errors_is_a_subtraction(kind):
    _, x, _ = measured()
    s = np.array([[0.3, 0.1], [0.1, 0.2]]) if kind == "full" else np.diag([0.3, 0.2])
    for errors in (s[None], np.repeat(s[None], len(x), axis=0)):
        model = fitted(x, errors, k=1, kind=kind)
        expected = np.cov(x.T, bias=True) - s
        np.testing.assert_allclose(model.means_[0], x.mean(axis=0), rtol=1e-8)
        own = model.covariances_[0]
        np.testing.assert_allclose(own, expected if kind == "full" else np.diag(expected), rtol=1e-7)
        assert model.fit_.converged


def test_common_errors_turn_the_ordinary_optimum_into_theirs():
    """With S common and Σ_k − S positive definite, the likelihood is the ordinary one in T_k = Σ_k + S."""
    _, x, _ = measured()
    s = np.array([[0.1, 0.03], [0.03, 0.05]])
    plain, model = fitted(x), fitted(x, s[None])
    np.testing.assert_allclose(model.covariances_ + s, plain.covariances_, rtol=1e-5)
    np.testing.assert_allclose(model.weights_, plain.weights_, rtol=1e-6)
    assert model.fit_.trace[-1] == pytest.approx(plain.fit_.trace[-1], abs=1e-8)


def test_a_truth_without_width_is_found():
    """Two points seen with errors: no floor stands in the way, since the likelihood is bounded."""
    rng = np.random.default_rng(1)
    y = np.where(rng.random((400, 1)) < 0.5, -1.0, 1.0)
    sd = rng.uniform(0.3, 0.6, y.shape)
    x = y + sd * rng.standard_normal(y.shape)
    model = fitted(x, sd)
    assert np.sqrt(model.covariances_).max() < 0.12
    np.testing.assert_allclose(model.means_[:, 0], [-1.0, 1.0], atol=0.1)
    truth = pofx.GaussianMixture.from_params([0.5, 0.5], [-1.0, 1.0], [1e-8, 1e-8])
    assert observed_total(model, x, sd) >= observed_total(truth, x, sd) - 1e-3


def test_a_component_without_width_is_named():
    _, x, sd = measured(120, seed=4)
    with pytest.warns(PofxWarning, match="cannot tell the width of 1 component from none"):
        model = fitted(x, sd, n_init=2)
    assert np.linalg.eigvalsh(model.covariances_)[1, 0] < 1e-3
    assert "spike" in model.fit_.notes[0]


# ---------------------------------------------------------------- the truth


def test_the_truth_is_recovered_within_sampling_error():
    """The mean of repeated fits lies at the truth; each is further off than a noise-free one, not by much."""
    draws = 8
    parts = []
    for seed in range(draws):
        y, x, sd = measured(800, seed)
        for model in (fitted(x, sd, n_init=2), fitted(y, n_init=2)):
            i, j = lower_triangle(2)
            parts.append(
                np.concatenate(
                    [model.weights_[:1], model.means_.ravel(), model.covariances_[:, i, j].ravel()]
                )
            )
    found = np.array(parts).reshape(draws, 2, -1)
    i, j = lower_triangle(2)
    true = np.concatenate([TRUTH.weights_[:1], TRUTH.means_.ravel(), TRUTH.covariances_[:, i, j].ravel()])
    error = found[:, 0].std(axis=0, ddof=1)
    assert (np.abs(found[:, 0].mean(axis=0) - true) < 4.5 * error / np.sqrt(draws)).all()
    clean = found[:, 1].std(axis=0, ddof=1)
    assert np.median(error / clean) < 3.0
    # without the errors the widths are far off
    _, x, sd = measured(800, 0)
    naive = fitted(x, n_init=2).covariances_[1, 0, 0] - 0.3
    assert naive > 5 * error[-6 + 3]


# ---------------------------------------------------------------- the engine


def test_the_density_of_rows_with_errors_is_the_convolution():
    _, x, s = measured(40, full=True)
    naive = np.log([
        sum(
            w * multivariate_normal(m, c + e).pdf(row)
            for w, m, c in zip(TRUTH.weights_, TRUTH.means_, TRUTH.covariances_, strict=True)
        )
        for row, e in zip(x, s, strict=True)
    ])  # fmt: skip
    np.testing.assert_allclose(TRUTH.log_density_observed(x, s), naive, rtol=1e-10)
    one = TRUTH.marginal([0])
    sd = np.sqrt(s[:, 0, 0])
    for errors in (sd, sd[:, None], s[:, :1, :1]):
        a = one.log_density_observed(x[:, 0], errors)
        b = TRUTH.log_density_observed(np.column_stack([x[:, 0], np.zeros(40)]), _wide(sd))
        spread = multivariate_normal(0.0, 1e12).logpdf(0.0)
        np.testing.assert_allclose(a, b - spread, atol=1e-6)  # an infinite error is a missing value
    assert TRUTH.log_density_observed(x[:0], 1.0).shape == (0,)


def _wide(sd):
    return np.column_stack([sd, np.full(len(sd), 1e6)])


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("errors", ["sds", "covariances", "one for all"])
@pytest.mark.parametrize("d", [1, 2, 14])
def test_the_e_step_is_the_papers_row_by_row(kind, errors, d):
    rng = np.random.default_rng([3, d])
    n, k, diagonal = 9, 3, structure(kind).diagonal
    y, w = rng.standard_normal((n, d)), rng.random(n) + 0.5
    a = rng.standard_normal((n, d, d)) / np.sqrt(d)
    s = {
        "sds": np.abs(a[:, 0]),
        "covariances": a @ np.swapaxes(a, 1, 2),
        "one for all": (a @ np.swapaxes(a, 1, 2))[:1],
    }[errors]
    one = np.ones(d)
    frame = Frame(np.zeros(d), one, one, one, 0.0)
    rows = DeconvolvedRows(y, variances_in(frame, s, diagonal=diagonal), w, frame, diagonal=diagonal)
    mean, log_weight = rng.standard_normal((d, k)), np.log(rng.dirichlet(np.ones(k)))
    b = rng.standard_normal((k, d, d)) * 0.5 + np.eye(d)
    full = np.array([np.diag(np.diag(m @ m.T)) if diagonal else m @ m.T for m in b])
    cov = np.moveaxis(np.diagonal(full, 0, 1, 2) if diagonal else full, 0, -1).copy()
    mixtures = Mixtures([1, 2], [structure(kind)] * 2)
    value, state = rows.e_step(log_weight, mean, cov, mixtures.segments)
    big = np.array([np.diag(e**2) if e.ndim == 1 else e for e in s])
    big = np.broadcast_to(big, (n, d, d))
    for at, mine in enumerate([[0], [1, 2]]):
        total, n_k = 0.0, np.zeros(k)
        first, second = np.zeros((k, d)), np.zeros((k, d, d))
        for row, weight, e in zip(y, w, big, strict=True):
            p = np.array([
                np.exp(log_weight[c]) * multivariate_normal(mean[:, c], full[c] + e).pdf(row) for c in mine
            ])  # fmt: skip
            total += weight * np.log(p.sum())
            for c, r in zip(mine, weight * p / p.sum(), strict=True):
                gain = full[c] @ np.linalg.inv(full[c] + e)
                b_i = mean[:, c] + gain @ (row - mean[:, c])
                n_k[c] += r
                first[c] += r * b_i
                second[c] += r * (np.outer(b_i, b_i) + full[c] - gain @ full[c])
        assert value[at] == pytest.approx(total, rel=1e-10)
        v = unpacked(state, rows)
        for c in mine:
            m = first[c] / n_k[c]
            own = second[c] / n_k[c] - np.outer(m, m)
            assert state[0, c] == pytest.approx(n_k[c], rel=1e-9)
            np.testing.assert_allclose(state[1 : 1 + d, c], m, atol=1e-9)
            np.testing.assert_allclose(v[..., c], np.diag(own) if diagonal else own, atol=1e-8)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "EVE"])
@pytest.mark.parametrize("full", [False, True])
def test_em_never_falls_and_ends_where_it_says(kind, full):
    _, x, errors = measured(150, seed=2, full=full)
    model = fitted(x, errors, kind=kind, n_init=2)
    assert (np.diff(model.fit_.trace) >= -1e-9).all()
    assert model.fit_.trace[-1] == pytest.approx(observed_total(model, x, errors), rel=1e-11)
    assert model.fit_.converged
    means = model.means_ + 1e-3
    moved = pofx.GaussianMixture.from_params(model.weights_, means, model.covariances_, covariance_type=kind)
    assert observed_total(moved, x, errors) < model.fit_.trace[-1]


# ---------------------------------------------------------------- what must not matter


def test_order_repetition_threads_and_missing_rows(monkeypatch):
    _, x, sd = measured(200, seed=4)
    model = fitted(x, sd, n_init=2)
    turned = fitted(x[::-1], sd[::-1], n_init=2)
    np.testing.assert_allclose(turned.log_density(x), model.log_density(x), atol=1e-6)
    w = np.random.default_rng(0).integers(0, 3, len(x))
    a = fitted(x, sd, w=w, n_init=2)
    b = fitted(np.repeat(x, w, axis=0), np.repeat(sd, w, axis=0), n_init=2)
    np.testing.assert_allclose(a.log_density(x), b.log_density(x), atol=1e-6)
    holes = np.insert(x, 50, np.nan, axis=0)
    dropped = fitted(holes, np.insert(sd, 50, 99.0, axis=0), n_init=2, missing="drop")
    assert (dropped.log_density(x) == model.log_density(x)).all()
    monkeypatch.setenv("POFX_NUM_THREADS", "1")
    assert (fitted(x, sd, n_init=2).log_density(x) == model.log_density(x)).all()


@pytest.mark.parametrize("kind", ["full", "VEV"])
def test_errors_change_units_with_the_rows(kind):
    _, x, s = measured(150, seed=5, full=True)
    model = fitted(x, s, kind=kind, n_init=2)
    a = np.full(2, 2.0**40) if kind == "VEV" else np.array([2.0**-30, 2.0**40])
    moved = fitted(x * a, s * a[:, None] * a, kind=kind, n_init=2)
    np.testing.assert_array_equal(moved.covariances_, model.covariances_ * a[:, None] * a)
    b = np.array([-3.3, -3.3])
    other = fitted(x * b + 50.0, s * b[:, None] * b, kind=kind, n_init=2)
    gap = other.log_density(x * b + 50.0) + np.log(np.abs(b)).sum() - model.log_density(x)
    assert np.abs(gap).max() < 1e-5


def test_many_rows_go_on_from_a_sample():
    _, x, sd = measured(2600, seed=6)
    model = fitted(x, sd, n_init=1)
    assert model.fit_.converged
    assert model.fit_.trace[-1] == pytest.approx(observed_total(model, x, sd), rel=1e-12)
    np.testing.assert_allclose(model.means_, TRUTH.means_, atol=0.2)


def test_the_number_of_components_is_chosen_by_the_density_of_the_rows():
    _, x, sd = measured(400, seed=7)
    model = fitted(x, sd, k=[1, 2, 3], kind=["full", "diag"], n_init=1)
    assert model.n_components_ == 2
    best = min(model.fit_.search, key=lambda r: r["bic"])
    assert best["log_likelihood"] == pytest.approx(observed_total(model, x, sd), abs=1e-4)


# ---------------------------------------------------------------- bad input


def test_shapes_of_errors():
    assert row_errors(0.5, 4, 3).tolist() == [[0.5] * 3]
    assert row_errors([1, 2, 3], 3, 3).shape == (1, 3)
    assert row_errors(np.ones((3, 3)), 3, 3).shape == (3, 3)  # per row, as many rows as columns or not
    assert row_errors([1, 2], 2, 1).shape == (2, 1)
    assert row_errors(np.ones((2, 1, 1)), 2, 1, kept=np.array([True, False])).shape == (1, 1, 1)
    assert row_errors([np.diag([0.0, 2.0])], 5, 2).tolist() == [[[0, 0], [0, 2]]]


def test_bad_errors_are_named():
    x = measured(10)[1]
    with pytest.raises(DataError, match=r"10 rows of 2 columns.*got shape \(3,\)"):
        fitted(x, [1, 2, 3])
    with pytest.raises(DataError, match=r"errors\[None\], of shape \(1, 2, 2\)"):
        fitted(x, np.eye(2))
    bad = np.ones((10, 2))
    bad[7, 1] = -1
    with pytest.raises(DataError, match=r"at least 0: row 7 has \[1.0, -1.0\]"):
        fitted(x, bad)
    bad[4, 0] = np.nan
    with pytest.raises(DataError, match=r"finite: 1 of 10 rows are not \(first: row 4"):
        fitted(x, bad)
    bad = np.repeat(np.eye(2)[None], 10, axis=0)
    bad[3] = [[1, 2], [2, 1]]
    with pytest.raises(DataError, match=r"positive semidefinite.*row 3 .* -1"):
        fitted(x, bad)
    bad[3] = [[1, 0.2], [0.1, 1]]
    with pytest.raises(DataError, match=r"symmetric matrices: in row 3"):
        fitted(x, bad)
    with pytest.raises(DataError, match="numbers"):
        fitted(x, "wide")
    with pytest.raises(DataError, match="rows in memory"):
        fitted(Blocks([x]), 1.0)
    with pytest.raises(ParameterError, match="do not go together"):
        fitted(x, 1.0, noise=True)
    holes = np.array(x)
    holes[0, 0] = np.nan
    with pytest.raises(ParameterError, match="errors and missing values do not go together"):
        fitted(holes, 1.0, missing="marginal")
    clutter = pofx.GaussianMixture.from_params([0.5], [0.0], [1.0], noise_box=(-1, 1))
    with pytest.raises(UnsupportedError, match="without noise"):
        clutter.log_density_observed([0.0], 1.0)
