"""The density follows the units, exactly; offsets and number types change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pofx


def gap_after_scaling(make: Any, model: Any, x: np.ndarray, factor: np.ndarray) -> float:
    scaled = make().fit(x * factor)
    return float(np.abs(scaled.log_density(x * factor) + np.log(factor).sum() - model.log_density(x)).max())


SCALES = {
    "scale_1e-8": [1e-8, 1e-8],
    "scale_1e-3": [1e-3, 1e-3],
    "scale_1e8": [1e8, 1e8],
    "scale_mixed_1e-8_1e8": [1e-8, 1e8],
    "scale_1e150": [1e150, 1e150],
    "scale_1e300": [1e300, 1e300],
    "scale_1e-150": [1e-150, 1e-150],
    "scale_1e-300": [1e-300, 1e-300],
    "scale_mixed_1e-300_1e300": [1e-300, 1e300],
}


@pytest.mark.parametrize("case", SCALES)
def test_scale(make: Any, model: Any, x: np.ndarray, case: str) -> None:
    assert gap_after_scaling(make, model, x, np.array(SCALES[case])) < 1e-6


@pytest.mark.parametrize("case", ["scale_1e300", "scale_1e-300"])
def test_scaled_models_can_be_used(make: Any, x: np.ndarray, case: str, refused: Any) -> None:
    factor = np.array(SCALES[case])
    model = make().fit(x * factor)
    sample = model.sample(1000, random_state=0, exact=True)
    assert np.isfinite(sample).all()
    assert np.abs(sample.mean(axis=0) / factor - x.mean(axis=0)).max() < 0.5
    assert np.isfinite(model.density(x)).all() or case == "scale_1e-300"  # exp may overflow, quietly
    assert np.abs(model.mean() / factor - x.mean(axis=0)).max() < 0.5
    if case == "scale_1e300":  # squares leave float64, and that is said
        with refused("covariance", "float64", kind=pofx.errors.NumericalError):
            model.covariance()
    conditional = model.condition({0: x[0, 0] * factor[0]})
    assert np.isfinite(conditional.log_density(x[:1, 1:] * factor[1])).all()


@pytest.mark.parametrize("case", ["offset_1e6", "offset_1e9"])
def test_offset(make: Any, x: np.ndarray, case: str) -> None:
    offset = float(case.removeprefix("offset_")) * np.array([1.0, -1.0])
    moved = x + offset
    model = make().fit(moved - offset)  # the rows as they are after rounding
    assert np.abs(make().fit(moved).log_density(moved) - model.log_density(moved - offset)).max() < 1e-6


def same(make: Any, variant: Any, x: np.ndarray, tolerance: float = 0.0) -> Any:
    """Fit to the variant and to plain float64 rows: the same answers to either."""
    plain, model = make().fit(x), make().fit(variant)
    expected = plain.log_density(x)
    for rows in (variant, x):
        assert np.abs(model.log_density(rows) - expected).max() <= tolerance
    assert plain.log_density(variant).dtype == np.float64
    return model


def test_float32(make: Any, x: np.ndarray) -> None:
    small = x.astype(np.float32)
    model = same(make, small, small.astype(np.float64), 1e-12)
    assert model.sample(3).dtype == np.float32
    assert model.sample(3, exact=True).dtype == np.float64


def test_float32_agrees_with_float64(name: str, make: Any, model: Any, x: np.ndarray) -> None:
    got = make().fit(x.astype(np.float32)).log_density(x)
    assert np.median(np.abs(got - model.log_density(x))) < 1e-3


def test_float16(make: Any, x: np.ndarray) -> None:
    small = x.astype(np.float16)
    model = same(make, small, small.astype(np.float64), 1e-9)
    assert model.sample(3).dtype == np.float16


def test_float32_offset_1e4(make: Any, x: np.ndarray) -> None:
    small = (x + 1e4).astype(np.float32)
    same(make, small, small.astype(np.float64), 1e-12)


def test_float128_longdouble(make: Any, x: np.ndarray, refused: Any) -> None:
    same(make, x.astype(np.longdouble), x)
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        beyond = x.astype(np.longdouble)
        beyond[3, 0] = np.longdouble(2) ** 2000
        with refused("infinit|float64", "row 3", "column 0"):
            make().fit(beyond)


def test_big_endian(make: Any, x: np.ndarray) -> None:
    same(make, x.astype(">f8"), x)
    same(make, x.astype(">f4"), x.astype(np.float32).astype(float), 1e-12)


def test_fortran_order(make: Any, x: np.ndarray) -> None:
    same(make, np.asfortranarray(x), x)


def test_negative_stride(make: Any, x: np.ndarray) -> None:
    same(make, x[::-1].copy()[::-1], x)
    same(make, np.ascontiguousarray(x[:, ::-1])[:, ::-1], x)


def test_column_slice_view(make: Any, x: np.ndarray) -> None:
    wide = np.zeros((len(x), 5))
    wide[:, 1:4:2] = x
    same(make, wide[:, 1:4:2], x)


def test_readonly(make: Any, x: np.ndarray) -> None:
    locked = x.copy()
    locked.setflags(write=False)
    same(make, locked, x)


def test_memmap(make: Any, x: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", x)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    model = same(make, mapped, x)
    values = [v for v in model.params_.values() if isinstance(v, np.ndarray)]
    assert not any(isinstance(v, np.memmap) or isinstance(v.base, np.memmap) for v in values)


def test_list_of_lists(make: Any, x: np.ndarray) -> None:
    same(make, x.tolist(), x)
    same(make, [tuple(row) for row in x.tolist()], x)


def test_object_of_floats(make: Any, x: np.ndarray) -> None:
    same(make, x.astype(object), x)


def test_int_columns(make: Any, x: np.ndarray) -> None:
    whole = np.rint(10 * x).astype(np.int64)
    model = same(make, whole, whole.astype(float), 1e-12)
    assert model.params_.columns.decimals == (0, 0)  # noted as discrete
    assert model.sample(5).dtype == np.int64
    assert model.sample(5, exact=True).dtype == np.float64
    for dtype in (np.int8, np.int16, np.int32):
        assert make().fit(whole.astype(dtype)).sample(2).dtype == dtype


def test_bool_columns(name: str, make: Any, x: np.ndarray, quiet_fit: Any) -> None:
    """They count as 0 and 1, and it is said that a density is a poor model of them."""
    flags = x > 0.3
    model, said = quiet_fit(make(), flags)
    numbers, _ = quiet_fit(make(), flags.astype(float))
    assert np.abs(model.log_density(flags) - numbers.log_density(flags.astype(float))).max() < 1e-12
    assert model.sample(4).dtype == bool
    assert "true or false" in said or "bool" in said or "discrete" in said


@pytest.mark.parametrize("value", [10**30, 10**400, -(2**70)])
def test_huge_python_ints(make: Any, refused: Any, value: int) -> None:
    rows = [[1, 2], [3, 5], [4, value], [0, 1]]
    with refused("2\\*\\*53|float64", "row 2"):
        make().fit(rows)


def test_huge_integers_are_rounded_with_a_word(make: Any, x: np.ndarray, quiet_fit: Any) -> None:
    """Those that fit 64 bits but not the 53 of a float64."""
    whole = np.rint(1e5 * x).astype(np.int64) + 2**60
    for rows in (whole, whole.tolist()):
        with pytest.warns(pofx.errors.PofxWarning, match="whole numbers beyond 2\\*\\*53 were rounded"):
            model = make().fit(rows)
        expected, _ = quiet_fit(make(), whole.astype(float))
        got = model.log_density(whole.astype(float))
        assert np.array_equal(got, expected.log_density(whole.astype(float)))
