"""A rule of one column, taken for each column alone, and what takes over where it has no answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.reference import Silverman
from pofx.maths.bandwidth.rule import Choice, Label
from pofx.maths.bandwidth.scales import tie_step, total_weight

__all__ = ["Select", "Selected", "by_column"]

Floats = NDArray[np.float64]

FEWEST = 5  # distinct values
LATTICE = 0.1  # half a spacing of ties below this share of Silverman's bandwidth is no lattice


@dataclass(frozen=True)
class Selected:
    """The bandwidth of one column, or the end of a sentence on why there is none.

    Attributes
    ----------
    h : bandwidth in the units of the column, or None
    reason : what stands where h should be, such as "has no minimum on these rows"
    notes : sentences about an h that was found
    tied : there is no h, or none that can be believed, because ties pull it to 0
    """

    h: float | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    tied: bool = False


Select = Callable[[Floats, Floats, float], Selected]
"""(column (n,), weights (n,), half the spacing of its ties) to the bandwidth of that column."""


def by_column(x: Floats, w: Floats, label: Label, title: str, select: Select) -> Choice:
    """Return the bandwidths of a rule of one column, taken for each column of ``x`` (n, d) alone.

    The factor n^(1/5 - 1/(d+4)) gives them the rate that d columns need. A bandwidth that ties pull below
    half their spacing is held there; Silverman's rule takes over where the ties are no lattice or the rule
    has no answer. Either is noted.
    """
    d, total = x.shape[1], total_weight(w)
    h = np.empty(d)
    notes: list[str] = []
    warnings: tuple[str, ...] = ()
    for j, column in enumerate(np.ascontiguousarray(x.T)):
        name, floor = label(j), 0.5 * tie_step(column, w)
        distinct = len(np.unique(column))
        if distinct < FEWEST:
            found = Selected(None, f"needs {FEWEST} distinct values and has {distinct}")
        else:
            found = select(column, w, floor)
        if found.h is not None and found.h >= floor and not found.tied:
            h[j] = found.h
            notes += [f"{name}: {note}" for note in found.notes]
            continue
        instead = Silverman().choose(column[:, None], w, lambda _, name=name: name)  # type: ignore[misc]
        tied = found.tied or found.h is not None
        if tied and floor >= LATTICE * float(instead.h[0]):
            h[j] = floor
            notes.append(f"{name}: the ties pull the bandwidth to 0; held at half their spacing.")
        else:
            h[j] = max(float(instead.h[0]), floor)
            reason = found.reason or "is pulled to 0 by ties"
            notes.append(f"{name}: {title} {reason}; Silverman's rule was used.")
            warnings += instead.warnings
    return Choice(h * total ** (0.2 - 1.0 / (d + 4)), tuple(notes), warnings)
