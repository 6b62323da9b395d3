"""What the tests of the command line share: an empty folder to run it in, two models that fit quickly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pofx.cli import main


class Done(NamedTuple):
    """How a run of the command line ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Run ``pofx WORDS`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Done:
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        caught = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        assert "Traceback" not in caught.err
        return Done(stop.value.code, caught.out, caught.err)

    return call


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``auto``, ``compare`` and ``report`` try two models that fit in no time."""
    import pofx

    def two(random_state: Any = None) -> dict[str, Any]:
        return {"Gaussian": pofx.Gaussian(), "Histogram": pofx.Histogram()}

    monkeypatch.setattr("pofx.auto.candidates", two)
