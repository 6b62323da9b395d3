"""What the number of columns does to the rows, and whether the rows drift."""

from __future__ import annotations

import json

import numpy as np
import pytest

import pofx
from pofx.data.diagnose.needs import THIRD, log10_histogram_rows, log10_kernel_rows, rows_text


def geometry(x):
    return pofx.diagnose(x).geometry


def test_the_intrinsic_dimension_of_known_shapes():
    rng = np.random.default_rng(1)
    n = 2_000
    angle = rng.uniform(0.0, 2.0 * np.pi, size=n)
    circle = np.column_stack([np.cos(angle), np.sin(angle), 0.3 * np.cos(2 * angle)])
    plane = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 6))
    roll = 1.5 * np.pi * (1.0 + 2.0 * rng.uniform(size=n))
    swiss = np.column_stack([roll * np.cos(roll), 21.0 * rng.uniform(size=n), roll * np.sin(roll)])
    for x, true in ((circle, 1), (plane, 2), (swiss, 2), (rng.normal(size=(n, 3)), 3)):
        found = geometry(x)
        assert found.intrinsic_dimension == pytest.approx(true, abs=4.0 * true / n**0.5 + 0.05 * true)
    names = {f.name for f in pofx.diagnose(swiss).findings}
    assert "intrinsic_dimension" in names
    assert "intrinsic_dimension" not in {f.name for f in pofx.diagnose(rng.normal(size=(n, 3))).findings}


def test_the_error_of_the_intrinsic_dimension_is_honest():
    z = []
    for seed in range(60):
        found = geometry(np.random.default_rng(seed).uniform(size=(500, 2)))
        z.append((found.intrinsic_dimension - 2.0) / found.intrinsic_dimension_error)
    assert 0.8 < np.std(z) < 1.25
    assert abs(np.mean(z)) < 0.8  # the edges of the square


def test_rounding_does_not_change_the_dimension():
    x = np.random.default_rng(2).normal(size=(1_500, 3))
    fine, coarse = geometry(x), geometry(np.round(x, 1))
    assert coarse.intrinsic_dimension == pytest.approx(fine.intrinsic_dimension, rel=0.08)


def test_the_contrast_is_that_of_all_pairs():
    x = np.random.default_rng(3).normal(size=(300, 4)) * [1.0, 10.0, 0.1, 3.0] + 5.0
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    distance = np.sqrt(((z[:, None] - z[None]) ** 2).sum(axis=2))
    nearest = np.where(np.eye(300, dtype=bool), np.inf, distance).min(axis=1)
    expected = np.median((distance.max(axis=1) - nearest) / nearest)
    assert geometry(x).contrast == pytest.approx(expected, rel=1e-9)


def test_distances_concentrate_in_many_columns():
    found = pofx.diagnose(np.random.default_rng(4).normal(size=(800, 60)))
    assert found.geometry.contrast == pytest.approx(found.geometry.gaussian_contrast, rel=0.2)
    (finding,) = found.named("concentration")
    assert finding.number.value < 1.0


@pytest.mark.parametrize("d", [2, 3, 4])
def test_new_rows_fall_into_empty_cells_as_often_as_said(d):
    rng = np.random.default_rng(d)
    x, new = rng.normal(size=(2_000, d)), rng.normal(size=(20_000, d))
    found = geometry(x)
    bins, low = np.array(found.bins), x.min(axis=0)
    span = x.max(axis=0) - low

    def cells(rows):
        index = np.floor((rows - low) / span * bins)
        inside = ((rows >= low) & (rows <= low + span)).all(axis=1)
        index = np.minimum(index, bins - 1).astype(int)
        return [tuple(i) if ok else None for i, ok in zip(index, inside, strict=True)]

    occupied = set(cells(x))
    assert abs(found.occupied_cells - len(occupied)) <= 2  # rows within a rounding of an edge
    assert found.empty_share == pytest.approx(1.0 - found.occupied_cells / bins.prod(), abs=1e-12)
    share = np.mean([cell not in occupied for cell in cells(new)])
    assert found.new_cell_chance == pytest.approx(share, abs=0.25 * share + 0.005)


def test_units_and_the_order_of_rows_change_nothing():
    rng = np.random.default_rng(5)
    x = rng.gamma(2.0, size=(600, 3))
    plain, scaled = geometry(x), geometry(x * [1e-8, 1.0, 1e7] + [1.0, 0.0, -1e8])
    shuffled = geometry(x[rng.permutation(600)])
    assert shuffled == plain
    assert scaled.contrast == pytest.approx(plain.contrast, rel=1e-6)
    assert scaled.bins == plain.bins


