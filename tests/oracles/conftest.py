"""What several oracles share."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def columns(root: Path) -> dict[str, np.ndarray]:
    here = Path(__file__).with_name("columns.py")
    spec = importlib.util.spec_from_file_location("columns", here)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    geyser = np.loadtxt(root / "examples" / "faithful.csv", delimiter=",", skiprows=1)
    galaxies = np.loadtxt(root / "examples" / "galaxies.csv", delimiter=",", skiprows=1)[:, 1] / 1000.0
    galaxies[77] = 26.960  # 26690 in the file is a known slip of the pen
    return {
        "precip": module.PRECIP,
        "eruptions": geyser[:, 1],
        "waiting": geyser[:, 2],
        "galaxies": galaxies,
        "acidity": module.ACIDITY,
    }
