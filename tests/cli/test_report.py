"""The report: its page read as a browser would, what it says, and what it must never hold."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx
from pofx.errors import FileError
from pofx.evaluate.compare import Comparison
from pofx.show import report as report_module
from pofx.show.cards import Judged
from pofx.show.next_steps import invocation, next_steps
from pofx.show.report import html, is_ours, record, render, tell
from pofx.show.sections.card import make_card
from pofx.show.sections.told import Told
from pofx.show.sections.verdict import verdict

VERBS = {"fit", "plot", "check", "score", "sample"}
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


@pytest.fixture(scope="module")
def told(result: Comparison) -> Told:
    """The report as the command line makes it, checks included."""
    return tell(result, title="x", source="dir/faithful.csv", command="pofx")


@pytest.fixture(scope="module")
def page(told: Told) -> str:
    return html(told)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the checks out, which take seconds, where a test is about something else."""
    monkeypatch.setattr("pofx.evaluate.comparison.Comparison._checked", lambda *what: None)


def test_page_says_what_there_is_to_say(result: Comparison, page: str) -> None:
    read = Page(page)
    for words in (
        "faithful.csv", "272 rows", "eruptions", "waiting", "whole numbers", "3 decimals",
        "rownames was set aside", "Use KDE.", "Gaussian", "Histogram", "use this", "How this was computed",
        f"pofx {pofx.__version__}", "pofx fit dir/faithful.csv --model kde -o faithful.pofx",
        "pofx sample faithful.pofx -n 1000", "What to know about these rows", "s.e.", "geometric mean",
        "seed 0", "each held out once in 5 folds", "On 272 held-out rows", "smallest",
    ):  # fmt: skip
        assert words in read.text, words
    entry = result["Gaussian"]
    assert f"{entry.held_out.mean:.3f}".replace("-", "−") in read.text
    assert f"± {entry.difference_error:.3f}" in read.text
    assert read.text.count("Where it fails:") == 3
    # contours, residuals and calibration of each, and the bandwidth curve
    assert page.count('<svg class="plot"') == 10


def test_page_needs_no_network_and_runs_nothing(page: str) -> None:
    read = Page(page)
    assert not read.tags & {"script", "link", "iframe", "img", "object", "embed", "form", "base"}
    assert all(address.startswith("#") for address in read.addresses)
    assert "http" not in page.replace("http-equiv", "")
    assert "@import" not in page
    assert "url(" not in page
    assert len(page.encode()) < 1_000_000


def test_same_result_same_bytes_and_no_clock(told: Told, page: str) -> None:
    assert html(told) == page
    assert not re.search(r"\b20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", page)


def test_same_bytes_whatever_the_threads_and_the_hashes(root: Path) -> None:
    code = """
import sys, pofx
from pofx.cli.output import json_text
from pofx.show.report import html, record, tell
rows = pofx.read("examples/iris.csv", missing="drop")
told = tell(pofx.compare([pofx.Gaussian(), pofx.KDE()], rows), title="x", command="pofx")
sys.stdout.write(html(told) + json_text(record(told)))"""
    runs = []
    for threads, hashes in (("1", "0"), ("3", "12345")):
        here = {**os.environ, "POFX_NUM_THREADS": threads, "PYTHONHASHSEED": hashes}
        here["PYTHONPATH"] = str(Path(pofx.__file__).parents[1])
        runs.append(
            subprocess.Popen([sys.executable, "-c", code], cwd=root, env=here, stdout=subprocess.PIPE)
        )
    one, other = (run.communicate()[0] for run in runs)
    assert b"</html>" in one
    assert one == other


@pytest.mark.usefixtures("unchecked")
def test_hostile_names_stay_text(tmp_path: Path) -> None:
    name = '<script>alert("1")</script> & "$x^2$'
    file = tmp_path / "a<b>&.csv"
    rows = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    file.write_text("b," + '"' + name.replace('"', '""') + '"\n' + "\n".join(f"{a},{b}" for a, b in rows))
    result = pofx.compare([pofx.Gaussian()], pofx.read(file))
    page = Page(render(result, title="x", source=str(file)))
    assert "script" not in page.tags
    assert name in page.text


@pytest.mark.usefixtures("unchecked")
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


@pytest.mark.usefixtures("unchecked")
def test_report_of_rows_compares_the_candidates(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 1))
    page = Page(pofx.report(rows, tmp_path / "rows.html").read_text(encoding="utf-8"))
    for name in ("Gaussian", "GaussianMixture", "KDE", "Histogram", "column 0"):
        assert name in page.text


