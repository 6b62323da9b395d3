"""What is done to each column: its map, and the values that it can be recorded with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ParameterError
from ...maths.bijections import Bijection, Identity, as_bijection
from ...validation import Columns
from .lattice import Lattice, closed, lattice_of, step_inside

__all__ = ["Column", "columns_of", "given_for"]


@dataclass(frozen=True)
class Column:
    """One column: its map, its recordable values (None: continuous), its dtype, whether it is discrete."""

    map: Bijection
    lattice: Lattice | None
    dtype: str
    discrete: bool

    def recordable(self, x: np.ndarray) -> np.ndarray:
        """Return values that stay inside the bounds when they are rounded to the recorded precision."""
        if self.lattice is not None:
            bounded = self.discrete or not isinstance(self.map, Identity)
            return self.lattice.round(x) if bounded else x
        return step_inside(x, self.map.domain, self.dtype)


def columns_of(bijection: Any, discrete: Any, columns: Columns) -> list[Column]:
    """Return what is done to each column.

    Raises
    ------
    ParameterError
        For a column that does not exist, something that is no bijection, and a discrete column without a
        recorded precision.
    """
    given = given_for(bijection, columns)
    chosen = discrete_columns(discrete, columns)
    out = []
    for j, spec in enumerate(given):
        if isinstance(spec, tuple | list) and len(spec) == 2:
            spec = closed(spec[0], spec[1], columns.decimals[j])
        b = as_bijection(spec)
        out.append(Column(b, lattice_of(columns, j, b.domain), columns.dtypes[j], j in chosen))
    return out


def given_for(bijection: Any, columns: Columns) -> list[Any]:
    """Return what was asked for each column, as it was written."""
    if not isinstance(bijection, Mapping):
        return [Identity() if bijection is None else bijection] * len(columns)
    given: list[Any] = [Identity()] * len(columns)
    for key, value in bijection.items():
        given[columns.index(key)] = value
    return given


def discrete_columns(discrete: Any, columns: Columns) -> set[int]:
    """Return the numbers of the discrete columns."""
    if discrete is False or discrete is None:
        return set()
    if discrete is True:
        chosen = set(range(len(columns)))
    elif isinstance(discrete, Sequence) and not isinstance(discrete, str):
        chosen = {columns.index(key) for key in discrete}
        if len(chosen) == len(columns):
            raise ParameterError(
                "discrete names every column: write discrete=True, so that log_density is known to be that "
                "of a probability (measure 'mass') before the fit."
            )
    else:
        raise ParameterError(
            f"discrete must be True, False or a list of columns, such as ['age']; got {discrete!r:.80}."
        )
    lacking = [repr(columns.label(j)) for j in sorted(chosen) if columns.decimals[j] is None]
    if lacking:
        raise ParameterError(
            f"discrete: {', '.join(lacking[:8])} {'has' if len(lacking) == 1 else 'have'} no recorded "
            "precision: the values are continuous, each has probability zero. Leave it out of discrete, or "
            "round it first."
        )
    return chosen
