"""A log as a long run leaves it, written by Kipu's own core and its own log while no operator runs.

Promises: every event is one that `decide` gave to commands as an operator would give them, in commits of at most 200 of
them and a few more; at its end nothing is under way, and what is left has only to be scheduled. Its times are in the
past, and never fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.manifests import JsonObject
from kipu.api import definition
from kipu.api.evaluation import Evaluator
from kipu.core.commands import Accept, AttemptRef, Claim, Command, FireTimers, ObserveOutcome
from kipu.core.decide import Identity, decide
from kipu.core.events import Event, Reason
from kipu.core.state import State
from kipu.eventlog.ports import EventLog, Head, StreamId

from .manifests import ATTEMPTS

UNDER_WAY = 100  # items at once: a turn takes so many outcomes, fires so many timers
EVENTS_PER_ITEM = 3 * (ATTEMPTS - 1) + 2  # scheduled, failed, timer; at last scheduled, succeeded
WRITER = "bench-trials"


def items_for(events: int) -> int:
    """How many items have to be over for so many events, at least."""
    return -(-events // EVENTS_PER_ITEM)


class History:
    """Of one Workflow, turn by turn."""

    def __init__(self, spec: JsonObject, stream: StreamId, begun_ms: int) -> None:
        self.state = State()
        self.now = begun_ms
        self._spec = spec
        self._identity = Identity(name=stream.name, uid=stream.uid)
        self._evaluate = Evaluator(namespace=stream.namespace, name=stream.name, uid=stream.uid)

    def turns(self, items: int) -> Iterator[list[Event]]:
        """What each commit holds, until so many items are over. Its time is `now`, meanwhile."""
        windows = [min(UNDER_WAY, items - begun) for begun in range(0, items, UNDER_WAY)]
        spec_hash, parsed = definition.spec_hash(self._spec), definition.parse(self._spec)
        yield self._turn([Claim(writer=WRITER), Accept(spec_hash=spec_hash, definition=parsed)], slots=windows[0])
        for window, following in zip(windows, [*windows[1:], 0], strict=True):
            for _ in range(ATTEMPTS - 1):
                yield self._turn(self._outcomes(Reason.EXIT_CODE), slots=0)
                yield self._turn([FireTimers()], slots=window)
            yield self._turn(self._outcomes(None), slots=following)

    def _turn(self, commands: Sequence[Command], *, slots: int) -> list[Event]:
        self.now += 1  # the shortest backoff there is
        self.state, events = decide(
            self.state, commands, identity=self._identity, now=self.now, slots=slots, evaluate=self._evaluate
        )
        return events

    def _outcomes(self, reason: Reason | None) -> list[Command]:
        """All that is under way ends so."""
        return [self._outcome(place, reason) for place in self.state.live]

    def _outcome(self, place: int, reason: Reason | None) -> ObserveOutcome:
        attempt = self.state.steps[place].attempt
        assert attempt is not None
        return ObserveOutcome(
            ref=AttemptRef(run=self.state.run, step=self.state.name(place), attempt=attempt.number),
            job_uid=f"{place:08x}-0000-4000-8000-{attempt.number:012x}",
            reason=reason,
            message="" if reason is None else "exit code 1",
            exit_code=0 if reason is None else 1,
            started_at=self.now,
            finished_at=self.now,
            pod=f"{attempt.job}-x7k2p",
            node="fake-0",
        )


async def write(log: EventLog, stream: StreamId, history: History, items: int) -> Head:
    """All of it, with the care that an operator takes of a log. Returns its end."""
    head: Head | None = None
    for events in history.turns(items):
        head, _ = await log.append(stream, head, events, ts=history.now, spec_hash=history.state.spec_hash)
        if head.superseded:
            await log.sweep(stream, head)
    assert head is not None
    return head
