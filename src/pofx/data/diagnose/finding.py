"""One finding of a diagnosis: what was seen, why it matters, whom it troubles, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ALL", "SEVERITIES", "Finding", "Quantity", "counted", "listed", "number", "percent", "short"]

SEVERITIES = ("blocks", "warning", "note")  # the worst first

GAUSSIAN, MIXTURE, KDE, HISTOGRAM = "Gaussian", "GaussianMixture", "KDE", "Histogram"
ALL = (GAUSSIAN, MIXTURE, KDE, HISTOGRAM)


@dataclass(frozen=True)
class Quantity:
    """A number and what it counts or measures: ``Quantity(1.0, "units of waiting")``."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{number(self.value)} {self.unit}"


@dataclass(frozen=True)
class Finding:
    """Something to know before a model is fitted.

    Attributes
    ----------
    name : stable identifier of the kind of finding: "rounding", "outliers", ...
    columns : names of the columns it is about; empty where it is about the rows
    number : the measurement behind it, with its unit
    sentence : what was seen; names the columns
    consequence : why it matters
    troubles : class names of the models that it troubles
    severity : "note" (good to know), "warning" (an answer may be wrong) or "blocks" (a model in
        ``troubles`` refuses these rows as they are)
    remedy : what to do
    """

    name: str
    columns: tuple[str, ...]
    number: Quantity
    sentence: str
    consequence: str
    troubles: tuple[str, ...]
    severity: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, texts and numbers, fit for JSON."""
        return {
            "name": self.name,
            "severity": self.severity,
            "columns": list(self.columns),
            "number": {"value": self.number.value, "unit": self.number.unit},
            "sentence": self.sentence,
            "consequence": self.consequence,
            "troubles": list(self.troubles),
            "remedy": self.remedy,
        }


def number(value: float, digits: int = 4) -> str:
    """Return a number as a sentence shows it: "272", "20,834", "0.0333", "1e+09"."""
    value += 0.0  # no -0.0
    if abs(value) < 1e6 and (value == int(value) or abs(value) >= 10.0 ** (digits - 1)):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(share: float) -> str:
    """Return "8.1 %", or "0.02 %" for small shares."""
    value = 100.0 * share
    return f"{value:.1f} %" if value >= 1.0 else f"{value:.2g} %"


def counted(n: int, word: str) -> str:
    """Return "1 row", "1,599 rows"."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def short(label: str, most: int = 60) -> str:
    """Return a column's name, its middle left out where it is too long for a sentence."""
    return label if len(label) <= most else f"{label[: most - 16]}…{label[-15:]}"


def listed(words: Sequence[str], most: int = 6) -> str:
    """Return "a", "a and b", "a, b and c" or "a, b, c and 4 more"."""
    shown = [short(word) for word in words[:most]]
    if len(words) > most:
        shown.append(f"{len(words) - most} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
