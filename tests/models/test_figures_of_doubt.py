"""Residual maps, uncertainty bands, very many rows, groups, contour labels, older records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import pofx
from pofx.errors import DataError, FileError, ParameterError, UnsupportedError
from pofx.maths.bins import Sample, rule_width
from pofx.show import draw
from pofx.show.figure import Area, Band, Bars, Cells, Curve, Figure, Points, Regions, Residuals
from pofx.show.labels import label_places
from pofx.show.pictures.bands import band_of
from pofx.show.pictures.counts import SOME_ROWS, bars, cells
from pofx.show.pictures.residuals import residuals


def only(figure: Figure, kind: type, **how: Any) -> Any:
    [found] = [
        m for m in figure.marks() if isinstance(m, kind) and all(getattr(m, k) == v for k, v in how.items())
    ]
    return found


# ---------------------------------------------------------------- residual maps


def test_expectations_are_the_mass_of_the_cells() -> None:
    """Oracle: rectangles of independent normal columns."""
    model = pofx.Gaussian.from_params([1.0, -2.0], [4.0, 0.25])
    rows = model.sample(5_000, random_state=0)
    mark = only(pofx.figure(model, rows, kind="residuals"), Residuals)
    a, b = (np.diff(stats.norm(m, s).cdf(e)) for m, s, e in ((1, 2, mark.x), (-2, 0.5, mark.y)))
    np.testing.assert_allclose(mark.expected, 5_000 * np.outer(b, a), rtol=3e-3)
    np.testing.assert_allclose(mark.z, 2 * (np.sqrt(mark.counts + 0.375) - np.sqrt(mark.expected + 0.375)))
    assert mark.counts.sum() == pytest.approx(5_000, abs=5)


def test_of_the_truth_residuals_are_standard_normal() -> None:
    world = pofx.worlds.moons()
    rows = world.sample(20_000, random_state=3)
    mark = only(pofx.figure(world, rows, kind="residuals"), Residuals)
    z = mark.z[mark.expected > 5]
    assert len(z) > 50
    assert np.mean(z) == pytest.approx(0.0, abs=3.5 / np.sqrt(len(z)))
    assert np.std(z) == pytest.approx(1.0, abs=3.5 / np.sqrt(2 * len(z)))


def test_a_hole_and_a_bump_are_seen_and_named() -> None:
    rows = pofx.worlds.three_bumps().sample(2_000, random_state=0)
    figure = pofx.figure(pofx.Gaussian().fit(rows), rows, kind="residuals")
    mark = only(figure, Residuals)
    assert mark.z.max() > 5
    assert mark.z.min() < -5
    assert "More than expected most of all in column 0" in figure.caption
    assert "Fewer than expected" in figure.caption
    assert only(figure, Regions).masses == (0.95,)
    back = Figure.from_dict(json.loads(json.dumps(figure.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(only(back, Residuals).z, mark.z)
    svg = draw.to_svg(figure)
    assert svg.count("over 3 more") == 1
    assert svg.count("over 3 fewer") == 1


def test_cells_hold_whole_steps_of_rounded_columns(root: Path) -> None:
    table = pofx.read(root / "examples/faithful.csv")
    mark = only(pofx.figure(pofx.Gaussian().fit(table), table, kind="residuals"), Residuals)
    steps = np.diff(mark.y)
    np.testing.assert_allclose(steps, np.rint(steps))
    np.testing.assert_allclose(mark.y % 1, 0.5)  # between whole minutes
    assert mark.counts.sum() == 272


def test_weights_count_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 3))
    model = pofx.Gaussian().fit(rows)
    one = only(residuals(model, rows, (2, 0)), Residuals)
    two = only(residuals(model, rows, (2, 0), weights=np.full(300, 2.0)), Residuals)
    np.testing.assert_allclose(two.counts, 2 * one.counts)
    np.testing.assert_allclose(two.expected, 2 * one.expected)


def test_residual_maps_that_cannot_be() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2))
    model = pofx.Gaussian().fit(rows)
    with pytest.raises(ParameterError, match="give the data too"):
        pofx.figure(model, kind="residuals")
    with pytest.raises(ParameterError, match="needs two columns"):
        pofx.figure(model, rows, kind="residuals", columns=0)
    with pytest.raises(ParameterError, match="by= does not belong"):
        pofx.figure(model, rows, kind="residuals", by=np.arange(50))


# ---------------------------------------------------------------- bands


@pytest.mark.parametrize("n", [400, 50_000])
def test_band_of_a_gaussian_is_that_of_theory(n: int) -> None:
    """var log p̂(μ + zσ) = (z² + (z² − 1)²/2) / n, from the information of mean and log sd."""
    x = np.random.default_rng(0).normal(3.0, 2.0, size=n)
    model = pofx.Gaussian().fit(x)
    z = np.linspace(-3, 3, 61)
    mean, sd = model.mean()[0], np.sqrt(model.covariance()[0, 0])
    band, said = band_of(model, lambda m: m, mean + sd * z, 0.95)
    half = (np.log(band.high) - np.log(band.low)) / 2
    theory = np.sqrt((z**2 + (z**2 - 1) ** 2 / 2) / n)
    ratio = half / theory
    assert ratio.std() < 0.12 * ratio.mean()  # the shape
    assert 2.2 < ratio.mean() < 2.9  # simultaneous: more than 1.96, less than Bonferroni's 3.3
    np.testing.assert_allclose(np.sqrt(band.low * band.high), model.density(mean + sd * z), rtol=1e-9)
    assert ("scaled to 50,000" in said) == (n == 50_000)
    again, _ = band_of(model, lambda m: m, mean + sd * z, 0.95)
    np.testing.assert_array_equal(again.high, band.high)


def test_band_of_bins_is_wilsons_interval() -> None:
    x = np.random.default_rng(0).normal(size=500)
    model = pofx.Histogram().fit(x)
    figure = pofx.figure(model, x, band=0.9)
    band, edges = only(figure, Band), model.edges_[0]
    k = int(np.argmax(model.counts_))
    level = 1 - 0.1 / (len(edges) - 1)
    expected = stats.binomtest(int(model.counts_[k]), 500).proportion_ci(level, method="wilson")
    j = int(model.cells_[k, 0])
    inside = slice(2 * j, 2 * j + 2)
    width = edges[j + 1] - edges[j]
    np.testing.assert_allclose(band.low[inside] * width, expected.low, rtol=1e-9)
    np.testing.assert_allclose(band.high[inside] * width, expected.high, rtol=1e-9)
    assert band.mass == 0.9


def test_bands_of_other_models_and_of_parts(root: Path) -> None:
    table = pofx.read(root / "examples/faithful.csv")
    kde, two = pofx.KDE().fit(table), pofx.GaussianMixture(2, covariance_type="full", n_init=2).fit(table)
    for model, how in (
        (kde, {"columns": "waiting"}),
        (two, {"columns": "waiting"}),
        (two, {"given": {"waiting": 80}}),
    ):
        figure = pofx.figure(model, table, band=0.95, **how)
        band, curve = only(figure, Band), only(figure, Curve, role="model")
        inside = np.interp(curve.x, band.x, band.high) - curve.y
        assert inside.min() > -1e-3 * curve.y.max()
        assert figure.main.legend is not None
        assert "95 % band" in figure.main.legend.labels
        assert not [m for m in figure.marks() if isinstance(m, Area)]
        assert "95 % probability" in figure.caption
    direct = kde.marginal(["waiting"]).confidence_band(np.array([80.0]), target="density")
    picture = only(pofx.figure(kde, table, columns="waiting", band=0.95), Band)
    assert np.interp(80.0, picture.x, picture.high) > direct.upper[0]  # at all places: wider than at one


def test_bands_that_cannot_be() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    model, kde = pofx.Gaussian().fit(rows), pofx.KDE().fit(rows)
    with pytest.raises(ParameterError, match="density of one column"):
        pofx.figure(model, rows, band=0.95)
    with pytest.raises(ParameterError, match="one value of each given column"):
        pofx.figure(model, rows, given=0, band=0.95)
    with pytest.raises(ParameterError, match="band"):
        pofx.figure(model, rows, columns=0, band=95)
    with pytest.raises(UnsupportedError, match="were given"):
        pofx.figure(pofx.worlds.correlated(), rows, columns=0, band=0.95)
    with pytest.raises(UnsupportedError, match="conditional of a KDE"):
        pofx.figure(kde, rows, given={0: 0.5}, band=0.95)
    shrunk = pofx.Gaussian(shrinkage="oas").fit(rows)
    with pytest.raises(UnsupportedError, match="errors of this Gaussian are not known"):
        pofx.figure(shrunk, rows, columns=0, band=0.95)


# ---------------------------------------------------------------- very many rows


def test_many_rows_are_counted_with_edges_from_a_few() -> None:
    rng = np.random.default_rng(0)
    n = 3 * SOME_ROWS
    whole = rng.integers(0, 40, size=n).astype(float)
    mark = bars(whole, -1.0, 41.0, "rows")
    np.testing.assert_allclose(mark.edges % 1, 0.5)
    np.testing.assert_allclose(mark.heights.sum() * np.diff(mark.edges)[0], 1.0)
    odd = whole.copy()
    odd[7] += 0.3  # one row that keeps to no step: edges may lie anywhere, every row is counted
    freely = bars(odd, -1.0, 41.0, "rows")
    np.testing.assert_allclose(np.sum(freely.heights * np.diff(freely.edges)), 1.0)
    x = rng.normal(size=(n, 2))
    picture = pofx.figure(pofx.Gaussian().fit(x), x)
    counted = only(picture, Cells)
    axes = [picture.main.x, picture.main.y]
    inside = np.all([(x[:, k] >= a.low) & (x[:, k] <= a.high) for k, a in enumerate(axes)], axis=0)
    assert counted.counts.sum() == inside.sum()
    again, _, _ = np.histogram2d(x[inside, 0], x[inside, 1], [counted.x, counted.y])
    np.testing.assert_array_equal(counted.counts, again.T)


def test_few_rows_choose_the_same_edges_whatever_their_number(root: Path) -> None:
    """Below the limit all rows tell, above it a sample: bins of one distribution are nearly the same."""
    x = np.random.default_rng(0).normal(size=2 * SOME_ROWS)
    few, many = bars(x[:SOME_ROWS], -4, 4, ""), bars(x, -4, 4, "")
    ratio = np.diff(many.edges)[0] / np.diff(few.edges)[0]
    assert ratio == pytest.approx(1.0, abs=0.06)  # 80 bars at most, over nearly the same range
    assert len(many.heights) <= 81


def test_the_distance_of_two_bumps_does_not_widen_the_bins() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=600), rng.normal(20.0, 1.0, size=400)])
    by_quartiles = 0.5 * rule_width("fd", Sample.of(x, np.ones(len(x))))
    assert np.diff(bars(x, x.min(), x.max(), "").edges)[0] < 0.2 * by_quartiles
    one = np.diff(bars(x[:600], -4, 4, "").edges)[0]
    assert one == pytest.approx(0.5 * rule_width("fd", Sample.of(x[:600], np.ones(600))), rel=0.1)


# ---------------------------------------------------------------- groups


def test_labels_of_any_kind() -> None:
    rows = np.random.default_rng(0).normal(size=(8, 2))
    model = pofx.Gaussian().fit(rows)
    mixed = pofx.figure(model, rows, by=["a", None, 1, 2.0, "a", "", 1.5, None])
    assert mixed.main.legend is not None
    assert mixed.main.legend.labels == ("(none)", "1", "1.5", "2", "a")
    numbered = pofx.figure(model, rows, by=[10, 2, 1, 2, 10, 1, 1, 2])
    assert numbered.main.legend is not None
    assert numbered.main.legend.labels == ("1", "2", "10")
    [nothing] = [m for m in mixed.marks() if isinstance(m, Points) and m.label == "(none)"]
    assert len(nothing.x) == 3


def test_a_text_column_of_a_table_is_told_from_a_missing_one(root: Path) -> None:
    iris = pofx.read(root / "examples/iris.csv")
    model = pofx.Gaussian().fit(iris)
    with pytest.raises(ParameterError, match=r"by='Species' was set aside \(text.*give the labels"):
        pofx.figure(model, iris, by="Species")


def test_labels_are_read_from_files(tmp_path: Path, root: Path) -> None:
    from pofx.data.labels import read_labels

    iris = read_labels(root / "examples/iris.csv", "Species")
    assert (len(iris), iris.name, str(iris.values[0])) == (150, "Species", "setosa")
    quoted = tmp_path / "q.csv"
    quoted.write_text('x,kind\n1,"a, b"\n2,\n\n3,c\n')
    assert read_labels(quoted, "kind").values.tolist() == ["a, b", "", "c"]
    assert read_labels(quoted, 0).values.tolist() == ["1", "2", "3"]
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"x": [1.0, 2.0], "kind": ["u", None]}), tmp_path / "t.parquet")
    assert read_labels(tmp_path / "t.parquet", "kind").values.tolist() == ["u", ""]
    with pytest.raises(DataError, match="Did you mean 'kind'"):
        read_labels(quoted, "kinds")
    with pytest.raises(DataError, match="no column 2"):
        read_labels(quoted, 2)
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    with pytest.raises(FileError, match="labels are read from"):
        read_labels(tmp_path / "a.npy", 0)


def test_rows_with_gaps_are_left_out_with_their_labels() -> None:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    frame["sign"] = np.where(frame["a"] > 0, "plus", "minus")
    frame.loc[[4, 9], "b"] = np.nan
    model = pofx.Gaussian(missing="drop").fit(frame[["a", "b"]])
    for by in ("sign", frame["sign"], frame["sign"].tolist()):
        figure = pofx.figure(model, frame, by=by)
        minus, plus = (m for m in figure.marks() if isinstance(m, Points))
        assert (minus.label, plus.label, len(minus.x) + len(plus.x)) == ("minus", "plus", 58)
        assert (minus.x < 0).all()
        assert (plus.x > 0).all()


def test_weighted_rows_count_by_their_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(3_000, 2)), rng.integers(0, 4, size=3_000)
    lines = [f"{a:.6f},{b:.6f},{c}" for (a, b), c in zip(x, w, strict=True)]
    (tmp_path / "w.csv").write_text("a,b,times\n" + "\n".join(lines) + "\n")
    table = pofx.read(tmp_path / "w.csv", weights="times")
    model = pofx.Gaussian().fit(table, sample_weight=table.weights)
    figure = pofx.figure(model, table)
    assert "by their weights" in figure.caption
    counted, again = only(figure, Cells), np.repeat(x.round(6), w, axis=0)
    expected, _, _ = np.histogram2d(again[:, 0], again[:, 1], [counted.x, counted.y])
    np.testing.assert_allclose(counted.counts, expected.T)
    alone = pofx.figure(model, table, columns="a", by=x[:, 1] > 0)
    assert "weighted rows" in alone.caption
    total = sum(np.sum(m.heights * np.diff(m.edges)) for m in alone.marks() if isinstance(m, Bars))
    assert total == pytest.approx(1.0, abs=2e-3)  # but for far-out rows
    few = pofx.figure(model, table, points=100)
    assert "each once whatever its weight" in few.caption
    mark = only(pofx.figure(model, table, kind="residuals"), Residuals)
    assert mark.counts.sum() == pytest.approx(w.sum(), rel=1e-2)


# ---------------------------------------------------------------- contour labels; older records


def test_contour_labels_stand_apart_and_inside() -> None:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(5, 4))
    ax = canvas.add_subplot()
    x, y = np.meshgrid(np.linspace(-3, 3, 80), np.linspace(-3, 3, 80))
    drawn = ax.contour(x, y, -(x**2) - 4 * y**2, levels=[-6, -3, -1, -0.001])
    places = label_places(ax, drawn.allsegs, 8.0)
    assert len(places) == 3  # the innermost line has no room
    for (a, b), level in zip(places, (-6, -3, -1), strict=True):
        assert -(a**2) - 4 * b**2 == pytest.approx(level, abs=0.05)
    pixels = ax.transData.transform(places)
    apart = np.hypot(*(pixels[:, None] - pixels[None]).transpose(2, 0, 1))[np.triu_indices(3, 1)]
    assert apart.min() > 30


def test_records_of_the_first_schema_are_read() -> None:
    figure = pofx.figure(pofx.worlds.moons(), points=20)
    record = figure.to_dict()
    old = json.loads(json.dumps(record))
    old["schema"] = "pofx.figure/1"
    for panel in old["panels"]:
        del panel["title"]
        for axis in ("x", "y"):
            del panel[axis]["names"]
    assert Figure.from_dict(old).to_dict() == record


def test_dark_paper_is_shaded_from_dark_to_light() -> None:
    import matplotlib

    moons = pofx.worlds.moons()
    lightness = []
    for style in ({}, {"axes.facecolor": "black", "text.color": "white"}):
        with matplotlib.rc_context(style):
            ax = pofx.plot(moons, fill=True, levels=10)
        shade = next(c for c in ax.collections if c.get_array() is not None)
        lightness.append(shade.cmap(np.linspace(0.15, 1.0, 5))[:, :3].sum(axis=1))
    assert (np.diff(lightness[0]) < 0).all()
    assert (np.diff(lightness[1]) > 0).all()


def test_bars_of_nothing_but_ties() -> None:
    mark = bars(np.full(50, 3.0), 2.0, 4.0, "rows")
    assert isinstance(mark, Bars)
    assert np.sum(mark.heights * np.diff(mark.edges)) == pytest.approx(1.0)
    assert cells(np.full((50, 2), 3.0), [], "rows").counts.sum() == 50
