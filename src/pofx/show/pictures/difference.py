"""Two data sets in a picture: where one has more rows than the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pofx.show.figure import Axis, Figure, Legend, Panel, Residuals
from pofx.show.pictures.parts import column_axis, short

if TYPE_CHECKING:
    from pofx.evaluate.difference import Difference

__all__ = ["difference"]


def difference(found: Difference) -> Figure:
    """Return the signed map of :func:`pofx.differ` in colours: rows of B beside as many as A would have.

    ``expected`` of its ``Residuals`` are A's shares times B's rows, and ``z`` the difference of the shares
    in standard errors. The outer cells are open; they are drawn one cell wide.
    """
    chart = found.map
    x, y = (_closed(edges) for edges in (*chart.edges, np.empty(0))[:2])
    mark = Residuals(
        x, y, found.m * chart.share_b.T, found.m * chart.share_a.T, chart.z.T, f"rows of {short(found.b, 20)}"
    )
    two = len(chart.columns) > 1
    along = column_axis(chart.columns[0], float(x[0]), float(x[-1]))
    up = column_axis(chart.columns[1], float(y[0]), float(y[-1])) if two else Axis("", 0.0, 1.0, ticks=False)
    plane = f"{along.label} and {up.label}" if two else along.label
    legend = Legend((mark.label,), f"sd, in {short(found.b, 16)}", place="right")
    return Figure(
        f"{short(found.b, 30)} beside {short(found.a, 30)}: {found.verdict}",
        f"Where {found.b} has more rows than {found.a} (orange), and where fewer (blue), in {plane}, in "
        f"standard errors of the difference; the outer cells are open. {found.sentence}",
        (Panel(along, up, (mark,), legend=legend),),
    )


def _closed(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the bounds with an end on each side."""
    if len(edges) == 0:
        return np.array([0.0, 1.0])
    width = float(np.diff(edges).min()) if len(edges) > 1 else max(abs(float(edges[0])), 1.0)
    return np.concatenate([[edges[0] - width], edges, [edges[-1] + width]])
