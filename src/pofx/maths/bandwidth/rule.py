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
    h : (d,) float64
    notes : texts for the record of the fit
    warnings : texts that deserve a warning: the estimate is probably not what was wanted
    """

    h: Floats
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


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
