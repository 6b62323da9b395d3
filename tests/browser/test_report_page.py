"""The report in a browser: accessible, silent on the network, and readable on every screen and on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx

Open = Callable[..., Any]
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def report(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every part: many findings, a mixture's table, a bandwidth curve, a failed model."""
    table = pofx.read(root / "examples" / "iris.csv", missing="drop")
    models = {
        "Gaussian": pofx.Gaussian(),
        "GaussianMixture": pofx.GaussianMixture(
            range(1, 4), covariance_type=["full", "tied"], random_state=0
        ),
        "KDE": pofx.KDE(),
        "Histogram": pofx.Histogram(smoothing=0),
        "broken": pofx.KDE(bounds={"Sepal.Length": (0, 1)}),
    }
    path = tmp_path_factory.mktemp("report") / "iris-report.html"
    return pofx.report(pofx.compare(models, table), path, source="iris.csv", command="pofx")


@pytest.fixture
def opened(chromium: Any, report: Path) -> Iterator[Open]:
    """Open a page in a window of its own; what it asked for is in ``page.asked``."""
    contexts = []

    def call(path: Path = report, **wishes: Any) -> Any:
        context = chromium.new_context(**{"viewport": {"width": 1100, "height": 900}, **wishes})
        contexts.append(context)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.goto(path.as_uri())
        return page

    yield call
    for context in contexts:
        context.close()


def violations(page: Any) -> list[tuple[str, str]]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, options={"resultTypes": ["violations", "passes"]}).response
    assert len(found["passes"]) > 10  # it has looked
    return [(rule["id"], rule["impact"]) for rule in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 390])
def test_axe_finds_nothing(opened: Open, scheme: str, width: int) -> None:
    size = {"width": width, "height": 900}
    page = opened(bypass_csp=True, color_scheme=scheme, viewport=size)  # the policy would keep axe out
    assert violations(page) == []


def test_axe_would_find_something(opened: Open, report: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    text = report.read_text(encoding="utf-8")
    bad.write_text(
        text.replace('lang="en"', "").replace("--muted: #5c6874", "--muted: #d0d4d8"), encoding="utf-8"
    )
    found = violations(opened(bad, bypass_csp=True))
    assert {"html-has-lang", "color-contrast"} <= {rule for rule, impact in found if impact in SERIOUS}


def test_nothing_is_asked_of_the_network_and_nothing_is_refused(opened: Open, report: Path) -> None:
    page = opened()
    page.wait_for_load_state("networkidle")
    assert page.asked == [report.as_uri()]
    assert page.complaints == []  # the page's own policy forbids nothing that it needs


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_page_is_never_wider_than_the_screen(opened: Open, width: int) -> None:
    page = opened(viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_pictures_are_pictures_without_a_style_sheet(opened: Open) -> None:
    page = opened(bypass_csp=True)
    page.evaluate("document.querySelectorAll('style').forEach(sheet => sheet.remove())")
    fills = page.evaluate(
        """Array.from(document.querySelectorAll('svg.plot path')).map(
            path => { const look = getComputedStyle(path);
                      return look.fill === 'rgb(0, 0, 0)' && look.fillOpacity === '1'; })"""
    )
    assert len(fills) > 100
    assert not any(fills)  # nothing is filled with black, which an SVG without style is
    wide = page.evaluate("Array.from(document.querySelectorAll('svg')).map(s => s.clientWidth)")
    assert max(wide) <= 700
    order = page.evaluate("Array.from(document.querySelectorAll('h1, h2, h3')).map(h => h.tagName)")
    assert order[0] == "H1"
    assert order.count("H1") == 1


def test_dark_is_dark(opened: Open) -> None:
    ground = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
    assert max(opened(color_scheme="dark").evaluate(ground)) < 60
    assert min(opened(color_scheme="light").evaluate(ground)) > 200


def test_print_is_short_and_shows_the_columns_that_a_click_would(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pofx.evaluate.comparison.Comparison._checked", lambda *what: None)
    rows = np.random.default_rng(0).normal(size=(60, 25)).round(3)
    path = pofx.report(pofx.compare([pofx.Gaussian(covariance_type="diag")], rows), tmp_path / "wide.html")
    page = opened(path)
    shown = "document.querySelector('details table').checkVisibility({contentVisibilityAuto: true})"
    assert not page.evaluate(shown)
    page.emulate_media(media="print")
    high = page.evaluate("document.querySelector('details').getBoundingClientRect().height")
    assert high > 300
    pdf = opened().pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") <= 12
