"""What goes wrong in a run, and when: a list of values, so that a run is (scenario, script, seed) and can be shrunk.

A trigger counts what one replica does over all its lives, or seconds of the whole run. Whatever it is, the fault is
a small value with a name; `repr` of a script can be pasted into a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from kipu.shell.kube_http import Request
from tests.fakes.faults import Delayed, Duplicated, Fault, Stale, Status, TimeoutDone, TimeoutNotDone

if TYPE_CHECKING:
    from .replica import Replica
    from .world import World


class Harm(IntEnum):
    """What a fault may change, and so how a run that suffers it is judged."""

    NONE = 0  # nothing: the run ends as if it had not been
    OUTCOME = 1  # what the steps come to: somebody deletes a Job, a node is lost
    LOG = 2  # the log itself: stop with a condition or go on rightly, but never guess (I19)


@dataclass(frozen=True, slots=True)
class Write:
    """Before the n-th write of the replica (from 0), counted over all its lives."""

    number: int
    replica: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """Before the n-th request of the replica, reads and watches included."""

    number: int
    replica: int = 0


@dataclass(frozen=True, slots=True)
class Handle:
    """Before the n-th handle of the replica: between two awaits."""

    number: int
    replica: int = 0


@dataclass(frozen=True, slots=True)
class Second:
    """At this time of the run."""

    seconds: float
    replica: int = 0


class Strike(Protocol):
    """A fault that is no answer: it does something to the world. Those with `seconds` last so long."""

    @property
    def harm(self) -> Harm:
        """See Harm."""

    def strike(self, world: World, replica: Replica, request: Request | None) -> Fault | None:
        """Do it; what comes back befalls the request, if there is one."""


Answer = Status | TimeoutDone | TimeoutNotDone | Delayed | Duplicated | Stale
Trigger = Write | Ask | Handle | Second


@dataclass(frozen=True, slots=True)
class At:
    """One entry of a script."""

    trigger: Trigger
    fault: Answer | Strike

    @property
    def harm(self) -> Harm:
        """See Harm."""
        return Harm.NONE if isinstance(self.fault, Answer) else self.fault.harm


Script = tuple[At, ...]
COLLECTIONS = ("configmaps", "jobs", "pods", "workflows", "leases", "events")
VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete", "GET": "get"}


def harm(script: Sequence[At]) -> Harm:
    """The worst of it."""
    return max((each.harm for each in script), default=Harm.NONE)


def site_of(each: At, request: Request | None) -> str:
    """Where a fault happens: the kind of request, or the kind of moment."""
    if request is None:
        return "between two awaits" if isinstance(each.trigger, Handle) else "at a time"
    parts = request.path.strip("/").split("/")
    collection = next((place for place, part in enumerate(parts) if part in COLLECTIONS), None)
    if collection is None:
        return f"{request.method} discovery"
    verb = "watch" if request.query.get("watch") else VERBS.get(request.method, request.method.lower())
    what = parts[collection] + ("/status" if parts[-1] == "status" else "")
    named = len(parts) > collection + 1
    return f"{'list' if verb == 'get' and not named else verb} {what}"
