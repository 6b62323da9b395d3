"""The manners of the command line: sources, JSON, exit codes, plans, safe output, advice to type."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx
from pofx.cli.failures import in_words_of_the_shell
from pofx.cli.output import clean, json_text
from pofx.cli.rows import stem_of
from pofx.cli.run import VERBS
from pofx.show.rows import guarded

Run = Callable[..., Any]
HERE = {**os.environ, "PYTHONPATH": str(Path(pofx.__file__).parents[1])}


def process(folder: Path, *words: object, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pofx", *map(str, words)],
        cwd=folder, env={**HERE, **how.pop("env", {})}, capture_output=True, text=True, timeout=60, **how,
    )  # fmt: skip


def strict_json(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"a bare {word}")

    return json.loads(text, parse_constant=refuse)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def table_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def fitted(run: Run, faithful: Path) -> str:
    assert run("fit", faithful, "--model", "gaussian", "-o", "m.pofx").code == 0
    return "m.pofx"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ---------------------------------------------------------------- help


def examples(text: str) -> list[str]:
    return [line.strip() for line in text.partition("Examples:")[2].splitlines() if line.strip()]


@pytest.mark.usefixtures("quick")
def test_the_examples_of_every_help_run(run: Run, faithful: Path, tmp_path: Path) -> None:
    for name in ("faithful.csv", "iris.csv"):
        (tmp_path / name).write_bytes((faithful.parent / name).read_bytes())
    visits = (f"{k // 4},{k * 0.37 % 1:.4f}\n" for k in range(80))
    (tmp_path / "visits.csv").write_text("patient,dose\n" + "".join(visits))
    hours = (f"{k},{k * 0.61 % 1:.4f}\n" for k in range(80))
    (tmp_path / "sensor.csv").write_text("hour,level\n" + "".join(hours))
    order = ("fit", *(verb for verb in VERBS if verb != "fit"))  # it writes what others read
    for verb in order:
        text = run(verb, "--help").out
        found = examples(text)
        assert len(found) >= 2, verb
        for example in found:
            words = shlex.split(example.partition(">")[0])
            assert words[:2] == ["pofx", verb]
            done = run(*words[1:])
            assert done.code in ((0, 1) if verb in ("check", "differ") else (0,)), (example, done.err)


def test_every_verb_has_the_options_it_should() -> None:
    import click

    from pofx.cli import pofx as group

    context = click.Context(group)
    for verb in VERBS:
        command = group.get_command(context, verb)
        assert command is not None
        options = {name for parameter in command.params for name in parameter.opts}
        assert "--debug" in options
        assert verb == "completion" or "--json" in options
        if verb in ("diagnose", "fit", "check", "differ", "compare", "score", "plot", "report"):
            assert {"--columns", "--drop", "--weights", "--na", "--missing", "--strict"} <= options
        if verb in ("diagnose", "fit", "check", "differ", "compare", "score", "report"):
            assert "--plan" in options
        defaults = {parameter.name: parameter.default for parameter in command.params}
        if verb in ("fit", "check", "differ", "compare", "report"):
            assert defaults["seed"] == 0
        expected = {"score": "error", "diagnose": "keep"}.get(verb, "drop")
        assert defaults.get("missing", expected) == expected
        assert command.get_short_help_str(70)[-3:] != "..."


# ---------------------------------------------------------------- where rows come from


def test_a_pattern_several_files_and_a_world(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(3):
        rows = rng.normal(size=(20, 2)).round(3)
        np.savetxt(tmp_path / f"part-{k}.csv", rows, fmt="%.3f", delimiter=",", header="a,b", comments="")
    assert "60 rows" in run("diagnose", "part-*.csv").out
    done = run("diagnose", "part-0.csv", "part-1.csv")
    assert done.code == 0
    assert "40 rows" in done.out
    done = run("fit", "world:correlated,n=70,seed=3,rho=0.5", "--model", "gaussian", "-o", "w.pofx")
    assert done.code == 0
    assert pofx.load("w.pofx").fit_.n_rows == 70
    assert run("diagnose", "part-0.csv", "part-7.csv").code == 3


def test_standard_input(tmp_path: Path, faithful: Path) -> None:
    done = process(tmp_path, "fit", "-", "--model", "gaussian", "-o", "m.pofx", input=faithful.read_text())
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == ["m.pofx"]
    done = process(tmp_path, "score", "m.pofx", "-", input=faithful.read_text())
    assert done.returncode == 0, done.stderr
    assert len(table_of(done.stdout)) == 273  # read once for its numbers, once for its text
    assert table_of(done.stdout)[1][:3] == ["1", "3.6", "79"]


def test_the_options_of_reading(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "h.csv", "1.5,10,2\n2.5,-999,1\n3.25,30,3\n4.5,40,1\n0.5,55,2\n")
    done = run(
        "fit", "h.csv", "--no-header", "--na", "-999,9999", "--weights", "2", "--model", "gaussian", "-o",
        "h.pofx",
    )  # fmt: skip
    assert done.code == 0, done.err
    model = pofx.load("h.pofx")
    assert (model.fit_.n_rows, model.fit_.n_dropped, model.fit_.effective_n) == (4, 1, 8.0)
    assert model.n_features_in_ == 2
    done = run("compare", "h.csv", "--no-header", "--columns", "0", "--models", "gaussian", "--folds", "2")
    assert done.code == 0
    done = run(
        "fit", "h.csv", "--no-header", "--na", "-999", "--missing", "error", "--model", "kde", "-o", "n"
    )
    assert done.code == 3
    assert "--missing drop" in done.err
    assert "missing=" not in done.err


def test_weights_that_are_not_whole_need_a_kind(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "w.csv", "x,w\n1.5,0.5\n2.5,1.5\n3.25,0.25\n4.5,2\n")
    words = ("fit", "w.csv", "--weights", "w", "--model", "gaussian", "-o", "w.pofx")
    done = run(*words)
    assert done.code == 3
    assert "--weight-kind" in done.err
    assert run(*words, "--weight-kind", "importance").code == 0


@pytest.mark.usefixtures("quick")
def test_what_a_report_says_to_do_next_can_be_done(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    a, b, w = *rng.normal(size=(2, 60)), rng.integers(1, 4, 60)
    lines = [f"{a[i]:.3f};{b[i]:.3f};{w[i]}" for i in range(60)]
    write(tmp_path / "my rows.csv", "\n".join([*lines, "-999;0.5;1"]) + "\n")
    words = ("my rows.csv", "--no-header", "--na", "-999", "--weights", "2")
    assert run("report", *words).code == 0
    page = (tmp_path / "my rows-report.html").read_text(encoding="utf-8")
    typed = [shlex.split(html.unescape(code)) for code in re.findall(r"<(?:code|pre)>([^<]*)<", page)]
    verbs = []
    for command in typed:
        place = [i for i, word in enumerate(command[:-1]) if word == "pofx" or word.endswith("go.py")]
        if not place or command[place[0] + 1] not in VERBS:
            continue
        verbs.append(command[place[0] + 1])
        done = run(*command[place[0] + 1 :])
        assert done.code in ((0, 1) if verbs[-1] == "check" else (0,)), (command, done.err)
    assert {"fit", "plot", "check", "score", "sample"} <= set(verbs)


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("-", "stdin"), ("a/faithful.csv.gz", "faithful"), ("world:moons,n=5", "moons"),
        ("runs/*.csv", "data"), ("run-*.csv", "run"), (".csv", "data"), ("world:", "world"),
    ],
)  # fmt: skip
def test_what_files_are_called(word: str, stem: str) -> None:
    assert stem_of(word) == stem


# ---------------------------------------------------------------- models and their options


@pytest.mark.parametrize(
    ("words", "cls", "hyper"),
    [
        (["mixture", "--components", "3"], "GaussianMixture", {"n_components": 3}),
        (["mixture", "--components", "1..2"], "GaussianMixture", {"n_components": [1, 2]}),
        (["mixture", "--components", "2", "--covariance", "tied"], "GaussianMixture",
         {"covariance_type": "tied"}),
        (["gaussian", "--covariance", "diag"], "Gaussian", {"covariance_type": "diag"}),
        (["gaussian", "--shrinkage", "0.25"], "Gaussian", {"shrinkage": 0.25}),
        (["kde", "--bandwidth", "0.3"], "KDE", {"bandwidth": 0.3}),
        (["kde", "--bandwidth", "0.3,5"], "KDE", {"bandwidth": [0.3, 5]}),
        (["KDE", "--kernel", "tophat"], "KDE", {"bandwidth": "auto", "kernel": "tophat"}),
        (["kde", "--adaptive", "yes", "--rtol", "1e-9"], "KDE", {"adaptive": True, "rtol": 1e-9}),
        (["histogram", "--bins", "20", "--smoothing", "0"], "Histogram", {"bins": 20, "smoothing": 0}),
        (["Histogram", "--bins", "fd"], "Histogram", {"bins": "fd"}),
    ],
)  # fmt: skip
def test_options_of_models(
    run: Run, tmp_path: Path, words: list[str], cls: str, hyper: dict[str, Any]
) -> None:
    data = "world:correlated,n=80"
    done = run("fit", data, "--model", *words, "--seed", 5, "--json", "-o", "m.pofx")
    assert done.code == 0, done.err
    record = strict_json(done.out)
    assert record["schema"] == "pofx.fit/1"
    assert record["model"] == cls
    assert record["hyperparameters"].items() >= hyper.items()
    if cls == "GaussianMixture":
        assert record["hyperparameters"]["random_state"] == 5
    model = pofx.load("m.pofx")
    assert {key: model.get_params()[key] for key in hyper} == hyper


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "gaussian", "--bandwidth", "0.3"], "option of kde, not of gaussian"),
        (["--bins", "20"], "--model"),
        (["--model", "mixture", "--components", "many"], "number"),
        (["--model", "mixture", "--components", "4..2"], "smaller number first"),
        (["--model", "mixture", "--components", "0"], "n_components"),
        (["--model", "kde", "--bandwidth", "scot"], "scott"),
        (["--model", "kde", "--bounds", "x=0"], "low:high"),
        (["--model", "kde", "--bounds", "0=1:0"], "lower bound must lie below"),
        (["--model", "kde", "--bounds", "wind=0:"], "wind"),
        (["--model", "kde", "--period", "24"], "column=value"),
        (["--model", "kde", "--adaptive", "maybe"], "number"),
        (["--model", "histogran"], "Did you mean 'histogram'"),
        (["--model", "kde", "--kernel", "gausian"], "gaussian"),
        (["--model", "gaussian", "--columns", ","], "names no column"),
        (["--model", "gaussian", "--colunms", "a"], "--columns"),
        (["--model", "gaussian", "--columns", "7"], "numbered 0 to 1"),
    ],
)
def test_wrong_options_are_wrong_use(run: Run, tmp_path: Path, words: list[str], said: str) -> None:
    done = run("fit", "world:correlated,n=80", *words, "-o", "m.pofx")
    assert done.code == 2
    assert said in done.err
    assert files(tmp_path) == []


def test_typos_elsewhere(run: Run, fitted: str) -> None:
    assert "'moons'" in run("worlds", "mons").err
    assert "'moons'" in run("sample", "world:mons").err
    assert "noise" in run("sample", "world:moons,nois=0.3").err
    assert "Did you mean 'm.pofx'" in run("sample", "n.pofx").err
    assert "Did you mean 'kde'" in run("compare", "world:moons", "--models", "gaussian,kdee").err
    done = run("faithful.csv")
    assert (done.code, done.out) == (2, "")


# ---------------------------------------------------------------- JSON


@pytest.mark.usefixtures("quick")
def test_json_of_every_verb(run: Run, fitted: str, faithful: Path, tmp_path: Path) -> None:
    schemas = {
        ("diagnose", faithful): "pofx.diagnosis/1",
        ("fit", faithful, "--model", "kde", "-o", "k.pofx"): "pofx.fit/1",
        ("fit", faithful, "-o", "a.pofx"): "pofx.fit/1",
        ("check", fitted, faithful, "--new"): "pofx.check/2",
        ("differ", faithful, faithful): "pofx.differ/1",
        ("compare", faithful, "--models", "gaussian,histogram"): "pofx.compare/1",
        ("sample", fitted, "-n", "2", "--seed", "1"): "pofx.sample/1",
        ("score", fitted, faithful): "pofx.score/1",
        ("plot", fitted): "pofx.figure/2",
        ("report", faithful): "pofx.report/1",
        ("worlds",): "pofx.worlds/1",
        ("worlds", "moons"): "pofx.worlds/1",
    }  # fmt: skip
    for words, schema in schemas.items():
        done = run(*words, "--json")
        assert done.code in (0, 1), (words, done.err)
        record = strict_json(done.out)
        assert record["schema"] == schema
        assert done.out.isascii()
    assert strict_json(run("sample", fitted, "-n", 2, "--seed", 1, "--json").out)["columns"] == [
        "eruptions",
        "waiting",
    ]


def test_no_bare_nan_in_json() -> None:
    record = {
        "a": [np.nan, -np.inf, np.float64(1.5), np.int64(2)],
        "b": {1: None},
        "c": np.array([1.0, np.inf]),
    }
    assert strict_json(json_text(record)) == {"a": [None, None, 1.5, 2], "b": {"1": None}, "c": [1.0, None]}


def test_impossible_rows_are_null_in_json_and_inf_in_csv(run: Run, tmp_path: Path) -> None:
    assert (
        run("fit", "world:uniform,n=90", "--model", "histogram", "--smoothing", "0", "-o", "h.pofx").code == 0
    )
    write(tmp_path / "q.csv", "x\n0.5\n99.5\n0.25\n")
    done = run("score", "h.pofx", "q.csv", "--json")
    record = strict_json(done.out)
    assert (record["rows"], record["impossible_rows"], record["mean"]) == (3, 1, None)
    assert record["log_density"][1] is None
    assert "1 called impossible" in done.err
    assert table_of(run("score", "h.pofx", "q.csv").out)[2] == ["99.5", "-inf"]


# ---------------------------------------------------------------- exit codes


def test_check_answers_by_its_exit_code(run: Run, fitted: str, faithful: Path) -> None:
    done = run("check", fitted, faithful)
    assert done.code == 1
    assert "does not agree" in done.out
    assert run("check", "world:gaussian", "world:gaussian,n=400,seed=2").code == 0


def test_check_takes_the_training_rows_and_everything(run: Run, fitted: str, faithful: Path) -> None:
    done = run("check", fitted, faithful, "--train", faithful, "--all", "--json")
    data = json.loads(done.out)
    assert data["case"] == "family"
    assert data["memorisation"]["method"] == "training rows"
    assert set(data["extras"]) == {"mmd", "sliced", "support", "rosenblatt"}
    assert data["verdict"]["word"] in ("good", "usable", "fails")
    missing = run("check", fitted, faithful, "--train", "nowhere.csv")
    assert (missing.code, missing.out) == (3, "")
    assert "nowhere.csv" in missing.err


def test_strict(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pofx.core.fitting import Outcome

    write(
        tmp_path / "x.csv", "a,b\n" + "".join(f"{i * 0.37 % 1:.4f},{i * 0.61 % 1:.4f}\n" for i in range(60))
    )
    write(tmp_path / "cut.csv", (tmp_path / "x.csv").read_text() + "0.1234,0.1")
    words = ("--model", "gaussian", "-o", "m.pofx", "--force")
    assert run("fit", "x.csv", *words, "--strict").code == 0
    assert run("fit", "cut.csv", *words).code == 0
    assert run("fit", "cut.csv", *words, "--strict").code == 1  # it may have been cut off
    theirs = pofx.Gaussian._fit

    def stops_early(self: Any, data: Any, rng: Any) -> Any:
        return theirs(self, data, rng)[0], Outcome(converged=False, message="Stopped early.")

    monkeypatch.setattr(pofx.Gaussian, "_fit", stops_early)
    done = run("fit", "x.csv", *words)
    assert done.code == 0
    assert "Did not converge" in done.err
    assert run("fit", "x.csv", *words, "--strict").code == 4


def test_a_note_is_said_once(run: Run, tmp_path: Path) -> None:
    # the last number may be cut off: the table says so, and no note repeats it
    write(
        tmp_path / "cut.csv", "a,b\n" + "".join(f"{i}.25,{i * 7 % 13}.125\n" for i in range(30)) + "31.25,1"
    )
    done = run("diagnose", "cut.csv")
    assert done.code == 0
    assert done.err.count("may have been cut off in the middle") == 1


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize("verb", ["diagnose", "fit", "compare", "report", "check", "score"])
def test_a_plan_writes_nothing(run: Run, fitted: str, faithful: Path, tmp_path: Path, verb: str) -> None:
    model = [fitted] if verb in ("check", "score") else []
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    done = run(verb, *model, faithful, "--plan")
    assert done.code == 0
    assert "272 rows × 2 columns (eruptions, waiting)" in done.out
    assert "MB" in done.out
    assert "seconds" in done.out
    record = strict_json(run(verb, *model, faithful, "--plan", "--json").out)
    assert (record["schema"], record["verb"], record["rows"]) == ("pofx.plan/1", verb, 272)
    assert record["bytes"] > 0
    if verb in ("fit", "compare", "report"):
        tried = [model["name"] for model in record["models"]]
        assert tried == ["Gaussian", "GaussianMixture", "KDE", "Histogram"]
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


# ---------------------------------------------------------------- score


def test_score_keeps_rows_order_and_text(run: Run, fitted: str, faithful: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "new.csv",
        "site,waiting,eruptions\n\"north, upper\",79.0,3.60\nsouth,54,1.8\n,74,3.333\n",
    )  # fmt: skip
    done = run("score", fitted, "new.csv", "-o", "scored.csv")
    assert (done.code, done.out) == (0, "")
    assert "ignored, because the model does not know them: 'site'" in done.err
    assert "matched by name" in done.err
    rows = table_of((tmp_path / "scored.csv").read_text())
    assert rows[0] == ["site", "waiting", "eruptions", "log_density"]
    assert [row[:3] for row in rows[1:]] == [
        ["north, upper", "79.0", "3.60"], ["south", "54", "1.8"], ["", "74", "3.333"],
    ]  # fmt: skip
    expected = pofx.load(fitted).log_density(pofx.read(faithful))[:3]
    assert [float(row[3]) for row in rows[1:]] == expected.tolist()
    done = run("score", fitted, "scored.csv")
    assert done.code == 3
    assert "--as" in done.err
    assert table_of(run("score", fitted, "scored.csv", "--as", "again").out)[0][-1] == "again"


def test_score_refuses_a_missing_column_and_missing_values(run: Run, fitted: str, tmp_path: Path) -> None:
    write(tmp_path / "less.csv", "eruption,waiting\n3.6,79\n1.8,54\n")
    done = run("score", fitted, "less.csv")
    assert done.code == 3
    assert "Did you mean 'eruption'" in done.err
    write(tmp_path / "gaps.csv", "eruptions,waiting\n3.6,79\nNA,54\n1.9,50\n")
    done = run("score", fitted, "gaps.csv")
    assert (done.code, done.out) == (3, "")
    assert "--missing drop" in done.err
    done = run("score", fitted, "gaps.csv", "--missing", "drop")
    assert done.code == 0
    rows = table_of(done.out)
    assert [row[-1] != "" for row in rows[1:]] == [True, False, True]
    assert "1 with missing values" in done.err


def test_score_of_files_without_names_and_of_parquet(run: Run, fitted: str, tmp_path: Path) -> None:
    write(tmp_path / "bare.csv", "3.6,79\n1.8,54\n")
    done = run("score", fitted, "bare.csv")
    assert done.code == 0
    assert [row[:2] for row in table_of(done.out)] == [["3.6", "79"], ["1.8", "54"]]
    assert done.err.count("note: ") == 1
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    frame = pa.table(
        {"who": ["a", "=1+1"], "waiting": [79, 54], "eruptions": [3.6, 1.8], "id": [2**62 + 1, 3]}
    )
    parquet.write_table(frame, tmp_path / "x.parquet")
    rows = table_of(run("score", fitted, "x.parquet").out)
    assert rows[0] == ["who", "waiting", "eruptions", "id", "log_density"]
    assert rows[2][:4] == ["'=1+1", "54", "1.8", "3"]
    assert rows[1][3] == str(2**62 + 1)
    write(
        tmp_path / "x.jsonl",
        '{"who": "a", "waiting": 79, "eruptions": 3.6}\n{"waiting": 54, "eruptions": 1.8}\n',
    )
    rows = table_of(run("score", fitted, "x.jsonl").out)
    assert [row[:3] for row in rows[1:]] == [["a", "79", "3.6"], ["", "54", "1.8"]]
    expected = pofx.load(fitted).log_density(pofx.read(tmp_path / "x.jsonl")[["eruptions", "waiting"]])
    assert [float(row[3]) for row in rows[1:]] == expected.tolist()


def test_another_number_of_columns(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "three.csv", "a,b,c\n1.5,2.5,x\n2.5,0.5,y\n")
    done = run("score", "world:gaussian", "three.csv")
    assert done.code == 3
    assert "2 columns of numbers ('a', 'b'), the model 1" in done.err
    assert "--columns" in done.err
    assert len(table_of(run("score", "world:gaussian", "three.csv", "--columns", "b").out)) == 3


def test_several_files_are_scored_in_order(run: Run, fitted: str, tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "eruptions,waiting\n3.6,79\n1.8,54\n")
    write(tmp_path / "2.csv", "waiting,eruptions\n85,4.5\n51,1.75\n")
    rows = table_of(run("score", fitted, "1.csv", "2.csv").out)
    assert [row[:2] for row in rows[1:]] == [["3.6", "79"], ["1.8", "54"], ["4.5", "85"], ["1.75", "51"]]


# ---------------------------------------------------------------- output that cannot harm


def test_text_that_a_spreadsheet_would_run(run: Run, tmp_path: Path) -> None:
    write(
        tmp_path / "x.csv",
        "=cmd,-b,note\n" + "".join(f"{i * 0.37 % 1:.3f},{-(i * 0.61 % 1):.3f},=1+{i}\n" for i in range(30)),
    )
    assert run("fit", "x.csv", "--model", "gaussian", "-o", "m.pofx").code == 0
    assert pofx.load("m.pofx").params_.columns.names == ("=cmd", "-b")
    assert run("sample", "m.pofx", "-n", 3, "--seed", 1, "-o", "s.csv").code == 0
    head, *rows = table_of((tmp_path / "s.csv").read_text())
    assert head == ["'=cmd", "'-b"]
    assert all(float(row[1]) < 1.5 for row in rows)  # numbers are untouched
    assert table_of(run("sample", "m.pofx", "-n", 3, "--seed", 1, "--verbatim").out)[0] == ["=cmd", "-b"]
    again = run("score", "m.pofx", "s.csv")  # what was guarded is matched again
    assert again.code == 0, again.err
    assert table_of(again.out)[0] == ["'=cmd", "'-b", "log_density"]
    scored = table_of(run("score", "m.pofx", "x.csv").out)
    assert scored[0] == ["'=cmd", "'-b", "note", "log_density"]
    assert scored[1][2] == "'=1+0"
    loud = run("score", "m.pofx", "x.csv", "--verbatim")
    assert table_of(loud.out)[1][2] == "=1+0"
    assert "spreadsheet" in loud.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=1+1", "'=1+1"), ("+a", "'+a"), ("-a", "'-a"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx"),
        ("-5", "-5"), ("+1.5e3", "+1.5e3"), ("-1,5", "-1,5"), ("-", "-"), ("--", "--"), ("a=1", "a=1"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_is_guarded(text: str, shown: str) -> None:
    assert guarded(text) == shown


def test_escape_sequences_are_spelled_out(run: Run, tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J"
    rows = "".join(f"{i * 0.37 % 1:.3f},{i * 0.61 % 1:.3f}\n" for i in range(30))
    write(tmp_path / "x.csv", f"a{evil},b\n{rows}")
    for words in (
        ("diagnose", "x.csv"),
        ("fit", "x.csv", "--model", "gaussian", "-o", "m.pofx"),
        ("compare", "x.csv", "--models", "gaussian,histogram", "--folds", "2"),
        ("check", "m.pofx", "x.csv", "--new"),
        ("fit", "x.csv", "--columns", evil, "-o", "n.pofx"),
        ("score", "m.pofx", f"no{evil}.csv"),
        ("sample", f"{evil}.pofx"),
        (evil,),
    ):
        done = run(*words)
        assert "\x1b" not in done.out + done.err, words
        assert "\x07" not in done.out + done.err, words
    assert clean("a\x1b[1m\u202eb\nc\xa0d") == "a\\x1b[1m\\u202eb\nc\xa0d"


def test_data_on_a_terminal_cannot_steer_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{i * 0.37 % 1:.3f}\n" for i in range(30))
    write(tmp_path / "x.csv", f"a\x1b[2J\n{rows}")
    assert run("fit", "x.csv", "--model", "gaussian", "-o", "m.pofx").code == 0
    assert "\x1b" in run("sample", "m.pofx").out  # a pipe gets the name as it is
    monkeypatch.setattr(sys.stdout.__class__, "isatty", lambda self: True)
    assert "\x1b" not in run("sample", "m.pofx").out


def test_output_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    rows = "".join(f"{i * 0.37 % 1:.3f}\n" for i in range(30))
    write(tmp_path / "x.csv", f"größe\n{rows}")
    done = process(tmp_path, "fit", "x.csv", "--model", "gaussian", "-o", "m.pofx")
    assert done.returncode == 0
    environment = {**HERE, "PYTHONIOENCODING": "ascii"}
    raw = subprocess.run(
        [sys.executable, "-m", "pofx", "sample", "m.pofx", "-n", "1", "--seed", "1"],
        cwd=tmp_path, env=environment, capture_output=True, check=True,
    )  # fmt: skip
    assert raw.stdout.decode("utf-8").startswith("größe\n")


@pytest.mark.skipif(os.name == "nt", reason="devices of POSIX")
def test_devices_are_written_to(run: Run, fitted: str) -> None:
    assert run("sample", fitted, "-o", "/dev/null").code == 0
    if Path("/dev/full").exists():
        done = run("sample", fitted, "-o", "/dev/full")
        assert done.code == 3
        assert "No space left" in done.err


# ---------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("python", "shell"),
    [
        (
            'missing="drop" leaves them out, missing="keep" keeps them as NaN.',
            "--missing drop leaves them out.",
        ),
        ("Leave it out: drop=['a b'].", "Leave it out: --drop a b."),
        ("say na=-999", "say --na -999"),
        ("columns= chooses them by name.", "--columns chooses them by name."),
        ("What to do: columns=[...] brings it back.", "What to do: --columns ... brings it back."),
        ('weight_kind="importance"', "--weight-kind importance"),
        ("header=False", "--no-header"),
    ],
)
def test_advice_is_what_can_be_typed(python: str, shell: str) -> None:
    assert in_words_of_the_shell(python) == shell


def test_a_large_file_is_fitted_in_blocks(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(5_000, 3)).round(4)
    np.save(tmp_path / "x.npy", rows)
    np.savetxt(tmp_path / "x.csv", rows, fmt="%.4f", delimiter=",", header="a,b,c", comments="")
    whole = {}
    for name in ("x.npy", "x.csv"):
        assert run("fit", name, "--model", "gaussian", "-o", f"{name}.pofx").code == 0
        whole[name] = pofx.load(f"{name}.pofx")
    monkeypatch.setattr("pofx.cli.rows.LARGE", 0)
    told: list[str] = []

    import contextlib

    @contextlib.contextmanager
    def watched() -> Iterator[Callable[[str], None]]:
        yield told.append

    monkeypatch.setattr("pofx.cli.fit.progress", watched)
    for name, model in whole.items():
        done = run("fit", name, "--model", "gaussian", "-o", "b.pofx", "--force")
        assert done.code == 0, done.err
        assert "read in blocks" in done.err
        found = pofx.load("b.pofx")
        assert (found.mean_ == model.mean_).all()
        assert np.allclose(found.covariance_, model.covariance_, rtol=1e-12)
        assert found.params_.columns == model.params_.columns
    assert "pass 2: 5,000 of 5,000 rows" in told
    plan = strict_json(run("fit", "x.csv", "--model", "gaussian", "--plan", "--json").out)
    assert plan["in_blocks"]
    assert plan["rows"] == 5_000


def test_completion(run: Run, tmp_path: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        done = run("completion", shell)
        assert done.code == 0
        assert "_POFX_COMPLETE" in done.out
    for words, expected in (("pofx dia", "diagnose"), ("pofx fit x.csv --model hi", "histogram")):
        asked = {
            "_POFX_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        assert expected in process(tmp_path, env=asked).stdout


def test_progress_is_for_terminals_only(run: Run, faithful: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("compare", faithful, "--models", "gaussian", "--folds", "2")
    assert "\r" not in run(*words).err
    monkeypatch.setattr(sys.stderr.__class__, "isatty", lambda self: True)
    monkeypatch.setenv("TERM", "xterm")
    done = run(*words)
    assert re.search(r"\r\x1b\[K[^\r]*0 of 3 fits, Gaussian: fold 1 of 2 \.\.\. \d+ s", done.err)
    assert done.err.endswith("\r\x1b[K")  # and it is gone at the end
    monkeypatch.setenv("TERM", "dumb")
    assert "\r" not in run(*words).err


def test_a_library_may_log_one_line(run: Run, fitted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    theirs = pofx.Gaussian.log_density

    def logs(self: Any, X: Any) -> Any:
        for _ in range(3):
            logging.getLogger("matplotlib.font_manager").warning("no folder for the cache; it is slower")
        return theirs(self, X)

    monkeypatch.setattr(pofx.Gaussian, "log_density", logs)
    done = run("score", fitted, "world:correlated,n=5")
    assert done.err.count("note: matplotlib: no folder for the cache\n") == 1
