"""The sliced Wasserstein distance: how far rows must be moved along a line to turn one sample into the other,
on average over lines; and along which line most.

    W(P, Q) = ∫ |F(t) − G(t)| dt  in one column;    SW = the mean of W over directions θ, of θ·X and θ·Y

(Bonneel, Rabin, Peyré and Pfister 2015, *J. Math. Imaging Vis.* 51, 22; here of order 1, so that its unit is
a length). With the rows sorted along θ, F − G is a running sum of labels, 1/n or −1/m, whatever the labels
are: permutations need no second sort, and their p-value is exact.

The direction that differs most is found by climbing (max-sliced: Deshpande et al. 2019, *CVPR*, 10648): where
the order of rows is fixed W is linear in θ, so the next direction is the gradient itself, Σ |F − G| times the
step from each row to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pofx.maths.two_sample.pooled import PERMUTATIONS, Floats, Pooled, pooled, rows_needed, tail_p
from pofx.threads import map_ordered

__all__ = ["Sliced", "sliced_test"]

LINES = 32  # random directions, beside the columns themselves (up to as many)
STARTS, CLIMB = 8, 40  # lines to climb from, and steps at most
AT_A_TIME = 111  # permutations summed together: three thousand rows of them take 3 MB


@dataclass(frozen=True, eq=False)
class Sliced:
    """What the sliced Wasserstein distance says of two samples.

    Attributes
    ----------
    distance : float
        SW, in pooled interquartile ranges of the columns: never 0, because samples differ.
    limit : float
        What permutations exceed with probability ``level``, in the same units.
    chance : float
        The mean of the permutations.
    p_value : float
        Of the permutation test.
    direction : ndarray (d,)
        Loadings of the columns, each in units of its spread, of the line along which the samples lie farthest
        apart; of length one, the largest loading positive.
    along : float
        The distance along that line. It was looked for, so chance makes it larger than ``limit``: no test.
    shift : float
        Mean of the first sample minus mean of the second along that line, the same units: of the size of
        ``along`` where one sample is displaced as a whole, near 0 where it is wider or of another shape.
    n, m, n_given, m_given : int
        Rows compared, and rows that came.
    size : str
        The same in words.
    """

    distance: float
    limit: float
    chance: float
    p_value: float
    direction: Floats
    along: float
    shift: float
    n: int
    m: int
    n_given: int
    m_given: int
    size: str

    @property
    def inside(self) -> bool:
        """Whether the samples differ no more than chance would explain."""
        return self.distance <= self.limit

    @property
    def rows_needed(self) -> int | None:
        """From about how many rows of each sample on so large a difference shows; None while it does not."""
        return None if self.inside else rows_needed(self.n, self.m, self.limit / self.distance)

    @property
    def sentence(self) -> str:
        """How far apart the samples are, what chance would make of it, and what so many rows can show."""
        text = (
            f"Along a line, rows of one sample must be moved by {self.distance:.2g} interquartile ranges on "
            f"average to become the other (chance: up to {self.limit:.2g}; sliced Wasserstein distance, "
            f"{self.size})"
        )
        if self.rows_needed is None:
            return f"{text}. Less than that needs more rows: four times as many show half as much."
        return f"{text}. So large a difference shows from about {self.rows_needed:,} rows of each on."

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "distance": self.distance,
            "limit": self.limit,
            "inside": self.inside,
            "chance": self.chance,
            "p_value": self.p_value,
            "direction": self.direction.tolist(),
            "along": self.along,
            "shift": self.shift,
            "rows": [self.n, self.m],
            "rows_given": [self.n_given, self.m_given],
            "rows_needed": self.rows_needed,
            "sentence": self.sentence,
        }


def sliced_test(x: Floats, y: Floats, rng: np.random.Generator, level: float = 0.05) -> Sliced:
    """Compare two samples by their sliced Wasserstein distance, the columns in units of their pooled spread.

    Parameters
    ----------
    x, y : ndarray (n, d), (m, d)
        Finite; at least two rows each. Of more than 1,500 rows so many are taken at random.
    rng : Generator
        Draws the directions and the permutations.
    level : float
        What ``limit`` belongs to.

    Raises
    ------
    DataError
        For fewer rows, other columns, NaN or infinity.
    """
    both = pooled(x, y, rng)
    lines = _lines(both.z.shape[1], rng)
    labels = np.concatenate([(np.arange(both.n + both.m) < both.n)[None], both.shuffled(PERMUTATIONS, rng)])
    apart = np.zeros((len(lines), len(labels)))
    for i, one in enumerate(map_ordered(lambda line: _along(both, line, labels), lines)):
        apart[i] = one
    mean = apart.mean(axis=0)
    farthest = np.argsort(-apart[:, 0], kind="stable")[:STARTS]
    direction, along = max((_climb(both, lines[i]) for i in farthest), key=lambda found: found[1])
    t = both.z @ direction
    return Sliced(
        distance=float(mean[0]),
        limit=float(np.quantile(mean[1:], 1.0 - level)),
        chance=float(mean[1:].mean()),
        p_value=tail_p(float(mean[0]), mean[1:]),
        direction=direction,
        along=along,
        shift=float(t[: both.n].mean() - t[both.n :].mean()),
        n=both.n,
        m=both.m,
        n_given=both.n_given,
        m_given=both.m_given,
        size=both.size,
    )


def _lines(d: int, rng: np.random.Generator) -> Floats:
    """Return directions (L, d) of length one: some columns, and random ones."""
    if d == 1:
        return np.ones((1, 1))
    axes = np.eye(d)[rng.permutation(d)[:LINES]]
    random = rng.standard_normal((LINES, d))
    return np.concatenate([axes, random / np.linalg.norm(random, axis=1, keepdims=True)])


def _along(both: Pooled, line: Floats, labels: np.ndarray) -> Floats:
    """Return W along one line for each labelling (b, n + m)."""
    t = both.z @ line
    order = np.argsort(t, kind="stable")
    step = np.diff(t[order])
    weight = 1.0 / both.n + 1.0 / both.m
    # Of the first k rows c belong to x: F − G = c/n − (k − c)/m.
    expected = np.arange(1, len(t)) / both.m
    out = np.empty(len(labels))
    for at in range(0, len(labels), AT_A_TIME):
        some = slice(at, at + AT_A_TIME)
        count = np.cumsum(labels[some][:, order[:-1]], axis=1, dtype=np.float64)
        count *= weight
        count -= expected
        out[some] = np.abs(count, out=count) @ step
    return out


def _climb(both: Pooled, line: Floats) -> tuple[Floats, float]:
    """Return the best direction met on the way up from ``line``, and W along it."""
    mine = np.arange(both.n + both.m) < both.n
    steps = np.arange(1, both.n + both.m) / both.m
    best, height, slope = line, -1.0, line
    for _ in range(CLIMB):
        order = np.argsort(both.z @ line, kind="stable")
        gap = np.abs(np.cumsum(mine[order])[:-1] * (1.0 / both.n + 1.0 / both.m) - steps)
        here = gap @ np.diff(both.z[order], axis=0)
        reached = float(line @ here)
        if reached > height * (1.0 + 1e-9):
            best, height, slope = line, reached, here
        elif np.abs(line - best).max() < 1e-3:
            break
        # From a new height on to its gradient; where that was too far, half the way back.
        towards = slope / (float(np.linalg.norm(slope)) or 1.0) if best is line else best + line
        line = towards / (float(np.linalg.norm(towards)) or 1.0)
    sign = 1.0 if best[int(np.argmax(np.abs(best)))] >= 0.0 else -1.0
    return best * sign, max(height, 0.0)
