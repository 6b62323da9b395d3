"""The command line as a new user meets it: what it prints where, its exit codes, what it leaves behind."""

from __future__ import annotations

import csv
import io
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
from pofx.cli import main
from pofx.errors import MissingExtraError

# a new process finds the same pofx, whatever folder it starts in
HERE = {**os.environ, "PYTHONPATH": str(Path(pofx.__file__).parents[1])}


Run = Callable[..., Any]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---------------------------------------------------------------- report


@pytest.mark.usefixtures("quick")
def test_report_prints_the_verdict_and_writes_beside(run: Run, faithful: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    few = folder / "faithful.csv"
    few.write_text("\n".join(faithful.read_text().splitlines()[:61]) + "\n")
    done = run("report", few)
    assert done.code == 0
    assert "Use " in done.out
    for name in ("Gaussian", "Histogram"):
        assert name in done.out
    assert "set aside: rownames" in done.err
    assert "wrote faithful-report.html" in done.err
    assert files(tmp_path) == ["faithful-report.html", "in"]
    first = (tmp_path / "faithful-report.html").read_bytes()
    again = run("report", few)
    assert again.code == 0
    assert again.out == done.out
    assert (tmp_path / "faithful-report.html").read_bytes() == first


def test_report_never_replaces_what_is_not_its_own(run: Run, faithful: Path, tmp_path: Path) -> None:
    mine = tmp_path / "faithful-report.html"
    mine.write_text("mine")
    done = run("report", faithful)
    assert done.code == 2
    assert "--force" in done.err
    assert mine.read_text() == "mine"
    done = run("report", faithful, "-o", "data.csv")
    assert done.code == 2
    assert ".html" in done.err


@pytest.mark.usefixtures("quick")
def test_report_to_standard_output(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "x.csv"
    data.write_text("a\n" + "\n".join(str(v) for v in np.random.default_rng(0).normal(size=40).round(2)))
    done = run("report", data, "-o", "-")
    assert done.code == 0
    assert done.out.startswith("<!DOCTYPE html>")
    assert done.out.endswith("</html>\n")
    assert "Use " in done.err
    assert files(tmp_path) == ["x.csv"]


# ---------------------------------------------------------------- fit and sample


def test_fit_then_sample_has_the_columns_and_precision_of_the_data(run: Run, faithful: Path) -> None:
    done = run("fit", faithful, "--model", "gaussian", "-o", "m.pofx")
    assert (done.code, done.out) == (0, "")
    assert "wrote m.pofx" in done.err
    done = run("sample", "m.pofx", "-n", 200, "--seed", 7)
    assert done.code == 0
    rows = list(csv.reader(io.StringIO(done.out)))
    assert rows[0] == ["eruptions", "waiting"]
    assert len(rows) == 201
    assert all(row[1].isdigit() and len(row[0].partition(".")[2]) == 3 for row in rows[1:])
    assert run("sample", "m.pofx", "-n", 200, "--seed", 7).out == done.out
    assert run("sample", "m.pofx", "-n", 200, "--seed", 8).out != done.out
    exact = run("sample", "m.pofx", "-n", 200, "--seed", 7, "--exact").out
    values = np.array([[float(v) for v in row] for row in list(csv.reader(io.StringIO(exact)))[1:]])
    expected = pofx.load("m.pofx").sample(200, random_state=7, exact=True)
    assert (values == np.asarray(expected)).all()


def test_sample_without_a_seed_draws_anew_and_prints_its_seed(run: Run, faithful: Path) -> None:
    run("fit", faithful, "--model", "gaussian", "-o", "m.pofx")
    one, two = run("sample", "m.pofx"), run("sample", "m.pofx")
    assert one.out != two.out
    seed = one.err.split("--seed ")[1].split()[0]
    assert run("sample", "m.pofx", "--seed", seed).out == one.out


def test_sampled_rows_read_back(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.random.default_rng(0).normal(size=(50, 2)))
    assert run("fit", "plain.npy", "--model", "kde", "-o", "k.pofx").code == 0
    assert run("sample", "k.pofx", "-n", 30, "-o", "rows.csv").code == 0
    with (tmp_path / "rows.csv").open() as file:
        assert len(list(csv.reader(file))) == 30  # no names in the data, none here
    assert run("sample", "k.pofx", "-n", 0).out == ""


@pytest.mark.usefixtures("quick")
def test_fit_auto_says_how_it_chose(run: Run, faithful: Path) -> None:
    done = run("fit", faithful, "-o", "best.pofx")
    assert done.code == 0
    assert "Use " in done.err
    name = done.err.split("Use ")[1].partition(".")[0]
    assert type(pofx.load("best.pofx")).__name__ == name


def test_fit_does_not_replace_without_force(run: Run, faithful: Path, tmp_path: Path) -> None:
    (tmp_path / "m.pofx").write_text("mine")
    done = run("fit", faithful, "--model", "gaussian", "-o", "m.pofx")
    assert done.code == 2
    assert "exists" in done.err
    assert (tmp_path / "m.pofx").read_text() == "mine"
    assert run("fit", faithful, "--model", "gaussian", "-o", "m.pofx", "--force").code == 0
    assert run("sample", "m.pofx", "-o", "m.pofx", "--force").code == 2  # not onto its own input
    assert run("sample", "m.pofx").code == 0


def test_columns_are_chosen_by_name_or_number(run: Run, faithful: Path) -> None:
    assert run("fit", faithful, "--model", "gaussian", "--columns", "waiting", "-o", "w.pofx").code == 0
    assert run("sample", "w.pofx", "-n", 1).out.startswith("waiting\n")
    assert run("fit", faithful, "--model", "gaussian", "--drop", "waiting", "-o", "e.pofx").code == 0
    assert run("sample", "e.pofx", "-n", 1).out.startswith("eruptions\n")
    done = run("fit", faithful, "--columns", "wating", "-o", "x.pofx")
    assert done.code == 2
    assert "'waiting'" in done.err


def test_missing_values_are_refused_or_dropped(run: Run, tmp_path: Path) -> None:
    rows = [f"{a:.2f},{b:.2f}" for a, b in np.random.default_rng(0).normal(size=(40, 2))]
    rows[5] = ",1.00"
    (tmp_path / "holes.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
    done = run("fit", "holes.csv", "--model", "gaussian", "-o", "m.pofx", "--missing", "error")
    assert done.code == 3
    assert "--missing drop" in done.err  # the advice is what can be typed here
    done = run("fit", "holes.csv", "--model", "gaussian", "-o", "m.pofx")
    assert done.code == 0
    assert "1 dropped" in done.err
    done = run("compare", "holes.csv", "--models", "gaussian,kde")
    assert done.code == 0
    assert "1 of 40 rows" in done.out


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["reprot", "x.csv"], 2, "Did you mean 'report'"),
        (["zzz"], 2, "There are: "),
        (["report"], 2, "DATA"),
        (["report", "x.csv", "--sed", "3"], 2, "--seed"),
        (["report", "x.csv", "--seed", "-3"], 2, "x>=0"),
        (["fit", "x.csv", "--model", "kd", "-o", "m"], 2, "kde"),
        (["fit", "x.csv"], 2, "-o"),
        (["report", "nothing.csv"], 3, "nothing.csv"),
        (["report", "."], 3, "directory"),
        (["report", "empty.csv"], 3, "empty.csv"),
        (["report", "head.csv"], 3, "head.csv"),
        (["report", "one.csv"], 3, "2 rows"),
        (["report", "words.csv"], 3, "number"),
        (["fit", "x.csv", "--model", "kde", "-o", "no/such/m.pofx"], 2, "no directory"),
        (["fit", "x.csv", "--model", "kde", "-o", "."], 2, "directory"),
        (["sample", "x.csv"], 3, "x.csv"),
        (["sample", "nothing.pofx"], 3, "nothing.pofx"),
        (["sample", "x.csv", "-n", "-1"], 2, "x>=0"),
    ],
)
def test_one_sentence_and_the_right_exit_code(
    run: Run, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1.5,2.5\n2.5,1.5\n3.5,0.5\n2.0,2.0\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "head.csv").write_text("a,b\n")
    (tmp_path / "one.csv").write_text("a,b\n1.5,2.5\n")
    (tmp_path / "words.csv").write_text("a,b\nred,blue\ngreen,red\n")
    before = files(tmp_path)
    done = run(*words)
    assert done.code == code
    assert said in done.err
    assert done.err.splitlines()[-1].startswith("pofx: ")
    assert done.out == ""
    assert files(tmp_path) == before


