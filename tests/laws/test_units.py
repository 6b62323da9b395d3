"""Units: with Y = fl(aX + b), the log density of the fit to Y plus Σ log|a| is that of the fit to (Y - b)/a.

Dividing the rounded rows back takes the rounding of the data themselves out of the comparison, so whatever is
left, to 1e-6 nats, would be a threshold, a regulariser or a tie-break that knows the data's units.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pofx

Make = Callable[[], Any]

EXPONENTS = (-150.0, -97.3, -31.0, -8.7, -1.0, -0.2, 0.4, 3.0, 17.9, 64.0, 150.0)
OFFSETS = (0.0, -3.7, 1e4, 1e8)  # in standard deviations

# One factor per column.
COLUMNS: dict[str, Make] = {
    "Gaussian full": lambda: pofx.Gaussian(),
    "Gaussian diag": lambda: pofx.Gaussian("diag"),
    "Gaussian ledoit_wolf": lambda: pofx.Gaussian(shrinkage="ledoit_wolf"),
    "Gaussian oas": lambda: pofx.Gaussian(shrinkage="oas"),
    "Gaussian 0.3": lambda: pofx.Gaussian(shrinkage=0.3),
    "Gaussian factor": lambda: pofx.Gaussian("factor", n_factors=1),
    **{
        f"KDE {rule}": lambda rule=rule: pofx.KDE(rule)
        for rule in ("scott", "silverman", "normal_reference", "isj")
    },
    **{
        f"KDE {kernel}": lambda kernel=kernel: pofx.KDE(kernel=kernel)
        for kernel in ("epanechnikov", "tophat", "triangular", "biweight", "triweight", "cosine")
    },
    **{
        f"Histogram {rule}": lambda rule=rule: pofx.Histogram(rule)
        for rule in ("fd", "scott", "sturges", "doane", "knuth", 7)
    },
    "Histogram pure": lambda: pofx.Histogram(smoothing=0),
    "Histogram 0.5": lambda: pofx.Histogram(smoothing=0.5),
    **{
        f"GaussianMixture {structure}": lambda structure=structure: pofx.GaussianMixture(
            2, covariance_type=structure
        )
        for structure in ("full", "tied", "diag")
    },
    "GaussianMixture BIC": lambda: pofx.GaussianMixture([1, 2, 3], covariance_type=["full", "tied", "diag"]),
}
# The same factor for all columns: one variance, or one number, for all of them.
SCALAR: dict[str, Make] = {
    "Gaussian spherical": lambda: pofx.Gaussian("spherical"),
    "GaussianMixture spherical": lambda: pofx.GaussianMixture(2, covariance_type="spherical"),
    "GaussianMixture auto": lambda: pofx.GaussianMixture([1, 2]),
}


ALL = COLUMNS | SCALAR


def exponents(name: str) -> list[tuple[int, float]]:
    """Return numbered exponents: fewer for fits that take long."""
    step = 1 if "Mixture" not in name else 5 if "auto" in name else 2
    return list(enumerate(EXPONENTS))[::step]


def rows(n: int = 120, seed: int = 0) -> np.ndarray:
    """Skewed columns in two groups, of sd about 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.5], [0.0, 1.0]])
    x[:, 1] += 0.2 * np.exp(rng.normal(size=n))
    x[: n // 3] += 3.0
    return x / 2.0


def fitted(make: Make, x: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make().fit(x)


def gap(make: Make, x: np.ndarray, a: Any, b: Any, make_moved: Make | None = None) -> float:
    """Return by how many nats the law is broken, over the rows and places around them."""
    d = x.shape[1]
    a, b = np.broadcast_to(a, d), np.broadcast_to(b, d)
    y = a * x + b
    back = (y - b) / a
    rng = np.random.default_rng(5)
    near = a * (x + 0.05 * rng.normal(size=x.shape)) + b
    far = a * np.array([[-9.0], [9.0], [30.0]]) * np.ones(d) + b
    queries = np.concatenate([y, near, far])
    moved, plain = fitted(make_moved or make, y), fitted(make, back)
    got = moved.log_density(queries) + np.log(np.abs(a)).sum()
    expected = plain.log_density((queries - b) / a)
    assert not np.isnan(got).any()
    with np.errstate(invalid="ignore"):
        difference = np.abs(got - expected)
    return float(np.where(got == expected, 0.0, difference).max())


@pytest.mark.parametrize("name", COLUMNS)
def test_units_per_column(name: str) -> None:
    x = rows()
    for i, exponent in exponents(name):
        # columns of different units, from the same to opposite extremes; every other one is mirrored
        other = exponent if i % 2 else -exponent
        mirror = -1.0 if i % 3 == 0 else 1.0
        a = np.array([10.0**exponent, 3.7 * mirror * 10.0**other])
        b = a * np.array([OFFSETS[i % 4], -OFFSETS[(i + 1) % 4]])
        assert gap(COLUMNS[name], x, a, b) < 1e-6, f"a = {a}, b = {b}"


@pytest.mark.parametrize("name", SCALAR)
def test_units_in_common(name: str) -> None:
    x = rows()
    for i, exponent in exponents(name):
        a = 3.7 * 10.0**exponent if exponent < 150 else 1e150
        b = a * np.array([OFFSETS[i % 4], -OFFSETS[(i + 1) % 4]])
        assert gap(SCALAR[name], x, a, b) < 1e-6, f"a = {a}, b = {b}"


ONE_COLUMN: dict[str, Make] = {
    **{name: make for name, make in ALL.items() if name not in ("Gaussian factor", "GaussianMixture BIC")},
    "Histogram blocks": lambda: pofx.Histogram("blocks"),
}


@pytest.mark.parametrize("name", ONE_COLUMN)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_units_of_one_column(name: str, sign: float) -> None:
    x = rows()[:, 1:]
    for i, exponent in exponents(name)[::2]:
        a = sign * 10.0**exponent * (1.0 if i % 2 else 2.3)
        assert gap(ONE_COLUMN[name], x, a, a * OFFSETS[i % 4]) < 1e-6, f"a = {a}"


H = np.array([0.3, 0.4])
EDGES = [np.array([-9.1, -1.3, 0.2, 1.7, 31.4]), np.array([-9.2, 0.11, 1.03, 32.3])]


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_units_of_bandwidths_given_in_data_units(sign: float, kernel: str) -> None:
    """They follow when the user converts them too."""
    x = rows()
    for i, exponent in enumerate(EXPONENTS):
        a = sign * 10.0**exponent * np.array([1.0, 3.7])
        plain, moved = pofx.KDE(H, kernel=kernel), pofx.KDE(np.abs(a) * H, kernel=kernel)
        assert gap(lambda m=plain: m, x, a, a * OFFSETS[i % 4], lambda m=moved: m) < 1e-6, f"a = {a}"
        plain, moved = pofx.KDE(0.3, kernel=kernel), pofx.KDE(0.3 * 10.0**exponent, kernel=kernel)
        assert gap(lambda m=plain: m, x, 10.0**exponent, 0.0, lambda m=moved: m) < 1e-6, f"a = {a}"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_units_of_edges_given_in_data_units(sign: float) -> None:
    x = rows()
    for i, exponent in enumerate(EXPONENTS):
        a = sign * 10.0**exponent * np.array([1.0, 3.7])
        b = a * min(OFFSETS[i % 4], 1e4)  # at 1e8 the edges themselves round
        plain = pofx.Histogram(EDGES, smoothing=0.5)
        moved = pofx.Histogram([np.sort(a[j] * e + b[j]) for j, e in enumerate(EDGES)], smoothing=0.5)
        assert gap(lambda m=plain: m, x, a, b, lambda m=moved: m) < 1e-6, f"a = {a}"


@pytest.mark.parametrize("name", ALL)
def test_units_of_rounded_rows(name: str) -> None:
    """Ties and recorded steps move with the units as well."""
    make = ALL[name]
    x = np.round(rows(), 1)
    moves = ((2.54, 100.0), (1e150, 0.0), (-0.45359237, 3.0), (3e-150, 0.0))
    for a, b in moves[: 2 if "Mixture" in name else 4]:
        assert gap(make, x, a, b) < 1e-6, f"a = {a}, b = {b}"


def test_a_mirrored_histogram_of_rows_whose_mean_is_mid_range() -> None:
    """The mean cannot tell such a column from its mirror image, and an odd number of steps is left over."""
    for times in (1, 4, 9, 30):
        x = np.repeat([0.0, 0.2, 0.3, 0.4, 0.6, 1.0], [3 * times] * 5 + [6 * times])[:, None]
        assert abs(x.mean() - 0.5) < 1e-12
        for rule in ("fd", "scott", "sturges", "doane", "knuth", "blocks", 4):
            assert gap(lambda rule=rule: pofx.Histogram(rule), x, -1.0, 0.0) < 1e-6, rule


@pytest.mark.parametrize("name", ALL)
def test_units_of_few_rows_and_an_outlier(name: str) -> None:
    make = ALL[name]
    few = rows(12)
    spoilt = np.vstack([rows(60), [3e3, 40.0]])
    for x in (few, spoilt):
        moves = ((7e5, -3.0), (-1e-150, 0.0), (1e150, 0.0))
        for a, b in moves[: 1 if "Mixture" in name else 3]:
            assert gap(make, x, a, b) < 1e-6, f"{len(x)} rows, a = {a}"


@pytest.mark.parametrize("name", COLUMNS)
def test_weighted_units(name: str) -> None:
    """The same for importance weights, whose sums are no whole numbers."""
    x = rows()
    w = np.random.default_rng(1).exponential(size=len(x))
    a, b = np.array([1e-9, -4e7]), np.array([3.0, 1e9])
    y = a * x + b

    def fit(z: np.ndarray) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return COLUMNS[name]().set_params(weight_kind="importance").fit(z, sample_weight=w)

    difference = fit(y).log_density(y) + np.log(np.abs(a)).sum() - fit((y - b) / a).log_density((y - b) / a)
    assert np.abs(difference).max() < 1e-6


QUICK = ["Gaussian full", "KDE silverman", "KDE isj", "KDE epanechnikov", "Histogram fd", "Histogram knuth"]


@given(
    name=st.sampled_from([*QUICK, "GaussianMixture full"]),
    exponents=st.tuples(st.floats(-150, 150), st.floats(-150, 150)),
    signs=st.tuples(st.sampled_from([-1.0, 1.0]), st.sampled_from([-1.0, 1.0])),
    offsets=st.tuples(st.floats(-1e8, 1e8), st.floats(-1e8, 1e8)),
    n=st.integers(10, 60),
    seed=st.integers(0, 99),
)
@settings(max_examples=120)
def test_units_anywhere(
    name: str,
    exponents: tuple[float, float],
    signs: tuple[float, float],
    offsets: tuple[float, float],
    n: int,
    seed: int,
) -> None:
    a = np.array(signs) * 10.0 ** np.array(exponents)
    assert gap(COLUMNS[name], rows(n, seed), a, a * np.array(offsets)) < 1e-6


@given(power=st.integers(-500, 500), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_powers_of_two_are_exact(power: int, seed: int) -> None:
    x = rows(60, seed)
    a = np.ldexp(1.0, power)
    for name in QUICK:
        plain, scaled = fitted(COLUMNS[name], x), fitted(COLUMNS[name], x * a)
        got = scaled.params_.units.to(x * a)
        assert np.array_equal(plain.params_.units.to(x), got)
        shift = plain.params_.units.log_jacobian - scaled.params_.units.log_jacobian
        difference = scaled.log_density(x * a) + shift - plain.log_density(x)
        assert np.abs(difference).max() <= 1e-9
