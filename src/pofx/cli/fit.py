"""``pofx fit``: rows to a model file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
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

FITS = {"auto": 5, "cross": 5, "split": 1, "none": 0}  # beside the one, by what alarms rest on
IN_BLOCKS = ("gaussian",)  # models whose fit keeps nothing but sums


@verb(
    "rows to a model file",
    "pofx fit faithful.csv -o faithful.pofx",
    "pofx fit world:moons,n=500 --model mixture --components 1..4 -o moons.pofx",
    "pofx fit faithful.csv --model kde --bandwidth isj --columns waiting -o waiting.pofx",
    "pofx fit iris.csv --model gaussian --by Species -o iris.pofx",
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
@click.option(
    "--by",
    metavar="A,B",
    help="Columns that group the rows, text too: one density for each level, times its frequency.",
)
@click.option(
    "--small",
    type=click.Choice(["error", "pool", "drop"]),
    help="Groups of --by with too few rows: refuse, give them the density of all levels, or leave them out.",
)
@judging_options
@model_options
@click.option(
    "--calibration",
    type=click.Choice(["auto", "cross", "split", "none"]),
    default="auto",
    show_default=True,
    help="What alarms rest on: every row held out once (cross), or a fifth of the rows by one further fit "
    "(split; auto beyond 10,000 rows).",
)
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
    by: str | None,
    small: str | None,
    how: How,
    given: Mapping[str, str],
    calibration: str,
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
    record of the fit. A Gaussian is fitted to large files block by block, in little memory, and then carries
    no calibration. Others carry one, which is what pofx score --alarm rests on: fits that have not seen some
    of the rows, and what they say of those.
    """
    if model == "auto" and given:
        raise click.UsageError(f"--{next(iter(given))} needs --model: which one is it for?")
    if model != "auto" and how.given():
        raise click.UsageError(f"{how.given()[0]} is about choosing a model; it goes with --model auto.")
    models = make_models(how.models, seed) if model == "auto" else {"": make_model(model, seed, given)}
    models = transformed(models, transforms)
    if small is not None and by is None:
        raise click.UsageError("--small is about the groups of --by; name their columns.")
    if by is not None:
        asked = replace(asked, by=by)
        models = {name: _grouped(one, asked, small) for name, one in models.items()}
    set_weight_kind(models.values(), weight_kind)
    if asked.missing == "marginal":
        set_marginal(models.values())
    if plan:
        folds = how.folds if model == "auto" else FITS[calibration]
        return print_plan("fit", asked, list(models.values()), folds=folds, as_json=as_json)
    if output is None or output == "-":
        raise click.UsageError("fit writes a model file: name it, as in -o model.pofx.")
    may_write(output, asked.files(), force=force)
    result: Comparison | None = None
    if model == "auto":
        result, table = judge(models, asked, seed=seed, how=how)
        show(verdict(result, table).rstrip("\n"))
        fitted = _calibrated(result, calibration)
    else:
        once = model in IN_BLOCKS and by is None
        fitted = _one(models[""], asked, calibration, seed, in_blocks=once)
    _save(fitted, output, force=force)
    say(f"{type(fitted).__name__}: {fitted.fit_}")
    if fitted.fit_.calibration is not None:
        say(fitted.fit_.calibration.sentence)
    say(f"wrote {output}")
    if as_json:
        emit(json_text(_record(fitted, result, seed, output)))
    return judged(strict, converged=fitted.fit_.converged, doubtful=doubts(result))


def _grouped(model: Density, asked: Asked, small: str | None) -> Density:
    """Return one density of this kind for each level of the grouping columns."""
    from pofx.models.grouped import Grouped

    return Grouped(model, by=asked.group_keys(), small=small or "error")


def _save(model: Density, output: str, *, force: bool) -> None:
    """Write the file, and say what saving warns of: a file that holds the rows is no doubt about the fit."""
    from pofx.errors import PofxWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PofxWarning)
        model.save(output, overwrite=force)
    for text in dict.fromkeys(str(note.message) for note in caught if issubclass(note.category, PofxWarning)):
        say(f"note: {text}")


def _one(model: Density, asked: Asked, calibration: str, seed: int, *, in_blocks: bool) -> Density:
    from pofx.errors import DataError
    from pofx.evaluate.calibrate import calibrate

    blocks = asked.blocks() if in_blocks and asked.is_large() else None
    with progress() as step:
        if blocks is not None:
            if calibration != "none":
                say("no calibration: the file is read in blocks; --alarm will rest on the model's own word")
            return model.fit(_watched(blocks, step))
        table = asked.read()
        step(type(model).__name__)
        fitted = model.fit(table, sample_weight=table.weights)
        if calibration == "none":
            return fitted
        try:
            return calibrate(
                fitted,
                table,
                method=calibration,
                sample_weight=table.weights,
                random_state=seed,
                progress=step,
            )
        except DataError as error:  # too few rows to leave some out
            say(f"no calibration: {error}")
            return fitted


def _calibrated(result: Comparison, calibration: str) -> Density:
    """Return the best of a comparison with the calibration that its folds give."""
    from pofx.errors import DataError
    from pofx.evaluate.calibrate import calibrated_by

    if calibration == "none":
        return result.best
    try:
        with progress() as step:
            return calibrated_by(result, method=calibration, progress=step)
    except DataError as error:
        say(f"no calibration: {error}")
        return result.best


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
        "calibration": None if fit.calibration is None else fit.calibration.to_dict(),
        "seed": seed,
        "output": output,
    }


command = fit
