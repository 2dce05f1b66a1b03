"""The default backend: a log in ConfigMaps, committed by one JSON Patch of a small head.

Promises: the port, over an API server that may lose answers, carry requests out late, twice or not at all.
A commit is one request; the same events are never committed twice, since every resend has the guards of the
first (uid, resourceVersion, digest) and so at most one of them wins; what the index names was acknowledged
before. Must never create a head where one has been, trust an answer that is not clear, or let the upkeep of the log
(merges, sweeps) hold a commit up.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kipu.core.errors import CorruptionError, TransientError
from kipu.core.events import Event

from .answers import identity, is_done, is_refusal, is_taken, words
from .chain import Batch, Tip, beginning, extend
from .chunks import (
    CHUNKS_MAX,
    TAIL_BYTES_GROWN_MAX,
    TAIL_BYTES_MAX,
    ChunkRef,
    Meta,
    blobs_named_by,
    open_blob,
    open_chunk,
    roll,
    seal,
    split,
    unseal,
    verify,
)
from .merging import Chunk, Piece, Run, due, piece, tightest
from .objects import blob_name, commit_patch, head_manifest, head_name, selector
from .ports import (
    Answer,
    ConcurrencyConflict,
    ConfigMapApi,
    Head,
    History,
    LogFull,
    LogMissing,
    LogWriteRefused,
    Recorded,
    StreamId,
)
from .requests import TRIES_MAX, Body, Requests
from .staging import Staging, refuse_too_large
from .sweeping import SWEEP_DELETES_MAX, dead

OPENINGS_MAX = 5  # heads that move on while their chunks are read


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMapHead(Head):
    """All that the next append needs, so that it is one request and hashes no old record again."""

    uid: str  # of the head's ConfigMap; with the next two the guards of the next commit
    resource_version: str
    digest: str
    generation: int
    spec_hash: str
    tip: Tip
    index: tuple[Chunk, ...]
    tail: bytes
    tail_bytes_max: int = TAIL_BYTES_MAX  # beyond which the tail rolls; grows while the store refuses chunks

    @property
    def chunks(self) -> tuple[ChunkRef, ...]:
        """The index as it is written."""
        return tuple(chunk.ref for chunk in self.index)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The head as the API server holds it."""

    uid: str
    resource_version: str
    digest: str
    meta: Meta
    tail: bytes


