"""``pofx.diagnose``: what to know about rows before a model is fitted to them.

Each finding is a number, its consequence and the models that it troubles. Severities: "blocks" (a model
refuses these rows as they are), "warning" (an answer may be wrong), "note" (good to know). Every threshold
is relative to the column itself or to the number of rows, so units and the order of rows change nothing
(only a bound at zero knows where zero is). On normal data fewer than one table in a hundred gets a warning.

==================== =========== ===================================================================
finding              severity    when
==================== =========== ===================================================================
constant             blocks      one value in all rows
few_values           warning     at most 10 values, three rows or more each
spike                warning     a value of 2 % of the rows, 5 times as many as any of 10 neighbours
heaping              note, w.    one residue of 2, 4, 5, 10, … steps holds 1.5 times its share, 6 sigma
ties                 note        0.27 tied pairs per row, three times what the recorded step explains
rounding             note, w.    0.27 tied pairs per row, on a lattice
outliers             warning     a few rows beyond 3 interquartile ranges make the sd 1.5 times as large
heavy_tails          warning     0.2 % of the rows beyond 3 interquartile ranges, tail shape > 0 by 2 s.e.
far_group            note        more rows than outliers, behind a gap
bound                note, w.    none below zero where a normal column would have 10 rows (w.: 1 %); level
                                 density up to the end (w.), from 500 rows on
missing, dropped     note, w.    a warning from 5 % of the rows on; blocks where no row is complete
set_aside            note        a column that counts rows, text, ...
duplicates           note, w.    copies (told from chance by near misses), w. from 5 % on; chance, 5 %
collinear            note … bl.  1 % of a column's variance unexplained by others; w. 0.01 %; bl. rounding
rows_against_columns w., blocks  n < 10 d; n ≤ d
few_rows             note, w.    n < 100; n < 30
dimension            note, w.    fewer rows than Silverman's (1986) table 4.2; a tenth of them
intrinsic_dimension  note        TwoNN 2 s.e. below three quarters of what Gaussian rows would show
concentration        note        the farthest row less than twice as far as the nearest (median over rows)
empty_cells          note        a new row falls into an empty histogram cell with a chance of 5 %
drift                note        consecutive blocks of rows differ (Kruskal-Wallis, p < 1e-4 / columns, and
                                 1 % of the ranks' variance)
==================== =========== ===================================================================

The reason of each threshold stands beside it in the module that holds the rule. A heaping or rounding step
is a warning once it is coarser than the detail that so many rows could show (Silverman's bandwidth).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pofx.core.units import Units
from pofx.data.diagnose.bounds import bound_findings
from pofx.data.diagnose.column import Column, ColumnSummary, Lattice
from pofx.data.diagnose.copies import copies, row_keys
from pofx.data.diagnose.diagnosis import SCHEMA, Diagnosis
from pofx.data.diagnose.finding import SEVERITIES, Finding, Quantity, short
from pofx.data.diagnose.geometry import Geometry, geometry, geometry_findings
from pofx.data.diagnose.marks import Marks, mark_findings
from pofx.data.diagnose.order import drift
from pofx.data.diagnose.relations import MOST, correlation, relation_findings
from pofx.data.diagnose.repeats import repeat_findings
from pofx.data.diagnose.rows import Facts, row_findings
from pofx.data.diagnose.tails import dominating, far_out, tail_findings
from pofx.data.read import read
from pofx.data.table import Table
from pofx.errors import DataError, PofxWarning
from pofx.threads import map_ordered
from pofx.validation import check_memory

__all__ = ["SCHEMA", "ColumnSummary", "Diagnosis", "Finding", "Geometry", "Quantity", "diagnose"]

# What looks at one column; each sees the column and its spikes. To add a rule, write one more.
COLUMN_RULES: tuple[Callable[[Marks], Iterator[Finding]], ...] = (
    mark_findings,
    repeat_findings,
    tail_findings,
    bound_findings,
)


def diagnose(source: Any, **read_options: Any) -> Diagnosis:
    """Say what to know about rows before a model is fitted to them.

    Parameters
    ----------
    source : path, array, DataFrame or Table
        As for :func:`pofx.read`.
    **read_options
        Passed to :func:`pofx.read`; ``missing`` is "keep" here, so that gaps are seen and counted.

    Returns
    -------
    Diagnosis
        ``print`` it; ``.findings`` are for programs.

    Raises
    ------
    FileError, DataError, ParameterError
        As :func:`pofx.read` does.

    Examples
    --------
    >>> import numpy as np, pofx
    >>> minutes = np.rint(np.random.default_rng(0).normal(70.0, 14.0, size=300))
    >>> found = pofx.diagnose(minutes).findings
    >>> [finding.name for finding in found]
    ['rounding']
    >>> found[0].sentence
    'column 0 is recorded in whole numbers (step 1); 65 different values in 300 rows.'
    """
    table = _table(source, read_options)
    n, d = table.shape
    check_memory(200 * n, f"Diagnosing {n:,} rows")  # a few sorted columns at a time, and a key per row
    seen = list(map_ordered(lambda j: _examine(table, j), range(d)))
    complete = np.logical_not(np.isnan(table.values).any(axis=1))
    values = table.values if complete.all() else table.values[complete]
    varying = tuple(j for j in range(d) if seen[j].summary.distinct > 1)
    keys = row_keys(values)
    summaries = tuple(one.summary for one in seen)
    copied = copies(values, keys, [one.lattice for one in seen])
    facts = Facts(table, complete, varying, copied)
    shape = geometry(
        values if len(varying) == d else values[:, list(varying)],
        keys,
        [seen[j].units for j in varying],
        [seen[j].lattice for j in varying],
    )
    found = [finding for one in seen for finding in one.findings]
    found = [
        *row_findings(facts, summaries),
        *_unexplained(found, facts, summaries),
        *_related(values, keys, seen, varying),
    ]
    if shape is not None and all(finding.name != "rows_against_columns" for finding in found):
        found += geometry_findings(shape, facts.n)
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # stable: else in the order found
    notes = list(table.notes)
    if table.weights is not None:
        notes.append("every row was looked at once, whatever its weight")
    return Diagnosis(n, facts.n, facts.effective, summaries, tuple(found), tuple(notes), table.origin, shape)


def _table(source: Any, options: dict[str, Any]) -> Table:
    if isinstance(source, Table) and not options and not np.isinf(source.values).any():
        table = source
    else:
        with warnings.catch_warnings():  # what the reader has doubts about is among the notes
            warnings.simplefilter("ignore", PofxWarning)
            table = read(source, **{"missing": "keep"} | options)
        if isinstance(source, Table):
            table.set_aside = dict(source.set_aside) | table.set_aside
    if len(table) == 0:
        raise DataError("There are 0 rows to diagnose; at least 1 is needed.")
    return table


@dataclass(frozen=True)
class _Seen:
    """What remains of a column once it was looked at: its units, and the values that are no outliers."""

    summary: ColumnSummary
    findings: tuple[Finding, ...]
    key: str
    units: Units
    lattice: Lattice | None
    inside: tuple[float, float]


def _examine(table: Table, j: int) -> _Seen:
    columns = table.columns
    key = str(j) if columns.names is None else repr(short(columns.names[j]))
    column = Column(table.values[:, j], columns.label(j), key, columns.dtypes[j], columns.decimals[j])
    marked = Marks(column)
    findings = tuple(finding for rule in COLUMN_RULES for finding in rule(marked)) if column.n else ()
    present = table.values[:, j]
    present = present[np.logical_not(np.isnan(present))]
    drifting, effective = drift(present, column.label, table.shape[1])
    if drifting is not None:
        findings += (drifting,)
    far = far_out(column)
    inside = (far.low, far.high) if far is not None and dominating(column, far) else (-np.inf, np.inf)
    summary = replace(column.summary(), effective=effective)
    return _Seen(summary, findings, key, column.units, column.lattice(), inside)


def _unexplained(
    found: list[Finding], facts: Facts, summaries: tuple[ColumnSummary, ...]
) -> Iterator[Finding]:
    """Leave out the ties that are there because whole rows were copied."""
    most = {summary.name: summary.distinct for summary in summaries}
    for finding in found:
        tied = finding.name in ("ties", "rounding", "heaping") and not facts.copies.by_chance
        if not (tied and most[finding.columns[0]] >= 0.9 * facts.effective):
            yield finding


def _related(
    values: np.ndarray, keys: np.ndarray, seen: list[_Seen], varying: tuple[int, ...]
) -> Iterator[Finding]:
    """Find the columns that are nearly combinations of others."""
    if not 2 <= len(varying) <= MOST or len(values) < 2:
        return
    keep = list(varying)
    units = Units(
        np.concatenate([seen[j].units.shift for j in keep]),
        np.concatenate([seen[j].units.exponent for j in keep]),
    )
    inside = np.array([seen[j].inside for j in keep]).T
    if len(keep) < values.shape[1]:
        values = values[:, keep]
    matrix, n = correlation(values, np.argsort(keys, kind="stable"), units, inside)
    yield from relation_findings(matrix, n, [(seen[j].summary.name, seen[j].key) for j in keep])
