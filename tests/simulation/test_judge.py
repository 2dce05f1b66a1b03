"""The judge can fail: for each invariant a history or a world in which it does not hold, and is said not to hold."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from kipu.core.definition import Backoff, Definition, ForEach, OnFailure, Retry, Step
from kipu.core.events import (
    AttemptAbandoned,
    AttemptFailed,
    Event,
    Reason,
    StepCompleted,
    StepExpanded,
    StepFailed,
    StepScheduled,
    StepStarted,
    StepSucceeded,
    WorkflowAccepted,
    WorkflowEnd,
    WorkflowFinished,
)
from kipu.eventlog.ports import Recorded
from kipu.shell.kube_http import Request
from tests.fakes.faults import Fault
from tests.fakes.nodes import Execution, Program
from tests.simulation import invariants
from tests.simulation.case import Case
from tests.simulation.compare import Baselines, i15_the_outcome_is_that_of_a_run_without_faults
from tests.simulation.ending import Ending
from tests.simulation.ledger import Breach
from tests.simulation.replica import Replica
from tests.simulation.scenario import FOREVER_SECONDS, Plan, Scenario, spec, step
from tests.simulation.scenarios import DIAMOND
from tests.simulation.script import At, Harm, Second
from tests.simulation.story import Story
from tests.simulation.third_parties import DeleteWorkflow
from tests.simulation.world import World, run

pytestmark = pytest.mark.simulation

STEPS = (
    Step(name="a", retry=Retry(max_attempts=2, backoff=Backoff())),
    Step(name="b", depends_on=("a",)),
    Step(name="c"),
    Step(name="d", for_each=ForEach(count=3, parallelism=1), retry=Retry(max_attempts=2, backoff=Backoff())),
)
DEFINITION = Definition(steps=STEPS, on_failure=OnFailure.FINISH_RUNNING)
JOB = {"metadata": {"name": "w-a", "annotations": {"kipu.dev/intent": "2:2"}}}


# -- of the log --------------------------------------------------------------------------------------------


def told(*events: Event) -> Story:
    """A story; each record's hash is its position."""
    story = Story()
    first = WorkflowAccepted(run=1, spec_hash="h", definition=DEFINITION)
    for position, event in enumerate((first, *events), start=1):
        story.tell(record(event, position))
    return story


def record(event: Event, position: int = 99, ts: int = 1_000) -> Recorded:
    return Recorded(position=position, epoch=1, ts=ts, hash=str(position), event=event)


def scheduled(step: str = "a", attempt: int = 1) -> StepScheduled:
    return StepScheduled(run=1, step=step, attempt=attempt, job=f"w-{step}")


def succeeded(step: str = "a", attempt: int = 1) -> StepSucceeded:
    return StepSucceeded(run=1, step=step, attempt=attempt, job_uid="u")


def failed(step: str = "a", attempt: int = 1, **more: Any) -> AttemptFailed:
    return AttemptFailed(run=1, step=step, attempt=attempt, reason=Reason.EXIT_CODE, **more)


def finished(end: WorkflowEnd = WorkflowEnd.SUCCEEDED) -> WorkflowFinished:
    return WorkflowFinished(run=1, end=end, reason="Completed")


