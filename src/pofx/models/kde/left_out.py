r"""Leave-one-out log densities of a kernel density estimate.

    log p_-i(y_i) = log [ Σ_images s(image of y_i) - c_i Σ_images k_i(image of y_i) ] - log(W - c_i)

with c_i = min(1, w_i) for weights that count repetitions, all of w_i for importance weights. Where columns
are folded at bounds or periods the bump of row i has images too, and they leave with it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...core.params import Params
from ...maths.kernel_sums import Own, log_sum
from ...maths.kernel_sums.folded import reach_of
from .parts import bumps_of, edges_of

__all__ = ["leave_one_out"]

Floats = NDArray[np.float64]

WHOLE = 1e-11  # relative: weights come back from their logarithms


def leave_one_out(params: Params, *, all_of_it: bool, rtol: float, engine: str, memory: float) -> Floats:
    """Return the log density (m,) at each distinct row of what the other rows make, unit space."""
    bumps, edges = bumps_of(params), edges_of(params)
    weights = np.exp(params.log_weights) * params.size
    whole = np.round(weights)
    weights = np.where(np.abs(weights - whole) < WHOLE * np.maximum(weights, 1.0), whole, weights)
    left = np.zeros_like(weights) if all_of_it else np.maximum(weights - 1.0, 0.0)
    removed = weights - left
    with np.errstate(divide="ignore"):
        own = Own(np.arange(bumps.n), np.log(left) - math.log(params.size))
    if edges is None:
        total = log_sum(bumps, bumps.points, rtol=rtol, engine=engine, memory=memory, own=own)
    else:
        total = np.full(bumps.n, -math.inf)
        x = edges.wrap(bumps.points)
        negligible = math.log(max(rtol, 1e-16)) - 7.0
        for shell, images in edges.shells():
            added = False
            for image in images:
                sign, shift = (np.array(part) for part in zip(*image, strict=True))
                moved = sign * x + shift
                most = reach_of(bumps, moved) + bumps.constant
                rows = np.flatnonzero((most > total + negligible) & ~np.isneginf(most))
                if len(rows) == 0:
                    continue
                added = True
                # Fast sums take the own bump to lie at distance 0, which it does in the first image only.
                how = engine if shell == 0 or engine == "naive" else "tiles"
                part = log_sum(bumps, moved[rows], rtol=rtol, engine=how, memory=memory, own=own.select(rows))
                total[rows] = np.logaddexp(total[rows], part)
            if shell > 1 and not added:
                break
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = total - np.log(np.maximum(1.0 - removed / params.size, 0.0))
    return np.where(np.isneginf(total), -math.inf, scaled)
