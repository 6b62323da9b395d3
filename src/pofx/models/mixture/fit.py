"""From rows to the parameters of a mixture: which candidates, on which rows, and which one wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.fitting import Outcome
from ...core.fold import Data
from . import answer
from .candidate import KEEP, TIED, Candidate
from .deconvolution import DeconvolvingSearch
from .expanded import n_features
from .feasible import enough_rows, possible_sizes, possible_structures, warn_of_outliers, warn_of_unseen_pairs
from .fitting import Fitting, Plan
from .noise_starts import NoisySearch, first_share
from .partition import Partition, state_from
from .search import Search

__all__ = ["fit_mixture"]

PROMOTED = 3  # candidates that go on to all rows, with their neighbours
CONTENDERS = 10.0  # of BIC behind the leader within which a candidate climbs to the end
MOVES_ON_ALL_ROWS = 5e8  # rows × components² × features up to which moves are made on all rows too
REPAIR_ROUNDS = 2  # for candidates that might win had they not ended on the floor
ON_SAMPLE = 1e-6  # nats per row still to gain on a sample at which EM goes on with all rows
LOOSE = 0.5  # nats still to gain, on all rows, at which candidates are compared first


def fit_mixture(
    data: Data, plan: Plan, rng: np.random.Generator, start: dict[str, np.ndarray] | Partition | None = None
) -> tuple[dict[str, Any], Outcome]:
    """Return the parameters (unit space) and the outcome.

    Parameters
    ----------
    data : Data
    plan : Plan
    rng : Generator
    start : dict or Partition, optional
        Given initial ``weights`` (K,), ``means`` (K, d) and ``covariances`` ((K, d, d), unit space; each
        may be missing), and ``noise`` (1,) where the weights leave some to it; or a partition of the rows:
        then EM runs from there and nowhere else.

    Raises
    ------
    DegenerateError
        Where the rows cannot determine what was asked for.
    """
    fitting = Fitting(data, plan, rng)
    warn_of_outliers(fitting)
    warn_of_unseen_pairs(fitting)
    structures = possible_structures(fitting)
    sizes = possible_sizes(fitting)
    candidates = [Candidate(s, k) for s in structures for k in sizes]
    if start is not None:
        _climb_from(fitting, candidates, start)
    else:
        feasible = [c for c in candidates if not plan.automatic or enough_rows(c, fitting)]
        _search(fitting, feasible or candidates)
    winner = _winner(candidates, data)
    run = winner.runs[0]
    state, log_likelihood, certificate = answer.finished(fitting, winner, run)
    converged = run.gap < plan.tol or fitting.closed_form(winner.k)
    answer.say(fitting, winner, converged)
    trace = np.minimum([*run.trace, log_likelihood], log_likelihood) + data.log_jacobian
    return answer.values(fitting, winner, state), Outcome(
        converged=converged,
        message=answer.message(fitting, winner, converged, len(candidates)),
        passes=fitting.passes,
        trace=tuple(trace.tolist()),
        notes=tuple(fitting.notes),
        search=answer.table(fitting, candidates) if plan.automatic else None,
        certificate=certificate,
    )


# ---------------------------------------------------------------- the search


def _search(fitting: Fitting, candidates: list[Candidate]) -> None:
    """Fill the candidates with the best runs that the search finds."""
    data, plan = fitting.data, fitting.plan
    stones = [] if plan.automatic else _stepping_stones(candidates[0], fitting.n_distinct)
    everyone = sorted([*candidates, *stones], key=lambda c: c.k)
    if plan.noise:
        search: Search = NoisySearch(fitting, everyone)
    elif fitting.errors is not None:
        search = DeconvolvingSearch(fitting, everyone)
    else:
        search = Search(fitting.searched(everyone), fitting.sketch, everyone, fitting.rng, plan.n_init)
    search.begin(1 if type(search) is Search else KEEP, plan.leading)
    if not fitting.whole:
        candidates = _on_all_rows(fitting, search, candidates, stones)
    _finish(fitting, search, candidates)
    for _ in range(REPAIR_ROUNDS):
        leader = min(c.bic(data.total, data.d) for c in candidates)
        if not any(c.fallen and c.bic(data.total, data.d, on_floor_too=True) < leader for c in candidates):
            break
        search.move_on(1)
        _finish(fitting, search, candidates)
    if not any(c.regular for c in candidates):
        # The best that there is lies on the floor: the maximum under the constraint, then.
        winner = _winner(candidates, data)
        search.finish([winner], tol=plan.tol, max_iter=plan.max_iter, leave_floor=False)
    elif plan.automatic or candidates[0].regular:
        search.close_ranks()


def _stepping_stones(c: Candidate, most: int) -> list[Candidate]:
    """Return neighbours of a single candidate: their solutions, cut or merged, are good starts for it."""
    return [Candidate(c.structure, k) for k in (c.k - 1, c.k + 1) if c.k > 1 and k <= most]


def _finish(fitting: Fitting, search: Search, candidates: list[Candidate]) -> None:
    """Let every candidate that may still win climb until ``tol``."""
    plan, data = fitting.plan, fitting.data
    while True:
        bics = {id(c): c.bic(data.total, data.d) for c in candidates}
        limit = min(bics.values()) + CONTENDERS
        near = [c for c in candidates if c.regular and not c.runs[0].final and bics[id(c)] <= limit]
        if not near:
            return
        # A run that ends on the floor is out; the next best of its candidate then has its turn.
        search.finish(near, tol=plan.tol, max_iter=plan.max_iter, most=KEEP if fitting.whole else 1)


def _on_all_rows(
    fitting: Fitting, search: Search, candidates: list[Candidate], stones: list[Candidate]
) -> list[Candidate]:
    """Take the best candidates of the sample, and their neighbours, to all rows; return which went."""
    data, plan = fitting.data, fitting.plan
    share, d = data.total / float(fitting.sketch.w.sum()), data.d
    place = {(c.structure.name, c.k): c for c in candidates}

    def predicted(c: Candidate) -> float:
        # A fit is better on its own rows than on others by about half its number of parameters.
        k = c.structure.n_parameters(c.k, d)
        if not c.regular:
            return math.inf
        return -2.0 * (share * (c.runs[0].log_likelihood - k / 2.0) + k / 2.0) + k * math.log(
            max(data.total, 1.0)
        )

    def with_neighbours(chosen: list[Candidate]) -> list[Candidate]:
        near = [place.get((c.structure.name, c.k + step)) for c in chosen for step in (0, -1, 1)]
        return list({id(c): c for c in near if c is not None and c.runs}.values())

    def bic(c: Candidate) -> float:
        return c.bic(data.total, d)

    order = sorted(candidates, key=predicted)
    search.move_to({kind: fitting.all_rows(kind) for kind in search.rows}, share)
    promoted: list[Candidate] = []
    waiting = with_neighbours(order[:PROMOTED])
    while waiting:
        search.race(
            waiting, tol=LOOSE, max_iter=plan.max_iter, leader=min(map(bic, promoted), default=math.inf)
        )
        promoted += waiting
        best = min(promoted, key=bic)
        # On to the neighbours of the best; with no regular optimum yet, to the next in the order.
        waiting = with_neighbours([best]) if best.regular else order
        waiting = [c for c in waiting if c not in promoted][: 2 if best.regular else PROMOTED]
    search.candidates = [*promoted, *stones]
    cost = sum(c.k**2 * (30 + n_features(d, c.structure.diagonal)) for c in search.candidates)
    cheap = data.n * cost < MOVES_ON_ALL_ROWS
    if cheap or not all(c.regular for c in promoted):
        # What was regular on the sample need not be so on all rows: split and merge once more.
        search.race(stones, tol=LOOSE, max_iter=plan.max_iter)
        search.move_on(1)
    search.candidates = promoted
    for c in candidates:
        if c not in promoted:
            c.runs = []
    return promoted


def _climb_from(
    fitting: Fitting, candidates: list[Candidate], start: dict[str, np.ndarray] | Partition
) -> None:
    """Run EM from given parameters, or a given partition of the rows, only; on large data, most of the way
    on a sample of the rows."""
    sketched = fitting.searched(candidates)
    search = Search(sketched, fitting.sketch, candidates, fitting.rng, 1)
    plan = fitting.plan
    jobs = [(c, state_from(fitting, c.structure.diagonal, c.k, start)) for c in candidates]
    held = float(fitting.sketch.w.sum())
    if isinstance(start, Partition):
        for _, state in jobs:
            state[0] *= held / state[0].sum()
    if plan.noise and (isinstance(start, Partition) or "noise" not in start):
        for _, state in jobs:
            state[0] *= 1.0 - first_share(fitting.sketch)
    for sample in (True, False):
        found = {kind: fitting.many_rows(kind) if sample else fitting.all_rows(kind) for kind in sketched}
        rows = {kind: r for kind, r in found.items() if r is not None}
        if not rows:
            continue
        search.rows = rows
        for _, state in jobs:
            state[0] *= search.total / (held if plan.noise else state[0].sum())
        held = search.total
        tol = max(plan.tol, ON_SAMPLE * search.total) if sample else plan.tol
        arrived = search.run(jobs, tol=tol, max_iter=plan.max_iter, accelerate=True, leave_floor=False)
        jobs = [(c, r.state) for (c, _), r in zip(jobs, arrived, strict=True)]
    for (c, _), r in zip(jobs, arrived, strict=True):
        c.add([r])


def _winner(candidates: Sequence[Candidate], data: Data) -> Candidate:
    """Return the candidate of least BIC among those with a regular optimum, the simplest on a tie."""
    found = [c for c in candidates if c.runs]
    regular = [c for c in found if c.regular]
    if regular:
        least = min(c.bic(data.total, data.d) for c in regular) + TIED
        tied = [c for c in regular if c.bic(data.total, data.d) <= least]
        return min(tied, key=lambda c: c.structure.n_parameters(c.k, data.d))
    return max(found, key=lambda c: (-c.k, c.runs[0].log_likelihood))
