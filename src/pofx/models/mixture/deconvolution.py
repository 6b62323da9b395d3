"""A search for the truth behind rows with known errors: where it begins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .batch import lower_triangle, squares
from .candidate import KEEP, Candidate, Job
from .deconvolved import DeconvolvedRows
from .fitting import Fitting
from .search import Search

__all__ = ["DeconvolvingSearch"]

FEWER = 5  # times fewer random starts among many candidates than a search without errors makes
LEAST_START = 0.1  # of a cluster's variance that a start leaves of it


class DeconvolvingSearch(Search):
    """A search for the truth, from solutions for the rows as they were measured, and some partitions of them.

    A pass with errors costs as much as dozens without, so among many candidates most of it is done without.
    """

    def __init__(self, fitting: Fitting, candidates: Sequence[Candidate]) -> None:
        sketched = fitting.searched(candidates)
        self.plain = [Candidate(c.structure, c.k) for c in candidates]
        without = Search(sketched, fitting.sketch, self.plain, fitting.rng, fitting.plan.n_init)
        without.begin(KEEP, fitting.plan.leading)
        few = max(1, fitting.plan.n_init // FEWER) if fitting.plan.automatic else fitting.plan.n_init
        super().__init__(sketched, fitting.sketch, candidates, fitting.rng, few)
        self.rows = self.measured = {kind: fitting.measured_sketch(kind) for kind in sketched}

    def first_starts(self, candidates: Sequence[Candidate]) -> list[Job]:
        """Partitions and solutions of the rows, each cluster without the errors' mean variances."""
        jobs = super().first_starts(candidates)
        place = {(p.structure.name, p.k): p for p in self.plain}
        jobs += [(c, r.state) for c in candidates for r in place[c.structure.name, c.k].runs if not r.low]
        return [(c, _narrowed(state, self.measured[c.structure.diagonal])) for c, state in jobs]


def _narrowed(state: np.ndarray, rows: DeconvolvedRows) -> np.ndarray:
    """Return a state (p, K) with variances less those of the errors, as far as a start can bear; same
    correlations."""
    d = rows.d
    s = rows.s if rows.s.ndim == 2 else rows.s[np.arange(d), np.arange(d)]
    mean_error = (s[:, 0] if s.shape[1] == 1 else s @ rows.w / rows.total)[:, None]
    variance = state[1 + d :] if rows.diagonal else state[1 + d + squares(d)]
    share = np.maximum(1.0 - mean_error / np.maximum(variance, 1e-300), LEAST_START)
    out = state.copy()
    if rows.diagonal:
        out[1 + d :] *= share
    else:
        i, j = lower_triangle(d)
        out[1 + d :] *= np.sqrt(share[i] * share[j])
    return out
