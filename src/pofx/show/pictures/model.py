"""Which picture of a model is asked for, and what goes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.errors import ParameterError, UnsupportedError
from pofx.show.figure import Figure
from pofx.show.pictures.asked import (
    column_numbers,
    known_truth,
    masses_of,
    most_points,
    name_of,
    rows_of,
    shades_of,
)
from pofx.show.pictures.bands import band_of
from pofx.show.pictures.fits import em_trace, search_table
from pofx.show.pictures.given import conditional
from pofx.show.pictures.groups import Grouping, with_groups
from pofx.show.pictures.one import one_column
from pofx.show.pictures.pair import MOST_CORNER, corner, strongest_pair, two_columns
from pofx.show.pictures.parts import Wish
from pofx.show.pictures.residuals import residuals
from pofx.validation import one_of, real_number

if TYPE_CHECKING:
    from pofx.models.mixture.ratio_test import RatioTests

__all__ = ["KINDS", "kinds_of", "picture_of_model"]

KINDS = ("density", "corner", "conditional", "residuals", "search", "trace")

Rows = NDArray[np.float64]


def picture_of_model(
    model: Density,
    data: Any,
    single: bool,
    *,
    kind: str | None = None,
    columns: Sequence[str | int] | str | int | None = None,
    fill: bool = False,
    levels: int | Iterable[float] | None = None,
    points: int | bool | None = None,
    given: Any = None,
    by: Any = None,
    band: float | None = None,
    truth: Density | None = None,
    tests: RatioTests | None = None,
    equal: bool | None = None,
    name: str | None = None,
) -> Figure:
    """Return the picture of a fitted model, as :func:`pofx.figure` says; ``single``: of one panel."""
    assert model.params_ is not None  # says so where the model is not fitted
    title = name or name_of(model)
    if kind is not None:
        one_of(kind, "kind", KINDS)
    wanted = "conditional" if given is not None and kind is None else kind
    if tests is not None and wanted != "search":
        raise ParameterError('tests= stands beside kind="search".')
    if wanted == "search":
        found = search_table(model, title, kinds_of(model), _tests_of(tests))
        if not single:
            return found
        key = next((panel.legend for panel in found.panels if panel.legend), None)
        return replace(found, panels=(replace(found.panels[0], legend=key),))
    if wanted == "trace":
        return em_trace(model, title, kinds_of(model))
    if by is not None and data is None:
        raise ParameterError("by= colours the rows by their groups: give the data too.")
    given_rows = None if data is None else rows_of(model, data, by)
    values = None if given_rows is None else given_rows.values
    which = None if columns is None else column_numbers(columns, model)
    wish = Wish(
        title,
        masses=masses_of(levels, fill),
        shades=shades_of(levels, fill),
        points=most_points(points),
        groups=None if given_rows is None else given_rows.groups,
        weights=None if given_rows is None else given_rows.weights,
        truth=known_truth(truth, model),
        equal=equal,
    )
    level = None if band is None else real_number(band, "band", above=0.0, below=1.0)
    grouping = Grouping.of(model)
    if grouping is not None:  # the groups are in the colours, the other columns are drawn
        which = grouping.chosen(which)
        wish = _of_groups(grouping, values, wish, wanted)
        model, values = grouping.all_levels(), None if values is None else values[:, grouping.rest]
        grouping = grouping if by is None else None
    if wanted == "conditional":
        if given is None:
            raise ParameterError(
                'kind="conditional" needs given=: a column, or a mapping of column to value.'
            )
        try:
            return conditional(model, values, given, which, wish, level)
        except UnsupportedError as error:
            others = ", ".join(repr(k) for k in kinds_of(model) if k != "conditional")
            raise UnsupportedError(f"{error} Pictures that there are: {others}.") from error
    if given is not None:
        raise ParameterError(f'given= belongs to kind="conditional", not to {wanted!r}.')
    if wanted == "residuals":
        return _residuals(model, values, which, wish)
    chosen = which or list(range(model.n_features_in_))
    if len(chosen) == 1:
        found = _one(model, values, chosen[0], wish, wanted, level)
        return found if grouping is None or level is not None else with_groups(found, grouping, chosen, wish)
    if level is not None:
        raise ParameterError("band= belongs to the density of one column; choose it by columns=.")
    return _several(model, values, chosen, wish, wanted, single, grouping)


def _of_groups(grouping: Grouping, values: Rows | None, wish: Wish, kind: str | None) -> Wish:
    """Return the wish for the other columns, the rows in the colours of their groups."""
    truth = None if wish.truth is None else Grouping.of(wish.truth)
    if truth is not None:
        wish = replace(wish, truth=truth.all_levels())
    if wish.groups is not None or values is None or kind not in (None, "density", "corner"):
        return wish
    return replace(wish, groups=grouping.of_rows(values))


def kinds_of(model: Density) -> list[str]:
    """Return the kinds of picture that a fitted model has."""
    d, fit = model.n_features_in_, model.fit_
    has = ["density"]
    if d > 1:
        has += ["corner", "conditional"] if type(model)._condition is not Density._condition else ["corner"]
        has.append("residuals")
    if fit.search and "n_components" in fit.search[0]:
        has.append("search")
    return [*has, "trace"] if fit.trace else has


def _tests_of(tests: Any) -> RatioTests | None:
    from pofx.models.mixture.ratio_test import RatioTests

    if tests is not None and not isinstance(tests, RatioTests):
        raise ParameterError(
            f"tests= needs what bootstrap_lrt of a GaussianMixture gave; got {type(tests).__name__}."
        )
    return tests


def _one(
    model: Density, values: Rows | None, j: int, wish: Wish, kind: str | None, level: float | None
) -> Figure:
    if kind == "corner":
        raise ParameterError("A corner view needs two columns or more.")
    if wish.shades:
        raise ParameterError("fill= shades the density of two columns; this is one.")
    part: Callable[[Density], Density] = partial(_column, j=j)
    wish = replace(wish, labels=(model.params_.columns.label(j),))
    if wish.truth is not None:
        wish = replace(wish, truth=part(wish.truth))
    if level is not None:
        wish = replace(wish, band=lambda grid: band_of(model, part, grid, level))
    return one_column(part(model), None if values is None else values[:, j], wish)


def _column(model: Density, j: int) -> Density:
    return model if model.n_features_in_ == 1 else model.marginal([j])


def _several(
    model: Density,
    values: Rows | None,
    chosen: list[int],
    wish: Wish,
    kind: str | None,
    single: bool,
    grouping: Grouping | None,
) -> Figure:
    if kind == "corner" or (kind is None and not single and 2 < len(chosen) <= MOST_CORNER):
        if len(chosen) > MOST_CORNER:
            raise ParameterError(
                f"A corner view shows up to {MOST_CORNER} columns, not {len(chosen)}; choose by columns=."
            )
        return corner(model, values, chosen, wish)
    pair, why = _pair(values, chosen)
    found = two_columns(model, values, pair, wish, why=why)
    return found if grouping is None else with_groups(found, grouping, pair, wish)


def _residuals(model: Density, values: Rows | None, which: list[int] | None, wish: Wish) -> Figure:
    if values is None:
        raise ParameterError('kind="residuals" compares rows with the model: give the data too.')
    for given, option in ((wish.groups, "by"), (wish.truth, "truth"), (wish.shades or None, "fill")):
        if given is not None:
            raise ParameterError(f'{option}= does not belong to kind="residuals".')
    chosen = which or list(range(model.n_features_in_))
    if len(chosen) == 1:
        raise ParameterError(
            "A residual map needs two columns; for one, pofx.plot(pofx.check(model, rows)) shows where rows "
            "are too many."
        )
    pair, why = _pair(values, chosen)
    return residuals(model, values, pair, wish, weights=wish.weights, why=why)


def _pair(values: Rows | None, chosen: list[int]) -> tuple[tuple[int, int], str]:
    """Return the two columns to show of several, and why these."""
    if len(chosen) == 2:
        return (chosen[0], chosen[1]), ""
    if values is None or len(values) < 3:
        return (chosen[0], chosen[1]), f", the first two of {len(chosen)} columns"
    i, j = strongest_pair(values[:, chosen])
    why = f", the two of {len(chosen)} columns with the strongest rank correlation"
    return (chosen[i], chosen[j]), why
