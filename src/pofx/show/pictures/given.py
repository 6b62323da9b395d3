"""Conditionals: p(y | x) for a value of x, for a few, and as bands along all of x."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pofx.core.density import Density
from pofx.errors import DataError, ParameterError, UnsupportedError
from pofx.show.figure import Band, Curve, Figure, Legend, Mark, Panel, Points
from pofx.show.pictures.bands import band_of
from pofx.show.pictures.counts import few
from pofx.show.pictures.one import curve_on, one_column
from pofx.show.pictures.pair import MOST_CORNER, corner, rank_correlations, two_columns
from pofx.show.pictures.parts import (
    MOST_GROUPS,
    Array,
    Wish,
    beyond,
    column_axis,
    density_axis,
    joined,
    kept_rows,
    rows_on_plane,
    shown,
    span,
)
from pofx.validation.columns import printable

__all__ = ["conditional"]

ALONG = 121  # values of the given column behind a band
WORK = 6e5  # rows kept by a model, times values
MASSES = (0.90, 0.50)
NEARBY = 0.1  # standard deviations: rows this near the given value are shown under the curve
MOST_VALUES = MOST_GROUPS


def conditional(
    model: Density,
    values: Array | None,
    given: Any,
    columns: Sequence[int] | None,
    wish: Wish,
    level: float | None = None,
) -> Figure:
    """Return the picture of the model's other columns, given one or more.

    Parameters
    ----------
    given : name or number of a column, or mapping of such to a value or values
        A column alone: median and bands along it. Values of columns: the density of the others there.
    columns : numbers of the columns to show, or None
    level : probability of a band of the density of one column at one value, or None

    Raises
    ------
    UnsupportedError
        Where the model has no conditionals.
    DataError
        Where the density vanishes at the given value.
    """
    if model.n_features_in_ < 2:
        raise ParameterError("given= needs a model of at least two columns; this one has one.")
    if level is not None and not (
        isinstance(given, Mapping) and all(np.ndim(value) == 0 for value in given.values())
    ):
        raise ParameterError("band= needs one value of each given column, as in given={'waiting': 80}.")
    if not isinstance(given, Mapping):
        return _along(model, values, model.params_.columns.index(given), columns, wish)
    keys = {model.params_.columns.index(key): value for key, value in given.items()}
    if all(np.ndim(value) == 0 for value in keys.values()):
        return _at_one(model, values, keys, columns, wish, level)
    if len(keys) > 1:
        raise ParameterError(
            "Several values can be given of one column; of several columns one value each, as in "
            "given={'a': 1, 'b': 2}."
        )
    [(key, several)] = keys.items()
    return _at_several(model, key, np.atleast_1d(several), columns, wish)


def _shown_column(
    model: Density, given: list[int], columns: Sequence[int] | None, values: Array | None
) -> int:
    """Return the column to show: the only other one, the one asked for, or the one that depends most."""
    rest = [j for j in range(model.n_features_in_) if j not in given]
    if columns is not None:
        wanted = [j for j in columns if j in rest]
        if len(wanted) != 1 or len(columns) != 1:
            raise ParameterError("columns= must name one column here, not one that is given.")
        return wanted[0]
    if len(rest) == 1 or values is None or len(values) < 3:
        return rest[0]
    return rest[int(np.argmax(rank_correlations(values)[given[0], rest]))]


# ---------------------------------------------------------------- at a value


def _at_one(
    model: Density,
    values: Array | None,
    keys: Mapping[int, Any],
    columns: Sequence[int] | None,
    wish: Wish,
    level: float | None,
) -> Figure:
    labels = model.params_.columns
    words = joined([f"{printable(labels.label(j))} = {shown(float(v))}" for j, v in keys.items()])
    others = [j for j in range(model.n_features_in_) if j not in keys]
    rest = others if columns is None else [j for j in columns if j in others]
    if columns is not None and len(rest) != len(columns):
        raise ParameterError("columns= must name columns that are not given.")

    def at(whole: Density) -> Density:
        found: Density = whole.condition(dict(keys))
        return found if rest == others else found.marginal([others.index(j) for j in rest])

    part = at(model)
    if wish.truth is not None:
        wish = replace(wish, truth=at(wish.truth))
    if level is not None:
        if len(rest) > 1:
            raise ParameterError("band= belongs to the density of one column; choose it by columns=.")
        wish = replace(wish, band=lambda grid: band_of(model, at, grid, level, conditional=True))
    wish = replace(wish, groups=None, labels=tuple(labels.label(j) for j in rest))
    shown_names = joined([labels.label(j) for j in rest]) if len(rest) < 4 else f"{len(rest)} columns"
    title = f"{shown_names} given {words}: {wish.name}"
    if len(rest) == 2:
        return two_columns(part, None, (0, 1), wish, title=title, why=f", given {words}")
    if len(rest) > 2:
        some = range(min(len(rest), MOST_CORNER))
        more = f" Shown are the first {MOST_CORNER} of {len(rest)}." if len(rest) > MOST_CORNER else ""
        figure = corner(part, None, some, wish)
        return replace(figure, title=title, caption=f"{figure.caption}{more} Given {words}.")
    figure = one_column(part, None, wish, title=title, label=f"given {words}", behind=_alone(model, rest[0]))
    near, said = _nearby(values, keys, rest[0], model)
    [panel] = figure.panels
    if near is not None:
        legend = Legend((*(panel.legend.labels if panel.legend else ()), near.label))
        panel = replace(panel, marks=(*panel.marks, near), legend=legend)
    return replace(figure, panels=(panel,), caption=figure.caption + said)


def _alone(model: Density, j: int) -> Density | None:
    try:
        return model.marginal([j])
    except UnsupportedError:
        return None


def _nearby(
    values: Array | None, keys: Mapping[int, Any], j: int, model: Density
) -> tuple[Points | None, str]:
    if values is None:
        return None, ""
    near = np.ones(len(values), dtype=bool)
    pieces = []
    for key, value in keys.items():
        x = values[:, key]
        decimals = model.params_.columns.decimals[key]
        half = max(NEARBY * float(x.std()), 0.0 if decimals is None else 0.5 * 10.0**-decimals)
        near &= np.abs(x - float(value)) <= half
        pieces.append(
            f"{model.params_.columns.label(key)} from {shown(float(value) - half)} to "
            f"{shown(float(value) + half)}"
        )
    count = int(near.sum())
    if not count:
        return None, f" No row has {joined(pieces)}."
    x = values[near, j]
    label = f"{count:,} row{'s' * (count > 1)} nearby"
    return Points(x[few(x)], None, label), f" Ticks: the {count:,} rows with {joined(pieces)}."


def _at_several(
    model: Density, key: int, several: Array, columns: Sequence[int] | None, wish: Wish
) -> Figure:
    if not 0 < len(several) <= MOST_VALUES:
        raise ParameterError(
            f"1 to {MOST_VALUES} values can be told apart; {len(several)} came. For all values at once: "
            f"given={model.params_.columns.label(key)!r}."
        )
    labels = model.params_.columns
    j = _shown_column(model, [key], columns, None)
    flat = model if model.n_features_in_ == 2 else model.marginal(sorted([key, j]))
    place = sorted([key, j]).index(key)
    parts = [flat.condition({place: float(value)}) for value in several]
    spans = [span(part, None) for part in parts]
    axis = column_axis(labels.label(j), min(s[0] for s in spans), max(s[1] for s in spans))
    grid = np.linspace(axis.low, axis.high, 801)
    marks = tuple(
        curve_on(part, grid, shown(float(value)), role="series", series=k)
        for k, (part, value) in enumerate(zip(parts, several, strict=True))
    )
    top = max(float(m.y[np.isfinite(m.y)].max(initial=0.0)) for m in marks)
    legend = Legend(tuple(m.label for m in marks), f"given {labels.label(key)}")
    words = joined([shown(float(v)) for v in several])
    return Figure(
        f"{labels.label(j)} given {labels.label(key)}: {wish.name}",
        f"The density of {labels.label(j)} by {wish.name}, given that {labels.label(key)} is {words}.",
        (Panel(axis, density_axis(labels.label(j), 1.06 * top), marks, legend=legend),),
    )


# ---------------------------------------------------------------- along a column


def _along(
    model: Density, values: Array | None, key: int, columns: Sequence[int] | None, wish: Wish
) -> Figure:
    labels = model.params_.columns
    j = _shown_column(model, [key], columns, values)
    pair = sorted([key, j])
    flat = model if model.n_features_in_ == 2 else model.marginal(pair)
    rows = None if values is None else values[:, (key, j)]
    axis = column_axis(labels.label(key), *_inside(flat, rows, pair.index(key)))
    count = int(np.clip(WORK / max(kept_rows(model), 1), 25, ALONG))
    x = np.linspace(axis.low, axis.high, count)
    q = _quantiles(flat, pair.index(key), x)
    marks = _bands(x, q, wish)
    if wish.truth is not None:
        true = wish.truth if wish.truth.n_features_in_ == 2 else wish.truth.marginal(pair)
        middle = _quantiles(true, pair.index(key), x)[:, 2]
        marks += [Curve(x[p], middle[p], "median of the truth", role="truth") for p in _pieces(middle)]
    inner = q[np.isfinite(q).all(axis=1)]
    if not len(inner):
        raise DataError(f"{wish.name} has no density along {labels.label(key)}.")
    ends = [inner[:, 0].min(), inner[:, -1].max()]
    if rows is not None:
        ends = [min(ends[0], rows[:, 1].min()), max(ends[1], rows[:, 1].max())]
        low, high = span(None, rows[:, 1])
        far = high - low
        ends = [max(ends[0], low - 0.5 * far), min(ends[1], high + 0.5 * far)]
    pad = 0.03 * (float(ends[1]) - float(ends[0]))
    other = column_axis(labels.label(j), float(ends[0]) - pad, float(ends[1]) + pad)
    dots: list[Mark] = []
    counted, more = "", list[str]()
    if rows is not None:
        dots, more, counted = rows_on_plane(flat, rows, [axis, other], wish)
    legend = Legend(tuple(dict.fromkeys([mark.label for mark in marks] + more)))
    seen = f" Behind them {counted}." if counted else ""
    return Figure(
        f"{labels.label(j)} given {labels.label(key)}: {wish.name}",
        f"For each {labels.label(key)} the median of {labels.label(j)} by {wish.name} (line), and the bands "
        f"that hold it with 50 and 90 % probability, as much above as below.{seen}"
        + ("" if rows is None else beyond(rows, [axis, other])),
        (Panel(axis, other, (*dots, *marks), legend=legend, equal=bool(wish.equal)),),
    )


def _inside(flat: Density, rows: Array | None, place: int) -> tuple[float, float]:
    """Where along the given column there is something to be said: where the rows are, or the mass."""
    if rows is None:
        return span(flat.marginal([place]), None)
    low, high = span(None, rows[:, 0])
    pad = 0.03 / 1.06 * (high - low)
    return low + pad, high - pad


def _quantiles(flat: Density, place: int, x: Array) -> Array:
    """Quantiles (m, 5) of the other column at each x; NaN where the density vanishes."""
    levels = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    out = np.full((len(x), 5), np.nan)
    for i, value in enumerate(x):
        try:
            out[i] = flat.condition({place: float(value)}).quantile(levels)
        except DataError:
            continue
    return out


def _pieces(column: Array) -> list[slice]:
    """Return the runs of numbers between gaps."""
    fine = np.concatenate([[False], np.isfinite(column), [False]])
    starts, stops = np.flatnonzero(fine[1:] & ~fine[:-1]), np.flatnonzero(~fine[1:] & fine[:-1])
    return [slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def _bands(x: Array, q: Array, wish: Wish) -> list[Mark]:
    marks: list[Mark] = []
    pieces = _pieces(q[:, 2])
    for mass, (low, high) in zip(MASSES, ((0, 4), (1, 3)), strict=True):
        marks += [Band(x[p], q[p, low], q[p, high], mass, f"{mass:.0%}".replace("%", " %")) for p in pieces]
    return marks + [Curve(x[p], q[p, 2], "median") for p in pieces]
