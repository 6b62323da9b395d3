"""``pofx fit``: rows to a model file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from pofx.cli.held_out import judge, verdict
from pofx.cli.judging import How, judging_options
from pofx.cli.models import (
    make_model,
    make_models,
    model_options,
    set_marginal,
    set_weight_kind,
    transform_option,
    transformed,
)
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
from pofx.cli.output import emit, json_text, may_write, progress, say, show
from pofx.cli.plan import print_plan
from pofx.cli.rows import Asked
from pofx.cli.strictness import doubts, judged
from pofx.cli.words import ModelWord

if TYPE_CHECKING:
    from pofx.core.density import Density
    from pofx.core.fold import Blocks
    from pofx.evaluate.comparison import Comparison

__all__ = ["command"]

IN_BLOCKS = ("gaussian",)  # models whose fit keeps nothing but sums


@verb(
    "rows to a model file",
    "pofx fit faithful.csv -o faithful.pofx",
    "pofx fit world:moons,n=500 --model mixture --components 1..4 -o moons.pofx",
    "pofx fit faithful.csv --model kde --bandwidth isj --columns waiting -o waiting.pofx",
    "pofx fit faithful.csv --model gaussian --transform eruptions=log --transform waiting=0: -o logs.pofx",
)
@reads(missing="drop", choices=("drop", "error", "marginal"))
@click.option("-o", "--output", metavar="FILE", help="The model file to write, say model.pofx.")
@click.option(
    "--model",
    type=ModelWord(auto=True),
    metavar="auto|gaussian|mixture|kde|histogram",
    default="auto",
    show_default=True,
    help="auto: the best on held-out rows, of --models. Or the class of an installed package.",
)
@judging_options
@model_options
@transform_option
@weight_kind_option
@seed_option
@json_option
@plan_option
@strict_option
@force_option
def fit(
    asked: Asked,
    output: str | None,
    model: str,
    how: How,
    given: Mapping[str, str],
    transforms: tuple[str, ...],
    weight_kind: str | None,
    seed: int,
    as_json: bool,
    plan: bool,
    strict: bool,
    force: bool,
) -> int:
    """Fit a model to the rows of DATA and write it to a file.

    Rows with missing values are left out and counted; a mixture can use what they have. --json prints the
    record of the fit. A Gaussian is fitted to large files block by block, in little memory.
    """
    if model == "auto" and given:
        raise click.UsageError(f"--{next(iter(given))} needs --model: which one is it for?")
    if model != "auto" and how.given():
        raise click.UsageError(f"{how.given()[0]} is about choosing a model; it goes with --model auto.")
    models = make_models(how.models, seed) if model == "auto" else {"": make_model(model, seed, given)}
    models = transformed(models, transforms)
    set_weight_kind(models.values(), weight_kind)
    if asked.missing == "marginal":
        set_marginal(models.values())
    if plan:
        folds = how.folds if model == "auto" else 0
        return print_plan("fit", asked, list(models.values()), folds=folds, as_json=as_json)
    if output is None or output == "-":
        raise click.UsageError("fit writes a model file: name it, as in -o model.pofx.")
    may_write(output, asked.files(), force=force)
    result: Comparison | None = None
    if model == "auto":
        result, table = judge(models, asked, seed=seed, how=how)
        show(verdict(result, table).rstrip("\n"))
        fitted = result.best
    else:
        fitted = _one(models[""], asked, in_blocks=model in IN_BLOCKS)
    _save(fitted, output, force=force)
    say(f"{type(fitted).__name__}: {fitted.fit_}")
    say(f"wrote {output}")
    if as_json:
        emit(json_text(_record(fitted, result, seed, output)))
    return judged(strict, converged=fitted.fit_.converged, doubtful=doubts(result))


def _save(model: Density, output: str, *, force: bool) -> None:
    """Write the file, and say what saving warns of: a file that holds the rows is no doubt about the fit."""
    from pofx.errors import PofxWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PofxWarning)
        model.save(output, overwrite=force)
    for text in dict.fromkeys(str(note.message) for note in caught if issubclass(note.category, PofxWarning)):
        say(f"note: {text}")


def _one(model: Density, asked: Asked, *, in_blocks: bool) -> Density:
    blocks = asked.blocks() if in_blocks and asked.is_large() else None
    with progress() as step:
        if blocks is not None:
            return model.fit(_watched(blocks, step))
        table = asked.read()
        step(type(model).__name__)
        return model.fit(table, sample_weight=table.weights)


def _watched(blocks: Any, step: Any) -> Blocks:
    """Return the same blocks, with every one of them told."""
    from pofx.core.fold import Blocks

    passes = 0

    def one_pass() -> Iterator[Any]:
        nonlocal passes
        passes, rows = passes + 1, 0
        total = f" of {blocks.n:,}" if blocks.n else ""
        for part in blocks:
            rows += len(part)
            step(f"pass {passes}: {rows:,}{total} rows")
            yield part

    return Blocks(one_pass)


def _record(model: Density, result: Comparison | None, seed: int, output: str) -> dict[str, Any]:
    from pofx.errors import PofxError

    fit, columns = model.fit_, model.params_.columns
    try:
        parameters: int | None = model.n_parameters_
    except PofxError:
        parameters = None
    return {
        "schema": "pofx.fit/1",
        "model": type(model).__name__,
        "hyperparameters": model.get_params(),
        "columns": [columns.label(j) for j in range(len(columns))],
        "rows": fit.n_rows,
        "dropped": fit.n_dropped,
        "effective_rows": fit.effective_n,
        "converged": fit.converged,
        "message": fit.message,
        "passes": fit.passes,
        "parameters": parameters,
        "notes": fit.notes,
        "search": fit.search,
        "comparison": None if result is None else result.to_dict(),
        "seed": seed,
        "output": output,
    }


command = fit
