"""Kernel density estimation."""

from .model import KDE

__all__ = ["KDE"]
