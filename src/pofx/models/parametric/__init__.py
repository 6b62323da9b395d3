"""Families with a formula: any continuous distribution of scipy.stats, by maximum likelihood."""

from .model import Parametric

__all__ = ["Parametric"]
