"""The histogram: its laws, its exact parts, what it refuses, and what it says."""

from __future__ import annotations

import doctest
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pofx.core.fold import Blocks
from pofx.core.laws import check_model
from pofx.errors import (
    DataError,
    DegenerateError,
    MemoryLimitError,
    ParameterError,
    PofxWarning,
    UnsupportedError,
    WeightError,
)
from pofx.models.histogram import Histogram
from pofx.models.histogram import model as module

RNG = np.random.default_rng(20)
NORMAL = RNG.normal(size=(200, 2)) @ np.array([[1.0, 0.5], [0.0, 2.0]]) + [3.0, -7.0]
WORLDS = {
    "heavy tails": RNG.standard_t(3, size=(300, 1)),
    "rounded": np.round(RNG.normal(size=(200, 2)), 1),
    "counts": RNG.poisson(2.3, size=(150, 1)).astype(float),
    "skewed": RNG.exponential(size=(250, 2)),
    "bounded": RNG.uniform(size=(120, 1)),
}


@pytest.mark.parametrize("rule", ["fd", "doane", "knuth", 7])
def test_laws_of_every_rule(rule: str | int) -> None:
    check_model(lambda: Histogram(rule))


@pytest.mark.parametrize(
    ("world", "smoothing"), [*((w, "auto") for w in WORLDS), ("rounded", 0), ("skewed", 0.3), ("bounded", 0)]
)
def test_laws_on_worlds(world: str, smoothing: Any) -> None:
    check_model(lambda: Histogram(smoothing=smoothing), WORLDS[world])


@pytest.mark.parametrize("world", ["heavy tails", "counts"])
def test_laws_of_bayesian_blocks(world: str) -> None:
    check_model(lambda: Histogram("blocks"), WORLDS[world])


def test_docstring_examples() -> None:
    assert doctest.testmod(module).failed == 0


# ---------------------------------------------------------------- against NumPy


def test_pure_form_is_numpys_density() -> None:
    edges = [np.linspace(-2, 9, 14), np.linspace(-15, 2, 9)]
    model = Histogram(edges, smoothing=0).fit(NORMAL)
    density, *_ = np.histogramdd(NORMAL, edges, density=True)
    middles = np.stack(np.meshgrid(*[(e[1:] + e[:-1]) / 2 for e in edges], indexing="ij"), -1).reshape(-1, 2)
    np.testing.assert_allclose(model.density(middles), density.ravel(), rtol=1e-12)
    np.testing.assert_allclose(model.masses_, np.histogramdd(NORMAL, edges)[0] / 200, rtol=1e-12)
    for mine, theirs in zip(model.edges_, edges, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)


@pytest.mark.parametrize("rule", ["fd", "scott", "sturges", "doane"])
def test_one_column_width_is_numpys(rule: str) -> None:
    x = np.random.default_rng(1).gamma(2.0, size=300)
    model = Histogram(rule).fit(x)
    edges = np.histogram_bin_edges(x, rule)
    np.testing.assert_allclose(np.diff(model.edges_[0]), np.diff(edges)[0], rtol=1e-6)
    assert model.n_bins_[0] == len(edges) - 1 + 2  # one more on each side


def test_given_smoothing_is_a_pseudo_count_per_cell() -> None:
    edges = np.arange(0.0, 11.0)
    x = np.array([0.5, 0.6, 3.5, 9.9])
    model = Histogram(edges, smoothing=0.5).fit(x)
    counts = np.histogram(x, edges)[0]
    np.testing.assert_allclose(model.masses_, (counts + 0.5) / (4 + 5), rtol=1e-13)
    assert model.pseudo_count_ == pytest.approx(0.5)
    assert model.uniform_share_ == pytest.approx(5 / 9)
    uneven = Histogram([0.0, 1.0, 10.0], smoothing=0.5).fit(x)  # in proportion to the volumes
    np.testing.assert_allclose(uneven.masses_, [(2 + 0.1) / 5, (2 + 0.9) / 5], rtol=1e-13)


# ---------------------------------------------------------------- parts and moments, exactly


@pytest.fixture(scope="module")
def smooth() -> Histogram:
    return Histogram([[-2, 0, 1, 2.5, 4, 10], [-15, -9, -8, -7, -2, 5]], smoothing=0.2).fit(NORMAL)


