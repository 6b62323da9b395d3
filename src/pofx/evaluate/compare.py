"""Which model to use: held-out log density with its doubts, and the simplest model that is good enough."""

from __future__ import annotations

import math
import time as clock
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, ParameterError, PofxError, PofxWarning
from ..models.gaussian import Gaussian
from ..models.stack import Stack
from ..validation import real_number
from .comparison import Comparison, Entry, Gain
from .family import family_of
from .foreign import Foreign, as_density
from .heldout import HeldOut, held_out, is_given, named
from .race import Lane
from .ranking import Criteria, ranked
from .splits import Split, split
from .stacking import NAME as STACK
from .stacking import stacked

__all__ = ["Comparison", "Entry", "Gain", "compare"]

TOO_FINE = "its bumps are narrower than rounding alone leaves anything, so it would win by spikes on ties"
GROWING = ("KDE", "Histogram", "Stack")  # BIC's argument needs a number of parameters that stays
TRUTH = "truth"
BASELINE = "Gaussian"


def compare(
    models: Sequence[Any] | Mapping[str, Any],
    X: Any,
    *,
    sample_weight: Any = None,
    folds: int = 5,
    cv: Any = None,
    groups: Any = None,
    time: Any = None,
    truth: Any = None,
    random_state: Any = 0,
    rivals: bool = True,
    stack: bool = False,
    budget: float | None = None,
    most_rows: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare models by the log density they give to rows they were not fitted to.

    Parameters
    ----------
    models : list of models, or dict of them by name
        Unfitted or fitted; clones are fitted, these stay as they are. Estimators of other libraries with
        ``fit``, ``score_samples`` and ``sample``, as scikit-learn's have, stand beside ours. A density whose
        parameters were given, not fitted (``from_params``, a world, a frozen distribution of scipy.stats), is
        judged as it stands, and may win. More than eight: one that is hopelessly behind after a fold is
        dropped (:mod:`pofx.evaluate.race`).
    X : rows, as for ``fit``
        Rows with missing values are left out where every model has ``missing="drop"``.
    sample_weight : array of shape (n,), optional
        Weights of the rows, for the fits and for the means over held-out rows; what they mean is the
        models' ``weight_kind``, which must be the same for all.
    folds : int
        How many parts the rows are held out in.
    cv : splitter or iterable of pairs, optional
        Instead of ``folds`` at random: any splitter of scikit-learn's (an object with ``split(X, y,
        groups)``), or pairs of (train, test) row numbers. The scores of a row that is held out several times
        are averaged; rows that never are count in no mean. A number is ``folds``.
    groups : array of shape (n,) or the name of a column, optional
        Rows of one group are held out together, and standard errors are those of independent groups. A
        column named here is no part of the rows.
    time : True, array of shape (n,) or the name of a column, optional
        Rows are in this order (``True``: as they come). Each fold is asked of a fit to all rows before it
        (forward chaining), and standard errors allow for what neighbours share. A column named here is no
        part of the rows.
    truth : density, optional
        The known distribution that the rows came from: shown in the table with the divergence (KL) of each
        model from it; it never wins.
    random_state : None, int or Generator
        Decides which rows are held out together.
    rivals : bool
        Where the best model chose its size and structure by BIC, and the rows are few: hold out also the
        nearest rivals in its family, with size and structure held, and say whether they agree.
    stack : bool
        Whether a mixture of the models (:class:`pofx.Stack`), weighted by held-out likelihood, joins the
        table where it beats each of them by more than two paired standard errors.
    budget : float, optional
        Seconds after which no further model is tried; those that were not are rows that say so. With it,
        and only then, the answer depends on the clock.
    most_rows : int, optional
        Of more rows than this, a random sample of so many (whole groups) is fitted and held out; the best
        model is fitted to all rows all the same. By default all are.
    progress : function of a text, optional
        Called with a few words before each fit.

    Returns
    -------
    Comparison
        ``best`` is the simplest model (class attribute ``rank``, then the number of parameters) whose mean
        lies within one paired standard error of the leader's (the rule of Breiman et al. 1984), fitted
        to all rows. A model finer than the recorded step of a column has its score lowered by all that
        ties could give it, and if it is finer than rounding leaves anything it cannot win
        (:mod:`pofx.evaluate.ties`). One Gaussian is added where it is not among the models, to compare with;
        it wins only where it was listed. Kinds of log density are kept apart (:mod:`pofx.evaluate.ranking`).

    Raises
    ------
    ParameterError, DataError, WeightError
        Where nothing can be compared; where every model failed, with the first reason.

    Examples
    --------
    >>> import pofx
    >>> world = pofx.worlds.moons()
    >>> rows = world.sample(300, random_state=0)
    >>> result = pofx.compare([pofx.Gaussian(), pofx.KDE("isj")], rows, truth=world)
    >>> result.best_name, [entry.name for entry in result.table if entry.close]
    ("KDE(bandwidth='isj')", ["KDE(bandwidth='isj')"])
    >>> round(result.best_entry.kl, 2)
    0.25
    """
    started = clock.monotonic()
    by_name = named(models)
    if budget is not None:
        budget = real_number(budget, "budget", above=0.0)
    weight_kind = _one_weight_kind(by_name, sample_weight)
    cut = split(
        X,
        folds=folds,
        random_state=random_state,
        missing=_missing(by_name.values()),
        sample_weight=sample_weight,
        weight_kind=weight_kind,
        cv=cv,
        groups=groups,
        time=time,
        most_rows=most_rows,
        texts=list(dict.fromkeys(key for model in by_name.values() for key in model._group_columns())),
    )
    given = {name for name, model in by_name.items() if is_given(model)}
    roles = dict.fromkeys(given, "given")
    by_name |= _shown(by_name, cut, weight_kind, truth, roles)
    say = progress or (lambda text: None)
    prototypes = {name: model if name in roles and roles[name] != "baseline" else unfitted(model)
                  for name, model in by_name.items()}  # fmt: skip

    def whole(model: Density) -> Density:
        clone: Density = unfitted(model)
        return clone.fit(cut.data, sample_weight=sample_weight)

    at_once = None if cut.sampled else whole  # else only the best is fitted to all rows

    # What everything is measured by is held out in every fold.
    keeps = tuple(name for name, model in by_name.items() if _is_plain(model) and name not in given)
    shown = tuple(name for name, role in roles.items() if role == "baseline")
    records, lanes = _records(by_name, cut, say, at_once, keeps, shown, budget, started)
    fits = _Fits(prototypes, roles, lanes, whole, say, cut)
    bits = _nats_of_a_bit(by_name, cut)
    barred = {r.name: TOO_FINE for r in records if r.too_fine}
    if stack:
        found = stacked(ranked(records, by_name, barred, roles, {}), cut)
        if found is not None:
            parts = [unfitted(by_name[name]) for name in found.parts]
            prototypes[STACK] = by_name[STACK] = Stack(parts, found.weights.tolist(), weight_kind=weight_kind)
            roles[STACK] = "stack"
            records.append(found.record)
    while True:
        table = ranked(records, by_name, barred, roles, fits.criteria(), bits=bits)
        leader = table[0]
        if leader.held_out.failure or leader.shown:
            failed = next(entry for entry in table if entry.held_out.failure and not entry.shown)
            raise DataError(f"No model could be fitted. {failed.name}, {failed.held_out.failure}")
        chosen = min((e for e in table if e.close and (not e.barred or leader.barred)), key=_simplicity)
        best = fits.best(chosen.name)
        if chosen.barred or not cut.steps.gain(best).impossible:
            break
        barred[chosen.name] = TOO_FINE  # fitted to all rows it is, whatever the folds were
    fits.warn_of(chosen.name)
    family = family_of(best, chosen.held_out, cut, say, rivals=rivals)
    table = ranked(records, by_name, barred, roles, fits.criteria(), bits=bits)
    made = {name: fit for name, fit in fits.made.items() if not isinstance(fit, Exception)}
    return Comparison(
        best, chosen.name, leader.name, table, prototypes, cut, cut.data, random_state, family, made
    )


def _one_weight_kind(models: Mapping[str, Density], sample_weight: Any) -> str | None:
    kinds = {model.weight_kind for model in models.values() if not is_given(model)} or {None}
    if sample_weight is not None and len(kinds) > 1:
        raise ParameterError(
            f"The models take weights for different things, weight_kind = {sorted(map(str, kinds))}; give "
            "all of them the same weight_kind."
        )
    return next(iter(kinds))


def _missing(models: Iterable[Density]) -> str:
    asked = [model.missing for model in models if not is_given(model)]  # what is not fitted has no say
    return "drop" if asked and all(word == "drop" for word in asked) else "error"


def _records(
    models: Mapping[str, Density],
    cut: Split,
    say: Callable[[str], None],
    whole: Callable[[Density], Density] | None,
    keeps: tuple[str, ...],
    shown: tuple[str, ...],
    budget: float | None,
    started: float,
) -> tuple[list[HeldOut], dict[str, Lane]]:
    """Hold out all models together; under a budget one after the other, until it is spent."""
    if budget is None:
        return held_out(models, cut, say, whole=whole, drop=True, keeps=keeps, shown=shown)
    records: list[HeldOut] = []
    lanes: dict[str, Lane] = {}
    order = sorted(models, key=lambda name: name not in shown)  # the Gaussian to compare with is quick
    for name in order:
        if len(lanes) > len(shown) and clock.monotonic() - started > budget:
            text = f"not tried: the budget of {budget:g} s was spent"
            records.append(HeldOut(name, np.empty(0), text, 0, 0, 0.0, math.inf, weights=cut.weights))
            continue
        found, made = held_out({name: models[name]}, cut, say, whole=whole)
        records += found
        lanes |= made
    return records, lanes


# ---------------------------------------------------------------- rows that are shown for comparison


def _shown(
    models: Mapping[str, Density], cut: Split, weight_kind: str | None, truth: Any, roles: dict[str, str]
) -> dict[str, Density]:
    """Return the added Gaussian and the truth by name, and enter their roles."""
    shown: dict[str, Density] = {}
    density = all(model.measure == "density" for model in models.values())
    if density and not any(_is_plain(model) and not is_given(model) for model in models.values()):
        name = _free(BASELINE, models)
        shown[name] = Gaussian(weight_kind=weight_kind)
        roles[name] = "baseline"
    if truth is not None:
        name = _free(TRUTH, models)
        shown[name] = _known(truth, cut, {m.measure for m in models.values()})
        roles[name] = "truth"
    return shown


def _is_plain(model: Density) -> bool:
    return type(model) is Gaussian and repr(model.covariance_type) == "'full'"


def _free(name: str, models: Mapping[str, Density]) -> str:
    return name if name not in models else f"{name} (added)"


def _known(truth: Any, cut: Split, measures: set[str]) -> Density:
    density = as_density(truth)
    if not isinstance(density, Density) or isinstance(truth, type):
        raise ParameterError(
            f"truth must be a known density: a world, Model.from_params(...), or a frozen distribution of "
            f"scipy.stats; got {truth!r:.80}."
        )
    if not is_given(density):
        raise ParameterError(
            f"truth must be known, not estimated: {truth!r:.80} is a model to fit. List it among models=."
        )
    if isinstance(density, Foreign):
        density = Foreign(density.model, cut.rows.columns)
    d = cut.rows.values.shape[1]
    if density.n_features_in_ != d:
        raise DataError(f"truth has {density.n_features_in_} columns; the rows have {d}.")
    if density.measure not in measures:
        raise ParameterError(
            f"truth is a {density.measure}, the models are a {' and a '.join(sorted(measures))}; "
            "a divergence between them has no meaning."
        )
    return density


# ---------------------------------------------------------------- fits to all rows


class _Fits:
    """Fits to all rows: those made with the folds, and the rest when it is asked for."""

    def __init__(
        self,
        prototypes: Mapping[str, Density],
        roles: Mapping[str, str],
        lanes: Mapping[str, Lane],
        whole: Callable[[Density], Density],
        say: Callable[[str], None],
        cut: Split,
    ) -> None:
        self.prototypes, self.roles, self.whole, self.say, self.cut = prototypes, roles, whole, say, cut
        self.made: dict[str, Density | Exception] = {
            name: lane.whole for name, lane in lanes.items() if lane.whole is not None
        }
        self.texts = {name: lane.whole_texts for name, lane in lanes.items() if lane.whole is not None}
        self._criteria: dict[str, Criteria] = {}

    def best(self, name: str) -> Density:
        """Return the fit to all rows; a density that was given, as it is.

        Raises
        ------
        PofxError
            As its ``fit`` does.
        """
        if self.roles.get(name) in ("given", "truth"):
            model = self.prototypes[name]
            return Foreign(model.model, self.cut.rows.columns) if isinstance(model, Foreign) else model
        if name not in self.made:
            self.say(f"{name}: all rows")
            self.made[name] = self.whole(self.prototypes[name])
        found = self.made[name]
        if isinstance(found, Exception):
            raise found
        return found

    def warn_of(self, name: str) -> None:
        """Pass on what the fit of the best warned of, where it was made among others."""
        for text in self.texts.get(name, ()):
            warnings.warn(text, PofxWarning, stacklevel=3)

    def criteria(self) -> dict[str, Criteria]:
        """Return BIC and ICL of what has been fitted to all rows."""
        for name, model in self.made.items():
            if name not in self._criteria and not isinstance(model, Exception):
                self._criteria[name] = _criteria(model, self.cut)
        return dict(self._criteria)


def _criteria(model: Density, cut: Split) -> Criteria:
    """Return −2 log L + k log n of the fit, and the mixture's ICL."""
    if model.kind != "exact":
        return Criteria(why_not=f"its log density is of kind {model.kind!r}")
    if type(model).__name__ in GROWING:
        return Criteria(why_not="what it counts as parameters grows with the rows")
    if cut.sampled:
        return Criteria(why_not="only the best model is fitted to all rows")
    try:
        k = model.n_parameters_
    except (PofxError, NotImplementedError):
        return Criteria(why_not="it does not count its parameters")
    w = np.ones(len(cut.part)) if cut.weights is None else cut.weights
    log_likelihood = float(w @ model.log_density(cut.rows))
    if not math.isfinite(log_likelihood):
        return Criteria(why_not="it calls a row of its own fit impossible")
    bic = -2.0 * log_likelihood + k * math.log(w.sum())
    icl = None
    if cut.weights is None and hasattr(model, "icl"):
        try:
            icl = float(model.icl(cut.rows))
        except PofxError:
            icl = None
    return Criteria(bic, icl)


def _nats_of_a_bit(models: Mapping[str, Density], cut: Split) -> float | None:
    """Return d log 2 where the models give probabilities of values; None for densities, whose bits would
    change with the columns' units."""
    mass = all(model.measure == "mass" for model in models.values())
    return cut.rows.values.shape[1] * math.log(2.0) if mass else None


def _simplicity(entry: Entry) -> tuple[float, float, float]:
    return entry.rank, entry.held_out.n_parameters, -entry.difference
