"""Mutants of kipu/shell/publisher.py: the status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kipu.shell.publisher import Publisher, Status
from tests.zoo.mutants import mutant
from tests.zoo.selections import CLEAN_RUN

_offer = Publisher.offer
PUBLISHER = "tests/shell/test_publisher.py"


@mutant("Publisher.finish", breaks="I14", caught_by=(PUBLISHER, CLEAN_RUN))
async def the_last_status_is_not_written(self: Publisher, make: Callable[[], Status]) -> None:
    """The end of a run is recorded, and not shown."""


@mutant("Publisher.offer", breaks="I18", caught_by=PUBLISHER)
def every_turn_writes_a_status(
    self: Publisher, make: Callable[[], Status], *, phase: str, group: asyncio.TaskGroup
) -> None:
    """No interval is kept between two writes of the status."""
    self._not_before = 0.0
    _offer(self, make, phase=phase, group=group)
