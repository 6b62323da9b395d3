"""Groups on the command line: from a file with text to samples and scores with text."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROWS = 200


@pytest.fixture
def people(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "people.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "sex", "note", "age", "hours"])
        for i in range(ROWS):
            sex = ("Female", "Male")[int(rng.random() < 0.6)]
            out.writerow([i, sex, "-", round(40 + 9 * rng.normal()), f"{40 + 5 * rng.normal():.1f}"])
    return path


def test_fit_sample_and_score(run: Any, people: Path) -> None:
    model = people.with_suffix(".pofx")
    made = run("fit", people, "--model", "gaussian", "--by", "sex", "-o", model)
    assert made.code == 0, made.err
    assert "sex    text     2 levels" in made.err
    assert "2 groups of 'sex', each a Gaussian" in made.err
    drawn = run("sample", model, "-n", "50", "--seed", "1")
    rows = list(csv.DictReader(io.StringIO(drawn.out)))
    assert list(rows[0]) == ["sex", "age", "hours"]
    assert {row["sex"] for row in rows} == {"Female", "Male"}
    assert all("." not in row["age"] and len(row["hours"].partition(".")[2]) == 1 for row in rows)
    record = json.loads(run("sample", model, "-n", "3", "--seed", "1", "--json").out)
    assert [row[0] for row in record["rows"]] == [
        row["sex"] for row in csv.DictReader(io.StringIO(run("sample", model, "-n", "3", "--seed", "1").out))
    ]
    scored = list(csv.DictReader(io.StringIO(run("score", model, people).out)))
    assert len(scored) == ROWS
    assert all(np.isfinite(float(row["log_density"])) for row in scored)
    assert run("plot", model, people, "-o", people.with_suffix(".svg")).code == 0


def test_a_level_never_seen_and_a_small_group(run: Any, people: Path) -> None:
    model = people.with_suffix(".pofx")
    run("fit", people, "--model", "gaussian", "--by", "sex", "-o", model)
    other = people.with_name("other.csv")
    other.write_text("sex,age,hours\nMale,30,40.0\nMail,31,41.0\n")
    found = run("score", model, other)
    assert found.code == 3
    assert "'Mail' in row 1" in found.err
    assert "Did you mean 'Male'?" in found.err
    people.write_text(people.read_text() + "999,Other,-,40,40.0\n")
    small = run("fit", people, "--model", "gaussian", "--by", "sex", "-o", model, "--force")
    assert small.code == 3
    assert "The group sex = 'Other' cannot be fitted" in small.err
    pooled = run(
        "fit", people, "--model", "gaussian", "--by", "sex", "--small", "pool", "-o", model, "--force"
    )
    assert pooled.code == 0
    assert "takes the density of all levels" in pooled.err


def test_wrong_use(run: Any, people: Path) -> None:
    model = people.with_suffix(".pofx")
    assert run("fit", people, "--small", "pool", "-o", model).code == 2
    assert run("fit", people, "--by", "sex", "--groups", "age", "-o", model).code == 2
    missing = run("fit", people, "--by", "sexx", "--model", "gaussian", "-o", model)
    assert missing.code == 2 or missing.code == 3
    assert "Did you mean 'sex'?" in missing.err


def test_numbers_count_columns_of_the_file(run: Any, people: Path) -> None:
    bare = people.with_name("bare.csv")
    bare.write_text(people.read_text().partition("\n")[2])
    model = people.with_suffix(".pofx")
    made = run(
        "fit", bare, "--no-header", "--model", "gaussian", "--by", "1", "--columns", "3,4", "-o", model
    )
    assert made.code == 0, made.err
    assert run("sample", model, "-n", "1", "--seed", "0").out.split(",")[0] in ("Female", "Male")
