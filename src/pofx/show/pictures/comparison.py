"""A comparison in a picture: what each model gives less than the leader, with its doubt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pofx.show.figure import Axis, Curve, Figure, Intervals, Mark, Note, Panel, Points
from pofx.show.pictures.parts import short

if TYPE_CHECKING:
    from pofx.evaluate.comparison import Comparison, Entry

__all__ = ["comparison"]

MOST_MODELS = 40
MASSES = (0.95, 0.683)
BEYOND = 2.5  # gaps of the one Gaussian (or of the middle of the field) up to which models are in the picture


def comparison(result: Comparison) -> Figure:
    """Return the table of a comparison as a picture: paired differences to the leader, nats per row.

    Models far behind lie beyond the picture and are told by their numbers; so are those that failed.
    """
    entries = list(result.table[:MOST_MODELS])
    n = float(len(result.split.part) if result.split.weights is None else result.split.weights.sum())
    low = _far(result, entries)
    y = np.arange(len(entries), 0, -1, dtype=float)
    inside = [k for k, e in enumerate(entries) if _known(e) and e.difference >= low]
    marks: list[Mark] = [
        Curve(np.zeros(2), np.array([0.4, len(entries) + 0.6]), "the leader", role="context")
    ]
    ends = [low, 0.0]
    for role, chosen in (
        ("model", [k for k in inside if entries[k].able]),
        ("context", [k for k in inside if not entries[k].able]),
    ):
        found = [_intervals(result, [entries[k] for k in chosen], y[chosen], mass, role) for mass in MASSES]
        marks += [mark for mark in found if chosen]
        ends += [float(v) for mark in found for v in (*mark.low, *mark.high)]
    left, high = min(ends), max(ends)
    pad = 0.04 * ((high - left) or 1.0)
    names = []
    for k, entry in enumerate(entries):
        names.append(short(entry.name, 34) + _remark(entry, result))
        if entry.name == result.best_name and k in inside:
            marks.append(Points(np.array([entry.difference]), y[k : k + 1], "best", role="chosen"))
        marks.append(Note(high + pad, float(y[k]), _number(entry), place="right"))
        if k not in inside:
            marks.append(Note(left - pad, float(y[k]), _why(entry), place="right"))
    panel = Panel(
        Axis("held-out score less the leader's", left - pad, high + pad, unit="nats per row"),
        Axis("", 0.4, len(entries) + 0.6, at=tuple(y.tolist()), names=tuple(names)),
        tuple(marks),
    )
    more = len(result.table) - len(entries)
    said = (
        f"Mean held-out log density of each model less that of {result.leader_name}, by paired differences "
        f"over {n:,.6g} rows: thick lines are one standard error, thin ones 95 % intervals, where "
        "there are any; at the right the mean itself with its standard error. Grey: what cannot win. "
    )
    rest = f" {more} models further behind are not shown." if more else ""
    candidates = sum(not entry.shown for entry in result.table)
    return Figure(f"{candidates} models: use {result.best_name}", said + result.sentence + rest, (panel,))


def _known(entry: Entry) -> bool:
    return not entry.held_out.failure and math.isfinite(entry.difference)


def _far(result: Comparison, entries: Sequence[Entry]) -> float:
    """Return the difference up to which models are in the picture."""
    known = sorted(-e.difference for e in entries if _known(e))
    if not known:
        return -1.0
    one = [-e.difference for e in entries if e.name == result.baseline and _known(e)]
    scale = max(one[0] if one else 0.0, known[len(known) // 2])
    return -max(BEYOND * scale, 1e-9) if known[-1] > BEYOND * scale else -known[-1]


def _intervals(
    result: Comparison, entries: Sequence[Entry], y: NDArray[np.float64], mass: float, role: Any
) -> Intervals:
    from pofx.evaluate.heldout import paired

    x = np.array([e.difference for e in entries], dtype=float)
    ends = np.stack([x, x], axis=1)
    leader = result[result.leader_name].held_out
    for k, entry in enumerate(entries):
        if entry.name != result.leader_name and math.isfinite(entry.difference_error):
            found = paired(entry.held_out, leader)
            if mass < 0.9:
                ends[k] = x[k] - found.error, x[k] + found.error
            elif not found.doubt:  # else there is none
                ends[k] = found.interval()
    label = "95 %" if mass > 0.9 else "one standard error"
    return Intervals(x, y, ends[:, 0], ends[:, 1], mass, label, role=role)


def _remark(entry: Entry, result: Comparison) -> str:
    """Say beside a name what the model is there for, or why it cannot win."""
    if entry.name == result.best_name:
        return " (best)"
    if entry.shown:
        return f" ({'truth' if entry.role == 'truth' else 'added'})" if entry.name != entry.role else ""
    return " (dropped)" if entry.held_out.dropped else " (barred)" if entry.barred else ""


def _number(entry: Entry) -> str:
    if entry.held_out.failure:
        return "failed"
    mean = entry.held_out.mean
    if not math.isfinite(mean):
        return "−∞"
    sign = {"bound": "≥ ", "estimate": "≈ "}.get(entry.kind, "")
    return f"{sign}{mean:.3f} ± {entry.held_out.standard_error:.3f}".replace("-", "−")


def _why(entry: Entry) -> str:
    if entry.held_out.failure:
        return short(entry.held_out.failure, 70)
    if entry.empty:
        return entry.empty
    return f"← {entry.difference:,.3g} ± {entry.difference_error:.2g}".replace("-", "−")
