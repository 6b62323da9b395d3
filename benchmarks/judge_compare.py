"""`compare` judged: do its intervals cover, does the truth rank first, what do hopeless candidates cost?

    .venv/bin/python benchmarks/judge_compare.py [--quick]

Writes benchmarks/results/judge_compare.md. Some ten minutes on one core; --quick takes a tenth of the seeds
and prints the page instead of writing it.

What an interval should cover is the mean over folds of the difference that the fits of the folds have under
the world that the rows came from, known here by quadrature in one column and from 20,000 new draws in two.
"""

from __future__ import annotations

import os

os.environ.setdefault("POFX_NUM_THREADS", "1")  # one core, so that the seconds mean something

import argparse
import itertools
import math
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from main_job import ROOT, machine

import pofx
from pofx.evaluate.heldout import HeldOut, held_out, paired, split

RESULTS = ROOT / "benchmarks" / "results" / "judge_compare.md"
SEEDS = 400
LEVELS = 8_000  # points of the quadrature, equally likely under the world
DRAWS = 20_000

TWO_BUMPS = pofx.worlds.mixture([0.6, 0.4], [[0.0], [4.0]], [[[1.0]], [[0.5]]])
WORLDS: dict[str, tuple[Any, list[list[float]]]] = {  # the world, and where the mixture's EM starts
    "two bumps, 1 column": (TWO_BUMPS, [[0.0], [4.0]]),
    "Student's t, 1 column": (pofx.worlds.student_t(), [[-1.0], [1.0]]),
    "three bumps, 2 columns": (pofx.worlds.three_bumps(), [[-2.0, 0.0], [2.0, 0.0]]),
}


def models(starts: list[list[float]]) -> dict[str, Any]:
    """Return the four kinds of estimate, each quick to fit."""
    return {
        "Gaussian": pofx.Gaussian(),
        "mixture(2)": pofx.GaussianMixture(2, means_init=starts),
        "KDE": pofx.KDE("silverman"),
        "Histogram": pofx.Histogram(),
    }


# ---------------------------------------------------------------- intervals


@cache
def levels(name: str) -> np.ndarray:
    """Return values of a world of one column that are equally likely, for quadrature."""
    world, _ = WORLDS[name]
    return np.asarray(world.quantile((np.arange(LEVELS) + 0.5) / LEVELS))[:, None]


def expected(record: HeldOut, points: np.ndarray) -> float:
    """Return the mean over the fits of the folds of their mean log density at points of the world."""
    return float(np.mean([fit.log_density(points).mean() for fit in record.models]))


def covers(name: str, n: int, seed: int) -> Iterator[tuple[str, bool | None]]:
    """Yield each pair of models, and whether its 95 % interval covers; None where one of them calls a row
    impossible, so that there is no interval."""
    world, starts = WORLDS[name]
    rows = world.sample(n, random_state=np.random.default_rng([seed, 0]))
    records, _ = held_out(models(starts), split(rows, random_state=seed))
    if world.n_features_in_ == 1:
        points = levels(name)
    else:
        points = np.asarray(world.sample(DRAWS, random_state=np.random.default_rng([seed, 1])))
    truths = {record.name: expected(record, points) for record in records}
    for one, other in itertools.combinations(records, 2):
        found = paired(one, other)
        truth = truths[one.name] - truths[other.name]
        if not (math.isfinite(found.error) and math.isfinite(truth)):
            yield f"{one.name} − {other.name}", None
            continue
        low, high = found.interval()
        yield f"{one.name} − {other.name}", low <= truth <= high


def coverage(seeds: int) -> Iterator[str]:
    """The table of coverages."""
    yield "| world | n | pair | covered | of seeds | |"
    yield "|---|---|---|---|---|---|"
    for name, n in itertools.product(WORLDS, (200, 1_000)):
        held: dict[str, list[bool]] = {}
        for seed in range(seeds):
            for pair, inside in covers(name, n, seed):
                held.setdefault(pair, [])
                if inside is not None:
                    held[pair].append(inside)
        for pair, inside in held.items():
            if len(inside) < seeds // 2:
                yield f"| {name} | {n:,} | {pair} | no interval: impossible rows | {len(inside)} | |"
                continue
            share = float(np.mean(inside))
            good = "yes" if 0.92 <= share <= 0.98 else "**no**"
            yield f"| {name} | {n:,} | {pair} | {100 * share:.1f} % | {len(inside)} | {good} |"


