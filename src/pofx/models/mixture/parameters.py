"""The parameters of a mixture as values: their shapes, order, marginals and conditionals.

``weights`` (K,), ``means`` (K, d), ``covariance_type``, and either ``cholesky`` ((K, d, d), or (d, d) where
it is shared) or, for diagonal structures, ``variances`` (K, d); all in unit space. With uniform noise,
three more (:mod:`pofx.models.mixture.noise`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from ...core.density import in_data_units
from ...core.units import Units
from ...errors import NumericalError, ParameterError
from ...maths.gaussian import LOG_2PI
from . import noise
from .batch import lower_triangle
from .frame import Frame
from .structures import Structure, structure

__all__ = ["check", "condition", "factors", "marginal", "ordered", "shaped", "state_of", "variances"]


def check(values: Mapping[str, Any], d: int) -> None:
    """Raise ParameterError where ``values`` are not parameters of a mixture in ``d`` columns."""
    try:
        s = structure(values["covariance_type"])
        weights, means = values["weights"], values["means"]
        own = values["variances" if s.diagonal else "cholesky"]
    except KeyError as missing:
        raise ParameterError(f"A mixture needs {missing} among its parameters.") from None
    k = len(weights) if isinstance(weights, np.ndarray) and weights.ndim == 1 else 0
    shape = (k, d) if s.diagonal else ((d, d) if s.shared else (k, d, d))
    expected = {"weights": (weights, (k,)), "means": (means, (k, d)), "covariances": (own, shape)}
    for name, (value, wanted) in expected.items():
        right = isinstance(value, np.ndarray) and value.shape == wanted and value.dtype == np.float64
        if not right or k == 0:
            came = getattr(value, "shape", value)
            raise ParameterError(f"{name} must be float64 of shape {wanted}; got {came!r}.")
        if not np.isfinite(value).all():
            raise ParameterError(f"{name} must be finite.")
    noise.check(values, d)
    off = weights.sum() + noise.weight(values) - 1.0
    if (weights < 0).any() or abs(off) > 1e-9:
        raise ParameterError(
            f"weights must be a point of the simplex: at least 0 (smallest {weights.min():.3g}), "
            f"of sum 1 (off by {off:.3g})."
        )
    if s.diagonal:
        if not (own > 0).all():
            raise ParameterError(f"variances must be positive; the smallest is {own.min():.3g}.")
    elif not (np.diagonal(own, 0, -2, -1) > 0).all() or np.triu(own, 1).any():
        raise ParameterError(
            "cholesky must be lower triangular with a positive diagonal: covariances must be positive "
            "definite."
        )


def marginal(params: Mapping[str, Any], keep: list[int]) -> dict[str, Any]:
    """Return the parameters of the mixture of some columns."""
    values = {"weights": params["weights"], "means": params["means"][:, keep]} | noise.marginal(params, keep)
    if "variances" in params:
        return _part(params, {**values, "variances": params["variances"][:, keep]}, len(keep))
    rows = params["cholesky"][..., keep, :]
    factor = np.linalg.cholesky(rows @ np.swapaxes(rows, -1, -2))
    return _part(params, {**values, "cholesky": factor}, len(keep))


def condition(params: Mapping[str, Any], given: list[int], z: np.ndarray) -> dict[str, Any]:
    """p(x_r | x_g) = Σ_k w_k N(x_g; …) / Σ_l w_l N(x_g; …) · N(x_r | x_g; k)."""
    d = params["means"].shape[1]
    rest = [j for j in range(d) if j not in given]
    gap = z - params["means"][:, given]
    with np.errstate(divide="ignore"):
        logs = np.log(params["weights"])
    if "variances" in params:
        variance = params["variances"][:, given]
        with np.errstate(over="ignore"):
            logs = logs - 0.5 * (np.log(variance) + gap * gap / variance).sum(axis=1)
        values = {"means": params["means"][:, rest], "variances": params["variances"][:, rest]}
    else:
        # With the given columns first, the Cholesky factor holds the regression and the residual.
        sigma = params["cholesky"] @ np.swapaxes(params["cholesky"], -1, -2)
        order, g = given + rest, len(given)
        factor = np.linalg.cholesky(sigma[..., order, :][..., order])
        means = np.empty((len(gap), len(rest)))
        for k, here in enumerate(gap):
            own = factor if factor.ndim == 2 else factor[k]
            white = solve_triangular(own[:g, :g], here, lower=True)
            with np.errstate(over="ignore"):
                logs[k] -= np.log(np.diag(own)[:g]).sum() + 0.5 * (white @ white)
            means[k] = params["means"][k, rest] + own[g:, :g] @ white
        values = {"means": means, "cholesky": np.ascontiguousarray(factor[..., g:, g:])}
    values |= noise.marginal(params, rest)
    # Of the noise, with what the logarithms above leave out because they share it.
    logs = np.append(logs, noise.log_given(params, given, z) + 0.5 * len(given) * LOG_2PI)
    if not np.isfinite(logs).any():
        raise NumericalError("The given values are so far out that their density is zero in float64.")
    w = np.exp(logs - logs.max())
    w /= w.sum()
    if noise.has_noise(params):
        values["noise_weight"] = float(w[-1])
    return _part(params, {**values, "weights": w[:-1]}, len(rest))


def _part(params: Mapping[str, Any], values: dict[str, Any], d: int) -> dict[str, Any]:
    """Return the parameters of ``d`` of the columns; not all structures are theirs too."""
    kind = str(params["covariance_type"])
    if d < params["means"].shape[1]:
        kind = structure(structure(kind).of_part(d)).name
    hyper = {"n_components": len(params["weights"]), "covariance_type": kind}
    if noise.has_noise(params):
        hyper["noise"] = True
    return {**ordered({**values, "covariance_type": kind}), "__hyper__": hyper}


def factors(params: Mapping[str, Any]) -> np.ndarray:
    """Return Cholesky factors (K, d, d) or (d, d), or standard deviations (K, 1, d)."""
    if "variances" in params:
        return np.sqrt(params["variances"])[:, None, :]
    return np.asarray(params["cholesky"])


def variances(covariances: np.ndarray, s: Structure, d: int) -> np.ndarray:
    """Return the variances per column (…, d) of covariances in scikit-learn's shape."""
    if not s.diagonal:
        return np.diagonal(covariances, 0, -2, -1).reshape(-1, d)
    return np.broadcast_to(covariances.reshape(len(covariances), -1), (len(covariances), d))


