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
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.pairs import PairSums, Sums, sign_changes
from pofx.maths.bandwidth.reference import Silverman
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import interquartile, tie_step, total_weight, weighted_sd

__all__ = [
    "DirectPlugIn",
    "Selected",
    "SheatherJones",
    "by_column",
    "direct_plug_in",
    "solve_the_equation",
]

Floats = NDArray[np.float64]

FEWEST = 5  # distinct values
LATTICE = 0.1  # half a spacing of ties below this share of Silverman's bandwidth is no lattice
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


@dataclass(frozen=True)
class Selected:
    """The bandwidth of one column, or the end of a sentence on why there is none.

    Attributes
    ----------
    h : bandwidth in the units of the column, or None
    reason : what stands where h should be, such as "has no minimum on these rows"
    notes : sentences about an h that was found
    tied : there is no h, or none that can be believed, because ties pull it to 0
    """

    h: float | None
    reason: str = ""
    notes: tuple[str, ...] = ()
    tied: bool = False


Select = Callable[[Floats, Floats, float], Selected]
"""(column (n,), weights (n,), half the spacing of its ties) to the bandwidth of that column."""


def by_column(x: Floats, w: Floats, label: Label, title: str, select: Select) -> Choice:
    """Return the bandwidths of a rule of one column, taken for each column of ``x`` (n, d) alone.

    The factor n^(1/5 - 1/(d+4)) gives them the rate that d columns need. A bandwidth that ties pull below
    half their spacing is held there; Silverman's rule takes over where the ties are no lattice or the rule
    has no answer. Either is noted.
    """
    d, total = x.shape[1], total_weight(w)
    h = np.empty(d)
    notes: list[str] = []
    warnings: tuple[str, ...] = ()
    for j, column in enumerate(np.ascontiguousarray(x.T)):
        name, floor = label(j), 0.5 * tie_step(column, w)
        distinct = len(np.unique(column))
        if distinct < FEWEST:
            found = Selected(None, f"needs {FEWEST} distinct values and has {distinct}")
        else:
            found = select(column, w, floor)
        if found.h is not None and found.h >= floor and not found.tied:
            h[j] = found.h
            notes += [f"{name}: {note}" for note in found.notes]
            continue
        instead = Silverman().choose(column[:, None], w, lambda _, name=name: name)  # type: ignore[misc]
        tied = found.tied or found.h is not None
        if tied and floor >= LATTICE * float(instead.h[0]):
            h[j] = floor
            notes.append(f"{name}: the ties pull the bandwidth to 0; held at half their spacing.")
        else:
            h[j] = max(float(instead.h[0]), floor)
            reason = found.reason or "is pulled to 0 by ties"
            notes.append(f"{name}: {title} {reason}; Silverman's rule was used.")
            warnings += instead.warnings
    return Choice(h * total ** (0.2 - 1.0 / (d + 4)), tuple(notes), warnings)


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
