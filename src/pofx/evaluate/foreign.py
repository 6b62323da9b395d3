"""Densities made elsewhere, as ``check`` and ``compare`` read them: scikit-learn's, SciPy's and others.

Anything with ``score_samples(X)`` and ``sample(n)`` will do, ``scipy.stats.gaussian_kde``, and SciPy's frozen
distributions (``scipy.stats.norm(0, 1)``, ``multivariate_normal(mean, cov)``). Four things are put right:
draws are new at each call (scikit-learn's mixtures repeat theirs where their ``random_state`` is a number)
and in no order (those mixtures draw one component after another), labels beside the draws are left out, and
answers of another shape, or that are no numbers, are refused.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, NoReturn, Self

import numpy as np

from ..core.density import Density
from ..core.fitting import Fit
from ..core.params import Params
from ..core.units import Units
from ..errors import DataError, PofxError, UnsupportedError
from ..validation import Columns, rows_to_fit

__all__ = ["Foreign", "as_density", "is_foreign"]

AT_A_TIME = 20_000  # rows asked of a foreign object together: it may make an array of rows times its own size


def is_foreign(model: Any) -> bool:
    """Whether the object is no model of ours, but one that can be read as a density."""
    if isinstance(model, type | Density):
        return False
    return _is_scipy(model) or (hasattr(model, "score_samples") and hasattr(model, "sample"))


def as_density(model: Any, columns: Columns | None = None) -> Any:
    """Return a density made elsewhere as one of ours, and anything else as it is."""
    return Foreign(model, columns) if is_foreign(model) else model


def _is_scipy(model: Any) -> bool:
    return hasattr(model, "logpdf") and (hasattr(model, "rvs") or hasattr(model, "resample"))


class Foreign(Density):
    """A density made elsewhere.

    Parameters
    ----------
    model : object
        See the module. It is left as it is: refits are made of copies.
    columns : Columns, optional
        What the rows look like that it is asked about; it has as many columns. Without them it is not fitted
        yet, whatever the object is.

    Raises
    ------
    DataError
        Where it is not fitted, or has another number of columns.
    """

    missing = "error"
    weight_kind = None

    def __init__(self, model: Any = None, columns: Columns | None = None) -> None:
        self.model = model
        self.columns = columns
        if columns is not None:
            self._given(model, columns, 0)

    def _given(self, model: Any, columns: Columns, rows: int) -> None:
        has, d = _width(model), len(columns)
        if has is not None and has != d:
            raise DataError(f"{_name(model)} is a density of {has} columns; the rows have {d}.")
        fit = replace(Fit.given(), n_rows=rows, effective_n=float(rows), message=f"Made by {_name(model)}.")
        self._adopt(Params({"made_by": _name(model)}, Units.identity(d), columns), fit)

    def __repr__(self) -> str:
        inside, name = " ".join(repr(self.model).split()), _name(self.model)
        return name if "object at 0x" in inside else f"{name.partition('.')[0]}.{inside}"

    @property
    def fixed(self) -> bool:
        """Whether it cannot have been fitted to rows by us: a distribution with given parameters."""
        return not (hasattr(self.model, "fit") or hasattr(self.model, "resample"))

    def fit(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Fit a copy of the object to rows, as its own ``fit`` does, and take its place.

        Raises
        ------
        UnsupportedError
            For a distribution with given parameters, and with weights.
        """
        if self.fixed:
            raise UnsupportedError(
                f"{self!r} is a distribution with given parameters; it has nothing to fit. Say new=True."
            )
        if sample_weight is not None:
            raise UnsupportedError(f"{self!r} is refitted without weights only.")
        rows = rows_to_fit(X)
        again = _refitted(self.model, np.array(rows.values))
        self._given(again, rows.columns, len(rows.values))
        self.model = again
        return self

    def save(self, path: Any, **options: Any) -> NoReturn:
        """Raise UnsupportedError: a saved model holds numbers, not somebody else's object."""
        raise UnsupportedError(f"{self!r} was made elsewhere and is saved by the library that made it.")

    # ---------------------------------------------------------------- hooks

    def _n_parameters(self, params: Params) -> int:
        count = getattr(self.model, "_n_parameters", None)  # as scikit-learn's mixtures count for their BIC
        return int(count()) if callable(count) else super()._n_parameters(params)

    def _log_densities(self, params: Params, x: np.ndarray) -> np.ndarray:
        parts = [self._log_density(params, x[at : at + AT_A_TIME]) for at in range(0, len(x), AT_A_TIME)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        if not _is_scipy(self.model):
            found = self.model.score_samples(np.array(x))
        elif hasattr(self.model, "resample"):
            found = self.model.logpdf(x.T)
        else:
            found = self.model.logpdf(x[:, 0] if x.shape[1] == 1 else x)
        found = np.asarray(found, dtype=float)
        if found.shape != (len(x),):
            if found.size != len(x):
                raise DataError(
                    f"{self!r} gave log densities of shape {found.shape} for {len(x):,} rows; one number for "
                    "each row was expected."
                )
            found = found.reshape(len(x))
        if np.isnan(found).any():
            row = x[int(np.flatnonzero(np.isnan(found))[0])]
            raise DataError(f"{self!r} calls the log density of the row {row} NaN; it must be a number.")
        return found

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        seed, d = int(rng.integers(2**31)), len(params.units)
        if hasattr(self.model, "resample"):
            drawn = np.asarray(self.model.resample(n, seed=seed), dtype=float).T
        elif _is_scipy(self.model):
            drawn = np.asarray(self.model.rvs(size=n, random_state=seed), dtype=float)
        else:
            drawn = _drawn(self.model, n, seed)
        if (drawn.shape == (n,) and d == 1) or (drawn.shape == (d,) and n == 1):
            drawn = drawn.reshape(n, d)
        if drawn.shape != (n, d) or not np.isfinite(drawn).all():
            what = f"shape {drawn.shape}" if drawn.shape != (n, d) else "values that are not finite"
            raise DataError(
                f"{self!r}: {n:,} draws have {what}; expected are finite rows of shape ({n}, {d})."
            )
        return drawn[rng.permutation(n)]

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._in_one_column("logcdf", x)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._in_one_column("logsf", x)

    def _in_one_column(self, verb: str, x: np.ndarray) -> np.ndarray:
        if (x.ndim != 1 and x.shape[1] != 1) or not hasattr(self.model, verb):
            raise self._has_no("distribution function")
        return np.asarray(getattr(self.model, verb)(x.reshape(-1)), dtype=float)


def _name(model: Any) -> str:
    """Return what to call it: "sklearn.mixture.GaussianMixture", "scipy.stats.norm"."""
    inner = getattr(model, "dist", None)
    if inner is not None and hasattr(inner, "name"):
        return f"scipy.stats.{inner.name}"
    kind = type(model)
    return f"{kind.__module__.split('._')[0]}.{kind.__qualname__}"


def _width(model: Any) -> int | None:
    """Return its number of columns; None where it does not say."""
    for name in ("n_features_in_", "d", "dim"):
        value = getattr(model, name, None)
        if isinstance(value, int | np.integer):
            return int(value)
    if _is_scipy(model):
        return 1 if hasattr(model, "ppf") else None
    if hasattr(model, "fit"):
        raise DataError(f"{_name(model)} is not fitted; call its fit first.")
    return None


def _drawn(model: Any, n: int, seed: int) -> np.ndarray:
    try:
        found = model.sample(n, random_state=seed)
    except TypeError:  # scikit-learn's mixtures take their own random_state, the same draws each time
        copied = copy.copy(model)
        if hasattr(copied, "random_state"):
            copied.random_state = seed
        found = copied.sample(n)
    return np.asarray(found[0] if isinstance(found, tuple) else found, dtype=float)


def _refitted(model: Any, x: np.ndarray) -> Any:
    if hasattr(model, "resample"):  # SciPy's kernel density estimate: its rule, or the factor that it has
        return type(model)(x.T, bw_method=model.factor)
    try:
        again = type(model)(**model.get_params(deep=False)) if hasattr(model, "get_params") else None
        again = copy.deepcopy(model) if again is None else again
        again.fit(x)
    except PofxError:
        raise
    except Exception as error:
        raise DataError(f"{_name(model)} could not be fitted to {len(x):,} rows: {error}") from error
    return again
