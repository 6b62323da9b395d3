"""Which columns make a row rare: those that are least likely given its other columns.

    log p(x_j | x_rest) = log p(x) − log p(x_rest),

and p(x_rest) is the marginal of the others. Log densities of columns in different units cannot be compared,
so each is held against what is usual: its median over draws of the model. A value that is wrong makes its own
column unlikely given the rest, and others too where they tell much about it: the lowest comes first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..errors import UnsupportedError

__all__ = ["blamed", "shortfalls"]

Floats = NDArray[np.float64]

DRAWS = 1_000  # behind what is usual
NAMED = 3  # columns of a row, at most
LEAST = 1.0  # nats below what is usual, from which a second or third column is named


def shortfalls(model: Density, x: Floats, log_p: Floats) -> Floats:
    """Return by how many nats log p(x_j | rest) lies above its usual value, shape (n, d): negative where a
    column is less likely than usual, −inf where it is impossible given the rest.

    Raises
    ------
    UnsupportedError
        For a model without marginals.
    """
    d = x.shape[1]
    rng = np.random.default_rng(0)
    drawn = model._sample_rows(model.params_, DRAWS, rng)
    usual = model._log_density_rows(model.params_, drawn)
    out = np.empty((len(x), d))
    for j in range(d):
        rest = [i for i in range(d) if i != j]
        here, there = np.zeros(len(x)), np.zeros(DRAWS)
        if rest:
            part = model.marginal(rest)
            here, there = (part._log_density_rows(part.params_, rows[:, rest]) for rows in (x, drawn))
        # Where even the rest is impossible, nothing can be said of this column given it.
        given = np.where(np.isneginf(here), np.nan, log_p - np.where(np.isneginf(here), 0.0, here))
        out[:, j] = given - np.median(usual - there)
    return out


def blamed(model: Density, x: Floats, log_p: Floats) -> list[str]:
    """Return for each row x (n, d) its least likely columns in words: "waiting −7.1, eruptions −1.3"."""
    if not len(x):
        return []
    columns = model.params_.columns
    try:
        short = shortfalls(model, x, log_p)
    except UnsupportedError as error:
        raise UnsupportedError(f"why= asks for marginals: {error}") from error
    texts = []
    for row in short:
        if np.isnan(row).all():
            texts.append("impossible in more than one column")
            continue
        order = np.argsort(np.where(np.isnan(row), np.inf, row), kind="stable")[:NAMED]
        named = [j for at, j in enumerate(order) if at == 0 or row[j] < -LEAST]
        texts.append(", ".join(f"{columns.label(int(j))} {_signed(row[j])}" for j in named))
    return texts


def _signed(nats: float) -> str:
    return f"{nats:+.1f}".replace("-", "−")
