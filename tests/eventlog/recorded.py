"""Recorded histories: what once was written must be read for ever.

    python -m tests.eventlog.recorded      # from the root of the repository

writes the histories that are not recorded yet into golden/<name>.json. It never changes one that is: those
bytes lie in somebody's cluster. A new shape of an event is a new history beside the old ones.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path

from kipu.core.definition import (
    AdoptedStep,
    Adoption,
    Approval,
    Backoff,
    Definition,
    Effects,
    ForEach,
    Jitter,
    Kind,
    OnFailure,
    OnUnknown,
    Output,
    Retry,
    RunWhen,
    Step,
    ValueType,
    Workspace,
)
from kipu.core.errors import Problem
from kipu.core.events import (
    ApprovalGiven,
    ApprovalRequested,
    AttemptAbandoned,
    AttemptFailed,
    AttemptUnknown,
    Decision,
    Event,
    EventLimitReached,
    FinallyStarted,
    LateResultIgnored,
    Reason,
    Resolution,
    ShutdownMode,
    ShutdownRequested,
    SkipReason,
    StepAdopted,
    StepCompleted,
    StepEvaluated,
    StepExpanded,
    StepFailed,
    StepsCancelled,
    StepScheduled,
    StepsSkipped,
    StepStarted,
    StepSucceeded,
    StreamClaimed,
    TimerFired,
    TimerKind,
    UnknownResolved,
    WaitStarted,
    WorkflowAccepted,
    WorkflowEnd,
    WorkflowFinished,
    WorkflowRejected,
    WorkflowRerun,
    WorkflowResumed,
    WorkflowSuspended,
)
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from kipu.eventlog.ports import StreamId
from tests.eventlog.contract import large_definition
from tests.eventlog.samples import TS, nonces
from tests.eventlog.store import Client, Store

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The appends that made one recorded file."""

    name: str
    stream: StreamId
    spec_hash: str
    batches: tuple[tuple[Event, ...], ...]  # the n-th at TS + 1,000 n

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.json"


# What there was when the first histories were recorded: they never change.
FIRST_SKIP_REASONS = (SkipReason.DEPENDENCY, SkipReason.WORKFLOW_FAILING)
FIRST_TIMERS = (
    TimerKind.BACKOFF,
    TimerKind.START_TIMEOUT,
    TimerKind.ATTEMPT_TIMEOUT,
    TimerKind.STEP_TIMEOUT,
    TimerKind.WORKFLOW_TIMEOUT,
)
FIRST_REASONS = (
    Reason.EXIT_CODE,
    Reason.OUT_OF_MEMORY,
    Reason.DISRUPTED,
    Reason.TIMED_OUT,
    Reason.START_TIMED_OUT,
    Reason.LOST,
    Reason.INVALID_JOB,
    Reason.JOB_NAME_TAKEN,
    Reason.POD_FAILED,
    Reason.CANCELLED,
)
SPEC_HASH = "3f" * 32
UID = "0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b11"
JOB = "nightly-load-0123456789abcdef"
DEFINITION = Definition(
    steps=(
        Step(
            name="fetch",
            pod={"image": "busybox:1.36", "args": ["-c", 'echo "Größe – 数" \\ \t\x1b\x7f', 1, True, None]},
        ),
        Step(
            name="load",
            depends_on=("fetch",),
            run_when=RunWhen.ALL_FINISHED,
            allow_failure=True,
            retry=Retry(
                max_attempts=3,
                backoff=Backoff(initial_ms=1, factor=3, max_ms=9, jitter=Jitter.NONE),
                non_retryable_exit_codes=(2, 64),
            ),
            start_timeout_ms=1_000,
            attempt_timeout_ms=2_000,
            timeout_ms=3_000,
        ),
        Step(name="clean-up", depends_on=("load",), run_when=RunWhen.ANY_FAILED),
    ),
    parallelism=20,
    timeout_ms=7_200_000,
    on_failure=OnFailure.CANCEL_RUNNING,
    pod_defaults={"serviceAccountName": "etl"},
)

