"""Rows as they were asked for on the command line: where they are and how they are read."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pofx.cli.output import show
from pofx.cli.words import listed

if TYPE_CHECKING:
    from pofx.core.density import Density
    from pofx.data.blocks import FileBlocks
    from pofx.data.candidates import Source
    from pofx.data.cells import Cells
    from pofx.data.table import Table

__all__ = ["Asked", "print_table", "stem_of"]

LARGE = 2**25  # bytes of files beyond which a model that can is fitted from blocks
MOST_LINES = 60  # of "what I read"


def stem_of(word: str) -> str:
    """Return what files made from this input are called: "faithful", "moons", "stdin"."""
    if word == "-":
        return "stdin"
    if word.startswith("world:"):
        return re.split(r"[?&,]", word.removeprefix("world:"))[0] or "world"
    name = Path(word).name.partition(".")[0]
    return re.sub(r"[*?\[\]]+", "", name).strip("-_. ") or "data"


@dataclass(frozen=True)
class Asked:
    """DATA and the options of reading."""

    data: tuple[str, ...]
    columns: str | None = None
    drop: str | None = None
    weights: str | None = None
    na: str | None = None
    header: bool | None = None
    missing: str = "error"
    by: str | None = None

    @property
    def source(self) -> Any:
        """What :func:`pofx.read` takes."""
        return self.data[0] if len(self.data) == 1 else [Path(self.data[0]), *self.data[1:]]

    @property
    def shown(self) -> str:
        """The input in a title."""
        return self.data[0] if len(self.data) == 1 else f"{self.data[0]} and {len(self.data) - 1} more"

    @property
    def stem(self) -> str:
        """What files made from this input are called."""
        return stem_of(self.data[0])

    def files(self) -> list[str]:
        """Return the paths behind the words, as far as they are files."""
        names = [name for word in self.data for name in ([word] if os.path.exists(word) else glob.glob(word))]
        return [name for name in names if os.path.isfile(name)]

    def words(self, *, dropped: bool = False) -> list[str]:
        """Return the words that read the same rows again, whatever the verb."""
        out = list(self.data)
        for name in ("columns", "drop", "weights", "na"):
            if (value := getattr(self, name)) is not None:
                out += [f"--{name}", value]
        if self.header is not None:
            out.append("--header" if self.header else "--no-header")
        if dropped:
            out += ["--missing", "drop"]
        return out

    def options(self) -> dict[str, Any]:
        """Return the keywords of :func:`pofx.read`."""
        weights = None if self.weights is None else _columns(self.weights)[0]
        return {
            "columns": None if self.columns is None else _columns(self.columns),
            "drop": None if self.drop is None else _columns(self.drop),
            "weights": weights,
            "na": self.na,
            "header": self.header,
            "missing": "keep" if self.missing == "marginal" else self.missing,
            "by": None if self.by is None else _columns(self.by),
        }

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """Let every error about rows name the input that they came from."""
        from pofx.errors import DataError

        try:
            yield
        except DataError as error:
            names = [self.shown, *(os.path.basename(name) for name in self.files())]
            if not any(name in str(error) for name in names):
                error.args = (f"{self.shown}: {error}", *error.args[1:])
            raise

    def read(self) -> Table:
        """Read the rows and print on standard error what was read."""
        from pofx.data.read import read

        with self._naming(), _notes().held() as notes:
            table = read(self.source, **self.options())
            notes.release(print_table(table))
        return table

    def read_beside(self, key: str | None) -> tuple[Table, Any]:
        """Read the rows without a column of numbers that groups or orders them, and that column (n,); None
        where none is named.

        Raises
        ------
        DataError
            Where that column is not there, or holds no numbers.
        """
        if key is None:
            return self.read(), None
        if self.by is not None:
            raise click.UsageError("--by goes with folds at random, not with --groups or --time.")
        from pofx.data.openers import open_source
        from pofx.data.read import choose, marks_of_missing, position_of, read
        from pofx.errors import DataError

        with self._naming(), _notes().held() as notes:
            found = open_source(self.source, na=marks_of_missing(self.na)[0], header=self.header)
            options = {**self.options(), "header": None}
            at = position_of(found, _columns(key)[0])
            if found.columns[at].values is None:
                raise DataError(
                    f"{found.label(at)!r} holds no numbers ({found.columns[at].why_not}); rows are grouped "
                    "and ordered by a column of numbers. In Python, pofx.compare takes groups= and time= of "
                    "any kind."
                )
            weighs = None if options["weights"] is None else position_of(found, options["weights"])
            keep, aside = choose(found, options["columns"], [*(options["drop"] or []), at], weighs)
            both = read(found, **{**options, "columns": [*keep, at], "drop": None})
            table = both[:, list(range(len(keep)))]
            table.set_aside = {**aside, found.label(at): "it groups or orders the rows, as asked"}
            notes.release(print_table(table))
        return table, both.values[:, -1]

    def read_for(self, model: Density, found: Source | None = None, cells: Cells | None = None) -> Table:
        """Read the columns that a model knows, by their names, and say what else there is.

        Parameters
        ----------
        found : the opened source, where it is open already
        cells : and all of its cells

        Raises
        ------
        DataError
            Where a column is not there, with the nearest name.
        """
        from pofx.data.cells import opened
        from pofx.data.read import marks_of_missing, read

        marks = marks_of_missing(self.na)[0]
        with self._naming(), contextlib.ExitStack() as stack, _notes().held() as notes:
            if found is None:
                found, cells = stack.enter_context(opened(self.source, na=marks, header=self.header))
            options = {**self.options(), "header": None}
            if options["columns"] is None:
                options["columns"] = _columns_of(model, found, options)
            _read_levels(model, found, cells, options["columns"], marks)
            chosen = options["columns"] is not None and self.columns is None
            table = _under_its_names(read(found, **options), model)
            if chosen:  # what the model does not know has been said
                table.set_aside = {k: why for k, why in table.set_aside.items() if "columns=" not in why}
            notes.release(print_table(table))
            _check_width(table, model)
        return table

    def group_keys(self) -> list[str | int]:
        """Return the grouping columns as the rows that are read have them: a number counts among those."""
        from pofx.data.openers import open_source
        from pofx.data.read import choose, marks_of_missing, position_of

        keys = _columns(self.by or "")
        if all(isinstance(key, str) for key in keys):
            return keys
        options = self.options()
        found = open_source(self.source, na=marks_of_missing(self.na)[0], header=self.header)
        groups = [position_of(found, key) for key in keys]
        weighs = None if options["weights"] is None else position_of(found, options["weights"])
        keep, _ = choose(found, options["columns"], options["drop"] or [], weighs, groups)
        return [keep.index(j) for j in groups]

    def is_large(self) -> bool:
        """Tell whether the files are so large that a fit should read them in blocks."""
        if self.weights is not None or self.by is not None or len(self.data) > 1 or self.data[0] == "-":
            return False
        return sum(os.path.getsize(name) for name in self.files()) >= LARGE

    def blocks(self) -> FileBlocks | None:
        """Return the rows in blocks, or None for what can only be read whole."""
        from pofx.data.blocks import FileBlocks, open_blocks

        options = self.options()
        del options["weights"], options["by"]
        blocks = open_blocks(self.source, **options)
        if not isinstance(blocks, FileBlocks):
            return None
        show(blocks.describe())
        return blocks


def print_table(table: Table) -> str:
    """Print what was read on standard error, the middle of many columns left out; return all of it."""
    text = table.describe()
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"  ... and {len(lines) - 2 * half} more lines ...", *lines[-half:]]
    show("\n".join(lines))
    return text


def _columns(text: str) -> list[str | int]:
    """Names, or numbers from 0, between commas."""
    words: list[str | int] = [int(w) if w.isdecimal() else w for w in listed(text) or [] if w]
    if not words:
        raise click.UsageError(f"{text!r} names no column.")
    return words


def _notes() -> Any:
    """Return where notes go."""
    context = click.get_current_context(silent=True)
    found = context.find_root().obj if context else None
    if found is None:
        from pofx.cli.run import Notes

        found = Notes()
    return found


def _columns_of(model: Density, found: Source, options: dict[str, Any]) -> list[str | int] | None:
    """Return the columns to read for a model: its names; without names, all where their number is right."""
    from pofx.errors import DataError
    from pofx.validation.columns import listed as quoted
    from pofx.validation.columns import nearest

    trained, theirs = model.params_.columns, found.names
    if trained.names is None or theirs is None:
        alike = len(found.columns) == len(trained) and options["drop"] is None
        return list(range(len(trained))) if alike else None
    as_here = [_guarded(name) if name not in theirs else name for name in trained.names]
    lacking = [name for name, here in zip(trained.names, as_here, strict=True) if here not in theirs]
    if lacking:
        raise DataError(
            f"There is no column {quoted(lacking)}, which the model was fitted to; there are "
            f"{quoted(theirs)}.{nearest(lacking[0], theirs)} Columns are matched by name, in any order."
        )
    extra = [name for name in theirs if name not in as_here]
    if extra:
        show(f"ignored, because the model does not know them: {quoted(extra)}")
    if [name for name in theirs if name in as_here] != as_here:
        show(f"matched by name, in the model's order: {quoted(trained.names)}")
    return list(as_here)


def _read_levels(
    model: Density, found: Source, cells: Cells | None, columns: Any, marks: frozenset[str]
) -> None:
    """Read as texts, in place, the columns of the source in which the model knows levels of text."""
    from pofx.data.groups import grouping
    from pofx.data.read import position_of

    trained = model.params_.columns
    if trained.levels is None or columns is None or len(columns) != len(trained):
        return
    positions = [position_of(found, key) for key in columns]
    texts = [at for j, at in enumerate(positions) if trained.levels_of(j) is not None]
    grouping(found, texts, None, cells, marks)


def _check_width(table: Table, model: Density) -> None:
    """Refuse rows of another number of columns, where no names could match them."""
    from pofx.errors import DataError
    from pofx.validation.columns import listed as quoted

    theirs, ours = table.shape[1], len(model.params_.columns)
    if theirs != ours:
        labels = quoted([table.columns.label(j) for j in range(theirs)])
        raise DataError(
            f"DATA has {theirs} column{'s' * (theirs != 1)} of numbers ({labels}), the model {ours}. "
            "columns= chooses them, by name or by number from 0."
        )


def _guarded(name: str) -> str:
    """Return the name as it stands in a file where pofx kept spreadsheets from running it."""
    from pofx.show.rows import guarded

    return guarded(name)


def _under_its_names(table: Table, model: Density) -> Table:
    """Return the table with the model's own names, where a quote stood before one of them."""
    names = model.params_.columns.names
    if names is None or table.names is None or len(names) != len(table.names) or names == table.names:
        return table
    if tuple(map(_guarded, names)) != tuple(map(_guarded, table.names)):
        return table
    table.columns = replace(table.columns, names=names)
    return table
