"""What can only be said when everything is over and quiet: I12, I14, I17, I18, I20, and I15 against another run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kipu.api import definition as specs
from kipu.api import status as projections
from kipu.core.errors import CorruptionError, TransientError
from kipu.core.events import WorkflowFinished
from kipu.core.evolve import fold
from kipu.core.state import canonical
from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.ports import ConcurrencyConflict, History, LogFull, StreamId
from kipu.shell.kube import Kube
from kipu.shell.publisher import WorkflowGone
from tests.fakes.etcd import Json

from .script import Harm
from .story import parent_of

if TYPE_CHECKING:
    from .case import Case
    from .world import World

UID_LABEL = "kipu.dev/workflow-uid"
WARNINGS = ("ClockSkew", "LogQuota", "LogWriteRefused", "RequestIgnored")  # conditions that no event tells of


@dataclass(frozen=True, slots=True)
class Ending:
    """What a workflow has come to."""

    end: str
    steps: dict[str, tuple[str, int]]  # phase and attempts


async def judge_end(world: World) -> dict[str, Ending]:
    """Note what is wrong; how each workflow ended, by its name."""
    endings = {}
    for case in world.auditor.cases.values():
        if case.is_deleted:
            for fault in i12_nothing_is_left(world, case):
                world.auditor.note("I12", fault)
            continue
        history = await _load(world, case)
        if history is not None and not case.is_tampered:
            world.auditor.note("I17", i17_a_replay_gives_the_same_bytes(case, history))
        if not case.is_tampered:
            workflow = world.server.get("workflows", "default", case.name)
            assert workflow is not None
            world.auditor.note("I14", i14_the_status_shows_the_log(case, workflow))
            world.auditor.note("I6", i6_one_end(case))
        accounts = case.story.steps
        # Of a fan-out that has not ended well it depends on who was quicker which of its items had begun.
        whole = {name for name, account in accounts.items() if accounts[parent_of(name)].end == "Succeeded"}
        whole |= {*case.story.by_name}
        steps = {name: (accounts[name].end, accounts[name].attempts) for name in accounts if name in whole}
        endings[case.name] = Ending(end=case.story.end, steps=steps)
    for fault in i0_only_what_is_foreseen_goes_wrong(world):
        world.auditor.note("I0", fault)
    if world.auditor.harm is not Harm.LOG:
        world.auditor.note("I18", i18_the_write_budget_is_held(world))
    return endings


async def _load(world: World, case: Case) -> History | None:
    """The log as anybody reads it: it must be sound, unless somebody has tampered with it."""
    log = ConfigMapLog(Kube(world.server.connect(user="judge", faulty=False)), nonce=world.nonce)
    try:
        history = await log.load(StreamId(namespace="default", name=case.name, uid=case.uid))
    except (CorruptionError, TransientError) as error:
        if not case.is_tampered:
            world.auditor.note("I2", f"the log of {case.name} cannot be read: {error}")
        return None
    if history is None and not case.is_tampered:
        world.auditor.note("I1", f"{case.name} has no log")
    return history


def i12_nothing_is_left(world: World, case: Case) -> Iterator[str]:
    """I12: once a Workflow is deleted and collected, no Job, child, pod or ConfigMap of it is left."""
    for plural in ("jobs", "workflows", "pods", "configmaps"):
        left = [
            body["metadata"]["name"]
            for body in world.server.all(plural)
            if body["metadata"].get("labels", {}).get(UID_LABEL) == case.uid
        ]
        if left:
            yield f"{case.name} was deleted, {plural} are left: {left}"


def i14_the_status_shows_the_log(case: Case, workflow: Json) -> str | None:
    """I14: after 2 s of quiet the status is the projection of the whole log."""
    shown = workflow.get("status", {})
    last = case.ledger.records[-1] if case.ledger.records else None
    if last is None or shown.get("log") != {"position": last.position, "hash": last.hash}:
        return f"the status of {case.name} shows log {shown.get('log')}, which ends at {last and last.position}"
    wanted = projections.project(
        case.state,
        generation=workflow["metadata"]["generation"],
        log_position=last.position,
        log_hash=last.hash,
        waiting={},
        spec_changed=specs.spec_hash(workflow["spec"]) != case.state.spec_hash,
    )
    shown = {**shown, "conditions": [each for each in shown["conditions"] if each["type"] not in WARNINGS]}
    differing = sorted(key for key in {*wanted, *shown} if wanted.get(key) != shown.get(key))
    return f"the status of {case.name} differs from the log in {differing}" if differing else None


def i6_one_end(case: Case) -> str | None:
    """I6: each run that has ended has exactly one end."""
    ends = sum(isinstance(record.event, WorkflowFinished) for record in case.ledger.records)
    wanted = 0 if case.story.end == "Rejected" else case.story.run
    return f"{ends} ends in the log of {case.name}" if case.story.end and ends != wanted else None


def i17_a_replay_gives_the_same_bytes(case: Case, history: History) -> str | None:
    """I17: what the log's own reader replays is what was read record by record while it happened."""
    if [record.hash for record in history.records] != [record.hash for record in case.ledger.records]:
        return f"the log of {case.name} reads differently from how it was written"
    replayed = fold((record.event, record.ts) for record in history.records)
    return None if canonical(replayed) == canonical(case.state) else f"a replay of {case.name} gives another state"


EXPECTED = (ConcurrencyConflict, TransientError, CorruptionError, LogFull, WorkflowGone)


def i0_only_what_is_foreseen_goes_wrong(world: World) -> Iterator[str]:
    """No invariant, and never right: a session that ended by an error that nobody has thought of."""
    for replica in world.replicas:
        for telemetry in replica.telemetries:
            for metric in telemetry.failures.collect():
                kinds = {sample.labels["reason"] for sample in metric.samples}
                yield from (
                    f"a session of {replica.name} ended by {kind}" for kind in sorted(kinds - names_of(EXPECTED))
                )


def names_of(kinds: Iterable[type]) -> set[str]:
    """Of these exceptions and all of their kinds."""
    return {name for kind in kinds for name in ({kind.__name__} | names_of(kind.__subclasses__()))}


WRITES_PER_EVENT_MAX = 3.0
WRITES_PER_LIFE_MAX = 40  # of a recovery: claim, effects again, status
WRITES_PER_FAULT_MAX = 40
WRITES_PER_FAULT_SECOND_MAX = 8  # what is refused is tried again, at most every 0.1 to 5 s, by each of three replicas


def i18_the_write_budget_is_held(world: World) -> str | None:
    """I18: the writes of all replicas are in proportion to events, lives and faults: nobody hammers."""
    events = world.auditor.events
    lives = sum(replica.lives for replica in world.replicas)
    lanes = {f"{replica.name}{life}" for replica in world.replicas for life in range(1, replica.lives + 1)}
    writes = sum(sent.is_write and sent.user in lanes and "/leases" not in sent.path for sent in world.server.requests)
    seconds = sum(getattr(each.fault, "seconds", 0.0) for each in world.struck)
    allowed = 20 + WRITES_PER_EVENT_MAX * events + WRITES_PER_LIFE_MAX * lives
    allowed += WRITES_PER_FAULT_MAX * len(world.struck) + WRITES_PER_FAULT_SECOND_MAX * seconds
    return (
        f"{writes} writes for {events} events, {lives} lives and {len(world.struck)} faults"
        if writes > allowed
        else None
    )
