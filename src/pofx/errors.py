"""Every error that pofx raises on purpose descends from :class:`PofxError`.

A message says what was expected, what came (shapes, the column's name, the first bad row) and what to try.
"""

from __future__ import annotations

import sys

__all__ = [
    "DataError",
    "DegenerateError",
    "FileError",
    "MemoryLimitError",
    "MissingExtraError",
    "NotFittedError",
    "NumericalError",
    "ParameterError",
    "PofxError",
    "PofxWarning",
    "UnsupportedError",
    "WeightError",
    "not_fitted",
]


class PofxError(Exception):
    """The root of all errors of pofx."""


class DataError(PofxError, ValueError):
    """Rows that cannot be used: missing values, text, wrong shape, wrong columns."""


class WeightError(DataError):
    """Row weights that cannot be used."""


class DegenerateError(DataError):
    """Rows that do not determine the model: constant or collinear columns, too few rows."""


class ParameterError(PofxError, ValueError):
    """A hyperparameter or argument outside its allowed range."""


class NotFittedError(PofxError, ValueError, AttributeError):
    """The model has not been fitted yet."""


class UnsupportedError(PofxError, NotImplementedError):
    """The model has no such quantity; the message names one that has."""


class NumericalError(PofxError, ArithmeticError):
    """A computation left the range of float64; never shown as an answer."""


class MemoryLimitError(PofxError, MemoryError):
    """More memory would be needed than there is; raised before anything is allocated."""


class FileError(PofxError, OSError):
    """A file that cannot be read or written as asked."""


class MissingExtraError(PofxError, ImportError):
    """An optional part is not installed; the message is the command to type."""


class PofxWarning(UserWarning):
    """Something was done that the user should know about."""


def not_fitted(name: str) -> NotFittedError:
    """Return the error for an unfitted model of class ``name``.

    Where scikit-learn is loaded the error is also its ``NotFittedError``, so that its callers can
    catch it; scikit-learn is never imported for that.
    """
    message = f"This {name} is not fitted yet. Call fit(X) first, or build it with {name}.from_params(...)."
    theirs = sys.modules.get("sklearn.exceptions")
    if theirs is None:
        return NotFittedError(message)
    kind: type[NotFittedError] = type("NotFittedError", (NotFittedError, theirs.NotFittedError), {})
    return kind(message)
