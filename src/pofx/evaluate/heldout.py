"""Held-out log density by k-fold cross-validation: what a model says of rows that it has not seen.

The rows are cut once into k parts of equal size, at random but by the seed. Every model is fitted k times,
each time without one part, and asked for the log density of that part; so each row is scored once, by a fit
that never saw it. Whatever a model chooses from data (a bandwidth, the number of components) it chooses
anew in each fit. The mean over rows estimates the expected log density of a new row; its standard error
treats the rows' scores as independent, which leaves out what the k fits share (Bengio and Grandvalet 2004,
*Journal of Machine Learning Research* 5, 1089-1105: no unbiased estimate of the rest exists).
"""

from __future__ import annotations

import math
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, ParameterError, PofxError, PofxWarning, UnsupportedError
from ..validation import Rows, rng_from, rows_to_fit, whole_number

__all__ = ["HeldOut", "Split", "held_out", "named", "paired_difference", "split"]


@dataclass(frozen=True, eq=False)
class Split:
    """The rows, checked once, and the part (0 .. folds - 1) that each is held out with."""

    rows: Rows
    part: NDArray[np.intp]
    folds: int

    def train(self, k: int) -> Part:
        """Return the rows outside part ``k``."""
        return Part(self.rows, self.part != k)

    def test(self, k: int) -> Part:
        """Return the rows of part ``k``."""
        return Part(self.rows, self.part == k)


