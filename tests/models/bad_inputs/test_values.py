"""Missing, infinite, too few, constant and dependent values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pofx
from pofx.errors import DegenerateError, PofxWarning


def test_nan_in_fit(make: Any, x: np.ndarray, refused: Any) -> None:
    x[17, 1] = np.nan
    x[19, 1] = np.nan
    with refused("NaN", "column 1", "2 of 200 rows", "row 17", "drop"):
        make().fit(x)
    model = make().set_params(missing="drop").fit(x)
    assert (model.fit_.n_rows, model.fit_.n_dropped) == (198, 2)
    whole = make().fit(np.delete(x, [17, 19], axis=0))
    assert np.array_equal(model.log_density(x[:9]), whole.log_density(x[:9]))
    with refused("missing", "drop", "error", kind=pofx.errors.ParameterError):
        make().set_params(missing="ignore").fit(x)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_inf_in_fit(make: Any, x: np.ndarray, refused: Any, value: float, missing: str) -> None:
    x[17, 1] = value
    with refused("infinit", "column 1", "row 17"):
        make().set_params(missing=missing).fit(x)


def test_all_nan_column(make: Any, x: np.ndarray, refused: Any) -> None:
    x[:, 1] = np.nan
    with refused("NaN", "column 1", "all 200 rows"):
        make().fit(x)
    with refused("column 1", "every row"):
        make().set_params(missing="drop").fit(x)


def test_nan_in_query(model: Any, x: np.ndarray, refused: Any) -> None:
    x[17, 1] = np.nan
    for method in (model.log_density, model.score_samples, model.score, model.density):
        with refused("NaN", "column 1", "row 17"):
            method(x)


def test_inf_in_query(model: Any, x: np.ndarray, refused: Any) -> None:
    x[17, 1] = -np.inf
    with refused("infinit", "column 1", "row 17"):
        model.log_density(x)


def test_empty_rows(make: Any, refused: Any) -> None:
    for empty in (np.empty((0, 2)), np.empty(0), []):
        with refused("0 rows|0 sample"):
            make().fit(empty)
    with refused("0 rows|no block"):
        make().fit(pofx.core.fold.Blocks([]))


def test_zero_columns(make: Any, refused: Any) -> None:
    for empty in (np.empty((5, 0)), [[], []]):
        with refused("0 (feature|column)"):
            make().fit(empty)


def test_one_row(make: Any, x: np.ndarray, refused: Any) -> None:
    with refused("2 rows", "1 sample"):
        make().fit(x[:1])


def test_one_row_is_enough_where_the_scale_is_given(x: np.ndarray) -> None:
    kde = pofx.KDE(0.5).fit(x[:1])
    z = (x[1] - x[0]) / 0.5
    expected = -0.5 * z @ z - np.log(2 * np.pi * 0.25)
    assert kde.log_density(x[1:2])[0] == pytest.approx(expected, abs=1e-12)
    box = pofx.Histogram([[-9.0, 9.0], [-9.0, 9.0]]).fit(x[:1])
    assert box.density(x[:1])[0] == pytest.approx(18.0**-2)


def test_two_rows_2d(name: str, make: Any, x: np.ndarray, refused: Any, quiet_fit: Any) -> None:
    two = x[:2]
    if name in ("Gaussian", "GaussianMixture"):  # no full covariance exists
        with refused("2 (rows|samples|distinct)|n_samples = 2", "diag|shrinkage|fewer"):
            make().fit(two)
        return
    model, _ = quiet_fit(make(), two)  # a bump or a bin per column needs two different values, and has them
    scaled, _ = quiet_fit(make(), two * 1e-6)
    gap = scaled.log_density(two * 1e-6) + 2 * np.log(1e-6) - model.log_density(two)
    assert np.abs(gap).max() < 1e-6


@pytest.mark.parametrize("value", [0.0, 5.0, -1e300, 3e-310])
def test_constant_column(make: Any, x: np.ndarray, refused: Any, value: float) -> None:
    import pandas as pd

    x[:, 1] = value
    with refused("constant", "column 1", kind=DegenerateError):
        make().fit(x)
    with refused("constant", "height", kind=DegenerateError):
        make().fit(pd.DataFrame(x, columns=["age", "height"]))


def test_constant_column_is_fine_where_the_scale_is_given(x: np.ndarray) -> None:
    x[:, 1] = 5.0
    kde = pofx.KDE([0.5, 2.0]).fit(x)
    alone = pofx.KDE(0.5).fit(x[:, :1])
    expected = alone.log_density(x[:, :1]) - 0.5 * np.log(2 * np.pi * 4.0)
    assert np.allclose(kde.log_density(x), expected, rtol=0, atol=1e-12)
    box = pofx.Histogram({1: [4.5, 5.5, 6.5]}, smoothing=0).fit(x)
    assert np.isfinite(box.log_density(x)).all()


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e9])
def test_constant_column_rescaled(make: Any, x: np.ndarray, refused: Any, factor: float) -> None:
    x[:, 1] = 5.0
    with refused("constant", "column 1", kind=DegenerateError):
        make().fit(x * factor)


def test_a_nearly_constant_column_follows_its_units(make: Any, x: np.ndarray, quiet_fit: Any) -> None:
    """Two values one float apart: no hidden regulariser may set the scale."""
    x[:, 1] = 5.0
    x[::2, 1] = np.nextafter(5.0, 6.0)
    try:
        model, _ = quiet_fit(make(), x)
        scaled, _ = quiet_fit(make(), x * 1024.0)
    except DegenerateError as refusal:
        assert "column 1" in str(refusal)
        return
    gap = scaled.log_density(x * 1024.0) + 2 * np.log(1024.0) - model.log_density(x)
    assert np.abs(gap).max() < 1e-6


def test_all_rows_identical(make: Any, x: np.ndarray, refused: Any) -> None:
    x[:] = x[0]
    with refused("identical|constant", "200 rows", kind=DegenerateError):
        make().fit(x)


def test_duplicate_column(name: str, make: Any, x: np.ndarray, refused: Any, quiet_fit: Any) -> None:
    x = np.column_stack([x, x[:, 0]])
    if name in ("Gaussian", "GaussianMixture"):
        with refused("column 0", "column 2", "collinear", kind=DegenerateError):
            make().fit(x)
        return
    model, _ = quiet_fit(make(), x)  # bumps and cells have a volume of their own
    assert np.isfinite(model.log_density(x)).all()
    sample = model.sample(2000, random_state=0, exact=True)
    assert np.corrcoef(sample[:, 0], sample[:, 2])[0, 1] > 0.8


def nearly(x: np.ndarray, size: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=len(x))
    return np.column_stack([x, x[:, 0] + size * x[:, 0].std() * noise])


def test_near_collinear_1e_9(name: str, make: Any, x: np.ndarray, refused: Any, quiet_fit: Any) -> None:
    """An eigenvalue of 1e-18 is beyond what a covariance in float64 can hold."""
    x = nearly(x, 1e-9)
    if name in ("Gaussian", "GaussianMixture"):
        with refused("collinear", "column 0", "column 2", kind=DegenerateError):
            make().fit(x)
        return
    model, _ = quiet_fit(make(), x)
    assert np.isfinite(model.log_density(x)).all()


@pytest.mark.parametrize("name", ["Gaussian", "GaussianMixture"])
def test_near_collinear_1e_6(name: str, make: Any, x: np.ndarray) -> None:
    x = nearly(x, 1e-6)
    with pytest.warns(PofxWarning, match="condition number") as caught:
        model = make().fit(x)
    said = " ".join(str(c.message) for c in caught)
    assert "column 0" in said
    assert "column 2" in said
    assert any("condition number" in note for note in model.fit_.notes)
    # the density across the columns is right all the same: p(x2 | x0) is a normal of sd 1e-6
    one = make().set_params(**({"n_components": 1} if name == "GaussianMixture" else {}))
    with pytest.warns(PofxWarning, match="condition number"):
        one.fit(x)
    across = np.linalg.lstsq(np.column_stack([x[:, :2], np.ones(len(x))]), x[:, 2], rcond=None)[1][0] / len(x)
    joint = -0.5 * (
        3 * (1 + np.log(2 * np.pi)) + np.linalg.slogdet(np.cov(x[:, :2].T, bias=True))[1] + np.log(across)
    )
    assert one.score(x) == pytest.approx(joint, abs=1e-3)


def test_n_less_than_d(name: str, make: Any, rows: Any, refused: Any, quiet_fit: Any) -> None:
    wide = rows(8, 12)
    if name in ("Gaussian", "GaussianMixture"):
        with refused("8", "12", "diag|shrinkage", kind=DegenerateError):
            make().fit(wide)
        return
    model, _ = quiet_fit(make(), wide)
    assert np.isfinite(model.log_density(wide)).all()


def test_n_less_than_d_has_the_remedies_it_names(rows: Any, quiet_fit: Any) -> None:
    wide = rows(8, 12)
    for model in (
        pofx.Gaussian(shrinkage="ledoit_wolf"),
        pofx.Gaussian(shrinkage="oas"),
        pofx.Gaussian("diag"),
        pofx.Gaussian("factor", n_factors=2),
    ):
        quiet_fit(model, wide)
        assert np.isfinite(model.log_density(wide)).all()


def test_k_greater_than_n(x: np.ndarray, refused: Any) -> None:
    with refused("9", "5"):
        pofx.GaussianMixture(9, covariance_type="diag").fit(x[:5])


def test_k_greater_than_distinct(x: np.ndarray, refused: Any) -> None:
    repeated = np.tile(x[:3], (60, 1))
    with refused("8", "3 (are )?distinct"):
        pofx.GaussianMixture(8, covariance_type="diag").fit(repeated)


def test_high_dim_500(name: str, make: Any, rows: Any, refused: Any, quiet_fit: Any) -> None:
    wide = rows(200, 500)
    if name in ("Gaussian", "GaussianMixture"):
        with refused("500", "200", kind=DegenerateError):
            make().fit(wide)
        shape = {"covariance_type": "diag"}
        model, _ = quiet_fit(make().set_params(**shape), wide)
    else:
        model, _ = quiet_fit(make(), wide)
    assert np.isfinite(model.log_density(wide)).all()
    assert model.sample(2, random_state=0).shape == (2, 500)


def test_high_dim_500_with_more_rows(rows: Any) -> None:
    tall = rows(600, 500)
    model = pofx.Gaussian().fit(tall)
    log_p = model.log_density(tall)
    # the mean log-likelihood at the maximum is known in closed form
    sign, log_det = np.linalg.slogdet(np.cov(tall.T, bias=True))
    assert sign == 1
    assert log_p.mean() == pytest.approx(-0.5 * (500 * np.log(2 * np.pi) + log_det + 500), rel=1e-10)


@pytest.mark.parametrize("outlier", [[1e12, 1e12], [1e12, 0.0], [2.0, -1e5]])
def test_one_outlier_1e12(make: Any, x: np.ndarray, model: Any, quiet_fit: Any, outlier: list[float]) -> None:
    """The bulk's log density moves by less than 1 nat, or a warning or the refusal says why not."""
    spoilt = np.vstack([x, outlier])
    try:
        fitted, said = quiet_fit(make(), spoilt)
    except DegenerateError as refusal:
        assert "outlier" in str(refusal).lower()
        return
    moved = np.median(np.abs(fitted.log_density(x) - model.log_density(x)))
    assert moved < 1.0 or "outlier" in said.lower() or "far-out" in said, (
        f"moved {moved:.3g} nats and said {said!r}"
    )


def test_far_query_1e6_sigma(name: str, model: Any) -> None:
    far = np.array([[1e6, -1e6], [1e150, 0.0], [-1e300, 1e300]])
    log_p = model.log_density(far)
    assert not np.isnan(log_p).any()
    if name == "Histogram":  # outside its box, which is where its support ends
        assert np.isneginf(log_p).all()
    else:
        assert np.isfinite(log_p).all()
        assert (log_p < -1e10).all()
