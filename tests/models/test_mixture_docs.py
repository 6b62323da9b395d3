"""What docs/mixture.md prints runs, and it names every structure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pofx
from pofx.models.mixture.structures import STRUCTURES


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "mixture.md").read_text(encoding="utf-8")


def test_the_code_runs_and_says_what_the_page_says(
    page: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    scope: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/mixture.md", "exec"), scope)
    assert capsys.readouterr().out.startswith("3 tied\n")


def test_every_structure_and_method_is_named_and_exists(page: str) -> None:
    for s in STRUCTURES:
        assert f"| {s.mclust} |" in page
    for name in re.findall(r"`([a-z_]+)(?:\([^`]*\))?`", page.split("## Uses")[1].split("## Pitfalls")[0]):
        assert hasattr(pofx.GaussianMixture, name) or name == "prior"
