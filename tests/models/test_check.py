"""``check`` keeps its level where it claims one, sees what it should see, and says what it cannot know."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pofx import KDE, Gaussian, GaussianMixture, Histogram, compare, errors, read, worlds
from pofx.core.density import Density
from pofx.evaluate import check as check_module
from pofx.evaluate import judgement
from pofx.evaluate.calibration import band, pit_counts, rank_counts
from pofx.evaluate.check import check

OLD_FAITHFUL = GaussianMixture.from_params(  # about the maximum likelihood of two components
    weights=[0.36, 0.64],
    means=[[2.04, 54.5], [4.29, 80.0]],
    covariances=[[[0.069, 0.44], [0.44, 33.7]], [[0.17, 0.94], [0.94, 36.0]]],
)


# ---------------------------------------------------------------- the band


def test_local_p_values_are_those_of_scipy() -> None:
    k = np.arange(0, 301, 7)
    b = band(300)
    for j in (0, 20, len(b.z) // 2, len(b.z) - 1):
        law = stats.binom(300, b.z[j])
        expected = np.minimum(2 * np.minimum(law.cdf(k), law.sf(k - 1)), 1)
        counts = np.repeat(k[:, None], len(b.z), axis=1)
        inside = (k >= b.first[j]) & (k < b.first[j] + b.local.shape[1])
        np.testing.assert_allclose(b.local_p(counts)[inside, j], expected[inside], rtol=1e-8, atol=1e-13)


def test_ranks_among_draws_are_beta_binomial() -> None:
    b = band(100, 500)
    j = len(b.z) // 3
    r = round(b.z[j] * 501)
    law = stats.betabinom(100, r, 501 - r)
    k = np.arange(101)
    expected = np.minimum(2 * np.minimum(law.cdf(k), law.sf(k - 1)), 1)
    found = b.local_p(np.repeat(k[:, None], len(b.z), axis=1))[:, j]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(("n", "draws"), [(7, None), (300, None), (7, 200), (300, 1000)])
def test_uniform_values_stay_inside_in_95_of_100_samples(n: int, draws: int | None) -> None:
    b = band(n, draws)
    low, high = b.limits(0.05)
    rng = np.random.default_rng(1)
    outside = rejected = 0
    for _ in range(1000):
        x = rng.random(n)
        counts = (
            pit_counts(x, lambda v: v, b.z, rng)
            if draws is None
            else rank_counts(x, rng.random(draws), b.z, rng)
        )
        out = bool(((counts < low) | (counts > high)).any())
        assert out == (b.p_value(counts) <= 0.05)
        outside += out
        rejected += b.p_value(counts) <= 0.5
    assert 30 <= outside <= 70  # three standard errors about 50
    assert rejected <= 550


def test_p_values_go_beyond_the_simulation() -> None:
    b = band(1000)
    assert b.p_value(np.zeros(len(b.z), dtype=np.int64)) < 1e-100
    assert b.local_level(1e-6) < b.local_level(1e-3) < b.local_level(0.05)


def test_bisection_counts_as_the_plain_formula_does() -> None:
    rng = np.random.default_rng(0)
    z = band(5000).z
    x = rng.normal(size=5000)
    plain = (stats.norm.cdf(x)[:, None] <= z).sum(axis=0)
    assert np.array_equal(pit_counts(x, stats.norm.cdf, z, rng), plain)
    rounded = np.round(x, 1)

    def cells(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return v - 0.05, v + 0.05

    lower, upper = (stats.norm.cdf(e) for e in cells(np.sort(rounded)))
    u = lower + np.random.default_rng(3).random(5000) * (upper - lower)
    plain = (u[:, None] <= z).sum(axis=0)
    counts = pit_counts(rounded, stats.norm.cdf, z, np.random.default_rng(3), cells)
    assert np.abs(counts - plain).max() <= 1  # the last bit of F at a border


# ---------------------------------------------------------------- the level, where one is claimed


class ByDraws(Gaussian):
    """A Gaussian that knows no distribution function of its columns."""

    def _marginal(self, params, keep):  # type: ignore[no-untyped-def]
        raise self._has_no("marginal")


def _as_recorded(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([np.round(rows[:, 0], 3), np.round(rows[:, 1])])


def _flags(x: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1] >= 0.5})


LAWFUL = {  # truth, rows, seeds, how the rows are recorded
    "a continuous column": (worlds.student_t(), 200, 200, lambda x: x),
    "two columns": (worlds.correlated(), 200, 200, lambda x: x),
    "recorded as Old Faithful": (OLD_FAITHFUL, 272, 200, _as_recorded),
    "waiting alone, whole numbers": (OLD_FAITHFUL.marginal([1]), 272, 200, lambda x: np.rint(x).astype(int)),
    "columns by draws": (ByDraws.from_params([0.0, 1.0], [[1.0, 0.9], [0.9, 1.0]]), 200, 100, lambda x: x),
    "coarsely rounded": (worlds.gaussian(), 200, 100, np.round),
    "a mass": (worlds.rounded(), 100, 100, lambda x: x),
    "clipped to a byte": (
        Gaussian.from_params([2.0], [[9.0]]),
        200,
        100,
        lambda x: np.clip(np.rint(x), 0, 255).astype(np.uint8),
    ),
    "a column of yes and no": (worlds.correlated(mean=(0.0, 0.5)), 200, 100, _flags),
    "single precision": (worlds.gaussian(), 200, 100, lambda x: x.astype(np.float32)),
}


@pytest.mark.parametrize("name", LAWFUL)
def test_the_truth_is_rejected_at_its_level(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "LEAST_DRAWS", 1000)  # right for any number; fewer are faster
    monkeypatch.setattr(judgement, "LEAST_TOLD", 10**9)  # the classifier keeps its level in its own tests
    truth, n, seeds, record = LAWFUL[name]
    results = []
    for seed in range(seeds):
        rows = record(truth.sample(n, random_state=seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", errors.PofxWarning)  # names on one side only
            result = check(truth, rows, new=True, random_state=seed)
        assert result.case == "known"
        p_values = [curve.p_value for curve in result.curves]
        if result.energy is not None:
            p_values.append(result.energy.p_value)
        assert result.passed == (result.p_value > result.level)
        results.append([result.p_value <= 0.05, *(p <= 0.05 for p in p_values)])
    least, most = (0.015, 0.09) if seeds == 200 else (0.0, 0.12)
    for rejected in np.mean(results, axis=0):
        assert least <= rejected <= most


def test_rounding_that_is_not_looked_at_would_be_rejected() -> None:
    """The same rows as continuous numbers: this is what the recorded precision is for."""
    rows = np.round(worlds.gaussian().sample(300, random_state=0))
    assert check(worlds.gaussian(), rows).passed
    assert not check(worlds.gaussian(), rows + math.pi * 1e-9).passed


# ---------------------------------------------------------------- power


class VarianceAsDeviation(Gaussian):
    """The sampler that a well-tested library shipped."""

    def _draw(self, params, n, rng):  # type: ignore[no-untyped-def]
        mean, variance = self._mean(params), np.diag(self._covariance(params))
        return mean + rng.standard_normal((n, len(mean))) * variance


def test_a_sampler_that_does_not_follow_its_density_is_caught_by_the_rank_alone() -> None:
    for seed in range(3):
        x = worlds.gaussian(2).sample(1000, random_state=seed)
        result = check(VarianceAsDeviation(covariance_type="diag").fit(x), x, new=True)
        assert not result.rank.inside
        assert all(curve.inside for curve in result.columns)


@pytest.mark.parametrize(
    ("model", "world"),
    [
        (Gaussian(), worlds.moons()),
        (Gaussian(), worlds.three_bumps()),
        (GaussianMixture(2), worlds.three_bumps()),
        (Gaussian(covariance_type="diag"), worlds.correlated()),
        (Gaussian(), worlds.student_t()),
    ],
    ids=["a Gaussian on moons", "one on three bumps", "two on three bumps", "no correlation", "no tails"],
)
def test_wrong_families_are_caught_by_samples_of_the_fit(model: Density, world: Density) -> None:
    x = world.sample(1000, random_state=0)
    result = check(model.fit(x), x, new=False)
    assert not result.passed
    assert (result.case, result.folds, result.samples) == ("family", 0, 199)
    assert result.p_value <= result.level
    assert result.verdict.word != "good"


def test_a_histogram_of_the_wrong_shape_is_caught_in_refits() -> None:
    x = worlds.moons().sample(600, random_state=0)
    result = check(Histogram(bins=3).fit(x), x, new=False)
    assert (result.case, result.p_value) == ("seen", None)
    assert not result.passed
    assert result.told_apart
    assert "AUC" in result.verdict.sentence


def test_mass_in_the_wrong_places_is_seen_by_two_samples_alone() -> None:
    truth = worlds.gaussian(2)
    for seed in range(3):
        rows = np.abs(truth.sample(1000, random_state=seed))
        rows[::2] *= -1.0  # every column and every height right, two quadrants of four empty
        found = check(truth, rows, random_state=seed)
        assert found.curves_outside == 0
        assert not found.together
        assert not found.passed
        assert found.told_apart
        assert found.p_value == pytest.approx(4.0 * min(found.energy.p_value, found.told.p_value))
        assert np.prod(found.energy.more) > 0.0 > np.prod(found.energy.fewer)
        assert "more rows than the model expects around" in found.energy_sentence
        assert "of the data than of the model's draws where column" in found.sentence
    assert check(worlds.gaussian(), truth.sample(300, random_state=0)[:, 0]).energy is None


def test_one_impossible_row_is_seen() -> None:
    x = worlds.gaussian().sample(500, random_state=0)
    x[17] = 9.0
    result = check(worlds.gaussian(), x)
    assert not result.passed
    assert "more rows than the model expects above" in result.columns[0].sentence
    outside = check(
        worlds.uniform(), np.r_[worlds.uniform().sample(300, random_state=0), np.full((9, 1), 7.0)]
    )
    assert not outside.passed
    assert "where it calls rows impossible" in outside.rank.sentence
    assert "9 of 309 rows are called impossible" in str(outside)
    json.dumps(outside.to_dict(), allow_nan=False)


def test_it_says_where() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"eruptions": np.r_[rng.normal(size=300), rng.normal(-1.5, 0.1, size=60)]})
    truth = Gaussian().fit(pd.DataFrame({"eruptions": stats.norm.ppf((np.arange(5000) + 0.5) / 5000)}))
    result = check(truth, table)
    curve = result.columns[0]
    assert -1.5 < curve.at < -1.0
    assert curve.observed > curve.expected == pytest.approx(stats.norm.cdf(curve.at), abs=0.02)
    assert "more rows than the model expects below eruptions = -1." in result.sentence
    assert result.worst is curve


# ---------------------------------------------------------------- what the model has seen


@pytest.fixture(scope="module")
def moons() -> np.ndarray:
    return worlds.moons().sample(300, random_state=0)


@pytest.mark.parametrize("model", [KDE(), Histogram()])
def test_the_training_rows_are_known_again(model: Density, moons: np.ndarray) -> None:
    """Whatever their order: then refits are judged, and no p-value is claimed."""
    model.fit(moons)
    before = model.params_, model.fit_
    result = check(model, moons[::-1])
    assert (result.case, result.folds, result.p_value) == ("seen", 5, None)
    assert "judged by one that had not seen it" in str(result)
    assert (model.params_, model.fit_) == before


@pytest.mark.parametrize("model", [Gaussian(), GaussianMixture(2, covariance_type="diag")])
def test_a_family_is_judged_by_samples_of_the_fit(model: Density, moons: np.ndarray) -> None:
    model.fit(moons)
    before = model.params_, model.fit_
    result = check(model, moons[::-1])
    assert (result.case, result.folds, result.samples) == ("family", 0, 199)
    assert set(result.p_values) == {"columns", "rank", "energy", "classifier"}
    assert "parametric bootstrap" in str(result)
    assert (model.params_, model.fit_) == before


def test_the_best_of_a_comparison(faithful: Path) -> None:
    table = read(faithful)
    result = check(compare([Gaussian(), GaussianMixture(2)], table).best, table)
    assert result.case == "family"
    assert [curve.name for curve in result.columns] == ["eruptions", "waiting"]
    assert result.n == 272


def test_other_rows_are_new(moons: np.ndarray) -> None:
    one, other = moons[:150], moons[150:]
    for rows in (other, moons):  # as many rows, and another number
        result = check(KDE().fit(one), rows)
        assert result.case == "new"
        assert result.p_value is not None
        assert "errors of its fit" in str(result)
    assert check(KDE().fit(one), other, new=False).case == "seen"
    assert check(KDE().fit(one), one, new=True).case == "new"  # the caller's word


def test_a_given_density_is_known_unless_it_is_the_fit(moons: np.ndarray) -> None:
    assert check(worlds.moons(), moons).case == "known"
    fit = Gaussian().fit(moons)
    assert check(Gaussian.from_params(fit.mean(), fit.covariance()), moons).case == "family"
    assert check(Gaussian.from_params([0.0, 0.0], np.eye(2)), moons).case == "known"


def test_what_cannot_be_told_is_not_claimed(moons: np.ndarray) -> None:
    weighted = Gaussian().fit(moons, sample_weight=np.r_[2, np.ones(299, int)])
    rng = np.random.default_rng(0)
    drawn = GaussianMixture(2, random_state=rng).fit(moons)
    state = rng.bit_generator.state
    for model in (weighted, drawn):
        result = check(model, moons)
        assert (result.case, result.p_value) == ("unknown", None)
        assert "new=True or new=False" in str(result)
    assert rng.bit_generator.state == state


# ---------------------------------------------------------------- models and rows of all kinds


class Sampler(Gaussian):
    """Draws, and nothing else."""

    kind = "none"

    def _log_density(self, params, x):  # type: ignore[no-untyped-def]
        raise self._has_no("log_density")

    _log_cdf = _log_density


def test_without_a_density_the_columns_are_judged_by_draws() -> None:
    x = worlds.gaussian(2).sample(500, random_state=0)
    model = Sampler().fit(x)
    for result in (check(model, x), check(model, worlds.gaussian(2).sample(400, random_state=1))):
        assert result.rank is None
        assert result.passed
        assert {curve.method for curve in result.columns} == {"draws"}
        assert "has no density" in str(result)
    assert not check(model, 2 * x).passed


def test_columns_by_name_rows_with_gaps_left_out() -> None:
    x = worlds.correlated().sample(300, random_state=0)
    frame = pd.DataFrame({"a": x[:, 0], "b": 10 * x[:, 1]})
    model = Gaussian(missing="drop").fit(frame)
    turned = frame[["b", "a"]].copy()
    result = check(model, turned)
    assert result.case == "family"
    assert [curve.name for curve in result.columns] == ["a", "b"]
    assert result.to_dict() == check(model, frame).to_dict()
    turned.iloc[3, 0] = np.nan
    assert check(model, turned).n == 299
    with pytest.raises(errors.DataError, match="b"):
        check(Gaussian().fit(frame), turned)
    with pytest.raises(errors.DataError, match="has no column 'a'"):
        check(model, turned[["b"]])


def test_many_rows_are_judged_by_a_sample_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_module, "MOST_ROWS", 1000)
    x = worlds.gaussian(2).sample(3000, random_state=0)
    result = check(Histogram().fit(x), x)
    assert (result.n, result.n_given, result.folds) == (1000, 3000, 5)
    assert "1,000 of 3,000 rows" in str(result)


def test_few_rows() -> None:
    assert check(worlds.gaussian(), [[0.3]]).passed
    assert not check(worlds.gaussian(), [[9.0]]).passed
    with pytest.raises(errors.DataError, match="at least 2 rows"):
        check(KDE(1.0).fit([[0.3]]), [[0.3]])


def test_refits_that_fail_are_named() -> None:
    x = np.r_[np.zeros(18), 1.0]  # without its last row the column is constant
    with pytest.warns(errors.PofxWarning, match="Outliers"):
        model = Gaussian().fit(x)
    with pytest.raises(errors.DataError, match=r"check refits Gaussian\(\) .* fit \d failed"):
        check(model, x)


def test_notes_of_the_refits_are_kept() -> None:
    x = worlds.moons().sample(200, random_state=0)
    model = GaussianMixture(4, max_iter=1, n_init=1, noise=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x)
    assert any("did not converge" in note for note in check(model, x).notes)


# ---------------------------------------------------------------- the record


def test_the_record(moons: np.ndarray) -> None:
    result = check(worlds.moons(), moons)
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert data["schema"] == "pofx.check/2"
    assert data["passed"] is result.passed
    assert data["sentence"] == result.sentence
    assert [c["name"] for c in data["columns"]] == ["column 0", "column 1"]
    for curve in result.curves:
        assert len(curve.z) == len(curve.share) == len(curve.low) == len(curve.high) == len(curve.x) <= 200
        assert (np.diff(curve.z) > 0).all()
        assert (np.diff(curve.x) >= 0).all() or curve.name != "log density"
        assert (curve.low <= curve.high).all()
        assert curve.inside == ((curve.low <= curve.share) & (curve.share <= curve.high)).all()
        assert curve.gap == pytest.approx(curve.observed - curve.expected)
        assert curve.statistic >= abs(curve.gap)
    assert data["verdict"]["word"] == result.verdict.word
    assert data["p_values"] == result.p_values
    assert list(result.to_frame("pandas")["name"])[-1] == "told apart"
    assert str(result) == repr(result)
    assert result.sentence in str(result)
    html = result._repr_html_()
    assert html.count("<tr>") == 6
    assert "±" in html


def test_the_seed_decides(moons: np.ndarray) -> None:
    model = Gaussian().fit(moons)
    assert check(model, moons).to_dict() == check(model, moons).to_dict()
    one, other = (check(model, moons, random_state=seed).rank.share for seed in (1, 2))
    assert not np.array_equal(one, other)


class Recording(Gaussian):
    """A Gaussian that keeps what it drew."""

    drawn: list[np.ndarray] = []

    def _draw(self, params, n, rng):  # type: ignore[no-untyped-def]
        self.drawn.append(super()._draw(params, n, rng))
        return self.drawn[-1]


def test_rows_drawn_by_the_same_seed_are_not_ranked_among_themselves() -> None:
    truth = Recording.from_params([0.0], [[1.0]])
    rows = truth.sample(100, random_state=0)
    check(truth, rows, new=True, random_state=0)
    assert len(truth.drawn) == 2
    assert not np.isin(*truth.drawn).any()


def test_names_are_escaped() -> None:
    frame = pd.DataFrame({"<b>": worlds.gaussian().sample(50, random_state=0)[:, 0]})
    assert "<b>" not in check(Gaussian().fit(frame), frame)._repr_html_()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: check(Gaussian(), x), errors.NotFittedError, "not fitted"),
        (lambda x: check(Gaussian, x), errors.ParameterError, r"did you mean Gaussian\(\)"),
        (lambda x: check("kde", x), errors.ParameterError, "fitted pofx model"),
        (lambda x: check(Gaussian().fit(x), x, new="yes"), errors.ParameterError, "True or False"),
        (lambda x: check(Gaussian().fit(x), x, folds=1), errors.ParameterError, "folds"),
        (lambda x: check(Gaussian().fit(x), x[:0]), errors.DataError, "0 rows"),
        (lambda x: check(Gaussian().fit(x), x[:, :1]), errors.DataError, "2 features"),
        (lambda x: check(worlds.moons(), x, new=False), errors.UnsupportedError, "nothing to fit"),
    ],
)
def test_wrong_use_explains_itself(call, error, words, moons: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words):
        call(moons)
