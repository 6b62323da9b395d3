"""Models and rows -> counts -> the curves of a check: one per column, and the rank of the log density."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..errors import UnsupportedError
from ..maths.energy import MOST_PAIRED, Energy, energy_test
from ..threads import one_blas_thread
from ..validation import Columns, Rows, restore, rows_to_fit, rows_to_query
from .calibration import Band, band, pit_counts, rank_counts

__all__ = [
    "CalibrationCurve",
    "Tally",
    "cells",
    "comparable",
    "curve_of",
    "log_density",
    "p_text",
    "percent",
]

Floats = NDArray[np.float64]

ROUNDING = 1e-9
MOST_TOLD = 5_000  # rows that are kept, and as many draws, to be compared as two samples


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """One curve: the share of rows below each quantile of the model, beside the share expected there.

    Attributes
    ----------
    name : str
        The column's name, or "log density" for the rank curve.
    method : {"distribution function", "draws"}
        How the rows' places in the model's distribution were found.
    statistic : float
        The largest gap between the observed and the expected share: an effect size in [0, 1].
    gap, at, observed, expected : float
        The gap to look at (the largest that leaves the band, or of all, cuts between different values
        preferred): observed minus expected share of rows below ``at`` (data units; nats for the rank curve).
    p_value : float or None
        For this curve alone; None where there is no test.
    inside : bool
        Whether the curve stays in its band everywhere.
    half_width : float
        The half width of the band at its widest: what gap the number of rows can show.
    z, share, low, high, x : ndarray (K,), K <= 200
        The curve: expected share, observed share, the band of the observed share, and the value there.
    """

    name: str
    method: str
    statistic: float
    gap: float
    at: float
    observed: float
    expected: float
    p_value: float | None
    inside: bool
    half_width: float
    z: Floats
    share: Floats
    low: Floats
    high: Floats
    x: Floats

    def share_at(self, z: float) -> float:
        """Return the share of the rows below the model's quantile z, between points of the grid by a line."""
        ends = np.concatenate([[0.0], self.z, [1.0]]), np.concatenate([[0.0], self.share, [1.0]])
        return float(np.interp(z, *ends))

    @property
    def sentence(self) -> str:
        """Where the curve departs most, in words; no verdict."""
        side, observed, expected = "below", self.observed, self.expected
        if expected > 0.5:
            side, observed, expected = "above", 1.0 - observed, 1.0 - expected
        where = f"{side} {self.name} = {self.at + 0.0:.4g}"  # + 0.0: no -0
        if math.isinf(self.at):
            where = "where it calls rows impossible" if side == "below" else "where it calls rows possible"
        word = "more" if observed > expected else "fewer"
        return (
            f"{word} rows than the model expects {where} ({percent(observed)} of them, "
            f"expected {percent(expected)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; numbers that are not finite are None."""
        arrays = {key: [_plain(v) for v in getattr(self, key)] for key in ("z", "share", "low", "high", "x")}
        return {
            "name": self.name,
            "method": self.method,
            "statistic": self.statistic,
            "gap": self.gap,
            "at": _plain(self.at),
            "observed": self.observed,
            "expected": self.expected,
            "p_value": self.p_value,
            "inside": self.inside,
            "half_width": self.half_width,
            "sentence": self.sentence,
            "curve": arrays,
        }


class Tally:
    """Counts of rows below each point of each curve's grid, added up over the models that judge them."""

    def __init__(self, columns: Columns, n: int, draws: int) -> None:
        self.columns, self.n, self.draws = columns, n, draws
        self.bands: list[Band] = []  # one per column, then one for the rank; known from the first judge on
        self.counts: list[NDArray[np.int64]] = []
        self.seen: list[list[Floats]] = []  # the values behind each curve
        self.pairs: list[tuple[Floats, Floats]] = []  # some rows of each part, and as many draws
        self.impossible = 0  # rows of log density -inf

    def add(self, judge: Density, x: Floats, rng: np.random.Generator) -> None:
        """Let a model judge rows that it has not seen."""
        d = len(self.columns)
        cdfs = [_distribution_function(judge, j) for j in range(d)]
        if not self.bands:
            exact = [cdf is not None for cdf in cdfs] + [False] * (judge.kind != "none")
            self.bands = [band(self.n, None if is_exact else self.draws) for is_exact in exact]
            self.counts = [np.zeros(len(b.z), dtype=np.int64) for b in self.bands]
            self.seen = [[] for _ in self.bands]
        m = math.ceil(self.draws * len(x) / self.n)
        plain = replace(self.columns, container="array", levels=None)
        drawn = np.asarray(restore(draws_of(judge, m, rng), plain), dtype=float)
        self._pair(x, drawn, rng.spawn(1)[0])
        for j, cdf in enumerate(cdfs):
            if self.bands[j].draws is None and cdf is not None:
                counts = pit_counts(x[:, j], cdf, self.bands[j].z, rng, cells(self.columns, j))
            else:
                counts = rank_counts(x[:, j], drawn[:, j], self.bands[j].z, rng)
            self._count(j, counts, x[:, j])
        if len(self.bands) > d:
            height, heights = comparable(log_density(judge, x), log_density(judge, drawn))
            self.impossible += int(np.isneginf(height).sum())
            self._count(d, rank_counts(height, heights, self.bands[d].z, rng), height)

    def _count(self, j: int, counts: NDArray[np.int64], values: Floats) -> None:
        self.counts[j] = self.counts[j] + counts
        self.seen[j].append(values)

    def _pair(self, x: Floats, drawn: Floats, rng: np.random.Generator) -> None:
        """Keep a share of the rows, and as many draws, to compare them as two samples."""
        share = min(1.0, MOST_TOLD / self.n)
        size = min(max(1, int(share * len(x))), len(drawn))
        # At random on both sides: rows may be sorted, and some samplers draw one component after another.
        self.pairs.append((x[rng.permutation(len(x))[:size]], drawn[rng.permutation(len(drawn))[:size]]))

    def samples(self) -> tuple[Floats, Floats]:
        """Return rows (n, d) that were judged and as many draws of their judges; of very many, some."""
        x, drawn = (np.concatenate(part) for part in zip(*self.pairs, strict=True))
        return x, drawn

    def energy(self, level: float, rng: np.random.Generator) -> Energy | None:
        """Return the energy distance of rows and draws in all columns together; None for a single column."""
        x, drawn = self.samples()
        if len(self.columns) < 2 or len(x) < 2:
            return None
        if len(x) > MOST_PAIRED:
            x, drawn = (part[rng.choice(len(x), MOST_PAIRED, replace=False)] for part in (x, drawn))
        with one_blas_thread():
            return energy_test(x, drawn, rng, level)

    def curves(
        self, column_level: float, rank_level: float, *, test: bool
    ) -> tuple[tuple[CalibrationCurve, ...], CalibrationCurve | None]:
        """Return the columns' curves and the rank's; each band holds with probability 1 - its level."""
        d = len(self.columns)
        names = [self.columns.label(j) for j in range(d)] + ["log density"]
        levels = [column_level] * d + [rank_level]
        made = []
        for j, b in enumerate(self.bands):
            values = np.sort(np.concatenate(self.seen[j]))
            made.append(_curve(names[j], b, self.counts[j], values, levels[j], test))
        return tuple(made[:d]), made[d] if len(made) > d else None


def _curve(
    name: str, b: Band, counts: NDArray[np.int64], values: Floats, level: float, test: bool
) -> CalibrationCurve:
    """Return the curve of these counts; ``values`` are the rows' own, ascending."""
    low, high = b.limits(level)
    p = b.p_value(counts) if test else None
    method = "draws" if b.draws else "distribution function"
    return curve_of(name, method, b.z, counts, (low / b.n, high / b.n), values, p)


def curve_of(
    name: str,
    method: str,
    z: Floats,
    counts: NDArray[Any],
    limits: tuple[Floats, Floats],
    values: Floats,
    p: float | None,
) -> CalibrationCurve:
    """Return the curve of counts (K,) of rows with u <= z.

    Parameters
    ----------
    limits : (low, high), ndarray (K,) each
        The band of the shares.
    values : ndarray (n,)
        What the curve is about: the rows' values in the column, or their log densities; ascending.
    p : float or None
    """
    n, (low, high) = len(values), limits
    share, counts = counts / n, np.rint(counts).astype(np.int64)
    gaps = share - z
    outside = (share < low - ROUNDING) | (share > high + ROUNDING)  # a curve may be what its band is made of
    # A cut between equal values is a random one: it can be pointed at only if no other is nearly as telling.
    clean = values[np.clip(counts - 1, 0, n - 1)] < values[np.clip(counts, 0, n - 1)]
    telling = np.abs(gaps) * np.where(clean, 1.0, 0.5)
    k = int(np.argmax(np.where(outside, telling, -1.0) if outside.any() else telling))
    # Too many rows lie up to the last of them; too few lie below the first of the others.
    x = values[np.clip(counts - (gaps > 0), 0, n - 1)]
    return CalibrationCurve(
        name=name,
        method=method,
        statistic=float(np.abs(gaps).max()),
        gap=float(gaps[k]),
        at=float(x[k]),
        observed=float(share[k]),
        expected=float(z[k]),
        p_value=p,
        inside=not outside.any(),
        half_width=float((high - low).max() / 2.0),
        z=z,
        share=share,
        low=low,
        high=high,
        x=x,
    )


def log_density(model: Density, x: Floats) -> Floats:
    """Return the log density of rows (n, d) in the order of the model's columns."""
    return model.log_density(Rows(x, model.params_.columns))


def draws_of(model: Density, n: int, seed: Any) -> Floats:
    """Return n draws (n, d) as numbers that could be recorded; of texts, those of their levels."""
    sample, columns = model.sample(n, random_state=seed, exact=True), model.params_.columns
    if columns.levels is None:
        return model._recordable(model.params_, rows_to_fit(sample).values)
    return rows_to_query(sample, columns, who=type(model).__name__)


def comparable(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Return log densities without the last digits, which depend on the batch: equal rows must tie."""
    both = np.concatenate([one, other])
    size = np.abs(both[np.isfinite(both)])
    step = 1e-9 * max(1.0, float(np.median(size)) if len(size) else 1.0)
    return np.rint(one / step) * step, np.rint(other / step) * step


def _distribution_function(model: Density, j: int) -> Callable[[Floats], Floats] | None:
    """Return the distribution function of column j, where the model has one."""
    if model.kind == "none":
        return None
    try:
        part = model if len(model.params_.units) == 1 else model.marginal([j])
        columns = part.params_.columns

        def cdf(x: Floats) -> Floats:
            return part.cdf(Rows(x[:, None], columns))

        cdf(part.params_.units.shift)
    except (UnsupportedError, NotImplementedError):
        return None
    return cdf


def cells(columns: Columns, j: int) -> Callable[[Floats], tuple[Floats, Floats]] | None:
    """Return the cells that recorded values of column j stand for; None for a continuous column."""
    decimals, dtype = columns.decimals[j], np.dtype(columns.dtypes[j])
    if decimals is None:
        return None
    half = 0.5 * 10.0**-decimals
    least, most = -math.inf, math.inf
    if dtype.kind == "b":
        least, most = 0.0, 1.0
    elif dtype.kind in "iu":
        least, most = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)

    def ends(x: Floats) -> tuple[Floats, Floats]:
        # What lies beyond the range of a dtype is recorded as its end, so the cells there are open.
        return np.where(x <= least, -math.inf, x - half), np.where(x >= most, math.inf, x + half)

    return ends


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def percent(share: float) -> str:
    """Return a share of the rows in per cent, two digits."""
    return f"{100.0 * share:.2g} %" if share < 0.0995 else f"{100.0 * share:.0f} %"


def p_text(value: float, sign: str = "") -> str:
    """Return a p-value as text; below what the simulation resolves, only that."""
    return "< 0.0001" if value < 1e-4 else f"{sign}{value:.2g}"