class ConfigMapLog:
    """One writer. `nonce` draws 64 random bits in hex; `sleep` waits seconds; `jitter` draws from [0, 1)."""

    def __init__(
        self,
        api: ConfigMapApi,
        *,
        nonce: Callable[[], str] = lambda: secrets.token_hex(8),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._nonce = nonce
        self._requests = Requests(api, sleep=sleep, jitter=jitter)
        self._staging = Staging(self._requests, nonce)

    # -- append ----------------------------------------------------------------------------------------------

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[ConfigMapHead, tuple[Recorded, ...]]:
        """Commit `events` after `expected`; see the port. `expected` is a head that this class gave."""
        assert expected is None or isinstance(expected, ConfigMapHead)
        base = expected or _nothing(stream, spec_hash)
        batch = extend(base.tip, events, ts=ts)
        for digest, blob in batch.blobs.items():
            await self._staging.blob(stream, digest, blob)
        laid = await self._lay_out(stream, base, batch)
        return await self._commit(stream, base, laid), batch.records

    async def _lay_out(self, stream: StreamId, base: ConfigMapHead, batch: Batch) -> ConfigMapHead:
        """The head to be, with the chunk staged that it names if the tail has to roll."""
        grown = base.tail + batch.lines
        chunk, tail = roll(base.tail, batch.lines, tail_bytes_max=base.tail_bytes_max)
        after = replace(
            base,
            position=batch.tip.position,
            hash=batch.tip.hash.hex(),
            epoch=batch.tip.epoch,
            tip=batch.tip,
            generation=base.generation + 1,
            tail=tail,
            superseded=0,
        )
        if not chunk:
            return after
        index = await self._rolled(stream, base, chunk, base.position if tail else batch.tip.position)
        if not isinstance(index, str):
            return _indexed(base, replace(after, tail_bytes_max=TAIL_BYTES_MAX, refusal=""), index)
        if len(grown) > TAIL_BYTES_GROWN_MAX:
            raise LogWriteRefused(f"the tail may not grow above {TAIL_BYTES_GROWN_MAX} bytes, and {index}")
        # The next try comes after another 4 KiB, not with every append.
        return replace(after, tail=grown, tail_bytes_max=len(grown) + TAIL_BYTES_MAX, refusal=index)

    async def _rolled(self, stream: StreamId, base: ConfigMapHead, chunk: bytes, last: int) -> Sequence[Chunk] | str:
        """The index once `chunk` is in it, with one merge if one is due; the words of a refusal of the chunk."""
        index, generation = list(base.index), base.generation + 1
        run = due([*map(piece, index), Piece(0, len(chunk))])
        if run is not None and run.stop > len(index):  # the new chunk is merged at once and never lies alone
            merged = await self._staging.merged(stream, generation, index[run.start :], chunk, last)
            if merged is not None:
                return [*index[: run.start], merged]
            run = None
        if len(index) >= CHUNKS_MAX:
            raise LogFull(f"the log has {CHUNKS_MAX} chunks: end this run, and split the workflow in two")
        first = index[-1].ref.last + 1 if index else 1
        staged = await self._staging.chunk(stream, generation, chunk, first=first, last=last)
        if isinstance(staged, str):
            return staged
        if run is not None:
            index = await self._merge(stream, generation, index, run)
        return [*index, staged]

    async def _merge(self, stream: StreamId, generation: int, index: list[Chunk], run: Run) -> list[Chunk]:
        """The index with one chunk in place of a run, or as it is if that cannot be had now."""
        merged = await self._staging.merged(stream, generation, index[run.start : run.stop])
        return index if merged is None else [*index[: run.start], merged, *index[run.stop :]]

    async def _commit(self, stream: StreamId, base: ConfigMapHead, laid: ConfigMapHead) -> ConfigMapHead:
        """Make `laid` the head, for certain. The same bytes in every try."""
        commit = self._nonce()
        data = seal(_meta(stream, laid, commit), laid.tail)
        laid = replace(laid, digest=data["digest"])
        for attempt in range(TRIES_MAX):
            answer = await self._send(stream, base, data)
            if is_done(answer):
                uid, resource_version = identity(answer.body)
                return replace(laid, uid=uid, resource_version=resource_version)
            refuse_too_large(answer, "the head")
            seen = await self._look(stream)
            if seen is not None and seen.digest == laid.digest:  # it covers the commit id
                return replace(laid, uid=seen.uid, resource_version=seen.resource_version)
            _check_guards(stream, base, seen, answer)
            if is_refusal(answer):
                raise LogWriteRefused(f"the API server refuses the commit: {words(answer)}")
            await self._requests.wait(attempt)
        raise TransientError(f"{TRIES_MAX} tries of a commit had no clear answer, the last: {words(answer)}")

    async def _send(self, stream: StreamId, base: ConfigMapHead, data: Mapping[str, str]) -> Answer:
        if not base.generation:
            return await self._requests.ask(self._api.create_config_map(stream.namespace, head_manifest(stream, data)))
        patch = commit_patch(uid=base.uid, resource_version=base.resource_version, digest=base.digest, data=data)
        return await self._requests.ask(self._api.patch_config_map(stream.namespace, head_name(stream), patch))

    # -- upkeep ----------------------------------------------------------------------------------------------

    async def archive(self, stream: StreamId, head: Head) -> ConfigMapHead:
        """One last merge of all chunks; the tail stays in the head. See the port."""
        assert isinstance(head, ConfigMapHead)
        index, generation = list(head.index), head.generation + 1
        for run in reversed(tightest([*map(piece, index)])):  # from the end, so that the places of the others hold
            index = await self._merge(stream, generation, index, run)
        if len(index) == len(head.index):
            return head
        return await self._commit(stream, head, _indexed(head, replace(head, generation=generation), index))

    async def sweep(self, stream: StreamId, head: Head) -> int:
        """Delete chunks that no commit can name any more. See the port, and `sweeping` for the rule."""
        assert isinstance(head, ConfigMapHead)
        try:
            listed = await self._api.list_config_maps(stream.namespace, selector(stream))
            # After the list, and not the head that we hold: etcd may have been restored since.
            seen = await self._look(stream)
        except (TransientError, CorruptionError):
            return 0
        if seen is None or seen.uid != head.uid or seen.meta.generation < head.generation:
            return 0
        deleted = 0
        for item in dead(stream, seen.meta, listed)[:SWEEP_DELETES_MAX]:
            answer = await self._requests.ask(self._api.delete_config_map(stream.namespace, item.name, item.uid))
            if not is_done(answer) and answer.status not in (404, 409):  # gone, or another one of that name
                break
            deleted += is_done(answer)
        return deleted

    # -- load ------------------------------------------------------------------------------------------------

    async def load(self, stream: StreamId) -> History | None:
        """The whole verified history; None when there is no head. Raises CorruptionError, TransientError."""
        seen = await self._look(stream)
        if seen is None:
            return None
        for _ in range(OPENINGS_MAX):
            bodies = await self._requests.get_all(stream, [chunk.name for chunk in seen.meta.chunks])
            if None not in bodies:
                return await self._open(stream, seen, [body for body in bodies if body is not None])
            # The index may have moved on while we read; if it has not, a chunk is lost.
            missing, again = seen.meta.chunks[bodies.index(None)].name, await self._look(stream)
            if again is None:
                raise LogMissing(f"the head of {stream.name}'s log vanished while it was read")
            if again.meta.generation == seen.meta.generation:
                raise CorruptionError(f"chunk {missing} is gone, and the head still names it")
            seen = again
        raise TransientError(f"the log of {stream.name} moved on {OPENINGS_MAX} times while it was read")

    async def _open(self, stream: StreamId, seen: _Seen, bodies: Sequence[Body]) -> History:
        meta = seen.meta
        contents = [open_chunk(chunk, body.get("binaryData")) for chunk, body in zip(meta.chunks, bodies, strict=True)]
        lines = split(meta, contents, seen.tail)
        tip, records = verify(meta, lines, await self._read_blobs(stream, list(blobs_named_by(lines))))
        head = ConfigMapHead(
            position=tip.position,
            hash=meta.hash,
            epoch=tip.epoch,
            uid=seen.uid,
            resource_version=seen.resource_version,
            digest=seen.digest,
            generation=meta.generation,
            spec_hash=meta.spec_hash,
            tip=tip,
            index=tuple(
                Chunk(ref=ref, size_bytes=len(content)) for ref, content in zip(meta.chunks, contents, strict=True)
            ),
            tail=seen.tail,
        )
        return History(head=head, records=records)

    async def _read_blobs(self, stream: StreamId, digests: Sequence[str]) -> dict[str, bytes]:
        blobs: dict[str, bytes] = {}
        bodies = await self._requests.get_all(stream, [blob_name(stream, digest) for digest in digests])
        for digest, body in zip(digests, bodies, strict=True):
            if body is None:
                raise CorruptionError(f"blob {digest} is gone, and a record names it")
            blobs[digest] = open_blob(digest, body.get("data"), body.get("binaryData"))
        return blobs

    async def _look(self, stream: StreamId) -> _Seen | None:
        """The head; None if there is none."""
        body = await self._requests.get(stream, head_name(stream))
        if body is None:
            return None
        uid, resource_version = identity(body)
        meta, tail, digest = unseal(body.get("data"), workflow_uid=stream.uid)
        return _Seen(uid=uid, resource_version=resource_version, digest=digest, meta=meta, tail=tail)


def _nothing(stream: StreamId, spec_hash: str) -> ConfigMapHead:
    """What the first append of a stream comes after: generation 0, no object."""
    tip = beginning(stream.uid, spec_hash)
    return ConfigMapHead(
        position=0,
        hash=tip.hash.hex(),
        epoch=0,
        uid="",
        resource_version="",
        digest="",
        generation=0,
        spec_hash=spec_hash,
        tip=tip,
        index=(),
        tail=b"",
    )


def _meta(stream: StreamId, head: ConfigMapHead, commit: str) -> Meta:
    return Meta(
        uid=stream.uid,
        spec_hash=head.spec_hash,
        generation=head.generation,
        commit=commit,
        position=head.position,
        hash=head.hash,
        epoch=head.epoch,
        ts=head.tip.ts,
        writer=head.tip.writer,
        chunks=head.chunks,
    )


def _check_guards(stream: StreamId, base: ConfigMapHead, seen: _Seen | None, answer: Answer) -> None:
    """After a try that is not known to have won: is everything still as the commit wants it?"""
    begins = base.generation == 0
    if seen is None:
        if begins and not is_taken(answer):
            return
        raise LogMissing(f"the head of {stream.name}'s log is gone; restore it or delete the Workflow")
    if begins:
        raise ConcurrencyConflict(f"another writer has begun the log of {stream.name}")
    if seen.uid != base.uid:
        raise LogMissing(f"the head of {stream.name}'s log was deleted and created anew")
    if (seen.resource_version, seen.digest) != (base.resource_version, base.digest):
        raise ConcurrencyConflict(
            f"the head of {stream.name}'s log has moved to generation {seen.meta.generation} and position "
            f"{seen.meta.position}"
        )


def _indexed(base: ConfigMapHead, laid: ConfigMapHead, index: Sequence[Chunk]) -> ConfigMapHead:
    """`laid` with this index; what `base` names and it does not is superseded."""
    kept = {chunk.ref.name for chunk in index}
    superseded = sum(chunk.ref.name not in kept for chunk in base.index)
    return replace(laid, index=tuple(index), superseded=superseded)
