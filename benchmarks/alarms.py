"""Alarms judged: is the false-alarm rate what was promised, and are rows of another kind found?

    .venv/bin/python benchmarks/alarms.py [--quick] [MAGIC04.csv.gz]

Writes benchmarks/results/alarms.md. Half an hour on one core; --quick takes a tenth of the seeds and prints
the page instead of writing it. The second part needs magic04 (UCI, not part of this repository), looked for
in ../shared/data, and is left out without it.
"""

from __future__ import annotations

import os

os.environ.setdefault("POFX_NUM_THREADS", "1")

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from main_job import MAGIC, ROOT, machine

import pofx

RESULTS = ROOT / "benchmarks" / "results" / "alarms.md"
SEEDS = 200
TRAIN, NEW = 400, 1_000
ALPHAS = (0.01, 0.05)
COMPONENTS = 4

WORLDS: dict[str, Any] = {
    "moons, 2 columns": pofx.worlds.moons(),
    "three bumps, 2 columns": pofx.worlds.three_bumps(),
    "Student's t, 1 column": pofx.worlds.student_t(),
    "exponential, 1 column": pofx.worlds.exponential(),
    "Gaussian, 10 columns": pofx.worlds.gaussian_d(),
}


def models(world: Any) -> dict[str, Any]:
    """Return three kinds of model, quick to fit; the mixture's EM starts at draws of no seed below."""
    starts = np.asarray(world.sample(COMPONENTS, random_state=10**6)).reshape(COMPONENTS, -1)
    return {
        "Gaussian": pofx.Gaussian(),
        "mixture(4)": pofx.GaussianMixture(COMPONENTS, covariance_type="full", means_init=starts, tol=1e-2),
        "KDE": pofx.KDE(),
    }


def rates(world: Any, model: Any, seed: int) -> dict[tuple[str, float], float]:
    """Return the share of new rows of the world in alarm, by what the alarm rests on and alpha."""
    rows = world.sample(TRAIN, random_state=np.random.default_rng([seed, 0]))
    new = world.sample(NEW, random_state=np.random.default_rng([seed, 1]))
    cross = pofx.calibrate(model, rows, method="cross", random_state=seed)
    split = pofx.calibrate(cross, rows, method="split", folds=2, random_state=seed)
    found = {
        "cross": cross.rarity(new).rarity,
        "split": split.rarity(new).rarity,
        "own": cross.rarity(new, own=True, n=2_000, random_state=seed).rarity,
    }
    return {(name, alpha): float((r <= alpha).mean()) for name, r in found.items() for alpha in ALPHAS}


def false_alarms(seeds: int) -> Iterator[str]:
    """The table of false-alarm rates: mean over seeds, with its standard error over seeds."""
    yield "| world | model | α | cross | within | split | within | the model's own word |"
    yield "|---|---|---|---|---|---|---|---|"
    tried = beyond = 0
    for name, world in WORLDS.items():
        for kind, model in models(world).items():
            started = time.perf_counter()
            found = [rates(world, model, seed) for seed in range(seeds)]
            print(f"{name}, {kind}: {time.perf_counter() - started:.0f} s", flush=True)
            for alpha in ALPHAS:
                cells = []
                for rests_on in ("cross", "split", "own"):
                    each = np.array([rate[rests_on, alpha] for rate in found])
                    mean, error = each.mean(), each.std(ddof=1) / len(each) ** 0.5
                    cells.append(f"{100 * mean:.2f} ± {100 * error:.2f} %")
                    if rests_on != "own":
                        within = mean <= alpha + 2.0 * error
                        cells.append("yes" if within else "**no**")
                        tried, beyond = tried + 1, beyond + (not within)
                yield f"| {name} | {kind} | {alpha:g} | {' | '.join(cells)} |"
    yield ""
    yield (
        f"A rate that is α exactly, as that of *split* is by theorem up to one row in {TRAIN // 2 + 1}, is "
        f"found beyond α + 2 standard errors in 2.3 % of cases: of these {tried} rates, {beyond}."
    )


# ---------------------------------------------------------------- magic04


