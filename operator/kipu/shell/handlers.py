"""kopf as a thin front: it watches Workflows and hands each change to the engine. It writes nothing.

kopf runs in a thread and a loop of its own, under a supervisor that restarts it: it exits on some watch
errors and cancels every task of its loop when it does (design 06, 1.1 and 1.2). A handler is one call that
cannot fail; kopf would swallow its error.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import kopf
import uvloop

log = logging.getLogger(__name__)

Inbox = Callable[[str | None, dict[str, Any]], None]  # the watch event's type (None: listed) and the object
RESTART_SECONDS = 1.0


class _NoProgress(kopf.ProgressStorage):
    """Kopf's own bookkeeping, kept nowhere: without change handlers there is nothing to remember."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


class _NoDiffBase(kopf.DiffBaseStorage):
    """No copy of the spec in an annotation, and no deep copy of each event to compare it with."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


class _Endless:
    """Backoffs for kopf's requests that never run out: it exits when they do."""

    def __iter__(self) -> Iterator[float]:
        seconds = 0.5
        while True:
            yield seconds * (0.5 + random.random())
            seconds = min(seconds * 2, 10.0)


class Front:
    """kopf in its thread, from `start` to `stop`."""

    def __init__(self, inbox: Inbox, namespaces: Sequence[str] = ()) -> None:
        self._namespaces = namespaces  # none: the whole cluster
        self._registry = _registry(inbox, self._started)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="kopf", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the supervisor's thread lives."""
        return self._thread.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether kopf has begun to serve once."""
        return self._ready.is_set()

    def stop(self, timeout_seconds: float) -> None:
        """Ask kopf to end and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _started(self) -> None:
        self._ready.set()

    def _supervise(self) -> None:
        while not self._stop.is_set():
            uvloop.run(self._operate())
            self._stop.wait(RESTART_SECONDS)

    async def _operate(self) -> None:
        """One life of kopf. However it ends, the supervisor only says so and begins the next."""
        life = kopf.operator(
            registry=self._registry,
            settings=_settings(),
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            standalone=True,
            # Without one kopf asks for the user's name, and the user of our image has none.
            identity=cast(Any, "kipu"),
            stop_flag=self._stop,
        )
        (end,) = await asyncio.gather(life, return_exceptions=True)
        if not self._stop.is_set():
            log.warning("the watch of Workflows ended, starting it again: %r", end)


def _registry(inbox: Inbox, started: Callable[[], None]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def startup(**_: Any) -> None:
        started()

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=1.0)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event("kipu.dev", "v1alpha1", "workflows", registry=registry)
    async def workflow(event: kopf.RawEvent, **_: Any) -> None:
        inbox(event["type"], dict(event["object"]))

    return registry


def _settings() -> kopf.OperatorSettings:
    """The settings of design 06, section 4."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.server_timeout = 540 + random.randrange(120)  # whole: the API server refuses a fraction
    settings.watching.connect_timeout = 5
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1.0
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = _Endless()
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.diffbase_storage = _NoDiffBase()
    logging.getLogger("kopf").setLevel(logging.WARNING)
    return settings
