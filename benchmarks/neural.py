"""The learned models against known truths, a hand-written loop and the classical models.

    .venv/bin/python benchmarks/neural.py [--only NAME ...] [--peer] [--tables] [--data FOLDER]

Each row is kept in benchmarks/results/neural.json as soon as it is measured, and the page
benchmarks/results/neural.md is made anew from all of them. ``--only`` names worlds; ``--peer`` measures a
hand-written loop over zuko's spline flow beside each; ``--tables`` measures magic04 and white wine (UCI, not
part of this repository) where the folder, by default ../shared/data, holds them.
"""

from __future__ import annotations

import os

os.environ.setdefault("POFX_NUM_THREADS", "1")

import argparse
import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from main_job import ROOT, machine

import pofx

STORE = ROOT / "benchmarks" / "results" / "neural.json"
PAGE = ROOT / "benchmarks" / "results" / "neural.md"
WORLDS = ("eight_gaussians", "checkerboard", "rings", "moons", "pinwheel", "spirals", "swiss_roll")
TRAIN, TEST = 50_000, 20_000
Numbers = dict[str, Any]


def rows_of(name: str, n: int, seed: int) -> np.ndarray:
    """Return fresh rows of a known world."""
    return np.asarray(pofx.worlds.get(name).sample(n, random_state=seed), dtype=float)


def timed(fit: Any) -> tuple[Any, Numbers]:
    """Return what ``fit()`` returns, its seconds by the clock and of the processor, and the load."""
    clock, cpu = time.perf_counter(), time.process_time()
    out = fit()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan
    return out, {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu, "load": load}


def against_truth(name: str, log_density: Any) -> Numbers:
    """Held-out negative log-likelihood minus the true entropy, and paired with the truth's."""
    world, test = pofx.worlds.get(name), rows_of(name, TEST, 1)
    nll = -log_density(test)
    gap = nll + world.log_density(test)
    error = math.sqrt(TEST)
    return {
        "excess": float(nll.mean() - world.entropy()),
        "excess_error": float(nll.std() / error),
        "kl": float(gap.mean()),
        "kl_error": float(gap.std() / error),
    }


def flow(name: str) -> Numbers:
    """One row: Flow() as it comes."""
    rows = rows_of(name, TRAIN, 0)
    model, spent = timed(lambda: pofx.Flow(random_state=0).fit(rows))
    return {**against_truth(name, model.log_density), **spent, "message": model.fit_.message}


