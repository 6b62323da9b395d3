"""The judge judged: does `check` keep its level, does it find what is wrong, and does `good` mean good?

    .venv/bin/python benchmarks/judge.py [--quick] [--only SECTION ...]

Every section keeps its numbers in benchmarks/results/judge.json and the page benchmarks/results/judge.md is
made anew from all of them. Sections: known (a density is claimed), family (its parameters are fitted), power
(what is wrong is caught), words (data like faithful, iris and wine, through the report's own path, are called
good). One process per core, each with one thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("POFX_NUM_THREADS", "1")  # a process per core is faster than a thread per core

import argparse
import json
import math
import multiprocessing
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from main_job import ROOT, machine
from scipy.stats import binomtest, kstest

import pofx
from pofx.evaluate.check import LEVEL, check_fitted
from pofx.evaluate.curves import Tally
from pofx.validation import rows_to_fit

STORE = ROOT / "benchmarks" / "results" / "judge.json"
PAGE = ROOT / "benchmarks" / "results" / "judge.md"
N = 1_000
LIKE = ("faithful", "iris", "wine")
CHEAP, DEAR, POWER, WORDS = 2_000, 500, 100, 200  # seeds

Numbers = dict[str, Any]


def truth(kind: str) -> pofx.GaussianMixture | pofx.Gaussian:
    """Return the density that the rows of a calibration study come from."""
    if kind == "gaussian":
        return pofx.Gaussian.from_params([1.0, -2.0], [[2.0, 0.8], [0.8, 1.0]])
    covariances = [[[1.0, 0.3], [0.3, 0.6]], [[0.5, -0.2], [-0.2, 1.2]]]
    return pofx.GaussianMixture.from_params([0.4, 0.6], [[0.0, 0.0], [2.5, 1.0]], covariances)


def rows_of(kind: str, seed: int) -> np.ndarray:
    """Rows recorded to one decimal, as real ones are: every test has to live with ties."""
    rows = np.asarray(truth(kind).sample(N, random_state=seed))
    return np.round(rows, 1) if seed % 2 else rows


# ---------------------------------------------------------------- one seed of each study


def cheap(kind: str, seed: int) -> Numbers:
    """The curves alone, of a density that is claimed."""
    x = rows_to_fit(rows_of(kind, seed))
    tally = Tally(x.columns, N, 4_000)
    tally.add(truth(kind), x.values, np.random.default_rng([seed, 1]))
    columns, rank = tally.curves(0.05, 0.05, test=True)
    assert rank is not None
    return {
        "p": {"column": columns[0].p_value, "rank": rank.p_value},
        "inside": {"column": bool(columns[0].inside), "rank": bool(rank.inside)},
    }


def known(kind: str, seed: int) -> Numbers:
    """Every test of a density that is claimed."""
    return _found(pofx.check(truth(kind), rows_of(kind, seed), new=True, random_state=seed))


def family(kind: str, seed: int) -> Numbers:
    """Every test of a family, its parameters fitted to the rows."""
    x = rows_of(kind, seed)
    model = pofx.Gaussian() if kind == "gaussian" else pofx.GaussianMixture(2, covariance_type="full")
    return _found(pofx.check(model.fit(x), x, new=False, random_state=seed))


def fresh(kind: str, seed: int) -> Numbers:
    """Every test of a right family fitted to other rows, as many."""
    return _found(
        pofx.check(pofx.Gaussian().fit(rows_of(kind, seed + 10_000)), rows_of(kind, seed), new=True)
    )


def _found(check: Any) -> Numbers:
    return {
        "p": dict(check.p_values),
        "inside": {"columns": not any(not c.inside for c in check.columns), "rank": bool(check.rank.inside)},
        "case": check.case,
        "passed": bool(check.passed),
        "word": check.verdict.word,
        "auc": check.told.auc,
    }


def caught(case: str, seed: int) -> Numbers:
    """Whether what is wrong is found in 1,000 rows."""
    check = WRONG[case](seed)
    return {"word": check.verdict.word, "passed": bool(check.passed), "p": dict(check.p_values)}


def _three_bumps(seed: int) -> Any:
    world = pofx.GaussianMixture.from_params([0.3, 0.4, 0.3], [-3.0, 0.0, 3.0], [0.5, 0.5, 0.5])
    x = world.sample(N, random_state=seed)
    return pofx.check(pofx.GaussianMixture(2, covariance_type="full").fit(x), x, new=False, random_state=seed)


def _moons(seed: int) -> Any:
    x = pofx.worlds.moons().sample(N, random_state=seed)
    return pofx.check(pofx.Gaussian().fit(x), x, new=False, random_state=seed)


class Copier(pofx.Gaussian):
    """A sampler that gives its training rows back, and no density."""

    kind = "none"
    rows: np.ndarray

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Any:
        """Keep the rows."""
        type(self).rows = np.asarray(X)
        return super().fit(X)

    def _draw(self, params: Any, n: int, rng: np.random.Generator) -> np.ndarray:
        return np.asarray(self.params_.units.to(self.rows[rng.integers(len(self.rows), size=n)]))

    def _marginal(self, params: Any, keep: list[int]) -> Any:
        raise self._has_no("marginal")


def _copier(seed: int) -> Any:
    x = pofx.worlds.moons().sample(2 * N, random_state=seed)
    return pofx.check(Copier().fit(x[:N]), x[N:], train=x[:N], random_state=seed)


class WideSampler(pofx.Gaussian):
    """A Gaussian whose sampler takes variances for standard deviations."""

    def _draw(self, params: Any, n: int, rng: np.random.Generator) -> np.ndarray:
        sd = self.params_.units.scale * params["cholesky"].diagonal()
        return (rng.standard_normal((n, len(sd))) * sd**2) / self.params_.units.scale + params["mean"]


def _sampler(seed: int) -> Any:
    rng = np.random.default_rng([seed, 7])
    x = rng.standard_normal((N, 2)) * [1.0, 1.5]
    return pofx.check(WideSampler().fit(x), x, new=False, random_state=seed)


def _independent(seed: int) -> Any:
    x = pofx.Gaussian.from_params([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]]).sample(N, random_state=seed)
    return pofx.check(pofx.Gaussian("diag").fit(x), x, new=False, random_state=seed)


WRONG: dict[str, Callable[[int], Any]] = {
    "two components on three bumps": _three_bumps,
    "a Gaussian on moons": _moons,
    "a sampler with variances for standard deviations": _sampler,
    "independent columns, correlation 0.5": _independent,
    "a copier of its training rows (train=)": _copier,
}


def like(data: str, seed: int) -> Numbers:
    """Rows like a real data set, through the report's own path: compare, choose, check, say a word."""
    from pofx.auto import candidates

    model = _fitted(data)
    rows = model.sample(_size(data), random_state=seed)
    result = pofx.compare(candidates(0), rows, random_state=0)
    best = result[result.best_name]
    check = check_fitted(result.best, best.held_out.models, result.split, name=best.name)
    return {"word": check.verdict.word, "best": best.name, "p": dict(check.p_values), "case": check.case}


