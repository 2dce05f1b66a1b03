"""Random scripts, each a pure function of a number: what befalls a scenario, and when."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fakes.faults import Delayed, Duplicated, Stale, Status, TimeoutDone, TimeoutNotDone
from tests.fakes.watching import End

from .faults import Compact, CutOff, Die, EndWatch, ExpireWatch, Freeze, JumpClock, RepeatWatch, SlowWatch
from .scenario import Scenario
from .script import Answer, Ask, At, Handle, Script, Second, Strike, Trigger, Write
from .storage import Quota, RestoreEtcd
from .tampering import CutLog, DeleteFromLog, EditHead, ReplaceChunk
from .third_parties import DeleteJob, DeletePod, DeleteWorkflow, EditWorkflow, EvictPod, LoseNode, SuspendJob

WRITES, ASKS, HANDLES = 60, 120, 600  # of one replica in a run of average size
SECONDS = 25.0
PLURALS = ("jobs", "pods", "workflows")
COUNTED = ("configmaps", "jobs.batch", "persistentvolumeclaims")


def script_of(seed: int, scenario: Scenario, depth: int) -> Script:
    """A random script of at most `depth` faults."""
    draw = random.Random(f"script {seed}")
    count = draw.randint(1, depth)
    entries = [_entry(draw, scenario.replicas) for _ in range(count)]
    meddling = draw.random()
    if meddling < 0.35:
        # A child whose log is damaged is Stalled, and so its parent waits for ever: that is as it should be.
        has_children = any(plan.templates for plan in scenario.plans)
        makes = _third_party if meddling < 0.25 or has_children else _tampering
        for place in range(draw.randint(1, count)):
            entries[place] = At(_anywhere(draw, draw.randrange(scenario.replicas)), makes(draw))
    return tuple(entries)


def _entry(draw: random.Random, replicas: int) -> At:
    replica = draw.randrange(replicas)
    kind = draw.random()
    if kind < 0.45:
        return At(_request(draw, replica), _answer(draw))
    if kind < 0.75:
        where: Trigger = draw.choice((_request, _between))(draw, replica)
        return At(where, Die(after=draw.random() < 0.5))
    return At(_anywhere(draw, replica), _mishap(draw))


def _request(draw: random.Random, replica: int) -> Trigger:
    if draw.random() < 0.6:
        return Write(draw.randrange(WRITES), replica)
    return Ask(draw.randrange(ASKS), replica)


def _between(draw: random.Random, replica: int) -> Trigger:
    return Handle(draw.randrange(HANDLES), replica)


def _anywhere(draw: random.Random, replica: int) -> Trigger:
    kind = draw.random()
    if kind < 0.4:
        return Second(round(draw.uniform(0.0, SECONDS), 3), replica)
    return _between(draw, replica) if kind < 0.7 else _request(draw, replica)


def _answer(draw: random.Random) -> Answer:
    seconds = draw.choice((0.0, 0.0, 0.3, 3.0, 10.0))
    makers: list[Callable[[], Answer]] = [
        lambda: TimeoutDone(seconds=seconds),
        lambda: TimeoutDone(seconds=seconds),
        lambda: TimeoutNotDone(seconds=seconds),
        lambda: Delayed(seconds=draw.choice((0.01, 0.5, 5.0, 30.0))),
        lambda: Duplicated(seconds=draw.choice((0.0, 0.5, 5.0, 30.0))),
        lambda: Status(code=403, reason="Forbidden"),
        lambda: Status(code=409, reason="Conflict"),
        lambda: Status(code=422, reason="Invalid"),
        lambda: Status(code=429, reason="TooManyRequests", retry_after_seconds=draw.choice((None, 1, 5))),
        lambda: Status(code=500, reason="InternalError", done=draw.random() < 0.5),
        lambda: Stale(revisions=draw.choice((1, 5, 30))),
        lambda: Status(code=503, reason="ServiceUnavailable"),
        lambda: Status(code=504, reason="Timeout", done=draw.random() < 0.5),
    ]
    return draw.choice(makers)()


def _mishap(draw: random.Random) -> Strike:
    plural = draw.choice(PLURALS)
    makers: list[Callable[[], Strike]] = [
        lambda: Freeze(draw.choice((0.5, 5.0, 20.0, 60.0))),
        lambda: Freeze(draw.choice((0.5, 5.0, 20.0, 60.0))),
        lambda: JumpClock(draw.choice((-60_000, -1_500, 1_500, 60_000))),
        lambda: CutOff(draw.choice((0.5, 5.0, 30.0))),
        lambda: EndWatch(plural, draw.choice(list(End))),
        lambda: ExpireWatch(plural),
        lambda: SlowWatch(plural, draw.choice((0.5, 5.0, 30.0))),
        lambda: RepeatWatch(plural, draw.randint(1, 5)),
        lambda: EditWorkflow(draw.randrange(4)),
        lambda: Quota(
            draw.choice(("configmaps", "jobs.batch", "persistentvolumeclaims")), draw.choice((0.5, 5.0, 30.0))
        ),
        Compact,
    ]
    return draw.choice(makers)()


def _third_party(draw: random.Random) -> Strike:
    pick = draw.randrange(8)
    makers: list[Callable[[], Strike]] = [
        lambda: DeleteJob(pick, draw.choice(("Background", "Foreground", "Orphan"))),
        lambda: DeletePod(pick, force=draw.random() < 0.5),
        lambda: EvictPod(pick),
        lambda: SuspendJob(pick, draw.choice((0.5, 5.0, 30.0))),
        lambda: LoseNode(draw.choice((5.0, 60.0, 500.0))),
        lambda: DeleteWorkflow(pick, draw.choice(("Background", "Foreground"))),
    ]
    return draw.choice(makers)()


def _tampering(draw: random.Random) -> Strike:
    pick = draw.randrange(1_000)
    makers: list[Callable[[], Strike]] = [
        lambda: EditHead(pick, draw.choice(("meta", "tail", "digest"))),
        lambda: CutLog(pick, draw.choice((1, 1, 2, 3, 5))),
        lambda: DeleteFromLog(pick, draw.choice(("head", "part"))),
        lambda: ReplaceChunk(pick),
        lambda: RestoreEtcd(draw.choice((1, 3, 10, 30, 100)), draw.choice((0.0, 0.0, 5.0, 60.0))),
    ]
    return draw.choice(makers)()