EXPANDED = StepExpanded(run=1, step="d", count=3)
ITEMS_FAILED = StepFailed(run=1, step="d", reason=Reason.ITEMS_FAILED)
ITEM_FAILED = (scheduled("d[0]"), failed("d[0]"), StepFailed(run=1, step="d[0]", reason=Reason.EXIT_CODE))
COMPLETED = StepCompleted(run=1, step="d")
BROKEN_HISTORIES: dict[str, tuple[str, Story, Event]] = {
    "a step succeeds twice": ("I4", told(scheduled(), succeeded()), succeeded()),
    "a step is tried after its success": ("I5", told(scheduled(), succeeded()), scheduled(attempt=2)),
    "a step starts after its success": (
        "I5",
        told(scheduled(), succeeded()),
        StepStarted(run=1, step="a", attempt=1, job_uid="u", started_at=1),
    ),
    "something follows the end": ("I6", told(finished()), scheduled()),
    "something follows the end of a step": (
        "I6",
        told(scheduled(), failed(), StepFailed(run=1, step="a", reason=Reason.EXIT_CODE)),
        failed(),
    ),
    "an attempt begins while another is open": ("I8", told(scheduled()), scheduled(attempt=2)),
    "an attempt is left out": ("I8", told(scheduled(), failed(retry_at=1)), scheduled(attempt=3)),
    "a step starts before its need has ended": ("I9", told(scheduled()), scheduled("b")),
    "a step starts after another has failed": (
        "I9",
        told(scheduled(), failed(), StepFailed(run=1, step="a", reason=Reason.EXIT_CODE)),
        scheduled("c"),
    ),
    "a third attempt of two": ("I10", told(scheduled(), failed(retry_at=1), scheduled(attempt=2)), failed(retry_at=2)),
    "a retry before its backoff": ("I10", told(scheduled(), failed(retry_at=2_000)), scheduled(attempt=2)),
    "an item succeeds twice": ("I4", told(EXPANDED, scheduled("d[0]"), succeeded("d[0]")), succeeded("d[0]")),
    "an item runs twice": ("I5", told(EXPANDED, scheduled("d[0]"), succeeded("d[0]")), scheduled("d[0]", 2)),
    "an item of a step that has ended": ("I5", told(EXPANDED, ITEMS_FAILED), scheduled("d[0]")),
    "two attempts of an item": ("I8", told(EXPANDED, scheduled("d[0]")), scheduled("d[0]", 2)),
    "an item before its step": ("I9", told(), scheduled("d[0]")),
    "an item that there is not": ("I9", told(EXPANDED), scheduled("d[3]")),
    "a fan-out that runs itself": ("I9", told(EXPANDED), scheduled("d")),
    "items beside each other": ("I9", told(EXPANDED, scheduled("d[0]")), scheduled("d[1]")),
    "an item after too many failures": ("I9", told(EXPANDED, *ITEM_FAILED), scheduled("d[1]")),
    "a fan-out that ends before its items": ("I9", told(EXPANDED, scheduled("d[0]")), ITEMS_FAILED),
    "a fan-out that forgets items": ("I9", told(EXPANDED, scheduled("d[0]"), succeeded("d[0]")), COMPLETED),
    "a fan-out that fails without failures": ("I9", told(EXPANDED, scheduled("d[0]"), succeeded("d[0]")), ITEMS_FAILED),
    "an item beyond its attempts": (
        "I10",
        told(EXPANDED, scheduled("d[0]"), failed("d[0]", retry_at=1), scheduled("d[0]", 2)),
        failed("d[0]", 2, retry_at=2),
    ),
    "an end while an attempt is open": ("I11", told(scheduled()), finished()),
}


@pytest.mark.parametrize("name", BROKEN_HISTORIES)
def test_a_history_that_breaks_a_rule_is_found_by_that_rule(name: str) -> None:
    invariant, story, event = BROKEN_HISTORIES[name]
    said = {each: [rule(story, record(event)) for rule in rules] for each, rules in invariants.RULES.items()}
    assert any(said[invariant])


def test_a_history_that_breaks_no_rule_is_left_alone() -> None:
    story = told()
    events: list[Event] = [
        scheduled(),
        scheduled("c"),
        failed(retry_at=1_000),
        scheduled(attempt=2),
        succeeded("c"),
        succeeded("a", 2),
        EXPANDED,
        *(event for index in range(3) for event in (scheduled(f"d[{index}]"), succeeded(f"d[{index}]"))),
        COMPLETED,
    ]
    for position, event in enumerate([*events, scheduled("b"), succeeded("b"), finished()], start=2):
        said = [rule(story, record(event, position)) for rules in invariants.RULES.values() for rule in rules]
        assert not any(said)
        story.tell(record(event, position))


# -- of the cluster ----------------------------------------------------------------------------------------


def execution(attempt: str = "1", ended: int | None = None) -> Execution:
    return Execution(
        namespace="default",
        workflow_uid="u",
        run="1",
        step="a",
        attempt=attempt,
        job="w-a",
        job_uid="j",
        pod="p",
        pod_uid="p",
        started=1,
        ended=ended,
    )


def test_i7_a_job_that_no_record_asks_for_is_found() -> None:
    assert invariants.i7_a_job_has_a_committed_intent(told(), JOB)
    assert invariants.i7_a_job_has_a_committed_intent(told(scheduled()), JOB) is None


def test_i7_a_placeholder_of_an_attempt_that_was_not_given_up_is_found() -> None:
    placeholder = copy.deepcopy(JOB)
    placeholder["metadata"]["annotations"]["kipu.dev/placeholder"] = "true"  # type: ignore[index]
    given_up = AttemptAbandoned(run=1, step="a", attempt=1, reason=Reason.LOST)
    assert invariants.i7_a_job_has_a_committed_intent(told(scheduled()), placeholder)
    assert invariants.i7_a_job_has_a_committed_intent(told(scheduled(), given_up), placeholder) is None


