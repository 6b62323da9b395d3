"""Standard errors of a mixture's parameters by the bootstrap: EM again, from the fitted parameters, on rows
whose weights are drawn anew.

``nonparametric`` draws as many rows as there are, with replacement: the weights are multinomial.
``weighted likelihood`` draws weights that are a point of the simplex at random (Dirichlet, times the sum of
the weights), so that every row keeps some and no component loses all its rows (Newton and Raftery 1994,
JRSS B 56:3). Both are the same rows with other weights, so one batch of EM fits many replicates at once; and
as each climbs from the fitted parameters, components keep their places: labels do not switch.

References
----------
A. O'Hagan, T. B. Murphy, L. Scrucca and I. C. Gormley, Investigation of parameter uncertainty in clustering
using a Gaussian mixture model via jackknife, bootstrap and weighted likelihood bootstrap, *Comput. Stat.* 34
(2019) 1779.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...core.params import Params
from ...errors import DegenerateError
from ...maths.moments import Moments
from ...threads import map_ordered
from .batch import Segments
from .em import Mixtures, climb
from .expanded import CACHE_ELEMENTS, coefficients, features, own_moments
from .frame import Frame
from .parameters import shaped, state_of
from .prior import ConjugatePrior, PosteriorRows
from .rows import Rows, added
from .structures import Structure, structure

__all__ = ["KINDS", "StandardErrors", "bootstrap"]

KINDS = ("nonparametric", "weighted likelihood")
TOL = 1e-5  # nats still to gain at which a replicate ends
PASSES = 1000
HELD = 4_000_000  # weights of replicates held at a time


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard deviations of the parameters over bootstrap replicates, data units.

    Attributes
    ----------
    weights, means, covariances : ndarray
        Of the shapes of ``weights_``, ``means_``, ``covariances_``.
    kind : str
    n_boot : int
        Replicates that count.
    n_failed : int
        Replicates that do not: a component shrank onto few rows.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    kind: str
    n_boot: int
    n_failed: int


class _Replicates(Segments):
    """Segments that know which replicate each mixture is."""

    def __init__(self, k: int, ids: np.ndarray) -> None:
        super().__init__(np.full(len(ids), k))
        self.ids = ids


class _Refits(Mixtures):
    """One mixture, as many times as there are replicates."""

    def __init__(self, k: int, s: Structure, ids: np.ndarray) -> None:
        super().__init__([k] * len(ids), [s] * len(ids))
        self.k, self.s = k, s
        self.segments: Segments = _Replicates(k, ids)

    def take(self, mixtures: np.ndarray) -> Mixtures:
        """Return some of them."""
        assert isinstance(self.segments, _Replicates)
        return _Refits(self.k, self.s, self.segments.ids[mixtures])


class _ReweightedRows(Rows):
    """Rows in search space that have other weights (B, n) for each of B mixtures."""

    def __init__(self, y: np.ndarray, w: np.ndarray, total: float, frame: Frame, *, diagonal: bool) -> None:
        self.y, self.w, self.total, self.frame, self.diagonal = y, w, total, frame, diagonal
        self.n, self.d = y.shape

    def e_step(
        self,
        log_weight: np.ndarray,
        mean: np.ndarray,
        cov: np.ndarray,
        segments: Segments,
        *,
        centred: bool = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return log-likelihoods (B,) and expected statistics as a state (p, M)."""
        assert isinstance(segments, _Replicates)
        self.passes += 1
        c = coefficients(log_weight, mean, cov)
        b, size = len(segments), max(64, CACHE_ELEMENTS // segments.m)

        def part(at: int) -> tuple[np.ndarray, np.ndarray]:
            phi = features(self.y[at : at + size], self.diagonal)
            w = self.w[segments.ids, at : at + size]
            r = (c.T @ phi).reshape(b, -1, phi.shape[1])
            top = r.max(axis=1)
            r -= top[:, None]
            np.exp(r, out=r)
            total = r.sum(axis=1)
            r *= (w / total)[:, None]
            return ((np.log(total) + top) * w).sum(axis=1), phi @ r.reshape(segments.m, -1).T

        value, stats = added(map_ordered(part, range(0, self.n, size)))
        return value, own_moments(stats, self.d)


def bootstrap(
    params: Params,
    z: np.ndarray,
    w: np.ndarray,
    *,
    kind: str,
    n_boot: int,
    rng: np.random.Generator,
    prior: ConjugatePrior | None = None,
) -> StandardErrors:
    """Return the standard errors of a mixture's parameters.

    Parameters
    ----------
    params : Params
        The fitted mixture.
    z, w : ndarray (n, d), (n,)
        The rows, unit space, and their positive weights.
    prior : ConjugatePrior, optional
        Under which the mixture was fitted; its defaults are those of the rows, not of every replicate.

    Raises
    ------
    DegenerateError
        Where components shrink onto few rows in nearly all replicates.
    """
    s, k = structure(params.covariance_type), len(params.weights)
    total = float(w.sum())
    moments = Moments.of(z, w)
    frame = Frame.of(moments, params.units.exponent, diagonal=s.diagonal)
    y, start = frame.rows(z), state_of(params, frame, total)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    at_once = max(1, min(n_boot, HELD // len(z)))
    for first in range(0, n_boot, at_once):
        b = min(at_once, n_boot - first)
        rows: Rows = _ReweightedRows(y, _weights(kind, w, total, b, rng), total, frame, diagonal=s.diagonal)
        if prior is not None:
            rows = PosteriorRows(rows, prior, s, params.units, moments)
        refits = _Refits(k, s, np.arange(b))
        out = climb(refits, np.tile(start, b), rows, tol=TOL, max_iter=PASSES)
        good = [state for state, low in zip(out.states, out.low, strict=True) if not low]
        found += _parameters(good, s, rows, params)
    if len(found) < 2:
        raise DegenerateError(
            f"In {n_boot - len(found)} of {n_boot} bootstrap replicates a component shrank onto few rows, so "
            "there are no standard errors. Use fewer components or a simpler covariance_type, or "
            "kind='weighted likelihood', which keeps all rows."
        )
    weights, means, covariances = (
        np.std(np.stack(part), axis=0, ddof=1) for part in zip(*found, strict=True)
    )
    return StandardErrors(weights, means, covariances, kind, len(found), n_boot - len(found))


def _weights(kind: str, w: np.ndarray, total: float, b: int, rng: np.random.Generator) -> np.ndarray:
    """Return the weights (b, n) of b replicates; each sums to the total."""
    if kind == "nonparametric":
        n = max(round(total), 1)
        return rng.multinomial(n, w / w.sum(), size=b) * (total / n)
    # A row of weight w is w rows of weight one: their Dirichlet weights together are a gamma variable.
    drawn = rng.gamma(w, size=(b, len(w)))
    return np.asarray(drawn * (total / drawn.sum(axis=1, keepdims=True)))


def _parameters(
    states: Sequence[np.ndarray], s: Structure, rows: Rows, params: Params
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return weights, means and covariances in data units of each state."""
    d, out = rows.d, []
    for state in states:
        cov, _ = Mixtures([state.shape[1]], [s]).m_step(state, rows)
        means = params.units.back(rows.frame.means_back(state[1 : 1 + d]))
        covariances = shaped(rows.frame.covariances_back(cov), params.units, s)
        out.append((state[0] / state[0].sum(), means, covariances))
    return out
