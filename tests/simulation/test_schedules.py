"""A CronWorkflow in the simulated world: each of its times starts one Workflow, whatever happens to the operator."""

from __future__ import annotations

import pytest

from .faults import Die
from .scenario import Plan, Scenario, spec, step
from .script import At, Script, Second, Write
from .world import CRON, run

pytestmark = pytest.mark.simulation

EACH = {"schedule": "* * * * *", "workflowTemplate": {"spec": spec(step("one"))}, "successfulWorkflowsHistoryLimit": 10}
SCHEDULED = Scenario(
    name="scheduled", plans=(Plan(spec=spec(step("only"))),), replicas=2, lease=True, cron=EACH, cron_seconds=185.0
)


def started(script: Script) -> list[str]:
    outcome = run(SCHEDULED, script)
    assert outcome.violations == []
    return sorted(name for name in outcome.endings if name.startswith(CRON))


def test_each_minute_starts_one_workflow_and_nothing_after_it_is_suspended() -> None:
    names = started(())
    minutes = [int(name.removeprefix(f"{CRON}-")) for name in names]
    assert len(minutes) == 3
    assert minutes == list(range(minutes[0], minutes[0] + 3))


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("after", [False, True])
def test_an_operator_that_dies_at_any_write_starts_none_twice(number: int, after: bool) -> None:
    """The first writes are those of the other Workflow: of both replicas, since it is not known which one leads."""
    script = tuple(At(Write(number + 8, replica), Die(after=after)) for replica in (0, 1))
    assert len(started((*script, At(Second(1.0), Die())))) in (2, 3)
