"""Files whose hash is right and whose content lies: each is refused with a sentence."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pofx import store
from pofx.errors import FileError

INNER = '{"manifest":{"class":"Gaussian"},"schema":1}'
A = '"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}'
B = '"b":{"dtype":"F64","shape":[2],"data_offsets":[16,32]}'


def seal(header: bytes, body: bytes = b"", *, n: int | None = None, size: int | None = None) -> bytes:
    """A file of this header and body, with the size and hash that it says it has put in (``n``: a lie)."""
    data = bytearray((len(header) if n is None else n).to_bytes(8, "little") + header + body)
    data[33:49] = b"%016d" % (len(data) if size is None else size)
    data[61:125] = b"0" * 64
    data[61:125] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def header(*entries: str, inner: str = INNER, meta: str = "", pad: bytes = b"") -> bytes:
    """A header as pofx writes it, of these entries as text."""
    start = f'{{"__metadata__":{{"size":"{"0" * 16}","sha256":"{"0" * 64}","pofx":{json.dumps(inner)}{meta}}}'
    return ",".join([start, *entries]).encode() + b"}" + pad


BODY = np.arange(4.0).tobytes()


def test_an_honest_file_by_the_same_hand_is_read():
    manifest, arrays = store.parse(seal(header(A, B), BODY))
    assert manifest == {"class": "Gaussian"}
    assert arrays["a"].tolist() == [0, 1]
    assert arrays["b"].tolist() == [2, 3]


def entry(dtype: str = '"F64"', shape: str = "[2]", offsets: str = "[0,16]", more: str = "") -> bytes:
    return seal(header(f'"a":{{"dtype":{dtype},"shape":{shape},"data_offsets":{offsets}{more}}}'), BODY[:16])


LIES: dict[str, tuple[bytes, str]] = {
    # sizes and header bounds
    "header of 2**63 bytes": (seal(header(A, B), BODY, n=2**63), "at most 16,777,216"),
    "header of 2**64 - 1 bytes": (seal(header(A, B), BODY, n=2**64 - 1), "at most 16,777,216"),
    "header longer than the file": (seal(header(A, B), BODY, n=5000), "does not fit"),
    "header of 0 bytes": (seal(header(A, B), BODY, n=0), "does not fit"),
    "header of 100 bytes": (seal(header(A, B), BODY, n=100), "does not fit"),
    "header over the end of the hash": (seal(header(A, B), BODY, n=118), "not valid JSON"),
    "header reaching into the arrays": (seal(header(A, B), BODY, n=len(header(A, B)) + 8), "JSON|UTF-8"),
    "size too large": (seal(header(A, B), BODY, size=10**15), "truncated: expected"),
    "size too small": (seal(header(A, B), BODY, size=10), "do not belong"),
    "trailing bytes": (seal(header(A, B), BODY + b"\0"), "take 32 bytes, but 33 follow"),
    "missing bytes": (seal(header(A, B), BODY[:-1]), "take 32 bytes, but 31 follow"),
    # JSON
    "not UTF-8": (seal(header(A, B)[:-1] + b',"\xff\xfe":1}', BODY), "not UTF-8"),
    "not JSON": (seal(header(A, B)[:-1] + b",}", BODY), "not valid JSON"),
    "two documents": (seal(header(A, B) + b"{}", BODY), "not valid JSON"),
    "NUL after the header": (seal(header(A, B, pad=b"\0\0"), BODY), "not valid JSON"),
    "key twice: array": (seal(header(A, A, B), BODY), "'a' occurs twice"),
    "key twice: escaped": (seal(header(A, A.replace('"a"', '"\\u0061"'), B), BODY), "'a' occurs twice"),
    "key twice: metadata": (seal(header('"__metadata__":{}', A, B), BODY), "'__metadata__' occurs twice"),
    "key twice: hash": (seal(header(A, B, meta=',"sha256":"0"'), BODY), "'sha256' occurs twice"),
    "key twice: shape": (entry(more=',"shape":[2]'), "'shape' occurs twice"),
    "key twice: manifest": (seal(header(inner='{"manifest":{"a":1,"a":2},"schema":1}')), "'a' occurs twice"),
    "nested lists": (seal(header('"a":' + "[" * 100_000 + "]" * 100_000)), "nested too deeply"),
    "nested mappings": (seal(header('"a":' + '{"a":' * 50_000 + "1" + "}" * 50_000)), "nested too deeply"),
    "nested manifest": (
        seal(header(inner='{"schema":1,"manifest":{"a":' + "[" * 70 + "]" * 70 + "}}")),
        "nested deeper than 64",
    ),
    "very nested manifest": (
        seal(header(inner='{"schema":1,"manifest":{"a":' + "[" * 100_000 + "]" * 100_000 + "}}")),
        "nested too deeply",
    ),
    "number of 10,000 digits": (entry(shape="[" + "9" * 10_000 + "]"), "not valid JSON"),
    # metadata
    "no manifest": (
        seal(header(A, B).replace(json.dumps(INNER).encode(), b'""'), BODY),
        "not valid JSON",
    ),
    "unknown metadata": (seal(header(A, B, meta=',"format":"pt"'), BODY), "metadata are not those"),
    "no pofx key": (seal(header(A, B).replace(b'"pofx"', b'"fofx"'), BODY), "metadata are not those"),
    "manifest not text": (
        seal(header(A, B).replace(json.dumps(INNER).encode(), b"7"), BODY),
        "metadata are not those",
    ),
    "hash too long": (
        seal(header(A, B).replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + b"0" * 70), BODY),
        "metadata are not those",
    ),
    "manifest a list": (seal(header(inner="[1]")), "not a JSON object"),
    "manifest a word": (seal(header(inner='{"manifest":"x","schema":1}')), "holds no manifest"),
    "manifest and more": (seal(header(inner='{"manifest":{},"schema":1,"run":"os:system"}')), "no manifest"),
    "bare NaN": (seal(header(inner='{"manifest":{"a":NaN},"schema":1}')), "contains NaN"),
    "1e999": (seal(header(inner='{"manifest":{"a":1e999},"schema":1}')), "beyond the range of float64"),
    "odd $float": (seal(header(inner='{"manifest":{"a":{"$float":"1"}},"schema":1}')), r"a \$float"),
    "list as $float": (seal(header(inner='{"manifest":{"a":{"$float":[]}},"schema":1}')), r"a \$float"),
    "$float on top": (seal(header(inner='{"manifest":{"$float":"nan"},"schema":1}')), "holds no manifest"),
    "odd $dict": (seal(header(inner='{"manifest":{"a":{"$dict":1}},"schema":1}')), r"a \$dict"),
    # schema
    "newer schema": (
        seal(header('"x":{"new":1}', inner='{"data":{},"schema":2}')),
        "schema version 2; this version of pofx reads up to 1. Upgrade",
    ),
    "schema 0": (seal(header(inner='{"manifest":{},"schema":0}')), "no schema version"),
    "schema as text": (seal(header(inner='{"manifest":{},"schema":"1"}')), "no schema version"),
    "schema true": (seal(header(inner='{"manifest":{},"schema":true}')), "no schema version"),
    "no schema": (seal(header(inner='{"manifest":{}}')), "no schema version"),
    "schema of 400 digits": (seal(header(inner='{"schema":1' + "0" * 400 + "}")), "schema version 1000"),
    # arrays
    "overlap": (seal(header(A, B.replace("[16,32]", "[8,24]")), BODY[:24]), "'b' overlaps"),
    "same bytes twice": (seal(header(A, B.replace("[16,32]", "[0,16]")), BODY[:16]), "'b' overlaps"),
    "hole": (seal(header(A, B.replace("[16,32]", "[24,40]")), BODY + b"\0" * 8), "'b' leaves a hole"),
    "hole at the start": (seal(header(B), BODY), "'b' leaves a hole"),
    "empty array in the middle of another": (
        seal(header(A, '"c":{"dtype":"F64","shape":[0],"data_offsets":[8,8]}'), BODY[:16]),
        "'c' overlaps",
    ),
    "empty array beyond the end": (
        seal(header(A, '"c":{"dtype":"F64","shape":[0],"data_offsets":[99,99]}'), BODY[:16]),
        "'c' leaves a hole",
    ),
    "offsets beyond the end": (entry(shape="[3]", offsets="[0,24]"), "take 24 bytes, but 16 follow"),
    "offsets backwards": (entry(offsets="[16,0]"), "needs 16 bytes for its shape, not -16"),
    "offsets of 2**64": (entry(offsets=f"[0,{2**64}]"), "impossible offsets"),
    "negative offsets": (entry(offsets="[-16,0]"), "impossible offsets"),
    "three offsets": (entry(offsets="[0,8,16]"), "impossible offsets"),
    "offsets as floats": (entry(offsets="[0.0,16.0]"), "impossible offsets"),
    "offsets as truth values": (entry(shape="[0]", offsets="[false,false]"), "impossible offsets"),
    "offsets as text": (entry(offsets='"0,16"'), "impossible offsets"),
    "product of shape overflows": (entry(shape=f"[{2**62},{2**62}]"), "needs .* bytes for its shape"),
    "product wraps round to the right size": (entry(shape=f"[{2**61 + 2}]"), "needs .* bytes"),
    "product wraps round to 0": (entry(shape=f"[{2**32},{2**32}]", offsets="[0,0]"), "needs .* bytes"),
    "empty array of impossible shape": (
        seal(header(f'"a":{{"dtype":"F64","shape":[0,{2**62},{2**62}],"data_offsets":[0,0]}}')),
        "impossible shape",
    ),
    "negative shape": (entry(shape="[-2]"), "impossible shape"),
    "two negative dimensions": (entry(shape="[-1,-2]"), "impossible shape"),
    "shape a float": (entry(shape="[2.0]"), "impossible shape"),
    "shape true": (entry(shape="[2,true]"), "impossible shape"),
    "shape a number": (entry(shape="2"), "impossible shape"),
    "shape null": (entry(shape="null"), "impossible shape"),
    "100 dimensions": (entry(shape="[2" + ",1" * 99 + "]"), "impossible shape"),
    "unknown dtype": (entry(dtype='"F65"'), "unknown dtype 'F65'"),
    "object dtype": (entry(dtype='"O"'), "unknown dtype 'O'"),
    "dtype a list": (entry(dtype="[]"), "unknown dtype"),
    "dtype of another size": (entry(dtype='"F32"'), "needs 8 bytes for its shape, not 16"),
    "key missing": (seal(header('"a":{"dtype":"F64","shape":[2]}'), BODY[:16]), "and nothing else"),
    "key too many": (entry(more=',"x":1'), "and nothing else"),
    "array a list": (seal(header('"a":[]')), "and nothing else"),
    "array null": (seal(header('"a":null')), "and nothing else"),
    "name a lone surrogate": (seal(header(A.replace('"a"', '"\\ud800"')), BODY[:16]), "not valid text"),
    "truth value 2": (entry(dtype='"BOOL"', shape="[16]"), "neither 0 nor 1"),
    "long name": (seal(header(f'"{"é" * 9999}":1')), r"array '\\xe9.*\.\.\. needs"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refused_with_a_sentence(name, tmp_path):
    data, says = LIES[name]
    with pytest.raises(FileError, match=says) as caught:
        store.parse(data)
    assert len(str(caught.value)) < 600
    (tmp_path / "lie.pofx").write_bytes(data)
    with pytest.raises(FileError, match=r"lie\.pofx"):
        store.read(tmp_path / "lie.pofx")


def test_a_lie_allocates_no_more_than_its_own_size():
    for data, _ in LIES.values():
        tracemalloc.start()
        with pytest.raises(FileError):
            store.parse(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000 + 50 * len(data)


# ---------------------------------------------------------------------------------------- random damage

HONEST = b"".join(
    store.serialise(
        {"class": "Gaussian", "hyper": {"tol": 1e-3}, "trace": [float("nan"), 1.5]},
        {"mean": np.arange(3.0), "mask": np.array([True, False]), "n": np.array(3)},
    )
)
N_HEADER = int.from_bytes(HONEST[:8], "little")
TOKENS = [
    *(bytes([c]) for c in b'"{}[],:01 \\\xff\x00'),
    *b'-1 1e999 null NaN true "a" "schema" F32 I8 {"$float":"inf"} \\ud800 99999999999999999999'.split(),
]

edit = st.tuples(
    st.integers(0, len(HONEST) - 1),
    st.integers(0, 12),
    st.one_of(st.sampled_from(TOKENS), st.binary(max_size=9)),
)


def mutate(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    for at, remove, put in edits:
        data = data[:at] + put + data[at + remove :]
    return data


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(edit, min_size=1, max_size=3))
def test_random_edits_are_refused(edits):
    data = mutate(HONEST, edits)
    if data != HONEST:
        with pytest.raises(FileError):
            store.parse(data)


@settings(max_examples=1500, deadline=None, derandomize=True, database=None)
@given(st.lists(edit, min_size=1, max_size=3))
def test_random_edits_with_a_new_hash_give_a_refusal_or_a_file(edits):
    """The hash is no secret: behind it every content meets FileError or comes back as it was written."""
    parts = [(at % (N_HEADER - 117) + 117, remove, put) for at, remove, put in edits]
    text = mutate(HONEST[8 : 8 + N_HEADER], parts)
    data = seal(text, HONEST[8 + N_HEADER :])
    read_or_refused(lambda: store.parse(data))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**64 - 1), st.binary(max_size=300))
def test_random_bytes_behind_a_right_start_are_refused(n, rest):
    data = seal(header(A, B)[:117] + rest, n=n % (len(rest) + 200) if n % 2 else n)
    read_or_refused(lambda: store.parse(data))
    with pytest.raises(FileError):
        store.parse(rest)


def read_or_refused(parse: Callable[[], tuple[dict, dict]]) -> None:
    try:
        manifest, arrays = parse()
    except FileError as error:
        message = str(error)
    else:
        message = "read"
        data = b"".join(store.serialise(manifest, arrays))
        assert b"".join(store.serialise(*store.parse(data))) == data
    assert message.isprintable()


def test_a_header_at_the_cap_takes_bounded_memory():
    # the worst JSON by memory: many tiny lists
    inner = '{"schema":1,"manifest":{"a":[' + "[]," * 50_000 + "[]]}}"
    tracemalloc.start()
    store.parse(seal(header(inner=inner)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / len(inner) * store.pack.HEADER_CAP < 1.2e9
