"""How a fit came about: the table of candidates by BIC, and the path of EM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pofx.core.density import Density
from pofx.errors import UnsupportedError
from pofx.show.figure import Axis, Curve, Figure, Legend, Mark, Note, Panel, Points
from pofx.show.pictures.parts import joined

__all__ = ["em_trace", "search_table"]


def search_table(model: Density, name: str, has: Sequence[str]) -> Figure:
    """Return BIC against the number of components, a line per covariance structure.

    The chosen candidate is marked; candidates without a regular optimum are hollow. Candidates far worse
    than one component lie above the picture, and the caption says so.
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
    low, high, step = _interesting(pool)
    structures = list(dict.fromkeys(row["covariance_type"] for row in table))
    marks: list[Mark] = []
    labels: list[str] = []
    above: list[str] = []
    for k, structure in enumerate(structures):
        mine = sorted(
            (r for r in regular if r["covariance_type"] == structure), key=lambda r: r["n_components"]
        )
        label = _structure_name(structure)
        if mine and min(r["bic"] for r in mine) > high:
            above.append(f"{label} ({min(r['bic'] for r in mine):,.0f} at best)")
        elif mine:
            at = np.array([r["n_components"] for r in mine], dtype=float)
            bic = np.array([r["bic"] for r in mine])
            marks.append(Curve(at, bic, label, role="series", series=k, dots=True))
            labels.append(label)
    odd = [row for row in known if not row["regular"]]
    for k, structure in enumerate(structures):
        mine = [row for row in odd if row["covariance_type"] == structure and low <= row["bic"] <= high]
        if mine:
            at, bic = (np.array([float(r[key]) for r in mine]) for key in ("n_components", "bic"))
            marks.append(Points(at, bic, "no regular optimum", role="irregular", series=k))
            labels.append("no regular optimum")
    series = structures.index(chosen["covariance_type"])
    x, y = float(chosen["n_components"]), float(chosen["bic"])
    marks.append(Points(np.array([x]), np.array([y]), "chosen", role="chosen", series=series))
    many = "component" if x == 1 else "components"
    marks.append(Note(x, y, f"{chosen['n_components']} {many}, {_structure_name(chosen['covariance_type'])}"))
    sizes = sorted({int(row["n_components"]) for row in table})
    panel = Panel(
        Axis("components", sizes[0] - 0.4, sizes[-1] + 0.4, at=tuple(map(float, sizes))),
        Axis("BIC, smaller is better", low, high),
        tuple(marks),
        legend=Legend(tuple(dict.fromkeys(labels)), "covariances", place="right"),
    )
    return Figure(f"{name}: candidates by BIC", _search_caption(chosen, regular, odd, above, step), (panel,))


def _chosen(model: Density, pool: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    own = (getattr(model, "covariance_type_", None), getattr(model, "n_components_", None))
    mine = [row for row in pool if (row["covariance_type"], row["n_components"]) == own]
    return mine[0] if mine else min(pool, key=lambda row: row["bic"])


def _interesting(pool: Sequence[Mapping[str, Any]]) -> tuple[float, float, float]:
    """From the best BIC to one component's, or to the middle of the field if that is worse."""
    bics = np.array([row["bic"] for row in pool])
    best = float(bics.min())
    one = [row["bic"] for row in pool if row["n_components"] == 1]
    high = max([float(np.median(bics)), *([min(one)] if one else [])])
    wide = max(high - best, 1e-9 * abs(best), 1.0)
    high = min(high, float(bics.max()))
    return best - 0.12 * wide, max(high, best + 0.5 * wide) + 0.06 * wide, wide


def _search_caption(
    chosen: Mapping[str, Any], regular: list[Any], odd: list[Any], above: list[str], step: float
) -> str:
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
