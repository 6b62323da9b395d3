"""Where rows exceed a model: counts in cells of two columns beside what was expected of rows not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.evaluate.compare import Comparison, Entry
from pofx.maths.bins import lattice_step
from pofx.show.figure import Axis, Panel
from pofx.show.page import number_in_words
from pofx.show.pictures.parts import kept_rows, log_density_on
from pofx.show.svg import frame_of, paint

__all__ = ["Residuals", "residuals"]

Array = NDArray[np.float64]

CELLS = 14  # along each side
FINE = 6  # points of the density in a cell, along each side
COARSE = 3  # where it is dear
DEAR = 3e8  # kernel evaluations
STANDS_OUT = 3.5  # standard deviations: one of 200 right cells does with a chance of 9 %


@dataclass(frozen=True, eq=False)
class Residuals:
    """Rows and what the model expects, in cells (i, j) between ``y[i], y[i + 1]`` and ``x[j], x[j + 1]``.

    ``z`` is 2 (√(seen + 3/8) − √(expected + 3/8)), about standard normal under the model (Anscombe 1948,
    *Biometrika* 35:246). ``held_out`` says that each row was compared with a fit that had not seen it.
    """

    x: Array
    y: Array
    seen: Array
    expected: Array
    held_out: bool

    @property
    def z(self) -> Array:
        """The difference in standard deviations of a count."""
        return np.asarray(2.0 * (np.sqrt(self.seen + 0.375) - np.sqrt(self.expected + 0.375)))

    def place(self, names: tuple[str, str]) -> str:
        """Where rows exceed the model most or, if nowhere, fall short most, in words; "" for nowhere."""
        z = self.z
        which = z if z.max() >= STANDS_OUT else -z
        i, j = np.unravel_index(int(which.argmax()), z.shape)
        if which[i, j] < STANDS_OUT:
            return ""
        at = [(edges[k] + edges[k + 1]) / 2.0 for edges, k in ((self.x, j), (self.y, i))]
        width = (self.x[j + 1] - self.x[j], self.y[i + 1] - self.y[i])
        near = ", ".join(
            f"{name} = {number_in_words(v, w)}" for name, v, w in zip(names, at, width, strict=True)
        )
        word = "more" if which is z else "fewer"
        seen, expected = self.seen[i, j], self.expected[i, j]
        return f"{word} rows than it expects near {near} ({seen:,.0f}, expected {_count(float(expected))})"

    def draw(self, panel: Panel, title: str) -> str:
        """Return the map as SVG, on the axes of a panel."""
        frame, z, body = frame_of(panel), self.z, ""
        for name, low, high in (("1", 1.0, 2.0), ("2", 2.0, 3.0), ("3", 3.0, np.inf)):
            for sign, word in ((1.0, "more"), (-1.0, "less")):
                chosen = (sign * z >= low) & (sign * z < high)
                if chosen.any():
                    body += f'<path {paint(word + name)} d="{frame.cells(self.x, self.y, chosen)}"/>'
        return frame.draw(body, title=title)


def residuals(
    result: Comparison, entry: Entry, model: Density, pair: tuple[int, int], panel: Panel
) -> Residuals:
    """Count rows in cells over the axes of a panel, and what the fits that had not seen them expect there.

    Raises
    ------
    UnsupportedError
        Where the model has no marginal of two columns.
    """
    cut, fits = result.split, entry.held_out.models
    rows, w = cut.rows.values[:, pair], cut.weights
    x, y = _edges(panel.x, rows[:, 0]), _edges(panel.y, rows[:, 1])
    seen, expected = np.zeros((len(y) - 1, len(x) - 1)), np.zeros((len(y) - 1, len(x) - 1))
    parts = [cut.part == k for k in range(len(fits))] if fits else [np.ones(len(rows), dtype=bool)]
    for fit, mine in zip(fits or (model,), parts, strict=True):
        own = None if w is None else w[mine]
        seen += np.histogram2d(rows[mine, 1], rows[mine, 0], [y, x], weights=own)[0]
        expected += float(mine.sum() if own is None else own.sum()) * _mass(fit, pair, x, y, len(parts))
    return Residuals(x, y, seen, expected, held_out=bool(fits))


def _edges(axis: Axis, x: Array) -> Array:
    """Equal cells over an axis; where values lie on a lattice, between them and whole steps wide."""
    width = (axis.high - axis.low) / CELLS
    step = lattice_step(np.unique(x))
    if step is None or step < width / 8:
        return np.linspace(axis.low, axis.high, CELLS + 1)
    width = step * max(1.0, np.rint(width / step))
    start = x.min() - step / 2
    first = start - width * np.ceil((start - axis.low) / width)
    count = int(np.ceil((axis.high - first) / width))
    return np.asarray(first + width * np.arange(count + 1))


def _mass(model: Density, pair: tuple[int, int], x: Array, y: Array, fits: int) -> Array:
    """The model's mass in each cell, by the density at points spread evenly in it."""
    flat = model if model.n_features_in_ == 2 else model.marginal(list(pair))
    cells = (len(x) - 1) * (len(y) - 1)
    fine = FINE if kept_rows(flat) * cells * FINE**2 * fits <= DEAR else COARSE
    with np.errstate(under="ignore"):
        p = np.exp(log_density_on(flat, _inside(x, fine), _inside(y, fine)))
    mean = p.reshape(len(y) - 1, fine, len(x) - 1, fine).mean(axis=(1, 3))
    return np.asarray(mean * np.diff(y)[:, None] * np.diff(x))


def _inside(edges: Array, fine: int) -> Array:
    places = (np.arange(fine) + 0.5) / fine
    return np.asarray((edges[:-1, None] + np.diff(edges)[:, None] * places).ravel())


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2g}"
