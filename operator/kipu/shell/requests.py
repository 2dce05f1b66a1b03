"""What people ask of a run through its spec, as commands.

Promises: total on every JSON value; the same spec gives the same commands, so that reading it twice is harmless.
Must never act: what a request means is `decide`'s, what is no request is shown by the status.
"""

from __future__ import annotations

from collections.abc import Mapping

from kipu.core.commands import Command, RequestShutdown
from kipu.core.events import ShutdownMode


def read(spec: Mapping[str, object]) -> list[Command]:
    """Everything that this spec asks for."""
    shutdown = spec.get("shutdown")
    if not isinstance(shutdown, Mapping) or shutdown.get("mode") not in list(ShutdownMode):
        return []
    run = shutdown.get("run", 1)
    return [RequestShutdown(run=run if isinstance(run, int) else 1, mode=ShutdownMode(str(shutdown["mode"])))]
