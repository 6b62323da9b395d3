"""The groups of :class:`pofx.Grouped` in one picture: each group's density in the colour of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pofx.core.density import Density
from pofx.errors import ParameterError, UnsupportedError
from pofx.models.grouped import Grouped
from pofx.show.figure import Curve, Figure, Legend, Mark, Regions
from pofx.show.pictures.asked import groups_of
from pofx.show.pictures.parts import MASSES, MOST_GROUPS, Array, Groups, Wish, joined, regions, shown
from pofx.validation import values_of
from pofx.validation.columns import printable

__all__ = ["Grouping", "with_groups"]

OUTLINES = (0.9, 0.5)  # of each group's mass: more lines would hide each other


@dataclass(frozen=True, eq=False)
class Grouping:
    """What a picture needs to know of the groups of a model.

    Attributes
    ----------
    model : the groups
    by, rest : numbers of the grouping columns and of the others
    title : the grouping columns' names
    names, weights : of every level
    """

    model: Grouped
    by: list[int]
    rest: list[int]
    title: str
    names: list[str]
    weights: Array

    @classmethod
    def of(cls, model: Density) -> Grouping | None:
        """Return the groups of a fitted model, None where nothing groups its rows.

        Raises
        ------
        UnsupportedError
            Where there are only groups, and no column with a density.
        """
        if not isinstance(model, Grouped):
            return None
        columns = model.params_.columns
        by = list(model._counted(columns))
        rest = [j for j in range(len(columns)) if j not in by]
        if not by:
            return None
        if not rest:
            raise UnsupportedError("Only levels are left of this density; weights_ has their probabilities.")
        names = [_name(level) for level in model.levels_.tolist()]
        return cls(model, by, rest, joined([columns.label(j) for j in by]), names, model.weights_)

    def all_levels(self) -> Density:
        """Return the density of the other columns whatever the level."""
        whole: Density = self.model.marginal(self.rest)
        return whole

    def chosen(self, which: Sequence[int] | None) -> list[int]:
        """Return the places of the columns to show among those with a density."""
        for j in which or ():
            if j in self.by:
                raise ParameterError(
                    f"{self.title} is in the colours; columns= chooses among the others: "
                    f"{joined([self.model.params_.columns.label(k) for k in self.rest])}."
                )
        return [self.rest.index(j) for j in which or self.rest]

    def of_rows(self, values: Array) -> Groups:
        """Return to which group each row (n, d) belongs."""
        columns = self.model.params_.columns
        each = [values_of(values[:, j], columns, j) for j in self.by]
        return groups_of(np.array([_name(level) for level in zip(*each, strict=True)]), self.title)

    def drawn(self) -> list[tuple[str, float, Density]]:
        """Return name, probability and density of the largest groups, in the order of their levels."""
        order = np.lexsort((np.arange(len(self.weights)), -self.weights))
        most = MOST_GROUPS if len(order) <= MOST_GROUPS else MOST_GROUPS - 1
        out = []
        for i in sorted(order[:most].tolist()):
            level = self.model.levels_[i]
            values = level if isinstance(level, tuple) else (level,)
            part = self.model.condition(dict(zip(self.by, values, strict=True)))
            out.append((self.names[i], float(self.weights[i]), part))
        return out


def with_groups(figure: Figure, grouping: Grouping, chosen: Sequence[int], wish: Wish) -> Figure:
    """Return a picture of one or two columns with each group's density beside that of all rows.

    Parameters
    ----------
    figure : the picture of the density of all levels together
    chosen : the columns that are shown, among those with a density
    wish : its groups are those of the rows, if there are any, whose colours the densities take
    """
    panel, one = figure.main, len(chosen) == 1
    masses = OUTLINES if wish.masses == MASSES else wish.masses
    marks: list[Mark] = []
    drawn = grouping.drawn()
    for k, (name, weight, whole) in enumerate(drawn):
        part = whole.marginal(list(chosen)) if whole.n_features_in_ > len(chosen) else whole
        series = wish.groups.names.index(name) if wish.groups and name in wish.groups.names else k
        if one:
            grid = np.linspace(panel.x.low, panel.x.high, 801)
            marks.append(Curve(grid, weight * part.density(grid), name, role="series", series=series))
        else:
            plain = replace(wish, name=name, masses=masses, shades=0)
            found = regions(part, [panel.x, panel.y], plain, share=1.0 / len(drawn))
            marks.append(_outline(found, series))
    before = panel.legend.labels if panel.legend else ()
    labels = dict.fromkeys([*before, *(mark.label for mark in marks)])
    there = {mark.label for mark in (*panel.marks, *marks)}
    legend = Legend(tuple(label for label in labels if label in there), grouping.title)
    main = replace(panel, marks=(*panel.marks, *marks), legend=legend)
    said = _said(grouping, [name for name, _, _ in drawn], one, masses) + _spikes(grouping, chosen)
    return replace(
        figure,
        panels=tuple(main if p is panel else p for p in figure.panels),
        caption=figure.caption + said,
    )


def _outline(mark: Mark, series: int) -> Mark:
    assert isinstance(mark, Regions)
    return replace(mark, role="series", series=series, filled=False)


def _said(grouping: Grouping, names: Sequence[str], one: bool, masses: Iterable[float]) -> str:
    shares = dict(zip(grouping.names, grouping.weights, strict=True))
    words = joined([f"{name} {100 * shares[name]:.3g} %" for name in names])
    if one:
        text = f" In colour: the density of each group, times its probability ({words})."
    else:
        held = joined([f"{100 * m:.4g}" for m in sorted(masses)])
        text = f" In colour: the regions that hold {held} % of each group ({words})."
    more = len(grouping.names) - len(names)
    return text + (f" {more} smaller groups have no line of their own." if more else "")


def _spikes(grouping: Grouping, chosen: Sequence[int]) -> str:
    """Say how often a column stands at a spike, which no density shows."""
    text, columns = "", grouping.model.params_.columns
    for j in (grouping.rest[c] for c in chosen):
        at = [group for group in grouping.model.groups_ if columns.label(j) in group.at]
        if at:
            values = joined([shown(v) for v in sorted({group.at[columns.label(j)] for group in at})])
            share = sum(group.weight for group in at)
            text += f" Not in the densities: {columns.label(j)} is {values} with probability {share:.3g}."
    return text


def _name(level: Any) -> str:
    """Return what a level is called: "Female, >50K"."""
    values = level if isinstance(level, tuple) else (level,)
    return ", ".join(printable(f"{v:g}" if isinstance(v, float) else v) for v in values)
