r"""What ties can give: a density with bumps narrower than the recorded step wins by spikes, not by sense.

A column recorded in steps of s has its values on a lattice. A bump of standard deviation σ = r s puts on
the lattice at most

    s Σ_k φ_σ(ks − μ)  ≤  θ(r) = 1 + 2 Σ_k exp(−2 π² k² r²)        (Poisson's summation formula)

times its mass, so its log density at recorded values is at most log θ(r) nats per row more than what it
could honestly say of them: 0.014 at r = 1/2, 0.33 at r = 1/√12 and without bound below (a bin of 2r < 1
steps: log 1/(2r)). A product over columns, each given those before it, multiplies the bounds.

Two rules follow. Half a step is where a bump (two standard deviations, or one bin) is as wide as the cell
that a recorded value stands for; a finer model is told of, and its score lowered by the bound. Rounding
alone leaves a standard deviation of s/√12; nothing recorded can be narrower, so a model that is cannot win.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..maths.bins import lattice_step
from ..validation import Rows

__all__ = ["Steps", "TieGain", "tie_gain"]

Floats = NDArray[np.float64]

FINE = 0.5 - 1e-6  # steps: below, a bump is narrower than a recorded cell
ROUNDING = 1.0 / math.sqrt(12.0)  # steps: below, it is narrower than rounding leaves anything


@dataclass(frozen=True, eq=False)
class TieGain:
    """What ties could have given one fitted model.

    Parameters
    ----------
    ratios : ndarray (d,)
        Its finest scale along each column, in recorded steps; infinite for continuous columns.
    nats : float
        By how much its log density at recorded values may be too high, at most.
    """

    ratios: Floats
    nats: float

    @property
    def impossible(self) -> bool:
        """Whether it is narrower than rounding leaves anything."""
        return bool((self.ratios < ROUNDING).any())


@dataclass(frozen=True, eq=False)
class Steps:
    """The recorded step of each column (d,), data units; NaN for a continuous one."""

    sizes: Floats

    @classmethod
    def of(cls, rows: Rows) -> Steps:
        """Return the steps of the lattices that the columns lie on, else those of their recorded decimals."""
        sizes = np.full(len(rows.columns), np.nan)
        for j, places in enumerate(rows.columns.decimals):
            distinct = np.unique(rows.values[:, j])
            step = lattice_step(distinct)
            if step is None and places is not None and len(distinct) > 1:
                step = 10.0**-places
            if step is not None:
                sizes[j] = step
        return cls(sizes)

    def gain(self, model: Density) -> TieGain:
        """Return what ties could give a fitted model."""
        params = model.params_
        finest = model._finest_scale(params)
        if finest is None:
            return TieGain(np.full(len(self.sizes), np.inf), 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            ratios = np.ldexp(np.asarray(finest, dtype=float), params.units.exponent) / self.sizes
        ratios = np.where(np.isnan(ratios), np.inf, ratios)
        return TieGain(ratios, float(sum(tie_gain(r, flat=model._flat()) for r in ratios[ratios < FINE])))


def tie_gain(ratio: float, *, flat: bool = False) -> float:
    """Return log θ(r), r the bump's half width in recorded steps; log 1/(2r) where it is flat, like a bin."""
    if flat:
        return max(0.0, -math.log(2.0 * max(ratio, 1e-300)))
    if ratio < 0.05:  # one peak is all that counts
        return -math.log(max(ratio, 1e-300) * math.sqrt(2.0 * math.pi))
    k = np.arange(1, 40)
    return math.log1p(2.0 * float(np.exp(-2.0 * np.pi**2 * k**2 * ratio**2).sum()))
