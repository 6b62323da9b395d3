"""The likeliest uniquenesses of many factor models at once: Newton's method on the profile likelihood.

With θ_m, ω_m the eigenvalues and eigenvectors of Ψ^−½ V Ψ^−½, the (at most q) largest θ above one are the
factors, Λ = Ψ^½ Ω (Θ − 1)^½, and what is left (Jöreskog 1967, Psychometrika 32:443; Lawley and Maxwell 1971,
Factor Analysis as a Statistical Method, ch. 4) is to minimise

    f(ψ) = Σ_j log ψ_j + Σ_factors (1 + log θ_m) + Σ_others θ_m   =   log|Σ| + tr Σ⁻¹V

by Newton's steps in log ψ with exact second derivatives (Clarke 1970, Br. J. Math. Stat. Psychol. 23:43),
none of which is taken where it does not descend. Often the best ψ_j is zero (a Heywood case), and Σ a good
covariance all the same. Then column j *is* a factor: f has the limit log V_jj + 1 plus the f of the other
columns' partial covariance with a factor less, and that is what is worked with, so no small ψ_j costs digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy.linalg import cho_solve, eigh

from ....maths.gaussian_batch import cholesky

__all__ = ["LEAST", "SAME", "Given", "Points", "all_free", "leading", "minimum", "scaled", "with_factors"]

ROUNDS = 200
MANY = 24  # columns from which on only the factors' eigenvectors are found
LONGEST = 3.0  # Newton's step in a log uniqueness
SHORTEST = 1e-3  # share of a Newton step below which none is tried
SHORTER = 0.3  # how a step that did not descend is shortened
SETTLED = 1e-11  # what a step should gain of f when, by quadratic convergence, it is the last one
AT_REST = 1e-24  # what it should gain when it need not be taken
ROUNDING, WORST = 1e-13, 1e5  # of f; and the largest eigenvalue whose rounding is put up with
STALLED = 0.1  # share of the last gain that a step of full length leaves
LEAST = 1e-12  # of a column's variance: where uniquenesses, and variances in a logarithm, end
LOWEST = float(np.log(LEAST))
FALLING, SMALL = -0.2, 0.01  # a step, and a share of the variance, at which a column is tried as a factor
PROSPECT = 1e-4  # what a step should gain when, by quadratic convergence, it is known where it leads
SAME = 1e-9  # minima that differ by less are one
RIDGE = 1e-11


Given = tuple[np.ndarray, np.ndarray, np.ndarray]  # rest, whole, spent


@dataclass
class Points:
    """One point for each of M problems, and what f and its derivatives there are made of.

    Attributes
    ----------
    rest : ndarray (M, d, d)
        Partial correlations given the columns that are factors; zero in those.
    whole : ndarray of bool (M, d)
        The columns that are factors.
    spent : ndarray (M,)
        What these add to f.
    x : ndarray (M, d)
        log ψ of the others.
    f, theta, omega, factor : ndarray (M,), (M, q), (M, d, q), (M, q)
        f, the largest eigenvalues (ascending) and their eigenvectors, and which of them are factors.
    """

    rest: np.ndarray
    whole: np.ndarray
    spent: np.ndarray
    x: np.ndarray
    f: np.ndarray
    theta: np.ndarray
    omega: np.ndarray
    factor: np.ndarray

    @classmethod
    def at(cls, given: Given, x: np.ndarray, q: int) -> Points:
        """Evaluate f."""
        rest, whole, spent = given
        s = scaled(rest, x)
        theta, omega = leading(s, q)
        factor = (np.arange(q) >= whole.sum(axis=1, keepdims=True)) & (theta > 1.0)
        f = spent + np.where(whole, 0.0, x).sum(axis=1) + np.trace(s, axis1=1, axis2=2)
        f += np.where(factor, 1.0 + np.log(np.where(factor, theta, 1.0)) - theta, 0.0).sum(axis=1)
        return cls(rest, whole, spent, x, f, theta, omega, factor)

    @property
    def given(self) -> Given:
        """Which columns are factors, and what that leaves."""
        return self.rest, self.whole, self.spent

    @classmethod
    def joined(cls, parts: Sequence[Points]) -> Points:
        """Return several sets of problems as one."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in NAMES))

    def take(self, which: np.ndarray) -> Points:
        """Return some of the problems."""
        return Points(*(getattr(self, name)[which] for name in NAMES))

    def put(self, which: np.ndarray, other: Points) -> None:
        """Replace some of the problems' points."""
        for name in NAMES:
            getattr(self, name)[which] = getattr(other, name)

    def improve(self, which: np.ndarray, other: Points) -> None:
        """Replace some of the problems' points where ``other`` has less f, beyond rounding."""
        better = np.flatnonzero(other.f < self.f[which] - SAME)
        self.put(which[better], other.take(better))


