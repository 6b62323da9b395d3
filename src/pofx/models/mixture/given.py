"""Initial parameters that the user gives: checked one by one, then turned into a start."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.units import Units
from ...errors import ParameterError
from .batch import Segments, lower_triangle
from .frame import Frame
from .rows import CachedRows
from .starts import hierarchical, state_from_labels, ward
from .structures import Structure

__all__ = [
    "check_covariances",
    "check_means",
    "check_membership",
    "check_weights",
    "given_start",
    "state_from_given",
    "unit_covariances",
]

MEMBER = 1e-6  # relative departure from a structure at which given covariances are refused


def check_weights(weights: Any, name: str, k: int | None = None, *, noise: bool = False) -> np.ndarray:
    """Return mixture weights (K,), positive and summing to one, or to less where the rest is the noise's.

    Raises
    ------
    ParameterError
        Naming the first weight that is wrong, or by how much the sum is.
    """
    w = _array(weights, name, 1)
    if k is not None and len(w) != k:
        raise ParameterError(f"{name} needs {k} weights, one per component; {len(w)} came.")
    if not (w > 0).all():
        i = int(np.flatnonzero(~(w > 0))[0])
        raise ParameterError(f"{name} must be positive; {name}[{i}] is {w[i]:g}.")
    if noise and w.sum() < 1.0:
        return w
    if abs(w.sum() - 1.0) > 1e-6:
        raise ParameterError(f"{name} must sum to 1; the sum is {w.sum():.9g}, off by {w.sum() - 1.0:.3g}.")
    return w / w.sum()


def check_means(means: Any, name: str, d: int | None = None) -> np.ndarray:
    """Return means (K, d), finite."""
    m = _array(means, name, 2)
    if d is not None and m.shape[1] != d:
        raise ParameterError(f"{name} needs shape (n_components, {d}); got {m.shape}.")
    return m


def check_covariances(covariances: Any, name: str, structure: Structure, k: int, d: int) -> np.ndarray:
    """Return covariances in scikit-learn's shape for the structure, symmetric positive definite.

    Raises
    ------
    ParameterError
        Naming the component that is wrong, and its smallest eigenvalue.
    """
    kind, shape = structure.name, structure.covariances_shape(k, d)
    c = _array(covariances, name, None)
    if c.shape != shape:
        raise ParameterError(f"{name} needs shape {shape} for covariance_type={kind!r}; got {c.shape}.")
    if structure.diagonal:
        if not (c > 0).all():
            at = tuple(int(i) for i in np.argwhere(~(c > 0))[0])
            raise ParameterError(f"{name} must be positive; {name}{list(at)} is {c[at]:g}.")
        return c
    for i, matrix in enumerate(c.reshape(-1, d, d)):
        which = f"{name}[{i}]" if c.ndim == 3 else name
        variance = np.diag(matrix)
        if not (variance > 0).all():
            raise ParameterError(f"{which} must have positive variances on its diagonal; got {variance}.")
        scale = np.sqrt(variance)
        unit = matrix / scale[:, None] / scale
        off = float(np.abs(unit - unit.T).max())
        if off > 1e-8:
            raise ParameterError(
                f"{which} must be symmetric; opposite entries differ by {off:.3g}, relatively."
            )
        smallest = float(np.linalg.eigvalsh(unit)[0])
        if not smallest > 0:
            raise ParameterError(
                f"{which} must be positive definite; its correlations' smallest eigenvalue is {smallest:.3g}."
            )
    return c


def check_membership(covariances: np.ndarray, name: str, structure: Structure, k: int, d: int) -> None:
    """Raise ParameterError where covariances do not share what the structure says that they share.

    The likeliest covariances of a structure, given those of one of its members, are that member's.
    """
    if reason := structure.refusal(d):
        raise ParameterError(reason)
    shape = (k, d) if structure.diagonal else (k, d, d)
    v = np.moveaxis(
        np.broadcast_to(covariances.reshape(k, -1) if covariances.ndim == 1 else covariances, shape), 0, -1
    )
    i = np.arange(d)
    variance = v if structure.diagonal else v[i, i]
    unit = np.sqrt(variance.max(axis=1))
    if structure.in_data_units:
        unit = np.full(d, unit.max())
    v = v / unit[:, None] / unit[:, None] if structure.diagonal else v / unit[:, None, None] / unit[:, None]
    one = np.ones(d)
    same = Frame(np.zeros(d), one, one, one, 0.0, floor=0.0)
    nearest = structure.solve(np.ones(k), v, Segments([k]), same)[0]
    sd = np.sqrt(v if structure.diagonal else v[i, i])
    off = float((np.abs(nearest - v) / (sd * sd if structure.diagonal else sd[:, None] * sd)).max())
    if not off <= MEMBER:
        raise ParameterError(
            f"{name} do not have what covariance_type={structure.name!r} shares among components; those that "
            f"do differ from them by {off:.3g}, relatively. Use covariance_type="
            f"{'diag' if structure.diagonal else 'full'!r}."
        )


def _array(value: Any, name: str, ndim: int | None) -> np.ndarray:
    try:
        a = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"{name} must be numbers; got {value!r:.80}.") from None
    if ndim is not None and (a.ndim != ndim or a.size == 0):
        raise ParameterError(f"{name} needs {ndim} axes and at least one entry; got shape {a.shape}.")
    if not np.isfinite(a).all():
        at = [int(i) for i in np.argwhere(~np.isfinite(a))[0]]
        raise ParameterError(f"{name} must be finite; {name}{at} is {a[tuple(at)]}.")
    return a


def given_start(
    weights: Any,
    means: Any,
    covariances: Any,
    structure: Structure | None,
    k: int,
    units: Units,
    *,
    noise: bool = False,
) -> dict[str, np.ndarray]:
    """Return the given initial parameters, checked, in unit space, covariances one per component."""
    d = len(units)
    start: dict[str, np.ndarray] = {}
    if weights is not None:
        start["weights"] = check_weights(weights, "weights_init", k, noise=noise)
        left = 1.0 - start["weights"].sum()
        if noise and left > 1e-9:
            start["noise"] = np.array([left])
    if means is not None:
        start["means"] = units.to(check_means(means, "means_init", d))
        if len(start["means"]) != k:
            raise ParameterError(f"means_init needs {k} rows, one per component; {len(start['means'])} came.")
    if covariances is not None:
        if structure is None:
            raise ParameterError(
                "covariances_init needs one covariance_type, which says its shape: covariance_type='full'."
            )
        c = check_covariances(covariances, "covariances_init", structure, k, d)
        start["covariances"] = unit_covariances(c, structure, k, units)
    return start


def unit_covariances(c: np.ndarray, structure: Structure, k: int, units: Units) -> np.ndarray:
    """Return covariances of scikit-learn's shape in unit space, one per component: (K, d, d) or (K, d)."""
    e, d = units.exponent, len(units)
    if structure.diagonal:
        return np.ldexp(np.broadcast_to(c.reshape(k, -1), (k, d)), -2 * e)
    return np.ldexp(np.broadcast_to(c, (k, d, d)), -(e[:, None] + e[None, :]))


def state_from_given(rows: CachedRows, k: int, start: dict[str, np.ndarray]) -> np.ndarray:
    """Return the state (p, K) of given parameters; what is missing comes from the rows nearest each mean."""
    d, frame = rows.d, rows.frame
    if "means" in start:
        means = frame.rows(start["means"])
        distance = ((rows.y[:, None, :] - means[None]) ** 2).sum(axis=2)
        labels = distance.argmin(axis=1)
    else:
        labels = hierarchical(ward, rows.y, rows.w, [k], np.random.default_rng(0))[k]
    state = state_from_labels(rows, labels[None], k)
    if "means" in start:
        state[1 : 1 + d] = means.T
        state[0] = np.maximum(state[0], rows.total * 1e-3 / k)
        state[0] *= rows.total / state[0].sum()
    if "weights" in start:
        state[0] = start["weights"] * rows.total
    if "covariances" in start:
        cov = frame.covariances(start["covariances"])
        state[1 + d :] = cov if rows.diagonal else cov[lower_triangle(d)]
    return state
