"""Covariance structures as objects: what the components of a mixture share, and what each has alone.

The M-step of every structure of Celeux and Govaert (1995, Pattern Recognition 28:781) needs the same two
things per component k: its weight n_k and its scatter W_k = Σ_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ. So a
structure is one ``solve``, a count of parameters, and the short names it answers to (``base``); adding one
is adding a class to ``diagonal`` or ``ellipsoidal``, or in a file of its own (``factors``; or a user's: what
is defined is known by its name). All structures work under the constraint that every eigenvalue is at least
``floor``, which bounds the likelihood (Hathaway 1985, Ann. Stat. 13:795).

Arrays hold the components of many mixtures along their last axis: (d, d, M), or (d, M) where the structure
is diagonal.
"""

from .base import Structure
from .factors import FactorAnalysers
from .table import AUTO, STRUCTURES, structure

__all__ = ["AUTO", "STRUCTURES", "FactorAnalysers", "Structure", "structure"]
