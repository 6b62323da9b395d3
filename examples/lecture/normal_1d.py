"""10,000 draws of N(0, 1) and their histogram with 30 bins: written out, and with pofx.

    python examples/lecture/normal_1d.py [picture.png]
"""

from __future__ import annotations

import math
import sys

import numpy as np

import pofx

N, BINS = 10_000, 30


def written_out(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the draws (n,), the edges (BINS + 1,) and the bars' heights (BINS,)."""
    x = np.random.default_rng(seed).normal(0.0, 1.0, N)
    edges = np.linspace(x.min(), x.max(), BINS + 1)
    # half-open bins [e_k, e_k+1), the last one closed
    bin_of = np.minimum(np.searchsorted(edges, x, side="right") - 1, BINS - 1)
    counts = np.bincount(bin_of, minlength=BINS)
    return x, edges, counts / (N * np.diff(edges))  # heights whose areas sum to one


def bell(x: np.ndarray) -> np.ndarray:
    """Return the density of N(0, 1) at x."""
    return np.exp(-0.5 * x**2) / math.sqrt(2.0 * math.pi)


def with_pofx(seed: int = 0) -> tuple[np.ndarray, pofx.Histogram, pofx.Gaussian]:
    """Return the draws (n,), the histogram of them, and the truth."""
    truth = pofx.Gaussian.from_params(0.0, 1.0)
    x = truth.sample(N, random_state=seed).ravel()
    histogram = pofx.Histogram(bins=BINS, smoothing=0).fit(x)
    return x, histogram, truth


def main(path: str = "normal_1d.png") -> None:
    """Draw both, and say how far apart they are."""
    import matplotlib.pyplot as plt

    x, edges, heights = written_out()
    _, histogram, truth = with_pofx()
    centres = (edges[:-1] + edges[1:]) / 2
    grid = np.linspace(-4.5, 4.5, 400)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
    left.bar(centres, heights, np.diff(edges), color="#c6dbef", edgecolor="white")
    left.plot(grid, bell(grid), color="#d55e00")
    left.set(title="written out", xlabel="x", ylabel="density")
    pofx.plot(histogram, x, truth=truth, ax=right)
    right.set_title("pofx")
    figure.savefig(path, dpi=150)
    print(f"bars differ by at most {np.abs(histogram.density(centres) - heights).max():.1e}; {path}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
