"""The cluster as the CLI sees it: one kubeconfig's context, over the official client.

Promises: each call is one request of at most REQUEST_SECONDS; an answer of any HTTP status comes back as an Answer,
no answer is Unanswered. It writes Workflows alone, and only what a person asks for by a command: `create_workflow`,
`patch_workflow` and `delete_workflow`, each sent once. `who_am_i` is a POST that leaves nothing behind.
Must never write a status, and never a ConfigMap: the log has one writer, and it is not us.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, list_kube_config_contexts, new_client_from_config

from kipu.core.texts import nearest
from kipu.eventlog.ports import Answer, ObjectName, StreamId, Unanswered

from .errors import CannotTell, NoRight, NoWorkflow
from .streaming import Stream

REQUEST_SECONDS = 15.0  # a person waits; a consistent read of one object takes milliseconds
NAMES_SEARCHED_MAX = 500  # for the nearest name: one page of a list
PAGE_OBJECTS = 50  # chunks of a log have some KB each, and at most 1 MB: 50 MB a page at the worst
PAGES_MAX = 200
CORE = "/api/v1"
JOBS = "/apis/batch/v1"
WORKFLOWS = "/apis/kipu.dev/v1alpha1"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
JSON, JSON_PATCH = "application/json", "application/json-patch+json"
NO_CRD = "this cluster does not know Workflows: Kipu's CRD is not installed (make install)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list. `version`: from which the list may be watched; `rest`: the token of the next one."""

    items: Sequence[Mapping[str, Any]]
    version: str
    rest: str


