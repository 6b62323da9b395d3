"""One word for a check, and the rule that it follows.

``good``    no test tells rows and model apart: all of them together at one level. Or, from ``large`` rows on,
            where nothing is exactly right any more: a classifier's AUC of at most 0.55, and regions of 50, 80
            and 95 % of the mass that hold these shares of the rows to within 3 points.
``usable``  an AUC of at most 0.65, and regions to within 8 points.
``fails``   anything else; whatever the numbers, a density whose mass is not one, and a sampler that copies
            the rows that it was fitted to.

An AUC of 0.55 means: of a row and a draw, the classifier points at the row in 55 of 100 cases. Where there
is no test (a model that was not claimed to be the truth, judged by rows that its refits have not seen), *no
test tells apart* reads: every curve inside its band, energy distance and AUC below their limits.

What a density is used for asks for different things, so the words come for each use as well: *sampling* (the
AUC), *scoring* (how many rows lie where the model has its rarest 5 % and 1 %: an alarm's false-alarm rate)
and *grouping* (how surely rows belong to their components).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .curves import p_text, percent

if TYPE_CHECKING:
    from .checked import Check

__all__ = ["RULE", "Coverage", "Rule", "Use", "Verdict", "verdict_of"]

REGIONS = (0.5, 0.8, 0.95)
RARE = (0.05, 0.01)
WORDS = ("good", "usable", "fails")


@dataclass(frozen=True)
class Rule:
    """The thresholds behind the words.

    Attributes
    ----------
    large : int
        Rows judged, from which on small effects are called good whatever the tests say.
    good_auc, usable_auc : float
    good_points, usable_points : float
        By how many points of a hundred the share of rows in a region may differ from its mass.
    good_overlap, usable_overlap : float
        The mean probability that a row belongs to another component than its likeliest.
    """

    large: int = 2_000
    good_auc: float = 0.55
    usable_auc: float = 0.65
    good_points: float = 3.0
    usable_points: float = 8.0
    good_overlap: float = 0.05
    usable_overlap: float = 0.15


RULE = Rule()


@dataclass(frozen=True)
class Coverage:
    """A highest-density region of the model: its mass, the share of rows in it and that share's error."""

    mass: float
    covered: float
    standard_error: float

    @property
    def points(self) -> float:
        """Covered minus mass, in points of a hundred."""
        return 100.0 * (self.covered - self.mass)


@dataclass(frozen=True)
class Use:
    """A word for one use: "sampling", "scoring" or "grouping"."""

    name: str
    word: str
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What a check amounts to.

    Attributes
    ----------
    word : {"good", "usable", "fails"}
    sentence : str
        The word, and the numbers that it rests on.
    uses : tuple of Use
    regions : tuple of Coverage
        Of the 50, 80 and 95 % regions; empty for a model without a density.
    rule : Rule
    """

    word: str
    sentence: str
    uses: tuple[Use, ...]
    regions: tuple[Coverage, ...]
    rule: Rule

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "word": self.word,
            "sentence": self.sentence,
            "uses": {use.name: {"word": use.word, "sentence": use.sentence} for use in self.uses},
            "regions": [asdict(region) for region in self.regions],
            "rule": asdict(self.rule),
        }


def verdict_of(check: Check, rule: Rule = RULE) -> Verdict:
    """Return the verdict on a check."""
    regions, auc = _regions(check), check.told.auc if check.told else None
    gap = max((abs(region.points) for region in regions), default=0.0)
    known = auc if auc is not None else 0.5
    small = check.n >= rule.large and known <= rule.good_auc and gap <= rule.good_points
    sound = (check.mass is None or check.mass.is_one) and not check.copies
    if check.passed or (small and sound):
        word = "good"
    elif known <= rule.usable_auc and gap <= rule.usable_points and sound:
        word = "usable"
    else:
        word = "fails"
    uses = [_sampling(check, rule), _scoring(check), _grouping(check, rule)]
    return Verdict(word, _sentence(check, word, regions), tuple(u for u in uses if u), regions, rule)


def _regions(check: Check) -> tuple[Coverage, ...]:
    if check.rank is None:
        return ()
    covered = {mass: 1.0 - check.rank.share_at(1.0 - mass) for mass in REGIONS}
    return tuple(Coverage(mass, c, math.sqrt(mass * (1.0 - mass) / check.n)) for mass, c in covered.items())


def _sentence(check: Check, word: str, regions: tuple[Coverage, ...]) -> str:
    told = []
    if check.p_value is not None:
        what = "no test tells rows and model apart" if check.passed else "rows and model differ"
        told.append(f"{what} (p {p_text(check.p_value, '= ')})")
    elif check.passed:
        told.append("every curve is inside its band")
    else:
        told.append("rows that the fits have not seen leave the bands")
    if check.copies and check.memory is not None:
        told.append(f"about {percent(check.memory.copied_share)} of its draws are copies of training rows")
    if check.told is not None:
        told.append(f"a classifier tells rows from draws with an AUC of {check.told.auc:.2f} (chance: 0.5)")
    if regions:
        masses, shares = (
            ", ".join(f"{100.0 * part:.0f}" for part in parts)
            for parts in ([r.mass for r in regions], [r.covered for r in regions])
        )
        told.append(f"the regions of {masses} % hold {shares} % of the rows")
    return f"{word}: {'; '.join(told)}"


def _sampling(check: Check, rule: Rule) -> Use | None:
    told = check.told
    if told is None:
        return None
    chance = told.auc <= told.limit
    word = (
        "good"
        if chance or told.auc <= rule.good_auc
        else "usable"
        if told.auc <= rule.usable_auc
        else "fails"
    )
    span = (
        f"{told.low:.2f} to {told.high:.2f}; chance is 0.5{', which cannot be ruled out' if chance else ''}"
    )
    return Use("sampling", word, f"a classifier tells draws from rows with an AUC of {told.auc:.2f} ({span})")


def _scoring(check: Check) -> Use | None:
    if check.rank is None:
        return None
    worst, told = 0, []
    for share, slack, factor in zip(RARE, (0.01, 0.005), (2.0, 3.0), strict=True):
        seen, error = check.rank.share_at(share), math.sqrt(share * (1.0 - share) / check.n)
        near = abs(seen - share) <= max(2.0 * error, slack)
        worst = max(worst, 0 if near else 1 if share / factor <= seen <= share * factor else 2)
        told.append(f"its rarest {percent(share)} holds {percent(seen)} of the rows")
    return Use("scoring", WORDS[worst], ", ".join(told))


def _grouping(check: Check, rule: Rule) -> Use | None:
    overlap = check.overlap
    if overlap is None:
        return None
    word = "good" if overlap <= rule.good_overlap else "usable" if overlap <= rule.usable_overlap else "fails"
    return Use(
        "grouping", word, f"the likeliest component of a row is another one with probability {overlap:.2g}"
    )


def overlap_of(model: Any, x: Any) -> float | None:
    """Return the mean probability that a row belongs to another component than its likeliest.

    None for a model without components, or with one.
    """
    weights: Mapping[str, Any] = getattr(model, "params_", {})
    if "weights" not in weights or len(weights["weights"]) < 2 or not hasattr(model, "uncertainty"):
        return None
    return float(np.mean(model.uncertainty(x)))
