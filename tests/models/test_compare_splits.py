"""Which rows are held out together, and the standard errors of rows that hang together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)

import pofx
from pofx.errors import DataError, ParameterError
from pofx.evaluate.heldout import paired
from pofx.evaluate.splits import split
from pofx.evaluate.spread import Spread

MODELS = [pofx.Gaussian(), pofx.Gaussian("diag")]


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(120, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])


def by_hand(rows: np.ndarray, pairs: Any) -> np.ndarray:
    """The mean held-out log density of each row, NaN where there is none."""
    found: list[list[float]] = [[] for _ in rows]
    for train, test in pairs:
        model = pofx.Gaussian().fit(rows[train])
        for row, value in zip(test, model.log_density(rows[test]), strict=True):
            found[row].append(value)
    return np.array([np.mean(each) if each else math.nan for each in found])


# ---------------------------------------------------------------- splitters


@pytest.mark.parametrize(
    ("cv", "grouped"),
    [
        (KFold(4), False),
        (RepeatedKFold(n_splits=3, n_repeats=2, random_state=0), False),
        (ShuffleSplit(3, test_size=0.3, random_state=0), False),
        (TimeSeriesSplit(4), False),
        (GroupKFold(4), True),
        (LeaveOneGroupOut(), True),
    ],
)
def test_scikit_learns_splitters_against_the_plain_loop(rows: np.ndarray, cv: Any, grouped: bool) -> None:
    groups = np.repeat(np.arange(12), 10) if grouped else None
    result = pofx.compare(MODELS, rows, cv=cv, groups=groups)
    expected = by_hand(rows, cv.split(rows, None, groups))
    record = result["Gaussian"].held_out
    np.testing.assert_allclose(record.log_density, expected, rtol=1e-11)
    assert record.mean == pytest.approx(np.nanmean(expected), rel=1e-12)
    assert (result.split.tested == ~np.isnan(expected)).all()
    assert result.to_dict()["rows_held_out"] == (~np.isnan(expected)).sum()
    assert result.split.folds == cv.get_n_splits(rows, None, groups)
    never = int(np.isnan(expected).sum())
    assert (f"{never} are never held out and count in no mean" in str(result)) == (never > 0)


def test_pairs_of_indices_and_masks(rows: np.ndarray) -> None:
    first = np.arange(120) < 60
    by_mask = pofx.compare(MODELS, rows, cv=[(first, ~first), (~first, first)])
    by_index = pofx.compare(MODELS, rows, cv=iter([(range(60), range(60, 120)), (range(60, 120), range(60))]))
    assert by_mask["Gaussian"].held_out.mean == by_index["Gaussian"].held_out.mean
    assert "each held out once in 2 folds" in str(by_index)
    as_number = pofx.compare(MODELS, rows, cv=3)
    assert (
        as_number["Gaussian"].held_out.mean == pofx.compare(MODELS, rows, folds=3)["Gaussian"].held_out.mean
    )


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"cv": 3.5}, ParameterError, "a splitter with split"),
        ({"cv": []}, ParameterError, "no fold"),
        ({"cv": [3]}, ParameterError, "pairs of"),
        ({"cv": [(range(5), range(4, 9))]}, DataError, "1 row of fold 1 is both fitted and held out"),
        ({"cv": [(range(5), range(118, 121))]}, ParameterError, "names row 120; there are 120 rows"),
        ({"cv": [(range(5), [0.5])]}, ParameterError, "row numbers or a mask"),
        ({"cv": [(range(5), [])]}, DataError, "5 rows to fit and 0 to hold out"),
        ({"cv": KFold(200)}, DataError, "cannot split these 120 rows"),
        ({"cv": LeaveOneGroupOut()}, DataError, "give groups="),
        ({"cv": StratifiedKFold(3)}, DataError, "labels"),
        ({"groups": np.repeat([0, 1], 60)}, DataError, "at least 5 groups; there are 2"),
        ({"groups": np.zeros(120)}, DataError, "there is 1"),
        ({"groups": np.arange(7)}, DataError, r"shape \(120,\), not \(7,\)"),
        ({"groups": [None, *range(119)]}, DataError, r"1 row has none \(first: row 0, counted"),
        ({"groups": "site"}, ParameterError, "no names"),
        ({"time": np.r_[np.nan, np.arange(119)]}, DataError, "first: row 0"),
        ({"time": np.zeros(120)}, DataError, "at least 6 different times; there is 1"),
        ({"time": [*"ab", *range(118)]}, DataError, "cannot be put in order"),
        ({"time": False}, ParameterError, "got False"),
        ({"time": True, "groups": np.arange(120)}, ParameterError, "cannot be combined"),
        ({"time": True, "cv": KFold(3)}, ParameterError, "give one of them"),
    ],
)
def test_what_cannot_be_held_out_says_why(
    rows: np.ndarray, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        pofx.compare(MODELS, rows, **options)


# ---------------------------------------------------------------- groups and time


@given(
    st.lists(st.integers(0, 9), min_size=20, max_size=80).filter(lambda g: len(set(g)) >= 4),
    st.integers(2, 4),
)
@settings(max_examples=40, deadline=None)
def test_groups_stay_together_and_parts_are_even(groups: list[int], folds: int) -> None:
    x = np.random.default_rng(0).normal(size=len(groups))
    cut = split(x, groups=groups, folds=folds)
    for group in set(groups):
        assert len(set(cut.part[np.array(groups) == group])) == 1
    assert set(cut.part) == set(range(folds))
    sizes = np.bincount(cut.part)
    assert sizes.max() - sizes.min() <= max(np.bincount(groups))


@given(
    st.lists(st.integers(0, 30), min_size=25, max_size=80).filter(lambda t: len(set(t)) >= 6),
    st.integers(2, 5),
)
@settings(max_examples=40, deadline=None)
def test_a_fit_sees_the_past_alone(times: list[int], folds: int) -> None:
    x = np.random.default_rng(0).normal(size=len(times))
    cut = split(x, time=np.array(times), folds=folds)
    at = np.array(times)
    tested = []
    for k in range(folds):
        assert at[cut.trained(k)].max() < at[cut.asked(k)].min()
        tested += cut.asked(k).tolist()
    assert sorted([*tested, *cut.trained(0)]) == list(range(len(times)))
    assert (np.flatnonzero(cut.part < 0) == np.sort(cut.trained(0))).all()


def test_a_named_column_is_no_part_of_the_rows(rows: np.ndarray) -> None:
    import pandas as pd
    import polars as pl

    who = [f"p{i // 10}" for i in range(120)]
    plain = pofx.compare(MODELS, rows, groups=who)
    frame = pd.DataFrame({"a": rows[:, 0], "who": who, "b": rows[:, 1]})
    for given_rows in (frame, pl.from_pandas(frame)):
        result = pofx.compare(MODELS, given_rows, groups="who")
        assert result["Gaussian"].held_out.mean == plain["Gaussian"].held_out.mean
        assert result.best.feature_names_in_.tolist() == ["a", "b"]
    dated = frame.drop(columns="who").assign(when=pd.date_range("2020-01-01", periods=120)[::-1])
    late = pofx.compare(MODELS, dated, time="when")
    turned = pofx.compare(MODELS, rows[::-1], time=True)
    assert late["Gaussian"].held_out.mean == pytest.approx(turned["Gaussian"].held_out.mean, rel=1e-12)
    with pytest.raises(ParameterError, match="Did you mean 'when'"):
        pofx.compare(MODELS, dated, time="wen")


def test_groups_follow_rows_that_are_left_out(rows: np.ndarray) -> None:
    groups = np.repeat(np.arange(12), 10)
    holed = rows.copy()
    holed[[3, 50], 0] = np.nan
    kept = np.isfinite(holed).all(axis=1)
    models = [pofx.Gaussian(missing="drop")]
    result = pofx.compare(models, holed, groups=groups)
    same = pofx.compare(models, rows[kept], groups=groups[kept])
    assert result["Gaussian(missing='drop')"].held_out.mean == same["Gaussian(missing='drop')"].held_out.mean
    weight = np.ones(120)
    weight[:10] = 0
    weighed = pofx.compare([pofx.Gaussian()], rows, groups=groups, sample_weight=weight)
    without = pofx.compare([pofx.Gaussian()], rows[10:], groups=groups[10:])
    assert weighed["Gaussian"].held_out.mean == without["Gaussian"].held_out.mean


def test_of_many_rows_a_sample_is_compared_and_the_best_is_fitted_to_all(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.Gaussian(), pofx.KDE()], rows, most_rows=60)
    assert len(result.split.part) == 60
    assert result.best.fit_.n_rows == 120
    assert "60 of 120 rows, drawn at random, each held out once in 5 folds" in str(result)
    assert (result.to_dict()["rows"], result.to_dict()["rows_compared"]) == (120, 60)
    assert pofx.compare([pofx.Gaussian()], rows, most_rows=120).split.sampled is False
    groups = np.repeat(np.arange(12), 10)
    grouped = split(rows, groups=groups, most_rows=65)
    assert len(grouped.part) == 60
    kept = [int(np.flatnonzero((rows == row).all(axis=1))[0]) // 10 for row in grouped.rows.values]
    assert len(set(kept)) == 6
    late = split(rows, time=True, most_rows=60)
    place = [int(np.flatnonzero((rows == row).all(axis=1))[0]) for row in late.rows.values]
    assert place == sorted(place)
    with pytest.raises(ParameterError, match="cannot be combined"):
        pofx.compare(MODELS, rows, cv=KFold(3), most_rows=60)


# ---------------------------------------------------------------- standard errors


def test_groups_of_one_row_are_rows_and_copies_add_nothing() -> None:
    x = np.random.default_rng(0).normal(size=50)
    alone = Spread().mean(x)
    single = Spread(groups=np.arange(50)).mean(x)
    assert single.error == pytest.approx(alone.error, rel=1e-12)
    assert single.freedom == 49
    copied = Spread(groups=np.repeat(np.arange(50), 4)).mean(np.repeat(x, 4))
    assert copied.error == pytest.approx(alone.error, rel=1e-12)
    weighed = Spread(groups=np.arange(50)).mean(x, np.full(50, 3.0))
    assert weighed.error == pytest.approx(alone.error, rel=1e-12)


def test_errors_of_a_time_series_are_those_of_its_long_run_variance() -> None:
    """The mean of an AR(1) of coefficient 0.7 is off by 1 / (1 − 0.7) / √n, not by 1.4 / √n."""
    rng, n, errors, means = np.random.default_rng(0), 2000, [], []
    for _ in range(200):
        noise = rng.normal(size=n + 50)
        x = np.zeros(n + 50)
        for i in range(1, n + 50):
            x[i] = 0.7 * x[i - 1] + noise[i]
        found = Spread(order=np.arange(n)).mean(x[50:])
        errors.append(found.error)
        means.append(found.value)
    truth = 1.0 / 0.3 / math.sqrt(n)
    assert np.std(means) == pytest.approx(truth, rel=0.15)
    assert np.mean(errors) == pytest.approx(truth, rel=0.1)
    white = rng.normal(size=n)
    assert Spread(order=np.arange(n)).mean(white).error == pytest.approx(1 / math.sqrt(n), rel=0.15)
    # the order is what counts, not the place; rows that are not used are as if they were not there
    shuffled, used = rng.permutation(n), np.arange(n) >= 100
    again = Spread(order=np.argsort(shuffled)).mean(x[50:][shuffled])
    assert again.error == pytest.approx(found.error, rel=1e-9)
    part = Spread(order=np.argsort(shuffled)).mean(x[50:][shuffled], used=used[shuffled])
    assert part.error == pytest.approx(Spread(order=np.arange(n - 100)).mean(x[150:]).error, rel=1e-9)


def test_intervals_under_groups_cover(rows: np.ndarray) -> None:
    """Groups that share a shift: intervals of rows miss the mean, those of groups hold it."""
    rng, held, missed = np.random.default_rng(3), 0, 0
    groups = np.repeat(np.arange(20), 10)
    for _ in range(400):
        x = rng.normal(size=20)[groups] + rng.normal(size=200)
        low, high = Spread(groups=groups).mean(x).interval()
        held += low <= 0.0 <= high
        low, high = Spread().mean(x).interval()
        missed += not low <= 0.0 <= high
    assert 0.92 <= held / 400 <= 0.98
    assert missed / 400 > 0.3


# ---------------------------------------------------------------- where no interval can be given


def test_a_mean_that_a_few_rows_decide_has_no_interval() -> None:
    rng = np.random.default_rng(0)
    light, heavy = rng.normal(size=500), rng.standard_t(1.5, size=500) ** 2
    steady, shaky = Spread().mean(light), Spread().mean(heavy)
    assert steady.doubt == ""
    assert steady.interval()[0] < 0.0 < steady.interval()[1]
    assert shaky.error > 0.0
    assert "a few rows decide it" in shaky.doubt
    assert np.isnan(shaky.interval()).all()
    assert Spread().mean(heavy[:40]).doubt == ""  # too few to tell
    assert Spread().mean(np.zeros(100)).interval() == (0.0, 0.0)


def test_a_comparison_says_where_heavy_tails_leave_no_interval() -> None:
    rows = pofx.worlds.student_t().sample(1000, random_state=1)
    result = pofx.compare([pofx.Gaussian(), pofx.KDE("silverman")], rows)
    gap = paired(result["KDE(bandwidth='silverman')"].held_out, result["Gaussian"].held_out)
    assert gap.doubt
    behind = next(entry for entry in result.table if entry.name != result.leader_name)
    assert any("has no interval" in doubt for doubt in behind.held_out.doubts)
    assert "95 % interval" not in result.headline
    pofx.figure(result)
    gain = result.to_dict()["gain_over_gaussian"]
    assert gain is None or (gain["low"] is None and gain["no_interval_because"])
