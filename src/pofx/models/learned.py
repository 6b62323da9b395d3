"""What all models have in common whose parameters are those of a network: how a fit goes, and its record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.density import Density
from ..core.fitting import Outcome
from ..core.fold import Data, require_rows, require_spread
from ..errors import DataError, ParameterError
from ..optional import need
from ..validation import whole_number

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..nets.train import Settings, Trained

__all__ = ["LEAST_ROWS", "Learned", "Split"]

LEAST_ROWS = 8  # distinct rows; so few are far too few, but a held-out row and a batch can be made of them
HELD_OUT = 0.1  # share of the rows by which a fit stops
MOST_REPEATED = 5_000_000  # rows; of more, repeated ones carry weights instead

ENDS = {
    "patience": "Held-out rows saw no gain in {patience} looks; the best was at step {best_step:,}.",
    "steps": "The schedule of {step:,} steps is done; the best was at step {best_step:,}.",
    "time": "The time budget ended at step {step:,}; the best so far, of step {best_step:,}, is kept.",
    "interrupted": "Interrupted at step {step:,}; the best so far, of step {best_step:,}, is kept.",
    "diverged": "The training diverged again and again; the best, of step {best_step:,}, is kept.",
}


@dataclass(frozen=True)
class Split:
    """The rows of a fit in unit space, in sorted order, their weights, and which of them are held out."""

    x: np.ndarray
    w: np.ndarray
    train: np.ndarray
    held_out: np.ndarray
    seed: int


class Learned(Density):
    """A model that is a network. Its own part is the network, ``_loss`` and what the contract asks.

    Parameters
    ----------
    max_steps : int, optional
        The most steps of the optimiser, over which its rate falls to zero; by default by the number of rows.
    batch_size : int, optional
        Rows in a step; by default by the number of rows.
    learning_rate : float
    patience : int
        Looks at the held-out rows without a gain until the fit stops.
    time_budget : float, optional
        Seconds, after which the best so far is kept.
    checkpoint : str, optional
        A file by which an interrupted fit goes on to the same result; removed once the fit is done. One fit
        at a time: another's file is refused.
    device : str
        "auto" is a GPU where there is one; what was fitted anywhere is evaluated on the CPU.
    verbose : bool
        Say on standard error how it goes.
    random_state : None, int or Generator
        Seeds the fit; ``None`` is 0. The same seed gives the same bits on a CPU.
    missing, weight_kind
        See :class:`pofx.core.density.Density`.
    """

    rank: ClassVar[int] = 12
    rtol: float = 1e-9

    def __init__(
        self,
        *,
        max_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        patience: int = 15,
        time_budget: float | None = None,
        checkpoint: str | None = None,
        device: str = "auto",
        verbose: bool = False,
        random_state: Any = None,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.time_budget = time_budget
        self.checkpoint = checkpoint
        self.device = device
        self.verbose = verbose
        self.random_state = random_state
        self.missing = missing
        self.weight_kind = weight_kind

    def _loss(self, net: nn.Module, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the loss of each row (b,), in nats where it is a log density."""
        raise NotImplementedError

    def _check(self) -> None:
        for name in ("max_steps", "batch_size"):
            if getattr(self, name) is not None:
                whole_number(getattr(self, name), name, least=1)
        whole_number(self.patience, "patience", least=1)
        for name in ("learning_rate", "time_budget"):
            value = getattr(self, name)
            if value is None and name == "time_budget":
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
                raise ParameterError(f"{name} must be a positive number; got {value!r}.")
        if self.checkpoint is not None and not isinstance(self.checkpoint, str):
            raise ParameterError(f"checkpoint must be the name of a file, a str; got {self.checkpoint!r}.")
        if not isinstance(self.device, str):
            raise ParameterError(f'device must be a text such as "auto" or "cpu"; got {self.device!r}.')

    def _need_torch(self, *others: str) -> None:
        """Raise MissingExtraError, with the command to type, where torch is not installed."""
        for module in ("torch", *others):
            need(module, extra="torch", why=f"{type(self).__name__} is a neural network")

    def _split(self, data: Data, rng: np.random.Generator, steps: np.ndarray) -> Split:
        """Return the rows, some of them held out. ``steps`` (d,): what columns are recorded to, 0 for none.

        Distinct rows in sorted order, repeated as often as they came: neither the order of the rows nor
        whether one is repeated or weighted changes the fit. Where a column is continuous, equal rows are one
        row that came twice and stay on one side; where all are recorded in steps, they are rows of their own.
        """
        name = type(self).__name__
        require_rows(data, LEAST_ROWS, f"{name} is a neural network and")
        require_spread(data, "Leave it out.")
        x, w = data.distinct()
        recorded = bool((steps > 0).all())
        if len(x) < LEAST_ROWS and not recorded:
            raise DataError(
                f"{name} needs at least {LEAST_ROWS} different rows; {len(x)} came. Gaussian() needs few."
            )
        seed = int(rng.integers(2**31))
        times = np.ones(len(x), dtype=np.int64)
        if self.weight_kind != "importance" and (w == np.rint(w)).all() and w.sum() <= MOST_REPEATED:
            times, w = w.astype(np.int64), np.ones(len(x))
        if recorded:
            x, w, times = (
                np.repeat(x, times, axis=0),
                np.repeat(w, times),
                np.ones(times.sum(), dtype=np.int64),
            )
        order = np.random.default_rng([seed, 0]).permutation(len(x))
        held = np.zeros(len(x), dtype=bool)
        held[order[: int(max(HELD_OUT * len(x), min(100, 0.2 * len(x))))]] = True
        held = np.repeat(held, times)
        return Split(
            np.repeat(x, times, axis=0),
            np.repeat(w, times),
            np.flatnonzero(~held),
            np.flatnonzero(held),
            seed,
        )

    def _settings(self, split: Split) -> Settings:
        from ..nets.train import Settings

        n = len(split.train)
        batch = self.batch_size or int(np.clip(n // 40, 32, 512))
        steps = self.max_steps or int(np.clip(250 * n**0.32, 600, 10_000))
        return Settings(
            seed=split.seed,
            batch=batch,
            steps=steps,
            every=max(1, min(100, steps // 20)),
            patience=self.patience,
            rate=float(self.learning_rate),
            warm_up=min(100, steps // 10),
            seconds=self.time_budget,
            checkpoint=self.checkpoint,
        )

    def _train(
        self,
        net: nn.Module,
        split: Split,
        tensor: Callable[[np.ndarray, np.random.Generator], Tensor],
        criterion: Callable[[nn.Module], float],
    ) -> Trained:
        """Train ``net`` in place; ``tensor(numbers, rng)`` gives rows by their number in ``split.x``."""
        from ..nets.checkpoint import fingerprint
        from ..nets.flat import one_torch_thread, seeded
        from ..nets.train import finish, train

        def loss(net: nn.Module, numbers: np.ndarray, rng: np.random.Generator) -> Tensor:
            return self._loss(net, tensor(split.train[numbers], rng), rng)

        def say(record: Any) -> None:
            print(f"{type(self).__name__}: {record}", file=sys.stderr)

        w = split.w[split.train]
        with seeded(split.seed):  # zuko draws random numbers to write a network as text
            text = str(net)
        with one_torch_thread():
            training = train(
                net,
                loss,
                len(split.train),
                criterion=criterion,
                settings=self._settings(split),
                weights=None if (w == w[0]).all() else w,
                mark=fingerprint(split.x, split.w, text),
            )
            return finish(training, say if self.verbose else None)

    def _outcome(self, trained: Trained, split: Split, data: Data, more: tuple[str, ...] = ()) -> Outcome:
        best, trace = -np.inf, []
        for _, value in trained.history:
            if value > best:
                best = value
                trace.append(value)
        notes = list(more)
        if trained.skipped or trained.rollbacks:
            rows = data.units.back(split.x[split.train[list(trained.blamed)]])
            notes.append(
                f"{trained.skipped:,} steps were not taken because something was not finite, and the "
                f"training went back to an earlier state {trained.rollbacks} times; rows such as "
                f"{np.array2string(rows[:3], threshold=30)} took part."
            )
        batch = min(self._settings(split).batch, len(split.train))
        return Outcome(
            converged=trained.why in ("patience", "steps") and trained.skipped <= 0.1 * trained.step,
            message=ENDS[trained.why].format(
                patience=self.patience, step=trained.step, best_step=trained.best_step
            ),
            passes=-(-trained.step * batch // len(split.train)),
            trace=tuple(trace),
            notes=tuple(notes),
        )

    def _bytes(self, n: int, d: int) -> int:
        return 8 * n * (4 * d + 6) + 2**26


def by_prefix(params: Mapping[str, Any], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays of a network from parameters ``prefix.name``."""
    return {k[len(prefix) + 1 :]: v for k, v in params.items() if k.startswith(prefix + ".")}
