"""The group of verbs, and what happens around each: notes, exit codes, signals, closed pipes."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from pofx import __version__
from pofx.cli.failures import DONE, WRONG_USE, exit_code, in_words_of_the_shell
from pofx.cli.interrupts import leaving_soon
from pofx.cli.options import debug_option
from pofx.cli.output import say
from pofx.cli.words import nearest

__all__ = ["Notes", "main", "pofx"]

VERBS = (
    *("diagnose", "fit", "check", "differ", "compare", "sample", "score", "plot", "report"),
    *("worlds", "completion"),
)


class Verbs(click.Group):
    """A group that loads a verb when it is asked for, and answers a mistyped one with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order in which they are used."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a verb."""
        if cmd_name not in VERBS:
            return None
        found: click.Command = importlib.import_module(f"pofx.cli.{cmd_name}").command
        return found

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command of the first word."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            hint = nearest(args[0], VERBS)
            if os.path.exists(args[0]):
                hint = f" To look at the file of that name: pofx report {args[0]}"
            raise click.UsageError(f"There is no verb {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="pofx %(version)s")
@debug_option
def pofx() -> None:
    """From observed rows to a probability distribution you can trust.

    DATA is a file (CSV and other text tables, Parquet, Arrow, Feather, JSON lines, NPY, NPZ), several files
    or a pattern, "-" for standard input, or draws from a known world: world:moons. "pofx VERB --help" tells
    more; "pofx report DATA" is where to start.
    """


class Notes:
    """What verbs warn of: said once each, and counted for ``--strict``.

    Attributes
    ----------
    said : every distinct note so far
    quiet : notes whose text is printed anyway, say as part of a table
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self.waiting: list[str] | None = None

    def take(self, message: Warning | str, *_: Any, **__: Any) -> None:
        """Receive a warning, in place of ``warnings.showwarning``."""
        text = in_words_of_the_shell(str(message))
        if text in self.said:
            return
        self.said.append(text)
        if self.waiting is None:
            say(f"note: {text}")
        else:
            self.waiting.append(text)

    @contextlib.contextmanager
    def held(self) -> Any:
        """Hold notes back; ``release`` says those that were not printed otherwise."""
        self.waiting = []
        try:
            yield self
        finally:
            self.release("")

    def release(self, printed: str) -> None:
        """Say what was held back, but for what has been printed."""
        waiting, self.waiting = self.waiting or [], None
        printed = in_words_of_the_shell(printed)
        for text in waiting:
            whole = text.rstrip(".")
            rest = whole.partition(": ")[2]  # a table says once which file it is about
            if whole not in printed and not (len(rest) > 30 and rest in printed):
                say(f"note: {text}")


class _Once(logging.Handler):
    """Say the first thing that matplotlib logs: most often that it has no folder for its cache."""

    said = False

    def emit(self, record: logging.LogRecord) -> None:
        """Say it, once."""
        if self.said:
            return
        self.said = True
        text = record.getMessage().partition("; ")[0]
        if "/matplotlib" in text or "MPLCONFIGDIR" in text:
            text = "it has no folder to keep its fonts in (HOME, MPLCONFIGDIR), so a picture takes longer"
        say(f"note: matplotlib: {text}")


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
        with leaving_soon(lambda: _explained(KeyboardInterrupt())):
            code = _run(words)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        _forget_output()
        sys.exit(DONE)
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in words and not isinstance(error, click.UsageError | click.Abort):
            raise
        code = _explained(error)
    sys.exit(code if isinstance(code, int) else DONE)


def _run(words: list[str]) -> Any:
    from pofx.errors import PofxWarning

    notes, once = Notes(), _Once(logging.WARNING)
    theirs = logging.getLogger("matplotlib")
    propagated, theirs.propagate = theirs.propagate, False
    theirs.addHandler(once)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions and "--debug" not in words:
                warnings.simplefilter("ignore")  # other libraries' warnings say nothing to this reader
            warnings.simplefilter("always", PofxWarning)
            warnings.showwarning = notes.take
            code = pofx.main(words, prog_name="pofx", standalone_mode=False, obj=notes)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    finally:
        theirs.removeHandler(once)
        theirs.propagate = propagated


def _explained(error: BaseException) -> int:
    """Say what ended the verb; return the exit code."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        context = getattr(error, "ctx", None)
        click.echo(context.get_help() if context else "", err=True)
        return WRONG_USE
    code, sentence = exit_code(error)
    try:
        say(sentence)
    except OSError:  # standard error is gone too
        _forget_output()
    return code


def _forget_output() -> None:
    """Let the interpreter flush into nothing when it ends."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            with contextlib.suppress(OSError):
                os.dup2(nothing, number)


if __name__ == "__main__":
    main()
