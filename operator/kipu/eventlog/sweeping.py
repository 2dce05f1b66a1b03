"""Which stored chunks may be deleted: the generation rule.

A chunk carries in its name the generation that its commit would make. A head names only chunks that the head before
it named, or that were staged for its own generation. So a chunk that a head of generation g does not name, staged for
a generation up to g, will never be named: the patch that would have named it tests a head that has moved on. A later
one may belong to a commit under way. It does not matter how old the list of names is, only that the head was read.

Blobs are never dead: their names say what they hold and not for which commit, so that nobody can tell one that was
left behind from one that the next commit is about to name. They go with the Workflow.

Must never judge by age, and never by a head that was not read or committed.
"""

from __future__ import annotations

from collections.abc import Iterable

from .chunks import Meta
from .objects import generation_of
from .ports import ObjectName, StreamId

SWEEP_DELETES_MAX = 256  # of one sweep, one after the other: 9 of a merge or an archive, and what lost races left


def dead(stream: StreamId, meta: Meta, stored: Iterable[ObjectName]) -> list[ObjectName]:
    """Those of the stored objects that no head can name any more, given the head's `meta`."""
    named = {chunk.name for chunk in meta.chunks}
    found = []
    for item in stored:
        generation = generation_of(stream, item.name)
        if generation is not None and generation <= meta.generation and item.name not in named:
            found.append(item)
    return found
