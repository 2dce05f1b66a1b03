"""Recorded histories to look at, decided by the core and committed by the production log."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import groupby
from typing import Any, TypeVar

from kipu.core.commands import Accept, Claim, Reject
from kipu.core.definition import Definition
from kipu.core.errors import Problem
from kipu.core.events import Event, Reason
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import EventLog, Head, StreamId
from tests.cli.api_server import ApiServer, StoredConfigMaps
from tests.core.given import IDENTITY, MINUTE, SECOND, Flow, step

STREAM = StreamId(namespace="default", name=IDENTITY.name, uid=IDENTITY.uid)
SPEC_HASH = "5pec" * 16
T = TypeVar("T")
Batches = list[list[tuple[Event, int]]]


def diamond() -> Flow:
    """A claim, a diamond whose left side fails once, an end: 14 events or so over 20 seconds."""
    steps = (
        step("fetch", attempt_timeout=MINUTE),
        step("left", "fetch", attempts=2),
        step("right", "fetch"),
        step("join", "left", "right"),
    )
    given = _accepted(Definition(steps=steps, timeout_ms=60 * MINUTE))
    given.start("fetch", after=SECOND)
    given.succeed("fetch", after=SECOND)
    given.start("left", "right")
    given.fail("left", exit_code=3, after=SECOND)
    given.succeed("right")
    given.pass_time(SECOND)
    given.succeed("left", after=2 * MINUTE)
    given.succeed("join", after=2 * 60 * MINUTE)
    return given


def skipping() -> Flow:
    """A failure and the seven steps that it takes along."""
    late = (f"late-{number}" for number in range(7))
    given = _accepted(Definition(steps=(step("first"), *(step(name, "first") for name in late))))
    given.fail("first", after=SECOND)
    return given


def speaking() -> Flow:
    """A failure that has said something, and a colour, before it went."""
    given = _accepted(Definition(steps=(step("load"),)))
    said = "reading\n\tx\u202e\n\x1b[31mKeyError: 'x'\n"
    message = "exit code 1: KeyError: 'x'"
    given.tell(given.outcome("load", reason=Reason.EXIT_CODE, exit_code=1, message=message, log_tail=said))
    return given


def retrying(events: int = 200) -> Flow:
    """One step that fails again and again: so many events, and nothing long in any of them."""
    given = _accepted(Definition(steps=(step("a", attempts=events),)))
    while len(given.log) < events:
        given.fail("a", after=SECOND)
        given.pass_time(20 * SECOND)
    return given


@cache
def wide(steps: int = 60) -> Flow:
    """So many steps that the definition lies in a blob and the records in chunks. Shared: tell it nothing."""
    names = [f"shard-{number}" for number in range(steps)]
    given = _accepted(Definition(steps=tuple(step(name, attempt_timeout=MINUTE) for name in names)))
    for name in names:
        given.start(name, after=SECOND)
    for name in names:
        given.succeed(name, after=SECOND)
    return given


def rejected(problem: Problem) -> Flow:
    """A spec that never ran."""
    given = Flow(None)
    given.tell(Claim(writer="kipu-0"), Reject(spec_hash=SPEC_HASH, problems=(problem,)))
    return given


def batches(given: Flow) -> Batches:
    """As one might have committed it: what was decided at one time is one append."""
    return [list(group) for _, group in groupby(given.log, key=lambda pair: pair[1])]


def record(log: EventLog, given: Flow, spec_hash: str = SPEC_HASH) -> Head:
    """Commit all of it."""

    async def append_all() -> Head | None:
        head: Head | None = None
        for batch in batches(given):
            events = [event for event, _ in batch]
            head, _ = await log.append(STREAM, head, events, ts=batch[0][1], spec_hash=spec_hash)
        return head

    head = run(append_all())
    assert head is not None
    return head


def recorded(server: ApiServer, given: Flow, **shown: Any) -> Head:
    """Commit the history through the production log, and let the status have seen its end; `shown`: more of it."""
    head = record(ConfigMapLog(StoredConfigMaps(server)), given)
    server.add_workflow(STREAM, {"position": head.position, "hash": head.hash}, **shown)
    return head


def run(work: Coroutine[None, None, T]) -> T:
    """To the end, in a thread of its own: the loops of pytest's own thread stay pytest's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _accepted(definition: Definition) -> Flow:
    given = Flow(None)
    given.tell(Claim(writer="kipu-0"), Accept(spec_hash=SPEC_HASH, definition=definition))
    return given
