"""``pofx completion``: what a shell needs to complete verbs, options and file names."""

from __future__ import annotations

import click

from pofx.cli.options import verb
from pofx.cli.output import emit

__all__ = ["command"]

SHELLS = ("bash", "zsh", "fish")
HOW = {
    "bash": "pofx completion bash >> ~/.bashrc",
    "zsh": "pofx completion zsh >> ~/.zshrc",
    "fish": "pofx completion fish > ~/.config/fish/completions/pofx.fish",
}


@verb("what a shell needs to complete words", *HOW.values())
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete verbs, options and file names of pofx."""
    from click import shell_completion

    group = click.get_current_context().find_root().command
    kind = shell_completion.get_completion_class(shell)
    assert kind is not None  # click has these three
    made = kind(group, {}, "pofx", "_POFX_COMPLETE")
    emit(
        made.source_template % made.source_vars() + "\n"
    )  # source() would start the shell to ask its version


command = completion
