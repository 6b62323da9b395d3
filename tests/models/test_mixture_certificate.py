"""The certificate of an optimum: the gradient by responsibilities is the gradient by finite differences."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

import pofx
from pofx.core.fitting import Certificate, Fit
from pofx.core.fold import Blocks
from pofx.errors import ParameterError
from pofx.maths.moments import Moments
from pofx.models.mixture.batch import lower_triangle
from pofx.models.mixture.certificate import certificate_of
from pofx.models.mixture.em import Mixtures
from pofx.models.mixture.frame import Frame
from pofx.models.mixture.rows import CachedRows
from pofx.models.mixture.structures import structure

KINDS = ["full", "tied", "diag", "spherical"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(11)
    x = rng.standard_normal((80, 2)) @ [[1.0, 0.4], [0.0, 1.5]] + 2.0 * rng.integers(0, 2, (80, 1))
    return x, rng.integers(1, 4, 80).astype(float)


def some_parameters(kind):
    """Parameters that are no optimum, in scikit-learn's shapes."""
    weights, means = np.array([0.3, 0.7]), np.array([[-0.2, 0.5], [1.9, 1.6]])
    covariances = {
        "full": np.array([[[1.1, 0.3], [0.3, 2.0]], [[0.8, -0.2], [-0.2, 1.4]]]),
        "tied": np.array([[1.0, 0.2], [0.2, 1.7]]),
        "diag": np.array([[1.1, 2.0], [0.8, 1.4]]),
        "spherical": np.array([1.2, 0.9]),
    }[kind]
    return weights, means, covariances


def by_responsibilities(kind, x, w, weights, means, covariances):
    """Return the certificate at these parameters, through the engine."""
    full = {
        "full": lambda: covariances,
        "tied": lambda: np.stack([covariances] * 2),
        "diag": lambda: covariances,
        "spherical": lambda: np.repeat(covariances[:, None], 2, axis=1),
    }[kind]()
    s = structure(kind)
    frame = Frame.of(Moments.of(x, w), np.zeros(2, np.int64), diagonal=s.diagonal)
    inside = CachedRows(frame.rows(x), w, frame, diagonal=s.diagonal)
    mixtures = Mixtures([2], [s])
    own = frame.covariances(full)
    own = own if s.diagonal else own[lower_triangle(2)]
    state = np.concatenate([(weights * w.sum())[None], frame.means(means), own])
    cov, _ = mixtures.m_step(state, inside)
    _, reached = inside.e_step(np.log(weights), state[1:3], cov, mixtures.segments, centred=True)
    return certificate_of(mixtures, state, reached, inside)


def slope(function, at, direction, step=1e-5):
    return (function(at + step * direction) - function(at - step * direction)) / (2.0 * step)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_by_responsibilities_is_the_numerical_one(kind, rows):
    x, w = rows
    weights, means, covariances = some_parameters(kind)

    def log_likelihood(a=weights, m=means, c=covariances):
        model = pofx.GaussianMixture.from_params(a, m, c, covariance_type=kind)
        return float(w @ model.log_density(x))

    model = pofx.GaussianMixture.from_params(weights, means, covariances, covariance_type=kind)
    n = w @ model.predict_proba(x)
    total = w.sum()
    certificate = by_responsibilities(kind, x, w, weights, means, covariances)

    # Weights: towards component k the slope is n_k / α_k, less what all lose together, Σw.
    towards = [slope(lambda a: log_likelihood(a=a), weights, np.eye(2)[k] - weights) for k in range(2)]
    np.testing.assert_allclose(towards, n / weights - total, rtol=1e-6)
    expected = np.sqrt((weights * np.array(towards) ** 2).sum() / total)
    assert certificate.gradient["weights"] == pytest.approx(expected, rel=1e-6)
    assert certificate.multiplier == pytest.approx(np.max(towards) + total, rel=1e-6)

    # Means: information n_k Σ_k⁻¹.
    full = np.stack([np.diag(np.broadcast_to(c, 2)) if np.ndim(c) < 2 else c for c in covariances])
    full = np.stack([covariances] * 2) if kind == "tied" else full
    length = 0.0
    for k in range(2):
        unit = np.zeros((2, 2, 2))
        unit[:, k] = np.eye(2)
        g = np.array([slope(lambda m: log_likelihood(m=m), means, u) for u in unit])
        length += g @ full[k] @ g / n[k]
    assert certificate.gradient["means"] == pytest.approx(np.sqrt(length), rel=1e-6)

    # Covariances: information ½ n_k Σ_k⁻¹ ⊗ Σ_k⁻¹, in the parameters that the structure leaves free.
    def along(direction):
        return slope(lambda c: log_likelihood(c=c), covariances, direction)

    if kind in ("full", "tied"):
        length = 0.0
        for k, (c, size) in enumerate(
            [(covariances, total)] if kind == "tied" else zip(full, n, strict=True)
        ):
            g = np.empty((2, 2))
            for i in range(2):
                for j in range(2):
                    unit = np.zeros((2, 2))
                    unit[i, j] += 0.5
                    unit[j, i] += 0.5
                    where = np.zeros_like(covariances)
                    where[... if kind == "tied" else k] = unit
                    g[i, j] = along(where)
            length += 2.0 / size * np.trace(g @ c @ g @ c)
    elif kind == "diag":
        g = np.array([[along(np.outer(np.eye(2)[k], np.eye(2)[j])) for j in range(2)] for k in range(2)])
        length = (g**2 * 2.0 * covariances**2 / n[:, None]).sum()
    else:
        g = np.array([along(np.eye(2)[k]) for k in range(2)])
        length = (g**2 * covariances**2 / n).sum()  # 2 λ² / (n d), d = 2
    assert certificate.gradient["covariances"] == pytest.approx(np.sqrt(length), rel=1e-6)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical", "VEV", "EVE", "VVE", "EVI", "VEE"])
