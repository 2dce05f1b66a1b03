"""One look at a CronWorkflow: read it, conclude, and carry out what follows.

Promises: nothing is remembered. It is read consistently; what is concluded of it and of the Workflows that it owns
(`core.cron`) is carried out in this order: cancel, create, note in the status, delete what is too old. After a crash
between any two of these the next look concludes the rest. A time has one child, because the child's name says for
which time it is: whoever comes second finds the name taken. Must never delete a Workflow that has not ended, and never
touch one that this very CronWorkflow does not own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kipu.api import cron as crons
from kipu.api import cron_status
from kipu.api.cron import Asked
from kipu.api.cron_status import Trouble
from kipu.api.durations import timestamp
from kipu.core.cron import Child, Facts, Plan, child_name, idle, plan, scheduled_time
from kipu.core.errors import Problem, UserError
from kipu.eventlog.ports import Answer, Unanswered

from .clock import Clock
from .cron_runs import Runs, owner_of
from .engine import FINISHED
from .kube_cron import CronKube
from .kube_owned import RunView, decode_run
from .kube_views import WorkflowView, epoch_ms

log = logging.getLogger(__name__)

GONE_OR_ANOTHER = (404, 409, 422)  # of a write that names the uid: there is nothing left to do
PARSED_MAX = 1_000  # specs that are kept as they were read; x about 20 KB = 20 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """A CronWorkflow and all that it owns."""

    view: WorkflowView
    runs: Mapping[str, RunView]  # by uid
    children: Sequence[Child]


class Looker:
    """Looks at any CronWorkflow."""

    def __init__(self, kube: CronKube, clock: Clock, runs: Runs) -> None:
        self._kube = kube
        self._clock = clock
        self._runs = runs
        self._parsed: dict[tuple[str, int], Asked | tuple[Problem, ...]] = {}  # by uid and generation

    async def look(self, namespace: str, name: str) -> tuple[int | None, bool]:
        """When its next time comes, and whether all has been done until then. Raises Unanswered."""
        sight = await self._read(namespace, name)
        if sight is None:
            return None, True
        now, metadata, shown = self._clock.now(), sight.view.metadata, sight.view.status
        asked, created_at = self._parse(sight.view), epoch_ms(metadata.creation_timestamp) or 0
        last_scheduled, last_successful = cron_status.last_times(shown)
        since, trouble = None, None
        facts = Facts(
            now=now,
            since=created_at,
            last_scheduled=last_scheduled,
            last_successful=last_successful,
            children=sight.children,
        )
        if isinstance(asked, Asked):
            since = cron_status.since(shown, asked, created_at=created_at, now=now)
            concluded = plan(asked.cron, asked.schedule, replace(facts, since=since))
            concluded, trouble = await self._start(sight, asked, concluded)
        else:
            concluded = idle(facts)
        status = cron_status.render(
            shown,
            concluded,
            asked=asked,
            since=since,
            trouble=trouble,
            generation=metadata.generation,
            now=now,
        )
        if status != shown and not await self._note(sight.view, status):
            return concluded.next, False
        await self._delete(sight, concluded)
        return concluded.next, trouble is None

    # -- what is there -----------------------------------------------------------------------------------

    async def _read(self, namespace: str, name: str) -> _Sight | None:
        view = await self._kube.get_cron_workflow(namespace, name)
        if view is None or view.metadata.deletion_timestamp is not None:
            return None
        runs = {run.metadata.uid: run for run in self._runs.of(view.metadata.uid)}
        return _Sight(view=view, runs=runs, children=[_child(name, run) for run in runs.values()])

    def _parse(self, view: WorkflowView) -> Asked | tuple[Problem, ...]:
        """What its spec asks for, or what is wrong with it."""
        key = view.metadata.uid, view.metadata.generation
        if key not in self._parsed:
            if len(self._parsed) >= PARSED_MAX:
                del self._parsed[next(iter(self._parsed))]
            try:
                self._parsed[key] = crons.parse(view.metadata.name, view.spec)
            except UserError as error:
                self._parsed[key] = error.problems
        return self._parsed[key]

    # -- what follows ------------------------------------------------------------------------------------

    async def _start(self, sight: _Sight, asked: Asked, concluded: Plan) -> tuple[Plan, Trouble | None]:
        """Cancel what is to be replaced and create what is due. The plan as it is then, and what was in the way."""
        if concluded.start is None:
            return concluded, None
        metadata = sight.view.metadata
        for child in concluded.cancel:
            answer = await self._cancel(sight.runs[child.uid])
            if answer.status != 200 and answer.status not in GONE_OR_ANOTHER:
                return concluded, Trouble(reason="CancelRefused", message=f"'{child.name}': {answer.message}")
        manifest = crons.workflow(metadata.namespace, metadata.name, metadata.uid, asked, concluded.start)
        answer = await self._kube.create_workflow(metadata.namespace, manifest)
        name = child_name(metadata.name, concluded.start)
        if answer.status == 201:
            log.info("CronWorkflow %s/%s: created '%s'", metadata.namespace, metadata.name, name)
            if missed := cron_status.missed_message(concluded):
                log.warning("CronWorkflow %s/%s: %s", metadata.namespace, metadata.name, missed)
            run = decode_run(answer.body)
        elif answer.reason == "AlreadyExists":
            found = await self._kube.get_run(metadata.namespace, name)
            if found is None or owner_of(found) != metadata.uid:
                return concluded, Trouble(reason="NameTaken", message=f"another Workflow is called '{name}'")
            run = found
        else:
            message = f"the Workflow for {timestamp(concluded.start)} cannot be created: {answer.message}"
            return concluded, Trouble(reason="CreateRefused", message=message)
        self._runs.seen(run)
        child = _child(metadata.name, run)
        return replace(concluded, active=(*concluded.active, child), last_scheduled=concluded.start), None

    async def _cancel(self, run: RunView) -> Answer:
        metadata, number = run.metadata, max(1, run.status.run)
        answer = await self._kube.cancel_workflow(metadata.namespace, metadata.name, metadata.uid, run=number)
        if answer.status == 200:
            self._runs.seen(decode_run(answer.body))
        return answer

    async def _note(self, view: WorkflowView, status: Mapping[str, object]) -> bool:
        """Write the status; whether that was done. 404 and 409: it is another one by now, to be looked at again."""
        answer = await self._kube.patch_cron_workflow_status(view, status)
        if answer.status not in (200, 404, 409):
            log.warning("the status of CronWorkflow %s/%s is refused: %s", *_place(view), answer.message)
        return answer.status == 200

    async def _delete(self, sight: _Sight, concluded: Plan) -> None:
        """Delete just these versions: one that has changed since is judged by the next look."""
        for child in concluded.delete:
            metadata = sight.runs[child.uid].metadata
            answer = await self._kube.delete_workflow(
                metadata.namespace, metadata.name, metadata.uid, metadata.resource_version
            )
            if answer.status not in (200, 202, *GONE_OR_ANOTHER):
                raise Unanswered(f"'{metadata.name}' cannot be deleted: {answer.message}")


def _place(view: WorkflowView) -> tuple[str, str]:
    return view.metadata.namespace, view.metadata.name


def _child(cron: str, run: RunView) -> Child:
    shutdown, status = run.spec.shutdown, run.status
    return Child(
        name=run.metadata.name,
        uid=run.metadata.uid,
        scheduled_at=scheduled_time(cron, run.metadata.name),
        created_at=epoch_ms(run.metadata.creation_timestamp) or 0,
        has_ended=status.phase in FINISHED,
        has_succeeded=status.phase == "Succeeded",
        ended_at=epoch_ms(status.completion_time),
        is_told_to_end=shutdown is not None and shutdown.run >= status.run,
    )
