r"""Kernel density estimation: a bump on every row.

    p(x) = Σ_i p_i λ_i^-d Π_j k(z_ij / λ_i) / |L|,     z_i = L^-1 (x - y_i),     p_i = w_i / Σw

with a kernel k of standard deviation 1. L is diagonal for bandwidths per column: h_j is then the standard
deviation of the bump in the units of column j, for every kernel; or the Cholesky factor of a bandwidth
matrix H, the covariance of a Gaussian bump. λ_i = 1, unless the bandwidth adapts to the density around row i.
Marginals and conditionals are kernel density estimates again, exactly (:mod:`pofx.models.kde.parts`).

The sums are taken by :mod:`pofx.maths.kernel_sums` to a stated relative error.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ...core.density import in_data_units as covariance_in_data_units
from ...core.fitting import Outcome
from ...core.fold import Data, require_rows, require_spread, survey
from ...core.invert import quantile_by_bisection
from ...core.params import Params
from ...errors import ParameterError, PofxWarning
from ...maths.bandwidth import Auto, Choice, Rule, rule_named
from ...maths.boxes import log_box_by_rule
from ...maths.kernel_sums import ENGINES, MEMORY, Bumps, Edges, Line, log_sum_folded
from ...maths.kernels import KERNELS, Kernel, kernel_named
from ...validation import one_of, real_number
from .boxes import log_boxes
from .edges import Bounds, Periods, check_edges, edges_in_unit_space, given_back, unrolled
from .given import Given, in_data_units, in_unit_space, numbers
from .moments import mean_and_covariance
from .parts import bumps_of, conditioned, edge_values, edges_of, marginal_values
from .use import Use

__all__ = ["KDE"]

Floats = NDArray[np.float64]

ABRAMSON = 0.5  # λ_i ∝ p(y_i)^-1/2: the square root law
MOST_FACTOR = 1e3  # how far apart the local bandwidths of a far-out and of a typical row may lie


class KDE(Use):
    """A kernel density estimate.

    Parameters
    ----------
    bandwidth : str, Rule, float, sequence, mapping or (d, d) array
        The kernel's **standard deviation**, in the units of the columns: a rule by name
        (:mod:`pofx.maths.bandwidth` lists them), one number for all columns, one per column, or a mapping
        from every column's name or number to its number; or a bandwidth matrix, the bump's **covariance**
        (Gaussian kernel only). ``"auto"``: Sheather-Jones in one column, the full plug-in matrix for 2 to 4
        (its diagonal form for other kernels, bounds and periods), likelihood cross-validation with one
        bandwidth per column above; each falls back by a documented chain where rows are few or tied.
        ``fit_`` says rule and value. scikit-learn's ``bandwidth`` is the same for the Gaussian kernel;
        scipy's ``bw_method`` is a factor, ours is that factor times the standard deviation.
    kernel : {"gaussian", "epanechnikov", "tophat", "triangular", "biweight", "triweight", "cosine"}
        The bump. All but the Gaussian have bounded support: log densities of -inf beyond it.
    adaptive : bool or float in (0, 1]
        Abramson's sample-point estimate: the bump of row i is λ_i = (p(y_i)/g)^-a times as wide, p the
        estimate with fixed bandwidth, g its geometric mean over the rows, a = 1/2 for ``True``.
    bounds : mapping of column to (lower, upper), optional
        Ends of the support, None where there is none. Bumps reflect there, so the density integrates to one
        over the bounds. Samples keep inside.
    period : mapping of column to its period, optional
        The column wraps, as an angle or an hour does; a row may be given in any period.
    rtol : float
        Relative error allowed in each density, tails included: an absolute error of the log density. 0 is
        exact to rounding.
    engine : {"auto", "naive", "tiles", "nufft", "moments"}
        How the sums are taken; :meth:`plan` says what "auto" chooses, and why.
    memory : float
        Bytes that an evaluation may take beyond rows and answer.
    missing, weight_kind
        See :class:`pofx.core.density.Density`. In the rules, n is the sum of the weights.

    Attributes
    ----------
    points_ : ndarray (m, d)
        The distinct rows, data units. A fitted KDE **and its file** hold the rows themselves.
    weights_ : ndarray (m,)
        Their probabilities.
    bandwidth_ : ndarray (d,) or (d, d)
        Data units: standard deviations, or the matrix. ``fit_.message`` says where it came from.
    factors_ : ndarray (m,)
        λ_i of each row; ones where the bandwidth does not adapt.
    n_parameters_ : int
        The numbers it keeps: m rows of d, and the bandwidths. Not a number for BIC: nothing is maximised.

    Raises
    ------
    DegenerateError
        From ``fit``, for a constant column, or a single row, with a rule: neither has a scale.
    ParameterError
        For bandwidths that are not positive and finite, or not one per column; a matrix that is not positive
        definite; a period shorter than the rows' range; unknown names.
    DataError
        For bounds that exclude rows, saying which.

    Notes
    -----
    Pitfalls. Rules of thumb suppose one bump. Two narrow groups far apart make the standard deviation large,
    and the bandwidth with it, so that both are smeared over the gap; the default makes no such supposition::

        >>> import numpy as np, pofx
        >>> grid = np.linspace(-1, 1, 101)
        >>> x = np.r_[grid - 50, grid + 50]  # the density at 50 is 0.25
        >>> pofx.KDE("scott").fit(x).density([50.0]).round(2)
        array([0.01])
        >>> pofx.KDE().fit(x).density([50.0]).round(2)
        array([0.25])

    References
    ----------
    E. Parzen, On estimation of a probability density function and mode, *Ann. Math. Statist.* 33 (1962).
    D. W. Scott, *Multivariate Density Estimation*, Wiley 1992.
    I. S. Abramson, On bandwidth variation in kernel estimates: a square root law, *Ann. Statist.* 10 (1982).
    """

    rank: ClassVar[int] = 3

    def __init__(
        self,
        bandwidth: str | Rule | Given = "auto",
        *,
        kernel: str | Kernel = "gaussian",
        adaptive: bool | float = False,
        bounds: Bounds | None = None,
        period: Periods | None = None,
        rtol: float = 1e-6,
        engine: str = "auto",
        memory: float = MEMORY,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.bandwidth = bandwidth
        self.kernel = kernel
        self.adaptive = adaptive
        self.bounds = bounds
        self.period = period
        self.rtol = rtol
        self.engine = engine
        self.memory = memory
        self.missing = missing
        self.weight_kind = weight_kind

    @classmethod
    def from_params(
        cls,
        points: Any,
        bandwidth: Given,
        *,
        weights: Any = None,
        kernel: str | Kernel = "gaussian",
        factors: Any = None,
        bounds: Bounds | None = None,
        period: Periods | None = None,
    ) -> Self:
        """Return the estimate with these bumps.

        Parameters
        ----------
        points : rows (n, d), as for ``fit``
        bandwidth : float, sequence, mapping or matrix
            Data units, as for the constructor; no rule.
        weights : array (n,), optional
            Non-negative, any scale.
        kernel : str
        factors : array (n,), optional
            λ_i: how much wider than ``bandwidth`` the bump of each point is. Points must then be distinct.
        bounds, period
            As for the constructor.

        Raises
        ------
        ParameterError, DataError, WeightError
        """
        if isinstance(bandwidth, str | Rule):
            raise ParameterError(
                f"The bandwidth must be in numbers here; use KDE({bandwidth!r}).fit(points)."
            )
        hyper: dict[str, Any] = {
            "bandwidth": bandwidth, "kernel": kernel, "bounds": bounds, "period": period,
        }  # fmt: skip
        model = cls(**hyper)
        model._check()
        data = survey(points, weights, weight_kind="frequency")
        edges = edges_in_unit_space(bounds, period, data)
        values = model._values(data, *data.distinct(), in_unit_space(bandwidth, data), edges)
        if factors is not None:
            values["factors"] = _factors_in_order(factors, data, values["points"])
        return cls._from_values(values, data.units, data.columns, **hyper)

    def _check(self) -> None:
        kernel = kernel_named(self.kernel)
        if isinstance(self.bandwidth, str | Rule):
            rule_named(self.bandwidth)
        elif isinstance(numbers(self.bandwidth), np.ndarray):
            self._check_matrix(kernel)
        if not isinstance(self.adaptive, bool):
            real_number(self.adaptive, "adaptive", above=0.0, most=1.0)
        check_edges(self.bounds, self.period)
        real_number(self.rtol, "rtol", least=0.0, below=1.0)
        one_of(self.engine, "engine", ENGINES)
        real_number(self.memory, "memory", least=1e6)

    def _check_matrix(self, kernel: Kernel) -> None:
        if kernel.radius < math.inf:
            raise ParameterError(
                f"A bandwidth matrix needs kernel='gaussian'; a {kernel.name} bump is a product over "
                "columns. Give one bandwidth per column, or a rule that does, such as 'plug_in_diagonal'."
            )
        if self.bounds or self.period:
            raise ParameterError(
                "A bandwidth matrix cannot be combined with bounds or periods, which fold column by column. "
                "Give one bandwidth per column, or a rule that does, such as 'plug_in_diagonal'."
            )

    # ---------------------------------------------------------------- fit

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Outcome]:
        bandwidth = self.bandwidth
        if isinstance(bandwidth, str | Rule):
            require_rows(data, 2, "KDE: a data-driven scale")
            require_spread(data, "Leave it out, or give the bandwidths as numbers: KDE(bandwidth=[...]).")
        edges = edges_in_unit_space(self.bounds, self.period, data)
        x, w = data.distinct()
        if isinstance(bandwidth, str | Rule):
            choice, source = self._choose(rule_named(bandwidth), data, x, w, edges)
        else:
            choice, source = Choice(in_unit_space(bandwidth, data)), "given"
        for text in choice.warnings:
            warnings.warn(f"KDE: {text}", PofxWarning, stacklevel=4)
        values = self._values(data, x, w, choice.h, edges)
        notes = [*choice.notes, *choice.warnings]
        if self.adaptive is not False:
            values["factors"], note = self._factors(values)
            notes.append(note)
        message = self._said_of_bandwidth(choice.h, source, data, len(values["points"]))
        return values, Outcome(message=message, notes=tuple(notes))

    def _choose(
        self, rule: Rule, data: Data, x: Floats, w: Floats, edges: Edges | None
    ) -> tuple[Choice, str]:
        """Return the rule's bandwidth, and its name."""
        kernel = kernel_named(self.kernel)
        if isinstance(rule, Auto) and (kernel.radius < math.inf or self.bounds or self.period):
            rule = Auto(diagonal=True)
        if edges is not None and edges.periodic.any():
            x, w = unrolled(x, w, edges)
        choice = rule.choose(x, w, data.label, frequencies=self.weight_kind != "importance")
        if choice.h.ndim == 2:
            self._check_matrix(kernel)
        return choice, f"by {rule.name!r}" + (f" ({choice.rule})" if choice.rule else "")

    def _values(self, data: Data, x: Floats, w: Floats, h: Floats, edges: Edges | None) -> dict[str, Any]:
        """Return the parameters for distinct rows x with weights w."""
        values = {
            "points": x,
            "log_weights": _log_shares(w),
            "bandwidth": h,
            "kernel": kernel_named(self.kernel).name,
            "size": float(data.total),
        }
        return {**values, **edge_values(edges)}

    def _factors(self, values: Mapping[str, Any]) -> tuple[Floats, str]:
        """Return Abramson's factor of every row, from the estimate with fixed bandwidth."""
        power = ABRAMSON if self.adaptive is True else float(self.adaptive)
        log_weights = values["log_weights"]
        bumps = Bumps(values["points"], log_weights, kernel_named(values["kernel"]), values["bandwidth"])
        pilot = self._sums(bumps, bumps.points, edges_of(values))
        mean = float(np.exp(log_weights) @ pilot)
        log_factors = np.clip(-power * (pilot - mean), -math.log(MOST_FACTOR), math.log(MOST_FACTOR))
        factors = np.exp(log_factors)
        note = (
            f"Adaptive: bumps are {factors.min():.3g} to {factors.max():.3g} times as wide as the bandwidth "
            f"(power {power:g} of the density around each row)."
        )
        return factors, note

    def _said_of_bandwidth(self, h: Floats, source: str, data: Data, distinct: int) -> str:
        full = h.ndim == 2
        sds = np.sqrt(np.diag(h)) if full else h
        widths = in_data_units(sds, data.units)
        shown = ", ".join(f"{v:.4g} ({data.label(j)})" for j, v in enumerate(widths[:6]))
        shown += ", …" if data.d > 6 else ""
        what = "as the standard deviation of the"
        if full:
            r = h / sds / sds[:, None]
            off = r[np.tril_indices(data.d, -1)]
            what = f"a full matrix (correlation{'s' if len(off) > 1 else ''} of the bump " + (
                f"{', '.join(f'{v:.2f}' for v in off[:6])}), {what}"
            )
        kernel = kernel_named(self.kernel).name
        return f"Bandwidth {source}: {shown}, {what} {kernel} kernel on {distinct:,} distinct rows."

    def _bytes(self, n: int, d: int) -> int:
        return 6 * 8 * n * (d + 2)  # the rows, their sorted copy, and the sort's own

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        if not isinstance(values.get("kernel"), str) or values["kernel"] not in KERNELS:
            raise ParameterError(f"kernel must be one of {', '.join(KERNELS)}; got {values.get('kernel')!r}.")
        points, h = values.get("points"), values.get("bandwidth")
        n = len(points) if isinstance(points, np.ndarray) and points.ndim == 2 else 0
        matrix = isinstance(h, np.ndarray) and h.ndim == 2
        shapes = {"points": (n, d), "log_weights": (n,), "bandwidth": (d, d) if matrix else (d,)}
        if "factors" in values:
            shapes["factors"] = (n,)
        edged = [name for name in ("lower", "upper", "periodic") if name in values]
        shapes.update(dict.fromkeys(edged, (d,)))
        for name, shape in shapes.items():
            v = values.get(name)
            if not isinstance(v, np.ndarray) or v.dtype != np.float64 or v.shape != shape or not n:
                raise ParameterError(f"{name} must be float64 of shape {shape} with n >= 1.")
            if np.isnan(v).any() or (name not in ("lower", "upper") and not np.isfinite(v).all()):
                raise ParameterError(f"{name} must be finite.")
        size = values.get("size")
        if isinstance(size, bool) or not isinstance(size, int | float) or not 0.0 < size < math.inf:
            raise ParameterError(f"size must be a positive number, the sum of the weights; got {size!r:.40}.")
        if matrix:
            if values["kernel"] != "gaussian" or edged:
                raise ParameterError("A bandwidth matrix goes with the Gaussian kernel and without edges.")
            _check_definite(values["bandwidth"])
        elif not (least := float(values["bandwidth"].min())) > 0.0:
            raise ParameterError(f"bandwidth must be positive; the smallest is {least:.3g}.")
        if "factors" in values and not values["factors"].min() > 0.0:
            raise ParameterError("factors must be positive.")
        if edged and (len(edged) < 3 or not (values["lower"] < values["upper"]).all()):
            raise ParameterError("lower, upper and periodic go together, and lower lies below upper.")
        if edged and np.isinf((values["upper"] - values["lower"])[values["periodic"] > 0]).any():
            raise ParameterError("A periodic column has both ends of its period.")
        if not abs(logsumexp(values["log_weights"])) < 1e-9:
            raise ParameterError("the exponentials of log_weights must sum to 1.")

    # ---------------------------------------------------------------- the distribution

    def _sums(self, bumps: Bumps, x: Floats, edges: Edges | None) -> Floats:
        """Return the log densities of rows x, unit space."""
        edges = edges or Edges.free(bumps.d)
        out = log_sum_folded(bumps, x, edges, rtol=self.rtol, engine=self.engine, memory=self.memory)
        if bumps.gaussian and np.isneginf(out).any():
            # Beyond 1e154 bandwidths the logarithm itself leaves float64; the row is still in the support.
            out[np.isneginf(out) & np.isfinite(x).all(axis=1) & ~edges.outside(x)] = -np.finfo(np.float64).max
        return out

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._sums(bumps_of(params), x, edges_of(params))

    def _log_densities(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._log_density(params, params.units.to(x))  # the engines cut into blocks themselves

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        reached = np.cumsum(np.exp(params.log_weights))
        chosen = np.searchsorted(reached, rng.random(n) * reached[-1], side="right")
        chosen = np.minimum(chosen, len(reached) - 1)
        return self._bumped(params, params.points[chosen], chosen, rng)

    def _bumped(
        self, params: Params, centres: Floats, rows: NDArray[np.intp], rng: np.random.Generator
    ) -> Floats:
        """Return a draw from the bump at each centre, which belongs to these rows."""
        u, h = kernel_named(params.kernel).draw(centres.shape, rng), params.bandwidth
        if "factors" in params:
            u = u * params.factors[rows, None]
        step = u * h if h.ndim == 1 else u @ np.linalg.cholesky(h).T
        edges = edges_of(params)
        return centres + step if edges is None else edges.fold(centres + step)

    def _marginal(self, params: Params, keep: list[int]) -> dict[str, Any]:
        return {**marginal_values(params, keep), "__hyper__": self._hyperparameters(params, keep)}

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> dict[str, Any]:
        rest = [j for j in range(params.points.shape[1]) if j not in given]
        values = conditioned(params, given, z)
        hyper = self._hyperparameters(params, rest)
        if values["bandwidth"].ndim == 2 and not isinstance(self.bandwidth, str | Rule):
            e = params.units.exponent[rest]
            hyper["bandwidth"] = np.ldexp(values["bandwidth"], e[:, None] + e[None, :])
        return {**values, "__hyper__": hyper}

    def _hyperparameters(self, params: Params, keep: list[int]) -> dict[str, Any]:
        """What a refit of a part would use: the same rule, or the same numbers."""
        bandwidth = self.bandwidth
        if not isinstance(bandwidth, str | Rule):
            h = in_data_units(params.bandwidth, params.units)
            bandwidth = tuple(h[keep].tolist()) if h.ndim == 1 else h[np.ix_(keep, keep)]
        hyper = {
            "bandwidth": bandwidth, "kernel": params.kernel, "adaptive": self.adaptive, "rtol": self.rtol,
            "engine": self.engine, "memory": self.memory,
        }  # fmt: skip
        edges = edges_of(params)
        if edges is not None:
            hyper |= given_back(edges.select(keep), params.units.select(keep), params.columns.select(keep))
        return hyper

    def _mean(self, params: Params) -> np.ndarray:
        return mean_and_covariance(params)[0]

    def _covariance(self, params: Params) -> np.ndarray:
        return mean_and_covariance(params)[1]

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._line(params).log_cdf(self._wrapped(params, x))

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._line(params).log_sf(self._wrapped(params, x))

    def _log_box(
        self, params: Params, lower: Floats, upper: Floats, point: NDArray[np.bool_], coarse: bool = False
    ) -> Floats:
        if len(point) == 1 or point.all():
            return super()._log_box(params, lower, upper, point, coarse)
        if params.bandwidth.ndim == 1 and edges_of(params) is None:
            return log_boxes(params, lower, upper, point)
        return log_box_by_rule(lambda x: self._log_density(params, x), lower, upper, point, coarse=coarse)

    def _gaussian_parts(self, params: Params) -> tuple[Floats, Floats, Floats] | None:
        if kernel_named(params.kernel).radius < math.inf or edges_of(params) is not None:
            return None
        h = params.bandwidth
        bump = h if h.ndim == 2 else np.diag(h * h)
        widths = params.factors**2 if "factors" in params else np.ones(1)
        return np.exp(params.log_weights), params.points, widths[:, None, None] * bump

    def _wrapped(self, params: Params, x: np.ndarray) -> np.ndarray:
        edges = edges_of(params)
        return x if edges is None else edges.wrap(x[:, None])[:, 0]

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        line = self._line(params)
        if line.edges is None:
            return line.quantile(q)
        out = quantile_by_bisection(line.log_cdf, line.log_sf, q)
        return np.clip(out, line.edges.lower[0], line.edges.upper[0])

    def _line(self, params: Params) -> Line:
        def make() -> Line:
            return Line(bumps_of(params), edges_of(params), memory=self.memory)

        line: Line = params.derived("line", make)
        return line

    def _n_parameters(self, params: Params) -> int:
        d = params.points.shape[1]
        widths = d if params.bandwidth.ndim == 1 else d * (d + 1) // 2
        return int(params.points.size + widths)

    def _finest_scale(self, params: Params) -> np.ndarray:
        h = params.bandwidth
        narrow = 1.0 if "factors" not in params else float(params.factors.min())
        return np.asarray(narrow * (h if h.ndim == 1 else 1.0 / np.sqrt(np.diag(np.linalg.inv(h)))))

    def _flat(self) -> bool:
        return kernel_named(self.kernel).radius < math.inf

    # ---------------------------------------------------------------- the field's names, in data units

    @property
    def points_(self) -> Floats:
        """The distinct rows (m, d), data units."""
        return self.params_.units.back(self.params_.points)

    @property
    def weights_(self) -> Floats:
        """The probabilities of the rows, shape (m,)."""
        return np.exp(self.params_.log_weights)

    @property
    def bandwidth_(self) -> Floats:
        """The standard deviation of the bump per column (d,), or its covariance matrix (d, d), data units.

        Raises
        ------
        NumericalError
            Where a matrix leaves the range of float64 (columns of the order of 1e155 or more).
        """
        h, units = self.params_.bandwidth, self.params_.units
        return in_data_units(h, units) if h.ndim == 1 else covariance_in_data_units(h, units, "bandwidth_")

    @property
    def factors_(self) -> Floats:
        """How many times the bandwidth the bump of each row is wide, shape (m,)."""
        params = self.params_
        return np.array(params.factors) if "factors" in params else np.ones(len(params.points))


# ---------------------------------------------------------------- rows


def _check_definite(matrix: Floats) -> None:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        raise ParameterError("bandwidth must be a positive definite matrix.") from None
    if not np.array_equal(matrix, matrix.T):
        raise ParameterError("bandwidth must be a symmetric matrix.")


def _log_shares(w: Floats) -> Floats:
    return np.log(w) - math.log(float(w.sum()))


def _factors_in_order(factors: Any, data: Data, points: Floats) -> Floats:
    """Return the factors in the order of the distinct points."""
    given = np.asarray(factors, dtype=float)
    if given.shape != (data.n,) or not np.isfinite(given).all() or not (given > 0.0).all():
        raise ParameterError(
            f"factors must be {data.n} positive numbers, one per point; got {factors!r:.80}."
        )
    if len(points) != data.n:
        raise ParameterError("factors need distinct points; some are repeated. Add their weights instead.")
    rows, _ = data.all()
    return given[np.lexsort((data.units.back(rows) + 0.0).T[::-1])]
