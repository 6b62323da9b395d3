r"""Kernels: the bump that a kernel density estimate puts on every row.

All kernels are written in standard form

    k(u) = C · b(t)^p,      t = u / r,

with mean 0 and **standard deviation 1**, so that a bandwidth means the same for every kernel: it is the
kernel's standard deviation in data units. ``r`` is then the half-width of the support in standard
deviations (for the Gaussian, which has none, ``b = exp(-t²/2)`` and ``r = 1`` is only the scale).

============  ======================  ========  =====================================
name          k(u), t = u/r           r         upper tail mass, e = 1 - t
============  ======================  ========  =====================================
gaussian      exp(-u²/2) / √(2π)      (∞)       Φ(-u)
epanechnikov  3/4 (1 - t²) / r        √5        e² (3 - e) / 4
tophat        1/2 / r                 √3        e / 2
triangular    (1 - |t|) / r           √6        e² / 2 for t ≥ 0
biweight      15/16 (1 - t²)² / r     √7        e³ (20 - 15e + 3e²) / 16
triweight     35/32 (1 - t²)³ / r     3         e⁴ (70 - 84e + 35e² - 5e³) / 32
cosine        π/4 cos(πt/2) / r       (1-8/π²)^(-½)   sin²(πe/4)
============  ======================  ========  =====================================

In d > 1 dimensions pofx multiplies one-dimensional kernels (a *product* kernel): marginals and
conditionals of such an estimate are again kernel density estimates, exactly.

References
----------
M. P. Wand and M. C. Jones, *Kernel Smoothing*, Chapman & Hall 1995, chapter 2 and table B.1.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri

from pofx.errors import ParameterError
from pofx.validation import one_of

__all__ = ["KERNELS", "Kernel", "kernel_named"]

Floats = NDArray[np.float64]


class Kernel(ABC):
    """A symmetric density on the line with mean 0 and standard deviation 1.

    Attributes
    ----------
    name : str
        The short name that users type and files store.
    scale : float
        r of the table above: a difference is divided by ``scale * bandwidth`` to give t.
    radius : float
        Half-width of the support in standard deviations; infinite for the Gaussian.
    log_norm : float
        log C, nats.

    Notes
    -----
    The engine of :mod:`pofx.maths.kernel_sums` builds the log of a product over columns in place, in a
    tile that stays in the cache: :meth:`begin` once, :meth:`join` per column, :meth:`finish` once. The
    constant ``log_norm`` per column is left to the caller.
    """

    name: str
    scale: float
    radius: float
    log_norm: float

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"

    # -- the three in-place steps of the tile engine
    @abstractmethod
    def begin(self, out: Floats) -> None:
        """Fill ``out`` with the neutral element."""

    @abstractmethod
    def join(self, out: Floats, t: Floats) -> None:
        """Take one column's scaled differences ``t`` (overwritten) into ``out``."""

    @abstractmethod
    def finish(self, out: Floats) -> None:
        """Turn ``out`` into the log of the product, constants left out."""

    # -- the one-dimensional distribution
    def log_density(self, u: ArrayLike) -> Floats:
        """Return log k(u), any shape, nats; -inf outside the support."""
        t = np.array(u, dtype=np.float64, ndmin=1) / self.scale
        out = np.empty_like(t)
        self.begin(out)
        self.join(out, t)
        self.finish(out)
        out += self.log_norm
        return out.reshape(np.shape(u))

    @abstractmethod
    def log_sf(self, u: ArrayLike) -> Floats:
        """Return the log of the mass above u, accurate in both tails."""

    def log_cdf(self, u: ArrayLike) -> Floats:
        """Return the log of the mass below u, accurate in both tails."""
        return self.log_sf(-np.asarray(u, dtype=np.float64))

    def bounds(self, q: Floats) -> tuple[Floats, Floats]:
        """Return values of u that enclose the q-quantile, for q in (0, 1)."""
        return np.full_like(q, -self.radius), np.full_like(q, self.radius)

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        """Return independent draws."""


class _Gaussian(Kernel):
    name = "gaussian"
    scale = 1.0
    radius = math.inf
    log_norm = -0.5 * math.log(2.0 * math.pi)

    def begin(self, out: Floats) -> None:
        out.fill(0.0)

    def join(self, out: Floats, t: Floats) -> None:
        with np.errstate(over="ignore"):  # beyond 1e154 bandwidths the square is inf: log density -inf
            np.multiply(t, t, out=t)
            np.add(out, t, out=out)

    def finish(self, out: Floats) -> None:
        np.multiply(out, -0.5, out=out)

    def log_sf(self, u: ArrayLike) -> Floats:
        return np.asarray(log_ndtr(-np.asarray(u, dtype=np.float64)))

    def bounds(self, q: Floats) -> tuple[Floats, Floats]:
        u = ndtri(q)
        return u, u

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return rng.standard_normal(shape)


