"""Why a step waits, was skipped, has failed or runs: one answer, and the facts that it rests on.

Promises: pure; total over the phases; the answer comes from the log wherever the log knows it, and from the cluster for
what only the cluster knows (images, nodes, quotas); every line is printable. Must never read a cluster, nor guess: what
nothing explains is said to be so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kipu.api.durations import for_people, timestamp
from kipu.core.definition import Kind, RunWhen
from kipu.core.events import SkipReason
from kipu.core.items import has_more
from kipu.core.lifecycle import TERMINAL_STEP_PHASES, StepPhase
from kipu.core.state import State, StepState
from kipu.core.texts import NOBODY_KNOWS
from kipu.shell.kube_views import JobView, PodView

from .details import clock, printable, some
from .pod_troubles import trouble
from .waits import Shown, because, counted, parallelism_full, skipped, unmet, why, with_phases

NOTICES_SHOWN_MAX = 5
HOLDERS_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A Kubernetes Event object about the attempt's Job or one of its pods."""

    about: str  # such as `Pod x`
    reason: str
    message: str
    warning: bool = False
    count: int = 1
    seen_at: int | None = None  # epoch milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the cluster shows of the step's newest attempt; `unread` says what could not be asked for."""

    job: JobView | None = None
    pods: tuple[PodView, ...] = ()
    notices: tuple[Notice, ...] = ()  # the newest last
    child: dict[str, Any] | None = None  # the status of its Workflow, if it is one
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Printable lines."""

    answer: str
    facts: tuple[str, ...] = field(default=())


def explain(
    workflow: str, state: State, place: int, said: Shown, sight: Sight, *, now: int, last_words: Sequence[str] = ()
) -> Explanation:
    """About the step or item at this place of the Workflow of this name.

    `now` is epoch milliseconds; `last_words` are the end of its log, as kept.
    """
    asked = _Asked(workflow, state, place, said, sight, now, last_words)
    return Explanation(
        answer=printable(f"step '{state.name(place)}' {asked.answer()}"),
        facts=tuple(printable(fact) for fact in asked.facts()),
    )


class _Asked:
    """One question."""

    def __init__(
        self,
        workflow: str,
        state: State,
        place: int,
        said: Shown,
        sight: Sight,
        now: int,
        last_words: Sequence[str],
    ) -> None:
        self._workflow = workflow
        self._state = state
        self._place = place
        self._said = said
        self._sight = sight
        self._now = now
        self._last_words = last_words
        self._step: StepState = state.steps[place]
        self._definition = state.step(place)

    # -- the answer ----------------------------------------------------------------------------------------

    def answer(self) -> str:
        step = self._step
        match step.phase:
            case StepPhase.PENDING:
                return self._pending()
            case StepPhase.SCHEDULED | StepPhase.RUNNING:
                return self._fan_out() if self._place in self._state.fanouts else self._under_way()
            case StepPhase.RETRYING:
                return self._retrying()
            case StepPhase.UNKNOWN:
                return f"waits for a person's word: {NOBODY_KNOWS} ({because(step)})"
            case StepPhase.SUSPENDED:
                return self._resting()
            case StepPhase.SUCCEEDED:
                elsewhere = step.attempt is None and step.started_at is None and self._place not in self._state.fanouts
                return "counts as done: it was adopted" if elsewhere else "has succeeded"
            case StepPhase.FAILED:
                return self._failed()
            case StepPhase.SKIPPED:
                return self._skipped()
            case StepPhase.CANCELLED:
                return f"was cancelled: {self._state.end_message or self._stopped()}"

    def _pending(self) -> str:
        state = self._state
        if state.stopping is not None:
            return f"will not start: {self._stopped()}"
        if self._place in state.doomed:
            return f"will be skipped, because of step '{state.doomed[self._place]}'"
        if places := unmet(state, self._place):
            needs = "dependency" if len(places) == 1 else "dependencies"
            return f"waits for {len(places)} {needs}: {with_phases(state, places)}"
        if self._place in state.held:
            return "is one of finally, and waits until all other steps are over"
        if state.suspended:
            return "may start, but the Workflow is suspended: spec.suspend is true"
        if state.fanout_of(self._place) is not None:
            return self._item()
        return f"may start, and waits for a place: {self._whose_place()}"

    def _item(self) -> str:
        """Of a fan-out that has begun it, and not yet this item."""
        fanout = self._state.fanout_of(self._place)
        for_each = self._definition.for_each
        assert fanout is not None
        assert for_each is not None
        if not has_more(fanout, for_each):
            return f"will not begin: its fan-out has stopped ({counted(fanout)})"
        ahead = self._place - fanout.base - fanout.begun
        if fanout.active >= for_each.parallelism:
            return (
                f"waits for a place: forEach.parallelism of its fan-out is {for_each.parallelism}; {ahead} items first"
            )
        return f"waits for a place: {self._whose_place()}; {ahead} items come first"

    def _whose_place(self) -> str:
        limit = parallelism_full(self._state)
        if limit is not None:
            return f"spec.parallelism of the Workflow is {limit}, and so many Jobs run"
        if " places of " in self._said.message:
            return self._said.message
        return "the Workflow's own parallelism has room, so it is the operator's turn (its bound on Jobs at once)"

    def _fan_out(self) -> str:
        fanout = self._state.fanouts[self._place]
        for_each = self._definition.for_each
        assert for_each is not None
        if not fanout.under_way and has_more(fanout, for_each):
            return f"has begun, and no item of it runs: they wait for a place ({self._whose_place()})"
        return f"is a fan-out under way: {counted(fanout)}"

    def _under_way(self) -> str:
        state, attempt = self._state, self._step.attempt
        assert attempt is not None
        told = self._said.waiting.get(f"{state.name(self._place)}/{attempt.number}", "")
        if self._place in state.leaving:
            ended = f"is being ended: attempt {attempt.number} was given up ({attempt.abandoned_message})"
            return f"{ended}, and something of it is still there" + (f": {told}" if told else "")
        if self._definition.kind is Kind.WORKFLOW:
            return self._child(attempt.job)
        found = trouble(self._sight.job, self._sight.pods, [n.message for n in self._sight.notices if n.warning], told)
        if found:
            return f"has not started: {found}"
        if self._step.phase is StepPhase.RUNNING:
            return f"runs: attempt {attempt.number}, {self._since(attempt.started_at)}"
        if told:
            return f"has not started: {told}"
        ago = for_people(self._now - attempt.scheduled_at)
        return f"was scheduled {ago} ago, and nothing is known to keep its pod from starting"

    def _child(self, name: str) -> str:
        child = self._sight.child
        if child is None:
            return f"waits for its Workflow '{name}', which is not to be seen yet"
        told = ", ".join(str(child[key]) for key in ("phase", "progress", "message") if child.get(key))
        return f"waits for its Workflow '{name}'" + (f": {told}" if told else "")

    def _retrying(self) -> str:
        due, last = self._step.retry_at, f"attempt {self._step.attempts} has failed: {because(self._step)}"
        if due is None:
            held = "the Workflow is suspended" if self._state.suspended else self._whose_place()
            return f"is to be tried again, and waits for a place: {held}; {last}"
        wait = f", in {for_people(due - self._now)}" if due > self._now else ""
        return f"backs off until {clock(due)}{wait}; {last}"

    def _resting(self) -> str:
        due = self._step.deadline
        if self._definition.approval is None:
            assert due is not None
            return f"waits for time to pass, until {clock(due)}"
        asked, until = self._definition.approval.message, f" (until {clock(due)})" if due is not None else ""
        return f"waits for somebody's approval{until}" + (f": {asked}" if asked else "")

    def _failed(self) -> str:
        tries = f" in attempt {self._step.attempts}" if self._step.attempts else ""
        code = self._step.exit_code
        final = code is not None and code in self._definition.retry.non_retryable_exit_codes
        ends = f"; exit code {code} is one of its nonRetryableExitCodes" if final else ""
        return f"has failed{tries}: {because(self._step)}{ends}"

    def _skipped(self) -> str:
        culprit = None if self._step.culprit is None else self._state.place_of(self._step.culprit)
        told = f"was skipped: {skipped(self._step)}"
        if self._step.reason is SkipReason.CONDITION_FALSE:
            return f"{told}: {self._definition.when}"
        if culprit is None or culprit == self._place:
            return told
        of = self._state.steps[culprit]
        return f"{told}, which is {of.phase}" + (f" ({because(of)})" if because(of) else "")

    def _stopped(self) -> str:
        if self._state.stopping is None:
            return f"step '{self._state.failing}' has failed" if self._state.failing else "it was asked for"
        mode = f" ({self._state.shutdown})" if self._state.shutdown else ""
        return f"the run is being ended: {self._state.stopping}{mode}"

    # -- the facts -----------------------------------------------------------------------------------------

    def facts(self) -> Iterator[str]:
        yield from self._of_definition()
        yield from self._of_holders()
        yield from self._of_attempt()
        yield from self._of_last_words()
        yield from self._of_what_to_do()
        yield from self._of_cluster()
        if self._said.message:
            yield f"the status says: {self._said.message}"
        yield from self._sight.unread

    def _of_definition(self) -> Iterator[str]:
        definition, state = self._definition, self._state
        if definition.depends_on:
            assert state.graph is not None
            yield f"depends on: {with_phases(state, [state.graph.index[need] for need in definition.depends_on])}"
        if definition.run_when is not RunWhen.ALL_SUCCEEDED:
            yield f"runWhen: {definition.run_when}"
        if definition.when is not None:
            yield f"when: {definition.when}"
        if definition.allow_failure:
            yield "allowFailure: its failure does not fail the Workflow"

    def _of_holders(self) -> Iterator[str]:
        """What it waits for in the end, through any number of steps that only wait, too."""
        if self._step.phase is not StepPhase.PENDING:
            return
        direct, told = unmet(self._state, self._place), []
        for holder in _holders(self._state, self._place):
            said = why(self._state, holder, self._said, now=self._now)
            if said or holder not in direct:  # the answer has named the others already
                told.append((self._state.name(holder), self._state.steps[holder].phase, said))
        for name, phase, said in told[:HOLDERS_SHOWN_MAX]:
            yield f"in the end for: {name} ({phase}{f', {said}' if said else ''})"
        if len(told) > HOLDERS_SHOWN_MAX:
            yield f"and for: {some([name for name, _, _ in told[HOLDERS_SHOWN_MAX:]])}"

    def _of_attempt(self) -> Iterator[str]:
        attempt, retry = self._step.attempt, self._definition.retry
        if attempt is None:
            return
        used = f"{self._step.failures} failed, {self._step.disruptions} disrupted"
        yield f"attempt {attempt.number}, of at most {retry.max_attempts} (disruptions aside): {used}"
        kind = "Workflow" if self._definition.kind is Kind.WORKFLOW else "Job"
        yield f"{kind} {attempt.job}, scheduled {clock(attempt.scheduled_at)} at position {attempt.position}"
        if attempt.pod:
            yield f"Pod {attempt.pod}" + (f" on {attempt.node}" if attempt.node else "")
        if self._step.phase not in TERMINAL_STEP_PHASES:
            for word, due in (
                ("must have started by", attempt.start_deadline if attempt.started_at is None else None),
                ("must end by", attempt.deadline),
                ("the step must end by", self._step.deadline),
            ):
                if due is not None:
                    yield f"{word} {timestamp(due)}"

    def _of_last_words(self) -> Iterator[str]:
        if self._last_words:
            yield f"what attempt {self._step.attempts} wrote ended so (the end alone was kept):"
            yield from (f"  | {line}" for line in self._last_words)

    def _of_what_to_do(self) -> Iterator[str]:
        step, phase = self._state.name(self._place), self._step.phase
        if phase is StepPhase.UNKNOWN:
            word = f"'kipu resolve {self._workflow} {step} Succeed' (or Fail, or Retry)"
            yield f"to do: find out whether it has, and then {word}"
        if phase is StepPhase.SUSPENDED and self._definition.approval is not None:
            yield f"to do: 'kipu approve {self._workflow} {step}', or with --decision Reject"
        if phase is StepPhase.FAILED and self._state.is_terminal and not self._definition.allow_failure:
            yield f"to do: mend what was wrong, and then 'kipu rerun {self._workflow}' (what has succeeded stays done)"
            yield "or, where the manifest was wrong, mend a copy: 'kipu salvage --help' says how to go on with that"

    def _of_cluster(self) -> Iterator[str]:
        for pod in self._sight.pods:
            yield f"Pod {pod.metadata.name}: {pod.status.phase}" + (
                f", {pod.status.reason}: {pod.status.message}" if pod.status.reason else ""
            )
        for notice in self._sight.notices[-NOTICES_SHOWN_MAX:]:
            seen = f"{for_people(self._now - notice.seen_at)} ago, " if notice.seen_at is not None else ""
            times = f" ({notice.count} times)" if notice.count > 1 else ""
            yield f"{seen}{notice.about}: {notice.reason}: {notice.message}{times}"

    def _since(self, time: int | None) -> str:
        return "" if time is None else f"since {for_people(self._now - time)}"


def _holders(state: State, place: int) -> list[int]:
    """The steps that are not over and wait for no other step, and for which this one waits through any number."""
    queue, seen = unmet(state, place), {place}
    found: list[int] = []
    for each in queue:  # grows while it is walked: at most all steps, since each is seen once
        if each in seen:
            continue
        seen.add(each)
        further = unmet(state, each) if state.steps[each].phase is StepPhase.PENDING else []
        queue += further
        if not further:
            found.append(each)
    return found