class Part:
    """Some of the rows as a model may read them; names, dtypes and recorded precision stay those of all."""

    def __init__(self, rows: Rows, chosen: NDArray[np.bool_]) -> None:
        self._rows = Rows(rows.values[chosen], rows.columns, 0, None)

    def __pofx_rows__(self) -> Rows:
        return self._rows


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One model's record.

    Parameters
    ----------
    name : str
        The model's name in the comparison.
    log_density : ndarray of shape (n,)
        Each row's held-out log density, nats in data units; empty where the model failed.
    failure : str or None
        Why there is no number, in one sentence.
    fits, passes : int
        How many fits were made, and passes over the rows in all of them.
    seconds : float
        Wall-clock time of fitting and scoring.
    n_parameters : float
        The mean number of free parameters over the fits; infinite where the model does not count them.
    doubts : tuple of str
        What the fits themselves said a reader should know.
    """

    name: str
    log_density: NDArray[np.float64]
    failure: str | None
    fits: int
    passes: int
    seconds: float
    n_parameters: float
    doubts: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """The mean held-out log density, nats per row; NaN where the model failed."""
        return float(np.mean(self.log_density)) if len(self.log_density) else math.nan

    @property
    def median(self) -> float:
        """The median, which a few rows of density zero leave as it is."""
        return float(np.median(self.log_density)) if len(self.log_density) else math.nan

    @property
    def outside(self) -> int:
        """How many held-out rows the model calls impossible (log density -inf)."""
        return int(np.isneginf(self.log_density).sum())

    @property
    def standard_error(self) -> float:
        """The standard error of ``mean`` over rows; NaN where the mean is not finite."""
        return _standard_error(self.log_density)


def named(models: Sequence[Density] | Mapping[str, Density]) -> dict[str, Density]:
    """Return the models by name: as given, or the way each is written, numbered where two are alike.

    Raises
    ------
    ParameterError
        For no model, for something that is no model or has no density, or where densities and masses mix.
    """
    if isinstance(models, Density):
        models = [models]
    if not isinstance(models, Mapping):
        if not isinstance(models, Sequence) or isinstance(models, str):
            raise ParameterError(f"models must be a list of models, or a dict by name; got {models!r}.")
        by_name: dict[str, Density] = {}
        for model in models:
            stem = repr(model).removesuffix("()")
            copies = sum(name == stem or name.startswith(f"{stem} #") for name in by_name)
            by_name[f"{stem} #{copies + 1}" if copies else stem] = model
        models = by_name
    if not models:
        raise ParameterError("models is empty; give at least one, for example [pofx.Gaussian(), pofx.KDE()].")
    for name, model in models.items():
        if isinstance(model, type) or not isinstance(model, Density):
            hint = f"; did you mean {model.__name__}()?" if isinstance(model, type) else ""
            raise ParameterError(f"models must be pofx models; {str(name)!r} is not one{hint}")
        if model.kind == "none":
            raise ParameterError(f"{name} has no log density, so it has no place in this comparison.")
    if len(kinds := {model.measure for model in models.values()}) > 1:
        raise ParameterError(
            f"Densities and probability masses cannot be ranked together; got {sorted(kinds)}."
        )
    return {str(name): model for name, model in models.items()}


def split(X: Any, *, folds: int = 5, random_state: Any = 0, missing: str = "error") -> Split:
    """Check the rows and deal them into ``folds`` parts of equal size (to one row), at random by the seed.

    Fewer rows than ``folds`` give one part each (leave one out).

    Raises
    ------
    DataError
        For fewer than two rows, and for rows that no model could be fitted to.
    """
    folds = whole_number(folds, "folds", least=2)
    rows = rows_to_fit(X, missing=missing)
    n = len(rows.values)
    if n < 2:
        raise DataError(f"Holding rows out needs at least 2 rows; {n} came.")
    folds = min(folds, n)
    part = rng_from(random_state).permutation(np.arange(n) % folds)
    return Split(rows, part, folds)


def held_out(models: Mapping[str, Density], cut: Split) -> Iterator[tuple[str, int, HeldOut | None]]:
    """Fit and score clones; yield (name, fold, None) before each fit and (name, folds, record) at the end.

    The models given are never fitted or changed. A model that fails in one fold has failed: its record
    holds the reason instead of numbers.
    """
    for name, model in models.items():
        log_p = np.full(len(cut.part), np.nan)
        started = time.monotonic()
        passes, failure, k = 0, None, 0
        counts: list[float] = []
        doubts: dict[
            str, tuple[str, int]
        ] = {}  # its words without their numbers -> (text, fits that said it)
        for k in range(cut.folds):
            yield name, k, None
            try:
                with warnings.catch_warnings(record=True) as said:
                    warnings.simplefilter("always", PofxWarning)
                    fitted = unfitted(model).fit(cut.train(k))
                    log_p[cut.part == k] = fitted.log_density(cut.test(k))
            except Exception as error:  # a stranger's model may raise anything; a comparison outlives it
                failure = f"fold {k + 1} of {cut.folds}: {_sentence(error)}"
                break
            for w in said:
                if not issubclass(w.category, PofxWarning):  # not ours to keep
                    warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
            who = f"{type(model).__name__}: "  # said once, by whoever shows it
            texts = [str(w.message).removeprefix(who) for w in said if issubclass(w.category, PofxWarning)]
            passes += fitted.fit_.passes
            counts.append(_n_parameters(fitted))
            if not fitted.fit_.converged:
                texts.append(f"did not converge: {fitted.fit_.message}")
            for text in texts:
                key = re.sub(r"[\d.e+-]+", "", text)
                first, times = doubts.get(key, (text, 0))
                doubts[key] = first, times + 1
        yield (
            name,
            cut.folds,
            HeldOut(
                name=name,
                log_density=np.empty(0) if failure else log_p,
                failure=failure,
                fits=k + 1,
                passes=passes,
                seconds=time.monotonic() - started,
                n_parameters=math.inf if failure else float(np.mean(counts)),
                doubts=tuple(f"{text} ({times} of {cut.folds} fits)" for text, times in doubts.values()),
            ),
        )


def paired_difference(one: HeldOut, other: HeldOut) -> tuple[float, float]:
    """Return the mean of one's minus the other's held-out log density, and its paired standard error.

    Rows are compared with themselves, so what makes a row hard for every model cancels. Rows that only one
    of them calls impossible make the difference infinite; those that both do are left out.
    """
    if one.failure or other.failure:
        return math.nan, math.nan
    both = np.isneginf(one.log_density) & np.isneginf(other.log_density)
    difference = one.log_density[~both] - other.log_density[~both]
    if not len(difference):
        return 0.0, math.nan
    return float(np.mean(difference)), _standard_error(difference)


def _standard_error(values: NDArray[np.float64]) -> float:
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def _n_parameters(model: Density) -> float:
    try:
        return float(model.n_parameters_)
    except (UnsupportedError, NotImplementedError):
        return math.inf


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, PofxError) else f"{type(error).__name__}: {error}"
