"""Rows with their missing entries filled in, in the container in which they came."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.params import Params
from ...threads import one_blas_thread
from ...validation import check_memory, restore_exact, restore_filled
from . import gaps

__all__ = ["filled"]


def filled(
    params: Params, X: Any, x: np.ndarray, *, draws: int | None, rng: np.random.Generator, exact: bool
) -> Any:
    """Return the rows X, as numbers ``x`` (n, d) with NaN, filled by conditional means or ``draws`` times."""
    m = 0 if draws is None else draws
    check_memory(8 * (m + 1) * 6 * x.size, f"Filling in {len(x):,} rows {m + 1} times")
    known, z = ~np.isnan(x), params.units.to(x)

    def given_back(z: np.ndarray) -> Any:
        rows = np.where(known, x, params.units.back(z))
        out = restore_exact(rows, params.columns) if exact else restore_filled(rows, known, params.columns)
        if params.columns.container == "pandas" and isinstance(X, type(out)):
            out.index = X.index
        return out

    with one_blas_thread():
        if draws is None:
            return given_back(gaps.completed(params, z))
        several = [given_back(one) for one in gaps.drawn(params, z, m, rng)]
    return np.stack(several) if isinstance(several[0], np.ndarray) else several
