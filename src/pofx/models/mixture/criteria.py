"""How clearly rows belong to one component each, and the criterion that asks for that.

    ICL = BIC − 2 Σ_i log r_{i,z(i)},    z(i) the likeliest component of row i

is −2 log of the classification likelihood Π_i w_{z(i)} N(x_i; μ_{z(i)}, Σ_{z(i)}), plus k log n: BIC with
the labels taken as known (Biernacki, Celeux and Govaert 2000, IEEE Trans. PAMI 22:719). Where components
are far apart it is BIC; the more they overlap, the more it lies above; smaller is better (mclust prints the
negative).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import gaps, noise
from .candidate import Candidate
from .em import Mixtures
from .expanded import CACHE_ELEMENTS, coefficients, features, n_features
from .fitting import Fitting

__all__ = ["log_certainties", "odds_against"]


def odds_against(logs: np.ndarray) -> np.ndarray:
    """Return Σ_{l ≠ z} r_l / r_z for the likeliest component z of every row, from log weights plus log
    densities (K, …, n): what is left to doubt, however little."""
    top = logs.argmax(axis=0)[None]
    ratio = np.exp(logs - np.take_along_axis(logs, top, 0))
    np.put_along_axis(ratio, top, 0.0, 0)
    return np.asarray(ratio.sum(axis=0))


Values = Callable[[Fitting, Candidate, np.ndarray], Mapping[str, Any]]


def log_certainties(fitting: Fitting, candidates: Sequence[Candidate], values: Values) -> list[float | None]:
    """Return Σ_i w_i log r_{i,z(i)} over all rows for candidates that have a solution, in one pass.

    ``values`` makes parameters (unit space) of a candidate's state. None too for rows with errors.
    """
    found: dict[int, float] = {}
    if fitting.errors is not None:
        return [None] * len(candidates)
    if fitting.plan.noise or not fitting.data.complete:
        mine = [c for c in candidates if c.runs]
        several = [values(fitting, c, c.runs[0].state) for c in mine]
        found = {id(c): float(v) for c, v in zip(mine, _one_by_one(fitting, several), strict=True)}
        return [found.get(id(c), 0.0) if c.runs else None for c in candidates]
    for diagonal in (False, True):
        mine = [c for c in candidates if c.runs and c.structure.diagonal == diagonal and c.k > 1]
        mine.sort(key=lambda c: c.k)
        if mine:
            sums = _together(fitting, mine, diagonal)
            found |= {id(c): float(v) for c, v in zip(mine, sums, strict=True)}
    return [found.get(id(c), 0.0) if c.runs else None for c in candidates]


def _one_by_one(fitting: Fitting, several: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The same of what is observed of each row, and with noise as one more term."""

    def certainty(v: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
        logs = gaps.logs(v, x)
        logs = np.vstack([logs, noise.logs(v, x)]) if noise.has_noise(v) else logs
        return np.asarray(-np.log1p(odds_against(logs)))

    def block(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.array([certainty(v, x) @ w for v in several])

    return np.asarray(fitting.data.fold(block))


def _together(fitting: Fitting, candidates: Sequence[Candidate], diagonal: bool) -> np.ndarray:
    frame, d = fitting.frame(diagonal), fitting.data.d
    mixtures = Mixtures([c.k for c in candidates], [c.structure for c in candidates])
    state = np.concatenate([c.runs[0].state for c in candidates], axis=1)
    segments = mixtures.segments
    cov, _ = mixtures.m_step(state, fitting.all_rows(diagonal))
    weight = state[0] / segments.sum(state[0])[segments.owner]
    c = coefficients(np.log(np.maximum(weight, 1e-250)), state[1 : 1 + d], cov)
    size = max(64, CACHE_ELEMENTS // max(segments.m, n_features(d, diagonal)))

    def block(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        out = np.zeros(len(segments))
        for at in range(0, len(x), size):
            logits = c.T @ features(frame.rows(x[at : at + size]), diagonal)
            for k, several, components in segments.groups:
                logs = np.moveaxis(logits[components].reshape(-1, k, logits.shape[1]), 1, 0)
                out[several] -= np.log1p(odds_against(logs)) @ w[at : at + size]
        return out

    return np.asarray(fitting.data.fold(block))
