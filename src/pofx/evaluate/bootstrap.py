r"""Is the family right? A parametric bootstrap with refits: what fitting to the rows does to their curves.

A density fitted to rows lies closer to them than the truth does, so bands for a known density are far too
wide (Lilliefors 1967, *J. Am. Stat. Assoc.* 62, 399; Stute, González Manteiga and Presedo Quindimil 1993,
*Metrika* 40, 243). Here the fitted density draws B samples of as many rows, at the recorded precision; each
is fitted again, with everything that the fit chose from data held (the number of components, their
structure), and is looked at by its own fit, as the rows are by theirs. If the family is right, rows and
samples are alike, up to what the estimate's error changes, and the place of the rows among them is the
p-value:

    p = (1 + #{b: T_b >= T}) / (B + 1)

*The statistics.* Of a curve, the largest of |gap(z) - mean(z)| / sd(z) over the grid, mean and sd those of
all B + 1 gaps, the rows' own among them, so that all are treated alike; of the columns together, the largest
of theirs; of rows and draws as two samples, the energy distance averaged over directions, which costs a sort
for each (:func:`pofx.maths.energy.sliced_energy`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..errors import DegenerateError, PofxError
from ..maths.energy import directions, sliced_energy
from ..threads import map_ordered, one_blas_thread
from ..validation import Columns, restore
from .calibration import grid
from .curves import cells, comparable

__all__ = ["REPLICATES", "Replicates", "again", "p_value", "recorded", "replicates"]

Floats = NDArray[np.float64]

REPLICATES = 199
DRAWS = 2_000  # of each fit, that heights are ranked among
MOST_SPREAD = 1_000  # draws and rows whose energy distance is taken
TRIES = 10
ONE_ROW = 0.5  # rows that are added to the standard deviation of a gap: at the ends of a grid it may be zero


@dataclass(frozen=True, eq=False)
class Replicates:
    """Curves and energy distances of the rows (first) and of the samples drawn from the fit.

    Attributes
    ----------
    z : ndarray (K,)
        Where the curves are looked at.
    counts : ndarray (B + 1, C, K)
        Rows with u <= z: of each column, and of the rank of the log density last. Of recorded columns not
        whole numbers.
    energy : ndarray (B + 1,)
        The energy distance's share; empty in a single column.
    n : int
        Rows.
    """

    z: Floats
    counts: Floats
    energy: Floats
    n: int

    @property
    def gaps(self) -> Floats:
        """Observed minus expected share (B + 1, C, K)."""
        return self.counts / self.n - self.z

    def bands(self, level: float) -> tuple[Floats, Floats]:
        """Return the ends (C, K) of the shares: all columns together stay inside with probability 1 - level,
        and so does the rank."""
        centre, spread, reach = self._standardised
        columns, rank = _limit(reach[:, :-1].max(axis=1), level), _limit(reach[:, -1], level)
        half = np.append(np.full(len(spread) - 1, columns), rank)[:, None] * spread
        return np.clip(self.z + centre - half, 0.0, 1.0), np.clip(self.z + centre + half, 0.0, 1.0)

    def energy_limit(self, level: float) -> float:
        """Return what the energy distance exceeds with probability ``level``."""
        return _limit(self.energy, level)

    @property
    def curves(self) -> Floats:
        """The statistic of each curve, (B + 1, C)."""
        return self._standardised[2]

    @property
    def _standardised(self) -> tuple[Floats, Floats, Floats]:
        gaps = self.gaps
        centre, spread = gaps.mean(axis=0), gaps.std(axis=0) + ONE_ROW / self.n
        return centre, spread, (np.abs(gaps - centre) / spread).max(axis=2)

    @property
    def statistics(self) -> dict[str, Floats]:
        """The statistics by name, (B + 1,) each: columns, rank, and energy in two columns or more."""
        curves = self.curves
        found = {"columns": curves[:, :-1].max(axis=1), "rank": curves[:, -1]}
        return {**found, "energy": self.energy} if len(self.energy) else found


def _limit(statistic: Floats, level: float) -> float:
    """Return the largest value whose place among all is no rejection: p > level."""
    most = int(np.floor(level * len(statistic) + 1e-9))
    return float(np.sort(statistic)[len(statistic) - 1 - most])


def p_value(statistic: Floats) -> float:
    """Return the place of the first among all, (1 + #{b: T_b >= T_0}) / (B + 1)."""
    return float(np.count_nonzero(statistic >= statistic[0] - 1e-12) / len(statistic))


def replicates(
    model: Density,
    x: Floats,
    columns: Columns,
    rng: np.random.Generator,
    *,
    n_boot: int = REPLICATES,
    say: Callable[[str], None] = lambda text: None,
) -> Replicates | None:
    """Return the curves of rows (n, d) under the model that was fitted to them, and those of samples of it.

    None where the model's family is not described by a few parameters, or cannot be fitted to its samples.
    """
    if not model.parametric:
        return None
    z = grid(len(x))
    lines = directions(x.shape[1]) if x.shape[1] > 1 else None
    seeds = rng.spawn(n_boot + 1)
    edges = [cells(columns, j) for j in range(x.shape[1])]
    plain = replace(columns, container="array")

    def one(b: int) -> tuple[Floats, float]:
        own, judge, rows = seeds[b], model, x
        if b:
            if b % 25 == 0:
                say(f"{type(model).__name__}: sample {b} of {n_boot} from the fit, fitted again")
            rows, judge = again(model, len(x), plain, own)
        drawn = recorded(judge, DRAWS, plain, own)
        counts = [_column_counts(judge, j, rows[:, j], edges[j], z) for j in range(x.shape[1])]
        counts.append(_counts(_ranks(judge, rows, drawn, own), z))
        energy = 0.0 if lines is None else sliced_energy(rows[:MOST_SPREAD], drawn[:MOST_SPREAD], lines)
        return np.stack(counts), energy

    try:
        with one_blas_thread():
            found = list(map_ordered(one, range(n_boot + 1)))
    except DegenerateError:
        return None
    energy = np.array([share for _, share in found]) if lines is not None else np.empty(0)
    return Replicates(z, np.stack([counts for counts, _ in found]), energy, len(x))


def again(model: Density, n: int, columns: Columns, rng: np.random.Generator) -> tuple[Floats, Density]:
    """Return n draws of the model, at the precision of the columns, and the family fitted to them.

    Few or coarsely recorded rows may leave a column without any spread; such samples are drawn again, as rows
    like that would not have been fitted either.

    Raises
    ------
    DegenerateError
        Where none of ten samples can be fitted.
    """
    for _ in range(TRIES):
        rows = recorded(model, n, columns, rng)
        try:
            return rows, model._refitted(rows)
        except (np.linalg.LinAlgError, PofxError, FloatingPointError):
            continue
    raise DegenerateError(f"None of {TRIES} samples drawn from {model!r:.80} can be fitted.")


def recorded(model: Density, n: int, columns: Columns, rng: np.random.Generator) -> Floats:
    """Return n draws (n, d) at the precision of the columns, whose container is an array."""
    rows = model._recordable(model.params_, model._sample_rows(model.params_, n, rng))
    return np.asarray(restore(rows, columns), dtype=float)


def _column_counts(
    model: Density,
    j: int,
    x: Floats,
    edges: Callable[[Floats], tuple[Floats, Floats]] | None,
    z: Floats,
) -> Floats:
    """Return how many values of a column have a distribution function of at most z, for each z.

    A recorded value is spread evenly over its cell, so that counts are not whole: as often below z as it
    would be on average, were it placed in the cell at random. The samples are counted alike, and nothing
    depends on a seed.
    """
    part = model.marginal([j])
    params = part.params_

    def cdf(at: Floats) -> Floats:
        return np.exp(part._log_cdf(params, params.units.to(at[:, None])[:, 0]))

    if edges is None:
        return _counts(cdf(x), z)
    distinct, size = np.unique(x, return_counts=True)
    low, high = (cdf(ends) for ends in edges(distinct))
    below = np.concatenate([[0], np.cumsum(size)])
    at = np.searchsorted(high, z, side="right")  # the first cell that ends beyond z
    cut = np.minimum(at, len(distinct) - 1)
    width = high[cut] - low[cut]
    share = np.clip((z - low[cut]) / np.where(width > 0.0, width, 1.0), 0.0, 1.0)
    return np.asarray(below[at] + np.where(at < len(distinct), share * size[cut], 0.0))


def _ranks(model: Density, x: Floats, drawn: Floats, rng: np.random.Generator) -> Floats:
    """Return u of each row: the rank of its log density among the draws', ties in random order."""
    params = model.params_
    both = model._log_density_rows(params, np.concatenate([x, drawn]))
    height, heights = comparable(both[: len(x)], both[len(x) :])
    heights = np.sort(heights)
    low, high = (np.searchsorted(heights, height, side=side) for side in ("left", "right"))
    return np.asarray((low + rng.random(len(x)) * (high - low + 1)) / (len(heights) + 1))


def _counts(u: Floats, z: Floats) -> Floats:
    return np.searchsorted(np.sort(u), z, side="right").astype(float)