_FITS: dict[str, Any] = {}


def _table(data: str) -> Any:
    if data == "wine":
        from sklearn.datasets import load_wine

        return load_wine().data
    return pofx.read(str(ROOT / "examples" / f"{data}.csv"))


def _fitted(data: str) -> Any:
    if data not in _FITS:
        _FITS[data] = pofx.GaussianMixture().fit(_table(data))
    return _FITS[data]


def _size(data: str) -> int:
    return int(_fitted(data).fit_.n_rows)


# ---------------------------------------------------------------- sections


def section_known(scale: float) -> Numbers:
    """(a) This very density is claimed."""
    return {
        kind: {
            "cheap": _many(partial(cheap, kind), CHEAP, scale),
            "all": _many(partial(known, kind), DEAR, scale),
        }
        for kind in ("gaussian", "mixture")
    } | {"gaussian, fitted to 1,000 other rows": {"new": _many(partial(fresh, "gaussian"), WORDS, scale)}}


def section_family(scale: float) -> Numbers:
    """(b) The family is claimed."""
    return {kind: {"all": _many(partial(family, kind), DEAR, scale)} for kind in ("gaussian", "mixture")}


def section_power(scale: float) -> Numbers:
    """What is wrong is caught."""
    return {case: _many(partial(caught, case), POWER, scale) for case in WRONG}


