"""The command line: ``pofx report | fit | sample``.

Data go to standard output or to ``-o``, everything else to standard error. Exit codes: 0 done, 2 wrong use,
3 input that cannot be read or does not fit, 5 an optional part is missing, 70 a defect of pofx,
130 interrupted. Nothing heavy is imported before a verb runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pofx import __version__

if TYPE_CHECKING:
    from pofx.core.density import Density
    from pofx.data.table import Table

__all__ = ["main"]

MODELS = {"gaussian": "Gaussian", "mixture": "GaussianMixture", "kde": "KDE", "histogram": "Histogram"}
DONE, WRONG_USE, UNFIT, MISSING_PART, DEFECT, INTERRUPTED = 0, 2, 3, 5, 70, 130


class Verbs(click.Group):
    """A group that answers a mistyped verb with the nearest one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command of the first word."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            raise click.UsageError(f"There is no verb {args[0]!r}.{_nearest(args[0], self.commands)}", ctx)
        return super().resolve_command(ctx, args)


def _nearest(word: str, words: Any) -> str:
    import difflib

    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f" Did you mean {found[0]!r}?" if found else f" There are: {', '.join(words)}."


def _debug(command: Callable[..., Any]) -> Any:
    return click.option("--debug", is_flag=True, expose_value=False, help="Show where an error arose.")(
        command
    )


def _rows(command: Callable[..., Any]) -> Any:
    """Add what every verb that reads rows has."""
    for option in (
        click.option(
            "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all chance."
        ),
        click.option(
            "--missing",
            type=click.Choice(["error", "drop"]),
            default="error",
            show_default=True,
            help="Rows with missing values: refuse, or leave out.",
        ),
        click.option("--drop", metavar="A,B", help="Columns to leave out."),
        click.option("--columns", metavar="A,B", help="Columns to read, keys and counters included."),
        click.argument("data", metavar="DATA"),
    ):
        command = option(command)
    return command


_force = click.option("--force", is_flag=True, help="Replace a file that exists.")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="pofx %(version)s")
@_debug
def pofx() -> None:
    """From observed rows to a probability distribution you can trust.

    DATA is a .csv, .csv.gz or .npy file. "pofx VERB --help" tells more.
    """


@pofx.command()
@_rows
@click.option("-o", "--output", metavar="FILE", help="The HTML file; by default <stem>-report.html here.")
@_force
@_debug
def report(
    data: str, columns: str | None, drop: str | None, missing: str, seed: int, output: str | None, force: bool
) -> None:
    """Compare four models on held-out rows and write what there is to know as one HTML file.

    Prints the table and the verdict. A report of an earlier run is replaced.
    """
    target = output or f"{_stem(data)}-report.html"
    if output and output != "-" and Path(output).suffix.lower() not in (".html", ".htm"):
        raise click.UsageError(f"report writes HTML: give -o a name that ends in .html, not {output!r}.")
    if target != "-":
        from pofx.show.report import is_ours

        _may_write(target, data, force=force or is_ours(target))
    from pofx.auto import candidates
    from pofx.evaluate.compare import compare
    from pofx.show.report import render
    from pofx.show.report import report as write

    table = _read(data, columns, drop, missing)
    with _progress() as say:
        result = compare(candidates(seed), table, random_state=seed, progress=say)
    if target == "-":
        click.echo(str(result), err=True)
        click.echo(render(result, title=_stem(data), source=data), nl=False)
        return
    write(result, target, source=data, force=True)
    click.echo(str(result))
    _say(f"wrote {target}")


@pofx.command()
@_rows
@click.option(
    "-o", "--output", metavar="FILE", required=True, help="The model file to write, say model.pofx."
)
@click.option(
    "--model",
    type=click.Choice(["auto", *MODELS], case_sensitive=False),
    default="auto",
    show_default=True,
    help="auto: the best of the four on held-out rows.",
)
@_force
@_debug
def fit(
    data: str,
    columns: str | None,
    drop: str | None,
    missing: str,
    seed: int,
    output: str,
    model: str,
    force: bool,
) -> None:
    """Fit a model to the rows of DATA and write it to a file."""
    _may_write(output, data, force=force)
    from pofx.auto import candidates
    from pofx.evaluate.compare import compare

    table = _read(data, columns, drop, missing)
    models = candidates(seed)
    with _progress() as say:
        if model == "auto":
            result = compare(models, table, random_state=seed, progress=say)
            fitted: Density = result.best
        else:
            say(MODELS[model])
            fitted = models[MODELS[model]].fit(table)
    if model == "auto":
        click.echo(str(result), err=True)
    fitted.save(output, overwrite=force)
    _say(f"{type(fitted).__name__}: {fitted.fit_}")
    _say(f"wrote {output}")


