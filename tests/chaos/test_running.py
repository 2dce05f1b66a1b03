"""The proxy in its thread: it can be spoken to from outside, and leaves nothing behind."""

from __future__ import annotations

import socket

import pytest

from e2e.chaos.faults import Faults
from e2e.chaos.proxy import Proxy
from e2e.chaos.running import RunningProxy
from e2e.chaos.traps import Moment

from .world import LOOPBACK


def proxy() -> Proxy:
    return Proxy(f"http://{LOOPBACK}:1", Faults(1, is_calm=True))


def test_after_its_end_its_port_is_free() -> None:
    with RunningProxy(proxy(), LOOPBACK, 0) as running:
        trap = running.arm(LOOPBACK, 1, Moment.BEFORE)
        running.release(trap)
        assert running.bury(LOOPBACK).life == 0
        assert running.seen() == ([], {})
        address = LOOPBACK, running.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 5)


def test_a_port_that_is_taken_is_said_so() -> None:
    with RunningProxy(proxy(), LOOPBACK, 0) as first, pytest.raises(OSError, match="in use"):
        RunningProxy(proxy(), LOOPBACK, first.port).__enter__()
