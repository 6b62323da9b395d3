"""The best regular maximum of one column's likelihood.

A likelihood of three parameters is often unbounded: as loc rises to the smallest row, the density there may
grow without limit (gamma and weibull_min of shape below 1, lognorm, invgauss; Hill 1963, *JASA* 58:72). Only
*regular* solutions are ranked: points where the gradient is zero and the curvature negative, and limits that
the likelihood rises to while no single row gains without end (a gamma becoming normal). Where there is none,
the family has no maximum likelihood estimate for the rows, and that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DegenerateError
from .climb import Top, newton, simplex
from .closed import closed_form
from .families import Family
from .likelihood import Likelihood, Pieces, pieces_of, shape_grid

__all__ = ["Found", "maximise"]

Floats = NDArray[np.float64]

SAMPLE = 300  # values that the search looks at; the end of it is on all
STARTS = 4  # of each face
SPIKE = 3.0  # log of density times distance to the next value, beyond which one row has a bump of its own
SAME = 0.03  # distance of coordinates within which two climbs end alike
POLES = ("dgamma", "dweibull")  # zero at loc
NEAR = 1e-7  # nats per row within which two maxima are one


@dataclass(frozen=True)
class Found:
    """The fit of one column, in the units of the rows given.

    Attributes
    ----------
    theta : ndarray (p,)
        (shapes…, loc, scale).
    message : str
        How it was found.
    notes : tuple of str
    gradient : float or None
        At the end, in standard errors; None for a closed form.
    """

    theta: Floats
    message: str
    notes: tuple[str, ...]
    gradient: float | None


def maximise(
    family: Family,
    z: Floats,
    w: Floats,
    fixed: Mapping[str, float],
    label: str,
    *,
    start: Floats | None = None,
) -> Found:
    """Return the likeliest (shapes…, loc, scale) for distinct values z in order, with weights w.

    Parameters
    ----------
    fixed : mapping of name to value
        In the units of z.
    label : str
        What messages call the column.
    start : ndarray (p,), optional
        Parameters near which the maximum is looked for first.

    Raises
    ------
    DegenerateError
        Where a row lies outside the family's support whatever is free, and where there is no regular maximum.
    """
    n, share = float(w.sum()), w / w.sum()
    if all(name in fixed for name in family.names):
        theta = np.array([fixed[name] for name in family.names])
        _require_inside(family, z, theta, label)
        return Found(theta, "All parameters were given.", (), None)
    exact = closed_form(family.name, z, share, fixed)
    if exact is not None:
        return Found(_holding(family, z, exact, fixed), "Closed form.", (), None)
    grid = shape_grid(family, fixed)
    pieces = pieces_of(family, fixed, grid)
    centre, spread = _frame(z, share, fixed, pieces)
    y = (z - centre) / spread
    inner = {k: (v - centre) / spread if k == "loc" else v / spread if k == "scale" else v
             for k, v in fixed.items()}  # fmt: skip
    pieces = Pieces(family, inner, pieces.position)
    tops: list[tuple[frozenset[str], Top]] = []
    if start is not None:
        there = np.array([*start[:-2], (start[-2] - centre) / spread, start[-1] / spread])
        tops = _near(pieces, y, share, n, there)
    singular = 0
    if not tops:
        tops, singular = _searched(pieces, y, share, n, grid)
    if not tops:
        raise _no_maximum(family, y, share, fixed, label, singular)
    best = max(top.value for _, top in tops)
    # A climb that ends on a face from inside gets as high, but its gradient in u is never that of a top.
    face, top = max((pair for pair in tops if pair[1].value > best - NEAR), key=lambda pair: pair[1].maximum)
    theta = top.theta.copy()
    theta[-2], theta[-1] = centre + spread * theta[-2], spread * theta[-1]
    for name, value in fixed.items():
        theta[family.names.index(name)] = value
    notes = _notes(family, theta, top, singular, label)
    ends = {"low": "the smallest row", "high": "the largest row"}
    at = " and ".join(ends[end] for end in sorted(face, reverse=True))
    message = "Maximum likelihood by Newton's method" + (f", the support ending at {at}." if at else ".")
    return Found(_holding(family, z, theta, fixed), message, notes, top.gradient)


def _frame(z: Floats, share: Floats, fixed: Mapping[str, float], pieces: Pieces) -> tuple[float, float]:
    """Return centre and spread of coordinates in which rows of any units look alike."""
    below = np.cumsum(share)
    q25, q50, q75 = (float(z[min(int(np.searchsorted(below, q)), len(z) - 1)]) for q in (0.25, 0.5, 0.75))
    if "loc" in fixed:
        centre = fixed["loc"]
        spread = max(abs(q50 - centre), q75 - q25)
    else:
        ends = {"low": float(z[0]), "high": float(z[-1])}
        centre = next((ends[p] for p in pieces.position if p in ends), q50)
        spread = q75 - q25
    return centre, spread if spread > 0.0 else float(max(z[-1] - z[0], np.abs(z - centre).max()))


def _near(pieces: Pieces, y: Floats, w: Floats, n: float, theta: Floats) -> list[tuple[frozenset[str], Top]]:
    """Return the maxima that Newton's method finds from these parameters, if it does."""
    found = []
    for face in pieces.faces:
        likelihood = Likelihood(pieces, y, w, face)
        v = likelihood.coordinates(theta)
        top = newton(likelihood, np.where(np.isfinite(v), v, -3.0), n)
        if top is not None and top.maximum:
            found.append((face, top))
    return found


