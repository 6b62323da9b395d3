"""Recorded precision is seen in the floats, and samples come back in the caller's container."""

import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pofx.data import Table, read
from pofx.errors import ParameterError
from pofx.validation import Columns, detect_decimals, restore, restore_exact, rows_to_fit

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("decimals", [0, 1, 2, 3])
def test_rounded_columns_are_recognised(decimals, dtype):
    column = RNG.normal(scale=30, size=2000).round(decimals).astype(dtype)
    assert detect_decimals(column) == decimals
    assert detect_decimals(column.astype(np.float64), dtype) == decimals


@given(st.integers(0, 9), hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(-(10**6), 10**6)))
def test_any_decimals_are_found_as_written(decimals, steps):
    column = np.array([float(f"{step}e-{decimals}") for step in steps])
    written = max(len(str(abs(s)).zfill(decimals + 1)[-decimals or None :].rstrip("0")) for s in steps)
    assert detect_decimals(column) == (written if decimals else 0)


@pytest.mark.parametrize(
    "column",
    [
        RNG.normal(size=1000),
        RNG.random(1000),
        RNG.random(3),
        RNG.lognormal(sigma=5, size=1000),
        RNG.normal(size=1000).astype(np.float32),
        RNG.normal(size=1000) * 1e15,
        RNG.normal(size=1000) * 1e300,
        RNG.normal(size=1000) * 1e-300,
        RNG.normal(size=1000) + 1e9,
        np.float32(1e6) + RNG.normal(size=50).astype(np.float32),
        np.array([1 / 3]),
        np.array([0.5, 1e-10]),
    ],
    ids=str,
)
def test_continuous_columns_have_none(column):
    assert detect_decimals(column) is None


def test_one_odd_row_far_down_is_seen():
    column = RNG.normal(size=200_000).round(1)
    assert detect_decimals(column) == 1
    column[-1] = 0.123
    assert detect_decimals(column) == 3
    column[-1] = 1 / 3
    assert detect_decimals(column) is None


def test_missing_values_are_passed_over_and_repetition_is_no_evidence():
    assert detect_decimals(np.array([1.5, np.nan, 2.5])) == 1
    assert detect_decimals(np.full(1000, 2.0**52)) is None
    assert detect_decimals(np.zeros(4)) == 0
    assert detect_decimals(np.array([True, False])) == 0
    assert detect_decimals(np.array([1, 2], dtype="u1")) == 0


def test_a_million_rows_take_well_under_a_second():
    column = RNG.normal(size=1_000_000).round(2)
    start = time.perf_counter()
    assert detect_decimals(column) == 2
    assert time.perf_counter() - start < 0.5


def columns_like(container, names=("a", "b", "c", "d"), dtypes=("float64", "int64", "bool", "float32")):
    return Columns(names, dtypes, (2, 0, 0, None), container)


def test_restored_frames_have_names_dtypes_and_precision():
    values = np.array([[1.23456, 2.6, 0.4, 0.1], [-0.001, -3.2, 0.5, 1e300]])
    for container, kind in (
        ("pandas", pd.DataFrame),
        ("polars", pl.DataFrame),
        ("pyarrow", pa.Table),
        ("table", Table),
    ):
        frame = restore(values, columns_like(container))
        assert isinstance(frame, kind)
        frame = frame.to_pandas() if container == "pyarrow" else frame
        assert np.asarray(frame["a"]).tolist() == [1.23, 0.0]
        assert not np.signbit(np.asarray(frame["a"])[1])
        assert np.asarray(frame["b"]).tolist() == [3, -3]
        assert np.asarray(frame["c"]).tolist() == [False, True]
        assert np.isfinite(np.asarray(frame["d"])).all()
        assert [np.asarray(frame[name]).dtype.name for name in "abcd"] == [
            "float64",
            "int64",
            "bool",
            "float32",
        ]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_integers_are_clipped_to_their_range(dtype):
    columns = Columns(None, (dtype,), (0,), "array")
    low, high = restore(np.array([[-1e30], [1e30]]), columns).ravel()
    info = np.iinfo(dtype)
    assert low == info.min
    assert float(high) == pytest.approx(info.max, rel=1e-12)
    assert high <= info.max