def test_i8_two_attempts_that_run_at_once_are_found() -> None:
    assert invariants.i8_one_attempt_runs_at_once(execution("2"), [execution("1")])
    assert invariants.i8_one_attempt_runs_at_once(execution("2"), [execution("1", ended=2)]) is None


def test_i5_a_program_that_is_started_after_its_steps_success_is_found() -> None:
    assert invariants.i5_nothing_runs_after_success(told(scheduled(), succeeded()), execution("2"))
    assert invariants.i5_nothing_runs_after_success(told(scheduled()), execution()) is None


def test_i11_what_runs_at_the_end_or_begins_after_it_is_found() -> None:
    assert invariants.i11_nothing_runs_at_the_end([execution()])
    assert invariants.i11_nothing_starts_after_the_end(told(finished()), execution())
    assert invariants.i11_no_job_after_the_end(told(finished()), JOB)


def test_i13_files_of_a_pod_that_has_not_ended_well_or_is_another_attempts_are_found() -> None:
    event = replace(succeeded(), pod_uid="p")
    well, ill = replace(execution(ended=2), exit_code=0), replace(execution(ended=2), exit_code=137)
    assert invariants.i13_the_winner_has_ended_well(event, [well]) is None
    assert invariants.i13_the_winner_has_ended_well(event, [ill, well]) is None  # brought back by a restore, run again
    for executions in ([], [ill], [execution()], [well, ill], [replace(well, attempt="2")], [replace(well, step="b")]):
        assert invariants.i13_the_winner_has_ended_well(event, executions)


def case_of(*events: Event) -> Case:
    case = Case({"metadata": {"name": "w", "uid": "u"}}, lambda name: None)
    case.story = told(*events)
    case.ledger.records = [record(scheduled(), position) for position in (1, 2)]
    return case


def test_i20_who_acts_before_its_claim_is_found() -> None:
    case = case_of(scheduled())
    case.ledger.writers.add("a1")
    assert invariants.i20_a_claim_comes_first("a2", case, JOB)
    assert invariants.i20_a_claim_comes_first("a1", case, JOB) is None


def test_i19_who_goes_on_after_it_said_that_it_stops_is_found() -> None:
    case = case_of()
    case.stalled_by.add("a1")
    assert invariants.i19_a_stop_is_a_stop("a1", case, "writes")


def test_i19_who_writes_over_a_log_that_somebody_has_changed_is_found() -> None:
    case = case_of()
    case.is_readable = False
    with pytest.raises(Breach, match="I19"):
        case.read_head({})


@pytest.mark.parametrize(
    ("status", "intents"),
    [
        ({"log": {"position": 3, "hash": "3"}}, {}),
        ({"log": {"position": 2, "hash": "another"}}, {}),
        ({}, {"w-a": "5:5"}),
    ],
)
def test_i19_who_ignores_a_witness_is_found(status: dict[str, Any], intents: dict[str, str]) -> None:
    assert invariants.i19_no_witness_is_ignored(case_of(scheduled()), status, intents)


# -- whole runs in a world that was broken -----------------------------------------------------------------


@dataclass(frozen=True)
class Break:
    """Something that no fault of a script does: the world is made to be wrong, and the auditor is not told."""

    do: Callable[[World, Replica], object]
    harm: ClassVar[Harm] = Harm.NONE

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        self.do(world, replica)
        return None


def head_name(world: World) -> str:
    return next(iter(world.auditor.cases.values())).head_name


def delete_head(world: World, _replica: Replica) -> None:
    world.server.delete("configmaps", "default", head_name(world))


def edit_head(world: World, _replica: Replica) -> None:
    def edited(body: dict[str, Any]) -> dict[str, Any]:
        return body | {"data": body["data"] | {"tail": body["data"]["tail"] + "x"}}

    world.server.update("configmaps", "default", head_name(world), edited)


def rewind_head(world: World, _replica: Replica) -> None:
    old = next(iter(world.auditor.cases.values())).heads[0]
    world.server.update("configmaps", "default", head_name(world), lambda body: body | {"data": dict(old)})


def forget_an_event(world: World, replica: Replica) -> None:
    actor = next(iter(replica.engine._entries.values())).actor
    assert actor is not None
    actor.state.end_reason = "something that no event has said"


