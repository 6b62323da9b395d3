"""What the number of columns does to the rows: how many dimensions they fill, how far apart they are, and
how much of a histogram stays empty.

Distances are between columns divided by their standard deviations. Rounded columns are spread evenly over
their recorded steps first: on a lattice the nearest rows are all one step away, which says nothing of the
rows. The same is measured on Gaussian rows of the same correlations, because both measures depend on the
number of rows and columns even where nothing is wrong.

References
----------
Facco, d'Errico, Rodriguez and Laio (2017), Sci. Rep. 7, 12140: TwoNN; Denti, Doimo, Laio and Mira (2022),
Sci. Rep. 12, 20005, eq. 4: its maximum likelihood estimate.
Beyer, Goldstein, Ramakrishnan and Shaft (1999), ICDT: distances concentrate.
Good (1953), Biometrika 40, 237: the chance that the next row is of a kind not seen before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from pofx.core.units import Units
from pofx.data.diagnose.column import Lattice
from pofx.data.diagnose.copies import row_keys
from pofx.data.diagnose.finding import (
    GAUSSIAN,
    HISTOGRAM,
    KDE,
    MIXTURE,
    Finding,
    Quantity,
    counted,
    percent,
)
from pofx.data.diagnose.needs import THIRD, log10_histogram_rows, log10_kernel_rows, rows_text
from pofx.maths.bins import Sample, rule_width

__all__ = ["Geometry", "geometry", "geometry_findings"]

MOST_ROWS = 2_000  # between which distances are taken
MOST_DISTANCES = 2e8  # rows squared times columns
FEWEST_ROWS = 50
MOST_COLUMNS = 200
SHARED = 1.25  # rows share neighbours: the estimate's error in units of d / √rows, by simulation in 1 to 20 d
THIN = 0.75  # of the dimensions that Gaussian rows would show
ALIKE = 1.0  # the farthest row is less than twice as far as the nearest
NEW_CELL = 0.05
RELATIVE_ERROR = 0.1
BINS = 10  # per column, that a histogram should resolve


@dataclass(frozen=True)
class Geometry:
    """What the number of columns does to the rows.

    Attributes
    ----------
    columns : int
        Those that vary.
    sampled : int
        Different rows between which distances were taken.
    intrinsic_dimension, intrinsic_dimension_error : float
        TwoNN's estimate of how many dimensions the rows fill, and its standard error.
    gaussian_dimension : float
        The same estimate for as many Gaussian rows of the same correlations.
    contrast, gaussian_contrast : float
        (farthest − nearest) / nearest distance of a row to the others, the median over rows; and for the
        Gaussian rows.
    bins : tuple of int
        Bins per column by the rule of Freedman and Diaconis.
    log10_cells : float
        The decimal logarithm of their product.
    occupied_cells : int
        Cells with at least one row.
    empty_share : float
        Share of the cells without a row.
    new_cell_chance : float
        Estimated chance that a new row falls into an empty cell, where a histogram's density is zero: the
        share of rows alone in theirs.
    log10_histogram_rows : float
        The decimal logarithm of the rows that ten bins per column need for a relative error of 10 % where
        the density is constant: 100 rows in each of 10^d cells.
    log10_kernel_rows : float
        The decimal logarithm of the rows that a kernel estimate needs for an error of a third at the centre
        of a normal density (Silverman 1986, table 4.2).
    """

    columns: int
    sampled: int
    intrinsic_dimension: float
    intrinsic_dimension_error: float
    gaussian_dimension: float
    contrast: float
    gaussian_contrast: float
    bins: tuple[int, ...]
    log10_cells: float
    occupied_cells: int
    empty_share: float
    new_cell_chance: float
    log10_histogram_rows: float
    log10_kernel_rows: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists, fit for JSON."""
        return asdict(self) | {"bins": list(self.bins)}

    def lines(self) -> list[str]:
        """Return what a terminal shows."""
        return [
            f"intrinsic dimension   {self.intrinsic_dimension:.2f} ± {self.intrinsic_dimension_error:.2f} of "
            f"{counted(self.columns, 'column')}; Gaussian rows: {self.gaussian_dimension:.2f}",
            f"distance contrast     {self.contrast:.3g}: the farthest row is {1.0 + self.contrast:.3g} times "
            f"as far as the nearest; Gaussian rows: {self.gaussian_contrast:.3g}",
            f"histogram             {power(self.log10_cells)} cells, {self.occupied_cells:,} occupied, "
            f"{share(self.empty_share)} empty; a new row falls into an empty one with a chance of "
            f"{percent(self.new_cell_chance)}",
            f"rows it would need    {rows_text(self.log10_histogram_rows)} for {BINS} bins per column and a "
            f"relative error of {percent(RELATIVE_ERROR)} each",
            f"a kernel estimate     {rows_text(self.log10_kernel_rows)} to have a normal density right to a "
            "third at its centre",
        ]


