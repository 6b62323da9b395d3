"""Models on the command line: made from words and options, or read from a file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pofx.cli.words import MODELS, listed

if TYPE_CHECKING:
    from pofx.core.density import Density

__all__ = [
    "load_model",
    "make_model",
    "make_models",
    "model_options",
    "set_marginal",
    "set_weight_kind",
    "transform_option",
    "transformed",
]


def make_models(words: str | None, seed: int) -> dict[str, Density]:
    """Return unfitted models by class name: the candidates, all there are, or those named between commas."""
    from pofx.auto import candidates

    if words is None:
        return candidates(seed)
    if words.strip().casefold() == "all":
        return candidates(seed, everything=True)
    from pofx.cli.words import ModelWord

    kind = ModelWord(auto=False)
    try:
        named = [kind.convert(word, None, None) for word in listed(words) or []]
    except click.BadParameter as error:
        raise click.UsageError(f"--models: {error.message} Or all.") from None
    if not named or len(set(named)) < len(named):
        raise click.UsageError(f"--models names one or more different models, not {words!r}.")
    models = [make_model(word, seed, {}) for word in named]
    return {type(model).__name__: model for model in models}


def make_model(word: str, seed: int, given: Mapping[str, str]) -> Density:
    """Return an unfitted model.

    Parameters
    ----------
    word : as on the command line, or the class of an installed package
    seed : of those whose fit draws
    given : option -> its text, for the options that were given

    Raises
    ------
    click.UsageError
        For an option that the model does not have.
    """
    from pofx.models.registry import resolve

    wrong = [name for name in given if word not in OPTIONS[name][0]]
    if wrong:
        theirs = " and ".join(OPTIONS[wrong[0]][0])
        raise click.UsageError(f"--{wrong[0]} is an option of {theirs}, not of {word}.")
    cls = resolve(MODELS.get(word, word))
    hyper: dict[str, Any] = {}
    for name, text in given.items():
        _, key, parse, _, _ = OPTIONS[name]
        hyper[key] = parse(name, text)
    if "random_state" in cls().get_params():
        hyper["random_state"] = seed
    return cls(**hyper)


def set_weight_kind(models: Iterable[Density], weight_kind: str | None) -> None:
    """Say what weights mean, where it was asked for."""
    for model in models if weight_kind is not None else ():
        model.set_params(weight_kind=weight_kind)


transform_option = click.option(
    "--transform",
    "transforms",
    multiple=True,
    metavar="COLUMN=log|logit|LOW:HIGH",
    help="Model this column through a map, in its own units all the same: income=log, or bounds, age=0: and "
    "share=0:1, which draws keep. Can be given several times.",
)


def transformed(models: Mapping[str, Density], words: Sequence[str]) -> dict[str, Density]:
    """Return the models seen through the maps of ``--transform``; as they are without one.

    Raises
    ------
    click.UsageError
        For a map that is none, or two of one column.
    """
    from pofx.core.transformed import Transformed

    maps: dict[str | int, Any] = {}
    for word in [word for several in words for word in listed(several) or [several]]:
        for column, text in _by_column("transform", word).items():
            if column in maps:
                raise click.UsageError(f"--transform names {column} twice.")
            maps[column] = _map(column, text)
    return {name: Transformed(model, maps) for name, model in models.items()} if maps else dict(models)


def _map(column: str | int, text: str) -> Any:
    if text in ("log", "logit"):
        return text
    if ":" not in text:
        raise click.UsageError(
            f"--transform needs {column}=log, {column}=logit or {column}=LOW:HIGH, one of them left empty "
            f"where there is no bound; got {text!r}."
        )
    low, high = _bounds("transform", f"{column}={text}")[column]
    if low is None and high is None:
        raise click.UsageError(f"--transform {column}={text} has no bound; write one, as in {column}=0:.")
    if low is not None and high is not None and not low < high:
        raise click.UsageError(f"--transform {column}={text}: the lower bound comes first.")
    return low, high


def set_marginal(models: Iterable[Density]) -> None:
    """Let models use what is known of rows with missing values; refuse those that cannot."""
    for model in models:
        if not getattr(model, "takes_missing", False):
            raise click.UsageError(
                f"--missing marginal uses what is known of each row, which {type(model).__name__} cannot: "
                "--model mixture can."
            )
        model.set_params(missing="marginal")


def load_model(word: str) -> Density:
    """Return the model of a file, or a known world: ``world:moons``.

    Raises
    ------
    FileError
        For a file that is not there (with the nearest name), or that holds no model.
    """
    from pofx.errors import FileError
    from pofx.models.registry import load

    if word.startswith("world:"):
        from pofx.data.places import world_named

        world: Density = world_named(word)[0]
        return world
    path = Path(word)
    if not path.exists():
        folder = str(path.parent)
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        models = [name for name in names if name.endswith(".pofx")]
        near = difflib.get_close_matches(path.name, models, n=1, cutoff=0.5)
        hint = f" Did you mean {str(path.with_name(near[0]))!r}?" if near else ""
        raise FileError(f"There is no file {word!r}.{hint or ' pofx fit DATA -o model.pofx makes one.'}")
    if path.is_dir():
        raise FileError(f"{word!r} is a directory; expected a model that pofx fit wrote.")
    try:
        return load(word)
    except FileError as error:
        with open(word, "rb") as file:
            begins = file.read(400)
        if path.suffix != ".pofx" and b"pofx" not in begins:
            raise FileError(
                f"{word!r} holds no model of pofx. MODEL comes before DATA; make one first: "
                f"pofx fit {word} -o model.pofx"
            ) from None
        raise error


# ---------------------------------------------------------------- options of models


def _number(name: str, text: str) -> float | int:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise click.UsageError(f"--{name} needs a number, not {text!r}.")


def _whole(name: str, text: str) -> int:
    number = _number(name, text)
    if not isinstance(number, int):
        raise click.UsageError(f"--{name} needs a whole number, not {text!r}.")
    return number


def _word_or_number(name: str, text: str) -> Any:
    try:
        return _number(name, text)
    except click.UsageError:
        return text


def _words_or_numbers(name: str, text: str) -> Any:
    """One word or number, or several between commas, one per column."""
    words = [_word_or_number(name, word) for word in listed(text) or []]
    return words[0] if len(words) == 1 else words


def _components(name: str, text: str) -> Any:
    """3, 1..9, 2,4,6 or auto."""
    if text.strip().casefold() == "auto":
        return "auto"
    low, dots, high = text.partition("..")
    if dots:
        sizes = list(range(_whole(name, low), _whole(name, high) + 1))
        if not sizes:
            raise click.UsageError(f"--{name} {text} is no range: write the smaller number first.")
        return sizes
    found = [_whole(name, word) for word in listed(text) or []]
    if not found:
        raise click.UsageError(f"--{name} needs numbers, such as 3 or 1..9, or auto.")
    return found[0] if len(found) == 1 else found


def _yes_or_number(name: str, text: str) -> Any:
    known = {"yes": True, "true": True, "no": False, "false": False}
    folded = text.strip().casefold()
    return known[folded] if folded in known else _number(name, text)


def _by_column(name: str, text: str) -> dict[str | int, str]:
    """column=text, several between commas; a number is a column's number."""
    found: dict[str | int, str] = {}
    for word in listed(text) or []:
        key, equals, value = word.rpartition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"--{name} needs column=value between commas, not {word!r}.")
        column = key.strip()
        found[int(column) if column.isdigit() else column] = value.strip()
    if not found:
        raise click.UsageError(f"--{name} names no column.")
    return found


