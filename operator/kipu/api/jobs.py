"""The Job of an attempt, and the placeholder that holds a given-up attempt's name.

Promises: pure and deterministic; the same (uid, run, step, attempt) under the same intent is the same Job. Steps
are untouched pods: only labels, environment and where `main` leaves its last words are added to what the spec says. The
settings are those on which "a pod's end is its Job's end" rests (design 03): change none alone. Must never add a
security context, a sidecar or a right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from kipu.core.definition import Definition, Effects, Step
from kipu.core.files import Folder
from kipu.core.naming import attempt_id, idempotency_key, item_name

from . import workspace
from .durations import timestamp
from .passthrough import JsonMap, merge
from .pods import MAIN, listed, literal, main_container, mapping, pod_template, template_labels, with_main
from .scopes import filled
from .v1alpha1_base import API_VERSION, KIND

MANAGED_BY_LABEL, MANAGED_BY = "app.kubernetes.io/managed-by", "kipu"
INTENT_ANNOTATION = "kipu.dev/intent"
EFFECTS_ANNOTATION = "kipu.dev/effects"
KUEUE_LABELS = "kueue.x-k8s.io/"
KUEUE_LABEL = f"{KUEUE_LABELS}queue-name"
OUTPUT_PATH = "/dev/termination-log"  # Kubernetes' own default: every image and every sandbox takes it
PLACEHOLDER_ANNOTATION = "kipu.dev/placeholder"
# The backstop while the operator is down. It must not come before our own timer: the Job controller judges the
# deadline before success, so an attempt that ended well in its last second would be reported as late.
DEADLINE_GRACE_SECONDS = 60
_NAMES = re.compile(rb"KIPU(?:_\w*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRef:
    """One attempt, and the committed decision that asks for it."""

    namespace: str
    workflow_name: str
    workflow_uid: str
    run: int
    step: str
    attempt: int
    job_name: str
    intent: str  # "position:hash" of its StepScheduled record
    item: tuple[int, str] | None = None  # of a fan-out: its index, and itself as text
    attempt_timeout_ms: int | None = None
    deadline: int | None = None  # of the step or of the whole workflow, in epoch milliseconds: whichever comes first
    values: Mapping[str, str] = field(default_factory=dict)  # recorded: what the step's expressions came to
    redone: int = 0  # how many successes of the step were given up by reruns
    outcome: str | None = None  # of the steps before, for those of finally
    inputs: tuple[Folder, ...] = ()  # in the workspace: whose files it reads


def job_manifest(definition: Definition, step: Step, attempt: AttemptRef) -> dict[str, object]:
    """The batch/v1 Job of this attempt. The step is one of this definition."""
    pod = filled(step.pod, attempt.values)
    template = _with_ours(pod_template(definition.pod_defaults, pod), attempt, has_outputs=bool(step.outputs))
    template = _with_files(template, definition, step, attempt)
    spec = {**mapping(step.pod, "job"), **_deadline(attempt), "template": template}
    if step.effects is Effects.EXTERNAL:
        # Born suspended: its program begins only once the log knows the uid of the one Job that may run it.
        return _job(attempt, annotations={EFFECTS_ANNOTATION: step.effects.value}, spec={**spec, "suspend": True})
    return _queued(_job(attempt, annotations={}, spec=spec))


def placeholder_manifest(attempt: AttemptRef) -> dict[str, object]:
    """A Job that never runs, under the attempt's name: a create that was sent long ago then finds it taken."""
    template = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": MAIN, "image": "placeholder.kipu.dev/never-runs"}],
        }
    }
    annotations = {PLACEHOLDER_ANNOTATION: "true"}
    return _job(attempt, annotations=annotations, spec={"suspend": True, "template": template})


def _queued(job: dict[str, object]) -> dict[str, object]:
    """With what Kueue reads of a Job and stands in the step's template. A placeholder is never queued."""
    theirs = template_labels(mapping(job, "spec"))
    own = {key: value for key, value in theirs.items() if key.startswith(KUEUE_LABELS)}
    return merge(job, {"metadata": {"labels": own}}) if own else job


def _job(attempt: AttemptRef, *, annotations: dict[str, str], spec: Mapping[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": owned(attempt, annotations),
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            **spec,
        },
    }


def owned(attempt: AttemptRef, annotations: Mapping[str, str]) -> dict[str, object]:
    """The metadata of what stands for this attempt: its Job, or its child Workflow."""
    return {
        "name": attempt.job_name,
        "namespace": attempt.namespace,
        "labels": labels(attempt),
        "annotations": {INTENT_ANNOTATION: attempt.intent, **annotations},
        "ownerReferences": [_owner(attempt)],
    }


def _owner(attempt: AttemptRef) -> dict[str, object]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": attempt.workflow_name,
        "uid": attempt.workflow_uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels(attempt: AttemptRef) -> dict[str, str]:
    """By these the Job and its pods are found, and told apart from those of other attempts."""
    index = {} if attempt.item is None else {"kipu.dev/index": str(attempt.item[0])}
    return {
        **index,
        **_labels_of_workflow(attempt),
        "kipu.dev/run": str(attempt.run),
        "kipu.dev/step": attempt.step,
        "kipu.dev/attempt": str(attempt.attempt),
    }


