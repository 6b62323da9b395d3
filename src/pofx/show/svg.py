"""Figures drawn as small SVG inside a page: its style sheet gives the colours, so they follow its theme.

For a report only: matplotlib's SVG of a picture weighs ten times as much, and keeps its own colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.show.figure import Area, Axis, Band, Bars, Cells, Curve, Figure, Panel, Points, Regions

__all__ = ["Frame", "frame_of", "paint", "to_inline_svg"]

Array = NDArray[np.float64]
TEXT = 6.1  # pixels per character of a tick label

# How each class looks where the page has no style sheet: as attributes, which any style sheet overrides.
INK, MUTED, LINE, ACCENT, MORE, LESS = "#1f2933", "#5c6874", "#b8c0c8", "#0b62a8", "#d9641c", "#3b7fc4"
_STROKED = 'fill="none" stroke="{}" stroke-width="{}"'
PAINT = {
    "ground": 'fill="none"',
    "axis": _STROKED.format(LINE, 1),
    "region": f'fill="{ACCENT}" fill-opacity=".13" fill-rule="evenodd" stroke="{ACCENT}"',
    "dots": _STROKED.format(INK, 3) + ' stroke-linecap="round" stroke-opacity=".5"',
    "dots many": _STROKED.format(INK, 2) + ' stroke-linecap="round" stroke-opacity=".34"',
    "rug": _STROKED.format(INK, 0.8),
    "count": f'fill="{INK}"',
    "bars": f'fill="{MUTED}" fill-opacity=".32"',
    "area": f'fill="{ACCENT}" fill-opacity=".16"',
    "band": f'fill="{ACCENT}" fill-opacity=".14"',
    "curve": _STROKED.format(ACCENT, 1.9),
    "curve context": _STROKED.format(MUTED, 1),
    **{f"more{k}": f'fill="{MORE}" fill-opacity="{a}"' for k, a in ((1, 0.25), (2, 0.55), (3, 1))},
    **{f"less{k}": f'fill="{LESS}" fill-opacity="{a}"' for k, a in ((1, 0.25), (2, 0.55), (3, 1))},
}


def paint(name: str) -> str:
    """Return the class of a mark as attributes, with how it looks where there is no style sheet."""
    return f'class="{name}" {PAINT.get(name, PAINT[name.split()[0]])}'


class Frame:
    """Where numbers lie in the picture: a box of pixels over two axes."""

    def __init__(self, x: Axis, y: Axis, *, wide: float = 330.0, high: float = 270.0) -> None:
        self.x, self.y, self.wide, self.high = x, y, wide, high
        self.y_ticks = ticks(y.low, y.high, 5) if y.ticks else []
        self.x_ticks = ticks(x.low, x.high, 6 if wide > 300 else 4) if x.ticks else []
        longest = max((len(label) for _, label in self.y_ticks), default=0)
        self.left = 28.0 + TEXT * longest
        self.right, self.top, self.bottom = wide - 8.0, 8.0, high - 40.0

    def px(self, x: Array | float) -> Array:
        """Return horizontal places in pixels."""
        return np.asarray(
            self.left + (x - self.x.low) / (self.x.high - self.x.low) * (self.right - self.left)
        )

    def py(self, y: Array | float) -> Array:
        """Return vertical places in pixels, from the top."""
        return np.asarray(
            self.bottom - (y - self.y.low) / (self.y.high - self.y.low) * (self.bottom - self.top)
        )

    def line(self, x: Array, y: Array) -> str:
        """Return the path through points, without those that are not finite."""
        px, py = self.px(x), np.clip(self.py(y), self.top - 400.0, self.bottom + 400.0)
        return _path(px, py)

    def cells(self, x: Array, y: Array, chosen: NDArray[np.bool_]) -> str:
        """Return the path of the chosen cells of a grid with these edges."""
        px, py = self.px(x), self.py(y)
        out = []
        for i, j in zip(*np.nonzero(chosen), strict=True):
            w, h = px[j + 1] - px[j], py[i + 1] - py[i]
            out.append(f"M{_n(px[j])} {_n(py[i])}h{_n(w)}v{_n(h)}h{_n(-w)}z")
        return "".join(out)

    def draw(self, body: str, *, title: str) -> str:
        """Return the SVG element: the marks inside the box, the axes around it."""
        size = f'viewBox="0 0 {self.wide:g} {self.high:g}" width="{self.wide:g}" height="{self.high:g}"'
        inner_w, inner_h = self.right - self.left, self.bottom - self.top
        box = f'x="{_n(self.left)}" y="{_n(self.top)}" width="{_n(inner_w)}" height="{_n(inner_h)}"'
        parts = [
            f'<svg class="plot" {size} role="img" aria-label="{escape(_short(title, 120), quote=True)}">',
            f"<rect {paint('ground')} {box}/>",
            # an inner svg cuts off what lies outside, without an id that two pictures could share
            f'<svg {box} viewBox="{_n(self.left)} {_n(self.top)} {_n(inner_w)} {_n(inner_h)}">{body}</svg>',
            f'<path {paint("axis")} d="M{_n(self.left)} {_n(self.top)}V{_n(self.bottom)}H{_n(self.right)}"/>',
            *self._labels(),
            "</svg>",
        ]
        return "".join(parts)

    def _labels(self) -> Iterable[str]:
        for value, label in self.x_ticks:
            at, down = float(self.px(value)), _n(self.bottom + 15)
            yield f'<path {paint("axis")} d="M{_n(at)} {_n(self.bottom)}v4"/>'
            yield f'<text font-size="11" x="{_n(at)}" y="{down}" text-anchor="middle">{label}</text>'
        for value, label in self.y_ticks:
            at, beside = float(self.py(value)), _n(self.left - 6)
            yield f'<path {paint("axis")} d="M{_n(self.left)} {_n(at)}h-4"/>'
            yield f'<text font-size="11" x="{beside}" y="{_n(at + 3.5)}" text-anchor="end">{label}</text>'
        middle = (self.left + self.right) / 2
        words = escape(_short(self.x.label, 44))
        place = f'x="{_n(middle)}" y="{_n(self.high - 8)}"'
        yield f'<text class="name" font-size="11.5" {place} text-anchor="middle">{words}</text>'
        middle = (self.top + self.bottom) / 2
        words = escape(_short(self.y.label, 36))
        yield (
            f'<text class="name" font-size="11.5" transform="translate(11 {_n(middle)}) rotate(-90)" '
            f'text-anchor="middle">{words}</text>'
        )


def frame_of(panel: Panel, **size: float) -> Frame:
    """Return the frame of a panel."""
    return Frame(panel.x, panel.y, **size)


def to_inline_svg(figure: Figure, **size: float) -> str:
    """Return the main panel of a figure as an SVG element whose colours are classes of the page."""
    panel = figure.main
    frame = frame_of(panel, **size)
    body = []
    for mark in panel.marks:
        draw = _DRAW.get(type(mark))
        if draw is not None:
            body.append(draw(frame, mark))
    return frame.draw("".join(body), title=figure.title)


# ---------------------------------------------------------------- marks


def _bars(frame: Frame, mark: Bars) -> str:
    px, py = frame.px(mark.edges), frame.py(mark.heights)
    ground = float(frame.py(max(frame.y.low, 0.0)))
    d = "".join(
        f"M{_n(px[k])} {_n(ground)}V{_n(py[k])}H{_n(px[k + 1])}V{_n(ground)}z"
        for k in range(len(mark.heights))
        if mark.heights[k] > 0
    )
    return f'<path {paint("bars")} d="{d}"/>'


def _area(frame: Frame, mark: Area) -> str:
    ground = np.zeros(2) + max(frame.y.low, 0.0)
    x = np.concatenate([[mark.x[0]], mark.x, [mark.x[-1]]])
    return f'<path {paint("area")} d="{frame.line(x, np.concatenate([ground[:1], mark.y, ground[1:]]))}z"/>'


def _curve(frame: Frame, mark: Curve) -> str:
    name = "curve context" if mark.role == "context" else "curve"
    return f'<path {paint(name)} d="{frame.line(mark.x, mark.y)}"/>'


def _band(frame: Frame, mark: Band) -> str:
    x, y = np.concatenate([mark.x, mark.x[::-1]]), np.concatenate([mark.low, mark.high[::-1]])
    return f'<path {paint("band")} d="{frame.line(x, y)}z"/>'


def _points(frame: Frame, mark: Points) -> str:
    if mark.y is None:
        ground = float(frame.py(frame.y.low))
        d = "".join(f"M{_n(x)} {_n(ground)}v-6" for x in np.unique(frame.px(mark.x).round(1)))
        return f'<path {paint("rug")} d="{d}"/>'
    places = np.unique(np.column_stack([frame.px(mark.x), frame.py(mark.y)]).round(1), axis=0)
    d = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in places)
    return f'<path {paint("dots many" if len(places) > 400 else "dots")} d="{d}"/>'


def _cells(frame: Frame, mark: Cells) -> str:
    counts = np.asarray(mark.counts, dtype=float)
    top = float(counts.max(initial=0.0))
    if not top > 0.0:
        return ""
    # equal steps of the square root: a sparse cell is seen beside a full one
    level = np.ceil(5.0 * np.sqrt(counts / top)).astype(int)
    out = []
    for k in range(1, 6):
        if (level == k).any():
            d = frame.cells(mark.x, mark.y, level == k)
            out.append(f'<path {paint("count")} fill-opacity="{0.1 + 0.12 * k:.2g}" d="{d}"/>')
    return "".join(out)


def _regions(frame: Frame, mark: Regions) -> str:
    from contourpy import FillType, contour_generator

    levels = [
        (level, mass) for level, mass in zip(mark.levels, mark.masses, strict=True) if np.isfinite(level)
    ]
    if not levels:
        return ""
    z = np.maximum(mark.log_density, levels[0][0] - 50.0)  # -inf has no place in interpolation
    above = float(z.max()) + 1.0
    found = contour_generator(mark.x, mark.y, z, fill_type=FillType.OuterOffset)
    out = []
    for level, mass in levels:
        filled: Any = found.filled(level, max(above, level + 1.0))
        polygons, offsets = filled
        d = ""
        for points, cuts in zip(polygons, offsets, strict=True):
            for a, b in pairwise(cuts):
                d += _path(frame.px(points[a:b, 0]), frame.py(points[a:b, 1])) + "z"
        out.append(f'<path {paint("region")} d="{d}"><title>{mass:.0%} of the mass</title></path>')
    return "".join(out)


_DRAW: dict[type, Callable[..., str]] = {
    Bars: _bars,
    Area: _area,
    Curve: _curve,
    Band: _band,
    Points: _points,
    Cells: _cells,
    Regions: _regions,
}


# ---------------------------------------------------------------- numbers


def ticks(low: float, high: float, about: int) -> list[tuple[float, str]]:
    """Return round numbers between two ends, with their labels."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return []
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((k * power for k in (1, 2, 5) if k * power >= rough * 0.999), 10 * power)
    places = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step
    largest = max(abs(low), abs(high))
    if largest >= 1e6 or largest < 1e-3:
        return [(float(v), f"{v:.3g}".replace("-", "−").replace("e+0", "e")) for v in places]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(float(v), f"{v + 0.0:,.{digits}f}".replace("-", "−")) for v in places]


def _path(px: Array, py: Array) -> str:
    """Return "M x y L x y …", rounded to a tenth of a pixel, without points that do not move."""
    places = np.column_stack([px, py])
    places = places[np.isfinite(places).all(axis=1)].round(1)
    if not len(places):
        return ""
    moved = np.concatenate([[True], (np.diff(places, axis=0) != 0).any(axis=1)])
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in places[moved])


def _n(value: float) -> str:
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
