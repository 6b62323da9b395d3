"""Uniform noise beside the components: rows that belong to no group.

    p(x) = w_0 1[x ∈ B] / |B| + Σ_k w_k N(x; μ_k, Σ_k),   w_0 + Σ_k w_k = 1

(Banfield and Raftery 1993, Biometrics 49:803; Fraley and Raftery 1998, Comput. J. 41:578). B is the box of
the columns' ranges. mclust takes the smaller of that and of the box along the principal axes, and 1/|B| holds
everywhere there, so that its density does not integrate to one. The columns' box does not depend on their
units, its marginals and conditionals are boxes again, and a user can read bounds per column;
so it is the region here, part of the parameters, and the noise is nought outside.

Parameters are those of :mod:`pofx.models.mixture.parameters` and three more: ``noise_weight`` w_0, and
``noise_low`` and ``noise_high`` (d,), the corners of B.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ParameterError

__all__ = ["box_of", "check", "has_noise", "log_height", "logs", "marginal", "moments", "tail_logs", "weight"]

NAMES = ("noise_weight", "noise_low", "noise_high")


def has_noise(params: Mapping[str, Any]) -> bool:
    """Whether the mixture has uniform noise."""
    return "noise_weight" in params


def weight(params: Mapping[str, Any]) -> float:
    """Return w_0: zero for a mixture without noise."""
    return float(params["noise_weight"]) if has_noise(params) else 0.0


def log_height(params: Mapping[str, Any]) -> float:
    """Return log(w_0 / |B|), in unit space."""
    w = weight(params)
    return (math.log(w) if w > 0.0 else -math.inf) - _log_volume(params, slice(None))


def logs(params: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Return log(w_0 1[x_i ∈ B] / |B|) of rows (n, d), shape (n,); the box is closed.

    Of a row with missing entries (NaN), in the box of the columns that it has.
    """
    low, high, gaps = params["noise_low"], params["noise_high"], np.isnan(x)
    inside = (((x >= low) & (x <= high)) | gaps).all(axis=1)
    return np.where(inside, log_height(params) + gaps @ np.log(high - low), -np.inf)


def moments(params: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the variances (d,) of the noise."""
    low, high = params["noise_low"], params["noise_high"]
    return (low + high) / 2.0, (high - low) ** 2 / 12.0


def draw(params: Mapping[str, Any], n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n rows (n, d) of the noise."""
    low, high = params["noise_low"], params["noise_high"]
    return np.asarray(low + (high - low) * rng.random((n, len(low))))


def tail_logs(params: Mapping[str, Any], x: np.ndarray, sign: float) -> np.ndarray:
    """Return log of w_0 P(X ≤ x) for ``sign`` 1, of w_0 P(X > x) for −1, in one column; shape (n,)."""
    low, high = params["noise_low"][0], params["noise_high"][0]
    beyond = x - low if sign > 0 else high - x
    with np.errstate(divide="ignore"):
        return np.log(weight(params) * np.clip(beyond / (high - low), 0.0, 1.0))


def marginal(params: Mapping[str, Any], keep: list[int]) -> dict[str, Any]:
    """Return the noise of some columns: nothing where there is none."""
    if not has_noise(params):
        return {}
    return {
        "noise_weight": weight(params),
        "noise_low": params["noise_low"][keep],
        "noise_high": params["noise_high"][keep],
    }


def log_given(params: Mapping[str, Any], given: list[int], z: np.ndarray) -> float:
    """Return the log of w_0 times the noise's density at values ``z`` of the columns ``given``."""
    if not has_noise(params):
        return -math.inf
    inside = (z >= params["noise_low"][given]).all() and (z <= params["noise_high"][given]).all()
    w = weight(params)
    return math.log(w) - _log_volume(params, given) if inside and w > 0.0 else -math.inf


def _log_volume(params: Mapping[str, Any], columns: Any) -> float:
    return float(np.log((params["noise_high"] - params["noise_low"])[columns]).sum())


def check(values: Mapping[str, Any], d: int) -> None:
    """Raise ParameterError where the values are not those of uniform noise in ``d`` columns, or some lack."""
    if not any(name in values for name in NAMES):
        return
    if lacking := [name for name in NAMES if name not in values]:
        raise ParameterError(f"A mixture with noise needs {lacking[0]!r} among its parameters.")
    w = values["noise_weight"]
    if not (isinstance(w, float) and 0.0 <= w <= 1.0):
        raise ParameterError(f"noise_weight must be a number between 0 and 1; got {w!r}.")
    for name in NAMES[1:]:
        corner = values[name]
        right = isinstance(corner, np.ndarray) and corner.shape == (d,) and corner.dtype == np.float64
        if not right or not np.isfinite(corner).all():
            raise ParameterError(f"{name} must be {d} finite numbers, one per column; got {corner!r:.80}.")
    wide = values["noise_high"] > values["noise_low"]
    if not wide.all():
        j = int(np.argmin(wide))
        raise ParameterError(
            f"The noise's box must have a positive width in every column; in column {j} it reaches from "
            f"{values['noise_low'][j]:g} to {values['noise_high'][j]:g}."
        )


def box_of(box: Any, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners (d,) and (d,) of a box that the user gives as ``(low, high)``.

    Raises
    ------
    ParameterError
        Where it is no box in ``d`` columns.
    """
    try:
        low, high = (np.broadcast_to(np.asarray(corner, dtype=float), (d,)).copy() for corner in box)
    except (TypeError, ValueError):
        raise ParameterError(
            f"noise_box must be (low, high): two numbers, or two arrays with one number for each of {d} "
            f"columns; got {box!r:.80}."
        ) from None
    check({"noise_weight": 0.0, "noise_low": low, "noise_high": high}, d)
    return low, high
