"""Why a step stands where it stands: facts in, one answer out. No cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kipu.api.jobs import EFFECTS_ANNOTATION
from kipu.cli.explanation import Explanation, Notice, Sight, explain
from kipu.cli.steps import place_of
from kipu.cli.waits import Shown
from kipu.core.definition import Effects, OnFailure, RunWhen
from kipu.core.events import Reason, StepFailed
from kipu.core.evolve import fold
from kipu.core.language import Evaluated
from kipu.core.state import State
from tests.cli import histories
from tests.cli.errors_expected import told
from tests.cli.sights import PULL, QUOTA, job, pod, sight
from tests.core.given import MINUTE, SECOND, Flow, adoption, approval, fan, flow, last, nested, step, wait


def explained(given: Flow, name: str, seen: Sight | None = None, said: Shown | None = None) -> Explanation:
    place = given.state.place_of(name)
    assert place is not None
    return explain("w", given.state, place, said or Shown(), seen or Sight(), now=given.now)


def answer(given: Flow, name: str, seen: Sight | None = None, said: Shown | None = None) -> str:
    """Without the step's name, with which every answer begins."""
    found = explained(given, name, seen, said).answer
    assert found.startswith(f"step '{name}' ")
    return found.removeprefix(f"step '{name}' ")


# -- pending -----------------------------------------------------------------------------------------------


def test_unmet_dependencies_are_named_with_their_phases() -> None:
    given = flow(step("a"), step("b"), step("c", "a", "b"))
    given.start("a")
    assert answer(given, "c") == "waits for 2 dependencies: a (Running), b (Scheduled)"
    given.succeed("b")
    assert answer(given, "c") == "waits for 1 dependency: a (Running)"


def test_of_what_is_to_be_skipped_the_culprit_is_named() -> None:
    """As a history shows it between the failure and what follows from it (`--at`), and where thousands follow."""
    given = flow(step("a"), step("b"), step("c", "a", "b"), on_failure=OnFailure.CONTINUE)
    given.fail("a", after=SECOND)
    events = [event for event, _ in given.log]
    until = next(place for place, event in enumerate(events) if isinstance(event, StepFailed))
    given.state = fold(given.log[: until + 1])
    assert answer(given, "c") == "will be skipped, because of step 'a'"


def test_behind_a_pending_dependency_stands_what_holds_it_up_in_the_end() -> None:
    given = flow(step("a", attempts=2), step("b", "a"), step("c", "b"))
    given.fail("a", exit_code=3)
    found = explained(given, "c")
    assert found.answer == "step 'c' waits for 1 dependency: b (Pending)"
    assert "in the end for: a (Retrying, again in 1s, exit code 3)" in found.facts


def test_what_keeps_a_dependency_from_running_is_told_here_too() -> None:
    given = flow(step("a"), step("b", "a"))
    said = Shown(waiting={"a/1": "ErrImagePull"})
    assert "in the end for: a (Scheduled, ErrImagePull)" in explained(given, "b", said=said).facts
    assert not any(fact.startswith("in the end") for fact in explained(given, "b").facts)


def test_of_many_that_hold_it_up_the_first_are_told_and_the_others_named() -> None:
    given = flow(*(step(f"s{n}") for n in range(5)), step("mid", *(f"s{n}" for n in range(5))), step("end", "mid"))
    facts = explained(given, "end").facts
    assert [fact for fact in facts if fact.startswith("in the end for")] == [
        f"in the end for: s{n} (Scheduled)" for n in range(3)
    ]
    assert "and for: s3, s4" in facts


def test_the_workflows_own_parallelism_is_named() -> None:
    given = flow(step("a"), step("b"), parallelism=1)
    assert answer(given, "b") == (
        "may start, and waits for a place: spec.parallelism of the Workflow is 1, and so many Jobs run"
    )


def test_the_operators_or_the_namespaces_places_are_named_as_the_status_does() -> None:
    given = flow(step("a"), slots=0)
    said = Shown(reason="Waiting", message="step 'a': waits for one of the 3 places of namespace 'team'")
    assert answer(given, "a", said=said).endswith("waits for one of the 3 places of namespace 'team'")
    assert "the operator's turn" in answer(given, "a")


def test_a_suspended_workflow_holds_what_may_start() -> None:
    given = flow(step("a"), step("b", "a"))
    given.suspend()
    given.succeed("a")
    assert answer(given, "b") == "may start, but the Workflow is suspended: spec.suspend is true"


