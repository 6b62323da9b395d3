"""Where a search with noise begins: partitions of what does not look like noise, and fits without it.

Noise is told from the rest by the distance D of a row to its k-th nearest neighbour (Byers and Raftery 1998,
JASA 93:577): among rows spread evenly with intensity λ, λ α_d D^d has a Gamma(k) distribution, so two
intensities make a mixture of two, whose likelier part each row is given to.

A fit without noise is one with w_0 = 0. With its components held, the log-likelihood is concave in w_0,

    L(w_0) = Σ_i w_i log((1 − w_0) p(x_i) + w_0 / |B|),

so the best w_0 makes a start that is never below it, and a search with noise ends no lower than one without.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.spatial import cKDTree

from .batch import Segments
from .candidate import KEEP, Candidate, Job
from .centred import Centred, log_sum_exp
from .em import Mixtures
from .fitting import Fitting
from .noisy_rows import NoisyRows
from .rows import CachedRows
from .search import Search
from .starts import Sketch

__all__ = ["NoisySearch", "first_share", "looks_like_noise", "noise_share"]

NEIGHBOURS = 12  # k, of 240 rows or more
ROWS_PER_NEIGHBOUR = 20
CLEANING_ROUNDS = 100  # of EM for the two intensities
LEAST_SHARE = 0.01  # of noise in a start from a partition
LEAST_CLEAN = 0.1  # share of the rows below which cleaning is not believed


def looks_like_noise(y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return which distinct rows y (n, d) of weights w lie where rows are thin: a guess to start from."""
    n, d = y.shape
    total = w.sum()
    k = int(np.clip(total / ROWS_PER_NEIGHBOUR, 3, NEIGHBOURS))
    none = np.zeros(n, dtype=bool)
    if n <= k + 1:
        return none
    distance, near = cKDTree(y).query(y, k + 1)
    # A row of weight w is w rows: its copies are its nearest neighbours.
    at = np.minimum((np.cumsum(w[near], axis=1) < k + 1).sum(axis=1), k)
    reach = distance[np.arange(n), at]
    scale = float(w @ reach) / total
    if not scale > 0.0:
        return none
    t = np.minimum(reach / scale, np.exp(600.0 / d)) ** d
    thin = (t > np.median(t)).astype(float)
    for _ in range(CLEANING_ROUNDS):
        share = np.array([w @ (1.0 - thin), w @ thin]) / total
        sums = np.array([w @ ((1.0 - thin) * t), w @ (thin * t)])
        if not (share > 0.0).all() or not (sums > 0.0).all():
            return none
        rate = k * total * share / sums
        odds = np.log(share[1] / share[0]) + k * np.log(rate[1] / rate[0]) - (rate[1] - rate[0]) * t
        before, thin = thin, 1.0 / (1.0 + np.exp(-np.clip(odds, -500.0, 500.0)))
        if np.abs(thin - before).max() < 1e-6:
            break
    noise = thin > 0.5
    return noise if w @ ~noise >= max(LEAST_CLEAN * total, 2.0 * (d + 1)) else none


def first_share(sketch: Sketch) -> float:
    """Return the share of the rows that looks like noise, at least as much as a start needs to have any."""
    noise = looks_like_noise(sketch.scaled, sketch.w)
    return max(float(sketch.w[noise].sum() / sketch.w.sum()), LEAST_SHARE)


def noise_share(log_density: np.ndarray, log_noise: float, w: np.ndarray) -> float:
    """Return the w_0 that maximises Σ w log((1 − w_0) p + w_0 exp(log_noise)) for given log p (n,)."""
    excess = np.expm1(np.minimum(log_noise - log_density, 690.0))

    def slope(share: float) -> float:
        return float(w @ (excess / (1.0 + share * excess)))

    highest = 1.0 - 1e-9
    if slope(0.0) <= 0.0:
        return 0.0
    return highest if slope(highest) >= 0.0 else float(brentq(slope, 0.0, highest, xtol=1e-12))


class NoisySearch(Search):
    """A search with noise: it knows the solutions without, and makes partitions of clean rows.

    Parameters
    ----------
    fitting : Fitting
    candidates : sequence of Candidate
    """

    def __init__(self, fitting: Fitting, candidates: Sequence[Candidate]) -> None:
        whole = fitting.searched(candidates)
        self.plain = [Candidate(c.structure, c.k) for c in candidates]
        without = Search(whole, fitting.sketch, self.plain, fitting.rng, fitting.plan.n_init)
        without.begin(KEEP, fitting.plan.leading)
        sketch = fitting.sketch
        clean = sketch.take(np.flatnonzero(~looks_like_noise(sketch.scaled, sketch.w)))
        rows = {kind: fitting.rows_of(clean, kind) for kind in whole}
        super().__init__(rows, clean, candidates, fitting.rng, fitting.plan.n_init)
        self.noisy = {kind: fitting.with_noise(whole[kind]) for kind in whole}
        self.rows = self.noisy

    def first_starts(self, candidates: Sequence[Candidate]) -> list[Job]:
        """Partitions of the clean rows, and the solutions without noise, each with the best w_0."""
        jobs = super().first_starts(candidates)
        for _, state in jobs:
            most = (1.0 - LEAST_SHARE) * self.total
            state[0] *= min(1.0, most / state[0].sum())
        wanted = {(c.structure.name, c.k): c for c in candidates}
        for p in self.plain:
            c = wanted.get((p.structure.name, p.k))
            if c is not None:
                rows = self.noisy[c.structure.diagonal]
                jobs += [(c, _with_best_share(c, r.state, rows)) for r in p.runs if not r.low]
        return jobs


def _with_best_share(c: Candidate, state: np.ndarray, rows: NoisyRows) -> np.ndarray:
    """Return a state (p, K) without noise as one with as much as helps."""
    cached, segments = rows.rows, Segments([c.k])
    assert isinstance(cached, CachedRows)
    cov, _ = Mixtures([c.k], [c.structure]).m_step(state, rows)
    log_weight = np.log(np.maximum(state[0], 1e-250) / state[0].sum())
    logs = Centred(log_weight, state[1 : 1 + rows.d], cov, segments).logits(cached.y.T)
    out = state.copy()
    out[0] *= 1.0 - noise_share(log_sum_exp(logs), rows.log_density, cached.w)
    return out
