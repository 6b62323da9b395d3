"""The mass of boxes under any model, by the best way that it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from ..errors import UnsupportedError
from ..maths.boxes import difference, gaussian_log_box, log_box_by_rule
from .params import Params

if TYPE_CHECKING:
    from .hooks import Hooks

__all__ = ["log_box"]

LOST = 1e-6  # a share of a tail below which its difference has lost digits


def log_box(
    model: Hooks, params: Params, lower: np.ndarray, upper: np.ndarray, point: np.ndarray, coarse: bool
) -> np.ndarray:
    """Return the log mass of boxes (n,), unit space; see :meth:`pofx.core.hooks.Hooks._log_box`."""
    if point.all():
        return model._log_density(params, lower)
    if len(point) == 1:
        try:
            return _by_tails(model, params, lower, upper, point)
        except UnsupportedError:
            pass
    parts = model._gaussian_parts(params)
    if parts is None:
        return log_box_by_rule(lambda x: model._log_density(params, x), lower, upper, point, coarse=coarse)
    weights, means, covariances = parts
    covariances = np.broadcast_to(covariances, (len(means), *covariances.shape[1:]))
    logs = [
        np.log(w) + gaussian_log_box(m, c, lower, upper, point, coarse=coarse)
        for w, m, c in zip(weights, means, covariances, strict=True)
        if w > 0
    ]
    return np.asarray(logsumexp(np.stack(logs), axis=0))


def _by_tails(
    model: Hooks, params: Params, lower: np.ndarray, upper: np.ndarray, point: np.ndarray
) -> np.ndarray:
    """The difference of the smaller tail at both ends; where it has lost its digits, nodes in the cell."""
    a, b = lower[:, 0], upper[:, 0]
    below, above = model._log_cdf(params, b), model._log_sf(params, a)
    from_below = below < above
    larger = np.where(from_below, below, above)
    smaller = np.where(from_below, model._log_cdf(params, a), model._log_sf(params, b))
    out = difference(larger, smaller)
    lost = (out < larger + np.log(LOST)) & np.isfinite(a) & np.isfinite(b)
    if lost.any():
        out[lost] = log_box_by_rule(lambda x: model._log_density(params, x), lower[lost], upper[lost], point)
    return out
