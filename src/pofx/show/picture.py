"""The picture of a fitted model beside its data: one column, or two of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.show.figure import Figure
from pofx.show.pictures.one import one_column
from pofx.show.pictures.pair import strongest_pair, two_columns
from pofx.show.pictures.parts import MASSES, Wish

__all__ = ["MASSES", "picture", "strongest_pair"]


def picture(
    model: Density,
    values: NDArray[np.float64],
    name: str,
    *,
    points: int | None = None,
    pair: tuple[int, int] | None = None,
) -> Figure:
    """Return the figure of a fitted model over the rows ``values`` (n, d), in the order of its columns.

    One column: the histogram of the rows with the model's density, and where its mass lies. Two: the rows
    with the regions that hold half, 80 % and 95 % of the model's mass, and both columns by themselves.
    More: the same for two columns, the ``pair`` or those of strongest rank correlation. ``points=0`` draws
    no single row.
    """
    wish = Wish(name, points=points)
    d = model.n_features_in_
    if d == 1:
        return one_column(model, values[:, 0], wish)
    if d == 2:
        return two_columns(model, values, (0, 1), wish)
    if pair is not None:
        return two_columns(model, values, pair, wish)
    why = f", the two of {d} columns with the strongest rank correlation"
    return two_columns(model, values, strongest_pair(values), wish, why=why)
