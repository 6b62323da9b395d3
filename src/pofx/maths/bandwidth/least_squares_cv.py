r"""Least-squares (unbiased) cross-validation with a bandwidth matrix.

    LSCV(H) = ∫ f̂_H² − 2 n⁻¹ Σ_i f̂_{−i}(x_i)
            = Q(2H) − 2 (W² Q(H) − c φ_H(0)) / (W² − c),    Q(S) = W⁻² Σ_ij w_i w_j φ_S(x_i − x_j),  W = Σ w.

A row of weight w that stands for w equal rows leaves one of them out, so c = W; an importance weight leaves
its row out, c = Σ w², which is W again for weights that are scaled to Kish's size. The criterion estimates
the integrated squared error but for a constant. It often has several minima, and on tied rows it falls
without end as H goes to 0 (φ_H(0) of a tied pair beats ∫ f̂²). So the search starts at the normal scale, which
is too wide, and takes the minimum that it runs into, over

    H = L Lᵀ + D,      D = diag((half the spacing of the ties of column j)²).

Sources: M. Rudemo, *Scandinavian J. Statistics* 9 (1982) 65-78; A. W. Bowman, *Biometrika* 71 (1984) 353-360;
P. Hall and J. S. Marron, *JRSS B* 53 (1991) 245-252, on the largest local minimum; T. Duong and M. L.
Hazelton, *Scandinavian J. Statistics* 32 (2005) 485-506, with matrices.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.gaussian_tensors import MODES, DoubleSums, Pairs, Spectrum, sketch
from pofx.maths.bandwidth.normal_scale import (
    Standard,
    fall_back,
    minimise,
    normal_scale_factor,
    standardise,
    too_few,
)
from pofx.maths.bandwidth.plug_in import sketched
from pofx.maths.bandwidth.rule import Choice, Label
from pofx.maths.bandwidth.scales import tie_step
from pofx.maths.bandwidth.smoothed_cv import most_rows

__all__ = ["least_squares_cv_matrix"]

Floats = NDArray[np.float64]

HELD = 1.02  # a column's sd within this factor of its floor is said to be held there
NARROW = 0.25  # of the normal scale: the narrowest kernel that a search over frequencies prepares for
WIDE = 3.0  # of the normal scale: the widest


def least_squares_cv_matrix(x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
    """Return the full matrix H (d, d), or the standard deviation (1,) of a single column.

    Parameters
    ----------
    x : (n, d), distinct rows
    w : (n,), how often each row came, or importance weights that sum to Kish's size (``frequencies=False``)
    label : the name of column j
    """
    few = too_few(x, w)
    if few:
        return fall_back(x, w, label, few, diagonal=True)
    rows = standardise(x, w, label, sphere=True)
    step = np.array([tie_step(np.ascontiguousarray(c), w) for c in x.T])
    inverse = np.linalg.inv(rows.back)
    least = (inverse * (0.5 * step) ** 2) @ inverse.T
    h, settled, notes = _search(rows, least, frequencies)
    if not settled:
        notes += ("Least-squares cross-validation found no minimum; the normal scale was used.",)
        return fall_back(x, w, label, notes)
    h = rows.matrix(h)
    for j in np.flatnonzero(np.sqrt(np.diag(h)) <= HELD * 0.5 * step):
        notes += (f"{label(int(j))}: the ties pull the bandwidth to 0; held at half their spacing.",)
    return Choice(np.sqrt(np.diag(h)) if rows.d == 1 else h, notes)


def _search(rows: Standard, least: Floats, frequencies: bool) -> tuple[Floats, bool, tuple[str, ...]]:
    """Return the minimum of LSCV over H = L Lᵀ + ``least`` (standardised), settled or not, and notes."""
    d, most = rows.d, most_rows(rows.d)
    start = normal_scale_factor(rows.size, d)
    if len(rows.z) > most and d <= 3:
        narrowest = NARROW * start
        spectrum = Spectrum(rows.z, rows.w, narrowest, WIDE * start)
        if spectrum.modes <= MODES:
            h, settled = _minimum(rows, spectrum, least + narrowest**2 * np.eye(d))
            if settled and float(np.linalg.eigvalsh(h)[0]) > 2.0 * narrowest**2:
                return h, True, ()
    few = len(rows.z) <= most
    sums = Pairs(rows.z, rows.w) if few else Pairs(*sketch(rows.z, rows.w, most, frequencies=frequencies))
    h, settled = _minimum(rows, sums, least)
    # The sketch's best bandwidth, brought to the rate of all rows.
    return h * (sums.size / rows.size) ** (2.0 / (d + 4)), settled, sketched(sums, rows)


def _minimum(rows: Standard, sums: DoubleSums, least: Floats) -> tuple[Floats, bool]:
    """Return the minimum of LSCV that the search from the normal scale runs into, and whether it is one."""
    d, n = rows.d, sums.size
    own = n  # c: Σw², too, is Σw for importance weights scaled to Kish's size
    other = n * n - own

    def lscv(free: Floats) -> tuple[float, Floats]:
        h = free + least
        twice, twice_slope = sums.bump(2.0 * h)
        once, once_slope = sums.bump(h)
        peak = 1.0 / math.sqrt(float(np.linalg.det(2.0 * math.pi * h)))
        slope = 2.0 * twice_slope - 2.0 * (n * n * once_slope + 0.5 * own * peak * np.linalg.inv(h)) / other
        return twice - 2.0 * (n * n * once - own * peak) / other, slope

    h, settled = minimise(lscv, normal_scale_factor(n, d) ** 2 * np.eye(d), diagonal=False)
    return h + least, settled
