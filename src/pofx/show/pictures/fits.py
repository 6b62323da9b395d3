"""How a fit came about: the table of candidates by BIC and ICL, tests of their number, and the path of EM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pofx.core.density import Density
from pofx.errors import UnsupportedError
from pofx.show.figure import Axis, Curve, Figure, Legend, Mark, Note, Panel, Points
from pofx.show.pictures.parts import joined

if TYPE_CHECKING:
    from pofx.models.mixture.ratio_test import RatioTests

__all__ = ["em_trace", "ratio_tests", "search_table"]


MANY = 10  # candidates, of which most are to be told apart
FAR = 3.0  # widths of the field, beyond which one component lies above the picture
CRITERIA = {
    "bic": "BIC",
    "icl": "ICL",  # BIC, with the doubt about which component a row is from counted against it
}


def search_table(model: Density, name: str, has: Sequence[str], tests: RatioTests | None = None) -> Figure:
    """Return BIC against the number of components, a line per covariance structure; beside it ICL.

    The chosen candidate is marked; candidates without a regular optimum are hollow. Candidates far worse
    than one component lie above the picture, and the caption says so. ``tests`` adds the p-values of K
    components against K + 1.
    """
    table = model.fit_.search
    if not table or "n_components" not in table[0]:
        raise _has_no(model, "search", "it did not choose among candidates", has)
    known = [row for row in table if row["bic"] is not None]
    regular = [row for row in known if row["regular"]]
    pool = regular or known
    if not pool:
        raise _has_no(model, "search", "none of its candidates has a BIC", has)
    chosen = _chosen(model, pool)
    first, above = _criterion(table, pool, chosen, "bic")
    panels = [first]
    if tests is not None:
        panels.append(_p_values(tests))
    by_icl = all(row.get("icl") is not None for row in pool)
    if by_icl:
        panels.append(_criterion(table, pool, chosen, "icl")[0])
    if len(panels) > 1:  # one key for all, at the right end
        last = panels[-1] if by_icl else first
        panels = [
            replace(p, place="grid", column=k, legend=p.legend if p is last else None)
            for k, p in enumerate(panels)
        ]
    else:
        panels = [replace(first, title="")]
    odd = [row for row in known if not row["regular"]]
    caption = _search_caption(chosen, regular, odd, above)
    if by_icl:
        best = min(pool, key=lambda row: row["icl"])
        caption += f" By ICL, which asks for components that do not overlap: {_named(best)}."
    if tests is not None:
        caption += f" {_tests_said(tests)}"
    return Figure(f"{name}: candidates by BIC", caption, tuple(panels))


def _criterion(
    table: Sequence[Mapping[str, Any]], pool: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], key: str
) -> tuple[Panel, list[str]]:
    """Return the panel of one criterion, and the structures that lie above it."""
    low, high = _interesting(pool, key)
    structures = list(dict.fromkeys(row["covariance_type"] for row in table))
    marks: list[Mark] = []
    labels: list[str] = []
    above: list[str] = []
    for k, structure in enumerate(structures):
        label = _structure_name(structure)
        mine = [r for r in table if r["covariance_type"] == structure and r.get(key) is not None]
        good = sorted((r for r in mine if r["regular"]), key=lambda r: r["n_components"])
        if good and min(r[key] for r in good) > high:
            above.append(f"{label} ({min(r[key] for r in good):,.0f} at best)")
        elif good:
            marks.append(Curve(*_line(good, key), label, role="series", series=k, dots=True))
            labels.append(label)
    for k, structure in enumerate(structures):
        odd = [
            r
            for r in table
            if r["covariance_type"] == structure
            and not r["regular"]
            and r.get(key) is not None
            and low <= r[key] <= high
        ]
        if odd:
            marks.append(Points(*_line(odd, key), "no regular optimum", role="irregular", series=k))
            labels.append("no regular optimum")
    x, y = float(chosen["n_components"]), float(chosen[key])
    series = structures.index(chosen["covariance_type"])
    marks.append(Points(np.array([x]), np.array([y]), "chosen", role="chosen", series=series))
    if key == "bic":
        marks.append(Note(x, y, _named(chosen)))
    one = [r[key] for r in pool if r["n_components"] == 1]
    if one and min(one) > high:
        above.insert(0, f"one component ({min(one):,.0f} at best)")
    sizes = sorted({int(row["n_components"]) for row in table})
    panel = Panel(
        Axis("components", sizes[0] - 0.4, sizes[-1] + 0.4, at=tuple(map(float, sizes))),
        Axis(f"{CRITERIA[key]}, smaller is better", low, high),
        tuple(marks),
        legend=Legend(tuple(dict.fromkeys(labels)), "covariances", place="right"),
        title=CRITERIA[key],
    )
    return panel, above


def _line(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(r["n_components"]) for r in rows]), np.array([float(r[key]) for r in rows])


def ratio_tests(tests: RatioTests) -> Figure:
    """Return the p-values of K components against K + 1."""
    return Figure("How many components, by likelihood ratio", _tests_said(tests), (_p_values(tests),))


def _p_values(tests: RatioTests) -> Panel:
    k = np.array([float(t.n_components) for t in tests.tests])
    p = np.array([t.p_value for t in tests.tests])
    ends = np.array([k[0] - 0.4, k[-1] + 0.4])
    top = max(1.15 * float(p.max()), 2.5 * tests.level, 0.1)
    return Panel(
        Axis("K, against K + 1", float(ends[0]), float(ends[1]), at=tuple(k.tolist())),
        Axis("p-value", 0.0, top),
        (
            Curve(ends, np.full(2, tests.level), f"level {tests.level:g}", role="context"),
            Curve(k, p, "p-value", dots=True),
            Note(float(ends[0]), tests.level + 0.05 * top, f"{tests.level:g}", place="right"),
        ),
        title="Likelihood ratio",
    )


def _tests_said(tests: RatioTests) -> str:
    last = tests.tests[-1]
    told = joined([f"{t.p_value:.3g} for K = {t.n_components}" for t in tests.tests])
    end = (
        f"{last.n_components} is not rejected"
        if tests.n_components == last.n_components
        else f"all up to {last.n_components} are rejected"
    )
    return (
        f"Likelihood ratio of K against K + 1 components ({_structure_name(tests.covariance_type)}), by "
        f"{len(last.simulated)} samples drawn with K: p is {told}; {end} at the level {tests.level:g}."
    )


def _chosen(model: Density, pool: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    own = (getattr(model, "covariance_type_", None), getattr(model, "n_components_", None))
    mine = [row for row in pool if (row["covariance_type"], row["n_components"]) == own]
    return mine[0] if mine else min(pool, key=lambda row: row["bic"])


def _interesting(pool: Sequence[Mapping[str, Any]], key: str) -> tuple[float, float]:
    """From the best value to three quarters of the field, or to one component's if that is not far beyond."""
    values = np.array([row[key] for row in pool])
    best = float(values.min())
    few = len(pool) < MANY
    field = values if few else [row[key] for row in pool if row["n_components"] > 1] or values
    wide = max(float(np.quantile(field, 0.5 if few else 0.75)) - best, 1e-9 * abs(best), 1.0)
    one = [row[key] for row in pool if row["n_components"] == 1]
    if one and (few or min(one) - best < FAR * wide):
        wide = max(wide, min(one) - best)
    wide = max(min(wide, float(values.max()) - best), 1e-9 * abs(best), 1.0)
    return best - 0.22 * wide, best + 1.06 * wide


