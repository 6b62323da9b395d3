"""The fits of a comparison: folds times models, side by side, and who goes no further.

Fits are taken fold by fold, so that after each fold all models have been asked about the same rows. Where
many models are compared, one that is hopelessly behind is dropped then: its remaining fits would change
nothing but the clock. All is decided by the numbers of whole folds, in their order, so neither the clock nor
the number of threads can change a result.

A model is dropped where its mean over the rows so far lies more than :data:`FAR` paired standard errors below
the leader's. To draw level, the rows to come would have to prefer it by more than those seen were against it;
with m rows seen and r to come that is a surprise of FAR √(1 + m / r) standard errors. Should the leader
itself fall in a later fold, whoever was dropped for its sake and is not that far behind the new one takes its
remaining fits after all.

Before the first fold the models are tried on few rows, and who is hopeless there is not fitted to the folds
at all (:mod:`pofx.evaluate.trial`).

A model that searches (a mixture, for the number of its components and their structure) is fitted to all rows
first where they are many, and its folds choose among what that search left within reach (the hook
``_narrowed``): what lies farther back than any noise could bring forward need not be tried six times.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.fitting import Fit
from ..errors import PofxError, UnsupportedError
from ..threads import map_ordered
from . import trial
from .caught import Caught
from .splits import Split
from .spread import Mean
from .ties import TieGain
from .trial import Trial

__all__ = ["FAR", "MANY", "SIDE_BY_SIDE", "Lane", "Step", "race"]

Floats = NDArray[np.float64]

SIDE_BY_SIDE = 2_000_000  # numbers (rows times columns) up to which fits are made at the same time
MANY = 8  # models up to which every one is held out in every fold
NARROW = 5_000  # rows from which on a search over all of them narrows those of the folds
FAR = 5.0  # paired standard errors behind the leader beyond which a model goes no further
LEAST_GAP = 1e-3  # nats per row that matter, whatever their standard error
LEAST_FREEDOM = 100.0  # independent rows (or groups) before anybody is dropped


@dataclass(frozen=True, eq=False)
class Step:
    """What one fit came to: its record, the log densities of the rows held out, and what it said."""

    log_density: Floats
    fit: Fit
    n_parameters: float
    tie: TieGain
    seconds: float
    texts: tuple[str, ...]
    model: Density | None


@dataclass(eq=False)
class Lane:
    """A model on its way through the folds."""

    name: str
    model: Density
    keeps: bool = False  # never dropped
    shown: bool = False  # for comparison only: nobody is dropped for its sake
    steps: dict[int, Step] = field(default_factory=dict)
    failure: str | None = None
    failed_after: float = 0.0  # seconds of the fit that failed
    stopped: bool = False
    trial: Trial | None = None
    narrowed: Density | None = None  # what the folds choose among, where all rows have been asked before
    whole: Density | Exception | None = None
    whole_texts: tuple[str, ...] = ()

    def scores(self, cut: Split) -> tuple[Floats, Floats]:
        """Return the log density of each row (n,) and what ties could have given it, the mean where it was
        held out several times; NaN for rows not held out so far."""
        n = len(cut.part)
        total, gain, times = np.zeros(n), np.zeros(n), np.zeros(n)
        for k, step in self.steps.items():
            rows = cut.asked(k)
            np.add.at(total, rows, step.log_density)
            np.add.at(gain, rows, step.tie.nats)
            np.add.at(times, rows, 1.0)
        with np.errstate(invalid="ignore"):  # 0 / 0 where there is nothing
            return total / times, gain / times

    @property
    def too_fine(self) -> bool:
        """Whether most fits so far are narrower than rounding leaves anything."""
        return 2 * sum(step.tie.impossible for step in self.steps.values()) > len(self.steps)


def race(
    models: Mapping[str, Density],
    cut: Split,
    say: Callable[[str], None],
    *,
    whole: Callable[[Density], Density] | None = None,
    drop: bool = False,
    keeps: tuple[str, ...] = (),
    shown: tuple[str, ...] = (),
    keep_fits: bool = True,
    known: Mapping[str, Mapping[int, Step]] | None = None,
) -> list[Lane]:
    """Fit clones of the models to what each fold leaves, and ask them about the rest.

    Parameters
    ----------
    models : unfitted or fitted models by name; they are never changed
    cut : the rows and folds
    say : told of each fit before it is made
    whole : fits a clone to all rows, as the last fit of each model that is still there, where fits are made
        side by side
    drop : whether hopeless models may be dropped
    keeps : names of models that are never dropped
    shown : names of models that are there to compare with, and lead nothing
    keep_fits : whether the fits of the folds are kept
    known : name -> fold -> what was fitted before and need not be again

    Returns
    -------
    list of Lane, in the order of ``models``. A model that fails in one fold has failed.
    """
    known = known or {}
    lanes = [
        Lane(name, model, name in keeps, name in shown, dict(known.get(name, {})))
        for name, model in models.items()
    ]
    if sum(not lane.keeps for lane in lanes) <= MANY:
        drop = False
    track = _Track(cut, say, whole, keep_fits)
    small = cut.rows.values.size <= SIDE_BY_SIDE
    if len(cut.part) >= NARROW:
        track.narrow(lanes)
    if drop:
        track.tries(lanes)
    track.run(lanes, range(cut.folds), drop=drop, more=bool(whole and small))
    while True:
        out = _out(lanes, cut)
        back = [lane for lane in lanes if lane.stopped and lane not in out]
        if not back:
            return lanes
        for lane in back:
            lane.stopped = False
        track.run(back, range(cut.folds), drop=False, more=bool(whole and small))


class _Track:
    """Makes fits in their order, as many at a time as the rows allow."""

    def __init__(
        self,
        cut: Split,
        say: Callable[[str], None],
        whole: Callable[[Density], Density] | None,
        keep_fits: bool,
    ) -> None:
        self.cut, self.say, self.whole, self.keep_fits = cut, say, whole, keep_fits
        self.caught = Caught()
        self.made = self.total = 0

    def narrow(self, lanes: list[Lane]) -> None:
        """Fit those that search to all rows, and note what their folds may choose among."""
        for lane in lanes:
            if not lane.model.searches or lane.failure:
                continue
            self.say(f"{lane.name}: all rows, to narrow the search")
            _, _, done = self._one((lane, self.cut.folds))
            fitted = done[0]
            if self.whole is not None:
                self._take(lane, self.cut.folds, done)
            if isinstance(fitted, Density):
                lane.narrowed = fitted._narrowed()

    def tries(self, lanes: list[Lane]) -> None:
        """Try those that do not search on few rows, and stop who is hopeless there."""
        rows = trial.plan(self.cut)
        if rows is None:
            return
        side_by_side = self.cut.rows.values.size <= SIDE_BY_SIDE and not any(_shares(lane) for lane in lanes)

        def one(lane: Lane) -> tuple[Lane, Trial | None]:
            with self.caught.of([]):  # what it warns of, the folds will say
                return lane, trial.tried(lane.model, self.cut, *rows)

        able = [lane for lane in lanes if not lane.model.searches]
        self.say(f"{len(able)} models: a trial on {len(rows[0]):,} rows")
        with self.caught.watching():
            for lane, found in (map_ordered if side_by_side else map)(one, able):
                lane.trial = found
        for lane in _hopeless_on_trial(lanes, self.cut):
            lane.stopped = True

    def run(self, lanes: list[Lane], folds: range, *, drop: bool, more: bool) -> None:
        self.total += sum(
            len(folds) - len(lane.steps) + more for lane in lanes
        )  # less who fails or is dropped
        side_by_side = self.cut.rows.values.size <= SIDE_BY_SIDE and not any(_shares(lane) for lane in lanes)
        with self.caught.watching():
            for lane, k, done in (map_ordered if side_by_side else map)(
                self._one, self._due(lanes, folds, more, together=side_by_side and not drop)
            ):
                self._take(lane, k, done)
                if drop and lane is lanes[-1] and k < folds[-1]:
                    for behind in _hopeless(lanes, self.cut):
                        behind.stopped = True

    def _due(
        self, lanes: list[Lane], folds: range, more: bool, *, together: bool
    ) -> Iterator[tuple[Lane, int]]:
        """Yield (model, fold) of those that are still there; the fold after the last is all rows.

        Fold by fold, and asked for a little ahead of the results, so some of what is made is not used; or,
        where nobody can be dropped, each model's fits together: beside a slow one there is another then.
        """
        every = [*folds, *([len(folds)] if more else [])]
        order = (
            [(lane, k) for lane in lanes for k in every]
            if together
            else [(lane, k) for k in every for lane in lanes]
        )
        for lane, k in order:
            if (
                lane.failure
                or lane.stopped
                or k in lane.steps
                or (k == len(folds) and lane.whole is not None)
            ):
                self.total -= k not in lane.steps
                if lane is not lanes[-1]:  # with the last the fold is complete
                    continue
            else:
                self.made += 1
                what = "all rows" if k == len(folds) else f"fold {k + 1} of {len(folds)}"
                self.say(f"{lane.name}: {what} (fit {self.made} of {max(self.total, self.made)})")
            yield lane, k

    def _one(self, due: tuple[Lane, int]) -> tuple[Lane, int, Any]:
        lane, k = due
        if (
            lane.failure
            or lane.stopped
            or k in lane.steps
            or (k == self.cut.folds and lane.whole is not None)
        ):
            return lane, k, None
        texts: list[str] = []
        started = time.monotonic()
        try:
            with self.caught.of(texts):
                if k == self.cut.folds:
                    whole = self.whole or self.cut.fit
                    return lane, k, (whole(lane.model), texts)
                fitted = self.cut.fit(lane.narrowed or lane.model, k)
                log_p = fitted.log_density(self.cut.test(k))
        except Exception as error:  # a stranger's model may raise anything; a comparison outlives it
            return lane, k, (error, time.monotonic() - started)
        seconds = time.monotonic() - started
        step = Step(
            np.asarray(log_p), fitted.fit_, n_parameters(fitted), self.cut.steps.gain(fitted), seconds,
            tuple(texts), fitted if self.keep_fits else None,
        )  # fmt: skip
        return lane, k, step

    def _take(self, lane: Lane, k: int, done: Any) -> None:
        """Enter a result, unless it was made too far ahead."""
        if done is None or lane.failure or lane.stopped:
            return
        if isinstance(done, Step):
            lane.steps[k] = done
        elif k == self.cut.folds:
            lane.whole, lane.whole_texts = done[0], tuple(done[1]) if isinstance(done[1], list) else ()
        else:
            lane.failure = f"fold {k + 1} of {self.cut.folds}: {_sentence(done[0])}"
            lane.failed_after = done[1]


def _hopeless(lanes: list[Lane], cut: Split) -> list[Lane]:
    """Return the models that are so far behind the leader of the rows so far that they go no further."""
    scores = {}
    for lane in lanes:
        if lane.steps and not lane.failure:
            log_p, gain = lane.scores(cut)
            scores[lane.name] = log_p - gain
    able = [
        lane for lane in lanes if lane.name in scores and not (lane.stopped or lane.shown or lane.too_fine)
    ]
    means = [_mean(scores[lane.name], cut).value for lane in able]
    if not means or not math.isfinite(max(means)):
        return []
    ahead = scores[able[int(np.argmax(means))].name]
    behind = []
    for lane in lanes:
        if lane.keeps or lane.name not in scores:
            continue
        gap = _mean(scores[lane.name] - ahead, cut)
        enough = gap.freedom >= LEAST_FREEDOM
        if enough and (gap.value == -math.inf or gap.value < -max(FAR * gap.error, LEAST_GAP)):
            behind.append(lane)
    return behind


def _hopeless_on_trial(lanes: list[Lane], cut: Split) -> list[Lane]:
    """Return the models that were so far behind the leader of the trials that they need not be fitted."""
    able = [
        lane for lane in lanes if lane.trial and not (lane.trial.too_fine or lane.failure or lane.shown)
    ]
    if not able:
        return []
    leader = max((lane.trial for lane in able if lane.trial), key=lambda found: float(found.scores.mean()))
    lost = []
    for lane in lanes:
        if lane.keeps or lane.trial is None:
            continue
        gap = trial.behind(lane.trial, leader, cut)
        if gap.freedom >= LEAST_FREEDOM and gap.value < -max(trial.FAR * gap.error, LEAST_GAP):
            lost.append(lane)
    return lost


def _out(lanes: list[Lane], cut: Split) -> list[Lane]:
    """Return who stays out: hopeless in the folds, or on trial where no fold was asked."""
    return [
        *_hopeless(lanes, cut),
        *(lane for lane in _hopeless_on_trial(lanes, cut) if not lane.steps),
    ]


def _mean(values: Floats, cut: Split) -> Mean:
    return cut.spread.mean(values, cut.weights, ~np.isnan(values))


def _shares(lane: Lane) -> bool:
    """Whether fits draw from one stream of random numbers, so that their order counts."""
    values = lane.model.get_params().values()
    return any(isinstance(value, np.random.Generator | np.random.RandomState) for value in values)


def n_parameters(model: Density) -> float:
    """Return the number of free parameters; infinite where the model does not count them."""
    try:
        return float(model.n_parameters_)
    except (UnsupportedError, NotImplementedError):
        return math.inf


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, PofxError) else f"{type(error).__name__}: {error}"
