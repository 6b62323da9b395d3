r"""The uncertainty of a one-column density, as a band: how far another sample could have moved the curve.

*Kernel density estimates*: the multiplier bootstrap of :mod:`pofx.models.kde.bands`. *Histograms*: Wilson's
interval of every bin's count, Bonferroni over the bins. *Families of few parameters*: the parametric
bootstrap. The fit draws B samples of m rows, each is fitted again (what the fit chose from data held), and

    D_b(x) = √(m/n) (log p_b(x) − log p̂(x)),   s(x)² = mean of D_b(x)²,   p̂(x) exp(± q s(x)),

q the quantile of the largest |D_b(x)| / s(x) over the places where p̂ is more than a thousandth of its peak.
Of n rows at most m are drawn: errors of estimates shrink with the root of the rows, which bounds the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pofx.core.density import Density
from pofx.errors import PofxError, UnsupportedError
from pofx.show.figure import Band
from pofx.show.pictures.counts import SEED
from pofx.show.pictures.parts import kept_rows
from pofx.threads import map_ordered, one_blas_thread

__all__ = ["band_of"]

Array = NDArray[np.float64]

N_BOOT = 199
MOST_DRAWN = 2_000  # rows of a sample, or
ROWS_PER_PARAMETER = 20  # times its parameters, if that is more
VISIBLE = math.log(1e3)
LABEL = "{:g} % band"
KERNELS = 4e10  # places squared times rows that a band of kernels may cost
MOST_PLACES, LEAST_PLACES = 301, 61


def band_of(
    model: Density,
    part: Callable[[Density], Density],
    grid: Array,
    level: float,
    *,
    conditional: bool = False,
) -> tuple[Band, str]:
    """Return the band of a density along a grid, and what it covers, in a sentence.

    Parameters
    ----------
    model : fitted Density
    part : callable
        Returns the one-column density that is drawn, of the model or of a refit: a marginal, or (if
        ``conditional``) a conditional.
    grid : ndarray (m,)
        Ascending.
    level : float in (0, 1)

    Raises
    ------
    UnsupportedError
        Where the parameters were given, or the model's errors are not known.
    """
    if not model.fit_.n_rows:
        raise UnsupportedError(
            f"band= is the doubt of an estimate; the parameters of this {type(model).__name__} were given."
        )
    one = part(model)
    if hasattr(one, "confidence_band") or hasattr(one, "counts_"):
        if conditional:
            raise UnsupportedError(
                f"band= of a conditional of a {type(model).__name__} is not known: the rows near the given "
                "value are weighed by the estimate itself."
            )
        if hasattr(one, "confidence_band"):
            return _of_kernels(one, grid, level)
        return _of_bins(one, model.fit_.effective_n, grid, level)
    return _of_refits(model, part, one, grid, level)


def _of_kernels(one: Any, grid: Array, level: float) -> tuple[Band, str]:
    places = int(np.clip(math.sqrt(KERNELS / max(kept_rows(one), 1)), LEAST_PLACES, MOST_PLACES))
    x = np.linspace(grid[0], grid[-1], places)
    try:
        found = one.confidence_band(x, level, target="density")
    except UnsupportedError:
        found = one.confidence_band(x, level)
    return Band(x, found.lower, found.upper, level, LABEL.format(100 * level)), found.message


def _of_bins(one: Any, n: float, grid: Array, level: float) -> tuple[Band, str]:
    """Wilson's interval, (p̂ − p)² = q² p (1 − p) / n, of every bin's probability."""
    edges = np.asarray(one.edges_[0], dtype=float)
    counts = np.zeros(len(edges) - 1)
    counts[np.asarray(one.cells_)[:, 0]] = one.counts_
    q = float(ndtri(1.0 - (1.0 - level) / (2.0 * len(counts))))
    share = counts / counts.sum()
    middle = (share + q * q / (2.0 * n)) / (1.0 + q * q / n)
    half = q / (1.0 + q * q / n) * np.sqrt(share * (1.0 - share) / n + q * q / (4.0 * n * n))
    low, high = (np.repeat(v / np.diff(edges), 2) for v in (np.maximum(middle - half, 0.0), middle + half))
    band = Band(np.repeat(edges, 2)[1:-1], low, high, level, LABEL.format(100 * level))
    return band, (
        f"The band holds the mean density over every bin with {100 * level:g} % probability at once "
        "(Wilson's intervals, Bonferroni over the bins); the bins are held as they are."
    )


def _of_refits(
    model: Density, part: Callable[[Density], Density], one: Density, grid: Array, level: float
) -> tuple[Band, str]:
    n = float(model.fit_.effective_n)
    m = int(min(n, max(MOST_DRAWN, ROWS_PER_PARAMETER * model.n_parameters_)))
    rng = np.random.default_rng(SEED)
    if getattr(model, "missing", None) == "marginal" or not model.parametric:
        raise UnsupportedError(
            f"The errors of this {type(model).__name__} are not known, so band= cannot be drawn. KDE, "
            "Histogram, Gaussian and GaussianMixture have bands (without prior, noise, shrinkage, factors, "
            "and rows with gaps)."
        )
    log_p = one.log_density(grid)

    def deviation(own: np.random.Generator) -> Array | None:
        rows = model._sample_rows(model.params_, m, own)
        try:
            again = model._refitted(rows)
        except (PofxError, np.linalg.LinAlgError):
            return None  # a component shrank onto few rows
        return part(again).log_density(grid) - log_p

    with one_blas_thread():
        found = [d for d in map_ordered(deviation, rng.spawn(N_BOOT)) if d is not None]
    if len(found) < N_BOOT // 2:
        raise UnsupportedError(
            f"Of {N_BOOT} samples drawn from the fit only {len(found)} could be fitted again, so there is no "
            "band. Use fewer components."
        )
    gaps = np.stack(found) * math.sqrt(m / n)
    seen = log_p > log_p.max() - VISIBLE
    spread = np.sqrt(np.mean(gaps * gaps, axis=0))
    ratio = np.abs(gaps[:, seen]) / np.maximum(spread[seen], 1e-300)
    # the order statistic that another draw stays below with this probability
    q = float(np.sort(ratio.max(axis=1))[min(math.ceil(level * (len(found) + 1)), len(found)) - 1])
    with np.errstate(under="ignore", over="ignore"):
        low, high = np.exp(log_p - q * spread), np.exp(np.minimum(log_p + q * spread, 700.0))
    of = f" of {m:,} rows, their errors scaled to {n:,.6g}" if m < n else ""
    return Band(grid, low, high, level, LABEL.format(100 * level)), (
        f"The band holds the density with {100 * level:g} % probability at all places at once, if the family "
        f"is right: by {len(found)} samples drawn from the fit{of} and fitted again, with all that it "
        "chose from data held."
    )
