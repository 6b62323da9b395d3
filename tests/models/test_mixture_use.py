"""Clusters, criteria and the summary of a mixture."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import pofx


@pytest.fixture(scope="module")
def x():
    rng = np.random.default_rng(2)
    label = rng.integers(0, 3, 240)
    return np.array([[0.0, 0.0], [3.0, 1.0], [9.0, 9.0]])[label] + rng.standard_normal((240, 2))


@pytest.fixture(scope="module")
def model(x):
    return pofx.GaussianMixture(3, covariance_type="full").fit(x)


def joint_logs(model, x):
    """log w_k N(x; k), (n, K), by SciPy."""
    return np.stack(
        [
            np.log(w) + multivariate_normal(m, c).logpdf(x)
            for w, m, c in zip(model.weights_, model.means_, model.covariances_, strict=True)
        ],
        axis=1,
    )


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_labels_of_draws_are_the_components_that_they_came_from(kind):
    shapes = {"full": [np.eye(2), np.eye(2) * 0.1], "tied": np.eye(2), "diag": [[1.0, 1.0], [0.1, 2.0]]}
    known = pofx.GaussianMixture.from_params(
        [0.25, 0.75], [[-50, 0], [50, 0]], shapes[kind], covariance_type=kind
    )
    rows, labels = known.sample(4000, random_state=1, return_labels=True)
    assert (labels == (rows[:, 0] > 0)).all()
    assert abs(labels.mean() - 0.75) < 0.03
    assert (rows == known.sample(4000, random_state=1)).all()
    empty, none = known.sample(0, return_labels=True)
    assert (empty.shape, none.shape) == ((0, 2), (0,))


def test_draws_with_labels_keep_container_and_precision():
    import pandas

    frame = pandas.DataFrame(
        {"a": np.round(np.random.default_rng(0).standard_normal(60), 1), "b": np.arange(60)}
    )
    fitted = pofx.GaussianMixture(2, covariance_type="diag").fit(frame)
    rows, labels = fitted.sample(7, random_state=0, return_labels=True)
    assert list(rows.columns) == ["a", "b"]
    assert rows["b"].dtype == frame["b"].dtype
    pandas.testing.assert_frame_equal(rows, fitted.sample(7, random_state=0))
    exact, again = fitted.sample(7, random_state=0, exact=True, return_labels=True)
    assert (labels == again).all()
    assert (exact["a"] != rows["a"]).any()


def test_uncertainty_is_one_less_the_largest_responsibility_and_keeps_its_digits(model, x):
    doubt = model.uncertainty(x)
    np.testing.assert_allclose(doubt, 1.0 - model.predict_proba(x).max(axis=1), atol=1e-15)
    logs = np.sort(joint_logs(model, x), axis=1)
    np.testing.assert_allclose(
        doubt, np.exp(logsumexp(logs[:, :-1], axis=1) - logsumexp(logs, axis=1)), rtol=1e-9
    )
    assert 0.0 < doubt.min() < 1e-17  # where one less the largest is zero
    far = model.uncertainty([[1e200, -1e200]])
    assert np.isfinite(far).all()


def test_icl_is_minus_twice_the_classification_likelihood_penalised(model, x):
    """The definition of Biernacki, Celeux and Govaert (2000), with z the likeliest labels."""
    classification = joint_logs(model, x).max(axis=1).sum()
    assert model.icl(x) == pytest.approx(
        -2 * classification + model.n_parameters_ * np.log(len(x)), rel=1e-10
    )
    assert model.icl(x) > model.bic(x)
    single = pofx.GaussianMixture(1).fit(x)
    assert single.icl(x) == pytest.approx(single.bic(x), rel=1e-14)
    apart = pofx.GaussianMixture(2, covariance_type="full").fit([-9.1, -9, -8.9, -8.8, 8.8, 9, 9.1, 9.3])
    assert apart.icl(apart.means_) == pytest.approx(apart.bic(apart.means_), rel=1e-12)


@pytest.mark.parametrize("n", [240, 3000])
def test_the_table_holds_all_criteria(n):
    rng = np.random.default_rng(4)
    x = rng.standard_normal((n, 2)) * [1.0, 2.0] + 3.0 * rng.integers(0, 2, (n, 1))
    w = rng.integers(1, 3, n)
    best = pofx.GaussianMixture([1, 2, 3], covariance_type=["full", "diag"]).fit(x, sample_weight=w)
    rows = np.repeat(x, w, axis=0)
    found = [r for r in best.fit_.search if r["log_likelihood"] is not None]
    assert len(found) > 2
    for row in found:
        assert row["aic"] == pytest.approx(-2 * row["log_likelihood"] + 2 * row["n_parameters"], rel=1e-12)
        assert row["icl"] >= row["bic"]
        if (row["n_components"], row["covariance_type"]) == (best.n_components_, best.covariance_type_):
            assert row["icl"] == pytest.approx(best.icl(rows), abs=1e-2)
            assert row["bic"] == pytest.approx(best.bic(rows), abs=1e-6)
    left = [r for r in best.fit_.search if r["log_likelihood"] is None]
    assert all(r["icl"] is r["aic"] is None for r in left)
    assert any(r["icl"] == r["bic"] for r in found if r["n_components"] == 1) or n > 2000


def test_summary_says_what_the_model_says(model, x):
    s = model.summary(x)
    assert s.log_likelihood == pytest.approx(model.log_density(x).sum())
    assert (s.n, s.n_parameters, s.bic, s.aic, s.icl) == (
        240, model.n_parameters_, pytest.approx(model.bic(x)), pytest.approx(model.aic(x)), model.icl(x)
    )  # fmt: skip
    assert s.counts == tuple(np.bincount(model.predict(x), minlength=3))
    np.testing.assert_allclose(s.sizes, 240 * model.weights_)
    np.testing.assert_allclose(s.means, model.means_)
    np.testing.assert_allclose(s.sds, np.sqrt(np.diagonal(model.covariances_, 0, 1, 2)))
    assert json.loads(json.dumps(s.to_dict()))["counts"] == list(s.counts)
    without = model.summary()
    assert (without.counts, without.icl) == (None, None)
    assert without.log_likelihood == pytest.approx(s.log_likelihood, rel=1e-12)
    assert without.bic == pytest.approx(s.bic, rel=1e-12)


def test_summary_is_read_like_this(model, x):
    lines = str(model.summary(x)).split("\n")
    assert lines[0] == "Mixture of Gaussians: 3 components, full (VVV), 2 columns"
    assert "240 rows, 17 parameters" in lines[1]
    assert lines[2].startswith("BIC ")
    assert lines[4].split()[:3] == ["weight", "size", "rows"]
    assert len(lines) == 8
    assert "summary(X)" in str(model.summary())
    known = pofx.GaussianMixture.from_params([0.5, 0.5], [0.0, 1e9], [1.0, 1e-12])
    assert "no rows" in str(known.summary())
    wide = pofx.GaussianMixture.from_params([1.0], np.zeros((1, 9)), np.eye(9), covariance_type="tied")
    assert str(wide.summary()).endswith("and 3 more columns: see means, sds")
    searched = pofx.GaussianMixture([1, 2], covariance_type="spherical").fit(x)
    assert searched.summary().icl == pytest.approx(searched.icl(x), abs=1e-2)


def test_summary_counts_weights_and_names_columns():
    import pandas

    frame = pandas.DataFrame({"a": np.arange(30.0), "b": np.arange(30.0) ** 2})
    fitted = pofx.GaussianMixture(1, covariance_type="full").fit(frame, sample_weight=np.full(30, 2))
    assert fitted.summary().n == 60
    assert fitted.summary().columns == ("a", "b")
    assert "a" in str(fitted.summary()).split("\n")[4].split()
