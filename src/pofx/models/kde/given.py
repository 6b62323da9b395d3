"""Bandwidths given as numbers: checked, one per column or a matrix, in the units the model computes in."""

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
Given = float | Sequence[float] | Mapping[str | int, float] | NDArray[np.float64]


def numbers(bandwidth: Any) -> float | list[float] | dict[str | int, float] | Floats:
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
                f"bandwidth must be one of {', '.join(map(repr, RULES))}, a positive number, one number per "
                f"column, or a matrix; got {bandwidth!r}."
            )
        return real_number(bandwidth, "bandwidth", above=0.0)
    if len(shape) == 2:
        return _matrix(bandwidth, shape)
    raise ParameterError(
        f"bandwidth must be one number, one per column, or a square matrix; got an array of shape {shape}."
    )


def _matrix(bandwidth: Any, shape: tuple[int, ...]) -> Floats:
    """Return a bandwidth matrix, the covariance of the bump, if it can be one."""
    try:
        matrix = np.array(bandwidth, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"bandwidth must hold numbers; got {bandwidth!r:.120}.") from None
    if shape[0] != shape[1]:
        raise ParameterError(f"A bandwidth matrix must be square, columns × columns; got shape {shape}.")
    if not np.isfinite(matrix).all() or not (np.diag(matrix) > 0.0).all():
        raise ParameterError("A bandwidth matrix must be finite, with positive variances on its diagonal.")
    sd = np.sqrt(np.diag(matrix))
    correlation = matrix / sd / sd[:, None]
    if np.abs(correlation - correlation.T).max() > 1e-8:
        raise ParameterError("A bandwidth matrix is the covariance of the bump: it must be symmetric.")
    least = float(np.linalg.eigvalsh((correlation + correlation.T) / 2.0)[0])
    if least < 1e-12:
        raise ParameterError(
            "A bandwidth matrix must be positive definite; with variances scaled to 1 its smallest "
            f"eigenvalue is {least:.3g}. A covariance is meant: h² on its diagonal, not h."
        )
    return np.asarray((matrix + matrix.T) / 2.0)


def per_column(bandwidth: Given, columns: Columns) -> Floats:
    """Return one bandwidth per column, or the matrix, data units (ParameterError for a wrong number)."""
    given, d = numbers(bandwidth), len(columns)
    if isinstance(given, np.ndarray):
        if len(given) != d:
            size = f"{len(given)} × {len(given)}"
            raise ParameterError(f"bandwidth is a {size} matrix; the rows have {d} columns.")
        return given
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
    """Return the bandwidths (d,), or the matrix (d, d), in the unit space of these rows."""
    h = per_column(bandwidth, data.columns)
    if h.ndim == 2:
        return _matrix_in_unit_space(h, data)
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(h, -data.units.exponent)
    for j in np.flatnonzero(~np.isfinite(scaled) | (scaled < np.finfo(np.float64).tiny)):
        raise ParameterError(
            f"bandwidth {h[j]:.3g} of {data.label(int(j))} cannot be used: beside the column's range "
            f"(about {data.units.scale[j]:.3g}) it is beyond float64."
        )
    return scaled


def _matrix_in_unit_space(matrix: Floats, data: Data) -> Floats:
    e = data.units.exponent
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(matrix, -(e[:, None] + e[None, :]))
    diagonal = np.diag(scaled)
    if not np.isfinite(scaled).all() or (diagonal < np.finfo(np.float64).tiny).any():
        raise ParameterError(
            "The bandwidth matrix cannot be used: beside the columns' ranges it is beyond float64."
        )
    return scaled


def in_data_units(h: Floats, units: Units) -> Floats:
    """Return bandwidths (d,) or a matrix (d, d) of unit space in the units of the columns."""
    e = units.exponent
    return np.ldexp(h, e if h.ndim == 1 else e[:, None] + e[None, :])
