"""The code cells of a page."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = re.compile(r"\A(---\n.*?\n---\n|(:\w+:[^\n]*\n)+)", re.S)


def cells_of(page: Path) -> list[tuple[int, str, str]]:
    """Return (line, options, code) of each executed cell."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```\{code-cell\}\n(.*?)^```$", text, re.S | re.M):
        body, line = match.group(1), text[: match.start(1)].count("\n")
        head = HEAD.match(body)
        options = head.group(0) if head else ""
        found.append((line + options.count("\n"), options, body[len(options) :]))
    return found
