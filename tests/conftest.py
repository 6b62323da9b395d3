"""What every test may rely on: reproducible hypothesis runs, no window, the repository's root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["MPLBACKEND"] = "Agg"

# The same examples in every run: a failure on one machine is a failure on all.
settings.register_profile(
    "pofx", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pofx")


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def faithful(root: Path) -> Path:
    """The path of Old Faithful: 272 rows, columns rownames, eruptions, waiting."""
    return root / "examples" / "faithful.csv"
