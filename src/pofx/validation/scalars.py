"""Numbers, choices and seeds: refused with the argument's name, what is allowed and what came."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from pofx.errors import ParameterError
from pofx.validation.columns import nearest


def whole_number(value: Any, name: str, *, least: int, most: int | None = None) -> int:
    """Return ``value`` as an int of at least ``least`` (and at most ``most``).

    Python and NumPy integers are whole numbers; ``True`` and ``2.0`` are not.
    """
    allowed = f"a whole number >= {least}" if most is None else f"a whole number from {least} to {most}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise ParameterError(f"{name} must be {allowed}, not {_shown(value)}.")
    number = int(value)
    if number < least or (most is not None and number > most):
        raise ParameterError(f"{name} must be {allowed}, not {number}.")
    return number


def real_number(
    value: Any,
    name: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """Return ``value`` as a finite float, ``least <= value <= most`` and ``above < value < below``."""
    bounds = [
        f"{sign} {bound:g}"
        for sign, bound in ((">=", least), (">", above), ("<=", most), ("<", below))
        if bound is not None
    ]
    allowed = " ".join(["a finite number", " and ".join(bounds)]).rstrip()
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise ParameterError(f"{name} must be {allowed}, not {_shown(value)}.")
    try:
        number = float(value)
    except OverflowError:
        raise ParameterError(f"{name} must be {allowed}; {_shown(value)} is beyond float64.") from None
    inside = (
        math.isfinite(number)
        and (least is None or number >= least)
        and (above is None or number > above)
        and (most is None or number <= most)
        and (below is None or number < below)
    )
    if not inside:
        raise ParameterError(f"{name} must be {allowed}, not {number!r}.")
    return number


def one_of(value: Any, name: str, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of the allowed words; otherwise name the nearest one."""
    allowed = list(allowed)
    if isinstance(value, str) and value in allowed:
        return str(value)
    words = ", ".join(repr(word) for word in allowed)
    hint = nearest(value, allowed) if isinstance(value, str) else ""
    raise ParameterError(f"{name} must be one of {words}, not {_shown(value)}.{hint}")


def rng_from(random_state: Any) -> np.random.Generator:
    """Return a generator for None (fresh entropy), a whole number >= 0, a SeedSequence, a Generator
    (used as it is, so it moves on) or a RandomState (asked for a seed, so it moves on too)."""
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        seed = random_state.randint(0, 2**32, size=4, dtype=np.uint64)
        return np.random.default_rng([int(word) for word in seed])
    if isinstance(random_state, np.random.SeedSequence):
        return np.random.default_rng(random_state)
    if (
        isinstance(random_state, numbers.Integral)
        and not isinstance(random_state, (bool, np.bool_))
        and int(random_state) >= 0
    ):
        return np.random.default_rng(int(random_state))
    raise ParameterError(
        "random_state must be None, a whole number >= 0, or a NumPy SeedSequence, Generator or RandomState, "
        f"not {_shown(random_state)}."
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
