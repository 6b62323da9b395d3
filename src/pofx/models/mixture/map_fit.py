"""The fit under a prior: the highest mode of the posterior that many starts find.

The prior keeps components from shrinking, so none of the search's moves away from degenerate solutions are
needed: the same starts as of maximum likelihood, screened together, and the best few of each candidate climb.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.fitting import Outcome
from ...core.fold import Data
from . import answer
from .candidate import KEEP, Candidate, Job, Run
from .certificate import certificate_of
from .em import Climb, Mixtures, climb
from .feasible import possible_sizes, possible_structures
from .fitting import Fitting, Plan
from .partition import Partition, state_from
from .polish import polish
from .prior import ConjugatePrior, PosteriorRows, refuse_structures
from .rows import Rows
from .search import Search

__all__ = ["fit_posterior"]

SCREEN = 15  # passes in which a start shows what it is worth


def fit_posterior(
    data: Data,
    plan: Plan,
    rng: np.random.Generator,
    start: dict[str, np.ndarray] | Partition | None,
    prior: ConjugatePrior,
) -> tuple[dict[str, Any], Outcome]:
    """Return the parameters (unit space) and the outcome, as ``fit_mixture`` does.

    ``trace`` is the log posterior, up to a constant; ``search`` the table of candidates, with log-likelihoods
    and criteria at the posterior's modes.
    """
    refuse_structures(plan.structures)
    fitting = Fitting(data, plan, rng)
    structures, sizes = possible_structures(fitting), possible_sizes(fitting)
    candidates = [Candidate(s, k) for s in structures for k in sizes]
    if start is None:
        jobs = _first_jobs(fitting, candidates)
    else:
        jobs = [(c, state_from(fitting, c.structure.diagonal, c.k, start)) for c in candidates]
    posterior: dict[int, Run] = {}
    for c in candidates:
        states = [state for other, state in jobs if other is c]
        if start is None:
            states = _screened(fitting, c, states, prior)
        posterior[id(c)] = _climbed(fitting, c, states, prior)
    winner = min(candidates, key=lambda c: (not c.regular, c.bic(data.total, data.d, on_floor_too=True)))
    run = posterior[id(winner)]
    inner = fitting.all_rows(winner.structure.diagonal)
    rows = PosteriorRows(inner, prior, winner.structure, data.units, fitting.moments)
    mixtures = Mixtures([winner.k], [winner.structure])
    converged = run.gap < plan.tol
    state, value, reached = polish(mixtures, run.state, rows, plan.max_iter if converged else 1)
    winner.runs[0].state, winner.runs[0].log_likelihood = state, _log_likelihood(inner, mixtures, state)
    answer.say(fitting, winner, converged)
    constant = inner.total * inner.frame.log_det + data.log_jacobian
    trace = np.minimum([*run.trace, value], value) + constant
    chosen = f", chosen by BIC among {len(candidates)} candidates" if plan.automatic else ""
    what = f"{winner.k} component{'s' if winner.k > 1 else ''}, {winner.structure!r}{chosen}"
    left = f"less than {plan.tol:g} nats" if converged else "not known to be little"
    return answer.values(fitting, winner, state), Outcome(
        converged=converged,
        message=f"{what}; the mode of the posterior under a conjugate prior, what is left to gain: {left}.",
        passes=fitting.passes,
        trace=tuple(trace.tolist()),
        notes=tuple(fitting.notes),
        search=answer.table(fitting, candidates),
        certificate=certificate_of(mixtures, state, reached, rows),
    )


def _first_jobs(fitting: Fitting, candidates: list[Candidate]) -> list[Job]:
    sketched = fitting.searched(candidates)
    ordered = sorted(candidates, key=lambda c: c.k)
    return Search(sketched, fitting.sketch, ordered, fitting.rng, fitting.plan.n_init).first_starts(ordered)


def _screened(
    fitting: Fitting, c: Candidate, states: list[np.ndarray], prior: ConjugatePrior
) -> list[np.ndarray]:
    """Return the best few states after some passes over the sketch."""
    sketched = fitting.sketch_rows(c.structure.diagonal)
    rows = PosteriorRows(sketched, prior, c.structure, fitting.data.units, fitting.moments)
    out = _climb(c, states, rows, tol=1e-3, max_iter=SCREEN)
    pool = Candidate(c.structure, c.k)
    for i, state in enumerate(out.states):
        pool.add([Run(float(out.log_likelihood[i]), state, False)])
    return [r.state for r in pool.runs[:KEEP]]


def _climbed(fitting: Fitting, c: Candidate, states: list[np.ndarray], prior: ConjugatePrior) -> Run:
    """Return the highest run on all rows, and give the candidate its log-likelihood there."""
    plan, inner = fitting.plan, fitting.all_rows(c.structure.diagonal)
    rows = PosteriorRows(inner, prior, c.structure, fitting.data.units, fitting.moments)
    states = [np.concatenate([s[:1] * (inner.total / s[0].sum()), s[1:]]) for s in states]
    out = _climb(c, states, rows, tol=plan.tol, max_iter=plan.max_iter)
    best = int(
        np.argmax(np.where(out.low, -np.inf, out.log_likelihood) if not out.low.all() else out.log_likelihood)
    )
    low, gap = bool(out.low[best]), float(out.gap[best])
    value = _log_likelihood(inner, Mixtures([c.k], [c.structure]), out.states[best])
    c.add([Run(value, out.states[best], low, gap, True)])
    return Run(float(out.log_likelihood[best]), out.states[best], low, gap, True, out.traces[best])


def _climb(c: Candidate, states: list[np.ndarray], rows: Rows, *, tol: float, max_iter: int) -> Climb:
    mixtures = Mixtures([c.k] * len(states), [c.structure] * len(states))
    return climb(
        mixtures, np.concatenate(states, axis=1), rows, tol=tol, max_iter=max_iter, leave_floor=False
    )


def _log_likelihood(rows: Rows, mixtures: Mixtures, state: np.ndarray) -> float:
    """Return the log-likelihood of a state in unit space, from the plain form."""
    return polish(mixtures, state, rows, 1)[1] + rows.total * rows.frame.log_det