# ---------------------------------------------------------------- ranking


def ranking(seeds: int) -> Iterator[str]:
    """Every world whose density is known, beside four models fitted to 500 of its rows."""
    yield "| world | −entropy | truth, held out | it ranks | next, behind by | first or within 2 s.e. |"
    yield "|---|---|---|---|---|---|"
    for name in pofx.worlds.names():
        if name in ("mixture", "rounded"):  # the first is what its options say; the second is no density
            continue
        world = pofx.worlds.get(name)
        places, inside = [], 0
        for seed in range(seeds):
            tried = {
                "the truth": world,
                **models([[0.0] * world.n_features_in_, [1.0] * world.n_features_in_]),
            }
            result = pofx.compare(tried, world.sample(500, random_state=seed), rivals=False)
            entry = result["the truth"]
            places.append([e.name for e in result.table].index("the truth") + 1)
            inside += entry.difference >= -2.0 * entry.difference_error
            after = next(e for e in result.table if e.name != "the truth")
            gap = paired(entry.held_out, after.held_out)
        place = "first" if max(places) == 1 else f"{min(places)} to {max(places)}"
        mean = f"{entry.held_out.mean:.3f} ± {entry.held_out.standard_error:.3f}"
        behind = f"{after.name}: {gap.value:.3f} ± {gap.error:.3f}"
        yield (
            f"| {name} | {-float(world.entropy()):.3f} | {mean} | {place} | {behind} | {inside} of {seeds} |"
        )


# ---------------------------------------------------------------- hopeless candidates


def dropping() -> Iterator[str]:
    """Thirty candidates that cost alike, against those of them that survive."""
    rows = pofx.worlds.moons().sample(5_000, random_state=0)
    widths = [float(h) for h in np.geomspace(0.03, 3.0, 30)]
    thirty: dict[str, Any] = {f"KDE of width {h:.3f}": pofx.KDE(h) for h in widths}
    started = time.process_time()
    result = pofx.compare(thirty, rows, rivals=False)
    all_of_them = time.process_time() - started
    kept = [e for e in result.table if e.role == "candidate" and not e.held_out.dropped]
    started = time.process_time()
    again = pofx.compare({e.name: thirty[e.name] for e in kept}, rows, rivals=False)
    survivors = time.process_time() - started
    same = again.best_name == result.best_name
    fits = sum(e.held_out.fits for e in result.table if e.role == "candidate")
    yield "| | candidates | fits of folds | CPU seconds | best |"
    yield "|---|---|---|---|---|"
    yield f"| thirty | {len(thirty)} | {fits} | {all_of_them:.1f} | {result.best_name} |"
    yield f"| the survivors alone | {len(kept)} | {5 * len(kept)} | {survivors:.1f} | {again.best_name} |"
    yield ""
    ratio = f"{all_of_them / survivors:.2f} times the time"
    yield f"{ratio}; without dropping, {30 / len(kept):.1f} times the fits. The same model is best: {same}."


def page(quick: bool) -> str:
    """Return the page."""
    started = time.process_time()
    seeds = SEEDS // 10 if quick else SEEDS
    parts = [
        "# `compare` judged",
        "`.venv/bin/python benchmarks/judge_compare.py` makes this page.",
        "## Do 95 % intervals of differences cover?",
        f"Bar: 92 to 98 % of {seeds} seeds. A share of 95 % has a standard error of "
        f"{100 * math.sqrt(0.95 * 0.05 / seeds):.1f} % here.",
        "\n".join(coverage(seeds)),
        "## Does the truth rank first?",
        "\n".join(ranking(1 if quick else 5)),
        "## What do hopeless candidates cost?",
        "\n".join(dropping()),
    ]
    parts.append(f"{time.process_time() - started:.0f} s of one core, {machine()}.")
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure and write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--quick", action="store_true", help="a tenth of the seeds; print, do not write")
    quick = asked.parse_args().quick
    text = page(quick)
    if quick:
        print(text)
    else:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
