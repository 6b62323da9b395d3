"""A model of the comparison, fitted to all rows and judged by rows that its fits had not seen."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from pofx.core.density import Density
from pofx.errors import PofxError, PofxWarning
from pofx.evaluate.check import Check
from pofx.evaluate.compare import Comparison, Entry
from pofx.evaluate.verdict import Verdict

__all__ = ["Judged", "judge"]


@dataclass(frozen=True, eq=False)
class Judged:
    """A model of the comparison, fitted to all rows, and its check; ``problem`` says why one is missing."""

    entry: Entry
    model: Density | None
    check: Check | None
    problem: str = ""

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the check."""
        return None if self.check is None else self.check.verdict


def judge(result: Comparison, entry: Entry) -> Judged:
    """Fit a model to all rows, and let the fits of its folds judge the rows that they have not seen."""
    if entry.held_out.failure:
        return Judged(entry, None, None, entry.held_out.failure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # the folds have said it already
        try:
            model = result.fitted(entry.name)
        except PofxError as error:
            return Judged(entry, None, None, str(error))
        return Judged(entry, model, result.check(entry.name))
