"""What a covariance structure is, and how one is held above the floor.

mclust names a structure by three letters: the volume λ_k, the shape A_k and the orientation D_k of

    Σ_k = λ_k D_k A_k D_kᵀ,   |A_k| = 1,   D_kᵀ D_k = I,

each of them Equal for all components, Variable, or (shape, orientation) the Identity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import isabstract
from typing import ClassVar

import numpy as np

from ....maths.gaussian_batch import cholesky, floor_eigenvalues
from ..batch import Segments
from ..frame import Frame

__all__ = ["FlooredStructure", "Structure", "side_by_side"]

TINY = 1e-8  # of the floor: the least eigenvalue that a component's own covariance counts with
ROUNDS = 4  # of raising to the floor and solving again
_RANK = {"I": 0, "E": 1, "V": 2}


class Structure(ABC):
    """What the components' covariances have in common.

    Attributes
    ----------
    name, mclust : str
        scikit-learn's name or another, mclust's by default; and mclust's, empty where it has none.
    diagonal : bool
        Whether covariances are variances per column, (d, M).
    shared : bool
        Whether all components have one covariance matrix, kept once.
    in_data_units : bool
        Whether what the components share depends on the columns' units (a sphere, a set of eigenvalues, a
        set of eigenvectors), so that it holds in the data's own.
    own_matrices : bool
        Whether every component needs d + 1 rows for a covariance matrix of its own.
    for_singular : bool
        Whether covariances are regular even where the rows lie in fewer directions than there are columns.
    part : str
        The name of the structure of a marginal or a conditional.
    """

    mclust: str = ""
    name: str
    diagonal: ClassVar[bool] = False
    shared: ClassVar[bool] = False
    in_data_units: ClassVar[bool] = False
    own_matrices: ClassVar[bool] = False
    for_singular: ClassVar[bool] = False
    part: str = "VVV"

    def __init_subclass__(cls) -> None:
        if "mclust" in cls.__dict__ and "name" not in cls.__dict__:
            cls.name = cls.mclust

    @classmethod
    def named(cls, name: str) -> Structure | None:
        """Return the structure of this class that ``name`` is short for, if there is one.

        Names are what files and the command line hold.
        """
        return cls() if not isabstract(cls) and name in (cls.name, cls.mclust) else None

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def short_name(self) -> str:
        """What a file holds in the object's place."""
        return self.name

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
            The floor, and the data's units in these coordinates.
        """

    @abstractmethod
    def n_covariance_parameters(self, k: int, d: int) -> int:
        """Return the number of free parameters in the covariances of ``k`` components."""

    def n_parameters(self, k: int, d: int) -> int:
        """Return the number of free parameters of the mixture: weights, means, covariances."""
        return (k - 1) + k * d + self.n_covariance_parameters(k, d)

    def rows_per_component(self, d: int) -> int:
        """Return how many rows a component, of several, needs to have covariances at all."""
        return d + 1 if self.own_matrices else 0

    def work(self, d: int) -> float:
        """Return about how many multiply-adds :meth:`solve` costs per component, where that counts."""
        return 0.0

    def refusal(self, d: int) -> str:
        """Return why ``d`` columns cannot have this structure, and what to try; empty where they can."""
        return ""

    def of_part(self, d: int) -> str:
        """Return the name of the structure of a marginal or a conditional in ``d`` columns."""
        return "VVV" if self.refusal(d) else self.part

    def covariances_shape(self, k: int, d: int) -> tuple[int, ...]:
        """Return the shape of ``covariances_``: scikit-learn's, or one matrix (or row) per component."""
        return (k, d) if self.diagonal else (k, d, d)

    def contains(self, other: Structure) -> bool:
        """Whether ``other`` is a special case: its optimum is one of this one's starts.

        No letter of a special case is freer: I is an E, which is a V. What has no letters is a case of VVV,
        and of VVI if it is diagonal.
        """
        if not (self.mclust and other.mclust):
            return self != other and self.mclust in ("VVV", "VVI" if other.diagonal else "VVV")
        freer = zip(self.mclust, other.mclust, strict=True)
        return self.mclust != other.mclust and all(_RANK[a] >= _RANK[b] for a, b in freer)

    def __repr__(self) -> str:
        return self.name if self.mclust in ("", self.name) else f"{self.name} ({self.mclust})"


class FlooredStructure(Structure):
    """A structure that says what it is without the floor; where that falls below it, it is raised here."""

    @abstractmethod
    def maximise(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """Return the covariances of this structure that maximise the expected log-likelihood.

        Parameters are those of :meth:`solve`; every ``v`` is positive definite.
        """

    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the maximiser where it is above the floor, else one of this structure that is."""
        v = _raised(v, TINY * frame.floor)
        cov = self.maximise(n, v, segments, frame)
        low = ~_above(cov, frame.floor)
        if low.any():
            mixtures = np.flatnonzero(segments.any(low))
            mine = segments.components(mixtures)
            cov = cov.copy()
            cov[..., mine] = self._held(n[mine], v[..., mine], segments.take(mixtures), frame)
        return cov, low

    def _held(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """Return covariances of this structure above the floor: raise, solve again, and so on.

        No maximiser under the constraint, but near one, continuous, and of the structure; runs that stay
        here are not regular. What violation is left after a few rounds, the volumes make good.
        """
        for _ in range(ROUNDS):
            v = _raised(v, frame.floor)
            cov = v = self.maximise(n, v, segments, frame)
            if _above(cov, frame.floor).all():
                return cov
        factor = np.maximum(frame.floor / _least(cov), 1.0)
        if self.mclust.startswith("E"):
            factor = np.maximum.reduceat(factor, segments.starts)[segments.owner]
        return cov * factor


def side_by_side(
    n: np.ndarray, v: np.ndarray, segments: Segments
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return shares n_k / n (B, K), own covariances (B, K, …) and where each component went.

    Mixtures of fewer than K components are filled up with unit covariances of no weight: one call for all
    sizes costs far less than one for each.
    """
    k = int(segments.sizes.max())
    place = segments.owner, np.arange(segments.m) - segments.starts[segments.owner]
    share, d = np.zeros((len(segments), k)), len(v)
    own = np.empty((len(segments), k, *v.shape[:-1]))
    if segments.m < share.size:
        own[:] = np.eye(d) if v.ndim == 3 else 1.0
    share[place], own[place] = n, np.moveaxis(v, -1, 0)
    return share / share.sum(axis=1, keepdims=True), own, place


def _raised(v: np.ndarray, least: float) -> np.ndarray:
    """Return ``v`` with no eigenvalue below ``least``; of components that lost all rows, just that."""
    if v.ndim == 3:
        return floor_eigenvalues(v, least)[0]
    return np.where(np.isfinite(v), np.maximum(v, least), least)


def _above(cov: np.ndarray, floor: float) -> np.ndarray:
    if cov.ndim == 2:
        return np.asarray((cov >= floor).all(axis=0))
    shifted = cov.copy()
    i = np.arange(len(cov))
    shifted[i, i] -= floor
    return cholesky(shifted)[1]


def _least(cov: np.ndarray) -> np.ndarray:
    if cov.ndim == 2:
        return np.asarray(cov.min(axis=0))
    return np.linalg.eigvalsh(np.moveaxis(cov, 2, 0))[:, 0]
