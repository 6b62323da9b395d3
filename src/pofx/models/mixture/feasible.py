"""What the rows allow: which structures and sizes can be fitted at all, and why not."""

from __future__ import annotations

import math

import numpy as np

from ...errors import DegenerateError, ParameterError
from ...maths.moments import correlation_condition, dependent_columns
from ..gaussian import COLLINEAR, NEARLY
from .candidate import Candidate
from .fitting import Fitting
from .structures import Structure

__all__ = ["enough_rows", "possible_sizes", "possible_structures", "warn_of_outliers", "warn_of_unseen_pairs"]

INCOMPARABLE = 1e290  # ratio of the columns' variances beyond which no number is a variance for all
INCOMPARABLE_AXES = 1e12  # ... beyond which eigenvalues in the data's units lose their digits
WIDE = 10  # columns above which "auto" asks for more rows per covariance matrix than it takes to have one
ROWS_A_COLUMN = 5  # ... so many for each column
FAR_OUT = 200.0  # standard deviation over that of the bulk from which outliers are named


def possible_sizes(fitting: Fitting) -> list[int]:
    n, distinct = fitting.data.n, fitting.n_distinct
    sizes = [k for k in fitting.plan.sizes if k <= distinct]
    if sizes:
        return sizes
    asked = min(fitting.plan.sizes)
    rows = f"{n:,} rows" if distinct == n else f"{n:,} rows, of which {distinct:,} are distinct,"
    raise DegenerateError(
        f"n_components={asked} needs at least {asked} distinct rows (n_samples = {n}): {rows} came. "
        f"Ask for at most {distinct}, or give more rows."
    )


def enough_rows(c: Candidate, fitting: Fitting) -> bool:
    """Whether every component can have a covariance of its own; says so of the candidate if not.

    In many columns, where "auto" is asked for: whether that may pay. A matrix of its own costs a component
    d² / 4 log n nats of BIC; with fewer than 5 d rows each of them would have to gain d log n / 20 nats by
    it, 74 in 200 columns of 1,600 rows; and such fits are the slowest of all.
    """
    d = fitting.data.d
    least = c.structure.rows_per_component(d)
    if fitting.plan.leading and c.structure.own_matrices and d > WIDE:
        least = max(least, ROWS_A_COLUMN * d)
    needed = c.k * least
    if c.k > 1 and needed > fitting.n_distinct:
        c.excuse = f"not tried: {c.k} covariance matrices need at least {needed:,} distinct rows"
    return not c.excuse


def possible_structures(fitting: Fitting) -> list[Structure]:
    """Return the structures that the columns allow; the others are named, with the remedy."""
    data = fitting.data
    allowed = _in_so_many_columns(_of_comparable_units(fitting), fitting)
    full = [s for s in allowed if not (s.diagonal or s.for_singular)]
    others = [s for s in allowed if s.diagonal or s.for_singular]
    if not full or data.d == 1:
        return full + others
    covariance = fitting.moments.covariance
    smallest, largest, direction = correlation_condition(covariance)
    too_few = fitting.n_distinct <= data.d
    if not too_few and smallest > NEARLY:
        return full + others
    names = ", ".join(repr(data.label(j)) for j in dependent_columns(direction))
    if too_few:
        problem = (
            f"A covariance matrix of {data.d} columns needs more than {data.d} distinct rows; "
            f"{fitting.n_distinct} came (n_samples = {data.n})"
        )
    elif smallest <= COLLINEAR * data.d:
        problem = f"Columns {names} are collinear: one is a linear combination of the others"
    else:
        note = (
            f"Columns {names} are nearly collinear (condition number {largest / smallest:.1e}): the density "
            "is very narrow across them, and its last digits are lost."
        )
        fitting.warn(note)
        return full + others
    if not others:
        raise DegenerateError(
            f"{problem}, so no density with covariance_type={full[0].name!r} exists. Use covariance_type="
            "'diag', leave columns out, or shrink one Gaussian: Gaussian(shrinkage='ledoit_wolf')."
            + "".join(f" {note}" for note in fitting.notes)
        )
    kept = ", ".join(repr(s.name) for s in others if s.for_singular)
    fitting.warn(
        f"{problem}; only structures without correlation{f', and {kept},' if kept else ''} were considered."
    )
    return others


