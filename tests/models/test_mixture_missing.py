"""Missing values in a mixture: exact EM, marginal log densities, imputation.

Oracles: a loop over rows that writes the E-step down as the textbook does, quadrature, the factored
likelihood of a monotone pattern (Anderson 1957, JASA 52:200), and the model's own marginals and conditionals.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import pofx
from pofx.core.fold import Blocks, survey
from pofx.errors import DataError, DegenerateError, ParameterError, PofxWarning
from pofx.maths.moments import Moments
from pofx.models.mixture.batch import Segments, lower_triangle
from pofx.models.mixture.em import Mixtures, climb
from pofx.models.mixture.frame import Frame
from pofx.models.mixture.incomplete import IncompleteRows, StreamedIncompleteRows
from pofx.models.mixture.rows import CachedRows
from pofx.models.mixture.starts import state_from_labels
from pofx.models.mixture.structures import STRUCTURES, structure

NAN = np.nan


def world(d=3):
    rng = np.random.default_rng(5)
    a = 0.5 * rng.standard_normal((3, d, d)) + np.eye(d)
    means = 4.0 * rng.standard_normal((3, d))
    return pofx.GaussianMixture.from_params([0.25, 0.35, 0.4], means, a @ np.swapaxes(a, 1, 2))


def punched(x, share=0.3, seed=0):
    """Return x with a share of its entries missing completely at random, and never a whole row."""
    rng = np.random.default_rng(seed)
    z = np.where(rng.random(x.shape) < share, NAN, x)
    empty = np.isnan(z).all(axis=1)
    z[empty] = x[empty]
    return z


def rows_of(n=300, d=3, seed=1, share=0.3):
    return punched(world(d).sample(n, random_state=seed, exact=True), share, seed)


def marginal_model(k=3, kind="full", **how):
    return pofx.GaussianMixture(k, covariance_type=kind, missing="marginal", **how)


def same(a, b, rtol):
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol)


def never_falls(model):
    trace = np.array(model.fit_.trace)
    assert len(trace) > 1
    assert (np.diff(trace) >= -1e-9 * np.abs(trace[-1])).all()


# ---------------------------------------------------------------- the E-step


def by_the_book(y, w, log_weight, mean, cov, segments):
    """Weights, means and own covariances row by row, as Ghahramani and Jordan (1994) write them."""
    d, m = mean.shape
    n, first, second = np.zeros(m), np.zeros((d, m)), np.zeros((d, d, m))
    value = np.zeros(len(segments))
    for row, weight in zip(y, w, strict=True):
        o = np.flatnonzero(~np.isnan(row))
        u = np.flatnonzero(np.isnan(row))
        logs = np.array(
            [
                log_weight[k] + multivariate_normal(mean[o, k], cov[np.ix_(o, o, [k])][..., 0]).logpdf(row[o])
                for k in range(m)
            ]
        )
        for b in range(len(segments)):
            mine = np.flatnonzero(segments.owner == b)
            value[b] += weight * logsumexp(logs[mine])
            r = weight * np.exp(logs[mine] - logsumexp(logs[mine]))
            for k, share in zip(mine, r, strict=True):
                regression = cov[np.ix_(u, o, [k])][..., 0] @ np.linalg.inv(cov[np.ix_(o, o, [k])][..., 0])
                full, extra = row.copy(), np.zeros((d, d))
                full[u] = mean[u, k] + regression @ (row[o] - mean[o, k])
                extra[np.ix_(u, u)] = (
                    cov[np.ix_(u, u, [k])][..., 0] - regression @ cov[np.ix_(o, u, [k])][..., 0]
                )
                n[k] += share
                first[:, k] += share * full
                second[:, :, k] += share * (np.outer(full, full) + extra)
    mean = first / n
    return value, n, mean, second / n - mean[:, None] * mean[None]


def frame_of(x, *, diagonal, whitened=False):
    moments = Moments.of(x, np.ones(len(x)))
    frame = Frame.of(moments, np.zeros(x.shape[1], dtype=int), diagonal=diagonal)
    if not whitened:
        return frame
    factor = np.linalg.cholesky(moments.covariance)
    return Frame(
        frame.centre, np.linalg.inv(factor), factor, frame.sphere, -float(np.log(np.diag(factor)).sum())
    )


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("form", ["full", "diagonal", "whitened"])
def test_the_e_step_is_the_textbooks(form, centred):
    d, n = 4, 60
    x = world(d).sample(n, random_state=2, exact=True)
    z = punched(x, 0.4)
    z[:7] = x[:7]  # some complete rows, and two patterns of one row
    w = np.random.default_rng(3).integers(1, 4, n).astype(float)
    diagonal = form == "diagonal"
    frame = frame_of(x, diagonal=diagonal, whitened=form == "whitened")
    segments = Segments([1, 2, 2])
    rng = np.random.default_rng(4)
    a = 0.3 * rng.standard_normal((5, d, d)) + np.eye(d)
    cov = np.moveaxis(a @ np.swapaxes(a, 1, 2), 0, 2) * (np.eye(d)[..., None] if diagonal else 1.0)
    mean = rng.standard_normal((d, 5))
    log_weight = np.log([1.0, 0.3, 0.7, 0.5, 0.5])
    # the same parameters in unit space, where entries are missing
    back = np.diag(frame.inverse) if frame.inverse.ndim == 1 else frame.inverse
    expected = by_the_book(
        z,
        w,
        log_weight,
        frame.centre[:, None] + back @ mean,
        np.einsum("ik,klm,jl->ijm", back, cov, back),
        segments,
    )
    i = np.arange(d)
    kept = cov[i, i] if diagonal else cov
    for rows in (
        IncompleteRows(z, w, frame, diagonal=diagonal),
        StreamedIncompleteRows(survey_of(z, w), frame, diagonal=diagonal),
    ):
        value, state = rows.e_step(log_weight, mean, kept, segments, centred=centred)
        np.testing.assert_allclose(value + w.sum() * frame.log_det, expected[0], rtol=1e-11)
        np.testing.assert_allclose(state[0], expected[1], rtol=1e-10)
        np.testing.assert_allclose(frame.means_back(state[1 : 1 + d]).T, expected[2], rtol=1e-9, atol=1e-9)
        own = state[1 + d :]
        if not diagonal:
            full = np.empty((d, d, 5))
            full[lower_triangle(d)] = own
            full[lower_triangle(d)[::-1]] = own
            own = full
        unit = np.moveaxis(frame.covariances_back(own), 0, -1)
        there = expected[3][i, i] if diagonal else expected[3]
        np.testing.assert_allclose(unit, there, rtol=1e-8, atol=1e-8)


def survey_of(z, w):
    """The rows as Data in which unit space is the rows' own."""
    data = survey(z, w, missing="marginal")
    data.units = type(data.units).identity(z.shape[1])
    return data


