"""The one trainer: a generator that yields a record at every look at the held-out rows.

    training = train(net, loss, n, criterion=criterion, settings=Settings(seed=0))
    trained = finish(training, watch=print)

AdamW (Loshchilov and Hutter 2019, "Decoupled weight decay regularization") with linear warm-up and a cosine,
gradients clipped by their norm, an exponential moving average of the parameters, early stopping on the
caller's criterion, the best average kept. Every random number follows from the seed and the number of the
step, so that the state of a run is a few vectors and counts, and a run killed at any step goes on from its
checkpoint to the same bits (CPU, same number of threads).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import NumericalError
from . import checkpoint as file
from .flat import Flat
from .records import Counts, Record, Settings, Trained

__all__ = ["Loss", "Record", "Settings", "Trained", "finish", "train"]

# loss(net, numbers, rng): the loss of each of these rows (b,), on the network's device
Loss = Callable[[nn.Module, np.ndarray, np.random.Generator], Tensor]
Criterion = Callable[[nn.Module], float]  # larger is better; of rows that the loss never sees

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
IN_A_ROW = 3  # bad steps until the last good state is taken again, at half the rate
MOST_ROLLBACKS = 5
SPIKE = 50.0  # a loss so many mean deviations above its running mean is a spike
NAMED = 5  # rows that a run remembers as the cause of bad steps


def train(
    net: nn.Module,
    loss: Loss,
    n: int,
    *,
    criterion: Criterion,
    settings: Settings,
    weights: np.ndarray | None = None,
    mark: str = "",
) -> Generator[Record, None, Trained]:
    """Train ``net`` in place.

    Parameters
    ----------
    net : nn.Module
        On the device it is to be trained on.
    loss : callable
        ``loss(net, numbers, rng)`` of rows by number 0 … n-1 and random numbers: a tensor (b,).
    n : int
        Rows to train on.
    criterion : callable
        ``criterion(net)`` is larger for a better network; it decides when to stop and what to keep.
    settings : Settings
    weights : ndarray (n,), optional
        Of the rows, in the mean loss.
    mark : str
        A hash of the rows and of what the network is, by which a checkpoint is recognised.

    Yields
    ------
    Record
        At every look at the held-out rows.

    Returns
    -------
    Trained
        As the value of ``StopIteration``; :func:`finish` hands it out.

    Raises
    ------
    NumericalError
        Where no state had a finite criterion.
    FileError
        For a checkpoint that is damaged or of another run.
    """
    return _Run(net, loss, n, criterion, settings, weights, mark).go()


def finish(
    training: Generator[Record, None, Trained], watch: Callable[[Record], Any] | None = None
) -> Trained:
    """Run a training to its end, showing every record to ``watch``. Ctrl-C ends it with the best so far."""
    try:
        record = next(training)
        while True:
            try:
                if watch is not None:
                    watch(record)
            except KeyboardInterrupt as stop:
                record = training.throw(stop)
            else:
                record = next(training)
    except StopIteration as end:
        trained: Trained = end.value
        return trained


class _Run:
    def __init__(
        self,
        net: nn.Module,
        loss: Loss,
        n: int,
        criterion: Criterion,
        settings: Settings,
        weights: np.ndarray | None,
        mark: str,
    ) -> None:
        self.net, self.loss, self.n, self.criterion, self.set = net, loss, n, criterion, settings
        self.flat = Flat(net)
        self.device = self.flat.values.device
        self.weights = None if weights is None else torch.tensor(weights / weights.mean(), device=self.device)
        self.mark = file.fingerprint(mark, settings.numerics(), n, "" if weights is None else weights)
        values = self.flat.values
        self.moment, self.square = torch.zeros_like(values), torch.zeros_like(values)
        self.averaged, self.best = values.clone(), values.clone()
        self.count = Counts()
        self.history: list[tuple[int, float]] = []
        self.blamed: list[int] = []
        self.losses: list[float] = []  # since the last look
        self.bad = 0  # bad steps in a row
        self.batch = min(settings.batch, n)
        self.epoch = -1
        self.good: dict[str, Tensor] = {}
        self.numbers: dict[str, Any] = {}

    def go(self) -> Generator[Record, None, Trained]:
        why, resumed = "steps", self._resume()
        called = time.monotonic()
        self.started = called - self.count.seconds
        self.written = time.monotonic()
        self._keep()
        try:
            if not resumed:
                yield self._look()
            while self.count.step < self.set.steps:
                self._step()
                if self.bad >= IN_A_ROW:
                    if self.count.rollbacks == MOST_ROLLBACKS:
                        why = "diverged"
                        break
                    self._roll_back()
                if self.count.step % self.set.every == 0 or self.count.step == self.set.steps:
                    record = self._look()
                    if self.bad == 0 and bool(torch.isfinite(self.flat.values).all()):
                        self._keep()
                        self._write_if_due()
                    yield record
                    if self.count.waited >= self.set.patience:
                        why = "patience"
                        break
                    if self.set.seconds is not None and time.monotonic() - called >= self.set.seconds:
                        why = "time"
                        break
        except KeyboardInterrupt:
            why = "interrupted"
        return self._end(why)

    # ---------------------------------------------------------------- one step

    def _step(self) -> None:
        numbers, rng = self._numbers()
        self.net.train()
        self.flat.gradient.zero_()
        with self._precision():
            each = self.loss(self.net, numbers, rng).float()
            mean = (each if self.weights is None else each * self.weights[numbers].float()).mean()
        value = float(mean.detach())
        finite = math.isfinite(value)
        if finite:
            mean.backward()
            norm = float(self.flat.gradient.norm())
            finite = math.isfinite(norm)
        self.count.step += 1
        if not finite:
            self.count.skipped += 1
            self._blame(numbers, each.detach())
            self.bad += 1
            return
        spiked = self.count.updates >= 50 and value > self.count.mean + SPIKE * max(
            self.count.deviation, 1e-3
        )
        self.bad = self.bad + 1 if spiked else 0
        if spiked:
            self._blame(numbers, each.detach())
        else:
            self._remember(value)
        if norm > self.set.clip:
            self.flat.gradient.mul_(self.set.clip / norm)
        self._adam()
        self.losses.append(value)

    def _numbers(self) -> tuple[np.ndarray, np.random.Generator]:
        """Return the row numbers of this step and the random numbers of its loss, both from seed and step."""
        per_epoch = self.n // self.batch
        epoch, at = divmod(self.count.step, per_epoch)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = np.random.default_rng([self.set.seed, 1, epoch]).permutation(self.n)
        rng = np.random.default_rng([self.set.seed, 2, self.count.step])
        return self.order[at * self.batch : (at + 1) * self.batch], rng

    def _precision(self) -> Any:
        if self.set.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def _rate(self) -> float:
        step, s = self.count.step, self.set
        warm = min(1.0, step / max(s.warm_up, 1))
        cosine = 0.5 * (1.0 + math.cos(math.pi * min(step / s.steps, 1.0)))
        return s.rate * warm * (s.floor + (1.0 - s.floor) * cosine) * 0.5**self.count.rollbacks

    def _adam(self) -> None:
        self.count.updates += 1
        t, rate, g = self.count.updates, self._rate(), self.flat.gradient
        self.moment.lerp_(g, 1.0 - BETA1)
        self.square.mul_(BETA2).addcmul_(g, g, value=1.0 - BETA2)
        scale = (self.square / (1.0 - BETA2**t)).sqrt_().add_(EPSILON)
        if self.set.decay:
            self.flat.values.addcmul_(self.flat.values, self.flat.decays, value=-rate * self.set.decay)
        self.flat.values.addcdiv_(self.moment, scale, value=-rate / (1.0 - BETA1**t))
        self.count.averaged += 1
        # a short memory first: the average is not to hold the random start
        decay = min(self.set.average, self.count.averaged / (9.0 + self.count.averaged))
        self.averaged.lerp_(self.flat.values, 1.0 - decay)

    def _remember(self, value: float) -> None:
        c = self.count
        share = max(0.02, 1.0 / (c.updates + 1))
        c.deviation += share * (abs(value - c.mean) - c.deviation) if c.updates else 0.0
        c.mean += share * (value - c.mean)

    def _blame(self, numbers: np.ndarray, each: Tensor) -> None:
        losses = each.cpu().numpy()
        worst = np.flatnonzero(~np.isfinite(losses))
        worst = worst if len(worst) else np.argsort(-losses)[:1]
        for i in worst:
            if len(self.blamed) < NAMED and int(numbers[i]) not in self.blamed:
                self.blamed.append(int(numbers[i]))

    # ---------------------------------------------------------------- looks, and going back

    def _look(self) -> Record:
        self.net.eval()
        with torch.no_grad(), self.flat.holding(self.averaged):
            held_out = float(self.criterion(self.net))
        c = self.count
        improved = math.isfinite(held_out) and held_out > c.best
        if improved:
            self.best.copy_(self.averaged)
            c.best, c.best_step, c.waited = held_out, c.step, 0
        elif c.step:
            c.waited += 1
        self.history.append((c.step, held_out))
        c.seconds = time.monotonic() - self.started
        remaining = c.seconds / c.step * (self.set.steps - c.step) if c.step else math.nan
        losses = float(np.mean(self.losses)) if self.losses else math.nan
        self.losses.clear()
        return Record(
            c.step, self.set.steps, losses, held_out, c.best, improved, self._rate(), c.skipped, c.rollbacks,
            c.seconds, remaining,
        )  # fmt: skip

    def _keep(self) -> None:
        """Make this state the one to go back to, and to write."""
        self.good = {name: vector.detach().clone() for name, vector in self._vectors().items()}
        self.numbers = {
            **vars(self.count),
            "history": [list(look) for look in self.history],
            "blamed": list(self.blamed),
        }

    def _roll_back(self) -> None:
        for name, vector in self._vectors().items():
            if name != "best":
                vector.copy_(self.good[name])
        c = self.count
        for name in ("updates", "averaged", "mean", "deviation"):
            setattr(c, name, self.numbers[name])
        c.rollbacks += 1
        self.bad = 0

    # ---------------------------------------------------------------- the state

    def _vectors(self) -> dict[str, Tensor]:
        return {
            "values": self.flat.values,
            "moment": self.moment,
            "square": self.square,
            "averaged": self.averaged,
            "best": self.best,
        }

    def _write_if_due(self, *, now: bool = False) -> None:
        if self.set.checkpoint is None:
            return
        if now or time.monotonic() - self.written >= self.set.checkpoint_seconds:
            vectors = {name: v.cpu().numpy() for name, v in self.good.items()}
            file.write(self.set.checkpoint, self.mark, self.numbers, vectors)
            self.written = time.monotonic()

    def _resume(self) -> bool:
        if self.set.checkpoint is None:
            return False
        found = file.read(self.set.checkpoint, self.mark)
        if found is None:
            return False
        numbers, arrays = found
        self.history = [(int(step), float(value)) for step, value in numbers.pop("history")]
        self.blamed = [int(i) for i in numbers.pop("blamed")]
        self.count = Counts(**numbers)
        for name, vector in self._vectors().items():
            vector.copy_(torch.from_numpy(arrays[name]))
        return True

    def _end(self, why: str) -> Trained:
        c = self.count
        if not math.isfinite(c.best):
            raise NumericalError(
                f"The training never reached a finite criterion in {c.step:,} steps ({c.skipped:,} were "
                "skipped because something was not finite). Look for extreme rows, or lower the rate."
            )
        self.flat.values.copy_(self.best)
        self.net.eval()
        if why in ("time", "interrupted"):
            self._write_if_due(now=True)
        elif self.set.checkpoint is not None:
            Path(self.set.checkpoint).unlink(missing_ok=True)  # a finished run has nothing to go on with
        return Trained(
            why, c.best, c.best_step, c.step, c.skipped, c.rollbacks, tuple(self.blamed), tuple(self.history),
            time.monotonic() - self.started,
        )  # fmt: skip
