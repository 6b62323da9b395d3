"""Ctrl-C at any moment, several threads at once, and the same bits for any number of threads."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import pofx

MAKERS: dict[str, Callable[[], Any]] = {
    "Gaussian": lambda: pofx.Gaussian(),
    "Gaussian factor": lambda: pofx.Gaussian("factor", n_factors=1),
    "KDE": lambda: pofx.KDE(),
    "KDE isj": lambda: pofx.KDE("isj"),
    "Histogram": lambda: pofx.Histogram(),
    "Histogram knuth": lambda: pofx.Histogram("knuth"),
    "GaussianMixture": lambda: pofx.GaussianMixture(3, covariance_type="full"),
    "GaussianMixture BIC": lambda: pofx.GaussianMixture([1, 2, 3], covariance_type=["tied", "diag"]),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    return MAKERS[request.param]


def rows(n: int, d: int = 2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) + 5.0 * rng.integers(0, 3, size=(n, 1))


def blas_threads() -> list[int]:
    """Return how many threads each BLAS library has."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


# ---------------------------------------------------------------- Ctrl-C


# Real interrupts would end an xdist worker if one ever escaped, so there they run in a process of their own.
IN_A_WORKER = "PYTEST_XDIST_WORKER" in os.environ


class Alarm:
    """KeyboardInterrupt in the main thread after so many seconds, as Ctrl-C raises it; at most once."""

    def __init__(self) -> None:
        self.armed = False

    def ring(self, *_: Any) -> None:
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt

    def interrupts(self, seconds: float, work: Callable[[], Any]) -> bool:
        """Run ``work`` and tell whether it was interrupted. Afterwards nothing can be."""
        try:
            try:
                self.armed = True
                signal.setitimer(signal.ITIMER_REAL, seconds)
                work()
            finally:
                self.armed = False  # no call, so no interrupt, before it
        except KeyboardInterrupt:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        return False


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    if not hasattr(signal, "setitimer"):
        pytest.skip("needs POSIX timers")
    if IN_A_WORKER:
        pytest.skip("run by test_every_interrupt_in_a_process_of_its_own")
    alarm = Alarm()
    before = signal.signal(signal.SIGALRM, alarm.ring)
    yield alarm
    signal.signal(signal.SIGALRM, before)


# An interrupt that comes inside a finaliser is reported by Python and goes no further.
in_a_finaliser = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.skipif(not IN_A_WORKER, reason="without xdist they run here")
def test_every_interrupt_in_a_process_of_its_own(root: Path) -> None:
    words = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", __file__, "-k", "ctrl_c", "-rA"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    kept["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=root,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout.splitlines()[-1]
    assert "skipped" not in done.stdout.splitlines()[-1] or not hasattr(signal, "setitimer")


def _state(model: Any) -> tuple[int, int, dict[str, Any]]:
    return id(model.__dict__["params_"]), id(model.__dict__["fit_"]), model.get_params(deep=False)


@in_a_finaliser
def test_ctrl_c_leaves_the_model_as_it_was(make: Callable[[], Any], alarm: Alarm) -> None:
    old, new = rows(300), rows(1_000 if repr(make()) == "Histogram(bins='knuth')" else 5_000, seed=1)
    model = make().fit(old)
    before = model.log_density(old)
    threads_before = blas_threads()
    started = time.monotonic()
    make().fit(new)
    length = time.monotonic() - started
    rng = np.random.default_rng(2)
    interrupted, deadline = 0, time.monotonic() + 1.0
    for _ in range(200):
        if interrupted >= 12 or (interrupted >= 4 and time.monotonic() > deadline):
            break
        params, fit = model.params_, model.fit_
        state = _state(model)
        cut = alarm.interrupts(max(1e-5, length * rng.random()), lambda: model.fit(new))  # noqa: B023
        interrupted += cut
        if _state(model) == state:
            assert cut
            assert model.params_ is params
            assert model.fit_ is fit
            assert np.array_equal(model.log_density(old), before)
        else:  # the interrupt came after the one assignment, or not at all
            assert model.params_ is not params
            assert model.fit_ is not fit
            length = min(length, model.fit_.seconds)
            model = make().fit(old)
    assert interrupted >= 4
    # and nothing is left behind: BLAS threads are given back, the next fit is as good as any
    assert np.array_equal(make().fit(old).log_density(old), before)
    assert blas_threads() == threads_before


