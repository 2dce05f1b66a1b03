"""What the trials see of a run from outside: Jobs and pods' ends as they come, and how each Workflow ends.

Promises: all of it is told by watches and consistent lists of the API server; nothing of it is Kipu's log.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from e2e.apiserver import ApiServer, JsonObject, jobs, pods, workflows
from e2e.namespace import condition, ours
from e2e.scale import its_coming
from e2e.watching import Change, Watch

Attempt = tuple[str, str, str, str]  # of an attempt its workflow, step, index ("" where it is no item) and number


@dataclass(frozen=True, slots=True)
class End:
    """Of a Workflow, as it was first seen Finished."""

    status: JsonObject
    version: int
    at: float  # time.time()


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why a Workflow waits, as its status first said."""

    text: str
    version: int


class Ends:
    """Which Workflows have ended, and how, and what the others said they wait for."""

    def __init__(self) -> None:
        self.ends: dict[str, End] = {}  # by name, as the next
        self.excuses: dict[str, Excuse] = {}

    def watch(self, api: ApiServer, at: str) -> Watch:
        """All Workflows of a namespace."""
        return Watch(api, workflows(at), keep=self.keep)

    def keep(self, _kind: str, body: JsonObject) -> JsonObject:
        """Of each change no more than whose it is: there are tens of thousands."""
        metadata, status = body["metadata"], body.get("status", {})
        name, version = str(metadata["name"]), int(metadata["resourceVersion"])
        if condition(status, "Finished") == "True":
            self.ends.setdefault(name, End(status, version, time.time()))
        elif status.get("reason") and status.get("message"):
            self.excuses.setdefault(name, Excuse(f"{status['reason']}: {status['message']}", version))
        return {"metadata": {"uid": metadata["uid"]}}

    def wait(self, told: Watch, count: int, timeout_seconds: float) -> None:
        """Until so many have succeeded. Raises AssertionError, also where one has ended in another way."""
        told.wait_for(lambda _: len(self.ends) >= count, timeout_seconds, f"{count} Workflows are Finished")
        self.check()

    def check(self) -> None:
        """All that have ended have succeeded."""
        ends = list(self.ends.items())  # more may come meanwhile
        wrong = {name: end.status for name, end in ends if end.status["phase"] != "Succeeded"}
        assert not wrong, f"{len(wrong)} Workflows ended wrongly, such as {next(iter(wrong.items()))}"


def made(api: ApiServer, at: str) -> Watch:
    """The Jobs of ours, as they come."""
    return Watch(api, jobs(at), ours(), metadata_only=True, keep=its_coming)


def reached(api: ApiServer, at: str, phase: str) -> Watch:
    """The pods of ours, as they come to this phase."""
    return Watch(api, pods(at), ours(), fields=f"status.phase={phase}", metadata_only=True, keep=its_coming)


def ended(api: ApiServer, at: str) -> Watch:
    """The same, of those that have succeeded."""
    return reached(api, at, "Succeeded")


class Enough:
    """Whether so many changes are wanted ones: a condition for `Watch.wait_for` that looks at each of them once."""

    def __init__(self, count: int, wanted: Callable[[Change], bool]) -> None:
        self._count = count
        self._wanted = wanted
        self._looked_at = 0
        self._found = 0

    def __call__(self, watch: Watch) -> bool:
        """Those that came since it was last asked are counted."""
        new = watch.history[self._looked_at :]
        self._looked_at += len(new)
        self._found += sum(map(self._wanted, new))
        return self._found >= self._count


def revision(api: ApiServer, at: str) -> int:
    """Of etcd, now: what comes later has a higher version."""
    return int(api.get(jobs(at), limit="1")["metadata"]["resourceVersion"])


def attempts(changes: Iterable[Change]) -> Counter[Attempt]:
    """How many of them each attempt has."""
    return Counter(_attempt(change.labels) for change in changes)


def _attempt(labels: Mapping[str, str]) -> Attempt:
    index = labels.get("kipu.dev/index", "")
    return labels["kipu.dev/workflow"], labels["kipu.dev/step"], index, labels["kipu.dev/attempt"]


def check_once(what: str, changes: Iterable[Change], wanted: Iterable[Attempt]) -> None:
    """Each of these attempts has just one, and no other has any. Raises AssertionError."""
    found, expected = attempts(changes), Counter(wanted)
    missing, more = expected - found, found - expected
    assert not missing, f"{missing.total()} {what} are missing, such as {next(iter(missing))}"
    assert not more, f"{more.total()} {what} are too many, such as {next(iter(more))}"


def first_after(changes: Iterable[Change], version: int) -> Change:
    """The first that etcd has counted after this version. Raises AssertionError where there is none."""
    later = [change for change in changes if change.version > version]
    assert later, "nothing came after it"
    return min(later, key=lambda change: change.version)


def chain_gaps(workflow: str, made: Iterable[Change], ended: Iterable[Change]) -> list[float]:
    """In seconds, from the end of each step's pod to the next step's Job; its steps are t0, t1 and so on."""
    begins, ends = _by_step(workflow, made), _by_step(workflow, ended)
    gaps = []
    for step in range(1, len(begins)):
        begin, end = begins[f"t{step}"], ends[f"t{step - 1}"]
        assert begin.version > end.version, f"{workflow}: t{step} began before t{step - 1} had ended"
        gaps.append(begin.at - end.at)
    return gaps


def _by_step(workflow: str, changes: Iterable[Change]) -> dict[str, Change]:
    return {each.labels["kipu.dev/step"]: each for each in changes if each.labels["kipu.dev/workflow"] == workflow}


def steps_of(workflow: str, steps: int) -> Sequence[Attempt]:
    """The first attempts of its steps t0, t1 and so on."""
    return [(workflow, f"t{step}", "", "1") for step in range(steps)]
