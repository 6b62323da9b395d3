"""One column: the rows' histogram with the model's density, and where its mass lies."""

from __future__ import annotations

import numpy as np

from pofx.core.density import Density
from pofx.show.figure import Area, Axis, Band, Bars, Curve, Figure, Legend, Mark, Panel, Points
from pofx.show.pictures.counts import MOST_POINTS, bars, few
from pofx.show.pictures.parts import (
    Array,
    Wish,
    beyond,
    column_axis,
    density_axis,
    draws,
    joined,
    kept_rows,
    levels_on_grid,
    shown,
    span,
)

__all__ = ["curve_on", "one_column"]

FINE = 801  # points of a curve
MOST_KEPT = 1_000  # rows kept by a model, up to which its regions are found exactly
_ORDER = [Bars, Curve, Band, Area, Points]  # of the key


def one_column(
    model: Density,
    x: Array | None,
    wish: Wish,
    *,
    title: str = "",
    label: str = "",
    behind: Density | None = None,
) -> Figure:
    """Return the picture of a one-column model, over the rows x (n,) if there are any.

    ``label`` is what the key calls the model's curve, and ``behind`` a density to see it against: what was
    known before a condition was given.
    """
    name = wish.label(model, 0)
    axis = column_axis(name, *_wide(span(model, x), behind))
    if model.measure == "mass":
        return _masses(model, x, axis, wish)
    grid = np.linspace(axis.low, axis.high, FINE)
    curve = model.density(grid)
    marks: list[Mark] = []
    if x is not None:
        marks += _histograms(x, axis, wish)
    if behind is not None:
        marks.append(curve_on(behind, grid, "nothing given", role="context"))
    where = ""
    intervals = _where_mass_is(model, grid, curve) if wish.band is None else ()
    if intervals:
        ground, where = _ground(model, intervals, axis)
        marks += ground
    covered = ""
    if wish.band is not None:
        band, covered = wish.band(grid)
        marks.append(band)
        covered = f" {covered}"
    marks.append(Curve(grid, curve, label or wish.name))
    tops = [float(m.y.max()) for m in marks if isinstance(m, Curve)]
    tops += [float(m.heights.max()) for m in marks if isinstance(m, Bars)]
    if wish.truth is not None:
        truth = curve_on(wish.truth, grid, "truth", role="truth")
        marks.append(truth)
        tops.append(float(truth.y.max()))
    if wish.band is not None:  # all of it, unless the curve would be squeezed
        tops.append(min(float(np.nanmax(band.high)), 1.6 * _finite(tops)))
    rug = _rug(model, x, wish)
    marks += rug
    named = [mark for mark in marks if not (x is not None and any(mark is tick for tick in rug))]
    named.sort(key=lambda mark: _ORDER.index(type(mark)))
    labels = list(dict.fromkeys(mark.label for mark in named))
    panel = Panel(
        axis,
        density_axis(name, 1.06 * _finite(tops)),
        tuple(marks),
        legend=Legend(tuple(labels), _title(wish)),
    )
    weighted = "" if wish.weights is None else "weighted "
    said = (
        f"The density of {wish.name}{' ' * bool(label)}{label} (line)."
        if x is None
        else f"The histogram of {len(x):,} {weighted}rows (bars), and the density of {wish.name} (line)."
    )
    if behind is not None:
        said = said[:-1] + ", and with nothing given (grey)."
    dashed = " Dashed: the truth." if wish.truth is not None else ""
    out = "" if x is None else beyond(x[:, None], [axis])
    words = title or (f"{axis.label}: {wish.name}" if x is None else f"{axis.label}: data and {wish.name}")
    return Figure(words, said + dashed + where + covered + out, (panel,))


def curve_on(model: Density, grid: Array, label: str, role: str = "model", series: int = 0) -> Curve:
    """Return a one-column model's density along a grid."""
    return Curve(grid, model.density(grid), label, role=role, series=series)  # type: ignore[arg-type]


def _wide(own: tuple[float, float], behind: Density | None) -> tuple[float, float]:
    """Make room for what stands behind, unless the model would be a needle in it."""
    if behind is None:
        return own
    other = span(behind, None)
    both = min(own[0], other[0]), max(own[1], other[1])
    return both if both[1] - both[0] < 6 * (own[1] - own[0]) else own


