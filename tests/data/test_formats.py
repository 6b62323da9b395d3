"""Parquet, Arrow, JSON lines and NPZ: the content decides, damage is refused, bombs are not unpacked."""

import io
import sqlite3
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from pofx.data import read
from pofx.data.columnar_file import unpacked_size
from pofx.errors import DataError, FileError, MemoryLimitError, ParameterError, PofxWarning
from pofx.models.gaussian import Gaussian
from pofx.validation import memory

RNG = np.random.default_rng(0)
TABLE = pa.table(
    {
        "id": pa.array(range(1, 41)),
        "x": np.round(RNG.normal(size=40), 2),
        "y": RNG.normal(size=40),
        "n": pa.array(RNG.integers(0, 9, 40), pa.int16()),
        "f": pa.array(RNG.normal(size=40), pa.float32()),
        "b": RNG.normal(size=40) > 0,
        "t": [f"row {i}" for i in range(40)],
        "when": pa.array(range(40), pa.timestamp("s")),
        "price": pa.array([None] * 40, pa.decimal128(9, 2)),
        "pair": [{"a": 1.0, "b": 2}] * 40,
        "list": [[1.0, 2.0]] * 40,
        "cat": pa.array(["u", "v"] * 20).dictionary_encode(),
        "none": pa.nulls(40),
    }
)
NUMBERS = ("x", "y", "n", "f", "b")


def write_parquet(table, path, **options):
    parquet.write_table(table, path, write_page_checksum=True, **options)


def write_arrow(table, path, **options):
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as file:
        file.write_table(table, max_chunksize=15)


def write_stream(table, path):
    with pa.ipc.new_stream(path, table.schema) as file:
        file.write_table(table, max_chunksize=15)


WRITERS = {
    "parquet": ("rows.parquet", write_parquet),
    "parquet_groups": ("rows.pq", lambda t, p: write_parquet(t, p, row_group_size=7)),
    "feather": ("rows.feather", lambda t, p: feather.write_feather(t, str(p))),
    "arrow": ("rows.arrow", write_arrow),
    "arrow_zstd": ("rows.ipc", lambda t, p: write_arrow(t, p, compression="zstd")),
    "arrow_stream": ("rows.arrows", write_stream),
}


@pytest.mark.parametrize("case", WRITERS)
def test_columns_of_numbers_are_read_and_the_others_set_aside_by_name(case, tmp_path):
    name, write = WRITERS[case]
    write(TABLE, tmp_path / name)
    table = read(tmp_path / name)
    assert table.names == NUMBERS
    assert table.dtypes == ("float64", "float64", "int16", "float32", "bool")
    assert table.decimals == (2, None, 0, None, 0)
    for column in NUMBERS:
        np.testing.assert_array_equal(table[column], TABLE[column].to_numpy())
    why = table.set_aside
    assert list(why) == ["id", "t", "when", "price", "pair", "list", "cat", "none"]
    assert "counts rows" in why["id"]
    assert "text" in why["t"]
    assert "dates or times" in why["when"]
    assert "decimal128(9, 2)" in why["price"]
    assert "nested" in why["pair"]
    assert "nested" in why["list"]
    assert "categorical" in why["cat"]
    assert "no value" in why["none"]
    assert "40 rows, 13 columns" in table.describe()
    with pytest.raises(DataError, match="'price' cannot be a column of numbers"):
        read(tmp_path / name, columns=["price", "x"])


@pytest.mark.parametrize("case", ["parquet", "arrow"])
def test_nulls_are_missing_and_large_whole_numbers_warned_of(case, tmp_path):
    name, write = WRITERS[case]
    gaps = pa.table(
        {"a": [1.5, None, 2.5], "b": pa.array([1, 2, None], pa.int64()), "c": [True, None, False]}
    )
    write(gaps, tmp_path / name)
    table = read(tmp_path / name, missing="keep")
    assert table.missing == (1, 1, 1)
    assert len(read(tmp_path / name, missing="drop")) == 1
    large = pa.table({"u": pa.array([2**63 + 1, 2**53 + 1, 2**53], pa.uint64()), "x": [1.0, 2.0, 3.5]})
    write(large, tmp_path / name)
    with pytest.warns(PofxWarning, match=r"u: 2 whole numbers beyond 2\*\*53") as caught:
        table = read(tmp_path / name)
    assert len(caught) == 1
    assert "beyond 2**53" in table.describe()


