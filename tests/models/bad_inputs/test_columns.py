"""Columns and rows asked of a fitted model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pofx


@pytest.fixture(params=["pandas", "polars"])
def frame(request: pytest.FixtureRequest, x: np.ndarray) -> Any:
    values = {"age": x[:, 0], "height": x[:, 1]}
    return pd.DataFrame(values) if request.param == "pandas" else pl.DataFrame(values)


def renamed(frame: Any, names: dict[str, str]) -> Any:
    return frame.rename(columns=names) if isinstance(frame, pd.DataFrame) else frame.rename(names)


def test_columns_reordered_at_score(make: Any, frame: Any) -> None:
    model = make().fit(frame)
    assert np.array_equal(model.log_density(frame[["height", "age"]]), model.log_density(frame))


def test_columns_renamed_at_score(make: Any, frame: Any, refused: Any) -> None:
    model = make().fit(frame)
    with refused("'height'", "no column"):
        model.log_density(renamed(frame, {"height": "hieght"}))


def test_missing_column_at_score(make: Any, frame: Any, refused: Any) -> None:
    model = make().fit(frame)
    with refused("'height'", "no column"):
        model.log_density(frame[["age"]])


def test_extra_column_at_score(make: Any, frame: Any, x: np.ndarray) -> None:
    """Ignored, and said by name; text in it does no harm."""
    model = make().fit(frame)
    if isinstance(frame, pd.DataFrame):
        wider = frame.assign(city="Rome")
    else:
        wider = frame.with_columns(pl.lit("Rome").alias("city"))
    with pytest.warns(pofx.errors.PofxWarning, match="ignored: 'city'"):
        assert np.array_equal(model.log_density(wider), model.log_density(frame))


def test_duplicate_column_names(make: Any, frame: Any, x: np.ndarray, refused: Any) -> None:
    twice = pd.DataFrame(x, columns=["age", "age"])
    with refused("duplicate", "'age'"):
        make().fit(twice)
    with refused("duplicate", "'age'"):
        make().fit(frame).log_density(twice)


def test_mixed_column_names(make: Any, x: np.ndarray, refused: Any) -> None:
    with refused("names", "string"):
        make().fit(pd.DataFrame(x, columns=["age", 1]))


@pytest.mark.parametrize("width", [1, 3])
def test_wrong_width_query(model: Any, width: int, refused: Any) -> None:
    with refused(f"{width} features", "expecting 2 features"):
        model.log_density(np.ones((4, width)))


def test_square_query_transposed(model: Any) -> None:
    square = np.array([[0.0, 1.0], [3.0, 4.5]])
    rows = np.array([model.log_density(row[None, :])[0] for row in square])
    assert np.allclose(model.log_density(square), rows, rtol=0, atol=1e-10)
    assert not np.allclose(model.log_density(square.T), rows)


def test_empty_query(model: Any, refused: Any) -> None:
    assert model.log_density(np.empty((0, 2))).shape == (0,)
    with refused("0 rows"):
        model.score(np.empty((0, 2)))


def test_batch_vs_single_rows(model: Any, x: np.ndarray) -> None:
    singles = np.array([model.log_density(row[None, :])[0] for row in x])
    whole = model.log_density(x)
    assert np.abs(singles - whole).max() < 1e-10
    assert np.abs(model.log_density(np.tile(x, (100, 1)))[: len(x)] - whole).max() < 1e-10


@pytest.mark.parametrize("key", ["hieght", 2, -1, 1.0, None, True])
def test_unknown_column_in_condition_and_marginal(make: Any, frame: Any, key: Any, refused: Any) -> None:
    model = make().fit(frame)
    wanted = "'height'" if isinstance(key, str) else "column"
    with refused(wanted, kind=pofx.errors.ParameterError):
        model.condition({key: 1.0})
    with refused(wanted, kind=pofx.errors.ParameterError):
        model.marginal([key])


def test_conditions_that_cannot_be_met(make: Any, frame: Any, refused: Any) -> None:
    model = make().fit(frame)
    for given in ({}, {"age": 1.0, "height": 2.0}, {"age": 1.0, 0: 1.0}):
        with refused("column", kind=pofx.errors.ParameterError):
            model.condition(given)
    for value in (np.nan, np.inf):
        with refused("NaN|infinit"):
            model.condition({"age": value})
    with refused("text|number"):
        model.condition({"age": "tall"})
    for keep in ([], ["age", "age"]):
        with refused("column", kind=pofx.errors.ParameterError):
            model.marginal(keep)
