"""Old Jobs of a long run are deleted: how soon, and what a chain beside it feels of that.

Fails where more are deleted than may be, where the others stay, or where an item did not run once.
"""

from __future__ import annotations

from bench import manifests as bench_manifests
from bench.dag import chain
from bench.witness import LATE_SECONDS, Place
from e2e.apiserver import ApiServer, JsonObject, jobs, workflows
from e2e.measure import nearest_rank
from e2e.namespace import Namespace, ours
from e2e.watching import Change, Watch

from . import lives, manifests, seen
from .figures import Case, Figure

ITEMS = 2_000
KEPT = 200
PARALLELISM = 400  # of the operator's 2,000 places: the chain never waits for one
LENGTH = 20
CHAINS = 3  # one after the other, in each part
CHAIN_SECONDS = 60.0
SECONDS_PER_ITEM_MAX = 0.5
NAME = "fan"


class _Stage:
    """One operator, one namespace, all that is seen in it."""

    def __init__(self, api: ApiServer, at: str, jobs: Watch, ended: Watch, told: Watch, ends: seen.Ends) -> None:
        self.api, self.at, self.jobs, self.ended, self.told, self.ends = api, at, jobs, ended, told, ends

    def chains(self, part: str) -> list[float]:
        """The gaps of a few, in order of size."""
        return sorted(gap for number in range(CHAINS) for gap in self._chain(f"{part}-{number}"))

    def _chain(self, name: str) -> list[float]:
        self.api.create(workflows(self.at), bench_manifests.workflow(chain(LENGTH), name))
        self.told.wait_for(lambda _: name in self.ends.ends, CHAIN_SECONDS, f"{name} is Finished")
        self.ends.check()
        for watch in (self.jobs, self.ended):
            enough = seen.Enough(LENGTH, lambda change: change.kind == "ADDED" and of(change) == name)
            watch.wait_for(enough, LATE_SECONDS, f"all Jobs and ends of pods of {name}")
        return seen.chain_gaps(name, added(self.jobs.history), self.ended.history)

    def deleted(self) -> list[Change]:
        """The Jobs of the long run that are gone."""
        return [change for change in self.jobs.history if is_deleted(change)]


def run(place: Place, copies: int | None) -> list[Case]:
    """See docs/performance.md."""
    api, items, ends = place.api, copies or ITEMS, seen.Ends()
    assert items > KEPT, f"COPIES must be more than the {KEPT} Jobs that are kept"
    limit = 60 + SECONDS_PER_ITEM_MAX * items
    with (
        lives.alone(place, KIPU_JOBS_KEPT=str(KEPT)) as (_, at),
        Watch(api, jobs(at), ours(), metadata_only=True, keep=coming_and_going) as made,
        seen.ended(api, at) as ended,
        ends.watch(api, at) as told,
    ):
        stage = _Stage(api, at, made, ended, told, ends)
        parts = {"alone": stage.chains("alone")}
        uid = str(api.create(workflows(at), manifests.items(NAME, items, parallelism=PARALLELISM))["metadata"]["uid"])
        made.wait_for(seen.Enough(1, is_deleted), limit, "the first Job is deleted")
        parts["beside"] = stage.chains("beside")
        told.wait_for(lambda _: NAME in ends.ends, limit, f"{NAME} is Finished")
        parts["after"] = stage.chains("after")
        made.wait_for(seen.Enough(items - KEPT, is_deleted), limit, f"only {KEPT} Jobs are left")
        left = len(api.items(jobs(at), ours(uid)))
        assert left == KEPT, f"{left} Jobs are left, not {KEPT}"
        objects = len(Namespace(api, at).log_objects(uid))
        ends.check()
        wanted = [(NAME, "shard", str(index), "1") for index in range(items)]
        for changes in (added(made.history), ended.history):
            seen.check_once("Jobs and ends of pods", [each for each in changes if of(each) == NAME], wanted)
        figures = _figures(stage.deleted(), ends.ends[NAME])
    told_gaps = [figure for part, gaps in parts.items() for figure in _gaps(part, gaps, parts["alone"])]
    title = f"housekeeping: a fan-out of {items:,}, {KEPT} Jobs kept"
    return [Case(title, [*figures, Figure("log objects at the end", objects), *told_gaps])]


def coming_and_going(kind: str, body: JsonObject) -> JsonObject | None:
    """Whose Job came, or went."""
    if kind not in ("ADDED", "DELETED"):
        return None
    return {"metadata": {key: body["metadata"][key] for key in ("name", "uid", "labels")}}


def added(changes: list[Change]) -> list[Change]:
    """Those that came."""
    return [change for change in changes if change.kind == "ADDED"]


def is_deleted(change: Change) -> bool:
    """Whether a Job of the long run went."""
    return change.kind == "DELETED" and of(change) == NAME


def of(change: Change) -> str:
    """Its workflow's name."""
    return change.labels["kipu.dev/workflow"]


def _figures(deleted: list[Change], end: seen.End) -> list[Figure]:
    while_it_ran = sum(change.version < end.version for change in deleted)
    return [
        Figure("Jobs deleted while it ran", while_it_ran),
        Figure("Jobs deleted in all", len(deleted)),
        Figure(f"from its end until only {KEPT} were left", max(change.at for change in deleted) - end.at, "s", 1),
    ]


WHEN = {"alone": "before it", "beside": "beside it, from the first deletion on", "after": "after its end"}


def _gaps(part: str, gaps: list[float], alone: list[float]) -> list[Figure]:
    """Of the chains of one part, and how they compare."""
    found = []
    for fraction in (0.5, 0.99):
        seconds, before = nearest_rank(gaps, fraction), nearest_rank(alone, fraction)
        what = f"{CHAINS} chains of {LENGTH} {WHEN[part]}: gap p{100 * fraction:.0f}"
        found.append(Figure(what, f"{1000 * seconds:.1f} ms ({seconds / before:.2f} times that before it)"))
    return found
