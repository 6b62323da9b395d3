"""Pictures of what is no model: a diagnosis, a check, a comparison, a difference, tests of components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pofx.errors import ParameterError
from pofx.show.figure import Figure
from pofx.show.pictures.asked import called
from pofx.validation import one_of

__all__ = ["picture_of_result"]


def picture_of_result(result: Any, wishes: Mapping[str, Any], *, single: bool) -> Figure:
    """Return the picture of a diagnosis, a check, a comparison, a difference or a ratio test.

    Parameters
    ----------
    wishes : mapping
        What was asked for, by the names of :func:`pofx.figure`; nothing that is None or False.
    single : bool
        Whether there is room for one panel only.

    Raises
    ------
    ParameterError
        Where it is something else, or a wish that belongs to models.
    """
    name = type(result).__name__
    ours = type(result).__module__.startswith("pofx.")
    made, known = _MAKERS.get(name, _NONE) if ours else _NONE
    if made is None:
        raise ParameterError(
            "Expected a fitted model of pofx, or what diagnose, check, compare or differ gives; got "
            f"{called(result)}."
        )
    strange = [wish for wish in wishes if wish not in known]
    if strange:
        can = f"; it takes {', '.join(f'{wish}=' for wish in known)}" if known else ""
        raise ParameterError(f"{strange[0]}= belongs to the picture of a model, not of a {name}{can}.")
    return made(result, wishes, single)


def _diagnosis(result: Any, wishes: Mapping[str, Any], single: bool) -> Figure:
    from pofx.show.pictures.columns import columns_of

    return columns_of(result)


def _comparison(result: Any, wishes: Mapping[str, Any], single: bool) -> Figure:
    from pofx.show.pictures.comparison import comparison

    return comparison(result)


def _check(result: Any, wishes: Mapping[str, Any], single: bool) -> Figure:
    from pofx.show.pictures.calibration import MOST_PANELS, calibration, quantiles

    kind = one_of(wishes.get("kind", "pit"), "kind", ("pit", "qq"))
    draw = calibration if kind == "pit" else quantiles
    name = wishes.get("name", result.model)
    return draw(result, name, wishes.get("columns"), most=1 if single else MOST_PANELS)


def _difference(result: Any, wishes: Mapping[str, Any], single: bool) -> Figure:
    from pofx.show.pictures.difference import difference

    return difference(result)


def _ratio_tests(result: Any, wishes: Mapping[str, Any], single: bool) -> Figure:
    from pofx.show.pictures.fits import ratio_tests

    return ratio_tests(result)


# by name, so that the picture of a model does not import what evaluates it
_Maker = Callable[[Any, Mapping[str, Any], bool], Figure]
_NONE: tuple[_Maker | None, tuple[str, ...]] = (None, ())
_MAKERS: dict[str, tuple[_Maker | None, tuple[str, ...]]] = {
    "Diagnosis": (_diagnosis, ()),
    "Comparison": (_comparison, ()),
    "Check": (_check, ("kind", "columns", "name")),
    "Difference": (_difference, ()),
    "RatioTests": (_ratio_tests, ()),
}
