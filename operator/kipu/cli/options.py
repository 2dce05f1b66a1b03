"""What commands have in common: the options that name a cluster and a namespace, and the end for want of a Workflow.

A command of a cluster is a module of its own, which `main` adds by one line:

    @click.command("get")
    @click.argument("name")
    @in_a_namespace
    def command(name: str, where: Where) -> None: ...

Must never connect by itself: `--help` needs no cluster.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

import click

from kipu.api.durations import to_ms
from kipu.api.v1alpha1_base import DURATION_LENGTH_MAX, DURATION_PATTERN

from .errors import NO_WORKFLOW, NoWorkflow

if TYPE_CHECKING:
    from .cluster import Cluster

Command = TypeVar("Command", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The cluster and the namespace that the command line names; None: what the kubeconfig says."""

    namespace: str | None = None
    kubeconfig: str | None = None
    context: str | None = None

    def connect(self) -> tuple[Cluster, str]:
        """The cluster, and the namespace. Raises CannotTell."""
        from .cluster import Cluster  # the official client takes half a second to import

        cluster = Cluster.connect(self.kubeconfig, self.context)
        return cluster, self.namespace or cluster.namespace


def in_a_cluster(command: Command) -> Command:
    """What every command takes that asks a cluster."""
    for decorate in (
        click.option("--context", help="Else the kubeconfig's current one."),
        click.option("--kubeconfig", type=click.Path(dir_okay=False), help="Else $KUBECONFIG or the default one."),
    ):
        command = decorate(command)
    return command


def in_a_namespace(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command `where`, and end it with NO_WORKFLOW where it raises NoWorkflow."""

    @wraps(command)
    def wrapped(*, namespace: str | None, kubeconfig: str | None, context: str | None, **others: object) -> None:
        try:
            command(where=Where(namespace=namespace, kubeconfig=kubeconfig, context=context), **others)
        except NoWorkflow as error:
            click.echo(f"kipu: {error}", err=True)
            sys.exit(NO_WORKFLOW)

    return click.option("-n", "--namespace", help="Else the context's namespace.")(in_a_cluster(wrapped))


class Duration(click.ParamType[int]):
    """Such as `90s`, `1h30m`, `500ms`, as in a manifest; becomes milliseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        text = str(value)
        if len(text) > DURATION_LENGTH_MAX or not re.match(DURATION_PATTERN, text):
            self.fail(f"'{text[:DURATION_LENGTH_MAX]}' is no duration: write 90s, 5m or 1h30m", param, ctx)
        return to_ms(text)
