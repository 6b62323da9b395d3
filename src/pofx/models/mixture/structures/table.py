"""All structures, and the names they answer to: mclust's, scikit-learn's four, and those of other classes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ....errors import ParameterError
from .base import Structure
from .diagonal import DIAGONAL
from .ellipsoidal import ELLIPSOIDAL

__all__ = ["AUTO", "STRUCTURES", "structure"]

STRUCTURES: tuple[Structure, ...] = DIAGONAL + ELLIPSOIDAL  # what covariance_type="all" compares
AUTO = ("full", "tied", "diag", "spherical")  # what covariance_type="auto" compares

# mclust writes E and V for one column, where orientation and shape have no meaning.
_SYNONYMS = {s.mclust: s for s in STRUCTURES} | {s.name: s for s in STRUCTURES}
_SYNONYMS |= {"E": _SYNONYMS["tied"], "V": _SYNONYMS["full"]}


def structure(name: object) -> Structure:
    """Return the structure with this name: scikit-learn's or mclust's, or that of a class defined elsewhere.

    Raises
    ------
    ParameterError
        For an unknown name, with the nearest known one.
    """
    if isinstance(name, Structure):
        return name
    found = _SYNONYMS.get(name) or _of_other_classes(name) if isinstance(name, str) else None
    if found is None:
        near = difflib.get_close_matches(str(name), _SYNONYMS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        twofold = ", ".join(f"{_SYNONYMS[s].name!r} ({_SYNONYMS[s].mclust})" for s in AUTO)
        others = ", ".join(repr(s.mclust) for s in STRUCTURES if s.name == s.mclust)
        raise ParameterError(
            f"covariance_type must be 'auto', 'all', one of {twofold}, {others}, 'factors-1', "
            f"'factors-2', …, or a list of them; got {name!r}.{hint}"
        )
    return found


def _of_other_classes(name: str) -> Structure | None:
    known = (kind.named(name) for kind in _kinds())
    return next((s for s in known if s is not None), None)


def _kinds() -> Iterator[type[Structure]]:
    waiting = Structure.__subclasses__()
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += kind.__subclasses__()
