"""Effects to processes of this machine: starts the wardens, listens to them, takes attempts down.

Promises: every effect may be performed any number of times, also by a later engine: an attempt that has a claim is
never started again, a warden that still runs is taken up, an end that was written counts. An attempt is only called
gone when nothing of it runs or can ever begin. Must never decide: what it finds goes back as a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kipu.api import outputs
from kipu.api.programs import Program
from kipu.core.commands import AttemptRef, Command, ObserveGone, ObserveOutcome, ObserveRefused, ObserveStarted
from kipu.core.definition import Output
from kipu.core.events import Reason

from .local_attempts import Attempt, Claim, End
from .local_processes import Process, boot_id, identify, is_alive, relatives, send
from .local_warden import HURRY, RELEASE, STOP

SOURCE = Path(__file__).parents[2]  # the folder that holds the package `kipu`
# Deaf to PYTHON* of the user and to modules that lie where steps run; without `site`, since it starts once an attempt.
ISOLATED = ("-I", "-S")
WARDEN = "import sys; sys.path.insert(0, sys.argv[1]); from kipu.shell.local_warden import main; main(sys.argv[2])"
STARTS_MAX = 5  # of a warden that ends before it has claimed its attempt (no memory, a full disk)
BACKOFF_SECONDS = 0.5  # between them, times their number: 5 s in all
LATE_SECONDS = 10.0  # after the grace a warden that does not end is itself killed
TAIL_LINES = 80  # as many as a kubelet reads; the record takes what it has room for
LOOK_AGAIN_SECONDS = 0.02  # at processes that are being killed


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One attempt as it is to run, or to run no more."""

    ref: AttemptRef
    job: str
    intent: str
    program: Program
    declared: Sequence[Output] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)  # in a workspace: what it reads, and the jobs that left it
    keeps_files: bool = False
    is_external: bool = False  # its program begins only once it is released


