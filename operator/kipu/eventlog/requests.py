"""Requests of the ConfigMap log: an answer always comes, reads are asked again, waits grow.

Promises: whatever is asked again is harmless to ask again: reads here, and elsewhere only what its caller has made
so. Every number of tries is bounded. Must never decide what an answer means beyond "there", "not there", "unclear".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from kipu.core.errors import TransientError

from .answers import is_done, is_refusal, no_answer, words
from .ports import Answer, ConfigMapApi, StreamId, Unanswered

TRIES_MAX = 6  # of one request: waits of at most 0.1 + 0.2 + 0.4 + 0.8 + 1.6 s between them
WAIT_SECONDS_FIRST = 0.1
READS_AT_ONCE_MAX = 8

Body = Mapping[str, object]


class Requests:
    """One writer's requests. `sleep` waits seconds; `jitter` draws from [0, 1)."""

    def __init__(
        self, api: ConfigMapApi, *, sleep: Callable[[float], Awaitable[object]], jitter: Callable[[], float]
    ) -> None:
        self.api = api
        self._sleep = sleep
        self._jitter = jitter

    async def ask(self, request: Awaitable[Answer]) -> Answer:
        """The answer, or one that says that none came."""
        try:
            return await request
        except Unanswered as error:
            return no_answer(error)

    async def wait(self, attempt: int) -> None:
        """Between a half and the whole of a time that doubles."""
        await self._sleep(WAIT_SECONDS_FIRST * 2**attempt * (0.5 + self._jitter() / 2))

    async def get(self, stream: StreamId, name: str, *, tries: int = TRIES_MAX) -> Body | None:
        """One object; None if there is none. Raises TransientError."""
        for attempt in range(tries):
            answer = await self.ask(self.api.get_config_map(stream.namespace, name))
            if is_done(answer):
                return answer.body
            if answer.status == 404:
                return None
            if is_refusal(answer):
                break
            if attempt + 1 < tries:
                await self.wait(attempt)
        raise TransientError(f"ConfigMap {name} cannot be read: {words(answer)}")

    async def get_all(self, stream: StreamId, names: Sequence[str], *, tries: int = TRIES_MAX) -> list[Body | None]:
        """The objects of these names, READS_AT_ONCE_MAX at once; every read ends before an error is raised."""
        slots = asyncio.Semaphore(READS_AT_ONCE_MAX)

        async def get(name: str) -> Body | None:
            async with slots:
                return await self.get(stream, name, tries=tries)

        results = await asyncio.gather(*(get(name) for name in names), return_exceptions=True)
        bodies: list[Body | None] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            bodies.append(result)
        return bodies
