"""What is asked of the one client for attempts that have not started: their pods, and what was said of them.

Promises: those of `kube`, but that nothing here is tried again: whoever asks comes again anyway, and makes way
meanwhile.
"""

from __future__ import annotations

from kipu.api.jobs import MANAGED_BY, MANAGED_BY_LABEL
from kipu.eventlog.ports import Unanswered

from .kube import Kube
from .kube_resources import PODS, resource_of
from .kube_views import MetadataView, Page, PodView, View, epoch_ms

NOTICES_MAX = 50  # of one object: the writers of them count what repeats itself


class _Series(View, frozen=True):
    last_observed_time: str | None = None


class NoticeView(MetadataView, frozen=True):
    """An `events.k8s.io/v1` Event: what somebody has said of an object."""

    type: str = ""
    reason: str = ""
    note: str = ""
    event_time: str | None = None
    deprecated_last_timestamp: str | None = None  # of those who write core/v1 Events, such as kubelets
    series: _Series | None = None

    @property
    def seen_at(self) -> int:
        """When it was last said, in milliseconds since 1970 UTC; of many only the second is known."""
        again = None if self.series is None else self.series.last_observed_time
        times = (again, self.deprecated_last_timestamp, self.event_time, self.metadata.creation_timestamp)
        return next((ms for time in times if (ms := epoch_ms(time)) is not None), 0)


NOTICES = resource_of(NoticeView, "/apis/events.k8s.io/v1", "events")


class PendingKube(Kube):
    """The client, with these calls."""

    async def pending_pods(self, namespace: str | None, token: str) -> Page[PodView] | None:
        """One page of the steps' pods that have not started, from a continue token on; None: of the whole cluster.

        "" for the first page; None when the token has expired. Raises Unanswered.
        """
        query = {"labelSelector": f"{MANAGED_BY_LABEL}={MANAGED_BY}", "fieldSelector": "status.phase=Pending"}
        if token:
            query["continue"] = token
        return await self.list_page(PODS, namespace=namespace, query=query, once=True)

    async def notices_of(self, namespace: str, uid: str) -> list[NoticeView]:
        """What was said of the object of this uid: NOTICES_MAX at most, in no order. Raises Unanswered."""
        query = {"fieldSelector": f"regarding.uid={uid}", "limit": str(NOTICES_MAX)}
        page = await self.list_page(NOTICES, namespace=namespace, query=query, once=True)
        if page is None:
            raise Unanswered(f"the notices of {uid}: the list has expired")
        return page.items
