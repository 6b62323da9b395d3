"""How the groups are fitted: each from its own rows; too few rows are refused, pooled or left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...core.density import Density
from ...core.estimator import unfitted
from ...core.fitting import Outcome
from ...core.fold import Data
from ...core.params import Params
from ...core.units import Units
from ...errors import DataError, DegenerateError
from ...maths.moments import Moments
from ...validation import Columns
from .keys import Keys, positions
from .settings import for_columns

__all__ = ["Fitted", "Wishes", "fit_groups"]

Floats = NDArray[np.float64]

MOST_GROUPS = 5_000  # beyond it a grouping column is a measurement
MOST_NOTES = 12


@dataclass(frozen=True)
class Wishes:
    """What :class:`pofx.Grouped` was asked: see there."""

    models: Sequence[Density]  # one for all groups, or one for each
    small: str
    least: int | None
    smoothing: float
    tied: bool


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a fit of groups gives: the rows of parameters, and what is to be said."""

    keys: Floats
    weights: Floats
    rows: Floats
    pooled: NDArray[np.bool_]
    parts: Mapping[int, Params]
    outcome: Outcome


class _TooSmall(Exception):
    """Why a group cannot be fitted by itself."""


def fit_groups(data: Data, keys: Keys, wishes: Wishes, rng: np.random.Generator) -> Fitted:
    """Fit one density to the rows of each group.

    Raises
    ------
    DegenerateError
        For a group that cannot be fitted, by name, unless ``small`` says what to do.
    DataError
        For more than 5,000 groups.
    """
    table, rows = tally(data, keys)
    if len(wishes.models) not in (1, len(table)):
        raise DataError(
            f"There are {len(wishes.models)} models for {len(table)} groups; give one for all, or one each: "
            + "; ".join(keys.said(key, data.columns) for key in table[:8])
        )
    several = _Several(data, keys, wishes, table, rng)
    parts: dict[int, Params] = {}
    pooled = np.zeros(len(table), dtype=bool)
    dropped = np.zeros(len(table), dtype=bool)
    reasons: dict[int, str] = {}
    for i in range(len(table)):
        free = keys.free(table[i])
        if not free:
            continue
        try:
            parts[i] = several.own(i, free)
        except _TooSmall as error:
            reasons[i] = str(error)
    for i, why in reasons.items():
        name = keys.said(table[i], data.columns)
        if wishes.small == "error":
            raise DegenerateError(_refusal(name, why, len(reasons)))
        if wishes.small == "drop":
            dropped[i] = True
            several.small.append(f"{name}: {rows[i]:g} rows left out. {_sentence(why)}")
        else:
            parts[i], pooled[i] = several.all_rows(i, keys.free(table[i]), why), True
            several.small.append(f"{name}: takes the density of all levels. {_sentence(why)}")
    if dropped.all():
        raise DegenerateError(f"No group can be fitted: {reasons[0]}")
    kept = np.flatnonzero(~dropped)
    weights = smoothed(table[kept, : len(keys.by)], rows[kept], wishes.smoothing)
    return Fitted(
        table[kept],
        weights,
        rows[kept],
        pooled[kept],
        {new: parts[old] for new, old in enumerate(kept.tolist()) if old in parts},
        several.outcome(len(kept)),
    )


def tally(data: Data, keys: Keys) -> tuple[Floats, Floats]:
    """Return the different keys (k, q) in ascending order, and the weight of the rows of each (k,)."""
    table: Floats = np.empty((0, len(keys.by) + len(keys.spikes)))
    rows: Floats = np.empty(0)
    for x, w in data.rows():
        both = np.concatenate([table, keys.of_rows(x)])
        table, number = np.unique(both, axis=0, return_inverse=True)
        weights = np.concatenate([rows, w])
        rows = np.bincount(number.reshape(-1), weights=weights, minlength=len(table)).astype(float)
        if len(table) > MOST_GROUPS:
            names = ", ".join(repr(data.label(j)) for j in keys.by)
            raise DataError(
                f"{names} makes more than {MOST_GROUPS:,} groups: that is a measurement, not a group. Cut it "
                "into ranges first, or leave it among the columns that have a density."
            )
    return table, rows


def smoothed(levels: Floats, rows: Floats, smoothing: float) -> Floats:
    """Return the probabilities of groups: (n_l + α) / (n + α L) of each level, shared as its rows are."""
    of = np.unique(levels, axis=0, return_inverse=True)[1].reshape(-1)
    totals = np.bincount(of, weights=rows)
    share = (totals + smoothing) / (totals.sum() + smoothing * len(totals))
    return np.asarray(share[of] * rows / totals[of])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _refusal(group: str, why: str, n: int) -> str:
    more = "" if n == 1 else f" The same holds for {n - 1} more group{'s' * (n > 2)}."
    return (
        f"The group {group} cannot be fitted: {why}{more} small='pool' gives such a group the density of all "
        "levels, small='drop' leaves its rows out."
    )


