"""Laws of conduct: files, errors, and leaving other people's things alone."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ... import store
from ...errors import FileError, NotFittedError, PofxError, PofxWarning
from ..density import Density
from ..fold import Blocks
from ..persist import decode
from .case import Case, Law, NotApplicable, agree, demand

__all__ = ["MANNERS_LAWS"]


def save_and_load(case: Case) -> None:
    m = case.model
    classes = {type(inner).__name__: type(inner) for inner in _nested(m)}

    def resolve(name: str) -> type[Density]:
        if name not in classes:
            raise FileError(f"the file names {name!r}, which the model is not made of")
        return classes[name]

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", PofxWarning)  # a model may say that its file holds the rows
        path = Path(folder) / "model.pofx"
        m.save(path)
        again = decode(*store.read(path), resolve)
        again.save(Path(folder) / "again.pofx")
        demand(
            path.read_bytes() == (Path(folder) / "again.pofx").read_bytes(),
            "saved, loaded and saved again: other bytes",
        )
    demand(again.fit_ == m.fit_, "the fit record changed on the way through the file")
    demand(repr(again) == repr(m), f"the hyperparameters changed: {again!r} against {m!r}")
    if m.kind != "none":
        demand(
            again.log_density(case.queries).tobytes() == m.log_density(case.queries).tobytes(),
            "the loaded model's log densities differ in their bits",
        )
    a, b = (np.asarray(k.sample(20, random_state=1)) for k in (m, again))
    demand(np.array_equal(a, b), "the loaded model draws another sample from the same seed")


def _nested(model: Density) -> Iterator[Density]:
    yield model
    for value in model.get_params(deep=False).values():
        for inner in value if isinstance(value, list | tuple) else [value]:
            if isinstance(inner, Density):
                yield from _nested(inner)


def inputs_untouched(case: Case) -> None:
    x, w = case.x.copy(), np.ones(len(case.x))
    model = case.fit(x, w)
    demand(np.array_equal(x, case.x) and (w == 1).all(), "fit changed the caller's arrays")
    if model.kind == "none":
        return
    queries = case.queries.copy()
    before = model.log_density(queries)
    demand(np.array_equal(queries, case.queries), "log_density changed the caller's array")
    x *= 17.0
    x += 5.0
    agree(model.log_density(queries), before, 0.0, "after the caller changed the array it was fitted on")
    before[:] = 0.0
    demand(model.log_density(queries).any(), "log_density gave out an array that it uses itself")


def _raises(
    kinds: type[BaseException] | tuple[type[BaseException], ...], action: Callable[[], Any], what: str
) -> str:
    try:
        action()
    except kinds as error:
        demand(len(str(error)) > 15, f"{what}: the message says nothing: {error!r}")
        return str(error)
    except Exception as error:
        demand(False, f"{what}: raised {type(error).__name__}: {error}; expected one of pofx's own errors")
    demand(False, f"{what}: passed silently")
    return ""


def explains_itself(case: Case) -> None:
    fresh = case.make()
    for verb in (lambda: fresh.log_density(case.x), lambda: fresh.sample(1)):
        _raises(NotFittedError, verb, "an unfitted model was used")
    m, bad = case.model, case.x.copy()
    bad[3, 0] = np.nan
    text = _raises(PofxError, lambda: case.make().fit(bad), "fit to a NaN")
    demand("NaN" in text or "missing" in text, f"fit to a NaN: the message does not name it: {text}")
    _raises(PofxError, lambda: case.make().fit(case.x[:0]), "fit to no rows")
    _raises(PofxError, lambda: case.make().fit(case.x[None]), "fit to a three-dimensional array")
    _raises(
        PofxError, lambda: case.make().fit(case.x, sample_weight=-np.ones(len(case.x))), "negative weights"
    )
    _raises(PofxError, lambda: m.sample(-1), "a sample of -1 rows")
    _raises(PofxError, lambda: m.sample(2, random_state=-1), "a seed of -1")
    if m.kind == "none":
        _raises(PofxError, lambda: m.log_density(case.x), "log_density of a model that has none")
        return
    _raises(PofxError, lambda: m.log_density(bad), "log_density of a NaN")
    _raises(PofxError, lambda: m.log_density(np.ones((4, case.d + 1))), "log_density of too many columns")


def failed_fit_changes_nothing(case: Case) -> None:
    if case.model.kind == "none":
        raise NotApplicable("the model has no density")
    model = case.fit(case.x)
    before, params = model.log_density(case.queries), model.params_
    bad = case.x.copy()
    bad[0, 0] = np.inf
    _raises(PofxError, lambda: model.fit(bad), "fit to an infinity")
    for stop in range(1, 9):  # an interrupt in the first, second, third … pass over the rows
        passes = 0

        def rows(stop: int = stop) -> Iterator[np.ndarray]:
            nonlocal passes
            passes += 1
            yield case.x * 2.0
            if passes == stop:
                raise KeyboardInterrupt

        try:
            model.fit(Blocks(rows))
        except KeyboardInterrupt:
            agree(model.log_density(case.queries), before, 0.0, f"after an interrupt in pass {stop}")
            demand(model.params_ is params, "an interrupted fit replaced the parameters")
        else:
            break
    demand(
        set(model.__dict__) - set(model.get_params(deep=False)) == {"params_", "fit_"},
        "more is kept than params_ and fit_",
    )


def one_column(case: Case) -> None:
    if case.d != 1:
        raise NotApplicable("for one column")
    model = case.fit(case.x[:, 0])
    sample = model.sample(5, random_state=0)
    demand(np.ndim(sample) == 1, f"fitted to a 1-D array, samples have shape {np.shape(sample)}")
    if model.kind != "none":
        agree(
            model.log_density(case.x[:, 0]),
            case.model.log_density(case.x),
            1e-12,
            "1-D rows against one column",
        )


MANNERS_LAWS = (
    Law("save and load", "a file gives back the same model, bit for bit", save_and_load),
    Law("inputs untouched", "no array of the caller's is changed or kept", inputs_untouched),
    Law(
        "errors explain themselves", "wrong use is refused by one of pofx's errors, in words", explains_itself
    ),
    Law(
        "a failed fit changes nothing",
        "a fit that fails or is interrupted leaves the model as it was",
        failed_fit_changes_nothing,
    ),
    Law("one column", "a 1-D array is one column, and samples come back 1-D", one_column),
)
