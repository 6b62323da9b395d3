"""Known worlds: distributions whose truth is known, with the verbs of a model.

>>> from pofx import worlds
>>> moons = worlds.moons()
>>> moons.sample(3, random_state=0).shape
(3, 2)
>>> moons.entropy()
2.39388 ± 7e-08

The two-dimensional toys are those of Grathwohl et al. (2019, FFJORD, arXiv:1810.01367), rows drawn
independently. Their options default to that paper's; ``moons(noise=0.2, scale=3, shift=(-1, -1))`` and
``eight_gaussians(radius=5, noise=0.1**0.25, scale=1)`` are those of torchcfm (Tong et al. 2023,
arXiv:2302.00482).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ParameterError
from ...validation import one_of, real_number, whole_number
from .curves import Curve, NoisyCurves, Rings
from .gaussians import Mixture, Rounded, ar1
from .law import Law
from .pinwheel import Pinwheel
from .shapes import Beta, Checkerboard, Exponential, StudentT, Uniform
from .world import ALIASES, WORLDS, World, known


def names() -> list[str]:
    """Return the names of all worlds; ``WORLDS[name].summary`` says each in one line."""
    return list(WORLDS)


def get(name: str, **options: Any) -> World:
    """Return a world by name, as ``world:NAME`` on the command line does.

    Parameters
    ----------
    name : str
        One of :func:`names`, or its name in the literature: ``"8gaussians"``, ``"2spirals"``,
        ``"swissroll"``.
    **options
        As the function of that name takes them.

    Raises
    ------
    ParameterError
        For an unknown name, with the nearest one.
    """
    if name in ALIASES:
        name = ALIASES[name]
    return World(one_of(name, "name", [*WORLDS, *ALIASES]), options or None)


# ---------------------------------------------------------------- Gaussians


@known("a Gaussian, in one column unless d says otherwise")
def gaussian(d: int = 1, mean: float = 0.0, sd: float = 1.0, rho: float = 0.0) -> Law:
    """N(mean, Σ) in d columns with Σ_ij = sd² ρ^|i−j|."""
    d = whole_number(d, "d", least=1, most=4096)
    sd = real_number(sd, "sd", above=0.0)
    rho = real_number(rho, "rho", above=-1.0, below=1.0)
    return Mixture([1.0], [[real_number(mean, "mean")] * d], [ar1(d, rho, sd)])


@known("a Gaussian with two correlated columns")
def correlated(rho: float = 0.8, mean: Sequence[float] = (0.0, 0.0), sd: Sequence[float] = (1.0, 1.0)) -> Law:
    """N(mean, Σ) in two columns of standard deviations ``sd`` and correlation ``rho``."""
    rho = real_number(rho, "rho", above=-1.0, below=1.0)
    a, b = (real_number(s, "sd", above=0.0) for s in _pair(sd, "sd"))
    return Mixture([1.0], [_pair(mean, "mean")], [[[a * a, rho * a * b], [rho * a * b, b * b]]])


@known("a Gaussian in ten columns, neighbours correlated")
def gaussian_d(d: int = 10, rho: float = 0.5) -> Law:
    """N(0, Σ) in d columns with Σ_ij = ρ^|i−j|."""
    d = whole_number(d, "d", least=1, most=4096)
    return Mixture([1.0], np.zeros((1, d)), [ar1(d, real_number(rho, "rho", above=-1.0, below=1.0))])


@known("a mixture of Gaussians with given weights, means and covariances")
def mixture(
    weights: Any = (0.5, 0.5), means: Any = ((-2.0,), (2.0,)), covariances: Any = (((1.0,),), ((1.0,),))
) -> Law:
    """Σ_k w_k N(μ_k, Σ_k): weights (K,) made to sum to one, means (K, d), covariances (K, d, d)."""
    return Mixture(weights, means, covariances)


@known("three bumps: Gaussians of different shape in two columns")
def three_bumps() -> Law:
    """Three equally likely Gaussians whose axes are those of the columns."""
    sds = np.array([[1.0, 0.55], [0.8, 1.0], [0.45, 1.0]])
    return Mixture(np.ones(3), [[-1.5, 0.0], [0.6, 3.6], [2.9, 0.5]], [np.diag(sd**2) for sd in sds])


@known("eight Gaussians on a circle", "8gaussians")
def eight_gaussians(radius: float = 4.0, noise: float = 0.5, scale: float = 1.0 / 1.414) -> Law:
    """Centres on a circle, each with standard deviation ``noise``; then everything times ``scale``."""
    radius, noise, scale = _positive(radius=radius, noise=noise, scale=scale)
    angle = np.arange(8) * math.pi / 4.0
    centres = scale * radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Mixture(np.ones(8), centres, [(scale * noise) ** 2 * np.eye(2)] * 8)


# ---------------------------------------------------------------- curves


@known("two interleaving half circles")
def moons(noise: float = 0.1, scale: float = 2.0, shift: Sequence[float] = (-1.0, -0.2)) -> Law:
    """(cos t, sin t) and (1 − cos t, ½ − sin t), t uniform on [0, π], plus noise; then · scale + shift."""
    noise, scale = _positive(noise=noise, scale=scale)
    move = np.array(_pair(shift, "shift"))

    def upper(t: np.ndarray) -> np.ndarray:
        return scale * np.stack([np.cos(t), np.sin(t)], axis=1) + move

    def lower(t: np.ndarray) -> np.ndarray:
        return scale * np.stack([1.0 - np.cos(t), 0.5 - np.sin(t)], axis=1) + move

    return NoisyCurves([Curve(upper, math.pi), Curve(lower, math.pi)], noise * scale)


@known("two circles, one inside the other")
def circles(factor: float = 0.5, noise: float = 0.08, scale: float = 3.0) -> Law:
    """Circles of radius 1 and ``factor`` plus noise; then everything times ``scale``."""
    factor, noise, scale = _positive(factor=factor, noise=noise, scale=scale)
    return Rings([scale, scale * factor], scale * noise)


@known("four concentric rings")
def rings(radii: Sequence[float] = (1.0, 0.75, 0.5, 0.25), noise: float = 0.08, scale: float = 3.0) -> Law:
    """Circles of these radii times ``scale``; then noise, which is not scaled."""
    noise, scale = _positive(noise=noise, scale=scale)
    found = [real_number(radius, "radii", above=0.0) for radius in _numbers(radii, "radii")]
    return Rings([scale * radius for radius in found], noise)


@known("two spirals that start at the origin", "2spirals")
def spirals(noise: float = 0.1, jitter: float = 0.5, turns: float = 1.5, scale: float = 1.0 / 3.0) -> Law:
    """±(u − t cos t, v + t sin t) · scale plus noise: t = 2π·turns·√U, and U, u/jitter, v/jitter uniform."""
    noise, turns, scale = _positive(noise=noise, turns=turns, scale=scale)
    jitter = real_number(jitter, "jitter", least=0.0, most=30.0 * noise / scale)

    def arm(sign: float) -> Curve:
        def point(t: np.ndarray) -> np.ndarray:
            return sign * scale * np.stack([jitter / 2 - t * np.cos(t), jitter / 2 + t * np.sin(t)], axis=1)

        return Curve(point, 2.0 * math.pi * turns, power=2.0)

    return NoisyCurves([arm(1.0), arm(-1.0)], noise, scale * jitter / 2.0)


@known("a swiss roll seen from its end", "swissroll")
def swiss_roll(noise: float = 1.0, scale: float = 0.2) -> Law:
    """(t cos t, t sin t) with t uniform on [1.5π, 4.5π], plus noise; then everything times ``scale``."""
    noise, scale = _positive(noise=noise, scale=scale)

    def roll(t: np.ndarray) -> np.ndarray:
        t = t + 1.5 * math.pi
        return scale * np.stack([t * np.cos(t), t * np.sin(t)], axis=1)

    return NoisyCurves([Curve(roll, 3.0 * math.pi)], noise * scale)


@known("a pinwheel with five bent arms")
def pinwheel(
    arms: int = 5, radial: float = 0.3, tangential: float = 0.1, rate: float = 0.25, scale: float = 2.0
) -> Law:
    """Gaussian arms N((1, 0), diag(radial², tangential²)), each turned by rate·exp(first coordinate)."""
    return Pinwheel(arms, radial, tangential, rate, scale)


# ---------------------------------------------------------------- edges, tails, steps


@known("a checkerboard: eight squares of constant density")
def checkerboard(square: float = 2.0) -> Law:
    """Every second square of a 4 × 4 board around the origin; ``square`` is the side of one."""
    return Checkerboard(square)


@known("heavy tails: Student's t with three degrees of freedom", "heavy_tails")
def student_t(df: float = 3.0, d: int = 1, scale: float = 1.0) -> Law:
    """Student's t with ``df`` degrees of freedom around 0 in d columns."""
    return StudentT(df, d, scale)


