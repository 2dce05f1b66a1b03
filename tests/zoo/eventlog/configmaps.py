"""Mutants of kipu/eventlog/configmaps.py: how a log is committed and opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kipu.core.events import Event
from kipu.eventlog.chunks import seal
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog, _meta
from kipu.eventlog.objects import head_manifest, selector
from kipu.eventlog.ports import Answer, Head, History, Recorded, StreamId
from kipu.eventlog.sweeping import dead
from tests.zoo.mutants import mutant

CONFIG_MAPS = "tests/eventlog/test_configmaps.py"
CONTRACT = "tests/eventlog/test_contract.py"
RESTORED = (
    "tests/eventlog/test_sweeping.py::test_after_a_restore_of_an_older_state_a_sweep_by_the_lost_future_touches_nothing"
)
_append, _send, _load = ConfigMapLog.append, ConfigMapLog._send, ConfigMapLog.load


@mutant("ConfigMapLog.append", breaks="I2, a second table written after the first", caught_by=CONTRACT)
async def each_event_is_a_commit_of_its_own(
    self: ConfigMapLog,
    stream: StreamId,
    expected: Head | None,
    events: Sequence[Event],
    *,
    ts: int,
    spec_hash: str = "",
) -> tuple[ConfigMapHead, tuple[Recorded, ...]]:
    """The events of one decision are committed one after another: half of a decision can be all there is."""
    records: tuple[Recorded, ...] = ()
    head = expected
    for event in events:
        head, more = await _append(self, stream, head, [event], ts=ts, spec_hash=spec_hash)
        records += more
    assert isinstance(head, ConfigMapHead)
    return head, records


@mutant("ConfigMapLog._commit", breaks="I1", caught_by=(CONFIG_MAPS, CONTRACT))
async def a_commit_is_acknowledged_unread(
    self: ConfigMapLog, stream: StreamId, base: ConfigMapHead, laid: ConfigMapHead
) -> ConfigMapHead:
    """A commit is sent, and taken for made."""
    data = seal(_meta(stream, laid, self._nonce()), laid.tail)
    answer = await self._send(stream, base, data)
    metadata = answer.body.get("metadata")
    version = metadata.get("resourceVersion", "0") if isinstance(metadata, Mapping) else "0"
    uid = metadata.get("uid", base.uid) if isinstance(metadata, Mapping) else base.uid
    return replace(laid, digest=data["digest"], uid=str(uid), resource_version=str(version))


@mutant("ConfigMapLog._send", breaks="I3, I19", caught_by=CONFIG_MAPS)
async def a_log_that_is_gone_is_begun_anew(
    self: ConfigMapLog, stream: StreamId, base: ConfigMapHead, data: Mapping[str, str]
) -> Answer:
    """Where the head is missing, it is created."""
    answer = await _send(self, stream, base, data)
    if answer.status == 404:
        return await self._api.create_config_map(stream.namespace, head_manifest(stream, data))
    return answer


@mutant("_check_guards", breaks="I1, I16", caught_by=(CONFIG_MAPS, CONTRACT))
def a_lost_race_is_run_again(stream: StreamId, base: ConfigMapHead, seen: object, answer: Answer) -> None:
    """After an unclear answer nobody looks whether the head has moved: the same is sent until it is given up."""


@mutant("ConfigMapLog.load", breaks="I19", caught_by="tests/eventlog/test_opening.py")
async def a_chunk_that_is_gone_is_waited_for(self: ConfigMapLog, stream: StreamId) -> History | None:
    """A log with a hole is read as far as it goes."""
    seen = await self._look(stream)
    if seen is None:
        return None
    return await _load(self, stream) if not seen.meta.chunks else None


@mutant(
    "ConfigMapLog.sweep", breaks="I1, sweep without the generation rule", caught_by="tests/eventlog/test_sweeping.py"
)
async def a_sweep_judges_by_the_head_that_it_remembers(self: ConfigMapLog, stream: StreamId, head: Head) -> int:
    """Which chunks are dead is told by the head of the last commit, though the store may have been restored since."""
    assert isinstance(head, ConfigMapHead)
    listed = await self._api.list_config_maps(stream.namespace, selector(stream))
    found = dead(stream, _meta(stream, head, ""), listed)
    for item in found:
        await self._requests.ask(self._api.delete_config_map(stream.namespace, item.name, item.uid))
    return len(found)