def leave_something(world: World, _replica: Replica) -> None:
    uid = next(iter(world.auditor.cases))
    labels = {"kipu.dev/workflow-uid": uid}
    world.server.create({"kind": "ConfigMap", "metadata": {"name": "left", "labels": labels}})


def hammer(world: World, replica: Replica) -> None:
    for _ in range(1_000):
        world.server.answer(replica.lane, Request(method="DELETE", path="/api/v1/namespaces/default/configmaps/none"))


def never_come_back(world: World, replica: Replica) -> None:
    replica.start = lambda: None  # type: ignore[method-assign]
    replica.kill(replica.lane)


def show_another_status(world: World, _replica: Replica) -> None:
    def shown(body: dict[str, Any]) -> dict[str, Any]:
        return body | {"status": body["status"] | {"progress": "7/7"}}

    world.server.update("workflows", "default", DIAMOND.name, shown, status=True)


def show_another_phase(world: World, _replica: Replica) -> None:
    def shown(body: dict[str, Any]) -> dict[str, Any]:
        return body | {"status": body["status"] | {"phase": "Failed"}}

    world.server.update("workflows", "default", DIAMOND.name, shown, status=True)


BROKEN_WORLDS: dict[str, tuple[str, tuple[At, ...]]] = {
    "the head is deleted": ("I1", (At(Second(2.0), Break(delete_head)),)),
    "the head is edited": ("I2", (At(Second(2.0), Break(edit_head)),)),
    "the head is what it was": ("I3", (At(Second(2.0), Break(rewind_head)),)),
    "something is left": ("I12", (At(Second(2.0), DeleteWorkflow(0)), At(Second(3.0), Break(leave_something)))),
    "the status is not the log's, at the end": ("I14", (At(Second(6.0), Break(show_another_status)),)),
    "the status is not the log's, at any time": ("I14", (At(Second(2.5), Break(show_another_phase)),)),
    "nobody goes on": ("I16", (At(Second(2.0), Break(never_come_back)),)),
    "the memory says something else": ("I17", (At(Second(1.5), Break(forget_an_event)),)),
    "somebody hammers": ("I18", (At(Second(2.0), Break(hammer)),)),
}


@pytest.mark.parametrize("name", BROKEN_WORLDS)
def test_a_world_that_is_made_wrong_is_found_to_be(name: str) -> None:
    invariant, script = BROKEN_WORLDS[name]
    violations = run(DIAMOND, script).violations
    assert any(violation.startswith(f"{invariant} ") for violation in violations), violations


def test_i1_what_was_acknowledged_and_is_not_there_is_found() -> None:
    with pytest.raises(Breach, match="I1"):
        case_of().ledger.acknowledge((replace(record(scheduled()), position=3),))


def test_i15_another_end_or_another_number_of_attempts_is_found() -> None:
    baselines = Baselines()
    right = baselines.of(DIAMOND)[DIAMOND.name]
    for wrong in (
        replace(right, end="Failed"),
        replace(right, steps=right.steps | {"top": ("Succeeded", 2)}),
        Ending(end="Succeeded", steps=right.steps | {"left": ("Skipped", 0)}),
    ):
        assert i15_the_outcome_is_that_of_a_run_without_faults(DIAMOND, {DIAMOND.name: wrong}, baselines)
    assert not i15_the_outcome_is_that_of_a_run_without_faults(DIAMOND, {DIAMOND.name: right}, baselines)


@pytest.mark.parametrize("bound", ["timeout", "attemptTimeout"])
def test_i15_an_external_step_whose_time_is_over_before_its_job_was_released_has_failed(bound: str) -> None:
    asks = step("asks", effects="External", onUnknown="Ask", **{bound: "2s"})
    words = {"resolutions": [{"run": 1, "step": "asks", "attempt": 1, "decision": "Succeed", "by": "ann"}]}
    plan = Plan(spec=spec(asks), fates={"asks": (Program(run_seconds=FOREVER_SECONDS),)}, edits=((9.0, words),))
    scenario = Scenario(name="asks", plans=(plan,))
    baselines = Baselines()
    right = baselines.of(scenario)["asks"]
    assert right == Ending(end="Succeeded", steps={"asks": ("Succeeded", 1)})

    def faults(ending: Ending) -> list[str]:
        return i15_the_outcome_is_that_of_a_run_without_faults(scenario, {"asks": ending}, baselines)

    assert faults(Ending(end="Failed", steps={"asks": ("Failed", 1)})) == []
    assert faults(Ending(end="Cancelled", steps={"asks": ("Cancelled", 1)}))
