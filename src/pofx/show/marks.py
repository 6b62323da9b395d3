"""Marks put on matplotlib's axes: each by what it is, in the colours of a theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pofx.show.figure import (
    Area,
    Band,
    Bars,
    Boxes,
    Cells,
    Curve,
    Intervals,
    Note,
    Panel,
    Points,
    Regions,
    Residuals,
    Shades,
)
from pofx.show.labels import label_places
from pofx.show.marks_tables import draw_boxes, draw_intervals, draw_residuals, squares
from pofx.show.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_marks"]

STEPS = 6  # greys of counted rows


def draw_marks(axes: Axes, panel: Panel, theme: Theme) -> None:
    """Draw the marks of a panel, over one another in their order."""
    small = panel.place != "main"
    counted = any(isinstance(mark, Cells) for mark in panel.marks)
    for mark in panel.marks:
        if isinstance(mark, Bars):
            _bars(axes, mark, theme, sideways=panel.place == "right", small=small)
        elif isinstance(mark, Area):
            axes.fill_between(mark.x, mark.y, color=theme.of(mark), alpha=_ground(panel), lw=0, zorder=1.2)
        elif isinstance(mark, Band):
            # the narrower, the darker
            alpha = 0.16 + 0.2 * (1.0 - mark.mass)
            axes.fill_between(
                mark.x, mark.low, mark.high, color=theme.of(mark), alpha=alpha, lw=0, zorder=1.2
            )
        elif isinstance(mark, Curve):
            _curve(axes, mark, theme, sideways=panel.place == "right", small=small)
        elif isinstance(mark, Points):
            _points(axes, mark, theme, small=small, over=any(isinstance(m, Shades) for m in panel.marks))
        elif isinstance(mark, Cells):
            _cells(axes, mark, theme)
        elif isinstance(mark, Regions):
            _regions(axes, mark, theme, small=small, filled=mark.filled and not counted)
        elif isinstance(mark, Shades):
            _shades(axes, mark, theme)
        elif isinstance(mark, Residuals):
            draw_residuals(axes, mark, theme)
        elif isinstance(mark, Intervals):
            draw_intervals(axes, mark, theme)
        elif isinstance(mark, Boxes):
            draw_boxes(axes, mark, theme)
        else:
            _note(axes, mark, theme)


def _ground(panel: Panel) -> float:
    """How strongly the ground under a curve is tinted: faintly over bars."""
    return 0.13 if any(isinstance(mark, Bars) for mark in panel.marks) else 0.2


# ---------------------------------------------------------------- rows


def _bars(axes: Axes, mark: Bars, theme: Theme, *, sideways: bool, small: bool) -> None:
    orientation: Any = "horizontal" if sideways else "vertical"
    how: dict[str, Any] = {"orientation": orientation, "zorder": 0.8}
    if mark.role == "series":  # groups lie over one another: outlines
        color = theme.of(mark)
        axes.stairs(mark.heights, mark.edges, fill=True, color=color, alpha=0.18, lw=0, **how)
        axes.stairs(mark.heights, mark.edges, color=color, lw=1.0 * theme.line, **how)
        return
    axes.stairs(mark.heights, mark.edges, fill=True, color=theme.bar, lw=0, **how)
    if not small:
        axes.stairs(mark.heights, mark.edges, color=theme.paper, lw=0.6 * theme.line, **how)
        x = mark.edges[1:-1]
        top = np.minimum(mark.heights[1:], mark.heights[:-1])
        axes.vlines(x[top > 0], 0, top[top > 0], color=theme.paper, lw=0.6 * theme.line, zorder=0.9)


def _points(axes: Axes, mark: Points, theme: Theme, *, small: bool, over: bool) -> None:
    color = theme.of(mark)
    if mark.y is None:
        across = axes.get_xaxis_transform()
        lift = 0.024 * mark.series if mark.role == "series" else 0.0
        axes.vlines(
            mark.x,
            lift,
            lift + 0.022,
            color=color,
            lw=0.7 * theme.line,
            alpha=0.5,
            transform=across,
            zorder=2.6,
        )
        return
    if mark.role == "chosen":
        axes.plot(mark.x, mark.y, "o", ms=13 * theme.dot, mfc="none", mec=theme.ink, mew=1.5, zorder=4)
        return
    if mark.role == "irregular":
        axes.plot(mark.x, mark.y, "o", ms=6 * theme.dot, mfc=theme.paper, mec=color, mew=1.2, zorder=3)
        return
    if mark.role == "model":
        axes.plot(mark.x, mark.y, "o", ms=5 * theme.dot, color=color, mew=0, zorder=3)
        return
    many = len(mark.x) > 500
    size = (1.9 if small else 2.6) if many else (2.4 if small else (3.0 if over else 3.6))
    axes.plot(
        mark.x,
        mark.y,
        "o",
        color=color,
        ms=size * theme.dot,
        mew=0.4 if over else 0,
        mec=theme.paper if over else "none",
        alpha=0.85 if over or mark.role == "series" else (0.38 if many else 0.6),
        zorder=2.5,
    )


def _cells(axes: Axes, mark: Cells, theme: Theme) -> None:
    """Rows per cell in a few greys, each grey one path: small files, and no seams."""
    from matplotlib.patches import PathPatch

    counts = mark.counts / np.outer(np.diff(mark.y), np.diff(mark.x)) * np.diff(mark.x).min()
    peak = float(counts.max())
    if not peak > 0:
        return
    # square roots, so that the sparse outskirts are still seen
    step = np.ceil(np.sqrt(counts / peak) * STEPS).astype(int)
    for k in range(1, STEPS + 1):
        i, j = np.nonzero(step == k)
        if len(i):
            grey = theme.between(0.03 + 0.5 * k / STEPS)
            axes.add_patch(PathPatch(squares(mark.x, mark.y, i, j), fc=grey, ec=grey, lw=0.2, zorder=0.7))


# ---------------------------------------------------------------- the model


def _curve(axes: Axes, mark: Curve, theme: Theme, *, sideways: bool, small: bool) -> None:
    x, y = (mark.y, mark.x) if sideways else (mark.x, mark.y)
    width = {"context": 1.3, "truth": 1.5, "series": 1.6}.get(mark.role, 1.9)
    axes.plot(
        x,
        y,
        color=theme.of(mark),
        lw=(0.75 if small else 1.0) * width * theme.line,
        ls=theme.dashes(mark),
        marker="o" if mark.dots else None,
        ms=4.2 * theme.dot,
        mew=0,
        solid_joinstyle="round",
        zorder=2 if mark.role != "truth" else 2.2,
    )


def _regions(axes: Axes, mark: Regions, theme: Theme, *, small: bool, filled: bool) -> None:
    levels, kept = _ascending(mark)
    if not levels:
        return
    color = theme.of(mark)
    # -inf has no place in interpolation: far below the lowest level is the same picture
    z = np.maximum(mark.log_density, levels[0] - 50.0)
    top = max(float(z.max()), levels[-1]) + 1.0
    if filled:
        tints = (
            [(color, a) for a in np.linspace(0.10, 0.38, len(levels))] if len(levels) > 1 else [(color, 0.2)]
        )
        axes.contourf(mark.x, mark.y, z, levels=[*levels, top], colors=tints, zorder=1)
    lines = axes.contour(
        mark.x,
        mark.y,
        z,
        levels=levels,
        colors=[color],
        linewidths=(0.7 if small else 1.1) * theme.line,
        linestyles=[theme.dashes(mark)],
        zorder=2,
    )
    if mark.role != "truth" and not small:
        words = {level: f"{100 * mark.masses[k]:.3g} %" for level, k in zip(levels, kept, strict=True)}
        places = label_places(axes, lines.allsegs, theme.small)
        for text in axes.clabel(
            lines, fmt=words, fontsize=theme.small, inline=True, inline_spacing=4, zorder=3, manual=places
        ):
            text.set_bbox({"fc": theme.paper, "ec": "none", "alpha": 0.7, "pad": 0.8})


def _shades(axes: Axes, mark: Shades, theme: Theme) -> None:
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    peak = float(mark.log_density.max())
    if not np.isfinite(peak):
        return
    blues = colormaps["Blues"](np.linspace(0.15, 1.0, 8))
    if theme.is_dark:  # away from the paper, whichever it is
        blues = blues[::-1]
    drawn = axes.contourf(
        mark.x,
        mark.y,
        np.exp(mark.log_density - peak),
        levels=np.linspace(0.0, 1.0, mark.levels + 1),
        cmap=LinearSegmentedColormap.from_list("from paper", [theme.paper, *blues]),
        zorder=0.5,
    )
    # an image among lines and letters: a hundred outlines would be megabytes, with pale seams between them
    drawn.set_rasterized(True)


def _ascending(mark: Regions) -> tuple[list[float], list[int]]:
    """Levels that differ, lowest first: a density with flat steps can give two masses one level."""
    levels: list[float] = []
    kept: list[int] = []
    for k, level in enumerate(mark.levels):
        if np.isfinite(level) and (not levels or level > levels[-1]):
            levels.append(level)
            kept.append(k)
    return levels, kept


# ---------------------------------------------------------------- words


def _note(axes: Axes, mark: Note, theme: Theme) -> None:
    right = mark.x > sum(axes.get_xlim()) / 2
    offset, across, up = {
        "below": ((-9 if right else 9, -13), "right" if right else "left", "top"),
        "left": ((-6, 0), "right", "center_baseline"),
        "right": ((6, 0), "left", "center_baseline"),
        "center": ((0, 0), "center", "center_baseline"),
    }[mark.place]
    words = axes.annotate(
        mark.text,
        (mark.x, mark.y),
        xytext=offset,
        textcoords="offset points",
        ha=across,
        va=up,
        color=theme.ink if mark.place == "below" else theme.of(mark),
        fontsize=None if mark.place == "below" else theme.small,
        annotation_clip=False,
        zorder=5,
    )
    words.set_parse_math(False)
