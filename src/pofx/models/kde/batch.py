r"""Conditionals of a kernel density estimate given many rows, without a copy of the points for each.

    log p(y | z) = log p(z, y) - log p(z)

is two sums over the same points, for all pairs of rows at once. Draws, means and single models need the
weights of the bumps at a given row; those are formed for a few rows at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.conditional import ConditionalBatch
from ...core.params import Params
from ...core.units import Units
from ...errors import DataError
from ...maths.kernel_sums import Bumps, Edges, log_sum_folded
from ...maths.kernel_sums.naive import direct_terms
from ...validation import Columns, check_memory, rng_from, rows_to_query, whole_number
from .moments import _bump_moments
from .parts import bumps_of, edges_of, marginal_values, nothing_there

__all__ = ["LazyBatch"]

Floats = NDArray[np.float64]

PAIRS_PER_BLOCK = 2**20


class LazyBatch(ConditionalBatch):
    """The conditional distributions p(rest | given row i) of one kernel density estimate.

    Parameters
    ----------
    params : Params of the joint estimate
    given : numbers of the given columns
    z : (m, len(given)) their values, unit space
    units, columns : of the remaining columns
    make : builds the model of one row
    bumped : draws from the bump at each centre: (params, centres, row numbers, rng)
    rtol, engine, memory : as the estimate's own

    Raises
    ------
    DataError
        Naming the first row at which the density is zero.
    """

    def __init__(
        self,
        params: Params,
        given: list[int],
        z: Floats,
        units: Units,
        columns: Columns,
        *,
        make: Callable[[Floats], Any],
        bumped: Callable[..., Floats],
        rtol: float,
        engine: str,
        memory: float,
    ) -> None:
        if len(z) == 0:
            raise DataError("condition needs at least one row of values; 0 rows came.")
        self._params, self._given, self._z = params, given, z
        self._rest = [j for j in range(len(params.units)) if j not in given]
        self._units, self._columns = units, columns
        self._make, self._bumped = make, bumped
        self._how: dict[str, Any] = {"rtol": rtol / 2.0, "engine": engine, "memory": memory}
        part = marginal_values(params, given)
        self._of_given = Params(part, params.units.select(given), params.columns.select(given))
        self._log_given = self._log_sum(self._of_given, z)
        nowhere = np.flatnonzero(np.isneginf(self._log_given))
        if len(nowhere):
            row = int(nowhere[0])
            more = f" ({len(nowhere):,} of {len(z):,} rows are so.)" if len(nowhere) > 1 else ""
            raise DataError(f"Row {row}: {nothing_there(params, given, z[row])}{more}")

    def __len__(self) -> int:
        return len(self._z)

    def __getitem__(self, i: int) -> Any:
        return self._make(self._z[i])

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self):,} conditional distributions of one KDE>"

    @property
    def models(self) -> tuple[Any, ...]:  # type: ignore[override]
        """One model per given row; each is built, with points of its own, when this is asked."""
        return tuple(self)

    def log_density(self, Y: Any) -> np.ndarray:
        """Return log p(y_i | given row i): row i of ``Y`` goes with row i given. Shape (m,)."""
        y = rows_to_query(Y, self._columns, who="this batch of conditionals")
        if len(y) != len(self):
            raise DataError(f"Expected {len(self)} rows, one per given row; got {len(y)}.")
        joint = np.empty((len(y), len(self._params.units)))
        joint[:, self._given], joint[:, self._rest] = self._z, self._units.to(y)
        total = self._log_sum(self._params, joint)
        out = total - self._log_given + self._units.log_jacobian
        # Far from all rows both are large and their difference is lost to rounding: one by one there.
        size = np.maximum(np.abs(self._log_given), np.abs(total))
        if self._params.kernel != "gaussian":
            size[np.isneginf(total)] = 0.0  # beyond the bumps' reach
        for i in np.flatnonzero(size * 2.0**-50 > max(self._how["rtol"], 1e-11)).tolist():
            model = self[i]
            out[i] = model._log_density_rows(model.params_, y[i : i + 1])[0]
        return np.asarray(out)

    def sample(self, k: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Return k draws for each given row: shape (m, k, d), or (m, k) for one remaining column."""
        rng, k = rng_from(random_state), whole_number(k, "k", least=0)
        m, r = len(self), len(self._rest)
        check_memory(4 * 8 * m * k * r, f"Drawing {k:,} rows of {r:,} columns for each of {m:,}")
        draws = np.empty((m, k, r))
        values = marginal_values(self._params, self._rest)
        values["bandwidth"] = self._narrowed()
        of_rest = Params(values, self._units, self._columns)
        for rows, weights in self._weights():
            reached = np.cumsum(weights, axis=1)
            reached /= reached[:, -1:]
            # one search for all rows: row i of the block lies between i and i + 1
            places = np.arange(len(reached))[:, None]
            u = rng.random((len(reached), k))
            chosen = np.searchsorted((reached + places).ravel(), (u + places).ravel(), side="right")
            chosen = chosen.reshape(len(reached), k) - places * reached.shape[1]
            last = reached.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0.0, axis=1)
            chosen = np.minimum(chosen, last[:, None])
            centres = self._centres(rows, chosen).reshape(-1, r)
            draws[rows] = self._bumped(of_rest, centres, chosen.ravel(), rng).reshape(len(reached), k, r)
        draws = self._units.back(draws.reshape(m * k, r)).reshape(m, k, r)
        return draws[..., 0] if r == 1 else draws

    def mean(self) -> np.ndarray:
        """Return the conditional means, shape (m, d)."""
        params, out = self._params, np.empty((len(self), len(self._rest)))
        middles = _bump_moments(params)[0]
        for rows, weights in self._weights():
            weights /= weights.sum(axis=1)[:, None]
            out[rows] = weights @ middles[:, self._rest]
            if params.bandwidth.ndim == 2:
                out[rows] += (self._z[rows] - weights @ middles[:, self._given]) @ self._gain()
        return self._units.back(out)

    def quantile(self, q: Any) -> np.ndarray:
        """Return the conditional quantiles, shape (m,) + shape of q; one remaining column only."""
        return np.stack([np.asarray(model.quantile(q)) for model in self])

    # ---------------------------------------------------------------- bumps at given rows

    def _log_sum(self, params: Params, x: Floats) -> Floats:
        edges = edges_of(params) or Edges.free(x.shape[1])
        return log_sum_folded(bumps_of(params), x, edges, **self._how)

    def _narrowed(self) -> Floats:
        """Return the bandwidth of the rest at given values: the same at all."""
        h, rest = self._params.bandwidth, self._rest
        if h.ndim == 1:
            return np.asarray(h[rest])
        narrowed = h[np.ix_(rest, rest)] - h[np.ix_(rest, self._given)] @ self._gain()
        return np.asarray((narrowed + narrowed.T) / 2.0)

    def _gain(self) -> Floats:
        h = self._params.bandwidth
        return np.linalg.solve(h[np.ix_(self._given, self._given)], h[np.ix_(self._given, self._rest)])

    def _centres(self, rows: slice, chosen: NDArray[np.intp]) -> Floats:
        """Return the centres (b, k, r) of the chosen bumps of the rest, at the given rows."""
        points = self._params.points
        out = points[:, self._rest][chosen]
        if self._params.bandwidth.ndim == 2:
            out += (self._z[rows][:, None] - points[:, self._given][chosen]) @ self._gain()
        return np.asarray(out)

    def _weights(self) -> Iterator[tuple[slice, Floats]]:
        """Yield (rows, weights (b, n) of the bumps there, the largest about one), a few rows at a time."""
        bumps, edges = bumps_of(self._of_given), edges_of(self._of_given)
        tall = max(1, PAIRS_PER_BLOCK // bumps.n)
        y = np.ascontiguousarray(bumps.points.T)
        for first in range(0, len(self), tall):
            rows = slice(first, min(first + tall, len(self)))
            total = _log_terms(bumps, edges, self._z[rows], y)
            heights = bumps.log_heights
            if heights is not None:
                total += heights
            total -= total.max(axis=1)[:, None]
            with np.errstate(under="ignore"):
                yield rows, np.exp(total, out=total)


def _log_terms(bumps: Bumps, edges: Edges | None, z: Floats, y: Floats) -> Floats:
    """Return log of the kernel of each bump at each row (b, n), over all images; constants left out."""
    shape = (len(z), bumps.n)
    total, spare = np.empty(shape), np.empty(shape)
    z = z if edges is None else edges.wrap(z)
    direct_terms(bumps, np.ascontiguousarray(z.T), y, bumps.factors, total, spare)
    if edges is None:
        return total
    for shell, images in edges.shells():
        if shell == 0:
            continue
        before = total.copy()
        for image in images:
            sign, shift = (np.array(part) for part in zip(*image, strict=True))
            part = np.empty(shape)
            direct_terms(bumps, np.ascontiguousarray((sign * z + shift).T), y, bumps.factors, part, spare)
            np.logaddexp(total, part, out=total)
        top = total.max(axis=1)[:, None]
        # settled where nothing changed that counts beside the largest
        with np.errstate(invalid="ignore"):
            moved = (total > before + 1e-15) & (total > top - math.log(1e17))
        if shell > 1 and not moved.any():
            break
    return total
