"""Two data sets: the same or not, by how much, in which columns, rows and regions."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstest

import pofx
from pofx.errors import DataError, ParameterError
from pofx.evaluate.apart import _error_of_median, columns_apart
from pofx.evaluate.classifier import classifier_test
from pofx.evaluate.differ import differ
from pofx.evaluate.difference import Difference
from pofx.evaluate.ratio import estimate_ratio
from pofx.evaluate.signed_map import most_telling_pair, signed_map

SHIFT = 0.5


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the classifier grow few trees; its test is valid whatever it is."""
    monkeypatch.setattr("pofx.evaluate.boosted.TREES", 4)


def normal(n: int, d: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def columns_of(a: np.ndarray, b: np.ndarray, seed: int = 0, level: float = 0.05) -> Any:
    names = [f"c{j}" for j in range(a.shape[1])]
    return columns_apart(lambda j: (a[:, j], b[:, j]), a, b, names, np.random.default_rng(seed), level)


@pytest.fixture(scope="module")
def found() -> Difference:
    """Three columns, of which one is shifted and two are correlated in B alone."""
    a, b = normal(400, 3, 0), normal(300, 3, 1)
    b[:, 0] += SHIFT
    b[:, 2] = 0.6 * b[:, 1] + 0.8 * b[:, 2]
    names = ["shifted", "one", "two"]
    return differ(pd.DataFrame(a, columns=names), pd.DataFrame(b, columns=names), labels=("jan", "feb"))


# ---------------------------------------------------------------- the verdict


@pytest.mark.usefixtures("quick")
def test_one_distribution_is_called_the_same() -> None:
    verdicts = [
        differ(np.round(normal(40, 2, seed), 1), np.round(normal(70, 2, seed + 500), 1), random_state=seed)
        for seed in range(30)
    ]
    # 5 % at most are called different: more than 6 of 30 have a chance of one in a thousand
    assert sum(not one.same for one in verdicts) <= 6
    assert all(one.same == (one.p_value > 0.05) for one in verdicts)


def test_a_shift_a_correlation_and_where(found: Difference) -> None:
    assert found.verdict == "differ"
    assert found.p_value <= 0.005
    assert found.columns[0].name == "shifted"
    assert found.columns[0].p_value <= 0.003 < 0.05 < found.columns[2].p_value
    assert found.columns[0].shift == pytest.approx(SHIFT / 1.35, abs=0.2)  # interquartile ranges
    assert 0.0 < found.columns[0].shift_low < found.columns[0].shift < found.columns[0].shift_high
    assert "jan and feb differ (p = 0.003): boosted trees put a row of jan and one of feb" in found.sentence
    assert "Most in shifted: " in found.sentence


def test_the_words_follow_the_rule(found: Difference) -> None:
    def with_auc(auc: float, p: float = 0.001) -> Difference:
        none = tuple(replace(one, gap=0.02, p_value=1.0) for one in found.columns)
        return replace(
            found, told=replace(found.told, auc=auc, p_value=p), energy=replace(found.energy, p_value=1.0),
            columns=none,
        )  # fmt: skip

    words = {auc: with_auc(auc).verdict for auc in (0.51, 0.55, 0.56, 0.75, 0.76)}
    assert list(words.values()) == [
        "differ slightly", "differ slightly", "differ", "differ", "differ strongly",
    ]  # fmt: skip
    assert with_auc(0.9, p=0.02).verdict == "same"  # three tests share 5 %
    assert with_auc(0.6, p=0.016).differ
    one = with_auc(0.51)
    gap = (replace(one.columns[0], gap=-0.4, p_value=0.001), *one.columns[1:])
    assert replace(one, columns=gap).size == 0.7  # what the gap alone gives the best classifier
    assert "the same as far as 400 and 300 rows can tell (p = 1)" in with_auc(0.5, p=0.4).sentence
    assert "No single column alone" in with_auc(0.6).sentence


def test_what_is_rounded_is_not_told_by_its_digits() -> None:
    a, b = normal(400, 1, 3), np.round(normal(400, 1, 4), 1)
    assert classifier_test(np.round(a, 4), b, np.random.default_rng(0), 0.05).told
    for one, other in ((a, b), (b, a)):
        result = differ(one, other)
        assert result.same
        assert any("to 1 decimal" in note and "was rounded" in note for note in result.notes)


def test_the_same_seed_the_same_bits_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = normal(120, 2, 5), normal(90, 2, 6)
    before = a.copy(), b.copy()
    first = differ(a, b, random_state=3)
    monkeypatch.setenv("POFX_NUM_THREADS", "3")
    second = differ(a, b, random_state=3)
    assert first.to_dict() == second.to_dict()
    assert np.array_equal(first.log_ratio(a[:5]).log_ratio, second.log_ratio(a[:5]).log_ratio)
    assert differ(a, b, random_state=4).to_dict() != first.to_dict()
    assert (a == before[0]).all()
    assert (b == before[1]).all()


# ---------------------------------------------------------------- columns


def test_gap_and_p_value_are_those_of_scipy() -> None:
    a, b = normal(80, 1, 7), normal(60, 1, 8) + 0.25
    one = columns_of(a, b)[0]
    exact = ks_2samp(a[:, 0], b[:, 0], method="exact")
    assert abs(one.gap) == pytest.approx(exact.statistic)
    assert one.at == exact.statistic_location
    assert one.p_value == pytest.approx(exact.pvalue, abs=0.03)
    assert one.gap < 0  # fewer of B up to there
    assert one.share_b - one.share_a == one.gap


@pytest.mark.parametrize("digits", [9, 0], ids=["continuous", "tied"])
def test_p_values_of_columns_are_uniform_together(digits: int) -> None:
    smallest = []
    for seed in range(120):
        rows = np.round(normal(70, 3, seed), digits)
        rows[:, 1] += rows[:, 0]  # columns that go together
        smallest.append(min(one.p_value for one in columns_of(rows[:30], rows[30:], seed)))
    spread = np.random.default_rng(0).uniform(0.0, 0.001, len(smallest))
    assert kstest(np.array(smallest) - spread, "uniform").pvalue > 0.001


def test_a_column_that_is_there_twice_costs_nothing() -> None:
    a, b = normal(50, 1, 9), normal(50, 1, 10) + 0.3
    once, twice = columns_of(a, b), columns_of(np.repeat(a, 2, axis=1), np.repeat(b, 2, axis=1))
    assert once[0].p_value == twice[0].p_value == twice[1].p_value
    assert once[0].limit == twice[0].limit


def test_the_limit_is_where_the_p_value_passes_the_level() -> None:
    for seed in range(20):
        for one in columns_of(normal(40, 2, seed), normal(40, 2, seed + 100) + np.array([0.4, 0.0]), seed):
            assert (one.p_value <= 0.05) == (abs(one.gap) > one.limit - 1e-9)


def test_many_rows_are_tested_with_chance_in_proportion() -> None:
    """A gap in all rows is held against permutations of some, scaled: as valid, and as sharp as all rows."""
    smallest, names = [], ["x", "y"]
    for seed in range(100):
        a, b = np.round(normal(1500, 2, seed), 1), np.round(normal(1000, 2, seed + 1000), 1)
        some = columns_apart(
            lambda j, a=a, b=b: (a[:, j], b[:, j]), a[:200], b[:200], names, np.random.default_rng(seed), 0.05
        )
        smallest.append(min(one.p_value for one in some))
        if seed == 0:
            whole = columns_of(a, b)
            assert [one.gap for one in some] == [one.gap for one in whole]
            assert [one.limit for one in some] == pytest.approx([one.limit for one in whole], rel=0.1)
    assert kstest(smallest, "uniform").pvalue > 0.001


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=10, max_size=30),
    st.lists(st.integers(-3, 3), min_size=10, max_size=30),
)
def test_exchanging_the_sets_exchanges_the_signs(first: list[int], second: list[int]) -> None:
    a, b = (np.array(one, dtype=float)[:, None] for one in (first, second))
    one, other = columns_of(a, b)[0], columns_of(b, a)[0]
    assert abs(one.gap) == pytest.approx(abs(other.gap))
    assert one.shift == -other.shift
    assert one.gap == one.share_b - one.share_a
    for row in (one, other):
        assert all(math.isfinite(value) for value in vars(row).values() if isinstance(value, float))