def auc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Return how often a row of outside has a lower score than one of inside, ties half."""
    below = np.searchsorted(np.sort(outside), inside, side="left")
    upto = np.searchsorted(np.sort(outside), inside, side="right")
    return float((below + upto).mean() / 2.0 / len(outside))


def references(rows: np.ndarray) -> Iterator[tuple[str, Any]]:
    """Yield scikit-learn's two detectors, fitted, as functions from rows to scores: high is normal."""
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(rows)
    z = scale.transform(rows)
    forest = IsolationForest(random_state=0).fit(z)
    yield "IsolationForest (scikit-learn)", lambda x: forest.score_samples(scale.transform(x))
    for k in (20, 100):
        factor = LocalOutlierFactor(n_neighbors=k, novelty=True).fit(z)
        yield (
            f"LocalOutlierFactor({k}) (scikit-learn)",
            lambda x, factor=factor: factor.score_samples(scale.transform(x)),
        )


def magic(path: Path) -> Iterator[str]:
    """Fitted to half of the gammas: alarms and ROC AUC on the other half and on hadrons."""
    import csv
    import gzip

    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line and line[-1] in ("g", "h")]
    x = np.array([[float(cell) for cell in line[:-1]] for line in lines])
    is_gamma = np.array([line[-1] == "g" for line in lines])
    gammas = x[is_gamma][np.random.default_rng(0).permutation(int(is_gamma.sum()))]
    half = len(gammas) // 2
    rows, others, hadrons = gammas[:half], gammas[half:], x[~is_gamma]
    yield (
        f"Fitted to {half:,} gammas; asked about the other {len(others):,} and {len(hadrons):,} hadrons. An "
        "alarm at a gamma is a false one. The references' thresholds are the quantiles of their scores of "
        "the rows that they were fitted to, as their `contamination=` sets them; columns are standardised "
        "for them. ROC AUC: how often a hadron is the rarer of a hadron and a gamma."
    )
    yield ""
    heads = "".join(f" gammas in alarm at {a:g} | hadrons |" for a in ALPHAS)
    yield f"| model |{heads} ROC AUC | seconds |"
    yield "|---|" + "---|" * (2 * len(ALPHAS) + 2)
    kinds = {
        "Gaussian": pofx.Gaussian(),
        "mixture(10)": pofx.GaussianMixture(10, covariance_type="full", random_state=0, n_init=1),
        "KDE": pofx.KDE(),
    }
    for name, model in kinds.items():
        started = time.perf_counter()
        fitted = pofx.calibrate(model, rows, random_state=0)
        cells = []
        shares = [fitted.rarity(part).rarity for part in (others, hadrons)]
        for alpha in ALPHAS:
            cells += [f"{100 * (share <= alpha).mean():.2f} %" for share in shares]
        found = auc(fitted.log_density(others), fitted.log_density(hadrons))
        seconds = time.perf_counter() - started
        print(f"magic04, {name}: {seconds:.0f} s", flush=True)
        yield f"| {name}, calibrated | {' | '.join(cells)} | {found:.3f} | {seconds:.0f} |"
    started = time.perf_counter()
    for name, score in references(rows):
        seen, inside, outside = (score(part) for part in (rows, others, hadrons))
        cells = []
        for alpha in ALPHAS:
            limit = np.quantile(seen, alpha)
            cells += [f"{100 * (part <= limit).mean():.2f} %" for part in (inside, outside)]
        seconds, started = time.perf_counter() - started, time.perf_counter()
        yield f"| {name} | {' | '.join(cells)} | {auc(inside, outside):.3f} | {seconds:.0f} |"


def page(seeds: int, path: Path) -> Iterator[str]:
    """Every line of the page."""
    yield "# Alarms, measured\n"
    yield f"`benchmarks/alarms.py`, pofx {pofx.__version__}, {machine()}.\n"
    yield "## False alarms\n"
    yield (
        f"Each of {seeds} seeds draws {TRAIN} rows of a world, fits and calibrates a model, and asks it "
        f"about {NEW:,} new rows of the same world: every alarm is false. The mean rate with its standard "
        "error over seeds; it is within the promise if it is at most α + 2 standard errors. *cross*: five "
        f"judges, every row calibrates. *split*: one judge fitted to half of the rows, {TRAIN // 2} rows "
        "calibrate. *The model's own word*: the share of its draws that are less dense, without calibration; "
        "a model that is wrong errs to either side.\n"
    )
    yield from false_alarms(seeds)
    yield "\n## magic04: fitted to gammas, asked about hadrons\n"
    if path.exists():
        yield from magic(path)
    else:
        yield f"Left out: there is no {path.name} here."
    yield ""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("magic", nargs="?", type=Path, default=MAGIC)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    text = "\n".join(page(SEEDS // 10 if asked.quick else SEEDS, asked.magic))
    if asked.quick:
        print(text)
    else:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
