"""From rows to the parameters of a mixture: which candidates, on which rows, and which one wins."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.fitting import Outcome
from ...core.fold import Data
from ...errors import DegenerateError, PofxWarning
from ...maths.gaussian_batch import cholesky
from ...maths.moments import Moments, correlation_condition, dependent_columns
from ..gaussian import COLLINEAR, NEARLY
from .em import Mixtures
from .frame import REGULAR, Frame
from .rows import CachedRows, Rows, StreamedRows, n_features
from .search import Candidate, Run, Search
from .starts import Sketch
from .structures import Structure

__all__ = ["Plan", "fit_mixture"]

SUBSAMPLE = 2_000  # distinct rows beyond which candidates are ranked on a sample
DISTINCT_ELEMENTS = 4_000_000  # numbers that finding all distinct rows may hold in memory
CACHE_BYTES = 64 * 2**20  # what rows and features may take beyond the data
PROMOTED = 3  # candidates that go on to all rows, with their neighbours
CONTENDERS = 10.0  # of BIC behind the leader within which a candidate climbs to the end
MOVES_ON_ALL_ROWS = 1e9  # rows × components² × columns² up to which moves are made on all rows too
FAR_OUT = 200.0  # standard deviation over that of the bulk from which outliers are named
LOOSE = 0.5  # nats still to gain, on all rows, at which candidates are compared first


@dataclass(frozen=True)
class Plan:
    """What was asked for.

    Attributes
    ----------
    structures, sizes : the candidates' structures and numbers of components
    automatic : whether there is a choice to make
    n_init, tol, max_iter : see GaussianMixture
    """

    structures: tuple[Structure, ...]
    sizes: tuple[int, ...]
    automatic: bool
    n_init: int
    tol: float
    max_iter: int


class _Fitting:
    """One fit: the rows in every form that it needs."""

    def __init__(self, data: Data, plan: Plan, rng: np.random.Generator) -> None:
        self.data, self.plan, self.rng = data, plan, rng
        self.notes: list[str] = []
        self.moments: Moments = data.fold(lambda x, w: Moments.of(x, w))
        few = data.n * data.d <= DISTINCT_ELEMENTS
        limit = None if few else max(DISTINCT_ELEMENTS // data.d, 10 * SUBSAMPLE)
        z, w = data.distinct(limit)
        self.n_distinct, self.complete = len(z), limit is None or len(z) < limit
        self.sketch = Sketch.of(z, w)
        self.whole = self.complete and len(z) <= SUBSAMPLE
        if len(z) > SUBSAMPLE:
            self.sketch = self.sketch.take(np.sort(rng.choice(len(z), SUBSAMPLE, replace=False)))
        self._frames: dict[bool, Frame] = {}
        self._full: dict[bool, Rows] = {}
        self._sketched: dict[bool, CachedRows] = {}
        self._cached = 0

    def frame(self, diagonal: bool) -> Frame:
        """Return the search space of full or diagonal structures."""
        if diagonal not in self._frames:
            self._frames[diagonal] = Frame.of(self.moments, self.data.units.exponent, diagonal=diagonal)
        return self._frames[diagonal]

    def sketch_rows(self, diagonal: bool) -> CachedRows:
        """Return the rows that are searched: all distinct ones, or a sample of them."""
        if diagonal not in self._sketched:
            frame = self.frame(diagonal)
            y = frame.rows(self.sketch.z)
            self._sketched[diagonal] = CachedRows(y, self.sketch.w, frame, diagonal=diagonal)
        return self._sketched[diagonal]

    def all_rows(self, diagonal: bool) -> Rows:
        """Return all rows, with their features in memory where that is little, else as they pass by."""
        if self.whole:
            return self.sketch_rows(diagonal)
        if diagonal not in self._full:
            data, frame = self.data, self.frame(diagonal)
            needed = 8 * data.n * (data.d + n_features(data.d, diagonal))
            if self._cached + needed <= CACHE_BYTES:
                self._cached += needed
                x, w = data.all()
                self._full[diagonal] = CachedRows(frame.rows(x), w, frame, diagonal=diagonal)
            else:
                self._full[diagonal] = StreamedRows(data, frame, diagonal=diagonal)
        return self._full[diagonal]

    @property
    def passes(self) -> int:
        """Passes over all rows so far (those over a sample count by its share)."""
        used = sum(r.passes for r in self._full.values())
        on_sketch = sum(r.passes for r in self._sketched.values())
        return 1 + used + math.ceil(on_sketch * (1.0 if self.whole else len(self.sketch) / self.data.n))

    def warn(self, note: str) -> None:
        """Say something that the user should know: in the record, and as a warning."""
        self.notes.append(note)
        warnings.warn(note, PofxWarning, stacklevel=6)


def fit_mixture(
    data: Data, plan: Plan, rng: np.random.Generator, start: dict[str, np.ndarray] | None = None
) -> tuple[dict[str, Any], Outcome]:
    """Return the parameters (unit space) and the outcome.

    Parameters
    ----------
    data : Data
    plan : Plan
    rng : Generator
    start : dict, optional
        Given initial ``weights`` (K,), ``means`` (K, d) and ``covariances`` ((K, d, d), unit space; each
        may be missing): then EM runs from there and nowhere else.

    Raises
    ------
    DegenerateError
        Where the rows cannot determine what was asked for.
    """
    fitting = _Fitting(data, plan, rng)
    _warn_of_outliers(fitting)
    structures = _possible_structures(fitting)
    sizes = _possible_sizes(fitting)
    candidates = [Candidate(s, k) for s in structures for k in sizes]
    if start is not None:
        _climb_from(fitting, candidates, start)
    else:
        _search(fitting, candidates)
    winner = _winner(candidates, data)
    run = winner.runs[0]
    state, log_likelihood = _polish(fitting, winner, run)
    converged = run.gap < plan.tol or winner.k == 1
    _say(fitting, winner, converged)
    trace = np.minimum([*run.trace, log_likelihood], log_likelihood) + data.total * data.units.log_jacobian
    table = _table(fitting, candidates) if plan.automatic else None
    return _values(fitting, winner, state), Outcome(
        converged=converged,
        message=_message(fitting, winner, converged, len(candidates)),
        passes=fitting.passes,
        trace=tuple(trace.tolist()),
        notes=tuple(fitting.notes),
        search=table,
    )


# ---------------------------------------------------------------- what can be fitted at all


def _possible_sizes(fitting: _Fitting) -> list[int]:
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


def _possible_structures(fitting: _Fitting) -> list[Structure]:
    """Return the structures that the columns allow; the others are named, with the remedy."""
    data, plan = fitting.data, fitting.plan
    full = [s for s in plan.structures if not s.diagonal]
    diagonal = [s for s in plan.structures if s.diagonal]
    if any(s.name == "spherical" for s in diagonal):
        diagonal = _without_impossible_spheres(fitting, diagonal)
    if not full or data.d == 1:
        return full + diagonal
    covariance = fitting.moments.covariance
    smallest, largest, direction = correlation_condition(covariance)
    too_few = fitting.n_distinct <= data.d
    if not too_few and smallest > NEARLY:
        return full + diagonal
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
        return full + diagonal
    if not diagonal:
        raise DegenerateError(
            f"{problem}, so no density with covariance_type={full[0].name!r} exists. Use covariance_type="
            "'diag', leave columns out, or shrink one Gaussian: Gaussian(shrinkage='ledoit_wolf')."
            + "".join(f" {note}" for note in fitting.notes)
        )
    fitting.warn(f"{problem}; only structures without correlation were considered.")
    return diagonal


def _without_impossible_spheres(fitting: _Fitting, structures: list[Structure]) -> list[Structure]:
    sphere = fitting.frame(True).sphere
    if np.isfinite(sphere).all() and sphere.max() < 1e290:
        return structures
    problem = (
        "One variance for all columns cannot be represented: the columns' scales differ by more than 1e145"
    )
    rest = [s for s in structures if s.name != "spherical"]
    if len(fitting.plan.structures) == 1:
        raise DegenerateError(f"{problem}. Use covariance_type='diag'.")
    fitting.notes.append(f"{problem}; 'spherical' was left out.")
    return rest


# ---------------------------------------------------------------- the search


def _search(fitting: _Fitting, candidates: list[Candidate]) -> None:
    """Fill the candidates with the best runs that the search finds."""
    data, plan = fitting.data, fitting.plan
    stones = [] if plan.automatic else _stepping_stones(candidates[0], fitting.n_distinct)
    everyone = sorted([*candidates, *stones], key=lambda c: c.k)
    kinds = sorted({c.structure.diagonal for c in everyone})
    sketched = {kind: fitting.sketch_rows(kind) for kind in kinds}
    search = Search(sketched, fitting.sketch, everyone, fitting.rng, plan.n_init)
    if len(everyone) > 1:
        search.go()
    else:
        search.screen_and_climb(search.first_starts(), 1)
    if not fitting.whole:
        candidates = _on_all_rows(fitting, search, candidates, stones)
    _finish(fitting, search, candidates)
    if not any(c.regular for c in candidates):
        # The best that there is lies on the floor: the maximum under the constraint, then.
        winner = _winner(candidates, data)
        search.finish([winner], tol=plan.tol, max_iter=plan.max_iter, leave_floor=False)
    elif plan.automatic or candidates[0].regular:
        search.close_ranks()


def _stepping_stones(c: Candidate, most: int) -> list[Candidate]:
    """Return neighbours of a single candidate: their solutions, cut or merged, are good starts for it."""
    return [Candidate(c.structure, k) for k in (c.k - 1, c.k + 1) if c.k > 1 and k <= most]


def _finish(fitting: _Fitting, search: Search, candidates: list[Candidate]) -> None:
    """Let every candidate that may still win climb until ``tol``."""
    plan, data = fitting.plan, fitting.data
    done: list[Candidate] = []
    while True:
        leader = min((c.bic(data.total, data.d) for c in candidates), default=math.inf)
        near = [
            c
            for c in candidates
            if c.runs
            and c not in done
            and (len(candidates) == 1 or c.bic(data.total, data.d) <= leader + CONTENDERS)
        ]
        if not near:
            return
        search.finish(near, tol=plan.tol, max_iter=plan.max_iter)
        done += near


def _on_all_rows(
    fitting: _Fitting, search: Search, candidates: list[Candidate], stones: list[Candidate]
) -> list[Candidate]:
    """Take the best candidates of the sample, and their neighbours, to all rows; return which went."""
    data, plan = fitting.data, fitting.plan
    share, d = data.total / float(fitting.sketch.w.sum()), data.d
    place = {(c.structure.name, c.k): c for c in candidates}

    def predicted(c: Candidate) -> float:
        # A fit is better on its own rows than on others by about half its number of parameters.
        k = c.structure.n_parameters(c.k, d)
        if not c.regular:
            return math.inf
        return -2.0 * (share * (c.runs[0].log_likelihood - k / 2.0) + k / 2.0) + k * math.log(data.total)

    def with_neighbours(chosen: list[Candidate]) -> list[Candidate]:
        near = [place.get((c.structure.name, c.k + step)) for c in chosen for step in (0, -1, 1)]
        return list({id(c): c for c in near if c is not None and c.runs}.values())

    def bic(c: Candidate) -> float:
        return c.bic(data.total, d)

    order = sorted(candidates, key=predicted)
    search.move_to({kind: fitting.all_rows(kind) for kind in search.rows}, share)
    promoted: list[Candidate] = []
    waiting = with_neighbours(order[:PROMOTED])
    while waiting:
        search.finish(waiting, tol=LOOSE, max_iter=plan.max_iter)
        promoted += waiting
        best = min(promoted, key=bic)
        # On to the neighbours of the best; with no regular optimum yet, to the next in the order.
        waiting = with_neighbours([best]) if best.regular else order
        waiting = [c for c in waiting if c not in promoted][: 2 if best.regular else PROMOTED]
    search.candidates = [*promoted, *stones]
    cheap = data.n * sum(c.k**2 for c in search.candidates) < MOVES_ON_ALL_ROWS / d**2
    if cheap or not all(c.regular for c in promoted):
        # What was regular on the sample need not be so on all rows: split and merge once more.
        search.finish(stones, tol=LOOSE, max_iter=plan.max_iter)
        search.move_on(1)
    search.candidates = promoted
    for c in candidates:
        if c not in promoted:
            c.runs = []
    return promoted


def _climb_from(fitting: _Fitting, candidates: list[Candidate], start: dict[str, np.ndarray]) -> None:
    """Run EM from given parameters only."""
    from .given import state_from_given

    kinds = sorted({c.structure.diagonal for c in candidates})
    sketched = {kind: fitting.sketch_rows(kind) for kind in kinds}
    search = Search(sketched, fitting.sketch, candidates, fitting.rng, 1)
    search.rows = {kind: fitting.all_rows(kind) for kind in kinds}
    share = fitting.data.total / float(fitting.sketch.w.sum())
    jobs = []
    for c in candidates:
        state = state_from_given(fitting.sketch_rows(c.structure.diagonal), c.k, start)
        state[0] *= share
        jobs.append((c, state))
    plan = fitting.plan
    arrived = search.run(jobs, tol=plan.tol, max_iter=plan.max_iter, accelerate=True, leave_floor=False)
    for (c, _), r in zip(jobs, arrived, strict=True):
        c.add([r])


def _winner(candidates: Sequence[Candidate], data: Data) -> Candidate:
    """Return the candidate of least BIC among those with a regular optimum, the simplest on a tie."""
    found = [c for c in candidates if c.runs]
    regular = [c for c in found if c.regular]
    if regular:
        return min(regular, key=lambda c: c.bic(data.total, data.d))
    return max(found, key=lambda c: (-c.k, c.runs[0].log_likelihood))


# ---------------------------------------------------------------- the answer


def _polish(fitting: _Fitting, winner: Candidate, run: Run) -> tuple[np.ndarray, float]:
    """Return the final state and its log-likelihood (unit space), both from the centred form."""
    rows = fitting.all_rows(winner.structure.diagonal)
    mixtures = Mixtures([winner.k], [winner.structure])
    d, state = rows.d, run.state
    constant = rows.total * rows.frame.log_det
    if winner.k == 1:
        state = _one_component(fitting, winner.structure.diagonal)
    value = -math.inf
    for last in (False, False, True):
        cov, _ = mixtures.m_step(state, rows)
        log_weight = np.log(np.maximum(state[0], 1e-250) / state[0].sum())
        now, reached = rows.e_step(log_weight, state[1 : 1 + d], cov, mixtures.segments, centred=True)
        gain, value = float(now[0]) - value, float(now[0])
        if last or winner.k == 1 or gain < fitting.plan.tol:
            break
        state = reached
    return state, value + constant


def _one_component(fitting: _Fitting, diagonal: bool) -> np.ndarray:
    """Return the state of a single Gaussian: the closed form."""
    from .batch import lower_triangle

    frame, d = fitting.frame(diagonal), fitting.data.d
    covariance = fitting.moments.covariance
    if diagonal:
        own = np.diag(covariance) * frame.matrix**2
    else:
        a = np.diag(frame.matrix) if frame.matrix.ndim == 1 else frame.matrix
        own = (a @ covariance @ a.T)[lower_triangle(d)]
    return np.concatenate([[fitting.data.total], np.zeros(d), own])[:, None]


def _values(fitting: _Fitting, winner: Candidate, state: np.ndarray) -> dict[str, Any]:
    """Return the parameters in unit space, components in the order of their means."""
    structure, d = winner.structure, fitting.data.d
    frame = fitting.frame(structure.diagonal)
    rows = fitting.all_rows(structure.diagonal)
    cov, _ = Mixtures([winner.k], [structure]).m_step(state, rows)
    means = frame.means_back(state[1 : 1 + d])
    order = np.lexsort(means.T[::-1])
    weights = state[0] / state[0].sum()
    values: dict[str, Any] = {
        "weights": weights[order],
        "means": means[order],
        "covariance_type": structure.name,
    }
    if structure.diagonal:
        values["variances"] = frame.covariances_back(cov)[order]
        return values
    factor = np.moveaxis(cholesky(cov)[0], 2, 0)[order]
    # A⁻¹ is lower triangular, so its product with a Cholesky factor is one.
    factor = frame.inverse[:, None] * factor if frame.inverse.ndim == 1 else frame.inverse @ factor
    values["cholesky"] = factor[0] if structure.shared else factor
    return values


def _say(fitting: _Fitting, winner: Candidate, converged: bool) -> None:
    """Warn of what the user should know about the winner."""
    if not winner.regular:
        fitting.warn(
            f"No regular optimum was found for {winner.k} components with covariance_type="
            f"{winner.structure.name!r}: some component shrinks onto rows that hardly vary in some direction "
            "(repeated or rounded values?), where the likelihood is unbounded. Its least variance was held "
            f"at {REGULAR:g} of the columns' own. Use fewer components, or a simpler covariance_type."
        )
    if not converged:
        fitting.warn(
            f"EM stopped after max_iter={fitting.plan.max_iter} passes before the remaining gain was known "
            f"to be below tol={fitting.plan.tol:g} nats. Raise max_iter or tol."
        )


def _warn_of_outliers(fitting: _Fitting) -> None:
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


def _message(fitting: _Fitting, winner: Candidate, converged: bool, count: int) -> str:
    s, plan = winner.structure, fitting.plan
    what = f"{winner.k} component{'s' if winner.k > 1 else ''}, {s.name} ({s.mclust})"
    chosen = f", chosen by BIC among {count} candidates" if plan.automatic else ""
    if winner.k == 1:
        return f"{what}{chosen}: the closed form."
    if converged:
        return f"{what}{chosen}; less than {plan.tol:g} nats of log-likelihood are left to gain here."
    return f"{what}{chosen}; stopped at max_iter={plan.max_iter} before the gain was known to be small."


def _table(fitting: _Fitting, candidates: Sequence[Candidate]) -> tuple[dict[str, Any], ...]:
    """Return the candidates as plain data, log-likelihoods and BIC in data units."""
    data, plan = fitting.data, fitting.plan
    shift = data.total * data.units.log_jacobian
    leader = min((c.bic(data.total, data.d) for c in candidates), default=math.inf)
    table = []
    for c in candidates:
        k = c.structure.n_parameters(c.k, data.d)
        best = c.best
        value = None if best is None else best.log_likelihood + shift
        bic = None if value is None else -2.0 * value + k * math.log(data.total)
        settled = best is not None and (best.gap < plan.tol or c.k == 1)
        if best is None:
            why = f"ranked lower on a sample of {len(fitting.sketch):,} rows; not fitted to all rows"
        elif not c.regular:
            why = "no regular optimum found: a component shrinks onto few rows"
        elif settled:
            why = f"less than {plan.tol:g} nats left to gain"
        else:
            why = f"not pursued: its BIC is {c.bic(data.total, data.d) - leader:.1f} behind the best"
        table.append(
            {
                "covariance_type": c.structure.name,
                "n_components": c.k,
                "log_likelihood": value,
                "n_parameters": k,
                "bic": bic,
                "regular": c.regular,
                "converged": settled,
                "why": why,
            }
        )
    return tuple(table)
