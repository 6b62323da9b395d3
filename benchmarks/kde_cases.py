"""What benchmarks/kde.py measures: data, references, and a process per library that fits, waits and is timed.

A measured library lives in a process of its own (this file run as a script), so that its peak of memory is
its own; the processes of a case are asked in turn, one at a time, so that a change of the machine's speed
meets all.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]
Record = dict[str, Any]
Evaluate = Callable[[Floats], Any]

IID, LOWEST = 150, 50  # probed queries: the first, and those of lowest density
LONGEST = 4.0  # seconds: a library other than pofx that needs longer for all queries is timed on some
TINY = 100  # queries: so few are asked 200 times in a turn
GRID = 1024  # points of a density on a grid
SOME = 2.5  # seconds that those take, within IID to 2,000 queries


# ---------------------------------------------------------------- data


@dataclass(frozen=True)
class Mixture:
    """Three to six Gaussian components in d columns, their sizes and places from a fixed seed."""

    d: int

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return rows, and their true log densities up to a constant."""
        fixed = np.random.default_rng(self.d)
        k = 3 + self.d % 4
        centres, spread = fixed.normal(scale=2.0, size=(k, self.d)), fixed.uniform(0.7, 1.3, size=k)
        own = rng.integers(k, size=n)
        z = centres[own] + spread[own, None] * rng.normal(size=(n, self.d))
        logs = [
            -0.5 * ((z - c) ** 2).sum(axis=1) / s**2 - self.d * math.log(s)
            for c, s in zip(centres, spread, strict=True)
        ]
        return z, np.asarray(logsumexp(logs, axis=0))


