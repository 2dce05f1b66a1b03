"""A store and a writer."""

import pytest

from tests.eventlog.store import Store
from tests.eventlog.writer import Writer


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store)
