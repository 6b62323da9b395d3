"""``pofx sample``: rows drawn from a model."""

from __future__ import annotations

import click

from pofx.cli.models import load_model
from pofx.cli.options import force_option, json_option, model_argument, strict_option, verb
from pofx.cli.output import emit, json_text, may_write, say
from pofx.cli.strictness import judged

__all__ = ["command"]


@verb(
    "rows drawn from a model",
    "pofx sample faithful.pofx -n 100 -o new.csv",
    "pofx sample world:pinwheel -n 5 --seed 7",
)
@model_argument
@click.option(
    "-n", "--rows", type=click.IntRange(min=0), default=10, show_default=True, help="How many rows."
)
@click.option("-o", "--output", metavar="FILE", help="The file to write; by default standard output.")
@click.option(
    "--seed", type=click.IntRange(min=0), help="Repeat a draw; by default a new one, its seed printed."
)
@click.option("--exact", is_flag=True, help="The continuous draw, not rounded to the recorded precision.")
@click.option(
    "--verbatim", is_flag=True, help="Write names that a spreadsheet takes for formulas as they are."
)
@json_option
@strict_option
@force_option
def sample(
    model: str,
    rows: int,
    output: str | None,
    seed: int | None,
    exact: bool,
    verbatim: bool,
    as_json: bool,
    strict: bool,
    force: bool,
) -> int:
    """Draw rows from a saved model, as CSV with the columns and the precision of its data.

    MODEL may be a known world: world:moons.
    """
    may_write(output, [model], force=force)
    fitted = load_model(model)
    if seed is None:
        import secrets

        seed = secrets.randbelow(2**32)
        say(f"--seed {seed} repeats this draw")
    from pofx.show.rows import drawn, listed_rows, to_csv

    if as_json:
        table = drawn(fitted, rows, seed=seed, exact=exact)
        record = {
            "schema": "pofx.sample/1",
            "model": type(fitted).__name__,
            "seed": seed,
            "columns": [table.columns.label(j) for j in range(table.shape[1])],
            "rows": listed_rows(table),
        }
        emit(json_text(record), output, force=force)
    else:
        emit(to_csv(fitted, rows, seed=seed, exact=exact, guard=not verbatim), output, force=force)
    return judged(strict)


command = sample