def _bounds(name: str, text: str) -> Any:
    """column=low:high, an end left empty where there is none."""
    bounds: dict[str | int, tuple[float | None, float | None]] = {}
    for column, span in _by_column(name, text).items():
        low, colon, high = span.partition(":")
        if not colon:
            raise click.UsageError(f"--{name} needs {column}=low:high, one of them left empty, not {span!r}.")
        ends = [_number(name, end) if end.strip() else None for end in (low, high)]
        bounds[column] = (ends[0], ends[1])
    return bounds


# option -> (models that have it, hyperparameter, how its text is read, metavar, help)
OPTIONS: dict[str, tuple[tuple[str, ...], str, Callable[[str, str], Any], str, str]] = {
    "components": (
        ("mixture",),
        "n_components",
        _components,
        "3|1..9|auto",
        "How many, or among which numbers to choose by BIC.",
    ),
    "covariance": (
        ("gaussian", "mixture"),
        "covariance_type",
        _words_or_numbers,
        "full|diag|tied|…",
        "What covariances share.",
    ),
    "shrinkage": (
        ("gaussian",),
        "shrinkage",
        _word_or_number,
        "0.1|oas|ledoit_wolf",
        "How far a full covariance is pulled towards its diagonal.",
    ),
    "starts": (("mixture",), "n_init", _whole, "10", "Random starts of each kind."),
    "bandwidth": (
        ("kde",),
        "bandwidth",
        _words_or_numbers,
        "0.3|auto|isj|…",
        "The kernel's standard deviation, data units, or a rule.",
    ),
    "kernel": (("kde",), "kernel", lambda _, text: text, "gaussian|tophat|…", "The bump."),
    "adaptive": (
        ("kde",),
        "adaptive",
        _yes_or_number,
        "yes|0.5",
        "Wider bumps where rows are sparse: Abramson's rule, or another power of the density.",
    ),
    "bounds": (
        ("kde",),
        "bounds",
        _bounds,
        "age=0:,share=0:1",
        "Ends of columns, where bumps reflect.",
    ),
    "period": (
        ("kde",),
        "period",
        lambda name, text: {key: _number(name, v) for key, v in _by_column(name, text).items()},
        "hour=24",
        "Columns that wrap.",
    ),
    "rtol": (("kde",), "rtol", _number, "1e-6", "Relative error allowed in a density; 0 is exact."),
    "bins": (
        ("histogram",),
        "bins",
        _words_or_numbers,
        "20|fd|knuth|…",
        "How many bins, or a rule, for all columns or one for each.",
    ),
    "smoothing": (
        ("histogram",),
        "smoothing",
        _word_or_number,
        "0.5|auto",
        "Rows added to each cell; 0 leaves empty cells empty.",
    ),
}


def model_options(function: Any) -> Any:
    """Give a verb the options of models; it receives those that were given as ``given``."""
    import functools

    @functools.wraps(function)
    def run(**words: Any) -> Any:
        given = {name: words.pop(name) for name in OPTIONS}
        return function(given={name: text for name, text in given.items() if text is not None}, **words)

    made = run
    for name, (models, _, _, metavar, text) in reversed(OPTIONS.items()):
        made = click.option(f"--{name}", metavar=metavar, help=f"{' and '.join(models)}: {text}")(made)
    return made
