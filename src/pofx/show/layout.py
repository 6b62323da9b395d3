"""Where the panels of a figure go on a matplotlib canvas, and how one is drawn."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pofx.show.figure import Axis, Figure, Panel
from pofx.show.key import axis_name, draw_legend
from pofx.show.marks import draw_marks
from pofx.show.theme import OURS, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_panel", "lay_out", "size_of"]

WIDE = 7.6  # inches


def size_of(figure: Figure, wide: float = WIDE) -> tuple[float, float]:
    """Return width and height in inches that suit a figure's panels."""
    places = {panel.place for panel in figure.panels}
    if "cell" in places:
        d = max(panel.row for panel in figure.panels) + 1
        side = wide * min(1.0 + 0.12 * max(d - 3, 0), 1.6)
        return side, side
    if "grid" in places:
        across = max(panel.column for panel in figure.panels) + 1
        down = max(panel.row for panel in figure.panels) + 1
        each = wide / across
        return wide, 0.6 + down * (min(0.95 * each, 0.48 * wide) if across > 1 else 0.4 * wide)
    main = figure.main
    if main.y.names:  # a line for each name
        return wide, 1.3 + 0.34 * len(main.y.names)
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
    if any(panel.place == "grid" for panel in figure.panels):
        main = _grid(canvas, figure.panels, theme)
    else:
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


def _grid(canvas: Any, panels: Sequence[Panel], theme: Theme) -> Axes:
    if canvas.get_layout_engine() is None:
        canvas.set_layout_engine("constrained", w_pad=0.06, h_pad=0.08)
    by_place = {(panel.row, panel.column): panel for panel in panels}
    grid = canvas.add_gridspec(max(row for row, _ in by_place) + 1, max(column for _, column in by_place) + 1)
    made: list[Any] = []
    for (i, j), panel in by_place.items():
        axes = canvas.add_subplot(grid[i, j])
        made.append(axes)
        draw_panel(axes, panel, theme)
        axes.locator_params(axis="x", nbins=5) if not panel.x.at else None
        left, below = by_place.get((i, j - 1)), by_place.get((i + 1, j))
        if left is not None and left.y == panel.y:  # said once for a row of panels
            axes.set_ylabel("")
            axes.tick_params(labelleft=False)
        if below is not None and below.x == panel.x:
            axes.set_xlabel("")
            axes.tick_params(labelbottom=False)
    return made[0]


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
    if theme is OURS:
        axes.tick_params(length=3, width=0.8)
    if theme is OURS and not panel.x.names:
        axes.ticklabel_format(axis="x", scilimits=(-4, 6), useMathText=False)
    if theme is OURS and not panel.y.names:
        axes.ticklabel_format(axis="y", scilimits=(-3, 5), useMathText=False)
    for side, axis, told in (("bottom", axes.xaxis, panel.x), ("left", axes.yaxis, panel.y)):
        _put_ticks(axis, told)
        if told.names or not told.ticks:
            axes.spines[side].set_visible(False)
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
    if panel.title:
        words = axes.set_title(
            panel.title, loc="left", fontsize=axes.xaxis.label.get_fontsize(), color=theme.ink
        )
        words.set_parse_math(False)
    if panel.place in ("main", "grid"):
        draw_legend(axes, panel, theme)


def _put_ticks(axis: Any, told: Axis) -> None:
    if not told.ticks:
        axis.set_ticks([])
    elif told.at:
        axis.set_ticks(told.at, labels=told.names or None)
    if told.names:
        axis.set_tick_params(length=0)
        for word in axis.get_ticklabels():
            word.set_parse_math(False)


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
