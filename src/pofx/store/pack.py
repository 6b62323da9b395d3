"""(manifest, arrays) -> the bytes of a ``.pofx`` file.

The header is written here rather than by the safetensors package, because that package orders metadata at
random, and equal models must give equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pofx.errors import ParameterError

__all__ = ["SCHEMA", "serialise"]

SCHEMA = 1
HEADER_CAP = 16 * 2**20  # bytes; JSON of this size can take some 700 MB once parsed
MAX_DEPTH = 64  # nesting of the manifest
MAX_NDIM = 32  # NumPy 1 stops there

DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_CODES = {np.dtype(text): code for code, text in DTYPES.items()}
SIZE_MARK = b'{"__metadata__":{"size":"'
HASH_MARK = b'","sha256":"'
SIZE_AT = 8 + len(SIZE_MARK)
HASH_AT = SIZE_AT + 16 + len(HASH_MARK)
LEAST = HASH_AT + 64  # no pofx file is shorter than this


def serialise(manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[memoryview]:
    """Return the file as a list of byte pieces; equal content in equal order gives equal bytes."""
    flat = {_array_name(name): _little_endian(name, array) for name, array in arrays.items()}
    # large items first, as the safetensors package does: every array starts at a multiple of its item size
    order = sorted(flat, key=lambda name: (-flat[name].dtype.itemsize, name))
    entries, offset = {}, 0
    for name in order:
        end = offset + flat[name].nbytes
        entries[name] = {
            "dtype": _CODES[flat[name].dtype],
            "shape": list(flat[name].shape),
            "data_offsets": [offset, end],
        }
        offset = end
    if not isinstance(manifest, Mapping):
        raise ParameterError(f"the manifest must be a mapping, got {type(manifest).__name__}.")
    inner = _dumps({"manifest": _encode(manifest, "manifest", 0), "schema": SCHEMA})
    meta = {"size": "0" * 16, "sha256": "0" * 64, "pofx": inner}
    header = json.dumps({"__metadata__": meta, **entries}, separators=(",", ":")).encode("ascii")
    header += b" " * (-len(header) % 8)
    if len(header) > HEADER_CAP:
        raise ParameterError(
            f"the description of the model takes {len(header):,} bytes; at most {HEADER_CAP:,} are allowed. "
            "Put long lists of numbers in arrays."
        )
    head = bytearray(len(header).to_bytes(8, "little") + header)
    head[SIZE_AT : SIZE_AT + 16] = b"%016d" % (len(head) + offset)
    bodies = [flat[name].reshape(-1).view(np.uint8).data for name in order]
    head[HASH_AT : HASH_AT + 64] = digest(memoryview(head), bodies)
    return [memoryview(bytes(head)), *bodies]


def _dumps(value: Any) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError as error:  # an integer beyond Python's limit of digits
        raise ParameterError(f"the manifest cannot be written as JSON: {error}.") from error


def _encode(value: Any, where: str, depth: int) -> Any:
    """Turn a manifest value into plain JSON; {"$float": "nan"} stands for a number that JSON lacks."""
    if depth > MAX_DEPTH:
        raise ParameterError(f"the manifest is nested deeper than {MAX_DEPTH} levels (or contains itself).")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return {"$float": "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")}
    if isinstance(value, (list, tuple)):
        return [_encode(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ParameterError(f"{where}: keys must be strings, got {key!r}.")
        plain = {str(k): _encode(item, f"{where}[{k!r}]", depth + 1) for k, item in value.items()}
        return {"$dict": plain} if set(plain) in ({"$float"}, {"$dict"}) else plain
    raise ParameterError(
        f"{where}: expected text, numbers, booleans, None, lists or mappings, got {type(value).__name__}. "
        "Arrays belong in `arrays`."
    )


def _array_name(name: object) -> str:
    if not isinstance(name, str) or name == "__metadata__" or not is_unicode(name):
        raise ParameterError(f"an array needs a name of valid text other than '__metadata__', got {name!r}.")
    return name


def _little_endian(name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype not in _CODES:
        raise ParameterError(
            f"array {name!r}: dtype {array.dtype} cannot be stored; expected one of "
            f"{', '.join(sorted(d.name for d in _CODES))}."
        )
    if array.ndim > MAX_NDIM:
        raise ParameterError(f"array {name!r}: {array.ndim} dimensions; at most {MAX_NDIM} are allowed.")
    return np.asarray(array, dtype=dtype, order="C")  # not ascontiguousarray: it makes 0-d arrays 1-d


def digest(head: memoryview, bodies: Iterable[memoryview]) -> bytes:
    """SHA-256 of the whole file with the digits of the hash itself set to zeros, as hex digits."""
    sha = hashlib.sha256(head[:HASH_AT])
    sha.update(b"0" * 64)
    sha.update(head[LEAST:])
    for body in bodies:
        sha.update(body)
    return sha.hexdigest().encode("ascii")


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be written as UTF-8: a lone surrogate cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
