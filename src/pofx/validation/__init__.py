"""The doorman: whatever a caller hands in is checked and cast here, once, and nowhere else.

Rows become an ``(n, d)`` float64 array and a :class:`Columns` that remembers what they looked like;
weights, seeds and numbers are checked; samples are handed back in the caller's own container and
dtypes. This package knows no model and imports nothing of pofx but ``errors`` and ``optional``.
"""

from pofx.validation.columns import Columns, DataTypeError, Levels, Rows, nearest
from pofx.validation.fingerprint import Fingerprint
from pofx.validation.levels import UNSEEN, encode, values_of
from pofx.validation.memory import available_memory, check_memory
from pofx.validation.precision import detect_decimals, make_container, restore, restore_exact, restore_filled
from pofx.validation.row_errors import row_errors
from pofx.validation.rows import column_names, columns_of, rows_to_fit, rows_to_query
from pofx.validation.scalars import one_of, real_number, rng_from, whole_number
from pofx.validation.weights import row_weights

__all__ = [
    "UNSEEN",
    "Columns",
    "DataTypeError",
    "Fingerprint",
    "Levels",
    "Rows",
    "available_memory",
    "check_memory",
    "column_names",
    "columns_of",
    "detect_decimals",
    "encode",
    "make_container",
    "nearest",
    "one_of",
    "real_number",
    "restore",
    "restore_exact",
    "restore_filled",
    "rng_from",
    "row_errors",
    "row_weights",
    "rows_to_fit",
    "rows_to_query",
    "values_of",
    "whole_number",
]
