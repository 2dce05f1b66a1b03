"""The long logs of the recovery trial are what the core would have written, and end where an operator can go on."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.trials import history, manifests
from kipu.core.decide import wants_turn
from kipu.core.events import AttemptFailed, StepScheduled, StepSucceeded, TimerFired
from kipu.core.evolve import fold
from kipu.core.state import canonical
from kipu.eventlog.memory import MemoryLog
from kipu.eventlog.ports import StreamId

STREAM = StreamId(namespace="trials", name="replayed", uid="4a1f0a52-0000-4000-8000-000000000001")
ITEMS, LEFT = 230, 7
BEGUN = 1_700_000_000_000
HEADING = 3  # claimed, accepted, expanded


def past() -> history.History:
    spec = manifests.items(STREAM.name, ITEMS + LEFT, attempts=manifests.ATTEMPTS)["spec"]
    return history.History(spec, STREAM, BEGUN)


@pytest.mark.proof
async def test_a_written_history_is_read_back_as_the_state_it_was_decided_on() -> None:
    log, told = MemoryLog(), past()
    head = await history.write(log, STREAM, told, ITEMS)
    read = await log.load(STREAM)
    assert read is not None
    assert read.head == head
    assert canonical(fold((record.event, record.ts) for record in read.records)) == canonical(told.state)
    kinds = Counter(type(record.event) for record in read.records)
    again = ITEMS * (manifests.ATTEMPTS - 1)
    assert kinds[StepScheduled] == again + ITEMS
    assert (kinds[AttemptFailed], kinds[TimerFired], kinds[StepSucceeded]) == (again, again, ITEMS)
    assert head.position == HEADING + history.EVENTS_PER_ITEM * ITEMS


def test_at_its_end_nothing_is_under_way_and_the_rest_waits_for_places_alone() -> None:
    told = past()
    for _ in told.turns(ITEMS):
        pass
    state = told.state
    assert [state.live, state.leaving, state.retrying] == [{}, {}, {}]
    assert not wants_turn(state, slots=0)
    assert wants_turn(state, slots=1)
    assert next(iter(state.fanouts.values())).begun == ITEMS


def test_its_commits_are_of_the_size_that_a_turn_has() -> None:
    sizes = [len(events) for events in past().turns(ITEMS)]
    assert max(sizes) <= 2 * history.UNDER_WAY + HEADING
    assert min(sizes) >= ITEMS % history.UNDER_WAY


@pytest.mark.parametrize("events", [10_000, 100_000])
def test_so_many_events_fit_a_fan_out(events: int) -> None:
    items = history.items_for(events)
    assert items * history.EVENTS_PER_ITEM >= events
    assert items + 50 <= 10_000
