"""Nodes of a cube: Gauss-Legendre in few dimensions, a Richtmyer lattice in more."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["cube_nodes"]

Floats = NDArray[np.float64]

GAUSS = {1: (24, 16), 2: (12, 9), 3: (8, 6)}  # nodes per dimension: as used, and of the coarser rule
LATTICE = (1_021, 509)
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97)


@lru_cache(maxsize=64)
def cube_nodes(d: int, coarse: bool = False) -> tuple[Floats, Floats]:
    """Return nodes (m, d) of the cube (0, 1)^d and their weights (m,) of sum 1; both are read-only.

    Up to three dimensions a product of Gauss-Legendre rules, beyond that a lattice whose generators are the
    roots of primes, periodised by the tent (Genz and Bretz 2002, J. Comput. Graph. Stat. 11:950).
    ``coarse`` gives fewer of them: what the two rules differ by says how far off either may be.
    """
    if d == 0:
        nodes, weights = np.empty((1, 0)), np.ones(1)
    elif d in GAUSS:
        t, w = np.polynomial.legendre.leggauss(GAUSS[d][coarse])
        axes, shares = np.meshgrid(*[(t + 1.0) / 2.0] * d), np.meshgrid(*[w / 2.0] * d)
        nodes = np.stack([axis.ravel() for axis in axes], axis=1)
        weights = np.prod([share.ravel() for share in shares], axis=0)
    else:
        m = LATTICE[coarse]
        roots = np.sqrt(np.array([PRIMES[j % len(PRIMES)] + j // len(PRIMES) * 101.0 for j in range(d)]))
        u = np.modf((np.arange(m)[:, None] + 0.5) * roots)[0]
        nodes = np.clip(np.abs(2.0 * u - 1.0), 1e-9, 1.0 - 1e-9)
        weights = np.full(m, 1.0 / m)
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights
