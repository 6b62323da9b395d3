"""Bandwidths given as numbers: checked, one per column, in the units the model computes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.fold import Data
from ...core.units import Units
from ...errors import ParameterError
from ...maths.bandwidth import RULES
from ...validation import Columns, nearest, real_number

__all__ = ["in_data_units", "in_unit_space", "numbers", "per_column"]

Floats = NDArray[np.float64]
Given = float | Sequence[float] | Mapping[str | int, float]


def numbers(bandwidth: Any) -> float | list[float] | dict[str | int, float]:
    """Check bandwidths given as numbers and return plain floats (ParameterError otherwise)."""
    if isinstance(bandwidth, Mapping):
        return {key: real_number(v, f"bandwidth[{key!r}]", above=0.0) for key, v in bandwidth.items()}
    try:
        shape = np.shape(bandwidth)
    except ValueError:
        raise ParameterError(f"bandwidth must be one number, or one per column; got {bandwidth!r}.") from None
    if len(shape) == 1:
        return [real_number(v, f"bandwidth[{j}]", above=0.0) for j, v in enumerate(bandwidth)]
    if len(shape) == 0:
        if isinstance(bandwidth, np.ndarray):
            bandwidth = bandwidth.item()
        if isinstance(bandwidth, bool) or not isinstance(bandwidth, int | float | np.number):
            raise ParameterError(
                f"bandwidth must be one of {', '.join(map(repr, RULES))}, a positive number, or one number "
                f"per column; got {bandwidth!r}."
            )
        return real_number(bandwidth, "bandwidth", above=0.0)
    raise ParameterError(
        f"bandwidth must be one number, or one per column; got an array of shape {shape}. "
        "Bandwidth matrices are not supported yet."
    )


def per_column(bandwidth: Given, columns: Columns) -> Floats:
    """Return one bandwidth per column, data units (ParameterError where they do not match the columns)."""
    given, d = numbers(bandwidth), len(columns)
    if isinstance(given, float):
        return np.full(d, given)
    if isinstance(given, list):
        if len(given) != d:
            raise ParameterError(f"bandwidth has {len(given)} numbers, but the rows have {d} columns.")
        return np.array(given)
    out = np.zeros(d)
    for key, value in given.items():
        j = columns.index(key)
        if out[j]:
            raise ParameterError(f"bandwidth names {columns.label(j)} twice, by its name and by its number.")
        out[j] = value
    lacking = [columns.label(j) for j in range(d) if out[j] == 0.0]
    if lacking:
        hint = nearest(lacking[0], [str(k) for k in given])
        shown = ", ".join(lacking[:6])
        raise ParameterError(f"bandwidth needs a number for every column; there is none for {shown}.{hint}")
    return out


def in_unit_space(bandwidth: Given, data: Data) -> Floats:
    """Return the bandwidths (d,) in the unit space of these rows."""
    h = per_column(bandwidth, data.columns)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(h, -data.units.exponent)
    for j in np.flatnonzero(~np.isfinite(scaled) | (scaled < np.finfo(np.float64).tiny)):
        raise ParameterError(
            f"bandwidth {h[j]:.3g} of {data.label(int(j))} cannot be used: beside the column's range "
            f"(about {data.units.scale[j]:.3g}) it is beyond float64."
        )
    return scaled


def in_data_units(h: Floats, units: Units) -> Floats:
    """Return bandwidths (d,) of unit space in the units of the columns."""
    return np.ldexp(h, units.exponent)
