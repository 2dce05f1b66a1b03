from __future__ import annotations

from dataclasses import replace

import pytest

from kipu.cli.details import clock, elapsed, printable, row
from kipu.core.errors import Problem
from kipu.core.events import (
    Event,
    LateResultIgnored,
    Reason,
    SkipReason,
    StepAdopted,
    StepEvaluated,
    StepsCancelled,
    StepsSkipped,
    StepSucceeded,
)
from kipu.eventlog.ports import Recorded
from tests.cli import histories
from tests.core.given import START, Flow


def shown(given: Flow) -> list[str]:
    """Every event of a history as the table's three last cells."""
    return [_line(event, number) for number, (event, _) in enumerate(given.log, start=1)]


def _line(event: Event, position: int = 1, ts: int = START) -> str:
    cells = row(Recorded(position=position, epoch=1, ts=ts, hash="00", event=event), began=START)
    return " | ".join((cells.event, cells.step, cells.details))


def test_a_run_reads_like_a_story() -> None:
    lines = shown(histories.diamond())
    assert lines[0] == "StreamClaimed |  | epoch 1 by kipu-0"
    assert lines[1] == "WorkflowAccepted |  | 4 steps, deadline 2023-11-14T23:13:20.000Z"
    assert lines[2].startswith("StepScheduled | fetch/1 | job nightly-fetch-")
    assert "StepStarted | fetch/1 | pod pod, node node, until 2023-11-14T22:14:21.000Z" in lines
    assert "AttemptFailed | left/1 | ExitCode, exit code 3, retry at 2023-11-14T22:13:24.000Z" in lines
    assert "TimerFired | left | Backoff, due 2023-11-14T22:13:24.000Z" in lines
    assert lines[-1] == "WorkflowFinished |  | Succeeded: Completed"


def test_a_long_list_of_steps_is_cut_and_counted() -> None:
    (line,) = [line for line in shown(histories.skipping()) if line.startswith("StepsSkipped")]
    skipped = "late-0, late-1, late-2, late-3, late-4 and 2 more"
    assert line == f"StepsSkipped | {skipped} | DependencyNotMet, because of first"


@pytest.mark.parametrize(("seconds", "text"), [(0, "ran <1s"), (1, "ran 1s"), (75, "ran 75s")])
def test_a_success_says_how_long_it_ran(seconds: int, text: str) -> None:
    event = StepSucceeded(
        run=1, step="a", attempt=2, job_uid="u", started_at=START, finished_at=START + seconds * 1_000, pod="p"
    )
    assert _line(event) == f"StepSucceeded | a/2 | {text}, pod p"


def test_a_success_shows_its_outputs() -> None:
    outputs: dict[str, str | int | bool] = {"rows": 42, "ok": True, "text": "a\nb", "long": "x" * 61}
    event = StepSucceeded(run=1, step="a", attempt=1, job_uid="u", pod="p", outputs=outputs)
    assert _line(event) == f"StepSucceeded | a/1 | pod p, rows=42, ok=true, text=a\\nb, long={'x' * 60}..."


def test_what_expressions_came_to_is_shown_with_its_place() -> None:
    event = StepEvaluated(run=1, step="a", values={"env[0].value": "42", "args[1]": "x"})
    assert _line(event) == "StepEvaluated | a | env[0].value=42, args[1]=x"


def test_a_step_that_is_not_wanted_says_so_itself() -> None:
    event = StepsSkipped(run=1, steps=("a",), culprit="a", reason=SkipReason.CONDITION_FALSE)
    assert _line(event) == "StepsSkipped | a | ConditionFalse: its `when` does not hold"


def test_a_late_result_says_what_it_was() -> None:
    late = LateResultIgnored(run=1, step="a", attempt=2, job_uid="u")
    assert _line(late) == "LateResultIgnored | a/2 | it ended after it was given up: Succeeded"
    assert _line(replace(late, reason=Reason.EXIT_CODE)).endswith("given up: ExitCode")


def test_an_adopted_step_names_its_source() -> None:
    event = StepAdopted(run=1, step="a", source_uid="u-1", source_run=2, source_position=17, source_hash="ab")
    assert _line(event) == "StepAdopted | a | done at position 17 of run 2 of u-1"


def test_cancelled_steps_are_named() -> None:
    assert _line(StepsCancelled(run=1, steps=("a", "b"))) == "StepsCancelled | a, b | "


def test_a_rejection_names_what_to_mend() -> None:
    problem = Problem(
        path="spec.steps[1].dependsOn[0]", reason="there is no step 'fetsh'", hint="did you mean 'fetch'?"
    )
    (_, line) = shown(histories.rejected(problem))
    assert line == "WorkflowRejected |  | spec.steps[1].dependsOn[0]: there is no step 'fetsh' (did you mean 'fetch'?)"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "+0.000s"),
        (59_999, "+59.999s"),
        (60_000, "+1m00.000s"),
        (3_599_999, "+59m59.999s"),
        (3_600_000, "+1h00m00s"),
        (90_061_000, "+25h01m01s"),
    ],
)
def test_elapsed_time_is_readable_at_every_size(milliseconds: int, text: str) -> None:
    assert elapsed(milliseconds) == text


def test_a_time_has_its_milliseconds_and_its_zone() -> None:
    assert clock(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"


def test_a_message_cannot_command_the_terminal() -> None:
    assert printable("gone\x1b[2J\nnext \u202e line") == r"gone\x1b[2J\nnext \u202e line"
    assert printable("köln → 東京") == "köln → 東京"
