"""For every test of the tree."""

from __future__ import annotations

import asyncio

import pytest

# The contract's asserts explain themselves, though its file is not a test file. Asked for here, before any folder
# imports it: two do (tests/eventlog and tests/conformance), in an order that the workers of xdist choose.
pytest.register_assert_rewrite("tests.eventlog.contract")


@pytest.fixture(scope="session", autouse=True)
def no_loop_by_accident(event_loop_policy: asyncio.AbstractEventLoopPolicy) -> None:
    """looptime asks for the current loop even in sync tests; Python 3.11 then makes one that nobody closes.

    Once somebody has said "none", asking is a RuntimeError, which looptime expects.
    """
    event_loop_policy.set_event_loop(None)
