"""What a new user does by mistake or by bad luck: one sentence, the right exit code, nothing half-written."""

from __future__ import annotations

import gzip
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
HERE = {**os.environ, "PYTHONPATH": str(Path(pofx.__file__).parents[1])}
posix = pytest.mark.skipif(os.name == "nt", reason="limits and signals of POSIX")


def start(
    folder: Path, *words: object, env: dict[str, str] | None = None, **how: Any
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pofx", *map(str, words)],
        cwd=folder, env={**HERE, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **how,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def last(text: str) -> str:
    line = text.splitlines()[-1]
    assert line.startswith("pofx: ")
    return line


@pytest.fixture
def model(tmp_path: Path, faithful: Path) -> Path:
    path = tmp_path / "m.pofx"
    pofx.Gaussian().fit(pofx.read(faithful)).save(path)
    return path


# ---------------------------------------------------------------- the wrong thing


@pytest.mark.parametrize("verb", ["report", "diagnose", "compare", "fit"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("fathful.csv", None, "Did you mean 'faithful.csv'"),
        ("no/such/folder.csv", None, "There is no folder"),
        ("folder", "", "is a directory"),
        ("empty.csv", "", "empty"),
        ("head.csv", "a,b\n", "has a header but no rows"),
        ("long.csv", "a,b\n" + "1" * 20_000_000 + ",2\n", "line"),
        ("words.csv", "a,b\nred,blue\ngreen,red\n", "number"),
        ("ragged.csv", "a,b\n1.5,2\n3.5\n4.5,1\n", "line 3"),
        ("page.csv", "<!DOCTYPE html><html></html>", "web page"),
        ("http://x.org/a.csv", None, "Fetch it first"),
        ("book.xlsx", "PK", "book.xlsx"),
        ("data.rds", "X\n\0\0", "readRDS"),
    ],
)
def test_input_that_is_no_table(
    run: Run, tmp_path: Path, faithful: Path, verb: str, name: str, content: str | None, said: str
) -> None:
    if verb != "report" and len(content or "") > 1e6:
        pytest.skip("once is enough")
    (tmp_path / "faithful.csv").write_bytes(faithful.read_bytes())
    (tmp_path / "folder").mkdir()
    if content is not None and name != "folder":
        (tmp_path / name).write_text(content, encoding="latin-1")
    before = files(tmp_path)
    output = ["-o", "m.pofx"] if verb == "fit" else []
    done = run(verb, name, *output)
    assert done.code == 3
    assert said in done.err
    assert Path(name).name.partition(".")[0] in last(done.err)
    assert len(last(done.err)) < 600
    assert done.out == ""
    assert files(tmp_path) == before


def test_one_row(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("a,b\n1.5,2.5\n")
    assert run("diagnose", "one.csv").code == 0  # it is a table, and says what is wrong with it
    for words in (["report", "one.csv"], ["fit", "one.csv", "--model", "gaussian", "-o", "m.pofx"]):
        done = run(*words)
        assert done.code == 3
        assert "2 rows" in done.err
    assert files(tmp_path) == ["one.csv"]


def test_a_model_in_place_of_data_and_the_other_way_round(run: Run, model: Path, faithful: Path) -> None:
    done = run("score", faithful, model)
    assert done.code == 3
    assert "MODEL comes before DATA" in done.err
    done = run("report", model)
    assert done.code == 3
    assert "m.pofx" in last(done.err)


@posix
def test_a_gzip_bomb_under_a_limit_of_memory(tmp_path: Path) -> None:
    import resource

    row = b"1.5,2.5\n" * 2**17
    with gzip.open(tmp_path / "bomb.csv.gz", "wb", compresslevel=9) as file:
        file.write(b"a,b\n")
        for _ in range(300):  # 300 MB of rows
            file.write(row)
    assert (tmp_path / "bomb.csv.gz").stat().st_size < 1_500_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))

    started = time.monotonic()
    environment = {"OPENBLAS_NUM_THREADS": "1"}
    code, out, err = ended(start(tmp_path, "report", "bomb.csv.gz", env=environment, preexec_fn=limited))
    assert code == 3, err
    assert "bomb.csv.gz" in last(err)
    assert out == ""
    assert files(tmp_path) == ["bomb.csv.gz"]
    assert time.monotonic() - started < 40


# ---------------------------------------------------------------- Ctrl-C


@posix
@pytest.mark.parametrize(
    "words",
    [
        ["fit", "x.csv", "-o", "m.pofx"],
        ["fit", "x.csv", "--model", "mixture", "--components", "2..9", "-o", "m.pofx", "--force"],
        ["score", "world:moons", "-"],
    ],
)
def test_ctrl_c(tmp_path: Path, words: list[str]) -> None:
    rows = np.random.default_rng(0).normal(size=(4_000, 6))
    np.savetxt(tmp_path / "x.csv", rows, delimiter=",", header="a,b,c,d,e,f", comments="")
    before = files(tmp_path)
    spool = tmp_path.with_name(f"{tmp_path.name}-spool")
    spool.mkdir()
    process = start(tmp_path, *words, stdin=subprocess.PIPE, env={"TMPDIR": str(spool)})
    if words[0] == "fit":
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Table")  # it has read the file, and is fitting
        time.sleep(0.2)
    else:
        for _ in range(200):  # until it waits for rows
            if files(spool):
                break
            time.sleep(0.05)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, out, err = ended(process)
    assert time.monotonic() - started < 4  # half a second, on a machine that does nothing else
    assert code == 130, err
    assert last(err) == "pofx: interrupted; nothing was written."
    assert out == ""
    assert files(tmp_path) == before
    assert files(spool) == []  # what was copied from a pipe is gone


# ---------------------------------------------------------------- where nothing can be written


@posix
@pytest.mark.parametrize("words", [["sample", "-n", "4000"], ["score"]])
def test_a_full_disk_leaves_the_old_output_whole(
    tmp_path: Path, model: Path, faithful: Path, words: list[str]
) -> None:
    import resource

    (tmp_path / "out.csv").write_text("old,and,whole\n" * 9)
    before = files(tmp_path)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    data = [str(faithful)] if words[0] == "score" else []
    code, _, err = ended(
        start(tmp_path, words[0], "m.pofx", *data, *words[1:], "-o", "out.csv", "--force", preexec_fn=limited)
    )
    assert code == 3
    assert "out.csv" in last(err)
    assert "intact" in last(err)
    assert (tmp_path / "out.csv").read_text() == "old,and,whole\n" * 9
    assert files(tmp_path) == before


@pytest.mark.usefixtures("quick")
def test_an_output_that_exists(run: Run, model: Path, faithful: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("mine")
    (tmp_path / "mine.html").write_text("mine")
    (tmp_path / "mine.png").write_text("mine")
    for words in (
        ["sample", model, "-o", "mine.csv"],
        ["score", model, faithful, "-o", "mine.csv"],
        ["diagnose", faithful, "-o", "mine.csv"],
        ["compare", faithful, "-o", "mine.csv"],
        ["check", model, faithful, "-o", "mine.csv"],
        ["worlds", "-o", "mine.csv"],
        ["plot", model, "-o", "mine.png"],
        ["report", faithful, "-o", "mine.html"],
        ["fit", faithful, "-o", model],
    ):
        done = run(*words)
        assert done.code == 2, (words, done.err)
        assert "--force" in last(done.err)
        assert "Table" not in done.err  # refused before the work
    assert mine.read_text() == "mine"
    assert run("worlds", "-o", "mine.csv", "--force").code == 0
    done = run("score", model, "mine.csv", "-o", "mine.csv", "--force")
    assert done.code == 2
    assert "is the input" in done.err


def test_a_folder_that_cannot_be_written_to(
    run: Run, model: Path, faithful: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as for a user who is not root
    done = run("sample", model, "-o", "new.csv")
    assert done.code == 3
    assert "no permission" in done.err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    if Path("/proc/self").exists():  # read-only, even for root
        done = run("fit", faithful, "--model", "gaussian", "-o", "/proc/m.pofx")
        assert done.code == 3
        assert "/proc/m.pofx" in last(done.err)


@pytest.mark.parametrize("output", ["", "no/such/m.csv", "folder", "folder/"])
def test_an_output_that_is_no_file(run: Run, model: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "folder").mkdir()
    done = run("sample", model, "-o", output)
    assert done.code == 2
    assert done.out == ""


# ---------------------------------------------------------------- a bare machine


@posix
def test_no_home_no_locale_and_a_folder_that_is_read_only(
    tmp_path: Path, model: Path, faithful: Path
) -> None:
    bare = {
        "HOME": "/dev/null/nonexistent",
        "MPLCONFIGDIR": "",
        "XDG_CACHE_HOME": "",
        "XDG_CONFIG_HOME": "",
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
    }
    code, _, err = ended(start(tmp_path, "plot", model, "-o", "m.svg", env=bare))
    assert code == 0, err
    assert "wrote m.svg" in err
    assert err.count("\n") <= 2  # at most one note about the folder for fonts
    code, out, err = ended(start(tmp_path, "diagnose", faithful, env=bare))
    assert code == 0, err
    assert "272 rows" in out


@posix
@pytest.mark.parametrize(
    ("closed", "words", "code", "said"),
    [
        (0, ["report", "-"], 3, "tandard input"),
        (0, ["sample", "m.pofx", "--seed", "1"], 0, ""),
        (1, ["sample", "m.pofx", "--seed", "1"], 3, "standard output is closed"),
        (1, ["sample", "m.pofx", "--seed", "1", "-o", "s.csv"], 0, "wrote s.csv"),
    ],
)
def test_a_closed_stream(
    tmp_path: Path, model: Path, closed: int, words: list[str], code: int, said: str
) -> None:
    found, _, err = ended(start(tmp_path, *words, preexec_fn=lambda: os.close(closed)))
    assert found == code, err
    assert said in err
    assert err.count("\n") <= 1


@posix
def test_nothing_but_closed_streams(tmp_path: Path, model: Path) -> None:
    def closing() -> None:
        for number in (0, 1, 2):
            os.close(number)

    process = start(tmp_path, "sample", "m.pofx", "--seed", "1", "-o", "s.csv", preexec_fn=closing)
    assert ended(process)[0] == 0
    assert files(tmp_path) == ["m.pofx", "s.csv"]


@posix
def test_head_is_quiet(tmp_path: Path, faithful: Path) -> None:
    for words in ("worlds --json", f"score world:correlated {faithful} --columns 1,2"):
        command = f"{sys.executable} -m pofx {words} 2>err | head -n 1"
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=HERE, capture_output=True, text=True)
        assert done.returncode == 0
        assert len(done.stdout.splitlines()) == 1
        assert "Broken" not in (tmp_path / "err").read_text()


def test_no_words_at_all(run: Run) -> None:
    done = run()
    assert done.code == 2
    assert "Commands:" in done.err


# ---------------------------------------------------------------- a size that is not meant


def test_many_columns_and_long_names_end_in_short_messages(run: Run, tmp_path: Path) -> None:
    names = [f"{'x' * 200}{j}" for j in range(2_000)]
    rows = ["1.5," * 1999 + "2.5", "2.5," * 1999 + "3.5", "0.5," * 1999 + "0.5"]
    (tmp_path / "wide.csv").write_text("\n".join([",".join(names), *rows]) + "\n")
    started = time.monotonic()
    done = run("fit", "wide.csv", "--model", "gaussian", "-o", "m.pofx")
    assert done.code == 3
    assert time.monotonic() - started < 10
    assert done.err.count("\n") < 80
    assert len(last(done.err)) < 3_000