def test_there_is_no_geometry_of_one_column_or_a_few_rows():
    rng = np.random.default_rng(6)
    assert geometry(rng.normal(size=(500, 1))) is None
    assert geometry(rng.normal(size=(40, 3))) is None
    assert geometry(np.repeat(rng.normal(size=(20, 3)), 10, axis=0)) is None
    found = pofx.diagnose(rng.normal(size=(500, 3)))
    json.dumps(found.to_dict(), allow_nan=False)
    assert "intrinsic dimension" in str(found)
    assert "intrinsic dimension" in found._repr_html_()


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_columns_have_a_geometry(scale):
    x = np.random.default_rng(7).normal(size=(300, 2))
    x[:, 0] *= scale
    assert geometry(x).contrast == pytest.approx(geometry(x / [scale, 1.0]).contrast, rel=1e-6)


def test_two_hundred_columns_are_counted_in_powers():
    found = geometry(np.random.default_rng(8).normal(size=(300, 150)))
    assert found.log10_histogram_rows == pytest.approx(152.0)
    assert found.new_cell_chance > 0.99
    assert "1e+152" in found.lines()[-2]


def test_a_drift_is_found_and_chance_is_not():
    rng = np.random.default_rng(9)
    n = 1_000
    trend = np.column_stack([rng.normal(size=n) + np.linspace(0.0, 0.8, n), rng.normal(size=n)])
    (finding,) = pofx.diagnose(trend).named("drift")
    assert finding.columns == ("0",) or "0" in finding.columns[0]
    jump = rng.normal(size=n)
    jump[400:500] += 1.5
    (finding,) = pofx.diagnose(jump).named("drift")
    assert "highest in rows 401 to 500" in finding.sentence
    (finding,) = pofx.diagnose(np.sort(rng.normal(size=200))).named("drift")
    assert "sorted" in finding.sentence
    false = sum(bool(pofx.diagnose(rng.normal(size=(200, 3))).named("drift")) for _ in range(100))
    assert false == 0


def test_the_effective_rows_of_a_series_are_those_of_its_autocorrelation():
    rng = np.random.default_rng(10)
    n, rho = 20_000, 0.98
    series = np.empty(n)
    series[0] = rng.normal()
    for i, kick in enumerate(rng.normal(size=n - 1) * np.sqrt(1.0 - rho**2), start=1):
        series[i] = rho * series[i - 1] + kick
    found = pofx.diagnose(series)
    expected = n * (1.0 - rho) / (1.0 + rho)  # of the values; ranks of normal values are nearly as correlated
    assert found.columns[0].effective == pytest.approx(expected, rel=0.35)
    assert pofx.diagnose(rng.permutation(series)).columns[0].effective == n


def test_the_rows_that_estimates_need():
    """Silverman (1986), table 4.2, gives his numbers to three digits."""
    table = ["4", "19", "67", "223", "768", "2,790", "10,700", "43,700", "187,000", "842,000"]
    assert [rows_text(log10_kernel_rows(d, THIRD)) for d in range(1, 11)] == table
    assert rows_text(log10_kernel_rows(10, 0.1)) == "5.8 billion"
    assert rows_text(log10_kernel_rows(150, THIRD)).startswith("1e+")
    assert rows_text(log10_histogram_rows(3, 0.1, 10)) == "100,000"
    found = geometry(np.random.default_rng(11).normal(size=(300, 4)))
    assert 10.0**found.log10_kernel_rows == pytest.approx(223, rel=0.01)


@pytest.mark.parametrize("error", [THIRD, 0.1])
def test_with_so_many_rows_a_kernel_estimate_has_that_error(error):
    """Two columns, the best bandwidth of a grid, by simulation: no h does better with fewer rows."""
    n, d = round(10.0 ** log10_kernel_rows(2, error)), 2
    rng = np.random.default_rng(12)
    square = (rng.normal(size=(400, n, d)) ** 2).sum(axis=2)
    errors = [
        np.mean(((1.0 / (h * h) * np.exp(-0.5 * square / (h * h))).mean(axis=1) - 1.0) ** 2) ** 0.5
        for h in np.geomspace(0.2, 1.5, 25)
    ]
    assert min(errors) == pytest.approx(error, rel=0.12)
