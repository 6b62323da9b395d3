"""Level frequencies times one density per level."""

from .model import Group, Grouped

__all__ = ["Group", "Grouped"]
