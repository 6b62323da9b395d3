"""Which models are compared and how rows are held out: the options that ``compare``, ``fit`` and ``report``
share."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import click

__all__ = ["How", "judging_options"]

IN_ORDER = "rows"  # --time without a column


@dataclass(frozen=True)
class How:
    """What was asked for; None where nothing was."""

    models: str | None = None
    folds: int = 5
    groups: str | None = None
    time: str | None = None
    budget: float | None = None

    @property
    def beside(self) -> str | None:
        """The column that groups or orders the rows and is no part of them."""
        return self.groups if self.groups is not None else self.time if self.time != IN_ORDER else None

    def given(self) -> list[str]:
        """Return the options that were given, as they are written."""
        names = ("models", "groups", "time", "budget")
        found = [f"--{name}" for name in names if getattr(self, name) is not None]
        return found + ["--folds"] * (self.folds != 5)

    def check(self) -> None:
        """Refuse what cannot be combined.

        Raises
        ------
        click.UsageError
        """
        if self.groups is not None and self.time is not None:
            raise click.UsageError("--groups and --time both say which rows are held out; give one of them.")


def judging_options(function: Any) -> Any:
    """Give a verb these options; it receives them as ``how``, a :class:`How`."""

    @functools.wraps(function)
    def run(models: str | None, folds: int, groups: str | None, time: str | None, **rest: Any) -> Any:
        how = How(models, folds, groups, time, rest.pop("budget"))
        how.check()
        return function(how=how, **rest)

    made = run
    for option in reversed(_OPTIONS):
        made = option(made)
    return made


_OPTIONS = [
    click.option(
        "--models",
        metavar="all|A,B",
        help="Some of gaussian, mixture, kde, histogram, by default all four; all: also those of installed "
        "packages.",
    ),
    click.option(
        "--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Parts to hold out in turn."
    ),
    click.option(
        "--groups",
        metavar="COLUMN",
        help="Hold rows with the same number in this column out together; it is no part of the rows.",
    ),
    click.option(
        "--time",
        metavar="[COLUMN]",
        is_flag=False,
        flag_value=IN_ORDER,
        help="Hold later rows out, in the order of this column, which is no part of the rows; without one, "
        "in the order in which they come.",
    ),
    click.option(
        "--budget",
        type=click.FloatRange(min=0.0, min_open=True),
        metavar="SECONDS",
        help="Try no further model after so many seconds; the answer then depends on the clock.",
    ),
]
