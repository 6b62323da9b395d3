"""What docs/differ.md prints runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_the_code_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (root / "docs" / "differ.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/differ.md", "exec"), {})
    out = capsys.readouterr().out
    assert out.startswith("same\njanuary (800 rows) and april (800 rows): differ\n")
    last = re.search(r"(\S+)\n$", out)
    assert last
    assert float(last.group(1)) == pytest.approx(1.0, abs=0.2)
