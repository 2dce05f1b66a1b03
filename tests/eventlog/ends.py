"""Recorded histories of each way in which a run can end, with the state's hash at every position.

    python -m tests.eventlog.ends      # from the root of the repository

writes those that are not recorded yet into golden/end-<name>-v1.json, and never changes one that is: what those
records mean is what somebody's run has become. A state may get fields later; each file names those that it knows
(`shape`), and a hash is over these alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from kipu.core.commands import Accept, Claim, Reject
from kipu.core.definition import Definition, ForEach
from kipu.core.errors import Problem
from kipu.core.events import Event, Reason, ShutdownMode
from kipu.core.evolve import evolve
from kipu.core.state import State, canonical
from kipu.eventlog.chain import beginning, extend, replay
from kipu.eventlog.ports import Recorded, StreamId
from tests.core.given import IDENTITY, MINUTE, SECOND, Flow, approval, fan, last, nested, step, wait

FOLDER = Path(__file__).parent / "golden"
STREAM = StreamId(namespace="lab", name=IDENTITY.name, uid=IDENTITY.uid)
SPEC_HASH = "e2" * 32
Shape = dict[str, list[str]]


# -- the runs --------------------------------------------------------------------------------------------------


def accepted(*steps: Any, timeout: int | None = None, finally_timeout: int | None = None) -> Flow:
    given = Flow(None)
    definition = Definition(steps=steps, timeout_ms=timeout, finally_timeout_ms=finally_timeout)
    given.tell(Claim(writer="kipu-0"), Accept(spec_hash=SPEC_HASH, definition=definition))
    return given


def succeeded() -> Flow:
    """A diamond whose left side fails once, and an operator that is replaced in the middle."""
    given = accepted(
        step("fetch"), step("left", "fetch", attempts=2), step("right", "fetch"), step("join", "left", "right")
    )
    given.start("fetch", after=SECOND)
    given.succeed("fetch", after=SECOND)
    given.start("left", "right", after=SECOND)
    given.fail("left", exit_code=3, after=SECOND)
    given.tell(Claim(writer="kipu-1"), after=SECOND)
    given.succeed("right", after=SECOND)
    given.pass_time(MINUTE)
    given.succeed("left", after=SECOND)
    given.succeed("join", after=SECOND)
    return given


def failed() -> Flow:
    """A failure that takes two steps along, while another one is lost and may."""
    given = accepted(step("first"), step("second", "first"), step("third", "second"), step("loose", allow_failure=True))
    given.start("first", "loose", after=SECOND)
    given.lose("loose")
    given.tell(Claim(writer="kipu-1"), after=SECOND)
    given.fail("first", exit_code=137, after=SECOND)
    given.gone("loose", after=SECOND)
    given.settle()
    return given


def cancelled() -> Flow:
    """Asked for while one step runs, one waits for its backoff and one was never begun."""
    given = accepted(step("running"), step("failing", attempts=3), step("late", "running"))
    given.start("running", after=SECOND)
    given.fail("failing", after=SECOND)
    given.shut_down()
    given.gone("running", message="ended by the node", after=SECOND)
    given.settle()
    return given


def rejected() -> Flow:
    """By the tenth operator: those before it died at once."""
    given = Flow(None)
    for number in range(1, 10):
        given.tell(Claim(writer=f"kipu-{number}"), after=SECOND)
    problems = (Problem(path="spec.steps[0].name", reason="'A' is not a name", hint="a"),)
    given.tell(Claim(writer="kipu-0"), Reject(spec_hash=SPEC_HASH, problems=problems))
    return given


def timed_out() -> Flow:
    """The whole run took too long; an attempt before that, too."""
    given = accepted(step("slow", attempts=2, attempt_timeout=MINUTE), step("after", "slow"), timeout=2 * MINUTE)
    given.start("slow", after=SECOND)
    given.pass_time(MINUTE)
    given.gone("slow", after=SECOND)
    given.pass_time(10 * SECOND)
    given.start("slow", after=SECOND)
    given.pass_time(2 * MINUTE)
    given.gone("slow", message="pending", after=SECOND)
    given.settle()
    return given


def run_again() -> Flow:
    """From its first step, after the second had failed."""
    given = accepted(step("fetch"), step("load", "fetch"))
    given.succeed("fetch", after=SECOND)
    given.fail("load", exit_code=3, after=SECOND)
    given.rerun("fetch")
    given.tell(Claim(writer="kipu-1"), after=SECOND)
    given.succeed("fetch", after=SECOND)
    given.succeed("load", after=SECOND)
    return given


def approved() -> Flow:
    """Approved while it is suspended, and then a wait."""
    given = accepted(approval("publish", timeout=MINUTE), wait("pause", "publish"))
    given.suspend()
    given.answer("publish")
    given.suspend(False)
    given.pass_time(MINUTE)
    return given


def drained() -> Flow:
    """What runs may end, what waits may not; finally is too slow."""
    given = accepted(step("running"), step("late", "running"), last("notify"), finally_timeout=MINUTE)
    given.shut_down(ShutdownMode.DRAIN)
    given.succeed("running", after=SECOND)
    given.pass_time(MINUTE)
    given.gone("notify", after=SECOND)
    return given


def fanned_out() -> Flow:
    """Items in a window of two, of which one is tried again and one fails for good, which may be."""
    given = accepted(
        fan("shard", count=4, parallelism=2, attempts=2, max_failures=1, timeout=MINUTE), step("join", "shard")
    )
    given.start("shard[0]", after=SECOND)
    given.fail("shard[0]", after=SECOND)
    given.tell(Claim(writer="kipu-1"), after=SECOND)
    given.pass_time(SECOND)
    given.succeed("shard[1]", after=SECOND)
    given.fail("shard[0]", after=SECOND)
    given.succeed("shard[2]", "shard[3]", after=SECOND)
    given.succeed("join", after=SECOND)
    return given


def nested_in_another() -> Flow:
    """A step whose first child fails and whose second succeeds, and a fan-out of children that is ended."""
    each = nested("each", for_each=ForEach(count=2, parallelism=1))
    given = accepted(nested("train", attempts=2), each, step("join", "train"))
    given.start("train", "each[0]", after=SECOND)
    given.fail("train", reason=Reason.CHILD_FAILED, exit_code=None, after=SECOND)
    given.pass_time(SECOND)
    given.tell(Claim(writer="kipu-1"), after=SECOND)
    given.succeed("train", after=SECOND)
    given.shut_down()
    given.gone("each[0]", "join", after=SECOND)
    return given


ENDS: dict[str, Callable[[], Flow]] = {
    "succeeded": succeeded,
    "failed": failed,
    "cancelled": cancelled,
    "rejected": rejected,
    "timed-out": timed_out,
    "run-again": run_again,
    "approved": approved,
    "drained": drained,
    "fanned-out": fanned_out,
    "nested": nested_in_another,
}


# -- what is recorded ------------------------------------------------------------------------------------------


def path_of(name: str) -> Path:
    return FOLDER / f"end-{name}-v1.json"


def load(name: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(path_of(name).read_text())
    return kept


def batches(kept: dict[str, Any]) -> Iterator[tuple[int, list[Event]]]:
    """The appends that made the history, each with its time."""
    _, records = replay(beginning(kept["uid"], kept["specHash"]), [line.encode() for line in kept["records"]])
    for ts, batch in groupby(records, key=lambda record: record.ts):
        yield ts, [record.event for record in batch]


def states(records: Iterable[tuple[Event, int]], shape: Shape) -> list[str]:
    """The hash of the state at every position."""
    state, found = State(), []
    for event, ts in records:
        state = evolve(state, event, ts=ts)
        found.append(hashlib.sha256(known(canonical(state), shape)).hexdigest())
    return found


def known(meaning: bytes, shape: Shape) -> bytes:
    """Canonical bytes of the fields in `shape` alone."""
    state = json.loads(meaning)
    for each in state["steps"]:
        if each["attempt"] is not None:
            each["attempt"] = {key: each["attempt"][key] for key in shape["attempt"]}
    state["steps"] = [{key: each[key] for key in shape["step"]} for each in state["steps"]]
    only = {key: state[key] for key in shape["state"]}
    return json.dumps(only, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def shape_of(meanings: Iterable[bytes]) -> Shape:
    """Every field that these states have."""
    shape: dict[str, set[str]] = {"state": set(), "step": set(), "attempt": set()}
    for meaning in map(json.loads, meanings):
        shape["state"] |= set(meaning)
        for each in meaning["steps"]:
            shape["step"] |= set(each)
            shape["attempt"] |= set(each["attempt"] or ())
    return {kind: sorted(names) for kind, names in shape.items()}


def recording(flow: Flow) -> dict[str, Any]:
    """What golden/end-<name>-v1.json holds."""
    tip, records, lines = beginning(STREAM.uid, SPEC_HASH), list[Recorded](), list[str]()
    for ts, pairs in groupby(flow.log, key=lambda pair: pair[1]):
        batch = extend(tip, [event for event, _ in pairs], ts=ts)
        assert not batch.blobs
        tip, records, lines = batch.tip, [*records, *batch.records], [*lines, *batch.lines.decode().splitlines()]
    state, meanings = State(), []
    for event, ts in flow.log:
        state = evolve(state, event, ts=ts)
        meanings.append(canonical(state))
    shape = shape_of(meanings)
    assert all(known(meaning, shape) == meaning for meaning in meanings)
    return {
        "uid": STREAM.uid,
        "specHash": SPEC_HASH,
        "end": list(flow.end),
        "records": lines,
        "hashes": [record.hash for record in records],
        "shape": shape,
        "states": states(flow.log, shape),
    }


def digest() -> str:
    """Over every state of every recorded history, as this process computes it."""
    found = hashlib.sha256()
    for name in ENDS:
        kept = load(name)
        events = [(event, ts) for ts, batch in batches(kept) for event in batch]
        found.update("".join(states(events, kept["shape"])).encode())
    return found.hexdigest()


def main() -> None:
    for name, make in ENDS.items():
        if not path_of(name).exists():
            text = json.dumps(recording(make()), indent=1, ensure_ascii=False, sort_keys=True)
            path_of(name).write_text(text + "\n")


if __name__ == "__main__":
    main()