def test_an_optional_part_that_is_missing(run: Run, faithful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise MissingExtraError('torch is needed, and it is not installed: pip install "pofx[torch]"')

    monkeypatch.setattr("pofx.models.gaussian.Gaussian.fit", missing)
    done = run("fit", faithful, "--model", "gaussian", "-o", "m.pofx")
    assert done.code == 5
    assert "pip install" in done.err


def test_a_defect_is_called_one_and_debug_shows_it(
    run: Run, faithful: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("pofx.models.gaussian.Gaussian.fit", broken)
    done = run("fit", faithful, "--model", "gaussian", "-o", "m.pofx")
    assert done.code == 70
    assert "ZeroDivisionError: by zero" in done.err
    assert "--debug" in done.err
    with pytest.raises(ZeroDivisionError):
        main(["fit", str(faithful), "--model", "gaussian", "-o", "m.pofx", "--debug"])


def test_a_full_disk_leaves_the_old_file(
    run: Run, faithful: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    (tmp_path / "m.pofx").write_text("old")
    monkeypatch.setattr(os, "write", full)
    done = run("fit", faithful, "--model", "gaussian", "-o", "m.pofx", "--force")
    monkeypatch.undo()
    assert done.code == 3
    assert "No space left" in done.err
    assert files(tmp_path) == ["m.pofx"]
    assert (tmp_path / "m.pofx").read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_is_refused_before_the_work(run: Run, faithful: Path, tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to(tmp_path / "far.html")
    done = run("report", faithful, "-o", "link.html")
    assert done.code == 2
    assert "symbolic link" in done.err
    assert "Table" not in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_standard_output_that_is_full(tmp_path: Path, faithful: Path) -> None:
    pofx.Gaussian().fit(pofx.read(faithful)).save(tmp_path / "m.pofx")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pofx", "sample", "m.pofx", "--seed", "1"],
            cwd=tmp_path, env=HERE, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == "pofx: output: No space left on device.\n"


@pytest.mark.usefixtures("quick")
def test_interrupt_is_one_line_and_130(
    run: Run, faithful: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pofx.models.histogram.Histogram.fit", interrupted)
    done = run("report", faithful)
    assert done.code == 130
    assert done.err.splitlines()[-1] == "pofx: interrupted; nothing was written."
    assert files(tmp_path) == []


# ---------------------------------------------------------------- as a process


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_in_a_running_report(tmp_path: Path) -> None:
    data = tmp_path / "x.csv"
    rows = np.random.default_rng(0).normal(size=(4_000, 6))
    np.savetxt(data, rows, delimiter=",", header="a,b,c,d,e,f", comments="")
    process = subprocess.Popen(
        [sys.executable, "-m", "pofx", "report", str(data)],
        cwd=tmp_path, env=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    seen = process.stderr.readline()  # it has read the file, and is fitting
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out == ""
    assert "interrupted" in err
    assert "Traceback" not in seen + err
    assert files(tmp_path) == ["x.csv"]


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_stops_early_is_no_error(tmp_path: Path, faithful: Path) -> None:
    pofx.Gaussian().fit(pofx.read(faithful)).save(tmp_path / "m.pofx")
    process = subprocess.Popen(
        [sys.executable, "-m", "pofx", "sample", "m.pofx", "-n", "200000", "--seed", "1"],
        cwd=tmp_path, env=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "eruptions,waiting\n"
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=30) == 0
    assert err == ""


def test_a_narrow_terminal_encoding_is_no_error(tmp_path: Path, faithful: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pofx", "fit", str(faithful), "--model", "gaussian", "-o", "ä.pofx"],
        cwd=tmp_path, env={**HERE, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_mixture_uses_what_rows_have(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 2))
    lines = [f"{a:.6f},{b:.6f}" for a, b in x[:60]] + [f"{a:.6f}," for a, _ in x[60:]]
    (tmp_path / "gaps.csv").write_text("\n".join(["a,b", *lines, ""]))
    words = ("gaps.csv", "--missing", "marginal")
    done = run("fit", *words, "--model", "mixture", "--components", "1", "-o", "m.pofx", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["rows"] == 80
    done = run("score", "m.pofx", *words, "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert record["missing_rows"] == 0
    z = np.column_stack([np.round(x[:, 0], 6), np.where(np.arange(80) < 60, np.round(x[:, 1], 6), np.nan)])
    expected = pofx.GaussianMixture(1, missing="marginal").fit(z).log_density(z)
    np.testing.assert_allclose(record["log_density"], expected, rtol=1e-6)
    for model in ("kde", "auto"):
        done = run("fit", *words, "--model", model, "-o", "n.pofx")
        assert done.code == 2
        assert "--model mixture can" in done.err
