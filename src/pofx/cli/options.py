"""The options that verbs share, each in one place so that it reads the same everywhere."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import click

from pofx.cli.rows import Asked

__all__ = [
    "data_argument",
    "debug_option",
    "force_option",
    "json_option",
    "model_argument",
    "plan_option",
    "reads",
    "seed_option",
    "strict_option",
    "verb",
    "weight_kind_option",
]

Verb = Callable[..., Any]
_PATH = click.Path(readable=False)  # completed as a file name; reading says best what is wrong with it


def verb(summary: str, *examples: str) -> Callable[[Verb], click.Command]:
    """Make a command of a function of the same name; its help ends in these examples."""
    listed = "\n".join(f"  {example}" for example in examples)

    def decorate(function: Verb) -> click.Command:
        made = click.command(short_help=summary, epilog=f"\b\nExamples:\n{listed}")(function)
        made.params.append(click.Option(["--debug"], **_DEBUG))
        return made

    return decorate


_DEBUG: dict[str, Any] = {"is_flag": True, "expose_value": False, "help": "Show where an error arose."}
debug_option = click.option("--debug", **_DEBUG)
force_option = click.option("--force", is_flag=True, help="Replace a file that exists.")
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")
strict_option = click.option(
    "--strict",
    is_flag=True,
    help="Exit 1 where there is a doubt that a note tells of, 4 where a fit did not converge.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance."
)
weight_kind_option = click.option(
    "--weight-kind",
    type=click.Choice(["frequency", "importance"]),
    help="What weights mean that are not whole: repetitions, or relative.",
)
plan_option = click.option(
    "--plan", is_flag=True, help="Say what would be done, and about the time and memory; write nothing."
)
model_argument = click.argument("model", metavar="MODEL.pofx", type=_PATH)
data_argument = click.argument("data", metavar="DATA...", nargs=-1, required=True, type=_PATH)


def reads(
    *, missing: str, choices: Sequence[str] = ("drop", "error"), optional: bool = False, pair: bool = False
) -> Any:
    """Give a verb DATA and the options of reading; it receives them as ``asked``, an :class:`Asked`. With
    ``pair`` its words are two data sets, one each."""

    def decorate(function: Verb) -> Verb:
        @functools.wraps(function)
        def run(
            data: tuple[str, ...],
            columns: str | None,
            drop: str | None,
            weights: str | None,
            na: str | None,
            header: bool | None,
            missing: str,
            **rest: Any,
        ) -> Any:
            return function(asked=Asked(data, columns, drop, weights, na, header, missing), **rest)

        made: Verb = run
        for option in reversed(_reading(missing, choices)):
            made = option(made)
        if pair:
            return click.argument("data", metavar="A B", nargs=-1, required=True, type=_PATH)(made)
        if optional:
            return click.argument("data", metavar="[DATA]...", nargs=-1, type=_PATH)(made)
        return data_argument(made)

    return decorate


def _reading(missing: str, choices: Sequence[str]) -> list[Any]:
    says = {"drop": "leave out", "error": "refuse", "keep": "keep", "marginal": "use what they have"}
    return [
        click.option("--columns", metavar="A,B", help="Columns to read, by name or number from 0; keys too."),
        click.option("--drop", metavar="A,B", help="Columns to leave out."),
        click.option("--weights", metavar="COLUMN", help="The column that says how often a row counts."),
        click.option("--na", metavar="A,B", help="What else marks a missing value, such as -999,9999."),
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether the first row of a text table holds names; by default that is judged.",
        ),
        click.option(
            "--missing",
            type=click.Choice(list(choices)),
            default=missing,
            show_default=True,
            help=f"Rows with missing values: {' or '.join(says[word] for word in choices)}.",
        ),
    ]
