"""A start from a partition of the rows that the user gives: EM then begins with its M-step.

Labels or responsibilities r_ik stand for what an E-step would have found, so the state of the mixture is

    n_k = Σ_i w_i r_ik,  μ_k = Σ_i w_i r_ik x_i / n_k,  W_k / n_k = Σ_i w_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ / n_k
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.fold import Data
from ...errors import ParameterError
from ...maths.moments import Moments
from .batch import lower_triangle
from .fitting import Fitting
from .given import given_start, state_from_given
from .structures import Structure

__all__ = ["Partition", "given_first", "given_partition", "partition_size", "state_from"]

SUM = 1e-6  # by what the responsibilities of a row may differ from one in total


@dataclass(frozen=True)
class Partition:
    """Labels (n,) or responsibilities (n, K) of the rows of a fit, in their order.

    Parameters
    ----------
    member : ndarray
        Integer labels from 0 to K − 1, or shares.
    k : int
        K.
    """

    member: np.ndarray
    k: int

    def state(self, fitting: Fitting, diagonal: bool) -> np.ndarray:
        """Return the state (p, K): one pass over the rows, in memory of a block.

        Missing entries count as what one Gaussian for all rows expects there.
        """
        frame, one = fitting.frame(diagonal), fitting.one
        found: list[Moments | None] = [None] * self.k
        at = 0
        for x, w in fitting.data.blocks():
            y = frame.rows(x if one is None else one.completed(x))
            member = self.member[at : at + len(x)]
            at += len(x)
            for c in range(self.k):
                share = w * (member == c if member.ndim == 1 else member[:, c])
                mine = share > 0
                if mine.any():
                    part = Moments.of(y[mine], share[mine], full=not diagonal)
                    sofar = found[c]
                    found[c] = part if sofar is None else sofar + part
        return np.stack([_column(m, diagonal) for m in found if m is not None], axis=1)


def state_from(
    fitting: Fitting, diagonal: bool, k: int, start: dict[str, np.ndarray] | Partition
) -> np.ndarray:
    """Return the state (p, K) of given parameters or of a partition of the rows."""
    if isinstance(start, Partition):
        return start.state(fitting, diagonal)
    return state_from_given(fitting.sketch_rows(diagonal), k, start)


def _column(m: Moments, diagonal: bool) -> np.ndarray:
    own = m.covariance
    return np.concatenate([[m.weight], m.mean, own if diagonal else own[lower_triangle(len(own))]])


def partition_size(labels: Any, responsibilities: Any) -> int | None:
    """Return the number of components that a given partition has; None where none is given."""
    if responsibilities is not None:
        return int(_array(responsibilities, "responsibilities_init", 2).shape[1])
    if labels is None:
        return None
    a = _array(labels, "labels_init", 1)
    a = a[np.isfinite(a)]
    return 1 + int(a.max()) if len(a) and a.max() >= 0 else 1


def given_first(
    given: tuple[Any, Any, Any],
    members: tuple[Any, Any],
    data: Data,
    structures: tuple[Structure, ...],
    sizes: tuple[int, ...],
    *,
    noise: bool,
) -> dict[str, np.ndarray] | Partition | None:
    """Return where EM is told to start, checked: by (weights, means, covariances) or (labels,
    responsibilities); None where nothing is given."""
    parameters_given = any(value is not None for value in given)
    members_given = any(value is not None for value in members)
    if not (parameters_given or members_given):
        return None
    if parameters_given and members_given:
        raise ParameterError(
            "Give initial parameters (weights_init, means_init, covariances_init) or a partition of the "
            "rows (labels_init or responsibilities_init), not both."
        )
    if len(sizes) > 1:
        raise ParameterError("Initial parameters need one number of components; give n_components.")
    if members_given:
        return given_partition(*members, sizes[0], data)
    one = structures[0] if len(structures) == 1 else None
    return given_start(*given, one, sizes[0], data.units, noise=noise)


def given_partition(labels: Any, responsibilities: Any, k: int, data: Data) -> Partition | None:
    """Return the partition of the rows of the fit, checked; None where none is given.

    Labels and responsibilities come for all rows of X; those of rows that were dropped, or that have no
    weight, are not looked at.

    Raises
    ------
    ParameterError
        Naming the first row that is wrong, or the component that no row belongs to.
    """
    if labels is None and responsibilities is None:
        return None
    if labels is not None and responsibilities is not None:
        raise ParameterError("Give labels_init or responsibilities_init, not both.")
    name = "labels_init" if labels is not None else "responsibilities_init"
    a = _array(labels, name, 1) if labels is not None else _array(responsibilities, name, 2)
    raw = data.n if data.kept is None else len(data.kept)
    if len(a) != raw:
        what = "label" if labels is not None else "row of responsibilities"
        raise ParameterError(
            f"{name} needs one {what} per row of X: {raw:,} rows came, {len(a):,} in {name}."
        )
    rows = np.arange(raw) if data.kept is None else np.flatnonzero(data.kept)
    a = a[rows]
    if labels is not None:
        a = _labels(a, rows, k)
    else:
        a = _shares(a, rows, k)
    _require_members(a, name, k, data)
    return Partition(a, k)


def _labels(a: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    wrong = ~((a >= 0) & (a < k) & (a == np.floor(a)))
    if wrong.any():
        i = int(np.flatnonzero(wrong)[0])
        raise ParameterError(
            f"labels_init must be whole numbers from 0 to {k - 1}, one per component of n_components={k}; "
            f"labels_init[{rows[i]}] is {a[i]:g}. np.unique(labels, return_inverse=True)[1] makes them so."
        )
    return a.astype(np.int64)


def _shares(a: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    if a.shape[1] != k:
        raise ParameterError(
            f"responsibilities_init needs {k} columns, one per component of n_components={k}; "
            f"{a.shape[1]} came."
        )
    wrong = ~((a >= 0) & (a <= 1 + SUM))
    if wrong.any():
        i, c = (int(v) for v in np.argwhere(wrong)[0])
        raise ParameterError(
            f"responsibilities_init must lie in [0, 1]; responsibilities_init[{rows[i]}, {c}] is {a[i, c]:g}."
        )
    total = a.sum(axis=1)
    off = np.abs(total - 1.0)
    if (off > SUM).any():
        i = int(np.flatnonzero(off > SUM)[0])
        raise ParameterError(
            f"responsibilities_init must sum to 1 in every row; row {rows[i]} sums to {total[i]:.9g}, off by "
            f"{total[i] - 1.0:.3g}."
        )
    return np.asarray(a / total[:, None])


def _require_members(a: np.ndarray, name: str, k: int, data: Data) -> None:
    sizes = np.bincount(a, minlength=k) if a.ndim == 1 else a.sum(axis=0)
    empty = np.flatnonzero(sizes <= 0)
    if not len(empty):
        return
    which = ", ".join(str(c) for c in empty[:5]) + (" …" if len(empty) > 5 else "")
    unused = "" if data.kept is None else " (rows that were dropped or have weight zero do not count)"
    left = k - len(empty)
    raise ParameterError(
        f"{name} gives component{'s' if len(empty) > 1 else ''} {which} no row{unused}, so there is nothing "
        f"to start from. Number the others 0 to {left - 1} and ask for n_components={left}, or give "
        f"{'them' if len(empty) > 1 else 'it'} rows with weight."
    )


def _array(value: Any, name: str, ndim: int) -> np.ndarray:
    what = "whole numbers (n,)" if ndim == 1 else "numbers (n, K)"
    try:
        a = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(
            f"{name} must be {what}; got {value!r:.80}. np.unique(labels, return_inverse=True)[1] turns "
            "names into numbers."
        ) from None
    if a.ndim != ndim or a.size == 0:
        raise ParameterError(f"{name} must be {what}; got shape {a.shape}.")
    return a
