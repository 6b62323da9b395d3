"""Structures without correlation within a component: spheres, and axes along the columns.

Covariances are variances per column, (d, M). Spheres are spheres in the data's units
(:attr:`pofx.models.mixture.frame.Frame.sphere`); the others do not depend on the columns' units.
"""

from __future__ import annotations

import numpy as np

from ..batch import Segments
from ..frame import Frame
from .base import FlooredStructure, Structure, side_by_side
from .volumes import common_shape, with_one_volume

__all__ = ["DIAGONAL"]


class _Spheres(Structure):
    """One variance for all columns, in the data's units."""

    diagonal = in_data_units = True

    def covariances_shape(self, k: int, d: int) -> tuple[int, ...]:
        """One variance per component."""
        return (k,)

    def _levels(self, level: np.ndarray, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        least = frame.floor / frame.sphere.min()
        return np.maximum(level, least) * frame.sphere[:, None], np.asarray(~(level >= least))


class EII(_Spheres):
    """All components are spheres of one size."""

    mclust = part = "EII"

    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """λ = Σ_k tr(W_k) / (n d), in units in which the columns are comparable."""
        own = (v / frame.sphere[:, None]).mean(axis=0)
        return self._levels((segments.sum(n * own) / segments.sum(n))[segments.owner], frame)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """1."""
        return 1


class VII(_Spheres):
    """Every component is a sphere of its own size."""

    mclust = part = "VII"
    name = "spherical"

    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """λ_k = tr(W_k) / (n_k d), in units in which the columns are comparable."""
        return self._levels((v / frame.sphere[:, None]).mean(axis=0), frame)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K."""
        return k


class EEI(Structure):
    """All components have the same variance per column."""

    mclust = part = "EEI"
    diagonal = True

    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """σ²_j = Σ_k (W_k)_jj / n."""
        pooled = segments.sum(n * v) / segments.sum(n)
        low = ~(pooled >= frame.floor).all(axis=0)
        return np.maximum(pooled, frame.floor)[:, segments.owner], low[segments.owner]

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """d."""
        return d


class VEI(FlooredStructure):
    """Every component has its own volume; the ratios of the columns' variances are shared."""

    mclust = part = "VEI"
    diagonal = True

    def maximise(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """Σ_k = λ_k B: see :mod:`pofx.models.mixture.structures.volumes`."""
        share, own, place = side_by_side(n, v, segments)
        return np.ascontiguousarray(common_shape(share, own)[place].T)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K + d − 1."""
        return k + d - 1


class EVI(FlooredStructure):
    """All components have one volume; the ratios of the columns' variances are their own."""

    mclust, part = "EVI", "VVI"
    diagonal = True

    def maximise(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """λ = Σ_k |diag W_k|^{1/d} / n,  B_k = diag W_k / |diag W_k|^{1/d}."""
        return with_one_volume(n, v, np.log(v).mean(axis=0), segments)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """1 + K (d − 1)."""
        return 1 + k * (d - 1)


class VVI(Structure):
    """Every component has its own variance per column; no correlation within a component."""

    mclust = part = "VVI"
    name = "diag"
    diagonal = True

    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """σ²_kj = (W_k)_jj / n_k."""
        return np.maximum(v, frame.floor), np.asarray(~(v >= frame.floor).all(axis=0))

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K d."""
        return k * d


DIAGONAL: tuple[Structure, ...] = (EII(), VII(), EEI(), VEI(), EVI(), VVI())
