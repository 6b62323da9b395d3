"""What the pictures share: how far an axis goes, the rows as bars, cells or dots, the model on a grid."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.errors import PofxError
from pofx.show.figure import Axis, Band, Mark, Points, Regions, Shades
from pofx.show.pictures.counts import MOST_POINTS, SEED, SOME_ROWS, cells, few
from pofx.validation import rng_from

__all__ = [
    "MASSES",
    "MOST_GROUPS",
    "WORK",
    "Groups",
    "Wish",
    "beyond",
    "column_axis",
    "density_axis",
    "draws",
    "joined",
    "kept_rows",
    "levels_on_grid",
    "log_density_on",
    "reach",
    "regions",
    "rows_on_plane",
    "short",
    "shown",
    "span",
    "unit_of",
]

MASSES = (0.95, 0.80, 0.50)
FILLED_POINTS = 500  # dots over a filled picture, which they should not hide
MOST_GROUPS = 7  # colours that everybody can tell apart
GRID = 141  # points along each side of the grid under the contours
GRID_FILLED = 200
LEAST_GRID = 31
WORK = 1e8  # kernel evaluations that a grid may cost
MANY_KEPT = 10_000  # rows kept by a model, from which draws cost more than the grid
DRAWS = 10_000  # draws behind a contour's level; fewer where a draw is dear

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Groups:
    """To which of several named groups each row belongs: ``of`` (n,) are numbers into ``names``."""

    of: NDArray[np.int64]
    names: tuple[str, ...]
    title: str


@dataclass(frozen=True, eq=False)
class Wish:
    """How a picture is wanted.

    ``masses`` descend; ``shades`` > 0 asks for the filled form in so many steps; ``points`` is the most dots
    (None: as many as can be seen, 0: none, the rows are counted); ``weights`` say how often rows count in
    bars and cells; ``truth`` is a known distribution; ``band`` returns the uncertainty of a one-column
    density along a grid, and what it covers.
    """

    name: str
    masses: tuple[float, ...] = MASSES
    shades: int = 0
    points: int | None = None
    groups: Groups | None = None
    weights: Array | None = None
    truth: Density | None = None
    equal: bool | None = None
    labels: tuple[str, ...] = ()
    band: Callable[[Array], tuple[Band, str]] | None = None

    def label(self, model: Density, j: int) -> str:
        """Return what column j of the model is called: a part of a larger model goes by the whole's names."""
        return self.labels[j] if self.labels else model.params_.columns.label(j)


# ---------------------------------------------------------------- words and axes

_UNIT = re.compile(r"(.*\S)[\s_]+[(\[]\s*([^\W\d_%°µ][^()\[\]]{0,11}|[%°µ][^()\[\]]{0,11})[)\]]\s*")


def unit_of(name: str) -> tuple[str, str]:
    """Return a column's name without its unit, and the unit: "waiting (min)" is ("waiting", "min")."""
    found = _UNIT.fullmatch(name)
    return (found.group(1), found.group(2).strip()) if found else (name, "")


def short(text: str, most: int = 40) -> str:
    """Return a text that fits beside an axis."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def shown(value: float) -> str:
    """Return a number as a person would write it."""
    return f"{value:.5g}".replace("e+", "e").replace("-", "−")


def joined(words: list[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def column_axis(name: str, low: float, high: float) -> Axis:
    """Return the axis of a column, its unit told apart from its name."""
    label, unit = unit_of(name)
    return Axis(short(label), low, high, unit=unit)


def density_axis(name: str, high: float, *, mass: bool = False) -> Axis:
    """Return the axis of a density over one column."""
    if mass:
        return Axis("probability of each value", 0.0, high)
    label, unit = unit_of(name)
    if unit:
        return Axis("density", 0.0, high, unit=f"per {unit}")
    return Axis(f"density per unit of {short(label, 28)}", 0.0, high)


def span(model: Density | None, x: Array | None) -> tuple[float, float]:
    """From where to where the picture goes: the rows but for far-out ones, and the model's tails nearby."""
    if x is None or len(x) == 0:
        x = _typical(model)
    low, high = reach(x)
    width = (high - low) or max(abs(high), 1.0)
    if model is not None:
        try:
            tails = [float(t) for t in model.quantile([0.001, 0.999])]
        except PofxError:
            tails = [low, high]
        # heavy tails must not squeeze the rows into a corner
        low = min(low, max(tails[0], low - 0.25 * width))
        high = max(high, min(tails[1], high + 0.25 * width))
    return low - 0.03 * width, high + 0.03 * width


def reach(x: Array) -> tuple[float, float]:
    """Return where the rows of a column lie, far-out ones left aside."""
    inner = np.quantile(x[few(x, SOME_ROWS)], [0.01, 0.99])
    far = float(inner[1] - inner[0]) or np.inf
    return float(max(x.min(), inner[0] - far)), float(min(x.max(), inner[1] + far))


