"""Within a family BIC chooses; what held-out rows say of its choice and of the nearest rivals.

BIC = −2 log L + k log n approximates minus twice the log of the evidence (Schwarz 1978, *Annals of
Statistics* 6:461); smaller is better, and a difference counts as weak up to 2, positive up to 6, strong up
to 10 and very strong beyond (Kass and Raftery 1995, *JASA* 90:773). It sees all rows at once, but through
an approximation; held-out rows see the thing itself, with noise. Both are told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.density import Density
from ..core.estimator import unfitted
from .heldout import HeldOut, Split, held_out, paired_difference, steps_of

__all__ = ["Family", "Rival", "family_of"]

NEAR = 10.0  # in BIC: beyond, the evidence is very strong
MOST_RIVALS = 3
MOST_WORK = 300_000  # rows times squared columns, up to which rivals are fitted in folds

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, eq=False)
class Rival:
    """A candidate of the family: its structure and size, its BIC, and how far from what BIC chose.

    ``gap`` and ``gap_error`` compare held-out scores with the chosen candidate's, each with its structure
    and size held (nats per row, paired); None where it was not held out.
    """

    n_components: int
    covariance_type: str
    bic: float
    behind: float
    gap: float | None = None
    gap_error: float | None = None

    @property
    def close(self) -> bool:
        """Whether held-out rows do not rule it out against what BIC chose: within two standard errors."""
        return self.gap is not None and self.gap_error is not None and self.gap >= -2.0 * self.gap_error

    @property
    def better(self) -> bool:
        """Whether held-out rows prefer it by more than one standard error."""
        return self.gap is not None and self.gap_error is not None and self.gap > self.gap_error

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "n_components": self.n_components,
            "covariance_type": self.covariance_type,
            "bic": self.bic,
            "behind": self.behind,
            "held_out_difference": self.gap,
            "held_out_standard_error": self.gap_error,
        }


@dataclass(frozen=True, eq=False)
class Family:
    """The candidates of the best model's family, by BIC.

    Attributes
    ----------
    chosen : Rival
        What BIC chose from all rows.
    second : Rival or None
        The next in BIC, whatever its size.
    by_size : tuple of Rival
        The best structure of each number of components, by number.
    per_fold : tuple of int
        How many components the fit of each fold chose.
    """

    chosen: Rival
    second: Rival | None
    by_size: tuple[Rival, ...]
    per_fold: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of components that the rows support: the chosen one, and fewer where these are as good
        on held-out rows; more where held-out rows prefer them."""
        k = self.chosen.n_components
        few = [r.n_components for r in self.by_size if r.n_components < k and r.close]
        many = [r.n_components for r in self.by_size if r.n_components > k and r.better]
        return tuple(sorted({k, *few, *many}))

    @property
    def disagrees(self) -> bool:
        """Whether held-out rows prefer another number of components than BIC."""
        return any(rival.better for rival in self.by_size)

    @property
    def sentence(self) -> str:
        """How many components, and why."""
        chosen, others = self.chosen, [r for r in self.by_size if r.n_components != self.chosen.n_components]
        near = sorted((r for r in others if r.n_components > 1), key=lambda r: r.behind)[:2]
        one = [r for r in others if r.n_components == 1]
        text = f"{_counted(self.sizes)}{_not_one(self)}: BIC (smaller is better) is {chosen.bic:,.1f} for "
        text += f"{_named(chosen)}"
        rest = [*near, *one]
        if rest:
            text += ", " + ", ".join(f"{r.behind:,.1f} more for {_named(r)}" for r in rest)
        text += "."
        tried = [r for r in others if r.gap is not None]
        if self.disagrees:
            best = max((r for r in tried if r.better), key=lambda r: r.gap or 0.0)
            text += (
                f" Held-out rows disagree: they prefer {_named(best)}, by {best.gap:.3f} ± "
                f"{best.gap_error:.3f} nats per row."
            )
        elif tried:
            told = ", ".join(f"{_number(r.n_components)} {_signed(r.gap)} ± {r.gap_error:.3f}" for r in tried)
            text += f" On held-out rows, against {_number(chosen.n_components)}: {told} nats per row"
            text += ", which chance can explain." if all(r.close for r in tried) else "."
        if self.second is not None and self.second.behind < 2.0:
            text += f" BIC's second choice, {_named(self.second)}, is only {self.second.behind:.1f} behind."
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "chosen": self.chosen.to_dict(),
            "second": None if self.second is None else self.second.to_dict(),
            "by_size": [rival.to_dict() for rival in self.by_size],
            "sizes": list(self.sizes),
            "chosen_per_fold": list(self.per_fold),
            "sentence": self.sentence,
        }


