"""Where on contours their labels stand: one on each, where they are read easily and apart from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["label_places"]

ROOM = 12.0  # letter heights of line that a label needs
APART = 6.0  # letter heights that labels are apart
SPAN = 2  # letter heights on each side that a label covers


def label_places(axes: Axes, lines: Sequence[Sequence[Any]], points: float) -> list[tuple[float, float]]:
    """Return one place (data units) for each level whose longest line has room for a label.

    Parameters
    ----------
    lines : for each level its lines, each an array (m, 2) in data units
    points : size of the letters
    """
    letter = points * axes.figure.dpi / 72
    placed: list[NDArray[np.float64]] = []
    found: list[tuple[float, float]] = []
    box = axes.get_window_extent()
    for of_level in lines:
        pixels = [axes.transData.transform(line) for line in of_level if len(line) > 2]
        if not pixels:
            continue
        longest = max(pixels, key=_length)
        if _length(longest) < ROOM * letter:
            continue
        at, chord = _evenly(longest, letter)
        level = np.abs(chord[:, 0]) / np.maximum(np.hypot(*chord.T), 1e-9)  # 1 where the line is horizontal
        straight = np.hypot(*chord.T) / (2 * SPAN * letter)  # 1 where it does not bend under the label
        score = 0.6 * level + 1.5 * np.minimum(straight, 1.0)
        for other in placed:
            score = score + np.minimum(np.hypot(*(at - other).T) / (APART * letter), 1.0)
        margin = 2.5 * letter
        inside = ((at > np.array(box.min) + margin) & (at < np.array(box.max) - margin)).all(axis=1)
        k = int(np.argmax(np.where(inside, score, score - 10.0)))
        placed.append(at[k])
        x, y = axes.transData.inverted().transform(at[k])
        found.append((float(x), float(y)))
    return found


def _evenly(line: NDArray[np.float64], step: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points (m, 2) a step apart along a line, and the chords (m, 2) that labels there would cover."""
    reached = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.arange(0.0, reached[-1], step)
    points = np.column_stack([np.interp(at, reached, line[:, k]) for k in (0, 1)])
    return points[SPAN:-SPAN], points[2 * SPAN :] - points[: -2 * SPAN]


def _length(line: NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())
