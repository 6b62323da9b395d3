"""The histogram: counts of rows in cells, over any number of columns.

::

    p(x) = [ n_c(x) / |c(x)| + A / V ] / (N + A)

c(x) is the cell of x, n_c its rows, |c| its volume; V is the volume of the box of all cells, N the
number of rows (the sum of their weights). A pseudo-rows are spread evenly over the box, so every cell
inside it has some mass: with M equal cells this is a pseudo-count of A / M in each. Marginals and
conditionals of this family stay in it: summing a column out keeps A, fixing a column keeps the rows
of its bin and A times the bin's share of the column.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from pofx.core.density import Density
from pofx.core.fitting import Outcome
from pofx.core.fold import Data, require_rows, require_spread
from pofx.core.params import Params
from pofx.core.units import Units
from pofx.errors import DataError, DegenerateError, ParameterError, PofxWarning, UnsupportedError
from pofx.maths.cells import CellCounts, group, leave_one_out, locate, place
from pofx.maths.edges import column_edges
from pofx.validation import Columns, check_memory, real_number

from .box import Box
from .spec import Spec, check_spec, rules_per_column

__all__ = ["Histogram"]


class Histogram(Density):
    """Histogram density with automatic bins and a pseudo-count chosen by leave-one-out.

    Parameters
    ----------
    bins : str, int, sequence or mapping
        Where the edges go. A rule: "fd" (Freedman–Diaconis 1981), "scott" (1979), "sturges" (1926),
        "doane" (1976), "knuth" (2006) or, for one column, "blocks" (Bayesian blocks, Scargle et al.
        2013); a number of equal bins over each column's range; for a single column its edges (data
        units); or one such entry per column, as a sequence or as a mapping from column names (columns
        not named get "fd"). The widths of "fd" and "scott" fall like ``n**(-1/(d+2))`` in d columns
        (Scott 1992); the other rules treat each column by itself. Automatic edges avoid the values that
        the column can record: half a recorded step away where its values lie on a lattice, with widths
        of whole steps.
    smoothing : "auto" or float
        "auto": the mass spread evenly over the box is chosen by leave-one-out likelihood
        (:func:`pofx.maths.cells.leave_one_out`). A number: the pseudo-count per cell (the mean over
        cells, in proportion to their volumes). With smoothing, the box of automatic bins is one bin
        wider on each side of the rows. ``0``: the pure histogram, whose empty cells have density zero.
    missing, weight_kind
        As for every model; see :class:`pofx.core.density.Density`.

    Attributes
    ----------
    edges_ : list of ndarray
        Each column's edges, data units.
    n_bins_ : ndarray of int, shape (d,)
    cells_ : ndarray of int, shape (m, d)
        The occupied cells, as bin numbers.
    counts_ : ndarray of shape (m,)
        Their rows (summed weights).
    masses_ : ndarray of shape ``n_bins_``
        Every cell's probability, as a full grid; refused where the grid would not fit into memory.
    pseudo_count_, uniform_share_ : float
        A / M and A / (N + A).

    Notes
    -----
    Bins are half-open, [e_k, e_k+1), the last one closed; outside the box the log density is -inf.
    ``n_parameters_`` counts the occupied cells less one, and one for a smoothing mass: the masses that the
    rows determined (the formal number, cells of the box less one, means nothing when cells outnumber rows).

    **Pitfalls.** The number of cells is bins^d: in four columns most new rows fall where no row was, and all
    a histogram can say there is one constant. Twenty bins per column of iris make 160,000 cells, of which
    its 150 rows occupy 146. Four independent normal columns, half of the rows held out:

    >>> import numpy as np, pofx
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> pure = pofx.Histogram(bins=10, smoothing=0).fit(x[:150])
    >>> pure.fit_.message
    '10 x 10 x 10 x 10 = 10,000 cells, 140 occupied; no smoothing: density zero in empty cells.'
    >>> float(np.isneginf(pure.log_density(x[150:])).mean())
    0.92

    Smoothing makes such densities finite, not good. New rows beyond the outermost bins have density zero
    whatever the smoothing: a histogram has no tails.

    A column that takes few values (counts, grades) gets bins centred on them: its density is a mass divided
    by the step, not comparable with a mass. And one outlier stretches rules with a fixed number of bins
    ("sturges", "doane", a number) until nearly all rows share one bin; a warning says so.

    Examples
    --------
    >>> model = pofx.Histogram().fit(x[:, 0])
    >>> model.fit_.message
    '15 cells, 13 occupied; 3.88% of the mass is spread evenly over the box (by leave-one-out).'
    >>> round(float(model.cdf([model.quantile(0.25)])[0]), 12)
    0.25
    """

    rank = 4
    rtol = 1e-12

    def __init__(
        self,
        bins: Any = "fd",
        *,
        smoothing: str | float = "auto",
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        super().__init__(missing=missing, weight_kind=weight_kind)
        self.bins = bins
        self.smoothing = smoothing

    @classmethod
    def from_params(
        cls, edges: Any, masses: Any, *, cells: Any = None, uniform: float = 0.0, names: Any = None
    ) -> Self:
        """Return a known histogram.

        Parameters
        ----------
        edges : array, or sequence of d arrays
            Ascending edges of each column, data units; one array for a single column.
        masses : array of shape (bins of column 0, ..., bins of column d-1), or (m,) with ``cells``
            Non-negative, with sum 1 (to 1e-9; divided by their sum).
        cells : array of int (m, d), optional
            Which cells the masses belong to, as bin numbers; all other cells are empty.
        uniform : float in [0, 1)
            The share of the mass that is spread evenly over the box.
        names : sequence of str, optional
            Column names.

        Raises
        ------
        ParameterError
        """
        check_spec({"edges": edges} if np.ndim(edges[0]) == 0 else dict(enumerate(edges)))
        parts = [np.asarray(e, dtype=float) for e in ([edges] if np.ndim(edges[0]) == 0 else edges)]
        n_bins = np.array([len(e) - 1 for e in parts], dtype=np.int64)
        masses = np.asarray(masses, dtype=float)
        if cells is None:
            if masses.shape != tuple(n_bins):
                raise ParameterError(f"masses needs the shape {tuple(n_bins.tolist())}; got {masses.shape}.")
            cells, masses = np.argwhere(masses != 0), masses[masses != 0]
        cells = np.asarray(cells, dtype=np.int64).reshape(-1, len(parts))
        if masses.shape != (len(cells),) or not (masses >= 0).all() or not abs(masses.sum() - 1) <= 1e-9:
            raise ParameterError("masses must be non-negative numbers with sum 1, one for each cell.")
        if ((cells < 0) | (cells >= n_bins)).any():
            raise ParameterError(f"cells must be bin numbers below {n_bins.tolist()}, counted from 0.")
        uniform = real_number(uniform, "uniform", least=0.0, below=1.0)
        cells, counts = group(cells[masses > 0], masses[masses > 0] / masses.sum(), n_bins)
        units = Units.for_range(*(np.array([e[i] for e in parts]) for i in (0, 0, -1)))
        log_extra = math.log(uniform) - math.log1p(-uniform) if uniform else -math.inf
        inside = [_to_unit(units, j, e) for j, e in enumerate(parts)]
        values = Box.of(inside, cells, counts, log_extra).values()
        return cls._from_values(values, units, Columns.plain(len(parts), names))

    # ---------------------------------------------------------------- fit

    def _check(self) -> None:
        check_spec(self.bins)
        if isinstance(self.smoothing, str):
            if self.smoothing != "auto":
                raise ParameterError(f"smoothing must be 'auto' or a number >= 0; got {self.smoothing!r}.")
        else:
            real_number(self.smoothing, "smoothing", least=0.0)

    def _bytes(self, n: int, d: int) -> int:
        return 8 * n * (4 * d + 4)  # the rows, and the cells of a fold's two halves with their keys

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[Mapping[str, Any], Outcome]:
        rules = rules_per_column(self.bins, data.columns)
        edges, notes = self._edges(data, rules)
        found: CellCounts = data.fold(lambda x, w: CellCounts.of(x, w, edges))
        box = Box.of(edges, found.cells, found.counts)
        box = box.smoothed(self._log_extra(data, box))
        message = f"{box.describe()}; {self._describe_smoothing(box)}."
        passes = 1 + any(isinstance(rule, str | int) for rule in rules) + (self._rowwise() and 1)
        return box.values(), Outcome(message=message, passes=passes, notes=tuple(notes))

    def _edges(self, data: Data, rules: Sequence[Spec]) -> tuple[list[np.ndarray], list[str]]:
        """Return each column's edges in unit space, and notes; warn where outliers decide."""
        automatic = [j for j, rule in enumerate(rules) if isinstance(rule, str | int)]
        if automatic:
            require_rows(data, 2, "A data-driven scale (automatic bins)")
        require_spread(data, "Leave it out, or give its edges, as in bins={0: [4.5, 5.5]}.", automatic)
        if data.d > 1 and any(isinstance(rule, str) and rule == "blocks" for rule in rules):
            raise ParameterError(f"bins='blocks' is for one column, not for {data.d}. Try bins='knuth'.")
        x, w = data.all() if automatic else (np.empty((0, data.d)), np.empty(0))
        edges, notes = [], []
        for j, rule in enumerate(rules):
            if isinstance(rule, np.ndarray):
                edges.append(self._given_edges(data, j, rule))
                continue
            found, said, doubts = column_edges(x[:, j], w, rule, d=data.d, margin=self.smoothing != 0)
            edges.append(found)
            notes += [f"{data.label(j)!r}: {text}" for text in said + doubts]
            for doubt in doubts:
                warnings.warn(f"Histogram, {data.label(j)!r}: {doubt}.", PofxWarning, stacklevel=5)
        return edges, notes

    def _given_edges(self, data: Data, j: int, rule: np.ndarray) -> np.ndarray:
        edges = _to_unit(data.units, j, rule)
        if not (np.diff(edges) > 0).all():
            raise ParameterError(f"bins: edges of {data.label(j)!r} coincide next to its range.")
        if data.low[j] < edges[0] or data.high[j] > edges[-1]:
            low, high = (data.units.back(v)[j] for v in (data.low, data.high))
            raise DataError(
                f"{data.label(j)!r} runs from {low:g} to {high:g}, beyond the given edges "
                f"{rule[0]:g} to {rule[-1]:g}. Widen the edges, or drop those rows first."
            )
        return edges

    # ---------------------------------------------------------------- smoothing

    def _rowwise(self) -> bool:
        return self.smoothing == "auto" and self.weight_kind == "importance"

    def _log_extra(self, data: Data, box: Box) -> float:
        """Return log A."""
        if self.smoothing != "auto":
            return math.log(float(self.smoothing)) + box.log_cells if self.smoothing else -math.inf
        if self._rowwise():  # each row is left out with its own weight
            x, w = data.all()
            at = locate(box.cells, box.n_bins, place(x, box.edges))
            return leave_one_out(box.counts[at], box.log_shares[at], box.total, w, w)
        # One of n_c equal copies is left out, n_c times. Cells of like count and size are taken together.
        kinds, number = np.unique(box.counts + 1j * np.round(box.log_shares, 9), return_counts=True)
        counts = kinds.real
        return leave_one_out(counts, kinds.imag, box.total, np.minimum(counts, 1.0), counts * number)

    def _describe_smoothing(self, box: Box) -> str:
        if not np.isfinite(box.log_extra):
            return "no smoothing: density zero in empty cells"
        chosen = "by leave-one-out" if self.smoothing == "auto" else "as given"
        share = math.exp(box.log_uniform)
        return f"{share:.2%} of the mass is spread evenly over the box ({chosen})"

    # ---------------------------------------------------------------- the distribution

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        Box.check(values, d)

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        box = Box.from_params(params)
        cells = place(x, box.edges)
        inside = (cells >= 0).all(axis=1)
        out = np.full(len(x), -np.inf)
        out[inside] = box.log_uniform - box.log_volume
        at = locate(box.cells, box.n_bins, cells)
        occupied = at >= 0
        out[occupied] = box.log_densities[at[occupied]]
        return out

    def _log_box(
        self, params: Params, lower: np.ndarray, upper: np.ndarray, point: np.ndarray, coarse: bool = False
    ) -> np.ndarray:
        return Box.from_params(params).log_boxes(lower, upper, point)

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        box = Box.from_params(params)
        even = rng.random(n) < math.exp(box.log_uniform)
        u = rng.random(n)
        low = np.tile(np.array([e[0] for e in box.edges]), (n, 1))
        high = np.tile(np.array([e[-1] for e in box.edges]), (n, 1))
        if len(box.counts):
            upto = np.cumsum(box.counts)
            which = np.searchsorted(upto, u[~even] * upto[-1], side="right")
            cells = box.cells[np.minimum(which, len(upto) - 1)]
            for j, edge in enumerate(box.edges):
                low[~even, j], high[~even, j] = edge[cells[:, j]], edge[cells[:, j] + 1]
        # a draw that rounds up to the upper edge would lie in the next cell
        return np.minimum(low + (high - low) * rng.random(low.shape), np.nextafter(high, -np.inf))

    def _marginal(self, params: Params, keep: list[int]) -> Mapping[str, Any]:
        box = Box.from_params(params)
        cells, counts = group(box.cells[:, keep], box.counts, box.n_bins[keep])
        return Box.of([box.edges[j] for j in keep], cells, counts, box.log_extra).values()

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> Mapping[str, Any]:
        box = Box.from_params(params)
        at = place(z[None, :], [box.edges[j] for j in given])[0]
        here = (box.cells[:, given] == at).all(axis=1)
        if (at < 0).any() or not (here.any() or np.isfinite(box.log_extra)):
            names = ", ".join(repr(params.columns.label(j)) for j in given)
            raise DegenerateError(
                f"The histogram has no mass at the given value of {names}, so no conditional exists there. "
                "Give a value inside the box, and fit with smoothing if it lies in an empty cell."
            )
        rest = [j for j in range(len(box.edges)) if j not in given]
        share = sum(float(box.log_bin_shares[j][k]) for j, k in zip(given, at, strict=True))
        cells, counts = group(box.cells[np.ix_(here, rest)], box.counts[here], box.n_bins[rest])
        return Box.of([box.edges[j] for j in rest], cells, counts, box.log_extra + share).values()

    def _mean(self, params: Params) -> np.ndarray:
        return Box.from_params(params).moments()[0]

    def _covariance(self, params: Params) -> np.ndarray:
        return Box.from_params(params).moments()[1]

    def _entropy(self, params: Params) -> float:
        return Box.from_params(params).entropy()

    def _n_parameters(self, params: Params) -> int:
        return max(len(params.counts) - 1, 0) + bool(np.isfinite(params.log_extra))

    def _finest_scale(self, params: Params) -> np.ndarray:
        return np.array([0.5 * np.diff(edges).min() for edges in Box.from_params(params).edges])

    def _flat(self) -> bool:
        return True

    # ---------------------------------------------------------------- one column

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return Box.from_params(params).log_tail(x, upper=False)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return Box.from_params(params).log_tail(x, upper=True)

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        return Box.from_params(params).quantile(q)

    # ---------------------------------------------------------------- fitted values, data units

    @property
    def edges_(self) -> list[np.ndarray]:
        """Each column's edges, data units."""
        params = self.params_
        box = Box.from_params(params)
        return [params.units.select([j]).back(e[:, None])[:, 0] for j, e in enumerate(box.edges)]

    @property
    def n_bins_(self) -> np.ndarray:
        """The number of bins of each column."""
        return self.params_.n_bins

    @property
    def cells_(self) -> np.ndarray:
        """The occupied cells, as bin numbers (m, d)."""
        return self.params_.cells

    @property
    def counts_(self) -> np.ndarray:
        """The rows in each occupied cell (m,); summed weights."""
        return self.params_.counts

    @property
    def uniform_share_(self) -> float:
        """The share of the mass that is spread evenly over the box."""
        return math.exp(Box.from_params(self.params_).log_uniform)

    @property
    def pseudo_count_(self) -> float:
        """The smoothing as rows added per cell, on average over cells."""
        box = Box.from_params(self.params_)
        return math.exp(box.log_extra - box.log_cells)

    @property
    def masses_(self) -> np.ndarray:
        """Every cell's probability as a grid of shape ``n_bins_``; MemoryLimitError where too large."""
        box = Box.from_params(self.params_)
        if len(box.edges) > 32:
            raise UnsupportedError(f"masses_ would have {len(box.edges)} dimensions; use cells_ and counts_.")
        check_memory(16 * math.exp(min(box.log_cells, 700.0)), f"The grid of {box.describe_cells()}")
        return box.dense()


def _to_unit(units: Units, j: int, edges: np.ndarray) -> np.ndarray:
    return units.select([j]).to(edges[:, None])[:, 0]