def family_of(
    model: Density, record: HeldOut, cut: Split, say: Callable[[str], None], *, rivals: bool = True
) -> Family | None:
    """Return what BIC and held-out rows say of a fitted mixture's rivals; None where BIC chose nothing."""
    table = [row for row in model.fit_.search or () if _usable(row)]
    if not table:
        return None
    table.sort(key=lambda row: row["bic"])
    best = float(table[0]["bic"])
    made = [
        Rival(row["n_components"], row["covariance_type"], float(row["bic"]), float(row["bic"]) - best)
        for row in table
    ]
    sizes: dict[int, Rival] = {}
    for rival in made:
        sizes.setdefault(rival.n_components, rival)
    chosen = made[0]
    n, d = cut.rows.values.shape
    if rivals and n * d * d <= MOST_WORK:
        near = [r for r in sizes.values() if r.behind < NEAR and r is not chosen][:MOST_RIVALS]
        sizes |= _held_out(model, record, chosen, near, cut, say)
    per_fold = tuple(len(fit.params_.weights) for fit in record.models if "weights" in fit.params_)
    by_size = tuple(sizes[k] for k in sorted(sizes))
    return Family(chosen, made[1] if len(made) > 1 else None, by_size, per_fold)


def _usable(row: Mapping[str, Any]) -> bool:
    return {"n_components", "covariance_type", "bic"} <= set(row) and bool(row.get("regular"))


def _best(search: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return min(filter(_usable, search), key=lambda row: float(row["bic"]), default=None)


def _is(row: Mapping[str, Any], rival: Rival) -> bool:
    return (row["n_components"], row["covariance_type"]) == (rival.n_components, rival.covariance_type)


def _held_out(
    model: Density,
    record: HeldOut,
    chosen: Rival,
    near: list[Rival],
    cut: Split,
    say: Callable[[str], None],
) -> dict[int, Rival]:
    """Hold out the chosen candidate and its rivals, their sizes and structures held."""
    if not near:
        return {}
    models = {}
    for rival in (chosen, *near):
        held = unfitted(model)
        models[_named(rival)] = held.set_params(
            n_components=rival.n_components, covariance_type=rival.covariance_type
        )
    # Where a fold chose the same by itself, that fit is there already.
    same = {
        k: step
        for k, step in steps_of(record, cut).items()
        if step.fit.search and (best := _best(step.fit.search)) and _is(best, chosen)
    }
    known = {_named(chosen): same}
    records = {record.name: record for record in held_out(models, cut, say, known=known)[0]}
    out = {}
    for rival in near:
        gap, error = paired_difference(records[_named(rival)], records[_named(chosen)])
        if math.isfinite(gap) and math.isfinite(error):
            out[rival.n_components] = Rival(
                rival.n_components, rival.covariance_type, rival.bic, rival.behind, gap, error
            )
    return out


def _named(rival: Rival) -> str:
    return f"{_number(rival.n_components)} ({rival.covariance_type})"


def _number(k: int) -> str:
    return NUMBERS[k] if k < len(NUMBERS) else str(k)


def _counted(sizes: tuple[int, ...]) -> str:
    words = [_number(k) for k in sizes]
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    return f"{text[0].upper()}{text[1:]} component{'' if sizes == (1,) else 's'}"


def _not_one(family: Family) -> str:
    one = next((r for r in family.by_size if r.n_components == 1), None)
    ruled_out = one is not None and one.behind > NEAR and 1 not in family.sizes
    return ", not one" if ruled_out else ""


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
