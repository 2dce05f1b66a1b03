"""The fake scheduler and kubelets: pods are bound, run their programs, end, and are seen to end a little later.

The steps and their order are those of a real kubelet 1.37 (a container has ended while its pod's phase is still
Running; a deleted pod is Failed first, then removed). `executions` counts from outside what really ran.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .clock import timestamp
from .etcd import Change, Json, Key
from .kinds import BY_PLURAL, JOB_NAME, SCHEDULER
from .refusals import Refused

if TYPE_CHECKING:
    from .apiserver import ApiServer

USER = "kubelet"
INDEX = "kipu.dev/index"
BIND_SECONDS, START_SECONDS, TEARDOWN_SECONDS = 0.01, 0.3, 0.3
EVICTION_SECONDS = 340.0  # a node is NotReady after 40 s, its pods are evicted 300 s later
LOG_BYTES_MAX, LOG_LINES_MAX = 2_048, 80  # of a log that stands in for a message
MESSAGE_BYTES_MAX, MESSAGES_BYTES_MAX = 4_096, 12_288  # of one container, and of all of a pod's
KILLED = 137


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one pod's container `main` does. Other containers end well with it."""

    run_seconds: float = 1.0
    exit_code: int = 0
    message: str = ""  # the termination message, before the kubelet cuts it; $POD in it is the pod's uid
    log: str = ""  # what it prints; the kubelet takes its end for a message where the container asks for that
    reason: str = ""  # "" is Completed or Error, by the exit code; "OOMKilled"
    start_seconds: float = START_SECONDS
    stop_seconds: float = 0.1  # from SIGTERM to its end; the pod's grace period bounds it
    waiting: str = ""  # it does not start, for this reason ("ImagePullBackOff: no such image")
    unschedulable: str = ""  # it is not bound, with this message
    notice: str = ""  # it does not start, and only a notice says why ("FailedMount: no such secret")
    stuck_seconds: float = math.inf  # after which nothing of these three holds any more
    node: str = "node-1"


@dataclass(slots=True, kw_only=True)
class Execution:
    """One run of container `main`, as it really happened. Times are milliseconds since 1970."""

    namespace: str
    workflow_uid: str
    run: str
    step: str
    attempt: str
    job: str
    job_uid: str
    pod: str
    pod_uid: str
    started: int
    ended: int | None = None
    exit_code: int | None = None


