"""The picture of a model beside its data, read from its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx
from pofx.show.draw import to_png, to_svg
from pofx.show.figure import Area, Bars, Curve, Figure, Points, Regions
from pofx.show.picture import picture, strongest_pair


def only(figure: Figure, kind: type) -> Any:
    found = [mark for mark in figure.marks() if isinstance(mark, kind)]
    assert found
    return found[0]


def test_one_column(root: Path) -> None:
    table = pofx.read(root / "examples/faithful.csv", columns="waiting")
    model = pofx.Gaussian().fit(table)
    figure = picture(model, table.values, "Gaussian")
    bars, curve, area = only(figure, Bars), only(figure, Curve), only(figure, Area)
    assert np.sum(bars.heights * np.diff(bars.edges)) == pytest.approx(1)
    # whole minutes: edges lie between them
    assert (np.abs(bars.edges % 1 - 0.5) < 1e-9).all()
    mean, sd = table.values.mean(), table.values.std()
    np.testing.assert_allclose(
        curve.y, np.exp(-((curve.x - mean) ** 2) / (2 * sd**2)) / (sd * np.sqrt(2 * np.pi)), rtol=1e-9
    )
    assert area.x[0] == pytest.approx(mean - 1.959964 * sd, rel=1e-4)
    assert area.x[-1] == pytest.approx(mean + 1.959964 * sd, rel=1e-4)
    assert len(only(figure, Points).x) == 272
    assert figure.panels[0].x.label == "waiting"


def test_two_columns(root: Path) -> None:
    table = pofx.read(root / "examples/faithful.csv")
    model = pofx.Gaussian().fit(table)
    figure = picture(model, table.values, "Gaussian")
    assert [panel.place for panel in figure.panels] == ["main", "top", "right"]
    regions = only(figure, Regions)
    assert regions.masses == (0.95, 0.8, 0.5)
    # a Gaussian's region of mass m is where log p exceeds its maximum plus log(1 - m)
    peak = _peak(model)
    np.testing.assert_allclose(regions.levels, peak + np.log1p(-np.array(regions.masses)), atol=0.06)
    grid = np.array([[regions.x[3], regions.y[90]]])
    with pytest.warns(pofx.errors.PofxWarning, match="feature names"):
        assert regions.log_density[90, 3] == pytest.approx(model.log_density(grid)[0], rel=1e-12)
    assert len(only(figure, Points).x) == 272


def _peak(model: pofx.Gaussian) -> float:
    return float(-np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(model.covariance())[1])


def test_more_columns_show_the_strongest_pair() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5))
    x[:, 4] = np.exp(x[:, 1] + 0.1 * rng.normal(size=300))  # strong in ranks, weak in moments
    x[:, 0] = 3.0
    assert strongest_pair(x) == (1, 4)
    model = pofx.KDE().fit(x[:, 1:])
    figure = picture(model, x[:, 1:], "KDE")
    assert figure.panels[0].x.label == "column 0"
    assert figure.panels[0].y.label == "column 3"
    assert "the two of 4 columns" in figure.caption


def test_many_rows_are_counted_in_cells_and_it_is_said() -> None:
    x = np.random.default_rng(0).normal(size=(5_000, 2))
    figure = picture(pofx.Gaussian().fit(x), x, "Gaussian")
    assert not any(isinstance(mark, Points) for mark in figure.marks())
    assert "5,000 rows, counted in cells" in figure.caption
    assert len(to_svg(figure)) < 600_000


@pytest.mark.parametrize("scale", [1e-140, 1.0, 1e140])
@pytest.mark.parametrize("d", [1, 2])
def test_pictures_at_any_scale(scale: float, d: int) -> None:
    x = np.random.default_rng(0).normal(size=(80, d)) * scale
    svg = to_svg(picture(pofx.Gaussian().fit(x), x, "Gaussian"))
    assert "NaN" not in svg
    assert "nan" not in svg


@pytest.mark.parametrize("model", [pofx.Histogram(), pofx.Histogram(smoothing=0), pofx.KDE(kernel="tophat")])
def test_densities_with_holes_are_drawn(model: Any) -> None:
    x = np.random.default_rng(0).normal(size=(80, 2))
    figure = picture(model.fit(x), x, "m")
    assert to_png(figure).startswith(b"\x89PNG")
    assert to_svg(figure) == to_svg(figure)


def test_far_out_rows_do_not_squeeze_the_picture_and_are_counted() -> None:
    x = np.append(np.random.default_rng(0).normal(size=(400, 1)), [[1e6], [-1e6]], axis=0)
    figure = picture(pofx.KDE("silverman").fit(x), x, "KDE")
    axis = figure.panels[0].x
    assert axis.high - axis.low < 50
    assert "Beyond the picture: 2 far-out rows." in figure.caption
    bars = only(figure, Bars)
    assert np.sum(bars.heights * np.diff(bars.edges)) == pytest.approx(400 / 402)


def test_record_is_plain_data(root: Path) -> None:
    table = pofx.read(root / "examples/faithful.csv")
    record = picture(pofx.Histogram(smoothing=0).fit(table), table.values, "Histogram").to_dict()
    assert record["schema"] == "pofx.figure/2"
    assert {mark["kind"] for panel in record["panels"] for mark in panel["marks"]} == {
        "bars", "curve", "points", "regions",
    }  # fmt: skip
    json.dumps(record, allow_nan=False)


def test_drawing_leaves_the_callers_matplotlib_alone(root: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    x = np.random.default_rng(0).normal(size=(40, 1))
    to_svg(picture(pofx.Gaussian().fit(x), x, "Gaussian"))
    assert dict(matplotlib.rcParams) == before
