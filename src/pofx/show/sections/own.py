"""The model's own part of its card: how it was fitted, and what chose its size or its width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from pofx.evaluate.compare import Comparison
from pofx.evaluate.family import Family, family_of
from pofx.models.stack import Stack
from pofx.show.cards import Judged
from pofx.show.page import text
from pofx.show.sections.bandwidth import BandwidthCurve, bandwidth_curve
from pofx.show.svg import to_inline_svg

__all__ = ["Own", "own_part"]

MOST_SIZES = 7  # lines of the table of candidates
NARROW = {"wide": 330.0, "high": 220.0}


@dataclass(frozen=True, eq=False)
class Own:
    """How a model was fitted (``made``), its candidates by BIC, its bandwidth curve: what there is of them.

    ``candidates`` are records with n_components, covariance_type, n_parameters, bic and icl behind the best,
    and chosen; the best structure of each size, by size.
    """

    made: str
    family: Family | None = None
    candidates: tuple[Mapping[str, Any], ...] = ()
    curve: BandwidthCurve | None = None

    def html(self) -> str:
        """Return it as HTML."""
        left = ""
        if self.candidates:
            left = _table(self.candidates)
        elif self.curve is not None:
            figure = self.curve.figure()
            said = text(f"{figure.caption}")
            left = f"<figure>{to_inline_svg(figure, **NARROW)}<figcaption>{said}</figcaption></figure>"
        told = [self.made, *([self.curve.sentence] if self.curve is not None else [])]
        right = "".join(f'<p class="why">{text(part)}</p>' for part in told)
        kind = "own table" if self.candidates else "own"
        return f'<div class="{kind}">{left}<div>{right}</div></div>' if left else right

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        curve = self.curve
        return {
            "made": self.made,
            "candidates": [dict(record) for record in self.candidates],
            "bandwidth_curve": None
            if curve is None
            else {
                "doublings": curve.doublings.tolist(),
                "gain": curve.gain.tolist(),
                "standard_error": curve.error.tolist(),
                "rows": curve.rows,
                "sentence": curve.sentence,
            },
        }


def own_part(result: Comparison, judged: Judged) -> Own:
    """Return the model's own part; ``judged.model`` must be there."""
    model, record = judged.model, judged.entry.held_out
    assert model is not None
    fit = model.fit_
    state = "" if fit.converged else "It did not converge. "
    sampled = fit.n_rows < result.split.total
    whole = f"the {fit.n_rows:,} rows compared" if sampled else f"all {fit.n_rows:,} rows"
    told = [f"Fitted to {whole}: {state}{fit.message}"]
    if isinstance(model, Stack):
        parts = [
            f"{type(part).__name__} {weight:.2f}"
            for part, weight in sorted(
                zip(model.models_, model.weights_, strict=True), key=lambda pair: -float(pair[1])
            )
            if weight > 0
        ]
        told = [f"A mixture of {', '.join(parts)}, each fitted to all {fit.n_rows:,} rows."]
    if judged.entry.name == result.best_name:
        family = result.family
    else:
        family = family_of(model, record, result.split, lambda _: None, rivals=False)
    if family is not None:
        told.append(family.sentence)
    notes = [note for note in fit.notes if note not in told[0]][:3]
    told += [note if note.endswith(".") else f"{note}." for note in notes]
    return Own(
        " ".join(told),
        family,
        _candidates(fit.search or ()) if family is not None else (),
        bandwidth_curve(result, judged.entry),
    )


def _candidates(search: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The best regular structure of each size: those nearest in BIC, and always one component."""
    sizes: dict[int, Mapping[str, Any]] = {}
    for row in sorted((r for r in search if r["regular"] and r["bic"] is not None), key=lambda r: r["bic"]):
        sizes.setdefault(row["n_components"], row)
    if len(sizes) < 2:
        return ()  # nothing was chosen
    ordered = list(sizes.values())
    kept = ordered[:MOST_SIZES]
    if 1 in sizes and sizes[1] not in kept:
        kept[-1] = sizes[1]
    icls = [row["icl"] for row in ordered if row.get("icl") is not None]
    return tuple(
        {
            "n_components": row["n_components"],
            "covariance_type": row["covariance_type"],
            "n_parameters": row["n_parameters"],
            "bic": row["bic"],
            "bic_behind": row["bic"] - ordered[0]["bic"],
            "icl_behind": None if row.get("icl") is None else row["icl"] - min(icls),
            "chosen": row is ordered[0],
        }
        for row in sorted(kept, key=lambda r: r["n_components"])
    )


def _table(candidates: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for row in candidates:
        chosen = ' <span class="badge good">chosen</span>' if row["chosen"] else ""
        icl = "" if row["icl_behind"] is None else f"{row['icl_behind']:,.1f}"
        lines.append(
            f'<tr><th scope="row">{row["n_components"]}{chosen}</th>'
            f"<td>{escape(row['covariance_type'])}</td>"
            f'<td class="n wide-only">{row["n_parameters"]:,}</td><td class="n">{row["bic_behind"]:,.1f}</td>'
            f'<td class="n">{icl}</td></tr>'
        )
    return (
        '<table class="small"><caption>Its candidates: the best structure of each size</caption>'
        '<thead><tr><th scope="col">Components</th><th scope="col">Shape</th>'
        '<th scope="col" class="n wide-only">Parameters</th><th scope="col" class="n">BIC behind best</th>'
        '<th scope="col" class="n">ICL behind best</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
