"""Known worlds against what other routes give: quadrature, SciPy, draws, and published entropies."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

import pofx
from pofx import worlds
from pofx.errors import ParameterError, UnsupportedError

SMOOTH = {  # name -> (half the side of a square that holds all mass, finest scale)
    "correlated": (9.0, 0.4),
    "three_bumps": (13.0, 0.45),
    "eight_gaussians": (6.5, 0.35),
    "moons": (6.0, 0.2),
    "circles": (5.5, 0.24),
    "rings": (3.8, 0.08),
    "spirals": (4.5, 0.1),
    "swiss_roll": (5.0, 0.2),
    "pinwheel": (7.4, 0.15),
}
TOYS = [*SMOOTH, "checkerboard"]
ALL = worlds.names()


@pytest.fixture(scope="module")
def draws() -> dict[str, np.ndarray]:
    return {name: worlds.get(name).sample(20_000, random_state=7) for name in ALL}


@pytest.fixture(scope="module")
def log_p(draws: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: worlds.get(name).log_density(x) for name, x in draws.items()}


# ---------------------------------------------------------------- entropy

# Entropies in nats from quadrature and Monte Carlo, made outside this project from the generators of
# rtqichen/ffjord and torchcfm. Their ± are read as one standard error: two of them are allowed.
PUBLISHED = [
    ("eight_gaussians", {}, 2.835, 0.002),
    ("checkerboard", {}, math.log(32.0), 1e-12),
    ("rings", {}, 2.626, 0.002),
    ("circles", {}, 3.267, 0.002),
    ("moons", {}, 2.393, 0.004),
    ("swiss_roll", {}, 2.664, 0.005),
    ("spirals", {}, 2.635, 0.008),
    ("eight_gaussians", {"radius": 5.0, "noise": 0.1**0.25, "scale": 1.0}, 3.763, 0.002),
    ("moons", {"noise": 0.2, "scale": 3.0, "shift": (-1.0, -1.0)}, 3.878, 0.004),
]


@pytest.mark.parametrize(("name", "options", "published", "error"), PUBLISHED)
def test_entropy_is_the_published_one(name: str, options: dict, published: float, error: float) -> None:
    entropy = worlds.get(name, **options).entropy()
    assert abs(entropy - published) <= 2 * error
    assert entropy.standard_error <= 1e-6


def test_overlap_of_the_arms_keeps_the_pinwheel_below_its_published_bound() -> None:
    assert 2.31 < worlds.pinwheel().entropy() < 2.325


@pytest.mark.parametrize("name", ALL)
def test_entropy_is_the_mean_of_minus_log_density(name: str, log_p: dict[str, np.ndarray]) -> None:
    terms = -log_p[name]
    error = terms.std() / math.sqrt(len(terms))
    assert abs(worlds.get(name).entropy() - terms.mean()) <= 4 * error + 1e-12


def test_entropy_is_drawn_where_a_grid_would_be_too_fine() -> None:
    cube = [np.eye(3).tolist()] * 2
    entropy = worlds.mixture([0.5, 0.5], [[-50.0, 0.0, 0.0], [50.0, 0.0, 0.0]], cube).entropy()
    truth = math.log(2.0) + 1.5 * math.log(2.0 * math.pi * math.e)
    assert entropy.kind == "estimate"
    assert 0 < entropy.standard_error < 0.02
    assert abs(entropy - truth) < 4 * entropy.standard_error


# ---------------------------------------------------------------- the densities themselves


@pytest.mark.parametrize("name", SMOOTH)
def test_mass_is_one(name: str) -> None:
    reach, scale = SMOOTH[name]
    axis = np.linspace(-reach, reach, int(2 * reach / scale * 1.6) + 1)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = worlds.get(name).density(grid).sum() * (axis[1] - axis[0]) ** 2
    assert mass == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", TOYS)
def test_draws_fill_the_bins_as_the_density_says(name: str, draws: dict[str, np.ndarray]) -> None:
    """Chi-square of a 16 × 16 histogram over [−4, 4]² against the integrated density."""
    world, bins, nodes = worlds.get(name), 16, 4 if name in ("checkerboard", "correlated") else 8
    edges = np.linspace(-4.0, 4.0, bins + 1)
    u, w = np.polynomial.legendre.leggauss(nodes)
    axis = ((edges[:-1] + edges[1:])[:, None] / 2 + u * 0.25).ravel()
    weight = np.tile(w / 2, bins) * 0.5
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    p = world.density(grid).reshape(len(axis), -1) * np.outer(weight, weight)
    expected = p.reshape(bins, nodes, bins, nodes).sum(axis=(1, 3)).ravel() * len(draws[name])
    seen = np.histogram2d(*draws[name].T, bins=[edges, edges])[0].ravel()
    seen = np.append(seen, len(draws[name]) - seen.sum())
    expected = np.append(expected, len(draws[name]) - expected.sum())
    few = expected < 10
    seen, expected = (np.append(v[~few], v[few].sum()) for v in (seen, expected))
    used = expected > 1e-6
    assert seen[~used].sum() == 0
    chi2 = ((seen[used] - expected[used]) ** 2 / expected[used]).sum()
    assert scipy.stats.chi2.sf(chi2, used.sum() - 1) > 1e-3


@pytest.mark.parametrize("name", ALL)
def test_moments_are_those_of_the_draws(name: str, draws: dict[str, np.ndarray]) -> None:
    if name in ("cauchy", "student_t"):  # no fourth moment: the draws' own spread says nothing
        return
    x, world = draws[name], worlds.get(name)
    centred = x - world.mean()
    assert (np.abs(centred.mean(axis=0)) <= 4.5 * x.std(axis=0) / math.sqrt(len(x))).all()
    products = centred[:, :, None] * centred[:, None, :]
    error = products.std(axis=0) / math.sqrt(len(x))
    assert (np.abs(products.mean(axis=0) - world.covariance()) <= 4.5 * error).all()


def _along(x: np.ndarray, curve, end: float, density, kernel) -> float:
    """∫ density(t) kernel(x − curve(t)) dt by adaptive quadrature on many pieces."""
    pieces = np.linspace(0.0, end, 200)
    values = [
        scipy.integrate.quad(lambda t: density(t) * kernel(x - curve(t)), a, b, epsabs=1e-15, epsrel=1e-11)[0]
        for a, b in pairwise(pieces)
    ]
    return sum(values)


def _normal(sigma: float):
    return lambda u: math.exp(-0.5 * (u @ u) / sigma**2) / (2 * math.pi * sigma**2)


def test_moons_and_swiss_roll_against_adaptive_quadrature(draws: dict[str, np.ndarray]) -> None:
    def upper(t: float) -> np.ndarray:
        return np.array([2 * math.cos(t) - 1, 2 * math.sin(t) - 0.2])

    def lower(t: float) -> np.ndarray:
        return np.array([2 * (1 - math.cos(t)) - 1, 2 * (0.5 - math.sin(t)) - 0.2])

    def roll(t: float) -> np.ndarray:
        s = t + 1.5 * math.pi
        return np.array([s * math.cos(s), s * math.sin(s)]) / 5

    for x in [*draws["moons"][:3], np.array([1.0, 1.0])]:
        parts = [_along(x, c, math.pi, lambda t: 0.5 / math.pi, _normal(0.2)) for c in (upper, lower)]
        assert worlds.moons().log_density([x])[0] == pytest.approx(math.log(sum(parts)), abs=1e-10)
    for x in [*draws["swiss_roll"][:3], np.array([0.0, 3.0])]:
        p = _along(x, roll, 3 * math.pi, lambda t: 1 / (3 * math.pi), _normal(0.2))
        assert worlds.swiss_roll().log_density([x])[0] == pytest.approx(math.log(p), abs=1e-10)


def test_spirals_against_adaptive_quadrature(draws: dict[str, np.ndarray]) -> None:
    def noise(u: float) -> float:  # uniform on [0, 1/6] plus N(0, 0.1²)
        return 6 * (scipy.special.ndtr(u / 0.1) - scipy.special.ndtr((u - 1 / 6) / 0.1))

    def arm(t: float) -> np.ndarray:
        return np.array([-t * math.cos(t), t * math.sin(t)]) / 3

    for x in draws["spirals"][:3]:
        p = sum(
            _along(
                sign * x,
                arm,
                3 * math.pi,
                lambda t: t / (3 * math.pi) ** 2,
                lambda u: noise(u[0]) * noise(u[1]),
            )
            for sign in (1, -1)
        )
        assert worlds.spirals().log_density([x])[0] == pytest.approx(math.log(p), abs=1e-9)


def test_spirals_agree_where_logs_take_over_from_sums() -> None:
    x = np.stack([np.linspace(3.0, 12.0, 400), np.zeros(400)], axis=1)  # from the data to 80 σ outside
    log_p = worlds.spirals().log_density(x)
    assert np.isfinite(log_p).all()
    assert (np.abs(np.diff(log_p, 3)) < 1e-2 * np.abs(np.diff(log_p))[2:] + 1e-2).all()  # smooth
    one_by_one = np.array([worlds.spirals().log_density(row[None])[0] for row in x[::40]])
    np.testing.assert_allclose(one_by_one, log_p[::40], rtol=1e-12)


def test_rings_against_an_integral_over_the_angle() -> None:
    world = worlds.rings()
    angle = np.linspace(0, 2 * math.pi, 20_000, endpoint=False)
    for s in (0.0, 0.4, 0.75, 2.6, 3.1):
        p = 0.0
        for radius in (3.0, 2.25, 1.5, 0.75):
            gaps = (s - radius * np.cos(angle)) ** 2 + (radius * np.sin(angle)) ** 2
            p += np.exp(-0.5 * gaps / 0.08**2).mean() / (2 * math.pi * 0.08**2) / 4
        assert world.log_density([[0.6 * s, 0.8 * s]])[0] == pytest.approx(math.log(p), abs=1e-10)


def test_pinwheel_against_a_scan_for_all_origins(draws: dict[str, np.ndarray]) -> None:
    """Every (r, τ) on the circle |y| = ρ that an arm turns to y, found by sign changes of a fine scan."""
    beta = np.linspace(-math.pi, math.pi, 2_000_001)
    beta, step = (beta[:-1] + beta[1:]) / 2, beta[1] - beta[0]
    rows = np.concatenate(
        [draws["pinwheel"][:3], [[0.3, 0.1], [4.9, 0.7], [0.5, -5.6]]]
    )  # folds from ρ = 1.6 on
    for x in rows:
        rho, theta = np.hypot(*x) / 2, math.atan2(x[1], x[0])
        r, tau = rho * np.cos(beta), rho * np.sin(beta)
        turned = (beta - 0.25 * np.exp(r) - theta) / (2 * math.pi / 5)
        hits = np.flatnonzero(np.floor(turned[1:]) != np.floor(turned[:-1]))
        features = np.exp(-0.5 * (((r - 1) / 0.3) ** 2 + (tau / 0.1) ** 2)) / (2 * math.pi * 0.03)
        slope = np.abs(np.diff(turned)) / step * (2 * math.pi / 5)
        p = (features[hits] / slope[hits]).sum() / 5 / 4
        assert worlds.pinwheel().log_density([x])[0] == pytest.approx(math.log(p), abs=2e-3)


def test_pinwheel_far_away_continues_at_the_size_of_its_inside() -> None:
    angle = np.linspace(0, 2 * math.pi, 400, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    edge = 2 * math.log(40 / 0.25)
    inside, outside = (worlds.pinwheel().log_density(ring * r) for r in (edge * 0.999, edge * 1.001))
    assert np.isfinite(worlds.pinwheel().log_density(ring * 1e6)).all()
    mean = np.log(np.exp(inside - inside.max()).mean()) + inside.max()
    assert outside[0] == pytest.approx(mean, abs=2.0)  # near −90 nats


def test_gaussians_against_scipy(draws: dict[str, np.ndarray]) -> None:
    x = draws["correlated"][:50]
    truth = scipy.stats.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]])
    np.testing.assert_allclose(worlds.correlated().log_density(x), truth.logpdf(x), atol=1e-12)
    assert worlds.correlated().entropy() == pytest.approx(truth.entropy(), abs=1e-12)
    wide = worlds.gaussian(d=3, mean=2.0, sd=3.0, rho=0.5)
    np.testing.assert_allclose(
        wide.log_density([[1.0, 2.0, 5.0]]),
        scipy.stats.multivariate_normal(
            [2] * 3, 9 * 0.5 ** np.abs(np.subtract.outer(range(3), range(3)))
        ).logpdf([1, 2, 5]),
        atol=1e-12,
    )


def test_tails_and_edges_against_scipy() -> None:
    x = np.array([-1e60, -40.0, -3.0, -0.2, 0.0, 0.1, 0.7, 1.0, 5.0, 1e10])
    pairs = [
        (worlds.gaussian(mean=1.0, sd=2.0), scipy.stats.norm(1, 2)),
        (worlds.student_t(), scipy.stats.t(3)),
        (worlds.cauchy(scale=2.0), scipy.stats.cauchy(0, 2)),
        (worlds.beta(2.0, 5.0), scipy.stats.beta(2, 5)),
        (worlds.beta(), scipy.stats.beta(1, 3)),
        (worlds.exponential(2.0), scipy.stats.expon(0, 2)),
        (worlds.uniform(-1.0, 3.0), scipy.stats.uniform(-1, 4)),
    ]
    q = np.array([1e-12, 0.01, 0.5, 0.99])
    for world, truth in pairs:
        near = x[1:] if world.name in ("student_t", "gaussian") else x
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(world.log_density(near), truth.logpdf(near), rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(world.logcdf(near), truth.logcdf(near), rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(world.logsf(near), truth.logsf(near), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(world.quantile(q), truth.ppf(q), rtol=1e-9)
        levels = q[1:] if world.name == "uniform" else q  # −1 + 4e-12 has no more digits
        np.testing.assert_allclose(world.cdf(world.quantile(levels)), levels, rtol=1e-9)
        assert world.entropy() == pytest.approx(float(truth.entropy()), abs=1e-10)
    # Far out the law is a power: three decades lower, nine decades less likely.
    far = worlds.student_t().logcdf([-1e150, -1e153])
    assert far[0] - far[1] == pytest.approx(9 * math.log(10), rel=1e-12)
    assert worlds.student_t().logcdf(worlds.student_t().quantile([1e-300])) == pytest.approx(math.log(1e-300))
    assert (worlds.student_t().quantile([0.0, 1.0]) == [-np.inf, np.inf]).all()
    wide = worlds.student_t(df=4.0, d=3)
    truth3 = scipy.stats.multivariate_t(np.zeros(3), np.eye(3), df=4)
    rows = np.array([[0.0, 1.0, 2.0], [30.0, 0.0, -1e6]])
    np.testing.assert_allclose(wide.log_density(rows), truth3.logpdf(rows), rtol=1e-12)
    assert wide.entropy() == pytest.approx(float(truth3.entropy()), rel=1e-10)


def test_rounded_world_is_a_mass_function(draws: dict[str, np.ndarray]) -> None:
    world = worlds.rounded()
    assert world.measure == "mass"
    assert worlds.moons().measure == "density"
    minutes = np.arange(0.0, 161.0)
    parts = [0.36, 0.64] @ np.array(
        [np.diff(scipy.stats.norm(m, 5.9).cdf(np.arange(-0.5, 161.5))) for m in (54.6, 80.1)]
    )
    np.testing.assert_allclose(world.density(minutes)[30:120], parts[30:120], rtol=1e-10, atol=1e-15)
    assert world.density(minutes).sum() == pytest.approx(1.0, abs=1e-12)
    assert np.isneginf(world.log_density([80.5])).all()
    assert np.isfinite(world.log_density([-300.0, 500.0])).all()
    assert (draws["rounded"] == np.round(draws["rounded"])).all()
    np.testing.assert_allclose(world.cdf([60.0, 60.9]), parts[:61].sum(), rtol=1e-12)
    assert (world.cdf(world.quantile([0.1, 0.5])) >= [0.1, 0.5]).all()
    tenths = worlds.rounded([1.0], [0.0], [1.0], step=0.1)
    x = tenths.sample(500, random_state=0)
    assert np.isfinite(tenths.log_density(x)).all()
    assert (x == np.round(x, 1)).all()
    with pytest.raises(ParameterError, match="decimals"):
        worlds.rounded(step=1 / 3)


# ---------------------------------------------------------------- the verbs of a model


@pytest.mark.parametrize("name", ALL)
def test_a_world_behaves_as_a_fitted_model(name: str, draws: dict[str, np.ndarray], tmp_path: Path) -> None:
    world = worlds.get(name)
    again = world.sample(50, random_state=7)
    np.testing.assert_array_equal(again, world.sample(50, random_state=7))
    assert not np.array_equal(again, world.sample(50))
    assert again.shape == (50, world.n_features_in_)
    assert world.sample(0).shape == (0, world.n_features_in_)
    log_p = world.log_density(again)
    np.testing.assert_allclose(
        np.concatenate([world.log_density(again[i : i + 7]) for i in range(0, 50, 7)]), log_p
    )
    world.save(tmp_path / "world.pofx")
    for copy in (pofx.load(tmp_path / "world.pofx"), pickle.loads(pickle.dumps(world))):
        assert repr(copy) == repr(world)
        np.testing.assert_array_equal(copy.log_density(again), log_p)
    with pytest.raises(UnsupportedError, match="truth itself"):
        world.fit(again)


@pytest.mark.parametrize(
    "name", [n for n in ALL if n not in ("checkerboard", "beta", "exponential", "uniform", "rounded")]
)
def test_log_density_is_finite_far_away(name: str) -> None:
    world = worlds.get(name)
    for size in (1e2, 1e8, 1e150):
        rows = np.random.default_rng(0).normal(size=(20, world.n_features_in_)) * size
        assert np.isfinite(world.log_density(rows)).all()


def test_names_options_and_their_errors() -> None:
    assert repr(worlds.get("8gaussians", noise=0.3)) == "pofx.worlds.eight_gaussians(noise=0.3)"
    assert worlds.get("2spirals").name == "spirals"
    assert worlds.get("heavy_tails").name == "student_t"
    assert all(worlds.WORLDS[name].summary and hasattr(worlds, name) for name in worlds.names())
    assert set(worlds.names()) <= set(worlds.__all__)
    with pytest.raises(ParameterError, match="Did you mean 'moons'"):
        worlds.get("mons")
    with pytest.raises(ParameterError, match="noise, scale, shift"):
        worlds.moons(nois=0.2)  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match="noise must be"):
        worlds.moons(noise=-1.0)
    with pytest.raises(ParameterError, match="take at least"):
        worlds.moons(noise=1e-9)
    with pytest.raises(ParameterError, match="Take rate"):
        worlds.pinwheel(rate=5.0)
    with pytest.raises(ParameterError, match="positive definite"):
        worlds.mixture([1.0], [[0.0, 0.0]], [[[1.0, 2.0], [2.0, 1.0]]])
    with pytest.raises(UnsupportedError, match="no formula for its marginals"):
        worlds.moons().marginal([0])
    with pytest.raises(UnsupportedError, match="df > 1"):
        worlds.cauchy().mean()


def test_hyperparameters_follow_scikit_learn() -> None:
    from sklearn.base import clone

    world = worlds.moons(noise=0.3)
    assert clone(world).log_density([[0.0, 0.0]]) == world.log_density([[0.0, 0.0]])
    with pytest.raises(ParameterError):
        world.set_params(options={"nois": 1.0})
    assert world.options == {"noise": 0.3}
    world.set_params(name="gaussian", options=None)
    assert world.n_features_in_ == 1
    assert world.n_parameters_ == 0


def test_marginals_and_conditionals_of_mixtures_multiply_to_the_joint() -> None:
    for world in (
        worlds.correlated(),
        worlds.three_bumps(),
        worlds.gaussian_d(3),
        worlds.exponential(2.0, 3),
    ):
        rows = world.sample(5, random_state=0)
        marginal = world.marginal([0]).log_density(rows[:, :1])
        conditional = world.condition({0: rows[:, 0]}).log_density(rows[:, 1:])
        np.testing.assert_allclose(marginal + conditional, world.log_density(rows), rtol=1e-10)
    assert worlds.correlated().condition({0: 1.0}).mean() == pytest.approx([0.8])  # the lecture's ρx


def test_divergences_between_worlds() -> None:
    assert worlds.gaussian().kl(worlds.gaussian(mean=1.0)) == pytest.approx(0.5, abs=1e-12)
    drawn = worlds.three_bumps().kl(worlds.three_bumps())
    assert drawn == 0.0
    to_gaussian = worlds.moons().kl(worlds.gaussian(d=2, sd=2.0))
    assert to_gaussian > 0
    assert 0 < to_gaussian.standard_error < 0.05
