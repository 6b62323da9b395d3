"""Covariance structures as objects: what the components of a mixture share, and what each has alone.

The M-step of every structure of Celeux and Govaert (1995, Pattern Recognition 28:781) needs the same two
things per component k: its weight n_k and its scatter W_k = Σ_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ. So a
structure is one ``solve``, a count of parameters, and the short names it answers to; adding one is adding
a class here. All structures work under the constraint that every eigenvalue is at least ``floor``, which
bounds the likelihood (Hathaway 1985, Ann. Stat. 13:795).

Arrays hold the components of many mixtures along their last axis: (d, d, M), or (d, M) where the structure
is diagonal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ...errors import ParameterError
from ...maths.gaussian_batch import floor_eigenvalues
from .batch import Segments
from .frame import Frame

__all__ = ["AUTO", "STRUCTURES", "Structure", "structure"]


class Structure(ABC):
    """What the components' covariances have in common.

    Attributes
    ----------
    name, mclust : str
        scikit-learn's name and mclust's.
    diagonal : bool
        Whether covariances are variances per column, (d, M).
    shared : bool
        Whether all components have one covariance.
    contains : tuple of str
        Structures that are special cases of this one; their optimum is one of its starts.
    """

    name: ClassVar[str]
    mclust: ClassVar[str]
    diagonal: ClassVar[bool] = False
    shared: ClassVar[bool] = False
    contains: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the covariances that maximise the expected log-likelihood, and which met the floor.

        Parameters
        ----------
        n : ndarray (M,)
            Weights n_k of the components.
        v : ndarray (d, d, M) or (d, M)
            Their own covariances W_k / n_k (or variances).
        segments : Segments
            Which components make up one mixture.
        frame : Frame
            The floor, and what "spherical" means in these coordinates.
        """

    @abstractmethod
    def n_covariance_parameters(self, k: int, d: int) -> int:
        """Return the number of free parameters in the covariances of ``k`` components."""

    def n_parameters(self, k: int, d: int) -> int:
        """Return the number of free parameters of the mixture: weights, means, covariances."""
        return (k - 1) + k * d + self.n_covariance_parameters(k, d)

    def __repr__(self) -> str:
        return f"{self.name} ({self.mclust})"


class FullStructure(Structure):
    """Every component has its own covariance matrix."""

    name, mclust = "full", "VVV"
    contains = ("tied", "diag")

    def solve(self, n, v, segments, frame):  # type: ignore[no-untyped-def]
        """Σ_k = W_k / n_k."""
        return floor_eigenvalues(v, frame.floor)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K d (d + 1) / 2."""
        return k * d * (d + 1) // 2


class TiedStructure(Structure):
    """All components share one covariance matrix."""

    name, mclust = "tied", "EEE"
    shared = True

    def solve(self, n, v, segments, frame):  # type: ignore[no-untyped-def]
        """Σ = Σ_k W_k / n."""
        pooled = segments.sum(n * v) / segments.sum(n)
        pooled, low = floor_eigenvalues(pooled, frame.floor)
        return pooled[:, :, segments.owner], low[segments.owner]

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """d (d + 1) / 2."""
        return d * (d + 1) // 2


class DiagonalStructure(Structure):
    """Every component has its own variance per column; no correlation within a component."""

    name, mclust = "diag", "VVI"
    diagonal = True
    contains = ("spherical",)

    def solve(self, n, v, segments, frame):  # type: ignore[no-untyped-def]
        """σ²_kj = (W_k)_jj / n_k."""
        return np.maximum(v, frame.floor), ~(v >= frame.floor).all(axis=0)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K d."""
        return k * d


class SphericalStructure(Structure):
    """Every component has one variance for all columns, in the data's units."""

    name, mclust = "spherical", "VII"
    diagonal = True

    def solve(self, n, v, segments, frame):  # type: ignore[no-untyped-def]
        """λ_k = tr(W_k) / (n_k d), in units in which the columns are comparable."""
        shape = frame.sphere[:, None]
        level = (v / shape).mean(axis=0)
        least = frame.floor / frame.sphere.min()
        return np.maximum(level, least) * shape, ~(level >= least)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K."""
        return k


STRUCTURES: tuple[Structure, ...] = (
    FullStructure(),
    TiedStructure(),
    DiagonalStructure(),
    SphericalStructure(),
)
AUTO = tuple(s.name for s in STRUCTURES)  # what covariance_type="auto" compares

# mclust writes E and V for one column, where orientation and shape have no meaning.
_SYNONYMS = {s.mclust: s for s in STRUCTURES} | {s.name: s for s in STRUCTURES}
_SYNONYMS |= {"E": _SYNONYMS["tied"], "V": _SYNONYMS["full"]}


def structure(name: object) -> Structure:
    """Return the structure with this name (scikit-learn's or mclust's).

    Raises
    ------
    ParameterError
        For an unknown name, with the nearest known one.
    """
    if isinstance(name, Structure):
        return name
    found = _SYNONYMS.get(name) if isinstance(name, str) else None
    if found is None:
        import difflib

        near = difflib.get_close_matches(str(name), _SYNONYMS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        known = ", ".join(f"{s.name!r} ({s.mclust})" for s in STRUCTURES)
        raise ParameterError(
            f"covariance_type must be 'auto', one of {known}, or a list of them; got {name!r}.{hint}"
        )
    return found
