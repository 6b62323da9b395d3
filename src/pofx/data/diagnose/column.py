"""What one column looks like: its distinct values and their counts, quartiles, scale, recorded step.

All of it is computed from the sorted column, shifted by its median and scaled by a power of two, so that
neither the order of the rows nor the unit of the column, nor a value of 1e300, makes a difference.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from pofx.core.units import Units
from pofx.data.diagnose.finding import number, short
from pofx.maths.bins import lattice_step

__all__ = ["Column", "ColumnSummary", "Lattice", "robust_scale"]

FINEST = 1e-12  # of the range: finer steps are the rounding of floats
# Where the middle half of the rows holds one value, wider quantiles give the scale. Each pair: the share
# below, and the number of standard deviations between the two quantiles of a normal column.
SPREADS = ((0.25, 1.349), (0.10, 2.563), (0.02, 4.107))


def _at(x: np.ndarray, q: float) -> float:
    """Return the q-quantile (type 7, NumPy's default) of ascending values; no difference is formed that
    could overflow, and among equal values it is that value."""
    position = q * (len(x) - 1)
    i = int(position)
    low, high = float(x[i]), float(x[min(i + 1, len(x) - 1)])
    share = position - i
    return low if low == high else low * (1.0 - share) + high * share


def robust_scale(z: np.ndarray) -> tuple[float, float, float]:
    """Return (scale, low, high) of ascending values: the standard deviation that a normal column with the
    same quantiles would have, and these quantiles: the quartiles, or wider ones where they coincide; scale
    0 where nearly all rows hold one value."""
    low = high = float(z[0])
    for tail, width in SPREADS:
        low, high = _at(z, tail), _at(z, 1.0 - tail)
        if high > low:
            return (high - low) / width, low, high
    return 0.0, low, high


@dataclass(frozen=True)
class ColumnSummary:
    """A row of the table of columns, in data units; None where there is no such number.

    ``decimals`` are the recorded decimal places (None: not recorded with a fixed number), ``step`` is the
    spacing of the lattice that all values lie on (None: there is none), ``sd`` has the divisor n - 1,
    ``distinct`` counts different values and ``missing`` rows without one. ``effective`` is the number of
    independent rows that would tell as much: fewer than are there only where the column drifts with the
    order of the rows.
    """

    name: str
    dtype: str
    decimals: int | None
    step: float | None
    min: float | None
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None
    max: float | None
    mean: float | None
    sd: float | None
    distinct: int
    missing: int
    effective: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def recorded(self) -> str:
        """How the values were written down: "whole numbers", "3 decimals", "steps of 5", "continuous"."""
        if self.dtype == "bool":
            return "true or false"
        places = self.decimals
        if self.step is not None and (places is None or self.step > 1.001 * 10.0**-places):
            return f"steps of {number(self.step)}"
        if places is None:
            return "continuous"
        return {0: "whole numbers", 1: "1 decimal"}.get(places, f"{places} decimals")


@dataclass(frozen=True)
class Lattice:
    """The values that a column can take, in unit space, whole steps apart; ``scale``: its spread in steps."""

    units: Units
    step: float
    scale: float

    def index(self, x: np.ndarray) -> np.ndarray:
        """Return the k of values in data units, counted from the smallest."""
        z = self.units.to(x)
        return np.rint((z - z.min()) / self.step)


class Column:
    """The present values of one column.

    Parameters
    ----------
    x : ndarray of shape (n,)
        The column, NaN where a value is missing.
    label, dtype, decimals
        As :class:`pofx.validation.Columns` has them.
    key : str
        How ``columns=`` and ``drop=`` name it, as code: "'waiting'", "3".
    """

    def __init__(self, x: np.ndarray, label: str, key: str, dtype: str, decimals: int | None = None) -> None:
        present = np.sort(x[~np.isnan(x)]) + 0.0  # + 0.0: no -0.0
        self.label, self.key, self.dtype, self.decimals = short(label), key, dtype, decimals
        self.full_label = label
        self.missing = len(x) - len(present)
        self.n = len(present)
        if self.n:
            ends = present[[(self.n - 1) // 2]], present[[0]], present[[-1]]
            self.units = Units.for_range(*ends)
            first = np.flatnonzero(np.concatenate([[True], present[1:] != present[:-1]]))
            self._distinct = present[first]
            self.counts = np.diff(np.append(first, self.n))
            self.z = self.units.to(present)
        else:
            self.units = Units.identity(1)
            self._distinct, self.z, self.counts = present, present, np.empty(0, dtype=np.int64)
        self._present = present

    @property
    def values(self) -> np.ndarray:
        """The distinct values, ascending, in data units."""
        return self._distinct

    @property
    def k(self) -> int:
        """How many different values there are."""
        return len(self._distinct)

    @cached_property
    def v(self) -> np.ndarray:
        """The distinct values, ascending, in unit space (range about one)."""
        return self.units.to(self._distinct)

    def length(self, in_units: float) -> float:
        """Return a length of unit space in data units, the largest float where it exceeds that."""
        with np.errstate(over="ignore"):
            length = np.ldexp(in_units, int(self.units.exponent[0]))
        return float(min(length, np.finfo(np.float64).max))

    def value(self, z: float) -> float:
        """Return a point of unit space in data units."""
        return float(self.units.back(np.array([z]))[0])

    @cached_property
    def mean(self) -> float:
        """The mean, unit space."""
        return float(self.z.mean())

    @cached_property
    def sd(self) -> float:
        """The standard deviation (divisor n - 1), unit space; 0 for one row."""
        return float(self.z.std(ddof=1)) if self.n > 1 else 0.0

    @cached_property
    def step(self) -> float | None:
        """The spacing of the lattice that the values lie on, unit space; None where there is none."""
        return lattice_step(self.v)

    @cached_property
    def scale(self) -> float:
        """The standard deviation or what the quantiles say of it, whichever is smaller; unit space."""
        robust, _, _ = robust_scale(self.z)
        return min(robust, self.sd) if robust > 0 else self.sd

    def lattice(self) -> Lattice | None:
        """Return the lattice of the values; of two to four values their smallest gap is the step."""
        if self.k < 2:
            return None
        step = self.step if self.step is not None or self.k > 4 else float(np.diff(self.v).min())
        if step is None or step < FINEST:
            return None
        return Lattice(self.units, step, self.scale / step)

    @cached_property
    def tied_pairs(self) -> float:
        """The number of pairs of rows that share a value."""
        counts = self.counts.astype(float)
        return float((counts * (counts - 1.0)).sum() / 2.0)

    def apart_from(self, at: np.ndarray) -> Column:
        """Return the column without the rows at some of its distinct values (given by position)."""
        gone = np.zeros(self.k, dtype=bool)
        gone[at] = True
        rest = self._present[~np.repeat(gone, self.counts)]
        return Column(rest, self.full_label, self.key, self.dtype, self.decimals)

    def summary(self) -> ColumnSummary:
        """Return the row of the table of columns."""
        x = self._present
        if not self.n:
            return ColumnSummary(
                self.full_label, self.dtype, self.decimals, None, *(None,) * 7, 0, self.missing, 0.0
            )
        step = self.length(self.step) if self.step is not None else None
        if step is None and self.decimals is not None and self.k > 1:
            step = 10.0**-self.decimals
        elif step is not None and self.decimals is not None:
            step = round(step, self.decimals) or step
        return ColumnSummary(
            name=self.full_label,
            dtype=self.dtype,
            decimals=self.decimals,
            step=step,
            min=float(x[0]),
            lower_quartile=_at(x, 0.25),
            median=_at(x, 0.5),
            upper_quartile=_at(x, 0.75),
            max=float(x[-1]),
            mean=self.value(self.mean),
            sd=self.length(self.sd) if self.n > 1 else None,
            distinct=self.k,
            missing=self.missing,
            effective=float(self.n),
        )
