"""NPY files, read without trusting their header: no pickle, and the size is checked before allocation."""

from __future__ import annotations

import math
import tokenize
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pofx.errors import FileError
from pofx.validation import check_memory
from pofx.validation.columns import printable

MAGIC = b"\x93NUMPY"


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of an NPY file.

    Raises
    ------
    FileError
        for a damaged header, Python objects (they would have to be unpickled), and a file whose length is not
        what its header says: truncated, or with something behind the array.
    MemoryLimitError
        if the array is larger than the memory there is.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
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
            raise FileError(f"{printable(path)}: the header of this NPY file is damaged: {error}") from None
        if dtype.hasobject:
            raise FileError(
                f"{printable(path)} holds Python objects, which could run code when loaded: refused. "
                "Save numbers: numpy.save(path, array.astype(float))."
            )
        if any(length < 0 for length in shape) or len(shape) > 32:
            raise FileError(f"{printable(path)}: the header of this NPY file is damaged: shape {shape}.")
        promised = math.prod(shape) * dtype.itemsize
        actual = size - file.tell()
        if promised != actual:
            kind = "truncated" if promised > actual else "followed by something else"
            raise FileError(
                f"{printable(path)}: the header promises shape {shape} of {dtype}, {promised} bytes, but "
                f"{actual} bytes follow: the array is {kind}."
            )
        check_memory(3 * promised, f"Reading {path}")  # the bytes, and float64 rows in order
        data = bytearray(promised)
        if file.readinto(data) != promised:
            raise FileError(f"{printable(path)} became shorter while it was read.")
    array: NDArray[Any] = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape, order="F" if fortran else "C")
