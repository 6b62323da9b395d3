"""The file of (manifest, arrays): what goes in comes out, and a damaged file never does."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

from pofx import store
from pofx.errors import FileError, ParameterError

GOLDEN = Path(__file__).parent.parent / "fixtures" / "schema-1.pofx"
MANIFEST = {
    "class": "Gaussian",
    "hyper": {"covariance_type": "full", "shrinkage": None, "tol": 1e-3},
    "trace": [-1.5, float("-inf"), float("nan")],
    "columns": ["éruptions", "等待", "a b"],
    "n": 272,
    "converged": True,
}
ARRAYS = {
    "mean": np.array([3.4877830882352936, 70.8970588235294]),
    "covariance": np.array(
        [[1.2979388904492866, 13.926418928849483], [13.926418928849483, 184.1438148788927]]
    ),
    "scalar": np.array(2, dtype=np.int32),
    "mask": np.array([True, False, True]),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "шаг": np.arange(5, dtype=np.uint8),
}


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return one.keys() == two.keys() and all(
        one[k].dtype == two[k].dtype and one[k].shape == two[k].shape and one[k].tobytes() == two[k].tobytes()
        for k in one
    )


def shown(value: object) -> object:
    """A form that compares: mappings by content, floats by their digits (NaN is not equal to itself)."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else repr(value)


def as_bytes(manifest: dict, arrays: dict) -> bytes:
    return b"".join(store.serialise(manifest, arrays))


# ------------------------------------------------------------------------------------------ round trip


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "m.pofx"
    store.write(path, MANIFEST, ARRAYS)
    manifest, arrays = store.read(str(path))
    assert shown(manifest) == shown(MANIFEST)
    assert list(manifest) == list(MANIFEST)  # the order of a mapping is kept: a table's columns are one
    assert same(arrays, ARRAYS)


@pytest.mark.parametrize(
    "dtype",
    ["bool", *(f"{k}int{b}" for k in ("", "u") for b in (8, 16, 32, 64)), "float16", "float32", "float64"],
)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (2, 0, 4), (2, 3), (1, 2, 3, 4)])
def test_every_dtype_and_shape(dtype, shape):
    array = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    _, arrays = store.parse(as_bytes({}, {"a": array}))
    assert same(arrays, {"a": array})


def test_every_float_keeps_its_bits():
    bits = np.random.default_rng(1).integers(0, 2**64, 500, dtype=np.uint64)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1.7976931348623157e308])
    array = np.concatenate([bits.view(np.float64), special])
    numbers = [float(x) for x in array if math.isfinite(x)]
    manifest, arrays = store.parse(as_bytes({"x": numbers}, {"x": array}))
    assert arrays["x"].tobytes() == array.tobytes()
    assert np.array(manifest["x"]).tobytes() == np.array(numbers).tobytes()


@pytest.mark.parametrize("layout", ["F", "stride", "reverse", "big-endian", "readonly"])
def test_the_layout_in_memory_does_not_matter(layout):
    plain = np.arange(24.0).reshape(4, 6)
    array = {
        "F": np.asfortranarray(plain),
        "stride": np.repeat(plain, 2, axis=1)[:, ::2],
        "reverse": plain[::-1].copy()[::-1],
        "big-endian": plain.astype(">f8"),
        "readonly": plain.copy(),
    }[layout]
    array.flags.writeable = layout != "readonly"
    assert as_bytes({}, {"a": array}) == as_bytes({}, {"a": plain})


def test_arrays_are_read_only_and_own_their_memory():
    _, arrays = store.parse(as_bytes({}, ARRAYS))
    for array in arrays.values():
        assert not array.flags.writeable
        assert array.flags.owndata
        assert array.flags.aligned
        assert array.flags.c_contiguous
        assert array.dtype.isnative


