"""The report as data: what its page says, under a versioned schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pofx.show.sections.about import remarks
from pofx.show.sections.told import Told
from pofx.show.sections.verdict import verdict

__all__ = ["SCHEMA", "record"]

SCHEMA = "pofx.report/1"


def record(told: Told, run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return plain data: numbers, texts, lists, and None for what is not known.

    ``run`` holds what differs from one run to the next (the clock, the machine); everything else is the same
    for the same rows, seed and version.
    """
    result = told.result
    cut = result.split
    said = verdict(told)
    comparison = result.to_dict()
    clock = comparison.pop("run", {})
    return {
        "schema": SCHEMA,
        "title": told.title,
        "data": {
            "source": told.source,
            "rows": cut.total,
            "rows_compared": len(cut.part),
            "columns": [cut.rows.columns.label(j) for j in range(len(cut.rows.columns))],
            "rows_dropped": max(cut.rows.dropped, getattr(result.data, "dropped", 0)),
            "sum_of_weights": None if cut.weights is None else float(cut.weights.sum()),
            "fingerprint": getattr(result.best.fit_, "fingerprint", None),
            "remarks": remarks(result),
        },
        "findings": None if told.found is None else told.found.to_dict(),
        "comparison": comparison,
        "checks": [card.to_dict(points=told.points) for card in told.cards],
        "verdict": {
            "adequate": said.adequate,
            "word": said.word or None,
            "best": result.best_name,
            "sentences": list(said.sentences),
            "beware": list(said.beware),
        },
        "next_steps": [{"purpose": purpose, "command": command} for purpose, command in told.steps],
        "run": None if run is None else {**run, "seconds_of_models": clock.get("seconds", {})},
    }
