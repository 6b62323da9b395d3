"""A family, judged by samples drawn from its fit and fitted again: from their curves to a check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..errors import UnsupportedError
from ..maths.energy import MOST_PAIRED, energy_test
from ..validation import Columns, Rows
from .bootstrap import Replicates, again, p_value, recorded, replicates
from .checked import Check
from .classifier import classifier_test
from .curves import curve_of, log_density
from .extras import extras_of
from .judgement import LEAST_TOLD, LEVEL, names_of
from .verdict import Rule, overlap_of

__all__ = ["LEAST", "bootstrap_of", "check_of_family", "too_long"]

Floats = NDArray[np.float64]

MOST_WORK = 1_500_000  # rows times parameters, up to which a bootstrap takes some ten seconds
LEAST = 20  # rows, below which a family is hardly fitted at all


def too_long(model: Density, given: Rows) -> bool:
    """Whether a bootstrap of this many rows and parameters would take more than some ten seconds."""
    n, d = given.values.shape
    return n * len(model.params_.get("weights", (1.0,))) * (d + 1) * (d + 2) // 2 > MOST_WORK


def bootstrap_of(
    model: Density, given: Rows, rng: np.random.Generator, say: Callable[[str], None]
) -> Replicates | None:
    """Return the bootstrap of a model of few parameters; None where it is not one, or would take too long."""
    n, d = given.values.shape
    if model.kind != "exact" or n < max(LEAST, 2 * d) or too_long(model, given):
        return None
    try:
        return replicates(model, given.values, given.columns, rng.spawn(1)[0], say=say)
    except UnsupportedError:  # a subclass without a distribution function of its columns
        return None


def check_of_family(
    model: Density,
    given: Rows,
    found: Replicates,
    rng: np.random.Generator,
    random_state: Any,
    rule: Rule,
    *,
    everything: bool = False,
) -> Check:
    """Return the check of a family."""
    n, d = given.values.shape
    plain = replace(given.columns, container="array")
    streams = rng.spawn(4)
    drawn = _as_if_new(model, n, plain, streams[0])
    told_too = n >= LEAST_TOLD
    each = LEVEL / (2 + (d > 1) + told_too)
    p_values = {name: p_value(values) for name, values in found.statistics.items()}
    told = classifier_test(given.values, drawn, streams[1], each, names=names_of(plain)) if told_too else None
    if told is not None:
        p_values["classifier"] = told.p_value
    energy = None
    if d > 1:
        some = np.sort(streams[2].choice(n, min(n, MOST_PAIRED), replace=False))
        energy = energy_test(given.values[some], drawn[some], streams[2], each)
        energy = replace(
            energy,
            share=float(found.energy[0]),
            limit=found.energy_limit(each),
            p_value=p_values["energy"],
            n=n,
            m=len(drawn),
        )
    low, high = found.bands(each)
    heights = log_density(model, given.values)
    curves = [
        curve_of(
            "log density" if j == d else plain.label(j),
            "draws" if j == d else "distribution function",
            found.z,
            found.counts[0, j],
            (low[j], high[j]),
            np.sort(heights if j == d else given.values[:, j]),
            p_value(found.curves[:, j]),
        )
        for j in range(d + 1)
    ]
    return Check(
        model=repr(model),
        columns=tuple(curves[:d]),
        rank=curves[d],
        energy=energy,
        told=told,
        mass=None,
        case="family",
        n=n,
        n_given=n,
        folds=0,
        samples=len(found.counts) - 1,
        draws=len(drawn),
        level=LEVEL,
        p_values=p_values,
        overlap=overlap_of(model, given),
        notes=(),
        random_state=random_state,
        rule=rule,
        extras=extras_of([(model, given.values)], given.values, drawn, plain, streams[3])
        if everything
        else None,
    )


def _as_if_new(model: Density, n: int, plain: Columns, rng: np.random.Generator) -> Floats:
    """Return n draws that rows can be held against as if both were new: of the fit to draws of the fit.

    The model follows the rows in the directions of its parameters, so rows and its own draws agree too well:
    what a classifier learns there from some of the rows, the others contradict. A fit to draws of the model
    errs in these directions by as much as the model does, independently, and to first order rows and its
    draws are then two samples of one distribution: a test of two samples keeps its level.
    """
    return recorded(again(model, n, plain, rng)[1], n, plain, rng)
