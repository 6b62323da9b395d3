r"""Marginals and conditionals of a kernel density estimate: kernel density estimates again, exactly.

A marginal drops columns (of the bandwidth matrix, rows and columns). Given values z of some columns g,
bump i has its weight multiplied by its own density there; with a matrix its centre moves and it narrows,

    y_i + H_rg H_gg^-1 (z - y_ig),      H_rr - H_rg H_gg^-1 H_gr,

times λ_i² where the bandwidth adapts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.params import Params
from ...errors import DataError
from ...maths.kernel_sums import Bumps, Edges
from ...maths.kernels import KERNELS, kernel_named

__all__ = ["bumps_of", "conditioned", "edges_of", "marginal_values"]

Floats = NDArray[np.float64]


def bumps_of(params: Params) -> Bumps:
    """Return the bumps of a fitted estimate, unit space."""
    kernel = kernel_named(params.kernel)
    return Bumps(params.points, params.log_weights, kernel, params.bandwidth, params.get("factors"))


def edges_of(params: Mapping[str, Any]) -> Edges | None:
    """Return where its columns end, unit space; None where no one does."""
    if "lower" not in params:
        return None
    return Edges(params["lower"], params["upper"], params["periodic"].astype(bool))


def edge_values(edges: Edges | None) -> dict[str, Any]:
    """Return edges as parameters; none where there are none."""
    if edges is None or edges.none:
        return {}
    return {"lower": edges.lower, "upper": edges.upper, "periodic": edges.periodic.astype(np.float64)}


def marginal_values(params: Params, keep: list[int]) -> dict[str, Any]:
    """Return the parameters of the marginal of some columns."""
    h, edges = params.bandwidth, edges_of(params)
    kept = {
        "points": params.points[:, keep],
        "log_weights": params.log_weights,
        "bandwidth": h[keep] if h.ndim == 1 else h[np.ix_(keep, keep)],
        "kernel": params.kernel,
        "size": params.size,
    }
    if "factors" in params:
        kept["factors"] = params.factors
    return {**kept, **edge_values(None if edges is None else edges.select(keep))}


def conditioned(params: Params, given: list[int], z: Floats) -> dict[str, Any]:
    """Return the parameters of the conditional, given columns at ``z`` (unit space).

    Raises
    ------
    DataError
        Where no bump reaches z.
    """
    rest = [j for j in range(params.points.shape[1]) if j not in given]
    log_weights = params.log_weights + log_reach(params, given, z)
    reached = np.isfinite(log_weights)  # rows whose bump does not reach the given values have no say
    if not reached.any():
        raise DataError(nothing_there(params, given, z))
    log_weights = log_weights[reached]
    top = log_weights.max()
    values = marginal_values(params, rest)
    values["log_weights"] = log_weights - (top + math.log(float(np.exp(log_weights - top).sum())))
    points, values["bandwidth"] = centres_given(params, given, rest, z)
    values["points"] = points[reached]
    if "factors" in values:
        values["factors"] = params.factors[reached]
    return values


def log_reach(params: Params, given: list[int], z: Floats) -> Floats:
    """Return the log density of every bump at the given columns, shape (n,)."""
    h, folded, edges = params.bandwidth, edges_of(params), None
    part = h[given] if h.ndim == 1 else h[np.ix_(given, given)]
    kernel, points = kernel_named(params.kernel), params.points[:, given]
    bumps = Bumps(points, None, kernel, part, params.get("factors"))
    if folded is not None:
        edges = folded.select(given)
    factors: Floats | float = 1.0 if bumps.factors is None else bumps.factors
    with np.errstate(over="ignore"):
        if bumps.bandwidth.ndim == 2:
            u = bumps.whiten(z - bumps.points) / np.reshape(factors, (-1, 1))
            out = kernel.log_density(u).sum(axis=1)
        else:
            out = np.zeros(bumps.n)
            at = z if edges is None else edges.wrap(z[None])[0]
            if edges is not None and edges.outside(at[None])[0]:
                return np.full(bumps.n, -math.inf)
            for j in range(len(given)):
                out += _column_reach(bumps, edges, j, float(at[j]), factors)
    if bumps.factors is not None:
        out -= bumps.d * np.log(bumps.factors)
    return np.asarray(out)


def _column_reach(bumps: Bumps, edges: Edges | None, j: int, at: float, factors: Floats | float) -> Floats:
    """log kernel of every bump at one column's value, over all images of the value."""
    width = bumps.bandwidth[j] * factors
    total = np.asarray(bumps.kernel.log_density((at - bumps.points[:, j]) / width))
    if edges is None or j not in edges.folded_columns:
        return total
    for shell in range(1, 400):
        images = edges.images(j, shell)
        if not images:
            break
        centres = [sign * at + shift for sign, shift in images]
        parts = [bumps.kernel.log_density((centre - bumps.points[:, j]) / width) for centre in centres]
        new = np.logaddexp.reduce([total, *parts])
        with np.errstate(invalid="ignore"):
            settled = (new == total) | (new - total < 1e-15)
        total = new
        if shell > 1 and bool(settled.all()):
            break
    return np.asarray(total)


def centres_given(params: Params, given: list[int], rest: list[int], z: Floats) -> tuple[Floats, Floats]:
    """Return the centres (n, r) and bandwidth of the bumps of the rest, at the given values."""
    points, h = params.points[:, rest], params.bandwidth
    if h.ndim == 1:
        return points, h[rest]
    cross, own = h[np.ix_(given, rest)], h[np.ix_(given, given)]
    gain = np.linalg.solve(own, cross)  # (g, r)
    narrowed = h[np.ix_(rest, rest)] - cross.T @ gain
    return points + (z - params.points[:, given]) @ gain, (narrowed + narrowed.T) / 2.0


def nothing_there(params: Params, given: list[int], z: Floats) -> str:
    """Say that the density at the given values is zero, and what to try."""
    values = params.units.select(given).back(z)
    where = ", ".join(f"{params.columns.label(j)} = {v:.6g}" for j, v in zip(given, values, strict=True))
    edges = edges_of(params)
    if edges is not None and edges.select(given).outside(edges.select(given).wrap(z[None]))[0]:
        return f"condition: {where} lies outside the bounds; the density there is 0."
    if params.kernel == "gaussian":
        return f"condition: {where} is so far from every row that the density there is below float64's range."
    return (
        f"condition: no row lies within reach of {where}; the density there is 0, so nothing can be "
        f"conditioned on it. A {params.kernel} bump ends at {KERNELS[params.kernel].radius:.3g} bandwidths; "
        "use kernel='gaussian', a larger bandwidth, or values nearer to the rows."
    )