def test_the_content_decides_and_a_wrong_suffix_is_said(tmp_path):
    write_parquet(TABLE, tmp_path / "rows.csv")
    with pytest.warns(PofxWarning, match=r"rows.csv is not what its name says.*parquet"):
        table = read(tmp_path / "rows.csv")
    assert table.names == NUMBERS
    assert "not what its name says" in table.describe()
    np.savez(tmp_path / "a.npz", X=np.ones((3, 2)))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.warns(PofxWarning, match="not what its name says"):
        assert read(tmp_path / "a.npy").shape == (3, 2)
    for name in ("a.parquet", "a.feather", "a.npz", "a.xlsx", "a.sav"):
        (tmp_path / name).write_text("a,b\n1,2\n")
        with pytest.raises(FileError, match=r"is not the .* file its name says.*rename it to .csv"):
            read(tmp_path / name)
    (tmp_path / "no_suffix").write_text("a,b\n1,2\n")
    assert read(tmp_path / "no_suffix").names == ("a", "b")


def test_every_cut_of_a_parquet_and_an_arrow_file_is_refused(tmp_path):
    small = pa.table({"x": [1.5, 2.5, 3.5]})
    for write in (write_parquet, write_arrow):
        path = tmp_path / "x"
        write(small, path)
        data = path.read_bytes()
        for end in range(1, len(data), 7):
            path.write_bytes(data[:end])
            with pytest.raises((FileError, DataError)):
                read(path)


def test_flips_in_the_pages_of_a_parquet_file_are_found_by_its_checksums(tmp_path):
    path = tmp_path / "x.parquet"
    write_parquet(pa.table({"x": RNG.normal(size=2000)}), path, compression="none", use_dictionary=False)
    data = path.read_bytes()
    for at in range(2000, 12_000, 500):
        flipped = bytearray(data)
        flipped[at] ^= 4
        path.write_bytes(bytes(flipped))
        with pytest.raises(FileError, match="damaged"):
            read(path)


def test_flips_in_a_footer_raise_nothing_but_our_errors(tmp_path):
    path = tmp_path / "x.parquet"
    write_parquet(pa.table({"x": RNG.normal(size=50), "t": ["a"] * 50}), path)
    data = path.read_bytes()
    for at in range(len(data) - 8, len(data) - 900, -23):
        flipped = bytearray(data)
        flipped[at] ^= 0x11
        path.write_bytes(bytes(flipped))
        try:
            read(path)
        except (FileError, DataError, MemoryLimitError):
            continue


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 200_000_000)


def test_a_parquet_bomb_is_refused_by_its_footer(tmp_path, little_memory):
    path = tmp_path / "bomb.parquet"
    zeros = pa.table({"x": np.zeros(1_000_000)})
    with parquet.ParquetWriter(path, zeros.schema, compression="zstd") as file:
        for _ in range(10):
            file.write_table(zeros)
    assert path.stat().st_size < 100_000
    with pytest.raises(MemoryLimitError, match=r"10,000,000 rows.*200 MB are available"):
        read(path)


def test_an_arrow_bomb_is_refused_before_it_is_unpacked(tmp_path, little_memory):
    path = tmp_path / "bomb.arrow"
    zeros = pa.table({"x": np.zeros(10_000_000), "y": np.zeros(10_000_000)})
    with pa.ipc.new_file(path, zeros.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
        file.write_table(zeros)
    assert path.stat().st_size < 200_000
    with pytest.raises(MemoryLimitError, match="Unpacking"):
        read(path)


def test_the_unpacked_size_of_a_batch():
    batch = pa.record_batch({"x": np.zeros(1000), "y": np.arange(1000)})
    for compression, more in ((None, 0), ("lz4", 16_000)):
        sink = io.BytesIO()
        with pa.ipc.new_stream(
            sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
        ) as file:
            file.write_batch(batch)
        messages = [m for m in pa.ipc.MessageReader.open_stream(sink.getvalue()) if m.type == "record batch"]
        assert unpacked_size(messages[0].metadata.to_pybytes(), messages[0].body) == 16_000 + more


def test_two_columns_of_one_name_are_refused(tmp_path):
    write_parquet(
        pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"]), tmp_path / "a.parquet"
    )
    with pytest.raises(FileError, match="more than one column is called 'a'"):
        read(tmp_path / "a.parquet")
    write_parquet(pa.table({"a": pa.array([], pa.float64())}), tmp_path / "e.parquet")
    with pytest.raises(FileError, match="no rows"):
        read(tmp_path / "e.parquet")


JSON = '{"id": 1, "x": 1.25, "b": true, "t": "u"}\n\n{"x": 2.5, "id": 2, "b": false, "t": "v"}\n'


def test_json_lines(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(JSON)
    table = read(path)
    assert table.names == ("x", "b")
    assert table.dtypes == ("float64", "bool")
    assert table.set_aside["t"] == "text, first in line 1: 'u'"
    path.write_text('{"x": 1.5}\n{"x": null, "y": 2}\n{"y": 3, "x": "-"}\n{"x": 4, "y": 5}\n')
    table = read(path, missing="keep", na="-")
    assert table.missing == (2, 1)
    assert np.isnan(table.values[0, 1])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"x": NaN}', "line 2: .*NaN is no JSON"),
        ('{"x": -Infinity}', "line 2: .*no JSON"),
        ('{"x": 1e400}', "line 2: x is beyond float64"),
        ('{"x": 1, "x": 2}', "line 2: .*the name 'x' comes twice"),
        ('{"x": 1', "line 2: no JSON object"),
        ("[1]", "line 2: a JSON list"),
        ('{"x": "7"}', "line 2: x: '7' is text, but others are numbers"),
        ("[" * 100_000, "line 2: no JSON object"),
        ('{"x": ' + "1" * 5000 + "}", "line 2"),
    ],
)
def test_bad_json_lines(line, message, tmp_path):
    (tmp_path / "x.jsonl").write_text(f'{{"x": 1.5}}\n{line}\n{{"x": 2.5}}\n')
    with pytest.raises(FileError, match=message):
        read(tmp_path / "x.jsonl")


