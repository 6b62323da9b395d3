"""The values that a column can be recorded with, and the cell that each of them stands for.

A value recorded with p decimals is k s, s = 10^-p, and stands for everything that is rounded to it: from
(k − ½) s to (k + ½) s. The first and the last value inside the bounds stand for all that is left to the ends,
so that the cells cover the domain without a gap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...validation import Columns

__all__ = ["Lattice", "closed", "lattice_of", "step_inside"]

NEAR = 1e-6  # of a step: multiples of 0.1 are not exact in binary
LARGEST = 2.0**53  # steps from zero: beyond, every float is on the lattice


@dataclass(frozen=True)
class Lattice:
    """Multiples ``first`` to ``last`` (infinite where there is no bound) of 10^-decimals.

    Attributes
    ----------
    first, last : float
        Whole numbers of steps.
    low, high : float
        Where the cells of the first and the last value end.
    eps : float
        Of the dtype in which values are recorded, relative.
    """

    decimals: int
    first: float
    last: float
    low: float
    high: float
    eps: float

    def number(self, x: np.ndarray) -> np.ndarray:
        """Return the number k of the value that x is recorded as."""
        return np.clip(np.rint(x * 10.0**self.decimals), self.first, self.last)

    def value(self, k: np.ndarray) -> np.ndarray:
        """Return the value of number k."""
        return k / 10.0**self.decimals + 0.0  # no -0.0

    def round(self, x: np.ndarray) -> np.ndarray:
        """Return the values that x are recorded as."""
        k = self.number(x)
        return np.where(np.abs(k) < LARGEST, self.value(k), x)

    def holds(self, x: np.ndarray) -> np.ndarray:
        """Return which x are values of the lattice, up to the rounding of the dtype."""
        steps = x * 10.0**self.decimals
        k = np.rint(steps)
        near = np.abs(steps - k) <= np.maximum(NEAR, 4.0 * self.eps * np.abs(k))
        return np.asarray(near & (k >= self.first) & (k <= self.last))

    def cell(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends of the cells of values x."""
        k = self.number(x)
        lower = np.where(k <= self.first, self.low, (k - 0.5) / 10.0**self.decimals)
        upper = np.where(k >= self.last, self.high, (k + 0.5) / 10.0**self.decimals)
        return lower, upper

    def up_to(self, x: np.ndarray) -> np.ndarray:
        """Return the upper end of the cell of the largest value <= x; ``low`` where there is none."""
        k = np.floor(x * 10.0**self.decimals + NEAR)
        end = np.where(k >= self.last, self.high, (np.minimum(k, self.last) + 0.5) / 10.0**self.decimals)
        return np.where(k < self.first, self.low, end)


def lattice_of(columns: Columns, j: int, domain: tuple[float, float]) -> Lattice | None:
    """Return the recordable values of a column inside an open interval; None for a continuous column."""
    decimals, dtype = columns.decimals[j], np.dtype(columns.dtypes[j])
    if decimals is None:
        return None
    low, high = domain
    first = _inside(low * 10.0**decimals, 1.0)
    last = -_inside(-high * 10.0**decimals, 1.0)
    if dtype.kind in "iub":  # what the dtype cannot hold is recorded as its smallest or largest number
        least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        first, last = max(first, float(least)), min(last, float(most))
    eps = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
    return Lattice(decimals, first, last, low, high, eps)


def _inside(end: float, step: float) -> float:
    """Return the first whole number above an open end, in steps."""
    if not math.isfinite(end) or abs(end) >= LARGEST:
        return end
    k = round(end)
    return float(k + step) if abs(end - k) <= NEAR else float(math.ceil(end))


def closed(low: float | None, high: float | None, decimals: int | None) -> tuple[float | None, float | None]:
    """Return bounds that a recorded column may touch: an end that is one of its values moves out by half a
    step, as far as what is recorded as that value may lie. A continuous column's ends stay open."""
    if decimals is None:
        return low, high

    def moved(end: float | None, side: float) -> float | None:
        if end is None or not math.isfinite(end):
            return end
        steps = float(end) * 10.0**decimals
        on = abs(steps) < LARGEST and abs(steps - round(steps)) <= NEAR
        return (round(steps) + 0.5 * side) / 10.0**decimals if on else end

    return moved(low, -1.0), moved(high, 1.0)


def step_inside(x: np.ndarray, domain: tuple[float, float], dtype: str) -> np.ndarray:
    """Return continuous values that stay inside the domain when they are written in their dtype."""
    kind = np.dtype(dtype)
    if kind.kind != "f":
        return x
    low, high = domain
    limits = np.finfo(kind)
    with np.errstate(over="ignore"):
        written = np.clip(x, float(limits.min), float(limits.max)).astype(kind)
        up, down = (
            np.nextafter(kind.type(end), kind.type(side)) for end, side in ((low, np.inf), (high, -np.inf))
        )
    up = kind.type(low) if float(kind.type(low)) > low else up
    down = kind.type(high) if float(kind.type(high)) < high else down
    written = np.where(written.astype(float) <= low, up, written)
    return np.where(written.astype(float) >= high, down, written).astype(float)
