"""Memorisation: copiers are caught, the right model is not, and what is printed is what was measured."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import kstest

import pofx
from pofx.errors import DataError
from pofx.evaluate import memory
from pofx.evaluate.memory import memorisation

N = 400


def normal(*seed, n=N, d=3):
    return np.random.default_rng(seed).normal(size=(n, d))


def run(draws, train, heldout=None, seed=0, **options):
    return memorisation(draws, train, heldout, rng=np.random.default_rng(seed), **options)


@pytest.fixture
def few_permutations(monkeypatch):
    monkeypatch.setattr(memory, "PERMUTATIONS", 199)


BOTH = pytest.mark.parametrize("with_heldout", [True, False], ids=["held out", "alone"])


def test_the_share_is_that_of_nearest_rows():
    draws, train, heldout = normal(1, n=90), normal(2, n=60), normal(3, n=90)
    both = np.concatenate([train, heldout])
    spread = np.ptp(np.quantile(both, [0.25, 0.75], axis=0), axis=0)
    near = cdist(draws / spread, both / spread).argmin(axis=1)
    found = run(draws, train, heldout)
    assert found.share == pytest.approx(np.mean(near < 60), abs=1e-12)
    assert found.expected == pytest.approx(0.4)
    to_train = cdist(draws / spread, train / spread).min(axis=1)
    assert found.distances[50] == pytest.approx(np.median(to_train), rel=1e-9)
    held_to_train = cdist(heldout / spread, train / spread).min(axis=1)
    assert found.distances_expected[5] == pytest.approx(np.percentile(held_to_train, 5), rel=1e-9)


def test_lone_neighbours_are_the_definition():
    draws, train = normal(4, n=50), normal(5, n=70)
    spread = np.ptp(np.quantile(train, [0.25, 0.75], axis=0), axis=0)
    among = cdist(train / spread, train / spread)
    np.fill_diagonal(among, np.inf)
    to = cdist(draws / spread, train / spread)
    expected = np.mean(to.min(axis=1) < among.min(axis=1)[to.argmin(axis=1)])
    assert run(draws, train).share == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("d", "share"), [(1, 2 / 3), (2, 0.6215), (3, 0.5926)])
def test_among_rows_of_one_density_the_share_is_schilling_s(d, share):
    """Schilling (1986): the chance to be the nearest neighbour of one's nearest neighbour."""
    train = np.random.default_rng(d).random((4_000, d))
    assert run(train[:2000], train[2000:]).expected == pytest.approx(share, abs=0.03)


@BOTH
@pytest.mark.parametrize("jitter", [0.0, 1e-3])
def test_copiers_are_caught(with_heldout, jitter, few_permutations):
    for seed in range(10):
        train, heldout = normal(seed, 6), normal(seed, 7)
        rng = np.random.default_rng(seed)
        copies = train[rng.integers(N, size=N)] + jitter * rng.normal(size=(N, 3))
        found = run(copies, train, heldout if with_heldout else None)
        assert found.copied
        assert found.p_value <= 0.005
        assert found.copied_share > 0.9
        assert found.equal == (1.0 if jitter == 0.0 else 0.0)
        assert "copies, or nearly" in found.sentence


@BOTH
def test_some_copies_are_caught_and_counted(with_heldout, few_permutations):
    counted, caught = [], 0
    for seed in range(10):
        train, heldout, draws = normal(seed, 8), normal(seed, 9), normal(seed, 10)
        draws[:200] = train[:200]
        found = run(draws, train, heldout if with_heldout else None)
        caught += found.copied
        counted.append(found.copied_share)
    assert caught == 10
    assert np.mean(counted) == pytest.approx(0.5, abs=0.08)


@BOTH
@pytest.mark.parametrize("record", [lambda x: x, lambda x: np.round(2.0 * x)], ids=["continuous", "rounded"])
def test_fresh_draws_and_fits_are_not_called_copies(with_heldout, record, few_permutations):
    p, called = [], 0
    for seed in range(60):
        train, heldout = record(normal(seed, 11, n=150)), record(normal(seed, 12, n=150))
        held = heldout if with_heldout else None
        p.append(run(record(normal(seed, 13, n=150)), train, held, seed).p_value)
        fitted = pofx.Gaussian().fit(train).sample(150, random_state=10_000 + seed)
        called += run(record(np.asarray(fitted)), train, held, seed).copied
    assert kstest(p, "uniform").pvalue > 0.001
    assert called <= 4


