"""Clusters of components: components that overlap are merged, two at a time, by entropy.

BIC chooses as many Gaussians as the density needs, and one group that is not Gaussian takes several. From
the K responsibilities t_ik of the rows, those two clusters a and b are merged whose union lowers the entropy
−Σ_i Σ_k t_ik log t_ik most, by

    Δ(a, b) = Σ_i (t_ia + t_ib) log(t_ia + t_ib) − t_ia log t_ia − t_ib log t_ib,

and so on until one is left; the density stays what it is. The entropy falls steeply while merged clusters
overlap and little where they are apart: where two lines, one on either side, fit it best, is the number of
clusters that is suggested.

References
----------
J.-P. Baudry, A. E. Raftery, G. Celeux, K. Lo and R. Gottardo, Combining mixture components for clustering,
*J. Comput. Graph. Statist.* 19 (2010) 332.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import xlogy

from ...errors import ParameterError
from ...validation import whole_number

__all__ = ["Clusters", "merge_by_entropy"]

APART = 0.01  # nats per row of entropy below which there is nothing to merge
BLOCK = 131_072  # numbers worked on at a time


@dataclass(frozen=True, eq=False)
class Clusters:
    """A hierarchy of clusters made of a mixture's components.

    Attributes
    ----------
    responsibilities : ndarray (n, K)
        Of the components, for the rows given.
    merges : tuple of (tuple of int, tuple of int)
        What was merged, first to last: two sets of components, K − 1 times.
    n_clusters : ndarray (K,)
        K, K − 1, …, 1.
    entropy : ndarray (K,)
        −Σ t log t with that many clusters (nats): it falls, and is 0 with one.
    suggested : int
        Where two lines fit the entropy best; K where the components are apart already (less than 0.01 nats
        of entropy per row), or fewer than three.
    """

    responsibilities: np.ndarray
    merges: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
    n_clusters: np.ndarray
    entropy: np.ndarray

    @cached_property
    def suggested(self) -> int:
        """How many clusters the entropy suggests."""
        apart = self.entropy[0] <= APART * len(self.responsibilities)
        return int(self.n_clusters[0 if apart else _elbow(self.n_clusters, self.entropy)])

    def groups(self, n: int | None = None) -> tuple[tuple[int, ...], ...]:
        """Return which components make up each of ``n`` clusters (by default as many as suggested)."""
        k = len(self.n_clusters)
        n = self.suggested if n is None else whole_number(n, "n", least=1)
        if n > k:
            raise ParameterError(f"There are {k} components, so from 1 to {k} clusters; got n={n}.")
        groups: list[tuple[int, ...]] = [(c,) for c in range(k)]
        for a, b in self.merges[: k - n]:
            groups = [g for g in groups if g not in (a, b)] + [tuple(sorted(a + b))]
        return tuple(sorted(groups))

    def proba(self, n: int | None = None) -> np.ndarray:
        """Return the probability of each of ``n`` clusters given each row: sums of responsibilities."""
        return np.stack([self.responsibilities[:, list(g)].sum(axis=1) for g in self.groups(n)], axis=1)

    def labels(self, n: int | None = None) -> np.ndarray:
        """Return the likeliest of ``n`` clusters for each row, shape (rows,), in the order of ``groups``."""
        return self.proba(n).argmax(axis=1)

    def table(self) -> tuple[dict[str, float], ...]:
        """Return number of clusters, entropy, and what the merger that led there saved, as plain data."""
        saved = np.concatenate([[0.0], -np.diff(self.entropy)])
        return tuple(
            {"n_clusters": int(n), "entropy": float(e), "saved": float(s)}
            for n, e, s in zip(self.n_clusters, self.entropy, saved, strict=True)
        )

    def __str__(self) -> str:
        lines = ["clusters  entropy  merged"]
        merged = ["", *(f"{_named(a)} + {_named(b)}" for a, b in self.merges)]
        for n, e, m in zip(self.n_clusters, self.entropy, merged, strict=True):
            mark = "  <- suggested" if n == self.suggested else ""
            lines.append(f"{n:8d}  {e:7.1f}  {m}{mark}".rstrip())
        return "\n".join(lines)


def _named(group: tuple[int, ...]) -> str:
    return "{" + ", ".join(map(str, group)) + "}" if len(group) > 1 else str(group[0])


def merge_by_entropy(responsibilities: np.ndarray) -> Clusters:
    """Return the hierarchy for responsibilities (n, K); n K numbers are held, and K² of pairs."""
    t = np.array(responsibilities.T, order="C")
    k = len(t)
    groups: list[tuple[int, ...]] = [(c,) for c in range(k)]
    own = _sums(t)
    together = np.full((k, k), -np.inf)  # Σ_i (t_a + t_b) log(t_a + t_b), a < b
    for a in range(k - 1):
        together[a, a + 1 :] = _sums(t[a + 1 :], t[a])
    entropy = [-own.sum()]
    merges = []
    while len(groups) > 1:
        saving = together - own[:, None] - own
        a, b = (int(v) for v in np.unravel_index(np.argmax(saving), saving.shape))
        merges.append((groups[a], groups[b]))
        t[a] += t[b]
        own[a] = together[a, b]
        groups[a] = tuple(sorted(groups[a] + groups[b]))
        del groups[b]
        t, own = np.delete(t, b, axis=0), np.delete(own, b)
        together = np.delete(np.delete(together, b, axis=0), b, axis=1)
        fresh = _sums(t, t[a])
        together[a, a + 1 :] = fresh[a + 1 :]
        together[:a, a] = fresh[:a]
        entropy.append(-own.sum())
    shown = responsibilities.copy()
    counts = np.arange(k, 0, -1)
    for array in (shown, counts):
        array.setflags(write=False)
    return Clusters(shown, tuple(merges), counts, np.maximum(np.array(entropy), 0.0))


def _sums(t: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
    """Return Σ_i u log u for each row u of t (K, n), ``other`` (n,) added to it."""
    out = np.zeros(len(t))
    size = max(1, BLOCK // max(len(t), 1))
    for at in range(0, t.shape[1], size):
        u = t[:, at : at + size]
        if other is not None:
            u = u + other[at : at + size]
        out += xlogy(u, u).sum(axis=1)
    return out


def _elbow(x: np.ndarray, y: np.ndarray) -> int:
    """Return the place at which two straight lines that share it fit y over x best; 0 with two or one."""
    if len(x) < 3:
        return 0

    def misfit(part: slice) -> float:
        u, v = x[part] - x[part].mean(), y[part] - y[part].mean()
        return float(((v - u * (u @ v) / (u @ u)) ** 2).sum())

    total = [misfit(slice(0, c + 1)) + misfit(slice(c, None)) for c in range(1, len(x) - 1)]
    return 1 + int(np.argmin(total))
