"""The ConfigMaps that hold a log: their names, labels and owner, and the patch that commits.

    kipu-log-<uid>                          the head
    kipu-log-<uid>-<generation>-<nonce>     a chunk; the generation (10 digits) is the one its commit would make
    kipu-blob-<uid>-<hash>                  a large value, by the first 128 bits of its SHA-256

Promises: every name carries the Workflow's uid, so that a namesake's log is never taken for ours; the garbage
collector removes all of them with the Workflow. Must never do I/O.
"""

from __future__ import annotations

from collections.abc import Mapping

from .ports import StreamId

GENERATION_DIGITS = 10  # at 1,000 commits a second good for 115 days; names sort as they were made
BLOB_NAME_DIGITS = 32  # 128 bits; the whole hash is checked on reading


def head_name(stream: StreamId) -> str:
    """The one mutable object of a stream."""
    return f"kipu-log-{stream.uid}"


def chunk_name(stream: StreamId, generation: int, nonce: str) -> str:
    """The name of a chunk staged for the commit that makes `generation`."""
    return f"{head_name(stream)}-{generation:0{GENERATION_DIGITS}}-{nonce}"


def generation_of(stream: StreamId, name: str) -> int | None:
    """The generation that this chunk of the stream was staged for; None for any other name."""
    generation, dash, _ = name.removeprefix(f"{head_name(stream)}-").partition("-")
    is_chunk = name.startswith(f"{head_name(stream)}-") and dash and generation.isascii() and generation.isdigit()
    return int(generation) if is_chunk else None


def selector(stream: StreamId) -> str:
    """The labels of all objects of a stream, for a LIST."""
    return ",".join(f"{key}={value}" for key, value in _labels(stream).items())


def blob_name(stream: StreamId, digest: str) -> str:
    """The name of the blob with this SHA-256 (hex)."""
    return f"kipu-blob-{stream.uid}-{digest[:BLOB_NAME_DIGITS]}"


def head_manifest(stream: StreamId, data: Mapping[str, str]) -> dict[str, object]:
    """The head of a new stream."""
    return {**_manifest(stream, head_name(stream)), "data": dict(data)}


def chunk_manifest(stream: StreamId, name: str, text: str) -> dict[str, object]:
    """A chunk; `text` is base64."""
    return {**_manifest(stream, name), "immutable": True, "binaryData": {"records": text}}


def blob_manifest(stream: StreamId, name: str, text: str, digest: str) -> dict[str, object]:
    """A blob; `text` is base64, `digest` the SHA-256 of the bytes that it stands for."""
    return {
        **_manifest(stream, name),
        "immutable": True,
        "data": {"digest": digest},
        "binaryData": {"blob": text},
    }


def commit_patch(
    *, uid: str, resource_version: str, digest: str, data: Mapping[str, str]
) -> tuple[Mapping[str, object], ...]:
    """JSON Patch of the head: what must still be true, and what becomes true.

    The digest is a guard of its own: after a restore of etcd a resourceVersion may come a second time. Who manages
    which field of the head is not tracked: it has one writer, and the bookkeeping was a third of what a commit cost the
    API server (docs/performance.md). `[{}]` is how Kubernetes has it switched off, for good, by whoever writes:
    https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
    """
    return (
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": resource_version},
        {"op": "test", "path": "/data/digest", "value": digest},
        *({"op": "replace", "path": f"/data/{key}", "value": text} for key, text in data.items()),
        {"op": "add", "path": "/metadata/managedFields", "value": [{}]},
    )


def _labels(stream: StreamId) -> dict[str, str]:
    return {"kipu.dev/workflow-uid": stream.uid, "kipu.dev/component": "log"}


def _manifest(stream: StreamId, name: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": stream.namespace,
            "labels": _labels(stream) | {"app.kubernetes.io/managed-by": "kipu"},
            "ownerReferences": [
                {
                    "apiVersion": "kipu.dev/v1alpha1",
                    "kind": "Workflow",
                    "name": stream.name,
                    "uid": stream.uid,
                    # Not a controller: nobody adopts or recreates a log. Not blocking: with the admission plugin
                    # OwnerReferencesPermissionEnforcement that would need update on workflows/finalizers, and a
                    # foreground deletion need not wait for the log.
                    "controller": False,
                    "blockOwnerDeletion": False,
                }
            ],
        },
    }
