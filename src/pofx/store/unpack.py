"""The bytes of a ``.pofx`` file -> (manifest, arrays), believing nothing in them."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from pofx.errors import FileError
from pofx.store.pack import (
    DTYPES,
    HASH_AT,
    HASH_MARK,
    HEADER_CAP,
    LEAST,
    MAX_DEPTH,
    MAX_NDIM,
    SCHEMA,
    SIZE_AT,
    SIZE_MARK,
    digest,
    is_unicode,
)

__all__ = ["check_head", "parse"]

_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_STRANGERS = (
    (b"PK\x03\x04", "a zip archive (.npz, torch and .xlsx files are ones)"),
    (b"\x93NUMPY", "a NumPy .npy file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x80", "a pickle (pofx never opens pickles, they can run code)"),
    (b"version https://git-lfs", "a Git LFS pointer; run `git lfs pull` to get the file itself"),
)


def parse(data: bytes, where: str = "the file") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the manifest and the arrays of the bytes of a file; ``where`` names it in messages."""
    n = check_head(data[:LEAST], len(data), where)
    view = memoryview(data)
    if digest(view, ()) != data[HASH_AT:LEAST]:
        raise FileError(
            f"{where} is damaged: its content does not match its SHA-256. Restore it from a copy or save the "
            "model again."
        )
    # from here on the file is as somebody wrote it, but that somebody may be hostile
    try:
        header = _loads(bytes(view[8 : 8 + n]).decode("utf-8"))
        meta = header.pop("__metadata__")
        if (
            set(meta) != {"size", "sha256", "pofx"}
            or not isinstance(meta["pofx"], str)
            or len(meta["sha256"]) != 64
        ):
            raise _Lie("its metadata are not those of a pofx file")
        manifest = _open_manifest(_loads(meta["pofx"]), where)
        arrays = _open_arrays(header, view[8 + n :])
    except _Lie as lie:
        raise FileError(f"{where} is not a valid pofx file: {lie}.") from None
    except UnicodeDecodeError:
        raise FileError(f"{where} is not a valid pofx file: its header is not UTF-8 text.") from None
    except RecursionError:
        raise FileError(f"{where} is not a valid pofx file: its header is nested too deeply.") from None
    except MemoryError:
        raise FileError(f"cannot read {where}: not enough memory for its arrays.") from None
    return manifest, arrays


class _Lie(Exception):
    """What is wrong inside a file whose hash is right."""


def check_head(head: bytes, size: int, where: str) -> int:
    """Check the fixed first bytes against the size of the file; return the length of the header."""
    if size == 0:
        raise FileError(f"{where} is empty: it has 0 bytes.")
    for magic, name in _STRANGERS:
        if head.startswith(magic) and head[8 : 8 + len(SIZE_MARK)] != SIZE_MARK:
            raise FileError(f"{where} is not a pofx file: it looks like {name}.")
    expected = SIZE_MARK + b"0" * 16 + HASH_MARK
    found = head[8:SIZE_AT] + b"0" * len(head[SIZE_AT : SIZE_AT + 16]) + head[SIZE_AT + 16 : HASH_AT]
    if not expected.startswith(found):
        kind = "; it may be another safetensors file, or damaged" if found[:1] == b"{" else ""
        raise FileError(f"{where} is not a pofx file: it does not start like one{kind}.")
    if size < LEAST or len(head) < LEAST:
        raise FileError(f"{where} is truncated: expected at least {LEAST} bytes, found {size}.")
    digits = head[SIZE_AT : SIZE_AT + 16]
    if not digits.isdigit():
        raise FileError(f"{where} is damaged: its recorded size is not a number.")
    if int(digits) != size:
        verdict = "is truncated" if size < int(digits) else "has bytes that do not belong to it"
        raise FileError(f"{where} {verdict}: expected {int(digits):,} bytes, found {size:,}.")
    n = int.from_bytes(head[:8], "little")
    if n > HEADER_CAP:
        raise FileError(f"{where} is damaged: a header of {n:,} bytes; at most {HEADER_CAP:,} are allowed.")
    if not LEAST - 8 < n <= size - 8:
        raise FileError(f"{where} is damaged: a header of {n:,} bytes does not fit a file of {size:,}.")
    return n


