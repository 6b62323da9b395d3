"""Heavy tails, edges and squares: densities in closed form.

    Student t     p(x) ∝ (1 + |x|²/ν)^(−(ν+d)/2)
    Beta          p(x) = x^(a−1) (1 − x)^(b−1) / B(a, b)             on [0, 1]
    exponential   p(x) = Π exp(−x_j / s) / s                          on x ≥ 0
    uniform       p(x) = 1 / (high − low)^d                           on [low, high]^d
    checkerboard  p(x) = 1 / 32                                       on 8 of the 16 squares of [−4, 4)²

In d columns the exponential and the uniform are independent in each, Student's t is not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import betainc, betaincc, betaincinv, betaln, digamma, gammaln, stdtr, stdtrit

from ...core.invert import quantile_by_bisection
from ...errors import ParameterError, UnsupportedError
from ...validation import real_number, whole_number
from .law import Law

__all__ = ["Beta", "Checkerboard", "Exponential", "StudentT", "Uniform"]

Options = tuple[str, dict[str, Any]]


class StudentT(Law):
    """Student's t around 0 with ν degrees of freedom in d columns; ν = 1 is Cauchy's."""

    def __init__(self, df: float, d: int, scale: float) -> None:
        self.df = real_number(df, "df", above=0.0)
        self.scale = real_number(scale, "scale", above=0.0)
        self.d = whole_number(d, "d", least=1)
        nu = self.df
        self.log_constant = float(
            gammaln((nu + self.d) / 2) - gammaln(nu / 2) - self.d / 2 * math.log(nu * math.pi)
        ) - self.d * math.log(self.scale)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        # log(1 + |x|²/ν) by the norm, not its square, which overflows at 1e155.
        z = x / (self.scale * math.sqrt(self.df))
        largest = np.maximum(np.abs(z).max(axis=1), 1.0)
        inside = 1.0 / largest**2 + np.einsum("ij,ij->i", z / largest[:, None], z / largest[:, None])
        return self.log_constant - (self.df + self.d) / 2 * (np.log(inside) + 2.0 * np.log(largest))

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        normal = rng.standard_normal((n, self.d))
        return self.scale * normal / np.sqrt(rng.chisquare(self.df, size=(n, 1)) / self.df)

    def mean(self) -> np.ndarray:
        """Return 0 where it exists."""
        if self.df <= 1:
            raise UnsupportedError(
                f"Student's t has a mean for df > 1 only; df is {self.df:g}. Its median is 0."
            )
        return np.zeros(self.d)

    def covariance(self) -> np.ndarray:
        """Return ν/(ν − 2) I where it exists."""
        if self.df <= 2:
            raise UnsupportedError(
                f"Student's t has a covariance for df > 2 only; df is {self.df:g}. Quantiles exist."
            )
        return self.scale**2 * self.df / (self.df - 2.0) * np.eye(self.d)

    def entropy(self) -> tuple[float, float] | None:
        half = (self.df + self.d) / 2
        return half * float(digamma(half) - digamma(self.df / 2)) - self.log_constant, 0.0

    def log_cdf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X <= x); one column."""
        z = x / self.scale
        with np.errstate(divide="ignore", under="ignore"):
            out = np.log(stdtr(self.df, z))
        return np.where(np.isneginf(out), self._log_lower_tail(z), out)

    def _log_lower_tail(self, z: np.ndarray) -> np.ndarray:
        # Where even the power law underflows, its leading term: the next is smaller by ν/z².
        with np.errstate(divide="ignore"):
            log_z = np.log(np.abs(z) / math.sqrt(self.df))
        return -self.df * log_z - math.log(self.df) - float(betaln(self.df / 2, 0.5))

    def log_sf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X > x); one column."""
        return self.log_cdf(-x)

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """Return x with P(X <= x) = q; one column."""
        usual = (q > 1e-30) & (q < 1)  # stdtrit fails for some smaller q
        out = self.scale * stdtrit(self.df, np.where(usual, q, 0.5))
        out[~usual] = quantile_by_bisection(self.log_cdf, self.log_sf, q[~usual])
        return out

    def marginal(self, keep: list[int]) -> Options:
        """Return the world of some columns: a t with the same ν."""
        return "student_t", {"df": self.df, "d": len(keep), "scale": self.scale}


class Beta(Law):
    """Beta(a, b) on [0, 1], a and b at least 1 so that the density is bounded."""

    d = 1

    def __init__(self, a: float, b: float) -> None:
        self.a, self.b = real_number(a, "a", least=1.0), real_number(b, "b", least=1.0)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        v = x[:, 0]
        inside = (v >= 0) & (v <= 1)
        v = np.where(inside, v, 0.5)
        with np.errstate(divide="ignore"):
            out = -betaln(self.a, self.b) * np.ones(len(v))
            if self.a > 1:
                out = out + (self.a - 1.0) * np.log(v)
            if self.b > 1:
                out = out + (self.b - 1.0) * np.log1p(-v)
        return np.where(inside, out, -np.inf)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.beta(self.a, self.b, size=(n, 1))

    def mean(self) -> np.ndarray:
        """Return a/(a + b)."""
        return np.array([self.a / (self.a + self.b)])

    def covariance(self) -> np.ndarray:
        """Return ab / ((a + b)² (a + b + 1))."""
        total = self.a + self.b
        return np.array([[self.a * self.b / (total**2 * (total + 1.0))]])

    def entropy(self) -> tuple[float, float] | None:
        a, b = self.a, self.b
        value = betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)
        return float(value), 0.0

    def log_cdf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X <= x)."""
        with np.errstate(divide="ignore"):
            return np.log(betainc(self.a, self.b, np.clip(x, 0.0, 1.0)))

    def log_sf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X > x)."""
        with np.errstate(divide="ignore"):
            return np.log(betaincc(self.a, self.b, np.clip(x, 0.0, 1.0)))

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """Return x with P(X <= x) = q."""
        return np.asarray(betaincinv(self.a, self.b, q))


class Exponential(Law):
    """d independent columns of waiting times with mean ``scale``: a jump at 0 and a long tail."""

    def __init__(self, scale: float, d: int) -> None:
        self.scale, self.d = real_number(scale, "scale", above=0.0), whole_number(d, "d", least=1)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        inside = (x >= 0).all(axis=1)
        return np.where(inside, -x.sum(axis=1) / self.scale - self.d * math.log(self.scale), -np.inf)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.exponential(self.scale, size=(n, self.d))

    def mean(self) -> np.ndarray:
        """Return the scale."""
        return np.full(self.d, self.scale)

    def covariance(self) -> np.ndarray:
        """Return scale² I."""
        return self.scale**2 * np.eye(self.d)

    def entropy(self) -> tuple[float, float] | None:
        return self.d * (1.0 + math.log(self.scale)), 0.0

    def log_cdf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X <= x); one column."""
        with np.errstate(divide="ignore"):
            return np.log(-np.expm1(-np.maximum(x, 0.0) / self.scale))

    def log_sf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X > x); one column."""
        return -np.maximum(x, 0.0) / self.scale

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """Return x with P(X <= x) = q; one column."""
        with np.errstate(divide="ignore"):
            return np.abs(-self.scale * np.log1p(-q))

    def marginal(self, keep: list[int]) -> Options:
        """Return the world of some columns, which are independent."""
        return "exponential", {"scale": self.scale, "d": len(keep)}

    def condition(self, given: list[int], z: np.ndarray) -> Options:
        """Return the world of the other columns: nothing is learned from the given ones."""
        return self.marginal([j for j in range(self.d) if j not in given])


class Uniform(Law):
    """The cube [low, high)^d, edges on every side."""

    def __init__(self, low: float, high: float, d: int) -> None:
        self.low, self.high = real_number(low, "low"), real_number(high, "high")
        self.d = whole_number(d, "d", least=1)
        if not self.low < self.high:
            raise ParameterError(f"low must lie below high; got {self.low!r} and {self.high!r}.")
        self.log_volume = self.d * math.log(self.high - self.low)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        return np.where(((x >= self.low) & (x <= self.high)).all(axis=1), -self.log_volume, -np.inf)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(self.low, self.high, size=(n, self.d))

    def mean(self) -> np.ndarray:
        """Return the middle."""
        return np.full(self.d, (self.low + self.high) / 2)

    def covariance(self) -> np.ndarray:
        """Return (high − low)²/12 I."""
        return (self.high - self.low) ** 2 / 12 * np.eye(self.d)

    def entropy(self) -> tuple[float, float] | None:
        return self.log_volume, 0.0

    def _share(self, x: np.ndarray) -> np.ndarray:
        return np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)

    def log_cdf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X <= x); one column."""
        with np.errstate(divide="ignore"):
            return np.log(self._share(x))

    def log_sf(self, x: np.ndarray) -> np.ndarray:
        """Return log P(X > x); one column."""
        with np.errstate(divide="ignore"):
            return np.log1p(-self._share(x))

    def quantile(self, q: np.ndarray) -> np.ndarray:
        """Return x with P(X <= x) = q; one column."""
        return self.low + q * (self.high - self.low)

    def marginal(self, keep: list[int]) -> Options:
        """Return the world of some columns, which are independent."""
        return "uniform", {"low": self.low, "high": self.high, "d": len(keep)}

    def condition(self, given: list[int], z: np.ndarray) -> Options:
        """Return the world of the other columns: nothing is learned from the given ones."""
        return self.marginal([j for j in range(self.d) if j not in given])


class Checkerboard(Law):
    """The squares (i, j) of a 4 × 4 board with i + j even; square (i, j) is [is, (i+1)s) × [js, (j+1)s)."""

    d = 2

    def __init__(self, square: float) -> None:
        self.square = real_number(square, "square", above=0.0)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        cell = np.floor(x / self.square)
        inside = ((cell >= -2) & (cell <= 1)).all(axis=1) & (cell.sum(axis=1) % 2 == 0)
        return np.where(inside, -math.log(8.0 * self.square**2), -np.inf)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        i = rng.integers(-2, 2, size=n)
        j = 2 * rng.integers(-1, 1, size=n) + i % 2
        return self.square * (np.stack([i, j], axis=1) + rng.random((n, 2)))

    def mean(self) -> np.ndarray:
        """Return the middle of the board."""
        return np.zeros(2)

    def covariance(self) -> np.ndarray:
        """Return that of a 4 × 4 board; the corner squares of one diagonal tie the columns a little."""
        return self.square**2 * np.array([[16 / 12, 0.25], [0.25, 16 / 12]])

    def entropy(self) -> tuple[float, float] | None:
        return math.log(8.0 * self.square**2), 0.0
