"""Does a sampler copy its training rows? Where draws lie beside rows it has seen and rows it has not.

*With held-out rows.* If the draws owe nothing to single training rows, these and the held-out rows are alike
to them, and the row nearest to a draw is a training row as often as these are among all: half the time where
both are equally many. A draw whose nearest rows are equally near counts in part. That the density is wrong
makes no difference, because both kinds of rows come from one distribution. Labels are permuted for the
p-value: it is exact for given draws. (Meehan, Chaudhuri and Dasgupta 2020, *AISTATS*, PMLR 108, 3546, compare
distances to the training rows instead, which a density that is too narrow shortens as well.)

*Without.* A draw is a lone neighbour if it is nearer to its nearest training row than any other training row.
How often that is so among rows of one distribution depends, where the density is even, on the dimension that
they fill alone: from 2/3 in one dimension to 1/2 in many (Schilling 1986, *Ann. Prob.* 14, 388). It is found
out by asking the same of training rows in places as crowded: copies and near copies are lone neighbours
nearly always. The p-value is that of a normal approximation.

Any fit leans to its rows: a Gaussian of ten columns fitted to 1,000 rows has draws as if 1 or 2 % were
copies, and the exact test begins to notice. That is no memory, so less than 5 % is not called copying.

Beside it stands the share of draws that are equal to a training row, which recorded precision alone brings
about: for rows that are no draws (held-out ones, or each training row among the others) it is shown too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import ndtr, ndtri

from ..core.fold import row_hashes
from ..errors import DataError
from .curves import p_text, percent

__all__ = ["Memorisation", "memorisation"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

PERMUTATIONS = 999
FEWEST_DRAWS, MOST_DRAWS = 200, 2_000
MOST_ROWS = 500_000  # training rows, and held-out ones: a copy of one that is left out is not seen
DISTANCES = 5e7  # in one search, from which the number of draws follows: a second
LEAST = 20
LEAN = 0.05  # of the draws may seem to be copies
PERCENTILES = (1, 5, 50, 95)
CROWD, CELLS = 10, 10  # the neighbour that tells how crowded it is, and classes of that
AT_A_TIME = 2**22  # distances: 34 MB


@dataclass(frozen=True, eq=False)
class Memorisation:
    """How near draws are to the training rows.

    Attributes
    ----------
    method : {"held-out rows", "training rows"}
        What the draws were judged by; see the module.
    share : float
        Of the draws: those nearest to a training row rather than a held-out one, or lone neighbours.
    expected, error, limit : float
        The share where nothing is copied, its standard error, and what it exceeds with probability ``level``
        if one draw in twenty is a copy: a fit leans as far to its rows.
    p_value : float
        One-sided: how often chance gives so large a share where nothing is copied.
    equal, equal_expected : float
        Share of the draws that are equal to a training row; and of rows that are no draws, which recorded
        precision alone explains.
    distances, distances_expected : dict of int to float
        Percentiles of the distance to the nearest training row, of the draws and of rows that are no draws;
        columns in units of their interquartile range.
    draws, train, heldout : int
        How many were looked at (heldout 0: none were given).
    given : tuple of int
        How many of each came: from very many some are taken at random.
    level : float
    """

    method: str
    share: float
    expected: float
    error: float
    limit: float
    p_value: float
    equal: float
    equal_expected: float
    distances: dict[int, float]
    distances_expected: dict[int, float]
    draws: int
    train: int
    heldout: int
    given: tuple[int, int, int]
    level: float

    @property
    def copied(self) -> bool:
        """Whether more draws are training rows, or nearly, than chance and a fit's lean explain."""
        return self.share > self.limit

    @property
    def copied_share(self) -> float:
        """The share of draws that are copies or nearly so, by the excess over what is expected."""
        return _excess(self.share, self.expected)

    @property
    def detectable(self) -> float:
        """The share of copies among the draws from which on it shows, with so many rows."""
        return _excess(self.limit, self.expected)

    @property
    def sentence(self) -> str:
        """Whether the draws are copies, what chance would make of it, and what would have shown."""
        what = {
            "held-out rows": "is a training row rather than a held-out one",
            "training rows": "has no other training row as near",
        }[self.method]
        text = (
            f"The row nearest to a draw {what} in {percent(self.share)} of {self.draws:,} draws (without "
            f"copies {percent(self.expected)}, by chance and the fit up to {percent(self.limit)}; p "
            f"{p_text(self.p_value, '= ')})"
        )
        equal = (
            f" {percent(self.equal)} of the draws are equal to a training row; of rows that are no draws "
            f"{percent(self.equal_expected)}."
        )
        if self.copied:
            return f"{text}: about {percent(self.copied_share)} of the draws are copies, or nearly.{equal}"
        return f"{text}: no copies found; {percent(self.detectable)} of the draws would have shown.{equal}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "method": self.method,
            "share": self.share,
            "expected": self.expected,
            "error": self.error,
            "limit": self.limit,
            "p_value": self.p_value,
            "copied": self.copied,
            "copied_share": self.copied_share,
            "detectable": self.detectable,
            "equal": self.equal,
            "equal_expected": self.equal_expected,
            "distance_percentiles": {str(k): v for k, v in self.distances.items()},
            "distance_percentiles_expected": {str(k): v for k, v in self.distances_expected.items()},
            "draws": self.draws,
            "train": self.train,
            "heldout": self.heldout,
            "given": list(self.given),
            "level": self.level,
            "sentence": self.sentence,
        }


