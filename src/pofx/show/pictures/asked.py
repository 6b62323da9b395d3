"""What ``pofx.plot`` was asked for, checked: rows and their groups, masses, numbers of dots."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.data.table import Table
from pofx.errors import DataError, ParameterError, PofxError, PofxWarning, UnsupportedError
from pofx.show.pictures.parts import MASSES, MOST_GROUPS, Groups
from pofx.validation import real_number, rows_to_fit, rows_to_query, whole_number
from pofx.validation.columns import printable

__all__ = [
    "Given",
    "called",
    "column_numbers",
    "groups_of",
    "known_truth",
    "masses_of",
    "most_points",
    "name_of",
    "rows_of",
    "shades_of",
]

SHADES = 100
MOST_LEVELS = 20


def called(thing: Any) -> str:
    """Say what came in place of a model."""
    name = type(thing).__name__
    kind = f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"
    best = getattr(thing, "best", None)
    return f"{kind}; its best model is .best" if isinstance(best, Density) else kind


def name_of(model: Density) -> str:
    """Return what to call a model in words: "GaussianMixture(3)", "the world moons"."""
    name = type(model).__name__
    if isinstance(getattr(model, "name", None), str):
        return f"the world {model.name}"
    parts = getattr(model, "n_components_", None)
    if isinstance(parts, int):
        return f"{name}({parts})"
    return name


@dataclass(frozen=True, eq=False)
class Given:
    """The rows to draw (n, d), in the model's order of columns; their weights (n,) and groups, if any."""

    values: NDArray[np.float64]
    weights: NDArray[np.float64] | None
    groups: Groups | None


