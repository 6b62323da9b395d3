"""Held-out rows that a model's alarms are calibrated on, carried by the model and by its file.

The model itself is fitted to all rows. Beside it stand judges: fits of the same kind that never saw some of
the rows, and what they say of those. A new row is ranked by a judge among rows that the judge saw as little
as it saw the new one (:mod:`pofx.core.rarity`), so no judge's overconfidence in its own rows counts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.rarity import Calibration
from ..errors import DataError, ParameterError, UnsupportedError
from ..validation import Fingerprint, Rows, columns_of, one_of, row_weights, rows_to_fit
from .comparison import Comparison
from .foreign import Foreign, is_foreign
from .heldout import is_given
from .splits import Split, split

__all__ = ["as_model", "calibrate", "calibrated_by", "wrapped"]

Floats = NDArray[np.float64]

MOST_CROSSED = 10_000  # rows up to which every row calibrates; of more, those that one judge never saw
METHODS = ("auto", "cross", "split")


def calibrate(
    model: Any,
    X: Any,
    *,
    new: bool = False,
    method: str = "auto",
    folds: int = 5,
    groups: Any = None,
    sample_weight: Any = None,
    random_state: Any = 0,
    progress: Callable[[str], None] | None = None,
) -> Density:
    """Return the model with a calibration: ``rarity`` and :func:`pofx.alarms` then keep what they promise.

    Parameters
    ----------
    model : Density or foreign estimator
        Not fitted: it is fitted to X. Fitted to X: it stays as it is, and clones are fitted beside it. It is
        copied, never changed.
    X : rows, as for ``fit``
        The rows of the fit or, with ``new=True``, rows from the same source that the model has not seen.
    new : bool
        Rank new rows among X by the model itself: nothing is fitted, and the promise is a theorem at alpha.
    method : {"auto", "cross", "split"}
        "cross": each row is held out once, in ``folds`` folds, and every row calibrates. "split": one clone
        is fitted without the rows of one fold, and these calibrate: fewer, but the promise is a theorem at
        alpha. "auto": "cross" up to 10,000 rows, "split" beyond.
    folds : int
    groups : column or (n,), optional
        Rows of one group are held out together. The promise is then one for rows of new groups.
    sample_weight : (n,), optional
        How often each row counts.
    random_state : int, Generator or RandomState
        Deals the rows.
    progress : function of a sentence, optional

    Returns
    -------
    Density
        ``fit_.calibration`` holds the calibration; ``save`` writes it with the model, another ``fit`` drops
        it.

    Raises
    ------
    DataError
        Where a fitted model was fitted to other rows than X, and ``new=True`` was not said; for too few rows.
    UnsupportedError
        For a model without log density, and for one that was given, not fitted, without ``new=True``.

    Examples
    --------
    >>> import pofx
    >>> rows = pofx.worlds.moons().sample(300, random_state=0)
    >>> model = pofx.calibrate(pofx.KDE(), rows)
    >>> model.fit_.calibration.size
    300.0
    >>> rarity, error = model.rarity([[0.0, 9.0]])
    >>> bool(rarity[0] == 1 / 301)
    True
    """
    one_of(method, "method", METHODS)
    say = progress or (lambda text: None)
    model = wrapped(model, X) if is_foreign(model) else as_model(model)
    if model.kind == "none":
        raise UnsupportedError(
            f"{type(model).__name__} has no log density, so it cannot say which rows are rare."
        )
    known = "params_" in vars(model)
    if new:
        if not known:
            raise ParameterError("new=True calibrates a fitted model on rows it has not seen; fit it first.")
        return _on_new(model, X, sample_weight)
    if known and is_given(model):
        raise UnsupportedError(
            f"{type(model).__name__} was given, not fitted: there is nothing to fit without some of the "
            "rows. Its own rarity needs no calibration if it is the truth; else say new=True."
        )
    cut = split(
        X,
        folds=folds,
        random_state=random_state,
        missing=getattr(model, "missing", "error"),
        sample_weight=sample_weight,
        weight_kind=model.weight_kind,
        groups=groups,
    )
    if known:
        cut = _in_order(cut, model)
        _refuse_others(model, cut)
    else:
        say(f"{type(model).__name__}: fit to all rows")
        model = cut.fit(model)
    judges = _judges(model, cut, one_judge=_alone(cut, method), say=say)
    return _with(model, _calibration(judges, cut))


def calibrated_by(
    result: Comparison, *, method: str = "auto", progress: Callable[[str], None] | None = None
) -> Density:
    """Return the best model of a comparison with a calibration; a model that was given, as it is.

    The judges are the fits of the comparison's own folds where they were kept, else new ones. ``method`` is
    that of :func:`calibrate`.
    """
    model, cut = result.best, result.split
    if is_given(model):
        return model
    alone = _alone(cut, one_of(method, "method", METHODS))
    kept = result.best_entry.held_out.models
    if len(kept) == cut.folds:
        judges = list(enumerate(kept))[-1 if alone else 0 :]
    else:
        judges = _judges(model, cut, one_judge=alone, say=progress or (lambda text: None))
    return _with(model, _calibration(judges, cut))


# ---------------------------------------------------------------- parts


def as_model(model: Any) -> Density:
    """Return the model.

    Raises
    ------
    ParameterError
        For what is none.
    """
    if isinstance(model, type) or not isinstance(model, Density):
        hint = f"; did you mean {model.__name__}()?" if isinstance(model, type) else ""
        raise ParameterError(
            "Expected a model such as pofx.GaussianMixture(), or an estimator with fit, score_samples and "
            f"sample; got {model!r:.80}{hint}"
        )
    return model


def wrapped(model: Any, X: Any) -> Foreign:
    """Return somebody else's estimator as a model of the columns of X that it knows, fitted if it is."""
    names = tuple(map(str, getattr(model, "feature_names_in_", ())))
    columns = columns_of(X, names or None)
    try:
        return Foreign(model, columns)
    except DataError:
        if not hasattr(model, "fit") or hasattr(model, "n_features_in_"):
            raise
        return Foreign(model)


