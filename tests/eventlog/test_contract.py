"""The contract on the backends that need no cluster."""

from __future__ import annotations

import itertools

import pytest

from kipu.eventlog.configmaps import ConfigMapLog
from kipu.eventlog.memory import MemoryLog, MemoryStore
from tests.eventlog.contract import EventLogContract, MakeLog
from tests.eventlog.samples import nonces
from tests.eventlog.store import Client, Store


class TestMemory(EventLogContract):
    @pytest.fixture
    def make_log(self) -> MakeLog:
        store = MemoryStore()
        return lambda: MemoryLog(store)


class TestConfigMaps(EventLogContract):
    @pytest.fixture
    def make_log(self) -> MakeLog:
        store, writers = Store(), itertools.count()
        return lambda: ConfigMapLog(Client(store=store), nonce=nonces(f"w{next(writers)}-"))
