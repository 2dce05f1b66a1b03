"""`kipu run`: a workflow on this machine, without a cluster, by the same core and a log in files.

Exit codes: 0 succeeded, 1 failed or nobody knows, 2 wrong usage, a refused spec or nothing done, 3 cancelled, 124 the
workflow's own timeout passed. SIGINT, SIGTERM and SIGHUP cancel; the second one leaves no more time to what runs.

Promises: nothing runs before the whole file was found sound. Must never begin a second run beside one that has not
ended.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from kipu.api import programs
from kipu.api.definition import spec_hash
from kipu.core import requests
from kipu.core.commands import RequestRerun
from kipu.core.errors import KipuError, Problem, TransientError, UserError
from kipu.core.events import Resolution
from kipu.core.evolve import fold
from kipu.core.lifecycle import WorkflowPhase
from kipu.core.state import State
from kipu.eventlog.file import FileLog
from kipu.eventlog.ports import History
from kipu.shell.clock import SystemClock
from kipu.shell.local_attempts import Attempt
from kipu.shell.local_engine import LocalEngine
from kipu.shell.local_runs import LocalRun, Runs

from .commands import note
from .details import printable, some
from .errors import CannotTell
from .progress import TAIL_LINES, Progress
from .workflow_file import Manifest, read
from .workflow_file import load as load_file

CANCELLED, TIMED_OUT = 3, 124
REFRESH_SECONDS = 0.25
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Version = tuple[int, int, int] | None  # of a file; None while it is not there


@dataclass(frozen=True, slots=True)
class _File:
    """FILE as it was read."""

    path: Path
    version: Version
    spec: Mapping[str, object]
    params: Mapping[str, str]  # in place of its own


# Requests that are edits of a Workflow in a cluster, and that no edit of the file stands for here.
AFTER_THE_BEGINNING = (("rerun", "is for a Workflow in a cluster", "leave it out, and give --rerun"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for, beside FILE."""

    resume: bool = False
    rerun_from: Sequence[str] | None = None  # to run again what has ended, and these steps although they have succeeded
    words: Mapping[str, Resolution] = field(default_factory=dict)  # by step: what became of it
    params: Mapping[str, str] = field(default_factory=dict)


def run(path: Path, base: Path, asked: Asked, *, processes_max: int) -> int:
    """The exit code of the run that was begun, or taken up."""
    if sys.platform != "linux":
        raise CannotTell("'kipu run' needs Linux: elsewhere a step cannot be told from its namesakes, nor ended whole")
    try:
        return exit_code(_run(path, base, asked, processes_max))
    except KeyboardInterrupt:
        raise CannotTell("interrupted before it had begun to work") from None
    except TransientError as error:
        raise CannotTell(f"{error}; no step runs any more, and --resume goes on where it was") from error
    except OSError as error:
        raise CannotTell(f"cannot use {base}: {error}") from error


def _run(path: Path, base: Path, asked: Asked, processes_max: int) -> State:
    version = _version(path)  # before it is read: a later edit is seen as one
    source = load_file(path)
    texts = _params(base, source.name, asked)
    manifest = source.judged(texts)
    _check(manifest)
    runs = Runs(base, manifest.name)
    try:
        runs.own()
        chosen = _chosen(runs, path, manifest, texts, asked)
        note(f"images are not run: each step is a process of this machine, in {chosen.workplace}")
        return asyncio.run(_live(chosen, _File(path, version, manifest.spec, texts), asked, processes_max))
    finally:
        runs.release()


def words(texts: Sequence[str]) -> dict[str, Resolution]:
    """Of `--resolve STEP=WORD`, by step. Raises CannotTell."""
    found: dict[str, Resolution] = {}
    for text in texts:
        step, _, word = text.rpartition("=")
        if not step or word not in list(Resolution):
            choices = ", ".join(f"STEP={each}" for each in Resolution)
            raise CannotTell(f"--resolve {printable(text[:100])}: must be one of {choices}")
        found[step] = Resolution(word)
    return found


def load(base: Path, name: str) -> tuple[LocalRun, History]:
    """The newest run of a workflow, and its verified log. Raises CannotTell, CorruptionError."""
    chosen = Runs(base, name).newest()
    history = None if chosen is None else asyncio.run(FileLog(chosen.log).load(chosen.stream))
    if chosen is None or history is None:
        raise CannotTell(f"there is no run of '{name}' in {base}")
    return chosen, history


def exit_code(state: State) -> int:
    """How the run ended, as a number."""
    match state.phase:
        case WorkflowPhase.SUCCEEDED:
            return 0
        case WorkflowPhase.CANCELLED:
            return CANCELLED
        case WorkflowPhase.FAILED:
            return TIMED_OUT if state.end_reason == "TimedOut" else 1
    return 1  # it waits for somebody's word


def _check(manifest: Manifest) -> None:
    problems = list(programs.problems(manifest.definition))
    for key, reason, hint in AFTER_THE_BEGINNING:
        if manifest.spec.get(key):
            problems.append(Problem(path=f"spec.{key}", reason=reason, hint=hint))
    if problems:
        raise UserError(tuple(problems))


