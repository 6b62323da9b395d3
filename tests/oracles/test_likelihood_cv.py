"""Likelihood cross-validation against exact minima and direct sums; the default rule's chain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

import pofx
from pofx.maths.bandwidth import RULES, Auto, LeastSquaresCV, LikelihoodCV
from pofx.maths.bandwidth.likelihood_cv import LeaveOneOut, likelihood_cv


def label(j: int) -> str:
    return f"column {j}"


def distinct(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, counts = np.unique(x, return_counts=True)
    return values, counts.astype(float)


def direct(x: np.ndarray, h: np.ndarray | float) -> float:
    """Mean leave-one-out log density of rows (n, d) under bandwidths per column."""
    x = x if x.ndim == 2 else x[:, None]
    h = np.broadcast_to(h, x.shape[1])
    u = (x[:, None] - x) / h
    terms = -0.5 * (u**2).sum(axis=2)
    np.fill_diagonal(terms, -np.inf)
    constant = np.log(len(x) - 1) + np.log(h * np.sqrt(2 * np.pi)).sum()
    return float(np.mean(logsumexp(terms, axis=1)) - constant)


@pytest.mark.parametrize(
    ("name", "h", "trap"),
    [  # exact minima of the leave-one-out likelihood, computed independently of pofx by direct sums
        ("precip", 4.8718637, False),
        ("eruptions", 0.10267892, False),
        ("waiting", 2.2553046, True),
        ("galaxies", 0.63233704, False),
        ("acidity", 0.2352242, False),
    ],
)
def test_the_largest_local_maximum(columns: dict[str, np.ndarray], name: str, h: float, trap: bool) -> None:
    x, w = distinct(columns[name])
    found = likelihood_cv(x, w)
    assert found.h == pytest.approx(h, rel=1e-5)
    assert bool(found.notes) == trap  # waiting has a higher maximum at 0.227, where it only resolves ties


def test_scores_are_direct_sums() -> None:
    x = np.sort(np.random.default_rng(0).standard_t(3, size=300))
    rows = LeaveOneOut(x, np.ones(300), 0.01, 3.0)
    for h in (0.02, 0.3, 2.0):
        assert rows.score(h) == pytest.approx(direct(x, h), abs=1e-11)


def test_many_rows_through_one_transform_are_direct_sums() -> None:
    rng = np.random.default_rng(1)
    x = np.sort(np.r_[rng.standard_normal(5000), 9.0, 12.0])  # two rows stand alone
    rows = LeaveOneOut(x, np.ones(5002), 0.02, 2.0)
    assert rows._spectrum is not None
    for h in (0.03, 0.2, 1.5):
        assert rows.score(h) == pytest.approx(direct(x, h), abs=1e-9)
    assert direct(x, 0.03) < -2  # they matter


def test_integer_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(2)
    x, w = np.sort(rng.standard_normal(200)), rng.integers(1, 4, 200).astype(float)
    rows = LeaveOneOut(x, w, 0.01, 3.0)
    assert rows.score(0.3) == pytest.approx(direct(np.repeat(x, w.astype(int)), 0.3), abs=1e-10)
    relative = LeaveOneOut(x, w, 0.01, 3.0, frequencies=False)
    for c in (1.0, 7.0):
        scaled = LeaveOneOut(x, c * w, 0.01, 3.0, frequencies=False)
        assert scaled.score(0.3) == pytest.approx(relative.score(0.3), abs=1e-12)


def test_several_columns_are_chosen_jointly() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((300, 3)) * [1.0, 10.0, 0.1]
    x[:, 0] += np.where(rng.random(300) < 0.5, 4.0, -4.0)
    x = x[np.lexsort(x.T[::-1])]
    h = LikelihoodCV().choose(x, np.ones(300), label).h
    best = direct(x, h)
    for j in range(3):  # no column's bandwidth alone improves it
        for factor in (0.97, 1.03):
            moved = h.copy()
            moved[j] *= factor
            assert direct(x, moved) < best
    a = np.array([1e-3, 5.0, 1e4])
    np.testing.assert_allclose(LikelihoodCV().choose(a * x, np.ones(300), label).h, a * h, rtol=1e-3)


def test_rounded_columns_do_not_collapse() -> None:
    x = np.round(np.random.default_rng(4).standard_normal((4000, 1)) * 2.0) / 2.0
    for rule in ("likelihood_cv", "least_squares_cv", "sheather_jones", "auto"):
        model = pofx.KDE(rule).fit(x)
        assert model.bandwidth_[0] >= 0.25
    two = np.c_[x, np.random.default_rng(5).standard_normal(4000)]
    assert np.atleast_1d(np.sqrt(np.diag(pofx.KDE().fit(two).bandwidth_)))[0] >= 0.25
    assert pofx.KDE("likelihood_cv").fit(two).bandwidth_[0] >= 0.25


# ---------------------------------------------------------------- the default


def test_the_default_by_number_of_columns() -> None:
    x = np.random.default_rng(6).standard_normal((200, 6))
    for d, rule in ((1, "sheather_jones"), (2, "plug_in"), (4, "plug_in"), (5, "likelihood_cv")):
        rows = x[np.lexsort(x[:, :d].T[::-1]), :d]
        choice = Auto().choose(rows, np.ones(200), label)
        assert choice.rule == rule
        assert choice.h.shape == ((d, d) if rule == "plug_in" else (d,))
        np.testing.assert_array_equal(choice.h, RULES[rule].choose(rows, np.ones(200), label).h)
        assert Auto(diagonal=True).choose(rows, np.ones(200), label).h.shape == (d,)
    assert "(plug_in)" in pofx.KDE().fit(x[:, :2]).fit_.message


def test_the_default_where_its_rule_has_no_answer() -> None:
    x = np.random.default_rng(7).standard_normal((200, 3))
    far = x.copy()
    far[0, 1] = 1e9
    found = pofx.KDE().fit(far)
    assert "sheather_jones" in found.fit_.message
    assert "Far-out rows stretch column 1" in found.fit_.notes[0]
    same = np.c_[x, x[:, 0]]
    found = pofx.KDE().fit(same)
    assert "collinear" in found.fit_.notes[0]
    few = pofx.KDE().fit(x[:3])
    assert np.isfinite(few.log_density(x)).all()
    assert few.fit_.notes


def test_least_squares_takes_the_form_for_the_columns() -> None:
    x = np.random.default_rng(8).standard_normal((80, 2))
    x = x[np.lexsort(x.T[::-1])]
    assert LeastSquaresCV().choose(x[:, :1], np.ones(80), label).h.shape == (1,)
    assert LeastSquaresCV().choose(x, np.ones(80), label).h.shape == (2, 2)
