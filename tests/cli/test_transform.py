"""``--transform`` of ``pofx fit`` and ``pofx compare``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx


@pytest.fixture
def people(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 2))
    lines = ["income,age,share"] + [
        f"{np.exp(7 + a):.2f},{round(np.exp(2 + b))},{1 / (1 + np.exp(-3 * a - b)):.2f}" for a, b in z
    ]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_fit_writes_a_model_whose_draws_keep_the_bounds(run: Callable[..., Any], people: Path) -> None:
    out = people.with_name("m.pofx")
    words = ("--transform", "income=log", "--transform", "age=0:,share=0:1")
    done = run("fit", people, "--model", "gaussian", *words, "-o", out, "--json")
    record = json.loads(done.out)
    assert record["hyperparameters"]["bijection"] == {"income": "log", "age": [0, None], "share": [0, 1]}
    model = pofx.load(out)
    table = pofx.read(people)
    same = pofx.Transformed(pofx.Gaussian(), {"income": "log", "age": (0, None), "share": (0, 1)}).fit(table)
    np.testing.assert_array_equal(model.log_density(table), same.log_density(table))
    drawn = np.asarray(model.sample(2000, random_state=0).values)
    assert (drawn >= 0).all()
    assert drawn[:, 2].max() <= 1


def test_compare_maps_every_candidate(run: Callable[..., Any], people: Path) -> None:
    words = ("--models", "gaussian,histogram", "--transform", "income=log", "--transform", "share=0:1")
    record = json.loads(run("compare", people, *words, "--json").out)
    means = {m["name"]: m["mean"] for m in record["models"]}
    assert means["Gaussian"] > means["Gaussian (added)"] + 0.5  # the one that is added is plain
    assert "Gaussian: 6 fits" in run("compare", people, *words, "--plan").out


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("income=5", "needs income=log, income=logit or income=LOW:HIGH"),
        ("income=:", "has no bound"),
        ("share=1:0", "the lower bound comes first"),
        ("share=log,share=0:1", "names share twice"),
        ("share", "column=value"),
        ("incom=log", "Did you mean 'income'?"),
        ("age=10:", "expected >= 10"),
    ],
)
def test_wrong_words(run: Callable[..., Any], people: Path, word: str, says: str) -> None:
    done = run("fit", people, "--model", "gaussian", "--transform", word, "-o", people.with_name("m.pofx"))
    assert done.code in (2, 3)
    assert says in done.err
    assert not people.with_name("m.pofx").exists()
