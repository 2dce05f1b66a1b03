"""What a failed program has said last: from its pod, by way of the log, to the status and to its history."""

from __future__ import annotations

from typing import Any

import pytest

from kipu.core.events import AttemptFailed
from tests.fakes.apiserver import ApiServer
from tests.fakes.nodes import Program
from tests.shell.operating import apply, ended, history, operator, status, step

pytestmark = pytest.mark.looptime
LINES = [f"line {number}" for number in range(1, 201)]
FAILS = Program(exit_code=3, log="\n".join(LINES) + "\n")


async def failure(server: ApiServer, **fields: Any) -> tuple[AttemptFailed, dict[str, Any]]:
    """The recorded failure of one step, and what the status shows of it."""
    uid = apply(server, step("a", **fields))
    async with operator(server):
        assert await ended(server) == "Failed"
    events = [record.event for record in (await history(server, uid)).records]
    (failed,) = (event for event in events if isinstance(event, AttemptFailed))
    (shown,) = status(server)["failed"]
    return failed, shown


@pytest.mark.parametrize("fields", [{}, {"outputs": [{"name": "rows"}]}], ids=["plain", "with outputs"])
async def test_the_end_of_its_log_is_recorded_and_its_last_lines_are_shown(fields: dict[str, Any]) -> None:
    failed, shown = await failure(ApiServer(programs=lambda _: FAILS), **fields)
    assert (failed.log_tail or "").split("\n") == LINES[-80:]
    assert (shown["message"], shown["logTail"]) == ("exit code 3: line 200", "line 198\nline 199\nline 200")


async def test_a_message_that_the_program_has_written_is_its_last_word() -> None:
    program = Program(exit_code=3, log=FAILS.log, message="the disk is full")
    failed, shown = await failure(ApiServer(programs=lambda _: program))
    assert failed.log_tail == shown["logTail"] == "the disk is full"


async def test_a_template_may_ask_for_no_tail() -> None:
    main = {"name": "main", "terminationMessagePolicy": "File"}
    failed, shown = await failure(ApiServer(programs=lambda _: FAILS), template={"spec": {"containers": [main]}})
    assert failed.log_tail is None
    assert "logTail" not in shown
