"""Gaussian mixtures: the model, and the engine that finds its best optimum.

``model`` is the class; ``fit`` decides what is tried on which rows; ``search`` finds the optima; ``em`` is
the algorithm; ``rows`` and ``centred`` are its E-step in two forms; ``structures`` the kinds of covariances.
``use`` is what else a mixture answers, each answer in a file of its own.
"""

from .model import GaussianMixture
from .structures import FactorAnalysers

__all__ = ["FactorAnalysers", "GaussianMixture"]
