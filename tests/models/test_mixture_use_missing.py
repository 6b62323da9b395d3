"""The uses of a mixture where entries are missing: every answer is of what is observed."""

from __future__ import annotations

import numpy as np
import pytest

import pofx
from pofx.core.fold import Blocks
from pofx.errors import DataError


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    label = np.arange(240) % 2
    x = rng.standard_normal((240, 2)) + 4.0 * label[:, None]
    x[rng.random(x.shape) < 0.15] = np.nan
    return x, label


def test_a_partition_steps_and_the_fit_end_at_one_optimum(rows):
    x, label = rows
    assert np.isnan(x).all(axis=1).any()  # rows without any entry take their labels with them
    how = pofx.GaussianMixture(2, covariance_type="full", missing="marginal", labels_init=label, tol=1e-9)
    records = list(how.steps(x))
    trace = [r.log_likelihood for r in records if r.kind == "E"]
    assert (np.diff(trace) >= -1e-9).all()
    model = how.fit(x)
    assert trace[-1] == pytest.approx(model.fit_.trace[-1], abs=1e-6)
    searched = pofx.GaussianMixture(2, covariance_type="full", missing="marginal").fit(x)
    np.testing.assert_allclose(model.means_, searched.means_, atol=1e-5)
    some = ~np.isnan(x).all(axis=1)
    last = records[-2].responsibilities
    np.testing.assert_allclose(last, model.predict_proba(x[some]), atol=1e-4)
    streamed = how.fit(Blocks([x[:100], x[100:]]))
    np.testing.assert_allclose(streamed.means_, model.means_, atol=1e-7)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_criteria_certificate_and_summary_are_of_the_observed_entries(rows, kind):
    x, _ = rows
    model = pofx.GaussianMixture([1, 2, 3], covariance_type=kind, missing="marginal").fit(x)
    row = next(r for r in model.fit_.search if r["n_components"] == model.n_components_)
    assert row["icl"] == pytest.approx(model.icl(x), abs=1e-2)
    assert row["bic"] == pytest.approx(model.bic(x), abs=1e-4)
    assert max(model.fit_.certificate.gradient.values()) < 1e-6
    known = int((~np.isnan(x).all(axis=1)).sum())
    assert model.fit_.certificate.multiplier == pytest.approx(known, rel=1e-6)
    assert model.summary(x).n == model.summary().n == known
    assert model.summary(x).bic == pytest.approx(model.summary().bic, abs=1e-6)
    assert model.uncertainty(x).max() <= 0.5 + 1e-12
    assert len(model.merge_components(x).labels(1)) == len(x)


def test_a_prior_and_missing_entries_together(rows):
    x, _ = rows
    model = pofx.GaussianMixture(2, covariance_type="full", missing="marginal", prior=True).fit(x)
    assert (np.diff(model.fit_.trace) >= -1e-9).all()
    assert max(model.fit_.certificate.gradient.values()) < 1e-5
    plain = pofx.GaussianMixture(2, covariance_type="full", missing="marginal").fit(x)
    np.testing.assert_allclose(model.means_, plain.means_, atol=0.1)
    assert model.fit_.search[0]["log_likelihood"] == pytest.approx(model.log_density(x).sum(), abs=1e-6)


def test_what_needs_every_entry_says_so(rows):
    x, _ = rows
    model = pofx.GaussianMixture(2, covariance_type="full", missing="marginal").fit(x)
    with pytest.raises(DataError, match="missing"):
        model.standard_errors(x)
    with pytest.raises(DataError, match="missing"):
        model.bootstrap_lrt(x, n_components=1)
