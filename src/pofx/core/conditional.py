"""Conditioning on several rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError, ParameterError
from ..validation import rng_from, rows_to_fit, rows_to_query, whole_number

__all__ = ["ConditionalBatch", "given_rows"]


def given_rows(given: Any) -> tuple[list[Any], np.ndarray, bool]:
    """Return (column keys, values (m, k), whether one row was given as scalars)."""
    if isinstance(given, Mapping):
        if not given:
            raise ParameterError("condition needs at least one column; got an empty mapping.")
        keys, single = list(given), all(np.ndim(v) == 0 for v in given.values())
        try:
            columns = np.broadcast_arrays(*(np.atleast_1d(v) for v in given.values()))
        except ValueError:
            lengths = ", ".join(f"{k}: {np.size(v)}" for k, v in given.items())
            raise DataError(f"condition needs equally many values per column; got {lengths}.") from None
        return keys, rows_to_fit(np.stack(columns, axis=1)).values, single
    rows = rows_to_fit(given)
    if rows.columns.names is None:
        raise ParameterError(
            "condition needs to know which columns are given: a mapping such as {'waiting': 80}, {0: 1.5} "
            "or a DataFrame with named columns."
        )
    return list(rows.columns.names), rows.values, False


class ConditionalBatch:
    """The conditional distributions p(rest | given row i), i = 1..m.

    Attributes
    ----------
    models : tuple of fitted densities
        One per given row, all over the same remaining columns.
    """

    def __init__(self, models: Sequence[Any]) -> None:
        if not models:
            raise DataError("condition needs at least one row of values; 0 rows came.")
        self.models = tuple(models)

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, i: int) -> Any:
        return self.models[i]

    def __repr__(self) -> str:
        return f"<{len(self)} conditional distributions of {type(self.models[0]).__name__}>"

    def log_density(self, Y: Any) -> np.ndarray:
        """Return log p(y_i | given row i): row i of ``Y`` goes with row i given. Shape (m,)."""
        first = self.models[0]
        y = rows_to_query(Y, first.params_.columns, who="this batch of conditionals")
        if len(y) != len(self):
            raise DataError(f"Expected {len(self)} rows, one per given row; got {len(y)}.")
        parts = [m._log_density_rows(m.params_, y[i : i + 1]) for i, m in enumerate(self.models)]
        return np.concatenate(parts)

    def sample(self, k: int = 1, *, random_state: Any = None) -> np.ndarray:
        """Return k draws for each given row: shape (m, k, d), or (m, k) for one remaining column."""
        rng = rng_from(random_state)
        k = whole_number(k, "k", least=0)
        draws = np.stack([m._sample_rows(m.params_, k, rng) for m in self.models])
        return draws[..., 0] if draws.shape[2] == 1 else draws

    def mean(self) -> np.ndarray:
        """Return the conditional means, shape (m, d)."""
        return np.stack([m.mean() for m in self.models])

    def quantile(self, q: Any) -> np.ndarray:
        """Return the conditional quantiles, shape (m,) + shape of q; one remaining column only."""
        return np.stack([np.asarray(m.quantile(q)) for m in self.models])
