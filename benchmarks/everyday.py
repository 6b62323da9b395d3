"""The bars of the everyday tool, each measured: any file in, a readable verdict out.

    .venv/bin/python benchmarks/everyday.py

Writes benchmarks/results/everyday.md. Some six minutes on two cores. Data sets that are not part of this
repository are taken from ../shared/data where they are there, and left out with a word where they are not.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from contract import SHARED, Row, suite, table
from main_job import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "everyday.md"
EXAMPLES = ROOT / "examples"


def reports() -> Iterator[Row]:
    """Time, size and first words of ``pofx report`` on real data."""
    data = SHARED / "data"
    files = [
        EXAMPLES / "faithful.csv",
        EXAMPLES / "iris.csv",
        EXAMPLES / "galaxies.csv",
        data / "winequality-red.csv.gz",
        data / "winequality-white.csv.gz",
        data / "geyser.csv",
        None,  # standard input
    ]
    with tempfile.TemporaryDirectory() as folder:
        for path in files:
            name = "standard input (faithful)" if path is None else path.name
            if path is not None and not path.exists():
                yield f"`pofx report {name}`", "≤ 30 s", "left out: not there", None
                continue
            out = Path(folder) / f"{name}.html"
            words = ["report", "-" if path is None else str(path), "-o", str(out)]
            started = time.perf_counter()
            with open(EXAMPLES / "faithful.csv", "rb") as source:
                done = subprocess.run(
                    [sys.executable, "-m", "pofx", *words],
                    cwd=folder, stdin=source, capture_output=True, text=True, check=False,
                )  # fmt: skip
            seconds = time.perf_counter() - started
            page = out.read_text(encoding="utf-8") if out.exists() else ""
            verdict = next((s for s in done.stdout.splitlines() if s.startswith(("Use ", "Two", "No "))), "")
            offline = "<script" not in page and not re.search(r"(?:src|href)=[\"']?https?:", page)
            ok = done.returncode == 0 and seconds <= 30 and 0 < len(page) <= 1_000_000 and offline
            text = f"{seconds:.1f} s, {len(page) / 1000:.0f} kB, no script, no request: “{verdict[:160]}”"
            yield f"`pofx report {name}`", "≤ 30 s, ≤ 1 MB, offline", text, ok


def same_bytes() -> Iterator[Row]:
    """Two runs of one report, byte by byte."""
    with tempfile.TemporaryDirectory() as folder:
        pages = []
        for run in "ab":
            out = Path(folder) / f"{run}.html"
            words = ["report", str(EXAMPLES / "faithful.csv"), "-o", str(out)]
            subprocess.run(
                [sys.executable, "-m", "pofx", *words], cwd=folder, capture_output=True, check=True
            )
            pages.append(out.read_bytes())
    same = pages[0] == pages[1]
    yield "same data, seed and version", "same bytes", "same bytes" if same else "other bytes", same


def parquet(rows: int = 10_000_000) -> Iterator[Row]:
    """``pofx fit --model gaussian`` on Parquet, 1e7 rows of 4 columns: memory beyond the process."""
    try:
        import resource  # noqa: F401  (the child below needs it)
    except ImportError:
        yield "1e7 × 4 Parquet", "< 500 MB beyond the process", "left out: needs POSIX", None
        return
    code = (
        "import resource, sys, pofx.cli\n"
        "sys.argv = ['pofx', *sys.argv[1:]]\n"
        "try: pofx.cli.main()\nexcept SystemExit as end: print('exit', end.code or 0)\n"
        "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write = (
            "import sys, numpy as np, pyarrow as pa, pyarrow.parquet as pq\n"
            "rng = np.random.default_rng(0); names = list('abcd')\n"
            "with pq.ParquetWriter(sys.argv[1], pa.schema([(n, pa.float64()) for n in names])) as out:\n"
            "    for _ in range(10):\n"
            "        rows = rng.normal(size=(4, int(sys.argv[2]) // 10))\n"
            "        out.write_table(pa.table(dict(zip(names, rows))), row_group_size=250_000)"
        )
        subprocess.run([sys.executable, "-c", write, str(path), str(rows)], check=True)

        def peak(*words: str) -> tuple[float, float, str]:
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, check=False
            )
            found = re.findall(r"peak (\d+)", done.stdout)
            return time.perf_counter() - started, int(found[0]) / 1024 if found else 1e9, done.stdout

        _, base, _ = peak("fit", str(EXAMPLES / "faithful.csv"), "--model", "gaussian", "-o", "small.pofx")
        seconds, most, out = peak("fit", str(path), "--model", "gaussian", "-o", "large.pofx")
        ok = "exit 0" in out and most - base < 500
        text = f"{most - base:.0f} MB beyond the {base:.0f} MB of a small fit, {seconds:.1f} s"
        yield "`pofx fit rows.parquet --model gaussian`, 1e7 × 4", "< 500 MB beyond the process", text, ok


def suites() -> Iterator[Row]:
    """The test files that are bars themselves, with their counts."""
    for what, bar, words in (
        ("the CSV cases of the specification of bad inputs", "a test per case", ["tests/data/test_csv.py"]),
        ("Parquet, Arrow, NPZ, JSON lines and others", "none silently wrong", ["tests/data/test_formats.py"]),
        ("pipes, globs, worlds, blocks", "all", ["tests/data/test_places.py", "tests/data/test_blocks.py"]),
        ("diagnose: culprits found, no false alarms", "all", ["tests/data/test_diagnose.py"]),
        ("compare and report", "all", ["tests/cli/test_compare.py", "tests/cli/test_report.py"]),
        ("check: level and power", "all", ["tests/models/test_check.py"]),
        ("figures as data", "all", ["tests/models/test_figures.py"]),
        ("as a new user: wrong files, full disk, Ctrl-C", "all", ["tests/cli/test_as_a_new_user.py"]),
        ("manners and verbs", "all", ["tests/cli/test_manners.py", "tests/cli/test_verbs.py"]),
    ):  # fmt: skip
        yield suite(what, bar, words)


if __name__ == "__main__":
    sys.exit(table(RESULTS, "The everyday tool", "everyday.py", [reports, same_bytes, parquet, suites]))
