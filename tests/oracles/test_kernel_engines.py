"""Every engine against the naive sum over all pairs and 50-digit arithmetic; the planner's promises."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pofx.maths.kernel_sums import Bumps, Edges, Own, log_sum, log_sum_and_mean, make_plan, plan
from pofx.maths.kernel_sums.moments import POLYNOMIALS, Moments
from pofx.maths.kernel_sums.naive import all_pairs
from pofx.maths.kernel_sums.nufft import Grid, Spectrum
from pofx.maths.kernel_sums.order import box_distances, leaves
from pofx.maths.kernel_sums.tiles import Tiles
from pofx.maths.kernels import KERNELS

GAUSSIAN = KERNELS["gaussian"]
RTOL = 1e-6


def naive(bumps: Bumps, queries: np.ndarray, own: Own | None = None) -> np.ndarray:
    return all_pairs(bumps, queries, own) + bumps.constant


def rows(kind: str, n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "cauchy":
        return rng.standard_cauchy((n, d))
    x = rng.standard_normal((n, d))
    if kind == "two scales":
        x[::2] *= 1e-6
    elif kind == "duplicates":
        x = np.round(x, 1)
    elif kind == "outlier":
        x[0] = 1e9
    elif kind == "offset":
        x += 1e6
    return x


HARD = {"cauchy": 0.05, "two scales": 1e-7, "duplicates": 0.1, "outlier": 0.1, "offset": 0.1, "normal": 0.1}


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = os.environ.get("POFX_NUM_THREADS")
    os.environ["POFX_NUM_THREADS"] = str(n)
    yield
    if before is None:
        del os.environ["POFX_NUM_THREADS"]
    else:
        os.environ["POFX_NUM_THREADS"] = before


# ---------------------------------------------------------------- against the naive sum


@pytest.mark.parametrize("engine", ["auto", "tiles", "nufft"])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("kind", list(HARD))
def test_rtol_holds_at_every_query(kind: str, d: int, engine: str) -> None:
    x = rows(kind, 3000, d)
    far = np.linspace(-40, 40, 21)[:, None] * np.ones(d)
    queries = np.concatenate([x[:150], rows(kind, 150, d, seed=1), far])
    bumps = Bumps(x, None, GAUSSIAN, np.full(d, HARD[kind]))
    got = log_sum(bumps, queries, rtol=RTOL, engine=engine)
    expected = naive(bumps, queries)
    # a log density of -1e17 has no digits below its own last place
    np.testing.assert_allclose(got, expected, rtol=1e-15, atol=RTOL)


@pytest.mark.parametrize("kind", ["cauchy", "two scales", "duplicates", "outlier"])
@pytest.mark.parametrize("d", [1, 2])
def test_rtol_holds_against_fifty_digits(kind: str, d: int) -> None:
    x = rows(kind, 400, d)
    h = HARD[kind]
    order = np.argsort(np.abs(x[:, 0]))
    queries = x[order[[0, 50, 200, 390, 396, 399]]] + 0.3 * h
    bumps = Bumps(x, None, GAUSSIAN, np.full(d, h))
    with mpmath.workdps(50):
        expected = []
        for q in queries:
            squares = [
                sum((mpmath.mpf(float(a)) - mpmath.mpf(float(b))) ** 2 for a, b in zip(q, y, strict=True))
                for y in x
            ]
            s = mpmath.fsum(mpmath.exp(-v / (2 * mpmath.mpf(h) ** 2)) for v in squares)
            expected.append(float(mpmath.log(s) - d * mpmath.log(h * mpmath.sqrt(2 * mpmath.pi))))
    for engine in ("naive", "tiles", "nufft"):
        got = log_sum(bumps, queries, rtol=RTOL, engine=engine)
        np.testing.assert_allclose(got, expected, rtol=1e-15, atol=RTOL if engine == "nufft" else 1e-9)


@pytest.mark.parametrize("d", [1, 2, 3, 5, 10, 30])
def test_rtol_of_zero_is_exact_to_rounding(d: int) -> None:
    x, queries = rows("normal", 2000, d), 1.5 * rows("normal", 200, d, seed=1)
    h = 2000 ** (-1 / (d + 4))
    bumps = Bumps(x, None, GAUSSIAN, np.full(d, h))
    got = log_sum(bumps, queries, rtol=0.0, engine="tiles")
    extent = np.linalg.norm(np.ptp(np.concatenate([x, queries]), axis=0)) / h
    tolerance = 1e-12 + 8 * np.finfo(float).eps * extent**2
    np.testing.assert_allclose(got, naive(bumps, queries), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", list(KERNELS))
@pytest.mark.parametrize("d", [1, 2, 6])
def test_pruned_tiles_of_every_kernel(name: str, d: int) -> None:
    x = rows("normal", 3000, d)
    queries = np.concatenate([x[:200], 3 * rows("normal", 100, d, seed=1)])
    log_w = np.random.default_rng(2).standard_normal(3000)
    factors = np.random.default_rng(3).uniform(0.3, 3.0, 3000)
    own = Own(np.arange(200), log_w[:200] - np.where(np.arange(200) % 2, np.inf, 1.0))
    for spread in (None, factors):
        bumps = Bumps(x, log_w, KERNELS[name], np.full(d, 0.2 if d < 6 else 0.8), spread)
        for q, o in ((queries, None), (x[:200], own)):
            expected = naive(bumps, q, o)
            reached = np.isfinite(expected)
            for engine in ("tiles", "moments"):
                got = log_sum(bumps, q, rtol=1e-9, engine=engine, own=o)
                np.testing.assert_array_equal(np.isneginf(got), np.isneginf(expected))
                np.testing.assert_allclose(got[reached], expected[reached], rtol=0, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    d=st.integers(1, 3),
    n=st.integers(1, 400),
    log_h=st.floats(-3.0, 1.5),
    clump=st.floats(-4.0, 1.0),
    weighted=st.booleans(),
    correlation=st.floats(-0.95, 0.95),
    seed=st.integers(0, 2**20),
)
def test_fourier_sums_keep_their_stated_error(
    d: int, n: int, log_h: float, clump: float, weighted: bool, correlation: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)) + 10**clump * rng.standard_normal((n, d))
    x[: n // 2] *= 10**clump
    h = 10**log_h
    matrix = h * h * (np.eye(d) + correlation * (np.ones((d, d)) - np.eye(d)) * (1 if d < 3 else 0.5))
    bumps = Bumps(x, rng.standard_normal(n) if weighted else None, GAUSSIAN, matrix)
    queries = np.concatenate([x[:30], rng.standard_normal((30, d)) * 3])
    weights = None if bumps.log_weights is None else np.exp(bumps.log_weights)
    origin = x[n // 2]
    z, y = bumps.whiten(queries - origin), bumps.whiten(x - origin)
    grid = Grid.spanning((y.min(0), y.max(0)), (z.min(0), z.max(0)))
    if grid.cells > 3e6:
        return
    spectrum = Spectrum(bumps, weights, grid, origin)
    got = spectrum.at(queries, spectrum.smoothed())
    gap = np.abs(got - np.exp(all_pairs(bumps, queries)))
    assert gap.max() <= grid.error * spectrum.total


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(list(POLYNOMIALS)),
    n=st.integers(1, 700),
    log_h=st.floats(-4.0, 1.5),
    decimals=st.integers(0, 6),
    weighted=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_moments_keep_their_stated_error(
    name: str, n: int, log_h: float, decimals: int, weighted: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = np.round(rng.standard_normal((n, 1)) * rng.choice([1e-3, 1.0, 30.0], (n, 1)), decimals)
    bumps = Bumps(x, rng.standard_normal(n) if weighted else None, KERNELS[name], np.array([10**log_h]))
    queries = np.concatenate([x[:40], rng.standard_normal((40, 1)) * 3])
    weights = None if bumps.log_weights is None else np.exp(bumps.log_weights)
    value, error = Moments(bumps, weights).sum(queries)
    gap = np.abs(value - np.exp(all_pairs(bumps, queries)))
    # a tophat's edge falls on either side of a point by the rounding of the difference alone
    assert (gap <= error + 1e-300).all() or (name == "tophat" and np.mean(gap > error) < 0.2)


def test_one_transform_serves_every_width() -> None:
    x = rows("normal", 3000, 2)
    bumps = Bumps(x, None, GAUSSIAN, np.array([0.05, 0.1]))
    origin = x[1500]
    z = bumps.whiten(x - origin)
    grid = Grid.spanning((z.min(0), z.max(0)), (z.min(0), z.max(0)), widest=10.0)
    spectrum = Spectrum(bumps, None, grid, origin)
    for factor in (1.0, 3.0, 10.0):
        wide = Bumps(x, None, GAUSSIAN, factor * bumps.bandwidth)
        gap = spectrum.at(x[:50], spectrum.smoothed(factor)) - np.exp(all_pairs(wide, x[:50]))
        assert np.abs(gap).max() <= grid.error * spectrum.total


def test_a_row_of_its_own_goes_to_the_exact_sum() -> None:
    x = np.sort(np.r_[np.random.default_rng(0).standard_normal(5000), 30.0, 31.0])[:, None]
    own = Own(np.arange(5002), np.full(5002, -np.inf))
    bumps = Bumps(x, None, GAUSSIAN, np.array([0.05]))
    expected = naive(bumps, x, own)
    assert expected[-1] < -190
    for engine in ("tiles", "nufft"):
        got = log_sum(bumps, x, rtol=RTOL, engine=engine, own=own)
        np.testing.assert_allclose(got, expected, rtol=0, atol=RTOL)


def test_the_mean_of_a_sum_is_the_softmax_of_its_points() -> None:
    x, queries = rows("normal", 1500, 2), 4 * rows("normal", 60, 2, seed=1)
    bumps = Bumps(x, np.random.default_rng(1).standard_normal(1500), GAUSSIAN, np.array([0.2, 0.4]))
    value, step = log_sum_and_mean(bumps, queries)
    u = (queries[:, None] - x) / [0.2, 0.4]
    terms = bumps.log_weights - 0.5 * (u**2).sum(axis=2)
    share = np.exp(terms - terms.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(step, share @ x - queries, rtol=0, atol=1e-6)
    np.testing.assert_allclose(value, naive(bumps, queries), rtol=0, atol=RTOL)


# ---------------------------------------------------------------- the planner


def test_the_planner_says_why() -> None:
    x = np.sort(rows("normal", 50_000, 1), axis=0)
    bumps = Bumps(x, None, GAUSSIAN, np.array([0.1]))
    many = make_plan(bumps, x, RTOL)
    assert many.engine == "nufft"
    assert "Fourier series of" in str(many)
    assert "Predicted:" in str(many)
    assert make_plan(bumps, x[:1], RTOL).engine == "naive"
    exact = make_plan(bumps, x, 0.0)
    assert exact.engine == "tiles"
    assert "rtol = 0" in exact.why
    assert make_plan(Bumps(x, None, KERNELS["tophat"], np.array([0.1])), x, RTOL).engine == "moments"
    assert "not cosine" in make_plan(Bumps(x, None, KERNELS["cosine"], np.array([0.1])), x, RTOL).why
    assert "5 columns" in make_plan(Bumps(rows("normal", 9000, 5), None, GAUSSIAN, np.full(5, 0.3)),
                                    rows("normal", 9000, 5), RTOL).why  # fmt: skip


@pytest.mark.parametrize("kind", ["outlier", "cauchy"])
def test_the_planner_leaves_a_grid_that_would_not_fit(kind: str) -> None:
    x = np.sort(rows(kind, 200_000, 1), axis=0)
    bumps = Bumps(x, None, GAUSSIAN, np.array([0.02]))
    found = make_plan(bumps, x, RTOL, memory=64e6)
    assert "one Fourier series would need" in found.why
    assert len(found.windows) > 1
    assert found.bytes <= 64e6
    probe = np.random.default_rng(0).integers(0, len(x), 40)
    probe[:4] = [0, 1, -2, -1]
    got = log_sum(bumps, x, rtol=RTOL, memory=64e6, plan=found)
    np.testing.assert_allclose(got[probe], naive(bumps, x[probe]), rtol=4e-16, atol=RTOL)


def test_a_small_budget_changes_memory_not_the_answer() -> None:
    x = rows("normal", 40_000, 2)
    queries = rows("normal", 300, 2, seed=1)
    log_w = np.random.default_rng(0).standard_normal(40_000)
    own = Own(np.arange(300) * 100, np.full(300, -np.inf))
    bumps = Bumps(x, log_w, GAUSSIAN, np.array([0.2, 0.3]))
    for q, o in ((queries, None), (x[own.index], own)):
        whole = log_sum(bumps, q, rtol=RTOL, engine="tiles", own=o)
        parts = log_sum(bumps, q, rtol=RTOL, engine="tiles", own=o, memory=1e6)
        np.testing.assert_allclose(parts, whole, rtol=0, atol=RTOL)


def test_single_precision_only_where_it_is_good_enough() -> None:
    x, queries = rows("normal", 4000, 5), rows("normal", 300, 5, seed=1)
    bumps = Bumps(x, None, GAUSSIAN, np.full(5, 0.5))
    expected = naive(bumps, queries)
    got = Tiles(bumps, dtype=np.float32).log_sum(queries, 1e-3) + bumps.constant
    assert 1e-9 < np.abs(got - expected).max() < 1e-3
    np.testing.assert_allclose(log_sum(bumps, queries, rtol=1e-2), expected, rtol=0, atol=1e-2)
    assert np.abs(log_sum(bumps, queries, rtol=1e-6) - expected).max() < 1e-6


@pytest.mark.parametrize("engine", ["tiles", "nufft"])
def test_threads_do_not_change_a_bit(engine: str) -> None:
    x = rows("normal", 300_000 if engine == "nufft" else 5000, 1)
    bumps = Bumps(np.sort(x, axis=0), None, GAUSSIAN, np.array([0.1]))
    answers = []
    for n in (1, 2, 4):
        with threads(n):
            answers.append(log_sum(bumps, x, rtol=RTOL, engine=engine).tobytes())
    assert len(set(answers)) == 1


def test_predicted_memory_is_held() -> None:
    import tracemalloc

    x = rows("normal", 200_000, 2)
    bumps = Bumps(x, None, GAUSSIAN, np.array([0.1, 0.1]))
    found = make_plan(bumps, x, RTOL)
    tracemalloc.start()
    log_sum(bumps, x, rtol=RTOL, plan=found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # NumPy's part; the transforms' own grids are not traced. Answer and leftovers come on top.
    assert peak < found.bytes + 8 * 8 * len(x)
    assert plan.MEMORY == 512e6


# ---------------------------------------------------------------- order and edges


@pytest.mark.parametrize("d", [1, 2, 3])
def test_leaves_hold_every_row_once_and_bound_it(d: int) -> None:
    z = rows("cauchy", 3001, d)
    found = leaves(z, 100, reach=2.0, least=4)
    assert sorted(found.order) == list(range(3001))
    for k in range(len(found)):
        inside = z[found.order[found.edges[k] : found.edges[k + 1]]]
        assert (inside >= found.low[k]).all()
        assert (inside <= found.high[k]).all()
        assert 1 <= len(inside) <= 100
    distance = box_distances(z[0], z[0], found)
    gap = np.maximum(np.maximum(found.low - z[0], z[0] - found.high), 0.0)
    np.testing.assert_allclose(distance, (gap**2).sum(axis=1), rtol=1e-9, atol=1e-9)


def test_images_of_an_edge_fold_onto_the_same_place() -> None:
    edges = Edges(np.array([2.0, -np.inf, 0.0]), np.array([5.0, 1.0, 24.0]), np.array([False, False, True]))
    x = np.array([[2.5, -3.0, 7.0]])
    for shell in range(6):
        for j in range(3):
            for sign, shift in edges.images(j, shell):
                moved = x.copy()
                moved[0, j] = sign * x[0, j] + shift
                np.testing.assert_allclose(edges.fold(moved), x, atol=1e-12)
    assert edges.outside(np.array([[1.0, 0.0, 99.0], [3.0, 2.0, 0.0], [3.0, 0.0, 99.0]])).tolist() == [
        True, True, False,
    ]  # fmt: skip
