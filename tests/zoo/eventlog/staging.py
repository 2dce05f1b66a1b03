"""Mutants of kipu/eventlog/staging.py: what is stored before the commit that names it."""

from __future__ import annotations

from collections.abc import Sequence

from kipu.eventlog.chunks import ChunkRef, pack, sha256, to_text
from kipu.eventlog.merging import Chunk
from kipu.eventlog.objects import chunk_manifest, chunk_name
from kipu.eventlog.ports import StreamId
from kipu.eventlog.requests import TRIES_MAX
from kipu.eventlog.staging import Staging
from tests.zoo.mutants import mutant

_merged = Staging.merged


@mutant("Staging.chunk", breaks="I1", caught_by="tests/eventlog/test_configmaps.py")
async def a_chunk_is_named_before_it_is_known_to_be_stored(
    self: Staging,
    stream: StreamId,
    generation: int,
    content: bytes,
    *,
    first: int,
    last: int,
    level: int = 0,
    tries: int = TRIES_MAX,
) -> Chunk | str:
    """A chunk is sent, and the head names it whatever the answer."""
    packed, name = pack(content), chunk_name(stream, generation, self._nonce())
    manifest = chunk_manifest(stream, name, to_text(packed))
    await self._requests.ask(self._requests.api.create_config_map(stream.namespace, manifest))
    ref = ChunkRef(name=name, sha256=sha256(packed), first=first, last=last, level=level)
    return Chunk(ref=ref, size_bytes=len(content))


@mutant("Staging.merged", breaks="I3", caught_by="tests/eventlog/test_merging.py")
async def a_merge_forgets_its_first_chunk(
    self: Staging, stream: StreamId, generation: int, run: Sequence[Chunk], rest: bytes = b"", last: int = 0
) -> Chunk | None:
    """The merged chunk stands for all of its neighbours, and holds all but the first."""
    return await _merged(self, stream, generation, run[1:], rest, last) if len(run) > 1 else None
