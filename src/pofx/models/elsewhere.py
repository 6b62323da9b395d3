"""Fitted densities of scikit-learn and SciPy taken over, and given back.

What comes over is the same density, to rounding; what cannot be one is refused with what could be done.
A density made elsewhere needs none of this to be judged: ``check`` and ``compare`` take it as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ..core.density import Density
from ..errors import NotFittedError, ParameterError, UnsupportedError
from .gaussian import Gaussian
from .kde import KDE
from .mixture import GaussianMixture
from .mixture.structures import structure
from .parametric import Parametric

__all__ = ["KERNELS", "from_scipy", "from_sklearn", "to_sklearn"]

Floats = NDArray[np.float64]

EXACT = 1e-12  # relative error of sums of bumps taken over: scikit-learn's own are exact by default

# scikit-learn's kernel -> ours, and how many of our bandwidths (standard deviations) one of theirs is
KERNELS = {
    "gaussian": ("gaussian", 1.0),
    "epanechnikov": ("epanechnikov", 5.0**-0.5),
    "tophat": ("tophat", 3.0**-0.5),
    "linear": ("triangular", 6.0**-0.5),
    "cosine": ("cosine", (1.0 - 8.0 / np.pi**2) ** 0.5),
}


def from_sklearn(model: Any) -> Density:
    """Return a fitted scikit-learn density as one of ours: the same log densities, to 1e-10.

    Parameters
    ----------
    model : fitted GaussianMixture or KernelDensity of scikit-learn
        Mixtures of all four covariance types; kernel density estimates with the Gaussian kernel in any number
        of columns, with "epanechnikov", "tophat", "linear" and "cosine" in one column.

    Returns
    -------
    GaussianMixture or KDE
        With column names, where the rows had some. A mixture's components are in the order of their means,
        which renumbers ``predict``; a bandwidth is the kernel's standard deviation.

    Raises
    ------
    NotFittedError
        Before its fit.
    UnsupportedError
        For a density that has no equal here, saying why.
    ParameterError
        For anything else.

    Examples
    --------
    >>> import numpy as np, pofx
    >>> from sklearn.neighbors import KernelDensity
    >>> x = np.linspace(0, 1, 20)[:, None]
    >>> ours = pofx.from_sklearn(KernelDensity(bandwidth=0.2, kernel="epanechnikov").fit(x))
    >>> ours.bandwidth_.round(4)  # 0.2 / √5
    array([0.0894])
    """
    name = _sklearn_name(model)
    if name == "BayesianGaussianMixture":
        raise UnsupportedError(
            "The score_samples of a BayesianGaussianMixture is an expectation under its posterior, which is "
            "no density (it integrates to less than one). GaussianMixture.from_params(b.weights_, b.means_, "
            "b.covariances_, covariance_type=b.covariance_type) is the mixture of its mean parameters."
        )
    if name == "GaussianMixture":
        _require_fitted(model, "weights_")
        return _mixture(model)
    if name == "KernelDensity":
        _require_fitted(model, "tree_")
        return _kde(model)
    raise ParameterError(
        f"from_sklearn takes scikit-learn's GaussianMixture and KernelDensity; got {type(model).__name__}. "
        "check and compare take anything with score_samples and sample as it is."
    )


def from_scipy(density: Any) -> Density:
    """Return a density of SciPy as one of ours.

    Parameters
    ----------
    density : scipy.stats.gaussian_kde, a frozen multivariate_normal, or a frozen continuous distribution
        ``scipy.stats.gamma(2.0)``, say.

    Returns
    -------
    KDE, Gaussian or Parametric

    Raises
    ------
    ParameterError
        For anything else.
    """
    if hasattr(density, "resample") and hasattr(density, "covariance"):
        matrix = np.atleast_2d(density.covariance)
        bandwidth = matrix if density.d > 1 else float(np.sqrt(matrix[0, 0]))
        kde = KDE.from_params(density.dataset.T, bandwidth, weights=density.weights)
        return kde.set_params(rtol=EXACT)
    if (
        hasattr(density, "cov_object")
        and hasattr(density, "logpdf")
        and np.ndim(np.asarray(getattr(density, "mean", 0.0))) == 1
    ):
        return Gaussian.from_params(density.mean, np.asarray(density.cov_object.covariance))
    if hasattr(density, "dist") and hasattr(density, "args"):
        return Parametric.from_params(density)
    raise ParameterError(
        "from_scipy takes scipy.stats.gaussian_kde, a frozen multivariate_normal or a frozen continuous "
        f"distribution such as scipy.stats.gamma(2.0); got {type(density).__name__}."
    )


def to_sklearn(model: Density) -> Any:
    """Return a fitted model as scikit-learn's estimator: the same score_samples, to 1e-10.

    Parameters
    ----------
    model : fitted Gaussian, GaussianMixture or KDE

    Returns
    -------
    sklearn.mixture.GaussianMixture or sklearn.neighbors.KernelDensity
        Structures that scikit-learn does not have come as "full" or "diag".

    Raises
    ------
    UnsupportedError
        Where scikit-learn has no such density: noise, a bandwidth per column, bounds, periods, adaptive
        bumps.

    Examples
    --------
    >>> import pofx
    >>> p = pofx.GaussianMixture.from_params([0.5, 0.5], [-1.0, 1.0], [1.0, 1.0])
    >>> pofx.to_sklearn(p).predict([[-3.0], [3.0]])
    array([0, 1])
    """
    if isinstance(model, KDE):
        return _kernel_density(model)
    if isinstance(model, GaussianMixture):
        return _sklearn_mixture(model)
    if isinstance(model, Gaussian):
        d = model.n_features_in_
        names = model.params_.columns.names
        one = GaussianMixture.from_params(
            [1.0], model.mean()[None], model.covariance().reshape(1, d, d), names=names
        )
        return _sklearn_mixture(one)
    raise UnsupportedError(
        f"scikit-learn has no density like {type(model).__name__}; a Gaussian, mixture or KDE it has."
    )


# ---------------------------------------------------------------- from


def _sklearn_name(model: Any) -> str:
    """Return the name of its class in scikit-learn, or of the one that it descends from."""
    for cls in type(model).__mro__:
        if cls.__module__.partition(".")[0] == "sklearn":
            return cls.__name__
    return ""


def _require_fitted(model: Any, attribute: str) -> None:
    if isinstance(model, type) or not hasattr(model, attribute):
        raise NotFittedError(
            f"This {_sklearn_name(model) or model} of scikit-learn is not fitted; call its fit(X) first."
        )


def _names(model: Any) -> list[str] | None:
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else [str(name) for name in names]


def _mixture(model: Any) -> GaussianMixture:
    weights, kind = np.asarray(model.weights_, dtype=float), model.covariance_type
    keep = weights > 0.0  # an empty component is no part of the density
    means, covariances = (
        np.asarray(model.means_, dtype=float)[keep],
        np.asarray(model.covariances_, dtype=float),
    )
    if kind in ("full", "tied"):
        covariances = 0.5 * (covariances + np.swapaxes(covariances, -1, -2))
    covariances = covariances if kind == "tied" else covariances[keep]
    share = weights[keep] / weights[keep].sum()
    return GaussianMixture.from_params(share, means, covariances, covariance_type=kind, names=_names(model))


def _kde(model: Any) -> Density:
    points = np.asarray(model.tree_.data, dtype=float)
    _n, d = points.shape
    if model.kernel not in KERNELS:
        raise UnsupportedError(f"The {model.kernel} kernel is none of ours: {', '.join(KERNELS)} are.")
    if d > 1 and model.kernel != "gaussian":
        raise UnsupportedError(
            f"scikit-learn's {model.kernel} bump of {d} columns is round, ours is a product over columns: "
            "other densities. The Gaussian kernel is both."
        )
    if (
        d > 1
        and model.metric not in ("euclidean", "l2")
        and not (model.metric == "minkowski" and not model.metric_params)
    ):
        raise UnsupportedError(f"The metric {model.metric!r} has no equal here; scale the columns instead.")
    kernel, factor = KERNELS[model.kernel]
    weights = model.tree_.sample_weight
    weights = None if weights is None else np.asarray(weights, dtype=float)
    rows: Any = points
    if (names := _names(model)) is not None:
        rows = {name: points[:, j] for j, name in enumerate(names)}
        from ..data.table import Table
        from ..validation import Columns

        rows = Table(points, Columns.plain(d, names))
    kde = KDE.from_params(rows, float(model.bandwidth_) * factor, weights=weights, kernel=kernel)
    return kde.set_params(rtol=EXACT)


# ---------------------------------------------------------------- to


def _sklearn_mixture(model: GaussianMixture) -> Any:
    from sklearn.mixture import GaussianMixture as Theirs

    if model.noise:
        raise UnsupportedError("scikit-learn's mixtures have no noise component; fit with noise=False.")
    own, s = np.asarray(model.covariances_), structure(model.covariance_type_)
    (k, d), kind = model.means_.shape, s.name
    if kind not in ("full", "tied", "diag", "spherical"):
        kind = "diag" if s.diagonal else "full"
        shape = (k, d) if s.diagonal else (k, d, d)
        own = np.broadcast_to(own[:, None] if own.ndim == 1 else own, shape).copy()
    theirs = Theirs(k, covariance_type=kind)
    theirs.weights_, theirs.means_, theirs.covariances_ = model.weights_, model.means_, own
    if kind in ("diag", "spherical"):
        theirs.precisions_cholesky_ = 1.0 / np.sqrt(own)
        theirs.precisions_ = 1.0 / own
    else:
        roots = [_inverse_root(c) for c in own.reshape(-1, d, d)]
        theirs.precisions_cholesky_ = np.array(roots).reshape(own.shape)
        theirs.precisions_ = theirs.precisions_cholesky_ @ np.swapaxes(theirs.precisions_cholesky_, -1, -2)
    theirs.converged_, theirs.n_iter_ = bool(model.fit_.converged), int(model.fit_.passes)
    theirs.lower_bound_ = float("nan")  # the rows are not here
    _named(theirs, model)
    return theirs


def _inverse_root(covariance: Floats) -> Floats:
    """Return the upper triangular U with U Uᵀ the inverse, as scikit-learn keeps it."""
    factor = np.linalg.cholesky(covariance)
    return np.asarray(solve_triangular(factor, np.eye(len(factor)), lower=True).T)


def _kernel_density(model: KDE) -> Any:
    from sklearn.neighbors import KernelDensity

    params, h = model.params_, model.bandwidth_
    back = {ours: (theirs, factor) for theirs, (ours, factor) in KERNELS.items()}
    if params.kernel not in back:
        raise UnsupportedError(f"scikit-learn has no {params.kernel} kernel; it has {', '.join(KERNELS)}.")
    special = [name for name in ("factors", "lower", "periodic") if name in params]
    if special:
        what = {"factors": "adaptive bumps", "lower": "bounds or periods", "periodic": "periods"}[special[0]]
        raise UnsupportedError(f"scikit-learn's KernelDensity has no {what}.")
    widths = np.sqrt(np.diag(h)) if h.ndim == 2 else h
    if np.ptp(widths) > 1e-12 * widths.max() or (h.ndim == 2 and np.abs(h - np.diag(np.diag(h))).max() > 0.0):
        raise UnsupportedError(
            "scikit-learn's KernelDensity has one bandwidth for all columns; here they differ: "
            f"{np.array2string(widths, precision=4)}. Give one: KDE(bandwidth=0.3)."
        )
    if len(widths) > 1 and params.kernel != "gaussian":
        raise UnsupportedError(
            f"scikit-learn's {params.kernel} bump of several columns is round, ours is a product over "
            "columns. The Gaussian kernel is both."
        )
    name, factor = back[params.kernel]
    theirs = KernelDensity(bandwidth=float(widths[0] / factor), kernel=name)
    theirs.fit(model.points_, sample_weight=model.weights_)
    _named(theirs, model)
    return theirs


def _named(theirs: Any, model: Density) -> None:
    theirs.n_features_in_ = model.n_features_in_
    names = model.params_.columns.names
    if names is not None:
        theirs.feature_names_in_ = np.array(names, dtype=object)
