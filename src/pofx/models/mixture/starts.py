"""Where the search begins: partitions of the rows, and changes of solutions already found.

Rows come in canonical order and in standard units (:class:`Sketch`), and every draw is made by weight, so
that neither the order of the rows nor their repetition, units or (up to ties) direction changes a start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .batch import lower_triangle, squares
from .expanded import features, n_features, own_moments
from .frame import Frame
from .rows import CachedRows

__all__ = [
    "Sketch",
    "doubled",
    "embedded",
    "flattened",
    "hierarchical",
    "inserted",
    "labels_from_seeds",
    "merged",
    "removed",
    "split",
    "state_from_labels",
    "ward",
]

START_ELEMENTS = 1_000_000  # memberships held at a time
HIERARCHICAL_ROWS = 500  # rows on which the hierarchical clustering is built
SYMMETRIC = 1e-9  # skewness below which a column has no direction
GRID = 32  # binary places of the rows, in standard deviations, that starts see


@dataclass(frozen=True)
class Sketch:
    """Distinct rows in canonical order, in three scalings.

    Parameters
    ----------
    z : ndarray (n, d)
        The rows in unit space.
    w : ndarray (n,)
        Their weights.
    scaled, whitened : ndarray (n, d)
        The rows with unit variances, and with unit covariance.
    order : ndarray (n,)
        Where each row was among those that the sketch was made of.
    gaps : ndarray of bool (n, d), optional
        Which entries of the rows are missing, and only filled in.
    """

    z: np.ndarray
    w: np.ndarray
    scaled: np.ndarray
    whitened: np.ndarray
    order: np.ndarray
    gaps: np.ndarray | None = None

    @classmethod
    def of(cls, z: np.ndarray, w: np.ndarray, gaps: np.ndarray | None = None) -> Sketch:
        """Return the sketch of distinct rows z with weights w, in canonical order.

        Each column is pointed so that its skewness is positive; then the lexicographic order does not
        depend on the sign of the column's unit either. The scalings are rounded to 32 binary places, far
        above the rounding of the data's units and far below what a start can tell apart: so equal distances
        stay equal in all units, and clusterings break ties the same way.
        """
        share = w / w.sum()
        centred = z - share @ z
        sd = np.sqrt(share @ centred**2)
        scaled = centred / np.where(sd > 0, sd, 1.0)
        pointed = scaled * np.where(share @ scaled**3 < -SYMMETRIC, -1.0, 1.0)
        order = np.lexsort(pointed.T[::-1])
        z, w, scaled, pointed = z[order], w[order], scaled[order], pointed[order]
        values, vectors = np.linalg.eigh((scaled * (w / w.sum())[:, None]).T @ scaled)
        real = values > 1e-10 * values[-1]
        whitened = (scaled @ vectors[:, real]) / np.sqrt(values[real])
        gaps = None if gaps is None else gaps[order]
        return cls(z, w, _on_grid(pointed), _on_grid(whitened), order, gaps)

    def __len__(self) -> int:
        return len(self.w)

    def take(self, rows: np.ndarray) -> Sketch:
        """Return some of the rows."""
        gaps = None if self.gaps is None else self.gaps[rows]
        return Sketch(
            self.z[rows], self.w[rows], self.scaled[rows], self.whitened[rows], self.order[rows], gaps
        )


def _on_grid(y: np.ndarray) -> np.ndarray:
    return np.ldexp(np.round(np.ldexp(y, GRID)), -GRID)


def labels_from_seeds(
    y: np.ndarray,
    w: np.ndarray,
    sizes: Sequence[int],
    count: int,
    rng: np.random.Generator,
    *,
    spread: bool = True,
) -> dict[int, np.ndarray]:
    """Return partitions into each of ``sizes`` clusters about seed rows: size to labels (count, n).

    With ``spread``, seeds are drawn with probability proportional to their squared distance from those
    drawn before (k-means++, Arthur and Vassilvitskii 2007), otherwise by weight alone. The first K seeds
    of a sequence serve K clusters. A row belongs to its nearest seed.
    """
    n = len(y)
    nearest = np.full((count, n), np.inf)
    label = np.zeros((count, n), dtype=np.int64)
    out = {}
    for k in range(max(sizes)):
        if k == 0:
            chance = np.broadcast_to(w, (count, n))
        else:
            chance = w * nearest if spread else np.where(nearest > 0, w, 0.0)
        total = np.cumsum(chance, axis=1)
        u = rng.random(count) * total[:, -1]
        seed = np.minimum((total <= u[:, None]).sum(axis=1), n - 1)
        distance = ((y[None] - y[seed][:, None]) ** 2).sum(axis=2)
        closer = distance < nearest
        nearest = np.where(closer, distance, nearest)
        label = np.where(closer, k, label)
        if k + 1 in sizes:
            out[k + 1] = label
    return out


def ward(y: np.ndarray, w: np.ndarray, sizes: Sequence[int]) -> dict[int, np.ndarray]:
    """Return Ward's (1963) partitions into each of ``sizes`` clusters: size to labels (n,).

    Merging a and b costs ``w_a w_b / (w_a + w_b) |m_a − m_b|²``; the cheapest pair is merged until one
    cluster is left. O(n²) memory and about n² operations.
    """
    n = len(y)
    mean, weight, label = y.copy(), w.astype(float).copy(), np.arange(n)
    square = np.einsum("ij,ij->i", y, y)
    cost = square[:, None] + square - 2.0 * (y @ y.T)
    cost = np.maximum(cost, 0.0) * (weight[:, None] * weight / (weight[:, None] + weight))
    np.fill_diagonal(cost, np.inf)
    nearest = cost.argmin(axis=1)
    best = cost[np.arange(n), nearest]
    out = {k: label for k in sizes if k > n}  # as many clusters as there are
    for left in range(n, 0, -1):
        if left in sizes:
            out[left] = np.unique(label, return_inverse=True)[1]
        if left == 1:
            break
        a = int(best.argmin())
        b = int(nearest[a])
        a, b = min(a, b), max(a, b)
        total = weight[a] + weight[b]
        mean[a] = (weight[a] * mean[a] + weight[b] * mean[b]) / total
        weight[a] = total
        label[label == b] = a
        cost[b] = cost[:, b] = best[b] = np.inf
        alive = np.isfinite(best) | (np.arange(n) == a)
        gap = mean - mean[a]
        row = np.where(alive, np.einsum("ij,ij->i", gap, gap) * weight * total / (weight + total), np.inf)
        row[a] = np.inf
        cost[a] = cost[:, a] = row
        nearest[a] = row.argmin()
        best[a] = row[nearest[a]]
        # Rows whose nearest was a or b look again; others compare with the new a only.
        again = np.flatnonzero(np.isfinite(best) & ((nearest == a) | (nearest == b)))
        again = again[again != a]
        if len(again):
            nearest[again] = cost[again].argmin(axis=1)
            best[again] = cost[again, nearest[again]]
        closer = row < best
        closer[a] = False
        nearest[closer], best[closer] = a, row[closer]
    return out


def hierarchical(
    method: Callable[[np.ndarray, np.ndarray, Sequence[int]], dict[int, np.ndarray]],
    y: np.ndarray,
    w: np.ndarray,
    sizes: Sequence[int],
    rng: np.random.Generator,
) -> dict[int, np.ndarray]:
    """Return the partitions that a hierarchical ``method`` makes of rows y with weights w.

    Beyond 500 rows those of a weighted draw, the others to the nearest mean.
    """
    if len(y) <= HIERARCHICAL_ROWS:
        return method(y, w, sizes)
    drawn = np.sort(rng.choice(len(y), HIERARCHICAL_ROWS, replace=False, p=w / w.sum()))
    some = method(y[drawn], np.ones(HIERARCHICAL_ROWS), sizes)
    out = {}
    for k, label in some.items():
        means = np.stack([y[drawn][label == c].mean(axis=0) for c in range(label.max() + 1)])
        distance = (means * means).sum(axis=1)[:, None] - 2.0 * (means @ y.T)
        out[k] = distance.argmin(axis=0)
    return out


def state_from_labels(rows: CachedRows, labels: np.ndarray, k: int) -> np.ndarray:
    """Return the states (p, S·k) of S partitions (S, n) of ``rows`` into k clusters.

    A cluster's own covariance is drawn towards the pooled one, by as many rows as it needs to have a
    covariance at all, so that no start is degenerate.
    """
    s, d = len(labels), rows.d
    stats = np.zeros((n_features(d, rows.diagonal), s * k))
    whole = np.zeros(len(stats))
    size = max(32, START_ELEMENTS // (s * k))
    for start in range(0, rows.n, size):
        part = slice(start, start + size)
        phi = features(rows.y[part], rows.diagonal) if rows.phi is None else rows.phi[:, part]
        member = np.zeros((s, k, phi.shape[1]))
        np.put_along_axis(member, labels[:, None, part], rows.w[None, None, part], axis=1)
        stats += phi @ member.reshape(s * k, -1).T
        whole += phi @ rows.w[part]
    empty = stats[0] <= 0
    if empty.any():  # fewer clusters than asked for: a light component in the middle of everything
        stats[:, empty] = (whole / rows.total)[:, None]
    state = own_moments(stats, d)
    n, own = state[0].reshape(s, k), state[1 + d :].reshape(-1, s, k)
    pooled = (n * own).sum(axis=2, keepdims=True) / n.sum(axis=1)[None, :, None]
    prior = d + 1.0
    state[1 + d :] = ((n * own + prior * pooled) / (n + prior)).reshape(len(own), s * k)
    return state


def doubled(state: np.ndarray) -> np.ndarray:
    """Return ``state`` (p, K) with its heaviest component as two equal halves: the same density."""
    k = int(state[0].argmax())
    out = np.concatenate([state, state[:, [k]]], axis=1)
    out[0, [k, -1]] /= 2.0
    return out


def embedded(state: np.ndarray, diagonal: Frame, full: Frame) -> np.ndarray:
    """Return the state of a diagonal structure as one of a full structure: the same density."""
    d = len(diagonal.centre)
    mean, variance = state[1 : 1 + d], state[1 + d :]
    cov = np.zeros((d, d, state.shape[1]))
    cov[np.arange(d), np.arange(d)] = variance
    if full.matrix.ndim == 2:
        to = full.matrix * diagonal.inverse
        mean, cov = to @ mean, np.einsum("ik,klm,jl->ijm", to, cov, to)
    return np.concatenate([state[:1], mean, cov[lower_triangle(d)]])


def flattened(state: np.ndarray, full: Frame, diagonal: Frame) -> np.ndarray:
    """Return the state of a full structure as a start of a diagonal one: the same means and variances."""
    d = len(full.centre)
    i, j = lower_triangle(d)
    mean, cov = state[1 : 1 + d], np.zeros((d, d, state.shape[1]))
    cov[i, j] = cov[j, i] = state[1 + d :]
    if full.matrix.ndim == 2:
        to = diagonal.matrix[:, None] * full.inverse
        mean, cov = to @ mean, np.einsum("ik,klm,jl->ijm", to, cov, to)
    return np.concatenate([state[:1], mean, cov[np.arange(d), np.arange(d)]])


def split(state: np.ndarray, d: int, k: int, axis: int = 0) -> np.ndarray:
    """Return ``state`` (p, K) with component k cut in two across its longest axis (or a shorter one).

    The halves keep the component's weight, mean and covariance together: each moves 0.8 standard
    deviations, as the halves of a Gaussian do.
    """
    part = state[:, [k, k]].copy()
    diagonal = len(state) == 1 + 2 * d
    if diagonal:
        v = np.diag(part[1 + d :, 0])
    else:
        v = np.zeros((d, d))
        v[lower_triangle(d)] = part[1 + d :, 0]
        v = v + np.tril(v, -1).T
    values, vectors = np.linalg.eigh(v)
    axis = d - 1 - min(axis, d - 1)
    step = 0.8 * np.sqrt(max(values[axis], 0.0)) * vectors[:, axis]
    part[0] /= 2.0
    part[1 : 1 + d, 0] += step
    part[1 : 1 + d, 1] -= step
    taken = step * step if diagonal else np.outer(step, step)[lower_triangle(d)]
    part[1 + d :] -= taken[:, None]
    return np.concatenate([np.delete(state, k, axis=1), part], axis=1)


def merged(state: np.ndarray, d: int, a: int, b: int) -> np.ndarray:
    """Return ``state`` (p, K) with components a and b as one, of their joint mean and covariance."""
    na, nb = state[0, a], state[0, b]
    share = na / (na + nb)
    part = share * state[:, a] + (1.0 - share) * state[:, b]
    gap = state[1 : 1 + d, a] - state[1 : 1 + d, b]
    square = gap * gap if len(state) == 1 + 2 * d else np.outer(gap, gap)[lower_triangle(d)]
    part[1 + d :] += share * (1.0 - share) * square
    part[0] = na + nb
    return np.concatenate([np.delete(state, [a, b], axis=1), part[:, None]], axis=1)


def inserted(state: np.ndarray, d: int, point: np.ndarray) -> np.ndarray:
    """Return ``state`` (p, K) with a small new component at ``point`` (d,): a spike inside what is there.

    It takes a tenth of the covariance of the component it falls into, and an equal share of the weight
    (the greedy step of Verbeek, Vlassis and Kröse 2003, Neural Comput. 15:469).
    """
    k = state.shape[1]
    mean = state[1 : 1 + d]
    spread = state[1 + d :] if len(state) == 1 + 2 * d else state[1 + d + squares(d)]
    host = ((point[:, None] - mean) ** 2 / np.maximum(spread, 1e-300)).sum(axis=0).argmin()
    part = state[:, host].copy()
    part[1 : 1 + d] = point
    part[1 + d :] *= 0.1
    part[0] = state[0].sum() / (k + 1)
    out = state.copy()
    out[0] *= k / (k + 1)
    return np.concatenate([out, part[:, None]], axis=1)


def removed(state: np.ndarray, components: list[int]) -> np.ndarray:
    """Return ``state`` (p, K) without some components, whose weight the others take over."""
    out = np.delete(state, components, axis=1)
    out[0] *= state[0].sum() / out[0].sum()
    return out
