"""What fitted groups answer: classes, marginals, conditionals and moments."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...core.conditional import ConditionalBatch, given_rows
from ...core.density import Density
from ...core.fitting import Fit
from ...core.params import Params
from ...core.units import Units
from ...errors import DataError, ParameterError, PofxWarning, UnsupportedError
from ...threads import one_blas_thread
from ...validation import Columns, check_memory, column_names, encode, rows_to_query, values_of
from .cells import Cell, conditioned, kept_keys, reduced
from .keys import Keys, positions

__all__ = ["Use"]

Floats = NDArray[np.float64]


class Use(Density):
    """Methods of :class:`pofx.Grouped` that only ask its groups."""

    def _keys(self, params: Params) -> Keys:
        raise NotImplementedError

    def _cells(self, params: Params) -> list[Cell]:
        raise NotImplementedError

    def _made(self, keys: Keys, cells: Sequence[Cell], units: Units, columns: Columns, fit: Fit) -> Density:
        raise NotImplementedError

    # ---------------------------------------------------------------- classes

    def _levels(self, params: Params) -> tuple[Floats, NDArray[np.intp]]:
        """Return the different levels (L, g) in order, and the number of each group's level (k,)."""
        g = len(self._keys(params).by)
        levels, of = np.unique(params["keys"][:, :g], axis=0, return_inverse=True)
        return levels, of.reshape(-1)

    @property
    def levels_(self) -> NDArray[Any]:
        """The levels in ascending order, shape (L,): as recorded, or tuples where several columns group."""
        params = self.params_
        levels, _ = self._levels(params)
        each = [values_of(levels[:, i], params.columns, j) for i, j in enumerate(self._keys(params).by)]
        if len(each) == 1:
            return np.array(each[0])
        out = np.empty(len(levels), dtype=object)
        out[:] = list(zip(*each, strict=True)) if each else [()] * len(levels)
        return out

    @property
    def classes_(self) -> NDArray[Any]:
        """``levels_``, under scikit-learn's name."""
        return self.levels_

    @property
    def weights_(self) -> Floats:
        """The probabilities of the levels, shape (L,)."""
        params = self.params_
        return np.bincount(self._levels(params)[1], weights=params.weights).astype(float)

    def predict_log_proba(self, X: Any) -> Floats:
        """Return log P(level | the other columns) of each row, shape (n, L), in the order of ``levels_``.

        Parameters
        ----------
        X : rows, as for ``fit``
            With the grouping columns, which are not looked at, or without them.

        Raises
        ------
        DataError
            For rows that are impossible at every level: their probabilities are not defined.
        """
        params = self.params_
        keys, (levels, of) = self._keys(params), self._levels(params)
        rest = rows_to_query(X, params.columns, who=type(self).__name__, beside=keys.by)
        check_memory(
            8 * 2 * len(rest) * len(levels), f"Classes of {len(rest):,} rows, {len(levels):,} levels"
        )
        x = np.zeros((len(rest), keys.d))
        x[:, keys.rest] = rest
        g = len(keys.by)
        codes = keys.of_rows(x)[:, g:]
        joint = np.full((len(x), len(levels)), -np.inf)
        with one_blas_thread():
            for cell, level in zip(self._cells(params), of, strict=True):
                at = (codes == cell.key[g:]).all(axis=1)
                if at.any() and cell.weight > 0:
                    log_p = cell.log_density(x[at][:, keys.free(cell.key)])
                    joint[at, level] = math.log(cell.weight) + log_p
        total = logsumexp(joint, axis=1) if len(joint) else np.empty(0)
        if np.isneginf(total).any():
            lost = np.flatnonzero(np.isneginf(total))
            raise DataError(
                f"{len(lost):,} rows are impossible at every level (density zero; first: row {lost[0]}), so "
                "the probabilities of levels are not defined there."
            )
        return np.asarray(joint - total[:, None])

    def predict_proba(self, X: Any) -> Floats:
        """Return P(level | the other columns) of each row, shape (n, L), in the order of ``levels_``."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest level of each row, shape (n,), as it was recorded."""
        return self.levels_[self.predict_log_proba(X).argmax(axis=1)]

    # ---------------------------------------------------------------- files

    def save(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write the model to one safe file; where its densities keep rows (KDE), **with the training rows**.

        Warns
        -----
        PofxWarning
            Each time where it holds rows: whoever has the file has them.
        """
        if _keeps_rows(self.params_):
            warnings.warn(
                "Grouped: the file holds the training rows themselves; whoever has it has them. To pass on a "
                "distribution without its rows, group a Gaussian, a GaussianMixture or a Histogram.",
                PofxWarning,
                stacklevel=2,
            )
        super().save(path, overwrite=overwrite)

    # ---------------------------------------------------------------- parts and moments

    def marginal(self, columns: Any) -> Any:
        """Return the distribution of some columns, the others summed and integrated out.

        Parameters
        ----------
        columns : sequence of names or column numbers

        Returns
        -------
        Grouped, where a grouping column or one with spikes is kept; else the groups' density, or the mixture
        of theirs: a :class:`pofx.Stack`.
        """
        params = self.params_
        keep = self._column_numbers([columns] if isinstance(columns, str | int) else columns)
        if len(set(keep)) != len(keep) or not keep:
            raise ParameterError(f"marginal needs one or more different columns; got {list(columns)!r}.")
        keys = self._keys(params)
        cells = reduced(keys, self._cells(params), keep)
        return self._made(
            kept_keys(keys, keep), cells, params.units.select(keep), params.columns.select(keep), self.fit_
        )

    def condition(self, given: Any) -> Any:
        """Return the distribution of the remaining columns, given values of some.

        Parameters
        ----------
        given : mapping of name or column number to value, or a DataFrame
            A level is given as it was recorded: ``{"sex": "Female"}``. One value per column gives a density:
            that of the level where all grouping columns are given; several values give a batch.

        Raises
        ------
        DataError
            For a level that was never seen, and for values that no level makes possible.
        """
        params = self.params_
        numbers, rows, single = self._given(given, params.columns)
        rest = [j for j in range(len(params.units)) if j not in numbers]
        if not numbers or not rest or len(set(numbers)) != len(numbers):
            raise ParameterError(
                "condition needs at least one column and must leave at least one; got columns "
                f"{numbers!r} of {len(params.units)}."
            )
        keys = self._keys(params)
        self._check_given(params, numbers, rows)
        units, columns = params.units.select(rest), params.columns.select(rest)
        made = []
        with one_blas_thread():
            for row in rows:
                cells = conditioned(keys, self._cells(params), dict(zip(numbers, row.tolist(), strict=True)))
                made.append(self._made(kept_keys(keys, rest), cells, units, columns, self.fit_))
        return made[0] if single else ConditionalBatch(made)

    def _given(self, given: Any, columns: Columns) -> tuple[list[int], Floats, bool]:
        """Return the given columns, their values (m, q) with levels as numbers, and whether one row came."""
        if not isinstance(given, Mapping):
            names = column_names(given)
            if names is None:
                raise ParameterError(
                    "condition needs to know which columns are given: a mapping such as {'sex': 'Female'} or "
                    "a DataFrame with named columns."
                )
            numbers = self._column_numbers(names)
            return numbers, rows_to_query(given, columns.select(numbers), who=type(self).__name__), False
        coded = {key: encode(value, columns, columns.index(key)) for key, value in given.items()}
        found, rows, single = given_rows(coded)
        return self._column_numbers(found), rows, single

    def _check_given(self, params: Params, numbers: list[int], rows: Floats) -> None:
        """Refuse given levels that were never seen."""
        keys, (levels, _) = self._keys(params), self._levels(params)
        known = [i for i, j in enumerate(keys.by) if j in numbers]
        if not known:
            return
        asked = rows[:, [numbers.index(keys.by[i]) for i in known]]
        strange = positions(np.unique(levels[:, known], axis=0), asked + 0.0) < 0
        if strange.any():
            part = Keys(tuple(keys.by[i] for i in known), (), keys.d)
            words = part.said(asked[int(strange.argmax())], params.columns)
            there = "; ".join(
                part.said(level, params.columns) for level in np.unique(levels[:, known], axis=0)[:6]
            )
            raise DataError(f"{words} is a level that was never seen in training. There are {there}.")

    def _moments(self, params: Params, what: str) -> tuple[Floats, Floats, Floats]:
        """Return the weights (k,), means (k, d) and covariances (k, d, d) of the groups, data units."""
        keys, columns = self._keys(params), params.columns
        texts = [columns.label(j) for j in keys.by if columns.levels_of(j) is not None]
        if texts:
            rest = [columns.names[j] if columns.names else j for j in keys.rest]
            raise UnsupportedError(
                f"{what} of text ({', '.join(map(repr, texts))}) is not defined; take the columns of "
                f"numbers, as in .marginal({rest!r}).{what}()"
            )
        cells, d = self._cells(params), keys.d
        means, covariances = np.zeros((len(cells), d)), np.zeros((len(cells), d, d))
        for i, cell in enumerate(cells):
            for j, value in keys.fixed(cell.key).items():
                means[i, j] = value
            if cell.part is not None:
                free = keys.free(cell.key)
                means[i, free] = cell.part.mean()
                if what == "covariance":
                    covariances[np.ix_([i], free, free)] = cell.part.covariance()
        return np.asarray(params.weights), means, covariances

    def _mean(self, params: Params) -> Floats:
        w, means, _ = self._moments(params, "mean")
        return params.units.to(w @ means)

    def _covariance(self, params: Params) -> Floats:
        w, means, covariances = self._moments(params, "covariance")
        apart = means - w @ means
        e = params.units.exponent
        total = np.tensordot(w, covariances, 1) + (w[:, None] * apart).T @ apart
        return np.ldexp(total, -(e[:, None] + e[None, :]))


def _keeps_rows(params: Params) -> bool:
    """Tell whether rows are among parameters, as those of a kernel estimate are."""
    return "points" in params or any(_keeps_rows(v) for v in params.values() if isinstance(v, Params))
