"""The default: the best rule for the number of columns, and what takes over where it has no answer.

==========  ====================================================================================
columns     rule
==========  ====================================================================================
1           Sheather-Jones, solve the equation; Silverman's rule where it has no root, or half the
            spacing of ties where they pull it to 0
2 to 4      plug-in matrix; for other kernels, bounds and periods the diagonal one; the normal
            scale where rows are too few for it
5 and more  likelihood cross-validation with one bandwidth per column
==========  ====================================================================================

From two columns on, where far-out rows make a standard deviation more than five times that of the bulk, or
where columns are collinear, Sheather-Jones takes over column by column: it starts from the interquartile
range and looks at one column at a time, so neither can move it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pofx.errors import DegenerateError
from pofx.maths.bandwidth.cross_validation_1d import least_squares_cv_by_column
from pofx.maths.bandwidth.least_squares_cv import least_squares_cv_matrix
from pofx.maths.bandwidth.likelihood_cv import LikelihoodCV
from pofx.maths.bandwidth.plug_in import PlugIn, PlugInDiagonal
from pofx.maths.bandwidth.rule import Choice, Label, Rule
from pofx.maths.bandwidth.scales import INFLATED, robust_scale, weighted_sd
from pofx.maths.bandwidth.sheather_jones import SheatherJones

__all__ = ["Auto", "LeastSquaresCV"]

Floats = NDArray[np.float64]

MATRIX_COLUMNS = 4


@dataclass(frozen=True)
class Auto(Rule):
    """The default of :class:`pofx.KDE`; ``diagonal``: one bandwidth per column is needed."""

    diagonal: bool = False
    name: str = field(default="auto", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        d = x.shape[1]
        rule: Rule = SheatherJones()
        if d > 1:
            far = [label(j) for j, column in enumerate(np.ascontiguousarray(x.T)) if _far_out(column, w)]
            if far:
                shown = ", ".join(far[:5]) + (" …" if len(far) > 5 else "")
                return self._by_column(x, w, label, f"Far-out rows stretch {shown}", frequencies)
            if d > MATRIX_COLUMNS:
                rule = LikelihoodCV()
            else:
                rule = PlugInDiagonal() if self.diagonal else PlugIn()
        try:
            return replace(rule.choose(x, w, label, frequencies=frequencies), rule=rule.name)
        except DegenerateError as error:
            if "collinear" not in str(error):
                raise
            return self._by_column(x, w, label, str(error).partition(":")[0], frequencies)

    def _by_column(self, x: Floats, w: Floats, label: Label, why: str, frequencies: bool) -> Choice:
        choice = SheatherJones().choose(x, w, label, frequencies=frequencies)
        note = f"{why}: the bandwidth comes from each column alone."
        return replace(choice, rule="sheather_jones", notes=(note, *choice.notes))


def _far_out(column: Floats, w: Floats) -> bool:
    return weighted_sd(column, w) > INFLATED * robust_scale(column, w) > 0.0


@dataclass(frozen=True)
class LeastSquaresCV(Rule):
    """Least-squares (unbiased) cross-validation: R's ``bw.ucv`` in one column, ks's ``Hlscv`` in several."""

    name: str = field(default="least_squares_cv", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        choose = least_squares_cv_by_column if x.shape[1] == 1 else least_squares_cv_matrix
        return choose(x, w, label, frequencies=frequencies)
