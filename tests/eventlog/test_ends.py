"""Each end replays for ever: the same state at every position, in every process and every layout of the log."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kipu.core.events import WorkflowEnd
from kipu.core.evolve import fold
from kipu.core.state import canonical
from kipu.eventlog.chunks import TAIL_BYTES_GROWN_MAX
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog
from kipu.eventlog.memory import MemoryLog
from kipu.eventlog.ports import EventLog, Head
from tests.eventlog.ends import ENDS, STREAM, batches, known, load, states
from tests.eventlog.samples import nonces
from tests.eventlog.store import Client, Store

ROOT = Path(__file__).parents[2]
each_end = pytest.mark.parametrize("name", ENDS)

# How a log lies: whether the tail rolls at the n-th of the single events that are appended.
ROLLS: dict[str, Callable[[int], bool]] = {
    "tail": lambda turn: False,
    "chunks": lambda turn: turn % 3 == 0,  # fewer than are merged
    "merged": lambda turn: True,
    "archived": lambda turn: True,
}
LEVELS = {"tail": set(), "chunks": {0}, "merged": {0, 1}, "archived": {1}}


async def in_memory(kept: dict[str, Any]) -> EventLog:
    log = MemoryLog()
    head: Head | None = None
    for ts, events in batches(kept):
        head, _ = await log.append(STREAM, head, events, ts=ts, spec_hash=kept["specHash"])
    return log


async def in_config_maps(kept: dict[str, Any], layout: str) -> EventLog:
    log = ConfigMapLog(Client(store=Store()), nonce=nonces("w"))
    head: ConfigMapHead | None = None
    singles = ((ts, event) for ts, events in batches(kept) for event in events)
    for turn, (ts, event) in enumerate(singles):
        if head is not None:
            head = replace(head, tail_bytes_max=1 if ROLLS[layout](turn) else TAIL_BYTES_GROWN_MAX)
        head, _ = await log.append(STREAM, head, [event], ts=ts, spec_hash=kept["specHash"])
    assert head is not None
    if layout == "archived":
        head = await log.archive(STREAM, head)
        await log.sweep(STREAM, head)
    assert {chunk.level for chunk in head.chunks} == LEVELS[layout]
    return log


@each_end
@pytest.mark.parametrize("layout", ["memory", *ROLLS])
async def test_a_recorded_end_has_the_same_state_at_every_position_in_every_layout(layout: str, name: str) -> None:
    kept = load(name)
    log = await (in_memory(kept) if layout == "memory" else in_config_maps(kept, layout))
    history = await log.load(STREAM)
    assert history is not None
    assert [record.hash for record in history.records] == kept["hashes"]
    assert states([(record.event, record.ts) for record in history.records], kept["shape"]) == kept["states"]


@pytest.mark.proof
@pytest.mark.parametrize("hash_seed", ["0", "1", "4294967295"])
def test_a_recorded_end_is_the_same_under_every_hash_seed(hash_seed: str) -> None:
    program = "from tests.eventlog.ends import digest; print(digest())"
    environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
    other = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    recorded = hashlib.sha256("".join(state for name in ENDS for state in load(name)["states"]).encode())
    assert other.stdout.strip() == recorded.hexdigest()


def test_every_end_is_recorded() -> None:
    ends = {(load(name)["end"][0], load(name)["end"][1]) for name in ENDS}
    assert {phase for phase, _ in ends} == {*(end.value for end in WorkflowEnd), "Rejected"}
    assert ("Failed", "TimedOut") in ends


@each_end
def test_a_field_that_a_state_gets_later_changes_no_recorded_hash(name: str) -> None:
    kept = load(name)
    meaning = canonical(fold((event, ts) for ts, events in batches(kept) for event in events))
    state = json.loads(meaning) | {"addedLater": True}
    state["steps"] = [
        each | {"addedLater": 1, "attempt": each["attempt"] and each["attempt"] | {"addedLater": 2}}
        for each in state["steps"]
    ]
    added = json.dumps(state, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert known(added, kept["shape"]) == known(meaning, kept["shape"]) != added
