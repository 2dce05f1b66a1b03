"""One cluster, fake or real, as the conformance suite drives it: raw requests, programs that run, waiting."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any

from kipu.shell.kube import Kube
from kipu.shell.kube_http import Request, Transport
from kipu.shell.kube_views import JobView, PodView
from tests.fakes.admission import Attempt
from tests.fakes.apiserver import ApiServer
from tests.fakes.informers import Lags
from tests.fakes.nodes import Program
from tests.fakes.refusals import Refused

Json = dict[str, Any]
PATIENCE_SECONDS = 60.0
RUN = "conformance.kipu.dev/run"
COUNTED = {
    "configmaps": "count/configmaps",
    "jobs": "count/jobs.batch",
    "pods": "count/pods",
    "leases": "count/leases.coordination.k8s.io",
}
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Status and parsed body."""

    status: int
    body: Json

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])

    @property
    def version(self) -> str:
        return str(self.body["metadata"]["resourceVersion"])


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A namespace of our own on some API server."""

    kube: Kube
    transport: Transport
    namespace: str
    fake: ApiServer | None = None  # None: a real one

    # -- requests ----------------------------------------------------------------------------------------

    def path(self, plural: str, name: str = "") -> str:
        group = {
            "configmaps": "/api/v1",
            "pods": "/api/v1",
            "resourcequotas": "/api/v1",
            "jobs": "/apis/batch/v1",
            "workflows": "/apis/kipu.dev/v1alpha1",
            "events": "/apis/events.k8s.io/v1",
            "leases": "/apis/coordination.k8s.io/v1",
        }[plural]
        return f"{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def call(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", **query: str
    ) -> Answered:
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = Request(method=method, path=path, query=query, body=raw, content_type=content_type)
        reply = await self.transport.send(request, timeout_seconds=30)
        return Answered(status=reply.status, body=json.loads(reply.body))

    async def create(self, plural: str, body: Json) -> Answered:
        return await self.call("POST", self.path(plural), body)

    async def get(self, plural: str, name: str) -> Answered:
        return await self.call("GET", self.path(plural, name))

    async def patch(self, plural: str, name: str, operations: list[Json]) -> Answered:
        return await self.call("PATCH", self.path(plural, name), operations, JSON_PATCH)

    async def merge(self, plural: str, name: str, body: Json) -> Answered:
        return await self.call("PATCH", self.path(plural, name), body, MERGE_PATCH)

    async def delete(self, plural: str, name: str, **options: object) -> Answered:
        return await self.call("DELETE", self.path(plural, name), options or None)

    async def listed(self, plural: str, **query: str) -> Answered:
        return await self.call("GET", self.path(plural), **query)

    async def names(self, plural: str, **query: str) -> list[str]:
        listed = await self.listed(plural, **query)
        assert listed.status == 200, listed.body
        return [item["metadata"]["name"] for item in listed.body["items"]]

    @asynccontextmanager
    async def watch(self, plural: str, **query: str) -> AsyncIterator[AsyncIterator[Json]]:
        """The parsed events of one watch."""
        request = Request(method="GET", path=self.path(plural), query={"watch": "true", **query})
        async with self.transport.stream(request, timeout_seconds=PATIENCE_SECONDS) as (status, lines):
            assert status == 200
            yield (json.loads(line) async for line in lines)

    # -- Jobs --------------------------------------------------------------------------------------------

    async def run(self, name: str, program: Program, *, containers: int = 1, **spec: object) -> Answered:
        """Create a Job that runs this program."""
        created = await self.create("jobs", job(name, program, containers=containers, **spec))
        assert created.status == 201, created.body
        return created

    async def pods_of(self, job: str) -> list[PodView]:
        return await self.kube.list_pods(self.namespace, f"batch.kubernetes.io/job-name={job}")

    async def running(self, job: str) -> PodView:
        """The Job's one pod, once it runs."""
        while True:
            pods = await self.pods_of(job)
            if pods and pods[0].status.phase == "Running":
                return pods[0]
            await asyncio.sleep(0.2)

    async def finished(self, job: str) -> JobView:
        """The Job, once it is Complete or Failed."""
        while True:
            view = await self.kube.get_job(self.namespace, job)
            assert view is not None
            if any(each.type in ("Complete", "Failed") and each.status == "True" for each in view.status.conditions):
                return view
            await asyncio.sleep(0.2)

    async def gone(self, plural: str, name: str) -> None:
        while (await self.get(plural, name)).status != 404:
            await asyncio.sleep(0.2)

    async def has_operator(self) -> bool:
        """Whether a Kipu serves this cluster, which then writes to every Workflow."""
        listed = await self.call("GET", "/api/v1/pods", labelSelector="app.kubernetes.io/name=kipu")
        assert listed.status == 200, listed.body
        return bool(listed.body["items"])

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float = 0.2) -> None:
        """Until a question, asked each so many seconds, is answered with yes."""
        while not await holds():
            await asyncio.sleep(seconds)

    async def by_hand(self, name: str, **spec: object) -> PodView:
        """The pod of a new Job that no scheduler takes: it has whatever phase the test gives it."""
        body = job(name, Program())
        body["spec"] |= spec
        body["spec"]["template"]["spec"]["schedulerName"] = "nobody"
        created = await self.create("jobs", body)
        assert created.status == 201, created.body
        while not (pods := await self.pods_of(name)):
            await asyncio.sleep(0.05)
        return pods[0]

    def now_ms(self) -> int:
        """By the cluster's clock."""
        return self.fake.clock.now() if self.fake is not None else int(time.time() * 1000)

    async def set_phase(self, pod: PodView, phase: str) -> None:
        path = self.path("pods", pod.metadata.name) + "/status"
        answer = await self.call("PATCH", path, {"status": {"phase": phase}}, MERGE_PATCH)
        assert answer.status == 200, answer.body

    async def caught_up(self) -> None:
        """Until every controller has surely heard of what is there."""
        lags = [1.0] if self.fake is None else [getattr(self.fake.lags, each.name) for each in fields(Lags)]
        await asyncio.sleep(max(lags) + 0.1)

    # -- what refuses ------------------------------------------------------------------------------------

    async def limit(self, **more: int) -> None:
        """A ResourceQuota "few" under which so many more of each may be created, once it holds."""
        if self.fake is None:
            await self.until(lambda: self._exists("configmaps", "kube-root-ca.crt"))  # the cluster's own: it counts
        hard = {COUNTED[plural]: str(len(await self.names(plural)) + number) for plural, number in more.items()}
        hard |= {COUNTED["leases"]: "0"}  # which nothing here needs: to see that the quota holds
        created = await self.create("resourcequotas", {"metadata": {"name": "few"}, "spec": {"hard": hard}})
        assert created.status == 201, created.body

        async def holds() -> bool:
            probe = await self.create("leases", {"metadata": {"generateName": "probe-"}})
            return probe.status == 403

        await self.until(holds, 0.05)

    async def _exists(self, plural: str, name: str) -> bool:
        return (await self.get(plural, name)).status == 200

    @asynccontextmanager
    async def policy(self, reason: str) -> AsyncIterator[str]:
        """A ValidatingAdmissionPolicy of this reason refuses ConfigMaps here whose data.k is "refused". Its name."""
        if self.fake is not None:
            self.fake.admission.policies.append(lambda attempt: _refuse(attempt, self.namespace, reason))
            yield self.namespace
            return
        for path, body in _policy(self.namespace, reason).items():
            created = await self.call("POST", path, body)
            assert created.status == 201, created.body
        try:
            await self.until(self._refuses)
            yield self.namespace
        finally:
            for path in _policy(self.namespace, reason):
                await self.call("DELETE", f"{path}/{self.namespace}")

    async def _refuses(self) -> bool:
        """The API server learns of a policy a moment later."""
        probe = config_map("probe", {"k": "refused"})
        return (await self.call("POST", self.path("configmaps"), probe, dryRun="All")).status != 201


