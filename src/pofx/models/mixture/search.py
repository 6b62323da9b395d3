"""The search for the best regular optimum of every candidate, all candidates together.

1. *Screen*: many starts per candidate, a dozen passes each, all in one batch.
2. *Climb*: the best few of each go on.
3. *Moves*: the best solutions are cut and merged and handed to their neighbours: a component cut in two makes
   a start with one more, two merged one with one fewer, both at once another of the same size, and a
   structure starts also from the solution of its special cases. What screens well climbs; repeated.
4. *Finish*: whatever may still win climbs until less than ``tol`` nats are to be gained.

Only regular optima are ranked: the likelihood of a mixture is unbounded where a component may shrink onto
few rows, so a component on the floor (:data:`pofx.models.mixture.frame.REGULAR`) rules a run out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .batch import squares
from .em import Mixtures, climb
from .rows import CachedRows, Rows, n_features
from .starts import (
    Sketch,
    doubled,
    embedded,
    inserted,
    labels_from_seeds,
    merged,
    removed,
    split,
    state_from_labels,
    ward_on_sketch,
)
from .structures import Structure

__all__ = ["Candidate", "Run", "Search"]

SCREEN = 12  # passes in which a start shows what it is worth
KEEP = 3  # runs of a candidate that climb
CLIMB = 60  # passes of a climb
ROUNDS = 3  # of moves
SAME = 1e-3  # nats within which two runs are taken for the same optimum
FAR = 20.0  # a candidate whose BIC is this much behind is not worth further moves
SCREEN_WORK = 4e10  # multiply-adds that screening the first starts may cost

Job = tuple["Candidate", np.ndarray]


@dataclass(eq=False)
class Run:
    """One run of EM: where it is, and what is known of it."""

    log_likelihood: float  # in unit space
    state: np.ndarray
    low: bool  # on the floor: not regular
    gap: float = math.inf  # Aitken's estimate of what is still to gain
    trace: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Candidate:
    """A structure and a number of components, and its best different runs so far (best first)."""

    structure: Structure
    k: int
    wanted: bool = True  # False: searched only as a stepping stone
    runs: list[Run] = field(default_factory=list)
    moved: float = -math.inf  # the log-likelihood from which moves were last made

    @property
    def best(self) -> Run | None:
        """The best run, regular ones first."""
        return self.runs[0] if self.runs else None

    @property
    def regular(self) -> bool:
        """Whether a regular run is known."""
        return bool(self.runs) and not self.runs[0].low

    def bic(self, total: float, d: int) -> float:
        """Return −2 log L + k log n of the best regular run; infinite where there is none."""
        if not self.regular:
            return math.inf
        return -2.0 * self.runs[0].log_likelihood + self.structure.n_parameters(self.k, d) * math.log(total)

    def add(self, runs: Iterable[Run], keep: int = KEEP) -> None:
        """Keep the best ``keep`` different runs."""
        ordered = sorted([*self.runs, *runs], key=lambda r: (r.low, -r.log_likelihood))
        different: list[Run] = []
        for r in ordered:
            if all(abs(r.log_likelihood - o.log_likelihood) > SAME or r.low != o.low for o in different):
                different.append(r)
        self.runs = different[:keep]


class Search:
    """Candidates over the same rows; see the module's docstring.

    Parameters
    ----------
    rows : mapping of bool to CachedRows
        The rows of the sketch for full (False) and diagonal (True) structures.
    sketch : Sketch
        The same rows as starts see them.
    candidates : sequence of Candidate
    rng : Generator
    n_init : int
        Random starts per kind.
    """

    def __init__(
        self,
        rows: Mapping[bool, CachedRows],
        sketch: Sketch,
        candidates: Sequence[Candidate],
        rng: np.random.Generator,
        n_init: int,
    ) -> None:
        self.rows: Mapping[bool, Rows] = rows
        self.sketched, self.sketch, self.candidates = rows, sketch, list(candidates)
        self.rng, self.n_init = rng, n_init
        self.d = sketch.z.shape[1]

    @property
    def total(self) -> float:
        """The sum of the weights of the rows."""
        return next(iter(self.rows.values())).total

    def go(self) -> None:
        """Screen, climb and move, until moves no longer help."""
        self.screen_and_climb(self.first_starts(), KEEP)
        self.move_on(ROUNDS)

    def move_on(self, rounds: int) -> None:
        """Improve the solutions by moves."""
        for again in range(rounds):
            jobs = self.moves(near_only=again > 0)
            if not jobs:
                break
            self.screen_and_climb(jobs, 2)

    def move_to(self, rows: Mapping[bool, Rows], share: float) -> None:
        """Go on with other rows, ``share`` times as many: what is known of the runs no longer holds."""
        self.rows = rows
        for c in self.candidates:
            c.moved = -math.inf
            for r in c.runs:
                r.state, r.gap, r.trace, r.low = r.state.copy(), math.inf, [], False
                r.state[0] *= share

    def run(self, jobs: Sequence[Job], **how: object) -> list[Run]:
        """Run EM from the given states, all of one kind of rows in one batch; see :func:`climb`."""
        out: dict[int, Run] = {}
        for diagonal, these in self.rows.items():
            mine = [i for i, (c, _) in enumerate(jobs) if c.structure.diagonal == diagonal]
            mine.sort(key=lambda i: jobs[i][0].k)
            if not mine:
                continue
            mixtures = Mixtures([jobs[i][0].k for i in mine], [jobs[i][0].structure for i in mine])
            state = np.concatenate([jobs[i][1] for i in mine], axis=1)
            result = climb(mixtures, state, these, **how)  # type: ignore[arg-type]
            constant = these.total * these.frame.log_det
            for at, i in enumerate(mine):
                out[i] = Run(
                    float(result.log_likelihood[at]) + constant,
                    result.states[at],
                    bool(result.low[at]),
                    float(result.gap[at]),
                    [value + constant for value in result.traces[at]],
                )
        return [out[i] for i in range(len(jobs))]

    def screen_and_climb(self, jobs: Sequence[Job], keep: int) -> None:
        """Screen starts; let the ``keep`` best of each candidate climb; remember where they arrive."""
        screened = self.run(jobs, tol=1e-3, max_iter=SCREEN, accelerate=True, leave_floor=False)
        pools: dict[int, list[Run]] = {}
        for (c, _), r in zip(jobs, screened, strict=True):
            pools.setdefault(id(c), []).append(r)
        climbing: list[Job] = []
        behind: list[list[float]] = []
        for c in self.candidates:
            pool = Candidate(c.structure, c.k)
            pool.add(pools.get(id(c), []), keep)
            climbing += [(c, r.state) for r in pool.runs]
            behind += [r.trace for r in pool.runs]
        arrived = self.run(climbing, tol=1e-3, max_iter=CLIMB, accelerate=True, leave_floor=True)
        for (c, _), r, trace in zip(climbing, arrived, behind, strict=True):
            r.trace = trace + r.trace
            c.add([r])

    # ---------------------------------------------------------------- starts

    def first_starts(self) -> list[Job]:
        """Partitions of the sketch into every number of clusters, shared by all structures."""
        labels = self._partitions(max(c.k for c in self.candidates))
        jobs: list[Job] = []
        for diagonal, rows in self.sketched.items():
            these = [c for c in self.candidates if c.structure.diagonal == diagonal]
            for k in sorted({c.k for c in these}):
                use = labels[:1, 0] if k == 1 else labels[:, k - 1]
                states = state_from_labels(rows, use, k)
                jobs += [
                    (c, states[:, s * k : (s + 1) * k]) for c in these if c.k == k for s in range(len(use))
                ]
        return jobs

    def _partitions(self, k_max: int) -> np.ndarray:
        """Return (S, k_max, n): Ward's, k-means++ and random seeds, on scaled and whitened rows in turn."""
        sketch = self.sketch
        if k_max == 1:
            return np.zeros((1, 1, len(sketch)), dtype=np.int64)
        scalings = (sketch.scaled,) if self.d == 1 else (sketch.scaled, sketch.whitened)
        fixed = [ward_on_sketch(y, sketch.w, k_max, self.rng)[None] for y in scalings]
        spread = [labels_from_seeds(y, sketch.w, k_max, self.n_init, self.rng) for y in scalings]
        few = max(self.n_init // 2, 1)
        anywhere = [labels_from_seeds(y, sketch.w, k_max, few, self.rng, spread=False) for y in scalings]
        kinds = [*spread, *anywhere]
        # In turn, so that a limit on work takes some of every kind.
        drawn = [part[i : i + 1] for i in range(self.n_init) for part in kinds if i < len(part)]
        every = np.concatenate([*fixed, *drawn])
        one = sum(c.k * n_features(self.d, c.structure.diagonal) for c in self.candidates)
        affordable = SCREEN_WORK / (2.0 * SCREEN * len(sketch) * one)
        return every[: max(len(fixed) + 1, int(affordable))]

    def moves(self, *, near_only: bool) -> list[Job]:
        """Return starts made from the best solutions, where they are new since the last time."""
        d, place = self.d, {(c.structure.name, c.k): c for c in self.candidates}
        bics = {id(c): c.bic(self.total, d) for c in self.candidates}
        leader = min(bics.values())
        single = len({c.structure.name for c in self.candidates}) == 1

        def worth(c: Candidate | None) -> bool:
            return c is not None and (single or not near_only or bics[id(c)] < leader + FAR)

        jobs: list[Job] = []
        for c in self.candidates:
            best = c.best
            if best is None or best.log_likelihood <= c.moved + SAME:
                continue
            c.moved = best.log_likelihood
            state = best.state
            more, fewer = (place.get((c.structure.name, c.k + step)) for step in (1, -1))
            pairs = cheapest_pairs(state, d)
            if more is not None and worth(more):
                rows = self.sketched[c.structure.diagonal]
                points = self.rng.choice(rows.n, min(1 + self.n_init // 2, rows.n), p=rows.w / rows.total)
                jobs += [(more, split(state, d, k)) for k in range(c.k)]
                jobs += [(more, inserted(state, d, rows.y[i])) for i in points]
            if fewer is not None and worth(fewer):
                jobs += [(fewer, merged(state, d, a, b)) for a, b in pairs[:3]]
                jobs += [(fewer, removed(state, int(k))) for k in np.argsort(state[0], kind="stable")[:2]]
            if fewer is None and worth(c):
                for a, b in pairs[:2]:
                    joined = merged(state, d, a, b)
                    jobs += [(c, split(joined, d, k)) for k in range(c.k - 2)]
            jobs += [
                (other, self._in_terms_of(c, other, state))
                for name, other in ((o.structure.contains, o) for o in self.candidates if o.k == c.k)
                if c.structure.name in name and worth(other)
            ]
        return jobs

    def _in_terms_of(self, special: Candidate, general: Candidate, state: np.ndarray) -> np.ndarray:
        """Return a special case's state as a state of the structure that contains it."""
        if special.structure.diagonal == general.structure.diagonal:
            return state
        return embedded(state, self.rows[True].frame, self.rows[False].frame)

    # ---------------------------------------------------------------- the end

    def finish(
        self, candidates: Sequence[Candidate], *, tol: float, max_iter: int, leave_floor: bool = True
    ) -> None:
        """Let the runs of some candidates climb to the end."""
        jobs = [(c, r.state) for c in candidates for r in c.runs]
        before = [r for c in candidates for r in c.runs]
        for c in candidates:
            c.runs = []
        arrived = self.run(jobs, tol=tol, max_iter=max_iter, accelerate=True, leave_floor=leave_floor)
        for (c, _), r, old in zip(jobs, arrived, before, strict=True):
            r.trace = old.trace + r.trace
            # A solution that was one already stays one, even if rounding drives it to the floor.
            c.add([old if r.low and not old.low and old.gap < tol else r])

    def close_ranks(self) -> None:
        """Make the table nesting-safe: no candidate below one that it contains.

        The solution with one component fewer, one doubled, is a solution of the larger candidate too, and
        so is that of a special case; either replaces a run that found less.
        """
        place = {(c.structure.name, c.k): c for c in self.candidates}
        for c in sorted(self.candidates, key=lambda c: (c.k, len(c.structure.contains))):
            nested = [place.get((c.structure.name, c.k - 1))]
            nested += [place.get((name, c.k)) for name in c.structure.contains]
            for inner in nested:
                if inner is None or not inner.regular or not inner.best:
                    continue
                if c.regular and c.runs[0].log_likelihood >= inner.best.log_likelihood:
                    continue
                state = self._in_terms_of(inner, c, inner.best.state)
                state = doubled(state) if inner.k < c.k else state
                c.add([Run(inner.best.log_likelihood, state, False, inner.best.gap, list(inner.best.trace))])


def cheapest_pairs(state: np.ndarray, d: int) -> list[tuple[int, int]]:
    """Return pairs of components, those whose merger costs least first."""
    a, b = np.triu_indices(state.shape[1], 1)
    n, mean = state[0], state[1 : 1 + d]
    spread = state[1 + d :] if len(state) == 1 + 2 * d else state[1 + d + squares(d)]
    spread = np.maximum(spread, 1e-300)
    gap = ((mean[:, a] - mean[:, b]) ** 2 / (spread[:, a] + spread[:, b])).sum(axis=0)
    order = np.argsort(gap * n[a] * n[b] / (n[a] + n[b]), kind="stable")
    return [(int(a[i]), int(b[i])) for i in order]
