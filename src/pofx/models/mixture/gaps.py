"""What a mixture says of rows with missing entries (NaN): marginal densities, conditional means and draws.

For a row with observed columns o and missing columns m,

    log w_k N(x_o; μ_k,o, Σ_k,oo),    E[x_m | x_o, k] = μ_k,m + Σ_k,mo Σ_k,oo⁻¹ (x_o − μ_k,o),
    Cov[x_m | x_o, k] = Σ_k,mm − Σ_k,mo Σ_k,oo⁻¹ Σ_k,om.

With the observed columns first, the Cholesky factor of Σ_k holds all three: its upper left block is the
factor of Σ_k,oo, below it stands the regression, and its lower right block is the factor of the residual
covariance (Little and Rubin 2002, Statistical Analysis with Missing Data, chapter 11). Everything here is in
unit space.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .centred import component_logs
from .parameters import factors
from .patterns import Patterns

__all__ = ["completed", "drawn", "logs"]

Parameters = Mapping[str, Any]


def logs(params: Parameters, z: np.ndarray) -> np.ndarray:
    """Return log(w_k N(z_o; μ_k,o, Σ_k,oo)) of rows z (n, d), shape (K, n)."""
    out = np.empty((len(params["weights"]), len(z)))
    for rows, observed, _ in Patterns.of(~np.isnan(z)):
        out[:, rows] = _pattern_logs(params, z[rows][:, observed], observed, _factors(params, observed))
    return out


def drawn(params: Parameters, z: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return m times the rows z (n, d) with draws from p(z_m | z_o) for what is missing: (m, n, d).

    Every row takes its own random numbers, in the order of the rows: neither what other rows lack nor the
    number of draws changes its own.
    """
    n, d = z.shape
    chance = [(rng.random(n), rng.standard_normal((n, d))) for _ in range(m)]
    u, noise = (np.concatenate(parts) for parts in zip(*chance, strict=True))
    return completed(params, np.tile(z, (m, 1)), (u, noise)).reshape(m, n, d)


def completed(
    params: Parameters, z: np.ndarray, chance: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Return the rows z (n, d) with their missing entries filled in.

    By their conditional means E[z_m | z_o]; or, with ``chance`` uniform (n,) and standard normal (n, d), by
    draws from p(z_m | z_o).
    """
    out = np.array(z)
    incomplete = np.flatnonzero(np.isnan(z).any(axis=1))
    for own, observed, missing in Patterns.of(~np.isnan(z[incomplete])):
        rows = incomplete[own]
        zo = z[rows][:, observed]
        factor = _factors(params, observed + missing)
        r = _pattern_logs(params, zo, observed, factor)
        r = np.exp(np.maximum(r - r.max(axis=0), -np.finfo(float).max))
        r /= r.sum(axis=0)
        means = _regressions(params, zo, observed, missing, factor)
        if chance is None:
            out[rows[:, None], missing] = (r[:, :, None] * means).sum(axis=0)
            continue
        u, noise = chance
        label = np.minimum((np.cumsum(r, axis=0) <= u[rows]).sum(axis=0), len(r) - 1)
        white = noise[rows][:, missing]
        residuals = _residuals(params, factor, len(observed), label, white)
        out[rows[:, None], missing] = means[label, np.arange(len(rows))] + residuals
    return out


def _factors(params: Parameters, columns: list[int]) -> np.ndarray:
    """Return the factors of the covariances of some columns, in this order.

    Cholesky's (K, c, c) or (c, c), or standard deviations (K, 1, c).
    """
    if "variances" in params:
        return factors(params)[:, :, columns]
    rows = params["cholesky"][..., columns, :]
    return np.linalg.cholesky(rows @ np.swapaxes(rows, -1, -2))


def _pattern_logs(params: Parameters, zo: np.ndarray, observed: list[int], factor: np.ndarray) -> np.ndarray:
    g = len(observed)
    with np.errstate(divide="ignore"):
        log_weight = np.log(params["weights"])
    if g == 0:
        return np.repeat(log_weight[:, None], len(zo), axis=1)
    own = factor[..., :g] if "variances" in params else factor[..., :g, :g]
    return component_logs(zo, log_weight, params["means"][:, observed], own)


def _regressions(
    params: Parameters, zo: np.ndarray, observed: list[int], missing: list[int], factor: np.ndarray
) -> np.ndarray:
    """Return E[z_m | z_o, k], shape (K, n, m)."""
    means, g = params["means"], len(observed)
    out: np.ndarray = np.repeat(means[:, None, missing], len(zo), axis=1)
    if "variances" in params or g == 0:
        return out
    gap = np.swapaxes(zo - means[:, None, observed], 1, 2)
    white = np.linalg.solve(np.broadcast_to(factor[..., :g, :g], (len(means), g, g)), gap)
    return out + np.swapaxes(factor[..., g:, :g] @ white, 1, 2)


def _residuals(
    params: Parameters, factor: np.ndarray, g: int, label: np.ndarray, white: np.ndarray
) -> np.ndarray:
    """Return draws from N(0, Cov[z_m | z_o, k]) for the component ``label`` of each row, from N(0, I)."""
    if "variances" in params:
        return np.asarray(factor[label, 0, g:] * white)
    own = factor[..., g:, g:]
    return white @ own.T if own.ndim == 2 else np.einsum("nij,nj->ni", own[label], white)
