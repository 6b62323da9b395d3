"""pofx's own warnings, told apart by the fit that gave them, also where fits run side by side.

``warnings.catch_warnings(record=True)`` keeps one list for the whole process and does not say who
warned.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import PofxWarning

__all__ = ["Caught"]


class Caught:
    """Keeps the texts of warnings; those of other packages go where they went before."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._latest: list[str] = []  # of the threads that a fit starts itself

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Keep every warning of ours, however often it comes, as long as this lasts."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", PofxWarning)
            before = warnings.showwarning

            def keep(message: Any, category: Any, *rest: Any, **named: Any) -> None:
                if issubclass(category, PofxWarning):
                    getattr(self._here, "texts", self._latest).append(str(message))
                else:
                    before(message, category, *rest, **named)

            warnings.showwarning = keep
            yield

    @contextmanager
    def of(self, texts: list[str]) -> Iterator[None]:
        """Add what this thread is warned of to ``texts``."""
        self._here.texts = self._latest = texts
        try:
            yield
        finally:
            del self._here.texts
