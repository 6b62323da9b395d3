"""A card per model: what it looks like, where rows exceed it, whether it is calibrated, where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from pofx.errors import PofxError
from pofx.evaluate.check import Check
from pofx.evaluate.compare import Comparison
from pofx.evaluate.verdict import Verdict
from pofx.show.cards import Judged
from pofx.show.figure import Axis, Band, Curve, Figure, Panel, Regions
from pofx.show.page import MOST_POINTS, label, text
from pofx.show.picture import picture
from pofx.show.sections.fails import fails, without_rows
from pofx.show.sections.own import Own, own_part
from pofx.show.sections.residuals import residuals
from pofx.show.sections.worst_pair import worst_pair
from pofx.show.svg import to_inline_svg

__all__ = ["Card", "make_card"]

UNABLE = (PofxError, NotImplementedError)  # a model may lack what a picture needs; its numbers stand alone


@dataclass(frozen=True, eq=False)
class Card:
    """What the report says of one model.

    ``pictures`` are HTML figures; ``pair`` are the columns that they show, ``fails`` says where the model
    fails, ``beware`` what of the rows troubles a model of this kind.
    """

    judged: Judged
    pictures: tuple[str, ...]
    pair: tuple[str, str] | None
    fails: str
    own: Own | None
    beware: str = ""

    def html(self, number: int, badge: str, *, pictures: bool = True) -> str:
        """Return the card as HTML; ``pictures=False`` leaves them out, and says so."""
        entry = self.judged.entry
        title = f'<h3 id="model-{number}">{escape(label(entry.name))} {badge}</h3>'
        if self.judged.model is None:
            return f'<article class="card">{title}<p class="why">{text(self.judged.problem)}</p></article>'
        shown = f'<div class="panels">{"".join(self.pictures)}</div>' if self.pictures else ""
        if shown and not pictures:
            shown = '<p class="why">Its pictures were left out, to keep this file below 1 MB.</p>'
        said = [f"<b>Where it fails:</b> {text(self.fails)}"]
        if self.beware:
            said.append(f"<b>Beware:</b> {text(self.beware)}")
        told = "".join(f"<p>{part}</p>" for part in said)
        if self.judged.verdict is not None:
            told += _judged(self.judged.verdict)
        made = "" if self.own is None else self.own.html()
        return f'<article class="card">{title}{shown}{told}{made}</article>'

    def to_dict(self, *, points: bool = True) -> dict[str, Any]:
        """Return plain data; the points of the check's curves are left to ``check``."""
        judged = self.judged
        found = None if judged.check is None else judged.check.to_dict()
        if found is not None:
            for curve in (*found["columns"], found["rank"]):
                if curve is not None:
                    curve.pop("curve", None)
            if found["energy"] is not None and not points:  # where it differs is told by two rows
                for key in ("more_rows_around", "fewer_rows_around"):
                    found["energy"].pop(key)
                whole = found["energy"].pop("sentence")
                found["sentence"] = found["sentence"].replace(whole, without_rows(whole))
        return {
            "model": judged.entry.name,
            "problem": judged.problem or None,
            "fails": self.fails or None,
            "beware": self.beware or None,
            "columns_shown": None if self.pair is None else list(self.pair),
            "check": found,
            "own": None if self.own is None else self.own.to_dict(),
        }


def make_card(result: Comparison, judged: Judged, *, points: bool = True, beware: str = "") -> Card:
    """Make the card of a model; with ``points=False`` no single row is drawn or quoted."""
    if judged.model is None:
        return Card(judged, (), None, "", None)
    if result.split.rows.values.shape[1] == 1:
        pair, place, pictures = None, "", _of_a_column(result, judged, points)
    else:
        pair, place, pictures = _of_a_pair(result, judged, points)
    if judged.check is not None and judged.check.curves:
        pictures.append(_calibration(judged.check))
    said = fails(result, judged, place, aggregates=not points)
    return Card(judged, tuple(pictures), pair, said, own_part(result, judged), beware)


