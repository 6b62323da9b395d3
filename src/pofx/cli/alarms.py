"""``pofx score --alarm``: which rows are rarer than a model expects, and what is printed of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pofx.cli.output import progress, say
from pofx.cli.rows import Asked
from pofx.cli.words import listed

if TYPE_CHECKING:
    from pofx.core.density import Density
    from pofx.data.candidates import Source
    from pofx.data.cells import Cells
    from pofx.data.table import Table

__all__ = ["How", "with_alarms"]


@dataclass(frozen=True)
class How:
    """What is asked of alarms: the rate, reasons by column, the model's own rarity, the seed of its draws."""

    alpha: float
    why: bool
    own: bool
    seed: int


def with_alarms(
    model: Density, asked: Asked, found: Source, cells: Cells, how: How, name: str
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the record and the new columns, the log density under ``name``; print expected and found alarms.

    Raises
    ------
    ParameterError
        Where alpha is smaller than what so few calibration rows can tell.
    """
    from pofx.data.unusable import forgive
    from pofx.evaluate.alarms import judge_rows

    lenient = asked.missing != "error"
    if lenient:
        forgive(found)
    table = asked.read_for(model, found, cells)
    reasons = _reasons(model, table, asked, found, cells) if lenient else None
    with progress() as step:
        step(f"{type(model).__name__}: {len(table):,} rows")
        result = judge_rows(
            model,
            table.values,
            table,
            how.alpha,
            reasons=reasons,
            why=how.why,
            own=how.own,
            random_state=how.seed,
        )
    for line in str(result).splitlines():
        say(line)
    columns = result.columns()
    return result.to_dict(), {name if key == "log_density" else key: v for key, v in columns.items()}


def _reasons(model: Density, table: Table, asked: Asked, found: Source, cells: Cells) -> list[str] | None:
    """Return why rows cannot be scored, by what stands in their cells; None where these cannot be placed."""
    from pofx.data.unusable import reasons
    from pofx.show.rows import guarded

    columns = model.params_.columns
    labels = [columns.label(j) for j in range(len(columns))]
    if found.names is not None and table.names is not None:
        at = [next((i for i, n in enumerate(found.names) if n in (w, guarded(w))), -1) for w in table.names]
    else:
        at = list(range(len(labels))) if len(found.columns) == len(labels) else [-1]
    if -1 in at:
        return None
    return reasons(table.values, at, labels, cells, listed(asked.na) or [])
