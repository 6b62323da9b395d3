"""How rows are held out and which models are tried, asked for on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    """Six visits of each of 30 patients, in the order of days, one of them with a missing value."""
    rng = np.random.default_rng(0)
    lines = ["patient,day,x,y,site"]
    for i in range(180):
        lines.append(f"{i // 6 + 100},{i},{rng.normal():.3f},{rng.normal():.3f},s{i % 3}")
    lines[8] = "101,7,,0.5,s1"
    path = tmp_path / "visits.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_groups_and_time_are_no_part_of_the_rows(run: Callable[..., Any], visits: Path) -> None:
    done = run("compare", visits, "--groups", "patient", "--models", "gaussian,kde", "--json")
    record = json.loads(done.out)
    assert record["columns"] == ["x", "y"]
    assert (record["rows"], record["folds"]) == (179, 5)
    assert "whole groups (30) together" in record["held_out"]
    assert set(record["run"]["seconds"]) == {"Gaussian", "KDE"}
    table = pofx.read(visits, columns=["patient", "x", "y"], missing="drop")
    models = [pofx.Gaussian(), pofx.KDE()]
    same = pofx.compare(models, table[:, [1, 2]], groups=table["patient"])
    by_name = {m["name"]: m["mean"] for m in record["models"]}
    assert by_name["KDE"] == same["KDE"].held_out.mean
    assert "it groups or orders the rows, as asked" in done.err
    words = ("compare", visits, "--drop", "patient", "--models", "gaussian,kde")
    for time in (("--time", "day"), ("--time",)):
        done = run(*words, *time)
        assert "asked of a fit to all before it, in 5 folds; the first 30 in time" in done.out
    assert run("compare", visits, "--time", "day", "--groups", "patient").code == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--groups", "site"), 3, "'site' holds no numbers (text"),
        (("--groups", "pateint"), 2, "Did you mean 'patient'?"),
        (("--groups", "patient", "--folds", "40"), 3, "at least 40 groups; there are 30"),
        (("--budget", "0"), 2, "--budget"),
        (("--models", "gaussian,forest"), 2, "forest"),
    ],
)
def test_what_cannot_be(
    run: Callable[..., Any], visits: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = run("compare", visits, *words)
    assert said in done.err
    assert done.code == code


def test_options_of_the_choice_go_with_the_choice(run: Callable[..., Any], visits: Path) -> None:
    done = run("fit", visits, "--model", "kde", "--groups", "patient", "-o", "k.pofx")
    assert done.code == 2
    assert "--groups is about choosing a model" in done.err
    done = run("fit", visits, "--groups", "patient", "--models", "gaussian,kde", "-o", "best.pofx")
    assert done.code == 0
    assert pofx.load("best.pofx").n_features_in_ == 2


def test_a_known_world_brings_its_truth(run: Callable[..., Any]) -> None:
    done = run("compare", "world:moons,n=200", "--models", "kde")
    assert "the truth, known" in done.out
    assert "The truth itself gives" in done.out
    one = run("compare", "world:moons,n=200", "--models", "kde", "--columns", "0")
    assert one.code == 0
    assert "the truth" not in one.out


def test_all_models_are_the_list_and_what_is_installed() -> None:
    from pofx.auto import candidates
    from pofx.models.registry import BUILT_IN, model_names

    usual, everything = candidates(), candidates(everything=True)
    assert list(usual) == ["Gaussian", "GaussianMixture", "KDE", "Histogram"]
    assert list(everything) == [*usual, *(name for name in model_names() if name not in BUILT_IN)]


def test_a_budget_is_said(run: Callable[..., Any], visits: Path) -> None:
    done = run("compare", visits, "--models", "gaussian,kde,histogram", "--budget", "0.000001")
    assert done.code == 0
    assert "not tried: the budget of 1e-06 s was spent" in done.out
