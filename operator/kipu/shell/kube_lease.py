"""A Lease as the elector reads and writes it.

Promises: those of `kube_views`. Must never judge who leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from .kube_views import Metadata, View


class LeaseSpec(View, frozen=True):
    """Who leads, and since when it says so. Times are for people: nobody compares them."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class LeaseView(View, frozen=True):
    """A `coordination.k8s.io/v1` Lease."""

    metadata: Metadata
    spec: LeaseSpec = LeaseSpec()


def decode_lease(body: Mapping[str, object]) -> LeaseView:
    """The view of a Lease that is already parsed, as in an Answer."""
    return msgspec.convert(body, LeaseView)


def micro_time(ms: int) -> str:
    """Milliseconds since 1970 UTC as a metav1.MicroTime: RFC 3339, UTC, six digits, whatever TZ says here."""
    return datetime.fromtimestamp(ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ms % 1_000:03}000Z"
