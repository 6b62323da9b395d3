"""CSV: right, or refused with file, line and column; a test per case of the bad-input table."""

import gzip
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from pofx.data import csv_file, read
from pofx.errors import DataError, FileError, PofxWarning

CLEAN = [[1.5, 2.5], [3.5, 4.5]]


@pytest.fixture
def csv(tmp_path):
    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


SAME = {
    "clean": "a,b\n1.5,2.5\n3.5,4.5\n",
    "utf8_bom": "\ufeffa,b\n1.5,2.5\n3.5,4.5\n",
    "crlf": "a,b\r\n1.5,2.5\r\n3.5,4.5\r\n",
    "cr_only": "a,b\r1.5,2.5\r3.5,4.5\r",
    "no_final_newline": "a,b\n1.5,2.5\n3.5,4.5",
    "blank_lines": "\na,b\n\n1.5,2.5\n   \n3.5,4.5\n\n",
    "spaces_around": " a , b \n 1.5 ,\t2.5 \n 3.5,4.5 \n",
    "quotes": '"a","b"\n"1.5",2.5\n3.5, "4.5"\n',
    "exponents": "a,b\n15e-1,2.5E0\n+3.5,.45e+1\n",
    "bare_points": "a,b\n1.50,2.5\n3.5,4.5\n",
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_numbers_from_every_form(case, csv):
    table = read(csv(SAME[case]))
    assert table.values.tolist() == CLEAN
    assert table.names == ("a", "b")
    assert table.dtypes == ("float64", "float64")
    assert table.decimals == (1, 1)
    assert table.set_aside == {}


@pytest.mark.parametrize(
    ("case", "note"),
    [("blank_lines", "4 blank lines"), ("no_final_newline", "cut off"), ("clean", "2 rows, 2 columns")],
)
def test_what_was_noticed_is_noted(case, note, csv):
    assert note in repr(read(csv(SAME[case])))


REFUSED = {
    "short_row": ("a,b\n1,2\n3\n", "line 3: 1 field; expected 2, as in line 1"),
    "long_row": ("a,b\n1,2\n3,4,5\n", "line 3: 3 fields; expected 2"),
    "all_rows_extra_col": ("a,b\n1,2,3\n4,5,6\n", "line 2: 3 fields; expected 2.*name missing"),
    "trailing_comma_rows": ("a,b\n1,2,\n3,4,\n", "line 2: 3 fields.*ends in a comma"),
    "short_row_late": ("a,b\n" + "1,2\n" * 40_000 + "3\n", "line 40002: 1 field;"),
    "short_row_after_blanks_and_quotes": ('a,b\n\n"1\n",2\n3\n', "line 5: 1 field;"),
    "duplicate_header": ("a,b,a\n1,2,3\n", "line 1: columns 1 and 3 are both called 'a'"),
    "empty_file": ("", "is empty"),
    "only_blank_lines": ("\n\n", "is empty"),
    "header_only": ("a,b\n", "header but no rows"),
    "unbalanced_quote": ('a,b\n"1,2\n3,4\n', "line 2: .*quotes balanced"),
    "junk_after_quote": ('a,b\n1,"2"x\n', "line 2: "),
    "nul_byte": (b"a,b\n1,2\n3,\x004\n", "line 3: a NUL byte"),
    "latin1_text": ("a,b\n1,2\n3,caf\u00e9\n".encode("latin-1"), "line 3: not UTF-8"),
    "utf16": ("a,b\n1,2\n".encode("utf-16"), "UTF-16 text"),
    "semicolon_decimal_comma": ("a;b\n1,5;2,5\n", "line 2: 3 fields.*semicolons"),
    "text_late": ("a,b\n" + "1,2\n" * 20_000 + "x,2\n", r"line 20002: column 1 \(a\): 'x' is not a number"),
    "dash_missing": ("a,b\n1,2\n-,3\n4,5\n", r"line 3: column 1 \(a\): '-' is not a number"),
    "minority_thousands": ('a\n1\n2\n"1,000"\n', "line 4: .*'1,000' is not a number"),
    "inf_tokens": ("a,b\n1,2\n3,-inf\n", r"line 3: column 2 \(b\): -inf is no measurement"),
    "overflow_1e400": ("a,b\n1,2\n1e400,3\n", r"line 3: column 1 \(a\): 1e400 is beyond float64"),
    "mostly_hex": ("a\n1\n2\n0x10\n", "'0x10' is not a number"),
    "underscored": ("a\n1\n2\n1_000\n", "'1_000' is not a number"),
    "fullwidth_digits": ("a\n1\n2\n\uff11\n", "is not a number"),
    "percent": ("a\n1\n2\n3%\n", "'3%' is not a number"),
    "two_numbers_in_a_cell": ("a\n1\n2\n3 4\n", "'3 4' is not a number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_file_and_line(case, csv):
    text, message = REFUSED[case]
    with pytest.raises(FileError, match=message) as caught:
        read(csv(text))
    assert "rows.csv" in str(caught.value)


SET_ASIDE = {
    "text": ("x", "text, first 'x' in line 2"),
    "quoted_newline": ('"x\ny"', "text, first"),
    "bool_words": ("true", "text, first 'true'"),
    "dates": ("2020-01-01", "text"),
    "percent": ("50%", "text"),
    "hex": ("0x10", "text"),
    "thousands": ('"1,000"', "text, first '1,000'"),
    "nothing": ("", "no value in any row"),
}


@pytest.mark.parametrize("case", SET_ASIDE)
def test_columns_without_numbers_are_set_aside_with_a_word(case, csv):
    cell, why = SET_ASIDE[case]
    path = csv(f"a,b\n1.5,{cell}\n2.5,{cell}\n")
    table = read(path)
    assert table.names == ("a",)
    assert table.set_aside["b"].startswith(why)
    assert f"set aside: b ({why}" in repr(table)
    with pytest.raises(DataError, match="b"):
        read(path, columns=["b"])


def test_a_file_without_numbers_says_why(csv):
    with pytest.raises(DataError, match=r"no column of numbers.*a: text, first 'x'"):
        read(csv("a,b\nx,y\nz,w\n"))


def test_a_bad_column_that_is_left_out_does_no_harm(csv):
    path = csv("a,b,c\n1,2,3\n-,3,4\n4,inf,5\n5,6,6\n")
    for options, line in (({}, 3), ({"columns": ["a"]}, 3), ({"drop": "a"}, 4)):
        with pytest.raises(FileError, match=f"line {line}"):
            read(path, **options)
    assert read(path, drop=["a", "b"]).names == ("c",)
    assert read(path, columns="c").names == ("c",)


def test_missing_tokens(csv):
    path = csv("a,b\n1,2\n,3\nNA,4\nNaN,5\n nan ,6\nN/A,7\nnull,8.5\n")
    with pytest.raises(DataError, match=r"a 6 of 7 \(first: row 1\).*missing=\"drop\""):
        read(path)
    table = read(path, missing="drop")
    assert (len(table), table.dropped, table.missing) == (1, 6, (0, 0))
    kept = read(path, missing="keep")
    assert (len(kept), kept.missing, kept.dtypes) == (7, (6, 0), ("int64", "float64"))
    assert np.isnan(kept["a"]).sum() == 6


@pytest.mark.parametrize(
    ("text", "names", "rows", "note"),
    [
        ("1,2\n3,4\n", None, 2, "holds plain numbers, so it is data"),
        ("NA,2\n3,4\n", None, 2, "plain numbers"),
        ("a,b\n3,4\n", ("a", "b"), 1, "holds the names"),
        (",0,1\n0,1.5,2\n1,2.5,3\n", ("0", "1"), 2, "holds the names"),
    ],
    ids=["numbers", "with_missing", "names", "pandas_index"],
)
def test_is_the_first_row_data(text, names, rows, note, csv):
    table = read(csv(text), missing="keep")
    assert len(table) == rows
    assert note in repr(table)
    assert table.names == names


@pytest.mark.parametrize(
    ("text", "names", "rows", "note"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", None, 2, "taken for data"),
        ("n,2019,2020\n5,1,2\n6,3,4\n", ("n", "2019", "2020"), 2, "taken for names"),
        (
            "site,2019,2020\nx,1,2\ny,3,4\n",
            None,
            3,
            "taken for data",
        ),  # wrong, and nothing tells: hence the warning
    ],
    ids=["iris", "years", "years_beside_words"],
)
def test_a_first_row_of_numbers_and_words_is_judged_with_a_warning(text, names, rows, note, csv):
    with pytest.warns(PofxWarning, match=f"line 1: .*numbers and words.*{note}"):
        table = read(csv(text))
    assert len(table) == rows
    assert table.names == names
    assert note in repr(table)


def test_whole_numbers_and_decimals_are_read_from_the_text(csv):
    table = read(csv("a,b,c,d,e\n1,1.0,1.250,1e-3,0.12345678901\n2,2.00,10,2,1\n"))
    assert table.dtypes == ("int64", "float64", "float64", "float64", "float64")
    assert table.decimals == (0, 0, 2, 3, None)


def test_roundtrip_of_17_digits(csv):
    X = np.random.default_rng(0).normal(size=(200, 2))
    table = read(csv("a,b\n" + "".join(f"{x!r},{y!r}\n" for x, y in X.tolist())))
    np.testing.assert_array_equal(table.values, X)
    assert table.decimals == (None, None)


def test_whole_numbers_beyond_float64_are_warned_of(csv):
    path = csv(f"a,b\n{2**53 + 1},1\n5,2\n")
    with pytest.warns(PofxWarning, match=r"column 1 \(a\): whole numbers beyond 2\*\*53"):
        table = read(path)
    assert "beyond 2**53" in repr(table)
    assert read(path, drop="a").names == ("b",)


def test_gzip_is_read_and_a_bomb_is_not(csv, monkeypatch):
    packed = csv(gzip.compress(SAME["clean"].encode()), "rows.csv.gz")
    assert read(packed).values.tolist() == CLEAN
    damaged = bytearray(packed.read_bytes())
    for data in (damaged[:-6], damaged[:20] + b"\0" + damaged[21:]):
        with pytest.raises(FileError, match=r"damaged|not a number|fields|empty"):
            read(csv(bytes(data), "bad.csv.gz"))
    monkeypatch.setattr(csv_file, "_GZIP_FREE", 2**16)
    bomb = csv(gzip.compress(b"a,b\n" + b"0,0\n" * 2_000_000), "bomb.csv.gz")
    tracemalloc.start()
    with pytest.raises(FileError, match="more than 100 times its size"):
        read(bomb)
    assert tracemalloc.get_traced_memory()[1] < 60e6
    tracemalloc.stop()


def test_a_huge_field_is_refused(csv, monkeypatch):
    with pytest.raises(FileError, match="line 2"):
        read(csv("a\n" + "1" * 200_000 + "\n"))
    monkeypatch.setattr(csv_file, "_LONGEST_LINE", 1000)
    with pytest.raises(FileError, match="line 2: longer than 1000 characters"):
        read(csv("a\n" + "1" * 2000 + "\n"))


def test_chunks_make_no_difference(csv, monkeypatch):
    text = "a,b,c\n" + "".join(f"{i}.{i % 7},{i % 5},{'x' if i % 2 else 'y'}\n" for i in range(100))
    whole = read(csv(text))
    monkeypatch.setattr(csv_file, "_CHUNK", 7)
    parts = read(csv(text))
    np.testing.assert_array_equal(parts.values, whole.values)
    assert (parts.columns, parts.set_aside, parts.notes) == (whole.columns, whole.set_aside, whole.notes)


def test_a_hundred_thousand_rows_take_about_a_second(tmp_path):
    path = tmp_path / "large.csv"
    X = np.random.default_rng(0).normal(size=(100_000, 5)).round(4)
    pd.DataFrame(X, columns=list("abcde")).to_csv(path, index=False)
    start = time.perf_counter()
    table = read(path)
    assert time.perf_counter() - start < 4.0  # 0.7 s on an idle machine
    np.testing.assert_array_equal(table.values, X)
    assert table.decimals == (4,) * 5
