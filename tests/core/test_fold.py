"""Blocks of rows: whole and blocked give one answer, memory is bounded, streams are checked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pofx.core.fold import Blocks, block_rows, row_hashes, survey
from pofx.core.units import Units
from pofx.errors import DataError
from pofx.models.gaussian import Gaussian
from pofx.threads import map_ordered, one_blas_thread


def rows(n, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) * [1.0, 50.0][:d] + 7.0


def cut(x, sizes):
    return np.split(x, np.cumsum(sizes)[np.cumsum(sizes) < len(x)])


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=8))
def test_any_cut_into_blocks_gives_the_same_bits(sizes):
    x = rows(80_000)
    w = np.random.default_rng(1).integers(0, 3, len(x))
    whole = Gaussian().fit(x, sample_weight=w)
    blocked = Gaussian().fit(Blocks(cut(x, sizes)), sample_weight=w)
    assert blocked.covariance_.tobytes() == whole.covariance_.tobytes()
    assert blocked.fit_.n_rows == whole.fit_.n_rows


def test_the_number_of_threads_does_not_change_a_bit(monkeypatch):
    x = rows(200_000)
    seen = set()
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("POFX_NUM_THREADS", threads)
        g = Gaussian().fit(x)
        seen.add((g.covariance_.tobytes(), g.log_density(x[:100_000]).tobytes()))
    assert len(seen) == 1


def test_blocks_match_columns_by_name():
    import pandas as pd

    frame = pd.DataFrame(rows(100), columns=["a", "b"])
    whole = Gaussian().fit(frame)
    mixed = Gaussian().fit(Blocks([frame[:40], frame[["b", "a"]][40:]]))
    assert mixed.covariance_.tobytes() == whole.covariance_.tobytes()
    assert list(mixed.feature_names_in_) == ["a", "b"]


def test_blocks_must_start_anew():
    with pytest.raises(DataError, match="more than once"):
        Blocks(iter([rows(3)]))
    with pytest.raises(DataError, match="0 rows"):
        Gaussian().fit(Blocks([]))
    with pytest.raises(DataError, match="columns"):
        Gaussian().fit(Blocks([rows(5), rows(5)[:, :1]]))


def test_rows_that_change_between_passes_are_noticed():
    passes = 0

    def source():
        nonlocal passes
        passes += 1
        yield rows(100 + (passes > 1))

    with pytest.raises(DataError, match="changed between passes"):
        Gaussian().fit(Blocks(source))


def test_missing_rows_are_dropped_and_counted_in_blocks_too():
    x = rows(1000)
    x[[3, 700], 1] = np.nan
    w = np.arange(1000) % 3
    whole = Gaussian(missing="drop").fit(x, sample_weight=w)
    blocked = Gaussian(missing="drop").fit(Blocks(cut(x, [300, 300])), sample_weight=w)
    assert whole.fit_.n_dropped == blocked.fit_.n_dropped == 2
    assert whole.covariance_.tobytes() == blocked.covariance_.tobytes()


def test_distinct_rows_do_not_depend_on_order_or_repetition():
    x = np.round(rows(500), 1)
    w = np.random.default_rng(2).integers(1, 4, 500)
    first = survey(x, w).distinct()
    again = survey(np.repeat(x, w, axis=0)[np.random.default_rng(3).permutation(w.sum())]).distinct()
    units, other = survey(x, w).units, survey(np.repeat(x, w, axis=0)).units
    np.testing.assert_allclose(units.back(first[0]), other.back(again[0]), rtol=1e-12)
    np.testing.assert_array_equal(first[1], again[1])


def test_a_sketch_is_the_same_in_any_order_and_bounded():
    x = rows(60_000)
    x = np.r_[x, x[:100]]
    forward, backward = survey(x), survey(x[::-1].copy())
    first, w = forward.distinct(limit=500)
    again, v = backward.distinct(limit=500)
    assert len(first) == 500
    np.testing.assert_allclose(forward.units.back(first), backward.units.back(again), rtol=1e-13)
    np.testing.assert_array_equal(w, v)


def test_hashes_know_no_signed_zero_and_spread():
    x = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0]])
    h = row_hashes(x)
    assert h[0] == h[1] != h[2]
    assert len(set(row_hashes(rows(10_000)).tolist())) == 10_000


def test_block_sizes_are_fixed_by_the_number_of_columns():
    assert block_rows(2) == 32_768
    assert block_rows(1000) == 512


def test_units_are_exact():
    x = rows(1000) * 1e-200
    units = survey(x).units
    np.testing.assert_array_equal(units.back(units.to(units.shift)), units.shift)
    z = units.to(x)
    assert (np.abs(z) <= 1.0).all()
    assert (units.scale == np.ldexp(1.0, units.exponent)).all()


def test_units_of_extreme_columns():
    for scale in (1e-307, 1e307):
        x = np.random.default_rng(0).normal(size=(50, 1)) * scale
        z = survey(x).units.to(x)
        assert np.isfinite(z).all()
        assert z.std() > 0.05


def test_seen_from_translates_between_units():
    a, b = Units(np.array([3.0]), np.array([4])), Units(np.array([-1.0]), np.array([2]))
    x = np.array([[10.0]])
    slope, shift = a.seen_from(b)
    np.testing.assert_allclose(slope * a.to(x) + shift, b.to(x))


def test_map_ordered_keeps_order_and_raises_what_a_task_raised(monkeypatch):
    monkeypatch.setenv("POFX_NUM_THREADS", "3")
    assert list(map_ordered(lambda i: i * i, range(50))) == [i * i for i in range(50)]
    with pytest.raises(ZeroDivisionError):
        list(map_ordered(lambda i: 1 // (i - 7), range(50)))


def test_blas_threads_are_given_back():
    from threadpoolctl import threadpool_info

    before = [info["num_threads"] for info in threadpool_info()]
    with one_blas_thread(), one_blas_thread():
        assert all(i["num_threads"] == 1 for i in threadpool_info() if i["user_api"] == "blas")
    assert [info["num_threads"] for info in threadpool_info()] == before
