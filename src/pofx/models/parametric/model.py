"""A family with a formula, its parameters by maximum likelihood.

    log p(x) = Σ_j [ log f((x_j − loc_j) / scale_j; shapes_j) − log scale_j ],
    (shapes, loc, scale)_j = argmax Σ_i w_i log p(x_ij)

for any continuous family f of scipy.stats, column by column: several columns are independent, each with its
own parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from ...core.density import Density
from ...core.estimator import unfitted
from ...core.fitting import Certificate, Fit, Outcome
from ...core.fold import Data, require_rows, require_spread
from ...core.params import Params
from ...core.units import Units
from ...errors import DataError, DegenerateError, ParameterError, UnsupportedError
from ...validation import Columns, real_number
from .families import Family, family_named, name_of
from .search import Found, maximise

__all__ = ["Parametric"]

Floats = NDArray[np.float64]

MOST_OUTSIDE = 1e-12  # relative distance from the support's end that rounding may put a row


class _FamilyName:
    """The family as its name, whatever form of it is set: what a file can hold."""

    def __get__(self, model: Any, owner: type | None = None) -> Any:
        return self if model is None else model.__dict__["family"]

    def __set__(self, model: Any, value: Any) -> None:
        model.__dict__["family"] = name_of(value)


class Parametric(Density):
    """A family of scipy.stats by maximum likelihood.

    Parameters
    ----------
    family : str or distribution of scipy.stats
        "gamma" or ``scipy.stats.gamma``: a name of :data:`pofx.models.parametric.families.FAMILIES`. With
        several columns each has the family, with its own parameters, and they are independent.
    floc, fscale : float, optional
        Location and scale where they are known and not estimated, in the columns' units, for every column.
        Many families of positive rows mean ``floc=0``: with the location free they have one parameter more,
        and often an unbounded likelihood.
    fshapes : mapping of name to float, optional
        Shapes that are known: ``{"a": 2.0}``.
    missing, weight_kind
        See :class:`pofx.core.density.Density`.

    Attributes
    ----------
    parameters_ : dict of str to ndarray (d,)
        Shapes, "loc" and "scale" under SciPy's names, in the columns' units.
    n_parameters_ : int
        What was not fixed.

    Raises
    ------
    DegenerateError
        From ``fit``: a constant column; rows outside the support as it was fixed; a likelihood without a
        regular maximum, as that of a gamma of shape below 1 with its location free.
    ParameterError
        For a name that is no family's or no shape's.

    Notes
    -----
    Starts on a grid of shapes matched to the quartiles, Nelder and Mead's simplex from the best of them, then
    Newton's method to the last digits; closed forms where there are some. Only regular maxima are taken
    (:mod:`pofx.models.parametric.search`). ``fit_.certificate`` is the gradient that is left.

    Pitfalls. A family is a claim. Log-normal rows look exponential enough to a fit, and the tail is wrong by
    a factor::

        >>> import numpy as np, pofx
        >>> x = np.exp(1.5 * pofx.Gaussian.from_params(0.0, 1.0).quantile((np.arange(500) + 0.5) / 500))
        >>> p, q = (pofx.Parametric(name, floc=0).fit(x) for name in ("expon", "lognorm"))
        >>> bool(q.sf([30.0])[0] > 10 * p.sf([30.0])[0])
        True

    References
    ----------
    Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions.
    """

    rank: ClassVar[float] = 1.5  # between one Gaussian and mixtures
    family = _FamilyName()

    def __init__(
        self,
        family: Any = "norm",
        *,
        floc: float | None = None,
        fscale: float | None = None,
        fshapes: Mapping[str, float] | None = None,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.family = family
        self.floc = floc
        self.fscale = fscale
        self.fshapes = fshapes
        self.missing = missing
        self.weight_kind = weight_kind

    @classmethod
    def from_params(
        cls, family: Any, *, loc: Any = 0.0, scale: Any = 1.0, names: Any = None, **shapes: Any
    ) -> Self:
        """Return a known distribution.

        Parameters
        ----------
        family : str, distribution of scipy.stats, or a frozen one, which says all the rest
        loc, scale, **shapes : float or array (d,)
            SciPy's names. Several numbers are several columns.
        names : sequence of str, optional
            Column names.

        Raises
        ------
        ParameterError
            For shapes that are missing, unknown or impossible.
        """
        if hasattr(family, "dist") and hasattr(family, "args"):
            found, loc, scale = family.dist._parse_args(*family.args, **family.kwds)
            family = name_of(family.dist)
            shapes = dict(zip(family_named(family).shapes, found, strict=True))
        model = cls(family)
        known = model._family()
        if set(shapes) != set(known.shapes):
            asked = ", ".join(known.shapes) or "no shapes"
            raise ParameterError(f"{known.name} has {asked}; got {', '.join(shapes) or 'none'}.")
        try:
            given = [
                np.asarray(shapes.get(n, loc if n == "loc" else scale), dtype=float) for n in known.names
            ]
            theta = np.stack([np.atleast_1d(v) for v in np.broadcast_arrays(*given)], axis=-1)
        except (TypeError, ValueError):
            raise ParameterError(f"{known.name} needs numbers, one for each column or for all.") from None
        d = len(theta)
        return cls._from_values(
            {"theta": theta, "__hyper__": {"family": family}}, Units.identity(d), Columns.plain(d, names)
        )

    def _family(self) -> Family:
        return family_named(self.family)

    def _check(self) -> None:
        family = self._family()
        if self.floc is not None:
            real_number(self.floc, "floc")
        if self.fscale is not None:
            real_number(self.fscale, "fscale", above=0.0)
        if self.fshapes is None:
            return
        if not isinstance(self.fshapes, Mapping):
            raise ParameterError(f"fshapes must be a mapping such as {{'a': 2.0}}; got {self.fshapes!r:.60}.")
        for name, value in self.fshapes.items():
            if name not in family.shapes:
                has = ", ".join(family.shapes) or "none"
                raise ParameterError(f"{family.name} has no shape {name!r}; its shapes: {has}.")
            real_number(value, f"fshapes[{name!r}]")

    # ---------------------------------------------------------------- fit

    def _fixed(self, units: Units, j: int) -> dict[str, float]:
        """Return what is given for column j, in unit space."""
        fixed = {name: float(value) for name, value in (self.fshapes or {}).items()}
        if self.floc is not None:
            at = np.array(units.shift)
            at[j] = float(self.floc)
            fixed["loc"] = float(units.to(at)[j])
        if self.fscale is not None:
            fixed["scale"] = float(np.ldexp(float(self.fscale), -int(units.exponent[j])))
        return fixed

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[dict[str, Any], Outcome]:
        family = self._family()
        require_rows(data, 2, f"Maximum likelihood of {family.name}")
        require_spread(data, "Leave it out (columns=, or drop it), or use from_params for a known spread.")
        x, w = data.all()
        found = []
        for j in range(data.d):
            z, inverse = np.unique(x[:, j], return_inverse=True)
            share = np.bincount(inverse, weights=w).astype(np.float64)
            if self.weight_kind == "importance":
                share *= data.total / share.sum()
            found.append(maximise(family, z, share, self._fixed(data.units, j), data.label(j)))
        return {"theta": np.stack([f.theta for f in found])}, _outcome(found)

    @property
    def parametric(self) -> bool:
        """True: drawing from a fit and fitting again tells how the fit errs."""
        return True

    def _refitted(self, x: np.ndarray) -> Self:
        again, params = unfitted(self), self.params_
        rows, theta = params.units.to(x), []
        for j in range(rows.shape[1]):
            z, counts = np.unique(rows[:, j], return_counts=True)
            if len(z) < 2:
                raise DegenerateError(f"Column {j} holds one value only.")
            fixed = self._fixed(params.units, j)
            theta.append(
                maximise(self._family(), z, counts.astype(float), fixed, str(j), start=params.theta[j]).theta
            )
        again._adopt(Params({"theta": np.stack(theta)}, params.units, params.columns), Fit.given())
        return cast("Self", again)

    def _bytes(self, n: int, d: int) -> int:
        return 8 * n * (d + 1) + 12 * 8 * n  # the rows, and what one column's likelihood takes

    # ---------------------------------------------------------------- the distribution

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        family, out = self._family(), np.zeros(len(x))
        for j, theta in enumerate(params.theta):
            t = (x[:, j] - theta[-2]) / theta[-1]
            own = family.log_density(t, theta[:-2]) - math.log(theta[-1])
            low, high = family.support(theta[:-2])
            own[np.isneginf(own) & (t > low) & (t < high) & ~_empty(family, t)] = np.nan  # it underflowed
            out += np.where((t < low) | (t > high), -np.inf, own)
        return out

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        dist = self._family().dist
        return np.stack([dist.rvs(*theta, size=n, random_state=rng) for theta in params.theta], axis=1)

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        family, theta = self._family(), values.get("theta")
        shape = (d, len(family.names))
        if not isinstance(theta, np.ndarray) or theta.shape != shape or theta.dtype != np.float64:
            raise ParameterError(f"theta must be float64 of shape {shape}: {', '.join(family.names)}.")
        for own in theta:
            if not np.isfinite(own).all() or not own[-1] > 0.0 or np.isnan(family.support(own[:-2])).any():
                said = ", ".join(f"{n} = {v:.6g}" for n, v in zip(family.names, own, strict=True))
                raise ParameterError(f"There is no {family.name} with {said}.")

    def _part(self, params: Params, keep: list[int]) -> dict[str, Any]:
        hyper = {name: getattr(self, name) for name in ("family", "floc", "fscale", "fshapes")}
        return {"theta": params.theta[keep], "__hyper__": hyper}

    def _marginal(self, params: Params, keep: list[int]) -> dict[str, Any]:
        return self._part(params, keep)

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> dict[str, Any]:
        for j, value in zip(given, z, strict=True):
            theta = params.theta[j]
            low, high = (theta[-2] + theta[-1] * end for end in self._family().support(theta[:-2]))
            if not low <= value <= high:
                ends = params.units.select([j]).back(np.array([[low], [high]]))[:, 0]
                raise DataError(
                    f"Cannot condition on {params.columns.label(j)}: the value lies outside the support, "
                    f"{ends[0]:g} to {ends[1]:g}."
                )
        return self._part(params, [j for j in range(len(params.theta)) if j not in given])

    def _moment(self, params: Params, which: str, what: str) -> Floats:
        dist = self._family().dist
        with np.errstate(all="ignore"):
            found = np.array([float(dist.stats(*theta, moments=which)) for theta in params.theta])
        for j in np.flatnonzero(~np.isfinite(found)):
            raise UnsupportedError(
                f"The {what} of {params.columns.label(int(j))} is infinite or does not exist for this "
                f"{self.family}; quantile() has the median."
            )
        return found

    def _mean(self, params: Params) -> np.ndarray:
        return self._moment(params, "m", "mean")

    def _covariance(self, params: Params) -> np.ndarray:
        return np.diag(self._moment(params, "v", "variance"))

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self._family().dist.logcdf(x, *params.theta[0]), dtype=float)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self._family().dist.logsf(x, *params.theta[0]), dtype=float)

    def _quantile(self, params: Params, q: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self._family().dist.ppf(q, *params.theta[0]), dtype=float)

    def _entropy(self, params: Params) -> float | None:
        with np.errstate(all="ignore"):
            found = sum(float(self._family().dist.entropy(*theta)) for theta in params.theta)
        return found if math.isfinite(found) else None

    def _n_parameters(self, params: Params) -> int:
        fixed = (self.floc is not None) + (self.fscale is not None) + len(self.fshapes or {})
        return int(params.theta.size - fixed * len(params.theta))

    def _finest_scale(self, params: Params) -> np.ndarray:
        """The standard deviation of a Gaussian as high as the density is at its highest centile."""
        family, q = self._family(), np.linspace(0.005, 0.995, 100)
        with np.errstate(all="ignore"):
            tops = [
                family.log_density(family.dist.ppf(q, *theta[:-2]), theta[:-2]).max() - math.log(theta[-1])
                for theta in params.theta
            ]
            return np.exp(-np.array(tops)) / math.sqrt(2.0 * math.pi)

    # ---------------------------------------------------------------- the field's names, in data units

    @property
    def parameters_(self) -> dict[str, Floats]:
        """Shapes, "loc" and "scale" (d,) by SciPy's names, in the columns' units."""
        params, names = self.params_, self._family().names
        found = {name: np.array(params.theta[:, i]) for i, name in enumerate(names)}
        found["loc"] = params.units.back(found["loc"])
        if self.floc is not None:
            found["loc"] = np.full(len(params.theta), float(self.floc))
        found["scale"] = np.ldexp(found["scale"], params.units.exponent)
        return found

    def to_scipy(self) -> Any:
        """Return SciPy's frozen distribution of one column.

        Raises
        ------
        UnsupportedError
            For several columns: take ``marginal([j])`` first.
        """
        self._one_column("to_scipy")
        return self._family().dist(**{name: float(v[0]) for name, v in self.parameters_.items()})


def _empty(family: Family, t: Floats) -> NDArray[np.bool_]:
    """Return where the density is zero inside the support: between the halves of a family that has two."""
    return (t == 0.0) if family.name in ("dgamma", "dweibull") else np.zeros(len(t), dtype=bool)


def _outcome(found: list[Found]) -> Outcome:
    lengths = [f.gradient for f in found if f.gradient is not None]
    texts = dict.fromkeys(f.message for f in found)
    return replace(
        Outcome(message=" ".join(texts), notes=tuple(note for f in found for note in f.notes)),
        certificate=Certificate({"parameters": max(lengths)})
        if lengths and np.isfinite(lengths).all()
        else None,
    )
