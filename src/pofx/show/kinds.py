"""The kinds of marks that a figure is made of: plain numbers and what they stand for.

A mark says what it is (``role``), not how it looks: colours and widths belong to the renderer. All have a
``label``, by which the key calls them, and a ``series``: the number of the group, structure or curve among
several of the same role.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KINDS",
    "Area",
    "Band",
    "Bars",
    "Boxes",
    "Cells",
    "Curve",
    "Intervals",
    "Mark",
    "Note",
    "Points",
    "Regions",
    "Residuals",
    "Role",
    "Shades",
]

Array = NDArray[np.float64]
Role = Literal["model", "rows", "draws", "truth", "context", "series", "chosen", "irregular"]


@dataclass(frozen=True, eq=False)
class Points:
    """Dots at (x, y); ``y`` is None for ticks along the x axis (a rug)."""

    kind: ClassVar[str] = "points"
    x: Array
    y: Array | None
    label: str
    role: Role = "rows"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Bars:
    """A histogram on the scale of a density: ``heights[k]`` between ``edges[k]`` and ``edges[k + 1]``."""

    kind: ClassVar[str] = "bars"
    edges: Array
    heights: Array
    label: str
    role: Role = "rows"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Cells:
    """Rows counted in a grid: ``counts[i, j]`` between ``x[j]``, ``x[j + 1]`` and ``y[i]``, ``y[i + 1]``."""

    kind: ClassVar[str] = "cells"
    x: Array
    y: Array
    counts: Array
    label: str
    role: Role = "rows"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Curve:
    """A line through (x, y); with ``dots``, the points that it joins are marked."""

    kind: ClassVar[str] = "curve"
    x: Array
    y: Array
    label: str
    role: Role = "model"
    series: int = 0
    dots: bool = False


@dataclass(frozen=True, eq=False)
class Area:
    """The ground under a curve."""

    kind: ClassVar[str] = "area"
    x: Array
    y: Array
    label: str
    role: Role = "model"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Band:
    """What lies between two curves, and the probability that it holds at each x."""

    kind: ClassVar[str] = "band"
    x: Array
    low: Array
    high: Array
    mass: float
    label: str
    role: Role = "model"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Regions:
    """Nested highest-density regions of a density on a grid.

    ``log_density[i, j]`` belongs to ``(x[j], y[i])``; region k is where it exceeds ``levels[k]``, and holds
    the probability ``masses[k]``; levels ascend, so masses descend.
    """

    kind: ClassVar[str] = "regions"
    x: Array
    y: Array
    log_density: Array
    levels: tuple[float, ...]
    masses: tuple[float, ...]
    label: str
    role: Role = "model"
    series: int = 0
    filled: bool = True


@dataclass(frozen=True, eq=False)
class Shades:
    """A density on a grid, in ``levels`` equal steps from zero to its peak on the grid."""

    kind: ClassVar[str] = "shades"
    x: Array
    y: Array
    log_density: Array
    levels: int
    label: str
    role: Role = "model"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Residuals:
    """Rows counted in a grid, beside what a model expects there.

    Between ``x[j]``, ``x[j + 1]`` and ``y[i]``, ``y[i + 1]`` lie ``counts[i, j]`` rows; the model expects
    ``expected[i, j]``. ``z`` is their difference in standard deviations of a count, positive where there are
    more rows: 2 (√(counts + 3/8) − √(expected + 3/8)) (Anscombe 1948).
    """

    kind: ClassVar[str] = "residuals"
    x: Array
    y: Array
    counts: Array
    expected: Array
    z: Array
    label: str
    role: Role = "rows"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Intervals:
    """Numbers ``x`` with their intervals from ``low`` to ``high``, each at its height ``y``.

    ``mass`` is the confidence of the intervals.
    """

    kind: ClassVar[str] = "intervals"
    x: Array
    y: Array
    low: Array
    high: Array
    mass: float
    label: str
    role: Role = "model"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Boxes:
    """Five numbers of a column at each height ``y``: smallest, quartiles with the median between, largest."""

    kind: ClassVar[str] = "boxes"
    y: Array
    low: Array
    lower: Array
    middle: Array
    upper: Array
    high: Array
    label: str
    role: Role = "rows"
    series: int = 0


@dataclass(frozen=True, eq=False)
class Note:
    """Words beside the point (x, y): below it, or to its left or right; or over it ("center")."""

    kind: ClassVar[str] = "note"
    x: float
    y: float
    text: str
    label: str = ""
    role: Role = "context"
    series: int = 0
    place: Literal["below", "left", "right", "center"] = "below"


Mark = Points | Bars | Cells | Curve | Area | Band | Regions | Shades | Residuals | Intervals | Boxes | Note
KINDS: dict[str, Callable[..., Mark]] = {
    cls.kind: cls
    for cls in (
        Points,
        Bars,
        Cells,
        Curve,
        Area,
        Band,
        Regions,
        Shades,
        Residuals,
        Intervals,
        Boxes,
        Note,
    )
}
