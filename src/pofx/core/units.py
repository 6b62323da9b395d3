"""The units in which models compute: every column shifted by one of its own values or not at all, times 2**k.

Both steps are exact: values within a factor of two subtract without rounding (Sterbenz), others are not
shifted, and a power of two only moves the exponent. So a model sees columns of about the size one, whatever
the data's units, and its log density changes by exactly ``-sum(exponent) * log 2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Units"]

LOG2 = float(np.log(2.0))


@dataclass(frozen=True)
class Units:
    """Unit space: ``z = (x - shift) / 2**exponent`` per column.

    Parameters
    ----------
    shift : ndarray of shape (d,)
        A value of each column, in data units.
    exponent : ndarray of int64, shape (d,)
        The power of two of each column.
    """

    shift: np.ndarray
    exponent: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.shift, self.exponent):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.shift)

    @classmethod
    def identity(cls, d: int) -> Units:
        """Return the units in which ``z`` is ``x``."""
        return cls(np.zeros(d), np.zeros(d, dtype=np.int64))

    @classmethod
    def for_range(cls, inside: np.ndarray, lowest: np.ndarray, highest: np.ndarray) -> Units:
        """Return units for columns that contain ``inside`` and span ``lowest`` to ``highest``."""
        half_range = highest / 2.0 - lowest / 2.0  # halves first: the range itself may overflow
        exponent = np.frexp(half_range)[1].astype(np.int64) + 1
        # Values within a factor of two of each other subtract exactly. Others are of the size of their range
        # as they are, and a shift could only round them.
        close = (lowest > highest / 2.0) & (lowest > 0.0) | (highest < lowest / 2.0) & (highest < 0.0)
        shift = np.where(close | (half_range == 0.0), inside, 0.0)
        return cls(shift, np.where(half_range > 0, exponent, 0))

    @property
    def scale(self) -> np.ndarray:
        """``2.0 ** exponent``, shape (d,)."""
        return np.ldexp(1.0, self.exponent)

    @property
    def log_jacobian(self) -> float:
        """What to add to a log density in unit space to have it in data units (nats)."""
        return -LOG2 * float(self.exponent.sum())

    def log_jacobians(self, x: np.ndarray) -> np.ndarray:
        """Return the same for the marginal density of what is observed (not NaN) of each row: (n,)."""
        return -LOG2 * (~np.isnan(x) @ self.exponent.astype(float))

    def to(self, x: np.ndarray) -> np.ndarray:
        """Data units to unit space, rows of shape (n, d) or (d,)."""
        if (
            int(self.exponent.max(initial=0)) > 1000
        ):  # a range near the end of float64: scale before subtracting
            return np.ldexp(x, -self.exponent) - np.ldexp(self.shift, -self.exponent)
        return _times_power(x - self.shift, -self.exponent)

    def back(self, z: np.ndarray) -> np.ndarray:
        """Unit space to data units."""
        return _times_power(z, self.exponent) + self.shift

    def select(self, columns: Sequence[int]) -> Units:
        """Return the units of some columns."""
        keep = list(columns)
        return Units(self.shift[keep], self.exponent[keep])

    def seen_from(self, other: Units) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(a, b)`` with ``z_other = a * z_self + b`` for the same row."""
        return np.ldexp(1.0, self.exponent - other.exponent), other.to(self.shift)


def _times_power(x: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Return ``x * 2**exponent``: a product, where the power is a number, is many times faster than ldexp."""
    if int(np.abs(exponent).max(initial=0)) > 1000:
        return np.ldexp(x, exponent)
    return np.asarray(x * np.ldexp(1.0, exponent))
