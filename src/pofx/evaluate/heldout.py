"""Held-out log density by cross-validation: what a model says of rows that it has not seen.

Every model is fitted once for each fold, to the rows that the fold does not hold out, and asked for the log
density of those that it does (:mod:`pofx.evaluate.splits`); so each row is scored by a fit that never saw it.
Whatever a model chooses from data (a bandwidth, the number of components) it chooses anew in each fit. The
mean over rows estimates the expected log density of a new row under the fits of the folds; its standard
error (:mod:`pofx.evaluate.spread`) leaves out what these fits share (Bengio and Grandvalet 2004, *Journal of
Machine Learning Research* 5, 1089-1105: no unbiased estimate of the rest exists).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..errors import ParameterError
from .foreign import Foreign, as_density, is_foreign
from .race import Lane, Step, n_parameters, race
from .splits import Split, split
from .spread import Mean, Spread, t_quantile
from .ties import FINE, TieGain

__all__ = [
    "HeldOut",
    "Split",
    "held_out",
    "is_given",
    "named",
    "paired",
    "paired_difference",
    "split",
    "steps_of",
    "t_quantile",
]

Floats = NDArray[np.float64]

MOST_KEPT = 6_000_000  # numbers (rows times columns) up to which the fits of the folds are kept


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One model's record.

    Parameters
    ----------
    name : str
        The model's name in the comparison.
    log_density : ndarray of shape (n,)
        Each row's held-out log density, nats in data units; NaN for a row that was never held out, or not
        before the model was dropped; empty where the model failed.
    failure : str or None
        Why there is no number, in one sentence.
    fits, passes : int
        How many fits were made, and passes over the rows in all of them.
    seconds : float
        Wall-clock time of fitting and scoring, added up over the fits.
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
    spread : Spread
        What hangs together among the rows.
    kind : {"exact", "bound", "estimate", "none"}
        What the log densities mean.
    dropped : str or None
        After which fold the model went no further, and why; one that was hopeless on trial has the scores of
        that, of few rows.
    predicted_bytes : int
        The memory that a fit to all rows takes beyond them, by the model's own account.
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
    spread: Spread = field(default_factory=Spread)
    kind: str = "exact"
    dropped: str | None = None
    predicted_bytes: int = 0

    @property
    def on_trial(self) -> bool:
        """Whether it was dropped before the first fold (:mod:`pofx.evaluate.trial`)."""
        return self.dropped is not None and self.fits == 0

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which rows have a score, shape (n,)."""
        return np.asarray(~np.isnan(self.log_density))

    @property
    def scores(self) -> Floats:
        """The log densities less all that ties could have given them, shape (n,)."""
        return self.log_density if self.tie_gain is None else self.log_density - self.tie_gain

    @property
    def average(self) -> Mean:
        """The mean score with its standard error, nats per row; NaN where the model failed."""
        return self.spread.mean(self.scores, self.weights, self.used)

    @property
    def mean(self) -> float:
        """The mean score, nats per row; NaN where the model failed."""
        return self.average.value

    @property
    def median(self) -> float:
        """The median score, which a few rows of density zero leave as it is."""
        if not self.used.any():
            return math.nan
        scores = self.scores[self.used]
        if self.weights is None:
            return float(np.median(scores))
        order = np.argsort(scores)
        reached = np.cumsum(self.weights[self.used][order])
        return float(scores[order[int(np.searchsorted(reached, reached[-1] / 2))]])

    @property
    def taken_off(self) -> float:
        """By how much the mean was lowered for ties, nats per row."""
        if self.tie_gain is None:
            return 0.0
        return self.spread.mean(self.tie_gain, self.weights, self.used).value

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
        return self.average.error

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the interval of Student's t around the mean; NaN where there is no standard error."""
        return self.average.interval(level)