def test_equal_content_gives_equal_bytes(tmp_path):
    store.write(tmp_path / "one", MANIFEST, ARRAYS)
    store.write(tmp_path / "two", dict(MANIFEST), dict(reversed(ARRAYS.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_reading_and_writing_again_changes_no_byte():
    data = as_bytes(MANIFEST, ARRAYS)
    assert as_bytes(*store.parse(data)) == data


def test_golden_file_of_schema_1():
    # written by the first release; every later release must read it
    manifest, arrays = store.read(GOLDEN)
    assert shown(manifest) == shown(MANIFEST)
    assert same(arrays, ARRAYS)
    assert as_bytes(MANIFEST, ARRAYS) == GOLDEN.read_bytes()


def test_other_safetensors_readers_open_it(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    numpy_reader = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "m.pofx"
    store.write(path, MANIFEST, ARRAYS)
    assert same(dict(numpy_reader.load_file(path)), ARRAYS)
    with safetensors.safe_open(path, framework="np") as file:
        meta = file.metadata()
    assert set(meta) == {"size", "sha256", "pofx"}
    assert json.loads(meta["pofx"])["schema"] == store.SCHEMA


@pytest.mark.parametrize(
    "value",
    [
        {"$float": 3},
        {"$float": "nan"},
        {"$dict": {"$float": "inf"}},
        {"$dict": 1},
        {"a": {"$float": {"$dict": []}}},
        {"$float": 1, "b": 2},
        {"\ud800": "\udfff", "": "\x00", "\u2028": "é"},
        {"n": 10**300, "m": -(2**64)},
        {"x": [math.inf, -math.inf, [math.nan]]},
        {"nothing": None, "empty": {}, "list": [], "deep": [[[[[[]]]]]]},
    ],
)
def test_awkward_manifests_come_back(value):
    assert shown(store.parse(as_bytes(value, {}))[0]) == shown(value)


def test_tuples_become_lists_and_numpy_scalars_python_numbers():
    manifest, _ = store.parse(as_bytes({"a": (1, 2.5), "b": np.int64(3), "c": np.float32(0.5)}, {}))
    assert manifest == {"a": [1, 2.5], "b": 3, "c": 0.5}
    assert type(manifest["b"]) is int


def _deep() -> dict:
    value: dict = {}
    for _ in range(10_000):
        value = {"a": value}
    return value


def _circle() -> list:
    value: list = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("manifest", "arrays", "says"),
    [
        ({"a": {1, 2}}, {}, r"manifest\['a'\]: expected text.* got set"),
        ({"a": [0, {"b": 1j}]}, {}, r"manifest\['a'\]\[1\]\['b'\].* got complex"),
        ({"a": np.zeros(3)}, {}, "Arrays belong in"),
        ({"a": b"bytes"}, {}, "got bytes"),
        ({1: 2}, {}, "keys must be strings, got 1"),
        ({"a": _circle()}, {}, "nested deeper than 64"),
        (_deep(), {}, "nested deeper than 64"),
        ({"a": 10**5000}, {}, "cannot be written as JSON"),
        ({"a": "x" * 17_000_000}, {}, "at most 16,777,216 are allowed"),
        ([1], {}, "must be a mapping, got list"),
        ({}, {"a": np.array([object()])}, "array 'a': dtype object cannot be stored"),
        ({}, {"a": np.array(["x"])}, "dtype <U1 cannot be stored"),
        ({}, {"a": np.zeros(2, dtype=complex)}, "dtype complex128 cannot be stored"),
        ({}, {"a": np.zeros(2, dtype="datetime64[s]")}, "cannot be stored"),
        ({}, {"__metadata__": np.zeros(2)}, "other than '__metadata__'"),
        ({}, {"\ud800": np.zeros(2)}, "valid text"),
        ({}, {3: np.zeros(2)}, "got 3"),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path, manifest, arrays, says):
    with pytest.raises(ParameterError, match=says):
        store.write(tmp_path / "m.pofx", manifest, arrays)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def small() -> bytes:
    """A model file of some 1 kB."""
    data = as_bytes(MANIFEST, {**ARRAYS, "points": np.linspace(0, 1, 16)})
    assert 1024 <= len(data) < 1100
    return data


def test_cut_at_every_byte():
    data = as_bytes(MANIFEST, {**ARRAYS, "points": np.random.default_rng(2).normal(size=(140, 3))})
    assert len(data) > 4096
    for n in range(len(data)):
        with pytest.raises(FileError, match=f"(found {n:,}|it has 0 bytes)"):
            store.parse(data[:n])


def test_a_cut_file_names_both_sizes(tmp_path, small):
    (tmp_path / "cut.pofx").write_bytes(small[:-7])
    with pytest.raises(FileError, match=rf"cut.pofx' is truncated: expected {len(small):,} bytes, found"):
        store.read(tmp_path / "cut.pofx")


def test_bytes_at_the_end_are_refused(small):
    with pytest.raises(FileError, match=r"bytes that do not belong to it: expected .* found"):
        store.parse(small + b"\0")


def test_every_flipped_bit_is_refused(small):
    damaged = bytearray(small)
    for i in range(len(small)):
        for bit in range(8):
            damaged[i] ^= 1 << bit
            with pytest.raises(FileError, match=r"damaged|truncated|not a pofx file|do not belong"):
                store.parse(bytes(damaged))
            damaged[i] ^= 1 << bit
    store.parse(bytes(damaged))


def test_swapped_blocks_are_refused(small):
    rng = np.random.default_rng(3)
    for _ in range(300):
        i, j, n = (int(k) for k in rng.integers(1, len(small) // 3, 3))
        first, second = small[i : i + n], small[i + n + j : i + n + j + n]
        damaged = small[:i] + second + small[i + n : i + n + j] + first + small[i + n + j + n :]
        if damaged != small:
            with pytest.raises(FileError):
                store.parse(damaged)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"x", "truncated"),
        (b"waiting,eruptions\n1,2\n" * 9, "not a pofx file: it does not start like one"),
        (b"PK\x03\x04" + b"\0" * 200, "zip archive"),
        (b"\x80\x04\x95" + b"\0" * 200, "pickle .*never opens"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'" + b" " * 200, "npy file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 12345\n", "git lfs pull"),
        ((2).to_bytes(8, "little") + b"{}" + b"\0" * 200, "another safetensors file"),
    ],
)
def test_other_files_are_told_apart(tmp_path, data, says):
    (tmp_path / "other").write_bytes(data)
    with pytest.raises(FileError, match=says):
        store.read(tmp_path / "other")


# --------------------------------------------------------------------------------------- odd places


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match="there is no such file"):
        store.read(tmp_path / "absent.pofx")
    with pytest.raises(FileError, match="not a regular file"):
        store.read(tmp_path)
    with pytest.raises(FileError, match="path is empty"):
        store.read("")
    with pytest.raises(FileError, match="cannot read"):
        store.read("a\0b")
    with pytest.raises(ParameterError, match="path must be text or a path object, got int"):
        store.read(3)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="not a regular file"):
        store.read(tmp_path / "pipe")
    with pytest.raises(FileError, match="pipe or socket"):
        store.write(tmp_path / "pipe", {}, {})


def test_a_file_beyond_the_budget_is_refused_unread(tmp_path):
    path = tmp_path / "large.pofx"
    with open(path, "wb") as file:
        file.truncate(2**33)  # a sparse file: 8 GiB of zeros that take no room
    with pytest.raises(FileError, match=r"8,589,934,592 bytes, more than the budget of 4,294,967,296"):
        store.read(path)
    with pytest.raises(FileError, match="not a pofx file"):  # and with the budget, not one GiB is read
        store.read(path, budget=2**34)


def test_messages_show_control_characters_escaped(tmp_path):
    path = tmp_path / "a\x1b[31mred.pofx"
    try:
        path.write_bytes(b"junk" * 50)
    except OSError:
        pytest.skip("this file system refuses such names")
    with pytest.raises(FileError) as caught:
        store.read(path)
    assert not re.search(r"[\x00-\x1f]", str(caught.value))
