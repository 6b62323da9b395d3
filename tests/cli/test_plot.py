"""``pofx plot``: groups, bands, masses and residual maps, asked for on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pofx

Run = Callable[..., Any]

HEAD = "length,width,kind\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows of two kinds; two of them have gaps."""
    rows = pofx.worlds.correlated().sample(40, random_state=0)
    lines = [f"{a:.3f},{b:.3f},{'long' if a > 0 else 'short'}" for a, b in rows]
    lines[3], lines[20] = ",1.0,gone", "2.0,,gone"
    (tmp_path / "rows.csv").write_text(HEAD + "\n".join(lines) + "\n")
    return tmp_path / "rows.csv"


@pytest.fixture
def model(data: Path, tmp_path: Path) -> Path:
    rows = pofx.read(data, columns=["length", "width"], missing="drop")
    pofx.Gaussian().fit(rows).save(tmp_path / "g.pofx")
    return tmp_path / "g.pofx"


def record(done: Any) -> dict[str, Any]:
    assert done.code == 0, done.err
    return dict(json.loads(done.out))


def marks(figure: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [m for panel in figure["panels"] for m in panel["marks"] if m["kind"] == kind]


def test_by_colours_rows_by_the_words_of_a_column(run: Run, data: Path, model: Path) -> None:
    done = run("plot", model, data, "--by", "kind", "--json")
    groups = marks(record(done), "points")
    assert [g["label"] for g in groups] == ["long", "short"]
    assert all(
        x > 0 for x in groups[0]["x"]
    )  # each word stayed with its row when rows with gaps were dropped
    assert all(x < 0 for x in groups[1]["x"])
    assert sum(len(g["x"]) for g in groups) == 38
    assert "left out, because values are missing: 2 rows" in done.err
    by_number = record(run("plot", model, data, "--by", "2", "--json"))
    assert marks(by_number, "points") == groups


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--by", "kinds"], "Did you mean 'kind'"),
        (["--band", "2"], "band"),
        (["--levels", "half"], "expected masses, as in .5,.8,.95"),
        (["--kind", "residual"], "Did you mean 'residuals'"),
    ],
)
def test_what_cannot_be_is_told(run: Run, data: Path, model: Path, words: list[str], told: str) -> None:
    done = run("plot", model, data, "--show", "0", *words, "--json")
    assert done.code in (2, 3)
    assert told in done.err


def test_by_needs_one_file(run: Run, data: Path, model: Path) -> None:
    assert "name one file" in run("plot", model, "-", "--by", "kind", "--json").err
    assert run("plot", model, data, data, "--by", "kind", "--json").code == 2


def test_band_levels_and_residuals(run: Run, data: Path, model: Path, tmp_path: Path) -> None:
    [band] = marks(record(run("plot", model, "--show", "length", "--band", ".9", "--json")), "band")
    assert band["mass"] == 0.9
    [some] = marks(record(run("plot", model, data, "--levels", ".393,.865", "--json")), "regions")
    assert some["masses"] == [0.865, 0.393]
    [three] = marks(record(run("plot", model, data, "--levels", "3", "--json")), "regions")
    assert three["masses"] == [0.75, 0.5, 0.25]
    [shades] = marks(record(run("plot", model, data, "--fill", "--levels", "12", "--json")), "shades")
    assert shades["levels"] == 12
    done = run("plot", model, data, "--kind", "residuals", "-o", "r.svg")
    assert done.code == 0
    assert "over 3 fewer" in (tmp_path / "r.svg").read_text(encoding="utf-8")
