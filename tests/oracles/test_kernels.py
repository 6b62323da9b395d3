"""The kernels against quadrature and exact fractions: mass, standard deviation, tails, draws."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from pofx.errors import ParameterError
from pofx.maths.kernels import KERNELS, Kernel, kernel_named

NAMES = ["gaussian", "epanechnikov", "tophat", "triangular", "biweight", "triweight", "cosine"]
COMPACT = NAMES[1:]


def end(kernel: Kernel) -> float:
    return min(kernel.radius, 40.0)


def test_the_table_is_complete() -> None:
    assert list(KERNELS) == NAMES
    for name in NAMES:
        assert kernel_named(name).name == name
        assert kernel_named(kernel_named(name)) is KERNELS[name]


@pytest.mark.parametrize("name", NAMES)
def test_mass_mean_and_standard_deviation(name: str) -> None:
    kernel = KERNELS[name]

    def moment(p: int) -> float:
        half = [
            quad(lambda u: u**p * np.exp(kernel.log_density(u)), a, b)
            for a, b in ((-end(kernel), 0), (0, end(kernel)))
        ]
        return half[0][0] + half[1][0]

    assert moment(0) == pytest.approx(1.0, abs=1e-10)
    assert moment(1) == pytest.approx(0.0, abs=1e-10)
    assert moment(2) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", COMPACT)
def test_outside_the_support(name: str) -> None:
    kernel = KERNELS[name]
    outside = kernel.radius * np.array([-1e300, -2.0, -1.0 - 1e-12, 1.0 + 1e-12, 1e300])
    assert np.isneginf(kernel.log_density(outside)).all()
    assert np.isfinite(kernel.log_density(kernel.radius * np.array([-0.999999, 0.0, 0.999999]))).all()
    assert kernel.log_cdf(np.array([-kernel.radius * 1.01, kernel.radius * 1.01])).tolist() == [-np.inf, 0.0]


@pytest.mark.parametrize("name", NAMES)
def test_tails_are_the_integral_of_the_density(name: str) -> None:
    kernel = KERNELS[name]
    for u in np.array([-0.95, -0.4, -0.01, 0.0, 0.3, 0.8, 0.99]) * min(kernel.radius, 6.0):
        above = quad(
            lambda v: np.exp(kernel.log_density(v)), u, min(kernel.radius, u + 12.0), epsabs=0, epsrel=1e-12
        )[0]
        assert kernel.log_sf(u) == pytest.approx(np.log(above), abs=1e-9)
        assert kernel.log_cdf(-u) == kernel.log_sf(u)
        assert np.exp(kernel.log_sf(u)) + np.exp(kernel.log_cdf(u)) == pytest.approx(1.0, abs=4e-16)


@pytest.mark.parametrize(
    ("name", "polynomial"),  # the mass above 1 - e as a polynomial in e, by hand from the density
    [
        ("epanechnikov", {2: Fraction(3, 4), 3: Fraction(-1, 4)}),
        ("triangular", {2: Fraction(1, 2)}),
        ("tophat", {1: Fraction(1, 2)}),
        ("biweight", {3: Fraction(5, 4), 4: Fraction(-15, 16), 5: Fraction(3, 16)}),
        ("triweight", {4: Fraction(35, 16), 5: Fraction(-21, 8), 6: Fraction(35, 32), 7: Fraction(-5, 32)}),
    ],
)
def test_the_last_of_the_tail_is_relatively_right(name: str, polynomial: dict[int, Fraction]) -> None:
    kernel = KERNELS[name]
    for power in (1, 3, 8, 20):
        e = Fraction(1, 2**power)
        exact = float(sum(c * e**k for k, c in polynomial.items()))
        u = kernel.radius * (1.0 - float(e))
        assert kernel.log_sf(u) == pytest.approx(np.log(exact), abs=1e-8)  # u itself is rounded


def test_gaussian_tail_far_out() -> None:
    # log Φ(-40) by mpmath 1.4 with 40 digits.
    assert KERNELS["gaussian"].log_sf(40.0) == pytest.approx(-804.6084420137538, abs=1e-10)
    assert np.isfinite(KERNELS["gaussian"].log_density(1e6))


@pytest.mark.parametrize("name", NAMES)
def test_draws_follow(name: str) -> None:
    kernel = KERNELS[name]
    draws = kernel.draw((20_000,), np.random.default_rng(3))
    assert kstest(draws, lambda u: np.exp(kernel.log_cdf(u))).pvalue > 1e-3
    assert np.abs(draws).max() <= kernel.radius
    assert draws.std() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("name", NAMES)
def test_bounds_enclose_the_quantiles(name: str) -> None:
    kernel, q = KERNELS[name], np.array([1e-300, 1e-6, 0.3, 0.5, 1 - 1e-9])
    low, high = kernel.bounds(q)
    assert (np.exp(kernel.log_cdf(low)) <= q * (1 + 1e-9)).all()
    assert (np.exp(kernel.log_cdf(high)) >= q * (1 - 1e-9)).all()


def test_unknown_kernels_are_refused() -> None:
    with pytest.raises(ParameterError, match="kernel must be one of 'gaussian'"):
        kernel_named("gauss")
    with pytest.raises(ParameterError, match="kernel must be one of"):
        kernel_named(3)  # type: ignore[arg-type]

    class Other(type(KERNELS["tophat"])):  # type: ignore[misc]
        name = "other"

    with pytest.raises(ParameterError, match="Add it there under its name"):
        kernel_named(Other())
