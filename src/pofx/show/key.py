"""The words of a panel: names of its axes, and the key that explains its marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pofx.show.figure import (
    Area,
    Axis,
    Band,
    Bars,
    Cells,
    Curve,
    Intervals,
    Mark,
    Panel,
    Points,
    Regions,
    Residuals,
)
from pofx.show.marks_tables import line_of, steps_of_residuals
from pofx.show.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axis_name", "draw_legend"]


def axis_name(axis: Axis) -> str:
    """Return the name of an axis with its unit."""
    return f"{axis.label} ({axis.unit})" if axis.unit else axis.label


def draw_legend(axes: Axes, panel: Panel, theme: Theme, **where: Any) -> Any:
    """Explain the marks that the panel's legend names; return the matplotlib legend, if there is any."""
    if panel.legend is None:
        return None
    found: dict[str, Any] = {}
    for mark in panel.marks:
        if isinstance(mark, Residuals) and mark.label in panel.legend.labels:
            return _key(axes, panel, *steps_of_residuals(theme), where)
        handle = _handle(mark, theme)
        if handle is not None and mark.label in panel.legend.labels:
            found.setdefault(mark.label, handle)
    labels = [label for label in panel.legend.labels if label in found]
    if not labels:
        return None
    return _key(axes, panel, [found[label] for label in labels], labels, where)


def _key(axes: Axes, panel: Panel, handles: list[Any], labels: list[str], where: dict[str, Any]) -> Any:
    assert panel.legend is not None
    before = axes.get_legend()
    if before is not None:  # of an earlier picture on the same axes
        handles = [*before.legend_handles, *handles]
        labels = [*(text.get_text() for text in before.get_texts()), *labels]
    if panel.legend.place == "right":
        where = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), **where}
    where = {"loc": "best", "frameon": False, **where}
    key = axes.legend(handles, labels, title=panel.legend.title or None, **where)
    key.set_zorder(6)
    for text in [*key.get_texts(), key.get_title()]:
        text.set_parse_math(False)
    return key


def _handle(mark: Mark, theme: Theme) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    color = theme.of(mark)
    if isinstance(mark, Curve | Regions):
        dots = "o" if isinstance(mark, Curve) and mark.dots else None
        return Line2D(
            [], [], color=color, lw=1.6 * theme.line, ls=theme.dashes(mark), marker=dots, ms=4.2, mew=0
        )
    if isinstance(mark, Bars):
        return Patch(color=color, alpha=0.35, lw=0) if mark.role == "series" else Patch(color=theme.bar, lw=0)
    if isinstance(mark, Area | Band):
        held = 0.22 if isinstance(mark, Area) else 0.16 + 0.3 * (1.0 - mark.mass)
        return Patch(color=color, alpha=held, lw=0)
    if isinstance(mark, Intervals):
        width = line_of(mark) * theme.line
        return Line2D([], [], color=color, lw=width, marker="o", ms=5, mew=0)
    if isinstance(mark, Cells):
        return Patch(color=theme.between(0.4), lw=0)
    if isinstance(mark, Points) and mark.y is None:
        return Line2D([], [], color=color, marker="|", ls="", ms=7, alpha=0.7)
    if isinstance(mark, Points):
        hollow = mark.role == "irregular"
        face = theme.paper if hollow else color
        return Line2D([], [], ls="", marker="o", ms=5, mfc=face, mec=color, mew=1.2 if hollow else 0)
    return None
