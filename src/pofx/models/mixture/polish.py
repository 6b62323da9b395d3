"""The last digits of an optimum: accelerated EM judged by how far it still moves, not by what it gains.

Log-likelihoods are sums over all rows, and near an optimum they no longer tell its neighbours apart:
parameters that differ by √ε of themselves have the same one to rounding. Where EM would stop on that evidence
is decided by rounding, and so would be the sixth digit of every density. The fixed-point equation F(s) = s
itself is good to rounding, so Anderson's acceleration drives the residual F(s) − s there, in the metric of
the complete-data information, which has no units (see :mod:`pofx.models.mixture.em`; here with a long memory
and without a ridge, when it is GMRES near a fixed point: Walker and Ni 2011, SIAM J. Numer. Anal. 49:1715).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .em import Mixtures, information_scale
from .rows import Rows

__all__ = ["polish"]

PASSES = 200
WORK = 2e9  # multiply-adds that a polish may cost, on large data
LEAST_PASSES = 2
CENTRED_WORK = 2e6  # of a pass up to which the plain form of the E-step costs next to nothing
MEMORY = 24
TARGET, TARGET_ON_LARGE = 1e-14, 1e-12  # residual per row's standard error at which a polish ends
PATIENCE = 10  # passes without a new least residual that end a polish at the level of rounding ...
ROUNDING = 1e-9  # ... which lies below this
WILD = 1e3  # a residual so many times the least one starts the memory afresh
SLACK = 1e-12  # of the log-likelihood: by what rounding alone may lower it
RANK = 1e-12  # singular values of the memory below which its directions are noise


def polish(
    mixtures: Mixtures, state: np.ndarray, rows: Rows, max_iter: int, *, plain: bool = True
) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the fixed point of EM next to ``state`` (p, K), and its log-likelihood in search space.

    Parameters
    ----------
    mixtures : Mixtures
        A single one.
    state : ndarray (p, K)
        Where a climb ended.
    rows : Rows
    max_iter : int
        Passes over the rows, at most; on large data there are fewer.
    plain : bool
        Take the final numbers from the plain form of the E-step, right to the last digits. Otherwise, on
        large data, they are as right as those of any pass.

    Returns
    -------
    state : ndarray (p, K)
        Of all states visited whose log-likelihood did not fall beyond rounding, the one that EM moves least.
    log_likelihood : float
        At that state.
    reached : ndarray (p, K)
        F of that state, from the same.
    """
    work = float(rows.n) * state.size
    centred = work <= CENTRED_WORK
    target = TARGET if centred else TARGET_ON_LARGE
    limit = min(max_iter, PASSES, max(LEAST_PASSES, int(WORK / work)))
    if limit <= LEAST_PASSES:
        return (state, *_evaluation(mixtures, rows, plain or centred)(state)[:2])
    evaluate = _evaluation(mixtures, rows, centred)
    value, reached, scale, low = evaluate(state)
    slack = SLACK * (abs(value) + rows.total)
    residual = (reached - state) * scale
    best, best_size, best_value, best_reached = state, _size(residual, rows), value, reached
    memory: list[tuple[np.ndarray, np.ndarray]] = []
    since = 0
    own = False  # whether the last step was one of EM's own
    for _ in range(1, limit):
        if best_size <= target or (since >= PATIENCE and best_size <= ROUNDING):
            break
        step = None if own else _step(memory, residual, scale)
        candidate = reached if step is None else reached - step
        if step is not None and (candidate[0] < 1e-2 * reached[0]).any():
            candidate, step = reached, None
        new_value, new_reached, new_scale, new_low = evaluate(candidate)
        new_residual = (new_reached - candidate) * scale
        new_size = _size(new_residual, rows)
        since += 1
        fell = not new_value >= value - slack or (new_low and not low)
        if step is not None and (fell or not new_size < WILD * best_size):
            memory, own = [], True  # back to the last state that was good, and on by EM's own step
            continue
        if fell and new_low and not low:
            break  # EM itself leads to the floor
        memory.append(((new_residual - residual) / scale, new_reached - reached))
        del memory[:-MEMORY]
        own = False
        value, reached = max(value, new_value), new_reached
        if new_size < 0.5 * best_size:
            since = 0
        if new_size < best_size:
            best, best_size, best_value, best_reached = candidate, new_size, new_value, new_reached
        residual, scale = new_residual / scale * new_scale, new_scale
    if not centred:
        best_value, best_reached = _evaluation(mixtures, rows, True)(best)[:2]
    return best, best_value, best_reached


Evaluation = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray, bool]]


def _evaluation(mixtures: Mixtures, rows: Rows, centred: bool) -> Evaluation:
    """Return s ↦ (log-likelihood at s, F(s), the scale of residuals at s, whether s is on the floor)."""

    def evaluate(state: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, bool]:
        d = rows.d
        cov, low = mixtures.m_step(state, rows)
        log_weight = np.log(np.maximum(state[0], 1e-250) / rows.mass(state))
        value, reached = rows.e_step(log_weight, state[1 : 1 + d], cov, mixtures.segments, centred=centred)
        return float(value[0]), reached, information_scale(state[0], cov), bool(low.any())

    return evaluate


def _size(residual: np.ndarray, rows: Rows) -> float:
    return math.sqrt(float((residual * residual).sum()) / rows.total)


def _step(
    memory: list[tuple[np.ndarray, np.ndarray]], residual: np.ndarray, scale: np.ndarray
) -> np.ndarray | None:
    """Return what to take from F(s): the remembered steps combined so that the residual is least."""
    if not memory:
        return None
    changes = np.stack([(a * scale).ravel() for a, _ in memory], axis=1)
    unit = np.sqrt((changes * changes).sum(axis=0))
    if not (unit > 0.0).all() or not np.isfinite(unit).all():
        return None
    gamma = np.linalg.lstsq(changes / unit, residual.ravel(), rcond=RANK)[0] / unit
    return np.einsum("a,acm->cm", gamma, np.stack([b for _, b in memory]))
