"""The elector, over the fake API server in virtual time: when it leads, until when, and what it writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import repeat

import pytest

from kipu.shell.kube_lease import micro_time
from tests.fakes.apiserver import ApiServer
from tests.fakes.clock import BEGINNING_MS
from tests.shell.candidates import (
    DEADLINE_SECONDS,
    HANGS,
    LEASE_SECONDS,
    NAMESPACE,
    RESET,
    ROUND_SECONDS,
    STEADY,
    Fate,
    Race,
)

pytestmark = pytest.mark.looptime
TRAVEL_SECONDS = 0.1  # a few requests on the fake, which take milliseconds


@pytest.fixture
async def race() -> AsyncIterator[Race]:
    race = Race(ApiServer(seed=2))
    yield race
    assert race.overlaps == []
    await race.close()


def now() -> float:
    return asyncio.get_running_loop().time()


# -- taking it ------------------------------------------------------------------------------------------------


async def test_a_free_lease_is_taken_at_once_and_says_by_whom_and_when(race: Race) -> None:
    leader = race.enter("a")
    assert await leader.leads() < TRAVEL_SECONDS
    spec = race.lease()["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", 15, 1)
    assert spec["acquireTime"] == spec["renewTime"]
    assert spec["renewTime"].startswith("2026-01-01T00:00:00.0")
    assert len(spec["renewTime"]) == len("2026-01-01T00:00:00.000000Z")


async def test_of_two_that_come_at_once_one_leads_and_the_other_reads_again(race: Race) -> None:
    first, second = race.enter("a"), race.enter("b")
    await asyncio.sleep(5 * LEASE_SECONDS)
    assert first.is_leading != second.is_leading
    refused = [sent for sent in race.server.requests if sent.path.endswith("/kipu") and sent.status == 409]
    assert len(refused) <= 1  # the loser of the first race, and nobody ever again
    loser = second if first.is_leading else first
    assert loser.told == []


async def test_a_leader_renews_and_keeps_the_time_at_which_it_began(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    begun = race.lease()["spec"]
    await asyncio.sleep(10 * LEASE_SECONDS)
    assert leader.told == [(leader.told[0][0], True)]
    spec = race.lease()["spec"]
    assert spec["acquireTime"] == begun["acquireTime"]
    assert spec["renewTime"] > begun["renewTime"]
    assert spec["leaseTransitions"] == begun["leaseTransitions"]


async def test_a_dead_leader_is_followed_once_its_lease_was_not_seen_to_change_for_its_duration(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    standby = race.enter("b")
    await asyncio.sleep(60)
    leader.kill()
    renewed_at = max(sent.time for sent in race.server.writes("a"))
    taken_seconds = await standby.leads() - renewed_at
    assert LEASE_SECONDS <= taken_seconds <= LEASE_SECONDS + ROUND_SECONDS
    assert race.lease()["spec"]["leaseTransitions"] == 2


async def test_a_lease_that_is_found_held_is_waited_for_however_old_its_times_are(race: Race) -> None:
    race.edit(holderIdentity="somebody", renewTime="2001-01-01T00:00:00.000000Z", leaseDurationSeconds=15)
    standby = race.enter("b")
    assert await standby.leads() == pytest.approx(LEASE_SECONDS, abs=TRAVEL_SECONDS)


@pytest.mark.parametrize(("recorded", "waited"), [(1, 15), (30, 30), (1_000_000, 300), (None, 15)])
async def test_of_two_durations_the_longer_one_is_waited_up_to_the_longest_that_can_be_set(
    race: Race, recorded: int | None, waited: int
) -> None:
    race.edit(holderIdentity="somebody", leaseDurationSeconds=recorded)
    standby = race.enter("b")
    assert await standby.leads() == pytest.approx(waited, abs=TRAVEL_SECONDS)


# -- until when -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", [HANGS, Fate(back_seconds=60.0), Fate(there_seconds=60.0, is_stopped=True)])
async def test_a_leader_whose_requests_hang_stops_at_its_deadline_and_not_later(race: Race, fate: Fate) -> None:
    leader = race.enter("a", [STEADY, STEADY, *repeat(fate, 10)])
    await leader.leads()
    renewed_at = race.server.writes("a")[-1].time
    await asyncio.sleep(DEADLINE_SECONDS + 1)
    dropped_at, is_leading = leader.told[-1]
    assert not is_leading
    # Counted from before the request was sent, which is before the server had it.
    assert renewed_at + DEADLINE_SECONDS - TRAVEL_SECONDS <= dropped_at < renewed_at + DEADLINE_SECONDS


def test_a_process_that_is_resumed_past_its_deadline_leads_for_not_even_one_handle() -> None:
    """What was about to run when it was stopped runs before any timer that has become due meanwhile."""

    class Stopped(asyncio.SelectorEventLoop):
        missed_seconds = 0.0

        def time(self) -> float:
            return super().time() + self.missed_seconds

    async def story() -> None:
        race = Race(ApiServer(seed=2))
        leader = race.enter("a")
        await leader.leads()
        loop.missed_seconds = DEADLINE_SECONDS
        assert not leader.is_leading
        await race.close()

    loop = Stopped()
    try:
        loop.run_until_complete(story())
    finally:
        loop.close()


async def test_resets_do_not_end_a_leader_that_is_heard_again_before_its_deadline(race: Race) -> None:
    lost = Fate(arrives=False)
    leader = race.enter("a", [STEADY, STEADY, lost, RESET, STEADY, RESET])
    await leader.leads()
    await asyncio.sleep(3 * LEASE_SECONDS)
    assert [is_leading for _, is_leading in leader.told] == [True]
    assert leader.is_leading


async def test_a_renewal_whose_answer_comes_after_the_deadline_is_none(race: Race) -> None:
    late = Fate(back_seconds=DEADLINE_SECONDS + 1, is_stopped=True)
    leader = race.enter("a", [STEADY, late, STEADY, STEADY])
    await asyncio.sleep(DEADLINE_SECONDS + 2)
    assert leader.told == []  # the first write took too long to be of any use
    assert await leader.leads() < DEADLINE_SECONDS + 2 + ROUND_SECONDS


async def test_after_losing_its_lease_a_replica_stands_by_and_leads_again_when_it_can(race: Race) -> None:
    leader = race.enter("a", [STEADY, STEADY, *repeat(HANGS, 6)])
    await leader.leads()
    standby = race.enter("b")
    await standby.leads()
    await asyncio.sleep(5 * LEASE_SECONDS)
    assert [is_leading for _, is_leading in leader.told] == [True, False]
    await standby.end()
    await asyncio.sleep(ROUND_SECONDS)
    assert [is_leading for _, is_leading in leader.told] == [True, False, True]


async def test_whoever_finds_another_holder_leads_no_more(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    race.edit(holderIdentity="by hand")
    await asyncio.sleep(ROUND_SECONDS)
    assert [is_leading for _, is_leading in leader.told] == [True, False]


# -- handing over ---------------------------------------------------------------------------------------------


async def test_a_release_hands_over_at_once(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    standby = race.enter("b")
    await asyncio.sleep(60)
    begun = now()
    await leader.end()
    assert leader.told[-1] == (begun, False)  # before it says so to anybody
    assert await standby.leads() - begun <= ROUND_SECONDS
    assert race.lease()["spec"]["holderIdentity"] == "b"


async def test_a_released_lease_has_no_holder(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    await leader.end()
    spec = race.lease()["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("", 1)


async def test_a_standby_that_ends_writes_nothing(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    standby = race.enter("b")
    await asyncio.sleep(60)
    await standby.end()
    assert race.server.writes("b") == []


async def test_a_release_is_tried_twice_and_no_more(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    leader.net.fates = iter([RESET, STEADY, STEADY])
    await leader.end()
    assert race.lease()["spec"]["holderIdentity"] == ""
    again = race.enter("a")
    await again.leads()
    again.net.fates = repeat(HANGS)
    begun = now()
    await again.end()
    assert now() - begun < DEADLINE_SECONDS


async def test_a_restart_under_the_same_identity_leads_again_at_once(race: Race) -> None:
    leader = race.enter("a")
    await leader.leads()
    before = race.lease()["spec"]
    leader.kill()
    begun = now()
    assert await race.enter("a").leads() - begun < TRAVEL_SECONDS
    after = race.lease()["spec"]
    assert (after["leaseTransitions"], after["acquireTime"]) == (before["leaseTransitions"], before["acquireTime"])


# -- what people do to it -------------------------------------------------------------------------------------


async def test_a_lease_that_somebody_deletes_is_written_again_by_its_leader(race: Race) -> None:
    leader, standby = race.enter("a"), race.enter("b")
    await asyncio.sleep(60)
    first, second = (leader, standby) if leader.is_leading else (standby, leader)
    race.server.delete("leases", NAMESPACE, "kipu")
    await asyncio.sleep(ROUND_SECONDS)
    assert race.lease()["spec"]["holderIdentity"] == first.identity
    assert ([is_leading for _, is_leading in first.told], second.told) == ([True], [])


async def test_a_lease_that_was_never_there_is_made_after_as_long_as_a_leader_could_still_lead() -> None:
    race = Race(ApiServer(seed=2), with_lease=False)
    first = race.enter("a")
    assert LEASE_SECONDS <= await first.leads() <= LEASE_SECONDS + 1
    spec = race.lease()["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("a", 1)
    await race.close()


async def test_a_create_that_arrives_late_makes_nobody_lead() -> None:
    """What a dead leader of old has sent may arrive when others lead, if their Lease has just been deleted."""
    race = Race(ApiServer(seed=2))
    old = race.enter("a")
    await old.leads()
    race.server.delete("leases", NAMESPACE, "kipu")
    late = Fate(there_seconds=60.0, is_stopped=True)
    old.net.fates = iter([STEADY, late])  # it sees that it is gone, and its create is held up
    await asyncio.sleep(ROUND_SECONDS)
    (sent_at,) = [at for at, method in old.net.sent if method == "POST"]
    leader = race.enter("b")
    await leader.leads()
    await asyncio.sleep(sent_at + 59.99 - now())
    race.server.delete("leases", NAMESPACE, "kipu")
    await asyncio.sleep(0.02)
    arrived = race.server.writes("a")[-1]
    assert (arrived.method, arrived.status) == ("POST", 201)
    await asyncio.sleep(3 * LEASE_SECONDS)
    assert race.overlaps == []
    assert [is_leading for _, is_leading in leader.told] == [True]
    await race.close()


async def test_a_lease_that_came_and_went_between_two_looks_is_waited_for() -> None:
    """Two looks that find none do not show that there was none: a leader may have led and lost it in between."""
    race = Race(ApiServer(seed=2), with_lease=False)
    blind = race.enter("b", [STEADY, Fate(there_seconds=LEASE_SECONDS + 8, is_stopped=True)])
    await asyncio.sleep(1)
    leader = race.enter("a")
    await leader.leads()
    race.server.delete("leases", NAMESPACE, "kipu")
    leader.kill()  # it cannot write it again, but until its deadline it may be thought to lead
    await blind.leads()
    assert race.overlaps == []
    await race.close()


async def test_labels_and_annotations_of_the_lease_stay(race: Race) -> None:
    def make(lease: dict[str, object]) -> dict[str, object]:
        lease["metadata"] |= {"labels": {"a": "b"}, "annotations": {"meta.helm.sh/release-name": "kipu"}}  # type: ignore[operator]
        return lease

    race.server.update("leases", NAMESPACE, "kipu", make)
    await race.enter("a").leads()
    await asyncio.sleep(ROUND_SECONDS)
    metadata = race.lease()["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == ({"a": "b"}, {"meta.helm.sh/release-name": "kipu"})


# -- clocks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [-3_600_000, 3_600_000])
async def test_a_wall_clock_that_is_wrong_or_jumps_changes_nothing(race: Race, skew_ms: int) -> None:
    leader = race.enter("a", skew_ms=skew_ms)
    await leader.leads()
    standby = race.enter("b")
    await asyncio.sleep(60)
    leader.clock.skew_ms = -skew_ms
    standby.clock.skew_ms = skew_ms
    await asyncio.sleep(60)
    assert [is_leading for _, is_leading in leader.told] == [True]
    assert standby.told == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Auckland"])
def test_times_are_written_in_utc_wherever_the_operator_runs(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert micro_time(BEGINNING_MS + 1_007) == "2026-01-01T00:00:01.007000Z"
    finally:
        monkeypatch.undo()
        time.tzset()


# -- whether it lives -----------------------------------------------------------------------------------------


@pytest.mark.proof
async def test_an_elector_lives_while_its_rounds_go_on_whatever_they_meet(race: Race) -> None:
    leader = race.enter("a", repeat(HANGS, 40))
    for _ in range(40):
        await asyncio.sleep(LEASE_SECONDS)
        assert leader.elector.is_alive


async def test_an_elector_whose_round_never_ends_is_dead(race: Race) -> None:
    stuck = Fate(there_seconds=600.0, is_stopped=True)
    leader = race.enter("a", [STEADY, STEADY, stuck])
    await leader.leads()
    assert leader.elector.is_alive
    await asyncio.sleep(3 * DEADLINE_SECONDS + ROUND_SECONDS)
    assert not leader.elector.is_alive