def _params(base: Path, name: str | None, asked: Asked) -> Mapping[str, str]:
    """Those of the command line; of a run that goes on, those that it was begun with."""
    goes_on = asked.resume or asked.rerun_from is not None
    newest = Runs(base, name).newest() if goes_on and name is not None else None
    if newest is None:
        return asked.params
    if asked.params and asked.params != newest.params:
        begun = " ".join(f"--param {key}={text}" for key, text in newest.params.items()) or "no --param"
        raise CannotTell(f"run {newest.number} of '{name}' was begun with {begun}: it goes on with no other")
    return newest.params


def _chosen(runs: Runs, path: Path, manifest: Manifest, texts: Mapping[str, str], asked: Asked) -> LocalRun:
    if asked.resume:
        return _resumed(runs, path, manifest, asked)
    if asked.rerun_from is not None:
        return _rerun(runs, path, manifest, asked.rerun_from)
    return _begun(runs, path, manifest, texts)


def _begun(runs: Runs, path: Path, manifest: Manifest, texts: Mapping[str, str]) -> LocalRun:
    newest = runs.newest()
    if newest is not None and not _state(newest).is_terminal:
        raise CannotTell(
            f"run {newest.number} of '{manifest.name}' in {runs.folder} has not ended: "
            f"'kipu run {path} --resume' goes on with it (and Ctrl-C then cancels it)"
        )
    return runs.begin(manifest.spec, Path.cwd(), template=manifest.template, params=texts)


def _resumed(runs: Runs, path: Path, manifest: Manifest, asked: Asked) -> LocalRun:
    newest = runs.newest()
    if newest is None:
        raise CannotTell(f"there is no run of '{manifest.name}' in {runs.folder}: begin one without --resume")
    if asked.words:
        unknown = _unknown(_state(newest))
        for step in asked.words:
            if step not in unknown:
                waiting = some(unknown) if unknown else "none"
                raise CannotTell(
                    f"--resolve {printable(step)}: no such step waits for a word; those that do: {waiting}"
                )
    if newest.spec_hash != spec_hash(manifest.spec):
        note(f"{path} was edited since: run {newest.number} goes on as it was begun")
    return newest


def _rerun(runs: Runs, path: Path, manifest: Manifest, from_: Sequence[str]) -> LocalRun:
    newest = runs.newest()
    if newest is None:
        raise CannotTell(f"there is no run of '{manifest.name}' in {runs.folder}: begin one without --rerun")
    state = _state(newest)
    if not state.is_terminal:
        raise CannotTell(
            f"run {newest.number} of '{manifest.name}' has not ended: 'kipu run {path} --resume' goes on with it"
        )
    if newest.spec_hash != spec_hash(manifest.spec) or newest.template != manifest.template:
        raise CannotTell(
            f"{path} was edited since run {newest.number} was begun, and --rerun runs again what was begun: "
            f"undo the edit, or begin another run by 'kipu run {path}'"
        )
    fault = requests.rerun_fault(state, RequestRerun(number=state.run + 1, from_=tuple(from_)))
    if fault:
        raise CannotTell(printable(re.sub(r"^spec\.rerun\.from\[\d+\]", "--from", fault)))
    return newest


def _state(chosen: LocalRun) -> State:
    history = asyncio.run(FileLog(chosen.log).load(chosen.stream))
    return fold((record.event, record.ts) for record in history.records) if history else State()


def _unknown(state: State) -> list[str]:
    """The steps of which nobody knows whether they have done their work."""
    return [state.name(place) for place in state.unknown]


async def _live(chosen: LocalRun, file: _File, asked: Asked, processes_max: int) -> State:
    clock = SystemClock()

    def tail(job: str) -> tuple[str, Sequence[str]]:
        attempt = Attempt(chosen.attempts / job)
        return str(attempt.log), attempt.tail(TAIL_LINES)

    with Progress(Console(), tail=tail) as progress:
        engine = LocalEngine(
            chosen,
            FileLog(chosen.log),
            clock,
            writer=f"kipu-run-{socket.gethostname()}-{os.getpid()}",
            processes_max=processes_max,
            show=progress.show,
            spec=file.spec,
            words=asked.words,
            rerun_from=asked.rerun_from,
        )
        _listen(engine, progress)
        looking = asyncio.get_running_loop().create_task(_look(file, engine, progress, clock))
        try:
            state = await engine.run()
        finally:
            looking.cancel()
    for step in _unknown(state):
        note(
            f"nobody knows whether step '{step}' has done its work. Find out, then: "
            f"'kipu run {file.path} --resume --resolve {step}=Succeed' (or Fail, or Retry)"
        )
    again = f" (rerun {state.run})" if state.run > 1 else ""
    click.echo(f"{state.phase}: run {chosen.number}{again}, log and outputs in {chosen.folder}")
    return state


def _listen(engine: LocalEngine, progress: Progress) -> None:
    def cancel() -> None:
        progress.note("cancelling; once more to kill at once")
        engine.cancel()

    for number in SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            continue  # as 'nohup' asks for it
        asyncio.get_running_loop().add_signal_handler(number, cancel)


async def _look(file: _File, engine: LocalEngine, progress: Progress, clock: SystemClock) -> None:
    """Draw what changes by time alone, and hear what is asked of the run by an edit of its file."""
    seen = file.version
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        progress.refresh(clock.now())
        version = _version(file.path)
        if version != seen:
            seen = version
            try:
                engine.ask(read(file.path, file.params).spec)
            except KipuError as error:
                progress.note(f"the edited {file.path} is passed over: {error}")


def _version(path: Path) -> Version:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
