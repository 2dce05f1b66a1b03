"""What an actor decides next, and what it does not yet."""

from __future__ import annotations

import asyncio

import pytest

from kipu.shell.company import Company
from kipu.shell.mailbox import Mailbox
from kipu.shell.slots import Slots
from tests.core.given import fan, flow, step

pytestmark = pytest.mark.looptime


async def test_ends_wait_only_if_they_are_all_that_there_is() -> None:
    """Of heavy ones a turn takes fewer than are company enough, and there are more."""
    given = flow(fan("f", count=60), step("long"))
    mailbox = Mailbox(asyncio.get_running_loop().time)
    company = Company(mailbox, Slots(100), asyncio.get_running_loop().time)
    for index in range(59):
        mailbox.put(given.outcome(f"f[{index}]", outputs={"o": "x" * 8_000}))
    commands, _ = await company.next(given.state)
    assert 0 < len(commands) < 59 == len(commands) + len(mailbox)
    assert asyncio.get_running_loop().time() == 0
