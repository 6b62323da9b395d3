"""Kernel density estimation beside scikit-learn, SciPy, KDEpy and statsmodels: time, memory, error; the bars.

    .venv/bin/python benchmarks/kde.py [--quick] [--only NAME]... [--resume] [--into FOLDER]

Writes benchmarks/results/kde.md, kde.png and kde.json, the numbers of every section: ``--only`` and
``--resume`` measure some sections and keep the others. ``--quick`` has small sizes and writes to a temporary
folder. Some 25 minutes on two cores. Needs scikit-learn, KDEpy, statsmodels, mpmath and matplotlib; the
bandwidths are compared where ../shared/reference is there (it is not part of this repository).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from contract import SHARED, Row, rows_of
from kde_cases import LONGEST, ONE_THREAD, TINY, Case, Record, race
from kde_page import BAR_N, DIMENSIONS, EXACT, TOLERANT, Store, bars, page, picture
from main_job import ROOT, machine

RESULTS = ROOT / "benchmarks" / "results"
QUICK_N = {1: 30_000, 2: 30_000, 3: 10_000, 5: 4_000, 10: 4_000, 30: 4_000}
HEAVY = ("cauchy", "clusters", "rounded", "outlier")
IN_TAILS = "smooth, a quarter of the queries in the tails"


# ---------------------------------------------------------------- sections: each returns records or rows


def sizes(d: int, quick: bool) -> list[int]:
    """Return n = m of the big table."""
    if quick:
        return [QUICK_N[d]]
    return [1000, 10_000, 100_000, 1_000_000] if d <= 3 else [1000, 10_000, 20_000, 100_000]


def libraries(d: int, bar: bool) -> list[str]:
    """Return what is measured in d columns; one thread of ours too where there is a bar."""
    ours = ["pofx"] if d <= 3 else ["pofx", "pofx rtol=0"]
    ours += [ours[-1] + ONE_THREAD] if bar else []
    peers = [TOLERANT if d <= 3 else EXACT, "scipy", "KDEpy TreeKDE", "statsmodels KDEMultivariate"]
    peers += ["KDEpy FFTKDE"] if d <= 3 else []
    return ours + peers + (["statsmodels KDEUnivariate"] if d == 1 else [])


def speed(d: int) -> Callable[[bool], Record]:
    """The big table in d columns."""

    def measure(quick: bool) -> Record:
        records, at = [], (QUICK_N if quick else BAR_N)[d]
        for n in sizes(d, quick):
            case = Case("smooth", n, d)
            records += race([(case, name) for name in libraries(d, n == at)], least=2000 * (n == at))
        return {"records": records}

    return measure


def tails3(quick: bool) -> Record:
    """Three columns, a quarter of the queries far out."""
    case = Case(IN_TAILS, (QUICK_N if quick else BAR_N)[3], 3)
    names = ("pofx", "pofx" + ONE_THREAD, TOLERANT, "scipy")
    return {"records": race([(case, name) for name in names], least=2000)}


def small(quick: bool) -> Record:
    """A hundred rows: 200 calls a turn."""
    case = Case("smooth", TINY, 1)
    return {"records": race([(case, name) for name in ("pofx", "scipy", EXACT)])}


def grid(quick: bool) -> Record:
    """A density on 1,024 points from many rows."""
    case = Case("smooth", 100_000 if quick else 1_000_000, 1)
    return {"records": race([(case, "pofx grid"), (case, "KDEpy grid")])}


def heavy(quick: bool) -> Record:
    """Data that one grid does not serve, against 50 digits (few rows) and against all pairs (many)."""
    records = []
    for n in (300, 10_000) if quick else (2000, 100_000, 1_000_000):
        for d in (1, 2):
            exact = n <= 2000
            found = race([(Case(kind, n, d), "pofx") for kind in HEAVY], exact=exact)
            records += [record | {"reference": "50 digits" if exact else "all pairs"} for record in found]
    return {"records": records}


def growth(quick: bool) -> Record:
    """Five sizes, n = m."""
    ns = np.geomspace(10_000, 100_000, 5) if quick else np.geomspace(100_000, 1_000_000, 5)
    return {"records": race([(Case("smooth", round(n), d), "pofx") for d in (1, 2) for n in ns])}


def mlcv(quick: bool) -> Record:
    """Likelihood cross-validation of many rows beside one evaluation; three processes."""
    case = Case("smooth", 50_000 if quick else 1_000_000, 1)
    return {"records": race([(case, "pofx likelihood_cv")] * (1 if quick else 3))}


def bandwidths(quick: bool) -> Record:
    """The rules against R, ks and exact scores on its classical data."""
    folder = SHARED / "reference"
    if not folder.exists():
        return {
            "rows": [
                (
                    "bandwidths against R, ks and exact scores",
                    "see there",
                    "left out: no ../shared here",
                    None,
                )
            ]
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {"rows": [*_one_column(folder), *_matrices(folder), *_points(folder)]}


def _lines(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _column(name: str) -> np.ndarray:
    files = {"faithful_eruptions": ("faithful", 0), "faithful_waiting": ("faithful", 1)}
    file, j = files.get(name, (name.removesuffix("_1000"), 0))
    return rows_of(f"{file}.csv")[:, j]


def _one_column(folder: Path) -> Iterator[Row]:
    import pofx

    tables = {"R": _lines(folder / "bandwidths_1d.csv"), "exact": _lines(folder / "exact_cv_bandwidths.csv")}
    for source, column, rule, bar in (
        ("R", "nrd0", "silverman", 1e-8),
        ("R", "nrd", "normal_reference", 1e-8),
        ("R", "ucv", "least_squares_cv", 2e-2),
        ("R", "bcv", "biased_cv", 2e-2),
        ("R", "SJste", "sheather_jones", 1e-2),
        ("R", "SJdpi", "direct_plug_in", 2e-3),
        ("R", "ks_hpi_unbinned", "plug_in", 2e-2),
        ("R", "ks_hscv", "smoothed_cv", 2e-2),
        ("R", "ks_hns", "normal_scale", 2e-2),
        ("R", "ks_hlscv", "least_squares_cv", 2e-2),
        ("exact", "lscv_largest_local_minimum", "least_squares_cv", 1e-5),
        ("exact", "loo_ml_largest_local_minimum", "likelihood_cv", 1e-5),
    ):
        gaps = {}
        for line in tables[source]:
            name = line.get("data") or line["dataset"]
            h = pofx.KDE(rule).fit(_column(name)).bandwidth_
            h = float(h[0]) if h.ndim == 1 else math.sqrt(float(h[0, 0]))
            gaps[name] = abs(h / float(line[column]) - 1.0)
        worst = max(gaps, key=lambda name: gaps[name])
        text = f"{gaps[worst]:.1e} ({worst}, the worst of {len(gaps)})"
        yield f"'{rule}' against {column} ({source})", f"≤ {bar:g}", text, gaps[worst] <= bar


def _matrices(folder: Path) -> Iterator[Row]:
    import pofx

    names = {"Hns": "normal_scale", "Hpi": "plug_in", "Hscv": "smoothed_cv", "Hlscv": "least_squares_cv"}
    names |= {f"{key}.diag": f"{names[key]}_diagonal" for key in ("Hpi", "Hscv")}
    for line in _lines(folder / "bandwidth_matrices.csv"):
        rule = names[line["selector"]]
        h = pofx.KDE(rule).fit(rows_of("faithful.csv")).bandwidth_
        entries = h[np.tril_indices(2)] if h.ndim == 2 else np.array([h[0] ** 2, 0.0, h[1] ** 2])
        theirs = np.array([float(line[key]) for key in ("h11", "h12", "h22")])
        some = theirs != 0.0
        gap = float(np.abs(entries[some] / theirs[some] - 1.0).max())
        yield (
            f"'{rule}' against ks {line['selector']}, faithful",
            "≤ 0.02, each entry",
            f"{gap:.1e}",
            gap <= 2e-2,
        )


def _points(folder: Path) -> Iterator[Row]:
    import pofx

    x = rows_of("faithful.csv")
    h = next(line for line in _lines(folder / "bandwidth_matrices.csv") if line["selector"] == "Hpi")
    full = [[float(h["h11"]), float(h["h12"])], [float(h["h12"]), float(h["h22"])]]
    narrow = pofx.KDE(0.140043535894384, rtol=0).fit(x[:, 0])
    wide = pofx.KDE(np.array(full), rtol=0).fit(x)
    logs = wide.log_density(x)
    ours = [*narrow.density([2.0, 3.0, 4.5]), *np.exp(logs[:5]), logs.mean()]
    theirs = [float(line["value"]) for line in _lines(folder / "kde_points.csv")]
    gap = float(np.abs(np.array(ours) / theirs - 1.0).max())
    yield f"{len(theirs)} densities of R and ks on faithful", "≤ 1e-9", f"{gap:.1e}", gap <= 1e-9


SECTIONS: dict[str, Callable[[bool], Record]] = {
    "small": small,
    "bandwidths": bandwidths,
    **{f"speed{d}": speed(d) for d in DIMENSIONS},
    "tails3": tails3,
    "grid": grid,
    "heavy": heavy,
    "growth": growth,
    "mlcv": mlcv,
}


# ---------------------------------------------------------------- the run


def commit() -> str:
    """Return the short commit, with a + where src has changed since."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "src") else "")