def _histograms(x: Array, axis: Axis, wish: Wish) -> list[Mark]:
    """One histogram; of groups, one each, their heights shares of all rows."""
    if wish.groups is None:
        return [bars(x, axis.low, axis.high, f"{len(x):,} rows", wish.weights)]
    total = float(len(x) if wish.weights is None else wish.weights.sum())
    out: list[Mark] = []
    for k, name in enumerate(wish.groups.names):
        chosen = wish.groups.of == k
        mine = x[chosen]
        if ((mine >= axis.low) & (mine <= axis.high)).any():
            w = None if wish.weights is None else wish.weights[chosen]
            h = bars(mine, axis.low, axis.high, name, w, of=total)
            out.append(Bars(h.edges, h.heights, name, role="series", series=k))
    return out


def _where_mass_is(model: Density, grid: Array, curve: Array) -> tuple[tuple[float, float], ...]:
    """Return the intervals that hold 95 %: the model's own, or along the curve where those are dear."""
    if kept_rows(model) <= MOST_KEPT:
        return model.hdr(0.95).intervals or ()
    with np.errstate(divide="ignore"):
        [level] = levels_on_grid(np.log(curve), (0.95,))
    inside = np.concatenate([[False], np.log(np.maximum(curve, 1e-300)) >= level, [False]])
    starts, stops = np.flatnonzero(inside[1:] & ~inside[:-1]), np.flatnonzero(~inside[1:] & inside[:-1]) - 1
    return tuple((float(grid[a]), float(grid[b])) for a, b in zip(starts, stops, strict=True))


def _ground(model: Density, intervals: tuple[tuple[float, float], ...], axis: Axis) -> tuple[list[Mark], str]:
    marks: list[Mark] = []
    for a, b in intervals:
        low, high = max(a, axis.low), min(b, axis.high)
        if low < high:
            inside = np.linspace(low, high, 401)
            marks.append(Area(inside, model.density(inside), "95 % of its mass"))
    tiny = 1e-6 * (axis.high - axis.low)  # a bound at 0, found by steps
    named = [tuple(shown(0.0 if abs(v) < tiny else v) for v in ends) for ends in intervals[:4]]
    pieces = joined([f"{a} to {b}" for a, b in named])
    more = " and beyond" if len(intervals) > 4 else ""
    return marks, f" The shaded ground holds 95 % of its mass: {pieces}{more}."


def _rug(model: Density, x: Array | None, wish: Wish) -> list[Mark]:
    if x is None:
        if not wish.points:
            return []
        return [Points(draws(model, wish.points)[:, 0], None, f"{wish.points:,} draws", role="draws")]
    most = wish.points if wish.points is not None else (MOST_POINTS if len(x) <= MOST_POINTS else 0)
    chosen = few(x, most) if most else np.empty(0, dtype=int)
    if not len(chosen):
        return []
    if wish.groups is None:
        return [Points(x[chosen], None, "rows")]
    of = wish.groups.of[chosen]
    return [
        Points(x[chosen][of == k], None, name, role="series", series=k)
        for k, name in enumerate(wish.groups.names)
        if (of == k).any()
    ]


def _masses(model: Density, x: Array | None, axis: Axis, wish: Wish) -> Figure:
    """A mass function: the probability of each value, beside the share of the rows that have it."""
    at = np.unique(draws(model, 20_000)[:, 0])
    at = at[(at >= axis.low) & (at <= axis.high)]
    p = np.exp(model.log_density(at))
    marks: list[Mark] = []
    top = float(p.max())
    if x is not None:
        half = np.diff(at).min() / 2 if len(at) > 1 else 0.5
        shares = [float(np.average(np.abs(x - v) < half, weights=wish.weights)) for v in at]
        edges = np.unique(np.concatenate([at - half, at + half]).round(12))
        heights = np.zeros(len(edges) - 1)
        heights[np.searchsorted(edges, at) - 1] = shares
        marks.append(Bars(edges, heights, f"{len(x):,} rows"))
        top = max(top, *shares)
    marks.append(Points(at, p, wish.name, role="model"))
    panel = Panel(
        axis,
        density_axis("", 1.06 * top, mass=True),
        tuple(marks),
        legend=Legend(tuple(m.label for m in marks)),
    )
    said = "" if x is None else " (dots), and the share of the rows that have it (bars)"
    return Figure(
        f"{axis.label}: {wish.name}", f"The probability of each value by {wish.name}{said}.", (panel,)
    )


def _title(wish: Wish) -> str:
    return wish.groups.title if wish.groups is not None else ""


def _finite(tops: list[float]) -> float:
    """The height of the picture: a density may be infinite at a bound."""
    fine = [t for t in tops if np.isfinite(t) and t > 0]
    return max(fine) if fine else 1.0
