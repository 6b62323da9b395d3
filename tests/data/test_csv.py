"""CSV: right, or refused with file, line and column; a test per case of the bad-input table."""

import gzip
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from pofx.data import read
from pofx.data import text as text_module
from pofx.data.blocks import open_blocks
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
    "utf16_without_mark": ("a,b\n1,2\n".encode("utf-16-le"), "NUL byte.*UTF-16 without its mark"),
    "utf16_cut": ("a,b\n1,2\n".encode("utf-16")[:-1], "not UTF-16 text: truncated"),
    "header_twice": ("a,b\n1,2\na,b\n3,4\n5,6\n", "line 3: column 1.*header stands here once more"),
    "cut_in_the_first_field": ("a,b\n1,2\n3,4\n5", "line 4: 1 field.*cut off"),
    "spaces_ragged": ("a b\n1 2\n3 4\n5\n6 7\n", "line 4: 1 field.*missing value needs NA"),
    "write_table_of_r": ('"a" "b"\n"1" 1.5 2.5\n"2" 3.5 4.5\n', "line 2: 3 fields.*col.names=NA"),
    "one_column_decimal_comma": ("a\n1,5\n2,5\n", "line 2: 2 fields.*decimal comma"),
    "late_point_among_commas": ("a;b\n" + "1,5;2\n" * 200_000 + "1.5;2\n", "line 200002: .*'1.5' is not"),
    "html": ("<!DOCTYPE html><p>404</p>", "a web page"),
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


DIALECTS = {
    "semicolons": ("a;b\n1.5;2.5\n3.5;4.5\n", "separated by semicolons:"),
    "semicolons_decimal_comma": ("a;b\n1,5;2,5\n3,5;4,5\n", "semicolons, decimal comma:"),
    "quoted_decimal_comma": ('"a";"b"\n"1,5";"2,5"\n"3,5";4,5\n', "semicolons, decimal comma:"),
    "tabs": ("a\tb\n1.5\t2.5\n3.5\t4.5\n", "separated by tabs:"),
    "tabs_decimal_comma": ("a\tb\n1,5\t2,5\n3,5\t4,5\n", "tabs, decimal comma:"),
    "bars": ("a|b\n1.5|2.5\n3.5|4.5\n", "bars:"),
    "aligned": ("  a    b\n1.5  2.5\n3.5 \t4.5  \n", "spaces:"),
    "aligned_decimal_comma": ("a b\n1,5 2,5\n3,5 4,5\n", "spaces, decimal comma:"),
    "aligned_quoted": ('"a" "b"\n1.5 2.5\n"3.5" 4.5\n', "spaces:"),
    "comments": ("# by hand\n# in 2020\na,b\n1.5,2.5\n  # a break\n3.5,4.5\n", "3 comment lines skipped"),
    "names_in_a_comment": ("# of today\n# a b\n1.5 2.5\n3.5 4.5\n", "comment above the first row"),
    "utf16": ("a,b\n1.5,2.5\n3.5,4.5\n".encode("utf-16"), "CSV, UTF-16:"),
    "utf16_be": (b"\xfe\xff" + "a;b\r\n1.5;2.5\r\n3.5;4.5\r\n".encode("utf-16-be"), "semicolons, UTF-16:"),
    "utf32": ("a,b\n1.5,2.5\n3.5,4.5\n".encode("utf-32"), "CSV, UTF-32:"),
}


@pytest.mark.parametrize("case", DIALECTS)
def test_delimiters_decimal_marks_comments_and_encodings_are_told(case, csv):
    text, said = DIALECTS[case]
    table = read(csv(text, "rows.txt"))
    assert table.values.tolist() == CLEAN
    assert (table.names, table.decimals) == (("a", "b"), (1, 1))
    assert said in table.describe()


DOUBTFUL = {
    "truncated_mid_number": ("a,b\n1.5,2.5\n3.5,4.", r"the file ends in '4\.' without a line end"),
    "truncated_after_the_point": ("a,b\n1.25,2.25\n3.5,4.75\n5.5,6.2", "the file ends in '6.2'"),
    "truncated_whole_number": ("a,b\n1,200\n2,300\n3,150\n4,4", "the file ends in '4'"),
    "minus_999": ("a,b\n1,2\n-999,3\n5,4\n2,2\n", "a: -999 comes 1 time.*na=-999"),
    "appended_to_itself": ("a,b\n" + "1,2\n3,4\n5,6\n8,8\n9,1\n" * 2, "second half of the rows repeats"),
    "latin1": ("caf\u00e9,b\n1,2\n3,4\n".encode("latin-1"), "line 1: not UTF-8; read as Latin-1"),
    "comment_like_a_row": ("a,b\n1.5,2.5\n#3,4\n3.5,4.5\n", "line 3: it begins with #"),
    "thousands_or_decimals": ("a;b\n1,500;2\n3,500;4\n", "decimal comma, not for thousands"),
    "both_marks": ("a;b\n1,5;2.5\n3,5;4.5\n", "beside numbers with a decimal point"),
}


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_cannot_be_told_is_warned_of_and_noted(case, csv):
    text, message = DOUBTFUL[case]
    with pytest.warns(PofxWarning, match=message) as caught:
        table = read(csv(text))
    assert len(caught) == 1
    assert str(caught[0].message).rstrip(".").split(": ")[-1].split(", ")[-1] in table.describe()


