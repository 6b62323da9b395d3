"""Mean and covariance of a kernel density estimate, folded at bounds and periods where it has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.params import Params
from ...maths.kernels import Kernel, kernel_named
from .parts import edges_of

__all__ = ["mean_and_covariance"]

Floats = NDArray[np.float64]

NODES = 1025  # of the midpoint rule over a bump that an edge folds
POINTS = 512
REACH = 8.6  # standard deviations of a Gaussian bump


def mean_and_covariance(params: Params) -> tuple[Floats, Floats]:
    """Return the mean (d,) and the covariance (d, d), unit space.

    Given its row the columns of a folded bump are independent, so each needs its own mean and variance only.
    """
    centres, variances = _bump_moments(params)
    shares = np.exp(params.log_weights)
    mean = np.asarray(shares @ centres)
    centred = centres - mean
    covariance = (centred * shares[:, None]).T @ centred
    factors = params.get("factors")
    if params.bandwidth.ndim == 2:
        own = params.bandwidth * (1.0 if factors is None else float(shares @ factors**2))
    else:
        own = np.diag(shares @ variances)
    return mean, covariance + own


def _bump_moments(params: Params) -> tuple[Floats, Floats]:
    """Return the mean and the variance of every bump along every column, (n, d) each."""
    points, h, edges = params.points, params.bandwidth, edges_of(params)
    factors = params.get("factors")
    widths = np.sqrt(np.diag(h)) if h.ndim == 2 else h
    spread = np.broadcast_to(widths, points.shape) if factors is None else widths * factors[:, None]
    if edges is None:
        return points, spread**2
    means, variances = points.copy(), spread**2
    kernel = kernel_named(params.kernel)
    u, share = _nodes(kernel)
    for j in edges.folded_columns:
        reach = float(np.abs(u).max()) * spread[:, j]
        near = (points[:, j] - reach < edges.lower[j]) | (points[:, j] + reach > edges.upper[j])
        rows = np.flatnonzero(near)
        line = edges.select([j])
        for part in np.array_split(rows, max(1, len(rows) // POINTS)):
            x = points[part, j, None] + spread[part, j, None] * u
            x = line.fold(x.reshape(-1, 1)).reshape(x.shape)
            means[part, j] = x @ share
            variances[part, j] = (x - means[part, j, None]) ** 2 @ share
    return means, variances


def _nodes(kernel: Kernel) -> tuple[Floats, Floats]:
    """Return nodes and weights that integrate against the kernel."""
    radius = min(REACH, kernel.radius)
    u = (np.arange(NODES) + 0.5) / NODES * 2.0 * radius - radius
    share = np.exp(kernel.log_density(u))
    return u, share / share.sum()
