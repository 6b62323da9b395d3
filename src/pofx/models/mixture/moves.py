"""Starts made from solutions: what a found optimum says about its neighbours.

A component cut in two, or a spike put inside one, makes a start with one component more; two merged, or one
taken out, a start with one fewer; both, another start of the same size. A structure starts from the
solutions of its special cases. A run that ended on the floor loses the components that shrank, and gets
others elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .batch import squares
from .candidate import SAME, Candidate, Job
from .em import Mixtures
from .rows import CachedRows
from .starts import doubled, embedded, flattened, inserted, merged, removed, split

__all__ = ["Moves"]

SPLITS = 12  # components of a solution that are cut in two, the heaviest first
MERGERS = 3  # pairs that are merged, the cheapest first
REMOVED = 2  # components that are taken out, the lightest first
REPAIRS = 2  # ways in which a run on the floor is repaired
RELATIVES = 2  # runs of another structure from which a new one starts
FAR = 20.0  # a candidate whose BIC is this much behind is not worth further moves


class Moves:
    """The moves between some candidates.

    Parameters
    ----------
    rows : mapping of bool to CachedRows
        The rows of the sketch, among which new components are placed.
    rng : Generator
    count : int
        Places tried for a new component.
    """

    def __init__(self, rows: Mapping[bool, CachedRows], rng: np.random.Generator, count: int) -> None:
        self.rows, self.rng, self.count = rows, rng, count
        self.d = next(iter(rows.values())).d

    def make(self, candidates: Sequence[Candidate], total: float, *, near_only: bool) -> list[Job]:
        """Return starts from all solutions that are new since the last time, and repairs of fallen runs.

        With ``near_only``, only for candidates whose BIC is within reach of the best.
        """
        place = {(c.structure.name, c.k): c for c in candidates}
        bics = {id(c): c.bic(total, self.d, on_floor_too=True) for c in candidates}
        leader = min(c.bic(total, self.d) for c in candidates)
        single = len({c.structure.name for c in candidates}) == 1

        def worth(c: Candidate | None) -> bool:
            return c is not None and (single or not near_only or bics[id(c)] < leader + FAR)

        jobs: list[Job] = []
        for c in candidates:
            jobs += self._repairs(c, place)
            if c.best is None or c.best.log_likelihood <= c.moved + SAME:
                continue
            c.moved = c.best.log_likelihood
            state = c.best.state
            more, fewer = (place.get((c.structure.name, c.k + step)) for step in (1, -1))
            if more is not None:
                jobs += [(more, s) for s in self._one_more(c, state)]
            if fewer is not None:
                jobs += [(fewer, s) for s in self._one_fewer(state)]
            else:
                jobs += [(c, s) for s in self._rearranged(state)]
            jobs += [
                (general, self.in_terms_of(c, general, state))
                for general in candidates
                if general.k == c.k and general.structure.contains(c.structure)
            ]
        return [(c, state) for c, state in jobs if worth(c)]

    def _one_more(self, c: Candidate, state: np.ndarray) -> list[np.ndarray]:
        heaviest = np.argsort(-state[0], kind="stable")[:SPLITS]
        cut = [split(state, self.d, int(k)) for k in heaviest]
        return cut + [inserted(state, self.d, point) for point in self._points(c, self.count)]

    def _points(self, c: Candidate, count: int) -> np.ndarray:
        rows = self.rows[c.structure.diagonal]
        return rows.y[self.rng.choice(rows.n, min(count, rows.n), p=rows.w / rows.total)]

    def _one_fewer(self, state: np.ndarray) -> list[np.ndarray]:
        joined = [merged(state, self.d, a, b) for a, b in cheapest_pairs(state, self.d)[:MERGERS]]
        return joined + [removed(state, [int(k)]) for k in np.argsort(state[0], kind="stable")[:REMOVED]]

    def _rearranged(self, state: np.ndarray) -> list[np.ndarray]:
        out = []
        for a, b in cheapest_pairs(state, self.d)[:MERGERS]:
            joined = merged(state, self.d, a, b)
            heaviest = np.argsort(-joined[0, :-1], kind="stable")[:SPLITS]
            out += [split(joined, self.d, int(k)) for k in heaviest]
        return out

    def _repairs(self, c: Candidate, place: Mapping[tuple[str, int], Candidate]) -> list[Job]:
        fallen, c.fallen = c.fallen, []
        jobs: list[Job] = []
        for state in fallen:
            low = Mixtures([c.k], [c.structure]).m_step(state, self.rows[c.structure.diagonal])[1]
            if low.all() or not low.any():
                continue
            rest = removed(state, np.flatnonzero(low).tolist())
            smaller = place.get((c.structure.name, rest.shape[1]))
            if smaller is not None:
                jobs.append((smaller, rest))
            for _ in range(REPAIRS):
                again = rest
                for point in self._points(c, int(low.sum())):
                    again = inserted(again, self.d, point)
                if again.shape[1] == c.k:
                    jobs.append((c, again))
        return jobs

    def from_relatives(self, c: Candidate, tried: Sequence[Candidate]) -> list[Job]:
        """Return starts of a new structure from the best runs of others with as many components."""
        jobs: list[Job] = []
        for other in tried:
            for r in other.runs[:RELATIVES] if other.k == c.k else ():
                state = r.state
                if other.structure.diagonal and not c.structure.diagonal:
                    state = embedded(state, self.rows[True].frame, self.rows[False].frame)
                elif c.structure.diagonal and not other.structure.diagonal:
                    state = flattened(state, self.rows[False].frame, self.rows[True].frame)
                jobs.append((c, state))
        return jobs

    def in_terms_of(self, special: Candidate, general: Candidate, state: np.ndarray) -> np.ndarray:
        """Return a solution of ``special`` as a state of ``general``, which contains it: the same density."""
        if special.structure.diagonal != general.structure.diagonal:
            state = embedded(state, self.rows[True].frame, self.rows[False].frame)
        for _ in range(general.k - special.k):
            state = doubled(state)
        return state


def cheapest_pairs(state: np.ndarray, d: int) -> list[tuple[int, int]]:
    """Return pairs of components, those whose merger costs least first."""
    a, b = np.triu_indices(state.shape[1], 1)
    n, mean = state[0], state[1 : 1 + d]
    spread = state[1 + d :] if len(state) == 1 + 2 * d else state[1 + d + squares(d)]
    spread = np.maximum(spread, 1e-300)
    gap = ((mean[:, a] - mean[:, b]) ** 2 / (spread[:, a] + spread[:, b])).sum(axis=0)
    order = np.argsort(gap * n[a] * n[b] / (n[a] + n[b]), kind="stable")
    return [(int(a[i]), int(b[i])) for i in order]
