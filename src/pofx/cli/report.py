"""``pofx report``: from a file to a verdict that a person can read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from pofx.cli.held_out import judge, verdict
from pofx.cli.judging import IN_ORDER, How, judging_options
from pofx.cli.models import make_models, set_weight_kind
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
from pofx.cli.output import clean, emit, json_text, may_write, progress, say, show
from pofx.cli.plan import print_plan
from pofx.cli.ran import Run
from pofx.cli.rows import Asked
from pofx.cli.strictness import doubts, judged

__all__ = ["command"]


@verb(
    "from a file to a verdict, as one HTML page",
    "pofx report faithful.csv",
    "pofx report world:moons,n=300 -o moons.html",
)
@reads(missing="drop")
@click.option("-o", "--output", metavar="FILE", help="The HTML file; by default <stem>-report.html here.")
@click.option(
    "--points/--no-points",
    default=True,
    help="Whether up to 2,000 rows are drawn as dots (more are counted in cells); --no-points draws and "
    "quotes no single row.",
)
@judging_options
@weight_kind_option
@seed_option
@json_option
@plan_option
@strict_option
@force_option
def report(
    asked: Asked,
    output: str | None,
    points: bool,
    how: How,
    weight_kind: str | None,
    seed: int,
    as_json: bool,
    plan: bool,
    strict: bool,
    force: bool,
) -> int:
    """Compare models on held-out rows and write what there is to know as one HTML file.

    Prints the table and the verdict. A report of an earlier run is replaced. "-o -" writes the HTML to
    standard output. --json prints all that the report says, with date, seconds and memory, which the page
    does not hold: the same rows, seed and version give the same bytes.
    """
    run = Run()
    target = output or f"{asked.stem}-report.html"
    if output and output != "-" and Path(output).suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"report writes HTML: give -o a name that ends in .html, not {output!r}.")
    if as_json and target == "-":
        raise click.UsageError("--json and -o - both want standard output; name a file for one of them.")
    models = make_models(how.models, seed)
    set_weight_kind(models.values(), weight_kind)
    if plan:
        return print_plan("report", asked, list(models.values()), folds=how.folds, as_json=as_json)
    from pofx.show.report import html, is_ours, record, tell, write

    may_write(target, asked.files(), force=force, ours=is_ours)
    result, table = judge(models, asked, seed=seed, how=how)
    source = None if asked.data[0] == "-" else asked.data[0]  # what came through a pipe is gone
    words, choosing = _words(asked, how, dropped=table.dropped > 0)
    with progress() as step:
        told = tell(
            result,
            title=asked.stem,
            source=source,
            words=words,
            choosing=choosing,
            points=points,
            progress=step,
        )
        if target != "-":
            write(told, target)
    said = verdict(result, table)
    if target == "-":
        show(said.rstrip("\n"))
        emit(html(told))
    elif as_json:
        emit(json_text(record(told, run.record(target))))
    else:
        emit(clean(said))
    if target != "-":
        say(f"wrote {target}")
    say(run.sentence())
    return judged(strict, converged=result.best.fit_.converged, doubtful=doubts(result))


def _words(asked: Asked, how: How, *, dropped: bool) -> tuple[list[str], list[str] | None]:
    """Return the words that read the same rows again, and those after ``fit`` that choose in the same way.

    A column that groups or orders the rows is no part of them; a budget would choose by the clock.
    """
    aside = ",".join(filter(None, [asked.drop, how.beside]))
    words = replace(asked, drop=aside or None).words(dropped=dropped)
    if how.budget is not None:
        return words, None
    choosing = asked.words(dropped=dropped)
    for name in ("models", "groups", "time"):
        if (value := getattr(how, name)) is not None:
            choosing += [f"--{name}"] if value == IN_ORDER else [f"--{name}", value]
    return words, choosing + (["--folds", str(how.folds)] if how.folds != How.folds else [])


command = report