def power(log10: float) -> str:
    """Return "2,304" or "1e+25", of any size."""
    return f"{10.0**log10:,.0f}" if log10 < 9.5 else f"1e+{log10:.0f}"


def share(value: float) -> str:
    """Return a share that is never rounded up to all."""
    return percent(value) if value < 0.9995 else "more than 99.9 %"


def geometry(
    values: np.ndarray, keys: np.ndarray, units: Sequence[Units], lattices: Sequence[Lattice | None]
) -> Geometry | None:
    """Measure the rows, or return None where there are too few of them or too many columns.

    Parameters
    ----------
    values : ndarray of shape (n, d)
        Without missing values; every column varies.
    keys : ndarray of shape (n,)
        One number per row that depends on what it holds, not on where it stands.
    units : d times the Units of one column
    lattices : d times a Lattice, or None where the column has none
    """
    n, d = values.shape
    _, first = np.unique(keys, return_index=True)
    if not (2 <= d <= MOST_COLUMNS and len(first) >= FEWEST_ROWS):
        return None
    most = int(min(MOST_ROWS, max(FEWEST_ROWS, (MOST_DISTANCES / d) ** 0.5)))
    rng = np.random.default_rng(0)
    z = _standard(values[first[:most]], units, lattices, rng)
    dimension, contrast = _between(z)
    spread, axes = np.linalg.eigh(np.cov(z.T))
    like = rng.normal(size=z.shape) @ (np.sqrt(np.maximum(spread, 0.0))[:, None] * axes.T)
    usual, usual_contrast = _between(like)
    bins, occupied, alone = _cells(values, units)
    log10_cells = float(np.log10(bins).sum())
    return Geometry(
        columns=d,
        sampled=len(z),
        intrinsic_dimension=dimension,
        intrinsic_dimension_error=SHARED * dimension / len(z) ** 0.5,
        gaussian_dimension=usual,
        contrast=contrast,
        gaussian_contrast=usual_contrast,
        bins=tuple(bins),
        log10_cells=log10_cells,
        occupied_cells=occupied,
        empty_share=max(0.0, 1.0 - 10.0 ** (float(np.log10(occupied)) - log10_cells)),
        new_cell_chance=alone / n,
        log10_histogram_rows=log10_histogram_rows(d, RELATIVE_ERROR, BINS),
        log10_kernel_rows=log10_kernel_rows(d, THIRD),
    )


def _standard(
    x: np.ndarray, units: Sequence[Units], lattices: Sequence[Lattice | None], rng: np.random.Generator
) -> np.ndarray:
    """Return rows with unit variances, and spread over the recorded steps."""
    out = np.empty(x.shape)
    for j, lattice in enumerate(lattices):
        z = _unit(x, units, j)
        if lattice is not None:
            z = z + lattice.step * rng.uniform(-0.5, 0.5, size=len(z))
        z = z - z.mean()
        out[:, j] = z / (z.std() or 1.0)
    return out


def _unit(x: np.ndarray, units: Sequence[Units], j: int) -> np.ndarray:
    """Return column j in its units, where nothing overflows."""
    z: np.ndarray = units[j].to(x[:, j : j + 1])[:, 0]
    return z


