"""`.status` as people, kubectl, Helm and Argo CD read it: a projection, bounded, with times of the log alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kipu.api import status
from kipu.api.status import FAILED_BYTES_MAX, RUNNING_BYTES_MAX
from kipu.api.v1alpha1_status import LISTED_MAX, MESSAGE_LENGTH_MAX, STEPS_SHOWN_MAX, WorkflowStatus, clip
from kipu.core.commands import Accept, Claim, Reject
from kipu.core.definition import Definition, OnFailure
from kipu.core.errors import Problem
from kipu.core.events import Reason
from kipu.core.evolve import fold
from kipu.core.policies import EVENTS_MAX, EVENTS_WARN
from kipu.core.state import State
from tests.core.given import SECOND, Flow, adoption, step

BEGUN = "2023-11-14T22:13:20Z"  # tests.core.given.START
ENDS = {
    "Succeeded": ("True", "True", "True", "False", "False"),
    "Failed": ("True", "False", "False", "False", "True"),
    "Cancelled": ("True", "False", "False", "False", "True"),
    "Rejected": ("True", "False", "False", "False", "True"),
}
KINDS = ("Finished", "Succeeded", "Ready", "Reconciling", "Stalled")


def project(state: State, **given: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "generation": 3,
        "log_position": 7,
        "log_hash": "ab",
        "waiting": {},
        "spec_changed": False,
    }
    shown = status.project(state, **(fields | given))
    WorkflowStatus.model_validate(shown, by_name=False)  # the very shape of the CRD, bounds included
    assert shown["phase"] == state.phase.value
    return shown


def conditions(shown: dict[str, Any]) -> dict[str, Any]:
    found = {condition["type"]: condition for condition in shown["conditions"]}
    assert len(found) == len(shown["conditions"])
    assert all(condition["observedGeneration"] == 3 for condition in found.values())
    return found


def truths(shown: dict[str, Any]) -> tuple[str, ...]:
    return tuple(conditions(shown)[kind]["status"] for kind in KINDS)


def flow(*steps: Any, **fields: Any) -> Flow:
    return Flow(Definition(steps=steps, **fields))


def rejected(*problems: Problem) -> Flow:
    told = Flow(None)
    told.tell(Claim(writer="a"), Reject(spec_hash="h", problems=problems))
    return told


def test_an_adopted_step_has_succeeded_without_an_attempt_and_says_why() -> None:
    told = flow(step("a"), step("b", "a"), adopt=adoption("a"))
    shown = project(told.state)
    assert (shown["progress"], shown["counts"]["succeeded"]) == ("1/2", 1)
    (adopted,) = [one for one in shown["steps"] if one["name"] == "a"]
    assert adopted == {
        "name": "a",
        "phase": "Succeeded",
        "attempts": 0,
        "finishTime": BEGUN,
        "reason": "Adopted",
    }


def test_a_run_under_way() -> None:
    told = flow(step("a"), step("b", "a"))
    told.start("a", after=SECOND)
    shown = project(told.state)
    assert shown["conditions"][0]["type"] == "Accepted"
    assert truths(shown) == ("False", "Unknown", "False", "True", "False")
    del shown["conditions"]
    assert shown == {
        "phase": "Running",
        "progress": "0/2",
        "run": 1,
        "counts": {
            "total": 2,
            "pending": 1,
            "scheduled": 0,
            "running": 1,
            "retrying": 0,
            "unknown": 0,
            "suspended": 0,
            "succeeded": 0,
            "failed": 0,
            "skipped": 0,
            "cancelled": 0,
        },
        "startTime": BEGUN,
        "observedGeneration": 3,
        "log": {"position": 7, "hash": "ab"},
        "running": [{"step": "a", "attempt": 1, "reason": "Running", "job": told.attempt("a").job}],
        "failed": [],
        "steps": [
            {"name": "a", "phase": "Running", "attempts": 1, "startTime": "2023-11-14T22:13:21Z"},
            {"name": "b", "phase": "Pending", "attempts": 0},
        ],
    }


def test_a_success() -> None:
    told = flow(step("a"))
    told.start("a")
    told.succeed("a", after=133 * SECOND)
    shown = project(told.state)
    assert truths(shown) == ENDS["Succeeded"]
    assert (shown["phase"], shown["outcome"], shown["reason"]) == ("Succeeded", "Succeeded", "Completed")
    assert (shown["progress"], shown["duration"]) == ("1/1", "2m13s")
    assert (shown["startTime"], shown["completionTime"]) == (BEGUN, "2023-11-14T22:15:33Z")
    assert (shown["running"], shown["failed"]) == ([], [])


def test_a_failure_names_the_step_the_code_and_the_culprit_of_what_was_skipped() -> None:
    told = flow(step("a"), step("b", "a"), on_failure=OnFailure.CONTINUE)
    told.fail("a", exit_code=7)
    told.settle()
    shown = project(told.state)
    assert truths(shown) == ENDS["Failed"]
    assert shown["outcome"] == "Failed"
    assert shown["progress"] == "2/2"
    (failed,) = shown["failed"]
    assert failed == {
        "step": "a",
        "attempt": 1,
        "reason": "ExitCode",
        "job": told.attempt("a").job,
        "exitCode": 7,
    }
    skipped = shown["steps"][1]
    assert (skipped["phase"], skipped["reason"], skipped["culprit"]) == ("Skipped", "DependencyNotMet", "a")
    assert conditions(shown)["Succeeded"]["reason"] == "StepFailed"
    assert "step 'a' failed" in shown["message"]
    assert conditions(shown)["Stalled"]["message"] == shown["message"]


def test_a_retry_shows_why_it_waits() -> None:
    told = flow(step("a", attempts=2))
    told.tell(told.outcome("a", reason=Reason.EXIT_CODE, exit_code=1, message="exit code 1: no such file"))
    (running,) = project(told.state)["running"]
    assert running["reason"] == "Retrying"
    assert (running["attempt"], running["exitCode"]) == (1, 1)
    assert running["message"] == "exit code 1: no such file"


def test_a_cancelled_run_waits_for_its_pods_and_then_is_over_for_kstatus_too() -> None:
    told = flow(step("a"))
    told.start("a")
    told.shut_down()
    ending = project(told.state)
    assert (ending["phase"], ending["running"][0]["reason"]) == ("Cancelling", "Ending")
    assert truths(ending) == ("False", "Unknown", "False", "True", "False")
    told.gone("a")
    told.settle()
    over = project(told.state)
    assert truths(over) == ENDS["Cancelled"]
    assert (over["outcome"], over["reason"], over["counts"]["cancelled"]) == ("Cancelled", "Shutdown", 1)


def test_a_rejection_says_what_is_wrong() -> None:
    problem = Problem(path="spec.steps[0].name", reason="'A' is not a name")
    shown = project(rejected(problem).state)
    assert truths(shown) == ENDS["Rejected"]
    accepted = conditions(shown)["Accepted"]
    assert (accepted["status"], accepted["reason"], accepted["message"]) == ("False", "Rejected", str(problem))
    assert (shown["message"], shown["progress"], shown["run"]) == (str(problem), "0/0", 0)
    assert "startTime" not in shown


def test_a_rejection_with_many_problems_counts_those_left_out() -> None:
    problems = [Problem(path=f"spec.steps[{n}].name", reason="x" * 200) for n in range(30)]
    message = project(rejected(*problems).state)["message"]
    assert len(message) <= MESSAGE_LENGTH_MAX
    assert message.startswith("spec.steps[0].name: xxx")
    assert message.endswith("; and 26 more")


def test_one_problem_too_long_is_cut() -> None:
    message = project(rejected(Problem(path="p", reason="x" * 900, hint="y" * 900)).state)["message"]
    assert message.startswith("p: xxx")
    assert len(message) <= MESSAGE_LENGTH_MAX


def test_what_the_shell_waits_for_is_shown() -> None:
    told = flow(step("a"), step("b"))
    waiting = {"b": "ImagePullBackOff: no such image", "a": "x" * 5_000}
    shown = project(told.state, waiting=waiting)
    assert (shown["reason"], shown["message"]) == ("Waiting", "step 'b' (and 1 more): ImagePullBackOff: no such image")
    messages = {report["step"]: report["message"] for report in shown["running"]}
    assert messages == {"a": clip("x" * 5_000), "b": "ImagePullBackOff: no such image"}
    assert len(messages["a"]) == MESSAGE_LENGTH_MAX


def test_before_anything_was_decided_nothing_is_claimed() -> None:
    told = Flow(None)
    told.tell(Claim(writer="a"))
    shown = project(told.state)
    assert (shown["phase"], shown["progress"]) == ("Pending", "0/0")
    assert conditions(shown)["Accepted"]["status"] == "Unknown"


def test_an_ignored_edit_is_told() -> None:
    told = flow(step("a"))
    assert "SpecChanged" not in conditions(project(told.state))
    assert conditions(project(told.state, spec_changed=True))["SpecChanged"]["status"] == "True"


@pytest.mark.parametrize("count", [STEPS_SHOWN_MAX, STEPS_SHOWN_MAX + 1])
def test_steps_are_listed_up_to_a_bound(count: int) -> None:
    told = flow(*(step(f"s{n}") for n in range(count)))
    assert ("steps" in project(told.state)) == (count <= STEPS_SHOWN_MAX)


def test_running_and_failed_steps_are_listed_up_to_a_bound() -> None:
    names = [f"s{n}" for n in range(LISTED_MAX + 5)]
    told = flow(*(step(name) for name in names), step("last"), on_failure=OnFailure.CONTINUE)
    shown = project(told.state)
    assert [report["step"] for report in shown["running"]] == names[:LISTED_MAX]
    told.fail(*names)
    shown = project(told.state)
    assert [report["step"] for report in shown["failed"]] == names[:LISTED_MAX]
    assert shown["counts"]["failed"] == len(names)


def test_a_failure_shows_the_last_lines_of_its_log_and_forgets_them_with_the_next_attempt() -> None:
    told = flow(step("a", attempts=3))
    told.tell(told.outcome("a", reason=Reason.EXIT_CODE, exit_code=1, log_tail="1\n2\n3\n4\n"))
    (retrying,) = project(told.state)["running"]
    assert (retrying["reason"], retrying["logTail"]) == ("Retrying", "2\n3\n4")
    told.pass_time(20 * SECOND)
    assert "logTail" not in project(told.state)["running"][0]
    told.fail("a", exit_code=2)
    assert "logTail" not in project(told.state)["running"][0]
    told.pass_time(40 * SECOND)
    told.tell(told.outcome("a", reason=Reason.EXIT_CODE, exit_code=1, log_tail="last"))
    assert project(told.state)["failed"][0]["logTail"] == "last"


def shown_bytes(shown: dict[str, Any]) -> int:
    return len(json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize("is_over", [False, True])
def test_a_large_workflow_has_a_short_status_whatever_its_steps_say(is_over: bool) -> None:
    """Names, messages, waits and tails at their greatest, in both lists at once."""
    failing, running = ([f"{kind}{n:03d}".ljust(63, "x") for n in range(LISTED_MAX + 5)] for kind in "fr")
    ready = () if is_over else running
    late = [step(f"s{n}", failing[0]) for n in range(STEPS_SHOWN_MAX)]
    told = flow(*(step(name) for name in (*failing, *ready)), *late, on_failure=OnFailure.CONTINUE)
    told.settle()
    for name in failing:
        worst = told.outcome(name, reason=Reason.EXIT_CODE, exit_code=255, message='"' * 2_000, log_tail="\\" * 5_000)
        told.tell(worst)
    told.settle()
    shown = project(told.state, waiting={} if is_over else dict.fromkeys(ready, "y" * 5_000), log_hash="f" * 64)
    assert ("completionTime" in shown) is is_over
    assert len(shown["failed"]) == LISTED_MAX
    assert all(report["message"] for report in shown["failed"])
    assert shown_bytes(shown) <= 16 * 1024
    assert shown_bytes({"": shown["failed"]}) <= FAILED_BYTES_MAX + 10
    assert shown_bytes({"": shown["running"]}) <= RUNNING_BYTES_MAX + 10


def test_a_few_failures_have_room_for_all_that_they_say() -> None:
    told = flow(*(step(f"s{n}") for n in range(3)), on_failure=OnFailure.CONTINUE)
    for n in range(3):
        told.tell(told.outcome(f"s{n}", reason=Reason.EXIT_CODE, exit_code=1, message="m" * 990, log_tail="t" * 600))
    assert [(len(one["message"]), len(one["logTail"])) for one in project(told.state)["failed"]] == [(990, 510)] * 3


def test_a_replay_shows_the_same() -> None:
    told = flow(step("a", attempts=3), step("b", "a"), step("c", "a"))
    told.start("a", after=SECOND)
    told.fail("a", after=SECOND)
    told.pass_time(20 * SECOND)
    told.succeed("a", after=SECOND)
    assert project(fold(told.log)) == project(told.state)


def test_a_transition_time_moves_only_with_its_status() -> None:
    told = flow(step("a"))
    told.start("a", after=SECOND)
    before = conditions(project(told.state))
    told.succeed("a", after=SECOND)
    after = conditions(project(told.state))
    assert after["Accepted"]["lastTransitionTime"] == before["Accepted"]["lastTransitionTime"] == BEGUN
    assert before["Finished"]["lastTransitionTime"] == BEGUN
    assert after["Finished"]["lastTransitionTime"] == "2023-11-14T22:13:22Z"


def test_nested_objects_keep_their_keys_since_a_merge_patch_would_keep_the_old_ones() -> None:
    running = project(flow(step("a")).state)
    refused = project(rejected(Problem(path="p", reason="r")).state)
    for key in ("counts", "log"):
        assert set(running[key]) == set(refused[key])


# -- a stop ------------------------------------------------------------------------------------------


def stalled(shown: dict[str, Any], **given: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {"reason": "LogMissing", "message": "m", "generation": 3, "now": 1_700_000_100_000}
    patch = status.stalled(shown, **(fields | given))
    WorkflowStatus.model_validate(project(State()) | shown | patch, by_name=False)
    return patch


def test_a_stop_changes_the_conditions_that_say_so_and_no_other() -> None:
    shown = project(flow(step("a")).state)
    patch = stalled(shown)
    before, after = conditions(shown), conditions(patch)
    assert {kind for kind in after if after[kind] != before[kind]} == {"Ready", "Reconciling", "Stalled"}
    assert (after["Stalled"]["status"], after["Stalled"]["reason"]) == ("True", "LogMissing")
    assert after["Stalled"]["lastTransitionTime"] == "2023-11-14T22:15:00Z"
    assert after["Ready"]["lastTransitionTime"] == BEGUN  # it was not so before either
    assert {key: patch[key] for key in patch if key != "conditions"} == {
        "reason": "LogMissing",
        "message": "m",
        "observedGeneration": 3,
    }


def test_a_stop_told_again_later_is_the_same() -> None:
    first = stalled({})
    assert stalled(first, now=1_800_000_000_000) == first


@pytest.mark.parametrize("shown", [{}, {"conditions": None}, {"conditions": ["x", {}, {"type": 3}]}])
def test_a_stop_is_told_whatever_was_shown(shown: dict[str, Any]) -> None:
    patch: Any = status.stalled(shown, reason="R", message="x" * 9_999, generation=1, now=0)
    assert {condition["type"] for condition in patch["conditions"]} == {"Ready", "Reconciling", "Stalled"}
    assert len(patch["message"]) == MESSAGE_LENGTH_MAX


def test_a_refusal_of_every_commit_is_a_condition_beside_the_others() -> None:
    shown = project(flow(step("a")).state)
    patch: Any = status.refused(shown, message="x" * 9_999, generation=3, now=1_700_000_100_000)
    WorkflowStatus.model_validate(shown | patch, by_name=False)
    before, after = conditions(shown), conditions(patch)
    assert {kind for kind in after if after[kind] != before.get(kind)} == {"LogWriteRefused"}
    assert (after["LogWriteRefused"]["status"], patch["reason"]) == ("True", "LogWriteRefused")
    assert len(patch["message"]) == MESSAGE_LENGTH_MAX
    again: Any = status.refused(shown | patch, message="x" * 9_999, generation=3, now=1_800_000_000_000)
    assert again == patch
    assert {each["type"] for each in project(flow(step("a")).state)["conditions"]}.isdisjoint({"LogWriteRefused"})


def test_accepting_is_a_command_like_any_other() -> None:
    told = Flow(None)
    told.tell(Claim(writer="a"), Accept(spec_hash="h", definition=Definition(steps=(step("a"),))))
    assert conditions(project(told.state))["Accepted"]["status"] == "True"


def test_a_large_log_is_warned_of_before_it_is_full() -> None:
    state = fold(flow(step("a")).log)
    assert "LogLarge" not in conditions(project(state))
    state.position = EVENTS_WARN
    condition = conditions(project(state))["LogLarge"]
    assert condition["status"] == "True"
    assert str(EVENTS_MAX) in condition["message"]


def test_what_the_shell_warns_of_is_a_condition_while_it_holds() -> None:
    state = flow(step("a")).state
    condition = conditions(project(state, warnings={"ClockSkew": "a clock is wrong"}))["ClockSkew"]
    assert (condition["status"], condition["message"]) == ("True", "a clock is wrong")
    assert "ClockSkew" not in conditions(project(state))
