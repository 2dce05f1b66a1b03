"""One Workflow shown until its run has finished, and the exit code that this comes to.

Promises: goes on over watches that close and answers that do not come; ends when the run is over for good, so not
while another run is asked for and about to open; a log that is gone because its Workflow is being deleted is no fault.
Must never write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

from kipu.core import requests
from kipu.core.errors import CorruptionError, TransientError
from kipu.core.lifecycle import WorkflowPhase
from kipu.core.state import State
from kipu.shell.requests import rerun

from .cluster import Cluster, find_workflow
from .errors import CHECK_FAILED, NO_WORKFLOW, CannotTell, NoWorkflow
from .following import changes
from .reading import Look, look_at
from .remembering import Remembering

REFRESH_SECONDS = 0.25


class View(Protocol):
    """What a person sees of it."""

    def show(self, found: Look) -> None:
        """After a change."""

    def note(self, text: str) -> None:
        """Something beside it."""

    def refresh(self) -> None:
        """Now and then: what changes by time alone."""


async def to_the_end(cluster: Cluster, namespace: str, name: str, view: View) -> int:
    """Show it until it has finished. Raises NoWorkflow if there is none now, CannotTell, CorruptionError."""
    refreshing = asyncio.create_task(_refresh(view.refresh))
    try:
        return await _to_the_end(cluster, namespace, name, view)
    finally:
        refreshing.cancel()


async def _to_the_end(cluster: Cluster, namespace: str, name: str, view: View) -> int:
    log = Remembering(cluster)
    async with aclosing(changes(cluster, namespace, name, note=view.note)) as seen:
        async for workflow in seen:
            log.turn_over()
            try:
                found = await look_at(log, workflow)
            except TransientError as error:
                view.note(f"{error}; trying again")  # with the next change, and there is one: the status goes on
                continue
            except CorruptionError:
                if await _is_leaving(cluster, workflow):
                    break
                raise
            view.show(found)
            if is_over(found.workflow, found.state):
                return exit_code(found.state)
            _check_touched(workflow, name)
    view.note(f"Workflow '{name}' was deleted")
    return NO_WORKFLOW


async def _refresh(refresh: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        refresh()


def is_over(workflow: Mapping[str, Any], state: State) -> bool:
    """Whether the run has finished and no other one is about to open."""
    if not state.is_terminal:
        return False
    asked = rerun(workflow["spec"])
    opens = asked is not None and asked.number == state.run + 1 and not requests.rerun_fault(state, asked)
    return not opens


def exit_code(state: State) -> int:
    """Of a run that is over."""
    return 0 if state.phase is WorkflowPhase.SUCCEEDED else CHECK_FAILED


def _check_touched(workflow: Mapping[str, Any], name: str) -> None:
    """A Workflow that no operator touches any more would be waited for in vain. Raises CannotTell."""
    status = workflow.get("status", {})
    for condition in status.get("conditions", ()):
        if (condition["type"], condition["status"]) == ("Stalled", "True"):
            raise CannotTell(f"Workflow '{name}' is stalled: {condition.get('message') or condition.get('reason')}")


async def _is_leaving(cluster: Cluster, workflow: Mapping[str, Any]) -> bool:
    """Whether its log is gone because it is being deleted itself."""
    metadata = workflow["metadata"]
    try:
        now = await find_workflow(cluster, metadata["namespace"], metadata["name"])
    except NoWorkflow:
        return True
    return now["metadata"]["uid"] != metadata["uid"] or now["metadata"].get("deletionTimestamp") is not None
