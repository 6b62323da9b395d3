"""The stack of a comparison: a mixture of its models, and what that mixture says of held-out rows.

The fits of the folds are there already, so the weights cost next to nothing: they are those of
:class:`pofx.Stack` from the table of held-out log densities (Smyth and Wolpert 1999). The stack's own score
is nested: a fold's rows are judged with weights that were learnt from the rows of the other folds (where rows
are in time, of the earlier folds; equal weights for the first), so it is no better off than any other model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..models.stack import Stack, stack_weights
from .foreign import Foreign
from .heldout import HeldOut, paired
from .ranking import Entry
from .splits import Split

__all__ = ["NAME", "Stacked", "stacked"]

NAME = "Stack"
WINS_BY = 2.0  # paired standard errors by which a stack must beat every single model

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stacked:
    """A stack that beats every single model: its parts by name, their weights, and its held-out record."""

    parts: tuple[str, ...]
    weights: Floats
    record: HeldOut


def stacked(table: Sequence[Entry], cut: Split) -> Stacked | None:
    """Return the stack of the models that may win, if it beats each of them by more than two paired standard
    errors; else None.

    What ties could have given a model is taken off its score before it is weighed.
    """
    able = [
        e.held_out
        for e in table
        if e.able and e.role == "candidate" and e.kind == "exact" and not _is_foreign(e.held_out)
    ]
    if len(able) < 2:
        return None
    scores = np.stack([record.scores for record in able], axis=1)
    used = cut.tested & ~np.isnan(scores).any(axis=1)
    if not (scores[used].max(axis=1) > -math.inf).any():
        return None
    weights = _learnt(scores, used, cut)
    log_p, honest = np.full(len(used), math.nan), np.full(len(used), math.nan)
    by_fold = []
    for k in range(cut.folds):
        asked = used & (cut.part == k)
        others = used & (cut.part < k if cut.spread.order is not None else cut.part != k)
        by_fold.append(_learnt(scores, others, cut))
        if asked.any():
            log_p[asked] = _mixed(np.stack([r.log_density[asked] for r in able], axis=1), by_fold[k])
            honest[asked] = _mixed(scores[asked], by_fold[k])
    with np.errstate(invalid="ignore"):
        gain = np.where(np.isfinite(log_p) & np.isfinite(honest), log_p - honest, 0.0)
    keep = np.flatnonzero(weights > 0)
    record = HeldOut(
        name=NAME,
        log_density=log_p,
        failure=None,
        fits=sum(r.fits for r in able),
        passes=sum(r.passes for r in able),
        seconds=sum(r.seconds for r in able),
        n_parameters=sum(able[m].n_parameters for m in keep) + len(keep) - 1,
        weights=cut.weights,
        tie_gain=gain if gain.any() else None,
        models=_fits(able, by_fold, cut),
        spread=cut.spread,
        predicted_bytes=sum(able[m].predicted_bytes for m in keep),
    )
    for single in able:
        gap = paired(record, single)
        if not gap.value > WINS_BY * gap.error:  # also where either is NaN
            return None
    return Stacked(tuple(able[m].name for m in keep), weights[keep] / weights[keep].sum(), record)


def _is_foreign(record: HeldOut) -> bool:
    """Whether the fits are another library's, which no model of ours can hold."""
    return any(isinstance(fit, Foreign) for fit in record.models)


def _learnt(scores: Floats, rows: NDArray[np.bool_], cut: Split) -> Floats:
    """Return the weights from these rows; equal ones where none of them is possible under any part."""
    if not rows.any() or not (scores[rows] > -math.inf).any():
        return np.full(scores.shape[1], 1.0 / scores.shape[1])
    return stack_weights(scores[rows], None if cut.weights is None else cut.weights[rows])


def _mixed(logs: Floats, weights: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp(logs + np.log(weights), axis=1))


def _fits(able: Sequence[HeldOut], by_fold: Sequence[Floats], cut: Split) -> tuple[Stack, ...]:
    if any(len(record.models) < cut.folds for record in able):
        return ()
    return tuple(Stack.from_models([record.models[k] for record in able], w) for k, w in enumerate(by_fold))
