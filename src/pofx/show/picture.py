"""The picture of a fitted model beside its data: which marks, over which axes. Nothing here draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.errors import PofxError, UnsupportedError
from pofx.maths.bins import Sample, lattice_step, rule_width
from pofx.show.figure import Area, Axis, Bars, Curve, Figure, Mark, Panel, Points, Regions

__all__ = ["MASSES", "picture", "strongest_pair"]

MASSES = (0.95, 0.80, 0.50)
MOST_POINTS = 2_000  # dots drawn; more are a blot, and a file too big to mail
MOST_BARS = 80
GRID = 141  # points along each side of the grid under the contours
DRAWS = 10_000  # draws behind a contour's level; fewer where a draw is dear
SEED = 0

Array = NDArray[np.float64]


def picture(model: Density, values: Array, name: str) -> Figure:
    """Return the figure of a fitted model over the rows ``values`` (n, d), which it was fitted to.

    One column: the histogram of the rows with the model's density, and where its mass lies. Two: the rows
    with the regions that hold half, 80 % and 95 % of the model's mass, and both columns by themselves.
    More: the same for the two columns of strongest rank correlation.
    """
    columns = model.params_.columns
    if len(columns) == 1:
        return _one_column(model, values[:, 0], columns.label(0), name)
    i, j = (0, 1) if len(columns) == 2 else strongest_pair(values)
    why = (
        ""
        if len(columns) == 2
        else f", the two of {len(columns)} columns with the strongest rank correlation"
    )
    return _two_columns(model, values, (i, j), (columns.label(i), columns.label(j)), name, why)


def strongest_pair(values: Array) -> tuple[int, int]:
    """Return the numbers (ascending) of the two columns of strongest Spearman correlation."""
    from scipy.stats import rankdata

    rows = values[np.linspace(0, len(values) - 1, min(len(values), 5_000)).astype(int)]
    ranks = rankdata(rows, axis=0)
    ranks -= ranks.mean(axis=0)
    norms = np.sqrt((ranks**2).sum(axis=0))
    norms[norms == 0] = np.inf  # a constant column goes with nothing
    strength = np.triu(np.abs(ranks.T @ ranks) / np.outer(norms, norms), k=1)
    i, j = np.unravel_index(int(np.argmax(strength)), strength.shape)
    return (int(i), int(j)) if i != j else (0, 1)


def _one_column(model: Density, x: Array, label: str, name: str) -> Figure:
    low, high = _range(model, x)
    bars = _bars(x, low, high, "rows")
    grid = np.linspace(low, high, 801)
    curve = model.density(grid)
    marks: list[Mark] = [bars]
    where = ""
    region = model.hdr(0.95)
    if region.intervals:
        for a, b in region.intervals:
            inside = np.unique(np.concatenate([[max(a, low), min(b, high)], grid[(grid > a) & (grid < b)]]))
            marks.append(Area(inside, model.density(inside), "95 % of its mass"))
        pieces = " and ".join(f"{a:.5g} to {b:.5g}" for a, b in region.intervals[:4])
        more = " and beyond" if len(region.intervals) > 4 else ""
        where = f" The shaded ground holds 95 % of its mass: {pieces}{more}."
    marks += [Curve(grid, curve, name), Points(_few(x), None, "rows")]
    top = 1.06 * max(float(bars.heights.max()), float(curve.max()))
    panel = Panel(Axis(label, low, high), Axis(f"density per unit of {label}", 0.0, top), tuple(marks))
    beyond = _beyond(x[:, None], [panel.x])
    caption = (
        f"The rows' histogram (bars), and the density of {name} fitted to all of them (line).{where}{beyond}"
    )
    return Figure(f"{label}: data and {name}", caption, (panel,))


def _two_columns(
    model: Density, values: Array, pair: tuple[int, int], labels: tuple[str, str], name: str, why: str
) -> Figure:
    rows = values[:, pair]
    shown = _few(rows)
    try:
        flat = model if values.shape[1] == 2 else model.marginal(list(pair))
        sides = [model.marginal([k]) for k in pair]
    except UnsupportedError:
        flat, sides = None, []
    axes = [Axis(label, *_range(sides[k] if sides else None, rows[:, k])) for k, label in enumerate(labels)]
    marks: list[Mark] = []
    if flat is not None:
        marks.append(_regions(flat, axes, name))
    marks.append(Points(shown[:, 0], shown[:, 1], "rows"))
    panels = [Panel(axes[0], axes[1], tuple(marks))]
    for k, side in enumerate(sides):
        place = ("top", "right")[k]
        panels.append(_strip(side, rows[:, k], axes[k], place, name))
    counted = (
        "rows" if len(shown) == len(rows) else f"{len(shown):,} of the {len(rows):,} rows, drawn at random"
    )
    what = (
        "" if flat is None else f" and the smallest regions that hold 50, 80 and 95 % of the mass of {name}"
    )
    beside = (
        " At the sides each column by itself: the rows' histogram, and the model's density." if sides else ""
    )
    caption = f"{labels[1]} against {labels[0]}{why}: {counted} (dots){what}.{beside}{_beyond(rows, axes)}"
    return Figure(f"{labels[0]} and {labels[1]}: data and {name}", caption, tuple(panels))


def _regions(flat: Density, axes: list[Axis], name: str) -> Regions:
    x, y = (np.linspace(axis.low, axis.high, GRID) for axis in axes)
    points = np.column_stack([np.tile(x, len(y)), np.repeat(y, len(x))])
    log_p = flat.log_density(_as_trained(flat, points)).reshape(len(y), len(x))
    kept = getattr(flat, "points_", ())  # a model that keeps its rows pays for each of them at each draw
    draws = int(np.clip(2e7 / max(len(kept), 1), 2_000, DRAWS))
    levels = tuple(flat.hdr(mass, n=draws, random_state=SEED).level for mass in MASSES)
    return Regions(x, y, log_p, levels, MASSES, name)


def _strip(side: Density, x: Array, axis: Axis, place: str, name: str) -> Panel:
    grid = np.linspace(axis.low, axis.high, 401)
    bars, curve = _bars(x, axis.low, axis.high, "rows"), Curve(grid, side.density(grid), name)
    across = Axis("density", 0.0, 1.08 * max(float(bars.heights.max()), float(curve.y.max())), ticks=False)
    if place == "top":
        return Panel(axis, across, (bars, curve), "top")
    return Panel(across, axis, (bars, curve), "right")


def _bars(x: Array, low: float, high: float, label: str) -> Bars:
    """The histogram of a column between two values, with edges between what the column can record.

    Bins are half as wide as Freedman and Diaconis would have them: the eye averages over neighbours, and
    sees what an optimal bin hides.
    """
    seen = x[(x >= low) & (x <= high)]
    start, span = float(seen.min()), float(np.ptp(seen))
    if span == 0.0:
        width, step = 0.1 * max(abs(start), 1.0), 0.0
        start -= width / 2
    else:
        sample = Sample.of(seen, np.ones(len(seen)))
        step = lattice_step(sample.values, least_gaps=1) or 0.0
        width = max(0.5 * rule_width("fd", sample), span / MOST_BARS)
        width = step * max(1.0, float(np.rint(width / step))) if step else width
    count = int(np.ceil((span + step) / width * (1 - 1e-9))) or 1
    edges: Array = start - step / 2 + width * np.arange(count + 1, dtype=float)
    edges[-1] = max(edges[-1], start + span)
    counts, _ = np.histogram(seen, edges)
    return Bars(edges, (counts / (len(x) * np.diff(edges))).astype(float), label)


def _range(model: Density | None, x: Array) -> tuple[float, float]:
    """From where to where the picture goes: the rows but for far-out ones, and the model's tails nearby."""
    inner = np.quantile(x, [0.01, 0.99])
    reach = float(inner[1] - inner[0]) or np.inf
    low, high = float(max(x.min(), inner[0] - reach)), float(min(x.max(), inner[1] + reach))
    span = (high - low) or max(abs(high), 1.0)
    if model is not None:
        try:
            tails = [float(t) for t in model.quantile([0.001, 0.999])]
        except PofxError:
            tails = [low, high]
        # heavy tails must not squeeze the rows into a corner
        low = min(low, max(tails[0], low - 0.25 * span))
        high = max(high, min(tails[1], high + 0.25 * span))
    return low - 0.03 * span, high + 0.03 * span


def _beyond(values: Array, axes: list[Axis]) -> str:
    """Say how many rows the picture leaves out."""
    out = np.zeros(len(values), dtype=bool)
    for k, axis in enumerate(axes):
        out |= (values[:, k] < axis.low) | (values[:, k] > axis.high)
    count = int(out.sum())
    return f" Beyond the picture: {count:,} far-out row{'s' * (count > 1)}." if count else ""


def _few(rows: Array) -> Array:
    if len(rows) <= MOST_POINTS:
        return rows
    return rows[np.sort(np.random.default_rng(SEED).choice(len(rows), MOST_POINTS, replace=False))]


def _as_trained(model: Density, points: Array) -> object:
    """Plain numbers under the names that the model knows its columns by."""
    names = model.params_.columns.names
    if names is None:
        return points
    from pofx.data.table import Table

    return Table(points, model.params_.columns)
