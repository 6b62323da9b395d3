"""The report and its picture: read from the records, and from the page as a browser would."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx
from pofx.errors import FileError
from pofx.evaluate.compare import Comparison
from pofx.show.draw import to_png, to_svg
from pofx.show.figure import Area, Bars, Curve, Figure, Points, Regions
from pofx.show.next_steps import invocation
from pofx.show.picture import picture, strongest_pair
from pofx.show.report import is_ours, render

VOID = {"meta", "br", "circle", "line", "path", "use", "rect"}


class Page(HTMLParser):
    """Tags balanced, ids counted, everything that could fetch or run collected."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.stack, self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.stack.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} {name}"
            if name in {"src", "href", "xlink:href", "action", "data", "srcset"}:
                self.addresses.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def result() -> Comparison:
    root = Path(__file__).resolve().parents[2]
    return pofx.compare(
        [pofx.Gaussian(), pofx.KDE(), pofx.Histogram()], pofx.read(root / "examples/faithful.csv")
    )


def test_page_says_what_there_is_to_say(result: Comparison) -> None:
    page = Page(render(result, title="x", source="dir/faithful.csv"))
    for words in (
        "faithful.csv", "272 rows", "eruptions", "waiting", "whole numbers", "3 decimals",
        "rownames was set aside",
        "Use KDE.", "Gaussian", "Histogram", "use this", "How this was computed", "pofx 0.1.0",
        " fit dir/faithful.csv --model kde -o faithful.pofx", " sample faithful.pofx -n 1000",
    ):  # fmt: skip
        assert words in page.text, words
    entry = result["Gaussian"]
    assert f"{entry.held_out.mean:.3f}".replace("-", "−") in page.text
    assert f"± {entry.difference_error:.3f}" in page.text
    assert "svg" in page.tags


def test_page_needs_no_network_and_runs_nothing(result: Comparison) -> None:
    text = render(result, title="x")
    page = Page(text)
    assert not page.tags & {"script", "link", "iframe", "img", "object", "embed", "form", "base"}
    assert all(address.startswith("#") for address in page.addresses)
    assert "http" not in text.replace("http-equiv", "")
    assert "@import" not in text
    assert all(inner.startswith("#") for inner in re.findall(r"url\(([^)]*)\)", text))
    assert len(text.encode()) < 1_000_000


def test_same_result_same_bytes_and_no_clock(result: Comparison) -> None:
    assert render(result, title="x") == render(result, title="x")
    again = pofx.compare([pofx.Gaussian(), pofx.KDE(), pofx.Histogram()], result.data)
    assert render(again, title="x") == render(result, title="x")
    assert not re.search(r"\b20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", render(result, title="x"))


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = '<script>alert("1")</script> & "$x^2$'
    file = tmp_path / "a<b>&.csv"
    rows = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    file.write_text("b," + '"' + name.replace('"', '""') + '"\n' + "\n".join(f"{a},{b}" for a, b in rows))
    result = pofx.compare([pofx.Gaussian()], pofx.read(file))
    page = Page(render(result, title="x", source=str(file)))
    assert "script" not in page.tags
    assert name in page.text