class _Compact(Kernel):
    """C · b(t)^p on |t| < 1. Products of b over columns are formed first and logged once."""

    power: int = 1

    @staticmethod
    @abstractmethod
    def _base(t: Floats) -> None:
        """Overwrite t by b(t) on |t| < 1 and by 0 outside."""

    @staticmethod
    @abstractmethod
    def _upper(e: Floats) -> Floats:
        """Return the mass above t = 1 - e for 0 <= e <= 1, to a few units in the last place."""

    def begin(self, out: Floats) -> None:
        out.fill(1.0)

    def join(self, out: Floats, t: Floats) -> None:
        with np.errstate(over="ignore"):
            self._base(t)
        np.multiply(out, t, out=out)

    def finish(self, out: Floats) -> None:
        with np.errstate(divide="ignore"):
            np.log(out, out=out)
        if self.power != 1:
            np.multiply(out, float(self.power), out=out)

    def log_sf(self, u: ArrayLike) -> Floats:
        t = np.asarray(u, dtype=np.float64) / self.scale
        tail = self._upper(np.clip(1.0 - np.abs(t), 0.0, 1.0))  # the smaller of the two tails
        with np.errstate(divide="ignore"):
            return np.where(t >= 0.0, np.log(tail), np.log1p(-tail))


def _one_minus_square(t: Floats) -> None:
    np.multiply(t, t, out=t)
    np.subtract(1.0, t, out=t)
    np.maximum(t, 0.0, out=t)


def _signed_beta(a: float, shape: tuple[int, ...], rng: np.random.Generator, radius: float) -> Floats:
    """Draw from a density proportional to (1 - t²)^(a-1): a beta(a, a) stretched to (-r, r)."""
    return radius * (2.0 * rng.beta(a, a, shape) - 1.0)


class _Epanechnikov(_Compact):
    name = "epanechnikov"
    scale = radius = math.sqrt(5.0)
    log_norm = math.log(0.75 / scale)
    _base = staticmethod(_one_minus_square)

    @staticmethod
    def _upper(e: Floats) -> Floats:
        return e * e * (3.0 - e) / 4.0

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return _signed_beta(2.0, shape, rng, self.radius)


class _Biweight(_Compact):
    name = "biweight"
    scale = radius = math.sqrt(7.0)
    log_norm = math.log(15.0 / 16.0 / scale)
    power = 2
    _base = staticmethod(_one_minus_square)

    @staticmethod
    def _upper(e: Floats) -> Floats:
        return e**3 * (20.0 - e * (15.0 - 3.0 * e)) / 16.0

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return _signed_beta(3.0, shape, rng, self.radius)


class _Triweight(_Compact):
    name = "triweight"
    scale = radius = 3.0
    log_norm = math.log(35.0 / 32.0 / scale)
    power = 3
    _base = staticmethod(_one_minus_square)

    @staticmethod
    def _upper(e: Floats) -> Floats:
        return e**4 * (70.0 - e * (84.0 - e * (35.0 - 5.0 * e))) / 32.0

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return _signed_beta(4.0, shape, rng, self.radius)


class _Tophat(_Compact):
    name = "tophat"
    scale = radius = math.sqrt(3.0)
    log_norm = math.log(0.5 / scale)

    @staticmethod
    def _base(t: Floats) -> None:
        np.abs(t, out=t)
        np.less_equal(t, 1.0, out=t)

    @staticmethod
    def _upper(e: Floats) -> Floats:
        return e / 2.0

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return rng.uniform(-self.radius, self.radius, shape)


class _Triangular(_Compact):
    name = "triangular"
    scale = radius = math.sqrt(6.0)
    log_norm = -math.log(scale)

    @staticmethod
    def _base(t: Floats) -> None:
        np.abs(t, out=t)
        np.subtract(1.0, t, out=t)
        np.maximum(t, 0.0, out=t)

    @staticmethod
    def _upper(e: Floats) -> Floats:
        return e * e / 2.0

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return self.radius * (rng.random(shape) - rng.random(shape))


class _Cosine(_Compact):
    name = "cosine"
    scale = radius = 1.0 / math.sqrt(1.0 - 8.0 / math.pi**2)
    log_norm = math.log(math.pi / 4.0 / scale)

    @staticmethod
    def _base(t: Floats) -> None:  # cos(πt/2) = sin(π(1-|t|)/2): no cancellation at the edge
        np.abs(t, out=t)
        np.subtract(1.0, t, out=t)
        np.maximum(t, 0.0, out=t)
        np.multiply(t, math.pi / 2.0, out=t)
        np.sin(t, out=t)

    @staticmethod
    def _upper(e: Floats) -> Floats:
        return np.sin(e * (math.pi / 4.0)) ** 2

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
        return self.radius * (2.0 / math.pi) * np.arcsin(2.0 * rng.random(shape) - 1.0)


KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        _Gaussian(),
        _Epanechnikov(),
        _Tophat(),
        _Triangular(),
        _Biweight(),
        _Triweight(),
        _Cosine(),
    )
}
"""The kernels by name. Add your own :class:`Kernel` here to use it by name, and to load files that do."""


def kernel_named(kernel: str | Kernel) -> Kernel:
    """Return the kernel of this name; a kernel of the table is returned as it is."""
    if isinstance(kernel, Kernel) and KERNELS.get(kernel.name) is kernel:
        return kernel
    if isinstance(kernel, Kernel):
        raise ParameterError(
            f"kernel {kernel!r} is not in pofx.maths.kernels.KERNELS. "
            f"Add it there under its name ({kernel.name!r}) so that saved models can find it again."
        )
    return KERNELS[one_of(kernel, "kernel", tuple(KERNELS))]
