"""A check in pictures: how far rows lie from where the model expects them, with the band of chance.

Both pictures show the same curves. The difference curve is the observed minus the expected share of rows
below each quantile of the model (Säilynoja, Bürkner and Vehtari 2022, *Stat. Comput.* 32:32); the Q-Q plot
shows the same on the scale of a normal distribution, where tails are seen: quantiles of the rows' normal
scores Φ⁻¹(F(x)) (quantile residuals: Dunn and Smyth 1996, *J. Comput. Graph. Stat.* 5:236) against those of
a standard normal distribution, with the same band turned over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from pofx.errors import ParameterError
from pofx.show.figure import Axis, Band, Curve, Figure, Mark, Panel, Points
from pofx.show.pictures.parts import short

if TYPE_CHECKING:
    from pofx.evaluate.check import Check
    from pofx.evaluate.curves import CalibrationCurve

__all__ = ["calibration", "quantiles"]

Array = NDArray[np.float64]

MOST_PANELS = 12


def calibration(check: Check, name: str, columns: Any = None, *, most: int = MOST_PANELS) -> Figure:
    """Return the difference curves of a check, one panel per column and one for the rank of the log density.

    Parameters
    ----------
    check : Check
    name : str
        What to call the model.
    columns : names or numbers, optional
        Which curves; by default the ``most`` that leave their bands furthest, in the order of the columns.
    """
    shown = _chosen(check, columns, most)
    gaps = [100.0 * np.concatenate([c.share - c.z, c.low - c.z, c.high - c.z]) for c in shown]
    reach = 1.12 * max([1e-9, *(float(np.abs(g).max()) for g in gaps)])
    x, y = Axis("share expected", 0.0, 1.0), Axis("rows too many below", -reach, reach, unit="% of all")
    panels = [_panel(c, _difference(c, 1.0 - check.level), x, y) for c in shown]
    return Figure(
        f"Calibration: {name}",
        "For each share of the model's mass, from its low end: how many rows more than that lie there, in "
        "per cent of all rows (line), and the band of chance. Rising: more rows than expected, falling: "
        f"fewer.{_rest(check, shown)}",
        tuple(_placed(panels)),
    )


def quantiles(check: Check, name: str, columns: Any = None, *, most: int = MOST_PANELS) -> Figure:
    """Return the Q-Q plots of a check; parameters as for :func:`calibration`."""
    shown = _chosen(check, columns, most)
    found = [_quantile(c, 1.0 - check.level) for c in shown]
    ends = [1.5]
    for marks in found:
        for mark in marks:
            if isinstance(mark, Curve) and mark.role != "context":
                ends += [float(np.abs(mark.x).max(initial=0.0)), float(np.abs(mark.y).max(initial=0.0))]
    reach = 1.06 * max(ends)
    x = Axis("normal quantile", -reach, reach)
    y = Axis("quantile of the rows' scores", -reach, reach)
    panels = [_panel(c, marks, x, y) for c, marks in zip(shown, found, strict=True)]
    return Figure(
        f"Quantiles: {name}",
        "Quantiles of the rows' normal scores (their places in the model's distribution, as those of a "
        "standard normal) against a normal distribution's, with the band of chance. Above the line: rows lie "
        f"higher than the model expects.{_rest(check, shown)}",
        tuple(_placed(panels)),
    )


def _chosen(check: Check, columns: Any, most: int) -> list[CalibrationCurve]:
    curves = list(check.curves)
    if columns is not None:
        keys = [columns] if isinstance(columns, str | int) else list(columns)
        names = [c.name for c in check.columns]
        numbers = [key if isinstance(key, int) else names.index(key) if key in names else -1 for key in keys]
        if not numbers or not all(0 <= j < len(names) for j in numbers):
            raise ParameterError(f"The check has the columns {', '.join(names)}; got columns={columns!r}.")
        return [curves[j] for j in numbers][:most]
    ranked = sorted(curves, key=lambda c: (c.inside, -c.statistic))[:most]
    return [c for c in curves if any(c is r for r in ranked)]


def _difference(curve: CalibrationCurve, mass: float) -> list[Mark]:
    ends = np.concatenate([[0.0], curve.z, [1.0]])
    line, below, above = (
        100.0 * np.concatenate([[0.0], part - curve.z, [0.0]])
        for part in (curve.share, curve.low, curve.high)
    )
    marks: list[Mark] = [
        Band(ends, below, above, mass, "band"),
        Curve(np.array([0.0, 1.0]), np.zeros(2), "as expected", role="context"),
        Curve(ends, line, "rows"),
    ]
    if not curve.inside:
        at = (np.array([curve.expected]), np.array([100.0 * curve.gap]))
        marks.append(Points(*at, "largest gap that leaves the band", role="irregular"))
    return marks


def _quantile(curve: CalibrationCurve, mass: float) -> list[Mark]:
    """The share s of rows lies below the model's z quantile: the s quantile of the rows' scores is Φ⁻¹(z)."""
    z = ndtri(curve.z)
    seen = (curve.share > 0.0) & (curve.share < 1.0)
    ends = np.array([-9.0, 9.0])
    marks: list[Mark] = [Curve(ends, ends, "as expected", role="context")]
    if not seen.any():
        return marks
    marks.append(Curve(ndtri(curve.share[seen]), z[seen], "rows"))
    p = curve.z[(curve.z >= curve.share[seen].min()) & (curve.z <= curve.share[seen].max())]
    if len(p) > 1:
        # the s quantile lies between the z where the band's upper end is s, and where its lower end is
        low, high = (np.interp(p, *_rising(end, z)) for end in (curve.high, curve.low))
        marks.insert(0, Band(ndtri(p), low, high, mass, "band"))
    return marks


def _rising(share: Array, z: Array) -> tuple[Array, Array]:
    """Return the points of an end of the band inside (0, 1), each share once."""
    inner = (share > 0.0) & (share < 1.0)
    if inner.sum() < 2:
        return np.array([0.0, 1.0]), z[[0, -1]]
    kept, first = np.unique(share[inner], return_index=True)
    return kept, z[inner][first]


def _panel(curve: CalibrationCurve, marks: Sequence[Mark], x: Axis, y: Axis) -> Panel:
    outside = "" if curve.inside else " (outside)"
    return Panel(x, y, tuple(marks), "grid", title=f"{short(curve.name, 20)}{outside}")


def _placed(panels: Sequence[Panel]) -> list[Panel]:
    """Side by side, three in a row; four together are a square."""
    across = 2 if len(panels) == 4 else min(len(panels), 3)
    return [replace(panel, row=k // across, column=k % across) for k, panel in enumerate(panels)]


def _rest(check: Check, shown: Sequence[CalibrationCurve]) -> str:
    hidden = len(check.curves) - len(shown)
    more = f" {hidden} more curves with smaller gaps are not shown." if hidden else ""
    return f"{more} {check.sentence} {check.case_sentence}"
