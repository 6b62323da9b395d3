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

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, ParameterError, PofxError, PofxWarning, UnsupportedError
from ..maths.energy import MOST_PAIRED, energy_test
from ..validation import Columns, Fingerprint, Rows, rng_from, rows_to_fit, rows_to_query, whole_number
from .bootstrap import Replicates, again, p_value, recorded, replicates
from .checked import Check
from .classifier import classifier_test
from .curves import MOST_TOLD, CalibrationCurve, Given, Tally, curve_of, log_density
from .extras import extras_of
from .foreign import Foreign, is_foreign
from .heldout import Split, split
from .mass import Mass, total_mass
from .memory import memorisation
from .verdict import RULE, Rule, overlap_of

__all__ = ["CalibrationCurve", "Check", "Rule", "check", "check_fitted"]

Floats = NDArray[np.float64]

LEVEL = 0.02
MOST_ROWS = 50_000  # beyond, rows are taken at random: a gap of one row in a hundred shows already
LEAST_DRAWS, MOST_DRAWS = 4_000, 50_000
MOST_ENTRIES = 20_000_000  # of the draws, rows times columns: 160 MB
LEAST_TOLD = 50  # rows, below which a classifier has nothing to learn from
LEAST_FAMILY = 20  # rows, below which a family is hardly fitted at all
SAME = 1e-6  # log densities of one fit and its repetition on the same rows, in whatever order, agree to this

