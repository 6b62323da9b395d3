"""NPY files, read without trusting their header: no pickle, and the size is checked before allocation."""

from __future__ import annotations

import math
import tokenize
import warnings
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pofx.data.places import Place
from pofx.errors import FileError
from pofx.validation import check_memory

MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class Promise:
    """What the header of an array says, checked against the bytes that follow it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype.name}"


def read_npy(place: Place) -> NDArray[Any]:
    """Return the array of an NPY file.

    Raises
    ------
    FileError
        for a damaged header, Python objects (they would have to be unpickled), and a file whose length is not
        what its header says: truncated, or with something behind the array.
    MemoryLimitError
        if the array is larger than the memory there is.
    """
    with place.path.open("rb") as file:
        return read_array(file, promise(file, place.size(), place.shown), place.shown)


def promise(file: IO[bytes], size: int, shown: str) -> Promise:
    """Read the header of an array that takes ``size`` bytes with its header.

    Raises
    ------
    FileError
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old headers with odd metadata: judged below
            version = npy.read_magic(file)
            if version == (1, 0):
                shape, fortran, dtype = npy.read_array_header_1_0(file)
            elif version == (2, 0):
                shape, fortran, dtype = npy.read_array_header_2_0(file)
            else:
                raise ValueError(f"version {version[0]}.{version[1]}; expected 1.0 or 2.0")
    except (ValueError, TypeError, SyntaxError, EOFError, RecursionError, tokenize.TokenError) as error:
        raise FileError(f"{shown}: the header of this NPY file is damaged: {error}") from None
    if dtype.hasobject:
        raise FileError(
            f"{shown} holds Python objects, which could run code when loaded: refused. "
            "Save numbers: numpy.save(path, array.astype(float))."
        )
    if any(length < 0 for length in shape) or len(shape) > 32:
        raise FileError(f"{shown}: the header of this NPY file is damaged: shape {shape}.")
    promised = math.prod(shape) * dtype.itemsize
    offset = file.tell()
    actual = size - offset
    if promised != actual:
        kind = "truncated" if promised > actual else "followed by something else"
        raise FileError(
            f"{shown}: the header promises shape {shape} of {dtype}, {promised} bytes, but "
            f"{actual} bytes follow: the array is {kind}."
        )
    return Promise(shape, dtype, fortran, offset, promised)


def read_array(file: IO[bytes], header: Promise, shown: str) -> NDArray[Any]:
    """Return the array behind its header."""
    check_memory(3 * header.size, f"Reading {shown}")  # the bytes, and float64 rows in order
    data = bytearray(header.size)
    view, done = memoryview(data), 0
    while done < header.size:
        block = file.read(min(2**24, header.size - done))
        if not block:
            raise FileError(f"{shown} became shorter while it was read.")
        view[done : done + len(block)] = block
        done += len(block)
    array: NDArray[Any] = np.frombuffer(data, dtype=header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran else "C")


__all__ = ["MAGIC", "Promise", "promise", "read_array", "read_npy"]
