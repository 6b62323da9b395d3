"""From a start to a maximum: Nelder and Mead's simplex on a sample, then Newton's method on all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .likelihood import Likelihood

__all__ = ["Top", "newton", "simplex"]

Floats = NDArray[np.float64]

STEP = 1e-3  # of the coordinates, for derivatives: errors of 1e-13 in the gradient, 1e-7 in the curvature
MOST_STEPS = 60
FLAT = 1e-10  # smallest curvature, beside the largest, of a maximum
CLOSE = 1e-3  # length of the gradient in standard errors, below which a point is a maximum
LIMIT = 1e-2  # nats in total that a likelihood may still gain where it rises to a limit


@dataclass(frozen=True)
class Top:
    """Where a climb ended.

    Attributes
    ----------
    v, theta : ndarray
        Coordinates, and (shapes…, loc, scale).
    value : float
        The mean log density.
    gradient : float
        Its gradient's length in standard errors of n rows.
    maximum : bool
        Whether the gradient is zero there and the curvature negative.
    """

    v: Floats
    theta: Floats
    value: float
    gradient: float
    maximum: bool


def simplex(likelihood: Likelihood, start: Floats) -> Floats:
    """Return coordinates near a maximum."""
    from scipy.optimize import minimize

    if likelihood.size == 0:
        return start
    options = {
        "maxiter": 100 * likelihood.size,
        "xatol": 1e-2,
        "fatol": 1e-5,
        "adaptive": likelihood.size > 3,
    }
    with np.errstate(all="ignore"):
        return np.asarray(minimize(likelihood, start, method="Nelder-Mead", options=options).x)


def newton(likelihood: Likelihood, v: Floats, n: float) -> Top | None:
    """Return the maximum near v, or how far the way led; None where v has no likelihood.

    ``n`` is the size of the sample, for standard errors.
    """
    value = likelihood(v)
    if not np.isfinite(value):
        return None
    decrement, definite = 0.0, True
    for _ in range(MOST_STEPS if len(v) else 0):
        g, h = derivatives(likelihood, v, value)
        if not (np.isfinite(g).all() and np.isfinite(h).all()):
            decrement, definite = np.inf, False
            break
        curvature, axes = np.linalg.eigh(h)
        definite = bool(curvature[0] > FLAT * abs(curvature[-1]))
        along = axes.T @ g
        size = np.maximum(np.abs(curvature), 1e-8 * max(np.abs(curvature).max(), 1e-300))
        step = -axes @ (along / size)
        decrement = float(along @ (along / size))
        longest = float(np.abs(step).max())
        step *= min(1.0, 2.0 / max(longest, 1e-300))
        best = _halved(likelihood, v, value, step)
        if best is None:
            break
        v, gained, value = best[0], value - best[1], best[1]
        if not definite and (gained * n < 1e-7 or likelihood.at_an_end(v)):
            break
        if longest < 1e-10 or (decrement < 1e-18 and gained <= 0.0):
            break
    theta = likelihood.theta(v)
    assert theta is not None  # its value is finite
    length = float(np.sqrt(max(decrement, 0.0) * n))
    return Top(v, theta, -value, length, definite and length < CLOSE)


def _halved(likelihood: Likelihood, v: Floats, value: float, step: Floats) -> tuple[Floats, float] | None:
    """Return the first of the step, its half, its quarter, … that is no worse, but for rounding."""
    for _ in range(30):
        after = v + step
        there = likelihood(after)
        if there <= value + 1e-14 * max(1.0, abs(value)):
            return after, there
        step = step / 2.0
    return None


def derivatives(likelihood: Likelihood, v: Floats, value: float) -> tuple[Floats, Floats]:
    """Return gradient and Hessian by differences of fourth and second order."""
    p = len(v)
    g, h, eye = np.empty(p), np.empty((p, p)), np.eye(p) * STEP
    for i in range(p):
        f = [likelihood(v + k * eye[i]) for k in (-2, -1, 1, 2)]
        with np.errstate(invalid="ignore"):
            g[i] = (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * STEP)
            h[i, i] = (-f[0] + 16.0 * f[1] - 30.0 * value + 16.0 * f[2] - f[3]) / (12.0 * STEP**2)
        for j in range(i):
            corners = [
                likelihood(v + a * eye[i] + b * eye[j]) for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            ]
            with np.errstate(invalid="ignore"):
                h[i, j] = h[j, i] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4.0 * STEP**2)
    return g, h
