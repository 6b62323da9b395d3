"""The naive engine against 50-digit arithmetic and against all pairs at once."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.special import logsumexp

from pofx.maths.kernel_sums import Bumps, Line, log_sum, naive
from pofx.maths.kernels import KERNELS, Kernel


def log_sum_kernel(x: np.ndarray, y: np.ndarray, log_w: np.ndarray | None, kernel: Kernel, h: np.ndarray):
    return log_sum(Bumps(y, log_w, kernel, h), x, engine="naive")


def fifty_digits(x: np.ndarray, points: np.ndarray, w: np.ndarray, h: np.ndarray) -> float:
    """log Σ w_i Π_j φ((x_j - y_ij)/h_j)/h_j with 60 digits; the floats are taken as exact."""
    with localcontext() as context:
        context.prec = 60
        pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
        total = Decimal(0)
        for y, weight in zip(points, w, strict=True):
            squares = sum(
                ((Decimal(float(a)) - Decimal(float(b))) / Decimal(float(s))) ** 2
                for a, b, s in zip(x, y, h, strict=True)
            )
            total += Decimal(float(weight)) * (-squares / 2).exp()
        for s in h:
            total /= Decimal(float(s)) * (2 * pi).sqrt()
        return float(total.ln())


@pytest.mark.parametrize("d", [1, 2, 3, 7])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_gaussian_to_1e_12_also_40_bandwidths_away(d: int, offset: float) -> None:
    rng = np.random.default_rng(d)
    points = rng.standard_normal((60, d)) + offset
    h = rng.uniform(0.05, 0.3, d)
    w = rng.uniform(0.1, 2.0, 60)
    away = np.zeros((4, d))
    away[:, 0] = [0.0, 5.0, 20.0, 40.0]
    top = points[np.argmax(points[:, 0])]
    queries = np.concatenate([points[:2] + 0.1, top + away * h[0]])
    got = log_sum_kernel(queries, points, np.log(w), KERNELS["gaussian"], h)
    expected = [fifty_digits(x, points, w, h) for x in queries]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", list(KERNELS))
@pytest.mark.parametrize("d", [1, 2, 20])
def test_tiles_agree_with_all_pairs_at_once(name: str, d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, rng = KERNELS[name], np.random.default_rng(5)
    points, queries = rng.standard_normal((201, d)), rng.standard_normal((37, d)) * 0.5
    h, log_w = np.full(d, 0.3 if d < 20 else 1.5), rng.standard_normal(201)
    u = (queries[:, None, :] - points[None]) / h
    with np.errstate(divide="ignore"):
        expected = logsumexp((kernel.log_density(u) - np.log(h)).sum(axis=2) + log_w, axis=1)
    whole = log_sum_kernel(queries, points, log_w, kernel, h)
    monkeypatch.setattr(naive, "POINTS_PER_TILE", 16)
    monkeypatch.setattr(naive, "PAIRS_PER_TILE", 80)
    tiled = log_sum_kernel(queries, points, log_w, kernel, h)
    assert np.isfinite(expected).any()
    for got in (whole, tiled):
        np.testing.assert_array_equal(np.isneginf(got), np.isneginf(expected))
        reached = np.isfinite(expected)
        np.testing.assert_allclose(got[reached], expected[reached], rtol=0, atol=2e-12)


def test_bumps_at_their_very_edges_do_not_underflow() -> None:
    kernel, d = KERNELS["triweight"], 40
    queries = np.full((1, d), kernel.radius * (1.0 - 1e-13))
    got = log_sum_kernel(queries, np.zeros((1, d)), None, kernel, np.ones(d))
    assert got[0] == pytest.approx(d * kernel.log_density(queries[0, 0]), rel=1e-12)
    assert np.isfinite(got[0])


def test_weights_of_any_size() -> None:
    x = np.array([[0.0], [1.0]])
    log_w = np.array([-1e5, -2e5])
    got = log_sum_kernel(x, x, log_w, KERNELS["gaussian"], np.array([0.1]))
    assert got[0] == pytest.approx(-1e5 - np.log(0.1 * np.sqrt(2 * np.pi)), abs=1e-9)
    assert got[1] == pytest.approx(got[0] - 50.0, abs=1e-9)


def test_far_out_and_empty() -> None:
    x, h = np.array([[0.0]]), np.array([1.0])
    gaussian = KERNELS["gaussian"]
    assert log_sum_kernel(np.array([[1e6]]), x, None, gaussian, h)[0] == pytest.approx(-5e11, rel=1e-11)
    assert np.isneginf(log_sum_kernel(np.array([[1e200]]), x, None, gaussian, h)[0])
    assert log_sum_kernel(np.empty((0, 1)), x, None, gaussian, h).shape == (0,)


@pytest.mark.parametrize("name", list(KERNELS))
def test_quantiles_invert_the_tails(name: str) -> None:
    kernel, rng = KERNELS[name], np.random.default_rng(6)
    points = np.r_[rng.standard_normal(40), 30 + 1e-3 * rng.standard_normal(25)]
    log_w = np.full(65, -np.log(65))
    q = np.r_[1e-300, 1e-12, rng.uniform(0, 1, 30), 40 / 65, 1 - 1e-12]
    for h in (0.01, 0.4, 100.0):
        line = Line(Bumps(points[:, None], log_w, kernel, np.array([h])))
        x = line.quantile(q)
        low, high = line.small_tail(x, upper=False), line.small_tail(x, upper=True)
        np.testing.assert_allclose(np.exp(low), q, rtol=0, atol=1e-11)
        np.testing.assert_allclose(np.exp(high), 1 - q, rtol=0, atol=1e-11)
        if name == "gaussian":  # at the end of a compact bump one bit of x is a large part of its tail
            got, expected = np.where(q <= 0.5, low, high), np.where(q <= 0.5, np.log(q), np.log1p(-q))
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)
    ends = Line(Bumps(points[:, None], log_w, kernel, np.array([0.4]))).quantile(np.array([0.0, 1.0]))
    np.testing.assert_allclose(ends, [points.min() - 0.4 * kernel.radius, points.max() + 0.4 * kernel.radius])