class Nodes:
    """Every node of the cluster, and the scheduler."""

    def __init__(self, server: ApiServer, programs: Callable[[Json], Program]) -> None:
        self._server = server
        self._programs = programs
        self._pods: dict[str, Program] = {}  # by pod uid
        self._running: dict[str, Execution] = {}  # by pod uid
        self._ran: set[str] = set()  # uids of pods whose program was started
        self._stopping: set[str] = set()
        self._lost: dict[str, list[Callable[[], object]]] = {}  # node -> what its kubelet has yet to tell
        self.executions: list[Execution] = []
        server.etcd.follow(["pods"], self._changed)

    # -- for tests ---------------------------------------------------------------------------------------

    def lose(self, node: str) -> None:
        """Cut the node off: what runs there runs on, and nobody hears of it."""
        self._lost[node] = []
        self._server.later(EVICTION_SECONDS, self._evict_all, node)

    def recover(self, node: str) -> None:
        """The node is back, its kubelet tells everything it could not."""
        for tell in self._lost.pop(node):
            tell()

    def restored(self) -> None:
        """What is stored may be older than what the kubelets know: they tell it again."""
        ended = {execution.pod_uid: execution for execution in self.executions if execution.ended is not None}
        for stored in self._server.etcd.all("pods"):
            key, uid = stored.key, stored.uid
            if "deletionTimestamp" not in stored.object["metadata"]:
                self._stopping.discard(uid)
            if uid in self._running:
                self._tell_running(key, uid)
            elif uid in self._ran and uid in ended:
                self._do(TEARDOWN_SECONDS, self._finish, key, uid, "Failed" if ended[uid].exit_code else "Succeeded")
            elif uid not in self._ran:
                self._do(BIND_SECONDS, self._bind, key, uid)

    def evict(self, namespace: str, name: str) -> None:
        """The eviction API: the condition DisruptionTarget, then a delete with the pod's grace."""
        self._disrupt(namespace, name, "EvictionByEvictionAPI", "evicted")
        self._server.delete("pods", namespace, name)

    def preempt(self, namespace: str, name: str) -> None:
        """The scheduler needs its place for a pod of higher priority."""
        self._disrupt(namespace, name, "PreemptionByScheduler", "preempted")
        self._server.delete("pods", namespace, name, user="scheduler")

    def evict_under_pressure(self, namespace: str, name: str) -> None:
        """The kubelet is short of memory: the program is killed, the pod Failed, and nobody deletes it."""
        self._disrupt(namespace, name, "TerminationByKubelet", "The node was low on resource: memory.")

        def evicted(body: Json) -> Json:
            body["status"] |= {"phase": "Failed", "reason": "Evicted"}
            return body

        stored = self._server.amend("pods", namespace, name, evicted, status=True, user=USER)
        execution = self._running.pop(stored["metadata"]["uid"], None)
        if execution is not None:
            execution.ended, execution.exit_code = self._server.clock.now(), KILLED

    def _disrupt(self, namespace: str, name: str, reason: str, message: str) -> None:
        condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
        self._server.amend("pods", namespace, name, lambda body: _conditioned(body, condition), status=True)

    # -- the life of a pod -------------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        after = change.after
        if after is None:
            assert change.before is not None
            self._stop(change.key, change.before.uid, 0.0)
            return
        if change.before is None:
            self._pods[after.uid] = self._programs(after.object)
            self._ran.discard(after.uid)  # a pod that a restore has brought back is a new one to its kubelet
            self._stopping.discard(after.uid)
            self._do(BIND_SECONDS, self._bind, change.key, after.uid)
        if "deletionTimestamp" in after.object["metadata"] and after.uid not in self._stopping:
            self._stopping.add(after.uid)
            grace_seconds = after.object["metadata"]["deletionGracePeriodSeconds"]
            self._stop(change.key, after.uid, min(grace_seconds, self._pods[after.uid].stop_seconds))

    def _bind(self, key: Key, uid: str) -> None:
        program, stored = self._pods[uid], self._server.etcd.get(key)
        if stored is None or stored.object["spec"]["schedulerName"] != SCHEDULER:
            return  # somebody else's to bind
        if uid in self._ran or stored.object["status"]["phase"] in ("Succeeded", "Failed"):
            return
        if program.unschedulable and self._is_stuck(stored.object, program, lambda: self._bind(key, uid)):
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            self._write(key, uid, lambda body: _conditioned(body, condition | {"message": program.unschedulable}))
            return
        if not self._write(key, uid, lambda body: _bound(body, program.node), status=False):
            return
        condition = {"type": "PodScheduled", "status": "True"}
        started = timestamp(self._server.clock.now())
        is_stuck = (program.waiting or program.notice) and self._is_stuck(
            stored.object, program, lambda: self._start(key, uid)
        )
        reason, _, message = (program.waiting if is_stuck and program.waiting else "ContainerCreating").partition(": ")
        waiting = {"reason": reason, "message": message} if message else {"reason": reason}

        def creating(body: Json) -> Json:
            body["status"]["startTime"] = started
            return _contained(_conditioned(body, condition), {"waiting": waiting})

        self._write(key, uid, creating)
        if is_stuck and program.notice:
            notify(self._server, stored.object, program.notice, USER)
        elif not is_stuck:
            self._do(program.start_seconds, self._start, key, uid)

    def _is_stuck(self, pod: Json, program: Program, go_on: Callable[[], None]) -> bool:
        """Whether what it waits for is not there yet; if it is to come, the pod goes on by itself."""
        born_ms = datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp() * 1000
        left_seconds = program.stuck_seconds - (self._server.clock.now() - born_ms) / 1000
        if 0 < left_seconds < math.inf:
            self._server.later(left_seconds, go_on)
        return left_seconds > 0

    def _start(self, key: Key, uid: str) -> None:
        stored = self._server.etcd.get(key)
        if stored is None or stored.uid != uid or uid in self._stopping or uid in self._ran:
            return
        execution = _execution(stored.object, self._server.clock.now())
        self.executions.append(execution)
        self._running[uid] = execution
        self._ran.add(uid)
        self._server.later(self._pods[uid].run_seconds, self._ended, key, uid, self._pods[uid].exit_code)
        self._tell_running(key, uid)

    def _tell_running(self, key: Key, uid: str) -> None:
        state = {"running": {"startedAt": timestamp(self._running[uid].started)}}

        def running(body: Json) -> Json:
            body["status"]["phase"] = "Running"
            return _conditioned(_contained(body, state, ready=True), {"type": "Ready", "status": "True"})

        self._tell(key, uid, lambda: self._write(key, uid, running))

    def _ended(self, key: Key, uid: str, exit_code: int) -> None:
        """The program has ended, by itself or because it was stopped."""
        execution = self._running.pop(uid, None)
        if execution is None:
            return
        execution.ended, execution.exit_code = self._server.clock.now(), exit_code
        state = {"terminated": self._terminated(execution, exit_code)}

        def ended(body: Json) -> Json:
            return _conditioned(_contained(body, state), {"type": "Ready", "status": "False", "reason": "PodCompleted"})

        self._tell(key, uid, lambda: self._write(key, uid, ended))
        self._do(TEARDOWN_SECONDS, self._finish, key, uid, "Failed" if exit_code else "Succeeded")

    def _finish(self, key: Key, uid: str, phase: str | None) -> None:
        """Tell the last phase (None: it was told), and remove the pod if it was deleted."""

        def finished(body: Json) -> Json:
            body["status"]["phase"] = phase
            return body

        def tell() -> None:
            if phase is not None:
                self._write(key, uid, finished)
            if uid in self._stopping:
                self._remove(key, uid)

        self._tell(key, uid, tell)

    def _stop(self, key: Key, uid: str, seconds: float) -> None:
        """SIGTERM, and the end at most `seconds` later; a pod that never ran fails at once."""
        if uid in self._running:
            self._server.later(seconds, self._ended, key, uid, KILLED)
        elif (stored := self._server.etcd.get(key)) is not None and stored.uid == uid:
            self._do(BIND_SECONDS, self._finish, key, uid, None if uid in self._ran else "Failed")

    def _remove(self, key: Key, uid: str) -> None:
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        try:
            self._server.delete("pods", key.namespace, key.name, user=USER, **options)
        except Refused:
            return  # it is gone already

    # -- how a kubelet tells -----------------------------------------------------------------------------

    def _terminated(self, execution: Execution, exit_code: int) -> Json:
        program = self._pods[execution.pod_uid]
        state: Json = {
            "exitCode": exit_code,
            "reason": program.reason or ("Error" if exit_code else "Completed"),
            "startedAt": timestamp(execution.started),
            "finishedAt": timestamp(execution.ended or 0),
        }
        if program.message and exit_code != KILLED:
            state["message"] = program.message.replace("$POD", execution.pod_uid)
        state["log"] = program.log
        return state

    def _do(self, seconds: float, step: Callable[..., None], *arguments: object) -> None:
        self._server.later(self._server.jitter(seconds), step, *arguments)

    def _tell(self, key: Key, uid: str, tell: Callable[[], object]) -> None:
        """Now, or when the node is back."""
        backlog = self._lost.get(self._pods[uid].node)
        if backlog is None:
            tell()
        else:
            backlog.append(tell)

    def _write(self, key: Key, uid: str, make: Callable[[Json], Json], *, status: bool = True) -> bool:
        """Update the pod if it is still this one."""
        stored = self._server.etcd.get(key)
        if stored is None or stored.uid != uid:
            return False
        self._server.amend("pods", key.namespace, key.name, make, status=status, user=USER)
        return True

    def _evict_all(self, node: str) -> None:
        if node not in self._lost:
            return
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "node lost",
        }
        for stored in self._server.etcd.all("pods"):
            if stored.object["spec"].get("nodeName") == node and stored.object["status"]["phase"] == "Running":
                self._write(stored.key, stored.uid, lambda body: _conditioned(body, condition))
                self._server.delete("pods", stored.key.namespace, stored.key.name, user="taint-manager")


