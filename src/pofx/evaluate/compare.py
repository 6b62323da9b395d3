"""Which model to use: held-out log density with its doubts, and the simplest model that is good enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, ParameterError
from .comparison import Comparison, Entry, Gain
from .family import family_of
from .heldout import HeldOut, held_out, named, paired_difference, split

__all__ = ["Comparison", "Entry", "Gain", "compare"]

TOO_FINE = "its bumps are narrower than rounding alone leaves anything, so it would win by spikes on ties"


def compare(
    models: Sequence[Any] | Mapping[str, Any],
    X: Any,
    *,
    sample_weight: Any = None,
    folds: int = 5,
    random_state: Any = 0,
    rivals: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare models by the log density they give to rows they were not fitted to.

    Parameters
    ----------
    models : list of models, or dict of them by name
        Unfitted or fitted; clones are fitted, these stay as they are. Estimators of other libraries with
        ``fit``, ``score_samples`` and ``sample``, as scikit-learn's have, stand beside ours.
    X : rows, as for ``fit``
        Rows with missing values are left out where every model has ``missing="drop"``.
    sample_weight : array of shape (n,), optional
        Weights of the rows, for the fits and for the means over held-out rows; what they mean is the
        models' ``weight_kind``, which must be the same for all.
    folds : int
        How many parts the rows are held out in.
    random_state : None, int or Generator
        Decides which rows are held out together.
    rivals : bool
        Where the best model chose its size and structure by BIC, and the rows are few: hold out also the
        nearest rivals in its family, with size and structure held, and say whether they agree.
    progress : function of a text, optional
        Called with a few words before each fit.

    Returns
    -------
    Comparison
        ``best`` is the simplest model (class attribute ``rank``, then the number of parameters) whose mean
        lies within one paired standard error of the leader's (the rule of Breiman et al. 1984), fitted
        to all rows. A model finer than the recorded step of a column has its score lowered by all that
        ties could give it, and if it is finer than rounding leaves anything it cannot win
        (:mod:`pofx.evaluate.ties`).

    Raises
    ------
    ParameterError, DataError, WeightError
        Where nothing can be compared; where every model failed, with the first reason.

    Examples
    --------
    >>> import pofx
    >>> rows = pofx.worlds.moons().sample(300, random_state=0)
    >>> result = pofx.compare([pofx.Gaussian(), pofx.KDE("isj")], rows)
    >>> result.best_name, [entry.name for entry in result.table if entry.close]
    ("KDE(bandwidth='isj')", ["KDE(bandwidth='isj')"])
    """
    by_name = named(models)
    missing = "drop" if all(model.missing == "drop" for model in by_name.values()) else "error"
    kinds = {model.weight_kind for model in by_name.values()}
    if sample_weight is not None and len(kinds) > 1:
        raise ParameterError(
            f"The models take weights for different things, weight_kind = {sorted(map(str, kinds))}; give "
            "all of them the same weight_kind."
        )
    cut = split(
        X,
        folds=folds,
        random_state=random_state,
        missing=missing,
        sample_weight=sample_weight,
        weight_kind=kinds.pop(),
    )
    say = progress or (lambda text: None)
    records = list(held_out(by_name, cut, say))
    barred = {r.name: TOO_FINE for r in records if r.too_fine}
    prototypes = {name: unfitted(model) for name, model in by_name.items()}
    while True:
        table = _ranked(records, by_name, barred)
        leader = table[0]
        if leader.held_out.failure:
            raise DataError(f"No model could be fitted. {leader.name}, {leader.held_out.failure}")
        chosen = min((e for e in table if e.close and (not e.barred or leader.barred)), key=_simplicity)
        say(f"{chosen.name}: all rows")
        best = unfitted(prototypes[chosen.name]).fit(X, sample_weight=sample_weight)
        if chosen.barred or not cut.steps.gain(best).impossible:
            break
        barred[chosen.name] = TOO_FINE  # fitted to all rows it is, whatever the folds were
    family = family_of(best, chosen.held_out, cut, say, rivals=rivals)
    return Comparison(
        best, chosen.name, leader.name, table, prototypes, cut, X, random_state, family, {chosen.name: best}
    )


def _ranked(
    records: Sequence[HeldOut], models: Mapping[str, Density], barred: Mapping[str, str]
) -> tuple[Entry, ...]:
    """Return the table: best mean first; among means of -inf, fewest impossible rows first; then those that
    cannot win; failures last."""

    def order(record: HeldOut) -> tuple[bool, bool, int, float]:
        return record.failure is not None, record.name in barred, record.outside, -_finite_mean(record)

    ordered = sorted(records, key=order)
    leader = ordered[0]
    entries = []
    for record in ordered:
        gap, doubt = (0.0, 0.0) if record is leader else paired_difference(record, leader)
        close = record is leader or gap >= -doubt  # False where either is NaN
        why = barred.get(record.name)
        entries.append(Entry(record, models[record.name].rank, gap, doubt, bool(close), why))
    return tuple(entries)


def _simplicity(entry: Entry) -> tuple[float, float, float]:
    return entry.rank, entry.held_out.n_parameters, -entry.difference


def _finite_mean(record: HeldOut) -> float:
    """The mean over the rows that the model calls possible."""
    if record.failure:
        return -math.inf
    possible = record.scores[record.log_density > -math.inf]
    return float(possible.mean()) if len(possible) else -math.inf