def test_moments_and_entropy_are_those_of_the_grid(smooth: Histogram) -> None:
    p = smooth.masses_
    middles = [(e[1:] + e[:-1]) / 2 for e in smooth.edges_]
    widths = [np.diff(e) for e in smooth.edges_]
    mean = np.array([p.sum(1) @ middles[0], p.sum(0) @ middles[1]])
    squares = [m**2 + w**2 / 12 for m, w in zip(middles, widths, strict=True)]
    second = [p.sum(1) @ squares[0], p.sum(0) @ squares[1]]
    cross = middles[0] @ p @ middles[1] - mean[0] * mean[1]
    np.testing.assert_allclose(smooth.mean(), mean, rtol=1e-12)
    np.testing.assert_allclose(np.diag(smooth.covariance()), np.array(second) - mean**2, rtol=1e-11)
    assert smooth.covariance()[0, 1] == pytest.approx(cross, rel=1e-11)
    assert smooth.entropy() == pytest.approx(-(p * np.log(p / np.outer(*widths))).sum(), rel=1e-12)
    assert smooth.entropy().kind == "exact"


def test_marginals_and_conditionals_are_those_of_the_grid(smooth: Histogram) -> None:
    p = smooth.masses_
    np.testing.assert_allclose(smooth.marginal([1]).masses_, p.sum(0), rtol=1e-13)
    np.testing.assert_allclose(smooth.marginal([1, 0]).masses_, p.T, rtol=1e-13)
    np.testing.assert_allclose(smooth.condition({0: 1.7}).masses_, p[2] / p[2].sum(), rtol=1e-13)
    np.testing.assert_allclose(smooth.condition({0: 9.9}).masses_, p[4] / p[4].sum(), rtol=1e-13)
    assert isinstance(smooth.condition({1: -8.5}), Histogram)


def test_a_condition_without_mass_is_refused() -> None:
    x = np.array([[0.0, 0.0], [1.0, 1.0], [10.0, 5.0], [9.0, 2.0]])
    model = Histogram(11, smoothing=0).fit(x)
    with pytest.raises(DegenerateError, match="no mass"):
        model.condition({0: 5.0})
    with pytest.raises(DegenerateError, match="no mass"):
        Histogram().fit(NORMAL).condition({0: 1e6})
    empty = Histogram(11, smoothing=0.1).fit(x)
    bins = empty.condition({0: 5.0}).masses_
    np.testing.assert_allclose(bins, np.diff(empty.edges_[1]) / np.ptp(empty.edges_[1]), rtol=1e-12)


def test_one_column_functions_keep_their_tails() -> None:
    model = Histogram.from_params([0.0, 1.0, 2.0, 3.0], [1e-200, 1 - 2e-200, 1e-200])
    assert model.logcdf([0.5])[0] == pytest.approx(np.log(0.5e-200))
    assert model.logsf([2.5])[0] == pytest.approx(np.log(0.5e-200))
    assert model.quantile(0.5e-200) == pytest.approx(0.5)
    np.testing.assert_allclose(model.quantile([0.0, 1.0]), [0.0, 3.0])
    assert model.cdf([-1.0, 4.0]).tolist() == [0.0, 1.0]
    gap = Histogram.from_params([0.0, 1.0, 2.0, 3.0], [0.5, 0.0, 0.5])
    assert gap.density([1.5])[0] == 0
    assert gap.quantile(0.25) == pytest.approx(0.5)
    assert gap.quantile(0.75) == pytest.approx(2.5)
    x = gap.sample(2000, random_state=0)[:, 0]
    assert not ((x >= 1) & (x < 2)).any()


def test_from_params_in_several_forms() -> None:
    masses = np.array([[0.1, 0.2], [0.0, 0.7]])
    dense = Histogram.from_params([[0, 1, 2], [0, 3, 4]], masses, names=["a", "b"])
    sparse = Histogram.from_params([[0, 1, 2], [0, 3, 4]], [0.7, 0.2, 0.1], cells=[[1, 1], [0, 1], [0, 0]])
    np.testing.assert_allclose(dense.masses_, masses)
    np.testing.assert_allclose(sparse.masses_, masses)
    even = Histogram.from_params([0.0, 1.0, 4.0], [1.0, 0.0], uniform=0.2)
    np.testing.assert_allclose(even.masses_, [0.8 + 0.05, 0.15])
    assert dense.marginal(["b"]).feature_names_in_.tolist() == ["b"]
    assert even.n_parameters_ == 1


