"""What an actor hears of its Jobs, pods and children, made into commands: whose they are, and whether really gone.

Promises: only a Job, or child, that proves its intent (owner uid, position and hash of its StepScheduled) speaks for an
attempt; an absence is concluded only from a consistent read. Must never decide and never write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kipu.api.workspace import keeps_files
from kipu.core.commands import AttemptRef, ObserveMissing, ObserveStarted
from kipu.core.definition import Definition, Kind
from kipu.core.events import StepScheduled, WorkflowAccepted
from kipu.core.lifecycle import TERMINAL_STEP_PHASES
from kipu.core.naming import step_of
from kipu.core.state import State
from kipu.eventlog.ports import Recorded, StreamId

from . import child_observations, observations, witnesses
from .child_performer import ChildPerformer
from .kube_owned import RunView
from .kube_views import JobView
from .mailbox import Observation
from .observations import Promise
from .observer import Observer, Sighting
from .performer import Performer, until_read
from .settings import AdvanceOn

V = TypeVar("V")
Once = Callable[[str, Callable[[], Coroutine[Any, Any, None]]], None]  # begin this work unless it is under way


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What was decided last for a step."""

    text: str  # "position:hash" of the record
    job: str


@dataclass(slots=True)
class Expected:
    """An attempt that is live: thousands of them run at once."""

    ref: AttemptRef
    told: Observation | None = None  # last of it


