"""Processes of this machine, as the kernel knows them (Linux: /proc).

A number alone names no process: numbers are used again. Promises: a process is known by its number, when it was
started and in which boot of the machine; the relatives of a program are found by its session, while that can be
proven to be its own, and by a mark in their environment, wherever they went. Standard library only: the warden
imports it. Must never signal what it has not just identified.
"""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True, slots=True)
class Process:
    """One process, for ever: no other has the same three."""

    pid: int
    started: int  # clock ticks after the machine's start
    boot: str


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    session: int
    started: int


def boot_id() -> str:
    """Of this start of the machine."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Process | None:
    """The process that has this number now; None for none, and for one that only waits to be waited for."""
    stat = _stat(pid)
    return None if stat is None or stat.state in "ZX" else Process(pid, stat.started, boot_id())


def is_alive(process: Process) -> bool:
    """Whether it still runs."""
    return identify(process.pid) == process


def relatives(mark: str, leader: Process | None) -> list[int]:
    """All that run with this mark (`NAME=value`) in their environment, or in the session that `leader` still leads.

    A leader that has ended still leads while nobody has waited for it: its number cannot be used again.
    """
    stat = None if leader is None else _stat(leader.pid)
    session = leader.pid if leader and stat and stat.started == leader.started and leader.boot == boot_id() else None
    wanted, own = mark.encode(), os.getpid()
    found = []
    for name in os.listdir(PROC):
        if not name.isdigit() or int(name) == own:
            continue
        seen = _stat(int(name))
        if seen is None or seen.state in "ZX":
            continue
        if (seen.session == session or wanted in _environment(name)) and _is_ours(int(name)):
            found.append(int(name))
    return found


def send(pids: list[int], number: signal.Signals) -> None:
    """A signal to each; those that are gone are passed over."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _is_ours(pid: int) -> bool:
    """Whether we may signal it: what runs as another user (by sudo) cannot be taken down, nor waited for."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _stat(pid: int) -> _Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except _GONE:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return _Stat(state=fields[0], session=int(fields[3]), started=int(fields[19]))


def _environment(name: str) -> list[bytes]:
    try:
        return (PROC / name / "environ").read_bytes().split(b"\0")
    except (*_GONE, PermissionError):
        return []
