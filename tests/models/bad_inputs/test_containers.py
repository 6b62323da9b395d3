"""Every container of numbers is taken; whatever is not a number is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

import pofx


def test_numeric_strings(make: Any, x: np.ndarray, refused: Any) -> None:
    with refused("text", "number"):
        make().fit(x.astype(str))
    with refused("text", "row 0"):
        make().fit(x.astype(str).astype(object))
    mixed = x.astype(object)
    mixed[7, 1] = "4.5"
    with refused("text", "row 7", "4.5"):
        make().fit(mixed)
    with refused("'b'", "text"):
        make().fit(pd.DataFrame({"a": x[:, 0], "b": x[:, 1].astype(str)}))


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "coo_matrix", "csc_array"])
def test_sparse_csr(make: Any, x: np.ndarray, refused: Any, kind: str) -> None:
    with refused("sparse", "toarray"):
        make().fit(getattr(scipy.sparse, kind)(x))


def test_masked_array(make: Any, x: np.ndarray, model: Any, refused: Any) -> None:
    masked = np.ma.MaskedArray(x, mask=False)
    assert np.array_equal(make().fit(masked).log_density(x), model.log_density(x))
    masked[17, 1] = np.ma.masked
    with refused("missing", "column 1", "row 17"):
        make().fit(masked)
    with refused("missing", "column 1", "row 17"):
        model.log_density(masked)
    dropped = make().set_params(missing="drop").fit(masked)
    assert dropped.fit_.n_dropped == 1
    assert np.array_equal(dropped.log_density(x), make().fit(np.delete(x, 17, axis=0)).log_density(x))


FRAMES = {
    "pandas": lambda x: pd.DataFrame(x, columns=["a", "b"], index=np.arange(len(x))[::-1]),
    "pandas_nullable": lambda x: pd.DataFrame(x, columns=["a", "b"]).astype("Float64"),
    "pandas_pyarrow": lambda x: pd.DataFrame(x, columns=["a", "b"]).astype("double[pyarrow]"),
    "polars": lambda x: pl.DataFrame(x, schema=["a", "b"]),
    "pyarrow_table": lambda x: pa.table({"a": x[:, 0], "b": x[:, 1]}),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frame(make: Any, x: np.ndarray, model: Any, kind: str) -> None:
    frame = FRAMES[kind](x)
    fitted = make().fit(frame)
    assert np.array_equal(fitted.log_density(frame), model.log_density(x))
    assert list(fitted.feature_names_in_) == ["a", "b"]
    sample = fitted.sample(3, random_state=0)
    assert type(sample) is type(frame)
    drawn = np.column_stack([sample["a"], sample["b"]])
    assert np.array_equal(fitted.log_density(sample), model.log_density(drawn))
    with pytest.warns(pofx.errors.PofxWarning, match="feature names"):
        assert np.array_equal(fitted.log_density(x), model.log_density(x))


def test_record_array(make: Any, x: np.ndarray, model: Any) -> None:
    records = np.rec.fromarrays(x.T, names="a,b")
    fitted = make().fit(records)
    assert np.array_equal(fitted.log_density(records), model.log_density(x))


def test_text_columns(make: Any, x: np.ndarray, refused: Any) -> None:
    for frame in (
        pd.DataFrame({"a": x[:, 0], "city": ["Rome", "Oslo"] * 100}),
        pl.DataFrame({"a": x[:, 0], "city": ["Rome", "Oslo"] * 100}),
        pa.table({"a": x[:, 0], "city": ["Rome", "Oslo"] * 100}),
    ):
        with refused("'city'", "text"):
            make().fit(frame)


def test_complex(make: Any, x: np.ndarray, model: Any, refused: Any) -> None:
    with refused("complex"):
        make().fit(x + 0j)
    with refused("complex"):
        make().fit((x + 0j).astype(object))
    with refused("complex"):
        model.log_density(x * 1j)


def test_datetime64(make: Any, x: np.ndarray, refused: Any) -> None:
    times = np.datetime64("2024-01-01", "ms") + np.arange(400).reshape(200, 2)
    for dates in (times, times - times[0, 0]):
        with refused("dates or times", "convert"):
            make().fit(dates)
    columns = {"a": x[:, 0], "when": times[:, 0]}
    for frame in (pd.DataFrame(columns), pl.DataFrame(columns)):
        with refused("'when'", "dates or times"):
            make().fit(frame)


def test_pandas_categorical(make: Any, x: np.ndarray, refused: Any) -> None:
    for values in (["u", "v"] * 100, [1, 2] * 100):
        with refused("'group'", "categor"):
            make().fit(pd.DataFrame({"a": x[:, 0], "group": pd.Categorical(values)}))


def test_pandas_nullable_na(make: Any, x: np.ndarray, refused: Any) -> None:
    frame = pd.DataFrame(x, columns=["a", "b"]).astype("Float64")
    frame.loc[[17, 31], "b"] = pd.NA
    with refused("missing", "'b'", "2 of 200", "row 17"):
        make().fit(frame)
    whole = pd.DataFrame({"a": x[:, 0], "b": np.arange(200)}).astype({"b": "Int64"})
    whole.loc[17, "b"] = pd.NA
    with refused("missing", "'b'", "1 of 200", "row 17"):
        make().fit(whole)


def test_polars_null(make: Any, x: np.ndarray, refused: Any) -> None:
    b = [None if i in (17, 31) else float(v) for i, v in enumerate(x[:, 1])]
    for frame in (pl.DataFrame({"a": x[:, 0], "b": b}), pa.table({"a": x[:, 0], "b": b})):
        with refused("missing", "'b'", "2 of 200", "row 17"):
            make().fit(frame)
    with refused("lazy", "collect"):
        make().fit(pl.DataFrame(x).lazy())


def test_none_in_lists(make: Any, x: np.ndarray, refused: Any) -> None:
    rows = x.tolist()
    rows[17][1] = None
    with refused("missing", "column 1", "row 17"):
        make().fit(rows)


@pytest.mark.parametrize("rubbish", [None, "rows", 3.0, {"a": [1.0, 2.0]}, {1.0, 2.0}, object(), iter([1.0])])
def test_not_rows_at_all(make: Any, rubbish: Any, refused: Any) -> None:
    with refused("row|number|array|X"):
        make().fit(rubbish)


def test_one_dim_input(make: Any, x: np.ndarray, model: Any, refused: Any) -> None:
    """A 1-D array or Series is one column."""
    column = make().fit(x[:, :1])
    for flat in (x[:, 0], x[:, 0].tolist(), pd.Series(x[:, 0]), pl.Series(x[:, 0])):
        fitted = make().fit(flat)
        assert np.array_equal(fitted.log_density(flat), column.log_density(x[:, :1]))
        assert np.ndim(fitted.sample(4)) == 1
        assert fitted.n_features_in_ == 1
    with refused("1-D", "2 features", "reshape"):
        model.log_density(x[0])


def test_three_dim_input(make: Any, x: np.ndarray, model: Any, refused: Any) -> None:
    for action in (make().fit, model.log_density):
        with refused("3 dimensions", r"\(1, 200, 2\)"):
            action(x[None])


def test_ragged_lists(make: Any, refused: Any) -> None:
    with refused("row 0 has 2", "row 2 has 3"):
        make().fit([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0, 7.0]])
    with refused("row"):
        make().fit([[1.0, 2.0], 3.0])
