"""What a state looks like as a tree: no cluster, no terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kipu.cli import tree
from kipu.cli.report import report
from kipu.cli.tree import STEPS_SHOWN_MAX, Line, title
from kipu.cli.waits import Shown, shown
from kipu.core.definition import OnFailure
from kipu.core.errors import Problem
from kipu.core.events import Reason
from kipu.core.state import State
from tests.cli import histories
from tests.core.given import MINUTE, SECOND, Flow, approval, fan, flow, last, nested, step, wait


def lines(given: Flow, said: Shown | None = None, later: int = 0) -> list[Line]:
    return tree.tree(given.state, said or Shown(), now=given.now + later)


def line(given: Flow, name: str, said: Shown | None = None, later: int = 0) -> Line:
    (found,) = [each for each in lines(given, said, later) if each.name.split()[-1] == name]
    return found


def details(given: Flow, name: str, said: Shown | None = None, later: int = 0) -> str:
    return line(given, name, said, later).details


def test_every_step_has_a_line_in_the_order_of_the_definition() -> None:
    given = histories.diamond()
    assert [each.name for each in lines(given)] == ["├─ ✔ fetch", "├─ ✔ left", "├─ ✔ right", "└─ ✔ join"]
    assert [each.attempts for each in lines(given)] == ["1/1", "2/2", "1/1", "1/1"]


def test_the_root_says_phase_progress_duration_and_why() -> None:
    given = flow(step("a"), step("b", "a"))
    given.start("a")
    assert title("nightly", given.state, now=given.now + 62 * SECOND) == "nightly  Running  0/2 steps  1m2s"
    given.fail("a", after=SECOND)
    assert title("nightly", given.state, now=given.now) == (
        "nightly  Failed  2/2 steps  1s  StepFailed: step 'a' failed (ExitCode)"
    )


def test_the_root_tells_which_run_it_is_from_the_second_on() -> None:
    given = flow(step("a"))
    given.fail("a")
    given.rerun()
    assert "  run 2" in title("nightly", given.state, now=given.now)


def test_a_running_step_lasts_up_to_now_and_an_ended_one_as_it_was() -> None:
    given = flow(step("a"), step("b"))
    given.start("a", "b")
    given.succeed("a", after=2 * SECOND)
    assert line(given, "a", later=MINUTE).duration == "2s"
    assert line(given, "b", later=MINUTE).duration == "1m2s"


def test_a_pending_step_names_its_unmet_needs_with_their_phases() -> None:
    given = flow(step("a"), step("b"), step("c", "a", "b"))
    given.start("a")
    given.succeed("b")
    assert details(given, "c") == "after a (Running)"


def test_a_ready_step_says_that_the_workflows_own_parallelism_holds_it() -> None:
    given = flow(step("a"), step("b"), parallelism=1)
    given.start("a")
    assert details(given, "b") == "waits for a place: parallelism is 1"


def test_a_ready_step_without_a_bound_of_its_own_waits_for_a_place() -> None:
    given = flow(step("a"), slots=0)
    assert details(given, "a") == "waits for a place"


def test_a_step_of_finally_waits_for_all_others() -> None:
    given = flow(step("a"), last("z"))
    assert line(given, "z").details == "finally: once all others are over"
    assert line(given, "z").name == "└─ ○ finally: z"


def test_a_retrying_step_says_when_it_is_tried_again_and_why() -> None:
    given = flow(step("a", attempts=3))
    given.start("a")
    given.fail("a", exit_code=3)
    assert details(given, "a") == "again in 1s, exit code 3"
    assert line(given, "a").attempts == "1/3"


def test_a_scheduled_step_shows_what_the_status_says_of_this_attempt_alone() -> None:
    given = flow(step("a"))
    assert details(given, "a", Shown(waiting={"a/1": "ErrImagePull: no such image"})) == "ErrImagePull: no such image"
    assert details(given, "a", Shown(waiting={"a/2": "of another attempt"})) == ""


def test_an_approval_shows_its_question_and_the_time_that_is_left() -> None:
    given = flow(approval("ask", timeout=MINUTE))
    assert details(given, "ask", later=SECOND) == "waits for an answer in spec.approvals, 59s more: Go on?"
    assert line(given, "ask").attempts == ""


def test_a_wait_shows_the_time_that_is_left() -> None:
    assert details(flow(wait("pause", milliseconds=MINUTE)), "pause", later=SECOND) == "waits 59s more"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (flow(step("a"), step("b", "a"), on_failure=OnFailure.CONTINUE), "because of 'a'"),
        (flow(step("a"), step("b"), parallelism=1), "step 'a' had failed"),
    ],
)
def test_a_skipped_step_names_the_culprit(given: Flow, why: str) -> None:
    given.start("a")
    given.fail("a")
    assert why in details(given, "b")


def test_a_step_that_is_given_up_is_ending() -> None:
    given = flow(step("a"))
    given.start("a")
    given.shut_down()
    assert details(given, "a", Shown(waiting={"a/1": "1 pod(s) still ending on node"})) == (
        "ending: shutdown requested, 1 pod(s) still ending on node"
    )


def test_a_sub_workflow_step_names_its_child() -> None:
    given = flow(nested("sub"))
    assert details(given, "sub") == f"Workflow {given.attempt('sub').job}"


def test_a_fan_out_is_one_line_with_counts_and_below_it_the_items_that_matter() -> None:
    given = flow(fan("shard", count=10, parallelism=4, max_failures=10))
    given.start("shard[0]", "shard[1]")
    given.succeed("shard[0]")
    given.fail("shard[1]")
    shown = lines(given)
    assert (shown[0].name, shown[0].details) == ("└─ ● shard", "2/10 items, 4 running, 1 failed")
    assert [each.name for each in shown[1:]] == [
        "   ├─ ✖ shard[1]",
        "   ├─ ◌ shard[2]",
        "   ├─ ◌ shard[3]",
        "   ├─ ◌ shard[4]",
        "   └─ ◌ shard[5]",
    ]


def test_of_many_items_the_first_are_shown_and_the_others_counted() -> None:
    given = flow(fan("shard", count=tree.ITEMS_SHOWN_MAX + 1))
    shown = lines(given)
    assert len(shown) == 1 + tree.ITEMS_SHOWN_MAX + 1
    assert shown[-1].name == "   └─ and 1 more that failed or run"


def test_so_many_steps_are_all_shown() -> None:
    assert len(lines(flow(*(step(f"s{n}") for n in range(STEPS_SHOWN_MAX))))) == STEPS_SHOWN_MAX


def test_of_more_the_telling_ones_are_shown_and_the_others_counted_by_phase() -> None:
    given = flow(*(step(f"s{n}") for n in range(STEPS_SHOWN_MAX + 2)), on_failure=OnFailure.CONTINUE)
    given.succeed("s0", "s1", "s2")
    given.fail(f"s{STEPS_SHOWN_MAX + 1}")
    shown = lines(given)
    assert len(shown) == STEPS_SHOWN_MAX + 1
    assert shown[-2].name.endswith(f"s{STEPS_SHOWN_MAX + 1}")
    assert shown[-1].name == "└─ and 2 steps more: 2 Succeeded (-o json has them all)"
    assert not shown[-2].name.startswith("└")


def test_a_rejected_workflow_lists_its_problems() -> None:
    given = histories.rejected(Problem(path="spec.steps[0]", reason="is no step", hint="write one"))
    assert [each.name for each in lines(given)] == ["└─ spec.steps[0]: is no step (write one)"]
    assert title("nightly", given.state, now=given.now) == "nightly  Rejected  1 problem"


def test_a_workflow_that_nobody_has_taken_up_is_pending() -> None:
    assert title("nightly", State(), now=0) == "nightly  Pending  no operator has taken it up yet"


def test_what_a_program_wrote_cannot_move_the_cursor() -> None:
    given = flow(step("a"))
    given.start("a")
    given.tell(given.outcome("a", reason=Reason.EXIT_CODE, exit_code=1, message="\x1b[2Jgone\n"))
    assert details(given, "a") == r"\x1b[2Jgone\n"


# -- as data -----------------------------------------------------------------------------------------------


def test_the_report_has_every_step_however_many() -> None:
    given = flow(*(step(f"s{n}") for n in range(STEPS_SHOWN_MAX + 1)))
    assert len(report(histories.STREAM, None, given.state, now=given.now)["steps"]) == STEPS_SHOWN_MAX + 1


def test_a_step_in_the_report_says_what_it_waits_for_and_leaves_out_what_it_has_not() -> None:
    given = flow(step("a"), step("b", "a"))
    given.start("a")
    a, b = report(histories.STREAM, None, given.state, now=given.now)["steps"]
    assert b == {
        "name": "b",
        "phase": "Pending",
        "dependsOn": ["a"],
        "waitsFor": ["a"],
        "attempts": 0,
        "message": "after a (Running)",
    }
    assert (a["pod"], a["node"], a["startTime"]) == ("pod", "node", "2023-11-14T22:13:20Z")


def test_the_status_is_read_by_step_and_attempt_and_may_be_missing() -> None:
    workflow = {"status": {"running": [{"step": "a", "attempt": 2, "message": "slow"}, {"step": "b", "attempt": 1}]}}
    assert shown(workflow) == replace(Shown(), waiting={"a/2": "slow"})
    assert shown({}) == Shown()