def _in_so_many_columns(asked: list[Structure], fitting: Fitting) -> list[Structure]:
    """Return the structures that there are in so many columns; the others are named."""
    reasons = {s: s.refusal(fitting.data.d) for s in asked}
    rest = [s for s in asked if not reasons[s]]
    if not rest:
        raise ParameterError(" ".join(reasons.values()))
    fitting.notes += [f"{s.name} was left out: {reasons[s]}" for s in asked if reasons[s]]
    return rest


def _of_comparable_units(fitting: Fitting) -> list[Structure]:
    """Return the structures asked for, without those in the data's units where these cannot be compared."""
    asked = fitting.plan.structures
    if fitting.data.d == 1 or not any(s.in_data_units for s in asked):
        return list(asked)
    sphere = fitting.frame(True).sphere
    largest = float(sphere.max()) if np.isfinite(sphere).all() else math.inf

    def possible(s: Structure) -> bool:
        return not s.in_data_units or largest < (INCOMPARABLE if s.diagonal else INCOMPARABLE_AXES)

    rest = [s for s in asked if possible(s)]
    out = [s for s in asked if not possible(s)]
    if not out:
        return rest
    names = ", ".join(repr(s.name) for s in out)
    limit = "1e145" if any(s.diagonal for s in out) else "1e6"
    what = "One variance for all columns" if out[0].diagonal else "Axes and shapes in the data's own units"
    problem = f"{what} cannot be represented: the columns' scales differ by more than {limit}"
    if not rest:
        raise DegenerateError(f"{problem}. Use covariance_type={'diag' if out[0].diagonal else 'full'!r}.")
    fitting.notes.append(f"{problem}; {names} {'was' if len(out) == 1 else 'were'} left out.")
    return rest


def warn_of_unseen_pairs(fitting: Fitting) -> None:
    """Warn of pairs of columns that no row has both of, where a covariance between them is asked for."""
    if fitting.one is None or not fitting.one.unseen or all(s.diagonal for s in fitting.plan.structures):
        return
    label, pairs = fitting.data.label, fitting.one.unseen
    names = ", ".join(f"{label(i)!r} and {label(j)!r}" for i, j in pairs[:5])
    more = f" (nor {len(pairs) - 5} more pairs)" if len(pairs) > 5 else ""
    fitting.warn(
        f"No row has both {names}{more}: how they vary together, beyond what other columns say, is not in "
        "the data; their correlation is where the search began. Use covariance_type='diag', or do not rely "
        "on it."
    )


def warn_of_outliers(fitting: Fitting) -> None:
    """Warn where a few far rows set the scale, so that components of the bulk's width are not regular."""
    z, w, data = fitting.sketch.z, fitting.sketch.w, fitting.data
    for j in range(data.d):
        order = np.argsort(z[:, j])
        at = np.searchsorted(np.cumsum(w[order]), np.array([0.25, 0.75]) * w.sum())
        low, high = z[order[np.minimum(at, len(z) - 1)], j]
        sd = math.sqrt(float(fitting.moments.scatter[j, j] / fitting.moments.weight))
        bulk = (high - low) / 1.349
        if 0.0 < bulk < sd / FAR_OUT:
            fitting.warn(
                f"Outliers: a few rows lie so far out in {data.label(j)!r} that its standard deviation is "
                f"{sd / bulk:.1e} times what the middle half of the rows suggests. Components as narrow as "
                "the bulk do not count as regular beside that, so the density there is far too low. Look at "
                "those rows: leave them out, or transform the column."
            )