@in_a_finaliser
def test_ctrl_c_is_prompt(alarm: Alarm) -> None:
    """Under a second, in the longest fit there is."""
    x = rows(40_000, 4)
    model = pofx.GaussianMixture(8, covariance_type="full")
    started = time.monotonic()
    cut = alarm.interrupts(0.3, lambda: model.fit(x))
    assert time.monotonic() - started < 0.3 + 1.0
    assert cut or model.fit_.seconds < 1.3


@in_a_finaliser
def test_ctrl_c_while_scoring_and_sampling(make: Callable[[], Any], alarm: Alarm) -> None:
    model = make().fit(rows(500))
    x = rows(60_000, seed=3)
    expected = model.log_density(x)
    rng = np.random.default_rng(4)
    for use in (lambda: model.log_density(x), lambda: model.sample(100_000, random_state=0)):
        for _ in range(3):
            alarm.interrupts(float(rng.uniform(0.001, 0.02)), use)
    assert np.array_equal(model.log_density(x), expected)


def test_an_interrupt_at_any_call_gives_blas_its_threads_back() -> None:
    """Python looks for signals as a function begins and after each call into C: raise at each in turn."""
    from pofx import threads

    files = {threads.__file__, contextlib.__file__}
    before = blas_threads()
    with threads.one_blas_thread():
        pass  # what is loaded at the first use is loaded

    def interrupted_at(n: int) -> bool:
        """Raise at the n-th such moment and tell whether there was one."""
        seen = 0

        def profile(frame: FrameType, event: str, _: Any) -> None:
            nonlocal seen
            if event in ("call", "c_return") and frame.f_code.co_filename in files:
                seen += 1
                if seen == n:
                    raise KeyboardInterrupt

        former = sys.getprofile()
        try:
            sys.setprofile(profile)
            with threads.one_blas_thread():
                pass
        except KeyboardInterrupt:
            return True
        finally:
            sys.setprofile(former)
        return False

    at = 0
    while interrupted_at(at + 1):
        at += 1
        assert blas_threads() == before, f"after an interrupt at moment {at}"
    assert at > 20


# ---------------------------------------------------------------- threads


def test_two_fits_at_once(make: Callable[[], Any]) -> None:
    sets = [rows(400, 2, seed) * 10.0**seed for seed in range(3)]
    expected = [make().fit(x).log_density(x) for x in sets]
    wrong: list[str] = []

    def work(i: int) -> None:
        for _ in range(2):
            got = make().fit(sets[i]).log_density(sets[i])
            if not np.array_equal(got, expected[i]):
                wrong.append(f"set {i}")

    run([lambda i=i: work(i) for i in (0, 1, 2, 0)])
    assert not wrong


