"""Two columns: the rows with the regions that hold the model's mass; and all pairs of several columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pofx.core.density import Density
from pofx.errors import UnsupportedError
from pofx.show.figure import Axis, Curve, Figure, Legend, Mark, Panel, Points, Regions, Shades
from pofx.show.pictures.counts import bars
from pofx.show.pictures.parts import (
    Array,
    Wish,
    beyond,
    column_axis,
    draws,
    joined,
    regions,
    rows_on_plane,
    span,
)

__all__ = [
    "MOST_CORNER",
    "both_axes",
    "corner",
    "is_equal",
    "rank_correlations",
    "strongest_pair",
    "two_columns",
]

MOST_CORNER = 8  # columns of a corner view
COMPARABLE = 3.0  # coordinates whose spans differ by less than this are drawn to one scale


def two_columns(
    model: Density, values: Array | None, pair: tuple[int, int], wish: Wish, *, why: str = "", title: str = ""
) -> Figure:
    """Return the picture of two columns of a model, over rows (n, d) if there are any.

    At the sides stand both columns by themselves, where the model has marginals. ``why`` tells how these two
    columns were chosen.
    """
    columns = model.params_.columns
    rows = None if values is None else values[:, pair]
    flat, sides = _parts(model, pair)
    if flat is None and rows is None:
        raise UnsupportedError(
            f"{type(model).__name__} has no marginals, so two of its {len(columns)} columns cannot be shown "
            "without the rows; give the data too."
        )
    axes = both_axes(model, flat, rows, pair, wish, sides)
    marks: list[Mark] = []
    if flat is not None:
        marks.append(regions(flat, axes, wish))
    dots, labels, counted = rows_on_plane(flat or model, rows, axes, wish)
    marks += dots
    if wish.truth is not None:
        marks.append(_truth(wish.truth, pair, axes, wish))
        labels = [*([wish.name] if flat is not None and not wish.shades else []), "truth", *labels]
    legend = Legend(tuple(labels), wish.groups.title if wish.groups else "") if labels else None
    panels = [Panel(axes[0], axes[1], tuple(marks), equal=is_equal(wish, model, axes), legend=legend)]
    for k, side in enumerate(sides):
        panels.append(_strip(side, None if rows is None else rows[:, k], axes[k], ("top", "right")[k], wish))
    return Figure(
        title or _title(axes, wish.name, rows),
        _caption(axes, wish, flat is not None, bool(sides), counted, why)
        + ("" if rows is None else beyond(rows, axes)),
        tuple(panels),
    )


def _parts(model: Density, pair: Sequence[int]) -> tuple[Density | None, list[Density]]:
    """Return the model of the two columns, and those of each by itself, as far as there are any."""
    two = model.n_features_in_ == 2 and tuple(pair) == (0, 1)
    try:
        flat = model if two else model.marginal(list(pair))
    except UnsupportedError:
        return None, []
    try:
        return flat, [model.marginal([k]) for k in pair]
    except UnsupportedError:
        return flat, []


def both_axes(
    model: Density,
    flat: Density | None,
    rows: Array | None,
    pair: Sequence[int],
    wish: Wish,
    sides: Sequence[Density] = (),
) -> list[Axis]:
    """Return the axes of two columns, as far as the rows go and the marginals ``sides`` have their mass."""
    if rows is None and not sides and flat is not None:
        rows = draws(flat, 2_000)
    out = []
    for k, j in enumerate(pair):
        ends = span(sides[k] if sides else None, None if rows is None else rows[:, k])
        out.append(column_axis(wish.label(model, j), *ends))
    return out


def _truth(truth: Density, pair: Sequence[int], axes: list[Axis], wish: Wish) -> Regions:
    flat, _ = _parts(truth, pair)
    if flat is None:
        raise UnsupportedError(f"{truth!r} has no marginals, so two of its columns cannot be shown.")
    mark = regions(flat, axes, Wish("truth", masses=wish.masses))
    assert isinstance(mark, Regions)
    return Regions(
        mark.x, mark.y, mark.log_density, mark.levels, mark.masses, "truth", role="truth", filled=False
    )


def is_equal(wish: Wish, model: Density, axes: list[Axis]) -> bool:
    """Whether both axes share one scale: asked for, one unit, or plain coordinates of like extent."""
    if wish.equal is not None:
        return wish.equal
    if axes[0].unit or axes[1].unit:
        return axes[0].unit == axes[1].unit
    a, b = (axis.high - axis.low for axis in axes)
    return model.params_.columns.names is None and max(a, b) < COMPARABLE * min(a, b)


def _strip(side: Density, x: Array | None, axis: Axis, place: str, wish: Wish) -> Panel:
    marks, across = _marginal_marks(side, x, axis, wish)
    if place == "top":
        return Panel(axis, across, marks, "top")
    return Panel(across, axis, marks, "right")


def _marginal_marks(side: Density, x: Array | None, axis: Axis, wish: Wish) -> tuple[tuple[Mark, ...], Axis]:
    grid = np.linspace(axis.low, axis.high, 401)
    curve = Curve(grid, side.density(grid), wish.name)
    high = float(curve.y[np.isfinite(curve.y)].max(initial=0.0))
    marks: list[Mark] = [curve]
    if x is not None:
        marks.insert(0, bars(x, axis.low, axis.high, f"{len(x):,} rows", wish.weights))
        high = max(high, float(marks[0].heights.max()))  # type: ignore[union-attr]
    return tuple(marks), Axis("density", 0.0, 1.08 * (high or 1.0), ticks=False)


def _title(axes: list[Axis], name: str, rows: Array | None) -> str:
    return f"{axes[0].label} and {axes[1].label}: " + (name if rows is None else f"data and {name}")


def _caption(axes: list[Axis], wish: Wish, model: bool, sides: bool, counted: str, why: str) -> str:
    parts = [counted] if counted else []
    if model and wish.shades:
        parts.append(f"the density of {wish.name} in {wish.shades} shades, white where it vanishes")
    elif model:
        masses = joined([f"{100 * m:.4g}" for m in sorted(wish.masses)])
        parts.append(f"the smallest regions that hold {masses} % of the mass of {wish.name}")
    if wish.truth is not None:
        parts.append("the same regions of the truth (dashed)")
    beside = " At the sides each column by itself." if sides else ""
    return f"{axes[1].label} against {axes[0].label}{why}: {joined(parts)}.{beside}"


# ---------------------------------------------------------------- several columns


def strongest_pair(values: Array) -> tuple[int, int]:
    """Return the numbers (ascending) of the two columns of strongest Spearman correlation."""
    strength = np.triu(rank_correlations(values), k=1)
    i, j = np.unravel_index(int(np.argmax(strength)), strength.shape)
    return (int(i), int(j)) if i != j else (0, 1)


def rank_correlations(values: Array) -> Array:
    """Return the absolute Spearman correlations (d, d) of at most 5,000 rows; 0 for constant columns."""
    from scipy.stats import rankdata

    rows = values[np.linspace(0, len(values) - 1, min(len(values), 5_000)).astype(int)]
    ranks = rankdata(rows, axis=0)
    ranks -= ranks.mean(axis=0)
    norms = np.sqrt((ranks**2).sum(axis=0))
    norms[norms == 0] = np.inf  # a constant column goes with nothing
    return np.asarray(np.abs(ranks.T @ ranks) / np.outer(norms, norms))


def corner(model: Density, values: Array | None, which: Sequence[int], wish: Wish) -> Figure:
    """Return all pairs of columns below the diagonal, and on it each column by itself."""
    sides = [_alone(model, k) for k in which]
    if values is None and any(side is None for side in sides):
        raise UnsupportedError(
            f"{type(model).__name__} has no marginals, so pairs of its columns cannot be shown without the "
            "rows; give the data too."
        )
    axes = [
        column_axis(wish.label(model, j), *span(side, None if values is None else values[:, j]))
        for j, side in zip(which, sides, strict=True)
    ]
    share = 1.0 / max(len(which) * (len(which) - 1) / 2, 2)
    panels: list[Panel] = []
    legend: Legend | None = None
    counted = ""
    for a in range(len(which)):
        for b in range(a):
            pair = (which[b], which[a])
            flat, _ = _parts(model, pair)
            both = [axes[b], axes[a]]
            marks: list[Mark] = [] if flat is None else [regions(flat, both, wish, share=share)]
            rows = None if values is None else values[:, pair]
            dots, labels, counted = rows_on_plane(flat or model, rows, both, wish)
            if labels and legend is None:
                legend = Legend(tuple(labels), wish.groups.title if wish.groups else "")
            panels.append(Panel(axes[b], axes[a], (*marks, *dots), "cell", row=a, column=b))
        side, x = sides[a], None if values is None else values[:, which[a]]
        if side is not None:
            alone, across = _marginal_marks(side, x, axes[a], wish)
        else:
            assert x is not None
            mark = bars(x, axes[a].low, axes[a].high, f"{len(x):,} rows", wish.weights)
            alone, across = (mark,), Axis("density", 0.0, 1.08 * float(mark.heights.max()), ticks=False)
        panels.append(
            Panel(axes[a], across, alone, "cell", row=a, column=a, legend=legend if a == 0 else None)
        )
    if legend is not None:  # found after the first diagonal panel was made
        panels[0] = Panel(panels[0].x, panels[0].y, panels[0].marks, "cell", legend=legend)
    has_model = any(isinstance(m, Regions | Shades) for p in panels for m in p.marks)
    masses = joined([f"{100 * m:.4g}" for m in sorted(wish.masses)])
    regions_said = (
        f"the density of {wish.name} in shades"
        if wish.shades
        else f"the smallest regions that hold {masses} % of the mass of {wish.name}"
    )
    parts = [*([counted] if counted else []), *([regions_said] if has_model else [])]
    names = [axis.label for axis in axes]
    what = wish.name if values is None else f"data and {wish.name}"
    dots_drawn = any(isinstance(m, Points) for p in panels for m in p.marks)
    return Figure(
        f"{joined(names) if len(names) <= 2 else f'{len(names)} columns'}: {what}",
        f"Every pair of columns: {joined(parts)}. On the diagonal each column by itself."
        + (beyond(values[:, list(which)], axes) if values is not None and dots_drawn else ""),
        tuple(panels),
    )


def _alone(model: Density, k: int) -> Density | None:
    if model.n_features_in_ == 1:
        return model
    try:
        return model.marginal([k])
    except UnsupportedError:
        return None
