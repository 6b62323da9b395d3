"""Maxima with a formula. Each takes sorted rows y, their shares w and what is fixed, and returns
(shapes…, loc, scale), or None where what is fixed leaves no formula.

Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["closed_form"]

Floats = NDArray[np.float64]
Fixed = Mapping[str, float]


def closed_form(name: str, y: Floats, w: Floats, fixed: Fixed) -> Floats | None:
    """Return the maximum of this family where it has a formula and the rows allow one, else None."""
    if name not in FORMULAS:
        return None
    with np.errstate(all="ignore"):
        found = FORMULAS[name](y, w, fixed)
    if found is None or not np.isfinite(found).all() or not found[-1] > 0.0:
        return None
    return np.array(found, dtype=float)


def _norm(y: Floats, w: Floats, fixed: Fixed) -> list[float]:
    loc = fixed.get("loc", float(w @ y))
    return [loc, fixed.get("scale", float(np.sqrt(w @ (y - loc) ** 2)))]


def _laplace(y: Floats, w: Floats, fixed: Fixed) -> list[float]:
    loc = fixed.get("loc", _median(y, w))
    return [loc, fixed.get("scale", float(w @ np.abs(y - loc)))]


def _expon(y: Floats, w: Floats, fixed: Fixed) -> list[float] | None:
    loc = fixed.get("loc", y[0])
    return None if y[0] < loc else [loc, fixed.get("scale", float(w @ (y - loc)))]


def _halfnorm(y: Floats, w: Floats, fixed: Fixed) -> list[float] | None:
    loc = fixed.get("loc", y[0])
    return None if y[0] < loc else [loc, fixed.get("scale", np.sqrt(w @ (y - loc) ** 2))]


def _uniform(y: Floats, w: Floats, fixed: Fixed) -> list[float] | None:
    if fixed:
        return None
    return [y[0], y[-1] - y[0]]


def _rayleigh(y: Floats, w: Floats, fixed: Fixed) -> list[float] | None:
    if "loc" not in fixed or not y[0] > fixed["loc"]:
        return None
    return [fixed["loc"], fixed.get("scale", float(np.sqrt(w @ (y - fixed["loc"]) ** 2 / 2.0)))]


def _lognorm(y: Floats, w: Floats, fixed: Fixed) -> list[float] | None:
    if "loc" not in fixed or not y[0] > fixed["loc"]:
        return None
    logs = np.log(y - fixed["loc"])
    centre = float(np.log(fixed["scale"]) if "scale" in fixed else w @ logs)
    return [fixed.get("s", float(np.sqrt(w @ (logs - centre) ** 2))), fixed["loc"], float(np.exp(centre))]


def _pareto(y: Floats, w: Floats, fixed: Fixed) -> list[float] | None:
    if "loc" not in fixed:
        return None
    x = y - fixed["loc"]
    scale = fixed.get("scale", x[0])
    if not x[0] >= scale > 0.0:
        return None
    return [fixed.get("b", float(1.0 / (w @ np.log(x / scale)))), fixed["loc"], scale]


def _invgauss(y: Floats, w: Floats, fixed: Fixed) -> list[float] | None:
    if set(fixed) != {"loc"} or not y[0] > fixed["loc"]:
        return None
    x = y - fixed["loc"]
    mean = float(w @ x)
    scale = float(1.0 / (w @ (1.0 / x - 1.0 / mean)))
    return [mean / scale, fixed["loc"], scale]


def _median(y: Floats, w: Floats) -> float:
    """Return a median of weighted rows: the middle of its interval, where it is one."""
    below = np.cumsum(w)
    low = int(np.searchsorted(below, 0.5 - 1e-12))
    high = int(np.searchsorted(below, 0.5 + 1e-12))
    return float(y[low] / 2.0 + y[min(high, len(y) - 1)] / 2.0)


FORMULAS: dict[str, Callable[[Floats, Floats, Fixed], list[float] | None]] = {
    "expon": _expon,
    "halfnorm": _halfnorm,
    "invgauss": _invgauss,
    "laplace": _laplace,
    "lognorm": _lognorm,
    "norm": _norm,
    "pareto": _pareto,
    "rayleigh": _rayleigh,
    "uniform": _uniform,
}