def test_the_error_of_the_median() -> None:
    rng = np.random.default_rng(11)
    rows = np.sort(rng.exponential(size=(400, 101)), axis=1)
    true = np.median(rows, axis=1).std()
    assert np.mean([_error_of_median(row) for row in rows]) == pytest.approx(true, rel=0.15)


# ---------------------------------------------------------------- rows and regions


def test_rows_are_those_least_like_the_other_set(found: Difference) -> None:
    a, b = normal(400, 3, 0), normal(300, 3, 1)
    assert a[found.rows_a, 0].mean() < a[:, 0].mean() - 0.5
    assert b[found.rows_b, 0].mean() > b[:, 0].mean() + 0.5
    assert (np.diff(found.scores_a) <= 0).all()
    assert (np.diff(found.scores_b) >= 0).all()
    assert found.scores_a[0] > 0.7 > 0.3 > found.scores_b[0]


@pytest.mark.usefixtures("quick")
def test_rows_keep_their_numbers_where_others_are_dropped() -> None:
    a, b = normal(60, 2, 12), normal(60, 2, 13) + 2.0
    gaps = np.concatenate([np.full((7, 2), np.nan), a])
    whole, result = differ(a, b), differ(gaps, b, missing="drop")
    assert (result.rows_a == whole.rows_a + 7).all()
    assert result.n == 60
    assert "Left out of A: 7 rows with missing values." in result.notes