def _searched(
    pieces: Pieces, y: Floats, w: Floats, n: float, grid: list[Floats]
) -> tuple[list[tuple[frozenset[str], Top]], int]:
    """Return the regular solutions of all faces, and how many climbs ended in a spike."""
    sample, shares = _thinned(y, w)
    starts = _starts(pieces, sample, grid)
    found: list[tuple[frozenset[str], Top]] = []
    singular = 0
    for face in pieces.faces:
        small, likelihood = Likelihood(pieces, sample, shares, face), Likelihood(pieces, y, w, face)
        for v in _best_starts(small, starts):
            v = simplex(small, v)
            if any(f == face and np.abs(t.v - v).max() < SAME for f, t in found if t.maximum):
                continue
            top = newton(likelihood, v, n)
            if top is None:
                continue
            to_the_end = frozenset[str]() if top.maximum else likelihood.at_an_end(top.v)
            if not top.maximum and (_spike(likelihood, top) or to_the_end):
                singular += not (to_the_end and _finite_on(to_the_end | face, likelihood, top))
            else:
                found.append((face, top))
        if pieces.family.name in POLES and found:
            top = _between_rows(likelihood, max((t for _, t in found), key=lambda t: t.value), n)
            found.append((face, top))
    return found, singular


def _best_starts(likelihood: Likelihood, starts: list[Floats]) -> list[Floats]:
    """Return the coordinates of the likeliest starts, each of other shapes."""
    best: dict[tuple[float, ...], tuple[float, Floats]] = {}
    for theta in starts:
        v = likelihood.coordinates(theta)
        value, shapes = likelihood(v), tuple(theta[:-2])
        if np.isfinite(value) and value < best.get(shapes, (np.inf, v))[0]:
            best[shapes] = value, v
    ordered = sorted(best.values(), key=lambda pair: pair[0])
    return [v for _, v in ordered[: STARTS if likelihood.size else 1]]


def _between_rows(likelihood: Likelihood, top: Top, n: float) -> Top:
    """Return the best maximum of a density that is zero at loc: one lies in every gap between two rows."""
    y = likelihood.y
    gaps = y[:-1] / 2.0 + y[1:] / 2.0
    places = np.unique(gaps[np.linspace(0, len(gaps) - 1, min(len(gaps), SAMPLE)).astype(int)])
    for _ in range(4):
        before = top
        thetas = [np.array([*top.theta[:-2], place, top.theta[-1]]) for place in places]
        values = sorted((float(likelihood.w @ likelihood.rows(t)), i) for i, t in enumerate(thetas))
        for _, i in values[-STARTS:]:
            there = newton(likelihood, likelihood.coordinates(thetas[i]), n)
            if there is not None and there.maximum and there.value > top.value:
                top = there
        if top.value <= before.value + NEAR:
            break
    return top


def _finite_on(face: frozenset[str], likelihood: Likelihood, top: Top) -> bool:
    """Return whether the likelihood is finite where the ends lie on the outermost rows."""
    there = Likelihood(likelihood.pieces, likelihood.y, likelihood.w, face)
    return bool(np.isfinite(there.rows(top.theta)).all())


def _spike(likelihood: Likelihood, top: Top) -> bool:
    """Return whether a single value has a bump of its own, narrower than the way to the next value."""
    y = likelihood.y
    if len(y) < 2:
        return True
    gap = np.diff(y)
    nearest = np.minimum(np.append(gap, np.inf), np.insert(gap, 0, np.inf))
    return bool((likelihood.rows(top.theta) + np.log(nearest)).max() > SPIKE)


def _thinned(y: Floats, w: Floats) -> tuple[Floats, Floats]:
    """Return at most ``SAMPLE`` values with the same quantiles, the outermost ones among them."""
    if len(y) <= SAMPLE:
        return y, w
    below = np.cumsum(w)
    at = np.searchsorted(below, (np.arange(SAMPLE) + 0.5) / SAMPLE * below[-1])
    at = np.unique(np.clip(np.concatenate([[0], at, [len(y) - 1]]), 0, len(y) - 1))
    edges = np.append(np.insert(0.5 * (below[at][1:] + below[at][:-1]), 0, 0.0), below[-1])
    return y[at], np.diff(edges) / below[-1]


