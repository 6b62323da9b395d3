"""The result of a comparison: the table, the choice, the sentences that argue it, and its other forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..core.density import Density
from ..errors import PofxError
from .family import Family
from .foreign import Foreign
from .forms import SCHEMA, as_dict, as_html, as_text, frame_records, number
from .frames import framed
from .heldout import HeldOut, Split, paired
from .ranking import Entry

if TYPE_CHECKING:
    from .check import Check
    from .verdict import Verdict

__all__ = ["SCHEMA", "Comparison", "Entry", "Gain", "number", "times"]

MOST_JUDGED = 60  # columns


@dataclass(frozen=True)
class Gain:
    """What one model gains on another: nats per unseen row, with the 95 % interval of Student's t; NaN where
    there is none, for the reason in ``doubt``."""

    nats: float
    standard_error: float
    low: float
    high: float
    doubt: str = ""

    @property
    def words(self) -> str:
        """The gain as a factor: "1.8 times as likely (95 % interval 1.6 to 2.0)"."""
        if not math.isfinite(self.standard_error):
            return f"{times(self.nats)} times as likely"
        if self.doubt:
            return f"{times(self.nats)} times as likely (no interval, as {self.doubt})"
        for digits in (2, 3, 4):  # as many as tell the ends of the interval from its middle
            low, middle, high = (times(nats, digits) for nats in (self.low, self.nats, self.high))
            if len({low, middle, high}) == 3:
                break
        return f"{middle} times as likely (95 % interval {low} to {high})"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The result of :func:`pofx.compare`.

    Attributes
    ----------
    best : Density
        The simplest model within one paired standard error of the leader, fitted to all rows.
    best_name, leader_name : str
        Names of that model and of the one with the highest mean held-out score.
    table : tuple of Entry
        Every model, best mean first; then those that cannot win, those that were dropped early, what is
        shown for comparison (one Gaussian that was added, the truth), and those that failed, with the reason.
    models : dict
        The models as given, by name, unfitted, with those that were added; a density with given parameters
        as it is.
    split : Split
        The rows and how they were held out.
    data : the rows as the caller gave them
    family : Family or None
        What BIC chose within the best model's family, and the nearest rivals.
    """

    best: Density
    best_name: str
    leader_name: str
    table: tuple[Entry, ...]
    models: Mapping[str, Density]
    split: Split
    data: Any
    random_state: Any
    family: Family | None = None
    _fits: dict[str, Density] = field(default_factory=dict)
    _checks: dict[str, Check | None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Entry:
        for entry in self.table:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def fitted(self, name: str) -> Density:
        """Return a model of the table fitted to all rows (fitted when first asked for).

        Raises
        ------
        PofxError
            As its ``fit`` does.
        """
        if name == self.best_name:
            return self.best
        if self[name].role in ("given", "truth"):
            model = self.models[name]
            return Foreign(model.model, self.split.rows.columns) if isinstance(model, Foreign) else model
        if name not in self._fits:
            self._fits[name] = self.split.fit(self.models[name])
        return self._fits[name]

    def check(self, name: str | None = None) -> Check | None:
        """Return the check of a model of the table, the best by default (made when first asked for).

        A Gaussian or a mixture by samples drawn from its fit to all rows, any other model by the fits of the
        folds, each row by one that has not seen it (:func:`pofx.evaluate.check.check_fitted`). None where it
        cannot be judged: it failed, rows have weights or are too few, columns are too many.
        """
        name = self.best_name if name is None else name
        if name not in self._checks:
            self._checks[name] = self._checked(name)
        return self._checks[name]

    def _checked(self, name: str) -> Check | None:
        from .check import check_fitted

        entry, d = self[name], len(self.split.rows.columns)
        if not entry.able or entry.role == "truth" or d > MOST_JUDGED or self.split.weights is not None:
            return None
        try:
            return check_fitted(self.fitted(name), entry.held_out.models, self.split, name=name)
        except (PofxError, NotImplementedError):
            return None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the best model: "good", "usable" or "fails"; None where it cannot be judged."""
        found = self.check()
        return None if found is None else found.verdict

    @property
    def adequate(self) -> bool | None:
        """Whether any model that could have been chosen does not fail its check; None where none was judged.

        The best is judged first, the others only while none is found.
        """
        names = [self.best_name] + [e.name for e in self.table if e.able and e.name != self.best_name]
        found = False
        for name in names:
            check = self.check(name)
            if check is not None and check.verdict.word != "fails":
                return True
            found = found or check is not None
        return False if found else None

    @property
    def best_entry(self) -> Entry:
        """The best model's row of the table."""
        return self[self.best_name]

    @property
    def truth(self) -> Entry | None:
        """The row of the truth, where it is known and could be asked."""
        return next((e for e in self.table if e.role == "truth" and not e.held_out.failure), None)

    @property
    def baseline(self) -> str | None:
        """The name of the one Gaussian in the table; None where there is none that worked."""
        plain = [
            entry
            for entry in self.table
            if type(self.models[entry.name]).__name__ == "Gaussian"
            and not (entry.held_out.failure or entry.role == "truth")
        ]
        return min(plain, key=_plainness(self.models)).name if plain else None

    @property
    def gain(self) -> Gain | None:
        """What the best model gains on one Gaussian per unseen row; None where that has no meaning."""
        if self.baseline is None or self.baseline == self.best_name:
            return None
        found = paired(self[self.best_name].held_out, self[self.baseline].held_out)
        if not math.isfinite(found.value):
            return None
        return Gain(found.value, found.error, *found.interval(), found.doubt)

    @property
    def headline(self) -> str:
        """Which model, and what it is worth beside one Gaussian."""
        text, gain = f"Use {self.best_name}.", self.gain
        if gain is not None and gain.nats > 0:
            return (
                f"{text} A row that it has not seen is {gain.words} under it as under one Gaussian: "
                f"{gain.nats:+.3f} ± {gain.standard_error:.3f} nats per row."
            )
        added = self.baseline is not None and self[self.baseline].role == "baseline"
        if added and not self[self.best_name].held_out.mean > self[self.baseline or ""].held_out.mean:
            more = "infinitely many" if gain is None else f"{-gain.nats:.3f} ± {gain.standard_error:.3f}"
            return f"{text} But one Gaussian, which was not among them, gives unseen rows {more} nats more."
        mean = _nats(self[self.best_name].held_out)
        alone = self.best_name == self.baseline and len(self.table) > 1
        more = ", and no other model is better by more than chance" if alone else ""
        return f"{text} It gives rows that it has not seen {mean} nats each{more}."

    @property
    def reason(self) -> str:
        """Why this one and not the next: the paired difference."""
        best = self[self.best_name]
        if self.best_name != self.leader_name:
            return (
                f"{self.leader_name} gives {-best.difference:.3f} more per row, which is within one standard "
                f"error ({best.difference_error:.3f}), and is less simple."
            )
        able = [e for e in self.table if e.name != self.best_name and e.able]
        if not able:
            return ""
        second = able[0]
        if math.isinf(second.difference):
            return f"It gives infinitely many nats more than {second.name}, the next best."
        if abs(second.difference) < 5e-4 and not second.difference_error >= 5e-4:
            return f"{second.name}, the next best, gives the same to 0.001 nats per row."
        gap = f"{-second.difference:.3f} ± {second.difference_error:.3f}"
        text = f"It gives {gap} more per row than {second.name}, the next best"
        return text + (", though that is within one standard error." if second.close else ".")

    @property
    def sentence(self) -> str:
        """The verdict in one paragraph: headline, reason, the truth, what BIC says, and who was barred."""
        nothing = ["No model here is adequate."] if self.adequate is False else []
        barred = [f"{e.name} was barred: {e.barred}." for e in self.table if e.barred]
        family = [] if self.family is None else [self.family.sentence]
        said = [*nothing, self.headline, self.reason, self._beside_truth(), *family, *barred]
        return " ".join(filter(None, said))

    def _beside_truth(self) -> str:
        best = self.best_entry
        if self.truth is None or best.kl is None:
            return ""
        if best.kl == 0.0 and best.kl_error == 0.0:
            return "It is the truth."
        if math.isinf(best.kl):
            return "The truth gives infinitely many nats more."
        error = "" if best.kl_error is None else f" ± {best.kl_error:.3f}"
        return f"The truth itself gives {best.kl:.3f}{error} nats per row more, its divergence (KL) from it."

    # ---------------------------------------------------------------- other forms

    def __str__(self) -> str:
        """Return the table as text: nats per row, higher is better."""
        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data (schema pofx.compare/1): numbers, or None where there is no finite one.

        It holds no clock reading: the same for the same rows and seed.
        """
        return as_dict(self)

    def to_frame(self, kind: str | None = None) -> Any:
        """Return the table as a DataFrame, one row per model, numbers or missing values.

        Parameters
        ----------
        kind : "pandas", "polars" or "pyarrow"; by default the kind that the rows came from, else pandas

        Raises
        ------
        MissingExtraError
            if that library is not installed.
        """
        records = frame_records(self)
        columns = {key: [record[key] for record in records] for key in records[0]}
        origin = getattr(self.data, "origin", None) or self.split.rows.columns.container
        usual = origin if origin in ("pandas", "polars", "pyarrow") else "pandas"
        return framed(columns, kind or usual)


def times(nats: float, digits: int = 2) -> str:
    """Return exp(nats) as a number that a sentence can hold."""
    if nats > 13.8:
        return f"10^{nats / math.log(10.0):.0f}"
    value = float(f"{math.exp(nats):.{digits}g}")
    places = max(0, digits - 1 - math.floor(math.log10(value))) if value > 1e-6 else 9
    return f"{value:,.{places}f}"


def _nats(record: HeldOut) -> str:
    return f"{number(record.mean)} ± {number(record.standard_error)}".removesuffix(" ± ")


def _plainness(models: Mapping[str, Density]) -> Any:
    """Sort key: a full covariance first, then the shortest name."""

    def key(entry: Entry) -> tuple[bool, int]:
        return getattr(models[entry.name], "covariance_type", "full") != "full", len(entry.name)

    return key
