"""The result of a comparison: the table, the choice, the sentences that argue it, and its other forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from ..core.density import Density
from ..optional import need
from ..validation import one_of
from .family import Family
from .heldout import HeldOut, Split, paired_difference, t_quantile

__all__ = ["SCHEMA", "Comparison", "Entry", "Gain"]

SCHEMA = "pofx.compare/1"


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the table: a model's held-out record beside the leader's.

    ``difference`` is this model's mean minus the leader's, nats per row (0 for the leader), and
    ``difference_error`` its paired standard error. ``close`` says that it is within one such standard
    error of the leader or above. ``barred`` says why it can be neither leader nor best.
    """

    held_out: HeldOut
    rank: int
    difference: float
    difference_error: float
    close: bool
    barred: str | None = None

    @property
    def name(self) -> str:
        """The model's name in the comparison."""
        return self.held_out.name

    @property
    def empty(self) -> str:
        """How many rows have density zero, in words; "" for none."""
        record = self.held_out
        if not record.outside:
            return ""
        where = "in empty cells" if record.name.startswith("Histogram") else "where its density is zero"
        return f"{record.outside:,} of {len(record.log_density):,} rows {where}"


@dataclass(frozen=True)
class Gain:
    """What one model gains on another: nats per unseen row, with the 95 % interval of Student's t."""

    nats: float
    standard_error: float
    low: float
    high: float

    @property
    def words(self) -> str:
        """The gain as a factor: "1.8 times as likely (95 % interval 1.6 to 2.0)"."""
        if not math.isfinite(self.standard_error):
            return f"{times(self.nats)} times as likely"
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
        Every model, best mean first; then those that cannot win, and those that failed, with the reason.
    models : dict
        The models as given, by name, unfitted.
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
        if name not in self._fits:
            self._fits[name] = self.split.fit(self.models[name])
        return self._fits[name]

    @property
    def baseline(self) -> str | None:
        """The name of the one Gaussian in the table; None where there is none that worked."""
        plain = [
            entry.name
            for entry in self.table
            if type(self.models[entry.name]).__name__ == "Gaussian" and not entry.held_out.failure
        ]
        return min(plain, key=len) if plain else None

    @property
    def gain(self) -> Gain | None:
        """What the best model gains on one Gaussian per unseen row; None where that has no meaning."""
        if self.baseline is None or self.baseline == self.best_name:
            return None
        one, other = self[self.best_name].held_out, self[self.baseline].held_out
        nats, error = paired_difference(one, other)
        if not math.isfinite(nats):
            return None
        n = len(self.split.part) if self.split.weights is None else float(self.split.weights.sum())
        reach = t_quantile(0.95, n) * error
        return Gain(nats, error, nats - reach, nats + reach)

    @property
    def headline(self) -> str:
        """Which model, and what it is worth beside one Gaussian."""
        text, gain = f"Use {self.best_name}.", self.gain
        if gain is not None and gain.nats > 0:
            return (
                f"{text} A row that it has not seen is {gain.words} under it as under one Gaussian: "
                f"{gain.nats:+.3f} ± {gain.standard_error:.3f} nats per row."
            )
        mean = _nats(self[self.best_name].held_out)
        alone = self.best_name == self.baseline and len(self.table) > 1
        more = ", and no other model is better by more than chance" if alone else ""
        return f"{text} It gives rows that it has not seen {mean} nats each{more}."

    @property
    def reason(self) -> str:
        """Why this one and not the next: the paired difference."""
        best = self[self.best_name]
        numbers = [e for e in self.table if e.name != self.best_name and not e.held_out.failure]
        if self.best_name != self.leader_name:
            return (
                f"{self.leader_name} gives {-best.difference:.3f} more per row, which is within one standard "
                f"error ({best.difference_error:.3f}), and is less simple."
            )
        able = [e for e in numbers if not e.barred]
        if not able:
            return ""
        second = able[0]
        if math.isinf(second.difference):
            return f"It gives infinitely many nats more than {second.name}, the next best."
        gap = f"{-second.difference:.3f} ± {second.difference_error:.3f}"
        text = f"It gives {gap} more per row than {second.name}, the next best"
        return text + (", though that is within one standard error." if second.close else ".")

    @property
    def sentence(self) -> str:
        """The verdict in one paragraph: headline, reason, what BIC says, and who was barred."""
        barred = [f"{e.name} was barred: {e.barred}." for e in self.table if e.barred]
        family = [] if self.family is None else [self.family.sentence]
        return " ".join(filter(None, [self.headline, self.reason, *family, *barred]))

    # ---------------------------------------------------------------- other forms

    def _lines(self) -> list[tuple[str, ...]]:
        lines: list[tuple[str, ...]] = [("model", "held-out nats/row", "s.e.", "to leader", "s.e.", "")]
        for entry in self.table:
            record = entry.held_out
            if record.failure:
                lines.append((entry.name, "failed", "", "", "", record.failure))
                continue
            leads = entry.name == self.leader_name
            mark = "best" if entry.name == self.best_name else "leader" if leads else ""
            mark = "barred" if entry.barred else mark
            score = number(record.mean) + (f" ({entry.empty})" if entry.empty else "")
            note = ", ".join(filter(None, [mark, f"median {number(record.median)}" * bool(entry.empty)]))
            gap, doubt = ("", "") if leads else (number(entry.difference), number(entry.difference_error))
            lines.append((entry.name, score, number(record.standard_error), gap, doubt, note))
        return lines

    def _title(self) -> str:
        rows = f"{len(self.split.part):,} rows, each held out once in {self.split.folds} folds"
        if self.split.weights is not None:
            rows += f" (weights of sum {self.split.weights.sum():,.6g})"
        return f"{rows}; higher is better."

    def _doubts(self) -> list[str]:
        return [f"{entry.name}: {doubt}" for entry in self.table for doubt in entry.held_out.doubts]

    def __str__(self) -> str:
        """Return the table as text: nats per row, higher is better."""
        lines = self._lines()
        widths = [max(len(line[i]) for line in lines) for i in range(5)]
        text = [
            "  ".join(
                [line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, 5)), line[5]]
            ).rstrip()
            for line in lines
        ]
        return "\n".join([self._title(), *text, *self._doubts(), self.sentence])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        names, *lines = self._lines()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in names)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in lines
        )
        said = "".join(f"<p><small>{escape(text)}</small></p>" for text in self._doubts())
        return (
            f'<div class="pofx-compare"><p>{escape(self._title())}</p><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table><p>{escape(self.sentence)}</p>{said}</div>"
        )

    def _records(self) -> list[dict[str, Any]]:
        records = []
        for entry in self.table:
            record = entry.held_out
            low, high = record.interval()
            records.append(
                {
                    "name": entry.name,
                    "mean": _finite(record.mean),
                    "standard_error": _finite(record.standard_error),
                    "low": _finite(low),
                    "high": _finite(high),
                    "median": _finite(record.median),
                    "impossible_rows": record.outside,
                    "taken_off_for_ties": _finite(record.taken_off),
                    "difference": _finite(entry.difference),
                    "difference_standard_error": _finite(entry.difference_error),
                    "within_one_standard_error": entry.close,
                    "n_parameters": _finite(record.n_parameters),
                    "barred": entry.barred,
                    "failure": record.failure,
                    "doubts": list(record.doubts),
                }
            )
        return records

    def to_dict(self) -> dict[str, Any]:
        """Return plain data (schema pofx.compare/1): numbers, or None where there is no finite one."""
        gain = self.gain
        return {
            "schema": SCHEMA,
            "best": self.best_name,
            "leader": self.leader_name,
            "sentence": self.sentence,
            "gain_over_gaussian": None
            if gain is None
            else {
                "nats": gain.nats,
                "standard_error": _finite(gain.standard_error),
                "low": _finite(gain.low),
                "high": _finite(gain.high),
            },
            "rows": len(self.split.part),
            "rows_dropped": self.split.rows.dropped,
            "sum_of_weights": None if self.split.weights is None else float(self.split.weights.sum()),
            "columns": [self.split.rows.columns.label(j) for j in range(len(self.split.rows.columns))],
            "folds": self.split.folds,
            "random_state": self.random_state if isinstance(self.random_state, int) else None,
            "unit": "nats per row",
            "models": self._records(),
            "family": None if self.family is None else self.family.to_dict(),
        }

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
        records = self._records()
        columns = {
            key: ["; ".join(r[key]) if isinstance(r[key], list) else r[key] for r in records]
            for key in records[0]
        }
        origin = getattr(self.data, "origin", None) or self.split.rows.columns.container
        usual = origin if origin in ("pandas", "polars", "pyarrow") else "pandas"
        kind = one_of(kind or usual, "kind", ("pandas", "polars", "pyarrow"))
        library = need(kind, why=f'to_frame("{kind}") makes one; "pyarrow" needs nothing more')
        return library.table(columns) if kind == "pyarrow" else library.DataFrame(columns)


def times(nats: float, digits: int = 2) -> str:
    """Return exp(nats) as a number that a sentence can hold."""
    if nats > 13.8:
        return f"10^{nats / math.log(10.0):.0f}"
    value = float(f"{math.exp(nats):.{digits}g}")
    places = max(0, digits - 1 - math.floor(math.log10(value))) if value > 1e-6 else 9
    return f"{value:,.{places}f}"


def number(value: float) -> str:
    """Return three decimals, "−inf", or nothing."""
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if math.isfinite(value) else ("−inf" if value < 0 else "inf")


def _nats(record: HeldOut) -> str:
    return f"{number(record.mean)} ± {number(record.standard_error)}".removesuffix(" ± ")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
