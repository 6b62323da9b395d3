r"""Bumps on bounded and periodic columns: what leaves at one end comes back in.

A bounded column reflects: p(x) = Σ_images f(image of x) over x itself, 2a - x, 2b - x and their shifts by
2(b - a); a periodic column wraps: x + kP. The folded density integrates to one exactly over the bounds (over
one period), has the bumps' own smoothness inside and slope zero at a bound.

References
----------
B. W. Silverman, *Density Estimation for Statistics and Data Analysis*, Chapman & Hall 1986, section 2.10.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.maths.kernel_sums.bumps import Bumps

__all__ = ["Edges"]

Floats = NDArray[np.float64]
Image = tuple[float, float]  # sign and shift: x -> sign x + shift

MOST_SHELLS = 400


@dataclass(frozen=True, eq=False)
class Edges:
    """Where columns end or repeat.

    Attributes
    ----------
    lower, upper : (d,) float64
        Bounds; infinite where there is none. A periodic column spans one period from lower to upper.
    periodic : (d,) bool
    """

    lower: Floats
    upper: Floats
    periodic: NDArray[np.bool_]

    @classmethod
    def free(cls, d: int) -> Edges:
        """Return those of d columns without any."""
        return cls(np.full(d, -math.inf), np.full(d, math.inf), np.zeros(d, dtype=bool))

    def select(self, columns: list[int]) -> Edges:
        """Return those of some columns."""
        return Edges(self.lower[columns], self.upper[columns], self.periodic[columns])

    @property
    def none(self) -> bool:
        """Whether no column has any."""
        return bool(np.isinf(self.lower).all() and np.isinf(self.upper).all())

    @property
    def folded_columns(self) -> list[int]:
        """The columns that have bounds or a period."""
        return np.flatnonzero(np.isfinite(self.lower) | np.isfinite(self.upper)).tolist()

    def outside(self, x: Floats) -> NDArray[np.bool_]:
        """Return which rows (m, d) lie outside the bounds; a periodic column has no outside."""
        beyond = (x < self.lower) | (x > self.upper)
        return np.asarray((beyond & ~self.periodic).any(axis=1))

    def wrap(self, x: Floats) -> Floats:
        """Return the rows (m, d) with periodic columns brought into their one period."""
        if not self.periodic.any():
            return x
        x = x.copy()
        for j in np.flatnonzero(self.periodic):
            span = self.upper[j] - self.lower[j]
            inside = (x[:, j] >= self.lower[j]) & (x[:, j] <= self.upper[j])
            x[~inside, j] = self.lower[j] + np.mod(x[~inside, j] - self.lower[j], span)
        return x

    def fold(self, x: Floats) -> Floats:
        """Return draws (n, d) of the plain bumps, brought inside: reflected or wrapped."""
        x = x.copy()
        for j in self.folded_columns:
            low, high = float(self.lower[j]), float(self.upper[j])
            if self.periodic[j]:
                x[:, j] = low + np.mod(x[:, j] - low, high - low)
            elif math.isinf(high):
                x[:, j] = low + np.abs(x[:, j] - low)
            elif math.isinf(low):
                x[:, j] = high - np.abs(x[:, j] - high)
            else:
                span = high - low
                beyond = np.mod(x[:, j] - low, 2.0 * span)
                x[:, j] = low + np.where(beyond > span, 2.0 * span - beyond, beyond)
        return np.clip(x, self.lower, self.upper)  # against the rounding of the sums above

    def images(self, j: int, shell: int) -> list[Image]:
        """Return the images of column j in one shell: 0 holds x itself, farther shells lie farther off."""
        low, high = float(self.lower[j]), float(self.upper[j])
        if math.isinf(low) and math.isinf(high):
            return [(1.0, 0.0)] if shell == 0 else []
        if math.isinf(low) or math.isinf(high):
            edge = low if math.isfinite(low) else high
            return [[(1.0, 0.0)], [(-1.0, 2.0 * edge)]][shell] if shell < 2 else []
        span = high - low
        if self.periodic[j]:
            return [(1.0, 0.0)] if shell == 0 else [(1.0, shell * span), (1.0, -shell * span)]
        if shell == 0:
            return [(1.0, 0.0)]
        if shell % 2:  # reflections about either end, then about those of the images
            k = shell // 2
            return [(-1.0, 2.0 * low - 2.0 * k * span), (-1.0, 2.0 * high + 2.0 * k * span)]
        return [(1.0, shell * span), (1.0, -shell * span)]

    def shells(self) -> Iterator[tuple[int, list[tuple[Image, ...]]]]:
        """Yield products of images over all columns, shell after shell; the first is x itself."""
        d = len(self.lower)
        for shell in range(MOST_SHELLS):
            found = []
            for levels in itertools.product(range(shell + 1), repeat=len(self.folded_columns)):
                if max(levels, default=0) != shell:
                    continue
                by_column = dict(zip(self.folded_columns, levels, strict=True))
                found += list(itertools.product(*(self.images(j, by_column.get(j, 0)) for j in range(d))))
            if not found and shell > 1:
                return
            yield shell, found


def reach_of(bumps: Bumps, x: Floats) -> Floats:
    """Return the log of the most that all bumps can add at each row: by its distance from their box."""
    low, high = bumps.points.min(axis=0), bumps.points.max(axis=0)
    gap = np.maximum(np.maximum(low - x, x - high), 0.0) / bumps.bandwidth
    widest = 1.0 if bumps.factors is None else float(bumps.factors.max())
    narrowest = 1.0 if bumps.factors is None else float(bumps.factors.min())
    heights = 0.0 if bumps.log_weights is None else float(np.logaddexp.reduce(bumps.log_weights))
    if bumps.log_weights is None:
        heights = math.log(bumps.n)
    most = heights - bumps.d * math.log(narrowest)
    if bumps.gaussian:
        with np.errstate(over="ignore"):
            return most - 0.5 * (gap * gap).sum(axis=1) / widest**2
    inside = (gap <= bumps.kernel.radius * widest * (1.0 + 1e-12)).all(axis=1)
    peak = bumps.d * float(bumps.kernel.log_density(0.0) - bumps.kernel.log_norm)
    return np.where(inside, most + peak, -math.inf)
