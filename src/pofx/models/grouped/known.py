"""Groups with known densities and probabilities, without rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.density import Density
from ...core.units import Units
from ...errors import ParameterError
from ...validation import Columns, Levels
from .cells import Cell
from .keys import Keys, listed

__all__ = ["known_groups"]

Floats = NDArray[np.float64]


def known_groups(
    models: Mapping[Any, Density], weights: Any, by: Any
) -> tuple[Keys, list[Cell], Units, Columns]:
    """Return what ``Grouped.from_models`` is made of; see there.

    Raises
    ------
    ParameterError
    """
    if not isinstance(models, Mapping) or not models:
        raise ParameterError(f"Grouped needs a mapping of level to fitted density; got {models!r:.80}.")
    tuples = [level if isinstance(level, tuple) else (level,) for level in models]
    parts = list(models.values())
    if any(not isinstance(part, Density) or "params_" not in vars(part) for part in parts):
        raise ParameterError("Grouped.from_models needs fitted densities.")
    if isinstance(weights, Mapping):
        weights = [weights.get(level, math.nan) for level in models]
    w = np.asarray(weights, dtype=float)
    if w.shape != (len(parts),) or not ((w >= 0).all() and abs(w.sum() - 1.0) < 1e-9):
        raise ParameterError(f"weights must be {len(parts)} numbers >= 0 with sum 1; got {weights!r:.80}.")
    inner = parts[0].params_.columns
    if len({len(t) for t in tuples}) > 1 or any(p.params_.columns.names != inner.names for p in parts):
        raise ParameterError("Grouped.from_models needs levels of equal length, densities of equal columns.")
    if len({p.n_features_in_ for p in parts}) > 1:
        raise ParameterError("Grouped.from_models needs densities of the same columns.")
    columns, codes = _level_columns(tuples, inner, by)
    g = len(tuples[0])
    keys = Keys(tuple(range(g)), (), len(columns))
    cells = [
        Cell(tuple(code), float(weight), 0.0, part)
        for code, weight, part in zip(codes.tolist(), w, parts, strict=True)
    ]
    cells.sort(key=lambda cell: cell.key)
    units = Units(
        np.r_[np.zeros(g), parts[0].params_.units.shift],
        np.r_[np.zeros(g, dtype=np.int64), parts[0].params_.units.exponent],
    )
    return keys, cells, units, columns


def _level_columns(tuples: Sequence[tuple[Any, ...]], inner: Columns, by: Any) -> tuple[Columns, Floats]:
    """Return the columns of given levels beside those of the densities, and the levels as numbers (L, g)."""
    g = len(tuples[0])
    names = listed(by) or (["group"] if g == 1 else [f"group {i}" for i in range(g)])
    if len(names) != g or (inner.names is not None and not all(isinstance(n, str) for n in names)):
        raise ParameterError(f"by= must name the {g} grouping columns; got {by!r}.")
    codes, dtypes = np.empty((len(tuples), g)), []
    levels: list[Levels | None] = []
    for i, values in enumerate(zip(*tuples, strict=True)):
        if all(isinstance(v, str) for v in values):
            words = sorted(set(values))
            codes[:, i] = [words.index(v) for v in values]
            dtypes.append("int64")
            levels.append(Levels(tuple(words)))
            continue
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise ParameterError(f"Levels are all texts, all numbers or all booleans; got {values!r:.80}.")
        codes[:, i] = array
        dtypes.append(array.dtype.name)
        levels.append(None)
    if len({tuple(row) for row in codes.tolist()}) < len(tuples):
        raise ParameterError("Grouped.from_models needs different levels.")
    return (
        Columns(
            None if inner.names is None else (*names, *inner.names),
            (*dtypes, *inner.dtypes),
            (*(None if dtype.startswith("float") else 0 for dtype in dtypes), *inner.decimals),
            "array" if inner.container == "vector" else inner.container,
            (*levels, *(None,) * len(inner)) if any(levels) else None,
        ),
        codes,
    )