EVERY_EVENT = History(
    name="every-event-v1",
    stream=StreamId(namespace="lab", name="nightly", uid=UID),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowRejected(spec_hash=SPEC_HASH, problems=(Problem(path="spec.steps[1]", reason="no", hint="yes"),)),
            WorkflowAccepted(run=1, spec_hash=SPEC_HASH, definition=DEFINITION, deadline=TS + 7_200_000),
            StepScheduled(run=1, step="load", attempt=1, job=JOB),
        ),
        (StepScheduled(run=1, step="load", attempt=2, job=JOB, start_deadline=TS + 1, step_deadline=TS + 2),),
        (StepStarted(run=1, step="load", attempt=1, job_uid="j", started_at=TS),),
        (
            StepStarted(
                run=1, step="load", attempt=1, job_uid="j", started_at=TS, pod="p", node="n", attempt_deadline=9
            ),
            StepSucceeded(run=1, step="load", attempt=1, job_uid="j"),
            StepSucceeded(run=1, step="a", attempt=1, job_uid="j", started_at=1, finished_at=2, pod="p", node="n"),
        ),
        tuple(
            AttemptAbandoned(run=1, step="load", attempt=1, reason=reason, message="Größe – 数")
            for reason in FIRST_REASONS
        ),
        (
            AttemptFailed(run=1, step="load", attempt=1, reason=Reason.LOST),
            AttemptFailed(
                run=1,
                step="load",
                attempt=2,
                reason=Reason.EXIT_CODE,
                message='line one\nline "two" \\ \x00',
                job_uid="j",
                exit_code=137,
                started_at=TS,
                finished_at=TS + 1,
                pod="p",
                node="n",
                retry_at=TS + 2,
            ),
            StepFailed(run=1, step="load", reason=Reason.EXIT_CODE, message=""),
        ),
        (
            StreamClaimed(epoch=4, writer="kipu-1"),
            *(StepsSkipped(run=1, steps=("a", "b"), culprit="load", reason=reason) for reason in FIRST_SKIP_REASONS),
            StepsCancelled(run=1, steps=()),
            *(ShutdownRequested(run=1, mode=mode) for mode in (ShutdownMode.CANCEL, ShutdownMode.TERMINATE)),
            *(TimerFired(run=1, kind=kind, due=TS) for kind in FIRST_TIMERS),
            TimerFired(run=1, kind=TimerKind.BACKOFF, due=TS, step="load", attempt=3),
        ),
        (WorkflowAccepted(run=2, spec_hash=SPEC_HASH, definition=large_definition(60)),),
        tuple(WorkflowFinished(run=2, end=end, reason="Tested", message="done") for end in WorkflowEnd),
    ),
)
EVENT_LIMIT = replace(
    EVERY_EVENT,
    name="event-limit-v1",
    batches=(
        (EventLimitReached(run=1, limit=250_000), WorkflowFinished(run=1, end=WorkflowEnd.FAILED, reason="EventLimit")),
    ),
)
MERGED = History(
    name="merged-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="0b7f6c1e-5d0a-4c49-9d55-6f1f3a0c9b12"),
    spec_hash=SPEC_HASH,
    batches=(
        (StreamClaimed(epoch=1, writer="kipu-0"),),
        *(
            tuple(
                StepScheduled(run=1, step=f"s{turn}", attempt=number, job=f"nightly-s{turn}-{turn:016x}")
                for number in range(1, 16)
            )
            for turn in range(20)
        ),
    ),
)
ADOPTION = History(
    name="adoption-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="5c0e4a7d-1f7b-4c7e-8a52-3d9c1b7f2e60"),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(
                    steps=(Step(name="fetch"), Step(name="load", depends_on=("fetch",))),
                    adopt=Adoption(
                        workflow_uid=UID, run=2, steps=(AdoptedStep(name="fetch", position=17, hash="a7" * 32),)
                    ),
                ),
            ),
            StepAdopted(run=1, step="fetch", source_uid=UID, source_run=2, source_position=17, source_hash="a7" * 32),
            StepScheduled(run=1, step="load", attempt=1, job=JOB),
        ),
    ),
)
FAN_OUT = History(
    name="fan-out-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="9e1d6b52-8c3f-4f0a-9a67-2b5d7c4e1f80"),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(
                    steps=(
                        Step(name="shard", for_each=ForEach(items=("eu", 7, {"k": [None, True]}), max_failures=1)),
                        Step(name="part", for_each=ForEach(count=2, parallelism=1)),
                    ),
                ),
            ),
            StepExpanded(run=1, step="shard", count=3, deadline=TS + 60_000),
            StepScheduled(run=1, step="shard[0]", attempt=1, job="nightly-shard-0-0123456789abcdef"),
            StepFailed(run=1, step="shard[0]", reason=Reason.ITEMS_FAILED),
        ),
        (StepExpanded(run=1, step="part", count=2, items=("Größe", {"items": {"blob": "no"}})),),
        (StepExpanded(run=1, step="part", count=2_000, items=tuple(f"item-{number}" for number in range(2_000))),),
        (StepCompleted(run=1, step="part"), StepCompleted(run=1, step="part", outputs='{"sizes":[1,2]}')),
    ),
)
CONTROL = History(
    name="control-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="9d2b6f10-7c3e-4f64-8a11-52e8d0c4b7a3"),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(
                    steps=(
                        Step(
                            name="publish",
                            kind=Kind.APPROVAL,
                            approval=Approval(message="Größe – 数?", timeout_ms=86_400_000),
                        ),
                        Step(name="pause", kind=Kind.WAIT, wait_ms=3_600_000, depends_on=("publish",)),
                        Step(name="notify", in_finally=True),
                    ),
                    finally_timeout_ms=60_000,
                ),
            ),
            WorkflowSuspended(run=1),
        ),
        (WorkflowResumed(run=1), ApprovalRequested(run=1, step="publish", deadline=TS + 86_400_000)),
        (
            ApprovalGiven(run=1, step="publish", decision=Decision.APPROVE, by="ann", message="Größe – 数"),
            StepCompleted(run=1, step="publish"),
            WaitStarted(run=1, step="pause", due=TS + 3_600_000),
        ),
        (
            ShutdownRequested(run=1, mode=ShutdownMode.DRAIN),
            StepsCancelled(run=1, steps=("pause",)),
            FinallyStarted(run=1, end=WorkflowEnd.CANCELLED, reason="Shutdown", message="x", deadline=TS + 60_000),
            StepScheduled(run=1, step="notify", attempt=1, job=JOB),
        ),
        (
            TimerFired(run=1, kind=TimerKind.FINALLY_TIMEOUT, due=TS + 60_000),
            AttemptAbandoned(run=1, step="notify", attempt=1, reason=Reason.CANCELLED, message="timed out"),
            StepsCancelled(run=1, steps=("notify",)),
            WorkflowFinished(run=1, end=WorkflowEnd.FAILED, reason="TimedOut"),
        ),
        (
            WorkflowRerun(run=2, from_=("publish",), spec_hash=SPEC_HASH, deadline=TS + 7_200_000),
            ApprovalRequested(run=2, step="publish"),
        ),
        (
            ApprovalGiven(run=2, step="publish", decision=Decision.REJECT, by="bob"),
            StepFailed(run=2, step="publish", reason=Reason.REFUSED),
            StepCompleted(run=2, step="pause", outputs='{"rows":42}'),
            TimerFired(run=2, kind=TimerKind.WAIT, due=TS, step="pause"),
        ),
    ),
)


