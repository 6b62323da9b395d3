"""Batch after batch: stepwise EM (Cappé and Moulines 2009, JRSS B 71:593).

The expected statistics s of one row are a running mean over the batches,

    s ← (1 − η) s + η s(batch; θ),   η = (b / (n + b))^κ,

for a batch of weight b after rows of weight n, and θ is the M-step of s. With 1/2 < κ < 1 early batches, seen
with poor parameters, are forgotten, and θ converges to a local maximum for endless data. Of the statistics
nothing is kept but what the parameters say: weights, means and covariances.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.fitting import Fit
from ...core.params import Params
from ...errors import DataError, UnsupportedError
from ...maths.moments import Moments
from ...threads import one_blas_thread
from ...validation import row_weights, rows_to_query
from .answer import in_unit_space
from .batch import Segments, lower_triangle
from .em import Mixtures, unpacked
from .frame import Frame
from .given import state_from_given
from .parameters import factors
from .rows import CachedRows
from .structures import structure

if TYPE_CHECKING:
    from .model import GaussianMixture

__all__ = ["after_batch", "updated"]

KAPPA = 0.7


def after_batch(model: GaussianMixture, X: Any, sample_weight: Any) -> tuple[Params, Fit]:
    """Return the parameters and the record of a fitted mixture after another batch of rows.

    Raises
    ------
    DataError, WeightError, UnsupportedError
    """
    params, old = model.params_, model.fit_
    if "noise_weight" in params:
        raise UnsupportedError("partial_fit is for mixtures without noise; use fit with Blocks.")
    x = rows_to_query(X, params.columns, who=type(model).__name__)
    w = row_weights(sample_weight, len(x), weight_kind=model.weight_kind)
    w = np.ones(len(x)) if w is None else w
    x, w = x[w > 0], w[w > 0]
    if not len(x):
        raise DataError("partial_fit needs at least one row of positive weight; 0 rows came.")
    started = time.monotonic()
    with one_blas_thread():
        overall = Moments(1.0, model._mean(params), model._covariance(params))
        values = updated(params, overall, params.units.to(x), w, old.effective_n)
    fit = replace(
        old,
        converged=False,
        calibration=None,
        message=f"stepwise EM: {old.n_rows + len(x):,} rows so far, the last {len(x):,} in one batch.",
        passes=old.passes + 1,
        trace=(),
        n_rows=old.n_rows + len(x),
        effective_n=old.effective_n + float(w.sum()),
        seconds=old.seconds + time.monotonic() - started,
    )
    return Params(values, params.units, params.columns), fit


def updated(params: Params, overall: Moments, x: np.ndarray, w: np.ndarray, seen: float) -> dict[str, Any]:
    """Return the parameters after a batch of rows x (b, d), unit space, with weights w (b,).

    Parameters
    ----------
    params : Params
        The parameters so far.
    overall : Moments
        The mean and covariance of the mixture so far, unit space: where its search space lies.
    x, w : ndarray
    seen : float
        The weight of the rows seen before.
    """
    s, k = structure(params["covariance_type"]), len(params["weights"])
    frame = Frame.of(overall, params.units.exponent, diagonal=s.diagonal)
    rows = CachedRows(frame.rows(x), w, frame, diagonal=s.diagonal)
    factor = factors(params)
    start = {"weights": params["weights"], "means": params["means"]}
    if s.diagonal:
        start["covariances"] = params["variances"]
    else:
        start["covariances"] = np.broadcast_to(
            factor @ np.swapaxes(factor, -1, -2), (k, len(frame.centre), len(frame.centre))
        )
    old = state_from_given(rows, k, start)
    cov = unpacked(old, rows)
    _, new = rows.e_step(
        np.log(np.maximum(params["weights"], 1e-250)), old[1 : 1 + rows.d], cov, Segments([k])
    )
    eta = (rows.total / (seen + rows.total)) ** KAPPA
    state = _mixed(old, new, 1.0 - eta, eta, rows.d)
    cov, _ = Mixtures([k], [s]).m_step(state, rows)
    return in_unit_space(frame, s, state, cov, float(state[0].sum()))


def _mixed(a: np.ndarray, b: np.ndarray, share_a: float, share_b: float, d: int) -> np.ndarray:
    """Return the weighted mean of the statistics of two states (p, K), centred throughout."""
    n = share_a * a[0], share_b * b[0]
    share = n[1] / np.maximum(n[0] + n[1], 1e-250)
    out = (1.0 - share) * a + share * b
    gap = b[1 : 1 + d] - a[1 : 1 + d]
    if len(a) == 1 + 2 * d:
        between = gap * gap
    else:
        i, j = lower_triangle(d)
        between = gap[i] * gap[j]
    out[1 + d :] += share * (1.0 - share) * between
    out[0] = n[0] + n[1]
    return out
