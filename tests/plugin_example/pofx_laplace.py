"""Independent Laplace columns, log p(x) = -sum_j |x_j - m_j| / b_j + log 2 b_j; the variance 2 b² gives b."""

import numpy as np

from pofx.core.density import Density
from pofx.core.fold import require_spread
from pofx.maths.moments import Moments


class Laplace(Density):
    def _fit(self, data, rng):
        require_spread(data, "Leave it out.")  # the same words as pofx's own models
        return super()._fit(data, rng)

    def _statistics(self, params, x, w):
        return Moments.of(x, w, full=False)

    def _solve(self, stats):
        return {"mean": stats.mean, "b": np.sqrt(stats.covariance / 2)}

    def _log_density(self, params, x):
        return -(np.abs(x - params.mean) / params.b + np.log(2 * params.b)).sum(axis=1)

    def _draw(self, params, n, rng):
        return rng.laplace(params.mean, params.b, (n, len(params.b)))
