"""A density seen through a change of variables.

    log p_x(x) = log p_z(b(x)) + Σ_j log |b_j'(x_j)|,   z_j = b_j(x_j) column by column

so that a model of z is a density of x in x's own units, and its draws respect x's bounds. Of a column that is
recorded in steps, the probability of a value is the mass of its cell:

    P(x) = ∫_{b(cell)} p_z(z) dz
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import DataError, ParameterError, UnsupportedError
from ...maths.bijections import Bijection
from ...validation import Columns
from ..density import Density
from ..estimator import unfitted
from ..fitting import Fit, Outcome
from ..fold import Data
from ..params import Params
from .columns import Column, columns_of, discrete_columns, given_for
from .moments import log_slopes_mean, mean_and_covariance
from .outside import refuse_outside

__all__ = ["Transformed"]

PLACES = 501  # draws that tell how wide bumps are in data units


class Transformed(Density):
    """``model`` fitted to the transformed columns, with the Jacobian included.

    Parameters
    ----------
    model : Density
        The model of the transformed rows; it is copied, never changed. Any model that has a density.
    bijection : mapping of column to bijection, or one for all columns
        A column is a name or a number. Bounds ``(low, high)``, with ``None`` for an open end, may be touched
        by a column that is recorded in steps s: an end that can be recorded moves out by s/2, for a recorded
        0 stands for what is rounded to 0. ``"log"`` (above 0), ``"logit"`` (between 0 and 1) and the objects
        of :mod:`pofx.maths.bijections` are taken as they are, their ends open. Other columns stay.
    discrete : bool or list of columns
        Which columns' recorded values have a probability instead of a density: ``log_density`` is then the
        log of the probability of the values of those columns times the density of the others given them,
        and ``-inf`` between recorded values. With ``True``, of all, ``measure`` is "mass". The parameters are
        those of the fit to the values as they stand.
    missing, weight_kind
        See :class:`pofx.core.density.Density`; they hold for ``model`` too.

    Raises
    ------
    DataError
        At ``fit``, for rows outside the bounds: how many, which, and in which columns.

    Notes
    -----
    *How probabilities are computed.* One column: by its distribution function. A Gaussian and a mixture of
    them: one Gauss-Legendre rule of d - 1 dimensions for d ≤ 4 discrete columns, a lattice beyond (Genz). A
    KDE with one bandwidth per column and a histogram: exactly. Any other density: nodes inside the cell.
    ``discrete_error`` says how far off they may be.

    *Pitfall.* ``sample(exact=True)`` and ``log_density`` reach half a step beyond a recorded end, because
    what is recorded as that end does; recorded draws never do.

    Examples
    --------
    >>> import numpy as np, pofx
    >>> income = np.exp(np.linspace(-2, 2, 101))
    >>> p = pofx.Transformed(pofx.Gaussian(), "log").fit(income)
    >>> float(p.log_density([-1.0])[0])  # outside the support
    -inf
    >>> children = np.repeat([0, 1, 2, 3, 4], [30, 25, 28, 12, 5])
    >>> q = pofx.Transformed(pofx.Gaussian(), (0, None), discrete=True).fit(children)
    >>> round(float(q.density(np.arange(60)).sum()), 3)  # probabilities
    1.0
    """

    def __init__(
        self,
        model: Any = None,
        bijection: Any = None,
        *,
        discrete: Any = False,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.model = model
        self.bijection = bijection
        self.discrete = discrete
        self.missing = missing
        self.weight_kind = weight_kind

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The kind of the inner model's log density."""
        return self._given_model().kind

    @property
    def measure(self) -> str:  # type: ignore[override]
        """That of the inner model, "mass" with ``discrete=True``, or "mass in ..." of some columns."""
        if self.discrete is True:
            return "mass"
        if self.discrete:
            return f"mass in {', '.join(sorted(repr(key) for key in self.discrete))}"
        return self._given_model().measure

    @property
    def rank(self) -> float:  # type: ignore[override]
        """The inner model's rank."""
        return self._given_model().rank

    @property
    def takes_missing(self) -> bool:  # type: ignore[override]
        """Whether the inner model uses what is known of incomplete rows."""
        return self._given_model().takes_missing

    @property
    def rtol(self) -> float:  # type: ignore[override]
        """How far batches of another size may move a log density: that of the inner model."""
        return self._given_model().rtol

    @property
    def equivariance(self) -> str:  # type: ignore[override]
        """ "none": bounds and steps stay where they are when the units change."""
        return "none"

    def _given_model(self) -> Density:
        if not isinstance(self.model, Density):
            raise ParameterError(f"Transformed needs a model such as Gaussian(); got {self.model!r:.80}.")
        return self.model

    def _check(self) -> None:
        model = self._given_model()
        if model.measure != "density":
            raise ParameterError("Transformed needs a model with a density; a mass has no Jacobian.")
        if self.bijection is None and not self.discrete:
            raise ParameterError("Transformed needs a bijection: {'income': 'log'}, 'log', (0, None), …")
        for name in ("missing", "weight_kind"):
            inner = getattr(model, name, None)
            if inner not in (None, "error", getattr(self, name)):
                raise ParameterError(
                    f"{name} is said once, to Transformed: write Transformed(..., {name}={inner!r}) and "
                    f"leave it out of {type(model).__name__}."
                )
        model._check()

    def _check_missing(self) -> None:
        self._unfitted()._check_missing()

    def _seed(self) -> Any:
        return self._given_model()._seed()

    def _columns(self, columns: Columns) -> list[Column]:
        return columns_of(self.bijection, self.discrete, columns)

    def _maps(self, columns: Columns) -> list[Bijection]:
        return [column.map for column in self._columns(columns)]

    # ---------------------------------------------------------------- fit

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[Mapping[str, Any], Outcome]:
        maps = self._maps(data.columns)
        refuse_outside(data, maps, given_for(self.bijection, data.columns))
        # A transformed column has no recorded precision of its own.
        plain = Columns.plain(data.d, data.columns.names)
        transformed = data.mapped(lambda x: _forward(maps, x), plain)
        values, outcome = self._unfitted()._fit(transformed, rng)
        if outcome.trace or outcome.search:
            total = float(data.fold(lambda z, w: w @ _log_slopes(maps, data.units.back(z))))
            outcome = _in_data_units(outcome, total)
        return {"inner": Params(values, transformed.units, transformed.columns)}, outcome

    def _unfitted(self) -> Density:
        model: Density = unfitted(self._given_model())
        model.set_params(missing=self.missing)
        return model

    def _inner(self, params: Params) -> Density:
        """Return the fitted model of the transformed rows."""

        def made() -> Density:
            inner = self._unfitted()
            inner._adopt(params.inner, replace(self.fit_, calibration=None))
            return inner

        found: Density = params.derived("inner", made)
        return found

    @property
    def searches(self) -> bool:
        """Whether the inner model's fit chooses among candidates."""
        return self._given_model().searches

    def _narrowed(self) -> Density | None:
        narrower = self._inner(self.params_)._narrowed()
        return None if narrower is None else self._around(unfitted(narrower))

    @property
    def parametric(self) -> bool:
        """Whether the inner model is a parametric family."""
        return self._inner(self.params_).parametric if "params_" in vars(self) else self.model.parametric

    def _refitted(self, x: np.ndarray) -> Density:
        params = self.params_
        inner = self._inner(params)._refitted(_forward(self._maps(params.columns), x))
        again = self._around(unfitted(inner))
        again._adopt(Params({"inner": inner.params_}, params.units, params.columns), Fit.given())
        return again

    def _around(self, model: Density) -> Transformed:
        return type(self)(**{**self.get_params(deep=False), "model": model})

    # ---------------------------------------------------------------- density and draws
    # The row level is overridden, not the unit-space hooks: a bijection speaks data units.

    def _log_density_rows(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._log_rows(params, x, coarse=False)

    def _log_rows(self, params: Params, x: np.ndarray, *, coarse: bool) -> np.ndarray:
        columns = self._columns(params.columns)
        discrete = np.array([column.discrete for column in columns])
        gaps = np.isnan(x)
        if discrete.any() and gaps.any():
            return self._by_pattern(x, gaps, coarse)
        possible = np.ones(len(x), dtype=bool)
        for j, column in enumerate(columns):
            on = column.lattice.holds if column.discrete and column.lattice else column.map.inside
            possible &= on(x[:, j]) | gaps[:, j]
        out = np.full(len(x), -np.inf)
        inside = x[possible]
        if not len(inside):
            return out
        inner, maps = self._inner(params), [column.map for column in columns]
        if discrete.any():
            distinct, number = np.unique(inside, axis=0, return_inverse=True)  # recorded rows repeat
            lower, upper = _boxes(columns, distinct)
            log_mass = inner._log_box_rows(params.inner, lower, upper, ~discrete, coarse)
            out[possible] = log_mass[number.reshape(-1)]
            maps = [b for b, cell in zip(maps, discrete, strict=True) if not cell]
            inside = inside[:, ~discrete]
        else:
            out[possible] = inner._log_density_rows(params.inner, _forward(maps, inside))
        out[possible] += _log_slopes(maps, inside)
        return out

    def _by_pattern(self, x: np.ndarray, gaps: np.ndarray, coarse: bool) -> np.ndarray:
        """Rows with the same entries missing, by the marginal of the others."""
        out = np.zeros(len(x))
        patterns, number = np.unique(gaps, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            keep, rows = np.flatnonzero(~pattern).tolist(), np.flatnonzero(number.reshape(-1) == k)
            if keep:
                part = self.marginal(keep)
                out[rows] = part._log_rows(part.params_, x[rows][:, keep], coarse=coarse)
        return out

    def discrete_error(self, X: Any) -> np.ndarray:
        """Return how far off the log probability of each row may be: by how much it differs from that of
        a coarser rule, nats, shape (n,). Zero where it is exact; see the class's notes."""
        x = self._query(X)
        fine = self._log_rows(self.params_, x, coarse=False)
        rough = self._log_rows(self.params_, x, coarse=True)
        with np.errstate(invalid="ignore"):
            return np.where(fine == rough, 0.0, np.abs(fine - rough))

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        back = params.units.back(x)
        if self._meets_gaps():
            return self._log_density_rows(params, back) - params.units.log_jacobians(back)
        return self._log_density_rows(params, back) - params.units.log_jacobian

    def _sample_rows(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        z = self._inner(params)._sample_rows(params.inner, n, rng)
        columns = self._columns(params.columns)
        x = [column.map.inverse_inside(z[:, j]) for j, column in enumerate(columns)]
        for j, column in enumerate(columns):
            if column.discrete:
                x[j] = column.recordable(x[j])
        return np.stack(x, axis=1)

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        return params.units.to(self._sample_rows(params, n, rng))

    def _recordable(self, params: Params, rows: np.ndarray) -> np.ndarray:
        columns = self._columns(params.columns)
        return np.stack([column.recordable(rows[:, j]) for j, column in enumerate(columns)], axis=1)

    # ---------------------------------------------------------------- parts

    def _part(self, params: Params, part: Density, keep: list[int]) -> dict[str, Any]:
        given = given_for(self.bijection, params.columns)
        chosen = discrete_columns(self.discrete, params.columns)
        discrete: Any = [k for k, j in enumerate(keep) if j in chosen]
        hyper = {
            **self.get_params(deep=False),
            "model": unfitted(part).set_params(missing="error"),
            "bijection": {k: given[j] for k, j in enumerate(keep)},
            "discrete": len(discrete) == len(keep) or discrete or False,
        }
        return {"inner": part.params_, "__hyper__": hyper}

    def _marginal(self, params: Params, keep: list[int]) -> Mapping[str, Any]:
        return self._part(params, self._inner(params).marginal(keep), keep)

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> Mapping[str, Any]:
        columns = self._columns(params.columns)
        x = params.units.select(given).back(z)
        for j, value in zip(given, x, strict=True):
            if columns[j].discrete:
                raise UnsupportedError(
                    f"{params.columns.label(j)!r} is discrete: what is given is a cell, and only a value can "
                    "be conditioned on. Fit with discrete=False, or leave this column out of discrete."
                )
            if not columns[j].map.inside(value):
                raise DataError(
                    f"Cannot condition on {params.columns.label(j)} = {value:g}: "
                    f"it lies outside {columns[j].map.domain}."
                )
        at = {j: float(columns[j].map.forward(value)) for j, value in zip(given, x, strict=True)}
        rest = [j for j in range(len(columns)) if j not in given]
        return self._part(params, self._inner(params).condition(at), rest)

    # ---------------------------------------------------------------- moments and entropy

    def _mean(self, params: Params) -> np.ndarray:
        return params.units.to(self._moments(params)[0])

    def _covariance(self, params: Params) -> np.ndarray:
        e = params.units.exponent
        return np.ldexp(self._moments(params)[1], -(e[:, None] + e[None, :]))

    def _moments(self, params: Params) -> tuple[np.ndarray, np.ndarray]:
        parts = self._inner(params)._gaussian_parts(params.inner)
        if parts is None or self.discrete:
            what = (
                "discrete columns" if self.discrete else f"a {type(self.model).__name__} seen through a map"
            )
            raise UnsupportedError(
                f"mean and covariance have no formula for {what}; draw instead: "
                "np.mean(model.sample(100_000), axis=0)."
            )
        return mean_and_covariance(self._maps(params.columns), *parts, params.inner.units)

    def _entropy(self, params: Params) -> float | None:
        inner = self._inner(params)
        exact, parts = inner._entropy(params.inner), inner._gaussian_parts(params.inner)
        if self.discrete or exact is None or parts is None:
            return None
        slopes = log_slopes_mean(self._maps(params.columns), *parts, params.inner.units)
        return exact - params.inner.units.log_jacobian - slopes + params.units.log_jacobian

    # ---------------------------------------------------------------- one column

    def _tail_at(self, params: Params, x: np.ndarray, upper: bool) -> np.ndarray:
        (column,) = self._columns(params.columns)
        data = params.units.back(x[:, None])[:, 0]
        if column.discrete and column.lattice is not None:
            data = column.lattice.up_to(data)
        low, high = column.map.domain
        inside = (data > low) & (data < high)
        upper_z = upper == column.map.increasing  # a decreasing map exchanges the tails
        inner = self._inner(params)
        tail = inner._log_sf if upper_z else inner._log_cdf
        out = np.where((data >= high) == upper, -np.inf, 0.0)
        z = params.inner.units.to(column.map.forward(data[inside])[:, None])[:, 0]
        out[inside] = tail(params.inner, z)
        return out

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_at(params, x, upper=False)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_at(params, x, upper=True)

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        (column,) = self._columns(params.columns)
        z = self._inner(params)._quantile(params.inner, q if column.map.increasing else 1.0 - q)
        with np.errstate(over="ignore"):
            x = column.map.inverse(params.inner.units.back(z[:, None])[:, 0])
        if column.discrete and column.lattice is not None:
            x = column.lattice.round(x)
        return params.units.to(x[:, None])[:, 0]

    # ---------------------------------------------------------------- what the contract asks besides

    def _n_parameters(self, params: Params) -> int:
        return self._inner(params)._n_parameters(params.inner)

    def _bytes(self, n: int, d: int) -> int:
        return self._given_model()._bytes(n, d)

    def _finest_scale(self, params: Params) -> np.ndarray | None:
        """Bumps of one width in z have any width in x: here, where half of the draws have wider ones."""
        inner = self._inner(params)
        finest = inner._finest_scale(params.inner)
        if finest is None or self.discrete:  # a probability of cells has nothing to gain from ties
            return None
        rng = np.random.default_rng(0)
        x = self._sample_rows(params, PLACES, rng)
        widths = np.ldexp(
            np.asarray(finest, dtype=float), params.inner.units.exponent - params.units.exponent
        )
        for j, b in enumerate(self._maps(params.columns)):
            widths[j] *= np.exp(-np.median(b.log_derivative(x[:, j])))
        return widths

    def _flat(self) -> bool:
        return self._given_model()._flat()

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        inner = values.get("inner")
        if not isinstance(inner, Params) or len(inner.units) != d:
            raise ParameterError(f"Transformed needs the inner model's parameters of {d} columns.")
        if isinstance(values, Params):  # of a file: raises for what is no map, and columns that do not exist
            self._columns(values.columns)
        self.model._check_values(inner, d)


def _forward(maps: list[Bijection], x: np.ndarray) -> np.ndarray:
    return np.stack([b.forward(x[:, j]) for j, b in enumerate(maps)], axis=1)


def _log_slopes(maps: list[Bijection], x: np.ndarray) -> np.ndarray:
    """Return Σ_j log |b_j'(x_j)| over what is observed of each row (n,)."""
    out = np.zeros(len(x))
    for j, b in enumerate(maps):
        out += np.nan_to_num(b.log_derivative(x[:, j]), nan=0.0)
    return out


def _boxes(columns: list[Column], x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of each row's box in the inner model's units; equal for continuous columns."""
    lower, upper = np.empty_like(x), np.empty_like(x)
    for j, column in enumerate(columns):
        if column.discrete and column.lattice is not None:
            ends = [column.map.ends(end) for end in column.lattice.cell(x[:, j])]
            lower[:, j], upper[:, j] = ends if column.map.increasing else ends[::-1]
        else:
            lower[:, j] = upper[:, j] = column.map.forward(x[:, j])
    return lower, upper


def _in_data_units(outcome: Outcome, total: float) -> Outcome:
    """Return the outcome with log-likelihoods and criteria in the units of the rows before the map."""
    search = outcome.search
    if search is not None:
        shift = {"bic": -2.0 * total, "aic": -2.0 * total, "icl": -2.0 * total, "log_likelihood": total}
        search = tuple(
            {k: v + shift[k] if k in shift and v is not None else v for k, v in row.items()} for row in search
        )
    return replace(outcome, trace=tuple(t + total for t in outcome.trace), search=search)
