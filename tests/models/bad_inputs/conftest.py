"""The four models, clean rows, and what "clearly refused" means.

The cases are those of a measured table of bad inputs on which seven other libraries were tried: each is
answered rightly, or refused by an error that names the cause. ``test_every_case.py`` holds their names.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import pofx

MAKERS: dict[str, Callable[[], Any]] = {
    "Gaussian": lambda: pofx.Gaussian(),
    "KDE": lambda: pofx.KDE(),
    "Histogram": lambda: pofx.Histogram(),
    "GaussianMixture": lambda: pofx.GaussianMixture(2, covariance_type="full"),
}


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each model in turn."""
    return str(request.param)


@pytest.fixture
def make(name: str) -> Callable[[], Any]:
    """Return a fresh model of each kind in turn."""
    return MAKERS[name]


def clean_rows(n: int = 200, d: int = 2) -> np.ndarray:
    """Two groups of correlated columns."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, d))
    rows[:, 1:] += 0.5 * rows[:, :1]
    rows[: n // 3] += 4.0
    return rows


@pytest.fixture
def x() -> np.ndarray:
    """Clean rows, (200, 2)."""
    return clean_rows()


@pytest.fixture
def rows() -> Callable[..., np.ndarray]:
    """Clean rows of any shape: ``rows(n, d)``."""
    return clean_rows


_clean: dict[str, Any] = {}


@pytest.fixture
def model(name: str) -> Any:
    """The model fitted to the clean rows, once. It must not be refitted."""
    if name not in _clean:
        _clean[name] = MAKERS[name]().fit(clean_rows())
    return _clean[name]


@pytest.fixture
def refused() -> Callable[..., Any]:
    """``with refused("column 1", "row 17"): ...``: one of pofx's errors, whose message holds all these."""

    @contextmanager
    def check(*words: str, kind: type[Exception] = pofx.errors.DataError) -> Iterator[None]:
        with pytest.raises(kind) as caught:
            yield
        assert isinstance(caught.value, pofx.errors.PofxError)
        message = str(caught.value)
        for word in words:
            assert re.search(word, message, re.IGNORECASE), f"{word!r} is not in: {message}"
        assert len(message) > 20, message

    return check


@pytest.fixture
def quiet_fit() -> Callable[..., tuple[Any, str]]:
    """``quiet_fit(model, rows)``: the fitted model, and all it said in warnings and in ``fit_``."""

    def fit(model: Any, rows: Any, **kwargs: Any) -> tuple[Any, str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(rows, **kwargs)
        for warning in caught:
            assert issubclass(warning.category, pofx.errors.PofxWarning), warning
        said = [str(w.message) for w in caught] + [*model.fit_.notes]
        return model, "\n".join(said)

    return fit
