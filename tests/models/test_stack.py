"""The stack of densities: its laws, its weights against a direct search, its parts, its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

import pofx
from pofx.core.laws import check_model, law_data
from pofx.errors import DataError, ParameterError, UnsupportedError
from pofx.models.stack import stack_weights

ROWS = law_data(2)


def parts() -> list[pofx.Gaussian | pofx.KDE]:
    return [pofx.Gaussian(), pofx.KDE("silverman")]


@pytest.mark.parametrize("weights", [[0.3, 0.7], None])
@pytest.mark.parametrize("d", [1, 2])
def test_laws(weights: list[float] | None, d: int) -> None:
    verdicts = check_model(lambda: pofx.Stack(parts(), weights), law_data(d))
    assert sum(v == "holds" for v in verdicts.values()) >= 18


def test_a_stack_of_one_is_its_part_and_equal_parts_are_each() -> None:
    alone = pofx.Stack([pofx.KDE()]).fit(ROWS)
    np.testing.assert_allclose(alone.log_density(ROWS), pofx.KDE().fit(ROWS).log_density(ROWS), rtol=1e-12)
    assert alone.weights_.tolist() == [1.0]
    twins = pofx.Stack([pofx.Gaussian(), pofx.Gaussian()]).fit(ROWS)
    np.testing.assert_allclose(
        twins.log_density(ROWS), pofx.Gaussian().fit(ROWS).log_density(ROWS), rtol=1e-12
    )
    two = pofx.Stack([pofx.Gaussian("spherical"), pofx.Gaussian()], [0.25, 0.75]).fit(ROWS)
    mixture = pofx.GaussianMixture.from_params(
        [0.25, 0.75], [m.mean() for m in two.models_], [m.covariance() for m in two.models_]
    )
    np.testing.assert_allclose(two.log_density(ROWS), mixture.log_density(ROWS), rtol=1e-10)
    np.testing.assert_allclose(two.mean(), mixture.mean(), rtol=1e-10)
    np.testing.assert_allclose(two.covariance(), mixture.covariance(), rtol=1e-10)
    np.testing.assert_allclose(
        two.condition({0: 1.0}).quantile([0.1, 0.9]),
        mixture.condition({0: 1.0}).quantile([0.1, 0.9]),
        rtol=1e-8,
    )


def test_weights_are_those_of_largest_held_out_likelihood() -> None:
    rng = np.random.default_rng(0)
    logs, counts = rng.normal(size=(200, 2)) * 2, rng.integers(1, 4, size=200).astype(float)

    def loss(w: float) -> float:
        return -float(counts @ logsumexp(logs + np.log([w, 1 - w]), axis=1))

    best = minimize_scalar(loss, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10}).x
    assert stack_weights(logs, counts)[0] == pytest.approx(best, abs=1e-4)
    np.testing.assert_allclose(
        stack_weights(logs, counts), stack_weights(np.repeat(logs, counts.astype(int), axis=0)), rtol=1e-9
    )
    worse = np.column_stack([logs[:, 0], logs[:, 0] - 0.5])
    assert stack_weights(worse).tolist() == [1.0, 0.0]  # what never helps is left out
    impossible = np.vstack([logs, [-np.inf, -np.inf]])
    np.testing.assert_allclose(stack_weights(impossible), stack_weights(logs), rtol=1e-12)
    with pytest.raises(UnsupportedError, match="impossible"):
        stack_weights(np.full((3, 2), -np.inf))


def test_learnt_weights_recover_a_mixture_of_two_kinds() -> None:
    rng = np.random.default_rng(1)
    narrow = rng.random(3000) < 0.3
    x = np.where(narrow, rng.uniform(-0.1, 0.1, 3000), rng.normal(size=3000) * 3)
    bins = pofx.Histogram([np.array([-40.0, -0.1, 0.1, 40.0])], smoothing=0)
    model = pofx.Stack([pofx.Gaussian(), bins]).fit(x)
    alone = [pofx.Gaussian().fit(x), bins.fit(x)]
    assert model.score(x) > max(m.score(x) for m in alone) + 0.2
    assert 0.2 < model.weights_[1] < 0.6


def test_files_and_fitted_parts(tmp_path: Path) -> None:
    model = pofx.Stack(parts()).fit(ROWS)
    model.save(tmp_path / "stack.pofx")
    again = pofx.load(tmp_path / "stack.pofx")
    assert isinstance(again, pofx.Stack)
    np.testing.assert_array_equal(again.log_density(ROWS), model.log_density(ROWS))
    np.testing.assert_array_equal(again.sample(20, random_state=3), model.sample(20, random_state=3))
    fitted = [m.fit(ROWS) for m in parts()]
    made = pofx.Stack.from_models(fitted, [0.5, 0.5])
    np.testing.assert_allclose(
        made.log_density(ROWS), pofx.Stack(parts(), [0.5, 0.5]).fit(ROWS).log_density(ROWS), rtol=1e-12
    )
    assert made.n_parameters_ == sum(m.n_parameters_ for m in fitted) + 1


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ([], {}, "needs a list of models"),
        ("KDE", {}, "needs models such as"),
        ([pofx.Gaussian], {}, "needs models such as"),
        ([pofx.Gaussian(), 3], {}, "needs models such as"),
        (parts(), {"weights": [1.0]}, "2 numbers >= 0 with sum 1"),
        (parts(), {"weights": [0.7, 0.7]}, "sum 1"),
        (parts(), {"weights": [1.5, -0.5]}, "sum 1"),
        (parts(), {"folds": 1}, "folds"),
    ],
)
def test_bad_parts_and_weights(models: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        pofx.Stack(models, **options).fit(ROWS)


def test_rows_that_cannot_be_held_out() -> None:
    with pytest.raises(DataError):
        pofx.Stack([pofx.KDE(0.5), pofx.KDE(1.0)]).fit(np.ones((3, 1)))
