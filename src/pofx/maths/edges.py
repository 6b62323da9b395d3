"""Where a histogram's bin edges go: by a rule, and never on a value that can be recorded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pofx.maths.bins import (
    SHIFT,
    Sample,
    blocks_edges,
    knuth_log_posterior,
    lattice_step,
    orientation,
    rule_width,
)

__all__ = ["column_edges"]

KNUTH_MOST = 1_000  # most bins that Knuth's posterior is evaluated for
EXPLICIT_MOST = 100_000  # with more bins, empty stretches of them are kept as one wide bin
COUNTABLE = 2.0**50  # bin numbers up to here are exact in float64
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class _Grid:
    """``count`` equal bins of ``width`` from ``low`` on."""

    low: float
    width: float
    count: float  # whole; a float, because it can pass 2**63

    def edges(self, first: int, last: int) -> np.ndarray:
        return self.low + self.width * np.arange(first, last + 1)


def _spanning_grid(sample: Sample, step: float | None, count: float) -> _Grid:
    """``count`` bins from the smallest value (less half a step) to the largest. Edges keep off the values
    by a hair: shifted at both ends, by amounts in golden ratio, no edge stays where equal division put it."""
    half = 0.0 if step is None else step / 2
    hair = SHIFT * sample.span if step is None else min(SHIFT * sample.span, step / 8)
    below, above = (hair, hair * GOLDEN) if orientation(sample) > 0 else (hair * GOLDEN, hair)
    low, high = sample.values[0] - half - below, sample.values[-1] + half + above
    return _Grid(float(low), float(high - low) / count, count)


def _step_grid(sample: Sample, step: float, multiple: float) -> _Grid:
    """Bins of a whole multiple of the step, with edges half a step away from every recordable value."""
    places = np.rint(sample.span / step) + 1.0
    count = float(np.ceil(places / multiple))
    spare = count * multiple - places
    before = float(np.floor(spare / 2) if orientation(sample) > 0 else np.ceil(spare / 2))
    return _Grid(float(sample.values[0]) - (0.5 + before) * step, multiple * step, count)


def _width_grid(sample: Sample, step: float | None, width: float) -> _Grid:
    if step is None:
        return _spanning_grid(sample, None, max(1.0, float(np.ceil(sample.span / width * (1 - 1e-10)))))
    # 1 + 1e-9: a width of exactly 2.5 steps must round the same way whatever the column's units
    return _step_grid(sample, step, max(1.0, float(np.floor(width / step * (1 + 1e-9) + 0.5))))


def _knuth_grid(sample: Sample, step: float | None) -> _Grid:
    most = min(len(sample.values), KNUTH_MOST)
    if step is None:
        grids = [_spanning_grid(sample, None, float(m)) for m in range(1, most + 1)]
    else:
        places = np.rint(sample.span / step) + 1.0
        multiples = sorted({float(np.ceil(places / m)) for m in range(1, most + 1)}, reverse=True)
        grids = [_step_grid(sample, step, m) for m in multiples]
    below = np.concatenate([[0.0], np.cumsum(sample.weights)])

    def posterior(grid: _Grid) -> float:
        at = below[np.searchsorted(sample.values, grid.edges(0, int(grid.count)))]
        return knuth_log_posterior(np.diff(at), grid.width)

    return grids[int(np.argmax([posterior(grid) for grid in grids]))]


def column_edges(
    x: np.ndarray, w: np.ndarray, rule: str | int, *, d: int = 1, margin: bool = False
) -> tuple[np.ndarray, list[str], list[str]]:
    """Return bin edges for one column, notes, and doubts (what a user should be warned of).

    Parameters
    ----------
    x, w : ndarrays of shape (n,)
        The column's values (at least two different ones) and their weights.
    rule : str or int
        One of ``RULES``, or the number of equal bins over the column's range.
    d : int
        How many columns are binned together (for "fd" and "scott").
    margin : bool
        Add one more bin on each side.

    Returns
    -------
    edges : ndarray of shape (bins + 1,)
        Ascending; all values lie strictly inside. Where the column's values lie on a lattice, a rule's
        edges are half a step away from recordable values and its widths whole multiples of the step.
    """
    sample = Sample.of(x, w)
    step = lattice_step(sample.values, least_gaps=1)
    if rule == "blocks":
        edges, group = blocks_edges(sample, step)
        notes = [f"Bayesian blocks of groups of {group} neighbouring values"] if group > 1 else []
        if margin:
            edges = np.concatenate([[2 * edges[0] - edges[1]], edges, [2 * edges[-1] - edges[-2]]])
        return edges, notes, []
    grid, notes = _grid(sample, step, rule, d)
    notes, doubts = notes + _capped(grid), _stretched(sample, step, grid)
    return _cut(sample, grid, margin), notes, doubts


def _grid(sample: Sample, step: float | None, rule: str | int, d: int) -> tuple[_Grid, list[str]]:
    if not isinstance(rule, str):
        return _spanning_grid(sample, step, float(rule)), []
    if rule == "knuth":
        return _knuth_grid(sample, step), []
    width, notes = rule_width(rule, sample, d), []
    if width == 0 and rule == "fd":
        width = rule_width("scott", sample, d)
        notes = ["half of the rows hold one value (interquartile range 0), so Scott's rule was used"]
    width = width if width > 0 else sample.span
    if sample.span / width > COUNTABLE:
        width = sample.span / COUNTABLE
    return _width_grid(sample, step, width), notes


def _capped(grid: _Grid) -> list[str]:
    if grid.count <= EXPLICIT_MOST:
        return []
    return [f"{grid.count:.3g} bins; empty stretches of them are kept as one wide bin each"]


def _stretched(sample: Sample, step: float | None, grid: _Grid) -> list[str]:
    """Say when outliers decide about the bins: too many of them, or one that holds nearly everything."""
    if grid.count > 10 * EXPLICIT_MOST:
        return [
            f"the range is {grid.count:.3g} bins wide, stretched by outliers: the density of unseen places "
            "near the bulk is spread over all of it. Set the outliers aside, or try another model"
        ]
    spread = sample.quantile(0.95) - sample.quantile(0.05)
    if 0 < 10 * (spread + (step or 0.0)) < grid.width:
        return [
            "90 % of the rows lie within a tenth of one bin, stretched by outliers: the density there is far "
            "too low. Set the outliers aside, or use bins='fd'"
        ]
    return []


def _cut(sample: Sample, grid: _Grid, margin: bool) -> np.ndarray:
    """Return the grid's edges; of a huge grid those of the occupied bins and their neighbours only."""
    extra = 1 if margin else 0
    if grid.count <= EXPLICIT_MOST:
        return grid.edges(-extra, int(grid.count) + extra)
    at = np.unique(np.floor((sample.values - grid.low) / grid.width))
    ends = [-extra, 0, grid.count, grid.count + extra]
    keep = np.unique(np.concatenate([at - 1, at, at + 1, at + 2, ends]))
    return grid.low + grid.width * keep[(keep >= -extra) & (keep <= grid.count + extra)]
