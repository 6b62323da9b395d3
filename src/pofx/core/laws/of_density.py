"""Laws of the distribution itself: it has mass one, its draws follow it, its parts fit together."""

from __future__ import annotations

import numpy as np

from ...errors import UnsupportedError
from ...validation import restore_exact
from .case import Case, Law, NotApplicable, agree, demand
from .quadrature import Grid

__all__ = ["DENSITY_LAWS"]

DRAWS = 4_000


def _draws(case: Case, n: int = DRAWS, seed: int = 11) -> np.ndarray:
    out = np.asarray(case.model.sample(n, random_state=seed, exact=True), dtype=float)
    return out.reshape(n, case.d)


def _need_density(case: Case) -> None:
    if case.model.kind == "none":
        raise NotApplicable("the model has no density")


def _grid(case: Case) -> tuple[Grid, np.ndarray]:
    d = len(case.free)
    if not 0 < d <= 2:
        raise NotApplicable("quadrature is for one or two columns")
    if case.model.measure != ("mixed" if case.counted else "density"):
        raise NotApplicable("a mass is summed, not integrated")
    _need_density(case)
    draws = _draws(case)
    # The model's own bulk, which need not be the rows'.
    grid = Grid(draws[:, case.free], 20_000 if d == 1 else 320)
    mass = np.zeros(len(grid.points))
    for level in np.unique(case.x[:, case.counted], axis=0):  # one empty level where no column is counted
        points = np.empty((len(mass), case.d))
        points[:, case.free], points[:, case.counted] = grid.points, level
        mass += case.model.density(points) * grid.volumes
    return grid, mass


def normalised(case: Case) -> None:
    grid, mass = _grid(case)
    total = float(mass.sum())
    slack = 2e-3 if grid.d == 1 else 2e-2
    if case.model.kind == "bound":
        demand(total <= 1.0 + slack, f"the bound integrates to {total:.6f}, more than 1")
    else:
        demand(abs(total - 1.0) <= slack, f"the density integrates to {total:.6f}, expected 1")


def samples_follow(case: Case) -> None:
    if len(case.free) > 2:
        return _importance_identity(case)
    grid, mass = _grid(case)
    cells = grid.cells(_draws(case)[:, case.free])
    if grid.d == 1:
        counts = np.bincount(cells, minlength=grid.steps)
        gap = np.abs(np.cumsum(counts) / DRAWS - np.cumsum(mass)).max() * np.sqrt(DRAWS)
        demand(
            gap < 2.5,
            f"Kolmogorov–Smirnov distance {gap:.2f}/√n between {DRAWS} draws and the density (limit 2.5)",
        )
        return None
    # Pool the fine cells into coarse ones, and rare ones into one: a chi-square of draws against masses.
    coarse = (np.arange(grid.steps) * 16) // grid.steps
    label = (coarse[:, None] * 16 + coarse[None, :]).ravel()
    expected = np.bincount(label, weights=mass, minlength=256) * (DRAWS / mass.sum())
    found = np.bincount(label[cells], minlength=256)
    common = expected >= 8
    e = np.append(expected[common], max(expected[~common].sum(), 1.0))
    f = np.append(found[common], DRAWS - found[common].sum())
    # Where a density has steps, midpoints give a coarse cell's mass to a few per cent only.
    excess = (((f - e) ** 2 / (e + (0.04 * e) ** 2)).sum() - (len(e) - 1)) / np.sqrt(2.0 * len(e))
    demand(
        excess < 8.0,
        f"draws and density disagree: chi-square is {excess:.1f} standard deviations above its mean",
    )
    return None


def _importance_identity(case: Case) -> None:
    """E_p[q/p] = q(support) for any density q inside p: one number that needs draws *and* density right."""
    _need_density(case)
    if case.model.measure != "density":
        raise NotApplicable("a mass has no density to compare another one with")
    draws = _draws(case)
    x = draws[:, case.free]
    mean, covariance = x.mean(axis=0), np.cov(x.T) * 0.5
    white = np.linalg.solve(np.linalg.cholesky(covariance), (x - mean).T)
    log_q = -0.5 * (white**2).sum(axis=0) - 0.5 * (
        x.shape[1] * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1]
    )
    _, of, counts = np.unique(draws[:, case.counted], axis=0, return_inverse=True, return_counts=True)
    log_q += np.log(counts[of.reshape(-1)] / DRAWS)  # nothing where no column is counted
    ratio = np.exp(log_q - case.model.log_density(_as_given(case, draws)))
    error = ratio.std() / np.sqrt(DRAWS)
    demand(
        abs(ratio.mean() - 1.0) < 5.0 * error + 0.1,
        f"E[q/p] over the draws is {ratio.mean():.3f} ± {error:.3f}, expected 1",
    )


def _as_given(case: Case, rows: np.ndarray) -> object:
    return restore_exact(rows, case.model.params_.columns)


def draws_differ(case: Case) -> None:
    m = case.model
    a, b = (np.asarray(m.sample(50, random_state=3, exact=True)) for _ in range(2))
    demand(np.array_equal(a, b), "the same seed gave two different samples")
    a, b = (np.asarray(m.sample(50, exact=True)) for _ in range(2))
    demand(not np.array_equal(a, b), "two calls without a seed gave the same sample")
    rows = np.asarray(m.sample(50, random_state=3, exact=True)).reshape(50, -1)
    demand(len(np.unique(rows, axis=0)) > 1, "all draws of a sample are equal")


