"""A mixture of densities of different kinds, weighted by what they say of rows that they have not seen.

    p(x) = Σ_m w_m p_m(x),   w = argmax Σ_i log Σ_m w_m p_m^(−i)(x_i)   over the simplex

with p_m^(−i) fitted without the fold of row i (Smyth and Wolpert 1999, "Linearly combining density estimators
via stacking", *Machine Learning* 36:59). The sum is concave in w; EM climbs it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..core.density import Density
from ..core.estimator import unfitted
from ..core.fitting import Outcome
from ..core.fold import Data
from ..core.params import Params
from ..errors import DataError, ParameterError, UnsupportedError
from ..validation import Columns, Rows, whole_number

__all__ = ["Stack", "stack_weights"]

Floats = NDArray[np.float64]

MOST_PASSES = 2_000
TOLERANCE = 1e-6  # nats in total that EM may still gain
LEAST = 0.01  # a part of less weight is left out


class Stack(Density):
    """A weighted mixture of fitted densities.

    Parameters
    ----------
    models : sequence of Density
        The parts, two or more of different kinds or settings; clones are fitted, these stay as they are.
    weights : array (m,), optional
        Their weights, ≥ 0 with sum 1. By default the fit finds them from held-out rows, where parts of less
        than one hundredth are set to 0.
    folds : int
        Parts of the rows that are held out in turn to find the weights. Distinct rows are dealt in their
        sorted order, so that neither the order of the rows nor repetition changes them.
    missing, weight_kind
        See :class:`pofx.core.density.Density`.

    Attributes
    ----------
    weights_ : ndarray (m,)
    models_ : tuple of Density
        The fitted parts.

    Notes
    -----
    *Pitfall.* Weights are found by held-out likelihood alone: a part that spikes on repeated values wins
    them. :func:`pofx.compare` takes off what ties can give before it weighs.

    Examples
    --------
    >>> import pofx
    >>> rows = pofx.worlds.moons().sample(200, random_state=0)
    >>> model = pofx.Stack([pofx.Gaussian(), pofx.KDE()]).fit(rows)
    >>> model.weights_.round(2)
    array([0., 1.])
    """

    rank: ClassVar[int] = 8

    def __init__(
        self,
        models: Any = (),
        weights: Any = None,
        *,
        folds: int = 5,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.models = models
        self.weights = weights
        self.folds = folds
        self.missing = missing
        self.weight_kind = weight_kind

    @classmethod
    def from_models(cls, models: Sequence[Density], weights: Any) -> Self:
        """Return the mixture of fitted densities of the same columns, with given weights.

        Its record of the fit is that of the first part.

        Raises
        ------
        ParameterError
            For no models, other columns, and weights that are not ≥ 0 with sum 1.
        """
        first = models[0] if len(models) else None
        if first is None:
            raise ParameterError("Stack needs at least one fitted density.")
        w = _checked_weights(weights, len(models))
        model = cls([unfitted(m) for m in models], w.tolist())
        model._check()
        values = {"weights": w, **{f"part{m}": part.params_ for m, part in enumerate(models)}}
        model._check_values(values, len(first.params_.units))
        fit = replace(first.fit_, calibration=None)
        model._adopt(Params(values, first.params_.units, first.params_.columns), fit)
        return model

    @property
    def kind(self) -> str:  # type: ignore[override]
        """That of the parts: "exact" where all are, else that of the first that is not."""
        return next((m.kind for m in self.models if m.kind != "exact"), "exact")

    @property
    def measure(self) -> str:  # type: ignore[override]
        """That of the parts."""
        return self.models[0].measure if len(self.models) else "density"

    @property
    def weights_(self) -> Floats:
        """The weights of the parts, shape (m,)."""
        weights: Floats = self.params_.weights
        return weights

    @property
    def models_(self) -> tuple[Density, ...]:
        """The fitted parts."""
        return tuple(self._parts(self.params_))

    # ---------------------------------------------------------------- fit

    def _group_columns(self) -> Sequence[str | int]:
        return self.models[0]._group_columns() if len(self.models) else ()

    def _counted(self, columns: Columns) -> Sequence[int]:
        return self.models[0]._counted(columns) if len(self.models) else ()

    def _check(self) -> None:
        if not isinstance(self.models, Sequence) or not len(self.models):
            raise ParameterError(
                f"Stack needs a list of models, such as [Gaussian(), KDE()]; got {self.models!r:.80}."
            )
        for model in self.models:
            if not isinstance(model, Density) or isinstance(model, type):
                raise ParameterError(f"Stack needs models such as Gaussian(); got {model!r:.80}.")
            if model.kind == "none":
                raise ParameterError(f"{model!r} has no log density, so it has no place in a Stack.")
            model._check()
        if len({model.measure for model in self.models}) > 1:
            raise ParameterError("Densities and probability masses cannot be mixed in a Stack.")
        if self.weights is not None:
            _checked_weights(self.weights, len(self.models))
        whole_number(self.folds, "folds", least=2)

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[Mapping[str, Any], Outcome]:
        seeds = rng.spawn(len(self.models))
        values: dict[str, Any] = {}
        said: list[str] = []
        passes, converged = 0, True
        for m, (model, seed) in enumerate(zip(self.models, seeds, strict=True)):
            own = np.random.default_rng(model._seed()) if isinstance(model._seed(), int) else seed
            found, outcome = unfitted(model)._fit(data, own)
            values[f"part{m}"] = Params(found, data.units, data.columns)
            passes += outcome.passes
            converged &= outcome.converged
            said += [f"{type(model).__name__}: {note}" for note in outcome.notes]
            if not outcome.converged:
                said.append(f"{type(model).__name__} did not converge: {outcome.message}")
        if self.weights is None:
            w, folds = self._learned(data)
            told = f"Weights from rows held out in {folds} folds."
        else:
            w, told = _checked_weights(self.weights, len(self.models)), "Weights as given."
        return {"weights": w, **values}, Outcome(converged, told, passes, notes=tuple(said))

    def _learned(self, data: Data) -> tuple[Floats, int]:
        """Return the weights by held-out likelihood, and the number of folds."""
        z, w = data.all()
        x = data.units.back(z)
        distinct, number = np.unique(x, axis=0, return_inverse=True)
        folds = min(self.folds, len(distinct))
        if folds < 2:
            raise DataError(
                "Stack finds its weights from held-out rows, so 2 different rows are needed, or weights=."
            )
        part = number.reshape(-1) % folds
        weigh = None if (w == 1.0).all() else w
        logs = np.empty((len(x), len(self.models)))
        for k in range(folds):
            seen, asked = (Rows(x[at], data.columns) for at in (part != k, part == k))
            for m, model in enumerate(self.models):
                clone = unfitted(model)
                clone.set_params(weight_kind="frequency")
                clone.fit(seen, sample_weight=None if weigh is None else weigh[part != k])
                logs[part == k, m] = clone.log_density(asked)
        return stack_weights(logs, weigh), folds

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        parts = [values.get(f"part{m}") for m in range(len(self.models))]
        if not all(isinstance(part, Params) and len(part.units) == d for part in parts):
            raise ParameterError(
                f"Stack needs the parameters of {len(self.models)} parts of {d} columns each."
            )
        _checked_weights(values.get("weights"), len(parts))
        for model, part in zip(self.models, parts, strict=True):
            model._check_values(part, d)

    # ---------------------------------------------------------------- what it says of rows

    def _parts(self, params: Params) -> list[Density]:
        """Return the fitted parts."""

        def made() -> list[Density]:
            out = []
            for m, model in enumerate(self.models):
                part: Density = unfitted(model)
                part._adopt(params[f"part{m}"], replace(self.fit_, calibration=None))
                out.append(part)
            return out

        found: list[Density] = params.derived("parts", made)
        return found

    # The row level is overridden, not the unit-space hooks: every part has units of its own.

    def _log_density_rows(self, params: Params, x: np.ndarray) -> np.ndarray:
        used = [(w, part) for w, part in zip(params.weights, self._parts(params), strict=True) if w > 0]
        logs = [math.log(w) + part._log_density_rows(part.params_, x) for w, part in used]
        return np.asarray(logsumexp(np.stack(logs), axis=0)) if len(x) else np.empty(0)

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._log_density_rows(params, params.units.back(x)) - params.units.log_jacobian

    def _sample_rows(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        counts = rng.multinomial(n, params.weights / params.weights.sum())
        drawn = [
            part._sample_rows(part.params_, int(count), rng)
            for count, part in zip(counts, self._parts(params), strict=True)
        ]
        return np.concatenate(drawn)[rng.permutation(n)]

    def _made_of(self, parts: Sequence[Density], weights: Floats) -> dict[str, Any]:
        hyper = {"models": [unfitted(part) for part in parts], "weights": weights.tolist()}
        return {
            "weights": weights,
            **{f"part{m}": part.params_ for m, part in enumerate(parts)},
            "__hyper__": hyper,
        }

    def _marginal(self, params: Params, keep: list[int]) -> Mapping[str, Any]:
        return self._made_of([part.marginal(keep) for part in self._parts(params)], np.array(params.weights))

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> Mapping[str, Any]:
        x = params.units.select(given).back(z)
        parts, logs = [], []
        for w, part in zip(params.weights, self._parts(params), strict=True):
            about = part.marginal(given)
            at = float(about._log_density_rows(about.params_, x[None])[0])
            if w > 0 and at > -math.inf:
                parts.append(part.condition(dict(zip(given, x.tolist(), strict=True))))
                logs.append(math.log(w) + at)
        if not parts:
            raise DataError("Every part of the Stack calls the given values impossible (density zero).")
        return self._made_of(parts, np.exp(np.array(logs) - logsumexp(logs)))

    def _mean(self, params: Params) -> np.ndarray:
        means = np.stack([part.mean() for part in self._parts(params)])
        return params.units.to(params.weights @ means)

    def _covariance(self, params: Params) -> np.ndarray:
        w, parts = params.weights, self._parts(params)
        means = np.stack([part.mean() for part in parts])
        apart = means - w @ means
        within = np.tensordot(w, np.stack([part.covariance() for part in parts]), 1)
        e = params.units.exponent
        return np.ldexp(within + (w[:, None] * apart).T @ apart, -(e[:, None] + e[None, :]))

    def _tail_of(self, params: Params, x: np.ndarray, tail: str) -> np.ndarray:
        data = params.units.back(x[:, None])
        logs = []
        for w, part in zip(params.weights, self._parts(params), strict=True):
            if w > 0:
                own = part.params_
                logs.append(math.log(w) + getattr(part, tail)(own, own.units.to(data)[:, 0]))
        return np.asarray(logsumexp(np.stack(logs), axis=0)) if len(x) else np.empty(0)

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_of(params, x, "_log_cdf")

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._tail_of(params, x, "_log_sf")

    def _log_box_rows(
        self, params: Params, lower: np.ndarray, upper: np.ndarray, point: np.ndarray, coarse: bool = False
    ) -> np.ndarray:
        used = [(w, part) for w, part in zip(params.weights, self._parts(params), strict=True) if w > 0]
        logs = [
            math.log(w) + part._log_box_rows(part.params_, lower, upper, point, coarse) for w, part in used
        ]
        return np.asarray(logsumexp(np.stack(logs), axis=0))

    def _gaussian_parts(self, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        weights, means, covariances = [], [], []
        for w, part in zip(params.weights, self._parts(params), strict=True):
            if w > 0:
                own = part._gaussian_parts(part.params_)
                if own is None:
                    return None
                a, b = part.params_.units.seen_from(params.units)
                weights.append(w * own[0])
                means.append(own[1] * a + b)
                covariances.append(np.broadcast_to(own[2] * a[:, None] * a, (len(own[0]), len(a), len(a))))
        return np.concatenate(weights), np.concatenate(means), np.concatenate(covariances)

    def _n_parameters(self, params: Params) -> int:
        return sum(part.n_parameters_ for part in self._parts(params)) + len(self.models) - 1

    def _finest_scale(self, params: Params) -> np.ndarray | None:
        scales = []
        for w, part in zip(params.weights, self._parts(params), strict=True):
            own = part._finest_scale(part.params_)
            if w > 0 and own is not None:
                scales.append(
                    np.ldexp(np.asarray(own, float), part.params_.units.exponent - params.units.exponent)
                )
        return np.min(scales, axis=0) if scales else None

    def _bytes(self, n: int, d: int) -> int:
        return sum(model._bytes(n, d) for model in self.models)


def stack_weights(logs: Floats, weights: Floats | None = None) -> Floats:
    """Return the weights (m,) that make Σ_i log Σ_m w_m exp(logs[i, m]) largest.

    Parameters
    ----------
    logs : ndarray (n, m)
        Held-out log densities. Rows that every part calls impossible do not count.
    weights : ndarray (n,), optional
        How often each row counts.

    Raises
    ------
    UnsupportedError
        Where no row is possible under any part.
    """
    highest = logs.max(axis=1)
    used = highest > -math.inf
    if not used.any():
        raise UnsupportedError("Every part of the Stack calls every held-out row impossible.")
    share = np.exp(logs[used] - highest[used, None])
    rows = np.ones(len(share)) if weights is None else weights[used]
    w = _climbed(share, rows, np.full(logs.shape[1], 1.0 / logs.shape[1]))
    small = w < LEAST
    if small.any():  # what helps so little is left out, and the rest climbs again
        w = _climbed(share, rows, np.where(small, 0.0, w) / w[~small].sum())
    return w


def _climbed(share: Floats, rows: Floats, w: Floats) -> Floats:
    """EM for the weights of a mixture of fixed parts. What is left to gain is at most
    Σ_i n_i (max_m g_m − 1), g_m the mean of part m's density over the mixture's, for it is concave."""
    total = rows.sum()
    used = w > 0
    for _ in range(MOST_PASSES):
        mixed = share @ w
        gain = np.where(mixed > 0, rows / np.where(mixed > 0, mixed, 1.0), 0.0) @ share / total
        if total * (gain[used].max() - 1.0) < TOLERANCE:
            break
        w = w * gain
        w /= w.sum()
    return w


def _checked_weights(weights: Any, m: int) -> Floats:
    try:
        w = np.array(weights, dtype=float)
    except (TypeError, ValueError):
        w = np.empty(0)
    if w.shape != (m,) or not np.isfinite(w).all() or (w < 0).any() or abs(w.sum() - 1.0) > 1e-9:
        raise ParameterError(
            f"weights must be {m} numbers >= 0 with sum 1, one for each model; got {weights!r:.80}."
        )
    return w