@known("the heaviest tails: no mean, no variance")
def cauchy(d: int = 1, scale: float = 1.0) -> Law:
    """Cauchy's distribution around 0 in d columns: Student's t with one degree of freedom."""
    return StudentT(1.0, d, scale)


@known("bounded on both sides, with a jump at 0", "bounded")
def beta(a: float = 1.0, b: float = 3.0) -> Law:
    """Beta(a, b) on [0, 1], a and b at least 1."""
    return Beta(a, b)


@known("waiting times: a jump at 0 and a long tail")
def exponential(scale: float = 1.0, d: int = 1) -> Law:
    """Exponential with mean ``scale`` in each of d independent columns."""
    return Exponential(scale, d)


@known("a box of constant density")
def uniform(low: float = 0.0, high: float = 1.0, d: int = 1) -> Law:
    """Uniform on [low, high] in each of d columns."""
    return Uniform(low, high, d)


@known("two bumps recorded in whole numbers: a mass function")
def rounded(
    weights: Sequence[float] = (0.36, 0.64),
    means: Sequence[float] = (54.6, 80.1),
    sds: Sequence[float] = (5.9, 5.9),
    step: float = 1.0,
) -> Law:
    """A mixture of Gaussians whose draws are rounded to multiples of ``step``; ``measure`` is "mass".

    The defaults resemble the waiting times (minutes) between eruptions of Old Faithful.
    """
    return Rounded(weights, means, sds, step)


def _positive(**values: float) -> list[float]:
    return [real_number(value, name, above=0.0) for name, value in values.items()]


def _numbers(values: Sequence[float], name: str) -> list[float]:
    if np.ndim(values) != 1 or len(values) == 0:
        raise ParameterError(f"{name} must be a sequence of numbers, not {values!r}.")
    return [real_number(value, name) for value in values]


def _pair(values: Sequence[float], name: str) -> list[float]:
    found = _numbers(values, name)
    if len(found) != 2:
        raise ParameterError(f"{name} must be two numbers, not {values!r}.")
    return found


__all__ = ["WORLDS", "World", "get", "names", *WORLDS]