def test_the_pair_that_tells_most_need_not_differ_alone() -> None:
    a, b = normal(500, 4, 14), normal(500, 4, 15)
    b[:, 3] = 0.7 * b[:, 1] + math.sqrt(0.51) * b[:, 3]
    assert most_telling_pair(a, b, [0, 2, 1, 3]) == (1, 3)
    assert most_telling_pair(a[:, :1], b[:, :1], [0]) == (0,)
    many_a, many_b = normal(500, 40, 16), normal(500, 40, 17)
    many_a[:, [20, 30]], many_b[:, [20, 30]] = a[:, [1, 3]], b[:, [1, 3]]
    assert most_telling_pair(many_a, many_b, range(40)) == (20, 30)


def test_the_map_counts() -> None:
    a, b = normal(1000, 2, 16), np.abs(normal(800, 2, 17))
    chart = signed_map((0, 1), ["x", "y"], lambda j: (a[:, j], b[:, j]), [None, None])
    bins = [np.concatenate([[-np.inf], edges, [np.inf]]) for edges in chart.edges]
    for share, rows in ((chart.share_a, a), (chart.share_b, b)):
        counted = np.histogram2d(-rows[:, 0], -rows[:, 1], bins=[-bins[0][::-1], -bins[1][::-1]])[0]
        assert share == pytest.approx(counted[::-1, ::-1] / len(rows))
    assert 8 <= len(chart.edges[0]) <= 12
    negative = np.where(chart.share_b == 0.0, chart.share_a, 0.0)  # B has no negative values
    i, j = np.unravel_index(int(negative.argmax()), negative.shape)
    assert chart.marks[i][j] == "--"
    assert {"·", "--"} < {mark for row in chart.marks for mark in row}
    assert not chart.blank
    assert len({len(row) for row in chart.table()}) == 1
    p = (chart.share_a * 1000 + chart.share_b * 800) / 1800
    some = p > 0
    expected = (chart.share_b - chart.share_a)[some] / np.sqrt((p * (1 - p))[some] * (1 / 1000 + 1 / 800))
    assert chart.z[some] == pytest.approx(expected)


def test_cells_of_recorded_values_hold_equally_many_of_them() -> None:
    rng = np.random.default_rng(18)
    whole = rng.integers(0, 37, size=2000).astype(float)
    chart = signed_map((0,), ["x"], lambda j: (whole[:1000], whole[1000:]), [0])
    inner = np.diff(chart.edges[0])
    assert np.ptp(inner) == 0.0
    assert inner[0] == np.rint(inner[0])
    assert (chart.edges[0] % 1.0 == 0.5).all()
    assert chart.share_a.shape[1] == 1
    constant = signed_map((0,), ["x"], lambda j: (np.ones(20), np.ones(30)), [0])
    assert constant.share_a.sum() == constant.share_b.sum() == 1.0
    assert constant.blank


def test_copies_are_told_beside_ties() -> None:
    a, b = normal(200, 2, 19), normal(100, 2, 20)
    b[:30] = a[50:80]
    result = differ(a, b)
    assert result.equal is not None
    assert (result.equal.in_b, result.equal.share_b, result.equal.share_a) == (30, 0.3, 0.0)
    assert any("30 of 100 rows of B (30 %) equal a row of A" in note for note in result.notes)
    tied = np.round(np.concatenate([a, normal(100, 2, 21)]))
    result = differ(tied[:200], tied[200:])
    assert result.equal is not None
    assert result.equal.in_b > 80
    assert not result.equal.beyond_ties
    assert differ(a[:, :1], b[:, :1]).equal is None  # in one column, equal values are ties


