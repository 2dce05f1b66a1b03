"""Old shapes of records made new on reading: what keeps events readable for ever.

Promises: a record that was once written by a release is read by every later one. A record is never rewritten.
An upcaster takes the decoded record of one (type, v) and returns the next shape of it, which names its own
(type, v); chains are followed. A new upcaster comes with a recorded history in tests/eventlog/golden.
Must never look at anything but the record: no clock, no other record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kipu.core.errors import CorruptionError

RawRecord = dict[str, object]
Upcaster = Callable[[RawRecord], RawRecord]

UPCASTS_PER_RECORD_MAX = 32  # one a release over years; more is an upcaster that returns its own input

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}  # none yet: every kind still has its first shape


def upcast(raw: RawRecord, upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS) -> RawRecord:
    """The record in the newest shape that the registry knows; the same object when it has nothing for it.

    Raises CorruptionError when the registry runs in a circle.
    """
    for _ in range(UPCASTS_PER_RECORD_MAX + 1):
        kind, version = raw.get("type"), raw.get("v")
        step = upcasters.get((kind, version)) if isinstance(kind, str) and isinstance(version, int) else None
        if step is None:
            return raw
        raw = step(raw)
    raise CorruptionError(f"the upcasters of {raw.get('type')} do not end")
