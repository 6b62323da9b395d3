"""Every container case of the bad-input table at the door of ``fit``: right, or clearly refused."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from pofx.errors import DataError, ParameterError, PofxWarning
from pofx.validation import DataTypeError, rows_to_fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2))


def _memmap(tmp_path):
    path = tmp_path / "rows.dat"
    mapped = np.memmap(path, dtype=np.float64, mode="w+", shape=X.shape)
    mapped[:] = X
    return np.memmap(path, dtype=np.float64, mode="r", shape=X.shape)


def _readonly():
    frozen = X.copy()
    frozen.flags.writeable = False
    return frozen


SAME = {
    "c_order": lambda tmp: X,
    "fortran_order": lambda tmp: np.asfortranarray(X),
    "negative_stride": lambda tmp: X[::-1].copy()[::-1],
    "column_slice_view": lambda tmp: np.hstack([X, X])[:, :2],
    "every_other_row": lambda tmp: np.repeat(X, 2, axis=0)[::2],
    "readonly": lambda tmp: _readonly(),
    "memmap": _memmap,
    "big_endian": lambda tmp: X.astype(">f8"),
    "float128_longdouble": lambda tmp: X.astype(np.longdouble),
    "list_of_lists": lambda tmp: X.tolist(),
    "tuple_of_arrays": lambda tmp: tuple(X),
    "object_of_floats": lambda tmp: X.astype(object),
    "masked_without_mask": lambda tmp: np.ma.masked_array(X),
    "pandas": lambda tmp: pd.DataFrame(X, columns=["a", "b"]),
    "pandas_without_names": lambda tmp: pd.DataFrame(X),
    "pandas_multiindex": lambda tmp: pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])),
    "pandas_nullable": lambda tmp: pd.DataFrame(X, columns=["a", "b"]).astype("Float64"),
    "pandas_arrow": lambda tmp: pd.DataFrame(X, columns=["a", "b"]).astype("float64[pyarrow]"),
    "pandas_objects": lambda tmp: pd.DataFrame(X, columns=["a", "b"]).astype(object),
    "polars": lambda tmp: pl.DataFrame({"a": X[:, 0], "b": X[:, 1]}),
    "pyarrow_table": lambda tmp: pa.table({"a": X[:, 0], "b": X[:, 1]}),
    "pyarrow_batch": lambda tmp: pa.RecordBatch.from_pydict({"a": X[:, 0], "b": X[:, 1]}),
    "records": lambda tmp: np.rec.fromarrays(list(X.T), names=["a", "b"]),
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_numbers_come_out_of_every_container(case, tmp_path):
    given = SAME[case](tmp_path)
    rows = rows_to_fit(given)
    assert rows.values.dtype == np.float64
    assert rows.values.flags.c_contiguous
    assert not rows.values.flags.writeable
    np.testing.assert_array_equal(rows.values, X)
    assert rows.columns.dtypes == ("float64", "float64")
    assert rows.columns.decimals == (None, None)
    assert (rows.dropped, rows.kept) == (0, None)


@pytest.mark.parametrize(
    ("case", "container", "names"),
    [
        ("c_order", "array", None),
        ("list_of_lists", "array", None),
        ("records", "array", ("a", "b")),
        ("pandas", "pandas", ("a", "b")),
        ("pandas_without_names", "pandas", None),
        ("polars", "polars", ("a", "b")),
        ("pyarrow_table", "pyarrow", ("a", "b")),
        ("pyarrow_batch", "pyarrow", ("a", "b")),
    ],
)
def test_container_and_names_are_remembered(case, container, names, tmp_path):
    columns = rows_to_fit(SAME[case](tmp_path)).columns
    assert (columns.container, columns.names) == (container, names)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_short_floats_are_upcast_exactly(dtype):
    short = X.astype(dtype)
    rows = rows_to_fit(short)
    np.testing.assert_array_equal(rows.values, short.astype(np.float64))
    assert rows.columns.dtypes == (dtype, dtype)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", ">i4"])
def test_integers_are_numbers_with_no_decimals(dtype):
    rows = rows_to_fit(np.arange(6).reshape(3, 2).astype(dtype))
    assert rows.columns.dtypes == (np.dtype(dtype).newbyteorder("=").name,) * 2
    assert rows.columns.decimals == (0, 0)


def test_booleans_are_zero_and_one():
    for given in (
        np.array([[True], [False]]),
        pd.DataFrame({"a": [True, False]}),
        pl.DataFrame({"a": [True, False]}),
    ):
        rows = rows_to_fit(given)
        assert rows.values.ravel().tolist() == [1.0, 0.0]
        assert rows.columns.dtypes == ("bool",)
    nullable = rows_to_fit(pd.DataFrame({"a": pd.array([True, False], dtype="boolean")}))
    assert nullable.values.ravel().tolist() == [1.0, 0.0]


def test_dtypes_of_frames_are_remembered_by_column():
    frame = pd.DataFrame(
        {
            "a": np.array([1.5, 2.5], dtype="float32"),
            "b": pd.array([1, 2], dtype="Int16"),
            "c": pd.array([1, 2], dtype="int64[pyarrow]"),
        }
    )
    assert rows_to_fit(frame).columns.dtypes == ("float32", "int16", "int64")
    assert rows_to_fit(pl.DataFrame({"a": pl.Series([1, 2], dtype=pl.UInt8)})).columns.dtypes == ("uint8",)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (X[:, 0], None),
        (X[:, 0].tolist(), None),
        (pd.Series(X[:, 0], name="a"), "a"),
        (pd.Series(X[:, 0]), None),
        (pl.Series("a", X[:, 0]), "a"),
        (pa.array(X[:, 0]), None),
        (pa.chunked_array([X[:, 0]]), None),
        (pd.Index(X[:, 0], name="a"), "a"),
    ],
    ids=["array", "list", "pandas", "pandas_no_name", "polars", "pyarrow_array", "chunked", "index"],
)
def test_one_dimension_is_one_column(given, name):
    rows = rows_to_fit(given)
    assert rows.values.shape == (20, 1)
    assert rows.columns.container == "vector"
    assert rows.columns.names == (None if name is None else (name,))


REFUSED = {
    "nan_in_fit": ([[1.0, 2.0], [np.nan, 3.0]], r"NaN .*column 0, 1 of 2 rows \(first: row 1\)"),
    "inf_in_fit": ([[1.0, 2.0], [3.0, -np.inf]], r"infinity in column 1, 1 of 2 rows \(first: row 1\)"),
    "all_nan_column": (pd.DataFrame({"a": [1.0, 2.0], "b": np.nan}), "NaN .*column 'b', all 2 rows"),
    "empty_rows": (np.empty((0, 3)), "0 rows"),
    "empty_list": ([], "0 rows"),
    "zero_columns": (
        np.empty((12, 0)),
        r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required.",
    ),
    "frame_without_columns": (pd.DataFrame(index=[1, 2]), "0 feature"),
    "numeric_strings": (np.array([["1", "2"]]), "text .*never parsed"),
    "numeric_strings_in_objects": (np.array([["1", 2.0]], dtype=object), "text in row 0: '1'"),
    "bytes": (np.array([[b"1"]]), "text"),
    "mixed_list": ([[1.0, "a"]], "text"),
    "sparse_csr": (scipy.sparse.csr_array(X), "Sparse data is not supported.*toarray"),
    "sparse_matrix": (scipy.sparse.csc_matrix(X), "Sparse"),
    "masked_array": (np.ma.masked_array(X, X > 0.5), "missing"),
    "text_columns": (pd.DataFrame({"a": [1.0], "b": ["x"]}), "column 'b' holds text"),
    "text_polars": (pl.DataFrame({"a": [1.0], "b": ["x"]}), "column 'b' holds text"),
    "text_pyarrow": (pa.table({"a": [1.0], "b": ["x"]}), "column 'b' holds text"),
    "text_records": (np.array([(1.0, "x")], dtype=[("a", float), ("b", "U3")]), "column 'b' holds text"),
    "complex": (np.ones((3, 1)) * 1j, "Complex data not supported"),
    "complex_pandas": (pd.DataFrame({"a": [1j, 2j]}), "Complex data not supported"),
    "complex_objects": (np.array([[1j]], dtype=object), "Complex data not supported"),
    "datetime64": (np.array([["2020-01-01"]], dtype="M8[D]"), "dates or times.*convert"),
    "timedelta64": (np.array([[5]], dtype="m8[s]"), "dates or times"),
    "datetime_pandas": (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), "column 'a' holds dates"),
    "duration_polars": (pl.DataFrame({"a": pl.Series([1], dtype=pl.Duration)}), "column 'a' holds dates"),
    "pandas_categorical": (pd.DataFrame({"a": pd.Categorical([1, 2])}), "column 'a' is categorical"),
    "polars_categorical": (pl.DataFrame({"a": pl.Series(["x"], dtype=pl.Categorical)}), "'a' is categorical"),
    "bare_categorical": (pd.Categorical([1, 2]), "categorical"),
    "pandas_nullable_NA": (
        pd.DataFrame({"a": pd.array([1, None, None], dtype="Int64")}),
        r"column 'a', 2 of 3 rows \(first: row 1\)",
    ),
    "pandas_boolean_NA": (pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}), "'a', 1 of 2 rows"),
    "pandas_object_none": (pd.DataFrame({"a": pd.Series([1.0, None], dtype=object)}), "'a', 1 of 2 rows"),
    "polars_null": (pl.DataFrame({"a": [1, None, 2]}), "column 'a', 1 of 3 rows"),
    "polars_nan": (pl.DataFrame({"a": [1.0, float("nan")]}), "column 'a', 1 of 2 rows"),
    "polars_all_null": (pl.DataFrame({"a": [None, None]}), "column 'a', all 2 rows"),
    "pyarrow_null": (pa.table({"a": [1, None, 2]}), "column 'a', 1 of 3 rows"),
    "none_in_list": ([[1.0], [None]], "column 0, 1 of 2 rows"),
    "duplicate_column_names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "duplicate column names: 'a'"),
    "duplicate_names_pyarrow": (pa.table([[1], [2]], names=["a", "a"]), "duplicate column names"),
    "three_dim_input": (np.zeros((2, 2, 2)), r"3 dimensions, shape \(2, 2, 2\)"),
    "ragged_lists": ([[1, 2], [3]], "row 0 has 2 entries, row 1 has 1"),
    "huge_python_ints": ([[10**30], [1]], r"row 0, beyond 2\*\*53.*astype"),
    "endless_python_int": ([[10**400], [1]], "beyond"),
    "scalar": (3.0, "Reshape your data"),
    "nested": (pl.DataFrame({"a": [{"x": 1}]}), "column 'a' is nested"),
    "lists_in_cells": (pl.DataFrame({"a": [[1, 2]]}), "column 'a' is nested"),
    "sparse_pandas": (pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0])}), "'a' is sparse"),
    "int128": (pl.DataFrame({"a": pl.Series([1], dtype=pl.Int128)}), "at most 64 bits"),
    "lazy": (pl.LazyFrame({"a": [1.0]}), "lazy.*collect"),
    "dict": ({"a": [1.0]}, "X is a dict"),
    "path": ("faithful.csv", "pofx.read"),
    "generator": ((row for row in [[1.0]]), "generator"),
    "nested_records": (np.zeros(2, dtype=[("a", float, (2,))]), "array in each row"),
    "longdouble_overflow": (np.array([[np.longdouble("1e4000")]]), "infinity")
    if np.finfo(np.longdouble).maxexp > 1024
    else ([[np.inf]], "infinity"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(case):
    given, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        rows_to_fit(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([[{"foo": "bar"}, 1.0]], dtype=object), "argument must be .* string.* number"),
        (pd.DataFrame([[1, 2]], columns=["a", 1]), "Feature names are only supported"),
    ],
)
def test_what_scikit_learn_calls_a_type_error_is_one(given, message):
    with pytest.raises(TypeError, match=message) as caught:
        rows_to_fit(given)
    assert isinstance(caught.value, DataTypeError | DataError)


def test_whole_numbers_that_float64_rounds_are_warned_of():
    with pytest.warns(PofxWarning, match=r"1 whole numbers beyond 2\*\*53"):
        rows = rows_to_fit(np.array([[2**53 + 1], [2**53], [3]]))
    assert rows.values[1, 0] == 2.0**53
    rows_to_fit(np.array([[2**60], [-(2**63)]]))  # powers of two are exact
    with pytest.warns(PofxWarning, match="rounded"):
        rows_to_fit(np.array([[2**64 - 1]], dtype=np.uint64))


def test_dropping_rows_counts_them_and_keeps_the_mask():
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0, 4.0], "b": pd.array([1, 2, None, 4], dtype="Int64")})
    rows = rows_to_fit(frame, missing="drop")
    assert rows.values.tolist() == [[1.0, 1.0], [4.0, 4.0]]
    assert rows.dropped == 2
    assert rows.kept is not None
    assert rows.kept.tolist() == [True, False, False, True]
    masked = np.ma.masked_array(X, np.arange(40).reshape(20, 2) == 5)
    assert rows_to_fit(masked, missing="drop").dropped == 1
    assert rows_to_fit(X, missing="drop").kept is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0, np.nan], [2.0, np.nan]], "no number in column 1"),
        ([[1.0, np.nan], [np.nan, 2.0]], "0 rows are left"),
        ([[1.0, np.inf], [np.nan, 2.0]], "infinity in column 1"),
    ],
)
def test_dropping_rows_does_not_hide_what_is_wrong(given, message):
    with pytest.raises(DataError, match=message):
        rows_to_fit(given, missing="drop")


def test_other_ways_with_missing_values_are_refused():
    with pytest.raises(ParameterError, match="Did you mean 'drop'"):
        rows_to_fit(X, missing="dorp")


def test_incomplete_rows_are_kept_and_empty_ones_are_not():
    rows = rows_to_fit([[1.0, None], [None, None], [3.0, 4.0]], missing="marginal")
    np.testing.assert_array_equal(rows.values, [[1.0, np.nan], [3.0, 4.0]])
    assert rows.dropped == 1
    assert rows.kept is not None
    assert rows.kept.tolist() == [True, False, True]
    with pytest.raises(DataError, match="infinity in column 1"):
        rows_to_fit([[1.0, np.inf], [np.nan, 2.0]], missing="marginal")


def test_escape_sequences_in_names_are_spelled_out():
    with pytest.raises(DataError) as caught:
        rows_to_fit(pd.DataFrame({"\x1b[31mred": [np.nan, 1.0]}))
    assert "\x1b" not in str(caught.value)


def test_inputs_are_untouched(tmp_path):
    for make in SAME.values():
        given = make(tmp_path)
        before = np.array(np.asarray(given), copy=True)
        rows_to_fit(given)
        np.testing.assert_array_equal(np.asarray(given), before)
