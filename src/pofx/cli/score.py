"""``pofx score``: the log density of every row."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from pofx.cli.alarms import How, with_alarms
from pofx.cli.models import load_model, set_marginal
from pofx.cli.options import (
    force_option,
    json_option,
    model_argument,
    plan_option,
    reads,
    seed_option,
    strict_option,
    verb,
)
from pofx.cli.output import emit, json_text, may_write, progress, say
from pofx.cli.plan import print_plan
from pofx.cli.rows import Asked
from pofx.cli.strictness import judged

if TYPE_CHECKING:
    import numpy as np

    from pofx.core.density import Density
    from pofx.data.candidates import Source
    from pofx.data.cells import Cells
    from pofx.data.table import Table

__all__ = ["command"]


@verb(
    "the log density of every row, and alarms",
    "pofx score faithful.pofx faithful.csv -o scored.csv",
    "pofx score faithful.pofx faithful.csv --alarm 0.05 --why -o alarms.csv",
    "pofx score world:moons world:moons,n=20,seed=1",
)
@model_argument
@reads(missing="error", choices=("drop", "error", "marginal"))
@click.option("-o", "--output", metavar="FILE", help="The file to write; by default standard output.")
@click.option(
    "--as", "name", metavar="NAME", default="log_density", show_default=True, help="The new column's name."
)
@click.option(
    "--alarm",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    metavar="α",
    help="Raise an alarm at rows rarer than α; of rows like those of the fit, a share of α at most.",
)
@click.option("--why", is_flag=True, help="With --alarm: the columns of a row that are least likely.")
@click.option(
    "--own", is_flag=True, help="With --alarm: the model's own rarity, although it carries a calibration."
)
@click.option("--verbatim", is_flag=True, help="Write text that a spreadsheet takes for a formula as it is.")
@seed_option
@json_option
@plan_option
@strict_option
@force_option
@click.pass_context
def score(
    context: click.Context,
    model: str,
    asked: Asked,
    output: str | None,
    name: str,
    alarm: float | None,
    why: bool,
    own: bool,
    verbatim: bool,
    seed: int,
    as_json: bool,
    plan: bool,
    strict: bool,
    force: bool,
) -> int:
    """Write the rows of DATA with the log density that a saved model gives to each, in nats.

    One row for each row of DATA, in its order, all its columns kept. Columns are matched by name. A row with
    a missing value is an error; with --missing drop its log density is left empty, with --missing marginal it
    is that of what the row has (mixtures only).

    With --alarm there are also its rarity, whether it raises an alarm, its component where the model has
    components, and why it could not be scored, if so: a cell that is missing or no number then concerns its
    own row alone. How many alarms are expected and found is printed.
    """
    if alarm is None and (why or own):
        raise click.UsageError(f"--{'why' if why else 'own'} goes with --alarm.")
    may_write(output, [model, *asked.files()], force=force)
    fitted = load_model(model)
    if asked.missing == "marginal":
        set_marginal([fitted])
    if plan:
        return print_plan("score", asked, [fitted], as_json=as_json)
    if alarm is not None:
        told = context.get_parameter_source("missing") is not ParameterSource.DEFAULT
        asked = asked if told else replace(asked, missing="drop")
    from pofx.data.cells import opened
    from pofx.data.read import marks_of_missing
    from pofx.errors import DataError
    from pofx.show.rows import scored_csv

    with opened(asked.source, na=marks_of_missing(asked.na)[0], header=asked.header) as (found, cells):
        if alarm is None:
            record, columns = _densities(fitted, asked, found, cells, name)
        else:
            how = How(alarm, why, own, seed)
            record, columns = with_alarms(fitted, _keeping(asked), found, cells, how, name)
        if clash := [word for word in columns if word in (cells.names or ())]:
            raise DataError(f"DATA has a column {clash[0]!r} already; {_remedy(clash[0], name)}")
        if as_json:
            text = json_text(record)
        else:
            if verbatim:
                say("note: text that begins with = + - @ is written as it is; a spreadsheet may run it.")
            text = scored_csv(cells.names, cells, columns, guard=not verbatim)
    emit(text, output, force=force)
    if alarm is None:
        say(_summary(record))
    return judged(strict, doubtful=bool(record.get("beyond_chance")))


def _remedy(clash: str, name: str) -> str:
    return "--as NAME calls the new one otherwise." if clash == name else "rename it, and score again."


def _densities(
    model: Density, asked: Asked, found: Source, cells: Cells, name: str
) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the record and the new column where no alarm is asked for."""
    table = _keeping(asked).read_for(model, found, cells)
    with progress() as step:
        step(f"{type(model).__name__}: {len(table):,} rows")
        log_p = model.log_density(table) if asked.missing == "marginal" else _log_density(model, table)
    return _record(model, log_p, table), {name: log_p.tolist()}


def _keeping(asked: Asked) -> Asked:
    """Ask for all rows: those with gaps are scored as nothing, not left out."""
    return replace(asked, missing="keep") if asked.missing == "drop" else asked


def _log_density(model: Density, table: Table) -> np.ndarray:
    """Return (n,) log densities, NaN for rows with gaps."""
    import numpy as np

    complete = np.logical_not(np.isnan(table.values).any(axis=1))
    if complete.all():
        return model.log_density(table)
    out = np.full(len(table), np.nan)
    out[complete] = model.log_density(table[complete])
    return out


def _record(model: Density, log_p: np.ndarray, table: Table) -> dict[str, Any]:
    import numpy as np

    known = ~np.isnan(log_p)
    weights = np.ones(len(log_p)) if table.weights is None else table.weights
    counted = known & (weights > 0)
    mean = float(np.average(log_p[counted], weights=weights[counted])) if counted.any() else math.nan
    return {
        "schema": "pofx.score/1",
        "model": type(model).__name__,
        "unit": "nats, data units",
        "rows": len(log_p),
        "missing_rows": int((~known).sum()),
        "impossible_rows": int(np.isneginf(log_p).sum()),
        "mean": mean,
        "median": float(np.median(log_p[known])) if known.any() else math.nan,
        "log_density": log_p,
    }


def _summary(record: dict[str, Any]) -> str:
    def shown(value: float) -> str:
        return f"{value:.4f}" if math.isfinite(value) else "−inf" if value < 0 else "none"

    text = f"{record['rows']:,} rows: mean {shown(record['mean'])}, median {shown(record['median'])} nats"
    for key, word in (
        ("impossible_rows", "called impossible (−inf)"),
        ("missing_rows", "with missing values, not scored"),
    ):
        if record[key]:
            text += f"; {record[key]:,} {word}"
    return text


command = score
