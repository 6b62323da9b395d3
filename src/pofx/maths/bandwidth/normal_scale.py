r"""The normal scale rule, and what every rule for a bandwidth matrix shares.

    H = (4 / (n (d + 2)))^{2/(d+4)} S        minimises the asymptotic error of a Gaussian kernel on a normal
                                             sample with covariance S (n − 1 in the divisor).

The other rules work on rows x = mean + B z that this module standardises (:func:`standardise`): sphered, so
that the covariance of z is the identity, for full matrices; scaled to unit variances for diagonal ones. A
matrix H* for z is H = B H* Bᵀ for x, so full matrices follow every linear change of the columns.

Sources: M. P. Wand and M. C. Jones, *Kernel Smoothing*, Chapman & Hall 1995, 4.3; J. E. Chacón, T. Duong and
M. P. Wand, *Statistica Sinica* 21 (2011) 807-840, for the normal scale matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, root

from pofx.errors import DegenerateError
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import tie_step, total_weight, weighted_mean, weighted_sd

__all__ = [
    "NormalScale",
    "Standard",
    "fall_back",
    "finish",
    "minimise",
    "normal_scale_factor",
    "standardise",
    "too_few",
]

Floats = NDArray[np.float64]
Objective = Callable[[Floats], tuple[float, Floats]]

COLLINEAR = 1e-13  # eigenvalue of the correlation matrix, per column, below which a relation is exact
LIMIT = 14.0  # logarithm of the largest and of the smallest variance of H in standardised units
NEAR = 0.01  # how far the last step to a zero of the slope may go, in logarithms of H
SETTLED = 1e-5  # slope of the logarithm of a criterion in the logarithms of H at which a search has ended


@dataclass(frozen=True)
class Standard:
    """Rows x = mean + B z with weights: z (n, d), w (n,), B (d, d), the covariance of z (d, d), n = Σw."""

    z: Floats
    w: Floats
    back: Floats
    covariance: Floats
    size: float

    @property
    def d(self) -> int:
        return self.z.shape[1]

    def matrix(self, h: Floats) -> Floats:
        """Return B H* Bᵀ, symmetric."""
        moved = self.back @ h @ self.back.T
        return 0.5 * (moved + moved.T)


def normal_scale_factor(n: float, d: int) -> float:
    """Return (4 / (n (d + 2)))^{1/(d+4)}, the sd of the best kernel for a standard normal sample."""
    return (4.0 / (n * (d + 2))) ** (1.0 / (d + 4))


def standardise(x: Floats, w: Floats, label: Label, *, sphere: bool) -> Standard:
    """Return the rows of ``x`` (n, d) sphered by S^{−1/2}, or scaled by their standard deviations.

    Raises
    ------
    DegenerateError
        Where the weights amount to one row or less, or columns are collinear to rounding.
    """
    size = total_weight(w)
    columns = [np.ascontiguousarray(c) for c in x.T]
    sd = np.array([weighted_sd(c, w) for c in columns])
    z = np.stack([(c - weighted_mean(c, w)) / s for c, s in zip(columns, sd, strict=True)], axis=1)
    correlation = (z * w[:, None]).T @ z / (size - 1.0)
    values, vectors = np.linalg.eigh(0.5 * (correlation + correlation.T))
    if values[0] <= COLLINEAR * len(sd):
        # The direction that does not vary names the columns which take part in it.
        part = np.flatnonzero(np.abs(vectors[:, 0]) > 0.01 * np.abs(vectors[:, 0]).max())
        names = ", ".join(repr(label(int(j))) for j in part)
        raise DegenerateError(
            f"Columns {names} are collinear: one is a linear combination of the others, so no density exists "
            "in all of them. Leave one out."
        )
    if not sphere or len(sd) == 1:
        return Standard(z, w, np.diag(sd), correlation, size)
    # The symmetric root: the rows keep their axes as far as they can, and no order of columns is special.
    forward = (vectors * np.sqrt(values)) @ vectors.T
    inverse = (vectors / np.sqrt(values)) @ vectors.T
    return Standard(z @ inverse, w, sd[:, None] * forward, np.eye(len(sd)), size)


def minimise(criterion: Objective, start: Floats, *, diagonal: bool) -> tuple[Floats, bool]:
    """Return a local minimum of ``criterion`` over positive definite H (d, d), and whether it is one.

    ``criterion(H)`` returns its value V and the symmetric matrix ∂V/∂H. The search is BFGS over the matrix
    logarithm Y of H, in which every step is positive definite and, on sphered rows, no direction is
    special: the minimum that is reached does not depend on the axes. With H = U e^Λ Uᵀ the slope is
    ∂V/∂Y = U ((Uᵀ ∂V/∂H U) ∘ K) Uᵀ,  K_ij = (e^{λ_i} − e^{λ_j})/(λ_i − λ_j) (Daleckii and Krein).
    """
    d = len(start)
    i, j = (np.arange(d), np.arange(d)) if diagonal else np.triu_indices(d)
    length = np.where(i == j, 1.0, math.sqrt(2.0))  # so that |θ| is the Frobenius norm of Y

    def spectral(theta: Floats) -> tuple[Floats, Floats]:
        y = np.zeros((d, d))
        y[i, j] = y[j, i] = theta / length
        values, vectors = np.linalg.eigh(y)
        return np.clip(values, -LIMIT, LIMIT), vectors

    def matrix(theta: Floats) -> Floats:
        values, u = spectral(theta)
        return (u * np.exp(values)) @ u.T

    def objective(theta: Floats) -> tuple[float, Floats]:
        values, u = spectral(theta)
        value, slope = criterion((u * np.exp(values)) @ u.T)
        half = 0.5 * (values[:, None] - values[None, :])
        flat = np.abs(half) < 1e-4  # there by the series of sinh(t)/t, as both are lost to rounding
        ratio = np.where(flat, 1.0 + half**2 / 6.0, np.sinh(half) / np.where(flat, 1.0, half))
        mean = np.exp(0.5 * (values[:, None] + values[None, :]))
        by_log = u @ ((u.T @ slope @ u) * ratio * mean) @ u.T
        return value / unit, by_log[i, j] * length / unit

    values, vectors = np.linalg.eigh(start)
    theta = ((vectors * np.log(values)) @ vectors.T)[i, j] * length
    unit = abs(criterion(start)[0])
    found = minimize(objective, theta, jac=True, method="BFGS", options={"gtol": 1e-5, "maxiter": 200})
    # Values tell a minimum to half the digits only; where the slope vanishes, to nearly all.
    polished = root(lambda t: objective(t)[1], found.x, method="hybr", options={"xtol": 1e-12, "maxfev": 40})
    close = float(np.abs(polished.x - found.x).max()) < NEAR and np.abs(polished.fun).max() < SETTLED
    best = polished.x if close else found.x
    inside = bool(np.abs(spectral(best)[0]).max() < LIMIT)
    return matrix(best), inside and bool(np.abs(objective(best)[1]).max() < SETTLED)


def too_few(x: Floats, w: Floats) -> tuple[str, ...]:
    """Return a note where the rows do not determine a covariance, else nothing."""
    n, d = x.shape
    if n > d + 1 and float(w.sum()) > d + 1:
        return ()
    return (f"{n} rows are too few to estimate a bandwidth from; the normal scale of each column was used.",)


def fall_back(
    x: Floats, w: Floats, label: Label, notes: tuple[str, ...], *, diagonal: bool = False
) -> Choice:
    """Return the normal scale with these notes in place of what was asked for."""
    d, factor = x.shape[1], normal_scale_factor(total_weight(w), x.shape[1])
    if diagonal or d == 1:
        return Choice(factor * np.array([weighted_sd(np.ascontiguousarray(c), w) for c in x.T]), notes)
    rows = standardise(x, w, label, sphere=False)
    return Choice(rows.matrix(factor**2 * rows.covariance), notes)


def finish(h: Floats, x: Floats, w: Floats, label: Label, notes: tuple[str, ...] = ()) -> Choice:
    """Return the choice for H ``h`` (d, d), or for sds (d,), held at half the spacing of ties.

    Where a column's sd is below that, its row and column of H are scaled up: H stays positive definite.
    """
    sd = np.sqrt(np.diag(h)) if h.ndim == 2 else h
    floor = np.array([0.5 * tie_step(np.ascontiguousarray(c), w) for c in x.T])
    raised = np.maximum(floor / sd, 1.0)
    for j in np.flatnonzero(raised > 1.0):
        notes += (f"{label(int(j))}: the ties pull the bandwidth to 0; held at half their spacing.",)
    return Choice(h * np.outer(raised, raised) if h.ndim == 2 else h * raised, notes)


@dataclass(frozen=True)
class NormalScale(Rule):
    """(4 / (n (d + 2)))^{2/(d+4)} S: best for a normal sample, too wide for several bumps."""

    name: str = field(default="normal_scale", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        """Return the matrix (d, d), or the standard deviation (1,) of a single column."""
        few = too_few(x, w) if x.shape[1] > 1 else ()
        return fall_back(x, w, label, few, diagonal=bool(few))
