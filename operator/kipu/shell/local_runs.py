"""Where runs without a cluster lie: one folder a workflow, one in it a run.

    <base>/<workflow>/lock               held by the one `kipu run` that may work here
    <base>/<workflow>/<number>/run.json  which workflow this is, and what it was begun with: written once
                               log/      the event log            attempts/<job>/   see local_attempts

Promises: a run is there once its `run.json` is, whole and on the disk; the newest run is the one with the highest
number. Must never look into the log: whether a run has ended, only that can say.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kipu.api import definition as specs
from kipu.api import reuse
from kipu.core.definition import Definition
from kipu.core.errors import CorruptionError, KipuError
from kipu.eventlog.disk import sync, write_draft
from kipu.eventlog.ports import StreamId

FORMAT = "kipu-run/v1"
NAMESPACE = "local"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class Busy(KipuError):
    """Another process works on this workflow here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """One run: its identity, its spec, and its places."""

    folder: Path
    stream: StreamId
    spec: Mapping[str, object]
    workplace: Path  # where it was begun: steps that name no folder run there
    template: Mapping[str, object] | None = None  # the spec of the one that `spec` names, as it was then
    params: Mapping[str, str] = field(default_factory=dict)  # those of `spec` that came from the command line, as texts

    @property
    def number(self) -> int:
        """Which run of this workflow it is here, from 1."""
        return int(self.folder.name)

    @property
    def spec_hash(self) -> str:
        """What seeds the log."""
        return specs.spec_hash(self.spec)

    def definition(self) -> Definition:
        """What it is to do. Raises UserError."""
        whole = reuse.template_name(self.spec) is None
        return specs.parse(self.spec) if whole else reuse.resolve(self.spec, self.template)

    @property
    def log(self) -> Path:
        """The root of its file log."""
        return self.folder / "log"

    @property
    def attempts(self) -> Path:
        """The folder of its attempts' folders."""
        return self.folder / "attempts"


class Runs:
    """The runs of one workflow under a base folder."""

    def __init__(self, base: Path, workflow: str) -> None:
        self.folder = base / workflow
        self._base = base
        self._workflow = workflow
        self._lock: int | None = None

    def own(self) -> None:
        """Let nobody else work here until this process ends. Raises Busy, OSError."""
        if not self._base.exists():
            self._base.mkdir(parents=True)
            (self._base / ".gitignore").write_text("*\n")
            sync(self._base.parent)
        self.folder.mkdir(exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise Busy(f"another 'kipu run' (process {holder}) works on '{self._workflow}' in {self.folder}") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor

    def release(self) -> None:
        """Let others work here."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def newest(self) -> LocalRun | None:
        """The run with the highest number. Raises CorruptionError, OSError."""
        numbers = self._numbers()
        return _read(self.folder / str(numbers[-1]), self._workflow) if numbers else None

    def begin(
        self,
        spec: Mapping[str, object],
        workplace: Path,
        *,
        template: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> LocalRun:
        """Another run, with nothing in its log yet."""
        numbers = self._numbers()
        folder = self.folder / str(numbers[-1] + 1 if numbers else 1)
        stream = StreamId(namespace=NAMESPACE, name=self._workflow, uid=str(uuid.uuid4()))
        run = LocalRun(
            folder=folder, stream=stream, spec=spec, workplace=workplace, template=template, params=params or {}
        )
        folder.mkdir(exist_ok=True)  # left by one that was killed before it had begun
        write_draft(folder / ".run.json", _metadata(run), indent=1).replace(folder / "run.json")
        for changed in (folder, self.folder, self._base):
            sync(changed)
        return run

    def _numbers(self) -> list[int]:
        if not self.folder.is_dir():
            return []
        names = [name for name in os.listdir(self.folder) if _NUMBER.fullmatch(name)]
        return sorted(int(name) for name in names if (self.folder / name / "run.json").exists())


def _metadata(run: LocalRun) -> dict[str, object]:
    optional = {"template": run.template, "params": run.params}
    return {
        "format": FORMAT,
        "name": run.stream.name,
        "uid": run.stream.uid,
        "spec": run.spec,
        "specHash": run.spec_hash,
        "workplace": str(run.workplace),
        **{key: value for key, value in optional.items() if value},
    }


def _read(folder: Path, workflow: str) -> LocalRun:
    path = folder / "run.json"
    try:
        raw = json.loads(path.read_text())
        stream = StreamId(namespace=NAMESPACE, name=raw["name"], uid=raw["uid"])
        run = LocalRun(
            folder=folder,
            stream=stream,
            spec=raw["spec"],
            workplace=Path(raw["workplace"]),
            template=raw.get("template"),
            params=raw.get("params", {}),
        )
        sound = (raw["format"], raw["name"], raw["specHash"]) == (FORMAT, workflow, run.spec_hash)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionError(f"{path} is not what was written: {error!r}") from error
    if not sound:
        raise CorruptionError(f"{path} is not what was written: its format, name or hash differs")
    return run
