"""What docs/kde.md prints runs, and its table of units is right."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pofx import KDE
from pofx.maths.bandwidth import RULES


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "kde.md").read_text(encoding="utf-8")


def test_the_code_runs(page: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    scope: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block, "docs/kde.md", "exec"), scope)


def test_every_rule_and_engine_is_named(page: str) -> None:
    for name in RULES:
        assert f"`{name}`" in page
    for engine in ("naive", "tiles", "nufft", "moments"):
        assert f"| {engine} |" in page


def test_scipys_factor() -> None:
    from scipy.stats import gaussian_kde

    x = np.random.default_rng(0).standard_normal((90, 2)) @ [[2.0, 1.0], [0.0, 0.3]]
    theirs = gaussian_kde(x.T, bw_method=0.4)
    ours = KDE(0.4**2 * np.cov(x.T)).fit(x)
    np.testing.assert_allclose(ours.log_density(x), theirs.logpdf(x.T), atol=1e-10)
    one = gaussian_kde(x[:, 0], bw_method=0.4)
    np.testing.assert_allclose(
        KDE(0.4 * x[:, 0].std(ddof=1)).fit(x[:, 0]).log_density(x[:, 0]), one.logpdf(x[:, 0]), atol=1e-10
    )


def test_widths_of_mass_are_four_standard_deviations(faithful: Path) -> None:
    # R 4.2.2, MASS: width.SJ(eruptions, method = "dpi") = 0.6610911141, bw.SJ of the same 0.1652727785.
    eruptions = np.loadtxt(faithful, delimiter=",", skiprows=1)[:, 1]
    h = KDE("direct_plug_in").fit(eruptions).bandwidth_[0]
    assert h == pytest.approx(0.6610911141 / 4.0, rel=2e-3)