def test_report_replaces_only_what_is_its_own(result: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    assert pofx.report(result, path) == path
    assert is_ours(path)
    first = path.read_bytes()
    pofx.report(result, path)
    assert path.read_bytes() == first
    path.write_text("<html>mine</html>")
    with pytest.raises(FileError, match="not a report of pofx"):
        pofx.report(result, path)
    assert path.read_text() == "<html>mine</html>"
    pofx.report(result, path, force=True)
    assert is_ours(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.html"]


def test_report_of_rows_compares_the_candidates(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 1))
    page = Page(pofx.report(rows, tmp_path / "rows.html").read_text(encoding="utf-8"))
    for name in ("Gaussian", "GaussianMixture", "KDE", "Histogram", "column 0"):
        assert name in page.text


def test_doubts_of_the_fits_are_told() -> None:
    rows = np.append(np.random.default_rng(0).normal(size=50), 1e4)
    with pytest.warns(pofx.errors.PofxWarning):
        result = pofx.compare([pofx.KDE("scott")], rows)
    page = Page(render(result, title="x"))
    assert "of 5 fits)" in page.text


def test_failures_and_impossible_rows_are_told() -> None:
    rows = np.random.default_rng(0).normal(size=(8, 9))
    result = pofx.compare(
        [pofx.Gaussian(), pofx.Gaussian(covariance_type="diag"), pofx.Histogram(smoothing=0)], rows
    )
    page = Page(render(result, title="x"))
    assert "failed" in page.text
    assert "8 of 8 rows in empty cells" in page.text
    assert "nan" not in page.text.lower()


def test_verdict_is_argued_by_its_numbers(result: Comparison) -> None:
    text = render(result, title="x", source="faithful.csv", command="pofx")
    verdict = Page(re.search(r'<section class="verdict".*?</section>', text, re.S).group(0)).text  # type: ignore[union-attr]
    assert result.gain is not None
    assert f"{np.exp(result.gain.nats):.1f} times as likely" in verdict
    assert f"{result.gain.nats:.3f} ± {result.gain.standard_error:.3f} nats per row" in verdict
    second = result.table[1]
    assert f"{-second.difference:.3f} ± {second.difference_error:.3f} more per row" in verdict
    assert "waiting is recorded in whole numbers" in verdict  # a finding that the reader must know
    page = Page(text)
    assert page.text.count("Where it fails:") == 3
    assert text.count('<svg class="plot"') == 9  # contours, residuals and calibration of each
    for words in ("What to know about these rows", "s.e.", "geometric mean", "seed 0", "5 parts"):
        assert words in page.text


def test_faithful_says_two_or_three_components(faithful: Any) -> None:
    models = [pofx.GaussianMixture(range(1, 5), covariance_type=["full", "tied"], random_state=0)]
    page = Page(render(pofx.compare(models, pofx.read(faithful)), title="x"))
    assert "Two or three components, not one: BIC (smaller is better) is 2,314.3" in page.text


def test_hostile_file_and_column_names(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    file = tmp_path / f"{name}.csv"
    rows = np.random.default_rng(0).normal(size=(50, 3)).round(2)
    file.write_text(f"{name},b<svg/onload=x>,c&quot;\n" + "\n".join(f"{a},{b},{c}" for a, b, c in rows))
    result = pofx.compare({name: pofx.Gaussian(), "KDE": pofx.KDE()}, pofx.read(file))
    page = Page(render(result, title="x", source=str(file)))  # handle_starttag refuses handlers
    assert "img" not in page.tags
    assert name in page.text


def test_above_2000_rows_only_aggregates_are_drawn() -> None:
    rng = np.random.default_rng(0)
    for d in (1, 2, 3):
        few, many = (
            render(pofx.compare([pofx.Gaussian()], rng.normal(size=(n, d))), title="x") for n in (300, 2_500)
        )
        assert 'class="count"' in many or d == 1
        assert 'class="dots' not in many
        assert 'class="rug' not in many
        assert ('class="dots' if d > 1 else 'class="rug') in few


def test_200_columns_stay_small() -> None:
    x = np.random.default_rng(0).normal(size=(250, 200))
    names = [f"a rather long name of a column, number {j:03d}" for j in range(200)]
    import pandas as pd

    table = pofx.read(pd.DataFrame(x, columns=names))
    result = pofx.compare([pofx.Gaussian(covariance_type="diag"), pofx.KDE(), pofx.Histogram()], table)
    text = render(result, title="x")
    assert len(text.encode()) < 1_000_000
    assert "… and 140 more columns." in text


def test_weights_dropped_rows_and_what_was_set_aside_are_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "w.csv"
    lines = [
        f"{i},{a:.3f},{w}"
        for i, (a, w) in enumerate(zip(rng.normal(size=60), rng.integers(1, 4, 60), strict=True), 1)
    ]
    file.write_text("rownames,a,w\n" + "\n".join([*lines[:-1], "60,,2"]))
    table = pofx.read(file, weights="w", missing="drop")
    assert table.weights is not None
    result = pofx.compare([pofx.Gaussian(), pofx.KDE()], table, sample_weight=table.weights)
    page = Page(
        render(result, title="x", source=str(file), words=[str(file), "--weights", "w"], command="pofx")
    )
    for words in (
        f"Rows count by their weights, of sum {table.weights.sum():g}",
        "1 rows with missing values were left out" if table.dropped != 1 else "were left out",
        "rownames was set aside",
        f"pofx fit {file} --weights w --model gaussian -o w.pofx",
        f"score w.pofx {file} --weights w --missing drop",
    ):
        assert words in page.text, words


def test_commands_run_as_printed(faithful: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shlex

    from pofx.cli import main

    (tmp_path / "my rows.csv").write_bytes(faithful.read_bytes())
    monkeypatch.chdir(tmp_path)
    result = pofx.compare([pofx.Gaussian(), pofx.KDE()], pofx.read("my rows.csv"), random_state=3)
    text = render(result, title="x", source="my rows.csv", command="pofx")
    commands = [unescape(code) for code in re.findall(r"<pre>(.*?)</pre>", text)]
    assert [shlex.split(c)[1] for c in commands] == ["fit", "plot", "check", "score", "sample"]
    for command in commands:
        with pytest.raises(SystemExit) as end:
            main(shlex.split(command)[1:])
        assert end.value.code in (0, 1), command  # check may answer no
    assert pofx.load("my rows.pofx").log_density(result.data) == pytest.approx(
        result.best.log_density(result.data)
    )
    assert {p.name for p in tmp_path.iterdir()} >= {"my rows.png", "my rows-drawn.csv", "my rows-scores.csv"}


def test_how_pofx_is_started_is_found_out(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    import shutil
    import sys

    monkeypatch.setattr(sys, "prefix", str(root / ".venv"))
    monkeypatch.chdir(root)
    assert invocation() == "python3 go.py"
    monkeypatch.chdir(root / "tests")
    assert invocation() == "python3 ../go.py"
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name == "pofx" else None)
    assert invocation() == "pofx"
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert invocation() == f"{sys.executable} -m pofx"


# ---------------------------------------------------------------- the picture's record


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
