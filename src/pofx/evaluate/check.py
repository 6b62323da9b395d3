"""Goodness of fit: where do the rows and the density disagree, and could that be chance?

Four families of tests share one level. *Columns*: each column's distribution function at the rows, within a
simultaneous band (:mod:`pofx.evaluate.calibration`); is each column right? *Rank*: of each row's log density
among the model's own draws; is every height given its due? A sampler that does not follow its density shows
here too. Both can be right with the mass in the wrong places, so rows and draws are compared as two samples
as well: by their *energy* distance (:mod:`pofx.maths.energy`; in two columns or more), which misses nothing
given enough rows, and by a *classifier* (:mod:`pofx.evaluate.classifier`), which sees sharp local differences
and says which rows and which region. What all this can prove depends on what the model has seen, so the case
is found out, or asked for, and named:

``known``   this very density is claimed, without a fit to these rows: a test, with a p-value.
``new``     a fitted density before rows it has not seen: the same test, of the density with its errors.
``family``  the model was fitted to these rows, by maximum likelihood in a family of few parameters: the
            family is tested, by samples drawn from the fit and fitted again (:mod:`pofx.evaluate.bootstrap`).
``seen``    the model was fitted to these rows and follows them in more than a few parameters (a kernel
            estimate, a histogram). Clones are fitted in folds and each row is judged by the one that has not
            seen it: effect sizes, no p-value.
``unknown`` whether it has seen them cannot be told: effect sizes, no p-value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..errors import ParameterError, UnsupportedError
from ..validation import Rows, rng_from, rows_to_fit, whole_number
from .bootstrap import recorded
from .checked import Check
from .curves import MOST_TOLD, CalibrationCurve
from .foreign import Foreign, is_foreign
from .heldout import Split, split
from .judgement import LEVEL, Judgement
from .mass import total_mass
from .memory import memorisation
from .of_family import LEAST, bootstrap_of, check_of_family, too_long
from .seen import case_of, refits, rows_of, same_rows
from .verdict import RULE, Rule

__all__ = ["LEVEL", "CalibrationCurve", "Check", "Rule", "check", "check_fitted"]

Floats = NDArray[np.float64]

MOST_ROWS = 50_000  # beyond, rows are taken at random: a gap of one row in a hundred shows already
LEAST_DRAWS, MOST_DRAWS = 4_000, 50_000
MOST_ENTRIES = 20_000_000  # of the draws, rows times columns: 160 MB
FEW_OF_MANY = 0.25  # of the rows of a family whose bootstrap would take too long are judged as if new


def check(
    model: Any,
    X: Any,
    *,
    new: bool | None = None,
    train: Any = None,
    everything: bool = False,
    folds: int = 5,
    random_state: Any = 0,
    rule: Rule = RULE,
    progress: Callable[[str], None] | None = None,
) -> Check:
    """Judge a density by rows, in four ways at one level, and say in a word what it is good for.

    Parameters
    ----------
    model : Density, or a density made elsewhere
        Fitted, or known. It is left as it is; only clones are fitted. Other libraries' are read too: any
        object with ``score_samples`` and ``sample``, as scikit-learn's have, ``scipy.stats.gaussian_kde``
        and SciPy's frozen distributions.
    X : rows, as for ``fit``
        Named columns are matched by name. Draws are rounded to the precision that X is recorded in.
    new : None, True or False
        Whether the model has never seen these rows. ``None`` finds out: fits are repeatable, so a clone
        fitted to X gives the model back if X is what it was fitted to (this costs one fit). ``True`` takes
        your word and tests the density as it is; ``False`` judges refits in folds.
    train : rows, optional
        What the model was fitted to. If they are not X, X is new to it; and whether its draws are copies of
        them is looked at.
    everything : bool
        Also the maximum mean discrepancy, the sliced Wasserstein distance, precision, recall, density and
        coverage, the Rosenblatt transform, and copies of the rows, if the model has seen them. They have no
        part in the verdict, but for copies.
    folds : int
        How many folds, where the model has seen the rows.
    random_state : None, int or Generator
        Decides the folds, the draws, and where in their cells rounded values lie.
    rule : Rule
        What the words of the verdict mean (:class:`pofx.evaluate.verdict.Rule`).
    progress : function of a text, optional
        Called with a few words before each fit.

    Returns
    -------
    Check
        ``passed``, ``verdict``, ``sentence``, the curves with their bands, the energy distance and the
        classifier's AUC. Together they hold for the truth with probability 98 %: the four families share the
        level of 2 % equally (in a single column, or for fewer than 50 rows, there are fewer), and columns
        share theirs.

    Raises
    ------
    NotFittedError, ParameterError, DataError, UnsupportedError

    Notes
    -----
    A density can be right in every column and give every height its due mass, and still put the mass in the
    wrong places. No curve sees that, but the energy distance does. Here rows fill two quadrants of four::

        >>> import pofx
        >>> truth = pofx.worlds.gaussian(2)
        >>> rows = abs(truth.sample(1000, random_state=0))
        >>> rows[::2] *= -1
        >>> found = pofx.check(truth, rows)
        >>> found.curves_outside, found.together
        (0, False)

    Examples
    --------
    >>> import pofx
    >>> truth = pofx.worlds.moons()
    >>> rows = truth.sample(500, random_state=0)
    >>> pofx.check(truth, rows).passed, pofx.check(pofx.Gaussian().fit(rows), rows).passed
    (True, False)

    What one already has, here SciPy's density of two columns:

    >>> from scipy.stats import multivariate_normal
    >>> pofx.check(multivariate_normal(rows.mean(axis=0)), rows).case
    'known'
    """
    if is_foreign(model):
        model = Foreign(model, rows_to_fit(X).columns)
    if isinstance(model, type) or not isinstance(model, Density):
        hint = f"; did you mean {model.__name__}()?" if isinstance(model, type) else ""
        raise ParameterError(
            "check needs a fitted pofx model, or an object with score_samples and sample, or a frozen "
            f"distribution or gaussian_kde of scipy.stats; got {model!r:.80}{hint}"
        )
    if new is not None and not isinstance(new, bool):
        raise ParameterError(f"new must be None, True or False; got {new!r}.")
    folds = whole_number(folds, "folds", least=2)
    given = rows_of(model, X)
    say = progress or (lambda text: None)
    # A stream of its own: rows drawn with the same seed as is given here must not meet themselves again.
    rng = np.random.default_rng(rng_from(random_state).integers(2**63, size=4))
    seen = None if train is None else rows_of(model, train)
    if seen is not None and new is None:
        new = not same_rows(seen.values, given.values)
    case = case_of(model, given, new, say)
    n_given, d = given.values.shape
    most = min(MOST_ROWS, max(1000, MOST_ENTRIES // d))
    notes: dict[str, None] = {}  # an ordered set
    if case == "seen":
        family = bootstrap_of(model, given, rng, say)
        if family is not None:
            found = check_of_family(model, given, family, rng, random_state, rule, everything=everything)
            return _with_memory(found, model, given, seen if seen or not everything else given, rng)
        if model.parametric and too_long(model, given):
            most = min(most, max(1000, int(FEW_OF_MANY * n_given)))
            case = "new"
            notes[
                f"{most:,} rows at random were judged by the fit to all {n_given:,}, which follows a quarter "
                "of its rows hardly more closely than new ones."
            ] = None
    chosen = np.arange(n_given)
    if n_given > most:
        chosen = np.sort(rng.choice(n_given, most, replace=False))
    draws = min(max(LEAST_DRAWS, 4 * len(chosen)), MOST_DRAWS, max(1000, MOST_ENTRIES // d))
    cut = split(given, folds=folds, random_state=rng) if case == "seen" else None
    if cut is None:
        pieces = iter([(model, given.values[chosen])])
    else:
        pieces = refits(model, cut, chosen, say, notes)
    judged = Judgement(given.columns, len(chosen), draws, rng)
    for judge, rows in pieces:
        judged.add(judge, rows)
    say(f"{type(model).__name__}: rows and draws as two samples")
    found = judged.result(
        model,
        case=case,
        n_given=n_given,
        folds=cut.folds if cut else 0,
        mass=total_mass(model, rng.spawn(1)[0]) if isinstance(model, Foreign) else None,
        notes=notes,
        random_state=random_state,
        rule=rule,
        everything=everything,
    )
    return _with_memory(found, model, given, given if everything and case == "seen" else seen, rng)


def _with_memory(
    found: Check, model: Density, given: Rows, seen: Rows | None, rng: np.random.Generator
) -> Check:
    """Add whether draws are copies of the rows ``seen``; rows that are not those stand in for fresh ones."""
    if seen is None:
        return found
    if min(len(seen.values), len(given.values)) < LEAST:
        few = f"Whether draws are copies of rows was not looked at: it needs {LEAST} rows."
        return replace(found, notes=(*found.notes, few))
    stream = rng.spawn(1)[0]
    plain = replace(given.columns, container="array")
    drawn = recorded(model, min(len(seen.values), MOST_TOLD), plain, stream)
    fresh = None if same_rows(seen.values, given.values) else given.values
    return replace(found, memory=memorisation(drawn, seen.values, fresh, rng=stream, level=LEVEL))


def check_fitted(
    model: Density,
    fits: Sequence[Density],
    cut: Split,
    *,
    name: str | None = None,
    rule: Rule = RULE,
    progress: Callable[[str], None] | None = None,
) -> Check:
    """Return the check of a model fitted to all rows of a split, whose folds have been fitted already.

    A family of few parameters by samples drawn from the model; any other by the fits of the folds, each row
    by the one that has not seen it. Up to 5,000 rows at random are judged.

    Parameters
    ----------
    model : Density
        Fitted to all rows of ``cut``, every row counting once.
    fits : sequence of Density
        Fitted without each part.
    name : str, optional
        What the check calls the model.
    """
    given, say = Rows(cut.rows.values, cut.rows.columns, 0), progress or (lambda text: None)
    rng = np.random.default_rng(0)
    if cut.sampled and model.parametric:
        # The model has seen more rows than these, and follows them less than a fit to them would.
        model = model._refitted(given.values)
    family = bootstrap_of(model, given, rng, say)
    if family is not None:
        found = check_of_family(model, given, family, rng, 0, rule)
        return found if name is None else replace(found, model=name)
    n = len(given.values)
    if not fits and (n < MOST_TOLD / FEW_OF_MANY or not model.parametric):
        raise UnsupportedError(f"{name or model}: the fits of the folds were not kept.")
    chosen = np.zeros(n, dtype=bool)
    chosen[np.arange(n) if n <= MOST_TOLD else rng.choice(n, MOST_TOLD, replace=False)] = True
    asked = [cut.asked(k) for k in range(len(fits))] or [np.arange(n)]
    pieces = [(fit, at[chosen[at]]) for fit, at in zip(fits or [model], asked, strict=True)]
    judged = Judgement(given.columns, sum(len(mine) for _, mine in pieces), LEAST_DRAWS, rng)
    for fit, mine in pieces:
        if len(mine):
            judged.add(fit, given.values[mine])
    case, folds = ("seen", len(fits)) if fits else ("new", 0)
    return judged.result(name or model, case=case, n_given=n, folds=folds, rule=rule)
