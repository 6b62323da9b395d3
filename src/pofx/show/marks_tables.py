"""Marks of tables and maps on matplotlib's axes: residuals, intervals, boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pofx.show.figure import Boxes, Intervals, Residuals
from pofx.show.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_boxes", "draw_intervals", "draw_residuals", "line_of", "squares", "steps_of_residuals"]

STEPS = (1.0, 2.0, 3.0)  # standard deviations from which a cell is coloured, and darker
TINTS, TINTS_ON_DARK = (0.28, 0.58, 1.0), (0.42, 0.7, 1.0)
MORE, FEWER = "#d55e00", "#0072b2"  # told apart by everybody


def squares(x: Any, y: Any, i: Any, j: Any) -> Any:
    """Return the path of the cells (i, j) of a grid with these edges: one path, so that no seams are seen."""
    from matplotlib.path import Path

    a, b, c, d = x[j], x[j + 1], y[i], y[i + 1]
    corners = np.stack([[a, c], [b, c], [b, d], [a, d], [a, c]]).transpose(2, 0, 1).reshape(-1, 2)
    codes = np.tile([Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY], len(i))
    return Path(corners, codes)


def draw_residuals(axes: Axes, mark: Residuals, theme: Theme) -> None:
    """Draw where there are more rows than expected, and where fewer, in three steps each."""
    from matplotlib.patches import PathPatch

    for sign, color in ((1.0, MORE), (-1.0, FEWER)):
        for k, low in enumerate(STEPS):
            high = STEPS[k + 1] if k + 1 < len(STEPS) else np.inf
            i, j = np.nonzero((sign * mark.z >= low) & (sign * mark.z < high))
            if len(i):
                tint = _tinted(theme, color, k)
                axes.add_patch(
                    PathPatch(squares(mark.x, mark.y, i, j), fc=tint, ec=theme.paper, lw=0.5, zorder=0.7)
                )


def steps_of_residuals(theme: Theme) -> tuple[list[Any], list[str]]:
    """Return what the key of a residual map shows: a patch and its words for each step, most first."""
    from matplotlib.patches import Patch

    words = ("1 to 2", "2 to 3", "over 3")
    handles, labels = [], []
    for word, color, order in (("more", MORE, (2, 1, 0)), ("fewer", FEWER, (0, 1, 2))):
        for k in order:
            handles.append(Patch(color=_tinted(theme, color, k), lw=0))
            labels.append(f"{words[k]} {word}")
    return handles, labels


def _tinted(theme: Theme, color: str, step: int) -> Any:
    from matplotlib.colors import to_rgb

    share = (TINTS_ON_DARK if theme.is_dark else TINTS)[step]
    a, b = np.array(to_rgb(theme.paper)), np.array(to_rgb(color))
    return tuple(float(v) for v in a + share * (b - a))


def draw_intervals(axes: Axes, mark: Intervals, theme: Theme) -> None:
    """Draw a dot on its interval; the wider the interval's mass, the thinner its line."""
    color = theme.of(mark)
    axes.hlines(mark.y, mark.low, mark.high, color=color, lw=line_of(mark) * theme.line, zorder=2)
    axes.plot(mark.x, mark.y, "o", color=color, ms=5.5 * theme.dot, mew=0, zorder=3)


def line_of(mark: Intervals) -> float:
    """Return how thick the line of an interval is: the more it holds, the thinner."""
    return 1.3 if mark.mass > 0.9 else 3.8


def draw_boxes(axes: Axes, mark: Boxes, theme: Theme) -> None:
    """Draw a line from the smallest to the largest value, a box of the quartiles, a tick at the median."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    half = 0.26
    axes.hlines(mark.y, mark.low, mark.high, color=theme.between(0.45), lw=1.1 * theme.line, zorder=1)
    for ends in (mark.low, mark.high):
        axes.vlines(ends, mark.y - 0.12, mark.y + 0.12, color=theme.between(0.45), lw=1.1 * theme.line)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    for y, a, b in zip(mark.y, mark.lower, mark.upper, strict=True):
        box = [(a, y - half), (b, y - half), (b, y + half), (a, y + half), (a, y - half)]
        axes.add_patch(PathPatch(Path(box, codes), fc=theme.bar, ec=theme.between(0.45), lw=0.8, zorder=2))
    axes.vlines(mark.middle, mark.y - half, mark.y + half, color=theme.model, lw=2.2 * theme.line, zorder=3)
