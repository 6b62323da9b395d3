"""What ``--strict`` makes of a doubt: an exit code that a script can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pofx.cli.failures import ANSWER_IS_NO, DONE, NOT_CONVERGED

if TYPE_CHECKING:
    from pofx.evaluate.comparison import Comparison

__all__ = ["doubts", "judged"]


def judged(strict: bool, *, converged: bool = True, doubtful: bool = False) -> int:
    """Return the exit code of a verb that did its work; notes count as doubts."""
    if not strict:
        return DONE
    if not converged:
        return NOT_CONVERGED
    notes = click.get_current_context().find_root().obj
    return ANSWER_IS_NO if doubtful or (notes is not None and notes.said) else DONE


def doubts(result: Comparison | None) -> bool:
    """Tell whether a comparison carries doubts: a model that failed, or a reason not to trust a number."""
    if result is None:
        return False
    asked = [entry for entry in result.table if not entry.shown]  # the others were not asked for
    return any(entry.held_out.failure or entry.held_out.doubts for entry in asked)
