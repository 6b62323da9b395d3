"""``--plan``: what would be done, and about the time and memory that it takes. Nothing is written.

The rows are read, for their number and for the time that takes. The seconds of the fits are rules of thumb,
measured on two cores; they tell a coffee from a weekend.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pofx.cli.failures import DONE
from pofx.cli.output import emit, json_text
from pofx.cli.rows import Asked

if TYPE_CHECKING:
    from pofx.core.density import Density

__all__ = ["print_plan", "print_plan_of_two"]


def print_plan(
    verb: str, asked: Asked, models: Sequence[Density], *, folds: int = 0, as_json: bool = False
) -> int:
    """Print the plan; return the exit code."""
    started = time.monotonic()
    n, columns, dropped, in_blocks = _size(asked, verb, models)
    reading = (time.monotonic() - started) * (3 if in_blocks else 1)  # passes over the rows
    d = len(columns)
    fitted = [_planned(model, verb, n, d, 0 if in_blocks else folds) for model in models]
    rows = 0 if in_blocks else 8 * n * d * 3  # read, checked, in unit space
    seconds = reading + sum(record["seconds"] or 0.0 for record in fitted)
    if verb == "diagnose":
        seconds += 4e-7 * n * d
    record = {
        "schema": "pofx.plan/1",
        "verb": verb,
        "rows": n,
        "dropped": dropped,
        "columns": columns,
        "models": fitted,
        "folds": folds,
        "in_blocks": in_blocks,
        "seconds": round(seconds, 2),
        "bytes": int(rows + max([record["bytes"] for record in fitted], default=0) + 60e6),
    }
    emit(json_text(record) if as_json else _text(record))
    return DONE


def print_plan_of_two(verb: str, one: Asked, other: Asked, *, as_json: bool = False) -> int:
    """Print the plan of a comparison of two data sets; return the exit code."""
    started = time.monotonic()
    (n, columns, _, _), (m, theirs, _, _) = (_size(asked, verb, []) for asked in (one, other))
    d = max(len(columns), len(theirs))
    tested = min(n + m, 40_000, max(4_000, 1_000_000 // d))  # rows whose labels are permuted
    seconds = time.monotonic() - started + 0.3 + 4e-7 * (n + m) * d + 6e-6 * tested * d
    seconds += 1.0 * (min(n + m, 3_000) / 3_000) ** 2 + 1e-5 * min(n + m, 10_000) * (1 + d / 10)
    record = {
        "schema": "pofx.plan/1",
        "verb": verb,
        "rows": n,
        "rows_other": m,
        "columns": columns,
        "columns_other": theirs,
        "seconds": round(seconds, 2),
        "bytes": int(8 * (n + m) * d * 2 + 250e6),
    }
    shown = "".join(
        f"{rows:,} rows × {len(names)} columns ({_named(names)})\n"
        for rows, names in ((n, columns), (m, theirs))
    )
    text = f"{shown}in all about {_duration(seconds)} and {_size_text(8 * (n + m) * d * 2 + 250e6)}\n"
    emit(json_text(record) if as_json else f"{text}nothing was written\n")
    return DONE


def _size(asked: Asked, verb: str, models: Sequence[Density]) -> tuple[int, list[str], int, bool]:
    """Return rows, columns, dropped rows, and whether the fit would read in blocks."""
    if verb == "fit" and len(models) == 1 and type(models[0]).__name__ == "Gaussian" and asked.is_large():
        blocks = asked.blocks()
        if blocks is not None:
            for _ in blocks:
                pass
            names = [blocks.columns.label(j) for j in range(len(blocks.columns))]
            return blocks.n or 0, names, blocks.dropped or 0, True
    fitted = verb in ("check", "score")
    table = asked.read_for(models[0]) if fitted else asked.read()
    return len(table), [table.columns.label(j) for j in range(table.shape[1])], table.dropped, False


def _planned(model: Density, verb: str, n: int, d: int, folds: int) -> dict[str, Any]:
    name = type(model).__name__
    if name == "Transformed":  # a map costs next to nothing
        return _planned(model.model, verb, n, d, folds)
    fits = {"score": 0, "check": folds + 1}.get(verb, folds + 1)
    share = (folds - 1) / folds if folds > 1 else 1.0
    one = _seconds_of_fit(model, n * share, d)
    seconds = None
    if one is not None:
        scored = 0.0 if verb == "fit" and not folds else _seconds_of_score(name, n * share, n, d)
        seconds = round(fits * one + scored, 3)
    return {"name": name, "fits": fits, "seconds": seconds, "bytes": int(model._bytes(n, d))}


def _seconds_of_fit(model: Density, n: float, d: int) -> float | None:
    name = type(model).__name__
    if name == "GaussianMixture":
        single = isinstance(getattr(model, "n_components", "auto"), int)
        return (0.4 + 4e-5 * n * d) if single else (2.0 + 1.2e-4 * n * d)
    if name == "KDE":  # its bandwidth: sums over pairs of a few thousand rows, or through one transform
        return 0.02 + 3e-6 * n + min(n / 3000, 1.0) * {1: 0.0, 2: 0.1, 3: 0.9, 4: 1.6}.get(d, 0.5)
    known = {"Gaussian": 1e-8 * d, "Histogram": 1e-6, "World": 0.0}
    return 0.01 + known[name] * n * d if name in known else None


def _seconds_of_score(name: str, kept: float, asked: float, d: int) -> float:
    if name == "KDE":  # all pairs in tiles, or up to three columns through a Fourier series
        pairs = kept * asked * (8e-10 + 5e-11 * d)
        return min(pairs, 0.01 + (kept + asked) * (2e-7, 5e-7, 1e-5)[d - 1]) if d <= 3 else pairs
    return 1e-6 * asked * d


def _text(record: dict[str, Any]) -> str:
    columns = record["columns"]
    lines = [
        f"{record['rows']:,} rows × {len(columns)} columns ({_named(columns)})",
        *([f"{record['dropped']:,} rows with missing values left out"] if record["dropped"] else []),
    ]
    for model in record["models"]:
        fits = f"{model['fits']} fit{'s' * (model['fits'] != 1)}"
        lines.append(
            f"{model['name']}: {fits}, about {_duration(model['seconds'])}, {_size_text(model['bytes'])}"
        )
    how = ", read in blocks" if record["in_blocks"] else ""
    lines.append(f"in all about {_duration(record['seconds'])} and {_size_text(record['bytes'])}{how}")
    return "\n".join(lines) + "\nnothing was written\n"


def _named(columns: Sequence[str]) -> str:
    return ", ".join(columns[:8]) + (f" and {len(columns) - 8} more" if len(columns) > 8 else "")


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{max(seconds, 0.1):.1f} seconds"


def _size_text(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1.0, count / 1e6):.0f} MB"