def test_short_floats_stay_finite():
    for dtype in ("float16", "float32"):
        out = restore(np.array([[1e300], [-1e300]]), Columns(None, (dtype,), (None,), "array"))
        assert out.dtype == dtype
        assert np.isfinite(out).all()


def test_exact_rows_are_floats_without_rounding():
    values = np.array([[1.23456, 2.6, 0.4, 0.1]])
    for container in ("pandas", "polars", "pyarrow", "table"):
        frame = restore_exact(values, columns_like(container))
        frame = frame.to_pandas() if container == "pyarrow" else frame
        assert [float(np.asarray(frame[name])[0]) for name in "abcd"] == values[0].tolist()
    assert restore_exact(values, columns_like("array")).tolist() == values.tolist()
    assert restore_exact(values[:, :1], Columns.plain(1, container="vector")).tolist() == [1.23456]


CONTAINERS = {
    "array": lambda X: X,
    "vector": lambda X: X[:, 0].copy(),
    "pandas": lambda X: pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])]),
    "pandas_unnamed": pd.DataFrame,
    "polars": lambda X: pl.DataFrame({f"c{j}": X[:, j] for j in range(X.shape[1])}),
    "pyarrow": lambda X: pa.table({f"c{j}": X[:, j] for j in range(X.shape[1])}),
    "table": lambda X: read(X),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("decimals", [1, None])
def test_restoring_the_training_rows_gives_them_back(container, dtype, decimals):
    raw = RNG.normal(50, 10, size=(40, 2)) if dtype != "bool" else RNG.random((40, 2)) < 0.5
    X = CONTAINERS[container](
        (raw if decimals is None or dtype == "bool" else raw.round(decimals)).astype(dtype)
    )
    rows = rows_to_fit(X)
    again = restore(rows.values, rows.columns)
    assert type(again) is type(X)
    if isinstance(X, Table):
        np.testing.assert_array_equal(again.values, X.values)
        assert again.columns == X.columns
    elif isinstance(X, pd.DataFrame):
        pd.testing.assert_frame_equal(again, X, check_column_type=False)
    elif isinstance(X, pa.Table | pl.DataFrame):
        assert again.equals(X)
    else:
        assert again.dtype == X.dtype
        np.testing.assert_array_equal(again, X)


@given(st.integers(0, 9), hnp.arrays(np.float64, 5, elements=st.floats(-1e12, 1e12)))
def test_restoring_twice_changes_nothing_more(decimals, values):
    columns = Columns(None, ("float64",), (decimals,), "array")
    once = restore(values[:, None], columns)
    np.testing.assert_array_equal(restore(once, columns), once)
    np.testing.assert_allclose(once[:, 0], values, rtol=1e-14, atol=0.51 * 10.0**-decimals)


def test_columns_know_their_labels_and_places():
    columns = columns_like("pandas")
    assert len(columns) == 4
    assert (columns.label(1), Columns.plain(3).label(2)) == ("b", "column 2")
    assert (columns.index("c"), columns.index(3), columns.index(np.int64(0))) == (2, 3, 0)
    assert columns.select([2, 0]) == Columns(("c", "a"), ("bool", "float64"), (0, 2), "pandas")
    for bad, message in [
        ("B", "Did you mean 'b'"),
        (4, "0 to 3"),
        (-1, "no column -1"),
        (True, "name or its number"),
        (1.0, "name or"),
    ]:
        with pytest.raises(ParameterError, match=message):
            columns.index(bad)
    with pytest.raises(ParameterError, match="have no names"):
        Columns.plain(2).index("a")


def test_columns_survive_json_and_refuse_nonsense():
    for columns in (columns_like("table"), Columns.plain(3)):
        assert Columns.from_json(columns.to_json()) == columns
    good = columns_like("pandas").to_json()
    for key, bad in [
        ("names", ["a", "a", "b", "c"]),
        ("names", ["a"]),
        ("names", [1, 2, 3, 4]),
        ("dtypes", ["float64", "int64", "bool", "object"]),
        ("dtypes", []),
        ("dtypes", "float64"),
        ("decimals", [1, 2, 3, 10]),
        ("decimals", [1, 2, 3, True]),
        ("decimals", [1, 2]),
        ("container", "pickle"),
        ("container", None),
        ("more", 1),
    ]:
        with pytest.raises(ParameterError):
            Columns.from_json(good | {key: bad})
    with pytest.raises(ParameterError):
        Columns.from_json([])