def test_patterns_whose_parents_no_row_has():
    d, n = 5, 40
    x = world(d).sample(n, random_state=2, exact=True)
    z = x.copy()
    z[:15, [1, 3]] = NAN
    z[15:30, [0, 2, 3, 4]] = NAN
    z[30:, 4] = NAN
    frame = frame_of(x, diagonal=False)
    a = 0.3 * np.random.default_rng(4).standard_normal((3, d, d)) + np.eye(d)
    cov, mean = np.moveaxis(a @ np.swapaxes(a, 1, 2), 0, 2), np.full((d, 3), [-0.5, 0.0, 0.5])
    given = np.log([0.5, 0.2, 0.3]), mean, cov, Segments([3])
    value, state = IncompleteRows(z, np.ones(n), frame, diagonal=False).e_step(*given)
    expected = by_the_book(frame.rows(z), np.ones(n), *given)
    shift = (np.isnan(z).sum(axis=0) * np.log(frame.inverse)).sum()
    np.testing.assert_allclose(value, expected[0] + shift, rtol=1e-11)
    np.testing.assert_allclose(state[0], expected[1], rtol=1e-10)
    np.testing.assert_allclose(state[1 : 1 + d], expected[2], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(state[1 + d :], expected[3][lower_triangle(d)], rtol=1e-8, atol=1e-8)


def test_wide_and_far_rows_take_the_plain_form():
    d, n = 14, 25  # beyond the batched loops; and one row where every density underflows
    x = world(d).sample(n, random_state=2, exact=True)
    x[0] += 400.0
    z = punched(x, 0.3)
    frame = frame_of(x[1:], diagonal=False)
    a = 0.1 * np.random.default_rng(4).standard_normal((2, d, d)) + np.eye(d)
    cov, mean = np.moveaxis(a @ np.swapaxes(a, 1, 2), 0, 2), np.full((d, 2), [-0.5, 0.5])
    log_weight, segments = np.log([0.5, 0.5]), Segments([2])
    rows = IncompleteRows(z, np.ones(n), frame, diagonal=False)
    value, state = rows.e_step(log_weight, mean, cov, segments)
    expected = by_the_book(frame.rows(z), np.ones(n), log_weight, mean, cov, segments)
    shift = (np.isnan(z).sum(axis=0) * np.log(frame.inverse)).sum()
    np.testing.assert_allclose(value, expected[0] + shift, rtol=1e-11)
    np.testing.assert_allclose(state[1 : 1 + d], expected[2], rtol=1e-9, atol=1e-9)


def test_a_missing_entry_is_integrated_out():
    model = world(2)
    model.set_params(missing="marginal")
    area = quad(lambda t: float(model.density([[1.3, t]])[0]), -40, 40, points=[-8, 0, 8], limit=400)[0]
    assert model.density([[1.3, NAN]])[0] == pytest.approx(area, rel=1e-8)


@pytest.mark.parametrize("s", STRUCTURES, ids=lambda s: s.mclust)
def test_em_never_falls_and_starts_where_complete_rows_do(s):
    x = world().sample(120, random_state=8, exact=True)
    frame = frame_of(x, diagonal=s.diagonal)
    w, labels = np.ones(len(x)), np.argmax(world().predict_proba(x), axis=1)[None]
    complete = CachedRows(frame.rows(x), w, frame, diagonal=s.diagonal)
    whole = IncompleteRows(x, w, frame, diagonal=s.diagonal)
    state = state_from_labels(complete, labels, 3)
    mixtures = Mixtures([3], [s])
    cov, _ = mixtures.m_step(state, complete)
    given = np.log(state[0] / 120), state[1:4], cov, mixtures.segments
    for centred in (False, True):
        for a, b in zip(complete.e_step(*given), whole.e_step(*given, centred=centred), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    rows = IncompleteRows(punched(x), w, frame, diagonal=s.diagonal)
    for accelerate in (False, True):
        out = climb(mixtures, state, rows, tol=1e-5, max_iter=300, accelerate=accelerate)
        assert np.diff(out.traces[0]).min() >= -1e-9


# ---------------------------------------------------------------- the fit


def test_rows_without_gaps_are_fitted_as_ever():
    x = world().sample(200, random_state=1, exact=True)
    for kind in ("full", "diag"):
        same(marginal_model(kind=kind).fit(x), pofx.GaussianMixture(3, covariance_type=kind).fit(x), 1e-9)


def monotone(n=80):
    """Return rows whose third column is seen only with the second, and that only with the first."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n, 3)) @ [[1.0, 0.7, -0.4], [0.0, 1.0, 0.5], [0.0, 0.0, 0.8]] + [5.0, -3.0, 10.0]
    z = x.copy()
    z[50:, 2] = NAN
    z[65:, 1] = NAN
    return z


def factored(z):
    """Anderson (1957): the likelihood factors into regressions of each column on those before it, each by
    least squares on the rows that have it."""
    d = z.shape[1]
    mean, cov = np.zeros(d), np.zeros((d, d))
    for j in range(d):
        have = z[~np.isnan(z[:, j])]
        design = np.column_stack([np.ones(len(have)), have[:, :j]])
        beta = np.linalg.lstsq(design, have[:, j], rcond=None)[0]
        mean[j] = beta[0] + beta[1:] @ mean[:j]
        cov[j, :j] = cov[:j, j] = cov[:j, :j] @ beta[1:]
        cov[j, j] = np.mean((have[:, j] - design @ beta) ** 2) + beta[1:] @ cov[:j, :j] @ beta[1:]
    return mean, cov


def test_one_gaussian_with_monotone_gaps_has_a_closed_form():
    z = monotone()
    mean, cov = factored(z)
    model = marginal_model(1).fit(z)
    np.testing.assert_allclose(model.means_[0], mean, rtol=1e-8)
    np.testing.assert_allclose(model.covariances_[0], cov, rtol=1e-8, atol=1e-8)
    assert model.fit_.converged
    never_falls(model)
    diag = marginal_model(1, "diag").fit(z)  # independent columns: each on its own
    np.testing.assert_allclose(diag.means_[0], np.nanmean(z, axis=0), rtol=1e-9)
    np.testing.assert_allclose(diag.covariances_[0], np.nanvar(z, axis=0), rtol=1e-8)


def test_missing_at_random_is_not_missing_completely_at_random():
    # The second column is missing where the first is large: its own mean is wrong, the model's is right.
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 2)) @ [[1.0, 0.9], [0.0, 0.4]]
    z = x.copy()
    z[x[:, 0] > 0, 1] = NAN
    model = marginal_model(1).fit(z)
    assert np.nanmean(z[:, 1]) < -0.5
    assert abs(model.mean()[1] - x[:, 1].mean()) < 0.06
    assert abs(model.covariance()[0, 1] / np.cov(x.T)[0, 1] - 1.0) < 0.06


def test_a_known_world_is_found_with_a_third_of_the_entries_missing():
    x = world().sample(2500, random_state=11, exact=True)
    full = pofx.GaussianMixture(3, covariance_type="full").fit(x)
    model = marginal_model().fit(punched(x))
    never_falls(model)
    assert np.abs(model.weights_ - full.weights_).max() < 4 * np.sqrt(0.25 / 2500)
    for mine, theirs, cov, weight in zip(
        model.means_, full.means_, full.covariances_, full.weights_, strict=True
    ):
        se = np.sqrt(np.diag(cov) / (2500 * weight))
        assert (np.abs(mine - theirs) < 3 * se).all()
    for mine, theirs, weight in zip(model.covariances_, full.covariances_, full.weights_, strict=True):
        sd = np.sqrt(np.diag(theirs))
        assert (np.abs(mine - theirs) / sd / sd[:, None]).max() < 5 * np.sqrt(2.0 / (2500 * weight))
    chosen = pofx.GaussianMixture(range(1, 5), missing="marginal").fit(punched(x)[:800])
    assert (chosen.n_components_, chosen.covariance_type_) == (3, "full")


@pytest.mark.parametrize("kind", ["tied", "diag", "spherical", "VEV", "EVE"])
def test_other_structures_reach_a_stationary_point(kind):
    z = rows_of(200)
    model = marginal_model(2, kind).fit(z)
    never_falls(model)
    assert model.log_density(z).sum() == pytest.approx(model.fit_.trace[-1], rel=1e-12)
    again = marginal_model(
        2, kind, weights_init=model.weights_, means_init=model.means_, covariances_init=model.covariances_
    ).fit(z)
    assert again.fit_.trace[-1] == pytest.approx(model.fit_.trace[-1], abs=1e-6)
    same(again, model, 1e-4)


def test_the_search_keeps_its_promises():
    z = rows_of(150)
    kinds = ["spherical", "diag", "tied", "full"]
    table = pofx.GaussianMixture(range(1, 4), covariance_type=kinds, missing="marginal").fit(z).fit_.search
    found = {(c["covariance_type"], c["n_components"]): c for c in table if c["regular"]}
    assert len(found) >= 10
    for (kind, k), c in found.items():
        for inner in [(kind, k - 1), ("tied", k) if kind == "full" else ("spherical", k)]:
            if inner in found and (inner[0], kind) != ("spherical", "tied"):
                assert c["log_likelihood"] >= found[inner]["log_likelihood"] - 1e-6


# ---------------------------------------------------------------- laws


def test_rows_without_any_entry_change_nothing():
    z = rows_of()
    empty = np.insert(z, [0, 100, 300], NAN, axis=0)
    a, b = marginal_model().fit(z), marginal_model().fit(empty)
    same(a, b, 1e-12)
    assert (b.fit_.n_rows, b.fit_.n_dropped) == (300, 3)
    assert a.fit_.trace[-1] == b.fit_.trace[-1]
    log_p = b.log_density(empty)
    assert log_p[[0, 101, 302]].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(b.predict_proba(empty)[0], b.weights_)
    assert b.bic(empty) == pytest.approx(a.bic(z), rel=1e-14)
    k = a.n_parameters_
    assert a.bic(z) == pytest.approx(-2 * a.log_density(z).sum() + k * np.log(300), rel=1e-14)


def test_order_of_rows_and_weights_as_repetition():
    z = rows_of()
    one = marginal_model().fit(z)
    same(one, marginal_model().fit(z[np.random.default_rng(0).permutation(300)]), 1e-8)
    w = np.random.default_rng(1).integers(0, 3, 300)
    repeated = marginal_model().fit(np.repeat(z, w, axis=0))
    weighted = marginal_model().fit(z, sample_weight=w)
    same(repeated, weighted, 1e-8)
    assert repeated.fit_.effective_n == weighted.fit_.effective_n == w.sum()


def test_equal_rows_with_equal_gaps_are_one():
    z = np.array([[1.0, NAN, 2.0], [1.0, 0.0, 2.0], [1.0, -NAN, 2.0], [NAN, 0.0, 2.0], [1.0, -0.0, 2.0]])
    data = survey(z, missing="marginal")
    x, w = data.distinct()
    assert sorted(w.tolist()) == [1.0, 2.0, 2.0]
    assert np.isnan(x).sum() == 2
    np.testing.assert_array_equal(data.present, [4.0, 3.0, 5.0])
    kept, _ = data.distinct(2)
    assert len(kept) == 2


def test_units_of_the_columns():
    z = rows_of()
    scale, shift = np.array([2.0**20, 2.0**-30, 1.0]), np.array([0.0, 0.0, 0.0])
    one, other = marginal_model().fit(z), marginal_model().fit(z * scale + shift)
    assert (other.means_ == one.means_ * scale).all()  # powers of two: to the last bit
    gap = (~np.isnan(z)) @ np.log(scale)
    np.testing.assert_allclose(other.log_density(z * scale), one.log_density(z) - gap, rtol=1e-12)
    metric = marginal_model().fit(z * [25.4, 0.3048, 1.0] + [100.0, -3.0, 7.0])
    np.testing.assert_allclose(metric.weights_, one.weights_, atol=1e-6)


def test_blocks_and_arrays_agree():
    z = rows_of(700)
    z[5] = NAN
    w = np.random.default_rng(1).integers(0, 3, 700)
    whole = marginal_model().fit(z, sample_weight=w)
    cut = Blocks([z[:13], z[13:400], z[400:]])
    same(whole, marginal_model().fit(cut, sample_weight=w), 1e-12)
    column_by_column = z[np.argsort(np.isnan(z[:, 0]), kind="stable")]  # a block in which a column is empty
    blocks = np.split(column_by_column, [np.isfinite(z[:, 0]).sum()])
    same(marginal_model().fit(z), marginal_model().fit(Blocks(blocks)), 1e-8)


def test_more_rows_than_the_search_sees_and_than_memory_holds(monkeypatch):
    z = rows_of(2600, 2)
    cached = marginal_model(2, n_init=1).fit(z)
    monkeypatch.setattr("pofx.models.mixture.fitting.CACHE_BYTES", 0)
    monkeypatch.setattr("pofx.models.mixture.incomplete.BUFFER_ELEMENTS", 1500)
    same(cached, marginal_model(2, n_init=1).fit(z), 1e-8)
    never_falls(cached)


def test_nearly_collinear_columns_with_gaps():
    rng = np.random.default_rng(3)
    base = rng.standard_normal((400, 2))
    x = np.column_stack([base[:, 0], base[:, 0] + 1e-3 * base[:, 1], rng.standard_normal(400)])
    z = punched(x, 0.2)
    model = marginal_model(1).fit(z)  # the search space is whitened here
    plain = marginal_model(1).fit(np.column_stack([z[:, 0], z[:, 2]]))
    np.testing.assert_allclose(model.covariances_[0][0, 0], plain.covariances_[0][0, 0], rtol=0.05)
    residual = model.condition({0: 0.3, 2: 0.0}).covariances_.ravel()[0]
    assert residual == pytest.approx(1e-6, rel=0.2)
    assert model.log_density(z).sum() == pytest.approx(model.fit_.trace[-1], rel=1e-10)


# ---------------------------------------------------------------- queries


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_log_density_of_a_row_with_gaps_is_the_marginals(kind):
    x = world().sample(120, random_state=0, exact=True) * [1.0, 1e5, 1e-3]
    model = marginal_model(2, kind).fit(punched(x))
    for keep in ([0], [1], [2], [0, 2], [1, 2]):
        z = np.full_like(x, NAN)
        z[:, keep] = x[:, keep]
        part = model.marginal(keep)
        np.testing.assert_allclose(model.log_density(z), part.log_density(x[:, keep]), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(model.score_samples(z), model.log_density(z))
    mixed = punched(x)
    one_by_one = np.concatenate([model.log_density(row[None]) for row in mixed])
    np.testing.assert_allclose(model.log_density(mixed), one_by_one, rtol=1e-12)
    np.testing.assert_allclose(model.predict_proba(mixed).sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.log_density(x), model.set_params(missing="error").log_density(x))


def test_without_marginal_nothing_has_changed():
    model = world()
    with pytest.raises(DataError, match=r"NaN .*column 1.*A row needs every entry to be scored"):
        model.log_density([[0.0, NAN, 1.0]])
    with pytest.raises(DataError, match="NaN"):
        pofx.GaussianMixture(2).fit([[0.0, NAN], [1.0, 2.0], [3.0, 1.0]])


def test_saving_keeps_the_behaviour(tmp_path):
    z = rows_of(100)
    model = marginal_model(2).fit(z)
    model.save(tmp_path / "m.pofx")
    again = pofx.load(tmp_path / "m.pofx")
    np.testing.assert_array_equal(again.log_density(z), model.log_density(z))
    np.testing.assert_array_equal(again.impute(z), model.impute(z))


# ---------------------------------------------------------------- imputation


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_conditional_means_and_draws_are_the_conditional_distributions(kind):
    x = world().sample(150, random_state=0, exact=True)
    model = pofx.GaussianMixture(3, covariance_type=kind).fit(x)
    z = np.array([[x[0, 0], NAN, NAN], [NAN, x[1, 1], x[1, 2]], [NAN, NAN, NAN], x[3]])
    filled = model.impute(z)
    known = ~np.isnan(z)
    assert (filled[known] == z[known]).all()
    there = [model.condition({0: x[0, 0]}), model.condition({1: x[1, 1], 2: x[1, 2]}), model]
    holes = [[1, 2], [0], [0, 1, 2]]
    draws = model.impute(z, draws=4000, random_state=1, exact=True)
    assert draws.shape == (4000, 4, 3)
    assert (draws[:, known] == z[known]).all()
    for i, (part, hole) in enumerate(zip(there, holes, strict=True)):
        np.testing.assert_allclose(filled[i, hole], part.mean(), rtol=1e-10)
        cov = part.covariance()
        se = np.sqrt(np.diag(cov) / 4000)
        assert (np.abs(draws[:, i, hole].mean(axis=0) - part.mean()) < 4.5 * se).all()
        mine = np.atleast_2d(np.cov(draws[:, i, hole].T))
        sd = np.sqrt(np.diag(cov))
        assert (np.abs(mine - cov) / sd / sd[:, None]).max() < 0.12


def test_draws_repeat_and_keep_to_their_row():
    model, z = world(), rows_of(40)
    a, b = model.impute(z, draws=2, random_state=3), model.impute(z, draws=2, random_state=3)
    np.testing.assert_array_equal(a, b)
    assert (a[0] != a[1]).any()
    other = z.copy()
    other[1:] = model.sample(39, random_state=0)
    np.testing.assert_array_equal(model.impute(other, draws=1, random_state=3)[0, 0], a[0, 0])
    assert (model.impute(z, draws=1) != model.impute(z, draws=1)).any()


def test_imputing_with_draws_keeps_the_spread_that_means_lose():
    x = np.random.default_rng(2).standard_normal((4000, 2)) @ [[1.0, 0.8], [0.0, 0.6]]
    z = x.copy()
    z[:2000, 1] = NAN
    model = marginal_model(1).fit(z)
    drawn = model.impute(z, draws=1, random_state=0)[0]
    assert np.cov(drawn.T)[1, 1] == pytest.approx(x[:, 1].var(), rel=0.08)
    assert np.cov(model.impute(z).T)[1, 1] < 0.85 * x[:, 1].var()


def test_containers_dtypes_and_recorded_precision():
    rng = np.random.default_rng(0)
    count = rng.poisson(20, 200)
    frame = pd.DataFrame({"count": count, "rate": np.round(count / 3 + rng.standard_normal(200), 1)})
    model = marginal_model(1).fit(frame)
    query = frame.astype({"count": float}).set_index(np.arange(200)[::-1])
    query.loc[query.index[:3], "count"] = NAN
    query.loc[query.index[5], "rate"] = NAN
    filled = model.impute(query)
    assert filled["count"].dtype == np.int64
    assert (filled.index == query.index).all()
    assert round(float(filled["rate"].iloc[5]), 1) == filled["rate"].iloc[5]
    assert (filled["count"].iloc[3:] == count[3:]).all()
    odd = query.copy()
    odd.loc[odd.index[9], "count"] = 17.25  # what was observed stays, even where integers could not hold it
    assert model.impute(odd)["count"].iloc[9] == 17.25
    assert model.impute(query, exact=True)["count"].dtype == np.float64
    assert isinstance(model.impute(query, draws=2, random_state=0), list)
    nulls = pl.DataFrame({"a": [1.5, None, 3.25, 4.0, 0.5], "b": [None, 2.0, 1.0, 5.0, 2.5]})
    fitted = marginal_model(1, "diag").fit(nulls)
    assert isinstance(fitted.impute(nulls), pl.DataFrame)
    assert fitted.impute(nulls).null_count().sum_horizontal().item() == 0
    assert fitted.fit_.n_rows == 5
    column = marginal_model(2, "full").fit(np.append(count.astype(float), NAN))
    assert column.impute([NAN, 3.0], draws=4, random_state=0).shape == (4, 2)


# ---------------------------------------------------------------- what cannot be


def test_columns_that_are_empty_or_constant_are_named():
    z = rows_of(60)
    empty = z.copy()
    empty[:, 1] = NAN
    with pytest.raises(DegenerateError, match="no number in 'column 1'"):
        marginal_model().fit(empty)
    with pytest.raises(DegenerateError, match="no number in 'column 1'"):
        marginal_model().fit(Blocks([empty[:30], empty[30:]]))
    constant = np.where(np.isnan(z), NAN, np.where([False, False, True], 3.0, z))
    with pytest.raises(DegenerateError, match="Constant column 'column 2'"):
        marginal_model().fit(constant)
    with pytest.raises(DataError, match="0 rows are left"):
        marginal_model().fit(np.full((3, 2), NAN))
    with pytest.raises(DataError, match="infinity in column 0"):
        marginal_model().fit([[np.inf, NAN], [1.0, 2.0]])
    with pytest.raises(DataError, match="infinity in column 0"):
        marginal_model(2).fit(z).log_density([[np.inf, NAN, 0.0]])


def test_collinear_columns_are_named_through_gaps():
    x = np.random.default_rng(0).standard_normal((90, 2))
    z = punched(np.column_stack([x, x @ [2.0, -1.0]]), 0.15)
    with pytest.raises(DegenerateError, match=r"'column 0'.*collinear"):
        marginal_model(1).fit(z)
    with pytest.warns(PofxWarning, match="collinear"):
        model = pofx.GaussianMixture([1, 2], missing="marginal").fit(z)
    assert structure(model.covariance_type_).diagonal


def test_pairs_that_no_row_has_are_named():
    z = rows_of(120, share=0.0)
    z[:60, 0] = NAN
    z[60:, 2] = NAN
    with pytest.warns(PofxWarning, match="No row has both 'column 0' and 'column 2'"):
        model = marginal_model(1).fit(z)
    assert any("No row has both" in note for note in model.fit_.notes)
    never_falls(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        marginal_model(2, "diag").fit(z)  # asks for no correlation


def test_other_models_say_that_they_cannot():
    for model in (pofx.Gaussian(missing="marginal"), pofx.KDE(missing="marginal")):
        with pytest.raises(ParameterError, match=r"no marginals.*GaussianMixture\(1, missing=\"marginal\"\)"):
            model.fit(np.zeros((3, 2)))
    with pytest.raises(ParameterError, match="Did you mean 'marginal'"):
        pofx.GaussianMixture(missing="marginl").fit(np.zeros((3, 2)))
    with pytest.raises(ParameterError, match="draws must be a whole number >= 1"):
        world().impute([[0.0, NAN, 1.0]], draws=0)
    with pytest.raises(DataError, match="infinity"):
        world().impute([[np.inf, NAN, 1.0]])


def test_structure_names_are_still_objects():
    assert marginal_model(2, structure("VVI")).fit(rows_of(60)).covariance_type_ == "diag"
