"""Fits, passes and seconds per stage of the main job, ``pofx report``, on a small and a larger file.

    .venv/bin/python benchmarks/main_job.py [FILE ...]

Writes benchmarks/results/main_job.md. By default: examples/faithful.csv (272 rows × 2 columns), and magic04
(19,020 × 10; UCI, not part of this repository) where ../shared/data holds it.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "main_job.md"
MAGIC = ROOT.parent / "shared" / "data" / "magic04.csv.gz"


class Stages:
    """Seconds by the name of the stage, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Time the block under ``name``."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


def measure(path: Path) -> list[tuple[str, str, str, str]]:
    """Run the main job on one file; return (stage, fits, passes, seconds) lines."""
    stages = Stages()
    with stages.time("import"):
        from pofx.auto import candidates
        from pofx.data.read import read
        from pofx.evaluate.compare import compare
        from pofx.show.report import render
    with stages.time("read"):
        table = read(path)
    with stages.time("compare"):
        result = compare(candidates(), table, progress=lambda text: print(f"  {text}", file=sys.stderr))
    with stages.time("write"):
        render(result, title=path.name, source=path.name)
    records = [entry.held_out for entry in result.table]
    best = result.best.fit_
    lines = [(name, "", "", f"{stages.seconds[name]:.2f}") for name in ("import", "read")]
    lines += [
        (
            f"hold out: {r.name}{' (failed)' if r.failure else ''}",
            str(r.fits),
            str(r.passes),
            f"{r.seconds:.2f}",
        )
        for r in records
    ]
    lines.append((f"fit to all rows: {result.best_name}", "1", str(best.passes), f"{best.seconds:.2f}"))
    lines.append(("picture and page", "", "", f"{stages.seconds['write']:.2f}"))
    fits, passes = sum(r.fits for r in records) + 1, sum(r.passes for r in records) + best.passes
    lines.append(("**all**", str(fits), str(passes), f"{sum(stages.seconds.values()):.2f}"))
    return lines


def machine() -> str:
    """Return the processor, its cores, and the versions that matter."""
    import numpy
    import scipy

    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        models = [
            line.partition(":")[2].strip() for line in facts.read_text().splitlines() if "model name" in line
        ]
        name = models[0] if models else name
    return (
        f"{name}, {os.cpu_count()} cores; Python {platform.python_version()}, NumPy {numpy.__version__}, "
        f"SciPy {scipy.__version__}"
    )


def main(words: list[str]) -> None:
    """Measure the files given, print the tables, and write them down."""
    files = [Path(word) for word in words] or [ROOT / "examples" / "faithful.csv", MAGIC]
    text = [
        "# The main job: `pofx report`",
        "",
        f"Made by `python benchmarks/main_job.py` on {machine()}.",
        "Seconds are wall-clock, of one run; the first file also pays for imports. Passes are passes over",
        "the rows, as the fits count them.",
    ]
    for path in files:
        text += ["", f"## {path.name}", ""]
        if not path.exists():
            text.append("Not there, so not measured.")
        else:
            text += ["| Stage | Fits | Passes | Seconds |", "|---|---:|---:|---:|"]
            text += [f"| {' | '.join(line)} |" for line in measure(path)]
    print("\n".join(text))
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
