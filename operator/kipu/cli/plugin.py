"""`kubectl kipu`: the command line as a plugin of kubectl, and the program by which kubectl completes it.

kubectl runs `kubectl-kipu` for `kubectl kipu`, and asks `kubectl_complete-kipu` with the words so far, the unfinished
one last. Must never differ from `kipu` in what it does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from .completing import answer_kubectl
from .main import kipu
from .main import main as run

PROGRAM = "kubectl kipu"


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `kubectl-kipu`; raises SystemExit."""
    run(arguments, program=PROGRAM)


def complete(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `kubectl_complete-kipu`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for line in answer_kubectl(kipu, words):
        click.echo(line)
