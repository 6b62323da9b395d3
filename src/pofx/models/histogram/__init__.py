"""The histogram, in any number of columns."""

from .model import Histogram

__all__ = ["Histogram"]
