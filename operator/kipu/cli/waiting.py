"""One Workflow looked at until its run is over, and the exit code that this comes to.

Promises: goes on over watches that close and answers that do not come; a log that is gone because its Workflow is being
deleted is no fault. Whether another run is about to open is the operator's own rule (core.requests), asked of the log.
Must never write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any, Protocol

from kipu.core import requests
from kipu.core.errors import CorruptionError, TransientError
from kipu.core.events import WorkflowFinished, WorkflowRejected, WorkflowRerun
from kipu.core.lifecycle import WorkflowPhase
from kipu.core.state import State
from kipu.shell.requests import rerun

from .cluster import Cluster, find_workflow
from .details import printable
from .errors import CHECK_FAILED, CannotTell, NoWorkflow, OutOfTime, Refused
from .following import Patience, changes
from .reading import Look, look_at
from .sealed import Sealed
from .seen import Seen
from .transcript import fold

REFRESH_SECONDS = 0.25


class View(Protocol):
    """What a person sees of it."""

    def show(self, found: Look) -> None:
        """After a change."""

    def note(self, text: str) -> None:
        """Something beside it."""

    def refresh(self) -> None:
        """Now and then: what changes by time alone."""


async def to_the_end(
    cluster: Cluster, known: Mapping[str, Any], view: View, *, run: int | None = None, timeout_ms: int | None = None
) -> State:
    """Show a Workflow until this run is over; without a number: until no run goes on, and none is about to open.

    `known`: as it was just read or written. Raises Refused if that run will not open, OutOfTime, NoWorkflow if it is
    deleted meanwhile, CannotTell, CorruptionError.
    """
    refreshing = asyncio.create_task(_refresh(view.refresh))
    try:
        async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1_000):
            return await _to_the_end(cluster, known, view, run)
    except TimeoutError as error:
        name = known["metadata"]["name"]
        raise OutOfTime(f"Workflow '{name}' has not finished in time; it goes on") from error
    finally:
        refreshing.cancel()


async def _to_the_end(cluster: Cluster, known: Mapping[str, Any], view: View, run: int | None) -> State:
    ended: State | None = None
    async with aclosing(looks(cluster, known, note=view.note)) as seen:
        async for newest in seen:
            found = newest if run is None else _up_to(newest, run)
            view.show(found)
            ended = found.state if is_over(found.workflow, found.state, run) else None
            if ended is None:
                _check_goes_on(newest, run)
            elif _is_shown(found):
                return ended
    if ended is not None:
        return ended
    raise NoWorkflow(f"Workflow '{known['metadata']['name']}' was deleted")


async def looks(cluster: Cluster, known: Mapping[str, Any], *, note: Callable[[str], None]) -> AsyncGenerator[Look]:
    """What the log says of it, now and after each change, until it is deleted. Raises CannotTell, CorruptionError."""
    log = Sealed(cluster)
    async with aclosing(changes(cluster, known, note=note)) as seen:
        async for workflow in seen:
            log.turn_over()
            try:
                found = await _look(log, workflow, Patience(note))
            except CorruptionError:
                if await _is_leaving(cluster, workflow):
                    return
                raise
            yield found


async def _look(log: Sealed, workflow: Mapping[str, Any], patience: Patience) -> Look:
    """Until there is an answer: after the last change of a run no other one comes."""
    while True:
        try:
            return await look_at(log, workflow)
        except TransientError as error:
            await patience.after(error)


async def _refresh(refresh: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        refresh()


def is_over(workflow: Mapping[str, Any], state: State, run: int | None = None) -> bool:
    """Whether this run has finished; without a number: the newest, and no other one is about to open."""
    if not state.is_terminal:
        return False
    if run is not None:
        return state.run >= run or state.phase is WorkflowPhase.REJECTED
    asked = rerun(workflow["spec"])
    return asked is None or not requests.is_due(state, asked)


def exit_code(state: State) -> int:
    """Of a run that is over."""
    return 0 if state.phase is WorkflowPhase.SUCCEEDED else CHECK_FAILED


def _is_shown(found: Look) -> bool:
    """Whether the status knows of the end, too: whoever asks next, with whatever tool, sees it."""
    records = () if found.history is None else found.history.records
    ends = (each.position for each in reversed(records) if isinstance(each.event, WorkflowFinished | WorkflowRejected))
    return Seen.of(found.workflow).position >= next(ends, 0)


def _up_to(found: Look, run: int) -> Look:
    """As this run has left it, where a later one has opened already."""
    if found.history is None or found.state.run <= run:
        return found
    records = found.history.records
    opened = (each.event for each in records)
    end = next(place for place, event in enumerate(opened) if isinstance(event, WorkflowRerun) and event.run > run)
    return replace(found, history=replace(found.history, records=records[:end]), state=fold(records[:end]))


def _check_goes_on(found: Look, run: int | None) -> None:
    """What would be waited for in vain. Raises CannotTell if no operator touches it any more, Refused."""
    seen = Seen.of(found.workflow)
    stalled = seen.stuck
    if stalled is not None:
        raise CannotTell(f"Workflow '{seen.name}' is stalled: {printable(stalled)}")
    asked = rerun(seen.spec)
    if run is None or found.state.run >= run or asked is None:
        return
    fault = requests.rerun_fault(found.state, asked)
    if fault:
        raise Refused(f"the operator does not open run {run} of Workflow '{seen.name}': {printable(fault)}")


async def _is_leaving(cluster: Cluster, workflow: Mapping[str, Any]) -> bool:
    """Whether its log is gone because it is being deleted itself."""
    metadata = workflow["metadata"]
    with suppress(NoWorkflow):
        now = await find_workflow(cluster, metadata["namespace"], metadata["name"])
        return now["metadata"]["uid"] != metadata["uid"] or now["metadata"].get("deletionTimestamp") is not None
    return True