@pytest.mark.parametrize(
    ("edges", "masses", "options"),
    [
        ([0, 1, 2], [0.5, 0.6], {}),
        ([0, 1, 2], [-0.5, 1.5], {}),
        ([0, 1, 2], [1.0], {}),
        ([0, 1, 1], [0.5, 0.5], {}),
        ([2, 1, 0], [0.5, 0.5], {}),
        ([0, 1, np.inf], [0.5, 0.5], {}),
        ([0, 1, 2], [np.nan, 1.0], {}),
        ([0, 1, 2], [1.0], {"cells": [[2]]}),
        ([0, 1, 2], [0.5, 0.5], {"uniform": 1.0}),
        ([0, 1, 2], [0.5, 0.5], {"names": ["a", "b"]}),
    ],
)
def test_from_params_refuses(edges: Any, masses: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Histogram.from_params(edges, masses, **options)


# ---------------------------------------------------------------- smoothing


def test_default_has_no_empty_cell_inside_the_box() -> None:
    rng = np.random.default_rng(3)
    train, held_out = rng.normal(size=(150, 4)), rng.normal(size=(100, 4)) * 0.7
    pure, model = Histogram(smoothing=0).fit(train), Histogram().fit(train)
    assert np.isneginf(pure.log_density(held_out)).mean() > 0.2
    assert np.isfinite(model.log_density(held_out)).all()


def test_leave_one_out_is_near_the_best_pseudo_count() -> None:
    rng = np.random.default_rng(4)
    train, held_out = rng.normal(size=(400, 3)), rng.normal(size=(4000, 3)) * 0.8
    chosen = Histogram().fit(train)
    others = [Histogram(smoothing=s).fit(train).score(held_out) for s in np.geomspace(1e-4, 10, 25)]
    assert chosen.score(held_out) > max(others) - 0.05
    assert "leave-one-out" in chosen.fit_.message


def test_integer_weights_are_repeated_rows_and_importance_is_relative() -> None:
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(120, 2)), rng.integers(1, 5, size=120)
    weighted, repeated = Histogram().fit(x, sample_weight=w), Histogram().fit(np.repeat(x, w, axis=0))
    np.testing.assert_allclose(weighted.log_density(x), repeated.log_density(x), rtol=0, atol=1e-12)
    for scale in (7.0, 1e-300, 1e300):
        one = Histogram(weight_kind="importance").fit(x, sample_weight=w)
        other = Histogram(weight_kind="importance").fit(x, sample_weight=w * scale)
        np.testing.assert_allclose(one.log_density(x), other.log_density(x), rtol=0, atol=1e-12)
    equal = Histogram(weight_kind="importance").fit(x, sample_weight=np.full(120, 0.3))
    np.testing.assert_allclose(equal.log_density(x), Histogram().fit(x).log_density(x), rtol=0, atol=1e-9)
    fractions = Histogram(weight_kind="frequency").fit(x, sample_weight=w / 3)
    assert np.isfinite(fractions.log_density(x)).all()
    with pytest.raises(WeightError):
        Histogram().fit(x, sample_weight=w / 3)


def test_blocks_of_rows_with_given_edges_need_no_rows_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from pofx.core.fold import Data

    edges = [np.linspace(-5, 12, 20), np.linspace(-20, 5, 20)]
    whole = Histogram(edges).fit(NORMAL)
    monkeypatch.setattr(Data, "all", None)
    blocked = Histogram(edges).fit(Blocks([NORMAL[:50], NORMAL[50:]]))
    np.testing.assert_array_equal(blocked.log_density(NORMAL), whole.log_density(NORMAL))


# ---------------------------------------------------------------- units


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("rule", ["fd", "sturges", "knuth", 9])
def test_units_and_mirror_images(world: str, rule: str | int) -> None:
    x = WORLDS[world]
    sd = x.std(axis=0)
    queries = np.vstack([x, x + 0.0113 * sd])
    for a, b in ((3.3e-150, 0.0), (0.7, 1e8), (-1.3, 1e3), (-2.0, -1e8), (1e150, 1.0)):
        y = a * x + a * b * sd
        back, at = (y - a * b * sd) / a, a * queries + a * b * sd
        moved = Histogram(rule).fit(y).log_density(at) + x.shape[1] * np.log(abs(a))
        plain = Histogram(rule).fit(back).log_density((at - a * b * sd) / a)
        np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-9)


