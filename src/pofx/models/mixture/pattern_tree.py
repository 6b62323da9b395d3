"""Patterns of missing entries as a tree, so that what one needs is a small step from what its parent needs.

The parent of a pattern observes its last missing column j too. With Q = Σ_oo⁻¹ of the parent, a row or column
that is not observed being zero, the child's is the same after one step of Gauss elimination, which also holds
the regression of column j on the child's columns and its residual variance:

    Q' = Q − q q ᵀ / q_jj,   log|Σ'| = log|Σ| + log q_jj,   b = −q / q_jj,   c = 1 / q_jj,   q = Q e_j.

So log densities are found going down from Σ⁻¹ itself. Going back up, the expected statistics of each pattern
are those of its parent once column j is filled in, E[y_j | y_o] = μ_j + b δ and Cov adds c: by the law of
iterated expectations one column may be filled in after the other, and rows of the same parent are added up
before it is their turn. (This is the sweep operator: Little and Rubin 2002, sections 7.4 and 11.2.)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import numpy as np

from ...maths.gaussian import LOG_2PI
from ...maths.gaussian_batch import cholesky, precision, triangular_inverse
from .batch import lower_triangle

__all__ = ["PatternTree", "TreeTerms"]

SLICE_ELEMENTS = (
    262_144  # entries of the matrices of all nodes and some components: what is worked on at a time
)


@dataclass(frozen=True)
class Step:
    """Nodes of one level that miss the same column beside what their parents miss.

    Attributes
    ----------
    column : int
    nodes : slice
        Their places in their level.
    parents : ndarray of int
        Their parents' places in the level above, all different.
    """

    column: int
    nodes: slice
    parents: np.ndarray


class PatternTree:
    """The tree that some patterns need.

    Parameters
    ----------
    observed : ndarray of bool (P, d)

    Attributes
    ----------
    sizes : list of int
        How many nodes each level has; the first is the root.
    steps : list of list of Step
        The ways from each level to the next.
    patterns, places : list of ndarray of int
        Of each level, which patterns are among its nodes, and where.
    """

    def __init__(self, observed: np.ndarray) -> None:
        self.observed = observed
        missing = [tuple(np.flatnonzero(~row).tolist()) for row in observed]
        levels: list[set[tuple[int, ...]]] = [set() for _ in range(max(map(len, missing)) + 1)]
        for t in missing:
            for k in range(len(t) + 1):
                levels[k].add(t[:k])
        ordered = [sorted(level, key=lambda t: (t[-1:], t)) for level in levels]
        number = [{t: i for i, t in enumerate(level)} for level in ordered]
        self.sizes = [len(level) for level in ordered]
        self.steps = [self._steps(level, above) for level, above in zip(ordered[1:], number, strict=False)]
        self.patterns, self.places = [], []
        for k, level in enumerate(number):
            mine = [p for p, t in enumerate(missing) if len(t) == k]
            self.patterns.append(np.array(mine, dtype=np.int64))
            self.places.append(np.array([level[missing[p]] for p in mine], dtype=np.int64))

    @staticmethod
    def _steps(level: list[tuple[int, ...]], above: dict[tuple[int, ...], int]) -> list[Step]:
        out, at = [], 0
        for column, group in groupby(level, key=lambda t: t[-1]):
            parents = np.array([above[t[:-1]] for t in group])
            out.append(Step(column, slice(at, at + len(parents)), parents))
            at += len(parents)
        return out


class TreeTerms:
    """What the patterns of a tree and all components need.

    Parameters
    ----------
    tree : PatternTree
    log_weight, mean, cov : ndarray (M,), (d, M), (d, d, M)

    Attributes
    ----------
    coefficients : ndarray (P, p, M)
        Per pattern, C: the logits are C · φ(y) with zeros for what is missing, as for complete rows.
    """

    def __init__(self, tree: PatternTree, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray) -> None:
        d, m = mean.shape
        self.tree, self.mean = tree, mean
        self.coefficients = np.empty((len(tree.observed), 1 + d + d * (d + 1) // 2, m))
        step = max(1, SLICE_ELEMENTS // (sum(tree.sizes) * d * d))
        self.slices = [slice(at, at + step) for at in range(0, m, step)]
        # Of each slice and level: regressions b (d, N, m) and residual variances c (N, m).
        self.regressions = [
            self._descend(part, log_weight[part], mean[:, part], np.ascontiguousarray(cov[:, :, part]))
            for part in self.slices
        ]

    def _descend(
        self, part: slice, log_weight: np.ndarray, mean: np.ndarray, cov: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Fill in the coefficients of some components; return their regressions level by level."""
        d, m = mean.shape
        factor = cholesky(cov)[0]
        q = precision(triangular_inverse(factor))[:, :, None]
        log_det = 2.0 * np.log(factor[np.arange(d), np.arange(d)]).sum(axis=0)[None]
        out = []
        for size, steps, patterns, places in zip(
            self.tree.sizes[1:], self.tree.steps, self.tree.patterns[1:], self.tree.places[1:], strict=True
        ):
            below, below_det = np.empty((d, d, size, m)), np.empty((size, m))
            regression, residual = np.empty((d, size, m)), np.empty((size, m))
            for step in steps:
                j, nodes = step.column, step.nodes
                own = q[:, :, step.parents]
                row = own[j]
                pivot = row[j].copy()
                b = np.divide(row, -pivot, out=regression[:, nodes])
                here = np.multiply(row[:, None], b, out=below[:, :, nodes])
                here += own
                here[j] = here[:, j] = b[j] = 0.0
                np.divide(1.0, pivot, out=residual[nodes])
                below_det[nodes] = log_det[step.parents] + np.log(pivot)
            q, log_det = below, below_det
            out.append((regression, residual))
            if len(patterns):
                self.coefficients[patterns, :, part] = self._coefficients(
                    patterns, log_weight, mean, q[:, :, places], log_det[places]
                )
        return out

    def _coefficients(
        self,
        patterns: np.ndarray,
        log_weight: np.ndarray,
        mean: np.ndarray,
        q: np.ndarray,
        log_det: np.ndarray,
    ) -> np.ndarray:
        i, j = lower_triangle(len(mean))
        linear = _product(q, mean[:, None])
        count = self.tree.observed[patterns].sum(axis=1)[:, None]
        constant = count * LOG_2PI + log_det + (linear * mean[:, None]).sum(axis=0)
        quadratic = q[i, j] * np.where(i == j, -0.5, -1.0)[:, None, None]
        c = np.concatenate([(log_weight - 0.5 * constant)[None], linear, quadratic])
        return np.moveaxis(c, 0, 1)

    def expected(self, stats: np.ndarray) -> np.ndarray:
        """Return Σ r [1, y − μ, (y − μ)(y − μ)ᵀ] (p, M) of whole rows from each pattern's Σ r φ (P, p, M)."""
        out = np.empty(stats.shape[1:])
        for part, regressions in zip(self.slices, self.regressions, strict=True):
            out[:, part] = self._ascend(self.mean[:, part], stats[:, :, part], regressions)
        return out

    def _ascend(
        self, mean: np.ndarray, stats: np.ndarray, regressions: list[tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        tree = self.tree
        n, first, second = self._about_means(mean, stats, len(tree.sizes) - 1)
        for k in range(len(tree.sizes) - 1, 0, -1):
            above = self._about_means(mean, stats, k - 1)
            regression, residual = regressions[k - 1]
            for step in tree.steps[k - 1]:
                column, nodes = step.column, step.nodes
                b, own, weight = regression[:, nodes], second[:, :, nodes], n[nodes]
                filled = _product(own, b)
                first[column, nodes] = (b * first[:, nodes]).sum(axis=0)
                own[column] = own[:, column] = filled
                own[column, column] = (filled * b).sum(axis=0) + weight * residual[nodes]
                above[0][step.parents] += weight
                above[1][:, step.parents] += first[:, nodes]
                above[2][:, :, step.parents] += own
            n, first, second = above
        i, j = lower_triangle(len(mean))
        return np.concatenate([n, first[:, 0], second[i, j][:, 0]])

    def _about_means(
        self, mean: np.ndarray, stats: np.ndarray, level: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return Σ r [1, δ, δδᵀ] of the nodes of a level, (N, m), (d, N, m) and (d, d, N, m)."""
        (d, m), size = mean.shape, self.tree.sizes[level]
        patterns, places = self.tree.patterns[level], self.tree.places[level]
        n, first, second = np.zeros((size, m)), np.zeros((d, size, m)), np.zeros((d, d, size, m))
        if len(patterns):
            i, j = lower_triangle(d)
            own = np.ascontiguousarray(np.moveaxis(stats[patterns], 1, 0))
            here = mean[:, None] * self.tree.observed[patterns].T[:, :, None]
            shifted = own[1 : 1 + d] - own[0] * here
            n[places], first[:, places] = own[0], shifted
            packed = own[1 + d :] - shifted[i] * here[j] - here[i] * own[1 : 1 + d][j]
            second[i[:, None], j[:, None], places] = second[j[:, None], i[:, None], places] = packed
        return n, first, second


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return A b for many symmetric matrices (d, d, …) and vectors (d, …)."""
    out = a[0] * b[0]
    for k in range(1, len(a)):
        out += a[k] * b[k]
    return out
