"""``pofx compare``: which model says most of rows that it has not seen?"""

from __future__ import annotations

import click

from pofx.cli.held_out import judge, verdict
from pofx.cli.judging import How, judging_options
from pofx.cli.models import make_models, set_weight_kind, transform_option, transformed
from pofx.cli.options import (
    force_option,
    json_option,
    plan_option,
    reads,
    seed_option,
    strict_option,
    verb,
    weight_kind_option,
)
from pofx.cli.output import clean, emit, json_text, may_write
from pofx.cli.plan import print_plan
from pofx.cli.rows import Asked
from pofx.cli.strictness import doubts, judged

__all__ = ["command"]


@verb(
    "which model says most of unseen rows?",
    "pofx compare faithful.csv --models gaussian,kde",
    "pofx compare world:three_bumps,n=300 --models gaussian,histogram --folds 3 --json",
    "pofx compare visits.csv --groups patient",
    "pofx compare sensor.csv --time hour",
)
@reads(missing="drop")
@judging_options
@transform_option
@click.option("-o", "--output", metavar="FILE", help="Write it there; by default to standard output.")
@weight_kind_option
@seed_option
@json_option
@plan_option
@strict_option
@force_option
def compare(
    asked: Asked,
    how: How,
    transforms: tuple[str, ...],
    weight_kind: str | None,
    output: str | None,
    seed: int,
    as_json: bool,
    plan: bool,
    strict: bool,
    force: bool,
) -> int:
    """Compare models by the log density they give to rows that they have not seen.

    Prints the table, with standard errors and reasons for doubt, and which model to use. One Gaussian is
    always there to compare with, and the truth where DATA is a known world.
    """
    candidates = transformed(make_models(how.models, seed), transforms)
    set_weight_kind(candidates.values(), weight_kind)
    if plan:
        return print_plan("compare", asked, list(candidates.values()), folds=how.folds, as_json=as_json)
    may_write(output, asked.files(), force=force)
    result, table = judge(candidates, asked, seed=seed, how=how)
    seconds = {entry.name: round(entry.held_out.seconds, 3) for entry in result.table}
    record = {**result.to_dict(), "run": {"seconds": seconds}}
    text = json_text(record) if as_json else clean(verdict(result, table))
    emit(text, output, force=force)
    return judged(strict, converged=result.best.fit_.converged, doubtful=doubts(result))


command = compare
