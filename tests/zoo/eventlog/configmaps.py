"""Mutants of kipu/eventlog/configmaps.py: how a log is committed and opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kipu.core.events import Event
from kipu.eventlog.chunks import seal
from kipu.eventlog.configmaps import ConfigMapHead, ConfigMapLog, _meta
from kipu.eventlog.objects import head_manifest
from kipu.eventlog.ports import Answer, Head, History, Recorded, StreamId
from tests.zoo.mutants import mutant

CONFIG_MAPS = "tests/eventlog/test_configmaps.py"
CONTRACT = "tests/eventlog/test_contract.py"
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
