"""``Diagnosis``: the table of columns and the findings, for a terminal, a notebook, a program."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pofx.data.diagnose.column import ColumnSummary
from pofx.data.diagnose.finding import SEVERITIES, Finding, counted, number, short
from pofx.data.diagnose.geometry import Geometry
from pofx.optional import need
from pofx.validation import one_of
from pofx.validation.columns import printable

__all__ = ["SCHEMA", "Diagnosis"]

SCHEMA = "pofx.diagnosis/1"
WIDTH = 100
MOST_COLUMNS = 40  # lines of the table of columns in a terminal
MOST_SENTENCES = 6  # of one kind of finding
MEASURES = ("min", "25 %", "median", "75 %", "max", "mean", "sd")
HEADS = ("column", "recorded", *MEASURES, "distinct", "effective n", "missing")
TITLES = {"blocks": "Blocks a fit", "warning": "Warnings", "note": "Notes"}


@dataclass(frozen=True)
class Diagnosis:
    """What to know about rows before a model is fitted; made by :func:`pofx.diagnose`.

    ``print(diagnosis)`` is the readable form.

    Attributes
    ----------
    rows, complete_rows : int
        All rows, and those without a missing value.
    effective_rows : int
        Complete rows without copies of others: the sample size to think in.
    columns : tuple of ColumnSummary
        One record per column, in data units.
    findings : tuple of Finding
        The worst first.
    notes : tuple of str
        What was read, line by line.
    geometry : Geometry or None
        What the number of columns does to the rows; None for one column, for more than 200 and for fewer
        than 50 different rows.
    """

    rows: int
    complete_rows: int
    effective_rows: int
    columns: tuple[ColumnSummary, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    origin: str | None = field(default=None, repr=False)
    geometry: Geometry | None = None

    def named(self, name: str) -> tuple[Finding, ...]:
        """Return the findings of one kind, such as "rounding"."""
        return tuple(finding for finding in self.findings if finding.name == name)

    def troubling(self, model: str) -> tuple[Finding, ...]:
        """Return the findings that trouble a model, given by its class name such as "KDE"."""
        return tuple(finding for finding in self.findings if model in finding.troubles)

    def count(self, severity: str) -> int:
        """Return how many findings are "note", "warning" or "blocks"."""
        one_of(severity, "severity", SEVERITIES)
        return sum(finding.severity == severity for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, texts and finite numbers or None, fit for JSON."""
        return {
            "schema": SCHEMA,
            "rows": self.rows,
            "complete_rows": self.complete_rows,
            "effective_rows": self.effective_rows,
            "columns": [column.to_dict() for column in self.columns],
            "geometry": None if self.geometry is None else self.geometry.to_dict(),
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": list(self.notes),
        }

    def to_frame(self, what: str = "findings", kind: str | None = None) -> Any:
        """Return a DataFrame with one row per finding, or per column.

        Parameters
        ----------
        what : "findings" or "columns"
        kind : "pandas", "polars" or "pyarrow"; by default the kind that the rows came from, else pandas

        Raises
        ------
        MissingExtraError
            if that library is not installed.
        """
        if one_of(what, "what", ("findings", "columns")) == "columns":
            records = {
                name: [column.to_dict()[name] for column in self.columns]
                for name in ColumnSummary.__dataclass_fields__
            }
        else:
            records = {
                "name": [f.name for f in self.findings],
                "severity": [f.severity for f in self.findings],
                "columns": [", ".join(f.columns) for f in self.findings],
                "value": [f.number.value for f in self.findings],
                "unit": [f.number.unit for f in self.findings],
                "sentence": [f.sentence for f in self.findings],
                "consequence": [f.consequence for f in self.findings],
                "troubles": [", ".join(f.troubles) for f in self.findings],
                "remedy": [f.remedy for f in self.findings],
            }
        kind = one_of(kind or self.origin or "pandas", "kind", ("pandas", "polars", "pyarrow"))
        library = need(kind, why=f'to_frame(kind="{kind}") makes one; "pyarrow" needs nothing more')
        return library.table(records) if kind == "pyarrow" else library.DataFrame(records)

    @property
    def headline(self) -> str:
        """One line: "272 rows, 2 columns: no warnings, 4 notes"."""
        counts = [self.count(severity) for severity in SEVERITIES]
        stops = f"{counted(counts[0], 'finding')} that {'stops' if counts[0] == 1 else 'stop'} a fit, " * (
            counts[0] > 0
        )
        size = f"{counted(self.rows, 'row')}, {counted(len(self.columns), 'column')}"
        if self.effective_rows != self.rows:
            size += f" (effectively {counted(self.effective_rows, 'row')})"
        return f"{size}: {stops}{counted(counts[1], 'warning')}, {counted(counts[2], 'note')}"

    def _cells(self) -> list[tuple[str, ...]]:
        """Return the lines of the table of columns; the last two are there only where they say something."""
        keep = [True] * (len(HEADS) - 2)
        keep.append(any(column.effective < 0.99 * (self.rows - column.missing) for column in self.columns))
        keep.append(any(column.missing for column in self.columns))
        lines: list[tuple[str, ...]] = [HEADS]
        for c in self.columns[:MOST_COLUMNS]:
            measures = (c.min, c.lower_quartile, c.median, c.upper_quartile, c.max, c.mean, c.sd)
            shown = ["" if value is None else number(value) for value in measures]
            counts = (f"{c.distinct:,}", f"{c.effective:,.0f}", f"{c.missing:,}")
            lines.append((short(c.name, 30), c.recorded, *shown, *counts))
        return [tuple(cell for cell, there in zip(line, keep, strict=True) if there) for line in lines]

    def _groups(self) -> Iterator[tuple[str, list[list[Finding]]]]:
        """Yield (severity, findings grouped by kind and advice), the worst first."""
        for severity in SEVERITIES:
            groups: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
            for finding in self.findings:
                if finding.severity == severity:
                    groups.setdefault((finding.name, finding.troubles), []).append(finding)
            if groups:
                yield severity, list(groups.values())

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [self.headline, ""]
        for row in cells:
            padded = [
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(padded).rstrip())
        if len(self.columns) > MOST_COLUMNS:
            lines.append(f"… and {len(self.columns) - MOST_COLUMNS} more columns: to_frame('columns')")
        if self.geometry is not None:
            lines += ["", "Rows in so many columns", *self.geometry.lines()]
        for severity, groups in self._groups():
            lines += ["", TITLES[severity]]
            for group in groups:
                lines += _paragraph(group)
        return "\n".join([*lines, *self._read()])

    def _read(self) -> list[str]:
        return ["", *(printable(note) for note in self.notes)] if self.notes else []

    def _repr_html_(self) -> str:
        head, *body = self._cells()
        table = "".join(f"<th>{html.escape(word)}</th>" for word in head)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body
        )
        parts = []
        if self.geometry is not None:
            said = "<br>".join(html.escape(line) for line in self.geometry.lines())
            parts.append(f"<p><b>Rows in so many columns</b></p><p>{said}</p>")
        for severity, groups in self._groups():
            items = []
            for group in groups:
                sentences, advice = _words(group)
                said = "<br>".join(html.escape(text) for text in sentences)
                items.append(f"<li>{said}<br><small>{html.escape(' '.join(advice))}</small></li>")
            parts.append(f"<p><b>{TITLES[severity]}</b></p><ul>{''.join(items)}</ul>")
        return (
            f"<p>{html.escape(self.headline)}</p><table><thead><tr>{table}</tr></thead>"
            f"<tbody>{rows}</tbody></table>{''.join(parts)}"
        )


