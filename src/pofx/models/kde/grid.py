"""A density on an even grid of up to three columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.params import Params
from ...errors import ParameterError, UnsupportedError
from ...maths.kernel_sums import log_sum
from ...validation import check_memory, real_number, whole_number
from .cells import by_cells
from .parts import bumps_of, edges_of

__all__ = ["DensityGrid", "evaluate_grid"]

Floats = NDArray[np.float64]
Limits = Mapping[str | int, tuple[float, float]] | Sequence[Any] | None

SIZES = {1: 1024, 2: 256, 3: 64}
MARGIN = 4.0  # bandwidths beyond the rows
SHARE = 0.5  # of rtol


@dataclass(frozen=True, eq=False)
class DensityGrid:
    """log densities on a grid.

    Attributes
    ----------
    axes : tuple of arrays
        The places along each column, ascending and evenly spaced, data units.
    log_density : array of shape (len(axes[0]), len(axes[1]), …)
        Nats, data units.
    """

    axes: tuple[Floats, ...]
    log_density: Floats

    @property
    def density(self) -> Floats:
        """``exp(log_density)``."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_density)


def evaluate_grid(
    params: Params,
    size: Any,
    limits: Limits,
    log_density: Callable[[Floats], Floats],
    *,
    rtol: float,
    memory: float,
    fast: bool,
) -> DensityGrid:
    """Return the density on a grid; ``log_density`` answers rows of unit space."""
    d = len(params.units)
    if d not in SIZES:
        first = [0, 1] if params.columns.names is None else list(params.columns.names[:2])
        raise UnsupportedError(
            f"density_grid is for one to three columns; this estimate has {d}. Take a marginal: "
            f".marginal({first!r}).density_grid()"
        )
    sizes = _sizes(size, d)
    check_memory(8.0 * (2 * d + 2) * math.prod(sizes), f"A grid of {' × '.join(map(str, sizes))} places")
    low, high = _limits(params, limits)
    axes = [np.linspace(a, b, k) for a, b, k in zip(low, high, sizes, strict=True)]
    values = _even(params, axes[0], rtol, memory) if d == 1 and fast else None
    if values is None:
        mesh = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
        values = log_density(mesh)
    shown = [params.units.select([j]).back(axis[:, None])[:, 0] for j, axis in enumerate(axes)]
    return DensityGrid(tuple(shown), values.reshape(sizes) + params.units.log_jacobian)


def _even(params: Params, axis: Floats, rtol: float, memory: float) -> Floats | None:
    """On a line without edges by cells; what no row is near to, by the tiles."""
    if edges_of(params) is not None:
        return None
    bumps = bumps_of(params)
    step = float(axis[-1] - axis[0]) / (len(axis) - 1)
    out = by_cells(bumps, float(axis[0]), step, len(axis), SHARE * rtol)
    if out is None:
        return None
    rest = np.flatnonzero(np.isnan(out))
    if len(rest):
        out[rest] = log_sum(bumps, axis[rest, None], rtol=rtol, memory=memory)
    return out


def _sizes(size: Any, d: int) -> list[int]:
    if size is None:
        return [SIZES[d]] * d
    given = list(size) if isinstance(size, Sequence | np.ndarray) else [size] * d
    if len(given) != d:
        raise ParameterError(f"size must be one number, or one for each of {d} columns; got {len(given)}.")
    return [whole_number(k, "size", least=2) for k in given]


def _limits(params: Params, limits: Limits) -> tuple[Floats, Floats]:
    """Return the ends of the grid, unit space: by default the rows' range and 4 bandwidths, within bounds."""
    h, edges = params.bandwidth, edges_of(params)
    widths = np.sqrt(np.diag(h)) if h.ndim == 2 else h
    points, reach = params.points, MARGIN * widths
    if "factors" in params:
        reach = reach * params.factors[:, None]
        low, high = (points - reach).min(axis=0), (points + reach).max(axis=0)
    else:  # column by column: NumPy is slow along the long axis of a narrow array
        low = np.array([column.min() for column in points.T]) - reach
        high = np.array([column.max() for column in points.T]) + reach
    if edges is not None:
        low, high = np.maximum(low, edges.lower), np.minimum(high, edges.upper)
        low, high = (np.where(edges.periodic, e, v) for e, v in ((edges.lower, low), (edges.upper, high)))
    if limits is None:
        return low, high
    for j, pair in _given(params, limits).items():
        name = f"limits of {params.columns.label(j)}"
        if np.shape(pair) != (2,):
            raise ParameterError(f"{name} must be a pair (low, high); got {pair!r:.80}.")
        a, b = (real_number(value, name) for value in pair)
        if not a < b:
            raise ParameterError(f"{name}: the lower must lie below the upper; got {a:g} and {b:g}.")
        one = params.units.select([j])
        low[j], high[j] = one.to(np.array([[a], [b]]))[:, 0]
    return low, high


def _given(params: Params, limits: Any) -> dict[int, Any]:
    d = len(params.units)
    if isinstance(limits, Mapping):
        return {params.columns.index(key): pair for key, pair in limits.items()}
    pairs = list(limits) if isinstance(limits, Sequence | np.ndarray) else None
    if pairs is not None and d == 1 and len(pairs) == 2 and np.ndim(pairs[0]) == 0:
        pairs = [tuple(pairs)]
    if pairs is None or len(pairs) != d:
        raise ParameterError(
            f"limits must be a pair (low, high) for each of {d} columns, or a mapping from columns to pairs; "
            f"got {limits!r:.80}."
        )
    return dict(enumerate(pairs))
