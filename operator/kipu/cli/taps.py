"""The log of one attempt's pod, read once or followed to its end.

Promises: a log that is followed is asked for again while its pod runs, however often the connection ends, and gives no
line twice. What the API server says of a pod whose log it cannot give is told in its words. Must never write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import msgspec

from kipu.api.pods import MAIN
from kipu.core.errors import TransientError
from kipu.eventlog.ports import Unanswered
from kipu.shell.kube_views import POD_ENDED, PodView

from .cluster import CORE, Cluster, list_all, refused
from .errors import CannotTell
from .log_lines import Given, Line, parse
from .streaming import Stream

QUIET_SECONDS = 60.0  # without a byte of a log that is followed: is the pod still there?
PAUSE_SECONDS = 0.2  # before a log that has ended is asked for again, since its pod runs on
TRIES_MAX = 20  # without an answer; between them PAUSE_SECONDS, doubled each time up to PAUSE_SECONDS_MAX
PAUSE_SECONDS_MAX = 5.0


class PodGone(CannotTell):
    """There is no pod of this attempt, or not any more."""


class Tap:
    """Of the attempt that these labels select; `query`: what is asked of the log, such as `tailLines`."""

    def __init__(self, cluster: Cluster, namespace: str, selector: str, query: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._pods = f"{CORE}/namespaces/{namespace}/pods"
        self._selector = selector
        self._query = {**query, "container": MAIN, "timestamps": "true"}

    async def read(self) -> AsyncGenerator[Line]:
        """What there is now. Raises PodGone, CannotTell, TransientError."""
        pod = await self._pod()
        async with aclosing(self._open(pod, self._query)) as lines:
            async for line in lines:
                yield line

    async def follow(self) -> AsyncGenerator[Line]:
        """To the end of the pod. Raises PodGone if there is none at the beginning, CannotTell."""
        given, query, tries = Given(), {**self._query, "follow": "true"}, 0
        pod = await self._pod()
        while True:
            try:
                async with aclosing(self._open(pod, query)) as lines:
                    async for line in lines:
                        if given.is_new(line):
                            tries = 0
                            yield line
                pod = await self._pod()
            except PodGone:
                return
            except TransientError as error:
                if (tries := tries + 1) >= TRIES_MAX:
                    raise CannotTell(str(error)) from error
            else:
                if pod.status.phase in POD_ENDED and not self._is_open(pod):
                    return
            if (since := given.again()) is not None:
                query = {key: value for key, value in query.items() if key not in ("tailLines", "sinceSeconds")}
                query["sinceTime"] = since
            await asyncio.sleep(min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2**tries))

    @staticmethod
    def _is_open(pod: PodView) -> bool:
        """Whether `main` may still write: its pod has ended because of another container."""
        return any(each.name == MAIN and each.state.running is not None for each in pod.status.container_statuses)

    async def _pod(self) -> PodView:
        """The newest one of the attempt."""
        pods = await list_all(self._cluster, self._pods, self._selector)
        if not pods:
            raise PodGone("its pod is gone, or not there yet")
        newest: Any = max(pods, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
        return msgspec.convert(newest, PodView)

    async def _open(self, pod: PodView, query: Mapping[str, str]) -> AsyncGenerator[Line]:
        name = pod.metadata.name
        opened = await self._cluster.open(f"{self._pods}/{name}/log", query, read_seconds=QUIET_SECONDS)
        if not isinstance(opened, Stream):
            if opened.status == HTTPStatus.NOT_FOUND:
                raise PodGone(f"its pod {name} is gone")
            if opened.status == HTTPStatus.BAD_REQUEST:  # such as "container main is waiting to start"
                raise Unanswered(f"pod {name} has no log yet: {opened.message}")
            raise refused(opened, f"read the log of pod {name}")
        try:
            while (raw := await opened.line()) is not None:
                yield parse(raw)
        finally:
            await opened.close()
