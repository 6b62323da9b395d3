"""Which model to use: held-out log density with its doubts, and the simplest model that is good enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError
from .heldout import HeldOut, Split, held_out, named, paired_difference, split

__all__ = ["Comparison", "Entry", "compare"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the table: a model's held-out record beside the leader's.

    ``difference`` is this model's mean minus the leader's, nats per row (0 for the leader, negative
    otherwise), and ``difference_error`` its paired standard error. ``close`` says that the difference is
    within one such standard error.
    """

    held_out: HeldOut
    rank: int
    difference: float
    difference_error: float
    close: bool

    @property
    def name(self) -> str:
        """The model's name in the comparison."""
        return self.held_out.name


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The result of :func:`compare`.

    Attributes
    ----------
    best : Density
        The simplest model within one paired standard error of the leader, fitted to all rows.
    best_name, leader_name : str
        Names of that model and of the one with the highest mean held-out log density.
    table : tuple of Entry
        Every model, best mean first; those that failed come last, with the reason.
    models : dict
        The models as given, by name, unfitted.
    split : Split
        The rows and how they were held out.
    data : the rows as the caller gave them
    """

    best: Density
    best_name: str
    leader_name: str
    table: tuple[Entry, ...]
    models: Mapping[str, Density]
    split: Split
    data: Any
    random_state: Any

    def __getitem__(self, name: str) -> Entry:
        for entry in self.table:
            if entry.name == name:
                return entry
        raise KeyError(name)

    @property
    def sentence(self) -> str:
        """The verdict: which model, by how much, and whether another could as well have been it."""
        best, others = self[self.best_name], [e for e in self.table if e.name != self.best_name]
        numbers = [e for e in others if not e.held_out.failure]
        text = f"Use {self.best_name}. It gives rows that it has not seen {_nats(best.held_out)} nats each"
        if self.best_name != self.leader_name:
            leader = self[self.leader_name]
            text += (
                f"; {leader.name} gives {-best.difference:.3f} more, which is within one standard error "
                f"({best.difference_error:.3f}), and is less simple."
            )
        elif numbers:
            second = numbers[0]
            gap = f"{-second.difference:.3f} ± {second.difference_error:.3f}"
            if math.isinf(second.difference):
                gap = "infinitely many"
            text += f", {gap} more than {second.name}, the next best"
            text += ", though that is within one standard error." if second.close else "."
        else:
            text += "."
        return text

    def __str__(self) -> str:
        """Return the table as text: nats per row, higher is better."""
        head = ("model", "held-out nats/row", "s.e.", "to leader", "s.e.", "")
        lines = [head]
        for entry in self.table:
            record = entry.held_out
            mark = (
                "best" if entry.name == self.best_name else "leader" if entry.name == self.leader_name else ""
            )
            if record.failure:
                lines.append((entry.name, "failed", "", "", "", record.failure))
                continue
            note = ", ".join(filter(None, [mark, _outside(record)]))
            gap = "" if entry.name == self.leader_name else _number(entry.difference)
            doubt = "" if entry.name == self.leader_name else _number(entry.difference_error)
            lines.append((entry.name, _number(record.mean), _number(record.standard_error), gap, doubt, note))
        widths = [max(len(line[i]) for line in lines) for i in range(5)]
        text = [
            "  ".join(
                [line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, 5)), line[5]]
            ).rstrip()
            for line in lines
        ]
        rows = f"{len(self.split.part):,} rows, each held out once in {self.split.folds} folds"
        doubts = [f"{entry.name}: {doubt}" for entry in self.table for doubt in entry.held_out.doubts]
        return "\n".join([f"{rows}; higher is better.", *text, *doubts, self.sentence])

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """Return plain data (schema pofx.compare/1): numbers, or None where there is no finite one."""
        return {
            "schema": "pofx.compare/1",
            "rows": len(self.split.part),
            "folds": self.split.folds,
            "random_state": self.random_state if isinstance(self.random_state, int) else None,
            "unit": "nats per row, data units",
            "best": self.best_name,
            "leader": self.leader_name,
            "sentence": self.sentence,
            "models": [
                {
                    "name": entry.name,
                    "mean": _finite(entry.held_out.mean),
                    "standard_error": _finite(entry.held_out.standard_error),
                    "median": _finite(entry.held_out.median),
                    "impossible_rows": entry.held_out.outside,
                    "difference": _finite(entry.difference),
                    "difference_standard_error": _finite(entry.difference_error),
                    "within_one_standard_error": entry.close,
                    "n_parameters": _finite(entry.held_out.n_parameters),
                    "failure": entry.held_out.failure,
                    "doubts": list(entry.held_out.doubts),
                }
                for entry in self.table
            ],
        }


def compare(
    models: Sequence[Density] | Mapping[str, Density],
    X: Any,
    *,
    folds: int = 5,
    random_state: Any = 0,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare models by the log density they give to rows they were not fitted to.

    Parameters
    ----------
    models : list of models, or dict of them by name
        Unfitted or fitted; clones are fitted, these stay as they are.
    X : rows, as for ``fit``
        Rows with missing values are left out where every model has ``missing="drop"``.
    folds : int
        How many parts the rows are held out in.
    random_state : None, int or Generator
        Decides which rows are held out together.
    progress : function of a text, optional
        Called with a few words before each fit.

    Returns
    -------
    Comparison
        ``best`` is the simplest model (class attribute ``rank``, then the number of parameters) whose mean
        lies within one paired standard error of the leader's (the rule of Breiman et al. 1984), fitted
        to all rows.

    Raises
    ------
    ParameterError, DataError
        Where nothing can be compared; where every model failed, with the first reason.
    """
    by_name = named(models)
    missing = "drop" if all(model.missing == "drop" for model in by_name.values()) else "error"
    cut = split(X, folds=folds, random_state=random_state, missing=missing)
    say = progress or (lambda text: None)
    records = []
    for name, k, record in held_out(by_name, cut):
        if record is None:
            say(f"{name}: fold {k + 1} of {cut.folds}")
        else:
            records.append(record)
    table = _ranked(records, by_name)
    leader = table[0]
    if leader.held_out.failure:
        raise DataError(f"No model could be fitted. {leader.name}, {leader.held_out.failure}")
    chosen = min((entry for entry in table if entry.close), key=_simplicity)
    say(f"{chosen.name}: all rows")
    best = unfitted(by_name[chosen.name]).fit(X)
    prototypes = {name: unfitted(model) for name, model in by_name.items()}
    return Comparison(best, chosen.name, leader.name, table, prototypes, cut, X, random_state)


