"""``pofx.read``: what is set aside and why, what is chosen, what is no file."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pofx.data import read
from pofx.data.keys import named_like_a_key, why_key
from pofx.errors import DataError, FileError, ParameterError

N = 12
FRAME = pd.DataFrame(
    {
        "rownames": range(1, N + 1),
        "customerId": np.random.default_rng(0).permutation(10 * N)[:N],
        "year": range(2000, 2000 + N),
        "count": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8],
        "x": np.linspace(0, 1, N),
        "flag": [True, False] * 6,
        "kind": pd.Categorical(list("ab") * 6),
        "when": pd.date_range("2020-01-01", periods=N),
    }
)


@pytest.mark.parametrize("make", [lambda f: f, pl.from_pandas], ids=["pandas", "polars"])
def test_text_keys_and_dates_are_set_aside_by_name(make):
    table = read(make(FRAME))
    assert table.names == ("count", "x", "flag")
    assert list(table.set_aside) == ["rownames", "customerId", "year", "kind", "when"]
    assert table.set_aside["rownames"] == "counts rows: 1, 2, ..., 12"
    assert table.set_aside["customerId"].startswith("identifies rows")
    assert "categorical" in table.set_aside["kind"]
    assert "dates" in table.set_aside["when"]
    assert table["flag"].dtype == bool


def test_columns_asks_for_what_would_be_set_aside():
    table = read(FRAME, columns=["year", "x"])
    assert table.names == ("year", "x")
    assert table.set_aside["count"] == "not among columns="
    assert read(FRAME, columns="rownames").names == ("rownames",)
    assert read(FRAME, columns=[4, 3]).names == ("x", "count")
    with pytest.raises(DataError, match="'kind' cannot be a column of numbers: is categorical"):
        read(FRAME, columns=["kind"])


def test_drop_leaves_out():
    table = read(FRAME, drop=["x", "kind"])
    assert table.names == ("count", "flag")
    assert table.set_aside["x"] == table.set_aside["kind"] == "dropped, as asked"
    assert read(FRAME, drop="x").names == ("count", "flag")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["Year"]}, "no column 'Year'.*Did you mean 'year'"),
        ({"drop": ["Year"]}, "no column 'Year'"),
        ({"columns": [8]}, "numbered 0 to 7"),
        ({"columns": [-1]}, "numbered 0 to 7"),
        ({"columns": []}, "one or more different columns"),
        ({"columns": ["x", "x"]}, "one or more different columns"),
        ({"columns": ["x"], "drop": ["x"]}, "none of them in drop"),
        ({"missing": "marginal"}, "missing must be one of"),
    ],
)
def test_wrong_choices(options, message):
    with pytest.raises(ParameterError, match=message):
        read(FRAME, **options)


def test_arrays_are_taken_as_they_are():
    X = np.column_stack([np.arange(20), np.ones(20)])
    assert read(X).shape == (20, 2)
    assert read(X.astype(int), columns=[1]).shape == (20, 1)
    assert read([1.0, 2.0]).shape == (2, 1)
    with pytest.raises(ParameterError, match="have no names"):
        read(X, columns=["a"])
    assert read(pd.Series(range(20), name="a")).names == ("a",)


def test_the_only_numbers_are_kept_and_that_is_said():
    table = read(pd.DataFrame({"n": range(20), "t": "x"}))
    assert table.names == ("n",)
    assert "n is kept as the only column of numbers" in repr(table)


def test_a_key_that_repeats_is_kept_and_that_is_said():
    table = read(pd.DataFrame({"id": [1, 1, 2, 2], "x": [1.5, 2.5, 3.5, 4.5]}))
    assert table.names == ("id", "x")
    assert "id is kept" in repr(table)


@pytest.mark.parametrize(
    ("name", "column", "dtype", "key"),
    [
        ("rownames", range(1, 6), "int64", True),
        ("id", [5, 2, 9], "int64", True),
        ("user_id", [5, 2, 9], "uint32", True),
        ("userId", [5, 2, 9], "int64", True),
        ("", range(3), "int64", False),
        ("Unnamed: 0", range(3), "int64", True),
        ("year", range(1990, 2020), "int64", True),
        ("down", range(100, 0, -5), "int64", True),
        ("dose", [0, 10, 20], "int64", False),
        ("dose", [0, 0, 10, 10, 20, 20, 30, 30, 40, 40, 50], "int64", False),
        ("age", [31, 25, 40, 38, 27, 61, 55, 49, 33, 70, 22], "int64", False),
        ("x", np.arange(30.0), "float64", False),
        ("id", [1.5, 2.5], "float64", False),
        ("id", [1, 2, 2], "int64", False),
        ("id", [1, np.nan, 2], "int64", False),
        ("valid", [5, 2, 9], "int64", False),
        ("acid", [5, 2, 9], "int64", False),
        ("fluid", [5, 2, 9], "int64", False),
        (None, range(20), "int64", True),
        (None, [5, 2, 9], "int64", False),
    ],
)
def test_the_rule_for_keys(name, column, dtype, key):
    assert (why_key(name, np.array(list(column), dtype=float), dtype) is not None) == key


def test_names_of_keys():
    for name in (
        "id",
        "ID",
        "row.names",
        "Row Names",
        "index",
        "patient-id",
        "SampleID",
        "caseId",
        "column 0",
    ):
        assert named_like_a_key(name), name
    for name in ("valid", "width", "keypoint", "arid", "x", "column 1", "humid", "ROW_HEIGHT"):
        assert not named_like_a_key(name), name


def test_a_table_passes_through():
    table = read(FRAME, columns=["year", "x"])
    again = read(table)
    np.testing.assert_array_equal(again.values, table.values)
    assert (again.columns, again.notes) == (table.columns, table.notes)
    assert read(table, columns=["x"]).names == ("x",)
    assert list(again.index) == list(table.index)


def test_missing_values_of_frames():
    gaps = FRAME.assign(count=pd.array([None, *range(N - 1)], dtype="Int64"), empty=np.nan)
    with pytest.raises(DataError, match=r"count 1 of 12 \(first: row 0\)"):
        read(gaps)
    table = read(gaps, missing="drop")
    assert (len(table), table.dropped) == (N - 1, 1)
    assert table.set_aside["empty"] == "no value in any row"
    assert table.index.tolist() == list(range(1, N))
    with pytest.raises(DataError, match="empty has no value in any row"):
        read(gaps, columns=["empty"])
    with pytest.raises(DataError, match="x holds infinity"):
        read(FRAME.assign(x=np.inf))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("none.csv", None, "There is no file.*none.csv"),
        ("folder", "", "is a directory"),
        ("empty.csv", b"", r"empty \(0 bytes\)"),
        ("a.parquet", b"PAR1....", "this Parquet file is damaged"),
        ("a.npz", b"PK\x03\x04....", "zip archive"),
        ("a.feather", b"ARROW1..", "this Arrow file is damaged"),
        ("a.h5", b"\x89HDF....", "HDF5"),
        ("a.json", b"[{}]", "not read yet.*to_json"),
        ("a.gz", b"\x1f\x8b......", "this gzip file is damaged"),
    ],
)
def test_what_is_no_file_of_rows(name, data, message, tmp_path):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(FileError, match=message):
        read(path)


def test_a_typo_in_a_path_is_answered_with_the_nearest_file(tmp_path):
    (tmp_path / "faithful.csv").write_text("a\n1\n2\n")
    with pytest.raises(FileError, match=r"Did you mean '.*faithful\.csv'"):
        read(tmp_path / "faithfull.csv")
    with pytest.raises(FileError, match="no folder"):
        read(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(FileError, match=r"no file .a.x00b\.csv"):
        read("a\0b.csv")


def test_the_example_file(faithful):
    table = read(faithful)
    assert table.names == ("eruptions", "waiting")
    assert table.shape == (272, 2)
    assert (table.dtypes, table.decimals) == (("float64", "int64"), (3, 0))
    assert list(table.set_aside) == ["rownames"]
