"""Held-out log density: the arithmetic against the plain loop, the choice, and what happens to failures."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import pofx
from pofx.core.density import Density
from pofx.core.fitting import Outcome
from pofx.errors import DataError, DegenerateError, ParameterError, PofxWarning
from pofx.evaluate.heldout import split


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(203, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]]) + [5.0, -2.0]


class Fails(pofx.Gaussian):
    """Fails in the fold that lacks row 0."""

    rank = 0

    def _fit(self, data: Any, rng: Any) -> Any:
        if data.n < 203:
            raise DegenerateError("there is no such thing")
        return super()._fit(data, rng)


def test_numbers_are_those_of_the_plain_loop(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.Gaussian(), pofx.Gaussian(covariance_type="diag")], rows)
    cut = split(rows)
    expected = {"full": np.empty(len(rows)), "diag": np.empty(len(rows))}
    for k in range(5):
        train, test = rows[cut.part != k], cut.part == k
        covariance = np.cov(train.T, bias=True)
        for name, c in {"full": covariance, "diag": np.diag(np.diag(covariance))}.items():
            expected[name][test] = multivariate_normal(train.mean(axis=0), c).logpdf(rows[test])
    full, diag = result["Gaussian"], result["Gaussian(covariance_type='diag')"]
    np.testing.assert_allclose(full.held_out.log_density, expected["full"], rtol=1e-11)
    np.testing.assert_allclose(diag.held_out.log_density, expected["diag"], rtol=1e-11)
    assert full.held_out.mean == pytest.approx(expected["full"].mean(), rel=1e-12)
    root_n = math.sqrt(len(rows))
    assert full.held_out.standard_error == pytest.approx(expected["full"].std(ddof=1) / root_n, rel=1e-10)
    gaps = expected["diag"] - expected["full"]
    assert diag.difference == pytest.approx(gaps.mean(), rel=1e-10)
    assert diag.difference_error == pytest.approx(gaps.std(ddof=1) / root_n, rel=1e-10)
    assert result.leader_name == result.best_name == "Gaussian"
    # the best model is fitted to all rows
    np.testing.assert_allclose(result.best.mean(), rows.mean(axis=0), rtol=1e-12)


def test_every_row_is_held_out_once_and_parts_are_even(rows: np.ndarray) -> None:
    cut = split(rows, folds=4, random_state=3)
    assert np.bincount(cut.part).tolist() == [51, 51, 51, 50]
    again, other = split(rows, folds=4, random_state=3), split(rows, folds=4, random_state=4)
    assert (cut.part == again.part).all()
    assert (cut.part != other.part).any()
    assert len(cut.train(0).__pofx_rows__().values) + len(cut.test(0).__pofx_rows__().values) == len(rows)
    assert split(rows[:3]).folds == 3


def test_the_simplest_within_one_standard_error_is_chosen(rows: np.ndarray) -> None:
    """Of twins the simpler wins, and of one family the one with fewer parameters."""

    class Simpler(pofx.KDE):
        rank = 0

    result = pofx.compare({"kernel": pofx.KDE(), "twin": Simpler()}, rows)
    assert result.best_name == "twin"
    assert type(result.best) is Simpler
    both = pofx.compare(
        [pofx.Gaussian(), pofx.Gaussian(covariance_type="diag")],
        rows[:, ::-1] * [1, 0] + np.c_[np.zeros(203), np.random.default_rng(0).normal(size=203)],
    )
    assert both.best_name == "Gaussian(covariance_type='diag')"
    assert "less simple" in both.sentence or both.leader_name == both.best_name


def test_models_given_are_never_touched(rows: np.ndarray) -> None:
    fitted, fresh = pofx.Gaussian().fit(rows[:50]), pofx.KDE()
    before = fitted.log_density(rows)
    result = pofx.compare([fitted, fresh], rows)
    assert (fitted.log_density(rows) == before).all()
    assert "params_" not in vars(fresh)
    assert result.best is not fitted


def test_a_failure_is_a_row_with_its_reason(rows: np.ndarray) -> None:
    result = pofx.compare([Fails(), pofx.Gaussian()], rows)
    last = result.table[-1]
    assert last.name == "Fails"
    assert last.held_out.failure == "fold 1 of 5: there is no such thing"
    assert result.best_name == "Gaussian"
    assert "there is no such thing" in str(result)
    assert math.isnan(last.held_out.mean)
    with pytest.raises(
        DataError, match=r"No model could be fitted\. Fails, fold 1 of 5: there is no such thing"
    ):
        pofx.compare([Fails()], rows)


def test_a_stranger_that_breaks_does_not_break_the_comparison(rows: np.ndarray) -> None:
    class Broken(Density):
        def _fit(self, data: Any, rng: Any) -> Any:
            raise IndexError("7")

    result = pofx.compare([Broken(), pofx.Gaussian()], rows)
    assert result["Broken"].held_out.failure == "fold 1 of 5: IndexError: 7"


def test_impossible_rows_are_counted_and_rank_last() -> None:
    x = np.random.default_rng(0).normal(size=(120, 3))
    result = pofx.compare([pofx.Histogram(smoothing=0), pofx.Gaussian()], x)
    entry = result["Histogram(smoothing=0)"]
    assert entry.held_out.mean == -math.inf
    assert entry.held_out.outside > 30
    assert math.isnan(entry.held_out.standard_error)
    assert result.best_name == "Gaussian"
    assert f"{entry.held_out.outside} of 120 rows called impossible; median" in str(result)
    assert "infinitely many more than Histogram" in result.sentence
    record = next(m for m in result.to_dict()["models"] if m["name"] == entry.name)
    assert record["mean"] is None
    assert record["impossible_rows"] == entry.held_out.outside
    json.dumps(result.to_dict(), allow_nan=False)


def test_doubts_and_warnings_of_the_fits_are_kept(rows: np.ndarray) -> None:
    class Doubtful(pofx.Gaussian):
        def _fit(self, data: Any, rng: Any) -> Any:
            warnings.warn("thin ice", PofxWarning, stacklevel=2)
            values, _ = super()._fit(data, rng)
            return values, Outcome(converged=False, message="Stopped half-way.")

    with pytest.warns(PofxWarning, match="thin ice"):  # from the fit to all rows
        result = pofx.compare([Doubtful()], rows)
    assert result.table[0].held_out.doubts == (
        "thin ice (5 of 5 fits)",
        "did not converge: Stopped half-way. (5 of 5 fits)",
    )


def test_containers_give_the_same_numbers(faithful: Any) -> None:
    import pandas as pd
    import polars as pl

    table = pofx.read(faithful)
    numbers = [
        pofx.compare([pofx.Gaussian(), pofx.KDE()], rows)["KDE"].held_out.mean
        for rows in (
            table,
            table.values,
            pd.read_csv(faithful)[["eruptions", "waiting"]],
            pl.read_csv(faithful).select("eruptions", "waiting"),
        )
    ]
    assert len(set(numbers)) == 1


def test_names(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.Gaussian(), pofx.Gaussian(), pofx.Gaussian(covariance_type="diag")], rows)
    names = {entry.name for entry in result.table}
    assert names == {"Gaussian", "Gaussian #2", "Gaussian(covariance_type='diag')"}
    assert pofx.compare(pofx.Gaussian(), rows).best_name == "Gaussian"


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "models is empty"),
        ("Gaussian", "list of models"),
        ([pofx.Gaussian], r"did you mean Gaussian\(\)"),
        ({"a": 3}, "'a' is not one"),
    ],
)
def test_what_is_no_model_is_refused(models: Any, message: str, rows: np.ndarray) -> None:
    with pytest.raises(ParameterError, match=message):
        pofx.compare(models, rows)


def test_too_few_rows_and_missing_values(rows: np.ndarray) -> None:
    with pytest.raises(DataError, match="at least 2 rows; 1 came"):
        pofx.compare([pofx.Gaussian()], rows[:1])
    with pytest.raises(ParameterError, match="folds"):
        pofx.compare([pofx.Gaussian()], rows, folds=1)
    holed = rows.copy()
    holed[7, 1] = np.nan
    with pytest.raises(DataError, match="missing"):
        pofx.compare([pofx.Gaussian(), pofx.Gaussian(missing="drop")], holed)
    result = pofx.compare([pofx.Gaussian(missing="drop")], holed)
    assert len(result.split.part) == 202
    assert result.split.rows.dropped == 1


def test_pofx_fit_is_the_best_of_the_candidates(faithful: Any) -> None:
    table = pofx.read(faithful)
    model = pofx.fit(table)
    assert type(model).__name__ in {"Gaussian", "GaussianMixture", "KDE", "Histogram"}
    assert model.log_density(table).shape == (272,)
