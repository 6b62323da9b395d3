"""``open_blocks``: the same rows and columns as ``read``, block by block, from files that do not change."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from pofx.core.fold import Blocks, survey
from pofx.data import read, streams
from pofx.data import text as text_module
from pofx.data.blocks import open_blocks
from pofx.errors import DataError, FileError, ParameterError, PofxWarning
from pofx.models.gaussian import Gaussian

N = 700
RNG = np.random.default_rng(1)
COLUMNS = {
    "rownames": np.arange(1, N + 1),
    "x": RNG.normal(size=N),
    "r": np.round(RNG.normal(size=N), 2),
    "k": RNG.integers(0, 50, N),
    "t": np.array(["a", "b"] * (N // 2)),
}
X = np.column_stack([COLUMNS["x"], COLUMNS["r"], COLUMNS["k"]])


def write_csv(path):
    rows = zip(*(values.tolist() for values in COLUMNS.values()), strict=True)
    path.write_text(",".join(COLUMNS) + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))


def write_json(path):
    import json

    rows = zip(*(values.tolist() for values in COLUMNS.values()), strict=True)
    path.write_text("".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows))


WRITE = {
    "a.parquet": lambda p: parquet.write_table(pa.table(COLUMNS), p, row_group_size=90),
    "a.feather": lambda p: feather.write_feather(pa.table(COLUMNS), str(p), chunksize=90),
    "a.csv": write_csv,
    "a.jsonl": write_json,
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    from pofx.data import columnar_file, json_lines

    monkeypatch.setattr(text_module, "_BLOCK", 4096)
    monkeypatch.setattr(columnar_file, "_ROWS", 64)
    monkeypatch.setattr(json_lines, "_BLOCK", 64)
    monkeypatch.setattr(streams, "_ROWS", 64)


@pytest.mark.parametrize("name", WRITE)
def test_the_same_as_read(name, tmp_path):
    path = tmp_path / name
    WRITE[name](path)
    blocks, table = open_blocks(path), read(path)
    assert isinstance(blocks, Blocks)
    for _ in range(2):  # again and again
        parts = list(blocks)
        assert len(parts) > 5
        np.testing.assert_array_equal(np.concatenate([part.values for part in parts]), X)
    assert blocks.columns == table.columns
    assert (blocks.n, blocks.dropped) == (N, 0)
    assert list(blocks.set_aside) == list(table.set_aside) == ["rownames", "t"]
    assert "counts rows" in blocks.set_aside["rownames"]
    assert "told from the first" in blocks.describe()
    data = survey(blocks)
    assert data.columns == table.columns
    whole, piecewise = Gaussian().fit(table), Gaussian().fit(blocks)
    np.testing.assert_allclose(piecewise.mean(), whole.mean(), rtol=1e-12)
    np.testing.assert_allclose(piecewise.covariance(), whole.covariance(), rtol=1e-12)
    assert type(piecewise.sample(2)) is type(whole.sample(2))


@pytest.mark.parametrize("name", WRITE)
def test_options(name, tmp_path):
    path = tmp_path / name
    WRITE[name](path)
    assert open_blocks(path, columns=["k", "x"]).columns.names == ("k", "x")
    assert open_blocks(path, drop="x").columns.names == ("r", "k")
    blocks = open_blocks(path, columns=["k"], na=[7], missing="drop")
    assert sum(len(part) for part in blocks) == (COLUMNS["k"] != 7).sum()
    assert blocks.dropped == (COLUMNS["k"] == 7).sum()
    assert Gaussian().fit(blocks).fit_.n_dropped == blocks.dropped
    with pytest.raises(DataError, match=f"{name}: k has missing values .*row"):
        list(open_blocks(path, na=[7]))
    with pytest.raises(ParameterError, match="no column 'z'"):
        open_blocks(path, columns=["z"])
    with pytest.raises(DataError, match="0 rows are left"):
        list(open_blocks(path, na=list(range(50)), missing="drop"))


@pytest.mark.parametrize("fortran", [False, True])
def test_npy(fortran, tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(X) if fortran else X)
    blocks = open_blocks(path)
    np.testing.assert_array_equal(np.concatenate([part.values for part in blocks]), X)
    assert blocks.columns == read(path).columns
    np.save(path, X.astype(">f4")[:, 0])
    assert np.concatenate([part.values for part in open_blocks(path)]).shape == (N, 1)
    np.save(path, np.ones((2, 2, 2)))
    with pytest.raises(FileError, match="blocks of rows need"):
        open_blocks(path)


def test_what_is_read_whole(tmp_path):
    np.savez(tmp_path / "a.npz", X=X)
    for source, n in ((tmp_path / "a.npz", N), ("world:moons,n=30", 30)):
        blocks = open_blocks(source)
        assert sum(len(part) for part in blocks) == n
        assert Gaussian().fit(blocks).fit_.n_rows == n


def test_several_files_matched_by_name(tmp_path):
    (tmp_path / "a1.csv").write_text("a,b\n1.5,2\n2.5,3\n")
    (tmp_path / "a2.csv").write_text("b,a\n4,3.25\n5,4.25\n")
    blocks = open_blocks(str(tmp_path / "a*.csv"))
    assert np.concatenate([part.values for part in blocks]).tolist() == [
        [1.5, 2],
        [2.5, 3],
        [3.25, 4],
        [4.25, 5],
    ]
    assert blocks.columns.decimals == (2, 0)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.npy"])
def test_a_file_that_changes_between_passes_is_refused(name, tmp_path):
    path = tmp_path / name
    WRITE.get(name, lambda p: np.save(p, X))(path)
    blocks = open_blocks(path)
    list(blocks)
    old = os.stat(path)
    data = bytearray(path.read_bytes())
    path.write_bytes(data + b"\n")
    with pytest.raises(FileError, match=f"{name} changed while it was read .*bytes and now has"):
        list(blocks)
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))  # same size, same time: the hash tells
    with pytest.raises(FileError, match="changed while it was read"):
        list(blocks)


def test_a_file_that_changes_during_a_pass_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path)
    rows = iter(open_blocks(path))
    next(rows)
    with path.open("a") as file:
        file.write("1,2,3,4,x\n")
    with pytest.raises(FileError, match="changed while it was read"):
        list(rows)


def test_trouble_further_down_is_named(tmp_path):
    path = tmp_path / "a.csv"
    good = "a,b\n" + "1.5,2\n2.5,4\n" * 2000
    for line, message in {
        "x,2\n": r"line 4002: column 1 \(a\): 'x' is not a number",
        "1\n": "line 4002: 1 field",
        "1e400,2\n": "line 4002: .*beyond float64",
    }.items():
        path.write_text(good + line + "1,2\n")
        with pytest.raises(FileError, match=message):
            list(open_blocks(path))
    parquet.write_table(pa.table({"x": np.r_[np.arange(500.0) / 8, np.inf]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"x holds infinity \(first: row 500, counted from 0\)"):
        list(open_blocks(tmp_path / "a.parquet"))


def test_doubts_are_warned_of_once(tmp_path):
    values = pa.table({"u": pa.array([2**53 + 1, 5, 6], pa.uint64()), "x": [1.5, 2.5, 3.5]})
    parquet.write_table(values, tmp_path / "a.parquet")
    blocks = open_blocks(tmp_path / "a.parquet")
    with pytest.warns(PofxWarning, match="u: 1 whole numbers beyond") as caught:
        [list(blocks) for _ in range(2)]
    assert len(caught) == 1


MEMORY = """
import resource, sys
import numpy, pyarrow.parquet
from pofx.models.gaussian import Gaussian
from pofx.data.blocks import open_blocks
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
model = Gaussian().fit(open_blocks(sys.argv[1]))
print(model.fit_.n_rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


def test_memory_stays_flat(tmp_path):
    path = tmp_path / "large.parquet"
    rows = pa.table({name: RNG.normal(size=500_000) for name in "abcdefgh"})
    with parquet.ParquetWriter(path, rows.schema, compression="zstd") as file:
        for _ in range(4):
            file.write_table(rows, row_group_size=500_000)  # 128 MB as float64
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    n, megabytes = map(int, done.stdout.split())
    assert n == 2_000_000
    assert megabytes < 120


def test_the_module_needs_no_arrow_for_text():
    code = "import sys, pofx.data.blocks; print('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