def _of_a_column(result: Comparison, judged: Judged, points: bool) -> list[str]:
    assert judged.model is not None
    rows = result.split.rows.values
    dots = points and len(rows) <= MOST_POINTS
    try:
        figure = picture(judged.model, rows, judged.entry.name, points=None if dots else 0)
    except UNABLE:
        return []
    said = "The rows (bars) and the density fitted to all of them (line); shaded: 95 % of its mass."
    return [_panel(to_inline_svg(figure, wide=680.0), said, wide=True)]


def _of_a_pair(
    result: Comparison, judged: Judged, points: bool
) -> tuple[tuple[str, str] | None, str, list[str]]:
    """Return the columns shown, where rows exceed the model in them, and the pictures."""
    model, entry, rows = judged.model, judged.entry, result.split.rows
    assert model is not None
    n, d = rows.values.shape
    dots = points and n <= MOST_POINTS
    try:
        which = worst_pair(result, entry, model)
        figure = picture(model, rows.values, entry.name, points=None if dots else 0, pair=which)
    except UNABLE:
        return None, "", []
    pair = (rows.columns.label(which[0]), rows.columns.label(which[1]))
    pictures = [_panel(to_inline_svg(figure), _caption(figure, n, d, pair, dots))]
    try:
        found = residuals(result, entry, model, which, figure.main)
    except UNABLE:
        return pair, "", pictures  # it has no density of two columns, so there is no map of them
    said = "Orange: more rows than the model expects, blue: fewer; from 1, 2 and 3 standard deviations."
    said += "" if found.held_out else " It has seen these rows."
    pictures.append(_panel(found.draw(figure.main, f"{figure.title}: where rows exceed the model"), said))
    return pair, found.place((label(pair[0]), label(pair[1]))), pictures


def _judged(verdict: Verdict) -> str:
    """The verdict's numbers, and its words for each use."""
    uses = "".join(
        f"<li><b>{escape(use.name)}: {escape(use.word)}</b>, {text(use.sentence)}</li>"
        for use in verdict.uses
    )
    told = text(f"{verdict.sentence[0].upper()}{verdict.sentence[1:]}.")
    return f"<p>{told}</p>" + (f'<ul class="why">{uses}</ul>' if uses else "")


def _panel(svg: str, caption: str, *, wide: bool = False) -> str:
    kind = ' class="two"' if wide else ""
    return f"<figure{kind}>{svg}<figcaption>{text(caption)}</figcaption></figure>"


def _caption(figure: Figure, n: int, d: int, pair: tuple[str, str], dots: bool) -> str:
    rows = "the rows (dots)" if dots else f"the {n:,} rows (grey)"
    drawn = any(isinstance(mark, Regions) for mark in figure.main.marks)
    said = f"Regions with 50, 80 and 95 % of the mass, over {rows}." if drawn else f"Here are {rows}."
    if d == 2:
        return said
    two = f"{label(pair[0], 30)} and {label(pair[1], 30)}"
    return f"{said} Of {d} columns, the two in which rows and draws differ most: {two}."


def _calibration(check: Check) -> str:
    curve = check.worst
    gap = 100.0 * (curve.share - curve.z)
    low, high = 100.0 * (curve.low - curve.z), 100.0 * (curve.high - curve.z)
    ends = np.concatenate([[0.0], curve.z, [1.0]])
    line, below, above = (np.concatenate([[0.0], part, [0.0]]) for part in (gap, low, high))
    reach = 1.15 * float(max(np.abs(line).max(), above.max(), -below.min(), 1.0))
    name = label(curve.name, 40)
    panel = Panel(
        Axis(f"quantile of {name} by the model", 0.0, 1.0),
        Axis("rows below it, too many (%)", -reach, reach),
        (
            Band(ends, below, above, 0.95, "band"),
            Curve(np.array([0.0, 1.0]), np.zeros(2), "none", role="context"),
            Curve(ends, line, "rows"),
        ),
    )
    where = "inside" if curve.inside else "leaves"
    how = (
        "Calibration, with the band of samples refitted" if check.samples else "Calibration on held-out rows"
    )
    return _panel(
        to_inline_svg(Figure(f"{check.model}: calibration of {name}", "", (panel,))),
        f"{how}: the curve with the largest gap, {name}, {where} its band.",
    )