def notify(server: ApiServer, regarding: Json, words: str, user: str) -> None:
    """A warning as controllers and kubelets write them; one that is told again is only counted, by its writer."""
    reason, _, note = words.partition(": ")
    metadata = regarding["metadata"]
    body: Json = {
        "metadata": {"name": f"{metadata['name']}.{metadata['uid'][:8]}.{reason.lower()}"},
        "type": "Warning",
        "reason": reason,
        "note": note,
        "deprecatedLastTimestamp": timestamp(server.clock.now()),
        "regarding": {"kind": regarding["kind"], "name": metadata["name"], "uid": metadata["uid"]},
    }
    key = Key("events", metadata["namespace"], body["metadata"]["name"])
    if server.etcd.get(key) is not None:
        return
    with suppress(Refused):  # best effort
        server.create_stored(BY_PLURAL["events"], metadata["namespace"], body, user=user)


def _bound(body: Json, node: str) -> Json:
    body["spec"]["nodeName"] = node
    return body


def _conditioned(body: Json, condition: Json) -> Json:
    conditions: list[Json] = body["status"].get("conditions", [])
    others = [each for each in conditions if each["type"] != condition["type"]]
    body["status"]["conditions"] = [*others, {**condition, "lastTransitionTime": None}]
    return body


def _contained(body: Json, state: Json, *, ready: bool = False) -> Json:
    """Every container in `state`; only `main` ends with its exit code and message, the message cut."""
    containers: list[Json] = body["spec"]["containers"]
    statuses = []
    for container in containers:
        own = {key: dict(value) for key, value in state.items()}
        if "terminated" in own:
            is_main = container["name"] in (containers[0]["name"], "main")
            own["terminated"] = _last_words(body, container, own["terminated"], is_main=is_main)
        statuses.append({"name": container["name"], "ready": ready, "state": own, "restartCount": 0})
    body["status"]["containerStatuses"] = statuses
    return body


