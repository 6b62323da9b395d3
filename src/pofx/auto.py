"""The fixed list of candidates, and the one-line answer made of it."""

from __future__ import annotations

from typing import Any

from .core.density import Density

__all__ = ["candidates", "fit"]


def candidates(random_state: Any = None) -> dict[str, Density]:
    """Return the models that are tried when none is named: unfitted, by name, simplest first.

    ``random_state`` seeds those whose fit draws random starts.
    """
    from .models.gaussian import Gaussian
    from .models.histogram import Histogram
    from .models.kde import KDE
    from .models.mixture import GaussianMixture

    models = (Gaussian(), GaussianMixture(random_state=random_state), KDE(), Histogram())
    return {type(model).__name__: model for model in models}


def fit(X: Any, *, sample_weight: Any = None, folds: int = 5, random_state: Any = 0) -> Density:
    """Return the best of the candidates for these rows, fitted to all of them.

    The same as ``compare(candidates(), X).best``; use :func:`pofx.compare` to see how it was chosen.

    Parameters
    ----------
    X : rows, as for ``fit`` of a model
    sample_weight, folds, random_state
        As for :func:`pofx.compare`.
    """
    from .evaluate.compare import compare

    result = compare(
        candidates(random_state),
        X,
        sample_weight=sample_weight,
        folds=folds,
        random_state=random_state,
        rivals=False,
    )
    return result.best
