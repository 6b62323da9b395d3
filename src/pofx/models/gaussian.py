"""One Gaussian by maximum likelihood, in closed form.

    log p(x) = −½ [ d log 2π + log|Σ| + (x − μ)ᵀ Σ⁻¹ (x − μ) ],   μ = mean of the rows,
    Σ = their covariance (divided by n), or its diagonal, or one variance for all columns,
    or that covariance shrunk towards its diagonal, or Λ Λᵀ + diag(ψ) with few factors.

Maximum likelihood is minimum Kullback–Leibler divergence from the data's distribution.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np
from scipy.special import chdtrc, log_ndtr, ndtri

from ..core.density import Density, in_data_units
from ..core.estimator import unfitted
from ..core.fitting import Fit, Outcome
from ..core.fold import Data, require_rows, require_spread
from ..core.params import Params
from ..core.units import Units
from ..errors import DegenerateError, ParameterError, PofxWarning
from ..maths.factor import fit_factors
from ..maths.gaussian import LOG_2PI, Covariance, Diagonal, Full, LowRank, gaussian_kl, slice_sd
from ..maths.moments import Moments, correlation_condition, dependent_columns
from ..maths.shrinkage import ledoit_wolf, oas
from ..validation import Columns, one_of, real_number, whole_number

__all__ = ["Gaussian"]

COLLINEAR = 1e-13  # smallest eigenvalue of the correlation matrix below which a relation is exact to rounding
NEARLY = 1e-9  # and below which digits are being lost, which is said
FAR = 1.0  # nats by which the outermost rows may lower the others' log density unremarked
STRUCTURES = ("full", "diag", "spherical", "factor")


class Gaussian(Density):
    """One Gaussian.

    Parameters
    ----------
    covariance_type : {"full", "diag", "spherical", "factor"}
        ``"spherical"``: one variance for all columns, in the data's units. ``"factor"``: factor analysis,
        for more columns than rows and for images.
    shrinkage : None, "ledoit_wolf", "oas" or float in [0, 1]
        How far a full covariance is pulled towards its diagonal, so that it exists for n ≤ d too.
    n_factors : int, optional
        Columns of Λ for ``"factor"``; by default chosen by BIC among 1..10.
    missing, weight_kind
        See :class:`pofx.core.density.Density`.

    Attributes
    ----------
    mean_ : ndarray (d,)
    covariance_ : ndarray (d, d)
    shrinkage_ : float
    loadings_, noise_variance_ : ndarray (d, q), (d,)
        For ``"factor"``.

    Notes
    -----
    Pitfalls. One Gaussian has one bump and light tails; two groups of rows put its mode where no row is::

        >>> import numpy as np, pofx
        >>> x = np.r_[np.linspace(-5, -4, 50), np.linspace(4, 5, 50)]
        >>> g = pofx.Gaussian().fit(x)
        >>> bool(g.log_density([0.0]) > g.log_density([4.5]))  # the empty middle is called likelier
        True

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, 2.3.
    """

    rank: ClassVar[int] = 1

    def __init__(
        self,
        covariance_type: str = "full",
        *,
        shrinkage: str | float | None = None,
        n_factors: int | None = None,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.shrinkage = shrinkage
        self.n_factors = n_factors
        self.missing = missing
        self.weight_kind = weight_kind

    @classmethod
    def from_params(cls, mean: Any, covariance: Any, *, names: Any = None) -> Self:
        """Return a known Gaussian.

        Parameters
        ----------
        mean : array (d,)
        covariance : float, array (d,) of variances, or array (d, d)
        names : sequence of str, optional
            Column names.

        Raises
        ------
        ParameterError
            Where the covariance is not symmetric positive definite.
        """
        mean, covariance = np.atleast_1d(_numbers(mean, "mean")), _numbers(covariance, "covariance")
        if mean.ndim != 1 or not len(mean):
            raise ParameterError(f"mean needs the shape (d,), d >= 1; got {mean.shape}.")
        d = len(mean)
        columns = Columns.plain(d, names)
        kind = "full" if covariance.ndim == 2 else "diag"
        if covariance.ndim < 2:
            if covariance.shape not in ((), (1,), (d,)):
                raise ParameterError(f"covariance needs one variance per column, {d}; got {len(covariance)}.")
            covariance = np.broadcast_to(covariance, (d,))
            values: dict[str, Any] = {"mean": np.zeros(d), "variance": np.array(covariance)}
        else:
            if covariance.shape != (d, d) or not np.allclose(covariance, covariance.T, rtol=1e-10, atol=0):
                raise ParameterError(
                    f"covariance needs shape ({d}, {d}) and symmetry; got shape {covariance.shape}."
                )
            try:
                values = {"mean": np.zeros(d), "cholesky": np.linalg.cholesky(covariance)}
            except np.linalg.LinAlgError:
                raise ParameterError(
                    "covariance must be positive definite; its smallest eigenvalue is "
                    f"{np.linalg.eigvalsh(covariance)[0]:.3g}."
                ) from None
        units = Units(mean.copy(), np.zeros(d, dtype=np.int64))
        return cls._from_values(values, units, columns, covariance_type=kind)

    def _check(self) -> None:
        one_of(self.covariance_type, "covariance_type", STRUCTURES)
        if self.shrinkage is not None:
            if self.covariance_type != "full":
                raise ParameterError(
                    f"shrinkage pulls a full covariance towards its diagonal; covariance_type is "
                    f"{self.covariance_type!r}. Leave one of them out."
                )
            if isinstance(self.shrinkage, str):
                one_of(self.shrinkage, "shrinkage", ("ledoit_wolf", "oas"))
            else:
                real_number(self.shrinkage, "shrinkage", least=0.0, most=1.0)
        if self.n_factors is not None:
            whole_number(self.n_factors, "n_factors", least=1)

    # ---------------------------------------------------------------- fit

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Outcome]:
        require_rows(data, 2, "A Gaussian")
        require_spread(data, "Leave it out (columns=, or drop it), or use from_params for a known spread.")
        full = self.covariance_type == "full"
        moments = data.fold(lambda x, w: Moments.of(x, w, full=full))
        far = _far_rows(data, moments)
        values, outcome = self._solve_structure(data, moments, far)
        return values, replace(outcome, notes=(*far, *outcome.notes))

    def _solve_structure(
        self, data: Data, moments: Moments, far: tuple[str, ...]
    ) -> tuple[dict[str, Any], Outcome]:
        if self.covariance_type == "factor":
            return self._fit_factor(data, moments)
        if self.covariance_type == "diag":
            values = {"mean": moments.mean, "variance": moments.covariance}
            return values, Outcome(message="Closed form: the mean and variance of each column.")
        if self.covariance_type == "spherical":
            variance = _spherical(moments.covariance, data.units)
            values = {"mean": moments.mean, "variance": variance}
            return values, Outcome(message="Closed form: the mean, and one variance for all columns.")
        return self._fit_full(data, moments, far)

    def _fit_full(self, data: Data, moments: Moments, far: tuple[str, ...]) -> tuple[dict[str, Any], Outcome]:
        covariance, passes, amount = moments.covariance, 1, 0.0
        if self.shrinkage is not None:
            sd = np.sqrt(np.diag(covariance))
            correlation = covariance / sd[:, None] / sd[None, :]
            if self.shrinkage == "ledoit_wolf":
                fourth = data.fold(lambda x, w: _fourth_moment((x - moments.mean) / sd, w)) / data.total
                amount, passes = ledoit_wolf(correlation, fourth, data.total), 2
            elif self.shrinkage == "oas":
                amount = oas(correlation, data.total)
            else:
                amount = float(self.shrinkage)
            off = covariance - np.diag(np.diag(covariance))
            covariance = np.diag(np.diag(covariance)) + (1.0 - amount) * off
        elif data.n <= data.d:
            raise DegenerateError(
                f"A full covariance of {data.d} columns needs more than {data.d} rows; "
                f"n_samples = {data.n}. Use shrinkage='ledoit_wolf', covariance_type='diag' or 'factor'."
            )
        notes = self._refuse_collinear(data, covariance, far)
        values = {"mean": moments.mean, "cholesky": np.linalg.cholesky(covariance), "shrinkage": amount}
        message = "Closed form: the mean and covariance of the rows."
        if self.shrinkage is not None:
            message = f"Closed form, shrunk {amount:.3g} of the way towards the diagonal."
        return values, Outcome(message=message, passes=passes, notes=notes)

    def _refuse_collinear(self, data: Data, covariance: np.ndarray, far: tuple[str, ...]) -> tuple[str, ...]:
        smallest, largest, direction = correlation_condition(covariance)
        if smallest > NEARLY:
            return ()
        names = ", ".join(repr(data.label(j)) for j in dependent_columns(direction))
        if smallest <= COLLINEAR * data.d:
            raise DegenerateError(
                f"Columns {names} are collinear: one is a linear combination of the others, so no density "
                "exists in all of them. Leave one out, or use shrinkage= or covariance_type='diag'."
                + "".join(f" {note}" for note in far)
            )
        note = (
            f"Columns {names} are nearly collinear (condition number {largest / smallest:.1e}): the density "
            "is very narrow across them, and its last digits are lost."
        )
        warnings.warn(note, PofxWarning, stacklevel=6)
        return (note,)

    def _fit_factor(self, data: Data, moments: Moments) -> tuple[dict[str, Any], Outcome]:
        if data.d < 2:
            raise ParameterError(
                f"covariance_type='factor' needs at least two columns; {data.label(0)!r} is alone."
            )
        x, w = data.all()
        sd = np.sqrt(moments.covariance)
        x -= moments.mean
        x /= sd
        most = min(data.d - 1, data.n - 1)
        if self.n_factors is not None and self.n_factors > most:
            raise ParameterError(
                f"n_factors must be at most {most} for {data.n} rows of {data.d} columns; "
                f"got {self.n_factors}."
            )
        search: list[dict[str, Any]] = []
        best: tuple[float, Any] = (np.inf, None)
        for q in range(1, min(10, most) + 1) if self.n_factors is None else (self.n_factors,):
            result = fit_factors(x, w, q, tol=1e-5, max_iter=2_000)
            bic = -2.0 * result[2][-1] + _factor_parameters(data.d, q) * np.log(data.total)
            search.append({"n_factors": q, "bic": float(bic), "converged": result[3]})
            if bic < best[0]:
                best = (float(bic), (q, *result))
        q, loadings, noise, trace, converged = best[1]
        values = {"mean": moments.mean, "loadings": loadings * sd[:, None], "noise": noise * sd * sd}
        chosen = f"{q} factor{'s' if q > 1 else ''}" + (" (by BIC)" if self.n_factors is None else "")
        message = f"Factor analysis with {chosen}" + ("." if converged else ", stopped at max_iter.")
        constant = float(np.log(sd).sum()) * data.total
        return values, Outcome(
            converged=converged,
            message=message,
            passes=1 + len(trace),
            trace=tuple(t - constant for t in trace),
            search=tuple(search) if self.n_factors is None else None,
        )

    @property
    def parametric(self) -> bool:
        """Whether the fit is plain maximum likelihood: neither shrunk nor a choice of factors."""
        return self.shrinkage is None and self.covariance_type != "factor"

    def _refitted(self, x: np.ndarray) -> Self:
        again = unfitted(self)
        units, columns = self.params_.units, self.params_.columns
        z = units.to(x)
        moments = Moments.of(z, np.ones(len(z)), full=self.covariance_type == "full")
        values: dict[str, Any] = {"mean": moments.mean}
        if self.covariance_type == "full":
            values["cholesky"] = np.linalg.cholesky(moments.covariance)
        elif self.covariance_type == "diag":
            values["variance"] = moments.covariance
        else:
            values["variance"] = _spherical(moments.covariance, units)
        again._adopt(Params(values, units, columns), Fit.given())
        return cast("Self", again)

    def _bytes(self, n: int, d: int) -> int:
        if self.covariance_type == "full":
            return 5 * 8 * d * d
        if self.covariance_type == "factor":
            return 4 * 8 * n * d
        return super()._bytes(n, d)

    # ---------------------------------------------------------------- the distribution

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        c = _covariance(params)
        with np.errstate(over="ignore"):
            out = -0.5 * (x.shape[1] * LOG_2PI + c.log_det + c.mahalanobis(x - params.mean))
        # Beyond 1e154 standard deviations the logarithm itself leaves float64; the row is in the support.
        return np.maximum(out, -np.finfo(float).max)

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        return _covariance(params).draw(n, rng) + params.mean

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        shapes: dict[str, tuple[int, ...]] = {"mean": (d,)}
        if "cholesky" in values:
            shapes["cholesky"] = (d, d)
        elif "loadings" in values:
            shapes |= {"loadings": (d, values["loadings"].shape[-1]), "noise": (d,)}
        else:
            shapes["variance"] = (d,)
        for name, shape in shapes.items():
            value = values.get(name)
            if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != np.float64:
                raise ParameterError(
                    f"{name} must be float64 of shape {shape}; got {getattr(value, 'shape', value)!r}."
                )
            if not np.isfinite(value).all():
                raise ParameterError(f"{name} must be finite.")
        for name in ("variance", "noise"):
            if name in shapes and not (values[name] > 0).all():
                raise ParameterError(f"{name} must be positive; the smallest is {values[name].min():.3g}.")
        if "cholesky" in shapes:
            factor = values["cholesky"]
            if not (np.diag(factor) > 0).all() or np.triu(factor, 1).any():
                raise ParameterError(
                    "cholesky must be lower triangular with a positive diagonal: the covariance "
                    "must be positive definite."
                )

    def _marginal(self, params: Params, keep: list[int]) -> dict[str, Any]:
        return self._values(params.mean[keep], _covariance(params).marginal(keep))

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> dict[str, Any]:
        rest = [j for j in range(len(params.mean)) if j not in given]
        shift, covariance = _covariance(params).condition(given, rest, z - params.mean[given])
        return self._values(params.mean[rest] + shift, covariance)

    def _values(self, mean: np.ndarray, covariance: Covariance) -> dict[str, Any]:
        if isinstance(covariance, Full):
            return {"mean": mean, "cholesky": covariance.cholesky, "__hyper__": {"covariance_type": "full"}}
        if isinstance(covariance, Diagonal):
            return {"mean": mean, "variance": covariance.variance, "__hyper__": {"covariance_type": "diag"}}
        values = {"mean": mean, "loadings": covariance.loadings, "noise": covariance.noise}
        return {**values, "__hyper__": {"covariance_type": "factor"}}

    def _mean(self, params: Params) -> np.ndarray:
        return np.asarray(params.mean)

    def _covariance(self, params: Params) -> np.ndarray:
        return _covariance(params).matrix()

    def _gaussian_parts(self, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.ones(1), params.mean[None, :], _covariance(params).matrix()[None, :, :]

    def _standardised(self, params: Params, x: np.ndarray) -> np.ndarray:
        return (x - params.mean[0]) / np.sqrt(_covariance(params).matrix()[0, 0])

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return np.asarray(log_ndtr(self._standardised(params, x)))

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return np.asarray(log_ndtr(-self._standardised(params, x)))

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        return params.mean[0] + np.sqrt(_covariance(params).matrix()[0, 0]) * ndtri(q)

    def _entropy(self, params: Params) -> float:
        return 0.5 * (len(params.mean) * (1.0 + LOG_2PI) + _covariance(params).log_det)

    def _rarity(self, params: Params, log_p: np.ndarray) -> np.ndarray:
        # -2 log p is the squared Mahalanobis distance, chi-square in d degrees of freedom, plus a constant.
        d = len(params.units)
        square = -2.0 * log_p - d * LOG_2PI - _covariance(params).log_det
        return np.asarray(chdtrc(d, np.maximum(square, 0.0)))

    def _kl(self, params: Params, other: Density) -> float | None:
        if not isinstance(other, Gaussian):
            return None
        theirs = other.params_
        # Bring the other one into this model's units: z = a z' + b.
        a, b = theirs.units.seen_from(params.units)
        c = _covariance(theirs)
        scaled: Covariance
        if isinstance(c, Full):
            scaled = Full(c.cholesky * a[:, None])
        elif isinstance(c, Diagonal):
            scaled = Diagonal(c.variance * a * a)
        else:
            scaled = LowRank(c.loadings * a[:, None], c.noise * a * a)
        return gaussian_kl(params.mean - (a * theirs.mean + b), _covariance(params), scaled)

    @property
    def equivariance(self) -> str:  # type: ignore[override]
        """Units that may differ per column, or only all together ("scalar")."""
        return "scalar" if self.covariance_type == "spherical" else "columns"

    def _n_parameters(self, params: Params) -> int:
        d = len(params.mean)
        if "cholesky" in params:
            return d + d * (d + 1) // 2
        if "loadings" in params:
            return _factor_parameters(d, params.loadings.shape[1])
        return d + 1 if self.covariance_type == "spherical" else 2 * d

    def _finest_scale(self, params: Params) -> np.ndarray:
        if "variance" in params:
            return np.asarray(np.sqrt(params.variance))
        factor = params.cholesky if "cholesky" in params else np.linalg.cholesky(_covariance(params).matrix())
        return slice_sd(factor)

    # ---------------------------------------------------------------- the field's names, in data units

    @property
    def mean_(self) -> np.ndarray:
        """The mean (d,), data units."""
        return self.mean()

    @property
    def covariance_(self) -> np.ndarray:
        """The covariance (d, d), data units."""
        return self.covariance()

    @property
    def shrinkage_(self) -> float:
        """How far the covariance was pulled towards its diagonal, in [0, 1]."""
        return float(self.params_.get("shrinkage", 0.0))

    @property
    def loadings_(self) -> np.ndarray:
        """The loadings Λ (d, q), data units; factor analysis only."""
        params = self.params_
        return np.ldexp(params.loadings, params.units.exponent[:, None])

    @property
    def noise_variance_(self) -> np.ndarray:
        """The noise variances ψ (d,), data units; factor analysis only."""
        params = self.params_
        return np.diag(in_data_units(np.diag(params.noise), params.units, "noise_variance_"))


def _numbers(value: Any, name: str) -> np.ndarray:
    try:
        out = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must be numbers; got {value!r:.80}.") from None
    if not np.isfinite(out).all():
        raise ParameterError(f"{name} must be finite; got {value!r:.80}.")
    return out


def _covariance(params: Params) -> Covariance:
    if "cholesky" in params:
        return Full(params.cholesky)
    if "loadings" in params:
        return LowRank(params.loadings, params.noise)
    return Diagonal(params.variance)


def _far_rows(data: Data, moments: Moments) -> tuple[str, ...]:
    """Warn of columns whose variance comes mostly from the outermost rows, and return what was said.

    One row at distance δ contributes δ² of the n σ²; without it the variance were smaller by that share, and
    the log density of all other rows higher by half its logarithm.
    """
    scatter = np.diag(moments.scatter) if moments.scatter.ndim == 2 else moments.scatter
    reach = (data.low - moments.mean) ** 2 + (data.high - moments.mean) ** 2
    share = np.minimum(reach / scatter, 1.0 - 1e-16)
    lost = -0.5 * np.log1p(-share)
    far = np.flatnonzero((lost > FAR) & (data.total >= 10))
    if not len(far):
        return ()
    names = ", ".join(repr(data.label(int(j))) for j in far[:5]) + (" …" if len(far) > 5 else "")
    note = (
        f"Outliers: the outermost rows make up {share[far].max():.4g} of the variance of {names}, which "
        f"lowers the log density of all other rows by about {lost[far].max():.1f} nats. Look at those rows, "
        "or use a mixture or a KDE."
    )
    warnings.warn(note, PofxWarning, stacklevel=5)
    return (note,)


def _spherical(variance: np.ndarray, units: Units) -> np.ndarray:
    """Return the variances in unit space that are one variance in data units."""
    e = units.exponent - units.exponent.max()
    common = np.ldexp(variance, 2 * e).mean()
    with np.errstate(over="ignore"):
        out = np.ldexp(common, -2 * e)
    if not np.isfinite(out).all():
        raise DegenerateError(
            "One variance for all columns cannot be represented: their scales differ by more than 1e150. "
            "Use covariance_type='diag'."
        )
    return out


def _fourth_moment(z: np.ndarray, w: np.ndarray) -> float:
    square = np.einsum("ij,ij->i", z, z)
    return float(w @ (square * square))


def _factor_parameters(d: int, q: int) -> int:
    return d + d + d * q - q * (q - 1) // 2
