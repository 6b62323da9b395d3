"""The report: from a comparison to one HTML file that a person can read, without scripts or network.

The same result gives the same bytes: nothing here reads a clock, and the picture holds no date.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pofx import __version__
from pofx.errors import FileError, PofxError
from pofx.evaluate.compare import Comparison, Entry, compare
from pofx.show.figure import Figure
from pofx.show.page import CSS, MARK, Whiskers, minus, number, pm
from pofx.store import atomic

# Says to the browser what the tests check: nothing is fetched, nothing runs.
POLICY = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)

__all__ = ["is_ours", "render", "report"]


def report(
    result: Any, path: str | os.PathLike[str], *, source: str | None = None, force: bool = False
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

        result = compare(candidates(), result)
    text = render(result, title=target.stem.removesuffix("-report"), source=source)
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


def render(result: Comparison, *, title: str, source: str | None = None) -> str:
    """Return the report as HTML text; see :func:`report`."""
    title = Path(source).name if source else title
    figure = _figure(result)
    parts = [
        _head(result, title),
        _verdict(result),
        _data(result),
        _table(result),
        _picture(figure),
        _next(result, source),
        _how(result),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n{MARK}\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{POLICY}\n"
        f"<title>{escape(title)}: distribution report</title>\n<style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def _figure(result: Comparison) -> Figure | None:
    from pofx.show.picture import picture

    try:
        return picture(result.best, result.split.rows.values, result.best_name)
    except PofxError:
        return None  # a model without the quantities that a picture needs; the numbers stand alone


def _head(result: Comparison, title: str) -> str:
    n, d = result.split.rows.values.shape
    labels = [escape(result.split.rows.columns.label(j)) for j in range(min(d, 8))]
    names = ", ".join(labels) + (", …" if d > 8 else "")
    seed = f", seed {result.random_state}" if isinstance(result.random_state, int) else ""
    return (
        f"<header><h1>{escape(title)}</h1><p>Distribution report · {n:,} rows × {d:,} "
        f"column{'s' if d > 1 else ''} ({names}) · each row held out once, in {result.split.folds} "
        f"folds{seed} · pofx {__version__}</p></header>"
    )


def _verdict(result: Comparison) -> str:
    first, _, rest = minus(result.sentence).partition(". ")
    words = f"<p><strong>{escape(first)}.</strong> {escape(rest)}</p>"
    return f'<section class="verdict">{words}{_fit(result)}</section>'


def _fit(result: Comparison) -> str:
    fit = result.best.fit_
    state = "" if fit.converged else "It did not converge. "
    notes = "".join(f"<li>{escape(note)}</li>" for note in fit.notes[:6])
    listed = f"<ul>{notes}</ul>" if notes else ""
    return f"<p>Fitted to all {fit.n_rows:,} rows: {state}{escape(fit.message)}</p>{listed}"


def _data(result: Comparison) -> str:
    rows, columns = result.split.rows.values, result.split.rows.columns
    lines = []
    for j in range(min(len(columns), 60)):
        x = rows[:, j]
        kind = {0: "whole numbers", 1: "1 decimal", None: "continuous"}.get(
            columns.decimals[j], f"{columns.decimals[j]} decimals"
        )
        low, q1, middle, q3, high = np.quantile(x, [0, 0.25, 0.5, 0.75, 1])
        cells = [minus(f"{v:.6g}") for v in (low, q1, middle, q3, high)] + [f"{len(np.unique(x)):,}"]
        lines.append(
            f"<tr><th>{escape(columns.label(j))}</th><td>{kind}</td>"
            + "".join(f'<td class="n">{cell}</td>' for cell in cells)
            + "</tr>"
        )
    more = len(columns) - len(lines)
    tail = f"<p>… and {more} more columns.</p>" if more else ""
    aside = "".join(
        f"<li><b>{escape(str(name))}</b> was set aside: {escape(why)}.</li>"
        for name, why in getattr(result.data, "set_aside", {}).items()
    )
    remarks = "".join(f"<li>{escape(note)}.</li>" for note in getattr(result.data, "notes", ()))
    if result.split.rows.dropped:
        remarks += f"<li>{result.split.rows.dropped:,} rows with missing values were left out.</li>"
    said = f"<ul>{remarks}{aside}</ul>" if remarks or aside else ""
    head = "".join(
        f'<th class="n">{w}</th>'
        for w in ("smallest", "lower quartile", "median", "upper quartile", "largest")
    )
    return (
        f'<h2>What was read</h2><div class="wide"><table><thead><tr><th>Column</th><th>Recorded as</th>{head}'
        f'<th class="n">distinct</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>{tail}{said}'
    )


def _table(result: Comparison) -> str:
    whiskers = Whiskers(result.table)
    lines = []
    for entry in result.table:
        record = entry.held_out
        badge = ""
        if record.failure:
            badge = '<span class="badge bad">failed</span>'
        elif entry.name == result.best_name:
            badge = '<span class="badge good">use this</span>'
        elif entry.close:
            badge = '<span class="badge fair">as good</span>'
        name = f"<th>{escape(entry.name)} {badge}</th>"
        if record.failure:
            lines.append(f'<tr>{name}<td colspan="3" class="why">{escape(record.failure)}</td></tr>')
            continue
        gap = "leader" if entry.name == result.leader_name else pm(entry.difference, entry.difference_error)
        lines.append(
            f'<tr>{name}<td class="n">{pm(record.mean, record.standard_error)}{_outside(entry)}</td>'
            f'<td class="n">{gap}</td><td>{whiskers.draw(entry)}</td></tr>'
        )
    return (
        "<h2>How well does each model predict rows that it has not seen?</h2>"
        '<div class="wide"><table><thead><tr><th>Model</th><th class="n">Held-out log density<br>'
        '<small>nats per row ± s.e., higher is better</small></th><th class="n">Difference to the leader<br>'
        "<small>paired difference ± s.e.</small></th>"
        "<th><small>the same, with one and two s.e.</small></th></tr>"
        f"</thead><tbody>{''.join(lines)}</tbody></table></div>{_doubts(result)}"
    )


def _doubts(result: Comparison) -> str:
    said = "".join(
        f"<li><b>{escape(entry.name)}</b>: {escape(doubt)}</li>"
        for entry in result.table
        for doubt in entry.held_out.doubts
    )
    return f"<ul>{said}</ul>" if said else ""


def _outside(entry: Entry) -> str:
    record = entry.held_out
    if not record.outside:
        return ""
    rows = f"{record.outside:,} of {len(record.log_density):,} rows called impossible"
    return f'<br><span class="why">{rows}; median {number(record.median)}</span>'


def _picture(figure: Figure | None) -> str:
    if figure is None:
        return ""
    from pofx.show.draw import to_svg

    svg = to_svg(figure)
    # names of namespaces, not needed inside HTML: without them a search for addresses finds none
    for attribute in (' xmlns="http://www.w3.org/2000/svg"', ' xmlns:xlink="http://www.w3.org/1999/xlink"'):
        svg = svg.replace(attribute, "")
    return (
        f"<h2>What the chosen model looks like</h2><figure>{svg}<figcaption>{escape(minus(figure.caption))}"
        "</figcaption></figure>"
    )


def _next(result: Comparison, source: str | None) -> str:
    kinds = {"Gaussian": "gaussian", "GaussianMixture": "mixture", "KDE": "kde", "Histogram": "histogram"}
    kind = kinds.get(result.best_name)
    if source is None or kind is None:
        return ""
    stem = Path(source).name.partition(".")[0]
    model, rows = f"{stem}.pofx", f"{stem}-new.csv"
    seed = f" --seed {result.random_state}" if result.random_state else ""
    steps = {
        "Keep the model": f"pofx fit {_quoted(source)} --model {kind}{seed} -o {_quoted(model)}",
        "Draw new rows from it": f"pofx sample {_quoted(model)} -n 1000 -o {_quoted(rows)}",
        "Use it in Python": f"pofx.load({model!r}).log_density(rows)",
    }
    listed = "".join(f"<li>{words}: <code>{escape(code)}</code></li>" for words, code in steps.items())
    return f"<h2>What to do next</h2><ol>{listed}</ol>"


def _how(result: Comparison) -> str:
    folds, n = result.split.folds, len(result.split.part)
    fits = sum(entry.held_out.fits for entry in result.table) + 1
    models = "".join(f"<li><code>{escape(repr(model))}</code></li>" for model in result.models.values())
    told = (
        f"The {n:,} rows were dealt at random into {folds} parts. Every model was fitted {folds} times, each "
        "time without one part, and asked for the log density of that part; whatever a model chooses from "
        f"data (bandwidth, bins, number of components) it chose anew in each fit; {fits} fits in all. Log "
        "densities are natural logarithms in the units of the columns: when a column changes its unit they "
        "change by a constant, and their differences not at all. The standard error is the standard "
        "deviation over rows divided by √n; for a difference, of the rows' own differences. It does not know "
        "what the fits share. The model to use is the simplest (Gaussian, then mixture, kernel estimate, "
        "histogram) within one paired standard error of the leader, fitted to all rows."
    )
    return (
        f"<details><summary>How this was computed</summary><p>{told}</p>"
        f"<p>Models, with what was not left at its default:</p><ul>{models}</ul></details>"
    )


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)
