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


def covers(name: str, n: int, seed: int) -> Iterator[tuple[str, bool | str]]:
    """Yield each pair of models, and whether its 95 % interval covers, or why there is none."""
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
        low, high = found.interval()
        pair = f"{one.name} − {other.name}"
        if found.doubt:
            yield pair, "a few rows decide"
        elif not (math.isfinite(found.error) and math.isfinite(truth)):
            yield pair, "impossible rows"
        else:
            yield pair, low <= truth <= high


def coverage(seeds: int) -> Iterator[str]:
    """The table of coverages."""
    yield "| world | n | pair | intervals given | covered | bar | why none |"
    yield "|---|---|---|---|---|---|---|"
    for name, n in itertools.product(WORLDS, (200, 1_000)):
        held: dict[str, list[bool | str]] = {}
        for seed in range(seeds):
            for pair, inside in covers(name, n, seed):
                held.setdefault(pair, []).append(inside)
        for pair, found in held.items():
            given = [inside for inside in found if not isinstance(inside, str)]
            why = ", ".join(
                f"{word}: {found.count(word)}" for word in sorted({w for w in found if isinstance(w, str)})
            )
            if len(given) < seeds // 2:
                yield f"| {name} | {n:,} | {pair} | {len(given)} | – | | {why} |"
                continue
            share = float(np.mean(given))
            good = "yes" if 0.92 <= share <= 0.98 else "**no**"
            yield f"| {name} | {n:,} | {pair} | {len(given)} | {100 * share:.1f} % | {good} | {why} |"


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


def alike() -> dict[str, Any]:
    """Thirty candidates that cost alike."""
    return {f"KDE of width {h:.3f}": pofx.KDE(float(h)) for h in np.geomspace(0.03, 3.0, 30)}


def mixed() -> dict[str, Any]:
    """Thirty candidates of all kinds, nearly all of them dearer than the winner."""
    found: dict[str, Any] = {f"Gaussian {c}": pofx.Gaussian(c) for c in ("full", "diag", "spherical")}
    for k, c in itertools.product(range(2, 9), ("full", "diag")):
        found[f"mixture({k}, {c})"] = pofx.GaussianMixture(k, covariance_type=c)
    found |= {f"KDE of width {h:.3f}": pofx.KDE(float(h)) for h in np.geomspace(0.05, 1.0, 8)}
    found |= {f"KDE {rule}": pofx.KDE(rule) for rule in ("scott", "silverman")}
    return found | {f"{bins} bins": pofx.Histogram(bins=bins) for bins in (4, 10, 30)}


def dropping() -> Iterator[str]:
    """Thirty candidates against those of them that survive."""
    yield (
        "| candidates | rows | survive | on trial only | fits of folds | without dropping | CPU seconds "
        "| the survivors alone | ratio | the same best |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for (what, make), n in itertools.product((("alike", alike), ("mixed", mixed)), (5_000, 20_000)):
        rows, thirty = pofx.worlds.moons().sample(n, random_state=0), make()
        started = time.process_time()
        result = pofx.compare(thirty, rows, rivals=False)
        all_of_them = time.process_time() - started
        listed = [e for e in result.table if e.role == "candidate"]
        kept = [e for e in listed if not e.held_out.dropped]
        started = time.process_time()
        again = pofx.compare({e.name: thirty[e.name] for e in kept}, rows, rivals=False)
        survivors = time.process_time() - started
        tried = sum(e.held_out.on_trial for e in listed)
        fits = sum(e.held_out.fits for e in listed)
        yield (
            f"| {len(thirty)} {what} | {n:,} | {len(kept)} | {tried} | {fits} | {5 * len(thirty)} | "
            f"{all_of_them:.1f} | {survivors:.1f} | {all_of_them / survivors:.1f} | "
            f"{'yes' if again.best_name == result.best_name else '**no**'} |"
        )


def page(quick: bool) -> str:
    """Return the page."""
    started = time.process_time()
    seeds = SEEDS // 10 if quick else SEEDS
    parts = [
        "# `compare` judged",
        "`.venv/bin/python benchmarks/judge_compare.py` makes this page.",
        "## Do 95 % intervals of differences cover?",
        "Where a few rows decide a mean (`pofx.evaluate.spread`), or a model calls a row impossible, "
        f"there is no interval. Bar: 92 to 98 % of {seeds} seeds. A share of 95 % has a standard error of "
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
