"""Outputs and expressions without a cluster: what a process writes, and what the next one is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from kipu.core.events import Reason, StepEvaluated, StepFailed, StepSucceeded
from tests.shell.local_world import World, step

WRITES = [{"name": "rows", "type": "Int"}]
PAIR = {"count": 2}
TWICE = {"maxAttempts": 2, "backoff": {"initial": "10ms"}}


async def test_what_one_step_writes_another_reads(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        step("fetch", 'echo "rows=42" >> "$KIPU_OUTPUT"', outputs=WRITES),
        step(
            "load",
            '[ "$ROWS" = 43 ] && [ "$KIPU_OUTPUT" != "" ]',
            dependsOn=["fetch"],
            when="steps.fetch.outputs.rows > params.least",
            env=[{"name": "ROWS", "value": "${{ steps.fetch.outputs.rows + 1 }}"}],
        ),
        step("never", "exit 1", dependsOn=["fetch"], when="steps.fetch.outputs.rows > 100"),
        params=[{"name": "least", "value": 1}],
    )
    state = await world.live()
    assert [step.phase.value for step in state.steps] == ["Succeeded", "Succeeded", "Skipped"]
    assert [event.outputs for event in world.events if isinstance(event, StepSucceeded)] == [{"rows": 42}, None]
    assert [event.values for event in world.events if isinstance(event, StepEvaluated)] == [{"env[0].value": "43"}]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("true", Reason.OUTPUT_INVALID),
        ('echo rows=x >> "$KIPU_OUTPUT"', Reason.OUTPUT_INVALID),
        ('(echo rows=1; head -c 4096 /dev/zero | tr "\\\\0" "\\\\n") >> "$KIPU_OUTPUT"', Reason.OUTPUT_TOO_LARGE),
    ],
)
async def test_a_success_without_its_outputs_is_none(tmp_path: Path, script: str, reason: Reason) -> None:
    world = World(tmp_path, step("fetch", script, outputs=WRITES))
    await world.live()
    assert [event.reason for event in world.events if isinstance(event, StepFailed)] == [reason]


async def test_files_are_handed_on_from_the_attempts_that_have_succeeded(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        step("fetch", 'echo $KIPU_ATTEMPT > "$KIPU_STAGING/n"; [ $KIPU_ATTEMPT = 2 ]', retry=TWICE),
        step(
            "split", 'cp "$KIPU_INPUTS/fetch/n" "$KIPU_STAGING/$KIPU_INDEX"', dependsOn=["fetch"], forEach={"count": 2}
        ),
        step(
            "join",
            '[ "$(cat "$KIPU_INPUTS/fetch/n" "$KIPU_INPUTS"/split/0/0 "$KIPU_INPUTS"/split/1/1 | tr -d "\\n")" = 222 ]',
            dependsOn=["split"],
            inputs=["fetch", "split"],
        ),
        workspace={"claimName": "left-aside"},
    )
    state = await world.live()
    assert [step.phase.value for step in state.steps[:3]] == ["Succeeded"] * 3
    won = [event for event in world.events if isinstance(event, StepSucceeded)]
    assert all(event.pod_uid for event in won)
    assert won[0].attempt == 2


async def test_an_answer_that_stands_in_the_file_before_it_is_asked_for_is_heard(tmp_path: Path) -> None:
    ask = {"name": "ask", "dependsOn": ["first"], "approval": {"timeout": "20s"}}
    answer = {"step": "ask", "decision": "Approve", "by": "me"}
    world = World(tmp_path, step("first", "true"), ask, approvals=[answer])
    state = await world.live()
    assert [step.phase.value for step in state.steps] == ["Succeeded", "Succeeded"]
