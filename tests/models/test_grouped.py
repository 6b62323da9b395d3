"""Level frequencies times one density per level: laws, limits, oracles, and what becomes of small groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from scipy.special import logsumexp

import pofx
from pofx.core.fold import Blocks
from pofx.core.laws import check_model, law_data
from pofx.errors import DataError, DegenerateError, FileError, ParameterError, PofxWarning, UnsupportedError
from pofx.models.grouped.keys import positions


def in_groups(d: int, k: int = 3, n: int = 150, seed: int = 0) -> np.ndarray:
    """Return rows (n, 1 + d): a level of k, and columns that move with it."""
    x = law_data(d, n=n, seed=seed)
    level = np.random.default_rng(seed + 1).integers(0, k, n).astype(float)
    return np.column_stack([level, x + level[:, None] * x.std(axis=0)])


def people(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Return a frame of text, booleans, and numbers that go with them; most gains are 0."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["Female", "Male"], n, p=[0.35, 0.65])
    rich = rng.random(n) < np.where(sex == "Male", 0.3, 0.15)
    age = (38 + 6 * rich + rng.normal(size=n) * 10).round().astype(np.int64)
    gain = np.where(rng.random(n) < 0.8, 0, rng.gamma(2.0, 2000 + 1000 * rich).round(1))
    hours = (40 + 5 * (sex == "Male") + rng.normal(size=n) * 6).round(1)
    return pd.DataFrame({"sex": sex, "rich": rich, "age": age, "hours": hours, "gain": gain})


FRAME = people()
TWO = FRAME[["sex", "age", "hours"]]


# ---------------------------------------------------------------- laws and limits


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda: pofx.Grouped(pofx.Gaussian(), by=0),
        lambda: pofx.Grouped(pofx.Gaussian(), by=0, tied=True),
    ],
    ids=["Gaussian", "tied"],
)
def test_laws(make: Any, d: int) -> None:
    verdicts = check_model(make, in_groups(d))
    assert sum(v == "holds" for v in verdicts.values()) >= 16
    assert verdicts["normalised"] == (
        "holds" if d < 3 else "does not apply: quadrature is for one or two columns"
    )
    assert verdicts["affine"] == verdicts["conditional times marginal"] == verdicts["moments"] == "holds"


def test_laws_of_a_kernel_estimate_per_group() -> None:
    check_model(lambda: pofx.Grouped(pofx.KDE("silverman"), by=0, smoothing=0.5), in_groups(1))


SOME = ("normalised", "samples follow the density", "conditional times marginal", "affine", "save and load")


def test_laws_of_a_mixture_per_group() -> None:
    check_model(
        lambda: pofx.Grouped(pofx.GaussianMixture(2, n_init=1), by=1), in_groups(1)[:, ::-1].copy(), laws=SOME
    )


def test_it_is_the_frequency_times_the_density_of_the_level() -> None:
    model = pofx.Grouped(pofx.KDE(), by="sex").fit(TWO)
    for level in ("Female", "Male"):
        own = TWO[TWO.sex == level]
        alone = pofx.KDE().fit(own[["age", "hours"]])
        np.testing.assert_allclose(
            model.log_density(own),
            np.log(len(own) / len(TWO)) + alone.log_density(own[["age", "hours"]]),
            rtol=1e-9,
        )
        part = model.condition({"sex": level})
        assert isinstance(part, pofx.KDE)
        np.testing.assert_allclose(
            part.log_density(own[["age", "hours"]]), alone.log_density(own[["age", "hours"]]), rtol=1e-9
        )
        assert part.fit_.n_rows == len(own)
    assert model.measure == "mixed"
    assert model.kind == "exact"
    assert model.levels_.tolist() == ["Female", "Male"]
    np.testing.assert_allclose(model.weights_, TWO.sex.value_counts(normalize=True)[model.levels_])
    np.testing.assert_allclose(np.exp(model.log_density(TWO)), model.density(TWO))


def test_a_group_of_one_level_is_the_model_without_groups() -> None:
    x = law_data(2)
    one = pofx.Grouped(pofx.Gaussian(), by=0).fit(np.column_stack([np.full(len(x), 7), x]))
    np.testing.assert_allclose(
        one.log_density(np.column_stack([np.full(len(x), 7), x])),
        pofx.Gaussian().fit(x).log_density(x),
        rtol=1e-12,
    )


def test_the_marginal_without_the_level_is_the_mixture_of_groups() -> None:
    model = pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO)
    whole = model.marginal(["age", "hours"])
    assert isinstance(whole, pofx.Stack)
    rest = TWO[["age", "hours"]]
    both = [model.log_density(TWO.assign(sex=level)) for level in model.levels_]
    np.testing.assert_allclose(whole.log_density(rest), logsumexp(both, axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        model.log_density(TWO),
        whole.log_density(rest) + _taken(model.predict_log_proba(rest), TWO.sex, model),
        rtol=1e-9,
    )
    swapped = model.marginal(["hours", "sex"])
    assert isinstance(swapped, pofx.Grouped)
    np.testing.assert_allclose(
        swapped.log_density(TWO[["hours", "sex"]]),
        _mixed_gaussian(model, TWO, "hours"),
        rtol=1e-9,
    )
    only = model.marginal(["sex"])
    assert only.measure == "mixed"
    np.testing.assert_allclose(
        np.exp(only.log_density(TWO[["sex"]][:3])), model.weights_[[*_at(TWO.sex[:3], model)]]
    )


def _at(levels: Any, model: pofx.Grouped) -> list[int]:
    return [model.levels_.tolist().index(level) for level in levels]


def _taken(log_p: np.ndarray, levels: Any, model: pofx.Grouped) -> np.ndarray:
    return log_p[np.arange(len(log_p)), _at(levels, model)]


def _mixed_gaussian(model: pofx.Grouped, rows: pd.DataFrame, column: str) -> np.ndarray:
    out = np.empty(len(rows))
    for level, weight in zip(model.levels_, model.weights_, strict=True):
        own = rows[column][rows.sex == level]
        out[rows.sex == level] = np.log(weight) + stats.norm.logpdf(own, own.mean(), own.std(ddof=0))
    return out


# ---------------------------------------------------------------- oracles


def test_tied_gaussians_are_linear_discriminants() -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    x = in_groups(3, n=300)
    oracle = LinearDiscriminantAnalysis(solver="lsqr").fit(x[:, 1:], x[:, 0])  # its covariance divides by n
    model = pofx.Grouped(pofx.Gaussian(), by=0, tied=True).fit(x)
    queries = np.concatenate([x[:, 1:], law_data(3, seed=5) * 2.0])
    np.testing.assert_allclose(model.predict_proba(queries), oracle.predict_proba(queries), atol=1e-9)
    np.testing.assert_array_equal(model.predict(queries), oracle.predict(queries))
    covariances = [group.model.covariance() for group in model.groups_ if group.model is not None]
    for group, covariance in zip(model.groups_, covariances, strict=True):
        np.testing.assert_allclose(covariance, oracle.covariance_, rtol=1e-9)
        assert group.model is not None
        np.testing.assert_allclose(group.model.mean(), x[x[:, 0] == group.level["column 0"], 1:].mean(axis=0))
    assert model.n_parameters_ == 2 + 3 * 3 + 6  # weights, means, one covariance
    # no Gaussians of equal covariance do better: others with the same means do worse
    assert model.score(x) > pofx.Grouped.from_models(
        {
            float(k): pofx.Gaussian.from_params(c.mean(), 1.05 * covariances[0])
            for k, c in enumerate(_models(model))
        },
        model.weights_,
    ).score(x)


def _models(model: pofx.Grouped) -> list[Any]:
    return [group.model for group in model.groups_]


def test_a_gaussian_per_level_is_quadratic_discriminant_analysis() -> None:
    from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

    x = in_groups(3, n=300)
    queries = law_data(3, seed=5) * 2.0
    # It divides by n - 1: rows repeated 2,000 times leave nothing of that.
    many = np.tile(x, (2_000, 1))
    oracle = QuadraticDiscriminantAnalysis().fit(many[:, 1:], many[:, 0])
    model = pofx.Grouped(pofx.Gaussian(), by=0).fit(x)
    np.testing.assert_allclose(model.predict_log_proba(queries), oracle.predict_log_proba(queries), atol=2e-3)
    assert model.n_parameters_ == 2 + 3 * (3 + 6)


def test_mixtures_per_level_tell_classes_that_no_single_gaussian_tells() -> None:
    rng = np.random.default_rng(0)
    outer = rng.normal(size=(300, 1)) * 0.3 + rng.choice([-2.0, 2.0], (300, 1))
    rows = pd.DataFrame(
        {"x": np.r_[outer[:, 0], rng.normal(size=300) * 0.3], "ring": [True] * 300 + [False] * 300}
    )
    mixtures = pofx.Grouped(pofx.GaussianMixture(2, n_init=1), by="ring").fit(rows)
    plain = pofx.Grouped(pofx.Gaussian(), by="ring", tied=True).fit(rows)
    assert np.mean(mixtures.predict(rows[["x"]]) == rows.ring) > 0.99
    assert np.mean(plain.predict(rows[["x"]]) == rows.ring) < 0.7
    assert mixtures.predict(rows).dtype == bool  # the level may be there: it is not looked at
    p = mixtures.predict_proba(rows[["x"]])
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


# ---------------------------------------------------------------- levels and containers


def test_levels_come_back_as_they_were() -> None:
    rows = FRAME[["sex", "rich", "age", "hours"]].assign(region=pd.Categorical(["n", "s"] * 200))
    model = pofx.Grouped(pofx.Gaussian(), by=["sex", "rich", "region"]).fit(rows)
    assert len(model.levels_) == 8
    assert model.levels_[0] == ("Female", False, "n")
    drawn = model.sample(2_000, random_state=0)
    assert list(drawn.columns) == list(rows.columns)
    assert (drawn.dtypes == rows.dtypes).all()
    assert drawn.hours.equals(drawn.hours.round(1))
    share = drawn.groupby(["sex", "rich", "region"], observed=True).size() / 2_000
    np.testing.assert_allclose(share.to_numpy(), model.weights_, atol=4 * 0.5 / np.sqrt(2_000))
    again = model.sample(2_000, random_state=0)
    assert again.equals(drawn)
    assert model.predict(rows)[0] in set(model.levels_)


def test_frames_of_every_kind_and_arrays_of_objects() -> None:
    model = pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO)
    other = pofx.Grouped(pofx.Gaussian(), by="sex").fit(pl.from_pandas(TWO))
    np.testing.assert_allclose(other.log_density(TWO), model.log_density(TWO))
    assert other.sample(3, random_state=1).schema == pl.from_pandas(TWO).schema
    arrow = pl.from_pandas(TWO).to_arrow()
    from_arrow = pofx.Grouped(pofx.Gaussian(), by="sex").fit(arrow).sample(3, random_state=1)
    assert from_arrow.column_names == arrow.column_names
    table = pofx.read(TWO, by="sex")
    assert table["sex"].tolist() == TWO.sex.tolist()
    assert "2 levels" in str(table)
    from_table = pofx.Grouped(pofx.Gaussian(), by="sex").fit(table)
    np.testing.assert_allclose(from_table.log_density(TWO), model.log_density(TWO))
    drawn = from_table.sample(3, random_state=1)
    assert isinstance(drawn, pofx.Table)
    assert drawn.to_frame().equals(model.sample(3, random_state=1))
    objects = TWO.to_numpy(dtype=object)
    from_objects = pofx.Grouped(pofx.Gaussian(), by=0).fit(objects)
    np.testing.assert_allclose(from_objects.log_density(objects), model.log_density(TWO))
    assert from_objects.sample(2, random_state=0)[0, 0] in ("Female", "Male")
    records = TWO.astype({"sex": object}).to_records(index=False)
    np.testing.assert_allclose(
        pofx.Grouped(pofx.Gaussian(), by="sex").fit(records).log_density(records), model.log_density(TWO)
    )


def test_a_table_with_other_levels_is_matched_by_text() -> None:
    model = pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO)
    men = pofx.read(TWO[TWO.sex == "Male"], by="sex")
    assert men.columns.levels_of(0).words == ("Male",)  # its number 0 is the model's number 1
    np.testing.assert_allclose(model.log_density(men), model.log_density(TWO[TWO.sex == "Male"]))


def test_missing_levels_are_missing_values() -> None:
    rows = TWO.astype({"sex": object})
    rows.loc[[3, 5], "sex"] = None
    with pytest.raises(DataError, match=r"NaN \(missing\) in column 'sex', 2 of 400 rows \(first: row 3\)"):
        pofx.Grouped(pofx.Gaussian(), by="sex").fit(rows)
    model = pofx.Grouped(pofx.Gaussian(), by="sex", missing="drop").fit(rows)
    assert model.fit_.n_dropped == 2
    assert model.levels_.tolist() == ["Female", "Male"]


def test_numbers_group_rows_in_blocks() -> None:
    x = in_groups(2)
    whole = pofx.Grouped(pofx.Gaussian(), by=0).fit(x)
    blocks = pofx.Grouped(pofx.Gaussian(), by=0).fit(Blocks([x[:20], x[20:70], x[70:]]))
    np.testing.assert_allclose(blocks.log_density(x), whole.log_density(x), rtol=1e-12)


def test_a_file_gives_back_every_bit(tmp_path: Path) -> None:
    rows = FRAME[["sex", "rich", "age", "gain"]]
    model = pofx.Grouped(pofx.KDE(), by=["sex", "rich"], spikes={"gain": 0}, smoothing=1.0).fit(rows)
    with pytest.warns(PofxWarning, match="holds the training rows"):
        model.save(tmp_path / "groups.pofx")
    again = pofx.load(tmp_path / "groups.pofx")
    assert isinstance(again, pofx.Grouped)
    assert again.log_density(rows).tobytes() == model.log_density(rows).tobytes()
    assert again.sample(50, random_state=2).equals(model.sample(50, random_state=2))
    assert again.levels_.tolist() == model.levels_.tolist()
    part = model.marginal(["rich", "gain"])
    with pytest.warns(PofxWarning, match="holds the training rows"):
        part.save(tmp_path / "part.pofx")
    np.testing.assert_array_equal(
        pofx.load(tmp_path / "part.pofx").log_density(rows[["rich", "gain"]]),
        part.log_density(rows[["rich", "gain"]]),
    )


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    from pofx import store

    pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO).save(tmp_path / "m.pofx")
    manifest, arrays = store.read(tmp_path / "m.pofx")
    for name, value in (
        ("params.value.weights", np.array([0.7, 0.7])),
        ("params.value.keys", np.array([[0.0], [5.0]])),
    ):
        store.write(tmp_path / "bad.pofx", manifest, {**arrays, name: value}, overwrite=True)
        with pytest.raises(FileError, match="impossible model"):
            pofx.load(tmp_path / "bad.pofx")


# ---------------------------------------------------------------- conditions and spikes


def test_conditions_are_bayes_rule() -> None:
    model = pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO)
    given = model.condition({"hours": 44.0})
    assert isinstance(given, pofx.Grouped)
    joint = model.log_density(TWO.assign(hours=44.0))
    base = model.marginal(["hours"]).log_density(pd.DataFrame({"hours": [44.0]}))[0]
    np.testing.assert_allclose(given.log_density(TWO[["sex", "age"]]), joint - base, rtol=1e-9)
    levels = model.condition({"hours": 44.0, "age": 30.0})  # the level alone is left
    one = pd.DataFrame({"age": [30], "hours": [44.0]})
    np.testing.assert_allclose(levels.weights_, model.predict_proba(one)[0], rtol=1e-12)
    batch = model.condition(pd.DataFrame({"sex": ["Male", "Female"], "age": [30, 30]}))
    assert len(batch) == 2
    assert float(batch[0].mean()[0]) > float(batch[1].mean()[0])
    several = model.condition({"sex": ["Male", "Female"]})
    np.testing.assert_allclose(several[1].mean(), model.condition({"sex": "Female"}).mean())


def test_spikes_have_a_probability_and_the_rest_a_density() -> None:
    rows = FRAME[["sex", "age", "gain"]]
    model = pofx.Grouped(
        pofx.Transformed(pofx.Gaussian(), {"gain": (0, None)}), by="sex", spikes={"gain": 0}
    ).fit(rows)
    drawn = model.sample(4_000, random_state=0)
    assert abs((drawn.gain == 0).mean() - (rows.gain == 0).mean()) < 0.04
    assert (drawn.gain >= 0).all()
    at = rows[(rows.sex == "Male") & (rows.gain == 0)]
    alone = pofx.Gaussian().fit(at[["age"]])
    np.testing.assert_allclose(
        model.log_density(at), np.log(len(at) / len(rows)) + alone.log_density(at[["age"]]), rtol=1e-12
    )
    assert isinstance(model.condition({"sex": "Male", "gain": 0}), pofx.Transformed)
    off = model.condition({"gain": 0})
    share = rows[rows.gain == 0].sex.value_counts(normalize=True)
    np.testing.assert_allclose(off.weights_, share[off.levels_])
    gains = model.marginal(["gain"])
    assert isinstance(gains, pofx.Grouped)
    zero = rows[["gain"]][rows.gain == 0][:1]
    np.testing.assert_allclose(gains.density(zero), [(rows.gain == 0).mean()])
    np.testing.assert_allclose(model.condition({"sex": "Male"}).weights_, [1.0])
    assert model.predict_proba(pd.DataFrame({"age": [40, 40], "gain": [0.0, 5000.0]})).shape == (2, 2)
    without = pofx.Grouped(pofx.Gaussian(), spikes={"gain": 0}).fit(rows[["age", "gain"]])
    assert without.mean()[1] == pytest.approx(rows.gain.mean(), rel=1e-9)
    assert without.covariance()[1, 1] == pytest.approx(rows.gain.var(ddof=0), rel=1e-9)


def test_the_mass_of_spikes_and_density_is_one() -> None:
    model = pofx.Grouped(pofx.Gaussian(), spikes={0: 0}).fit(FRAME[["gain"]].to_numpy())
    grid = np.linspace(-60_000, 60_000, 100_001)
    off = grid[grid != 0.0]
    mass = model.density(off[:, None]).sum() * (grid[1] - grid[0])
    assert mass + model.density([[0.0]])[0] == pytest.approx(1.0, abs=1e-3)


# ---------------------------------------------------------------- small groups, smoothing, unseen levels


def small() -> pd.DataFrame:
    """Return two large groups and one of a single row."""
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {"g": ["a"] * 60 + ["b"] * 39 + ["rare"], "x": rng.normal(size=100), "y": rng.normal(size=100)}
    )


def test_a_small_group_is_refused_by_name_pooled_or_dropped() -> None:
    rows = small()
    with pytest.raises(
        DegenerateError, match="The group g = 'rare' cannot be fitted: it has 1 different row, fewer"
    ):
        pofx.Grouped(pofx.Gaussian(), by="g").fit(rows)
    pooled = pofx.Grouped(pofx.Gaussian(), by="g", small="pool").fit(rows)
    assert pooled.fit_.notes == (
        "g = 'rare': takes the density of all levels. It has 1 different row, fewer than 3.",
    )
    everyone = pofx.Gaussian().fit(rows[["x", "y"]])
    np.testing.assert_allclose(
        pooled.log_density(rows[-1:]), np.log(0.01) + everyone.log_density(rows[["x", "y"]][-1:]), rtol=1e-9
    )
    assert [group.pooled for group in pooled.groups_] == [False, False, True]
    assert pooled.n_parameters_ == 3 * 5 + 2
    dropped = pofx.Grouped(pofx.Gaussian(), by="g", small="drop").fit(rows)
    assert dropped.levels_.tolist() == ["a", "b"]
    np.testing.assert_allclose(dropped.weights_, [60 / 99, 39 / 99])
    assert "1 rows left out" in dropped.fit_.notes[0]
    tied = pofx.Grouped(pofx.Gaussian(), by="g", tied=True).fit(rows)  # one row gives a mean
    np.testing.assert_allclose(tied.groups_[2].model.mean(), rows.iloc[-1][["x", "y"]].to_numpy(float))
    stuck = rows.assign(x=np.where(rows.g == "b", 1.0, rows.x))
    with pytest.raises(DegenerateError, match="g = 'b' cannot be fitted: Constant column 'x'"):
        pofx.Grouped(pofx.Gaussian(), by="g", small="error").fit(stuck[rows.g != "rare"])
    with pytest.raises(DegenerateError, match="Nor can the rows of all levels"):
        pofx.Grouped(pofx.Gaussian(), by="g", small="pool", least=200).fit(stuck.assign(y=0.0))
    with pytest.raises(DegenerateError, match="No group can be fitted"):
        pofx.Grouped(pofx.Gaussian(), by="g", small="drop", least=200).fit(rows)


def test_frequencies_are_smoothed_if_asked() -> None:
    model = pofx.Grouped(pofx.Gaussian(), by="g", small="pool", smoothing=0.5).fit(small())
    np.testing.assert_allclose(model.weights_, (np.array([60, 39, 1]) + 0.5) / 101.5)


def test_a_level_never_seen() -> None:
    model = pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO)
    strange = TWO[:4].assign(sex=["Male", "Femal", "Female", "Femal"])
    with pytest.raises(
        DataError, match=r"'Femal' in row 1.* never seen in training.*Did you mean 'Female'.* 2 of 4"
    ):
        model.log_density(strange)
    with pytest.raises(DataError, match="never seen"):
        model.condition({"sex": "Other"})
    model.set_params(unseen="impossible")
    assert np.isneginf(model.log_density(strange)).tolist() == [False, True, False, True]
    pairs = FRAME[["sex", "rich", "age"]]
    some = pofx.Grouped(pofx.Gaussian(), by=["sex", "rich"]).fit(pairs[(pairs.sex == "Male") | ~pairs.rich])
    with pytest.raises(
        DataError, match=r"sex = 'Female', rich = True .first: row 0.*It knows sex = 'Female', rich = False"
    ):
        some.log_density(pairs[(pairs.sex == "Female") & pairs.rich])
    with pytest.raises(DataError, match="sex = 'Female', rich = True is a level that was never seen"):
        some.condition({"sex": "Female", "rich": True})
    with pytest.raises(DataError, match=r"'age' = 'old'|holds text|convert"):
        some.log_density(pairs.assign(age="old"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: pofx.Grouped(pofx.Gaussian()), "needs by="),
        (lambda: pofx.Grouped(None, by="sex"), "needs a model"),
        (lambda: pofx.Grouped(pofx.Gaussian, by="sex"), "needs a model"),
        (lambda: pofx.Grouped(pofx.Gaussian(), by="sexx"), "no column 'sexx'.*Did you mean 'sex'"),
        (lambda: pofx.Grouped(pofx.Gaussian(), by=["sex", "sex"]), "different columns"),
        (lambda: pofx.Grouped(pofx.Gaussian(), by=1.5), "a column or a list of columns"),
        (lambda: pofx.Grouped(pofx.Gaussian(), by="sex", spikes="age"), "mapping of column to value"),
        (
            lambda: pofx.Grouped(pofx.Gaussian(), by="sex", spikes={"age": []}),
            "one or more different numbers",
        ),
        (lambda: pofx.Grouped(pofx.Gaussian(), by="sex", small="merge"), "small"),
        (lambda: pofx.Grouped(pofx.Gaussian(), by="sex", smoothing=-1), "smoothing"),
        (lambda: pofx.Grouped(pofx.Gaussian(), by="sex", least=0), "least"),
        (lambda: pofx.Grouped(pofx.KDE(), by="sex", tied=True), "shares one covariance among Gaussians"),
        (lambda: pofx.Grouped(pofx.Grouped(pofx.Gaussian(), by="sex"), by="age"), "Groups within groups"),
        (lambda: pofx.Grouped([pofx.Gaussian()] * 3, by="sex"), "3 models for 2 groups"),
        (lambda: pofx.Grouped(pofx.Gaussian(), by="sex", missing="marginal"), "missing"),
    ],
)
def test_bad_settings(model: Any, message: str) -> None:
    with pytest.raises((ParameterError, DataError), match=message):
        model().fit(TWO)


def test_bad_rows() -> None:
    with pytest.raises(DataError, match=r"'sex' holds text.*Grouped"):
        pofx.Gaussian().fit(pofx.read(TWO, by="sex"))
    with pytest.raises(DataError, match="none is left"):
        pofx.Grouped(pofx.Gaussian(), by=["sex"]).fit(TWO[["sex"]])
    with pytest.raises(DataError, match="more than 5,000 groups: that is a measurement"):
        pofx.Grouped(pofx.Gaussian(), by=0).fit(np.random.default_rng(0).normal(size=(6_000, 2)))
    with pytest.raises(DataError, match="mixes text with other things: row 1"):
        pofx.Grouped(pofx.Gaussian(), by=0).fit([["a", 1.0], [2, 3.0]])
    model = pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO)
    with pytest.raises(UnsupportedError, match=r"mean of text .'sex'.*marginal"):
        model.mean()
    flat = pofx.Grouped(pofx.Histogram(smoothing=0), by="sex").fit(TWO)
    with pytest.raises(DataError, match="1 rows are impossible at every level"):
        flat.predict(pd.DataFrame({"age": [40, 900], "hours": [40.0, 40.0]}))


# ---------------------------------------------------------------- known groups, other verbs


def test_known_groups() -> None:
    parts = {"a": pofx.Gaussian.from_params(0.0, 1.0), "b": pofx.Gaussian.from_params(3.0, 2.0)}
    truth = pofx.Grouped.from_models(parts, [0.3, 0.7])
    rows = truth.sample(3_000, random_state=0)
    assert rows.dtype == object
    found = pofx.Grouped(pofx.Gaussian(), by=0).fit(rows)
    assert abs(found.weights_[0] - 0.3) < 0.04
    assert float(truth.kl(found)) < 0.01
    x = np.linspace(-3, 6, 20)
    odds = np.log(0.7 / 0.3) + stats.norm.logpdf(x, 3, np.sqrt(2)) - stats.norm.logpdf(x)
    np.testing.assert_allclose(truth.predict_proba(x[:, None])[:, 1], 1 / (1 + np.exp(-odds)), rtol=1e-9)
    numbered = pofx.Grouped.from_models(
        {(1, True): parts["a"], (0, False): parts["b"]}, {(1, True): 0.5, (0, False): 0.5}
    )
    assert numbered.levels_.tolist() == [(0, False), (1, True)]
    for weights in ([0.5], [0.7, 0.7], {"a": 1.0}):
        with pytest.raises(ParameterError, match="2 numbers >= 0 with sum 1"):
            pofx.Grouped.from_models(parts, weights)
    with pytest.raises(ParameterError, match="fitted densities"):
        pofx.Grouped.from_models({"a": pofx.Gaussian()}, [1.0])


def test_compare_check_and_differ_take_groups() -> None:
    models = [pofx.Grouped(pofx.Gaussian(), by="sex"), pofx.Grouped(pofx.Gaussian(), by="sex", tied=True)]
    result = pofx.compare(models, TWO, folds=3)
    assert {type(model) for model in (result.best,)} == {pofx.Grouped}
    with pytest.raises(ParameterError, match="cannot be ranked"):
        pofx.compare([models[0], pofx.Gaussian()], FRAME[["rich", "age"]])
    fresh = people(300, seed=9)[["sex", "age", "hours"]]
    assert pofx.check(models[0].fit(TWO), fresh).verdict.word in ("good", "usable")


def test_positions_agree_with_a_search() -> None:
    rng = np.random.default_rng(0)
    known = np.unique(rng.integers(0, 4, (30, 3)).astype(float), axis=0)
    rng.shuffle(known)
    asked = rng.integers(-1, 5, (200, 3)).astype(float)
    expected = [next((i for i, k in enumerate(known) if (k == row).all()), -1) for row in asked]
    assert positions(known, asked).tolist() == expected
    assert positions(np.empty((1, 0)), np.empty((3, 0))).tolist() == [0, 0, 0]


def test_levels_alone_are_a_density_too(tmp_path: Path) -> None:
    one = pofx.Grouped(pofx.Gaussian(), by="sex").fit(TWO[TWO.sex == "Male"]).marginal(["sex"])
    one.save(tmp_path / "level.pofx")
    again = pofx.load(tmp_path / "level.pofx")
    assert again.sample(3, random_state=0)["sex"].tolist() == ["Male"] * 3
    assert again.log_density(TWO[["sex"]][TWO.sex == "Male"][:1]).tolist() == [0.0]
    with pytest.raises(ParameterError, match="no models to fit"):
        one.fit(TWO)
