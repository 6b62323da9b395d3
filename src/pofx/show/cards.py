"""A card per model: what it looks like, where rows exceed it, whether it is calibrated, where it fails."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.errors import PofxError, PofxWarning
from pofx.evaluate.check import LEVEL, Check, weigh
from pofx.evaluate.compare import Comparison, Entry
from pofx.evaluate.curves import Tally, percent
from pofx.evaluate.family import family_of
from pofx.maths.bins import lattice_step
from pofx.show.figure import Axis, Band, Curve, Figure, Panel, Regions
from pofx.show.page import minus, number
from pofx.show.picture import picture
from pofx.show.svg import frame_of, to_inline_svg
from pofx.validation import Rows

__all__ = ["Judged", "card", "judge", "worst"]

Array = NDArray[np.float64]

MOST_JUDGED = 2_000  # rows behind a calibration curve: a gap of 4 % of the rows shows
MOST_COLUMNS = 40  # whose calibration is looked at
DRAWS = 4_000
CELLS = 14  # of a residual map, along each side
FEW_GRID = 10  # points of the density's grid in a cell of the map, at least


@dataclass(frozen=True, eq=False)
class Judged:
    """A model of the comparison, fitted to all rows, and its calibration on held-out rows."""

    entry: Entry
    model: Density | None
    check: Check | None
    problem: str = ""


def judge(result: Comparison, entry: Entry) -> Judged:
    """Fit a model to all rows, and let the fits of its folds judge the rows that they have not seen."""
    if entry.held_out.failure:
        return Judged(entry, None, None, entry.held_out.failure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # the folds have said it already
        try:
            model = result.fitted(entry.name)
        except PofxError as error:
            return Judged(entry, None, None, str(error))
        try:
            return Judged(entry, model, _calibration(result, entry))
        except (PofxError, NotImplementedError) as error:
            return Judged(entry, model, None, str(error))


def _calibration(result: Comparison, entry: Entry) -> Check | None:
    cut, fits = result.split, entry.held_out.models
    n, d = cut.rows.values.shape
    if not fits or d > MOST_COLUMNS or n < 20 or cut.weights is not None:
        return None
    rng = np.random.default_rng(0)
    chosen = np.zeros(n, dtype=bool)
    chosen[np.arange(n) if n <= MOST_JUDGED else rng.choice(n, MOST_JUDGED, replace=False)] = True
    tally = Tally(cut.rows.columns, int(chosen.sum()), DRAWS)
    for k, fit in enumerate(fits):
        mine = chosen & (cut.part == k)
        if mine.any():
            tally.add(fit, cut.rows.values[mine], rng)
    curves, rank, energy = weigh(tally, rng.spawn(1)[0], test=False)
    return Check(
        model=entry.name, columns=curves, rank=rank, energy=energy, mass=None, case="seen",
        n=int(chosen.sum()), n_given=n, folds=cut.folds, draws=DRAWS, level=LEVEL, notes=(), random_state=0,
    )  # fmt: skip


# ---------------------------------------------------------------- the card


def card(result: Comparison, judged: Judged, number_of: int, badge: str) -> str:
    """Return the card as HTML."""
    entry, model = judged.entry, judged.model
    title = f'<h3 id="model-{number_of}">{escape(entry.name)} {badge}</h3>'
    if model is None:
        return f'<article class="card">{title}<p class="why">{escape(judged.problem)}</p></article>'
    pictures = _pictures(result, judged)
    shown = f'<div class="panels">{"".join(pictures)}</div>' if pictures else ""
    said = f"<p><b>Where it fails:</b> {escape(minus(fails(result, judged)))}</p>"
    made = f'<p class="why">{escape(minus(_made(result, judged)))}</p>'
    return f'<article class="card">{title}{shown}{said}{made}</article>'


def _pictures(result: Comparison, judged: Judged) -> list[str]:
    model = judged.model
    assert model is not None
    values, out = result.split.rows.values, []
    try:
        figure = picture(model, values, judged.entry.name)
    except (PofxError, NotImplementedError):
        figure = None  # a model without the quantities that a picture needs; the numbers stand alone
    one = values.shape[1] == 1
    if figure is not None:
        size = {"wide": 520.0} if one else {}
        out.append(_panel(to_inline_svg(figure, **size), _caption(result, figure), wide=one))
        if not one:
            out += _residuals(result, figure)
    if judged.check is not None:
        out.append(_calibration_panel(judged.check))
    return out


def _panel(svg: str, caption: str, *, wide: bool = False) -> str:
    kind = ' class="two"' if wide else ""
    return f"<figure{kind}>{svg}<figcaption>{escape(minus(caption))}</figcaption></figure>"


def _caption(result: Comparison, figure: Figure) -> str:
    n, d = result.split.rows.values.shape
    marks = {type(mark).__name__ for mark in figure.main.marks}
    if d == 1:
        return "The rows (bars) and the density fitted to all of them (line); shaded: 95 % of its mass."
    rows = f"the {n:,} rows (grey)" if "Cells" in marks or n > 2_000 else "the rows (dots)"
    pair = "" if d == 2 else f" Of {d} columns, the two with the strongest rank correlation."
    regions = "Regions with 50, 80 and 95 % of the mass, over " if "Regions" in marks else "Here are "
    return f"{regions}{rows}.{pair}"


def _residuals(result: Comparison, figure: Figure) -> list[str]:
    """The map of rows minus what the model expects, in standard deviations of a count."""
    panel = figure.main
    regions = next((mark for mark in panel.marks if isinstance(mark, Regions)), None)
    columns = result.split.rows.columns
    names = [columns.label(j) for j in range(len(columns))]
    if regions is None or panel.x.label not in names or panel.y.label not in names:
        return []
    i, j = names.index(panel.x.label), names.index(panel.y.label)
    rows = result.split.rows.values[:, [i, j]]
    w = result.split.weights
    x_edges, y_edges = _edges(panel.x, rows[:, 0]), _edges(panel.y, rows[:, 1])
    seen, _, _ = np.histogram2d(rows[:, 1], rows[:, 0], [y_edges, x_edges], weights=w)
    total = float(len(rows) if w is None else w.sum())
    expected = total * _mass(regions, x_edges, y_edges)
    z = 2.0 * (np.sqrt(seen + 0.375) - np.sqrt(expected + 0.375))  # Anscombe (1948): about N(0, 1)
    frame = frame_of(panel)
    body = ""
    for name, low, high in (("1", 1.0, 2.0), ("2", 2.0, 3.0), ("3", 3.0, np.inf)):
        for sign, word in ((1.0, "more"), (-1.0, "less")):
            chosen = (sign * z >= low) & (sign * z < high)
            if chosen.any():
                body += f'<path class="{word}{name}" d="{frame.cells(x_edges, y_edges, chosen)}"/>'
    svg = frame.draw(body, title=f"{figure.title}: where rows exceed the model")
    said = "Orange: more rows than the model expects, blue: fewer; from 1, 2 and 3 standard deviations on."
    return [_panel(svg, said)]


def _edges(axis: Axis, x: Array) -> Array:
    """Equal cells over an axis; where values lie on a lattice, between them and whole steps wide."""
    width = (axis.high - axis.low) / CELLS
    step = lattice_step(np.unique(x))
    if step is None or step < width / 8:
        return np.linspace(axis.low, axis.high, CELLS + 1)
    width = step * max(1.0, np.rint(width / step))
    start = x.min() - step / 2
    first = start - width * np.ceil((start - axis.low) / width)
    count = int(np.ceil((axis.high - first) / width))
    return np.asarray(first + width * np.arange(count + 1))


def _mass(regions: Regions, x: Array, y: Array) -> Array:
    """The model's mass in each cell, by the density on the grid, interpolated along both axes."""
    with np.errstate(under="ignore"):
        p = np.exp(regions.log_density)
    grids = (regions.x, regions.y)
    at = [np.interp(_fine(e), g, np.arange(len(g))) for e, g in zip((x, y), grids, strict=True)]
    low = [np.minimum(a.astype(int), len(g) - 2) for a, g in zip(at, grids, strict=True)]
    tx, ty = at[0] - low[0], (at[1] - low[1])[:, None]
    rows = p[low[1]] * (1 - ty) + p[low[1] + 1] * ty
    dense = rows[:, low[0]] * (1 - tx) + rows[:, low[0] + 1] * tx
    cells = dense.reshape(len(y) - 1, FEW_GRID, len(x) - 1, FEW_GRID).mean(axis=(1, 3))
    return np.asarray(cells * np.diff(y)[:, None] * np.diff(x))


