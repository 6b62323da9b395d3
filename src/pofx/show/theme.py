"""Colours and sizes of a picture: ours, or those that the caller has set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pofx.show.figure import Mark

__all__ = ["DASHES", "MODEL", "OURS", "SERIES", "Theme"]

# Okabe and Ito (2008), Color Universal Design: told apart by everybody. Blue is the model's.
MODEL = "#0072b2"
SERIES = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#0072b2", "#1f2933")
DASHES: Any = (0, (4, 2.2))


@dataclass(frozen=True)
class Theme:
    """Colours, and how much larger than ours lines, dots and small words are."""

    ink: Any = "#1f2933"
    muted: Any = "#66727f"
    paper: Any = "#ffffff"
    bar: Any = "#c9d2db"
    model: Any = MODEL
    series: tuple[Any, ...] = SERIES
    line: float = 1.0
    dot: float = 1.0
    small: float = 8.0

    def of(self, mark: Mark) -> Any:
        """Return the colour of a mark."""
        if mark.role in ("series", "irregular", "chosen"):
            return self.series[mark.series % len(self.series)]
        return {"model": self.model, "context": self.muted}.get(mark.role, self.ink)

    @property
    def is_dark(self) -> bool:
        """Whether the paper is darker than the ink."""
        from matplotlib.colors import to_rgb

        return sum(to_rgb(self.paper)) < sum(to_rgb(self.ink))

    def dashes(self, mark: Mark) -> Any:
        """Return the line style of a mark: dashed for the truth, and where the colours begin anew."""
        again = mark.role == "series" and mark.series >= len(self.series)
        return DASHES if mark.role == "truth" or again else "-"

    def between(self, share: float) -> tuple[float, float, float]:
        """Return the colour that lies ``share`` of the way from paper to ink."""
        from matplotlib.colors import to_rgb

        a, b = np.array(to_rgb(self.paper)), np.array(to_rgb(self.ink))
        return tuple(float(v) for v in a + share * (b - a))  # type: ignore[return-value]


OURS = Theme()
