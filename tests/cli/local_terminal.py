"""`kipu run` as the tests of the command meet it: in their own process, or as one of its own for signals."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kipu.cli.main import main
from tests.cli.terminal import Outcome, Terminal

EXAMPLES = Path(__file__).parents[2] / "examples"
ASKS = "    - {name: ask, approval: {message: go on}}\n    - {name: a, dependsOn: [ask], script: 'true'}\n"


class OwnThread(Terminal):
    """Signals are heard in a process's first thread alone, and so this command runs nowhere else."""

    def kipu(self, *arguments: str, stdin: bytes = b"") -> Outcome:
        if arguments[0] != "run":
            return super().kipu(*arguments, stdin=stdin)
        with pytest.raises(SystemExit) as end:
            main(arguments)
        printed = self._capture.readouterr()
        assert isinstance(end.value.code, int)
        return Outcome(end.value.code, printed.out, printed.err)


def workflow(here: Path, steps: str, spec: str = "") -> Path:
    file = here / "workflow.yaml"
    head = (
        "apiVersion: kipu.dev/v1alpha1\nkind: Workflow\nmetadata: {name: nightly}\nspec:\n  defaults: {image: unused}\n"
    )
    file.write_text(f"{head}{spec}  steps:\n{steps}")
    return file


def hear_all() -> None:
    """The tests themselves may run where a terminal's signals are ignored, as in the background of a shell."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Process:
    """`kipu run` as a process of its own, for signals."""

    def __init__(self, here: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "kipu.cli.main", "run", *arguments]
        self._process = subprocess.Popen(
            command,
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=hear_all,
        )
        self._heard = ""

    def hears(self, text: str) -> None:
        """Wait until it has said this."""
        assert self._process.stdout is not None
        while text not in self._heard:
            line = self._process.stdout.readline()
            assert line, self._heard
            self._heard += line

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        rest, _ = self._process.communicate(timeout=60)
        return self._process.returncode, self._heard + rest