def memorisation(
    draws: Floats,
    train: Floats,
    heldout: Floats | None = None,
    *,
    rng: np.random.Generator,
    level: float = 0.05,
) -> Memorisation:
    """Return how near draws, or the rows of a synthetic table, are to the rows that a sampler was made from.

    Parameters
    ----------
    draws, train : ndarray (m, d), (n, d)
        Finite; at least 20 rows each. Draws at the precision that the rows are recorded in.
    heldout : ndarray (k, d), optional
        Rows of the same source that the sampler has not seen, at least 20; as many as ``train`` is best. They
        must not be taken out of ``train`` afterwards: the sampler has seen those.
    rng : Generator
        Takes rows where there are very many (500,000), draws (2,000, or 200 beside a quarter of a million
        rows), and permutes labels.
    level : float
        What ``limit`` and ``copied`` belong to.

    Raises
    ------
    DataError
        For fewer rows, other columns, NaN or infinity.
    """
    kinds = {"draws": draws, "training rows": train} | ({} if heldout is None else {"held-out rows": heldout})
    for name, rows in kinds.items():
        if rows.ndim != 2 or rows.shape[1] != train.shape[1]:
            raise DataError(f"{name}: expected {train.shape[1]} columns; got an array of shape {rows.shape}.")
        if len(rows) < LEAST:
            raise DataError(f"{name}: at least {LEAST} are needed; {len(rows)} came.")
        if not np.isfinite(rows).all():
            raise DataError(f"{name}: all values must be finite; NaN or infinity came.")
    given = (len(draws), len(train), 0 if heldout is None else len(heldout))
    equal = _equal(draws, train)
    usual = _equal_to_others(train) if heldout is None else _equal(heldout, train)
    train = _some(train, MOST_ROWS, rng)
    heldout = None if heldout is None else _some(heldout, MOST_ROWS, rng)
    searched = len(train) + (0 if heldout is None else len(heldout))
    draws = _some(draws, max(FEWEST_DRAWS, min(MOST_DRAWS, int(DISTANCES / searched))), rng)
    scaled = _scaled(draws, train, heldout)
    judged = _lone(*scaled[:2], rng, level) if heldout is None else _nearest_label(*scaled, rng, level)
    return Memorisation(
        **judged,
        equal=equal,
        equal_expected=usual,
        draws=len(draws),
        train=len(train),
        heldout=given[2] and len(scaled[2]),
        given=given,
        level=level,
    )


def _with_lean(limit: float, expected: float) -> float:
    return min(1.0, limit + LEAN * (1.0 - expected))


def _excess(share: float, expected: float) -> float:
    return max(0.0, (share - expected) / (1.0 - expected)) if expected < 1.0 else 0.0


def _some(x: Floats, most: int, rng: np.random.Generator) -> Floats:
    return x if len(x) <= most else x[np.sort(rng.choice(len(x), most, replace=False))]


