"""``pofx.plot`` and ``pofx.figure``: from a fitted model to its picture, drawn or as a record."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pofx.core.density import Density
from pofx.errors import ParameterError, UnsupportedError
from pofx.show.figure import Figure
from pofx.show.pictures.asked import (
    called,
    column_numbers,
    known_truth,
    masses_of,
    most_points,
    name_of,
    rows_and_groups,
    shades_of,
)
from pofx.show.pictures.fits import em_trace, search_table
from pofx.show.pictures.given import conditional
from pofx.show.pictures.one import one_column
from pofx.show.pictures.pair import MOST_CORNER, corner, strongest_pair, two_columns
from pofx.show.pictures.parts import Wish
from pofx.validation import one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["KINDS", "figure", "kinds_of", "plot"]

KINDS = ("density", "corner", "conditional", "search", "trace")


def plot(model: Density, data: Any = None, *, ax: Axes | None = None, **wishes: Any) -> Axes:
    """Draw a fitted model, in the style that matplotlib is set to.

    Parameters
    ----------
    model : fitted Density
    data : rows, optional
        What to draw it over: the training rows, or others of the same columns.
    ax : matplotlib Axes, optional
        Where to draw. Without it a figure of its own: through pyplot where pyplot has been imported (it is
        then shown and closed as any other), otherwise a figure that only ``ax.figure`` knows of. Nothing is
        shown in either case.
    **wishes
        As for :func:`figure`: ``kind, columns, fill, levels, points, given, by, truth, equal, name``.

    Returns
    -------
    matplotlib Axes
        Of the main panel; ``.figure`` has the others.

    Examples
    --------
    >>> import pofx
    >>> ax = pofx.plot(pofx.worlds.moons(), fill=True, levels=100, points=500)
    >>> ax.figure.savefig("moons.png")  # doctest: +SKIP
    """
    from pofx.show.layout import draw_panel, lay_out, size_of
    from pofx.show.style import callers_theme

    if ax is not None and wishes.get("kind") == "corner":
        raise ParameterError("A corner view has many panels; leave ax= out, or choose columns=(a, b).")
    if ax is not None and wishes.get("kind") is None and wishes.get("columns") is None:
        wishes = {**wishes, "kind": "one panel"}
    record = figure(model, data, **wishes)
    theme = callers_theme(ax)
    if ax is not None:
        draw_panel(ax, record.main, theme)
        return ax
    canvas, close = _canvas(size_of(record))
    try:
        return lay_out(canvas, record, theme, title=True)
    except BaseException:
        close()
        raise


def figure(
    model: Density,
    data: Any = None,
    *,
    kind: str | None = None,
    columns: Sequence[str | int] | str | int | None = None,
    fill: bool = False,
    levels: int | Iterable[float] | None = None,
    points: int | bool | None = None,
    given: Any = None,
    by: Any = None,
    truth: Density | None = None,
    equal: bool | None = None,
    name: str | None = None,
) -> Figure:
    """Return the picture of a fitted model as plain data; :func:`pofx.show.draw.save` writes it to a file.

    Parameters
    ----------
    model : fitted Density
    data : rows, optional
        Matched to the model's columns by name.
    kind : {"density", "corner", "conditional", "search", "trace"}, optional
        ``"density"``: one column as histogram and curve, two as dots and regions (of more, the two that go
        together most). ``"corner"``: all pairs. ``"conditional"``: needs ``given``. ``"search"``: the table
        of candidates of a mixture by BIC. ``"trace"``: the path of EM. By default what suits the columns
        and ``given``.
    columns : names or numbers, optional
        Which columns to show: one, two, or up to eight.
    fill : bool
        The density in shades instead of contours (two columns).
    levels : int or iterable of float
        Contours: the masses that the regions hold, 0.5, 0.8 and 0.95 by default (in two columns .393 and
        .865 are a Gaussian's one and two standard deviations); a number k means k masses evenly apart.
        With ``fill``: the number of shades, 100 by default.
    points : int or bool, optional
        The most dots. By default all rows up to 2,000; more are counted in cells, as with ``False``. Without
        data, so many draws of the model.
    given : name, number or mapping, optional
        ``given={"waiting": 80}``: the density of the rest there; ``given={"waiting": [60, 80]}``: several;
        ``given="waiting"``: median, 50 % and 90 % bands along it.
    by : array (n,) of labels, or the name of a column of ``data``
        Groups to colour the rows by.
    truth : Density, optional
        A known distribution of the same columns, drawn dashed.
    equal : bool, optional
        One scale for both axes; by default where both columns bear the same unit in their names, or none
        have names and their extents are alike.
    name : str, optional
        What to call the model.

    Raises
    ------
    UnsupportedError
        Where the model has no such picture; the message names those that it has.
    """
    if not isinstance(model, Density):
        raise ParameterError(f"Expected a fitted model of pofx, got {called(model)}.")
    own_columns = model.params_.columns  # says so where the model is not fitted
    title = name or name_of(model)
    wanted = "conditional" if given is not None and kind in (None, "one panel") else kind
    if wanted not in (None, "one panel"):
        one_of(wanted, "kind", KINDS)
    if wanted in ("search", "trace"):
        has = kinds_of(model)
        return (search_table if wanted == "search" else em_trace)(model, title, has)
    values, labels = (None, None) if data is None else rows_and_groups(model, data, by)
    if by is not None and data is None:
        raise ParameterError("by= colours the rows by their groups: give the data too.")
    wish = Wish(
        title,
        masses=masses_of(levels, fill),
        shades=shades_of(levels, fill),
        points=most_points(points),
        groups=labels,
        truth=known_truth(truth, model),
        equal=equal,
    )
    which = None if columns is None else column_numbers(columns, model)
    if wanted == "conditional":
        if given is None:
            raise ParameterError(
                'kind="conditional" needs given=: a column, or a mapping of column to value.'
            )
        try:
            return conditional(model, values, given, which, wish)
        except UnsupportedError as error:
            others = ", ".join(repr(k) for k in kinds_of(model) if k != "conditional")
            raise UnsupportedError(f"{error} Pictures that there are: {others}.") from error
    if given is not None:
        raise ParameterError(f'given= belongs to kind="conditional", not to {wanted!r}.')
    return _density(model, values, which, wish, wanted, len(own_columns))


def kinds_of(model: Density) -> list[str]:
    """Return the kinds of picture that a fitted model has."""
    d, fit = model.n_features_in_, model.fit_
    has = ["density"]
    if d > 1:
        has += ["corner", "conditional"] if type(model)._condition is not Density._condition else ["corner"]
    if fit.search and "n_components" in fit.search[0]:
        has.append("search")
    return [*has, "trace"] if fit.trace else has


def _density(
    model: Density, values: Any, which: list[int] | None, wish: Wish, kind: str | None, d: int
) -> Figure:
    chosen = which or list(range(d))
    if len(chosen) == 1:
        if kind == "corner":
            raise ParameterError("A corner view needs two columns or more.")
        j = chosen[0]
        one = model if d == 1 else model.marginal([j])
        wish = replace(wish, labels=(model.params_.columns.label(j),))
        if wish.truth is not None and wish.truth.n_features_in_ > 1:
            wish = replace(wish, truth=wish.truth.marginal([j]))
        if wish.shades:
            raise ParameterError("fill= shades the density of two columns; this is one.")
        return one_column(one, None if values is None else values[:, j], wish)
    if kind == "corner" or (kind is None and 2 < len(chosen) <= MOST_CORNER):
        if len(chosen) > MOST_CORNER:
            raise ParameterError(
                f"A corner view shows up to {MOST_CORNER} columns, not {len(chosen)}; choose by columns=."
            )
        return corner(model, values, chosen, wish)
    if len(chosen) == 2:
        return two_columns(model, values, (chosen[0], chosen[1]), wish)
    if values is None or len(values) < 3:
        pair, why = (chosen[0], chosen[1]), f", the first two of {len(chosen)} columns"
    else:
        i, j = strongest_pair(values[:, chosen])
        pair = (chosen[i], chosen[j])
        why = f", the two of {len(chosen)} columns with the strongest rank correlation"
    return two_columns(model, values, pair, wish, why=why)


# ---------------------------------------------------------------- in the caller's style


def _canvas(size: tuple[float, float]) -> tuple[Any, Any]:
    """Return a matplotlib figure, and how to be rid of it again."""
    import matplotlib

    default = matplotlib.rcParamsDefault["figure.figsize"]
    asked = matplotlib.rcParams["figure.figsize"]
    # our size suits the panels, unless the caller has one of their own
    figsize = size if list(asked) == list(default) else tuple(asked)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Canvas

        bare = Canvas(figsize=figsize)
        FigureCanvasAgg(bare)
        return bare, lambda: None
    if pyplot.get_fignums() and not pyplot.gcf().axes and not pyplot.gcf().texts:
        return pyplot.gcf(), lambda: None  # plt.figure(figsize=...) was said just before
    made = pyplot.figure(figsize=figsize)
    return made, lambda: pyplot.close(made)
