"""How many components, by test: the parametric bootstrap of the likelihood ratio of K against K + 1.

    T = 2 (log L of K + 1 components − log L of K)

has no chi-square limit: under the hypothesis of K components the parameters of one more are not identified.
So its distribution is simulated (McLachlan 1987): B samples are drawn from the fitted mixture of K, T is
taken of each, and p = (1 + #{T* ≥ T}) / (B + 1). T of the rows and T* are the work of one procedure, so
what it may miss of the likelihood of K + 1 components it misses on both sides: K components climb from those
fitted to the rows, and K + 1 from every component of these cut in two along its longest axes; all starts are
screened, and the best few climb on.

References
----------
G. J. McLachlan, On bootstrapping the likelihood ratio test statistic for the number of components in a normal
mixture, *Appl. Statist.* 36 (1987) 318.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...core.params import Params
from ...maths.moments import Moments
from ...threads import map_ordered
from .em import Mixtures, climb
from .frame import Frame
from .parameters import state_of
from .rows import CachedRows
from .starts import split
from .structures import structure

__all__ = ["RatioTest", "RatioTests", "ratio_test"]

AXES = 2  # along which every component is cut
SCREEN, CLIMB = 15, 400  # passes of all starts, and of the best
BEST = 3  # starts that climb on
TOL = 1e-3  # nats still to gain at which a climb ends


@dataclass(frozen=True)
class RatioTest:
    """K components against K + 1.

    Attributes
    ----------
    n_components : int
        K.
    statistic : float
        T, twice the gain in log-likelihood (nats).
    p_value : float
    simulated : tuple of float
        T of the samples drawn under the hypothesis.
    """

    n_components: int
    statistic: float
    p_value: float
    simulated: tuple[float, ...]


@dataclass(frozen=True)
class RatioTests:
    """Tests of K = K₀, K₀ + 1, …, up to the first that is not rejected.

    Attributes
    ----------
    covariance_type : str
    level : float
        The p value up to which K components are rejected.
    tests : tuple of RatioTest
    n_components : int
        The first number that is not rejected; one more than was tested where all were.
    """

    covariance_type: str
    level: float
    tests: tuple[RatioTest, ...]
    n_components: int

    def to_dict(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        last = self.tests[-1]
        lines = [
            f"Likelihood ratio of K against K + 1 components ({structure(self.covariance_type)!r}), "
            f"{len(last.simulated)} samples drawn with K:"
        ]
        for test in self.tests:
            verdict = "rejected" if test.p_value <= self.level else "not rejected"
            lines.append(
                f"  K = {test.n_components}:  T = {test.statistic:.2f}, p = {test.p_value:.3g}  {verdict}"
            )
        return "\n".join(lines)


Draw = Callable[[int, np.random.Generator], np.ndarray]


def ratio_test(
    params: Params, draw: Draw, z: np.ndarray, w: np.ndarray, *, n_boot: int, rng: np.random.Generator
) -> RatioTest:
    """Test the fitted mixture of K components against K + 1.

    Parameters
    ----------
    params : Params
        Fitted to the rows.
    draw : callable
        ``draw(n, rng)`` returns n rows (unit space) of it.
    z, w : ndarray (n, d), (n,)
        The rows, unit space, and their positive weights.
    """
    n = max(round(float(w.sum())), 2)
    seeds = rng.bit_generator.seed_seq.spawn(n_boot)  # type: ignore[attr-defined]
    ones = np.ones(n)

    def simulate(seed: np.random.SeedSequence) -> float:
        return _statistic(params, draw(n, np.random.default_rng(seed)), ones)

    observed = _statistic(params, z, w)
    simulated = tuple(map_ordered(simulate, seeds))
    as_large = sum(t >= observed for t in simulated)
    return RatioTest(len(params.weights), observed, (1 + as_large) / (n_boot + 1), simulated)


def _statistic(params: Params, z: np.ndarray, w: np.ndarray) -> float:
    """Return T of these rows; both fits start from the mixture's parameters."""
    s, k = structure(params.covariance_type), len(params.weights)
    frame = Frame.of(Moments.of(z, w), params.units.exponent, diagonal=s.diagonal)
    rows = CachedRows(frame.rows(z), w, frame, diagonal=s.diagonal)
    d = rows.d
    lower = climb(
        Mixtures([k], [s]),
        state_of(params, frame, rows.total),
        rows,
        tol=TOL,
        max_iter=CLIMB,
        leave_floor=False,
    )
    base = lower.states[0]
    starts = [split(base, d, c, axis) for c in range(k) for axis in range(min(AXES, d))]
    upper = climb(
        Mixtures([k + 1] * len(starts), [s] * len(starts)),
        np.concatenate(starts, axis=1),
        rows,
        tol=TOL,
        max_iter=SCREEN,
        leave_floor=False,
    )
    value = np.where(upper.low, -math.inf, upper.log_likelihood)
    best = np.argsort(-value, kind="stable")[:BEST]
    last = climb(
        Mixtures([k + 1] * len(best), [s] * len(best)),
        np.concatenate([upper.states[i] for i in best], axis=1),
        rows,
        tol=TOL,
        max_iter=CLIMB,
    )
    reached = np.where(last.low, -math.inf, last.log_likelihood).max()
    return max(2.0 * float(reached - lower.log_likelihood[0]), 0.0)  # one component doubled loses nothing
