"""Maximum-likelihood factor analysis of many covariance matrices at once: V ≈ ΛΛᵀ + Ψ with q factors.

From a start one descends to a minimum (:mod:`pofx.models.mixture.structures.uniquenesses`). There may be
several: where uniquenesses are zero, and where more or fewer than q factors would be called for. Then more
starts are made: from the columns that explain the others best, and from the first minimum, a direction that
is no factor taking the place of a weak one. The least of what is found is a function of V alone. Columns are
divided by their standard deviations; factor analysis does not see their units.
"""

from __future__ import annotations

import numpy as np

from .uniquenesses import LEAST, SAME, Points, all_free, leading, minimum, scaled, with_factors

__all__ = ["common_and_noise", "factor_analysis"]

CACHE_ELEMENTS = 32_768  # numbers in the matrices that are worked on at a time
RELEASED = (0.03, 0.001)  # uniquenesses, of a variance, that a column which is a factor is given in a trial
NEAR_HEYWOOD, WEAK = float(np.log(0.02)), 3.0  # log ψ, and θ_q, below which there may be another minimum
UNEXPLAINED = 2.0  # an eigenvalue of another direction, above which it might be a factor instead
NEXT, WEAKEST = 2, 2  # such directions that are tried, and factors whose places they take
HEATS, FINALISTS = 3, 2  # rounds after which so many starts of each problem go on
CLEAR = 0.02  # of a variance: the least uniqueness of a start


