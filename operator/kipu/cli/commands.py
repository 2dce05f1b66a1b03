"""What the commands that write have in common: options, examples in their help, exit codes.

Promises: 1 where what was asked for was not done, 2 where nothing could be told, 3 where there is no such Workflow, 124
where --timeout passed. `kubectl kipu` shows its own name in usage and examples. Must never talk to a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from kipu.api.durations import DURATION_MAX_MS, to_ms
from kipu.api.v1alpha1_base import DURATION_PATTERN
from kipu.core.errors import UserError

from .completing import workflow_names
from .errors import CHECK_FAILED, NO_WORKFLOW, TIMED_OUT, NoWorkflow, OutOfTime, Refused

PATH_SEGMENT = re.compile(r"[A-Za-z0-9][\w.-]*")
NAME_SHOWN_MAX = 60  # characters of what is no name
Decorated = TypeVar("Decorated", bound=Callable[..., object])


class Command(click.Command):
    """A command with examples, which ends with the exit codes of commands that write."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, as they are to be typed."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"  {ctx.find_root().info_name} {self.name} {example}".rstrip() + "\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; its end as an exit code."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            _end(ctx, [str(problem) for problem in error.problems], CHECK_FAILED)
        except Refused as error:
            _end(ctx, [str(error)], CHECK_FAILED)
        except NoWorkflow as error:
            _end(ctx, [str(error)], NO_WORKFLOW)
        except OutOfTime as error:
            _end(ctx, [str(error)], TIMED_OUT)


class Duration(click.ParamType[int]):
    """A duration as it stands in manifests, in milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """More than zero, at most a year."""
        if isinstance(value, int):
            return value
        if not re.match(DURATION_PATTERN, value) or not 0 < to_ms(value) <= DURATION_MAX_MS:
            self.fail(f"{value!r} is not a duration: write 90s, 15m, 1h30m, or 168h for a week", param, ctx)
        return to_ms(value)


class ObjectName(click.ParamType[str]):
    """What can stand in a path as the name of an object. Whether there is one, the cluster tells."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See click."""
        if not PATH_SEGMENT.fullmatch(value):
            self.fail(f"{value[:NAME_SHOWN_MAX]!r} is not a name", param, ctx)
        return str(value)


def of_a_workflow(command: Decorated) -> Decorated:
    """What a command takes that is about one Workflow."""
    return click.argument("name", type=ObjectName(), shell_complete=workflow_names)(in_a_cluster(command))


def in_a_cluster(command: Decorated) -> Decorated:
    """Which cluster, and where in it."""
    for decorate in (
        click.option("--context", help="Else the kubeconfig's current one."),
        click.option("--kubeconfig", type=click.Path(dir_okay=False), help="Else $KUBECONFIG or the default one."),
        click.option("-n", "--namespace", type=ObjectName(), help="Else the context's namespace."),
    ):
        command = decorate(command)
    return command


def that_waits(flag: str, what: str) -> Callable[[Decorated], Decorated]:
    """A flag by which a command waits, and for how long."""

    def decorate(command: Decorated) -> Decorated:
        timeout = click.option(
            "--timeout", "timeout_ms", type=Duration(), help=f"With {flag}: how long, such as 15m; then exit code 124."
        )
        return click.option(flag, "waits", is_flag=True, help=what)(timeout(command))

    return decorate


def check_timeout(flag: str, waits: bool, timeout_ms: int | None) -> None:
    """A timeout of nothing is a slip."""
    if timeout_ms is not None and not waits:
        raise click.UsageError(f"--timeout says how long is waited: give it with {flag}")


def note(text: str) -> None:
    """Something to know, beside the result."""
    click.echo(f"kipu: {text}", err=True)


def _end(ctx: click.Context, messages: Sequence[str], exit_code: int) -> None:
    for message in messages:
        note(message)
    ctx.exit(exit_code)
