"""What commands take: which cluster and namespace, the name of a Workflow, durations, for how long to wait.

A command of a cluster is a module of its own, which `main` lists by one line:

    @click.command("get", cls=Command, examples=["nightly"])
    @of_a_workflow
    def command(name: str, where: Where) -> None: ...

Promises: what cannot be a name in a path is refused before anything is asked; names are completed. Must never connect
by itself: `--help` needs no cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from kipu.api.durations import DURATION_MAX_MS, to_ms
from kipu.api.v1alpha1_base import DURATION_LENGTH_MAX, DURATION_PATTERN

from .completing import workflow_names

if TYPE_CHECKING:
    from .cluster import Cluster

PATH_SEGMENT = re.compile(r"[A-Za-z0-9][\w.-]*")
NAME_SHOWN_MAX = 60  # characters of what is no name
Function = Callable[..., Any]
Decorator = Callable[[Function], Function]


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


class Duration(click.ParamType[int]):
    """Such as `90s`, `1h30m`, `500ms`, as in a manifest; becomes milliseconds, more than zero and at most a year's."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if isinstance(value, int):
            return value
        text = str(value)
        is_one = len(text) <= DURATION_LENGTH_MAX and re.match(DURATION_PATTERN, text)
        if not is_one or not 0 < to_ms(text) <= DURATION_MAX_MS:
            shown = text[:DURATION_LENGTH_MAX]
            self.fail(f"'{shown}' is no duration: write 90s, 5m or 1h30m, or 168h for a week", param, ctx)
        return to_ms(text)


class ObjectName(click.ParamType[str]):
    """What can stand in a path as the name of an object. Whether there is one, the cluster tells."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click."""
        if not PATH_SEGMENT.fullmatch(value):
            self.fail(f"{value[:NAME_SHOWN_MAX]!r} is not a name", param, ctx)
        return str(value)


def placed(namespace_help: str) -> Decorator:
    """Give the command `where`, with this to say of its namespace."""

    def decorate(command: Function) -> Function:
        @wraps(command)
        def wrapped(*, namespace: str | None, kubeconfig: str | None, context: str | None, **others: Any) -> Any:
            return command(where=Where(namespace=namespace, kubeconfig=kubeconfig, context=context), **others)

        for option in (
            click.option("--context", help="Else the kubeconfig's current one."),
            click.option("--kubeconfig", type=click.Path(dir_okay=False), help="Else $KUBECONFIG or the default one."),
            click.option("-n", "--namespace", type=ObjectName(), help=namespace_help),
        ):
            wrapped = option(wrapped)
        return wrapped

    return decorate


in_a_cluster = placed("Else the context's namespace.")


def workflow_name(command: Function) -> Function:
    """The argument NAME."""
    return click.argument("name", type=ObjectName(), shell_complete=workflow_names)(command)


def of_a_workflow(command: Function) -> Function:
    """What a command takes that is about one Workflow of a cluster."""
    return workflow_name(in_a_cluster(command))


def that_waits(flag: str, what: str) -> Decorator:
    """A flag by which a command waits, and for how long."""

    def decorate(command: Function) -> Function:
        timeout = click.option(
            "--timeout", "timeout_ms", type=Duration(), help=f"With {flag}: how long, such as 15m; then exit code 124."
        )
        return click.option(flag, "waits", is_flag=True, help=what)(timeout(command))

    return decorate


def check_timeout(flag: str, waits: bool, timeout_ms: int | None) -> None:
    """A timeout of nothing is a slip."""
    if timeout_ms is not None and not waits:
        raise click.UsageError(f"--timeout says how long is waited: give it with {flag}")