class Lookout:
    """Of one session. `tell` takes the commands, `remind` repeated ones; `once` runs what has to wait for a read."""

    def __init__(
        self,
        stream: StreamId,
        performer: Performer,
        observer: Observer,
        children: ChildPerformer,
        *,
        advance_on: AdvanceOn,
        tell: Callable[[Observation], None],
        remind: Callable[[Observation], None],
        once: Once,
    ) -> None:
        self._stream = stream
        self._performer = performer
        self._observer = observer
        self._children = children
        self._advance_on = advance_on
        self._tell = tell
        self._remind = remind
        self._once = once
        self._nested: set[str] = set()  # the sub-workflow steps
        self._promises: dict[str, Promise] = {}  # by step, of those that have made one
        self._intents: dict[str, Intent] = {}  # step -> that of its newest StepScheduled; not of items that are over
        self._recorded: dict[int, str] | None = {}  # the hash of every StepScheduled; None once they were checked
        self._expected: dict[str, Expected] = {}  # by Job name: the attempts that are live

    # -- whose Job it is -----------------------------------------------------------------------------

    def remember(self, records: Iterable[Recorded]) -> None:
        """Keep the (position, hash) of each intent: what proves that a Job is this attempt's; and what is promised."""
        for record in records:
            if isinstance(record.event, WorkflowAccepted):
                definition = record.event.definition
                self._promises = _promises(definition)
                self._nested = {step.name for step in definition.steps if step.kind is Kind.WORKFLOW}
            if isinstance(record.event, StepScheduled):
                text = f"{record.position}:{record.hash}"
                self._intents[record.event.step] = Intent(text=text, job=record.event.job)
                if self._recorded is not None:
                    self._recorded[record.position] = record.hash

    def check(self, known: Mapping[str, Sighting]) -> None:
        """Whether this log has asked for every Job that is there. Raises HistoryRollback."""
        assert self._recorded is not None
        witnesses.check_intents(known, self._stream.uid, self._recorded)
        self._recorded = None

    def intent_of(self, step: str) -> str:
        """Of the step's newest attempt. Raises KeyError if it has none."""
        return self._intents[step].text

    def job_of(self, step: str) -> str | None:
        """The Job of the step's newest attempt."""
        intent = self._intents.get(step)
        return None if intent is None else intent.job

    def settled(self, state: State) -> None:
        """Of items that are over nothing is remembered: there are thousands."""
        for step in list(self._intents):
            self._settle(state, step)

    def over(self, state: State, step: str, job: str) -> None:
        """This attempt of the step is over for good, and that is recorded: it is looked at no more."""
        self._observer.over(self._stream.uid, job)
        self._settle(state, step)

    def _settle(self, state: State, step: str) -> None:
        place = state.place_of(step)
        if place is not None and state.fanout_of(place) and state.steps[place].phase in TERMINAL_STEP_PHASES:
            self._intents.pop(step, None)

    def expect(self, job: str, ref: AttemptRef) -> None:
        """This attempt is live: its Job is missed when it goes."""
        self._expected.setdefault(job, Expected(ref))

    def forget(self, job: str) -> None:
        """The attempt is over or given up."""
        self._expected.pop(job, None)

    # -- what was seen -------------------------------------------------------------------------------

    def sighted(self, name: str, sighting: Sighting, gone: bool) -> None:
        """A Job of ours, one of its pods, or a child changed."""
        expected = self._expected.get(name)
        if gone and expected is not None:
            self._verify(name, expected.ref)
        if (child := sighting.child) is not None and self._intended(child) is not None:
            told = child_observations.observe(child)
            if told is not None:
                self._say(name, told)
        job = sighting.job
        if job is None or (ref := self._intended(job)) is None:
            return
        self._share_intent(ref.step, job)
        if _has_started(expected) and observations.ends_with_its_job(job):
            return  # thousands of pods may be to come, and each would be compared with all
        promise = self._promises.get(step_of(ref.step), observations.NOTHING)
        if observations.needs_pods(job, sighting.pods, promise):
            self._once(f"{name}/pods", lambda: self._inspect(job, promise))
            return
        on_pod = self._advance_on is AdvanceOn.POD
        seen = observations.observe(job, sighting.pods, advance_on_pod=on_pod, promise=promise)
        if seen is not None:
            self._say(name, seen)

    def _say(self, name: str, seen: Observation) -> None:
        """At once what is new of a live attempt. An end is seen three times: by its pod, a finalizer and its Job."""
        expected = self._expected.get(name)
        if expected is None or expected.told == seen:
            self._remind(seen)
        else:
            # Kept while the attempt runs, as thousands do: whose it is stands there already.
            seen = replace(seen, ref=expected.ref) if seen.ref == expected.ref else seen
            expected.told = seen
            self._tell(seen)

    def seek_missing(self, state: State, known: Mapping[str, Sighting]) -> None:
        """Attempts that were seen running once, and whose Job no list shows."""
        for place in state.live:
            attempt = state.steps[place].attempt
            assert attempt is not None
            ref = AttemptRef(run=state.run, step=state.name(place), attempt=attempt.number)
            self.expect(attempt.job, ref)
            sighting = known.get(attempt.job)
            is_seen = sighting is not None and (sighting.child if self._is_nested(ref) else sighting.job) is not None
            if attempt.job_uid is not None and not is_seen:
                self._verify(attempt.job, ref)

    def _is_nested(self, ref: AttemptRef) -> bool:
        return step_of(ref.step) in self._nested

    def _intended(self, job: JobView | RunView) -> AttemptRef | None:
        """The attempt for which it speaks, if it is the one that was asked for."""
        ref = observations.attempt_of(job)
        intent = None if ref is None else self._intents.get(ref.step)
        is_intended = (
            intent is not None
            and ref is not None
            and self._is_nested(ref) is isinstance(job, RunView)
            and observations.is_owned(job, self._stream.uid)
            and observations.intent_of(job) == intent.text
            and not observations.is_placeholder(job)
        )
        return ref if is_intended else None

    def _share_intent(self, step: str, job: JobView) -> None:
        """Thousands are kept: one text each, and not an equal one beside it."""
        intent, text = self._intents[step], observations.intent_of(job)
        if intent.text is not text:
            self._intents[step] = Intent(text=text, job=intent.job)

    async def _inspect(self, job: JobView, promise: Promise) -> None:
        """The Job failed and the watch of pods does not say how: a consistent list decides."""
        pods = await until_read(lambda: self._performer.pods_of(self._stream.namespace, job.metadata.uid))
        seen = observations.observe(job, pods, advance_on_pod=False, promise=promise)
        if seen is not None:
            self._say(job.metadata.name, seen)

    def _verify(self, name: str, ref: AttemptRef) -> None:
        if self._is_nested(ref):
            read, saw = self._children.standing, self._observer.saw_child
            self._once(f"{name}/verify", lambda: self._verify_missing(name, ref, read, saw))
        else:
            self._once(
                f"{name}/verify",
                lambda: self._verify_missing(name, ref, self._performer.standing, self._observer.saw_job),
            )

    async def _verify_missing(
        self, name: str, ref: AttemptRef, read: Callable[[str, str], Awaitable[V | None]], saw: Callable[[V], None]
    ) -> None:
        """Absence is concluded only from a consistent read."""
        view = await until_read(lambda: read(self._stream.namespace, name))
        if view is None:
            self._tell(ObserveMissing(ref=ref))
        else:
            saw(view)


def _has_started(expected: Expected | None) -> bool:
    """Whether this was told of the attempt last: it runs, and its end is all that is to come."""
    told = None if expected is None else expected.told
    return isinstance(told, ObserveStarted) and not told.is_awaited


def _promises(definition: Definition) -> dict[str, Promise]:
    made = {step.name: Promise(outputs=step.outputs, files=keeps_files(definition, step)) for step in definition.steps}
    return {step: promise for step, promise in made.items() if promise.is_any}
