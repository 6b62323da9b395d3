"""Families of scipy.stats by maximum likelihood: laws, closed forms, SciPy's fits, where there is none."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import pofx
from pofx import store
from pofx.core.laws import check_model
from pofx.errors import DataError, DegenerateError, FileError, ParameterError, UnsupportedError
from pofx.models.parametric.families import FAMILIES, family_named


def drawn(name: str, *shapes: float, n: int = 150, loc: float = 3.0, scale: float = 5.0) -> np.ndarray:
    dist = getattr(stats, name)
    return np.asarray(dist.rvs(*shapes, loc=loc, scale=scale, size=n, random_state=np.random.default_rng(1)))


POSITIVE = [drawn("gamma", 2.0, loc=0.0), np.exp(np.random.default_rng(2).normal(size=(150, 2)))]
FREE = ["importance weights are relative"]


# not uniform: whole weights change nothing about it
@pytest.mark.parametrize("name", ["norm", "t", "laplace", "gumbel_r", "expon", "logistic"])
def test_laws(name: str) -> None:
    verdicts = check_model(
        lambda: pofx.Parametric(name), [drawn("t", 4.0), np.c_[drawn("t", 3.0), drawn("norm")]]
    )
    assert sum(v == "holds" for v in verdicts.values()) >= 18


@pytest.mark.parametrize("name", ["gamma", "lognorm", "weibull_min"])
def test_laws_where_the_location_is_known(name: str) -> None:
    # a location that is known does not follow the rows when they are moved
    verdicts = check_model(lambda: pofx.Parametric(name, floc=0), POSITIVE, skip=["affine"])
    assert sum(v == "holds" for v in verdicts.values()) >= 18


def test_a_known_location_follows_the_unit() -> None:
    x = POSITIVE[0]
    one, other = (pofx.Parametric("gamma", floc=0).fit(c * x) for c in (1.0, 3.7e20))
    np.testing.assert_allclose(other.log_density(3.7e20 * x) + np.log(3.7e20), one.log_density(x), atol=1e-9)
    assert other.parameters_["loc"] == [0.0]


# ---------------------------------------------------------------- closed forms


def test_textbook_formulas() -> None:
    x = drawn("gamma", 2.0, loc=0.0)
    got = {name: pofx.Parametric(name).fit(x).parameters_ for name in ("norm", "expon", "laplace", "uniform")}
    logs = np.log(x)
    assert got["norm"]["loc"][0] == pytest.approx(x.mean(), rel=1e-13)
    assert got["norm"]["scale"][0] == pytest.approx(x.std(), rel=1e-13)
    assert got["expon"]["loc"][0] == pytest.approx(x.min(), rel=1e-12)
    assert got["expon"]["scale"][0] == pytest.approx(x.mean() - x.min(), rel=1e-12)
    assert got["laplace"]["loc"][0] == pytest.approx(np.median(x), rel=1e-13)
    assert got["laplace"]["scale"][0] == pytest.approx(np.abs(x - np.median(x)).mean(), rel=1e-13)
    assert got["uniform"]["scale"][0] == pytest.approx(np.ptp(x), rel=1e-12)
    lognormal = pofx.Parametric("lognorm", floc=0).fit(x).parameters_
    assert lognormal["s"][0] == pytest.approx(logs.std(), rel=1e-13)
    assert lognormal["scale"][0] == pytest.approx(np.exp(logs.mean()), rel=1e-13)
    pareto = pofx.Parametric("pareto", floc=0).fit(x).parameters_
    assert pareto["b"][0] == pytest.approx(1.0 / (logs - logs.min()).mean(), rel=1e-13)
    inverse = pofx.Parametric("invgauss", floc=0).fit(x).parameters_  # mean μ, λ = 1 / mean(1/x − 1/μ)
    assert inverse["mu"][0] * inverse["scale"][0] == pytest.approx(x.mean(), rel=1e-13)
    assert inverse["scale"][0] == pytest.approx(1.0 / (1.0 / x - 1.0 / x.mean()).mean(), rel=1e-12)
    rayleigh = pofx.Parametric("rayleigh", floc=0).fit(x).parameters_
    assert rayleigh["scale"][0] == pytest.approx(np.sqrt((x * x).mean() / 2.0), rel=1e-13)


@pytest.mark.parametrize(
    "name", ["expon", "halfnorm", "laplace", "norm", "pareto", "uniform", "lognorm", "invgauss"]
)
def test_the_search_finds_what_the_formula_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = drawn("gamma", 2.0, loc=0.0)
    known: dict[str, Any] = {"floc": 0} if name in ("lognorm", "invgauss", "pareto") else {}
    formula = pofx.Parametric(name, **known).fit(x)
    assert formula.fit_.message == "Closed form."
    monkeypatch.setattr("pofx.models.parametric.search.closed_form", lambda *rest: None)
    searched = pofx.Parametric(name, **known).fit(x)
    assert searched.fit_.message != "Closed form."
    for key, value in formula.parameters_.items():
        # a median of an even number of rows is not unique, and has no curvature
        assert searched.parameters_[key] == pytest.approx(
            value, rel=1e-6 if name != "laplace" else 0.05, abs=1e-9
        )


def test_the_normal_family_is_the_gaussian() -> None:
    x = np.c_[drawn("t", 3.0), drawn("norm")]
    ours, gaussian = pofx.Parametric("norm").fit(x), pofx.Gaussian("diag").fit(x)
    np.testing.assert_allclose(ours.log_density(x), gaussian.log_density(x), atol=1e-11)
    assert ours.n_parameters_ == gaussian.n_parameters_ == 4
    assert gaussian.rank < ours.rank < pofx.GaussianMixture.rank


# ---------------------------------------------------------------- against SciPy

COMPARED: list[tuple[str, tuple[float, ...], dict[str, float]]] = [
    ("gamma", (2.0,), {}),
    ("gamma", (0.5,), {"floc": 3.0}),
    ("beta", (2.0, 3.0), {"floc": 3.0, "fscale": 5.0}),
    ("beta", (2.0, 3.0), {}),
    ("betaprime", (2.0, 4.0), {"floc": 3.0}),
    ("burr12", (2.0, 2.0), {}),
    ("dgamma", (2.0,), {}),
    ("exponnorm", (2.0,), {}),
    ("genextreme", (0.1,), {}),
    ("genpareto", (0.2,), {}),
    ("gumbel_r", (), {}),
    ("johnsonsu", (1.0, 2.0), {}),
    ("lognorm", (0.5,), {}),
    ("nct", (5.0, 0.5), {}),
    ("pareto", (2.0,), {}),
    ("skewnorm", (3.0,), {}),
    ("t", (3.0,), {}),
    ("weibull_min", (2.0,), {}),
    ("weibull_max", (2.0,), {}),
]


@pytest.mark.parametrize(("name", "shapes", "known"), COMPARED, ids=lambda v: str(v))
def test_never_less_likely_than_scipys_fit(
    name: str, shapes: tuple[float, ...], known: dict[str, float]
) -> None:
    x = drawn(name, *shapes)
    dist = getattr(stats, name)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dist.logpdf(x, *dist.fit(x, **known)).sum()
    ours = pofx.Parametric(dist, **known).fit(x)
    total = ours.log_density(x).sum()
    assert total >= theirs - 1e-6
    assert total == pytest.approx(
        ours.to_scipy().logpdf(x).sum(), abs=1e-6
    )  # SciPy's density at our parameters
    if ours.fit_.certificate is not None:
        assert ours.fit_.certificate.gradient["parameters"] < 1e-3


def test_the_maximum_is_one() -> None:
    """The score equations of the gamma family: log a − ψ(a) = log mean − mean log, scale = mean / a."""
    from scipy.special import digamma

    x = drawn("gamma", 2.0, loc=0.0)
    found = pofx.Parametric("gamma", floc=0).fit(x).parameters_
    a = found["a"][0]
    assert np.log(a) - digamma(a) == pytest.approx(np.log(x.mean()) - np.log(x).mean(), abs=1e-10)
    assert found["scale"][0] == pytest.approx(x.mean() / a, rel=1e-10)


def test_weights_are_repetitions_and_importance_is_relative() -> None:
    x, w = drawn("gamma", 2.0), np.random.default_rng(0).integers(0, 4, 150)
    weighted = pofx.Parametric("gamma", floc=0).fit(x, sample_weight=w)
    repeated = pofx.Parametric("gamma", floc=0).fit(np.repeat(x, w))
    np.testing.assert_allclose(weighted.log_density(x), repeated.log_density(x), atol=1e-9)
    assert weighted.fit_.effective_n == w.sum()


# ---------------------------------------------------------------- where there is no maximum


def test_an_unbounded_likelihood_is_said_to_be_one() -> None:
    x = drawn("gamma", 0.5)
    for name in ("gamma", "weibull_min"):
        with pytest.raises(DegenerateError, match=r"unbounded.*piles up on a single row.*floc="):
            pofx.Parametric(name).fit(x)
    assert pofx.Parametric("gamma", floc=3.0).fit(x).parameters_["a"][0] == pytest.approx(0.5, abs=0.1)


def test_a_regular_maximum_is_taken_where_the_likelihood_is_unbounded_elsewhere() -> None:
    """Hill (1963): as loc rises to the smallest row the log-normal's likelihood does without limit."""
    x = drawn("lognorm", 0.5, n=400)
    model = pofx.Parametric("lognorm").fit(x)
    loc = x.min() - 1e-300 ** np.linspace(0.1, 1.0, 4) * np.ptp(x)
    assert model.parameters_["loc"][0] < x.min() - 0.1
    assert model.parameters_["s"][0] == pytest.approx(0.5, abs=0.15)
    assert loc.max() <= x.min()


