"""The outcome of a fit: not only the answer, but whether and why it can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from ..errors import ParameterError

if TYPE_CHECKING:
    from .rarity import Calibration

__all__ = ["Certificate", "Fit", "Outcome"]


@dataclass(frozen=True)
class Certificate:
    """How nearly the fitted parameters are a stationary point of the log-likelihood.

    Parameters
    ----------
    gradient : mapping of str to float
        For each block of parameters, the length of the gradient in standard errors: the root of gᵀ I⁻¹ g,
        I the information. Half its square is about the gain, in nats, of a step along it. No units.
    multiplier : float, optional
        The Lagrange multiplier of weights that sum to one; at an optimum the sum of the rows' weights. What
        is above that, in nats, bounds the gain from other weights.
    """

    gradient: Mapping[str, float]
    multiplier: float | None = None

    @classmethod
    def from_json(cls, data: Any) -> Certificate | None:
        """Return the certificate from its plain data; None where there is none.

        Raises
        ------
        ParameterError
            Where a field has another type than a fit gives it.
        """
        if data is None:
            return None
        gradient, multiplier = data["gradient"], data["multiplier"]
        if not (
            isinstance(gradient, dict)
            and all(isinstance(k, str) and isinstance(v, float) for k, v in gradient.items())
            and (multiplier is None or isinstance(multiplier, float))
        ):
            raise ParameterError("The certificate of the fit has a field of the wrong type.")
        return cls(dict(gradient), multiplier)

    def __str__(self) -> str:
        lengths = ", ".join(f"{name} {value:.1e}" for name, value in self.gradient.items())
        also = "" if self.multiplier is None else f"; the weights' multiplier is {self.multiplier:.10g}"
        return f"Gradient in standard errors: {lengths}{also}."


@dataclass(frozen=True)
class Outcome:
    """What a model's ``_fit`` says of itself.

    Parameters
    ----------
    converged : bool
        Whether the stopping rule was met; closed forms always are.
    message : str
        One sentence that a person can act on.
    passes : int
        Passes over the rows.
    trace : tuple of float
        Total log-likelihood (nats, data units up to a constant) after each pass of an iterative fit.
    notes : tuple of str
        Things to know: what was floored, dropped, chosen.
    search : tuple of dict, optional
        The table of candidates, where the fit chose among several.
    certificate : Certificate, optional
        How nearly this is an optimum, where the model can say.
    """

    converged: bool = True
    message: str = "Closed form."
    passes: int = 1
    trace: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    search: tuple[Mapping[str, Any], ...] | None = None
    certificate: Certificate | None = None


@dataclass(frozen=True)
class Fit:
    """The record of a fit, kept by the model as ``fit_``.

    ``n_rows`` counts the rows of positive weight, ``n_dropped`` those dropped for missing values, and
    ``effective_n`` is the sum of the weights (Kish's size for importance weights). ``fingerprint`` is that of
    the rows (:func:`pofx.data.fingerprint.fingerprint`), those of weight zero included; None where parameters
    were given, and in files of versions that did not keep it. ``calibration`` is what ``rarity`` ranks new
    rows by, where :func:`pofx.calibrate` made one; it is no part of what makes two records equal.
    """

    converged: bool
    message: str
    passes: int
    trace: tuple[float, ...]
    notes: tuple[str, ...]
    search: tuple[Mapping[str, Any], ...] | None
    n_rows: int
    n_dropped: int
    effective_n: float
    seconds: float
    certificate: Certificate | None = None
    fingerprint: str | None = None
    calibration: Calibration | None = field(default=None, compare=False, repr=False)

    @classmethod
    def given(cls) -> Fit:
        """Return the record of a model whose parameters were given, not fitted."""
        return cls(True, "Parameters were given, not fitted.", 0, (), (), None, 0, 0, 0.0, 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return plain data for the manifest of a saved model; the calibration is encoded beside it."""
        data = asdict(replace(self, calibration=None))
        del data["calibration"]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fit:
        """Return the record from its plain data; unknown keys of later versions are ignored.

        Raises
        ------
        ParameterError
            Where a field has another type than a fit gives it.
        """
        later = {"certificate", "fingerprint", "calibration"}  # what older files lack, or hold elsewhere
        known = {f.name: data[f.name] for f in fields(cls) if f.name not in later}
        search, fingerprint = known["search"], data.get("fingerprint")
        right = (
            isinstance(known["converged"], bool)
            and isinstance(known["message"], str)
            and all(type(known[k]) is int and known[k] >= 0 for k in ("passes", "n_rows", "n_dropped"))
            and all(isinstance(known[k], float) and known[k] >= 0 for k in ("effective_n", "seconds"))
            and all(isinstance(known[k], list) for k in ("trace", "notes"))
            and all(isinstance(v, float) for v in known["trace"])
            and all(isinstance(v, str) for v in known["notes"])
            and (search is None or (isinstance(search, list) and all(isinstance(r, dict) for r in search)))
            and (fingerprint is None or (isinstance(fingerprint, str) and _is_sha256(fingerprint)))
        )
        if not right:
            raise ParameterError("The record of the fit has a field of the wrong type.")
        known["trace"], known["notes"] = tuple(known["trace"]), tuple(known["notes"])
        if known["search"] is not None:
            known["search"] = tuple(dict(row) for row in known["search"])
        certificate = Certificate.from_json(data.get("certificate"))
        return cls(**known, certificate=certificate, fingerprint=fingerprint)

    def __str__(self) -> str:
        head = "Converged" if self.converged else "Did not converge"
        rows = f"{self.n_rows:,} rows" + (f", {self.n_dropped:,} dropped" if self.n_dropped else "")
        lines = [f"{head}: {self.message} ({rows}, {self.passes} passes, {self.seconds:.3g} s)"]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes)])


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
