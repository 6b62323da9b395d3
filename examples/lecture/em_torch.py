"""EM for two Gaussians with full covariances, written out in torch; and where the plain form breaks.

    python examples/lecture/em_torch.py

The plain form is the textbook's: inverses, determinants, squared Mahalanobis distances, densities,
responsibilities, then weights, means and covariances. It divides a density by a sum of densities. Far from
every mean all of them are too small for the number format, and 0/0 is not a number; from there it spreads to
every parameter in one M-step. The log form subtracts logarithms instead, and has no such place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

import pofx

Tensor = torch.Tensor


class Parameters(NamedTuple):
    """Weights (K,), means (K, d) and covariances (K, d, d)."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def to(self, dtype: torch.dtype) -> Parameters:
        """Return them in another number format."""
        return Parameters(*(part.to(dtype) for part in self))


TRUTH = Parameters(
    torch.tensor([0.4, 0.6], dtype=torch.float64),
    torch.tensor([[-1.5, 0.0], [1.5, 1.0]], dtype=torch.float64),
    torch.tensor([[[1.0, 0.6], [0.6, 1.0]], [[0.5, -0.2], [-0.2, 1.2]]], dtype=torch.float64),
)
START = Parameters(
    torch.tensor([0.5, 0.5], dtype=torch.float64),
    torch.tensor([[-1.0, 1.0], [1.0, 0.0]], dtype=torch.float64),
    torch.eye(2, dtype=torch.float64).repeat(2, 1, 1),
)


# ---------------------------------------------------------------- the E-step, twice


def mahalanobis(x: Tensor, p: Parameters) -> Tensor:
    """Return (x_i − μ_k)ᵀ Σ_k⁻¹ (x_i − μ_k), shape (n, K)."""
    inverse = torch.linalg.inv(p.covariances)
    centred = x[:, None, :] - p.means
    return torch.einsum("nki,kij,nkj->nk", centred, inverse, centred)


def plain(x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """Return responsibilities (n, K) and the log-likelihood, by densities."""
    scale = torch.sqrt((2.0 * math.pi) ** x.shape[1] * torch.linalg.det(p.covariances))
    joint = p.weights * torch.exp(-0.5 * mahalanobis(x, p)) / scale  # w_k N(x_i; μ_k, Σ_k)
    total = joint.sum(dim=1, keepdim=True)  # p(x_i): zero where every density underflows
    return joint / total, total.log().sum()


def in_logs(x: Tensor, p: Parameters) -> tuple[Tensor, Tensor]:
    """Return the same by log densities and log-sum-exp."""
    log_scale = 0.5 * (x.shape[1] * math.log(2.0 * math.pi) + torch.linalg.slogdet(p.covariances).logabsdet)
    joint = p.weights.log() - 0.5 * mahalanobis(x, p) - log_scale
    total = torch.logsumexp(joint, dim=1, keepdim=True)  # the largest term is taken out before exp
    return torch.exp(joint - total), total.sum()


# ---------------------------------------------------------------- the M-step, and both in turn


def m_step(x: Tensor, r: Tensor) -> Parameters:
    """Return the parameters that maximise Σ_ik r_ik log [w_k N(x_i; μ_k, Σ_k)]."""
    size = r.sum(dim=0)  # n_k, expected rows of each component
    means = (r.T @ x) / size[:, None]
    centred = x[:, None, :] - means
    covariances = torch.einsum("nk,nki,nkj->kij", r, centred, centred) / size[:, None, None]
    return Parameters(size / len(x), means, covariances)


EStep = Callable[[Tensor, Parameters], tuple[Tensor, Tensor]]


def em(x: Tensor, p: Parameters, e_step: EStep = in_logs, n_iter: int = 50) -> tuple[Parameters, list[float]]:
    """Return the parameters after ``n_iter`` rounds, and the log-likelihood (nats) before each."""
    trace = []
    for _ in range(n_iter):
        r, log_likelihood = e_step(x, p)
        trace.append(float(log_likelihood))
        p = m_step(x, r)
    return p, trace


# ---------------------------------------------------------------- the same with pofx


def rows(n: int = 1000, seed: int = 0) -> np.ndarray:
    """Return n draws of TRUTH, shape (n, 2)."""
    return pofx.GaussianMixture.from_params(*(part.numpy() for part in TRUTH)).sample(n, random_state=seed)


def with_pofx(x: np.ndarray, n_iter: int = 50) -> tuple[pofx.GaussianMixture, list, list]:
    """Return the mixture fitted from START, and the first E- and M-steps of plain EM on the way."""
    weights, means, covariances = (part.numpy() for part in START)
    model = pofx.GaussianMixture(
        2,
        covariance_type="full",
        weights_init=weights,
        means_init=means,
        covariances_init=covariances,
        tol=1e-12,
        max_iter=5000,
    )
    e_steps, m_steps = [], []
    for step in model.steps(x):
        (e_steps if step.kind == "E" else m_steps).append(step)
        if step.kind == "M" and step.iteration == n_iter:
            break
    return model.fit(x), e_steps, m_steps


def far_row(distance: float, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Parameters]:
    """Return one row (1, 2) that many standard deviations from both of two round Gaussians."""
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=dtype)
    p = Parameters(torch.tensor([0.5, 0.5], dtype=dtype), means, torch.eye(2, dtype=dtype).repeat(2, 1, 1))
    return torch.tensor([[0.0, math.sqrt(distance**2 - 1.0)]], dtype=dtype), p


def main() -> None:
    """Run EM by hand and by pofx, then show where the plain form breaks."""
    torch.set_num_threads(1)  # for a thousand rows, more would only wait for each other
    x = rows()
    found, trace = em(torch.from_numpy(x), START, n_iter=200)
    model, _, _ = with_pofx(x)
    print(f"log-likelihood: {trace[0]:.3f} at the start, {trace[-1]:.6f} after 200 rounds by hand,")
    print(f"                {model.log_density(x).sum():.6f} by pofx ({model.fit_.message})")
    print(f"means differ by at most {np.abs(model.means_ - found.means.numpy()).max():.1e}")
    for distance in (10.0, 13.0, 14.0, 15.0, 30.0):
        row, p = far_row(distance)
        print(
            f"{distance:4.0f} standard deviations away, float32: "
            f"plain {plain(row, p)[0].tolist()[0]}, logs {in_logs(row, p)[0].tolist()[0]}"
        )
    # one such row among a thousand, and every parameter is gone
    with_one = torch.cat([torch.from_numpy(x), torch.tensor([[0.0, 40.0]])]).float()
    broken, _ = em(with_one, START.to(torch.float32), plain, n_iter=1)
    held, _ = em(with_one, START.to(torch.float32), in_logs, n_iter=1)
    print(f"means after one round with one far row: plain {broken.means.tolist()}")
    print(f"                                        logs  {held.means.tolist()}")


if __name__ == "__main__":
    main()
