"""The caller's style: a theme of matplotlib's present settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pofx.show.theme import MODEL, SERIES, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["callers_theme"]


def callers_theme(ax: Axes | None) -> Theme:
    """Return a theme of matplotlib's present settings; its own default colours give way to ours."""
    import matplotlib
    from matplotlib.colors import to_rgb
    from matplotlib.font_manager import FontProperties

    rc, default = matplotlib.rcParams, matplotlib.rcParamsDefault
    cycle = rc["axes.prop_cycle"].by_key().get("color", [])
    standard = default["axes.prop_cycle"].by_key()["color"]
    ours = list(cycle) == list(standard) or not cycle
    model, series = (MODEL, SERIES) if ours else (cycle[0], (*cycle[1:], cycle[0]))
    if ax is not None:  # a second model on the same axes gets the next colour
        [line] = ax.plot([], [])
        turn = line.get_color()
        line.remove()
        place = standard.index(turn) if ours and turn in standard else 0
        model = turn if not ours else (MODEL, *SERIES[:-2], SERIES[-1])[place % 7]
    base = ax.get_facecolor() if ax is not None else rc["axes.facecolor"]
    paper = "#ffffff" if base == "none" else to_rgb(base)
    theme = Theme(ink=rc["text.color"], paper=paper, model=model, series=series)
    scale = rc["lines.linewidth"] / default["lines.linewidth"]
    dots = rc["lines.markersize"] / default["lines.markersize"]
    small = 0.8 * FontProperties(size=rc["font.size"]).get_size_in_points()
    return Theme(
        ink=theme.ink,
        paper=paper,
        muted=theme.between(0.55),
        bar=theme.between(0.2),
        model=model,
        series=series,
        line=scale,
        dot=dots,
        small=small,
    )
