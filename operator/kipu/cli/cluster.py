"""The cluster as the CLI sees it: one kubeconfig's context, over the official client.

Promises: each call is one request of at most REQUEST_SECONDS; an answer of any HTTP status comes back as an Answer,
no answer is Unanswered. All are reads but one: `create_workflow`, which a person asks for by `kipu salvage`.
Must never patch or delete, and never write a ConfigMap: the log has one writer, and it is not us.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import ConfigException, list_kube_config_contexts, new_client_from_config

from kipu.core.texts import nearest
from kipu.eventlog.ports import Answer, ObjectName, StreamId, Unanswered

from .errors import CannotTell

REQUEST_SECONDS = 15.0  # a person waits; a consistent read of one object takes milliseconds
NAMES_SEARCHED_MAX = 500  # for the nearest name: one page of a list
PAGE_OBJECTS = 50  # chunks of a log have some KB each, and at most 1 MB: 50 MB a page at the worst
PAGES_MAX = 200
LINE_BYTES_MAX = 16 * 1024 * 1024  # etcd takes 1.5 MiB an object; a watch line holds one, escaped at worst 6-fold
CORE = "/api/v1"
WORKFLOWS = "/apis/kipu.dev/v1alpha1"


class Cluster:
    """One API server, with a person's rights."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    @classmethod
    def connect(cls, kubeconfig: str | None, context: str | None) -> Cluster:
        """From a kubeconfig (None: $KUBECONFIG or the default one). Raises CannotTell."""
        settings = Configuration()
        settings.retries = False  # urllib3's own would be three times the wait, with warnings on stderr
        try:
            client = new_client_from_config(kubeconfig, context, client_configuration=settings)  # type: ignore[no-untyped-call]
            contexts, current = list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise CannotTell(f"no cluster: {error}; name a kubeconfig by --kubeconfig or $KUBECONFIG") from error
        chosen = next((entry for entry in contexts if entry["name"] == context), current)
        return cls(client, chosen["context"].get("namespace") or "default")

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """One GET in a thread, without a resourceVersion: a consistent read."""
        return await asyncio.to_thread(self._send, "GET", path, list((query or {}).items()))

    async def get_text(self, path: str, query: Mapping[str, str]) -> Answer:
        """One GET of what is no object, such as the log of a pod: the text is the answer's message."""
        status, content = await asyncio.to_thread(self._exchange, "GET", path, list(query.items()))
        if status >= HTTPStatus.BAD_REQUEST:
            return _answer(status, content)
        return Answer(status=status, reason="", message=content.decode(errors="replace"), body={})

    async def stream(self, path: str, query: Mapping[str, str], seconds: float) -> Lines:
        """One watch, which the API server is asked to end within so many seconds. Raises CannotTell, Unanswered."""
        reply = await asyncio.to_thread(self._open, "GET", path, list(query.items()), seconds=seconds)
        if reply.status != HTTPStatus.OK:
            raise refused(_answer(reply.status, await asyncio.to_thread(reply.read)), f"watch {path}")
        return Lines(reply)

    async def create_workflow(self, namespace: str, manifest: Mapping[str, object]) -> Answer:
        """One POST in a thread."""
        path = f"{WORKFLOWS}/namespaces/{namespace}/workflows"
        return await asyncio.to_thread(self._send, "POST", path, [], manifest)

    def _send(
        self, verb: str, path: str, query: Sequence[tuple[str, str]], body: Mapping[str, object] | None = None
    ) -> Answer:
        return _answer(*self._exchange(verb, path, query, body))

    def _exchange(
        self, verb: str, path: str, query: Sequence[tuple[str, str]], body: Mapping[str, object] | None = None
    ) -> tuple[int, bytes]:
        reply = self._open(verb, path, query, body)
        try:
            return reply.status, reply.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unanswered(error) from error

    def _open(
        self,
        verb: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: Mapping[str, object] | None = None,
        seconds: float = 0.0,
    ) -> urllib3.BaseHTTPResponse:
        """The head of an answer, whose body is still to be read; `seconds`: how long it may be silent beyond that."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = self.client.param_serialize(
            verb, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        timeouts = (REQUEST_SECONDS, REQUEST_SECONDS + seconds)
        try:
            reply: urllib3.BaseHTTPResponse = self.client.call_api(*request, _request_timeout=timeouts).response
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unanswered(error) from error
        return reply

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


class Lines:
    """The changes of one watch."""

    def __init__(self, reply: urllib3.BaseHTTPResponse) -> None:
        self._reply = reply
        self._chunks = reply.stream(amt=None)
        self._rest = b""

    async def next(self) -> Mapping[str, Any] | None:
        """The next one; None when the watch has ended. Raises Unanswered."""
        return await asyncio.to_thread(self._next)

    def close(self) -> None:
        """End it, also while a thread waits for its next line."""
        with suppress(ValueError, RuntimeError, OSError):  # it has ended by itself
            self._reply.shutdown()
        self._reply.close()

    def _next(self) -> Mapping[str, Any] | None:
        try:
            while b"\n" not in self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return None
                self._rest += chunk
                if len(self._rest) > LINE_BYTES_MAX:
                    raise Unanswered(f"a line of a watch has more than {LINE_BYTES_MAX} bytes")
            line, _, self._rest = self._rest.partition(b"\n")
            change: Mapping[str, Any] = json.loads(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unanswered(f"the watch broke: {error}") from error
        return change


async def find_workflow(cluster: Cluster, namespace: str, name: str) -> Mapping[str, Any]:
    """The Workflow object. Raises CannotTell when there is none, no right to see it or no Kipu at all."""
    answer = await cluster.get(f"{WORKFLOWS}/namespaces/{namespace}/workflows/{name}")
    if answer.status == HTTPStatus.OK:
        return answer.body
    if answer.status != HTTPStatus.NOT_FOUND:
        raise refused(answer, f"read Workflow '{name}' in namespace '{namespace}'")
    if answer.reason != "NotFound":  # an API that is not served answers with a page, not with a Status
        raise CannotTell("this cluster does not know Workflows: Kipu's CRD is not installed (make install)")
    hint = await _nearest(cluster, namespace, name)
    raise CannotTell(f"there is no Workflow '{name}' in namespace '{namespace}'{hint}")


async def list_all(cluster: Cluster, path: str, selector: str) -> list[Mapping[str, Any]]:
    """Every object of a collection with these labels, page by page. Raises CannotTell."""
    query, found = {"labelSelector": selector, "limit": str(PAGE_OBJECTS)}, []
    for _ in range(PAGES_MAX):
        answer = await cluster.get(path, query)
        if answer.status != HTTPStatus.OK:
            raise refused(answer, f"list {path}")
        body: Any = answer.body
        found += body.get("items", [])
        if not (rest := body.get("metadata", {}).get("continue")):
            return found
        query["continue"] = rest
    raise CannotTell(f"{path} has more than {PAGES_MAX * PAGE_OBJECTS} objects with {selector}")


def stream_of(workflow: Mapping[str, Any]) -> StreamId:
    """The stream that belongs to this Workflow."""
    metadata = workflow["metadata"]
    return StreamId(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])


def refused(answer: Answer, deed: str) -> CannotTell:
    """Why the API server did not let us do it."""
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return CannotTell(f"no right to {deed}: {answer.message or answer.reason}")
    return CannotTell(f"could not {deed}: status {answer.status} {answer.reason}: {answer.message}")


async def _nearest(cluster: Cluster, namespace: str, name: str) -> str:
    """A hint at what may have been meant; empty when the list may not be read."""
    query = {"limit": str(NAMES_SEARCHED_MAX)}
    answer = await cluster.get(f"{WORKFLOWS}/namespaces/{namespace}/workflows", query)
    if answer.status != HTTPStatus.OK:
        return ""
    items: Any = answer.body.get("items", [])
    names = [item["metadata"]["name"] for item in items]
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