def ordered(values: dict[str, Any]) -> dict[str, Any]:
    """Return the same mixture, components in the order of their means."""
    order = np.lexsort(values["means"].T[::-1])
    out = dict(values)
    for name in ("weights", "means", "variances", "cholesky"):
        if name in out and (name != "cholesky" or out[name].ndim == 3):
            out[name] = out[name][order]
    return out


def state_of(params: Mapping[str, Any], frame: Frame, total: float) -> np.ndarray:
    """Return the state (p, K) of a mixture for EM on rows of this total weight."""
    factor, k = factors(params), len(params["weights"])
    if "variances" in params:
        own = frame.covariances(params["variances"])
    else:
        sigma = np.broadcast_to(factor @ np.swapaxes(factor, -1, -2), (k, *factor.shape[-2:]))
        own = frame.covariances(sigma)[lower_triangle(factor.shape[-1])]
    return np.concatenate([total * params["weights"][None], frame.means(params["means"]), own])


def shaped(own: np.ndarray, units: Units, s: Structure) -> np.ndarray:
    """Return covariances (K, d, d) or variances (K, d) of unit space in data units, as ``covariances_``."""
    if not s.diagonal:
        return in_data_units(own[0] if s.shared else own, units, "covariances_")
    with np.errstate(over="ignore", under="ignore"):
        out = np.ldexp(own, 2 * units.exponent)
    if not np.isfinite(out).all():
        raise NumericalError("covariances_ is beyond float64 in the data's units; rescale the columns.")
    return out[:, 0] if len(s.covariances_shape(*out.shape)) == 1 else out
