"""Goodness of fit: where do the rows and the density disagree, and could that be chance?

Two kinds of curves are judged against their bands (:mod:`pofx.evaluate.calibration`): each column's
distribution function at the rows (is each column right?) and the rank of each row's log density among the
model's own draws (is every height given its due? A sampler that does not follow its density shows here too).
Both can be right with the mass in the wrong places, so in two or more columns rows and draws are compared
as two samples as well, by their energy distance (:mod:`pofx.maths.energy`), which misses nothing given enough
rows; it gets one half of the level, the curves the other. What this can prove depends on what the model has
seen, so the case is found out, or asked for, and named:

``known``   this very density is claimed, without a fit to these rows: a test, with a p-value.
``new``     a fitted density before rows it has not seen: the same test, of the density with its errors.
``seen``    the model was fitted to these rows. Its curves would follow them whatever the truth, so clones are
            fitted in folds and each row is judged by the one that has not seen it: effect sizes, no p-value.
``unknown`` whether it has seen them cannot be told: effect sizes, no p-value.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..core.estimator import unfitted
from ..errors import DataError, ParameterError, PofxError, PofxWarning, UnsupportedError
from ..maths.energy import Energy
from ..validation import Columns, Rows, rng_from, rows_to_fit, rows_to_query, whole_number
from .curves import CalibrationCurve, Given, Tally, log_density, p_text, percent
from .foreign import Foreign, is_foreign
from .heldout import Split, split
from .mass import Mass, total_mass

__all__ = ["CalibrationCurve", "Check", "check", "weigh"]

Floats = NDArray[np.float64]

LEVEL = 0.05
MOST_ROWS = 50_000  # beyond, rows are taken at random: a gap of one row in a hundred shows already
LEAST_DRAWS, MOST_DRAWS = 4_000, 50_000
MOST_ENTRIES = 20_000_000  # of the draws, rows times columns: 160 MB
SAME = 1e-6  # log densities of one fit and its repetition on the same rows, in whatever order, agree to this

TALE = {
    "known": "The density was given, not fitted here, so this is a test. It is valid if the density was "
    "fixed without these rows.",
    "new": "The rows are taken to be new to the model. The test is of this very density, errors of its fit "
    "included: with as many new rows as it was fitted to, a right family fails it more often than 5 % "
    "(17 % for a Gaussian of two columns and 1,000 rows). If the model has seen these rows, say new=False.",
    "seen": "The model was fitted to these rows, so clones of it were fitted in folds and each row was "
    "judged by one that had not seen it. This is no test: refits follow the rows, so a right family hardly "
    "ever leaves these bands (none in 300 for a Gaussian of two columns and 1,000 rows, not 5 %) and staying "
    "inside proves little, while leaving them is serious. Read the gaps as sizes; a p-value needs new rows.",
    "unknown": "Whether the model has seen these rows cannot be told, because its fit cannot be repeated. It "
    "was judged as it is, which flatters it if it has seen them. Say new=True or new=False.",
}


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """The result of :func:`check`.

    Attributes
    ----------
    columns : tuple of CalibrationCurve
        One per column.
    rank : CalibrationCurve or None
        Of log p(x) among the model's own draws; None for a model without a density.
    energy : Energy or None
        Rows against draws in all columns together; None in a single column.
    mass : Mass or None
        The total mass of a density made elsewhere; None for our own, which are held to one by a law.
    case : {"known", "new", "seen", "unknown"}
        What the model has seen of the rows; :attr:`case_sentence` says what follows from it.
    n, n_given : int
        Rows judged, and rows that came (after dropping); fewer are judged where there are very many.
    folds, draws : int
        Refits (0 in a direct check), and draws of the model.
    level : float
        All bands together hold for the truth with probability ``1 - level``.
    notes : tuple of str
        What else a reader should know.
    """

    model: str
    columns: tuple[CalibrationCurve, ...]
    rank: CalibrationCurve | None
    energy: Energy | None
    mass: Mass | None
    case: str
    n: int
    n_given: int
    folds: int
    draws: int
    level: float
    notes: tuple[str, ...]
    random_state: Any

    @property
    def curves(self) -> tuple[CalibrationCurve, ...]:
        """All curves, the rank curve last."""
        return self.columns if self.rank is None else (*self.columns, self.rank)

    @property
    def passed(self) -> bool:
        """Whether every curve stays inside its band, the energy distance below its limit, and whether the
        density, if it is not ours, has a mass of one."""
        return not self.curves_outside and self.together and (self.mass is None or self.mass.is_one)

    @property
    def together(self) -> bool:
        """Whether rows and draws, as two samples, differ no more than chance would explain."""
        return self.energy is None or self.energy.share <= self.energy.limit

    @property
    def p_value(self) -> float | None:
        """Of all curves and the energy distance together (Bonferroni, one half of the level for it); None
        where there is no test."""
        found = [curve.p_value for curve in self.curves if curve.p_value is not None]
        if not found:
            return None
        curves = len(found) * min(found)
        return min(1.0, curves if self.energy is None else 2.0 * min(curves, self.energy.p_value))

    @property
    def curves_outside(self) -> int:
        """How many curves leave their bands."""
        return sum(not curve.inside for curve in self.curves)

    @property
    def worst(self) -> CalibrationCurve:
        """The curve to look at: the one that leaves its band with the largest gap, else the largest gap."""
        return max(self.curves, key=lambda curve: (not curve.inside, abs(curve.gap)))

    @property
    def sentence(self) -> str:
        """The verdict: whether and where the density and the rows disagree."""
        worst, outside = self.worst, self.curves_outside
        p = "" if self.p_value is None else f" (p {p_text(self.p_value, '= ')})"
        if self.passed:
            shown, largest = (
                max(getattr(c, key) for c in self.curves) for key in ("half_width", "statistic")
            )
            return (
                f"{self.model}: nothing found that chance would not explain{p}. With {self.n:,} rows, gaps "
                f"of more than {percent(shown)} of the rows would have shown; the largest is "
                f"{percent(largest)}."
            )
        if self.mass is not None and not self.mass.is_one:
            return f"{self.model} is not what it should be: {self.mass.sentence}."
        if not outside and self.energy is not None:
            return f"{self.model} does not agree with the rows{p}: {self.energy_sentence}."
        rest = f"; {outside - 1} more of {len(self.curves)} curves leave their bands" if outside > 1 else ""
        return f"{self.model} does not agree with the rows{p}: {worst.sentence}{rest}."

    @property
    def energy_sentence(self) -> str:
        """Where rows and draws differ as two samples, in words; no verdict."""
        if self.energy is None:
            return ""
        more, fewer = (
            ", ".join(
                f"{curve.name} = {value + 0.0:.4g}"
                for curve, value in list(zip(self.columns, row, strict=True))[:4]
            )
            for row in (self.energy.more, self.energy.fewer)
        )
        return (
            f"in all columns together rows and draws are {percent(self.energy.share)} of the way from alike "
            f"to nothing in common (chance: up to {percent(self.energy.limit)}), with more rows than the "
            f"model expects around {more}, and fewer around {fewer}"
        )

    @property
    def case_sentence(self) -> str:
        """What the model has seen of these rows, and so what the bands mean."""
        return TALE[self.case]

    def _lines(self) -> list[tuple[str, str, str, str, str, str]]:
        head = ("curve", "largest gap", "band", "p", "", "by")
        shown = sorted(self.columns, key=lambda c: (c.inside, -c.statistic))[:12]
        shown = [curve for curve in self.columns if curve in shown] + ([self.rank] if self.rank else [])
        return (
            [head]
            + [
                (
                    curve.name,
                    percent(curve.statistic),
                    f"± {percent(curve.half_width)}",
                    "" if curve.p_value is None else p_text(curve.p_value),
                    "inside" if curve.inside else "outside",
                    curve.method,
                )
                for curve in shown
            ]
            + ([] if self.energy is None else [self._energy_line(self.energy)])
        )

    def _energy_line(self, energy: Energy) -> tuple[str, str, str, str, str, str]:
        p = "" if self.p_value is None else p_text(energy.p_value)
        where = "inside" if self.together else "outside"
        return (
            "all together",
            percent(energy.share),
            f"≤ {percent(energy.limit)}",
            p,
            where,
            "energy distance",
        )

    def _title(self) -> str:
        rows = f"{self.n:,} rows" if self.n == self.n_given else f"{self.n:,} of {self.n_given:,} rows"
        return f"{rows}, {self.draws:,} draws" + (f", refitted in {self.folds} folds" if self.folds else "")

    def _remarks(self) -> list[str]:
        more = len(self.columns) - 12
        hidden = [f"{more} more columns with smaller gaps are not shown."] if more > 0 else []
        if self.energy is not None and self.curves_outside:
            said = self.energy_sentence
            hidden.append(f"{said[0].upper()}{said[1:]}.")
        if self.mass is not None and self.mass.is_one:
            hidden.append(f"{self.mass.sentence[0].upper()}{self.mass.sentence[1:]}.")
        return [*hidden, self.sentence, self.case_sentence, *self.notes]

    def __str__(self) -> str:
        """Return the table as text: gaps in per cent of the rows."""
        lines = self._lines()
        widths = [max(len(line[i]) for line in lines) for i in range(5)]
        table = [
            "  ".join([line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, 5)), line[5]])
            for line in lines
        ]
        return "\n".join([self._title(), *(line.rstrip() for line in table), *self._remarks()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        names, *lines = self._lines()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in names)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
        )
        remarks = "".join(f"<p>{escape(text)}</p>" for text in self._remarks())
        return (
            f'<div class="pofx-check"><p>{escape(self._title())}</p>'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{remarks}</div>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data (schema pofx.check/1): numbers, or None where there is no finite one."""
        return {
            "schema": "pofx.check/1",
            "model": self.model,
            "passed": self.passed,
            "p_value": self.p_value,
            "sentence": self.sentence,
            "case": self.case,
            "case_sentence": self.case_sentence,
            "rows": self.n_given,
            "rows_judged": self.n,
            "folds": self.folds,
            "draws": self.draws,
            "level": self.level,
            "random_state": self.random_state if isinstance(self.random_state, int) else None,
            "notes": list(self.notes),
            "columns": [curve.to_dict() for curve in self.columns],
            "rank": None if self.rank is None else self.rank.to_dict(),
            "energy": self._energy_record(),
            "mass": None if self.mass is None else self.mass.to_dict(),
        }

    def _energy_record(self) -> dict[str, Any] | None:
        energy = self.energy
        if energy is None:
            return None
        return {
            "share": energy.share,
            "limit": energy.limit,
            "inside": self.together,
            "p_value": None if self.p_value is None else energy.p_value,
            "rows": energy.n,
            "draws": energy.m,
            "more_rows_around": energy.more.tolist(),
            "fewer_rows_around": energy.fewer.tolist(),
            "sentence": self.energy_sentence,
        }


