"""A known world: a distribution whose truth is known, with the verbs of a model and nothing to fit."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from typing import Any, NoReturn, ParamSpec, cast

import numpy as np

from ...core.density import Density
from ...core.estimate import Estimate
from ...core.fitting import Fit
from ...core.params import Params
from ...core.units import Units
from ...errors import ParameterError, UnsupportedError
from ...maths.gaussian import gaussian_kl
from ...validation import Columns, one_of
from .gaussians import Mixture
from .law import Law

__all__ = ["ALIASES", "WORLDS", "Entry", "World", "known"]

P = ParamSpec("P")


@dataclass(frozen=True)
class Entry:
    """One line of the table of worlds: what it looks like, and how its law is made from its options."""

    summary: str
    build: Callable[..., Law]


WORLDS: dict[str, Entry] = {}
ALIASES: dict[str, str] = {}  # names of the literature that are no Python names, and words for families


class World(Density):
    """A distribution whose truth is known. Made by name: ``pofx.worlds.moons()``, ``worlds.get("moons")``.

    It answers what a fitted model answers (``log_density``, ``sample``, ``entropy``, ``mean``, ``kl`` …)
    and is never fitted: ``fit`` raises. Its units are the data's own.

    Parameters
    ----------
    name : str
        One of ``pofx.worlds.names()``.
    options : dict, optional
        The options of that world that differ from its defaults.
    """

    def __init__(self, name: str = "gaussian", options: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.options = options
        self._settle()

    def _settle(self) -> None:
        entry = WORLDS[one_of(self.name, "name", WORLDS)]
        try:
            bound = inspect.signature(entry.build).bind(**(self.options or {}))
        except TypeError as error:
            allowed = ", ".join(inspect.signature(entry.build).parameters)
            raise ParameterError(f"The world {self.name!r}: {error}. Its options are: {allowed}.") from None
        bound.apply_defaults()
        options = json.dumps({key: _plain(value) for key, value in bound.arguments.items()})
        law = _law(self.name, options)
        columns = replace(Columns.plain(law.d), decimals=(law.decimals,) * law.d)
        fit = replace(Fit.given(), message=f"A known world, not fitted: {entry.summary}.")
        self._adopt(Params({"world": self.name, "options": options}, Units.identity(law.d), columns), fit)

    # ---------------------------------------------------------------- nothing to fit

    def fit(self, X: Any = None, y: Any = None, *, sample_weight: Any = None) -> NoReturn:
        """Raise UnsupportedError: a world is the truth, not a model."""
        raise UnsupportedError(
            f"A world is the truth itself, so {self!r} has nothing to fit. Fit a model to draws from it: "
            "pofx.Gaussian().fit(world.sample(1000)); or compare the model with it: world.kl(model)."
        )

    def set_params(self, **params: Any) -> World:
        """Become another world; refused changes leave this one as it was."""
        World(**{**self.get_params(deep=False), **params})
        super().set_params(**params)
        self._settle()
        return self

    def __repr__(self) -> str:
        inside = ", ".join(f"{key}={_short(value)}" for key, value in (self.options or {}).items())
        return f"pofx.worlds.{self.name}({inside})"

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        mine = self.params_
        if {**values} != {**mine} or d != len(mine.units):
            raise ParameterError(f"These are not the parameters of the world {self.name!r}.")

    @property
    def measure(self) -> str:  # type: ignore[override]
        """``"mass"`` for a world recorded in steps, otherwise "density"."""
        return _truth(self.params_).measure

    # ---------------------------------------------------------------- hooks

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        return _truth(params).log_density(x)

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        return _truth(params).draw(n, rng)

    def _ask(self, params: Params, verb: str, what: str) -> Callable[..., Any]:
        found = getattr(_truth(params), verb, None)
        if found is None:
            raise UnsupportedError(f"The world {params.world!r} has no formula for its {what}.")
        return cast("Callable[..., Any]", found)

    def _mean(self, params: Params) -> np.ndarray:
        return self._ask(params, "mean", "mean")()

    def _covariance(self, params: Params) -> np.ndarray:
        return self._ask(params, "covariance", "covariance")()

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._ask(params, "log_cdf", "distribution function")(x)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._ask(params, "log_sf", "distribution function")(x)

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        found = getattr(_truth(params), "quantile", None)
        return super()._quantile(params, q) if found is None else found(q)

    def _marginal(self, params: Params, keep: list[int]) -> Mapping[str, Any]:
        return _as_values(*self._ask(params, "marginal", "marginals")(keep))

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> Mapping[str, Any]:
        return _as_values(*self._ask(params, "condition", "conditionals")(given, z))

    def _kl(self, params: Params, other: Density) -> float | None:
        if not isinstance(other, World):
            return None
        p, q = _truth(params), _truth(other.params_)
        if not (isinstance(p, Mixture) and isinstance(q, Mixture) and len(p.weights) == len(q.weights) == 1):
            return None
        return gaussian_kl(p.means[0] - q.means[0], p.parts[0], q.parts[0])

    def _n_parameters(self, params: Params) -> int:
        return 0  # nothing was estimated

    def entropy(self, *, n: int = 10_000, random_state: Any = 0) -> Estimate:
        """Return the true entropy in nats.

        By a formula (exact), else by quadrature with a bound of its error as ``standard_error``, else,
        where the grid would be too fine, from n draws.
        """
        found = _entropy(self.params_.world, self.params_.options)
        if found is None:
            return super().entropy(n=n, random_state=random_state)
        value, error = found
        return Estimate(value, error, "exact" if error == 0.0 else "estimate")


def known(summary: str, *aliases: str) -> Callable[[Callable[P, Law]], Callable[P, World]]:
    """Enter a law into the table of worlds; the decorated name then makes the world, with its options."""

    def enter(build: Callable[P, Law]) -> Callable[P, World]:
        name, signature = build.__name__, inspect.signature(build)
        WORLDS[name] = Entry(summary, build)
        ALIASES.update(dict.fromkeys(aliases, name))

        @wraps(build)
        def make(*args: P.args, **kwargs: P.kwargs) -> World:
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                raise ParameterError(
                    f"The world {name!r}: {error}. Its options are: {', '.join(signature.parameters)}."
                ) from None
            return World(name, {key: _plain(value) for key, value in given.items()} or None)

        make.__signature__ = signature.replace(return_annotation="World")  # type: ignore[attr-defined]
        return make

    return enter


@lru_cache(maxsize=128)
def _law(name: str, options: str) -> Law:
    return WORLDS[name].build(**json.loads(options))


@lru_cache(maxsize=128)
def _entropy(name: str, options: str) -> tuple[float, float] | None:
    return _law(name, options).entropy()


def _truth(params: Params) -> Law:
    return _law(params.world, params.options)


def _as_values(name: str, options: dict[str, Any]) -> dict[str, Any]:
    return {**World(name, options).params_, "__hyper__": {"name": name, "options": options}}


def _plain(value: Any) -> Any:
    """Return numbers and (nested) lists of numbers, fit for a file."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ParameterError(f"Options of a world are numbers or arrays of numbers, not {type(value).__name__}.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
