"""EM for many mixtures at once, accelerated, never falling.

    E-step   r_ik = w_k N(x_i; μ_k, Σ_k) / Σ_l w_l N(x_i; μ_l, Σ_l)
    M-step   n_k = Σ_i r_ik,  w_k = n_k / n,  μ_k = Σ_i r_ik x_i / n_k,  Σ = structure.solve(n, W / n)

One pass maps the state s = (n_k, μ_k, W_k/n_k) to F(s). Anderson's acceleration (1965, J. ACM 12:547; for EM:
Henderson and Varadhan 2019, JCGS 28:834) takes the combination of the last few steps whose residual
F(s) − s is smallest in the metric of the complete-data information, and jumps along it. Near a saddle that
would lead back into it; so after a jump that failed, plain steps are stretched instead, further with every
success (Salakhutdinov and Roweis 2003, ICML). No step that lowers the log-likelihood is ever taken: the plain
EM step is, which cannot lower it.

EM creeps: a small gain says nothing about the distance still to go. So a run stops only when Aitken's
extrapolation of two plain steps says that less than ``tol`` nats of the *total* log-likelihood remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .batch import Segments, lower_triangle
from .rows import Rows
from .structures import Structure

__all__ = ["Climb", "Mixtures", "climb", "information_scale"]

MEMORY = 6  # steps that an acceleration remembers
LONGEST_WAIT = 16  # plain steps after repeated failed jumps
GROW, LONGEST = 1.5, 64.0  # how stretched plain steps lengthen, and their greatest length
SHRINK_AT = 0.8  # share of runs still going at which the arrays are cut to them
RIDGE = 1e-10  # of the scaled Gram matrix
NOTHING = 1e-6  # one minus the slowest rate that is reckoned with
FLOOR_PATIENCE = 8  # accepted steps on the floor after which a run is given up


class Mixtures:
    """Which mixtures are being fitted: their sizes and structures.

    Parameters
    ----------
    sizes : sequence of int, ascending
    structures : sequence of Structure, one per mixture
        All of them diagonal, or none.
    """

    def __init__(self, sizes: Sequence[int] | np.ndarray, structures: Sequence[Structure]) -> None:
        self.segments = Segments(sizes)
        self.structures = list(structures)
        self._parts = []
        for s in dict.fromkeys(self.structures):
            mine = np.array([i for i, other in enumerate(self.structures) if other is s])
            self._parts.append((s, self.segments.components(mine), self.segments.take(mine)))

    def __len__(self) -> int:
        return len(self.structures)

    def take(self, mixtures: np.ndarray) -> Mixtures:
        """Return some of the mixtures."""
        return Mixtures(self.segments.sizes[mixtures], [self.structures[i] for i in mixtures])

    def m_step(self, state: np.ndarray, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Return the covariances of all components, and which of them met the floor."""
        n, v = np.maximum(state[0], 1e-250), unpacked(state, rows)
        if len(self._parts) == 1:
            cov, low = self._parts[0][0].solve(n, v, self.segments, rows.frame)
            return cov, low & (not rows.bounded)
        cov, low = np.empty_like(v), np.empty(len(n), dtype=bool)
        for s, components, segments in self._parts:
            cov[..., components], low[components] = s.solve(
                n[components], v[..., components], segments, rows.frame
            )
        return cov, low & (not rows.bounded)


def unpacked(state: np.ndarray, rows: Rows) -> np.ndarray:
    """Return the components' own covariances (d, d, M), or variances (d, M), of a state."""
    d = rows.d
    if rows.diagonal:
        return state[1 + d :]
    i, j = lower_triangle(d)
    v = np.empty((d, d, state.shape[1]))
    v[i, j] = v[j, i] = state[1 + d :]
    return v


