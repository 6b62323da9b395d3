"""One SHA-256 of a table: its definition, what it sees, what it does not, and how a fit keeps it."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import pofx
from pofx.core.fitting import Fit
from pofx.core.fold import Blocks
from pofx.data.fingerprint import fingerprint
from pofx.errors import DataError, ParameterError

NAMES = ["eruptions", "waiting"]


def table(seed=0, n=50):
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(n, 2)), columns=NAMES)


def test_the_bytes_are_those_written_down():
    x = table().to_numpy()
    bare = hashlib.sha256(b"pofx.table/1 2\n" + x.astype("<f8").tobytes())
    named = hashlib.sha256(b'pofx.table/1 ["eruptions", "waiting"]\n' + x.astype("<f8").tobytes())
    assert fingerprint(x) == bare.hexdigest()
    assert fingerprint(table()) == named.hexdigest()
    umlaut = hashlib.sha256(b'pofx.table/1 ["h\\u00f6he"]\n' + x[:, 0].astype("<f8").tobytes())
    assert fingerprint(pd.DataFrame({"höhe": x[:, 0]})) == umlaut.hexdigest()


def test_containers_and_dtypes_do_not_matter():
    frame = table().round(2)
    same = {fingerprint(f) for f in (frame, pl.from_pandas(frame), pofx.read(frame))}
    assert len(same) == 1
    whole = np.arange(12).reshape(6, 2)
    kinds = [whole, whole.astype(np.float32), whole.astype(np.int8), np.asfortranarray(whole), whole.tolist()]
    assert len({fingerprint(x) for x in kinds}) == 1
    assert fingerprint(np.array([[0.0]])) == fingerprint(np.array([[-0.0]]))


def test_whatever_changes_is_seen():
    x = table().to_numpy()
    other = x.copy()
    other[17, 1] = np.nextafter(other[17, 1], 9.0)
    changed = [other, x[::-1], x[:, ::-1], x[:-1], np.vstack([x, x[-1:]]), x.reshape(25, 4), x.ravel()]
    assert len({fingerprint(x), *map(fingerprint, changed)}) == 1 + len(changed)
    assert fingerprint(table()) != fingerprint(table().rename(columns={"waiting": "Waiting"}))


def test_missing_values_are_one_value():
    x = table().to_numpy().copy()
    x[3, 0] = np.nan
    odd = x.copy()
    odd[3, 0] = np.array([0xFFF8_0000_0000_1234], dtype=np.uint64).view(float)[0]
    assert fingerprint(x) == fingerprint(odd) != fingerprint(table().to_numpy())
    frame = table()
    frame.loc[3, "eruptions"] = None
    assert fingerprint(frame) == fingerprint(pofx.read(frame, missing="keep"))


@settings(max_examples=50, deadline=None)
@given(
    arrays(float, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.floats(-1e300, 1e300)),
    st.integers(1, 40),
)
def test_blocks_give_the_same(x, size):
    blocks = Blocks([x[at : at + size] for at in range(0, len(x), size)])
    assert fingerprint(blocks) == fingerprint(x)


def test_long_tables_are_cut_and_nothing_is_lost():
    x = np.random.default_rng(1).normal(size=(100_000, 3))
    assert fingerprint(x) == hashlib.sha256(b"pofx.table/1 3\n" + x.tobytes()).hexdigest()


def test_blocks_are_matched_by_name():
    frame = table()
    turned = Blocks([frame[:20], frame[20:][NAMES[::-1]]])
    assert fingerprint(turned) == fingerprint(frame)
    with pytest.raises(DataError, match="no column 'waiting'"):
        fingerprint(Blocks([frame, frame.rename(columns={"waiting": "w"})]))


def test_bad_input_is_refused():
    for bad, words in (
        ([[1.0, np.inf]], "infinity"),
        ([["a"]], "text|'a'"),
        (np.empty((0, 2)), "0 rows"),
        (Blocks([]), "0 rows"),
    ):
        with pytest.raises(DataError, match=words):
            fingerprint(bad)


@pytest.mark.parametrize(
    "model",
    [
        pofx.Gaussian(),
        pofx.GaussianMixture(2),
        pofx.KDE(),
        pofx.Histogram(),
        pofx.Transformed(pofx.Gaussian(), {"waiting": (-9.0, None)}),
    ],
    ids=lambda m: type(m).__name__,
)
def test_a_fit_keeps_it_and_a_file_too(model, tmp_path):
    frame = table()
    model.fit(frame)
    assert model.fit_.fingerprint == fingerprint(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a KDE's file holds its rows, and says so
        model.save(tmp_path / "m.pofx")
    assert pofx.load(tmp_path / "m.pofx").fit_ == model.fit_
    blocks = Blocks([frame[:30], frame[30:]])
    assert model.fit(blocks).fit_.fingerprint == fingerprint(frame)


def test_of_which_rows_a_fit_keeps_it():
    frame = table()
    weights = np.r_[np.zeros(5), np.ones(45)]
    for X in (frame, Blocks([frame[:3], frame[3:]])):
        assert pofx.Gaussian().fit(X, sample_weight=weights).fit_.fingerprint == fingerprint(frame)
    frame.loc[3, "waiting"] = np.nan
    for X in (frame, Blocks([frame[:3], frame[3:]])):
        dropped = pofx.Gaussian(missing="drop").fit(X)
        assert dropped.fit_.fingerprint == fingerprint(frame.dropna())
        kept = pofx.GaussianMixture(1, missing="marginal").fit(X)
        assert kept.fit_.fingerprint == fingerprint(frame)
    known = pofx.Gaussian.from_params([0.0], [[1.0]])
    assert known.fit_.fingerprint is None


def test_older_records_are_read_and_bad_ones_refused():
    plain = pofx.Gaussian().fit(table()).fit_.to_json() | {"trace": [], "notes": []}
    assert Fit.from_json(plain).fingerprint == fingerprint(table())
    older = {key: value for key, value in plain.items() if key != "fingerprint"}
    assert Fit.from_json(older).fingerprint is None
    for bad in (7, "abc", "G" * 64, ["a"] * 64):
        with pytest.raises(ParameterError, match="wrong type"):
            Fit.from_json(plain | {"fingerprint": bad})