def section_words(scale: float, minutes: float, before: Numbers) -> Numbers:
    """Rows like real ones are called good. Goes on where the last run stopped: a seed takes ten seconds."""
    found: Numbers = {data: before.get(data, {"seeds": 0, "seconds": 0.0, "found": []}) for data in LIKE}
    end, most = time.perf_counter() + 60.0 * minutes, max(10, int(WORDS * scale))
    with multiprocessing.get_context("fork").Pool() as pool:
        while time.perf_counter() < end:
            short = [data for data in LIKE if found[data]["seeds"] < most]
            if not short:
                break
            data = min(short, key=lambda name: found[name]["seeds"])
            started, at = time.perf_counter(), found[data]["seeds"]
            more = pool.map(partial(_quiet, partial(like, data)), range(at, min(at + 10, most)), chunksize=1)
            found[data] = {
                "seeds": at + len(more),
                "seconds": found[data]["seconds"] + time.perf_counter() - started,
                "found": found[data]["found"] + more,
            }
            good = sum(f["word"] == "good" for f in found[data]["found"])
            print(f"{data}: {good} of {found[data]['seeds']} good", flush=True)
    return found


SECTIONS: dict[str, Callable[[float], Numbers]] = {
    "known": section_known,
    "family": section_family,
    "power": section_power,
}


def _quiet(study: Callable[[int], Numbers], seed: int) -> Numbers:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return study(seed)


def _many(study: Callable[[int], Numbers], seeds: int, scale: float) -> Numbers:
    count, started = max(10, int(seeds * scale)), time.perf_counter()
    with multiprocessing.get_context("fork").Pool() as pool:
        found = pool.map(partial(_quiet, study), range(count), chunksize=1)
    seconds = time.perf_counter() - started
    print(f"{study}: {count} seeds in {seconds:.0f} s", flush=True)
    return {"seeds": count, "seconds": seconds, "found": found}


# ---------------------------------------------------------------- the page


def lines(store: Numbers) -> Iterator[str]:
    """Yield the page."""
    yield "# The judge judged: every bar, measured"
    yield ""
    machines = " / ".join(dict.fromkeys(part["machine"] for part in store.values()))
    took = sum(part["seconds"] for part in store.values()) / 60
    yield f"Made by `python benchmarks/judge.py` on {machines}; {took:.0f} minutes in all, at commit "
    yield ", ".join(dict.fromkeys(part["commit"] for part in store.values())) + "."
    yield ""
    if "known" in store or "family" in store:
        yield "## Calibration"
        yield ""
        yield (
            f"{N:,} rows of two columns, every second sample recorded to one decimal. p-values against the "
            "uniform distribution (Kolmogorov–Smirnov, bar p > 0.001); share of seeds at or below 5 %; "
            "coverage of the bands, each at the level in which `check` draws it (for the cheap ones 95 %), "
            "bar ± 2 points."
        )
        yield ""
        yield "| Case | Truth | Test | Seeds | KS p | p ≤ 5 % | Band holds | Bar |"
        yield "|---|---|---|---|---|---|---|---|"
        for case in ("known", "family"):
            for kind, studies in store.get(case, {}).get("results", {}).items():
                for study, many in studies.items():
                    if study != "new":
                        yield from _calibration(case, kind, study, many)
        yield ""
        for kind, studies in store.get("known", {}).get("results", {}).items():
            if "new" in studies:
                found = studies["new"]["found"]
                out = np.mean([not f["passed"] for f in found])
                yield f"Case new, {kind}: {out:.1%} of {len(found)} rejected (a test of this very density)."
                yield ""
        yield "## A right family, fitted, at n = 1,000"
        yield ""
        yield "| Case | Truth | Seeds | called good | else | Bar |"
        yield "|---|---|---|---|---|---|"
        for case in ("known", "family"):
            for kind, studies in store.get(case, {}).get("results", {}).items():
                if "all" not in studies:
                    continue
                found = studies["all"]["found"]
                good = sum(f["word"] == "good" for f in found)
                share = 1 - good / len(found)
                holds = _holds(share <= 0.05)
                yield f"| {case} | {kind} | {len(found)} | {good} | {share:.1%} | {holds} ≤ 5 % |"
        yield ""
    if "power" in store:
        yield "## What is wrong is caught, at n = 1,000"
        yield ""
        yield "| What | Seeds | rejected | not called good | Bar ≥ 95 % |"
        yield "|---|---|---|---|---|"
        for case, many in store["power"]["results"].items():
            found = many["found"]
            out = np.mean([not f["passed"] for f in found])
            bad = np.mean([f["word"] != "good" for f in found])
            yield f"| {case} | {len(found)} | {out:.0%} | {bad:.0%} | {_holds(bool(out >= 0.95))} |"
        yield ""
    if "words" in store:
        yield "## Rows like real ones, through the report's own path"
        yield ""
        yield (
            "Drawn from the mixture that fits the data best, at its recorded precision and of its size; then "
            "compare, choose, check, verdict, as `pofx report` does."
        )
        yield ""
        yield "| Rows like | Seeds | good | usable | fails | models chosen | Bar ≥ 95 % good |"
        yield "|---|---|---|---|---|---|---|"
        for data, many in store["words"]["results"].items():
            found = many["found"]
            n = [sum(f["word"] == word for f in found) for word in ("good", "usable", "fails")]
            best = sorted({f["best"] for f in found}, key=lambda b: -sum(f["best"] == b for f in found))
            names = ", ".join(f"{b} {sum(f['best'] == b for f in found)}" for b in best)
            share = n[0] / len(found)
            holds = _holds(share >= 0.95) if len(found) >= WORDS else f"so far; {WORDS} seeds are asked for"
            yield (f"| {data} | {len(found)} | {n[0]} ({share:.1%}) | {n[1]} | {n[2]} | {names} | {holds} |")
        yield ""


