"""The proxy in its thread: it can be spoken to from outside, and leaves nothing behind."""

from __future__ import annotations

import gc
import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.chaos.certificate import issue
from e2e.chaos.faults import Faults
from e2e.chaos.proxy import Proxy
from e2e.chaos.running import RunningProxy
from e2e.chaos.traps import Moment
from tests.authority import make_authority, needs_openssl

from .world import LOOPBACK

Connect = Callable[[tuple[str, int]], socket.socket]


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


def mute(address: tuple[str, int]) -> socket.socket:
    """It never begins to speak TLS."""
    return socket.create_connection(address, 5)


def frozen(address: tuple[str, int]) -> socket.socket:
    """It has spoken, and will not answer a goodbye: its process was stopped."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(address, 5))


@needs_openssl
@pytest.mark.parametrize("connect", [mute, frozen])
def test_a_peer_that_says_nothing_leaves_no_connection_behind(tmp_path: Path, connect: Connect) -> None:
    make_authority(tmp_path)
    tls = issue(tmp_path, tmp_path, [f"IP:{LOOPBACK}"])
    with warnings.catch_warnings(record=True) as left, ExitStack() as end:
        warnings.simplefilter("always", ResourceWarning)
        with RunningProxy(proxy(), LOOPBACK, 0, tls) as running:
            end.enter_context(connect((LOOPBACK, running.port)))  # it outlives the proxy
            running.seen()  # accepted in the turn of the loop before this one
            running.seen()
        gc.collect()
        assert [str(each.message) for each in left] == []
