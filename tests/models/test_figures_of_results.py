"""Pictures of checks, comparisons, diagnoses and ratio tests, read from their records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import pofx
from pofx.errors import ParameterError
from pofx.show import draw
from pofx.show.figure import Band, Boxes, Curve, Figure, Intervals, Note, Panel, Points, Residuals


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.asarray(pofx.worlds.three_bumps().sample(400, random_state=1))


@pytest.fixture(scope="module")
def wrong(rows: np.ndarray) -> Any:
    return pofx.check(pofx.Gaussian.from_params(rows.mean(axis=0), np.cov(rows.T)), rows)


@pytest.fixture(scope="module")
def right(rows: np.ndarray) -> Any:
    return pofx.check(pofx.worlds.three_bumps(), rows)


@pytest.fixture(scope="module")
def compared(rows: np.ndarray) -> Any:
    models = {
        "one": pofx.Gaussian(),
        "three": pofx.GaussianMixture(3),
        "narrow": pofx.Histogram(bins=[np.array([0.0, 1.0])] * 2),
    }
    return pofx.compare(models, rows)


def drawn(figure: Figure) -> None:
    """The record survives JSON and can be drawn."""
    record = figure.to_dict()
    assert Figure.from_dict(json.loads(json.dumps(record, allow_nan=False))).to_dict() == record
    assert draw.to_png(figure, dpi=40).startswith(b"\x89PNG")
    assert figure.caption.endswith(".")


def mark(panel: Panel, kind: type, **how: Any) -> Any:
    [found] = [
        m for m in panel.marks if isinstance(m, kind) and all(getattr(m, k) == v for k, v in how.items())
    ]
    return found


# ---------------------------------------------------------------- checks


def test_difference_curves_are_those_of_the_check(wrong: Any) -> None:
    figure = pofx.figure(wrong)
    drawn(figure)
    assert len(figure.panels) == len(wrong.curves) == 3
    for panel, curve in zip(figure.panels, wrong.curves, strict=True):
        assert panel.title.startswith(curve.name)
        assert ("(outside)" in panel.title) == (not curve.inside)
        line, band = mark(panel, Curve, role="model"), mark(panel, Band)
        np.testing.assert_allclose(line.y[1:-1], 100 * (curve.share - curve.z))
        np.testing.assert_allclose(band.high[1:-1], 100 * (curve.high - curve.z))
        assert panel.y == figure.panels[0].y  # one scale for all
        assert np.abs(line.y).max() < panel.y.high
    worst = mark(figure.panels[wrong.curves.index(wrong.worst)], Points, role="irregular")
    assert worst.y[0] == pytest.approx(100 * wrong.worst.gap)


def test_quantile_plots_turn_the_same_curves_over(right: Any, wrong: Any) -> None:
    for check in (right, wrong):
        figure = pofx.figure(check, kind="qq")
        drawn(figure)
        for panel, curve in zip(figure.panels, check.curves, strict=True):
            line, band = mark(panel, Curve, role="model"), mark(panel, Band)
            inner = (curve.share > 0) & (curve.share < 1)
            np.testing.assert_allclose(ndtr(line.x), curve.share[inner])
            np.testing.assert_allclose(ndtr(line.y), curve.z[inner])
            assert (np.diff(band.low) >= 0).all()
            assert (band.low <= band.high).all()
            # a gap well outside the one band is outside the other, and one well inside is inside
            k = int(np.argmax(np.abs(curve.share - curve.z)))
            p = ndtri(curve.share[k])
            low, high = np.interp(p, band.x, band.low), np.interp(p, band.x, band.high)
            outside = not low <= ndtri(curve.z[k]) <= high
            assert outside == (not curve.low[k] <= curve.share[k] <= curve.high[k])


def test_a_check_of_many_columns_shows_the_worst(rows: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 14))
    x[:, 13] *= 3.0
    check = pofx.check(pofx.Gaussian.from_params(np.zeros(14), np.eye(14)), x)
    figure = pofx.figure(check)
    assert len(figure.panels) == 12
    assert any(panel.title.startswith("column 13") for panel in figure.panels)
    assert "3 more curves with smaller gaps are not shown." in figure.caption
    chosen = pofx.figure(check, columns=[13, 0], kind="qq")
    assert [panel.title.split(" (")[0] for panel in chosen.panels] == ["column 13", "column 0"]
    with pytest.raises(ParameterError, match="The check has the columns"):
        pofx.figure(check, columns="a")


def test_one_panel_is_the_worst(wrong: Any) -> None:
    from matplotlib.figure import Figure as Canvas

    ax = Canvas().add_subplot()
    assert pofx.plot(wrong, ax=ax) is ax
    assert ax.figure.axes == [ax]
    assert ax.get_title(loc="left").startswith(wrong.worst.name)


# ---------------------------------------------------------------- comparisons


def test_comparison_shows_paired_differences(compared: Any) -> None:
    figure = pofx.figure(compared)
    drawn(figure)
    panel = figure.main
    assert [name.split(" (")[0] for name in panel.y.names] == [e.name for e in compared.table]
    known = [e for e in compared.table if not e.held_out.failure]
    thick, thin = mark(panel, Intervals, mass=0.683), mark(panel, Intervals, mass=0.95)
    np.testing.assert_allclose(thick.x, [e.difference for e in known])
    np.testing.assert_allclose((thick.high - thick.low) / 2, [e.difference_error for e in known])
    ratio = (thin.high - thin.low)[1] / (thick.high - thick.low)[1]
    assert ratio == pytest.approx(1.966, abs=0.01)  # Student's t of 400 rows
    best = mark(panel, Points, role="chosen")
    assert best.x[0] == compared[compared.best_name].difference
    assert panel.x.unit == "nats per row"
    assert compared.sentence in figure.caption


def test_what_cannot_win_is_grey_and_named() -> None:
    world = pofx.worlds.three_bumps()
    models = {"two": pofx.GaussianMixture(2, covariance_type="full"), "KDE": pofx.KDE()}
    result = pofx.compare(models, world.sample(200, random_state=0), truth=world)
    figure = pofx.figure(result)
    drawn(figure)
    grey = mark(figure.main, Intervals, mass=0.95, role="context")
    shown = [e for e in result.table if not e.able]
    np.testing.assert_allclose(grey.x, [e.difference for e in shown])
    remarks = {name.split(" (")[0]: name for name in figure.main.y.names}
    assert {e.role for e in shown} == {"truth", "baseline"}
    assert [remarks[e.name] for e in shown] == ["truth", "Gaussian (added)"]
    assert figure.title == f"2 models: use {result.best_name}"


def test_what_failed_is_named_with_its_reason(compared: Any) -> None:
    failed = [e for e in compared.table if e.held_out.failure]
    assert [e.name for e in failed] == ["narrow"]
    texts = [m.text for m in pofx.figure(compared).marks() if isinstance(m, Note)]
    assert "failed" in texts
    assert any(failed[0].held_out.failure.startswith(text.rstrip("…")) for text in texts if len(text) > 10)


def test_models_far_behind_do_not_squeeze_the_others() -> None:
    x = np.random.default_rng(0).normal(size=(200, 1))
    x[::2] += 9
    far = pofx.Histogram(bins=[np.array([-1e6, 1e6])], smoothing=1.0)
    result = pofx.compare({"two": pofx.GaussianMixture(2), "one": pofx.Gaussian(), "far": far}, x)
    figure = pofx.figure(result)
    assert result["far"].difference < -5
    assert figure.main.x.low > -5
    assert any(m.text.startswith("← −") for m in figure.marks() if isinstance(m, Note))


# ---------------------------------------------------------------- diagnoses


def test_diagnosis_shows_five_numbers_and_findings() -> None:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=300), rng.standard_cauchy(size=300), np.full(300, 2.0)])
    found = pofx.diagnose(x)
    figure = pofx.figure(found)
    drawn(figure)
    boxes = mark(figure.main, Boxes)
    assert figure.main.y.names == tuple(c.name for c in found.columns)
    for k, c in enumerate(found.columns[:2]):
        width = c.max - c.min
        np.testing.assert_allclose(boxes.middle[k], (c.median - c.min) / width)
        np.testing.assert_allclose(boxes.lower[k], (c.lower_quartile - c.min) / width)
        assert (boxes.low[k], boxes.high[k]) == (0, 1)
    assert boxes.low[2] == boxes.high[2] == 0.5  # one value in all rows
    words = {m.y: m.text for m in figure.marks() if isinstance(m, Note) and m.x == 1.3}
    assert words[1.0].startswith("blocks a fit: constant")
    for finding in found.findings:
        if finding.columns:
            at = 3.0 - figure.main.y.names.index(finding.columns[0])
            assert finding.name.replace("_", " ") in words[at] or "more" in words[at]
    assert figure.title == found.headline


# ---------------------------------------------------------------- two data sets


def test_a_difference_shows_its_signed_map(rows: np.ndarray) -> None:
    shifted = rows[:300] + np.array([0.0, 1.5])
    found = pofx.differ(rows, shifted)
    figure = pofx.figure(found)
    drawn(figure)
    chart = mark(figure.main, Residuals)
    np.testing.assert_array_equal(chart.z, found.map.z.T)
    assert chart.counts.sum() == pytest.approx(300)
    assert (figure.main.x.label, figure.main.y.label) == found.map.columns
    up = chart.z[chart.y[:-1] > rows[:, 1].max()]
    assert up.size == 0 or up.min() >= 0  # above all rows of A there are only more
    alone = pofx.figure(pofx.differ(rows[:, 0], rows[:200, 0] + 2.0))
    drawn(alone)
    assert not alone.main.y.ticks


# ---------------------------------------------------------------- how many components


def test_ratio_tests_alone_and_beside_the_search() -> None:
    x = pofx.worlds.three_bumps().sample(100, random_state=0)
    model = pofx.GaussianMixture([1, 2, 3, 4], covariance_type="full", n_init=2).fit(x)
    tests = model.bootstrap_lrt(x, n_boot=9, max_components=2)
    alone, beside = pofx.figure(tests), pofx.figure(model, kind="search", tests=tests)
    for figure, at in ((alone, 0), (beside, 1)):
        drawn(figure)
        panel = figure.panels[at]
        line = mark(panel, Curve, role="model")
        assert line.x.tolist() == [t.n_components for t in tests.tests]
        assert line.y.tolist() == [t.p_value for t in tests.tests]
        assert mark(panel, Curve, role="context").y[0] == tests.level
        assert f"{len(tests.tests[-1].simulated)} samples drawn with K" in figure.caption
    assert [p.title for p in beside.panels] == ["BIC", "Likelihood ratio", "ICL"]
    with pytest.raises(ParameterError, match="bootstrap_lrt"):
        pofx.figure(model, kind="search", tests=[0.1])
    with pytest.raises(ParameterError, match='stands beside kind="search"'):
        pofx.figure(model, x, tests=tests)


# ---------------------------------------------------------------- what does not go together


def test_wishes_of_models_are_refused_elsewhere(wrong: Any, rows: np.ndarray) -> None:
    found = pofx.diagnose(rows)
    with pytest.raises(ParameterError, match="fill= belongs to the picture of a model, not of a Diagnosis"):
        pofx.figure(found, fill=True)
    with pytest.raises(ParameterError, match=r"data= belongs .* not of a Check; it takes kind="):
        pofx.figure(wrong, rows)
    with pytest.raises(ParameterError, match="pit"):
        pofx.figure(wrong, kind="corner")
    for thing in (3, rows, "moons.pofx"):
        with pytest.raises(ParameterError, match="what diagnose, check, compare or differ gives; got"):
            pofx.figure(thing)
    with pytest.raises(TypeError, match="colour"):
        pofx.plot(pofx.worlds.moons(), colour="red")


def test_a_picture_in_a_notebook(right: Any) -> None:
    figure = pofx.figure(right)
    assert repr(figure) == f"Figure({figure.title!r}, 3 panels)"
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_html_and_frames(root: Path, compared: Any) -> None:
    """Diagnosis, comparison and Table have a form for a notebook and one for a program."""
    table = pofx.read(root / "examples/faithful.csv")
    for thing in (table, pofx.diagnose(table), compared):
        assert "<table" in thing._repr_html_()
        assert len(thing.to_frame(kind="pandas")) > 0