def _calibration(case: str, kind: str, study: str, many: Numbers) -> Iterator[str]:
    found = many["found"]
    names = list(dict.fromkeys(name for f in found for name in f["p"]))
    cases = {f.get("case", "known") for f in found}
    for name in names:
        p = np.array([f["p"][name] for f in found])
        ks = _uniform(p, study, case, name)
        rejected = float(np.mean(p <= 0.05))
        covered, wanted, holds = "", "", True
        if name in found[0]["inside"]:
            share = float(np.mean([f["inside"][name] for f in found]))
            target = 0.95 if study == "cheap" else 1.0 - LEVEL / 4
            covered, holds = f"{share:.1%} of {target:.1%}", abs(share - target) <= 0.02
        good = ks > 0.001 and holds
        where = "/".join(sorted(cases))
        yield (
            f"| {where} | {kind} | {name}{wanted} | {len(p):,} | {ks:.3g} | {rejected:.1%} | {covered} | "
            f"{_holds(good)} |"
        )


def _uniform(p: np.ndarray, study: str, case: str, name: str) -> float:
    """KS p-value against uniform. A minimum over columns times their number (Bonferroni) is not uniform by
    design, so its columns are tested one by one in the cheap study."""
    if name == "columns" and case == "known":
        return float(binomtest(int((p <= 0.05).sum()), len(p), 0.05, alternative="greater").pvalue)
    return float(kstest(p, "uniform").pvalue)


def _holds(holds: bool) -> str:
    return "yes" if holds else "**no**"


def commit() -> str:
    """Return the commit that is measured."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def main() -> None:
    """Run the sections asked for and make the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the seeds, and nothing is written")
    parser.add_argument("--only", nargs="+", choices=[*SECTIONS, "words"], default=[*SECTIONS, "words"])
    parser.add_argument("--minutes", type=float, default=60.0, help="of words; the next run goes on there")
    asked = parser.parse_args()
    store: Numbers = _unpacked(json.loads(STORE.read_text())) if STORE.exists() and not asked.quick else {}
    for name in asked.only:
        started = time.perf_counter()
        scale = 0.1 if asked.quick else 1.0
        if name == "words":
            before = store.get("words", {})
            results = section_words(scale, asked.minutes, before.get("results", {}))
            started -= before.get("seconds", 0.0)
        else:
            results = SECTIONS[name](scale)
        store[name] = {
            "machine": machine(),
            "commit": commit(),
            "seconds": time.perf_counter() - started,
            "results": results,
        }
        if not asked.quick:
            STORE.write_text(json.dumps(_packed(store)) + "\n")
            PAGE.write_text("\n".join(lines(store)) + "\n", encoding="utf-8")
    print("\n".join(lines(store)))


def _packed(value: Any) -> Any:
    """Return the store with one list per number instead of one record per seed, to four digits."""
    if isinstance(value, dict):
        return {key: _packed(v) for key, v in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {"columns": {key: _packed([record.get(key) for record in value]) for key in value[0]}}
    if isinstance(value, list):
        return [_packed(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value


def _unpacked(value: Any) -> Any:
    """Return what :func:`_packed` was given."""
    if isinstance(value, list):
        return [_unpacked(v) for v in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"columns"}:
        return {key: _unpacked(v) for key, v in value.items()}
    columns = {key: _unpacked(column) for key, column in value["columns"].items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


if __name__ == "__main__":
    main()
