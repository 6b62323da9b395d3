"""Merging components into clusters: each merger is the best of all pairs, and true groups come back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.special import entr

import pofx
from pofx.errors import ParameterError
from pofx.models.mixture.clusters import merge_by_entropy


def by_hand(r):
    """The greedy hierarchy by trying every pair anew: components as sets, entropies from scratch."""
    groups = [(c,) for c in range(r.shape[1])]

    def entropy(some):
        return entr(np.stack([r[:, list(g)].sum(axis=1) for g in some], axis=1)).sum()

    out = [(len(groups), entropy(groups), {frozenset(g) for g in groups})]
    while len(groups) > 1:
        tries = [
            [g for g in groups if g not in pair] + [pair[0] + pair[1]]
            for pair in itertools.combinations(groups, 2)
        ]
        groups = min(tries, key=entropy)
        out.append((len(groups), entropy(groups), {frozenset(g) for g in groups}))
    return out


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_the_hierarchy_is_that_of_trying_all_pairs(k):
    r = np.random.default_rng(k).dirichlet(np.full(k, 0.3), 500)
    found = merge_by_entropy(r)
    for (n, entropy, groups), row in zip(by_hand(r), found.table(), strict=True):
        assert row["n_clusters"] == n
        assert row["entropy"] == pytest.approx(entropy, abs=1e-9)
        assert {frozenset(g) for g in found.groups(n)} == groups
    assert found.entropy[-1] == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(found.entropy) <= 1e-9).all()


def test_responsibilities_of_zero_and_one_have_no_entropy():
    r = np.eye(4)[np.arange(40) % 4]
    found = merge_by_entropy(r)
    assert (found.entropy == 0.0).all()
    assert found.suggested == 4
    assert (found.labels() == np.arange(40) % 4).all()


def test_a_group_that_is_not_gaussian_becomes_one_cluster():
    """A cross of two long Gaussians on one centre, as in the paper, and two round groups apart."""
    rng = np.random.default_rng(3)
    cross = np.concatenate([rng.standard_normal((300, 2)) * s for s in ([4.0, 0.3], [0.3, 4.0])])
    right, left = (rng.standard_normal((200, 2)) + np.array(c) for c in ([14.0, 0.0], [-16.0, 0.0]))
    x = np.concatenate([cross, right, left])
    truth = np.repeat([0, 1, 2], [600, 200, 200])
    model = pofx.GaussianMixture(4, covariance_type="full").fit(x)
    found = model.merge_components(x)
    assert found.suggested == 3
    labels = found.labels()
    shared = np.zeros((3, 3))
    np.add.at(shared, (truth, labels), 1)
    assert shared.max(axis=1).sum() >= 995
    assert len(set(shared.argmax(axis=1))) == 3
    np.testing.assert_allclose(found.proba(2).sum(axis=1), 1.0)
    np.testing.assert_allclose(found.proba(4), model.predict_proba(x))
    assert "<- suggested" in str(found)
    assert len(str(found).split("\n")) == 5
    with pytest.raises(ParameterError, match="from 1 to 4 clusters; got n=5"):
        found.labels(5)


def test_the_order_of_the_rows_does_not_matter():
    r = np.random.default_rng(0).dirichlet(np.ones(5), 300)
    a, b = merge_by_entropy(r), merge_by_entropy(r[::-1])
    assert a.merges == b.merges
    np.testing.assert_allclose(a.entropy, b.entropy, rtol=1e-12)
    assert (a.labels(2) == b.labels(2)[::-1]).all()


def test_two_lines_meet_at_the_elbow():
    """Entropies that fall by 50 three times and then by 1: the elbow lies between."""
    r = np.random.default_rng(0).dirichlet(np.ones(8), 1000)
    found = merge_by_entropy(r)
    entropy = np.array([203.0, 153, 103, 53, 3, 2, 1, 0])
    moved = type(found)(r[:100], found.merges, found.n_clusters, entropy)
    assert moved.suggested == 4