def test_latin1_in_a_name_and_in_a_quoted_field(csv):
    with pytest.warns(PofxWarning, match="line 1"):
        assert read(csv("caf\u00e9,b\n1,2\n3,4\n".encode("latin-1"))).names == ("caf\u00e9", "b")
    with pytest.warns(PofxWarning, match="line 3"):
        table = read(csv('a,b\n1,"x\n#\u20ac"\n2,y\n'.encode("cp1252")))
    assert "\u20ac" in table.set_aside["b"]


def test_a_column_with_lines_in_its_quotes_across_blocks(csv, monkeypatch):
    monkeypatch.setattr(text_module, "_BLOCK", 8)
    table = read(csv('a,b\n1,"one\n\n# no comment"\n# comment\n2,"x,y"\n3,z\n'))
    assert table["a"].tolist() == [1, 2, 3]
    assert "1 comment line skipped" in table.describe()


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
    monkeypatch.setattr(text_module, "_GZIP_FREE", 2**16)
    honest = gzip.compress(b"a,b\n" + b"0,0\n" * 2_000_000)
    lying = honest + gzip.compress(b"0,0\n")  # its end tells the size of the second part only
    for bomb in (honest, lying):
        tracemalloc.start()
        with pytest.raises(FileError, match="more than 100 times its size"):
            read(csv(bomb, "bomb.csv.gz"))
        assert tracemalloc.get_traced_memory()[1] < 60e6
        tracemalloc.stop()


def test_a_huge_field_is_refused(csv, monkeypatch):
    with pytest.raises(FileError, match="line 2"):
        read(csv("a\n" + "1" * 200_000 + "\n"))
    monkeypatch.setattr(text_module, "_LONGEST_LINE", 1000)
    with pytest.raises(FileError, match="line 2: longer than 1000 characters"):
        read(csv("a\n" + "1" * 2000 + "\n"))


@pytest.mark.parametrize("field", ["x" * 20_000_000, '"' + "x" * 20_000_000 + '"', "7" * 20_000_000])
def test_a_field_of_20_mb_is_refused_with_its_line(field, csv):
    with pytest.raises(FileError, match="line 2: longer than 16777216 characters"):
        read(csv(f"a,b\n1,{field}\n2,3\n"))


def test_thousands_of_columns(csv):
    names = ",".join(f"c{j}" for j in range(3000))
    table = read(csv(f"{names}\n" + "1.5," * 2999 + "2\n" + "2.5," * 2999 + "3\n"))
    assert table.shape == (2, 3000)
    assert "... and 2940 more columns" in table.describe()


def test_chunks_make_no_difference(csv, monkeypatch):
    text = "a,b,c\n" + "".join(f"{i}.{i % 7},{i % 5},{'x' if i % 2 else 'y'}\n" for i in range(100))
    whole = read(csv(text))
    monkeypatch.setattr(text_module, "_BLOCK", 37)
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


@pytest.mark.parametrize("delimiter", [",", ";", " "])
def test_more_columns_than_are_read_are_refused_at_once(csv, delimiter):
    line = delimiter.join(["1.5"] * 1_000_000)
    path = csv(f"# as many columns as rows\n{line}\n{line}\n")
    start = time.perf_counter()
    with pytest.raises(FileError, match=r"rows\.csv, line 2: 1,000,000 columns; at most 100,000.*transpose"):
        read(path)
    assert time.perf_counter() - start < 10.0  # 1.5 s on an idle machine
    with pytest.raises(FileError, match="1,000,000 columns"):
        open_blocks(path)


def test_as_many_columns_as_are_read(csv, monkeypatch):
    monkeypatch.setattr("pofx.data.csv_file.MOST_COLUMNS", 3)
    assert read(csv("a,b,c\n1,2,3\n4,5,7\n")).shape == (2, 3)
    with pytest.raises(FileError, match="line 1: 4 columns; at most 3"):
        read(csv("a,b,c,d\n1,2,3,4\n", "wider.csv"))