def config_map(name: str, data: Mapping[str, str] | None = None, **top: object) -> Json:
    """A ConfigMap; `top` are keys beside its data."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"k": "v"}, **top}


def labelled(name: str, **labels: str) -> Json:
    """A ConfigMap with labels."""
    body = config_map(name)
    body["metadata"]["labels"] = labels
    return body


def owned(name: str, kind: str, owner: Answered, api_version: str = "v1") -> Json:
    """A ConfigMap that another object owns."""
    body = config_map(name)
    reference = {"apiVersion": api_version, "kind": kind, "name": owner.body["metadata"]["name"], "uid": owner.uid}
    body["metadata"]["ownerReferences"] = [reference]
    return body


def job(name: str, program: Program, *, containers: int = 1, **spec: object) -> Json:
    """A Job as Kipu makes them; every container runs the program."""
    container = {"image": "busybox:1.36", "command": ["sh", "-c", _shell(program)]}
    container |= {"terminationMessagePolicy": "FallbackToLogsOnError"} if program.log else {}
    template = {
        "metadata": {"annotations": {RUN: json.dumps(_told(program))}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "main" if not i else f"other-{i}", **container} for i in range(containers)],
        },
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", **spec, "template": template},
    }


def _shell(program: Program) -> str:
    message = f"printf %s '{program.message}' > /dev/termination-log; " if program.message else ""
    message += f"printf %s '{program.log}'; " if program.log else ""
    return f"{message}sleep {program.run_seconds:g}; exit {program.exit_code}"


def program_of(pod: Json) -> Program:
    """What the fake is to run for a pod of this suite."""
    annotations: dict[str, str] = pod["metadata"].get("annotations", {})
    run_seconds, exit_code, message, log = json.loads(annotations.get(RUN, '[1.0, 0, "", ""]'))
    return Program(run_seconds=run_seconds, exit_code=exit_code, message=message, log=log)


def _told(program: Program) -> list[float | int | str]:
    return [program.run_seconds, program.exit_code, program.message, program.log]


def _refuse(attempt: Attempt, policy: str, reason: str) -> Refused | None:
    data = (attempt.after or {}).get("data", {})
    if attempt.kind.plural != "configmaps" or data.get("k") != "refused":
        return None
    return attempt.denied(policy, "this is refused", reason=reason)


def _policy(name: str, reason: str) -> dict[str, Json]:
    """The same as objects: by path, the policy and its binding to the namespace of its name."""
    group = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE", "UPDATE"]}
    expression = "!has(object.data) || !('k' in object.data) || object.data['k'] != 'refused'"
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": expression, "message": "this is refused", "reason": reason}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": here}
    return {
        f"{group}/validatingadmissionpolicies": {"metadata": {"name": name}, "spec": policy},
        f"{group}/validatingadmissionpolicybindings": {"metadata": {"name": name}, "spec": binding},
    }
