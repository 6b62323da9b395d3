"""``pofx diagnose``: what to know about rows before a model is fitted to them."""

from __future__ import annotations

import click

from pofx.cli.failures import ANSWER_IS_NO, DONE, in_words_of_the_shell
from pofx.cli.options import force_option, json_option, plan_option, reads, strict_option, verb
from pofx.cli.output import clean, emit, json_text, may_write
from pofx.cli.plan import print_plan
from pofx.cli.rows import Asked

__all__ = ["command"]


@verb(
    "what to know about rows before a fit",
    "pofx diagnose faithful.csv",
    "pofx diagnose world:student_t --json",
)
@reads(missing="keep", choices=("keep", "drop", "error"))
@click.option("-o", "--output", metavar="FILE", help="Write it there; by default to standard output.")
@json_option
@plan_option
@strict_option
@force_option
def diagnose(asked: Asked, output: str | None, as_json: bool, plan: bool, strict: bool, force: bool) -> int:
    """Say what to know about the rows of DATA before a model is fitted to them.

    Columns, constants, duplicates, ties and rounding, collinearity, tails, rows against columns; each finding
    names the models that it troubles. With --strict the exit code is 1 where there is more than notes.
    """
    if plan:
        return print_plan("diagnose", asked, [], as_json=as_json)
    may_write(output, asked.files(), force=force)
    from pofx.data.diagnose import diagnose as look

    found = look(asked.read(), missing="keep")
    emit(
        json_text(found.to_dict()) if as_json else f"{clean(in_words_of_the_shell(str(found)))}\n",
        output,
        force=force,
    )
    return ANSWER_IS_NO if strict and found.count("blocks") + found.count("warning") else DONE


command = diagnose
