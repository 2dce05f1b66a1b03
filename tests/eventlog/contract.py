"""What every backend promises, as one suite: subclass `EventLogContract` and give it a `make_log` fixture.

    class TestMemory(EventLogContract):
        @pytest.fixture
        def make_log(self) -> MakeLog:
            store = MemoryStore()
            return lambda: MemoryLog(store)

Each call of `make_log()` is another writer on the same store. A backend whose streams need an owner that
exists (a real cluster) overrides the fixture `make_stream` too.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import uuid
from collections.abc import Callable

import pytest

from kipu.core.definition import Definition, Step
from kipu.core.events import Event, WorkflowAccepted, WorkflowEnd, WorkflowFinished
from kipu.eventlog.chain import BATCH_BYTES_MAX
from kipu.eventlog.codec import RECORD_BYTES_MAX
from kipu.eventlog.ports import (
    ConcurrencyConflict,
    EventLog,
    Head,
    History,
    LogFull,
    NotRecordable,
    Recorded,
    StreamId,
)
from tests.eventlog.samples import SPEC_HASH, TS, claim, scheduled

ROLLING = 30
MakeLog = Callable[[], EventLog]
MakeStream = Callable[[], StreamId]


def finished(message_bytes: int) -> WorkflowFinished:
    """An event whose record has a frame of its own and just so many bytes of message."""
    return WorkflowFinished(run=1, end=WorkflowEnd.FAILED, reason="Tested", message="x" * message_bytes)


def accepted(definition: Definition) -> WorkflowAccepted:
    return WorkflowAccepted(run=1, spec_hash=SPEC_HASH, definition=definition)


def large_definition(steps: int) -> Definition:
    return Definition(steps=tuple(Step(name=f"step-{number}", pod={"image": "busybox"}) for number in range(steps)))


def rolling(name: str) -> list[Event]:
    """So many that each such batch is a chunk of its own, where there are chunks."""
    return [scheduled(f"{name}-{number}") for number in range(ROLLING)]


async def begin(log: EventLog, stream: StreamId, *events: Event) -> Head:
    head, _ = await log.append(stream, None, events or [claim()], ts=TS, spec_hash=SPEC_HASH)
    return head


async def read(log: EventLog, stream: StreamId) -> History:
    history = await log.load(stream)
    assert history is not None
    return history


async def frame_bytes(log: EventLog, stream: StreamId) -> int:
    """What a record of `finished` has besides its message, while positions have one digit."""
    overlong = RECORD_BYTES_MAX + 1
    with pytest.raises(LogFull) as caught:
        await log.append(stream, None, [finished(overlong)], ts=TS, spec_hash=SPEC_HASH)
    return int(str(caught.value).split(" has ")[1].split()[0]) - overlong


class EventLogContract:
    """The suite. Each test gets a fresh store."""

    @pytest.fixture
    def make_log(self) -> MakeLog:
        raise NotImplementedError("a backend's suite says how its log is made")

    @pytest.fixture
    def make_stream(self) -> MakeStream:
        return lambda: StreamId(namespace="default", name="nightly", uid=str(uuid.uuid4()))

    @pytest.fixture
    def stream(self, make_stream: MakeStream) -> StreamId:
        return make_stream()

    # -- reading what was written --------------------------------------------------------------------------

    async def test_a_stream_that_was_never_begun_is_none(self, make_log: MakeLog, stream: StreamId) -> None:
        assert await make_log().load(stream) is None

    async def test_what_was_acknowledged_is_what_another_reader_finds(
        self, make_log: MakeLog, stream: StreamId
    ) -> None:
        log = make_log()
        head, first = await log.append(stream, None, [claim(), scheduled("a")], ts=TS, spec_hash=SPEC_HASH)
        head, second = await log.append(stream, head, [scheduled("b")], ts=TS + 5)
        history = await read(make_log(), stream)
        assert history.records == first + second
        assert [record.position for record in history.records] == [1, 2, 3]
        assert [record.ts for record in history.records] == [TS, TS, TS + 5]
        assert [record.event for record in history.records] == [claim(), scheduled("a"), scheduled("b")]
        assert (head.position, head.hash, head.epoch) == (3, history.records[-1].hash, 1)

    async def test_a_read_head_is_good_for_the_next_append(self, make_log: MakeLog, stream: StreamId) -> None:
        await begin(make_log(), stream)
        other = make_log()
        head, _ = await other.append(stream, (await read(other, stream)).head, [scheduled()], ts=TS)
        assert head.position == 2
        assert (await read(make_log(), stream)).head.hash == head.hash

    async def test_a_long_stream_keeps_every_event_in_order(self, make_log: MakeLog, stream: StreamId) -> None:
        log = make_log()
        head = await begin(log, stream)
        for number in range(60):
            head, _ = await log.append(stream, head, [scheduled(f"job-{number}")], ts=TS + number)
        history = await read(make_log(), stream)
        assert [record.event for record in history.records[1:]] == [scheduled(f"job-{n}") for n in range(60)]
        assert [record.position for record in history.records] == list(range(1, 62))

    async def test_the_chain_is_computed_from_uid_spec_and_record_bytes(
        self, make_log: MakeLog, stream: StreamId
    ) -> None:
        head = await begin(make_log(), stream)
        start = hashlib.sha256(f"kipu.dev/log/v1\0{stream.uid}\0{SPEC_HASH}".encode()).digest()
        record = f'{{"epoch":1,"pos":1,"ts":{TS},"type":"StreamClaimed","v":1,"writer":"kipu-0"}}'
        assert head.hash == hashlib.sha256(start + record.encode()).hexdigest()

    async def test_a_namesake_has_a_stream_of_its_own(
        self, make_log: MakeLog, make_stream: MakeStream, stream: StreamId
    ) -> None:
        namesake = StreamId(namespace=stream.namespace, name=stream.name, uid=make_stream().uid)
        await begin(make_log(), stream)
        assert await make_log().load(namesake) is None

    async def test_a_definition_of_any_size_comes_back_whole(self, make_log: MakeLog, make_stream: MakeStream) -> None:
        for steps in (1, 1_000):
            stream, definition = make_stream(), large_definition(steps)
            await begin(make_log(), stream, claim(), accepted(definition))
            event = (await read(make_log(), stream)).records[1].event
            assert isinstance(event, WorkflowAccepted)
            assert event.definition == definition

    # -- epochs and time -----------------------------------------------------------------------------------

    async def test_a_claim_raises_the_epoch_from_its_record_on(self, make_log: MakeLog, stream: StreamId) -> None:
        head = await begin(make_log(), stream, scheduled("a"), claim(3), scheduled("b"))
        history = await read(make_log(), stream)
        assert [record.epoch for record in history.records] == [0, 3, 3]
        assert head.epoch == 3

    async def test_an_epoch_or_a_time_that_falls_is_a_misuse(self, make_log: MakeLog, stream: StreamId) -> None:
        log = make_log()
        head = await begin(log, stream)
        with pytest.raises(ValueError, match="epoch 1 after epoch 1"):
            await log.append(stream, head, [claim(1)], ts=TS)
        with pytest.raises(ValueError, match="below the last"):
            await log.append(stream, head, [scheduled()], ts=TS - 1)
        with pytest.raises(ValueError, match="no events"):
            await log.append(stream, head, [], ts=TS)
        assert len((await read(log, stream)).records) == 1

    # -- races ---------------------------------------------------------------------------------------------

    async def test_a_stale_head_conflicts_and_changes_nothing(self, make_log: MakeLog, stream: StreamId) -> None:
        first, second = make_log(), make_log()
        stale = await begin(first, stream)
        head, _ = await second.append(stream, stale, [scheduled("winner")], ts=TS)
        with pytest.raises(ConcurrencyConflict):
            await first.append(stream, stale, [scheduled("loser")], ts=TS)
        history = await read(make_log(), stream)
        assert [record.event for record in history.records] == [claim(), scheduled("winner")]
        assert history.head.hash == head.hash

    async def test_a_stream_is_begun_once(self, make_log: MakeLog, stream: StreamId) -> None:
        await begin(make_log(), stream, claim(writer="first"))
        with pytest.raises(ConcurrencyConflict):
            await begin(make_log(), stream, claim(writer="second"))
        assert [record.event for record in (await read(make_log(), stream)).records] == [claim(writer="first")]

    async def test_of_writers_at_once_exactly_one_wins(self, make_log: MakeLog, stream: StreamId) -> None:
        logs = [make_log() for _ in range(4)]
        head = await begin(logs[0], stream)
        for turn in range(5):
            heads = [(await read(log, stream)).head for log in logs]
            results = await asyncio.gather(
                *(
                    log.append(stream, held, [scheduled(f"{turn}-{number}")], ts=TS)
                    for number, (log, held) in enumerate(zip(logs, heads, strict=True))
                ),
                return_exceptions=True,
            )
            won = [result for result in results if not isinstance(result, BaseException)]
            assert len(won) == 1
            assert all(isinstance(r, ConcurrencyConflict) for r in results if isinstance(r, BaseException))
            head = won[0][0]
        assert (await read(make_log(), stream)).head.hash == head.hash
        assert head.position == 6

    # -- upkeep --------------------------------------------------------------------------------------------

    async def test_an_archive_adds_no_record_and_is_done_once(self, make_log: MakeLog, stream: StreamId) -> None:
        log = make_log()
        head = await begin(log, stream)
        for number in range(5):
            head, _ = await log.append(stream, head, rolling(f"{number}"), ts=TS)
        before = await read(make_log(), stream)
        once = await log.archive(stream, head)
        assert (once.position, once.hash, once.epoch) == (head.position, head.hash, head.epoch)
        assert await log.archive(stream, once) == once
        await log.sweep(stream, once)
        after = await read(make_log(), stream)
        assert after.records == before.records
        assert (await log.append(stream, after.head, [scheduled("later")], ts=TS))[0].position == head.position + 1

    async def test_an_archive_of_a_stale_head_harms_nothing(self, make_log: MakeLog, stream: StreamId) -> None:
        log = make_log()
        stale = await begin(log, stream)
        for number in range(5):
            stale, _ = await log.append(stream, stale, rolling(f"{number}"), ts=TS)
        head, _ = await make_log().append(stream, stale, [scheduled("winner")], ts=TS)
        with contextlib.suppress(ConcurrencyConflict):  # a backend with nothing to archive does not look
            await log.archive(stream, stale)
        await log.sweep(stream, stale)
        assert (await read(make_log(), stream)).head.hash == head.hash

    @pytest.mark.parametrize("seed", [0, *(pytest.param(each, marks=pytest.mark.proof) for each in (1, 2, 3))])
    async def test_whatever_two_writers_append_merge_archive_and_sweep_no_record_is_lost(
        self, make_log: MakeLog, stream: StreamId, seed: int
    ) -> None:
        dice = random.Random(seed)
        logs, reader = [make_log(), make_log()], make_log()
        heads = [await begin(logs[0], stream)] * 2
        acknowledged: list[Recorded] = list((await read(reader, stream)).records)
        for turn in range(120):
            who = dice.randrange(2)
            log, head = logs[who], heads[who]
            deed = dice.choice(["append"] * 16 + ["archive"] + ["sweep", "look"] * 3)
            try:
                if deed == "append":
                    size = dice.choice([1, ROLLING, ROLLING])
                    heads[who], records = await log.append(stream, head, rolling(f"{turn}")[:size], ts=TS)
                    acknowledged += records
                elif deed == "archive":
                    heads[who] = await log.archive(stream, head)
                elif deed == "look":
                    heads[who] = (await read(log, stream)).head
            except ConcurrencyConflict:
                heads[who] = (await read(log, stream)).head
            if deed == "sweep":  # by a head that may be long out of date
                await log.sweep(stream, head)
                assert list((await read(reader, stream)).records) == acknowledged
        assert list((await read(reader, stream)).records) == acknowledged

    # -- bounds: all or nothing ----------------------------------------------------------------------------

    async def test_a_record_at_its_bound_is_kept_and_one_byte_more_is_refused(
        self, make_log: MakeLog, stream: StreamId
    ) -> None:
        log = make_log()
        room = RECORD_BYTES_MAX - await frame_bytes(log, stream)
        with pytest.raises(LogFull):
            await begin(log, stream, finished(room + 1))
        assert await log.load(stream) is None
        await begin(log, stream, finished(room))
        assert (await read(make_log(), stream)).records[0].event == finished(room)

    async def test_a_batch_at_its_bound_is_kept_and_one_byte_more_is_refused(
        self, make_log: MakeLog, stream: StreamId
    ) -> None:
        log = make_log()
        frame = await frame_bytes(log, stream)
        records_bytes = BATCH_BYTES_MAX - 64  # 64 records and their newlines
        messages = [records_bytes // 64 - frame - 1] * 63  # one byte spare for a second digit of the position
        messages.append(records_bytes - sum(message + frame for message in messages) - frame - (63 - 8))
        at_bound = [finished(message) for message in messages]
        with pytest.raises(LogFull, match="batch"):
            await begin(log, stream, *at_bound[:-1], finished(messages[-1] + 1))
        assert await log.load(stream) is None
        await begin(log, stream, *at_bound)
        assert [record.event for record in (await read(make_log(), stream)).records] == at_bound

    async def test_what_has_no_canonical_form_is_refused_and_changes_nothing(
        self, make_log: MakeLog, stream: StreamId
    ) -> None:
        log = make_log()
        head = await begin(log, stream)
        for pod in ({"cpu": 0.5}, {"name": "e\u0301"}, {"e\u0301": "name"}):
            event = accepted(Definition(steps=(Step(name="a", pod=pod),)))
            with pytest.raises(NotRecordable, match=r"\$\.steps\[0\]\.pod"):
                await log.append(stream, head, [scheduled(), event], ts=TS)
        assert (await read(make_log(), stream)).head.hash == head.hash
