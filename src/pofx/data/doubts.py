"""What numbers cannot tell for certain and is therefore warned of: codes for missing values, doubled rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# codes in common use: survey and weather data, the fill values of FITS and netCDF, of old Fortran
_REPEATED = [float(digit * times) for digit in "789" for times in range(2, 7)]  # 77, ..., 999999
_FILLS = [1e20, 1e30, 1e34, 9.969209968386869e36, 3.4028234663852886e38, 1.7976931348623157e308]
_CODES = frozenset(
    [sign * code for code in [*_REPEATED, 99.9, 999.9, 9999.9, *_FILLS] for sign in (1.0, -1.0)]
    + [-9.0, -32768.0, 32767.0, -2147483648.0]
)


def code_for_missing(column: NDArray[np.float64]) -> tuple[float, int] | None:
    """Return a value that is probably a code for a missing one, and how often it comes, or None.

    It is one of the usual codes, the least or the greatest value, and further from its neighbour than all
    other values are from one another.

    Parameters
    ----------
    column : (n,) numbers, NaN where missing
    """
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(column), np.fmax.reduce(column)
    for code in (low, high):
        if code not in _CODES or low == high:
            continue
        rest = column[~np.isnan(column) & (column != code)]
        with np.errstate(over="ignore"):
            gap = abs(code - (rest.min() if code == low else rest.max()))
            if len(rest) >= 2 and gap > rest.max() - rest.min() and gap > 0.5 * abs(code):
                return float(code), int((column == code).sum())
    return None


def doubled(values: NDArray[np.float64]) -> bool:
    """Tell whether the second half of the rows repeats the first, as after a file was appended to itself."""
    half, odd = divmod(len(values), 2)
    if odd or half < 5 or not np.array_equal(values[:1], values[half : half + 1], equal_nan=True):
        return False
    if not np.array_equal(values[:half], values[half:], equal_nan=True):
        return False
    return not np.array_equal(values[:1].repeat(half, axis=0), values[:half], equal_nan=True)


__all__ = ["code_for_missing", "doubled"]