def test_finally_waits_for_all_others() -> None:
    assert answer(flow(step("a"), last("z")), "z") == "is one of finally, and waits until all other steps are over"


def test_what_will_be_cancelled_will_not_start() -> None:
    given = flow(step("a"), last("z"))
    given.start("a")
    given.shut_down()
    assert answer(given, "z") == "will not start: the run is being ended: Shutdown (Cancel)"


# -- under way ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "said", "why"),
    [
        (
            sight(pod(waiting="ImagePullBackOff", message=PULL)),
            "",
            f"its image cannot be pulled: ImagePullBackOff: {PULL}",
        ),
        (
            sight(pod(waiting="InvalidImageName", message="bad")),
            "",
            "its image cannot be pulled: InvalidImageName: bad",
        ),
        (
            sight(pod(waiting="CreateContainerConfigError", message="no secret")),
            "",
            "its container cannot be made: CreateContainerConfigError: no secret",
        ),
        (sight(pod(unschedulable="0/3 nodes")), "", "no node takes its pod: Unschedulable: 0/3 nodes"),
        (sight(warning=QUOTA), "", f"a quota of the namespace stands against it: {QUOTA}"),
        (sight(warning="a webhook says no"), "", "its pod cannot be created: a webhook says no"),
        (Sight(), f"refused: {QUOTA}", f"a quota of the namespace stands against it: refused: {QUOTA}"),
        (Sight(), "no answer from the API server: refused", "no answer from the API server: refused"),
        (sight(of=job(suspend=True)), "", "its Job is suspended, by somebody else than Kipu (a queue such as Kueue?)"),
        (
            sight(of=job(suspend=True, annotations={EFFECTS_ANNOTATION: "External"})),
            "",
            "its Job is suspended until the log knows its uid, since its effects are External",
        ),
    ],
)
def test_what_keeps_a_scheduled_step_from_running_is_named(seen: Sight, said: str, why: str) -> None:
    given = flow(step("a"))
    told = Shown(waiting={"a/1": said}) if said else Shown()
    assert answer(given, "a", seen, told) == f"has not started: {why}"


def test_nothing_is_guessed_of_a_pod_that_is_about_to_start() -> None:
    given = flow(step("a"))
    given.now += SECOND
    for seen in (Sight(), sight(), sight(pod(waiting="ContainerCreating"))):
        assert answer(given, "a", seen) == ("was scheduled 1s ago, and nothing is known to keep its pod from starting")


def test_a_running_step_runs() -> None:
    given = flow(step("a"))
    given.start("a")
    given.now += MINUTE
    assert answer(given, "a", sight(pod(phase="Running"))) == "runs: attempt 1, since 1m"


def test_an_attempt_that_was_given_up_is_being_ended() -> None:
    given = flow(step("a"))
    given.start("a")
    given.shut_down()
    assert answer(given, "a", said=Shown(waiting={"a/1": "1 pod(s) still ending on n"})) == (
        "is being ended: attempt 1 was given up (shutdown requested), and something of it is still there: "
        "1 pod(s) still ending on n"
    )


def test_a_sub_workflow_step_waits_for_its_child_and_says_how_that_fares() -> None:
    given = flow(nested("sub"))
    child = given.attempt("sub").job
    assert answer(given, "sub") == f"waits for its Workflow '{child}', which is not to be seen yet"
    seen = Sight(child={"phase": "Running", "progress": "1/2", "message": "step 'x': slow"})
    assert answer(given, "sub", seen) == f"waits for its Workflow '{child}': Running, 1/2, step 'x': slow"


def test_backoff_has_its_time_and_the_failure_before_it() -> None:
    given = flow(step("a", attempts=3))
    given.start("a")
    given.fail("a", exit_code=3)
    assert answer(given, "a") == ("backs off until 2023-11-14T22:13:21.000Z, in 1s; attempt 1 has failed: exit code 3")


def test_a_retry_that_is_due_may_wait_for_a_place_or_for_the_end_of_a_suspension() -> None:
    given = flow(step("a", attempts=3))
    given.fail("a", exit_code=3)
    given.suspend()
    given.pass_time(10 * SECOND)
    assert answer(given, "a").startswith("is to be tried again, and waits for a place: the Workflow is suspended")


# -- people ------------------------------------------------------------------------------------------------


