"""What leaves the command line: data, sentences, progress. Nothing here can harm the terminal or a file."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

__all__ = ["clean", "emit", "json_text", "may_write", "plain", "progress", "say", "show"]

_open_line = False  # a line of progress is on the terminal, without an end


def clean(text: str) -> str:
    """Return the text with control characters and escape sequences spelled out; line ends stay."""
    if text.isprintable():
        return text
    kept = ("\n", "\N{NO-BREAK SPACE}")
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode("ascii") for c in text
    )


def say(text: str) -> None:
    """Print a sentence on standard error."""
    show(f"pofx: {text}")


def show(text: str) -> None:
    """Print lines on standard error."""
    global _open_line
    if _open_line:
        click.echo("\r\x1b[K", err=True, nl=False)
        _open_line = False
    click.echo(clean(text), err=True)


# ---------------------------------------------------------------- data


def emit(text: str, output: str | None = None, *, force: bool = False) -> None:
    """Write data to standard output, or to a file: whole, or not at all.

    Raises
    ------
    FileError
        Where it cannot be written; what was there before is intact.
    """
    octets = text.encode("utf-8", "backslashreplace")
    if output is None or output == "-":
        _to_standard_output(text, octets)
        return
    if _is_stream(output):
        with open(output, "wb") as device:
            device.write(octets)
    else:
        from pofx.store import atomic

        atomic.write(output, [octets], overwrite=force)
    say(f"wrote {output}")


def _to_standard_output(text: str, octets: bytes) -> None:
    if sys.stdout is None:
        from pofx.errors import FileError

        raise FileError("standard output is closed; -o names a file to write.")
    if sys.stdout.isatty():
        click.echo(clean(text), nl=False)
    elif not hasattr(sys.stdout, "buffer"):  # a StringIO, say
        click.echo(text, nl=False)
    else:
        click.echo(octets, nl=False)  # UTF-8, whatever the locale


def json_text(record: Mapping[str, Any]) -> str:
    """Return a record as JSON; what is no finite number is null."""
    return json.dumps(plain(record), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Return nested dicts, lists, texts, booleans and finite numbers, None for any other number."""
    if hasattr(value, "tolist"):  # NumPy, which is not imported for this
        value = value.tolist()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range | set | frozenset):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else repr(value)


# ---------------------------------------------------------------- before the work


def may_write(
    target: str | None,
    inputs: Sequence[str] = (),
    *,
    force: bool,
    ours: Callable[[str], bool] | None = None,
) -> None:
    """Refuse before any work what could not be written after it. ``ours`` tells what may be replaced.

    Raises
    ------
    click.UsageError, FileError
    """
    if target is None or target == "-":
        return
    path = Path(target)
    if not target or "\0" in target:
        raise click.UsageError(f"-o {target!r} is no name of a file.")
    if path.is_dir() or target.endswith(("/", os.sep)):
        raise click.UsageError(f"{target!r} is a directory; give the name of a file.")
    if path.is_symlink():
        raise click.UsageError(f"{target!r} is a symbolic link; name the file that it points to.")
    if not path.parent.is_dir():
        raise click.UsageError(f"There is no directory {str(path.parent)!r} to write {path.name!r} in.")
    if _is_stream(target):
        return
    if path.exists():
        for source in inputs:
            if os.path.exists(source) and os.path.samefile(path, source):
                raise click.UsageError(f"{target!r} is the input; writing it would destroy what is read.")
        if not force and not (ours is not None and ours(target)):
            raise click.UsageError(f"{target!r} exists; --force replaces it, or name another file.")
    if not os.access(path.parent, os.W_OK):
        from pofx.errors import FileError

        raise FileError(f"cannot write {target!r}: no permission to write in {str(path.parent)!r}.")


def _is_stream(target: str) -> bool:
    """Tell whether it is a device or a pipe, which are written to and not replaced."""
    try:
        mode = os.stat(target).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


# ---------------------------------------------------------------- progress


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done on one line of a terminal; elsewhere it is silent."""
    global _open_line
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda text: None
        return
    started = time.monotonic()
    shown = -1.0

    def line(text: str) -> None:
        nonlocal shown
        global _open_line
        seconds = time.monotonic() - started
        if 0 <= shown and seconds - shown < 0.05:
            return
        shown = seconds
        room = max(20, shutil.get_terminal_size().columns - 1)
        words = clean(f"{text} ... {seconds:.0f} s")[:room]
        click.echo(f"\r\x1b[K{words}", err=True, nl=False)
        _open_line = True

    try:
        yield line
    finally:
        if _open_line:
            click.echo("\r\x1b[K", err=True, nl=False)
            _open_line = False
