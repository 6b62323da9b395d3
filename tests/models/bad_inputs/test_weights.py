"""Row weights: whole numbers repeat rows, and everything else is asked about."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pofx
from pofx.errors import WeightError

FIXED = {  # nothing chosen from the data
    "Gaussian": lambda: pofx.Gaussian("diag"),
    "KDE": lambda: pofx.KDE([0.4, 0.6]),
    "Histogram": lambda: pofx.Histogram([[-6.0, 0.0, 3.0, 9.0], [-8.0, 1.0, 12.0]], smoothing=0.5),
    "GaussianMixture": lambda: pofx.GaussianMixture(1, covariance_type="full"),
}


@pytest.fixture
def w() -> np.ndarray:
    """Whole weights, zeros among them."""
    return np.random.default_rng(1).integers(0, 4, size=200)


@pytest.mark.parametrize("name", FIXED)
def test_w_int_equals_repetition(name: str, x: np.ndarray, w: np.ndarray) -> None:
    weighted = FIXED[name]().fit(x, sample_weight=w)
    repeated = FIXED[name]().fit(np.repeat(x, w, axis=0))
    assert np.abs(weighted.log_density(x) - repeated.log_density(x)).max() < 1e-9
    assert weighted.fit_.effective_n == repeated.fit_.n_rows == w.sum()


def test_w_int_equals_repetition_auto(make: Any, x: np.ndarray, w: np.ndarray) -> None:
    weighted, repeated = make().fit(x, sample_weight=w), make().fit(np.repeat(x, w, axis=0))
    assert np.abs(weighted.log_density(x) - repeated.log_density(x)).max() < 1e-6


def test_w_scale_invariance(make: Any, x: np.ndarray, w: np.ndarray) -> None:
    """By default 7w is seven times the data; with weight_kind="importance" only ratios count."""
    relative = make().set_params(weight_kind="importance")
    a = relative.fit(x, sample_weight=w).log_density(x)
    n = relative.fit_.effective_n
    b = relative.fit(x, sample_weight=7 * w).log_density(x)
    c = relative.fit(x, sample_weight=w / 7).log_density(x)
    assert np.abs(a - b).max() < 1e-6
    assert np.abs(a - c).max() < 1e-6
    assert n == pytest.approx(w.sum() ** 2 / (w**2).sum())  # Kish
    assert relative.fit_.effective_n == pytest.approx(n)
    assert make().fit(x, sample_weight=7 * w).fit_.effective_n == 7 * w.sum()


def test_w_some_zero_equals_drop(make: Any, x: np.ndarray) -> None:
    w = np.ones(200)
    w[::3] = 0
    spoilt = x.copy()
    spoilt[::3] *= 1e6  # rows of no weight may be anywhere
    model, fewer = make().fit(spoilt, sample_weight=w), make().fit(x[w > 0])
    assert np.array_equal(model.log_density(x), fewer.log_density(x))
    assert model.fit_.n_rows == fewer.fit_.n_rows


BAD = {
    "w_negative": (-1.0, "negative"),
    "w_nan": (np.nan, "NaN"),
    "w_inf": (np.inf, "infinite"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", [None, "frequency", "importance"])
def test_bad_weight(make: Any, x: np.ndarray, refused: Any, case: str, kind: str | None) -> None:
    value, word = BAD[case]
    w = np.ones(200)
    w[[17, 31]] = value
    with refused("sample_weight", word, "2 of 200", "row 17", kind=WeightError):
        make().set_params(weight_kind=kind).fit(x, sample_weight=w)
    with refused("sample_weight", word, "row 17", kind=WeightError):
        make().set_params(weight_kind=kind).fit(x).score(x, sample_weight=w)


@pytest.mark.parametrize("kind", [None, "frequency", "importance"])
def test_w_all_zero(make: Any, x: np.ndarray, refused: Any, kind: str | None) -> None:
    with refused("sample_weight", "zero", kind=WeightError):
        make().set_params(weight_kind=kind).fit(x, sample_weight=np.zeros(200))


def test_w_all_zero_but_one(make: Any, x: np.ndarray, refused: Any) -> None:
    with refused("2 rows", "1 sample"):
        make().fit(x, sample_weight=np.eye(200)[0])


def test_w_wrong_length(make: Any, x: np.ndarray, refused: Any) -> None:
    for shape in ((199,), (201,), (200, 1), (1, 200), ()):
        with refused("sample_weight", r"\(200,\)", kind=WeightError):
            make().fit(x, sample_weight=np.ones(shape))


def test_w_1e308(make: Any, x: np.ndarray, w: np.ndarray, refused: Any) -> None:
    huge = np.where(w > 0, 1e308, 0.0)
    model = make().set_params(weight_kind="importance").fit(x, sample_weight=huge)
    expected = make().fit(x[w > 0]).log_density(x)
    assert np.abs(model.log_density(x) - expected).max() < 1e-6
    for kind in (None, "frequency"):
        with refused("sample_weight", "importance", kind=WeightError):
            make().set_params(weight_kind=kind).fit(x, sample_weight=huge)


def test_w_denormal(make: Any, x: np.ndarray, w: np.ndarray, refused: Any) -> None:
    tiny = np.where(w > 0, 5e-324, 0.0)
    model = make().set_params(weight_kind="importance").fit(x, sample_weight=tiny)
    expected = make().fit(x[w > 0]).log_density(x)
    assert np.abs(model.log_density(x) - expected).max() < 1e-6
    for kind in (None, "frequency"):
        with refused("sample_weight", "importance", kind=WeightError):
            make().set_params(weight_kind=kind).fit(x, sample_weight=tiny)


def test_w_text(make: Any, x: np.ndarray, refused: Any) -> None:
    for text in (np.full(200, "1.0"), ["1"] * 200, np.full(200, "1.0", dtype=object), np.full(200, 1j)):
        with refused("sample_weight", "number", kind=WeightError):
            make().fit(x, sample_weight=text)


def test_w_not_whole(make: Any, x: np.ndarray, refused: Any) -> None:
    w = np.ones(200)
    w[17] = 0.5
    with refused("sample_weight", "whole", "row 17", "frequency", "importance", kind=WeightError):
        make().fit(x, sample_weight=w)
    assert make().set_params(weight_kind="frequency").fit(x, sample_weight=w).fit_.effective_n == 199.5
    with refused("weight_kind", "frequency", "importance", kind=pofx.errors.ParameterError):
        make().set_params(weight_kind="relative").fit(x, sample_weight=w)


def test_weights_of_masked_and_missing_rows(make: Any, x: np.ndarray, refused: Any) -> None:
    w = np.ma.MaskedArray(np.ones(200), mask=False)
    w[17] = np.ma.masked
    with refused("sample_weight", "masked", kind=WeightError):
        make().fit(x, sample_weight=w)
    x[5, 0] = np.nan
    weights = np.arange(200) % 3
    dropping = make().set_params(missing="drop").fit(x, sample_weight=weights)  # weights as long as X came
    keep = np.arange(200) != 5
    expected = make().fit(x[keep], sample_weight=weights[keep])
    assert np.array_equal(dropping.log_density(x[:5]), expected.log_density(x[:5]))
