from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from kipu.cli.ui.files import Files
from kipu.cli.ui.guard import Guard
from kipu.cli.ui.serving import listen
from tests.cli.ui import histories
from tests.cli.ui.served import Served


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run, as a file."""
    file = tmp_path_factory.mktemp("exports") / "small.jsonl"
    file.write_bytes(histories.small().play().export())
    return file


@pytest.fixture
async def served(export: Path) -> AsyncIterator[Served]:
    """The server over that file, on a real socket."""
    guard, source = Guard(), Files([export])
    runner = await listen(source, guard, 0)
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        yield Served(client, guard, source, runner)
    source.feed.close()
    await runner.cleanup()
