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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, ParameterError, PofxError, PofxWarning, UnsupportedError
from ..threads import map_ordered
from ..validation import Rows, rng_from, row_weights, rows_to_fit, whole_number
from .foreign import as_density, is_foreign
from .ties import FINE, Steps, TieGain

__all__ = ["HeldOut", "Split", "held_out", "named", "paired_difference", "split"]

Floats = NDArray[np.float64]

SIDE_BY_SIDE = 2_000_000  # numbers (rows times columns) up to which folds are fitted at the same time
MOST_KEPT = 4_000_000  # numbers (rows times columns) up to which the fits of the folds are kept


@dataclass(frozen=True, eq=False)
class Split:
    """The rows, checked once, and the part (0 .. folds - 1) that each is held out with.

    ``weights`` are those of the rows, adding up to the sample size; None where every row counts once.
    """

    rows: Rows
    part: NDArray[np.intp]
    folds: int
    steps: Steps
    weights: Floats | None = None

    def train(self, k: int) -> Part:
        """Return the rows outside part ``k``."""
        return Part(self.rows, self.part != k)

    def test(self, k: int) -> Part:
        """Return the rows of part ``k``."""
        return Part(self.rows, self.part == k)

    def fit(self, model: Density, k: int | None = None) -> Density:
        """Return a clone fitted to the rows outside part ``k``, or to all of them."""
        chosen = np.ones(len(self.part), dtype=bool) if k is None else self.part != k
        w = None if self.weights is None else self.weights[chosen]
        clone: Density = unfitted(model)
        return clone.fit(Part(self.rows, chosen), sample_weight=w)


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
    weights : ndarray (n,) or None
        Weights of the rows.
    ties : tuple of TieGain
        What ties could have given each fit (:mod:`pofx.evaluate.ties`).
    tie_gain : ndarray (n,) or None
        The same in nats for each row; None where it is nothing.
    models : tuple of Density
        The fits, by fold; empty where the rows are so many that they were not kept.
    """

    name: str
    log_density: Floats
    failure: str | None
    fits: int
    passes: int
    seconds: float
    n_parameters: float
    doubts: tuple[str, ...] = ()
    weights: Floats | None = None
    ties: tuple[TieGain, ...] = ()
    tie_gain: Floats | None = None
    models: tuple[Density, ...] = ()

    @property
    def scores(self) -> Floats:
        """The log densities less all that ties could have given them, shape (n,)."""
        return self.log_density if self.tie_gain is None else self.log_density - self.tie_gain

    @property
    def mean(self) -> float:
        """The mean score, nats per row; NaN where the model failed."""
        return _mean(self.scores, self.weights) if len(self.log_density) else math.nan

    @property
    def median(self) -> float:
        """The median score, which a few rows of density zero leave as it is."""
        if not len(self.log_density):
            return math.nan
        if self.weights is None:
            return float(np.median(self.scores))
        order = np.argsort(self.scores)
        reached = np.cumsum(self.weights[order])
        return float(self.scores[order[int(np.searchsorted(reached, reached[-1] / 2))]])

    @property
    def taken_off(self) -> float:
        """By how much the mean was lowered for ties, nats per row."""
        return 0.0 if self.tie_gain is None else _mean(self.tie_gain, self.weights)

    @property
    def too_fine(self) -> bool:
        """Whether most fits are narrower than rounding leaves anything."""
        return 2 * sum(tie.impossible for tie in self.ties) > len(self.ties)

    @property
    def outside(self) -> int:
        """How many held-out rows the model calls impossible (log density -inf)."""
        return int(np.isneginf(self.log_density).sum())

    @property
    def standard_error(self) -> float:
        """The standard error of ``mean`` over rows; NaN where the mean is not finite."""
        return _standard_error(self.scores, self.weights)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of Student's t around the mean; NaN where there is no standard error."""
        reach = t_quantile(level, _size(self.scores, self.weights)) * self.standard_error
        return self.mean - reach, self.mean + reach


