"""The end of a fit: the winner's parameters, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.fitting import Certificate
from ...maths.gaussian_batch import cholesky
from .batch import lower_triangle
from .candidate import Candidate, Run
from .certificate import certificate_of
from .criteria import log_certainties
from .em import Mixtures
from .fitting import Fitting
from .frame import REGULAR, Frame
from .polish import polish
from .structures import Structure

POLISHED = 1e-5  # nats: the largest tol for which the optimum is polished, the default

__all__ = ["finished", "in_unit_space", "message", "say", "table", "values"]


def finished(fitting: Fitting, winner: Candidate, run: Run) -> tuple[np.ndarray, float, Certificate]:
    """Return the final state, its log-likelihood (unit space) and certificate; see :func:`polish`."""
    rows = fitting.all_rows(winner.structure.diagonal)
    mixtures = Mixtures([winner.k], [winner.structure])
    state = run.state
    constant = rows.total * rows.frame.log_det
    closed = fitting.closed_form(winner.k)
    if closed:
        state = _one_component(fitting, winner.structure.diagonal)
    # Who asks for less than the default gets less.
    settled = run.gap < fitting.plan.tol <= POLISHED and not closed
    passes, exact = fitting.plan.max_iter if settled else 1, fitting.plan.tol <= POLISHED
    state, value, reached = polish(mixtures, state, rows, passes, plain=exact)
    return state, value + constant, certificate_of(mixtures, state, reached, rows)


def _one_component(fitting: Fitting, diagonal: bool) -> np.ndarray:
    """Return the state of a single Gaussian: the closed form."""
    frame, d = fitting.frame(diagonal), fitting.data.d
    covariance = fitting.moments.covariance
    if diagonal:
        own = np.diag(covariance) * frame.matrix**2
    else:
        a = np.diag(frame.matrix) if frame.matrix.ndim == 1 else frame.matrix
        own = (a @ covariance @ a.T)[lower_triangle(d)]
    return np.concatenate([[fitting.data.total], np.zeros(d), own])[:, None]


def values(fitting: Fitting, winner: Candidate, state: np.ndarray) -> dict[str, Any]:
    """Return the parameters in unit space, components in the order of their means."""
    structure = winner.structure
    frame = fitting.frame(structure.diagonal)
    rows = fitting.all_rows(structure.diagonal)
    cov, _ = Mixtures([winner.k], [structure]).m_step(state, rows)
    if rows.bounded:
        _say_what_errors_hide(fitting, cov)
    mass = rows.mass(state)
    values = in_unit_space(frame, structure, state, cov, mass)
    if fitting.plan.noise:
        left = max(1.0 - float(state[0].sum() / mass), 0.0)
        values |= {"noise_weight": left, "noise_low": fitting.data.low, "noise_high": fitting.data.high}
    return values


def in_unit_space(
    frame: Frame, structure: Structure, state: np.ndarray, cov: np.ndarray, mass: float
) -> dict[str, Any]:
    """Return the parameters of a state whose weights add up to ``mass``, and of its covariances."""
    means = frame.means_back(state[1 : 1 + len(frame.centre)])
    order = np.lexsort(means.T[::-1])
    values: dict[str, Any] = {
        "weights": (state[0] / mass)[order],
        "means": means[order],
        "covariance_type": structure.name,
    }
    if structure.diagonal:
        values["variances"] = frame.covariances_back(cov)[order]
        return values
    factor = np.moveaxis(cholesky(cov)[0], 2, 0)[order]
    # A⁻¹ is lower triangular, so its product with a Cholesky factor is one.
    factor = frame.inverse[:, None] * factor if frame.inverse.ndim == 1 else frame.inverse @ factor
    values["cholesky"] = factor[0] if structure.shared else factor
    return values


def say(fitting: Fitting, winner: Candidate, converged: bool) -> None:
    """Warn of what the user should know about the winner."""
    if not winner.regular:
        fitting.warn(
            f"No regular optimum was found for {winner.k} components with covariance_type="
            f"{winner.structure.name!r}: some component shrinks onto rows that hardly vary in some direction "
            "(repeated or rounded values?), where the likelihood is unbounded. Its least variance was held "
            f"at {REGULAR:g} of the columns' own. Use fewer components, or a simpler covariance_type."
        )
    if not converged:
        fitting.warn(
            f"EM stopped after max_iter={fitting.plan.max_iter} passes before the remaining gain was known "
            f"to be below tol={fitting.plan.tol:g} nats. Raise max_iter or tol."
        )


def _say_what_errors_hide(fitting: Fitting, cov: np.ndarray) -> None:
    """Warn of components so narrow that they count as regular for their rows' errors only."""
    least = cov.min(axis=0) if cov.ndim == 2 else np.linalg.eigvalsh(np.moveaxis(cov, 2, 0))[:, 0]
    narrow = int((least < REGULAR).sum())
    if narrow:
        fitting.warn(
            f"The errors cannot tell the width of {narrow} component{'s' if narrow > 1 else ''} from none in "
            "some direction: there the density of the truth is a spike, of any height. Believe where it lies "
            "and log_density_observed; fewer components, or a simpler covariance_type, may have none."
        )


def message(fitting: Fitting, winner: Candidate, converged: bool, count: int) -> str:
    s, plan = winner.structure, fitting.plan
    what = f"{winner.k} component{'s' if winner.k > 1 else ''}{' and noise' if plan.noise else ''}, {s!r}"
    chosen = f", chosen by BIC among {count} candidates" if plan.automatic else ""
    if fitting.closed_form(winner.k):
        return f"{what}{chosen}: the closed form."
    if converged:
        return f"{what}{chosen}; less than {plan.tol:g} nats of log-likelihood are left to gain here."
    return f"{what}{chosen}; stopped at max_iter={plan.max_iter} before the gain was known to be small."


def table(fitting: Fitting, candidates: Sequence[Candidate]) -> tuple[dict[str, Any], ...]:
    """Return the candidates as plain data, log-likelihoods and criteria in data units."""
    data, plan = fitting.data, fitting.plan
    certainties = log_certainties(fitting, candidates, values)
    shift = data.log_jacobian
    leader = min((c.bic(data.total, data.d) for c in candidates), default=math.inf)
    table = []
    for c, certainty in zip(candidates, certainties, strict=True):
        k = c.structure.n_parameters(c.k, data.d) + plan.noise
        best = c.best
        value = None if best is None else best.log_likelihood + shift
        bic = None if value is None else -2.0 * value + k * math.log(max(data.total, 1.0))
        settled = best is not None and (best.gap < plan.tol or fitting.closed_form(c.k))
        if best is None and c.excuse:
            why = c.excuse
        elif best is None and c.tried:
            why = f"ranked lower on a sample of {len(fitting.sketch):,} rows; not fitted to all rows"
        elif best is None:
            why = "not tried: BIC had risen with fewer components already"
        elif not c.regular:
            why = "no regular optimum found: a component shrinks onto few rows"
        elif settled:
            why = f"less than {plan.tol:g} nats left to gain"
        else:
            why = f"not pursued: its BIC is {c.bic(data.total, data.d) - leader:.1f} behind the best"
        table.append(
            {
                "covariance_type": c.structure.name,
                "n_components": c.k,
                "log_likelihood": value,
                "n_parameters": k,
                "bic": bic,
                "aic": None if value is None else -2.0 * value + 2.0 * k,
                "icl": None if bic is None or certainty is None else bic - 2.0 * certainty,
                "regular": c.regular,
                "converged": settled,
                "why": why,
            }
        )
    return tuple(table)