def test_counts_get_edges_between_them_and_draws_are_counts() -> None:
    x = np.random.default_rng(6).poisson(3.0, size=300)
    model = Histogram().fit(x)
    np.testing.assert_allclose(model.edges_[0] % 1, 0.5, atol=1e-9)
    draws = model.sample(3000, random_state=0)
    assert draws.dtype == x.dtype
    observed = np.bincount(x, minlength=12)[:8] / 300
    np.testing.assert_allclose(np.bincount(draws[draws >= 0], minlength=12)[:8] / 3000, observed, atol=0.04)


# ---------------------------------------------------------------- refusals and warnings


@pytest.mark.parametrize(
    "options",
    [
        {"bins": "fdd"},
        {"bins": 0},
        {"bins": 2.5},
        {"bins": True},
        {"bins": None},
        {"bins": []},
        {"bins": {0: "blck"}},
        {"bins": {"nope": 3}},
        {"bins": {5: 3}},
        {"bins": [3, 4, 5]},
        {"bins": [0.0, 1.0]},
        {"bins": [3, [1.0, 1.0]]},
        {"bins": [3, ["a", "b"]]},
        {"bins": "blocks"},
        {"smoothing": -1},
        {"smoothing": "none"},
        {"smoothing": np.inf},
        {"smoothing": None},
        {"missing": "ignore"},
        {"weight_kind": "relative"},
    ],
)
def test_bad_parameters_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError) as caught:
        Histogram(**options).fit(NORMAL)
    assert next(iter(options)) in str(caught.value) or "column" in str(caught.value)