def outputs(*kinds: str) -> tuple[Output, ...]:
    return tuple(Output(name=kind.lower(), type=ValueType(kind)) for kind in kinds)


LANGUAGE = History(
    name="language-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="7e1d2c3b-4a59-4687-9b0c-1d2e3f405162"),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(
                    steps=(
                        Step(
                            name="fetch",
                            outputs=(
                                Output(name="rows", type=ValueType.INT),
                                *outputs("String", "Bool", "Double", "Json"),
                            ),
                        ),
                        Step(
                            name="load",
                            depends_on=("fetch",),
                            when="steps['fetch'].outputs.rows > 0",
                            pod={"container": {"env": [{"name": "ROWS", "value": "${{ steps.fetch.outputs.rows }}"}]}},
                        ),
                        Step(name="quiet", when="params.date == 'x'"),
                    ),
                    params={"date": "2026-11-23", "shards": [1, {"a": None}], "deep": True},
                ),
            ),
            StepScheduled(run=1, step="fetch", attempt=1, job=JOB),
            StepsSkipped(run=1, steps=("quiet",), culprit="quiet", reason=SkipReason.CONDITION_FALSE),
        ),
        (
            AttemptAbandoned(run=1, step="fetch", attempt=1, reason=Reason.TIMED_OUT, message="late"),
            LateResultIgnored(run=1, step="fetch", attempt=1, job_uid="j"),
        ),
        (AttemptFailed(run=1, step="fetch", attempt=1, reason=Reason.TIMED_OUT, retry_at=TS),),
        (TimerFired(run=1, kind=TimerKind.BACKOFF, due=TS, step="fetch"),),
        (StepScheduled(run=1, step="fetch", attempt=2, job=JOB),),
        (
            StepSucceeded(
                run=1,
                step="fetch",
                attempt=2,
                job_uid="k",
                pod="p",
                pod_uid="pu",
                outputs={"rows": 42, "string": "Größe", "bool": False, "double": "0.5", "json": '{"a":[1,2.5]}'},
            ),
            StepEvaluated(run=1, step="load", values={"env[0].value": "42", "args[1]": "$$(HOME)\n"}),
            StepScheduled(run=1, step="load", attempt=1, job=JOB),
        ),
        (
            AttemptAbandoned(run=1, step="load", attempt=1, reason=Reason.LOST),
            LateResultIgnored(run=1, step="load", attempt=1, job_uid="l", reason=Reason.OUTPUT_INVALID),
        ),
        *(
            (
                AttemptFailed(run=1, step="load", attempt=1, reason=reason),
                StepFailed(run=1, step="load", reason=reason),
            )
            for reason in (Reason.OUTPUT_TOO_LARGE, Reason.OUTPUT_INVALID, Reason.EXPRESSION_ERROR)
        ),
    ),
)
NESTED = History(
    name="sub-workflow-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="5c0e9a74-1b2d-4e3f-8a6b-7c8d9e0f1a2b"),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(
                    steps=(
                        Step(
                            name="train",
                            kind=Kind.WORKFLOW,
                            retry=Retry(max_attempts=2),
                            timeout_ms=3_600_000,
                            pod={
                                "workflow": {
                                    "templateRef": {"name": "train-model"},
                                    "params": [{"name": "rows", "value": "${{ params.rows }}"}],
                                }
                            },
                        ),
                        Step(name="each", kind=Kind.WORKFLOW, for_each=ForEach(count=2, parallelism=10)),
                    ),
                    params={"rows": 42},
                ),
            ),
            StepEvaluated(run=1, step="train", values={"workflow.params[0].value": "42"}),
            StepScheduled(run=1, step="train", attempt=1, job=JOB, step_deadline=TS + 3_600_000),
            StepExpanded(run=1, step="each", count=2),
            StepScheduled(run=1, step="each[0]", attempt=1, job=JOB),
            StepScheduled(run=1, step="each[1]", attempt=1, job=JOB),
        ),
        (
            StepStarted(run=1, step="train", attempt=1, job_uid="j", started_at=TS),
            StepSucceeded(run=1, step="each[0]", attempt=1, job_uid="k", started_at=TS, finished_at=TS),
            AttemptAbandoned(run=1, step="each[1]", attempt=1, reason=Reason.CANCELLED, message="x"),
        ),
        (
            AttemptFailed(
                run=1,
                step="train",
                attempt=1,
                reason=Reason.CHILD_FAILED,
                message=f"Workflow '{JOB}' has ended as Failed: Größe",
                job_uid="j",
                started_at=TS,
                finished_at=TS,
                retry_at=TS,
            ),
            StepsCancelled(run=1, steps=("each[1]",)),
            TimerFired(run=1, kind=TimerKind.BACKOFF, due=TS, step="train"),
        ),
        (StepScheduled(run=1, step="train", attempt=2, job=JOB),),
        (
            AttemptFailed(run=1, step="train", attempt=2, reason=Reason.CHILD_FAILED),
            StepFailed(run=1, step="train", reason=Reason.CHILD_FAILED),
        ),
    ),
)
EXTERNAL = History(
    name="external-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="2f6c8b1a-9d3e-4c57-8a0b-5e4d3c2b1a09"),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(
                    steps=(
                        Step(name="pay", effects=Effects.EXTERNAL),
                        Step(name="mail", effects=Effects.EXTERNAL, on_unknown=OnUnknown.FAIL),
                        Step(name="count", effects=Effects.PURE),
                    )
                ),
            ),
            StepScheduled(run=1, step="pay", attempt=1, job=JOB),
        ),
        (StepStarted(run=1, step="pay", attempt=1, job_uid="j", started_at=TS),),
        (
            AttemptUnknown(
                run=1, step="pay", attempt=1, reason=Reason.LOST, message="gone", job_uid="j", pod="p", node="n"
            ),
        ),
        (
            UnknownResolved(run=1, step="pay", attempt=1, decision=Resolution.RETRY, by="ann"),
            AttemptFailed(run=1, step="pay", attempt=1, reason=Reason.UNKNOWN, job_uid="j", retry_at=TS),
        ),
        *(
            (UnknownResolved(run=1, step="pay", attempt=2, decision=decision),)
            for decision in (Resolution.FAIL, Resolution.SUCCEED)
        ),
    ),
)
WORKSPACE = History(
    name="workspace-v1",
    stream=StreamId(namespace="lab", name="nightly", uid="5d4c3b2a-1f0e-4d9c-8b7a-695847362514"),
    spec_hash=SPEC_HASH,
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(
                    steps=(
                        Step(name="fetch"),
                        Step(name="shard", for_each=ForEach(count=1)),
                        Step(name="join", depends_on=("fetch", "shard"), inputs=("fetch", "shard")),
                    ),
                    workspace=Workspace(claim_template={"spec": {"accessModes": ["ReadWriteOnce"]}}),
                ),
            ),
            StepScheduled(run=1, step="fetch", attempt=1, job=JOB),
        ),
        (StepSucceeded(run=1, step="fetch", attempt=1, job_uid="j", pod="p", pod_uid="f0"),),
        (StepExpanded(run=1, step="shard", count=1), StepScheduled(run=1, step="shard[0]", attempt=1, job=JOB)),
        (StepSucceeded(run=1, step="shard[0]", attempt=1, job_uid="k", pod="q", pod_uid="s0"),),
        (
            StepCompleted(run=1, step="shard"),
            StepScheduled(run=1, step="join", attempt=1, job=JOB),
        ),
    ),
)
CLAIMED = replace(
    WORKSPACE,
    name="workspace-claim-v1",
    batches=(
        (
            StreamClaimed(epoch=1, writer="kipu-0"),
            WorkflowAccepted(
                run=1,
                spec_hash=SPEC_HASH,
                definition=Definition(steps=(Step(name="only"),), workspace=Workspace(claim_name="shared")),
            ),
        ),
    ),
)
LOG_TAIL = replace(
    EVERY_EVENT,
    name="log-tail-v1",
    batches=(
        (
            AttemptFailed(
                run=1,
                step="load",
                attempt=1,
                reason=Reason.EXIT_CODE,
                message="exit code 1: KeyError: 'Größe'",
                exit_code=1,
                log_tail="Traceback:\n\tload()\nKeyError: 'Größe'",
            ),
        ),
    ),
)
HISTORIES = (
    *(EVERY_EVENT, EVENT_LIMIT, MERGED, ADOPTION, FAN_OUT, CONTROL, LANGUAGE, EXTERNAL),
    *(WORKSPACE, CLAIMED, NESTED, LOG_TAIL),
)


async def write(history: History, store: Store) -> None:
    """Append the batches on a store where all goes well."""
    log, head = ConfigMapLog(Client(store=store), nonce=nonces("golden-")), None
    for turn, batch in enumerate(history.batches):
        given: ConfigMapHead | None = head
        head, _ = await log.append(history.stream, given, batch, ts=TS + 1_000 * turn, spec_hash=history.spec_hash)
        if head.superseded:
            await log.sweep(history.stream, head)


async def recording(history: History) -> dict[str, object]:
    """What golden/<name>.json holds: the records as they were written, and the objects that held them."""
    store = Store()
    await write(history, store)
    loaded = await ConfigMapLog(Client(store=store)).load(history.stream)
    assert loaded is not None
    return {
        "stream": {"namespace": history.stream.namespace, "name": history.stream.name, "uid": history.stream.uid},
        "hashes": [record.hash for record in loaded.records],
        "objects": [store.objects[key] for key in sorted(store.objects)],
    }


def main() -> None:
    for history in HISTORIES:
        if not history.path.exists():
            recorded = asyncio.run(recording(history))
            history.path.write_text(json.dumps(recorded, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
