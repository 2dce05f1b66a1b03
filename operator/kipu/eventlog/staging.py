"""What is stored before the commit that names it: chunks, merged chunks, blobs.

Promises: put-if-absent alone; a chunk has a fresh name at each try, so that only one whose creation was acknowledged
is ever named; a merge holds just the verified bytes of the chunks that it takes the place of. Must never touch the
head, change an object or delete one: what is staged and not committed is what a sweep is for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kipu.core.errors import CorruptionError, TransientError

from .answers import is_done, is_refusal, is_taken, is_too_large, words
from .chunks import (
    BLOB_BYTES_MAX,
    PACKED_BYTES_MAX,
    ChunkRef,
    open_blob,
    open_chunk,
    pack,
    sha256,
    to_text,
)
from .merging import Chunk
from .objects import blob_manifest, blob_name, chunk_manifest, chunk_name
from .ports import Answer, LogFull, LogWriteRefused, StreamId
from .requests import TRIES_MAX, Requests


class Staging:
    """Stores for commits to come. `nonce` draws 64 random bits in hex."""

    def __init__(self, requests: Requests, nonce: Callable[[], str]) -> None:
        self._requests = requests
        self._nonce = nonce

    async def chunk(
        self,
        stream: StreamId,
        generation: int,
        content: bytes,
        *,
        first: int,
        last: int,
        level: int = 0,
        tries: int = TRIES_MAX,
    ) -> Chunk | str:
        """Store a chunk for the commit that makes `generation`; the words of the refusal if the store refuses it.

        A try whose answer was lost leaves a chunk that nothing names. Raises LogFull, TransientError.
        """
        packed = pack(content)
        for attempt in range(tries):
            name = chunk_name(stream, generation, self._nonce())
            manifest = chunk_manifest(stream, name, to_text(packed))
            answer = await self._requests.ask(self._requests.api.create_config_map(stream.namespace, manifest))
            if is_done(answer):
                ref = ChunkRef(name=name, sha256=sha256(packed), first=first, last=last, level=level)
                return Chunk(ref=ref, size_bytes=len(content))
            refuse_too_large(answer, "a chunk")
            if is_refusal(answer):
                return f"the API server refuses a chunk: {words(answer)}"
            if attempt + 1 < tries:
                await self._requests.wait(attempt)
        raise TransientError(f"{tries} tries to store a chunk failed, the last: {words(answer)}")

    async def merged(
        self, stream: StreamId, generation: int, run: Sequence[Chunk], rest: bytes = b"", last: int = 0
    ) -> Chunk | None:
        """One chunk in place of these neighbours, and of `rest`, which ends at `last` and was not stored yet.

        None if any of it cannot be read, is not what was committed, or is refused. One try of each request: a
        merge may wait for the next roll, the commit behind it may not.
        """
        names = [chunk.ref.name for chunk in run]
        try:
            bodies = await self._requests.get_all(stream, names, tries=1)
            contents = [
                open_chunk(chunk.ref, None if body is None else body.get("binaryData"))
                for chunk, body in zip(run, bodies, strict=True)
            ]
            staged = await self.chunk(
                stream,
                generation,
                b"".join([*contents, rest]),
                first=run[0].ref.first,
                last=last if rest else run[-1].ref.last,
                level=1,
                tries=1,
            )
        except (TransientError, CorruptionError, LogFull):
            return None
        return staged if isinstance(staged, Chunk) else None

    async def blob(self, stream: StreamId, digest: str, blob: bytes) -> None:
        """Store a blob under its own name, or find that it is there. Raises as `append` does."""
        if len(blob) > BLOB_BYTES_MAX or len(packed := pack(blob)) > PACKED_BYTES_MAX:
            raise LogFull(f"a value of {len(blob)} bytes does not fit a ConfigMap")
        name = blob_name(stream, digest)
        manifest = blob_manifest(stream, name, to_text(packed), sha256(packed))
        for attempt in range(TRIES_MAX):
            answer = await self._requests.ask(self._requests.api.create_config_map(stream.namespace, manifest))
            if is_done(answer):
                return
            if is_taken(answer) and (body := await self._requests.get(stream, name)) is not None:
                open_blob(digest, body.get("data"), body.get("binaryData"))
                return
            refuse_too_large(answer, "a blob")
            if is_refusal(answer):
                raise LogWriteRefused(f"the API server refuses a blob: {words(answer)}")
            await self._requests.wait(attempt)
        raise TransientError(f"{TRIES_MAX} tries to store a blob failed, the last: {words(answer)}")


def refuse_too_large(answer: Answer, what: str) -> None:
    """Raises LogFull where the store says that this will never fit."""
    if is_too_large(answer):
        raise LogFull(f"{what} is too large for the store: {words(answer)}")
