"""What people ask of a run through its spec, as commands.

Promises: total on every JSON value; the same spec gives the same commands, so that reading it twice is harmless.
Must never act: what a request means is `decide`'s, what is no request is shown by the status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kipu.core.commands import AttemptRef, Command, RequestShutdown, ResolveUnknown
from kipu.core.events import Resolution, ShutdownMode

BY_LENGTH_MAX = 253  # as v1alpha1.USER_LENGTH_MAX


def read(spec: Mapping[str, object]) -> list[Command]:
    """Everything that this spec asks for."""
    return [*_shutdown(spec.get("shutdown")), *_resolutions(spec.get("resolutions"))]


def _shutdown(raw: object) -> Iterator[Command]:
    if isinstance(raw, Mapping) and raw.get("mode") in list(ShutdownMode):
        run = raw.get("run", 1)
        yield RequestShutdown(run=run if isinstance(run, int) else 1, mode=ShutdownMode(str(raw["mode"])))


def _resolutions(raw: object) -> Iterator[Command]:
    """The last word about a step counts. What is malformed, the API server would have refused."""
    for each in raw if isinstance(raw, list) else []:
        if not isinstance(each, Mapping) or each.get("decision") not in list(Resolution):
            continue
        run, step, attempt, by = each.get("run", 1), each.get("step"), each.get("attempt"), each.get("by", "")
        if isinstance(run, int) and isinstance(step, str) and isinstance(attempt, int):
            ref = AttemptRef(run=run, step=step, attempt=attempt)
            yield ResolveUnknown(ref=ref, decision=Resolution(str(each["decision"])), by=str(by)[:BY_LENGTH_MAX])
