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
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pofx.maths.bandwidth.cross_validation_1d import least_squares_cv_by_column
from pofx.maths.bandwidth.least_squares_cv import least_squares_cv_matrix
from pofx.maths.bandwidth.likelihood_cv import LikelihoodCV
from pofx.maths.bandwidth.plug_in import PlugIn, PlugInDiagonal
from pofx.maths.bandwidth.rule import Choice, Label, Rule
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
        rule: Rule
        if d == 1:
            rule = SheatherJones()
        elif d <= MATRIX_COLUMNS:
            rule = PlugInDiagonal() if self.diagonal else PlugIn()
        else:
            rule = LikelihoodCV()
        return replace(rule.choose(x, w, label, frequencies=frequencies), rule=rule.name)


@dataclass(frozen=True)
class LeastSquaresCV(Rule):
    """Least-squares (unbiased) cross-validation: R's ``bw.ucv`` in one column, ks's ``Hlscv`` in several."""

    name: str = field(default="least_squares_cv", init=False)

    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        choose = least_squares_cv_by_column if x.shape[1] == 1 else least_squares_cv_matrix
        return choose(x, w, label, frequencies=frequencies)
