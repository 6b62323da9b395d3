"""What a search compares: a structure, a number of components, and the runs of EM that fitted them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .structures import Structure

__all__ = ["KEEP", "SAME", "TIED", "Candidate", "Job", "Run"]

KEEP = 8  # runs of a candidate that are followed up
FALLEN = 2  # runs on the floor that are kept for repair
TIED = 1e-6  # nats within which one run is as good as another
SAME = 1e-3  # nats within which two runs are taken for the same optimum


@dataclass(eq=False)
class Run:
    """One run of EM: where it is, and what is known of it."""

    log_likelihood: float  # in unit space
    state: np.ndarray
    low: bool  # on the floor: not regular
    gap: float = math.inf  # Aitken's estimate of what is still to gain
    final: bool = False  # it has had all the passes that it may have
    trace: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Candidate:
    """A structure and a number of components, and its best different runs so far (best first)."""

    structure: Structure
    k: int
    tried: bool = False
    excuse: str = ""  # why it is not tried at all
    runs: list[Run] = field(default_factory=list)
    fallen: list[np.ndarray] = field(default_factory=list)  # states on the floor, to be repaired
    moved: float = -math.inf  # the log-likelihood from which moves were last made

    @property
    def best(self) -> Run | None:
        """The best run, regular ones first."""
        return self.runs[0] if self.runs else None

    @property
    def regular(self) -> bool:
        """Whether a regular run is known."""
        return bool(self.runs) and not self.runs[0].low

    def bic(self, total: float, d: int, *, on_floor_too: bool = False) -> float:
        """Return −2 log L + k log n of the best regular run; infinite where there is none."""
        if not (self.regular or (on_floor_too and self.runs)):
            return math.inf
        k = self.structure.n_parameters(self.k, d)
        return -2.0 * self.runs[0].log_likelihood + k * math.log(max(total, 1.0))

    def add(self, runs: Sequence[Run], keep: int = KEEP) -> None:
        """Keep the best ``keep`` different runs; of equally good ones the earliest, lest rounding choose."""
        self.tried = True
        pool = [*self.runs, *runs]
        top = max((r.log_likelihood for r in pool), default=0.0)

        def behind(r: Run) -> float:
            return (top - r.log_likelihood) // TIED if math.isfinite(r.log_likelihood) else math.inf

        ordered = sorted(pool, key=lambda r: (r.low, behind(r)))
        different: list[Run] = []
        for r in ordered:
            if all(abs(r.log_likelihood - o.log_likelihood) > SAME or r.low != o.low for o in different):
                different.append(r)
        self.runs = different[:keep]
        self.fallen = (self.fallen + [r.state for r in runs if r.low])[-FALLEN:]


Job = tuple[Candidate, np.ndarray]  # a run to be made: the candidate, and the state to start from
