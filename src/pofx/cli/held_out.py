"""The comparison that ``compare``, ``report`` and ``fit --model auto`` rest on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pofx.cli.judging import IN_ORDER, How
from pofx.cli.output import progress
from pofx.cli.rows import Asked

if TYPE_CHECKING:
    from pofx.core.density import Density
    from pofx.data.table import Table
    from pofx.evaluate.comparison import Comparison

__all__ = ["judge", "verdict"]

WIDTH = 20  # characters of the bar


def judge(
    models: Mapping[str, Density], asked: Asked, *, seed: int, how: How | None = None
) -> tuple[Comparison, Table]:
    """Read the rows, compare the models on them, and return both.

    The rows of a known world are compared with it: the truth is a row of the table. Of many rows a sample is
    fitted and held out (:mod:`pofx.auto`).
    """
    from pofx.auto import MOST_ROWS
    from pofx.evaluate.compare import compare

    how = how or How()
    table, beside = asked.read_beside(how.beside)
    with progress() as step:
        result = compare(
            models,
            table,
            sample_weight=table.weights,
            folds=how.folds,
            groups=beside if how.groups is not None else None,
            time=True if how.time == IN_ORDER else beside if how.time is not None else None,
            truth=_truth(asked, table),
            random_state=seed,
            stack=True,
            budget=how.budget,
            most_rows=MOST_ROWS,
            progress=_as_bar(step),
        )
    return result, table


def _truth(asked: Asked, table: Table) -> Density | None:
    """Return the world that the rows were drawn from, where it is known and speaks of the same columns."""
    if len(asked.data) != 1 or not asked.data[0].startswith("world:"):
        return None
    from pofx.data.places import world_named

    world: Any = world_named(asked.data[0])[0]
    known = world.measure == "density" and world.n_features_in_ == table.shape[1]
    return world if known else None


def _as_bar(step: Callable[[str], None]) -> Callable[[str], None]:
    """Show "Gaussian: fold 2 of 5 (fit 3 of 24)" as a bar and the words before it."""

    def shown(text: str) -> None:
        found = re.search(r" \(fit (\d+) of (\d+)\)$", text)
        if found is None:
            step(text)
            return
        done, total = int(found[1]) - 1, int(found[2])
        filled = WIDTH * done // total
        step(f"{'━' * filled}{'╌' * (WIDTH - filled)} {done} of {total} fits, {text[: found.start()]}")

    return shown


def verdict(result: Comparison, table: Table) -> str:
    """Return the table and the verdict, with the rows that they do not rest on."""
    text = f"{result}\n"
    if table.dropped and "missing" not in text:
        n = table.dropped + len(table)
        text += f"{table.dropped:,} of {n:,} rows have missing values and were left out.\n"
    return text
