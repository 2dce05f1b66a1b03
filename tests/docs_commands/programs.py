"""Whether a command that a page shows could be given: by the program's own parser where that is ours.

Promises: no command is run, no file is opened, no cluster is asked. `kipu` is judged by click itself: the command, its
options, their types, how many arguments there are. Must never let a command of an unknown program pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import click

from kipu.cli.main import kipu

ROOT = Path(__file__).parents[2]
PLACEHOLDER = re.compile(r"^[A-Z][A-Z_-]*$")  # NAME, NAMESPACE: whatever stands there, in capitals
TARGET = re.compile(r"^([a-z][a-z0-9-]*):", re.MULTILINE)
VARIABLE_OF_MAKE = re.compile(r"^[A-Z_]+=")
FILE_OPTIONS = ("-f", "--filename", "--values")
KUBECTL = frozenset(
    {"annotate", "api-resources", "apply", "auth", "config", "create", "delete", "describe", "edit", "explain", "get"}
    | {"kipu", "label", "logs", "patch", "port-forward", "replace", "rollout", "scale", "top", "wait"}
)
HELM = frozenset({"get", "history", "install", "lint", "list", "rollback", "status", "template", "test", "uninstall"})
HELM_CHARTED = frozenset({"install", "upgrade", "template", "lint"})
# Of other people: that they are there is all that is asked.
OTHERS = frozenset({"base64", "cat", "cd", "dot", "echo", "eval", "export", "jq", "python3", "read", "sed"})
OWN = {"pip", "pre-commit", "pytest", "python", "towncrier"}  # of .venv/bin


def fault(command: Sequence[str], written: frozenset[str] = frozenset()) -> str:
    """Why it could not be given; empty if it could. `written`: the files that the page has had its reader write."""
    first, arguments = command[0], list(command[1:])
    program = first.removeprefix(".venv/bin/")
    if program == "kipu":
        return kipu_fault(arguments)
    if program == "make":
        return make_fault(arguments)
    if program == "kubectl":
        return kubectl_fault(arguments, written)
    if program == "helm":
        return helm_fault(arguments)
    if program in OTHERS or program in OWN:
        return ""
    if "/" in program and (ROOT / program).is_file():
        return ""
    return f"'{program}' is no program that is known here"


def kipu_fault(arguments: Sequence[str]) -> str:
    """What click says."""
    command: click.Command = kipu
    rest = [each.lower() if PLACEHOLDER.match(each) else each for each in arguments]
    try:
        while isinstance(command, click.Group):
            if not rest or rest[0] in ("--help", "-h", "--version"):
                return ""
            found = command.get_command(click.Context(command), rest[0])
            if found is None:
                return f"there is no command 'kipu {rest[0]}'"
            command, rest = found, rest[1:]
        _parse(command, rest)
    except click.UsageError as error:
        return error.format_message()
    return ""


def _parse(command: click.Command, arguments: list[str]) -> None:
    """What click does before it calls the command, but for files, which it would open. Raises click.UsageError."""
    context = click.Context(command, info_name=command.name)
    if {"--help", "-h"} & set(arguments):
        return
    given, left, _ = command.make_parser(context).parse_args(args=list(arguments))
    if left:
        raise click.UsageError(f"unexpected argument: {' '.join(left)}")
    for param in command.get_params(context):
        value, _ = param.consume_value(context, given)
        if param.value_is_missing(value):
            if param.required:
                raise click.MissingParameter(ctx=context, param=param)
        elif not isinstance(param.type, (click.File, click.Path)):
            param.type_cast_value(context, value)


@cache
def _targets() -> frozenset[str]:
    return frozenset(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


def make_fault(arguments: Sequence[str]) -> str:
    """Whether the targets are there."""
    unknown = [each for each in arguments if not VARIABLE_OF_MAKE.match(each) and each not in _targets()]
    return f"the Makefile has no target '{unknown[0]}'" if unknown else ""


def kubectl_fault(arguments: Sequence[str], written: frozenset[str]) -> str:
    """Whether the verb is one, and the files are there."""
    verb = next((each for each in _plain(arguments)), "")
    if verb not in KUBECTL:
        return f"'{verb}' is no verb of kubectl that is known here"
    if verb == "kipu":
        return kipu_fault(list(arguments)[list(arguments).index("kipu") + 1 :])
    for option, value in pairwise(arguments):
        is_file = option in FILE_OPTIONS and verb != "logs"
        if is_file and value != "-" and value not in written and not (ROOT / value).exists():
            return f"there is no file '{value}', and the page does not have one written"
    return ""


def helm_fault(arguments: Sequence[str]) -> str:
    """Whether the verb is one, and the chart is there."""
    plain = list(_plain(arguments))
    verb = plain[0] if plain else ""
    if verb not in HELM | HELM_CHARTED:
        return f"'{verb}' is no verb of helm that is known here"
    if verb in HELM_CHARTED and not any((ROOT / each / "Chart.yaml").is_file() for each in plain):
        return "it names no chart of this repository"
    return ""


def _plain(arguments: Sequence[str]) -> list[str]:
    """Arguments without options, and without the values of those few whose value stands behind them."""
    found, skips = [], False
    for each in arguments:
        if skips:
            skips = False
        elif each.startswith("-"):
            skips = each in ("-n", "--namespace", "--context", "--kubeconfig", "-l", "-o")
        else:
            found.append(each)
    return found
