"""What a training run is told, what it tells, and what it counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

__all__ = ["Counts", "Record", "Settings", "Trained"]


@dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    seed : int
    batch : int
        Rows in a step; all, where there are fewer.
    steps : int
        The most steps, which is also where the cosine ends.
    every : int
        Steps between two looks at the held-out rows.
    patience : int
        Looks without a new best until the run ends.
    rate, floor : float
        The learning rate after the warm-up, and the share of it that is left at the end.
    warm_up : int
        Steps in which the rate grows linearly from zero.
    decay : float
        Weight decay of matrices and kernels, in units of the rate.
    clip : float
        Largest norm of a gradient.
    average : float
        Decay of the moving average of the parameters; 0 for none.
    precision : {"fp32", "bf16"}
        What the network computes in while training; parameters stay float32.
    seconds : float, optional
        Time budget of this call. What was best by then is kept.
    checkpoint : str or Path, optional
        File to go on from if it is there, and to write.
    checkpoint_seconds : float
        Least time between two writes.
    """

    seed: int = 0
    batch: int = 256
    steps: int = 2_000
    every: int = 100
    patience: int = 10
    rate: float = 1e-3
    floor: float = 0.0
    warm_up: int = 100
    decay: float = 1e-4
    clip: float = 5.0
    average: float = 0.998
    precision: str = "fp32"
    seconds: float | None = None
    checkpoint: str | Path | None = None
    checkpoint_seconds: float = 30.0

    def numerics(self) -> str:
        """Return everything that decides the numbers of a run, and not where or how long it may go."""
        leave = {"seconds", "checkpoint", "checkpoint_seconds"}
        return repr([(f.name, getattr(self, f.name)) for f in fields(self) if f.name not in leave])


@dataclass(frozen=True)
class Record:
    """What is known at one look at the held-out rows: nats per row where the loss is in nats."""

    step: int
    steps: int
    loss: float  # mean over the steps since the last look
    held_out: float  # the criterion of the averaged parameters
    best: float
    improved: bool
    rate: float
    skipped: int  # steps not taken because something was not finite, so far
    rollbacks: int
    seconds: float  # of the whole run, also before it was resumed
    remaining: float  # predicted seconds to the last step, if it does not stop earlier

    def __str__(self) -> str:
        left = f"{self.remaining:.0f} s left at most"
        return (
            f"step {self.step:,} of {self.steps:,}: loss {self.loss:.4f}, held out {self.held_out:.4f}"
            f"{' (best)' if self.improved else ''}, {self.seconds:.0f} s, {left}"
        )


@dataclass(frozen=True)
class Trained:
    """The end of a run. The network holds the best averaged parameters.

    ``why`` is "patience", "steps", "time", "interrupted" or "diverged"; ``blamed`` are numbers of rows whose
    loss was not finite, or was the largest where it spiked.
    """

    why: str
    best: float
    best_step: int
    step: int
    skipped: int
    rollbacks: int
    blamed: tuple[int, ...]
    history: tuple[tuple[int, float], ...]  # (step, criterion) of every look
    seconds: float


@dataclass
class Counts:
    """The numbers of a run that are not vectors: all of them, with the vectors, are its state."""

    step: int = 0
    best: float = -math.inf
    best_step: int = 0
    waited: int = 0  # looks since the best
    skipped: int = 0
    rollbacks: int = 0
    updates: int = 0  # of Adam's moments
    averaged: int = 0
    mean: float = 0.0  # running mean of the loss, and of its absolute deviation
    deviation: float = 0.0
    seconds: float = 0.0