# Of a bootstrap: rows times parameters, up to which every sample is as long as the rows; and the share of the
# rows that are judged where there are more, as if they were new (their fit hardly knows them).
MOST_WORK = 1_500_000
FEW_OF_MANY = 0.25


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
    given = _rows_of(model, X)
    say = progress or (lambda text: None)
    # A stream of its own: rows drawn with the same seed as is given here must not meet themselves again.
    rng = np.random.default_rng(rng_from(random_state).integers(2**63, size=4))
    seen = None if train is None else _rows_of(model, train)
    if seen is not None and new is None:
        new = not _same_rows(seen.values, given.values)
    case = _case(model, given, new, say)
    n_given, d = given.values.shape
    most = min(MOST_ROWS, max(1000, MOST_ENTRIES // d))
    notes: dict[str, None] = {}  # an ordered set
    if case == "seen":
        family = _family(model, given, rng, say)
        if family is not None:
            found = _of_family(model, given, family, rng, random_state, rule, everything=everything)
            return _with_memory(found, model, given, seen if seen or not everything else given, rng)
        if _too_long(model, given) and model._refitted(given.values) is not None:
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
    cut = split(Given(given), folds=folds, random_state=rng) if case == "seen" else None
    if cut is None:
        pieces = iter([(model, given.values[chosen])])
    else:
        pieces = _refits(model, cut, chosen, say, notes)
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


def _same_rows(one: Floats, other: Floats) -> bool:
    """Whether two tables hold the same rows, in whatever order."""
    if one.shape != other.shape:
        return False
    a, b = (part[np.lexsort(part.T)] for part in (one, other))
    return np.array_equal(a, b)


def _with_memory(
    found: Check, model: Density, given: Rows, seen: Rows | None, rng: np.random.Generator
) -> Check:
    """Add whether draws are copies of the rows ``seen``; rows that are not those stand in for fresh ones."""
    if seen is None:
        return found
    if min(len(seen.values), len(given.values)) < LEAST_FAMILY:
        few = f"Whether draws are copies of rows was not looked at: it needs {LEAST_FAMILY} rows."
        return replace(found, notes=(*found.notes, few))
    stream = rng.spawn(1)[0]
    plain = replace(given.columns, container="array")
    drawn = recorded(model, min(len(seen.values), MOST_TOLD), plain, stream)
    fresh = None if _same_rows(seen.values, given.values) else given.values
    return replace(found, memory=memorisation(drawn, seen.values, fresh, rng=stream, level=LEVEL))


class Judgement:
    """Judges and the rows that they have not seen, and what comes of them.

    Parameters
    ----------
    columns : Columns
        With the precision that the rows are recorded in.
    n, draws : int
        Rows that will be judged, and draws of the judges, in all.
    rng : Generator
    """

    def __init__(self, columns: Columns, n: int, draws: int, rng: np.random.Generator) -> None:
        self.tally, self.rng = Tally(columns, n, draws), rng
        self.overlaps: list[tuple[int, float | None]] = []
        self.judges: list[tuple[Density, Floats]] = []

    def add(self, judge: Density, rows: Floats) -> None:
        """Let a model judge rows (n, d)."""
        self.tally.add(judge, rows, self.rng)
        self.judges.append((judge, rows))
        self.overlaps.append((len(rows), overlap_of(judge, Given(Rows(rows, judge.params_.columns, 0)))))

    def result(
        self,
        model: Any,
        *,
        case: str,
        n_given: int,
        folds: int = 0,
        mass: Mass | None = None,
        notes: dict[str, None] | None = None,
        random_state: Any = 0,
        rule: Rule = RULE,
        everything: bool = False,
    ) -> Check:
        """Return the check of all judgements."""
        tally, said = self.tally, dict(notes or {})
        test = case in ("known", "new")
        x, drawn = tally.samples()
        d, has_rank = len(tally.columns), len(tally.bands) > len(tally.columns)
        told_too = len(x) >= LEAST_TOLD
        each = LEVEL / (1 + has_rank + (d > 1) + told_too)
        streams = self.rng.spawn(3)
        columns, rank = tally.curves(each / d, each, test=test)
        energy = tally.energy(each, streams[0])
        told = classifier_test(x, drawn, streams[1], each, names=_names(tally.columns)) if told_too else None
        if energy is not None and energy.n < tally.n:
            said[f"The energy distance is that of {energy.n:,} rows and as many draws."] = None
        if told is not None and told.n < tally.n:
            said[f"The classifier saw {told.n:,} rows and {told.m:,} draws."] = None
        if rank is None:
            said[f"{type(model).__name__} has no density: it was judged by its draws alone."] = None
        elif isinstance(model, Density) and model.kind != "exact":
            said[f"The log density is of kind {model.kind!r}: rows and draws were ranked by it alike."] = None
        if tally.impossible:
            said[f"{tally.impossible:,} of {tally.n:,} rows are called impossible (log density -inf)."] = None
        found: dict[str, float] = {}
        if test:
            found["columns"] = min(1.0, d * min(curve.p_value or 0.0 for curve in columns))
            if rank is not None:
                found["rank"] = rank.p_value or 0.0
            if energy is not None:
                found["energy"] = energy.p_value
            if told is not None:
                found["classifier"] = told.p_value
        shares = [(size, share) for size, share in self.overlaps if share is not None]
        return Check(
            model=model if isinstance(model, str) else repr(model),
            columns=columns,
            rank=rank,
            energy=energy,
            told=told,
            mass=mass,
            case=case,
            n=tally.n,
            n_given=n_given,
            folds=folds,
            samples=0,
            draws=tally.draws,
            level=LEVEL,
            p_values=found,
            overlap=float(np.average([s for _, s in shares], weights=[k for k, _ in shares]))
            if shares
            else None,
            notes=tuple(said),
            random_state=random_state,
            rule=rule,
            extras=extras_of(self.judges, x, drawn, tally.columns, streams[2]) if everything else None,
        )


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
    family = _family(model, given, rng, say)
    if family is not None:
        found = _of_family(model, given, family, rng, 0, rule)
        return found if name is None else replace(found, model=name)
    n = len(given.values)
    if not fits and (n < MOST_TOLD / FEW_OF_MANY or model._refitted(given.values[:MOST_TOLD]) is None):
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


# ---------------------------------------------------------------- the family, by samples drawn from the fit


def _too_long(model: Density, given: Rows) -> bool:
    """Whether a bootstrap of this many rows and parameters would take more than some ten seconds."""
    n, d = given.values.shape
    return n * len(model.params_.get("weights", (1.0,))) * (d + 1) * (d + 2) // 2 > MOST_WORK


def _family(
    model: Density, given: Rows, rng: np.random.Generator, say: Callable[[str], None]
) -> Replicates | None:
    """Return the bootstrap of a model of few parameters; None where it is not one, or would take too long."""
    n, d = given.values.shape
    if model.kind != "exact" or n < max(LEAST_FAMILY, 2 * d) or _too_long(model, given):
        return None
    try:
        return replicates(model, given.values, given.columns, rng.spawn(1)[0], say=say)
    except UnsupportedError:  # a subclass without a distribution function of its columns
        return None


def _of_family(
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
    told = classifier_test(given.values, drawn, streams[1], each, names=_names(plain)) if told_too else None
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
        overlap=overlap_of(model, Given(given)),
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


def _names(columns: Columns) -> list[str]:
    return [columns.label(j) for j in range(len(columns))]


# ---------------------------------------------------------------- the rows; has the model seen them?


def _rows_of(model: Density, X: Any) -> Rows:
    """Return the rows in the order of the model's columns, and the precision that they are recorded in."""
    trained = model.params_.columns
    missing = getattr(model, "missing", "error")
    rows = rows_to_fit(X, missing="error" if missing == "marginal" else missing)
    values = rows_to_query(Given(rows), trained, who=type(model).__name__)
    theirs = rows.columns
    if theirs.names is not None and trained.names is not None:
        theirs = theirs.select([theirs.names.index(name) for name in trained.names])
    decimals, dtypes = list(theirs.decimals), list(theirs.dtypes)
    for j, (here, there) in enumerate(zip(theirs.decimals, trained.decimals, strict=True)):
        if here is not None and there is not None and there > here:
            decimals[j], dtypes[j] = there, "float64"  # few rows may look coarser than what they come from
    names = trained.names if trained.names is not None else theirs.names
    return Rows(values, Columns(names, tuple(dtypes), tuple(decimals), "array"), rows.dropped)


def _case(model: Density, given: Rows, new: bool | None, say: Callable[[str], None]) -> str:
    fit = model.fit_
    fitted = not model.fixed if isinstance(model, Foreign) else fit.n_rows > 0
    if new is not None:
        return "seen" if not new else "new" if fitted else "known"
    if isinstance(model, Foreign):
        # It says neither how many rows it was fitted to nor whether its fits are repeatable.
        if not fitted:
            return "known"
        say(f"{model!r}: was it fitted to these rows?")
        return "seen" if _is_fit_of(model, given) else "unknown"
    if fitted and fit.n_rows != len(given.values):
        return "new"
    seeds = (value for key, value in model.get_params().items() if key.endswith("random_state"))
    repeatable = not any(isinstance(s, np.random.Generator | np.random.RandomState) for s in seeds)
    if fitted and (fit.effective_n != fit.n_rows or not repeatable):
        return "unknown"
    if fitted and fit.fingerprint is not None and fit.fingerprint == _fingerprint(model, given):
        return "seen"
    say(f"{type(model).__name__}: was it fitted to these rows?")
    if repeatable and _is_fit_of(model, given):
        return "seen"
    return "new" if fitted else "known"


def _fingerprint(model: Density, given: Rows) -> str:
    columns = model.params_.columns  # in whose order the rows are
    return Fingerprint(columns.names, len(columns)).update(given.values).hexdigest()


def _is_fit_of(model: Density, given: Rows) -> bool:
    """Whether a clone fitted to the rows is the model again."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = unfitted(model).fit(Given(given))
            few = np.linspace(0, len(given.values) - 1, min(100, len(given.values))).astype(int)
            if model.kind == "none":
                one, other = (rows_to_fit(m.sample(10, random_state=0)).values for m in (model, again))
            else:
                one, other = (log_density(m, given.values[few]) for m in (model, again))
    except Exception:  # whatever a model raises, it is not the fit of these rows
        return False
    return np.allclose(one, other, rtol=SAME, atol=SAME)


def _refits(
    model: Density, cut: Split, chosen: NDArray[np.intp], say: Callable[[str], None], notes: dict[str, None]
) -> Iterator[tuple[Density, Floats]]:
    """Yield a clone fitted without each part, and the chosen rows of that part."""
    is_chosen = np.zeros(len(cut.part), dtype=bool)
    is_chosen[chosen] = True
    for k in range(cut.folds):
        mine = (cut.part == k) & is_chosen
        if not mine.any():
            continue
        say(f"{type(model).__name__}: fold {k + 1} of {cut.folds}")
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", PofxWarning)
                judge = unfitted(model).fit(cut.train(k))
        except UnsupportedError:
            raise  # a known world cannot be fitted, and says so
        except PofxError as error:
            raise DataError(
                f"check refits {model!r} without each of {cut.folds} parts of the rows in turn; "
                f"fit {k + 1} failed: {error}"
            ) from error
        notes.update({str(w.message): None for w in said if issubclass(w.category, PofxWarning)})
        if not judge.fit_.converged:
            notes[f"A refit did not converge: {judge.fit_.message}"] = None
        yield judge, cut.rows.values[mine]
