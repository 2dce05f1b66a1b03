"""A Workflow in the page's list: a few fields of its metadata and status, whatever they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kipu.api.durations import timestamp
from kipu.api.status import project

from ..transcript import Verdict

Summary = dict[str, object]
Key = tuple[str, str]  # namespace and name
_SHOWN = ("phase", "reason", "message", "progress", "counts", "run", "startTime", "completionTime")


def summary(workflow: Mapping[str, Any]) -> Summary:
    """Of an object as the API server gives it; one without a status is Pending."""
    metadata, status = workflow["metadata"], workflow.get("status") or {}
    told: Summary = {name: status[name] for name in _SHOWN if status.get(name) is not None}
    return {
        "phase": "Pending",
        **told,
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "created": metadata.get("creationTimestamp"),
        "position": (status.get("log") or {}).get("position", 0),
    }


def summary_of_file(verdict: Verdict) -> Summary:
    """The same out of a verified file: what the status would say of this log."""
    status = project(
        verdict.state,
        generation=0,
        log_position=verdict.tip.position,
        log_hash=verdict.tip.hash.hex(),
        waiting={},
        spec_changed=False,
    )
    first, last = (timestamp(verdict.records[place].ts) if verdict.records else None for place in (0, -1))
    metadata = {"namespace": verdict.namespace, "name": verdict.name, "uid": verdict.uid, "creationTimestamp": first}
    return summary({"metadata": metadata, "status": status}) | {"asOf": last}


def key(told: Summary) -> Key:
    """By what the page names it."""
    return str(told["namespace"]), str(told["name"])
