"""A fitted mixture in figures."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import noise as uniform
from .structures import structure

if TYPE_CHECKING:
    from .answers import Answers

__all__ = ["Summary", "summarise"]

SHOWN = 6  # columns that are printed


@dataclass(frozen=True)
class Summary:
    """A mixture in figures, as plain data, in data units; ``print`` it.

    Attributes
    ----------
    n_components, covariance_type : int, str
    columns : tuple of str
    log_likelihood, bic, aic, icl : float or None
        Of the rows of the fit, or of the rows given; smaller criteria are better. None: not known.
    n : float or None
        The number of rows (the sum of their weights).
    n_parameters : int
    weights : tuple of float, (K,)
    sizes : tuple of float, or None
        The expected number of rows of each component, n times its weight.
    counts : tuple of int, or None
        How many of the rows given are likeliest of each component.
    means, sds : tuple of tuple of float, (K, d)
        Mean and standard deviation of each component along each column.
    noise_weight : float
        Of the uniform noise; 0 without.
    noise_count : int or None
        How many of the rows given are likeliest noise.
    """

    n_components: int
    covariance_type: str
    columns: tuple[str, ...]
    log_likelihood: float | None
    n: float | None
    n_parameters: int
    bic: float | None
    aic: float | None
    icl: float | None
    weights: tuple[float, ...]
    sizes: tuple[float, ...] | None
    counts: tuple[int, ...] | None
    means: tuple[tuple[float, ...], ...]
    sds: tuple[tuple[float, ...], ...]
    noise_weight: float = 0.0
    noise_count: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join([self._head(), *self._criteria(), "", *self._table()])

    def _head(self) -> str:
        k, d = self.n_components, len(self.columns)
        components = f"{k} component{'s' if k > 1 else ''}"
        columns = f"{d} column{'s' if d > 1 else ''}"
        return f"Mixture of Gaussians: {components}, {structure(self.covariance_type)!r}, {columns}"

    def _criteria(self) -> list[str]:
        if self.log_likelihood is None or self.n is None:
            return [f"{self.n_parameters} parameters; no rows to judge it by: summary(X) takes some"]
        head = f"log-likelihood {self.log_likelihood:.2f}, {self.n:,.7g} rows, {self.n_parameters} parameters"
        named = {"BIC": self.bic, "ICL": self.icl, "AIC": self.aic}
        shown = [f"{name} {value:.2f}" for name, value in named.items() if value is not None]
        lines = [head, ", ".join(shown) + " (smaller is better)"]
        return lines if self.icl is not None else [*lines, "ICL and classification counts: summary(X)"]

    def _table(self) -> list[str]:
        shown = self.columns[:SHOWN]
        columns = [["", *(str(k) for k in range(self.n_components))], ["weight", *_numbers(self.weights, 3)]]
        if self.sizes is not None:
            columns.append(["size", *(f"{s:.1f}" for s in self.sizes)])
        if self.counts is not None:
            columns.append(["rows", *(str(c) for c in self.counts)])
        lengths = [max(map(len, column)) for column in columns]
        text = [
            "  ".join(v.rjust(w) for v, w in zip(row, lengths, strict=True))
            for row in zip(*columns, strict=True)
        ]
        for j, name in enumerate(shown):
            mean = _numbers([m[j] for m in self.means], 4)
            sd = _numbers([s[j] for s in self.sds], 3)
            left, right = max(map(len, mean)), max(map(len, sd))
            cells = [f"{a.rjust(left)} ± {b.ljust(right)}" for a, b in zip(mean, sd, strict=True)]
            width = max(len(name), *map(len, cells))
            cells = [name.center(width), *(c.center(width) for c in cells)]
            text = [f"{line}   {cell}" for line, cell in zip(text, cells, strict=True)]
        text = [line.rstrip() for line in text]
        if self.noise_weight > 0.0:
            counted = "" if self.noise_count is None else f"; {self.noise_count} rows are likeliest noise"
            text.append(f"uniform noise: weight {self.noise_weight:.3g}{counted}")
        more = len(self.columns) - len(shown)
        return (
            text if not more else [*text, f"and {more} more column{'s' if more > 1 else ''}: see means, sds"]
        )


def _numbers(values: Any, digits: int) -> list[str]:
    """Return numbers of one column with the same decimals, ``digits`` significant ones of the largest."""
    largest = max(abs(v) for v in values)
    if largest == 0.0 or not 1e-4 <= largest < 1e7:
        return [f"{v:.{digits - 1}e}" for v in values]
    decimals = max(digits - 1 - math.floor(math.log10(largest)), 0)
    return [f"{v:z.{decimals}f}" for v in values]


def summarise(model: Answers, X: Any) -> Summary:
    """Return the summary of a fitted mixture, judged by the rows X or, without, by the record of its fit."""
    params, fit = model.params_, model.fit_
    weights, k = params.weights, model.n_parameters_
    n: float | None = None
    log_likelihood = icl = counts = noise_count = None
    if X is not None:
        log_p = model.log_density(X)
        known = ~np.isnan(model._query(X)).all(axis=1)  # rows with at least one entry
        n, log_likelihood = float(known.sum()), float(log_p.sum())
        icl = model.icl(X)
        label = model.predict(X)
        counts = tuple(np.bincount(label[label >= 0], minlength=len(weights)).tolist())
        noise_count = int((label < 0).sum()) if uniform.has_noise(params) else None
    elif fit.trace:
        n, log_likelihood = fit.effective_n, fit.trace[-1]
        kind = (str(params.covariance_type), len(weights))
        for row in fit.search or ():
            if (row["covariance_type"], row["n_components"]) == kind:
                icl = row.get("icl")
                # Under a prior the trace is the posterior's.
                log_likelihood = row["log_likelihood"] if model.prior else log_likelihood
        if len(weights) == 1 and not uniform.has_noise(params):
            icl = -2.0 * log_likelihood + k * math.log(n)
    sd = np.sqrt(np.diagonal(model._own_covariances(params), 0, -2, -1))
    sd = np.ldexp(np.broadcast_to(sd, params.means.shape), params.units.exponent)
    return Summary(
        n_components=len(weights),
        covariance_type=str(params.covariance_type),
        columns=tuple(params.columns.label(j) for j in range(len(params.units))),
        log_likelihood=log_likelihood,
        n=n,
        n_parameters=k,
        bic=None if log_likelihood is None or not n else -2.0 * log_likelihood + k * math.log(n),
        aic=None if log_likelihood is None else -2.0 * log_likelihood + 2.0 * k,
        icl=icl,
        weights=tuple(weights.tolist()),
        sizes=None if n is None else tuple((n * weights).tolist()),
        counts=counts,
        means=_rows(params.units.back(params.means)),
        sds=_rows(sd),
        noise_weight=uniform.weight(params),
        noise_count=noise_count,
    )


def _rows(a: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in a.tolist())
