"""Modes of a mixture: as many as the literature says, and where a grid and a kernel estimate have them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

import pofx
from pofx.core.modes import Modes

known = pofx.GaussianMixture.from_params


def slopes(model, x, h=1e-5):
    """The gradient and the Hessian of the log density by differences, (m, d) and (m, d, d)."""
    d = x.shape[1]
    e = np.eye(d) * h
    gradient = np.stack([model.log_density(x + u) - model.log_density(x - u) for u in e], axis=1) / (2 * h)
    big = e * 100
    mixed = [
        [
            model.log_density(x + u + v) - model.log_density(x + u - v)
            - model.log_density(x - u + v) + model.log_density(x - u - v)
            for v in big
        ]
        for u in big
    ]  # fmt: skip
    return gradient, np.moveaxis(np.array(mixed), 2, 0) / (4 * (100 * h) ** 2)


@pytest.mark.parametrize(("gap", "count"), [(1.0, 1), (1.9, 1), (1.999, 1), (2.001, 2), (2.5, 2), (40.0, 2)])
def test_equal_halves_have_two_modes_from_two_standard_deviations_on(gap, count):
    modes = known([0.5, 0.5], [0.0, gap], [1.0, 1.0]).modes()
    assert len(modes) == count
    assert modes.shares.sum() == pytest.approx(1.0)
    if count == 1:
        assert modes.points[0, 0] == pytest.approx(gap / 2, abs=1e-6)


def test_two_crossing_components_have_a_third_mode_at_their_crossing():
    """Ray and Lindsay (2005): more modes than components."""
    flat, tall = np.diag([1.0, 0.05]), np.diag([0.05, 1.0])
    modes = known([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [flat, tall]).modes()
    assert len(modes) == 3
    np.testing.assert_allclose(modes.points[0], [20 / 21, 1 / 21], atol=1e-9)
    assert modes.shares[0] == 0.0
    np.testing.assert_allclose(modes.shares[1:], 0.5)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_they_are_the_local_maxima(kind, d):
    rng = np.random.default_rng([d, len(kind)])
    a = rng.standard_normal((6, d, d)) * 0.5 + np.eye(d)
    full = a @ np.swapaxes(a, 1, 2)
    shapes = {
        "full": full,
        "tied": full[0],
        "diag": np.diagonal(full, 0, 1, 2),
        "spherical": rng.uniform(0.3, 2, 6),
    }[kind]
    model = known(
        rng.dirichlet(np.full(6, 5.0)), rng.standard_normal((6, d)) * 2.5, shapes, covariance_type=kind
    )
    modes = model.modes()
    gradient, hessian = slopes(model, modes.points)
    assert np.abs(gradient).max() < 1e-6
    assert (np.linalg.eigvalsh(hessian)[:, -1] < 0).all()
    np.testing.assert_allclose(modes.log_density, model.log_density(modes.points), rtol=1e-12)
    assert (np.diff(modes.log_density) <= 0).all()
    assert modes.shares.sum() == pytest.approx(1.0)
    # No climb of SciPy's from a draw ends anywhere else.
    for x in model.sample(25, random_state=0):
        end = minimize(lambda v: -model.log_density(v[None])[0], x, method="BFGS", options={"gtol": 1e-7}).x
        assert np.abs(modes.points - end).max(axis=1).min() < 1e-3


def test_the_modes_of_a_kernel_estimate_are_those_of_the_mixture_that_it_is():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.standard_normal((20, 2)), rng.standard_normal((15, 2)) + np.array([4.0, 2.0])])
    kernel = pofx.KDE(bandwidth=np.array([0.7, 0.5])).fit(x)
    theirs = kernel.modes()
    model = known(np.full(35, 1 / 35), x, np.diag([0.49, 0.25]), covariance_type="tied")
    ours = model.modes()
    assert isinstance(theirs, Modes)
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(ours.points, theirs.points, atol=1e-5)
    np.testing.assert_allclose(ours.shares, theirs.shares, atol=1e-12)


def test_units_one_component_and_symmetry():
    single = known([1.0], [[3.0, -2.0]], np.eye(2), covariance_type="tied").modes()
    np.testing.assert_allclose(single.points, [[3.0, -2.0]])
    a = np.array([2.0**-200, 2.0**70])
    base = known([0.3, 0.7], [[0.0, 0.0], [3.0, 1.0]], [[1.0, 0.5], [0.4, 2.0]], covariance_type="diag")
    moved = known(
        [0.3, 0.7],
        [[0.0, 0.0], [3.0, 1.0] * a],
        [[1.0, 0.5] * a**2, [0.4, 2.0] * a**2],
        covariance_type="diag",
    )
    np.testing.assert_allclose(moved.modes().points / a, base.modes().points, rtol=1e-9, atol=1e-9)
    shift = np.log(a).sum()
    np.testing.assert_allclose(moved.modes().log_density, base.modes().log_density - shift, rtol=1e-9)
    # Four equal corners: the centre is a minimum, the edges' middles saddles, at which climbs also start.
    corners = known(
        np.full(4, 0.25), [[0, 0], [3, 0], [0, 3], [3, 3]], np.eye(2), covariance_type="tied"
    ).modes()
    assert len(corners) == 4
    np.testing.assert_allclose(corners.shares, 0.25)


def test_a_fitted_mixture_has_fewer_modes_than_components():
    x = np.exp(np.random.default_rng(0).standard_normal(400))
    model = pofx.GaussianMixture(3, covariance_type="full").fit(x)
    modes = model.modes()
    assert len(modes) < 3
    grid = np.linspace(0, 5, 20_001)
    assert modes.points[0, 0] == pytest.approx(grid[model.log_density(grid).argmax()], abs=1e-3)
