"""A comparison as text, HTML, plain data and columns of a DataFrame."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from .ranking import Entry

if TYPE_CHECKING:
    from .comparison import Comparison

__all__ = ["SCHEMA", "as_dict", "as_html", "as_text", "frame_records", "number"]

SCHEMA = "pofx.compare/1"

SIGNS = {"bound": "≥ ", "estimate": "≈ "}  # what stands before a log density that is not exact


def number(value: float) -> str:
    """Return three decimals, "−inf", or nothing."""
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if math.isfinite(value) else ("−inf" if value < 0 else "inf")


# ---------------------------------------------------------------- text and HTML


def _lines(result: Comparison) -> list[tuple[str, ...]]:
    """Return the head and one line of cells per model; columns that nobody fills are left out."""
    head = (
        "model",
        "held-out nats/row",
        "s.e.",
        "to leader",
        "s.e.",
        "KL",
        "s.e.",
        "bits/dim",
        "parameters",
        "BIC",
    )
    lines = [(*head, ""), *(_line(result, entry) for entry in result.table)]
    filled = [j for j in range(len(head)) if j < 5 or any(line[j] for line in lines[1:])]
    return [(*(line[j] for j in filled), line[-1]) for line in lines]


def _line(result: Comparison, entry: Entry) -> tuple[str, ...]:
    record = entry.held_out
    if record.failure:
        word = "not tried" if record.failure.startswith("not tried") else "failed"
        return (entry.name, word, *[""] * 8, record.failure)
    leads = entry.name == result.leader_name
    score = SIGNS.get(entry.kind, "") + number(record.mean) + (f" ({entry.empty})" if entry.empty else "")
    gap = ("", "") if leads else (number(entry.difference), number(entry.difference_error))
    kl = ("", "") if entry.kl is None else (number(entry.kl), number(_or_nan(entry.kl_error)))
    bits = "" if entry.bits_per_dim is None else f"{entry.bits_per_dim:.3f}"
    counted = math.isfinite(record.n_parameters) and entry.role not in ("given", "truth")
    bic = entry.criteria.bic
    return (
        entry.name,
        score,
        number(record.standard_error),
        *gap,
        *kl,
        bits,
        f"{record.n_parameters:,.5g}" if counted else "",
        "" if bic is None else f"{bic:,.1f}",
        _mark(result, entry),
    )


def _mark(result: Comparison, entry: Entry) -> str:
    record = entry.held_out
    word = ""
    if entry.name == result.best_name:
        word = "best"
    elif entry.barred:
        word = "barred"
    elif entry.name == result.leader_name:
        word = "leader"
    elif entry.shown:
        word = {"baseline": "baseline, added to compare with", "truth": "the truth, known"}[entry.role]
    return ", ".join(
        filter(
            None,
            [
                word,
                "as given, not fitted" * (entry.role == "given"),
                f"median {number(record.median)}" * bool(entry.empty),
                f"dropped {record.dropped}" * bool(record.dropped),
            ],
        )
    )


def _title(result: Comparison) -> str:
    rows = result.split.sentence
    if result.split.weights is not None:
        rows += f" (weights of sum {result.split.weights.sum():,.6g})"
    return f"{rows}; higher is better."


def _doubts(result: Comparison) -> list[str]:
    return [f"{entry.name}: {doubt}" for entry in result.table for doubt in entry.held_out.doubts]


def as_text(result: Comparison) -> str:
    """Return the table and the verdict."""
    lines = _lines(result)
    last = len(lines[0]) - 1
    widths = [max(len(line[i]) for line in lines) for i in range(last)]
    text = [
        "  ".join(
            [line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, last)), line[last]]
        ).rstrip()
        for line in lines
    ]
    return "\n".join([_title(result), *text, *_doubts(result), result.sentence])


def as_html(result: Comparison) -> str:
    """Return the same as a fragment of HTML."""
    names, *lines = _lines(result)
    head = "".join(f"<th>{escape(cell)}</th>" for cell in names)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in lines)
    said = "".join(f"<p><small>{escape(text)}</small></p>" for text in _doubts(result))
    return (
        f'<div class="pofx-compare"><p>{escape(_title(result))}</p><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table><p>{escape(result.sentence)}</p>{said}</div>"
    )


# ---------------------------------------------------------------- data


def _record(result: Comparison, entry: Entry) -> dict[str, Any]:
    record = entry.held_out
    low, high = record.interval()
    criteria = entry.criteria
    return {
        "name": entry.name,
        "role": entry.role,
        "kind": entry.kind,
        "mean": _finite(record.mean),
        "standard_error": _finite(record.standard_error),
        "low": _finite(low),
        "high": _finite(high),
        "median": _finite(record.median),
        "bits_per_dim": entry.bits_per_dim,
        "rows": int(record.used.sum()),
        "impossible_rows": record.outside,
        "taken_off_for_ties": _finite(record.taken_off),
        "difference": _finite(entry.difference),
        "difference_standard_error": _finite(entry.difference_error),
        "within_one_standard_error": entry.close,
        "kl_from_truth": None if entry.kl is None else _finite(entry.kl),
        "kl_standard_error": entry.kl_error,
        "n_parameters": _finite(record.n_parameters),
        "bic": criteria.bic,
        "icl": criteria.icl,
        "no_bic_because": criteria.why_not or None,
        "predicted_bytes": record.predicted_bytes,
        "barred": entry.barred,
        "dropped": record.dropped,
        "failure": record.failure,
        "doubts": list(record.doubts),
    }


def as_dict(result: Comparison) -> dict[str, Any]:
    """Return plain data (schema pofx.compare/1)."""
    gain, cut = result.gain, result.split
    return {
        "schema": SCHEMA,
        "best": result.best_name,
        "leader": result.leader_name,
        "baseline": result.baseline,
        "sentence": result.sentence,
        "gain_over_gaussian": None
        if gain is None
        else {
            "nats": gain.nats,
            "standard_error": _finite(gain.standard_error),
            "low": _finite(gain.low),
            "high": _finite(gain.high),
            "no_interval_because": gain.doubt or None,
        },
        "rows": cut.total,
        "rows_compared": len(cut.part),
        "rows_held_out": int(cut.tested.sum()),
        "rows_dropped": cut.rows.dropped,
        "sum_of_weights": None if cut.weights is None else float(cut.weights.sum()),
        "columns": [cut.rows.columns.label(j) for j in range(len(cut.rows.columns))],
        "folds": cut.folds,
        "held_out": cut.sentence,
        "random_state": result.random_state if isinstance(result.random_state, int) else None,
        "unit": "nats per row",
        "models": [_record(result, entry) for entry in result.table],
        "family": None if result.family is None else result.family.to_dict(),
    }


def frame_records(result: Comparison) -> list[dict[str, Any]]:
    """Return one flat record per model, with the seconds that its fits took."""
    out = []
    for entry in result.table:
        record = _record(result, entry)
        record["doubts"] = "; ".join(record["doubts"])
        out.append({**record, "fits": entry.held_out.fits, "seconds": entry.held_out.seconds})
    return out


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
