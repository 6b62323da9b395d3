"""A comparison in a picture: what each model gives less than the leader, with its doubt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pofx.show.figure import Axis, Curve, Figure, Intervals, Mark, Note, Panel, Points
from pofx.show.pictures.parts import short

if TYPE_CHECKING:
    from pofx.evaluate.comparison import Comparison, Entry

__all__ = ["comparison"]

MOST_MODELS = 40
BEYOND = 2.5  # gaps of the one Gaussian (or of the middle of the field) up to which models are in the picture


def comparison(result: Comparison) -> Figure:
    """Return the table of a comparison as a picture: paired differences to the leader, nats per row.

    Models far behind lie beyond the picture and are told by their numbers; so are those that failed.
    """
    from pofx.evaluate.heldout import t_quantile

    entries = list(result.table[:MOST_MODELS])
    weights = result.split.weights
    n = float(len(result.split.part) if weights is None else weights.sum())
    reach = t_quantile(0.95, n)
    low = _far(result, entries)
    y = np.arange(len(entries), 0, -1, dtype=float)
    inside = [k for k, e in enumerate(entries) if _known(e) and e.difference >= low]
    x, error = (
        np.array([float(getattr(entries[k], key)) for k in inside])
        for key in ("difference", "difference_error")
    )
    error[~np.isfinite(error)] = 0.0
    marks: list[Mark] = [
        Curve(np.zeros(2), np.array([0.4, len(entries) + 0.6]), "the leader", role="context"),
        Intervals(x, y[inside], x - reach * error, x + reach * error, 0.95, "95 %"),
        Intervals(x, y[inside], x - error, x + error, 0.683, "one standard error"),
    ]
    high = max(0.0, float((x + reach * error).max(initial=0.0)))
    left = min(low, float((x - reach * error).min(initial=0.0)))
    pad = 0.04 * ((high - left) or 1.0)
    names = []
    for k, entry in enumerate(entries):
        best = entry.name == result.best_name
        names.append(short(entry.name, 34) + (" (best)" if best else ""))
        if best and k in inside:
            marks.append(Points(np.array([entry.difference]), y[k : k + 1], "best", role="chosen"))
        marks.append(Note(high + pad, float(y[k]), _number(entry, result), place="right"))
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
        f"over {n:,.6g} rows: thick lines are one standard error, thin ones 95 % intervals; at the right the "
        "mean itself with its standard error. "
    )
    rest = f" {more} models further behind are not shown." if more else ""
    return Figure(
        f"{len(result.table)} models: use {result.best_name}", said + result.sentence + rest, (panel,)
    )


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


def _number(entry: Entry, result: Comparison) -> str:
    if entry.held_out.failure:
        return "failed"
    mean = entry.held_out.mean
    text = f"{mean:.3f}" if math.isfinite(mean) else "−∞"
    return f"{text} ± {entry.held_out.standard_error:.3f}".replace("-", "−") if math.isfinite(mean) else text


def _why(entry: Entry) -> str:
    if entry.held_out.failure:
        return short(entry.held_out.failure, 70)
    if entry.empty:
        return entry.empty
    return f"← {entry.difference:,.3g} ± {entry.difference_error:.2g}".replace("-", "−")
