"""The contract: one class that every model of P(x) keeps, and everything that follows from it.

The public methods are the doorman: they check, convert units, cut into blocks and give names back. The
mathematics is in the hooks (:mod:`pofx.core.hooks`). A new model is its hooks; ``docs/extending.md`` shows
one in sixteen lines.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..errors import DataError, NumericalError, ParameterError, PofxWarning, UnsupportedError, not_fitted
from ..threads import map_ordered, one_blas_thread
from ..validation import (
    Columns,
    check_memory,
    one_of,
    restore,
    restore_exact,
    rng_from,
    row_weights,
    rows_to_query,
    whole_number,
)
from .estimate import Estimate
from .fitting import Fit
from .fold import block_rows, survey
from .hooks import Hooks
from .params import Params
from .units import Units

if TYPE_CHECKING:
    from .rarity import Rarity

__all__ = ["Density"]


class Density(Hooks):
    """A probability distribution estimated from rows, or known beforehand.

    Parameters
    ----------
    missing : {"error", "drop", "marginal"}
        What ``fit`` does with rows that hold missing values: refuse them, or drop them (``fit_.n_dropped``
        counts them). ``"marginal"``, where the model allows it, uses what is observed of each row, and gives
        incomplete rows the log density of that; only rows without any entry are dropped.
    weight_kind : {None, "frequency", "importance"}
        What ``sample_weight`` means. ``None``: whole numbers, a row's repetitions. ``"frequency"``: the
        same, fractions allowed. ``"importance"``: relative weights; the sample size is Kish's
        ``(sum w)**2 / sum w**2``.

    Attributes
    ----------
    params_ : Params
        The frozen parameters, in unit space.
    fit_ : Fit
        The record of the fit: converged or not, why, passes, trace, seconds, rows.
    kind : {"exact", "bound", "estimate", "none"}
        What ``log_density`` means for this model.
    measure : {"density", "mass", "mixed"} or text
        Densities and probability masses are never ranked against each other; ``"mixed"`` is a mass in some
        columns times a density in the others, and so is "mass in 'age'", which names them.
    rank : float
        Simplicity among families, for comparisons: smaller is simpler.
    """

    kind: ClassVar[str] = "exact"
    measure: ClassVar[str] = "density"
    rank: ClassVar[float] = 9
    rtol: float = 1e-10  # how far batches of another size may move a log density
    equivariance: ClassVar[str] = (
        "columns"  # "scalar": only one factor for all columns leaves it the same model; "none": none does
    )
    takes_missing: ClassVar[bool] = False  # whether the hooks meet NaN where missing="marginal"

    params_: Params
    fit_: Fit

    def __init__(self, *, missing: str = "error", weight_kind: str | None = None) -> None:
        self.missing = missing
        self.weight_kind = weight_kind

    # ---------------------------------------------------------------- fit

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Estimate the distribution of the rows.

        Parameters
        ----------
        X : array (n, d) or (n,), DataFrame, Table or Blocks
            The rows. A 1-D array or Series is one column.
        y : ignored
            For scikit-learn's pipelines.
        sample_weight : array of shape (n,), optional
            Weights of the rows; see ``weight_kind``.

        Returns
        -------
        self
            With ``params_`` and ``fit_``. A fit that fails or is interrupted leaves the model as it was.

        Raises
        ------
        DataError, WeightError, DegenerateError, ParameterError, MemoryLimitError
        """
        return self._fit_rows(X, sample_weight)

    def _fit_rows(self, X: Any, sample_weight: Any, errors: Any = None) -> Self:
        """Fit, for a public method that knows more of the rows than the contract does; see :func:`survey`."""
        started = time.monotonic()
        self._check_missing()
        if self.weight_kind is not None:
            one_of(self.weight_kind, "weight_kind", ("frequency", "importance"))
        self._check()
        rng = rng_from(self._seed())
        self._check_memory(*_shape(X))  # before anything is read: X may be a virtual array
        with one_blas_thread():
            data = survey(
                X,
                sample_weight,
                missing=self.missing,
                weight_kind=self.weight_kind,
                errors=errors,
                groups=self._group_columns(),
            )
            self._check_levels(data.columns)
            self._check_memory(data.n, data.d)
            said = _said_of(data.columns, self._counted(data.columns))
            values, outcome = self._fit(data, rng)
        params = Params(values, data.units, data.columns)
        fit = Fit(
            converged=outcome.converged,
            message=outcome.message,
            passes=outcome.passes,
            trace=tuple(float(v) for v in outcome.trace),
            notes=(*said, *outcome.notes),
            search=outcome.search,
            n_rows=data.n,
            n_dropped=data.dropped,
            effective_n=data.total,
            seconds=time.monotonic() - started,
            certificate=outcome.certificate,
            fingerprint=data.fingerprint,
        )
        self._adopt(params, fit)
        return self

    def _check_missing(self) -> None:
        if isinstance(self.missing, str) and self.missing == "marginal" and not self.takes_missing:
            raise ParameterError(
                f'missing must be one of "error", "drop": {type(self).__name__} has no marginals to use what '
                'is known of a row (missing="marginal"). GaussianMixture(1, missing="marginal") has.'
            )
        one_of(self.missing, "missing", ("error", "drop", "marginal")[: 3 if self.takes_missing else 2])

    def _check_levels(self, columns: Columns) -> None:
        """Raise DataError where a column holds the levels of a text that this model cannot have."""
        able = self._counted(columns)
        for j in range(len(columns)) if columns.levels is not None else ():
            if columns.levels_of(j) is not None and j not in able:
                name = columns.label(j)
                raise DataError(
                    f"Column {name!r} holds text, of which {type(self).__name__} has no density. Leave it "
                    f"out, or fit one density for each of its levels: Grouped(model, by={name!r})."
                )

    def _query(self, X: Any) -> np.ndarray:
        """Return the rows asked of the fitted model; NaN only where it takes them."""
        missing = "marginal" if self._meets_gaps() else "error"
        return rows_to_query(X, self.params_.columns, who=type(self).__name__, missing=missing)

    def _meets_gaps(self) -> bool:
        return self.takes_missing and isinstance(self.missing, str) and self.missing == "marginal"

    def _check_memory(self, n: int, d: int) -> None:
        if n and d:
            check_memory(self._bytes(n, d), f"Fitting {type(self).__name__} to {n:,} rows of {d:,} columns")

    def _adopt(self, params: Params, fit: Fit) -> None:
        # One call into C: no interrupt can leave the old parameters beside the new record.
        self.__dict__.update(params_=params, fit_=fit)

    def _seed(self) -> Any:
        seed = getattr(self, "random_state", None)
        return 0 if seed is None else seed  # a fit repeats unless a seed says otherwise

    @classmethod
    def _from_values(
        cls, values: Mapping[str, Any], units: Units, columns: Columns, **hyperparameters: Any
    ) -> Self:
        """Return a model with given parameters (unit space), as ``from_params`` and ``condition`` do."""
        values = dict(values)
        model = cls(**{**hyperparameters, **values.pop("__hyper__", {})})
        model._check_values(values, len(units))
        model._adopt(Params(values, units, columns), Fit.given())
        return model

    # ---------------------------------------------------------------- fitted state

    def __getattr__(self, name: str) -> Any:
        # Also reached when a property such as means_ found no params_: say that, not that it is unknown.
        if "params_" not in self.__dict__ and (name in ("params_", "fit_") or hasattr(type(self), name)):
            raise not_fitted(type(self).__name__)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def n_features_in_(self) -> int:
        """The number of columns."""
        return len(self.params_.units)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The columns' names, where the training rows had names (AttributeError otherwise)."""
        names = self.params_.columns.names
        if names is None:
            raise AttributeError("feature_names_in_: the training rows had no column names")
        return np.array(names, dtype=object)

    @property
    def n_parameters_(self) -> int:
        """The number of free parameters, as information criteria count them."""
        return int(self._n_parameters(self.params_))

    # ---------------------------------------------------------------- density

    def log_density(self, X: Any) -> np.ndarray:
        """Return the log density of each row, in nats and in the units of the training data.

        Parameters
        ----------
        X : rows, as for ``fit``
            Columns with names are matched by name.

        Returns
        -------
        ndarray of float64, shape (n,)
            ``-inf`` only outside the support; never NaN.
        """
        return self._log_density_rows(self.params_, self._query(X))

    def _log_density_rows(self, params: Params, x: np.ndarray) -> np.ndarray:
        with one_blas_thread():
            out = self._log_densities(params, x)
        if np.isnan(out).any():
            row = int(np.flatnonzero(np.isnan(out))[0])
            raise NumericalError(
                f"{type(self).__name__}: the log density of row {row} is not a number: {x[row]}. "
                "This is a defect of the model, not of your data; please report it with the row."
            )
        if self._meets_gaps():
            return out + params.units.log_jacobians(x)
        return out + params.units.log_jacobian

    def _log_densities(self, params: Params, x: np.ndarray) -> np.ndarray:
        """Return log p in unit space of rows in data units, block by block.

        A model that sums over many rows better than over few replaces this.
        """
        size = block_rows(x.shape[1])

        def block(start: int) -> np.ndarray:
            return self._log_density(params, params.units.to(x[start : start + size]))

        if len(x) <= size:
            return np.asarray(block(0), dtype=float)
        return np.concatenate(list(map_ordered(block, range(0, len(x), size))))

    def density(self, X: Any) -> np.ndarray:
        """Return the density of each row: ``exp(log_density(X))``, shape (n,)."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_density(X))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return ``log_density(X)``, under scikit-learn's name."""
        return self.log_density(X)

    def score(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> float:
        """Return the (weighted) mean log density of the rows, in nats per row."""
        log_p = self.log_density(X)
        if len(log_p) == 0:
            raise DataError("score needs at least one row; 0 rows came.")
        w = row_weights(sample_weight, len(log_p), weight_kind=self.weight_kind or "frequency")
        if w is None:
            return float(log_p.mean())
        used = w > 0
        return float(np.average(log_p[used], weights=w[used]))

    def sample(self, n: int = 1, *, random_state: Any = None, exact: bool = False) -> Any:
        """Draw n independent rows.

        Parameters
        ----------
        n : int
            How many rows; 0 gives an empty result.
        random_state : None, int, Generator or RandomState
            ``None``: another draw at each call.
        exact : bool
            By default rows come at the recorded precision and in the dtypes of the training data;
            ``exact=True`` gives the continuous draw.

        Returns
        -------
        rows in the container of the training data
        """
        params = self.params_
        rows = self._sample_rows(params, whole_number(n, "n", least=0), rng_from(random_state))
        if exact:
            return restore_exact(rows, params.columns)
        return restore(self._recordable(params, rows), params.columns)

    def _sample_rows(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        d = len(params.units)
        check_memory(3 * 8 * n * d, f"Drawing {n:,} rows of {d:,} columns")
        if n == 0:
            return np.empty((0, d))
        with one_blas_thread():
            return params.units.back(np.asarray(self._draw(params, n, rng), dtype=float))

    def _recordable(self, params: Params, rows: np.ndarray) -> np.ndarray:
        """Return rows that rounding to the recorded precision will not take out of the support."""
        return rows

    def _log_box_rows(
        self,
        params: Params,
        lower: np.ndarray,
        upper: np.ndarray,
        point: np.ndarray,
        coarse: bool = False,
    ) -> np.ndarray:
        """Return the log mass of boxes in data units; see :meth:`pofx.core.hooks.Hooks._log_box`."""
        units = params.units
        with one_blas_thread():
            out = self._log_box(params, units.to(lower), units.to(upper), point, coarse)
        return out + units.select(np.flatnonzero(point).tolist()).log_jacobian

    # ---------------------------------------------------------------- parts and moments

    def marginal(self, columns: Sequence[int | str]) -> Self:
        """Return the distribution of some columns, the others integrated out.

        Parameters
        ----------
        columns : sequence of names or column numbers
        """
        params = self.params_
        keep = self._column_numbers([columns] if isinstance(columns, str | int) else columns)
        if len(set(keep)) != len(keep) or not keep:
            raise ParameterError(f"marginal needs one or more different columns; got {list(columns)!r}.")
        values = self._marginal(params, keep)
        return self._from_values(values, params.units.select(keep), params.columns.select(keep))

    def condition(self, given: Any) -> Any:
        """Return the distribution of the remaining columns, given values of some.

        Parameters
        ----------
        given : mapping of name or column number to value, or a DataFrame
            One value per column gives a model. Several values (arrays of equal length, or a frame of
            m rows) give a batch whose ``log_density(Y)`` pairs rows and whose ``sample(k)`` is (m, k, …).
        """
        from .conditional import given_rows

        params = self.params_
        keys, rows, single = given_rows(given)
        numbers = self._column_numbers(keys)
        rest = [j for j in range(len(params.units)) if j not in numbers]
        if not numbers or not rest or len(set(numbers)) != len(numbers):
            raise ParameterError(
                f"condition needs at least one column and must leave at least one; got {keys!r} "
                f"of {len(params.units)} columns."
            )
        units, columns = params.units.select(rest), params.columns.select(rest)
        z = params.units.select(numbers).to(rows)
        with one_blas_thread():
            if single:
                return self._from_values(self._condition(params, numbers, z[0]), units, columns)
            return self._condition_batch(params, numbers, z, units, columns)

    def _condition_batch(
        self, params: Params, numbers: list[int], z: np.ndarray, units: Units, columns: Columns
    ) -> Any:
        """Return the conditionals given each row of z (unit space). By default a model each."""
        from .conditional import ConditionalBatch

        return ConditionalBatch(
            [self._from_values(self._condition(params, numbers, row), units, columns) for row in z]
        )

    def _column_numbers(self, keys: Sequence[int | str]) -> list[int]:
        return [self.params_.columns.index(key) for key in keys]

    def mean(self) -> np.ndarray:
        """Return the mean of the distribution, shape (d,), data units."""
        params = self.params_
        return params.units.back(self._mean(params))

    def covariance(self) -> np.ndarray:
        """Return the covariance of the distribution, shape (d, d), data units."""
        params = self.params_
        return in_data_units(self._covariance(params), params.units, "covariance")

    # ---------------------------------------------------------------- one-dimensional

    def cdf(self, X: Any) -> np.ndarray:
        """Return P(column <= x) for each value, shape (n,). One-column models only."""
        return np.exp(self.logcdf(X))

    def sf(self, X: Any) -> np.ndarray:
        """Return P(column > x) for each value, shape (n,). One-column models only."""
        return np.exp(self.logsf(X))

    def logcdf(self, X: Any) -> np.ndarray:
        """Return log P(column <= x), right in the lower tail too."""
        return self._tail(self._log_cdf, X)

    def logsf(self, X: Any) -> np.ndarray:
        """Return log P(column > x), right in the upper tail too."""
        return self._tail(self._log_sf, X)

    def _tail(self, function: Any, X: Any) -> np.ndarray:
        params = self._one_column("cdf")
        x = rows_to_query(X, params.columns, who=type(self).__name__)
        with one_blas_thread():
            return np.minimum(function(params, params.units.to(x)[:, 0]), 0.0)

    def quantile(self, q: Any) -> Any:
        """Return the value below which the probability is q, for q in [0, 1]; the shape of ``q``."""
        params = self._one_column("quantile")
        levels = np.asarray(q, dtype=float)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise ParameterError(f"quantile needs probabilities in [0, 1]; got {q!r}.")
        with one_blas_thread():
            z = self._quantile(params, levels.ravel())
        out = params.units.back(z[:, None])[:, 0].reshape(levels.shape)
        return out if out.ndim else float(out)

    def _one_column(self, what: str) -> Params:
        params = self.params_
        if len(params.units) != 1:
            first = params.columns.names[0] if params.columns.names else 0
            raise UnsupportedError(
                f"{what} is defined for one column; this {type(self).__name__} has {len(params.units)}. "
                f"Take one of them: .marginal([{first!r}]).{what}(...)"
            )
        return params

    # ---------------------------------------------------------------- information

    def entropy(self, *, n: int = 10_000, random_state: Any = 0) -> Estimate:
        """Return the differential entropy in nats: exact where a closed form exists, else from n draws
        with its standard error."""
        params, n = self.params_, whole_number(n, "n", least=2)
        exact = self._entropy(params)
        if exact is not None:
            return Estimate(exact - params.units.log_jacobian)
        rows = self._sample_rows(params, n, rng_from(random_state))
        return _monte_carlo(-self._log_density_rows(params, rows))

    def kl(self, other: Density, *, n: int = 10_000, random_state: Any = 0) -> Estimate:
        """Return KL(self || other) = E_self[log p_self - log p_other], in nats.

        Closed form where there is one for the pair, else from n draws of this density with the
        standard error. Infinite where the other density vanishes on drawn rows.
        """
        params, n = self.params_, whole_number(n, "n", least=2)
        if not isinstance(other, Density):
            raise ParameterError(f"kl compares with another fitted density; got a {type(other).__name__}.")
        mine, theirs = self.n_features_in_, other.n_features_in_
        if mine != theirs:
            raise DataError(f"kl compares densities of the same columns; these have {mine} and {theirs}.")
        if self.measure != other.measure:
            raise UnsupportedError(f"kl between a {self.measure} and a {other.measure} has no meaning.")
        names = params.columns.names
        order = list(range(theirs))
        if names is not None and other.params_.columns.names is not None:
            order = [params.columns.index(name) for name in other.params_.columns.names]
        if order == sorted(order):
            exact = self._kl(params, other)
            if exact is not None:
                return Estimate(exact)
        rows = self._sample_rows(params, n, rng_from(random_state))
        log_p = self._log_density_rows(params, rows)
        log_q = other._log_density_rows(other.params_, np.ascontiguousarray(rows[:, order]))
        return _monte_carlo(log_p - log_q)

    def rarity(self, X: Any, *, own: bool = False, n: int = 10_000, random_state: Any = 0) -> Rarity:
        """Return how rare each row is: the probability mass that is less dense, with its standard error.

        A model that carries a calibration (:func:`pofx.calibrate`; ``pofx fit`` makes one) ranks the rows
        among rows held out: whatever the model, at most a share alpha of rows like those has
        ``rarity <= alpha``.
        Any other model ranks them among its own draws, and is right as far as the model is.

        Parameters
        ----------
        X : rows, as for ``fit``
        own : bool
            The model's own rarity, although it carries a calibration.
        n : int
            How many draws the model's own rarity rests on, where it has no closed form.
        random_state : int, Generator or RandomState
            Seed of these draws.

        Returns
        -------
        Rarity
            ``rarity`` in (0, 1] and ``standard_error``, arrays of shape (n,). Of m calibration rows or draws
            the rarity is at least 1 / (m + 1).

        Raises
        ------
        DataError
            For rows that are incomplete: what is known of them is a density of other columns.

        References
        ----------
        Vovk, Gammerman and Shafer 2005, *Algorithmic Learning in a Random World*.
        """
        from .rarity import own_rarity

        params, n = self.params_, whole_number(n, "n", least=1)
        x = rows_to_query(X, params.columns, who=type(self).__name__)
        if self.fit_.calibration is not None and not own:
            return self.fit_.calibration.rarity(self, x)
        return own_rarity(self, self._log_density_rows(params, x), n=n, rng=rng_from(random_state))

    def hdr(self, mass: float, *, n: int = 10_000, random_state: Any = 0) -> Any:
        """Return the highest-density region that holds ``mass``: its log-density level, and in one
        dimension its intervals. See :class:`pofx.core.regions.Region`."""
        from .regions import highest_density_region

        return highest_density_region(self, mass, n=n, random_state=random_state)

    # ---------------------------------------------------------------- files

    def save(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write the model to one safe file (see :mod:`pofx.store`); read it with ``pofx.load``."""
        from .. import store
        from .persist import encode

        manifest, arrays = encode(self)
        store.write(path, manifest, arrays, overwrite=overwrite)


def _shape(X: Any) -> tuple[int, int]:
    """Return (rows, columns) of an array or frame; (0, 0) where they are not known before it is read."""
    shape: Any = getattr(X, "shape", ())
    known = isinstance(shape, tuple) and len(shape) in (1, 2) and all(isinstance(s, int) for s in shape)
    return (shape[0], shape[1] if len(shape) == 2 else 1) if known else (0, 0)


def _said_of(columns: Columns, counted: Sequence[int]) -> tuple[str, ...]:
    """Warn of columns that hold yes or no only and are not counted, and return what was said."""
    flags = [
        repr(columns.label(j))
        for j, dtype in enumerate(columns.dtypes)
        if dtype == "bool" and j not in counted
    ]
    if not flags:
        return ()
    names = ", ".join(flags[:5]) + (" …" if len(flags) > 5 else "")
    note = (
        f"{names}: discrete, true or false only, taken as the numbers 0 and 1. A density says little of such "
        "a column: leave it out, or fit one density for each of its values: Grouped(model, by=...)."
    )
    warnings.warn(note, PofxWarning, stacklevel=4)
    return (note,)


def _monte_carlo(terms: np.ndarray) -> Estimate:
    if not np.isfinite(terms).all():
        return Estimate(math.inf, 0.0, "estimate")
    return Estimate(terms.mean(), terms.std(ddof=1) / math.sqrt(len(terms)), "estimate")


def in_data_units(covariance: np.ndarray, units: Units, what: str) -> np.ndarray:
    """Return covariances (…, d, d) of unit space in data units.

    Raises
    ------
    NumericalError
        Where they leave the range of float64 (columns of the order of 1e155 or more).
    """
    e = units.exponent
    with np.errstate(over="ignore", under="ignore"):
        out = np.ldexp(covariance, e[:, None] + e[None, :])
    if not np.isfinite(out).all():
        raise NumericalError(
            f"{what} is beyond float64 in the data's units (columns of the order of 2**{int(e.max())}); "
            "rescale the columns. log_density and sample are not affected."
        )
    return out
