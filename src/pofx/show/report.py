"""The report: from a comparison to one HTML file that a person can read, without scripts or network.

The same result gives the same bytes: nothing here reads a clock, and the pictures hold no date.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pofx import __version__
from pofx.errors import FileError, PofxError
from pofx.evaluate.compare import Comparison, Entry, compare
from pofx.evaluate.curves import percent
from pofx.show.cards import Judged, card, judge, worst
from pofx.show.next_steps import next_steps
from pofx.show.page import CSS, MARK, Whiskers, minus, number, pm
from pofx.store import atomic

if TYPE_CHECKING:
    from pofx.data.diagnose import Diagnosis, Finding

# Says to the browser what the tests check: nothing is fetched, nothing runs.
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)
MOST_COLUMNS = 60  # lines of the table of columns
MOST_FINDINGS = 12
MOST_CARDS = 12

HOW = (
    "A standard error is the standard deviation over rows divided by √n; for a difference, of the rows' own "
    "differences. It does not know what the fits share. Intervals are of Student's t. A gain of g nats per "
    "row means that an unseen row is exp(g) times as likely, in the geometric mean over rows.",
    "The model to use is the simplest (Gaussian, then mixture, kernel estimate, histogram) within one paired "
    "standard error of the leader, fitted to all rows. Where a model's bumps are narrower than the recorded "
    "step of a column, the most that repeated values could give it is taken off its score: "
    "log(1 + 2 Σ exp(−2π²k²r²)), k = 1, 2, …, for a bump of standard deviation r steps below 1/2. Below "
    "r = 1/√12, narrower than rounding leaves anything, it cannot win.",
    "BIC = −2 log L + k log n, smaller is better, chooses the number and the structure of the components "
    "within a fit. Differences up to 2 are weak, up to 6 positive, up to 10 strong evidence, beyond that "
    "very strong (Kass and Raftery 1995).",
)

__all__ = ["is_ours", "render", "report"]


def report(
    result: Any,
    path: str | os.PathLike[str],
    *,
    source: str | None = None,
    words: Sequence[str] | None = None,
    command: str | None = None,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a comparison as one HTML file.

    Parameters
    ----------
    result : Comparison
        From :func:`pofx.compare`. Rows (a Table, an array, a DataFrame) are compared first, with the
        candidates of :mod:`pofx.auto`.
    path : path of the file
        An earlier report of pofx is replaced; any other file only with ``force=True``.
    source : str, optional
        The file that the rows were read from: the title, and part of the commands to type next.
    words : sequence of str, optional
        What stands after a verb of the command line to read the same rows again (file and options); by
        default the file alone.
    command : str, optional
        How the command line is started in the commands to type next; by default found out.
    progress : function of a text, optional
        Called with a few words before each long step.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    FileError
        Where the file cannot be written, or holds something else than a report.
    """
    target = Path(atomic.file_name(path))
    if target.exists() and not force and not is_ours(target):
        raise FileError(
            f"{str(target)!r} exists and is not a report of pofx; name another file, or use force."
        )
    if not isinstance(result, Comparison):
        from pofx.auto import candidates

        weights = getattr(result, "weights", None)
        result = compare(candidates(), result, sample_weight=weights, progress=progress)
    title = target.stem.removesuffix("-report")
    text = render(result, title=title, source=source, words=words, command=command, progress=progress)
    atomic.write(str(target), [text.encode("utf-8")])
    return target


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Return whether a file bears the mark of a report of pofx."""
    try:
        if not Path(path).is_file():  # opening a pipe would wait for ever
            return False
        with open(path, "rb") as file:
            return MARK.encode() in file.read(400)
    except OSError:
        return False


def render(
    result: Comparison,
    *,
    title: str,
    source: str | None = None,
    words: Sequence[str] | None = None,
    command: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> str:
    """Return the report as HTML text; see :func:`report`."""
    say = progress or (lambda text: None)
    title = "standard input" if source == "-" else Path(source).name if source else title
    judged = []
    for entry in result.table[:MOST_CARDS]:
        say(f"{entry.name}: picture and calibration")
        judged.append(judge(result, entry))
    found = _diagnosis(result)
    steps = next_steps(result, source, words, command)
    parts = [
        _head(result, title),
        _verdict(result, judged, found),
        _data(result, found),
        _findings(found),
        _table(result),
        _cards(result, judged),
        _next(steps),
        _how(result, judged),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n{MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{POLICY}\n"
        f"<title>{escape(title)}: distribution report</title>\n<style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


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


def _head(result: Comparison, title: str) -> str:
    n, d = result.split.rows.values.shape
    labels = [escape(result.split.rows.columns.label(j)) for j in range(min(d, 8))]
    names = ", ".join(labels) + (", …" if d > 8 else "")
    seed = f" · seed {result.random_state}" if isinstance(result.random_state, int) else ""
    return (
        f"<header><h1>{escape(title)}</h1><p>Distribution report · {n:,} rows × {d:,} "
        f"column{'s' if d > 1 else ''} ({names}) · {result.split.folds} folds{seed} · pofx {__version__}</p>"
        "</header>"
    )


# ---------------------------------------------------------------- the verdict


def _verdict(result: Comparison, judged: Sequence[Judged], found: Diagnosis | None) -> str:
    first, _, rest = result.headline.partition(". ")
    lines = [f'<p class="lead">{_text(f"{first}. {rest}")}</p>']
    argued = [result.reason, "" if result.family is None else result.family.sentence]
    lines.append(f"<p>{_text(' '.join(filter(None, argued)))}</p>")
    best = next((j for j in judged if j.entry.name == result.best_name), None)
    if best is not None and best.check is not None:
        lines.append(f"<p>{_text(_calibrated(best))}</p>")
    beware = _beware(result, found)
    if beware:
        lines.append(f"<p><b>Beware:</b> {_text(beware)}</p>")
    told = "".join(line for line in lines if line != "<p></p>")
    return f'<section class="verdict" aria-label="Verdict">{told}</section>'


def _calibrated(best: Judged) -> str:
    check = best.check
    assert check is not None
    if check.passed:
        shown = max(curve.half_width for curve in check.curves)
        return (
            f"Asked about held-out rows, it is calibrated as far as {check.n:,} rows can tell (gaps of more "
            f"than {percent(shown)} of the rows would have shown)."
        )
    outside = check.curves_outside
    text = f"It is the best of these, not the truth: {worst(check)}"
    return text + (
        f"; {outside} of {len(check.curves)} calibration curves leave their bands." if outside > 1 else "."
    )


def _beware(result: Comparison, found: Diagnosis | None) -> str:
    best = result[result.best_name].held_out
    said = []
    if best.taken_off >= 0.0005:
        said.append(
            f"repeated values may flatter {best.name}; what that can give at most, {best.taken_off:.3f} nats "
            "per row, was taken off its score."
        )
    said += [f"{e.name} cannot win: {e.barred}." for e in result.table if e.barred]
    if found is not None:
        troubling = [f for f in found.findings if f.severity != "note"]
        few = [
            f
            for f in found.findings
            if f.severity == "note" and f.name in ("few_rows", "rounding", "dimension")
        ]
        kinds: dict[str, Finding] = {}
        for finding in [*troubling, *few]:
            kinds.setdefault(finding.name, finding)
        said += [finding.sentence for finding in list(kinds.values())[:3]]
        if len(kinds) > 3:
            said.append(f"{len(kinds) - 3} more kinds of findings are listed below.")
    return " ".join(said)


# ---------------------------------------------------------------- the data


def _data(result: Comparison, found: Diagnosis | None) -> str:
    said = "".join(f"<li>{_text(note)}</li>" for note in _remarks(result))
    listed = f"<ul>{said}</ul>" if said else ""
    return f"<h2>What was read</h2>{listed}{_columns(result, found)}"


def _remarks(result: Comparison) -> list[str]:
    remarks = [f"{note.rstrip('.')}." for note in getattr(result.data, "notes", ())]
    aside = getattr(result.data, "set_aside", {})
    remarks += [f"{name!s} was set aside: {why}." for name, why in aside.items()]
    dropped = max(result.split.rows.dropped, getattr(result.data, "dropped", 0))
    if dropped:
        remarks.append(f"{dropped:,} rows with missing values were left out.")
    if result.split.weights is not None:
        remarks.append(f"Rows count by their weights, of sum {result.split.weights.sum():,.6g}.")
    return remarks


def _columns(result: Comparison, found: Diagnosis | None) -> str:
    rows, columns = result.split.rows.values, result.split.rows.columns
    recorded = {c.name: c.recorded for c in found.columns} if found else {}
    lines = []
    for j in range(min(len(columns), MOST_COLUMNS)):
        name, x = columns.label(j), rows[:, j]
        kind = recorded.get(name, "")
        values = [minus(f"{v:.6g}") for v in np.quantile(x, [0, 0.25, 0.5, 0.75, 1])]
        cells = "".join(
            f'<td class="n{" wide-only" if k in (1, 3) else ""}">{cell}</td>' for k, cell in enumerate(values)
        )
        lines.append(
            f'<tr><th scope="row">{escape(name)}</th><td>{escape(kind)}</td>{cells}'
            f'<td class="n wide-only">{len(np.unique(x)):,}</td></tr>'
        )
    more = len(columns) - len(lines)
    tail = f"<p>… and {more} more columns.</p>" if more else ""
    words = ("smallest", "lower quartile", "median", "upper quartile", "largest")
    head = "".join(
        f'<th scope="col" class="n{" wide-only" if k in (1, 3) else ""}">{w}</th>'
        for k, w in enumerate(words)
    )
    return (
        '<div class="sheet"><table><thead><tr><th scope="col">Column</th><th scope="col">Recorded as</th>'
        f'{head}<th scope="col" class="n wide-only">distinct</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{tail}"
    )


def _findings(found: Diagnosis | None) -> str:
    if found is None or not found.findings:
        return ""
    groups: dict[tuple[str, str, tuple[str, ...]], list[Finding]] = {}
    for finding in found.findings:
        if finding.name != "set_aside":  # said under what was read
            groups.setdefault((finding.severity, finding.name, finding.troubles), []).append(finding)
    badges = {"blocks": ("bad", "blocks a fit"), "warning": ("fair", "warning"), "note": ("plain", "note")}
    lines = []
    for (severity, _, troubles), group in list(groups.items())[:MOST_FINDINGS]:
        kind, word = badges[severity]
        sentences = [finding.sentence for finding in group[:3]]
        if len(group) > 3:
            sentences.append(f"The same of {len(group) - 3} more.")
        whom = f" Troubles {', '.join(troubles)}." if troubles else ""
        remedy = f" {group[0].remedy}" if group[0].remedy else ""
        lines.append(
            f'<li><span class="badge {kind}">{word}</span>{_text(" ".join(sentences))}'
            f'<span class="why">{_text(group[0].consequence + whom + remedy)}</span></li>'
        )
    if not lines:
        return ""
    more = len(groups) - len(lines)
    tail = f"<p>… and {more} more kinds of findings; diagnose lists them all.</p>" if more else ""
    return f'<h2>What to know about these rows</h2><ul class="findings">{"".join(lines)}</ul>{tail}'


# ---------------------------------------------------------------- the table


def _badge(result: Comparison, entry: Entry) -> str:
    if entry.held_out.failure:
        return '<span class="badge bad">failed</span>'
    if entry.name == result.best_name:
        return '<span class="badge good">use this</span>'
    if entry.barred:
        return '<span class="badge bad">cannot win</span>'
    return '<span class="badge fair">as good</span>' if entry.close else ""


def _table(result: Comparison) -> str:
    whiskers = Whiskers(result.table)
    lines = []
    for k, entry in enumerate(result.table):
        record = entry.held_out
        label = (
            escape(entry.name) if k >= MOST_CARDS else f'<a href="#model-{k + 1}">{escape(entry.name)}</a>'
        )
        name = f'<th scope="row">{label} {_badge(result, entry)}</th>'
        if record.failure:
            lines.append(f'<tr>{name}<td colspan="3" class="why">{escape(record.failure)}</td></tr>')
            continue
        gap = "leader" if entry.name == result.leader_name else pm(entry.difference, entry.difference_error)
        lines.append(
            f'<tr>{name}<td class="n">{pm(record.mean, record.standard_error)}{_below(entry)}</td>'
            f'<td class="n">{gap}</td><td class="wide-only">{whiskers.draw(entry)}</td></tr>'
        )
    return (
        "<h2>How well does each model predict rows that it has not seen?</h2>"
        '<div class="sheet"><table><thead><tr><th scope="col">Model</th>'
        '<th scope="col" class="n">Held-out log density<br><small>nats per row ± s.e., higher is better'
        '</small></th><th scope="col" class="n">Difference to the leader<br>'
        '<small>paired, ± s.e.</small></th><th scope="col" class="wide-only"><small>the same, with one and '
        f"two s.e.</small></th></tr></thead><tbody>{''.join(lines)}</tbody></table></div>{_doubts(result)}"
    )


def _below(entry: Entry) -> str:
    """What stands under the mean: rows of density zero, and what was taken off for ties."""
    record, said = entry.held_out, []
    if entry.empty:
        said.append(f"{entry.empty}; median {number(record.median)}")
    if record.taken_off >= 0.0005:
        said.append(f"{record.taken_off:.3f} taken off for ties")
    return "".join(f'<br><span class="why">{escape(text)}</span>' for text in said)


def _doubts(result: Comparison) -> str:
    said = "".join(
        f"<li><b>{escape(entry.name)}</b>: {_text(doubt)}</li>"
        for entry in result.table
        for doubt in (*entry.held_out.doubts, *([entry.barred] if entry.barred else []))
    )
    return f"<ul>{said}</ul>" if said else ""


def _cards(result: Comparison, judged: Sequence[Judged]) -> str:
    made = "".join(card(result, j, k + 1, _badge(result, j.entry)) for k, j in enumerate(judged))
    return f"<h2>Where does each model fail?</h2>{made}"


# ---------------------------------------------------------------- what to do next; how it was done


def _next(steps: Sequence[tuple[str, str]]) -> str:
    listed = "".join(f"<li>{escape(words)}<pre>{escape(code)}</pre></li>" for words, code in steps)
    return f'<h2>What to do next</h2><ol class="steps">{listed}</ol>'


def _how(result: Comparison, judged: Sequence[Judged]) -> str:
    folds, n = result.split.folds, len(result.split.part)
    models = "".join(f"<li><code>{escape(repr(model))}</code></li>" for model in result.models.values())
    seed = result.random_state if isinstance(result.random_state, int) else "not a number"
    told = [
        f"The {n:,} rows were dealt at random (seed {seed}) into {folds} parts. Every model was fitted "
        f"{folds} times, each time without one part, and asked for the log density of that part; whatever a "
        "model chooses from data (bandwidth, bins, number of components) it chose anew in each fit. Log "
        "densities are natural logarithms in the units of the columns: when a column changes its unit they "
        "change by a constant, and their differences not at all.",
        *HOW,
    ]
    checked = next((j.check for j in judged if j.check is not None), None)
    if checked is not None:
        told.append(
            f"Calibration: {checked.n:,} rows, each judged by the fit that had not seen it. A column's curve "
            "is the share of rows below each quantile of the model; the log density's is the share of rows "
            f"among {checked.draws:,} draws of the model, ordered by its density. Rounded values are spread "
            "over their cells. All bands of a model together would hold for a known truth with probability "
            "95 %; refits follow the rows, so leaving a band is serious and staying inside proves little."
        )
    text = "".join(f"<p>{_text(paragraph)}</p>" for paragraph in told)
    return (
        f'<section class="how"><h2>How this was computed</h2>{text}<p>Models, with what was not left at its '
        f"default:</p><ul>{models}</ul><p>pofx {__version__}.</p></section>"
    )


def _text(words: str) -> str:
    return escape(minus(words))
