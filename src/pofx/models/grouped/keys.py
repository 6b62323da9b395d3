"""Which group a row belongs to: its levels, and which of its columns stand at a spike.

The key of a row has one number for each grouping column, the value there, and one for each column with
spikes: 0 where it is at none of them, k where it is at the k-th.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError
from ...validation import Columns, real_number, values_of

__all__ = ["Keys", "positions"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Keys:
    """The columns that decide a row's group.

    Attributes
    ----------
    by : numbers of the grouping columns
    spikes : (number of a column, its spikes) of each column that has any
    d : columns in all
    """

    by: tuple[int, ...]
    spikes: tuple[tuple[int, tuple[float, ...]], ...]
    d: int

    @classmethod
    def of(cls, by: Any, spikes: Any, columns: Columns) -> Keys:
        """Return the keys that ``Grouped(by=, spikes=)`` asks for.

        Raises
        ------
        ParameterError
            For columns that are not there, or named twice, and for spikes that are no numbers.
        """
        numbers = tuple(columns.index(key) for key in listed(by))
        spiked = [(columns.index(key), _spikes(values, key)) for key, values in mapping(spikes).items()]
        every = [*numbers, *(j for j, _ in spiked)]
        if len(set(every)) != len(every):
            raise ParameterError(
                f"by= and spikes= need different columns; got by={by!r} and spikes={spikes!r}."
            )
        for j, _ in spiked:
            if columns.levels_of(j) is not None:
                raise ParameterError(
                    f"{columns.label(j)!r} holds text, which has no spikes: name it in by= instead."
                )
        return cls(numbers, tuple(sorted(spiked)), len(columns))

    @property
    def spiked(self) -> tuple[int, ...]:
        """The numbers of the columns with spikes."""
        return tuple(j for j, _ in self.spikes)

    @property
    def rest(self) -> list[int]:
        """The numbers of the columns that are no grouping columns."""
        return [j for j in range(self.d) if j not in self.by]

    def of_rows(self, x: Floats) -> Floats:
        """Return the keys (n, g + s) of rows (n, d) in data units."""
        out = np.zeros((len(x), len(self.by) + len(self.spikes)))
        out[:, : len(self.by)] = x[:, list(self.by)] + 0.0  # -0.0 and 0.0 are one level
        for i, (j, values) in enumerate(self.spikes, len(self.by)):
            out[:, i] = code_of(x[:, j], values)
        return out

    def free(self, key: Any) -> list[int]:
        """Return the columns that have a density in the group of this key, in order."""
        stuck = {j for j, code in zip(self.spiked, key[len(self.by) :], strict=True) if code}
        return [j for j in range(self.d) if j not in self.by and j not in stuck]

    def fixed(self, key: Any) -> dict[int, float]:
        """Return the value of each column that has one value only in the group of this key."""
        out = {j: float(v) for j, v in zip(self.by, key, strict=False)}
        for (j, values), code in zip(self.spikes, key[len(self.by) :], strict=True):
            if code:
                out[j] = values[int(code) - 1]
        return out

    def said(self, key: Any, columns: Columns) -> str:
        """Return a group's name in words: "sex = 'Female', capital-gain at 0"."""
        words = [
            f"{columns.label(j)} = {values_of(np.array([value]), columns, j)[0]!r}"
            for j, value in zip(self.by, key, strict=False)
        ]
        for (j, values), code in zip(self.spikes, key[len(self.by) :], strict=True):
            words.append(
                f"{columns.label(j)} " + (f"at {values[int(code) - 1]:g}" if code else "off its spikes")
            )
        return ", ".join(words)


def code_of(x: Floats, spikes: Sequence[float]) -> Floats:
    """Return 0 where values are at no spike, k where they are at the k-th."""
    out = np.zeros(len(x))
    for k, value in enumerate(spikes, 1):
        out[x == value] = k
    return out


def listed(by: Any) -> list[Any]:
    """Return the grouping columns as they were named.

    Raises
    ------
    ParameterError
        Where they are neither a column nor a list of columns.
    """
    if by is None:
        return []
    if isinstance(by, str | int | np.integer):
        return [by]
    if isinstance(by, Sequence) and all(isinstance(key, str | int | np.integer) for key in by):
        return list(by)
    raise ParameterError(f"by= needs a column or a list of columns, by name or number; got {by!r:.80}.")


def mapping(spikes: Any) -> Mapping[Any, Any]:
    """Return the spikes by column; raise ParameterError where they are no mapping."""
    if spikes is None:
        return {}
    if not isinstance(spikes, Mapping):
        raise ParameterError(
            f"spikes= needs a mapping of column to value, such as {{'capital-gain': 0}}; got {spikes!r:.80}."
        )
    return spikes


def _spikes(values: Any, key: Any) -> tuple[float, ...]:
    each = values if isinstance(values, list | tuple | np.ndarray) else [values]
    found = tuple(real_number(v, f"spikes[{key!r}]") for v in each)
    if not found or len(set(found)) != len(found):
        raise ParameterError(f"spikes[{key!r}] needs one or more different numbers; got {values!r:.80}.")
    return found


def positions(known: Floats, asked: Floats) -> NDArray[np.intp]:
    """Return for each row of ``asked`` (n, q) the number of the equal row of ``known`` (k, q), else −1.

    The rows of ``known`` are all different. Time of the order of n log k for each column.
    """
    of_known = np.zeros(len(known), dtype=np.intp)
    of_asked = np.zeros(len(asked), dtype=np.intp)
    there = np.ones(len(asked), dtype=bool)
    for j in range(known.shape[1]):
        values = np.unique(known[:, j])
        at = np.minimum(np.searchsorted(values, asked[:, j]), len(values) - 1)
        there &= values[at] == asked[:, j]
        of_known = of_known * len(values) + np.searchsorted(values, known[:, j])
        together = of_asked * len(values) + at
        # Numbered anew at each column, so that many columns cannot overflow the product.
        different, of_known = np.unique(of_known, return_inverse=True)
        of_asked = np.minimum(np.searchsorted(different, together), len(different) - 1)
        there &= different[of_asked] == together
    order = np.argsort(of_known)
    return np.where(there, order[of_asked], -1)
