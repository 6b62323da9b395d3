"""Does a density that somebody else made add up to one? Its total mass, by importance sampling.

    ∫ p = E_q [p(X) / q(X)],   X ~ q,

with q a mixture of multivariate Student t distributions about the density's own draws: a Gaussian mixture
fitted to them, its components given three degrees of freedom, so that the tails of q are heavier than most
(Owen and Zhou 2000, J. Am. Stat. Assoc. 95, 135: a proposal that covers everything). Our own models need no
such test: a law that every one of them passes says so by quadrature.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln, logsumexp

from ..core.density import Density
from ..errors import PofxError
from ..validation import Columns, Rows

__all__ = ["Mass", "total_mass"]

DRAWS, POINTS = 4_000, 20_000
FREEDOM = 3.0  # of the proposal's t distributions
MOST_COLUMNS = 20  # beyond, no proposal covers what it does not know
LEAST_SHARE = 0.01  # of the points: an effective number below that determines nothing
SURE = 5.0  # standard errors ...
TOLERANCE = 0.02  # ... and how far from one is no matter


@dataclass(frozen=True)
class Mass:
    """The total mass of a density.

    Attributes
    ----------
    value, standard_error : float
    points : int
        Points of the importance sample.
    effective : float
        As many points of equal weight would tell as much (Kish).
    """

    value: float
    standard_error: float
    points: int
    effective: float

    @property
    def determined(self) -> bool:
        """Whether enough points had a say."""
        return self.effective >= LEAST_SHARE * self.points

    @property
    def is_one(self) -> bool:
        """Whether the mass may well be one: within five standard errors and two hundredths."""
        gap = abs(self.value - 1.0)
        return not self.determined or gap <= max(SURE * self.standard_error, TOLERANCE)

    @property
    def sentence(self) -> str:
        """The mass in words."""
        if not self.determined:
            return "its total mass could not be determined"
        text = f"its total mass is {self.value:.4g} ± {self.standard_error:.2g}"
        if self.is_one:
            return text
        return f"{text}, not 1: it is no density, and log densities are off by {np.log(self.value):+.3g} nats"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "value": self.value if self.determined else None,
            "standard_error": self.standard_error if self.determined else None,
            "points": self.points,
            "effective_points": self.effective,
            "is_one": self.is_one if self.determined else None,
            "sentence": self.sentence,
        }


def total_mass(model: Density, rng: np.random.Generator) -> Mass | None:
    """Estimate the total mass; None in more than 20 columns, and where no proposal could be made."""
    from ..models.mixture import GaussianMixture
    from .curves import log_density

    d = len(model.params_.columns)
    if d > MOST_COLUMNS:
        return None
    drawn = np.asarray(model.sample(DRAWS, random_state=rng, exact=True), dtype=float).reshape(DRAWS, d)
    plain = Columns.plain(d)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            about = GaussianMixture(range(1, 5), covariance_type="full", tol=1e-2).fit(Rows(drawn, plain))
    except PofxError:
        return None
    x, log_q = _proposed(about.weights_, about.means_, about.covariances_, rng)
    ratio = np.exp(log_density(model, x) - log_q)
    total = float(ratio.sum())
    effective = total * total / float(ratio @ ratio) if total > 0.0 else 0.0
    return Mass(total / POINTS, float(ratio.std(ddof=1)) / POINTS**0.5, POINTS, effective)


def _proposed(
    weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return points of the mixture of t distributions, and its log density there."""
    k, d = means.shape
    weights = 0.9 * weights + 0.1 / k
    factors = np.linalg.cholesky(covariances)
    which = rng.choice(k, size=POINTS, p=weights / weights.sum())
    normal = rng.standard_normal((POINTS, d))
    stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, size=POINTS))
    x = means[which] + np.einsum("nij,nj->ni", factors[which], normal) * stretch[:, None]
    parts = np.empty((k, POINTS))
    constant = gammaln(0.5 * (FREEDOM + d)) - gammaln(0.5 * FREEDOM) - 0.5 * d * np.log(FREEDOM * np.pi)
    for j in range(k):
        white = np.linalg.solve(factors[j], (x - means[j]).T)
        square = (white * white).sum(axis=0)
        log_det = np.log(np.diagonal(factors[j])).sum()
        parts[j] = constant - log_det - 0.5 * (FREEDOM + d) * np.log1p(square / FREEDOM)
    return x, logsumexp(parts + np.log(weights)[:, None], axis=0)
