"""The rows of the table, their order, and who may win.

Kinds of log density are never ranked across. ``exact`` ones are ranked where there are any. A lower ``bound``
beside them can only be better than it looks, so where it lies above all of them it leads, and where it lies
below nothing follows. An ``estimate``, off by noise of its own, leads only among its like. The truth, where
it is known, and the Gaussian that is added for comparison are shown, and win nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..core.density import Density
from .heldout import HeldOut, paired
from .spread import Mean

__all__ = ["Criteria", "Entry", "ranked"]

ROLES = ("candidate", "given", "stack", "baseline", "truth")


@dataclass(frozen=True)
class Criteria:
    """BIC and ICL of the fit to all rows (smaller is better, within a family); None, and why not."""

    bic: float | None = None
    icl: float | None = None
    why_not: str = ""


@dataclass(frozen=True, eq=False)
class Entry:
    """A row of the table: a model's held-out record beside the leader's.

    ``difference`` is this model's mean minus the leader's, nats per row (0 for the leader), and
    ``difference_error`` its paired standard error. ``close`` says that it is within one such standard
    error of the leader or above, and may win. ``barred`` says why it can be neither leader nor best. ``role``
    is "candidate", "given" (a density with given parameters, judged as it stands), "stack", "baseline" (one
    Gaussian, added) or "truth"; the last two never win. ``kl`` and ``kl_error`` are the divergence of the
    truth from the model, where the truth is known: the mean of log p_truth − log p_model over held-out rows.
    """

    held_out: HeldOut
    rank: float
    difference: float
    difference_error: float
    close: bool
    barred: str | None = None
    role: str = "candidate"
    criteria: Criteria = Criteria()
    kl: float | None = None
    kl_error: float | None = None
    bits_per_dim: float | None = None

    @property
    def name(self) -> str:
        """The model's name in the comparison."""
        return self.held_out.name

    @property
    def kind(self) -> str:
        """What its log density means: "exact", "bound", "estimate" or "none"."""
        return self.held_out.kind

    @property
    def shown(self) -> bool:
        """Whether it is shown for comparison only: the truth, or the added Gaussian."""
        return self.role in ("baseline", "truth")

    @property
    def able(self) -> bool:
        """Whether it may win."""
        record = self.held_out
        return not (self.shown or self.barred or record.failure or record.dropped)

    @property
    def empty(self) -> str:
        """How many rows have density zero, in words; "" for none."""
        record = self.held_out
        if not record.outside:
            return ""
        where = "in empty cells" if record.name.startswith("Histogram") else "where its density is zero"
        return f"{record.outside:,} of {int(record.used.sum()):,} rows {where}"


def ranked(
    records: Sequence[HeldOut],
    models: Mapping[str, Density],
    barred: Mapping[str, str],
    roles: Mapping[str, str],
    criteria: Mapping[str, Criteria],
    *,
    bits: float | None = None,
) -> tuple[Entry, ...]:
    """Return the table: best mean first; among means of -inf, fewest impossible rows first; then those that
    cannot win, those that were dropped, and what is shown for comparison; failures last.

    Parameters
    ----------
    records, models : by name
    barred : name -> why it cannot win
    roles : name -> role, of those that are no candidates
    criteria : name -> BIC and ICL
    bits : nats per row that are one bit per dimension, where probabilities are compared; None for densities
    """
    barred = {**_of_another_kind(records, roles, barred), **barred}

    def order(record: HeldOut) -> tuple[bool, bool, bool, bool, int, float]:
        shown = roles.get(record.name) in ("baseline", "truth")
        gone = record.dropped is not None
        return (
            record.failure is not None,
            shown,
            gone,
            record.name in barred,
            record.outside,
            -_finite_mean(record),
        )

    ordered = sorted(records, key=order)
    leader = ordered[0]
    truth = next((r for r in records if roles.get(r.name) == "truth" and not r.failure), None)
    entries = []
    for record in ordered:
        role = roles.get(record.name, "candidate")
        gap = None if record is leader else paired(record, leader)
        close = gap is None or gap.value >= -gap.error  # False where either is NaN
        if role in ("baseline", "truth") or record.dropped:
            close = False
        kl = None
        if truth is not None and record is not truth and not (record.failure or record.on_trial):
            kl = paired(truth, record)
        entries.append(
            Entry(
                _told(record, leader, gap),
                0 if role == "given" else models[record.name].rank,
                0.0 if gap is None else gap.value,
                0.0 if gap is None else gap.error,
                bool(close),
                barred.get(record.name),
                role,
                criteria.get(record.name, Criteria()),
                None if kl is None else kl.value,
                None if kl is None or math.isnan(kl.error) else kl.error,
                None if bits is None or not math.isfinite(record.mean) else -record.mean / bits,
            )
        )
    return tuple(entries)


def _told(record: HeldOut, leader: HeldOut, gap: Mean | None) -> HeldOut:
    """Return the record with why it was dropped, told against who leads in the end, and what is to be said of
    the difference."""
    if gap is not None and gap.doubt:
        doubt = f"what it loses to {leader.name} has no interval, and its error is too small, as {gap.doubt}"
        record = replace(record, doubts=(*record.doubts, doubt))
    if record.dropped is None or gap is None:
        return record
    finite = math.isfinite(gap.value)
    behind = f"{-gap.value:.3f} ± {gap.error:.3f} nats per row" if finite else "infinitely many nats"
    how = ", which was fitted to all" if record.on_trial else " on the same rows"
    return replace(record, dropped=f"{record.dropped}: {behind} behind {leader.name}{how}")


def _of_another_kind(
    records: Sequence[HeldOut], roles: Mapping[str, str], barred: Mapping[str, str]
) -> dict[str, str]:
    """Say of models whose log density is of another kind than the leaders' why they are not ranked."""
    able = [
        r
        for r in records
        if not (r.failure or r.dropped or r.name in barred or roles.get(r.name) in ("baseline", "truth"))
    ]
    kinds = {r.kind for r in able}
    if len(kinds) < 2:
        return {}
    ranks = next(kind for kind in ("exact", "bound", "estimate") if kind in kinds)
    best = max((r for r in able if r.kind == ranks), key=_finite_mean)
    said = {}
    for record in able:
        if record.kind == ranks:
            continue
        if record.kind == "bound" and ranks == "exact":
            gap = paired(record, best)
            if gap.value > gap.error:  # the safe direction: the truth about it is better still
                continue
            said[record.name] = (
                "its score is a lower bound, which says nothing where it lies below exact log densities"
            )
        else:
            said[record.name] = (
                f"its log density is an {record.kind}, which is not ranked beside {ranks} ones"
            )
    return said


def _finite_mean(record: HeldOut) -> float:
    """The mean over the rows that the model calls possible."""
    if record.failure:
        return -math.inf
    possible = record.scores[record.used & (record.log_density > -math.inf)]
    return float(possible.mean()) if len(possible) else -math.inf
