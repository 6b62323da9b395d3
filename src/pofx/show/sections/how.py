"""How the report was computed, and what to do next."""

from __future__ import annotations

from html import escape

from pofx import __version__
from pofx.show.page import short, text
from pofx.show.sections.told import Told

__all__ = ["how", "steps"]

ALWAYS = (
    "A standard error is the standard deviation over rows divided by √n; for a difference, of the rows' own "
    "differences. It does not know what the fits share. Intervals are of Student's t. A gain of g nats per "
    "row means that an unseen row is exp(g) times as likely, in the geometric mean over rows.",
    "The model to use is the simplest (Gaussian, then mixture, kernel estimate, histogram) within one paired "
    "standard error of the leader, fitted to all rows. Where a model's bumps are narrower than the recorded "
    "step of a column, the most that repeated values could give it is taken off its score: "
    "log(1 + 2 Σ exp(−2π²k²r²)), k = 1, 2, …, for a bump of standard deviation r steps below 1/2. Below "
    "r = 1/√12, narrower than rounding leaves anything, it cannot win.",
    "BIC = −2 log L + k log n, smaller is better, chooses the number and the structure of the components "
    "within a fit. Differences up to 2 are weak, up to 6 positive, up to 10 strong evidence, beyond that "
    "very strong (Kass and Raftery 1995). ICL = BIC − 2 Σ log r, r the share of a row's likeliest component, "
    "asks for components that do not overlap (Biernacki, Celeux and Govaert 2000).",
    "Contours are of the model fitted to all rows. The map beside them counts rows in cells and compares "
    "with what the fits that had not seen them expect there, in standard deviations of a count: "
    "2 (√(seen + 3/8) − √(expected + 3/8)) (Anscombe 1948).",
)
MOST_PAIRS = (
    "Of more than two columns each model's card shows the two in which rows and draws of the model differ "
    "most, by their energy distance (Székely and Rizzo 2013) over 16 directions of the plane."
)
STACKED = (
    "The stack is the mixture of the other models with the weights that make held-out rows likeliest; it is "
    "in the table because it beats each of them by more than two paired standard errors, its own rows judged "
    "with weights learnt from the rest."
)
MOST_REPR = 400  # characters of one model


def steps(told: Told) -> str:
    """Return what to do next, as commands."""
    listed = "".join(f"<li>{escape(words)}<pre>{escape(code)}</pre></li>" for words, code in told.steps)
    return f'<h2>What to do next</h2><ol class="steps">{listed}</ol>'


def how(told: Told) -> str:
    """Return how it was computed."""
    result = told.result
    cut = result.split
    models = "".join(
        f"<li><code>{escape(short(repr(model), MOST_REPR))}</code></li>"
        for model in list(result.models.values())[:50]
    )
    seed = result.random_state if isinstance(result.random_state, int) else "not a number"
    said = [
        f"{cut.sentence} (seed {seed}). Every model was fitted up to {cut.folds} times, each time without "
        "the rows held out, and asked for their log density; whatever a model chooses from data (bandwidth, "
        "bins, number of components) it chose anew in each fit. Log densities are natural logarithms in the "
        "units of the columns: when a column changes its unit they change by a constant, and their "
        "differences not at all.",
        *ALWAYS,
        *([STACKED] if any(entry.role == "stack" for entry in result.table) else []),
        *([MOST_PAIRS] if cut.rows.values.shape[1] > 2 else []),
    ]
    said += _checked(told)
    paragraphs = "".join(f"<p>{text(paragraph)}</p>" for paragraph in said)
    return (
        f'<section class="how" aria-label="How this was computed"><h2>How this was computed</h2>{paragraphs}'
        f"<p>Models, with what was not left at its default:</p><ul>{models}</ul><p>pofx {__version__}.</p>"
        "</section>"
    )


def _checked(told: Told) -> list[str]:
    """How the models were checked: what all checks share, and what each case means."""
    checks = [card.judged.check for card in told.cards if card.judged.check is not None]
    if not checks:
        return []
    level = 100.0 * (1.0 - checks[0].level)
    said = [
        "Calibration: a column's curve is the share of rows below each quantile of the model; the log "
        "density's is the share of rows among draws of the model, ordered by its density. Up to "
        f"{max(check.n for check in checks):,} rows are judged. Rounded values are spread over their cells, "
        "and draws rounded as the rows are. All tests of a model together hold for a known truth with "
        f"probability {level:.0f} %. AUC: of a row and a draw, how often boosted trees tell which is which."
    ]
    cases: dict[str, list[str]] = {}
    for check in checks:
        cases.setdefault(check.case_sentence, []).append(check.model)
    said += [f"{', '.join(names)}: {sentence}" for sentence, names in cases.items()]
    rule = checks[0].rule
    said.append(
        "The words: “good” where nothing tells rows and model apart, or, from "
        f"{rule.large:,} rows on, an AUC of at most {rule.good_auc:g} and regions that hold their share of "
        f"the rows to within {rule.good_points:g} points; “usable” an AUC of at most {rule.usable_auc:g} and "
        f"regions to within {rule.usable_points:g} points; “fails” otherwise."
    )
    return said
