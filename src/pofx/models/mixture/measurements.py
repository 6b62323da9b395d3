"""Rows with known errors: the distinct ones, and the scale of the truth behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...core.fold import Data
from ...core.units import Units
from ...maths.moments import Moments
from .centred import log_sum_exp
from .deconvolved import ELEMENTS, NARROWEST, least_variance, scores, variances_in
from .frame import REGULAR, Frame

__all__ = ["distinct_with_errors", "frame_of_truth", "observed_logs", "unit_errors"]

LEAST_SHARE = 0.01  # of a column's variance that the truth is taken to have, whatever the errors say


def unit_errors(errors: np.ndarray, units: Units) -> np.ndarray:
    """Return errors of data units in unit space: sds (m, d) or covariances (m, d, d)."""
    e = units.exponent
    return np.ldexp(errors, -e if errors.ndim == 2 else -(e[:, None] + e))


def distinct_with_errors(data: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return distinct rows in lexicographic order, their weights, and their errors, in unit space.

    Rows are the same where their errors are too; errors that all rows share come as one.
    """
    assert data.errors is not None
    errors = unit_errors(data.errors, data.units)
    if len(errors) == 1:
        return *data.distinct(), errors
    z, w = data.all()
    joined = np.concatenate([z, errors.reshape(len(errors), -1)], axis=1) + 0.0
    order = np.lexsort(joined.T[::-1])
    joined, w = joined[order], w[order]
    new = np.concatenate([[True], (joined[1:] != joined[:-1]).any(axis=1)])
    first = order[new]
    return z[first], np.add.reduceat(w, np.flatnonzero(new)), errors[first]


def frame_of_truth(
    moments: Moments, errors: np.ndarray, w: np.ndarray, exponent: np.ndarray, *, diagonal: bool
) -> Frame:
    """Return the search space in units of the truth's spread: that of the rows without their mean errors.

    The truth may be much narrower than the rows are, so that is what "1e-4 of a column's variance" means for
    a regular component here. Where errors alone are that wide, the likelihood is bounded and the floor sinks.
    """
    variance = np.diag(moments.scatter) / moments.weight
    own = errors**2 if errors.ndim == 2 else np.diagonal(errors, 0, 1, 2)
    mean_error = own[0] if len(own) == 1 else (w @ own) / w.sum()
    share = np.maximum(1.0 - mean_error / variance, LEAST_SHARE)
    narrower = moments.scatter * np.sqrt(share[:, None] * share)
    frame = Frame.of(replace(moments, scatter=narrower), exponent, diagonal=diagonal)
    least = least_variance(variances_in(frame, errors, diagonal=diagonal))
    return replace(frame, floor=max(NARROWEST, REGULAR - max(least, 0.0)))


def observed_logs(
    params: Mapping[str, Any], covariances: np.ndarray, z: np.ndarray, errors: np.ndarray
) -> np.ndarray:
    """Return log Σ_k w_k N(z_i; μ_k, Σ_k + S_i), (n,), of rows and errors in unit space."""
    k, d = params["means"].shape
    one = np.ones(d)
    s = variances_in(Frame(np.zeros(d), one, one, one, 0.0), errors, diagonal=False)
    cov = np.ascontiguousarray(np.moveaxis(np.broadcast_to(covariances, (k, d, d)), 0, 2))
    mean = np.ascontiguousarray(params["means"].T)
    with np.errstate(divide="ignore"):
        log_weight = np.log(params["weights"])
    out = np.empty(len(z))
    size = max(1, ELEMENTS // (k * d * d))
    for start in range(0, len(z), size):
        part = slice(start, start + size)
        own = s if s.shape[-1] == 1 else s[..., part]
        out[part] = log_sum_exp(scores(z[part], own, log_weight, mean, cov)[0])
    return out