def _scaled(draws: Floats, train: Floats, heldout: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Return all in units of the rows' interquartile ranges, whatever the draws are."""
    rows = train if heldout is None else np.concatenate([train, heldout])
    size = np.abs(rows).max(axis=0)
    size = np.where(size > 0.0, size, 1.0)
    unit = rows / size
    spread = np.ptp(np.quantile(unit, [0.25, 0.75], axis=0), axis=0)
    spread = np.where(spread > 0.0, spread, np.std(unit, axis=0))
    spread = np.where(spread > 0.0, np.maximum(spread, 1e-100), 1.0)
    with np.errstate(over="ignore"):
        far = np.clip(draws / size, -1e50, 1e50)  # a draw may lie anywhere, but its square must be a number
    rest = unit[len(train) :]
    return far / spread, unit[: len(train)] / spread, rest / spread


# ---------------------------------------------------------------- with held-out rows


def _nearest_label(
    draws: Floats, train: Floats, heldout: Floats, rng: np.random.Generator, level: float
) -> dict[str, Any]:
    rows = np.concatenate([train, heldout])
    held = np.zeros(len(rows))  # how many draws have their nearest row here
    to_train = np.empty(len(draws))
    for at, distance in _tiles(draws, rows):
        to_train[at : at + len(distance)] = distance[:, : len(train)].min(axis=1)
        ties = distance == distance.min(axis=1, keepdims=True)
        draw, place = np.nonzero(ties)
        np.add.at(held, place, 1.0 / ties.sum(axis=1)[draw])
    held /= len(draws)
    labels = np.arange(len(rows)) < len(train)
    share = float(held[labels].sum())
    used = held[held > 0.0]  # the other rows have no say; of these so many are training rows by chance
    many = rng.hypergeometric(len(train), len(heldout), len(used), size=PERMUTATIONS)
    permuted = np.array([used @ rng.permutation(np.arange(len(used)) < k) for k in many])
    return {
        "method": "held-out rows",
        "share": share,
        "expected": len(train) / len(rows),
        "error": float(permuted.std()),
        "limit": _with_lean(float(np.quantile(permuted, 1.0 - level)), len(train) / len(rows)),
        "p_value": float((1 + np.count_nonzero(permuted >= share - 1e-12)) / (PERMUTATIONS + 1)),
        "distances": _percentiles(to_train),
        "distances_expected": _percentiles(_nearest(_some(heldout, len(draws), rng), train)[0]),
    }


def _percentiles(distance: Floats) -> dict[int, float]:
    return dict(zip(PERCENTILES, np.percentile(distance, PERCENTILES).tolist(), strict=True))


# ---------------------------------------------------------------- without


def _lone(draws: Floats, train: Floats, rng: np.random.Generator, level: float) -> dict[str, Any]:
    own = np.sort(rng.choice(len(train), min(len(train), max(FEWEST_DRAWS, len(draws))), replace=False))
    far, near, around = _nearest(draws, train)
    usual_far, usual_near, usual_around = _nearest(train[own], train, own[:, None])
    lone = _nearer(far, _nearest(train[near], train, near[:, None])[0])
    without = np.stack([usual_near, own], axis=1)  # a row cannot be its own neighbour's other neighbour
    usual = _nearer(usual_far, _nearest(train[usual_near], train, without)[0])
    share = float(lone.mean())
    # Draws are held against training rows in places as crowded as theirs: where the density falls off, fewer
    # rows are lone neighbours, and a density that is too narrow has its draws elsewhere.
    edges = np.quantile(usual_around, np.arange(1, CELLS) / CELLS)
    cell, usual_cell = np.searchsorted(edges, around), np.searchsorted(edges, usual_around)
    weight = np.bincount(cell, minlength=CELLS) / len(draws)
    many = np.maximum(np.bincount(usual_cell, minlength=CELLS), 1)
    rate = np.bincount(usual_cell, weights=usual, minlength=CELLS) / many
    rate = np.where(np.bincount(usual_cell, minlength=CELLS) > 0, rate, usual.mean())
    expected = float(weight @ rate)
    # Two rows that are each other's nearest count twice among the training rows: twice the variance at most.
    noise = np.maximum(rate * (1.0 - rate), 0.5 / many)
    error = math.sqrt(float((weight * noise).sum()) / len(draws) + 2.0 * float(weight**2 @ (noise / many)))
    return {
        "method": "training rows",
        "share": share,
        "expected": expected,
        "error": error,
        "limit": _with_lean(expected - float(ndtri(level)) * error, expected),
        "p_value": float(ndtr((expected - share) / error)),
        "distances": _percentiles(far),
        "distances_expected": _percentiles(usual_far),
    }


def _nearer(one: Floats, other: Floats) -> Floats:
    return np.where(one < other, 1.0, np.where(one == other, 0.5, 0.0))


# ---------------------------------------------------------------- distances and equality


def _tiles(a: Floats, b: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield (first row of a, distances of some rows of a to all of b)."""
    tall = max(1, AT_A_TIME // len(b))
    for at in range(0, len(a), tall):
        yield at, cdist(a[at : at + tall], b)


def _nearest(a: Floats, b: Floats, without: Places | None = None) -> tuple[Floats, Places, Floats]:
    """Return for each row of a its distance to the nearest row of b, which that is, and the distance to the
    tenth: how crowded it is there.

    ``without`` (m, q): rows of b that do not count.
    """
    distance, place, around = np.empty(len(a)), np.empty(len(a), dtype=np.intp), np.empty(len(a))
    for at, tile in _tiles(a, b):
        here, some = np.arange(len(tile)), slice(at, at + len(tile))
        if without is not None:
            tile[here[:, None], without[some]] = np.inf
        place[some] = tile.argmin(axis=1)
        distance[some] = tile[here, place[some]]
        around[some] = np.partition(tile, CROWD - 1, axis=1)[:, CROWD - 1]
    return distance, place, around


def _equal(rows: Floats, train: Floats) -> float:
    """Return the share of rows that are equal to a training row (by a 64-bit hash of each)."""
    return float(np.isin(row_hashes(rows), row_hashes(train)).mean())


def _equal_to_others(train: Floats) -> float:
    """Return the share of training rows that are equal to another one."""
    _, inverse, counts = np.unique(row_hashes(train), return_inverse=True, return_counts=True)
    return float((counts[inverse] > 1).mean())