@pytest.mark.usefixtures("unchecked")
def test_doubts_of_the_fits_are_told() -> None:
    rows = np.append(np.random.default_rng(0).normal(size=50), 1e4)
    with pytest.warns(pofx.errors.PofxWarning):
        result = pofx.compare([pofx.KDE("scott")], rows)
    page = Page(render(result, title="x"))
    assert "of 5 fits)" in page.text


@pytest.mark.usefixtures("unchecked")
def test_failures_and_impossible_rows_are_told() -> None:
    rows = np.random.default_rng(0).normal(size=(8, 9))
    result = pofx.compare(
        [pofx.Gaussian(), pofx.Gaussian(covariance_type="diag"), pofx.Histogram(smoothing=0)], rows
    )
    page = Page(render(result, title="x"))
    assert "failed" in page.text
    assert "8 of 8 rows in empty cells" in page.text
    assert "nan" not in page.text.lower()


def test_verdict_is_argued_by_its_numbers(result: Comparison, told: Told, page: str) -> None:
    box = Page(re.search(r'<section class="verdict.*?</section>', page, re.S).group(0)).text  # type: ignore[union-attr]
    assert result.gain is not None
    assert f"{np.exp(result.gain.nats):.1f} times as likely" in box
    assert f"{result.gain.nats:.3f} ± {result.gain.standard_error:.3f} nats per row" in box
    second = result.table[1]
    assert f"{-second.difference:.3f} ± {second.difference_error:.3f} more per row" in box
    assert "waiting is recorded in whole numbers" in box  # a finding that the reader must know
    assert told.best is not None
    assert told.best.judged.verdict is not None
    assert f"“{told.best.judged.verdict.word}”" in box
    assert len(verdict(told).sentences) == 3


