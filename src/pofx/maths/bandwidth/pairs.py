r"""Sums over all pairs of rows, at any bandwidth, from one spectrum.

Plug-in rules and cross-validation for the Gaussian kernel need nothing of the rows but

    P_r(g) = Σ_ij w_i w_j φ_g^(r)(x_i - x_j),        φ_g the density of N(0, g²), r even,

which Parseval's formula turns into an integral of positive terms over the empirical characteristic function:

    P_r(g) = (-1)^(r/2) / 2π ∫ ω^r |A(ω)|² exp(-g²ω²/2) dω,        A(ω) = Σ_i w_i exp(iωx_i).

On frequencies 2πk/L the integral is a sum whose error is the kernel at distance L - |x_i - x_j|; so with L a
reach of the kernel more than the range, and k up to a reach in units of 1/g, it is exact to rounding. The
spectrum |A|² costs one non-uniform Fourier transform (Barnett, Magland and af Klinteberg 2019), and each g
after that one pass over the modes. No term is of the other sign, so the huge cancellation of the direct sum
of φ^(4) and φ^(6) over far pairs does not arise.

Three things keep the number of modes small whatever the rows are:

* bandwidths fall into bands of a factor of 16, each with its own spectrum, made when first asked for;
* a gap wider than the reach of the band is shortened to that reach, and a row alone between two of them is
  left to its diagonal term: pairs across had no share, and still have none. Far-out rows cost nothing;
* a line that is still longer than `MODES` allow is cut into windows at least a reach wide. With A_c of
  window c, Σ_c |A_c|² + 2 Re A_c* A_(c+1) counts every pair within reach once.

So the memory is below 50 MB next to the rows, and rows enter in blocks of fixed size and order: the bits do
not depend on threads.

References
----------
M. P. Wand and M. C. Jones, *Kernel Smoothing*, Chapman & Hall 1995, section 3.5 and appendix D.
B. W. Silverman, Algorithm AS 176: kernel density estimation using the fast Fourier transform, *Applied
Statistics* 31 (1982) 93-99.
A. H. Barnett, J. F. Magland and L. af Klinteberg, A parallel non-uniform fast Fourier transform library
based on an "exponential of semicircle" kernel, *SIAM J. Sci. Comput.* 41 (2019) C479-C504.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.optional import need

__all__ = ["PairSums", "Sums", "at_zero", "sign_changes"]

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]
Sums = Callable[[int, float], float]
"""(r, g) to P_r(g)."""

REACH = 11.0  # |φ^(6)| is 1e-21 of its peak beyond this many bandwidths, and so is its transform
BAND = 16.0
MODES = 2**18  # of one window: 4 MB a spectrum, 30 MB while it is made
BLOCK = 2**17  # rows in one transform; fixed, as the sum of the blocks depends on it in the last bits
PRECISION = 1e-14


def at_zero(r: int, g: float) -> float:
    """Return φ_g^(r)(0) = (-1)^(r/2) (r-1)!! / (√(2π) g^(r+1)) for even r."""
    odd = math.prod(range(1, r, 2))
    return float((-1.0) ** (r // 2) * odd / math.sqrt(2.0 * math.pi) * g ** -(r + 1.0))


@dataclass(frozen=True)
class _Spectrum:
    """|A|² on the frequencies 2πk/period, and the squared weights of the rows that have no neighbour."""

    period: float
    power: Floats
    alone: float

    def pair_sum(self, r: int, g: float) -> float:
        step = 2.0 * math.pi * g / self.period
        last = min(len(self.power), int(REACH / step) + 2)
        t = step * np.arange(last)
        terms = t**r * self.power[:last] * np.exp(-0.5 * t * t)
        total = (2.0 * float(terms[1:].sum()) + float(terms[0])) / self.period
        return (-1.0) ** (r // 2) * total * g**-r + self.alone * at_zero(r, g)


class PairSums:
    """P_r(g) of one column for any even r up to 6 and any g, exact to about 1e-12 of P_r(g).

    Parameters
    ----------
    x : (n,) float64, any order, not constant; equal values are merged
    w : (n,) float64, positive
    """

    def __init__(self, x: Floats, w: Floats) -> None:
        self.values, of_row = np.unique(x, return_inverse=True)
        self.weights: Floats = np.bincount(of_row, w, len(self.values)).astype(np.float64, copy=False)
        self._span = float(self.values[-1] - self.values[0])
        self._bands: dict[int, _Spectrum] = {}
        self.tied = float(np.square(self.weights).sum())  # Σ_ij w_i w_j over x_i = x_j

    def __call__(self, r: int, g: float) -> float:
        band = math.floor(math.log(g / self._span) / math.log(BAND))
        if band not in self._bands:
            least = self._span * BAND**band
            self._bands[band] = _spectrum(self.values, self.weights, least, BAND * least)
        return self._bands[band].pair_sum(r, g)

    def neighbours(self, h: float) -> float:
        """Return the mean of Σ_j w_j exp(-(x_i - x_j)²/2h²) over the rows, their own value left out."""
        return (self(0, h) / at_zero(0, h) - self.tied) / float(self.weights.sum())


def _spectrum(values: Floats, weights: Floats, least: float, most: float) -> _Spectrum:
    """Return the spectrum for bandwidths from ``least`` to ``most`` of sorted, distinct ``values``."""
    reach = REACH * most
    far = np.concatenate([[True], np.diff(values) > reach, [True]])
    alone = far[:-1] & far[1:]
    lonely = float(np.square(weights[alone]).sum())
    if alone.all():
        return _Spectrum(reach, np.zeros(1), lonely)
    place = _shortened(values[~alone], reach)
    longest = MODES * 2.0 * math.pi * least / REACH
    if place[-1] + reach <= longest:
        period, width = float(place[-1]) + reach, math.inf
    else:
        period, width = longest, (longest - reach) / 2.0
    modes = math.ceil(period * REACH / (2.0 * math.pi * least)) + 1
    return _Spectrum(period, _power(place, weights[~alone], period, width, modes), lonely)


def _shortened(values: Floats, reach: float) -> Floats:
    """Return sorted values moved together, from 0 on, so that no gap is wider than ``reach``."""
    first = np.concatenate([[0], np.flatnonzero(np.diff(values) > reach) + 1])
    size = np.diff(np.append(first, len(values)))
    length = values[first + size - 1] - values[first]
    begin = np.concatenate([[0.0], np.cumsum(length[:-1] + reach)])
    return (values - np.repeat(values[first], size)) + np.repeat(begin, size)


def _power(place: Floats, weights: Floats, period: float, width: float, modes: int) -> Floats:
    """Return Σ_c |A_c|² + 2 Re A_c* A_(c+1) over windows c of this width, on ``modes`` frequencies."""
    if math.isinf(width):
        return _square(_transform(place, weights, period, modes))
    # What a shift by one window does to each mode; k·width/period loses no digit that a row's place has.
    turn = np.exp(2j * math.pi * np.remainder(np.arange(modes) * (width / period), 1.0))
    power = np.zeros(modes)
    before: Complex | None = None
    cuts = np.searchsorted(place, np.arange(math.floor(place[-1] / width) + 2) * width)
    for c in range(len(cuts) - 1):
        rows = slice(cuts[c], cuts[c + 1])
        now = _transform(place[rows] - c * width, weights[rows], period, modes)
        power += _square(now)
        if before is not None:
            power += 2.0 * (before.conj() * (now * turn)).real
        before = now
    return power


def _square(a: Complex) -> Floats:
    return np.square(a.real) + np.square(a.imag)


def _transform(place: Floats, weights: Floats, period: float, modes: int) -> Complex:
    """Return Σ_i w_i exp(2πi k x_i / period) for k = 0 .. modes - 1."""
    finufft = need("finufft", why="this bandwidth rule sums over all pairs of rows")
    total = np.zeros(modes, dtype=np.complex128)
    for start in range(0, len(place), BLOCK):
        angle = (2.0 * math.pi / period) * place[start : start + BLOCK]
        # finufft's modes run from -(modes // 2); turning every row by as many steps makes 0 the first.
        turned = weights[start : start + BLOCK] * np.exp(1j * (modes // 2) * angle)
        total += finufft.nufft1d1(angle, turned, modes, eps=PRECISION, isign=1, nthreads=1)
    return total


def sign_changes(
    function: Callable[[float], float], high: float, inside: Callable[[float], bool], ratio: float
) -> Iterator[tuple[float, bool]]:
    """Yield the zeros of ``function`` from ``high`` down while ``inside``, found in steps of ``ratio`` > 1.

    With each zero comes whether the function is positive above it. A zero is good to 1e-13 of itself; two
    zeros within one step are passed over.
    """
    from scipy.optimize import brentq

    above, of_above = high, function(high)
    while inside(above):
        below = above / ratio
        of_below = function(below)
        if (of_above > 0.0) != (of_below > 0.0):
            zero = float(brentq(function, below, above, xtol=1e-300, rtol=1e-13))
            if not inside(zero):
                return
            yield zero, of_above > 0.0
        above, of_above = below, of_below
