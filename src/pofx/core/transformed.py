"""A density seen through a change of variables.

    log p_x(x) = log p_z(b(x)) + Σ_j log |b_j'(x_j)|,   z_j = b_j(x_j) column by column

so that a model of z is a density of x in x's own units, and its draws respect x's bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError, ParameterError
from ..maths.bijections import Bijection, Identity, as_bijection
from ..validation import Columns
from .density import Density
from .estimator import unfitted
from .fitting import Outcome
from .fold import Data
from .params import Params

__all__ = ["Transformed"]


class Transformed(Density):
    """``model`` fitted to the transformed columns, with the Jacobian included.

    Parameters
    ----------
    model : Density
        The model of the transformed rows; it is copied, never changed.
    bijection : mapping of column to bijection, or one for all columns
        A column is a name or a number; a bijection is an object of :mod:`pofx.maths.bijections`, "log",
        "logit", or bounds ``(low, high)`` with ``None`` for an open end. Other columns stay as they are.

    Raises
    ------
    DataError
        At ``fit``, for rows outside a bijection's domain (how many, the first one).

    Examples
    --------
    >>> import numpy as np, pofx
    >>> income = np.exp(np.linspace(-2, 2, 101))
    >>> p = pofx.Transformed(pofx.Gaussian(), "log").fit(income)
    >>> float(p.log_density([-1.0])[0])  # outside the support
    -inf
    """

    def __init__(
        self,
        model: Any = None,
        bijection: Any = None,
        *,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.model = model
        self.bijection = bijection
        self.missing = missing
        self.weight_kind = weight_kind

    @property
    def kind(self) -> str:  # type: ignore[override]
        """The kind of the inner model's log density."""
        return self.model.kind

    @property
    def measure(self) -> str:  # type: ignore[override]
        """The inner model's measure."""
        return self.model.measure

    @property
    def rank(self) -> int:  # type: ignore[override]
        """The inner model's rank."""
        return self.model.rank

    def _check(self) -> None:
        if not isinstance(self.model, Density):
            raise ParameterError(f"Transformed needs a model such as Gaussian(); got {self.model!r}.")
        if self.measure != "density":
            raise ParameterError("Transformed needs a model with a density; a mass has no Jacobian.")
        self.model._check()

    def _seed(self) -> Any:
        return self.model._seed()

    def _maps(self, columns: Columns) -> list[Bijection]:
        """Return one bijection per column."""
        if self.bijection is None:
            raise ParameterError("Transformed needs a bijection: {'income': 'log'}, 'log', (0, None), …")
        if not isinstance(self.bijection, Mapping):
            return [as_bijection(self.bijection)] * len(columns)
        maps: list[Bijection] = [Identity()] * len(columns)
        for key, value in self.bijection.items():
            maps[columns.index(key)] = as_bijection(value)
        return maps

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[Mapping[str, Any], Outcome]:
        maps = self._maps(data.columns)

        def forward(x: np.ndarray) -> np.ndarray:
            inside = _inside(maps, x)
            if not inside.all():
                row = int(np.argmin(inside))
                j = next(j for j, b in enumerate(maps) if not b.domain[0] < x[row, j] < b.domain[1])
                raise DataError(
                    f"{int((~inside).sum()):,} rows lie outside the bounds: first {data.label(j)} = "
                    f"{x[row, j]:g} (row {row}), expected inside {maps[j].domain}. Widen the bounds "
                    "or leave them out."
                )
            return _forward(maps, x)

        # A transformed column has no recorded precision of its own.
        transformed = data.mapped(forward, Columns.plain(data.d, data.columns.names))
        values, outcome = self.model._fit(transformed, rng)
        return {"inner": Params(values, transformed.units, transformed.columns)}, outcome

    # The row level is overridden, not the unit-space hooks: a bijection speaks data units.

    def _log_density_rows(self, params: Params, x: np.ndarray) -> np.ndarray:
        maps = self._maps(params.columns)
        out = np.full(len(x), -np.inf)
        inside = _inside(maps, x)
        x = x[inside]
        if len(x):
            out[inside] = self.model._log_density_rows(params.inner, _forward(maps, x))
            for j, b in enumerate(maps):
                out[inside] += b.log_derivative(x[:, j])
        return out

    def _sample_rows(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        z = self.model._sample_rows(params.inner, n, rng)
        maps = self._maps(params.columns)
        return np.stack([b.inverse(z[:, j]) for j, b in enumerate(maps)], axis=1)

    def _inner(self, params: Params) -> Density:
        inner: Density = unfitted(self.model)
        inner._adopt(params.inner, replace(self.fit_, calibration=None))
        return inner

    def _part(self, part: Density, maps: list[Bijection]) -> dict[str, Any]:
        hyper = {"model": unfitted(part), "bijection": dict(enumerate(maps))}
        return {"inner": part.params_, "__hyper__": hyper}

    def _marginal(self, params: Params, keep: list[int]) -> Mapping[str, Any]:
        maps = self._maps(params.columns)
        return self._part(self._inner(params).marginal(keep), [maps[j] for j in keep])

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> Mapping[str, Any]:
        maps = self._maps(params.columns)
        x = params.units.select(given).back(z)
        for j, value in zip(given, x, strict=True):
            if not maps[j].domain[0] < value < maps[j].domain[1]:
                raise DataError(
                    f"Cannot condition on {params.columns.label(j)} = {value:g}: "
                    f"it lies outside {maps[j].domain}."
                )
        inner = self._inner(params).condition(
            {j: float(maps[j].forward(value)) for j, value in zip(given, x, strict=True)}
        )
        return self._part(inner, [b for j, b in enumerate(maps) if j not in given])

    def _through(self, params: Params, x: np.ndarray, upper: bool) -> np.ndarray:
        (b,) = self._maps(params.columns)
        data = params.units.back(x[:, None])[:, 0]
        low, high = b.domain
        inside = (data > low) & (data < high)
        upper_z = upper == b.increasing  # a decreasing map exchanges the tails
        tail = self.model._log_sf if upper_z else self.model._log_cdf
        out = np.where((data >= high) == upper, -np.inf, 0.0)
        z = params.inner.units.to(b.forward(data[inside])[:, None])[:, 0]
        out[inside] = tail(params.inner, z)
        return out

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._through(params, x, upper=False)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._through(params, x, upper=True)

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        (b,) = self._maps(params.columns)
        z = self.model._quantile(params.inner, q if b.increasing else 1.0 - q)
        with np.errstate(over="ignore"):
            x = b.inverse(params.inner.units.back(z[:, None])[:, 0])
        return params.units.to(x[:, None])[:, 0]

    def _n_parameters(self, params: Params) -> int:
        return self.model._n_parameters(params.inner)

    def _bytes(self, n: int, d: int) -> int:
        return self.model._bytes(n, d)

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        inner = values.get("inner")
        if not isinstance(inner, Params) or len(inner.units) != d:
            raise ParameterError(f"Transformed needs the inner model's parameters of {d} columns.")
        self._maps(
            getattr(values, "columns", inner.columns)
        )  # raises for a map or column that does not exist
        self.model._check_values(inner, d)


def _inside(maps: list[Bijection], x: np.ndarray) -> np.ndarray:
    inside = np.ones(len(x), dtype=bool)
    for j, b in enumerate(maps):
        low, high = b.domain
        if np.isfinite(low) or np.isfinite(high):
            inside &= (x[:, j] > low) & (x[:, j] < high)
    return inside


def _forward(maps: list[Bijection], x: np.ndarray) -> np.ndarray:
    return np.stack([b.forward(x[:, j]) for j, b in enumerate(maps)], axis=1)