def _labels_of_workflow(attempt: AttemptRef) -> dict[str, str]:
    return {
        MANAGED_BY_LABEL: MANAGED_BY,
        "kipu.dev/workflow": attempt.workflow_name,
        "kipu.dev/workflow-uid": attempt.workflow_uid,
    }


def _deadline(attempt: AttemptRef) -> dict[str, object]:
    if attempt.attempt_timeout_ms is None:
        return {}
    return {"activeDeadlineSeconds": -(-attempt.attempt_timeout_ms // 1_000) + DEADLINE_GRACE_SECONDS}


def _with_ours(template: dict[str, object], attempt: AttemptRef, *, has_outputs: bool) -> dict[str, object]:
    main = main_container(template)
    # Ours come first, so that the step's own variables may refer to them: $(KIPU_STEP).
    ours = {**main, "env": [*_environment(attempt, main, has_outputs=has_outputs), *listed(main, "env")]}
    # Where it fails and has written no message, the kubelet takes the end of its log: nobody has to ask for it.
    ours.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    if has_outputs:
        ours["terminationMessagePath"] = OUTPUT_PATH  # read of a success alone, which never falls back
    return {
        "metadata": merge(mapping(template, "metadata"), {"labels": labels(attempt)}),
        "spec": {**mapping(with_main(template, ours), "spec"), "restartPolicy": "Never"},
    }


def _with_files(
    template: dict[str, object], definition: Definition, step: Step, attempt: AttemptRef
) -> dict[str, object]:
    """The pod mounts its own folder of the workspace, and those that its step reads."""
    claim = workspace.claim(definition, attempt.workflow_name, attempt.workflow_uid)
    index = None if attempt.item is None else attempt.item[0]
    own = (attempt.step, index) if workspace.keeps_files(definition, step) else None
    if claim is None or (own is None and not attempt.inputs):
        return template
    main, volumes = main_container(template), listed(mapping(template, "spec"), "volumes")
    env = workspace.environment(stages=own is not None, reads=bool(attempt.inputs))
    mounts = workspace.mounts(attempt.workflow_uid, own, attempt.inputs)
    ours = {**main, "env": [*env, *listed(main, "env")], "volumeMounts": [*listed(main, "volumeMounts"), *mounts]}
    template = with_main(template, ours)
    return {**template, "spec": {**mapping(template, "spec"), "volumes": [*volumes, workspace.volume(claim)]}}


def claim_manifest(definition: Definition, attempt: AttemptRef) -> dict[str, object] | None:
    """The claim that is made for the workflow of this attempt; None if none is. It is deleted with the workflow."""
    metadata = {
        "name": workspace.claim(definition, attempt.workflow_name, attempt.workflow_uid),
        "namespace": attempt.namespace,
        "labels": _labels_of_workflow(attempt),
        "ownerReferences": [_owner(attempt)],
    }
    return workspace.claim_manifest(definition, metadata)


def _environment(attempt: AttemptRef, main: JsonMap, *, has_outputs: bool) -> list[dict[str, str]]:
    """The variables of the container `main`: who it is only as far as it asks (ADR 0022), the rest where it applies."""
    step = attempt.step if attempt.item is None else item_name(attempt.step, attempt.item[0])
    variables = _asked_for(main, _identity(attempt, step))
    if attempt.item is not None:
        variables |= {"KIPU_INDEX": str(attempt.item[0]), "KIPU_ITEM": literal(attempt.item[1])}
    variables["KIPU_IDEMPOTENCY_KEY"] = idempotency_key(
        workflow_uid=attempt.workflow_uid, step=step, redone=attempt.redone
    )
    if has_outputs:
        variables["KIPU_OUTPUT"] = OUTPUT_PATH
    if (deadline := timestamp(attempt.deadline)) is not None:
        variables["KIPU_DEADLINE"] = deadline
    if attempt.outcome is not None:
        variables["KIPU_OUTCOME"] = attempt.outcome
    return [{"name": name, "value": value} for name, value in variables.items()]


def _identity(attempt: AttemptRef, step: str) -> dict[str, str]:
    uid, run = attempt.workflow_uid, attempt.run
    return {
        "KIPU_NAMESPACE": attempt.namespace,
        "KIPU_WORKFLOW": attempt.workflow_name,
        "KIPU_UID": uid,
        "KIPU_RUN": str(run),
        "KIPU_STEP": attempt.step,
        "KIPU_ATTEMPT": str(attempt.attempt),
        "KIPU_ATTEMPT_ID": attempt_id(workflow_uid=uid, run=run, step=step, attempt=attempt.attempt),
    }


def _asked_for(main: JsonMap, variables: Mapping[str, str]) -> dict[str, str]:
    """Those whose names stand in the container. `KIPU` or `KIPU_` alone, as in `env | grep KIPU_`, means all."""
    names = {name.decode() for name in _NAMES.findall(msgspec.json.encode(main))}
    if names & {"KIPU", "KIPU_"}:
        return dict(variables)
    return {name: value for name, value in variables.items() if name in names}
