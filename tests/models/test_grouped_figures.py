"""Pictures of groups, as records: which densities, times what, in whose colours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.errors import ParameterError
from pofx.show.figure import Curve, Figure, Points, Regions

RNG = np.random.default_rng(0)
ROWS = pd.DataFrame({"sex": ["f"] * 80 + ["m"] * 120, "x": RNG.normal(size=200), "y": RNG.normal(size=200)})
ROWS.loc[80:, "x"] += 3.0
MODEL = pofx.Grouped(pofx.Gaussian(), by="sex").fit(ROWS)


def test_one_column_has_a_curve_per_group_that_add_up_to_the_whole() -> None:
    figure = pofx.figure(MODEL, ROWS, columns="x")
    curves = {mark.label: mark for mark in figure.main.marks if isinstance(mark, Curve)}
    assert set(curves) == {"f", "m", "Grouped"}
    grid = curves["f"].x
    np.testing.assert_allclose(
        curves["m"].y, 0.6 * MODEL.condition({"sex": "m"}).marginal(["x"]).density(pd.DataFrame({"x": grid}))
    )
    whole = np.interp(grid, curves["Grouped"].x, curves["Grouped"].y)
    np.testing.assert_allclose(curves["f"].y + curves["m"].y, whole, atol=1e-3)
    assert figure.main.legend is not None
    assert figure.main.legend.title == "sex"
    assert "f 40 % and m 60 %" in figure.caption
    assert Figure.from_dict(figure.to_dict()).caption == figure.caption


def test_two_columns_have_regions_in_the_colours_of_the_rows() -> None:
    figure = pofx.figure(MODEL, ROWS)
    dots = {mark.label: mark.series for mark in figure.main.marks if isinstance(mark, Points)}
    outlines = {m.label: m for m in figure.main.marks if isinstance(m, Regions) and m.role == "series"}
    assert dots == {"f": 0, "m": 1} == {name: mark.series for name, mark in outlines.items()}
    assert outlines["m"].masses == (0.9, 0.5)
    i, j = np.unravel_index(outlines["m"].log_density.argmax(), outlines["m"].log_density.shape)
    assert outlines["m"].x[j] == pytest.approx(ROWS.x[80:].mean(), abs=0.1)
    assert outlines["m"].y[i] == pytest.approx(ROWS.y[80:].mean(), abs=0.1)
    assert pofx.plot(MODEL, ROWS).figure.axes


def test_spikes_are_said_and_text_is_no_axis() -> None:
    rows = ROWS.assign(y=np.where(np.arange(200) % 4 == 0, 0.0, ROWS.y))
    model = pofx.Grouped(pofx.Gaussian(), by="sex", spikes={"y": 0}).fit(rows)
    assert (
        "Not in the densities: y is 0 with probability 0.25." in pofx.figure(model, rows, columns="y").caption
    )
    with pytest.raises(ParameterError, match="sex is in the colours"):
        pofx.figure(model, rows, columns=["sex", "x"])


def test_of_many_groups_the_largest_have_lines() -> None:
    level = np.repeat(np.arange(10), np.arange(20, 120, 10))
    x = np.random.default_rng(1).normal(size=(len(level), 1))
    model = pofx.Grouped(pofx.Gaussian(), by=0).fit(np.column_stack([level, x]))
    figure = pofx.figure(model, np.column_stack([level, x]))
    lines = [mark.label for mark in figure.main.marks if isinstance(mark, Curve) and mark.role == "series"]
    assert lines == ["4", "5", "6", "7", "8", "9"]
    assert "4 smaller groups have no line of their own" in figure.caption
