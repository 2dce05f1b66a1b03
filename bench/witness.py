"""What is seen of a run from outside, by the same eyes whoever runs it: the Jobs that come, the pods that succeed.

Promises: the order of the DAG was kept by etcd's own count, and each task ran once, or `seen` raises. Its cost is the
same for each contestant: two watches of metadata, one event for each Job and one for each pod.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from e2e import etcd
from e2e.apiserver import ApiServer, jobs, pods
from e2e.operator_process import cpu_seconds
from e2e.scale import its_coming, server_writes
from e2e.watching import Change, Watch

from . import machine
from .dag import Dag

LATE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """The cluster, and the folder of its programs."""

    api: ApiServer
    state: Path

    def pids(self) -> list[int]:
        """Of the control plane and the nodes."""
        return list(machine.daemons(self.state).values())

    def cpu_seconds(self) -> dict[str, float]:
        """Which each of them has used so far."""
        return {program: cpu_seconds(pid) for program, pid in machine.daemons(self.state).items()}

    def etcd(self) -> str:
        """Where etcd answers."""
        words = Path("/proc", str(machine.daemons(self.state)["etcd"]), "cmdline").read_text().split("\0")
        return words[words.index("--listen-client-urls") + 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Of one run."""

    gaps: Sequence[float]  # seconds from the end of a task's last need to its Job
    server_writes: int  # of everybody
    etcd_puts: int  # of everybody, in this namespace
    etcd_bytes: int
    own_puts: int  # of them, those of what only the contestant writes
    own_bytes: int
    cpu_seconds: Mapping[str, float]  # of each program of the control plane, and of the nodes
    foreign: float  # which part of the machine others had, 0 to 1


class Witness:
    """From `with` on."""

    def __init__(self, place: Place, at: str, selector: str, task_of: Callable[[Change], int], *pids: int) -> None:
        self._place, self._at, self._task_of = place, at, task_of
        self._pids = [*place.pids(), *pids]
        self._made = Watch(place.api, jobs(at), selector, metadata_only=True, keep=its_coming)
        only = "status.phase=Succeeded"
        self._ended = Watch(place.api, pods(at), selector, fields=only, metadata_only=True, keep=its_coming)

    def __enter__(self) -> Witness:
        with ExitStack() as entered:
            for watch in (self._made, self._ended):
                entered.enter_context(watch)
            self._entered = entered.pop_all()
        self._written = server_writes(self._place.api)
        self._revision = etcd.revision(self._place.etcd())
        self._cpu = self._place.cpu_seconds()
        self._begun, self._moment = time.monotonic(), machine.moment(self._pids)
        return self

    def __exit__(self, *error: object) -> None:
        self._entered.__exit__(*error)  # type: ignore[arg-type]

    def counts(self, pid: int) -> None:
        """This process is the contestant's, too: it was started after `with`."""
        self._pids.append(pid)

    def seen(self, dag: Dag, own: Sequence[str]) -> Seen:
        """All since `with`; `own` are the resources that only the contestant writes. Raises AssertionError."""
        foreign = machine.moment(self._pids).foreign_since(self._moment, time.monotonic() - self._begun)
        cpu = {program: used - self._cpu[program] for program, used in self._place.cpu_seconds().items()}
        written = server_writes(self._place.api) - self._written
        made, ended = self._once(self._made, dag, "Jobs"), self._once(self._ended, dag, "ends of pods")
        gaps = []
        for task, needs in enumerate(dag.parents):
            for need in needs:
                assert made[task].version > ended[need].version, f"{self._at}: task {task} began before {need} ended"
            if needs:
                gaps.append(made[task].at - max(ended[need].at for need in needs))
        at = self._place.etcd()
        first, last = self._revision, etcd.revision(at)
        assert first is not None
        assert last is not None
        puts = etcd.puts(self._at, first, last, at)
        return Seen(
            gaps=gaps,
            server_writes=written,
            etcd_puts=puts.count.total(),
            etcd_bytes=puts.size_bytes.total(),
            own_puts=sum(puts.count[each] for each in own),
            own_bytes=sum(puts.size_bytes[each] for each in own),
            cpu_seconds=cpu,
            foreign=foreign,
        )

    def _once(self, watch: Watch, dag: Dag, what: str) -> dict[int, Change]:
        watch.wait_for(lambda told: len(told.history) >= len(dag), LATE_SECONDS, f"{len(dag)} {what}")
        found = {self._task_of(change): change for change in watch.history}
        assert len(found) == len(dag) == len(watch.history), f"{self._at}: {len(watch.history)} {what}, not {len(dag)}"
        return found
