"""``pofx differ``: exit codes, forms of output, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx

Run = Callable[..., Any]


@pytest.fixture
def months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two months that are alike, and one that is not; few trees, for speed."""
    monkeypatch.setattr("pofx.evaluate.boosted.TREES", 4)
    rng = np.random.default_rng(0)
    for name, shift in (("jan", 0.0), ("feb", 0.0), ("mar", 1.0)):
        rows = np.round(rng.normal(size=(80, 2)) + np.array([shift, 5.0]), 2)
        lines = [f"{x:.2f},{y:.2f},{'abc'[k % 3]}" for k, (x, y) in enumerate(rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["x,y,word", *lines]) + "\n", encoding="utf-8")
    return tmp_path


@pytest.mark.usefixtures("months")
def test_the_exit_code_is_the_answer(run: Run) -> None:
    done = run("differ", "jan.csv", "feb.csv")
    assert done.code == 0
    assert done.out.startswith("jan.csv (80 rows) and feb.csv (80 rows): same\n")
    assert "Set aside in both, so not compared: word (text" in done.out
    assert "Table: 80 rows" in done.err  # what was read is no part of the answer
    done = run("differ", "jan.csv", "mar.csv")
    assert done.code == 1
    assert "jan.csv and mar.csv differ" in done.out
    assert "Most in x: " in done.out


@pytest.mark.usefixtures("months")
def test_a_slight_difference_counts_under_strict(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pofx.evaluate.difference.SLIGHT", 1.0)
    done = run("differ", "jan.csv", "mar.csv", "--drop", "word")
    assert done.code == 0
    assert "differ slightly" in done.out
    assert run("differ", "jan.csv", "mar.csv", "--drop", "word", "--strict").code == 1
    assert run("differ", "jan.csv", "feb.csv", "--drop", "word", "--strict").code == 0


@pytest.mark.usefixtures("months")
def test_json_to_a_file_and_never_over_another(run: Run, tmp_path: Path) -> None:
    done = run("differ", "jan.csv", "mar.csv", "--json", "-o", "d.json", "--seed", 3)
    assert done.code == 1
    assert done.out == ""
    record = json.loads((tmp_path / "d.json").read_text(encoding="utf-8"))
    assert (record["schema"], record["differ"], record["random_state"]) == ("pofx.differ/1", True, 3)
    assert (record["dropped_a"], record["a"]) == (0, "jan.csv")
    assert run("differ", "jan.csv", "mar.csv", "-o", "d.json").code == 2
    assert run("differ", "jan.csv", "mar.csv", "-o", "jan.csv", "--force").code == 2  # it is an input


@pytest.mark.usefixtures("months")
def test_a_plan_writes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("differ", "jan.csv", "feb.csv", "--plan", "-o", "d.txt")
    assert done.code == 0
    assert "80 rows × 2 columns (x, y)" in done.out
    assert "nothing was written" in done.out
    assert not (tmp_path / "d.txt").exists()
    record = json.loads(run("differ", "jan.csv", "feb.csv", "--plan", "--json").out)
    assert (record["rows"], record["rows_other"], record["verb"]) == (80, 80, "differ")
    assert 0.1 < record["seconds"] < 10


@pytest.mark.usefixtures("months")
def test_a_pattern_is_one_set(run: Run) -> None:
    done = run("differ", "*a[nr].csv", "feb.csv", "--columns", "y")
    assert done.code == 0
    assert "*a[nr].csv (160 rows) and feb.csv (80 rows): same" in done.out


def test_long_names_are_a_and_b(run: Run) -> None:
    words = ("world:gaussian,n=30,seed=1", "world:gaussian,n=30,seed=2")
    done = run("differ", *words)
    assert done.code == 0
    assert done.out.startswith("A (30 rows) and B (30 rows): same")
    assert f"A is {words[0]}, B is {words[1]}" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["jan.csv"], 2, "two data sets, A and B; got 1"),
        (["jan.csv", "feb.csv", "mar.csv"], 2, "got 3. A pattern that stands for several files"),
        (["-", "-"], 2, "cannot both be '-'"),
        (["jan.csv", "april.csv"], 3, "april.csv"),
        (["jan.csv", "other.csv"], 3, "only jan.csv has 'x', 'y'; only other.csv has 'u', 'v'"),
        (["jan.csv", "few.csv"], 3, "few.csv has 3 rows; at least 10"),
        (["jan.csv", "gaps.csv", "--missing", "error"], 3, "gaps.csv"),
    ],
)
@pytest.mark.usefixtures("months")
def test_what_is_refused(run: Run, tmp_path: Path, words: list[str], code: int, said: str) -> None:
    lines = [f"{k / 7:.3f},{k % 5 / 3:.3f}" for k in range(30)]
    (tmp_path / "other.csv").write_text("\n".join(["u,v", *lines]), encoding="utf-8")
    (tmp_path / "few.csv").write_text("\n".join(["x,y", *lines[:3]]), encoding="utf-8")
    (tmp_path / "gaps.csv").write_text("\n".join(["x,y", "NA,1.5", *lines]), encoding="utf-8")
    done = run("differ", *words)
    assert done.code == code, done.err
    assert said in done.err
    assert done.out == ""


@pytest.mark.usefixtures("months")
def test_rows_with_gaps_are_left_out_and_it_says_so(run: Run, tmp_path: Path) -> None:
    text = (tmp_path / "feb.csv").read_text(encoding="utf-8")
    (tmp_path / "gaps.csv").write_text(text + "NA,1.5,a\n", encoding="utf-8")
    done = run("differ", "jan.csv", "gaps.csv")
    assert done.code == 0
    assert "Left out of gaps.csv: 1 row with missing values; rows are numbered without them." in done.out


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to send")
def test_ctrl_c_ends_it_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    words = ("world:gaussian_d,n=60000,seed=1", "world:gaussian_d,n=60000,seed=2", "-o", "d.txt")
    source = str(Path(pofx.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", "import sys, pofx.cli; print('on', flush=True); pofx.cli.main(sys.argv[1:])",
         "differ", *words],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert time.monotonic() - started < 15
    assert list(tmp_path.iterdir()) == []
