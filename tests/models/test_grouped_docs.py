"""What docs/grouped.md prints runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_the_code_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (root / "docs" / "grouped.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 4
    space: dict[str, object] = {}
    for block in blocks:  # each goes on from the one before
        exec(compile(block, "docs/grouped.md", "exec"), space)
    out = capsys.readouterr().out
    assert "['Female' 'Male']" in out
    assert "tied=True" in out  # one covariance made these rows
    assert "The group sex = 'unknown' cannot be fitted: it has 1 different row, fewer than 3." in out
    assert "sex = 'unknown': takes the density of all levels." in out
