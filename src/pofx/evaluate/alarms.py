"""Which rows are so rare that they raise an alarm, at a rate that can be promised."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.rarity import own_rarity
from ..data.diagnose.finding import counted
from ..errors import ParameterError, PofxWarning, UnsupportedError
from ..maths.counts import count_quantile
from ..validation import Columns, Rows, real_number, rng_from, rows_to_query
from .calibrate import as_model, wrapped
from .foreign import Foreign, is_foreign
from .why import blamed

__all__ = ["DRAWS", "Alarms", "alarms", "judge_rows"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DRAWS = 10_000  # behind the rarity of a model without calibration, at least; ten for the smallest alarm
CHANCE = 0.95  # of finding no more than ``most`` where every row is like those of the fit


@dataclass(frozen=True, eq=False)
class Alarms:
    """What a model says of rows, one entry for each, in order.

    Attributes
    ----------
    log_density : ndarray (n,)
        Nats, in the units of the data; NaN where a row could not be scored.
    rarity, standard_error : ndarray (n,)
        The probability mass that is less dense than the row, and its error; NaN where there is none.
    alarm : ndarray of bool (n,)
        Whether ``rarity <= alpha``; False for a row that could not be scored.
    reason : list of str
        Why a row could not be scored; empty for all others.
    component, component_probability : ndarray (n,) or None
        The likeliest component of a mixture (−1: the noise) and its probability given the row; −2 and NaN
        where a row could not be scored. None for models without components.
    why : list of str or None
        Of a row that raises an alarm, the columns that are least likely given the others and by how many
        nats less than usual: "waiting −7.1, eruptions −0.4".
    alpha : float
    expected : float
        How many alarms are expected at most, if the rows come from where the training rows came from.
    most : int
        In 95 of 100 such samples there are no more than this.
    promise : str
        What the rate rests on.
    calibrated : bool
        Whether it rests on held-out rows, or on the model's own word.
    """

    log_density: Floats
    rarity: Floats
    standard_error: Floats
    alarm: Bools
    reason: list[str]
    component: NDArray[np.int64] | None
    component_probability: Floats | None
    why: list[str] | None
    alpha: float
    expected: float
    most: int
    promise: str
    calibrated: bool
    model: str
    data: Any

    @property
    def found(self) -> int:
        """How many rows raise an alarm."""
        return int(self.alarm.sum())

    @property
    def scored(self) -> int:
        """How many rows have a rarity."""
        return int((~np.isnan(self.rarity)).sum())

    @property
    def beyond_chance(self) -> bool:
        """Whether there are more alarms than chance explains."""
        return self.found > self.most

    def columns(self) -> dict[str, list[Any]]:
        """Return the new columns by name, None where a row has no value."""
        scored = ~np.isnan(self.rarity)
        out: dict[str, list[Any]] = {
            "log_density": _filled(self.log_density, ~np.isnan(self.log_density)),
            "rarity": _filled(self.rarity, scored),
            "alarm": _filled(self.alarm, scored),
        }
        if self.component is not None and self.component_probability is not None:
            there = ~np.isnan(self.component_probability)
            out["component"] = _filled(self.component, there)
            out["component_probability"] = _filled(self.component_probability, there)
        if self.why is not None:
            out["why"] = list(self.why)
        return {**out, "reason": list(self.reason)}

    def to_frame(self, kind: str | None = None) -> Any:
        """Return the rows as they came, all columns and a pandas index kept, with the new columns after them.

        Parameters
        ----------
        kind : "pandas", "polars" or "pyarrow"
            By default that of the rows; pandas for arrays.

        Raises
        ------
        DataError
            Where the rows have a column of one of the new names already.
        MissingExtraError
            If that library is not installed.
        """
        from .frames import beside

        return beside(self.data, self.columns(), kind)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data (schema ``pofx.alarms/1``); the rows themselves are left out."""
        return {
            "schema": "pofx.alarms/1",
            "model": self.model,
            "unit": "nats, data units",
            "alpha": self.alpha,
            "rows": len(self.alarm),
            "scored": self.scored,
            "expected": self.expected,
            "expected_at_most": self.most,
            "found": self.found,
            "beyond_chance": self.beyond_chance,
            "calibrated": self.calibrated,
            "promise": self.promise,
            **self.columns(),
            "rarity_standard_error": _filled(self.standard_error, ~np.isnan(self.standard_error)),
        }

    def __str__(self) -> str:
        n, scored = len(self.alarm), self.scored
        if self.calibrated:
            like = "if these rows come from where the training rows came from"
        else:
            like = "if the model is right"
        head = (
            f"{counted(self.found, 'alarm')} at α = {self.alpha:g} in {counted(scored, 'row')}; expected at "
            f"most {self.expected:.3g} {like} (up to {self.most:,} in 95 of 100 samples)"
        )
        lines = [f"{head}: {'more than chance' if self.beyond_chance else 'no more than chance'}."]
        if n > scored:
            lines.append(f"{counted(n - scored, 'row')} could not be scored; the column reason says why.")
        return "\n".join([*lines, f"{self.promise}."])