def _between(z: np.ndarray) -> tuple[float, float]:
    """Return the TwoNN estimate of the dimension, and the median contrast of distances, of rows (m, d)."""
    m = len(z)
    log_ratio, contrast = np.empty(m), np.empty(m)
    size = 500
    for at in range(0, m, size):
        some = slice(at, min(at + size, m))
        distance = cdist(z[some], z)
        distance[np.arange(len(distance)), np.arange(m)[some]] = np.inf
        two = np.partition(distance, 1, axis=1)[:, :2]
        distance[np.isinf(distance)] = 0.0
        nearest = np.maximum(two[:, 0], np.finfo(float).tiny)
        log_ratio[some] = np.log(np.maximum(two[:, 1], nearest) / nearest)
        contrast[some] = distance.max(axis=1) / nearest - 1.0
    return float((m - 1) / log_ratio.sum()), float(np.median(contrast))


def _cells(values: np.ndarray, units: Sequence[Units]) -> tuple[list[int], int, int]:
    """Return the bins per column, and how many of their cells hold a row, and just one."""
    n, d = values.shape
    bins, index = [], np.empty((n, d))
    for j in range(d):
        z = _unit(values, units, j)
        sample = Sample.of(z, np.ones(n))
        width = rule_width("fd", sample, d) or rule_width("scott", sample, d)
        count = int(np.clip(np.ceil(sample.span / width), 1, n))
        bins.append(count)
        index[:, j] = np.minimum(np.floor((z - sample.values[0]) / sample.span * count), count - 1)
    _, rows = np.unique(row_keys(index), return_counts=True)
    return bins, len(rows), int((rows == 1).sum())


def geometry_findings(found: Geometry, rows: int) -> Iterator[Finding]:
    """Yield what of it troubles a model."""
    low = found.intrinsic_dimension + 2.0 * found.intrinsic_dimension_error
    if low < THIN * found.gaussian_dimension:
        yield Finding(
            "intrinsic_dimension",
            (),
            Quantity(found.intrinsic_dimension, "dimensions (TwoNN)"),
            f"The rows fill about {found.intrinsic_dimension:.1f} ± {found.intrinsic_dimension_error:.1f} "
            f"dimensions of {found.columns}; Gaussian rows with the same correlations would fill "
            f"{found.gaussian_dimension:.1f}.",
            "They lie near a curved sheet or in narrow groups, which one Gaussian spreads over and bumps of "
            "one width blur.",
            (GAUSSIAN, KDE, HISTOGRAM),
            "note",
            "Try a mixture with several components, and look at the worst pair of columns of its check.",
        )
    if found.contrast < ALIKE:
        yield Finding(
            "concentration",
            (),
            Quantity(found.contrast, "(farthest − nearest) / nearest distance, median"),
            f"Seen from a row, the farthest row is only {1.0 + found.contrast:.2f} times as far as the "
            f"nearest (Gaussian rows: {1.0 + found.gaussian_contrast:.2f} times).",
            "All rows are about equally far apart, so neighbours say little: a kernel estimate sees either "
            "no row or all of them.",
            (KDE, MIXTURE),
            "note",
            "Use fewer columns, or a model of few parameters.",
        )
    if found.new_cell_chance >= NEW_CELL:
        yield Finding(
            "empty_cells",
            (),
            Quantity(found.new_cell_chance, "chance that a new row falls into an empty cell"),
            f"A histogram with the rule's bins has {power(found.log10_cells)} cells for {rows:,} rows: "
            f"{share(found.empty_share)} are empty, and a new row falls into an empty one with a chance of "
            f"about {percent(found.new_cell_chance)}.",
            f"Its density is zero there. Ten bins per column and an error of 10 % in each need about "
            f"{rows_text(found.log10_histogram_rows)} rows.",
            (HISTOGRAM,),
            "note",
            "Bin one or two columns at a time, or use a smooth model.",
        )
