"""What a report measures for itself: the worst pair of columns, the residual map, the bandwidth curve."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pofx
from pofx.show.page import number_in_words, short, text
from pofx.show.picture import picture
from pofx.show.sections.bandwidth import DOUBLINGS, bandwidth_curve
from pofx.show.sections.fails import without_rows, worst
from pofx.show.sections.residuals import residuals
from pofx.show.sections.worst_pair import most_different, worst_pair

# ---------------------------------------------------------------- the worst pair


@pytest.mark.parametrize("d", [3, 6, 40])
def test_worst_pair_is_the_one_whose_dependence_is_wrong(d: int) -> None:
    rng = np.random.default_rng(d)
    rows, drawn = rng.normal(size=(1000, d)), rng.normal(size=(1000, d))
    rows[:, 2] = 0.6 * rows[:, 0] + 0.8 * rows[:, 2]
    assert most_different(rows, drawn) == (0, 2)


@pytest.mark.parametrize("d", [5, 40])
def test_a_curved_dependence_without_rank_correlation_is_found(d: int) -> None:
    rng = np.random.default_rng(d)
    rows, drawn = rng.normal(size=(1000, d)), rng.normal(size=(1000, d))
    bent = rows[:, 1] ** 2 + 0.3 * rows[:, 4]
    rows[:, 4] = (bent - bent.mean()) / bent.std()
    drawn[:, 4] = rng.permutation(rows[:, 4])  # the same column by itself
    assert most_different(rows, drawn) == (1, 4)


def test_the_worst_column_is_in_the_worst_pair_of_200_and_soon_found() -> None:
    rng = np.random.default_rng(0)
    rows, drawn = rng.normal(size=(1000, 200)), rng.normal(size=(1000, 200))
    rows[:, 117] += 1.5
    started = time.perf_counter()
    assert 117 in most_different(rows, drawn)
    assert time.perf_counter() - started < 5.0


def test_worst_pair_of_a_comparison_is_that_of_the_model() -> None:
    truth = pofx.Gaussian.from_params(
        [0, 0, 0, 0], [[1, 0, 0, 0], [0, 1, 0, 0.8], [0, 0, 1, 0], [0, 0.8, 0, 1]]
    )
    rows = truth.sample(600, random_state=0)
    result = pofx.compare({"independent": pofx.Gaussian(covariance_type="diag")}, rows)
    assert worst_pair(result, result.table[0], result.best) == (1, 3)
    w = np.ones(600)
    w[:300] = 2.0
    weighted = pofx.compare({"independent": pofx.Gaussian(covariance_type="diag")}, rows, sample_weight=w)
    assert worst_pair(weighted, weighted.table[0], weighted.best) == (1, 3)


# ---------------------------------------------------------------- the residual map


def test_residuals_add_up_and_a_right_model_has_standard_normal_ones() -> None:
    rows = pofx.worlds.correlated().sample(4000, random_state=0)
    result = pofx.compare([pofx.Gaussian()], rows)
    panel = picture(result.best, np.asarray(rows), "m").main
    found = residuals(result, result.table[0], result.best, (0, 1), panel)
    assert found.held_out
    assert found.seen.sum() == pytest.approx(found.expected.sum(), rel=0.01)
    assert found.expected.sum() == pytest.approx(4000, rel=0.02)
    z = found.z[found.expected > 5]
    assert len(z) > 40
    assert abs(z.mean()) < 0.3
    assert 0.75 < z.std() < 1.25
    assert found.place(("a", "b")) == ""


def test_residuals_point_at_a_hole_and_at_a_crowd() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 2))
    x = np.concatenate([x, rng.normal([2.0, -1.0], 0.1, size=(150, 2))])
    result = pofx.compare([pofx.Gaussian()], x)
    found = residuals(result, result.table[0], result.best, (0, 1), picture(result.best, x, "m").main)
    said = found.place(("a", "b"))
    assert said.startswith("more rows than it expects near a = ")
    i, j = np.unravel_index(int(found.z.argmax()), found.z.shape)
    assert found.x[j] - 0.2 <= 2.0 <= found.x[j + 1] + 0.2
    assert found.y[i] - 0.2 <= -1.0 <= found.y[i + 1] + 0.2


def test_residuals_of_weighted_rows_are_in_weights() -> None:
    x = np.random.default_rng(0).normal(size=(200, 2))
    w = np.full(200, 3)
    result = pofx.compare([pofx.Gaussian()], x, sample_weight=w)
    found = residuals(result, result.table[0], result.best, (0, 1), picture(result.best, x, "m").main)
    assert found.seen.sum() == pytest.approx(600, rel=0.02)
    assert found.expected.sum() == pytest.approx(600, rel=0.02)


# ---------------------------------------------------------------- where it fails, in words


def test_too_wide_too_narrow_and_highest_where_rows_are_few() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 2))
    for spread, word in ((2.0, "too wide"), (0.5, "too narrow")):
        model = pofx.Gaussian.from_params([0, 0], spread**2 * np.eye(2))
        assert word in worst(pofx.check(model, rows))
    ring = 3.0 * rows / np.linalg.norm(rows, axis=1, keepdims=True) + 0.1 * rows[::-1]
    said = worst(pofx.check(pofx.Gaussian.from_params([0, 0], 6.0 * np.eye(2)), ring))
    assert "it is highest where rows are few: the region with " in said


def test_places_of_the_energy_distance_can_be_left_out() -> None:
    truth = pofx.worlds.gaussian(2)
    rows = np.abs(truth.sample(300, random_state=0))
    rows[::2] *= -1.0  # two quadrants of four are empty; every column and every height is right
    found = pofx.check(truth, rows)
    assert "with more rows than the model expects around" in found.energy_sentence
    assert "around" not in without_rows(found.energy_sentence)


# ---------------------------------------------------------------- the bandwidth curve


@pytest.mark.parametrize("bandwidth", [[0.4, 0.3], [[0.16, 0.02], [0.02, 0.09]]])
def test_bandwidth_curve_is_what_compare_would_say(bandwidth: list) -> None:
    rows = pofx.worlds.moons().sample(240, random_state=0)
    square = isinstance(bandwidth[0], list)
    wider = (np.array(bandwidth) * (4.0 if square else 2.0)).tolist()
    result = pofx.compare({"h": pofx.KDE(bandwidth), "2h": pofx.KDE(wider)}, rows)
    curve = bandwidth_curve(result, result["h"])
    assert curve is not None
    assert curve.rows == 240
    gain = result["2h"].held_out.mean - result["h"].held_out.mean
    assert curve.gain[curve.doublings == 1.0][0] == pytest.approx(gain, abs=1e-9)
    assert curve.gain[curve.doublings == 0.0][0] == 0.0
    assert curve.error[curve.doublings == 0.0][0] == 0.0


def test_a_bandwidth_that_is_too_wide_is_told_so() -> None:
    rows = pofx.worlds.correlated().sample(300, random_state=0)
    result = pofx.compare({"wide": pofx.KDE([4.0, 4.0]), "right": pofx.KDE()}, rows)
    wide, right = (bandwidth_curve(result, result[name]) for name in ("wide", "right"))
    assert wide is not None
    assert right is not None
    assert wide.sentence.startswith("Bumps 0.25 times as wide would give rows that were held out ")
    assert "no other width is better by more than chance" in right.sentence
    record = right.figure().to_dict()
    assert {mark["kind"] for mark in record["panels"][0]["marks"]} == {"band", "curve"}
    assert len(right.doublings) == len(DOUBLINGS)


def test_no_bandwidth_curve_of_other_models_and_of_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pofx.worlds.moons().sample(60, random_state=0)
    result = pofx.compare([pofx.Gaussian(), pofx.KDE()], rows)
    assert bandwidth_curve(result, result["Gaussian"]) is None
    monkeypatch.setattr("pofx.show.sections.bandwidth.MOST", 100)
    assert bandwidth_curve(result, result["KDE"]) is None


def test_narrow_bumps_that_call_rows_impossible_are_left_out_of_the_curve() -> None:
    rows = np.random.default_rng(0).normal(size=(80, 2))
    result = pofx.compare([pofx.KDE([1.5, 1.5], kernel="tophat")], rows)
    curve = bandwidth_curve(result, result.table[0])
    assert curve is not None
    assert np.isfinite(curve.gain).all()
    assert -2.0 < curve.doublings.min() <= 0.0


# ---------------------------------------------------------------- words


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e3))
def test_numbers_in_words_are_as_exact_as_their_place(value: float, width: float) -> None:
    said = number_in_words(value, width)
    assert abs(float(said.replace("−", "-").replace(",", "")) - value) <= 0.5 * width * 1.01
    assert said not in ("-0", "−0", "−0.0")


def test_words_are_cut_and_escaped() -> None:
    assert short("a" * 100, 30) == "a" * 14 + "…" + "a" * 15
    assert text("-1 < x & " + "y" * 5000).startswith("−1 &lt; x &amp; ")
    assert len(text("y" * 5000)) == 2000
