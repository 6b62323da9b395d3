"""Maximum-likelihood factor analysis of many covariance matrices at once: V ≈ ΛΛᵀ + Ψ with q factors.

With θ_m, ω_m the eigenvalues and eigenvectors of Ψ^−½ V Ψ^−½, the (at most q) largest θ above one are the
factors, Λ = Ψ^½ Ω (Θ − 1)^½, and what is left (Jöreskog 1967, Psychometrika 32:443; Lawley and Maxwell 1971,
ch. 4) is to minimise

    f(ψ) = Σ_j log ψ_j + Σ_factors (1 + log θ_m) + Σ_others θ_m   =   log|Σ| + tr Σ⁻¹V

by Newton's steps in log ψ with exact second derivatives (Clarke 1970, Br. J. Math. Stat. Psychol. 23:43),
none of which is taken where it does not descend. Often the best ψ_j is zero (a Heywood case), and Σ a good
covariance all the same. Then column j *is* a factor: f has the limit log V_jj + 1 plus the f of the other
columns' partial covariance with a factor less, and that is what is worked with, so no small ψ_j costs digits.

f may have several minima, most of them with such columns. Where they are met, more starts are made from the
columns that explain the others best; the least of what is found is a function of V alone. Factor analysis
does not see the columns' units: they are divided by their standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

__all__ = ["common_and_noise", "factor_analysis"]

STEPS = 200
LONGEST = 3.0  # Newton's step in a log uniqueness
SHORTEST = 1e-3  # share of a Newton step below which none is tried
SHORTER = 0.3  # how a step that did not descend is shortened
SETTLED = 1e-11  # what a step should gain of f when, by quadratic convergence, it is the last one
AT_REST = 1e-24  # what it should gain when it need not be taken
ROUNDING, WORST = 1e-13, 1e5  # of f; and the largest eigenvalue whose rounding is put up with
STALLED = 0.1  # share of the last gain that a step of full length leaves
LEAST = 1e-12  # of a column's variance: where uniquenesses, and variances in a logarithm, end
LOWEST = float(np.log(LEAST))
FALLING, SMALL = -0.2, 0.01  # a step, and a share of the variance, at which a column is tried as a factor
SAME = 1e-9  # minima that differ by less are one
RIDGE = 1e-11
RELEASED = (0.03, 0.001)  # uniquenesses, of a variance, that a column which is a factor is given in a trial
NEAR_HEYWOOD, WEAK = float(np.log(0.02)), 3.0  # log ψ, and θ_q, below which there may be another minimum
CLEAR = 0.02  # of a variance: the least uniqueness of a start


def factor_analysis(v: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeliest loadings (M, d, q) and uniquenesses (M, d) for covariances ``v`` (M, d, d).

    Of all rotations of the loadings, that in which they are orthogonal in units of the columns' standard
    deviations, the longest first, the largest entry of each positive.
    """
    common, noise, sd = common_and_noise(v, q)
    values, axes = np.linalg.eigh(common)
    loadings = (axes * np.sqrt(np.maximum(values, 0.0))[:, None, :])[:, :, : -q - 1 : -1]
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=1)[:, None], axis=1)
    return loadings * np.where(largest < 0.0, -1.0, 1.0) * sd[:, :, None], noise * sd**2


