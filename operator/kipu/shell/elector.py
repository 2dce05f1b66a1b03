"""Our own Lease elector: at most one replica leads at a time, by the monotonic clock of each alone (ADR 0009).

Promises: it leads only until `renew_deadline_seconds` after the moment *before* its last successful write was sent,
whatever hangs or is late; another one takes the Lease only when it has not seen it change for a whole
`lease_duration_seconds`, which is longer. Wall clocks are written for people and never compared. Every write names
the version that was read; a conflict means to read again. The same identity takes its own Lease back at once.
Must never be what safety rests on: a process can be stopped between its look at the clock and its write, and what
was sent cannot be called back. That is what the log's compare-and-swap and the names of Jobs are for.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping

from kipu.eventlog.ports import Answer, Unanswered

from .clock import Clock
from .kube import Kube
from .kube_lease import LeaseSpec, LeaseView, decode_lease, micro_time
from .settings import LEASE_DURATION_SECONDS_MAX, Settings

log = logging.getLogger(__name__)

VACANT = "nobody-yet"  # the holder of a Lease that was not there: everybody waits as for one who has died
RELEASE_TRIES_MAX = 2  # x two requests of 3.3 s: well within the 30 s that a pod has to end
ALIVE_DEADLINES = 3  # a round takes two requests and a wait, less than one renew deadline: three are a dead loop
Listener = Callable[[bool], None]


class Elector:
    """One replica's candidature. Made inside the running loop, whose clock it goes by."""

    def __init__(
        self, kube: Kube, settings: Settings, clock: Clock, *, jitter: Callable[[], float] = random.random
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._kube = kube
        self._clock = clock
        self._jitter = jitter
        self._namespace, self._name = settings.lease_namespace, settings.lease_name
        self._identity = settings.lease_holder
        self._lease_duration_seconds = settings.lease_duration_seconds
        self._renew_deadline_seconds = settings.renew_deadline_seconds
        self._retry_period_seconds = settings.retry_period_seconds
        self._request_seconds = settings.renew_deadline_seconds / 3  # a hung one leaves time for another
        self._listeners: list[Listener] = []
        self._seen: LeaseView | None = None  # the Lease as it was last read or written
        self._changed_at: float | None = None  # when it was first seen like this
        self._deadline = float("-inf")  # until when we lead
        self._timer: asyncio.TimerHandle | None = None
        self._is_told = False  # whether the listeners believe that we lead
        self._round_at: float | None = None  # when the last round ended

    @property
    def is_leading(self) -> bool:
        """Whether this replica may act now. Asked before every write; needs no timer to become false."""
        return self._loop.time() < self._deadline

    @property
    def is_alive(self) -> bool:
        """Whether the rounds go on."""
        limit_seconds = ALIVE_DEADLINES * self._renew_deadline_seconds
        return self._round_at is None or self._loop.time() - self._round_at < limit_seconds

    def listen(self, listener: Listener) -> None:
        """Tell of every change between standing by and leading, at the moment of it."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Stand by, lead, stand by again: until cancelled."""
        while True:
            wait_seconds = await self._round()
            self._round_at = self._loop.time()
            await asyncio.sleep(wait_seconds)

    async def release(self) -> None:
        """Lead no more, and say so, so that another replica takes over at once. Best effort, after `run` has ended."""
        self._drop("released")
        for _ in range(RELEASE_TRIES_MAX):
            try:
                lease = await self._read()
                if lease is None or lease.spec.holder_identity != self._identity:
                    return
                if (await self._update(lease, holder="")).status == 200:
                    return
            except Unanswered as error:
                log.warning("the Lease may not be released: %s", error)

    # -- one round -----------------------------------------------------------------------------------

    async def _round(self) -> float:
        """Read the Lease and write it where it may be ours. Returns how long to wait before the next round."""
        wait_seconds = self._retry_period_seconds * (0.8 + 0.4 * self._jitter())
        try:
            lease = await self._read()
            self._observe(lease)
            if (occupied_seconds := self._occupied_seconds()) > 0:
                return min(wait_seconds, occupied_seconds)
            sent_at = self._loop.time()  # before: whatever others see of this write, they see it later
            answer = await (self._create() if lease is None else self._update(lease, holder=self._identity))
        except Unanswered as error:
            log.warning("the Lease could not be %s: %s", "renewed" if self.is_leading else "read", error)
            return wait_seconds
        if answer.status == 200:
            self._observe(decode_lease(answer.body))
            self._lead_until(sent_at + self._renew_deadline_seconds)
        elif answer.status in (201, 409):
            return wait_seconds / 10  # it was made, or somebody else has written it: read again
        else:
            log.warning("the API server refuses the Lease: %s %s", answer.status, answer.message)
        return wait_seconds

    def _observe(self, lease: LeaseView | None) -> None:
        """Remember when this was first seen. Later than it was written: that is the safe side."""
        if self._changed_at is None or lease != self._seen:
            if (before := _holder(self._seen)) != (holder := _holder(lease)) and holder != self._identity:
                log.info("the Lease is held by %s (before: %s)", holder or "nobody", before or "nobody")
            self._seen, self._changed_at = lease, self._loop.time()
        if self._is_told and _holder(lease) not in ("", VACANT, self._identity):
            self._drop("another replica holds the Lease")

    def _occupied_seconds(self) -> float:
        """How long the Lease, as it was seen, still keeps us from leading."""
        assert self._changed_at is not None
        if self._seen is None or _holder(self._seen) in ("", self._identity):
            return 0.0
        if self._is_told and _holder(self._seen) == VACANT:
            return 0.0  # it was deleted under us: all others wait, longer than we lead
        # Of the two the longer: a replica with other settings may hold it, and a person may have edited it.
        recorded = self._seen.spec.lease_duration_seconds or 0
        duration_seconds = max(self._lease_duration_seconds, min(recorded, LEASE_DURATION_SECONDS_MAX))
        return self._changed_at + duration_seconds - self._loop.time()

    # -- leading -------------------------------------------------------------------------------------

    def _lead_until(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if deadline <= self._loop.time():
            self._drop("the answer came after the deadline")
            return
        self._deadline = deadline
        self._timer = self._loop.call_at(deadline, self._drop, "the Lease was not renewed in time")
        if not self._is_told:
            log.info("leading as %s", self._identity)
            self._tell(True)

    def _drop(self, why: str) -> None:
        self._deadline = float("-inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_told:
            log.warning("leading no more: %s", why)
            self._tell(False)

    def _tell(self, is_leading: bool) -> None:
        self._is_told = is_leading
        for listener in self._listeners:
            listener(is_leading)

    # -- requests ------------------------------------------------------------------------------------

    async def _read(self) -> LeaseView | None:
        return await self._kube.get_lease(self._namespace, self._name, timeout_seconds=self._request_seconds)

    async def _create(self) -> Answer:
        """Make it, for nobody: then all can see for how long it has not changed.

        Absence seen twice does not show that there was no leader in between, and a create that is held up on its
        way may come after others have led. So a create never makes anybody lead.
        """
        manifest = self._manifest({"name": self._name, "namespace": self._namespace}, LeaseSpec(), VACANT)
        return await self._kube.create_lease(self._namespace, manifest, timeout_seconds=self._request_seconds)

    async def _update(self, lease: LeaseView, *, holder: str) -> Answer:
        """Write this very version of it. Its labels and annotations stay: Helm knows it by them."""
        metadata = {
            "name": self._name,
            "namespace": self._namespace,
            "uid": lease.metadata.uid,
            "resourceVersion": lease.metadata.resource_version,
            "labels": lease.metadata.labels,
            "annotations": lease.metadata.annotations,
        }
        manifest = self._manifest(metadata, lease.spec, holder)
        return await self._kube.update_lease(
            self._namespace, self._name, manifest, timeout_seconds=self._request_seconds
        )

    def _manifest(self, metadata: Mapping[str, object], known: LeaseSpec, holder: str) -> dict[str, object]:
        now = micro_time(self._clock.now())
        is_new = (known.holder_identity or "") != holder
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": self._lease_duration_seconds,
                "acquireTime": now if is_new else known.acquire_time or now,
                "renewTime": now,
                "leaseTransitions": (known.lease_transitions or 0) + (is_new and holder not in ("", VACANT)),
            },
        }


def _holder(lease: LeaseView | None) -> str:
    """Who holds it; "" for nobody."""
    return (lease.spec.holder_identity or "") if lease is not None else ""
