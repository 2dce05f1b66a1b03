"""An operator that comes back: to a long log, and to many workflows whose pods have ended while it was down.

Fails where a step of which the log or the cluster knows the end runs again, or where one is missing. The clock runs
from ownership: from the moment at which the new process says that it leads.
"""

from __future__ import annotations

from dataclasses import replace
from tempfile import TemporaryDirectory

from bench import manifests
from bench.contest import namespace, submit
from bench.dag import Dag, chain
from bench.witness import LATE_SECONDS, Place
from e2e.apiserver import ApiServer, pods
from e2e.namespace import ours

from . import lives, replay, seen
from .figures import Case, Figure, mebibytes

EVENTS = (10_000, 100_000)
WORKFLOWS = (1, 10, 1_000)
PLACES = 2_000
RUN_SECONDS = 10.0  # of a pod, and for each workflow as much as its start may take on two cores
RUN_SECONDS_PER_WORKFLOW = 0.06
SECONDS_PER_WORKFLOW_MAX = 0.5


def run(place: Place, _copies: int | None) -> list[Case]:
    """See docs/performance.md."""
    return [
        *(replay.case(place, events) for events in EVENTS),
        *(_case(place, workflows) for workflows in WORKFLOWS),
    ]


def pair(workflows: int) -> Dag:
    """A step that runs until the last of so many workflows has surely begun, and one that follows."""
    return replace(chain(2), ms=(int(1000 * (RUN_SECONDS + RUN_SECONDS_PER_WORKFLOW * workflows)), 0))


def _case(place: Place, count: int) -> Case:
    api, dag, ends = place.api, pair(count), seen.Ends()
    limit = 60 + SECONDS_PER_WORKFLOW_MAX * count + dag.ms[0] / 1000
    with (
        TemporaryDirectory() as folder,
        lives.operator(place, folder, KIPU_PARALLELISM=str(PLACES)) as operator,
        namespace(api) as at,
        seen.made(api, at) as made,
        seen.reached(api, at, "Running") as running,
        seen.ended(api, at) as ended,
        ends.watch(api, at) as told,
    ):
        submit(api, at, [manifests.workflow(dag, f"w{copy}") for copy in range(count)])
        running.wait_for(lambda each: len(each.history) >= count, limit, f"{count} pods run")
        operator.kill()
        _check_running(api, at, count)
        ended.wait_for(lambda each: len(each.history) >= count, limit, f"{count} pods have ended")
        cut = seen.revision(api, at)
        operator.start()
        ends.wait(told, count, limit)
        for watch in (made, ended):
            watch.wait_for(lambda each: len(each.history) >= 2 * count, LATE_SECONDS, "all Jobs and ends of pods")
            wanted = [each for copy in range(count) for each in seen.steps_of(f"w{copy}", 2)]
            seen.check_once("Jobs and ends of pods", watch.history, wanted)
        second = [change for change in made.history if change.labels["kipu.dev/step"] == "t1"]
        assert min(change.version for change in second) > cut, "a second step began before the restart"
        waits = sorted(change.at - operator.led_at for change in second)
        costs = [
            Figure("CPU from its start to the end of all", operator.cpu_seconds(), "s"),
            mebibytes("memory at most", operator.memory_bytes_max()),
        ]
    figures = [
        Figure("from ownership to the first second step", waits[0], "s", 3),
        Figure("from ownership to the last second step", waits[-1], "s", 3),
    ]
    return Case(f"recovery: {count} workflows whose pods have ended meanwhile", [*figures, *costs])


def _check_running(api: ApiServer, at: str, count: int) -> None:
    """Else the operator has seen ends before it died. Raises AssertionError."""
    phases = [pod["status"].get("phase") for pod in api.items(pods(at), ours())]
    run = phases.count("Running")
    assert run == len(phases) == count, f"at the kill {run} of {len(phases)} pods ran, not {count}"
