"""The contract's asserts explain themselves, though its file is not a test file; a store and a writer."""

import pytest

pytest.register_assert_rewrite("tests.eventlog.contract")

from tests.eventlog.store import Store  # noqa: E402 (after the rewrite is asked for)
from tests.eventlog.writer import Writer  # noqa: E402


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store)
