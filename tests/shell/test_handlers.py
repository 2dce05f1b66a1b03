"""The front as the image runs it: a user id without a name, no home, no KUBECONFIG."""

from __future__ import annotations

import getpass

import pytest

from kipu.shell.handlers import Front


def nameless() -> str:
    raise KeyError("getpwuid(): uid not found: 65532")


def test_the_front_starts_as_a_user_that_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", nameless)
    monkeypatch.delenv("POD_ID", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    front = Front(lambda kind, body: None)
    front.start()
    try:
        assert front._ready.wait(10.0)
    finally:
        front.stop(10.0)
    assert not front.is_alive
