"""One model on one set of rows: what every law is tried on."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..density import Density

__all__ = ["Case", "Law", "LawBroken", "NotApplicable", "agree", "demand"]


class LawBroken(AssertionError):
    """A model does not keep a law."""


class NotApplicable(Exception):
    """The law says nothing about this model or these rows."""


@dataclass(frozen=True)
class Law:
    """A name, its statement in one sentence, and the check that raises :class:`LawBroken`."""

    name: str
    statement: str
    check: Callable[[Case], None] = field(repr=False)


@dataclass(frozen=True)
class Case:
    """A maker of models and the rows to try it on."""

    make: Callable[[], Density]
    x: np.ndarray
    truth: Any = None
    limits: tuple[tuple[Density, Density], ...] = ()

    @property
    def d(self) -> int:
        """Columns of the rows."""
        return self.x.shape[1]

    @cached_property
    def model(self) -> Density:
        """The model fitted to the rows; laws do not change it."""
        return self.fit(self.x)

    def fit(self, x: Any, sample_weight: Any = None, **hyperparameters: Any) -> Density:
        """Return a fresh model fitted to ``x``; warnings of the fit are not the law's business."""
        model = self.make()
        if hyperparameters:
            model.set_params(**hyperparameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model.fit(x, sample_weight=sample_weight)

    @cached_property
    def counted(self) -> list[int]:
        """Columns whose values have a probability and no density: no unit, and nothing between two values."""
        return list(self.model._counted(self.model.params_.columns))

    @property
    def free(self) -> list[int]:
        """The other columns."""
        return [j for j in range(self.d) if j not in self.counted]

    @cached_property
    def queries(self) -> np.ndarray:
        """Rows to ask about: some of the data, some between, some far outside."""
        rng = np.random.default_rng(7)
        centre, spread = self.x.mean(axis=0), self.x.std(axis=0)
        near = self.x[rng.permutation(len(self.x))[:20]] + 0.1 * spread * rng.standard_normal(
            (min(20, len(self.x)), self.d)
        )
        far = centre + spread * np.array([-40.0, -9.0, 9.0, 40.0])[:, None]
        out = np.concatenate([self.x[:20], near, far])
        out[:, self.counted] = self.x[np.arange(len(out)) % len(self.x)][:, self.counted]
        return out

    @cached_property
    def random_starts(self) -> bool:
        """Whether the fit searches from random starts, so that only its log-likelihood is comparable."""
        return "random_state" in self.make().get_params(deep=True) or any(
            name.endswith("__random_state") for name in self.make().get_params()
        )


def demand(condition: Any, message: str) -> None:
    """Raise :class:`LawBroken` unless the condition holds."""
    if not condition:
        raise LawBroken(message)


def agree(got: np.ndarray, expected: np.ndarray, tolerance: float, what: str) -> None:
    """Raise :class:`LawBroken` unless two arrays of log densities agree: equal where infinite, else to
    ``tolerance`` (absolute, plus relative for large values)."""
    got, expected = np.atleast_1d(np.asarray(got, float)), np.atleast_1d(np.asarray(expected, float))
    demand(got.shape == expected.shape, f"{what}: shapes {got.shape} and {expected.shape}")
    demand(not np.isnan(got).any() and not np.isnan(expected).any(), f"{what}: NaN")
    same = got == expected
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0.0, np.abs(got - expected)) / np.maximum(
            1.0, np.abs(np.where(same, 1.0, expected))
        )
    gap = np.where(np.isnan(gap), np.inf, gap)
    if gap.size == 0:
        return
    i = int(np.argmax(gap))
    one, other = float(got.ravel()[i]), float(expected.ravel()[i])
    demand(
        gap.ravel()[i] <= tolerance,
        f"{what}: differ by {abs(one - other):.3g} ({one:.10g} against {other:.10g}, entry {i})",
    )


def agree_fits(
    case: Case, first: Density, second: Density, x: np.ndarray, tolerance: float, what: str
) -> None:
    """Compare two fits on rows, or only their total log-likelihood where starts are random."""
    if case.random_starts:
        rows = case.x
        a, b = first.log_density(rows).sum(), second.log_density(rows).sum()
        demand(
            abs(a - b) <= 1e-3,
            f"{what}: total log-likelihoods differ by {abs(a - b):.3g} nats ({a:.6f}, {b:.6f})",
        )
        return
    agree(first.log_density(x), second.log_density(x), tolerance, what)
