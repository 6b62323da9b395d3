"""Before the fit, after a failed fit, between two threads; samples; memory."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

import pofx
from pofx.errors import MemoryLimitError, NotFittedError, ParameterError


def test_input_not_modified(make: Any, x: np.ndarray) -> None:
    import pandas as pd

    rows, w, frame = x.copy(), np.ones(200), pd.DataFrame(x, columns=["a", "b"])
    make().fit(rows, sample_weight=w).log_density(rows)
    make().fit(frame).log_density(frame)
    assert np.array_equal(rows, x)
    assert np.array_equal(frame.to_numpy(), x)
    assert (w == 1).all()
    assert rows.flags.writeable


def test_caller_mutates_after_fit(make: Any, x: np.ndarray, model: Any) -> None:
    rows = x.copy()
    fitted = make().fit(rows)
    rows[:] = 1e6
    assert np.array_equal(fitted.log_density(x), model.log_density(x))
    for value in fitted.params_.values():
        if isinstance(value, np.ndarray):
            assert not np.shares_memory(value, rows)
            assert not value.flags.writeable
    with pytest.raises(AttributeError, match="frozen"):
        fitted.params_.mean = 3.0


def test_score_before_fit(make: Any, x: np.ndarray, refused: Any) -> None:
    name = type(make()).__name__
    actions = [
        lambda m: m.log_density(x),
        lambda m: m.score_samples(x),
        lambda m: m.score(x),
        lambda m: m.density(x),
        lambda m: m.sample(2),
        lambda m: m.condition({0: 1.0}),
        lambda m: m.marginal([0]),
        lambda m: m.mean(),
        lambda m: m.entropy(),
        lambda m: m.quantile(0.5),
        lambda m: m.hdr(0.5),
        lambda m: m.save("nowhere.pofx"),
        lambda m: m.n_parameters_,
        lambda m: m.n_features_in_,
        lambda m: m.params_,
        lambda m: m.fit_,
    ]
    for action in actions:
        with refused(name, "not fitted", "fit", kind=NotFittedError):
            action(make())
    assert not hasattr(make(), "params_")


def test_sample_n_zero(model: Any) -> None:
    assert model.sample(0).shape == (0, 2)
    assert model.sample(0, exact=True).shape == (0, 2)


def test_sample_n_negative(model: Any, refused: Any) -> None:
    with refused("n must be", ">= 0", "-1", kind=ParameterError):
        model.sample(-1)


def test_sample_n_float(model: Any, refused: Any) -> None:  # sample_n_float_2.5
    for n in (2.5, 2.0, "3", None, True, np.nan):
        with refused("n must be", "whole", kind=ParameterError):
            model.sample(n)


def test_sample_n_one_shape(model: Any) -> None:
    assert model.sample(1).shape == (1, 2)
    assert model.sample().shape == (1, 2)
    assert model.sample(np.int64(1)).shape == (1, 2)


def test_sample_same_seed(model: Any) -> None:
    assert np.array_equal(model.sample(20, random_state=5), model.sample(20, random_state=5))
    assert not np.array_equal(model.sample(20, random_state=5), model.sample(20, random_state=6))
    assert not np.array_equal(model.sample(20), model.sample(20))
    for seed in (np.random.SeedSequence(4), np.random.default_rng(4), np.random.RandomState(4)):
        assert model.sample(3, random_state=seed).shape == (3, 2)
    state = np.random.get_state()[1].copy()
    model.sample(5)
    assert np.array_equal(state, np.random.get_state()[1])  # the global generator is left alone


def test_sample_after_nan_seed(model: Any, refused: Any) -> None:
    for seed in (-1, np.nan, 1.5, "one", True):
        with refused("random_state", "whole number", kind=ParameterError):
            model.sample(2, random_state=seed)


def test_failed_refit_keeps_old_model(make: Any, x: np.ndarray) -> None:
    model = make().fit(x)
    params, fit, before = model.params_, model.fit_, model.log_density(x)
    nan = x.copy()
    nan[150, 1] = np.nan
    constant = x.copy()
    constant[:, 1] = 1.0

    def broken() -> Any:  # fails while it is read
        yield x
        yield x[:, :1]

    for bad in (nan, constant, x[:1], x[:, :, None], "text", pofx.core.fold.Blocks(broken)):
        with pytest.raises(pofx.errors.PofxError):
            model.fit(bad)
        assert model.params_ is params
        assert model.fit_ is fit
    model.set_params(missing="bogus")
    with pytest.raises(ParameterError):
        model.fit(x)
    assert model.params_ is params
    assert np.array_equal(model.log_density(x), before)


def test_interrupted_refit_keeps_old(make: Any, x: np.ndarray) -> None:
    """An interrupt at the n-th look at the rows, for every n."""
    model = make().fit(x)
    params, fit, before = model.params_, model.fit_, model.log_density(x)
    for stop in range(1, 200):
        looks = 0

        def rows(stop: int = stop) -> Any:
            nonlocal looks
            for block in (x[:90] * 2.0, x[90:] * 2.0):
                looks += 1
                if looks == stop:
                    raise KeyboardInterrupt
                yield block

        try:
            model.fit(pofx.core.fold.Blocks(rows))
        except KeyboardInterrupt:
            assert model.params_ is params
            assert model.fit_ is fit
        else:
            break
    else:
        pytest.fail("the fit never ended")
    assert stop > 2
    assert model.params_ is not params
    model.fit(x)
    assert np.array_equal(model.log_density(x), before)


def test_two_threads_same_answers(make: Any, rows: Any) -> None:
    one, two = rows(300, 2), rows(250, 3) * 7.0
    expected = [make().fit(r).log_density(r) for r in (one, two)]
    got: list[Any] = [None] * 6

    def work(i: int) -> None:
        r = (one, two)[i % 2]
        got[i] = make().fit(r).log_density(r)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, answer in enumerate(got):
        assert np.array_equal(answer, expected[i % 2])


HUGE = {  # virtual arrays: nothing of that size is there
    "Gaussian": (4, 3_000_000),
    "KDE": (10**11, 2),
    "Histogram": (10**11, 2),
    "GaussianMixture": (4, 3_000_000),
}


def test_memory_prediction(name: str, make: Any, model: Any, refused: Any) -> None:
    """Refused before anything is allocated, with the bytes needed and available."""
    rows = np.broadcast_to(np.array([[1.0]]), HUGE[name])
    started = time.process_time()
    with refused(
        "would need about [0-9.e+]+ (TB|GB)", "[0-9.]+ [kMGT]B are available", kind=MemoryLimitError
    ):
        make().fit(rows)
    with refused("would need about [0-9.e+]+ TB", "available", kind=MemoryLimitError):
        model.sample(10**13)
    with refused("would need about [0-9.e+]+ TB", "available", kind=MemoryLimitError):
        model.log_density(np.broadcast_to(np.array([1.0]), (10**13, 2)))
    assert time.process_time() - started < 0.3  # three refusals
