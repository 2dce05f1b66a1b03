"""`kipu list`: the Workflows that there are, newest last, with the columns of `kubectl get`.

Promises: off a terminal no line is cut; `-o json`, `yaml` and `name` are for programs. Must never show more than a
person may list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console

from kipu.api.durations import for_people
from kipu.core.lifecycle import WorkflowPhase
from kipu.shell.clock import SystemClock
from kipu.shell.kube_views import epoch_ms

from .columns import PHASE_STYLES, show
from .commands import Command, note
from .details import printable
from .options import Where, in_a_cluster
from .output import as_json, as_yaml

OUTPUTS = ("table", "wide", "json", "yaml", "name")


@click.command(
    "list",
    cls=Command,
    examples=[
        "  # in the context's namespace",
        "-A --phase Running --phase Failed",
        "-l team=data -o wide  # with reason and message",
        "--phase Succeeded -o name | xargs kubectl delete",
    ],
)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Of all namespaces.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice([phase.value for phase in WorkflowPhase], case_sensitive=False),
    metavar="PHASE",
    help="Only those in this phase, such as Running; repeatable.",
)
@click.option("-l", "--selector", default="", help="Only those with these labels, such as team=data,tier!=test.")
@click.option("-o", "--output", type=click.Choice(OUTPUTS), default="table", show_default=True)
@in_a_cluster
def command(everywhere: bool, phases: Sequence[str], selector: str, output: str, where: Where) -> None:
    """List Workflows, newest last."""
    from .cluster import list_all, workflows_of

    if everywhere and where.namespace is not None:
        raise click.UsageError("-A is all namespaces, and -n one of them: give one of the two")
    cluster, namespace = where.connect()
    path = workflows_of(None if everywhere else namespace)
    found = chosen(asyncio.run(list_all(cluster, path, selector)), phases)
    if output in ("json", "yaml"):
        whole = {"apiVersion": "v1", "kind": "List", "items": [_whole(each) for each in found]}
        click.echo(as_json(whole) if output == "json" else as_yaml(whole), nl=False)
    elif output == "name":
        for each in found:
            click.echo(f"workflow.kipu.dev/{each['metadata']['name']}")
    elif not found:
        place = "in any namespace" if everywhere else f"in namespace '{namespace}'"
        note(f"no Workflows {'of this kind ' if phases or selector else ''}{place}")
    else:
        rows = table(found, now=SystemClock().now(), namespaces=everywhere, wide=output == "wide")
        show(Console(), rows, ["bold", *(PHASE_STYLES.get(_phase(each), "") for each in found)])


def chosen(items: Sequence[Mapping[str, Any]], phases: Sequence[str]) -> list[Mapping[str, Any]]:
    """Those in one of these phases, or all; newest last."""
    kept = [item for item in items if not phases or _phase(item) in phases]
    return sorted(kept, key=lambda item: (item["metadata"].get("creationTimestamp", ""), item["metadata"]["name"]))


def table(
    items: Sequence[Mapping[str, Any]], *, now: int, namespaces: bool = False, wide: bool = False
) -> list[list[str]]:
    """A row of headings, and one for each Workflow. `now` is epoch milliseconds."""
    headings = ["NAME", "PHASE", "PROGRESS", "FAILED", "STARTED", "DURATION", "AGE"]
    headings = (["NAMESPACE"] if namespaces else []) + headings + (["REASON", "MESSAGE"] if wide else [])
    return [headings, *(_row(item, now, namespaces=namespaces, wide=wide) for item in items)]


def _row(item: Mapping[str, Any], now: int, *, namespaces: bool, wide: bool) -> list[str]:
    metadata, status = item["metadata"], item.get("status", {})
    cells = [
        metadata["name"],
        _phase(item),
        status.get("progress", ""),
        str(status.get("counts", {}).get("failed", "")),
        _since(status.get("startTime"), now),
        status.get("duration", ""),
        _since(metadata.get("creationTimestamp"), now),
    ]
    before = [metadata["namespace"]] if namespaces else []
    behind = [status.get("reason", ""), status.get("message", "")] if wide else []
    return [printable(cell) for cell in (*before, *cells, *behind)]


def _phase(item: Mapping[str, Any]) -> str:
    """Before an operator has taken it up it has none."""
    return str(item.get("status", {}).get("phase") or WorkflowPhase.PENDING.value)


def _since(time: str | None, now: int) -> str:
    began = epoch_ms(time)
    return "" if began is None else for_people(now - began)


def _whole(item: Mapping[str, Any]) -> dict[str, Any]:
    """As `kubectl get` gives it: in a list the API server leaves out what all have in common."""
    return {"apiVersion": "kipu.dev/v1alpha1", "kind": "Workflow", **item}
