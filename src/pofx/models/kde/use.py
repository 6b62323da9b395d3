"""What else a kernel density estimate answers."""

from __future__ import annotations

from typing import Any

from ...core.density import Density
from ...core.params import Params
from ...maths.kernel_sums import Plan, make_plan
from ...validation import rows_to_query
from .parts import bumps_of

__all__ = ["Use"]


class Use(Density):
    """Methods of :class:`pofx.KDE` beyond the contract."""

    params_: Params
    rtol: float
    engine: str
    memory: float

    def plan(self, X: Any) -> Plan:
        """Return how ``log_density(X)`` would be computed, why, and the predicted seconds and bytes."""
        params = self.params_
        x = params.units.to(rows_to_query(X, params.columns, who=type(self).__name__))
        return make_plan(bumps_of(params), x, self.rtol, engine=self.engine, memory=self.memory)
