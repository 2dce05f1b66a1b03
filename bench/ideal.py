"""The client that no engine can beat: it creates Jobs in the order of the DAG, and knows nothing else.

`python -m bench.ideal` reads one Plan as JSON from stdin, runs it, and writes what it saw as JSON to stdout. It has no
state but in memory, forgets all when it dies, and starts no step twice only because nothing ever fails. With `log` it
makes one durable commit before each create, as design 02 has it: a ConfigMap is replaced under its version, and what
is ready meanwhile goes into the next one. Must never import of Kipu more than the transport.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

import msgspec

from kipu.shell.kube_http import Endpoint, HttpTransport, Reply, Request

from .manifests import TASK_LABEL

CREATES_AT_ONCE = 32
REQUEST_SECONDS = 30.0
SILENCE_SECONDS = 120.0
RECORD_BYTES = 300  # of an event in Kipu's log
TAIL_BYTES_MAX = 4_096  # beyond it a commit goes into a chunk of its own, and the head names it
BATCH_MAX = 1_000  # tasks in a commit: twice as many records are 0.6 MB, and an object may have 1 MiB
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, and how."""

    server: str
    ca: str
    token: str
    namespace: str
    tasks: list[list[int]]
    jobs: list[dict[str, object]]  # the manifest of each task's Job
    wait_for: Literal["Pod", "Job"]
    log: bool = False
    seconds_max: float = 600.0


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    seconds: float  # from before the first create to the end of the last task, as this client saw it
    cpu_seconds: float
    writes: int  # beyond the creates of Jobs


class Meta(msgspec.Struct):
    """Of an object, who it is."""

    resourceVersion: str  # noqa: N815 - Kubernetes' name
    labels: dict[str, str] = {}


class Condition(msgspec.Struct):
    """Of a Job."""

    type: str
    status: str


class Status(msgspec.Struct):
    """Of a Job, what it says of its end."""

    conditions: list[Condition] = []


class Thing(msgspec.Struct):
    """A pod, a Job or a bookmark."""

    metadata: Meta
    status: Status = msgspec.field(default_factory=Status)


class Event(msgspec.Struct):
    """One line of a watch."""

    type: str
    object: Thing