def _alone(cut: Split, method: str) -> bool:
    """Whether one judge will do."""
    return method == "split" or (method == "auto" and len(cut.part) > MOST_CROSSED)


def _in_order(cut: Split, model: Density) -> Split:
    """Return the split with its rows in the order of the model's columns."""
    ours, theirs = model.params_.columns, cut.rows.columns
    if len(ours) != len(theirs):
        raise DataError(f"The model has {len(ours)} columns, X {len(theirs)}: it was fitted to other rows.")
    if ours.names is None or theirs.names is None or ours.names == theirs.names:
        return cut
    order = [theirs.index(name) for name in ours.names]
    return replace(cut, rows=Rows(np.ascontiguousarray(cut.rows.values[:, order]), theirs.select(order)))


def _refuse_others(model: Density, cut: Split) -> None:
    told, columns = model.fit_.fingerprint, model.params_.columns
    if cut.weights is not None or told is None:
        return  # rows of weight zero may be missing here, and older files do not say
    if told != Fingerprint(columns.names, len(columns)).update(cut.rows.values).hexdigest():
        raise DataError(
            f"{type(model).__name__} was fitted to other rows than these {len(cut.part):,}. Give the rows of "
            "its fit; or, if it has seen none of these, say new=True: they calibrate it as it is."
        )


def _judges(
    model: Density, cut: Split, *, one_judge: bool, say: Callable[[str], None]
) -> list[tuple[int, Density]]:
    """Return for each fold a fit to the rows that it does not hold out; for one judge, for the last alone,
    which sees the most rows where they are held out in time."""
    again = model._narrowed() or model
    found = []
    for k in range(cut.folds - 1 if one_judge else 0, cut.folds):
        say(f"{type(model).__name__}: judge {k + 1}, fitted without {len(cut.asked(k)):,} rows")
        found.append((k, cut.fit(again, k)))
    return found


def _calibration(judges: Sequence[tuple[int, Density]], cut: Split) -> Calibration:
    scores, weights = [], []
    for k, judge in judges:
        asked = np.flatnonzero(cut.part == k)  # once each, also where a splitter holds rows out twice
        asked = asked[~np.isnan(cut.rows.values[asked]).any(axis=1)]  # rarity is one of complete rows
        log_p = judge._log_density_rows(judge.params_, cut.rows.values[asked])
        order = np.argsort(log_p, kind="stable")
        scores.append(log_p[order])
        weights.append(None if cut.weights is None else cut.weights[asked][order])
    if not sum(len(s) for s in scores):
        raise DataError("No row is complete, so none calibrates: rarity is one of rows without gaps.")
    together = ", whole groups together" if cut.spread.groups is not None else ""
    together += ", each by a fit to earlier rows" if cut.spread.order is not None else ""
    how = f"held out in {len(judges)} folds{together}" if len(judges) > 1 else f"held out{together}"
    return Calibration(
        tuple(scores),
        tuple(judge for _, judge in judges),
        None if cut.weights is None else tuple(w for w in weights if w is not None),
        how,
    )


def _on_new(model: Density, X: Any, sample_weight: Any) -> Density:
    rows = rows_to_fit(X, missing="drop")
    w = row_weights(sample_weight, len(rows.values), weight_kind=model.weight_kind, kept=rows.kept)
    log_p = model.log_density(rows)
    order = np.argsort(log_p, kind="stable")
    weights = None if w is None else (w[order],)
    return _with(model, Calibration((log_p[order],), (), weights, "that the model has not seen"))


def _with(model: Density, calibration: Calibration) -> Density:
    """Return a copy of the fitted model that carries the calibration."""
    made = copy.copy(model)
    made._adopt(model.params_, replace(model.fit_, calibration=calibration))
    return made