def test_a_family_that_becomes_its_limit_says_so() -> None:
    model = pofx.Parametric("t").fit(drawn("uniform", n=300))  # lighter tails than the normal's
    assert model.parameters_["df"][0] > 1e3
    assert any("limit" in note for note in model.fit_.notes)
    x = drawn("uniform", n=300)
    assert model.log_density(x).sum() == pytest.approx(
        pofx.Parametric("norm").fit(x).log_density(x).sum(), abs=0.02
    )


def test_bad_input_explains_itself() -> None:
    x = drawn("norm")
    with pytest.raises(ParameterError, match="Did you mean 'gamma'"):
        pofx.Parametric("gama").fit(x)
    with pytest.raises(ParameterError, match="continuous"):
        pofx.Parametric(stats.poisson).fit(x)
    with pytest.raises(ParameterError, match=r"from_params\('gamma'"):
        pofx.Parametric(stats.gamma(2.0)).fit(x)
    with pytest.raises(ParameterError, match=r"no shape 'b'; its shapes: a\."):
        pofx.Parametric("gamma", fshapes={"b": 1.0}).fit(x)
    with pytest.raises(ParameterError, match="fscale"):
        pofx.Parametric("gamma", fscale=-1.0).fit(x)
    with pytest.raises(DegenerateError, match="loc fixed"):
        pofx.Parametric("gamma", floc=0.0).fit(x - 10.0)
    with pytest.raises(DegenerateError, match="Constant column"):
        pofx.Parametric("gamma").fit(np.ones(20))
    with pytest.raises(ParameterError, match="gamma has a; got none"):
        pofx.Parametric.from_params("gamma")
    with pytest.raises(ParameterError, match="There is no gamma with a = -1"):
        pofx.Parametric.from_params("gamma", a=-1.0)
    cauchy = pofx.Parametric("cauchy").fit(x)
    with pytest.raises(UnsupportedError, match="mean"):
        cauchy.mean()
    both = pofx.Parametric("expon").fit(np.c_[np.abs(x), np.abs(x)[::-1]])
    with pytest.raises(DataError, match="outside the support"):
        both.condition({0: -5.0})


