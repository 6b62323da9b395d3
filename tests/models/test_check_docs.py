"""What docs/check.md prints runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_the_code_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (root / "docs" / "check.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/check.md", "exec"), {})
    out = capsys.readouterr().out
    assert "does not agree with the rows (p = 0.004)" in out
    assert out.endswith("known False\n")
