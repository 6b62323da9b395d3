"""EM step by step: it is the textbook's, it never falls, and it ends where the fit from there ends."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnMixture

import pofx
from pofx.core.fold import Blocks
from pofx.errors import DegenerateError, ParameterError


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(8)
    return np.array([[0.0, 0.0], [3.5, 1.0], [0.0, 5.0]])[rng.integers(0, 3, 160)] + rng.standard_normal(
        (160, 2)
    )


def by_kind(records):
    records = list(records)
    return [r for r in records if r.kind == "E"], [r for r in records if r.kind == "M"]


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical", "VEV", "EVE", "EEI"])
def test_they_end_where_the_fit_from_there_ends(kind, x):
    label = np.where(x[:, 1] > 2.5, 2, (x[:, 0] > 1.75).astype(int))
    how = pofx.GaussianMixture(3, covariance_type=kind, labels_init=label, tol=1e-12, max_iter=4000)
    e, m = by_kind(how.steps(x))
    trace = [r.log_likelihood for r in e]
    assert (np.diff(trace) >= -1e-9).all()
    assert len(m) == len(e) + 1
    fitted = how.fit(x)
    order = np.lexsort(m[-1].means.T[::-1])
    # Log-likelihoods no longer tell parameters apart that differ by the root of their rounding.
    assert trace[-1] == pytest.approx(fitted.fit_.trace[-1], abs=1e-6)
    np.testing.assert_allclose(m[-1].weights[order], fitted.weights_, atol=1e-5)
    np.testing.assert_allclose(m[-1].means[order], fitted.means_, atol=1e-5)
    last = m[-1].covariances if kind == "tied" else m[-1].covariances[order]
    assert last.shape == fitted.covariances_.shape
    np.testing.assert_allclose(last, fitted.covariances_, atol=1e-5)


def test_a_step_is_the_textbooks(x):
    records = pofx.GaussianMixture(3, covariance_type="full", means_init=x[:3]).steps(x)
    start, e, m = itertools.islice(records, 3)
    assert (start.iteration, e.iteration, m.iteration) == (0, 1, 1)
    model = pofx.GaussianMixture.from_params(start.weights, start.means, start.covariances)
    assert e.log_likelihood == pytest.approx(model.log_density(x).sum(), rel=1e-12)
    places = np.lexsort(start.means.T[::-1])  # from_params puts components in order
    r = e.responsibilities
    np.testing.assert_allclose(r[:, places], model.predict_proba(x), atol=1e-10)
    np.testing.assert_allclose(e.sizes, r.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(m.weights, r.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(m.means, r.T @ x / r.sum(axis=0)[:, None], rtol=1e-9)
    centred = x - m.means[1]
    np.testing.assert_allclose(m.covariances[1], (r[:, 1] * centred.T) @ centred / r[:, 1].sum(), rtol=1e-8)


def test_ten_steps_are_scikit_learns(x):
    """The same start, ten iterations without regularisation: the same means."""
    given = {"weights_init": np.full(3, 1 / 3), "means_init": x[:3]}
    theirs = SklearnMixture(
        3,
        covariance_type="diag",
        max_iter=10,
        tol=0.0,
        reg_covar=0.0,
        precisions_init=np.ones((3, 2)),
        **given,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(x)
    how = pofx.GaussianMixture(3, covariance_type="diag", covariances_init=np.ones((3, 2)), **given)
    tenth = [r for r in itertools.islice(how.steps(x), 21) if r.kind == "M"][-1]
    np.testing.assert_allclose(tenth.means, theirs.means_, rtol=1e-8)
    np.testing.assert_allclose(tenth.covariances, theirs.covariances_, rtol=1e-8)


def test_without_a_start_they_begin_at_seeds_and_are_repeated_by_the_seed(x):
    how = pofx.GaussianMixture(3, covariance_type="tied", random_state=4)
    a, b = by_kind(how.steps(x)), by_kind(how.steps(x))
    assert [r.log_likelihood for r in a[0]] == [r.log_likelihood for r in b[0]]
    assert not hasattr(how, "params_")
    one = by_kind(pofx.GaussianMixture(1, covariance_type="full").steps(x))
    np.testing.assert_allclose(one[1][-1].means[0], x.mean(axis=0), rtol=1e-12)


def test_weights_blocks_units_and_records_that_cannot_be_written_to(x):
    w = np.arange(len(x)) % 3
    how = pofx.GaussianMixture(2, covariance_type="full", means_init=x[:2] * [1e-9, 1.0])
    scaled = x * [1e-9, 1.0]
    e, m = by_kind(how.steps(scaled, sample_weight=w))
    again, _ = by_kind(how.steps(Blocks([scaled[:50], scaled[50:]]), sample_weight=w))
    plain, parameters = by_kind(
        pofx.GaussianMixture(2, covariance_type="full", means_init=x[:2]).steps(np.repeat(x, w, axis=0))
    )
    assert e[-1].log_likelihood == again[-1].log_likelihood
    shift = w.sum() * np.log(1e-9)
    assert e[-1].log_likelihood == pytest.approx(plain[-1].log_likelihood - shift, abs=1e-4)
    np.testing.assert_allclose(m[-1].means / [1e-9, 1.0], parameters[-1].means, rtol=1e-3)
    assert e[0].responsibilities.shape == ((w > 0).sum(), 2)
    for array in (m[0].means, m[0].covariances, e[0].responsibilities, e[0].sizes):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_many_rows_show_no_responsibilities():
    x = np.random.default_rng(0).standard_normal((21_000, 1)) + 4.0 * (np.arange(21_000) % 2)[:, None]
    start, e, m = itertools.islice(pofx.GaussianMixture(2, covariance_type="full").steps(x), 3)
    assert e.responsibilities is None
    assert e.sizes.sum() == pytest.approx(21_000)
    assert start.weights.sum() == pytest.approx(1.0)
    assert m.means.shape == (2, 1)


def test_impossible_steps_say_so_before_the_first(x):
    with pytest.raises(ParameterError, match=r"one n_components and one covariance_type; got .*\[1, 2, 3"):
        pofx.GaussianMixture().steps(x)
    with pytest.raises(DegenerateError, match="at least 9 distinct rows"):
        pofx.GaussianMixture(9, covariance_type="diag").steps(x[:5])
