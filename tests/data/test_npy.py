"""NPY: the header is not trusted, nothing is unpickled, nothing is allocated that the file does not hold."""

import io

import numpy as np
import pytest

from pofx.data import read
from pofx.errors import FileError

X = np.array([[1.5, 2.5], [3.5, 4.5], [5.5, 0.25]])


def header(text, version=b"\x01\x00"):
    body = text.encode("latin-1")
    body += b" " * (-(len(body) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(body).to_bytes(2, "little") + body


def saved(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "array",
    [X, np.asfortranarray(X), X.astype(">f8"), X.astype("float32"), X.astype(int), X > 2, X[:, 0], X[:1]],
    ids=["c", "fortran", "big_endian", "float32", "int", "bool", "vector", "one_row"],
)
def test_read_as_saved(array, tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(saved(array))
    table = read(path)
    np.testing.assert_array_equal(table.values, np.atleast_2d(array.T).T.astype(float))
    assert table.dtypes[0] == array.dtype.newbyteorder("=").name
    assert table.names is None


def test_records_have_names_and_text_is_set_aside(tmp_path):
    path = tmp_path / "x.npy"
    path.write_bytes(
        saved(np.array([(1.5, 2, "x"), (2.5, 2, "y")], dtype=[("a", float), ("b", int), ("c", "U1")]))
    )
    table = read(path)
    assert table.names == ("a", "b")
    assert "text" in table.set_aside["c"]


F8 = "'descr': '<f8', 'fortran_order': False"
LIES = {
    "truncated": (saved(X)[:-5], "truncated"),
    "truncated_header": (saved(X)[:40], "damaged"),
    "trailing_junk": (saved(X) + b"junk", "followed by something else"),
    "seven_tebibytes": (
        header(f"{{{F8}, 'shape': (1000000, 1000000)}}") + X.tobytes(),
        "promises.*truncated",
    ),
    "beyond_64_bits": (header(f"{{{F8}, 'shape': ({2**40}, {2**40})}}") + X.tobytes(), "truncated"),
    "negative_shape": (header(f"{{{F8}, 'shape': (-3, -2)}}") + X.tobytes(), "damaged: shape"),
    "float_shape": (header(f"{{{F8}, 'shape': (3.0, 2)}}") + X.tobytes(), "damaged"),
    "objects": (saved(np.array([[{"a": 1}]], dtype=object), allow_pickle=True), "Python objects"),
    "objects_in_records": (
        header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}"),
        "Python objects",
    ),
    "code_in_the_header": (
        header("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': ()}"),
        "damaged",
    ),
    "no_dict": (header("(1, 2)"), "damaged"),
    "extra_key": (header(f"{{{F8}, 'shape': (3, 2), 'more': 1}}") + X.tobytes(), "damaged"),
    "not_a_dtype": (
        header("{'descr': 'spam', 'fortran_order': False, 'shape': (3, 2)}") + X.tobytes(),
        "damaged",
    ),
    "unknown_version": (header(f"{{{F8}, 'shape': (3, 2)}}", b"\x09\x00") + X.tobytes(), "damaged"),
    "deep_header": (header("(" * 5000), "damaged"),
    "other_format": (b"a,b\n1,2\n", "not the NPY file its name says"),
}


@pytest.mark.parametrize("case", LIES)
def test_refused(case, tmp_path):
    data, message = LIES[case]
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    with pytest.raises(FileError, match=message):
        read(path)


def test_every_cut_and_every_flipped_header_bit_is_refused_or_harmless(tmp_path):
    path, data = tmp_path / "x.npy", saved(X)
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(FileError):
            read(path)
    for bit in range(0, 8 * 128, 3):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(flipped))
        try:
            read(path, missing="keep")
        except (FileError, ValueError):
            continue
