"""The machine beside the figures: who used its cores, what it is, and which programs ran with which flags.

Promises: what is said was read here and now, of /proc and of the programs themselves. Linux only.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from e2e.operator_process import cpu_seconds

TICK = os.sysconf("SC_CLK_TCK")
CORES = len(os.sched_getaffinity(0))
IDLE = (3, 4)  # of the first line of /proc/stat: idle, and waiting for the disk
GUEST = 8  # from here on it is counted twice


@dataclass(frozen=True, slots=True)
class Moment:
    """CPU seconds used so far: by all, and by those whose work is measured."""

    all: float
    ours: float

    def foreign_since(self, before: Moment, seconds: float) -> float:
        """Which part of the machine others had meanwhile, 0 to 1: the kernel's own threads are among them."""
        foreign = (self.all - before.all) - (self.ours - before.ours)
        return max(0.0, foreign) / (seconds * CORES)


def moment(pids: Iterable[int]) -> Moment:
    """Now. Ours are these processes, this one, and its children that have ended."""
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    busy = sum(ticks for index, ticks in enumerate(fields[:GUEST]) if index not in IDLE)
    return Moment(all=busy / TICK, ours=own + sum(map(_cpu_seconds, pids)))


def _cpu_seconds(pid: int) -> float:
    """Nothing of one that has ended."""
    with suppress(OSError):
        return cpu_seconds(pid)
    return 0.0


def daemons(state: Path) -> dict[str, int]:
    """The cluster's programs and their ids."""
    return {file.name: int(file.read_text().split()[0]) for file in sorted((state / "pid").iterdir())}


def flags(pid: int) -> list[str]:
    """What a program was started with, files and addresses aside."""
    words = Path("/proc", str(pid), "cmdline").read_text().split("\0")
    return [word for word in words if word.startswith("-") and "/" not in word]


def itself() -> str:
    """Its cores, memory, kernel and Python, in a line."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{CORES} cores, {gibibytes:.0f} GiB, Linux {platform.release()}, Python {platform.python_version()}"


def load() -> str:
    """Of the last minute, five and fifteen."""
    return " ".join(f"{each:.1f}" for each in os.getloadavg())
