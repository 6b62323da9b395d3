"""EM one step at a time: what a lesson shows, and what the fit does without its acceleration.

    E  r_ik = w_k N(x_i; μ_k, Σ_k) / Σ_l w_l N(x_i; μ_l, Σ_l)
    M  n_k = Σ_i r_ik,  w_k = n_k / n,  μ_k = Σ_i r_ik x_i / n_k,  Σ = what the structure makes of the scatter

An M record comes first (the start), then E and M take turns. The E record's log-likelihood is that of the
parameters of the M record before it, and never falls. One state of the mixture and one block of rows are
held, and, up to :data:`SHOWN` rows, the responsibilities of the record in hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...threads import one_blas_thread
from . import gaps
from .centred import component_logs
from .em import Mixtures
from .fitting import Fitting
from .parameters import shaped
from .partition import Partition, state_from
from .starts import labels_from_seeds, state_from_labels
from .structures import Structure

__all__ = ["SHOWN", "EStep", "MStep", "em_steps", "first_state"]

SHOWN = 20_000  # rows up to which responsibilities are shown


@dataclass(frozen=True, eq=False)
class EStep:
    """The expectation step.

    Attributes
    ----------
    iteration : int
        From 1.
    log_likelihood : float
        Σ_i w_i log p(x_i) of the parameters that the step was taken at: nats, data units.
    sizes : ndarray (K,)
        n_k, the expected number of rows of each component; they sum to that of the rows.
    responsibilities : ndarray (n, K), or None
        Of the rows that are used, in their order; None beyond 20,000 rows, and ``predict_proba`` of
        ``from_params`` then has them for any rows.
    """

    kind: ClassVar[str] = "E"
    iteration: int
    log_likelihood: float
    sizes: np.ndarray
    responsibilities: np.ndarray | None


@dataclass(frozen=True, eq=False)
class MStep:
    """The maximisation step: the new parameters, in data units. Components keep their places.

    Attributes
    ----------
    iteration : int
        0 is the start.
    weights : ndarray (K,)
    means : ndarray (K, d)
    covariances : ndarray
        In scikit-learn's shape for the structure, as ``covariances_``.
    """

    kind: ClassVar[str] = "M"
    iteration: int
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray


def first_state(
    fitting: Fitting, s: Structure, k: int, start: dict[str, np.ndarray] | Partition | None
) -> np.ndarray:
    """Return the state (p, K) from which EM starts: the given one, or the clusters of k-means++ seeds."""
    if start is not None:
        state = state_from(fitting, s.diagonal, k, start)
        if isinstance(start, Partition):
            return state  # of all rows already
    else:
        scaled, w = fitting.sketch.scaled, fitting.sketch.w
        labels = np.zeros((1, len(w)), dtype=np.int64)
        if k > 1:
            labels = labels_from_seeds(scaled, w, [k], 1, fitting.rng)[k]
        state = state_from_labels(fitting.sketch_rows(s.diagonal), labels, k)
    state[0] *= fitting.data.total / state[0].sum()
    return state


def em_steps(fitting: Fitting, s: Structure, state: np.ndarray) -> Iterator[EStep | MStep]:
    """Yield M, E, M, E, …, M from ``state``, until less than ``tol`` nats are left to gain, or ``max_iter``.

    The rule is the fit's: Aitken's extrapolation of the last two gains.
    """
    plan = fitting.plan
    data, rows = fitting.data, fitting.all_rows(s.diagonal)
    mixtures, d = Mixtures([state.shape[1]], [s]), fitting.data.d
    shown = fitting.data.all() if data.n <= SHOWN else None
    constant = rows.total * rows.frame.log_det + data.log_jacobian
    iteration, done = 0, False
    trace: list[float] = []
    while True:
        with one_blas_thread():
            cov, _ = mixtures.m_step(state, rows)
            weights = state[0] / state[0].sum()
            means = rows.frame.means_back(state[1 : 1 + d])
            record = _record(iteration, weights, means, cov, fitting, s)
        yield record
        if done or iteration >= plan.max_iter:
            return
        iteration += 1
        with one_blas_thread():
            log_weight = np.log(np.maximum(weights, 1e-250))
            value, state = rows.e_step(log_weight, state[1 : 1 + d], cov, mixtures.segments, centred=True)
            shares = (
                None if shown is None else _responsibilities(shown[0], log_weight, means, cov, fitting, s)
            )
            sizes = state[0].copy()
        trace = [*trace[-2:], float(value[0]) + constant]
        done = _remaining(trace) < plan.tol
        yield EStep(iteration, trace[-1], _frozen(sizes), shares)


def _remaining(trace: list[float]) -> float:
    """Return Aitken's estimate of the log-likelihood still to gain after the last three values."""
    if len(trace) < 3:
        return math.inf
    last, gain = trace[1] - trace[0], trace[2] - trace[1]
    if gain <= 1e-13 * abs(trace[2]):  # rounding alone can look like that
        return 0.0
    return gain * gain / (last - gain) if gain < last else math.inf


def _record(
    iteration: int, weights: np.ndarray, means: np.ndarray, cov: np.ndarray, fitting: Fitting, s: Structure
) -> MStep:
    units = fitting.data.units
    covariances = shaped(fitting.frame(s.diagonal).covariances_back(cov), units, s)
    return MStep(iteration, _frozen(weights), _frozen(units.back(means)), _frozen(covariances))


def _responsibilities(
    z: np.ndarray, log_weight: np.ndarray, means: np.ndarray, cov: np.ndarray, fitting: Fitting, s: Structure
) -> np.ndarray:
    own = fitting.frame(s.diagonal).covariances_back(cov)
    if np.isnan(z).any():
        shape = {"variances": own} if s.diagonal else {"cholesky": np.linalg.cholesky(own)}
        logs = gaps.logs({"weights": np.exp(log_weight), "means": means, **shape}, z)
    else:
        factor = np.sqrt(own)[:, None, :] if s.diagonal else np.linalg.cholesky(own)
        logs = component_logs(z, log_weight, means, factor)
    r = np.exp(logs - logs.max(axis=0))
    return _frozen(np.ascontiguousarray((r / r.sum(axis=0)).T))


def _frozen(a: np.ndarray) -> np.ndarray:
    out = np.array(a)
    out.setflags(write=False)
    return out