@pytest.mark.usefixtures("unchecked")
def test_where_no_model_is_adequate_the_verdict_says_it_first(result: Comparison) -> None:
    class Hopeless(Comparison):
        adequate = False

    kept = {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    page = Page(render(Hopeless(**kept), title="x"))
    assert page.text.index("No model here is adequate.") < page.text.index("The best of them is KDE.")
    assert "Use KDE." not in page.text
    assert "use this" not in page.text


@pytest.mark.usefixtures("unchecked")
def test_faithful_says_two_or_three_components(faithful: Any) -> None:
    models = [pofx.GaussianMixture(range(1, 5), covariance_type=["full", "tied"], random_state=0)]
    page = Page(render(pofx.compare(models, pofx.read(faithful)), title="x"))
    assert "Two or three components, not one: BIC (smaller is better) is 2,314.3" in page.text


@pytest.mark.usefixtures("unchecked")
def test_hostile_file_and_column_names(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    file = tmp_path / f"{name}.csv"
    rows = np.random.default_rng(0).normal(size=(50, 3)).round(2)
    file.write_text(f"{name},b<svg/onload=x>,c&quot;\n" + "\n".join(f"{a},{b},{c}" for a, b, c in rows))
    result = pofx.compare({name: pofx.Gaussian(), "KDE": pofx.KDE()}, pofx.read(file))
    page = Page(render(result, title="x", source=str(file)))  # handle_starttag refuses handlers
    assert "img" not in page.tags
    assert name in page.text


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("d", [1, 2, 3])
def test_above_2000_rows_only_aggregates_are_drawn(d: int) -> None:
    rng = np.random.default_rng(0)
    few, many = (
        render(pofx.compare([pofx.Gaussian()], rng.normal(size=(n, d))), title="x") for n in (300, 2_500)
    )
    assert 'class="count"' in many or d == 1
    assert 'class="dots' not in many
    assert 'class="rug' not in many
    assert ('class="dots' if d > 1 else 'class="rug') in few


@pytest.mark.parametrize("d", [1, 3])
def test_without_points_no_row_is_in_the_file(d: int) -> None:
    rows = np.random.default_rng(0).normal(size=(120, d)).round(5)
    rows[:, 0] = rows[:, 0] ** 3  # not Gaussian: there is much to point at
    result = pofx.compare([pofx.Gaussian(), pofx.Histogram()], rows)
    told = tell(result, title="x", points=False)
    for text in (html(told), str(record(told))):
        assert 'class="dots' not in text
        assert 'class="rug' not in text
        found = set(re.findall(r"\d+\.\d{4,}", text))
        quoted = np.array([[f"{abs(v):.5f}".rstrip("0") in found for v in row] for row in rows])
        # five quantiles of a column may be values of it; a row is never there as a whole
        assert quoted.sum(axis=0).max() <= 6
        assert d == 1 or not quoted.all(axis=1).any()


@pytest.mark.usefixtures("unchecked")
def test_no_file_is_larger_than_promised(result: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = len(render(result, title="x").encode())
    most = whole - 15_000
    monkeypatch.setattr(report_module, "MOST_BYTES", most)
    text = render(result, title="x")
    assert len(text.encode()) <= most
    assert text.count("pictures were left out") >= 1
    assert '<svg class="plot"' in text  # the best model keeps its own
    assert Page(text).text.count("Where it fails:") == 3


@pytest.mark.usefixtures("unchecked")
def test_names_of_any_length_are_cut() -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=[letter * 100_000 for letter in "abc"])
    text = render(pofx.compare([pofx.Gaussian()], frame), title="t", source="s" * 100_000)
    assert len(Page(text).text) < 30_000


@pytest.mark.usefixtures("unchecked")
def test_200_columns_stay_small() -> None:
    x = np.random.default_rng(0).normal(size=(250, 200)).round(4)
    names = [f"a rather long name of a column, number {j:03d}" for j in range(200)]
    import pandas as pd

    table = pofx.read(pd.DataFrame(x, columns=names))
    result = pofx.compare([pofx.Gaussian(covariance_type="diag"), pofx.KDE(), pofx.Histogram()], table)
    text = render(result, title="x")
    assert len(text.encode()) < 1_000_000
    assert "… and 140 more columns." in text
    assert "<summary>The 200 columns, one by one</summary>" in text


@pytest.mark.usefixtures("unchecked")
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


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", ["kde", "mixture"])
def test_commands_run_as_printed(
    faithful: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from pofx.cli import main

    (tmp_path / "my rows.csv").write_text("\n".join(faithful.read_text().splitlines()[:101]) + "\n")
    monkeypatch.chdir(tmp_path)
    table = pofx.read("my rows.csv", columns=["waiting"] if kind == "mixture" else None)
    model = pofx.GaussianMixture(random_state=3) if kind == "mixture" else pofx.KDE()
    result = pofx.compare([pofx.Gaussian(), model], table, random_state=3)
    assert result.best.__class__ is model.__class__
    words = ["my rows.csv", *(["--columns", "waiting"] if kind == "mixture" else [])]
    text = render(result, title="x", source="my rows.csv", words=words, command="pofx")
    commands = [unescape(code) for code in re.findall(r"<pre>(.*?)</pre>", text)]
    looked = ["plot"] * (2 if kind == "mixture" else 1)
    assert [shlex.split(c)[1] for c in commands] == ["fit", *looked, "check", "score", "sample"]
    for command in commands:
        with pytest.raises(SystemExit) as end:
            main(shlex.split(command)[1:])
        assert end.value.code in (0, 1), command  # check may answer no
    assert pofx.load("my rows.pofx").log_density(result.data) == pytest.approx(
        result.best.log_density(result.data)
    )
    made = {"my rows.png", "my rows-drawn.csv", "my rows-scores.csv"}
    made |= {"my rows-search.png"} if kind == "mixture" else set()
    assert {path.name for path in tmp_path.iterdir()} >= made


@pytest.mark.usefixtures("unchecked", "quick")
def test_commands_leave_out_the_column_that_groups_rows(run: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.3f},{k % 12}" for k, (a, b) in enumerate(rng.normal(size=(60, 2)))]
    (tmp_path / "sites.csv").write_text("a,b,site\n" + "\n".join(lines) + "\n")
    assert run("report", "sites.csv", "--groups", "site", "--folds", 3).code == 0
    text = (tmp_path / "sites-report.html").read_text(encoding="utf-8")
    for code in re.findall(r"<pre>(.*?)</pre>", text):
        words = shlex.split(unescape(code))
        done = run(
            *words[[word in ("fit", "plot", "check", "score", "sample") for word in words].index(True) :]
        )
        assert done.code in (0, 1), (code, done.err)
    assert pofx.load(tmp_path / "sites.pofx").feature_names_in_.tolist() == ["a", "b"]


def test_a_stack_is_kept_by_choosing_again() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    result = pofx.compare({"Stack": pofx.Stack([pofx.Gaussian(), pofx.Histogram()])}, rows)
    asked = (result, "x.csv", ["x.csv", "--drop", "g"], "pofx")
    steps = next_steps(*asked, ["x.csv", "--groups", "g"])
    assert steps[0][1] == "pofx fit x.csv --groups g -o x.pofx"
    assert steps[1][1] == "pofx plot x.pofx x.csv --drop g -o x.png"
    assert "pofx" not in next_steps(*asked)[0][1].split()  # in Python
    made = make_card(result, Judged(result.table[0], result.best, None)).own
    assert made is not None
    assert made.made.startswith("A mixture of ")
    assert "Gaussian" in made.made


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
