"""The groups of a fitted model, and what marginals and conditionals make of them.

    p(l, x) = w_l p_l(x),   ∫ p(l, x) dx_b = w_l p_l(x_a),   p(l, x_b | x_a) ∝ [w_l p_l(x_a)] p_l(x_b | x_a)

and where the level is not kept, groups that are alike in what is kept become one, a mixture of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...core.density import Density
from ...errors import DataError
from ..stack import Stack
from .keys import Keys, code_of

__all__ = ["Cell", "conditioned", "merged", "reduced"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cell:
    """One group.

    Attributes
    ----------
    key : see :mod:`pofx.models.grouped.keys`
    weight : its probability
    rows : the sum of the weights of its training rows; 0 where it was not fitted
    part : the density of the columns that are free in it; None where there is none
    pooled : whether the density is that of rows of other levels as well
    """

    key: tuple[float, ...]
    weight: float
    rows: float
    part: Density | None
    pooled: bool = False

    def log_density(self, x: Floats) -> Floats:
        """Return the log density of its free columns (n, f), data units."""
        return np.zeros(len(x)) if self.part is None else self.part._log_density_rows(self.part.params_, x)


def kept_keys(keys: Keys, keep: Sequence[int]) -> Keys:
    """Return the keys of the columns ``keep``, in that order."""
    at = {j: i for i, j in enumerate(keep)}
    return Keys(
        tuple(at[j] for j in keys.by if j in at),
        tuple(sorted((at[j], values) for j, values in keys.spikes if j in at)),
        len(keep),
    )


def _kept_key(keys: Keys, key: Sequence[float], keep: Sequence[int]) -> tuple[float, ...]:
    levels = [value for j, value in zip(keys.by, key, strict=False) if j in keep]
    codes = dict(zip(keys.spiked, key[len(keys.by) :], strict=True))
    return (*levels, *(codes[j] for j in keep if j in codes))


def reduced(keys: Keys, cells: Iterable[Cell], keep: Sequence[int]) -> list[Cell]:
    """Return the groups of the marginal of the columns ``keep``."""
    out = []
    for cell in cells:
        free = keys.free(cell.key)
        wanted = [free.index(j) for j in keep if j in free]
        part = cell.part
        if not wanted:
            part = None
        elif part is not None and wanted != list(range(len(free))):
            part = part.marginal(wanted)
        out.append(replace(cell, key=_kept_key(keys, cell.key, keep), part=part))
    return merged(out)


def conditioned(keys: Keys, cells: Iterable[Cell], given: dict[int, float]) -> list[Cell]:
    """Return the groups of the conditional given values of some columns.

    Raises
    ------
    DataError
        Where no group makes the given values possible.
    """
    rest = [j for j in range(keys.d) if j not in given]
    out: list[Cell] = []
    logs: list[float] = []
    for cell in cells:
        if not _possible(keys, cell.key, given):
            continue
        free = keys.free(cell.key)
        known = {free.index(j): value for j, value in given.items() if j in free}
        part, log = cell.part, 0.0
        if part is not None and known:
            about = part if len(known) == len(free) else part.marginal(list(known))
            order = sorted(known) if about is part else list(known)
            at = np.array([[known[i] for i in order]])
            log = float(about._log_density_rows(about.params_, at)[0])
            part = None if len(known) == len(free) else part
        if cell.weight > 0 and log > -math.inf:
            if part is not None and known:
                part = part.condition(known)
            out.append(replace(cell, key=_kept_key(keys, cell.key, rest), part=part))
            logs.append(math.log(cell.weight) + log)
    if not out:
        raise DataError("No group makes the given values possible (density zero).")
    weights = np.exp(np.array(logs) - logsumexp(logs))
    return merged([replace(cell, weight=float(w)) for cell, w in zip(out, weights, strict=True)])


def _possible(keys: Keys, key: Sequence[float], given: dict[int, float]) -> bool:
    """Tell whether the levels and spikes of a group agree with the given values."""
    if any(j in given and given[j] != value for j, value in zip(keys.by, key, strict=False)):
        return False
    for (j, values), code in zip(keys.spikes, key[len(keys.by) :], strict=True):
        if j in given and code_of(np.array([given[j]]), values)[0] != code:
            return False
    return True


def merged(cells: Sequence[Cell]) -> list[Cell]:
    """Return one group for each key: where several have it, the mixture of theirs."""
    by_key: dict[tuple[float, ...], list[Cell]] = {}
    for cell in cells:
        by_key.setdefault(cell.key, []).append(cell)
    return [_one(by_key[key]) for key in sorted(by_key)]


def _one(alike: Sequence[Cell]) -> Cell:
    if len(alike) == 1:
        return alike[0]
    weight = math.fsum(cell.weight for cell in alike)
    parts = [(cell.part, cell.weight) for cell in alike if cell.part is not None and cell.weight > 0]
    part: Density | None = None
    if parts:
        shares = np.array([w for _, w in parts])
        part = Stack.from_models([p for p, _ in parts], shares / shares.sum())
    return Cell(alike[0].key, weight, math.fsum(cell.rows for cell in alike), part)
