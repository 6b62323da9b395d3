"""The verdict: which model and what it is worth, why this one, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pofx.evaluate.curves import percent
from pofx.evaluate.verdict import Verdict
from pofx.show.page import text
from pofx.show.sections.card import Card
from pofx.show.sections.fails import worst
from pofx.show.sections.told import Told

if TYPE_CHECKING:
    from pofx.data.diagnose import Finding

__all__ = ["Box", "verdict"]

ALWAYS = ("few_rows", "rounding", "dimension")  # notes that belong beside every verdict
MOST_FINDINGS = 2


@dataclass(frozen=True)
class Box:
    """The sentences of the verdict.

    ``adequate`` is False where no model is, None where that was not judged; ``word`` is the verdict on the
    best model, "" where there is none; ``sentences`` are what is to be read first, ``beware`` what could
    make them wrong.
    """

    adequate: bool | None
    word: str
    sentences: tuple[str, ...]
    beware: tuple[str, ...]

    def html(self) -> str:
        """Return the box."""
        lead, *rest = self.sentences
        lines = [f'<p class="lead">{text(lead)}</p>', *(f"<p>{text(line)}</p>" for line in rest)]
        if self.beware:
            lines.append(f"<p><b>Beware:</b> {text(' '.join(self.beware))}</p>")
        kind = "fails" if self.adequate is False else self.word
        named = f"verdict is-{kind}" if kind else "verdict"
        return f'<section class="{named}" aria-label="Verdict">{"".join(lines)}</section>'


def verdict(told: Told) -> Box:
    """Return the verdict: three sentences, and a fourth before them where no model is adequate."""
    result, best = told.result, told.best
    judgement = result.verdict
    adequate = result.adequate
    sentences = [result.headline]
    trust = "" if judgement is None or best is None else _trust(best, judgement)
    if adequate is False:
        rest = result.headline.removeprefix(f"Use {result.best_name}. ")
        sentences = ["No model here is adequate.", f"The best of them is {result.best_name}. {rest}"]
    family = "" if result.family is None else result.family.sentence.partition(":")[0]
    size = f"{family}." if family and result.reason else ""
    sentences += [line for line in (f"{result.reason} {size}".strip(), trust) if line]
    word = "" if judgement is None else judgement.word
    return Box(adequate, word, tuple(sentences), tuple(_beware(told)))


def _trust(best: Card, judgement: Verdict) -> str:
    """How far to trust the best model: the word, and the largest gap or how small a gap would have shown."""
    check = best.judged.check
    word, _, numbers = judgement.sentence.partition(": ")
    said = f"Its verdict is “{word}”: {numbers}"
    if check is None:
        return f"{said}."
    if check.passed:
        shown = max(curve.half_width for curve in check.curves)
        return f"{said}. Gaps of more than {percent(shown)} of the rows would have shown."
    return f"{said}. Where it fails most: {worst(check, aggregates=True)}."


def _beware(told: Told) -> list[str]:
    result = told.result
    best = result[result.best_name].held_out
    said = []
    if best.taken_off >= 0.0005:
        said.append(
            f"Repeated values may flatter {best.name}; what that can give at most, {best.taken_off:.3f} nats "
            "per row, was taken off its score."
        )
    said += [f"{e.name} cannot win: {e.barred}." for e in result.table if e.barred]
    if told.found is None:
        return said
    kind = type(result.models[result.best_name]).__name__
    # what troubles the chosen model is worth more than what troubles another
    order = sorted(
        told.found.findings,
        key=lambda f: (f.severity == "note", f.name not in ALWAYS and kind not in f.troubles),
    )
    kinds: dict[str, Finding] = {}
    for finding in order:
        if finding.severity != "note" or (finding.name in ALWAYS and kind in finding.troubles):
            kinds.setdefault(finding.name, finding)
    for finding in list(kinds.values())[:MOST_FINDINGS]:
        said.append(finding.sentence)
        if finding.name == "dimension" and finding.severity == "warning":
            said.append(finding.consequence)
    more = len(kinds) - MOST_FINDINGS
    if more > 0:
        said.append(f"{more} more kind{'s' * (more > 1)} of findings {'are' if more > 1 else 'is'} below.")
    return said
