"""The log-likelihood of one column in coordinates without bounds.

Shapes go by their logarithm or logit where their domain has an end. Where the family's support has an end,
its place takes the place of loc (or of scale): u = log(smallest row − lower end), so that no step leaves a
row outside, and the *face* of the parameter space on which the end is the smallest row itself is u left out.
Maxima of families whose density is positive at the end (expon, pareto, uniform) lie on a face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from .families import Family

__all__ = ["Likelihood", "Pieces", "pieces_of", "shape_grid"]

Floats = NDArray[np.float64]

# No round numbers: at a shape of exactly one a density may be finite at its end, and nowhere around.
GRID = {"log": (0.3, 1.1, 3.2, 12.0), "logit": (0.2, 0.5, 0.8), "line": (-3.0, -0.5, -0.1, 0.1, 0.5, 3.0)}
FEW = {"log": (0.45, 1.7, 7.0), "logit": (0.3, 0.7), "line": (-1.2, 0.4, 1.4)}
MOST_POINTS = 120
LEAST = -14.0  # log of the least distance of a free end to the outermost row, in spreads


@dataclass(frozen=True)
class Pieces:
    """Which coordinates a column has.

    Attributes
    ----------
    family : Family
    fixed : mapping of name to value
        In the frame of the rows.
    position : tuple of {"low", "high", "loc", "scale"}
        The coordinates that give loc and scale.
    """

    family: Family
    fixed: Mapping[str, float]
    position: tuple[str, ...]

    @property
    def free_shapes(self) -> tuple[int, ...]:
        """The numbers of the shapes that are not fixed."""
        return tuple(i for i, name in enumerate(self.family.shapes) if name not in self.fixed)

    @property
    def faces(self) -> tuple[frozenset[str], ...]:
        """The sets of ends that may lie on the outermost rows; the empty one first."""
        ends = [p for p in self.position if p in ("low", "high")]
        found = [frozenset[str](), *(frozenset({end}) for end in ends)]
        return (*found, frozenset(ends)) if len(ends) == 2 else tuple(found)


def kind_of(domain: tuple[float, float]) -> str:
    """Return how a shape is mapped to the line."""
    finite = [bool(np.isfinite(end)) for end in domain]
    return "logit" if all(finite) else "log" if finite[0] else "line"


def to_line(value: float, domain: tuple[float, float]) -> float:
    """Return the coordinate of a shape."""
    kind = kind_of(domain)
    if kind == "logit":
        return float(logit((value - domain[0]) / (domain[1] - domain[0])))
    return float(np.log(value - domain[0])) if kind == "log" else value


def from_line(v: float, domain: tuple[float, float]) -> float:
    """Return the shape of a coordinate."""
    kind = kind_of(domain)
    if kind == "logit":
        return float(domain[0] + (domain[1] - domain[0]) * expit(v))
    return float(domain[0] + np.exp(min(v, 700.0))) if kind == "log" else v


def shape_grid(family: Family, fixed: Mapping[str, float]) -> list[Floats]:
    """Return shapes (p,) to begin with, possible ones only."""
    free = [name for name in family.shapes if name not in fixed]
    values = GRID if len(free) < 2 else FEW
    axes = []
    for name, domain in zip(family.shapes, family.domains, strict=True):
        low = domain[0] if np.isfinite(domain[0]) else 0.0
        axes.append([fixed[name]] if name in fixed else [low + v for v in values[kind_of(domain)]])
    mesh = np.array(np.meshgrid(*axes, indexing="ij")).reshape(len(axes), -1).T if axes else np.empty((1, 0))
    possible = [s for s in mesh if np.isfinite(family.log_density(_middle(family, s), s)).all()]
    return possible[:: -(-len(possible) // MOST_POINTS) or 1]


def _middle(family: Family, shapes: Floats) -> Floats:
    low, high = family.support(shapes)
    if np.isnan(low) or np.isnan(high):
        return np.array([np.nan])
    if np.isfinite(low) and np.isfinite(high):
        return np.array([0.5 * (low + high)])
    return np.array(
        [low + 1.0 if np.isfinite(low) else high - 1.0 if np.isfinite(high) else 0.4]
    )  # not zero: some have none there


def pieces_of(family: Family, fixed: Mapping[str, float], grid: list[Floats]) -> Pieces:
    """Return the coordinates, from where the support ends whatever the shapes."""
    ends = np.array([family.support(s) for s in grid])
    low, high = np.isfinite(ends).all(axis=0)
    loc, scale = "loc" not in fixed, "scale" not in fixed
    position: tuple[str, ...] = ()
    if loc and scale:
        position = ("low", "high") if low and high else ("low", "scale") if low else ("loc", "scale")
        position = ("high", "scale") if high and not low else position
    elif loc:
        position = ("low",) if low else ("high",) if high else ("loc",)
    elif scale:
        position = ("scale",)
        if high and (ends[:, 1] > 0).all():
            position = ("high",)
        elif low and (ends[:, 0] > 0).all():
            position = ("low",)
    return Pieces(family, fixed, position)


class Likelihood:
    """Minus the mean log-likelihood of weighted rows, on one face.

    Parameters
    ----------
    pieces : Pieces
    y, w : ndarray (m,)
        Distinct values in order, in the frame, and their shares.
    face : set of {"low", "high"}
        Which ends lie on the outermost rows.
    """

    def __init__(self, pieces: Pieces, y: Floats, w: Floats, face: frozenset[str] = frozenset()) -> None:
        self.pieces, self.y, self.w, self.face = pieces, y, w, face
        self.position = tuple(p for p in pieces.position if p not in face)

    @property
    def size(self) -> int:
        """The number of coordinates."""
        return len(self.pieces.free_shapes) + len(self.position)

    def theta(self, v: Floats) -> Floats | None:
        """Return (shapes…, loc, scale) of coordinates; None where there are none."""
        p, family = self.pieces, self.pieces.family
        shapes = np.array([p.fixed.get(name, np.nan) for name in family.shapes])
        for at, i in enumerate(p.free_shapes):
            shapes[i] = from_line(float(v[at]), family.domains[i])
        place = dict(zip(self.position, v[len(p.free_shapes) :], strict=True))
        if min(place.get("low", 0.0), place.get("high", 0.0)) < LEAST:
            return None
        with np.errstate(over="ignore"):
            low = self.y[0] - (np.exp(place["low"]) if "low" in place else 0.0)
            high = self.y[-1] + (np.exp(place["high"]) if "high" in place else 0.0)
            scale = p.fixed.get("scale", np.exp(place["scale"]) if "scale" in place else np.nan)
        loc = p.fixed.get("loc", place.get("loc", np.nan))
        a, b = family.support(shapes) if set(p.position) & {"low", "high"} else (0.0, 0.0)
        with np.errstate(all="ignore"):
            if "scale" not in p.fixed and "scale" not in p.position:
                if "loc" in p.fixed:
                    scale = (high - loc) / b if "high" in p.position else (low - loc) / a
                else:
                    scale = (high - low) / (b - a)
            if "loc" not in p.fixed and "loc" not in p.position:
                loc = low - scale * a if "low" in p.position else high - scale * b
        theta = np.array([*shapes, loc, scale])
        return theta if np.isfinite(theta).all() and scale > 0 else None

    def at_an_end(self, v: Floats) -> frozenset[str]:
        """Return which free ends have come as near to the outermost rows as they may."""
        place = zip(self.position, v[len(self.pieces.free_shapes) :], strict=True)
        return frozenset(name for name, u in place if name in ("low", "high") and u < LEAST + 1.0)

    def coordinates(self, theta: Floats) -> Floats:
        """Return the coordinates of (shapes…, loc, scale); not finite where a row lies outside."""
        p, family = self.pieces, self.pieces.family
        *shapes, loc, scale = theta
        a, b = family.support(np.array(shapes))
        with np.errstate(all="ignore"):
            place = {
                "low": np.log(self.y[0] - (loc + scale * a)),
                "high": np.log(loc + scale * b - self.y[-1]),
                "loc": loc,
                "scale": np.log(scale),
            }
            own = [to_line(shapes[i], family.domains[i]) for i in p.free_shapes]
        return np.array([*own, *(place[name] for name in self.position)], dtype=float)

    def rows(self, theta: Floats) -> Floats:
        """Return the log density of each value, in the frame."""
        shapes, loc, scale = theta[:-2], theta[-2], theta[-1]
        t = (self.y - loc) / scale
        if self.face:  # the outermost rows are the ends: rounding shall not put them outside
            a, b = self.pieces.family.support(shapes)
            t[0] = a if "low" in self.face else t[0]
            t[-1] = b if "high" in self.face else t[-1]
        return np.asarray(self.pieces.family.log_density(t, shapes) - np.log(scale))

    def __call__(self, v: Floats) -> float:
        """Return minus the mean log density; infinite where a row has none, or no end."""
        theta = self.theta(v)
        if theta is None:
            return np.inf
        rows = self.rows(theta)
        return float(-(self.w @ rows)) if np.isfinite(rows).all() else np.inf
