"""Rules of thumb: the bandwidth that is best for a normal sample of the same scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import inflation, interquartile, total_weight, weighted_sd

__all__ = ["NormalReference", "Scott", "Silverman"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scott(Rule):
    """σ_j n^(-1/(d+4)): best for normal columns, too wide for several bumps or far-out rows."""

    name: str = field(default="scott", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        d = x.shape[1]
        rate = total_weight(w) ** (-1.0 / (d + 4))
        sd = np.array([weighted_sd(column, w) for column in np.ascontiguousarray(x.T)])
        remedy = "Try bandwidth='silverman', which uses the interquartile range, or remove those rows."
        said = [inflation(x[:, j], w, sd[j], rate, label(j), remedy) for j in range(d)]
        return Choice(sd * rate, warnings=tuple(text for text in said if text))


@dataclass(frozen=True)
class _RobustReference(Rule):
    """factor · c_d min(σ_j, IQR_j/1.34) n^(-1/(d+4))."""

    factor: float
    name: str = field(default="", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        d = x.shape[1]
        rate = total_weight(w) ** (-1.0 / (d + 4))
        constant = self.factor * (4.0 / (d + 2)) ** (1.0 / (d + 4)) / (4.0 / 3.0) ** 0.2
        h, notes, warnings = np.empty(d), [], []
        for j, column in enumerate(np.ascontiguousarray(x.T)):
            sd, iqr = weighted_sd(column, w), interquartile(column, w)
            scale = min(sd, iqr / 1.34) if iqr > 0.0 else sd
            if iqr <= 0.0:
                notes.append(
                    f"{label(j)}: more than half the rows are tied (interquartile range 0), so the "
                    "bandwidth comes from the standard deviation."
                )
                remedy = "Give the bandwidth as a number, or remove those rows."
                text = inflation(column, w, sd, rate, label(j), remedy)
                warnings += [text] if text else []
            h[j] = constant * scale * rate
        return Choice(h, tuple(notes), tuple(warnings))


@dataclass(frozen=True)
class Silverman(_RobustReference):
    """Silverman's rule of thumb with the robust scale: R's ``bw.nrd0`` in one dimension."""

    factor: float = 0.9
    name: str = field(default="silverman", init=False)


@dataclass(frozen=True)
class NormalReference(_RobustReference):
    """Scott's normal reference with the robust scale: R's ``bw.nrd`` in one dimension."""

    factor: float = 1.06
    name: str = field(default="normal_reference", init=False)
