"""A task's Job as heavy as Kipu makes it, for a client that is not Kipu."""

from __future__ import annotations

from uuid import UUID

from kipu.api.definition import parse
from kipu.api.jobs import AttemptRef, job_manifest

from .manifests import IMAGE, TASK_LABEL, JsonObject, step

FORGED = {"kipu.dev/log-guard": "off"}  # of its namespace: the chart's policy says that only Kipu makes such Jobs


def job_as_kipu(task: int, ms: int) -> JsonObject:
    """The same task as Kipu would have it run: all that Kipu's Jobs carry but the owner, which would have to exist."""
    definition = parse({"defaults": {"image": IMAGE}, "steps": [step(task, [], ms)]})
    ref = AttemptRef(
        namespace="measure-00000000",
        workflow_name="w0",
        workflow_uid=str(UUID(int=0)),
        run=1,
        step=f"t{task}",
        attempt=1,
        job_name=f"w0-t{task}-{task:016x}",
        intent=f"1:{'0' * 64}",
    )
    made: JsonObject = job_manifest(definition, definition.steps[0], ref)
    del made["metadata"]["ownerReferences"], made["metadata"]["namespace"]
    for metadata in (made["metadata"], made["spec"]["template"]["metadata"]):
        metadata["labels"] |= {TASK_LABEL: str(task)}
    return made