@dataclass(eq=False)
class Case:
    """n points, n queries, a bandwidth; files of them for the processes; reference values at the probes."""

    kind: str
    n: int
    d: int
    folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.n, self.d, 20])
        self.h = self.n ** (-1.0 / (self.d + 4))
        self.x, self.q, depth = getattr(self, f"_{self.kind.partition(',')[0]}")(rng)
        first = np.arange(min(IID, self.n))
        self.probes = np.r_[first, np.argsort(depth)[: min(LOWEST, self.n)]]
        for name in ("x", "q", "probes"):
            np.save(Path(self.folder.name) / f"{name}.npy", getattr(self, name))

    def _smooth(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """A mixture whose points have covariance 1, so that scipy's kernel is everybody's."""
        (x, _), (q, depth) = (Mixture(self.d).draw(self.n, rng) for _ in range(2))
        centre, root = x.mean(axis=0), np.linalg.cholesky(np.atleast_2d(np.cov(x.T)))
        x, q = ((v - centre) @ np.linalg.inv(root).T for v in (x, q))
        if "tails" in self.kind:  # a quarter of the queries goes out to 2.5 times its distance
            q[::4] *= 2.5
            depth[::4] = -0.5 * (q[::4] ** 2).sum(axis=1)
        return np.ascontiguousarray(x), np.ascontiguousarray(q), depth

    def _cauchy(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        x, q = rng.standard_cauchy((2, self.n, self.d))
        self.h *= 2.0 / 1.349  # the interquartile range of a standard Cauchy is 2
        return x, q, -np.abs(q).max(axis=1)

    def _clusters(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Half with sd 1 about 0, half with sd 1e-6 about 5; the bandwidth suits the narrow half."""
        x, q = rng.normal(size=(2, self.n, self.d))
        for v in (x, q):
            v[::2] = 5.0 + 1e-6 * v[::2]
        self.h *= 1e-6
        return x, q, -np.abs(q - 5.0).max(axis=1)

    def _rounded(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        x, q, depth = self._smooth(rng)
        return np.round(x, 1), np.round(q, 2), depth

    def _outlier(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        x, q, depth = self._smooth(rng)
        x[0], q[-3:] = 1e9, np.array([1e9, 1e9 + 3.0 * self.h, 5e8])[:, None]
        depth[-3:] = -math.inf
        return x, q, depth

    @cached_property
    def reference(self) -> Floats:
        """Log densities at the probes: all pairs, direct differences, logsumexp; NumPy float64."""
        return naive(self.x, self.h, self.q[self.probes])

    @cached_property
    def exact(self) -> Floats:
        """The same with 50 digits."""
        return fifty_digits(self.x, self.h, self.q[self.probes])


def naive(x: Floats, h: float, queries: Floats, rows: int = 2**15) -> Floats:
    """Return log densities by all pairs, independent of pofx."""
    n, d = x.shape
    out = np.full(len(queries), -math.inf)
    for a in range(0, n, rows):
        part = x[a : a + rows]
        for i, query in enumerate(queries):
            terms = np.zeros(len(part))
            for j in range(d):
                terms -= 0.5 * ((query[j] - part[:, j]) / h) ** 2
            out[i] = np.logaddexp(out[i], logsumexp(terms))
    return out - math.log(n) - d * math.log(h * math.sqrt(2.0 * math.pi))


def fifty_digits(x: Floats, h: float, queries: Floats) -> Floats:
    """Return log densities by all pairs with 50 digits."""
    import mpmath as mp

    with mp.workdps(50):
        points, width = [[mp.mpf(v) for v in row] for row in x.tolist()], mp.mpf(h)
        scale = mp.log(len(points)) + x.shape[1] * mp.log(width * mp.sqrt(2 * mp.pi))
        out = []
        for query in queries.tolist():
            row = [mp.mpf(v) for v in query]
            squares = [sum((a - b) ** 2 for a, b in zip(row, p, strict=True)) / width**2 / 2 for p in points]
            least = min(squares)
            out.append(float(mp.log(mp.fsum(mp.exp(least - s) for s in squares)) - least - scale))
    return np.array(out)


# ---------------------------------------------------------------- libraries: fit, and return what evaluates


def pofx_kde(rtol: float = 1e-6, bandwidth: str | None = None) -> Callable[[Floats, float], Evaluate]:
    """pofx.KDE with this tolerance."""

    def fit(x: Floats, h: float) -> Evaluate:
        import pofx

        evaluate: Evaluate = pofx.KDE(bandwidth or h, rtol=rtol).fit(x).log_density
        return evaluate

    return fit


def pofx_grid(x: Floats, h: float) -> Evaluate:
    """``density_grid`` of a fitted model."""
    model = pofx_kde()(x, h).__self__  # type: ignore[attr-defined]

    def evaluate(q: Floats) -> Floats:
        found = model.density_grid(len(q))
        return np.array([found.axes[0], found.density])

    return evaluate


def kdepy_grid(x: Floats, h: float) -> Evaluate:
    """KDEpy's FFT estimate on its own grid."""
    from KDEpy import FFTKDE

    return lambda q: np.array(FFTKDE(bw=h).fit(x[:, 0]).evaluate(len(q)))


def scikit_learn(rtol: float) -> Callable[[Floats, float], Evaluate]:
    """sklearn.neighbors.KernelDensity with its default tree."""

    def fit(x: Floats, h: float) -> Evaluate:
        from sklearn.neighbors import KernelDensity

        evaluate: Evaluate = KernelDensity(bandwidth=h, rtol=rtol).fit(x).score_samples
        return evaluate

    return fit


def scipy_kde(x: Floats, h: float) -> Evaluate:
    """scipy.stats.gaussian_kde; the points have covariance 1, so that its factor is h."""
    from scipy.stats import gaussian_kde

    model = gaussian_kde(x.T, bw_method=h)
    return lambda q: model.logpdf(q.T)


def kdepy_fft(x: Floats, h: float) -> Evaluate:
    """KDEpy's FFT estimate on a grid (2¹⁴, 512², 64³ points), interpolated linearly to the queries."""
    from KDEpy import FFTKDE
    from scipy.interpolate import RegularGridInterpolator

    d = x.shape[1]
    each = {1: 2**14, 2: 512, 3: 64}[d]

    def evaluate(q: Floats) -> Floats:
        grid, density = FFTKDE(bw=h).fit(x).evaluate((each,) * d)
        if d == 1:
            return np.log(np.interp(q[:, 0], grid, density, left=0.0, right=0.0))
        axes = tuple(np.unique(grid[:, j]) for j in range(d))
        at = RegularGridInterpolator(axes, density.reshape((each,) * d), bounds_error=False, fill_value=0.0)
        return np.asarray(np.log(at(q)))

    return evaluate


def kdepy_tree(x: Floats, h: float) -> Evaluate:
    """KDEpy's tree with its default cut-off."""
    from KDEpy import TreeKDE

    model = TreeKDE(bw=h).fit(x)
    return lambda q: np.log(model.evaluate(q))


def statsmodels_fft(x: Floats, h: float) -> Evaluate:
    """statsmodels' KDEUnivariate by FFT on a grid of 2¹⁴, interpolated linearly to the queries."""
    from statsmodels.nonparametric.api import KDEUnivariate

    def evaluate(q: Floats) -> Floats:
        model = KDEUnivariate(x[:, 0])
        model.fit(bw=h, fft=True, gridsize=2**14)
        return np.log(np.interp(q[:, 0], model.support, model.density, left=0.0, right=0.0))

    return evaluate


def statsmodels_pairs(x: Floats, h: float) -> Evaluate:
    """statsmodels' KDEMultivariate, all pairs."""
    from statsmodels.nonparametric.api import KDEMultivariate

    d = x.shape[1]
    model = KDEMultivariate(x, "c" * d, bw=[h] * d)
    return lambda q: np.log(model.pdf(q))


LIBRARIES: dict[str, Callable[[Floats, float], Evaluate]] = {
    "pofx": pofx_kde(),
    "pofx rtol=0": pofx_kde(0.0),
    "pofx likelihood_cv": pofx_kde(bandwidth="likelihood_cv"),
    "pofx grid": pofx_grid,
    "KDEpy grid": kdepy_grid,
    "scikit-learn rtol=1e-4": scikit_learn(1e-4),
    "scikit-learn rtol=0": scikit_learn(0.0),
    "scipy": scipy_kde,
    "KDEpy FFTKDE": kdepy_fft,
    "KDEpy TreeKDE": kdepy_tree,
    "statsmodels KDEUnivariate": statsmodels_fft,
    "statsmodels KDEMultivariate": statsmodels_pairs,
}
ONE_THREAD = ", 1 thread"
WHOLE = ("pofx", "KDEpy FFTKDE", "KDEpy grid", "statsmodels KDEUnivariate")  # always asked for all queries


# ---------------------------------------------------------------- one library in a process of its own


def resident(forget: bool = False) -> float:
    """Return the peak of resident memory, MB; or what is resident now, and start a new peak."""
    try:
        if forget:
            Path("/proc/self/clear_refs").write_text("5")
        name = "VmRSS" if forget else "VmHWM"
        found = re.search(rf"{name}:\s*(\d+)", Path("/proc/self/status").read_text())
        return int(found[1]) * 1024 / 1e6 if found else math.nan
    except OSError:  # not Linux: the peak of the whole process so far
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call and its answer."""
    started = time.perf_counter()
    answer = call()
    return time.perf_counter() - started, answer


def typical_seconds(call: Callable[[], Any], times: int) -> float:
    """Return the median seconds of some calls."""
    return float(np.median([seconds_of(call)[0] for _ in range(times)]))


def how_many(evaluate: Evaluate, q: Floats, least: int) -> int:
    """Return how many of the queries fit the time a slow library has."""
    seconds, _ = seconds_of(lambda: evaluate(q[:20]))
    each = seconds / min(20, len(q))
    if each * len(q) <= LONGEST:
        return len(q)
    return min(len(q), max(least, IID, min(2000, int(SOME / each))))


def work(folder: str, library: str, h: float, least: int) -> None:
    """Fit, answer one call with its memory and values; then one call's seconds for each line of input."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    build, grid = LIBRARIES[library.removesuffix(ONE_THREAD)], library.endswith("grid")
    x, q, probes = (np.load(Path(folder) / f"{name}.npy") for name in ("x", "q", "probes"))
    q = q[:GRID] if grid else q
    if "likelihood" not in library:
        build(x[:2000].copy(), h)(q[:2000])  # imports and first-call work, outside all numbers
    input()
    before = resident(forget=True)
    fit_s, evaluate = seconds_of(lambda: build(x, h))
    peak_fit = resident()
    count = len(q) if library.startswith(WHOLE) else how_many(evaluate, q, least)
    between = resident(forget=True)
    call_s, out = seconds_of(lambda: evaluate(q[:count]))
    peak = resident()
    record: Record = {"fit_s": fit_s, "call_s": call_s, "asked": count, "m": len(q)}
    record |= {"call_mb": max(0.0, peak - between), "peak_mb": max(0.0, peak_fit - before, peak - before)}
    if grid:
        record["values"] = out[:, np.linspace(0, count - 1, 200).astype(int)].tolist()
        record["largest"] = float(out[1].max())
    elif count == len(q):
        record["values"] = out[probes].tolist()
    else:
        record["values"] = [*out[:IID].tolist(), *evaluate(q[probes[IID:]]).tolist()]
    model = getattr(evaluate, "__self__", None)
    if library.startswith("pofx") and hasattr(model, "plan"):
        plan = model.plan(q)
        record["plan"] = {
            "text": str(plan), "engine": plan.engine, "grids": len(plan.windows),
            "whole": any(window.queries is None for window in plan.windows),  # one grid for all
            "seconds": plan.seconds, "mb": plan.bytes / 1e6,
        }  # fmt: skip
    print(json.dumps(record), flush=True)
    part, times = q[:count], 1 if count > TINY else 200
    while sys.stdin.readline():
        print(json.dumps(typical_seconds(lambda: evaluate(part), times)), flush=True)


class Worker:
    """The other end of that process."""

    def __init__(self, case: Case, library: str, least: int) -> None:
        self.case, self.library, self.last = case, library, "{}"
        one = {"POFX_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} if library.endswith(ONE_THREAD) else {}
        words = [case.folder.name, library, repr(case.h), str(least)]
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
            env=os.environ | {"PYTHONWARNINGS": "ignore"} | one,
        )  # fmt: skip

    def ask(self) -> Any:
        """Return its next answer; None if it died."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else None

    def end(self) -> str:
        """Let it go; return the last line of what it complained of."""
        _, said = self.process.communicate()
        return (said.strip().splitlines() or ["died without a word"])[-1][:200]


def race(entrants: Iterable[tuple[Case, str]], *, least: int = 0, exact: bool = False) -> list[Record]:
    """Return a record per (case, library): first each alone, then in turn, three or five times, the short."""
    workers = [Worker(case, name, least if name.startswith("scikit-learn") else 0) for case, name in entrants]
    records, left = [], []
    for worker in workers:
        case, answer = worker.case, worker.ask()
        record: Record = {"kind": case.kind, "d": case.d, "n": case.n, "library": worker.library}
        record |= answer or {"failed": worker.end()}
        records.append(record)
        if not answer:
            print(f"    {worker.library} d={case.d} n={case.n:,} FAILED: {record['failed']}", flush=True)
        if answer:
            _judge(record, case, exact)
            long = record["call_s"] >= (8.0 if worker.library.startswith("pofx") else 2.0)
            left.append((worker, record, [], 0 if long else 3 if record["call_s"] > 0.5 else 5))
            print("   ", line_of(record), flush=True)
    for turn in range(5):
        for worker, _, times, rounds in left:
            if turn < rounds:
                times.append(worker.ask())
    for worker, record, times, _ in left:
        worker.end()
        record["repeats"] = max(1, len(times))
        record["call_s"] = float(np.median(times or [record["call_s"]])) * record["m"] / record["asked"]
    return records


def _judge(record: Record, case: Case, exact: bool) -> None:
    """Replace values by their errors in nats; ``within`` is the worst, in what the default rtol allows."""
    values = np.array(record.pop("values"))
    if record["library"].endswith("grid"):
        grid, density = values
        shown = density > 1e-6 * record.pop("largest")
        truth = np.exp(naive(case.x, case.h, grid[shown, None]))
        record["error"] = float(np.abs(density[shown] / truth - 1.0).max())
        return
    if record["library"].startswith("pofx likelihood"):
        return
    truth = case.exact if exact else case.reference
    gap = np.abs(values - truth)
    record["error"], record["typical"] = float(gap.max()), float(np.median(gap))
    eps = np.finfo(float).eps
    allowed = 1e-6 + 8.0 * eps * np.abs(truth)
    record["within"] = float((gap / allowed).max())
    # how far log p moves when query and row move by a rounding of the largest: its slope far out is |z|/h
    moved = 2.0 * eps * np.abs(case.x).max() * np.sqrt(2.0 * np.abs(truth)) / case.h
    record["within_rounded"] = float((gap / (allowed + moved)).max())


def line_of(record: Record) -> str:
    """One line of progress."""
    words = f"{record['library']:<28} d={record['d']} n={record['n']:<8,} fit {record['fit_s']:.3g} s, "
    return words + (
        f"call {record['call_s']:.3g} s of {record['asked']:,}, peak {record['peak_mb']:.0f} MB, "
        f"error {record.get('error', math.nan):.1e}"
    )


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