def _typical(model: Density | None) -> Array:
    """Values of a one-column model, for want of rows."""
    assert model is not None
    try:
        return np.asarray(model.quantile(np.linspace(0.005, 0.995, 199)), dtype=float)
    except PofxError:
        return draws(model, 2_000)[:, 0]


def beyond(values: Array, axes: list[Axis]) -> str:
    """Say how many rows the picture leaves out."""
    out = np.zeros(len(values), dtype=bool)
    for k, axis in enumerate(axes):
        out |= (values[:, k] < axis.low) | (values[:, k] > axis.high)
    count = int(out.sum())
    return f" Beyond the picture: {count:,} far-out row{'s' * (count > 1)}." if count else ""


# ---------------------------------------------------------------- rows


def draws(model: Density, n: int) -> Array:
    """Return n continuous rows of the model, always the same ones."""
    return model._sample_rows(model.params_, n, rng_from(SEED))


def rows_on_plane(
    model: Density, rows: Array | None, axes: list[Axis], wish: Wish
) -> tuple[list[Mark], list[str], str]:
    """Return the marks of rows (n, 2), the labels that need explaining, and how to call them.

    Dots as long as they can be told apart, then counts in cells; without rows, draws of the model if dots
    were asked for.
    """
    if rows is None:
        if not wish.points or model.n_features_in_ != 2:
            return [], [], ""
        drawn = draws(model, wish.points)
        label = f"{wish.points:,} draws of the model"
        return [Points(drawn[:, 0], drawn[:, 1], label, role="draws")], [], f"{label} (dots)"
    most = wish.points
    if most is None:
        most = FILLED_POINTS if wish.shades else MOST_POINTS
        if len(rows) > MOST_POINTS and not wish.shades and wish.groups is None:
            most = 0
    if most == 0:
        mark = cells(rows, axes, f"{len(rows):,} rows", wish.weights)
        weighted = "" if wish.weights is None else " by their weights"
        return [mark], [], f"{len(rows):,} rows, counted{weighted} in cells (the darker, the more rows)"
    chosen = few(rows, most)
    counted = (
        f"{len(rows):,} rows"
        if len(chosen) == len(rows)
        else f"{len(chosen):,} of the {len(rows):,} rows, drawn at random"
    )
    if wish.weights is not None:
        counted += ", each once whatever its weight"
    part = rows[chosen]
    if wish.groups is None:
        return [Points(part[:, 0], part[:, 1], "rows")], [], f"{counted} (dots)"
    of = wish.groups.of[chosen]
    marks: list[Mark] = [
        Points(part[of == k, 0], part[of == k, 1], name, role="series", series=k)
        for k, name in enumerate(wish.groups.names)
        if (of == k).any()
    ]
    return (
        marks,
        [mark.label for mark in marks],
        f"{counted} (dots), coloured by {wish.groups.title or 'group'}",
    )


# ---------------------------------------------------------------- the model on a plane


def kept_rows(model: Density) -> int:
    """Return how many rows a model keeps: it pays for each of them at each evaluation."""
    return len(getattr(model, "points_", ()))


def log_density_on(model: Density, x: Array, y: Array) -> Array:
    """Return log p at every (x[j], y[i]), shape (len(y), len(x))."""
    points = np.column_stack([np.tile(x, len(y)), np.repeat(y, len(x))])
    names = model.params_.columns.names
    if names is None:
        return model.log_density(points).reshape(len(y), len(x))
    from pofx.data.table import Table

    return model.log_density(Table(points, model.params_.columns)).reshape(len(y), len(x))


def regions(model: Density, axes: list[Axis], wish: Wish, *, share: float = 1.0) -> Regions | Shades:
    """Return where a two-column model has its mass: contours at masses, or shades of its density.

    ``share`` of the usual work may be spent (a corner view has many panels).
    """
    finest = GRID_FILLED if wish.shades else (GRID if share == 1.0 else 81 if share > 0.1 else 51)
    side = int(np.clip(math.sqrt(WORK * share / max(kept_rows(model), 1)), LEAST_GRID, finest))
    x, y = (np.linspace(axis.low, axis.high, side) for axis in axes)
    log_p = log_density_on(model, x, y)
    if wish.shades:
        return Shades(x, y, log_p, wish.shades, wish.name)
    if kept_rows(model) > MANY_KEPT:
        levels = levels_on_grid(log_p, wish.masses)
    else:
        n = int(np.clip(WORK * share / (10 * max(kept_rows(model), 1)), 2_000, DRAWS))
        levels = tuple(float(model.hdr(mass, n=n, random_state=SEED).level) for mass in wish.masses)
    return Regions(x, y, log_p, levels, wish.masses, wish.name)


def levels_on_grid(log_p: Array, masses: tuple[float, ...]) -> tuple[float, ...]:
    """Return the log densities above which an even grid holds these shares of the mass that is on it."""
    descending = np.sort(log_p, axis=None)[::-1]
    held = np.cumsum(np.exp(descending - descending[0]))
    return tuple(float(np.interp(mass * held[-1], held, descending)) for mass in masses)