class Cluster:
    """One API server, with a person's rights."""

    def __init__(self, client: ApiClient, namespace: str, request_seconds: float = REQUEST_SECONDS) -> None:
        self.client = client
        self._request_seconds = request_seconds
        self.namespace = namespace

    @classmethod
    def connect(
        cls, kubeconfig: str | None, context: str | None, *, request_seconds: float = REQUEST_SECONDS
    ) -> Cluster:
        """From a kubeconfig (None: $KUBECONFIG or the default one). Raises CannotTell."""
        settings = Configuration()
        settings.retries = False  # urllib3's own would be three times the wait, with warnings on stderr
        try:
            client = new_client_from_config(kubeconfig, context, client_configuration=settings)  # type: ignore[no-untyped-call]
            contexts, current = list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise CannotTell(f"no cluster: {error}; name a kubeconfig by --kubeconfig or $KUBECONFIG") from error
        chosen = next((entry for entry in contexts if entry["name"] == context), current)
        return cls(client, chosen["context"].get("namespace") or "default", request_seconds)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """One GET in a thread, without a resourceVersion: a consistent read."""
        return await asyncio.to_thread(self._send, "GET", path, list((query or {}).items()))

    async def get_text(self, path: str, query: Mapping[str, str]) -> Answer:
        """One GET of what is no object, such as the log of a pod: the text is the answer's message."""
        reply = await asyncio.to_thread(self._call, "GET", path, list(query.items()), None, self._request_seconds)
        content = await asyncio.to_thread(self._content, reply)
        if reply.status >= HTTPStatus.BAD_REQUEST:
            return _answer(reply.status, content)
        return Answer(status=reply.status, reason="", message=content.decode(errors="replace"), body={})

    async def create_workflow(self, namespace: str, manifest: Mapping[str, object], *, dry_run: bool = False) -> Answer:
        """One POST in a thread. `dry_run`: all is checked, and nothing kept."""
        query = [("fieldValidation", "Strict"), *([("dryRun", "All")] if dry_run else [])]
        return await asyncio.to_thread(self._send, "POST", workflows_of(namespace), query, manifest)

    async def patch_workflow(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        """One JSON Patch (RFC 6902) in a thread; all operations or none. A failed `test` is 422 without a cause."""
        path = workflow_at(namespace, name)
        return await asyncio.to_thread(self._send, "PATCH", path, [], list(operations), JSON_PATCH)

    async def delete_workflow(self, namespace: str, name: str, preconditions: Mapping[str, str]) -> Answer:
        """One DELETE in a thread: it goes once its Jobs, pods and log are gone. 409 where a precondition fails."""
        path = workflow_at(namespace, name)
        options = {"propagationPolicy": "Foreground", "preconditions": dict(preconditions)}
        return await asyncio.to_thread(self._send, "DELETE", path, [], options)

    async def who_am_i(self) -> str:
        """The name under which the API server knows us, as `kubectl auth whoami` has it. Raises CannotTell."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await asyncio.to_thread(self._send, "POST", SELF, [], review)
        if answer.status != HTTPStatus.CREATED:
            raise refused(answer, "ask the API server who you are")
        body: Any = answer.body
        return str(body["status"]["userInfo"]["username"])

    async def open(self, path: str, query: Mapping[str, str], *, read_seconds: float | None) -> Answer | Stream:
        """One GET in a thread whose body is read as it comes; a refusal is an Answer.

        `read_seconds`: how long nothing may come before the body counts as broken off; None: for ever.
        """
        timeout = (self._request_seconds, read_seconds)
        reply = await asyncio.to_thread(self._call, "GET", path, list(query.items()), None, timeout)
        if reply.status < HTTPStatus.BAD_REQUEST:
            return Stream(reply.response)
        return _answer(reply.status, await asyncio.to_thread(self._content, reply))

    def _send(
        self, verb: str, path: str, query: Sequence[tuple[str, str]], body: object = None, content_type: str = JSON
    ) -> Answer:
        reply = self._call(verb, path, query, body, self._request_seconds, content_type)
        return _answer(reply.status, self._content(reply))

    def _call(
        self,
        verb: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: object,
        timeout: float | tuple[float, float | None],
        content_type: str = JSON,
    ) -> Any:
        headers = {"Accept": JSON, "Content-Type": content_type}
        request = self.client.param_serialize(
            verb, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        try:
            return self.client.call_api(*request, _request_timeout=timeout)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unanswered(error) from error

    def _content(self, reply: Any) -> bytes:
        try:
            content: bytes = reply.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unanswered(error) from error
        return content

    def _unanswered(self, error: Exception) -> Unanswered:
        return Unanswered(f"the cluster at {self.client.configuration.host} does not answer: {error}")

    # -- eventlog.ports.ConfigMapApi -----------------------------------------------------------------------

    async def get_config_map(self, namespace: str, name: str) -> Answer:
        """See ConfigMapApi."""
        return await self.get(f"{CORE}/namespaces/{namespace}/configmaps/{name}")

    async def create_config_map(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """Refused: see the module's promise."""
        raise NotImplementedError("the CLI never writes a log")

    async def patch_config_map(self, namespace: str, name: str, operations: Sequence[Mapping[str, object]]) -> Answer:
        """Refused: see the module's promise."""
        raise NotImplementedError("the CLI never writes a log")

    async def delete_config_map(self, namespace: str, name: str, uid: str) -> Answer:
        """Refused: see the module's promise."""
        raise NotImplementedError("the CLI never writes a log")

    async def list_config_maps(self, namespace: str, label_selector: str) -> Sequence[ObjectName]:
        """Not asked for: only a writer of the log sweeps it."""
        raise NotImplementedError("the CLI never sweeps a log")


def workflows_of(namespace: str | None) -> str:
    """The path of the Workflows of a namespace; None: of all."""
    return f"{WORKFLOWS}/workflows" if namespace is None else f"{WORKFLOWS}/namespaces/{namespace}/workflows"


def workflow_at(namespace: str, name: str) -> str:
    """The path of one."""
    return f"{workflows_of(namespace)}/{name}"


async def find_workflow(cluster: Cluster, namespace: str, name: str) -> Mapping[str, Any]:
    """The Workflow object. Raises NoWorkflow when there is none; CannotTell without the right to see it, or Kipu."""
    answer = await cluster.get(workflow_at(namespace, name))
    if answer.status == HTTPStatus.OK:
        return answer.body
    if answer.status != HTTPStatus.NOT_FOUND:
        raise refused(answer, f"read Workflow '{name}' in namespace '{namespace}'")
    if answer.reason != "NotFound":  # an API that is not served answers with a page, not with a Status
        raise CannotTell(NO_CRD)
    hint = await _nearest(cluster, namespace, name)
    raise NoWorkflow(f"there is no Workflow '{name}' in namespace '{namespace}'{hint}")


async def list_all(cluster: Cluster, path: str, selector: str) -> list[Mapping[str, Any]]:
    """Every object of a collection with these labels, page by page. Raises CannotTell."""
    query, found = {"labelSelector": selector}, list[Mapping[str, Any]]()
    for _ in range(PAGES_MAX):
        page = await read_page(cluster, path, query)
        found += page.items
        if not page.rest:
            return found
        query["continue"] = page.rest
    chosen = f"with {selector}" if selector else "(choose by a label: -l)"
    raise CannotTell(f"{path} has more than {PAGES_MAX * PAGE_OBJECTS} objects {chosen}")


async def read_page(cluster: Cluster, path: str, query: Mapping[str, str]) -> Page:
    """PAGE_OBJECTS of a collection, at most. Raises NoRight, CannotTell."""
    answer = await cluster.get(path, {**query, "limit": str(PAGE_OBJECTS)})
    if answer.status == HTTPStatus.NOT_FOUND and path.startswith(WORKFLOWS):
        raise CannotTell(NO_CRD)
    if answer.status != HTTPStatus.OK:
        raise refused(answer, f"list {path}")
    body: Any = answer.body
    metadata = body.get("metadata", {})
    return Page(
        items=body.get("items", []), version=metadata.get("resourceVersion", ""), rest=metadata.get("continue", "")
    )


def stream_of(workflow: Mapping[str, Any]) -> StreamId:
    """The stream that belongs to this Workflow."""
    metadata = workflow["metadata"]
    return StreamId(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])


