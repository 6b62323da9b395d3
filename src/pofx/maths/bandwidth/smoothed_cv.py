r"""Smoothed cross-validation: the exact bias of the kernel on a pilot estimate, in place of its leading term.

    SCV(H) = n⁻¹ (4π)^{-d/2} |H|^{-1/2} + W⁻² Σ_ij w_i w_j (φ_{2H+2G} − 2 φ_{H+2G} + φ_{2G})(z_i − z_j)

The double sum is ∫ (K_H * f̂_G − f̂_G)², f̂_G being the kernel estimate with the pilot G. For small H it is the
bias of AMISE with ψ₄ taken at the width 2G; hence G = ½ g² I with the plug-in's two-stage width g for ψ₄
(Chacón and Duong 2011; the sphered or scaled rows and the norm are those of :mod:`plug_in`).

In one dimension the pilot follows the bandwidth (Jones, Marron and Park 1991),

    g(h) = (441/(64π))^{1/18} (4π)^{-1/5} ψ₄^{-2/5} ψ₈^{-1/9} n^{-23/45} h⁻²,

with ψ₄ and ψ₈ in two stages, from ψ₆ and ψ₁₀ whose pilots take the normal ψ₈ and ψ₁₂.

Sources: M. C. Jones, J. S. Marron and B. U. Park, *Annals of Statistics* 19 (1991) 1919-1932; M. P. Wand and
M. C. Jones, *Kernel Smoothing*, Chapman & Hall 1995, 3.7; T. Duong and M. L. Hazelton, *Scandinavian J.
Statistics* 32 (2005) 485-506; J. E. Chacón and T. Duong, *Statistica Sinica* 21 (2011) 807-840.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from pofx.maths.bandwidth.gaussian_tensors import PAIRS, DoubleSums, derivatives_at_zero, double_sums
from pofx.maths.bandwidth.normal_scale import (
    Standard,
    fall_back,
    finish,
    minimise,
    normal_scale_factor,
    standardise,
    too_few,
)
from pofx.maths.bandwidth.plug_in import WIDEST, pilot, sketched, two_stages
from pofx.maths.bandwidth.rule import Choice, Label, Rule

__all__ = ["SmoothedCV", "SmoothedCVDiagonal", "most_rows"]

Floats = NDArray[np.float64]

TRIALS = 80  # bandwidths at which a criterion of one column is looked at before its minimum is refined


def most_rows(d: int) -> int:
    """Return how many rows a search over pairs may hold: it visits every pair some 50 times."""
    return PAIRS if d <= 2 else PAIRS // 3


def _smoothed(rows: Standard, g: float, sums: DoubleSums, *, diagonal: bool) -> tuple[Floats, bool]:
    """Return the minimum of SCV over H (d, d) in standardised units, 2G = g² I."""
    d = rows.d
    twice_pilot = g * g * np.eye(d)
    top = (4.0 * math.pi) ** (-d / 2) / rows.size
    constant = sums.bump(twice_pilot)[0]

    def scv(h: Floats) -> tuple[float, Floats]:
        variance = top / math.sqrt(float(np.linalg.det(h)))
        twice, twice_slope = sums.bump(2.0 * h + twice_pilot)
        once, once_slope = sums.bump(h + twice_pilot)
        slope = 2.0 * (twice_slope - once_slope) - 0.5 * variance * np.linalg.inv(h)
        return variance + twice - 2.0 * once + constant, slope

    return minimise(scv, normal_scale_factor(rows.size, d) ** 2 * np.eye(d), diagonal=diagonal)


def _one_column(rows: Standard, *, frequencies: bool) -> tuple[float, DoubleSums]:
    """Return the bandwidth of Jones, Marron and Park in standardised units, and the sums that were used."""

    def normal(n: float, r: int) -> float:
        return pilot(derivatives_at_zero(2.0 * np.eye(1), r + 2), n, 1, r, every_entry=True)

    sums = double_sums(rows.z, rows.w, normal(rows.size, 4) / 3.0, WIDEST, frequencies=frequencies)
    n = sums.size
    psi = {}
    for r in (4, 8):
        stage = normal(n, r + 2)
        sums = sums.reaching(stage)
        g = pilot(sums.functionals(stage, r + 2), n, 1, r, every_entry=True)
        sums = sums.reaching(g)
        psi[r] = float(sums.functionals(g, r)[0])
    factor = (441.0 / (64.0 * math.pi)) ** (1 / 18) * (4.0 * math.pi) ** -0.2
    factor *= psi[4] ** -0.4 * psi[8] ** (-1 / 9) * n ** (-23 / 45)

    h = normal_scale_factor(n, 1) * np.geomspace(0.02, 2.0, TRIALS)
    sums = sums.reaching(min(factor * float(h[-1]) ** -2, 1.0))

    def scv(log_h: float) -> tuple[float, float]:
        """Return the criterion and its slope in log h."""
        h2 = math.exp(2.0 * log_h)
        g2 = 2.0 * (factor / h2) ** 2  # 2 g(h)², whose slope in log h is −4 times itself
        value = 0.5 / math.sqrt(math.pi * h2) / n
        slope = -value
        for sign, k in ((1.0, 2.0), (-2.0, 1.0), (1.0, 0.0)):
            bump, change = sums.bump(np.array([[k * h2 + g2]]))
            value += sign * bump
            slope += sign * float(change[0, 0]) * (2.0 * k * h2 - 4.0 * g2)
        return value, slope

    trials = np.log(h)
    best = int(np.argmin([scv(t)[0] for t in trials]))
    below, above = float(trials[max(best - 1, 0)]), float(trials[min(best + 1, TRIALS - 1)])
    if not scv(below)[1] < 0.0 < scv(above)[1]:  # at an end of the range
        return math.exp(trials[best]) * (n / rows.size) ** 0.2, sums
    found = brentq(lambda t: scv(t)[1], below, above, xtol=1e-12)
    return math.exp(found) * (n / rows.size) ** 0.2, sums


@dataclass(frozen=True)
class SmoothedCV(Rule):
    """Smoothed cross-validation with a full matrix, on sphered rows."""

    diagonal: bool = field(default=False, init=False)
    name: str = field(default="smoothed_cv", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        """Return H (d, d); standard deviations (d,) for a diagonal H and for a single column."""
        few = too_few(x, w)
        if few:
            return fall_back(x, w, label, few, diagonal=True)
        rows = standardise(x, w, label, sphere=not self.diagonal)
        if rows.d == 1:
            h1, sums = _one_column(rows, frequencies=frequencies)
            return finish(h1 * rows.back[0], x, w, label, sketched(sums, rows))
        most = most_rows(rows.d)
        g, sums = two_stages(rows, every_entry=not self.diagonal, frequencies=frequencies, most=most)
        notes = sketched(sums, rows)
        h, settled = _smoothed(rows, g, sums, diagonal=self.diagonal)
        if not settled:
            notes += ("Smoothed cross-validation found no minimum; the normal scale was used.",)
            return fall_back(x, w, label, notes, diagonal=self.diagonal)
        h = rows.matrix(h)
        return finish(np.sqrt(np.diag(h)) if self.diagonal else h, x, w, label, notes)


@dataclass(frozen=True)
class SmoothedCVDiagonal(SmoothedCV):
    """Smoothed cross-validation with a diagonal matrix, on scaled rows."""

    diagonal: bool = field(default=True, init=False)
    name: str = field(default="smoothed_cv_diagonal", init=False)
