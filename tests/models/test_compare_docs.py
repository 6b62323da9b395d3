"""What docs/compare.md prints runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pofx.auto import MOST_ROWS, candidates
from pofx.evaluate.race import FAR, MANY


def test_the_code_runs_and_the_numbers_are_those_of_the_code(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (root / "docs" / "compare.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 1
    exec(compile(blocks[0], "docs/compare.md", "exec"), {})
    assert "the truth, known" in capsys.readouterr().out
    assert f"Of more than {MOST_ROWS:,} rows" in page
    assert (MANY, FAR) == (8, 5.0)
    assert "more than eight models" in page
    assert "more than five paired standard errors" in page
    assert all(f"`{name}()`" in page for name in candidates())
