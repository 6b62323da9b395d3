"""A trial before the folds: who is hopeless already with an eighth of the rows.

Where many models are compared, most of the time would go to those that come to nothing. Each is first fitted
to an eighth of the rows of the first fold, and asked about some that the fold holds out. Who lies farther
behind the leader than chance and more rows could make up for is not fitted to the folds.

What more rows give: a model of p parameters falls p / 2n nats per row short of the best that its family can
do (Akaike 1974, *IEEE Transactions on Automatic Control* 19:716; it is granted twice that). One that grows
with the rows, as a kernel estimate does, gains with their number n like a power of n, 4 / (4 + d) in d
columns; it is fitted to a sixteenth too, and granted twice what that doubling gained, which is what the three
doublings from an eighth to all give at a power of 0.3, and more than they give at a higher one. A model that
searches is not tried: with few rows it may choose a smaller one, and its gain has steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from .splits import Split
from .spread import Mean

__all__ = ["FAR", "Trial", "behind", "plan", "tried"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

DOUBLINGS = 3  # from the rows of a trial to those of a fold
GRANTED = 2.0  # times what theory, or the last doubling, lets expect
FEWEST = 250  # rows that a trial is fitted to, at least
MOST_ASKED = 1_000  # held-out rows that it is asked about
FAR = 4.0  # paired standard errors behind the leader; to draw level takes a surprise as large once more


@dataclass(frozen=True, eq=False)
class Trial:
    """What a model said of rows ``asked`` when fitted to ``n`` others.

    Parameters
    ----------
    scores : ndarray (n_asked,)
        Log densities less all that ties could have given them.
    granted : float
        What more rows could give it, nats per row.
    too_fine : bool
        Whether it is narrower than rounding leaves anything.
    """

    n: int
    asked: Indices
    scores: Floats
    granted: float
    too_fine: bool


def plan(cut: Split) -> tuple[Indices, Indices] | None:
    """Return the rows that trials are fitted to (the first half of them first) and asked about; None where
    the rows are too few for it to be worth while."""
    trained, asked = cut.trained(0), cut.asked(0)
    n = len(trained) >> DOUBLINGS
    if n < FEWEST:
        return None
    rng = np.random.default_rng(len(trained))  # the same rows for every model, and at every run
    return rng.permutation(trained)[:n], np.sort(rng.permutation(asked)[:MOST_ASKED])


def tried(model: Density, cut: Split, fitted: Indices, asked: Indices) -> Trial | None:
    """Return the trial of a model; None where it could not be fitted to so few rows, which says nothing."""
    try:
        fit, scores, too_fine = _fit(model, cut, fitted, asked)
        if fit.parametric:
            granted = fit.n_parameters_ / (2.0 * len(fitted))
        else:
            _, before, _ = _fit(model, cut, fitted[: len(fitted) // 2], asked)
            with np.errstate(invalid="ignore"):  # impossible in both
                granted = max(float(np.mean(scores - before)), 0.0)
    except Exception:  # a stranger's model may raise anything; the folds will tell
        return None
    granted = math.inf if math.isnan(granted) else GRANTED * granted
    return Trial(len(fitted), asked, scores, granted, too_fine)


def _fit(model: Density, cut: Split, rows: Indices, asked: Indices) -> tuple[Density, Floats, bool]:
    fit = cut.fit_to(model, np.sort(rows))
    tie = cut.steps.gain(fit)
    return fit, np.asarray(fit.log_density(cut.some(asked))) - tie.nats, tie.impossible


def behind(one: Trial, leader: Trial, cut: Split) -> Mean:
    """Return by how much a model leads (negative: lags), all that more rows could give it added."""
    scores = np.full(len(cut.part), math.nan)
    with np.errstate(invalid="ignore"):  # impossible in both
        scores[one.asked] = one.scores - leader.scores
    gap = cut.spread.mean(scores, cut.weights, ~np.isnan(scores))
    return Mean(gap.value + one.granted, gap.error, gap.freedom)
