"""Judges and the rows that they have not seen: from their curves and draws to a check."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.density import Density
from ..validation import Columns, Rows
from .checked import Check
from .classifier import classifier_test
from .curves import Tally
from .extras import extras_of
from .mass import Mass
from .verdict import RULE, Rule, overlap_of

__all__ = ["LEAST_TOLD", "LEVEL", "Judgement", "names_of"]

Floats = NDArray[np.float64]

LEVEL = 0.02
LEAST_TOLD = 50  # rows, below which a classifier has nothing to learn from


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
        self.overlaps.append((len(rows), overlap_of(judge, Rows(rows, judge.params_.columns))))

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
        told = (
            classifier_test(x, drawn, streams[1], each, names=names_of(tally.columns)) if told_too else None
        )
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


def names_of(columns: Columns) -> list[str]:
    """Return what the columns are called."""
    return [columns.label(j) for j in range(len(columns))]