def _fine(edges: Array) -> Array:
    inside = (np.arange(FEW_GRID) + 0.5) / FEW_GRID
    return np.asarray((edges[:-1, None] + np.diff(edges)[:, None] * inside).ravel())


def _calibration_panel(check: Check) -> str:
    curve = check.worst
    gap = 100.0 * (curve.share - curve.z)
    low, high = 100.0 * (curve.low - curve.z), 100.0 * (curve.high - curve.z)
    ends = np.concatenate([[0.0], curve.z, [1.0]])
    line, below, above = (np.concatenate([[0.0], part, [0.0]]) for part in (gap, low, high))
    reach = 1.15 * float(max(np.abs(line).max(), above.max(), -below.min(), 1.0))
    panel = Panel(
        Axis(f"quantile of {curve.name} by the model", 0.0, 1.0),
        Axis("rows below it, too many (%)", -reach, reach),
        (
            Band(ends, below, above, 0.95, "band"),
            Curve(np.array([0.0, 1.0]), np.zeros(2), "none", role="context"),
            Curve(ends, line, "rows"),
        ),
    )
    figure = Figure(f"Calibration of {curve.name}", "", (panel,))
    where = "inside" if curve.inside else "leaves"
    return _panel(
        to_inline_svg(figure),
        f"Calibration on held-out rows: the curve with the largest gap, {curve.name}, {where} its 95 % band.",
    )