def _starts(pieces: Pieces, y: Floats, grid: list[Floats]) -> list[Floats]:
    """Return parameters whose quartiles are those of the rows, or whose support is about their range."""
    q25, q50, q75 = np.quantile(y, (0.25, 0.5, 0.75))
    fixed, found = pieces.fixed, []
    margin = 0.1 * max(q75 - q25, 1e-3)
    for shapes in grid:
        with np.errstate(all="ignore"):
            t25, t50, t75 = pieces.family.dist.ppf((0.25, 0.5, 0.75), *shapes)
            a, b = pieces.family.support(shapes)
            low, high = y[0] - margin, y[-1] + margin
            tries: list[tuple[float, float]] = []
            scale = fixed.get("scale", (q75 - q25) / (t75 - t25))
            tries.append((fixed.get("loc", q50 - scale * t50), scale))
            if "loc" in fixed:
                tries.append((fixed["loc"], fixed.get("scale", (q50 - fixed["loc"]) / t50)))
                tries += [(fixed["loc"], fixed.get("scale", (high - fixed["loc"]) / b))] if b > 0 else []
                tries += (
                    [(fixed["loc"], fixed.get("scale", 0.9 * (y[0] - fixed["loc"]) / a))] if a > 0 else []
                )
            else:
                if np.isfinite(a):
                    scale = fixed.get("scale", (q50 - low) / (t50 - a))
                    tries.append((low - scale * a, scale))
                if np.isfinite(b):
                    scale = fixed.get("scale", (high - q50) / (b - t50))
                    tries.append((high - scale * b, scale))
                if np.isfinite(a) and np.isfinite(b):
                    scale = fixed.get("scale", (high - low) / (b - a))
                    tries.append((low - scale * a, scale))
        found += [np.array([*shapes, *place]) for place in tries if place[1] > 0 and np.isfinite(place).all()]
    return found


def _holding(family: Family, z: Floats, theta: Floats, fixed: Mapping[str, float]) -> Floats:
    """Return the parameters, moved by roundings until every row lies inside the support."""
    a, b = family.support(theta[:-2])
    theta = theta.copy()
    for k in range(12):
        t = (z[[0, -1]] - theta[-2]) / theta[-1]
        if t[0] >= a and t[1] <= b:
            break
        tiny = 2.0**k * np.finfo(float).eps * max(abs(theta[-2]), abs(z[0]), abs(z[-1]), theta[-1])
        if t[0] < a and "loc" not in fixed:
            theta[-2] -= tiny
        if "scale" not in fixed and (t[1] > b or "loc" in fixed):
            theta[-1] += tiny if t[1] > b else -tiny
        elif t[1] > b:
            theta[-2] += tiny
    return theta


# ---------------------------------------------------------------- what is said


def _require_inside(family: Family, z: Floats, theta: Floats, label: str) -> None:
    a, b = family.support(theta[:-2])
    t = (z - theta[-2]) / theta[-1]
    if not (a <= t[0] and t[-1] <= b):
        raise DegenerateError(f"{label}: rows lie outside the support of {family.name} as it was fixed.")


def _notes(family: Family, theta: Floats, top: Top, singular: int, label: str) -> tuple[str, ...]:
    notes = []
    if singular:
        notes.append(
            f"{label}: the likelihood of {family.name} is unbounded near other parameters, where one row has "
            "a bump of its own; this is its highest regular maximum."
        )
    if not top.maximum:
        shown = ", ".join(f"{name} = {value:.4g}" for name, value in zip(family.shapes, theta, strict=False))
        notes.append(
            f"{label}: the likelihood of {family.name} rises towards a limit of the family ({shown}), which "
            "it never quite reaches: a family with fewer parameters says the same."
        )
    return tuple(notes)


def _no_maximum(
    family: Family, y: Floats, w: Floats, fixed: Mapping[str, float], label: str, singular: int
) -> DegenerateError:
    if singular:
        free = [name for name in ("loc", "scale") if name not in fixed]
        remedy = "Fix loc (floc=), or use another family" if "loc" in free else "Use another family"
        return DegenerateError(
            f"{label}: the likelihood of {family.name} is unbounded for these rows: it grows without limit "
            f"as its density piles up on a single row, and has no regular maximum. {remedy}."
        )
    if "loc" in fixed or "scale" in fixed:
        said = " and ".join(name for name in ("loc", "scale") if name in fixed)
        return DegenerateError(
            f"{label}: with {said} fixed, no {family.name} has every row inside its support with a finite "
            f"density: the smallest or largest row lies outside, or on its end. Leave {said} free, or fix "
            "another value."
        )
    return DegenerateError(f"{label}: no parameters of {family.name} give every row a finite density.")
