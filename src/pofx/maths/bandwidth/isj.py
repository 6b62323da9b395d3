"""The improved Sheather-Jones rule, column by column."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.by_column import Selected, by_column
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.diffusion import improved_sheather_jones

__all__ = ["ImprovedSheatherJones"]

Floats = NDArray[np.float64]


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
        return by_column(x, w, label, "improved Sheather-Jones", _select)


def _select(column: Floats, w: Floats, floor: float) -> Selected:
    found = improved_sheather_jones(column, w, floor=floor)
    return Selected(None if found.floored else found.h, found.reason or "", tied=found.floored)
