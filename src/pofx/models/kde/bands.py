r"""Confidence bands of a kernel density estimate, the bandwidth held.

    p̂(x) = Σ_i p_i K_i(x),     G(x) = Σ_i √v_i ξ_i (K_i(x) - p̂(x)),     ξ_i standard normal draws

with v_i = p_i/(N-1) for rows that count repetitions and p_i² for importance weights: the multiplier
bootstrap. Given the rows G is normal, so its covariance over the places asked is summed once, block by block
of rows, and draws come from that; for more places than draws the draws themselves are summed. ``q`` is the
quantile of sup |G|/sd over the draws, or the normal one for each place by itself.

The band is Wilson's score interval for a density, (p̂ - p)² <= q² (c p - p²)/N, where c is the mean of K² over
the mean of K at x, or ∫K² where that is more: it never leaves p >= 0 and stays honest where few rows reach.

E p̂ = p∗K, not p. With ``target="density"`` the leading bias is taken off,

    K̃ = K - ½ tr(H ∇²K) = K (1 + d/2 - |z|²/2),

a kernel of order four; its band is about p itself, wider because K̃ varies more.

References
----------
V. Chernozhukov, D. Chetverikov and K. Kato, Anti-concentration and honest, adaptive confidence bands,
*Ann. Statist.* 42 (2014): the multiplier bootstrap of the studentised supremum.
G. Cheng and Y.-C. Chen, Nonparametric inference via bootstrapping the debiased estimator, *Electron. J.
Statist.* 13 (2019).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ...core.params import Params
from ...errors import UnsupportedError
from ...maths.kernel_sums import Bumps, Edges
from ...maths.kernel_sums.folded import reach_of
from ...maths.kernel_sums.naive import direct_terms
from ...maths.kernels import Kernel
from ...threads import map_ordered
from ...validation import check_memory
from .parts import bumps_of, edges_of

__all__ = ["Band", "confidence_band"]

Floats = NDArray[np.float64]

PAIRS_PER_BLOCK = 2**18
FAR = 300.0  # nats below ∫K²: no row is near
NEGLIGIBLE = -80.0  # nats beside p̂: an image that adds less is left out


@dataclass(frozen=True, eq=False)
class Band:
    """A confidence band for a density.

    Attributes
    ----------
    lower, upper, estimate : (m,)
        Densities, data units. The estimate is the middle of the band's construction: p̂, or the
        bias-corrected one.
    level : float
    message : str
        What the band covers, and whether smoothing bias is included.
    """

    lower: Floats
    upper: Floats
    estimate: Floats
    level: float
    message: str


def confidence_band(
    params: Params,
    x: Floats,
    log_p: Floats,
    level: float,
    *,
    n_boot: int,
    simultaneous: bool,
    debiased: bool,
    importance: bool,
    rng: np.random.Generator,
) -> Band:
    """Return the band at rows x of unit space, where the log density is ``log_p`` (data units)."""
    bumps, edges = bumps_of(params), edges_of(params)
    if debiased:
        _require_debiasable(bumps)
    shares = np.exp(params.log_weights)
    # Everything is relative to p̂(x): nothing overflows, in any units or dimension.
    terms = _Terms(bumps, edges, x, log_p - params.units.log_jacobian, debiased)
    mean, square, peak = terms.sums(shares)
    if importance:
        variance, size = shares**2, float(1.0 / (shares @ shares))
    else:
        variance, size = shares / max(params.size - 1.0, 1.0), params.size
    c = np.maximum(square, peak)  # relative to p̂, as all else
    q = float(ndtri(0.5 + level / 2.0))
    if simultaneous and len(x) > 1:
        q = max(q, _supremum(terms, mean, variance, level, n_boot, rng))
    lower, upper = _wilson(mean, c, q * q / max(size, 1.0))
    with np.errstate(over="ignore", under="ignore"):
        density = np.exp(log_p)
    nothing = (density == 0.0) | (c >= math.exp(FAR))
    scale = np.where(nothing, 0.0, density)
    lower, upper, middle = lower * scale, upper * scale, np.maximum(mean, 0.0) * scale
    outside = np.zeros(len(x), dtype=bool) if edges is None else edges.outside(x)
    if bool((nothing & ~outside).any()):  # no bump reaches: as Wilson says for a count of zero
        height = min(_norm_squared(bumps, debiased) + params.units.log_jacobian, 700.0)
        most = math.exp(height) * q * q / size
        upper = np.where(nothing & ~outside, most, upper)
    return Band(lower, upper, middle, level, _said(bumps, edges, simultaneous, debiased, level, n_boot))


def _require_debiasable(bumps: Bumps) -> None:
    if not bumps.gaussian or bumps.factors is not None:
        why = "one bandwidth for all rows" if bumps.gaussian else "kernel='gaussian'"
        raise UnsupportedError(
            f"confidence_band(target='density') needs {why}: the bias that it takes off is that of a "
            "Gaussian bump with fixed bandwidth. target='smoothed' works for every estimate."
        )


def _wilson(mean: Floats, c: Floats, b: float) -> tuple[Floats, Floats]:
    """Return the p with (mean - p)² <= b (c p - p²), all relative to p̂."""
    half = (mean + b * c / 2.0) / (1.0 + b)
    root = np.sqrt(np.maximum(half**2 - mean**2 / (1.0 + b), 0.0))
    return np.maximum(half - root, 0.0) * (mean > 0.0), np.maximum(half + root, 0.0)


def _supremum(
    terms: _Terms, mean: Floats, variance: Floats, level: float, n_boot: int, rng: np.random.Generator
) -> float:
    """Return the quantile of the studentised supremum over the draws."""
    m = len(mean)
    if m <= 2 * n_boot:
        check_memory(8.0 * 4 * m * m, f"A simultaneous band at {m:,} places")
        covariance = np.zeros((m, m))
        for rows, part in terms.blocks():
            part -= mean[:, None]
            part *= np.sqrt(variance[rows])
            covariance += part @ part.T
        sd = np.sqrt(np.diag(covariance))
        used = sd > 0.0
        if not used.any():
            return 0.0
        values, axes = np.linalg.eigh(covariance[np.ix_(used, used)] / np.outer(sd[used], sd[used]))
        root = axes * np.sqrt(np.maximum(values, 0.0))
        draws = np.abs(rng.standard_normal((n_boot, len(root))) @ root.T)
        return float(np.quantile(draws.max(axis=1), level))
    check_memory(8.0 * 2 * m * n_boot, f"A simultaneous band at {m:,} places")
    sums, squares = np.zeros((n_boot, m)), np.zeros(m)
    for rows, part in terms.blocks():
        part -= mean[:, None]
        part *= np.sqrt(variance[rows])
        sums += rng.standard_normal((n_boot, part.shape[1])) @ part.T
        squares += (part * part).sum(axis=1)
    sd = np.sqrt(squares)
    ratio = np.abs(sums) / np.where(sd > 0.0, sd, math.inf)
    return float(np.quantile(ratio.max(axis=1), level))


class _Terms:
    """K_i(x) / p̂(x) for all rows i and places x, block by block of rows."""

    def __init__(self, bumps: Bumps, edges: Edges | None, x: Floats, log_p: Floats, debiased: bool) -> None:
        self.bumps, self.debiased = bumps, debiased
        self.log_p = np.where(np.isfinite(log_p), log_p, 0.0)
        edges = edges or Edges.free(bumps.d)
        self._y = np.ascontiguousarray(bumps.points.T)
        self._images = self._needed(edges, edges.wrap(x))

    def _needed(self, edges: Edges, x: Floats) -> list[Floats]:
        """Return the images (d, m) of the places that count."""
        if edges.none:
            return [np.ascontiguousarray(x.T)]
        found: list[Floats] = []
        for shell, images in edges.shells():
            before = len(found)
            for image in images:
                sign, shift = (np.array(part) for part in zip(*image, strict=True))
                moved = sign * x + shift
                most = reach_of(self.bumps, moved) + self.bumps.constant - self.log_p
                if shell == 0 or bool((most > NEGLIGIBLE).any()):
                    found.append(np.ascontiguousarray(moved.T))
            if shell > 1 and len(found) == before:
                break
        return found

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Yield (rows, K (m, rows) relative to p̂): at most PAIRS_PER_BLOCK numbers at once."""
        m, n = len(self.log_p), self.bumps.n
        wide = max(1, PAIRS_PER_BLOCK // max(m, 1))

        def block(first: int) -> tuple[slice, Floats]:
            rows = slice(first, min(first + wide, n))
            return rows, self._block(rows)

        yield from map_ordered(block, range(0, n, wide))

    def _block(self, rows: slice) -> Floats:
        bumps, d = self.bumps, self.bumps.d
        y = self._y[:, rows]
        factors = None if bumps.factors is None else bumps.factors[rows]
        lowered = self.log_p[:, None] - bumps.constant
        if factors is not None:
            lowered = lowered + d * np.log(factors)
        total = np.zeros((len(self.log_p), y.shape[1]))
        tile, spare = np.empty_like(total), np.empty_like(total)
        for x in self._images:
            direct_terms(bumps, x, y, factors, tile, spare)
            if self.debiased:
                np.add(tile, 1.0 + d / 2.0, out=spare)  # the term itself is -|z|²/2
            tile -= lowered
            with np.errstate(under="ignore"):
                np.exp(tile, out=tile)
            if self.debiased:
                tile *= np.where(tile > 0.0, spare, 0.0)
            total += tile
        return total

    def sums(self, shares: Floats) -> tuple[Floats, Floats, Floats]:
        """Return Σ p_i K_i and Σ p_i K_i², and the mean of ∫K_i² over the bumps by their shares at x."""
        m = len(self.log_p)
        mean, square, narrow = np.zeros(m), np.zeros(m), np.zeros(m)
        factors = self.bumps.factors
        for rows, part in self.blocks():
            mean += part @ shares[rows]
            if factors is not None:
                narrow += part @ (shares[rows] * factors[rows] ** -float(self.bumps.d))
            part *= part
            square += part @ shares[rows]
        with np.errstate(under="ignore", over="ignore"):
            peak = np.exp(np.minimum(_norm_squared(self.bumps, self.debiased) - self.log_p, FAR))
        return mean, square, peak if factors is None else peak * narrow


def _norm_squared(bumps: Bumps, debiased: bool) -> float:
    """Return log ∫K² of a bump with factor 1."""
    d = bumps.d
    if bumps.gaussian:
        log_norm = bumps.constant - d * math.log(2.0) / 2.0  # φ_H² = φ_H(0) 2^{-d/2} N(0, H/2)
        return log_norm + (math.log((1.0 + d / 4.0) ** 2 + d / 8.0) if debiased else 0.0)
    return bumps.constant - d * bumps.kernel.log_norm + d * _line_norm(bumps.kernel)


def _line_norm(kernel: Kernel) -> float:
    u = (np.arange(4000) + 0.5) / 4000 * 2.0 * kernel.radius - kernel.radius
    return math.log(float(np.exp(2.0 * kernel.log_density(u)).mean()) * 2.0 * kernel.radius)


def _said(
    bumps: Bumps, edges: Edges | None, simultaneous: bool, debiased: bool, level: float, n_boot: int
) -> str:
    sure = f"{100.0 * level:g} %"
    where = (
        f"With {sure} probability it holds at all places at once ({n_boot} draws)."
        if simultaneous
        else f"It holds with {sure} probability at each place by itself."
    )
    if not debiased:
        what = (
            "The band is about the smoothed density p∗K, the mean of such estimates; smoothing bias is not "
            "included, so the density itself may lie outside, most at sharp peaks."
        )
    else:
        what = (
            "The band is about the density itself: the leading smoothing bias is taken off and its doubt "
            "included, on the supposition of a smooth density."
        )
        if edges is not None and not edges.periodic.all():
            what += " Near a bound it also supposes that the density is level there."
    return f"{what} {where} The bandwidth is held as given."
