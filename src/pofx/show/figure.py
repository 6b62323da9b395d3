"""A figure as plain data: marks, axes and units. Renderers draw it, tests read it.

A figure is one or more panels that share axes along rows and columns. Every number a reader could take off
the picture is here, in data units. ``to_dict`` gives lists, numbers and texts fit for JSON (a number that is
not finite is null: where a density vanishes, its logarithm), and ``from_dict`` the same figure back.
The kinds of marks are in :mod:`pofx.show.kinds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

import numpy as np

from pofx.errors import ParameterError
from pofx.show.kinds import (
    KINDS,
    Area,
    Band,
    Bars,
    Boxes,
    Cells,
    Curve,
    Intervals,
    Mark,
    Note,
    Points,
    Regions,
    Residuals,
    Shades,
)

__all__ = [
    "SCHEMA",
    "Area",
    "Axis",
    "Band",
    "Bars",
    "Boxes",
    "Cells",
    "Curve",
    "Figure",
    "Intervals",
    "Legend",
    "Mark",
    "Note",
    "Panel",
    "Points",
    "Regions",
    "Residuals",
    "Shades",
]

SCHEMA = "pofx.figure/2"
READABLE = ("pofx.figure/1", SCHEMA)  # /2 added kinds of marks, and fields that have defaults


@dataclass(frozen=True)
class Axis:
    """What an axis measures, in which unit ("" where nobody said), and from where to where.

    ``at`` names the places of the ticks where they matter (whole numbers of components, say), and ``names``
    the words that stand there instead of the numbers.
    """

    label: str
    low: float
    high: float
    ticks: bool = True
    unit: str = ""
    at: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Legend:
    """The marks that the key explains, by their labels and in this order."""

    labels: tuple[str, ...]
    title: str = ""
    place: Literal["inside", "right"] = "inside"


@dataclass(frozen=True, eq=False)
class Panel:
    """Marks over two axes.

    ``place`` is its part of the picture: the middle, a strip beside it, the cell ``(row, column)`` of a
    corner view, or of a grid of panels side by side. ``title`` stands above a panel of a grid. ``equal`` asks
    for the same length per unit along both axes.
    """

    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    place: Literal["main", "top", "right", "cell", "grid"] = "main"
    row: int = 0
    column: int = 0
    equal: bool = False
    legend: Legend | None = None
    title: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Figure:
    """A picture: what it shows in words (``title``, and the sentences of ``caption``), and its panels."""

    title: str
    caption: str
    panels: tuple[Panel, ...]
    schema: str = SCHEMA

    def marks(self) -> Iterator[Mark]:
        """Yield every mark of every panel."""
        for panel in self.panels:
            yield from panel.marks

    @property
    def main(self) -> Panel:
        """The panel in the middle; of a corner view the first pair of columns, of a grid the first panel."""
        wanted = (p for p in self.panels if p.place == "main" or (p.place == "cell" and p.row > p.column))
        return next(wanted, self.panels[0])

    def __repr__(self) -> str:
        many = "1 panel" if len(self.panels) == 1 else f"{len(self.panels)} panels"
        return f"Figure({self.title!r}, {many})"

    def _repr_png_(self) -> bytes:
        """Return the picture, as notebooks show it."""
        from pofx.show.draw import to_png

        return to_png(self, dpi=96, title=True)

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts and lists of numbers and texts, fit for JSON; each mark says its kind."""
        return dict(_plain(self))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Figure:
        """Return the figure of a record that ``to_dict`` gave.

        Raises
        ------
        ParameterError
            Where it is not a record of this schema.
        """
        schema = record.get("schema") if isinstance(record, Mapping) else None
        if schema not in READABLE:
            raise ParameterError(
                f"Expected a figure of schema {' or '.join(map(repr, READABLE))}; got {schema!r}."
            )
        try:
            return cls(record["title"], record["caption"], tuple(map(_panel, record["panels"])))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ParameterError(f"The record of the figure is damaged: {error!r}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        kept = value.astype(object)
        kept[~np.isfinite(value)] = None
        return kept.tolist()
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, Figure | Panel | Axis | Legend):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mark):
        return {"kind": value.kind, **{f.name: _plain(getattr(value, f.name)) for f in fields(value)}}
    return value.item() if isinstance(value, np.generic) else value


def _panel(record: Mapping[str, Any]) -> Panel:
    legend = record["legend"]
    return Panel(
        **{
            **record,
            "x": _built(Axis, record["x"]),
            "y": _built(Axis, record["y"]),
            "marks": tuple(
                _built(KINDS[m["kind"]], {k: v for k, v in m.items() if k != "kind"}) for m in record["marks"]
            ),
            "legend": None if legend is None else _built(Legend, legend),
        }
    )


T = TypeVar("T")


def _built(cls: Callable[..., T], record: Mapping[str, Any]) -> T:
    types = {f.name: str(f.type) for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: _typed(value, types[name]) for name, value in record.items()})


def _typed(value: Any, kind: str) -> Any:
    if kind.startswith("Array"):
        # null stands for what is not finite, and that is the logarithm of a vanishing density
        nothing = -np.inf
        return (
            None
            if value is None
            else np.array([[nothing if v is None else v for v in row] for row in value], dtype=float)
            if len(value) and isinstance(value[0], list)
            else np.array([nothing if v is None else v for v in value], dtype=float)
        )
    if kind.startswith("tuple[float"):
        return tuple(-np.inf if v is None else float(v) for v in value)
    return tuple(value) if kind.startswith("tuple") else value
