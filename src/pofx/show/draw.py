"""Figures drawn by matplotlib, without a window and without pyplot: records in, bytes out.

The same record gives the same bytes, whatever the caller's matplotlib settings; :mod:`pofx.show.plot` draws
the same records in the caller's style.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

from pofx.errors import ParameterError
from pofx.show.figure import Figure
from pofx.show.layout import lay_out, size_of
from pofx.show.theme import OURS
from pofx.store import atomic

__all__ = ["FORMATS", "format_of", "save", "to_pdf", "to_png", "to_svg"]

FORMATS = ("pdf", "svg", "png")
INK, MUTED, LINE, PAPER = OURS.ink, OURS.muted, "#d5dbe2", OURS.paper
STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.labelpad": 6,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": 9,
    "legend.title_fontsize": 9,
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "pofx",  # the same picture has the same bytes
    "pdf.fonttype": 42,
    "path.simplify": True,
}


def save(
    figure: Figure,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = True,
    title: bool = True,
    dpi: int = 144,
) -> Path:
    """Write the figure to a file whose suffix says what it is: ``.pdf``, ``.svg`` or ``.png``.

    Parameters
    ----------
    overwrite : bool
        Whether a file that is there may be replaced.
    title : bool
        Whether the title stands above the picture; it is in the file's metadata in any case, as the caption.
    dpi : int
        Dots per inch of a PNG.

    Raises
    ------
    ParameterError
        For another suffix.
    FileError
        Where the file cannot be written; what was there before is intact.
    """
    target = atomic.file_name(path)
    kind = format_of(target)
    if kind == "png":
        content = to_png(figure, dpi=dpi, title=title)
    else:
        content = to_pdf(figure, title=title) if kind == "pdf" else _svg_file(figure, title=title)
    atomic.write(target, [content], overwrite=overwrite)
    return Path(target)


def format_of(path: str | os.PathLike[str]) -> str:
    """Return "pdf", "svg" or "png", by the suffix of a path."""
    suffix = Path(os.fsdecode(os.fspath(path))).suffix
    kind = suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        came = f"{suffix!r}" if suffix else "none"
        raise ParameterError(f"A picture's file ends in .pdf, .svg or .png; the suffix here is {came}.")
    return kind


def to_svg(figure: Figure, *, title: bool = False) -> str:
    """Return the figure as an SVG element for a page: no date, no outside reference, the same bytes."""
    nothing = dict.fromkeys(["Date", "Creator", "Format", "Type"])
    svg = _render(figure, title, format="svg", metadata=nothing).decode("utf-8")
    svg = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', svg)
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box.group(1) if box else ""}" role="img" aria-label="{_attribute(figure.title)}"'
    )
    return head + svg[svg.index(">") :]


def _svg_file(figure: Figure, *, title: bool) -> bytes:
    told = {"Date": None, "Creator": "pofx", "Title": figure.title, "Description": figure.caption}
    return _render(figure, title, format="svg", metadata=told)


def to_png(figure: Figure, *, dpi: int = 144, title: bool = False) -> bytes:
    """Return the figure as a PNG file."""
    told = {"Software": "pofx", "Title": figure.title, "Description": figure.caption}
    return _render(figure, title, format="png", dpi=dpi, metadata=told)


def to_pdf(figure: Figure, *, title: bool = False) -> bytes:
    """Return the figure as a PDF file."""
    told = {"Title": figure.title, "Subject": figure.caption, "Creator": "pofx"}
    return _render(figure, title, format="pdf", metadata={**told, "CreationDate": None, "Producer": None})


def _render(figure: Figure, title: bool, **how: Any) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE, "backend": "agg"}), _quiet():
        canvas = Canvas(figsize=size_of(figure), facecolor=PAPER)
        FigureCanvasAgg(canvas)
        lay_out(canvas, figure, OURS, title=title)
        out = io.BytesIO()
        canvas.savefig(out, facecolor=PAPER, **how)
    return out.getvalue()


def _quiet() -> Any:
    """A letter that the font lacks is a box in the picture and still in the record: no cause for alarm."""
    calm = warnings.catch_warnings()

    class _Calm:
        def __enter__(self) -> None:
            calm.__enter__()
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)

        def __exit__(self, *told: Any) -> None:
            calm.__exit__(*told)

    return _Calm()


def _attribute(text: str) -> str:
    from html import escape

    return escape(text, quote=True)
