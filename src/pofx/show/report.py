"""The report: from a comparison to one HTML file that a person can read, without scripts or network.

The same result gives the same bytes: nothing here reads a clock, and the pictures hold no date.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pofx.errors import FileError
from pofx.evaluate.compare import Comparison, compare
from pofx.show.page import CSS, MARK, label
from pofx.show.sections.about import columns, findings, head
from pofx.show.sections.how import how, steps
from pofx.show.sections.ranking import badge, ranking, word_badge
from pofx.show.sections.record import SCHEMA, record
from pofx.show.sections.told import Told, tell
from pofx.show.sections.verdict import verdict
from pofx.store import atomic

__all__ = ["SCHEMA", "html", "is_ours", "record", "render", "report", "tell", "to_dict", "write"]

# Says to the browser what the tests check: nothing is fetched, nothing runs.
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)
MOST_BYTES = (
    1_000_000  # of the file; pictures that would go beyond are left out, those of the last models first
)


def report(
    result: Any,
    path: str | os.PathLike[str],
    *,
    source: str | None = None,
    words: Sequence[str] | None = None,
    command: str | None = None,
    points: bool = True,
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Write the report of a comparison as one HTML file of at most 1 MB.

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
    points : bool
        Up to 2,000 rows are drawn as dots. ``False`` draws and quotes no single row, only counts in cells,
        curves and quantiles, as above 2,000 rows. This is not anonymity: the smallest and the largest value
        of a column stand in a table, and a lone row is alone in its cell.
    force : bool
        Replace a file that is no report.
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
    title = target.stem.removesuffix("-report")
    found = _compared(result, progress)
    told = tell(
        found, title=title, source=source, words=words, command=command, points=points, progress=progress
    )
    return write(told, target)


def to_dict(
    result: Any,
    *,
    title: str = "rows",
    source: str | None = None,
    words: Sequence[str] | None = None,
    command: str | None = None,
    points: bool = True,
    run: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Return what the report says as plain data, schema pofx.report/1 (docs/report.md).

    Parameters
    ----------
    result, source, words, command, points, progress
        As for :func:`report`.
    title : str
        What the rows are called, where there is no ``source``.
    run : mapping, optional
        What differs from one run to the next: stored as "run", None by default.
    """
    found = _compared(result, progress)
    told = tell(
        found, title=title, source=source, words=words, command=command, points=points, progress=progress
    )
    return record(told, run)


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
    points: bool = True,
    progress: Callable[[str], None] | None = None,
) -> str:
    """Return the report as HTML text; see :func:`report`."""
    return html(
        tell(
            result, title=title, source=source, words=words, command=command, points=points, progress=progress
        )
    )


def write(told: Told, path: str | os.PathLike[str]) -> Path:
    """Write what was told as an HTML file, in place of what is there."""
    target = Path(path)
    atomic.write(str(target), [html(told).encode("utf-8", "backslashreplace")])
    return target


def html(told: Told) -> str:
    """Return what was told as one page."""
    before = [verdict(told).html(), columns(told), findings(told), ranking(told)]
    after = [steps(told), how(told)]
    room = MOST_BYTES - 20_000 - sum(len(part.encode()) for part in (CSS, *before, *after))
    title = escape(label(told.title, 100))
    body = [head(told), *before, _cards(told, room), *after]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n{MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{POLICY}\n"
        f"<title>{title}: distribution report</title>\n<style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )


def _cards(told: Told, room: int) -> str:
    """Return a card per model; beyond ``room`` bytes, cards without pictures."""
    out = []
    badges = [f"{word_badge(card)} {badge(told.result, card.judged.entry)}" for card in told.cards]
    plain = [card.html(k + 1, badges[k], pictures=False) for k, card in enumerate(told.cards)]
    room -= sum(len(part.encode()) for part in plain)
    for k, card in enumerate(told.cards):
        full = card.html(k + 1, badges[k])
        room -= len(full.encode()) - len(plain[k].encode())
        out.append(full if room >= 0 else plain[k])
    return f"<h2>Where does each model fail?</h2>{''.join(out)}"


def _compared(result: Any, progress: Callable[[str], None] | None) -> Comparison:
    if isinstance(result, Comparison):
        return result
    from pofx.auto import candidates

    weights = getattr(result, "weights", None)
    return compare(candidates(), result, sample_weight=weights, stack=True, progress=progress)
