"""Modes of a mixture of Gaussians: modal EM from many places, each end finished by Newton's steps.

With r_k = w_k N(x; μ_k, Σ_k) / p(x) and v_k = Σ_k⁻¹ (μ_k − x),

    ∇ log p = Σ_k r_k v_k,     ∇² log p = Σ_k r_k (v_k v_kᵀ − Σ_k⁻¹) − ∇ log p ∇ log pᵀ,
    modal EM:  x ← x + A⁻¹ ∇ log p,     A = Σ_k r_k Σ_k⁻¹,

which never descends. Every mode of K components lies on their ridge, the points where some convex combination
of the v_k vanishes (Ray and Lindsay 2005). So the climbs start from every mean, and from nine points of the
ridge of every pair: two crossing components may have a mode where neither has its mean.

References
----------
J. Li, S. Ray and B. G. Lindsay, A nonparametric statistical approach to clustering via mode identification,
*J. Mach. Learn. Res.* 8 (2007) 1687.
S. Ray and B. G. Lindsay, The topography of multivariate normal mixtures, *Ann. Statist.* 33 (2005) 2042.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...core.modes import Modes
from ...core.params import Params
from . import parameters
from .centred import component_logs, log_sum_exp

__all__ = ["find_modes"]

RIDGE = 9  # starts between every pair of components
MOST_STARTS = 20_000
MOST_STEPS = 500
ENDED = 1e-9  # length of a step, in the metric of A, at which a climb ends
FAR = 1e-6  # ... up to which it may not have ended when steps run out
NEWTON = 1.0  # longest of Newton's steps, in the metric of A: on to its own hill's top
RISING = 1e-7  # largest eigenvalue of the whitened Hessian from which an end is no mode
SAME = 1e-3  # distance, in the metric of A, at which two ends are one mode
ASIDE = 0.1  # from a saddle, in the metric of A
LEAVINGS = 3  # times that saddles are left
ELEMENTS = 2_000_000  # numbers of the matrices of one batch of starts


def find_modes(params: Params, height: Callable[[Params, np.ndarray], np.ndarray]) -> Modes:
    """Return the modes of a mixture, and the weight of the components whose means climb to each.

    ``height`` is its log density: with what uniform noise adds, which moves no mode.
    """
    hill = _Hill(params)
    k = len(hill.means)
    ends, ended = hill.climb(hill.starts())
    for _ in range(LEAVINGS):
        top, axis = hill.steepest(ends)
        saddles = np.flatnonzero(top > RISING)
        if not len(saddles):
            break
        # Both ways off: of the two the first goes on as the start's own end.
        first, one = hill.climb(ends[saddles] + ASIDE * axis[saddles])
        second, two = hill.climb(ends[saddles] - ASIDE * axis[saddles])
        ends[saddles], ended = first, ended and one and two
        ends = np.concatenate([ends, second])
    still = hill.steepest(ends)[0] <= RISING
    log_p = hill.log_density(ends)
    owner = hill.merge(ends, np.where(still, log_p, -np.inf))
    kept, part = np.unique(owner[:k], return_inverse=True)
    more = np.setdiff1d(np.unique(owner[still]), kept)  # of places between components
    heads = np.concatenate([kept, more])
    top_p = height(params, ends[heads])
    shares = np.bincount(part, weights=params.weights, minlength=len(heads))
    order = np.argsort(-top_p, kind="stable")
    heads, shares, top_p = heads[order], shares[order], top_p[order]
    done = "all ended" if ended else f"some had not ended after {MOST_STEPS} steps"
    return Modes(
        params.units.back(ends[heads]),
        top_p + params.units.log_jacobian,
        shares / shares.sum(),
        len(ends),
        f"{len(ends):,} climbs from the means of components and from between them; {done}.",
    )


class _Hill:
    """The density of a mixture as a landscape: height, slope and curvature, in unit space."""

    def __init__(self, params: Params) -> None:
        self.means = params.means
        k, d = self.means.shape
        factor = parameters.factors(params)
        self.factor = factor
        if "variances" in params:
            precision = np.eye(d) / params.variances[:, None, :]
        else:
            inverse = np.linalg.inv(factor)
            precision = np.swapaxes(inverse, -1, -2) @ inverse
        self.precision = np.broadcast_to(precision, (k, d, d))
        with np.errstate(divide="ignore"):
            self.log_weight = np.log(params.weights)

    def starts(self) -> np.ndarray:
        """Return every mean, then points of the ridges of pairs."""
        k = len(self.means)
        a, b = np.triu_indices(k, 1)
        if len(a) * RIDGE > MOST_STARTS:
            near = np.argsort(self._gaps(a, b), kind="stable")[: MOST_STARTS // RIDGE]
            a, b = a[near], b[near]
        out = [self.means]
        pull = np.einsum("kij,kj->ki", self.precision, self.means)
        for share in np.arange(1, RIDGE + 1) / (RIDGE + 1):
            matrix = (1.0 - share) * self.precision[a] + share * self.precision[b]
            right = (1.0 - share) * pull[a] + share * pull[b]
            out.append(np.linalg.solve(matrix, right[:, :, None])[:, :, 0])
        return np.concatenate(out)

    def _gaps(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        gap = self.means[a] - self.means[b]
        return np.einsum("pi,pij,pj->p", gap, self.precision[a] + self.precision[b], gap)

    def _logs(self, x: np.ndarray) -> np.ndarray:
        return component_logs(x, self.log_weight, self.means, self.factor)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Return log p, (m,)."""
        return log_sum_exp(self._logs(x))

    def look(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return log p (m,), its gradient (m, d), its Hessian (m, d, d), and A (m, d, d)."""
        logs = self._logs(x)
        log_p = log_sum_exp(logs)
        r = np.exp(logs - log_p)
        v = np.einsum("kij,kmj->kmi", self.precision, self.means[:, None, :] - x)
        gradient = np.einsum("km,kmi->mi", r, v)
        a = np.einsum("km,kij->mij", r, self.precision)
        hessian = np.einsum("km,kmi,kmj->mij", r, v, v) - a - gradient[:, :, None] * gradient[:, None, :]
        return log_p, gradient, hessian, a

    def climb(self, x: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return where climbs from ``x`` end, and whether all did."""
        k, d = self.means.shape
        size = max(1, ELEMENTS // (d * (k + 3 * d)))
        parts = [self._climb(x[at : at + size]) for at in range(0, len(x), size)]
        return np.concatenate([p for p, _ in parts]), all(done for _, done in parts)

    def _climb(self, x: np.ndarray) -> tuple[np.ndarray, bool]:
        x = x.copy()
        active, long = np.arange(len(x)), np.full(len(x), np.inf)
        for _ in range(MOST_STEPS):
            _, gradient, hessian, a = self.look(x[active])
            step = np.linalg.solve(a, gradient[:, :, None])[:, :, 0]
            height = self.log_density(x[active] + step)
            # Newton's step where the density is concave, kept where it climbs higher still.
            root = np.linalg.cholesky(a)
            curved = _whitened(root, hessian)
            concave = np.linalg.eigvalsh(curved)[:, -1] < -RISING
            if concave.any():
                at = np.flatnonzero(concave)
                newton = -np.linalg.solve(hessian[at], gradient[at, :, None])[:, :, 0]
                higher = self.log_density(x[active[at]] + newton)
                better = higher >= height[at] - 1e-13 * np.abs(height[at])
                better &= np.einsum("mi,mij,mj->m", newton, a[at], newton) < NEWTON**2
                step[at[better]], height[at[better]] = newton[better], higher[better]
            length = np.sqrt(np.einsum("mi,mij,mj->m", step, a, step))
            x[active] += step
            long[active] = length
            active = active[length > ENDED]
            if not len(active):
                return x, True
        return x, bool((long[active] < FAR).all())

    def steepest(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the largest eigenvalue of the Hessian whitened by A, and its direction, of length one."""
        _, _, hessian, a = self.look(x)
        root = np.linalg.cholesky(a)
        values, axes = np.linalg.eigh(_whitened(root, hessian))
        direction = np.linalg.solve(np.swapaxes(root, 1, 2), axes[:, :, -1:])[:, :, 0]
        return values[:, -1], direction

    def merge(self, x: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Return for each place the number of the highest one that is the same mode."""
        a = self.look(x)[3]
        owner = np.full(len(x), -1)
        for i in np.argsort(-height, kind="stable").tolist():
            if owner[i] < 0:
                gap = x - x[i]
                near = np.einsum("mi,ij,mj->m", gap, a[i], gap) < SAME**2
                owner[near & (owner < 0)] = i
        return owner


def _whitened(root: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    half = np.linalg.solve(root, hessian)
    out = np.linalg.solve(root, np.swapaxes(half, 1, 2))
    return np.asarray((out + np.swapaxes(out, 1, 2)) / 2.0)