def _words(group: list[Finding]) -> tuple[list[str], list[str]]:
    """Return the sentences of findings of one kind, and what is said once for all of them."""
    first = group[0]
    sentences = [finding.sentence for finding in group[:MOST_SENTENCES]]
    if len(group) > MOST_SENTENCES:
        rest = [short(finding.columns[0]) for finding in group[MOST_SENTENCES:] if finding.columns]
        names = f": {', '.join(rest[:12])}{', …' if len(rest) > 12 else ''}" if rest else ""
        sentences.append(f"The same of {len(group) - MOST_SENTENCES} more{names}.")
    advice = [first.consequence]
    if first.troubles:
        advice.append(f"Troubles {', '.join(first.troubles)}.")
    if first.remedy:
        advice.append(f"What to do: {first.remedy}")
    return sentences, advice


def _paragraph(group: list[Finding]) -> list[str]:
    sentences, advice = _words(group)
    lines = []
    for sentence in sentences:
        lines += _wrapped(sentence, "- ", "  ")
    return lines + _wrapped(" ".join(advice), "    ", "    ")


def _wrapped(text: str, first: str, then: str) -> list[str]:
    """Return the text in lines; a number and its percent sign stay together."""
    kept = text.replace(" %", "\N{NO-BREAK SPACE}%")
    lines = textwrap.wrap(
        kept,
        WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}%", " %") for line in lines]
