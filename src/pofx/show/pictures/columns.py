"""A diagnosis in a picture: five numbers of every column, and what was found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pofx.show.figure import Axis, Boxes, Figure, Mark, Note, Panel
from pofx.show.pictures.parts import short

if TYPE_CHECKING:
    from pofx.data.diagnose import Diagnosis, Finding

__all__ = ["columns_of"]

MOST_COLUMNS = 40
MOST_WORDS = 4  # findings named beside a column
WORDS = {"blocks": "blocks a fit", "warning": "warning", "note": "note"}


def columns_of(diagnosis: Diagnosis) -> Figure:
    """Return a line for each column: smallest and largest value at the ends, quartiles and median between,
    each column by its own scale, and the findings about it.
    """
    filled = [c for c in diagnosis.columns if c.min is not None][:MOST_COLUMNS]
    y = np.arange(len(filled), 0, -1, dtype=float)
    five = np.array(
        [[c.min, c.lower_quartile, c.median, c.upper_quartile, c.max] for c in filled], dtype=float
    )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        place = (five / 2 - five[:, :1] / 2) / (five[:, 4:] / 2 - five[:, :1] / 2)
    place[five[:, 0] == five[:, 4]] = 0.5
    marks: list[Mark] = [_boxes(y, place)]
    for c, at, ends in zip(filled, y, place, strict=True):
        marks.append(Note(float(ends[0]), float(at), _signed(float(c.min or 0.0)), place="left"))
        if c.max != c.min:
            marks.append(Note(float(ends[4]), float(at), _signed(float(c.max or 0.0)), place="right"))
        mine = [f for f in diagnosis.findings if c.name in f.columns]
        worst = mine[0].severity if mine else ""
        role = "irregular" if worst in ("blocks", "warning") else "context"
        marks.append(Note(1.3, float(at), _words(mine), place="right", role=role))  # type: ignore[arg-type]
    for x, word in ((0.5, "smallest to largest value"), (1.3, "findings")):
        how = "center" if x == 0.5 else "right"
        marks.append(Note(x, len(filled) + 0.85, word, place=how))  # type: ignore[arg-type]
    names = tuple(short(c.name, 28) for c in filled)
    panel = Panel(
        Axis("", -0.42, 2.6, ticks=False),
        Axis("", 0.4, len(filled) + 1.1, at=tuple(y.tolist()), names=names),
        tuple(marks),
    )
    hidden = len(diagnosis.columns) - len(filled)
    more = f" {hidden} more columns are not shown." if hidden else ""
    whole = [f.sentence for f in diagnosis.findings if not f.columns]
    return Figure(
        diagnosis.headline,
        "Of each column, from its smallest to its largest value (line), the middle half of the rows (box) "
        f"and the median (blue).{more} {' '.join(whole)}".rstrip(),
        (panel,),
    )


def _boxes(y: NDArray[np.float64], place: NDArray[np.float64]) -> Boxes:
    low, lower, middle, upper, high = place.T
    return Boxes(y, low, lower, middle, upper, high, "smallest, quartiles, median, largest")


def _signed(value: float) -> str:
    from pofx.data.diagnose.finding import number

    return number(value).replace("-", "−")


def _words(findings: list[Finding]) -> str:
    """Return "warning: heaping, spike; note: rounding"."""
    parts = []
    for severity, word in WORDS.items():
        names = list(dict.fromkeys(f.name.replace("_", " ") for f in findings if f.severity == severity))
        if len(names) > MOST_WORDS:
            names = [*names[:MOST_WORDS], f"{len(names) - MOST_WORDS} more"]
        if names:
            parts.append(f"{word}: {', '.join(names)}")
    return "; ".join(parts)