# ---------------------------------------------------------------- names and files


def test_every_family_has_a_density_where_scipy_does() -> None:
    for name in FAMILIES:
        if not hasattr(stats, name):  # a family of a later SciPy
            continue
        family = family_named(name)
        assert len(family.domains) == len(family.shapes)
        assert family_named(name) is family


def test_logs_that_scipy_takes_too_late_are_right() -> None:
    cases = {"laplace": (), "hypsecant": (), "moyal": (), "invweibull": (2.0,), "levy": (),
             "foldnorm": (1.0,),
             "johnsonsu": (0.5, 1.0), "johnsonsb": (0.5, 1.0), "rice": (1.0,), "norminvgauss": (2.0, 0.5),
             "levy_l": ()}  # fmt: skip
    from pofx.models.parametric.families import LOGS

    assert set(cases) == set(LOGS)
    for name, shapes in cases.items():
        dist = getattr(stats, name)
        t = np.asarray(dist.ppf([0.01, 0.3, 0.8, 0.99], *shapes))
        np.testing.assert_allclose(LOGS[name](t, *shapes), dist.logpdf(t, *shapes), rtol=1e-10, atol=1e-10)
    assert pofx.Parametric.from_params("laplace").log_density([2000.0])[0] == pytest.approx(
        -2000.0 - np.log(2.0)
    )


