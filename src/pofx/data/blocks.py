"""Files larger than memory: the rows of a file, block by block, as often as a fit asks for them.

>>> import pofx
>>> from pofx.data.blocks import open_blocks
>>> model = pofx.Gaussian().fit(open_blocks("large.parquet"))  # doctest: +SKIP

What :func:`pofx.read` does with a file is done here too, as far as it can be told from the first block: text,
dates, keys and counters are set aside by name, missing values refused or dropped and counted.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.core.fold import Blocks
from pofx.data.formats import identify
from pofx.data.join import match
from pofx.data.places import Place, places
from pofx.data.read import choose, listed_keys, marks_of_missing, read
from pofx.data.streams import Stream, state, stream
from pofx.data.table import Table
from pofx.errors import DataError, PofxWarning
from pofx.validation import Columns, Rows, one_of
from pofx.validation.columns import printable

_MISSING_REMEDY = 'missing="drop" leaves such rows out.'


@dataclass(frozen=True)
class Part:
    """Some rows of a file, as a model takes them."""

    values: NDArray[np.float64]
    columns: Columns
    dropped: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.values.shape[0], self.values.shape[1]

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __pofx_rows__(self) -> Rows:
        """What the doorman takes."""
        return Rows(self.values, self.columns, self.dropped)


class FileBlocks(Blocks):
    """The rows of one or more files, block by block; made by :func:`open_blocks`.

    Attributes
    ----------
    columns : names and dtypes of the columns that are read; their decimals are those of the first block until
        a pass over the file has been made
    set_aside : name of each column that is left out -> why
    notes : what was found, line by line
    n, dropped : rows given and rows dropped in the last pass; None before the first
    """

    def __init__(
        self,
        sources: Sequence[tuple[Place, Stream]],
        matched: Sequence[Sequence[int]],
        columns: Columns,
        *,
        codes: Sequence[float],
        missing: str,
        set_aside: dict[str, str],
        notes: Sequence[str],
    ) -> None:
        super().__init__(self._pass)
        self._sources, self._matched = list(sources), list(matched)
        self._codes, self._missing = list(codes), missing
        self._before = [(place.fingerprint(), state(place)) for place, _ in sources]
        self._warned: set[str] = set()
        self.columns, self.set_aside, self.notes = columns, dict(set_aside), tuple(notes)
        self.n: int | None = None
        self.dropped: int | None = None

    def __repr__(self) -> str:
        shown = ", ".join(place.name for place, _ in self._sources[:3])
        return f"FileBlocks({shown}{', ...' if len(self._sources) > 3 else ''})"

    def describe(self) -> str:
        """Return what was found: files, columns, what is set aside and why, rows after a pass."""
        names = ", ".join(f"{self.columns.label(j)} ({t})" for j, t in enumerate(self.columns.dtypes))
        aside = [f"set aside: {printable(name)} ({why})" for name, why in self.set_aside.items()]
        rows = [f"{self.n:,} rows, {self.dropped:,} dropped for missing values"] if self.n is not None else []
        return "\n".join([*map(printable, self.notes), f"read in blocks: {names}", *aside, *rows])

    def _pass(self) -> Iterator[Part]:
        """One pass over all files; a file that changes between or during passes is an error."""
        given = waiting = dropped = 0
        decimals: list[int | None] = [0] * len(self.columns)
        for (place, file), order, (before, quick) in zip(
            self._sources, self._matched, self._before, strict=True
        ):
            place.check_unchanged(before)
            so_far, row = list(decimals), 0
            for block in file.blocks(order):
                if state(place) != quick:
                    place.check_unchanged(before)
                values, lost = self._finished(block, place, row)
                row += len(values) + lost
                waiting, dropped = waiting + lost, dropped + lost
                decimals = [_coarsest(a, file.recorded(j)) for a, j in zip(so_far, order, strict=True)]
                if len(values):
                    given += len(values)
                    yield Part(values, replace(self.columns, decimals=tuple(decimals)), waiting)
                    waiting = 0
            place.check_unchanged(before)
            for doubt in getattr(file, "warnings", lambda order: [])(order):
                if doubt not in self._warned:
                    self._warned.add(doubt)
                    warnings.warn(f"{place.name}: {doubt}.", PofxWarning, stacklevel=2)
        if not given:
            raise DataError("0 rows are left: each row has a missing value. Use drop= or columns=.")
        self.n, self.dropped = given, dropped
        self.columns = replace(self.columns, decimals=tuple(decimals))

    def _finished(
        self, block: list[NDArray[np.float64]], place: Place, row: int
    ) -> tuple[NDArray[np.float64], int]:
        """Return the rows of a block without those that have gaps, and how many those were."""
        values = np.empty((len(block[0]), len(block)))
        for j, column in enumerate(block):
            values[:, j] = column
        if self._codes:
            values[np.isin(values, self._codes)] = np.nan
        finite = np.isfinite(values)
        if finite.all():
            return values, 0
        for bad in np.flatnonzero(np.isinf(values).any(axis=0)):
            at = row + int(np.isinf(values[:, bad]).argmax())
            raise DataError(
                f"{place.shown}: {self.columns.label(int(bad))} holds infinity (first: row {at}, counted "
                "from 0): it is no measurement."
            )
        if self._missing == "error":
            gaps = ~finite
            worst = int(gaps.any(axis=0).argmax())
            raise DataError(
                f"{place.shown}: {self.columns.label(worst)} has missing values (NaN; first: "
                f"row {row + int(gaps[:, worst].argmax())}, counted from 0). {_MISSING_REMEDY}"
            )
        kept = finite.all(axis=1)
        return values[kept], int((~kept).sum())


def _coarsest(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else max(a, b)


def open_blocks(
    source: Any,
    *,
    columns: str | int | Iterable[str | int] | None = None,
    drop: str | int | Iterable[str | int] | None = None,
    na: str | float | Iterable[str | float] | None = None,
    header: bool | None = None,
    missing: str = "error",
) -> Blocks:
    """Return the rows of a file, or of several, in blocks that can be read again and again.

    Parquet comes by row groups and pages, text and JSON lines by blocks of lines, NPY by blocks of rows: the
    memory needed is that of one block. A fit passes over the rows several times; before, during and after
    each pass the file must be what it was at first (size, time, inode, beginning and end).

    Parameters
    ----------
    source : path, pattern or ``"-"``, as for :func:`pofx.read`; NPZ files and ``world:`` are read whole
    columns, drop, na, header : as for :func:`pofx.read`; keys are told from the first block of rows
    missing : "error", or "drop" to leave out rows with missing values

    Raises
    ------
    FileError, DataError, ParameterError
        As :func:`pofx.read`; what is wrong further down is raised by the pass that meets it.
    """
    one_of(missing, "missing", ("error", "drop"))
    if isinstance(source, str) and source.startswith("world:"):
        return _whole(read(source, columns=columns, drop=drop, na=na, missing=missing))
    words, codes = marks_of_missing(na)
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(places(source))
        forms = [identify(place) for place in found]
        streams = [stream(place, form, words, header) for place, form in zip(found, forms, strict=True)]
        if None in streams:
            return _whole(read(source, columns=columns, drop=drop, na=na, header=header, missing=missing))
        heads = [each.head() for each in streams]
        first = heads[0]
        keep, aside = choose(first, listed_keys(columns), listed_keys(drop) or [])
        told = f" (told from the first {first.n:,} rows)"
        aside = {name: why if "as asked" in why else why + told for name, why in aside.items()}
        orders = []
        for head, place in zip(heads, found, strict=True):
            order = match(head.names, first.names, len(head.columns), place, found[0], len(first.columns))
            orders.append([order[j] for j in keep])
        chosen = [first.columns[j] for j in keep]
        names = tuple(c.name or "" for c in chosen) if first.names is not None else None
        described = Columns(names, tuple(c.dtype for c in chosen), tuple(c.decimals for c in chosen), "table")
        blocks = FileBlocks(
            list(zip(found, streams, strict=True)),
            orders,
            described,
            codes=codes,
            missing=missing,
            set_aside=aside,
            notes=[note for head in heads[:6] for note in head.notes],
        )
        weakref.finalize(blocks, stack.pop_all().close)  # a spooled standard input lives as long
    return blocks


def _whole(table: Table) -> Blocks:
    return Blocks([table])


__all__ = ["FileBlocks", "Part", "open_blocks"]
