"""Figures: time and memory of ten million rows, and how often bands hold the density that rows came from.

    python benchmarks/figures.py      some four minutes on 2 idle cores; writes benchmarks/results/figures.md

A band counts as holding where it contains the true density at 200 places of the column's range, wherever the
estimate is more than a thousandth of its peak. Memory is the growth of the resident set's peak during the
picture, the rows themselves being there before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pofx
from pofx.core.density import Density
from pofx.show import draw
from pofx.show.figure import Figure
from pofx.show.pictures.bands import VISIBLE, band_of

SEEDS = 200
ROWS = 10_000_000
OUT = Path(__file__).parent / "results" / "figures.md"


def peak() -> float:
    """Return the peak of the resident set since it was last set back, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def many_rows() -> list[str]:
    """Time pictures of ten million rows."""
    x = pofx.worlds.moons().sample(ROWS, random_state=0)
    x1 = np.ascontiguousarray(x[:, 0])
    two, one = pofx.Gaussian().fit(x), pofx.Gaussian().fit(x1)
    by = x[:, 1] > 0.5
    lines = []
    cases: list[tuple[str, Callable[[], Figure]]] = [
        ("two columns, counted in cells", lambda: pofx.figure(two, x)),
        ("the same, shaded, 500 dots", lambda: pofx.figure(two, x, fill=True, points=500)),
        ("residual map", lambda: pofx.figure(two, x, kind="residuals")),
        ("one column", lambda: pofx.figure(one, x1)),
        ("one column, two groups", lambda: pofx.figure(one, x1, by=by)),
    ]
    for name, make in cases:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before, started, worked = peak(), time.perf_counter(), time.process_time()
        svg = draw.to_svg(make())
        wall, cpu = time.perf_counter() - started, time.process_time() - worked
        lines.append(f"| {name} | {wall:.1f} | {cpu:.1f} | {peak() - before:.0f} | {len(svg) / 1e3:.0f} |")
    return lines


def coverage() -> list[str]:
    """Count how often 95 % bands hold the truth."""
    normal, two = pofx.worlds.gaussian(), pofx.worlds.mixture((0.5, 0.5), ((-2.5,), (2.5,)), (((1.0,),),) * 2)
    mixture = pofx.GaussianMixture(2, covariance_type="full", n_init=2)
    cases: list[tuple[str, Density, Density, int]] = [
        ("Gaussian", pofx.Gaussian(), normal, 300),
        ("Gaussian, many rows", pofx.Gaussian(), normal, 20_000),
        ("GaussianMixture(2)", mixture, two, 300),
        ("KDE", pofx.KDE(), normal, 300),
        ("KDE of two bumps", pofx.KDE(), two, 300),
    ]
    lines = []
    for name, model, world, n in cases:
        held = 0
        for seed in range(SEEDS):
            rows = world.sample(n, random_state=seed)
            fitted = type(model)(**model.get_params()).fit(rows)
            x = np.linspace(float(np.min(rows)), float(np.max(rows)), 200)
            band, _ = band_of(fitted, lambda m: m, x, 0.95)
            low, high = (np.interp(x, band.x, part) for part in (band.low, band.high))
            log_p, truth = fitted.log_density(x), world.density(x)
            seen = log_p > log_p.max() - VISIBLE
            held += bool(((low <= truth) & (truth <= high))[seen].all())
        lines.append(f"| {name} | {n:,} | {held} of {SEEDS} |")
    return lines


def main() -> None:
    """Measure and write the page."""
    parts = [
        "# Figures",
        "",
        f"`python benchmarks/figures.py`; {ROWS:,} rows, two columns of float64 (160 MB) unless one is said.",
        "",
        "| picture as SVG | wall, s | CPU, s | extra memory, MB | SVG, kB |",
        "|---|---:|---:|---:|---:|",
        *many_rows(),
        "",
        "How often a 95 % band holds the density that the rows came from, at all visible places at once.",
        "",
        "| band of | rows | held |",
        "|---|---:|---:|",
        *coverage(),
    ]
    OUT.write_text("\n".join(parts) + "\n", encoding="utf-8")
    print("\n".join(parts))


if __name__ == "__main__":
    main()
