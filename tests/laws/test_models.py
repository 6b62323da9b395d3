"""Every model on several worlds keeps every law."""

from __future__ import annotations

import numpy as np
import pytest

import pofx
from pofx.core.laws import check_model

MODELS = {
    "Gaussian": lambda: pofx.Gaussian(),
    "Gaussian diag": lambda: pofx.Gaussian("diag"),
    "Gaussian spherical": lambda: pofx.Gaussian("spherical"),
    "Gaussian shrunk": lambda: pofx.Gaussian(shrinkage="ledoit_wolf"),
    "KDE scott": lambda: pofx.KDE(),
    "KDE silverman": lambda: pofx.KDE("silverman"),
    "KDE epanechnikov": lambda: pofx.KDE(kernel="epanechnikov"),
    "Histogram": lambda: pofx.Histogram(),
    "Histogram pure": lambda: pofx.Histogram(smoothing=0),
    "GaussianMixture full": lambda: pofx.GaussianMixture(2, covariance_type="full"),
    "GaussianMixture tied": lambda: pofx.GaussianMixture(3, covariance_type="tied"),
    "GaussianMixture diag": lambda: pofx.GaussianMixture(2, covariance_type="diag"),
    "GaussianMixture spherical": lambda: pofx.GaussianMixture(2, covariance_type="spherical"),
}
WORLDS = {
    "gaussian": lambda: pofx.worlds.gaussian(),
    "correlated": lambda: pofx.worlds.correlated(),
    "three bumps": lambda: pofx.worlds.three_bumps(),
    "moons": lambda: pofx.worlds.moons(),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("model", MODELS)
def test_laws(model, world):
    truth = WORLDS[world]()
    rows = np.asarray(truth.sample(150, random_state=1), dtype=float)
    verdicts = check_model(MODELS[model], rows, truth=truth)
    assert sum(v == "holds" for v in verdicts.values()) >= 18


@pytest.mark.parametrize("model", MODELS)
def test_laws_in_several_dimensions(model):
    check_model(MODELS[model])


def test_laws_for_the_automatic_mixture():
    check_model(lambda: pofx.GaussianMixture([1, 2]), skip=["importance weights are relative"])
