"""Columns that are, or nearly are, linear combinations of others; and which.

The correlation matrix is factored by Cholesky with pivoting: columns are taken in the order of what the
ones taken before leave unexplained. Those left with next to nothing are combinations of the taken ones,
and the coefficients say of which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np

from pofx.core.fold import block_rows
from pofx.core.units import Units
from pofx.data.diagnose.finding import GAUSSIAN, HISTOGRAM, KDE, MIXTURE, Finding, Quantity, listed, short
from pofx.maths.moments import Moments
from pofx.threads import map_ordered, one_blas_thread

__all__ = ["correlation", "relation_findings"]

MOST = 2_000  # columns: the work grows with their cube
EXACT = 1e-12  # variance left unexplained, as a share, that is no more than rounding
NARROW = 1e-4  # a hundredth of the standard deviation: a kernel or a floor on widths cannot follow it
NEARLY = 1e-2
SPARE_ROWS = 5  # rows beyond the number of columns, for a relation to be more than a fit through the rows


def correlation(
    values: np.ndarray, order: np.ndarray, units: Units, inside: np.ndarray
) -> tuple[np.ndarray, int]:
    """Return the correlation matrix (d, d) of rows, and how many rows it is of.

    Parameters
    ----------
    values : ndarray of shape (n, d)
    order : ndarray of int
        The rows to take, in an order that depends on what they hold, not on where they stand.
    units : Units
        Of the d columns, none of which may be constant.
    inside : ndarray of shape (2, d)
        Lowest and highest value of each column, unit space: rows beyond are outliers that would make
        any columns look related.
    """
    size = block_rows(len(units))

    def moments(start: int) -> Moments | None:
        z = units.to(values[order[start : start + size]])
        z = z[((z >= inside[0]) & (z <= inside[1])).all(axis=1)]
        return Moments.of(z, np.ones(len(z))) if len(z) else None

    with one_blas_thread():
        parts = [part for part in map_ordered(moments, range(0, len(order), size)) if part is not None]
    if not parts:
        return np.eye(len(units)), 0
    total = reduce(lambda a, b: a + b, parts)
    covariance = total.covariance
    sd = np.sqrt(np.diag(covariance))
    sd[sd == 0] = 1.0  # constant once the outliers are out: related to nothing
    matrix = covariance / sd[:, None] / sd[None, :]
    np.fill_diagonal(matrix, 1.0)
    return matrix, int(total.weight)


def relation_findings(matrix: np.ndarray, n: int, names: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Yield one finding per column that is nearly a linear combination of others.

    Parameters
    ----------
    matrix : ndarray of shape (d, d)
        Correlations.
    n : int
        The number of rows they are of.
    names : d labels and keys
    """
    d = len(matrix)
    taken: list[int] = []
    left = np.ones(d)
    factor = np.zeros((d, d))  # row j: column j in terms of the taken ones, so far
    for i in range(d):
        free = n - 1 - i
        if free < SPARE_ROWS:
            return
        open_ones = np.where(np.isin(np.arange(d), taken), -1.0, left)
        pivot = int(np.argmax(open_ones))
        if left[pivot] * (n - 1) / free < NEARLY:
            break
        factor[:, i] = (matrix[:, pivot] - factor[:, :i] @ factor[pivot, :i]) / np.sqrt(left[pivot])
        left = left - factor[:, i] ** 2
        taken.append(pivot)
    else:
        return
    base = np.linalg.cholesky(matrix[np.ix_(taken, taken)])
    for j in sorted(set(range(d)) - set(taken)):
        share = max(float(left[j]), 0.0) * (n - 1) / (n - 1 - len(taken))
        weight = np.linalg.solve(base.T, np.linalg.solve(base, matrix[taken, j]))
        strong = np.flatnonzero(np.abs(weight) > 0.1 * np.abs(weight).max())
        partners = [taken[i] for i in strong[np.argsort(-np.abs(weight[strong]), kind="stable")]]
        yield _finding(*names[j], [names[i][0] for i in partners], share, matrix[j, partners[0]])


def _finding(label: str, key: str, partners: list[str], share: float, r: float) -> Finding:
    exact = share <= EXACT
    kind = "linear function of" if len(partners) == 1 else "linear combination of"
    if exact:
        said = f"{short(label)} is a {kind} {listed(partners)}."
        consequence = (
            "The rows fill a flat sheet: no density exists in all of these columns at once, and a full "
            "covariance is singular."
        )
    else:
        left = f"their correlation is {r:.6f}, and " * (len(partners) == 1)
        said = (
            f"{short(label)} is nearly a {kind} {listed(partners)}: {left}{share:.1e} of its variance is "
            "left unexplained."
        )
        consequence = (
            "The rows fill a thin sheet, which kernels and bins along the columns cannot follow, nor a "
            "mixture whose widths have a floor."
        )
    return Finding(
        "collinear",
        (label, *partners[:6]),
        Quantity(share, "of its variance left unexplained"),
        said,
        consequence,
        (GAUSSIAN, MIXTURE, KDE) if exact else (MIXTURE, KDE, HISTOGRAM),
        "blocks" if exact else ("warning" if share < NARROW else "note"),
        f"Leave one of them out, as drop=[{key}] does"
        + (", or use pofx.Gaussian(shrinkage='ledoit_wolf')." if exact else "."),
    )
