"""The fixed list of candidates, and the one-line answer made of it.

The list holds classical models alone, in this order and with these settings, whatever is installed:

- ``Gaussian()``: one Gaussian by maximum likelihood;
- ``GaussianMixture()``: number of components and covariance structure by BIC;
- ``KDE()``: a kernel density estimate, its bandwidth by the rule ``"auto"``;
- ``Histogram()``: bins by rule, or of the recorded step.

A mixture of them (:class:`pofx.Stack`) joins where it beats each of them on held-out rows by more than two
standard errors. The choice is :func:`pofx.compare`'s; the seed decides which rows are held out together and
where mixtures start, and no clock is asked. Of more than :data:`MOST_ROWS` rows a random sample of so many is
fitted and held out: standard errors are then a hundredth of the scores' standard deviation or less, and it
saves minutes. The best is fitted to all rows all the same.
"""

from __future__ import annotations

from typing import Any

from .core.density import Density

__all__ = ["MOST_ROWS", "candidates", "fit"]

MOST_ROWS = 20_000


def candidates(random_state: Any = None, *, everything: bool = False) -> dict[str, Density]:
    """Return the models that are tried when none is named: unfitted, by name, simplest first.

    ``random_state`` seeds those whose fit draws random starts. ``everything`` adds the models of installed
    packages (entry point group ``pofx.models``), as they are by default.

    Raises
    ------
    FileError
        Where the model of an installed package cannot be imported.
    """
    from .models.gaussian import Gaussian
    from .models.histogram import Histogram
    from .models.kde import KDE
    from .models.mixture import GaussianMixture

    models: list[Density] = [Gaussian(), GaussianMixture(random_state=random_state), KDE(), Histogram()]
    if everything:
        from .models.registry import BUILT_IN, model_names, resolve

        models += [resolve(name)() for name in model_names() if name not in BUILT_IN]
    return {type(model).__name__: model for model in models}


def fit(
    X: Any,
    *,
    sample_weight: Any = None,
    folds: int = 5,
    cv: Any = None,
    groups: Any = None,
    time: Any = None,
    random_state: Any = 0,
    everything: bool = False,
    budget: float | None = None,
) -> Density:
    """Return the best of the candidates for these rows, fitted to all of them.

    The same as ``compare(candidates(), X, stack=True).best``; use :func:`pofx.compare` to see how it was
    chosen.

    Parameters
    ----------
    X : rows, as for ``fit`` of a model
    sample_weight, folds, cv, groups, time, random_state, budget
        As for :func:`pofx.compare`.
    everything : bool
        Try the models of installed packages too.

    Raises
    ------
    ParameterError, DataError, WeightError
        As :func:`pofx.compare` does.
    """
    from .evaluate.compare import compare

    result = compare(
        candidates(random_state, everything=everything),
        X,
        sample_weight=sample_weight,
        folds=folds,
        cv=cv,
        groups=groups,
        time=time,
        random_state=random_state,
        rivals=False,
        stack=True,
        budget=budget,
        most_rows=MOST_ROWS if cv is None else None,
    )
    return result.best
