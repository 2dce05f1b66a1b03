"""CronWorkflows as they ship, in virtual time (looptime): when their Workflows are created, cancelled and deleted."""

from __future__ import annotations

import asyncio

import pytest

from kipu.shell.cron import Crons
from kipu.shell.kube_cron import CronKube
from kipu.shell.kube_http import Request
from tests.fakes.admission import Attempt
from tests.fakes.faults import Fault, Status, TimeoutNotDone
from tests.fakes.refusals import Refused
from tests.shell.cron_world import SPEC, World, minute

pytestmark = pytest.mark.looptime


async def test_a_workflow_is_created_at_each_time_and_shown() -> None:
    world = World()
    uid = world.apply(timeZone="Europe/Berlin")["metadata"]["uid"]
    async with world.serving():
        await world.until(130)
        assert world.children() == [minute(1), minute(2)]
        child = world.server.get("workflows", "default", minute(2))
        assert child is not None
        assert child["spec"] == SPEC
        assert child["metadata"]["labels"] == {
            "kipu.dev/cron-workflow": "c",
            "app.kubernetes.io/managed-by": "kipu",
        }
        assert child["metadata"]["annotations"] == {"kipu.dev/scheduled-time": "2026-01-01T00:02:00Z"}
        (owner,) = child["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == ("CronWorkflow", uid, True)
        assert world.server.requests[-1].time >= 120
        status = world.status()
        assert status["lastScheduleTime"] == "2026-01-01T00:02:00Z"
        assert status["nextScheduleTime"] == "2026-01-01T00:03:00Z"
        assert status["observedSchedule"] == {
            "schedule": "* * * * *",
            "timeZone": "Europe/Berlin",
            "since": "2026-01-01T00:00:00Z",
        }
        assert [each["name"] for each in status["active"]] == [minute(2)]
        assert world.condition() == ("True", "OnSchedule")
        await world.until(140)
        assert world.status()["activeCount"] == 0
        assert world.status()["lastSuccessfulTime"] == "2026-01-01T00:02:10Z"


async def test_a_time_comes_to_the_second() -> None:
    world = World()
    world.apply(schedule="0 1 * * *")
    async with world.serving():
        await world.until(3_600.1)
        assert world.children() == [minute(60)]
        (sent,) = [each for each in world.server.requests if each.path.endswith("/workflows") and each.method == "POST"]
        assert 3_600 <= sent.time < 3_600.1


async def test_nothing_is_read_or_written_between_the_times() -> None:
    world = World()
    world.apply(schedule="0 1 * * *")
    async with world.serving():
        await world.until(10)
        before = len(world.server.requests)
        await world.until(3_500)
        quiet = [each for each in world.server.requests[before:] if "watch=true" not in each.path]
        assert quiet == []


@pytest.mark.parametrize(("policy", "most"), [("Allow", 3), ("Forbid", 1), ("Replace", 2)])
async def test_the_concurrency_policy_holds(policy: str, most: int) -> None:
    world = World(run_seconds=150)
    world.apply(concurrencyPolicy=policy)
    async with world.serving():
        await world.until(601)
        assert world.most_active == most
        if policy != "Forbid":
            assert list(world.created) == [minute(number) for number in range(1, 11)]


async def test_what_forbid_holds_back_is_shown_and_starts_when_the_other_has_ended() -> None:
    world = World(run_seconds=90)
    world.apply(concurrencyPolicy="Forbid")
    async with world.serving():
        await world.until(121)
        assert world.children() == [minute(1)]
        assert world.condition() == ("False", "WorkflowActive")
        await world.until(151)
        assert world.children() == [minute(1), minute(2)]
        assert world.condition() == ("True", "OnSchedule")


async def test_replace_cancels_the_earlier_one_and_starts_the_new_one_at_once() -> None:
    world = World(run_seconds=None)
    world.apply(concurrencyPolicy="Replace")
    async with world.serving():
        await world.until(121)
        first = world.server.get("workflows", "default", minute(1))
        assert first is not None
        assert first["spec"]["shutdown"] == {"mode": "Cancel", "run": 1}
        assert world.children() == [minute(1), minute(2)]
        assert world.status()["activeCount"] == 2
        await world.until(130)
        assert [each["name"] for each in world.status()["active"]] == [minute(2)]
        second = world.server.get("workflows", "default", minute(2))
        assert second is not None
        assert "shutdown" not in second["spec"]


async def test_nothing_starts_while_suspended_and_what_runs_goes_on() -> None:
    world = World(run_seconds=200)
    world.apply()
    async with world.serving():
        await world.until(61)
        world.edit(suspend=True)
        await world.until(241)
        assert world.children() == [minute(1)]
        assert world.condition() == ("Unknown", "Suspended")
        assert "nextScheduleTime" not in world.status()
        world.edit(suspend=False)
        await world.until(242)
        assert world.children() == [minute(1), minute(4)]  # of those that were missed, the last


async def test_after_a_downtime_the_last_missed_time_is_made_up_for() -> None:
    world = World()
    world.apply(schedule="*/10 * * * *")
    async with world.serving():
        await world.until(601)
    await world.until(100 * 60)
    async with world.serving("two"):
        await world.until(100 * 60 + 5)
        assert world.children() == [minute(10), minute(100)]


@pytest.mark.parametrize(("late_seconds", "starts"), [(29, True), (31, False)])
async def test_but_not_after_its_starting_deadline(late_seconds: int, starts: bool) -> None:
    world = World()
    world.apply(schedule="*/10 * * * *", startingDeadlineSeconds=30)
    await world.until(600 + late_seconds)
    async with world.serving():
        await world.until(600 + late_seconds + 1)
        assert (world.children() == [minute(10)]) is starts
        assert world.condition() == (("True", "OnSchedule") if starts else ("False", "DeadlineMissed"))
        await world.until(1_201)
        assert minute(20) in world.children()
        assert world.condition() == ("True", "OnSchedule")


async def test_a_schedule_that_is_changed_counts_from_then_on() -> None:
    world = World()
    world.apply(schedule="10 * * * *")
    async with world.serving():
        await world.until("2026-01-01T00:50:00")
        world.edit(schedule="40 * * * *")  # its own 00:40 is not made up for
        await world.until("2026-01-01T01:30:00")
        assert world.children() == [minute(10)]
        assert world.status()["observedSchedule"]["since"] == "2026-01-01T00:50:00Z"
        await world.until("2026-01-01T01:40:01")
        assert world.children() == [minute(10), minute(100)]


async def test_history_is_kept_as_far_as_it_was_asked_for() -> None:
    world = World()
    world.apply(successfulWorkflowsHistoryLimit=2, failedWorkflowsHistoryLimit=0)
    async with world.serving():
        await world.until(305)
        assert world.children() == [minute(number) for number in (3, 4, 5)]
        world.phase = "Failed"
        await world.until(665)
        assert world.children() == [minute(number) for number in (4, 5, 10, 11)]  # those of the last 2 minutes stay


async def test_a_spec_that_is_wrong_starts_nothing_and_says_why_until_it_is_mended() -> None:
    world = World(run_seconds=30)
    world.apply()
    async with world.serving():
        await world.until(61)
        world.edit(schedule="61 * * * *", workflowTemplate={"spec": {"steps": [{"name": "x", "script": "true"}]}})
        await world.until(200)
        assert world.children() == [minute(1)]
        assert world.condition("Accepted") == world.condition("Ready") == ("False", "Invalid")
        (told,) = [each["message"] for each in world.status()["conditions"] if each["type"] == "Accepted"]
        assert "spec.schedule" in told
        assert "spec.workflowTemplate.spec.steps[0]: there is no image to run" in told
        assert world.status()["activeCount"] == 0
        world.edit(schedule="* * * * *", workflowTemplate={"spec": SPEC})
        await world.until(241)
        assert world.condition("Accepted") == ("True", "Accepted")
        assert world.children() == [minute(1), minute(3), minute(4)]


async def test_one_that_is_deleted_starts_nothing_more_and_takes_its_workflows_with_it() -> None:
    world = World()
    world.apply()
    async with world.serving():
        await world.until(61)
        world.server.delete("cronworkflows", "default", "c")
        await world.until(300)
        assert world.children() == []
        assert list(world.created) == [minute(1)]


async def test_a_namesake_begins_anew_and_leaves_the_workflows_of_the_old_one_alone() -> None:
    world = World(run_seconds=None)
    world.apply(schedule="0 * * * *")
    async with world.serving():
        await world.until(3_601)
        world.server.delete("cronworkflows", "default", "c", propagationPolicy="Orphan")
        await world.when(lambda: world.server.get("cronworkflows", "default", "c") is None)
        world.apply(concurrencyPolicy="Replace")
        await world.until(3_661)
        old = world.server.get("workflows", "default", minute(60))
        assert old is not None
        assert "shutdown" not in old["spec"]
        assert [each["name"] for each in world.status()["active"]] == [minute(61)]


async def test_a_name_that_somebody_else_has_taken_is_told_and_left_alone() -> None:
    world = World(run_seconds=None)
    world.server.create({"kind": "Workflow", "metadata": {"name": minute(1)}, "spec": SPEC})
    world.apply()
    async with world.serving():
        await world.until(70)
        assert world.condition() == ("False", "NameTaken")
        assert "lastScheduleTime" not in world.status()
        await world.until(125)
        assert world.children() == [minute(1), minute(2)]
        assert world.condition() == ("True", "OnSchedule")


async def test_a_create_that_is_refused_is_told_and_tried_again() -> None:
    world = World()

    is_open = False
    world.server.admission.policies.append(lambda attempt: None if is_open else _refuse(attempt))
    world.apply()
    async with world.serving():
        await world.until(65)
        assert world.condition() == ("False", "CreateRefused")
        assert world.children() == []
        is_open = True
        await world.until(75)
        assert world.children() == [minute(1)]
        assert world.condition() == ("True", "OnSchedule")


def _refuse(attempt: Attempt) -> Refused | None:
    is_create = attempt.kind.plural == "workflows" and attempt.verb == "create"
    return attempt.denied("guard", "no") if is_create else None


async def test_an_api_server_that_does_not_answer_is_asked_again_with_growing_waits() -> None:
    world = World()
    world.apply()
    is_down = True

    def down(_index: int, request: Request) -> Fault | None:
        return TimeoutNotDone(seconds=1.0) if is_down and "watch" not in request.query else None

    async with world.serving(faults=down):
        await world.until(30)
        is_down = False
        await world.until(61)
        assert world.children() == [minute(1)]


async def test_one_that_cannot_be_served_holds_up_no_other() -> None:
    world = World()
    world.apply("bad")
    world.apply("good")

    def broken(_index: int, request: Request) -> Fault | None:
        return Status(code=500) if "cronworkflows/bad" in request.path else None

    async with world.serving(faults=broken):
        await world.until(125)
        assert {name.rpartition("-")[0] for name in world.created} == {"good"}


@pytest.mark.proof
async def test_hundreds_that_are_due_at_once_are_all_served_within_seconds() -> None:
    world = World()
    for number in range(200):
        world.apply(f"c{number}", schedule="0 * * * *")
    async with world.serving():
        await world.until(3_600 + 4)
        assert len(world.created) == 200


async def test_a_standby_creates_nothing_until_it_leads() -> None:
    world = World()
    leads = False
    world.apply()
    crons = Crons(CronKube(world.server.connect(user="standby")), world.server.clock, lambda _uid: leads)
    task = asyncio.create_task(crons.run())
    await world.until(90)
    assert world.server.writes("standby") == []
    leads = True
    crons.ownership_changed()
    await world.until(91)
    assert world.children() == [minute(1)]
    leads = False
    crons.ownership_changed()
    await world.until(300)
    assert world.children() == [minute(1)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
