"""What the documentation prints is what the tests run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_on_adding_a_model_prints_the_plugin_that_is_tested():
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    plugin = ROOT / "tests" / "plugin_example"
    assert (plugin / "pofx_laplace.py").read_text(encoding="utf-8") in page
    lines = (plugin / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    assert next(line for line in lines if line.startswith("Laplace")) in page
