"""A Workflow followed to the end of its run: plain lines for people, an end for programs.

Promises: one consistent read a look, and a look at least every LOOK_SECONDS_MAX; a cluster that cannot tell is asked
again, SILENT_LOOKS_MAX times in a row. What was asked of the run and the operator does not take is told. What
comes from programs is printed with its control characters escaped. Must never write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import click

from kipu.core.lifecycle import StepPhase, WorkflowPhase
from kipu.eventlog.ports import Unanswered

from .cluster import Cluster, find_workflow
from .details import printable
from .errors import CHECK_FAILED, CannotTell, NoWorkflow, OutOfTime, Refused
from .seen import OVER, Seen

FIRST_LOOK_SECONDS, LOOK_SECONDS_FACTOR, LOOK_SECONDS_MAX = 0.1, 1.5, 2.0
SILENT_LOOKS_MAX = 10  # 20 s and more: a control plane that starts anew
Say = Callable[[str], None]


async def follow(cluster: Cluster, namespace: str, name: str) -> int:
    """Print what becomes of it until its end. The exit code: 0 if it has succeeded, else 1."""
    seen = Seen.of(await find_workflow(cluster, namespace, name))
    return outcome(await until_over(cluster, seen, seen.run))


def outcome(seen: Seen) -> int:
    """The exit code of a Workflow that has ended."""
    return 0 if seen.phase == WorkflowPhase.SUCCEEDED else CHECK_FAILED


async def within(timeout_ms: int | None, cluster: Cluster, seen: Seen, run: int, say: Say = click.echo) -> Seen:
    """The same as `until_over`, for so long. Raises OutOfTime too."""
    try:
        async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000):
            return await until_over(cluster, seen, run, say)
    except TimeoutError as error:
        raise OutOfTime(f"Workflow '{seen.name}' has not ended in this time; it goes on") from error


async def until_over(cluster: Cluster, asked: Seen, run: int, say: Say = click.echo) -> Seen:
    """Wait for the end of this run of a Workflow, of which nothing older than `asked` counts.

    Raises Refused when the operator does not open that run, or touches the Workflow no more, NoWorkflow,
    CannotTell.
    """
    before: Seen | None = None
    told: str | None = None
    wait_seconds = FIRST_LOOK_SECONDS
    while True:
        seen = await _look(cluster, asked)
        current = seen if _is_of(seen, run) else None
        for line in _news(before, current):
            say(line)
        before = current or before
        ignored = seen.refusal(asked.generation)
        if ignored is not None and ignored != told:
            told = ignored
            say(f"{'ignored':<10}  {printable(ignored)}")
        _check_goes_on(seen, asked.run, ignored)
        if current is not None and current.phase in OVER:
            return current
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(wait_seconds * LOOK_SECONDS_FACTOR, LOOK_SECONDS_MAX)


async def _look(cluster: Cluster, asked: Seen) -> Seen:
    silent_looks = 0
    while True:
        try:
            seen = Seen.of(await find_workflow(cluster, asked.namespace, asked.name))
        except NoWorkflow:
            raise
        except (Unanswered, CannotTell):
            silent_looks += 1
            if silent_looks >= SILENT_LOOKS_MAX:
                raise
            await asyncio.sleep(LOOK_SECONDS_MAX)
            continue
        if seen.uid != asked.uid:
            raise NoWorkflow(f"Workflow '{asked.name}' was deleted meanwhile; another one has its name")
        return seen


def _is_of(seen: Seen, run: int) -> bool:
    """Whether its status is about this run. A Workflow that was rejected never has any."""
    return bool(seen.phase) and (seen.shown_run >= run or seen.phase == WorkflowPhase.REJECTED)


def _check_goes_on(seen: Seen, run: int, ignored: str | None) -> None:
    if seen.stuck is not None:
        raise Refused(f"Workflow '{seen.name}' is stalled: {printable(seen.stuck)}")
    if ignored is not None and seen.phase in OVER and not _is_of(seen, run):
        raise Refused(f"the operator does not open run {run} of Workflow '{seen.name}': {printable(ignored)}")


def _news(before: Seen | None, now: Seen | None) -> Iterator[str]:
    """What has changed since the last look, one line each; the Workflow itself comes last, as its end does."""
    if now is None:
        return
    known = before.shown if before is not None and before.shown_run == now.shown_run else {}
    reports = {each["step"]: each for key in ("running", "failed") for each in now.status.get(key) or ()}
    for name, step in now.shown.items():
        phase = step["phase"]
        if phase != StepPhase.PENDING and phase != known.get(name, {}).get("phase"):
            yield printable(f"{phase:<10}  {name}{_why(step, reports.get(name, {}))}")
    if before is None or _headline(before) != _headline(now):
        yield printable(_headline(now))


def _why(step: Any, report: Any) -> str:
    """The attempt, where it is not the first, and what there is to say about it."""
    attempt = f"/{step['attempts']}" if step.get("attempts", 0) > 1 else ""
    reason = report.get("message") or step.get("reason") or ""
    return attempt + (f": {reason}" if reason and reason != step["phase"] else "")


def _headline(seen: Seen) -> str:
    progress, message = seen.status.get("progress", ""), seen.message
    lasted = f" in {seen.status['duration']}" if seen.phase in OVER and seen.status.get("duration") else ""
    return f"{seen.phase:<10}  workflow {progress} steps{lasted}" + (f": {message}" if message else "")