def refused(answer: Answer, deed: str) -> CannotTell:
    """Why the API server did not let us do it."""
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return NoRight(f"no right to {deed}: {answer.message or answer.reason}")
    return CannotTell(f"could not {deed}: status {answer.status} {answer.reason}: {answer.message}")


async def names_in(cluster: Cluster, namespace: str, plural: str) -> list[str] | None:
    """The first names of ours of a namespace, NAMES_SEARCHED_MAX at most; None where they may not be listed."""
    path = f"{WORKFLOWS}/namespaces/{namespace}/{plural}"
    answer = await cluster.get(path, {"limit": str(NAMES_SEARCHED_MAX)})
    if answer.status != HTTPStatus.OK:
        return None
    items: Any = answer.body.get("items") or ()
    return [item["metadata"]["name"] for item in items]


async def _nearest(cluster: Cluster, namespace: str, name: str) -> str:
    """A hint at what may have been meant; empty when the list may not be read."""
    names = await names_in(cluster, namespace, "workflows")
    if names is None:
        return ""
    if hint := nearest(name, names):
        return f"; {hint}"
    return "" if names else "; there is none at all (another namespace? -n)"


def _answer(status: int, body: bytes) -> Answer:
    """The object or the metav1.Status; a body that is neither (a proxy's page) is only a message."""
    try:
        parsed = json.loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        if status < HTTPStatus.BAD_REQUEST:
            raise Unanswered(f"status {status} with a body that is not an object")
        return Answer(status=status, reason="", message=body[:200].decode(errors="replace").strip(), body={})
    if status < HTTPStatus.BAD_REQUEST:
        return Answer(status=status, reason="", message="", body=parsed)
    return Answer(
        status=status, reason=str(parsed.get("reason", "")), message=str(parsed.get("message", "")), body=parsed
    )
