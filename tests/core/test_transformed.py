"""Densities seen through maps: every model keeps the laws, bounds hold, values have probabilities."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import pofx
from pofx import KDE, Gaussian, GaussianMixture, Histogram, Stack, Transformed
from pofx.core.fold import Blocks
from pofx.core.laws import check_model
from pofx.errors import DataError, ParameterError, UnsupportedError
from pofx.maths.bijections import Affine, Identity, Log, LogBelow, Logit

SPEC = {"income": "log", "age": (0, None), "share": (0, 1)}


def people(n: int = 300, seed: int = 1) -> pd.DataFrame:
    """Incomes with two decimals, ages in whole years, shares with two decimals that reach both ends."""
    z = np.random.default_rng(seed).normal(size=(n, 3)) @ [[1, 0.4, 0.3], [0, 1, 0.2], [0, 0, 1]]
    frame = {
        "income": np.round(np.exp(7 + 0.8 * z[:, 0]), 2),
        "age": np.rint(np.exp(2.0 + 0.9 * z[:, 1])).astype(int),
        "share": np.round(1 / (1 + np.exp(-2.5 * z[:, 2] - 0.5)), 2),
    }
    frame["age"][:3] = 0
    frame["share"][:4] = [0.0, 1.0, 1.0, 0.0]
    return pd.DataFrame(frame)


def laplace() -> type:
    path = Path(__file__).resolve().parents[1] / "plugin_example" / "pofx_laplace.py"
    spec = importlib.util.spec_from_file_location("pofx_laplace", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Laplace


MODELS = {
    "gaussian": lambda: Gaussian(),
    "mixture": lambda: GaussianMixture(2, covariance_type="full", n_init=2),
    "kde": lambda: KDE("silverman"),
    "kde, matrix": lambda: KDE("plug_in"),
    "kde, epanechnikov": lambda: KDE("silverman", kernel="epanechnikov"),
    "histogram": lambda: Histogram(),
    "stack": lambda: Stack([Gaussian(), KDE("silverman")], [0.4, 0.6]),
    "a third party's": lambda: laplace()(),
}


def positive(n: int = 100) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.exp(rng.normal(size=(n, 2)) @ [[0.5, 0.2], [0.0, 0.4]]) * [3.0, 30.0]


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("name", MODELS)
def test_every_model_keeps_the_laws_through_maps(name: str) -> None:
    verdicts = check_model(lambda: Transformed(MODELS[name](), {0: (0, None), 1: (0.0, 5000.0)}), positive())
    assert verdicts["normalised"] == verdicts["samples follow the density"] == "holds"
    assert verdicts["save and load"] == "holds"


@pytest.mark.parametrize("name", ["gaussian", "kde", "histogram"])
@pytest.mark.parametrize("bounds", ["log", (None, 40.0), Affine(1.0, -2.0)], ids=str)
def test_one_column_keeps_the_laws(name: str, bounds: object) -> None:
    verdicts = check_model(lambda: Transformed(MODELS[name](), bounds), positive()[:, :1])
    assert verdicts["cdf and quantile"] == verdicts["highest-density region"] == "holds"


@pytest.mark.parametrize("name", ["gaussian", "kde", "histogram", "stack"])
def test_probabilities_keep_the_laws_of_conduct(name: str) -> None:
    verdicts = check_model(lambda: Transformed(MODELS[name](), (0, None), discrete=True), np.rint(positive()))
    assert verdicts["entropy"] == verdicts["save and load"] == verdicts["batches agree"] == "holds"


# ---------------------------------------------------------------- maps


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-50, 50),
    st.floats(0.1, 100),
    st.floats(-6, 6),
    st.sampled_from(["log", "below", "logit", "affine"]),
)
def test_maps_go_back_and_their_slope_is_the_difference_quotient(low, span, z, kind) -> None:
    b = {
        "log": Log(low), "below": LogBelow(low), "logit": Logit(low, low + span), "affine": Affine(low, -span)
    }[kind]  # fmt: skip
    x = b.inverse(np.array([z]))
    assert b.inside(x).all()
    gap = x[0] - b.domain[0] if np.isfinite(b.domain[0]) else b.domain[1] - x[0] if kind == "below" else span
    lost = 1e-14 * (abs(low) + span) / min(abs(gap), span)  # of x itself, near a bound that is not zero
    np.testing.assert_allclose(b.forward(x), z, rtol=1e-9, atol=1e-9 + 10 * lost)
    step = 1e-4 * min(abs(gap), abs((b.domain[1] - x[0]) if kind == "logit" else gap))
    slope = (b.forward(x + step) - b.forward(x - step)) / (2 * step)
    np.testing.assert_allclose(np.exp(b.log_derivative(x)), np.abs(slope), rtol=1e-6 + 1e5 * lost)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.sampled_from(["gaussian", "kde", "histogram"]))
def test_bounds_and_rows_in_other_units_give_the_same_density(factor, name) -> None:
    x = positive()[:, :1]
    here = Transformed(MODELS[name](), (0.0, 100.0)).fit(x)
    there = Transformed(MODELS[name](), (0.0, 100.0 * factor)).fit(factor * x)
    moved = there.log_density(factor * x) + np.log(factor)
    np.testing.assert_allclose(moved, here.log_density(x), atol=1e-6)


def test_a_logit_keeps_its_digits_at_both_ends() -> None:
    b = Logit(0.0, 1.0)
    np.testing.assert_allclose(b.forward(np.array([1e-300])), np.log(1e-300))
    assert b.inverse(np.array([60.0]))[0] == 1.0  # no float64 lies closer,
    assert b.inverse_inside(np.array([60.0]))[0] < 1.0  # so a draw is the one below
    assert Log(0.0).inverse_inside(np.array([-800.0, 800.0])).tolist() == [5e-324, np.finfo(float).max]


# ---------------------------------------------------------------- bounds and the recorded precision


def test_the_issues_own_sentence() -> None:
    frame = people()
    model = Transformed(GaussianMixture(2), SPEC).fit(frame)
    drawn = model.sample(20_000, random_state=0)
    assert list(drawn.columns) == ["income", "age", "share"]
    assert [str(t) for t in drawn.dtypes] == ["float64", "int64", "float64"]
    assert (drawn.income > 0).all()
    assert (drawn.age >= 0).all()
    assert drawn.share.between(0, 1).all()
    assert (drawn.income.round(2) == drawn.income).all()
    assert (drawn.share.round(2) == drawn.share).all()
    assert (drawn.age == 0).any()
    assert (drawn.share == 0).any()
    assert (drawn.share == 1).any()
    assert np.isfinite(model.log_density(drawn)).all()
    assert np.isfinite(model.log_density(frame)).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3), st.integers(-20, 20), st.integers(1, 40), st.booleans(), st.integers(0, 2**31))
def test_rounded_draws_stay_inside(decimals, low, span, strict, seed) -> None:
    step = 10.0**-decimals
    a, b = low * step, (low + span) * step
    rng = np.random.default_rng(seed)
    inside = np.arange(low + strict, low + span + 1 - strict)
    if len(inside) < 2:
        return
    x = rng.choice(inside, 60) / 10.0**decimals
    x[:2] = inside[[0, -1]] / 10.0**decimals
    if len(np.unique(x)) < 2:
        return
    model = Transformed(Gaussian(), Logit(a, b) if strict else (a, b)).fit(x)
    drawn = np.asarray(model.sample(500, random_state=seed), dtype=float)
    if strict:
        assert a < drawn.min()
        assert drawn.max() < b
    else:
        assert a <= drawn.min()
        assert drawn.max() <= b
    if model.params_.columns.decimals[0] is not None:
        assert np.isfinite(model.log_density(drawn)).all()


def test_a_draw_does_not_round_onto_an_open_end() -> None:
    x = np.round(np.exp(np.random.default_rng(0).normal(-3.0, 1.0, 400)), 2)
    model = Transformed(Gaussian(), "log").fit(x[x > 0])
    exact = model.sample(5_000, random_state=0, exact=True)
    assert (np.round(exact, 2) == 0).any()  # rounded as they are, some would be zero
    assert model.sample(5_000, random_state=0).min() == 0.01


def test_single_precision_does_not_round_onto_an_end() -> None:
    x = np.random.default_rng(0).beta(8.0, 0.3, 300).astype(np.float32)
    x = x[x < 1]
    drawn = Transformed(Gaussian(), (0.0, 1.0)).fit(x).sample(20_000, random_state=0)
    assert drawn.dtype == np.float32
    assert 0 < drawn.min()
    assert drawn.max() < 1


def test_a_recorded_zero_stands_for_what_is_rounded_to_it() -> None:
    count = np.repeat([0, 1, 2, 3, 6], [20, 30, 20, 10, 3])
    model = Transformed(Gaussian(), (0, None)).fit(count)
    log = np.log(count + 0.5)
    theirs = stats.lognorm(log.std(), loc=-0.5, scale=np.exp(log.mean()))
    np.testing.assert_allclose(model.log_density([0, 1, 4]), theirs.logpdf([0, 1, 4]), rtol=1e-12)
    assert model.quantile(0.0) == -0.5
    assert model.sample(1000, random_state=0).min() == 0


def test_rows_outside_are_counted_and_named() -> None:
    frame = people()
    zeros = int((frame.age == 0).sum())
    with pytest.raises(
        DataError, match=rf"{zeros} of 300 rows.*age = 0 \(row 0\), 0 \(row 1\).*> 0\. .*Bounds"
    ):
        Transformed(Gaussian(), {"age": "log"}).fit(frame)
    frame.loc[[7, 9], "age"] = [-2, -4]
    frame.loc[9, "share"] = 1.5
    with pytest.raises(
        DataError,
        match=r"2 of 300 rows.*age = -2 \(row 7\), -4 \(row 9\), expected >= 0; share = 1.5 \(row 9\)",
    ):
        Transformed(Gaussian(), SPEC).fit(frame)
    frame.loc[3, "income"] = np.nan  # a row that is left out keeps its number
    with pytest.raises(DataError, match=r"2 of 299 rows.*\(row 7\), -4 \(row 9\)"):
        Transformed(Gaussian(), SPEC, missing="drop").fit(frame)
    parts = [frame.drop(index=3).iloc[i : i + 50] for i in range(0, 299, 50)]
    with pytest.raises(DataError, match=r"2 of 299 rows"):
        Transformed(Gaussian(), SPEC).fit(Blocks(parts))
    rain = np.r_[np.zeros(8), np.random.default_rng(0).exponential(size=30)]
    with pytest.raises(DataError, match=r"8 of 38 rows.* and 3 more, expected > 0.*model their share apart"):
        Transformed(Gaussian(), (0, None)).fit(rain)


def test_columns_that_do_not_exist_or_are_lacking_are_named() -> None:
    frame = people()
    with pytest.raises(ParameterError, match=r"no column .incom..*Did you mean 'income'"):
        Transformed(Gaussian(), {"incom": "log"}).fit(frame)
    model = Transformed(Gaussian(), SPEC).fit(frame)
    with pytest.raises(DataError, match="no column 'income'"):
        model.log_density(frame[["age", "share"]])
    with pytest.raises(ParameterError, match="needs a model"):
        Transformed().fit(frame)
    with pytest.raises(ParameterError, match="said once"):
        Transformed(GaussianMixture(2, missing="marginal"), SPEC).fit(frame)


def test_blocks_and_rows_agree() -> None:
    frame = people()
    whole = Transformed(Gaussian(), SPEC).fit(frame)
    blocks = Transformed(Gaussian(), SPEC).fit(Blocks([frame.iloc[i : i + 77] for i in range(0, 300, 77)]))
    np.testing.assert_allclose(blocks.log_density(frame), whole.log_density(frame), rtol=1e-10)


def test_the_trace_and_the_criteria_are_in_the_units_of_the_rows() -> None:
    frame = people()
    model = Transformed(GaussianMixture([1, 2], covariance_type="full", n_init=2), SPEC).fit(frame)
    total = float(model.log_density(frame).sum())
    assert model.fit_.trace[-1] == pytest.approx(total, abs=1e-3)
    best = min(row["bic"] for row in model.fit_.search if row["bic"] is not None)
    assert best == pytest.approx(-2 * total + model.n_parameters_ * np.log(300), abs=1e-2)


def test_missing_entries_by_their_marginal() -> None:
    frame = people().astype({"age": float})
    frame.loc[3, "age"], frame.loc[5, "income"] = np.nan, np.nan
    for discrete in (False, ["age", "share"]):
        model = Transformed(GaussianMixture(2, n_init=1), SPEC, missing="marginal", discrete=discrete).fit(
            frame
        )
        log_p = model.log_density(frame)
        assert model.fit_.n_rows == 300
        assert np.isfinite(log_p).all()
        rest = model.marginal(["income", "share"]).log_density(frame.loc[[3], ["income", "share"]])
        assert log_p[3] == pytest.approx(rest[0], abs=1e-9)


# ---------------------------------------------------------------- probabilities of recorded values


def lattice(*sides: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, len(sides))


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_sum_to_one(name: str) -> None:
    rows = np.rint(positive() / [1.0, 10.0])
    every = lattice(np.arange(0.0, 60.0), np.arange(0.0, 80.0))
    model = Transformed(MODELS[name](), (0, None), discrete=True).fit(rows)
    assert model.measure == "mass"
    # A Laplace's edge is not smooth, which the rule's nodes see, and nearly say.
    p = model.density(every)
    said = float(p @ model.discrete_error(every))
    assert abs(p.sum() - 1.0) < (2e-3 if name == "a third party's" else 1e-6)
    assert abs(p.sum() - 1.0) <= 2.0 * said + 1e-6
    assert np.isneginf(model.log_density([[1.5, 3.0], [-1.0, 3.0]])).all()  # not recorded, and outside
    drawn = np.asarray(model.sample(4_000, random_state=0, exact=True))
    assert (drawn == np.rint(drawn)).all()
    assert drawn.min() >= 0
    top = every[np.argsort(-model.log_density(every))[:12]]
    share = (drawn[:, None, :] == top).all(axis=2).mean(axis=0)
    p = model.density(top)
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / 4_000)).all()


@pytest.mark.parametrize("name", [*MODELS])
def test_a_density_times_a_probability_adds_up_to_the_marginal(name: str) -> None:
    rows = positive()
    rows[:, 0] = np.rint(rows[:, 0])
    model = Transformed(MODELS[name](), (0, None), discrete=[0]).fit(rows)
    assert model.measure == "mass in 0"
    y = np.array([21.5, 30.25, 44.0])
    every = lattice(np.arange(0.0, 300.0), y)
    total = model.density(every).reshape(300, 3).sum(axis=0)
    if name == "a third party's":  # has no marginal of its own: by quadrature
        free = Transformed(laplace()(), (0, None)).fit(rows)
        known = [integrate.quad(lambda x, at=at: free.density([[x, at]])[0], -0.5, 80)[0] for at in y]
    else:
        known = model.marginal([1]).density(y[:, None])
    np.testing.assert_allclose(total, known, rtol=1e-3 if name == "a third party's" else 1e-5)


def test_one_columns_probabilities_are_differences_of_its_distribution_function() -> None:
    x = np.round(np.exp(np.random.default_rng(0).normal(0.0, 1.0, 200)), 1)
    model = Transformed(Gaussian(), "log", discrete=True).fit(x[x > 0])
    theirs = stats.lognorm(np.log(x[x > 0]).std(), scale=np.exp(np.log(x[x > 0]).mean()))
    at = np.array([0.2, 1.0, 3.3, 80.0])
    np.testing.assert_allclose(model.density(at), theirs.cdf(at + 0.05) - theirs.cdf(at - 0.05), rtol=2e-5)
    assert model.density([0.1])[0] == pytest.approx(
        theirs.cdf(0.15)
    )  # the first value takes all that is below
    np.testing.assert_allclose(model.cdf(at), theirs.cdf(at + 0.05), rtol=1e-9)
    assert np.isneginf(model.log_density([0.0, 0.15])).all()
    q = model.quantile([0.1, 0.5, 0.9])
    assert (model.cdf(q) >= [0.1, 0.5, 0.9]).all()
    assert (model.cdf(q - 0.1) < [0.1, 0.5, 0.9]).all()
    assert np.isfinite(model.log_density([1e7]))  # far out, in the tail's own logs


def test_probabilities_of_gaussians_agree_with_scipy_and_say_their_error() -> None:
    rng = np.random.default_rng(3)
    for d, tolerance in ((2, 1e-9), (3, 1e-7), (5, 1e-3)):
        mix = np.eye(d) + 0.4 * np.tri(d, k=-1)
        rows = np.rint(rng.normal(size=(300, d)) @ mix.T * 2.0)
        model = Transformed(Gaussian(), discrete=True).fit(rows)
        at = rows[:6]
        mean, covariance = rows.mean(axis=0), np.cov(rows.T, bias=True)
        theirs = stats.multivariate_normal(mean, covariance, maxpts=400_000, abseps=1e-9, releps=1e-7)
        expected = [theirs.cdf(x + 0.5, lower_limit=x - 0.5) for x in at]
        np.testing.assert_allclose(model.density(at), expected, rtol=max(tolerance, 1e-5))
        assert (model.discrete_error(at) < max(tolerance, 1e-9)).all()


def test_rounded_data_are_said_better_by_probabilities_than_by_densities() -> None:
    # Where the step is as wide as the spread, densities at the values are no probabilities.
    rng = np.random.default_rng(0)
    x = np.rint(np.exp(rng.normal(0.3, 0.6, 2_000)))
    mass = Transformed(Gaussian(), (0, None), discrete=True).fit(x)
    plain = Transformed(Gaussian(), (0, None)).fit(x)
    every = np.arange(0.0, 500.0)
    assert mass.density(every).sum() == pytest.approx(1.0, abs=1e-9)
    assert abs(plain.density(every).sum() - 1.0) > 1e-3
    entropy = mass.entropy(n=20_000)
    p = mass.density(every)
    p = p[p > 0]
    assert abs(entropy + (p * np.log(p)).sum()) < 5 * entropy.standard_error


def test_discrete_is_checked() -> None:
    frame = people()
    with pytest.raises(ParameterError, match="'x' has no recorded precision"):
        Transformed(Gaussian(), discrete=True).fit(pd.DataFrame({"x": positive()[:, 0]}))
    with pytest.raises(ParameterError, match="write discrete=True"):
        Transformed(Gaussian(), SPEC, discrete=["age", "share", "income"]).fit(frame)
    with pytest.raises(ParameterError, match="list of columns"):
        Transformed(Gaussian(), SPEC, discrete="age").fit(frame)
    model = Transformed(Gaussian(), SPEC, discrete=["age"]).fit(frame)
    with pytest.raises(UnsupportedError, match="'age' is discrete"):
        model.condition({"age": 3})
    given = model.condition({"income": 900.0})
    assert given.measure == "mass in 0"
    assert given.marginal(["age"]).measure == "mass"
    with pytest.raises(ParameterError, match="cannot be ranked together"):
        pofx.compare([model, Gaussian()], frame)


# ---------------------------------------------------------------- moments, entropy, parts


@pytest.mark.parametrize(
    "model", [Gaussian(), GaussianMixture(2, n_init=1), KDE("silverman"), KDE("plug_in")], ids=repr
)
def test_moments_are_those_of_many_draws(model: object) -> None:
    p = Transformed(model, {**SPEC, "income": (None, 40_000.0)}).fit(people()[people().income < 39_000])
    drawn = p.sample(200_000, random_state=0, exact=True).to_numpy()
    sd = np.sqrt(np.diag(p.covariance()))
    assert (np.abs(drawn.mean(axis=0) - p.mean()) < 6 * sd / np.sqrt(200_000)).all()
    correlation = p.covariance() / np.outer(sd, sd)
    np.testing.assert_allclose(correlation, np.corrcoef(drawn.T), atol=0.03)
    np.testing.assert_allclose(sd, drawn.std(axis=0), rtol=0.06)


def test_moments_and_entropy_of_the_lognormal_are_closed_forms() -> None:
    x = positive()
    p = Transformed(Gaussian(), {0: "log", 1: Identity()}).fit(x)
    z = np.c_[np.log(x[:, 0]), x[:, 1]]
    mu, s = z.mean(axis=0), np.cov(z.T, bias=True)
    m = np.exp(mu[0] + s[0, 0] / 2)
    np.testing.assert_allclose(p.mean(), [m, mu[1]], rtol=1e-12)
    expected = [[m * m * np.expm1(s[0, 0]), m * s[0, 1]], [m * s[0, 1], s[1, 1]]]
    np.testing.assert_allclose(p.covariance(), expected, rtol=1e-10)
    entropy = p.entropy()
    assert entropy.standard_error == 0.0
    assert entropy == pytest.approx(np.linalg.slogdet(2 * np.pi * np.e * s)[1] / 2 + mu[0], rel=1e-12)


def test_the_logit_normal_by_quadrature() -> None:
    x = 1 / (1 + np.exp(-np.random.default_rng(0).normal(0.5, 1.5, 300)))
    p = Transformed(Gaussian(), (0.0, 1.0)).fit(x)
    first, second = (integrate.quad(lambda t, k=k: t**k * p.density([t])[0], 0, 1)[0] for k in (1, 2))
    assert p.mean()[0] == pytest.approx(first, rel=1e-7)
    assert p.covariance()[0, 0] == pytest.approx(second - first**2, rel=1e-5)
    h = integrate.quad(lambda t: -p.density([t])[0] * max(p.log_density([t])[0], -700.0), 1e-12, 1 - 1e-12)[0]
    assert p.entropy() == pytest.approx(h, abs=1e-6)


def test_conditions_in_a_batch_and_alone() -> None:
    frame = people()
    model = Transformed(GaussianMixture(2, n_init=1), SPEC).fit(frame)
    batch = model.condition(frame[["age"]].head(4))
    rest = frame[["income", "share"]].head(4)
    ages = frame.age.tolist()
    alone = [model.condition({"age": ages[i]}).log_density(rest.iloc[[i]])[0] for i in range(4)]
    np.testing.assert_allclose(batch.log_density(rest), alone, rtol=1e-10)
    joint = model.log_density(frame.head(4)) - model.marginal(["age"]).log_density(frame[["age"]].head(4))
    np.testing.assert_allclose(batch.log_density(rest), joint, rtol=1e-9)
    drawn = model.condition({"age": 0}).sample(500, random_state=0)
    assert drawn.share.between(0, 1).all()
    assert (drawn.income > 0).all()


# ---------------------------------------------------------------- with everything else


def test_it_is_compared_checked_and_saved(tmp_path: Path) -> None:
    frame = people()
    models = {"plain": Gaussian(), "bounded": Transformed(Gaussian(), SPEC)}
    result = pofx.compare(models, frame)
    assert result.table[0].name == "bounded"
    few = frame.head(100)
    assert "fitted again" in str(pofx.check(models["bounded"].fit(few), few))
    model = Transformed(KDE("silverman"), SPEC, discrete=["age"]).fit(frame)
    model.save(tmp_path / "m.pofx")
    again = pofx.load(tmp_path / "m.pofx")
    assert again.log_density(frame).tobytes() == model.log_density(frame).tobytes()
    assert again.measure == "mass in 'age'"


def test_a_spiky_fit_seen_through_a_map_is_told_of_ties() -> None:
    x = np.round(np.exp(np.random.default_rng(0).normal(3.0, 0.5, 300)))
    models = {"spiky": Transformed(KDE(1e-3), "log"), "smooth": Transformed(Gaussian(), "log")}
    assert pofx.compare(models, x).table[0].name == "smooth"