def test_npz_one_array_columns_or_a_choice(tmp_path):
    path, X = tmp_path / "a.npz", RNG.normal(size=(20, 3))
    np.savez(path, X=X)
    np.testing.assert_array_equal(read(path).values, X)
    np.savez_compressed(path, a=X[:, 0], n=np.arange(20) % 7)
    table = read(path)
    assert (table.names, table.dtypes) == (("a", "n"), ("float64", "int64"))
    np.savez(path, X=X, y=X[:, 0])
    with pytest.raises(ParameterError, match=r"holds 2 arrays: X \(20, 3\) float64; y .*'a.npz:X'"):
        read(path)
    np.testing.assert_array_equal(read(f"{path}:X").values, X)
    with pytest.raises(ParameterError, match=r"no array 'x'; it holds X, y. Did you mean 'X'"):
        read(f"{path}:x")


def test_npz_lies(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(FileError, match="Python objects"):
        read(path)
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    body = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000)}".ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", header + body + b"\0" * 80)
    with pytest.raises(FileError, match="truncated"):
        read(path)
    np.savez(path, a=RNG.normal(size=200))
    data = path.read_bytes()
    for at in (500, 1000, 1500):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(FileError, match="damaged"):
            read(path)
    for end in range(4, len(data), 97):
        path.write_bytes(data[:end])
        with pytest.raises(FileError, match="damaged"):
            read(path)
    np.savez_compressed(path, a=np.zeros(10_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(FileError, match=r"80,000,128 bytes, more than 100 times"):
        read(path)


def test_other_formats_get_the_one_line_that_converts_them(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
    sqlite3.connect(tmp_path / "a.db").execute("create table t (x)").connection.close()
    for name, data in {
        "a.fits": b"SIMPLE  =                    T",
        "a.rds": b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        "b.rds": b"X\n\0\0\0\x03",
        "a.rda": b"RDX3\nX\n",
        "a.sav": b"$FL2@(#) SPSS",
        "a.dta": b"<stata_dta><header>",
        "a.mat": b"MATLAB 5.0 MAT-file",
        "a.pkl": b"\x80\x04\x95",
        "a.html": b"  <html>",
        "a.json": b'[\n {"a": 1}]',
        "a.zst": b"(\xb5/\xfd",
    }.items():
        (tmp_path / name).write_bytes(data)
    import gzip

    (tmp_path / "a.rds").write_bytes(gzip.compress(b"X\n\0\0\0\x03"))
    for name, message in {
        "a.xlsx": r"an Excel workbook.*pandas.read_excel\('.*a.xlsx'\).to_csv\('data.csv', index=False\)",
        "a.zip": "zip archive of 1 files.*unzip",
        "a.db": "SQLite database.*sqlite3 -header -csv .*a.db",
        "a.fits": "FITS.*astropy",
        "a.rds": "an R object.*readRDS",
        "b.rds": "an R object.*readRDS",
        "a.rda": "an R workspace.*Rscript",
        "a.sav": "SPSS.*read_spss",
        "a.dta": "Stata.*read_stata",
        "a.mat": "MATLAB.*loadmat",
        "a.pkl": "a pickle, which could run code",
        "a.html": "web page",
        "a.json": "JSON document.*lines=True",
        "a.zst": "zstd.*unzstd",
    }.items():
        with pytest.raises(FileError, match=message):
            read(tmp_path / name)


def test_a_saved_model_is_told_from_rows(tmp_path):
    Gaussian.from_params([0.0], [[1.0]]).save(tmp_path / "model.pofx")
    with pytest.raises(FileError, match="is a saved model, not rows"):
        read(tmp_path / "model.pofx")
