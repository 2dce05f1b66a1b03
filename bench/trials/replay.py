"""An operator meets a long log: how long until it goes on with it, and what it has used by then.

Fails where an item runs again that is over by the log, or where one of the others does not run once.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from bench.contest import namespace
from bench.witness import LATE_SECONDS, Place
from e2e.apiserver import ApiError, ApiServer, JsonObject, config_maps, jobs, wait_until, workflows
from e2e.history import size_bytes
from e2e.namespace import Namespace, ours
from e2e.operator_process import OperatorProcess, install
from e2e.scale import its_coming
from e2e.watching import Watch
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import Head, StreamId
from kipu.shell.kube import Kube
from kipu.shell.kube_http import HttpTransport

from . import history, lives, manifests, seen
from .figures import Case, Figure, mebibytes

LEFT = 50  # items that are still to be scheduled
NAME = "replayed"
PAST_MS = 600_000  # before now its run has begun; each commit is a millisecond later
FIRST_SECONDS = 120.0
GUARD_SECONDS = 60.0


@dataclass(slots=True)
class _AtFirstJob:
    """What the operator had used when its first Job was seen."""

    operator: OperatorProcess
    cpu_seconds: float = 0.0
    memory_bytes_max: int = 0

    def keep(self, kind: str, body: JsonObject) -> JsonObject | None:
        """To be given to the watch."""
        if kind == "ADDED" and not self.memory_bytes_max:
            self.cpu_seconds = self.operator.cpu_seconds()
            self.memory_bytes_max = self.operator.memory_bytes_max()
        return its_coming(kind, body)


def case(place: Place, events: int) -> Case:
    """One log of at least so many events."""
    api, items, ends = place.api, history.items_for(events), seen.Ends()
    install(api)
    with TemporaryDirectory() as folder, namespace(api) as at:
        _let_write(api, at)
        workflow = api.create(workflows(at), manifests.items(NAME, items + LEFT, attempts=manifests.ATTEMPTS))
        begun = time.monotonic()
        head, uid = asyncio.run(_write(workflow, at, items)), str(workflow["metadata"]["uid"])
        written = time.monotonic() - begun
        objects, size = len(Namespace(api, at).log_objects(uid)), size_bytes(Namespace(api, at), uid)
        operator = lives.operator(place, folder)
        at_first = _AtFirstJob(operator)
        with (
            Watch(api, jobs(at), ours(), metadata_only=True, keep=at_first.keep) as made,
            seen.ended(api, at) as ended,
            ends.watch(api, at) as told,
            operator,
        ):
            made.wait_for(lambda each: bool(each.history), FIRST_SECONDS, "the first new Job")
            ends.wait(told, 1, FIRST_SECONDS)
            ended.wait_for(lambda each: len(each.history) >= LEFT, LATE_SECONDS, f"{LEFT} ends of pods")
            wanted = [(NAME, "shard", str(index), "1") for index in range(items, items + LEFT)]
            for watch in (made, ended):
                seen.check_once("Jobs and ends of pods", watch.history, wanted)
            to_first = made.history[0].at - operator.led_at
    figures = [
        Figure("events in the log", head.position),
        Figure("its objects", objects),
        Figure("its bytes", size),
        Figure("from ownership to the first new Job", to_first, "s", 3),
        Figure("CPU by then, the program's start included", at_first.cpu_seconds, "s"),
        mebibytes("memory at most by then", at_first.memory_bytes_max),
        Figure("to write that log", written, "s", 1),
    ]
    return Case(f"recovery: a log of {events:,} events", figures)


def _let_write(api: ApiServer, at: str) -> None:
    """Others than the operator may write logs here, once the API server has heard of it."""
    api.merge(f"/api/v1/namespaces/{at}", {"metadata": {"labels": {"kipu.dev/log-guard": "off"}}})

    def may() -> bool:
        with suppress(ApiError):
            return bool(api.create(f"{config_maps(at)}?dryRun=All", {"metadata": {"name": "kipu-log-may-we"}}))
        return False

    wait_until(may, GUARD_SECONDS, "the log guard is off")


async def _write(workflow: JsonObject, at: str, items: int) -> Head:
    """As the user of KUBECONFIG."""
    stream = StreamId(namespace=at, name=NAME, uid=str(workflow["metadata"]["uid"]))
    past = history.History(workflow["spec"], stream, int(1000 * time.time()) - PAST_MS)
    transport = HttpTransport.from_environment()
    try:
        return await history.write(ConfigMapLog(Kube(transport)), stream, past, items)
    finally:
        await transport.close()