def factor_analysis(v: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeliest loadings (M, d, q) and uniquenesses (M, d) for covariances ``v`` (M, d, d).

    Of all rotations of the loadings, that in which they are orthogonal in units of the columns' standard
    deviations, the longest first, the largest entry of each positive.
    """
    common, noise, sd = common_and_noise(v, q)
    values, axes = np.linalg.eigh(common)
    loadings = (axes * np.sqrt(np.maximum(values, 0.0))[:, None, :])[:, :, : -q - 1 : -1]
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=1)[:, None], axis=1)
    return loadings * np.where(largest < 0.0, -1.0, 1.0) * sd[:, :, None], noise * sd**2


def common_and_noise(v: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ΛΛᵀ (M, d, d) and ψ (M, d) in units of the columns' standard deviations, and those (M, d)."""
    r, variance = _correlations(v, 0.0)
    size = max(1, CACHE_ELEMENTS // r.shape[1] ** 2)
    parts = [_analysed(r[at : at + size], q) for at in range(0, len(r), size)]
    common, noise = (np.concatenate(part) for part in zip(*parts, strict=True))
    return common, noise, np.sqrt(variance)


def _analysed(r: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    start = _joreskogs_start(r, q)
    best = minimum(start.take(np.arange(len(r))), q)
    theta, _ = leading(scaled(best.rest, best.x), q + 1)
    doubtful = best.whole.any(axis=1) | (best.x.min(axis=1) < NEAR_HEYWOOD) | (best.theta[:, 0] < WEAK)
    hard = np.flatnonzero(doubtful | (theta[:, 0] > UNEXPLAINED))
    if len(hard):
        mine = np.flatnonzero(doubtful)
        starts = [(hard, Points.at(all_free(r[hard]), 0.5 * start.x[hard], q))]
        starts += [(hard, p) for p in _with_other_factors(best.take(hard), r[hard], q)]
        starts += [(mine, p) for p in _from_columns(r[mine], q)]
        _try(best, starts, q)
        _release(best, hard, r, q)
    strength = np.sqrt(np.where(best.factor, best.theta - 1.0, 0.0))
    loadings = best.omega * np.exp(0.5 * best.x)[:, :, None] * strength[:, None, :]
    noise = np.where(best.whole, 0.0, np.exp(best.x))
    return (r - best.rest) + loadings @ np.swapaxes(loadings, 1, 2), noise


def _try(best: Points, starts: list[tuple[np.ndarray, Points]], q: int) -> None:
    """Descend from several starts of some of the problems, the best to the end; keep what is better."""
    owner = np.concatenate([which for which, _ in starts])
    p = minimum(Points.joined([p for _, p in starts]), q, best.f[owner], HEATS)
    order = np.lexsort([p.f, owner])
    place = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
    order, place = order[place < FINALISTS], place[place < FINALISTS]
    p, owner = minimum(p.take(order), q, best.f[owner[order]]), owner[order]
    for i in range(FINALISTS):
        best.improve(owner[place == i], p.take(place == i))


def _joreskogs_start(r: np.ndarray, q: int) -> Points:
    """ψ_j = (1 − q/2d) / (R⁻¹)_jj, a little noise added to R, which may be singular."""
    d = r.shape[1]
    inverse = np.linalg.inv(r + CLEAR * np.eye(d))
    noise = (1.0 - 0.5 * q / d) / np.diagonal(inverse, 0, 1, 2)
    return Points.at(all_free(r), np.log(np.maximum(noise, CLEAR)), q)


def _from_columns(r: np.ndarray, q: int) -> list[Points]:
    """No, one, … q columns as factors, each the best beside those before; principal factors of the rest."""
    m, d = r.shape[:2]
    given, out = all_free(r), []
    for count in range(q + 1):
        if count:
            best = _explained(given[0], given[1]).argmax(axis=1)
            given = with_factors(given, np.ones(m, dtype=bool), best)
        partial, variance = _correlations(given[0])
        values, axes = np.linalg.eigh(partial)
        common = (axes**2 * values[:, None, :])[:, :, d - q + count :].sum(axis=2)
        x = np.log(np.maximum(np.maximum(1.0 - common, CLEAR) * variance, LEAST))
        out.append(Points.at(given, x, q))
    return out


def _with_other_factors(p: Points, r: np.ndarray, q: int) -> list[Points]:
    """The uniquenesses when a weak factor of a minimum makes way for a direction that is none so far."""
    values, axes = leading(scaled(p.rest, p.x), min(q + NEXT, r.shape[1] - 1))
    common = np.exp(p.x)[:, :, None] * axes**2 * np.maximum(values - 1.0, 0.0)[:, None, :]
    first = values.shape[1] - q  # ascending order: before it there is none, from it on there are factors
    out = []
    for old in range(first, min(first + WEAKEST, first + q)):
        for new in range(first):
            explained = common[:, :, first:].sum(axis=2) - common[:, :, old] + common[:, :, new]
            x = np.log(np.clip(1.0 - explained, CLEAR, 1.0))
            out.append(Points.at(all_free(r), x, q))
    return out


def _explained(rest: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return how much of the others each column explains alone: by how much their log variances fall."""
    partial, _ = _correlations(rest)
    i = np.arange(rest.shape[1])
    out = -np.log(np.maximum(1.0 - partial**2, LEAST))
    out[:, i, i] = 0.0
    return np.where(whole, -np.inf, out.sum(axis=1))


def _correlations(v: np.ndarray, least: float = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """Return correlations (M, d, d) and variances (M, d)."""
    variance = np.maximum(np.diagonal(v, 0, 1, 2), least)
    sd = np.sqrt(variance)
    return v / sd[:, :, None] / sd[:, None, :], variance


def _release(p: Points, which: np.ndarray, r: np.ndarray, q: int) -> None:
    """Give columns that are factors noise again, one at a time, where that is better."""
    for turn in range(q):
        at = which[p.whole[which].sum(axis=1) > turn]
        if not len(at):
            return
        one = np.arange(len(at))
        column = np.argsort(~p.whole[at], axis=1, kind="stable")[:, turn]
        kept = p.whole[at]
        kept[one, column] = False
        given = all_free(r[at])
        for _ in range(q - 1):
            left = kept & ~given[1]
            given = with_factors(given, left.any(axis=1), left.argmax(axis=1))
        for share in RELEASED:
            x = p.x[at]
            x[one, column] = np.log(share * np.maximum(given[0][one, column, column], LEAST))
            there = Points.at(given, x, q)
            less = there.f < p.f[at] - SAME
            if less.any():
                p.improve(at[less], minimum(there.take(less), q))