# ---------------------------------------------------------------- sentences


def fails(result: Comparison, judged: Judged) -> str:
    """Return one sentence saying where the model fails, from its calibration and its losses."""
    parts = []
    check = judged.check
    if check is not None and not check.passed:
        outside = check.curves_outside
        more = f" ({outside} of {len(check.curves)} curves leave their bands)" if outside > 1 else ""
        parts.append(f"{worst(check)}{more}")
    lost = _losses(result, judged)
    if lost:
        parts.append(lost)
    if parts:
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}."
    if check is None:
        return "Its calibration was not looked at; the numbers in the table stand alone."
    shown = max(curve.half_width for curve in check.curves)
    return (
        f"Nothing that chance would not explain; with {check.n:,} rows, gaps of more than {percent(shown)} "
        "of the rows would have shown."
    )


def worst(check: Check) -> str:
    """The largest gap in words; for the rank of the log density, what it says of the model's width."""
    curve = check.worst
    if not check.curves_outside and not check.together:
        return check.energy_sentence
    if curve is not check.rank:
        return curve.sentence
    if curve.gap < 0:
        return (
            f"it is too wide, with mass where there are no rows: {percent(curve.observed)} of the rows lie "
            f"where its density is low, {percent(curve.expected)} of its own draws do"
        )
    return (
        f"it is too narrow: {percent(curve.observed)} of the rows lie where its density is low, only "
        f"{percent(curve.expected)} of its own draws do"
    )


def _losses(result: Comparison, judged: Judged) -> str:
    """Where it loses most against the leader, if it does."""
    entry, leader = judged.entry, result[result.leader_name]
    record = entry.held_out
    if entry.name == leader.name or not entry.difference < -2.0 * entry.difference_error:
        return _nothing(entry)
    lost = leader.held_out.scores - record.scores
    order = np.argsort(-lost, kind="stable")
    reached = np.cumsum(lost[order])
    k = int(np.argmax(reached >= 0.5 * reached[-1])) + 1
    worst = np.zeros(len(lost), dtype=bool)
    worst[order[:k]] = True
    text = f"half of what it loses to {leader.name} comes from {percent(k / len(lost))} of the rows"
    place = _place(result.split.rows, worst)
    return text + (f", mostly with {place}" if place and 5 <= k < 0.8 * len(lost) else "")


def _nothing(entry: Entry) -> str:
    if not entry.held_out.outside:
        return ""
    return f"{entry.empty}, which it calls impossible (median score {number(entry.held_out.median)})"


def _place(rows: Rows, chosen: NDArray[np.bool_]) -> str:
    """The column in whose order the chosen rows stand out most, and where they are in it."""
    from scipy.stats import rankdata

    best, told = 0.12, ""
    for j in range(min(rows.values.shape[1], 200)):
        x = rows.values[:, j]
        ranks = rankdata(x) / len(x)
        a, b = np.quantile(ranks[chosen], [0.1, 0.9])
        inside = (ranks >= a) & (ranks <= b)
        # how much denser the chosen rows are in this range than elsewhere
        lift = float(inside[chosen].mean() - inside.mean())
        if lift > best:
            best = lift
            low, high = np.quantile(x[chosen], [0.1, 0.9])
            told = f"{rows.columns.label(j)} from {_shown(low)} to {_shown(high)}"
    return told


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _made(result: Comparison, judged: Judged) -> str:
    """How it was fitted, and what BIC says within its family."""
    model, record = judged.model, judged.entry.held_out
    assert model is not None
    fit = model.fit_
    state = "" if fit.converged else "It did not converge. "
    text = f"Fitted to all {fit.n_rows:,} rows: {state}{fit.message}"
    if judged.entry.name != result.best_name:
        family = family_of(model, record, result.split, lambda _: None, rivals=False)
        if family is not None:
            text = f"{text} {family.sentence}"
    notes = [note for note in fit.notes if note not in text][:3]
    return " ".join([text, *(note if note.endswith(".") else f"{note}." for note in notes)])
