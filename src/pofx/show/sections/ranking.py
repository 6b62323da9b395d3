"""The table: how well each model predicts rows that it has not seen, and the reasons for doubt."""

from __future__ import annotations

from html import escape

from pofx.evaluate.compare import Comparison, Entry
from pofx.show.page import Whiskers, label, number, pm, text
from pofx.show.sections.card import Card
from pofx.show.sections.told import Told

__all__ = ["badge", "ranking", "word_badge"]

MOST_DOUBTS = 20
WORDS = {"good": "good", "usable": "fair", "fails": "bad"}


def badge(result: Comparison, entry: Entry) -> str:
    """Return what became of a model in the comparison, as a badge."""
    if entry.held_out.failure:
        return '<span class="badge bad">failed</span>'
    if entry.name == result.best_name:
        chosen = "best of these" if result.adequate is False else "use this"
        return f'<span class="badge good">{chosen}</span>'
    if entry.barred:
        return '<span class="badge bad">cannot win</span>'
    if entry.role == "truth":
        return '<span class="badge plain">the truth</span>'
    if entry.role == "baseline":
        return '<span class="badge plain">to compare with</span>'
    if entry.held_out.dropped:
        return '<span class="badge plain">dropped</span>'
    return '<span class="badge fair">as good</span>' if entry.close else ""


def ranking(told: Told) -> str:
    """Return the table with its doubts."""
    result = told.result
    whiskers = Whiskers(result.table)
    cards = {card.judged.entry.name: card for card in told.cards}
    lines = []
    for k, entry in enumerate(result.table):
        record, card = entry.held_out, cards.get(entry.name)
        shown = escape(label(entry.name))
        if card is not None:
            shown = f'<a href="#model-{k + 1}">{shown}</a>'
        name = f'<th scope="row">{shown} {badge(result, entry)}</th>'
        if record.failure:
            lines.append(f'<tr>{name}<td colspan="6" class="why">{text(record.failure)}</td></tr>')
            continue
        gap = "leader" if entry.name == result.leader_name else pm(entry.difference, entry.difference_error)
        lines.append(
            f'<tr>{name}<td class="n">{pm(record.mean, record.standard_error)}{_below(entry)}</td>'
            f'<td class="n">{gap}</td><td class="wide-only">{whiskers.draw(entry)}</td>'
            f'<td class="n wide-only">{_calibration(card)}</td><td class="n wide-only">{_auc(card)}</td>'
            f"<td>{word_badge(card)}</td></tr>"
        )
    return (
        "<h2>How well does each model predict rows that it has not seen?</h2>"
        '<div class="sheet"><table><thead><tr><th scope="col">Model</th>'
        '<th scope="col" class="n">Held-out log density<br><small>nats per row ± s.e., higher is better'
        '</small></th><th scope="col" class="n">Difference to the leader<br>'
        '<small>paired, ± s.e.</small></th><th scope="col" class="wide-only"><small>the same, with one and '
        'two s.e.</small></th><th scope="col" class="n wide-only">Calibration<br><small>curves outside'
        "</small></th>"
        '<th scope="col" class="n wide-only">AUC<br><small>rows told from draws</small></th>'
        '<th scope="col">Verdict</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{_doubts(result)}"
    )


def _calibration(card: Card | None) -> str:
    check = None if card is None else card.judged.check
    if check is None:
        return '<span class="why">not looked at</span>'
    return f"{check.curves_outside} of {len(check.curves)}"


def _auc(card: Card | None) -> str:
    """How well a classifier tells rows from draws."""
    check = None if card is None else card.judged.check
    return "" if check is None or check.told is None else f"{check.told.auc:.2f}"


def word_badge(card: Card | None) -> str:
    """Return the word of a model's verdict as a badge; "" where there is none."""
    verdict = None if card is None else card.judged.verdict
    if verdict is None:
        return ""
    return f'<span class="badge {WORDS.get(verdict.word, "plain")}">{escape(verdict.word)}</span>'


def _below(entry: Entry) -> str:
    """What stands under the mean: what else is to be known of this number."""
    record, said = entry.held_out, []
    if entry.empty:
        said.append(f"{entry.empty}; median {number(record.median)}")
    if record.taken_off >= 0.0005:
        said.append(f"{record.taken_off:.3f} taken off for ties")
    if entry.bits_per_dim is not None:
        said.append(f"{entry.bits_per_dim:.3f} bits per dimension")
    if entry.kl is not None and entry.role != "truth":
        doubt = f" ± {entry.kl_error:.3f}" if entry.kl_error is not None else ""
        said.append(f"{entry.kl:.3f}{doubt} from the truth")
    if record.dropped:
        said.append(f"dropped {record.dropped}")
    if entry.kind != "exact":
        said.append({"bound": "a lower bound", "estimate": "an estimate"}.get(entry.kind, "no density"))
    return "".join(f'<br><span class="why">{escape(line)}</span>' for line in said)


def _doubts(result: Comparison) -> str:
    said = [
        f"<li><b>{escape(label(entry.name))}</b>: {text(doubt)}</li>"
        for entry in result.table
        for doubt in (*entry.held_out.doubts, *([entry.barred] if entry.barred else []))
    ]
    more = len(said) - MOST_DOUBTS
    tail = f"<li>… and {more} more.</li>" if more > 0 else ""
    return f"<ul>{''.join(said[:MOST_DOUBTS])}{tail}</ul>" if said else ""