@BOTH
def test_a_density_that_is_too_narrow_is_no_copier(with_heldout, few_permutations):
    """Distances to training rows would say so: all draws lie where rows are crowded."""
    called = 0
    for seed in range(20):
        train, heldout = normal(seed, 14), normal(seed, 15)
        found = run(0.7 * normal(seed, 16), train, heldout if with_heldout else None)
        called += found.copied
        assert found.distances[50] < found.distances_expected[50]
    assert called <= 2


def test_a_kernel_estimate_of_ten_columns_copies_and_of_two_does_not():
    for d, copies in ((10, True), (2, False)):
        rows = normal(d, 17, n=1_000, d=d)
        train, heldout = rows[:500], rows[500:]
        draws = np.asarray(pofx.KDE(bandwidth="scott").fit(train).sample(500, random_state=1))
        assert run(draws, train, heldout).copied is copies


def test_equal_rows_are_held_against_what_rounding_explains():
    train, heldout, draws = (np.round(normal(s, 18, d=2)) for s in range(3))
    pool = {tuple(row) for row in train}
    found = run(draws, train, heldout)
    assert found.equal == pytest.approx(np.mean([tuple(row) in pool for row in draws]))
    assert found.equal_expected == pytest.approx(np.mean([tuple(row) in pool for row in heldout]))
    assert found.equal > 0.9
    assert not found.copied
    alone = run(draws, train)
    counts = {row: sum(tuple(other) == row for other in train) for row in pool}
    assert alone.equal_expected == pytest.approx(np.mean([counts[tuple(row)] > 1 for row in train]))
    zero = train.copy()
    zero[zero == 0.0] = -0.0
    assert run(zero, train).equal == 1.0


def test_units_do_not_matter():
    draws, train, heldout = normal(1, 19), normal(2, 19), normal(3, 19)
    scale, shift = np.array([1e6, 1e-9, 1e300]), np.array([-3e6, 5e-9, 0.0])
    for held in (heldout, None):
        one = run(draws, train, held)
        other = run(*(None if a is None else a * scale + shift for a in (draws, train, held)))
        assert other.share == one.share
        assert other.p_value == pytest.approx(one.p_value, abs=1e-9)
        assert other.distances[50] == pytest.approx(one.distances[50], rel=1e-6)


def test_many_rows_are_thinned_and_that_is_said(monkeypatch, few_permutations):
    monkeypatch.setattr(memory, "MOST_ROWS", 300)
    monkeypatch.setattr(memory, "FEWEST_DRAWS", 50)
    monkeypatch.setattr(memory, "DISTANCES", 6e4)
    found = run(normal(1, 20), normal(2, 20), normal(3, 20, n=350))
    assert (found.draws, found.train, found.heldout) == (100, 300, 300)
    assert found.given == (400, 400, 350)
    assert run(normal(1, 20), normal(2, 20)).heldout == 0


@BOTH
def test_what_it_says(with_heldout):
    draws, train, heldout = normal(1, 21), normal(2, 21), normal(3, 21)
    found = run(draws, train, heldout if with_heldout else None)
    assert "no copies found" in found.sentence
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["copied"] is False
    assert 0.0 < record["detectable"] < 0.4
    assert run(draws, train, heldout).to_dict() == run(draws, train, heldout).to_dict()


@BOTH
def test_odd_tables_have_numbers_too(with_heldout):
    same = np.ones((30, 2))
    found = run(same, same, same if with_heldout else None)
    json.dumps(found.to_dict(), allow_nan=False)
    assert not found.copied
    wild = normal(1, 22, n=30)
    wild[0] = 1e200
    json.dumps(
        run(wild, normal(2, 22, n=30), normal(3, 22) if with_heldout else None).to_dict(), allow_nan=False
    )


def test_bad_input_is_refused():
    x = normal(0, n=30)
    for args, words in (
        ((x[:, :2], x), "draws: expected 3 columns"),
        ((x, x[:19]), "training rows: at least 20"),
        ((x, x, x[:5]), "held-out rows: at least 20"),
        ((x, x * np.nan), "training rows: all values must be finite"),
    ):
        with pytest.raises(DataError, match=words):
            run(*args)
