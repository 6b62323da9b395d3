"""Bin rules against NumPy, published formulas and exhaustive search; edges against what can be recorded."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from scipy.special import loggamma

from pofx.maths.bins import (
    Sample,
    blocks_edges,
    knuth_log_posterior,
    lattice_step,
    rule_width,
)
from pofx.maths.cells import CellCounts, group, leave_one_out, locate, place
from pofx.maths.edges import column_edges


def sample_of(x: np.ndarray, w: np.ndarray | None = None) -> Sample:
    return Sample.of(np.asarray(x, dtype=float), np.ones(len(x)) if w is None else np.asarray(w, dtype=float))


# ---------------------------------------------------------------- reference rules


@pytest.mark.parametrize("rule", ["fd", "scott", "sturges", "doane"])
@pytest.mark.parametrize("n", [3, 10, 101, 500])
def test_one_column_rules_are_numpys(rule: str, n: int) -> None:
    x = np.random.default_rng(n).gamma(2.0, size=n)
    edges = np.histogram_bin_edges(x, rule)
    width = rule_width(rule, sample_of(x))
    assert np.ceil(np.ptp(x) / width * (1 - 1e-10)) == len(edges) - 1
    ours, _, _ = column_edges(x, np.ones(n), rule)
    np.testing.assert_allclose(ours, edges, atol=3e-7 * np.ptp(x))
    assert ours[0] < x.min()
    assert ours[-1] > x.max()


def test_widths_in_several_columns_fall_more_slowly() -> None:
    sample = sample_of(np.random.default_rng(1).normal(size=1000))
    for rule in ("fd", "scott"):
        ratio = rule_width(rule, sample, 4) / rule_width(rule, sample, 1)
        assert ratio == pytest.approx(1000 ** (1 / 3 - 1 / 6))


@pytest.mark.parametrize("rule", ["fd", "scott", "sturges", "doane", "knuth", "blocks"])
def test_an_integer_weight_is_a_repeated_row(rule: str) -> None:
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=80), rng.integers(1, 5, size=80).astype(float)
    once, _, _ = column_edges(np.repeat(x, w.astype(int)), np.ones(int(w.sum())), rule)
    weighted, _, _ = column_edges(x, w, rule)
    np.testing.assert_allclose(weighted, once, rtol=0, atol=1e-12)


@pytest.mark.parametrize("q", [0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
def test_weighted_quantile_is_numpys_on_repeated_rows(q: float) -> None:
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=50), rng.integers(1, 4, size=50)
    assert sample_of(x, w).quantile(q) == pytest.approx(np.quantile(np.repeat(x, w), q), abs=1e-12)
    thin = sample_of(x, np.full(50, 0.5)).quantile(q)  # fractions: near the plain quantile, mirror-symmetric
    assert thin == pytest.approx(-sample_of(-x, np.full(50, 0.5)).quantile(1 - q), abs=1e-12)
    assert abs(thin - np.quantile(x, q)) < 0.7


def test_half_of_the_rows_tied_falls_back_to_scott() -> None:
    x = np.concatenate([np.zeros(90), np.random.default_rng(4).normal(size=40)])
    edges, notes, _ = column_edges(x, np.ones(130), "fd")
    assert "Scott" in notes[0]
    assert np.diff(edges)[0] == pytest.approx(rule_width("scott", sample_of(x)), rel=0.2)


# ---------------------------------------------------------------- Knuth and Bayesian blocks


def test_knuth_takes_the_maximum_of_the_published_posterior() -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=150), rng.normal(6, 0.5, size=80)])
    n = len(x)

    def published(m: int) -> float:  # Knuth (2006), eq. 31, with n log M
        counts = np.histogram(x, bins=m)[0]
        start = n * np.log(m) + loggamma(m / 2) - m * loggamma(0.5) - loggamma(n + m / 2)
        return float((start + loggamma(counts + 0.5).sum()).real)

    best = max(range(1, n + 1), key=published)
    edges, _, _ = column_edges(x, np.ones(n), "knuth")
    assert len(edges) - 1 == best
    counts = [np.histogram(x, bins=m)[0] for m in (best, 3)]
    ours = [knuth_log_posterior(c, np.ptp(x) / len(c)) for c in counts]
    assert ours[0] - ours[1] == pytest.approx(published(best) - published(3))


def test_knuth_on_counts_keeps_to_whole_steps() -> None:
    x = np.random.default_rng(6).poisson(9.0, size=200).astype(float)
    edges, _, _ = column_edges(x, np.ones(200), "knuth")
    widths = np.diff(edges)
    assert widths[0] == pytest.approx(round(widths[0]))
    assert (edges - 0.5) % 1 == pytest.approx(0)


def exhaustive_blocks(x: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray]:
    """The best partition of a few points, by trying all of them."""
    cell_edges = np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]])
    cost = 4 - np.log(73.53 * 0.05 * w.sum() ** -0.478)
    inner = range(1, len(x))
    best: tuple[float, np.ndarray] = (-np.inf, cell_edges)
    for size in range(len(x)):
        for cuts in combinations(inner, size):
            at = [0, *cuts, len(x)]
            counts = np.array([w[a:b].sum() for a, b in pairwise(at)])
            fitness = float((counts * np.log(counts / np.diff(cell_edges[at])) - cost).sum())
            if fitness > best[0]:
                best = fitness, cell_edges[at]
    return best


@pytest.mark.parametrize("seed", range(6))
def test_bayesian_blocks_are_the_best_of_all_partitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.sort(np.concatenate([rng.normal(size=6), rng.normal(5, 0.05, size=5)]))
    w = rng.integers(1, 9, size=11).astype(float)
    _, expected = exhaustive_blocks(x, w)
    edges, group_size = blocks_edges(sample_of(x, w))
    np.testing.assert_allclose(edges, expected, atol=1e-6 * np.ptp(x))
    assert group_size == 1


def test_bayesian_blocks_of_many_values_are_grouped_and_find_the_step() -> None:
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.uniform(0, 1, size=4000), rng.uniform(1, 2, size=16000)])
    edges, notes, _ = column_edges(x, np.ones(20000), "blocks")
    assert len(edges) - 1 == 2
    assert edges[1] == pytest.approx(1.0, abs=0.01)
    assert "groups of 4" in notes[0]


# ---------------------------------------------------------------- lattices


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.0, 1.0, 2.0, 5.0], 1.0),
        ([0.1, 0.2, 0.30000000000000004, 0.3, 0.7], 0.1),
        ([0.0, 2.0, 5.0, 7.0], 1.0),
        ([0.0, 2.5, 5.0, 12.5, 1e9], 2.5),
        ([0.0, 1.0, 2.0], None),  # two gaps are no evidence
        ([0.0, 1.0, 2.5, np.pi], None),
        ([1.0], None),
        ([], None),
    ],
)
def test_lattice_step(values: list[float], step: float | None) -> None:
    found = lattice_step(np.sort(np.array(values)))
    assert found == (None if step is None else pytest.approx(step))


def test_lattice_is_seen_from_afar_and_in_any_units() -> None:
    x = np.unique(np.round(np.random.default_rng(8).normal(size=300), 2))
    for a, b in ((1.0, 0.0), (3.7e-150, 0.0), (1.0, 1e8), (2.54, -3e5), (1e150, 0.0)):
        assert lattice_step(np.unique(a * x + b)) == pytest.approx(0.01 * a, rel=1e-6)
    assert lattice_step(np.unique(np.random.default_rng(8).normal(size=300) + 1e8)) is None


@pytest.mark.parametrize("rule", ["fd", "scott", "sturges", "doane", "knuth", "blocks", 5])
def test_automatic_edges_avoid_recordable_values(rule: str | int) -> None:
    x = np.round(np.random.default_rng(9).gamma(3.0, size=400), 1)
    edges, _, _ = column_edges(x, np.ones(400), rule, margin=True)
    if isinstance(rule, str):
        np.testing.assert_allclose((edges * 10) % 1, 0.5, atol=1e-6)
    if rule not in ("blocks", 5):
        steps = np.diff(edges) * 10
        np.testing.assert_allclose(steps, round(steps[0]), atol=1e-6)
    assert np.abs(x[:, None] - edges).min() > 1e-9


def test_mirrored_rows_have_mirrored_edges() -> None:
    rng = np.random.default_rng(10)
    for x in (rng.gamma(2.0, size=200), np.round(rng.gamma(2.0, size=200), 1), rng.poisson(2.0, 200) + 0.0):
        for rule in ("fd", "sturges", "knuth", "blocks", 6):
            edges, _, _ = column_edges(x, np.ones(200), rule)
            mirrored, _, _ = column_edges(-x, np.ones(200), rule)
            np.testing.assert_allclose(mirrored, -edges[::-1], atol=1e-9)


def test_two_values_get_a_bin_each() -> None:
    edges, _, _ = column_edges(np.array([0.0, 1.0] * 50), np.ones(100), "fd")
    np.testing.assert_allclose(edges, [-0.5, 0.5, 1.5])


def test_outliers_keep_the_bulk_and_are_named() -> None:
    x = np.append(np.random.default_rng(11).normal(size=200), 1e12)
    edges, notes, doubts = column_edges(x, np.ones(201), "fd", margin=True)
    assert len(edges) < 1300
    assert "outliers" in doubts[0]
    assert "wide bin" in notes[0]
    bulk = np.diff(edges[(edges > -3) & (edges < 3)])
    np.testing.assert_allclose(bulk, rule_width("fd", sample_of(x)), rtol=1e-3)
    _, _, doubts = column_edges(x, np.ones(201), "sturges")
    assert "one bin" in doubts[0]
    far = np.append(x[:-1], 1e300)
    edges, _, doubts = column_edges(far / 1e300, np.ones(201), "fd")
    assert (np.diff(edges) > 0).all()
    assert doubts


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize("d", [1, 3, 14, 40])
def test_grouping_and_locating_agree_with_a_dictionary(d: int) -> None:
    rng = np.random.default_rng(d)
    n_bins = rng.integers(1, 50, size=d)
    rows = (rng.random((300, d)) * np.minimum(n_bins, 3)).astype(np.int64)
    w = rng.integers(1, 4, size=300).astype(float)
    cells, counts = group(rows, w, n_bins)
    expected: dict[tuple[int, ...], float] = {}
    for row, weight in zip(rows.tolist(), w, strict=True):
        expected[tuple(row)] = expected.get(tuple(row), 0.0) + weight
    assert [tuple(c) for c in cells.tolist()] == sorted(expected)
    assert counts.tolist() == [expected[key] for key in sorted(expected)]
    queries = np.vstack([rows[:50], (rng.random((200, d)) * n_bins).astype(np.int64), -np.ones((1, d), int)])
    at = locate(cells, n_bins, queries)
    for query, k in zip(queries.tolist(), at.tolist(), strict=True):
        assert (tuple(cells[k].tolist()) == tuple(query)) if k >= 0 else (tuple(query) not in expected)


def test_cells_are_half_open_and_the_last_is_closed() -> None:
    edges = [np.array([0.0, 1.0, 3.0])]
    x = np.array([-0.1, 0.0, 0.999, 1.0, 3.0, 3.1])[:, None]
    assert place(x, edges)[:, 0].tolist() == [-1, 0, 0, 1, 1, -1]


def test_counts_of_blocks_add_up() -> None:
    rng = np.random.default_rng(12)
    x, w, edges = rng.random((500, 2)), rng.random(500), [np.linspace(0, 1, 30), np.linspace(0, 1, 4)]
    whole = CellCounts.of(x, w, edges)
    parts = CellCounts.of(x[:200], w[:200], edges) + CellCounts.of(x[200:], w[200:], edges)
    assert np.array_equal(parts.cells, whole.cells)
    np.testing.assert_allclose(parts.counts, whole.counts, rtol=1e-13)
    full = np.histogram2d(x[:, 0], x[:, 1], edges, weights=w)[0]
    np.testing.assert_allclose(whole.counts, full[tuple(whole.cells.T)], rtol=1e-13)


def test_leave_one_out_is_the_maximum_of_its_formula() -> None:
    rng = np.random.default_rng(13)
    counts, shares = np.array([1.0, 1.0, 2.0, 5.0, 30.0]), rng.dirichlet(np.ones(9))[:5]
    n = counts.sum()

    def formula(t: float) -> float:
        a = np.exp(t)
        inside = np.log((counts - 1 + a * shares) / (n - 1 + a))
        return float(counts @ inside + np.log(a * n / (n + a) ** 2))

    grid = np.linspace(-10, 10, 200_001)
    best = grid[np.argmax([formula(t) for t in grid])]
    assert leave_one_out(counts, np.log(shares), n, np.ones(5), counts) == pytest.approx(best, abs=2e-4)


@pytest.mark.parametrize("counts", [np.full(20, 50.0), np.ones(40), np.array([3.0, 4.0, 500.0]), np.ones(1)])
def test_leave_one_out_never_leaves_its_range(counts: np.ndarray) -> None:
    """No singleton (A would tend to 0), all singletons or evener than chance (it would grow without end)."""
    cells = 20 if len(counts) <= 20 else 1e9
    n, ones = counts.sum(), np.ones(len(counts))
    log_a = leave_one_out(counts, -np.log(cells) * ones, n, ones, counts)
    assert np.log(1e-3) < log_a < 2 * np.log(n) + 7
