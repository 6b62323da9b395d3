"""5,000 draws of a Gaussian with correlation 0.8, and its density in 100 shades: written out, and with pofx.

    python examples/lecture/normal_2d.py [picture.png]
"""

from __future__ import annotations

import math
import sys

import numpy as np

import pofx

N, SHOWN, LEVELS = 5_000, 500, 100
MEAN = np.zeros(2)
COVARIANCE = np.array([[1.0, 0.8], [0.8, 1.0]])


def draws(seed: int = 0) -> np.ndarray:
    """Return rows (N, 2): x = μ + L z with L Lᵀ = Σ and z standard normal."""
    z = np.random.default_rng(seed).normal(size=(N, 2))
    return MEAN + z @ np.linalg.cholesky(COVARIANCE).T


def density(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return N(x; μ, Σ) of rows (n, d): exp(−½ (x − μ)ᵀ Σ⁻¹ (x − μ)) / √((2π)ᵈ |Σ|)."""
    centred = x - mean
    squared = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
    return np.exp(-0.5 * squared) / math.sqrt((2.0 * math.pi) ** x.shape[1] * np.linalg.det(covariance))


def most_likely(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (d,) and the covariance (d, d), divided by n, that maximise the likelihood."""
    mean = x.mean(axis=0)
    return mean, (x - mean).T @ (x - mean) / len(x)


def with_pofx(seed: int = 0) -> tuple[pofx.Gaussian, np.ndarray, pofx.Gaussian]:
    """Return the truth, draws of it, and what is estimated from them."""
    truth = pofx.Gaussian.from_params(MEAN, COVARIANCE)
    rows = truth.sample(N, random_state=seed)
    return truth, rows, pofx.Gaussian().fit(rows)


def main(path: str = "normal_2d.png") -> None:
    """Draw both, and say how far apart they are."""
    import matplotlib.pyplot as plt

    rows = draws()
    axis = np.linspace(-4.0, 4.0, 161)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    p = density(grid.reshape(-1, 2), MEAN, COVARIANCE).reshape(161, 161)
    truth, theirs, _ = with_pofx()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    left.contourf(axis, axis, p, levels=LEVELS, cmap="Blues")
    left.scatter(*rows[:SHOWN].T, s=4, color="#08306b", alpha=0.6, linewidths=0)
    left.set(title="written out", xlabel="x₁", ylabel="x₂", aspect="equal")
    pofx.plot(truth, theirs, fill=True, levels=LEVELS, points=SHOWN, ax=right)
    right.set_title("pofx")
    figure.savefig(path, dpi=150)
    gap = np.abs(truth.density(grid.reshape(-1, 2)).reshape(161, 161) - p).max()
    print(f"densities differ by at most {gap:.1e}; {path}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
