"""The comparison that ``compare``, ``report`` and ``fit --model auto`` rest on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pofx.cli.output import progress
from pofx.cli.rows import Asked

if TYPE_CHECKING:
    from pofx.core.density import Density
    from pofx.data.table import Table
    from pofx.evaluate.comparison import Comparison

__all__ = ["judge", "verdict"]


def judge(
    models: Mapping[str, Density], asked: Asked, *, seed: int, folds: int = 5
) -> tuple[Comparison, Table]:
    """Read the rows, compare the models on them, and return both."""
    from pofx.evaluate.compare import compare

    table = asked.read()
    with progress() as step:
        result = compare(
            models, table, sample_weight=table.weights, folds=folds, random_state=seed, progress=step
        )
    return result, table


def verdict(result: Comparison, table: Table) -> str:
    """Return the table and the verdict, with the rows that they do not rest on."""
    text = f"{result}\n"
    if table.dropped and "missing" not in text:
        n = table.dropped + len(table)
        text += f"{table.dropped:,} of {n:,} rows have missing values and were left out.\n"
    return text
