"""Held-out log density: the arithmetic against the plain loop, the choice, and what happens to failures."""

from __future__ import annotations

import json
import math
import re
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
    assert f"−inf ({entry.held_out.outside} of 120 rows in empty cells)" in str(result)
    assert re.search(r"median (−inf|-\d+\.\d{3})", str(result))
    assert "infinitely many nats more than Histogram" in result.sentence
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
    assert pofx.compare(pofx.Gaussian(), rows).best_name == "Gaussian"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "models is empty"),
        ("Gaussian", "list of models"),
        ([pofx.Gaussian], r"did you mean Gaussian\(\)"),
        ({"a": 3}, "'a' is neither"),
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


# ---------------------------------------------------------------- intervals, weights, other forms


def test_intervals_are_of_students_t(rows: np.ndarray) -> None:
    from scipy.stats import t

    record = pofx.compare([pofx.Gaussian()], rows[:12])["Gaussian"].held_out
    low, high = record.interval(0.9)
    expected = t.interval(0.9, 11, record.mean, record.standard_error)
    assert (low, high) == pytest.approx(expected, rel=1e-9)


def test_gain_over_one_gaussian() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(-4, 1, 100), rng.normal(4, 1, 100)])
    result = pofx.compare([pofx.Gaussian(), pofx.KDE("isj")], x)
    one, other = (result[name].held_out.log_density for name in ("KDE(bandwidth='isj')", "Gaussian"))
    assert result.gain is not None
    assert result.gain.nats == pytest.approx((one - other).mean(), rel=1e-12)
    assert result.gain.low < result.gain.nats < result.gain.high
    assert f"{math.exp(result.gain.nats):.1f} times as likely" in result.sentence
    assert pofx.compare([pofx.Gaussian()], x).gain is None


