"""How much memory is left: asked before anything large is allocated."""

from __future__ import annotations

import sys
from pathlib import Path

from pofx.errors import MemoryLimitError

_SMALL = 2**26  # 64 MiB: not worth asking the system about
_CGROUP = Path("/sys/fs/cgroup")


def check_memory(needed_bytes: float, what: str) -> None:
    """Refuse ``what`` if it needs more bytes than there are; where the system does not tell, allow it.

    Raises
    ------
    MemoryLimitError
        naming the bytes needed and available.
    """
    if needed_bytes <= _SMALL:
        return
    available = available_memory()
    if available is not None and needed_bytes > available:
        raise MemoryLimitError(
            f"{what} would need about {_size(needed_bytes)} of memory; {_size(available)} are available. "
            "Use fewer rows or columns, or a model that does not keep its rows."
        )


def available_memory() -> int | None:
    """Return the bytes this process may still allocate: the least of what the machine, its control
    groups (v2 or v1, as containers use) and the address-space limit leave; None where unknown."""
    if sys.platform != "linux":
        return None
    found = [left for left in (_machine(), *_groups(), _address_space()) if left is not None]
    return max(0, min(found)) if found else None


def _machine() -> int | None:
    kib = _fields(Path("/proc/meminfo")).get("MemAvailable:")
    return None if kib is None else kib * 1024


def _groups() -> list[int | None]:
    """Limit minus usage of every control group this process is in, parents included."""
    left: list[int | None] = []
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            root, limit, usage, cache = _CGROUP, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            root, limit, usage = _CGROUP / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache = "total_inactive_file"
        else:
            continue
        here = root / path.lstrip("/")
        # inside a container the path may name a group that is not mounted there: its root is then the limit
        for group in [g for g in (here, *here.parents) if g == root or root in g.parents]:
            most, used = _number(_read(group / limit)), _number(_read(group / usage))
            if most is not None and used is not None:
                reclaimable = _fields(group / "memory.stat").get(cache, 0)
                left.append(most - used + reclaimable)
    return left


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _number(_read(Path("/proc/self/statm")).partition(" ")[0])
    if limit == resource.RLIM_INFINITY or pages is None:
        return None
    return int(limit - pages * resource.getpagesize())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _fields(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _read(path).splitlines())
    return {words[0]: int(words[1]) for words in pairs if len(words) >= 2 and words[1].isdigit()}


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= 1000
    return ""
