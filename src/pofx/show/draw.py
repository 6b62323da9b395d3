"""Figures drawn by matplotlib, without a window and without pyplot: records in, bytes out."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from pofx.show.figure import Area, Bars, Curve, Figure, Panel, Points, Regions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["to_png", "to_svg"]

INK, MUTED, LINE, PAPER = "#1f2933", "#66727f", "#d5dbe2", "#ffffff"
MODEL, ROWS, BAR = "#0b62a8", "#26323d", "#c9d2db"
FILLS = ("#e3eef8", "#bcd7ee", "#86b5dd")  # 95, 80, 50 %
STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
    "svg.hashsalt": "pofx",  # the same picture has the same bytes
    "path.simplify": True,
}


def to_svg(figure: Figure) -> str:
    """Return the figure as an SVG element: no date, no outside reference, the same bytes every time."""
    nothing = dict.fromkeys(["Date", "Creator", "Format", "Type"])
    svg = _render(figure, format="svg", metadata=nothing).decode("utf-8")
    svg = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', svg)
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box.group(1) if box else ""}" role="img" aria-label="{_attribute(figure.title)}"'
    )
    return head + svg[svg.index(">") :]


def to_png(figure: Figure, *, dpi: int = 144) -> bytes:
    """Return the figure as a PNG file."""
    return _render(figure, format="png", dpi=dpi, metadata={"Software": None})


def _render(figure: Figure, **how: Any) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE, "backend": "agg"}):
        places: dict[str, Panel] = {panel.place: panel for panel in figure.panels}
        canvas = Canvas(figsize=(7.6, 6.0) if len(places) > 1 else (7.6, 4.1), facecolor=PAPER)
        FigureCanvasAgg(canvas)
        for place, axes in _grid(canvas, set(places)).items():
            _panel(axes, places[place])
        canvas.draw_without_rendering()
        for axes in canvas.axes:
            _name_the_power(axes)
        out = io.BytesIO()
        canvas.savefig(out, facecolor=PAPER, **how)
    return out.getvalue()


def _grid(canvas: Any, places: set[str]) -> dict[str, Axes]:
    if places == {"main"}:
        return {"main": canvas.add_axes((0.1, 0.14, 0.88, 0.8))}
    left, bottom, wide, high, strip, gap = 0.1, 0.1, 0.75, 0.74, 0.11, 0.015
    main = canvas.add_axes((left, bottom, wide, high))
    out = {"main": main}
    if "top" in places:
        out["top"] = canvas.add_axes((left, bottom + high + gap, wide, strip), sharex=main)
    if "right" in places:
        out["right"] = canvas.add_axes((left + wide + gap, bottom, strip, high), sharey=main)
    return out


def _panel(axes: Axes, panel: Panel) -> None:
    axes.set_xlim(panel.x.low, panel.x.high)
    axes.set_ylim(panel.y.low, panel.y.high)
    for mark in panel.marks:
        _mark(axes, mark, sideways=panel.place == "right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=3, width=0.8)
    axes.ticklabel_format(axis="x", scilimits=(-4, 6), useMathText=False)
    axes.ticklabel_format(axis="y", scilimits=(-2, 5), useMathText=False)
    if panel.place == "main":
        axes.set_xlabel(panel.x.label, labelpad=7)
        axes.set_ylabel(panel.y.label, labelpad=7)
        return
    axes.tick_params(labelbottom=False, labelleft=False, bottom=False, left=False)
    for side, spine in axes.spines.items():
        spine.set_visible(side == ("left" if panel.place == "right" else "bottom"))


def _name_the_power(axes: Axes) -> None:
    """Put a common power of ten beside the name of the axis, where nothing can cover it."""
    for axis in (axes.xaxis, axes.yaxis):
        power = axis.get_offset_text()
        if power.get_text() and axis.label.get_text():
            axis.set_label_text(f"{axis.label.get_text()}  (× {power.get_text()})")
        power.set_visible(False)


def _mark(axes: Axes, mark: Any, *, sideways: bool) -> None:
    if isinstance(mark, Bars):
        orientation: Any = "horizontal" if sideways else "vertical"
        axes.stairs(mark.heights, mark.edges, orientation=orientation, fill=True, color=BAR, lw=0)
        axes.stairs(mark.heights, mark.edges, orientation=orientation, color=PAPER, lw=0.4)
    elif isinstance(mark, Area):
        axes.fill_between(mark.x, mark.y, color=FILLS[1], alpha=0.55, lw=0)
    elif isinstance(mark, Curve):
        x, y = (mark.y, mark.x) if sideways else (mark.x, mark.y)
        axes.plot(x, y, color=MODEL, lw=1.5 if axes.get_label() else 1.9, solid_joinstyle="round")
    elif isinstance(mark, Points) and mark.y is None:
        axes.vlines(mark.x, 0, 0.022 * axes.get_ylim()[1], color=ROWS, lw=0.7, alpha=0.45)
    elif isinstance(mark, Points) and mark.y is not None:
        many = len(mark.x) > 500
        axes.plot(
            mark.x,
            mark.y,
            "o",
            color=ROWS,
            ms=2.4 if many else 3.4,
            mew=0,
            alpha=0.4 if many else 0.62,
            zorder=3,
        )
    elif isinstance(mark, Regions):
        _regions(axes, mark)


def _regions(axes: Axes, mark: Regions) -> None:
    levels, kept = _ascending(mark)
    if not levels:
        return
    # -inf has no place in interpolation: far below the lowest level is the same picture
    floor = levels[0] - 50.0
    z = np.maximum(mark.log_density, floor)
    top = max(float(z.max()), levels[-1]) + 1.0
    fills = [FILLS[k] for k in kept]
    axes.contourf(mark.x, mark.y, z, levels=[*levels, top], colors=fills, zorder=1)
    lines = axes.contour(
        mark.x, mark.y, z, levels=levels, colors=MODEL, linewidths=1.0, linestyles="solid", zorder=2
    )
    words = {level: f"{mark.masses[k]:.0%}".replace("%", " %") for level, k in zip(levels, kept, strict=True)}
    axes.clabel(lines, fmt=words, fontsize=8, inline=True, inline_spacing=4)


def _ascending(mark: Regions) -> tuple[list[float], list[int]]:
    """Levels that differ, lowest first: a density with flat steps can give two masses one level."""
    levels: list[float] = []
    kept: list[int] = []
    for k, level in enumerate(mark.levels):
        if np.isfinite(level) and (not levels or level > levels[-1]):
            levels.append(level)
            kept.append(k)
    return levels, kept


def _attribute(text: str) -> str:
    from html import escape

    return escape(text, quote=True)