def check(
    model: Any,
    X: Any,
    *,
    new: bool | None = None,
    folds: int = 5,
    random_state: Any = 0,
    progress: Callable[[str], None] | None = None,
) -> Check:
    """Judge a density by rows: every column, and the rank of the log density among the model's own draws.

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
    folds : int
        How many folds, where the model has seen the rows.
    random_state : None, int or Generator
        Decides the folds, the draws, and where in their cells rounded values lie.
    progress : function of a text, optional
        Called with a few words before each fit.

    Returns
    -------
    Check
        ``passed``, ``sentence``, the curves with their bands and the energy distance. All together hold for
        the truth with probability 95 %: the energy distance has the level 2.5 %, and each of m curves
        2.5 % / m (in a single column there is none, and each curve has 5 % / m).

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
    case = _case(model, given, new, say)
    n_given, d = given.values.shape
    most = min(MOST_ROWS, max(1000, MOST_ENTRIES // d))
    chosen = np.arange(n_given)
    if n_given > most:
        chosen = np.sort(rng.choice(n_given, most, replace=False))
    draws = min(max(LEAST_DRAWS, 4 * len(chosen)), MOST_DRAWS, max(1000, MOST_ENTRIES // d))
    notes: dict[str, None] = {}  # an ordered set
    cut = split(Given(given), folds=folds, random_state=rng) if case == "seen" else None
    if cut is None:
        pieces = iter([(model, given.values[chosen])])
    else:
        pieces = _refits(model, cut, chosen, say, notes)
    tally = Tally(given.columns, len(chosen), draws)
    for judge, rows in pieces:
        tally.add(judge, rows, rng)
    curves, rank, energy = weigh(tally, rng.spawn(1)[0], test=case in ("known", "new"))
    if energy is not None and energy.n < len(chosen):
        notes[f"The energy distance is that of {energy.n:,} rows and as many draws."] = None
    if rank is None:
        notes[f"{type(model).__name__} has no density: only its columns were judged, by its draws."] = None
    elif model.kind != "exact":
        notes[f"The log density is of kind {model.kind!r}: rows and draws were ranked by it alike."] = None
    if tally.impossible:
        notes[f"{tally.impossible:,} of {len(chosen):,} rows are called impossible (log density -inf)."] = (
            None
        )
    return Check(
        model=repr(model),
        columns=curves,
        rank=rank,
        energy=energy,
        mass=total_mass(model, rng.spawn(1)[0]) if isinstance(model, Foreign) else None,
        case=case,
        n=len(chosen),
        n_given=n_given,
        folds=cut.folds if cut else 0,
        draws=draws,
        level=LEVEL,
        notes=tuple(notes),
        random_state=random_state,
    )


def weigh(
    tally: Tally, rng: np.random.Generator, *, test: bool
) -> tuple[tuple[CalibrationCurve, ...], CalibrationCurve | None, Energy | None]:
    """Return the columns' curves, the rank's, and the energy distance, the level divided among them."""
    energy = tally.energy(0.5 * LEVEL, rng)
    columns, rank = tally.curves(LEVEL if energy is None else 0.5 * LEVEL, test=test)
    return columns, rank, energy


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
    say(f"{type(model).__name__}: was it fitted to these rows?")
    if repeatable and _is_fit_of(model, given):
        return "seen"
    return "new" if fitted else "known"


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
