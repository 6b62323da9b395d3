"""``pofx differ``: are two data sets from one distribution?"""

from __future__ import annotations

import os
from dataclasses import replace

import click

from pofx.cli.failures import ANSWER_IS_NO
from pofx.cli.options import (
    force_option,
    json_option,
    plan_option,
    reads,
    seed_option,
    strict_option,
    verb,
)
from pofx.cli.output import clean, emit, json_text, may_write, progress, say
from pofx.cli.plan import print_plan_of_two
from pofx.cli.rows import Asked
from pofx.cli.strictness import judged

__all__ = ["command"]


@verb(
    "are two data sets from one distribution?",
    "pofx differ world:moons,n=500,seed=1 world:moons,n=500,seed=2",
    "pofx differ world:moons,n=500,seed=1 world:moons,n=500,seed=2,noise=0.3 --json",
)
@reads(missing="drop", pair=True)
@click.option("-o", "--output", metavar="FILE", help="Write it there; by default to standard output.")
@seed_option
@json_option
@plan_option
@strict_option
@force_option
def differ(
    asked: Asked,
    output: str | None,
    seed: int,
    as_json: bool,
    plan: bool,
    strict: bool,
    force: bool,
) -> int:
    """Compare the rows of A with those of B: exit code 1 if they differ, 0 if not, or only slightly.

    How far apart they are, and in which columns, rows and regions. A and B are a file, a quoted pattern, "-"
    or a world each; columns are matched by name. With --strict, a slight difference counts too.
    """
    if len(asked.data) != 2:
        raise click.UsageError(
            f"differ compares two data sets, A and B; got {len(asked.data)}. A pattern that stands for "
            "several files of one set is put in quotes."
        )
    may_write(output, asked.files(), force=force)
    if asked.data == ("-", "-"):
        raise click.UsageError("Standard input can be read once: A and B cannot both be '-'.")
    one, other = (replace(asked, data=(word,)) for word in asked.data)
    if plan:
        return print_plan_of_two("differ", one, other, as_json=as_json)
    from pofx.evaluate.differ import differ as judge

    a, b = one.read(), other.read()
    with progress() as step:
        result = judge(a, b, labels=_labels(asked.data), random_state=seed, progress=step)
    record = {**result.to_dict(), "dropped_a": a.dropped, "dropped_b": b.dropped}
    emit(json_text(record) if as_json else clean(f"{result}\n"), output, force=force)
    if result.differ or (strict and not result.same):
        return ANSWER_IS_NO
    return judged(strict)


def _labels(words: tuple[str, ...]) -> tuple[str, str]:
    """Return what the two are called: their file names, or A and B where these are long or the same."""
    first, second = (os.path.basename(word) or word for word in words)
    if first != second and max(len(first), len(second)) <= 24:
        return first, second
    say(f"A is {words[0]}, B is {words[1]}")
    return "A", "B"


command = differ
