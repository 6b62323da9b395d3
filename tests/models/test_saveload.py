"""A saved model is the same model, bit for bit; a file that describes an impossible one is refused."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pofx
from pofx import store
from pofx.core.density import Density
from pofx.core.params import Params
from pofx.errors import FileError, NotFittedError, PofxError, PofxWarning, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore:KDE. the file holds:pofx.errors.PofxWarning")

RNG = np.random.default_rng(20)
ROWS = np.r_[RNG.normal([0, 300], [1, 20], (40, 2)), RNG.normal([5, 250], [1, 9], (30, 2))]
FRAME = pd.DataFrame({"эруption time": ROWS[:, 0], "waiting": ROWS[:, 1].round().astype(int)})
NAMED = pl.DataFrame(
    {"a": ROWS[:, 0].astype(np.float32), "b": ROWS[:, 1].round(1), "c": ROWS.sum(axis=1) % 7}
)
WEIGHTS = np.arange(70) % 4
QUERIES = RNG.normal([2, 280], [4, 40], (60, 2))

Make = Callable[[], Density]
MODELS: dict[str, Make] = {
    "gaussian": lambda: pofx.Gaussian().fit(ROWS),
    "gaussian, frame": lambda: pofx.Gaussian("diag").fit(FRAME),
    "gaussian, polars": lambda: pofx.Gaussian(shrinkage="oas").fit(NAMED),
    "gaussian, 1-D": lambda: pofx.Gaussian().fit(pd.Series(ROWS[:, 0], name="a")),
    "gaussian, spherical": lambda: pofx.Gaussian("spherical").fit(ROWS, sample_weight=WEIGHTS),
    "gaussian, factor": lambda: pofx.Gaussian("factor", n_factors=1).fit(NAMED),
    "gaussian, given": lambda: pofx.Gaussian.from_params([1, 2], [[2, 1], [1, 3]]),
    "gaussian, condition": lambda: pofx.Gaussian().fit(FRAME).condition({"waiting": 280}),
    "gaussian, marginal": lambda: pofx.Gaussian("factor", n_factors=1).fit(NAMED).marginal(["c", "a"]),
    "histogram": lambda: pofx.Histogram().fit(ROWS),
    "histogram, frame": lambda: pofx.Histogram(bins={"waiting": "doane"}).fit(FRAME),
    "histogram, bins": lambda: pofx.Histogram(bins=[4, [200.0, 260.0, 400.0]], smoothing=0).fit(ROWS),
    "histogram, given": lambda: pofx.Histogram.from_params([[0, 1, 3], [0, 2, 5]], [[0.25, 0.5], [0, 0.25]]),
    "histogram, condition": lambda: pofx.Histogram().fit(FRAME).condition({"waiting": 280}),
    "histogram, marginal": lambda: pofx.Histogram().fit(FRAME).marginal(["waiting"]),
    "kde": lambda: pofx.KDE().fit(ROWS),
    "kde, frame": lambda: pofx.KDE({"waiting": 8, "эруption time": 0.5}, kernel="biweight").fit(FRAME),
    "kde, weights": lambda: pofx.KDE("silverman", weight_kind="importance").fit(
        ROWS, sample_weight=WEIGHTS / 7
    ),
    "kde, given": lambda: pofx.KDE.from_params(ROWS[:9], [0.3, 7.0], weights=np.arange(1.0, 10.0)),
    "kde, condition": lambda: pofx.KDE().fit(FRAME).condition({"waiting": 280}),
    "kde, marginal": lambda: pofx.KDE().fit(NAMED).marginal([2, 0]),
    "mixture": lambda: pofx.GaussianMixture(2, random_state=3).fit(ROWS),
    "mixture, auto": lambda: pofx.GaussianMixture().fit(FRAME),
    "mixture, tied": lambda: pofx.GaussianMixture(2, covariance_type="tied").fit(FRAME),
    "mixture, diag": lambda: pofx.GaussianMixture(2, covariance_type="diag").fit(ROWS),
    "mixture, spherical": lambda: pofx.GaussianMixture(2, covariance_type="spherical").fit(ROWS),
    "mixture, given": lambda: pofx.GaussianMixture.from_params(
        [0.25, 0.75], [[0.0, 1.0], [2.0, 3.0]], [np.eye(2), [[2, 1], [1, 2]]]
    ),
    "mixture, condition": lambda: pofx.GaussianMixture(2).fit(FRAME).condition({"waiting": 280}),
    "mixture, marginal": lambda: pofx.GaussianMixture(2).fit(FRAME).marginal(["waiting"]),
    "transformed": lambda: pofx.Transformed(pofx.Gaussian(), {"waiting": (0, None)}).fit(FRAME),
    "transformed mixture": lambda: pofx.Transformed(pofx.GaussianMixture(2), {1: "log"}).fit(ROWS),
}
ONE_OF_EACH = ("gaussian", "gaussian, factor", "histogram", "kde", "mixture", "mixture, tied", "transformed")


@pytest.fixture(scope="module")
def fitted() -> Callable[[str], Density]:
    """Each model, fitted once."""
    made: dict[str, Density] = {}

    def get(name: str) -> Density:
        if name not in made:
            made[name] = MODELS[name]()
        return made[name]

    return get


def parameters(params: Params) -> Iterator[tuple[Any, ...]]:
    """All that the parameters are, to the bit."""
    for name, value in sorted(params.items()):
        if isinstance(value, Params):
            yield from parameters(value)
        elif isinstance(value, np.ndarray):
            yield name, value.dtype, value.shape, value.tobytes(), value.flags.writeable
        else:
            yield name, type(value), repr(value)
    yield params.columns, params.units.shift.tobytes(), params.units.exponent.tobytes()


def same_model(one: Density, two: Density) -> None:
    assert type(one) is type(two)
    assert repr(one.get_params()) == repr(two.get_params())
    assert list(parameters(one.params_)) == list(parameters(two.params_))
    assert repr(one.fit_) == repr(two.fit_)
    assert set(two.__dict__) == set(one.__dict__)
    rows = one.sample(40, random_state=1, exact=True)
    for options in ({"random_state": 1, "exact": True}, {"random_state": 2}):
        a, b = one.sample(40, **options), two.sample(40, **options)
        assert type(a) is type(b)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert one.log_density(rows).tobytes() == two.log_density(rows).tobytes()


# ------------------------------------------------------------------------------------------ round trip


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_model(fitted, name, tmp_path):
    model = fitted(name)
    model.save(tmp_path / "m.pofx")
    loaded = pofx.load(tmp_path / "m.pofx")
    same_model(model, loaded)
    loaded.save(tmp_path / "again.pofx")
    assert (tmp_path / "m.pofx").read_bytes() == (tmp_path / "again.pofx").read_bytes()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_loaded_model_is_fitted_again_like_the_first(fitted, name, tmp_path):
    model = fitted(name)
    model.save(tmp_path / "m.pofx")
    rows = FRAME if model.params_.columns.names and "waiting" in model.params_.columns.names else ROWS
    if name == "gaussian, factor":
        rows = NAMED
    again = pofx.load(tmp_path / "m.pofx").fit(rows)
    assert list(parameters(again.params_)) == list(parameters(model.params_))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_pickling_in_memory_and_copying(fitted, name):
    model = fitted(name)
    same_model(model, pickle.loads(pickle.dumps(model)))
    same_model(model, copy.deepcopy(model))


def test_extreme_units_survive(tmp_path):
    for scale in (1e-150, 1e150, 1e-300):
        model = pofx.Gaussian().fit(ROWS * scale)
        model.save(tmp_path / "m.pofx")
        same_model(model, pofx.load(tmp_path / "m.pofx"))


def test_what_cannot_be_saved_says_so(tmp_path):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        pofx.Gaussian().save(tmp_path / "m.pofx")
    model = pofx.Gaussian().fit(ROWS)
    model.shrinkage = print
    with pytest.raises(UnsupportedError, match="'shrinkage' is a builtin_function_or_method"):
        model.save(tmp_path / "m.pofx")
    assert not list(tmp_path.iterdir())


def test_saving_keeps_a_file_that_is_there_when_asked(tmp_path):
    model = pofx.Gaussian().fit(ROWS)
    model.save(tmp_path / "m.pofx")
    with pytest.raises(FileError, match="exists"):
        model.save(tmp_path / "m.pofx", overwrite=False)


# --------------------------------------------------------------------------------- impossible models


def contents(model: Density, path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    model.save(path)
    manifest, arrays = store.read(path)
    return manifest, {name: np.array(array) for name, array in arrays.items()}


def refused(
    path: Path, manifest: dict[str, Any], arrays: dict[str, np.ndarray], says: str | None = None
) -> None:
    """The file has a right hash, and is refused with a sentence."""
    store.write(path, manifest, arrays)
    with pytest.raises(FileError, match=says) as caught:
        pofx.load(path)
    assert 20 < len(str(caught.value)) < 1000


def _with(array: np.ndarray, value: float) -> np.ndarray:
    array = array.astype(float)
    array.flat[0] = value
    return array


DAMAGE: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
    "missing": lambda a: None,
    "NaN": lambda a: _with(a, np.nan),
    "infinite": lambda a: _with(a, np.inf),
    "short": lambda a: a[:-1],
    "long": lambda a: np.concatenate([a, a[-1:]]),
    "empty": lambda a: a[:0],
    "a dimension more": lambda a: a[None],
    "scalar": lambda a: np.array(a.flat[0]),
    "text in bytes": lambda a: np.frombuffer(b"os.system", dtype=np.uint8),
    "truth values": lambda a: a != 0,
}


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_array_with_a_right_hash_is_refused(fitted, name, kind, tmp_path):
    manifest, arrays = contents(fitted(name), tmp_path / "m.pofx")
    tried = 0
    for key in arrays:
        array = DAMAGE[kind](arrays[key])
        changed = {k: v for k, v in arrays.items() if k != key}
        if array is not None:
            changed[key] = array
        refused(tmp_path / "m.pofx", manifest, changed)
        tried += 1
    assert tried >= 4


def edit(field: str, change: Callable[[np.ndarray], Any]) -> Callable[[dict[str, np.ndarray]], None]:
    def apply(arrays: dict[str, np.ndarray]) -> None:
        key = f"params.value.{field}"
        arrays[key] = np.asarray(change(arrays[key]))

    return apply


def units(field: str, change: Callable[[np.ndarray], Any]) -> Callable[[dict[str, np.ndarray]], None]:
    def apply(arrays: dict[str, np.ndarray]) -> None:
        arrays[f"params.{field}"] = np.asarray(change(arrays[f"params.{field}"]))

    return apply


IMPOSSIBLE = {
    "negative diagonal": ("gaussian", edit("cholesky", lambda a: -a), "positive definite"),
    "zero diagonal": ("gaussian", edit("cholesky", lambda a: np.tril(a, -1)), "positive definite"),
    "not triangular": ("gaussian", edit("cholesky", lambda a: a + np.triu(np.ones_like(a))), "triangular"),
    "float32": ("gaussian", edit("mean", lambda a: a.astype(np.float32)), "float64"),
    "negative variance": ("gaussian, frame", edit("variance", lambda a: -a), "positive"),
    "zero variance": ("gaussian, spherical", edit("variance", lambda a: 0 * a), "positive"),
    "negative noise": ("gaussian, factor", edit("noise", lambda a: -a), "positive"),
    "edges descend": ("histogram", edit("edges", lambda a: a[::-1].copy()), "ascend"),
    "edges repeat": ("histogram", edit("edges", lambda a: np.r_[a[0], a[:-1]]), "ascend|bins"),
    "no bins": ("histogram", edit("n_bins", lambda a: 0 * a), "bins"),
    "too many bins": ("histogram", edit("n_bins", lambda a: a + 2**62), "bins"),
    "negative bins": ("histogram", edit("n_bins", lambda a: -a), "bins"),
    "cells outside": ("histogram", edit("cells", lambda a: a + 1000), "outside"),
    "negative cells": ("histogram", edit("cells", lambda a: a - 1000), "outside"),
    "cells twice": ("histogram", edit("cells", lambda a: np.r_[a[:1], a[:-1]]), "order"),
    "negative counts": ("histogram", edit("counts", lambda a: -a), "positive"),
    "bandwidth 0": ("kde", edit("bandwidth", lambda a: 0 * a), "positive"),
    "bandwidth < 0": ("kde", edit("bandwidth", lambda a: -a), "positive"),
    "weights above 1": ("kde", edit("log_weights", lambda a: a + 1), "sum to 1"),
    "units of 2**3000": ("gaussian", units("exponent", lambda a: a + 3000), "units"),
    "units of 2**-2**63": ("gaussian", units("exponent", lambda a: 0 * a + np.iinfo(np.int64).min), "units"),
    "units as fractions": ("gaussian", units("exponent", lambda a: a + 0.5), "units"),
    "infinite shift": ("gaussian", units("shift", lambda a: a + np.inf), "units"),
    "mixture weights above 1": ("mixture", edit("weights", lambda a: a * 1.1), "sum to 1|simplex"),
    "mixture weights below 1": ("mixture", edit("weights", lambda a: a * 0.9), "sum to 1|simplex"),
    "mixture weight negative": ("mixture", edit("weights", lambda a: np.array([-0.5, 1.5])), "weights"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_impossible_model_with_a_right_hash_is_refused(fitted, case, tmp_path):
    name, change, says = IMPOSSIBLE[case]
    manifest, arrays = contents(fitted(name), tmp_path / "m.pofx")
    change(arrays)
    refused(tmp_path / "m.pofx", manifest, arrays, says)


ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, 10**400, 1e308, float("nan"), float("-inf"), "", "os:system",
    "x" * 9999, [], [0], [None], {}, {"plain": 1}, {"array": "params.shift"}, {"tuple": []}, {"model": {}},
    {"bijection": {}}, {"keys": [{"list": []}], "items": [{"plain": 1}]},
)  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything in a manifest, branches included."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_odd_values_in_a_manifest_are_refused_or_harmless(fitted, name, tmp_path):
    """Whatever stands where in the manifest, loading gives FileError or a model that works."""
    manifest, arrays = contents(fitted(name), tmp_path / "m.pofx")
    every = sorted(set(leaves(manifest)), key=repr)
    every = [path for path in every if "search" not in path[:-1]]  # the rows of a table, shown only
    for path in every:
        for odd in (*ODD, "deleted"):
            changed = copy.deepcopy(manifest)
            inner: Any = changed
            for key in path[:-1]:
                inner = inner[key]
            if odd == "deleted":
                del inner[path[-1]]
            else:
                inner[path[-1]] = odd
            data = b"".join(store.serialise(changed, arrays))
            loads_or_refuses(data, tmp_path)


def loads_or_refuses(data: bytes, folder: Path) -> None:
    (folder / "odd.pofx").write_bytes(data)
    try:
        loaded = pofx.load(folder / "odd.pofx")
    except FileError as error:
        message = str(error)
    else:
        message = ""
        with warnings.catch_warnings():  # a frame without names is possible, and scoring it says so
            warnings.simplefilter("ignore", PofxWarning)
            loaded.log_density(loaded.sample(2, random_state=0))
        str(loaded.fit_), repr(loaded), loaded._repr_html_()
    assert len(message) < 1000


def test_a_class_of_another_family_is_refused(tmp_path):
    for name in ("Gaussian", "Histogram", "KDE", "GaussianMixture", "Transformed"):
        for other in ("gaussian", "histogram", "kde", "mixture"):
            model = MODELS[other]()
            if type(model).__name__ == name:
                continue
            manifest, arrays = contents(model, tmp_path / "m.pofx")
            manifest["model"]["class"] = name
            refused(tmp_path / "m.pofx", manifest, arrays)
            manifest["model"]["hyperparameters"] = {}
            refused(tmp_path / "m.pofx", manifest, arrays)


def test_damage_of_any_kind_reaches_the_caller_as_a_file_error(tmp_path):
    path = tmp_path / "m.pofx"
    pofx.Gaussian().fit(ROWS).save(path)
    data = path.read_bytes()
    for damaged in (
        data[:-1],
        data + b"\0",
        data[:200],
        b"",
        data[:-1] + bytes([data[-1] ^ 1]),
        b"PK\x03\x04" * 99,
    ):
        path.write_bytes(damaged)
        with pytest.raises(FileError, match=r"m\.pofx"):
            pofx.load(path)


# --------------------------------------------------------------------------------------- no pickle


def test_nothing_in_pofx_can_run_code_from_a_file():
    """No module of pofx imports pickle or its relatives, or evaluates text."""
    forbidden = re.compile(
        r"^\s*(?:import|from)\s+(?:pickle|cPickle|_pickle|dill|cloudpickle|joblib|shelve|marshal)\b"
        r"|pickle\.loads?\(|(?<![\w.])(?:eval|exec|compile|__import__)\(|allow_pickle\s*=\s*True|yaml\.load\(",
        re.MULTILINE,
    )
    found = [
        f"{path.name}: {match.group(0).strip()}"
        for path in sorted(Path(pofx.__file__).parent.rglob("*.py"))
        for match in forbidden.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found


class Canary:
    """What a malicious pickle does: runs a call when it is opened."""

    struck: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Canary.struck.append, ("chirp",)


def test_a_malicious_pickle_is_not_opened(tmp_path):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "m.pofx").write_bytes(pickle.dumps(Canary(), protocol=protocol) + b"." * 200)
        with pytest.raises(FileError, match="not a pofx file"):
            pofx.load(tmp_path / "m.pofx")
    assert not Canary.struck


def test_errors_of_files_are_of_pofx_and_of_the_system(tmp_path):
    with pytest.raises(PofxError):
        pofx.load(tmp_path / "absent.pofx")
    with pytest.raises(OSError, match="no such file"):
        pofx.load(tmp_path / "absent.pofx")
