"""Where rows exceed a model: counts in cells of two columns beside what the model expects there."""

from __future__ import annotations

import math

import numpy as np

from pofx.core.density import Density
from pofx.errors import ParameterError, UnsupportedError
from pofx.maths.bins import lattice_step
from pofx.show.figure import Axis, Figure, Legend, Panel, Regions, Residuals
from pofx.show.pictures.counts import SOME_ROWS, few
from pofx.show.pictures.pair import both_axes, is_equal
from pofx.show.pictures.parts import (
    WORK,
    Array,
    Wish,
    beyond,
    kept_rows,
    log_density_on,
    regions,
    shown,
)

__all__ = ["residuals"]

CELLS = 18  # along each side
FINE = 10  # points of the density in a cell, along each side, at most
COARSE = 4  # and at least
WORST = 2.0  # standard deviations from which a cell is named in the caption


def residuals(
    model: Density,
    rows: Array,
    pair: tuple[int, int],
    wish: Wish | None = None,
    *,
    weights: Array | None = None,
    why: str = "",
) -> Figure:
    """Return the map of rows (n, d) minus what a model expects, over two of its columns.

    Parameters
    ----------
    rows : ndarray (n, d)
        In the order of the model's columns.
    pair : (int, int)
        Which columns: along, and up.
    wish : Wish, optional
        ``name`` is what to call the model, ``equal`` whether both axes have one scale.
    weights : ndarray (n,), optional
        How often each row counts.
    why : str
        How these two columns were chosen.

    Returns
    -------
    Figure
        Its main panel has one ``Residuals`` mark, and the region that holds 95 % of the model's mass.

    Raises
    ------
    UnsupportedError
        Where the model has no density of two columns.

    Notes
    -----
    z = 2 (√(counts + 3/8) − √(expected + 3/8)) has nearly unit variance for a Poisson count (F. J. Anscombe,
    *Biometrika* 35 (1948) 246); where about one row or less is expected it is less spread, so that an empty
    outskirt is no finding. A cell's expectation is the mean of the density on points inside it; cells of
    rounded columns hold whole steps. Rows that the model was fitted to differ less than new ones would.
    """
    wish = wish or Wish(type(model).__name__)
    if model.measure == "mass":
        raise UnsupportedError(f"{wish.name} has probabilities of values, no density to compare counts with.")
    flat = _flat(model, pair)
    axes = both_axes(model, flat, rows[:, pair], pair, wish, _alone(flat))
    part = rows[:, pair]
    x, y = (_edges(axis, part[:, k]) for k, axis in enumerate(axes))
    counts, _, _ = np.histogram2d(part[:, 1], part[:, 0], [y, x], weights=weights)
    total = float(len(rows) if weights is None else weights.sum())
    expected = total * _mass(flat, x, y)
    z = 2.0 * (np.sqrt(counts + 0.375) - np.sqrt(expected + 0.375))
    mark = Residuals(x, y, counts, expected, z, "standard deviations")
    axes = [
        Axis(axis.label, float(edges[0]), float(edges[-1]), unit=axis.unit)
        for axis, edges in zip(axes, (x, y), strict=True)
    ]
    outline = regions(flat, axes, Wish(wish.name, masses=(0.95,)), share=0.5)
    assert isinstance(outline, Regions)
    outline = Regions(
        outline.x, outline.y, outline.log_density, outline.levels, outline.masses, "95 % of the model's mass",
        role="context", filled=False,
    )  # fmt: skip
    panel = Panel(
        axes[0], axes[1], (mark, outline), equal=is_equal(wish, model, axes),
        legend=Legend((mark.label,), "sd of a count", place="right"),
    )  # fmt: skip
    said = (
        f"{axes[1].label} against {axes[0].label}{why}: {total:,.6g} rows counted in cells, minus what "
        f"{wish.name} expects there, in standard deviations of a count. Orange: more rows than expected, "
        "blue: fewer; the line holds 95 % of the model's mass."
    )
    return Figure(
        f"{axes[0].label} and {axes[1].label}: rows minus {wish.name}",
        said + _worst(mark, axes) + beyond(part, axes),
        (panel,),
    )


def _flat(model: Density, pair: tuple[int, int]) -> Density:
    if model.n_features_in_ < 2 or pair[0] == pair[1]:
        raise ParameterError("A residual map needs two different columns.")
    if model.n_features_in_ == 2 and tuple(pair) == (0, 1):
        return model
    try:
        return model.marginal(list(pair))
    except UnsupportedError as error:
        raise UnsupportedError(
            f"{type(model).__name__} has no marginals, so there is no expectation for two of its columns."
        ) from error


def _alone(flat: Density) -> list[Density]:
    try:
        return [flat.marginal([0]), flat.marginal([1])]
    except UnsupportedError:
        return []


def _edges(axis: Axis, x: Array) -> Array:
    """Equal cells over an axis; where values lie on a lattice, between them and whole steps wide."""
    width = (axis.high - axis.low) / CELLS
    step = lattice_step(np.unique(x[few(x, SOME_ROWS)]))
    if step is None or step < width / 8:
        return np.linspace(axis.low, axis.high, CELLS + 1)
    width = step * max(1.0, float(np.rint(width / step)))
    start = float(x.min()) - step / 2
    first = start - width * np.ceil((start - axis.low) / width)
    count = int(np.ceil((axis.high - first) / width))
    return np.asarray(first + width * np.arange(count + 1))


def _mass(flat: Density, x: Array, y: Array) -> Array:
    """The model's mass in each cell, by the midpoint rule on a finer grid."""
    affordable = math.sqrt(WORK / max(kept_rows(flat), 1) / ((len(x) - 1) * (len(y) - 1)))
    fine = int(np.clip(affordable, COARSE, FINE))
    at = [(e[:-1, None] + np.diff(e)[:, None] * (np.arange(fine) + 0.5) / fine).ravel() for e in (x, y)]
    with np.errstate(under="ignore"):
        p = np.exp(log_density_on(flat, *at))
    cells = p.reshape(len(y) - 1, fine, len(x) - 1, fine).mean(axis=(1, 3))
    return np.asarray(cells * np.diff(y)[:, None] * np.diff(x))


def _worst(mark: Residuals, axes: list[Axis]) -> str:
    """Say where rows exceed the model most, and where they fall short most."""
    parts = []
    for word, sign in (("More", 1.0), ("Fewer", -1.0)):
        i, j = np.unravel_index(int(np.argmax(sign * mark.z)), mark.z.shape)
        if sign * mark.z[i, j] >= WORST:
            where = (
                f"{axes[0].label} {shown(float(mark.x[j]))} to {shown(float(mark.x[j + 1]))} and "
                f"{axes[1].label} {shown(float(mark.y[i]))} to {shown(float(mark.y[i + 1]))}"
            )
            parts.append(
                f"{word} than expected most of all in {where}: {mark.counts[i, j]:,.6g} rows, expected "
                f"{mark.expected[i, j]:,.3g}."
            )
    if not parts:
        return f" No cell is {WORST:g} standard deviations off."
    return " " + " ".join(parts)