def rows_of(model: Density, data: Any, by: Any) -> Given:
    """Return the rows; those with gaps are left out where the model's fit did so."""
    columns, who = model.params_.columns, type(model).__name__
    labels, title = (None, "") if by is None else _labels(data, by)
    weights = data.weights if isinstance(data, Table) else None
    if getattr(model, "missing", None) == "drop":
        rows = rows_to_fit(_known(data, columns.names), missing="drop")
        data = rows.values if rows.columns.names is None else Table(rows.values, rows.columns)
        if rows.kept is not None:
            labels, weights = (
                v if v is None or len(v) != len(rows.kept) else v[rows.kept] for v in (labels, weights)
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # further columns of a table are no concern of a picture
        values = rows_to_query(data, columns, who=who)
    n = len(values)
    if n == 0:
        raise DataError("A picture needs at least one row; 0 rows came.")
    if labels is not None and labels.shape != (n,):
        raise ParameterError(f"by= needs one label for each of the {n:,} rows; got shape {labels.shape}.")
    if weights is not None and (weights == 1.0).all():
        weights = None
    return Given(values, weights, None if labels is None else groups_of(labels, title))


def _where(kept: NDArray[np.bool_], values: NDArray[Any] | None) -> NDArray[Any] | None:
    return values if values is None or len(values) != len(kept) else values[kept]


def _known(data: Any, names: tuple[str, ...] | None) -> Any:
    """Return the columns that the model knows, where the data have them by name."""
    if names is None or isinstance(data, np.ndarray):
        return data
    try:
        return data[list(names)]
    except (KeyError, IndexError, TypeError, ValueError, PofxError):
        return data
    except Exception as error:  # polars has errors of its own
        if type(error).__name__ != "ColumnNotFoundError":
            raise
        return data


def _labels(data: Any, by: Any) -> tuple[NDArray[Any], str]:
    """Return the labels of all rows, and what they are called."""
    title = ""
    if isinstance(by, str | int) and not isinstance(by, bool):
        title = printable(by) if isinstance(by, str) else f"column {by}"
        try:
            by = data[by] if isinstance(by, str) or not isinstance(data, np.ndarray) else data[:, by]
        except (KeyError, IndexError, TypeError, ParameterError) as error:
            aside = getattr(data, "set_aside", {}).get(by)
            why = f"was set aside ({aside})" if aside else "is no column of the data"
            raise ParameterError(f"by={by!r} {why}; give the labels themselves, one per row.") from error
    elif hasattr(by, "name"):
        title = printable(by.name) if by.name else ""
    return np.asarray(by), title


def groups_of(labels: NDArray[Any], title: str) -> Groups:
    """Return to which of several groups each label belongs; of many groups the smallest are one."""
    names, of, counts = _distinct(labels)
    if len(names) > MOST_GROUPS:
        # the largest keep their names; ties by name
        order = np.lexsort((names, -counts))[: MOST_GROUPS - 1]
        keep = np.sort(order)
        rank = np.full(len(names), len(keep))
        rank[keep] = np.arange(len(keep))
        return Groups(rank[of], (*map(str, names[keep]), f"{len(names) - len(keep)} others"), title)
    return Groups(of.astype(np.int64), tuple(map(str, names)), title)


def _distinct(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different labels as texts, ascending, which of them each row has, and their counts."""
    try:  # texts only of labels that differ: there may be very many rows
        values, which = np.unique(labels, return_inverse=True)
    except TypeError:  # of several types, which have no order
        values, which = labels, np.arange(len(labels))
    texts = np.array([_text(v) for v in values.tolist()])
    names, back = np.unique(texts, return_inverse=True)
    with contextlib.suppress(ValueError):  # numbers by their size
        order = np.argsort(names.astype(float), kind="stable")
        names, back = names[order], np.argsort(order)[back]
    of = back[which.reshape(-1)]
    return names, of, np.bincount(of, minlength=len(names))


def _text(value: Any) -> str:
    if value is None or value == "":
        return "(none)"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return printable(value)


def column_numbers(columns: Any, model: Density) -> list[int]:
    """Return the numbers of the columns to show."""
    keys = [columns] if isinstance(columns, str | int) else list(columns)
    found = [model.params_.columns.index(key) for key in keys]
    if not found or len(set(found)) != len(found):
        raise ParameterError(f"columns= needs one or more different columns; got {keys!r}.")
    return found


def masses_of(levels: Any, fill: bool) -> tuple[float, ...]:
    """Return the masses of the contours, descending."""
    if levels is None or (fill and isinstance(levels, int)):
        return MASSES
    if isinstance(levels, int | np.integer):
        k = whole_number(levels, "levels", least=1, most=MOST_LEVELS)
        return tuple(float(m) for m in np.arange(k, 0, -1) / (k + 1))
    given = (
        list(levels) if isinstance(levels, Iterable) and not isinstance(levels, str | Mapping) else [levels]
    )
    masses = sorted({real_number(m, "levels", above=0.0, below=1.0) for m in given}, reverse=True)
    if not 0 < len(masses) <= MOST_LEVELS:
        raise ParameterError(f"levels= needs 1 to {MOST_LEVELS} masses between 0 and 1; got {len(masses)}.")
    return tuple(masses)


def shades_of(levels: Any, fill: bool) -> int:
    """Return the number of shades of the filled form; 0 for contours."""
    if not fill or not (levels is None or isinstance(levels, int | np.integer)):
        return 0  # masses given: the regions are tinted
    return SHADES if levels is None else whole_number(levels, "levels", least=2, most=256)


def most_points(points: Any) -> int | None:
    """Return the most dots; None for as many as can be seen."""
    if points is None or points is True:
        return None
    return 0 if points is False else whole_number(points, "points", least=0, most=100_000)


def known_truth(truth: Any, model: Density) -> Density | None:
    """Return the truth, checked against the model."""
    if truth is None:
        return None
    if not isinstance(truth, Density):
        raise ParameterError(f"truth= must be a known distribution such as a world; got {called(truth)}.")
    if truth.n_features_in_ != model.n_features_in_:
        raise ParameterError(
            f"truth= has {truth.n_features_in_} columns, the model {model.n_features_in_}: they must agree."
        )
    if truth.kind == "none":
        raise UnsupportedError(f"{type(truth).__name__} has no density to draw.")
    return truth
