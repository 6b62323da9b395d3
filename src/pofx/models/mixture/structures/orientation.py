"""Components of one orientation: Σ_k = D Λ_k Dᵀ, the eigenvectors D shared (Flury 1984, JASA 79:892).

For given D every Λ_k is the diagonal of F_k = Dᵀ V_k D, up to what the volumes share, so D is to minimise

    Σ_k n_k log Π_j (F_k)_jj  (volumes free, VVE)   or   Σ_k n_k (Π_j (F_k)_jj)^{1/d}  (equal, EVE).

Browne and McNicholas (2014, Adv. Data Anal. Classif. 8:217) descend by majorising. Here the axes are first
turned in pairs, as Flury and Gautschi (1986, SIAM J. Sci. Stat. Comput. 7:169) do: a turn by τ/2 in the plane
of two axes leaves their determinant Δ_k alone, so that (F_k)_ii (F_k)_jj = Δ_k + o_k(τ)², where o_k =
x_k sin τ − y_k cos τ with x = (F_ii − F_jj) / 2, y = F_ij is what stays off the diagonal; the least value of
that periodic function of one angle is found on a grid and by Newton's method. With two columns this is the
global minimum. With more, Newton's method on all angles together then takes over. No step ever goes up.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

from ....maths.gaussian_batch import cholesky
from .volumes import common_shape

__all__ = ["common_axes", "objective"]

GRID = 12  # angles looked at
TURNS = 10, 3  # Newton's steps from the best of them: in two columns, and where joint steps follow
STEPS = 30  # joint steps
LONGEST = 0.3  # joint step, as an angle
SETTLED = 1e-11  # a joint step below which nothing is left to gain
LEAST_CURVATURE = 1e-9
FACTORED_FROM = 13  # angles from which a Cholesky factor is much quicker than eigenvectors


def common_axes(share: np.ndarray, v: np.ndarray, equal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return D (B, d, d) and the diagonals of F_k (B, K, d) for many mixtures of K components.

    Parameters
    ----------
    share : ndarray (B, K)
        π_k = n_k / n.
    v : ndarray (B, K, d, d)
        The components' own covariances, positive definite.
    equal : bool
        Whether the volumes are equal.
    """
    d = v.shape[2]
    axes = _first_axes(share, v, equal)
    f = _along(axes, v)
    for i, j in combinations(range(d), 2):
        _rotate(axes, f, i, j, 0.5 * _turn(share, f, i, j, equal, TURNS[d > 2]))
    if d > 2:
        axes = _descend(share, v, axes, equal)
    return axes, _diagonals(_along(axes, v))