def peer(name: str, steps: int = 7_708, batch: int = 512) -> Numbers:
    """One row: as many steps by hand over zuko's own spline flow of the same size, Adam with a cosine."""
    import torch
    import zuko

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = torch.tensor(rows_of(name, TRAIN, 0), dtype=torch.float32)
    mean, sd = rows.mean(0), rows.std(0)
    rows = (rows - mean) / sd
    net = zuko.flows.NSF(2, transforms=4, hidden_features=(64, 64))
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)

    def loop() -> None:
        for _ in range(steps):
            loss = -net().log_prob(rows[torch.randint(len(rows), (batch,))]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()

    _, spent = timed(loop)

    @torch.no_grad()
    def log_density(x: np.ndarray) -> np.ndarray:
        z = (torch.tensor(x, dtype=torch.float32) - mean) / sd
        return (net().log_prob(z) - sd.log().sum()).double().numpy()

    return {**against_truth(name, log_density), **spent}


def tables(folder: Path) -> dict[str, Numbers]:
    """Held-out log density of Flow, the best mixture and KDE on real rows, half of them held out."""
    out = {}
    for stem in ("magic04", "winequality-white"):
        path = next(iter(sorted(folder.glob(f"{stem}*"))), None)
        if path is None:
            print(f"{stem}: not found in {folder}, left out")
            continue
        table = pofx.read(path)
        columns = [
            c for c, dtype in zip(table.columns.names, table.columns.dtypes, strict=True) if dtype != "str"
        ]
        columns = [c for c in columns if c not in ("quality", "class")]
        x = np.asarray(table[columns], dtype=float)
        order = np.random.default_rng(0).permutation(len(x))
        train, test = x[order[len(x) // 2 :]], x[order[: len(x) // 2]]
        scores: dict[str, np.ndarray] = {}
        for name, model in {
            "Flow": pofx.Flow(random_state=0),
            "GaussianMixture": pofx.GaussianMixture(range(1, 21), covariance_type="full", random_state=0),
            "KDE": pofx.KDE("likelihood_cv"),
        }.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitted, spent = timed(lambda model=model, train=train: model.fit(train))
            scores[name] = fitted.log_density(test)
            out[f"{stem} {name}"] = {"held_out": float(scores[name].mean()), "rows": len(train), **spent}
        best = max(("GaussianMixture", "KDE"), key=lambda k: scores[k].mean())
        gain = scores["Flow"] - scores[best]
        out[f"{stem} Flow"] |= {
            "against": best,
            "gain": float(gain.mean()),
            "gain_error": float(gain.std() / math.sqrt(len(gain))),
        }
    return out


def page(kept: dict[str, Numbers]) -> str:
    """Return the page of all that was measured."""
    lines = [
        "# Learned models", "",
        f"Made by `python benchmarks/neural.py` on {machine()}. `Flow()` as it comes, one thread.", "",
        "## Known worlds", "",
        f"{TRAIN:,} rows to fit, {TEST:,} fresh ones to score. The bar: negative log-likelihood minus the "
        "true entropy at most 0.05 nats on five of seven and 0.10 on all, and not below −3 standard errors. "
        "The divergence is the same difference paired row by row with the truth's log density, which takes "
        "out most of the noise. Seconds of the processor, and by the clock with the load of the machine's "
        "two cores meanwhile (2 is full): other work ran beside some of these.", "",
        "| world | − log-likelihood − entropy | divergence from the truth | processor, s | clock, s (load) | "
        "by hand: divergence | by hand: processor, s | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name in WORLDS:
        row, other = kept.get(f"flow {name}"), kept.get(f"peer {name}")
        if row is None:
            continue
        cells = [
            name,
            f"{row['excess']:.4f} ± {row['excess_error']:.4f}",
            f"{row['kl']:.4f} ± {row['kl_error']:.4f}",
            f"{row['cpu']:.0f}",
            f"{row['seconds']:.0f} ({row['load']:.0f})",
        ]
        if other:
            cells += [f"{other['kl']:.4f}", f"{other['cpu']:.0f}", f"{row['cpu'] / other['cpu']:.2f}"]
        else:
            cells += ["", "", ""]
        lines.append("| " + " | ".join(cells) + " |")
    real = {k: v for k, v in kept.items() if "held_out" in v}
    if real:
        lines += ["", "## Real rows", "", "Half the rows fitted, the other half scored: nats per row.", ""]
        lines += [
            "| rows, model | held out | processor, s | Flow − best classical, paired |",
            "|---|---|---|---|",
        ]
        for name, v in real.items():
            gain = f"{v['gain']:.3f} ± {v['gain_error']:.3f} ({v['against']})" if "gain" in v else ""
            lines.append(f"| {name} | {v['held_out']:.3f} | {v['cpu']:.0f} | {gain} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is asked for, keeping every row as soon as it is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(WORLDS), choices=WORLDS)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    asked = parser.parse_args()

    def keep(more: dict[str, Numbers]) -> None:
        kept = json.loads(STORE.read_text()) if STORE.exists() else {}
        kept.update(more)
        STORE.write_text(json.dumps(kept, indent=1) + "\n")
        PAGE.write_text(page(kept))
        print(more, flush=True)

    for name in asked.only:
        keep({f"flow {name}": flow(name)})
        if asked.peer:
            keep({f"peer {name}": peer(name)})
    if asked.tables:
        keep(tables(asked.data))


if __name__ == "__main__":
    main()
