"""A model as (manifest, arrays) and back; which class a name means is the caller's to say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import FileError, ParameterError, PofxError, UnsupportedError
from ..validation import Columns
from .density import Density
from .fitting import Fit
from .params import Params
from .rarity import Calibration
from .units import Units

__all__ = ["decode", "encode"]

Arrays = dict[str, np.ndarray]
Resolve = Callable[[str], type[Density]]


def encode(model: Density) -> tuple[dict[str, Any], Arrays]:
    """Return the manifest (plain data) and the arrays of a fitted model.

    Raises
    ------
    NotFittedError
        Before the fit.
    UnsupportedError
        For a hyperparameter that no file can hold (a function, say), by name.
    """
    arrays: Arrays = {}
    params, fit = model.params_, model.fit_
    manifest = {
        "model": _encode_model(model, "hyper.", arrays),
        "params": _encode_params(params, "params.", arrays),
        "fit": fit.to_json(),
    }
    if fit.calibration is not None:
        manifest["calibration"] = _encode_calibration(fit.calibration, arrays)
    return manifest, arrays


def decode(manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray], resolve: Resolve) -> Density:
    """Return the model of a manifest; ``resolve`` maps a class name to a class it trusts.

    Raises
    ------
    FileError
        Where the manifest does not describe a model whose parameters are valid.
    """
    try:
        model = _decode_model(manifest["model"], arrays, resolve)
        params = _decode_params(manifest["params"], arrays)
        fit = Fit.from_json(manifest["fit"])
        model._check()
        model._check_values(params, len(params.units))
        if "calibration" in manifest:
            calibration = _decode_calibration(manifest["calibration"], params.columns, arrays, resolve)
            fit = replace(fit, calibration=calibration)
    except ParameterError as error:
        raise FileError(f"The file describes an impossible model: {error!s:.500}") from error
    except PofxError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise FileError(
            f"The file does not describe a model of this version of pofx ({type(error).__name__}: "
            f"{error!s:.200}). Save the model again with the version that made it."
        ) from error
    model._adopt(params, fit)
    return model


# ---------------------------------------------------------------- parameters


def _encode_params(params: Params, prefix: str, arrays: Arrays) -> dict[str, Any]:
    arrays[prefix + "shift"], arrays[prefix + "exponent"] = params.units.shift, params.units.exponent
    values: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, np.ndarray):
            arrays[f"{prefix}value.{name}"] = value
            values[name] = {"array": f"{prefix}value.{name}"}
        elif isinstance(value, Params):
            values[name] = {"params": _encode_params(value, f"{prefix}value.{name}.", arrays)}
        else:
            values[name] = {"plain": _plain(value, name)}
    return {"prefix": prefix, "columns": params.columns.to_json(), "values": values}


def _decode_params(data: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Params:
    prefix = data["prefix"]
    columns = Columns.from_json(data["columns"])
    shift, exponent = arrays[prefix + "shift"], arrays[prefix + "exponent"]
    d = len(columns)
    if shift.shape != (d,) or exponent.shape != (d,) or shift.dtype != float or exponent.dtype.kind != "i":
        raise FileError(
            f"The file's units do not fit its {d} columns (shift {shift.shape}, {exponent.shape})."
        )
    if not np.isfinite(shift).all() or (exponent < -2200).any() or (exponent > 2200).any():
        raise FileError("The file's units are not finite numbers; it is damaged or hostile.")
    values: dict[str, Any] = {}
    for name, item in data["values"].items():
        if "array" in item:
            values[name] = np.array(arrays[item["array"]])
        elif "params" in item:
            values[name] = _decode_params(item["params"], arrays)
        else:
            values[name] = item["plain"]
    return Params(values, Units(np.array(shift, dtype=float), np.array(exponent, dtype=np.int64)), columns)


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UnsupportedError(f"Parameter {name!r} is a {type(value).__name__}, which no model file can hold.")


# ---------------------------------------------------------------- calibration


def _encode_calibration(calibration: Calibration, arrays: Arrays) -> dict[str, Any]:
    for k, scores in enumerate(calibration.scores):
        arrays[f"calibration.{k}.scores"] = scores
        if calibration.weights is not None:
            arrays[f"calibration.{k}.weights"] = calibration.weights[k]
    judges = [
        {
            "model": _encode_model(judge, f"calibration.{k}.hyper.", arrays),
            "params": _encode_params(judge.params_, f"calibration.{k}.params.", arrays),
        }
        for k, judge in enumerate(calibration.judges)
    ]
    parts, weighed = len(calibration.scores), calibration.weights is not None
    return {"parts": parts, "weighed": weighed, "judges": judges, "how": calibration.how}


def _decode_calibration(
    data: Mapping[str, Any], columns: Columns, arrays: Mapping[str, np.ndarray], resolve: Resolve
) -> Calibration:
    judges = []
    for item in data["judges"]:
        judge = _decode_model(item["model"], arrays, resolve)
        params = _decode_params(item["params"], arrays)
        judge._check()
        judge._check_values(params, len(params.units))
        if len(params.columns) != len(columns):
            raise FileError("The file's calibration is one of other columns than the model's.")
        judge._adopt(params, Fit.given())  # a judge is asked for log densities alone
        judges.append(judge)
    parts, how = data["parts"], data["how"]
    if not isinstance(how, str) or type(parts) is not int or not 0 < parts <= len(arrays):
        raise FileError("The file's calibration has a field of the wrong type.")
    scores, weights = (
        tuple(np.asarray(arrays[f"calibration.{k}.{name}"], dtype=float) for k in range(parts))
        if there
        else ()
        for name, there in (("scores", True), ("weights", data["weighed"]))
    )
    return Calibration(scores, tuple(judges), weights or None, how)


# ---------------------------------------------------------------- hyperparameters


def _encode_model(model: Density, prefix: str, arrays: Arrays) -> dict[str, Any]:
    hyper = {
        name: _encode_hyper(value, prefix + name, name, arrays)
        for name, value in model.get_params(deep=False).items()
    }
    return {"class": type(model).__name__, "package": _package(type(model)), "hyperparameters": hyper}


def _package(cls: type) -> str | None:
    """Return the name of the installed package of a class that is not pofx's own."""
    top = cls.__module__.partition(".")[0]
    if top in ("pofx", "__main__"):
        return None
    from importlib.metadata import packages_distributions  # reads the metadata of all that is installed

    return packages_distributions().get(top, [top])[0]