def _last_words(body: Json, container: Json, end: Json, *, is_main: bool) -> Json:
    log, message = end.pop("log", ""), end.pop("message", "")
    if not is_main:
        return {**end, "exitCode": 0, "reason": "Completed"}
    # The last bytes of the file, or of the log, of which the status keeps the first.
    written = message.encode()[-MESSAGE_BYTES_MAX:]
    if not written and end["exitCode"] and container["terminationMessagePolicy"] == "FallbackToLogsOnError":
        written = "".join(log.splitlines(keepends=True)[-LOG_LINES_MAX:]).encode()[-LOG_BYTES_MAX:]
    kept = written[: MESSAGES_BYTES_MAX // _count(body)].decode(errors="replace")
    return {**end, "message": kept} if kept else end


def _count(body: Json) -> int:
    spec = body["spec"]
    return len(spec["containers"]) + len(spec.get("initContainers", ())) + len(spec.get("ephemeralContainers", ()))


def _execution(body: Json, started: int) -> Execution:
    metadata = body["metadata"]
    labels: dict[str, str] = metadata.get("labels", {})
    return Execution(
        namespace=metadata["namespace"],
        workflow_uid=labels.get("kipu.dev/workflow-uid", ""),
        run=labels.get("kipu.dev/run", ""),
        step=labels.get("kipu.dev/step", "") + (f"[{labels[INDEX]}]" if INDEX in labels else ""),
        attempt=labels.get("kipu.dev/attempt", ""),
        job=labels.get(JOB_NAME, ""),
        job_uid=next((o["uid"] for o in metadata.get("ownerReferences", ()) if o.get("controller")), ""),
        pod=metadata["name"],
        pod_uid=metadata["uid"],
        started=started,
    )
