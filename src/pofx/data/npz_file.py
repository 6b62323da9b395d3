"""NPZ files: which array holds the rows, and no more bytes than the headers of the archive allow."""

from __future__ import annotations

import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.data.npy_file import Promise, promise, read_array
from pofx.data.places import Place
from pofx.errors import FileError, ParameterError
from pofx.validation import check_memory
from pofx.validation.columns import nearest

_FREE, _RATIO = 2**26, 100  # an array may be 64 MiB, then 100 times what it takes in the archive
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


def read_npz(place: Place) -> tuple[NDArray[Any], str]:
    """Return the rows of an NPZ file and a note.

    These are the array that ``place`` names (``data.npz:X``), or the only one, or, where all arrays are one
    number per row for the same number of rows, a record array of all of them.

    Raises
    ------
    FileError
        for a damaged archive, arrays of Python objects, or an array that would fill the memory.
    ParameterError
        if there are several arrays to choose from: the message names them.
    """
    try:
        with zipfile.ZipFile(place.path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if len(members) != len(archive.infolist()):
                raise FileError(f"{place.shown} holds two arrays of one name.")
            chosen = [place.member] if place.member is not None else list(members)
            if place.member is not None and place.member not in members:
                raise ParameterError(
                    f"{place.shown} has no array {place.member!r}; it holds {', '.join(members)}."
                    f"{nearest(place.member, members)}"
                )
            headers = {name: _header(archive, members[name], place) for name in chosen}
            if len(chosen) > 1:
                _check_columns(headers, place)
            arrays = {name: _array(archive, members[name], place) for name in chosen}
    except (FileError, ParameterError):
        raise
    except MemoryError:
        raise
    except _DAMAGE as error:
        raise FileError(f"{place.shown}: this NPZ file is damaged or truncated: {error}") from None
    if len(arrays) == 1:
        ((name, array),) = arrays.items()
        return array, f"{place.name}: NPZ, array {name!r}, {array.dtype.name}"
    record = np.empty(
        len(next(iter(arrays.values()))), dtype=[(name, array.dtype) for name, array in arrays.items()]
    )
    for name, array in arrays.items():
        record[name] = array
    return record, f"{place.name}: NPZ, {len(arrays)} arrays as columns"


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Place) -> Promise:
    if info.file_size > _FREE and info.file_size > _RATIO * max(1, info.compress_size):
        raise FileError(
            f"{place.shown}: the array {info.filename!r} would unpack to {info.file_size:,} bytes, more than "
            f"{_RATIO} times its size, like one made to fill the memory. If it is right, use numpy.save."
        )
    check_memory(3 * info.file_size, f"Reading {info.filename} of {place.shown}")
    with archive.open(info) as file:
        return promise(file, info.file_size, f"{place.shown}, array {info.filename!r}")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Place) -> NDArray[Any]:
    shown = f"{place.shown}, array {info.filename!r}"
    with archive.open(info) as file:
        array = read_array(file, promise(file, info.file_size, shown), shown)
        if file.read(1):  # also makes zipfile compare the checksum
            raise FileError(f"{shown} is followed by something else.")
        return array


def _check_columns(headers: dict[str, Promise], place: Place) -> None:
    shapes = {header.shape for header in headers.values()}
    if len(shapes) == 1 and len(next(iter(shapes))) == 1:
        return
    held = "; ".join(f"{name} {header}" for name, header in [*headers.items()][:12])
    first = next(iter(headers))
    raise ParameterError(
        f"{place.shown} holds {len(headers)} arrays: {held}. Which one? Name it behind a colon: "
        f"'{place.name}:{first}'."
    )


__all__ = ["read_npz"]