def information_scale(n: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return what turns changes of a state (p, M) into standard errors of the complete data.

    The square root of the diagonal of their Fisher information, correlations left out: no units.
    """
    d, n = len(cov), np.maximum(n, 1e-12)
    if cov.ndim == 2:
        return np.concatenate([1.0 / np.sqrt(n)[None], np.sqrt(n / cov), np.sqrt(n / 2.0) / cov])
    variance = cov[np.arange(d), np.arange(d)]
    i, j = lower_triangle(d)
    twice = np.where(i == j, np.sqrt(0.5), 1.0)[:, None]
    own = np.sqrt(n / (variance[i] * variance[j])) * twice
    return np.concatenate([1.0 / np.sqrt(n)[None], np.sqrt(n / variance), own])


@dataclass
class Climb:
    """Where a batch of runs ended.

    Attributes
    ----------
    log_likelihood : ndarray (B,)
        Of a state just below the final one, in search space.
    states : list of ndarray (p, K)
        The final state of each run.
    low : ndarray of bool (B,)
        Whether a component met the floor: the optimum, if it is one, is not regular.
    gap : ndarray (B,)
        Aitken's estimate of the log-likelihood still to gain; infinite where it was not taken.
    traces : list of list of float
        The log-likelihood after each accepted step.
    """

    log_likelihood: np.ndarray
    states: list[np.ndarray]
    low: np.ndarray
    gap: np.ndarray
    traces: list[list[float]] = field(default_factory=list)


def climb(
    mixtures: Mixtures,
    state: np.ndarray,
    rows: Rows,
    *,
    tol: float,
    max_iter: int,
    accelerate: bool = True,
    leave_floor: bool = True,
) -> Climb:
    """Run EM on all mixtures from ``state`` (p, M) until each has less than ``tol`` nats to gain.

    Parameters
    ----------
    max_iter : int
        Passes over the rows, at most.
    accelerate : bool
        Plain EM where False.
    leave_floor : bool
        Give up runs whose components stay on the floor.
    """
    b = len(mixtures)
    out = Climb(
        np.full(b, -np.inf),
        [state] * b,
        np.zeros(b, bool),
        np.full(b, np.inf),
        [[] for _ in range(b)],
    )
    run = _Run(mixtures, state, rows)
    going = np.ones(b, dtype=bool)
    for step in range(1, max_iter + 1):
        run.pass_over()
        for i in np.flatnonzero(run.accepted & going[run.ids]).tolist():
            out.traces[run.ids[i]].append(float(run.best[i]))
        gap = run.remaining(tol)
        done = gap < tol
        if leave_floor:
            done |= run.on_floor >= FLOOR_PATIENCE
        if step == max_iter:
            done[:] = True
        for i in np.flatnonzero(done & going[run.ids]).tolist():
            at = run.ids[i]
            going[at] = False
            components = slice(run.segments.starts[i], run.segments.starts[i] + run.segments.sizes[i])
            out.log_likelihood[at], out.states[at] = run.best[i], run.reached[:, components].copy()
            out.low[at], out.gap[at] = run.on_floor[i] > 0, gap[i]
        still = going[run.ids]
        if not still.any():
            break
        if still.mean() < SHRINK_AT:  # to shrink the arrays costs as much as a pass, so not for every one
            run.drop(np.flatnonzero(still))
        run.advance(tol if accelerate else None)
    return out


PER_MIXTURE = (
    "ids", "best", "gain", "last_gain", "accepted", "jumped", "plain", "patience", "wait", "stretch",
    "stretched", "on_floor",
)  # fmt: skip


class _Run:
    """The moving parts of :func:`climb`: arrays over the runs still going, or over their components.

    ``state`` is where F is evaluated next. ``reached`` and ``residual`` are F(s) and F(s) − s of the last
    accepted s, ``best`` its log-likelihood and ``gain`` what it added. ``jumped`` and ``stretched`` say how
    ``state`` came about; ``wait`` counts the steps until the next jump, ``patience`` how long a failed one
    is waited for, ``plain`` the plain steps in a row, ``on_floor`` those with a component on the floor.
    """

    def __init__(self, mixtures: Mixtures, state: np.ndarray, rows: Rows) -> None:
        b = len(mixtures)
        self.rows, self.mixtures, self.segments = rows, mixtures, mixtures.segments
        self.ids = np.arange(b)
        self.state = state
        self.cov, _ = mixtures.m_step(state, rows)
        self.reached = self.residual = state[:, :0]
        self.best = np.full(b, -np.inf)
        self.gain = np.full(b, np.inf)
        self.last_gain = np.full(b, np.inf)
        self.accepted = np.ones(b, dtype=bool)
        self.jumped = np.zeros(b, dtype=bool)
        self.plain = np.zeros(b, dtype=int)
        self.patience = np.ones(b, dtype=int)
        self.wait = np.zeros(b, dtype=int)
        self.stretch = np.ones(b)
        self.stretched = np.zeros(b, dtype=bool)
        self.on_floor = np.zeros(b, dtype=int)
        self.d_residual: list[np.ndarray] = []
        self.d_reached: list[np.ndarray] = []

    def pass_over(self) -> None:
        """Evaluate F at the current states and accept those that did not fall."""
        d, segments = self.rows.d, self.segments
        log_weight = np.log(np.maximum(self.state[0], 1e-250) / self.rows.total)
        value, reached = self.rows.e_step(log_weight, self.state[1 : 1 + d], self.cov, segments)
        residual = reached - self.state
        first = not np.isfinite(self.best).any()
        self.last_gain = self.gain
        if first:
            self.best, self.reached, self.residual = value, reached, residual
        else:
            slack = 1e-13 * np.abs(self.best)
            self.accepted = (value >= self.best - slack) | ~self.jumped  # a plain step falls by rounding only
            self._take(residual, reached)
            self.gain = np.where(self.accepted, np.maximum(value - self.best, 0.0), np.inf)
            self.best = np.where(self.accepted, np.maximum(value, self.best), self.best)
        self.plain = np.where(self.accepted & ~self.jumped, self.plain + 1, 0)
        failed = ~self.accepted
        mixed, stretched = self.jumped & ~self.stretched, self.stretched
        self.patience = np.where(failed & mixed, np.minimum(2 * self.patience, LONGEST_WAIT), self.patience)
        self.patience = np.where(self.accepted & mixed, np.maximum(self.patience // 2, 1), self.patience)
        self.wait = np.where(failed & mixed, self.patience, np.maximum(self.wait - 1, 0))
        after_failure = np.where(stretched, 1.0, self.stretch)
        self.stretch = np.where(self.accepted, np.minimum(self.stretch * GROW, LONGEST), after_failure)
        self.reached_cov, self.low = self.mixtures.m_step(self.reached, self.rows)
        touched = segments.any(self.low)
        self.on_floor = np.where(self.accepted, np.where(touched, self.on_floor + 1, 0), self.on_floor)

    def _take(self, residual: np.ndarray, reached: np.ndarray) -> None:
        """Go to where the accepted steps led, and remember how far that was."""
        d_residual, d_reached = residual - self.residual, reached - self.reached
        if self.accepted.all():
            self.residual, self.reached = residual, reached
        else:
            good = self.accepted[self.segments.owner]
            d_residual, d_reached = np.where(good, d_residual, 0.0), np.where(good, d_reached, 0.0)
            self.residual = np.where(good, residual, self.residual)
            self.reached = np.where(good, reached, self.reached)
        self.d_residual.append(d_residual)
        self.d_reached.append(d_reached)
        if len(self.d_residual) > MEMORY:
            del self.d_residual[0], self.d_reached[0]

    def remaining(self, tol: float) -> np.ndarray:
        """Return Aitken's estimate of the gain still to come, from two plain steps in a row.

        A plain step that gains less than :data:`NOTHING` of ``tol`` leaves less than that to come at any rate
        that Aitken's estimate could find.
        """
        out = np.where((self.plain >= 1) & (self.gain <= NOTHING * tol), self.gain / NOTHING, np.inf)
        known = (self.plain >= 3) & np.isfinite(self.last_gain)
        gain, last = self.gain[known], np.maximum(self.last_gain[known], 1e-300)
        noise = 1e-13 * np.abs(self.best[known])  # what rounding alone can look like
        rate = np.clip(gain / last, 0.0, 1.0 - NOTHING)
        out[known] = np.where(gain <= noise, 0.0, gain * rate / (1.0 - rate))
        return out

    def drop(self, keep: np.ndarray) -> None:
        """Go on with some of the mixtures."""
        components = self.segments.components(keep)
        self.mixtures = self.mixtures.take(keep)
        self.segments = self.mixtures.segments
        for name in PER_MIXTURE:
            setattr(self, name, getattr(self, name)[keep])
        self.low = self.low[components]
        for name in ("reached", "residual", "reached_cov"):
            setattr(self, name, getattr(self, name)[..., components])
        self.d_residual = [a[:, components] for a in self.d_residual]
        self.d_reached = [a[:, components] for a in self.d_reached]

    def advance(self, tol: float | None) -> None:
        """Choose the next states: a jump where it is due and allowed, else the plain EM step."""
        self.state, self.cov = self.reached, self.reached_cov
        self.jumped = self.stretched = np.zeros(len(self.ids), dtype=bool)
        if tol is None or not self.d_residual:
            return
        # Two plain steps in a row measure Aitken's rate; they are due when a jump gains next to nothing.
        checking = ((self.gain < 0.1 * tol) & (self.plain == 0)) | ((self.plain > 0) & (self.plain < 3))
        free = self.accepted & ~(checking & (self.gain < 0.1 * tol))
        want = free & (self.wait == 0)
        longer = free & (self.wait > 0) & (self.stretch > 1.0)
        if not (want.any() or longer.any()):
            return
        owner = self.segments.owner
        jump = self.reached + (np.where(longer, self.stretch - 1.0, 0.0))[owner] * self.residual
        if want.any():
            gamma = self._combination()
            gamma[:, ~want] = 0.0
            want &= gamma.any(axis=0)
            jump -= np.einsum("am,acm->cm", gamma[:, owner], np.stack(self.d_reached))
        n = jump[0]
        cov, low = self.mixtures.m_step(np.concatenate([np.maximum(n, 1e-250)[None], jump[1:]]), self.rows)
        bad = (n < 1e-2 * self.reached[0]) | (low & ~self.low) | ~np.isfinite(jump).all(axis=0)
        refused = self.segments.any(bad) | ~(want | longer)
        self.jumped, self.stretched = ~refused, longer & ~refused
        self.stretch = np.where(longer & refused, 1.0, self.stretch)
        here = refused[owner]
        self.state = np.where(here, self.reached, jump)
        self.cov = np.where(here, self.reached_cov, cov)

    def _combination(self) -> np.ndarray:
        """Return Anderson's coefficients (m, B): the least residual in the information metric."""
        scale = information_scale(self.reached[0], self.reached_cov)
        a = np.stack(self.d_residual) * scale
        gram = self.segments.sum(np.einsum("acm,bcm->abm", a, a))
        right = self.segments.sum(np.einsum("acm,cm->am", a, self.residual * scale))
        size = np.einsum("aab->ab", gram)
        live = size > 0.0
        unit = np.where(live, 1.0 / np.sqrt(np.where(live, size, 1.0)), 0.0)
        gram = np.moveaxis(gram * unit[:, None] * unit[None, :], 2, 0)
        m = np.arange(len(unit))
        gram[:, m, m] += np.where(live.T, RIDGE, 1.0)
        solved = np.linalg.solve(gram, (right * unit).T[:, :, None])[:, :, 0]
        return np.ascontiguousarray(solved.T * unit)
