"""A cancel while half of a fan-out runs: how soon it has taken effect, and that nothing of it is left.

Fails where the Workflow says Cancelled while a pod of it has not ended, where a Job of a cancelled step stays, or where
a step that had succeeded ran again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import manifests
from bench.dag import Dag
from bench.witness import Place
from e2e.apiserver import JsonObject, jobs, pods, workflows
from e2e.measure import requests_in, writes_in
from e2e.namespace import Namespace, is_placeholder, ours
from e2e.watching import Change, Watch

from . import lives, seen
from .figures import Case, Figure

HALF = 200
HOUR_MS = 3_600_000
NAME = "cancelled"
SECONDS_MAX = 300.0


@dataclass(frozen=True, slots=True)
class _Patch:
    """The request to cancel, once it was answered."""

    version: int
    at: float  # time.time()


def run(place: Place, _copies: int | None) -> list[Case]:
    """See docs/performance.md."""
    api, ends, dag = place.api, seen.Ends(), halves()
    with (
        lives.alone(place) as (operator, at),
        Watch(api, jobs(at), ours(), metadata_only=True, keep=coming) as made,
        seen.ended(api, at) as ended,
        ends.watch(api, at) as told,
    ):
        uid = str(api.create(workflows(at), manifests.workflow(dag, NAME))["metadata"]["uid"])
        ended.wait_for(lambda each: len(each.history) >= 1 + HALF, SECONDS_MAX, f"{1 + HALF} tasks have ended")
        before, begun = requests_in(operator.metrics()), time.time()
        answer = api.merge(workflows(at, NAME), {"spec": {"shutdown": {"mode": "Cancel"}}})
        patch = _Patch(int(answer["metadata"]["resourceVersion"]), time.time())
        told.wait_for(lambda _: NAME in ends.ends, SECONDS_MAX, f"{NAME} is Cancelled")
        left = unended(api.items(pods(at), ours(uid)))
        end, after = ends.ends[NAME], requests_in(operator.metrics())
        assert end.status["phase"] == "Cancelled", end.status
        assert not left, f"{len(left)} pods had not ended at Cancelled, such as {left[0]}"
        _check_jobs(Namespace(api, at).jobs(uid))
        first = [each for each in made.history if not is_placeholder(each.body)]
        wanted = seen.steps_of(NAME, 1 + HALF)
        seen.check_once("Jobs of what has succeeded", [each for each in first if task_of(each) <= HALF], wanted)
        seen.check_once("ends of pods", ended.history, wanted)
        writes = writes_in(after - before).total()
    figures = [
        Figure("from the request to phase Cancelled", end.at - begun, "s"),
        Figure("pods not ended then, by a consistent list", len(left)),
        Figure("Jobs of the second half before the request was answered", _long_before(first, patch)),
        *_late(first, patch),
        Figure("steps Cancelled, by the status", int(end.status["counts"]["cancelled"])),
        Figure("the operator's API writes for each step of the second half", writes / HALF),
    ]
    return [Case(f"cancel: a fan-out of {2 * HALF}, half of which would run for an hour", figures)]


def halves() -> Dag:
    """One, then as many that take no time as ones that take an hour, those later."""
    return Dag(name="halves", parents=((), *((0,),) * (2 * HALF)), ms=(0,) * (1 + HALF) + (HOUR_MS,) * HALF)


def coming(kind: str, body: JsonObject) -> JsonObject | None:
    """Whose Job came, and whether it is a placeholder."""
    if kind != "ADDED":
        return None
    return {"metadata": {key: body["metadata"].get(key, {}) for key in ("name", "uid", "labels", "annotations")}}


def task_of(change: Change) -> int:
    """Of this Job."""
    return int(change.labels.get("kipu.dev/step", "t-1")[1:])


def unended(found: Sequence[JsonObject]) -> list[str]:
    """The pods that may still run, by name."""
    return [pod["metadata"]["name"] for pod in found if pod["status"].get("phase") not in ("Succeeded", "Failed")]


def _check_jobs(found: Sequence[JsonObject]) -> None:
    """Of a cancelled step nothing stays but the placeholder of its Job's name. Raises AssertionError."""
    real = [job for job in found if not is_placeholder(job)]
    left = [job["metadata"]["name"] for job in real if manifests.task_of(job["metadata"]["labels"]) > HALF]
    assert not left, f"{len(left)} Jobs of cancelled steps stay, such as {left[0]}"


def _long_before(jobs: Sequence[Change], patch: _Patch) -> int:
    return sum(task_of(change) > HALF and change.version < patch.version for change in jobs)


def _late(jobs: Sequence[Change], patch: _Patch) -> list[Figure]:
    """What was sent before the operator had heard of the request."""
    late = [change for change in jobs if change.version > patch.version]
    last = max((change.at - patch.at for change in late), default=0.0)
    return [
        Figure("Jobs that came after it was answered, placeholders aside", len(late)),
        Figure("the last of them after", 1000 * last, "ms", 0),
    ]
