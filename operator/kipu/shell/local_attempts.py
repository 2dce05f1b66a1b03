"""The folder of one attempt: who may run it, and how it ended.

    claim        made once, by whoever comes first: the warden that runs the attempt, or the engine that gives it up
    end          how the program ended, written by the warden when nothing of it is left
    output.log   what the program printed      outputs, staging/   what it is to be given (KIPU_OUTPUT, KIPU_STAGING)
    inputs/      links to the staging/ of attempts that have succeeded (KIPU_INPUTS)

Promises: a claim is made at most once and is never changed, whoever was killed at which moment; both files are there
whole or not at all, and on the disk before anybody acts on them. Standard library only: the warden imports it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kipu.eventlog.disk import sync, write_draft

from .local_processes import Process

TAIL_BYTES = 16 * 1024  # of the output that is looked at for its last lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who runs the attempt. `warden` None: nobody, ever: it was given up before it had begun."""

    intent: str = ""  # "position:hash" of the record that asked for it
    warden: Process | None = None
    program: Process | None = None
    started_at: int = 0  # epoch milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How the program ended: by itself with a code, by a signal, or not at all, since it could not be started."""

    exit_code: int | None = None
    signal: int | None = None
    error: str = ""
    is_stopped: bool = False  # the warden was told to take it down
    started_at: int = 0
    finished_at: int = 0


class Attempt:
    """The folder, and what lies in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "output.log"
        self.outputs = folder / "outputs"
        self.staging = folder / "staging"
        self.inputs = folder / "inputs"

    def prepare(self) -> None:
        """Make the folder, for a claim that must outlast a loss of power."""
        if self.outputs.exists():
            return
        self.staging.mkdir(parents=True, exist_ok=True)
        for holder in (self.folder.parent, self.folder.parent.parent):
            sync(holder)
        self.outputs.touch()

    def show(self, jobs: Mapping[str, str]) -> None:
        """Let the program find, below `inputs` by these names, what these attempts have left in `staging`."""
        for name, job in jobs.items():
            link = self.inputs / name
            link.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):  # an earlier start of the same attempt has come so far
                link.symlink_to(self.folder.parent.resolve() / job / self.staging.name)

    def claim(self) -> Claim | None:
        """Who runs it, if anybody does."""
        raw = _read(self.folder / "claim")
        if raw is None:
            return None
        warden, program = raw.pop("warden"), raw.pop("program")
        return Claim(
            warden=None if warden is None else Process(**warden),
            program=None if program is None else Process(**program),
            **raw,
        )

    def make_claim(self, claim: Claim) -> bool:
        """Whether this claim is the first."""
        draft = write_draft(self.folder / f".claim.{os.getpid()}", asdict(claim))
        try:
            os.link(draft, self.folder / "claim")
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        sync(self.folder)
        return True

    def end(self) -> End | None:
        """How it ended, if it has."""
        raw = _read(self.folder / "end")
        return None if raw is None else End(**raw)

    def write_end(self, end: End) -> None:
        """Once, by the warden."""
        write_draft(self.folder / ".end", asdict(end)).replace(self.folder / "end")
        sync(self.folder)

    def written(self, bytes_max: int) -> str:
        """The last bytes of what the program wrote to $KIPU_OUTPUT, as a kubelet reads them."""
        with self.outputs.open("rb") as file:
            file.seek(max(0, self.outputs.stat().st_size - bytes_max))
            return file.read(bytes_max).decode(errors="replace")

    def tail(self, lines: int) -> list[str]:
        """The last lines that the program printed."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
                return file.read().decode(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            return []


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found
