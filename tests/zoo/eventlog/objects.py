"""Mutants of kipu/eventlog/objects.py: the ConfigMaps and the patch that commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kipu.eventlog.objects import _manifest, commit_patch
from kipu.eventlog.ports import StreamId
from tests.zoo.mutants import mutant

_sound_manifest, _sound_patch = _manifest, commit_patch
Patch = tuple[Mapping[str, object], ...]


@mutant("commit_patch", breaks="I1, I2, blind resend without guards", caught_by="tests/eventlog/test_contract.py")
def a_commit_without_guards(*, uid: str, resource_version: str, digest: str, data: Mapping[str, str]) -> Patch:
    """A commit tests nothing: the last writer wins."""
    patch = _sound_patch(uid=uid, resource_version=resource_version, digest=digest, data=data)
    return tuple(operation for operation in patch if operation["op"] != "test")


@mutant("commit_patch", breaks="I3", caught_by="tests/eventlog/test_configmaps.py")
def a_commit_trusts_the_resource_version(
    *, uid: str, resource_version: str, digest: str, data: Mapping[str, str]
) -> Patch:
    """The digest is no guard, though a resourceVersion can come again after a restore of etcd."""
    patch = _sound_patch(uid=uid, resource_version=resource_version, digest=digest, data=data)
    return tuple(operation for operation in patch if operation["op"] != "test" or "data" not in str(operation["path"]))


@mutant("commit_patch", breaks="a second table written after the first", caught_by="tests/eventlog/test_contract.py")
def the_index_is_written_with_the_next_commit(
    *, uid: str, resource_version: str, digest: str, data: Mapping[str, str]
) -> Patch:
    """A commit writes the records, and leaves what the head says about them to a second write."""
    patch = _sound_patch(uid=uid, resource_version=resource_version, digest=digest, data=data)
    return tuple(operation for operation in patch if operation["path"] != "/data/meta")


@mutant("_manifest", breaks="I12", caught_by="tests/eventlog/test_configmaps.py")
def a_log_without_an_owner(stream: StreamId, name: str) -> dict[str, Any]:
    """The garbage collector never finds the log of a Workflow that is gone."""
    manifest: dict[str, Any] = _sound_manifest(stream, name)
    del manifest["metadata"]["ownerReferences"]
    return manifest
