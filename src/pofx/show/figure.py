"""A figure as plain data: marks, axes and units. Renderers draw it, tests read it.

A figure is one or more panels on a grid that share their axes along rows and columns. Every number a reader
could take off the picture is here, in data units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Area", "Axis", "Bars", "Curve", "Figure", "Mark", "Panel", "Points", "Regions"]

SCHEMA = "pofx.figure/1"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """What an axis measures, and from where to where."""

    label: str
    low: float
    high: float
    ticks: bool = True


@dataclass(frozen=True, eq=False)
class Points:
    """Rows as dots; ``y`` is None for ticks along the x axis (a rug)."""

    x: Array
    y: Array | None
    label: str


@dataclass(frozen=True, eq=False)
class Bars:
    """A histogram on the scale of a density: ``heights[k]`` between ``edges[k]`` and ``edges[k + 1]``."""

    edges: Array
    heights: Array
    label: str


@dataclass(frozen=True, eq=False)
class Curve:
    """A line through (x, y)."""

    x: Array
    y: Array
    label: str


@dataclass(frozen=True, eq=False)
class Area:
    """The ground under a curve between ``low`` and ``high``."""

    x: Array
    y: Array
    label: str


@dataclass(frozen=True, eq=False)
class Regions:
    """Nested highest-density regions of a density on a grid.

    ``log_density[i, j]`` belongs to ``(x[j], y[i])``; region k is where it exceeds ``levels[k]``, and holds
    the probability ``masses[k]``; levels ascend, so masses descend.
    """

    x: Array
    y: Array
    log_density: Array
    levels: tuple[float, ...]
    masses: tuple[float, ...]
    label: str


Mark = Points | Bars | Curve | Area | Regions


@dataclass(frozen=True, eq=False)
class Panel:
    """Marks over two axes; ``place`` is its part of the picture: the middle, or a strip beside it."""

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    place: Literal["main", "top", "right"] = "main"


@dataclass(frozen=True, eq=False)
class Figure:
    """A picture: what it shows in words (``title``, ``caption``), and its panels."""

    title: str
    caption: str
    panels: tuple[Panel, ...]
    schema: str = SCHEMA

    def marks(self) -> Iterator[Mark]:
        """Yield every mark of every panel."""
        for panel in self.panels:
            yield from panel.marks

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts and lists of numbers and texts; each mark says its kind."""
        plain = asdict(self)
        for panel, record in zip(self.panels, plain["panels"], strict=True):
            record["marks"] = [
                {
                    "kind": type(mark).__name__.lower(),
                    **{f.name: _plain(getattr(mark, f.name)) for f in fields(mark)},
                }
                for mark in panel.marks
            ]
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (
            [None if not np.isfinite(v) else float(v) for v in value]
            if value.ndim == 1
            else [_plain(row) for row in value]
        )
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
