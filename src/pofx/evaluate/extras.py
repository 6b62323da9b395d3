"""What ``check`` adds on demand: four more ways to hold rows against a density and its draws.

They stand beside the verdict and have no part in it: eight tests at 5 % would call a right density wrong in a
third of all runs. Each says its own number, what chance makes of it, and how many rows it needs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..maths.two_sample import MMD, Sliced, Support, mmd_test, sliced_test, support_test
from ..validation import Columns
from .rosenblatt import Rosenblatt, rosenblatt_test, rosenblatt_values

__all__ = ["Extras", "extras_of"]

Floats = NDArray[np.float64]

EACH = 0.01  # the level of each
LEAST = 20  # rows


@dataclass(frozen=True, eq=False)
class Extras:
    """Further comparisons of rows and draws; a text says why one is not there.

    Attributes
    ----------
    mmd : MMD or str
        Maximum mean discrepancy with a Gaussian kernel.
    sliced : Sliced or str
        Sliced Wasserstein distance.
    support : Support or str
        Precision, recall, density and coverage.
    rosenblatt : Rosenblatt or str
        Each column given those before it.
    """

    mmd: MMD | str
    sliced: Sliced | str
    support: Support | str
    rosenblatt: Rosenblatt | str

    @property
    def sentences(self) -> list[str]:
        """One for each."""
        found = [(field.name, getattr(self, field.name)) for field in fields(self)]
        return [
            f"{name.capitalize()}: not done, {value}." if isinstance(value, str) else value.sentence
            for name, value in found
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: {"not_done": value} if isinstance(value, str) else value.to_dict()
            for name, value in found.items()
        }


def extras_of(
    judges: list[tuple[Density, Floats]],
    x: Floats,
    drawn: Floats,
    columns: Columns,
    rng: np.random.Generator,
) -> Extras:
    """Return all of them.

    Parameters
    ----------
    judges : list of (Density, rows)
        Who judged which rows: of the Rosenblatt transform.
    x, drawn : ndarray (n, d), (m, d)
        Rows and draws, at the recorded precision.
    """
    names = [columns.label(j) for j in range(len(columns))]
    streams = rng.spawn(5)
    if len(x) < LEAST:
        few = f"it needs {LEAST} rows"
        return Extras(few, few, few, few)
    parts: list[Floats] = []
    why = ""
    for judge, rows in judges:
        u = rosenblatt_values(judge, rows, streams[0], columns)
        if isinstance(u, str):
            why = u
            break
        parts.append(u)
    return Extras(
        mmd_test(x, drawn, streams[1], EACH),
        sliced_test(x, drawn, streams[2], EACH),
        support_test(x, drawn, streams[3], EACH),
        why or rosenblatt_test(np.concatenate(parts), names, streams[4], EACH),
    )
