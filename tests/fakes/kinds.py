"""What the fake API server knows of each kind: where it is served, its defaults and what it refuses."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .etcd import Json
from .refusals import invalid

CONFIG_MAP_BYTES_MAX = 1_048_576
SCHEDULER = "default-scheduler"
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
TRACKING = "batch.kubernetes.io/job-tracking"
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"


def nothing(body: Json) -> None:
    """No defaults, nothing to refuse."""


def nothing_changed(before: Json, after: Json) -> None:
    """No rule for changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One served kind."""

    group: str  # "" for the core group
    version: str
    kind: str
    plural: str
    has_status: bool = False  # served as a subresource
    has_generation: bool = False
    is_custom: bool = False
    propagation: str = "Background"
    needs_version: bool = False  # an update has to name the version it is of
    is_made_by_update: bool = False  # a PUT of an absent one creates it
    prepare: Callable[[Json], None] = nothing  # defaults and validation of a new object
    check: Callable[[Json, Json], None] = nothing_changed  # before, after

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As in the server's messages: "jobs.batch"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def title(self) -> str:
        """As in the server's validation messages: "Job.batch"."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def check_name(self, name: str) -> None:
        if len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
            why = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case characters'
            raise invalid(self.title, name, "metadata.name", why)


# -- ConfigMaps -------------------------------------------------------------------------------------------


def _prepare_config_map(body: Json) -> None:
    name = body["metadata"]["name"]
    size = sum(len(value.encode()) for value in (body.get("data") or {}).values())
    size += sum(len(base64.b64decode(value)) for value in (body.get("binaryData") or {}).values())
    if size > CONFIG_MAP_BYTES_MAX:
        raise invalid("ConfigMap", name, "[]", f"Too long: may not be more than {CONFIG_MAP_BYTES_MAX} bytes")


def _check_config_map(before: Json, after: Json) -> None:
    _prepare_config_map(after)
    if before.get("immutable"):
        for key in ("immutable", "data", "binaryData"):
            if before.get(key) != after.get(key):
                why = "Forbidden: field is immutable when `immutable` is set"
                raise invalid("ConfigMap", before["metadata"]["name"], key, why)


# -- Jobs -------------------------------------------------------------------------------------------------


def _prepare_job(body: Json) -> None:
    name, uid, spec = body["metadata"]["name"], body["metadata"]["uid"], body.setdefault("spec", {})
    template: Json = spec.setdefault("template", {})
    pod: Json = template.setdefault("spec", {})
    if not pod.get("containers"):
        raise invalid("Job.batch", name, "spec.template.spec.containers", "Required value")
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        why = 'Required value: valid values: "OnFailure", "Never"'
        raise invalid("Job.batch", name, "spec.template.spec.restartPolicy", why)
    if len(name) > 63:
        why = "Invalid value: must be no more than 63 characters"
        raise invalid("Job.batch", name, "spec.template.labels", why)
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("completionMode", "NonIndexed")
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: uid}}
    labels = {CONTROLLER_UID: uid, JOB_NAME: name, "controller-uid": uid, "job-name": name}
    metadata: Json = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    body["metadata"]["labels"] = {**(body["metadata"].get("labels") or {}), **labels}
    _default_pod(pod)


def _check_job(before: Json, after: Json) -> None:
    for key in ("selector", "template", "completions", "completionMode", "podReplacementPolicy"):
        if before["spec"].get(key) != after["spec"].get(key):
            raise invalid("Job.batch", before["metadata"]["name"], f"spec.{key}", "field is immutable")


# -- Pods -------------------------------------------------------------------------------------------------


def _default_pod(spec: Json) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("schedulerName", SCHEDULER)
    spec.setdefault("terminationGracePeriodSeconds", 30)
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")


def _prepare_pod(body: Json) -> None:
    _default_pod(body["spec"])
    body["status"] = {"phase": "Pending", "qosClass": "BestEffort"}


def _check_pod(before: Json, after: Json) -> None:
    if before["spec"] == after["spec"]:
        return
    kept: Any = {**before["spec"], "nodeName": None, "activeDeadlineSeconds": None}
    if kept != {**after["spec"], "nodeName": None, "activeDeadlineSeconds": None}:
        raise invalid("Pod", before["metadata"]["name"], "spec", "Forbidden: pod updates may not change fields")


# -- Claims -----------------------------------------------------------------------------------------------


def _prepare_claim(body: Json) -> None:
    name, spec = body["metadata"]["name"], body.setdefault("spec", {})
    if not spec.get("accessModes"):
        why = "Required value: at least 1 access mode is required"
        raise invalid("PersistentVolumeClaim", name, "spec.accessModes", why)
    if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
        raise invalid("PersistentVolumeClaim", name, "spec.resources[storage]", "Required value")
    body["status"] = {"phase": "Pending"}


# -- Leases -----------------------------------------------------------------------------------------------


def _prepare_lease(body: Json) -> None:
    name, spec = body["metadata"]["name"], body.setdefault("spec", {})
    if spec.get("leaseDurationSeconds") is not None and spec["leaseDurationSeconds"] < 1:
        raise invalid("Lease.coordination.k8s.io", name, "spec.leaseDurationSeconds", "must be greater than 0")
    if (spec.get("leaseTransitions") or 0) < 0:
        why = "must be greater than or equal to 0"
        raise invalid("Lease.coordination.k8s.io", name, "spec.leaseTransitions", why)


def _check_lease(before: Json, after: Json) -> None:
    _prepare_lease(after)


KINDS = (
    Kind(
        group="",
        version="v1",
        kind="ConfigMap",
        plural="configmaps",
        prepare=_prepare_config_map,
        check=_check_config_map,
    ),
    Kind(
        group="",
        version="v1",
        kind="Pod",
        plural="pods",
        has_status=True,
        has_generation=True,
        prepare=_prepare_pod,
        check=_check_pod,
    ),
    Kind(
        group="batch",
        version="v1",
        kind="Job",
        plural="jobs",
        has_status=True,
        has_generation=True,
        propagation="Orphan",
        prepare=_prepare_job,
        check=_check_job,
    ),
    Kind(
        group="kipu.dev",
        version="v1alpha1",
        kind="Workflow",
        plural="workflows",
        has_status=True,
        has_generation=True,
        is_custom=True,
    ),
    Kind(
        group="kipu.dev",
        version="v1alpha1",
        kind="CronWorkflow",
        plural="cronworkflows",
        has_status=True,
        has_generation=True,
        is_custom=True,
    ),
    Kind(
        group="kipu.dev",
        version="v1alpha1",
        kind="WorkflowTemplate",
        plural="workflowtemplates",
        has_generation=True,
        is_custom=True,
    ),
    Kind(
        group="",
        version="v1",
        kind="PersistentVolumeClaim",
        plural="persistentvolumeclaims",
        has_status=True,
        prepare=_prepare_claim,
    ),
    Kind(group="", version="v1", kind="ResourceQuota", plural="resourcequotas", has_status=True),
    Kind(group="events.k8s.io", version="v1", kind="Event", plural="events"),
    Kind(
        group="coordination.k8s.io",
        version="v1",
        kind="Lease",
        plural="leases",
        needs_version=True,
        is_made_by_update=True,
        prepare=_prepare_lease,
        check=_check_lease,
    ),
)
BY_PLURAL: dict[str, Kind] = {kind.plural: kind for kind in KINDS}
