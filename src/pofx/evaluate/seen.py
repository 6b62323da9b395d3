"""What a model has seen of the rows: this decides what a check can prove."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, PofxError, PofxWarning, UnsupportedError
from ..validation import Columns, Fingerprint, Rows, rows_to_fit, rows_to_query
from .curves import draws_of, log_density
from .foreign import Foreign
from .heldout import Split

__all__ = ["case_of", "refits", "rows_of", "same_rows"]

Floats = NDArray[np.float64]

SAME = 1e-6  # log densities of one fit and its repetition on the same rows, in whatever order, agree to this


def rows_of(model: Density, X: Any) -> Rows:
    """Return the rows in the order of the model's columns, and the precision that they are recorded in."""
    trained = model.params_.columns
    missing = getattr(model, "missing", "error")
    levels = range(len(trained)) if trained.levels is not None else ()
    texts = [
        trained.names[j] if trained.names is not None else j
        for j in levels
        if trained.levels_of(j) is not None
    ]
    rows = rows_to_fit(X, missing="error" if missing == "marginal" else missing, groups=texts)
    values = rows_to_query(rows, trained, who=type(model).__name__)
    theirs = rows.columns
    if theirs.names is not None and trained.names is not None:
        theirs = theirs.select([theirs.names.index(name) for name in trained.names])
    decimals, dtypes = list(theirs.decimals), list(theirs.dtypes)
    for j, (here, there) in enumerate(zip(theirs.decimals, trained.decimals, strict=True)):
        if here is not None and there is not None and there > here:
            decimals[j], dtypes[j] = there, "float64"  # few rows may look coarser than what they come from
    names = trained.names if trained.names is not None else theirs.names
    return Rows(values, Columns(names, tuple(dtypes), tuple(decimals), "array"), rows.dropped)


def case_of(model: Density, given: Rows, new: bool | None, say: Callable[[str], None]) -> str:
    fit = model.fit_
    fitted = not model.fixed if isinstance(model, Foreign) else fit.n_rows > 0
    if new is not None:
        return "seen" if not new else "new" if fitted else "known"
    if isinstance(model, Foreign):
        # It says neither how many rows it was fitted to nor whether its fits are repeatable.
        if not fitted:
            return "known"
        say(f"{model!r}: was it fitted to these rows?")
        return "seen" if _is_fit_of(model, given) else "unknown"
    if fitted and fit.n_rows != len(given.values):
        return "new"
    seeds = (value for key, value in model.get_params().items() if key.endswith("random_state"))
    repeatable = not any(isinstance(s, np.random.Generator | np.random.RandomState) for s in seeds)
    if fitted and (fit.effective_n != fit.n_rows or not repeatable):
        return "unknown"
    if fitted and fit.fingerprint is not None and fit.fingerprint == _fingerprint(model, given):
        return "seen"
    say(f"{type(model).__name__}: was it fitted to these rows?")
    if repeatable and _is_fit_of(model, given):
        return "seen"
    return "new" if fitted else "known"


def _fingerprint(model: Density, given: Rows) -> str:
    columns = model.params_.columns  # in whose order the rows are
    return Fingerprint(columns.names, len(columns)).update(given.values).hexdigest()


def _is_fit_of(model: Density, given: Rows) -> bool:
    """Whether a clone fitted to the rows is the model again."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = unfitted(model).fit(given)
            few = np.linspace(0, len(given.values) - 1, min(100, len(given.values))).astype(int)
            if model.kind == "none":
                one, other = (draws_of(m, 10, 0) for m in (model, again))
            else:
                one, other = (log_density(m, given.values[few]) for m in (model, again))
    except Exception:  # whatever a model raises, it is not the fit of these rows
        return False
    return np.allclose(one, other, rtol=SAME, atol=SAME)


def refits(
    model: Density, cut: Split, chosen: NDArray[np.intp], say: Callable[[str], None], notes: dict[str, None]
) -> Iterator[tuple[Density, Floats]]:
    """Yield a clone fitted without each part, and the chosen rows of that part."""
    is_chosen = np.zeros(len(cut.part), dtype=bool)
    is_chosen[chosen] = True
    for k in range(cut.folds):
        mine = (cut.part == k) & is_chosen
        if not mine.any():
            continue
        say(f"{type(model).__name__}: fold {k + 1} of {cut.folds}")
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", PofxWarning)
                judge = unfitted(model).fit(cut.train(k))
        except UnsupportedError:
            raise  # a known world cannot be fitted, and says so
        except PofxError as error:
            raise DataError(
                f"check refits {model!r} without each of {cut.folds} parts of the rows in turn; "
                f"fit {k + 1} failed: {error}"
            ) from error
        notes.update({str(w.message): None for w in said if issubclass(w.category, PofxWarning)})
        if not judge.fit_.converged:
            notes[f"A refit did not converge: {judge.fit_.message}"] = None
        yield judge, cut.rows.values[mine]


def same_rows(one: Floats, other: Floats) -> bool:
    """Whether two tables hold the same rows, in whatever order."""
    if one.shape != other.shape:
        return False
    a, b = (part[np.lexsort(part.T)] for part in (one, other))
    return np.array_equal(a, b)
