"""How long it takes until a Workflow has an owner again, read off the proxy's journal. Pure.

Ownership is the moment at which a process of the operator may act: its first acknowledged write of the Lease, or
where there is no Lease, its first request. A Workflow is recovered at that process's first acknowledged commit of its
log (the commit of `StreamClaimed`: a session's first act is the claim). A sample is a Workflow that another process has
committed to before; one whose new owner dies first, too, is a sample of the owner after that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from e2e.measure import nearest_rank

from .proxy import Client, Entry

HEAD = re.compile(r"kipu-log-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Recovery:
    """One Workflow that got a new owner, and how long after that one owned."""

    seconds: float
    head: str
    client: Client = field(compare=False)


def recoveries(journal: Sequence[Entry], first_seen: Mapping[Client, float]) -> list[Recovery]:
    """Each Workflow and each new owner, the quickest first."""
    owned = dict(first_seen)
    committed: dict[str, set[Client]] = {}  # by the head's name
    has_lease: set[Client] = set()
    found = []
    for entry in sorted((entry for entry in journal if entry.status in (200, 201)), key=lambda entry: entry.at):
        call, client = entry.call, entry.client
        if call.resource == "leases" and client not in has_lease:
            has_lease.add(client)
            owned[client] = entry.at
        if call.resource == "configmaps" and HEAD.fullmatch(call.name):
            owners = committed.setdefault(call.name, set())
            if owners and client not in owners:
                found.append(Recovery(seconds=entry.at - owned[client], head=call.name, client=client))
            owners.add(client)
    return sorted(found)


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """The nearest-rank quantile; 0 of nothing."""
    return nearest_rank(ordered, fraction) if ordered else 0.0
