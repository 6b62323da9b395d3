"""What docs/flow.md prints runs, and its settings are those of the class."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import pofx

pytest.importorskip("zuko")


def test_the_code_runs(root: Path) -> None:
    page = (root / "docs" / "flow.md").read_text(encoding="utf-8")
    scope: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page, re.S)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/flow.md", "exec"), scope)


def test_its_settings_are_there(root: Path) -> None:
    page = (root / "docs" / "flow.md").read_text(encoding="utf-8")
    settings = inspect.signature(pofx.Flow).parameters
    for name in re.findall(r"`(\w+)=", page):
        assert name in settings, name