def alarms(
    model: Any,
    X: Any,
    alpha: float = 0.01,
    *,
    why: bool = False,
    own: bool = False,
    random_state: Any = 0,
) -> Alarms:
    """Score rows and raise an alarm at those that are rarer than ``alpha``.

    Parameters
    ----------
    model : fitted Density or foreign estimator
        With a calibration (:func:`pofx.calibrate`) at most a share ``alpha`` of rows like those of the fit
        raises an alarm, whatever the model. Without one an alarm is a row that the model itself calls that
        rare, and the rate is right as far as the model is.
    X : rows, as for ``log_density``
        A row with a missing or infinite value gets no score, and the reason.
    alpha : float in (0, 1)
    why : bool
        Name the columns of a row in alarm that are least likely given its others.
    own : bool
        The model's own rarity, although it carries a calibration.
    random_state : int, Generator or RandomState
        Seed of the draws that the model's own rarity rests on.

    Returns
    -------
    Alarms
        One entry for each row; ``to_frame()`` gives the rows back with the answers beside them.

    Raises
    ------
    ParameterError
        Where alpha is smaller than any rarity that so few calibration rows can tell.
    DataError
        For rows without the model's columns.

    Examples
    --------
    >>> import pofx
    >>> world = pofx.worlds.moons()
    >>> model = pofx.calibrate(pofx.KDE(), world.sample(400, random_state=0))
    >>> rows = world.sample(200, random_state=1)
    >>> rows[17] = [0.0, 9.0]
    >>> found = pofx.alarms(model, rows, alpha=0.01, why=True)
    >>> bool(found.alarm[17]), found.found <= 5, found.why[17][:8]
    (True, True, 'column 1')
    """
    model = wrapped(model, X) if is_foreign(model) else as_model(model)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "X has columns that", PofxWarning
        )  # they are kept beside the answer
        x = rows_to_query(X, model.params_.columns, who=type(model).__name__, missing="keep")
    return judge_rows(model, x, X, alpha, why=why, own=own, random_state=random_state)