def common_and_noise(v: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ΛΛᵀ (M, d, d) and ψ (M, d) in units of the columns' standard deviations, and those (M, d)."""
    r, variance = _correlations(v, 0.0)
    best = _minima([_joreskogs_start(r, q)], q)[0]
    weakest = best.theta[:, -q]  # a column that is a factor moves the next smaller one here
    hard = np.flatnonzero((weakest < WEAK) | best.whole.any(axis=1) | (best.x.min(axis=1) < NEAR_HEYWOOD))
    if len(hard):
        for found in _minima(_more_starts(r[hard], q), q):
            best.improve(hard, found)
        _release(best, hard, r, q)
    strength = np.sqrt(np.where(best.factor, best.theta - 1.0, 0.0))
    loadings = best.omega * np.exp(0.5 * best.x)[:, :, None] * strength[:, None, :]
    noise = np.where(best.whole, 0.0, np.exp(best.x))
    return (r - best.rest) + loadings @ np.swapaxes(loadings, 1, 2), noise, np.sqrt(variance)


# ---------------------------------------------------------------- f, and where it is taken


@dataclass
class _Points:
    """One point for each of M problems, and what f and its derivatives there are made of.

    Attributes
    ----------
    rest : ndarray (M, d, d)
        Partial correlations given the columns that are factors; zero in those.
    whole : ndarray of bool (M, d)
        The columns that are factors.
    spent : ndarray (M,)
        What these add to f.
    x : ndarray (M, d)
        log ψ of the others.
    f, theta, omega, factor : ndarray (M,), (M, d), (M, d, d), (M, d)
        f, the eigenvalues and eigenvectors, and which of them are factors.
    """

    rest: np.ndarray
    whole: np.ndarray
    spent: np.ndarray
    x: np.ndarray
    f: np.ndarray
    theta: np.ndarray
    omega: np.ndarray
    factor: np.ndarray

    @classmethod
    def at(cls, given: Given, x: np.ndarray, q: int) -> _Points:
        """Evaluate f."""
        rest, whole, spent = given
        theta, omega = np.linalg.eigh(_scaled(rest, x))
        left = q - whole.sum(axis=1, keepdims=True)
        factor = (np.arange(x.shape[1]) >= x.shape[1] - left) & (theta > 1.0)
        f = spent + np.where(whole, 0.0, x).sum(axis=1)
        f += np.where(factor, 1.0 + np.log(np.where(factor, theta, 1.0)), theta).sum(axis=1)
        return cls(rest, whole, spent, x, f, theta, omega, factor)

    @property
    def given(self) -> Given:
        """Which columns are factors, and what that leaves."""
        return self.rest, self.whole, self.spent

    def take(self, which: np.ndarray) -> _Points:
        """Return some of the problems."""
        return _Points(*(getattr(self, name)[which] for name in _NAMES))

    def put(self, which: np.ndarray, other: _Points) -> None:
        """Replace some of the problems' points."""
        for name in _NAMES:
            getattr(self, name)[which] = getattr(other, name)

    def improve(self, which: np.ndarray, other: _Points) -> None:
        """Replace some of the problems' points where ``other`` has less f, beyond rounding."""
        better = np.flatnonzero(other.f < self.f[which] - SAME)
        self.put(which[better], other.take(better))


_NAMES = tuple(f.name for f in fields(_Points))


def _scaled(rest: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return Ψ^−½ R Ψ^−½."""
    root = np.exp(-0.5 * x)
    return rest * root[:, :, None] * root[:, None, :]


def _newton(p: _Points, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Newton's step in x (M, d), within bounds, and what it should gain (M,).

    With P the projection on all eigenvectors but the factors', and S = Ψ^−½ R Ψ^−½:  ∂f/∂x = diag(P − PSP),
    ∂²f = P ∘ PSP + Σ_factors ω_n ω_nᵀ ∘ Σ_others (1 − θ_m) (θ_n + θ_m) / (θ_n − θ_m) ω_m ω_mᵀ.
    """
    d = p.x.shape[1]
    i = np.arange(d)
    own = p.omega * p.factor[:, None, :]
    flipped = np.swapaxes(own, 1, 2)
    outside = np.eye(d) - own @ flipped
    noise = _scaled(p.rest, p.x) - (own * p.theta[:, None, :]) @ flipped
    gradient = outside[:, i, i] - noise[:, i, i]
    hessian = outside * noise
    for n in range(d - q, d):
        gap = np.where(p.factor, np.inf, np.maximum(p.theta[:, [n]] - p.theta, LEAST))
        pull = np.where(p.factor[:, [n]], (1.0 - p.theta) * (p.theta[:, [n]] + p.theta) / gap, 0.0)
        inner = (p.omega * pull[:, None, :]) @ np.swapaxes(p.omega, 1, 2)
        hessian += inner * p.omega[:, :, n, None] * p.omega[:, None, :, n]
    held = p.whole | ((p.x <= LOWEST) & (gradient > 0.0)) | ((p.x >= 0.0) & (gradient < 0.0))
    free = ~held
    gradient = np.where(free, gradient, 0.0)
    hessian = np.where(free[:, :, None] & free[:, None, :], hessian, 0.0)
    hessian[:, i, i] += held + RIDGE
    try:
        np.linalg.cholesky(hessian)
        step = -np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # away from a saddle, on which Newton's own step would come to rest
        values, axes = np.linalg.eigh(hessian)
        along = np.swapaxes(axes, 1, 2) @ gradient[:, :, None] / np.maximum(np.abs(values), RIDGE)[:, :, None]
        step = -(axes @ along)[:, :, 0]
    step *= np.minimum(1.0, LONGEST / np.maximum(np.abs(step).max(axis=1), LEAST))[:, None]
    return step, -(step * gradient).sum(axis=1)


def _minimum(p: _Points, q: int) -> _Points:
    """Descend from ``p``, which is overwritten, to a minimum of each problem."""
    step, gain = _newton(p, q)
    length = np.ones(len(step))
    tried = np.zeros(len(step), dtype=bool)  # whether to make a column a factor, in vain
    closing = np.zeros(len(step), dtype=bool)  # at a minimum, and that is still to be tried
    going = np.arange(len(step))
    for _ in range(STEPS):
        here = p if len(going) == len(p.x) else p.take(going)
        column, falls = _falling(here, step[going], closing[going], q)
        falls &= ~tried[going]
        more = falls | ~closing[going]
        if not more.all():
            going, here, column, falls = going[more], here.take(more), column[more], falls[more]
            if not len(going):
                break
        noise = ROUNDING * (1.0 + np.abs(here.f) + 0.01 * np.minimum(here.theta[:, -1], WORST))
        # As ψ_j goes to zero in a straight line, the others go on as far.
        fall = np.maximum(-step[going, column], -FALLING)
        move = step[going] * np.where(falls, 1.0 / fall, length[going])[:, None]
        x = np.clip(here.x + move, LOWEST, 0.0)
        there = _Points.at(_with_factors(here.given, falls, column), x, q)
        better = (there.f <= here.f + noise) | (~falls & (gain[going] < noise))
        p.put(going[better], there.take(better))
        tried[going] = falls & ~better
        length[going] = np.where(better, 1.0, np.where(falls, 1.0, SHORTER) * length[going])
        last, settled = gain[going].copy(), better & ~falls & (gain[going] < SETTLED)
        step[going[settled]] = 0.0
        again = going[better & ~settled]
        if len(again):
            step[again], gain[again] = _newton(p.take(again), q)
        # What no longer shrinks at the level of rounding is rounding.
        stalled = (last < noise) & (gain[going] > STALLED * last)
        ended = better & ~falls & ((gain[going] < AT_REST) | stalled)
        arrived = settled | ended | (length[going] < SHORTEST)
        closing[going] = np.where(falls, closing[going] & ~better, arrived)
    return p


def _falling(p: _Points, move: np.ndarray, closing: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the column of each problem whose uniqueness may best be zero, and whether to try that."""
    one = np.arange(len(move))
    variance = np.maximum(np.diagonal(p.rest, 0, 1, 2), LEAST)
    size = np.where(p.whole, np.inf, p.x - np.log(variance))
    column = np.where(closing, size.argmin(axis=1), move.argmin(axis=1))
    wanted = (move[one, column] < FALLING) | closing
    return column, wanted & (size[one, column] < np.log(SMALL)) & (p.whole.sum(axis=1) < q)


Given = tuple[np.ndarray, np.ndarray, np.ndarray]  # rest, whole, spent


def _with_factors(given: Given, which: np.ndarray, column: np.ndarray) -> Given:
    """Make a column of some of the problems a factor: the others are left with their partial correlation."""
    at = np.flatnonzero(which)
    if not len(at):
        return given
    rest, whole, spent = (a.copy() for a in given)
    j = column[at]
    own = rest[at, :, j]
    variance = np.maximum(rest[at, j, j], LEAST)
    left = rest[at] - own[:, :, None] * (own / variance[:, None])[:, None, :]
    left[np.arange(len(at)), j] = left[np.arange(len(at)), :, j] = 0.0
    rest[at], whole[at, j], spent[at] = left, True, spent[at] + 1.0 + np.log(variance)
    return rest, whole, spent


def _all_free(r: np.ndarray) -> Given:
    return r, np.zeros(r.shape[:2], dtype=bool), np.zeros(len(r))


def _release(p: _Points, which: np.ndarray, r: np.ndarray, q: int) -> None:
    """Give columns that are factors noise again, one at a time, where that is better."""
    for turn in range(q):
        at = which[p.whole[which].sum(axis=1) > turn]
        if not len(at):
            return
        one = np.arange(len(at))
        column = np.argsort(~p.whole[at], axis=1, kind="stable")[:, turn]
        kept = p.whole[at]
        kept[one, column] = False
        given = _all_free(r[at])
        for _ in range(q - 1):
            left = kept & ~given[1]
            given = _with_factors(given, left.any(axis=1), left.argmax(axis=1))
        for share in RELEASED:
            x = p.x[at]
            x[one, column] = np.log(share * np.maximum(given[0][one, column, column], LEAST))
            there = _Points.at(given, x, q)
            less = there.f < p.f[at] - SAME
            if less.any():
                p.improve(at[less], _minimum(there.take(less), q))


# ---------------------------------------------------------------- starts


def _minima(starts: list[_Points], q: int) -> list[_Points]:
    """Descend from several starts of the same problems, side by side."""
    together = _Points(*(np.concatenate([getattr(p, name) for p in starts]) for name in _NAMES))
    found, m = _minimum(together, q), len(starts[0].x)
    return [found.take(np.arange(s * m, (s + 1) * m)) for s in range(len(starts))]


def _joreskogs_start(r: np.ndarray, q: int) -> _Points:
    """ψ_j = (1 − q/2d) / (R⁻¹)_jj, a little noise added to R, which may be singular."""
    d = r.shape[1]
    inverse = np.linalg.inv(r + CLEAR * np.eye(d))
    noise = (1.0 - 0.5 * q / d) / np.diagonal(inverse, 0, 1, 2)
    return _Points.at(_all_free(r), np.log(np.maximum(noise, CLEAR)), q)


def _more_starts(r: np.ndarray, q: int) -> list[_Points]:
    """No, one, … q columns as factors, each the best beside those before; principal factors of the rest."""
    m, d = r.shape[:2]
    given, out = _all_free(r), []
    for count in range(q + 1):
        if count:
            partial, _ = _correlations(given[0])
            explained = -np.log(np.maximum(1.0 - partial**2, LEAST))
            explained[:, np.arange(d), np.arange(d)] = 0.0
            best = np.where(given[1], -np.inf, explained.sum(axis=1)).argmax(axis=1)
            given = _with_factors(given, np.ones(m, dtype=bool), best)
        partial, variance = _correlations(given[0])
        values, axes = np.linalg.eigh(partial)
        common = (axes**2 * values[:, None, :])[:, :, d - q + count :].sum(axis=2)
        x = np.log(np.maximum(np.maximum(1.0 - common, CLEAR) * variance, LEAST))
        out.append(_Points.at(given, x, q))
    return out


def _correlations(v: np.ndarray, least: float = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """Return correlations (M, d, d) and variances (M, d)."""
    variance = np.maximum(np.diagonal(v, 0, 1, 2), least)
    sd = np.sqrt(variance)
    return v / sd[:, :, None] / sd[:, None, :], variance
