"""Gaussian mixtures beside scikit-learn, pomegranate and mclust: iterations, the optimum, memory.

    .venv/bin/python benchmarks/mixture.py [--quick] [--only NAME]...

Writes benchmarks/results/mixture.md, mixture.png and mixture.json, the numbers of every section; ``--only``
measures some sections and keeps the others. ``--quick`` has small sizes and writes to a temporary folder.
Some 40 minutes on two cores, most of it to count scikit-learn's iterations.
Needs scikit-learn and matplotlib; pomegranate (and torch) and mclust's tables
(../shared, which is not part of this repository) are used where they are there.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contract import SHARED, rows_of
from main_job import ROOT, machine
from mixture_page import MOST_COUNTED, page, picture

RESULTS = ROOT / "benchmarks" / "results"
CASES = [(1_000_000, 2, 8), (500_000, 10, 8), (200_000, 16, 32), (100_000, 64, 16)]
QUICK = [(50_000, 2, 8), (20_000, 10, 8), (10_000, 16, 32), (40_000, 64, 16)]
PER_ROW = 1e-6  # nats per row from the basin's limit at which a run has arrived
PAIRS = 5
LONG = 60.0  # seconds from which a whole fit is timed once
MUCH = 1e8  # rows × columns × components from which there are three pairs


def world(n: int, d: int, k: int, seed: int = 0) -> np.ndarray:
    """Return rows of a mixture whose components overlap somewhat."""
    rng = np.random.default_rng(seed)
    means, shapes = 1.5 * rng.normal(size=(k, d)), rng.normal(size=(k, d, d)) / np.sqrt(d)
    label, x = rng.integers(k, size=n), np.empty((n, d))
    for c in range(k):
        mine = label == c
        x[mine] = means[c] + rng.normal(size=(mine.sum(), d)) @ (0.3 * np.eye(d) + shapes[c])
    return x


class Start:
    """Initial parameters that all libraries take: equal weights, rows as means, the rows' covariance."""

    def __init__(self, x: np.ndarray, k: int, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.k, self.weights = k, np.full(k, 1.0 / k)
        self.means = x[rng.choice(len(x), k, replace=False)]
        self.covariances = np.repeat(np.atleast_2d(np.cov(x.T))[None], k, axis=0)

    def sklearn(self, max_iter: int) -> Any:
        """Return an estimator that makes so many iterations."""
        from sklearn.mixture import GaussianMixture

        return GaussianMixture(
            self.k,
            weights_init=self.weights,
            means_init=self.means,
            precisions_init=np.linalg.inv(self.covariances),
            max_iter=max_iter,
            tol=0.0,
            reg_covar=1e-9,
            init_params="random_from_data",
        )

    def pofx(self, max_iter: int, tol: float) -> Any:
        """Return an estimator that makes so many iterations, or stops at ``tol`` total nats."""
        import pofx

        return pofx.GaussianMixture(
            self.k,
            covariance_type="full",
            weights_init=self.weights,
            means_init=self.means,
            covariances_init=self.covariances,
            max_iter=max_iter,
            tol=tol,
        )


class Arrival:
    """A whole fit, and when it came how far: seconds and log-likelihood after each pass over all rows."""

    def __init__(self, model: Any, x: np.ndarray, constant: float) -> None:
        from pofx.models.mixture import em

        stamps: list[tuple[float, float]] = []
        original = em._Run.pass_over

        def stamped(run: Any) -> None:
            original(run)
            if abs(run.rows.total - len(x)) < 0.5:  # not on a sample of them
                stamps.append((time.perf_counter() - started, float(run.best[0]) + constant))

        em._Run.pass_over = stamped  # type: ignore[method-assign]
        try:
            started = time.perf_counter()
            model.fit(x)
            self.seconds = time.perf_counter() - started
        finally:
            em._Run.pass_over = original  # type: ignore[method-assign]
        self.stamps, self.value = stamps, float(model.log_density(x).sum())

    def at(self, value: float) -> float:
        """Return the seconds to a log-likelihood, and from the last pass to the fitted model."""
        finish = self.seconds - self.stamps[-1][0]
        return finish + next((t for t, reached in self.stamps if reached >= value), self.stamps[-1][0])


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def dgemm_rate() -> float:
    """Return this machine's rate of matrix products in float64 (flop/s), all threads, best of seven."""
    a = np.random.default_rng(0).normal(size=(1500, 1500))
    out = np.empty_like(a)
    return 2.0 * 1500**3 / min(timed(lambda: np.matmul(a, a, out=out)) for _ in range(7))


# ---------------------------------------------------------------- speed


def engine(x: np.ndarray, start: Start) -> tuple[Any, np.ndarray, float]:
    """Return the rows as EM sees them, the state of the start, and what to add to a log-likelihood."""
    from pofx.core.fold import survey
    from pofx.maths.moments import Moments
    from pofx.models.mixture.frame import Frame
    from pofx.models.mixture.given import given_start, state_from_given
    from pofx.models.mixture.rows import CachedRows
    from pofx.models.mixture.structures import structure

    data = survey(x)
    frame = Frame.of(data.fold(lambda z, w: Moments.of(z, w)), data.units.exponent, diagonal=False)
    rows = CachedRows(frame.rows(data.all()[0]), np.ones(len(x)), frame, diagonal=False)
    given = given_start(start.weights, start.means, start.covariances, structure("full"), start.k, data.units)
    constant = data.total * (frame.log_det + data.units.log_jacobian)
    few = CachedRows(rows.y[:1000], rows.w[:1000], frame, diagonal=False)
    state = state_from_given(few, start.k, given)
    state[0] *= data.total / state[0].sum()
    return rows, state, constant


def speed(n: int, d: int, k: int) -> dict[str, Any]:
    """Seconds per iteration in interleaved pairs, and to within 1e-6 nats per row of the basin's limit."""
    from pofx.models.mixture.em import Mixtures, climb
    from pofx.models.mixture.structures import structure
    from pofx.threads import one_blas_thread

    x = world(n, d, k)
    start = Start(x, k)
    rows, state, constant = engine(x, start)
    mixtures = Mixtures([k], [structure("full")])

    def ours(passes: int) -> float:
        with one_blas_thread():
            return timed(lambda: climb(mixtures, state, rows, tol=1e-300, max_iter=passes, leave_floor=False))

    def theirs(iterations: int) -> float:
        return timed(lambda: start.sklearn(iterations).fit(x))

    def arrives(tol: float) -> Arrival:
        return Arrival(start.pofx(2000, tol), x, constant)

    more, passes = 3, 10
    turns = PAIRS if n * d * k < MUCH else 3
    ours(2)
    pairs = []
    for _ in range(turns):
        theirs_per = (theirs(1 + more) - theirs(1)) / more
        pairs.append((theirs_per, (ours(5 + passes) - ours(5)) / passes))
    whole = [arrives(0.2 * PER_ROW * n)]
    if whole[0].seconds < LONG:
        whole += [arrives(0.2 * PER_ROW * n) for _ in range(turns - 1)]
    # scikit-learn's iterations, counted by plain EM, which takes the same steps.
    with one_blas_thread():
        plain = climb(mixtures, state, rows, tol=1e-8 * n, max_iter=300, accelerate=False, leave_floor=False)
        limit = climb(mixtures, plain.states[0], rows, tol=1e-9 * n, max_iter=1000, leave_floor=False)
        basin = float(limit.log_likelihood[0]) + constant
        trace = np.array(plain.traces[0]) + constant
        while trace[-1] < basin - PER_ROW * n and len(trace) < MOST_COUNTED:
            plain = climb(
                mixtures, plain.states[0], rows, tol=1e-300, max_iter=300, accelerate=False, leave_floor=False
            )
            trace = np.concatenate([trace, np.array(plain.traces[0]) + constant])
    iterations = int((trace < basin - PER_ROW * n).sum()) + 1
    check = start.sklearn(4).fit(x).lower_bound_ * n
    features = 1 + d + d * (d + 1) // 2
    return {
        "n": n,
        "d": d,
        "k": k,
        "pairs": pairs,
        "iterations": iterations,
        "same_steps": abs(check - trace[3]) / n,
        "seconds_to": [one.at(basin - PER_ROW * n) for one in whole],
        "seconds_whole": [one.seconds for one in whole],
        "short": (basin - min(one.value for one in whole)) / n,
        "flops": 4.0 * features * k * n,
        "dgemm": dgemm_rate(),
    }


def small() -> dict[str, Any]:
    """Old Faithful, three components, one start: whole fits."""
    import pofx

    x = np.asarray(pofx.read(str(ROOT / "examples" / "faithful.csv")).values, dtype=float)
    start = Start(x, 3)
    n = len(x)
    record = speed_of_small(x, start)
    return {"n": n, "d": 2, "k": 3, **record}


def speed_of_small(x: np.ndarray, start: Start) -> dict[str, Any]:
    """As :func:`speed`, for few rows, where a whole fit is milliseconds."""
    from pofx.models.mixture.em import Mixtures, climb
    from pofx.models.mixture.structures import structure
    from pofx.threads import one_blas_thread

    n, k = len(x), start.k
    rows, state, constant = engine(x, start)
    mixtures = Mixtures([k], [structure("full")])
    with one_blas_thread():
        plain = climb(mixtures, state, rows, tol=1e-12, max_iter=5000, accelerate=False, leave_floor=False)
    trace = np.array(plain.traces[0]) + constant
    basin = trace[-1]
    iterations = int((trace < basin - PER_ROW * n).sum()) + 1
    pairs, whole = [], []
    for _ in range(PAIRS):
        theirs = sorted(
            timed(lambda: start.sklearn(201).fit(x)) - timed(lambda: start.sklearn(1).fit(x))
            for _ in range(5)
        )[2]
        with one_blas_thread():
            ours = sorted(
                timed(lambda: climb(mixtures, state, rows, tol=1e-300, max_iter=201, leave_floor=False))
                for _ in range(5)
            )[2]
        pairs.append((theirs / 200, ours / 201))
        model = start.pofx(5000, 0.2 * PER_ROW * n)
        mine = sorted((Arrival(model, x, constant) for _ in range(5)), key=lambda one: one.seconds)[2]
        peer = sorted(timed(lambda: start.sklearn(iterations).fit(x)) for _ in range(5))[2]
        whole.append((mine.at(basin - PER_ROW * n), peer, mine.value, mine.seconds))
    return {
        "pairs": pairs,
        "iterations": iterations,
        "same_steps": abs(start.sklearn(4).fit(x).lower_bound_ - trace[3] / n),
        "seconds_to": [w[0] for w in whole],
        "peer_to": [w[1] for w in whole],
        "seconds_whole": [w[3] for w in whole],
        "short": (basin - min(w[2] for w in whole)) / n,
        "flops": 4.0 * 6 * k * n,
        "dgemm": dgemm_rate(),
    }


def speeds(quick: bool) -> dict[str, Any]:
    """The table of the bars."""
    records = [small()]
    for case in QUICK if quick else CASES:
        records.insert(-1, speed(*case))
        print(*case, records[-2]["iterations"], records[-2]["pairs"], file=sys.stderr, flush=True)
    return {"records": records}


# ---------------------------------------------------------------- shared passes


def shared(quick: bool) -> dict[str, Any]:
    """A sweep K = 2 … 10, and ten restarts, in shared passes and one after another."""
    from pofx.models.mixture.em import Mixtures, climb
    from pofx.models.mixture.structures import structure
    from pofx.threads import one_blas_thread

    n, passes = (20_000 if quick else 200_000), 10
    x = world(n, 10, 8)
    full, records = structure("full"), []
    for name, sizes in (("K = 2 … 10", list(range(2, 11))), ("ten restarts, K = 8", [8] * 10)):
        starts = [engine(x, Start(x, k, seed=10 + i)) for i, k in enumerate(sizes)]
        rows = starts[0][0]
        states = [state for _, state, _ in starts]
        ratios, differ = [], 0.0
        for _ in range(PAIRS):
            with one_blas_thread():
                started = time.perf_counter()
                together = climb(
                    Mixtures(sizes, [full] * len(sizes)),
                    np.concatenate(states, axis=1),
                    rows,
                    tol=1e-300,
                    max_iter=passes,
                    accelerate=False,
                    leave_floor=False,
                )
                middle = time.perf_counter()
                alone = [
                    climb(
                        Mixtures([k], [full]),
                        s,
                        rows,
                        tol=1e-300,
                        max_iter=passes,
                        accelerate=False,
                        leave_floor=False,
                    )
                    for k, s in zip(sizes, states, strict=True)
                ]
                end = time.perf_counter()
            ratios.append(((end - middle), (middle - started)))
            one = np.array([a.log_likelihood[0] for a in alone])
            differ = max(differ, float(np.abs(together.log_likelihood / one - 1.0).max()))
        records.append({"name": name, "n": n, "pairs": ratios, "differ": differ})
    return {"records": records}


# ---------------------------------------------------------------- memory


FIT = """
import sys, time, numpy as np, pofx
from pofx.core.fold import Blocks
path, kind, iterations = sys.argv[1], sys.argv[2], int(sys.argv[3])
small = np.random.default_rng(0).normal(size=(3000, 4))
def model(it): return pofx.GaussianMixture(4, covariance_type="full", max_iter=it, tol=1e-300,
    means_init=np.eye(4) * 2, weights_init=np.full(4, .25))
import warnings; warnings.simplefilter("ignore")
model(3).fit(small)
if kind == "array":
    x = np.load(path)
else:
    whole = np.load(path, mmap_mode="r")
    step = 1_000_000
    def blocks():
        for at in range(0, len(whole), step):
            yield np.fromfile(path, dtype=whole.dtype, count=min(step, len(whole) - at) * 4,
                              offset=whole.offset + at * 4 * whole.itemsize).reshape(-1, 4)
    x = Blocks(blocks)
def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew, from what is held now
before = status("VmRSS")
t = time.perf_counter(); m = model(iterations).fit(x); seconds = time.perf_counter() - t
after = status("VmHWM")
print(seconds, (after - before) / 1024.0, m.fit_.trace[-1], m.means_.sum())
"""


def memory(quick: bool) -> dict[str, Any]:
    """Memory beyond the data, in memory and from a file, in processes of their own."""
    records = []
    sizes = [100_000] if quick else [1_000_000, 10_000_000, 100_000_000]
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            path = Path(folder) / f"{n}.npy"
            rng = np.random.default_rng(0)
            centres = np.eye(4) * 4
            out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(n, 4))
            for at in range(0, n, 1_000_000):
                stop = min(at + 1_000_000, n)
                out[at:stop] = rng.normal(size=(stop - at, 4)) + centres[rng.integers(4, size=stop - at)]
            out.flush()
            del out
            for kind in ("array", "file"):
                done = subprocess.run(
                    [sys.executable, "-c", FIT, str(path), kind, "6"],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    records.append({"n": n, "kind": kind, "failed": done.stderr.strip()[-300:]})
                    continue
                seconds, extra, value, total = map(float, done.stdout.split())
                records.append(
                    {"n": n, "kind": kind, "seconds": seconds, "extra": extra, "value": value, "sum": total}
                )
            path.unlink()
    return {"records": records}


# ---------------------------------------------------------------- mclust's tables


def reference(quick: bool) -> dict[str, Any]:
    """Every finite cell of mclust's tables; nesting; the default choice; em_optima.csv."""
    import pofx
    from pofx.models.mixture.structures import structure

    folder = SHARED / "reference"
    if not folder.exists():
        return {"records": []}
    with (folder / "em_optima.csv").open() as f:
        optima = list(csv.DictReader(f))
    records = []
    for name in ("acidity", "galaxies", "precip", "faithful", *(() if quick else ("iris", "diabetes"))):
        x = rows_of("diabetes_mclust.csv" if name == "diabetes" else f"{name}.csv")
        n = len(x)
        with (folder / "mclust_bic" / f"{name}.csv").open() as f:
            lines = list(csv.reader(f))
        seconds = time.perf_counter()
        model = pofx.GaussianMixture(range(1, 10), covariance_type="all").fit(x)
        seconds = time.perf_counter() - seconds
        short = {"EEE": "E", "VVV": "V"}
        cells = {}
        for row in model.fit_.search:
            mclust = structure(row["covariance_type"]).mclust
            cells[short.get(mclust, mclust) if x.shape[1] == 1 else mclust, row["n_components"]] = row
        finite, behind, worst = 0, [], 0.0
        for line in lines[1:]:
            for s, text in zip(lines[0][1:], line[1:], strict=True):
                if text.strip() in ("", "NA"):
                    continue
                if name == "diabetes" and (s, line[0]) == ("EVV", "8"):
                    continue
                finite += 1
                mine = cells[s, int(line[0])]
                theirs = (float(text) + mine["n_parameters"] * np.log(n)) / 2.0
                have = mine["log_likelihood"] if mine["regular"] else -np.inf
                worst = max(worst, theirs - have)
                if have < theirs - 1e-3:
                    behind.append(f"{s},{line[0]}: {have - theirs:.3f}")
        violations = 0
        for (s, k), row in cells.items():
            if not row["regular"] or x.shape[1] == 1:
                continue
            for (o, k2), other in cells.items():
                special = k2 == k and structure(s).contains(structure(o))
                if (special or (o == s and k2 == k - 1)) and other["regular"]:
                    violations += row["log_likelihood"] < other["log_likelihood"] - 1e-6
        reached = [
            [cells[o["covariance"], int(o["K"])]["log_likelihood"], float(o["loglik_at_least"])]
            for o in optima
            if o["dataset"] == name
        ]
        started = time.perf_counter()
        chosen = pofx.GaussianMixture().fit(x)
        records.append(
            {
                "name": name,
                "cells": finite,
                "behind": behind,
                "worst": worst,
                "violations": int(violations),
                "optima": reached,
                "seconds": seconds,
                "chosen": f"{structure(chosen.covariance_type_).mclust},{chosen.n_components_}",
                "auto_seconds": time.perf_counter() - started,
            }
        )
    return {"records": records}


def pomegranate(quick: bool) -> dict[str, Any]:
    """pomegranate's time per iteration on the first cases, where it is installed."""
    try:
        import torch
        from pomegranate.distributions import Normal
        from pomegranate.gmm import GeneralMixtureModel
    except ImportError:
        return {"records": []}
    torch.set_num_threads(2)
    records = []
    for n, d, k in (QUICK if quick else CASES)[:3]:
        x = world(n, d, k)
        start = Start(x, k)
        t = torch.tensor(x)

        def run(iterations: int, t: Any = t, start: Start = start) -> float:
            parts = [
                Normal(torch.tensor(m), torch.tensor(c), covariance_type="full")
                for m, c in zip(start.means, start.covariances, strict=True)
            ]
            model = GeneralMixtureModel(
                parts, priors=torch.tensor(start.weights), max_iter=iterations, tol=0.0
            ).double()
            return timed(lambda: model.fit(t))

        try:
            seconds = [(run(4) - run(1)) / 3 for _ in range(3)]
            records.append({"n": n, "d": d, "k": k, "seconds": sorted(seconds)[1]})
        except Exception as error:  # whatever the peer raises is its answer
            records.append({"n": n, "d": d, "k": k, "failed": f"{type(error).__name__}: {error}"[:200]})
    return {"records": records}


SECTIONS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "reference": reference,
    "shared": shared,
    "speed": speeds,
    "memory": memory,
    "pomegranate": pomegranate,
}


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=list(SECTIONS))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    into = Path(tempfile.mkdtemp()) if asked.quick else RESULTS
    kept = into / "mixture.json"
    store: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for name in asked.only or SECTIONS:
        print(name, "…", file=sys.stderr, flush=True)
        started = time.perf_counter()
        store[name] = SECTIONS[name](asked.quick) | {"machine": machine()}
        store[name]["took"] = time.perf_counter() - started
        kept.write_text(json.dumps(store, indent=1) + "\n")
        (into / "mixture.md").write_text(page(store))
    picture(store, into / "mixture.png")
    print(into / "mixture.md")


if __name__ == "__main__":
    main()