def test_an_approval_is_asked_for_with_what_to_do() -> None:
    given = flow(approval("ask", timeout=MINUTE))
    found = explained(given, "ask")
    assert found.answer == "step 'ask' waits for somebody's approval (until 2023-11-14T22:14:20.000Z): Go on?"
    assert "to do: 'kipu approve w ask', or with --decision Reject" in found.facts


def test_a_wait_has_its_time() -> None:
    assert answer(flow(wait("pause")), "pause") == "waits for time to pass, until 2023-11-14T22:14:20.000Z"


def external() -> Flow:
    given = flow(replace(step("a"), effects=Effects.EXTERNAL))
    given.start("a")
    given.fail("a", reason=Reason.LOST, exit_code=None)
    return given


def test_what_nobody_knows_waits_for_a_word_with_what_to_do() -> None:
    found = explained(external(), "a")
    assert found.answer == "step 'a' waits for a person's word: nobody knows whether it has done its work (Lost)"
    assert "to do: find out whether it has, and then 'kipu resolve w a Succeed' (or Fail, or Retry)" in found.facts


# -- over --------------------------------------------------------------------------------------------------


def test_once_the_run_is_over_a_failure_comes_with_how_to_go_on() -> None:
    given = flow(step("a"), step("b"), on_failure=OnFailure.CONTINUE)
    given.fail("a")
    rerun = "to do: mend what was wrong, and then 'kipu rerun w' (what has succeeded stays done)"
    anew = "or, where the manifest was wrong, mend a copy: 'kipu salvage --help' says how to go on with that"
    assert not [fact for fact in explained(given, "a").facts if fact in (rerun, anew)]
    given.succeed("b")
    found = explained(given, "a").facts
    assert found.index(anew) == found.index(rerun) + 1
    assert rerun not in explained(given, "b").facts


def test_a_failure_that_is_allowed_asks_nobody_to_mend_it() -> None:
    given = flow(replace(step("a"), allow_failure=True), step("b"))
    given.fail("a")
    given.succeed("b")
    assert not [fact for fact in explained(given, "a").facts if "rerun" in fact]


def test_a_failure_tells_its_reason_and_why_there_was_no_retry() -> None:
    given = flow(step("a", attempts=3, final_codes=(2,)))
    given.fail("a", exit_code=2)
    assert answer(given, "a") == (
        "has failed in attempt 1: exit code 2; exit code 2 is one of its nonRetryableExitCodes"
    )


def test_a_skipped_step_names_its_culprit_and_what_became_of_it() -> None:
    given = flow(step("a"), step("b", "a"), step("c", "b"), on_failure=OnFailure.CONTINUE)
    given.fail("a", exit_code=3)
    assert answer(given, "c") == "was skipped: because of 'a', which is Failed (exit code 3)"


def test_a_step_that_only_reacts_to_failures_names_the_need_that_succeeded() -> None:
    given = flow(step("a"), step("b", "a", run_when=RunWhen.ANY_FAILED))
    given.succeed("a")
    found = explained(given, "b")
    assert found.answer == "step 'b' was skipped: because of 'a', which is Succeeded"
    assert "runWhen: AnyFailed" in found.facts


def test_a_condition_that_does_not_hold_is_quoted() -> None:
    given = flow(replace(step("a"), when="params.x > 1"), evaluate=lambda _state, _place: Evaluated(holds=False))
    assert answer(given, "a") == "was skipped: its `when` does not hold: params.x > 1"


def test_what_a_failing_workflow_did_not_start_names_the_failure() -> None:
    given = flow(step("a"), step("b"), parallelism=1)
    given.fail("a", exit_code=3)
    assert answer(given, "b").startswith("was skipped: step 'a' had failed: nothing new starts (onFailure)")


@pytest.mark.parametrize(
    ("given", "name", "said"),
    [
        (flow(step("a"), adopt=adoption("a")), "a", "counts as done: it was adopted"),
        (histories.diamond(), "join", "has succeeded"),
    ],
)
def test_a_step_that_has_succeeded_has(given: Flow, name: str, said: str) -> None:
    assert answer(given, name) == said


def test_a_cancelled_step_was_cancelled() -> None:
    given = flow(step("a"), step("b", "a"))
    given.shut_down()
    given.gone("a")
    assert answer(given, "b").startswith("was cancelled: ")


# -- fan-outs ----------------------------------------------------------------------------------------------


