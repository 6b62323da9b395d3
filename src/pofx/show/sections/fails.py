"""Where a model fails, in one sentence: from its calibration, the map of its residuals, and its losses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pofx.evaluate.check import Check
from pofx.evaluate.compare import Comparison, Entry
from pofx.evaluate.curves import percent
from pofx.show.cards import Judged
from pofx.show.page import number, number_in_words, short
from pofx.validation import Rows

__all__ = ["fails", "without_rows", "worst"]

TAIL = 0.25  # of a model's draws, the least dense: a gap there is about its width
MOST_COLUMNS = 200  # searched for the place of the losses


def fails(result: Comparison, judged: Judged, place: str, *, aggregates: bool = False) -> str:
    """Return one sentence saying where the model fails.

    ``place`` is what the map of residuals points at, "" for nothing. With ``aggregates`` no single row is
    quoted.
    """
    parts = []
    check = judged.check
    if check is not None and not check.passed:
        outside = check.curves_outside
        more = f" ({outside} of {len(check.curves)} curves leave their bands)" if outside > 1 else ""
        parts.append(f"{worst(check, aggregates=aggregates)}{more}")
    parts += [part for part in (place, _losses(result, judged)) if part]
    if parts:
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}."
    if check is None:
        return "It was not checked; the numbers in the table stand alone."
    shown = max(curve.half_width for curve in check.curves)
    return (
        f"Nothing that chance would not explain; with {check.n:,} rows, gaps of more than {percent(shown)} "
        "of the rows would have shown."
    )


def worst(check: Check, *, aggregates: bool = False) -> str:
    """The largest gap in words; for the rank of the log density, what it says of the model's width."""
    curve, told = check.worst, check.told
    if not check.curves_outside and told is not None and check.told_apart:
        where = f", with {told.region.words('the data', 'the model')}" if told.region else ""
        return f"no curve leaves its band, but a classifier tells rows from draws (AUC {told.auc:.2f}){where}"
    if not check.curves_outside and not check.together:
        return without_rows(check.energy_sentence) if aggregates else check.energy_sentence
    if curve is not check.rank:
        return curve.sentence
    if curve.gap < 0:
        return (
            f"it is too wide, with mass where there are no rows: {percent(curve.observed)} of the rows lie "
            f"where its density is low, {percent(curve.expected)} of its own draws do"
        )
    if curve.expected <= TAIL:
        return (
            f"it is too narrow: {percent(curve.observed)} of the rows lie where its density is low, only "
            f"{percent(curve.expected)} of its own draws do"
        )
    return (
        f"it is highest where rows are few: the region with {percent(1.0 - curve.expected)} of its draws "
        f"holds {percent(1.0 - curve.observed)} of the rows"
    )


def without_rows(energy_sentence: str) -> str:
    """Return what the energy distance says without its places, which are rows."""
    return energy_sentence.partition(", with more rows")[0]


def _losses(result: Comparison, judged: Judged) -> str:
    """Where it loses most against the leader, if it does."""
    entry, leader = judged.entry, result[result.leader_name]
    record = entry.held_out
    if entry.name == leader.name or not entry.difference < -2.0 * entry.difference_error:
        return _nothing(entry)
    rows = np.flatnonzero(leader.held_out.used & record.used)
    lost = leader.held_out.scores[rows] - record.scores[rows]
    order = np.argsort(-lost, kind="stable")
    reached = np.cumsum(lost[order])
    k = int(np.argmax(reached >= 0.5 * reached[-1])) + 1
    worst = np.zeros(len(record.scores), dtype=bool)
    worst[rows[order[:k]]] = True
    text = f"half of what it loses to {leader.name} comes from {percent(k / len(lost))} of the rows"
    place = _place(result.split.rows, worst)
    return text + (f", mostly with {place}" if place and 5 <= k < 0.8 * len(lost) else "")


def _nothing(entry: Entry) -> str:
    if not entry.held_out.outside:
        return ""
    return f"{entry.empty}, which it calls impossible (median score {number(entry.held_out.median)})"


def _place(rows: Rows, chosen: NDArray[np.bool_]) -> str:
    """The column in whose order the chosen rows stand out most, and where they are in it."""
    best, told = 0.12, ""
    for j in range(min(rows.values.shape[1], MOST_COLUMNS)):
        x = rows.values[:, j]
        ordered = np.sort(x)
        # the middle of the places that equal values share
        places = (np.searchsorted(ordered, x[chosen]) + np.searchsorted(ordered, x[chosen], "right")) / 2.0
        a, b = np.quantile(places, [0.1, 0.9])
        low, high = np.quantile(x[chosen], [0.1, 0.9])
        inside = np.searchsorted(ordered, high, "right") - np.searchsorted(ordered, low)
        # how much denser the chosen rows are in this range than elsewhere
        lift = float(((places >= a) & (places <= b)).mean() - inside / len(x))
        if lift > best:
            best = lift
            name = short(rows.columns.label(j))
            told = f"{name} from {number_in_words(low, 0.0)} to {number_in_words(high, 0.0)}"
    return told
