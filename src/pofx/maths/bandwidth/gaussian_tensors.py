r"""Derivatives of Gaussians as symmetric tensors, and their double sums over the rows.

    ψ_α(g) = W⁻² Σ_ij w_i w_j D^α φ_{g²I}(z_i − z_j),      W = Σ_i w_i,  |α| = r,  i = j included.

The tensor of all derivatives of order r has d^r entries but only C(r + d − 1, d − 1) different ones: one for
each multi-index α, which stands for r!/α! of them. A tensor of order r is here the array of these values,
(m,), in the order of :func:`monomials`.

The sums come by two routes that give the same numbers. :class:`Pairs` goes over tiles of pairs, where
D^α φ_{g²I}(u) = g^{-r} Π_k He_{α_k}(u_k/g) φ_{g²I}(u) for even r. :class:`Spectrum` uses that the
transform of the rows is f̂(ω) = W⁻¹ Σ_j w_j e^{iω·z_j}, so that

    ψ_α(g) = (2π)^{-d} ∫ (iω)^α |f̂(ω)|² e^{−g²|ω|²/2} dω,
    W⁻² Σ_ij w_i w_j φ_S(z_i − z_j) = (2π)^{-d} ∫ |f̂(ω)|² e^{−ω'Sω/2} dω.

On an equispaced grid the trapezoidal sum of that integral equals the double sum with the Gaussian repeated
in every period; the period is chosen so that the repetitions add nothing.

Sources: J. E. Chacón and T. Duong, *Statistics and Computing* 25 (2015) 959-974, on unique entries and
recursions; M. P. Wand and M. C. Jones, *Kernel Smoothing*, Chapman & Hall 1995, 4.2 and appendix C, for ψ;
A. H. Barnett, J. Magland and L. af Klinteberg, *SIAM J. Sci. Comput.* 41 (2019) C479, for the transform.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

__all__ = [
    "PAIRS",
    "DoubleSums",
    "Pairs",
    "Spectrum",
    "derivatives_at_zero",
    "double_sums",
    "entry",
    "laplacian",
    "monomials",
    "multiplicities",
    "sketch",
]

Floats = NDArray[np.float64]

PAIRS = 3000  # rows up to which every pair is looked at
TILE = (
    128  # rows of a tile: with d = 4 and r = 6 its tables take about 10 MB, and those of d = 2 stay in cache
)
MODES = 2**22  # frequencies of the grid at most
BLOCK = 2**17  # rows of one transform: the result does not depend on memory or threads
REACH = 10.5  # in sd: t^10 e^{−t²/2} is below 1e-13 from here on


@cache
def monomials(d: int, r: int) -> tuple[tuple[int, ...], ...]:
    """Return the multi-indices α of d entries with |α| = r, in descending lexicographic order."""
    if d == 1:
        return ((r,),)
    return tuple((k, *rest) for k in range(r, -1, -1) for rest in monomials(d - 1, r - k))


@cache
def _places(d: int, r: int) -> dict[tuple[int, ...], int]:
    return {alpha: i for i, alpha in enumerate(monomials(d, r))}


def multiplicities(d: int, r: int) -> Floats:
    """Return r!/α!, the number of equal entries of the full tensor, (m,)."""
    count = [math.factorial(r) // math.prod(map(math.factorial, alpha)) for alpha in monomials(d, r)]
    return np.array(count, dtype=np.float64)


def entry(d: int, *axes: int) -> int:
    """Return where the derivative along these axes stands among the monomials of its order."""
    return _places(d, len(axes))[tuple(axes.count(k) for k in range(d))]


def laplacian(psi: Floats, d: int, r: int) -> Floats:
    """Return Σ_k ψ_{α + 2e_k} for |α| = r from the tensor of order r + 2, (m,)."""
    place = _places(d, r + 2)
    total = np.zeros(len(monomials(d, r)))
    for k in range(d):
        up = [place[(*alpha[:k], alpha[k] + 2, *alpha[k + 1 :])] for alpha in monomials(d, r)]
        total += psi[up]
    return total


def derivatives_at_zero(covariance: Floats, r: int) -> Floats:
    """Return D^α φ_S(0) for |α| = r and S = ``covariance`` (d, d), (m,).

    For even r it is (−1)^{r/2} φ_S(0) E[Y^α] with Y ~ N(0, S⁻¹) (D = iω in the transform of φ_S), and the
    moments follow from Stein's E[Y_k Y^β] = Σ_j (S⁻¹)_kj β_j E[Y^{β − e_j}].
    """
    d = len(covariance)
    inverse = np.linalg.inv(covariance)

    @cache
    def moment(alpha: tuple[int, ...]) -> float:
        if not any(alpha):
            return 1.0
        k = next(i for i, a in enumerate(alpha) if a)
        beta = (*alpha[:k], alpha[k] - 1, *alpha[k + 1 :])
        return sum(
            inverse[k, j] * beta[j] * moment((*beta[:j], beta[j] - 1, *beta[j + 1 :]))
            for j in range(d)
            if beta[j]
        )

    top = (2.0 * math.pi) ** (-d / 2) / math.sqrt(float(np.linalg.det(covariance)))
    return np.array([(-1) ** (r // 2) * top * moment(alpha) for alpha in monomials(d, r)])


class DoubleSums(Protocol):
    """Double sums over rows: ψ(g), and one Gaussian of any covariance with its slope."""

    @property
    def size(self) -> float:
        """The sample size of the rows in use, Σw."""

    @property
    def rows(self) -> int:
        """How many rows are in use."""

    def functionals(self, g: float, r: int) -> Floats:
        """Return ψ_α(g) for |α| = r (even), (m,)."""

    def bump(self, covariance: Floats) -> tuple[float, Floats]:
        """Return V = W⁻² Σ_ij w_i w_j φ_S(z_i − z_j) and the symmetric matrix ∂V/∂S (d, d)."""

    def reaching(self, g: float) -> DoubleSums:
        """Return sums over the same rows that are exact for Gaussians as narrow as sd g."""


@dataclass(frozen=True)
class Pairs:
    """The sums over tiles of pairs of ``z`` (n, d), weights ``w`` (n,)."""

    z: Floats
    w: Floats

    @property
    def size(self) -> float:
        return float(self.w.sum())

    @property
    def rows(self) -> int:
        return len(self.z)

    def reaching(self, g: float) -> DoubleSums:
        return self

    def _tiles(self, z: Floats) -> Iterator[tuple[Floats, Floats]]:
        """Yield differences (d, p) and w_i w_j (p,) of every unordered pair; i ≠ j counts for both orders."""
        columns = np.ascontiguousarray(z.T)
        n = columns.shape[1]
        for i in range(0, n, TILE):
            for j in range(i, n, TILE):
                u = columns[:, i : i + TILE, None] - columns[:, None, j : j + TILE]
                ww = self.w[i : i + TILE, None] * self.w[None, j : j + TILE]
                yield u.reshape(len(columns), -1), (ww if i == j else 2.0 * ww).ravel()

    def functionals(self, g: float, r: int) -> Floats:
        d = self.z.shape[1]
        half = (
            d + 1
        ) // 2  # Π_k He splits into two tables whose product over the pairs is one matrix product
        left, rest = _up_to(half, r), _up_to(d - half, r)
        total = np.zeros((len(left), len(rest)))
        for u, ww in self._tiles(self.z / g):
            bell = np.exp(-0.5 * np.einsum("kp,kp->p", u, u))
            bell *= ww
            he = _hermite(u, r)
            total += _products(he[:half], left) @ (_products(he[half:], rest) * bell).T
        row = {alpha: i for i, alpha in enumerate(left)}
        column = {alpha: i for i, alpha in enumerate(rest)}
        psi = np.array([total[row[a[:half]], column[a[half:]]] for a in monomials(d, r)])
        return psi * (2.0 * math.pi) ** (-d / 2) * g ** (-d - r) / self.size**2

    def bump(self, covariance: Floats) -> tuple[float, Floats]:
        d = len(covariance)
        root = np.linalg.cholesky(covariance)
        value, second = 0.0, np.zeros((d, d))
        for u, ww in self._tiles(solve_triangular(root, self.z.T, lower=True).T):
            bell = np.exp(-0.5 * np.einsum("kp,kp->p", u, u))
            bell *= ww
            value += float(bell.sum())
            # Not a matrix product: threads of BLAS would cost more than so thin a product takes.
            second += np.einsum("kp,lp->kl", u * bell, u)
        top = (2.0 * math.pi) ** (-d / 2) / float(np.prod(np.diag(root))) / self.size**2
        back = solve_triangular(root, np.eye(d), lower=True)
        return top * value, 0.5 * top * back.T @ (second - value * np.eye(d)) @ back


def _up_to(d: int, r: int) -> list[tuple[int, ...]]:
    """Return the multi-indices of d entries of the orders 0 to r; the empty one for d = 0."""
    return [alpha for k in range(r + 1) for alpha in monomials(d, k)] if d else [()]


def _hermite(u: Floats, r: int) -> Floats:
    """Return the Hermite polynomials He_0..He_r of ``u`` (d, p), (d, r + 1, p)."""
    he = np.empty((len(u), r + 1, u.shape[1]))
    he[:, 0] = 1.0
    he[:, 1] = u
    for k in range(1, r):
        np.multiply(u, he[:, k], out=he[:, k + 1])
        he[:, k + 1] -= k * he[:, k - 1]
    return he


def _products(he: Floats, alphas: list[tuple[int, ...]]) -> Floats:
    """Return Π_k He_{α_k} of each α, (len(alphas), p); 1 for the empty α."""
    product = np.ones((1, 1))
    for k, table in enumerate(he):
        factor = table[[alpha[k] for alpha in alphas]]
        product = factor if k == 0 else np.multiply(product, factor, out=factor)
    return product


@dataclass(frozen=True)
class Spectrum:
    """The sums as sums over frequencies, for Gaussians of sd between ``narrowest`` and ``widest``."""

    z: Floats
    w: Floats
    narrowest: float
    widest: float
    frequencies: bool = True
    most: int = PAIRS

    @property
    def size(self) -> float:
        return float(self.w.sum())

    @property
    def rows(self) -> int:
        return len(self.z)

    def reaching(self, g: float) -> DoubleSums:
        if g >= self.narrowest:
            return self
        return double_sums(self.z, self.w, 0.7 * g, self.widest, frequencies=self.frequencies, most=self.most)

    @cached_property
    def _grid(self) -> tuple[Floats, tuple[int, ...]]:
        """Spacing of the frequencies per axis (d,), and their numbers (odd, so that they lie about 0)."""
        period = np.ptp(self.z, axis=0) + REACH * self.widest
        steps = np.ceil(REACH / self.narrowest * period / (2.0 * math.pi))
        return 2.0 * math.pi / period, tuple(2 * int(m) + 1 if m < MODES else MODES for m in steps)

    @property
    def modes(self) -> int:
        """How many frequencies the grid has."""
        return math.prod(self._grid[1])

    @cached_property
    def _power(self) -> tuple[list[Floats], Floats]:
        """Frequencies per axis, and |f̂|² times the weight of the sum; ±ω are one, so half the grid."""
        import finufft

        spacing, numbers = self._grid
        transform = (finufft.nufft1d1, finufft.nufft2d1, finufft.nufft3d1)[len(numbers) - 1]
        angle = np.ascontiguousarray(((self.z - 0.5 * (self.z.max(0) + self.z.min(0))) * spacing).T)
        total = np.zeros(numbers, dtype=np.complex128)
        for i in range(0, len(self.z), BLOCK):
            block = [np.ascontiguousarray(a[i : i + BLOCK]) for a in angle]
            strength = self.w[i : i + BLOCK].astype(np.complex128)
            total += transform(*block, strength, numbers, eps=1e-14, nthreads=1)
        half = numbers[0] // 2
        power = np.abs(total[half:] / self.size) ** 2
        power[1:] *= 2.0
        omega = [s * (np.arange(m) - m // 2) for s, m in zip(spacing, numbers, strict=True)]
        omega[0] = omega[0][half:]
        return omega, power * float(np.prod(spacing / (2.0 * math.pi)))

    def functionals(self, g: float, r: int) -> Floats:
        omega, table = self._power
        for o in omega:  # each step contracts the first axis with its powers, and puts them last
            bell = np.exp(-0.5 * (g * o) ** 2)
            table = np.tensordot(table, o[:, None] ** np.arange(r + 1) * bell[:, None], axes=(0, 0))
        return (-1) ** (r // 2) * np.array([table[alpha] for alpha in monomials(len(omega), r)])

    def bump(self, covariance: Floats) -> tuple[float, Floats]:
        omega, power = self._power
        d = len(omega)
        lines = [o.reshape([-1 if k == j else 1 for j in range(d)]) for k, o in enumerate(omega)]
        square = sum(covariance[k, m] * lines[k] * lines[m] for k in range(d) for m in range(d))
        bell = np.exp(-0.5 * square) * power
        second = np.empty((d, d))
        for k in range(d):
            for m in range(k + 1):
                second[k, m] = second[m, k] = float((bell * lines[k] * lines[m]).sum())
        return float(bell.sum()), -0.5 * second


def double_sums(
    z: Floats, w: Floats, narrowest: float, widest: float, *, frequencies: bool = True, most: int = PAIRS
) -> DoubleSums:
    """Return the cheapest exact sums over the rows ``z`` (n, d); over a sketch of them where none is at hand.

    ``narrowest`` and ``widest`` are the sds of the Gaussians to come. More than ``most`` rows whose grid
    would be too large are represented by ``most`` of them; ``DoubleSums.rows`` tells.
    """
    n, d = z.shape
    if d <= 3:
        spectrum = Spectrum(z, w, narrowest, widest, frequencies, most)
        if spectrum.modes <= (MODES if n > most else min(MODES, n * n // 16)):
            return spectrum
    return Pairs(z, w) if n <= most else Pairs(*sketch(z, w, most, frequencies=frequencies))


def sketch(z: Floats, w: Floats, m: int, *, frequencies: bool) -> tuple[Floats, Floats]:
    """Return m of the rows, as if drawn at random, and their weights.

    The draw is splitmix64 of the position, not of the values: the rows are sorted, and an order survives a
    change of units where a hash of the values would not. Importance weights are scaled to Kish's size.
    """
    state = (np.arange(len(z), dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    chosen = np.sort(np.argsort(state, kind="stable")[:m])
    z, w = z[chosen], w[chosen]
    return z, w if frequencies else w * (w.sum() / (w * w).sum())
