"""The contract on the backends that need no cluster."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.file import FileLog
from kipu.eventlog.memory import MemoryLog, MemoryStore
from kipu.eventlog.ports import LogMissing
from tests.eventlog.contract import EventLogContract, MakeLog, MakeStream, begin
from tests.eventlog.samples import TS, nonces, scheduled
from tests.eventlog.store import Client, Store


class TestMemory(EventLogContract):
    @pytest.fixture
    def make_log(self) -> MakeLog:
        store = MemoryStore()
        return lambda: MemoryLog(store)

    async def test_a_stream_that_vanished_is_missing(self, make_stream: MakeStream) -> None:
        store, stream = MemoryStore(), make_stream()
        head = await begin(MemoryLog(store), stream)
        store.streams.clear()
        with pytest.raises(LogMissing):
            await MemoryLog(store).append(stream, head, [scheduled()], ts=TS)


class TestConfigMaps(EventLogContract):
    @pytest.fixture
    def make_log(self) -> MakeLog:
        store, writers = Store(), itertools.count()
        return lambda: ConfigMapLog(Client(store=store), nonce=nonces(f"w{next(writers)}-"))


class TestFiles(EventLogContract):
    @pytest.fixture
    def make_log(self, tmp_path: Path) -> MakeLog:
        return lambda: FileLog(tmp_path)
