"""What one fit of a mixture works with: the plan, and the rows in every form that it needs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.fold import Data
from ...errors import PofxWarning
from ...maths.moments import Moments
from .candidate import Candidate
from .deconvolved import DeconvolvedRows, variances_in
from .expanded import n_features
from .frame import Frame
from .incomplete import IncompleteRows, StreamedIncompleteRows
from .measurements import distinct_with_errors, frame_of_truth
from .noisy_rows import NoisyRows
from .one_gaussian import OneGaussian
from .rows import CachedRows, Rows, StreamedRows
from .starts import Sketch
from .structures import Structure

__all__ = ["Fitting", "Plan"]

SUBSAMPLE = 2_000  # distinct rows beyond which candidates are ranked on a sample
MOST_DISTINCT = 20_000  # distinct rows that are looked for
MUCH_SMALLER = 4  # times as many rows as a sample has that make it worth climbing on the sample first
CACHE_BYTES = 56 * 2**20  # what rows may take beyond the data


@dataclass(frozen=True)
class Plan:
    """What was asked for.

    Attributes
    ----------
    structures, sizes : the candidates' structures and numbers of components
    automatic : whether there is a choice to make
    n_init, tol, max_iter, noise : see GaussianMixture
    leading : the structures that are searched first, where not all need be
    """

    structures: tuple[Structure, ...]
    sizes: tuple[int, ...]
    automatic: bool
    n_init: int
    tol: float
    max_iter: int
    leading: tuple[Structure, ...] = ()
    noise: bool = False


class Fitting:
    """One fit: the rows in every form that it needs."""

    def __init__(self, data: Data, plan: Plan, rng: np.random.Generator) -> None:
        self.data, self.plan, self.rng = data, plan, rng
        self.notes: list[str] = []
        # As many distinct rows as anything asks for: to be sampled, or to tell that there are enough.
        limit = max(MOST_DISTINCT, max(plan.sizes) * (data.d + 1) + 1)
        self.errors: np.ndarray | None = None  # in unit space, of all distinct rows or one for all
        if data.errors is None:
            z, w = data.distinct(limit)
        else:
            z, w, self.errors = distinct_with_errors(data)
            self._distinct = z, w
        self.n_distinct = len(z)
        self.one: OneGaussian | None = None
        if data.complete:
            self.moments: Moments = data.fold(lambda x, w: Moments.of(x, w))
            self.sketch = self._many = Sketch.of(z, w)
        else:
            self.one = OneGaussian.of(data, z, w)
            self.moments = self.one.moments
            self.sketch = self._many = Sketch.of(self.one.completed(z), w, np.isnan(z))
        self.whole = len(z) <= SUBSAMPLE
        if not self.whole:
            self.sketch = self.sketch.take(np.sort(rng.choice(len(z), SUBSAMPLE, replace=False)))
        self._frames: dict[bool, Frame] = {}
        self._full: dict[bool, Rows] = {}
        self._sketched: dict[bool, CachedRows] = {}
        self._measured: dict[bool, DeconvolvedRows] = {}
        self._cached = 0

    def frame(self, diagonal: bool) -> Frame:
        """Return the search space of full or diagonal structures."""
        if diagonal not in self._frames:
            exponent = self.data.units.exponent
            if self.errors is None:
                self._frames[diagonal] = Frame.of(self.moments, exponent, diagonal=diagonal)
            else:
                w = self._distinct[1]
                frame = frame_of_truth(self.moments, self.errors, w, exponent, diagonal=diagonal)
                self._frames[diagonal] = frame
        return self._frames[diagonal]

    def sketch_rows(self, diagonal: bool) -> CachedRows:
        """Return the rows that are searched: all distinct ones, or a sample of them."""
        if diagonal not in self._sketched:
            self._sketched[diagonal] = self.rows_of(self.sketch, diagonal)
        return self._sketched[diagonal]

    def searched(self, candidates: Sequence[Candidate]) -> dict[bool, CachedRows]:
        """Return the rows that are searched for each kind of structure among some candidates."""
        return {kind: self.sketch_rows(kind) for kind in sorted({c.structure.diagonal for c in candidates})}

    def many_rows(self, diagonal: bool) -> Rows | None:
        """Return a sample ten times as large, on which EM may come most of its way; None where it is not
        much smaller than all rows."""
        if self.whole or self.errors is not None or self.data.n < MUCH_SMALLER * len(self._many):
            return None
        rows = self.rows_of(self._many, diagonal)
        return self.with_noise(rows) if self.plan.noise else rows

    def rows_of(self, some: Sketch, diagonal: bool) -> CachedRows:
        """Return some of the rows in search space."""
        frame, z, w = self.frame(diagonal), some.z, some.w
        if some.gaps is None:
            return CachedRows(frame.rows(z), w, frame, diagonal=diagonal)
        return IncompleteRows(np.where(some.gaps, np.nan, z), w, frame, diagonal=diagonal, filled=z)

    def all_rows(self, diagonal: bool) -> Rows:
        """Return all rows, with their features in memory where that is little, else as they pass by."""
        if self.errors is not None:
            return self._all_measured(diagonal)
        rows = self.sketch_rows(diagonal) if self.whole else self._all_rows(diagonal)
        return self.with_noise(rows) if self.plan.noise else rows

    def with_noise(self, rows: Rows) -> NoisyRows:
        """Return the same rows, some of which may be noise in the box of all rows."""
        return NoisyRows(rows, float(np.log(self.data.high - self.data.low).sum()))

    def measured_sketch(self, diagonal: bool) -> DeconvolvedRows:
        """Return the rows that are searched, with their errors."""
        if diagonal not in self._measured:
            self._measured[diagonal] = self._deconvolved(diagonal, self.sketch.order)
        return self._measured[diagonal]

    def _all_measured(self, diagonal: bool) -> Rows:
        if self.whole:
            return self.measured_sketch(diagonal)
        if diagonal not in self._full:
            self._full[diagonal] = self._deconvolved(diagonal, np.arange(self.n_distinct))
        return self._full[diagonal]

    def _deconvolved(self, diagonal: bool, which: np.ndarray) -> DeconvolvedRows:
        assert self.errors is not None
        (z, w), frame = self._distinct, self.frame(diagonal)
        errors = self.errors if len(self.errors) == 1 else self.errors[which]
        s = variances_in(frame, errors, diagonal=diagonal)
        return DeconvolvedRows(frame.rows(z[which]), s, w[which], frame, diagonal=diagonal)

    def _all_rows(self, diagonal: bool) -> Rows:
        if diagonal not in self._full and self.one is not None:
            self._full[diagonal] = self._incomplete(diagonal)
        if diagonal not in self._full:
            data, frame = self.data, self.frame(diagonal)
            needed = 8 * data.n * (data.d + 1)
            if self._cached + needed <= CACHE_BYTES:
                self._cached += needed
                self._full[diagonal] = CachedRows(*_kept(data, frame), frame, diagonal=diagonal)
            else:
                self._full[diagonal] = StreamedRows(data, frame, diagonal=diagonal)
        return self._full[diagonal]

    def _incomplete(self, diagonal: bool) -> Rows:
        """Return all rows where entries are missing: in memory with their features, or as they pass by."""
        data, frame = self.data, self.frame(diagonal)
        needed = 8 * data.n * (2 * data.d + n_features(data.d, diagonal))
        if self._cached + needed > CACHE_BYTES:
            return StreamedIncompleteRows(data, frame, diagonal=diagonal)
        self._cached += needed
        return IncompleteRows(*data.all(), frame, diagonal=diagonal)

    def closed_form(self, k: int) -> bool:
        """Whether there is a closed form for k components: for one, of complete rows as they are."""
        return k == 1 and self.one is None and self.errors is None and not self.plan.noise

    @property
    def passes(self) -> int:
        """Passes over all rows so far (those over a sample count by its share)."""
        used = sum(r.passes for r in self._full.values())
        on_sketch = sum(r.passes for r in (*self._sketched.values(), *self._measured.values()))
        before = 1 if self.one is None else self.one.passes
        return before + used + math.ceil(on_sketch * (1.0 if self.whole else len(self.sketch) / self.data.n))

    def warn(self, note: str) -> None:
        """Say something that the user should know: in the record, and as a warning."""
        self.notes.append(note)
        warnings.warn(note, PofxWarning, stacklevel=7)


def _kept(data: Data, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows in search space, column after column, and their weights; nothing else is held."""
    y, w = np.empty((data.n, data.d), order="F"), np.empty(data.n)
    start = 0
    for z, weight in data.blocks():
        y[start : start + len(z)], w[start : start + len(z)] = frame.rows(z), weight
        start += len(z)
    return y, w