def test_the_family_may_come_as_object_or_name_and_is_kept_as_its_name() -> None:
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    x = drawn("gamma", 2.0)
    assert pofx.Parametric(stats.gamma).get_params()["family"] == "gamma"
    assert repr(clone(pofx.Parametric(stats.gamma, floc=0))) == "Parametric(family='gamma', floc=0)"
    grid = {"family": [stats.norm, stats.laplace]}
    search = GridSearchCV(pofx.Parametric(), grid, cv=3, error_score="raise").fit(x[:, None])
    assert search.best_estimator_.family in ("norm", "laplace")


def test_a_file_names_a_family_of_the_list_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "gamma.pofx"
    model = pofx.Parametric(stats.gamma, floc=0).fit(drawn("gamma", 2.0))
    model.save(path)
    again = pofx.load(path)
    assert isinstance(again, pofx.Parametric)
    assert again.parameters_["a"] == model.parameters_["a"]
    manifest, arrays = store.read(path)
    for hostile in ("os", "rv_histogram", "distributions", "__builtins__", "gamma.__class__"):
        manifest["model"]["hyperparameters"]["family"] = {"plain": hostile}
        store.write(path, manifest, arrays, overwrite=True)
        with pytest.raises(FileError, match="impossible model"):
            pofx.load(path)


def test_known_distributions() -> None:
    x = np.linspace(0.1, 9.0, 50)
    model = pofx.Parametric.from_params("gamma", a=2.0, scale=3.0)
    np.testing.assert_allclose(model.log_density(x), stats.gamma(2.0, scale=3.0).logpdf(x), atol=1e-12)
    frozen = pofx.Parametric.from_params(stats.gamma(2.0, scale=3.0))
    np.testing.assert_array_equal(frozen.log_density(x), model.log_density(x))
    assert frozen.mean()[0] == pytest.approx(6.0)
    assert frozen.cdf([6.0])[0] == pytest.approx(stats.gamma(2.0, scale=3.0).cdf(6.0))
    assert float(frozen.entropy()) == pytest.approx(stats.gamma(2.0, scale=3.0).entropy())
    two = pofx.Parametric.from_params("norm", loc=[0.0, 1.0], scale=2.0)
    assert two.log_density([[0.0, 1.0]])[0] == pytest.approx(-2.0 * np.log(2.0 * np.sqrt(2.0 * np.pi)))
    assert two.condition({0: 0.3}).mean() == [1.0]


# ---------------------------------------------------------------- among other models


def test_compare_over_a_list_with_a_family_that_fails() -> None:
    x = drawn("gamma", 2.0, n=200, loc=0.0)
    models = [pofx.Parametric(f, floc=0) for f in (stats.gamma, stats.lognorm, stats.expon)]
    result = pofx.compare([*models, pofx.Parametric("beta", floc=0, fscale=1.0)], x, folds=3)
    assert result.best_name == "Parametric(family='gamma', floc=0)"
    failed = next(entry for entry in result.table if "beta" in entry.name)
    assert "inside its support" in failed.held_out.failure


def test_check_tests_the_family_by_bootstrap() -> None:
    x = drawn("gamma", 2.0, n=200, loc=0.0)
    right, wrong = (pofx.Parametric(name, floc=0).fit(x) for name in ("gamma", "pareto"))
    good = pofx.check(right, x)
    assert "bootstrap" in str(good) or good.case == "family"
    assert good.verdict.word != "fails"
    assert pofx.check(wrong, x).verdict.word == "fails"
    again = right._refitted(x[:, None])
    assert again.parameters_["a"] == pytest.approx(right.parameters_["a"], rel=1e-9)
