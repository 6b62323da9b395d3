"""Level frequencies times one density per level.

    p(l, x) = w_l p_l(x),   w_l = (n_l + α) / (n + α L),   P(l | x) = w_l p_l(x) / Σ_m w_m p_m(x)

l is the level of one or several columns (texts, booleans, whole numbers), p_l a density of the other columns
fitted to the rows of that level. It is a probability of the level times a density of the rest: its logarithm
is in nats, in the units of the other columns alone. With one mixture per level the classifier is
discriminant analysis by mixtures (Hastie and Tibshirani 1996; Fraley and Raftery 2002); with one Gaussian per
level it is quadratic, and with ``tied=True`` linear discriminant analysis (Fisher 1936).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from ...core.density import Density
from ...core.estimator import unfitted
from ...core.fitting import Fit, Outcome
from ...core.fold import Data
from ...core.params import Params
from ...core.units import Units
from ...errors import DataError, ParameterError
from ...validation import (
    Columns,
    check_memory,
    one_of,
    real_number,
    rows_to_query,
    values_of,
    whole_number,
)
from ..gaussian import Gaussian
from .cells import Cell
from .fit import Wishes, bytes_of, fit_groups, model_of
from .keys import Keys, listed, mapping, positions
from .known import known_groups
from .use import Use

__all__ = ["Group", "Grouped"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Group:
    """One group of a fitted model.

    Attributes
    ----------
    level : value of each grouping column
    at : value of each column that stands at a spike in this group
    weight : probability of the group
    rows : weight of its training rows
    model : the fitted density of the other columns; None where none is left
    pooled : whether that is the density of the rows of all levels
    """

    level: Mapping[str, Any]
    at: Mapping[str, float]
    weight: float
    rows: float
    model: Density | None
    pooled: bool


class Grouped(Use):
    """Level frequencies × one density per level, itself a density, and a classifier.

    Parameters
    ----------
    model : Density, or a sequence of them
        What is fitted to the rows of each level: one for all, or one for each group in ascending order.
        Clones are fitted; these stay as they are.
    by : name or number of a column, or a list of them
        The grouping columns: texts, booleans, whole numbers. Of several, every combination that occurs is a
        level.
    spikes : mapping of column to a value or several, optional
        Values that a column of numbers takes exactly and often, such as zero capital gain. There it has a
        probability, elsewhere a density; rows at spikes are groups of their own within their level.
    tied : bool
        One covariance for all groups: linear discriminant analysis. For :class:`pofx.Gaussian` of any
        structure.
    smoothing : float, default 0
        Added to the number of rows of each level that occurs (α; ½ is Krichevsky and Trofimov's).
    small : {"error", "pool", "drop"}
        What becomes of a group that cannot be fitted by itself: refused by name; given the density of the
        rows of all levels; or its rows left out, so that its level counts as never seen. ``fit_.notes`` names
        them.
    least : int, optional
        Different rows below which a group is small; by default one more than the columns of its density.
    unseen : {"error", "impossible"}
        Rows of a level that was never seen in training: refused by name, or given probability 0.
    missing, weight_kind
        See :class:`pofx.core.density.Density`.

    Attributes
    ----------
    levels_ : ndarray (L,)
        The levels in ascending order, as they were recorded; tuples where several columns group.
    weights_ : ndarray (L,)
        Their probabilities.
    groups_ : tuple of Group
        Each group with its density.

    Notes
    -----
    ``measure`` is ``"mixed"``: values may be compared with other models of the same ``by`` and ``spikes``,
    and not with a density of all columns.

    *Pitfall.* Every group pays for its own parameters: of many small groups each density follows its few
    rows. Hold out rows, and compare with ``tied=True`` or without groups::

        >>> import numpy as np, pofx
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(400, 6))
        >>> x[:, 0] = rng.integers(0, 40, size=400)  # 40 groups that differ in nothing
        >>> free, tied = (pofx.Grouped(pofx.Gaussian(), by=0, tied=t).fit(x[:320]) for t in (False, True))
        >>> float(free.score(x[320:])) < float(tied.score(x[320:]))
        True

    Examples
    --------
    >>> import pofx
    >>> rows = [["a", 1.0], ["a", 2.0], ["b", 7.0], ["a", 1.5], ["b", 9.0]]
    >>> model = pofx.Grouped(pofx.Gaussian(), by=0).fit(rows)
    >>> model.weights_.tolist(), model.predict([[1.7]]).tolist()
    ([0.6, 0.4], ['a'])
    """

    measure: ClassVar[str] = "mixed"

    def __init__(
        self,
        model: Any = None,
        by: Any = None,
        *,
        spikes: Any = None,
        tied: bool = False,
        smoothing: float = 0.0,
        small: str = "error",
        least: int | None = None,
        unseen: str = "error",
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.model = model
        self.by = by
        self.spikes = spikes
        self.tied = tied
        self.smoothing = smoothing
        self.small = small
        self.least = least
        self.unseen = unseen
        self.missing = missing
        self.weight_kind = weight_kind

    @classmethod
    def from_models(cls, models: Mapping[Any, Density], weights: Any, *, by: Any = None) -> Grouped:
        """Return the density of known densities, one for each level, with given probabilities.

        Parameters
        ----------
        models : mapping of level to fitted density, all of the same columns
            A level is a text, a number or a boolean; a tuple of these where several columns group.
        weights : array (L,), or mapping of level to probability
            ≥ 0 with sum 1.
        by : name of the grouping column, or a list of names
            They come first; by default ``"group"`` where the densities have names, no name otherwise.

        Raises
        ------
        ParameterError
            For no models, other columns, and weights that are not ≥ 0 with sum 1.
        """
        keys, cells, units, columns = known_groups(models, weights, by)
        return cast("Grouped", cls()._made(keys, cells, units, columns, Fit.given()))

    # ---------------------------------------------------------------- what kind of density

    def _models(self) -> list[Any]:
        return list(self.model) if isinstance(self.model, Sequence) else [self.model]

    @property
    def kind(self) -> str:  # type: ignore[override]
        """That of the groups' densities: "exact" where all are, else that of the first that is not."""
        return next((m.kind for m in self._models() if m is not None and m.kind != "exact"), "exact")

    @property
    def rank(self) -> float:  # type: ignore[override]
        """That of the groups' densities."""
        return max((m.rank for m in self._models() if m is not None), default=9)

    @property
    def rtol(self) -> float:  # type: ignore[override]
        """How far batches of another size may move a log density."""
        return max((m.rtol for m in self._models() if m is not None), default=1e-10)

    @property
    def equivariance(self) -> str:  # type: ignore[override]
        """That of the groups' densities."""
        return next(
            (m.equivariance for m in self._models() if m is not None and m.equivariance == "scalar"),
            "columns",
        )

    def _check(self) -> None:
        models = self._models()
        for model in models:
            if model is None and isinstance(
                self.model, Sequence
            ):  # a group without a density, made from others
                continue
            if not isinstance(model, Density) or isinstance(model, type):
                raise ParameterError(
                    f"Grouped needs a model such as Gaussian(), or a list of them; got {model!r:.80}."
                )
            if model.kind == "none":
                raise ParameterError(f"{model!r} has no log density, so it cannot be weighed by groups.")
            if model.measure == "mixed":
                raise ParameterError("Groups within groups: name all grouping columns in by= instead.")
            model._check()
        if not listed(self.by) and not mapping(self.spikes):
            raise ParameterError("Grouped needs by=, a column or several, or spikes=, a mapping of columns.")
        one_of(self.small, "small", ("error", "pool", "drop"))
        one_of(self.unseen, "unseen", ("error", "impossible"))
        real_number(self.smoothing, "smoothing", least=0.0)
        if self.least is not None:
            whole_number(self.least, "least", least=1)
        if not isinstance(self.tied, bool | np.bool_):
            raise ParameterError(f"tied must be True or False; got {self.tied!r}.")
        if self.tied and not all(type(model) is Gaussian for model in models):
            raise ParameterError(
                "tied=True shares one covariance among Gaussians: Grouped(Gaussian(), by=..., tied=True). Of "
                f"{type(models[0]).__name__} every group has its own parameters."
            )
        if self.tied and len(models) > 1 and "params_" not in self.__dict__:
            raise ParameterError("tied=True takes one Gaussian for all groups, not a list.")

    def _group_columns(self) -> Sequence[str | int]:
        return listed(self.by)

    def _counted(self, columns: Columns) -> Sequence[int]:
        return [columns.index(key) for key in listed(self.by)]

    # ---------------------------------------------------------------- fit

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[Mapping[str, Any], Outcome]:
        keys = Keys.of(self.by, self.spikes, data.columns)
        if None in self._models():
            raise ParameterError(
                "These groups were made from others and have no models to fit; name them anew."
            )
        if not keys.rest:
            raise DataError("Every column is a grouping column: none is left to have a density.")
        wishes = Wishes(self._models(), self.small, self.least, float(self.smoothing), bool(self.tied))
        found = fit_groups(data, keys, wishes, rng)
        values = {"keys": found.keys, "weights": found.weights, "rows": found.rows, "pooled": found.pooled}
        return {**values, **{f"part{i}": part for i, part in found.parts.items()}}, found.outcome

    def _bytes(self, n: int, d: int) -> int:
        return bytes_of(self._models(), n, d)

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        table, weights = values.get("keys"), values.get("weights")
        k = len(table) if isinstance(table, np.ndarray) and table.ndim == 2 else 0
        for name, kind in (("weights", "f"), ("rows", "f"), ("pooled", "b")):
            array = values.get(name)
            if not k or not isinstance(array, np.ndarray) or array.shape != (k,) or array.dtype.kind != kind:
                raise ParameterError(f"Grouped needs {name} of its {k} groups, one each.")
        assert isinstance(table, np.ndarray)
        assert isinstance(weights, np.ndarray)
        if not np.isfinite(table).all() or not (weights >= 0).all() or abs(weights.sum() - 1.0) > 1e-9:
            raise ParameterError("Grouped needs finite levels, and weights >= 0 with sum 1.")
        models = self._models()
        if len(models) not in (1, k):
            raise ParameterError(f"Grouped has {len(models)} models for {k} groups.")
        columns = getattr(values, "columns", None) or Columns.plain(d)
        keys = Keys.of(self.by, self.spikes, columns)
        if table.shape[1] != len(keys.by) + len(keys.spikes):
            raise ParameterError("The levels of Grouped do not fit its by= and spikes=.")
        for j, level in ((j, columns.levels_of(j)) for j in keys.by):
            codes = table[:, keys.by.index(j)]
            if level is not None and not np.isin(codes, np.arange(len(level.words))).all():
                raise ParameterError(f"The levels of {columns.label(j)!r} are no numbers of its texts.")
        for i, key in enumerate(table):
            if any(
                code not in range(len(v) + 1)
                for (_, v), code in zip(keys.spikes, key[len(keys.by) :], strict=True)
            ):
                raise ParameterError("Grouped names a spike that there is not.")
            free, part = keys.free(key), values.get(f"part{i}")
            if bool(free) != isinstance(part, Params) or (part is not None and len(part.units) != len(free)):
                raise ParameterError(f"Grouped needs the parameters of {len(free)} columns for group {i}.")
            if part is not None:
                if models[0 if len(models) == 1 else i] is None:
                    raise ParameterError(f"Group {i} of Grouped has parameters, and no model.")
                model_of(models, i, keys, key, columns)._check_values(part, len(free))

    # ---------------------------------------------------------------- fitted state

    def _keys(self, params: Params) -> Keys:
        return params.derived("keys of groups", lambda: Keys.of(self.by, self.spikes, params.columns))

    def _cells(self, params: Params) -> list[Cell]:
        def made() -> list[Cell]:
            keys, models, out = self._keys(params), self._models(), []
            for i, (key, weight, rows, pooled) in enumerate(
                zip(params["keys"], params.weights, params.rows, params.pooled, strict=True)
            ):
                part: Density | None = None
                if f"part{i}" in params:
                    part = model_of(models, i, keys, key, params.columns)
                    own = replace(
                        self.fit_, n_rows=round(rows), effective_n=float(rows), notes=(), n_dropped=0
                    )
                    part._adopt(params[f"part{i}"], replace(own, fingerprint=None))
                out.append(Cell(tuple(key.tolist()), float(weight), float(rows), part, bool(pooled)))
            return out

        found: list[Cell] = params.derived("groups", made)
        return found

    @property
    def groups_(self) -> tuple[Group, ...]:
        """The groups with their densities, in ascending order of their levels."""
        params = self.params_
        keys, columns = self._keys(params), params.columns
        out = []
        for cell in self._cells(params):
            fixed = keys.fixed(cell.key)
            level = {columns.label(j): values_of(np.array([fixed[j]]), columns, j)[0] for j in keys.by}
            at = {columns.label(j): fixed[j] for j in keys.spiked if j in fixed}
            out.append(Group(level, at, cell.weight, cell.rows, cell.part, cell.pooled))
        return tuple(out)

    def _n_parameters(self, params: Params) -> int:
        cells = self._cells(params)
        own = [cell.part for cell in cells if cell.part is not None and not cell.pooled]
        shared = {tuple(c.key[len(self._keys(params).by) :]): c.part for c in cells if c.pooled}
        total = sum(part.n_parameters_ for part in (*own, *shared.values()) if part is not None)
        if self.tied:  # the covariance counts once for each pattern of spikes
            seen: dict[tuple[float, ...], int] = {}
            for cell in cells:
                if cell.part is not None:
                    free = cell.part.n_features_in_
                    total -= cell.part.n_parameters_ - free
                    seen[cell.key[len(self._keys(params).by) :]] = cell.part.n_parameters_ - free
            total += sum(seen.values())
        return total + len(cells) - 1

    # ---------------------------------------------------------------- density

    def _query(self, X: Any) -> Floats:
        unseen = "keep" if self.unseen == "impossible" else "error"
        return rows_to_query(X, self.params_.columns, who=type(self).__name__, unseen=unseen)

    # The row level is overridden, not the unit-space hooks: every group has units of its own.

    def _log_density_rows(self, params: Params, x: Floats) -> Floats:
        keys, cells = self._keys(params), self._cells(params)
        asked = keys.of_rows(x)
        of = positions(params["keys"], asked)
        if self.unseen == "error" and (of < 0).any():
            self._refuse_unseen(params, asked, of)
        out = np.full(len(x), -np.inf)
        for i in np.unique(of[of >= 0]):
            at, cell = of == i, cells[i]
            if cell.weight > 0:
                out[at] = math.log(cell.weight) + cell.log_density(x[at][:, keys.free(cell.key)])
        return out

    def _refuse_unseen(self, params: Params, asked: Floats, of: NDArray[np.intp]) -> None:
        """Refuse rows of levels that were never seen; a spike that was never seen there is impossible."""
        keys, (levels, _) = self._keys(params), self._levels(params)
        strange = positions(levels, asked[:, : len(keys.by)]) < 0
        if not strange.any():
            return
        row = int(strange.argmax())
        labels = [keys.said([*level], params.columns) for level in levels[:6]]
        more = f"; and {len(levels) - 6} more" if len(levels) > 6 else ""
        raise DataError(
            f"{int(strange.sum()):,} of {len(asked):,} rows are of a level that was never seen in training: "
            f"{keys.said(asked[row, : len(keys.by)], params.columns)} (first: row {row}). It knows "
            f"{'; '.join(labels)}{more}. unseen='impossible' gives such rows probability 0."
        )

    def _log_density(self, params: Params, x: Floats) -> Floats:
        return self._log_density_rows(params, params.units.back(x)) - params.units.log_jacobian

    def _sample_rows(self, params: Params, n: int, rng: np.random.Generator) -> Floats:
        d = len(params.units)
        check_memory(3 * 8 * n * d, f"Drawing {n:,} rows of {d:,} columns")
        keys, out, start = self._keys(params), np.empty((n, d)), 0
        counts = rng.multinomial(n, params.weights / params.weights.sum())
        for cell, count in zip(self._cells(params), counts.tolist(), strict=True):
            block = out[start : start + count]
            start += count
            for j, value in keys.fixed(cell.key).items():
                block[:, j] = value
            if cell.part is not None and count:
                block[:, keys.free(cell.key)] = cell.part._sample_rows(cell.part.params_, count, rng)
        return np.ascontiguousarray(out[rng.permutation(n)])

    # ---------------------------------------------------------------- made of groups

    def _made(self, keys: Keys, cells: Sequence[Cell], units: Units, columns: Columns, fit: Fit) -> Density:
        """Return the density that these groups make: one of their own kind where nothing groups any more."""
        if not keys.by and not keys.spikes:
            assert cells[0].part is not None
            return cells[0].part
        name = (lambda j: j) if columns.names is None else columns.names.__getitem__
        out = Grouped(
            [None if cell.part is None else unfitted(cell.part) for cell in cells],
            by=[name(j) for j in keys.by],
            spikes={name(j): list(values) for j, values in keys.spikes} or None,
            unseen=self.unseen,
        )
        total = math.fsum(cell.weight for cell in cells)
        values: dict[str, Any] = {
            "keys": np.array([cell.key for cell in cells], dtype=float),
            "weights": np.array([cell.weight for cell in cells]) / total,
            "rows": np.array([cell.rows for cell in cells]),
            "pooled": np.array([cell.pooled for cell in cells]),
        }
        values |= {f"part{i}": c.part.params_ for i, c in enumerate(cells) if c.part is not None}
        params = Params(values, units, columns)
        out._check_values(params, len(units))
        out._adopt(params, fit)
        return out

    def _finest_scale(self, params: Params) -> Floats | None:
        keys, finest = self._keys(params), np.full(len(params.units), np.inf)
        for cell in self._cells(params):
            own = None if cell.part is None else cell.part._finest_scale(cell.part.params_)
            if own is not None and cell.part is not None and cell.weight > 0:
                free = keys.free(cell.key)
                power = cell.part.params_.units.exponent - params.units.exponent[free]
                finest[free] = np.minimum(finest[free], np.ldexp(np.asarray(own, dtype=float), power))
        return finest if np.isfinite(finest).any() else None

    def _flat(self) -> bool:
        return all(model is None or model._flat() for model in self._models())
