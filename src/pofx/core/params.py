"""Frozen parameters: a read-only mapping with attribute access, plus units and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..validation import Columns
from .units import Units

__all__ = ["Params"]


class Params(Mapping[str, Any]):
    """The parameters of a fitted density, in unit space (see :class:`pofx.core.units.Units`).

    Values are arrays, numbers, short strings, ``None`` or nested :class:`Params`. Arrays are copied and
    made read-only, so that a fitted model aliases nothing of its caller's and cannot drift.
    """

    __slots__ = ("_derived", "_values", "columns", "units")
    _derived: dict[str, Any]
    _values: dict[str, Any]
    units: Units
    columns: Columns

    def __init__(self, values: Mapping[str, Any], units: Units, columns: Columns) -> None:
        frozen: dict[str, Any] = {}
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                if value.flags.writeable or value.base is not None:
                    value = np.array(value, order="C")
                    value.setflags(write=False)
            elif isinstance(value, np.generic):
                value = value.item()
            frozen[name] = value
        object.__setattr__(self, "_derived", {})
        object.__setattr__(self, "_values", frozen)
        object.__setattr__(self, "units", units)
        object.__setattr__(self, "columns", columns)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def derived(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what follows from these parameters alone, made once and kept beside them.

        It is no part of them: neither saved, pickled nor compared. Two threads may make it twice; one stays.
        """
        if name not in self._derived:
            self._derived.setdefault(name, make())
        return self._derived[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # pickle and copy probe for their hooks before the slots exist
            raise AttributeError(name)
        try:
            return object.__getattribute__(self, "_values")[name]
        except KeyError:
            raise AttributeError(f"params has no {name!r}; it has {', '.join(self._values)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("fitted parameters are frozen; fit again, or use from_params")

    def __reduce__(self) -> tuple[Any, ...]:
        return Params, (dict(self._values), self.units, self.columns)

    def __repr__(self) -> str:
        inner = ", ".join(
            f"{name}: {'array' + str(v.shape) if isinstance(v, np.ndarray) else repr(v)}"
            for name, v in self._values.items()
        )
        return f"Params({inner})"
