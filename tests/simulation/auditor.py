"""The auditor: sees every change of the store, every append that returns and every request, and notes each breach.

Promises: checks what a change can have broken at the moment of the change, and nothing twice. Must never change
anything in the world.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

import msgspec

from kipu.api.cron import CRON_LABEL
from kipu.core.events import Event, StepSucceeded, StreamClaimed, WorkflowFinished
from kipu.core.state import canonical
from kipu.eventlog.ports import EventLog, Head, History, Recorded, StreamId
from kipu.shell.engine import Engine
from kipu.shell.kube_http import Request
from tests.fakes.apiserver import ApiServer
from tests.fakes.etcd import Change, Json
from tests.fakes.nodes import Execution

from . import invariants
from .case import Case
from .ledger import Breach
from .scenario import Scenario
from .script import Harm, Script, harm
from .third_parties import SuspendJob

VIOLATIONS_MAX = 20  # of one run: more of them say nothing more
TEXT_LENGTH_MAX = 400  # of one violation
UID_LABEL = "kipu.dev/workflow-uid"
FINISHED = ("Succeeded", "Failed", "Cancelled", "Rejected")


class Auditor:
    """One for a world."""

    def __init__(self, server: ApiServer, scenario: Scenario, script: Script) -> None:
        self._server = server
        self._scenario = scenario
        self._script = script
        self.harm = harm(script)
        self.violations: list[str] = []
        self.cases: dict[str, Case] = {}  # by uid
        self.engines: dict[str, Engine] = {}  # by lane
        self.committed_at = 0.0
        self.commits = self.events = 0
        self.scheduled: Counter[str] = Counter()  # Workflows of CronWorkflows, by name: how often each was made
        self.is_node_lost = False  # what runs there is not known to anybody but us
        self._executions = 0
        server.etcd.listeners.append(self._changed)

    # -- what is noted -----------------------------------------------------------------------------------

    def note(self, invariant: str, text: str | None) -> None:
        """A breach, if there is one."""
        if text is not None and len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"{invariant} at {self._server.time():.3f} s: {text[:TEXT_LENGTH_MAX]}")

    def notes(self, faults: Iterable[str]) -> None:
        """Exceptions that nobody caught: no invariant, and never right."""
        for fault in faults:
            self.note("I0", fault)

    def is_settled(self) -> bool:
        """Whether every workflow has ended as far as anybody can see. To stop is an end only where I19 has a say."""
        cases = self.cases.values()
        return len(cases) >= len(self._scenario.plans) and all(
            case.is_deleted
            or (case.phase in FINISHED and not case.is_to_run_again)
            or (case.is_stalled and case.is_tampered)
            for case in cases
        )

    def phases(self) -> dict[str, str]:
        """What each workflow shows, for a message."""
        return {case.name: case.phase for case in self.cases.values()}

    # -- what is seen ------------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        match change.key.plural:
            case "configmaps":
                self._config_map(change)
            case "jobs":
                self._job(change)
            case "pods":
                self._pods()
            case "workflows":
                self._workflow(change)

    def _workflow(self, change: Change) -> None:
        if change.after is None:
            assert change.before is not None
            gone = self.cases[change.before.uid]
            gone.is_leaving = gone.is_deleted = True
            return
        workflow = change.after.object
        if "deletionTimestamp" in workflow["metadata"]:
            self.cases[change.after.uid].is_leaving = True
        case = self.cases.get(change.after.uid)
        if case is None:
            namespace = change.key.namespace
            case = self.cases[change.after.uid] = Case(workflow, lambda name: self._get(namespace, name))
            self._child(case, workflow)
            self._scheduled(case, workflow)
        self._look_at(case, workflow)

    def _scheduled(self, case: Case, workflow: Json) -> None:
        """A Workflow was made, perhaps by a CronWorkflow: for each of its times one, whoever dies or writes twice."""
        if CRON_LABEL in workflow["metadata"].get("labels", {}):
            self.scheduled[case.name] += 1
            if self.scheduled[case.name] > 1 and self.harm is not Harm.LOG:
                self.note("I4", f"{case.name} is started {self.scheduled[case.name]} times")

    def _child(self, case: Case, workflow: Json) -> None:
        """A Workflow was made, perhaps by another one."""
        parent = self.cases.get(workflow["metadata"].get("labels", {}).get(UID_LABEL, ""))
        if parent is None:
            return
        parent.adopt(case)
        if not parent.is_leaving and not parent.is_tampered:
            self.note("I7", invariants.i7_a_job_has_a_committed_intent(parent.story, workflow))
            self.note("I11", invariants.i11_no_job_after_the_end(parent.story, workflow))
            if not case.is_placeholder:
                self.note("I8", invariants.i8_one_child_runs_at_once(case))

    def _look_at(self, case: Case, workflow: Json) -> None:
        """What the Workflow shows."""
        if workflow["metadata"]["generation"] != case.generation:
            case.generation = workflow["metadata"]["generation"]
            case.stalled_by.clear()  # a person has edited the spec: that asks to look again
        status = workflow.get("status", {})
        case.phase = status.get("phase", "")
        case.is_to_run_again = workflow["spec"].get("rerun", {}).get("number", 0) == status.get("run", 0) + 1
        if not case.is_tampered and not case.is_leaving:  # of one that leaves the log is followed no more
            self.note("I14", invariants.i14_the_status_shows_no_more_than_the_log(case.ledger, case.state, status))
        stalled = [c for c in status.get("conditions", ()) if c["type"] == "Stalled" and c["status"] == "True"]
        case.is_stalled = bool(stalled)

    def _get(self, namespace: str, name: str) -> Json | None:
        return self._server.get("configmaps", namespace, name)

    def _config_map(self, change: Change) -> None:
        stored = change.after or change.before
        assert stored is not None
        case = self.cases.get(stored.object["metadata"].get("labels", {}).get(UID_LABEL, ""))
        if case is None:
            return
        if case.is_leaving:  # what was on its way is still committed: a run may open so; what goes is the collector's
            if change.key.name == case.head_name and change.after is not None:
                with suppress(Breach):
                    self._committed(case, case.read_head(change.after.object))
            return
        try:
            if change.key.name == case.head_name:
                if change.after is not None:
                    self._committed(case, case.read_head(change.after.object))
                else:
                    case.lose_head()
            elif change.after is None and not case.is_tampered:
                case.ledger.lose(change.key.name)
        except Breach as breach:
            self.note(breach.invariant, breach.text)

    def _committed(self, case: Case, records: Sequence[Recorded]) -> None:
        self.committed_at = self._server.time()
        self.commits += 1
        self.events += len(records)
        for record in records:
            for invariant, rules in invariants.RULES.items():
                for rule in rules:
                    self.note(invariant, rule(case.story, record))
            if isinstance(record.event, StreamClaimed):
                case.is_reopened = case.is_cut and case.loaded_at.get(record.event.writer, 0.0) > case.cut_at
            elif case.is_reopened:
                case.is_cut = case.is_reopened = False
                self.note("I19", self._ignores(case))
            case.believe(record)
            if isinstance(record.event, StepSucceeded) and case.story.keeps_files(record.event.step):
                self.note("I13", invariants.i13_the_winner_has_ended_well(record.event, self._server.executions))
            if isinstance(record.event, WorkflowFinished) and not case.is_tampered:
                self.note("I11", invariants.i11_nothing_runs_at_the_end(case.running()))

    def restored(self) -> None:
        """etcd holds an earlier state: what is stored now is what history is, and a workflow may be gone, or back."""
        stored = {each.uid: each.object for each in self._server.etcd.all("workflows")}
        for case in self.cases.values():
            workflow = stored.get(case.uid)
            case.is_deleted = workflow is None
            case.is_leaving = workflow is None or "deletionTimestamp" in workflow["metadata"]
            case.cut_at = self._server.time()
            case.restore(self._server.get("configmaps", "default", case.head_name))
            if workflow is not None:
                self._look_at(case, workflow)

    def _ignores(self, case: Case) -> str | None:
        """I19: what the replica that decides has been shown of the status and of Jobs bears its log out."""
        engine = self.engines[case.state.writer]
        entry = engine._entries[case.uid]
        jobs = [seen.job for seen in engine.observer.known(case.uid).values() if seen.job is not None]
        intents = {job.metadata.name: job.metadata.annotations.intent for job in jobs}
        return invariants.i19_no_witness_is_ignored(case, entry.view.status, intents)

    def _job(self, change: Change) -> None:
        if change.before is not None or change.after is None:
            return
        job = change.after.object
        case = self.cases.get(job["metadata"].get("labels", {}).get(UID_LABEL, ""))
        if case is not None and not case.is_leaving and not case.is_tampered:
            self.note("I7", invariants.i7_a_job_has_a_committed_intent(case.story, job))
            self.note("I11", invariants.i11_no_job_after_the_end(case.story, job))
            self.note("I13", invariants.i13_a_job_reads_what_was_committed(case.story, job))
            self.note("I13", invariants.i13_a_job_mounts_what_was_committed(case.story, job))

    def _pods(self) -> None:
        """Programs that were started since the last look."""
        executions = self._server.executions
        for started in executions[self._executions :]:
            case = self.cases.get(started.workflow_uid)
            if case is None or case.is_tampered:
                continue
            same = [each for each in case.executions if each.step == started.step]
            self.note("I8", invariants.i8_one_attempt_runs_at_once(started, same))
            self.note("I8", invariants.i8_one_child_runs_at_once(case))
            if not case.is_deleted and not self._was_uncounted(started, same):  # else a late create: its owner is gone
                self.note("I5", invariants.i5_nothing_runs_after_success(case.story, started))
                self.note("I11", invariants.i11_nothing_starts_after_the_end(case.story, started))
            case.executions.append(started)
        self._executions = len(executions)

    def _was_uncounted(self, started: Execution, same: Sequence[Execution]) -> bool:
        """A Job that is suspended in the moment in which its pod ends may let it go uncounted, and runs another one
        when it is resumed: whoever resumes it wants that. The end that was seen, well or not, is one all the same."""
        has_ended = any(each.job_uid == started.job_uid and each.exit_code is not None for each in same)
        return has_ended and any(isinstance(each.fault, SuspendJob) for each in self._script)

    # -- what a replica does -----------------------------------------------------------------------------

    def sent(self, lane: str, request: Request, engine: Engine) -> None:
        """A replica sends a write."""
        path = request.path
        if request.method == "POST" and path.endswith(("/jobs", "/workflows")):
            job = msgspec.json.decode(request.body or b"{}")
            case = self.cases.get(job["metadata"]["labels"].get(UID_LABEL, ""))
            if case is not None and not case.is_leaving and not case.is_lost:
                self.note("I20", invariants.i20_a_claim_comes_first(lane, case, job))
                self.note("I19", invariants.i19_a_stop_is_a_stop(lane, case, f"makes {job['metadata']['name']}"))
        elif path.endswith("/status"):
            for case in self.cases.values():
                self.note("I17", self._differs(case, engine))
                if f"/{case.name}/status" in path and b'"Stalled"' in (request.body or b""):
                    self._stalls(lane, case, msgspec.json.decode(request.body or b"[]"))
        elif self.harm is Harm.LOG and "/configmaps/" in path:
            for case in self.cases.values():
                if path.endswith(f"/{case.head_name}"):
                    self.note("I19", invariants.i19_a_stop_is_a_stop(lane, case, "writes to its log"))

    def _stalls(self, lane: str, case: Case, operations: list[Json]) -> None:
        status = operations[-1]["value"]
        conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
        if conditions.get("Stalled") == "True" and conditions.get("Finished") != "True":
            case.stalled_by.add(lane)

    def _differs(self, case: Case, engine: Engine) -> str | None:
        """I17, live: a replica that has come as far as the log holds the bytes that a replay gives."""
        entry = engine._entries.get(case.uid)
        actor = None if entry is None else entry.actor
        if actor is None or actor._state is None or actor._head is None or case.is_tampered:
            return None
        if actor._head.position != len(case.ledger.records) or canonical(actor._state) == canonical(case.state):
            return None
        return f"the state of {case.name} in memory is not what its log says at position {actor._head.position}"

    def witness(self, log: EventLog, lane: str) -> EventLog:
        """The same log; the auditor hears of every load that begins and of every append that returns."""
        return _Witnessed(log, self, lane)

    def loads(self, stream: StreamId, lane: str) -> None:
        """A session reads its log now: from here on it can know what is there."""
        self.cases[stream.uid].loaded_at[lane] = self._server.time()

    def acknowledged(self, stream: StreamId, records: tuple[Recorded, ...]) -> None:
        """An append has returned."""
        case = self.cases[stream.uid]
        if case.is_tampered or case.is_leaving:
            return
        try:
            case.ledger.acknowledge(records)
        except Breach as breach:
            self.note(breach.invariant, breach.text)


class _Witnessed:
    """An EventLog that lets the auditor know."""

    def __init__(self, log: EventLog, auditor: Auditor, lane: str) -> None:
        self._log, self._auditor, self._lane = log, auditor, lane

    async def load(self, stream: StreamId) -> History | None:
        self._auditor.loads(stream, self._lane)
        return await self._log.load(stream)

    async def append(
        self, stream: StreamId, expected: Head | None, events: Sequence[Event], *, ts: int, spec_hash: str = ""
    ) -> tuple[Head, tuple[Recorded, ...]]:
        head, records = await self._log.append(stream, expected, events, ts=ts, spec_hash=spec_hash)
        self._auditor.acknowledged(stream, records)
        return head, records

    async def archive(self, stream: StreamId, head: Head) -> Head:
        return await self._log.archive(stream, head)

    async def sweep(self, stream: StreamId, head: Head) -> int:
        return await self._log.sweep(stream, head)
