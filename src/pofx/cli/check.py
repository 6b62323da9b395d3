"""``pofx check``: do a model and rows agree?"""

from __future__ import annotations

from dataclasses import replace

import click

from pofx.cli.failures import ANSWER_IS_NO
from pofx.cli.models import load_model
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
from pofx.cli.output import clean, emit, json_text, may_write, progress, say
from pofx.cli.plan import print_plan
from pofx.cli.rows import Asked
from pofx.cli.strictness import judged

__all__ = ["command"]


@verb(
    "do a model and rows agree?",
    "pofx check faithful.pofx faithful.csv",
    "pofx check world:moons world:moons,n=500,seed=3 --json",
)
@model_argument
@reads(missing="drop")
@click.option(
    "--new/--seen",
    default=None,
    help="Whether the model has never seen these rows; by default that is found out.",
)
@click.option(
    "--train",
    metavar="FILE",
    help="The rows that the model was fitted to: are its draws copies of them?",
)
@click.option("--all", "everything", is_flag=True, help="Every comparison that there is; takes longer.")
@click.option("-o", "--output", metavar="FILE", help="Write it there; by default to standard output.")
@seed_option
@json_option
@plan_option
@strict_option
@force_option
def check(
    model: str,
    asked: Asked,
    new: bool | None,
    train: str | None,
    everything: bool,
    output: str | None,
    seed: int,
    as_json: bool,
    plan: bool,
    strict: bool,
    force: bool,
) -> int:
    """Judge a saved model by the rows of DATA: exit code 0 if they agree, 1 if not.

    Four families of tests at one level (columns, rank of the log density, energy distance, a classifier), and
    the verdict in a word: good, usable or fails. MODEL may be a known world.
    """
    may_write(output, [model, *asked.files(), *([train] if train else [])], force=force)
    if asked.weights is not None:
        say("note: check looks at every row once, whatever its weight.")
    fitted = load_model(model)
    if plan:
        return print_plan("check", asked, [fitted], folds=5, as_json=as_json)
    from pofx.evaluate.check import check as judge

    table = asked.read_for(fitted)
    seen = None if train is None else replace(asked, data=(train,)).read_for(fitted)
    with progress() as step:
        result = judge(
            fitted, table, new=new, train=seen, everything=everything, random_state=seed, progress=step
        )
    text = json_text({**result.to_dict(), "dropped": table.dropped}) if as_json else clean(f"{result}\n")
    emit(text, output, force=force)
    return judged(strict) if result.passed else ANSWER_IS_NO


command = check
