"""The E-step for rows with missing entries where columns vary together within a component.

Rows of one pattern of missing entries need Σ r [1, δ, δδᵀ] over what is observed: the same two matrix
products of features as complete rows (:mod:`pofx.models.mixture.expanded`), with zeros for what is missing.
The rest is done once per pattern and component, by :mod:`pofx.models.mixture.pattern_tree`. Where the numbers
ask for the plain form, deviations are taken about the current means, every pattern is regressed for itself
(:mod:`pofx.models.mixture.incomplete` has the mathematics), and observed entries stay as they are, to the
last bit. So it is where nearly every row of many columns has a pattern of its own: no tree makes that cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...maths.gaussian import LOG_2PI
from ...maths.gaussian_batch import LAPACK_FROM, cholesky, precision, triangular_inverse
from ...threads import map_ordered
from .batch import Segments, lower_triangle
from .centred import normalise
from .expanded import CACHE_ELEMENTS, _normalise, features
from .pattern_tree import PatternTree, TreeTerms
from .patterns import Patterns
from .rows import EXPANDED_ERROR, FEATURES_UP_TO, Statistics, added

__all__ = ["FullGaps", "symmetric"]

CHUNK = 4_096  # rows per task for the threads
PARALLEL_WORK = 2e7  # multiply-adds of a pass below which threads cost more than they save
PATTERN_ELEMENTS = 262_144  # entries of the matrices of patterns and components worked on at a time: 2 MB
COEFFICIENT_ELEMENTS = 262_144  # the same for what is kept of them between the products: 2 MB


class FullGaps:
    """Incomplete rows of full structures, sorted by pattern.

    Parameters
    ----------
    x : ndarray (n, d)
        Rows in column space, zero where missing.
    observed : ndarray of bool (n, d)
    w : ndarray (n,)
    """

    def __init__(self, x: np.ndarray, observed: np.ndarray, w: np.ndarray) -> None:
        self.n, self.d = x.shape
        self.patterns = Patterns.of(observed)
        self.x, self.w = x[self.patterns.order], w[self.patterns.order]
        self.phi = features(self.x, False) if self.d <= FEATURES_UP_TO else np.empty((0, self.n))
        self.largest = float(np.einsum("ij,ij->i", x, x).max())
        self._trees: dict[tuple[int, int], PatternTree] = {}

    def statistics(
        self, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray, segments: Segments, centred: bool
    ) -> Statistics:
        """Return log-likelihoods and the expected Σ r [1, δ, δδᵀ] of whole rows."""

        d, m = self.d, segments.m
        if centred or not self._expandable(cov):
            most = PATTERN_ELEMENTS // (d * d * m)

            def contribution(part: slice) -> Statistics:
                return self._centred(
                    part, _Terms(self.patterns.observed[part], log_weight, mean, cov), segments
                )

        else:
            most = min(COEFFICIENT_ELEMENTS // (d * d * m), PATTERN_ELEMENTS // (d * d))

            def contribution(part: slice) -> Statistics:
                return self._expanded(part, TreeTerms(self._tree(part), log_weight, mean, cov), segments)

        parts = list(self._parts(max(most, 1)))
        work = float(self.n + d * len(self.patterns.observed)) * d * d * m
        parallel = len(parts) > 1 and work > PARALLEL_WORK
        return added(map_ordered(contribution, parts) if parallel else map(contribution, parts))

    def _expandable(self, cov: np.ndarray) -> bool:
        """Whether the expanded form keeps enough digits, from the traces of the precision matrices."""
        scattered = self.d >= LAPACK_FROM and self.n < self.d * len(self.patterns.observed)
        if self.d > FEATURES_UP_TO or scattered:
            return False
        inverse = triangular_inverse(cholesky(cov)[0])
        trace = float((inverse * inverse).sum(axis=(0, 1)).max())
        return float(np.finfo(float).eps) * self.largest * trace < EXPANDED_ERROR

    def _tree(self, part: slice) -> PatternTree:
        key = part.start, part.stop
        if key not in self._trees:
            self._trees[key] = PatternTree(self.patterns.observed[part])
        return self._trees[key]

    def _parts(self, most: int) -> Iterator[slice]:
        """Yield patterns that are worked on together: at most so many, and enough rows for a task."""
        starts, first = self.patterns.starts, 0
        for p in range(1, len(starts)):
            if p - first == most or starts[p] - starts[first] >= CHUNK or p == len(starts) - 1:
                yield slice(first, p)
                first = p

    def _expanded(self, part: slice, terms: TreeTerms, segments: Segments) -> Statistics:
        """Logits and statistics as products of features; regressions column by column up the tree."""
        c = terms.coefficients
        stats = np.zeros_like(c)

        def logits(p: int, rows: slice, out: np.ndarray) -> None:
            np.matmul(c[p].T, self.phi[:, rows], out=out)

        def collect(p: int, rows: slice, r: np.ndarray) -> None:
            stats[p] += self.phi[:, rows] @ r.T

        value = self._responsibilities(part, segments, max(64, CACHE_ELEMENTS // segments.m), logits, collect)
        return value, terms.expected(stats)

    def _centred(self, part: slice, terms: _Terms, segments: Segments) -> Statistics:
        """Deviations about the means through the Cholesky factors; regressions pattern by pattern."""
        d, m = self.d, segments.m
        whiten = np.ascontiguousarray(np.moveaxis(terms.inverse, (0, 1), (2, 3)))  # (P, M, d, d)
        weight, first, second = np.zeros((len(whiten), m)), np.zeros(whiten.shape[:3]), np.zeros(whiten.shape)

        def deviations(p: int, rows: slice) -> np.ndarray:
            return (self.x[rows] - terms.mean.T[:, None]) * terms.observed[p]

        def logits(p: int, rows: slice, out: np.ndarray) -> None:
            white = deviations(p, rows) @ np.swapaxes(whiten[p], 1, 2)
            with np.errstate(over="ignore"):
                out[:] = terms.constant[p][:, None] - 0.5 * np.einsum("mnd,mnd->mn", white, white)

        def collect(p: int, rows: slice, r: np.ndarray) -> None:
            delta = deviations(p, rows)
            weight[p] += r.sum(axis=1)
            first[p] += np.einsum("mn,mnd->md", r, delta)
            second[p] += np.swapaxes(delta * r[:, :, None], 1, 2) @ delta

        value = self._responsibilities(part, segments, max(16, CACHE_ELEMENTS // (m * d)), logits, collect)
        return value, terms.regressed(weight, np.moveaxis(first, 2, 0), np.moveaxis(second, (2, 3), (0, 1)))

    def _responsibilities(
        self,
        part: slice,
        segments: Segments,
        size: int,
        logits: Callable[[int, slice, np.ndarray], None],
        collect: Callable[[int, slice, np.ndarray], None],
    ) -> np.ndarray:
        """Give ``collect`` the weighted responsibilities of every pattern; return the log-likelihoods."""
        starts = self.patterns.starts[part.start : part.stop + 1]
        value = np.zeros(len(segments))
        for begin in range(int(starts[0]), int(starts[-1]), size):
            end = min(begin + size, int(starts[-1]))
            here = range(
                int(np.searchsorted(starts, begin, side="right")) - 1, int(np.searchsorted(starts, end))
            )
            rows = [slice(max(begin, int(starts[p])), min(end, int(starts[p + 1]))) for p in here]
            r = np.empty((segments.m, end - begin))
            w = self.w[begin:end]
            pieces = [
                (p, own, r[:, own.start - begin : own.stop - begin])
                for p, own in zip(here, rows, strict=True)
            ]
            for piece in pieces:
                logits(*piece)
            if not _normalise(np.exp(r, out=r), w, segments, value):
                for piece in pieces:
                    logits(*piece)
                normalise(r, w, segments, value)
            for piece in pieces:
                collect(*piece)
        return value


class _Terms:
    """What some patterns and all components need in the plain form.

    Matrices are (d, d, P, M), zero where a column is missing.
    """

    def __init__(
        self, observed: np.ndarray, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray
    ) -> None:
        d, m, p = len(mean), mean.shape[1], len(observed)
        self.observed, self.mean, self.cov = observed, mean, cov
        on = observed.T
        pair = on[:, None] & on[None]
        block = np.where(pair[..., None], cov[:, :, None], 0.0)
        i = np.arange(d)
        block[i, i] += ~on[..., None]  # ones for the missing columns: their logarithms are zero
        factor = cholesky(block.reshape(d, d, p * m))[0]
        log_det = 2.0 * np.log(factor[i, i]).sum(axis=0).reshape(p, m)
        inverse = triangular_inverse(factor).reshape(d, d, p, m)
        inverse[i, i] *= on[..., None]
        self.inverse = inverse
        self.q = precision(inverse.reshape(d, d, p * m)).reshape(d, d, p, m)
        self.constant = log_weight - 0.5 * (observed.sum(axis=1)[:, None] * LOG_2PI + log_det)

    def regressed(self, n: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return Σ r [1, y − μ, (y − μ)(y − μ)ᵀ] (p, M) of whole rows from Σ r [1, δ, δδᵀ] of each pattern.

        Their shapes are (P, M), (d, P, M) and (d, d, P, M); deviations are about the current means.

        An observed entry stands for itself here: its row of Σ Q is one of the identity, without rounding.
        """
        d = len(self.mean)
        i, j = lower_triangle(d)
        on = self.observed.T
        cov = np.broadcast_to(self.cov[:, :, None], self.q.shape)
        g = _products(cov, self.q)
        g = np.where(on[:, None, :, None], np.eye(d)[:, :, None, None], g) * on[None, :, :, None]
        off = ~on
        residual = (cov - _products(g, cov)) * (off[:, None] & off[None])[..., None]
        outer = _sum_of_products(_products(g, second), np.swapaxes(g, 0, 1))
        outer += np.einsum("ijpm,pm->ijm", residual, n)
        return np.concatenate([n.sum(axis=0)[None], (g * first).sum(axis=(1, 2)), outer[i, j]])


def symmetric(packed: np.ndarray, d: int) -> np.ndarray:
    """Return symmetric matrices (d, d, …) from their lower triangles (d (d + 1) / 2, …)."""
    i, j = lower_triangle(d)
    out = np.empty((d, d, *packed.shape[1:]))
    out[i, j] = out[j, i] = packed
    return out


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the matrix products of many matrices (d, d, …), the matrices along the first two axes."""
    if len(a) >= LAPACK_FROM:
        stacked = np.moveaxis(a, (0, 1), (-2, -1)) @ np.moveaxis(b, (0, 1), (-2, -1))
        return np.moveaxis(stacked, (-2, -1), (0, 1))
    out = a[:, 0, None] * b[None, 0]
    for k in range(1, len(a)):
        out += a[:, k, None] * b[None, k]
    return out


def _sum_of_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Σ_p A_p B_p (d, d, M) of matrices (d, d, P, M)."""
    return np.asarray(_products(a, b).sum(axis=2))