# ---------------------------------------------------------------- log a(x)/b(x)


def test_the_log_ratio_of_two_gaussians_and_its_error() -> None:
    a, b = normal(1000, 2, 22) + np.array([1.0, 0.0]), normal(1000, 2, 23)
    at = np.concatenate([normal(400, 2, 24) + np.array([1.0, 0.0]), normal(400, 2, 25)])
    truth = at[:, 0] - 0.5
    learnt = differ(a, b)
    ratio, error = learnt.log_ratio(at)
    assert np.sqrt(np.mean((ratio - truth) ** 2)) < 0.3
    assert 0.88 < np.mean(np.abs(ratio - truth) < 1.96 * error) <= 1.0
    assert 0.1 < error.mean() < 0.3
    # and by importance weighting, A's mean out of rows of B
    weights = np.exp(learnt.log_ratio(b).log_ratio)
    assert weights.mean() == pytest.approx(1.0, abs=0.15)
    assert np.average(b[:, 0], weights=weights) == pytest.approx(1.0, abs=0.15)


def test_the_log_ratio_of_one_distribution_is_nothing_but_its_error() -> None:
    a, b = normal(300, 1, 26), normal(900, 1, 27)
    ratio, error = estimate_ratio(a, b, np.random.default_rng(0))(normal(500, 1, 28))
    assert np.mean(np.abs(ratio) < 1.96 * error) > 0.9
    assert np.abs(ratio).mean() < 0.2


def test_the_log_ratio_reads_rows_as_models_do(found: Difference) -> None:
    rows = pd.DataFrame({"two": [0.0, 0.0], "shifted": [-2.0, 3.0], "one": [0.0, 0.0]})
    ratio, error = found.log_ratio(rows)
    assert ratio[0] > 1.0 > -1.0 > ratio[1]
    assert (error > 0.0).all()
    assert np.array_equal(found.log_ratio(rows).log_ratio, ratio)
    far = found.log_ratio(pd.DataFrame({"shifted": [1e300], "one": [-1e300], "two": [0.0]}))
    assert np.isfinite(far.log_ratio).all()
    assert len(found.log_ratio(rows[:0]).log_ratio) == 0
    with pytest.raises(DataError, match="no column 'two'"):
        found.log_ratio(rows.drop(columns="two"))


def test_the_log_ratio_stays_finite_where_the_sets_are_apart() -> None:
    ratio, error = estimate_ratio(np.zeros((20, 1)), np.ones((20, 1)), np.random.default_rng(0))(
        np.array([[0.0], [1.0]])
    )
    assert np.isfinite(error).all()
    assert ratio[0] > 1.0 > -1.0 > ratio[1]


# ---------------------------------------------------------------- what comes in


@pytest.mark.usefixtures("quick")
def test_columns_are_matched_by_name() -> None:
    a = pd.DataFrame(normal(50, 2, 29) + np.array([0.0, 50.0]), columns=["x", "y"])
    b = pl.DataFrame({"y": normal(50, 1, 30)[:, 0] + 50.0, "x": normal(50, 1, 31)[:, 0]})
    result = differ(a, b)
    assert result.same
    assert {one.name for one in result.columns} == {"x", "y"}
    result = differ(a, normal(50, 2, 32) + np.array([0.0, 50.0]))
    assert result.same
    assert "Columns were matched by position: B has no names." in result.notes


def test_columns_that_only_one_has_are_named() -> None:
    a, b = pd.DataFrame(np.ones((20, 2)), columns=["x", "weight"]), pd.DataFrame({"x": np.ones(20)})
    with pytest.raises(DataError, match="A and B have different columns: only A has 'weight'"):
        differ(a, b)
    with pytest.raises(DataError, match=r"only mine has 'weight'; only theirs has 'wieght'.*Did you mean"):
        differ(a, a.rename(columns={"weight": "wieght"}), labels=("mine", "theirs"))
    with pytest.raises(DataError, match="A has 3 columns and B has 2; both need the same"):
        differ(np.ones((20, 3)), np.ones((20, 2)))


def test_what_was_set_aside_in_one_table_explains_itself() -> None:
    rng = np.random.default_rng(33)
    a = pofx.read(pd.DataFrame({"x": rng.normal(size=20), "y": ["red", "blue"] * 10}))
    b = pofx.read(pd.DataFrame({"x": rng.normal(size=20), "y": rng.normal(size=20)}))
    with pytest.raises(DataError, match=r"only B has 'y' \(set aside in the other: holds text"):
        differ(a, b)
    result = differ(a, a)
    assert any(note.startswith("Set aside in both, so not compared: y (holds text") for note in result.notes)