NAMES = tuple(f.name for f in fields(Points))


def scaled(rest: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return Ψ^−½ R Ψ^−½."""
    root = np.exp(-0.5 * x)
    return rest * root[:, :, None] * root[:, None, :]


def leading(s: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the q largest eigenvalues (M, q), in ascending order, and their eigenvectors (M, d, q)."""
    m, d, _ = s.shape
    if d < MANY:
        values, axes = np.linalg.eigh(s)
        return values[:, d - q :], axes[:, :, d - q :]
    values, axes = np.empty((m, q)), np.empty((m, d, q))
    for i, one in enumerate(s):
        value, axis = eigh(one, subset_by_index=(d - q, d - 1), driver="evx", check_finite=False)
        if len(value) < q:  # LAPACK finds none by number where all are equal to rounding
            value, axis = (a[..., d - q :] for a in np.linalg.eigh(one))
        values[i], axes[i] = value, axis
    return values, axes


def _newton(p: Points, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Newton's step in x (M, d), within bounds, and what it should gain (M,).

    With P the projection on all eigenvectors but the factors', and S = Ψ^−½ R Ψ^−½:  ∂f/∂x = diag(P − PSP),
    ∂²f = P ∘ PSP + Σ_factors ω_n ω_nᵀ ∘ G_n,  G_n = Σ_others (1 − θ_m) (θ_n + θ_m) / (θ_n − θ_m) ω_m ω_mᵀ.
    In many columns G_n is expanded to second order in 1 − θ_m, which noise leaves small.
    """
    d = p.x.shape[1]
    i = np.arange(d)
    own = p.omega * p.factor[:, None, :]
    flipped = np.swapaxes(own, 1, 2)
    outside = np.eye(d) - own @ flipped
    noise = scaled(p.rest, p.x) - (own * p.theta[:, None, :]) @ flipped
    gradient = outside[:, i, i] - noise[:, i, i]
    hessian = outside * noise
    excess = outside - noise
    squared = excess @ excess if d >= MANY else excess
    for n in range(q):
        theta, axis = np.where(p.factor[:, n], p.theta[:, n], 2.0)[:, None, None], own[:, :, n]
        if d < MANY:
            inverse = np.linalg.inv(theta * np.eye(d) - noise + RIDGE * np.eye(d))
            inner = 2.0 * theta * (outside + (1.0 - theta) * (inverse - own @ flipped / theta)) - excess
        else:
            once = (theta + 1.0) / (theta - 1.0)
            inner = once * (excess - 2.0 * theta / (theta * theta - 1.0) * squared)
        hessian += inner * axis[:, :, None] * axis[:, None, :]
    held = p.whole | ((p.x <= LOWEST) & (gradient > 0.0)) | ((p.x >= 0.0) & (gradient < 0.0))
    if held.any():
        gradient = np.where(held, 0.0, gradient)
        hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
    hessian[:, i, i] += held + RIDGE
    step = -_solved(hessian, gradient)
    step *= np.minimum(1.0, LONGEST / np.maximum(np.abs(step).max(axis=1), LEAST))[:, None]
    return step, -(step * gradient).sum(axis=1)


def _solved(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return H⁻¹g, H with its eigenvalues' absolute values: no step comes to rest on a saddle."""
    factors, convex = cholesky(np.moveaxis(hessian, 0, 2))
    out = np.empty_like(gradient)
    if not convex.all():
        values, axes = np.linalg.eigh(hessian[~convex])
        along = np.swapaxes(axes, 1, 2) @ gradient[~convex, :, None]
        out[~convex] = (axes @ (along / np.maximum(np.abs(values), RIDGE)[:, :, None]))[:, :, 0]
    if hessian.shape[1] < MANY:
        out[convex] = np.linalg.solve(hessian[convex], gradient[convex, :, None])[:, :, 0]
        return out
    for i in np.flatnonzero(convex):
        out[i] = cho_solve((factors[:, :, i], True), gradient[i], check_finite=False)
    return out


def minimum(p: Points, q: int, known: np.ndarray | float = np.inf, rounds: int = ROUNDS) -> Points:
    """Descend from ``p``, which is overwritten, to a minimum of each problem.

    Or until none below ``known`` is in sight, or for so many ``rounds``.
    """
    step, gain = _newton(p, q)
    length = np.ones(len(step))
    tried = np.zeros(len(step), dtype=bool)  # whether to make a column a factor, in vain
    closing = np.zeros(len(step), dtype=bool)  # at a minimum, and that is still to be tried
    going = np.arange(len(step))
    known = np.broadcast_to(known, going.shape)
    for _ in range(rounds):
        here = p if len(going) == len(p.x) else p.take(going)
        column, falls = _falling(here, step[going], closing[going], q)
        falls &= ~tried[going]
        more = falls | ~closing[going]
        if not more.all():
            going, here, column, falls = going[more], here.take(more), column[more], falls[more]
            if not len(going):
                break
        noise = ROUNDING * (1.0 + np.abs(here.f) + 0.01 * np.minimum(here.theta[:, -1], WORST))
        # As ψ_j goes to zero in a straight line, the others go on as far.
        fall = np.maximum(-step[going, column], -FALLING)
        move = step[going] * np.where(falls, 1.0 / fall, length[going])[:, None]
        x = np.clip(here.x + move, LOWEST, 0.0)
        there = Points.at(with_factors(here.given, falls, column), x, q)
        better = (there.f <= here.f + noise) | (~falls & (gain[going] < noise))
        p.put(going[better], there.take(better))
        tried[going] = falls & ~better
        length[going] = np.where(better, 1.0, np.where(falls, 1.0, SHORTER) * length[going])
        last, settled = gain[going].copy(), better & ~falls & (gain[going] < SETTLED)
        step[going[settled]] = 0.0
        again = going[better & ~settled]
        if len(again):
            step[again], gain[again] = _newton(p.take(again), q)
        # What no longer shrinks at the level of rounding is rounding.
        stalled = (last < noise) & (gain[going] > STALLED * last)
        ended = better & ~falls & ((gain[going] < AT_REST) | stalled)
        near = (gain[going] < PROSPECT) & ~falls
        hopeless = near & (p.f[going] - 0.6 * gain[going] > known[going] - SAME)
        arrived = settled | ended | hopeless | (length[going] < SHORTEST)
        closing[going] = np.where(falls, closing[going] & ~better, arrived)
    return p


def _falling(p: Points, move: np.ndarray, closing: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the column of each problem whose uniqueness may best be zero, and whether to try that."""
    one = np.arange(len(move))
    variance = np.maximum(np.diagonal(p.rest, 0, 1, 2), LEAST)
    size = np.where(p.whole, np.inf, p.x - np.log(variance))
    column = np.where(closing, size.argmin(axis=1), move.argmin(axis=1))
    wanted = (move[one, column] < FALLING) | closing
    return column, wanted & (size[one, column] < np.log(SMALL)) & (p.whole.sum(axis=1) < q)


def with_factors(given: Given, which: np.ndarray, column: np.ndarray) -> Given:
    """Make a column of some of the problems a factor: the others are left with their partial correlation."""
    at = np.flatnonzero(which)
    if not len(at):
        return given
    rest, whole, spent = (a.copy() for a in given)
    j = column[at]
    own = rest[at, :, j]
    variance = np.maximum(rest[at, j, j], LEAST)
    left = rest[at] - own[:, :, None] * (own / variance[:, None])[:, None, :]
    left[np.arange(len(at)), j] = left[np.arange(len(at)), :, j] = 0.0
    rest[at], whole[at, j], spent[at] = left, True, spent[at] + 1.0 + np.log(variance)
    return rest, whole, spent


def all_free(r: np.ndarray) -> Given:
    """No column is a factor."""
    return r, np.zeros(r.shape[:2], dtype=bool), np.zeros(len(r))
