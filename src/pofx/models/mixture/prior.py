"""Means and covariances with a conjugate prior: EM for the mode of the posterior.

    μ_k | Σ_k ~ N(μ_P, Σ_k / κ),   and of the covariances, the constants left out,

    ellipsoids  Σ_k ~ inverse Wishart (ν, Λ):    |Σ|^{−(ν + d + 1)/2} exp(−½ tr Σ⁻¹Λ)
    diagonal    σ²_kj ~ inverse gamma (ν/2, Λ_jj/2):  (σ²)^{−(ν + 2)/2} exp(−½ Λ_jj/σ²), columns independent
    spheres     σ²_k ~ the same, with the columns' mean Λ_jj

with ν = d + 2, κ = 0.01, μ_P the mean of the rows and Λ = their covariance / K^{2/d} by default: as much as
one more row or a few for every component, spread over its K-th part of the space. So no component can shrink
onto a few rows. The E-step is that of maximum likelihood, and the M-step is too, of other moments: with
g_k = x̄_k − μ_P and S_k = W_k + κ n_k/(κ + n_k) g_k g_kᵀ,

    μ_k = (n_k x̄_k + κ μ_P) / (n_k + κ)
    own covariances     Σ_k = (S_k + Λ) / (n_k + e)           e = ν + d + 2 (ellipsoids)
    one for all         Σ = (Σ_k S_k + Λ) / (n + K + e − 1)   e = ν + 3 (diagonal)
    spheres: σ²_k d = tr (S_k + Λ/d) / (n_k + e), and so on   e = 1 + (ν + 2)/d

What never falls is the log posterior, up to a constant; BIC takes the log-likelihood at its mode.

mclust takes one number, the columns' mean variance, for the Λ_jj of diagonal structures, which depends on the
columns' units. Here each column has its own; ``scale=`` says otherwise.

References
----------
C. Fraley and A. E. Raftery, Bayesian regularization for normal mixture estimation and model-based clustering,
*J. Classif.* 24 (2007) 155.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.units import Units
from ...errors import ParameterError
from ...maths.gaussian_batch import cholesky
from ...maths.moments import Moments
from ...validation import real_number
from .batch import Segments, lower_triangle
from .frame import Frame
from .rows import Rows
from .structures import Structure

__all__ = ["ConjugatePrior", "PosteriorRows", "conjugate", "given_prior", "refuse_structures"]

POSSIBLE = ("EII", "VII", "EEI", "VVI", "EEE", "VVV")
NAMES = ("shrinkage", "mean", "dof", "scale")
NO_ROWS = 1e-200  # weight of a component that has lost all rows


@dataclass(frozen=True)
class ConjugatePrior:
    """What the prior is, in the data's units; None: the default.

    Attributes
    ----------
    shrinkage : float
        κ, at least 0: the rows that the prior mean is worth.
    mean : ndarray (d,) or None
        μ_P.
    dof : float or None
        ν, more than d − 1.
    scale : ndarray (d, d), (d,) or (), or None
        Λ: a covariance, variances per column, or one variance for all columns.
    """

    shrinkage: float = 0.01
    mean: np.ndarray | None = None
    dof: float | None = None
    scale: np.ndarray | None = None


def given_prior(asked: Any) -> ConjugatePrior | None:
    """Return the prior that ``prior=`` asks for: None or False, True, or a mapping of its settings.

    Raises
    ------
    ParameterError
        Naming the setting that is wrong.
    """
    if asked is None or asked is False:
        return None
    if asked is True:
        return ConjugatePrior()
    if not isinstance(asked, Mapping):
        raise ParameterError(
            "prior must be None, True (the default prior) or a mapping such as {'shrinkage': 0.01, 'dof': 5}"
            f", not {asked!r:.80}."
        )
    for name in asked:
        if name not in NAMES:
            raise ParameterError(f"prior has {', '.join(NAMES)}; got {name!r}.")
    shrinkage = real_number(asked.get("shrinkage", 0.01), "prior['shrinkage']", least=0.0)
    mean, dof, scale = (asked.get(name) for name in NAMES[1:])
    return ConjugatePrior(
        shrinkage,
        None if mean is None else _numbers(mean, "mean", (1,)),
        None if dof is None else real_number(dof, "prior['dof']", above=0.0),
        None if scale is None else _scale(scale),
    )


def _numbers(value: Any, name: str, axes: tuple[int, ...]) -> np.ndarray:
    try:
        a = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        a = np.array(np.nan)
    if a.ndim not in axes or not np.isfinite(a).all():
        raise ParameterError(f"prior[{name!r}] must be finite numbers; got {value!r:.80}.")
    return a


def _scale(value: Any) -> np.ndarray:
    a = _numbers(value, "scale", (0, 1, 2))
    matrix = a.ndim == 2
    square = not matrix or (a.shape[0] == a.shape[1] and np.allclose(a, a.T, rtol=1e-9, atol=0.0))
    variances = np.diag(a) if matrix and square else a
    if not square or not (variances > 0).all():
        raise ParameterError(
            "prior['scale'] must be a variance, variances per column or a covariance matrix, positive and "
            f"symmetric; got {value!r:.80}."
        )
    if matrix and not np.linalg.eigvalsh(a / np.sqrt(variances)[:, None] / np.sqrt(variances))[0] > 0:
        raise ParameterError("prior['scale'] must be positive definite.")
    return a


def conjugate(structures: tuple[Structure, ...]) -> tuple[Structure, ...]:
    """Return those of the structures for which the prior is conjugate."""
    return tuple(s for s in structures if s.mclust in POSSIBLE)


def refuse_structures(structures: tuple[Structure, ...]) -> None:
    """Raise ParameterError for structures whose M-step under this prior has no closed form."""
    others = [s.name for s in structures if s not in conjugate(structures)]
    if others:
        raise ParameterError(
            "prior= is there for covariance_type 'full', 'tied', 'diag', 'spherical', 'EII' and 'EEI', where "
            f"it is conjugate; got {', '.join(map(repr, others))}."
        )


class PosteriorRows(Rows):
    """Rows whose E-step answers for the posterior of mixtures of one structure.

    ``e_step`` returns the log posterior instead of the log-likelihood, and moments whose maximum-likelihood
    M-step is the M-step of the posterior. So :func:`pofx.models.mixture.em.climb` and
    :func:`pofx.models.mixture.polish.polish` find its modes.

    Parameters
    ----------
    rows : Rows
        What the likelihood is made of.
    prior : ConjugatePrior
    s : Structure
    units : Units
    moments : Moments
        Of the rows, unit space.
    """

    def __init__(
        self, rows: Rows, prior: ConjugatePrior, s: Structure, units: Units, moments: Moments
    ) -> None:
        self.inner, self.s = rows, s
        self.n, self.d, self.total = rows.n, rows.d, rows.total
        self.diagonal, self.frame = rows.diagonal, rows.frame
        d = rows.d
        self.kappa, self.nu = prior.shrinkage, d + 2.0 if prior.dof is None else prior.dof
        if not self.nu > d - 1:
            raise ParameterError(f"prior['dof'] must be more than d - 1 = {d - 1}; got {self.nu:g}.")
        if prior.mean is not None and prior.mean.shape != (d,):
            raise ParameterError(f"prior['mean'] needs {d} numbers; got shape {prior.mean.shape}.")
        centre = moments.mean if prior.mean is None else units.to(prior.mean)
        self.centre = rows.frame.means(centre[None])
        self.scale, self.by_size = _in_search_space(prior, units, moments, rows.frame, self.diagonal)
        self.spheres = len(s.covariances_shape(2, d)) == 1
        self.shared = s.mclust[0] == "E"
        if self.spheres:
            self.extra = 1.0 + (self.nu + 2.0) / d
        else:
            self.extra = self.nu + (3.0 if self.diagonal else d + 2.0)

    def _scales(self, segments: Segments) -> np.ndarray:
        """Return Λ for every component (…, M)."""
        k = segments.sizes[segments.owner]
        return self.scale[..., None] * (k ** (-2.0 / self.d) if self.by_size else np.ones(len(k)))

    def e_step(
        self,
        log_weight: np.ndarray,
        mean: np.ndarray,
        cov: np.ndarray,
        segments: Segments,
        *,
        centred: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log posteriors (B,), up to a constant, and a state (p, M)."""
        value, state = self.inner.e_step(log_weight, mean, cov, segments, centred=centred)
        return value + self._log_prior(mean, cov, segments), self._with_prior(state, segments)

    def _with_prior(self, state: np.ndarray, segments: Segments) -> np.ndarray:
        d = self.d
        n = np.maximum(state[0], NO_ROWS)
        k = segments.sizes[segments.owner]
        share = self.kappa / (self.kappa + n)
        gap = state[1 : 1 + d] - self.centre
        i, j = lower_triangle(d)
        square = gap * gap if self.diagonal else gap[i] * gap[j]
        scale = self._scales(segments)
        scale = scale if self.diagonal else scale[i, j]
        if self.spheres:
            scale = scale / d
        scatter = n * (state[1 + d :] + share * square)
        if self.shared:
            # The M-step weighs these by n_k / n: their sum is the one covariance.
            whole = segments.sum(n)[segments.owner]
            own = (scatter + scale / k) / n * (whole / (whole + k + self.extra - 1.0))
        else:
            own = (scatter + scale) / (n + self.extra)
        return np.concatenate([state[:1], state[1 : 1 + d] - share * gap, own])

    def _log_prior(self, mean: np.ndarray, cov: np.ndarray, segments: Segments) -> np.ndarray:
        """Return the log prior (B,) relative to that of μ_P and of Σ = Λ: no units."""
        d = self.d
        gap, scale = mean - self.centre, self._scales(segments)
        if self.diagonal:
            ratio = scale / cov
            log_det, distance = -np.log(ratio).sum(axis=0), (gap * gap / cov).sum(axis=0)
            if self.spheres:
                # One variance: its logarithm counts once, with the mean of the Λ_jj.
                sphere = self.frame.sphere[:, None]
                level = (scale / sphere).mean(axis=0) / (cov / sphere).mean(axis=0)
                once = (self.nu + 2.0) * np.log(level) - level
            else:
                once = -(self.nu + 2.0) * log_det - ratio.sum(axis=0)
        else:
            factor, target = (np.moveaxis(cholesky(a)[0], 2, 0) for a in (cov, scale))
            white = np.linalg.solve(factor, target)
            across = np.linalg.solve(factor, gap.T[:, :, None])[:, :, 0]
            own = np.diagonal(factor, 0, 1, 2) / np.diagonal(target, 0, 1, 2)
            log_det, distance = 2.0 * np.log(own).sum(axis=1), (across * across).sum(axis=1)
            once = -(self.nu + d + 1.0) * log_det - (white * white).sum(axis=(1, 2))
        if self.shared:
            once = once / segments.sizes[segments.owner]
        return 0.5 * segments.sum(once - log_det - self.kappa * distance)


def _in_search_space(
    prior: ConjugatePrior, units: Units, moments: Moments, frame: Frame, diagonal: bool
) -> tuple[np.ndarray, bool]:
    """Return Λ (d, d), or (d,) where it is diagonal, and whether to divide it by K^{2/d}."""
    d, given = len(units), prior.scale
    if given is None:
        matrix = moments.covariance * (moments.weight / max(moments.weight - 1.0, 1.0))
    else:
        if given.shape not in ((), (d,), (d, d)):
            raise ParameterError(
                f"prior['scale'] needs one number, {d} or {(d, d)}, as there are columns; got {given.shape}."
            )
        whole = given if given.ndim == 2 else np.diag(np.broadcast_to(given, d))
        matrix = np.ldexp(whole, -(units.exponent[:, None] + units.exponent))
    sigma = np.diag(matrix)[None] if diagonal else matrix[None]
    return frame.covariances(sigma)[..., 0], given is None
