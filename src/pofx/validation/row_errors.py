"""Measurement errors of rows: known standard deviations, or covariances, of what was added to each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DataError

_ROUNDING = 1e-8  # relative asymmetry, and negative eigenvalues of the correlations, that rounding explains


def row_errors(errors: Any, n: int, d: int, *, kept: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Check the errors of ``n`` rows of ``d`` columns.

    Parameters
    ----------
    errors : a number, (d,) or, per row, (n, d): standard deviations; in one column (n,) too.
        (n, d, d), or (1, d, d) for all rows: covariances.
    n : rows of X as they were given
    kept : mask of the rows that were kept, if any was dropped

    Returns
    -------
    (m, d) standard deviations or (m, d, d) covariances, float64, a fresh array, m the rows kept or 1 for all.

    Raises
    ------
    DataError
        for another shape, negative, NaN or infinite errors, covariances that are not symmetric or not
        positive semidefinite; with the first bad row.
    """
    try:
        e = np.array(errors, dtype=np.float64)
    except (TypeError, ValueError) as why:
        raise DataError(f"errors must be numbers: {why}") from None
    e = _shaped(e, n, d)
    finite = np.isfinite(e).reshape(len(e), -1).all(axis=1)
    if not finite.all():
        i = int(np.argmin(finite))
        raise DataError(
            f"errors must be finite: {int((~finite).sum())} of {len(e)} rows are not (first: {_row(e, i)}, "
            f"{e[i].tolist()}). An entry without any known error bound is a missing value."
        )
    if e.ndim == 2:
        negative = (e < 0).any(axis=1)
        if negative.any():
            i = int(np.argmax(negative))
            raise DataError(f"errors are standard deviations, at least 0: {_row(e, i)} has {e[i].tolist()}.")
    else:
        e = _semidefinite(e)
    return e[kept] if kept is not None and len(e) > 1 else e


def _shaped(e: NDArray[np.float64], n: int, d: int) -> NDArray[np.float64]:
    if e.ndim == 0:
        return np.full((1, d), float(e))
    if e.ndim == 1 and len(e) == d:
        return e[None]
    if e.ndim == 1 and d == 1 and len(e) == n:
        return e[:, None]
    if e.ndim == 2 and e.shape == (n, d):
        return e
    if e.ndim == 3 and e.shape[1:] == (d, d) and len(e) in (1, n):
        return e
    hint = ""
    if e.shape == (d, d):
        hint = f" A covariance that all rows share is errors[None], of shape (1, {d}, {d})."
    raise DataError(
        f"errors of {n} rows of {d} columns must be standard deviations, ({d},) for all or ({n}, {d}), or "
        f"covariances, (1, {d}, {d}) for all or ({n}, {d}, {d}); got shape {e.shape}.{hint}"
    )


def _semidefinite(e: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = np.diagonal(e, 0, 1, 2)
    if (variance < 0).any():
        i = int(np.argmax((variance < 0).any(axis=1)))
        raise DataError(f"errors must have variances of at least 0: {_row(e, i)} has {variance[i].tolist()}.")
    sd = np.sqrt(variance)
    scale = np.where(sd > 0, sd, 1.0)  # a column without error has no covariance either
    unit = e / scale[:, :, None] / scale[:, None, :]
    off = np.abs(unit - np.swapaxes(unit, 1, 2)).reshape(len(e), -1).max(axis=1)
    if (off > _ROUNDING).any():
        i = int(np.argmax(off > _ROUNDING))
        raise DataError(f"errors must be symmetric matrices: in {_row(e, i)} entries differ by {off[i]:.3g}.")
    unit = (unit + np.swapaxes(unit, 1, 2)) / 2.0
    least = np.linalg.eigvalsh(unit)[:, 0]
    if (least < -_ROUNDING).any():
        i = int(np.argmax(least < -_ROUNDING))
        raise DataError(
            f"errors must be positive semidefinite matrices: in {_row(e, i)} the smallest eigenvalue of the "
            f"correlations is {least[i]:.3g}."
        )
    return np.ascontiguousarray(unit * scale[:, :, None] * scale[:, None, :])


def _row(e: NDArray[np.float64], i: int) -> str:
    return f"row {i}" if len(e) > 1 else "the one for all rows"
