"""One Workflow and each of its changes, for as long as it is there.

Promises: what is given is newer than what was given before; a watch that closes, breaks off or has expired (410) is
followed by a read and another watch; the end means that it was deleted, or that another one has its name. Must never
be silent for want of an answer: `note` says that it is tried again, and CannotTell ends it after TRIES_MAX.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from kipu.core.errors import TransientError
from kipu.eventlog.ports import Answer

from .cluster import Cluster, refused, workflows_of
from .errors import CannotTell
from .streaming import Stream

Workflow = Mapping[str, Any]
WATCH_SECONDS = 50  # of one watch; then a read, which is cheap and consistent
QUIET_SECONDS = 65.0  # without a byte: the connection is dead, since a watch has closed long before
PAUSE_SECONDS = 0.1  # between two watches, should the server close them at once
WAIT_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # before the next try; the last one for all that follow
TRIES_MAX = 12  # without anything new in between: about a minute and a half
PASSING = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class Patience:
    """With a cluster that cannot answer now: TRIES_MAX tries in a row."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._tries = 0

    def renew(self) -> None:
        """It has answered."""
        self._tries = 0

    async def after(self, error: TransientError) -> None:
        """Say so, and wait for the next try. Raises CannotTell after the last one."""
        self._tries += 1
        if self._tries >= TRIES_MAX:
            raise CannotTell(str(error)) from error
        self._note(f"{error}; trying again")
        await asyncio.sleep(WAIT_SECONDS[min(self._tries, len(WAIT_SECONDS)) - 1])


async def changes(cluster: Cluster, known: Workflow, *, note: Callable[[str], None]) -> AsyncGenerator[Workflow]:
    """What is known of it, then what it is after each change, to its end. Raises CannotTell."""
    newest, uid, patience = known, known["metadata"]["uid"], Patience(note)
    yield newest
    while True:
        try:
            async with aclosing(_once(cluster, newest)) as seen:
                async for workflow in seen:
                    if workflow is None or workflow["metadata"]["uid"] != uid:
                        return
                    newest = workflow
                    patience.renew()
                    yield newest
            await asyncio.sleep(PAUSE_SECONDS)
        except TransientError as error:
            await patience.after(error)


async def _once(cluster: Cluster, known: Workflow) -> AsyncGenerator[Workflow | None]:
    """What a list and the watch behind it tell that is not known; None: it is gone. Ends when the watch does."""
    # A list and not a read: the version of an object that nobody has changed for long has expired for watches.
    query = {"fieldSelector": f"metadata.name={known['metadata']['name']}"}
    path = workflows_of(known["metadata"]["namespace"])
    answer = await cluster.get(path, query)
    if answer.status != HTTPStatus.OK:
        raise _fault(answer, known)
    body: Any = answer.body
    if not body["items"]:
        yield None
        return
    (newest,) = body["items"]
    if newest["metadata"].get("resourceVersion") != known["metadata"].get("resourceVersion"):
        yield newest
    version = body["metadata"].get("resourceVersion", "")
    query |= {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
    opened = await cluster.open(path, query, read_seconds=QUIET_SECONDS)
    if not isinstance(opened, Stream):
        if opened.status == HTTPStatus.GONE:
            return
        raise _fault(opened, known)
    async with aclosing(opened.changes()) as told:
        async for change in told:
            if change["type"] == "ERROR":  # it has expired, or the server ends it: the list tells
                return
            if change["type"] in ("ADDED", "MODIFIED"):
                yield change["object"]
            elif change["type"] == "DELETED":
                yield None


def _fault(answer: Answer, known: Workflow) -> TransientError | CannotTell:
    """Whether it is worth another try."""
    if answer.status in PASSING:
        return TransientError(f"the API server refuses for now: {answer.status} {answer.message or answer.reason}")
    return refused(answer, f"watch Workflow '{known['metadata']['name']}'")