def test_bins_in_every_form() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(NORMAL, columns=["a", "b"])
    assert Histogram({"b": 4}, smoothing=0).fit(frame).n_bins_[1] == 4
    assert Histogram([3, "sturges"], smoothing=0).fit(NORMAL).n_bins_.tolist() == [3, 9]
    assert Histogram(np.array([3, 5]), smoothing=0).fit(NORMAL).n_bins_.tolist() == [3, 5]
    given = Histogram([5, np.linspace(-20, 5, 4)]).fit(NORMAL)
    assert given.n_bins_.tolist() == [7, 3]  # given edges are the box, automatic ones get a margin
    one = Histogram([0.0, 4.0, 10.0], smoothing=0).fit(np.abs(NORMAL[:, 0]))
    np.testing.assert_allclose(one.edges_[0], [0.0, 4.0, 10.0])
    assert Histogram([6], smoothing=0).fit(NORMAL[:, 0]).n_bins_[0] == 6
    assert "x" in repr(Histogram({"x": 3}))


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        (np.array([[1.0, 2.0]]), DataError, "data-driven scale"),
        (np.column_stack([NORMAL[:, 0], np.full(200, 4.0)]), DegenerateError, "'column 1'"),
        (np.ones((50, 2)), DegenerateError, "'column 0', 'column 1'"),
        (np.full((50, 1), 1e-300), DegenerateError, "constant|Constant"),
    ],
)
def test_rows_that_determine_no_bins(rows: np.ndarray, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Histogram().fit(rows)


def test_given_edges_accept_one_row_and_a_constant() -> None:
    one = Histogram([0.0, 1.0, 2.0], smoothing=0).fit([0.5])
    np.testing.assert_allclose(one.density([0.3, 1.5]), [1.0, 0.0])
    assert np.isfinite(Histogram([0.0, 1.0, 2.0]).fit([0.5]).log_density([1.5])).all()
    half = Histogram({1: [3.5, 4.5]}).fit(np.column_stack([NORMAL[:, 0], np.full(200, 4.0)]))
    assert np.isfinite(half.log_density([[3.0, 4.2]])).all()
    with pytest.raises(DataError, match="beyond the given edges"):
        Histogram([0.0, 1.0, 2.0]).fit([0.5, 2.5])


@pytest.mark.parametrize("d", [1, 2, 3])
def test_two_rows_are_enough(d: int) -> None:
    x = np.random.default_rng(7).normal(size=(2, d))
    for rule in ("fd", "scott", "sturges", "doane", "knuth", 3):
        assert np.isfinite(Histogram(rule).fit(x).log_density(x)).all()


def test_one_outlier_is_named_and_the_bulk_stays() -> None:
    x = NORMAL[:, :1]
    plain = Histogram().fit(x)
    with pytest.warns(PofxWarning, match=r"column 0.*outliers"):
        model = Histogram().fit(np.vstack([x, [[1e12]]]))
    moved = np.abs(model.log_density(x) - plain.log_density(x))
    assert np.median(moved) < 0.3
    assert any("outliers" in note for note in model.fit_.notes)
    assert len(model.edges_[0]) < 2000
    with pytest.warns(PofxWarning, match="one bin"):
        Histogram("doane").fit(np.vstack([x, [[1e12]]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Histogram().fit(np.random.default_rng(8).standard_t(2, size=2000))


def test_far_and_outside_rows() -> None:
    model = Histogram().fit(NORMAL)
    assert np.isneginf(model.log_density([[1e6, 0.0], [3.0, -1e300]])).all()
    assert model.log_density(np.empty((0, 2))).shape == (0,)


# ---------------------------------------------------------------- size


def test_the_number_of_cells_is_said_and_never_allocated() -> None:
    x = np.random.default_rng(9).normal(size=(150, 4))
    model = Histogram(18).fit(x)
    assert model.fit_.message.startswith("20 x 20 x 20 x 20 = 160,000 cells, 149 occupied")
    wide = Histogram(1000).fit(np.random.default_rng(9).normal(size=(50, 30)))
    assert "about 1e90 cells" in wide.fit_.message
    with pytest.raises(MemoryLimitError, match="cells"):
        wide.masses_
    with pytest.raises(UnsupportedError, match="dimensions"):
        Histogram().fit(np.random.default_rng(9).normal(size=(50, 33))).masses_


def test_five_hundred_columns() -> None:
    x = np.random.default_rng(10).normal(size=(60, 500))
    model = Histogram().fit(x)
    assert np.isfinite(model.log_density(x)).all()
    assert np.isfinite(model.log_density(np.zeros((1, 500)))).all()
    assert np.isfinite(model.entropy())
    last = model.condition(dict.fromkeys(range(499), 0.1))
    assert np.isfinite(last.log_density([[0.0]])).all()
    assert model.sample(3, random_state=0).shape == (3, 500)


@pytest.mark.parametrize(("n", "d", "limit"), [(20_000, 10, 3.0), (300_000, 2, 3.0)])
def test_speed(n: int, d: int, limit: float) -> None:
    x = np.random.default_rng(11).normal(size=(n, d))
    started = time.perf_counter()
    Histogram().fit(x).log_density(x)
    assert time.perf_counter() - started < limit  # a tenth of it here


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v | {"edges": v["edges"][::-1].copy()},
        lambda v: v | {"edges": v["edges"][:-1]},
        lambda v: v | {"edges": v["edges"] * np.nan},
        lambda v: v | {"n_bins": v["n_bins"] + 1},
        lambda v: v | {"n_bins": -v["n_bins"]},
        lambda v: v | {"n_bins": v["n_bins"].astype(float)},
        lambda v: v | {"cells": v["cells"] + 1000},
        lambda v: v | {"cells": v["cells"][::-1].copy()},
        lambda v: v | {"cells": v["cells"][:, :1]},
        lambda v: v | {"counts": -v["counts"]},
        lambda v: v | {"counts": v["counts"] * np.inf},
        lambda v: v | {"counts": v["counts"][:-1]},
        lambda v: v | {"log_extra": np.nan},
        lambda v: v | {"log_extra": np.inf},
        lambda v: v | {"cells": v["cells"][:0], "counts": v["counts"][:0], "log_extra": -np.inf},
    ],
)
def test_impossible_values_are_refused(spoil: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    model = Histogram().fit(NORMAL)
    with pytest.raises(ParameterError):
        model._check_values(spoil(dict(model.params_)), 2)
    model._check_values(dict(model.params_), 2)


def test_explicit_edges_survive_a_file(tmp_path: Any) -> None:
    import pofx

    model = Histogram([np.linspace(-5, 12, 20), "sturges"]).fit(NORMAL)
    model.save(tmp_path / "h.pofx")
    again = pofx.load(tmp_path / "h.pofx")
    np.testing.assert_array_equal(again.log_density(NORMAL), model.log_density(NORMAL))
    again.fit(NORMAL)
    np.testing.assert_array_equal(again.log_density(NORMAL), model.log_density(NORMAL))