def moments(case: Case) -> None:
    m = case.model
    mean, covariance = m.mean(), m.covariance()
    draws = _draws(case)
    sd = np.sqrt(np.diag(covariance))
    gap = np.abs(draws.mean(axis=0) - mean) / sd * np.sqrt(DRAWS)
    demand((gap < 6).all(), f"mean() lies {gap.max():.1f} standard errors from the mean of {DRAWS} draws")
    ratio = np.cov(draws.T).reshape(case.d, case.d) / np.outer(sd, sd) - covariance / np.outer(sd, sd)
    demand(
        (np.abs(ratio) < 0.25).all(),
        f"covariance() is off by {np.abs(ratio).max():.2f} of the standard deviations",
    )


def entropy(case: Case) -> None:
    _need_density(case)
    m = case.model
    terms = -m.log_density(_as_given(case, _draws(case)))
    value = m.entropy()
    error = np.hypot(terms.std() / np.sqrt(DRAWS), value.standard_error)
    demand(
        abs(terms.mean() - value) < 6 * error + 1e-9,
        f"entropy() = {value}, draws say {terms.mean():.4f} ± {error:.4f}",
    )
    demand(abs(m.kl(m)) < 1e-9, f"kl(self) = {m.kl(m)}, expected 0")


def conditionals(case: Case) -> None:
    if case.d < 2:
        raise NotApplicable("one column has no conditionals")
    m = case.model
    for given in ([0], list(range(1, case.d))):
        rest = [j for j in range(case.d) if j not in given]
        part = m.marginal(given)
        for row in case.queries[:12]:
            joint = m.log_density(row[None, :])[0]
            base = part.log_density(row[None, given])[0]
            if not np.isfinite(base):
                continue
            conditional = m.condition({j: row[j] for j in given}).log_density(row[None, rest])[0]
            agree(
                np.array([base + conditional]),
                np.array([joint]),
                1e-8,
                f"p(x{given}) p(x{rest} | x{given}) against p(x)",
            )
    if case.d == 2 and not case.counted:
        grid, mass = _grid(case)
        table = mass.reshape(grid.steps, grid.steps)
        for j in (0, 1):
            direct = m.marginal([j]).density(grid.axes[j][:, None]) * grid.widths[j]
            gap = np.abs(np.cumsum(table.sum(axis=1 - j)) - np.cumsum(direct)).max()
            demand(
                gap < 0.02,
                f"marginal([{j}]) is {gap:.3f} away from the joint integrated over the other column",
            )


def distribution_function(case: Case) -> None:
    if case.d != 1:
        raise NotApplicable("distribution functions are for one column")
    m = case.model
    if m.measure != "density":
        raise NotApplicable("the quantiles of a mass are its values")
    q = np.array([1e-6, 1e-3, 0.1, 0.37, 0.5, 0.9, 0.999, 1 - 1e-6])
    agree(m.cdf(m.quantile(q)), q, 1e-7, "cdf(quantile(q)) against q")
    x = case.queries[:40]
    agree(np.exp(m.logcdf(x)) + np.exp(m.logsf(x)), np.ones(len(x)), 1e-9, "cdf + sf against 1")
    grid, mass = _grid(case)
    edges = grid._x(grid.t_edges[1:], 0)
    gap = np.abs(np.cumsum(mass) - m.cdf(edges[:, None])).max()
    demand(gap < 2e-3, f"cdf is {gap:.4f} away from the integral of the density")


def highest_density(case: Case) -> None:
    _need_density(case)
    m = case.model
    log_p = m.log_density(_as_given(case, _draws(case)))
    for mass in (0.5, 0.9):
        inside = (log_p >= m.hdr(mass).level).mean()
        # A stepwise density can only hold the masses of its steps, so the region may be larger, not smaller.
        demand(inside > mass - 0.05, f"hdr({mass}) holds {inside:.3f} of {DRAWS} draws")


def bound_below(case: Case) -> None:
    if case.truth is None:
        raise NotApplicable("the truth is not known")
    fresh = np.asarray(case.truth.sample(DRAWS, random_state=5), dtype=float).reshape(DRAWS, case.d)
    try:
        gap = case.truth.log_density(fresh) - case.model.log_density(fresh)
    except UnsupportedError as why:
        raise NotApplicable(str(why)) from why
    gap = gap[np.isfinite(gap)]
    error = gap.std() / np.sqrt(len(gap))
    demand(
        gap.mean() > -4 * error,
        f"on {DRAWS} new rows the model beats the truth by {-gap.mean():.4f} ± {error:.4f} nats",
    )


DENSITY_LAWS = (
    Law("normalised", "the density integrates to one (one and two columns, by quadrature)", normalised),
    Law("samples follow the density", "draws and log_density describe one distribution", samples_follow),
    Law("draws differ", "a seed repeats a sample, and no seed never does", draws_differ),
    Law("moments", "mean() and covariance() are those of the draws", moments),
    Law("entropy", "entropy() is the mean of -log p over draws, and kl(self) is zero", entropy),
    Law(
        "conditional times marginal",
        "p(a) p(b | a) = p(a, b), and the marginal is the joint integrated",
        conditionals,
    ),
    Law(
        "cdf and quantile",
        "cdf(quantile(q)) = q, and the cdf is the integral of the density",
        distribution_function,
    ),
    Law("highest-density region", "hdr(mass) holds at least that mass", highest_density),
    Law(
        "no model beats the truth",
        "on new rows of a known truth no model has a higher mean log density",
        bound_below,
    ),
)
