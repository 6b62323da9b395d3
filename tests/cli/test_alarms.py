"""``pofx fit`` keeps a calibration, and ``pofx score --alarm`` its promise, without the training data."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pofx

Run = Callable[..., Any]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


MIXTURE = pofx.GaussianMixture(2, covariance_type="full")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    path = tmp_path_factory.mktemp("saved") / "m.pofx"
    pofx.calibrate(MIXTURE, pofx.read(root / "examples" / "faithful.csv")).save(path)
    return path


@pytest.fixture
def model(saved: Path, tmp_path: Path) -> str:
    shutil.copy(saved, tmp_path / "m.pofx")
    return "m.pofx"


def test_fit_keeps_what_alarms_rest_on(run: Run, model: str, faithful: Path) -> None:
    words = ("--model", "mixture", "--components", "2", "--covariance", "full", "-o", "n.pofx")
    done = run("fit", faithful, *words)
    assert done.code == 0, done.err
    assert "Calibrated on 272 rows held out in 5 folds" in done.err
    rows = pofx.read(faithful)
    one, other = pofx.load("n.pofx").rarity(rows), pofx.load(model).rarity(rows)
    np.testing.assert_array_equal(one.rarity, other.rarity)


def test_one_row_out_per_row_in_with_alarms(run: Run, model: str, faithful: Path, tmp_path: Path) -> None:
    rows = faithful.read_text().splitlines()[:31]
    assert rows[0] == '"rownames","eruptions","waiting"' or rows[0] == "rownames,eruptions,waiting"
    rows += ["31,9.9,20", "32,,70", "33,abc,70", "34,inf,70", "35,4.5,-999"]
    (tmp_path / "feb.csv").write_text("\n".join(rows) + "\n")
    done = run("score", model, "feb.csv", "--alarm", "0.02", "--why", "--na", "-999", "-o", "scored.csv")
    assert done.code == 0, done.err
    assert done.out == ""
    assert "alarms at α = 0.02 in 31 rows; expected at most 0.568" in done.err
    assert "4 rows could not be scored" in done.err
    scored = read((tmp_path / "scored.csv").read_text())
    assert [row["rownames"] for row in scored] == [str(i) for i in range(1, 36)]
    assert list(scored[0]) == [
        *("rownames", "eruptions", "waiting", "log_density", "rarity", "alarm"),
        *("component", "component_probability", "why", "reason"),
    ]
    assert [row["alarm"] for row in scored[30:]] == ["true"] + [""] * 4
    for row in scored[:31]:
        assert row["alarm"] == ("true" if float(row["rarity"]) <= 0.02 else "false")
        assert (row["why"] != "") == (row["alarm"] == "true")
    assert scored[30]["why"].startswith("eruptions −")
    assert scored[30]["rarity"] == repr(1 / 273)
    assert [row["reason"] for row in scored[31:]] == [
        "missing: eruptions",
        "eruptions holds 'abc', no finite number",
        "eruptions holds 'inf', no finite number",
        "missing: waiting",
    ]
    for row in scored[31:]:
        assert {row[name] for name in ("log_density", "rarity", "alarm", "component", "why")} == {""}
    x = pd.DataFrame({name: [float(row[name]) for row in scored[:31]] for name in ("eruptions", "waiting")})
    fitted = pofx.load(model)
    np.testing.assert_allclose([float(row["log_density"]) for row in scored[:31]], fitted.log_density(x))
    np.testing.assert_array_equal([float(row["rarity"]) for row in scored[:31]], fitted.rarity(x).rarity)


def test_as_json(run: Run, model: str, faithful: Path) -> None:
    done = run("score", model, faithful, "--alarm", "0.05", "--json")
    record = json.loads(done.out)
    assert record["schema"] == "pofx.alarms/1"
    assert record["rows"] == record["scored"] == len(record["alarm"]) == 272
    assert record["found"] == sum(record["alarm"]) <= record["expected_at_most"]
    assert record["calibrated"] is True
    assert len(record["rarity_standard_error"]) == 272


def test_the_old_output_is_what_it_was(run: Run, model: str, faithful: Path) -> None:
    done = run("score", model, faithful)
    assert list(read(done.out)[0]) == ["rownames", "eruptions", "waiting", "log_density"]
    assert json.loads(run("score", model, faithful, "--json").out)["schema"] == "pofx.score/1"


def test_the_promise_is_kept_without_the_training_data(run: Run, tmp_path: Path) -> None:
    run("fit", "world:moons,n=400,seed=1", "--model", "kde", "-o", "m.pofx")
    done = run("score", "m.pofx", "world:moons,n=2000,seed=2", "--alarm", "0.05")
    alarms = sum("true" in row for row in csv.reader(io.StringIO(done.out)))
    assert 0 < alarms <= 0.05 * 2000 + 3 * (2000 * 0.05) ** 0.5 + 3 * 2000 * 0.011  # Beta(20, 381): sd 0.011
    assert "no more than chance" in done.err
    moved = run("score", "m.pofx", "world:moons,n=2000,seed=2,noise=0.4", "--alarm", "0.05", "--strict")
    assert moved.code == 1
    assert "more than chance" in moved.err


def test_how_it_is_calibrated_is_chosen(run: Run, faithful: Path) -> None:
    words = ("fit", faithful, "--model", "gaussian", "--force", "-o", "g.pofx", "--calibration")
    assert json.loads(run(*words, "split", "--json").out)["calibration"] == {
        "rows": 54.0,
        "judges": 1,
        "how": "held out",
        "exact": True,
    }
    assert json.loads(run(*words, "none", "--json").out)["calibration"] is None
    done = run("score", "g.pofx", faithful, "--alarm", "0.01")
    assert done.code == 0
    assert "Not calibrated" in done.err
    assert "itself calls so rare" in done.err


@pytest.mark.usefixtures("quick")
def test_the_automatic_choice_is_calibrated_too(run: Run, faithful: Path, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("\n".join(faithful.read_text().splitlines()[:61]) + "\n")
    done = run("fit", "few.csv", "-o", "best.pofx")
    assert "Calibrated on 60 rows held out in 5 folds" in done.err
    calibration = pofx.load("best.pofx").fit_.calibration
    assert calibration is not None
    assert calibration.size == 60


def test_two_rows_are_too_few_to_calibrate_and_enough_to_fit(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1.5\n2.5\n")
    done = run("fit", "x.csv", "--model", "gaussian", "-o", "m.pofx")
    assert done.code == 0, done.err
    assert "no calibration: " in done.err
    assert pofx.load("m.pofx").fit_.calibration is None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--alarm", "0.001"], 2, "needs 999 calibration rows; there are 272"),
        (["--alarm", "0.001"], 2, "--own"),
        (["--alarm", "1"], 2, "0.0<x<1.0"),
        (["--why"], 2, "goes with --alarm"),
        (["--alarm", "0.05", "--missing", "error"], 3, "'abc' is not a number"),
        (["--alarm", "0.05", "--as", "waiting"], 3, "'waiting' already"),
    ],
)
def test_wrong_use(
    run: Run, model: str, faithful: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "odd.csv").write_text(faithful.read_text() + "273,abc,70\n")
    done = run("score", model, "odd.csv", *words, "-o", "out.csv")
    assert done.code == code, done.err
    assert said in done.err
    assert not (tmp_path / "out.csv").exists()


def test_a_column_that_is_there_already_is_not_written_twice(run: Run, model: str, faithful: Path) -> None:
    run("score", model, faithful, "--alarm", "0.05", "-o", "once.csv")
    done = run("score", model, "once.csv", "--alarm", "0.05", "--as", "again")
    assert done.code == 3
    assert "'rarity' already" in done.err


def test_a_model_by_groups_raises_alarms_too(tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(["red", "white"], 200)
    a = np.where(kind == "red", 0.0, 9.0) + rng.normal(size=200).round(2)
    (tmp_path / "g.csv").write_text(
        "kind,a\n" + "".join(f"{k},{v:.2f}\n" for k, v in zip(kind, a, strict=True)) + "red,9.00\n"
    )
    data, model = str(tmp_path / "g.csv"), str(tmp_path / "g.pofx")
    assert run("fit", data, "--model", "gaussian", "--by", "kind", "-o", model).code == 0
    done = run("score", model, data, "--alarm", "0.02", "--why")
    assert done.code == 0
    last = read(done.out)[-1]
    assert (last["a"], last["alarm"]) == ("9.00", "true")
