"""What a mixture says of rows and parameters that it cannot use: the cause, and what to try."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pofx
from pofx.errors import DegenerateError, ParameterError, PofxWarning
from pofx.models.mixture.structures import structure


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return rng.standard_normal((60, 2)) + 4 * rng.integers(0, 2, (60, 1))


def test_more_components_than_rows_or_distinct_rows(x):
    with pytest.raises(DegenerateError, match=r"n_components=9 .*5 rows came.*at most 5"):
        pofx.GaussianMixture(9).fit(x[:5])
    with pytest.raises(DegenerateError, match=r"n_components=4 .*60 rows, of which 3 are distinct"):
        pofx.GaussianMixture(4, covariance_type="diag").fit(np.repeat(x[:3], 20, axis=0))


def test_automatic_choice_with_few_distinct_rows(x):
    few = np.repeat(x[:4], 10, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)
        model = pofx.GaussianMixture(covariance_type="diag").fit(few)
    assert model.n_components_ <= 4
    assert np.isfinite(model.log_density(few)).all()


def test_rows_not_more_than_columns(x):
    wide = np.random.default_rng(1).standard_normal((6, 9))
    with pytest.raises(DegenerateError, match=r"more than 9 distinct rows; 6 came.*covariance_type='diag'"):
        pofx.GaussianMixture(1, covariance_type="full").fit(wide)
    with pytest.warns(PofxWarning, match="only structures without correlation"):
        model = pofx.GaussianMixture().fit(wide)
    assert structure(model.covariance_type_).diagonal


def test_constant_and_collinear_columns_are_named(x):
    with pytest.raises(DegenerateError, match="column 1"):
        pofx.GaussianMixture(2).fit(np.column_stack([x[:, 0], np.ones(60)]))
    with pytest.raises(DegenerateError, match="identical"):
        pofx.GaussianMixture(2).fit(np.ones((20, 2)))
    dependent = np.column_stack([x, x @ [2.0, -1.0]])
    with pytest.raises(DegenerateError, match=r"'column 0'.*collinear"):
        pofx.GaussianMixture(2, covariance_type="tied").fit(dependent)
    with pytest.warns(PofxWarning, match="collinear"):
        model = pofx.GaussianMixture().fit(dependent)
    assert structure(model.covariance_type_).diagonal


def test_nearly_collinear_columns_are_fitted_with_a_warning(x):
    near = np.column_stack([x[:, 0], x[:, 0] + 1e-5 * x[:, 1]])
    with pytest.warns(PofxWarning, match="nearly collinear"):
        model = pofx.GaussianMixture(2, covariance_type="full").fit(near)
    plain = pofx.GaussianMixture(2, covariance_type="full").fit(np.column_stack([x[:, 0], x[:, 1]]))
    # the same rows, seen through a shear of determinant 1e-5
    gap = model.log_density(near) + np.log(1e-5) - plain.log_density(x)
    assert np.abs(gap).max() < 1e-2


def test_a_component_that_would_shrink_is_held_and_named():
    x = np.column_stack([np.repeat([0.0, 1.0], 30), np.random.default_rng(2).standard_normal(60)])
    with pytest.warns(PofxWarning, match=r"No regular optimum .* 2 components with covariance_type='diag'"):
        model = pofx.GaussianMixture(2, covariance_type="diag", means_init=[[0.0, 0.0], [1.0, 0.0]]).fit(x)
    assert model.fit_.notes
    smallest = model.covariances_[:, 0].min() / x[:, 0].var()
    assert smallest == pytest.approx(1e-4, rel=1e-9)
    assert np.isfinite(model.log_density(x)).all()
    chosen = pofx.GaussianMixture(covariance_type=["diag", "full"]).fit(x)
    sd = x.std(axis=0)
    covariances = chosen.covariances_ if chosen.covariance_type_ == "full" else None
    if covariances is not None:
        assert np.linalg.eigvalsh(covariances / sd / sd[:, None]).min() >= 1e-4


def test_far_rows_are_named(x):
    spoilt = np.vstack([x, [1e9, 0.0]])
    with pytest.warns(PofxWarning) as said:
        model = pofx.GaussianMixture(2, covariance_type="diag").fit(spoilt)
    assert any("Outliers" in str(w.message) and "'column 0'" in str(w.message) for w in said)
    assert model.fit_.notes == tuple(str(w.message) for w in said)


def test_a_fit_that_is_stopped_says_so(x):
    with pytest.warns(PofxWarning, match="max_iter=1 "):
        model = pofx.GaussianMixture(3, covariance_type="full", max_iter=1, means_init=x[:3]).fit(x)
    assert not model.fit_.converged
    assert "max_iter=1" in model.fit_.message


def test_weights_of_zero_for_a_whole_cluster(x):
    w = (x[:, 0] < 2).astype(int)
    a = pofx.GaussianMixture(1, covariance_type="full").fit(x, sample_weight=w)
    b = pofx.GaussianMixture(1, covariance_type="full").fit(x[w > 0])
    np.testing.assert_allclose(a.log_density(x), b.log_density(x), rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"weights_init": [0.5, 0.6]}, r"weights_init must sum to 1; .*off by 0\.1"),
        ({"weights_init": [1.5, -0.5]}, r"weights_init\[1\] is -0\.5"),
        ({"weights_init": [0.2, 0.3, 0.5]}, r"needs 2 weights"),
        ({"means_init": [[0.0, np.nan], [1.0, 1.0]]}, r"means_init\[0, 1\] is nan"),
        ({"means_init": [[0.0], [1.0]]}, r"shape \(n_components, 2\)"),
        ({"means_init": np.zeros((3, 2))}, r"needs 2 rows"),
        ({"covariances_init": np.eye(2)}, r"shape \(2, 2, 2\)"),
        (
            {"covariances_init": [np.eye(2), [[1.0, 2.0], [2.0, 1.0]]]},
            r"covariances_init\[1\].*eigenvalue is -1",
        ),
        ({"covariances_init": [np.eye(2), [[1.0, 0.5], [0.2, 1.0]]]}, r"covariances_init\[1\].*symmetric"),
        (
            {"covariances_init": [np.eye(2), np.diag([1.0, -1.0])]},
            r"covariances_init\[1\].*positive variances",
        ),
    ],
)
def test_impossible_initial_parameters(x, given, says):
    with pytest.raises(ParameterError, match=says):
        pofx.GaussianMixture(2, covariance_type="full", **given).fit(x)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"n_components": 0}, "n_components must be a whole number >= 1"),
        ({"n_components": 2.0}, "n_components"),
        ({"n_components": "two"}, "n_components"),
        ({"n_components": []}, "n_components"),
        ({"covariance_type": "fulll"}, "Did you mean 'full'"),
        ({"covariance_type": []}, "covariance_type"),
        ({"tol": 0.0}, "tol"),
        ({"max_iter": 0}, "max_iter"),
        ({"n_init": 0}, "n_init"),
        ({"random_state": -1}, "random_state"),
        ({"means_init": [[0.0, 0.0]], "n_components": [1, 2]}, "one number of components"),
        ({"n_components": 2, "covariances_init": np.ones((2, 2))}, "needs one covariance_type"),
    ],
)
def test_impossible_hyperparameters(x, given, says):
    with pytest.raises(ParameterError, match=says):
        pofx.GaussianMixture(**given).fit(x)


@pytest.mark.parametrize(
    ("weights", "means", "covariances", "kind", "says"),
    [
        ([0.5, 0.4], [0.0, 1.0], [1.0, 1.0], "full", "sum to 1"),
        ([0.5, 0.5], [0.0, 1.0, 2.0], [1.0, 1.0], "full", "must agree"),
        ([0.5, 0.5], [0.0, 1.0], [1.0, -1.0], "diag", r"covariances\[1, 0\] is -1"),
        ([0.5, 0.5], [[0, 0], [1, 1]], np.ones((2, 2, 2)), "full", "eigenvalue"),
        ([0.5, 0.5], [[0, 0], [1, 1]], np.eye(2), "VVV", "shape"),
        ([1.0], [[0, 0]], [np.eye(2)], "round", "covariance_type"),
    ],
)
def test_impossible_parameters_of_a_known_mixture(weights, means, covariances, kind, says):
    with pytest.raises(ParameterError, match=says):
        pofx.GaussianMixture.from_params(weights, means, covariances, covariance_type=kind)


def test_a_spherical_mixture_of_incomparable_columns_is_refused(x):
    scaled = x * [1e-150, 1e150]
    with pytest.raises(DegenerateError, match=r"scales differ.*'diag'"):
        pofx.GaussianMixture(2, covariance_type="spherical").fit(scaled)
    model = pofx.GaussianMixture().fit(scaled)
    assert model.covariance_type_ != "spherical"


def test_a_failed_refit_leaves_the_model_as_it_was(x):
    model = pofx.GaussianMixture(2, covariance_type="full").fit(x)
    before = model.params_
    with pytest.raises(DegenerateError):
        model.fit(np.ones((10, 2)))
    assert model.params_ is before
