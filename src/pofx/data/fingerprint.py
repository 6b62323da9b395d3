"""``fingerprint``: one SHA-256 that tells whether a table is the one that a model was fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from pofx.core.fold import Blocks
from pofx.errors import DataError
from pofx.validation import Columns, Fingerprint, rows_to_fit, rows_to_query

__all__ = ["fingerprint"]


def fingerprint(X: Any) -> str:
    """Return the SHA-256 of a table's column names and numbers, in the order that they stand in.

    The bytes that are hashed are written down in :mod:`pofx.validation.fingerprint`: the names and every
    number as float64. An array, a DataFrame and a Table of the same names and numbers have one fingerprint,
    whole or in blocks. Rows without any entry are left out.

    A fit keeps the fingerprint of the rows that it used as ``fit_.fingerprint``, before weights: rows dropped
    for missing values are not in it. The rows cannot be had back from it, but whoever guesses the whole table
    can confirm the guess.

    Parameters
    ----------
    X : rows, as for ``fit``

    Returns
    -------
    str
        64 hexadecimal digits. A million rows of ten columns take 0.1 seconds.

    Raises
    ------
    DataError
        Where there are no rows, infinities, text, or blocks of different columns.

    Examples
    --------
    >>> import numpy as np, pofx
    >>> from pofx.data.fingerprint import fingerprint
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> fingerprint(x)[:16]
    '2dfc19febb15dd49'
    >>> pofx.Gaussian(covariance_type="diag").fit(x).fit_.fingerprint == fingerprint(x)
    True
    """
    columns: Columns | None = None
    made = Fingerprint(None, 0)
    for block in X if isinstance(X, Blocks) else [X]:
        if columns is None:
            rows = rows_to_fit(block, missing="marginal")
            columns, values = rows.columns, rows.values
            made = Fingerprint(columns.names, len(columns))
        else:
            values = rows_to_query(block, columns, who="this fingerprint", missing="marginal")
            empty = np.isnan(values).all(axis=1)
            values = values[~empty] if empty.any() else values
        made.update(values)
    if columns is None:
        raise DataError("Blocks gave no block: 0 rows. Give at least one block of rows.")
    return made.hexdigest()