def test_bad_input() -> None:
    rows = normal(20, 2, 34)
    with pytest.raises(DataError, match="theirs has 9 rows; at least 10"):
        differ(rows, rows[:9], labels=("mine", "theirs"))
    gaps = rows.copy()
    gaps[3, 1] = np.nan
    with pytest.raises(DataError, match=r"B: X has NaN \(missing\) in column 1"):
        differ(rows, gaps)
    with pytest.raises(DataError, match="A: X has infinity"):
        differ(np.where(rows == rows[0, 0], np.inf, rows), rows)
    with pytest.raises(DataError, match="B: "):
        differ(rows, np.array([["a", "b"]] * 20))
    with pytest.raises(ParameterError, match="missing"):
        differ(rows, rows, missing="marginal")
    with pytest.raises(ParameterError, match="labels must be two different texts"):
        differ(rows, rows, labels=("A", "A"))
    with pytest.raises(ParameterError, match="random_state"):
        differ(rows, rows, random_state="one")


@pytest.mark.usefixtures("quick")
def test_odd_columns_are_no_trouble() -> None:
    """Constant, huge, tiny and boolean columns, and one outlier that is all of the range."""
    n = 40
    a = np.column_stack([np.ones(n), normal(n, 1, 35)[:, 0] * 1e300, normal(n, 1, 36)[:, 0] * 1e-300])
    result = differ(a, a[::-1] * [1.0, 0.9, 1.1])
    json.dumps(result.to_dict(), allow_nan=False)
    assert result.columns[-1].gap == 0.0
    flags = pd.DataFrame({"f": np.arange(n) % 2 == 0, "k": np.arange(n) // 10})
    assert differ(flags, flags).same
    out = np.zeros((n, 1))
    out[0] = 1e6
    json.dumps(differ(out, np.zeros((n, 1))).to_dict(), allow_nan=False)


@pytest.mark.usefixtures("quick")
def test_very_many_rows_are_sampled_and_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pofx.evaluate.apart.MOST_ROWS", 300)
    monkeypatch.setattr("pofx.evaluate.apart.LEAST_ROWS", 300)
    a, b = normal(3000, 1, 37), normal(500, 1, 38) + 3.0
    result = differ(a, b)
    assert any("the classifier at 300 and 300" in note for note in result.notes)
    assert any("permuted labels of 300 and 300 rows" in note for note in result.notes)
    assert result.verdict == "differ strongly"
    assert result.columns[0].median_a == np.median(a)  # sizes are of all rows
    assert a[result.rows_a].max() < 1.5  # numbered as given


# ---------------------------------------------------------------- what goes out


def test_plain_data(found: Difference) -> None:
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["schema"] == "pofx.differ/1"
    assert record["verdict"] in record["rule"]
    assert (record["a"], record["rows_a"], record["rows_b"]) == ("jan", 400, 300)
    assert record["classifier"]["low"] < record["classifier"]["auc"] < record["classifier"]["high"]
    assert record["energy"]["low"] <= record["energy"]["share"] <= record["energy"]["high"]
    assert record["least_like_b"][0]["row"] == found.rows_a[0]
    assert len(record["map"]["z"]) == len(record["map"]["edges"][0]) + 1
    assert record["equal_rows"]["in_b"] == 0


def test_frames_text_and_page(found: Difference) -> None:
    frame = found.to_frame()
    assert frame["name"].tolist() == [one.name for one in found.columns]
    assert found.to_frame("polars")["gap"].to_list() == frame["gap"].tolist()
    text = str(found)
    assert text.startswith("jan (400 rows) and feb (300 rows): differ\n")
    assert "shifted across" in text or "shifted up" in text
    assert "nan" not in text.lower().replace("jan", "")
    for line in text.splitlines()[1:8]:
        assert line == line.rstrip()
    page = found._repr_html_()
    assert page.count("<table>") == page.count("</table>") == 3
    odd = replace(found, a="<b>", columns=(replace(found.columns[0], name="<i>"), *found.columns[1:]))
    assert "<b>" not in odd._repr_html_()
    assert "<i>" not in odd._repr_html_()


def test_progress_is_told() -> None:
    said: list[str] = []
    differ(normal(20, 2, 39), normal(20, 2, 40), progress=said.append)
    assert said == ["columns", "energy distance", "classifier", "map", "equal rows"]
