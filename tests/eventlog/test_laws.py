"""What holds for every order of appends, every fault and every layout of the ConfigMap log."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kipu.core.errors import TransientError
from kipu.core.events import Event, StepScheduled
from kipu.eventlog.chain import beginning, extend
from kipu.eventlog.chunks import TAIL_BYTES_MAX
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from kipu.eventlog.ports import ConcurrencyConflict, Head, LogFull, Recorded
from tests.core.laws import LAW
from tests.eventlog.samples import SPEC_HASH, STREAM, TS, claim, nonces, scheduled
from tests.eventlog.store import Client, Fault, Json, Store

pytestmark = pytest.mark.proof

BATCH_SIZES = st.sampled_from([1, 1, 2, 5, 30])  # 30 do not fit a tail
UPKEEP = st.lists(st.sampled_from(["", "sweep", "sweep", "archive"]), max_size=8)
PAUSES = st.lists(st.integers(0, 3), max_size=60)


def trouble(seed: int, calm: int) -> list[Fault]:
    """What happens to 40 requests, `calm` of 8 going well. Drawn evenly: Hypothesis alone keeps to the beginning."""
    dice = random.Random(seed)
    return [Fault.NONE if dice.randrange(8) < calm else dice.choice(list(Fault)) for _ in range(40)]


FAULTS = st.builds(trouble, st.integers(0, 2**32), st.integers(0, 7))


async def at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


def log_on(store: Store, name: str, faults: Sequence[Fault] = (), pauses: Sequence[int] = ()) -> ConfigMapLog:
    client = Client(store=store, faults=iter(faults), pauses=iter(pauses))
    return ConfigMapLog(client, nonce=nonces(name), sleep=at_once, jitter=lambda: 0.0)


async def history_of(store: Store) -> tuple[Recorded, ...]:
    history = await log_on(store, "reader").load(STREAM)
    return () if history is None else history.records


# -- two writers and any faults --------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Replica:
    """A writer as the engine is one: after any trouble it starts over from the log alone."""

    store: Store
    name: str
    log: ConfigMapLog
    sizes: Sequence[int]
    upkeep: Iterator[str] = field(default_factory=lambda: iter(()))
    acknowledged: list[tuple[Recorded, ...]] = field(default_factory=list)
    head: Head | None = None
    is_open: bool = False

    async def run(self) -> None:
        for turn, size in enumerate(self.sizes):
            batch = [scheduled(f"{self.name}-{turn}-{number}", attempt=size) for number in range(size)]
            try:
                await self._turn(batch)
                await self._keep_up()
            except (ConcurrencyConflict, TransientError, LogFull):
                self.is_open = False

    async def _turn(self, batch: Sequence[Event]) -> None:
        if not self.is_open:
            history = await self.log.load(STREAM)
            self.head, self.is_open = history.head if history else None, True
            batch = [claim((self.head.epoch if self.head else 0) + 1, self.name), *batch]
        self.head, records = await self.log.append(STREAM, self.head, batch, ts=TS, spec_hash=SPEC_HASH)
        self.acknowledged.append(records)
        now = await history_of(self.store)
        assert now[records[0].position - 1 : records[-1].position] == records

    async def _keep_up(self) -> None:
        """What the actor does between turns, here at any time."""
        assert self.head is not None
        match next(self.upkeep, ""):
            case "archive":
                self.head = await self.log.archive(STREAM, self.head)
            case "sweep":
                await self.log.sweep(STREAM, self.head)


async def nearly_merged() -> dict[tuple[str, str], Json]:
    """The objects of a log of 7 chunks: the next roll merges."""
    if not NEARLY_MERGED:
        store = Store()
        await Replica(store=store, name="p", log=log_on(store, "p"), sizes=[30] * 7).run()
        assert len(store.objects) == 8
        NEARLY_MERGED.update(store.objects)
    return copy.deepcopy(NEARLY_MERGED)


NEARLY_MERGED: dict[tuple[str, str], Json] = {}  # made once


@settings(LAW, max_examples=max(200, LAW.max_examples))
@given(
    st.lists(st.tuples(st.lists(BATCH_SIZES, min_size=1, max_size=8), FAULTS, PAUSES, UPKEEP), min_size=2, max_size=2),
    st.sampled_from([False, False, False, False, True]),
)
async def test_what_was_acknowledged_is_there_once_and_in_order(
    plans: list[tuple[list[int], list[Fault], list[int], list[str]]], is_long: bool
) -> None:
    store = Store()
    if is_long:
        store.objects = await nearly_merged()
    replicas = [
        Replica(store=store, name=name, log=log_on(store, name, faults, pauses), sizes=sizes, upkeep=iter(upkeep))
        for name, (sizes, faults, pauses, upkeep) in zip("ab", plans, strict=True)
    ]

    await asyncio.gather(*(replica.run() for replica in replicas))
    store.settle()
    records = await history_of(store)
    for replica in replicas:
        for batch in replica.acknowledged:
            assert records[batch[0].position - 1 : batch[-1].position] == batch
    assert [record.position for record in records] == list(range(1, len(records) + 1))
    check_batches([record.event for record in records])


def check_batches(events: Sequence[Event]) -> None:
    """Each batch is there whole or not at all, and never twice."""
    jobs = [event.job for event in events if isinstance(event, StepScheduled)]
    assert len(set(jobs)) == len(jobs)
    sizes = {event.job: event.attempt for event in events if isinstance(event, StepScheduled)}
    place = 0
    while place < len(jobs):
        batch, size = jobs[place].rpartition("-")[0], sizes[jobs[place]]
        assert jobs[place : place + size] == [f"{batch}-{number}" for number in range(size)]
        place += size


@LAW
@given(FAULTS)
async def test_once_faults_end_an_append_goes_through(faults: list[Fault]) -> None:
    store = Store()
    replica = Replica(store=store, name="a", log=log_on(store, "a", faults), sizes=[1] * (len(faults) + 2))
    await replica.run()
    assert replica.is_open
    assert replica.acknowledged


# -- layouts ---------------------------------------------------------------------------------------------------


@LAW
@given(st.lists(st.tuples(BATCH_SIZES, st.integers(TAIL_BYTES_MAX, 3 * TAIL_BYTES_MAX), st.booleans()), max_size=12))
async def test_how_records_are_packed_does_not_change_the_history(turns: list[tuple[int, int, bool]]) -> None:
    events: list[Event] = [claim(), *(scheduled(f"job-{number}") for number in range(sum(size for size, *_ in turns)))]
    plain = extend(beginning(STREAM.uid, SPEC_HASH), events, ts=TS)

    store, rest = Store(), iter(events)
    head: ConfigMapHead | None = None
    for size, tail_bytes_max, is_refused in [(1, TAIL_BYTES_MAX, False), *turns]:
        if head is not None:
            head = replace(head, tail_bytes_max=tail_bytes_max)
        log = log_on(store, f"{len(store.objects)}-", [Fault.QUOTA] if is_refused else [])
        head, _ = await log.append(STREAM, head, take(rest, size), ts=TS, spec_hash=SPEC_HASH)
    assert await history_of(store) == plain.records


def take(events: Iterator[Event], size: int) -> list[Event]:
    return [next(events) for _ in range(size)]
