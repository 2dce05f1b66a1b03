"""`kipu completion`: what makes a shell complete commands, options and names.

Must never write a file: where the script belongs is the person's to say.
"""

from __future__ import annotations

import click

from .commands import Command
from .completing import SHELLS, script


@click.command(
    cls=Command,
    examples=[
        "bash > ~/.local/share/bash-completion/completions/kipu",
        "zsh > ~/.zfunc/_kipu",
        "fish > ~/.config/fish/completions/kipu.fish",
    ],
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete `kipu`, with the names of Workflows and steps.

    `kubectl kipu` is completed by kubectl's own script, which asks the program kubectl_complete-kipu.
    """
    click.echo(script(shell), nl=False)
