"""The volume on which steps hand files on: its claim, and what of it each pod mounts.

    kipu/<uid of the Workflow>/<step>[/<index of the item>]/<uid of the pod>/

Each pod writes below its own uid, since a Job may start its program twice (design 03). Whose folder stands is said by
the record of the step's success and by nothing in the volume, so that no rename has to be atomic there.
Promises: pure; no pod can write in a folder that was committed. Must never trust the volume to hold anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from itertools import islice

from kipu.core.definition import INPUTS_MAX, Definition, ForEach, Kind, Step, Workspace
from kipu.core.errors import Problem
from kipu.core.files import Folder
from kipu.core.graph import PROBLEMS_MAX, Upstream, no_step, paths
from kipu.core.naming import claim_name

from .passthrough import JsonMap, clean, merge
from .pods import has_one_pod, mapping
from .v1alpha1_workspace import Workspace as WorkspaceSpec

VOLUME = "kipu-workspace"
STAGING, INPUTS = "/kipu/staging", "/kipu/inputs"
POD_UID = "KIPU_POD_UID"


def read(spec: WorkspaceSpec | None, problems: list[Problem]) -> Workspace | None:
    """What spec.workspace asks for."""
    if spec is None:
        return None
    if (spec.claim_name is None) is (spec.claim_template is None):
        hint = "name a claim that is there (claimName), or say which one to make (claimTemplate)"
        problems.append(Problem(path="spec.workspace", reason="needs one of claimName and claimTemplate", hint=hint))
    if spec.claim_template is None:
        return Workspace(claim_name=spec.claim_name)
    template = spec.claim_template.model_dump(by_alias=True, exclude_none=True)
    cleaned = clean(template, "spec.workspace.claimTemplate", problems)
    return Workspace(claim_name=spec.claim_name, claim_template=cleaned if isinstance(cleaned, Mapping) else {})


def keeps_files(definition: Definition, step: Step) -> bool:
    """Whether a folder of the step stands once it has succeeded: of several pods none could be said to have won."""
    is_run = definition.workspace is not None and step.kind is Kind.RUN
    return is_run and has_one_pod(mapping(step.pod, "job"))


def with_inputs(definition: Definition, silent: Set[str]) -> Definition:
    """The same with the inputs of the steps that do not say theirs: those that they wait for, but for fan-outs."""
    if definition.workspace is None:
        return definition
    sources = {step.name for step in definition.steps if step.for_each is None and keeps_files(definition, step)}
    steps = (_reading(step, sources) if step.name in silent else step for step in definition.steps)
    return replace(definition, steps=tuple(steps))


def _reading(step: Step, sources: Set[str]) -> Step:
    needs = step.depends_on if step.kind is Kind.RUN else ()
    return replace(step, inputs=tuple(name for name in needs if name in sources))


def problems(definition: Definition, upstream: Upstream | None) -> list[Problem]:
    """The first faults of what the steps read. `upstream`: as of `language.problems`."""
    return list(islice(_problems(definition, upstream), PROBLEMS_MAX))


def _problems(definition: Definition, upstream: Upstream | None) -> Iterator[Problem]:
    if definition.workspace is not None and definition.adopt is not None:
        reason = "cannot stand beside spec.workspace: the files of the steps that it adopts are not in it"
        yield Problem(path="spec.adopt", reason=reason, hint="leave it out: all steps run again")
    known = {step.name: step for step in definition.steps}
    for step, path in zip(definition.steps, paths(definition.steps), strict=True):
        where = f"{path}.inputs"
        if step.inputs and definition.workspace is None:
            hint = "say in spec.workspace where files are kept"
            yield Problem(path=where, reason="there is no workspace to read from", hint=hint)
            continue
        seen: set[str] = set()
        for place, name in enumerate(step.inputs):
            if name in seen:
                yield Problem(
                    path=f"{where}[{place}]", reason=f"'{name}' is listed twice", hint="remove one of the two"
                )
            elif name not in known:
                yield no_step(name, known, f"{where}[{place}]")
            elif upstream is not None and not upstream.holds(step.name, name):
                reason = f"step '{name}' need not be over when this one begins"
                yield Problem(path=f"{where}[{place}]", reason=reason, hint=f"add '{name}' to dependsOn")
            elif not keeps_files(definition, known[name]):
                what = "several pods" if known[name].kind is Kind.RUN else "no Job"
                reason = f"step '{name}' keeps no files: it has {what}"
                yield Problem(path=f"{where}[{place}]", reason=reason, hint="remove it")
            seen.add(name)
        count = sum(_folders(known[name].for_each) for name in step.inputs if name in known)
        if count > INPUTS_MAX:
            reason = f"come to {count} folders, at most {INPUTS_MAX} can be mounted in a pod"
            yield Problem(path=where, reason=reason, hint="say in inputs which steps' files it needs")


def _folders(for_each: ForEach | None) -> int:
    """As far as it is known before the run."""
    if for_each is None:
        return 1
    return len(for_each.items) if for_each.items is not None else for_each.count or 0


# -- the claim ---------------------------------------------------------------------------------------


def claim(definition: Definition, workflow: str, workflow_uid: str) -> str | None:
    """The name of the claim that pods mount; None if there is no workspace."""
    if definition.workspace is None:
        return None
    return definition.workspace.claim_name or claim_name(workflow=workflow, workflow_uid=workflow_uid)


def claim_manifest(definition: Definition, metadata: JsonMap) -> dict[str, object] | None:
    """The claim that is to be made, with this metadata; None if none is."""
    template = definition.workspace.claim_template if definition.workspace else None
    if template is None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": merge(mapping(template, "metadata"), metadata),
        "spec": mapping(template, "spec"),
    }


# -- what a pod mounts -------------------------------------------------------------------------------


def environment(*, stages: bool, reads: bool) -> list[dict[str, object]]:
    """The variables that say where it is."""
    found: list[dict[str, object]] = []
    if stages:
        found.append({"name": POD_UID, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}})
        found.append({"name": "KIPU_STAGING", "value": STAGING})
    if reads:
        found.append({"name": "KIPU_INPUTS", "value": INPUTS})
    return found


def mounts(workflow_uid: str, own: tuple[str, int | None] | None, folders: Iterable[Folder]) -> list[JsonMap]:
    """Its own folder, if it has one, and those that it reads. The kubelet makes the first and finds the others."""
    found: list[JsonMap] = []
    if own is not None:
        where = f"{_folder(workflow_uid, *own)}/$({POD_UID})"
        found.append({"name": VOLUME, "mountPath": STAGING, "subPathExpr": where})
    for step, index, pod_uid in folders:
        found.append(
            {
                "name": VOLUME,
                "mountPath": f"{INPUTS}/{path_of(step, index)}",
                "subPath": f"{_folder(workflow_uid, step, index)}/{pod_uid}",
                "readOnly": True,
            }
        )
    return found


def volume(claim: str) -> JsonMap:
    """The volume of a pod."""
    return {"name": VOLUME, "persistentVolumeClaim": {"claimName": claim}}


def path_of(step: str, index: int | None) -> str:
    """The name of a step's folder, or of an item's in it."""
    return step if index is None else f"{step}/{index}"


def _folder(workflow_uid: str, step: str, index: int | None) -> str:
    return f"kipu/{workflow_uid}/{path_of(step, index)}"