def named(models: Any) -> dict[str, Density]:
    """Return the models by name: as given, or the way each is written, numbered where two are alike.

    Estimators made elsewhere are wrapped (:mod:`pofx.evaluate.foreign`).

    Raises
    ------
    ParameterError
        For no model, for something that is no model, where none has a log density, or where densities and
        masses mix.
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
    if all(model.kind == "none" for model in models.values()):
        raise ParameterError(
            f"{next(iter(models))} has no log density, and no other model is given that has one; pofx.check "
            "judges a model by its draws."
        )
    if len(kinds := {model.measure for model in models.values()}) > 1:
        raise ParameterError(
            f"Densities and probability masses cannot be ranked together; got {sorted(kinds)}."
        )
    return {str(name): model for name, model in models.items()}


def is_given(model: Density) -> bool:
    """Whether a density was given by its parameters, not fitted: it is judged as it stands."""
    if isinstance(model, Foreign):
        return model.fixed
    return "params_" in vars(model) and model.fit_.n_rows == 0


def held_out(
    models: Mapping[str, Density],
    cut: Split,
    say: Callable[[str], None] | None = None,
    *,
    whole: Callable[[Density], Density] | None = None,
    drop: bool = False,
    keeps: tuple[str, ...] = (),
    shown: tuple[str, ...] = (),
    known: Mapping[str, Mapping[int, Step]] | None = None,
) -> tuple[list[HeldOut], dict[str, Lane]]:
    """Fit and score clones of each model; return the records in the order of the models, and the fits to all
    rows that were made by the way (:func:`pofx.evaluate.race.race`).

    The models given are never fitted or changed. One that fails in one fold has failed: its record holds the
    reason instead of numbers. A density that was given is asked as it stands.
    """
    kept = cut.rows.values.size <= MOST_KEPT
    to_fit = {k: m for k, m in models.items() if not is_given(m) and m.kind != "none"}
    lanes = {
        lane.name: lane
        for lane in race(
            to_fit,
            cut,
            say or (lambda text: None),
            whole=whole,
            drop=drop,
            keeps=keeps,
            shown=shown,
            keep_fits=kept,
            known=known,
        )
    }
    records = []
    for name, model in models.items():
        if name in lanes:
            records.append(_record(lanes[name], cut))
        else:
            records.append(_as_it_stands(name, model, cut))
    return records, lanes


def steps_of(record: HeldOut, cut: Split) -> dict[int, Step]:
    """Return what the folds of a record came to, by fold; {} where the fits were not kept or rows were held
    out several times."""
    if cut.pairs is not None or len(record.models) < cut.folds:
        return {}
    return {
        k: Step(record.log_density[cut.asked(k)], fit.fit_, n_parameters(fit), record.ties[k], 0.0, (), fit)
        for k, fit in enumerate(record.models)
    }


def _record(lane: Lane, cut: Split) -> HeldOut:
    steps = [lane.steps[k] for k in sorted(lane.steps)]
    record = HeldOut(
        name=lane.name,
        log_density=np.empty(0),
        failure=lane.failure,
        fits=len(steps) + (lane.failure is not None),
        passes=sum(step.fit.passes for step in steps),
        seconds=sum(step.seconds for step in steps) + lane.failed_after,
        n_parameters=math.inf,
        doubts=tuple(_doubts(lane.model, [t for s in steps for t in s.texts], steps, cut.folds)),
        weights=cut.weights,
        spread=cut.spread,
        kind=lane.model.kind,
        predicted_bytes=int(lane.model._bytes(*cut.rows.values.shape)),
    )
    if lane.failure:
        return record
    if lane.stopped and lane.trial and not steps:
        log_p = np.full(len(cut.part), math.nan)
        log_p[lane.trial.asked] = lane.trial.scores
        told = f"after a trial on {lane.trial.n:,} rows"
        return replace(record, log_density=log_p, dropped=told)
    log_p, gain = lane.scores(cut)
    ties = tuple(step.tie for step in steps)
    return replace(
        record,
        log_density=log_p,
        n_parameters=float(np.mean([step.n_parameters for step in steps])),
        doubts=(*record.doubts, *_fineness(ties, gain, cut, ~np.isnan(log_p))),
        ties=ties,
        tie_gain=gain if gain.any() else None,
        models=tuple(step.model for step in steps if step.model is not None),
        dropped=f"after fold {len(steps)} of {cut.folds}" if lane.stopped else None,
    )


def _as_it_stands(name: str, model: Density, cut: Split) -> HeldOut:
    """Return the record of a density that is not fitted: given by its parameters, or without log density."""
    record = HeldOut(
        name, np.empty(0), None, 0, 0, 0.0, 0.0, weights=cut.weights, spread=cut.spread, kind=model.kind
    )
    if model.kind == "none":
        why = "it has no log density, which is what is compared here; pofx.check judges it by its draws"
        return replace(record, failure=why)
    try:
        if isinstance(model, Foreign):
            model = Foreign(model.model, cut.rows.columns)
        log_p = np.full(len(cut.part), math.nan)
        log_p[cut.tested] = model.log_density(cut.some(cut.tested))
    except Exception as error:  # as in a fold
        return replace(record, failure=str(error) or type(error).__name__)
    return replace(record, log_density=log_p, models=(model,) * cut.folds)


def _doubts(model: Density, texts: list[str], steps: Sequence[Step], folds: int) -> Iterator[str]:
    """Yield what the fits said, once each, with how many said it."""
    texts = [text.removeprefix(f"{type(model).__name__}: ") for text in texts]  # whoever shows it says who
    texts += [f"did not converge: {step.fit.message}" for step in steps if not step.fit.converged]
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(re.sub(r"[\d.e+-]+", "", text), []).append(text)  # alike but for numbers
    for alike in found.values():
        yield f"{alike[0]} ({min(len(alike), folds)} of {folds} fits)"


def _fineness(ties: Sequence[TieGain], gain: Floats, cut: Split, used: NDArray[np.bool_]) -> Iterator[str]:
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
    most = cut.spread.mean(gain, cut.weights, used).value
    yield (
        f"its bumps are narrower than what is recorded in {where}{more}, so repeated values may flatter it: "
        f"{most:.2g} nats per row, the most that this can give, are taken off its score "
        f"({fits} of {len(ties)} fits)"
    )


def paired(one: HeldOut, other: HeldOut) -> Mean:
    """Return the mean of one's minus the other's held-out score over the rows that both were asked about,
    with its paired standard error; NaN where one of them failed.

    Rows are compared with themselves, so what makes a row hard for every model cancels. Rows that only one
    of them calls impossible make the difference infinite; those that both do are left out.
    """
    if one.failure or other.failure:
        return Mean(math.nan, math.nan, 1.0)
    both = np.isneginf(one.log_density) & np.isneginf(other.log_density)
    used = one.used & other.used & ~both
    if not used.any():
        return Mean(0.0, math.nan, 1.0)
    with np.errstate(invalid="ignore"):  # -inf less -inf, in rows that are not used
        return one.spread.mean(one.scores - other.scores, one.weights, used)


def paired_difference(one: HeldOut, other: HeldOut) -> tuple[float, float]:
    """Return the value and the standard error of :func:`paired`."""
    found = paired(one, other)
    return found.value, found.error
