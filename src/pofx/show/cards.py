"""A model of the comparison, fitted to all rows and judged by rows that its fits had not seen."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from pofx.core.density import Density
from pofx.errors import PofxError, PofxWarning
from pofx.evaluate.check import Check, check_fitted
from pofx.evaluate.compare import Comparison, Entry
from pofx.evaluate.verdict import Verdict

__all__ = ["Judged", "judge"]

MOST_COLUMNS = 40  # whose calibration is looked at


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
        try:
            return Judged(entry, model, _calibration(result, entry, model))
        except (PofxError, NotImplementedError) as error:
            return Judged(entry, model, None, str(error))


def _calibration(result: Comparison, entry: Entry, model: Density) -> Check | None:
    cut, fits = result.split, entry.held_out.models
    n, d = cut.rows.values.shape
    if not fits or d > MOST_COLUMNS or n < 20 or cut.weights is not None:
        return None
    return check_fitted(model, fits, cut, name=entry.name)
