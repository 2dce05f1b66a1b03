"""Thousands of Workflows at once, of three priorities: how fast, how costly, in which order, and what they say.

Fails where one is lost, doubled or not succeeded, or where one that waits does not say why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench import manifests
from bench.contest import submit
from bench.dag import Dag, chain
from bench.witness import LATE_SECONDS, Place
from e2e.apiserver import ApiServer, JsonObject
from e2e.counters import counted
from e2e.operator_process import OperatorProcess
from e2e.scale import server_metrics
from e2e.watching import Change
from kipu.shell.engine import OPENING_MAX

from . import lives, orders, seen
from .figures import Case, Figure, mebibytes
from .probes import Probes

COPIES = 5_000
PLACES = 100  # so few, and pods that take a second, so that nearly all of them have to wait
STEP: Dag = replace(chain(1), ms=(1_000,))
URGENT, LAZY = 10, -10
ASKED = 20  # of those that wait longest
SECONDS_PER_COPY_MAX = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """Of the operator so far, and who was told to come later."""

    cpu_seconds: float
    memory_bytes_max: int
    told_later: int  # 429, to the operator
    rejected: int  # by the API server's flow control, of everybody

    @classmethod
    def now(cls, api: ApiServer, operator: OperatorProcess) -> Cost:
        """As both count."""
        return cls(
            operator.cpu_seconds(),
            operator.memory_bytes_max(),
            counted(operator.metrics(), "kipu_api_requests_total", status="429"),
            counted(server_metrics(api), "apiserver_flowcontrol_rejected_requests_total"),
        )


def run(place: Place, copies: int | None) -> list[Case]:
    """See docs/performance.md."""
    count, api, ends = copies or COPIES, place.api, seen.Ends()
    assert count >= 5 * PLACES, f"COPIES must be at least {5 * PLACES}, or nobody waits"
    limit = 60 + SECONDS_PER_COPY_MAX * count
    with (
        lives.alone(place, KIPU_PARALLELISM=str(PLACES)) as (operator, at),
        seen.made(api, at) as made,
        seen.ended(api, at) as ended,
        ends.watch(api, at) as told,
    ):
        before = Cost.now(api, operator)
        with Probes(operator) as probes:
            begun = time.monotonic()
            answers = submit(api, at, [_manifest(number) for number in range(count)])
            submitted = time.monotonic() - begun
            # Creation times have whole seconds.
            accepted = {str(each["metadata"]["name"]): int(each["metadata"]["resourceVersion"]) for each in answers}
            ends.wait(told, count, limit)
            seconds = time.monotonic() - begun
        after = Cost.now(api, operator)
        for watch in (made, ended):
            watch.wait_for(lambda each: len(each.history) >= count, LATE_SECONDS, f"{count} Jobs and ends of pods")
            seen.check_once("Jobs and ends of pods", watch.history, [(name, "t0", "", "1") for name in accepted])
        waits = _waits(ends, {change.labels["kipu.dev/workflow"]: change for change in made.history}, count)
        row = row_of(made.history, accepted)
    speed = [
        Figure("all submitted after", submitted, "s", 1),
        Figure("all Finished after", seconds, "s", 1),
        Figure("workflows a second", count / seconds, digits=1),
    ]
    what = f"flood: {count} workflows of one step, {PLACES} places, pods of 1 s"
    return [Case(what, [*speed, *_costs(before, after, count), *_health(probes), *order(row), waits])]


def priority_of(number: int) -> int:
    """Every tenth is urgent, every tenth has time."""
    return {0: URGENT, 5: LAZY}.get(number % 10, 0)


def name_of(number: int) -> str:
    """Of the n-th to be created."""
    return f"w{number}"


def _manifest(number: int) -> JsonObject:
    body = manifests.workflow(STEP, name_of(number))
    body["spec"]["priority"] = priority_of(number)
    return body


# -- what is found ------------------------------------------------------------------------------------------------


def row_of(jobs: list[Change], accepted: Mapping[str, int]) -> list[orders.Entry]:
    """Who was served after the last had been accepted, in that order."""
    last = max(accepted.values())
    late = sorted((job for job in jobs if job.version > last), key=lambda job: job.version)
    names = [job.labels["kipu.dev/workflow"] for job in late]
    return [orders.Entry(priority_of(int(name[1:])), accepted[name]) for name in names]


def order(row: list[orders.Entry]) -> list[Figure]:
    """Who overtook whom."""
    found, pairs, wrong = orders.overtaken(row), orders.pairs_of_priorities(row), orders.lower_first(row)
    return [
        Figure("Jobs after all were submitted", len(row)),
        Figure("pairs in which the lower priority came first", wrong),
        Figure("of all pairs of two priorities", f"{wrong / pairs:.3%}" if pairs else "there are none"),
        Figure("most younger ones of the same priority before an older one", max(found, default=0)),
        Figure(
            f"with more than {OPENING_MAX} of them before it (so many logs are opened at once)",
            sum(each > OPENING_MAX for each in found),
        ),
    ]


def _costs(before: Cost, after: Cost, count: int) -> list[Figure]:
    cpu = after.cpu_seconds - before.cpu_seconds
    return [
        Figure("operator CPU a workflow", 1000 * cpu / count, "ms"),
        mebibytes("operator memory at most, before", before.memory_bytes_max),
        mebibytes("operator memory at most, after", after.memory_bytes_max),
        Figure("its requests answered 429", after.told_later - before.told_later),
        Figure("rejected by the API server's flow control, of everybody", after.rejected - before.rejected),
    ]


def _health(probes: Probes) -> list[Figure]:
    slowest = [Figure(f"/{path} at most", 1000 * each, "ms", 0) for path, each in probes.slowest_seconds.items()]
    first = f", first {probes.refused[0]}" if probes.refused else ""
    return [*slowest, Figure("not ok", f"{len(probes.refused)} of {probes.asked}{first}")]


def _waits(ends: seen.Ends, jobs: Mapping[str, Change], count: int) -> Figure:
    """What those said that were to wait longest, before their Job came. Raises AssertionError if one said nothing."""
    lazy = [name_of(number) for number in range(count) if priority_of(number) == LAZY][-ASKED:]
    for name in lazy:
        excuse = ends.excuses.get(name)
        assert excuse is not None, f"Workflow {name} never said why it waits"
        assert excuse.version < jobs[name].version, f"Workflow {name} said why it waits only once it did not"
    what = f"the last {len(lazy)} with the lowest priority said before their Job came, such as"
    return Figure(what, ends.excuses[lazy[-1]].text)
