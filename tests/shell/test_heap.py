"""What a burst has left behind in the heap goes back to the machine."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

import pytest

from kipu.shell import heap

PIECE_BYTES, COUNT = 2_000, 20_000  # 38 MiB, each piece beyond what Python's own allocator takes
FREED_BYTES_MIN = 20 * 2**20
KEPT_EVERY = 200  # those hold what lies below them


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="a C library without malloc_trim")
@pytest.mark.looptime
async def test_what_is_free_between_what_lives_is_given_back_within_a_minute() -> None:
    burst = [bytearray(PIECE_BYTES) for _ in range(COUNT)]
    kept = burst[::KEPT_EVERY]
    del burst
    before = resident_bytes()
    tending = asyncio.create_task(heap.tend())
    await asyncio.sleep(heap.PAUSE_SECONDS + 1)
    tending.cancel()
    assert before - resident_bytes() > FREED_BYTES_MIN
    assert len(kept) == COUNT // KEPT_EVERY
