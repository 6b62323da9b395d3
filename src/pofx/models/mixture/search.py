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
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .agglomerate import agglomerated
from .candidate import KEEP, Candidate, Job, Run
from .em import Mixtures, climb
from .expanded import n_features
from .moves import FAR, Moves
from .rows import CachedRows, Rows
from .starts import Sketch, hierarchical, labels_from_seeds, state_from_labels, ward
from .structures import Structure

__all__ = ["Search"]

SCREEN = 12  # passes in which a start shows what it is worth
CLIMB = 60  # passes of a climb
SLICE = 40  # passes after which a race looks who is still in it
PROSPECT = 100  # passes that a candidate may need to draw level at its present gain
ROUNDS = 3  # of moves
STAGE = 3  # sizes of a structure that are tried at once where that is much work
STAGED_WORK = 3e7  # multiply-adds of a pass over one start of every candidate that are much
BATCH_ELEMENTS = 500_000  # numbers in the states of one batch, of which some 15 copies are held
# Clusters of any shape: of whitened rows or not, and the spread of the sphere that each holds.
AGGLOMERATED_UP_TO = 12  # columns; determinants of many more take most of the time
AGGLOMERATIONS = ((False, 0.001), (True, 0.01), (False, 0.01), (True, 0.1))
SCREEN_WORK = 1e10  # multiply-adds that screening the first starts may cost


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
        self.moves = Moves(rows, rng, 1 + n_init // 2)

    @property
    def total(self) -> float:
        """The sum of the weights of the rows."""
        return next(iter(self.rows.values())).total

    def begin(self, keep: int, leading: Sequence[Structure] = ()) -> None:
        """Find first solutions; the ``keep`` best starts of a single candidate climb. See :meth:`go`."""
        if len(self.candidates) > 1:
            self.go(leading)
        else:
            self.screen_and_climb(self.first_starts(self.candidates), keep)

    def go(self, leading: Sequence[Structure] = ()) -> None:
        """Screen, climb and move, until moves no longer help.

        Parameters
        ----------
        leading : sequence of Structure
            If given, these are searched first, and their solutions are what the others start from: those
            that may still win, as the likelihoods of what contains them tell.
        """
        everyone = self.candidates
        first = [c for c in everyone if c.structure in leading]
        if not first or len(first) == len(everyone):
            self._go(everyone)
            return
        self._go(first)
        leader = min(c.bic(self.total, self.d) for c in first)
        others = [c for c in everyone if c not in first]
        for c in others:
            if not self._promising(c, first, leader):
                c.excuse = "not tried: nothing that contains it is likely enough for its BIC to be the least"
        others = [c for c in others if not c.excuse]
        if others:
            self.candidates = [*first, *others]
            self.screen_and_climb([job for c in others for job in self.moves.from_relatives(c, first)], 2)
            self.move_on(ROUNDS, near_only=True)
        self.candidates = everyone

    def _promising(self, c: Candidate, tried: Sequence[Candidate], leader: float) -> bool:
        """Whether a structure's BIC may become less than the leader's.

        It cannot be likelier than what it is a special case of.
        """
        same = [o for o in tried if o.k == c.k and o.best is not None]
        above = [o.runs[0].log_likelihood for o in same if o.structure.contains(c.structure)]
        parameters = c.structure.n_parameters(c.k, self.d)
        most = min(above, default=math.inf if same else -math.inf)
        return -2.0 * most + parameters * math.log(max(self.total, 1.0)) < leader

    def _go(self, everyone: list[Candidate]) -> None:
        """Search these candidates.

        Where one pass over all of them is much work, they are taken in the order of their size, and a
        structure goes no further once its BIC has risen.
        """
        self.candidates = everyone
        one = sum(c.k * n_features(self.d, c.structure.diagonal) for c in everyone)
        if len(everyone) <= STAGE or len(self.sketch) * one < STAGED_WORK:
            self.screen_and_climb(self.first_starts(everyone), KEEP)
            self.move_on(ROUNDS)
            return
        self.candidates = []
        while more := self._next_stage(everyone):
            self.candidates += more
            # How many starts of each are affordable says how many are worth following up.
            affordable = self._affordable(more)
            self.screen_and_climb(self.first_starts(more), min(max(affordable // 3, 1), KEEP))
            if affordable >= 3:
                self.move_on(1)
        self.candidates = everyone

    def _next_stage(self, everyone: list[Candidate]) -> list[Candidate]:
        """Return the next few sizes of every structure whose BIC may not have passed its least yet."""
        out: list[Candidate] = []
        for s in dict.fromkeys(c.structure for c in everyone):
            mine = sorted((c for c in everyone if c.structure is s), key=lambda c: c.k)
            tried = [c.bic(self.total, self.d) for c in mine if c in self.candidates]
            if not tried:
                out += mine[:STAGE]
            elif int(np.argmin(tried)) >= len(tried) - 2:
                out += mine[len(tried) : len(tried) + STAGE - 1]
        return out

    def move_on(self, rounds: int, *, near_only: bool = False) -> None:
        """Improve the solutions by moves; after the first round, or at once, only those near the best."""
        for again in range(rounds):
            jobs = self.moves.make(self.candidates, self.total, near_only=near_only or again > 0)
            if not jobs:
                break
            self.screen_and_climb(jobs, 2)

    def move_to(self, rows: Mapping[bool, Rows], share: float) -> None:
        """Go on with other rows, ``share`` times as many: what is known of the runs no longer holds."""
        self.rows = rows
        for c in self.candidates:
            c.moved, c.fallen = -math.inf, []
            for r in c.runs:
                r.state, r.gap, r.trace, r.low, r.final = r.state.copy(), math.inf, [], False, False
                r.state[0] *= share

    def run(self, jobs: Sequence[Job], **how: object) -> list[Run]:
        """Run EM from the given states, all of one kind of rows in one batch; see :func:`climb`."""
        out: dict[int, Run] = {}
        for diagonal, these in self.rows.items():
            mine = [i for i, (c, _) in enumerate(jobs) if c.structure.diagonal == diagonal]
            mine.sort(key=lambda i: jobs[i][0].k)
            constant = these.total * these.frame.log_det
            for part in _in_batches(mine, jobs, BATCH_ELEMENTS // n_features(self.d, diagonal)):
                mixtures = Mixtures([jobs[i][0].k for i in part], [jobs[i][0].structure for i in part])
                state = np.concatenate([jobs[i][1] for i in part], axis=1)
                result = climb(mixtures, state, these, **how)  # type: ignore[arg-type]
                for at, i in enumerate(part):
                    out[i] = Run(
                        float(result.log_likelihood[at]) + constant,
                        result.states[at],
                        bool(result.low[at]),
                        float(result.gap[at]),
                        False,
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

    def first_starts(self, candidates: Sequence[Candidate]) -> list[Job]:
        """Partitions of the sketch into every number of clusters, shared by all structures."""
        labels = self._partitions(candidates)
        jobs: list[Job] = []
        for diagonal, rows in self.sketched.items():
            these = [c for c in candidates if c.structure.diagonal == diagonal]
            for k in sorted({c.k for c in these}):
                states = state_from_labels(rows, labels[k], k)
                jobs += [
                    (c, states[:, s * k : (s + 1) * k])
                    for c in these
                    if c.k == k
                    for s in range(len(labels[k]))
                ]
        return jobs

    def _affordable(self, candidates: Sequence[Candidate]) -> int:
        """Return how many starts of each candidate can be screened for a set amount of work."""
        n, d = len(self.sketch), self.d
        one = sum(c.k * (n * n_features(d, c.structure.diagonal) + c.structure.work(d)) for c in candidates)
        return int(SCREEN_WORK / (2.0 * SCREEN * one))

    def _partitions(self, candidates: Sequence[Candidate]) -> dict[int, np.ndarray]:
        """Return for each size (S, n): Ward's, k-means++ and random seeds, on scaled and whitened rows."""
        sketch, rng, sizes = self.sketch, self.rng, sorted({c.k for c in candidates})
        single = {k: np.zeros((1, len(sketch)), dtype=np.int64) for k in sizes if k == 1}
        several = [k for k in sizes if k > 1]
        if not several:
            return single
        scalings = (sketch.scaled,) if self.d == 1 else (sketch.scaled, sketch.whitened)
        few = max(self.n_init // 2, 1)
        fixed = [hierarchical(ward, y, sketch.w, several, rng) for y in scalings]
        if 1 < self.d <= AGGLOMERATED_UP_TO and len(candidates) > 1:
            fixed += [self._agglomerated(several, *how) for how in AGGLOMERATIONS]
        drawn = [labels_from_seeds(y, sketch.w, several, self.n_init, rng) for y in scalings]
        drawn += [labels_from_seeds(y, sketch.w, several, few, rng, spread=False) for y in scalings]
        affordable = max(len(fixed) + 1, self._affordable(candidates))
        out = {}
        for k in several:
            # In turn, so that a limit on work takes some of every kind.
            turns = [part[k][i] for i in range(self.n_init) for part in drawn if i < len(part[k])]
            out[k] = np.stack([*(part[k] for part in fixed), *turns][:affordable])
        return single | out

    def _agglomerated(self, sizes: Sequence[int], whiten: bool, spread: float) -> dict[int, np.ndarray]:
        sketch = self.sketch
        y = sketch.whitened if whiten else sketch.scaled

        def method(y: np.ndarray, w: np.ndarray, sizes: Sequence[int]) -> dict[int, np.ndarray]:
            return agglomerated(y, w, sizes, spread, 1.0 if whiten else y.shape[1] + 1.0)

        return hierarchical(method, y, sketch.w, sizes, self.rng)

    # ---------------------------------------------------------------- the end

    def finish(
        self,
        candidates: Sequence[Candidate],
        *,
        tol: float,
        max_iter: int,
        leave_floor: bool = True,
        most: int = KEEP,
        final: bool = True,
    ) -> None:
        """Let the ``most`` best runs of some candidates climb on, to the end where it is ``final``."""
        jobs = [(c, r.state) for c in candidates for r in c.runs[:most]]
        before = [r for c in candidates for r in c.runs[:most]]
        for c in candidates:
            c.runs = c.runs[most:]
        arrived = self.run(jobs, tol=tol, max_iter=max_iter, accelerate=True, leave_floor=leave_floor)
        for (c, _), r, old in zip(jobs, arrived, before, strict=True):
            r.trace = old.trace + r.trace
            # A solution that was one already stays one, even if rounding drives it to the floor.
            arrived_run = old if r.low and not old.low and old.gap < tol else r
            arrived_run.final = final
            c.add([arrived_run])

    def race(
        self, candidates: Sequence[Candidate], *, tol: float, max_iter: int, leader: float = math.inf
    ) -> None:
        """Let all runs start, then the best regular one of each candidate climb, and the next if it fails.

        A candidate whose BIC is behind the best (of these, or ``leader``) and gains too little in a pass
        ever to draw level is left where it is.
        """
        self.finish(candidates, tol=tol, max_iter=min(SCREEN, max_iter), final=False)
        spent = SCREEN
        while spent < max_iter:
            leader = min([leader, *(c.bic(self.total, self.d) for c in candidates)])
            going = [
                c
                for c in candidates
                if c.regular and not c.runs[0].gap < tol and self._may_catch_up(c, leader)
            ]
            if not going:
                return
            self.finish(going, tol=tol, max_iter=min(SLICE, max_iter - spent), most=1, final=False)
            spent += SLICE

    def _may_catch_up(self, c: Candidate, leader: float) -> bool:
        recent = c.runs[0].trace[-5:]
        if len(recent) < 2:
            return True
        gain = (recent[-1] - recent[0]) / (len(recent) - 1)
        return c.bic(self.total, self.d) - leader < 2.0 * PROSPECT * gain + FAR

    def close_ranks(self) -> None:
        """Make the table nesting-safe: no candidate below one that it contains.

        The solution with one component fewer, one doubled, is a solution of the larger candidate too, and
        so is that of a special case; either replaces a run that found less.
        """
        place = {(c.structure.name, c.k): c for c in self.candidates}

        def simplest_first(c: Candidate) -> tuple[int, int]:
            return c.k, sum(c.structure.contains(o.structure) for o in self.candidates)

        for c in sorted(self.candidates, key=simplest_first):
            nested = [place.get((c.structure.name, c.k - 1))]
            nested += [o for o in self.candidates if o.k == c.k and c.structure.contains(o.structure)]
            for inner in nested:
                if inner is None or not inner.regular or not inner.best:
                    continue
                if c.regular and c.runs[0].log_likelihood >= inner.best.log_likelihood:
                    continue
                state = self.moves.in_terms_of(inner, c, inner.best.state)
                best = inner.best
                run = Run(best.log_likelihood, state, False, best.gap, True, list(best.trace))
                c.runs, c.tried = [run, *c.runs][:KEEP], True


def _in_batches(which: list[int], jobs: Sequence[Job], most: int) -> Iterator[list[int]]:
    """Yield the jobs in groups of at most ``most`` components (or of one job)."""
    part: list[int] = []
    held = 0
    for i in which:
        k = jobs[i][0].k
        if part and held + k > most:
            yield part
            part, held = [], 0
        part.append(i)
        held += k
    if part:
        yield part