def _decode_model(data: Mapping[str, Any], arrays: Mapping[str, np.ndarray], resolve: Resolve) -> Density:
    if not isinstance(data["class"], str):
        raise FileError(f"The file names no class of model, but {data['class']!r:.80}.")
    package = data.get("package")  # shown, never used: a file can say what it likes
    try:
        cls = resolve(data["class"])
    except FileError as error:
        if isinstance(package, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", package):
            raise FileError(f"{error} By the file's own account the package is {package!r}.") from error
        raise
    hyper = {name: _decode_hyper(item, arrays, resolve) for name, item in data["hyperparameters"].items()}
    known = cls._parameter_names()
    for name in hyper:
        if name not in known:
            raise FileError(f"The file gives {cls.__name__} a hyperparameter {name!r:.80}, which it has not.")
    return cls(**hyper)


def _encode_hyper(value: Any, key: str, name: str, arrays: Arrays) -> dict[str, Any]:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return {"plain": value}
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        arrays[key] = value
        return {"array": key}
    if isinstance(value, tuple | list | range):
        items = [_encode_hyper(v, f"{key}.{i}", name, arrays) for i, v in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if isinstance(value, Mapping):
        keys = [_encode_hyper(k, f"{key}.key{i}", name, arrays) for i, k in enumerate(value)]
        items = [_encode_hyper(v, f"{key}.item{i}", name, arrays) for i, v in enumerate(value.values())]
        return {"keys": keys, "items": items}
    if isinstance(value, Density):
        return {"model": _encode_model(value, key + ".", arrays)}
    if isinstance(value, np.random.Generator | np.random.RandomState):
        return {"plain": None}  # a spent stream of random numbers says nothing about the fitted model
    if isinstance(getattr(value, "short_name", None), str):
        return {"plain": value.short_name}  # what the constructor takes as well
    if hasattr(value, "to_json") and hasattr(type(value), "from_json"):
        from ..maths.bijections import to_manifest

        return {"bijection": to_manifest(value)}
    raise UnsupportedError(
        f"Hyperparameter {name!r} is a {type(value).__name__}, which no model file can hold. "
        "Use its short name, numbers or arrays instead."
    )


def _decode_hyper(item: Mapping[str, Any], arrays: Mapping[str, np.ndarray], resolve: Resolve) -> Any:
    if "plain" in item:
        return item["plain"]
    if "array" in item:
        return np.array(arrays[item["array"]])
    if "tuple" in item:
        return tuple(_decode_hyper(v, arrays, resolve) for v in item["tuple"])
    if "list" in item:
        return [_decode_hyper(v, arrays, resolve) for v in item["list"]]
    if "keys" in item:
        keys = [_decode_hyper(v, arrays, resolve) for v in item["keys"]]
        return dict(zip(keys, (_decode_hyper(v, arrays, resolve) for v in item["items"]), strict=True))
    if "model" in item:
        return _decode_model(item["model"], arrays, resolve)
    if "bijection" in item:
        from ..maths.bijections import from_manifest

        return from_manifest(item["bijection"])
    raise FileError(f"The file holds a hyperparameter of an unknown form: {item!r:.80}.")
