"""The classifier two-sample test: valid, powerful, and right about where."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import kstest, mannwhitneyu
from sklearn.metrics import roc_auc_score

from pofx.errors import DataError, ParameterError
from pofx.evaluate.boosted import BINS, bins_of
from pofx.evaluate.boxes import Box, Side, find_boxes
from pofx.evaluate.classifier import MOST_ROWS, Told, _auc, _permuted, classifier_test


def told(x: np.ndarray, y: np.ndarray, seed: int = 0, level: float = 0.05) -> Told:
    return classifier_test(x, y, np.random.default_rng(seed), level, names=None)


def quarters(n: int, seed: int, share: float = 0.5) -> np.ndarray:
    """Uniform rows, but with that share of them in the box (0, .5) x (.5, 1)."""
    rng = np.random.default_rng(seed)
    rows = rng.uniform(size=(n, 2))
    inside = rng.uniform(size=n) < share
    rows[inside] = rng.uniform((0.0, 0.5), (0.5, 1.0), size=(int(inside.sum()), 2))
    return rows


@pytest.mark.parametrize(
    ("n", "m", "digits"), [(60, 60, 9), (30, 90, 0)], ids=["continuous", "unequal and much tied"]
)
def test_p_values_are_uniform_under_one_distribution(
    n: int, m: int, digits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pofx.evaluate.boosted.TREES", 4)  # valid whatever the classifier, so a quick one
    found = []
    for seed in range(40):
        rows = np.round(np.random.default_rng(seed).normal(size=(n + m, 2)), digits)
        found.append(told(rows[:n], rows[n:], seed + 1000).p_value)
    assert kstest(found, "uniform").pvalue > 0.001


def test_folds_in_a_circle_agree_too_often_and_folds_in_a_row_do_not() -> None:
    """Why cross-validated scores with their labels permuted would be no test: here for a kernel's scores."""
    in_circle, in_row = [], []
    is_x, fold = np.arange(200) < 100, np.arange(200) % 5
    for seed in range(400):
        rows = np.random.default_rng(seed).normal(size=200)
        near = np.exp(-0.5 * ((rows[:, None] - rows) / 0.3) ** 2)
        for found, in_a_row in ((in_circle, False), (in_row, True)):
            tested = []
            for k in range(1, 5):
                mine = fold == k
                learns = (fold < k) if in_a_row else ~mine
                tested.append((near[np.ix_(mine, learns)] @ np.where(is_x[learns], 1.0, -1.0), is_x[mine]))
            found.append(_auc(tested)[0])
    alone = np.sqrt((40 + 1) / (12 * 20 * 20) / 4)  # Mann and Whitney's, of four independent folds
    assert np.std(in_circle) > 1.2 * alone
    assert 0.9 * alone < np.std(in_row) < 1.1 * alone


def test_alternatives_are_found() -> None:
    rng = np.random.default_rng(0)
    together = rng.multivariate_normal(np.zeros(2), [[1.0, 0.5], [0.5, 1.0]], size=500)
    apart = rng.normal(size=(500, 2))
    found = told(together, apart)  # only the pair of columns tells them apart
    assert found.told
    assert found.p_value == 0.001
    assert found.auc > found.limit > 0.5
    assert 0.5 < found.low < found.auc < found.high < 1.0


def test_the_limit_and_the_p_value_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pofx.evaluate.boosted.TREES", 4)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = told(rng.normal(size=(60, 1)), rng.normal(size=(60, 1)) + 0.3, seed)
        assert found.told == (found.auc > found.limit)


def test_the_auc_is_that_of_other_libraries() -> None:
    rng = np.random.default_rng(1)
    tested = []
    for _ in range(3):
        is_x = rng.uniform(size=50) < 0.4
        tested.append((np.round(rng.normal(size=50) + is_x, 1), is_x))
    auc, error = _auc(tested)
    assert auc == pytest.approx(np.mean([roc_auc_score(is_x, score) for score, is_x in tested]))
    null = _permuted(tested, rng)
    assert null.mean() == pytest.approx(0.5, abs=0.01)
    one = tested[:1]
    score, is_x = one[0]
    asymptotic = mannwhitneyu(score[is_x], score[~is_x], alternative="greater", method="asymptotic")
    share = (_permuted(one, rng) >= _auc(one)[0] - 1e-12).mean()
    assert share == pytest.approx(asymptotic.pvalue, abs=0.02)
    assert 0.02 < error < 0.07


def test_the_interval_covers_and_stays_open_where_all_is_told_apart() -> None:
    rng = np.random.default_rng(2)
    truth = 0.7602  # P(X > Y) for normal variables one standard deviation apart
    covered = 0
    for _ in range(300):
        is_x = np.arange(60) < 25
        tested = [(rng.normal(size=60) + is_x, is_x) for _ in range(4)]
        auc, error = _auc(tested)
        covered += abs(auc - truth) < 1.96 * error
    assert 0.92 < covered / 300 < 0.985
    apart = told(np.zeros((50, 1)), np.ones((50, 1)))
    assert apart.auc == apart.high == 1.0
    assert 0.9 < apart.low < 1.0


