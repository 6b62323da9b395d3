"""bad_parameters: every hyperparameter of every model, refused by its name and what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pofx
from pofx.errors import ParameterError

NOT_A_WORD = ["fulll", 3, None, ["full"], b"full"]
NOT_POSITIVE = [0, 0.0, -1, -1.0, np.nan, np.inf, "3", True, 1j]
NOT_A_COUNT = [0, -1, 1.5, 2.0, np.nan, np.inf, "2", True, 1j]

BAD: list[tuple[str, dict[str, Any], str]] = [
    # every model
    *(("all", {"missing": v}, "missing.*error.*drop") for v in ("ignore", None, 3, "marginal")),
    *(("all", {"weight_kind": v}, "weight_kind.*frequency.*importance") for v in ("relative", 3, "", b"frequency")),
    # Gaussian
    *(("Gaussian", {"covariance_type": v}, "covariance_type.*full.*diag.*spherical") for v in NOT_A_WORD),
    *(("Gaussian", {"shrinkage": v}, "shrinkage") for v in ("lw", -0.1, 1.1, np.nan, np.inf, True, [0.1], 1j)),
    ("Gaussian", {"shrinkage": 0.5, "covariance_type": "diag"}, "shrinkage.*diag"),
    *(("Gaussian", {"covariance_type": "factor", "n_factors": v}, "n_factors") for v in [*NOT_A_COUNT, 2, 10**9]),
    # KDE
    *(("KDE", {"bandwidth": v}, "bandwidth") for v in NOT_POSITIVE),
    *(("KDE", {"bandwidth": v}, "bandwidth") for v in ("scot", None, [], [1.0], [1.0, 2.0, 3.0], [1.0, -1.0])),
    *(("KDE", {"bandwidth": v}, "bandwidth") for v in ([1.0, "2"], np.eye(2), {0: 1.0}, {0: 1.0, 1: 0.0}, b"scott")),
    *(("KDE", {"bandwidth": v}, "column") for v in ({0: 1.0, 2: 1.0}, {"a": 1.0, "b": 2.0})),
    *(("KDE", {"kernel": v}, "kernel.*gaussian") for v in ("gauss", 3, None, ["gaussian"], b"gaussian")),
    # Histogram
    *(("Histogram", {"bins": v}, "bins") for v in NOT_A_COUNT),
    *(("Histogram", {"bins": v}, "bins") for v in ("fdd", None, [], [3], [3, 4, 5], [3, 0], [0.5, 1.5], b"fd")),
    *(("Histogram", {"bins": [v, "fd"]}, "bins") for v in ([1.0, 1.0], [2.0, 1.0], [1.0, np.nan], [1.0], [[1.0, 2.0]])),
    *(("Histogram", {"bins": v}, "column") for v in ({2: 3}, {"a": 3})),
    ("Histogram", {"bins": {0: 0}}, "bins"),
    ("Histogram", {"bins": "blocks"}, "blocks.*one column"),
    *(("Histogram", {"smoothing": v}, "smoothing") for v in (-1, np.nan, np.inf, "none", None, True, 1j, [1.0])),
    # GaussianMixture
    *(("GaussianMixture", {"n_components": v}, "n_components") for v in [*NOT_A_COUNT, None, "many", []]),
    *(("GaussianMixture", {"covariance_type": v}, "covariance_type.*full") for v in ("fulll", 3, None, b"full", ["ful"])),
    *(("GaussianMixture", {"covariance_type": v}, "covariance_type") for v in ([], [3], {})),
    *(("GaussianMixture", {"tol": v}, "tol") for v in (-1.0, np.nan, np.inf, "small", None, True)),
    *(("GaussianMixture", {"max_iter": v}, "max_iter") for v in [*NOT_A_COUNT, None]),
    *(("GaussianMixture", {"n_init": v}, "n_init") for v in NOT_A_COUNT),
    *(("GaussianMixture", {"random_state": v}, "random_state") for v in (-1, 1.5, "zero", np.nan, True)),
]
MODELS = {
    "Gaussian": pofx.Gaussian,
    "KDE": pofx.KDE,
    "Histogram": pofx.Histogram,
    "GaussianMixture": lambda **given: pofx.GaussianMixture(**{"n_components": 2, "covariance_type": "full"} | given),
}
CASES = [
    pytest.param(name, given, words, id=f"{name}-{' '.join(f'{k}={v!r}' for k, v in given.items())}")
    for model, given, words in BAD
    for name in (MODELS if model == "all" else [model])
]


@pytest.mark.parametrize(("name", "given", "words"), CASES)
def test_bad_parameters(name: str, given: dict[str, Any], words: str, x: np.ndarray, refused: Any) -> None:
    """The constructor takes anything, as scikit-learn's protocol asks; fit refuses it."""
    model = MODELS[name](**given)
    with refused(f"(?s){words}", kind=ParameterError):
        model.fit(x)
    assert not hasattr(model, "params_")


