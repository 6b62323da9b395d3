"""The one trainer: its optimiser against torch's, and everything that may interrupt it."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pofx.errors import FileError, NumericalError, ParameterError

torch = pytest.importorskip("torch")

from pofx.nets.flat import Flat, one_torch_thread, seeded  # noqa: E402
from pofx.nets.train import Settings, Trained, finish, train  # noqa: E402

ROWS = np.random.default_rng(0).standard_normal((200, 3))
TARGET = ROWS @ [1.0, -2.0, 0.5] + 0.3
QUICK = Settings(batch=20, steps=120, every=20, patience=50, rate=0.05, warm_up=10)


@pytest.fixture(autouse=True)
def _one_thread():
    with one_torch_thread():
        yield


def line() -> torch.nn.Module:
    with seeded(3):
        return torch.nn.Linear(3, 1)


def squares(net, numbers, rng):
    x = torch.tensor(ROWS[numbers], dtype=torch.float32)
    return (net(x)[:, 0] - torch.tensor(TARGET[numbers], dtype=torch.float32)) ** 2


def minus_error(net) -> float:
    return -float(squares(net, np.arange(200), None).detach().mean())


def run(settings: Settings = QUICK, loss=squares, net=None, watch=None, criterion=minus_error, **more):
    net = line() if net is None else net
    trained: Trained = finish(train(net, loss, 200, criterion=criterion, settings=settings, **more), watch)
    return net, trained


def bits(net) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in net.parameters())


def test_it_learns_and_says_how_it_goes() -> None:
    records = []
    net, trained = run(watch=records.append)
    assert trained.why == "steps"
    assert trained.best > -1e-2 > -1.0 > records[0].held_out
    assert minus_error(net) == pytest.approx(trained.best)  # the network holds what was best
    assert [r.step for r in records] == [0, 20, 40, 60, 80, 100, 120]
    assert records[1].rate > records[-2].rate > records[-1].rate == pytest.approx(0.0, abs=1e-12)
    assert records[3].remaining > 0
    assert "held out" in str(records[1])
    assert bits(net) == bits(run()[0])
    assert bits(net) != bits(run(replace(QUICK, seed=1))[0])


def test_one_step_after_the_other_is_torchs_adamw() -> None:
    settings = replace(QUICK, clip=1e9, average=0.0, decay=0.1, steps=30, every=1)
    rates, batches = [], []

    def loss(net, numbers, rng):
        batches.append(numbers)
        return squares(net, numbers, rng)

    net, _ = run(settings, loss, criterion=_counting(), watch=lambda r: rates.append(r.rate))
    theirs = line()
    groups = [
        {"params": [theirs.weight], "weight_decay": 0.1},
        {"params": [theirs.bias], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=1.0)
    for numbers, rate in zip(batches, rates[1:], strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        squares(theirs, numbers, None).mean().backward()
        optimiser.step()
    for ours, other in zip(net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-6)


def _counting():
    """A criterion that is always a new best, so that the last state is what is kept."""
    calls = iter(range(10_000))
    return lambda net: float(next(calls))


def test_the_kept_parameters_are_the_moving_average() -> None:
    seen = []

    def loss(net, numbers, rng):
        seen.append(net.weight.detach().numpy().copy())
        return squares(net, numbers, rng)

    settings = replace(QUICK, average=0.9, steps=40, every=1)
    averages = []

    def criterion(net):
        averages.append(net.weight.detach().numpy().copy())
        return float(len(averages))

    run(settings, loss, criterion=criterion)
    mean = seen[0]
    for step, value in enumerate(seen[1:], start=1):
        decay = min(0.9, step / (9.0 + step))
        mean = decay * mean + (1.0 - decay) * value
        np.testing.assert_allclose(averages[step], mean, rtol=1e-4, atol=1e-6)


def test_weights_are_repetitions() -> None:
    w = np.ones(200)
    w[:100] = 0.0  # rows that count nothing cannot change what is learned of the others

    def loss(net, numbers, rng):
        return squares(net, numbers, rng) + 1e3 * torch.tensor(numbers < 100) * net.weight.sum() ** 2

    net, _ = run(loss=loss, weights=w)
    assert minus_error(net) > -0.01


def test_it_stops_where_nothing_is_gained() -> None:
    values = iter([0.0, 1.0, 2.0, 1.5, 1.4, 1.3, 1.2])
    _, trained = run(replace(QUICK, patience=3), criterion=lambda net: next(values))
    assert (trained.why, trained.best, trained.best_step, trained.step) == ("patience", 2.0, 40, 100)
    assert [v for _, v in trained.history] == [0.0, 1.0, 2.0, 1.5, 1.4, 1.3]


def test_a_row_that_gives_no_number_is_skipped_and_named() -> None:
    def loss(net, numbers, rng):
        out = squares(net, numbers, rng)
        out[torch.tensor(numbers == 7)] = torch.nan
        return out

    net, trained = run(loss=loss)
    assert trained.skipped == 12  # once in each of twelve epochs
    assert trained.rollbacks == 0
    assert trained.blamed == (7,)
    assert minus_error(net) > -0.01


@pytest.mark.parametrize("factor", [float("nan"), 1e9])
def test_what_goes_wrong_goes_back_to_the_last_good_state(factor: float) -> None:
    """Three steps in a row without a number, or with a spike, and it goes on from the look before."""
    calls, values = [], []

    def loss(net, numbers, rng):
        calls.append(numbers)
        values.append(bits(net))
        out = squares(net, numbers, rng)
        return out * factor if 87 <= len(calls) <= 89 else out

    net, trained = run(replace(QUICK, average=0.0), loss)
    assert trained.rollbacks == 1
    assert trained.skipped == (3 if factor != factor else 0)
    assert trained.blamed
    assert values[89] == values[80]  # the state at step 80
    assert minus_error(net) > -0.02


def test_what_goes_wrong_for_ever_keeps_the_best() -> None:
    calls = []

    def loss(net, numbers, rng):
        calls.append(1)
        return squares(net, numbers, rng) * (torch.nan if len(calls) > 60 else 1.0)

    net, trained = run(loss=loss)
    assert trained.why == "diverged"
    assert trained.rollbacks == 5
    assert minus_error(net) == pytest.approx(trained.best)
    with pytest.raises(NumericalError, match="never reached a finite criterion"):
        run(loss=lambda *a: squares(*a) * torch.nan, criterion=lambda net: float("nan"))


def test_ctrl_c_keeps_the_best_so_far() -> None:
    def watch(record):
        if record.step == 60:
            raise KeyboardInterrupt

    net, trained = run(watch=watch)
    assert (trained.why, trained.step) == ("interrupted", 60)
    assert minus_error(net) == pytest.approx(trained.best)
    calls = []

    def loss(net, numbers, rng):
        calls.append(1)
        if len(calls) == 75:
            signal.raise_signal(signal.SIGINT)
        return squares(net, numbers, rng)

    net, trained = run(loss=loss)
    assert (trained.why, trained.best_step, trained.step) == ("interrupted", 60, 74)
    assert minus_error(net) == pytest.approx(trained.best)


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole, _ = run()
    path = tmp_path / "run.pofx"
    saving = replace(QUICK, checkpoint=path)

    def watch(record):
        if record.step == 40:
            raise KeyboardInterrupt

    run(saving, watch=watch)
    seen = []
    again, trained = run(saving, watch=lambda r: seen.append(r.step))
    assert seen == [60, 80, 100, 120]
    assert bits(again) == bits(whole)
    assert [step for step, _ in trained.history] == [0, 20, 40, 60, 80, 100, 120]
    assert not path.exists()  # nothing is left to go on with


def test_a_time_budget(tmp_path: Path) -> None:
    path = tmp_path / "run.pofx"
    _, trained = run(replace(QUICK, seconds=1e-9, checkpoint=path))
    assert (trained.why, trained.step) == ("time", 20)
    net, trained = run(replace(QUICK, checkpoint=path))
    assert trained.why == "steps"
    assert bits(net) == bits(run()[0])


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pofx"
    stopped = replace(QUICK, seconds=1e-9, checkpoint=path)
    run(stopped, mark="these rows")
    for other in (replace(stopped, rate=0.01), replace(stopped, seed=5)):
        with pytest.raises(FileError, match="another fit"):
            run(other, mark="these rows")
    with pytest.raises(FileError, match="another fit"):
        run(stopped, mark="those rows")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(FileError):
        run(stopped, mark="these rows")


def test_half_precision_trains_and_keeps_single() -> None:
    net, trained = run(replace(QUICK, precision="bf16"))
    assert net.weight.dtype == torch.float32
    assert trained.best > -0.05


def test_networks_that_cannot_be_averaged_are_refused() -> None:
    with pytest.raises(ParameterError, match="GroupNorm"):
        Flat(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    with pytest.raises(ParameterError, match="no parameters"):
        Flat(torch.nn.ReLU())
