"""The improved Sheather-Jones rule, column by column, with what it does where there is no fixed point."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.reference import Silverman
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import tie_step, total_weight
from pofx.maths.diffusion import improved_sheather_jones

__all__ = ["ImprovedSheatherJones"]

Floats = NDArray[np.float64]

LATTICE = 0.1  # half a spacing of ties below this share of Silverman's bandwidth is no lattice


@dataclass(frozen=True)
class ImprovedSheatherJones(Rule):
    """The fixed point of Botev, Grotowski and Kroese, column by column (:mod:`pofx.maths.diffusion`).

    On rounded data the fixed point can fall to the spacing of the ties; the bandwidth is then held at half
    of that spacing, the smallest at which neighbouring Gaussian bumps still run into one another. Where the
    ties are no lattice (a heap of equal rows among others) or there is no fixed point (a few rows, or
    far-out rows that hide the bulk), Silverman's rule takes over. Either is noted.
    """

    name: str = field(default="isj", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        d, total = x.shape[1], total_weight(w)
        h = np.empty(d)
        notes: list[str] = []
        warnings: tuple[str, ...] = ()
        for j, column in enumerate(np.ascontiguousarray(x.T)):
            floor = 0.5 * tie_step(column, w)
            found = improved_sheather_jones(column, w, floor=floor)
            if found.h is not None and not found.floored:
                h[j] = found.h
                continue
            name = label(j)
            instead = Silverman().choose(column[:, None], w, lambda _, name=name: name)  # type: ignore[misc]
            if found.floored and floor >= LATTICE * float(instead.h[0]):
                h[j] = floor
                notes.append(f"{name}: the ties pull the bandwidth to 0; held at half their spacing.")
            else:
                h[j] = max(float(instead.h[0]), floor)
                reason = found.reason or "is pulled to 0 by ties"
                notes.append(f"{name}: improved Sheather-Jones {reason}; Silverman's rule was used.")
                warnings += instead.warnings
        return Choice(h * total ** (0.2 - 1.0 / (d + 4)), tuple(notes), warnings)
