"""Pictures, read from their records: marks, axes, levels, words; files by suffix; settings left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

import pofx
from pofx.errors import DataError, FileError, NotFittedError, ParameterError, UnsupportedError
from pofx.show import draw
from pofx.show.figure import (
    Area,
    Axis,
    Band,
    Bars,
    Cells,
    Curve,
    Figure,
    Note,
    Panel,
    Points,
    Regions,
    Shades,
)
from pofx.show.pictures.fits import search_table
from pofx.show.pictures.parts import levels_on_grid, unit_of


@pytest.fixture(scope="module")
def table(root: Path) -> pofx.Table:
    return pofx.read(root / "examples/faithful.csv")


@pytest.fixture(scope="module")
def mixture(table: pofx.Table) -> pofx.GaussianMixture:
    return pofx.GaussianMixture([2, 3], covariance_type=["full", "tied"], n_init=2).fit(table)


@pytest.fixture(scope="module")
def gaussian(table: pofx.Table) -> pofx.Gaussian:
    return pofx.Gaussian().fit(table)


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        assert pyplot.get_fignums() == []


def every(figure: Figure, kind: type, **how: Any) -> list[Any]:
    found = [m for m in figure.marks() if isinstance(m, kind)]
    return [m for m in found if all(getattr(m, k) == v for k, v in how.items())]


def only(figure: Figure, kind: type, **how: Any) -> Any:
    [found] = every(figure, kind, **how)
    return found


def same(figure: Figure) -> None:
    """The record survives JSON."""
    record = figure.to_dict()
    assert record["schema"] == "pofx.figure/2"
    text = json.dumps(record, allow_nan=False)
    back = Figure.from_dict(json.loads(text))
    assert back.to_dict() == record
    assert [type(m) for m in back.marks()] == [type(m) for m in figure.marks()]


# ---------------------------------------------------------------- records


def test_record_of_every_kind_of_picture_survives_json(
    table: pofx.Table, mixture: pofx.GaussianMixture
) -> None:
    for how in (
        {},
        {"columns": "waiting"},
        {"fill": True},
        {"points": False},
        {"kind": "corner"},
        {"given": "waiting"},
        {"given": {"waiting": 70}},
        {"given": {"waiting": [60, 80]}},
        {"kind": "search"},
        {"kind": "trace"},
    ):
        figure = pofx.figure(mixture, table, **how)
        same(figure)
        assert figure.title
        assert figure.caption.endswith(".")
        assert draw.to_png(figure, dpi=40).startswith(b"\x89PNG")


def test_what_is_not_finite_is_null_and_comes_back() -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    figure = pofx.figure(pofx.Histogram(smoothing=0).fit(x), x)
    same(figure)
    regions = only(figure, Regions)
    back = only(Figure.from_dict(figure.to_dict()), Regions)
    assert np.isneginf(regions.log_density).any()
    np.testing.assert_array_equal(back.log_density, regions.log_density)


@pytest.mark.parametrize(
    "record", [3, {}, {"schema": "pofx.figure/9"}, {"schema": "pofx.figure/1", "title": "", "caption": ""}]
)
def test_a_record_that_is_none_is_refused(record: Any) -> None:
    with pytest.raises(ParameterError):
        Figure.from_dict(record)


def test_a_mark_of_unknown_kind_is_refused(gaussian: pofx.Gaussian) -> None:
    record = pofx.figure(gaussian).to_dict()
    record["panels"][0]["marks"][0]["kind"] = "pie"
    with pytest.raises(ParameterError, match="pie"):
        Figure.from_dict(record)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("waiting (min)", ("waiting", "min")),
        ("mass [kg/m²]", ("mass", "kg/m²")),
        ("share_(%)", ("share", "%")),
        ("f(x)", ("f(x)", "")),
        ("run (2)", ("run (2)", "")),
        ("plain", ("plain", "")),
    ],
)
def test_units_are_told_from_names(name: str, parts: tuple[str, str]) -> None:
    assert unit_of(name) == parts


# ---------------------------------------------------------------- one column


def test_one_column_shows_histogram_density_rug_and_truth() -> None:
    world = pofx.worlds.mixture((0.36, 0.64), ((54.6,), (80.1,)), (((35.0,),), ((35.0,),)))
    x = world.sample(400, random_state=1)
    model = pofx.KDE("isj").fit(x)
    figure = pofx.figure(model, x, truth=world)
    bars, curve, dashed = (
        only(figure, Bars),
        only(figure, Curve, role="model"),
        only(figure, Curve, role="truth"),
    )
    assert np.sum(bars.heights * np.diff(bars.edges)) == pytest.approx(1)
    np.testing.assert_allclose(curve.y, model.density(curve.x), rtol=1e-12)
    np.testing.assert_allclose(dashed.y, world.density(dashed.x), rtol=1e-12)
    assert len(only(figure, Points).x) == 400
    panel = figure.main
    assert panel.legend is not None
    assert set(panel.legend.labels) == {"400 rows", "KDE", "truth", "95 % of its mass"}
    assert "Dashed: the truth." in figure.caption
    assert panel.y.high > max(bars.heights.max(), dashed.y.max())
    ground = sum(np.trapezoid(a.y, a.x) for a in every(figure, Area))
    assert ground == pytest.approx(0.95, abs=2e-3)


def test_a_model_without_rows_stands_alone() -> None:
    figure = pofx.figure(pofx.worlds.exponential())
    assert not every(figure, Bars)
    assert not every(figure, Points)
    assert "0 to 2.9957" in figure.caption
    drawn = pofx.figure(pofx.worlds.exponential(), points=50)
    assert len(only(drawn, Points, role="draws").x) == 50


def test_ground_of_a_model_that_keeps_many_rows() -> None:
    x = np.random.default_rng(0).normal(size=2_500)
    figure = pofx.figure(pofx.KDE().fit(x), x)
    ground = sum(np.trapezoid(a.y, a.x) for a in every(figure, Area))
    assert ground == pytest.approx(0.95, abs=5e-3)
    assert not every(figure, Points)  # 2,500 ticks are a blot


def test_groups_share_one_scale() -> None:
    rng = np.random.default_rng(0)
    x, by = np.append(rng.normal(size=300), rng.normal(6, 1, size=100)), np.repeat(["a", "b"], [300, 100])
    figure = pofx.figure(pofx.KDE().fit(x), x, by=by)
    a, b = every(figure, Bars)
    assert (a.label, b.label) == ("a", "b")
    assert np.sum(a.heights * np.diff(a.edges)) == pytest.approx(0.75)
    assert np.sum(b.heights * np.diff(b.edges)) == pytest.approx(0.25)


def test_a_mass_function_has_its_values() -> None:
    world = pofx.worlds.rounded()
    figure = pofx.figure(world, world.sample(272, random_state=0))
    dots = only(figure, Points)
    assert (dots.x % 1 == 0).all()
    assert dots.y.sum() == pytest.approx(1, abs=0.01)
    assert only(figure, Bars).heights.sum() == pytest.approx(1, abs=0.01)
    assert figure.main.y.label == "probability of each value"


# ---------------------------------------------------------------- two columns


@pytest.mark.parametrize("masses", [(0.5, 0.8, 0.95), (0.393, 0.865)])
def test_contours_hold_their_masses(mixture: pofx.GaussianMixture, table: pofx.Table, masses: Any) -> None:
    regions = only(pofx.figure(mixture, table, levels=masses), Regions)
    assert regions.masses == tuple(sorted(masses, reverse=True))
    drawn = mixture.log_density(mixture.sample(40_000, random_state=5, exact=True))
    for mass, level in zip(regions.masses, regions.levels, strict=True):
        # the levels come from 10,000 draws, the check from 40,000: five standard errors
        assert np.mean(drawn >= level) == pytest.approx(mass, abs=5 * np.sqrt(0.25 / 8_000))


def test_levels_on_the_grid_agree_with_those_of_draws(gaussian: pofx.Gaussian) -> None:
    regions = only(pofx.figure(gaussian), Regions)
    np.testing.assert_allclose(levels_on_grid(regions.log_density, regions.masses), regions.levels, atol=0.06)


def test_a_number_of_levels_is_masses_evenly_apart(gaussian: pofx.Gaussian) -> None:
    assert only(pofx.figure(gaussian, levels=3), Regions).masses == pytest.approx((0.75, 0.5, 0.25))


def test_filled_form() -> None:
    moons = pofx.worlds.moons()
    figure = pofx.figure(moons, moons.sample(1_000, random_state=0), fill=True, levels=100, points=500)
    shades = only(figure, Shades)
    assert shades.levels == 100
    assert shades.log_density.size <= 200 * 200
    assert len(only(figure, Points).x) == 500
    assert "500 of the 1,000 rows" in figure.caption
    at = np.array([[shades.x[30], shades.y[70]]])
    assert shades.log_density[70, 30] == pytest.approx(moons.log_density(at)[0], rel=1e-12)


def test_many_rows_are_counted_in_cells(gaussian: pofx.Gaussian) -> None:
    x = gaussian.sample(5_000, random_state=0)
    cells = only(pofx.figure(gaussian, x), Cells)
    assert cells.counts.sum() == pytest.approx(5_000, abs=25)  # but for far-out ones
    assert cells.counts.shape == (len(cells.y) - 1, len(cells.x) - 1)
    assert max(cells.counts.shape) <= 70
    # waiting is whole minutes: every cell spans a whole number of them, so that none is empty by rounding
    assert (np.abs(np.diff(cells.y) - np.rint(np.diff(cells.y))) < 1e-9).all()
    dotted = pofx.figure(gaussian, x, points=300)
    assert len(only(dotted, Points).x) == 300
    assert not every(dotted, Cells)


def test_truth_is_dashed_at_the_same_masses() -> None:
    world = pofx.worlds.three_bumps()
    x = world.sample(300, random_state=0)
    figure = pofx.figure(pofx.Gaussian().fit(x), x, truth=world)
    model, truth = only(figure, Regions, role="model"), only(figure, Regions, role="truth")
    assert model.masses == truth.masses
    assert not truth.filled
    assert truth.levels[0] == pytest.approx(world.hdr(0.95, random_state=0).level)


@pytest.mark.parametrize(
    ("names", "equal", "expected"),
    [
        (("a (cm)", "b (cm)"), None, True),
        (("a (cm)", "b (kg)"), None, False),
        (("a", "b"), None, False),
        (("a", "b"), True, True),
        (None, None, True),
        (None, False, False),
    ],
)
def test_equal_axes(names: Any, equal: bool | None, expected: bool) -> None:
    model = pofx.Gaussian.from_params([0, 0], [[1, 0.5], [0.5, 1]], names=names)
    figure = pofx.figure(model, equal=equal)
    assert figure.main.equal is expected
    axes = pofx.plot(model, equal=equal)
    assert axes.get_aspect() == (1.0 if expected else "auto")
    if names and "(" in names[0]:
        assert (figure.main.x.label, figure.main.x.unit) == ("a", "cm")
        assert axes.get_xlabel() == "a (cm)"


def test_coordinates_of_unlike_extent_are_not_equal() -> None:
    assert not pofx.figure(pofx.Gaussian.from_params([0, 0], [[1, 0], [0, 100]])).main.equal


def test_groups_are_coloured_and_named(gaussian: pofx.Gaussian, table: pofx.Table) -> None:
    long = table["eruptions"] > 3
    figure = pofx.figure(gaussian, table, by=np.where(long, "long", "short"))
    parts = every(figure, Points)
    assert [(p.label, p.series, len(p.x)) for p in parts] == [
        ("long", 0, long.sum()),
        ("short", 1, (~long).sum()),
    ]
    many = pofx.figure(gaussian, table, by=np.arange(272) % 20)
    assert [p.label for p in every(many, Points)][-1] == "14 others"
    frame = table.to_frame("pandas").assign(kind=np.where(long, "long", "short"))
    named = pofx.figure(gaussian, frame, by="kind")
    assert named.main.legend is not None
    assert named.main.legend.title == "kind"


# ---------------------------------------------------------------- several columns


def test_corner_and_pairs() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    x[:, 3] += 3 * x[:, 1]
    model = pofx.Gaussian().fit(x)
    corner = pofx.figure(model, x)
    assert {(p.row, p.column) for p in corner.panels} == {(i, j) for i in range(4) for j in range(i + 1)}
    assert all(p.place == "cell" for p in corner.panels)
    for p in corner.panels:
        assert p.x.label == f"column {p.column}"
        assert p.row == p.column or p.y.label == f"column {p.row}"
    chosen = pofx.figure(model, x, columns=(2, 0))
    assert (chosen.main.x.label, chosen.main.y.label) == ("column 2", "column 0")
    with_ax = pofx.plot(model, x, ax=_bare_axes())
    assert (with_ax.get_xlabel(), with_ax.get_ylabel()) == ("column 1", "column 3")
    wide = pofx.Gaussian().fit(rng.normal(size=(200, 9)))
    assert len(pofx.figure(wide).panels) == 3
    with pytest.raises(ParameterError, match="up to 8"):
        pofx.figure(wide, kind="corner")


# ---------------------------------------------------------------- conditionals


def test_conditional_at_a_value(mixture: pofx.GaussianMixture, table: pofx.Table) -> None:
    figure = pofx.figure(mixture, table, given={"waiting": 80})
    curve, before = only(figure, Curve, role="model"), only(figure, Curve, role="context")
    np.testing.assert_allclose(curve.y, mixture.condition({"waiting": 80}).density(curve.x), rtol=1e-10)
    np.testing.assert_allclose(before.y, mixture.marginal(["eruptions"]).density(before.x), rtol=1e-10)
    near = only(figure, Points)
    half = max(0.1 * table["waiting"].std(), 0.5)
    assert len(near.x) == np.sum(np.abs(table["waiting"] - 80) <= half)
    assert figure.main.x.label == "eruptions"
    assert figure.title == f"eruptions given waiting = 80: GaussianMixture({mixture.n_components_})"


def test_conditional_at_several_values(gaussian: pofx.Gaussian) -> None:
    figure = pofx.figure(gaussian, given={"waiting": [60, 80]})
    curves = every(figure, Curve)
    assert [c.label for c in curves] == ["60", "80"]
    np.testing.assert_allclose(
        curves[1].y, gaussian.condition({"waiting": 80}).density(curves[1].x), rtol=1e-10
    )
    with pytest.raises(ParameterError, match="1 to 7 values"):
        pofx.figure(gaussian, given={"waiting": np.arange(40.0, 60.0)})


def test_conditional_bands_are_quantiles(gaussian: pofx.Gaussian, table: pofx.Table) -> None:
    figure = pofx.figure(gaussian, table, given="waiting")
    wide, narrow = every(figure, Band)
    median = only(figure, Curve)
    assert (wide.mass, narrow.mass) == (0.9, 0.5)
    expected = gaussian.condition({"waiting": wide.x}).quantile([0.05, 0.25, 0.5, 0.75, 0.95])
    got = np.column_stack([wide.low, narrow.low, median.y, narrow.high, wide.high])
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    assert (figure.main.x.label, figure.main.y.label) == ("waiting", "eruptions")


def test_bands_have_gaps_where_there_is_no_density() -> None:
    x = np.random.default_rng(0).normal(size=(100, 2))
    x[50:, 0] += 30
    figure = pofx.figure(pofx.KDE([0.3, 0.3], kernel="tophat").fit(x), x, given=0)
    assert len(every(figure, Band, mass=0.9)) > 1
    same(figure)


def test_conditional_of_more_columns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    x[:, 3] += 2 * x[:, 0]
    model = pofx.Gaussian().fit(x)
    along = pofx.figure(model, x, given=0)
    assert along.main.y.label == "column 3"  # the one that depends most
    assert pofx.figure(model, x, given=0, columns=1).main.y.label == "column 1"
    assert pofx.figure(model, x, columns=2).main.x.label == "column 2"
    assert pofx.figure(model, x, given={0: 1.0}, columns=3).main.x.label == "column 3"
    pair = pofx.figure(model, x, given={0: 1.0, 3: 2.0})
    assert (pair.main.x.label, pair.main.y.label) == ("column 1", "column 2")
    assert len(pofx.figure(model, x, given={0: 1.0}).panels) == 6


@pytest.mark.parametrize("given", ["wating", {"wating": 3}, {}, {"waiting": 3, "eruptions": 2}, 7])
def test_conditions_that_cannot_be(gaussian: pofx.Gaussian, given: Any) -> None:
    with pytest.raises(ParameterError):
        pofx.figure(gaussian, given=given)


# ---------------------------------------------------------------- how it was fitted


def test_search_shows_bic_and_marks_the_chosen(mixture: pofx.GaussianMixture) -> None:
    figure = pofx.figure(mixture, kind="search")
    rows = mixture.fit_.search
    assert rows is not None
    for panel, key in zip(figure.panels, ("bic", "icl"), strict=True):
        for curve in (m for m in panel.marks if isinstance(m, Curve)):
            mine = [r for r in rows if curve.label.startswith(r["covariance_type"])]
            np.testing.assert_array_equal(curve.y, [r[key] for r in mine])
            np.testing.assert_array_equal(curve.x, [r["n_components"] for r in mine])
    chosen, by_icl = every(figure, Points, role="chosen")
    assert by_icl.x == chosen.x
    assert chosen.x[0] == mixture.n_components_
    assert chosen.y[0] == min(r["bic"] for r in rows if r["regular"])
    assert mixture.covariance_type_ in only(figure, Note).text
    assert figure.main.x.at == (2.0, 3.0)
    assert figure.main.y.label == "BIC, smaller is better"
    ax = _bare_axes()  # room for one panel: its key comes along
    pofx.plot(mixture, kind="search", ax=ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["full (VVV)", "tied (EEE)"]


def test_irregular_candidates_are_hollow_and_named(mixture: pofx.GaussianMixture) -> None:
    class Fitted:
        n_components_, covariance_type_ = 2, "full"

        class fit_:
            search = (
                {"covariance_type": "full", "n_components": 1, "bic": 110.0, "regular": True},
                {"covariance_type": "full", "n_components": 2, "bic": 100.0, "regular": True},
                {"covariance_type": "full", "n_components": 3, "bic": 104.0, "regular": False},
                {"covariance_type": "full", "n_components": 4, "bic": None, "regular": False},
                {"covariance_type": "tied", "n_components": 2, "bic": 900.0, "regular": True},
            )

    figure = search_table(Fitted(), "m", ["density"])  # type: ignore[arg-type]
    hollow = only(figure, Points, role="irregular")
    assert (hollow.x.tolist(), hollow.y.tolist()) == ([3.0], [104.0])
    assert "hollow): 3 × full (VVV)" in figure.caption
    assert "Above the picture: tied (EEE) (900 at best)" in figure.caption
    assert only(figure, Curve).x.tolist() == [1.0, 2.0]
    same(figure)
    draw.to_svg(figure)


def test_trace_is_that_of_the_fit(mixture: pofx.GaussianMixture) -> None:
    figure = pofx.figure(mixture, kind="trace")
    np.testing.assert_array_equal(only(figure, Curve).y, mixture.fit_.trace)
    assert figure.main.y.unit == "nats"
    assert figure.caption.endswith(mixture.fit_.message)


@pytest.mark.parametrize("kind", ["search", "trace"])
def test_a_model_without_it_says_what_it_has(gaussian: pofx.Gaussian, kind: str) -> None:
    with pytest.raises(UnsupportedError, match=f"Gaussian has no {kind}.*'density', 'corner', 'conditional'"):
        pofx.figure(gaussian, kind=kind)


def test_a_model_without_conditionals_says_what_it_has() -> None:
    with pytest.raises(
        UnsupportedError, match=r"has no formula.*Pictures that there are: .density., .corner."
    ):
        pofx.figure(pofx.worlds.moons(), given=0)


# ---------------------------------------------------------------- bad input


def test_bad_input_is_refused(gaussian: pofx.Gaussian, table: pofx.Table) -> None:
    with pytest.raises(NotFittedError):
        pofx.plot(pofx.KDE(), table)
    for how, words in (
        ({"kind": "serch"}, "Did you mean 'search'"),
        ({"kind": "conditional"}, "needs given="),
        ({"kind": "density", "given": "waiting"}, "belongs to"),
        ({"levels": 1.5}, "levels"),
        ({"levels": []}, "levels"),
        ({"points": -1}, "points"),
        ({"columns": "wating"}, "Did you mean 'waiting'"),
        ({"columns": [0, 0]}, "different columns"),
        ({"columns": 0, "fill": True}, "two columns"),
        ({"by": ["a"]}, "one label for each"),
        ({"by": "species"}, "is no column of the data"),
        ({"truth": 3}, "truth="),
        ({"truth": pofx.worlds.gaussian()}, "they must agree"),
    ):
        with pytest.raises(ParameterError, match=words):
            pofx.figure(gaussian, table, **how)
    with pytest.raises(ParameterError, match="give the data too"):
        pofx.figure(gaussian, by=[1])
    with pytest.raises(ParameterError, match="an int"):
        pofx.figure(3)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        pofx.figure(gaussian, np.zeros((3, 5)))
    with pytest.raises(DataError, match="0 rows"):
        pofx.figure(gaussian, table.values[:0])


def test_rows_with_missing_values_are_left_out_where_the_fit_did_so() -> None:
    x = np.random.default_rng(0).normal(size=(50, 2))
    x[3, 1] = np.nan
    model = pofx.Gaussian(missing="drop").fit(x)
    assert len(only(pofx.figure(model, x), Points).x) == 49


# ---------------------------------------------------------------- files


def test_suffix_picks_the_format(gaussian: pofx.Gaussian, table: pofx.Table, tmp_path: Path) -> None:
    figure = pofx.figure(gaussian, table)
    for suffix, head in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")):
        path = tmp_path / f"a.{suffix}"
        assert draw.save(figure, path) == path
        assert path.read_bytes().startswith(head)
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">eruptions<" in text  # letters, not outlines
    assert figure.title in text
    for bad in ("a", "a.jpg", "a.png.txt"):
        with pytest.raises(ParameterError, match=r"\.pdf, \.svg or \.png"):
            draw.save(figure, tmp_path / bad)
    with pytest.raises(FileError):
        draw.save(figure, tmp_path / "a.svg", overwrite=False)
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == text
    assert len(list(tmp_path.iterdir())) == 4


def test_the_same_record_gives_the_same_bytes_whatever_the_settings(
    mixture: pofx.GaussianMixture, table: pofx.Table
) -> None:
    for how in ({}, {"fill": True}, {"kind": "search"}):
        figure = pofx.figure(mixture, table, **how)
        first = [f(figure) for f in (draw.to_svg, draw.to_png, draw.to_pdf)]
        with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "svg.hashsalt": None}):
            again = pofx.figure(mixture, table, **how)
            assert [f(again) for f in (draw.to_svg, draw.to_png, draw.to_pdf)] == first


def test_no_date_and_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys, pofx\nfrom pofx.show import draw\n"
        "f = pofx.figure(pofx.worlds.correlated())\n"
        "for kind in ('svg', 'pdf', 'png'): draw.save(f, f'{sys.argv[1]}.{kind}')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    both = []
    for k in ("1", "2"):
        env = {
            **os.environ,
            "PYTHONHASHSEED": k,
            "SOURCE_DATE_EPOCH": "",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        env.pop("SOURCE_DATE_EPOCH")
        both.append(subprocess.Popen([sys.executable, "-c", code, str(tmp_path / k)], env=env))
    assert [process.wait(120) for process in both] == [0, 0]
    for kind in ("svg", "pdf", "png"):
        content = (tmp_path / f"1.{kind}").read_bytes()
        assert content == (tmp_path / f"2.{kind}").read_bytes()
        assert b"CreationDate" not in content
        assert b"dc:date" not in content


def test_names_are_words_not_formulas() -> None:
    names = ("$x^2$ and $", "价格 <b>&")
    model = pofx.Gaussian.from_params([0, 0], [[1, 0], [0, 1]], names=names)
    svg = draw.to_svg(pofx.figure(model), title=True)
    assert "$x^2$ and $" in svg
    assert "价格 &lt;b&gt;&amp;" in svg


# ---------------------------------------------------------------- in the caller's style


def _bare_axes() -> Any:
    from matplotlib.figure import Figure as Canvas

    return Canvas().add_subplot()


def test_plot_draws_on_given_axes_and_leaves_settings_alone(
    mixture: pofx.GaussianMixture, table: pofx.Table
) -> None:
    before = dict(matplotlib.rcParams)
    ax = _bare_axes()
    assert pofx.plot(mixture, table, ax=ax) is ax
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("eruptions", "waiting", "")
    assert ax.figure.axes == [ax]  # strips would cover the neighbours
    assert not ax.child_axes
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(ParameterError, match="many panels"):
        pofx.plot(mixture, table, ax=ax, kind="corner")


def test_plot_respects_fonts_sizes_and_colours(gaussian: pofx.Gaussian, table: pofx.Table) -> None:
    from matplotlib.colors import to_hex

    style = {
        "font.size": 17.0,
        "font.family": ["serif"],
        "axes.labelsize": 21.0,
        "lines.linewidth": 3.0,
        "axes.prop_cycle": matplotlib.cycler(color=["#aa00aa", "#00aa00"]),
        "figure.figsize": (3.0, 2.0),
    }
    with matplotlib.rc_context(style):
        ax = pofx.plot(gaussian, table, columns="waiting")
    assert ax.xaxis.label.get_size() == 21.0
    assert ax.xaxis.label.get_family() == ["serif"]
    assert ax.xaxis.get_ticklabels()[0].get_size() == 17.0
    [line] = ax.get_lines()
    assert to_hex(line.get_color()) == "#aa00aa"
    assert line.get_linewidth() == pytest.approx(1.9 * 2.0)
    assert tuple(ax.figure.get_size_inches()) == (3.0, 2.0)


def test_a_second_model_on_the_same_axes_has_its_own_colour(
    gaussian: pofx.Gaussian, mixture: pofx.GaussianMixture, table: pofx.Table
) -> None:
    ax = _bare_axes()
    pofx.plot(gaussian.marginal(["waiting"]), table, ax=ax)
    limits = ax.get_xlim()
    pofx.plot(mixture.marginal(["waiting"]), ax=ax)
    first, second = ax.get_lines()
    assert first.get_color() != second.get_color()
    assert ax.get_xlim()[0] <= limits[0]
    assert ax.get_xlim()[1] >= limits[1]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "Gaussian" in words
    assert f"GaussianMixture({mixture.n_components_})" in words


def test_pyplot_figures(gaussian: pofx.Gaussian, table: pofx.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib.pyplot")
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("plot never shows"))
    ax = pofx.plot(gaussian, table)
    assert plt.gcf() is ax.figure  # plt.savefig and plt.show find it
    plt.close(ax.figure)
    mine = plt.figure(figsize=(4, 3))
    assert pofx.plot(gaussian, table).figure is mine  # what was opened for it is used
    plt.close(mine)
    with pytest.raises(ParameterError):
        pofx.plot(gaussian, table, levels=7.0)
    assert plt.get_fignums() == []
    monkeypatch.setattr("pofx.show.layout.lay_out", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pofx.plot(gaussian, table)  # a half-drawn figure does not stay


def test_without_pyplot_nothing_is_registered() -> None:
    code = (
        "import sys, pofx\n"
        "ax = pofx.plot(pofx.worlds.correlated())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "ax.figure.savefig(sys.argv[1])\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code.replace("sys.argv[1]", "__import__('io').BytesIO()")],
        env=env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_in_a_notebook_the_figure_is_pyplots() -> None:
    """A kernel shows the figures that pyplot knows of, whoever imported it."""
    code = (
        "import sys, types, pofx\n"
        "sys.modules['ipykernel'] = types.ModuleType('ipykernel')\n"
        "ax = pofx.plot(pofx.worlds.correlated())\n"
        "assert sys.modules['matplotlib.pyplot'].gcf() is ax.figure\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_plain_panel_needs_no_model() -> None:
    """Other parts draw their own records with the same renderer."""
    x = np.linspace(0.0, 1.0, 5)
    band = Band(x, x - 0.1, x + 0.1, 0.95, "band")
    panel = Panel(
        Axis("expected", 0.0, 1.0), Axis("observed", 0.0, 1.0), (band, Curve(x, x, "share")), equal=True
    )
    figure = Figure("calibration", "A curve.", (panel,))
    same(figure)
    assert draw.to_svg(figure).startswith("<svg")
