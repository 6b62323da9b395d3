"""Table: names, precision and provenance stay with the rows, also through scikit-learn's splitters."""

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pofx.data import Table, read
from pofx.errors import DataError, MissingExtraError, ParameterError
from pofx.validation import Columns, rows_to_fit

FRAME = pd.DataFrame(
    {"id": [7, 3, 9, 4], "a": [1.5, 2.25, 3.0, 4.0], "b": [1, 5, 2, 2], "name": list("wxyz")},
    index=list("pqrs"),
)


def table():
    return read(FRAME)


def test_what_it_knows():
    t = table()
    assert (t.shape, len(t), t.ndim, t.names) == ((4, 2), 4, 2, ("a", "b"))
    assert (t.dtypes, t.decimals, t.missing) == (("float64", "int64"), (2, 0), (0, 0))
    assert set(t.set_aside) == {"id", "name"}
    assert t.index.tolist() == list("pqrs")
    assert "different whole numbers" in t.set_aside["id"]
    assert "text" in t.set_aside["name"]


def test_rows_and_columns_are_indexed():
    t = table()
    assert t["b"].dtype == np.int64
    assert t["b"].tolist() == [1, 5, 2, 2]
    assert t[["b", "a"]].names == ("b", "a")
    assert t[0].tolist() == [1.5, 1.0]
    assert t[-1].tolist() == [4.0, 2.0]
    for key in (
        slice(1, 3),
        [1, 2],
        np.array([1, 2]),
        np.array([False, True, True, False]),
        ([1, 2], Ellipsis),
    ):
        part = t[key]
        assert part["a"].tolist() == [2.25, 3.0]
        assert part.index.tolist() == ["q", "r"]
        assert part.columns == t.columns
    assert t[:, "a"].tolist() == FRAME["a"].tolist()
    assert t[:, [1]].names == ("b",)
    assert t[1:, 0].tolist() == [2.25, 3.0, 4.0]
    assert t[2, 1] == 2.0
    assert t.take([3, 0])["a"].tolist() == [4.0, 1.5]
    assert t.take([1], axis=1).names == ("b",)
    assert t[[]].shape == (0, 2)
    assert len(list(t)) == 4


@pytest.mark.parametrize("key", [9, True, 1.5, "typo", ["a", "typo"], [0.5], (0, 1, 2), [[0, 1]]])
def test_what_is_not_there(key):
    with pytest.raises((IndexError, ParameterError)):
        table()[key]


def test_rows_cannot_be_changed_nor_alias_the_source():
    X = np.array([[1.0, 2.0], [3.0, 5.0]])
    t = read(X)
    X[0, 0] = 99.0
    assert t.values[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        t.values[0, 0] = 5.0


def test_arrays_and_rows_for_a_model():
    t = table()
    assert np.asarray(t).tolist() == t.values.tolist()
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    rows = rows_to_fit(t)
    assert rows.columns.container == "table"
    assert rows.columns.decimals == (2, 0)
    with pytest.raises(DataError, match="'a', 1 of 4 rows"):
        rows_to_fit(read(FRAME.assign(a=[1.0, None, 2.0, 3.0]), missing="keep"))


def test_dropped_rows_are_passed_on_once():
    t = read(FRAME.assign(a=[1.0, None, 2.0, 3.0]), missing="drop")
    assert (t.dropped, len(t), t.index.tolist()) == (1, 3, ["p", "r", "s"])
    assert rows_to_fit(t).dropped == 1
    assert rows_to_fit(t[:2]).dropped == 0


def test_frames_come_back_as_they_were():
    pd.testing.assert_frame_equal(table().to_frame(), FRAME[["a", "b"]])
    polars = pl.DataFrame({"a": [1.5, 2.5], "b": [True, False]})
    assert read(polars).to_frame().equals(polars)
    arrow = pa.table({"a": [1.5, 2.5], "b": pa.array([1, 2], pa.int32())})
    assert read(arrow).to_frame().equals(arrow)
    assert read(arrow).to_frame("pandas")["b"].dtype == np.int32
    assert read([[1.0, 2.0]]).to_frame().columns.tolist() == ["column 0", "column 1"]
    with pytest.raises(ParameterError, match="kind must be one of"):
        table().to_frame("spss")


def test_without_pandas_the_way_out_is_named(monkeypatch):
    import importlib

    real = importlib.import_module

    def without_pandas(name, *args):
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without_pandas)
    with pytest.raises(MissingExtraError, match=r'"pyarrow".*pip install pandas'):
        read([[1.0]]).to_frame()


def test_shown_as_text_and_html():
    t = read(FRAME.rename(columns={"a": "<img onerror=1>", "b": "\x1b[31m"}))
    text, page = repr(t), t._repr_html_()
    assert text.startswith("Table: 4 rows, 2 columns")
    assert "2 decimals" in text
    assert "set aside: id" in text
    assert "\x1b" not in text + page
    assert "<img" not in page
    assert "&lt;img onerror=1&gt;" in page
    assert "no value" in repr(t[:0])
    assert "1 missing" in repr(read([[1.0], [np.nan]], missing="keep"))


def test_copies_and_pickles():
    for again in (copy.deepcopy(table()), pickle.loads(pickle.dumps(table()))):
        np.testing.assert_array_equal(again.values, table().values)
        assert again.columns == table().columns
        assert again.set_aside == table().set_aside


def test_built_by_hand_it_checks_itself():
    with pytest.raises(DataError, match=r"needs values \(n, 2\)"):
        Table(np.ones((3, 1)), Columns.plain(2))
    with pytest.raises(DataError, match="index has 1 entries"):
        Table(np.ones((3, 1)), Columns.plain(1), index=pd.Index([1]))


class Seen(BaseEstimator):
    """Remembers what the splitters hand to it."""

    def __init__(self, width=1.0):
        self.width = width

    def fit(self, X, y=None):
        self.given_ = X
        return self

    def score(self, X, y=None):
        return float(rows_to_fit(X).values.mean()) * self.width


def test_through_scikit_learn():
    t = read(pd.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["a", "b"]))
    search = GridSearchCV(Seen(), {"width": [1.0, 2.0]}, cv=KFold(3)).fit(t)
    assert isinstance(search.best_estimator_.given_, Table)
    assert search.best_estimator_.given_.names == ("a", "b")
    assert cross_val_score(Seen(), t, cv=3).shape == (3,)
    train, test = train_test_split(t, random_state=0)
    assert isinstance(train, Table)
    assert len(train) + len(test) == 30
    make_pipeline(StandardScaler(), Seen()).fit(t)
