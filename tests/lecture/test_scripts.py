"""The lecture's code and pofx's, side by side: they agree to 1e-6."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pofx

Load = Callable[[str], ModuleType]
TOLERANCE = 1e-6


def close(a: object, b: object) -> None:
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=0, atol=TOLERANCE)


def test_a_histogram(script: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = script("normal_1d")
    x, edges, heights = a.written_out()
    ours, histogram, truth = a.with_pofx()
    assert (len(x), len(heights)) == (10_000, 30)
    close(ours, x)  # the same draws from the same seed
    close(histogram.edges_[0], edges)
    close(histogram.density((edges[:-1] + edges[1:]) / 2), heights)
    close(np.histogram(x, 30, density=True)[0], heights)  # an independent count
    close(truth.density(edges), a.bell(edges))
    a.main(str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert "bars differ by at most" in capsys.readouterr().out


def test_b_gaussian_in_two_columns(script: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b = script("normal_2d")
    rows = b.draws()
    truth, ours, fitted = b.with_pofx()
    assert rows.shape == (5_000, 2)
    close(ours, rows)
    close(truth.density(rows), b.density(rows, b.MEAN, b.COVARIANCE))
    mean, covariance = b.most_likely(rows)
    close(fitted.mean_, mean)
    close(fitted.covariance_, covariance)
    close(fitted.density(rows), b.density(rows, mean, covariance))
    world = pofx.worlds.correlated(0.8)  # the same distribution under its name
    close(world.density(rows), truth.density(rows))
    marks = {
        mark.kind: mark for mark in pofx.figure(world, rows, fill=True, levels=100, points=500).main.marks
    }
    assert len(marks["points"].x) == 500
    assert marks["shades"].levels == 100
    b.main(str(tmp_path / "b.png"))
    assert (tmp_path / "b.png").stat().st_size > 10_000
    assert "densities differ by at most" in capsys.readouterr().out


def test_c_em_step_by_step_and_at_the_end(script: Load) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    c = script("em_torch")
    x = c.rows()
    model, e_steps, m_steps = c.with_pofx(x, n_iter=20)
    p, values = c.START, torch.from_numpy(x)
    assert len(e_steps) == len(m_steps) - 1 == 20
    for e, m in zip(e_steps, m_steps, strict=False):
        close(m.weights, p.weights)
        close(m.means, p.means)
        close(m.covariances, p.covariances)
        r, log_likelihood = c.plain(values, p)
        again, total = c.in_logs(values, p)
        close(e.responsibilities, r)
        close(again, r)
        close(e.log_likelihood, log_likelihood)
        close(total, log_likelihood)
        p = c.m_step(values, r)
    found, trace = c.em(values, c.START, c.plain, n_iter=200)
    assert np.all(np.diff(trace) > -1e-9)  # EM never falls
    close(model.weights_, found.weights)
    close(model.means_, found.means)
    close(model.covariances_, found.covariances)
    close(model.log_density(x).sum(), trace[-1])


def test_c_breaks_in_float32_some_14_standard_deviations_away_and_logs_hold(script: Load) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    c = script("em_torch")
    for distance, holds in [(10.0, True), (14.0, True), (15.0, False), (40.0, False)]:
        row, p = c.far_row(distance)
        close(c.mahalanobis(row, p) ** 0.5 / distance, 1.0)
        r, log_likelihood = c.plain(row, p)
        assert bool(torch.isfinite(r).all()) is holds
        assert bool(torch.isfinite(log_likelihood)) is holds
        r, log_likelihood = c.in_logs(row, p)
        np.testing.assert_allclose(r.numpy(), 0.5, atol=1e-4)  # float32, at log densities of -800
        exact = pofx.GaussianMixture.from_params(*(part.double().numpy() for part in p))
        np.testing.assert_allclose(float(log_likelihood), exact.log_density(row.numpy())[0], rtol=1e-5)
    # in float64 the same happens, only further out
    row, p = c.far_row(40.0, torch.float64)
    assert torch.isnan(c.plain(row, p)[0]).all()
    close(c.in_logs(row, p)[0], 0.5)


def test_c_one_far_row_ends_the_plain_form(script: Load, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    c = script("em_torch")
    x = torch.cat([torch.from_numpy(c.rows()), torch.tensor([[0.0, 40.0]])]).float()
    start = c.START.to(torch.float32)
    broken, _ = c.em(x, start, c.plain, n_iter=1)
    assert all(torch.isnan(part).all() for part in broken)
    held, _ = c.em(x, start, c.in_logs, n_iter=100)
    assert all(torch.isfinite(part).all() for part in held)
    c.main()
    assert "plain [nan, nan]" in capsys.readouterr().out
