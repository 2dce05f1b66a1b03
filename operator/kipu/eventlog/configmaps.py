"""The default backend: a log in ConfigMaps, committed by one JSON Patch of a small head.

Promises: the port, over an API server that may lose answers, carry requests out late, twice or not at all.
A commit is one request; the same events are never committed twice, since every resend has the guards of the
first (uid, resourceVersion, digest) and so at most one of them wins; what the index names was acknowledged
before. Must never create a head where one has been, delete anything, or trust an answer that is not clear.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kipu.core.errors import CorruptionError, TransientError
from kipu.core.events import Event

from .answers import identity, is_done, is_refusal, is_taken, is_too_large, no_answer, words
from .chain import Batch, Tip, beginning, extend
from .chunks import (
    BLOB_BYTES_MAX,
    CHUNKS_MAX,
    PACKED_BYTES_MAX,
    TAIL_BYTES_GROWN_MAX,
    TAIL_BYTES_MAX,
    ChunkRef,
    Meta,
    blobs_named_by,
    open_blob,
    open_chunk,
    pack,
    roll,
    seal,
    sha256,
    split,
    to_text,
    unseal,
    verify,
)
from .objects import blob_manifest, blob_name, chunk_manifest, chunk_name, commit_patch, head_manifest, head_name
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
    Unanswered,
)

TRIES_MAX = 6  # of one request: waits of at most 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s between them
WAIT_SECONDS_FIRST = 0.1
READS_AT_ONCE_MAX = 8
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
    chunks: tuple[ChunkRef, ...]
    tail: bytes
    tail_bytes_max: int = TAIL_BYTES_MAX  # beyond which the tail rolls; grows while the store refuses chunks
    refusal: str = ""  # why it does: condition LogQuota


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
        self._sleep = sleep
        self._jitter = jitter

    # -- append ----------------------------------------------------------------------------------------------

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[ConfigMapHead, tuple[Recorded, ...]]:
        """Commit `events` after `expected`; see the port. `expected` is a head that this class gave."""
        assert expected is None or isinstance(expected, ConfigMapHead)
        base = expected or _nothing(stream, spec_hash)
        batch = extend(base.tip, events, ts=ts)
        for digest, blob in batch.blobs.items():
            await self._stage_blob(stream, digest, blob)
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
        )
        if not chunk:
            return after
        last = base.position if tail else batch.tip.position
        staged = await self._stage_chunk(stream, base, chunk, last)
        if isinstance(staged, ChunkRef):
            return replace(after, chunks=(*base.chunks, staged), tail_bytes_max=TAIL_BYTES_MAX, refusal="")
        if len(grown) > TAIL_BYTES_GROWN_MAX:
            raise LogWriteRefused(f"the tail may not grow above {TAIL_BYTES_GROWN_MAX} bytes, and {staged}")
        # The next try comes after another 4 KiB, not with every append.
        return replace(after, tail=grown, tail_bytes_max=len(grown) + TAIL_BYTES_MAX, refusal=staged)

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
            _refuse_too_large(answer, "the head")
            seen = await self._look(stream)
            if seen is not None and seen.digest == laid.digest:  # it covers the commit id
                return replace(laid, uid=seen.uid, resource_version=seen.resource_version)
            _check_guards(stream, base, seen, answer)
            if is_refusal(answer):
                raise LogWriteRefused(f"the API server refuses the commit: {words(answer)}")
            await self._wait(attempt)
        raise TransientError(f"{TRIES_MAX} tries of a commit had no clear answer, the last: {words(answer)}")

    async def _send(self, stream: StreamId, base: ConfigMapHead, data: Mapping[str, str]) -> Answer:
        if not base.generation:
            return await self._ask(self._api.create_config_map(stream.namespace, head_manifest(stream, data)))
        patch = commit_patch(uid=base.uid, resource_version=base.resource_version, digest=base.digest, data=data)
        return await self._ask(self._api.patch_config_map(stream.namespace, head_name(stream), patch))

    # -- staging ---------------------------------------------------------------------------------------------

    async def _stage_chunk(self, stream: StreamId, base: ConfigMapHead, content: bytes, last: int) -> ChunkRef | str:
        """Store a chunk under a fresh name; the words of the refusal if the store will not have it.

        A try whose answer was lost leaves an unreferenced chunk, which its owner reference takes away in the end.
        """
        if len(base.chunks) >= CHUNKS_MAX:
            raise LogFull(f"the log has {CHUNKS_MAX} chunks: end this run, and split the workflow in two")
        packed = pack(content)
        for attempt in range(TRIES_MAX):
            name = chunk_name(stream, base.generation + 1, self._nonce())
            manifest = chunk_manifest(stream, name, to_text(packed))
            answer = await self._ask(self._api.create_config_map(stream.namespace, manifest))
            if is_done(answer):
                first = base.chunks[-1].last + 1 if base.chunks else 1
                return ChunkRef(name=name, sha256=sha256(packed), first=first, last=last, level=0)
            _refuse_too_large(answer, "a chunk")
            if is_refusal(answer):
                return f"the API server refuses a chunk: {words(answer)}"
            await self._wait(attempt)
        raise TransientError(f"{TRIES_MAX} tries to store a chunk failed, the last: {words(answer)}")

    async def _stage_blob(self, stream: StreamId, digest: str, blob: bytes) -> None:
        """Store a blob under its own name, or find that it is there."""
        if len(blob) > BLOB_BYTES_MAX or len(packed := pack(blob)) > PACKED_BYTES_MAX:
            raise LogFull(f"a definition of {len(blob)} bytes does not fit a ConfigMap")
        name = blob_name(stream, digest)
        manifest = blob_manifest(stream, name, to_text(packed), sha256(packed))
        for attempt in range(TRIES_MAX):
            answer = await self._ask(self._api.create_config_map(stream.namespace, manifest))
            if is_done(answer):
                return
            if is_taken(answer) and (body := await self._get(stream, name)) is not None:
                open_blob(digest, body.get("data"), body.get("binaryData"))
                return
            _refuse_too_large(answer, "a blob")
            if is_refusal(answer):
                raise LogWriteRefused(f"the API server refuses a blob: {words(answer)}")
            await self._wait(attempt)
        raise TransientError(f"{TRIES_MAX} tries to store a blob failed, the last: {words(answer)}")

    # -- load ------------------------------------------------------------------------------------------------

    async def load(self, stream: StreamId) -> History | None:
        """The whole verified history; None when there is no head. Raises CorruptionError, TransientError."""
        seen = await self._look(stream)
        if seen is None:
            return None
        for _ in range(OPENINGS_MAX):
            bodies = await self._get_all(stream, [chunk.name for chunk in seen.meta.chunks])
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

    async def _open(self, stream: StreamId, seen: _Seen, bodies: Sequence[Mapping[str, object]]) -> History:
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
            chunks=meta.chunks,
            tail=seen.tail,
        )
        return History(head=head, records=records)

    async def _read_blobs(self, stream: StreamId, digests: Sequence[str]) -> dict[str, bytes]:
        blobs: dict[str, bytes] = {}
        bodies = await self._get_all(stream, [blob_name(stream, digest) for digest in digests])
        for digest, body in zip(digests, bodies, strict=True):
            if body is None:
                raise CorruptionError(f"blob {digest} is gone, and a record names it")
            blobs[digest] = open_blob(digest, body.get("data"), body.get("binaryData"))
        return blobs

    async def _get_all(self, stream: StreamId, names: Sequence[str]) -> list[Mapping[str, object] | None]:
        """The objects of these names, READS_AT_ONCE_MAX at once; every read ends before an error is raised."""
        slots = asyncio.Semaphore(READS_AT_ONCE_MAX)

        async def get(name: str) -> Mapping[str, object] | None:
            async with slots:
                return await self._get(stream, name)

        results = await asyncio.gather(*(get(name) for name in names), return_exceptions=True)
        bodies: list[Mapping[str, object] | None] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            bodies.append(result)
        return bodies

    # -- requests --------------------------------------------------------------------------------------------

    async def _look(self, stream: StreamId) -> _Seen | None:
        """The head; None if there is none."""
        body = await self._get(stream, head_name(stream))
        if body is None:
            return None
        uid, resource_version = identity(body)
        meta, tail, digest = unseal(body.get("data"), workflow_uid=stream.uid)
        return _Seen(uid=uid, resource_version=resource_version, digest=digest, meta=meta, tail=tail)

    async def _get(self, stream: StreamId, name: str) -> Mapping[str, object] | None:
        """One object; None if there is none. Raises TransientError."""
        for attempt in range(TRIES_MAX):
            answer = await self._ask(self._api.get_config_map(stream.namespace, name))
            if is_done(answer):
                return answer.body
            if answer.status == 404:
                return None
            if is_refusal(answer):
                break
            await self._wait(attempt)
        raise TransientError(f"ConfigMap {name} cannot be read: {words(answer)}")

    async def _ask(self, request: Awaitable[Answer]) -> Answer:
        """The answer, or one that says that none came."""
        try:
            return await request
        except Unanswered as error:
            return no_answer(error)

    async def _wait(self, attempt: int) -> None:
        """Between a half and the whole of a time that doubles."""
        await self._sleep(WAIT_SECONDS_FIRST * 2**attempt * (0.5 + self._jitter() / 2))


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
        chunks=(),
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


def _refuse_too_large(answer: Answer, what: str) -> None:
    if is_too_large(answer):
        raise LogFull(f"{what} is too large for the store: {words(answer)}")
