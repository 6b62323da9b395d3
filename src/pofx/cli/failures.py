"""What ended a verb, as an exit code and one sentence: what, where, and what to do."""

from __future__ import annotations

import re

import click

from pofx.cli.words import listed

__all__ = [
    "ANSWER_IS_NO",
    "DEFECT",
    "DONE",
    "INTERRUPTED",
    "MISSING_PART",
    "NOT_CONVERGED",
    "UNFIT",
    "WRONG_USE",
    "exit_code",
    "in_words_of_the_shell",
]

DONE, ANSWER_IS_NO, WRONG_USE, UNFIT, NOT_CONVERGED, MISSING_PART = range(6)
DEFECT, INTERRUPTED = 70, 130

# The library speaks Python to whom it advises; here its advice is what can be typed here.
_ADVICE = (
    (r',? (?:or )?missing="keep" keeps them as NaN', ""),
    (r'\bmissing="(\w+)"', r"--missing \1"),
    (r'\bweight_kind="(\w+)"', r"--weight-kind \1"),
    (r"\bown=True", "--own"),
    (r"\bheader=False", "--no-header"),
    (r"\bheader=True", "--header"),
    (r"\b(columns|drop|na|weights)=\[([^\]\n]*)\]", None),
    (r"\b(columns|drop|na|weights)='([^'\n]*)'", r"--\1 \2"),
    (r"\b(columns|drop|na|weights)=(?=[\w.+-])", r"--\1 "),
    (r"\b(columns|drop|na|weights)=(?!=)", r"--\1"),
)


def in_words_of_the_shell(text: str) -> str:
    """Return advice such as ``missing="drop"`` or ``drop=['a']`` as options of the command line."""
    for pattern, shell in _ADVICE:
        text = re.sub(pattern, _list_option if shell is None else shell, text)
    return text


def _list_option(found: re.Match[str]) -> str:
    words = [word.strip("'\"") for word in listed(found.group(2)) or []]
    return f"--{found.group(1)} {','.join(words)}"


def exit_code(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the sentence."""
    from pofx import errors

    if isinstance(error, click.UsageError):
        verb = error.ctx.command_path if error.ctx else "pofx"
        return WRONG_USE, f"{error.format_message()} See {verb} --help."
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return INTERRUPTED, "interrupted; nothing was written."
    if isinstance(error, errors.MissingExtraError):
        return MISSING_PART, str(error)
    if isinstance(error, errors.ParameterError):
        return WRONG_USE, in_words_of_the_shell(str(error))
    if isinstance(error, errors.PofxError):
        return UNFIT, in_words_of_the_shell(str(error))
    if isinstance(error, OSError):
        where = error.filename or ("output" if error.strerror else "")
        return UNFIT, f"{where}: {error.strerror or error}.".removeprefix(": ")
    if isinstance(error, MemoryError):
        return UNFIT, "not enough memory for these rows: use fewer rows or columns."
    return DEFECT, f"{type(error).__name__}: {error}. This is a defect of pofx; --debug shows where it arose."
