"""The scripts of examples/lecture as modules."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def script(root: Path) -> Callable[[str], ModuleType]:
    """Return a script of examples/lecture by name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(
            f"lecture_{name}", root / "examples" / "lecture" / f"{name}.py"
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses and NamedTuple look
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(autouse=True)
def _pyplot_is_put_away() -> Iterator[None]:
    """Scripts and pages draw through pyplot, which every later ``pofx.plot`` of the process would join."""
    there = "matplotlib.pyplot" in sys.modules
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
        if not there:
            del sys.modules["matplotlib.pyplot"]
