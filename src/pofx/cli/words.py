"""Words that may be mistyped: every refusal names the nearest one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import click

__all__ = ["MODELS", "ModelWord", "Word", "listed", "nearest"]

# the word on the command line -> the class
MODELS = {"gaussian": "Gaussian", "mixture": "GaussianMixture", "kde": "KDE", "histogram": "Histogram"}


def nearest(word: str, words: Iterable[str]) -> str:
    """Return " Did you mean 'x'?", or all the words there are."""
    by_fold = {known.casefold(): known for known in words}
    found = difflib.get_close_matches(word.casefold(), list(by_fold), n=1, cutoff=0.5)
    return f" Did you mean {by_fold[found[0]]!r}?" if found else f" There are: {', '.join(by_fold.values())}."


def listed(text: str | None) -> list[str] | None:
    """Return the words between commas; a word with a comma in it stands in double quotes."""
    if text is None:
        return None
    import csv

    return [word.strip() for word in next(csv.reader([text], skipinitialspace=True), [])]


class Word(click.Choice):
    """One of some words, whatever the case."""

    def __init__(self, words: Iterable[str]) -> None:
        super().__init__(list(words), case_sensitive=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            return self.fail(f"{value!r} is not one of them.{nearest(str(value), self.choices)}", param, ctx)


class ModelWord(click.ParamType):
    """A model: one of the four, ``auto`` where it is allowed, or the class of an installed package."""

    name = "model"

    def __init__(self, *, auto: bool) -> None:
        self.words = [*(["auto"] if auto else []), *MODELS]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word, or the class's name."""
        word = str(value).strip()
        by_class = {name.casefold(): key for key, name in MODELS.items()}
        found = by_class.get(word.casefold(), word.casefold())
        if found in self.words:
            return found
        from importlib.metadata import entry_points

        installed = sorted({entry.name for entry in entry_points(group="pofx.models")})
        if word in installed:
            return word
        return self.fail(f"there is no model {word!r}.{nearest(word, [*self.words, *installed])}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Return the words that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in self.words if word.startswith(incomplete.casefold())]
