"""The same family, fitted to other rows: from the parameters at hand to the nearest optimum.

For parametric bootstraps, where the rows were drawn from those parameters: the number of components and their
structure are held, no other start is tried.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.params import Params
from ...maths.moments import Moments
from .answer import in_unit_space
from .em import Mixtures, climb
from .frame import Frame
from .parameters import state_of
from .rows import CachedRows
from .structures import structure

__all__ = ["climbed"]


def climbed(params: Params, z: np.ndarray, *, tol: float, max_iter: int) -> dict[str, Any]:
    """Return the parameters (unit space) that EM reaches from ``params`` on rows z (n, d), unit space.

    Parameters
    ----------
    params : Params
        Without noise.
    tol : float
        Nats still to gain at which the climb ends.
    """
    s, k, w = structure(params.covariance_type), len(params.weights), np.ones(len(z))
    frame = Frame.of(Moments.of(z, w), params.units.exponent, diagonal=s.diagonal)
    rows = CachedRows(frame.rows(z), w, frame, diagonal=s.diagonal)
    mixtures = Mixtures([k], [s])
    start = state_of(params, frame, rows.total)
    reached = climb(mixtures, start, rows, tol=tol, max_iter=max_iter, leave_floor=False).states[0]
    cov, _ = mixtures.m_step(reached, rows)
    return in_unit_space(frame, s, reached, cov, rows.mass(reached))
