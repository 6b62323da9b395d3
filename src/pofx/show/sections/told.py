"""What a report tells, gathered once: its HTML and its JSON are two forms of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pofx.errors import PofxError
from pofx.evaluate.compare import Comparison
from pofx.show.cards import judge
from pofx.show.next_steps import next_steps
from pofx.show.sections.card import Card, make_card

if TYPE_CHECKING:
    from pofx.data.diagnose import Diagnosis

__all__ = ["MOST_CARDS", "Told", "tell"]

MOST_CARDS = 12


@dataclass(frozen=True, eq=False)
class Told:
    """Everything that a report says.

    Attributes
    ----------
    result : the comparison
    title : what the rows are called
    source : the file that they came from, if they did
    found : what :func:`pofx.diagnose` found in them; None where it could not look
    cards : one per model, in the order of the table
    steps : (purpose, command) pairs
    points : False where no single row may be drawn or quoted
    """

    result: Comparison
    title: str
    source: str | None
    found: Diagnosis | None
    cards: tuple[Card, ...]
    steps: tuple[tuple[str, str], ...]
    points: bool

    @property
    def best(self) -> Card | None:
        """The card of the chosen model."""
        chosen = (card for card in self.cards if card.judged.entry.name == self.result.best_name)
        return next(chosen, None)


def tell(
    result: Comparison,
    *,
    title: str = "rows",
    source: str | None = None,
    words: Sequence[str] | None = None,
    command: str | None = None,
    choosing: Sequence[str] | None = None,
    points: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Told:
    """Judge the models of a comparison and gather what there is to tell; see :func:`pofx.report`.

    ``choosing`` is what stands after ``pofx fit`` to choose in the same way again.
    """
    say = progress or (lambda text: None)
    title = "standard input" if source == "-" else Path(source).name if source else title
    say("what to know about the rows")
    found = _diagnosis(result)
    cards = []
    for entry in result.table[:MOST_CARDS]:
        say(f"{entry.name}: pictures and calibration")
        kind = type(result.models[entry.name]).__name__
        cards.append(make_card(result, judge(result, entry), points=points, beware=_troubles(found, kind)))
    steps = tuple(next_steps(result, source, words, command, choosing))
    return Told(result, title, source, found, tuple(cards), steps, points)


def _troubles(found: Diagnosis | None, kind: str) -> str:
    """What warnings about the rows mean for one kind of model, and for few others."""
    if found is None:
        return ""
    mine = [f for f in found.troubling(kind) if f.severity == "warning" and len(f.troubles) < 3]
    return " ".join(f"{finding.sentence} {finding.consequence}" for finding in mine[:2])


def _diagnosis(result: Comparison) -> Diagnosis | None:
    from pofx.data.diagnose import diagnose
    from pofx.data.table import Table

    rows = result.data if isinstance(result.data, Table) else None
    if rows is None:
        rows = Table(result.split.rows.values, result.split.rows.columns)
    try:
        return diagnose(rows)
    except PofxError:
        return None  # a report without findings is better than none
