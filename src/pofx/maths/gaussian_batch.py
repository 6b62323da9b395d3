"""Many small covariance matrices at once, the matrices along the last axis.

Arrays are (d, d, M) or (d, M): M matrices are factored by loops over the d columns whose every step is one
vectorised operation over all M. For the small d and many components of a mixture search this is an order
of magnitude faster than M calls of LAPACK, and no matrix can raise an exception for the others.
"""

from __future__ import annotations

import numpy as np

__all__ = ["cholesky", "floor_eigenvalues", "precision", "triangular_inverse"]

LAPACK_FROM = 13  # beyond so many columns one LAPACK call per matrix is the faster way


def cholesky(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower Cholesky factors (d, d, M) of symmetric ``a``, and which are positive definite.

    A matrix that is not positive definite gets a factor without meaning and ``False``, not an exception.
    """
    d, _, m = a.shape
    if d >= LAPACK_FROM:
        return _lapack_cholesky(a)
    good = np.ones(m, dtype=bool)
    factor = np.zeros_like(a)
    with np.errstate(over="ignore", invalid="ignore"):  # in matrices that are not positive definite
        for j in range(d):
            column = a[j:, j]
            if j == 1:
                column = column - factor[1:, 0] * factor[1, 0]
            elif j:
                column = column - (factor[j:, :j] * factor[j, :j]).sum(axis=1)
            positive = column[0] > 0.0
            if positive.all():
                pivot = np.sqrt(column[0])
            else:
                good &= positive
                pivot = np.sqrt(np.where(good, column[0], 1.0))
            np.divide(column, pivot, out=factor[j:, j])
            factor[j, j] = pivot
    return factor, good


def _lapack_cholesky(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    stacked = np.ascontiguousarray(np.moveaxis(a, 2, 0))
    good = np.ones(len(stacked), dtype=bool)
    try:
        factors = np.linalg.cholesky(stacked)
    except np.linalg.LinAlgError:
        factors = np.empty_like(stacked)
        for i, matrix in enumerate(stacked):
            try:
                factors[i] = np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError:
                factors[i], good[i] = np.eye(len(matrix)), False
    return np.moveaxis(factors, 0, 2), good


def triangular_inverse(factor: np.ndarray) -> np.ndarray:
    """Return the inverses (d, d, M) of lower triangular ``factor``, by forward substitution."""
    d = len(factor)
    if d >= LAPACK_FROM:
        inverse = np.linalg.inv(np.ascontiguousarray(np.moveaxis(factor, 2, 0)))
        return np.moveaxis(np.tril(inverse), 0, 2)
    out = np.zeros_like(factor)
    for i in range(d):
        out[i, i] = 1.0 / factor[i, i]
        if i:
            out[i, :i] = -(factor[i, :i, None] * out[:i, :i]).sum(axis=0) * out[i, i]
    return out


def precision(inverse: np.ndarray) -> np.ndarray:
    """Return ``LᵀL`` (d, d, M) for inverse Cholesky factors L: the precision matrices."""
    d = len(inverse)
    if d >= LAPACK_FROM:
        stacked = np.ascontiguousarray(np.moveaxis(inverse, 2, 0))
        return np.moveaxis(np.swapaxes(stacked, 1, 2) @ stacked, 0, 2)
    out = np.empty_like(inverse)
    for i in range(d):
        for j in range(i + 1):
            out[i, j] = out[j, i] = (inverse[i:, i] * inverse[i:, j]).sum(axis=0)
    return out


def floor_eigenvalues(a: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Raise every eigenvalue of ``a`` (d, d, M) below ``floor`` to it; return the result and which changed.

    This is the maximum-likelihood covariance under the constraint ``Σ ≥ floor · I``. Only the matrices for
    which ``a − floor · I`` has no Cholesky factor pay for an eigendecomposition.
    """
    shifted = a.copy()
    diagonal = np.arange(len(a))
    shifted[diagonal, diagonal] -= floor
    low = ~cholesky(shifted)[1]
    if low.any():
        finite = np.isfinite(a).all(axis=(0, 1))
        if not finite.all():  # a component that lost all its rows
            a = np.where(finite, a, floor * np.eye(len(a))[:, :, None])
        values, vectors = np.linalg.eigh(np.moveaxis(a[:, :, low], 2, 0))
        raised = (vectors * np.maximum(values, floor)[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        a = a.copy()
        a[:, :, low] = np.moveaxis((raised + np.swapaxes(raised, 1, 2)) / 2.0, 0, 2)
    return a, low