def main() -> int:
    """Measure the sections asked for, write page, picture and numbers; return 1 where a bar fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, into a temporary folder")
    parser.add_argument("--only", action="append", metavar="NAME", choices=SECTIONS, help=", ".join(SECTIONS))
    parser.add_argument("--resume", action="store_true", help="only sections that have no numbers yet")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="write there")
    asked = parser.parse_args()
    folder = asked.into or (Path(tempfile.gettempdir()) / "pofx-kde-quick" if asked.quick else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = folder / "kde.json"
    keep = (asked.only or asked.resume) and numbers.exists()
    store: Store = json.loads(numbers.read_text(encoding="utf-8")) if keep else {}
    names = asked.only or [name for name in SECTIONS if name not in store]
    for name in names:
        started = time.perf_counter()
        print(f"{name} …", flush=True)
        store[name] = SECTIONS[name](asked.quick) | {"machine": machine(), "commit": commit()}
        store[name]["seconds"] = round(time.perf_counter() - started, 1)
        print(f"{name}: {store[name]['seconds']:.0f} s", flush=True)
        numbers.write_text(json.dumps(store, indent=1), encoding="utf-8")
    rows = bars(store)
    for what, bar, text, ok in rows:
        print(" | ".join([what, bar, text, {True: "holds", False: "FAILS", None: "–"}[ok]]), flush=True)
    command = f"python benchmarks/kde.py{' --quick' if asked.quick else ''}"
    (folder / "kde.md").write_text(page(store, command, LONGEST), encoding="utf-8")
    picture(store, folder / "kde.png")
    total = sum(part["seconds"] for part in store.values())
    print(f"{total:.0f} s in all; wrote kde.md, kde.png and kde.json in {folder}")
    return 0 if all(ok is not False for *_, ok in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
