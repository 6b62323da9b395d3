"""EM from a given partition of the rows: one M-step, then EM, as mclust's me(z=)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pofx
from pofx.core.fold import Blocks
from pofx.errors import ParameterError


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    label = rng.integers(0, 3, 150)
    centres = np.array([[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]])
    return centres[label] + rng.standard_normal((150, 2)), label


def textbook_m_step(x, r):
    n = r.sum(axis=0)
    means = r.T @ x / n[:, None]
    cov = [(r[:, k] * (x - means[k]).T) @ (x - means[k]) / n[k] for k in range(len(n))]
    return n / len(x), means, np.array(cov)


@pytest.mark.parametrize("hard", [True, False])
def test_em_starts_with_the_m_step(rows, hard):
    """After an M-step the likelihood is that of the textbook's parameters: the first entry of the trace."""
    x, label = rows
    r = np.eye(3)[label] if hard else np.random.default_rng(0).dirichlet(np.ones(3), len(x))
    given = {"labels_init": label} if hard else {"responsibilities_init": r}
    model = pofx.GaussianMixture(3, covariance_type="full", **given).fit(x)
    begun = pofx.GaussianMixture.from_params(*textbook_m_step(x, r)).log_density(x).sum()
    assert model.fit_.trace[0] == pytest.approx(begun, rel=1e-9)
    assert (np.diff(model.fit_.trace) >= -1e-9).all()
    theirs = pofx.GaussianMixture(3, covariance_type="full").fit(x)
    assert model.fit_.trace[-1] <= theirs.fit_.trace[-1] + 1e-6


def test_labels_are_responsibilities_of_zero_and_one(rows):
    x, label = rows
    a = pofx.GaussianMixture(covariance_type="all", labels_init=label).fit(x)
    b = pofx.GaussianMixture(covariance_type="all", responsibilities_init=np.eye(3)[label]).fit(x)
    assert a.n_components_ == b.n_components_ == 3
    assert a.covariance_type_ == b.covariance_type_
    np.testing.assert_allclose(a.log_density(x), b.log_density(x), rtol=1e-9)


def test_the_responsibilities_of_a_fit_lead_back_to_it(rows):
    x, _ = rows
    best = pofx.GaussianMixture(3, covariance_type="VEV").fit(x)
    again = pofx.GaussianMixture(3, covariance_type="VEV", responsibilities_init=best.predict_proba(x)).fit(x)
    np.testing.assert_allclose(again.log_density(x), best.log_density(x), atol=1e-7)


def test_labels_belong_to_the_rows_as_they_came(rows):
    """Rows that are dropped or weigh nothing take their labels with them, in memory and in blocks."""
    x, label = rows
    holes = x.copy()
    holes[::7, 0] = np.nan
    w = np.arange(len(x)) % 3
    used = np.isfinite(holes).all(axis=1) & (w > 0)
    odd = np.where(used, label, -9)  # what is said of rows that are not used does not matter
    how = {"covariance_type": "full", "tol": 1e-9}
    plain = pofx.GaussianMixture(3, labels_init=label[used], **how).fit(x[used], sample_weight=w[used])
    given = pofx.GaussianMixture(3, labels_init=odd, missing="drop", **how)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = given.fit(holes, sample_weight=w).log_density(x)
        b = given.fit(Blocks([holes[:40], holes[40:]]), sample_weight=w).log_density(x)
        unweighted = given.set_params(labels_init=label).fit(Blocks([holes[:40], holes[40:]]))
    np.testing.assert_allclose(a, plain.log_density(x), atol=1e-8)
    np.testing.assert_allclose(b, plain.log_density(x), atol=1e-8)
    complete = np.isfinite(holes).all(axis=1)
    again = pofx.GaussianMixture(3, labels_init=label[complete], **how).fit(x[complete])
    np.testing.assert_allclose(unweighted.log_density(x), again.log_density(x), atol=1e-8)


def test_many_rows_start_from_all_labels():
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 6000)
    x = rng.standard_normal(6000) + 5.0 * label
    model = pofx.GaussianMixture(2, covariance_type="full", labels_init=label).fit(x)
    begun = pofx.GaussianMixture.from_params(*textbook_m_step(x[:, None], np.eye(2)[label]))
    assert model.fit_.trace[0] == pytest.approx(begun.log_density(x).sum(), rel=1e-9)


def test_a_cluster_too_small_for_a_covariance_starts_on_the_floor_and_no_answer_is_nan(rows):
    x, label = rows
    few = np.where(np.arange(len(x)) == 5, 3, label)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = pofx.GaussianMixture(4, covariance_type="full", labels_init=few).fit(x)
    assert np.isfinite(model.log_density(x)).all()


def test_a_given_partition_survives_a_file(rows, tmp_path):
    x, label = rows
    model = pofx.GaussianMixture(3, covariance_type="tied", labels_init=label).fit(x)
    model.save(tmp_path / "m.pofx")
    again = pofx.load(tmp_path / "m.pofx")
    assert (again.labels_init == label).all()
    assert (again.log_density(x) == model.log_density(x)).all()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"labels_init": np.zeros(149)}, r"one label per row of X: 150 rows came, 149"),
        ({"labels_init": np.full(150, 3)}, r"from 0 to 2.*labels_init\[0\] is 3"),
        ({"labels_init": np.arange(150) % 3 + 0.5}, r"whole numbers.*is 0\.5"),
        ({"labels_init": np.arange(150) % 2}, r"component 2 no row.*n_components=2"),
        ({"labels_init": ["a"] * 150}, r"return_inverse=True"),
        ({"labels_init": np.zeros((150, 3))}, r"whole numbers \(n,\); got shape \(150, 3\)"),
        ({"responsibilities_init": np.full((150, 3), 0.3)}, r"sum to 1 in every row; row 0 sums to 0\.9"),
        ({"responsibilities_init": np.full((150, 2), 0.5)}, r"needs 3 columns.*2 came"),
        ({"responsibilities_init": np.full((140, 3), 1 / 3)}, r"150 rows came, 140"),
        (
            {"responsibilities_init": np.tile([1.5, -0.5, 0.0], (150, 1))},
            r"in \[0, 1\]; responsibilities_init\[0, 0\] is 1\.5",
        ),
        ({"responsibilities_init": np.tile([1.0, 0.0, 0.0], (150, 1))}, r"components 1, 2 no row"),
        ({"labels_init": np.arange(150) % 3, "means_init": np.eye(3, 2)}, r"not both"),
        (
            {"labels_init": np.arange(150) % 3, "responsibilities_init": np.full((150, 3), 1 / 3)},
            r"not both",
        ),
    ],
)
def test_impossible_partitions(rows, given, says):
    with pytest.raises(ParameterError, match=says):
        pofx.GaussianMixture(3, covariance_type="full", **given).fit(rows[0])


def test_a_whole_cluster_without_weight_is_named(rows):
    x, label = rows
    model = pofx.GaussianMixture(3, covariance_type="full", labels_init=label)
    with pytest.raises(ParameterError, match=r"component 1 no row \(rows that were dropped or have weight"):
        model.fit(x, sample_weight=(label != 1).astype(int))
    with pytest.raises(ParameterError, match="one number of components"):
        pofx.GaussianMixture([2, 3], labels_init=label).fit(x)