def _loads(text: str) -> dict[str, Any]:
    """Parse a JSON object strictly: no duplicate key, no NaN, no number beyond the range of float64."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except ValueError as error:
        raise _Lie(f"its header is not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise _Lie("its header is not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Lie(f"the key {_short(twice)} occurs twice in its header")
    return found


def _no_constant(text: str) -> float:
    raise _Lie(f"its header contains {text}, which is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Lie(f"its header contains a number beyond the range of float64, {_short(text)}")
    return value


def _open_manifest(outer: dict[str, Any], where: str) -> dict[str, Any]:
    schema = outer.get("schema")
    if type(schema) is not int or schema < 1:
        raise _Lie("it names no schema version")
    if schema > SCHEMA:
        raise FileError(
            f"{where} has schema version {schema}; this version of pofx reads up to {SCHEMA}. "
            "Upgrade with: pip install --upgrade pofx"
        )
    if set(outer) != {"schema", "manifest"} or not isinstance(outer["manifest"], dict):
        raise _Lie("it holds no manifest")
    manifest = _decode(outer["manifest"], 0)
    if not isinstance(manifest, dict):
        raise _Lie("it holds no manifest")
    return manifest


def _decode(value: Any, depth: int) -> Any:
    """The inverse of :func:`_encode`."""
    if depth > MAX_DEPTH:
        raise _Lie(f"its manifest is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_decode(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$float"}:
        name = value["$float"]
        if not isinstance(name, str) or name not in _NON_FINITE:
            raise _Lie("its manifest has a $float that is none of inf, -inf and nan")
        return _NON_FINITE[name]
    if set(value) == {"$dict"}:
        value = value["$dict"]
        if not isinstance(value, dict):
            raise _Lie("its manifest has a $dict that is not a mapping")
    return {key: _decode(item, depth + 1) for key, item in value.items()}


def _open_arrays(entries: dict[str, Any], body: memoryview) -> dict[str, np.ndarray]:
    """Check all entries (types, then that they tile the body without hole or overlap), then copy them out."""
    spans = sorted((*_span(name, entry), name) for name, entry in entries.items())
    offset = 0
    for start, end, name in spans:
        if start != offset:
            what = "overlaps another one" if start < offset else "leaves a hole before it"
            raise _Lie(f"array {_short(name)} {what}")
        offset = end
    if offset != body.nbytes:
        raise _Lie(f"its arrays take {offset:,} bytes, but {body.nbytes:,} follow the header")
    arrays = {}
    for start, end, name in sorted(spans, key=lambda span: span[2]):
        dtype = np.dtype(DTYPES[entries[name]["dtype"]])
        flat = np.frombuffer(body[start:end], dtype=np.uint8)
        if dtype.kind == "b" and flat.max(initial=0) > 1:
            raise _Lie(f"array {_short(name)} holds truth values that are neither 0 nor 1")
        try:
            array = flat.view(dtype).reshape(entries[name]["shape"])
        except (ValueError, OverflowError):  # an empty array of impossible shape
            raise _Lie(f"array {_short(name)} has an impossible shape") from None
        # a copy of our own: aligned as NumPy aligns, native byte order, and the bytes of the file can go
        arrays[name] = np.array(array, dtype=dtype.newbyteorder("="), order="C")
        arrays[name].flags.writeable = False
    return arrays


def _span(name: str, entry: Any) -> tuple[int, int]:
    """Return (start, end) of one array in the body, after checking the types and sizes of its entry."""
    if not is_unicode(name):
        raise _Lie("the name of an array is not valid text")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Lie(f"array {_short(name)} needs dtype, shape and data_offsets, and nothing else")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise _Lie(f"array {_short(name)} has the unknown dtype {_short(code)}")
    if not _naturals(shape) or len(shape) > MAX_NDIM:
        raise _Lie(f"array {_short(name)} has the impossible shape {_short(shape)}")
    if not _naturals(offsets) or len(offsets) != 2:
        raise _Lie(f"array {_short(name)} has the impossible offsets {_short(offsets)}")
    start, end = offsets
    need = math.prod(shape) * np.dtype(DTYPES[code]).itemsize
    if end - start != need:
        raise _Lie(f"array {_short(name)} needs {_short(need)} bytes for its shape, not {end - start:,}")
    return start, end


def _naturals(value: Any) -> bool:
    """Whether ``value`` is a list of whole numbers in [0, 2**63)."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _short(value: Any) -> str:
    """A quoted, bounded, printable form of something a stranger wrote."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
