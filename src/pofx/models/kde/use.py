"""What else a kernel density estimate answers."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.density import Density
from ...core.modes import Modes
from ...core.params import Params
from ...core.units import Units
from ...errors import PofxWarning
from ...maths.kernel_sums import Plan, make_plan
from ...threads import one_blas_thread
from ...validation import Columns, one_of, real_number, rng_from, rows_to_query, whole_number
from .bands import Band, confidence_band
from .batch import LazyBatch
from .gradient import Slopes, require_gaussian
from .grid import DensityGrid, Limits, evaluate_grid
from .left_out import leave_one_out
from .modes import find_modes
from .parts import bumps_of, edges_of

__all__ = ["Use"]

Floats = NDArray[np.float64]


class Use(Density):
    """Methods of :class:`pofx.KDE` beyond the contract."""

    params_: Params
    rtol: float
    engine: str
    memory: float
    weight_kind: str | None

    def plan(self, X: Any) -> Plan:
        """Return how ``log_density(X)`` would be computed, why, and the predicted seconds and bytes."""
        params = self.params_
        x = params.units.to(rows_to_query(X, params.columns, who=type(self).__name__))
        return make_plan(bumps_of(params), x, self.rtol, engine=self.engine, memory=self.memory)

    def leave_one_out(self) -> Floats:
        """Return the log density at each distinct row (``points_``) of what the other rows make.

        One unit of the row's weight is left out, with ``weight_kind="importance"`` all of it, and the rest is
        scaled to one; bandwidth and factors are held. ``-inf`` where nothing else reaches.

        Returns
        -------
        ndarray (m,)
            Nats, data units.
        """
        params = self.params_
        with one_blas_thread():
            out = leave_one_out(
                params,
                all_of_it=self.weight_kind == "importance",
                rtol=self.rtol,
                engine=self.engine,
                memory=self.memory,
            )
        return out + params.units.log_jacobian

    def gradient(self, X: Any) -> Floats:
        """Return the gradient of the log density at each row: nats per unit of each column, shape (m, d).

        NaN outside the bounds, where there is no density. Gaussian kernel only.

        Raises
        ------
        UnsupportedError
            For other kernels.
        """
        params = self.params_
        require_gaussian(params, "gradient")
        x = params.units.to(rows_to_query(X, params.columns, who=type(self).__name__))
        if len(x) == 0:
            return np.empty_like(x)
        edges = edges_of(params)
        inside = np.ones(len(x), dtype=bool) if edges is None else ~edges.outside(x)
        out = np.full(x.shape, math.nan)
        with one_blas_thread():
            slopes = Slopes(params, rtol=self.rtol / 100.0, memory=self.memory, expected=len(x))
            out[inside] = slopes.gradient(x[inside])[1]
        return np.ldexp(out, -params.units.exponent)

    def modes(self, *, n_starts: int = 1000, random_state: Any = 0) -> Modes:
        """Return the local maxima of the density and the share of the rows that climb to each.

        Parameters
        ----------
        n_starts : int
            How many distinct rows climb where there are more; in one column none needs to.
        random_state : None, int, Generator or RandomState
            Which rows those are.

        Raises
        ------
        UnsupportedError
            For kernels other than the Gaussian.
        """
        params = self.params_
        require_gaussian(params, "modes")
        n_starts = whole_number(n_starts, "n_starts", least=1)
        with one_blas_thread():
            return find_modes(params, n_starts=n_starts, rng=rng_from(random_state), memory=self.memory)

    def density_grid(self, size: Any = None, *, limits: Limits = None) -> DensityGrid:
        """Return the log density on an even grid of one to three columns.

        Parameters
        ----------
        size : int, or one per column, optional
            Places along each column; by default 1024, 256 × 256 or 64 × 64 × 64.
        limits : pair per column, or mapping of column to pair, optional
            Data units. By default the rows' range and four bandwidths beyond, cut at bounds; one period.

        Raises
        ------
        UnsupportedError
            For four columns and more: take a marginal.
        """
        params = self.params_
        with one_blas_thread():
            return evaluate_grid(
                params,
                size,
                limits,
                lambda x: self._log_density(params, x),
                rtol=self.rtol,
                memory=self.memory,
                fast=self.engine == "auto",
            )

    def confidence_band(
        self,
        X: Any,
        level: float = 0.95,
        *,
        n_boot: int = 500,
        simultaneous: bool = True,
        target: str = "smoothed",
        random_state: Any = 0,
    ) -> Band:
        """Return a confidence band at these rows, by the multiplier bootstrap; the bandwidth is held.

        Parameters
        ----------
        X : rows, as for ``log_density``
        level : float in (0, 1)
        n_boot : int
            Draws for the simultaneous band.
        simultaneous : bool
            Whether the band holds at all rows of X at once, or at each by itself.
        target : {"smoothed", "density"}
            What it is about: the smoothed density p∗K, so that smoothing bias is not included; or the density
            itself, with the leading bias taken off (Gaussian kernel, fixed bandwidth).
        random_state : None, int, Generator or RandomState

        Returns
        -------
        Band
            Its ``message`` says what is covered.
        """
        params = self.params_
        level = real_number(level, "level", above=0.0, below=1.0)
        n_boot = whole_number(n_boot, "n_boot", least=50)
        one_of(target, "target", ("smoothed", "density"))
        x = rows_to_query(X, params.columns, who=type(self).__name__)
        with one_blas_thread():
            return confidence_band(
                params,
                params.units.to(x),
                self._log_density_rows(params, x),
                level,
                n_boot=n_boot,
                simultaneous=bool(simultaneous),
                debiased=target == "density",
                importance=self.weight_kind == "importance",
                rng=rng_from(random_state),
            )

    def _condition_batch(
        self, params: Params, numbers: list[int], z: Floats, units: Units, columns: Columns
    ) -> LazyBatch:
        return LazyBatch(
            params,
            numbers,
            z,
            units,
            columns,
            make=lambda row: self._from_values(self._condition(params, numbers, row), units, columns),
            bumped=self._bumped,
            rtol=self.rtol,
            engine=self.engine,
            memory=self.memory,
        )

    def _bumped(
        self, params: Params, centres: Floats, rows: NDArray[np.intp], rng: np.random.Generator
    ) -> Floats:
        raise NotImplementedError

    def save(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write the model, **and with it the training rows**, to one safe file; see :mod:`pofx.store`.

        Warns
        -----
        PofxWarning
            Each time: whoever has the file has the rows.
        """
        n = len(self.params_.points)
        warnings.warn(
            f"KDE: the file holds the {n:,} training rows themselves; whoever has it has them. To pass on a "
            "distribution without its rows, save a Gaussian, a GaussianMixture or a Histogram.",
            PofxWarning,
            stacklevel=2,
        )
        super().save(path, overwrite=overwrite)