def run(works: list[Callable[[], None]]) -> None:
    """Run all at once; an exception in a thread fails the test."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_fit_and_score_the_same_object_at_once(make: Callable[[], Any]) -> None:
    """Score sees the old model or the new, never a mix of both."""
    first, second = rows(60), rows(90, seed=1) * 3.0 + 100.0
    query = np.concatenate([first[:20], second[:20]])
    answers = [make().fit(x).log_density(query) for x in (first, second)]
    means = [make().fit(x).mean() for x in (first, second)]
    sizes = [len(first), len(second)]
    model = make().fit(first)
    stop = threading.Event()
    seen = [0, 0]

    def fit() -> None:
        try:
            end = time.monotonic() + 0.5
            i = 0
            while time.monotonic() < end or min(seen) == 0:
                i += 1
                model.fit((first, second)[i % 2])
                assert i < 10_000
        finally:
            stop.set()

    def score() -> None:
        while not stop.is_set():
            got = model.log_density(query)
            match = [np.array_equal(got, answer) for answer in answers]
            assert any(match), "a mixture of two fits"
            seen[int(match[1])] += 1
            centre = model.mean()
            assert any(np.array_equal(centre, mean) for mean in means)
            assert model.fit_.n_rows in sizes

    run([fit, score])
    assert min(seen) > 0


def test_blas_is_held_to_one_thread_in_every_thread() -> None:
    """Whichever thread comes first and whichever leaves last; afterwards BLAS has its threads back."""
    from pofx.threads import one_blas_thread

    before = blas_threads()
    entered, leave = threading.Event(), threading.Event()
    inside: list[int] = []

    def work() -> None:
        with one_blas_thread():
            inside.extend(blas_threads())
            entered.set()
            leave.wait(10.0)

    with one_blas_thread():
        pass
    other = threading.Thread(target=work)  # alone, after the main thread has been in
    other.start()
    entered.wait(10.0)
    with one_blas_thread():  # the main thread comes second and leaves first
        inside.extend(blas_threads())
    leave.set()
    other.join()
    assert inside
    assert set(inside) == {1}
    assert blas_threads() == before
    entered.clear()
    leave.clear()
    other = threading.Thread(target=work)
    with one_blas_thread():  # the main thread comes first and leaves last but one
        other.start()
        entered.wait(10.0)
    assert set(blas_threads()) == {1}
    leave.set()
    other.join()
    assert blas_threads() == before


def test_pairs_of_results_come_from_one_fit() -> None:
    """params_ and fit_ are swapped together: reading __dict__ once never shows half of each."""
    one, two = rows(10), rows(20, seed=1)
    model = pofx.Gaussian().fit(one)
    centres = {10: pofx.Gaussian().fit(one).params_.mean, 20: pofx.Gaussian().fit(two).params_.mean}
    stop = threading.Event()

    def fit() -> None:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            model.fit(one)
            model.fit(two)
        stop.set()

    def read() -> None:
        while not stop.is_set():
            state = dict(model.__dict__)
            assert np.array_equal(centres[state["fit_"].n_rows], state["params_"].mean)

    run([fit, read])


# ---------------------------------------------------------------- the same bits

BIG = {
    "Gaussian": lambda: pofx.Gaussian(),
    "Gaussian ledoit_wolf": lambda: pofx.Gaussian(shrinkage="ledoit_wolf"),
    "Gaussian factor": lambda: pofx.Gaussian("factor", n_factors=1),
    "KDE": lambda: pofx.KDE(),
    "KDE isj": lambda: pofx.KDE("isj", kernel="epanechnikov"),
    "Histogram": lambda: pofx.Histogram(),
    "GaussianMixture full": lambda: pofx.GaussianMixture(3, covariance_type="full"),
    "GaussianMixture diag": lambda: pofx.GaussianMixture(3, covariance_type="diag"),
}


@pytest.mark.parametrize("name", BIG)
def test_the_same_bits_for_any_number_of_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows(50_000)  # more than one block
    queries = x if "KDE" not in name else x[:300]
    results = set()
    for count in ("1", "2", "4"):
        monkeypatch.setenv("POFX_NUM_THREADS", count)
        model = BIG[name]().fit(x)
        bits = [model.log_density(queries).tobytes(), model.sample(200, random_state=3).tobytes()]
        bits += [v.tobytes() for v in model.params_.values() if isinstance(v, np.ndarray)]
        bits += [np.array(model.fit_.trace).tobytes()]
        results.add(b"|".join(bits))
    assert len(results) == 1


def test_log_density_of_many_blocks_of_a_kde(monkeypatch: pytest.MonkeyPatch) -> None:
    model, queries = pofx.KDE().fit(rows(200)), rows(80_000, seed=1)
    results = set()
    for count in ("1", "2", "4"):
        monkeypatch.setenv("POFX_NUM_THREADS", count)
        results.add(model.log_density(queries).tobytes())
    assert len(results) == 1


def test_nothing_aliases_the_callers_arrays(make: Callable[[], Any]) -> None:
    x = rows(50)
    w = np.ones(50)
    w[:10] = 2.0
    model = make().fit(x, sample_weight=w)
    before = model.log_density(x.copy())
    asked = x.copy()
    answer = model.log_density(asked)
    for value in (*model.params_.values(), model.params_.units.shift, model.params_.units.exponent):
        if isinstance(value, np.ndarray):
            assert not np.shares_memory(value, x)
            assert not np.shares_memory(value, w)
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0
    x[:] = np.nan
    w[:] = np.nan
    answer[:] = 0.0
    assert np.array_equal(model.log_density(asked), before)
    sample = model.sample(5, random_state=0)
    sample[:] = 0.0
    assert np.array_equal(model.log_density(asked), before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # which is the point
def test_a_forked_child_can_fit(make: Callable[[], Any]) -> None:
    """A child of a process that has used threads must not hang."""
    import multiprocessing

    x = rows(300)
    expected = make().fit(x).log_density(x)
    context = multiprocessing.get_context("fork")
    pipe, other = context.Pipe()

    def work() -> None:
        other.send(make().fit(x).log_density(x))

    child = context.Process(target=work)
    child.start()
    try:
        assert pipe.poll(20.0), "the child hangs"
        assert np.array_equal(pipe.recv(), expected)
    finally:
        child.kill()
        child.join()
