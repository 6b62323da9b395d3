"""What docs/alarms.md prints runs."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest
from scipy import stats


def test_the_code_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (root / "docs" / "alarms.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/alarms.md", "exec"), {})
    out = capsys.readouterr().out
    assert "in 299 rows; expected at most 2.98" in out
    assert "1 row could not be scored" in out
    assert "needs 999 calibration rows; there are 300" in out


def test_its_numbers(root: Path) -> None:
    page = (root / "docs" / "alarms.md").read_text(encoding="utf-8")
    low, high = stats.beta(4, 397).ppf([0.025, 0.975])
    assert f"between {100 * low:.1f} % and {100 * high:.1f} % in 95 of 100" in page


@pytest.mark.parametrize("name", ["alarms", "calibrate"])
def test_the_docstrings_run(name: str) -> None:
    done = doctest.testmod(importlib.import_module(f"pofx.evaluate.{name}"))
    assert done.attempted
    assert not done.failed
