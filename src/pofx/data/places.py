"""Where rows are to be found: a path, a pattern, standard input, a known world; and where they are not."""

from __future__ import annotations

import contextlib
import difflib
import glob
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pofx.errors import FileError, ParameterError
from pofx.validation.columns import printable

_URL = re.compile(r"([a-z][a-z0-9+.\-]+)://", re.IGNORECASE)
_MEMBER = re.compile(r"(.+\.npz):([^/\\:]+)", re.IGNORECASE)
_COPY = 2**20


@dataclass(frozen=True)
class Place:
    """One file to read.

    Attributes
    ----------
    path : where its bytes are
    shown : how messages call it
    name : its name without folders
    member : the array of an NPZ file that is asked for, as in ``data.npz:X``
    """

    path: Path
    shown: str
    name: str
    member: str | None = None

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Place:
        """Return the place of a path, which may not exist."""
        found = _MEMBER.fullmatch(os.fspath(path))
        if found and not os.path.exists(path):
            path, member = found.groups()
            return cls(Path(path), printable(path), printable(Path(path).name), member)
        return cls(Path(path), printable(path), printable(Path(path).name))

    def size(self) -> int:
        """Return the bytes of the file."""
        return self.path.stat().st_size

    def fingerprint(self) -> tuple[int, int, int, str]:
        """Return what changes when the file is written to or replaced: size, time, inode, a hash of its
        beginning and end (where Parquet and Arrow keep their footers)."""
        try:
            with self.path.open("rb") as file:
                state = os.fstat(file.fileno())
                digest = hashlib.blake2b(file.read(4096), digest_size=16)
                file.seek(max(0, state.st_size - 65_536))
                digest.update(file.read(65_536))
        except OSError as error:
            raise FileError(f"{self.shown} cannot be read any more: {error.strerror}.") from None
        return state.st_size, state.st_mtime_ns, state.st_ino, digest.hexdigest()

    def check_unchanged(self, before: tuple[int, int, int, str]) -> None:
        """Refuse a file that is not what it was.

        Raises
        ------
        FileError
        """
        now = self.fingerprint()
        if now == before:
            return
        what = "it was written to or replaced"
        if now[0] != before[0]:
            what = f"it had {before[0]:,} bytes and now has {now[0]:,}"
        raise FileError(
            f"{self.shown} changed while it was read ({what}): the rows would be a mixture of two files. "
            "Read it when nobody writes to it, or read a copy."
        )


@contextlib.contextmanager
def places(source: str | os.PathLike[str]) -> Iterator[list[Place]]:
    """Yield the files that a path, a pattern or ``-`` stands for, in order of their names.

    Raises
    ------
    FileError
        if there are none, or if it is a URL or a database: with the line that makes a file of it.
    """
    text = os.fspath(source)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    if text == "-":
        stdin = getattr(sys.stdin, "buffer", None)
        if stdin is None or sys.stdin.isatty():
            raise FileError("Standard input is a terminal; pipe rows into it: cat rows.csv | pofx report -")
        with _spooled(stdin, "standard input", "standard input") as place:
            yield [place]
        return
    if found := _URL.match(text):
        raise FileError(_not_here(text, found.group(1).lower()))
    place = Place.of(text)
    try:
        mode = place.path.stat().st_mode
    except (OSError, ValueError):
        names = sorted(glob.glob(text, recursive=True)) if glob.has_magic(text) and "\0" not in text else []
        found_files = [Place.of(name) for name in names if not os.path.isdir(name)]
        if not found_files:
            raise FileError(_nothing(place, text)) from None
        yield found_files
        return
    if stat.S_ISDIR(mode):
        raise FileError(
            f"{place.shown} is a directory; expected a file. Several files of one shape are read by a "
            f"pattern: {str(place.path / '*.csv')!r}."
        )
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):  # it can be read once only: the formats need to go back
        with place.path.open("rb") as pipe, _spooled(pipe, place.shown, place.name) as copy:
            yield [copy]
        return
    yield [place]


@contextlib.contextmanager
def _spooled(stream: IO[bytes], shown: str, name: str) -> Iterator[Place]:
    """Copy a stream to a temporary file, as far as the disk has room."""
    with tempfile.TemporaryDirectory(prefix="pofx-") as folder:
        path = Path(folder) / "rows"
        room = shutil.disk_usage(folder).free // 2
        with path.open("wb") as file:
            while block := stream.read(_COPY):
                room -= len(block)
                if room < 0:
                    raise FileError(f"{shown} is longer than the temporary folder {folder} has room for.")
                file.write(block)
        yield Place(path, shown, name)


def _nothing(place: Place, text: str) -> str:
    if glob.has_magic(text):
        return f"No file matches the pattern {place.shown}."
    return f"There is no file {place.shown}.{_sibling(place.path)}"


def _sibling(path: Path) -> str:
    try:
        names = os.listdir(path.parent)[:10_000]
    except (OSError, ValueError):
        return "" if "\0" in str(path) else f" There is no folder {path.parent} either."
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {str(path.with_name(close[0]))!r}?" if close else ""


def _not_here(text: str, scheme: str) -> str:
    if scheme in ("http", "https", "ftp", "s3", "gs", "az", "abfs", "hdfs", "sftp", "ssh", "file"):
        if scheme == "file":
            return f"{printable(text)} is a URL; give the path alone: {printable(text[7:])}."
        fetch = {"s3": "aws s3 cp", "gs": "gcloud storage cp"}.get(scheme, "curl -L")
        command = f"{fetch} {text!r} {'> data.csv' if fetch == 'curl -L' else 'data.csv'}"
        return f"{printable(text)} is a URL; only files are read here. Fetch it first: {command}"
    return (
        f"{printable(text)} is a database; only files are read here. Write a table of it first, for instance "
        f"with pandas.read_sql('select * from mytable', {text!r}).to_csv('data.csv', index=False)"
    )


def world_rows(source: str) -> tuple[Any, str]:
    """Return draws from a known world, (n, d), and a note; ``world:moons``, ``world:moons,n=500,seed=1``.

    ``world:moons?n=500&seed=1`` is the same. n is 1000 and seed 0 unless given; every other word is an option
    of the world, such as ``noise=0.2``.

    Raises
    ------
    ParameterError
        for an unknown world or option, or a value that is no number.
    """
    world, n, seed = world_named(source)
    note = f"world:{world.name}: {n:,} draws from a known distribution, seed {seed}"
    return world.sample(n, random_state=seed), note


def world_named(source: str) -> tuple[Any, Any, Any]:
    """Return the world of ``world:moons,n=500,seed=1,noise=0.2``, and n and seed; see :func:`world_rows`."""
    from pofx.data import worlds

    name, *words = re.split(r"[?&,]", source.removeprefix("world:"))
    options: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        number = _number(value)
        if not sign or number is None:
            raise ParameterError(
                f"{printable(source)}: {printable(word)!r} is no option; expected numbers by name, as in "
                "'world:moons,n=500,seed=1,noise=0.2'."
            )
        options[key.strip()] = number
    n, seed = options.pop("n", 1000), options.pop("seed", 0)
    return worlds.get(name.strip(), **options), n, seed


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return None


__all__ = ["Place", "places", "world_named", "world_rows"]