class LocalPerformer:
    """Of one engine; at most one `ensure` and one `ensure_none` of an attempt at a time."""

    def __init__(self, folder: Path, *, workplace: Path, tell: Callable[[Command], None]) -> None:
        self._folder = folder
        self._workplace = workplace  # where steps run that name no folder
        self._tell = tell
        self._leaving: dict[str, Process] = {}  # by job: the wardens that were told to take their program down
        self._hurried = False
        self._reaping: dict[str, asyncio.Task[None]] = {}  # by job: the wardens that are our children

    def attempt(self, job: str) -> Attempt:
        """The folder of this attempt."""
        return Attempt(self._folder / job)

    def claims(self) -> Mapping[str, Claim]:
        """All that were ever made, by job."""
        names = sorted(os.listdir(self._folder)) if self._folder.is_dir() else []
        return {name: claim for name in names if (claim := self.attempt(name).claim()) is not None}

    # -- an attempt is to run ----------------------------------------------------------------------------

    async def ensure(self, order: Order) -> None:
        """Until the attempt has ended, one way or another."""
        attempt, starts = self.attempt(order.job), 0
        while True:
            if (end := attempt.end()) is not None:
                self._tell(_with_promised(_outcome(order, attempt.claim(), end), order, attempt))
                return
            claim = attempt.claim()
            if claim is None:
                if starts == STARTS_MAX:
                    self._tell(_never_started(order, attempt))
                    return
                await asyncio.sleep(BACKOFF_SECONDS * starts)
                starts += 1
                await self._start(order, attempt)
            elif claim.warden is None:
                return  # it was given up
            elif is_alive(claim.warden):
                self._tell(_started(order, claim))
                await _ended(claim.warden)
            elif attempt.end() is None:  # looked at again, now that nobody can write it any more
                await _sweep(_mark(order), claim.program)
                self._tell(_lost(order, claim))
                return

    async def _start(self, order: Order, attempt: Attempt) -> None:
        """Start a warden, and wait until it has claimed the attempt, or found it claimed, or failed."""
        warden = self._spawn(order, attempt)
        # Not a task of whoever wants the attempt to run: it goes on when that is cancelled.
        self._reaping[order.job] = asyncio.get_running_loop().create_task(_reap(warden))
        assert warden.stdout is not None
        with warden.stdout as claimed:
            await _readable(claimed.fileno())

    def _spawn(self, order: Order, attempt: Attempt) -> subprocess.Popen[bytes]:
        attempt.prepare()
        attempt.show(order.inputs)
        ours = {"KIPU_OUTPUT": str(attempt.outputs), "KIPU_STAGING": str(attempt.staging), "KIPU_POD_UID": order.job}
        ours |= {"KIPU_INPUTS": str(attempt.inputs)} if order.inputs else {}
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("KIPU_")}
        plan = {
            "intent": order.intent,
            "mark": _mark(order),
            "isHeld": order.is_external,
            "graceSeconds": order.program.grace_seconds,
            "arguments": order.program.arguments,
            "environment": {**theirs, **order.program.environment, **ours},
            "folder": str(self._workplace / (order.program.folder or "")),
        }
        # By a file and not by a pipe: nobody waits for it, and an engine that is killed leaves no half of it.
        with tempfile.TemporaryFile() as given, attempt.log.open("ab") as log:
            given.write(json.dumps(plan).encode())
            given.seek(0)
            return subprocess.Popen(
                [sys.executable, *ISOLATED, "-c", WARDEN, str(SOURCE), str(attempt.folder)],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def release(self, order: Order, job_uid: str) -> None:
        """Let the program begin that is held back by just this warden; the second time nothing happens."""
        claim = self.attempt(order.job).claim()
        if claim is not None and claim.warden is not None and _uid(claim) == job_uid:
            _signal(claim.warden, RELEASE)

    # -- an attempt is to run no more --------------------------------------------------------------------

    async def ensure_none(self, order: Order) -> None:
        """Until nothing of the attempt runs, nor ever will."""
        attempt = self.attempt(order.job)
        attempt.prepare()
        attempt.make_claim(Claim(intent=order.intent))  # whoever comes later finds it taken
        claim = attempt.claim()
        if claim is not None and claim.warden is not None:
            await self._take_down(order, claim.warden)
            await _sweep(_mark(order), claim.program)
        self._tell(ObserveGone(ref=order.ref))

    async def _take_down(self, order: Order, warden: Process) -> None:
        """Tell the warden, and wait for it; one that does not listen is killed."""
        self._leaving[order.job] = warden
        _signal(warden, STOP)
        if self._hurried:
            _signal(warden, HURRY)
        try:
            await asyncio.wait_for(_ended(warden), order.program.grace_seconds + LATE_SECONDS)
        except TimeoutError:
            _signal(warden, signal.SIGKILL)
        finally:
            self._leaving.pop(order.job, None)

    def hurry(self) -> None:
        """Leave no more time to what is being taken down."""
        self._hurried = True
        for warden in self._leaving.values():
            _signal(warden, HURRY)

    async def leave(self, order: Order) -> None:
        """Take an attempt down without giving it up: another engine may find how it ended, and try again."""
        attempt = self.attempt(order.job)
        while (claim := attempt.claim()) is None:
            starting = self._reaping.get(order.job)
            if starting is None or starting.done():
                return  # it has not begun, and nobody is about to begin it
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        if claim.warden is not None:
            await self._take_down(order, claim.warden)
            await _sweep(_mark(order), claim.program)

    async def close(self) -> None:
        """Wait for the wardens that are our children, so that none stays behind as a zombie."""
        if self._reaping:
            await asyncio.wait(self._reaping.values())


# -- what is found ---------------------------------------------------------------------------------------------


def _started(order: Order, claim: Claim) -> ObserveStarted:
    return ObserveStarted(ref=order.ref, job_uid=_uid(claim), started_at=claim.started_at, is_awaited=order.is_external)


def _outcome(order: Order, claim: Claim | None, end: End) -> ObserveOutcome:
    code = end.exit_code if end.signal is None else 128 + end.signal  # as the kubelet shows it
    reason: Reason | None
    if end.is_stopped:
        reason, message = Reason.DISRUPTED, "it was taken down together with the 'kipu run' that ran it"
    elif end.signal is not None:
        # No exit code, and so not the word of a program that changes the world outside.
        reason = Reason.LOST if order.is_external else Reason.EXIT_CODE
        message = f"killed by signal {end.signal} ({_signal_name(end.signal)})"
    elif code or end.error:
        reason, message = Reason.EXIT_CODE, end.error or f"exit code {code}"
    else:
        reason, message = None, ""
    return ObserveOutcome(
        ref=order.ref,
        job_uid=_uid(claim),
        reason=reason,
        message=message,
        exit_code=code,
        started_at=end.started_at,
        finished_at=end.finished_at,
    )


def _with_promised(seen: ObserveOutcome, order: Order, attempt: Attempt) -> ObserveOutcome:
    """A success is one only with what it was to write, by the rules of a pod of one container; a failure has a tail."""
    if seen.reason is None and order.keeps_files:
        seen = replace(seen, pod_uid=order.job)
    if seen.reason is not None:
        return replace(seen, log_tail="\n".join(attempt.tail(TAIL_LINES)))
    if not order.declared:
        return seen
    try:
        return replace(seen, outputs=outputs.read(attempt.written(outputs.CONTAINER_BYTES_MAX), order.declared))
    except outputs.OutputError as error:
        return replace(seen, reason=error.reason, message=str(error))


def _lost(order: Order, claim: Claim) -> ObserveOutcome:
    assert claim.warden is not None
    if claim.warden.boot != boot_id():
        reason, message = Reason.DISRUPTED, "the machine was started anew while it ran"
    else:
        reason, message = Reason.LOST, "the process that watched it was killed; what was left of it is gone"
    return ObserveOutcome(
        ref=order.ref, job_uid=_uid(claim), reason=reason, message=message, started_at=claim.started_at
    )


def _never_started(order: Order, attempt: Attempt) -> ObserveRefused:
    said = "; ".join(attempt.tail(1))
    message = f"its process could not be started in {STARTS_MAX} tries: {said}"
    return ObserveRefused(ref=order.ref, reason=Reason.INVALID_JOB, message=message)


def _uid(claim: Claim | None) -> str:
    """What tells this process from all others, also after the machine's next start."""
    warden = claim.warden if claim else None
    return f"{warden.boot}-{warden.pid}-{warden.started}" if warden else "none"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "real-time"


def _mark(order: Order) -> str:
    return f"KIPU_POD_UID={order.job}"


# -- processes -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(process: Process) -> Iterator[int | None]:
    """A descriptor of just this process, whose number may be used again; None once it has ended."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if identify(process.pid) == process else None
    finally:
        os.close(descriptor)


def _signal(process: Process, number: signal.Signals) -> None:
    """To just this process, if it still runs."""
    with _held(process) as descriptor, contextlib.suppress(ProcessLookupError):
        if descriptor is not None:
            signal.pidfd_send_signal(descriptor, number)


async def _ended(process: Process) -> None:
    """Until the process has ended."""
    with _held(process) as descriptor:
        if descriptor is not None:
            await _readable(descriptor)


async def _reap(warden: subprocess.Popen[bytes]) -> None:
    """Wait for a child, so that it is gone for good."""
    descriptor = os.pidfd_open(warden.pid)  # our child: its number is kept for us
    try:
        await _readable(descriptor)
    finally:
        os.close(descriptor)
        warden.poll()


async def _sweep(mark: str, leader: Process | None) -> None:
    """Kill what has lost its warden, until nothing is left."""
    while left := relatives(mark, leader):
        send(left, signal.SIGKILL)
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def heard() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, heard)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
