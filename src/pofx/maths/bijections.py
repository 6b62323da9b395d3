"""One-to-one maps of a column with their log-derivative, for densities seen through them.

A bijection maps a data column x to a model column z: ``log p_x(x) = log p_z(forward(x)) +
log_derivative(x)``, with ``log_derivative = log |dz/dx|``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from ..errors import ParameterError

__all__ = [
    "Affine",
    "Bijection",
    "Identity",
    "Log",
    "LogBelow",
    "Logit",
    "as_bijection",
    "from_manifest",
    "to_manifest",
]


class Bijection:
    """A smooth one-to-one map from an open interval ``(low, high)`` of one column to the real line.

    A map of one's own gives ``domain``, ``forward``, ``inverse`` and ``log_derivative``.
    """

    @property
    def domain(self) -> tuple[float, float]:
        """The open interval of data values it accepts."""
        return -np.inf, np.inf

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Data values to model values."""
        raise NotImplementedError

    def inverse(self, z: np.ndarray) -> np.ndarray:
        """Model values to data values."""
        raise NotImplementedError

    def log_derivative(self, x: np.ndarray) -> np.ndarray:
        """Return log |dz/dx| at data values."""
        raise NotImplementedError

    @property
    def increasing(self) -> bool:
        """Whether larger data values map to larger model values."""
        return True

    def inside(self, x: np.ndarray) -> np.ndarray:
        """Return which data values lie in the domain."""
        low, high = self.domain
        return np.asarray((x > low) & (x < high))

    def inverse_inside(self, z: np.ndarray) -> np.ndarray:
        """Return data values of finite model values; where rounding puts one on an end of the domain, or
        beyond float64, the float next to that end."""
        low, high = self.domain
        with np.errstate(over="ignore"):
            return np.clip(self.inverse(z), np.nextafter(low, np.inf), np.nextafter(high, -np.inf))

    def ends(self, x: np.ndarray) -> np.ndarray:
        """Data values, which may be ends of the domain or beyond, to model values; the ends to infinity."""
        low, high = self.domain
        with np.errstate(divide="ignore", invalid="ignore"):
            z = self.forward(x)
        below = -np.inf if self.increasing else np.inf
        return np.where(x <= low, below, np.where(x >= high, -below, z))

    def to_json(self) -> dict[str, float]:
        """Return the constants of the map."""
        return asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> Bijection:
        """Return the map from its constants."""
        return cls(**{name: float(value) for name, value in data.items()})


@dataclass(frozen=True)
class Identity(Bijection):
    """z = x."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return z

    def log_derivative(self, x: np.ndarray) -> np.ndarray:
        return np.zeros_like(x)


@dataclass(frozen=True)
class Affine(Bijection):
    """z = (x - shift) / scale, scale not zero."""

    shift: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.shift) and np.isfinite(self.scale) and self.scale != 0):
            raise ParameterError(f"Affine needs a finite shift and a finite scale other than 0; got {self}.")

    @property
    def increasing(self) -> bool:
        return self.scale > 0

    def forward(self, x: np.ndarray) -> np.ndarray:
        return (x - self.shift) / self.scale

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return z * self.scale + self.shift

    def log_derivative(self, x: np.ndarray) -> np.ndarray:
        return np.full_like(x, -np.log(abs(self.scale)))


@dataclass(frozen=True)
class Log(Bijection):
    """z = log(x - low) for x > low."""

    low: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.low):
            raise ParameterError(f"Log needs a finite lower bound; got {self.low}.")

    @property
    def domain(self) -> tuple[float, float]:
        return self.low, np.inf

    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.log(x - self.low)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return np.exp(z) + self.low

    def log_derivative(self, x: np.ndarray) -> np.ndarray:
        return -np.log(x - self.low)


@dataclass(frozen=True)
class LogBelow(Bijection):
    """z = -log(high - x) for x < high."""

    high: float = 0.0

    def __post_init__(self) -> None:
        if not np.isfinite(self.high):
            raise ParameterError(f"LogBelow needs a finite upper bound; got {self.high}.")

    @property
    def domain(self) -> tuple[float, float]:
        return -np.inf, self.high

    def forward(self, x: np.ndarray) -> np.ndarray:
        return -np.log(self.high - x)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        return self.high - np.exp(-z)

    def log_derivative(self, x: np.ndarray) -> np.ndarray:
        return -np.log(self.high - x)


@dataclass(frozen=True)
class Logit(Bijection):
    """z = log((x - low) / (high - x)) for low < x < high."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise ParameterError(f"Logit needs finite bounds low < high; got {self.low} and {self.high}.")

    @property
    def domain(self) -> tuple[float, float]:
        return self.low, self.high

    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.log(x - self.low) - np.log(self.high - x)

    def inverse(self, z: np.ndarray) -> np.ndarray:
        # From the nearer end, so that values close to a bound keep their digits.
        span = self.high - self.low
        return np.where(z < 0, self.low + span * expit(z), self.high - span * expit(-z))

    def log_derivative(self, x: np.ndarray) -> np.ndarray:
        return np.log(self.high - self.low) - np.log(x - self.low) - np.log(self.high - x)


_BY_NAME: dict[str, type[Bijection]] = {cls.__name__: cls for cls in (Identity, Affine, Log, LogBelow, Logit)}


def as_bijection(value: Any) -> Bijection:
    """Return a bijection from its short form: an object, "log", "logit", or bounds ``(low, high)`` with
    ``None`` for an open end.

    Raises
    ------
    ParameterError
    """
    if isinstance(value, Bijection):
        return value
    if value == "log":
        return Log()
    if value == "logit":
        return Logit()
    if isinstance(value, tuple | list) and len(value) == 2:
        low, high = value
        if low is None and high is None:
            return Identity()
        if high is None:
            return Log(float(low))
        if low is None:
            return LogBelow(float(high))
        return Logit(float(low), float(high))
    raise ParameterError(
        "Expected a bijection, 'log', 'logit' or bounds (low, high) with None for an open end; "
        f"got {value!r}."
    )


def to_manifest(bijection: Bijection) -> dict[str, Any]:
    """Return the map as plain data, for a file."""
    if type(bijection) is not _BY_NAME.get(type(bijection).__name__):
        raise ParameterError(
            f"{type(bijection).__name__} is not one of pofx's own maps; no file can hold it."
        )
    return {"name": type(bijection).__name__, "constants": bijection.to_json()}


def from_manifest(data: Mapping[str, Any]) -> Bijection:
    """Return the map from plain data."""
    if data["name"] not in _BY_NAME:
        raise ParameterError(f"Unknown map {data['name']!r}; known: {', '.join(_BY_NAME)}.")
    return _BY_NAME[data["name"]].from_json(data["constants"])