class Ideal:
    """One run."""

    def __init__(self, plan: Plan, transport: HttpTransport) -> None:
        self._plan = plan
        self._transport = transport
        self._left = [len(needs) for needs in plan.tasks]
        self._children: list[list[int]] = [[] for _ in plan.tasks]
        for task, needs in enumerate(plan.tasks):
            for need in needs:
                self._children[need].append(task)
        self._ended: set[int] = set()
        self._ready: list[int] = []
        self._some_are_ready = asyncio.Event()
        self._room = asyncio.Semaphore(CREATES_AT_ONCE)
        self._head: dict[str, object] = {}
        self._writes = 0

    async def run(self) -> Took:
        """From the first create to the last end."""
        version = await self._version()
        if self._plan.log:
            self._head = await self._post("/api/v1", "configmaps", self._log("head", 0))
        begun, cpu = time.monotonic(), time.process_time()
        async with asyncio.TaskGroup() as group:
            creating = group.create_task(self._create_what_is_ready(group))
            self._free([task for task, count in enumerate(self._left) if count == 0])
            await self._follow(version)
            seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
            creating.cancel()
        return Took(seconds=seconds, cpu_seconds=cpu, writes=self._writes)

    # -- ends ----------------------------------------------------------------------------------------------

    async def _follow(self, version: str) -> None:
        """Until all have ended, however often the API server closes the watch."""
        while len(self._ended) < len(self._plan.tasks):
            version = await self._watch(version)

    async def _watch(self, version: str) -> str:
        pods = self._plan.wait_for == "Pod"
        query = {"watch": "true", "resourceVersion": version, "labelSelector": TASK_LABEL}
        if pods:
            query["fieldSelector"] = "status.phase=Succeeded"
        request = Request(
            method="GET", path=self._path(pods), query=query, accept=METADATA if pods else "application/json"
        )
        decode = msgspec.json.Decoder(Event).decode
        async with self._transport.stream(request, timeout_seconds=SILENCE_SECONDS) as (status, lines):
            assert status == 200, status
            async for line in lines:
                event = decode(line)
                version = event.object.metadata.resourceVersion
                if event.type in ("ADDED", "MODIFIED") and (pods or _is_complete(event.object)):
                    self._end(int(event.object.metadata.labels[TASK_LABEL]))
                    if len(self._ended) == len(self._plan.tasks):
                        break
        return version

    def _end(self, task: int) -> None:
        if task in self._ended:
            return
        self._ended.add(task)
        freed = []
        for child in self._children[task]:
            self._left[child] -= 1
            if self._left[child] == 0:
                freed.append(child)
        self._free(freed)

    def _free(self, tasks: Sequence[int]) -> None:
        if tasks:
            self._ready += tasks
            self._some_are_ready.set()

    # -- creates -------------------------------------------------------------------------------------------

    async def _create_what_is_ready(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._some_are_ready.wait()
            self._some_are_ready.clear()
            batch, self._ready = self._ready[:BATCH_MAX], self._ready[BATCH_MAX:]
            if self._plan.log:
                await self._commit(len(batch))
            for task in batch:
                group.create_task(self._create(task))
            if self._ready:
                self._some_are_ready.set()

    async def _create(self, task: int) -> None:
        async with self._room:
            await self._post("/apis/batch/v1", "jobs", self._plan.jobs[task])

    async def _commit(self, records: int) -> None:
        """One that survives this client: of a start and an end for each."""
        size = 2 * records * RECORD_BYTES
        if size > TAIL_BYTES_MAX:
            self._writes += 1
            await self._post("/api/v1", "configmaps", self._log(f"chunk-{self._writes}", size))
            size = RECORD_BYTES
        self._writes += 1
        head = self._log("head", min(TAIL_BYTES_MAX, size + TAIL_BYTES_MAX // 2))
        head["metadata"] = {**self._head["metadata"], "managedFields": []}  # type: ignore[dict-item]
        path = f"/api/v1/namespaces/{self._plan.namespace}/configmaps/head"
        self._head = await self._write("PUT", path, head)

    def _log(self, name: str, size: int) -> dict[str, object]:
        text = f"{self._writes} ".ljust(size, "r")  # never what was there before: that would be no write at all
        return {"metadata": {"name": name, "namespace": self._plan.namespace}, "data": {"records": text}}

    # -- requests ------------------------------------------------------------------------------------------

    async def _version(self) -> str:
        """From which to watch: nothing of ours is there yet."""
        request = Request(method="GET", path=self._path(pods=True), query={"limit": "1"}, accept="application/json")
        reply = await self._transport.send(request, timeout_seconds=REQUEST_SECONDS)
        return str(_object(reply)["metadata"]["resourceVersion"])  # type: ignore[index]

    async def _post(self, group: str, plural: str, manifest: dict[str, object]) -> dict[str, object]:
        return await self._write("POST", f"{group}/namespaces/{quote(self._plan.namespace)}/{plural}", manifest)

    async def _write(self, method: str, path: str, manifest: dict[str, object]) -> dict[str, object]:
        request = Request(method=method, path=path, body=msgspec.json.encode(manifest))
        return _object(await self._transport.send(request, timeout_seconds=REQUEST_SECONDS))

    def _path(self, pods: bool) -> str:
        return (
            f"{'/api/v1' if pods else '/apis/batch/v1'}/namespaces/{self._plan.namespace}/{'pods' if pods else 'jobs'}"
        )


def _is_complete(job: Thing) -> bool:
    return any(each.type == "Complete" and each.status == "True" for each in job.status.conditions)


def _object(reply: Reply) -> dict[str, object]:
    assert reply.status < 300, (reply.status, reply.body[:500])
    found: dict[str, object] = msgspec.json.decode(reply.body)
    return found


async def main(plan: Plan) -> Took:
    """Run it, within its time."""
    transport = HttpTransport(Endpoint(server=plan.server, ca=plan.ca, token=plan.token))
    try:
        async with asyncio.timeout(plan.seconds_max):
            return await Ideal(plan, transport).run()
    finally:
        await transport.close()


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(main(asked))))
