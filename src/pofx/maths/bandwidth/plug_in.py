r"""Two-stage plug-in bandwidth matrices.

    AMISE(H) = n⁻¹ (4π)^{-d/2} |H|^{-1/2} + ¼ Σ_{ijkl} H_ij H_kl ψ_{ijkl},      ψ = ∫ f D^{⊗4} f

is minimised with ψ estimated from the rows by a double sum of the fourth derivatives of φ_{g²I}. Its pilot
width g needs ψ of order 6, which is estimated in the same manner with a pilot that takes ψ of order 8 from
the normal density. The pilot of order r minimises the leading squared bias over all entries of ψ_r,

    Σ_α m_α (n⁻¹ g^{-d-r} D^αφ_I(0) + ½ g² Σ_k ψ_{α+2e_k})²,

on sphered rows (all entries of the tensor, m_α = r!/α!, so a rotation changes nothing; Chacón and Duong 2010)
or, for a diagonal H, on scaled rows (each derivative once, m_α = 1; Duong and Hazelton 2003). AMISE is convex
in H, and the quadratic form is never negative because ψ comes from one Gaussian; so the minimum is unique.

R's ``ks`` has the same criterion with wider pilots in two dimensions (on ``faithful`` g = 0.551 for 0.446 on
sphered rows, 0.251 for 0.239 on scaled ones), so its matrices come out wider; we found no published formula
that gives those pilots.

In one dimension this is the direct plug-in of Sheather and Jones 1991 with the smaller of the standard
deviation and the standardised interquartile range as the scale, as in Wand's ``dpik``.

Sources: S. J. Sheather and M. C. Jones, *JRSS B* 53 (1991) 683-690; M. P. Wand and M. C. Jones,
*Computational Statistics* 9 (1994) 97-116; T. Duong and M. L. Hazelton, *J. Nonparametric Statistics* 15
(2003) 17-30; J. E. Chacón and T. Duong, *TEST* 19 (2010) 375-398.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.gaussian_tensors import (
    PAIRS,
    DoubleSums,
    derivatives_at_zero,
    double_sums,
    entry,
    laplacian,
    multiplicities,
)
from pofx.maths.bandwidth.normal_scale import (
    Standard,
    fall_back,
    finish,
    minimise,
    normal_scale_factor,
    standardise,
    too_few,
)
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import interquartile

__all__ = ["PlugIn", "PlugInDiagonal", "pilot", "sketched", "two_stages"]

Floats = NDArray[np.float64]

WIDEST = 2.0  # sd of the widest Gaussian of a search, in standardised units


def pilot(above: Floats, n: float, d: int, r: int, *, every_entry: bool) -> float:
    """Return the pilot width g for ψ of order r, from ``above``, ψ of order r + 2.

    With A₁ = Σ m K², A₂ = Σ m K L, A₃ = Σ m L², K = D^αφ_I(0) and L = Σ_k ψ_{α+2e_k}, the squared bias
    has its minimum where y = n g^{r+d+2} solves A₃ y² − (r + d − 2) A₂ y − 2 (r + d) A₁ = 0.
    """
    m = multiplicities(d, r) if every_entry else 1.0
    at_zero, bias = derivatives_at_zero(np.eye(d), r), laplacian(above, d, r)
    a1, a2, a3 = (float((m * p).sum()) for p in (at_zero**2, at_zero * bias, bias**2))
    b = (r + d - 2) * a2
    # A₂ < 0, as K and L have opposite signs; this form of the root then loses no digits.
    y = 4.0 * (r + d) * a1 / (-b + math.sqrt(b * b + 8.0 * (r + d) * a1 * a3))
    return float((y / n) ** (1.0 / (r + d + 2)))


def two_stages(
    rows: Standard, *, every_entry: bool, frequencies: bool = True, most: int = PAIRS
) -> tuple[float, DoubleSums]:
    """Return the pilot width g of ψ_4, and double sums over the rows that are exact for it.

    Where the sums use a sketch of ``most`` rows, its own size sets the pilots.
    """
    d = rows.d

    def normal(n: float, r: int) -> float:
        return pilot(derivatives_at_zero(2.0 * rows.covariance, r + 2), n, d, r, every_entry=every_entry)

    # One stage is too wide where the rows are not normal: room for a pilot of a third of it.
    narrow = normal(rows.size, 4) / 3.0
    sums = double_sums(rows.z, rows.w, narrow, WIDEST, frequencies=frequencies, most=most)
    g6 = normal(sums.size, 6)
    sums = sums.reaching(g6)
    g4 = pilot(sums.functionals(g6, 6), sums.size, d, 4, every_entry=every_entry)
    return g4, sums.reaching(g4)


def sketched(sums: DoubleSums, rows: Standard) -> tuple[str, ...]:
    """Return the note on a sketch, if one was used."""
    if sums.rows == len(rows.z):
        return ()
    return (
        f"The bandwidth comes from {sums.rows:,} of the {len(rows.z):,} distinct rows, with the rate of all.",
    )


def _plug_in(rows: Standard, g: float, sums: DoubleSums, *, diagonal: bool) -> tuple[Floats, bool]:
    """Return the minimum of AMISE over H (d, d) in standardised units."""
    d = rows.d
    psi = sums.functionals(g, 4)
    places = [[entry(d, i, j, k, m) for k in range(d) for m in range(d)] for i in range(d) for j in range(d)]
    form = psi[np.array(places)]
    top = (4.0 * math.pi) ** (-d / 2) / rows.size

    def amise(h: Floats) -> tuple[float, Floats]:
        variance = top / math.sqrt(float(np.linalg.det(h)))
        push = (form @ h.ravel()).reshape(d, d)
        return variance + 0.25 * float((h * push).sum()), 0.5 * (push - variance * np.linalg.inv(h))

    start = normal_scale_factor(rows.size, d) ** 2 * np.eye(d)
    return minimise(amise, start, diagonal=diagonal)


@dataclass(frozen=True)
class PlugIn(Rule):
    """The two-stage plug-in with a full matrix, on sphered rows."""

    diagonal: bool = field(default=False, init=False)
    name: str = field(default="plug_in", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        """Return H (d, d); standard deviations (d,) for a diagonal H and for a single column."""
        few = too_few(x, w)
        if few:
            return fall_back(x, w, label, few, diagonal=True)
        rows = standardise(x, w, label, sphere=not self.diagonal)
        if rows.d == 1:
            rows = robust(rows)
        g, sums = two_stages(rows, every_entry=not self.diagonal, frequencies=frequencies)
        notes = sketched(sums, rows)
        flat = self.diagonal or rows.d == 1
        h, settled = _plug_in(rows, g, sums, diagonal=flat)
        if not settled:
            notes += ("The plug-in criterion has no clear minimum; the normal scale was used.",)
            return fall_back(x, w, label, notes, diagonal=self.diagonal)
        h = rows.matrix(h)
        return finish(np.sqrt(np.diag(h)) if flat else h, x, w, label, notes)


@dataclass(frozen=True)
class PlugInDiagonal(PlugIn):
    """The two-stage plug-in with a diagonal matrix, on scaled rows."""

    diagonal: bool = field(default=True, init=False)
    name: str = field(default="plug_in_diagonal", init=False)


def robust(rows: Standard) -> Standard:
    """Return a single column divided by its interquartile range / 1.349 where that is less than its sd."""
    iqr = interquartile(rows.z[:, 0], rows.w) / 1.349
    if not 0.0 < iqr < 1.0:
        return rows
    return replace(rows, z=rows.z / iqr, back=rows.back * iqr)
