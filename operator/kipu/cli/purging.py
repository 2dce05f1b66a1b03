"""`kipu purge`: Workflows deleted with all that belongs to them.

Promises: all that is named is judged before the first is deleted; one that has not ended is deleted only by --force; it
is said what is lost, and a person at a terminal is asked. A delete is of just the Workflow that was judged: of its uid
and, without --force, of its version. Must never delete anything but Workflows: the rest is the garbage collector's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import click

from kipu.api.v1alpha1_base import KIND
from kipu.shell.clock import SystemClock
from kipu.shell.kube_views import epoch_ms

from .commands import Command, note
from .completing import workflow_names
from .details import some
from .errors import Refused
from .options import Duration, ObjectName, Where, in_a_cluster
from .seen import Seen

if TYPE_CHECKING:
    from .cluster import Cluster

SHOWN_MAX = 20  # Workflows that are named before a person says yes
TRIES_MAX = 5  # of one delete: a Workflow that has ended is written to once or twice more


@click.command(
    cls=Command,
    examples=["nightly", "nightly hourly --yes", "--all --finished --older-than 168h", "stuck --force"],
)
@click.argument("names", nargs=-1, type=ObjectName(), shell_complete=workflow_names)
@click.option("--all", "of_all", is_flag=True, help="All of the namespace, but for those of steps.")
@click.option("--finished", is_flag=True, help="With --all: pass over those that have not ended.")
@click.option("--older-than", "older_than_ms", type=Duration(), help="With --finished: that ended so long ago.")
@click.option("--force", is_flag=True, help="Although a run goes on: its pods are killed, and finally does not run.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@in_a_cluster
def purge(names: Sequence[str], yes: bool, where: Where, **options: Any) -> None:
    """Delete the Workflows NAMES with their Jobs, pods and logs. 'kipu export' keeps what one has done."""
    if bool(names) is options["of_all"]:
        raise click.UsageError("which Workflows? Give their NAMES, or --all")
    if options["finished"] and not options["of_all"]:
        raise click.UsageError("--finished chooses among all: give it with --all")
    if options["older_than_ms"] is not None and not options["finished"]:
        raise click.UsageError("--older-than chooses among those that have ended: give it with --all --finished")
    asyncio.run(_purge(where, names, yes, options))


async def _purge(where: Where, names: Sequence[str], yes: bool, options: dict[str, Any]) -> None:
    cluster, namespace = where.connect()
    chosen = await _chosen(cluster, namespace, names, options)
    if not options["force"]:
        _check(chosen)
    if not chosen:
        click.echo(f"nothing to purge in namespace '{namespace}'")
        return
    if not yes:
        _ask(chosen)
    for seen in chosen:
        await _delete(cluster, seen, force=options["force"])
        click.echo(f"workflow.kipu.dev/{seen.name} deleted")


async def _chosen(cluster: Cluster, namespace: str, names: Sequence[str], options: dict[str, Any]) -> list[Seen]:
    from .cluster import find_workflow, list_all, workflows_of

    if names:
        return [Seen.of(await find_workflow(cluster, namespace, name)) for name in dict.fromkeys(names)]
    listed = [Seen.of(body) for body in await list_all(cluster, workflows_of(namespace), "")]
    own = [seen for seen in listed if not _parent(seen)]
    if not options["finished"]:
        return own
    before = SystemClock().now() - (options["older_than_ms"] or 0)
    return [seen for seen in own if seen.is_over and _ended(seen) <= before]


def _ended(seen: Seen) -> int:
    """When, in epoch milliseconds. One that was rejected has no other time than that of its making."""
    return epoch_ms(seen.status.get("completionTime") or seen.metadata.get("creationTimestamp")) or 0


def _parent(seen: Seen) -> str:
    """The Workflow of which it is an attempt; empty if it is none."""
    owners = seen.metadata.get("ownerReferences") or ()
    return next((str(owner["name"]) for owner in owners if owner.get("kind") == KIND), "")


def _check(chosen: Sequence[Seen]) -> None:
    """All or none. Raises Refused."""
    children = [f"'{seen.name}' of '{_parent(seen)}'" for seen in chosen if _parent(seen)]
    if children:
        raise Refused(f"these Workflows are steps of others, with which they go: {some(children)}; nothing was deleted")
    running = [f"{seen.name} ({seen.phase or 'not taken up'})" for seen in chosen if not seen.is_over]
    if running:
        raise Refused(
            f"not ended yet: {some(running)}; cancel first ('kipu cancel NAME --wait'), or use --force, which kills "
            "what runs and has no finally run; nothing was deleted"
        )


def _ask(chosen: Sequence[Seen]) -> None:
    """Say what is lost, and have a person say yes. Raises Refused."""
    for seen in chosen[:SHOWN_MAX]:
        progress = seen.status.get("progress", "")
        note(f"{seen.name}: {seen.phase or 'not taken up'} {progress}, {seen.position} events in its log")
    if len(chosen) > SHOWN_MAX:
        note(f"and {len(chosen) - SHOWN_MAX} more")
    note("lost are their Jobs, their pods with all they have written, and their logs ('kipu export' keeps a log)")
    if not sys.stdin.isatty():
        raise Refused("nobody is there to be asked: give --yes; nothing was deleted")
    if not click.confirm(f"Delete {len(chosen)} Workflow{'s' * (len(chosen) != 1)}?", err=True):
        raise Refused("nothing was deleted")


async def _delete(cluster: Cluster, seen: Seen, *, force: bool) -> None:
    """Just this one. Raises Refused where it has been asked to run again meanwhile."""
    from .changing import not_done
    from .cluster import find_workflow

    for _ in range(TRIES_MAX):
        version = {} if force else {"resourceVersion": seen.version}
        answer = await cluster.delete_workflow(seen.namespace, seen.name, {"uid": seen.uid} | version)
        if answer.status in (HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NOT_FOUND):
            return
        if answer.status != HTTPStatus.CONFLICT:
            raise not_done(answer, f"delete Workflow '{seen.name}'")
        now = Seen.of(await find_workflow(cluster, seen.namespace, seen.name))
        if now.uid != seen.uid:
            return
        _check([now])
        seen = now
    raise Refused(f"Workflow '{seen.name}' was written to {TRIES_MAX} times meanwhile, and is there still: try again")
