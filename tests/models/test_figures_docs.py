"""What docs/figures.md shows runs, and its pictures are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pofx.show.kinds import KINDS


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs" / "figures.md").read_text(encoding="utf-8")


def test_the_code_runs_and_makes_the_pictures(
    root: Path, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "faithful.csv").write_bytes((root / "examples/faithful.csv").read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.S):
        exec(compile(block, "docs/figures.md", "exec"), names)
    assert "the smallest regions that hold 50, 80 and 95 % of the mass" in capsys.readouterr().out
    shown = set(re.findall(r"\(figures/(\w+\.png)\)", page))
    assert len(shown) == 8
    assert {path.name for path in tmp_path.glob("*.png")} == shown | {"mine.png"}
    here = {path.name: path.stat().st_size for path in (root / "docs" / "figures").iterdir()}
    assert set(here) == shown
    assert sum(here.values()) < 300_000


def test_every_kind_of_mark_is_described(page: str) -> None:
    for kind, cls in KINDS.items():
        [row] = re.findall(rf"^\| `{kind}` \| `(.*?)`", page, re.M)
        fields = set(cls.__dataclass_fields__) - {"kind", "label", "role", "series"}  # type: ignore[attr-defined]
        assert set(row.split(", ")) == fields
