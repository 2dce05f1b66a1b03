"""A change of one Workflow's spec that is safe beside those of others.

Promises: a patch is taken only by the Workflow and the spec that it was made for (metadata.uid and generation, which
the status does not move); where somebody was faster, the Workflow is read and judged anew, TRIES_MAX times in all.
Must never write what its rule has not judged.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from kipu.eventlog.ports import Answer

from .asking import Change
from .cluster import Cluster, find_workflow, refused
from .errors import CannotTell, NoWorkflow, Refused
from .seen import Seen

DENIED = "denied request: "  # before it an admission policy names itself, and after it come its words
TRIES_MAX = 5  # whoever loses a race has seen somebody else's edit go through


async def change(cluster: Cluster, namespace: str, name: str, rule: Callable[[Seen], Change]) -> tuple[Seen, Change]:
    """Ask it; the Workflow as it then is. Raises Refused, NoWorkflow, CannotTell."""
    uid = ""
    for _ in range(TRIES_MAX):
        seen = Seen.of(await find_workflow(cluster, namespace, name))
        if uid not in ("", seen.uid):
            raise NoWorkflow(f"Workflow '{name}' was deleted, and another one has its name: look at it first")
        uid, wanted = seen.uid, rule(seen)
        if not wanted.operations:
            return seen, wanted
        answer = await cluster.patch_workflow(namespace, name, [*_guard(seen), *wanted.operations])
        if answer.status == HTTPStatus.OK:
            return Seen.of(answer.body), wanted
        if not _lost_race(answer):
            raise not_done(answer, f"ask that of Workflow '{name}'")
    raise Refused(f"Workflow '{name}' was edited by others {TRIES_MAX} times meanwhile: nothing was written; try again")


def not_done(answer: Answer, deed: str) -> Refused | CannotTell:
    """Why a write was not taken: in the words of the policy that denied it, if one did."""
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return refused(answer, deed)
    message = answer.message.partition(DENIED)[2] or answer.message or answer.reason
    return Refused(f"could not {deed}: {message}")


def _guard(seen: Seen) -> list[dict[str, object]]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": seen.uid},
        {"op": "test", "path": "/metadata/generation", "value": seen.generation},
    ]


def _lost_race(answer: Answer) -> bool:
    """A failed `test` is a 422 that names no cause; whoever refuses what is asked names one."""
    details = answer.body.get("details")
    causes = isinstance(details, dict) and details.get("causes")
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return not causes
    return answer.status in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)
