"""``pofx plot``: a picture of a model, over its rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from pofx.cli.models import load_model
from pofx.cli.options import force_option, json_option, model_argument, reads, strict_option, verb
from pofx.cli.output import emit, json_text, may_write, progress, say, show
from pofx.cli.rows import Asked
from pofx.cli.strictness import judged
from pofx.cli.words import Word, listed

__all__ = ["command"]

KINDS = ("density", "corner", "conditional", "residuals", "search", "trace")


@verb(
    "a picture of a model, over its rows",
    "pofx plot faithful.pofx faithful.csv -o faithful.png",
    "pofx plot world:moons -o moons.svg --fill",
    "pofx plot faithful.pofx faithful.csv --given waiting=60,80 -o eruptions.pdf",
    "pofx plot waiting.pofx faithful.csv --band .95 -o waiting.png",
    "pofx plot faithful.pofx faithful.csv --kind residuals -o where.svg",
)
@model_argument
@reads(missing="drop", optional=True)
@click.option("-o", "--output", metavar="FILE", help="The picture: .png, .svg or .pdf; - writes SVG.")
@click.option("--kind", type=Word(KINDS), metavar="|".join(KINDS), help="By default what suits the columns.")
@click.option("--show", metavar="A,B", help="Which of the model's columns to show, by name or number.")
@click.option(
    "--given", metavar="A=60,80", help="The density of the rest at these values of A, or along A: --given A."
)
@click.option("--truth", metavar="MODEL", help="A known distribution, dashed: world:moons, or a model file.")
@click.option("--by", metavar="COLUMN", help="Colour the rows by the words or numbers in a column of DATA.")
@click.option(
    "--band", type=float, metavar="P", help="A band that holds the density of one column, such as .95."
)
@click.option(
    "--levels",
    metavar="M,M|K",
    help="Masses that the regions hold, as .5,.8,.95; or how many.",
)
@click.option("--fill", is_flag=True, help="The density of two columns in shades.")
@click.option("--points", type=click.IntRange(min=0), help="The most dots; 0 counts rows in cells.")
@json_option
@strict_option
@force_option
def plot(
    model: str,
    asked: Asked,
    output: str | None,
    kind: str | None,
    show: str | None,
    given: str | None,
    truth: str | None,
    by: str | None,
    band: float | None,
    levels: str | None,
    fill: bool,
    points: int | None,
    as_json: bool,
    strict: bool,
    force: bool,
) -> int:
    """Draw a saved model, over the rows of DATA where they are given, else over draws of its own.

    One column: histogram and density curve. Two: rows and the regions that hold 50, 80 and 95 % of the mass.
    More: all pairs. --kind residuals maps where rows exceed the model, search shows how a mixture was chosen,
    trace the path of its fit. --json prints the picture as data.
    """
    if output is None and not as_json:
        raise click.UsageError("plot writes a picture: -o picture.png, or .svg or .pdf (--json prints data).")
    if output == "-" and as_json:
        raise click.UsageError("--json and -o - both want standard output; name a file for the picture.")
    from pofx.show.draw import format_of, save, to_svg
    from pofx.show.plot import figure

    if output is not None and output != "-":
        format_of(output)
    may_write(output, [model, *asked.files()], force=force)
    fitted = load_model(model)
    wishes: dict[str, Any] = {
        "kind": kind,
        "columns": None if show is None else [_key(word) for word in listed(show) or []],
        "given": None if given is None else _given(given),
        "truth": None if truth is None else load_model(truth),
        "band": band,
        "levels": None if levels is None else _levels(levels),
        "fill": fill,
        "points": points,
    }
    table, wishes["by"] = _rows_and_labels(fitted, asked, by)
    with progress() as step:
        step("the picture")
        picture = figure(fitted, table, **wishes)
        if output == "-":
            emit(to_svg(picture, title=True) + "\n")
        elif output is not None:
            save(picture, output, overwrite=force)
            say(f"wrote {output}")
    if as_json:
        emit(json_text(picture.to_dict()))
    return judged(strict)


def _rows_and_labels(model: Any, asked: Asked, by: str | None) -> tuple[Any, Any]:
    """Read the rows, and the labels of those that are kept."""
    if by is None:
        return asked.read_for(model) if asked.data else None, None
    if len(asked.data) != 1 or asked.data[0] == "-" or asked.data[0].startswith("world:"):
        raise click.UsageError("--by reads its column from DATA once more: name one file.")
    import numpy as np

    from pofx.data.labels import read_labels

    labels = read_labels(asked.data[0], _key(by), header=asked.header)
    table = (replace(asked, missing="marginal") if asked.missing == "drop" else asked).read_for(model)
    whole = np.logical_not(np.isnan(table.values).any(axis=1))
    if len(table) == len(labels) and not whole.all():
        show(f"left out, because values are missing: {len(whole) - np.count_nonzero(whole):,} rows")
        table, labels = table[whole], labels[whole]
    return table, labels


def _levels(text: str) -> int | list[float]:
    words = listed(text) or []
    try:
        return int(words[0]) if len(words) == 1 and words[0].isdecimal() else [float(w) for w in words]
    except ValueError:
        raise click.UsageError(f"--levels {text!r}: expected masses, as in .5,.8,.95, or a number.") from None


def _key(word: str) -> str | int:
    return int(word) if word.isdecimal() else word


def _given(text: str) -> Any:
    """Return a column, or a mapping of one to its value or values."""
    name, sign, numbers = text.partition("=")
    if not sign:
        return _key(name.strip())
    try:
        values = [float(word) for word in listed(numbers) or []]
    except ValueError:
        values = []
    if not values:
        raise click.UsageError(f"--given {text!r}: expected numbers, as in --given waiting=60,80.")
    return {_key(name.strip()): values[0] if len(values) == 1 else values}


command = plot