def test_a_weight_is_a_repeated_row(rows: np.ndarray) -> None:
    """Held out alone, a row of weight 3 counts as three; rows of weight 0 as none."""
    w = np.random.default_rng(2).integers(0, 4, size=len(rows))
    result = pofx.compare([pofx.Gaussian(), pofx.KDE()], rows, sample_weight=w)
    cut, record = result.split, result["Gaussian"].held_out
    assert len(cut.part) == (w > 0).sum()
    kept, weight = rows[w > 0], w[w > 0]
    scores = np.empty(len(kept))
    for k in range(5):
        train, test = cut.part != k, cut.part == k
        model = pofx.Gaussian().fit(np.repeat(kept[train], weight[train], axis=0))
        scores[test] = model.log_density(kept[test])
    again = np.repeat(scores, weight)
    assert record.mean == pytest.approx(again.mean(), rel=1e-9)
    assert record.standard_error == pytest.approx(again.std(ddof=1) / math.sqrt(len(again)), rel=1e-9)
    assert record.median == pytest.approx(np.sort(again)[(len(again) - 1) // 2], rel=1e-12)
    np.testing.assert_allclose(result.fitted("Gaussian").mean(), np.repeat(kept, weight, axis=0).mean(axis=0))
    ones = pofx.compare([pofx.Gaussian()], rows, sample_weight=np.ones(len(rows)))
    assert ones["Gaussian"].held_out.mean == pofx.compare([pofx.Gaussian()], rows)["Gaussian"].held_out.mean
    with pytest.raises(ParameterError, match="same weight_kind"):
        pofx.compare([pofx.Gaussian(), pofx.KDE(weight_kind="frequency")], rows, sample_weight=w)


def test_other_forms(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.Gaussian(), pofx.Histogram(smoothing=0), Fails()], rows)
    frame = result.to_frame("pandas")
    assert list(frame["name"]) == [entry.name for entry in result.table]
    assert frame["mean"].isna().sum() == 2
    assert result.to_frame("polars").shape == frame.shape
    assert result.to_frame("pyarrow").num_rows == 3
    html = result._repr_html_()
    assert html.count("<tr>") == 4
    assert "there is no such thing" in html
    record = result.to_dict()
    assert record["schema"] == "pofx.compare/1"
    json.dumps(record, allow_nan=False)
    hostile = pofx.compare({"<img src=x onerror=alert(1)>": pofx.Gaussian()}, rows)
    assert "<img" not in hostile._repr_html_()


def test_progress_names_each_fold(rows: np.ndarray) -> None:
    said: list[str] = []
    pofx.compare([pofx.Gaussian()], rows, folds=3, progress=said.append)
    assert said == [
        "Gaussian: fold 1 of 3 (fit 1 of 4)",
        "Gaussian: fold 2 of 3 (fit 2 of 4)",
        "Gaussian: fold 3 of 3 (fit 3 of 4)",
        "Gaussian: all rows (fit 4 of 4)",
    ]


# ---------------------------------------------------------------- ties


def test_bound_on_what_ties_can_give() -> None:
    """A bump of r steps puts at most theta(r) on a lattice, whatever its place."""
    from pofx.evaluate.ties import tie_gain

    lattice = np.arange(-60, 61)
    for r in (0.1, 0.2, 0.3, 0.4, 0.6):
        sums = [
            np.exp(-0.5 * ((lattice - m) / r) ** 2).sum() / (r * math.sqrt(2 * math.pi))
            for m in np.linspace(0, 0.5, 11)
        ]
        assert max(sums) <= math.exp(tie_gain(r)) * (1 + 1e-9)
        assert math.log(max(sums)) == pytest.approx(tie_gain(r), abs=1e-9)
    assert tie_gain(0.0501) == pytest.approx(tie_gain(0.0499), abs=0.01)
    assert tie_gain(0.25, flat=True) == pytest.approx(math.log(2.0))


def test_finest_scales_in_data_units(rows: np.ndarray) -> None:
    from pofx.evaluate.ties import Steps

    one = Steps(np.ones(2))
    full = pofx.Gaussian().fit(rows)
    slices = 1.0 / np.sqrt(np.diag(np.linalg.inv(full.covariance())))
    np.testing.assert_allclose(one.gain(full).ratios, slices, rtol=1e-10)
    diagonal = pofx.Gaussian(covariance_type="diag").fit(rows)
    np.testing.assert_allclose(one.gain(diagonal).ratios, rows.std(axis=0), rtol=1e-10)
    for kind in ("full", "tied", "diag"):
        mixture = pofx.GaussianMixture(2, covariance_type=kind).fit(rows)
        own = [mixture.covariances_] if kind == "tied" else mixture.covariances_
        own = [np.diag(c) if kind == "diag" else c for c in own]
        slices = np.min([1.0 / np.sqrt(np.diag(np.linalg.inv(c))) for c in own], axis=0)
        np.testing.assert_allclose(one.gain(mixture).ratios, slices, rtol=1e-8)
    np.testing.assert_allclose(one.gain(pofx.KDE([0.2, 3.0]).fit(rows)).ratios, [0.2, 3.0], rtol=1e-12)
    bins = pofx.Histogram([np.arange(-9.0, 20.0), np.arange(-9.0, 9.0, 0.5)]).fit(rows)
    np.testing.assert_allclose(one.gain(bins).ratios, [0.5, 0.25], rtol=1e-12)


def test_spikes_on_ties_do_not_win() -> None:
    x = np.rint(np.random.default_rng(0).normal(70.0, 6.0, size=(400, 1)))
    spikes, fine = pofx.KDE(0.01), pofx.KDE(0.4)
    result = pofx.compare({"Gaussian": pofx.Gaussian(), "spikes": spikes, "fine": fine}, x)
    entry = result["spikes"]
    assert np.median(entry.held_out.log_density) > np.median(result["Gaussian"].held_out.log_density) + 1.0
    assert result.best_name == "Gaussian"
    assert entry.barred
    assert result.table[-1].name == "spikes"
    assert "spikes was barred: its bumps are narrower than rounding" in result.sentence
    # narrower than a recorded cell, but not than rounding: the bound is taken off
    record = result["fine"].held_out
    assert not result["fine"].barred
    assert record.taken_off == pytest.approx(math.log1p(2 * math.exp(-2 * math.pi**2 * 0.16)), abs=1e-4)
    assert record.mean == pytest.approx(record.log_density.mean() - record.taken_off, rel=1e-12)
    assert any("'column 0' (down to 0.8 of its recorded step of 1)" in doubt for doubt in record.doubts)
    assert result.to_dict()["models"][-1]["barred"]


def test_bins_of_one_step_and_continuous_columns_are_left_alone() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(4.0, size=(300, 1)).astype(float)
    result = pofx.compare([pofx.Histogram(np.arange(-0.5, 25.0)), pofx.Gaussian()], counts)
    assert all(entry.held_out.taken_off == 0.0 for entry in result.table)
    halves = pofx.compare({"h": pofx.Histogram(np.arange(-0.25, 25.0, 0.5)), "g": pofx.Gaussian()}, counts)
    assert halves["h"].held_out.taken_off == pytest.approx(math.log(2.0), rel=0.01)
    continuous = pofx.compare([pofx.KDE(1e-3)], rng.normal(size=100))
    assert continuous.table[0].held_out.taken_off == 0.0


def test_every_model_too_fine_is_still_an_answer() -> None:
    x = np.rint(np.random.default_rng(0).normal(70.0, 6.0, size=(100, 1)))
    result = pofx.compare([pofx.KDE(0.01)], x)
    assert result.best_name == "KDE(bandwidth=0.01)"
    assert result.table[0].barred


# ---------------------------------------------------------------- within the family


def test_faithful_has_two_or_three_components_not_one(faithful: Any) -> None:
    mixture = pofx.GaussianMixture(range(1, 5), covariance_type=["full", "tied"])
    result = pofx.compare([mixture], pofx.read(faithful))
    family = result.family
    assert family is not None
    assert (family.chosen.n_components, family.chosen.covariance_type) == (3, "tied")
    assert family.chosen.bic == pytest.approx(2314.3, abs=0.1)  # mclust 6.0.0: EEE,3 of BIC -2314.3
    assert family.sizes == (2, 3)
    assert family.sentence.startswith("Two or three components, not one: BIC (smaller is better) is 2,314.3")
    assert "7.9 more for two (full)" in family.sentence
    assert family.sentence in result.sentence
    assert result.to_dict()["family"]["sizes"] == [2, 3]
    assert len(family.per_fold) == 5
    alone = pofx.compare([pofx.GaussianMixture([1, 2])], pofx.read(faithful)["waiting"], rivals=False)
    assert alone.family is not None
    assert all(rival.gap is None for rival in alone.family.by_size)
    assert pofx.compare([pofx.Gaussian()], pofx.read(faithful)).family is None


def test_disagreement_and_close_seconds_are_said() -> None:
    from pofx.evaluate.family import Family, Rival

    chosen, two = Rival(3, "tied", 100.0, 0.0), Rival(2, "full", 101.5, 1.5, 0.03, 0.01)
    family = Family(chosen, two, (Rival(1, "full", 150.0, 50.0), two, chosen), ())
    assert family.disagrees
    assert "Held-out rows disagree: they prefer two (full), by 0.030 ± 0.010 nats per row." in family.sentence
    assert "BIC's second choice, two (full), is only 1.5 behind." in family.sentence
    assert family.sizes == (2, 3)
