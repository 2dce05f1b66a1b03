"""SIGKILL at half: how much later all ends, and how soon it goes on.

Fails where the order of the DAG was broken, or where a task did not run just once.
"""

from __future__ import annotations

import time
from tempfile import TemporaryDirectory

from bench import dag as dags
from bench import manifests
from bench.contest import namespace
from bench.dag import Dag
from bench.witness import Place, Witness
from e2e.apiserver import workflows
from e2e.measure import KIPU_ALONE
from e2e.namespace import ours

from . import lives, seen
from .figures import Case, Figure

NAME = "w0"
SECONDS_PER_TASK_MAX = 2.0


def run(place: Place, _copies: int | None) -> list[Case]:
    """See docs/performance.md."""
    return [_case(place, dag) for dag in (dags.chain(100), dags.layered(200))]


def _case(place: Place, dag: Dag) -> Case:
    calm, _ = _once(place, dag, kill=False)
    seconds, figures = _once(place, dag, kill=True)
    times = [
        Figure("undisturbed", calm, "s"),
        Figure("killed at half, its start included", seconds, "s"),
        Figure("later by", seconds - calm, "s"),
    ]
    return Case(f"kill: {dag.name}", [*times, *figures])


def _once(place: Place, dag: Dag, *, kill: bool) -> tuple[float, list[Figure]]:
    """Its seconds, and what a kill came to."""
    api, ends, half = place.api, seen.Ends(), len(dag) // 2
    limit = 60 + SECONDS_PER_TASK_MAX * len(dag)
    with (
        TemporaryDirectory() as folder,
        lives.operator(place, folder) as operator,
        namespace(api) as at,
        Witness(place, at, ours(), lambda change: manifests.task_of(change.labels), operator.pid) as witness,
        seen.made(api, at) as made,
        seen.ended(api, at) as ended,
        ends.watch(api, at) as told,
    ):
        begun = time.monotonic()
        api.create(workflows(at), manifests.workflow(dag, NAME))
        figures = []
        if kill:
            ended.wait_for(lambda each: len(each.history) >= half, limit, f"{half} tasks have ended")
            operator.kill()
            killed, cut = time.time(), seen.revision(api, at)
            figures.append(Figure("tasks seen ended at the kill", len(ended.history)))
            operator.start()
            witness.counts(operator.pid)
        ends.wait(told, 1, limit)
        seconds = time.monotonic() - begun
        witness.seen(dag, own=KIPU_ALONE)
        if kill:
            first = seen.first_after(made.history, cut)
            figures.append(Figure("from the kill to ownership", operator.led_at - killed, "s"))
            figures.append(Figure("from ownership to the first new Job", first.at - operator.led_at, "s", 3))
    return seconds, figures
