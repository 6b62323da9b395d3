"""The local maxima of a density, as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Modes"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Modes:
    """The local maxima of a density, densest first.

    Attributes
    ----------
    points : (k, d)
        Data units.
    log_density : (k,)
        Nats, data units.
    shares : (k,)
        The weight of the rows, or of a mixture's components, that climb to each mode; they sum to one.
    n_starts : int
        How many places climbed. In one column of a kernel estimate every row counts, without a climb.
    message : str
        How they were found, and whether all climbs ended.
    """

    points: Floats
    log_density: Floats
    shares: Floats
    n_starts: int
    message: str

    def __len__(self) -> int:
        return len(self.points)
