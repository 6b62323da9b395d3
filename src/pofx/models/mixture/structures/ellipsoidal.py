"""Structures with correlation within a component: ellipsoids of any orientation.

Covariances are (d, d, M). EEE, VEE, EVV and VVV are the same in all units and coordinates. The others share
eigenvalues (EEV, VEV) or eigenvectors (EVE, VVE), which mean something in the data's units alone, and are
solved there.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from ....maths.gaussian_batch import cholesky, floor_eigenvalues
from ..batch import Segments
from ..frame import Frame
from .base import FlooredStructure, Structure, side_by_side
from .orientation import common_axes
from .volumes import common_shape, with_one_volume

__all__ = ["ELLIPSOIDAL"]


class EEE(Structure):
    """All components share one covariance matrix."""

    mclust = part = "EEE"
    name = "tied"
    shared = True

    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """Σ = Σ_k W_k / n."""
        pooled = segments.sum(n * v) / segments.sum(n)
        pooled, low = floor_eigenvalues(pooled, frame.floor)
        return pooled[:, :, segments.owner], low[segments.owner]

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """d (d + 1) / 2."""
        return d * (d + 1) // 2

    def covariances_shape(self, k: int, d: int) -> tuple[int, ...]:
        """One matrix for all."""
        return (d, d)


class VVV(Structure):
    """Every component has its own covariance matrix."""

    mclust = part = "VVV"
    name = "full"
    own_matrices = True

    def solve(
        self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame
    ) -> tuple[np.ndarray, np.ndarray]:
        """Σ_k = W_k / n_k."""
        return floor_eigenvalues(v, frame.floor)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K d (d + 1) / 2."""
        return k * d * (d + 1) // 2


class EVV(FlooredStructure):
    """Every component has its own covariance matrix, all of one volume."""

    mclust = "EVV"
    own_matrices = True

    def maximise(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """λ = Σ_k |W_k|^{1/d} / n,  C_k = W_k / |W_k|^{1/d}."""
        i = np.arange(len(v))
        return with_one_volume(n, v, 2.0 * np.log(cholesky(v)[0][i, i]).mean(axis=0), segments)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """1 + K (d (d + 1) / 2 − 1)."""
        return 1 + k * (d * (d + 1) // 2 - 1)


class _ByMixture(FlooredStructure):
    """Mixtures are solved together, their components along an axis of their own."""

    def maximise(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """Return the covariances, solved in the data's units where they matter."""
        inner = frame.to_data(v) if self.in_data_units else v
        share, own, place = side_by_side(n, inner, segments)
        out = np.ascontiguousarray(np.moveaxis(self.together(share, own)[place], 0, 2))
        return frame.from_data(out) if self.in_data_units else out

    @abstractmethod
    def together(self, share: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the covariances (B, K, d, d) for shares n_k / n (B, K) and own covariances ``v``."""


class VEE(_ByMixture):
    """All components share shape and orientation; every one has its own volume."""

    mclust = part = "VEE"

    def together(self, share: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Σ_k = λ_k C: see :mod:`pofx.models.mixture.structures.volumes`."""
        return common_shape(share, v)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K + d (d + 1) / 2 − 1."""
        return k + d * (d + 1) // 2 - 1


class EEV(_ByMixture):
    """All components share volume and shape; every one has its own orientation."""

    mclust = "EEV"
    in_data_units = True

    def together(self, share: np.ndarray, v: np.ndarray) -> np.ndarray:
        """W_k = L_k Ω_k L_kᵀ, eigenvalues in order:  D_k = L_k,  λA = Σ_k Ω_k / n."""
        values, axes = _eigen(v)
        return _sandwich(axes, np.einsum("bk,bkj->bj", share, values)[:, None])

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """d + K d (d − 1) / 2."""
        return d + k * (d * (d - 1) // 2)


class VEV(_ByMixture):
    """All components share their shape; every one has its own volume and orientation."""

    mclust = "VEV"
    in_data_units = True

    def together(self, share: np.ndarray, v: np.ndarray) -> np.ndarray:
        """W_k = L_k Ω_k L_kᵀ, eigenvalues in order:  D_k = L_k, and λ_k A is VEI's solution for Ω_k / n_k."""
        values, axes = _eigen(v)
        return _sandwich(axes, common_shape(share, values))

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K + d − 1 + K d (d − 1) / 2."""
        return k + d - 1 + k * (d * (d - 1) // 2)


class EVE(_ByMixture):
    """All components share volume and orientation; every one has its own shape."""

    mclust = "EVE"
    in_data_units = True

    def together(self, share: np.ndarray, v: np.ndarray) -> np.ndarray:
        """λ_k A_k is EVI's solution along the common axes (:mod:`…structures.orientation`)."""
        axes, own = common_axes(share, v, equal=True)
        level = np.log(own).mean(axis=2)
        top = level.max(axis=1, keepdims=True)
        volume = np.log((share * np.exp(level - top)).sum(axis=1, keepdims=True)) + top
        return _sandwich(axes[:, None], own * np.exp(volume - level)[:, :, None])

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """1 + K (d − 1) + d (d − 1) / 2."""
        return 1 + k * (d - 1) + d * (d - 1) // 2


class VVE(_ByMixture):
    """All components share their orientation; every one has its own volume and shape."""

    mclust = "VVE"
    in_data_units = True

    def together(self, share: np.ndarray, v: np.ndarray) -> np.ndarray:
        """λ_k A_k is VVI's solution along the common axes (:mod:`…structures.orientation`)."""
        axes, own = common_axes(share, v, equal=False)
        return _sandwich(axes[:, None], own)

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K d + d (d − 1) / 2."""
        return k * d + d * (d - 1) // 2


def _eigen(v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues in ascending order (…, d) and eigenvectors (…, d, d).

    Rayleigh quotients have the relative accuracy that the smallest eigenvalues of LAPACK lack where the
    columns' units differ much.
    """
    axes = np.linalg.eigh(v)[1]
    values = np.einsum("...ij,...ij->...j", axes, v @ axes)
    return np.maximum(values, np.finfo(float).tiny), axes


def _sandwich(axes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return D Λ Dᵀ, symmetric to the last bit."""
    half = axes * np.sqrt(values)[..., None, :]
    out = half @ np.swapaxes(half, -1, -2)
    return np.asarray(0.5 * (out + np.swapaxes(out, -1, -2)))


ELLIPSOIDAL: tuple[Structure, ...] = (EEE(), VEE(), EVE(), VVE(), EEV(), VEV(), EVV(), VVV())
