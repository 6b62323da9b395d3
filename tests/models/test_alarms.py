"""Rarity, its calibration and alarms: laws that hold whatever the model, then limits, then bad input."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import pofx
from pofx.core.rarity import Calibration
from pofx.errors import DataError, FileError, NotFittedError, ParameterError, UnsupportedError
from pofx.evaluate.calibrate import calibrated_by

MOONS = pofx.worlds.moons()


def rows_of(n: int, seed: int) -> np.ndarray:
    return np.asarray(MOONS.sample(n, random_state=seed))


def mixture(k: int = 2, **options: Any) -> pofx.GaussianMixture:
    starts = rows_of(k, 10**6)
    return pofx.GaussianMixture(k, covariance_type="full", means_init=starts, tol=1e-2, **options)


# ---------------------------------------------------------------- the promise


@pytest.mark.parametrize("method", ["cross", "split", "new"])
@pytest.mark.parametrize("model", [pofx.Gaussian(), pofx.KDE(0.05), pofx.Histogram(20)], ids=str)
def test_false_alarms_are_no_more_than_promised_whatever_the_model(model: Any, method: str) -> None:
    """A Gaussian of moons, bumps much too narrow, and bins with empty cells among them: all are wrong."""
    shares = []
    for seed in range(30):
        rows, new = rows_of(199, seed), rows_of(400, 1_000 + seed)
        if method == "new":
            fitted = pofx.calibrate(model.fit(rows_of(100, 500 + seed)), rows, new=True)
        else:
            fitted = pofx.calibrate(model, rows, method=method, folds=2 if method == "split" else 5)
        share = fitted.rarity(new).rarity
        shares.append([(share <= alpha).mean() for alpha in (0.05, 0.2)])
    mean, error = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1) / 30**0.5
    assert (mean <= np.array([0.05, 0.2]) + 3 * error).all()
    if isinstance(model, pofx.Gaussian):  # and not far less: a promise of never an alarm is worth nothing
        assert (mean >= np.array([0.02, 0.12])).all()


def test_one_judge_has_every_rank_equally_often() -> None:
    """Of m + 1 rows that can be exchanged each is the k-th rarest with probability 1 / (m + 1)."""
    model = pofx.Gaussian.from_params([0.0], [[1.0]])
    rng = np.random.default_rng(0)
    ranks = []
    for _ in range(1_000):
        calibrated = pofx.calibrate(model, rng.normal(size=(9, 1)), new=True)
        ranks.append(round(10 * float(calibrated.rarity(rng.normal(size=(1, 1))).rarity[0])))
    counts = np.bincount(ranks, minlength=11)[1:]
    assert counts.sum() == 1_000
    assert stats.chisquare(counts).pvalue > 1e-3


def test_ranks_by_hand() -> None:
    model = pofx.calibrate(pofx.Gaussian.from_params([0.0], [[1.0]]), [[1.0], [2.0], [-3.0]], new=True)
    rarity, error = model.rarity([[0.0], [2.0], [-2.5], [9.0]])
    np.testing.assert_allclose(rarity, [1.0, 0.75, 0.5, 0.25])  # a tie counts against the alarm
    np.testing.assert_allclose(error, np.sqrt(rarity * (1 - rarity) / 4))
    weighed = pofx.calibrate(
        pofx.Gaussian.from_params([0.0], [[1.0]]), [[1.0], [2.0], [-3.0]], new=True, sample_weight=[2, 1, 3]
    )
    repeated = pofx.calibrate(
        pofx.Gaussian.from_params([0.0], [[1.0]]), [[1.0], [1.0], [2.0], [-3.0], [-3.0], [-3.0]], new=True
    )
    x = [[0.0], [1.5], [2.0], [-2.5], [9.0]]
    np.testing.assert_allclose(weighed.rarity(x).rarity, repeated.rarity(x).rarity)


def test_rows_recorded_alike_tie_whatever_the_batch() -> None:
    rows = np.round(rows_of(400, 0), 1)
    model = pofx.calibrate(pofx.KDE(), rows)
    together = model.rarity(rows).rarity
    one_by_one = np.array([model.rarity(row[None]).rarity[0] for row in rows[:60]])
    np.testing.assert_array_equal(together[:60], one_by_one)
    _, first, of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(together, together[first][of.reshape(-1)])


# ---------------------------------------------------------------- the model's own rarity


def test_own_rarity_of_a_gaussian_is_chi_square() -> None:
    model = pofx.Gaussian().fit(np.random.default_rng(0).normal(size=(200, 3)) * [1.0, 50.0, 1e-3])
    x = np.asarray(model.sample(50, random_state=1, exact=True))
    inverse = np.linalg.inv(model.covariance())
    square = np.einsum("ni,ij,nj->n", x - model.mean(), inverse, x - model.mean())
    rarity, error = model.rarity(x)
    np.testing.assert_allclose(rarity, stats.chi2.sf(square, 3), rtol=1e-8)
    assert not error.any()
    far = model.rarity(model.mean()[None] + [[0.0, 700.0, 0.0]]).rarity
    assert 0.0 < far[0] < 1e-30


def test_own_rarity_by_draws_agrees_with_the_closed_form() -> None:
    gaussian = pofx.Gaussian.from_params([0.0, 1.0], [[2.0, 0.5], [0.5, 1.0]])
    same = pofx.GaussianMixture.from_params([1.0], [[0.0, 1.0]], [[[2.0, 0.5], [0.5, 1.0]]])
    x = np.asarray(gaussian.sample(40, random_state=0))
    exact, (drawn, error) = gaussian.rarity(x).rarity, same.rarity(x, n=20_000)
    assert (np.abs(drawn - exact) < 4.5 * error + 1e-4).all()
    assert drawn.min() >= 1 / 20_001
    np.testing.assert_array_equal(
        same.rarity(x, random_state=3).rarity, same.rarity(x, random_state=3).rarity
    )


@pytest.mark.parametrize(
    "model",
    [MOONS, pofx.KDE(), pofx.Histogram(), pofx.Stack([pofx.Gaussian(), pofx.KDE()], [0.5, 0.5]), mixture()],
    ids=lambda m: type(m).__name__,
)
def test_draws_of_any_density_have_uniform_own_rarity(model: Any) -> None:
    if model is not MOONS:
        model = model.fit(rows_of(150, 0))
    rarity = model.rarity(model.sample(1_500, random_state=5, exact=True)).rarity
    if not isinstance(model, pofx.Histogram):  # ties: its rarity has steps
        assert stats.kstest(rarity, "uniform").pvalue > 1e-3
    for alpha in (0.05, 0.3):
        assert (rarity <= alpha).mean() <= alpha + 4 * (alpha / 1_500) ** 0.5


# ---------------------------------------------------------------- what carries it


@pytest.mark.parametrize(
    "model",
    [
        pofx.Gaussian(),
        pofx.KDE(),
        mixture(),
        pofx.Stack([pofx.Gaussian(), pofx.KDE("silverman")]),
        pofx.Transformed(pofx.Gaussian(), {0: (-9, None)}),
    ],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize("weighed", [False, True])
def test_the_file_carries_it_to_the_last_bit(model: Any, weighed: bool, tmp_path: Path) -> None:
    rows, x = rows_of(120, 0), rows_of(30, 1)
    w = np.arange(120) % 3 if weighed else None
    made = pofx.calibrate(model, rows, sample_weight=w)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a kernel density estimate says that its file holds rows
        made.save(tmp_path / "m.pofx")
    for again in (pofx.load(tmp_path / "m.pofx"), pickle.loads(pickle.dumps(made))):
        np.testing.assert_array_equal(again.rarity(x).rarity, made.rarity(x).rarity)
        np.testing.assert_array_equal(again.log_density(x), made.log_density(x))
        assert again.fit_ == made.fit_
        assert again.fit_.calibration.sentence == made.fit_.calibration.sentence
    assert made.fit_.calibration.size == (120 if w is None else w.sum())


def test_the_model_itself_is_that_of_all_rows_and_is_not_changed() -> None:
    rows = rows_of(150, 0)
    plain = mixture().fit(rows)
    made = pofx.calibrate(plain, rows)
    np.testing.assert_array_equal(made.log_density(rows), plain.log_density(rows))
    assert plain.fit_.calibration is None
    np.testing.assert_array_equal(pofx.calibrate(mixture(), rows).log_density(rows), plain.log_density(rows))
    np.testing.assert_array_equal(made.rarity(rows, own=True).rarity, plain.rarity(rows).rarity)
    assert made.fit(rows).fit_.calibration is None  # another fit drops it
    assert pofx.calibrate(mixture(), rows).partial_fit(rows[:9]).fit_.calibration is None
    stack = pofx.calibrate(pofx.Stack([pofx.Gaussian(), pofx.KDE("silverman")]), rows)
    assert all(part.fit_.calibration is None for part in stack.models_)
    assert made.marginal([0]).fit_.calibration is None


def test_judges_never_saw_the_rows_that_they_rank() -> None:
    """With one judge and bumps of no width, rows of the fit would all be denser than any new one."""
    rows = rows_of(300, 0)
    model = pofx.calibrate(pofx.KDE(1e-3), rows)
    calibration = model.fit_.calibration
    assert calibration is not None
    for judge, scores in zip(calibration.judges, calibration.scores, strict=True):
        seen = judge.log_density(judge.points_)
        assert np.median(scores) < seen.min() - 10


def test_many_rows_have_one_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pofx.evaluate.calibrate.MOST_CROSSED", 100)
    found = pofx.calibrate(pofx.Gaussian(), rows_of(101, 0)).fit_.calibration
    assert found is not None
    assert found.exact
    assert found.size == 20
    crossed = pofx.calibrate(pofx.Gaussian(), rows_of(101, 0), method="cross").fit_.calibration
    assert crossed is not None
    assert crossed.size == 101


def test_groups_are_held_out_together() -> None:
    """Rows repeated in their group: one of them must never be ranked by a judge that saw its copy."""
    rows = np.repeat(rows_of(50, 0), 4, axis=0)
    groups = np.repeat(np.arange(50), 4)
    calibration = pofx.calibrate(pofx.KDE(0.01), rows, groups=groups).fit_.calibration
    assert calibration is not None
    for judge, scores in zip(calibration.judges, calibration.scores, strict=True):
        assert scores.max() < judge.log_density(judge.points_).min()
    assert "whole groups" in calibration.sentence


def test_a_comparison_calibrates_its_best_by_its_own_folds() -> None:
    rows = rows_of(200, 0)
    result = pofx.compare([pofx.Gaussian(), pofx.KDE("silverman")], rows)
    found = calibrated_by(result)
    calibration = found.fit_.calibration
    assert calibration is not None
    kept = result.best_entry.held_out
    assert calibration.judges == kept.models
    np.testing.assert_allclose(np.sort(np.concatenate(calibration.scores)), np.sort(kept.log_density))
    again = pofx.calibrate(result.best, rows)
    new = rows_of(100, 1)
    np.testing.assert_allclose(found.rarity(new).rarity, again.rarity(new).rarity)


def test_somebody_elses_estimators() -> None:
    from sklearn.mixture import GaussianMixture
    from sklearn.neighbors import KernelDensity

    rows, new = rows_of(200, 0), rows_of(200, 1)
    for estimator in (GaussianMixture(2, random_state=0), KernelDensity(bandwidth=0.3)):
        model = pofx.calibrate(estimator, rows)
        found = pofx.alarms(model, new, 0.05)
        assert found.found <= found.most + 5
        assert (found.component is not None) == hasattr(estimator, "predict_proba")
        assert not hasattr(estimator, "n_features_in_")  # a copy was fitted
        np.testing.assert_allclose(
            found.log_density, type(estimator)(**estimator.get_params()).fit(rows).score_samples(new)
        )
    assert pofx.alarms(stats.norm(0, 1), [[0.0], [5.0]], 0.01).alarm.tolist() == [False, True]


# ---------------------------------------------------------------- alarms


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    a = rng.normal(size=300)
    frame = pd.DataFrame({"who": [f"r{i}" for i in range(300)], "b": a + 0.1 * rng.normal(size=300), "a": a})
    frame.index = pd.Index(np.arange(1_000, 1_300), name="id")
    return frame


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> Any:
    return pofx.calibrate(pofx.GaussianMixture(2, covariance_type="full"), table[["a", "b"]])


def test_one_entry_per_row_in_order_with_the_index(table: pd.DataFrame, model: Any) -> None:
    asked = table.iloc[:40].copy()
    asked.iloc[4, 2], asked.iloc[5, 2], asked.iloc[6, 2] = np.nan, np.inf, 3.0
    found = pofx.alarms(model, asked, alpha=0.02, why=True)
    frame = found.to_frame()
    pd.testing.assert_frame_equal(frame[["who", "b", "a"]], asked)
    assert list(frame.columns[3:]) == [
        *("log_density", "rarity", "alarm", "component", "component_probability", "why", "reason")
    ]
    assert frame["alarm"].iloc[6]
    assert frame["why"].iloc[6].startswith(("a −", "b −"))
    assert frame["reason"].tolist() == [""] * 4 + ["missing: a", "infinite: a"] + [""] * 34
    for name in ("log_density", "rarity", "alarm", "component", "component_probability"):
        assert frame[name].isna().tolist() == [i in (4, 5) for i in range(40)]
    scored = asked.drop(index=[1_004, 1_005])
    np.testing.assert_array_equal(frame["log_density"].dropna(), model.log_density(scored[["a", "b"]]))
    np.testing.assert_array_equal(frame["rarity"].dropna(), model.rarity(scored[["a", "b"]]).rarity)
    labels = model.predict(scored[["a", "b"]])
    assert frame["component"].dropna().astype(int).tolist() == labels.tolist()
    assert found.scored == 38
    assert found.found == int(found.alarm.sum())
    assert "2 rows could not be scored" in str(found)


def test_other_containers_come_back_as_they_came(table: pd.DataFrame, model: Any) -> None:
    small = table.iloc[:5]
    asked = pl.DataFrame({name: small[name].tolist() for name in small.columns})
    frame = pofx.alarms(model, asked, 0.02).to_frame()
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns[:3] == ["who", "b", "a"]
    assert frame["alarm"].dtype == pl.Boolean
    arrow = pofx.alarms(model, asked.to_arrow(), 0.02).to_frame()
    assert arrow.column_names == frame.columns
    assert isinstance(pofx.alarms(model, asked, 0.02).to_frame("pandas"), pd.DataFrame)
    assert isinstance(pofx.alarms(model, small, 0.02).to_frame("polars"), pl.DataFrame)
    plain = pofx.calibrate(pofx.Gaussian(), small["a"].to_numpy().repeat(20)).fit(table["a"].to_numpy())
    assert pofx.alarms(plain, table["a"].to_numpy(), 0.02).to_frame().columns[0] == "column 0"
    series = pofx.alarms(pofx.Gaussian().fit(table["a"]), table["a"], 0.02).to_frame()
    assert series.index.equals(table.index)
    read = pofx.read(table[["a", "b"]])
    assert pofx.alarms(model, read, 0.02).to_frame().index.equals(table.index)


def test_expected_and_found(model: Any, table: pd.DataFrame) -> None:
    found = pofx.alarms(model, table, 0.05)
    assert found.expected == pytest.approx(300 * 15 / 301)
    assert not found.beyond_chance
    moved = table.assign(a=table["a"] + 1.0)
    assert pofx.alarms(model, moved, 0.05).beyond_chance
    record = found.to_dict()
    assert record["schema"] == "pofx.alarms/1"
    assert record["found"] == found.found == sum(record["alarm"])
    assert record["calibrated"] is True
    plain = pofx.alarms(model, table, 0.05, own=True)
    assert not plain.calibrated
    assert "as asked" in plain.promise
    assert "Not calibrated" in pofx.alarms(MOONS, rows_of(3, 0)).promise


def test_why_names_the_column_that_is_wrong() -> None:
    rng = np.random.default_rng(0)
    u = rng.normal(size=(400, 2))
    rows = np.column_stack([u[:, 0], 100 * (u[:, 0] + 0.1 * rng.normal(size=400)), 1e-3 * u[:, 1]])
    rows = np.column_stack([rows, u[:, 0] + 0.1 * rng.normal(size=400)])
    model = pofx.calibrate(pofx.Gaussian(), rows)
    asked = np.zeros((4, 4))
    for j, scale in enumerate((1.0, 100.0, 1e-3, 1.0)):
        asked[j, j] = 4.0 * scale
    found = pofx.alarms(model, asked, 0.05, why=True)
    assert found.alarm.all()
    assert found.why is not None
    assert [text.split(" −")[0] for text in found.why] == [f"column {j}" for j in range(4)]


def test_why_where_a_row_is_impossible() -> None:
    rows = np.random.default_rng(0).uniform(size=(300, 2))
    model = pofx.calibrate(pofx.Histogram(3, smoothing=0), rows)
    found = pofx.alarms(model, [[0.5, 7.0], [7.0, 7.0], [0.5, 0.5]], 0.05, why=True)
    assert found.alarm.tolist() == [True, True, False]
    assert found.why == ["column 1 −inf", "impossible in more than one column", ""]
    one = pofx.Gaussian.from_params([0.0], [[1.0]])
    assert pofx.alarms(one, [[9.0]], why=True).why == ["column 0 −40.3"]  # (81 − median of χ²₁) / 2


def test_incomplete_rows_of_a_mixture_have_a_density_and_no_rarity(table: pd.DataFrame) -> None:
    gaps = table[["a", "b"]].copy()
    gaps.iloc[:30, 0] = np.nan
    model = pofx.calibrate(pofx.GaussianMixture(1, missing="marginal"), gaps)
    assert model.fit_.calibration is not None
    assert model.fit_.calibration.size == 270
    found = pofx.alarms(model, gaps, 0.05)
    assert not np.isnan(found.log_density).any()
    assert np.isnan(found.rarity).tolist() == [i < 30 for i in range(300)]
    assert found.reason[0] == "missing: a"


def test_no_rows_at_all(model: Any, table: pd.DataFrame) -> None:
    found = pofx.alarms(model, table.iloc[:0], why=True)
    assert (found.found, found.scored, found.most) == (0, 0, 0)
    assert len(found.to_frame()) == 0


# ---------------------------------------------------------------- bad input


def test_bad_input_is_told(model: Any, table: pd.DataFrame, tmp_path: Path) -> None:
    rows = rows_of(100, 0)
    fitted = pofx.Gaussian().fit(rows)
    with pytest.raises(ParameterError, match="needs 999 calibration rows; there are 300"):
        pofx.alarms(model, table, 0.001)
    with pytest.raises(ParameterError, match="alpha"):
        pofx.alarms(model, table, 1.0)
    with pytest.raises(DataError, match="no column 'a'"):
        pofx.alarms(model, table[["b"]])
    with pytest.raises(DataError, match="'rarity' already"):
        pofx.alarms(model, table.assign(rarity=0.0), 0.02).to_frame()
    with pytest.raises(NotFittedError):
        pofx.alarms(pofx.Gaussian(), rows)
    with pytest.raises(ParameterError, match="did you mean Gaussian"):
        pofx.calibrate(pofx.Gaussian, rows)
    with pytest.raises(DataError, match="fitted to other rows"):
        pofx.calibrate(fitted, rows[:50])
    with pytest.raises(DataError, match="2 columns, X 1"):
        pofx.calibrate(fitted, rows[:, :1])
    with pytest.raises(ParameterError, match="fit it first"):
        pofx.calibrate(pofx.Gaussian(), rows, new=True)
    with pytest.raises(UnsupportedError, match="new=True"):
        pofx.calibrate(MOONS, rows)
    with pytest.raises(ParameterError, match="method"):
        pofx.calibrate(pofx.Gaussian(), rows, method="jackknife")
    with pytest.raises(DataError, match="2 rows"):
        pofx.calibrate(pofx.Gaussian(), rows[:1])
    with pytest.raises(ParameterError, match="ascending"):
        Calibration((np.array([1.0, 0.0]),))
    with pytest.raises(ParameterError, match="ascending"):
        Calibration((np.empty(0),))


def test_a_calibration_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    from pofx import store

    pofx.calibrate(pofx.Gaussian(), rows_of(50, 0)).save(tmp_path / "m.pofx")
    manifest, arrays = store.read(tmp_path / "m.pofx")
    for change in (
        {"parts": 0},
        {"parts": 10**9},
        {"parts": 2},
        {"how": 3},
        {"judges": [{}]},
        {"weighed": True},
    ):
        store.write(
            tmp_path / "x.pofx", {**manifest, "calibration": {**manifest["calibration"], **change}}, arrays
        )
        with pytest.raises(FileError):
            pofx.load(tmp_path / "x.pofx")
    unsorted = {**arrays, "calibration.0.scores": arrays["calibration.0.scores"][::-1]}
    store.write(tmp_path / "x.pofx", manifest, unsorted)
    with pytest.raises(FileError, match="ascending"):
        pofx.load(tmp_path / "x.pofx")
