"""Deaths and pauses, one after the other, drawn from a seed: of the operator, of etcd and of the API server.

Promises: the operator dies at a write that the proxy holds, before or after it is carried out, wherever one comes
within TRAP_SECONDS; every deed is counted by what it was; whatever is stopped is resumed, whatever is killed of the
control plane runs again before the next deed.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from e2e.apiserver import JsonObject, wait_until

from .daemons import Daemon
from .patient import PatientApi
from .replicas import Replicas, address
from .running import RunningProxy
from .traps import Moment

TRAP_SECONDS = 15.0  # then it dies where it stands
# Waits of the harness, not of what is judged: long, since other work may share the two cores.
LEADER_SECONDS = 180.0  # until there is one: a fresh pod starts in 5 s on idle cores, a dead one holds the Lease 17 s
CONTROL_SECONDS = 180.0  # until the API server answers again
DOWN_SECONDS = 3.0  # at most, until a killed daemon is started again
PAUSE_SECONDS = (2.0, 14.0)  # of a daemon; around a client's 10 s, below the 50 s after which a node counts as lost
END_SECONDS = 150.0  # of a deleted pod's process: at once, or after its grace of 30 s once the kubelet has heard of it
STOP_SECONDS = (20.0, 28.0)  # of a leader: past its lease of 15 s, below the 30 s of its liveness probe
FEW, SOME, MANY = (1, 8), (8, 40), (40, 160)  # the write at which it dies: in its recovery, soon, and at work


class Deed(StrEnum):
    """What is done to whom."""

    POD_DELETED = "operator pod deleted"
    PROCESS_KILLED = "operator process killed"
    ETCD_KILLED = "etcd killed"
    API_SERVER_KILLED = "API server killed"
    ETCD_PAUSED = "etcd paused"
    API_SERVER_PAUSED = "API server paused"
    LEADER_STOPPED = "leader stopped and resumed"


KILLS = (Deed.POD_DELETED, Deed.PROCESS_KILLED, Deed.ETCD_KILLED, Deed.API_SERVER_KILLED)
SHARES = {  # of 100 deeds
    Deed.POD_DELETED: 42,
    Deed.PROCESS_KILLED: 34,
    Deed.ETCD_KILLED: 7,
    Deed.API_SERVER_KILLED: 5,
    Deed.ETCD_PAUSED: 4,
    Deed.API_SERVER_PAUSED: 4,
    Deed.LEADER_STOPPED: 4,
}


class Killer:
    """One deed at a time, in the caller's thread."""

    def __init__(
        self,
        api: PatientApi,
        proxy: RunningProxy,
        daemons: tuple[Daemon, Daemon],  # etcd and the API server
        seed: int,
        when_back: Callable[[], None] = lambda: None,  # called each time that the control plane answers again
    ) -> None:
        self._api = api
        self._proxy = proxy
        self._etcd, self._api_server = daemons
        self._when_back = when_back
        self._random = random.Random(seed)
        self._replicas = Replicas(api)
        self._killed: set[str] = set()  # uids of pods whose process has died: the kubelet waits before it does it again
        self.counts: Counter[tuple[Deed, str]] = Counter()  # (deed, where: "before write" and so on)
        self.stops_outlasting_the_lease = 0

    @property
    def kills(self) -> int:
        """How many have died so far."""
        return sum(count for (deed, _), count in self.counts.items() if deed in KILLS)

    def strike(self) -> Deed:
        """The next deed."""
        return self.commit(self._random.choices(list(SHARES), weights=list(SHARES.values()))[0])

    def commit(self, deed: Deed) -> Deed:
        """Just this deed; where a process was killed in the same pod before, the pod is deleted instead."""
        match deed:
            case Deed.ETCD_KILLED:
                self._restart(self._etcd)
            case Deed.API_SERVER_KILLED:
                self._restart(self._api_server)
            case Deed.ETCD_PAUSED:
                self._pause(self._etcd)
            case Deed.API_SERVER_PAUSED:
                self._pause(self._api_server)
            case Deed.LEADER_STOPPED:
                self._stop_leader()
            case _:
                return self._kill_operator(deed)
        self.counts[deed, ""] += 1
        return deed

    # -- the operator ----------------------------------------------------------------------------------

    def _kill_operator(self, deed: Deed) -> Deed:
        pod = wait_until(self._replicas.leader, LEADER_SECONDS, "a leader of the operator")
        uid = str(pod["metadata"]["uid"])
        if deed is Deed.PROCESS_KILLED and uid in self._killed:
            deed = Deed.POD_DELETED
        moment = self._random.choice(list(Moment))
        trap = self._proxy.arm(address(pod), self._random.randint(*self._random.choice((FEW, SOME, MANY))), moment)
        try:
            where = f"{moment} write" if trap.caught.wait(TRAP_SECONDS) else "at rest"
            if deed is Deed.PROCESS_KILLED and not self._kill_process(pod):
                deed = Deed.POD_DELETED
            if deed is Deed.POD_DELETED:
                self._replicas.delete(pod)
        finally:
            self._proxy.release(trap)
        # For a moment the process of a deleted pod goes on beside its successor. Addresses come again.
        wait_until(lambda: deed is not Deed.POD_DELETED or not self._replicas.is_running(pod), END_SECONDS, "its end")
        self._proxy.bury(address(pod))
        self.counts[deed, where] += 1
        return deed

    def _kill_process(self, pod: JsonObject) -> bool:
        self._killed.add(str(pod["metadata"]["uid"]))
        return self._replicas.signal(pod, signal.SIGKILL)

    def _stop_leader(self) -> None:
        pod = wait_until(self._replicas.leader, LEADER_SECONDS, "a leader of the operator")
        trap = self._proxy.arm(address(pod), self._random.randint(*SOME), self._random.choice(list(Moment)))
        trap.caught.wait(TRAP_SECONDS)
        self._replicas.signal(pod, signal.SIGSTOP)
        try:
            self._proxy.release(trap)
            time.sleep(self._random.uniform(*STOP_SECONDS))
            holder = self._replicas.holder()
            self.stops_outlasting_the_lease += holder not in ("", pod["metadata"]["uid"])
        finally:
            self._replicas.signal(pod, signal.SIGCONT)

    # -- the control plane -----------------------------------------------------------------------------

    def _restart(self, daemon: Daemon) -> None:
        daemon.kill()
        time.sleep(self._random.uniform(0, DOWN_SECONDS))
        daemon.start()
        self._wait_for_control_plane()

    def _pause(self, daemon: Daemon) -> None:
        daemon.pause()
        try:
            time.sleep(self._random.uniform(*PAUSE_SECONDS))
        finally:
            daemon.resume()
        self._wait_for_control_plane()

    def _wait_for_control_plane(self) -> None:
        wait_until(self._api.answers, CONTROL_SECONDS, "the API server answers again")
        self._when_back()