def test_a_fan_out_is_counted() -> None:
    given = flow(fan("shard", count=10, parallelism=2))
    given.succeed("shard[0]")
    assert answer(given, "shard") == "is a fan-out under way: 1/10 items, 2 running"


def test_an_item_waits_for_the_parallelism_of_its_fan_out() -> None:
    given = flow(fan("shard", count=10, parallelism=2))
    assert answer(given, "shard[5]") == ("waits for a place: forEach.parallelism of its fan-out is 2; 3 items first")


def test_an_item_may_wait_for_the_parallelism_of_the_workflow() -> None:
    given = flow(fan("shard", count=10), parallelism=1)
    assert answer(given, "shard[1]").startswith("waits for a place: spec.parallelism of the Workflow is 1")


def test_an_item_of_a_fan_out_that_has_stopped_will_not_begin() -> None:
    given = flow(fan("shard", count=10, parallelism=2))
    given.fail("shard[0]")
    assert answer(given, "shard[5]").startswith("will not begin: its fan-out has stopped (1/10 items")


def test_a_fan_out_whose_items_all_wait_says_so() -> None:
    given = flow(fan("shard", count=2), slots=0)
    assert answer(given, "shard").startswith("may start, and waits for a place")
    given = flow(fan("shard", count=2), slots=1)
    given.slots = 0
    given.succeed("shard[0]")
    assert answer(given, "shard").startswith("has begun, and no item of it runs: they wait for a place")


# -- the facts ---------------------------------------------------------------------------------------------


def test_the_attempt_is_told_with_its_job_its_pod_and_its_deadlines() -> None:
    given = flow(step("a", attempts=3, attempt_timeout=MINUTE, timeout=2 * MINUTE))
    given.start("a")
    facts = explained(given, "a").facts
    assert "attempt 1, of at most 3 (disruptions aside): 0 failed, 0 disrupted" in facts
    assert f"Job {given.attempt('a').job}, scheduled 2023-11-14T22:13:20.000Z at position 2" in facts
    assert "Pod pod on node" in facts
    assert "must end by 2023-11-14T22:14:20Z" in facts
    assert "the step must end by 2023-11-14T22:15:20Z" in facts


def test_the_newest_notices_of_the_cluster_are_told_with_their_age() -> None:
    given = flow(step("a"))
    given.now += MINUTE
    notices = tuple(
        Notice(about="Pod x", reason=f"R{n}", message="m", count=n, seen_at=given.now - SECOND) for n in range(7)
    )
    facts = explained(given, "a", Sight(notices=notices)).facts
    assert [fact for fact in facts if "Pod x" in fact] == [f"1s ago, Pod x: R{n}: m ({n} times)" for n in range(2, 7)]


def test_what_could_not_be_read_and_what_the_status_says_are_told() -> None:
    found = explained(flow(step("a")), "a", Sight(unread=("no right to list its pods",)), Shown(message="slow"))
    assert found.facts[-2:] == ("the status says: slow", "no right to list its pods")


def test_a_message_of_a_program_cannot_move_the_cursor() -> None:
    given = flow(step("a"))
    given.tell(given.outcome("a", reason=Reason.EXIT_CODE, exit_code=1, message="\x1b[2J"))
    assert "\x1b" not in answer(given, "a")


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("lefd", "Workflow 'nightly' has no step 'lefd'; did you mean 'left'?"),
        ("zzzz", "Workflow 'nightly' has no step 'zzzz'; there are fetch, left, right, join"),
        ("left[0]", "step 'left' has no items"),
    ],
)
def test_an_unknown_step_is_answered_by_the_nearest(name: str, hint: str) -> None:
    assert told(lambda: place_of(histories.diamond().state, name, "nightly")) == hint


def test_an_unknown_item_is_answered_by_how_many_there_are() -> None:
    state = flow(fan("shard", count=3)).state
    assert told(lambda: place_of(state, "shard[3]", "nightly")) == (
        "there is no item 'shard[3]': step 'shard' has 3 items: shard[0] and so on"
    )
    waits = flow(step("a"), fan("shard", "a", count=3)).state
    assert told(lambda: place_of(waits, "shard[0]", "nightly")) == "step 'shard' has no items: it has not begun"


def test_a_workflow_without_steps_says_why() -> None:
    assert "was not taken up yet" in told(lambda: place_of(State(), "a", "nightly"))
