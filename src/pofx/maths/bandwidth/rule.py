"""What a bandwidth rule is, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Choice", "Label", "Rule"]

Floats = NDArray[np.float64]
Label = Callable[[int], str]


@dataclass(frozen=True)
class Choice:
    """A bandwidth per column, and what the user should know about it.

    Attributes
    ----------
    h : (d,) float64, or (d, d)
        Standard deviations per column, or a whole matrix: the positive definite covariance of the bump.
    notes : texts for the record of the fit
    warnings : texts that deserve a warning: the estimate is probably not what was wanted
    rule : the name of the rule that chose, where another chose it
    """

    h: Floats
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rule: str = ""


class Rule(ABC):
    """A rule that chooses bandwidths from rows; ``name`` is its short name."""

    name: str

    @abstractmethod
    def choose(self, x: Floats, w: Floats, label: Label, *, frequencies: bool = True) -> Choice:
        """Return the bandwidths of the columns of ``x`` (n, d) with weights ``w`` (n,).

        The rows are distinct and in lexicographic order, and no column is constant; ``label(j)`` is the name
        of column j for messages. ``frequencies``: a weight counts repetitions, so leaving one row out takes
        one from it; otherwise it is the importance of one row, which goes as a whole.

        Raises
        ------
        DegenerateError
            Where the weights amount to one row or less.
        """
