r"""Cross-validated bandwidths of one column, exact in the sums over pairs.

With P_r(g) = Σ_ij w_i w_j φ_g^(r)(x_i - x_j), n = Σw, and D = Σ w_i u_i the pairs of a row with itself,

least squares ("unbiased"; Rudemo 1982, Bowman 1984): the integrated squared error without its constant,

    U(h) = ∫ f̂² - 2 · (mean of f̂ without row i, at row i)
         = P_0(√2 h) / n² - 2 (P_0(h) - D φ_h(0)) / (n² - D)

biased (Scott and Terrell 1987): the asymptotic error, its roughness ∫ f''² estimated without the diagonal,

    B(h) = 1 / (2√π n h) + h⁴/4 · (P_4(√2 h) - D φ_{√2h}^(4)(0)) / n²

Weights that count rows leave one row out, u_i = min(1, w_i), so that a weight of 2 is a repeated row;
weights of importance leave out all of it, u_i = w_i. Either criterion is minimised by the zeros of its
derivative in log h, which needs only more P_r, as dP_r(g)/d log g = g² P_(r+2)(g).

U has several minima on many samples, and falls to -∞ as h → 0 on heavily tied ones. The *largest local*
minimum is taken, as Hall and Marron (1991) advise, among those where a kernel covers another value at all:
with none beside it, a dip is the chance of one pair of rows. B falls to 0 again as h → ∞, so it is only
looked at up to the oversmoothed bandwidth 1.144 sd n^(-1/5) (Terrell 1990), as R's ``bw.bcv`` does.

References
----------
M. Rudemo, *Scandinavian Journal of Statistics* 9 (1982) 65-78; A. W. Bowman, *Biometrika* 71 (1984) 353-360.
D. W. Scott and G. R. Terrell, Biased and unbiased cross-validation in density estimation, *Journal of the
American Statistical Association* 82 (1987) 1131-1146.
P. Hall and J. S. Marron, Local minima in cross-validation functions, *Journal of the Royal Statistical
Society B* 53 (1991) 245-252.
G. R. Terrell, The maximal smoothing principle in density estimation, *JASA* 85 (1990) 470-477.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.by_column import Selected, by_column
from pofx.maths.bandwidth.pairs import PairSums, Sums, at_zero, sign_changes
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import INFLATED, robust_scale, weighted_sd

__all__ = ["BiasedCV", "biased_cv", "least_squares_cv", "least_squares_cv_by_column"]

Floats = NDArray[np.float64]
Criterion = Callable[[float], float]

RATIO = 1.05  # two zeros of a derivative nearer than this are one wiggle of no account
FEW = 1.0  # with fewer other values under a kernel, a minimum is the chance of one pair of rows
BELOW = 30.0  # how far below the minimum taken a lower one is looked for
ROOT2 = math.sqrt(2.0)


def _least_squares(pairs: Sums, n: float, own: float) -> tuple[Criterion, Criterion]:
    """Return U and dU/d log h; ``own`` is D."""
    others = n * n - own

    def value(h: float) -> float:
        return pairs(0, ROOT2 * h) / n**2 - 2.0 * (pairs(0, h) - own * at_zero(0, h)) / others

    def slope(h: float) -> float:
        left_out = h * h * pairs(2, h) + own * at_zero(0, h)
        return 2.0 * h * h * pairs(2, ROOT2 * h) / n**2 - 2.0 * left_out / others

    return value, slope


def _biased(pairs: Sums, n: float, own: float) -> tuple[Criterion, Criterion]:
    """Return B and dB/d log h; ``own`` is D."""

    def value(h: float) -> float:
        g = ROOT2 * h
        rough = (pairs(4, g) - own * at_zero(4, g)) / n**2
        return 1.0 / (2.0 * math.sqrt(math.pi) * n * h) + 0.25 * h**4 * rough

    def slope(h: float) -> float:
        g = ROOT2 * h
        rough = (pairs(4, g) - own * at_zero(4, g)) / n**2
        growth = (g * g * pairs(6, g) + 5.0 * own * at_zero(4, g)) / n**2
        return -1.0 / (2.0 * math.sqrt(math.pi) * n * h) + h**4 * (rough + 0.25 * growth)

    return value, slope


def _own_pairs(w: Floats, frequencies: bool) -> float:
    return float((w * np.minimum(w, 1.0)).sum() if frequencies else np.square(w).sum())


def _oversmoothed(x: Floats, w: Floats) -> float:
    return 1.144 * weighted_sd(x, w) * float(w.sum()) ** -0.2


def least_squares_cv(x: Floats, w: Floats, floor: float = 0.0, *, frequencies: bool = True) -> Selected:
    """Return the largest local minimum of U above ``floor``.

    Parameters
    ----------
    x : (n,) float64, not constant; any order, ties allowed
    w : (n,) float64, positive, of sum above 1
    floor : float
        Minima below are passed over: on rounded data they only resolve the rounding.
    frequencies : bool
        Whether a weight counts rows, of which one is left out, or is one row's importance.
    """
    pairs = PairSums(x, w)
    n, own = float(w.sum()), _own_pairs(w, frequencies)
    value, slope = _least_squares(pairs, n, own)

    def inside(h: float) -> bool:
        return h > floor and pairs.neighbours(h) > FEW

    h = next(_minima(slope, 2.0 * _oversmoothed(x, w), inside), None)
    if h is None:
        # As h → 0 only ties are left, and U tends to this over √(2π) h.
        left = pairs.tied / (ROOT2 * n * n) - 2.0 * (pairs.tied - own) / (n * n - own)
        return Selected(None, "" if left < 0.0 else "has no local minimum on these rows", tied=left < 0.0)
    least = h / BELOW
    lower = min(_minima(slope, h / RATIO, lambda g: g > least and inside(g)), key=value, default=h)
    if value(lower) >= value(h):
        return Selected(h)
    note = (
        f"least-squares cross-validation has a lower minimum at {lower / h:.2g} times this bandwidth; the "
        "largest local minimum was taken (Hall and Marron 1991)."
    )
    return Selected(h, notes=(note,))


def biased_cv(x: Floats, w: Floats, floor: float = 0.0, *, frequencies: bool = True) -> Selected:
    """Return the lowest local minimum of B up to the oversmoothed bandwidth, or that where there is none.

    Parameters as for :func:`least_squares_cv`. The search ends at a tenth of the oversmoothed bandwidth, as
    R's does; where that leaves nothing, or far-out rows inflate it, the first minimum below is taken.
    """
    n, pairs = float(w.sum()), PairSums(x, w)
    value, slope = _biased(pairs, n, _own_pairs(w, frequencies))
    high, scale = _oversmoothed(x, w), robust_scale(x, w)
    inflated = weighted_sd(x, w) > INFLATED * scale
    low = max(floor, 0.1 * high)
    minima = list(_minima(slope, high, lambda h: h > low))
    if minima:
        return Selected(min(minima, key=value))
    if slope(high) < 0.0 and not inflated:
        note = (
            "biased cross-validation still falls at the oversmoothed bandwidth, the widest that any density "
            "of this standard deviation needs; that was taken."
        )
        return Selected(high, notes=(note,))
    h = next(_minima(slope, low, lambda h: h > floor and pairs.neighbours(h) > FEW), None)
    return Selected(h, "has no minimum on these rows")


def _minima(slope: Criterion, high: float, inside: Callable[[float], bool]) -> Iterator[float]:
    return (zero for zero, rising in sign_changes(slope, high, inside, RATIO) if rising)


def least_squares_cv_by_column(x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
    """Return :func:`least_squares_cv` of each column of ``x`` (n, d), with the rate that d columns need."""

    def select(column: Floats, w: Floats, floor: float) -> Selected:
        return least_squares_cv(column, w, floor, frequencies=frequencies)

    return by_column(x, w, label, "least-squares cross-validation", select)


@dataclass(frozen=True)
class BiasedCV(Rule):
    """Biased cross-validation: R's ``bw.bcv`` in one column."""

    name: str = field(default="biased_cv", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        def select(column: Floats, w: Floats, floor: float) -> Selected:
            return biased_cv(column, w, floor, frequencies=frequencies)

        return by_column(x, w, label, "biased cross-validation", select)