def _ranked(records: Sequence[HeldOut], models: Mapping[str, Density]) -> tuple[Entry, ...]:
    """Return the table: best mean first; among means of -inf, fewest impossible rows first; failures last."""
    order = sorted(records, key=lambda r: (r.failure is not None, r.outside, -_finite_mean(r)))
    leader = order[0]
    entries = []
    for record in order:
        gap, doubt = (0.0, 0.0) if record is leader else paired_difference(record, leader)
        close = record is leader or gap >= -doubt  # False where either is NaN
        entries.append(Entry(record, models[record.name].rank, gap, doubt, bool(close)))
    return tuple(entries)


def _simplicity(entry: Entry) -> tuple[float, float, float]:
    return entry.rank, entry.held_out.n_parameters, -entry.difference


def _finite_mean(record: HeldOut) -> float:
    """The mean over the rows that the model calls possible."""
    if record.failure:
        return -math.inf
    possible = record.log_density[record.log_density > -math.inf]
    return float(possible.mean()) if len(possible) else -math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if math.isfinite(value) else ("−inf" if value < 0 else "inf")


def _nats(record: HeldOut) -> str:
    return f"{_number(record.mean)} ± {_number(record.standard_error)}".removesuffix(" ± ")


def _outside(record: HeldOut) -> str:
    if not record.outside:
        return ""
    rows = f"{record.outside:,} of {len(record.log_density):,} rows called impossible"
    return f"{rows}; median {_number(record.median)}"
