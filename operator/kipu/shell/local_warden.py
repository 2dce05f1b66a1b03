"""The warden: a small process of its own around the one program of one attempt.

It outlives the engine. It claims the attempt, lets the program begin, waits for its end, takes down whatever the
program left running, and writes the end down; the next engine finds it. SIGTERM asks it to take the program down
(TERM to all of it, KILL after the grace), any number of times; SIGUSR1, to wait no longer for the KILL. Where the plan
says `isHeld`, the program begins only at SIGUSR2, as the Job of an External step is born suspended.

Promises: the program begins only after the claim that names it is on the disk, and so once at most; the end is
written only when nothing of the program is left. Standard library only, and quick to start: there is one an attempt.
Must never decide anything, nor outlive the program for more than it takes to write the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .local_attempts import Attempt, Claim, End
from .local_processes import Process, identify, relatives, send

STOP, HURRY = signal.SIGTERM, signal.SIGUSR1
RELEASE = signal.SIGUSR2
HEARD = (signal.SIGCHLD, STOP, HURRY)
MUTED = (signal.SIGINT, signal.SIGHUP)  # of a terminal: they are for the engine
# A program would inherit what is ignored: the first two by Python, the others by nohup, or a shell in the background.
RESET = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
LOOK_AGAIN_SECONDS = 0.02  # at what is being killed
NOTHING_TO_WAIT_FOR_SECONDS = 3600.0
CANNOT_RUN, NOT_FOUND = 126, 127  # exit codes, as a shell gives them


def main(folder: str) -> int:
    """Run the attempt in this folder; the program comes as JSON on standard input."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (*HEARD, RELEASE, *MUTED))
    attempt, plan = Attempt(Path(folder)), json.load(sys.stdin)
    child = _Child(plan, attempt)
    process, warden = identify(child.pid), identify(os.getpid())
    claim = Claim(intent=plan["intent"], warden=warden, program=process, started_at=_now())
    first = attempt.make_claim(claim)
    os.close(1)  # the engine hears: whoever was first, the claim is there
    if not first or process is None:
        child.forget()
        return 0
    if plan["isHeld"] and not _released(child.pid):
        child.forget()
        _write(attempt, End(is_stopped=True, started_at=claim.started_at, finished_at=_now()))
        return 0
    child.begin()
    is_stopped = _wait(child.pid, process, plan["mark"], plan["graceSeconds"])
    _sweep(process, plan["mark"])
    end = child.end(claim.started_at, is_stopped=is_stopped)
    _write(attempt, end)
    return 0


class _Child:
    """The program's process: forked, and held back until it is known on the disk."""

    def __init__(self, plan: dict[str, Any], attempt: Attempt) -> None:
        begin, self._begin = os.pipe()
        self._fault, fault = os.pipe()
        log = os.open(attempt.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._program = plan["arguments"][0]
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._begin)
            _become(plan, begin, fault, log)
        for descriptor in (begin, fault, log):
            os.close(descriptor)

    def begin(self) -> None:
        """Let it go."""
        with contextlib.suppress(BrokenPipeError):  # it was killed already, and that is its end
            os.write(self._begin, b"!")

    def forget(self) -> None:
        """It never begins."""
        os.close(self._begin)
        os.waitpid(self.pid, 0)

    def end(self, started_at: int, *, is_stopped: bool) -> End:
        """Wait for it, once it has ended."""
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        fault = os.read(self._fault, 1024).decode(errors="replace")
        return End(
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            error=f"cannot run '{self._program}': {fault}" if fault else "",
            is_stopped=is_stopped,
            started_at=started_at,
            finished_at=_now(),
        )


def _become(plan: dict[str, Any], begin: int, fault: int, log: int) -> None:
    """In the child: wait, then become the program. Never returns."""
    code = CANNOT_RUN
    try:
        os.setsid()
        os.dup2(log, 1)  # at once: the engine hears the claim when nobody holds what was there any more
        os.dup2(log, 2)
        if os.read(begin, 1):
            for number in RESET:
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.chdir(plan["folder"])
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.execvpe(plan["arguments"][0], plan["arguments"], plan["environment"])
    except OSError as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
        os.write(fault, f"{error.strerror}: {error.filename}".encode())
    except ValueError as error:  # such as a NUL in an argument
        os.write(fault, str(error).encode())
    finally:
        os._exit(code)


def _released(pid: int) -> bool:
    """Whether the program is to begin, once somebody has said so. One that was killed meanwhile has ended."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        heard = signal.sigwaitinfo((*HEARD, RELEASE)).si_signo
        if heard != signal.SIGCHLD:
            return heard == RELEASE
    return True


def _wait(pid: int, process: Process, mark: str, grace_seconds: float) -> bool:
    """Until the program has ended, which nobody has waited for yet; whether it was told to."""
    kill_at: float | None = None  # once it was told to stop
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        wait = NOTHING_TO_WAIT_FOR_SECONDS if kill_at is None else max(0.0, kill_at - time.monotonic())
        heard = signal.sigtimedwait(HEARD, wait)
        number = None if heard is None else heard.si_signo
        if number == STOP and kill_at is None:
            kill_at = time.monotonic() + grace_seconds
            send([pid, *relatives(mark, process)], signal.SIGTERM)
        elif number == HURRY:
            kill_at = time.monotonic()
        elif number is None and kill_at is not None:
            send([pid, *relatives(mark, process)], signal.SIGKILL)
            kill_at = time.monotonic() + LOOK_AGAIN_SECONDS
    return kill_at is not None


def _sweep(process: Process, mark: str) -> None:
    """Kill what the program left running, as the end of a container does."""
    while left := relatives(mark, process):
        send(left, signal.SIGKILL)
        signal.sigtimedwait((signal.SIGCHLD,), LOOK_AGAIN_SECONDS)


def _write(attempt: Attempt, end: End) -> None:
    """Until it is on the disk: an end that is lost means a step that runs again."""
    while True:
        try:
            attempt.write_end(end)
        except OSError as error:
            print(f"kipu: cannot write how the step has ended: {error}", file=sys.stderr, flush=True)
            if signal.sigtimedwait((STOP,), 1.0) is not None:
                return
        else:
            return


def _now() -> int:
    return time.time_ns() // 1_000_000
