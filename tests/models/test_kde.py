"""KDE: exact sums, other libraries, parts and tails, units, and what it refuses."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import gaussian_kde

import pofx
from pofx import KDE
from pofx.core.laws import check_model
from pofx.errors import DataError, DegenerateError, ParameterError, PofxWarning, UnsupportedError
from pofx.maths.bandwidth import Scott
from pofx.maths.kernels import KERNELS

NAMES = list(KERNELS)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.c_[rng.standard_normal(60), 100 + 7 * rng.standard_normal(60)]


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("kernel", NAMES)
def test_laws_of_every_kernel(kernel: str) -> None:
    rng = np.random.default_rng(1)
    sets = [rng.standard_normal((90, 1)) + 4, rng.standard_normal((90, 2)) @ [[3.0, 1.0], [0.0, 50.0]]]
    check_model(lambda: KDE(kernel=kernel), sets)


@pytest.mark.parametrize("bandwidth", ["silverman", "normal_reference", "isj"])
def test_laws_of_every_rule(bandwidth: str) -> None:
    rng = np.random.default_rng(2)
    check_model(lambda: KDE(bandwidth), [rng.gamma(2.0, size=(90, 1)), rng.standard_normal((90, 2))])


def test_laws_of_a_given_bandwidth() -> None:
    rng = np.random.default_rng(3)
    check_model(lambda: KDE([0.3, 2.0]), rng.standard_normal((70, 2)) * [1.0, 8.0], skip=["affine"])


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "tophat"])
@pytest.mark.parametrize("bandwidth", ["scott", "silverman", "isj"])
@pytest.mark.parametrize("a", [1e-150, -2.5, 1e150])
def test_units(kernel: str, bandwidth: str, a: float) -> None:
    x = np.random.default_rng(4).standard_normal((80, 2))
    scale = np.array([a, 1.0 / a if abs(a) < 1e100 else 1.0])
    for b in (0.0, 1e8):
        y = scale * x + b * np.abs(scale)
        back = (y - b * np.abs(scale)) / scale
        first, second = KDE(bandwidth, kernel=kernel).fit(y), KDE(bandwidth, kernel=kernel).fit(back)
        got = first.log_density(y) + np.log(np.abs(scale)).sum()
        np.testing.assert_allclose(got, second.log_density(back), rtol=0, atol=1e-6)


# ---------------------------------------------------------------- oracles


def test_r_on_faithful(faithful: Path) -> None:
    # R 4.2.2, ks 1.14.0: exact sums with a Gaussian kernel, h = 0.140043535894384.
    eruptions = np.loadtxt(faithful, delimiter=",", skiprows=1)[:, 1]
    model = KDE(0.140043535894384).fit(eruptions)
    expected = [0.492931153167643, 0.0318437291457361, 0.589900856375037]
    np.testing.assert_allclose(model.density([2.0, 3.0, 4.5]), expected, rtol=1e-12)


def test_scipy_in_one_column() -> None:
    # Published in scipy's own documentation and tests: gaussian_kde(arange(5)) at arange(5).
    x = np.arange(5.0)
    expected = [0.13480721, 0.18222869, 0.19514935, 0.18222869, 0.13480721]
    np.testing.assert_allclose(KDE("scott").fit(x).density(x), expected, atol=5e-9)
    y = np.random.default_rng(5).gamma(2.0, size=100)
    grid = np.linspace(-1, 9, 50)
    np.testing.assert_allclose(KDE("scott").fit(y).density(grid), gaussian_kde(y)(grid), rtol=1e-10)


@pytest.mark.parametrize(
    ("ours", "theirs", "scale"),
    [  # scikit-learn's bandwidth is the half-width of a compact kernel; ours its standard deviation
        ("gaussian", "gaussian", 1.0),
        ("epanechnikov", "epanechnikov", np.sqrt(5)),
        ("tophat", "tophat", np.sqrt(3)),
        ("triangular", "linear", np.sqrt(6)),
        ("cosine", "cosine", 1 / np.sqrt(1 - 8 / np.pi**2)),
    ],
)
def test_scikit_learn_in_one_column(rows: np.ndarray, ours: str, theirs: str, scale: float) -> None:
    from sklearn.neighbors import KernelDensity

    x, grid = rows[:, :1], np.linspace(-3, 3, 41)[:, None]
    expected = KernelDensity(bandwidth=0.4 * scale, kernel=theirs, rtol=0, atol=0).fit(x).score_samples(grid)
    got = KDE(0.4, kernel=ours).fit(x).log_density(grid)
    inside = np.isfinite(got)
    assert inside.sum() > 20
    np.testing.assert_allclose(got[inside], expected[inside], atol=1e-10)
    assert (expected[~inside] < -1e300).all() or np.isneginf(expected[~inside]).all()


@pytest.mark.parametrize("kernel", NAMES)
def test_exact_sum(rows: np.ndarray, kernel: str) -> None:
    model = KDE([0.5, 4.0], kernel=kernel).fit(rows)
    u = (rows[:20, None] - rows[None]) / [0.5, 4.0]
    expected = logsumexp(KERNELS[kernel].log_density(u).sum(axis=2), axis=1) - np.log(60 * 0.5 * 4.0)
    np.testing.assert_allclose(model.log_density(rows[:20]), expected, rtol=0, atol=1e-12)


def test_tails_stay_exact() -> None:
    x, h = np.array([0.0, 1.0, 1.5]), 0.25
    model = KDE(h).fit(x)
    far = np.array([1.5 + 40 * h, 1e6, -1e9])
    u = (far[:, None] - x[None]) / h
    expected = logsumexp(-0.5 * u**2, axis=1) - np.log(3 * h * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(model.log_density(far), expected, rtol=1e-14)
    assert np.isfinite(model.log_density([1e300])).all()
    assert np.isneginf(KDE(h, kernel="biweight").fit(x).log_density(far)).all()


# ---------------------------------------------------------------- parts and tails


@pytest.mark.parametrize("kernel", NAMES)
def test_parts_are_kernel_density_estimates(rows: np.ndarray, kernel: str) -> None:
    model = KDE("silverman", kernel=kernel).fit(rows)
    second = model.marginal([1])
    assert isinstance(second, KDE)
    assert second.bandwidth_[0] == model.bandwidth_[1]
    assert second.kernel == kernel
    assert second.bandwidth == "silverman"
    given = model.condition({0: 0.2})
    y = np.array([95.0, 100.0, 108.0])
    joint = model.log_density(np.c_[np.full(3, 0.2), y])
    np.testing.assert_allclose(
        given.log_density(y[:, None]) + model.marginal([0]).log_density([[0.2]]), joint, atol=1e-12
    )
    assert given.weights_.sum() == pytest.approx(1.0)


def test_conditioning_far_away_keeps_the_nearest_rows(rows: np.ndarray) -> None:
    model = KDE("scott").fit(rows)
    far = model.condition({0: 1e4})
    nearest = rows[np.argmax(rows[:, 0]), 1]
    assert far.mean()[0] == pytest.approx(nearest)
    with pytest.raises(DataError, match=r"below float64's range"):
        model.condition({0: 1e300})
    with pytest.raises(DataError, match=r"column 0 = 10000.*0.*use kernel='gaussian'"):
        KDE("scott", kernel="epanechnikov").fit(rows).condition({0: 1e4})


def test_moments_are_those_of_the_density(rows: np.ndarray) -> None:
    for kernel in ("gaussian", "cosine"):
        model = KDE([0.5, 4.0], kernel=kernel).fit(rows)
        np.testing.assert_allclose(model.mean(), rows.mean(axis=0))
        np.testing.assert_allclose(model.covariance(), np.cov(rows.T, ddof=0) + np.diag([0.25, 16.0]))


@pytest.mark.parametrize("kernel", NAMES)
def test_distribution_function(kernel: str) -> None:
    x = np.r_[np.random.default_rng(6).standard_normal(50), 12.0]
    model = KDE(0.3, kernel=kernel).fit(x)
    at = np.array([-2.0, 0.1, 6.0, 12.2])
    expected = np.exp(KERNELS[kernel].log_cdf((at[:, None] - x) / 0.3)).mean(axis=1)
    np.testing.assert_allclose(model.cdf(at), expected, rtol=1e-12)
    np.testing.assert_allclose(model.sf(at), 1 - expected, atol=1e-15)
    assert (model.logcdf([1e3, -1e3]) <= 0).all()
    q = np.array([1e-9, 0.3, 0.999])
    np.testing.assert_allclose(model.cdf(model.quantile(q)), q, rtol=1e-9, atol=1e-13)


def test_gaussian_tails_in_logs() -> None:
    model = KDE(1.0).fit(np.array([0.0, 3.0]))
    # 40 standard deviations out only the nearer bump counts: log(½ Φ(-40)), by mpmath 1.4.
    assert model.logcdf([-40.0])[0] == pytest.approx(-804.6084420137538 - np.log(2), abs=1e-9)
    assert model.logsf([43.0])[0] == pytest.approx(-804.6084420137538 - np.log(2), abs=1e-9)
    assert model.logsf([-40.0])[0] == pytest.approx(0.0, abs=1e-300)
    assert model.logcdf([model.quantile(1e-300)])[0] == pytest.approx(np.log(1e-300), rel=1e-12)


def test_samples_follow_and_keep_inside_the_support(rows: np.ndarray) -> None:
    model = KDE([0.5, 4.0], kernel="tophat").fit(rows)
    draws = model.sample(2_000, random_state=0, exact=True)
    assert np.isfinite(model.log_density(draws)).all()
    assert (np.abs(draws.mean(axis=0) - model.mean()) < [0.1, 0.8]).all()


# ---------------------------------------------------------------- bandwidths


def test_bandwidths_in_data_units(rows: np.ndarray) -> None:
    np.testing.assert_array_equal(KDE(0.5).fit(rows).bandwidth_, [0.5, 0.5])
    np.testing.assert_array_equal(KDE([0.5, 3]).fit(rows).bandwidth_, [0.5, 3.0])
    np.testing.assert_array_equal(KDE({1: 3.0, 0: np.float32(0.5)}).fit(rows).bandwidth_, [0.5, 3.0])
    np.testing.assert_array_equal(KDE(Scott()).fit(rows).bandwidth_, KDE("scott").fit(rows).bandwidth_)
    model = KDE("isj").fit(rows)
    assert "'isj'" in model.fit_.message
    assert "(column 1)" in model.fit_.message
    assert model.n_parameters_ == 60 * 2 + 2


def test_bandwidths_by_name(faithful: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(faithful)[["eruptions", "waiting"]]
    model = KDE({"waiting": 4.0, "eruptions": 0.3}).fit(frame)
    np.testing.assert_array_equal(model.bandwidth_, [0.3, 4.0])
    assert model.condition({"waiting": 80}).bandwidth == (0.3,)
    with pytest.raises(ParameterError, match="Did you mean 'waiting'"):
        KDE({"wating": 4.0, "eruptions": 0.3}).fit(frame)
    with pytest.raises(ParameterError, match="there is none for eruptions"):
        KDE({"waiting": 4.0}).fit(frame)
    with pytest.raises(ParameterError, match="twice"):
        KDE({"waiting": 4.0, 1: 3.0, 0: 1.0}).fit(frame)


@pytest.mark.parametrize(
    "bandwidth",
    [0.0, -1.0, np.nan, np.inf, "scot", None, True, [1.0, -2.0], [1.0], [1.0, 2.0, 3.0],
     [[1.0, 2.0], [2.0, 1.0]], [[1.0, 0.5], [0.4, 1.0]], np.eye(3), np.ones((2, 3)), np.ones((2, 2, 2)),
     [[1.0, 0.0], [0.0, -1.0]], [1.0, [2.0]], {0: 1.0, 5: 1.0}, {0: 0.0, 1: 1.0}, ["a", "b"], 1e-320,
     np.array(0.0)],
)  # fmt: skip
def test_impossible_bandwidths(rows: np.ndarray, bandwidth: object) -> None:
    with pytest.raises(ParameterError, match=r"bandwidth|column"):
        KDE(bandwidth).fit(rows)  # type: ignore[arg-type]


def test_unknown_kernels(rows: np.ndarray) -> None:
    with pytest.raises(ParameterError, match="kernel must be one of"):
        KDE(kernel="gausian").fit(rows)


# ---------------------------------------------------------------- rows that have no scale, or a wrong one


def test_constant_columns(rows: np.ndarray) -> None:
    flat = np.c_[rows, np.full(60, 5.0)]
    with pytest.raises(DegenerateError, match=r"column 2.*bandwidths as numbers"):
        KDE().fit(flat)
    with pytest.raises(DegenerateError, match="identical"):
        KDE("isj").fit(np.ones((9, 2)))
    model = KDE([0.5, 4.0, 1.0]).fit(flat)
    expected = KDE([0.5, 4.0]).fit(rows).log_density(rows) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(model.log_density(flat), expected, atol=1e-12)


def test_one_row() -> None:
    with pytest.raises(DataError, match="a data-driven scale needs at least 2 rows"):
        KDE().fit([[1.0, 2.0]])
    model = KDE(0.5).fit([[1.0, 2.0]])
    assert model.log_density([[1.0, 2.0]])[0] == pytest.approx(-np.log(0.25 * 2 * np.pi))


def test_one_far_out_row() -> None:
    x = np.random.default_rng(7).standard_normal((200, 2))
    y = x.copy()
    y[0, 0] = 1e12
    with pytest.warns(PofxWarning, match=r"column 0: far-out rows.*bandwidth='silverman'"):
        model = KDE("scott").fit(y)
    assert "far-out rows" in model.fit_.notes[0]
    for rule in ("auto", "silverman", "isj"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            moved = KDE(rule).fit(y).log_density(x[1:]) - KDE(rule).fit(x).log_density(x[1:])
        assert np.median(np.abs(moved)) < 0.5


def test_many_columns() -> None:
    x = np.random.default_rng(8).standard_normal((200, 500))
    model = KDE().fit(x)
    assert np.isfinite(model.log_density(x[:5])).all()
    assert np.isfinite(KDE(kernel="triweight").fit(x).log_density(x[:5])).all()


def test_importance_weights_use_the_effective_size(rows: np.ndarray) -> None:
    w = np.random.default_rng(9).random(60)
    kish = w.sum() ** 2 / (w**2).sum()
    model = KDE("scott", weight_kind="importance").fit(rows[:, 0], sample_weight=w)
    mean = np.average(rows[:, 0], weights=w)
    sd = np.sqrt(np.average((rows[:, 0] - mean) ** 2, weights=w) * kish / (kish - 1))
    assert model.bandwidth_[0] == pytest.approx(sd * kish**-0.2)


# ---------------------------------------------------------------- given, saved, asked for more


def test_from_params(rows: np.ndarray) -> None:
    model = KDE.from_params(rows, [0.5, 4.0], weights=np.full(60, 0.1), kernel="biweight")
    fitted = KDE([0.5, 4.0], kernel="biweight").fit(rows)
    np.testing.assert_allclose(model.log_density(rows), fitted.log_density(rows), atol=1e-13)
    np.testing.assert_allclose(np.sort(model.points_[:, 0]), np.sort(rows[:, 0]))
    assert model.get_params()["kernel"] == "biweight"
    one = KDE.from_params([[0.0]], 1.0)
    assert one.log_density([[0.0]])[0] == pytest.approx(-0.5 * np.log(2 * np.pi))
    for bad in ("scott", -1.0, [1.0, 2.0, 3.0]):
        with pytest.raises(ParameterError, match="bandwidth"):
            KDE.from_params(rows, bad)  # type: ignore[arg-type]


def test_saved_and_loaded(rows: np.ndarray, tmp_path: Path) -> None:
    model = KDE({0: 0.5, 1: 4.0}, kernel="cosine").fit(rows)
    with pytest.warns(PofxWarning, match="the 60 training rows themselves"):
        model.save(tmp_path / "k.pofx")
    again = pofx.load(tmp_path / "k.pofx")
    assert again.log_density(rows).tobytes() == model.log_density(rows).tobytes()
    assert again.bandwidth == {0: 0.5, 1: 4.0}


def test_values_are_checked(rows: np.ndarray) -> None:
    params = KDE().fit(rows).params_
    good = dict(params)
    KDE()._check_values(good, 2)
    for wrong in (
        {"kernel": "nope"},
        {"bandwidth": -params.bandwidth},
        {"bandwidth": params.bandwidth[:1]},
        {"points": params.points[:, :1]},
        {"points": np.full_like(params.points, np.nan)},
        {"log_weights": params.log_weights + 1.0},
        {"log_weights": params.log_weights[:3]},
    ):
        with pytest.raises(ParameterError):
            KDE()._check_values({**good, **wrong}, 2)


def test_what_it_has_not(rows: np.ndarray) -> None:
    model = KDE().fit(rows)
    with pytest.raises(UnsupportedError, match="one column"):
        model.cdf(rows)
    assert model.entropy(n=500).standard_error > 0


def test_doctest() -> None:
    import doctest

    import pofx.models.kde as module

    assert doctest.testmod(module).failed == 0
