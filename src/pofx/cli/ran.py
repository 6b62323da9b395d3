"""What differs from one run to the next: when it was, how long it took, how much memory, on which machine.

A report holds none of it: the same rows, seed and version give the same bytes.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from datetime import UTC, datetime
from typing import Any

__all__ = ["Run", "peak_memory"]


def peak_memory() -> int | None:
    """Return the most bytes that this process has held in memory; None where the system does not say."""
    with contextlib.suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak) * (1 if sys.platform == "darwin" else 1024)
    return None


class Run:
    """A run, from now on."""

    def __init__(self) -> None:
        self.date = datetime.now(UTC).replace(microsecond=0)
        self._started = time.perf_counter()

    def record(self, output: str) -> dict[str, Any]:
        """Return when, how long, how much, on what, and where the answer is."""
        from pofx import __version__

        return {
            "date": self.date.isoformat(),
            "seconds": round(time.perf_counter() - self._started, 3),
            "peak_memory_bytes": peak_memory(),
            "version": __version__,
            "machine": {
                "system": platform.system(),
                "processor": platform.machine(),
                "processors": os.cpu_count(),
                "python": platform.python_version(),
            },
            "output": output,
        }

    def sentence(self) -> str:
        """Return the same in a line for a person."""
        peak = peak_memory()
        memory = "" if peak is None else f", at most {peak / 1e6:,.0f} MB"
        return f"{self.date:%Y-%m-%d %H:%M} UTC, {time.perf_counter() - self._started:.1f} s{memory}"
