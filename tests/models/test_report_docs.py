"""What docs/report.md prints runs, and it names every part of the JSON."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pofx.show.sections.worst_pair import ALL_PAIRS_UP_TO, WRONG_COLUMNS, WRONG_PAIRS


def test_the_code_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (root / "docs" / "report.md").read_text(encoding="utf-8")
    (tmp_path / "examples").mkdir()
    shutil.copy(root / "examples" / "faithful.csv", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "pofx.evaluate.comparison.Comparison._checked", lambda *what: None
    )  # seconds, and not the point
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(compile(block, "docs/report.md", "exec"), names)
    assert (tmp_path / "faithful-report.html").stat().st_size < 1_000_000
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "KDE None"
    assert lines[1].startswith("KDE ")


def test_the_page_names_what_there_is(root: Path) -> None:
    page = (root / "docs" / "report.md").read_text(encoding="utf-8")
    schema = json.loads((root / "src/pofx/show/report.schema.json").read_text(encoding="utf-8"))
    for key in set(schema["properties"]) - {"schema", "title"}:
        assert f"| `{key}` |" in page, key
    pairs = WRONG_PAIRS + WRONG_COLUMNS * (WRONG_COLUMNS - 1) // 2
    assert f"Up to {ALL_PAIRS_UP_TO} columns every pair is measured" in page
    assert f"{pairs} at most" in page
