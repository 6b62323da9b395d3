"""The mass of a box: of a Gaussian by separation of variables, of any density by a rule of fixed nodes."""

from __future__ import annotations

from .gaussian import gaussian_log_box
from .interval import difference, log_interval
from .nodes import cube_nodes
from .rule import log_box_by_rule

__all__ = ["cube_nodes", "difference", "gaussian_log_box", "log_box_by_rule", "log_interval"]