def judge_rows(
    model: Density,
    x: Floats,
    data: Any,
    alpha: float,
    *,
    reasons: Sequence[str] | None = None,
    why: bool = False,
    own: bool = False,
    random_state: Any = 0,
) -> Alarms:
    """Return the alarms of checked rows x (n, d), NaN or infinite where an entry cannot be used.

    ``reasons`` says for each row why, where more is known of it than that a value is missing; ``data`` are
    the rows as they came.
    """
    alpha = real_number(alpha, "alpha", above=0.0, below=1.0)
    if model.kind == "none":
        raise UnsupportedError(f"{type(model).__name__} has no log density, so no row is rare to it.")
    calibration = None if own else model.fit_.calibration
    draws = max(DRAWS, math.ceil(10 / alpha))
    if calibration is not None and calibration.level(alpha) == 0.0:
        raise ParameterError(
            f"alpha = {alpha:g} needs {math.ceil(1 / alpha) - 1:,} calibration rows; there are "
            f"{calibration.size:,.0f}, so no row is known to be rarer than {calibration.least:.2g}. Take a "
            "larger alpha, fit more rows, or ask for the model's own rarity (own=True)."
        )
    columns = model.params_.columns
    said = list(reasons) if reasons is not None else reasons_of(x, columns)
    complete = np.isfinite(x).all(axis=1) & np.array([not reason for reason in said], dtype=bool)
    usable = complete
    if model._meets_gaps():  # the log density of what there is of a row
        usable = np.asarray(np.isfinite(x).any(axis=1) & ~np.isinf(x).any(axis=1))
    log_p, share, error = (np.full(len(x), np.nan) for _ in range(3))
    log_p[usable] = model._log_density_rows(model.params_, x[usable])
    alarm = np.zeros(len(x), dtype=bool)
    if complete.any():
        if calibration is not None:
            found = calibration.rarity(model, x[complete])
        else:
            found = own_rarity(model, log_p[complete], n=draws, rng=rng_from(random_state))
        share[complete], error[complete] = found
        alarm[complete] = found.rarity <= alpha * (1.0 + 1e-12)
    component, probability = _components(model, x, usable)
    told = None
    if why:
        told = [""] * len(x)
        for i, text in zip(np.flatnonzero(alarm), blamed(model, x[alarm], log_p[alarm]), strict=True):
            told[i] = text
    n, m = int(complete.sum()), None if calibration is None else calibration.size
    rate = alpha if calibration is None else calibration.level(alpha)
    return Alarms(
        log_p,
        share,
        error,
        alarm,
        said,
        component,
        probability,
        told,
        alpha,
        rate * n,
        count_quantile(n, CHANCE, rate=rate, m=m) if n else 0,
        _promise(model, own),
        calibration is not None,
        _name(model),
        data,
    )


def _name(model: Density) -> str:
    return str(model.params_.made_by) if isinstance(model, Foreign) else type(model).__name__


def _promise(model: Density, own: bool) -> str:
    """Return what the rate of alarms rests on, as a sentence without its end."""
    calibration = model.fit_.calibration
    if calibration is not None and not own:
        return calibration.sentence
    why = "Not calibrated" if calibration is None else "The model's own rarity, as asked"
    return (
        f"{why}: an alarm at α is a row that {_name(model)} itself calls so rare; the rate is α if the model "
        "is right, and unknown if not"
    )


def reasons_of(x: Floats, columns: Columns) -> list[str]:
    """Return for each row which entries are missing or infinite; "" where none is."""
    out = [""] * len(x)
    for i in np.flatnonzero(~np.isfinite(x).all(axis=1)):
        words = []
        for bad, word in ((np.isnan(x[i]), "missing"), (np.isinf(x[i]), "infinite")):
            labels = [columns.label(int(j)) for j in np.flatnonzero(bad)]
            if labels:
                words.append(f"{word}: {', '.join(labels[:8])}" + " …" * (len(labels) > 8))
        out[i] = "; ".join(words)
    return out


def _components(model: Density, x: Floats, usable: Bools) -> tuple[NDArray[np.int64] | None, Floats | None]:
    """Return each row's likeliest component and its probability, where the model has components."""
    asked: Any = model.model if isinstance(model, Foreign) else model
    if not (hasattr(asked, "predict") and hasattr(asked, "predict_proba")):
        return None, None
    if model.measure == "mixed":  # what it predicts is a group, and that stands in the row
        return None, None
    label, probability = np.full(len(x), -2, dtype=np.int64), np.full(len(x), np.nan)
    if usable.any():
        rows = x[usable] if asked is not model else Rows(x[usable], model.params_.columns)
        label[usable], probability[usable] = asked.predict(rows), asked.predict_proba(rows).max(axis=1)
    return label, probability


def _filled(values: NDArray[Any], there: Bools) -> list[Any]:
    return [value if known else None for value, known in zip(values.tolist(), there.tolist(), strict=True)]