def test_units_and_increasing_transforms_change_nothing() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(80, 2)), rng.normal(size=(90, 2)) * 1.5
    one, other = told(x, y), told(np.exp(x) * [1.0, 1e9], np.exp(y) * [1.0, 1e9])
    assert one.auc == other.auc
    assert np.array_equal(one.scores_x, other.scores_x)
    # neither do sizes that float32 could not hold apart
    far = told(x + 1e9, y + 1e9)
    assert far.auc == pytest.approx(one.auc, abs=0.02)
    assert told(x * 1e300, y * 1e300).auc == one.auc


def test_the_same_seed_gives_the_same_bits_in_any_thread() -> None:
    x, y = quarters(200, 1), quarters(200, 2, 0.2)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: told(x, y, 5), range(3)))
    for other in found:
        assert other.to_dict() == told(x, y, 5).to_dict()
        assert np.array_equal(other.scores_y, found[0].scores_y)
    assert told(x, y, 6).auc != found[0].auc


def test_scores_are_of_rows_that_were_not_learnt_from() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    found = told(x, y)
    # a classifier that had seen them would score its own rows higher
    assert roc_auc_score(np.arange(600) < 300, np.r_[found.scores_x, found.scores_y]) < 0.57
    assert found.scores_x.min() > 0.0
    assert found.scores_x.max() < 1.0


def test_rows_and_the_region_are_where_the_difference_is() -> None:
    x, y = quarters(600, 0, 0.6), quarters(700, 1, 0.0)
    found = told(x, y)
    corner = x[found.rows]
    assert ((corner[:, 0] < 0.5) & (corner[:, 1] > 0.5)).all()
    box = found.region
    assert box is not None
    assert {side.column for side in box.sides} == {0, 1}
    bounds = {side.column: side for side in box.sides}
    assert bounds[0].high == pytest.approx(0.5, abs=0.1)
    assert bounds[1].low == pytest.approx(0.5, abs=0.1)
    # its shares are those of new rows
    new_x, new_y = quarters(20_000, 2, 0.6), quarters(20_000, 3, 0.0)
    assert box.share_x == pytest.approx(box.holds(new_x).mean(), abs=4 * box.error_x)
    assert box.share_y == pytest.approx(box.holds(new_y).mean(), abs=4 * box.error_y)
    said = classifier_test(x, y, np.random.default_rng(0), 0.05, names=["a", "b"]).words("rows", "draws")
    assert "more rows of rows than of draws where a " in said


def test_boxes_are_seldom_seen_where_there_are_none() -> None:
    seen = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(200, 2))
        seen += len(find_boxes(rows, bins_of(rows), np.arange(200) < 100, rng))
    assert seen <= 5  # each of six boxes passes 2.5 standard errors by chance in 0.6 % of cases


def test_a_box_says_its_sides_and_counts_what_it_says() -> None:
    box = Box((Side(0, "waiting", 60.0, 68.0), Side(1, "eruptions", None, 2.1)), 0.081, 0.03, 0.01, 0.01)
    assert box.sentence == (
        "more rows of x than of y where waiting in 60 to 68 and eruptions at most 2.1 "
        "(8.1 % against 3.0 %, difference ± 1.4)"
    )
    rows = np.array([[60.0, 2.0], [60.1, 2.1], [68.0, 2.0], [68.0, 2.2]])
    assert box.holds(rows).tolist() == [False, True, True, False]


def test_of_very_many_rows_some_are_taken_and_it_says_so() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(MOST_ROWS + 1000, 1))
    found = told(x, x[:20] + 3.0)
    assert (found.n, found.n_given, found.m, found.m_given) == (MOST_ROWS, MOST_ROWS + 1000, 20, 20)
    assert len(found.scores_x) == MOST_ROWS
    assert (np.diff(found.rows_x) > 0).all()
    # the rows named are numbered as given: those least like y
    assert x[found.rows].mean() < 0.5
    assert found.told


def test_plain_data() -> None:
    found = told(quarters(100, 0, 0.9), quarters(100, 1, 0.0))
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["told"] is True
    assert record["most_told_apart"][0]["row"] == found.rows[0]
    assert record["regions"]
    assert "Boosted trees put a row of x and one of y in the right order in " in record["sentence"]


def test_bins_hold_equal_values_together_and_equal_numbers_of_rows() -> None:
    rng = np.random.default_rng(7)
    rows = np.column_stack([rng.normal(size=5000), np.round(rng.normal(size=5000)), np.zeros(5000)])
    codes = bins_of(rows)
    assert codes.max(axis=0).tolist() == [BINS - 1, len(np.unique(rows[:, 1])) - 1, 0]
    assert np.ptp(np.bincount(codes[:, 0].astype(int))) <= 2
    order = np.argsort(rows[:, 0])
    assert (np.diff(codes[order, 0]) >= 0).all()
    heaped = np.where(rng.uniform(size=5000) < 0.5, 0.0, rows[:, 0])[:, None]
    assert len(np.unique(bins_of(heaped)[heaped == 0.0])) == 1


def test_bad_input() -> None:
    rows = np.zeros((20, 1))
    with pytest.raises(DataError, match="at least 10 rows of each sample; there are 20 and 9"):
        told(rows, rows[:9])
    for level in (0.0, 0.001, 0.7, float("nan")):
        with pytest.raises(ParameterError, match=r"level must be from 0\.002 to 0\.5"):
            told(rows, rows, level=level)


def test_samples_that_are_all_alike() -> None:
    found = told(np.zeros((20, 2)), np.zeros((20, 2)))
    assert (found.auc, found.p_value, found.told, found.regions) == (0.5, 1.0, False, ())