@pytest.mark.parametrize("name", MODELS)
def test_unknown_parameter(name: str, refused: Any) -> None:
    with pytest.raises(TypeError, match="bandwith"):
        MODELS[name](bandwith=3.0)
    with refused("bandwith", "Valid parameters", kind=ParameterError):
        MODELS[name]().set_params(bandwith=3.0)


def test_a_word_is_corrected(x: np.ndarray, refused: Any) -> None:
    for model, word in (
        (pofx.Gaussian("sperical"), "spherical"),
        (pofx.KDE("silvermann"), "silverman"),
        (pofx.KDE(kernel="epanechnikow"), "epanechnikov"),
        (pofx.Histogram("sturge"), "sturges"),
        (pofx.GaussianMixture(2, covariance_type="sphericl"), "spherical"),
    ):
        with refused(f"Did you mean '{word}'", kind=ParameterError):
            model.fit(x)


def test_numbers_that_fit_no_column(x: np.ndarray, refused: Any) -> None:
    """Data and parameter together: a bandwidth beyond float64, edges that leave rows out."""
    with refused("bandwidth", "column 0", kind=ParameterError):
        pofx.KDE(1e-300).fit(x * 1e200)
    with refused("column 0", "edges"):
        pofx.Histogram([[0.0, 1.0], [-99.0, 99.0]]).fit(x)


@pytest.mark.parametrize("name", MODELS)
def test_bad_arguments_of_methods(name: str, model: Any, refused: Any) -> None:
    for mass in (0.0, 1.0, -0.1, 1.5, np.nan, "half"):
        with refused("mass", kind=ParameterError):
            model.hdr(mass)
    column = model.marginal([0])
    for q in (-0.1, 1.1, np.nan, [0.5, 2.0]):
        with refused("quantile", r"\[0, 1\]", kind=ParameterError):
            column.quantile(q)
    for method in (model.cdf, model.quantile):
        with refused("one column", "marginal", kind=pofx.errors.UnsupportedError):
            method([[0.5, 0.5]])
    with refused("columns", "2 and 1"):
        model.kl(column)
    with refused("kl", kind=ParameterError):
        model.kl("other")
    for n in (0, -5, 2.5):
        with refused("n must be", kind=ParameterError):
            model.entropy(n=n)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([0.0, 0.0], [[1.0, 0.0], [0.0, -1.0]]), "positive definite"),
        (([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
        (([0.0, 0.0], [[1.0, 0.5], [0.2, 1.0]]), "symmetr"),
        (([0.0, 0.0], np.eye(3)), "shape"),
        (([0.0, np.nan], np.eye(2)), "finite"),
        (([0.0, 0.0], [1.0, 0.0]), "positive"),
        (([0.0, 0.0], [1.0, 2.0, 3.0]), "shape|variances"),
        (([[0.0, 0.0]], np.eye(2)), "shape"),
        (([], []), "mean|column"),
        ((["a"], [1.0]), "mean|number"),
    ],
)
def test_bad_given_parameters_of_a_gaussian(given: Any, words: str, refused: Any) -> None:
    with refused(words, kind=ParameterError):
        pofx.Gaussian.from_params(*given)
