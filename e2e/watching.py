"""What happened in the cluster, in its exact order, as a watch told it: the tests' own witness.

Promises: every change of the selection since `with` is in `history`, in order, or the watch fails loudly: one that
the API server closes (it does so to a reader that it judges slow) goes on where it was. resourceVersions order changes
of different kinds too, since one etcd counts them all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from .apiserver import METADATA, METADATA_LIST, ApiServer, JsonObject, lines, shut

T = TypeVar("T")
Keep = Callable[[str, JsonObject], JsonObject | None]  # what is kept of an object, by the kind of its change, if any
RESUMES_MAX = 20  # a server that closes more often than this within one test is a finding, not noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one object."""

    kind: str  # ADDED, MODIFIED, DELETED
    at: float  # time.time() when it reached us, in seconds
    version: int  # the resourceVersion: etcd's revision
    body: JsonObject

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.body["metadata"].get("labels", {}))

    @property
    def phase(self) -> str:
        return str(self.body.get("status", {}).get("phase", ""))


def whole(_kind: str, body: JsonObject) -> JsonObject:
    """All of every change."""
    return body


class Watch:
    """All changes of one list of objects, collected by a thread from `with` to its end.

    Where there are tens of thousands, ask for `metadata_only` and `keep` less of them.
    """

    def __init__(
        self,
        api: ApiServer,
        path: str,
        selector: str = "",
        *,
        fields: str = "",
        metadata_only: bool = False,
        keep: Keep = whole,
    ) -> None:
        self._api = api
        self._path = path
        self._query = {key: text for key, text in (("labelSelector", selector), ("fieldSelector", fields)) if text}
        self._metadata_only = metadata_only
        self._keep = keep
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._stopping = False
        self._answer: BaseHTTPResponse
        self._version = ""  # to go on from
        self._broken: BaseException | None = None
        self.history: list[Change] = []

    def __enter__(self) -> Watch:
        accept = METADATA_LIST if self._metadata_only else "application/json"
        begun = self._api.get(self._path, accept=accept, **self._query)
        kind = str(begun["kind"]).removesuffix("List")
        for item in begun["items"] or ():
            self._add("ADDED", {"kind": kind, **item})
        self._version = str(begun["metadata"]["resourceVersion"])
        self._open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        shut(self._answer)
        self._thread.join(10)
        self._answer.close()
        if kind is None and self._broken is not None:
            raise AssertionError(f"the watch of {self._path} broke, the test has seen too little") from self._broken

    def wait_for(self, condition: Callable[[Watch], T | None], timeout_seconds: float, what: str) -> T:
        """Until the condition on this watch yields something true; looked at after every change."""
        end = time.monotonic() + timeout_seconds
        with self._changed:
            while not (found := condition(self)):
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {timeout_seconds:g} s: {what}")
                if self._broken is not None:
                    raise AssertionError(f"the watch of {self._path} broke") from self._broken
                self._changed.wait(left)
        return found

    def newest(self) -> dict[str, Change]:
        """The newest change of each object, by uid, those that were deleted included."""
        return {change.uid: change for change in self.history}

    def first(self, condition: Callable[[Change], bool]) -> Change | None:
        """The first change that fulfils the condition."""
        return next((change for change in self.history if condition(change)), None)

    def _open(self) -> None:
        query = {**self._query, "resourceVersion": self._version, "allowWatchBookmarks": "true"}
        accept = METADATA if self._metadata_only else "application/json"
        self._answer = self._api.open_watch(self._path, accept=accept, **query)

    def _read(self) -> None:
        try:
            for _ in range(RESUMES_MAX):
                self._follow()
                if self._stopping:
                    return
                self._open()
            raise AssertionError(f"the API server closed the watch {RESUMES_MAX} times")
        except (HTTPError, OSError, ValueError, AssertionError) as error:
            if not self._stopping:
                with self._changed:
                    self._broken = error
                    self._changed.notify_all()

    def _follow(self) -> None:
        """Until the API server closes it."""
        for event in lines(self._answer):
            if event["type"] == "ERROR":
                raise AssertionError(f"the watch ended: {event['object']}")
            if event["type"] != "BOOKMARK":
                self._add(event["type"], event["object"])
            self._version = str(event["object"]["metadata"]["resourceVersion"])

    def _add(self, kind: str, body: JsonObject) -> None:
        version, kept = int(body["metadata"]["resourceVersion"]), self._keep(kind, body)
        if kept is None:
            return
        with self._changed:
            self.history.append(Change(kind=kind, at=time.time(), version=version, body=kept))
            self._changed.notify_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One pod whose container `main` has run: one execution of a step's program, counted from outside our log."""

    pod: str  # its uid
    job: str  # the uid of its Job
    step: str
    attempt: int
    created: int  # resourceVersion at which the pod was first seen
    ended: int | None  # ... at which it was first seen Succeeded or Failed
    phase: str


def executions(watch: Watch) -> list[Execution]:
    """Every pod of ours that ever ran, in the order of their creation."""
    return executions_in(watch.history)


def executions_in(history: Iterable[Change]) -> list[Execution]:
    """The same of these changes of pods."""
    by_pod: dict[str, list[Change]] = {}
    for change in history:
        by_pod.setdefault(change.uid, []).append(change)
    return [_execution(changes) for changes in by_pod.values() if any(has_run(change) for change in changes)]


def has_run(change: Change) -> bool:
    """Whether this pod's container `main` runs or has run, whatever its phase says."""
    statuses = change.body.get("status", {}).get("containerStatuses", [])
    main: JsonObject = next((status for status in statuses if status["name"] == "main"), {})
    state = main.get("state", {})
    return "running" in state or bool(state.get("terminated", {}).get("startedAt"))


def step_of(labels: Mapping[str, str]) -> str:
    """The name of the step, or of the item, whose pod is labelled so."""
    index = labels.get("kipu.dev/index")
    return labels["kipu.dev/step"] + ("" if index is None else f"[{index}]")


def _execution(changes: list[Change]) -> Execution:
    ended = next((change for change in changes if change.phase in ("Succeeded", "Failed")), None)
    return Execution(
        pod=changes[0].uid,
        job=next((str(o["uid"]) for o in changes[0].body["metadata"].get("ownerReferences", [])), ""),
        step=step_of(changes[0].labels),
        attempt=int(changes[0].labels["kipu.dev/attempt"]),
        created=changes[0].version,
        ended=ended.version if ended else None,
        phase=ended.phase if ended else changes[-1].phase,
    )