def _along(axes: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return F_k = Dᵀ V_k D."""
    return np.asarray(np.swapaxes(axes, 1, 2)[:, None] @ v @ axes[:, None])


def _diagonals(f: np.ndarray) -> np.ndarray:
    return np.maximum(np.diagonal(f, 0, 2, 3), np.finfo(float).tiny)


def _descend(share: np.ndarray, v: np.ndarray, axes: np.ndarray, equal: bool) -> np.ndarray:
    """Turn all axes at once by Newton's steps until nothing is left to gain, never going up."""
    axes = axes.copy()
    least, x = _newton(share, _along(axes, v), equal)
    going = np.arange(len(v))
    for _ in range(STEPS):
        trial = axes[going] @ _cayley(x)
        value, step = _newton(share[going], _along(trial, v[going]), equal)
        # Below rounding the value no longer tells, but small steps of Newton's converge by themselves.
        small = np.abs(x).max(axis=(1, 2)) < 1e-5
        better = value <= least + np.where(small, 1e-12, 0.0)
        axes[going[better]], least = trial[better], np.where(better, value, least)
        left = ~(better & (np.abs(step).max(axis=(1, 2)) < SETTLED)) & ~(small & ~better)
        if not left.any():
            break
        x = np.where(better[:, None, None], step, 0.5 * x)[left]
        going, least = going[left], least[left]
    return axes


def _newton(share: np.ndarray, f: np.ndarray, equal: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return what is to be minimised, (B,), and Newton's step X (B, d, d), skew, for D ← D exp X.

    The diagonal of exp(−X) F exp(X) is a + δ + ε + …, with δ_l = −2 Σ_m F_lm X_lm and
    ε_l = −Σ_m (F X − X F)_lm X_lm. Along the turn p of the axes i < j, X is 1 at (i, j) and −1 at (j, i), so
    that second derivatives along p and q are sums of few entries of one tensor T (d, d, d):
    Σ_lrm T_lrm (X_p)_lr (X_q)_lm.
    """
    d = f.shape[2]
    a = _diagonals(f)
    value = objective(share, a, equal)
    weight = share
    if equal:
        level = np.log(a).mean(axis=2)
        weight = share * np.exp(level - value[:, None]) / d
    c = weight[:, :, None] / a
    i, j, terms = _turns(d)
    off = 2.0 * f[:, :, i, j]
    slopes = off / a[:, :, j] - off / a[:, :, i]
    gradient = (weight[:, :, None] * slopes).sum(axis=1)
    u = (c[..., None] * f).sum(axis=1)
    tensor = (2.0 * np.swapaxes(c, 1, 2) @ f.reshape(*f.shape[:2], d * d)).reshape(-1, d, d, d)
    scaled = np.swapaxes(f / a[..., None], 1, 2)  # (B, l, K, r)
    tensor -= np.swapaxes(4.0 * weight[:, None, :, None] * scaled, 2, 3) @ scaled
    tensor -= (u + np.swapaxes(u, 1, 2))[:, None]
    hessian = np.zeros((len(f), len(i), len(i)))
    for sign, p, q, at in terms:
        hessian[:, p, q] += sign * tensor[:, at[0], at[1], at[2]]
    if equal:
        hessian += np.swapaxes((weight / d)[:, :, None] * slopes, 1, 2) @ slopes
        hessian -= gradient[:, :, None] * gradient[:, None, :]
    step = -_descent(hessian, gradient)
    step *= np.minimum(1.0, LONGEST / np.maximum(np.abs(step).max(axis=1), LONGEST))[:, None]
    x = np.zeros((len(f), d, d))
    x[:, i, j], x[:, j, i] = step, -step
    return value, x


def _descent(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return H⁻¹ g (B, p), with the curvatures of H taken as positive: where the surface bends down, the step
    goes down all the same."""
    out = np.empty_like(gradient)
    bent = np.ones(len(hessian), dtype=bool)
    if hessian.shape[1] >= FACTORED_FROM:
        bent = ~cholesky(np.moveaxis(hessian, 0, 2))[1]
        out[~bent] = np.linalg.solve(hessian[~bent], gradient[~bent][:, :, None])[:, :, 0]
    if bent.any():
        curvature, directions = np.linalg.eigh(hessian[bent])
        along = np.swapaxes(directions, 1, 2) @ gradient[bent][:, :, None]
        size = np.maximum(np.abs(curvature), LEAST_CURVATURE)
        out[bent] = (directions @ (along / size[:, :, None]))[:, :, 0]
    return out


@lru_cache(maxsize=32)
def _turns(d: int) -> tuple[np.ndarray, np.ndarray, list[tuple[float, np.ndarray, np.ndarray, np.ndarray]]]:
    """Return the turns p as pairs of axes i < j, and where Σ_lrm T_lrm (X_p)_lr (X_q)_lm is not zero: the
    sign, p, q, and the entries (l, r, m)."""
    i, j = np.triu_indices(d, 1)
    terms = []
    for own, rest, sign in ((i, j, 1.0), (j, i, -1.0)):
        for other, far, and_sign in ((i, j, 1.0), (j, i, -1.0)):
            p, q = np.nonzero(own[:, None] == other[None, :])
            terms.append((sign * and_sign, p, q, np.array([own[p], rest[p], far[q]])))
    return i, j, terms


def _cayley(x: np.ndarray) -> np.ndarray:
    """Return a rotation that agrees with exp X to the second order."""
    one = np.eye(x.shape[1])
    return np.linalg.solve(one - 0.5 * x, one + 0.5 * x)


def objective(share: np.ndarray, diagonals: np.ndarray, equal: bool) -> np.ndarray:
    """Return what D is to minimise, (B,), for diagonals (B, K, d)."""
    logs = np.log(diagonals)
    if not equal:
        return np.asarray((share * logs.sum(axis=2)).sum(axis=1))
    mean = logs.mean(axis=2)
    top = mean.max(axis=1)
    return np.asarray(np.log((share * np.exp(mean - top[:, None])).sum(axis=1)) + top)


def _first_axes(share: np.ndarray, v: np.ndarray, equal: bool) -> np.ndarray:
    """Return the best of the axes of the special cases, so that none of them lies above what is found.

    Those are the columns (VVI, EVI), the axes of the pooled covariance (EEE), and those of components of
    one shape (VEE). In two columns the first turn finds the best axes from anywhere.
    """
    d = v.shape[2]
    starts = [np.broadcast_to(np.eye(d), (len(v), d, d))]
    if d > 2:
        starts.append(np.linalg.eigh(np.einsum("bk,bkij->bij", share, v))[1])
    if d > 2 and not equal:
        starts.append(np.linalg.eigh(common_shape(share, v)[:, 0])[1])
    best, least = starts[0].copy(), np.full(len(v), np.inf)
    for axes in starts:
        here = objective(share, _diagonals(_along(axes, v)), equal)
        better = here < least
        best[better], least[better] = axes[better], here[better]
    return best


def _turn(share: np.ndarray, f: np.ndarray, i: int, j: int, equal: bool, steps: int) -> np.ndarray:
    """Return twice the angle (B,) by which axes i and j are best turned."""
    x, y = 0.5 * (f[..., i, i] - f[..., j, j]), f[..., i, j]
    product = f[..., i, i] * f[..., j, j]
    det = np.maximum(product - y * y, 1e-15 * product)
    weight, power = share, 0.0
    if equal:
        power = 1.0 / f.shape[-1]
        rest = power * (np.log(np.diagonal(f, 0, 2, 3)).sum(axis=2) - np.log(product))
        level = rest + power * np.log(product)
        weight = share * np.exp(rest - level.max(axis=1, keepdims=True))

    def total(tau: np.ndarray) -> np.ndarray:
        off = x[..., None] * np.sin(tau)[:, None] - y[..., None] * np.cos(tau)[:, None]
        q = det[..., None] + off * off
        q = np.log(q) if power == 0.0 else q**power
        return np.asarray(np.einsum("bk,bkg->bg", weight, q))

    def slopes(tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sin, cos = np.sin(tau)[:, None], np.cos(tau)[:, None]
        off, along = x * sin - y * cos, x * cos + y * sin
        q = det + off * off
        first, second = 2.0 * off * along, 2.0 * (along * along - off * off)
        g = weight / q if power == 0.0 else weight * power * q ** (power - 1.0)
        return (g * first).sum(axis=1), (g * (second + (power - 1.0) * first * first / q)).sum(axis=1)

    spacing = np.pi / GRID
    grid = np.broadcast_to(spacing * np.arange(GRID), (len(f), GRID))
    values = total(grid)
    tau = spacing * values.argmin(axis=1)
    low, high = tau - spacing, tau + spacing
    for _ in range(steps):
        slope, curvature = slopes(tau)
        low, high = np.where(slope <= 0.0, tau, low), np.where(slope >= 0.0, tau, high)
        good = curvature > 0.0
        newton = tau - slope / np.where(good, curvature, 1.0)
        good &= (newton >= low) & (newton <= high)
        last, tau = tau, np.where(good, newton, 0.5 * (low + high))
        if np.abs(tau - last).max() < SETTLED:
            break
    lower = total(tau[:, None])[:, 0] < values[:, 0]
    tau = np.where(lower, tau, 0.0)
    return np.asarray(np.where(tau > 0.5 * np.pi, tau - np.pi, tau))


def _rotate(axes: np.ndarray, f: np.ndarray, i: int, j: int, angle: np.ndarray) -> None:
    """Turn axes i and j of D and F in place."""
    c, s = np.cos(angle), np.sin(angle)
    for a in (axes, f):
        cos, sin = (t.reshape((-1,) + (1,) * (a.ndim - 2)) for t in (c, s))
        ai, aj = a[..., i].copy(), a[..., j].copy()
        a[..., i], a[..., j] = cos * ai + sin * aj, cos * aj - sin * ai
    fi, fj = f[:, :, i].copy(), f[:, :, j].copy()
    cos, sin = c[:, None, None], s[:, None, None]
    f[:, :, i], f[:, :, j] = cos * fi + sin * fj, cos * fj - sin * fi
