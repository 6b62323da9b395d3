"""About the data: what was read, its columns, and what to know about these rows."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from pofx import __version__
from pofx.evaluate.compare import Comparison
from pofx.show.page import label, minus, text
from pofx.show.sections.told import Told

if TYPE_CHECKING:
    from pofx.data.diagnose import Diagnosis, Finding

__all__ = ["columns", "findings", "head", "remarks"]

MOST_COLUMNS = 60  # lines of the table of columns
OPEN_COLUMNS = 20  # above, it opens on a click, so that the models are not far down
MOST_FINDINGS = 12
MOST_REMARKS = 20
FEW_COLUMNS = 3  # below, distances and cells are as one imagines them
BADGES = {"blocks": ("bad", "blocks a fit"), "warning": ("fair", "warning"), "note": ("plain", "note")}
HEADS = ("smallest", "lower quartile", "median", "upper quartile", "largest")
OUTER = (1, 3)  # of these, left out on a narrow screen


def head(told: Told) -> str:
    """Return the title, and one line that says which rows these are."""
    cut = told.result.split
    n, d = cut.total, len(cut.rows.columns)
    labels = [escape(label(cut.rows.columns.label(j), 30)) for j in range(min(d, 8))]
    names = ", ".join(labels) + (", …" if d > 8 else "")
    fingerprint = getattr(told.result.best.fit_, "fingerprint", None)
    seed = told.result.random_state
    parts = [
        "Distribution report",
        f"{n:,} rows × {d:,} column{'s' if d > 1 else ''} ({names})",
        f"{cut.folds} folds",
        *([f"seed {seed}"] if isinstance(seed, int) else []),
        f"pofx {__version__}",
        *([f"table <code>{escape(str(fingerprint)[:12])}</code>"] if fingerprint else []),
    ]
    return f"<header><h1>{escape(label(told.title, 100))}</h1><p>{' · '.join(parts)}</p></header>"


def remarks(result: Comparison) -> list[str]:
    """Return what was read, set aside, left out and weighted, a sentence each."""
    said = [f"{note.rstrip('.')}." for note in getattr(result.data, "notes", ())]
    aside = getattr(result.data, "set_aside", {})
    said += [f"{label(str(name))} was set aside: {why}." for name, why in aside.items()]
    if len(said) > MOST_REMARKS:
        said = [*said[:MOST_REMARKS], f"And {len(said) - MOST_REMARKS} more remarks on reading."]
    dropped = max(result.split.rows.dropped, getattr(result.data, "dropped", 0))
    if dropped:
        said.append(f"{dropped:,} rows with missing values were left out.")
    if result.split.sampled:
        said.append(
            f"The models were compared on {len(result.split.part):,} of {result.split.total:,} rows, drawn "
            "at random; the chosen one is fitted to all."
        )
    if result.split.weights is not None:
        said.append(f"Rows count by their weights, of sum {result.split.weights.sum():,.6g}.")
    return said


def columns(told: Told) -> str:
    """Return what was read and the table of its columns."""
    items = "".join(f"<li>{text(note)}</li>" for note in remarks(told.result))
    listed = f"<ul>{items}</ul>" if items else ""
    return f"<h2>What was read</h2>{listed}{_table(told.result, told.found)}"


def _table(result: Comparison, found: Diagnosis | None) -> str:
    rows, names = result.split.rows.values, result.split.rows.columns
    recorded = {c.name: c.recorded for c in found.columns} if found else {}
    lines = []
    for j in range(min(len(names), MOST_COLUMNS)):
        x = np.sort(rows[:, j])
        distinct = 1 + int(np.count_nonzero(np.diff(x)))
        cells = "".join(
            f'<td class="n{" wide-only" if k in OUTER else ""}">{minus(f"{v:.6g}")}</td>'
            for k, v in enumerate(np.quantile(x, [0, 0.25, 0.5, 0.75, 1]))
        )
        lines.append(
            f'<tr><th scope="row">{escape(label(names.label(j)))}</th>'
            f'<td class="wide-only">{escape(recorded.get(names.label(j), ""))}</td>{cells}'
            f'<td class="n wide-only">{distinct:,}</td></tr>'
        )
    more = len(names) - len(lines)
    tail = f"<p>… and {more} more columns.</p>" if more else ""
    head = "".join(
        f'<th scope="col" class="n{" wide-only" if k in OUTER else ""}">{w}</th>' for k, w in enumerate(HEADS)
    )
    table = (
        '<div class="sheet"><table><thead><tr><th scope="col">Column</th>'
        f'<th scope="col" class="wide-only">Recorded as</th>{head}'
        '<th scope="col" class="n wide-only">distinct</th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>{tail}"
    )
    if len(names) <= OPEN_COLUMNS:
        return table
    return f"<details><summary>The {len(names):,} columns, one by one</summary>{table}</details>"


def findings(told: Told) -> str:
    """Return what the diagnosis found, the worst first, each with what follows from it."""
    found = told.found
    if found is None:
        return ""
    groups: dict[tuple[str, str, tuple[str, ...]], list[Finding]] = {}
    for finding in found.findings:
        if finding.name != "set_aside":  # said under what was read
            groups.setdefault((finding.severity, finding.name, finding.troubles), []).append(finding)
    lines = []
    for (severity, _, troubles), group in list(groups.items())[:MOST_FINDINGS]:
        kind, word = BADGES[severity]
        sentences = [finding.sentence for finding in group[:3]]
        if len(group) > 3:
            sentences.append(f"The same of {len(group) - 3} more.")
        whom = f" Troubles {', '.join(troubles)}." if troubles else ""
        remedy = f" {group[0].remedy}" if group[0].remedy else ""
        lines.append(
            f'<li><span class="badge {kind}">{word}</span>{text(" ".join(sentences))}'
            f'<span class="why">{text(group[0].consequence + whom + remedy)}</span></li>'
        )
    geometry = _geometry(found)
    if not lines and not geometry:
        return ""
    more = len(groups) - len(lines)
    tail = f"<p>… and {more} more kinds of findings; diagnose lists them all.</p>" if more else ""
    return f'<h2>What to know about these rows</h2><ul class="findings">{"".join(lines)}</ul>{tail}{geometry}'


def _geometry(found: Diagnosis) -> str:
    """What the number of columns does to the rows."""
    if found.geometry is None or found.geometry.columns < FEW_COLUMNS:
        return ""
    lines = [line.partition("  ") for line in found.geometry.lines()]
    said = "".join(f"<dt>{text(name)}</dt><dd>{text(rest.strip())}</dd>" for name, _, rest in lines)
    return f"<h3>Rows in so many columns</h3><dl>{said}</dl>"
