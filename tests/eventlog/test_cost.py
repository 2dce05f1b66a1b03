"""What a log costs its API server, counted: the budgets of the issue, merges and deletions included.

A request is counted with the bytes of its body. What etcd then writes ahead for a commit is about the same: the JSON
of the patch escapes every quote, etcd adds the object's metadata. `python -m e2e.measure_log` asks a real one.
"""

from __future__ import annotations

from itertools import islice

import pytest

from tests.eventlog.samples import STREAM, facts
from tests.eventlog.writer import Writer

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("events", [300, 3_000])
@pytest.mark.parametrize(("batch", "writes_max", "bytes_max"), [(1, 1.3, 5_000), (3, 0.65, 2_200)])
async def test_the_write_budget_is_held(
    writer: Writer, events: int, batch: int, writes_max: float, bytes_max: int
) -> None:
    head, told = await writer.begin(), facts()
    writer.meets()
    for _ in range(events // batch):
        head = await writer.append(head, *islice(told, batch))
        if head.superseded:
            await writer.log.sweep(STREAM, head)
    writes = writer.client.writes
    assert {request.verb for request in writes} == {"create", "patch", "delete"}
    assert len(writes) / events <= writes_max
    assert sum(request.body_bytes for request in writes) / events <= bytes_max


async def test_a_merge_costs_a_bounded_number_of_reads(writer: Writer) -> None:
    """An append that merges reads 8 chunks at most; all others read nothing."""
    head, told = await writer.begin(), facts()
    for _ in range(1_000):
        writer.meets()
        before = head
        head = await writer.append(head, next(told))
        reads = len(writer.client.requests) - len(writer.client.writes)
        assert reads == len(before.chunks) * (head.superseded > 0) <= 8
