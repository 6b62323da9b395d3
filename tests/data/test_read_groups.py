"""``pofx.read(..., by=)``: columns that group the rows keep their texts, wherever they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pofx
from pofx.errors import DataError, ParameterError
from pofx.validation import Columns, Levels

TEXT = "id,name,kind,size\n1,a,red,1.5\n2,b,blue,2.5\n3,c,,3.5\n4,d,red,4.5\n"


def check(table: pofx.Table) -> None:
    assert table.names == ("kind", "size")
    assert table["kind"].tolist() == ["red", "blue", "red"]
    assert table.values[:, 0].tolist() == [1.0, 0.0, 1.0]  # numbers of the levels in ascending order
    assert table.columns.levels_of(0) == Levels(("blue", "red"))
    assert table.dropped == 1


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(TEXT)
    table = pofx.read(path, by="kind", missing="drop")
    check(table)
    assert "kind  text     2 levels" in str(table)
    check(pofx.read(path, by=2, columns="size", missing="drop"))
    frame = pd.read_csv(path)
    check(pofx.read(frame, by="kind", drop="id", missing="drop"))
    frame.to_parquet(tmp_path / "rows.parquet")
    check(pofx.read(tmp_path / "rows.parquet", by="kind", missing="drop"))
    frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True)
    check(pofx.read(tmp_path / "rows.jsonl", by="kind", missing="drop"))
    with pytest.raises(DataError, match=r"kind 1 of 4 \(first: row 2\)"):
        pofx.read(path, by="kind")
    with pytest.raises(ParameterError, match=r"'kinds'.*Did you mean 'kind'"):
        pofx.read(path, by="kinds")


def test_tables_keep_texts_on_the_way() -> None:
    table = pofx.read(pd.DataFrame({"kind": ["b", "a", "b"], "x": [1, 2, 3]}), by="kind")
    assert table[["kind"]]["kind"].tolist() == ["b", "a", "b"]
    assert table[1:]["kind"].tolist() == ["a", "b"]
    assert pofx.read(table)["kind"].tolist() == ["b", "a", "b"]
    assert table.to_frame()["kind"].tolist() == ["b", "a", "b"]
    assert table.to_frame("polars")["kind"].to_list() == ["b", "a", "b"]


def test_numbers_and_booleans_that_group_stay_what_they_are() -> None:
    table = pofx.read(
        pd.DataFrame({"id": [1, 2, 3], "ok": [True, False, True], "x": [1.5, 2.5, 3.0]}), by=["id", "ok"]
    )
    assert table.dtypes == ("int64", "bool", "float64")  # a key is read where it is asked for
    assert table.columns.levels is None
    with pytest.raises(DataError, match=r"cannot group rows: .*dates"):
        pofx.read(pd.DataFrame({"t": pd.to_datetime(["2020-01-01"] * 2), "x": [1.0, 2.0]}), by="t")


def test_levels_go_through_a_file_of_columns() -> None:
    columns = Columns(("k", "x"), ("int64", "float64"), (0, None), "table", (Levels(("a", "b"), True), None))
    assert Columns.from_json(columns.to_json()) == columns
    assert "levels" not in columns.select([1]).to_json()
    for bad in (
        [None],
        [{"words": ["b", "a"], "categorical": False}, None],
        [{"words": []}, None],
        "ab",
        [3, None],
    ):
        with pytest.raises(ParameterError, match="levels"):
            Columns.from_json({**columns.to_json(), "levels": bad})


def test_text_elsewhere_is_refused_as_ever() -> None:
    with pytest.raises(DataError, match="never encoded silently"):
        pofx.Gaussian().fit(pd.DataFrame({"kind": ["a", "b"], "x": [1.0, 2.0]}))
    assert np.array_equal(
        pofx.read(pd.DataFrame({"kind": ["a", "b"], "x": [1.0, 2.0]})).values, [[1.0], [2.0]]
    )
