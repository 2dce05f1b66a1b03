"""`kipu` as a person meets it: arguments in; exit code, stdout and stderr out. No process is started."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from kipu.cli.main import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Terminal:
    def __init__(self, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._monkeypatch = monkeypatch
        self.is_a_tty = False  # where somebody could be asked

    def kipu(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        typed = io.TextIOWrapper(io.BytesIO(stdin))
        self._monkeypatch.setattr(typed, "isatty", lambda: self.is_a_tty)
        self._monkeypatch.setattr("sys.stdin", typed)
        # In a thread: `main` brings a loop of its own, and pytest's thread has one.
        with ThreadPoolExecutor(1) as thread, pytest.raises(SystemExit) as end:
            thread.submit(main, arguments).result()
        printed = self._capture.readouterr()
        code = end.value.code
        assert isinstance(code, int)
        return Outcome(code, printed.out, printed.err)