def named(models: Any) -> dict[str, Density]:
    """Return the models by name: as given, or the way each is written, numbered where two are alike.

    Estimators made elsewhere are wrapped (:mod:`pofx.evaluate.foreign`).

    Raises
    ------
    ParameterError
        For no model, for something that is no model or has no density, or where densities and masses mix.
    """
    if isinstance(models, Density) or is_foreign(models):
        models = [models]
    if not isinstance(models, Mapping):
        if not isinstance(models, Sequence) or isinstance(models, str):
            raise ParameterError(f"models must be a list of models, or a dict by name; got {models!r}.")
        by_name: dict[str, Density] = {}
        for given in models:
            model = as_density(given)
            stem = repr(model).removesuffix("()")
            copies = sum(name == stem or name.startswith(f"{stem} #") for name in by_name)
            by_name[f"{stem} #{copies + 1}" if copies else stem] = model
        models = by_name
    else:
        models = {name: as_density(model) for name, model in models.items()}
    if not models:
        raise ParameterError("models is empty; give at least one, for example [pofx.Gaussian(), pofx.KDE()].")
    for name, model in models.items():
        if isinstance(model, type) or not isinstance(model, Density):
            hint = f"; did you mean {model.__name__}()?" if isinstance(model, type) else ""
            raise ParameterError(
                "models must be pofx models, or estimators with fit, score_samples and sample; "
                f"{str(name)!r} is neither{hint}"
            )
        if model.kind == "none":
            raise ParameterError(f"{name} has no log density, so it has no place in this comparison.")
    if len(kinds := {model.measure for model in models.values()}) > 1:
        raise ParameterError(
            f"Densities and probability masses cannot be ranked together; got {sorted(kinds)}."
        )
    return {str(name): model for name, model in models.items()}


def split(
    X: Any,
    *,
    folds: int = 5,
    random_state: Any = 0,
    missing: str = "error",
    sample_weight: Any = None,
    weight_kind: str | None = None,
) -> Split:
    """Check the rows and deal them into ``folds`` parts of equal size (to one row), at random by the seed.

    Fewer rows than ``folds`` give one part each (leave one out). Rows of weight zero are left out.

    Raises
    ------
    DataError
        For fewer than two rows, and for rows that no model could be fitted to.
    WeightError
        As ``fit`` does.
    """
    folds = whole_number(folds, "folds", least=2)
    rows = rows_to_fit(X, missing=missing)
    w = row_weights(sample_weight, len(rows.values), weight_kind=weight_kind, kept=rows.kept)
    if w is not None and not w.all():
        rows, w = Rows(rows.values[w > 0], rows.columns, rows.dropped, None), w[w > 0]
    n = len(rows.values)
    if n < 2:
        raise DataError(f"Holding rows out needs at least 2 rows; {n} came.")
    folds = min(folds, n)
    part = rng_from(random_state).permutation(np.arange(n) % folds)
    return Split(rows, part, folds, Steps.of(rows), w)


def held_out(
    models: Mapping[str, Density], cut: Split, say: Callable[[str], None] | None = None
) -> Iterator[HeldOut]:
    """Fit and score clones of each model in turn; yield its record.

    The models given are never fitted or changed. A model that fails in one fold has failed: its record
    holds the reason instead of numbers. ``say`` is told of each fold as it is done.
    """
    for name, model in models.items():
        yield _one_model(name, model, cut, say or (lambda text: None))


def _one_model(name: str, model: Density, cut: Split, say: Callable[[str], None]) -> HeldOut:
    n, started = len(cut.part), time.monotonic()
    log_p, gain = np.full(n, np.nan), np.zeros(n)
    failure, fits = None, []

    def fold(k: int) -> tuple[Density, Floats] | Exception:
        try:
            fitted = cut.fit(model, k)
            return fitted, fitted.log_density(cut.test(k))
        except Exception as error:  # a stranger's model may raise anything; a comparison outlives it
            return error

    # Small fits leave processors idle, so folds go side by side; Ctrl-C waits for those under way.
    small = cut.rows.values.size <= SIDE_BY_SIDE
    say(f"{name}: fold 1 of {cut.folds}")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", PofxWarning)
        for k, done in enumerate((map_ordered if small else map)(fold, range(cut.folds))):
            if isinstance(done, Exception):
                failure = f"fold {k + 1} of {cut.folds}: {_sentence(done)}"
                break
            fits.append(done[0])
            log_p[cut.part == k] = done[1]
            if k + 1 < cut.folds:
                say(f"{name}: fold {k + 2} of {cut.folds}")
    for w in said:
        if not issubclass(w.category, PofxWarning):  # not ours to keep
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    record = HeldOut(
        name=name,
        log_density=np.empty(0),
        failure=failure,
        fits=len(fits) + (failure is not None),
        passes=sum(fit.fit_.passes for fit in fits),
        seconds=time.monotonic() - started,
        n_parameters=math.inf,
        weights=cut.weights,
    )
    texts = [str(w.message) for w in said if issubclass(w.category, PofxWarning)]
    doubts = tuple(_doubts(model, texts, fits, cut.folds))
    if failure:
        return replace(record, doubts=doubts)
    ties = tuple(cut.steps.gain(fit) for fit in fits)
    for k, tie in enumerate(ties):
        gain[cut.part == k] = tie.nats
    return replace(
        record,
        log_density=log_p,
        n_parameters=float(np.mean([_n_parameters(fit) for fit in fits])),
        doubts=(*doubts, *_fineness(ties, gain, cut)),
        ties=ties,
        tie_gain=gain if gain.any() else None,
        models=tuple(fits) if cut.rows.values.size <= MOST_KEPT else (),
    )