def _search_caption(chosen: Mapping[str, Any], regular: list[Any], odd: list[Any], above: list[str]) -> str:
    best = sorted((row for row in regular if row is not chosen), key=lambda row: row["bic"])
    said = (
        "BIC = −2 log L + k log n of each number of components, a line per covariance structure. Chosen: "
        f"{_named(chosen)}, BIC {chosen['bic']:,.1f}"
    )
    if best:
        said += f"; next is {_named(best[0])}, {best[0]['bic'] - chosen['bic']:+,.1f}".replace("-", "−")
    said += "."
    if odd:
        names = joined([_named(row) for row in odd[:4]])
        more = f" and {len(odd) - 4} more" if len(odd) > 4 else ""
        said += f" Without a regular optimum, so not ranked (hollow): {names}{more}."
    if above:
        said += f" Above the picture: {joined(above)}."
    return said


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['n_components']} × {_structure_name(row['covariance_type'])}"


def _structure_name(name: str) -> str:
    from pofx.models.mixture.structures import structure

    return repr(structure(name))


def em_trace(model: Density, name: str, has: Sequence[str]) -> Figure:
    """Return the log-likelihood after each pass of an iterative fit."""
    trace = np.array(model.fit_.trace, dtype=float)
    if not len(trace):
        raise _has_no(model, "trace", "its fit takes no steps that could be followed", has)
    at = np.arange(1, len(trace) + 1, dtype=float)
    low, high = float(trace.min()), float(trace.max())
    wide = (high - low) or max(abs(high) * 1e-6, 1e-9)
    mark = Curve(at, trace, "log-likelihood", dots=len(trace) <= 60)
    panel = Panel(
        Axis("pass over the rows", 0.5, len(trace) + 0.5, at=_whole_ticks(len(trace))),
        Axis("log-likelihood", low - 0.06 * wide, high + 0.06 * wide, unit="nats"),
        (mark,),
    )
    end = "Converged" if model.fit_.converged else "Not converged"
    return Figure(
        f"{name}: the path of EM",
        "The total log-likelihood after each pass of the run that won: from "
        + f"{trace[0]:,.2f} to {trace[-1]:,.2f} nats. ".replace("-", "−")
        + f"{end}: {model.fit_.message}",
        (panel,),
    )


def _whole_ticks(n: int) -> tuple[float, ...]:
    """Return 1 and round numbers up to n, about eight."""
    rough = max(n / 8, 1.0)
    power = 10.0 ** np.floor(np.log10(rough))
    step = int(next(m * power for m in (1, 2, 5, 10) if m * power >= rough))
    return (1.0, *(float(v) for v in range(step, n + 1, step) if v > 1))


def _has_no(model: Density, what: str, why: str, has: Sequence[str]) -> UnsupportedError:
    return UnsupportedError(
        f"{type(model).__name__} has no {what} to show: {why}. What it has: {', '.join(map(repr, has))}."
    )
