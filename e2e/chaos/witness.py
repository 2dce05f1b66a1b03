"""What happened in the cluster, told by watches of our own that outlive the API server.

Promises: every change that the API server has told, in order, without those parts of an object that nobody judges;
after a gap (the server was killed and forgot its past) a consistent list closes it. What a list tells has the version
at which the object was last seen before, 0 where it never was: it happened some time after that, and nobody is judged
by when. Must never go through the proxy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from e2e.apiserver import POLL_SECONDS, ApiError, JsonObject, lines, shut
from e2e.watching import Change

from .patient import PatientApi

T = TypeVar("T")
METADATA = ("name", "namespace", "uid", "resourceVersion", "labels", "annotations", "ownerReferences")
STATUS = ("phase", "containerStatuses", "steps", "conditions", "log")
END_SECONDS = 15.0


class Witness:
    """All changes of one list of objects, collected by a thread from `with` to its end."""

    def __init__(self, api: PatientApi, path: str, selector: str = "") -> None:
        self._api = api
        self._path = path
        self._query = {"labelSelector": selector} if selector else {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name=f"witness of {path}", daemon=True)
        self._stopping = False
        self._answer: BaseHTTPResponse | None = None
        self._version = ""  # to watch from; "" asks for a list
        self.history: list[Change] = []
        self.newest: dict[str, Change] = {}  # by uid; those that were deleted are not in it
        self.gaps = 0

    def __enter__(self) -> Witness:
        self._list()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        if self._answer is not None:
            shut(self._answer)
        self._thread.join(END_SECONDS)

    def wait_for(self, condition: Callable[[Witness], T | None], timeout_seconds: float) -> T | None:
        """What the condition on this witness yields once it is true; looked at after every change."""
        end = time.monotonic() + timeout_seconds
        with self._changed:
            while not (found := condition(self)) and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
        return found

    def alive(self) -> list[Change]:
        """The newest change of everything that is there."""
        with self._changed:
            return list(self.newest.values())

    def by_label(self, label: str) -> dict[str, list[Change]]:
        """The history of all objects of each value of a label."""
        found: dict[str, list[Change]] = {}
        for change in list(self.history):
            found.setdefault(change.labels.get(label, ""), []).append(change)
        return found

    def by_uid(self) -> dict[str, list[Change]]:
        """The history of each object."""
        found: dict[str, list[Change]] = {}
        for change in list(self.history):
            found.setdefault(change.uid, []).append(change)
        return found

    # -- the thread ------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not self._stopping:
            try:
                if not self._version:
                    self.gaps += 1
                    self._list()
                self._watch()
            except (HTTPError, OSError, ValueError, AssertionError):
                time.sleep(POLL_SECONDS)

    def _list(self) -> None:
        found = self._api.get(self._path, **self._query)
        uids = {item["metadata"]["uid"] for item in found["items"]}
        for change in self.alive():
            if change.uid not in uids:
                self._add("DELETED", change.body, change.version)
        for item in found["items"]:
            known = self.newest.get(item["metadata"]["uid"])
            if known is None:
                self._add("ADDED", item, 0)
            elif known.body["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                self._add("MODIFIED", item, known.version)
        self._version = found["metadata"]["resourceVersion"]

    def _watch(self) -> None:
        query = {**self._query, "resourceVersion": self._version, "allowWatchBookmarks": "true"}
        try:
            self._answer = self._api.open_watch(self._path, **query)
        except ApiError as error:
            self._forget(error.status)
            raise
        try:
            for event in lines(self._answer) if not self._stopping else ():
                if event["type"] == "ERROR":
                    self._forget(event["object"].get("code", 0))
                    return
                if event["type"] != "BOOKMARK":
                    self._add(event["type"], event["object"], int(event["object"]["metadata"]["resourceVersion"]))
                self._version = event["object"]["metadata"]["resourceVersion"]
        finally:
            self._answer.close()

    def _forget(self, status: int) -> None:
        """The server cannot go on from here: a list must."""
        if status == 410:
            self._version = ""

    def _add(self, kind: str, body: JsonObject, version: int) -> None:
        change = Change(kind=kind, at=time.time(), version=version, body=trimmed(body))
        with self._changed:
            self.history.append(change)
            if kind == "DELETED":
                self.newest.pop(change.uid, None)
            else:
                self.newest[change.uid] = change
            self._changed.notify_all()


def trimmed(body: JsonObject) -> JsonObject:
    """What is judged of an object: 300 workflows leave some 20,000 changes, of up to 10 KB each."""
    status = {key: value for key, value in body.get("status", {}).items() if key in STATUS}
    return {"metadata": {key: body["metadata"][key] for key in METADATA if key in body["metadata"]}, "status": status}
