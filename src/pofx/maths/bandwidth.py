r"""Bandwidth rules: how wide a kernel to put on every row, from the rows themselves.

Every rule gives one bandwidth per column: the standard deviation of the kernel, in the units of the
column. With n = Σw rows in d columns, column sd σ_j (n - 1 in the divisor) and interquartile range IQR_j:

================  =====================================================================================
scott             σ_j n^(-1/(d+4))                                                  (Scott 1992)
silverman         0.9 c_d min(σ_j, IQR_j/1.34) n^(-1/(d+4)),
                  c_d = (4/(d+2))^(1/(d+4)) / (4/3)^(1/5); R's ``bw.nrd0`` in 1-D   (Silverman 1986)
normal_reference  the same with 1.06 for 0.9; R's ``bw.nrd`` in 1-D                 (Scott 1992)
isj               the improved Sheather-Jones plug-in of each column alone, times
                  n^(1/5 - 1/(d+4)) for the rate that d columns need   (Botev, Grotowski, Kroese 2010)
================  =====================================================================================

Where IQR_j = 0, as on heavily tied data, R's ``bw.nrd0`` falls back to σ_j and so do both rules here
(R's ``bw.nrd`` then returns 0). R goes on to |x_1| and 1 when σ_j = 0 as well; those numbers are artefacts
of the origin and the units, so a constant column is left to the caller to refuse.

The rules were derived for the Gaussian kernel. Other kernels *of the same standard deviation* have a best
bandwidth within a few per cent of the Gaussian's for smooth densities, so no factor is applied.

References
----------
D. W. Scott, *Multivariate Density Estimation*, Wiley 1992, section 6.5.
B. W. Silverman, *Density Estimation for Statistics and Data Analysis*, Chapman & Hall 1986, 3.4 and 4.3.
Z. I. Botev, J. F. Grotowski and D. P. Kroese, Kernel density estimation via diffusion, *Annals of
Statistics* 38 (2010) 2916-2957.
A. Akinshin, Weighted quantile estimators, 2023 (arXiv:2304.07265): quantiles with fractional weights.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DegenerateError
from pofx.maths.diffusion import improved_sheather_jones
from pofx.validation import one_of

__all__ = [
    "RULES",
    "Choice",
    "ImprovedSheatherJones",
    "NormalReference",
    "Rule",
    "Scott",
    "Silverman",
    "rule_named",
    "tie_step",
    "weighted_quantile",
    "weighted_sd",
]

Floats = NDArray[np.float64]
Label = Callable[[int], str]

INFLATED = 5.0  # sd over robust scale above which a few rows may set the bandwidth
LATTICE = 0.1  # half a spacing of ties below this share of Silverman's bandwidth is no lattice
FLATTENED = 0.5  # nats by which the bulk's log density may be lowered for that before it is said


@dataclass(frozen=True)
class Choice:
    """A bandwidth per column, and what the user should know about it.

    Attributes
    ----------
    h : (d,) float64
    notes : texts for the record of the fit
    warnings : texts that deserve a warning: the estimate is probably not what was wanted
    """

    h: Floats
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


# ---------------------------------------------------------------- scales of one column


def weighted_mean(x: Floats, w: Floats) -> float:
    """Return Σwx/Σw of one column, computed about one of its values."""
    origin = x[0]
    return float(origin + ((x - origin) * w).sum() / w.sum())


def weighted_sd(x: Floats, w: Floats) -> float:
    """Return the standard deviation with Σw - 1 in the divisor: that of the repeated rows."""
    centred = x - weighted_mean(x, w)
    return math.sqrt(float((w * centred * centred).sum()) / (float(w.sum()) - 1.0))


def weighted_quantile(x: Floats, w: Floats, q: float) -> float:
    """Return the q-quantile of one column, R's type 7 (NumPy's default) of the repeated rows.

    Type 7 is the mean of the step function Q, on which row i lies over an interval of length w_i, over the
    window [q(W-1), q(W-1) + 1]. This form has a meaning for any weights, and is continuous in them.
    """
    order = np.argsort(x, kind="stable")
    x, end = x[order], np.cumsum(w[order])
    start = q * max(float(end[-1]) - 1.0, 0.0)
    stop = min(start + 1.0, float(end[-1]))
    begin = np.concatenate([[0.0], end[:-1]])
    share = np.clip(np.minimum(end, stop) - np.maximum(begin, start), 0.0, None)
    first = x[int(np.argmax(share > 0.0))]  # about this value, so that tied rows give it exactly
    return float(first + (share * (x - first)).sum() / share.sum())


def tie_step(x: Floats, w: Floats) -> float:
    """Return the spacing of the lattice that rounded values lie on; 0 where no two rows are tied.

    It is the smallest gap between distinct values, so it follows the data's units whatever was done to
    them after they were rounded; a few ties among values that were not rounded give next to nothing.
    """
    values = np.unique(x)
    if float(w.sum()) <= len(values) * (1.0 + 1e-9):
        return 0.0
    gaps = np.diff(values)
    gaps = gaps[gaps > 1e-9 * _robust_scale(x, w)]  # less is the rounding of arithmetic, not of a record
    return float(gaps.min()) if len(gaps) else 0.0


def _interquartile(x: Floats, w: Floats) -> float:
    return weighted_quantile(x, w, 0.75) - weighted_quantile(x, w, 0.25)


def _robust_scale(x: Floats, w: Floats) -> float:
    """Return a scale of the bulk that is σ for a normal column; wider quantiles where ties collapse it."""
    for tail, width in ((0.25, 1.349), (0.1, 2.563), (0.02, 4.108)):
        scale = (weighted_quantile(x, w, 1.0 - tail) - weighted_quantile(x, w, tail)) / width
        if scale > 0.0:
            return scale
    return 0.0


def _total(w: Floats) -> float:
    total = float(w.sum())
    if total <= 1.0:
        raise DegenerateError(
            "A data-driven bandwidth needs a sample size above 1; the weights amount to "
            f"{total:.4g}. Give more rows, or the bandwidth as a number."
        )
    return total


def _inflation(x: Floats, w: Floats, sd: float, rate: float, label: str, remedy: str) -> str | None:
    """Return a sentence where a few far rows have blown up σ enough to flatten the bulk.

    The bulk of scale s under a kernel of sd r·s·rate has its log density lowered by about
    ½ log((1 + r² rate²)/(1 + rate²)) nats against the same with r = 1.
    """
    scale = _robust_scale(x, w)
    if scale <= 0.0 or sd <= INFLATED * scale:
        return None
    r = sd / scale
    lost = math.log(math.hypot(1.0, r * rate) / math.hypot(1.0, rate))
    if lost < FLATTENED:
        return None
    return (
        f"{label}: far-out rows make the standard deviation {r:.3g} times that of the central half, and the "
        f"bandwidth with it: the bulk's log density comes out about {lost:.1f} nats too low. {remedy}"
    )


# ---------------------------------------------------------------- the rules


class Rule(ABC):
    """A rule that chooses bandwidths from rows; ``name`` is its short name."""

    name: str

    @abstractmethod
    def choose(self, x: Floats, w: Floats, label: Label) -> Choice:
        """Return the bandwidths of the columns of ``x`` (n, d) with weights ``w`` (n,).

        No column may be constant; ``label(j)`` is the name of column j for messages.

        Raises
        ------
        DegenerateError
            Where the weights amount to one row or less.
        """


@dataclass(frozen=True)
class Scott(Rule):
    """σ_j n^(-1/(d+4)): best for normal columns, too wide for several bumps or far-out rows."""

    name: str = field(default="scott", init=False)

    def choose(self, x: Floats, w: Floats, label: Label) -> Choice:
        d = x.shape[1]
        rate = _total(w) ** (-1.0 / (d + 4))
        sd = np.array([weighted_sd(column, w) for column in np.ascontiguousarray(x.T)])
        remedy = "Try bandwidth='silverman', which uses the interquartile range, or remove those rows."
        said = [_inflation(x[:, j], w, sd[j], rate, label(j), remedy) for j in range(d)]
        return Choice(sd * rate, warnings=tuple(text for text in said if text))


@dataclass(frozen=True)
class _RobustReference(Rule):
    """factor · c_d min(σ_j, IQR_j/1.34) n^(-1/(d+4))."""

    factor: float
    name: str = field(default="", init=False)

    def choose(self, x: Floats, w: Floats, label: Label) -> Choice:
        d = x.shape[1]
        rate = _total(w) ** (-1.0 / (d + 4))
        constant = self.factor * (4.0 / (d + 2)) ** (1.0 / (d + 4)) / (4.0 / 3.0) ** 0.2
        h, notes, warnings = np.empty(d), [], []
        for j, column in enumerate(np.ascontiguousarray(x.T)):
            sd, iqr = weighted_sd(column, w), _interquartile(column, w)
            scale = min(sd, iqr / 1.34) if iqr > 0.0 else sd
            if iqr <= 0.0:
                notes.append(
                    f"{label(j)}: more than half the rows are tied (interquartile range 0), so the "
                    "bandwidth comes from the standard deviation."
                )
                remedy = "Give the bandwidth as a number, or remove those rows."
                text = _inflation(column, w, sd, rate, label(j), remedy)
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


@dataclass(frozen=True)
class ImprovedSheatherJones(Rule):
    """The fixed point of Botev, Grotowski and Kroese, column by column (:mod:`pofx.maths.diffusion`).

    On rounded data the fixed point can fall to the spacing of the ties; the bandwidth is then held at half
    of that spacing, the smallest at which neighbouring Gaussian bumps still run into one another. Where the
    ties are no lattice (a heap of equal rows among others) or there is no fixed point (a few rows, or
    far-out rows that hide the bulk), Silverman's rule takes over. Either is noted.
    """

    name: str = field(default="isj", init=False)

    def choose(self, x: Floats, w: Floats, label: Label) -> Choice:
        d, total = x.shape[1], _total(w)
        h = np.empty(d)
        notes: list[str] = []
        warnings: tuple[str, ...] = ()
        for j, column in enumerate(np.ascontiguousarray(x.T)):
            floor = 0.5 * tie_step(column, w)
            found = improved_sheather_jones(column, w, floor=floor)
            if found.h is not None and not found.floored:
                h[j] = found.h
                continue
            name = label(j)
            instead = Silverman().choose(column[:, None], w, lambda _, name=name: name)  # type: ignore[misc]
            if found.floored and floor >= LATTICE * float(instead.h[0]):
                h[j] = floor
                notes.append(f"{name}: the ties pull the bandwidth to 0; held at half their spacing.")
            else:
                h[j] = max(float(instead.h[0]), floor)
                reason = found.reason or "is pulled to 0 by ties"
                notes.append(f"{name}: improved Sheather-Jones {reason}; Silverman's rule was used.")
                warnings += instead.warnings
        return Choice(h * total ** (0.2 - 1.0 / (d + 4)), tuple(notes), warnings)


RULES: dict[str, Rule] = {
    rule.name: rule for rule in (Scott(), Silverman(), NormalReference(), ImprovedSheatherJones())
}
"""The bandwidth rules by their short names."""


def rule_named(rule: str | Rule) -> Rule:
    """Return the rule of this name (ParameterError for a word that is none); a rule is returned as it is."""
    return rule if isinstance(rule, Rule) else RULES[one_of(rule, "bandwidth", RULES)]
