"""What docs/transformed.md prints runs."""

from __future__ import annotations

import doctest
from pathlib import Path


def test_the_page_runs(root: Path) -> None:
    found = doctest.testfile(
        str(root / "docs" / "transformed.md"),
        module_relative=False,
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert found.attempted >= 20
    assert found.failed == 0
