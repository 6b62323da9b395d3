"""What else a kernel density estimate answers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.density import Density
from ...core.params import Params
from ...errors import PofxWarning
from ...maths.kernel_sums import Plan, make_plan
from ...threads import one_blas_thread
from ...validation import one_of, real_number, rng_from, rows_to_query, whole_number
from .gradient import Slopes, require_gaussian
from .left_out import leave_one_out
from .parts import bumps_of, edges_of

__all__ = ["Use"]

Floats = NDArray[np.float64]


class Use(Density):
    """Methods of :class:`pofx.KDE` beyond the contract."""

    params_: Params
    rtol: float
    engine: str
    memory: float
    weight_kind: str | None

    def plan(self, X: Any) -> Plan:
        """Return how ``log_density(X)`` would be computed, why, and the predicted seconds and bytes."""
        params = self.params_
        x = params.units.to(rows_to_query(X, params.columns, who=type(self).__name__))
        return make_plan(bumps_of(params), x, self.rtol, engine=self.engine, memory=self.memory)

    def leave_one_out(self) -> Floats:
        """Return the log density at each distinct row (``points_``) of what the other rows make.

        One unit of the row's weight is left out, with ``weight_kind="importance"`` all of it, and the rest is
        scaled to one; bandwidth and factors are held. ``-inf`` where nothing else reaches.

        Returns
        -------
        ndarray (m,)
            Nats, data units.
        """
        params = self.params_
        with one_blas_thread():
            out = leave_one_out(
                params,
                all_of_it=self.weight_kind == "importance",
                rtol=self.rtol,
                engine=self.engine,
                memory=self.memory,
            )
        return out + params.units.log_jacobian

    def gradient(self, X: Any) -> Floats:
        """Return the gradient of the log density at each row: nats per unit of each column, shape (m, d).

        NaN outside the bounds, where there is no density. Gaussian kernel only.

        Raises
        ------
        UnsupportedError
            For other kernels.
        """
        params = self.params_
        require_gaussian(params, "gradient")
        x = params.units.to(rows_to_query(X, params.columns, who=type(self).__name__))
        if len(x) == 0:
            return np.empty_like(x)
        edges = edges_of(params)
        inside = np.ones(len(x), dtype=bool) if edges is None else ~edges.outside(x)
        out = np.full(x.shape, math.nan)
        with one_blas_thread():
            slopes = Slopes(params, rtol=self.rtol / 100.0, memory=self.memory, expected=len(x))
            out[inside] = slopes.gradient(x[inside])[1]
        return np.ldexp(out, -params.units.exponent)
