"""The measured tables of benchmarks/results as pages, and the links of other pages to them.

Pages of docs/ are also read in the repository, where a link to a table leads out of docs/.
"""

from __future__ import annotations

import shutil
from pathlib import Path

INTO = ("](../benchmarks/results/", "](measured/")


def copy_tables(results: Path, folder: Path) -> None:
    """Copy the tables and their pictures to ``folder``; what is gone goes there too."""
    folder.mkdir(exist_ok=True)
    names = {path.name for path in results.iterdir() if path.suffix in (".md", ".png")}
    for old in folder.iterdir():
        if old.name not in names:
            old.unlink()
    for name in names:
        here, there = results / name, folder / name
        if not there.exists() or there.read_bytes() != here.read_bytes():
            shutil.copyfile(here, there)


def to_tables(app: object, name: str, source: list[str]) -> None:
    """Lead a page's links to tables to their pages (Sphinx's "source-read")."""
    source[0] = source[0].replace(*INTO)
