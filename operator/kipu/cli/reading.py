"""What a cluster holds of one Workflow: its log, or of a damaged log the part that can be verified.

Promises: `load` gives a log only if it is sound and not behind what the Workflow's status has seen; `gather` also
gives a part of one, and says what is missing and why. Must never write anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kipu.api import definition as specs
from kipu.core.definition_json import to_json
from kipu.core.errors import CorruptionError, UserError
from kipu.core.state import State
from kipu.core.texts import shorten
from kipu.eventlog.codec import UnknownEvent, canonical
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from kipu.eventlog.ports import ConfigMapApi, Head, History, LogMissing, StreamId
from kipu.eventlog.remains import recover

from .cluster import CORE, Cluster, find_workflow, list_all, stream_of
from .errors import CannotTell
from .transcript import BadRecord, Enclosed, Partial, Witness, extent, fold

EDITED = (
    "the spec was edited after it was taken up, so that it is not the one of this log: the file is without it, and "
    "'kipu salvage' cannot use it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """All that goes into a file, and what is to be said about it. `whole`: nothing is missing in it."""

    stream: StreamId
    history: History
    spec_hash: str
    enclosed: Enclosed
    notes: tuple[str, ...]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A Workflow and what its log says of it; no head and the empty state before an operator has taken it up."""

    workflow: Mapping[str, Any]
    stream: StreamId
    history: History | None
    state: State


class NoLogYet(CannotTell):
    """No operator has taken the Workflow up."""


async def look(cluster: Cluster, namespace: str, name: str) -> Look:
    """A Workflow as it stands. Raises NoWorkflow, CannotTell, CorruptionError."""
    return await look_at(cluster, await find_workflow(cluster, namespace, name))


async def look_at(cluster: ConfigMapApi, workflow: Mapping[str, Any]) -> Look:
    """The same of a Workflow that was just read: its log is read after it, and so is not behind it."""
    stream = stream_of(workflow)
    try:
        history, _ = await _load(cluster, workflow)
    except NoLogYet:
        return Look(workflow=workflow, stream=stream, history=None, state=State())
    return Look(workflow=workflow, stream=stream, history=history, state=fold(history.records))


async def load(cluster: Cluster, namespace: str, name: str) -> tuple[StreamId, History, str]:
    """The verified log of a Workflow and its spec hash. Raises CorruptionError, CannotTell."""
    workflow = await find_workflow(cluster, namespace, name)
    return stream_of(workflow), *await _load(cluster, workflow)


async def gather(cluster: Cluster, namespace: str, name: str) -> Export:
    """What can be verified of a Workflow's log, with its spec and what its status has seen.

    Raises CorruptionError when that is nothing at all, UnknownEvent, CannotTell.
    """
    workflow = await find_workflow(cluster, namespace, name)
    try:
        history, spec_hash = await _load(cluster, workflow)
        fold(history.records)
    except UnknownEvent:
        raise
    except CorruptionError as error:
        return await _remains(cluster, workflow, error)
    return _export(workflow, history, spec_hash)


def _export(
    workflow: Mapping[str, Any],
    history: History,
    spec_hash: str,
    partial: Partial | None = None,
    notes: tuple[str, ...] = (),
) -> Export:
    spec: Mapping[str, object] | None = specs.immutable_part(workflow["spec"])
    if specs.spec_hash(workflow["spec"]) != spec_hash:
        spec, notes = None, (*notes, EDITED)
    return Export(
        stream=stream_of(workflow),
        history=history,
        spec_hash=spec_hash,
        enclosed=Enclosed(spec=spec, witness=_witness(workflow), partial=partial),
        notes=notes,
        whole=spec is not None and partial is None,
    )


async def _load(cluster: ConfigMapApi, workflow: Mapping[str, Any]) -> tuple[History, str]:
    """The verified log, not behind what the status has seen."""
    stream, witness = stream_of(workflow), _witness(workflow)
    found = await ConfigMapLog(cluster).load(stream)
    if found is None:
        if witness:
            raise LogMissing(f"the status has seen position {witness.position}, but there is no log")
        raise NoLogYet(f"Workflow '{stream.name}' has no log yet: no operator has taken it up")
    if witness:
        _check_witness(found, witness)
    assert isinstance(found.head, ConfigMapHead)
    return found, found.head.spec_hash


def _witness(workflow: Mapping[str, Any]) -> Witness | None:
    seen = workflow.get("status", {}).get("log")
    return Witness(position=seen["position"], hash=seen["hash"]) if seen else None


def _check_witness(found: History, witness: Witness) -> None:
    """The status was written after its position was committed: a log that lacks it has lost its end."""
    position = witness.position
    if found.head.position < position:
        raise CorruptionError(f"the status has seen position {position}, the log ends at {found.head.position}")
    if found.records[position - 1].hash != witness.hash:
        raise CorruptionError(f"the record at position {position} is not the one that the status has seen")


async def _remains(cluster: Cluster, workflow: Mapping[str, Any], error: CorruptionError) -> Export:
    """What is left of a log that does not open."""
    stream, witness = stream_of(workflow), _witness(workflow)
    path = f"{CORE}/namespaces/{stream.namespace}/configmaps"
    found = await list_all(cluster, path, f"kipu.dev/workflow-uid={stream.uid}")
    remains = recover(
        stream,
        {body["metadata"]["name"]: body for body in found},
        spec_hash=specs.spec_hash(workflow["spec"]),
        witness=(witness.position, witness.hash) if witness else None,
        blobs=_definition(workflow["spec"]),
    )
    history = _foldable(remains.history)
    position, found_position = history.head.position, remains.history.head.position
    if not position:
        raise CorruptionError(f"{error}; nothing of the log can be verified") from error
    if remains.whole and position == found_position:
        return _export(workflow, history, remains.spec_hash, notes=(f"{error}; the file is whole all the same",))
    of = max(remains.of or 0, found_position)
    partial = Partial(why=shorten(str(error)), of=of if of > position else None)
    return _export(workflow, history, remains.spec_hash, partial, (f"{extent(position, partial)}: {partial.why}",))


def _foldable(history: History) -> History:
    """Up to the first record that the core does not take, if there is one."""
    try:
        fold(history.records)
    except BadRecord as error:
        records = history.records[: error.position - 1]
        last = records[-1] if records else None
        head = Head(position=len(records), hash=last.hash if last else "", epoch=last.epoch if last else 0)
        return History(head=head, records=records)
    return history


def _definition(spec: Mapping[str, Any]) -> dict[str, bytes]:
    """The definition as a blob by its hash, made anew from the spec: the one in the cluster may be lost."""
    try:
        blob = canonical(to_json(specs.parse(spec)))
    except UserError:
        return {}
    return {hashlib.sha256(blob).hexdigest(): blob}
