"""bad_parameters: every hyperparameter of every model, refused by its name and what is allowed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pofx
from pofx.errors import ParameterError

NOT_POSITIVE = [0, 0.0, -1, -1.0, np.nan, np.inf, "3", True, 1j]
NOT_A_COUNT = [0, -1, 1.5, 2.0, np.nan, np.inf, "2", True, 1j]

# model -> parameter -> what the message must hold, and values to refuse
BAD: dict[str, dict[str, tuple[str, list[Any]]]] = {
    "Gaussian": {
        "covariance_type": ("full.*diag.*spherical", ["fulll", 3, None, ["full"], b"full"]),
        "shrinkage": ("shrinkage", ["lw", -0.1, 1.1, np.nan, np.inf, True, [0.1], 1j]),
        "n_factors": ("n_factors", [*NOT_A_COUNT, 2, 10**9]),
    },
    "KDE": {
        "bandwidth": (
            "bandwidth|column",
            [
                *NOT_POSITIVE,
                *("scot", b"scott", None, [], [1.0], [1.0, 2.0, 3.0], [1.0, -1.0], [1.0, "2"], -np.eye(2)),
                *(np.eye(3), np.ones((2, 2)), [[1.0, 0.5], [0.4, 1.0]]),
                *({0: 1.0}, {0: 1.0, 1: 0.0}, {0: 1.0, 2: 1.0}, {"a": 1.0, "b": 2.0}),
            ],
        ),
        "adaptive": ("adaptive", [-0.5, 0.0, 1.5, np.nan, "yes", None]),
        "bounds": ("bounds", [(0, 1), {0: (1.0, 0.0)}, {0: (None, None)}, {0: 3.0}, {0: ("a", None)}]),
        "period": ("period", [24, {0: 0.0}, {0: -1.0}, {0: np.nan}, {0: 1e-3}]),
        "rtol": ("rtol", [-1e-9, 1.0, np.nan, "exact", None]),
        "engine": ("engine", ["fft", None, 3]),
        "memory": ("memory", [0, -1, 1e3, np.inf, "1GB"]),
        "kernel": ("kernel.*gaussian", ["gauss", 3, None, ["gaussian"], b"gaussian"]),
    },
    "Histogram": {
        "bins": (
            "bins|column",
            [
                *NOT_A_COUNT,
                *(
                    "fdd",
                    b"fd",
                    "blocks",
                    None,
                    [],
                    [3],
                    [3, 4, 5],
                    [3, 0],
                    [0.5, 1.5],
                    {2: 3},
                    {"a": 3},
                    {0: 0},
                ),
                *([edges, "fd"] for edges in ([1.0, 1.0], [2.0, 1.0], [1.0, np.nan], [1.0], [[1.0, 2.0]])),
            ],
        ),
        "smoothing": ("smoothing", [-1, np.nan, np.inf, "none", None, True, 1j, [1.0]]),
    },
    "GaussianMixture": {
        "n_components": ("n_components", [*NOT_A_COUNT, None, "many", []]),
        "covariance_type": ("covariance_type", ["fulll", 3, None, b"full", ["ful"], [], [3], {}]),
        "tol": ("tol", [0.0, -1.0, np.nan, np.inf, "small", None, True]),
        "max_iter": ("max_iter", [*NOT_A_COUNT, None]),
        "n_init": ("n_init", NOT_A_COUNT),
        "noise": ("noise must be True or False", [1, "yes", None, 0.2]),
        "labels_init": ("labels_init", [[0, 1], "even"]),
        "responsibilities_init": ("responsibilities_init", [[[0.5, 0.6]], "even"]),
        "prior": ("prior", [3, "yes"]),
        "weights_init": ("weights_init", [[0.5, 0.6], [1.5, -0.5], [1.0], [1.0, np.nan], "even"]),
        "means_init": ("means_init", [[0.0, 1.0], np.zeros((3, 2)), [[0.0], [1.0]], [[0.0, np.inf]] * 2]),
        "covariances_init": (
            "covariances_init",
            [np.eye(2), -np.ones((2, 2, 2)), np.zeros((2, 2, 2)), [[[1.0, 2.0], [2.0, 1.0]]] * 2, "wide"],
        ),
        "random_state": ("random_state", [-1, 1.5, "zero", np.nan, True]),
    },
}
EVERY: dict[str, tuple[str, list[Any]]] = {
    "missing": ("missing.*error.*drop", ["ignore", None, 3, "marginal"]),
    "weight_kind": ("weight_kind.*frequency.*importance", ["relative", 3, "", b"frequency"]),
}
BESIDE: dict[str, dict[str, Any]] = {  # what else must be given for the value to be looked at
    "n_factors": {"covariance_type": "factor"},
    "GaussianMixture": {"n_components": 2, "covariance_type": "full"},
}
MODELS = {name: getattr(pofx, name) for name in BAD}
CASES = [
    pytest.param(
        name,
        BESIDE.get(name, {}) | BESIDE.get(parameter, {}) | {parameter: value},
        words,
        id=f"{name}-{parameter}={value!r}",
    )
    for name, parameters in BAD.items()
    for parameter, (words, values) in (parameters | EVERY).items()
    for value in values
    if not (isinstance(value, str) and value == "marginal" and MODELS[name].takes_missing)
]


def test_no_parameter_is_left_out() -> None:
    for name, model in MODELS.items():
        assert set(model().get_params()) == set(BAD[name]) | set(EVERY)


@pytest.mark.parametrize(("name", "given", "words"), CASES)
def test_bad_parameters(name: str, given: dict[str, Any], words: str, x: np.ndarray, refused: Any) -> None:
    """The constructor takes anything, as scikit-learn's protocol asks; fit refuses it."""
    model = MODELS[name](**given)
    with refused(f"(?s){words}", kind=ParameterError):
        model.fit(x)
    assert not hasattr(model, "params_")


def test_parameters_that_exclude_each_other(x: np.ndarray, refused: Any) -> None:
    with refused("shrinkage", "diag", kind=ParameterError):
        pofx.Gaussian("diag", shrinkage=0.5).fit(x)
    with refused("n_components", kind=ParameterError):
        pofx.GaussianMixture([1, 2], means_init=np.zeros((2, 2))).fit(x)


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
        (([0.0, 0.0], [1.0, 2.0, 3.0]), "shape|variance"),
        (([[0.0, 0.0]], np.eye(2)), "shape"),
        (([], []), "mean|column"),
        ((["a"], [1.0]), "mean|number"),
    ],
)
def test_bad_given_parameters_of_a_gaussian(given: Any, words: str, refused: Any) -> None:
    with refused(words, kind=ParameterError):
        pofx.Gaussian.from_params(*given)
