"""What concerns rows rather than one column: missing values, copies, how many rows for how many columns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pofx.data.diagnose.column import ColumnSummary
from pofx.data.diagnose.copies import Copies
from pofx.data.diagnose.finding import (
    ALL,
    HISTOGRAM,
    KDE,
    MIXTURE,
    Finding,
    Quantity,
    counted,
    listed,
    percent,
    short,
)
from pofx.data.diagnose.needs import THIRD, log10_kernel_rows, rows_text
from pofx.data.table import Table
from pofx.validation.columns import printable

__all__ = ["Facts", "row_findings"]

MANY = 0.05  # of the rows; fewer that are missing, dropped or copies change a fit by less than its own error
FEW, VERY_FEW = 100, 30
PER_COLUMN = 10
TENTH = 0.1  # a relative error that one would like to have
AS_ASKED = ("dropped, as asked", "not among columns=")


@dataclass(frozen=True)
class Facts:
    """What the rules about rows look at: the table, which rows have no gap, how many columns vary, copies."""

    table: Table
    complete: np.ndarray
    varying: tuple[int, ...]
    copies: Copies

    @cached_property
    def n(self) -> int:
        """Rows without a missing value."""
        return int(self.complete.sum())

    @property
    def effective(self) -> int:
        """Rows without a missing value and without copies of others."""
        return self.n if self.copies.by_chance else self.n - self.copies.repeats


def row_findings(facts: Facts, columns: tuple[ColumnSummary, ...]) -> Iterator[Finding]:
    """Yield what there is to say about the rows as a whole."""
    yield from _missing(facts, columns)
    if facts.table.dropped:
        yield _dropped(facts.table)
    aside = {name: why for name, why in facts.table.set_aside.items() if why not in AS_ASKED}
    if aside:
        yield _set_aside(aside)
    if facts.n:
        if facts.copies.repeats and facts.varying:
            yield from _duplicates(facts)
        yield from _sizes(facts)


def _missing(facts: Facts, columns: tuple[ColumnSummary, ...]) -> Iterator[Finding]:
    n = len(facts.table)
    gaps = n - facts.n
    if not gaps:
        return
    order = sorted(range(len(columns)), key=lambda j: -columns[j].missing)
    with_gaps = [columns[j] for j in order if columns[j].missing]
    keys = [repr(short(columns[j].name)) if facts.table.names else str(j) for j in order]
    each = listed([f"{short(column.name)} {column.missing:,}" for column in with_gaps])
    severity = "blocks" if not facts.n else ("warning" if gaps >= MANY * n else "note")
    yield Finding(
        "missing",
        tuple(column.name for column in with_gaps),
        Quantity(gaps / n, "of the rows have a missing value"),
        f"{gaps:,} of {n:,} rows ({percent(gaps / n)}) have a missing value: {each}.",
        "No model takes such rows as they are. Leaving them out shifts every estimate if values are missing "
        "for a reason that has to do with them." + ("" if facts.n else " Here no row is left."),
        ALL,
        severity,
        'missing="drop" leaves these rows out and counts them; or leave out the column with the most: '
        f"drop=[{keys[0]}].",
    )


def _dropped(table: Table) -> Finding:
    share = table.dropped / (table.dropped + len(table))
    return Finding(
        "dropped",
        (),
        Quantity(share, "of the rows were left out"),
        f"{counted(table.dropped, 'row')} with missing values ({percent(share)}) "
        f"{'was' if table.dropped == 1 else 'were'} left out.",
        "Every estimate is shifted if values are missing for a reason that has to do with them.",
        ALL,
        "warning" if share >= MANY else "note",
        "See who they are: pofx.diagnose(source) without missing= keeps them.",
    )


def _set_aside(aside: Mapping[str, str]) -> Finding:
    said = [f"{short(printable(name))} ({printable(why)})" for name, why in [*aside.items()][:6]]
    if len(aside) > 6:
        said.append(f"and {len(aside) - 6} more")
    return Finding(
        "set_aside",
        tuple(printable(name) for name in aside),
        Quantity(len(aside), "columns"),
        f"Set aside, not modelled: {'; '.join(said)}.",
        "A column that counts or names rows has no distribution to learn; text is no number.",
        (),
        "note",
        "columns=[...] brings back a column of numbers.",
    )


def _duplicates(facts: Facts) -> Iterator[Finding]:
    repeats, share = facts.copies.repeats, facts.copies.repeats / facts.n
    what = f"{repeats:,} of {facts.n:,} rows ({percent(share)}) repeat another row in every column"
    if facts.copies.by_chance:
        if share >= MANY:
            yield Finding(
                "duplicates",
                (),
                Quantity(share, "of the rows repeat another"),
                f"{what}, as rows recorded to few values do by chance.",
                "A density has no equal rows: see what is said about rounding.",
                (MIXTURE, KDE),
                "note",
                "Trust no width finer than the recorded steps.",
            )
        return
    yield Finding(
        "duplicates",
        (),
        Quantity(share, "of the rows repeat another"),
        f"{what}: more than chance makes of the recorded steps, so they are copies.",
        "A held-out row whose copy is among the training rows flatters narrow models, and all errors are "
        f"those of {facts.effective:,} rows, not {facts.n:,}.",
        ALL,
        "warning" if share >= MANY else "note",
        "Keep one of each, unless a repeat is a measurement of its own: numpy.unique(rows, axis=0).",
    )


def _sizes(facts: Facts) -> Iterator[Finding]:
    n, d = facts.effective, len(facts.varying) if facts.n > 1 else facts.table.shape[1]
    if d == 0:
        return
    if n < PER_COLUMN * d:
        yield _against_columns(n, d)
        return
    if n < FEW:
        yield _few_rows(n, d)
    need = log10_kernel_rows(d, THIRD)
    if d > 1 and math.log10(n) < need:
        yield _dimension(n, d, need)


def _against_columns(n: int, d: int) -> Finding:
    return Finding(
        "rows_against_columns",
        (),
        Quantity(n / d, "rows per column"),
        f"{counted(n, 'row')} for {counted(d, 'column')}: {n / d:.2g} per column.",
        f"A covariance of {d} columns has {d * (d + 1) // 2:,} numbers to estimate"
        + (
            f"; with no more than {d} rows it is singular."
            if n <= d
            else "; its narrow directions are noise."
        ),
        ALL,
        "blocks" if n <= d else "warning",
        "Fewer columns (columns=), pofx.Gaussian(shrinkage='ledoit_wolf') or covariance_type='diag'.",
    )


def _few_rows(n: int, d: int) -> Finding:
    doubt = (d / (2.0 * n)) ** 0.5  # log density of a normal row has the variance d / 2
    return Finding(
        "few_rows",
        (),
        Quantity(n, "rows"),
        f"There are only {n} rows.",
        f"The mean log density of {n} rows has a standard error of about {doubt:.2f} nats: smaller "
        "differences between models cannot be seen, and fine structure cannot be told from chance.",
        ALL,
        "warning" if n < VERY_FEW else "note",
        "Prefer the simplest model that is not clearly worse, or collect more rows.",
    )


def _dimension(n: int, d: int, need: float) -> Finding:
    return Finding(
        "dimension",
        (),
        Quantity(10.0 ** max(math.log10(n) - need, -300.0), "of the rows that a kernel estimate needs"),
        f"{n:,} rows in {d} columns: to have the height of a normal density right to a third at its centre, "
        f"a kernel estimate needs about {rows_text(need)} rows (Silverman 1986); to a tenth, "
        f"{rows_text(log10_kernel_rows(d, TENTH))}.",
        f"In {d} columns rows are far apart: a kernel estimate is over-smoothed or full of holes, and "
        f"{n ** (1 / d):.1f} bins per column already make as many cells as there are rows.",
        (KDE, HISTOGRAM),
        "warning" if math.log10(n) < need - 1.0 else "note",
        "Believe a Gaussian or a mixture first, or look at fewer columns at a time.",
    )
