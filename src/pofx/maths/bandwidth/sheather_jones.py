r"""The plug-in bandwidths of Sheather and Jones, exact in the sums over pairs.

The best bandwidth of a density with roughness ψ_4 = ∫ f''² is h = (1 / (2√π n ψ_4))^(1/5). Both rules put an
estimate in the place of ψ_4, a sum over all pairs, diagonal included, at a pilot bandwidth g of its own:

    S(g) = P_4(g) / (n(n-1)),        T(g) = -P_6(g) / (n(n-1)),        λ = min(sd, IQR/1.349)

``direct_plug_in``   h = (c / S(g))^(1/5) at g = (2.394 / (n T(1.23 λ n^(-1/9))))^(1/7)
``sheather_jones``   h = (c / S(α h^(5/7)))^(1/5), solved for h, with
                     α = 1.357 (S(1.24 λ n^(-1/7)) / T(1.23 λ n^(-1/9)))^(1/7)

where c = 1/(2√π n). These are R's ``bw.SJ`` with method "dpi" and "ste"; R bins the rows and stops at a
tolerance, where here the sums are exact and the root is good to 1e-12. S and T are positive on any rows, and
the equation has a root on any rows: its right side grows as h^(5/7) near 0 and far out, the diagonal alone
deciding the one and all pairs alike the other. Of several roots the largest is taken.

n is the sum of the weights, so that a weight of 2 is a repeated row.

References
----------
S. J. Sheather and M. C. Jones, A reliable data-based bandwidth selection method for kernel density
estimation, *Journal of the Royal Statistical Society B* 53 (1991) 683-690.
M. P. Wand and M. C. Jones, *Kernel Smoothing*, Chapman & Hall 1995, section 3.6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.by_column import Selected, by_column
from pofx.maths.bandwidth.pairs import PairSums, Sums, sign_changes
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import interquartile, weighted_sd

__all__ = [
    "DirectPlugIn",
    "SheatherJones",
    "direct_plug_in",
    "solve_the_equation",
]

Floats = NDArray[np.float64]

LEAST = 1e-12  # of the starting bandwidth: the search gives up there
RATIO = 1.2


def direct_plug_in(pairs: Sums, n: float, scale: float) -> float:
    """Return the bandwidth of two plug-in steps for a column of n rows and scale λ."""
    g = (2.394 / (n * _sixth(pairs, n, scale))) ** (1.0 / 7.0)
    return float((1.0 / (2.0 * math.sqrt(math.pi) * n * _fourth(pairs, n, g))) ** 0.2)


def solve_the_equation(pairs: Sums, n: float, scale: float, floor: float = 0.0) -> float | None:
    """Return the largest root of the equation above, or None where none is above ``floor``."""
    fourth = _fourth(pairs, n, 1.24 * scale * n ** (-1.0 / 7.0))
    alpha = 1.357 * (fourth / _sixth(pairs, n, scale)) ** (1.0 / 7.0)
    c = 1.0 / (2.0 * math.sqrt(math.pi) * n)

    def excess(h: float) -> float:
        return 0.2 * math.log(c / _fourth(pairs, n, alpha * h ** (5.0 / 7.0))) - math.log(h)

    high = 1.144 * scale * n**-0.2  # the oversmoothed bandwidth
    while excess(high) > 0.0:
        high *= RATIO
    low = max(LEAST * high, floor)
    return next((root for root, _ in sign_changes(excess, high, lambda h: h > low, RATIO)), None)


def _fourth(pairs: Sums, n: float, g: float) -> float:
    return pairs(4, g) / (n * (n - 1.0))


def _sixth(pairs: Sums, n: float, scale: float) -> float:
    return -pairs(6, 1.23 * scale * n ** (-1.0 / 9.0)) / (n * (n - 1.0))


def _scale(column: Floats, w: Floats) -> float:
    return min(weighted_sd(column, w), interquartile(column, w) / 1.349)


NO_SCALE = Selected(None, "needs an interquartile range and more than half the rows are tied")


@dataclass(frozen=True)
class SheatherJones(Rule):
    """The solve-the-equation plug-in: R's ``bw.SJ(method = "ste")`` in one column."""

    name: str = field(default="sheather_jones", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        def select(column: Floats, w: Floats, floor: float) -> Selected:
            scale = _scale(column, w)
            if scale <= 0.0:
                return NO_SCALE
            h = solve_the_equation(PairSums(column, w), float(w.sum()), scale, floor)
            return Selected(h, tied=h is None)

        return by_column(x, w, label, "Sheather-Jones", select)


@dataclass(frozen=True)
class DirectPlugIn(Rule):
    """The direct plug-in of two steps: R's ``bw.SJ(method = "dpi")`` in one column."""

    name: str = field(default="direct_plug_in", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        def select(column: Floats, w: Floats, floor: float) -> Selected:
            scale = _scale(column, w)
            if scale <= 0.0:
                return NO_SCALE
            return Selected(direct_plug_in(PairSums(column, w), float(w.sum()), scale))

        return by_column(x, w, label, "the direct plug-in", select)
