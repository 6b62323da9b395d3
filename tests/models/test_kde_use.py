"""What a KDE answers beyond the contract: against refits, differences, known truths and the eager way."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

import pofx
from pofx import KDE
from pofx.core.conditional import ConditionalBatch
from pofx.errors import DataError, ParameterError, PofxWarning, UnsupportedError

EDGES: list[dict[str, Any]] = [
    {"bounds": {0: (-3, None)}},
    {"bounds": {0: (None, 3.2)}, "kernel": "biweight"},
    {"bounds": {0: (-3, 3.2)}},
    {"period": {0: 6.5}},
]


@pytest.fixture(scope="module")
def line() -> np.ndarray:
    return np.clip(np.sort(np.random.default_rng(0).standard_normal(60)), -2.9, 3.1)


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.r_[rng.normal([0, 60], [1, 8], (90, 2)), rng.normal([5, 20], [1, 6], (60, 2))]


# ---------------------------------------------------------------- leave-one-out


@pytest.mark.parametrize("edges", [{}, *EDGES])
def test_leave_one_out_is_a_refit_without_the_row(line: np.ndarray, edges: dict[str, Any]) -> None:
    x = np.unique(line)
    got = KDE(0.5, **edges).fit(x).leave_one_out()
    expected = [KDE(0.5, **edges).fit(np.delete(x, i)).log_density([v])[0] for i, v in enumerate(x)]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def test_leave_one_out_takes_one_unit_or_all(line: np.ndarray) -> None:
    x, h = np.unique(line), 0.3
    rng = np.random.default_rng(2)
    for w, kind in ((rng.integers(1, 4, len(x)) * 1.0, None), (rng.random(len(x)) * 2, "frequency"),
                    (rng.random(len(x)), "importance")):  # fmt: skip
        left = w - (w if kind == "importance" else np.minimum(w, 1.0))
        expected = []
        for i in range(len(x)):
            rest = w.copy()
            rest[i] = left[i]
            terms = norm.logpdf(x[i], x, h)
            expected.append(logsumexp(terms[rest > 0], b=rest[rest > 0]) - np.log(rest.sum()))
        got = KDE(h, weight_kind=kind).fit(x, sample_weight=w).leave_one_out()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def test_leave_one_out_in_two_columns_and_units(plane: np.ndarray) -> None:
    for model in (KDE(adaptive=True), KDE("silverman", kernel="tophat")):
        model.fit(plane)
        got = model.leave_one_out()
        p, f = model.points_, model.factors_
        i = 7
        rest = np.arange(len(p)) != i
        other = KDE.from_params(p[rest], model.bandwidth_, kernel=model.kernel, factors=f[rest])
        assert got[i] == pytest.approx(other.log_density(p[[i]])[0], abs=1e-9)


def test_leave_one_out_where_nothing_is_left() -> None:
    assert np.isneginf(KDE(0.5).fit([1.0]).leave_one_out()).all()
    assert np.isneginf(KDE(0.1, kernel="tophat").fit([1.0, 2.0]).leave_one_out()).all()
    twice = KDE(0.5).fit([1.0, 1.0]).leave_one_out()
    np.testing.assert_allclose(twice, norm.logpdf(0, 0, 0.5))


def test_leave_one_out_of_many_rows() -> None:
    x = np.random.default_rng(3).standard_normal(200_000)
    model = KDE(0.05).fit(x)
    started = time.monotonic()
    got = model.leave_one_out()
    assert time.monotonic() - started < 10
    p = model.points_[:, 0]
    for i in (0, 100_000, 199_999):  # the tail and the bulk
        others = np.delete(p, i)
        assert got[i] == pytest.approx(logsumexp(norm.logpdf(p[i], others, 0.05)) - np.log(199_999), abs=2e-6)


# ---------------------------------------------------------------- gradient


def differences(model: KDE, x: np.ndarray, steps: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    for j, step in enumerate(steps):
        move = np.where(np.arange(x.shape[1]) == j, step, 0.0)
        out[:, j] = (model.log_density(x + move) - model.log_density(x - move)) / (2 * step)
    return out


@pytest.mark.parametrize(
    "options",
    [{}, {"bandwidth": [0.4, 5.0]}, {"adaptive": True}, {"bandwidth": [0.4, 5.0], "adaptive": 0.7},
     {"bounds": {0: (-3.5, None)}, "period": {1: 90}},
     {"bounds": {0: (-3.5, 9), 1: (0, 90)}, "adaptive": True}],
)  # fmt: skip
def test_gradient_is_the_slope(plane: np.ndarray, options: dict[str, Any]) -> None:
    model = KDE(rtol=0, **options).fit(plane)
    x = np.r_[plane[:15], [[3.0, 40.0], [8.9, 3.0]]]
    expected = differences(model, x, np.array([1e-4, 1e-3]))
    np.testing.assert_allclose(model.gradient(x), expected, rtol=1e-4, atol=1e-6)


def test_gradient_through_a_fourier_series() -> None:
    x = np.random.default_rng(4).standard_normal((30_000, 2)) @ [[1.0, 30.0], [0.0, 40.0]]
    model = KDE("scott").fit(x)
    at = np.r_[x[:1000], [[9.0, 300.0]]]
    exact = KDE.from_params(x, model.bandwidth_)
    exact.rtol = 0
    got, expected = model.gradient(at), exact.gradient(at)
    np.testing.assert_allclose(got * model.bandwidth_, expected * model.bandwidth_, rtol=1e-6, atol=1e-6)


def test_gradient_where_there_is_none(line: np.ndarray) -> None:
    model = KDE(0.5, bounds={0: (-3, None)}).fit(line)
    assert np.isnan(model.gradient([-4.0])).all()
    assert model.gradient([-3.0])[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert model.gradient(np.empty((0, 1))).shape == (0, 1)
    for action in (lambda m: m.gradient([0.0]), lambda m: m.modes()):
        with pytest.raises(UnsupportedError, match="kernel='gaussian'"):
            action(KDE(0.5, kernel="cosine").fit(line))


# ---------------------------------------------------------------- modes


def is_a_top(model: KDE, modes: Any) -> None:
    h = np.sqrt(np.diag(model.bandwidth_)) if model.bandwidth_.ndim == 2 else model.bandwidth_
    exact = KDE.from_params(model.points_, model.bandwidth_, weights=model.weights_, factors=model.factors_)
    exact.rtol = 0
    assert np.abs(exact.gradient(modes.points) * h).max() < 1e-6
    step = 1e-3 * h
    for point in modes.points:
        hessian = np.stack(
            [(exact.gradient([point + e]) - exact.gradient([point - e]))[0] * h / 2e-3 for e in np.diag(step)]
        )
        assert np.linalg.eigvalsh((hessian + hessian.T) / 2).max() < 0
    assert modes.shares.sum() == pytest.approx(1.0)
    assert (np.diff(modes.log_density) <= 0).all()
    np.testing.assert_allclose(modes.log_density, model.log_density(modes.points), atol=1e-6)


def test_modes_of_galaxies(root: Path) -> None:
    velocity = np.loadtxt(root / "examples" / "galaxies.csv", delimiter=",", skiprows=1)[:, -1]
    for h in (300.0, 1000.0, 2000.0):
        model = KDE(h).fit(velocity)
        modes = model.modes()
        is_a_top(model, modes)
        grid = model.density_grid(20_001).log_density
        tops = int(((grid[1:-1] > grid[:-2]) & (grid[1:-1] >= grid[2:])).sum())
        assert len(modes) == tops
    assert len(modes) == 3
    np.testing.assert_allclose(modes.shares, [72 / 82, 7 / 82, 3 / 82], atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"adaptive": True}, {"bandwidth": [0.7, 6.0]}])
def test_modes_of_two_bumps(plane: np.ndarray, options: dict[str, Any]) -> None:
    model = KDE(**options).fit(plane)
    modes = model.modes()
    is_a_top(model, modes)
    assert modes.n_starts == len(model.points_)
    assert modes.points[0] == pytest.approx([0, 60], abs=4)
    for centre, share in (([0, 60], 0.6), ([5, 20], 0.4)):
        near = np.abs((modes.points - centre) / [3, 20]).max(axis=1) < 1
        assert modes.shares[near].sum() == pytest.approx(share, abs=0.01)
    some = model.modes(n_starts=40)
    assert some.n_starts == 40
    assert np.abs(some.points[0] - modes.points[0]).max() < 1e-6


def test_modes_at_bounds_and_seams() -> None:
    rng = np.random.default_rng(5)
    model = KDE(0.3, bounds={0: (0, None)}).fit(rng.exponential(size=300))
    assert model.modes().points[0, 0] == 0.0
    hours = np.mod(np.r_[rng.normal(0, 1, 200), rng.normal(12, 2, 100)], 24)
    modes = KDE(1.0, period={0: 24}).fit(hours).modes()
    assert len(modes) == 2
    assert min(modes.points[0, 0], 24 - modes.points[0, 0]) < 0.5
    assert modes.shares[0] == pytest.approx(2 / 3, abs=0.02)
    both = np.c_[hours, np.abs(rng.standard_normal(300))]
    modes = KDE([1.5, 0.5], period={0: 24}, bounds={1: (0, None)}).fit(both).modes()
    assert len(modes) == 2
    assert np.abs(modes.points[:, 1]).max() < 1e-6
    assert len(KDE(60.0, period={0: 24}).fit(hours).modes()) == 1  # level to rounding


# ---------------------------------------------------------------- grid


def test_grid_agrees_with_the_density(line: np.ndarray, plane: np.ndarray) -> None:
    for model, rows in (
        (KDE(), line),
        (KDE(kernel="biweight"), line),
        (KDE(), plane),
        (KDE(adaptive=True), plane),
    ):
        grid = model.fit(rows).density_grid(17)
        mesh = np.stack([g.ravel() for g in np.meshgrid(*grid.axes, indexing="ij")], axis=1)
        np.testing.assert_allclose(grid.log_density.ravel(), model.log_density(mesh), rtol=1e-12, atol=1e-6)
        h = np.sqrt(np.diag(model.bandwidth_)) if model.bandwidth_.ndim == 2 else model.bandwidth_
        if not model.adaptive:
            low = [axis[0] for axis in grid.axes]
            np.testing.assert_allclose(low, np.reshape(rows, (len(rows), -1)).min(axis=0) - 4 * h)
    assert KDE().fit(line).density_grid().log_density.shape == (1024,)
    assert KDE().fit(plane).density_grid().density.shape == (256, 256)


def test_grid_limits(plane: np.ndarray) -> None:
    model = KDE(bounds={0: (-4, None)}, period={1: 100}).fit(plane)
    grid = model.density_grid((5, 6))
    assert grid.axes[0][0] == -4
    assert grid.axes[1][[0, -1]] == pytest.approx([0, 100])
    grid = model.density_grid(5, limits={1: (10, 50)})
    assert grid.axes[1] == pytest.approx([10, 20, 30, 40, 50])
    assert grid.log_density.shape == (5, 5)
    one = model.marginal([1]).density_grid(3, limits=(10, 50))
    assert one.axes[0] == pytest.approx([10, 30, 50])
    for bad in ((1, 2), {1: (5, 3)}, {1: 5}, [(0, 1)]):
        with pytest.raises(ParameterError, match="limits"):
            model.density_grid(limits=bad)
    with pytest.raises(ParameterError, match="size"):
        model.density_grid(1)
    with pytest.raises(UnsupportedError, match=r"marginal\(\[0, 1\]\)"):
        KDE().fit(np.random.default_rng(0).standard_normal((50, 4))).density_grid()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("size", "h"), [(1024, 0.05), (300, 0.01), (37, 0.3)])
def test_grid_of_many_rows_holds_rtol_everywhere(weighted: bool, size: int, h: float) -> None:
    rng = np.random.default_rng(6)
    x = np.r_[rng.standard_normal(39_990), 30.0 + rng.standard_normal(10)]  # with a gap, and few beyond
    w = rng.integers(1, 9, len(x)) if weighted else None
    model = KDE(h).fit(x, sample_weight=w)
    grid = model.density_grid(size)
    exact = KDE(h, rtol=0).fit(x, sample_weight=w).log_density(grid.axes[0])
    np.testing.assert_allclose(grid.log_density, exact, rtol=0, atol=1e-6)


# ---------------------------------------------------------------- bands

WEIGHTS, MEANS, SDS = np.array([0.6, 0.4]), np.array([-1.0, 1.5]), np.array([0.8, 0.6])


def truth(x: np.ndarray, h: float = 0.0) -> np.ndarray:
    return np.asarray(norm.pdf(x[:, None], MEANS, np.sqrt(SDS**2 + h**2)) @ WEIGHTS)


@pytest.mark.parametrize("target", ["smoothed", "density"])
def test_coverage(target: str) -> None:
    # 250 samples of 300 rows, 15 places. Each share has a binomial standard error of at most
    # sqrt(.95 × .05 / 250) = 0.014; four of them are allowed below, and conservative is allowed above.
    grid, seeds = np.linspace(-3, 3, 15), 250
    pointwise, at_once = np.empty((seeds, 15), dtype=bool), np.empty(seeds, dtype=bool)
    for seed in range(seeds):
        rng = np.random.default_rng([7, seed])
        k = (rng.random(300) < 0.4) * 1
        model = KDE().fit(rng.normal(MEANS[k], SDS[k]))
        p = truth(grid, model.bandwidth_[0] if target == "smoothed" else 0.0)
        for band, store in (
            (model.confidence_band(grid, simultaneous=False, target=target), pointwise),
            (model.confidence_band(grid, n_boot=200, target=target, random_state=seed), at_once),
        ):
            held = (band.lower <= p) & (p <= band.upper)
            store[seed] = held if store is pointwise else held.all()
    assert 0.95 - 4 * 0.014 < at_once.mean()
    assert (pointwise.mean(axis=0) > 0.95 - 4 * 0.014).all()
    assert 0.93 < pointwise.mean() < 0.975


def test_bands_say_what_they_cover(line: np.ndarray) -> None:
    model = KDE().fit(line)
    smoothed, density = (model.confidence_band([0.0, 1.0], target=t) for t in ("smoothed", "density"))
    assert "smoothing bias is not included" in smoothed.message
    assert "about the density itself" in density.message
    assert (density.upper - density.lower > smoothed.upper - smoothed.lower).all()
    np.testing.assert_allclose(smoothed.estimate, model.density([0.0, 1.0]))
    h = model.bandwidth_[0]
    second = np.array([model.density([v - 1e-3, v, v + 1e-3]) @ [1, -2, 1] for v in (0.0, 1.0)]) / 1e-6
    np.testing.assert_allclose(density.estimate, smoothed.estimate - h**2 / 2 * second, rtol=1e-3)
    same = model.confidence_band([0.0, 1.0])
    np.testing.assert_array_equal(same.upper, smoothed.upper)
    wide = model.confidence_band([0.0, 1.0], level=0.999)
    assert (wide.upper > same.upper).all()
    many = model.confidence_band(np.linspace(-2, 2, 120), n_boot=50)  # more places than draws
    few = model.confidence_band(np.linspace(-2, 2, 120), n_boot=4000)
    np.testing.assert_allclose(many.upper, few.upper, rtol=0.15)


@pytest.mark.parametrize(
    "options",
    [{"kernel": "tophat"}, {"adaptive": True}, {"bounds": {0: (-3, 3.2)}}, {"period": {0: 7}},
     {"weight_kind": "importance"}],
)  # fmt: skip
def test_bands_of_every_shape(line: np.ndarray, options: dict[str, Any]) -> None:
    w = np.full(len(line), 0.25) if "weight_kind" in options else None
    model = KDE(0.5, **options).fit(line, sample_weight=w)
    at = np.array([-2.5, 0.0, 3.0, 40.0])
    band = model.confidence_band(at)
    assert (band.lower >= 0).all()
    assert (band.lower <= band.estimate).all()
    assert (band.estimate < band.upper)[:3].all()
    np.testing.assert_allclose(band.estimate, model.density(at), rtol=1e-6)
    if "bounds" in options:
        assert band.upper[3] == 0.0  # outside: known
    elif "period" not in options:
        assert 0.0 < band.upper[3] < 0.5  # nobody there, and nothing more is known
    if "kernel" in options or "adaptive" in options:
        with pytest.raises(UnsupportedError, match="smoothed"):
            model.confidence_band(at, target="density")
    if "weight_kind" in options:
        plain = KDE(0.5).fit(line).confidence_band(at)
        np.testing.assert_allclose(band.upper[:3], plain.upper[:3], rtol=0.02)


# ---------------------------------------------------------------- batches


@pytest.fixture(scope="module")
def space() -> np.ndarray:
    x = np.random.default_rng(8).standard_normal((150, 3)) @ [[1, 0.5, 0], [0, 2, 0.3], [0, 0, 30.0]]
    x[:, 2] = np.abs(x[:, 2])
    return np.asarray(x)


@pytest.mark.parametrize(
    "options",
    [{}, {"bandwidth": [0.5, 0.8, 9.0]}, {"adaptive": True}, {"bandwidth": "silverman", "kernel": "biweight"},
     {"bandwidth": "silverman", "bounds": {0: (-6, 6), 2: (0, None)}},
     {"bandwidth": "silverman", "period": {2: 120}}],
)  # fmt: skip
@pytest.mark.parametrize("given", [[0, 2], [1], [2]])
def test_batches_are_the_models_one_by_one(
    space: np.ndarray, options: dict[str, Any], given: list[int]
) -> None:
    model = KDE(**options).fit(space)
    rest = [j for j in range(3) if j not in given]
    lazy = model.condition({j: space[:20, j] for j in given})
    eager = ConditionalBatch([model.condition({j: row[j] for j in given}) for row in space[:20]])
    y = space[:20][:, rest] + 0.1
    np.testing.assert_allclose(lazy.log_density(y), eager.log_density(y), rtol=0, atol=3e-6)
    np.testing.assert_allclose(lazy.mean(), eager.mean(), rtol=1e-9, atol=1e-9)
    assert len(lazy) == 20
    assert lazy[3].params_.points.tobytes() == eager[3].params_.points.tobytes()
    draws = lazy.sample(2000, random_state=0).reshape(20, 2000, -1)
    sds = np.stack([np.sqrt(np.diag(m.covariance())) for m in eager.models])
    assert (np.abs(draws.mean(axis=1) - eager.mean()) < 5 * sds / np.sqrt(2000)).all()
    assert (np.abs(draws.std(axis=1) / sds - 1) < 0.12).all()
    if len(rest) == 1:
        np.testing.assert_allclose(lazy.quantile([0.1, 0.9]), eager.quantile([0.1, 0.9]))
        assert lazy.sample(4).shape == (20, 4)


def test_batches_say_where_nothing_is(space: np.ndarray) -> None:
    model = KDE("silverman", kernel="tophat").fit(space)
    with pytest.raises(DataError, match=r"Row 1: .*column 0 = 50.*2 of 3 rows"):
        model.condition({0: [0.0, 50.0, 60.0]})
    with pytest.raises(DataError, match=r"Row 2: .*float64's range"):
        KDE().fit(space).condition({0: [0.0, 50.0, 1e300]})
    far = KDE().fit(space).condition({0: [1e4, 1e9, 0.0]})
    eager = ConditionalBatch(list(far.models))
    np.testing.assert_allclose(far.log_density(space[:3, 1:]), eager.log_density(space[:3, 1:]), atol=1e-6)
    with pytest.raises(DataError, match="Expected 3 rows"):
        far.log_density(space[:2, 1:])


def test_batches_do_not_copy_the_points() -> None:
    import tracemalloc

    x = np.random.default_rng(9).standard_normal((20_000, 2))
    model = KDE("scott").fit(x)
    model.log_density(x[:10])
    tracemalloc.start()
    batch = model.condition({0: x[:2000, 0]})
    batch.log_density(x[:2000, 1])
    batch.sample(3, random_state=0)
    batch.mean()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # a copy of the points for each row would be 2000 × 320 kB = 640 MB


# ---------------------------------------------------------------- files


def test_saving_says_each_time_that_the_file_holds_the_rows(line: np.ndarray, tmp_path: Path) -> None:
    model = KDE(0.5).fit(line)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.save(tmp_path / "m.pofx")
    assert [w.category for w in caught] == [PofxWarning] * 2
    assert f"holds the {len(np.unique(line))} training rows themselves" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert isinstance(pofx.load(tmp_path / "m.pofx"), KDE)


@pytest.mark.parametrize("strict", [[], ["--strict"]])
def test_the_command_line_says_it_once(line: np.ndarray, tmp_path: Path, strict: list[str]) -> None:
    np.save(tmp_path / "x.npy", np.c_[line, line**2])
    words = ["fit", "x.npy", "--model", "kde", "--bandwidth", "0.5", "-o", "k.pofx", *strict]
    done = subprocess.run(
        [sys.executable, "-m", "pofx", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("training rows themselves") == 1
    assert "training rows" not in done.stdout