def _doubts(model: Density, texts: list[str], fits: Sequence[Density], folds: int) -> Iterator[str]:
    """Yield what the fits said, once each, with how many said it."""
    texts = [text.removeprefix(f"{type(model).__name__}: ") for text in texts]  # whoever shows it says who
    texts += [f"did not converge: {fit.fit_.message}" for fit in fits if not fit.fit_.converged]
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(re.sub(r"[\d.e+-]+", "", text), []).append(text)  # alike but for numbers
    for alike in found.values():
        yield f"{alike[0]} ({min(len(alike), folds)} of {folds} fits)"


def _fineness(ties: Sequence[TieGain], gain: Floats, cut: Split) -> Iterator[str]:
    """Say where the fits are finer than the recorded step, and what follows from it."""
    ratios = np.array([tie.ratios for tie in ties])
    least, columns = ratios.min(axis=0), np.flatnonzero((ratios < FINE).any(axis=0))
    if not len(columns):
        return
    worst = columns[np.argsort(least[columns])][:3]
    where = ", ".join(
        f"{cut.rows.columns.label(int(j))!r} (down to {2 * least[j]:.2g} of its recorded step of "
        f"{cut.steps.sizes[j]:.4g})"
        for j in worst
    )
    more = f" and {len(columns) - len(worst)} more columns" if len(columns) > len(worst) else ""
    fits = int((ratios < FINE).any(axis=1).sum())
    yield (
        f"its bumps are narrower than what is recorded in {where}{more}, so repeated values may flatter it: "
        f"{_mean(gain, cut.weights):.2g} nats per row, the most that this can give, are taken off its score "
        f"({fits} of {len(ties)} fits)"
    )


def paired_difference(one: HeldOut, other: HeldOut) -> tuple[float, float]:
    """Return the mean of one's minus the other's held-out score, and its paired standard error.

    Rows are compared with themselves, so what makes a row hard for every model cancels. Rows that only one
    of them calls impossible make the difference infinite; those that both do are left out.
    """
    if one.failure or other.failure:
        return math.nan, math.nan
    both = np.isneginf(one.log_density) & np.isneginf(other.log_density)
    difference = one.scores[~both] - other.scores[~both]
    weights = None if one.weights is None else one.weights[~both]
    if not len(difference):
        return 0.0, math.nan
    return _mean(difference, weights), _standard_error(difference, weights)


def t_quantile(level: float, n: float) -> float:
    """Return how many standard errors of a mean of ``n`` rows an interval of this level reaches."""
    from scipy.special import stdtrit

    return float(stdtrit(max(n - 1.0, 1.0), 0.5 + level / 2.0))


def _size(values: Floats, weights: Floats | None) -> float:
    return float(len(values)) if weights is None else float(weights.sum())


def _mean(values: Floats, weights: Floats | None) -> float:
    return float(np.mean(values) if weights is None else np.average(values, weights=weights))


def _standard_error(values: Floats, weights: Floats | None = None) -> float:
    """The standard deviation over the root of the sample size; a row of weight w counts as w rows."""
    n = _size(values, weights)
    if len(values) < 2 or n <= 1.0 or not np.isfinite(values).all():
        return math.nan
    if weights is None:
        return float(np.std(values, ddof=1) / math.sqrt(n))
    square = weights @ np.square(values - _mean(values, weights)) / (n - 1.0)
    return float(math.sqrt(square / n))


def _n_parameters(model: Density) -> float:
    try:
        return float(model.n_parameters_)
    except (UnsupportedError, NotImplementedError):
        return math.inf


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, PofxError) else f"{type(error).__name__}: {error}"
