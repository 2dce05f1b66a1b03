"""What holds of electors for every order of deaths, restarts, releases, delays, stops and clocks: one leads at most."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import looptime
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.laws import LAW
from tests.fakes.apiserver import ApiServer
from tests.fakes.refusals import Refused
from tests.shell.candidates import HANGS, LEASE_SECONDS, NAMESPACE, RESET, ROUND_SECONDS, STEADY, Fate, Race

pytestmark = pytest.mark.proof

IDENTITIES = ("a", "b", "c")
ACTIONS_MAX = 25
FATES = 200  # a candidate sends about one request a second


@dataclass(slots=True)
class Seen:
    """What came of one race, so that the law can be seen to have met something."""

    terms: int = 0  # how often somebody began to lead
    drops: int = 0  # ... and ended by itself
    overlaps: list[tuple[float, str, str]] = field(default_factory=list)
    leaders: list[str] = field(default_factory=list)  # at the end, when all has been well for long enough
    alive: list[str] = field(default_factory=list)


def fate(dice: random.Random) -> Fate:
    """Any trouble, evenly: Hypothesis alone keeps to the beginning."""
    seconds = dice.choice([0.1, 1.0, 4.0, 9.0, 20.0])
    return dice.choice(
        [
            STEADY,
            RESET,
            HANGS,
            Fate(arrives=False),
            Fate(there_seconds=seconds),
            Fate(back_seconds=seconds),
            Fate(there_seconds=seconds, is_stopped=True),
            Fate(back_seconds=seconds, is_stopped=True),
            Fate(there_seconds=seconds, back_seconds=seconds, is_stopped=True, answers=False),
        ]
    )


def fates(dice: random.Random) -> list[Fate]:
    calm = dice.randrange(1, 8)
    return [STEADY if dice.randrange(8) < calm else fate(dice) for _ in range(FATES)]


async def act(race: Race, dice: random.Random) -> None:
    """One thing that happens to somebody, or to the Lease."""
    identity, skew_ms = dice.choice(IDENTITIES), dice.choice([0, -7_200_000, 7_200_000])
    known = next((each for each in race.candidates if each.identity == identity and each.is_running), None)
    what = dice.choice(["die", "die", "restart", "restart", "end", "jump", "delete", "touch"])
    try:
        match what:
            case "delete":
                race.server.delete("leases", NAMESPACE, "kipu")
            case "touch":
                race.server.update("leases", NAMESPACE, "kipu", lambda body: _touched(body, dice))
            case "restart" if known is None:
                race.enter(identity, fates(dice), skew_ms=skew_ms)
            case "die" if known is not None:
                known.kill()
            case "end" if known is not None:
                await known.end()
            case "jump" if known is not None:
                known.clock.skew_ms = skew_ms
    except Refused:
        pass  # it was not there


def _touched(body: dict[str, object], dice: random.Random) -> dict[str, object]:
    body["metadata"]["labels"] = {"touched": str(dice.randrange(1000))}  # type: ignore[index]
    return body


async def race_to_the_end(seed: int) -> Seen:
    dice = random.Random(seed)
    race = Race(ApiServer(seed=seed), with_lease=dice.random() < 0.7)
    for identity in dice.sample(IDENTITIES, dice.randrange(1, 4)):
        race.enter(identity, fates(dice), skew_ms=dice.choice([0, 3_600_000]))
    for _ in range(dice.randrange(ACTIONS_MAX)):
        await asyncio.sleep(dice.choice([0.0, 0.5, 3.0, 9.0, 20.0]))
        await act(race, dice)
    told = [event for each in race.candidates for event in each.told]
    for each in race.candidates:
        each.net.fates = iter(())
    # Requests that were under way, then a Lease of somebody who is dead, then one round.
    await asyncio.sleep(60.0 + LEASE_SECONDS + ROUND_SECONDS)
    alive = [each for each in race.candidates if each.is_running]
    seen = Seen(
        terms=sum(is_leading for _, is_leading in told),
        drops=sum(not is_leading for _, is_leading in told),
        overlaps=race.overlaps,
        leaders=[each.identity for each in alive if each.is_leading],
        alive=[each.identity for each in alive],
    )
    await race.close()
    return seen


def race_virtually(seed: int) -> Seen:
    """In an event loop of its own, whose time is virtual."""
    loop = looptime.new_event_loop()
    try:
        return loop.run_until_complete(race_to_the_end(seed))
    finally:
        loop.close()


@LAW
@given(st.integers(0, 2**32))
@example(151)  # a Lease that came and went while one candidate was stopped
def test_two_never_lead_at_once_and_once_all_is_well_one_does(seed: int) -> None:
    seen = race_virtually(seed)
    assert seen.overlaps == []
    assert len(seen.leaders) == min(1, len(seen.alive))


def test_the_law_meets_what_it_is_about() -> None:
    """Deaths, takeovers and losses really come up in what is drawn."""
    races = [race_virtually(seed) for seed in range(20)]
    assert sum(seen.terms for seen in races) >= 20
    assert sum(seen.drops for seen in races) >= 10
    assert sum(bool(seen.leaders) for seen in races) >= 10
