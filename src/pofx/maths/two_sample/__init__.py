"""Two samples, one distribution? Three more ways to ask it, each with an exact permutation test.

:mod:`~.mmd` sees differences on one scale, :mod:`~.sliced` says how far and along which direction rows must
be moved, :mod:`~.support` tells rows that the model does not make from draws that no row is like. The energy
distance, which looks on all scales at once, is in :mod:`pofx.maths.energy`.
"""

from pofx.maths.two_sample.mmd import MMD, mmd_test
from pofx.maths.two_sample.sliced import Sliced, sliced_test
from pofx.maths.two_sample.support import Measure, Support, support_test

__all__ = ["MMD", "Measure", "Sliced", "Support", "mmd_test", "sliced_test", "support_test"]
