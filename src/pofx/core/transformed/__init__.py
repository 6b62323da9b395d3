"""A density seen through a change of variables, and as probabilities of recorded values."""

from __future__ import annotations

from .model import Transformed

__all__ = ["Transformed"]