class _Several:
    """The fits of one call: seeds, passes and notes."""

    def __init__(
        self, data: Data, keys: Keys, wishes: Wishes, table: Floats, rng: np.random.Generator
    ) -> None:
        self.data, self.keys, self.wishes, self.table = data, keys, wishes, table
        self.seeds = rng.spawn(len(table) + 1)
        self.notes: list[str] = []
        self.small: list[str] = []  # of groups that are pooled or left out
        self.passes, self.converged = 1, True
        self.made: dict[tuple[float, ...], Params] = {}  # densities of several groups, by spikes

    def model(self, i: int) -> Density:
        """Return the model of a group, unfitted."""
        return model_of(self.wishes.models, i, self.keys, self.table[i], self.data.columns)

    def own(self, i: int, free: list[int]) -> Params:
        """Return the density of one group's own rows."""
        model, key = self.model(i), self.table[i]
        rows = self._rows_of(key, free)
        if self.wishes.tied:
            return self._tied(i, rows, free)
        least = len(free) + 1 if self.wishes.least is None else self.wishes.least
        found = different_rows(rows, least)
        if found < least:
            raise _TooSmall(f"it has {found} different row{'s' * (found != 1)}, fewer than {least}.")
        try:
            return self._fit(model, rows, self.seeds[i], self.keys.said(key, self.data.columns))
        except DataError as error:
            raise _TooSmall(str(error)) from error

    def _rows_of(self, key: Floats, free: list[int]) -> Data:
        return self.data.where(lambda x: (self.keys.of_rows(x) == key).all(axis=1), free)

    def all_rows(self, i: int, free: list[int], why: str) -> Params:
        """Return the density of the rows of all levels with the same spikes."""
        g = len(self.keys.by)
        codes = self.table[i, g:]
        if tuple(codes) not in self.made:
            rows = self.data.where(lambda x: (self.keys.of_rows(x)[:, g:] == codes).all(axis=1), free)
            name = f"all levels together, for {self.keys.said(self.table[i], self.data.columns)}"
            try:
                self.made[tuple(codes)] = self._fit(self.model(i), rows, self.seeds[-1], name)
            except DataError as error:
                raise DegenerateError(
                    f"The group {self.keys.said(self.table[i], self.data.columns)} cannot be fitted: {why} "
                    f"Nor can the rows of all levels: {error} small='drop' leaves its rows out."
                ) from error
        return self.made[tuple(codes)]

    def _fit(self, model: Density, rows: Data, seed: np.random.Generator, name: str) -> Params:
        own = np.random.default_rng(model._seed()) if isinstance(model._seed(), int) else seed
        values, outcome = model._fit(rows, own)
        self.passes += outcome.passes
        self.converged &= outcome.converged
        self.notes += [f"{name}: {note}" for note in outcome.notes]
        if not outcome.converged:
            self.notes.append(f"{name}: did not converge: {outcome.message}")
        return Params(values, rows.units, rows.columns)

    def _tied(self, i: int, rows: Data, free: list[int]) -> Params:
        """Return a Gaussian about the group's mean with the covariance of all rows about their groups' means.

        That is the maximum of the likelihood over Gaussians of equal covariance: linear discriminants.
        """
        g = len(self.keys.by)
        codes = tuple(self.table[i, g:])
        if codes not in self.made:
            self.made[codes] = self._within(codes, free, i)
        within = self.made[codes]
        units = Units(rows.units.shift.copy(), within.units.exponent.copy())
        return Params({**within, "mean": units.to(_mean(rows))}, units, rows.columns)

    def _within(self, codes: tuple[float, ...], free: list[int], i: int) -> Params:
        g = len(self.keys.by)
        groups = self.table[(self.table[:, g:] == codes).all(axis=1)]
        means = np.stack([_mean(self._rows_of(key, free)) for key in groups])

        def centred(x: Floats) -> Floats:
            return x[:, free] - means[positions(groups, self.keys.of_rows(x))]

        every = list(range(self.keys.d))
        rows = self.data.where(lambda x: (self.keys.of_rows(x)[:, g:] == codes).all(axis=1), every)
        about = rows.mapped(centred, self.data.columns.select(free))
        return self._fit(self.model(i), about, self.seeds[-1], "all groups about their means")

    def outcome(self, k: int) -> Outcome:
        names = " and ".join(repr(self.data.label(j)) for j in (*self.keys.by, *self.keys.spiked))
        kind = "/".join(dict.fromkeys(type(model).__name__ for model in self.wishes.models))
        told = f"{k} group{'s' * (k != 1)} of {names}, each a {kind}."
        every = [*self.small, *self.notes]
        notes = every[:MOST_NOTES]
        if len(every) > MOST_NOTES:
            notes.append(f"and {len(every) - MOST_NOTES} more notes on groups")
        return Outcome(self.converged, told, self.passes, notes=tuple(notes))


def model_of(
    models: Sequence[Any], i: int, keys: Keys, key: Sequence[float] | Floats, columns: Columns
) -> Density:
    """Return an unfitted clone of the model of group ``i``, for the columns that are free in it."""
    model = models[0] if len(models) == 1 else models[i]
    if len(models) > 1 or not keys.spikes:
        return cast("Density", unfitted(model))
    return for_columns(model, columns, keys.rest, keys.free(tuple(key)))


def different_rows(rows: Data, most: int) -> int:
    """Return how many rows differ from each other, counted up to ``most``."""
    head = next(rows.rows())[0][: 64 * most]  # nearly always enough
    found = len(np.unique(head, axis=0))
    return min(found if found >= most else len(rows.distinct(limit=most)[0]), most)


def _mean(rows: Data) -> Floats:
    moments: Any = rows.fold(lambda x, w: Moments.of(x, w, full=False))
    return np.asarray(rows.units.back(moments.mean))


def bytes_of(models: Sequence[Any], n: int, d: int) -> int:
    """Return the predicted memory of fitting groups: the groups' rows, and the dearest of the fits."""
    return 8 * n * d + max((model._bytes(n, d) for model in models if model is not None), default=0)
