"""Bytes to lines of text: encodings, line ends, gzip, and bounds on what a file may grow to."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import IO

from pofx.data.places import Place
from pofx.errors import FileError

_BLOCK = 2**20  # bytes
_LONGEST_LINE = 2**24  # characters
_GZIP_FREE, _GZIP_RATIO = 2**26, 100  # a compressed file may grow to 64 MiB, then 100-fold
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", ""),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


class Lines:
    """The lines of a file, in blocks, read once.

    A byte-order mark decides the encoding, else it is UTF-8. A line that is no UTF-8 is read as Windows-1252,
    the superset of Latin-1 that most such files are in, and ``first_latin`` remembers its number.

    Attributes
    ----------
    encoding : "" for UTF-8, else its name for the notes
    first_latin : number of the first line that is no UTF-8, or None
    ends_in_newline : whether the last line has an end
    """

    def __init__(self, place: Place, file: IO[bytes], *, gzipped: bool) -> None:
        self.place = place
        self.file: IO[bytes] = gzip.GzipFile(fileobj=file) if gzipped else file  # type: ignore[assignment]
        self.budget = max(_GZIP_FREE, _GZIP_RATIO * place.size()) if gzipped else None
        self.encoding = ""
        self.first_latin: int | None = None
        self.ends_in_newline = True
        self.number = 1  # of the next line
        if gzipped:
            self._check_promise(file)

    def _check_promise(self, file: IO[bytes]) -> None:
        """Refuse at once what the end of a gzip file says is a bomb; one that lies is found by reading it."""
        file.seek(-min(4, self.place.size()), 2)
        self._check_growth(int.from_bytes(file.read(4), "little"))
        file.seek(0)

    def _check_growth(self, characters: int) -> None:
        if self.budget is not None and characters > self.budget:
            raise self.fail(
                self.number,
                f"this gzip file grows to more than {_GZIP_RATIO} times its size, like one made to fill the "
                "memory. If it is right, unpack it first.",
            )

    def fail(self, line: int, what: str) -> FileError:
        """Return the error that names file and line."""
        return FileError(f"{self.place.shown}, line {line}: {what}")

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yield ``(number of the first line, lines joined by "\\n")``, the last line end left out."""
        try:
            yield from self._blocks()
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileError(f"{self.place.shown}: this gzip file is damaged or truncated: {error}") from None
        except UnicodeDecodeError as error:
            raise self.fail(self.number, f"not {self.encoding} text: {error.reason}.") from None

    def _blocks(self) -> Iterator[tuple[int, str]]:
        raw = self._next_bytes()
        encoding = "utf-8"
        for mark, name, shown in _MARKS:
            if raw.startswith(mark):
                encoding, self.encoding = name, shown
                break
        errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(errors), translate=True)
        rest, characters = "", 0
        while raw or rest:
            text = decoder.decode(raw, final=not raw)
            characters += len(text)
            self._check_growth(characters)
            whole, end, rest = (rest + text).rpartition("\n") if raw else (rest + text, "", "")
            if end or not raw:
                if not raw:
                    self.ends_in_newline = not whole
                    if not whole:
                        return
                yield self.number, self._checked(whole)
                self.number += whole.count("\n") + 1
            if len(rest) >= _LONGEST_LINE:
                self._refuse_long_line()
            raw = self._next_bytes() if raw else b""

    def _next_bytes(self) -> bytes:
        return self.file.read(_BLOCK)

    def _checked(self, text: str) -> str:
        """Refuse what is no text, and decode lines that are no UTF-8."""
        if "\0" in text:
            raise self.fail(
                self.number + text.count("\n", 0, text.index("\0")),
                "a NUL byte; this is no text, or it is damaged, or UTF-16 without its mark.",
            )
        if len(text) >= _LONGEST_LINE:
            lengths = list(map(len, text.split("\n")))
            if max(lengths) >= _LONGEST_LINE:
                self.number += next(i for i, length in enumerate(lengths) if length >= _LONGEST_LINE)
                self._refuse_long_line()
        if text.isascii() or not _NOT_UTF8.search(text):
            return text
        lines = text.split("\n")
        for i, line in enumerate(lines):
            if not line.isascii() and _NOT_UTF8.search(line):
                if self.first_latin is None:
                    self.first_latin = self.number + i
                octets = line.encode("utf-8", "surrogateescape")
                try:
                    lines[i] = octets.decode("cp1252")
                except UnicodeDecodeError:
                    lines[i] = octets.decode("latin-1")
        return "\n".join(lines)

    def _refuse_long_line(self) -> None:
        raise self.fail(
            self.number, f"longer than {_LONGEST_LINE} characters; is this a table with a row per line?"
        )


__all__ = ["Lines"]
