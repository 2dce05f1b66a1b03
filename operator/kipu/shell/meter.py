"""What the client of the API server tells of its requests, to whoever counts.

Promises: this one keeps nothing; `telemetry` has one that does. Must never fail and never wait: it is called beside
each request.
"""

from __future__ import annotations


class Meter:
    """Hears of each request and of each watch."""

    def count_request(self, verb: str, resource: str, status: str, seconds: float | None = None) -> None:
        """One reply: its HTTP status, or "unanswered"; how long it took, None for a watch, whose reply has no end."""

    def count_watch_restart(self, resource: str, reason: str) -> None:
        """A watch begins anew: "Closed" by the server in its time, or "Failed"."""


NOBODY = Meter()
