"""``weights``, ``na``, ``header`` and what ``describe`` says of them."""

import numpy as np
import pandas as pd
import pytest

from pofx.data import read
from pofx.errors import DataError, FileError, ParameterError, PofxWarning, WeightError


@pytest.fixture
def csv(tmp_path):
    def write(text):
        (tmp_path / "rows.csv").write_text(text)
        return tmp_path / "rows.csv"

    return write


def test_a_column_of_weights_is_set_aside_and_kept(csv):
    path = csv("x,w,t\n1.5,2,u\n2.5,0,v\n,3,w\n3.5,1,x\n")
    table = read(path, weights="w", missing="drop")
    assert table.names == ("x",)
    assert table.weights.tolist() == [2, 0, 1]
    assert (table.dropped, table.set_aside["w"]) == (1, "the weights of the rows, as asked")
    assert "weights: 0 to 2, sum 3" in table.describe()
    assert table[1:].weights.tolist() == [0, 1]
    assert table[["x"]].weights.tolist() == [2, 0, 1]
    assert read(table).weights.tolist() == [2, 0, 1]
    assert read(read(path, weights="w", missing="keep"), missing="drop").weights.tolist() == [2, 0, 1]
    with pytest.raises(ValueError, match="read-only"):
        table.weights[0] = 5
    assert read(path, drop="w", missing="drop").weights is None
    assert read(path, weights=1, columns=["x"], missing="drop").weights.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("cells", "options", "error", "message"),
    [
        ("1 -2 3", {}, WeightError, r"weights \(w\) are negative in 1 row, first in row 1"),
        ("0 0 0", {}, WeightError, "all 0"),
        ("1 NA 3", {}, DataError, r"weights 1 of 3 \(first: row 1\)"),
        ("1 NA 3", {"missing": "keep"}, WeightError, "missing or infinite in 1 row"),
        ("a b c", {}, DataError, "'w' cannot be a column of numbers"),
        ("1 2 3", {"weights": "v"}, ParameterError, "no column 'v'"),
        ("1 2 3", {"columns": ["x", "w"]}, ParameterError, "none of them in drop="),
    ],
)
def test_bad_weights(cells, options, error, message, csv):
    rows = "".join(f"{i}.5,{cell}\n" for i, cell in enumerate(cells.split()))
    with pytest.raises(error, match=message):
        read(csv("x,w\n" + rows), **{"weights": "w", **options})


@pytest.mark.parametrize("na", ["-999,-", [-999, "-"], ("-999.0", "-")])
def test_marks_of_missing(na, csv):
    path = csv("a,b\n1,2.5\n-999,3.5\n5,-999.0\n6,-\n")
    table = read(path, na=na, missing="keep")
    assert table.missing == (1, 2)
    assert table.dtypes == ("int64", "float64")
    assert "a: 1 value taken for missing, as asked" in table.describe()
    assert len(read(path, na=na, missing="drop")) == 1
    with pytest.raises(FileError, match="say na='-' if it marks a missing value"):
        read(path)


def test_a_number_marks_missing_in_every_source():
    frame = pd.DataFrame({"a": [1.5, -999.0, 2.5, 3.5], "b": [1, 2, -999, 3]})
    with pytest.warns(PofxWarning, match="-999 comes 1 time"):
        read(frame)
    assert read(frame, na=-999, missing="drop").values.tolist() == [[1.5, 1.0], [3.5, 3.0]]
    assert read(frame.to_numpy(), na=-999, missing="keep").missing == (1, 1)


def test_a_far_value_that_is_no_code_is_not_warned_of():
    for far in (-998.0, 1e6):
        read(pd.DataFrame({"a": [1.0, 2.0, far], "b": [1.5, 2.5, 3.5]}))
    read(pd.DataFrame({"a": [98.6, 98.7, 99.0], "b": [1.5, 2.5, 3.5]}))


def test_header_is_as_asked(csv):
    path = csv("1,2\n3,4\n")
    assert read(path, header=True).names == ("1", "2")
    assert read(path, header=False).shape == (2, 2)
    assert "the first row is data, as asked" in read(path, header=False).describe()
    iris = csv("5.1,setosa\n4.9,setosa\n")
    assert read(iris, header=False).shape == (2, 1)
    with pytest.raises(FileError, match="line 1: column 1: 'a' is not a number"):
        read(csv("a,b\n3,4\n5,6\n"), header=False)


def test_describe_is_what_is_printed(csv):
    table = read(csv("id,x,when\n7,1.5,monday\n9,NA,tuesday\n8,2.25,friday\n"), missing="drop")
    assert table.describe() == str(table) == repr(table)
    assert table.describe().splitlines() == [
        "Table: 2 rows, 1 column",
        "  x  float64  2 decimals  1.5 to 2.25",
        "rows.csv: CSV: 3 rows, 3 columns; the first row holds the names",
        "set aside: id (identifies rows: 3 different whole numbers under a key's name)",
        "set aside: when (text, first 'monday' in line 2)",
        "1 row with missing values dropped",
    ]
    assert np.asarray(table).shape == (2, 1)
