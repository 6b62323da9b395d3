"""A number that knows how it was obtained."""

from __future__ import annotations

__all__ = ["Estimate"]


class Estimate(float):
    """A float with ``standard_error`` and ``kind`` ("exact", "estimate" or "bound").

    It computes as a plain float; ``str`` shows the doubt.
    """

    standard_error: float
    kind: str

    def __new__(cls, value: float, standard_error: float = 0.0, kind: str = "exact") -> Estimate:
        self = super().__new__(cls, value)
        self.standard_error = float(standard_error)
        self.kind = kind
        return self

    def __getnewargs__(self) -> tuple[float, float, str]:  # type: ignore[override]
        return float(self), self.standard_error, self.kind

    def __repr__(self) -> str:
        plain = float.__repr__(self)
        return plain if self.kind == "exact" else f"{float(self):.6g} ± {self.standard_error:.2g}"

    __str__ = __repr__
