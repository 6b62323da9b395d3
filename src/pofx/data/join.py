"""Several files of one shape become one: rows one below the other, columns matched by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pofx.data.candidates import Candidate, Source, counted
from pofx.data.keys import why_key
from pofx.data.places import Place
from pofx.errors import FileError
from pofx.validation.columns import listed, nearest


def joined(sources: Sequence[Source], places: Sequence[Place]) -> Source:
    """Return the rows of all sources, in their order.

    Raises
    ------
    FileError
        if a file lacks a column that the first one has, or has one more.
    """
    if len(sources) == 1:
        return sources[0]
    first, columns = sources[0], []
    matched = [
        match(source.names, first.names, len(source.columns), place, places[0], len(first.columns))
        for source, place in zip(sources, places, strict=True)
    ]
    for j in range(len(first.columns)):
        columns.append(_below([s.columns[order[j]] for s, order in zip(sources, matched, strict=True)]))
    n = sum(source.n for source in sources)
    notes = [f"{len(sources)} files: {counted(n, 'row')}, {counted(len(columns), 'column')}, matched by name"]
    shown = sources if len(sources) <= 6 else sources[:5]
    notes += [note for source in shown for note in source.notes]
    if len(shown) < len(sources):
        notes.append(f"... and {len(sources) - len(shown)} more files, to {places[-1].name}")
    return Source(columns, n, notes, chosen=all(source.chosen for source in sources))


def match(
    names: tuple[str, ...] | None,
    wanted: tuple[str, ...] | None,
    width: int,
    place: Place,
    first: Place,
    first_width: int,
) -> list[int]:
    """Return where in a file the columns of the first file are, by name, or by number without names."""
    if (names is None) != (wanted is None) or (names is None and width != first_width):
        said = [
            f"{w} columns {'without names' if n is None else 'with names'}"
            for w, n in ((first_width, wanted), (width, names))
        ]
        raise FileError(
            f"{first.shown} has {said[0]}, {place.shown} {said[1]}; files read together need the same."
        )
    if names is None or wanted is None or names == wanted:
        return list(range(first_width))
    lacking = [name for name in wanted if name not in names]
    extra = [name for name in names if name not in wanted]
    if lacking:
        raise FileError(
            f"{place.shown} has no column {listed(lacking)}, which {first.shown} has."
            f"{nearest(lacking[0], extra)}"
        )
    if extra:
        raise FileError(f"{place.shown} has the column {listed(extra)}, which {first.shown} has not.")
    return [names.index(name) for name in wanted]


def _below(parts: Sequence[Candidate]) -> Candidate:
    """Return one column from its parts."""
    name = parts[0].name
    error = next((part.error for part in parts if part.error is not None), None)
    numbers = [part.values for part in parts if part.values is not None]
    if error is not None:
        there = np.concatenate(numbers) if len(numbers) == len(parts) else None
        return Candidate(name, there, parts[0].dtype, error=error)
    empty = all(part.values is not None or part.why_not == "no value in any row" for part in parts)
    if not numbers or not empty:
        return Candidate(name, None, why_not=next(part.why_not for part in parts if part.why_not))
    if len(numbers) < len(parts):
        return Candidate(
            name,
            None,
            error=FileError(f"{name}: one of the files has numbers in it, another no value at all."),
        )
    dtypes = [part.dtype for part in parts]
    decimals = [part.decimals for part in parts]
    keys = [why_key(part.name, values, part.dtype) for part, values in zip(parts, numbers, strict=True)]
    key = f"in each file it {keys[0]}" if all(keys) else ""
    return Candidate(
        name,
        np.concatenate(numbers),
        dtypes[0] if len(set(dtypes)) == 1 else np.result_type(*dtypes).name,
        None if None in decimals else max(p for p in decimals if p is not None),
        key=key,
        warning=next((part.warning for part in parts if part.warning), ""),
    )


__all__ = ["joined", "match"]
