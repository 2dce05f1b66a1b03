"""Faults of our own code that the simulator has found, each as the smallest script that found it.

docs/faults.md tells what was wrong. A case is never deleted: it costs some 30 ms.
"""

from dataclasses import replace

import pytest

from tests.fakes.faults import Delayed, Status, TimeoutNotDone
from tests.fakes.nodes import Program
from tests.simulation.compare import Baselines
from tests.simulation.faults import Die
from tests.simulation.main import simulate
from tests.simulation.scenario import Plan, Scenario
from tests.simulation.scenarios import CANCEL, DIAMOND, RETRY
from tests.simulation.script import Ask, At, Script, Second, Write
from tests.simulation.tampering import CutLog, DeleteFromLog
from tests.simulation.third_parties import DeleteWorkflow, SuspendJob

pytestmark = pytest.mark.simulation

AGAIN = Scenario(
    name="again",
    plans=(
        Plan(
            spec={"defaults": {"image": "busybox:1.36"}, "steps": [{"name": "a", "script": "true"}]},
            fates={"a": (Program(run_seconds=0.5, exit_code=1),)},
            edits=((5.0, {"rerun": {"number": 2, "from": []}}),),
        ),
    ),
)
CASES: dict[str, tuple[Scenario, Script]] = {
    "a status that was sent long ago replaced the last one": (DIAMOND, (At(Write(10), Delayed(seconds=3.0)),)),
    "a refusal without a reason was taken for a deletion": (DIAMOND, (At(Write(10), Status(code=422)),)),
    "an overtaken session took the Jobs of its successor for a rollback": (
        replace(RETRY, replicas=2),
        (At(Second(0.7, 1), Die()), At(Ask(12, 1), TimeoutNotDone(seconds=10.0))),
    ),
    "a pod that was taken down for a suspension was taken for the attempt's end": (
        DIAMOND,
        (At(Second(0.6), SuspendJob(0, 5.0)),),
    ),
    "a log that was cut before a claim was not known by its Jobs": (
        CANCEL,
        (At(Write(5), CutLog(0, 1)), At(Write(6), Die())),
    ),
    "a log was begun although its Jobs were there": (
        DIAMOND,
        (At(Write(3), DeleteFromLog(0, "head")), At(Write(3), Die())),
    ),
    "the judge did not hear of a run that opened while its Workflow was leaving": (
        AGAIN,
        (At(Write(9), DeleteWorkflow(0, "Foreground")),),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_was_once_wrong_is_right(case: str) -> None:
    scenario, script = CASES[case]
    outcome = simulate(scenario, script, 0, Baselines())
    assert outcome.violations == []
    assert len(outcome.struck) == len(script)
