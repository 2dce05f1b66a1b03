"""What the log alone costs on a real etcd: `python -m e2e.measure_log`. Prints a Markdown table.

ConfigMapLog over the production client against $KUBECONFIG, without an operator: EVENTS events as a run of steps
records them, each committed alone, and in batches of three; every merge is swept. Writes are those that the client
sends, deletions included. Puts and their bytes (key and value) are read from etcd's own history of a namespace that is
made for it and deleted after; the bytes of etcd's write-ahead log are its own counter, which counts what others write
meanwhile too: run it on a quiet cluster. Bounded: len(LENGTHS) x len(BATCHES) logs.
"""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.request import urlopen

from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import Answer, Head, ObjectName, StreamId
from kipu.shell.kube import Kube
from kipu.shell.kube_http import HttpTransport
from tests.eventlog.samples import SPEC_HASH, TS, claim, facts

from . import etcd
from .apiserver import ApiServer, config_maps

LENGTHS = (300, 1_000)
BATCHES = (1, 3)
BUDGETS = {1: (1.3, 5_000), 3: (0.65, 2_200)}  # batch -> writes and bytes an event: the issue's
WAL = re.compile(r"^etcd_disk_wal_write_bytes_total (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Owned:
    """The client, counted; a ConfigMap stands for the Workflow that owns the log, as no operator is to see one."""

    kube: Kube
    owner: tuple[str, str]
    writes: Counter[str] = field(default_factory=Counter)

    async def create_config_map(self, namespace: str, manifest: Mapping[str, Any]) -> Answer:
        self.writes["create"] += 1
        name, uid = self.owner
        reference = {**manifest["metadata"]["ownerReferences"][0], "apiVersion": "v1", "kind": "ConfigMap"}
        metadata = {**manifest["metadata"], "ownerReferences": [{**reference, "name": name, "uid": uid}]}
        return await self.kube.create_config_map(namespace, {**manifest, "metadata": metadata})

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        return await self.kube.get_config_map(namespace, name)

    async def patch_config_map(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        self.writes["patch"] += 1
        return await self.kube.patch_config_map(namespace, name, operations)

    async def delete_config_map(self, namespace: str, name: str, uid: str) -> Answer:
        self.writes["delete"] += 1
        return await self.kube.delete_config_map(namespace, name, uid)

    async def list_config_maps(self, namespace: str, label_selector: str) -> list[ObjectName]:
        return await self.kube.list_config_maps(namespace, label_selector)


async def write(api: Owned, namespace: str, *, events: int, batch: int) -> None:
    """One log of its own."""
    log, stream = ConfigMapLog(api), StreamId(namespace=namespace, name="measured", uid=str(uuid.uuid4()))
    head: Head
    head, _ = await log.append(stream, None, [claim()], ts=TS, spec_hash=SPEC_HASH)
    told = facts()
    for _ in range(events // batch):
        head, _ = await log.append(stream, head, list(islice(told, batch)), ts=TS)
        if head.superseded:
            await log.sweep(stream, head)


async def measure(namespace: str, owner: tuple[str, str], *, events: int, batch: int) -> None:
    """One row."""
    transport = HttpTransport.from_environment()
    api = Owned(Kube(transport), owner)
    first, wal_before = etcd.revision(), wal_bytes()
    try:
        await write(api, namespace, events=events, batch=batch)
    finally:
        await transport.close()
    last, wal_after = etcd.revision(), wal_bytes()
    assert first is not None
    assert last is not None
    puts = etcd.puts(namespace, first, last)
    writes = api.writes.total() / events
    kept = f"{puts.count['configmaps'] / events:.2f} | {puts.size_bytes['configmaps'] / events:,.0f}"
    wal = f"{(wal_after - wal_before) / events:,.0f}"
    limit = "{:.2f} | {:,}".format(*BUDGETS[batch])
    sys.stdout.write(f"| {events} | {batch} | {writes:.3f} | {kept} | {wal} | {limit} |\n")
    sys.stdout.flush()


def wal_bytes() -> float:
    """All bytes that etcd has written ahead so far, whoever asked."""
    with urlopen(f"{etcd.ETCD}/metrics", timeout=etcd.TIMEOUT_SECONDS) as answer:
        found = WAL.search(answer.read().decode())
    assert found is not None
    return float(found[1])


def main() -> int:
    """Measure and print."""
    api, name = ApiServer(), f"measure-log-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": {"kipu.dev/log-guard": "off"}}})
    try:
        owner = api.create(config_maps(name), {"metadata": {"name": "measured"}})["metadata"]
        sys.stdout.write("| events | batch | API writes an event | puts | bytes put | WAL | at most: writes | WAL |\n")
        sys.stdout.write("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
        for events in LENGTHS:
            for batch in BATCHES:
                asyncio.run(measure(name, (owner["name"], owner["uid"]), events=events, batch=batch))
    finally:
        api.delete(f"/api/v1/namespaces/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
