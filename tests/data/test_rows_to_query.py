"""Rows asked of a fitted model: matched by name, by position where one side has no names."""

import time
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from pofx.data import read
from pofx.errors import DataError, PofxWarning
from pofx.validation import Columns, rows_to_fit, rows_to_query

FRAME = pd.DataFrame({"a": [1.5, 2.5], "b": [3.5, 4.5]})
NAMED = rows_to_fit(FRAME).columns
PLAIN = rows_to_fit(FRAME.to_numpy()).columns


def ask(X, columns):
    return rows_to_query(X, columns, who="Gaussian")


def test_columns_are_matched_by_name():
    expected = [[1.5, 3.5], [2.5, 4.5]]
    reordered = FRAME[["b", "a"]]
    for X in (
        FRAME,
        reordered,
        pl.from_pandas(reordered),
        read(reordered),
        reordered.to_records(index=False),
    ):
        assert ask(X, NAMED).tolist() == expected


def test_extra_columns_are_ignored_and_said_even_if_they_are_text():
    for X in (FRAME.assign(t=["x", "y"]), pl.from_pandas(FRAME.assign(t=["x", "y"]))):
        with pytest.warns(PofxWarning, match="ignored: 't'"):
            assert ask(X, NAMED).tolist() == [[1.5, 3.5], [2.5, 4.5]]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (FRAME.rename(columns={"a": "A"}), "no column 'a'.*Did you mean 'A'"),
        (FRAME[["b"]], "no column 'a', which Gaussian was fitted to"),
        (FRAME[["b"]].assign(t="text"), "no column 'a'"),
        (FRAME["b"], "no column 'a'"),
        (FRAME.assign(a="text"), "column 'a' holds text"),
    ],
    ids=["renamed", "missing", "missing_beside_text", "series", "turned_to_text"],
)
def test_unknown_and_missing_columns(X, message):
    with pytest.raises(DataError, match=message):
        ask(X, NAMED)


def test_where_one_side_has_no_names_scikit_learn_words_warn():
    with pytest.warns(UserWarning, match="X does not have valid feature names, but Gaussian was fitted with"):
        ask(FRAME.to_numpy(), NAMED)
    with pytest.warns(
        UserWarning, match="X has feature names, but Gaussian was fitted without feature names"
    ):
        ask(FRAME, PLAIN)


@pytest.mark.parametrize("width", [1, 3])
def test_wrong_width(width):
    with pytest.raises(
        DataError, match=f"X has {width} features, but Gaussian is expecting 2 features as input"
    ):
        ask(np.ones((4, width)), PLAIN)


def test_rows_are_samples_also_when_square():
    X = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(ask(X, PLAIN), X)


def test_one_dimension():
    with pytest.raises(DataError, match=r"1-D.*Reshape your data"):
        ask([1.0, 2.0], PLAIN)
    line = rows_to_fit(pd.Series([1.0, 2.0, 4.0], name="a")).columns
    for X in ([5.0, 6.0], np.array([[5.0], [6.0]]), pd.Series([5.0, 6.0]), pd.Series([5, 6], name="a")):
        assert ask(X, line).tolist() == [[5.0], [6.0]]
    assert ask(FRAME[["a"]], line).tolist() == [[1.5], [2.5]]
    with pytest.raises(DataError, match="no column 'a'"):
        ask(pd.Series([5.0], name="z"), line)


def test_a_line_fitted_without_a_name_takes_a_named_one():
    line = rows_to_fit([1.0, 2.0]).columns
    assert ask(pd.Series([5.0], name="z"), line).tolist() == [[5.0]]


def test_empty_query_has_no_rows():
    assert ask(np.empty((0, 2)), PLAIN).shape == (0, 2)
    assert ask(FRAME.iloc[:0], NAMED).shape == (0, 2)
    assert ask([], rows_to_fit([1.0, 2.0]).columns).shape == (0, 1)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[1.0, np.nan]], r"NaN \(missing\) in column 1"),
        ([[np.inf, 1.0]], "infinity in column 0"),
        ([["1", "2"]], "text"),
        (np.ones((2, 2, 2)), "3 dimensions"),
    ],
)
def test_numbers_only(X, message):
    with pytest.raises(DataError, match=message):
        ask(X, PLAIN)


def test_missing_values_in_a_named_query_name_the_column():
    with pytest.raises(DataError, match=r"NaN \(missing\) in column 'b', 1 of 2 rows \(first: row 1\)"):
        ask(FRAME.assign(b=[1.0, None])[["b", "a"]], NAMED)


def test_any_layout_gives_the_same_numbers():
    X = np.random.default_rng(0).normal(size=(6, 2))
    for given in (
        np.asfortranarray(X),
        X.astype(">f8"),
        X.tolist(),
        X.astype(object),
        np.hstack([X, X])[:, :2],
    ):
        answer = ask(given, PLAIN)
        assert answer.flags.c_contiguous
        np.testing.assert_array_equal(answer, X)


def test_a_small_array_passes_quickly():
    X, columns = np.random.default_rng(0).normal(size=(100, 1)), Columns.plain(1)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(200):
            ask(X, columns)
        best = min(best, (time.perf_counter() - start) / 200)
    assert best < 100e-6  # some 3 us on an idle machine


def test_the_warning_points_to_the_caller():
    class Model:
        def log_density(self, X):
            return self._rows(X)

        def _rows(self, X):
            return rows_to_query(X, NAMED, who="Model")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Model().log_density(FRAME.to_numpy())
    assert caught[0].filename == __file__
