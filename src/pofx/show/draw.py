"""Figures drawn by matplotlib, without a window and without pyplot: records in, bytes out.

The same record gives the same bytes, whatever the caller's matplotlib settings; :mod:`pofx.show.plot` draws
the same records in the caller's style.
"""

from __future__ import annotations

import io
import os
import re
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pofx.errors import ParameterError
from pofx.show.figure import Figure, Panel
from pofx.show.marks import OURS, Theme, axis_name, draw_legend, draw_marks
from pofx.store import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMATS", "draw_panel", "format_of", "lay_out", "save", "size_of", "to_pdf", "to_png", "to_svg"]

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
WIDE = 7.6  # inches


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


# ---------------------------------------------------------------- where the panels go


def size_of(figure: Figure, wide: float = WIDE) -> tuple[float, float]:
    """Return width and height in inches that suit a figure's panels."""
    places = {panel.place for panel in figure.panels}
    if "cell" in places:
        d = max(panel.row for panel in figure.panels) + 1
        side = wide * min(1.0 + 0.12 * max(d - 3, 0), 1.6)
        return side, side
    main = figure.main
    if main.equal:
        # the box of equal units, with room for the words and the strips around it
        ratio = (main.y.high - main.y.low) / (main.x.high - main.x.low)
        strips = 0.86 if places != {"main"} else 1.0
        high = (wide - 0.8) * strips * ratio / strips + 0.7
        return (wide, high) if high <= 1.1 * wide else (max(1.1 * wide / high * wide, 0.5 * wide), 1.1 * wide)
    return wide, (0.79 if places != {"main"} else 0.56) * wide


def lay_out(canvas: Any, figure: Figure, theme: Theme, *, title: bool) -> Axes:
    """Draw all panels on a canvas; return the axes of the main one."""
    cells = [panel for panel in figure.panels if panel.place == "cell"]
    main = _corner(canvas, cells, theme) if cells else _middle(canvas, figure, theme)
    if title:
        text = canvas.suptitle("\n".join(textwrap.wrap(figure.title, 72)), x=0.013, ha="left")
        text.set_parse_math(False)
    if theme is OURS:
        canvas.draw_without_rendering()
        for axes in canvas.axes:
            _name_the_power(axes)
    return main


def _middle(canvas: Any, figure: Figure, theme: Theme) -> Axes:
    if canvas.get_layout_engine() is None:
        canvas.set_layout_engine("constrained", w_pad=0.09, h_pad=0.09)
    main = canvas.add_subplot()
    draw_panel(main, figure.main, theme)
    for panel in figure.panels:
        if panel.place in ("top", "right"):
            # beside the box itself, so that they follow it where both axes have one scale
            top = panel.place == "top"
            bounds = (0.0, 1.015, 1.0, 0.15) if top else (1.012, 0.0, 0.13, 1.0)
            share: dict[str, Any] = {"sharex": main} if top else {"sharey": main}
            draw_panel(main.inset_axes(bounds, **share), panel, theme)
    return main


def _corner(canvas: Any, cells: list[Panel], theme: Theme) -> Axes:
    d = max(panel.row for panel in cells) + 1
    grid = canvas.add_gridspec(d, d, wspace=0.1, hspace=0.1)
    _margins(canvas)
    made: dict[tuple[int, int], Any] = {}
    for panel in cells:
        i, j = panel.row, panel.column
        axes = made[i, j] = canvas.add_subplot(grid[i, j])
        draw_panel(axes, panel, theme)
        alone = i == j
        outer_x, outer_y = i == d - 1, j == 0 and not alone
        axes.tick_params(labelbottom=outer_x, labelleft=outer_y, left=not alone, labelrotation=0)
        axes.locator_params(nbins=4)
        axes.set_xlabel(axis_name(panel.x) if outer_x else "")
        axes.set_ylabel(axis_name(panel.y) if outer_y else "")
        if alone:
            axes.spines[["left", "top", "right"]].set_visible(False)
        if panel.legend is not None:
            source = next((p for p in cells if p.row > p.column), panel)
            told = Panel(source.x, source.y, source.marks, legend=panel.legend)
            key = draw_legend(axes, told, theme, loc="upper left", bbox_to_anchor=(1.05, 1.0))
            if key is not None:
                key.set_in_layout(False)
    canvas.align_labels()
    return made.get((1, 0), made[0, 0])


def _margins(canvas: Any) -> None:
    """Leave room at the left and below for the names: a layout that measures 36 panels takes seconds."""
    import matplotlib
    from matplotlib.font_manager import FontProperties

    wide, high = canvas.get_size_inches()
    letter = FontProperties(size=matplotlib.rcParams["font.size"]).get_size_in_points() / 72
    canvas.subplots_adjust(
        left=5.6 * letter / wide,
        right=1 - letter / wide,
        bottom=4.2 * letter / high,
        top=1 - 3.2 * letter / high,
    )


def draw_panel(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Draw one panel on axes: limits, marks, names, key."""
    fresh = not axes.has_data()
    if fresh or theme is OURS:
        axes.set_xlim(panel.x.low, panel.x.high)
        axes.set_ylim(panel.y.low, panel.y.high)
    else:  # over something that the caller drew: nobody loses sight of anything
        (a, b), (c, d) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        axes.set_xlim(min(a, panel.x.low), max(b, panel.x.high))
        axes.set_ylim(min(c, panel.y.low), max(d, panel.y.high))
    draw_marks(axes, panel, theme)
    if panel.x.at:
        axes.set_xticks(panel.x.at)
    if theme is OURS:
        axes.tick_params(length=3, width=0.8)
        axes.ticklabel_format(axis="x", scilimits=(-4, 6), useMathText=False)
        axes.ticklabel_format(axis="y", scilimits=(-3, 5), useMathText=False)
    if panel.equal:
        axes.set_aspect("equal", adjustable="box")
    if panel.place in ("top", "right"):
        axes.tick_params(labelbottom=False, labelleft=False, bottom=False, left=False)
        axes.tick_params(which="minor", bottom=False, left=False)
        for side, spine in axes.spines.items():
            spine.set_visible(side == ("left" if panel.place == "right" else "bottom"))
        return
    for axis, name in ((axes.xaxis, axis_name(panel.x)), (axes.yaxis, axis_name(panel.y))):
        axis.set_label_text(name)
        axis.label.set_parse_math(False)
    if panel.place == "main":
        draw_legend(axes, panel, theme)


def _name_the_power(axes: Axes) -> None:
    """Put a common power of ten beside the name of the axis, where nothing can cover it."""
    for axis in (axes.xaxis, axes.yaxis):
        power = axis.get_offset_text()
        if power.get_text() and axis.label.get_text():
            axis.set_label_text(f"{axis.label.get_text()}  (× {_as_power(power.get_text())})")
        power.set_visible(False)


def _as_power(text: str) -> str:
    """Return "10⁻⁴" for matplotlib's "1e−4"."""
    found = re.fullmatch(r"1e([−+-]?)(\d+)", text)
    if found is None:
        return text
    raised = found.group(2).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{'⁻' if found.group(1) in ('-', '−') else ''}{raised}"


def _attribute(text: str) -> str:
    from html import escape

    return escape(text, quote=True)
