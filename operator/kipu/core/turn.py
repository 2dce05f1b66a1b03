"""One turn under way: the state with the events so far folded in, and what is left of the turn's bounds.

Promises: all events of a turn fit one append. Its bound is a batch of 512 KiB (docs/event-log.md):

    COMMANDS_PER_TURN_MAX   100 x (AttemptFailed + StepFailed); tails, outputs by weight  at most 2.9 KiB = 290 KiB
    TIMERS_PER_TURN_MAX     100 x (TimerFired + AttemptAbandoned or StepFailed)      at most 0.7 KiB =  70 KiB
    ATTEMPTS_PER_TURN_MAX   200 x (StepScheduled, AttemptAbandoned, WaitStarted, ApprovalRequested), or as much of
                            StepEvaluated, or of StepFailed for an expression        at most 0.4 KiB =  80 KiB
                            (five make room for the StepFailed of a fan-out)
    NAMES_PER_TURN_MAX    1,000 x a step's name in StepsSkipped or StepsCancelled    at most 72 B    =  71 KiB
    ADOPTIONS_PER_TURN_MAX  500 x StepAdopted                                        at most 0.4 KiB = 200 KiB

Adoptions come before the first attempt, so that such a turn has nothing of the first two lines.

Must never decide: it only knows how each fact is written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from .commands import AttemptRef
from .events import (
    STEPS_PER_RECORD_MAX,
    AttemptAbandoned,
    Event,
    Reason,
    SkipReason,
    StepAdopted,
    StepCompleted,
    StepFailed,
    StepsCancelled,
    StepsSkipped,
)
from .evolve import evolve
from .language import Evaluate, nothing_to_evaluate
from .state import Attempt, State

COMMANDS_PER_TURN_MAX = 100
TIMERS_PER_TURN_MAX = 100
ATTEMPTS_PER_TURN_MAX = 200
NAMES_PER_TURN_MAX = 1_000
ADOPTIONS_PER_TURN_MAX = 500
ATTEMPT_BYTES = 400  # of a StepScheduled
ITEMS_INLINE_BYTES_MAX = 8 * 1024  # of the items of a fan-out in its record; more of them stand in a blob (codec)
NAMES_PER_FRAME = 5  # what a record costs besides its names: 5 x 72 B


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the workflow is: part of every Job name and of the jitter's key."""

    name: str
    uid: str


@dataclass(slots=True, kw_only=True)
class Turn:
    """What `decide` works on. `now` is epoch milliseconds; `slots` is how many Jobs the operator would take."""

    state: State
    identity: Identity
    now: int
    slots: int
    evaluate: Evaluate = nothing_to_evaluate
    events: list[Event] = field(default_factory=list)
    attempts_left: int = ATTEMPTS_PER_TURN_MAX
    names_left: int = NAMES_PER_TURN_MAX
    adoptions_left: int = ADOPTIONS_PER_TURN_MAX

    @property
    def is_open(self) -> bool:
        """Whether there is anything to decide: accepted, and not at its end."""
        return self.state.definition is not None and not self.state.is_terminal

    def record(self, event: Event) -> None:
        """The only way anything changes."""
        self.state = evolve(self.state, event, ts=self.now)
        self.events.append(event)

    # -- facts that several decisions end in -----------------------------------------------------------

    def abandon(self, place: int, reason: Reason, message: str) -> None:
        """Give the step's live attempt up."""
        name, number = self.state.name(place), self.attempt(place).number
        run = self.state.run
        self.record(AttemptAbandoned(run=run, step=name, attempt=number, reason=reason, message=message))

    def fail_step(self, place: int, reason: Reason, message: str) -> None:
        """No further attempt."""
        self.record(StepFailed(run=self.state.run, step=self.state.name(place), reason=reason, message=message))

    def complete(self, place: int) -> None:
        """Done, without an attempt."""
        self.record(StepCompleted(run=self.state.run, step=self.state.step(place).name))

    def skip(self, places: Iterable[int], culprit: str, reason: SkipReason) -> None:
        """Pending steps never run, as far as the turn has room."""
        for names in self._windows(places):
            self.record(StepsSkipped(run=self.state.run, steps=names, culprit=culprit, reason=reason))

    def cancel(self, places: Iterable[int]) -> None:
        """Steps without a Job end, as far as the turn has room."""
        for names in self._windows(places):
            self.record(StepsCancelled(run=self.state.run, steps=names))

    def adopt(self) -> None:
        """Steps of another log count as done, as far as the turn has room."""
        state = self.state
        if not state.unadopted:
            return
        assert state.definition is not None
        assert state.definition.adopt is not None
        source = state.definition.adopt
        for step in list(islice(state.unadopted.values(), self.adoptions_left)):
            self.adoptions_left -= 1
            self.record(
                StepAdopted(
                    run=state.run,
                    step=step.name,
                    source_uid=source.workflow_uid,
                    source_run=source.run,
                    source_position=step.position,
                    source_hash=step.hash,
                )
            )

    def _windows(self, places: Iterable[int]) -> Iterator[tuple[str, ...]]:
        # A copy, since folding each record takes its steps out of the index that `places` may be.
        rest = iter(list(islice(places, max(0, self.names_left))))
        while window := list(islice(rest, min(STEPS_PER_RECORD_MAX, max(0, self.names_left)))):
            self.names_left -= len(window) + NAMES_PER_FRAME
            yield tuple(self.state.name(place) for place in window)

    # -- questions -------------------------------------------------------------------------------------

    def current(self, ref: AttemptRef) -> int | None:
        """The place of the step whose live, newest attempt this is; None if it is old news."""
        place = self.state.place_of(ref.step)
        return place if place in self.state.live and self.is_newest(place, ref) else None

    def is_newest(self, place: int, ref: AttemptRef) -> bool:
        """Whether no later attempt or run has come since."""
        return ref.run == self.state.run and ref.attempt == self.state.steps[place].attempts

    def attempt(self, place: int) -> Attempt:
        """The newest attempt of a step that has one."""
        attempt = self.state.steps[place].attempt
        assert attempt is not None
        return attempt