def test_at_the_optimum_it_vanishes_and_the_multiplier_is_the_sum_of_the_weights(name, rows):
    x, w = rows
    certificate = pofx.GaussianMixture(2, covariance_type=name).fit(x, sample_weight=w).fit_.certificate
    assert set(certificate.gradient) == {"weights", "means", "covariances"}
    assert max(certificate.gradient.values()) < 1e-6
    assert certificate.multiplier == pytest.approx(w.sum(), rel=1e-6)


def test_the_multiplier_bounds_what_other_weights_could_gain(rows):
    x, w = rows
    weights, means, covariances = some_parameters("full")
    certificate = by_responsibilities("full", x, w, weights, means, covariances)

    def log_likelihood(a):
        return float(w @ pofx.GaussianMixture.from_params([a, 1.0 - a], means, covariances).log_density(x))

    best = max(log_likelihood(a) for a in np.linspace(0.01, 0.99, 99))
    gain = best - log_likelihood(weights[0])
    assert 0.1 < gain <= certificate.multiplier - w.sum()


def test_half_the_square_predicts_the_gain_of_a_step(rows):
    """Before the end the certificate says so: the gain that is left is about half its square or more."""
    x, _ = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        early = pofx.GaussianMixture(2, covariance_type="full", means_init=x[:2], max_iter=3).fit(x)
    end = pofx.GaussianMixture(2, covariance_type="full", means_init=x[:2]).fit(x)
    left = end.fit_.trace[-1] - early.fit_.trace[-1]
    predicted = 0.5 * sum(v * v for v in early.fit_.certificate.gradient.values())
    assert predicted > 1e-4
    assert 0.3 * predicted < left
    assert "standard errors" in str(early.fit_.certificate)


def test_units_do_not_matter(rows):
    x, _ = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        how = {"covariance_type": "full", "max_iter": 3}
        label = (x[:, 0] > 1).astype(int)
        a = pofx.GaussianMixture(2, labels_init=label, **how).fit(x)
        b = pofx.GaussianMixture(2, labels_init=label, **how).fit(x * [1e-9, 4.0] + [0.0, 100.0])
    for name, value in a.fit_.certificate.gradient.items():
        assert b.fit_.certificate.gradient[name] == pytest.approx(value, rel=1e-5)


def test_one_component_and_many_rows():
    x = np.random.default_rng(0).standard_normal((9000, 3))
    for model in (
        pofx.GaussianMixture(1, covariance_type="full").fit(x),
        pofx.GaussianMixture(2, covariance_type="tied", tol=1e-3).fit(Blocks([x[:4000], x[4000:]])),
    ):
        certificate = model.fit_.certificate
        assert certificate.multiplier == pytest.approx(9000, rel=1e-4)
        assert max(certificate.gradient.values()) < 0.1


def test_it_is_kept_in_files_and_older_files_have_none(rows, tmp_path):
    x, _ = rows
    model = pofx.GaussianMixture(2, covariance_type="diag").fit(x)
    model.save(tmp_path / "m.pofx")
    assert pofx.load(tmp_path / "m.pofx").fit_.certificate == model.fit_.certificate
    plain = model.fit_.to_json()
    del plain["certificate"]
    plain["trace"], plain["notes"] = list(plain["trace"]), list(plain["notes"])
    assert Fit.from_json(plain).certificate is None
    with pytest.raises(ParameterError, match="certificate"):
        Fit.from_json({**plain, "certificate": {"gradient": {"means": "0"}, "multiplier": None}})
    assert pofx.Gaussian().fit(x).fit_.certificate is None
    assert str(Certificate({"means": 0.5})) == "Gradient in standard errors: means 5.0e-01."
    assert dataclasses.asdict(model.fit_)["certificate"]["multiplier"] == pytest.approx(80.0)
