"""``pofx.plot`` and ``pofx.figure``: from a fitted model to its picture, drawn or as a record."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pofx.core.density import Density
from pofx.errors import ParameterError
from pofx.show.figure import Figure
from pofx.show.pictures.model import picture_of_model
from pofx.show.pictures.results import picture_of_result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pofx.models.mixture.ratio_test import RatioTests

__all__ = ["figure", "plot"]


def plot(model: Any, data: Any = None, *, ax: Axes | None = None, **wishes: Any) -> Axes:
    """Draw a fitted model, or what diagnose, check, compare or differ gave, in matplotlib's present style.

    Parameters
    ----------
    model : fitted Density, Diagnosis, Check, Comparison, Difference or RatioTests
    data : rows, optional
        What to draw a model over: the training rows, or others of the same columns.
    ax : matplotlib Axes, optional
        Where to draw the main panel. Without it a figure of its own: through pyplot in a notebook and where
        pyplot has been imported (it is then shown and closed as any other), otherwise a figure that only
        ``ax.figure`` knows of, and that nothing shows.
    **wishes
        As for :func:`figure`.

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
    record = _record(model, data, wishes, single=ax is not None)
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
    model: Any,
    data: Any = None,
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
    """Return the picture as plain data; :func:`pofx.show.draw.save` writes it to a file.

    Parameters
    ----------
    model : fitted Density, Diagnosis, Check, Comparison, Difference or RatioTests
        A check takes ``kind="pit"`` (share of rows too many below each quantile) or ``"qq"``, and
        ``columns``; the others take no options.
    data : rows, optional
        Matched to the model's columns by name.
    kind : {"density", "corner", "conditional", "residuals", "search", "trace"}, optional
        ``"density"``: one column as histogram and curve, two as dots and regions (of more, the two that go
        together most). ``"corner"``: all pairs. ``"conditional"``: needs ``given``. ``"residuals"``: where
        rows exceed the model. ``"search"``: the candidates of a mixture by BIC and ICL. ``"trace"``: the
        path of EM. By default what suits the columns and ``given``.
    columns : names or numbers, optional
        Which columns to show: one, two, or up to eight.
    fill : bool, default False
        The density in shades instead of contours (two columns).
    levels : int or iterable of float, optional
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
        Groups to colour the rows by; of more than seven the largest six, and all others together.
    band : float in (0, 1), optional
        The probability with which a band holds the density of one column at all places at once.
    truth : Density, optional
        A known distribution of the same columns, drawn dashed.
    tests : RatioTests, optional
        What a mixture's ``bootstrap_lrt`` gave, to stand beside ``kind="search"``.
    equal : bool, optional
        One scale for both axes; by default where both columns bear the same unit in their names, or none
        have names and their extents are alike.
    name : str, optional
        What to call the model.

    Raises
    ------
    ParameterError
        For a wish that does not go with the picture.
    UnsupportedError
        Where the model has no such picture; the message names those that it has.

    Examples
    --------
    >>> import pofx
    >>> rows = pofx.worlds.moons().sample(500, random_state=0)
    >>> picture = pofx.figure(pofx.Gaussian().fit(rows), rows, kind="residuals")
    >>> [mark.kind for mark in picture.main.marks]
    ['residuals', 'regions']
    """
    wishes = {
        "kind": kind, "columns": columns, "fill": fill, "levels": levels, "points": points, "given": given,
        "by": by, "band": band, "truth": truth, "tests": tests, "equal": equal, "name": name,
    }  # fmt: skip
    return _record(model, data, wishes, single=False)


def _record(model: Any, data: Any, wishes: Mapping[str, Any], *, single: bool) -> Figure:
    """Return the picture, or of a picture of many panels one if there is room for a ``single`` one only."""
    if isinstance(model, Density):
        return picture_of_model(model, data, single, **wishes)
    asked = {wish: value for wish, value in wishes.items() if value is not None and value is not False}
    if data is not None:
        asked["data"] = data
    return picture_of_result(model, asked, single=single)


# ---------------------------------------------------------------- in the caller's style


def _canvas(size: tuple[float, float]) -> tuple[Any, Any]:
    """Return a matplotlib figure, and how to be rid of it again."""
    import matplotlib

    default = matplotlib.rcParamsDefault["figure.figsize"]
    asked = matplotlib.rcParams["figure.figsize"]
    # our size suits the panels, unless the caller has one of their own
    figsize = size if list(asked) == list(default) else tuple(asked)
    if "ipykernel" in sys.modules:  # a notebook shows figures of pyplot alone, at the end of the cell
        import matplotlib.pyplot
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
