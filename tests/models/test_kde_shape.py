"""KDE's shapes: matrices, adaptive bumps, bounds and periods, each engine; laws, limits and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

import pofx
from pofx import KDE
from pofx.core.laws import check_model
from pofx.errors import DataError, ParameterError
from pofx.maths.kernels import KERNELS

H = np.array([[0.3, 1.0], [1.0, 9.0]])


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.c_[rng.standard_normal(80), 20 + 7 * rng.standard_normal(80)]


def positive(n: int = 90, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=n)


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize(
    "bandwidth",
    ["auto", "normal_scale", "plug_in", "plug_in_diagonal", "smoothed_cv", "likelihood_cv",
     "sheather_jones", "direct_plug_in", "biased_cv"],
)  # fmt: skip
def test_laws_of_every_rule(bandwidth: str) -> None:
    rng = np.random.default_rng(2)
    check_model(lambda: KDE(bandwidth), [rng.gamma(2.0, size=(90, 1)), rng.standard_normal((90, 2))])


def test_laws_of_least_squares_cv() -> None:
    # its minimum is sought from a start, so a rule of another path may end elsewhere: only one seed
    rng = np.random.default_rng(4)
    check_model(lambda: KDE("least_squares_cv"), [rng.gamma(2.0, size=(90, 1)), rng.standard_normal((90, 2))])


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "tophat"])
def test_laws_of_adaptive_bumps(kernel: str) -> None:
    rng = np.random.default_rng(3)
    sets = [rng.standard_t(3, size=(90, 1)), rng.standard_normal((90, 2)) @ [[3.0, 1.0], [0.0, 5.0]]]
    check_model(lambda: KDE(kernel=kernel, adaptive=True), sets)


@pytest.mark.parametrize("engine", ["naive", "tiles", "nufft", "moments"])
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_laws_on_every_engine(kernel: str, engine: str) -> None:
    rng = np.random.default_rng(5)
    sets = [rng.standard_normal((80, 1)), rng.standard_normal((80, 2))]
    check_model(lambda: KDE("scott", kernel=kernel, engine=engine, rtol=1e-9), sets)


def test_laws_of_a_matrix_on_the_fourier_engine() -> None:
    x = np.random.default_rng(6).standard_normal((80, 2))
    check_model(lambda: KDE("plug_in", engine="nufft", rtol=1e-9), x)


@pytest.mark.parametrize("bounds", [(0.0, None), (0.0, 6.0), (None, 7.0)])
def test_laws_of_bounds(bounds: tuple[float | None, float | None]) -> None:
    x = positive()
    x = x[x < 6]
    x = x if bounds[0] == 0.0 else 7.0 - x
    # bounds in data units follow no change of units, and the second law fits rows moved out of them
    excused = ["affine", "a failed fit changes nothing"]
    two = np.c_[x, np.random.default_rng(0).standard_normal(len(x)) + x]
    check_model(lambda: KDE("sheather_jones", bounds={0: bounds}), [x[:, None], two], skip=excused)


# ---------------------------------------------------------------- matrices


def test_a_matrix_is_the_covariance_of_the_bump(rows: np.ndarray) -> None:
    model = KDE(H).fit(rows)
    expected = np.mean([multivariate_normal(r, H).pdf(rows[:9]) for r in rows], axis=0)
    np.testing.assert_allclose(model.density(rows[:9]), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.bandwidth_, H)
    np.testing.assert_allclose(model.covariance(), np.cov(rows.T, bias=True) + H)
    diagonal = KDE(np.diag([0.25, 4.0])).fit(rows).log_density(rows)
    np.testing.assert_allclose(diagonal, KDE([0.5, 2.0]).fit(rows).log_density(rows), atol=1e-12)


def test_r_ks_with_a_full_matrix(faithful) -> None:
    # R 4.2.2, ks 1.14.0: kde at the first rows of faithful with its own Hpi.
    hpi = [[0.063268024646, 0.60418624347], [0.60418624347, 11.19177745510]]
    x = np.loadtxt(faithful, delimiter=",", skiprows=1)[:, 1:]
    model = KDE(hpi).fit(x)
    expected = [0.00967038523246, 0.0234180199762, 0.00380905271926, 0.0140719481593, 0.0273052860508]
    np.testing.assert_allclose(model.density(x[:5]), expected, rtol=1e-11)
    assert model.score(x) == pytest.approx(-4.13256370372, abs=1e-11)


def test_parts_of_a_matrix(rows: np.ndarray) -> None:
    model = KDE(H).fit(rows)
    np.testing.assert_allclose(model.marginal([1]).bandwidth_, [[9.0]])
    at = model.condition({0: 0.3})
    line = np.linspace(-20, 60, 9)
    joint = model.log_density(np.c_[np.full(9, 0.3), line])
    np.testing.assert_allclose(
        at.log_density(line) + model.marginal([0]).log_density([0.3]), joint, atol=1e-11
    )
    np.testing.assert_allclose(at.bandwidth_, [[9.0 - 1.0 / 0.3]])
    q = np.array([1e-12, 0.3, 0.5, 0.999])
    np.testing.assert_allclose(at.cdf(at.quantile(q)), q, rtol=1e-9)


@pytest.mark.parametrize("kernel", ["epanechnikov", "cosine"])
def test_a_matrix_needs_the_gaussian(rows: np.ndarray, kernel: str) -> None:
    with pytest.raises(ParameterError, match=r"needs kernel='gaussian'.*plug_in_diagonal"):
        KDE(H, kernel=kernel).fit(rows)
    with pytest.raises(ParameterError, match="needs kernel='gaussian'"):
        KDE("plug_in", kernel=kernel).fit(rows)
    with pytest.raises(ParameterError, match="bounds or periods"):
        KDE(H, bounds={0: (-9, None)}).fit(rows)
    assert KDE(kernel=kernel).fit(rows).bandwidth_.shape == (2,)
    assert KDE(bounds={0: (-9, None)}).fit(rows).bandwidth_.shape == (2,)


# ---------------------------------------------------------------- adaptive


def test_adaptive_bumps_are_abramsons() -> None:
    x = np.random.default_rng(7).standard_t(2, size=60)
    pilot, model = KDE(0.4).fit(x), KDE(0.4, adaptive=True).fit(x)
    log_p = pilot.log_density(np.sort(x))
    factors = np.exp(-0.5 * (log_p - log_p.mean()))
    np.testing.assert_allclose(model.factors_, factors, rtol=1e-6)
    grid = np.linspace(-5, 5, 31)
    bumps = norm(np.sort(x), 0.4 * factors)
    np.testing.assert_allclose(model.density(grid), [bumps.pdf(v).mean() for v in grid], rtol=1e-6)
    np.testing.assert_allclose(model.cdf(grid), [bumps.cdf(v).mean() for v in grid], rtol=1e-6)
    assert model.covariance()[0, 0] == pytest.approx(x.var() + 0.16 * (factors**2).mean(), rel=1e-6)


def test_adaptive_beats_fixed_on_heavy_tails() -> None:
    rng = np.random.default_rng(8)
    x, new = rng.standard_t(2, size=400), rng.standard_t(2, size=20_000)
    fixed, adaptive = KDE().fit(x), KDE(adaptive=True).fit(x)
    assert adaptive.score(new) > fixed.score(new) + 0.1


def test_adaptive_limits(rows: np.ndarray) -> None:
    one = KDE.from_params(rows, [0.5, 2.0], factors=np.full(80, 2.0))
    np.testing.assert_allclose(one.log_density(rows), KDE([1.0, 4.0]).fit(rows).log_density(rows), atol=1e-12)
    factors = np.random.default_rng(9).uniform(0.5, 3.0, 80)
    for j in (3, 40):  # each factor stays with its own row: all weight on one leaves its bump
        alone = KDE.from_params(rows[j : j + 1], [0.5 * factors[j], 2.0 * factors[j]])
        only = KDE.from_params(rows, [0.5, 2.0], weights=np.eye(80)[j] + 1e-200, factors=factors)
        np.testing.assert_allclose(only.log_density(rows[j : j + 1]), alone.log_density(rows[j : j + 1]))


# ---------------------------------------------------------------- bounds


def test_a_bound_reflects() -> None:
    x = positive()
    model = KDE(0.3, bounds={0: (0, None)}).fit(x)
    grid = np.linspace(0, 5, 41)
    plain = KDE(0.3).fit(x)
    np.testing.assert_allclose(model.density(grid), plain.density(grid) + plain.density(-grid), rtol=1e-9)
    assert np.isneginf(model.log_density([-1e-9])).all()
    assert quad(lambda v: model.density([v])[0], 0, 12, limit=200)[0] == pytest.approx(1.0, abs=1e-7)
    draws = model.sample(4000, random_state=0, exact=True)
    assert draws.min() >= 0.0
    # an exponential is 1 at 0: the plain estimate halves it there
    assert plain.density([0.0])[0] < 0.6 < model.density([0.0])[0]


def test_both_tails_of_a_bounded_column() -> None:
    x = positive()
    model, plain = KDE(0.3, bounds={0: (0, None)}).fit(x), KDE(0.3).fit(x)
    far = np.array([20.0, 30.0])
    np.testing.assert_allclose(model.logsf(far), plain.logsf(far), rtol=1e-12)
    assert model.logsf([30.0])[0] < -2000
    near = np.array([1e-9, 1e-6, 1e-3])
    np.testing.assert_allclose(model.cdf(near), near * model.density([0.0]), rtol=1e-4)
    upper = KDE(0.3, bounds={0: (None, 0)}).fit(-x)
    np.testing.assert_allclose(upper.logcdf(-far), model.logsf(far), rtol=1e-12)
    np.testing.assert_allclose(upper.quantile([0.2, 0.7]), -model.quantile(np.array([0.8, 0.3])), rtol=1e-9)


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_two_bounds_hold_the_whole_mass(kernel: str) -> None:
    x = np.random.default_rng(3).uniform(2, 3, 40)
    for h in (0.05, 0.5, 3.0):  # three times the range: many images
        model = KDE(h, kernel=kernel, bounds={0: (2, 3)}).fit(x)
        grid = np.linspace(2, 3, 4001)
        middle = (grid[1:] + grid[:-1]) / 2
        assert model.density(middle).mean() == pytest.approx(1.0, abs=2e-3 if kernel == "tophat" else 1e-5)
        np.testing.assert_allclose(model.cdf([2.0, 3.0]), [0.0, 1.0], atol=1e-12)
        summed = np.r_[0, np.cumsum(model.density(middle)) / 4000]
        np.testing.assert_allclose(model.cdf(grid[::400]), summed[::400], atol=2e-3)
        draws = model.sample(1000, random_state=1, exact=True)
        assert draws.min() >= 2
        assert draws.max() <= 3
        assert model.mean()[0] == pytest.approx(middle @ model.density(middle) / 4000, abs=2e-3)


def test_bounds_of_one_of_two_columns(rows: np.ndarray) -> None:
    x = np.c_[np.abs(rows[:, 0]), rows[:, 1]]
    model = KDE([0.4, 2.0], bounds={0: (0, None)}).fit(x)
    plain = KDE([0.4, 2.0]).fit(x)
    mirrored = x * [-1.0, 1.0]
    np.testing.assert_allclose(model.density(x), plain.density(x) + plain.density(mirrored), rtol=1e-9)
    given = model.condition({0: 0.1})
    joint = model.log_density(np.c_[np.full(80, 0.1), x[:, 1]])
    np.testing.assert_allclose(
        given.log_density(x[:, 1]) + model.marginal([0]).log_density([0.1]), joint, atol=1e-9
    )
    bounded = model.condition({1: 21.0})
    assert bounded.bounds == {0: (0.0, None)}
    assert np.isneginf(bounded.log_density([-0.1])).all()


def test_bounds_that_exclude_rows(rows: np.ndarray) -> None:
    x = np.r_[positive(30), -0.25, -3.0]
    with pytest.raises(DataError, match=r"column 0.*exclude 2 of 32 rows: row 30 \(-0.25\), row 31 \(-3\)"):
        KDE(bounds={0: (0, None)}).fit(x)
    with pytest.raises(ParameterError, match="lower bound must lie below"):
        KDE(bounds={0: (1, 0)}).fit(x)
    with pytest.raises((ParameterError, DataError), match="column"):
        KDE(bounds={"age": (0, None)}).fit(rows)


# ---------------------------------------------------------------- periods


def test_a_period_wraps() -> None:
    x = np.mod(np.random.default_rng(4).normal(0.0, 40.0, 200), 360.0)
    model = KDE(15.0, period={0: 360}).fit(x)
    grid = np.linspace(0, 360, 721)
    shifted = KDE(15.0).fit(np.r_[x - 360, x, x + 360])
    np.testing.assert_allclose(model.density(grid), 3 * shifted.density(grid), rtol=1e-9)
    np.testing.assert_allclose(model.log_density(grid + 720), model.log_density(grid), rtol=1e-9)
    assert model.density((grid[1:] + grid[:-1]) / 2).mean() * 360 == pytest.approx(1.0, abs=1e-6)
    assert model.log_density([0.0])[0] == pytest.approx(model.log_density([360.0])[0], abs=1e-9)
    draws = model.sample(3000, random_state=0, exact=True)
    assert draws.min() >= 0
    assert draws.max() <= 360
    turned = KDE(15.0, period={0: 360}).fit(np.mod(x + 100, 360))
    np.testing.assert_allclose(turned.log_density(grid + 100), model.log_density(grid), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.cdf(model.quantile([0.01, 0.5, 0.97])), [0.01, 0.5, 0.97], atol=1e-9)


@pytest.mark.parametrize("rule", ["auto", "scott", "silverman", "likelihood_cv"])
def test_a_rule_sees_a_periodic_column_unrolled(rule: str) -> None:
    x = np.random.default_rng(4).normal(0.0, 20.0, 200)
    flat = KDE(rule).fit(x).bandwidth_
    np.testing.assert_allclose(KDE(rule, period={0: 360}).fit(np.mod(x, 360)).bandwidth_, flat, rtol=1e-6)


def test_a_period_shorter_than_the_range() -> None:
    with pytest.raises(ParameterError, match=r"period of column 0 is 24.*range from 0 to 30"):
        KDE(period={0: 24}).fit(np.linspace(0, 30, 50))
    with pytest.raises(ParameterError, match="both bounded and periodic"):
        KDE(period={0: 24}, bounds={0: (0, None)}).fit(np.linspace(0, 20, 50))
    whole = KDE(period={0: 24}).fit(np.linspace(0, 24, 50))  # both ends of one period may be there
    np.testing.assert_allclose(whole.log_density([0.0]), whole.log_density([24.0]))


def test_shapes_are_saved_and_weighted(tmp_path, rows: np.ndarray) -> None:
    x = np.c_[np.abs(rows[:, 0]), np.mod(rows[:, 1], 24.0)]
    model = KDE(adaptive=0.3, bounds={0: (0, None)}, period={1: 24}).fit(x)
    for m in (model, KDE("plug_in").fit(rows)):
        with pytest.warns(pofx.errors.PofxWarning, match="rows"):
            m.save(tmp_path / "m.pofx")
        again = pofx.load(tmp_path / "m.pofx")
        np.testing.assert_array_equal(again.log_density(x), m.log_density(x))
    w = np.random.default_rng(0).integers(1, 4, 80)
    a = KDE(adaptive=True, bounds={0: (0, None)}).fit(x, sample_weight=w)
    b = KDE(adaptive=True, bounds={0: (0, None)}).fit(np.repeat(x, w, axis=0))
    np.testing.assert_allclose(a.log_density(x), b.log_density(x), atol=1e-9)