@pofx.command()
@click.argument("model", metavar="MODEL.pofx")
@click.option(
    "-n", "--rows", type=click.IntRange(min=0), default=10, show_default=True, help="How many rows."
)
@click.option("-o", "--output", metavar="FILE", help="The CSV file to write; by default standard output.")
@click.option(
    "--seed", type=click.IntRange(min=0), help="Repeat a draw; by default a new one, its seed printed."
)
@click.option("--exact", is_flag=True, help="The continuous draw, not rounded to the recorded precision.")
@_force
@_debug
def sample(model: str, rows: int, output: str | None, seed: int | None, exact: bool, force: bool) -> None:
    """Draw rows from a saved model, as CSV with the columns and the precision of its data."""
    if output and output != "-":
        _may_write(output, model, force=force)
    from pofx.models.registry import load
    from pofx.show.rows import to_csv

    fitted = load(model)
    if seed is None:
        import secrets

        seed = secrets.randbelow(2**32)
        _say(f"--seed {seed} repeats this draw")
    text = to_csv(fitted, rows, seed=seed, exact=exact)
    if output and output != "-":
        from pofx.store import atomic

        atomic.write(output, [text.encode("utf-8")], overwrite=force)
        _say(f"wrote {output}")
    else:
        click.echo(text, nl=False)


# ---------------------------------------------------------------- shared parts


def _read(data: str, columns: str | None, drop: str | None, missing: str) -> Table:
    from pofx.data.read import read

    table = read(data, columns=_names(columns), drop=_names(drop), missing=missing)
    click.echo(repr(table), err=True)
    return table


def _names(words: str | None) -> list[str | int] | None:
    """Names, or numbers from 0, between commas."""
    if words is None:
        return None
    return [int(word) if word.isdecimal() else word for word in (w.strip() for w in words.split(","))]


def _stem(data: str) -> str:
    return Path(data).name.partition(".")[0] or "data"


def _may_write(target: str, source: str, *, force: bool) -> None:
    """Refuse before any work what could not be written after it.

    Raises
    ------
    click.UsageError
    """
    path = Path(target)
    if path.is_dir():
        raise click.UsageError(f"{target!r} is a directory; give the name of a file.")
    if path.is_symlink():
        raise click.UsageError(f"{target!r} is a symbolic link; name the file that it points to.")
    if not path.parent.is_dir():
        raise click.UsageError(f"There is no directory {str(path.parent)!r} to write {path.name!r} in.")
    if path.exists() and Path(source).exists() and os.path.samefile(path, source):
        raise click.UsageError(f"{target!r} is the input; writing it would destroy what is read.")
    if path.exists() and not force:
        raise click.UsageError(f"{target!r} exists; --force replaces it, or name another file.")


def _say(text: str) -> None:
    click.echo(f"pofx: {text}", err=True)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done on one line of a terminal; elsewhere it is silent."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    try:
        yield lambda text: click.echo(f"\r\x1b[K{text} ...", err=True, nl=False)
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)


def _exit_code(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the sentence for what ended a verb."""
    from pofx import errors

    if isinstance(error, click.UsageError):
        verb = error.ctx.command_path if error.ctx else "pofx"
        return WRONG_USE, f"{error.format_message()} See {verb} --help."
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return INTERRUPTED, "interrupted; nothing was written."
    if isinstance(error, errors.MissingExtraError):
        return MISSING_PART, str(error)
    if isinstance(error, errors.ParameterError):
        return WRONG_USE, str(error)
    if isinstance(error, errors.PofxError):
        return UNFIT, str(error)
    if isinstance(error, OSError):
        return UNFIT, f"{error.filename or 'output'}: {error.strerror or error}."
    if isinstance(error, MemoryError):
        return UNFIT, "not enough memory for these rows."
    return DEFECT, f"{type(error).__name__}: {error}. This is a defect of pofx; --debug shows where it arose."


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    args : the words after ``pofx``; by default those of the process
    """
    words = list(sys.argv[1:] if args is None else args)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without ± or − must not end in an error
            stream.reconfigure(errors="replace")
    try:
        with warnings.catch_warnings():
            from pofx.errors import PofxWarning

            warnings.simplefilter("always", PofxWarning)
            warnings.showwarning = lambda message, *_, **__: _say(f"note: {message}")
            code = pofx.main(words, prog_name="pofx", standalone_mode=False)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(DONE)
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in words and not isinstance(error, click.UsageError | click.Abort):
            raise
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            click.echo(error.ctx.get_help() if error.ctx else "", err=True)
            sys.exit(WRONG_USE)
        code, sentence = _exit_code(error)
        _say(sentence)
    sys.exit(code if isinstance(code, int) else DONE)


if __name__ == "__main__":
    main()
