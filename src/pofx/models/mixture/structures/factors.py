"""Factor analysers: correlation within a component through a few common factors.

    Σ_k = Λ_k Λ_kᵀ + Ψ_k,   Λ_k (d × q),  Ψ_k diagonal,

a mixture of factor analysers (Ghahramani and Hinton 1997, CRG-TR-96-1; McLachlan and Peel 2000, Finite
Mixture Models, ch. 8). Where a full covariance costs d (d + 1) / 2 numbers, this costs about d (q + 1), and
it exists for fewer rows than columns.

The M-step is maximum-likelihood factor analysis of each component's own covariance, which does not see the
columns' units (:mod:`pofx.models.mixture.structures.factoring`).
"""

from __future__ import annotations

import re

import numpy as np

from ....validation import whole_number
from ..batch import Segments
from ..frame import Frame
from .base import FlooredStructure, Structure
from .factoring import common_and_noise

__all__ = ["FactorAnalysers"]


class FactorAnalysers(FlooredStructure):
    """Every component has q factors and uniquenesses (noise variances of the columns) of its own.

    ``covariance_type="factors-2"`` is short for ``FactorAnalysers(2)``.

    Parameters
    ----------
    n_factors : int
        q ≥ 1, and no more than leave the covariances fewer parameters than full ones have, or as many:
        (d − q)² ≥ d + q (Ledermann 1937, Psychometrika 2:85).
    """

    for_singular = True

    def __init__(self, n_factors: int) -> None:
        self.n_factors = whole_number(n_factors, "n_factors", least=1)
        self.name = self.part = f"factors-{self.n_factors}"

    @classmethod
    def named(cls, name: str) -> Structure | None:
        """Return the structure that ``"factors-2"`` and the like are short for."""
        found = re.fullmatch(r"factors-([1-9][0-9]{0,3})", name)
        return cls(int(found[1])) if found else None

    def maximise(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """Return ΛΛᵀ + Ψ of each component, from the factor analysis of its own covariance."""
        own = np.ascontiguousarray(np.moveaxis(v, 2, 0))
        if frame.matrix.ndim == 2:  # factors are the columns', not those of whitened rows
            own = frame.inverse @ own @ frame.inverse.T
        cov, noise, sd = common_and_noise(own, self.n_factors)
        i = np.arange(len(v))
        cov[:, i, i] += noise
        cov = cov * sd[:, :, None] * sd[:, None, :]
        if frame.matrix.ndim == 2:
            cov = frame.matrix @ cov @ frame.matrix.T
            cov = 0.5 * (cov + np.swapaxes(cov, 1, 2))
        return np.ascontiguousarray(np.moveaxis(cov, 0, 2))

    def _held(self, n: np.ndarray, v: np.ndarray, segments: Segments, frame: Frame) -> np.ndarray:
        """Return covariances of this structure above the floor: with more noise, alike in all columns."""
        cov = self.maximise(n, v, segments, frame)
        noise = np.eye(len(v))
        if frame.matrix.ndim == 2:
            unit = frame.matrix * np.sqrt((frame.inverse**2).sum(axis=1))
            noise = unit @ unit.T
        short = np.maximum(frame.floor - np.linalg.eigvalsh(np.moveaxis(cov, 2, 0))[:, 0], 0.0)
        return np.asarray(cov + noise[:, :, None] * (short / np.linalg.eigvalsh(noise)[0]))

    def n_covariance_parameters(self, k: int, d: int) -> int:
        """K (d q + d − q (q − 1) / 2): a rotation of the factors changes nothing."""
        q = self.n_factors
        return k * (d * q + d - q * (q - 1) // 2)

    def contains(self, other: Structure) -> bool:
        """Fewer factors, and whatever has no correlation within a component."""
        fewer = isinstance(other, FactorAnalysers) and other.n_factors < self.n_factors
        return other.diagonal or fewer

    def rows_per_component(self, d: int) -> int:
        """q + 2: fewer rows lie in the space of the factors, where the likelihood is unbounded."""
        return self.n_factors + 2

    def work(self, d: int) -> float:
        """Return what was measured: half a dozen eigendecompositions, and as many Newton steps."""
        return 1e6 + 4e3 * d**2

    def refusal(self, d: int) -> str:
        """Say that ``d`` columns are too few for q factors."""
        q = self.n_factors
        if q < d and (d - q) ** 2 >= d + q:
            return ""
        most = max((q for q in range(1, d) if (d - q) ** 2 >= d + q), default=0)
        return (
            f"covariance_type={self.name!r} has more parameters than a full covariance of "
            f"{d} column{'s' if d > 1 else ''}. Use covariance_type="
            f"{f'factors-{most}' if most else 'full'!r}."
        )
