"""Lives of `kipu run`, many and short: a process that has imported all of it, forks one after the other and kills it.

    python -m tests.shell.lives      # requests and answers are lines of JSON

A request names the file, the folder and when to kill: `after_seconds`, or at the n-th step that the life takes to the
disk or to another process (`at`: 2n is before it, 2n + 1 after it). The answer: the exit code, or None if it was
killed, and how many such steps there were.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kipu.cli import running
from kipu.core.errors import KipuError

ROOT = Path(__file__).parents[2]
LIFE_SECONDS_MAX = 30.0
SIGNALS = (signal, "pidfd_send_signal")  # such as the release of a program that is held


class Lives:
    """The process, as a test uses it."""

    def __enter__(self) -> Lives:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.shell.lives"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def live(
        self,
        folder: Path,
        *,
        after_seconds: float = LIFE_SECONDS_MAX,
        at: int | None = None,
        words: Sequence[str] = (),
    ) -> tuple[Any, int]:
        """One life of the workflow in this folder: its exit code or None, and how many steps it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"folder": str(folder), "after_seconds": after_seconds, "at": at, "words": words}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        code, steps = json.loads(self._process.stdout.readline())
        return code, steps


def counted(at: int | None, told: Callable[[int], None]) -> None:
    """Count the steps of this process to the disk and to others, and let it die at one of them."""
    steps = 0

    def wrap(holder: Any, name: str) -> None:
        sound = getattr(holder, name)

        def step(*arguments: Any, **named: Any) -> Any:
            nonlocal steps
            number, steps = steps, steps + 1
            told(steps)
            if at == 2 * number:
                os.kill(os.getpid(), signal.SIGKILL)
            result = sound(*arguments, **named)
            if at == 2 * number + 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(holder, name, step)

    for holder, name in ((os, "write"), (os, "fsync"), (os, "link"), (Path, "replace"), (subprocess, "Popen"), SIGNALS):
        wrap(holder, name)


def life(request: dict[str, Any], counter: int) -> None:
    """In the child: what `kipu run --resume` does, or without it if there is no run yet. Never returns."""
    folder = Path(request["folder"])
    os.chdir(folder)
    output = os.open(folder / "terminal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    resume = any((folder / "runs").glob("*/*/run.json"))
    counted(request["at"], lambda steps: os.truncate(counter, steps) if steps else None)
    code = 99
    try:
        asked = running.Asked(resume=resume, words=running.words(request["words"]))
        code = running.run(folder / "workflow.yaml", folder / "runs", asked, processes_max=4)
    except KipuError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def serve(request: dict[str, Any]) -> tuple[int | None, int]:
    """Begin a life, and end it."""
    counter = os.memfd_create("steps")  # its size is the number of steps: that survives the child's death
    pid = os.fork()
    if pid == 0:
        life(request, counter)
    descriptor = os.pidfd_open(pid)
    ended, _, _ = select.select([descriptor], [], [], request["after_seconds"])
    if not ended:
        os.kill(pid, signal.SIGKILL)
    os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    steps = os.fstat(counter).st_size
    os.close(counter)
    return None if code == -signal.SIGKILL else code, steps


def main() -> None:
    """Until the input ends."""
    if "KIPU_MUTANT" in os.environ:
        import tests.zoo.plugin  # noqa: F401 (it puts the mutant to work here too)
    for line in sys.stdin:
        print(json.dumps(serve(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
