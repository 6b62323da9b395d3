"""Standard input, patterns, lists of files, worlds; and what is no place to read rows from."""

import gzip
import io
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from pofx.data import read, worlds
from pofx.data.places import Place
from pofx.errors import FileError, ParameterError


def stdin(monkeypatch, data, tty=False):
    fake = SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: tty)
    monkeypatch.setattr(sys, "stdin", fake)


def test_standard_input_of_any_format(monkeypatch, tmp_path):
    text = b"a,b\n1.5,2.5\n3.5,4.5\n"
    np.save(tmp_path / "x.npy", np.array([[1.5, 2.5], [3.5, 4.5]]))
    for data in (text, gzip.compress(text), (tmp_path / "x.npy").read_bytes()):
        stdin(monkeypatch, data)
        table = read("-")
        assert table.values.tolist() == [[1.5, 2.5], [3.5, 4.5]]
        assert table.describe().count("standard input") == 1
    stdin(monkeypatch, b"a,b\n1,2\n3\n")
    with pytest.raises(FileError, match=r"^standard input, line 3"):
        read("-")
    stdin(monkeypatch, b"")
    with pytest.raises(FileError, match="standard input is empty"):
        read("-")
    stdin(monkeypatch, b"", tty=True)
    with pytest.raises(FileError, match="a terminal"):
        read("-")


def test_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("a,b\n1,2\n3,5\n"))
    writer.start()
    assert read(pipe).values.tolist() == [[1, 2], [3, 5]]
    writer.join()


def test_a_pattern_and_a_list_are_one_table_matched_by_name(tmp_path):
    (tmp_path / "r1.csv").write_text("id,a,b\n1,1.5,2\n2,2.5,3\n")
    (tmp_path / "r2.csv").write_text("b;id;a\n4;1;3,25\n5;2;4,25\n")
    (tmp_path / "r3.jsonl").write_text('{"a": 5.5, "b": 6, "id": 1}\n{"a": 6.5, "b": 9, "id": 2}\n')
    for source in (str(tmp_path / "r*"), [tmp_path / f"r{i}" for i in ("1.csv", "2.csv", "3.jsonl")]):
        table = read(source)
        assert table["a"].tolist() == [1.5, 2.5, 3.25, 4.25, 5.5, 6.5]
        assert table["b"].tolist() == [2, 3, 4, 5, 6, 9]
        assert (table.dtypes, table.decimals) == (("float64", "int64"), (2, 0))
        assert table.set_aside["id"].startswith("in each file it counts rows")
        assert "3 files: 6 rows, 3 columns" in table.describe()
        assert "r2.csv: text separated by semicolons" in table.describe()
    (tmp_path / "r4.csv").write_text("id,A,b\n1,1,2\n")
    with pytest.raises(FileError, match=r"r4.csv has no column 'a', which .*r1.csv has. Did you mean 'A'"):
        read(str(tmp_path / "r*"))
    (tmp_path / "r4.csv").write_text("id,a,b,c\n1,1,2,3\n")
    with pytest.raises(FileError, match=r"r4\.csv has the column 'c'"):
        read(str(tmp_path / "r*"))
    (tmp_path / "r4.csv").write_text("1,2,3\n")
    with pytest.raises(FileError, match=r"with names, .*r4.csv 3 columns without names"):
        read(str(tmp_path / "r*"))
    with pytest.raises(FileError, match="No file matches the pattern"):
        read(str(tmp_path / "s*.csv"))
    with pytest.raises(FileError, match=r"is a directory.*read by a pattern"):
        read(tmp_path)


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(tmp_path):
    (tmp_path / "x[1].csv").write_text("a\n1.5\n")
    assert read(tmp_path / "x[1].csv").shape == (1, 1)


def test_worlds_are_read_like_files():
    table = read("world:moons")
    assert table.shape == (1000, 2)
    np.testing.assert_array_equal(table.values, worlds.moons().sample(1000, random_state=0))
    assert "world:moons: 1,000 draws from a known distribution, seed 0" in table.describe()
    for source in ("world:moons,n=50,seed=3,noise=0.2", "world:moons?n=50&seed=3&noise=0.2"):
        expected = worlds.moons(noise=0.2).sample(50, random_state=3)
        np.testing.assert_array_equal(read(source).values, expected)
    assert read("world:8gaussians,n=5").shape == (5, 2)
    assert read("world:gaussian,n=5,d=3").shape == (5, 3)
    for source, message in {
        "world:mons": "Did you mean 'moons'",
        "world:moons,m=5": "m",
        "world:moons,n": "is no option",
        "world:moons,n=x": "is no option",
        "world:moons,n=-5": "n",
        "world:moons,n=2.5": "n",
    }.items():
        with pytest.raises(ParameterError, match=message):
            read(source)


def test_urls_and_databases_get_the_line_that_makes_a_file():
    for source, message in {
        "https://example.org/a.csv": "is a URL.*curl -L 'https://example.org/a.csv' > data.csv",
        "s3://bucket/a.parquet": "aws s3 cp",
        "file:///a.csv": "give the path alone: /a.csv",
        "postgresql://me@host/db": "is a database.*read_sql",
        "sqlite:///a.db": "is a database",
    }.items():
        with pytest.raises(FileError, match=message):
            read(source)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n2\n")
    from pofx.data import openers

    def slow(place, **options):
        found = openers.__dict__["_read_csv"](place, **options)
        with path.open("a") as file:
            file.write("3\n")
        return found

    monkeypatch.setattr(openers, "_read_csv", openers.read_csv, raising=False)
    monkeypatch.setattr(openers, "read_csv", slow)
    with pytest.raises(FileError, match=r"a.csv changed while it was read \(it had 6 bytes and now has 8\)"):
        read(path)


def test_a_replaced_file_is_noticed(tmp_path):
    (tmp_path / "a").write_text("a\n1\n")
    (tmp_path / "b").write_text("a\n2\n")
    place = Place.of(tmp_path / "a")
    before = place.fingerprint()
    place.check_unchanged(before)
    os.replace(tmp_path / "b", tmp_path / "a")
    with pytest.raises(FileError, match="written to or replaced"):
        place.check_unchanged(before)
    (tmp_path / "a").unlink()
    with pytest.raises(FileError, match="cannot be read any more"):
        place.check_unchanged(before)


BOMB = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
from pofx.data import read
from pofx.errors import FileError, MemoryLimitError
try:
    read(sys.argv[1])
except (FileError, MemoryLimitError) as error:
    print(type(error).__name__, error)
"""


def test_a_gzip_bomb_of_a_thousand_times_under_a_memory_limit(tmp_path):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(b"a,b\n")
        for _ in range(100):
            file.write(b"0,0\n" * 500_000)  # 200 MB in all
    assert path.stat().st_size < 300_000
    done = subprocess.run([sys.executable, "-c", BOMB, str(path)], capture_output=True, text=True, check=True)
    assert "more than 100 times its size" in done.stdout or "of memory" in done.stdout
