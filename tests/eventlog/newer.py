"""Two logs as a later version of Kipu would write them: one with a key, one with an event that nobody here knows.

    python -m tests.eventlog.newer      # from the root of the repository; writes what is not recorded yet

They stand beside the histories of `recorded`, and never change either: this release and every later one reads the
first and stops at the second (ADR 0019).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kipu.core.definition import Definition, Step
from kipu.core.events import AttemptFailed, Event, Reason, StepScheduled, StreamClaimed, WorkflowAccepted
from kipu.eventlog.chain import beginning, extend
from kipu.eventlog.chunks import Meta, seal
from kipu.eventlog.codec import canonical, link
from kipu.eventlog.objects import head_manifest
from tests.eventlog.recorded import EVERY_EVENT, FOLDER, JOB, SPEC_HASH
from tests.eventlog.samples import TS

STREAM = EVERY_EVENT.stream
EVENTS: tuple[Event, ...] = (
    StreamClaimed(epoch=1, writer="kipu-1"),
    WorkflowAccepted(run=1, spec_hash=SPEC_HASH, definition=Definition(steps=(Step(name="load"),))),
    StepScheduled(run=1, step="load", attempt=1, job=JOB),
    AttemptFailed(run=1, step="load", attempt=1, reason=Reason.EXIT_CODE, exit_code=1, retry_at=TS + 9),
)
NEWER_KEY = FOLDER / "newer-key.json"
NEWER_EVENT = FOLDER / "newer-event.json"


def recording(*more: dict[str, object]) -> dict[str, Any]:
    """The log of EVENTS, each record with these keys more."""
    tip, lines, hashes = beginning(STREAM.uid, SPEC_HASH), b"", []
    digest = tip.hash
    for line, keys in zip(extend(tip, EVENTS, ts=TS).lines.splitlines(), more, strict=True):
        record = canonical(json.loads(line) | keys)
        digest = link(digest, record)
        hashes.append(digest.hex())
        lines += record + b"\n"
    meta = Meta(
        uid=STREAM.uid, spec_hash=SPEC_HASH, generation=1, commit="newer", position=len(hashes), hash=hashes[-1],
        epoch=1, ts=TS, writer="kipu-1", chunks=(),
    )  # fmt: skip
    head: Any = json.loads(json.dumps(head_manifest(STREAM, seal(meta, lines))))
    head["metadata"] |= {"uid": "uid-1", "resourceVersion": "1"}
    stream = {"namespace": STREAM.namespace, "name": STREAM.name, "uid": STREAM.uid}
    return {"stream": stream, "hashes": hashes, "objects": [head]}


def write(path: Path, *more: dict[str, object]) -> None:
    """Unless it stands already."""
    if not path.exists():
        path.write_text(json.dumps(recording(*more), indent=1, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    write(NEWER_KEY, {"host": "a"}, {}, {"queue": ["b", 1]}, {"lastWords": {"lines": ["c", None]}})
    write(NEWER_EVENT, {}, {}, {}, {"type": "AttemptForgiven"})
