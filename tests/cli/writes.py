"""What the API server of these tests does with writes of Workflows: as the real one, as far as tests/conformance shows.

A spec that changes is a new generation; whoever adds to `spec.approvals` or `spec.resolutions` must be who they say.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes import refusals
from tests.fakes.patches import apply
from tests.fakes.refusals import Refused

ME = "me@example.com"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
RESOURCE = "workflows.kipu.dev"
Body = dict[str, Any]
Objects = dict[str, Body]


class Writes:
    """Over the objects of a server, by path."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._made = 0
        self.seen: list[tuple[str, str, Mapping[str, str]]] = []  # verb, path, query
        self.sent: list[Body] = []  # what was to be created, as it came
        self.before: deque[Callable[[], object]] = deque()  # what others do, each just before the next write
        self.refusals: dict[str, Refused] = {}  # by verb

    def write(self, verb: str, path: str, query: Mapping[str, str], body: Any, content_type: str) -> tuple[int, Body]:
        """Carry it out, or refuse it."""
        self.seen.append((verb, path, query))
        if path == SELF:
            return 201, {"kind": "SelfSubjectReview", "status": {"userInfo": {"username": ME}}}
        if self.before:
            self.before.popleft()()
        try:
            if verb in self.refusals:
                raise self.refusals[verb]
            if verb == "POST":
                return 201, self._create(path, query, body)
            if path not in self._objects:
                raise refusals.not_found(RESOURCE, path.rpartition("/")[2])
            return 200, self._delete(path, body) if verb == "DELETE" else self._patch(path, body, content_type)
        except Refused as error:
            return error.status, error.body()

    def _create(self, path: str, query: Mapping[str, str], given: Body) -> Body:
        self.sent.append(given)
        body = copy.deepcopy(given)
        metadata = body["metadata"]
        self._made += 1
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{self._made:05d}"
        if f"{path}/{metadata['name']}" in self._objects:
            raise refusals.already_exists(RESOURCE, metadata["name"], leaving=False)
        metadata |= {"uid": f"made-{self._made}", "generation": 1, "resourceVersion": "1"}
        if query.get("dryRun") != "All":
            self._objects[f"{path}/{metadata['name']}"] = body
        return body

    def _patch(self, path: str, patch: Any, content_type: str) -> Body:
        before = self._objects[path]
        after: Body = copy.deepcopy(apply(content_type, patch, before))
        name = before["metadata"]["name"]
        for key in ("approvals", "resolutions"):
            old = before["spec"].get(key) or []
            for entry in after["spec"].get(key) or []:
                if entry["by"] != ME and entry not in old:
                    raise refusals.denied(
                        RESOURCE, name, "kipu-spec", f"spec.{key}: you are '{ME}'", reason="Forbidden"
                    )
        after["metadata"]["resourceVersion"] = str(int(before["metadata"]["resourceVersion"]) + 1)
        if after["spec"] != before["spec"]:
            after["metadata"]["generation"] += 1
        self._objects[path] = after
        return after

    def _delete(self, path: str, options: Body) -> Body:
        body = self._objects[path]
        assert options["propagationPolicy"] == "Foreground"
        for key, given in options["preconditions"].items():
            real = body["metadata"][key]
            if given != real:
                raise refusals.precondition(RESOURCE, body["metadata"]["name"], key, given, real)
        del self._objects[path]
        return body
